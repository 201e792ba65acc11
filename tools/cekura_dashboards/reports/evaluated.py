"""Of how many calls a chart of a metric speaks, and whether that share changed where the metric did."""

import math
from collections import defaultdict
from collections.abc import Iterable

from pydantic import BaseModel, Field

from cekura_dashboards.api.chart_data import Chart
from cekura_dashboards.charts.read import HOURLY_HISTORY, TESTED_PERIODS
from cekura_dashboards.charts.rows import bar_rows, line_rows, pie_slices, span_of
from cekura_dashboards.charts.target import ChartReading, Window
from cekura_dashboards.stats.arrays import np
from cekura_dashboards.stats.evaluated import CAUTIOUS_Z, EvaluatedShare, Part
from cekura_dashboards.stats.findings import Number, Step, Unusual, exact
from cekura_dashboards.stats.time_series import floats
from cekura_dashboards.stats.timeline import PERIODS, STEPS, Clock, Span, floor_to, is_partial
from cekura_dashboards.text import plain
from cekura_dashboards.values import replace

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
