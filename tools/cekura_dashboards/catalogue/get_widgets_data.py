"""The facts of a dashboard's charts, or of chosen widgets."""

from collections.abc import Mapping, Sequence

from pydantic import Field, model_validator

from cekura_dashboards.api.errors import DashboardsError, InvalidArguments, KeyRejected
from cekura_dashboards.api.filters import Filter, fault, filter_warnings, with_missing
from cekura_dashboards.api.models import Dashboard, Widget
from cekura_dashboards.arguments.references import DashboardId, WidgetId
from cekura_dashboards.arguments.times import zone_named
from cekura_dashboards.arguments.widget import (
    COMPARE_FILTERS,
    COMPARE_TO,
    EDITS,
    FROM_ROW,
    POINTS,
    TABLE,
    WINDOW,
    Clocked,
    EditAmount,
    check_profile,
    check_rows,
    one_comparison,
)
from cekura_dashboards.charts.target import check_comparison, resolve_targets, saved
from cekura_dashboards.context import ToolContext, gather
from cekura_dashboards.edits.plan import unknown_widget
from cekura_dashboards.reports.budget import ALONE, fit, fit_tables, table_blocks, without_repeats, without_table
from cekura_dashboards.reports.chart_reports import ChartQuery, ChartReports, report_charts
from cekura_dashboards.reports.plots import Drawing
from cekura_dashboards.reports.render import DETAILS, render_report, window_text
from cekura_dashboards.reports.report import WidgetBrief, WidgetReport, WindowShown
from cekura_dashboards.summaries.model import TableFormat
from cekura_dashboards.text import named
from cekura_dashboards.tool import ReadingTool, Result

MAX_WIDGETS = 60


class WidgetsDataRequest(Clocked):
    dashboard_id: DashboardId | None = Field(default=None, description="all its widgets")
    widget_ids: list[WidgetId] | None = Field(default=None, max_length=MAX_WIDGETS, description="or just these")
    window: str | None = WINDOW
    filters: Filter | None = Field(default=None, description="only these calls")
    compare_to: str | None = COMPARE_TO
    compare_filters: Filter | None = COMPARE_FILTERS
    points: int | None = POINTS
    table: TableFormat | None = TABLE
    from_row: int | None = FROM_ROW
    edits: EditAmount | None = EDITS

    @model_validator(mode="after")
    def _something(self) -> "WidgetsDataRequest":
        if self.dashboard_id is None and not self.widget_ids:
            raise fault("", "give dashboard_id or widget_ids. list_dashboards shows the dashboards.")
        one_comparison(self.compare_to, self.compare_filters)
        check_rows(self.table, self.from_row)
        check_profile(
            self, compare_to=self.compare_to, compare_filters=self.compare_filters, by=self.by, edits=self.edits
        )
        return self


class WidgetsData(Result):
    BOUND = "one report for each widget, at most 9,000 characters of text"

    dashboard: str | None = None
    window: WindowShown | None = Field(default=None, description="of all widgets")
    where: str | None = Field(default=None, description="which calls all widgets count")
    shared_notes: list[str] | None = Field(default=None, description="notes that several widgets share")
    widgets: list[WidgetReport]


async def run(context: ToolContext, request: WidgetsDataRequest) -> WidgetsData:
    context = context.in_zone(zone_named(request.time_zone, context.now()))
    check_comparison(request.compare_to, request.window, context.now(), context.settings.zone_set)
    dashboard, widgets, missing, projects = await _find(context, request)
    context = await context.in_zone_of(projects.get(widget.dashboard or 0) for widget in widgets)
    now, zone = context.now(), context.settings.zone
    extra, meant = with_missing(request.filters)
    targets = [saved(widget, projects.get(widget.dashboard or 0)) for widget in widgets]
    targets = resolve_targets(targets, request.window, extra, now, zone, local_days=request.by is not None)
    other_calls, others_meant = with_missing(request.compare_filters, "compare_filters")
    query = ChartQuery(
        targets[0].project if targets else None,
        request.compare_to,
        other_calls,
        request.profile,
        request.points,
        request.edits,
        tables=request.table is not None,
    )
    charts = await report_charts(context, targets, query)
    notes = [*meant, *others_meant, *filter_warnings(extra), *filter_warnings(other_calls, "compare_filters")]
    notes += charts.name_notes
    return _answer(dashboard, [*charts.reports, *_failed(missing)], charts, notes, request)


