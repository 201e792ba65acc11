"""From a reading to one side of a comparison."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import dropwhile

from msgspec import Struct, field

from cekura_dashboards.api.chart_data import Chart
from cekura_dashboards.charts.history import LABELS
from cekura_dashboards.charts.rows import bar_rows, line_rows, pie_slices, stat_figures, uncovered_notes, unit_of
from cekura_dashboards.charts.target import ChartReading
from cekura_dashboards.charts.window import Window
from cekura_dashboards.stats.decomposition import GroupedSample
from cekura_dashboards.stats.findings import MeasureKind
from cekura_dashboards.stats.numbers import SCALES
from cekura_dashboards.stats.significance import Sample, SampleBucket
from cekura_dashboards.stats.timeline import DAY, HOUR, Span, is_partial
from cekura_dashboards.summaries.buckets import combine, fill_empty, merge_groups, total
from cekura_dashboards.summaries.model import Bucket
from cekura_dashboards.values import replace

FEW_DAYS = 3
"""From fewer whole days it is not known how a share varies."""
TOLERATED = 0.02
DURATION, TOTAL = "avg_duration", "total_calls"
"""The figure of a stat whose bar counts the calls, and that of their number."""


class Measurement(Struct, frozen=True):
    """One side, and what kind of measure it is.

    ``scale``: what a rate of one is written as, 0 for what is no rate. ``untested``: what of the window was not seen.
    ``grouped``: its groups over time, where it is a bar.
    """

    kind: MeasureKind
    sample: Sample
    scale: float
    untested: list[str]
    grouped: GroupedSample = field(default_factory=lambda: GroupedSample({}, {}))


def measure_of(
    reading: ChartReading, chart: Chart, names: dict[str, str], daily_bars: Mapping[str, ChartReading] | None = None
) -> Measurement:
    """``daily_bars``: bars that show how figures, or labels, vary over time."""
    seconds = (reading.window.end - reading.window.start).total_seconds()
    if chart.chart_type == "stat":
        figures: dict[str | None, float] = {
            name: value for name, value in stat_figures(chart)[0].items() if value is not None
        }
        series_by_part = _figures_over_time(reading, daily_bars or {}, figures.get(TOTAL, 0.0), names)
        return Measurement(
            "figures", Sample([], seconds, parts=figures, over_time=series_by_part), 0.0, uncovered_notes(reading)
        )
    if chart.chart_type == "pie":
        parts = defaultdict[str | None, float](float)
        for piece in pie_slices(chart, names):
            parts[piece.label] += piece.value
        n = math.fsum(parts.values())
        over_time = _labels_over_time(reading.window, daily_bars or {}, parts, names)
        return Measurement(
            "shares", Sample([], seconds, parts=parts, over_time=over_time, n=n), 0.0, uncovered_notes(reading)
        )
    if chart.chart_type == "line":
        return _line_sample(reading, chart, names, seconds)
    return _bar_sample(reading, chart, names, seconds)


def labels_of(bar: ChartReading, names: dict[str, str]) -> Sample:
    """The calls of each label in a bar by label, and its share of them by day."""
    parts = defaultdict[str | None, float](float)
    if bar.chart is not None:
        for bucket in bar_rows(bar, bar.chart, names).buckets:
            parts[bucket.group] += bucket.value or 0.0
    over_time = _labels_over_time(bar.window, {LABELS: bar}, parts, names)
    seconds = (bar.window.end - bar.window.start).total_seconds()
    return Sample([], seconds, parts=parts, over_time=over_time, n=math.fsum(parts.values()))


def _part_of(bar: ChartReading, window: Window) -> ChartReading | None:
    """What a bar over a longer time shows of a window, its cut hours left out; None where no hour is whole."""
    start, end = (moment.replace(minute=0, second=0, microsecond=0) for moment in (window.start, window.end))
    start += timedelta(hours=start < window.start)
    return replace(bar, window=replace(window, start=start, end=end)) if start < end else None


def _figures_over_time(
    reading: ChartReading, daily_bars: Mapping[str, ChartReading], total: float, names: dict[str, str]
) -> dict[str | None, Sequence[SampleBucket]]:
    figures = dict[str | None, Sequence[SampleBucket]]()
    for name, bar in daily_bars.items():
        part = _part_of(bar, reading.window)
        if part is None or part.chart is None:
            continue
        side = _bar_sample(part, part.chart, names, 0.0).sample
        figures[name] = side.buckets
        if name == DURATION and _agree(side.n, total, reading.window):
            figures[TOTAL] = [cell._replace(value=cell.n or 0.0) for cell in side.buckets]
    return figures


def _labels_over_time(
    window: Window, daily_bars: Mapping[str, ChartReading], labels: Iterable[str | None], names: dict[str, str]
) -> dict[str | None, Sequence[SampleBucket]]:
    """The share of each label by day; nothing where too few whole days are known, or there are other labels."""
    bar = daily_bars.get(LABELS)
    if bar is None or bar.chart is None:
        return {}
    rows = bar_rows(replace(bar, window=window), bar.chart, names)
    days = defaultdict[float, dict[str | None, float]](dict)
    for bucket in rows.buckets:
        if not is_partial(bucket.time, DAY, rows.span):
            days[bucket.time][bucket.group] = days[bucket.time].get(bucket.group, 0.0) + (bucket.value or 0.0)
    if len(days) < FEW_DAYS or not {label for day in days.values() for label in day} <= {*labels}:
        return {}
    sums = {time: math.fsum(day.values()) for time, day in sorted(days.items())}
    return {
        label: [SampleBucket(time, n, days[time].get(label, 0.0) / n) for time, n in sums.items() if n > 0]
        for label in labels
    }


def days_before(
    reading: ChartReading, side: Sample, history: ChartReading | None, daily_bars: Mapping[str, ChartReading],
    names: dict[str, str],
) -> Sample:  # fmt: skip
    """What is known of the whole days before a chart's window: of the chart, of its figures, or of its labels."""
    end, over_time = reading.window.start, dict[str | None, Sequence[SampleBucket]]()
    for name, bar in daily_bars.items():
        if name == LABELS:
            over_time.update(_labels_over_time(replace(bar.window, end=end), daily_bars, side.over_time, names))
            continue
        over_time[name] = _days_until(end, bar, names)
        if name == DURATION and TOTAL in side.over_time:
            over_time[TOTAL] = [cell._replace(value=cell.n or 0.0) for cell in over_time[name]]
    return Sample(_days_until(end, history, names), 0.0, over_time=over_time)


