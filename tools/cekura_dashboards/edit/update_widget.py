"""Change one widget."""

from pydantic import Field, ValidationError, model_validator

from cekura_dashboards.api.filters import fault
from cekura_dashboards.api.models import Dashboard, JsonObject, Widget
from cekura_dashboards.context import ToolContext
from cekura_dashboards.edit.commit import LOST_ANSWER, commit_update, differences
from cekura_dashboards.edit.plan import (
    NO_UNDO,
    Checker,
    Plan,
    changed_only,
    covered_widgets,
    refuse_too_large,
    signer,
    stored_fields,
    undo_update,
)
from cekura_dashboards.edit.receipt import Change, Receipt, Undo, before_after, fitted, render
from cekura_dashboards.edit.request import (
    CLEAR,
    PLAN_ID,
    Clearable,
    WidgetChanges,
    check_clear,
    ignored_nulls,
    sent_fields,
)
from cekura_dashboards.tool import Request, Tool

NAME = "update_widget"


class UpdateRequest(Request):
    widget_id: int
    changes: WidgetChanges | None = Field(
        None, description="new values; filters and group_by replace the whole, metadata merges"
    )
    clear: list[Clearable] | None = CLEAR
    plan_id: str | None = PLAN_ID

    @model_validator(mode="after")
    def _something(self) -> "UpdateRequest":
        if self.changes is None and not self.clear:
            raise fault("changes", "is missing; give the new values, or clear.")
        if self.changes is not None:
            check_clear(self.changes, self.clear)
        return self


async def plan(context: ToolContext, request: UpdateRequest) -> Plan:
    stored = await context.api.get_widget(request.widget_id)
    sent = changed_only(sent_fields(request.changes, request.clear, stored.writable()), stored)
    dashboard = await _dashboard(context, stored, sent)
    checker = Checker(context, dashboard.project if dashboard else None, dashboard.filters if dashboard else None)
    if sent:
        await checker.updated(stored, sent, "changes.")
    made = Plan(
        dashboard_id=stored.dashboard,
        updates={stored.id: sent} if sent else {},
        before={stored.id: stored},
        covered=covered_widgets([stored]),
        warnings=checker.done(),
        notes=ignored_nulls(request.changes, "changes"),
        approved=request.plan_id is not None,
    )
    if request.plan_id is not None:
        signer(context).check(request.plan_id, made.operations, made.covered)
    refuse_too_large(undo_update(stored.writable(), sent))
    return made


async def _dashboard(context: ToolContext, stored: Widget, sent: JsonObject) -> Dashboard | None:
    """The widget's dashboard, read only where its project or filters decide what is right."""
    if stored.dashboard is None or not {"filters", "field", "metric", "chart_type", "aggregation_function"} & {*sent}:
        return None
    return await context.api.get_dashboard(stored.dashboard)


async def commit(context: ToolContext, made: Plan) -> Receipt:
    [before] = made.before.values()
    notes = made.notes or None
    if made.is_empty:
        return Receipt(outcome="nothing_to_do", dashboard_id=made.dashboard_id, changes=[], notes=notes)
    sent = made.updates[before.id]
    done = await commit_update(context, made)
    stored = done.updated[before.id]
    change = Change(
        op="update", id=stored.id, name=stored.name, fields=before_after(before.writable(), stored.writable())
    )
    undo = _undo(context, made, before, stored)
    warnings = [*made.warnings, *([LOST_ANSWER] if done.read_back else []), *([] if undo else [NO_UNDO])]
    receipt = Receipt(
        outcome="applied",
        dashboard_id=made.dashboard_id,
        changes=[change],
        differences=differences(sent, stored, before, f"widget {stored.id}") or None,
        warnings=warnings or None,
        undo=undo,
        notes=notes,
    )
    return fitted(receipt)


def _undo(context: ToolContext, made: Plan, before: Widget, stored: Widget) -> Undo | None:
    """The reverse edit, with a plan_id over what is stored now; None if this server could not write it."""
    back = undo_update(before.writable(), made.updates[before.id])
    clear: list[Clearable] | None = back.pop("clear", None)
    arguments: JsonObject = {"widget_id": before.id}
    if back:
        arguments["changes"] = back
    if clear:
        arguments["clear"] = clear
    try:
        changes = WidgetChanges.model_validate(back) if back else None
    except ValidationError:
        return None
    sent = changed_only(sent_fields(changes, clear, stored.writable()), stored)
    reverse = Plan(dashboard_id=stored.dashboard, updates={stored.id: sent} if sent else {})
    covered = {f"widget {stored.id}": stored_fields(stored.writable())}
    plan_id = signer(context).issue(reverse.operations, covered)
    return Undo(tool=NAME, arguments={**arguments, "plan_id": plan_id})


async def run(context: ToolContext, request: UpdateRequest) -> Receipt:
    return await commit(context, await plan(context, request))


TOOL = Tool(
    name=NAME,
    title="Change a widget",
    description=(
        "Change one saved widget: its name, chart, field, aggregation, filters, grouping or layout. Answers with "
        "before and after, and an `undo` call. To add or delete widgets, or change several at once, use "
        "bulk_edit_dashboard; to see the numbers first, preview_widget."
    ),
    request=UpdateRequest,
    result=Receipt,
    run=run,
    render=render,
    writes=True,
)
