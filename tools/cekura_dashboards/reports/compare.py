"""Comparisons of a chart with another window, or with other calls.

Each reading becomes a sample; ``stats.compare`` tests the difference between current and baseline.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import dropwhile
from typing import Any, cast
from zoneinfo import ZoneInfo

from msgspec import Struct, field

from cekura_dashboards.api.chart_data import Chart
from cekura_dashboards.api.errors import InvalidArguments
from cekura_dashboards.api.filters import both, fields_of, in_words, without_fields_of
from cekura_dashboards.api.models import JsonObject
from cekura_dashboards.charts.companions import (
    DURATION,
    LABELS,
    MAX_HISTORIES,
    RATE,
    TOTAL,
    change_of_share,
    daily_bars,
    differ,
    disagreement,
    histories,
    key_of_whole,
    measure_key,
    whole_values,
    whole_window_bars,
    with_groups,
)
from cekura_dashboards.charts.read import raise_if_all_failed, read_charts
from cekura_dashboards.charts.rows import (
    bar_rows,
    by_cluster,
    line_rows,
    pie_slices,
    span_of,
    stat_figures,
    uncovered_notes,
    unit_of,
    unit_of_rate,
    whole_hours_of,
)
from cekura_dashboards.charts.target import (
    PERIOD_BEFORE,
    ChartReading,
    Target,
    Window,
    format_instant,
    has_a_period_before,
    other_window,
)
from cekura_dashboards.context import ToolContext
from cekura_dashboards.reports.report import ReportOptions, changes_of_parts
from cekura_dashboards.stats.compare import compare
from cekura_dashboards.stats.findings import SCALES, Comparison, Finding, MeasureKind, limited
from cekura_dashboards.stats.group_model import NO_BUCKETS, BucketsByGroup, GroupedSample
from cekura_dashboards.stats.significance import Sample, SampleBucket, VerdictTerms
from cekura_dashboards.stats.timeline import DAY, HOUR, UTC_CLOCK, Clock, day_starts, is_partial, iso
from cekura_dashboards.summaries.bar import combine, fill_empty, merge_groups, total
from cekura_dashboards.summaries.model import Bucket
from cekura_dashboards.text import counted
from cekura_dashboards.values import replace

MIN_DAYS = 3
"""The minimum whole days for the variance of a share."""
MAX_DIFFERENCE = 0.02
"""Allowed relative difference of two counts of the same calls, besides the hours that a window cuts. A choice."""
KINDS: dict[str, MeasureKind] = {"avg": "mean", "min": "extreme", "max": "extreme", "count": "total", "sum": "total"}
"""The kinds of measures by function; all others are percentiles."""


class Measurement(Struct, frozen=True):
    """The sample of one reading, and the kind of its measure.

    ``scale``: the number that a rate of 100 % is written as, 0 for other measures. ``untested``: parts of
    the window without data. ``clock``: the clock of its days. ``grouped``: the groups of a bar over time.
    """

    kind: MeasureKind
    sample: Sample
    scale: float
    untested: list[str]
    clock: Clock = UTC_CLOCK
    grouped: GroupedSample = field(default_factory=lambda: GroupedSample({}, {}))


def measure_of(
    reading: ChartReading,
    chart: Chart,
    names: dict[str, str],
    daily_bars: Mapping[str, ChartReading] | None = None,
    clock: Clock = UTC_CLOCK,
) -> Measurement:
    """The sample of a reading. ``daily_bars``: bars with the variation of figures or labels over time.

    ``clock``: the clock that groups hours and calls into days; days from the API stay as they are.
    """
    seconds = (reading.window.end - reading.window.start).total_seconds()
    if chart.chart_type == "stat":
        figures = dict[str | None, float]((name, v) for name, v in stat_figures(chart)[0].items() if v is not None)
        series_by_part = _figures_over_time(reading, daily_bars or {}, figures.get(TOTAL, 0.0), names, clock)
        sample = Sample([], seconds, parts=figures, over_time=series_by_part)
        return Measurement("figures", sample, 0.0, uncovered_notes(reading), clock)
    if chart.chart_type == "pie":
        slices = ((piece.label, piece.value) for piece in pie_slices(chart, names))
        sample = _labels_sample(slices, reading.window, daily_bars or {}, names)
        return Measurement("shares", sample, 0.0, uncovered_notes(reading), clock_of_api_days(clock))
    if chart.chart_type == "line":
        return _line_sample(reading, chart, names, seconds, clock)
    return _bar_sample(reading, chart, names, seconds, clock)


def clock_of_api_days(clock: Clock) -> Clock:
    """The clock of days from the API: its time zone, with the user's weekend."""
    return replace(clock, zone=UTC)


