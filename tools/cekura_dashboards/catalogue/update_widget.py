"""Change one widget."""

from pydantic import Field, model_validator

from cekura_dashboards.api.errors import InvalidArguments
from cekura_dashboards.api.filters import fault
from cekura_dashboards.api.models import Dashboard, JsonObject, Widget
from cekura_dashboards.arguments.references import WidgetId
from cekura_dashboards.context import ToolContext
from cekura_dashboards.edits.changes import WidgetEdits, all_differences, done_changes, planned_changes
from cekura_dashboards.edits.layout import overlapped, relaid
from cekura_dashboards.edits.plan import Plan, changed_only, checked, receipt_of, writing_tool
from cekura_dashboards.edits.plan_id import covered_widgets, signer
from cekura_dashboards.edits.receipt import Receipt, refuse_too_large, undo_of, undo_update
from cekura_dashboards.edits.request import (
    CLEAR,
    Clearable,
    PlannedRequest,
    WidgetChanges,
    check_clear,
    ignored_nulls,
    sent_fields,
    unmergeable,
)
from cekura_dashboards.edits.rules import Checker
from cekura_dashboards.edits.send import commit_update
from cekura_dashboards.text import named, noun_and_names

NAME = "update_widget"
NO_POSITION = "this widget shows no position (x, y, w, h) in its metadata; bulk_edit_dashboard gives it one."
MAKE_ROOM = "bulk_edit_dashboard with arrange, or with layout there, makes room."


class UpdateRequest(PlannedRequest):
    widget_id: WidgetId
    changes: WidgetChanges | None = Field(None, description="new values", json_schema_extra={"bare": True})
    clear: list[Clearable] | None = CLEAR

    @model_validator(mode="after")
    def _something(self) -> "UpdateRequest":
        if not (self.changes and self.changes.model_fields_set) and not self.clear:
            raise fault("changes", "is missing; give the new values, or clear.")
        if self.changes is not None:
            check_clear(self.changes.values(), self.clear)
        return self


async def plan(context: ToolContext, request: UpdateRequest) -> Plan[WidgetEdits]:
    ids = request.ids(signer(context))
    stored = await context.lookups.widget(ids.now("widget", request.widget_id))
    if request.changes and (problem := unmergeable(request.changes, request.clear, stored)) is not None:
        raise InvalidArguments.at("changes.metadata", problem, lead="Nothing was changed.")
    fields = sent_fields(request.changes, request.clear, stored.writable())
    layout = request.changes.layout if request.changes else None
    if layout is not None:
        fields["metadata"] = relaid(fields.get("metadata", stored.metadata), layout)
        if fields["metadata"] is None:
            raise InvalidArguments.at("changes.layout", NO_POSITION, lead="Nothing was changed.")
    sent = changed_only(fields, stored)
    dashboard = await _dashboard(context, stored, sent, laid_out=layout is not None)
    project, filters = (dashboard.project, dashboard.filters) if dashboard else (None, None)
    checker = Checker(context, project, filters)
    checker.lenient = request.plan_id is not None
    if sent:
        await checker.updated(stored, sent, "changes.", request.clear)
    warnings = checker.done()
    if layout is not None and dashboard is not None:
        mine = {widget.id: widget for widget in dashboard.widgets}
        if under := overlapped(stored.id, sent.get("metadata", stored.metadata), mine):
            warnings.append(f"it lies on {noun_and_names('widget', under)}; {MAKE_ROOM}")
    way = undo_of(UpdateRequest, _undo_arguments(stored, sent))
    refuse_too_large(way.arguments)
    edits = WidgetEdits(
        dashboard_id=stored.dashboard, updates={stored.id: sent} if sent else {}, before={stored.id: stored}
    )
    plan = Plan(
        work=edits,
        about=f"widget {stored.id} {named(stored.name)}",
        operations=request.operations(NAME),
        covered=covered_widgets([stored]),
        changes=planned_changes(edits),
        dashboard_id=stored.dashboard,
        warnings=[*warnings, *(way.warnings if sent else [])],
        stamps=[stored.updated_at],
        drops_range=checker.drops_range,
        notes=ignored_nulls(request.changes, "changes"),
    )
    return checked(context, plan, request)


async def _dashboard(context: ToolContext, stored: Widget, sent: JsonObject, *, laid_out: bool) -> Dashboard | None:
    """The widget's dashboard, read only if its project, filters or other widgets matter."""
    decided = {"filters", "field", "metric", "chart_type", "aggregation_function"} & {*sent}
    if stored.dashboard is None or not (decided or laid_out):
        return None
    return await context.lookups.dashboard(stored.dashboard)


async def commit(context: ToolContext, plan: Plan[WidgetEdits]) -> Receipt:
    edits = plan.work
    done = await commit_update(context, edits)
    [(number, stored)] = done.updated.items()
    way = undo_of(UpdateRequest, _undo_arguments(edits.before[number], edits.updates[number]))
    return receipt_of(
        plan,
        done_changes(done),
        dashboard_id=edits.dashboard_id,
        differences=all_differences(done),
        undo=way.call(context, NAME, covered_widgets([stored])),
        read_back=done.read_back,
    )


def _undo_arguments(before: Widget, sent: JsonObject) -> JsonObject:
    back = undo_update(before.writable(), sent)
    clear = back.pop("clear", None)
    return {"widget_id": before.id} | ({"changes": back} if back else {}) | ({"clear": clear} if clear else {})


TOOL = writing_tool(
    name=NAME,
    title="Change a widget",
    description=(
        "Change, switch, fix one chart, widget, tile: rename it, make it a bar, line, pie instead, wide, "
        "weekly, per hour, from average to p95, another metric, unit, exclude or count only some calls by"
        " its filter, split or group it by. Overwrites."
    ),
    request=UpdateRequest,
    plan=plan,
    commit=commit,
    destructive=True,
)
