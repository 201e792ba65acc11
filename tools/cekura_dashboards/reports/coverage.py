"""Which calls a chart covers: of how many a metric was evaluated, and whether its history counts the same ones.

The share of calls evaluated is tested over time, as a change of it can explain one of the metric.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping

from msgspec import Struct
from pydantic import BaseModel, Field

from cekura_dashboards.api.chart_data import Chart
from cekura_dashboards.charts.companions import HOURLY_HISTORY, TESTED_PERIODS
from cekura_dashboards.charts.rows import TimeParser, bar_rows, line_rows, pie_slices, span_of
from cekura_dashboards.charts.target import ChartReading, Window
from cekura_dashboards.stats.evaluated import CAUTIOUS_Z, EvaluatedShare, Part
from cekura_dashboards.stats.findings import Number, Step, Unusual, exact
from cekura_dashboards.stats.time_series import floats
from cekura_dashboards.stats.timeline import PERIODS, STEPS, Clock, Span, floor_to, is_partial
from cekura_dashboards.summaries.bar import fill_empty, merge_groups
from cekura_dashboards.summaries.line import line_time_series
from cekura_dashboards.summaries.model import Bucket
from cekura_dashboards.text import counted, plain
from cekura_dashboards.values import np, replace

ARRIVING = 2
"""Calls, beside one in a hundred, that may arrive between two requests. A choice."""
NOT_QUALITY = "by sampling or trigger; not a change of quality"


class Evaluated(BaseModel):
    """Calls with a value of the metric, of all calls of the same filter and window."""

    n: int
    all_calls: int
    pct: Number
    share_changes: list[Step | Unusual] | None = Field(
        default=None, description="of the share, 0 to 1: by sampling or trigger, not a change of quality"
    )


def evaluated_calls(
    reading: ChartReading, n: int | None, share: EvaluatedShare | None
) -> tuple[Evaluated | None, list[str]]:
    """How many of the calls have a value; and notes if that is not known."""
    counts = reading.all_calls
    if counts is None or n is None:
        return None, []
    if counts.chart is None:
        return None, [f"of how many calls is unknown, as they could not be counted: {counts.error}"]
    calls = round(_calls_in(counts, reading.window))
    if n > calls:
        note = f"of how many calls is unknown: only {calls} were counted"
        return None, [note] if n > calls + ARRIVING + calls // 100 else []
    if not calls:
        return None, []
    changes = None if share is None else share.reported(_local_span(reading))
    return Evaluated(n=n, all_calls=calls, pct=exact(round(100 * n / calls, 1)), share_changes=changes or None), []


def evaluated_line(evaluated: Evaluated) -> str:
    return f"evaluated {evaluated.n} of {evaluated.all_calls} calls, {plain(evaluated.pct)} %"


def share_over_time(reading: ChartReading | None, clock: Clock) -> EvaluatedShare | None:
    """The share of calls evaluated over time; None if it is not known, or the chart has no steps of hours or days."""
    return None if reading is None else reading.memoise("evaluated share", lambda: _share_over_time(reading, clock))


def _share_over_time(reading: ChartReading, clock: Clock) -> EvaluatedShare | None:
    own = reading.by_hour() if reading.hours is not None else reading
    chart, counts = own.chart, reading.all_calls
    if chart is None or chart.chart_type not in {"bar", "line"} or counts is None or counts.chart is None:
        return None
    short = reading.window.end - reading.window.start <= HOURLY_HISTORY
    period = own.target.config.period if chart.chart_type == "bar" else "hour" if short else "day"
    evaluated = _evaluated(own, chart) if period in TESTED_PERIODS else None
    if evaluated is None:
        return None
    # A window cut out of a longer reading is narrower than its counts: no call beyond it is without an evaluation.
    rows, step = bar_rows(replace(counts, window=own.window), counts.chart, {}), STEPS[PERIODS[period]]
    by_hour = [(bucket.time, bucket.value or 0.0) for bucket in rows.buckets]
    calls, with_value = _by_step(by_hour, step), _by_step(evaluated, step)
    # The API may leave out buckets without calls; without them a day is not whole.
    every = np.arange(min(calls, default=0.0), max(calls, default=-1.0) + 1, step).tolist()
    full = {time: not is_partial(time, step, rows.span) for time in every}
    # A window that was read as it is cuts calls and evaluations alike, a window cut out of a longer reading does not.
    times = [time for time, is_full in full.items() if is_full or own.window == counts.window]
    n, of = (floats(counted.get(time, 0.0) for time in times) for counted in (with_value, calls))
    whole = np.array([full[time] for time in times], np.bool_)
    return EvaluatedShare.of(floats(times), n, of, step, clock, dict(by_hour), full=whole)


def _evaluated(reading: ChartReading, chart: Chart) -> list[tuple[float, float]] | None:
    """Times, and how many evaluated calls each stands for; None if that is not known."""
    if chart.chart_type == "line":
        return [(time, 1.0) for time in line_rows(reading, chart, {}).calls.times.tolist()]
    counts = reading.target.config.function == "count"
    buckets = bar_rows(reading, chart, {}).buckets
    if not counts and any(bucket.n is None for bucket in buckets):
        return None
    return [(bucket.time, float((bucket.value if counts else bucket.n) or 0)) for bucket in buckets]


def _by_step(values: Iterable[tuple[float, float]], step: int) -> dict[float, float]:
    sums = defaultdict[float, float](float)
    for time, value in values:
        sums[floor_to(time, step)] += value
    return sums


def change_of_share(current: ChartReading, baseline: ChartReading, clock: Clock) -> str | None:
    """How the share of calls evaluated differs between two windows; None if it does not, or is not known."""
    before, after = _part(baseline), _part(current)
    if before is None or after is None:
        return None
    share, earlier = share_over_time(current, clock), share_over_time(baseline, clock)
    if share is None or earlier is None:
        return EvaluatedShare.unknown().reason(before, after, CAUTIOUS_Z)
    lag_s = (current.window.start - baseline.window.start).total_seconds()
    return share.reason_between(earlier, lag_s, before, after)


def _part(reading: ChartReading) -> Part | None:
    chart, counts = reading.chart, reading.all_calls
    if chart is None or counts is None or counts.chart is None:
        return None
    if chart.chart_type == "pie":
        evaluated = sum(piece.value for piece in pie_slices(chart, {}) if piece.label is not None)
    else:
        values = _evaluated(reading, chart)
        if values is None:
            return None
        evaluated = sum(n for _, n in values)
    calls = _calls_in(counts, reading.window)
    return Part(evaluated, calls) if evaluated <= calls else None


def _calls_in(counts: ChartReading, window: Window) -> float:
    """The calls of a window, or of the whole buckets of one that is cut out of a longer one."""
    if counts.chart is None:
        return 0.0
    rows = bar_rows(replace(counts, window=window), counts.chart, {})
    return math.fsum(bucket.value or 0.0 for bucket in rows.buckets)


def _local_span(reading: ChartReading) -> Span:
    chart = reading.chart
    if chart is None or chart.chart_type != "bar":
        return span_of(reading)
    return bar_rows(reading, chart, {}).times.local(span_of(reading), reading.offsets)


MAX_DIFFERENCE = 0.005
"""The allowed relative difference between two answers of the API at nearly the same time."""


class Past(Struct, frozen=True):
    """The buckets of a history with data, all buckets from the first on, and their span."""

    observed: list[Bucket]
    timed: list[Bucket]
    span: Span
    times: TimeParser


def past_of(history: ChartReading, chart: Chart, names: dict[str, str]) -> Past:
    """Computed once, also for charts that share the history."""
    return history.memoise(("past", *names.items()), lambda: _read_past(history, chart, names))


def is_out_of_step(past: Past, chart: Chart) -> bool:
    """Whether the buckets start in the API's local time, while single calls are in UTC."""
    return chart.chart_type == "line" and any(past.times.offsets)


