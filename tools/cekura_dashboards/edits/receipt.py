"""The result of an edit: before → after, differences from the request, and the undo call."""

import json
from collections.abc import Sequence
from typing import Any, Generic, Literal, TypeVar

from msgspec import Struct
from pydantic import BaseModel, Field

from cekura_dashboards.api.errors import InvalidArguments
from cekura_dashboards.api.models import JsonObject, as_object, same
from cekura_dashboards.arguments.faults import ArgumentPath
from cekura_dashboards.arguments.reader import parse
from cekura_dashboards.context import ToolContext
from cekura_dashboards.edits.changes import EditOperation, WidgetEdits, line_of
from cekura_dashboards.edits.plan_id import Covered, signer
from cekura_dashboards.edits.request import PlannedRequest
from cekura_dashboards.text import counted, join_names, json_text
from cekura_dashboards.tool import Result

TEXT_BUDGET = 8000
"""Characters, without notes on how arguments were read."""
STRUCTURED = 1.5
FEW_LINES = 5
PAYLOAD_LIMIT = 20_000
"""Characters of an undo call; an edit that would need more is refused."""


class Call(BaseModel):
    """A complete tool call."""

    tool: str
    arguments: dict[str, Any]


class Receipt(Result):
    """The result of an edit. ``changes``: applied, or with ``needs_plan`` planned."""

    BOUND = "at most 8,000 characters of text, without calls"

    outcome: Literal["applied", "partly_applied", "nothing_to_do", "needs_plan"]
    dashboard_id: int | None = None
    changes: list[EditOperation]
    differences: list[str] | None = Field(default=None, description="stored state differs from request")
    not_applied: list[str] | None = None
    warnings: list[str] | None = None
    restored: list[str] | None = None
    plan_id: str | None = None
    remaining: list[Call] | None = None
    undo: Call | None = None
    omitted: list[str] | None = None


def fit_receipt(receipt: Receipt, budget: int = TEXT_BUDGET) -> Receipt:
    """Shorten to the budget: drop the values of later changes, then warnings and the like, then changes."""
    changes = receipt.changes
    detailed = len(changes)
    while detailed and not _fits(receipt, budget):
        detailed = detailed * 3 // 4 if detailed > 1 else 0
        changes_listed = [c if i < detailed else c.model_copy(update={"fields": None}) for i, c in enumerate(changes)]
        left_out = [f"values of {counted(len(changes) - detailed, 'change')} (get_dashboard shows them)"]
        receipt = receipt.model_copy(update={"changes": changes_listed, "omitted": left_out})
    for name in ("warnings", "differences", "not_applied"):
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
        receipt = _leaving(receipt, f"{counted(len(changes) - detailed, 'more change')} (get_dashboard shows them)", {})
    return receipt


def _leaving(receipt: Receipt, what: str, changes: JsonObject) -> Receipt:
    return receipt.model_copy(update={**changes, "omitted": [*(receipt.omitted or []), what]})


def _fits(receipt: Receipt, budget: int) -> bool:
    """Whether text and structure fit, not counting undo and other payloads."""
    plain = receipt.model_copy(update={"undo": None, "remaining": None, "restored": None})
    return len(render(plain)) <= budget and len(plain.model_dump_json(exclude_none=True)) <= STRUCTURED * budget


HEADS = {
    "applied": "Done.",
    "partly_applied": "Partly done.",
    "nothing_to_do": "Nothing to do: the stored state is the same.",
    "needs_plan": "Nothing was changed yet. Planned changes{lost}. If the user agrees, call again with the same "
    "arguments and this plan_id.",
}
UNDOABLE = " (deletions can be undone, under new ids, unless a warning says otherwise)"


