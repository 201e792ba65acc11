"""Charts folded by hour of the day or by weekday: each is read by the hour and reported as a profile."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from msgspec import Struct

from cekura_dashboards.api.chart_data import Chart
from cekura_dashboards.api.models import WidgetConfig, plotted_type
from cekura_dashboards.charts.companions import evaluated_calls
from cekura_dashboards.charts.read import raise_if_all_failed, read_charts
from cekura_dashboards.charts.rows import bar_rows, unit_of
from cekura_dashboards.charts.target import ChartReading, Target
from cekura_dashboards.context import ToolContext, in_thread
from cekura_dashboards.reports.report import WidgetReport, brief, which_calls, window_shown
from cekura_dashboards.stats.timeline import HOUR, Clock, is_partial
from cekura_dashboards.summaries.bar import ADDITIVE, fill_empty, merge_groups, total
from cekura_dashboards.summaries.model import By
from cekura_dashboards.summaries.profile import profile
from cekura_dashboards.values import replace

COUNT_OF_CALLS: dict[str, Any] = {"field": "agent_id", "aggregation_function": "count", "metric": None}
ODD_OFFSET = "hours are UTC hours: each starts up to half an hour before or after the hour that it is named for"


class Folding(Struct, frozen=True):
    """The period to fold by, and the time zone."""

    by: By
    clock: Clock
    zone: str


def by_the_hour(target: Target) -> Target:
    """The same measure as an hourly bar: the mean of a line or boolean pie, the calls of other pies and stats."""
    config = target.config
    changes: dict[str, Any] = {"chart_type": "bar", "time_period": "hour", "group_by": None}
    if config.chart_type == "line" or (config.chart_type == "pie" and plotted_type(config.field or "") == "boolean"):
        changes["aggregation_function"] = "avg"
    elif config.chart_type != "bar":
        changes |= COUNT_OF_CALLS
    return replace(target, config=WidgetConfig.model_validate({**config.writable(), **changes}))


async def fold(context: ToolContext, targets: Sequence[Target], folding: Folding) -> list[WidgetReport]:
    """Each chart read by the hour and folded.

    Raises:
        DashboardsError: for a key that is not accepted, or if all charts failed alike.
    """
    readings = await read_charts(context, [by_the_hour(target) for target in targets])
    raise_if_all_failed(readings)
    return [
        await in_thread(_report, target, reading, folding, small=False)
        for target, reading in zip(targets, readings, strict=True)
    ]


def named_reports(
    reports: Sequence[WidgetReport], targets: Sequence[Target], names: Mapping[str, str]
) -> list[WidgetReport]:
    """The reports, each with a description of the calls that it counts."""
    return [
        report.model_copy(update={"where": which_calls(target, dict(names))})
        for report, target in zip(reports, targets, strict=True)
    ]


def _report(target: Target, reading: ChartReading, folding: Folding) -> WidgetReport:
    about = brief(target.config, reading.chart.display_name if reading.chart else None)
    report = WidgetReport(widget=about, window=window_shown(reading.window))
    if reading.error is not None or reading.chart is None:
        return report.model_copy(update={"error": str(reading.error)})
    return _with_profile(report, target, reading, reading.chart, folding)


def _with_profile(
    report: WidgetReport, target: Target, reading: ChartReading, chart: Chart, folding: Folding
) -> WidgetReport:
    config, rows = reading.target.config, bar_rows(reading, chart, {})
    function = config.function
    observed = [bucket for bucket in rows.buckets if bucket.value is not None]
    hours = fill_empty(function, "hour", merge_groups(function, observed), rows.span) if observed else []
    whole = hours
    notes = [*reading.notes, *_division(target.config)]
    if function in ADDITIVE:
        whole = [bucket for bucket in hours if not is_partial(bucket.time, HOUR, rows.span)]
        if any(bucket.value for bucket in hours if bucket not in whole):
            notes.append("the profile omits hours, and by weekday days, that the window cuts")
    offset = folding.clock.zone.utcoffset(reading.window.end.replace(tzinfo=None)) or timedelta(0)
    if offset.seconds % HOUR:
        notes.append(ODD_OFFSET)
    if function.startswith("p"):
        notes.append(f"{function} of several hours cannot be merged: the typical hour is shown")
    n = total(hours)
    if n is None and function == "count":
        n = round(sum(b.value or 0 for b in hours))
    evaluated, uncounted = evaluated_calls(reading, n, None)
    notes += uncounted
    return report.model_copy(
        update={
            "pass_score": reading.passing,
            "unit": unit_of(config, chart, [bucket.value for bucket in hours]),
            "n": n,
            "evaluated": evaluated,
            "profile": profile(whole, folding.by, function=function, clock=folding.clock, zone=folding.zone),
            "notes": notes or None,
        }
    )


def _division(config: WidgetConfig) -> list[str]:
    """A note that groups, slices or figures are not folded separately."""
    if config.group_by:
        return ["all groups combined"]
    if config.chart_type == "stat" or (config.chart_type == "pie" and plotted_type(config.field or "") != "boolean"):
        return ["profile of the number of calls, all slices or figures combined"]
    return []
