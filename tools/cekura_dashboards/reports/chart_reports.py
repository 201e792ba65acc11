"""From charts to reports: one path for saved and unsaved widgets, compared or as a profile, with or without calls.

An outage is reported once, for one chart, which names the others of the same calls.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from cekura_dashboards.api.models import JsonObject
from cekura_dashboards.charts.companions import change_of_share, changes_by_group
from cekura_dashboards.charts.target import WEEK, ChartReading, Target, Window, are_few, format_instant
from cekura_dashboards.context import ToolContext, gather, in_thread
from cekura_dashboards.reports.compare import (
    ComparedReadings,
    Measurement,
    compare_readings,
    compared_targets,
    groups_before,
    measure_of,
    read_compared,
    reading_difference,
)
from cekura_dashboards.reports.edit_scopes import edits_of_reports
from cekura_dashboards.reports.edits import Amount
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
from cekura_dashboards.reports.tables import with_profile_table, with_tables
from cekura_dashboards.stats.change import group_changes
from cekura_dashboards.stats.findings import Comparison, Gap, GroupChange, GroupChanges, GroupShareChange, Step, Unusual
from cekura_dashboards.stats.group_model import NO_BUCKETS, BucketsByGroup
from cekura_dashboards.stats.outliers import is_one_event
from cekura_dashboards.stats.timeline import moment_of
from cekura_dashboards.summaries.bar import ADDITIVE
from cekura_dashboards.summaries.model import By
from cekura_dashboards.text import json_text
from cekura_dashboards.values import replace

GROUP_STEPS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
MIN_STEPS = 3
"""Minimum whole steps in each half of a window whose groups are compared over time."""


class ChartQuery(Struct, frozen=True):
    """What to report of charts whose windows are resolved.

    ``compare_to``: another window, or ``compare_filters``: other calls. ``profile``: profiles instead. ``points``: the
    maximum number of buckets in a series; None: as many as fit. ``project``: where to look up names. ``edits``: with
    the changes. ``tables``: of all rows, instead of a series.
    """

    project: int | None
    compare_to: str | None = None
    compare_filters: JsonObject | None = None
    profile: By | None = None
    points: int | None = None
    edits: Amount | None = None
    tables: bool = False


class ChartReports(Struct, frozen=True):
    """The report of each chart, in order, and its plot; ``plots`` None: the client draws nothing.

    ``readings``: of each chart; empty for profiles. ``reading_notes``: on histories that were not read; ``name_notes``:
    on names that could not be read.
    """

    reports: list[WidgetReport]
    plots: list[Plot] | None
    reading_notes: list[str]
    name_notes: list[str]
    readings: Sequence[ChartReading] = ()


async def report_charts(context: ToolContext, targets: Sequence[Target], query: ChartQuery) -> ChartReports:
    """Read the charts and their names concurrently, compare or fold them, and report them.

    Raises:
        DashboardsError: for a key that is not accepted, or if all charts failed alike.
        InvalidArguments: if no chart can be compared as requested.
    """
    clock = context.settings.clock
    calls = [node for target in targets for node in (target.calls, target.matching)]
    if query.profile:
        folding = Folding(query.profile, clock, context.settings.zone.key)
        reports, (names, name_notes) = await gather(
            fold(context, targets, folding), context.lookups.names([], calls, query.project)
        )
        plots = [Plot(calls=calls_arguments(target)) for target in targets] if context.draws else None
        reports = [with_profile_table(report) for report in reports] if query.tables else reports
        return ChartReports(named_reports(reports, targets, names), plots, [], name_notes)
    pairs = compared_targets(targets, query.compare_to, query.compare_filters, context.now(), context.settings.zone)
    (readings, notes), (names, name_notes) = await gather(
        read_compared(context, pairs),
        context.lookups.names([target.config for target in targets], [*calls, query.compare_filters], query.project),
    )
    unasked = (FINE_SERIES, COARSE_SERIES if len(targets) > 1 else 0)
    points, coarse = unasked if query.points is None else (query.points, 0)
    options = ReportOptions(points, coarse, names, clock)
    reports = await comparison_reports(readings, options)
    reports = await explain_empty(context, readings, reports, names)
    reports = [
        with_intervals(report) if target.matching else report for target, report in zip(targets, reports, strict=True)
    ]
    reports = without_repeated_outages(targets, reports)
    if query.edits:
        reports = await edits_of_reports(context, readings, reports, names, query.edits)
    reports = await with_tables(readings, reports, options) if query.tables else reports
    plots = await plots_of(readings, names) if context.draws else None
    return ChartReports(reports, plots, notes, name_notes, [sides.current for sides in readings])


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


def _with_comparison(report: WidgetReport, sides: ComparedReadings, tests: int, options: ReportOptions) -> WidgetReport:
    report = _with_groups(report, sides, options)
    if sides.current.chart is None or sides.targets.baseline is None:
        return report
    result = compare_readings(sides, tests, options, report.changes)
    if not sides.targets.unasked:
        return report.model_copy(update={"comparison": result})
    if not result.figures or not sides.baseline or not _baseline_has_calls(result):
        why = result.not_compared or "the baseline has no data"
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
        steps = [item.at for item in report.findings or [] if isinstance(item, Step) and not item.before_window]
        group_changes = by_halves(reading, options, moment_of(steps[-1]) if steps else None, sides.groups)
    elif other is None or other.chart is None or reading_difference(sides, reading.chart, options) is not None:
        group_changes = None
    else:
        sides_read = (reading, reading.chart), (other, other.chart)
        current, baseline = (measure_of(side, chart, options.names, clock=options.clock) for side, chart in sides_read)
        reason, earlier = None, NO_BUCKETS
        if sides.targets.filters is None:
            reason = change_of_share(reading, other, options.clock)
            earlier = groups_before((reading, other), sides.groups, options.names)
        group_changes = by_baseline(
            current,
            baseline,
            "current against baseline",
            alike=not other.window.weekdays_differ,
            limited_by=reason,
            earlier=earlier,
            shares=changes_by_group(reading, other, options.names) if sides.targets.filters is None else None,
        )
    if group_changes is None:
        return report
    if sides.targets.filters is not None:
        update = {"top": [_of_other_calls(row) for row in group_changes.top]}
        group_changes = group_changes.model_copy(update=update)
    notes = report.notes or []
    if sides.groups is not None and sides.groups.error is not None and sides.groups is not sides.history:
        notes = [*notes, f"groups are compared without the days before, which could not be read: {sides.groups.error}"]
    return report.model_copy(update={"group_changes": group_changes, "notes": notes or None})


def _of_other_calls(row: GroupChange) -> GroupChange:
    """A group in a comparison with other calls of the same time, which is neither new nor gone."""
    if row.verdict == "new":
        return row.model_copy(update={"verdict": "only in current"})
    return row.model_copy(update={"verdict": "only in baseline"}) if row.verdict == "gone" else row


def _baseline_has_calls(comparison: Comparison) -> bool:
    """Whether the period before contains any call."""
    return any(row.figure == "total_calls" and row.baseline for row in comparison.figures or [])


def is_divided(reading: ChartReading) -> bool:
    """Whether a chart shows groups over time."""
    config, by = reading.target.config, reading.target.config.group_by or {}
    return config.chart_type == "bar" and by.get("type") == "field" and config.period in GROUP_STEPS


def by_baseline(
    current: Measurement,
    baseline: Measurement,
    against: str,
    *,
    alike: bool,
    limited_by: str | None = None,
    earlier: BucketsByGroup = NO_BUCKETS,
    shares: list[GroupShareChange] | None = None,
) -> GroupChanges | None:
    """Group changes between two measurements.

    ``alike``: both cover the same weekdays. ``limited_by``: why a change is ``possible`` at most, for another reason.
    ``earlier``: the days before both. ``shares``: the groups of whose calls another share is evaluated.
    """
    if current.kind not in {"mean", "total"}:
        return None
    changes = group_changes(
        current.grouped,
        baseline.grouped,
        additive=current.kind == "total",
        ratio=max(current.scale, baseline.scale),
        most="clear" if alike and limited_by is None else "possible",
        against=against,
        earlier=earlier,
    )
    if changes is None:
        return None
    groups = {share.group for share in shares or []}
    top = [
        row.model_copy(update={"verdict": "possible"}) if row.group in groups and row.verdict == "clear" else row
        for row in changes.top
    ]
    update = {"top": top, "limited_by": limited_by if top else None, "evaluated_shares": shares}
    return changes.model_copy(update=update)


def _floored(moment: datetime, step: timedelta) -> datetime:
    hour = moment.replace(minute=0, second=0, microsecond=0)
    return hour.replace(hour=0) if step >= timedelta(days=1) else hour


def by_halves(
    reading: ChartReading, options: ReportOptions, changed_at: datetime | None, history: ChartReading | None = None
) -> GroupChanges | None:
    """The later half of the whole steps in the window compared with the earlier half; None if they are too few.

    ``changed_at``: where the level changed, if it did. Then as many steps after it as before are compared, because
    halves that meet elsewhere would hide the group; the step before it, which may be mixed, is left out.
    ``history``: of the groups.
    """
    chart, step = reading.chart, GROUP_STEPS[reading.target.config.period]
    zone = options.clock.zone if reading.target.local_days else UTC
    start, end = (_floored(moment.astimezone(zone), step) for moment in (reading.window.start, reading.window.end))
    start += step * (start < reading.window.start)
    half = (end - start) // step // 2
    first = before = end - half * step
    if changed_at is not None:
        first = _floored(changed_at.astimezone(zone), step)
        before = first - step
        half = min((end - first) // step, (before - start) // step)
    if chart is None or half < MIN_STEPS:
        return None
    later, earlier = Window(first, first + half * step, ""), Window(before - half * step, before, "")
    halves = [replace(reading, window=part) for part in (later, earlier)]
    measures = [measure_of(side, chart, options.names, clock=options.clock) for side in halves]
    reason = change_of_share(halves[0], halves[1], options.clock)
    against = " against ".join(
        f"{format_instant(part.start)} to {format_instant(part.end)}" for part in (later, earlier)
    )
    alike = (half * step) % WEEK == timedelta(0)
    before_both = groups_before((halves[0], halves[1]), history, options.names)
    shares = changes_by_group(halves[0], halves[1], options.names)
    return by_baseline(
        measures[0], measures[1], against, alike=alike, limited_by=reason, earlier=before_both, shares=shares
    )


HOUR_LONG, DAY_LONG = timedelta(hours=1), timedelta(days=1)


def without_repeated_outages(targets: Sequence[Target], reports: Sequence[WidgetReport]) -> list[WidgetReport]:
    """The reports, with each outage of the same calls in one chart, preferably a count, which names the others."""
    first, results = dict[str, int](), [*reports]
    for place in sorted(range(len(reports)), key=lambda i: targets[i].config.function != "count"):
        report, target = results[place], targets[place]
        gaps = [item for item in report.findings or [] if isinstance(item, Gap)]
        if not gaps or report.widget.id is None:
            continue
        key = _key_of_calls(target)
        if first.setdefault(key, place) == place:
            continue
        main = results[first[key]]
        known = [item for item in main.findings or [] if isinstance(item, Gap)]
        repeats = [gap for gap in gaps if any(is_one_event(_ends(gap), _ends(other)) for other in known)]
        if not repeats:
            continue
        others = [
            _merged_outage(item, repeats, report.widget.id) if isinstance(item, Gap) else item
            for item in main.findings or []
        ]
        results[first[key]] = main.model_copy(update={"findings": others})
        left = [item for item in report.findings or [] if item not in repeats]
        results[place] = report.model_copy(update={"findings": left, "outage_of": main.widget.id})
    return [_without_remnants(target, report, results, first) for target, report in zip(targets, results, strict=True)]


def _without_remnants(
    target: Target, report: WidgetReport, results: Sequence[WidgetReport], first: Mapping[str, int]
) -> WidgetReport:
    """A report of totals without the buckets of few calls that an outage of the same calls causes."""
    place = first.get(_key_of_calls(target))
    if place is None or results[place].widget.id == report.widget.id or target.config.function not in ADDITIVE:
        return report
    gaps = [_ends(item) for item in results[place].findings or [] if isinstance(item, Gap)]
    left = [item for item in report.findings or [] if not (isinstance(item, Unusual) and _is_remnant_of(item, gaps))]
    if len(left) == len(report.findings or []):
        return report
    return report.model_copy(update={"findings": left, "outage_of": results[place].widget.id})


def _is_remnant_of(item: Unusual, gaps: Sequence[tuple[datetime, datetime]]) -> bool:
    start = moment_of(item.start)
    end = start + item.buckets * (DAY_LONG if len(item.start) == len("2026-11-12") else HOUR_LONG)
    return item.value < item.expected and any(start <= until and since <= end for since, until in gaps)


def _key_of_calls(target: Target) -> str:
    return json_text([target.calls, target.project or target.dashboard])


def _merged_outage(gap: Gap, others: Sequence[Gap], widget: int) -> Gap:
    """An outage merged with that of another widget: by the hour, and from the last call, if either shows that."""
    same = [other for other in others if is_one_event(_ends(gap), _ends(other))]
    if not same:
        return gap
    start, expected = gap.start, gap.expected_calls
    for other in same:
        earlier = moment_of(start) - moment_of(other.start)
        if gap.still and other.still and timedelta(0) < earlier:
            start, expected = other.start, expected if earlier <= HOUR_LONG else other.expected_calls
    update = {"start": start, "expected_calls": expected, "widgets": [*(gap.widgets or []), widget]}
    return gap.model_copy(update=update)


def _ends(gap: Gap) -> tuple[datetime, datetime]:
    return moment_of(gap.start), moment_of(gap.end)
