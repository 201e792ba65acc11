"""Change a dashboard's name and filters, or whether the daily report shows it."""

from typing import Any

from cekura_dashboards.context import ToolContext
from cekura_dashboards.edits.dashboards import (
    DashboardUpdate,
    ReportEdit,
    commit_report,
    dashboard_change,
    dashboard_differences,
    fields_of,
    plan_report,
    plan_update,
    send_update,
    undo_arguments,
)
from cekura_dashboards.edits.plan import Plan, receipt_of, writing_tool
from cekura_dashboards.edits.plan_id import covered_fields
from cekura_dashboards.edits.receipt import Receipt, undo_of
from cekura_dashboards.edits.request import UPDATE, UpdateDashboardRequest


async def plan(context: ToolContext, request: UpdateDashboardRequest) -> Plan[Any]:
    return await (plan_report if request.daily_report else plan_update)(context, request)


async def commit(context: ToolContext, plan: Plan[Any]) -> Receipt:
    return await (commit_report if isinstance(plan.work, ReportEdit) else _commit_update)(context, plan)


async def _commit_update(context: ToolContext, plan: Plan[DashboardUpdate]) -> Receipt:
    before, fields = plan.work.before, plan.work.fields
    stored, read_back = await send_update(context, before, fields)
    stored = stored.model_copy(update={"widgets": stored.widgets or before.widgets})
    undo = undo_of(UpdateDashboardRequest, undo_arguments(before, fields)).call(context, UPDATE, covered_fields(stored))
    return receipt_of(
        plan,
        [dashboard_change("update", before.id, stored.name, fields_of(before), fields_of(stored))],
        dashboard_id=before.id,
        differences=dashboard_differences({**fields_of(before), **fields}, stored),
        undo=undo,
        read_back=read_back,
    )


TOOL = writing_tool(
    name=UPDATE,
    title="Change a dashboard",
    description=(
        "Rename a dashboard, change its default date range, period, time frame, 30 days, filter or limit "
        "the whole dashboard to some calls, send it with the daily report every morning. Overwrites."
    ),
    request=UpdateDashboardRequest,
    plan=plan,
    commit=commit,
    destructive=True,
)