def labels_of(bar: ChartReading, names: dict[str, str]) -> Sample:
    """The calls of each label in a bar by label, and the label's share by day."""
    buckets = bar_rows(bar, bar.chart, names).buckets if bar.chart is not None else []
    return _labels_sample(((b.group, b.value or 0.0) for b in buckets), bar.window, {LABELS: bar}, names)


def _labels_sample(
    calls: Iterable[tuple[str | None, float]], window: Window, daily_bars: Mapping[str, ChartReading],
    names: dict[str, str],
) -> Sample:  # fmt: skip
    """``calls``: labels with numbers of calls; a label may occur several times."""
    parts = defaultdict[str | None, float](float)
    for label, count in calls:
        parts[label] += count
    over_time = _labels_over_time(window, daily_bars, parts, names) or _rate_over_time(window, daily_bars, names)
    seconds = (window.end - window.start).total_seconds()
    return Sample([], seconds, parts=parts, over_time=over_time, n=math.fsum(parts.values()))


def _figures_over_time(
    reading: ChartReading, daily_bars: Mapping[str, ChartReading], total: float, names: dict[str, str], clock: Clock
) -> dict[str | None, Sequence[SampleBucket]]:
    figures = dict[str | None, Sequence[SampleBucket]]()
    for name, bar in daily_bars.items():
        part = whole_hours_of(bar.by_hour(), reading.window)
        if part is None or part.chart is None:
            continue
        side = _bar_sample(part, part.chart, names, 0.0, clock).sample
        figures[name] = side.buckets
        if name == DURATION and _agree(side.n, total, reading.window):
            figures[TOTAL] = [cell._replace(value=cell.n or 0.0) for cell in side.buckets]
    return figures


def _labels_over_time(
    window: Window, daily_bars: Mapping[str, ChartReading], labels: Iterable[str | None], names: dict[str, str]
) -> dict[str | None, Sequence[SampleBucket]]:
    """The share of each label by day; empty with too few whole days, or if the labels differ from the chart's."""
    bar = daily_bars.get(LABELS)
    if bar is None or bar.chart is None:
        return {}
    rows = bar_rows(replace(bar, window=window), bar.chart, names)
    days = defaultdict[float, dict[str | None, float]](dict)
    for bucket in rows.buckets:
        if not is_partial(bucket.time, DAY, rows.span):
            days[bucket.time][bucket.group] = days[bucket.time].get(bucket.group, 0.0) + (bucket.value or 0.0)
    if len(days) < MIN_DAYS or not {label for day in days.values() for label in day} <= {*labels}:
        return {}
    sums = {time: math.fsum(day.values()) for time, day in sorted(days.items())}
    return {
        label: [SampleBucket(time, n, days[time].get(label, 0.0) / n) for time, n in sums.items() if n > 0]
        for label in labels
    }


