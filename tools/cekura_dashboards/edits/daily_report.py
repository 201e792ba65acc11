"""The daily report of a project: adding a dashboard to it, or taking it out."""

from msgspec import Struct

from cekura_dashboards.api.client import CekuraClient
from cekura_dashboards.api.errors import InvalidArguments
from cekura_dashboards.api.models import same
from cekura_dashboards.context import ToolContext
from cekura_dashboards.edits.changes import EditOperation, both_as_json
from cekura_dashboards.edits.plan import Plan, checked, receipt_of
from cekura_dashboards.edits.plan_id import Covered, signer
from cekura_dashboards.edits.receipt import Receipt, undo_of
from cekura_dashboards.edits.request import UPDATE, UpdateDashboardRequest
from cekura_dashboards.edits.send import ReadBack, write_or_read_back
from cekura_dashboards.text import named, untrusted

FIELD = "daily_report_dashboard_ids"


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
        fields = {FIELD: [self.before, self.after]}
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
        covered=_covered(edit.project, dashboards=before),
        covered_by_undo=_covered(edit.project, shown=dashboard.id in before),
        changes=[edit.operation()] if after != before else [],
        dashboard_id=dashboard.id,
    )
    return checked(context, plan, request)


def _covered(project: int, **fields: object) -> Covered:
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
        context, UPDATE, _covered(edit.project, shown=edit.dashboard in stored)
    )
    return receipt_of(
        plan,
        [edit.operation()],
        dashboard_id=edit.dashboard,
        differences=[] if same(stored, edit.after) else [f"{what}: sent {sent}, stored {kept}"],
        undo=undo,
        read_back=read_back,
    )
