"""Tests of a chart over its history, if both count the same calls."""

import math
from collections import defaultdict
from collections.abc import Mapping

from msgspec import Struct

from cekura_dashboards.api.chart_data import Chart
from cekura_dashboards.charts.rows import TimeParser, bar_rows, line_rows, span_of, unit_of
from cekura_dashboards.charts.target import ChartReading
from cekura_dashboards.stats.change import LabelSeries
from cekura_dashboards.stats.detect import detect
from cekura_dashboards.stats.findings import Outcome
from cekura_dashboards.stats.numbers import SCALES, exact
from cekura_dashboards.stats.time_series import TimeSeries
from cekura_dashboards.stats.timeline import PERIODS, STEPS, Clock, Span, is_partial
from cekura_dashboards.summaries.bar import bar_outcome
from cekura_dashboards.summaries.buckets import fill_empty, merge_groups
from cekura_dashboards.summaries.line import line_time_series
from cekura_dashboards.summaries.model import Bucket
from cekura_dashboards.values import replace

MIN_SHARE = 0.03
"""The smallest share of all calls with which a label is tested by itself."""
MAX_DIFFERENCE = 0.005
"""The relative difference allowed between two answers of the API at nearly the same time."""


def findings_over_history(
    history: ChartReading | None, reading: ChartReading, chart: Chart, clock: Clock, names: dict[str, str]
) -> Outcome | None:
    """The findings of the tests on a history that concern the chart's window.

    None: there is no history, and the chart itself is to be tested. Nothing is tested if they count different calls.
    """
    if history is None or history.chart is None:
        return None
    past = _past(history, history.chart, names)
    if not past.observed or _is_out_of_step(past, chart):
        return None
    if (reason := disagreement(history, reading, chart, names)) is not None:
        return Outcome(not_tested=[f"trend, steps, unusual, gaps: {reason}"])
    config, window = history.target.config, past.times.local(span_of(reading))
    unit = unit_of(config, history.chart, [bucket.value for bucket in past.observed])
    if chart.chart_type == "line" and line_rows(reading, chart, names).boolean and unit not in SCALES:
        unit = "ratio"
    return bar_outcome(config.function, config.period, unit, past.timed, past.span, clock, window)


def outcome_of(history: ChartReading, chart: Chart, clock: Clock, window: Span, names: dict[str, str]) -> Outcome:
    """All tests on a history; only findings that concern ``window`` are reported."""
    past, config = _past(history, chart, names), history.target.config
    if not past.observed:
        return Outcome()
    unit = unit_of(config, chart, [bucket.value for bucket in past.observed])
    return bar_outcome(config.function, config.period, unit, past.timed, past.span, clock, past.times.local(window))


def label_outcomes(
    history: ChartReading, clock: Clock, window: Span, names: dict[str, str]
) -> dict[str | None, LabelSeries]:
    """The share of each larger label in a history of the calls by label, and the tests on it."""
    if history.chart is None:
        return {}
    rows = bar_rows(history, history.chart, names)
    step = STEPS[PERIODS[history.target.config.period]]
    sums, counts = defaultdict[float, float](float), defaultdict[str | None, dict[float, float]](dict)
    for bucket in rows.buckets:
        sums[bucket.time] += bucket.value or 0.0
        counts[bucket.group][bucket.time] = bucket.value or 0.0
    whole = [time for time in sorted(sums) if sums[time] > 0 and not is_partial(time, step, rows.span)]
    every = math.fsum(sums.values())
    larger = {
        label: label_counts
        for label, label_counts in counts.items()
        if math.fsum(label_counts.values()) >= MIN_SHARE * every
    }
    local, outcomes = rows.times.local(window), dict[str | None, LabelSeries]()
    for label, shares_of_label in larger.items():
        shares = [shares_of_label.get(time, 0.0) / sums[time] for time in whole]
        course = TimeSeries(whole, shares, [sums[time] for time in whole], step, scale="rate")
        outcomes[label] = LabelSeries(course, detect(course, window=local, clock=clock))
    return outcomes


