"""Edits of whole dashboards: planning and sending them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from msgspec import Struct

from cekura_dashboards.api.client import CekuraClient
from cekura_dashboards.api.errors import DashboardsError, Fault, InvalidArguments, NotFound
from cekura_dashboards.api.filters import (
    AGENT_IDS,
    Filter,
    and_parts,
    both,
    filter_warnings,
    in_words,
    replace_fields,
    time_bounds,
    without_time,
)
from cekura_dashboards.api.models import Dashboard, JsonObject, Widget, as_list, same
from cekura_dashboards.context import ToolContext, gather, gather_tried
from cekura_dashboards.edits.changes import EditOperation, before_after, both_as_json
from cekura_dashboards.edits.plan import Plan, checked, receipt_of
from cekura_dashboards.edits.plan_id import Covered, covered_fields, covered_setup, signer
from cekura_dashboards.edits.receipt import Receipt, refuse_too_large, undo_of
from cekura_dashboards.edits.request import UPDATE, UpdateDashboardRequest
from cekura_dashboards.edits.rules import (
    ADD_ONE,
    CLEARED,
    TOO_OLD_REFUSED,
    date_range_loss,
    goes_too_far_back,
    is_lost,
    saved_range,
)
from cekura_dashboards.edits.send import ReadBack, WriteResult, write_or_read_back
from cekura_dashboards.text import counted, join_names, named, untrusted

MAX_LISTED = 1000
MAX_CHARTS_NAMED = 6
"""Charts named in a fault."""
FIELDS = ("name", "project", "filters")
SETTABLE = ("name", "filters")


def fields_of(dashboard: Dashboard) -> JsonObject:
    return {name: dashboard.stored(name) for name in FIELDS}


class DashboardIds(NamedTuple):
    """``all_ids``: those of a project, to recognise a new one; ``namesakes``: those with one name."""

    all_ids: tuple[int, ...]
    namesakes: list[int]


async def dashboards_of_project(context: ToolContext, project: int | None, name: str | None) -> DashboardIds:
    """The ids of a project's dashboards, and of those with this name."""
    ids, namesakes = list[int](), list[int]()
    async for rows in context.api.list_dashboards(project):
        ids += [row.id for row in rows]
        namesakes += [row.id for row in rows if same(row.name, name)]
        if len(ids) >= MAX_LISTED:
            break
    return DashboardIds(tuple(ids), namesakes)


def dashboard_change(
    op: Any, number: int | None, name: str | None, before: JsonObject, after: JsonObject
) -> EditOperation:
    return EditOperation(
        op=op, kind="dashboard", id=number, name=untrusted(name), fields=before_after(before, after, FIELDS)
    )


def dashboard_differences(requested: JsonObject, stored: Dashboard) -> list[str]:
    """Where the stored state differs from the request."""
    differing = {name: value for name, value in requested.items() if not same(value, stored.stored(name))}
    pairs = {name: both_as_json(value, stored.stored(name)) for name, value in differing.items()}
    return [
        f"dashboard {stored.id} {name}: sent {requested_value}, stored {stored_value}"
        for name, (requested_value, stored_value) in pairs.items()
    ]


class RangeFaults(NamedTuple):
    """``lost``: charts lose their date range; ``early``: charts, or the dashboard, start too early."""

    lost: Fault | None
    early: Fault | None


def range_faults(before: Dashboard, filters: JsonObject | None, now: datetime) -> RangeFaults:
    """The faults of these filters in place of the dashboard's own."""
    bare, early = list[Widget](), list[Widget]()
    for widget in before.widgets:
        was, will = (time_bounds(both(filters_of, widget.filters), now) for filters_of in (before.filters, filters))
        bare += [widget] if is_lost(was, will) else []
        early += [widget] if goes_too_far_back(was, will, now) else []
    charts_text = join_names([f"{widget.id} {named(widget.name)}" for widget in bare], limit=MAX_CHARTS_NAMED)
    charts_text = f"{counted(len(bare), 'chart')} ({charts_text})"
    lost = Fault("filters", date_range_loss(charts_text, before.filters, now)) if bare else None
    alone = goes_too_far_back(time_bounds(before.filters, now), time_bounds(filters, now), now)
    return RangeFaults(lost, Fault("filters", TOO_OLD_REFUSED) if early or alone else None)