def render(receipt: Receipt) -> str:
    deletes = any(change.op == "delete" for change in receipt.changes)
    head = HEADS[receipt.outcome].format(lost=UNDOABLE if deletes else "")
    lines = [head + (f" dashboard {receipt.dashboard_id}" if receipt.dashboard_id is not None else "")]
    lines += [line_of(change) for change in receipt.changes]
    for word, texts in (
        ("NOT as requested", receipt.differences), ("NOT applied", receipt.not_applied), ("warning", receipt.warnings),
        ("omitted", receipt.omitted),
    ):  # fmt: skip
        lines += [f"{word}: {text}" for text in texts or []]
    if receipt.restored:
        lines.append(f"restored under new ids; append to plan_id in older undo calls: ; {'; '.join(receipt.restored)}")
    if receipt.plan_id:
        lines.append(f"plan_id: {receipt.plan_id}")
    calls = [*(("remaining", call) for call in receipt.remaining or []), ("undo", receipt.undo)]
    for word, call in calls:
        if call:
            lines.append(f"{word}: {call.tool} {json_text(call.arguments)}")
    return "\n".join(lines)


Q = TypeVar("Q", bound=PlannedRequest)


class Undo(Struct, Generic[Q], frozen=True):
    """An undo: its request and arguments, and what it cannot restore. Without a request there is no undo."""

    request: Q | None
    arguments: JsonObject
    lost: list[str]

    @property
    def warnings(self) -> list[str]:
        """What an undo cannot restore, to warn before and after the edit."""
        if self.request is None:
            return ["there is no undo: the stored state contains values that this server cannot write"]
        return [f"undo cannot restore {join_names(self.lost)}: this server cannot write the stored values"] * bool(
            self.lost
        )

    def call(self, context: ToolContext, tool: str, covered: Covered) -> Call | None:
        """The undo call, with a plan_id for the current state; None if there is no undo."""
        if self.request is None:
            return None
        plan_id = signer(context).issue(self.request.operations(tool), covered, origin="undo")
        return Call(tool=tool, arguments={**self.arguments, "plan_id": plan_id})


def undo_of(model: type[Q], arguments: JsonObject) -> Undo[Q]:
    """The undo as this server would read it, without parts that it could not write."""
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
    """The arguments without the faulty items or filters; None if nothing can be dropped."""
    arguments_left, names = dict(arguments), list[str]()
    places = {(str(at[0]), at[1]) for at in faulty if len(at) > 1 and isinstance(at[1], int)}
    for name, index in sorted(places, reverse=True):
        items = [*arguments_left[name]]
        item = as_object(items.pop(index))
        if item is None:
            return None
        names.append(f"widget {item.get('old_id', item.get('id'))}")
        arguments_left[name] = items
    if "filters" in arguments_left and any(at[:1] == ("filters",) for at in faulty):
        del arguments_left["filters"]
        names.append("the dashboard's filters")
    arguments_left = {name: value for name, value in arguments_left.items() if value != []}
    return (arguments_left, names) if names and len(arguments_left) > 1 else None


def undo_update(before: JsonObject, sent: JsonObject) -> JsonObject:
    """The arguments that reset the sent fields."""
    values = {name: before[name] for name in sent if name != "metadata" and not same(before[name], None)}
    clear = [name for name in sent if name not in values and (name != "metadata" or not same(sent[name], None))]
    if "metadata" in sent and before["metadata"]:
        values["metadata"] = before["metadata"]
    return {**values, **({"clear": clear} if clear else {})}


def refuse_too_large(undo: JsonObject, *, instead: str = "split it into calls with fewer widgets each") -> None:
    """Refuse an edit whose undo call would be too long.

    Raises:
        InvalidArguments: with how to split it.
    """
    size = len(json.dumps(undo, separators=(",", ":"), ensure_ascii=False))
    if size > PAYLOAD_LIMIT:
        raise InvalidArguments.at(
            "", f"the undo of this edit would have {size} characters, more than {PAYLOAD_LIMIT}; {instead}.",
            lead="Nothing was changed.",
        )  # fmt: skip


def undo_arguments(edits: WidgetEdits, created: Sequence[int]) -> JsonObject:
    """The arguments of bulk_edit_dashboard that undo these edits."""
    arguments: JsonObject = {"dashboard_id": edits.dashboard_id}
    restored: list[JsonObject] = [{**edits.before[n].definition(), "old_id": n} for n in edits.deletes]
    back: list[JsonObject] = [
        {"id": number, **undo_update(edits.before[number].writable(), fields)}
        for number, fields in edits.updates.items()
    ]
    for name, value in (("create", restored), ("update", back), ("delete", [*created])):
        if value:
            arguments[name] = value
    return arguments