class _Past(Struct, frozen=True):
    """The buckets of a history with data, all of them from the first on, and the time that they cover."""

    observed: list[Bucket]
    timed: list[Bucket]
    span: Span
    times: TimeParser


def _past(history: ChartReading, chart: Chart, names: dict[str, str]) -> _Past:
    """Computed once, also for charts that share the history."""
    return history.memoise(("past", *names.items()), lambda: _past_of(history, chart, names))


def _is_out_of_step(past: _Past, chart: Chart) -> bool:
    """Whether the buckets begin by the API's local time, which single calls do not."""
    return chart.chart_type == "line" and any(past.times.offsets)


def _past_of(history: ChartReading, chart: Chart, names: dict[str, str]) -> _Past:
    config, rows = history.target.config, bar_rows(history, chart, names)
    observed = [bucket for bucket in rows.buckets if bucket.value is not None]
    first = min((bucket.time for bucket in observed), default=rows.span.start)
    span = replace(rows.span, start=max(rows.span.start, first))
    timed = fill_empty(config.function, config.period, merge_groups(config.function, rows.buckets), span)
    return _Past(observed, timed, span, rows.times)


def disagreement(history: ChartReading, reading: ChartReading, chart: Chart, names: dict[str, str]) -> str | None:
    """How a chart and its history differ about the calls of the window; None if they agree, or cannot be compared."""
    return reading.memoise("disagreement", lambda: _by_what_came(history, reading, chart, names))


def _by_what_came(history: ChartReading, reading: ChartReading, chart: Chart, names: dict[str, str]) -> str | None:
    """Days made of hours are compared by their hours, as a day that the window cuts is no full bucket."""
    if history.hours is None or reading.hours is None:
        return _disagreement(history, reading, chart, names)
    return _disagreement(history.by_hour(), reading.by_hour(), reading.hours, names)


def _disagreement(history: ChartReading, reading: ChartReading, chart: Chart, names: dict[str, str]) -> str | None:
    if history.chart is None or _is_out_of_step(_past(history, history.chart, names), chart):
        return None
    step = STEPS[PERIODS[history.target.config.period]]
    past, mine = _past(history, history.chart, names), _chart_calls(reading, chart, names, step)
    theirs = {bucket.time: float(bucket.n if bucket.n is not None else bucket.value or 0) for bucket in past.timed}
    slack = line_rows(reading, chart, names).calls.nulls if chart.chart_type == "line" else 0
    both = [time for time in mine if not is_partial(time, step, past.span)]
    return differ(*(sum(side_counts.get(time, 0.0) for time in both) for side_counts in (mine, theirs)), slack=slack)


def differ(own: float | None, alone: float | None, *, slack: int = 0) -> str | None:
    """How the calls of a chart differ, read with its dashboard and without; None if they do not.

    ``slack``: calls without a value, which an average over time may count or not.
    """
    if own is None or alone is None:
        return None
    allowed = max(2.0, MAX_DIFFERENCE * max(own, alone))
    if -allowed <= alone - own <= allowed + slack:
        return None
    return (
        f"read without its dashboard, as an earlier time must be, the chart holds {exact(alone)} calls and not "
        f"{exact(own)}: those of agents that are not listed any more may be missing"
    )


def _chart_calls(reading: ChartReading, chart: Chart, names: dict[str, str], step: int) -> Mapping[float, float]:
    """The calls of the chart in each full bucket of its window."""
    if chart.chart_type == "line":
        lines = line_rows(reading, chart, names)
        counts, _ = line_time_series(lines.calls, lines.span, boolean=lines.boolean, step=step)
        return {time: float(n or 0) for time, n in zip(counts.times, counts.n, strict=True)}
    rows = bar_rows(reading, chart, names)
    whole = [
        bucket
        for bucket in merge_groups(reading.target.config.function, rows.buckets)
        if _is_full(bucket, step, rows.span)
    ]
    return {b.time: float(b.n if b.n is not None else b.value or 0) for b in whole}


def _is_full(bucket: Bucket, step: int, span: Span) -> bool:
    return bucket.value is not None and not is_partial(bucket.time, step, span)