async def send_create(
    context: ToolContext, fields: JsonObject, copy_of: int | None, existing_ids: Sequence[int]
) -> WriteResult[Dashboard]:
    """Create a dashboard or duplicate one. ``existing_ids``: the ids before that.

    Raises:
        EditFailed: when the response was lost and not exactly one new dashboard exists.
    """
    name, what = fields.get("name") or "", "create of the dashboard"

    async def look(api: CekuraClient) -> ReadBack[Dashboard]:
        fresh = list[int]()
        async for rows in api.list_dashboards(fields.get("project")):
            fresh += [row.id for row in rows if row.id not in existing_ids and same(row.name, name)]
        if len(fresh) == 1:
            return ReadBack({what: "applied"}, await api.get_dashboard(fresh[0]))
        return ReadBack({what: "unknown" if fresh else "not applied"}, Dashboard(id=0))

    api = context.api
    write = api.create_dashboard(fields) if copy_of is None else api.duplicate_dashboard(copy_of, name)
    return await write_or_read_back(context, write, [what], look)


async def send_update(context: ToolContext, before: Dashboard, fields: JsonObject) -> WriteResult[Dashboard]:
    """Change a dashboard's own fields.

    Raises:
        EditFailed: when the response was lost and the change was not applied, or that is unknown.
    """
    what = f"update of dashboard {before.id}"

    async def look(api: CekuraClient) -> ReadBack[Dashboard]:
        stored = await api.get_dashboard(before.id)
        applied = not dashboard_differences(fields, stored)
        untouched = all(same(stored.stored(name), before.stored(name)) for name in fields)
        return ReadBack({what: "applied" if applied else "not applied" if untouched else "unknown"}, stored)

    return await write_or_read_back(context, context.api.update_dashboard(before.id, fields), [what], look)


async def send_delete(context: ToolContext, number: int) -> bool:
    """Delete a dashboard; whether the outcome was read back.

    Raises:
        EditFailed: when the response was lost and the dashboard still exists.
    """
    what = f"delete of dashboard {number}"

    async def look(api: CekuraClient) -> ReadBack[None]:
        try:
            await api.get_dashboard(number)
        except NotFound:
            return ReadBack({what: "applied"}, None)
        return ReadBack({what: "not applied"}, None)

    return (await write_or_read_back(context, context.api.delete_dashboard(number), [what], look)).read_back


class DashboardUpdate(Struct, frozen=True):
    """The fields to send, and the dashboard before."""

    before: Dashboard
    fields: JsonObject


async def plan_update(context: ToolContext, request: UpdateDashboardRequest) -> Plan[DashboardUpdate]:
    ids = request.ids(signer(context))
    ahead = [context.lookups.projects()] if request.date_range and context.settings.zone_set is None else []
    before, _ = await gather(context.lookups.dashboard(ids.now("dashboard", request.dashboard_id)), gather_tried(ahead))
    context = await context.in_zone_of([before.project]) if ahead else context
    requested, range_notes, notes = _requested(context, request, before)
    fields = {name: value for name, value in requested.items() if not same(value, before.stored(name))}
    way = undo_of(UpdateDashboardRequest, undo_arguments(before, fields))
    refuse_too_large(way.arguments)
    nulls = [name for name in SETTABLE if name in request.model_fields_set and name not in request.values()]
    warnings, drops = _range_warnings(context, request, before, fields)
    warnings += await _foreign_agent_warnings(context, request.only, before)
    after = {**fields_of(before), **fields}
    change = dashboard_change("update", before.id, before.name, fields_of(before), after)
    plan = Plan(
        work=DashboardUpdate(before, fields),
        about=f"dashboard {before.id} {named(before.name)}",
        operations=request.operations(UPDATE),
        covered=covered_setup(before),
        covered_by_undo=covered_fields(before),
        changes=[change] if fields else [],
        dashboard_id=before.id,
        warnings=[
            *range_notes,
            *filter_warnings(fields.get("filters"), "filters"),
            *warnings,
            *(way.warnings if fields else []),
        ],
        drops_range=drops,
        stamps=[before.updated_at],
        notes=[
            *notes,
            *([f"empty values were ignored for {', '.join(nulls)}; use clear to empty a field"] if nulls else []),
        ],
    )
    return checked(context, plan, request)


