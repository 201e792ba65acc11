"""Delete a dashboard and all its widgets."""

from pydantic import ValidationError

from cekura_dashboards.api.models import Dashboard, JsonObject
from cekura_dashboards.context import ToolContext
from cekura_dashboards.edit.commit import LOST_ANSWER
from cekura_dashboards.edit.dashboard_requests import CREATE, DELETE, CreateDashboardRequest, DeleteDashboardRequest
from cekura_dashboards.edit.dashboards import covered_whole, dashboard_change, fields_of, send_delete
from cekura_dashboards.edit.plan import (
    NO_UNDO,
    Plan,
    can_be_recreated,
    cannot_be_undone,
    checked,
    refuse_too_large,
    signer,
)
from cekura_dashboards.edit.receipt import Call, Change, Receipt, before_after, fitted
from cekura_dashboards.edit.writing import writing_tool
from cekura_dashboards.text import named

NAME = DELETE


async def plan(context: ToolContext, request: DeleteDashboardRequest) -> Plan[Dashboard]:
    ids = request.ids()
    dashboard = await context.api.get_dashboard(ids.now("dashboard", request.dashboard_id))
    refuse_too_large(_undo_arguments(dashboard), instead="delete some of its widgets with bulk_edit_dashboard first")
    widgets = [
        Change(op="delete", id=w.id, name=w.name, fields=before_after(w.writable(), {})) for w in dashboard.widgets
    ]  # fmt: skip
    made = Plan(
        work=dashboard,
        about=f"dashboard {dashboard.id} {named(dashboard.name)}",
        operations=request.operations(NAME),
        covered=covered_whole(dashboard, ids),
        changes=[dashboard_change("delete", dashboard.id, dashboard.name, fields_of(dashboard), {}), *widgets],
        dashboard_id=dashboard.id,
        warnings=cannot_be_undone(dashboard.widgets),
    )
    return checked(context, made, request)


async def commit(context: ToolContext, made: Plan[Dashboard]) -> Receipt:
    dashboard = made.work
    read_back = await send_delete(context, dashboard.id)
    undo = _undo(context, dashboard)
    warnings = [*made.warnings, *([LOST_ANSWER] if read_back else []), *([] if undo else [NO_UNDO])]
    short = [change.model_copy(update={"fields": None}) for change in made.changes]
    receipt = Receipt(
        outcome="applied",
        dashboard_id=dashboard.id,
        changes=short,
        warnings=warnings or None,
        undo=undo,
        notes=made.notes or None,
    )
    return fitted(receipt)


def _undo_arguments(dashboard: Dashboard) -> JsonObject:
    """The arguments of create_dashboard that bring it back, under new ids."""
    widgets = [{**w.definition(), "was": w.id} for w in dashboard.widgets if can_be_recreated(w)]
    arguments: JsonObject = {"name": dashboard.name or "", "was": dashboard.id}
    optional = (("project_id", dashboard.project), ("filters", dashboard.filters), ("widgets", widgets))
    return arguments | {name: value for name, value in optional if value}


def _undo(context: ToolContext, dashboard: Dashboard) -> Call | None:
    arguments = _undo_arguments(dashboard)
    try:
        request = CreateDashboardRequest.model_validate(arguments)
    except ValidationError:
        return None
    plan_id = signer(context).issue(request.operations(CREATE), {})
    return Call(tool=CREATE, arguments={**arguments, "plan_id": plan_id})


TOOL = writing_tool(
    name=NAME,
    title="Delete a dashboard",
    description=(
        "Delete a dashboard with all its widgets. The first call changes nothing: it tells what would be lost and "
        "gives a plan_id; repeat the call with it once the user agrees. The `undo` call brings the dashboard back "
        "under new ids."
    ),
    request=DeleteDashboardRequest,
    plan=plan,
    commit=commit,
    destructive=True,
)
