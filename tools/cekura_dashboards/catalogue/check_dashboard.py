"""The problems of a dashboard, each with the edit that fixes it."""

from collections.abc import Sequence

from pydantic import BaseModel, Field

from cekura_dashboards.api.chart_data import number
from cekura_dashboards.api.errors import DashboardsError, Refused
from cekura_dashboards.api.models import Dashboard, JsonObject
from cekura_dashboards.arguments.references import DashboardId
from cekura_dashboards.charts.read import read_charts
from cekura_dashboards.charts.target import ChartReading, are_few, saved
from cekura_dashboards.context import ToolContext, gather, in_thread
from cekura_dashboards.edits.dashboards import plan_update
from cekura_dashboards.edits.plan import issued, plan_bulk_edit
from cekura_dashboards.edits.receipt import Call
from cekura_dashboards.edits.request import BULK_EDIT, UPDATE, BulkEditRequest, RestoredIds, UpdateDashboardRequest
from cekura_dashboards.edits.rules import metric_types
from cekura_dashboards.reports.lint import ChartObservation, Draft, Lint
from cekura_dashboards.reports.report import ReportOptions, summarise
from cekura_dashboards.reports.watched import MAX_ALERTS, AlertShown, alert_lines, alerts_of_dashboard, omitted_alerts
from cekura_dashboards.text import clean, counted, json_text, named
from cekura_dashboards.tool import ReadingTool, Request, Result

MOST_FINDINGS, MAX_FAILED = 20, 5
FAR = "whether charts beyond the first 1,000 show what alerts watch"


class CheckRequest(Request):
    dashboard_id: DashboardId


class Problem(BaseModel):
    """What is wrong and why it matters. ``fix``: the call that fixes it, with a plan."""

    kind: str
    widgets: list[int]
    text: str
    fix: Call | None = None


class CheckResult(Result):
    dashboard: str
    scope: str = "this checks the setup of the charts; get_widgets_data shows their numbers"
    findings: list[Problem] = Field(max_length=MOST_FINDINGS)
    alerts: list[AlertShown] | None = Field(
        default=None, max_length=MAX_ALERTS, description="on these charts, or on what no chart shows"
    )
    not_tested: list[str] | None = None
    omitted: list[str] | None = None


async def run(context: ToolContext, request: CheckRequest) -> CheckResult:
    dashboard, _ = await gather(context.lookups.dashboard(request.dashboard_id), context.lookups.prefetch_alerts())
    targets = [saved(widget, dashboard.project) for widget in dashboard.widgets]
    readings, (types, unread), beside = await gather(
        read_charts(context, targets),
        metric_types(context, dashboard.project, *dashboard.widgets),
        alerts_of_dashboard(context, dashboard, context.lookups.every_widget),
    )
    small = are_few(readings)
    observations = {reading.target.id or 0: await in_thread(_observe, reading, small=small) for reading in readings}
    drafts = Lint(dashboard, observations, types, context.now()).findings()
    findings = [await _finding(context, dashboard, draft) for draft in drafts[:MOST_FINDINGS]]
    more = len(drafts) - len(findings)
    omitted_findings = [f"{more} more findings; fix these and check again"] if more else []
    return CheckResult(
        dashboard=f"dashboard {dashboard.id} {named(dashboard.name)}",
        findings=findings,
        alerts=beside.alerts[:MAX_ALERTS] or None,
        not_tested=[*unread, *beside.notes, *([] if beside.whole else [FAR]), *_not_tested(readings)] or None,
        omitted=[*omitted_findings, *omitted_alerts(beside.alerts)] or None,
    )


def _not_tested(readings: Sequence[ChartReading]) -> list[str]:
    failed = [r for r in readings if r.error is not None and not isinstance(r.error, Refused)]
    texts = [f"widget {reading.target.id}: {clean(str(reading.error), limit=200)}" for reading in failed[:MAX_FAILED]]
    more = [counted(len(failed) - MAX_FAILED, "more widget")] if len(failed) > MAX_FAILED else []
    return [*texts, *more]


def _observe(reading: ChartReading) -> ChartObservation:
    chart = reading.chart
    if chart is None:
        return ChartObservation(reading)
    summary, untested = summarise(reading, ReportOptions(0))
    sizes = dict[str | None, float]()
    if chart.chart_type == "pie":
        for row in chart.rows:
            label = None if row.label is None else str(row.label)
            sizes[label] = sizes.get(label, 0) + (number(row.value) or 0.0)
    times = {str(row.time_interval) for row in chart.rows} if chart.chart_type == "bar" else set[str]()
    labels = sorted(sizes, key=lambda label: (-sizes[label], str(label)))
    return ChartObservation(reading, summary.n, labels, len(times), untested=bool(untested))


async def _finding(context: ToolContext, dashboard: Dashboard, draft: Draft) -> Problem:
    """The finding with its planned edit, or without one if it cannot be planned."""
    if not draft.edit or context.settings.read_only:
        return Problem(kind=draft.kind, widgets=draft.widget_ids, text=draft.text)
    arguments: JsonObject = {"dashboard_id": dashboard.id, **draft.edit}
    tool = UPDATE if draft.of_dashboard else BULK_EDIT
    try:
        if draft.of_dashboard:
            change = UpdateDashboardRequest.model_validate(arguments)
            plan_id = issued(context, await plan_update(context, change))
        else:
            edit = BulkEditRequest.model_validate(arguments)
            plan_id = issued(context, await plan_bulk_edit(context, edit, dashboard, RestoredIds()))
    except (DashboardsError, ValueError):
        return Problem(kind=draft.kind, widgets=draft.widget_ids, text=draft.text)
    fix = Call(tool=tool, arguments={**arguments, "plan_id": plan_id})
    return Problem(kind=draft.kind, widgets=draft.widget_ids, text=draft.text, fix=fix)


def render(result: CheckResult) -> str:
    count = len(result.findings)
    lines = [f"{result.dashboard}: " + (f"{count} finding{'s' if count > 1 else ''}" if count else "no findings")]
    for finding in result.findings:
        ids = " ".join(str(number) for number in finding.widgets)
        lines.append(f"{finding.kind}, widget{'s' if len(finding.widgets) > 1 else ''} {ids}: {finding.text}")
        if finding.fix:
            lines.append(f"  fix: {finding.fix.tool} {json_text(finding.fix.arguments)}")
    lines += alert_lines(result.alerts)
    lines.append(result.scope)
    lines += [f"not tested: {text}" for text in result.not_tested or []]
    lines += [f"omitted: {text}" for text in result.omitted or []]
    return "\n".join(lines)


TOOL = ReadingTool(
    name="check_dashboard",
    title="Check a dashboard",
    description=(
        "Is my dashboard set up correctly, any good? Audit, review, go through that board for mistakes, "
        "problems, what's wrong with it: no data, broken, empty, duplicate, misleading, misconfigured, "
        "useless charts; clean up, improve."
    ),
    request=CheckRequest,
    result=CheckResult,
    run=run,
    render=render,
)