def _requested(
    context: ToolContext, request: UpdateDashboardRequest, before: Dashboard
) -> tuple[JsonObject, list[str], list[str]]:
    """The requested fields, warnings and notes."""
    filters, warnings, notes = before.filters or {}, list[str](), list[str]()
    if (request.date_range or request.only) and (odd := before.unreadable("filters")) is not None:
        raise InvalidArguments.at("", f"{odd}; give complete filters instead.", lead="Nothing was changed.")
    if request.date_range:
        own, warnings = saved_range(request.date_range, context.now(), context.settings.zone)
        filters = both(without_time(filters), own)
    if request.only:
        filters, out = replace_fields(filters, request.only.to_json())
        notes += [f"replaced: {in_words(part)}" for part in out if part not in and_parts(filters)]
    if (request.date_range or request.only) and _same_conditions(filters, before.filters):
        return request.values(), [], []
    if request.date_range or request.only:
        return {"filters": filters} | request.values(), warnings, notes
    cleared: JsonObject = {name: None for name in request.clear or [] if name != CLEARED}
    if CLEARED in (request.clear or []):
        cleared = {"filters": without_time(before.filters) or None} | cleared
    return cleared | request.values(), [], []


async def _foreign_agent_warnings(context: ToolContext, only: Filter | None, before: Dashboard) -> list[str]:
    """Warnings for agents of other projects, whose calls no chart of this dashboard counts."""
    ids = {
        int(value)
        for part in and_parts(only.to_json() if only else None)
        if part.get("field") in AGENT_IDS and part.get("op") in {"eq", "in"}
        for value in as_list(part.get("value")) or [part.get("value")]
        if str(value).isdecimal()
    }
    if not ids or before.project is None:
        return []
    try:
        agents = [agent for agent in await context.lookups.agents() if agent.id in ids]
    except DashboardsError:
        return []  # needed only for the warning
    return [
        f"agent {agent.id} {named(agent.name)} is in project {agent.project}: this dashboard has only calls "
        f"of project {before.project}"
        for agent in agents
        if agent.project not in {None, before.project}
    ]


def _same_conditions(filters: JsonObject, others: JsonObject | None) -> bool:
    """Whether both have the same conditions, in any order."""
    conditions, other_conditions = [*and_parts(filters)], [*and_parts(others)]
    return len(conditions) == len(other_conditions) and all(part in other_conditions for part in conditions)


def _range_warnings(
    context: ToolContext, request: UpdateDashboardRequest, before: Dashboard, fields: JsonObject
) -> tuple[list[str], bool]:
    """Warnings for charts whose date range the API would refuse; and whether any loses its range on request.

    Raises:
        InvalidArguments: for faults in date ranges, unless the call has a plan.
    """
    if "filters" not in fields:
        return [], False
    filters, now = fields["filters"], context.now()
    lost, early = range_faults(before, filters, now)
    refused = [fault for fault in (None if CLEARED in (request.clear or []) else lost, early) if fault is not None]
    if refused and request.plan_id is None:
        raise InvalidArguments(refused, lead="Nothing was changed.")
    bare = [widget for widget in before.widgets if time_bounds(both(filters, widget.filters), now).start is None]
    charts_text = join_names(f"{widget.id} {named(widget.name)}" for widget in bare)
    warnings = [f"without a date range the API refuses these charts (400): {charts_text}. {ADD_ONE}"] if bare else []
    return [*warnings, *([TOO_OLD_REFUSED] if early is not None else [])], lost is not None