def _days_until(end: datetime, bar: ChartReading | None, names: dict[str, str]) -> list[SampleBucket]:
    """The whole days of a bar until then, from the first one with calls on."""
    end = end.replace(minute=0, second=0, microsecond=0)
    start = bar.window.start if bar is not None else end
    days = (end - start) // timedelta(days=1)
    if bar is None or bar.chart is None or days < 1:
        return []
    part = _part_of(bar, replace(bar.window, start=end - timedelta(days=days), end=end))
    if part is None:
        return []
    sample, span = _bar_sample(part, bar.chart, names, 0.0).sample, bar_rows(part, bar.chart, names).span
    whole = [cell for cell in sample.buckets if not is_partial(cell.time, DAY, span)]
    return [*dropwhile(lambda cell: not cell.n and not cell.value, whole)]


def _agree(n: float | None, total: float, window: Window) -> bool:
    """Whether a bar and a stat hold the same calls, but for a cut hour or two."""
    hours = (window.end - window.start).total_seconds() / HOUR
    return n is not None and abs(n - total) <= (TOLERATED + 4 / max(hours, 1.0)) * total


def _bar_sample(reading: ChartReading, chart: Chart, names: dict[str, str], seconds: float) -> Measurement:
    config, rows = reading.target.config, bar_rows(reading, chart, names)
    function, period = config.function, config.period
    kinds: dict[str, MeasureKind] = {
        "avg": "mean",
        "min": "extreme",
        "max": "extreme",
        "count": "total",
        "sum": "total",
    }
    kind = kinds.get(function, "median")
    observed = [bucket for bucket in rows.buckets if bucket.value is not None]
    timed = fill_empty(function, period, merge_groups(function, observed), rows.span) if observed else []
    clusters = _by_cluster(timed, rows.span, period)
    cells = [
        _sample_bucket(function, time, parts)
        for time, parts in clusters
        if any(part.value is not None for part in parts)
    ]
    groups = _groups(function, observed) if config.group_by else {}
    parts: dict[str | None, float] = {"value": combine(function, observed) or 0.0} if kind == "extreme" else {}
    scale = SCALES.get(unit_of(config, chart, [bucket.value for bucket in observed]), 0.0)
    whole = total(observed)
    if whole is None and function == "count":
        whole = round(math.fsum(bucket.value or 0.0 for bucket in observed))
    side = Sample(cells, seconds, groups, parts, whole)
    return Measurement(
        kind, side, scale, rows.tested_span(reading)[1], GroupedSample(groups, _over_time(function, observed))
    )


def _over_time(function: str, observed: Iterable[Bucket]) -> dict[str | None, list[SampleBucket]]:
    """The buckets of each group; of a count its own number of calls."""
    buckets_by_group = defaultdict[str | None, list[SampleBucket]](list)
    for bucket in observed:
        n = bucket.value if function == "count" else bucket.n
        buckets_by_group[bucket.group].append(SampleBucket(bucket.time, n, bucket.value or 0.0))
    return dict(buckets_by_group)


def _by_cluster(buckets: list[Bucket], span: Span, period: str) -> list[tuple[float, list[Bucket]]]:
    """Hours brought to days of the window, as hours of one day share what the day differs by; days as they are."""
    if period != "hour":
        return [(bucket.time, [bucket]) for bucket in buckets]
    clusters = defaultdict[float, list[Bucket]](list)
    for bucket in buckets:
        clusters[span.start + max(0.0, bucket.time - span.start) // DAY * DAY].append(bucket)
    return sorted(clusters.items())


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


def _line_sample(reading: ChartReading, chart: Chart, names: dict[str, str], seconds: float) -> Measurement:
    rows = line_rows(reading, chart, names)
    clusters = rows.calls.by(DAY, rows.span.start // rows.calls.grain * rows.calls.grain)
    cells = [
        SampleBucket(time, len(values), math.fsum(values) / len(values), math.fsum(value * value for value in values))
        for time, values in sorted(clusters.items())
    ]
    n = sum(len(values) for values in clusters.values())
    split = {name: (float(len(values)), math.fsum(values) / len(values)) for name, values in rows.calls.groups.items()}
    scale = 1.0 if rows.boolean else 0.0
    return Measurement("mean", Sample(cells, seconds, split, {}, n), scale, rows.tested_span(reading)[1])
