"""The buckets of a chart's history, and whether it counts the same calls as the chart."""

from collections.abc import Mapping

from msgspec import Struct

from cekura_dashboards.api.chart_data import Chart
from cekura_dashboards.charts.rows import TimeParser, bar_rows, line_rows
from cekura_dashboards.charts.target import ChartReading
from cekura_dashboards.stats.findings import exact
from cekura_dashboards.stats.timeline import PERIODS, STEPS, Span, is_partial
from cekura_dashboards.summaries.bar import fill_empty, merge_groups
from cekura_dashboards.summaries.line import line_time_series
from cekura_dashboards.summaries.model import Bucket
from cekura_dashboards.values import replace

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
        f"without its dashboard, as an earlier window requires, the chart counts {exact(alone)} calls instead of "
        f"{exact(own)}: those of agents that are no longer listed may be missing"
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