def _rate_over_time(
    window: Window, daily_bars: Mapping[str, ChartReading], names: dict[str, str]
) -> dict[str | None, Sequence[SampleBucket]]:
    """The shares of true and of false by whole day; empty with too few of them."""
    bar = daily_bars.get(RATE)
    if bar is None or bar.chart is None:
        return {}
    rows = bar_rows(replace(bar, window=window), bar.chart, names)
    unit = unit_of_rate(bar, rows)
    days = [
        SampleBucket(bucket.time, float(bucket.n), bucket.value / unit)
        for bucket in merge_groups(bar.target.config.function, rows.buckets)  # a bar by group may replace the bar
        if bucket.value is not None and bucket.n and not is_partial(bucket.time, DAY, rows.span)
    ]
    if len(days) < MIN_DAYS:
        return {}
    return {"true": days, "false": [day._replace(value=1 - day.value) for day in days]}


def days_before(
    reading: ChartReading, side: Sample, history: ChartReading | None, daily_bars: Mapping[str, ChartReading],
    names: dict[str, str], clock: Clock = UTC_CLOCK,
) -> Sample:  # fmt: skip
    """The whole days before a chart's window, for the chart, its figures, or its labels."""
    end, over_time = reading.window.start, dict[str | None, Sequence[SampleBucket]]()
    for name, bar in daily_bars.items():
        if name == LABELS:
            over_time.update(_labels_over_time(replace(bar.window, end=end), daily_bars, side.over_time, names))
            continue
        if name == RATE:
            over_time.update(_rate_over_time(replace(bar.window, end=end), daily_bars, names))
            continue
        over_time[name] = _days_until(end, bar.by_hour(), names, clock)
        if name == DURATION and TOTAL in side.over_time:
            over_time[TOTAL] = [cell._replace(value=cell.n or 0.0) for cell in over_time[name]]
    return Sample(_days_until(end, history, names, clock), 0.0, over_time=over_time)


def _days_until(end: datetime, bar: ChartReading | None, names: dict[str, str], clock: Clock) -> list[SampleBucket]:
    """The whole days of a bar up to an instant, from the first with calls."""
    if bar is None or bar.chart is None:
        return []
    part = whole_hours_of(bar, replace(bar.window, end=end))
    if part is None:
        return []
    sample, span = _bar_sample(part, bar.chart, names, 0.0, clock).sample, bar_rows(part, bar.chart, names).span
    whole = [cell for cell in sample.buckets if not is_partial(cell.time, DAY, span)]
    return [*dropwhile(lambda cell: not cell.n and not cell.value, whole)]


def groups_before(
    sides: tuple[ChartReading, ChartReading], history: ChartReading | None, names: dict[str, str]
) -> BucketsByGroup:
    """The whole days of each group before current and baseline.

    Empty unless the history is daily, by the same groups, and counts the same calls.
    """
    if history is None or history.chart is None or (chart := sides[0].chart) is None:
        return NO_BUCKETS
    config = history.target.config
    if config.period != "day" or not config.group_by or config.group_by != sides[0].target.config.group_by:
        return NO_BUCKETS
    part = whole_hours_of(history, replace(history.window, end=min(side.window.start for side in sides)))
    if part is None or disagreement(history, sides[0], chart, names) is not None:
        return NO_BUCKETS
    rows = bar_rows(part, history.chart, names)
    whole = (b for b in rows.buckets if b.value is not None and not is_partial(b.time, DAY, rows.span))
    return _over_time(config.function, whole)


def _agree(n: float | None, total: float, window: Window) -> bool:
    """Whether a bar and a stat count the same calls, except in hours that the window cuts."""
    hours = (window.end - window.start).total_seconds() / HOUR
    return n is not None and abs(n - total) <= (MAX_DIFFERENCE + 4 / max(hours, 1.0)) * total