def _failed(missing: Mapping[int, DashboardsError]) -> list[WidgetReport]:
    return [WidgetReport(widget=WidgetBrief(id=i), error=str(e)) for i, e in missing.items()]


def _answer(
    dashboard: Dashboard | None,
    reports: Sequence[WidgetReport],
    charts: ChartReports,
    notes: Sequence[str],
    request: WidgetsDataRequest,
) -> WidgetsData:
    """The answer with the reports cut to the budget, and common parts once."""
    reports_left, shared = without_repeats(reports)
    answer = WidgetsData(
        dashboard=f"dashboard {dashboard.id} {named(dashboard.name)}" if dashboard else None,
        window=shared.window,
        where=shared.where,
        shared_notes=[*shared.notes, *charts.reading_notes] or None,
        widgets=reports_left,
        notes=[*notes] or None,
    )
    head = len(_head(answer))
    if request.table:
        fitted = fit_tables(reports_left, request.table, request.from_row or 1, head=head)
    else:
        fitted = fit(reports_left, head=head, charted=charts.plots is None)
    fitting = answer.model_copy(update={"widgets": fitted})
    return fitting.with_drawing(
        None
        if charts.plots is None
        else Drawing(answer.model_copy(update={"widgets": [*map(without_table, reports_left)]}), charts.plots)
    )


async def _find(
    context: ToolContext, request: WidgetsDataRequest
) -> tuple[Dashboard | None, list[Widget], dict[int, DashboardsError], dict[int, int]]:
    """The dashboard, its widgets or the requested ones, errors by widget id, and projects by dashboard id.

    Raises:
        InvalidArguments: if none of the widgets is on the given dashboard.
        DashboardsError: if no widget could be read.
    """
    ids = list(dict.fromkeys(request.widget_ids or []))
    if request.dashboard_id is not None:
        dashboard = await context.lookups.dashboard_with_names(request.dashboard_id)
        projects = {} if dashboard.project is None else {dashboard.id: dashboard.project}
        if not ids:
            return dashboard, dashboard.widgets, {}, projects
        mine = {widget.id: widget for widget in dashboard.widgets}
        others = {i: unknown_widget("widget_ids", i, dashboard) for i in ids if i not in mine}
        if len(others) == len(ids):
            raise InvalidArguments([*others.values()])
        elsewhere = {i: DashboardsError(str(fault)) for i, fault in others.items()}
        return dashboard, [mine[i] for i in ids if i in mine], elsewhere, projects
    (widgets_read, missing), projects, _ = await gather(
        context.lookups.widgets(ids), context.lookups.projects_of_dashboards(), context.lookups.prefetch()
    )
    if not widgets_read or any(isinstance(error, KeyRejected) for error in missing.values()):
        raise next(iter(missing.values()))
    return None, [widgets_read[i] for i in ids if i in widgets_read], missing, projects


def render(result: WidgetsData) -> str:
    if not result.widgets:
        return f"{result.dashboard} has no widgets."
    blocks = [block for report in result.widgets for block in (render_report(report), *table_blocks(report))]
    return "\n\n".join(block for block in (_head(result), *blocks) if block)


def _head(result: WidgetsData) -> str:
    """The lines that apply to the whole answer."""
    lines = [result.dashboard] if result.dashboard else []
    lines += [window_text(result.window)] if result.window else []
    lines += [f"where {result.where}"] if result.where else []
    if any(report.omitted == [DETAILS] for report in result.widgets):
        lines.append(f"some widgets show their headline only: {ALONE}")
    return "\n".join([*lines, *(f"note: {text}" for text in result.shared_notes or [])])


TOOL = ReadingTool(
    name="get_widgets_data",
    title="Chart data of a dashboard",
    description=(
        "How did we do? Read me, give, pull every figure, number, value, total of a dashboard, board, "
        "chart, widget or tile right now, yesterday, last month: calls, success rate, latency, duration; "
        "compare this week vs last, before and after, agent versus agent, busiest hour; table."
    ),
    request=WidgetsDataRequest,
    result=WidgetsData,
    run=run,
    render=render,
    is_drawn=True,
)
