"""The facts of a widget that is not saved."""

from typing import Any

from pydantic import Field, model_validator

from cekura_dashboards.api.errors import InvalidArguments, Refused
from cekura_dashboards.api.filters import Filter, filter_warnings, time_bounds, with_missing
from cekura_dashboards.arguments.references import DashboardId
from cekura_dashboards.arguments.times import zone_named
from cekura_dashboards.arguments.widget import (
    COMPARE_FILTERS,
    COMPARE_TO,
    FROM_ROW,
    POINTS,
    TABLE,
    WINDOW,
    Clocked,
    NewWidget,
    check_profile,
    check_rows,
    one_comparison,
)
from cekura_dashboards.charts.read import check_countable
from cekura_dashboards.charts.target import check_comparison, resolve_targets, unsaved
from cekura_dashboards.context import ToolContext, gather
from cekura_dashboards.edits.rules import check, doubts, metric_types, no_date_range, why_refused
from cekura_dashboards.reports.budget import fit, fit_tables, table_blocks, without_table
from cekura_dashboards.reports.chart_reports import ChartQuery, report_charts
from cekura_dashboards.reports.plots import Drawing
from cekura_dashboards.reports.render import render_report
from cekura_dashboards.reports.report import WidgetReport
from cekura_dashboards.summaries.model import TableFormat
from cekura_dashboards.text import json_text
from cekura_dashboards.tool import ReadingTool, Result
from cekura_dashboards.values import replace

NOT_SAVED = "the API has no chart of a share: this one is computed from two counts, and saved it would count calls"


class PreviewRequest(Clocked):
    widget: NewWidget
    dashboard_id: DashboardId | None = Field(default=None, description="as if it were on this dashboard")
    window: str | None = WINDOW
    filters: Filter | None = Field(default=None, json_schema_extra={"hidden": True}, description="only these calls")
    compare_to: str | None = COMPARE_TO
    compare_filters: Filter | None = COMPARE_FILTERS
    share_where: Filter | None = Field(
        default=None, description="of a bar that counts: the share of these calls, a condition"
    )
    points: int | None = POINTS
    table: TableFormat | None = TABLE
    from_row: int | None = FROM_ROW

    @model_validator(mode="after")
    def _one_comparison(self) -> "PreviewRequest":
        one_comparison(self.compare_to, self.compare_filters)
        check_rows(self.table, self.from_row)
        check_profile(
            self,
            compare_to=self.compare_to,
            compare_filters=self.compare_filters,
            by=self.by,
            share_where=self.share_where,
        )
        return self


class Preview(Result):
    BOUND = "at most 1,600 characters of text, 9,000 with a table, beside the definition"

    report: WidgetReport
    widget: dict[str, Any] = Field(description="the definition, to save it unchanged")
    warnings: list[str] | None = None


async def run(context: ToolContext, request: PreviewRequest) -> Preview:
    config = request.widget.config()
    if faults := check(config, "widget."):
        raise InvalidArguments(faults)
    context = context.in_zone(zone_named(request.time_zone, context.now()))
    check_comparison(request.compare_to, request.window, context.now(), context.settings.zone_set)
    matching, share_notes = with_missing(request.share_where, "share_where")
    if matching:
        check_countable(config)
    dashboard = (
        None if request.dashboard_id is None else await context.lookups.dashboard_with_names(request.dashboard_id)
    )
    project = dashboard.project if dashboard else context.settings.project_id
    (metrics, unread), _ = await gather(metric_types(context, project, config), context.lookups.prefetch())
    context = await context.in_zone_of([project])
    now, zone = context.now(), context.settings.zone
    if metrics is not None and (faults := check(config, "widget.", metrics)):
        raise InvalidArguments(faults)
    extra, notes = with_missing(request.filters)
    [target] = resolve_targets(
        [replace(unsaved(config, dashboard), matching=matching)],
        request.window, extra, now, zone, local_days=request.by is not None,
    )  # fmt: skip
    other_calls, other_notes = with_missing(request.compare_filters, "compare_filters")
    notes += [*share_notes, *other_notes]
    query = ChartQuery(
        project, request.compare_to, other_calls, request.profile, request.points, tables=request.table is not None
    )
    try:
        charts = await report_charts(context, [target], query)
    except Refused as refusal:
        raise await why_refused(context, refusal, config, "widget.", project) from None
    [report] = charts.reports
    warnings = [*unread, *doubts(config, "widget.", metrics), *filter_warnings(config.filters, "widget.filters")]
    warnings += [
        *filter_warnings(extra),
        *filter_warnings(matching, "share_where"),
        *filter_warnings(other_calls, "compare_filters"),
    ]
    if matching:
        warnings.append(NOT_SAVED)
    if time_bounds(target.filters, context.now()).start is None:
        warnings.append(no_date_range(on_dashboard=dashboard is not None))
    whole = Preview(
        report=report, widget=config.definition(), warnings=warnings or None, notes=[*notes, *charts.name_notes] or None
    )
    if request.table:
        [fitted] = fit_tables([report], request.table, request.from_row or 1)
    else:
        [fitted] = fit([report], charted=not context.draws)
    fitting = whole.model_copy(update={"report": fitted})
    return fitting.with_drawing(
        None
        if charts.plots is None
        else Drawing(whole.model_copy(update={"report": without_table(report)}), charts.plots)
    )


def render(result: Preview) -> str:
    lines = [render_report(result.report)]
    lines += [f"warning: {text}" for text in result.warnings or []]
    lines.append("widget: " + json_text(result.widget))
    return "\n\n".join(["\n".join(lines), *table_blocks(result.report)])


TOOL = ReadingTool(
    name="preview_widget",
    title="Preview a widget",
    description=(
        "Calculate, ad hoc, one-off, what no chart shows yet: how many, share, percentage, count, "
        "average, median, p95 of calls per day, hour, split by agent, topic, language, version. Draft, "
        "sketch, try, want to see what a new chart would look like before adding it; nothing is saved."
    ),
    request=PreviewRequest,
    result=Preview,
    run=run,
    render=render,
    is_drawn=True,
)
