"""The facts of a widget that is not saved."""

from dataclasses import replace
from typing import Any

from pydantic import Field, model_validator

from cekura_dashboards.answers.absence import explained
from cekura_dashboards.answers.audience import Audience
from cekura_dashboards.answers.budget import fit
from cekura_dashboards.answers.comparison import compared, read_sides, sides_of
from cekura_dashboards.answers.render import render_report
from cekura_dashboards.answers.report import WidgetReport, with_intervals
from cekura_dashboards.api.errors import InvalidArguments
from cekura_dashboards.api.filters import Filter, doubtful, time_bounds
from cekura_dashboards.arguments.references import DashboardId
from cekura_dashboards.catalogue.get_widgets_data import FINE
from cekura_dashboards.charts.share import check_countable
from cekura_dashboards.charts.target import settled, unsaved
from cekura_dashboards.charts.window import check_comparison
from cekura_dashboards.concurrency import together
from cekura_dashboards.context import ToolContext
from cekura_dashboards.text import json_text
from cekura_dashboards.tool import ReadingTool, Request, Result
from cekura_dashboards.widgets.date_range import no_date_range
from cekura_dashboards.widgets.request import (
    COMPARE_FILTERS,
    COMPARE_TO,
    POINTS,
    WINDOW,
    NewWidget,
    one_comparison,
)
from cekura_dashboards.widgets.rules import check, doubts, metric_types

NOT_SAVED = "the API has no chart of a share: this one is worked out from two counts, and saved it would count calls"


class PreviewRequest(Request):
    widget: NewWidget
    dashboard_id: DashboardId | None = Field(
        default=None, description="apply this dashboard's filters, as if the widget were on it"
    )
    window: str | None = WINDOW
    filters: Filter | None = Field(default=None, description="and only calls that match; not part of the widget")
    compare_to: str | None = COMPARE_TO
    compare_filters: Filter | None = COMPARE_FILTERS
    share_where: Filter | None = Field(
        default=None, description="of a bar that counts: the share of calls that match, a rate per bucket"
    )
    points: int | None = POINTS

    @model_validator(mode="after")
    def _one_comparison(self) -> "PreviewRequest":
        one_comparison(self.compare_to, self.compare_filters)
        return self


class Preview(Result):
    report: WidgetReport
    widget: dict[str, Any] = Field(description="the definition, to save it unchanged")
    warnings: list[str] | None = None


async def run(context: ToolContext, request: PreviewRequest) -> Preview:
    config = request.widget.config()
    if faults := check(config, "widget."):
        raise InvalidArguments(faults)
    now, zone = context.now(), context.settings.zone
    check_comparison(request.compare_to, request.window, now, zone)
    matching = request.share_where.to_json() if request.share_where else None
    if matching:
        check_countable(config)
    dashboard = (
        None if request.dashboard_id is None else await context.lookups.dashboard_with_names(request.dashboard_id)
    )
    project = dashboard.project if dashboard else context.settings.project_id
    metrics, unread = await metric_types(context, project, config)
    if metrics is not None and (faults := check(config, "widget.", metrics)):
        raise InvalidArguments(faults)
    extra = request.filters.to_json() if request.filters else None
    [target] = settled([replace(unsaved(config, dashboard), matching=matching)], request.window, extra, now, zone)
    other_calls = request.compare_filters.to_json() if request.compare_filters else None
    asked = sides_of([target], request.compare_to, other_calls, now, zone)
    (found, _), (names, notes) = await together(
        read_sides(context, asked), context.lookups.names([config], [target.calls, matching, other_calls], project)
    )
    points = FINE if request.points is None else request.points
    reports = await compared(found, Audience(points, names=names, clock=context.settings.clock))
    reports = await explained(context, found, reports, names)
    if matching:
        reports = [with_intervals(report) for report in reports]
    shown = fit(reports)[0]
    warnings = [*unread, *doubts(config, "widget.", metrics), *doubtful(config.filters, "widget.filters")]
    warnings += [*doubtful(extra), *doubtful(matching, "share_where"), *doubtful(other_calls, "compare_filters")]
    if matching:
        warnings.append(NOT_SAVED)
    if time_bounds(target.filters, context.now()).start is None:
        warnings.append(no_date_range(on_dashboard=dashboard is not None))
    return Preview(report=shown, widget=config.definition(), warnings=warnings or None, notes=notes or None)


def render(result: Preview) -> str:
    lines = [render_report(result.report)]
    lines += [f"warning: {text}" for text in result.warnings or []]
    lines.append("widget: " + json_text(result.widget))
    return "\n".join(lines)


TOOL = ReadingTool(
    name="preview_widget",
    title="Preview a widget",
    description=(
        "What a widget would show, without saving it: the same facts as get_widgets_data. With them comes its "
        "definition, ready for bulk_edit_dashboard. Use it for any question that no saved chart answers, and before "
        "creating or changing one. look_up fields tells what can be plotted."
    ),
    request=PreviewRequest,
    result=Preview,
    run=run,
    render=render,
)