def _bar_sample(
    reading: ChartReading, chart: Chart, names: dict[str, str], seconds: float, clock: Clock
) -> Measurement:
    config, rows = reading.target.config, bar_rows(reading, chart, names)
    function, period = config.function, config.period
    kind = KINDS.get(function, "median")
    observed = [bucket for bucket in rows.buckets if bucket.value is not None]
    timed = fill_empty(function, period, merge_groups(function, observed), rows.span) if observed else []
    days = clock if period == "hour" and rows.span.zone else clock_of_api_days(clock)
    clusters = by_cluster(timed, rows.span, period, days)
    cells = [
        _sample_bucket(function, time, parts) for time, parts in clusters if any(p.value is not None for p in parts)
    ]
    groups = _groups(function, observed) if config.group_by else {}
    parts: dict[str | None, float] = {"value": combine(function, observed) or 0.0} if kind == "extreme" else {}
    scale = SCALES.get(unit_of(config, chart, [bucket.value for bucket in observed]), 0.0)
    calls, values = total(observed), whole_values(reading, names)
    if calls is None and function == "count":
        calls = round(math.fsum(bucket.value or 0.0 for bucket in observed))
    for name, value in values.by_group.items():
        if name in groups:
            groups[name] = groups[name][0], value.value
    side = Sample(cells, seconds, groups, parts, calls, whole=values.of_all.value if values.of_all else None)
    grouped = GroupedSample(groups, _over_time(function, observed) if config.group_by else {})
    return Measurement(kind, side, scale, rows.tested_span(reading)[1], days, grouped)


def _over_time(function: str, observed: Iterable[Bucket]) -> dict[str | None, list[SampleBucket]]:
    """The buckets of each group; in a count, a bucket's value is its number of calls."""
    buckets_by_group = defaultdict[str | None, list[SampleBucket]](list)
    for bucket in observed:
        n = bucket.value if function == "count" else bucket.n
        buckets_by_group[bucket.group].append(SampleBucket(bucket.time, n, bucket.value or 0.0))
    return dict(buckets_by_group)


def _sample_bucket(function: str, time: float, parts: list[Bucket]) -> SampleBucket:
    observed = [part for part in parts if part.value is not None]
    return SampleBucket(time, total(observed), combine(function, observed) or 0.0)


def _groups(function: str, observed: Iterable[Bucket]) -> dict[str | None, tuple[float, float]]:
    buckets_by_group = defaultdict[str | None, list[Bucket]](list)
    for bucket in observed:
        buckets_by_group[bucket.group].append(bucket)
    groups = dict[str | None, tuple[float, float]]()
    for name, parts in buckets_by_group.items():
        value = combine(function, parts) or 0.0
        groups[name] = (value if function == "count" else float(total(parts) or 0), value)
    return groups


def _line_sample(
    reading: ChartReading, chart: Chart, names: dict[str, str], seconds: float, clock: Clock
) -> Measurement:
    rows = line_rows(reading, chart, names)
    days = day_starts(rows.span.start, rows.span.end, clock)
    cells, n = rows.calls.by_day(days), len(rows.calls)
    split = {name: (float(len(values)), float(values.mean())) for name, values in rows.calls.groups.items()}
    scale = 1.0 if rows.boolean else 0.0
    return Measurement("mean", Sample(cells, seconds, split, {}, n), scale, rows.tested_span(reading)[1], clock)


class ComparedTargets(Struct, frozen=True):
    """A chart and its baseline: another target, or the reason why there is none. ``baseline`` None: no comparison.

    ``alike``: the chart read in the same way as the baseline, if the ways differ. ``filters``: of a baseline with
    other calls; ``left_out``: conditions of the chart that they replace. ``unasked``: the default comparison of a stat
    with the period before.
    """

    current: Target
    baseline: Target | InvalidArguments | None = None
    alike: Target | None = None
    filters: JsonObject | None = None
    left_out: tuple[JsonObject, ...] = ()
    unasked: bool = False


