"""Sending a plan, and finding out what became of it when the answer is lost."""

import json
from dataclasses import dataclass
from typing import Any

from cekura_dashboards.api.errors import (
    ApiFault,
    ConnectionBroken,
    DashboardsError,
    DeadlinePassed,
    EditFailed,
    NotFound,
    UnexpectedStatus,
    UnreadableAnswer,
)
from cekura_dashboards.api.models import WRITABLE, BulkResult, Dashboard, JsonObject, Widget
from cekura_dashboards.context import ToolContext
from cekura_dashboards.edit.plan import Plan
from cekura_dashboards.edit.receipt import same
from cekura_dashboards.text import quoted

READ_BACK_S = 10.0
"""Time to read back after a write whose answer was lost, beyond the call's own deadline."""
IN_DOUBT = (ConnectionBroken, DeadlinePassed, ApiFault, UnreadableAnswer, UnexpectedStatus)
LOST_ANSWER = "the API's answer to the edit was lost; what is told here was read back"


@dataclass(frozen=True)
class Stored:
    """What the API holds after an edit. ``created`` are in the order in which they were asked."""

    created: list[Widget]
    updated: dict[int, Widget]
    deleted: list[int]
    read_back: bool = False


async def commit_update(context: ToolContext, plan: Plan) -> Stored:
    """Send the change of one widget.

    Raises:
        EditFailed: when the answer was lost and the change is not there, or cannot be told.
    """
    [(number, fields)] = plan.updates.items()
    try:
        return Stored([], {number: await context.api.update_widget(number, fields)}, [])
    except IN_DOUBT as error:
        try:
            found = await context.api.within(READ_BACK_S).get_widget(number)
        except DashboardsError:
            raise EditFailed(str(error), {f"update of widget {number}": "unknown"}) from None
        outcome = _outcome(plan.before[number], fields, found)
        if outcome != "applied":
            raise EditFailed(str(error), {f"update of widget {number}": outcome}) from None
        return Stored([], {number: found}, [], read_back=True)


async def commit_bulk(context: ToolContext, plan: Plan) -> Stored:
    """Send a bulk edit as one transaction.

    Raises:
        EditFailed: when the API reported errors, or the answer was lost and not all of it is there.
    """
    dashboard_id = plan.dashboard_id or 0
    known = set(plan.before) | set(_covered_ids(plan))
    try:
        done = await context.api.bulk_widgets(
            dashboard_id,
            create=plan.creates,
            update=[{"id": number, **fields} for number, fields in plan.updates.items()],
            delete=plan.deletes,
        )
    except IN_DOUBT as error:
        return await _read_back(context, plan, dashboard_id, known, str(error))
    if done.errors:
        said = "; ".join(quoted(str(entry), secret=context.api.key.get_secret_value()) for entry in done.errors)
        return await _read_back(context, plan, dashboard_id, known, f"The API reported errors: {said}")
    return _stored(done)


def _covered_ids(plan: Plan) -> list[int]:
    ids = plan.covered.get(f"dashboard {plan.dashboard_id}", {}).get("widgets", [])
    return [number for number in ids if isinstance(number, int)]


def _stored(done: BulkResult) -> Stored:
    return Stored(done.created, {widget.id: widget for widget in done.updated}, done.deleted)


async def _read_back(context: ToolContext, plan: Plan, dashboard_id: int, known: set[int], cause: str) -> Stored:
    """Compare the dashboard with what was asked, operation by operation; nothing is sent again."""
    names = _operation_names(plan)
    try:
        found: Dashboard | None = await context.api.within(READ_BACK_S).get_dashboard(dashboard_id)
    except NotFound:
        found = None
    except DashboardsError:
        raise EditFailed(cause, dict.fromkeys(names, "unknown")) from None
    now = {widget.id: widget for widget in found.widgets} if found else {}
    fresh = [widget for number, widget in now.items() if number not in known]
    created, outcomes = list[Widget](), dict[str, str]()
    for name, config in zip(names, plan.creates, strict=False):
        twin = next((w for w in fresh if w not in created and _holds(w, config)), None)
        outcomes[name] = "applied" if twin else "unknown" if fresh else "not applied"
        if twin:
            created.append(twin)
    for number, fields in plan.updates.items():
        outcomes[f"update of widget {number}"] = _outcome(plan.before[number], fields, now.get(number))
    for number in plan.deletes:
        outcomes[f"delete of widget {number}"] = "not applied" if number in now else "applied"
    if set(outcomes.values()) != {"applied"}:
        raise EditFailed(cause, outcomes)
    return Stored(created, {n: now[n] for n in plan.updates}, list(plan.deletes), read_back=True)


def _operation_names(plan: Plan) -> list[str]:
    """Creates first, in order: they have no id yet."""
    return [
        *(f"create {index + 1}" for index in range(len(plan.creates))),
        *(f"update of widget {number}" for number in plan.updates),
        *(f"delete of widget {number}" for number in plan.deletes),
    ]


def _outcome(before: Widget, fields: JsonObject, found: Widget | None) -> str:
    if found is None:
        return "unknown"
    if _holds(found, fields):
        return "applied"
    return "not applied" if all(same(getattr(found, name), getattr(before, name)) for name in fields) else "unknown"


def _holds(widget: Widget, fields: JsonObject) -> bool:
    return all(same(getattr(widget, name), value) for name, value in fields.items())


def differences(asked: JsonObject, stored: Widget, before: Widget | None, name: str) -> list[str]:
    """What is stored otherwise than asked, and what changed unasked."""
    told = list[str]()
    for field in WRITABLE:
        value: Any = getattr(stored, field)
        if field in asked and not same(value, asked[field]):
            told.append(f"{name} {field}: asked {_json(asked[field])}, stored {_json(value)}")
        elif field not in asked and before is not None and not same(value, getattr(before, field)):
            told.append(f"{name} {field}: changed unasked from {_json(getattr(before, field))} to {_json(value)}")
    return told


def _json(value: Any) -> str:
    return quoted(json.dumps(value, ensure_ascii=False), limit=120)
