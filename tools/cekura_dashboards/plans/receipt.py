"""What an edit did: before → after, what the API stored otherwise than asked, and how to take it back."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, Field

from cekura_dashboards.api.models import WRITABLE, JsonObject, as_list, as_object
from cekura_dashboards.text import Foreign, Word, json_text, named
from cekura_dashboards.tool import Result

VALUE_LIMIT = 200
TEXT_BUDGET = 8000
"""Characters; notes on how arguments were read may come on top."""
STRUCTURED = 1.5
FEW = 5
FEW_INSIDE = 4
PAYLOAD_LIMIT = 20_000
"""Characters that an undo may take; an edit that would need more is refused beforehand."""


class Change(BaseModel):
    """One operation on a widget, or on a dashboard. ``fields`` maps a field to ``[before, after]``."""

    op: Literal["create", "update", "delete"]
    of: Literal["dashboard"] | None = None
    id: int | None = None
    name: Foreign | None = None
    dashboard_id: int | None = None
    fields: dict[Word, list[Any]] | None = None


class Call(BaseModel):
    """A call, ready to be made."""

    tool: str
    arguments: dict[str, Any]


class Receipt(Result):
    """What an edit did. ``changes`` are what was done, or with ``needs_plan`` what would be."""

    outcome: Literal["applied", "partly_applied", "nothing_to_do", "needs_plan"]
    dashboard_id: int | None = None
    changes: list[Change]
    differences: list[str] | None = Field(default=None, description="stored otherwise than asked")
    not_done: list[str] | None = None
    warnings: list[str] | None = None
    restored: list[str] | None = None
    plan_id: str | None = None
    complete: list[Call] | None = None
    undo: Call | None = None
    left_out: list[str] | None = None


def before_after(before: JsonObject, after: JsonObject, fields: Sequence[str] = WRITABLE) -> dict[str, list[Any]]:
    """The writable fields that differ, an empty text and null being the same; of metadata only what differs in it."""
    found = dict[str, list[Any]]()
    for name in fields:
        old, new = before.get(name), after.get(name)
        if same(old, new):
            continue
        inside = _differing(old, new, name) if name == "metadata" and old and new else None
        found |= inside if inside and len(inside) <= FEW_INSIDE else {name: [_short(old), _short(new)]}
    return found


def _differing(before: Any, after: Any, path: str) -> dict[str, list[Any]]:
    """What differs between two JSON values, by path."""
    old, new = as_object(before), as_object(after)
    if old is None or new is None:
        return {} if same(before, after) else {Foreign(path): [_short(before), _short(after)]}
    inside = [_differing(old.get(name), new.get(name), f"{path}.{name}") for name in dict.fromkeys([*old, *new])]
    return {name: pair for part in inside for name, pair in part.items()}


def same(first: Any, second: Any) -> bool:
    """Whether the API would take both to mean the same: an empty text, list or object is like null; true is not 1."""
    return _equal(or_none(first), or_none(second))


def or_none(value: Any) -> Any:
    return None if value in ("", [], {}) else value


def _equal(first: Any, second: Any) -> bool:
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    objects, lists = (as_object(first), as_object(second)), (as_list(first), as_list(second))
    if objects[0] is not None and objects[1] is not None:
        old, new = objects[0], objects[1]
        return old.keys() == new.keys() and all(_equal(value, new[name]) for name, value in old.items())
    if lists[0] is not None and lists[1] is not None:
        return len(lists[0]) == len(lists[1]) and all(map(_equal, lists[0], lists[1]))
    return bool(first == second)


def _short(value: Any) -> Any:
    """The value, or its first characters when it is long."""
    if isinstance(value, str):
        return Foreign(value, limit=VALUE_LIMIT)
    text = json_text(value)
    return value if len(text) <= VALUE_LIMIT else Foreign(text, limit=VALUE_LIMIT)


def fitted(receipt: Receipt, budget: int = TEXT_BUDGET) -> Receipt:
    """Leave out what is too much to show: the values of later changes, then warnings and the like, then changes."""
    changes = receipt.changes
    kept = len(changes)
    while kept and not _fits(receipt, budget):
        kept = kept * 3 // 4 if kept > 1 else 0
        shown = [c if i < kept else c.model_copy(update={"fields": None}) for i, c in enumerate(changes)]
        left = [f"values of {len(changes) - kept} changes (get_dashboard shows them)"]
        receipt = receipt.model_copy(update={"changes": shown, "left_out": left})
    for name in ("warnings", "differences", "not_done"):
        told: list[str] = getattr(receipt, name) or []
        if len(told) > FEW and not _fits(receipt, budget):
            receipt = _leaving(receipt, f"{len(told) - FEW} more {name.replace('_', ' ')}", {name: told[:FEW]})
    kept = len(changes)
    while kept > FEW and not _fits(receipt, budget):
        kept = kept * 3 // 4
        receipt = receipt.model_copy(update={"changes": receipt.changes[:kept]})
    if kept < len(changes):
        receipt = _leaving(receipt, f"{len(changes) - kept} more changes (get_dashboard shows them)", {})
    return receipt


def _leaving(receipt: Receipt, what: str, changes: JsonObject) -> Receipt:
    return receipt.model_copy(update={**changes, "left_out": [*(receipt.left_out or []), what]})


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
        ("left out", receipt.left_out),
    ):  # fmt: skip
        lines += [f"{word}: {text}" for text in texts or []]
    if receipt.restored:
        lines.append(f"restored under new ids; to older undo calls add restored: {json_text(receipt.restored)}")
    if receipt.plan_id:
        lines.append(f"plan_id: {receipt.plan_id}")
    calls = [*(("to complete it", call) for call in receipt.complete or []), ("undo", receipt.undo)]
    for word, call in calls:
        if call:
            lines.append(f"{word}: {call.tool} {json_text(call.arguments)}")
    return "\n".join(lines)


def line_of(change: Change) -> str:
    """``update 203 "Success rate": name: "Old" → "New"``."""
    number = change.id if change.id is not None else "new"
    head = f"{change.op} {'dashboard ' if change.of else ''}{number} {named(change.name)}"
    if change.dashboard_id is not None:
        head += f" on dashboard {change.dashboard_id}"
    if not change.fields:
        return head
    parts = [
        f"{name}: {json_text(before)} → {json_text(after)}"
        if change.op == "update"
        else f"{name}: {json_text(after if change.op == 'create' else before)}"
        for name, (before, after) in change.fields.items()
    ]
    return f"{head}: {'; '.join(parts)}"