class ComparedReadings(Struct, frozen=True):
    """The readings of a chart, its baseline and, if requested, its history, which replaces ``alike``.

    ``daily_bars``: of current and baseline, bars of figures or labels over time. ``groups``: the history of each group.
    """

    targets: ComparedTargets
    current: ChartReading
    baseline: ChartReading | None = None
    alike: ChartReading | None = None
    history: ChartReading | None = None
    groups: ChartReading | None = None
    daily_bars: Sequence[Mapping[str, ChartReading]] = ({}, {})

    def has_empty_baseline(self, names: Mapping[str, str]) -> bool:
        """Whether the baseline was read and contains no call."""
        reading = self.baseline
        if reading is None or reading.chart is None:
            return False
        return has_no_calls(measure_of(reading, reading.chart, dict(names), self.daily_bars[1]))


def compared_targets(
    targets: Sequence[Target], how: str | None, filters: JsonObject | None, now: datetime, zone: ZoneInfo
) -> list[ComparedTargets]:
    """Each target with its baseline; by default a stat is compared with the period before.

    Raises:
        InvalidArguments: if none can be compared as asked.
    """
    if not how and filters is None:
        return [
            _read_like_baseline(ComparedTargets(target, _period_before(target, now, zone), unasked=True), now)
            for target in targets
        ]
    if filters is not None:
        return [_read_like_baseline(_against_other_calls(target, filters), now) for target in targets]
    pairs = [_read_like_baseline(ComparedTargets(target, _baseline(target, how, now, zone)), now) for target in targets]
    errors = [sides.baseline for sides in pairs if isinstance(sides.baseline, InvalidArguments)]
    if errors and len(errors) == len(pairs):
        raise errors[0]
    return pairs


def _against_other_calls(target: Target, filters: JsonObject) -> ComparedTargets:
    """The chart compared with other calls: the filters replace the chart's conditions on the same fields.

    A saved widget keeps its own conditions whatever is sent, so it is read without its dashboard then.
    """
    filters_left, out = without_fields_of(target.filters, filters)
    extra, more = without_fields_of(target.extra, filters)
    baseline = replace(target, filters=filters_left, extra=both(extra, filters), alone=target.alone or bool(out))
    return ComparedTargets(target, baseline, filters=filters, left_out=(*out, *more))


def _baseline(target: Target, how: str | None, now: datetime, zone: ZoneInfo) -> Target | InvalidArguments:
    if not how or target.window is None:
        return target
    try:
        return replace(target, window=other_window(target.window, how, now, zone))
    except InvalidArguments as error:
        return error


def _period_before(target: Target, now: datetime, zone: ZoneInfo) -> Target | None:
    if target.config.chart_type != "stat" or target.window is None:
        return None
    if not has_a_period_before(target.window, now, zone):
        return None
    return replace(target, window=other_window(target.window, PERIOD_BEFORE, now, zone))


def _read_like_baseline(sides: ComparedTargets, now: datetime) -> ComparedTargets:
    """Read the chart again without its dashboard if its baseline is: the two may count different calls."""
    if not isinstance(sides.baseline, Target) or sides.current.alone or sides.current.goes_beyond(now):
        return sides
    if not (sides.baseline.alone or sides.baseline.goes_beyond(now)):
        return sides
    return replace(sides, alike=replace(sides.current, alone=True))


