"""The way back from an edit."""

import json
from collections.abc import Sequence
from typing import Generic, TypeVar

from msgspec import Struct

from cekura_dashboards.api.errors import InvalidArguments
from cekura_dashboards.api.models import JsonObject, as_object, same
from cekura_dashboards.arguments.reader import ArgumentPath, parse
from cekura_dashboards.context import ToolContext
from cekura_dashboards.edits.changes import WidgetEdits
from cekura_dashboards.edits.plan_id import Covered, signer
from cekura_dashboards.edits.receipt import PAYLOAD_LIMIT, Call
from cekura_dashboards.edits.request import PlannedRequest
from cekura_dashboards.text import join_names

Q = TypeVar("Q", bound=PlannedRequest)


class Undo(Struct, Generic[Q], frozen=True):
    """The way back: the call's request and arguments, and what it cannot put back. No request: there is no way."""

    request: Q | None
    arguments: JsonObject
    lost: list[str]

    @property
    def warnings(self) -> list[str]:
        """What an undo will not do, for before and after the edit."""
        if self.request is None:
            return ["there is no undo: what is stored holds what this server cannot write"]
        return [f"undo cannot put back {join_names(self.lost)}: what is stored there this server cannot write"] * bool(
            self.lost
        )

    def call(self, context: ToolContext, tool: str, covered: Covered) -> Call | None:
        """The undo, with a plan_id over what is stored now; None if this server could not write it."""
        if self.request is None:
            return None
        plan_id = signer(context).issue(self.request.operations(tool), covered, origin="undo")
        return Call(tool=tool, arguments={**self.arguments, "plan_id": plan_id})


def undo_of(model: type[Q], arguments: JsonObject) -> Undo[Q]:
    """The undo call as this server itself would read it, without what it could not write again."""
    arguments, lost = dict(arguments), list[str]()
    while True:
        try:
            request, _ = parse(model, {**arguments, "plan_id": "undo"})
        except InvalidArguments as error:
            dropped = _without_faulty(arguments, [fault.at for fault in error.faults])
            if dropped is None:
                return Undo(None, {}, [])
            arguments, names = dropped
            lost += names
        else:
            return Undo(request, arguments, lost)


def _without_faulty(arguments: JsonObject, faulty: Sequence[ArgumentPath]) -> tuple[JsonObject, list[str]] | None:
    """The arguments less the items, or the filters, that the faults are in; None if nothing can be left out."""
    arguments_left, names = dict(arguments), list[str]()
    places = {(str(at[0]), at[1]) for at in faulty if len(at) > 1 and isinstance(at[1], int)}
    for name, index in sorted(places, reverse=True):
        items = [*arguments_left[name]]
        item = as_object(items.pop(index))
        if item is None:
            return None
        names.append(f"widget {item.get('was', item.get('id'))}")
        arguments_left[name] = items
    if "filters" in arguments_left and any(at[:1] == ("filters",) for at in faulty):
        del arguments_left["filters"]
        names.append("the dashboard's filters")
    arguments_left = {name: value for name, value in arguments_left.items() if value != []}
    return (arguments_left, names) if names and len(arguments_left) > 1 else None


def undo_update(before: JsonObject, sent: JsonObject) -> JsonObject:
    """The arguments that set the sent fields back to what they were."""
    values = {name: before[name] for name in sent if name != "metadata" and not same(before[name], None)}
    clear = [name for name in sent if name not in values and (name != "metadata" or not same(sent[name], None))]
    if "metadata" in sent and before["metadata"]:
        values["metadata"] = before["metadata"]
    return {**values, **({"clear": clear} if clear else {})}


def refuse_too_large(undo: JsonObject, *, instead: str = "split it into calls with fewer widgets each") -> None:
    """Refuse an edit whose undo would be too long to hand over.

    Raises:
        InvalidArguments: with how to split it.
    """
    size = len(json.dumps(undo, separators=(",", ":"), ensure_ascii=False))
    if size > PAYLOAD_LIMIT:
        raise InvalidArguments.at(
            "", f"the undo of this edit would take {size} characters, more than {PAYLOAD_LIMIT}; {instead}.",
            lead="Nothing was changed.",
        )  # fmt: skip


def undo_arguments(edits: WidgetEdits, created: Sequence[int]) -> JsonObject:
    """The arguments of bulk_edit_dashboard that put these edits back."""
    arguments: JsonObject = {"dashboard_id": edits.dashboard_id}
    restored: list[JsonObject] = [{**edits.before[n].definition(), "was": n} for n in edits.deletes]
    back: list[JsonObject] = [
        {"id": number, **undo_update(edits.before[number].writable(), fields)}
        for number, fields in edits.updates.items()
    ]
    for name, value in (("create", restored), ("update", back), ("delete", [*created])):
        if value:
            arguments[name] = value
    return arguments
