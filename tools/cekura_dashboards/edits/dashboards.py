"""Whole dashboards: what a plan covers of them, and sending their edits."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from cekura_dashboards.api.client import CekuraClient
from cekura_dashboards.api.errors import Fault, NotFound
from cekura_dashboards.api.filters import both, time_bounds
from cekura_dashboards.api.models import Dashboard, JsonObject, Widget, same
from cekura_dashboards.context import ToolContext
from cekura_dashboards.edits.changes import EditOperation, before_after, both_as_json
from cekura_dashboards.edits.rules import TOO_OLD_REFUSED, date_range_loss, goes_too_far_back, is_lost
from cekura_dashboards.edits.send import write_or_read_back
from cekura_dashboards.text import join_names, named, untrusted

MAX_LISTED = 1000
MAX_CHARTS_NAMED = 6
"""Charts that a fault names."""
FIELDS = ("name", "project", "filters")


def fields_of(dashboard: Dashboard) -> JsonObject:
    return {name: dashboard.stored(name) for name in FIELDS}


async def dashboards_of_project(
    context: ToolContext, project: int | None, name: str | None
) -> tuple[tuple[int, ...], list[int]]:
    """The ids of the dashboards there, by which a new one is known; and of those of this name."""
    ids, namesakes = list[int](), list[int]()
    async for rows in context.api.list_dashboards(project):
        ids += [row.id for row in rows]
        namesakes += [row.id for row in rows if same(row.name, name)]
        if len(ids) >= MAX_LISTED:
            break
    return tuple(ids), namesakes


def dashboard_change(
    op: Any, number: int | None, name: str | None, before: JsonObject, after: JsonObject
) -> EditOperation:
    return EditOperation(
        op=op, of="dashboard", id=number, name=untrusted(name), fields=before_after(before, after, FIELDS)
    )


def dashboard_differences(requested: JsonObject, stored: Dashboard) -> list[str]:
    """What is stored otherwise than asked."""
    differing = {name: value for name, value in requested.items() if not same(value, stored.stored(name))}
    pairs = {name: both_as_json(value, stored.stored(name)) for name, value in differing.items()}
    return [
        f"dashboard {stored.id} {name}: asked {wanted}, stored {stored_value}"
        for name, (wanted, stored_value) in pairs.items()
    ]


def range_faults(before: Dashboard, filters: JsonObject | None, now: datetime) -> tuple[Fault | None, Fault | None]:
    """What is wrong with these filters in place of its own: charts lose their date range, or begin too early."""
    bare, early = list[Widget](), list[Widget]()
    for widget in before.widgets:
        was, will = (time_bounds(both(filters_of, widget.filters), now) for filters_of in (before.filters, filters))
        bare += [widget] if is_lost(was, will) else []
        early += [widget] if goes_too_far_back(was, will, now) else []
    charts_text = join_names([f"{widget.id} {named(widget.name)}" for widget in bare], limit=MAX_CHARTS_NAMED)
    lost = (
        Fault("filters", date_range_loss(f"{len(bare)} charts ({charts_text})", before.filters, now)) if bare else None
    )
    alone = goes_too_far_back(time_bounds(before.filters, now), time_bounds(filters, now), now)
    return lost, Fault("filters", TOO_OLD_REFUSED) if early or alone else None


async def send_create(
    context: ToolContext, fields: JsonObject, copy_of: int | None, existing_ids: Sequence[int]
) -> tuple[Dashboard, bool]:
    """Create a dashboard, or have one duplicated; and whether that was read back. ``ids``: the ids there before.

    Raises:
        EditFailed: when the answer was lost and no such dashboard is there, or more than one.
    """
    name, what = fields.get("name") or "", "create of the dashboard"

    async def look(api: CekuraClient) -> tuple[dict[str, str], Dashboard]:
        fresh = list[int]()
        async for rows in api.list_dashboards(fields.get("project")):
            fresh += [row.id for row in rows if row.id not in existing_ids and same(row.name, name)]
        if len(fresh) == 1:
            return {what: "applied"}, await api.get_dashboard(fresh[0])
        return {what: "unknown" if fresh else "not applied"}, Dashboard(id=0)

    api = context.api
    write = api.create_dashboard(fields) if copy_of is None else api.duplicate_dashboard(copy_of, name)
    return await write_or_read_back(context, write, [what], look)


async def send_update(context: ToolContext, before: Dashboard, fields: JsonObject) -> tuple[Dashboard, bool]:
    """Change a dashboard's own fields; and whether that was read back.

    Raises:
        EditFailed: when the answer was lost and the change is not there, or cannot be told.
    """
    what = f"update of dashboard {before.id}"

    async def look(api: CekuraClient) -> tuple[dict[str, str], Dashboard]:
        stored = await api.get_dashboard(before.id)
        applied = not dashboard_differences(fields, stored)
        untouched = all(same(stored.stored(name), before.stored(name)) for name in fields)
        return {what: "applied" if applied else "not applied" if untouched else "unknown"}, stored

    return await write_or_read_back(context, context.api.update_dashboard(before.id, fields), [what], look)


async def send_delete(context: ToolContext, number: int) -> bool:
    """Delete a dashboard; whether that was read back.

    Raises:
        EditFailed: when the answer was lost and the dashboard is still there.
    """
    what = f"delete of dashboard {number}"

    async def look(api: CekuraClient) -> tuple[dict[str, str], None]:
        try:
            await api.get_dashboard(number)
        except NotFound:
            return {what: "applied"}, None
        return {what: "not applied"}, None

    _, read_back = await write_or_read_back(context, context.api.delete_dashboard(number), [what], look)
    return read_back