def _read_past(history: ChartReading, chart: Chart, names: dict[str, str]) -> Past:
    config, rows = history.target.config, bar_rows(history, chart, names)
    observed = [bucket for bucket in rows.buckets if bucket.value is not None]
    first = min((bucket.time for bucket in observed), default=rows.span.start)
    span = replace(rows.span, start=max(rows.span.start, first))
    timed = fill_empty(config.function, config.period, merge_groups(config.function, rows.buckets), span)
    return Past(observed, timed, span, rows.times)


def disagreement(history: ChartReading, reading: ChartReading, chart: Chart, names: dict[str, str]) -> str | None:
    """How the calls of a chart and its history differ in the window; None if they agree, or cannot be compared."""
    return reading.memoise("disagreement", lambda: _by_what_came(history, reading, chart, names))


def _by_what_came(history: ChartReading, reading: ChartReading, chart: Chart, names: dict[str, str]) -> str | None:
    """Days merged from hours are compared by hour, as a day that the window cuts is incomplete."""
    if history.hours is None or reading.hours is None:
        return _disagreement(history, reading, chart, names)
    return _disagreement(history.by_hour(), reading.by_hour(), reading.hours, names)


def _disagreement(history: ChartReading, reading: ChartReading, chart: Chart, names: dict[str, str]) -> str | None:
    if history.chart is None or is_out_of_step(past_of(history, history.chart, names), chart):
        return None
    step = STEPS[PERIODS[history.target.config.period]]
    past, mine = past_of(history, history.chart, names), _chart_calls(reading, chart, names, step)
    theirs = {bucket.time: float(bucket.n if bucket.n is not None else bucket.value or 0) for bucket in past.timed}
    slack = line_rows(reading, chart, names).calls.nulls if chart.chart_type == "line" else 0
    both = [time for time in mine if not is_partial(time, step, past.span)]
    return differ(*(sum(side_counts.get(time, 0.0) for time in both) for side_counts in (mine, theirs)), slack=slack)


def differ(own: float | None, alone: float | None, *, slack: int = 0) -> str | None:
    """How the calls of a chart differ with its dashboard and without; None if they agree.

    ``slack``: calls without a value, which an average over time may or may not count.
    """
    if own is None or alone is None:
        return None
    allowed = max(2.0, MAX_DIFFERENCE * max(own, alone))
    if -allowed <= alone - own <= allowed + slack:
        return None
    return (
        f"without its dashboard, as an earlier window requires, the chart counts {counted(exact(alone), 'call')} "
        f"instead of {exact(own)}: those of agents that are no longer listed may be missing"
    )


def _chart_calls(reading: ChartReading, chart: Chart, names: dict[str, str], step: int) -> Mapping[float, float]:
    """The calls of the chart in each full bucket of its window."""
    if chart.chart_type == "line":
        lines = line_rows(reading, chart, names)
        counts, _ = line_time_series(lines.calls, lines.span, boolean=lines.boolean, step=step)
        return dict(zip(counts.times.tolist(), counts.n.tolist(), strict=True))
    rows = bar_rows(reading, chart, names)
    whole = [
        bucket
        for bucket in merge_groups(reading.target.config.function, rows.buckets)
        if _is_full(bucket, step, rows.span)
    ]
    return {b.time: float(b.n if b.n is not None else b.value or 0) for b in whole}


def _is_full(bucket: Bucket, step: int, span: Span) -> bool:
    return bucket.value is not None and not is_partial(bucket.time, step, span)
