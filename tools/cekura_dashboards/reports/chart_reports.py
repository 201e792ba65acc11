"""From charts to reports: one path for saved widgets and unsaved ones, compared, folded or alone."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from cekura_dashboards.api.models import JsonObject
from cekura_dashboards.charts.target import ChartReading, Target, are_few
from cekura_dashboards.charts.window import WEEK, Window, format_instant
from cekura_dashboards.context import ToolContext, gather, in_thread
from cekura_dashboards.reports.compare import (
    ComparedReadings,
    Measurement,
    compare_readings,
    compared_targets,
    measure_of,
    read_compared,
    why_not_alike,
)
from cekura_dashboards.reports.empty import explain_empty
from cekura_dashboards.reports.plots import Plot, calls_arguments, plots_of
from cekura_dashboards.reports.profile import Folding, fold, named_reports
from cekura_dashboards.reports.report import (
    COARSE_SERIES,
    FINE_SERIES,
    ReportOptions,
    StatChange,
    WidgetReport,
    report_readings,
    with_intervals,
)
from cekura_dashboards.stats.change import group_changes
from cekura_dashboards.stats.findings import Comparison, GroupChanges
from cekura_dashboards.summaries.profile import By
from cekura_dashboards.values import replace

GROUP_STEPS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
MIN_STEPS = 3
"""Whole steps in each half of a window whose groups are compared over time."""


class ChartQuery(Struct, frozen=True):
    """What to report of charts whose windows are settled.

    ``compare_to``: another time, or ``compare_filters``: other calls. ``profile``: fold the charts instead. ``points``:
    the most buckets of a series; None: as many as there is room for. ``project``: where to look up names.
    """

    project: int | None
    compare_to: str | None = None
    compare_filters: JsonObject | None = None
    profile: By | None = None
    points: int | None = None


class ChartReports(Struct, frozen=True):
    """The report of each chart, in order, and its plot; ``plots`` None: the client draws nothing.

    ``reading_notes``: on what could not be read of all charts; ``name_notes``: on names that could not be read.
    """

    reports: list[WidgetReport]
    plots: list[Plot] | None
    reading_notes: list[str]
    name_notes: list[str]


async def report_charts(context: ToolContext, targets: Sequence[Target], query: ChartQuery) -> ChartReports:
    """Read, compare or fold, and report the charts; names are read at the same time.

    Raises:
        DashboardsError: for a key that is not accepted, or if all charts failed alike.
        InvalidArguments: if no chart can be compared as asked.
    """
    clock = context.settings.clock
    calls = [node for target in targets for node in (target.calls, target.matching)]
    if query.profile:
        folding = Folding(query.profile, clock, context.settings.time_zone)
        reports, (names, name_notes) = await gather(
            fold(context, targets, folding), context.lookups.names([], calls, query.project)
        )
        plots = [Plot(calls=calls_arguments(target)) for target in targets] if context.draws else None
        return ChartReports(named_reports(reports, targets, names), plots, [], name_notes)
    pairs = compared_targets(targets, query.compare_to, query.compare_filters, context.now(), context.settings.zone)
    (readings, notes), (names, name_notes) = await gather(
        read_compared(context, pairs),
        context.lookups.names([target.config for target in targets], [*calls, query.compare_filters], query.project),
    )
    points, coarse = query.points, 0
    if points is None:
        points, coarse = FINE_SERIES, COARSE_SERIES if len(targets) > 1 else 0
    reports = await comparison_reports(readings, ReportOptions(points, coarse, names, clock))
    reports = await explain_empty(context, readings, reports, names)
    reports = [
        with_intervals(report) if target.matching else report for target, report in zip(targets, reports, strict=True)
    ]
    plots = await plots_of(readings, names) if context.draws else None
    return ChartReports(reports, plots, notes, name_notes)


async def comparison_reports(
    compared_readings: Sequence[ComparedReadings], options: ReportOptions
) -> list[WidgetReport]:
    """The report of each chart, with its comparison, or with the change of each figure of a stat."""
    reports = await report_readings(
        [sides.current for sides in compared_readings], options, [sides.history for sides in compared_readings]
    )
    tests = sum(sides.current.chart is not None and sides.targets.baseline is not None for sides in compared_readings)
    beside = [bar for sides in compared_readings for side in sides.daily_bars for bar in side.values()]
    readings = [side for sides in compared_readings for side in (sides.current, sides.baseline) if side is not None]
    small = are_few([*readings, *beside])
    return [
        await in_thread(_with_comparison, report, sides, tests, options, small=small)
        for report, sides in zip(reports, compared_readings, strict=True)
    ]


def corrections(reports: Sequence[WidgetReport]) -> list[str]:
    """A note that intervals are corrected for the number of comparisons."""
    comparisons = (report.comparison for report in reports)
    most = max(
        (comparison.allows_for for comparison in comparisons if comparison is not None and comparison.ci95), default=1
    )
    return [f"intervals of comparisons allow for all {most}"] if most > 1 else []


def _with_comparison(report: WidgetReport, sides: ComparedReadings, tests: int, options: ReportOptions) -> WidgetReport:
    report = _with_groups(report, sides, options)
    if sides.current.chart is None or sides.targets.baseline is None:
        return report
    result = compare_readings(sides, tests, options)
    if not sides.targets.unasked:
        return report.model_copy(update={"comparison": result})
    if not result.figures or not sides.baseline or not _calls_of(result):
        why = result.not_compared or "nothing came from the period before"
        return report.model_copy(update={"not_tested": [*(report.not_tested or []), f"change: {why}"]})
    change = StatChange(start=result.start or "", end=result.end or "", figures=result.figures)
    baseline_notes = sides.baseline.window.notes if sides.baseline.restricted_to_project else result.notes or []
    notes = [*(report.notes or []), *(f"change: {note}" for note in baseline_notes)]
    untested = [*(report.not_tested or []), *([f"change: {result.not_tested}"] if result.not_tested else [])]
    return report.model_copy(update={"change": change, "notes": notes or None, "not_tested": untested or None})


def _with_groups(report: WidgetReport, sides: ComparedReadings, options: ReportOptions) -> WidgetReport:
    """Add which groups changed, where the chart shows groups over time."""
    reading, other = sides.current, sides.baseline
    if reading.chart is None or not is_divided(reading) or not reading.chart.grouped:
        return report
    if sides.targets.baseline is None:
        group_changes = by_halves(reading, options)
    elif other is None or other.chart is None or why_not_alike(sides, reading.chart, options) is not None:
        group_changes = None
    else:
        sides_read = (reading, reading.chart), (other, other.chart)
        current, baseline = (measure_of(side, chart, options.names) for side, chart in sides_read)
        group_changes = by_baseline(
            current, baseline, "current against baseline", alike=not other.window.weekdays_differ
        )
    return report if group_changes is None else report.model_copy(update={"group_changes": group_changes})


def _calls_of(comparison: Comparison) -> bool:
    """Whether the period before contains any call."""
    return any(row.figure == "total_calls" and row.baseline for row in comparison.figures or [])


def is_divided(reading: ChartReading) -> bool:
    """Whether a chart shows groups over time."""
    config, by = reading.target.config, reading.target.config.group_by or {}
    return config.chart_type == "bar" and by.get("type") == "field" and config.period in GROUP_STEPS


def by_baseline(current: Measurement, baseline: Measurement, against: str, *, alike: bool) -> GroupChanges | None:
    """Group changes between two sides. ``alike``: both contain the same weekdays."""
    if current.kind not in {"mean", "total"}:
        return None
    return group_changes(
        current.grouped,
        baseline.grouped,
        additive=current.kind == "total",
        ratio=max(current.scale, baseline.scale),
        most="clear" if alike else "possible",
        against=against,
    )


def _floored(moment: datetime, step: timedelta) -> datetime:
    hour = moment.replace(minute=0, second=0, microsecond=0)
    return hour.replace(hour=0) if step >= timedelta(days=1) else hour


def by_halves(reading: ChartReading, options: ReportOptions) -> GroupChanges | None:
    """The later half of the whole steps in the window against as many before; None where they are too few."""
    chart, step = reading.chart, GROUP_STEPS[reading.target.config.period]
    zone = options.clock.zone if reading.target.local_days else UTC
    start, end = (_floored(moment.astimezone(zone), step) for moment in (reading.window.start, reading.window.end))
    start += step * (start < reading.window.start)
    half = (end - start) // step // 2
    if chart is None or half < MIN_STEPS:
        return None
    later, earlier = Window(end - half * step, end, ""), Window(end - 2 * half * step, end - half * step, "")
    measures = [measure_of(replace(reading, window=part), chart, options.names) for part in (later, earlier)]
    middle = format_instant(later.start)
    against = f"{middle} to {format_instant(end)} against {format_instant(earlier.start)} to {middle}"
    return by_baseline(measures[0], measures[1], against, alike=(half * step) % WEEK == timedelta(0))