async def read_compared(
    context: ToolContext, pairs: Sequence[ComparedTargets]
) -> tuple[list[ComparedReadings], list[str]]:
    """Every chart, its baseline and its history, read concurrently; and notes on histories that were not read.

    Raises:
        DashboardsError: for a key that is not accepted; or if all charts failed alike.
    """
    keys, measures, without, without_groups = list[str | None]([None] * len(pairs)), dict[str, Target](), 0, 0
    daily_bars, keys_of_groups = [_NO_BARS] * len(pairs), list[str | None]([None] * len(pairs))
    if context.settings.history:
        current = [sides.current for sides in pairs]
        keys, measures, without = histories(current, context.now())
        daily_bars, measures = _daily_bars_of(pairs, measures, context.now())
        keys_of_groups, without_groups = with_groups(current, keys, measures)
    targets = dict[str | tuple[int, str], Target]()
    for place, (sides, history) in enumerate(zip(pairs, keys, strict=True)):
        alike = sides.alike if history is None else None
        for name, target in (("current", sides.current), ("baseline", sides.baseline), ("alike", alike)):
            if isinstance(target, Target):
                targets[place, name] = target
    whole = {place: whole_window_bars(target) for place, target in targets.items()}
    targets |= {key_of_whole(bar): bar for bars in whole.values() for bar in bars}
    for key, measure in measures.items():  # after the charts, because requests are limited
        targets[key] = measure
    read = dict(zip(targets, await read_charts(context, [*targets.values()]), strict=True))
    for read_key, bars in whole.items():
        read[read_key] = replace(read[read_key], whole=tuple(read[key_of_whole(bar)] for bar in bars))
    compared_readings = [
        ComparedReadings(
            sides,
            read[place, "current"],
            read.get((place, "baseline")),
            read.get((place, "alike")),
            read[history] if history else None,
            read[groups] if groups else None,
            [{name: read[key] for name, key in side.items()} for side in bars],
        )
        for place, (sides, history, groups, bars) in enumerate(
            zip(pairs, keys, keys_of_groups, daily_bars, strict=True)
        )
    ]
    raise_if_all_failed([sides.current for sides in compared_readings])
    tested = {
        f"{counted(without, 'chart')} tested over the window only": without,
        f"groups of {counted(without_groups, 'chart')} compared without the days before": without_groups,
    }
    notes = [f"{words}: at most {MAX_HISTORIES} histories are read" for words, charts in tested.items() if charts]
    return compared_readings, notes


_Bars = tuple[dict[str, str], dict[str, str]]
"""The keys of the daily bars of current and baseline, by figure."""
_NO_BARS: _Bars = ({}, {})


def _daily_bars_of(
    pairs: Sequence[ComparedTargets], measures: dict[str, Target], now: datetime
) -> tuple[list[_Bars], dict[str, Target]]:
    """The daily bars of each compared chart, and all targets by key, including these bars."""
    all_measures, room = {**measures}, MAX_HISTORIES - len(measures)

    def shared(target: Target) -> dict[str, str]:
        nonlocal room
        bars = daily_bars(target, now)
        keys = {name: measure_key(bar) for name, bar in bars.items()}
        fresh = {*keys.values()} - {*all_measures}
        if len(fresh) > room:
            return {}
        room -= len(fresh)
        for name, bar in bars.items():
            shared_bar = all_measures.get(keys[name], bar)
            all_measures[keys[name]] = replace(shared_bar, by_hours=shared_bar.by_hours or bar.by_hours)
        return keys

    bars_by_chart = [
        (shared(sides.current), shared(sides.baseline)) if isinstance(sides.baseline, Target) else _NO_BARS
        for sides in pairs
    ]
    return bars_by_chart, all_measures


