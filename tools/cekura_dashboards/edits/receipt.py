"""What an edit did: before → after, what the API stored otherwise than asked, and how to take it back."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from cekura_dashboards.api.models import JsonObject
from cekura_dashboards.edits.changes import EditOperation, line_of
from cekura_dashboards.text import json_text
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
    left_out: list[str] | None = None


def fit_receipt(receipt: Receipt, budget: int = TEXT_BUDGET) -> Receipt:
    """Leave out what is too much to show: the values of later changes, then warnings and the like, then changes."""
    changes = receipt.changes
    detailed = len(changes)
    while detailed and not _fits(receipt, budget):
        detailed = detailed * 3 // 4 if detailed > 1 else 0
        changes_listed = [c if i < detailed else c.model_copy(update={"fields": None}) for i, c in enumerate(changes)]
        left_out = [f"values of {len(changes) - detailed} changes (get_dashboard shows them)"]
        receipt = receipt.model_copy(update={"changes": changes_listed, "left_out": left_out})
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
        lines.append(f"restored under new ids; in older undo calls put behind plan_id: ; {'; '.join(receipt.restored)}")
    if receipt.plan_id:
        lines.append(f"plan_id: {receipt.plan_id}")
    calls = [*(("to complete it", call) for call in receipt.complete or []), ("undo", receipt.undo)]
    for word, call in calls:
        if call:
            lines.append(f"{word}: {call.tool} {json_text(call.arguments)}")
    return "\n".join(lines)
