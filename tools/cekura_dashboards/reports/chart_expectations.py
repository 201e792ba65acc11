"""Expectations checked against the charts of a dashboard."""

from collections.abc import Sequence

from cekura_dashboards.api.models import Widget
from cekura_dashboards.charts.target import Target, resolve, saved
from cekura_dashboards.context import ToolContext
from cekura_dashboards.reports.changes import surveys
from cekura_dashboards.reports.chart_reports import comparison_reports
from cekura_dashboards.reports.compare import compared_targets, read_compared
from cekura_dashboards.reports.expectations import (
    Checked,
    Expectation,
    Limit,
    check_events,
    check_value,
    measure,
)
from cekura_dashboards.reports.report import ReportOptions
from cekura_dashboards.values import replace


async def check_charts(
    context: ToolContext, lines: Sequence[tuple[Expectation, Widget]], limits: Sequence[Limit], project: int | None
) -> list[Checked]:
    """Each expectation of a widget, in order; values and events are read at once, each over its own window."""
    values = [place for place, (expectation, _) in enumerate(lines) if expectation.kind == "value"]
    events = [place for place, (expectation, _) in enumerate(lines) if expectation.kind != "value"]
    without_history = replace(context, settings=context.settings.model_copy(update={"history": False}))
    checks = dict[int, Checked]()
    for places, reading_context in ((values, without_history), (events, context)):
        if not places:
            continue
        targets = [_target(context, *lines[place], project) for place in places]
        pairs = compared_targets(targets, None, None, context.now(), context.settings.zone)
        readings, _ = await read_compared(reading_context, pairs)
        names, _ = await context.lookups.names([target.config for target in targets], [], project)
        options = ReportOptions(0, names=names, clock=context.settings.clock)
        if places is values:
            for place, sides in zip(places, readings, strict=True):
                measured = measure(sides.current, names, options.clock)
                checks[place] = check_value(lines[place][0], measured, limits[place])
            continue
        for place, report in zip(places, await comparison_reports(readings, options), strict=True):
            checks[place] = check_events(lines[place][0], report, limits[place])
    return [checks[place] for place in range(len(lines))]


def _target(context: ToolContext, expectation: Expectation, widget: Widget, project: int | None) -> Target:
    """The chart over the window of its expectation; a pie of a rate as that rate by the day."""
    now, zone = context.now(), context.settings.zone
    target = saved(widget, project)
    if widget.chart_type == "pie":
        measures, _ = surveys([widget], {} if project is None else {widget.dashboard or 0: project}, now, "day")
        target = next((survey.target for survey in measures if not survey.parts), target)
    return replace(target, window=resolve(expectation.window, now, zone))