def undo_arguments(before: Dashboard, fields: JsonObject) -> JsonObject:
    back = {name: before.stored(name) for name in fields if not same(before.stored(name), None)}
    clear = [name for name in fields if name not in back]
    return {"dashboard_id": before.id, **back, **({"clear": clear} if clear else {})}


DAILY_REPORT = "daily_report_dashboard_ids"


class ReportEdit(Struct, frozen=True):
    """The dashboards in the report of a project, before and after."""

    dashboard: int
    project: int
    name: str | None
    before: list[int]
    after: list[int]

    @property
    def adds(self) -> bool:
        return self.dashboard in self.after

    def operation(self) -> EditOperation:
        fields = {DAILY_REPORT: [self.before, self.after]}
        return EditOperation(op="update", kind="project", id=self.project, name=untrusted(self.name), fields=fields)


async def plan_report(context: ToolContext, request: UpdateDashboardRequest) -> Plan[ReportEdit]:
    """The plan; of the project only this field is read and sent."""
    dashboard = await context.lookups.dashboard(request.ids(signer(context)).now("dashboard", request.dashboard_id))
    report = (await context.api.daily_reports()).get(dashboard.project or 0)
    if report is None:
        raise InvalidArguments.at("daily_report", f"has no project: dashboard {dashboard.id} is in none of this key's.")
    before = report.dashboards
    after = [number for number in before if number != dashboard.id]
    if request.daily_report == "add":
        after = before if dashboard.id in before else [*before, dashboard.id]
    shown = f"dashboard {dashboard.id} {named(dashboard.name)}"
    edit = ReportEdit(dashboard.id, report.id, report.name, before, after)
    plan = Plan(
        work=edit,
        verb="Add to" if request.daily_report == "add" else "Take out of",
        about=f"the daily report of project {report.id} {named(report.name)}: {shown}",
        operations=request.operations(UPDATE),
        covered=_report_covered(edit.project, dashboards=before),
        covered_by_undo=_report_covered(edit.project, shown=dashboard.id in before),
        changes=[edit.operation()] if after != before else [],
        dashboard_id=dashboard.id,
    )
    return checked(context, plan, request)


def _report_covered(project: int, **fields: object) -> Covered:
    return {f"daily report of project {project}": fields}


async def commit_report(context: ToolContext, plan: Plan[ReportEdit]) -> Receipt:
    edit, what = plan.work, f"update of the daily report of project {plan.work.project}"

    async def look(api: CekuraClient) -> ReadBack[list[int]]:
        report = (await api.daily_reports()).get(edit.project)
        stored = report.dashboards if report else []
        outcome = "applied" if stored == edit.after else "not applied" if stored == edit.before else "unknown"
        return ReadBack({what: outcome}, stored)

    write = context.api.set_daily_report(edit.project, edit.after)
    stored, read_back = await write_or_read_back(context, write, [what], look)
    sent, kept = both_as_json(edit.after, stored)
    back = {"dashboard_id": edit.dashboard, "daily_report": "remove" if edit.adds else "add"}
    undo = undo_of(UpdateDashboardRequest, back).call(
        context, UPDATE, _report_covered(edit.project, shown=edit.dashboard in stored)
    )
    return receipt_of(
        plan,
        [edit.operation()],
        dashboard_id=edit.dashboard,
        differences=[] if same(stored, edit.after) else [f"{what}: sent {sent}, stored {kept}"],
        undo=undo,
        read_back=read_back,
    )
