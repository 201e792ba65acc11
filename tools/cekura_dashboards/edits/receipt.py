"""What an edit did: before → after, what the API stored otherwise than asked, and how to take it back."""

import json
from collections.abc import Sequence
from typing import Any, Generic, Literal, TypeVar

from msgspec import Struct
from pydantic import BaseModel, Field

from cekura_dashboards.api.errors import InvalidArguments
from cekura_dashboards.api.models import JsonObject, as_object, same
from cekura_dashboards.arguments.reader import ArgumentPath, parse
from cekura_dashboards.context import ToolContext
from cekura_dashboards.edits.changes import EditOperation, WidgetEdits, line_of
from cekura_dashboards.edits.plan_id import Covered, signer
from cekura_dashboards.edits.request import PlannedRequest
from cekura_dashboards.text import join_names, json_text
from cekura_dashboards.tool import Result

TEXT_BUDGET = 8000
"""Characters; notes on how arguments were read may come on top."""
STRUCTURED = 1.5
FEW_LINES = 5
PAYLOAD_LIMIT = 20_000
"""Characters that an undo may take; an edit that would need more is refused beforehand."""


class Call(BaseModel):
    """A call, ready to be made."""

    tool: str
    arguments: dict[str, Any]


class Receipt(Result):
    """What an edit did. ``changes`` are what was done, or with ``needs_plan`` what would be."""

    BOUND = "at most 8,000 characters of text, beside what is handed on"

    outcome: Literal["applied", "partly_applied", "nothing_to_do", "needs_plan"]
    dashboard_id: int | None = None
    changes: list[EditOperation]
    differences: list[str] | None = Field(default=None, description="stored otherwise than asked")
    not_done: list[str] | None = None
    warnings: list[str] | None = None
    restored: list[str] | None = None
    plan_id: str | None = None
    complete: list[Call] | None = None
    undo: Call | None = None
    omitted: list[str] | None = None


def fit_receipt(receipt: Receipt, budget: int = TEXT_BUDGET) -> Receipt:
    """Leave out what is too much to show: the values of later changes, then warnings and the like, then changes."""
    changes = receipt.changes
    detailed = len(changes)
    while detailed and not _fits(receipt, budget):
        detailed = detailed * 3 // 4 if detailed > 1 else 0
        changes_listed = [c if i < detailed else c.model_copy(update={"fields": None}) for i, c in enumerate(changes)]
        left_out = [f"values of {len(changes) - detailed} changes (get_dashboard shows them)"]
        receipt = receipt.model_copy(update={"changes": changes_listed, "omitted": left_out})
    for name in ("warnings", "differences", "not_done"):
        lines: list[str] = getattr(receipt, name) or []
        if len(lines) > FEW_LINES and not _fits(receipt, budget):
            receipt = _leaving(
                receipt, f"{len(lines) - FEW_LINES} more {name.replace('_', ' ')}", {name: lines[:FEW_LINES]}
            )
    detailed = len(changes)
    while detailed > FEW_LINES and not _fits(receipt, budget):
        detailed = detailed * 3 // 4
        receipt = receipt.model_copy(update={"changes": receipt.changes[:detailed]})
    if detailed < len(changes):
        receipt = _leaving(receipt, f"{len(changes) - detailed} more changes (get_dashboard shows them)", {})
    return receipt


def _leaving(receipt: Receipt, what: str, changes: JsonObject) -> Receipt:
    return receipt.model_copy(update={**changes, "omitted": [*(receipt.omitted or []), what]})


def _fits(receipt: Receipt, budget: int) -> bool:
    """Whether text and structure fit, without the payloads that are handed on."""
    plain = receipt.model_copy(update={"undo": None, "complete": None, "restored": None})
    return len(render(plain)) <= budget and len(plain.model_dump_json(exclude_none=True)) <= STRUCTURED * budget


HEADS = {
    "applied": "Done.",
    "partly_applied": "Only part of it was done.",
    "nothing_to_do": "Nothing to do: it is stored like this already.",
    "needs_plan": "Nothing was changed yet. This is what would happen{lost}. If the user agrees, call again with the "
    "same arguments and this plan_id.",
}
BROUGHT_BACK = "; what is deleted can be brought back under new ids, unless a warning says otherwise"


def render(receipt: Receipt) -> str:
    deletes = any(change.op == "delete" for change in receipt.changes)
    head = HEADS[receipt.outcome].format(lost=BROUGHT_BACK if deletes else "")
    lines = [head + (f" dashboard {receipt.dashboard_id}" if receipt.dashboard_id is not None else "")]
    lines += [line_of(change) for change in receipt.changes]
    for word, texts in (
        ("NOT as asked", receipt.differences), ("NOT done", receipt.not_done), ("warning", receipt.warnings),
        ("left out", receipt.omitted),
    ):  # fmt: skip
        lines += [f"{word}: {text}" for text in texts or []]
    if receipt.restored:
        lines.append(f"restored under new ids; in older undo calls put behind plan_id: ; {'; '.join(receipt.restored)}")
    if receipt.plan_id:
        lines.append(f"plan_id: {receipt.plan_id}")
    calls = [*(("to complete it", call) for call in receipt.complete or []), ("undo", receipt.undo)]
    for word, call in calls:
        if call:
            lines.append(f"{word}: {call.tool} {json_text(call.arguments)}")
    return "\n".join(lines)


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
