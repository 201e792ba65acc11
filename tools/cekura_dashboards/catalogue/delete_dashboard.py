"""Delete a dashboard and all its widgets."""

from msgspec import Struct

from cekura_dashboards.api.errors import DashboardsError
from cekura_dashboards.api.models import Dashboard, JsonObject
from cekura_dashboards.context import ToolContext
from cekura_dashboards.edits.changes import EditOperation, before_after
from cekura_dashboards.edits.dashboards import dashboard_change, dashboards_of_project, fields_of, send_delete
from cekura_dashboards.edits.plan import Plan, checked, receipt_of, writing_tool
from cekura_dashboards.edits.plan_id import covered_namesakes, covered_whole, signer
from cekura_dashboards.edits.receipt import Receipt, refuse_too_large, undo_of
from cekura_dashboards.edits.request import CREATE, DELETE, CreateDashboardRequest, DeleteDashboardRequest
from cekura_dashboards.text import counted, named, untrusted


class Deletion(Struct, frozen=True):
    """The dashboard to delete, and the ids of others with its name."""

    dashboard: Dashboard
    namesakes: list[int]


async def plan(context: ToolContext, request: DeleteDashboardRequest) -> Plan[Deletion]:
    ids = request.ids(signer(context))
    dashboard = await context.lookups.dashboard(ids.now("dashboard", request.dashboard_id))
    way = undo_of(CreateDashboardRequest, _undo_arguments(dashboard))
    refuse_too_large(way.arguments, instead="delete some of its widgets with bulk_edit_dashboard first")
    _, namesakes = await dashboards_of_project(context, dashboard.project, dashboard.name)
    widgets = [
        EditOperation(
            op="delete", id=widget.id, name=untrusted(widget.name), fields=before_after(widget.writable(), {})
        )
        for widget in dashboard.widgets
    ]
    plan = Plan(
        work=Deletion(dashboard, [number for number in namesakes if number != dashboard.id]),
        verb="Delete",
        about=f"dashboard {dashboard.id} {named(dashboard.name)} with its {counted(len(dashboard.widgets), 'widget')}",
        operations=request.operations(DELETE),
        covered=covered_whole(dashboard),
        changes=[dashboard_change("delete", dashboard.id, dashboard.name, fields_of(dashboard), {}), *widgets],
        dashboard_id=dashboard.id,
        warnings=[*await _daily_report_warning(context, dashboard), *way.warnings],
        stamps=[dashboard.updated_at, *(widget.updated_at for widget in dashboard.widgets)],
    )
    return checked(context, plan, request)


async def _daily_report_warning(context: ToolContext, dashboard: Dashboard) -> list[str]:
    """A warning if the project's daily report shows it, as far as known: an undo does not add it there again."""
    try:
        projects = await context.lookups.projects()
    except DashboardsError:
        return []
    reporting = [
        p for p in projects if p.id == dashboard.project and dashboard.id in (p.daily_report_dashboard_ids or [])
    ]
    text = "shows it, and an undo does not put it back there"
    return [f"the daily report of project {project.id} {named(project.name)} {text}" for project in reporting]


async def commit(context: ToolContext, plan: Plan[Deletion]) -> Receipt:
    dashboard = plan.work.dashboard
    read_back = await send_delete(context, dashboard.id)
    short = [change.model_copy(update={"fields": None}) for change in plan.changes]
    way = undo_of(CreateDashboardRequest, _undo_arguments(dashboard))
    # the undo's plan covers the dashboards of that name, so that it restores this one only once
    undo = way.call(context, CREATE, covered_namesakes(plan.work.namesakes))
    return receipt_of(plan, short, dashboard_id=dashboard.id, undo=undo, read_back=read_back)


def _undo_arguments(dashboard: Dashboard) -> JsonObject:
    """The arguments of create_dashboard that restore it, under new ids."""
    widgets: list[JsonObject] = [{**widget.definition(), "old_id": widget.id} for widget in dashboard.widgets]
    arguments: JsonObject = {"name": dashboard.name or "", "old_id": dashboard.id}
    optional = (("project_id", dashboard.project), ("filters", dashboard.stored("filters")), ("widgets", widgets))
    return arguments | {name: value for name, value in optional if value}


TOOL = writing_tool(
    name=DELETE,
    title="Delete a dashboard",
    description=(
        "Delete, remove, erase, trash, bin, discard, drop, get rid of a whole old, unused dashboard "
        "completely. Asks the user first; undo is offered."
    ),
    request=DeleteDashboardRequest,
    plan=plan,
    commit=commit,
    destructive=True,
)