def compare_readings(
    sides: ComparedReadings, tests: int, options: ReportOptions, changes: Sequence[Finding] = ()
) -> Comparison:
    """The comparison of one widget.

    ``tests``: the number of comparisons in this answer. ``changes``: in the chart over time, which may explain it.
    """
    filters, names = sides.targets.filters, options.names
    if isinstance(sides.targets.baseline, InvalidArguments):
        return Comparison(not_compared=sides.targets.baseline.details)
    other = cast("ChartReading", sides.baseline)
    about: dict[str, Any] = {
        "start": format_instant(other.window.start),
        "end": format_instant(other.window.end),
        **({"where": in_words(other.target.calls, names)} if filters else {"against": other.window.source}),
    }
    reading = sides.current
    if reading.chart is None or other.chart is None:
        return Comparison(**about, not_compared=f"the baseline could not be read: {other.error or reading.error}")
    current = measure_of(reading, reading.chart, names, sides.daily_bars[0], options.clock)
    baseline = measure_of(other, other.chart, names, sides.daily_bars[1], options.clock)
    if baseline.untested and other.chart.chart_type in {"bar", "line"}:
        return Comparison(**about, not_compared=baseline.untested[0])
    if filters and has_no_calls(baseline):
        return Comparison(**about, not_compared="no calls match in the baseline")
    notes = [*(note for note in other.notes if note not in sides.current.notes), *baseline.untested]
    notes += _relation_of_sides(sides.targets, names)
    notes += _replacement(current.sample, baseline.sample) if filters else []
    is_count = reading.target.config.aggregation_function == "count"
    terms = VerdictTerms(strongest_verdict="possible" if other.window.weekdays_differ else "clear", clock=current.clock)
    if not filters:
        of_parts = changes_of_parts(sides.daily_bars[0], options.clock, span_of(reading), names)
        terms = replace(terms, changes=changes, changes_of_parts=of_parts)
        earlier_days = days_before(reading, current.sample, sides.history, sides.daily_bars[0], names, options.clock)
        terms = replace(terms, earlier_days=earlier_days)
    comparison = compare(
        current.kind,
        current.sample,
        baseline.sample,
        terms,
        ratio=max(current.scale, baseline.scale),
        counted=is_count,
    )
    if (reason := reading_difference(sides, reading.chart, options)) is not None:
        comparison = comparison.without_verdicts(reason)
    if not filters:
        comparison = limited(comparison, change_of_share(reading, other, options.clock))
    return comparison.among(tests).model_copy(update={**about, "notes": [*(comparison.notes or []), *notes] or None})


def _replacement(current: Sample, baseline: Sample) -> list[str]:
    """A note if the current calls begin when those of the baseline end, as with a release."""
    days = [[cell.time for cell in side.buckets if cell.n or cell.value] for side in (current, baseline)]
    if not all(days):
        return []
    (first, last), (baseline_first, baseline_last) = ((min(times), max(times)) for times in days)
    overlap = {*days[0]} & {*days[1]}
    if not baseline_first < first <= baseline_last + DAY or baseline_last >= last or len(overlap) > 1:
        return []
    begins = iso(first, step=DAY)[:10]
    return [
        f"one replaced the other: these calls begin on {begins}, where those of the baseline end; their days differ too"
    ]


def has_no_calls(measure: Measurement) -> bool:
    """Whether a measurement contains no call."""
    side = measure.sample
    return not (side.n or any(cell.n or cell.value for cell in side.buckets) or any(side.parts.values()))


def _relation_of_sides(pair: ComparedTargets, names: dict[str, str]) -> list[str]:
    """Notes on how current and baseline calls are related, if they differ by filters."""
    if pair.filters is None:
        return []
    if pair.left_out:
        return [f"replaced in the baseline: {'; '.join(in_words(node, names) for node in pair.left_out)}"]
    fields = {*fields_of(pair.filters)}
    if fields & {*fields_of(pair.current.calls)}:
        return []
    return ["the baseline is a subset of the current calls; narrow those to the other group with `filters`"]


def reading_difference(sides: ComparedReadings, chart: Chart, options: ReportOptions) -> str | None:
    """Why current and baseline may count different calls, as they were read in different ways; None if they agree."""
    if sides.targets.alike is None:
        return None
    if sides.history is not None:
        if sides.history.chart is None:
            return f"it is unknown whether both windows count the same calls: {sides.history.error}"
        return disagreement(sides.history, sides.current, chart, options.names)
    if sides.alike is None or sides.alike.chart is None:
        return "it is unknown whether both windows count the same calls"
    own, alone = (
        measure_of(reading, side_chart, options.names).sample
        for reading, side_chart in ((sides.current, chart), (sides.alike, sides.alike.chart))
    )
    return differ(*(side.n if side.n is not None else side.parts.get("total_calls") for side in (own, alone)))
