"""What an edit did: before → after, what the API stored otherwise than asked, and how to take it back."""

import json
from typing import Any, Literal

from pydantic import BaseModel, Field

from cekura_dashboards.api.models import WRITABLE, JsonObject
from cekura_dashboards.text import cleaned, named
from cekura_dashboards.tool import Result

VALUE_LIMIT = 200
TEXT_BUDGET = 9000
PAYLOAD_LIMIT = 20_000
"""Characters that an undo may take; an edit that would need more is refused beforehand."""


class Change(BaseModel):
    """One operation. ``fields`` maps a field to ``[before, after]``."""

    op: Literal["create", "update", "delete"]
    id: int | None = None
    name: str | None = None
    fields: dict[str, list[Any]] | None = None


class Undo(BaseModel):
    """The call that puts things back."""

    tool: str
    arguments: dict[str, Any]


class Receipt(Result):
    """``outcome`` needs_plan: nothing was changed yet; call again with the ``plan_id`` to go on."""

    outcome: Literal["applied", "nothing_to_do", "needs_plan"]
    dashboard_id: int | None = None
    changes: list[Change]
    differences: list[str] | None = Field(default=None, description="stored otherwise than asked")
    warnings: list[str] | None = None
    plan_id: str | None = None
    undo: Undo | None = None
    left_out: list[str] | None = None


def before_after(before: JsonObject, after: JsonObject) -> dict[str, list[Any]]:
    """The writable fields that differ, an empty text and null being the same."""
    return {
        name: [_short(before.get(name)), _short(after.get(name))]
        for name in WRITABLE
        if not same(before.get(name), after.get(name))
    }


def same(first: Any, second: Any) -> bool:
    """Whether the API would take both to mean the same."""
    return (first or None) == (second or None) if not _is_number(first) and not _is_number(second) else first == second


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _short(value: Any) -> Any:
    """The value, or its first characters when it is long."""
    if isinstance(value, str):
        return cleaned(value, limit=VALUE_LIMIT)
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return value if len(text) <= VALUE_LIMIT else cleaned(text, limit=VALUE_LIMIT)


def fitted(receipt: Receipt) -> Receipt:
    """Leave out the values of all but the first changes when there are too many to show."""
    changes = receipt.changes
    kept = len(changes)
    while kept and len(render(receipt.model_copy(update={"undo": None}))) > TEXT_BUDGET:
        kept = kept * 3 // 4 if kept > 1 else 0
        shown = [c if i < kept else c.model_copy(update={"fields": None}) for i, c in enumerate(changes)]
        receipt = receipt.model_copy(
            update={
                "changes": shown,
                "left_out": [f"values of {len(changes) - kept} changes (get_dashboard shows them)"],
            }
        )
    return receipt


HEADS = {
    "applied": "Done.",
    "nothing_to_do": "Nothing to do: it is stored like this already.",
    "needs_plan": "Nothing was changed yet. This is what would happen; undo would bring deleted widgets back under "
    "new ids. If the user agrees, call again with the same arguments and this plan_id.",
}


def render(receipt: Receipt) -> str:
    lines = [
        HEADS[receipt.outcome] + (f" dashboard {receipt.dashboard_id}" if receipt.dashboard_id is not None else "")
    ]
    lines += [_line(change) for change in receipt.changes]
    for word, texts in (
        ("NOT as asked", receipt.differences), ("warning", receipt.warnings), ("left out", receipt.left_out),
    ):  # fmt: skip
        lines += [f"{word}: {text}" for text in texts or []]
    if receipt.plan_id:
        lines.append(f"plan_id: {receipt.plan_id}")
    if receipt.undo:
        arguments = json.dumps(receipt.undo.arguments, separators=(",", ":"), ensure_ascii=False)
        lines.append(f"undo: {receipt.undo.tool} {arguments}")
    return "\n".join(lines)


def _line(change: Change) -> str:
    head = f"{change.op} {change.id if change.id is not None else 'new'} {named(change.name)}"
    if not change.fields:
        return head
    parts = [f"{name}: {_value(before)} → {_value(after)}" for name, (before, after) in change.fields.items()]
    return (
        f"{head}: {'; '.join(parts)}"
        if change.op == "update"
        else head
        + ": "
        + "; ".join(
            f"{name}: {_value(after if change.op == 'create' else before)}"
            for name, (before, after) in change.fields.items()
        )
    )


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
