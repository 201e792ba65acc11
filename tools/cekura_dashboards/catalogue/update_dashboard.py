"""Change a dashboard's name and filters."""

from typing import Literal

from msgspec import Struct
from pydantic import Field, model_validator

from cekura_dashboards.api.errors import DashboardsError, InvalidArguments
from cekura_dashboards.api.filter_words import in_words
from cekura_dashboards.api.filters import (
    AGENT_IDS,
    Filter,
    and_parts,
    both,
    fault,
    filter_warnings,
    replace_fields,
    time_bounds,
    without_time,
)
from cekura_dashboards.api.models import Dashboard, JsonObject, as_list, same
from cekura_dashboards.arguments.references import DashboardId
from cekura_dashboards.arguments.widget import MAX_NAME, NewName
from cekura_dashboards.context import ToolContext
from cekura_dashboards.edits.dashboards import (
    dashboard_change,
    dashboard_differences,
    fields_of,
    range_faults,
    send_update,
)
from cekura_dashboards.edits.plan import Plan, checked, receipt_of, writing_tool
from cekura_dashboards.edits.plan_id import covered_fields, covered_setup, signer
from cekura_dashboards.edits.receipt import Receipt
from cekura_dashboards.edits.request import PlannedRequest, check_clear
from cekura_dashboards.edits.rules import ADD_ONE, CLEARED, TOO_OLD_REFUSED, saved_range
from cekura_dashboards.edits.undo import refuse_too_large, undo_of
from cekura_dashboards.text import join_names, named

NAME = "update_dashboard"
SETTABLE = ("name", "filters")


class UpdateDashboardRequest(PlannedRequest):
    dashboard_id: DashboardId
    name: NewName | None = Field(default=None, max_length=MAX_NAME)
    date_range: str | None = Field(
        default=None, description="e.g. 7d, 30d, today, 2026-11-01/2026-11-08; all other filters stay"
    )
    only: Filter | None = Field(
        default=None, description='e.g. {"agent.id": 33}; replaces conditions on the same field, all other filters stay'
    )
    filters: Filter | None = Field(default=None, description="replace the whole, the date range included")
    clear: list[Literal["name", "filters", "date_range"]] | None = Field(
        None, description="fields to empty; date_range drops that of the filters, which needs a plan_id"
    )

    @model_validator(mode="after")
    def _something(self) -> "UpdateDashboardRequest":
        if not self.values() and not self.clear and not self._narrows():
            raise fault("", "give name, date_range, only or filters, or clear one of them.")
        if self._narrows() and (self.filters or self.clear):
            raise fault(self._narrows(), "changes a part of the filters; leave out filters and clear, or it.")
        if self.name is not None and not self.name.strip():
            raise fault("name", "is empty; give a name, or put name into clear.")
        check_clear(self.values(), self.clear)
        return self

    def _narrows(self) -> str:
        """The argument that changes a part of the filters; none: an empty text."""
        return "date_range" if self.date_range else "only" if self.only else ""

    def values(self) -> JsonObject:
        values = {"name": self.name, "filters": self.filters.to_json() if self.filters else None}
        return {name: value for name, value in values.items() if value is not None}


class DashboardUpdate(Struct, frozen=True):
    """The fields to send, and the dashboard as it was."""

    before: Dashboard
    fields: JsonObject


async def plan(context: ToolContext, request: UpdateDashboardRequest) -> Plan[DashboardUpdate]:
    ids = request.ids(signer(context))
    before = await context.lookups.dashboard(ids.now("dashboard", request.dashboard_id))
    requested, range_notes, notes = _requested(context, request, before)
    fields = {name: value for name, value in requested.items() if not same(value, before.stored(name))}
    way = undo_of(UpdateDashboardRequest, _undo_arguments(before, fields))
    refuse_too_large(way.arguments)
    nulls = [name for name in SETTABLE if name in request.model_fields_set and name not in request.values()]
    warnings, drops = _range_warnings(context, request, before, fields)
    warnings += await _foreign_agent_warnings(context, request.only, before)
    after = {**fields_of(before), **fields}
    change = dashboard_change("update", before.id, before.name, fields_of(before), after)
    plan = Plan(
        work=DashboardUpdate(before, fields),
        about=f"dashboard {before.id} {named(before.name)}",
        operations=request.operations(NAME),
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
            *([f"empty values were ignored for {', '.join(nulls)}; clear empties a field"] if nulls else []),
        ],
    )
    return checked(context, plan, request)


def _requested(
    context: ToolContext, request: UpdateDashboardRequest, before: Dashboard
) -> tuple[JsonObject, list[str], list[str]]:
    """What the fields are to be, what is to be warned of, and notes."""
    filters, warnings, notes = before.filters or {}, list[str](), list[str]()
    if (request.date_range or request.only) and (odd := before.unreadable("filters")) is not None:
        raise InvalidArguments.at("", f"{odd}; give the whole filters instead.", lead="Nothing was changed.")
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
    """Warnings of agents of other projects, whose calls no chart of this dashboard counts."""
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
        return []  # who they are only decides whether to warn
    return [
        f"agent {agent.id} {named(agent.name)} is in project {agent.project}: its calls are not on this dashboard, "
        f"which is of project {before.project}"
        for agent in agents
        if agent.project not in {None, before.project}
    ]


def _same_conditions(filters: JsonObject, others: JsonObject | None) -> bool:
    """Whether both hold the same conditions, in whatever order."""
    conditions, other_conditions = [*and_parts(filters)], [*and_parts(others)]
    return len(conditions) == len(other_conditions) and all(part in other_conditions for part in conditions)


def _range_warnings(
    context: ToolContext, request: UpdateDashboardRequest, before: Dashboard, fields: JsonObject
) -> tuple[list[str], bool]:
    """Of charts that would be refused for their date range; and whether any would lose it, as was asked.

    Raises:
        InvalidArguments: where that was not asked, and no plan stands behind it.
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


async def commit(context: ToolContext, plan: Plan[DashboardUpdate]) -> Receipt:
    before, fields = plan.work.before, plan.work.fields
    stored, read_back = await send_update(context, before, fields)
    stored = stored.model_copy(update={"widgets": stored.widgets or before.widgets})
    undo = undo_of(UpdateDashboardRequest, _undo_arguments(before, fields)).call(context, NAME, covered_fields(stored))
    return receipt_of(
        plan,
        [dashboard_change("update", before.id, stored.name, fields_of(before), fields_of(stored))],
        dashboard_id=before.id,
        differences=dashboard_differences({**fields_of(before), **fields}, stored),
        undo=undo,
        read_back=read_back,
    )


def _undo_arguments(before: Dashboard, fields: JsonObject) -> JsonObject:
    back = {name: before.stored(name) for name in fields if not same(before.stored(name), None)}
    clear = [name for name in fields if name not in back]
    return {"dashboard_id": before.id, **back, **({"clear": clear} if clear else {})}


TOOL = writing_tool(
    name=NAME,
    title="Change a dashboard",
    description=(
        "Change a dashboard's name, its `date_range`, or which calls all its widgets count (`only`, `filters`). "
        "Answers with before and after, and an `undo` call. Its widgets are changed with bulk_edit_dashboard."
    ),
    request=UpdateDashboardRequest,
    plan=plan,
    commit=commit,
)
