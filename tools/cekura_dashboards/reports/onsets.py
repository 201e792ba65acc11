"""When a change can have begun: from the buckets of the charts that show it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from cekura_dashboards.charts.rows import bar_rows, span_of
from cekura_dashboards.charts.target import ChartReading, Window
from cekura_dashboards.reports.coverage import share_over_time
from cekura_dashboards.stats.change import Change, onset_interval
from cekura_dashboards.stats.findings import Finding, Gap, Step, Unusual
from cekura_dashboards.stats.time_series import floats
from cekura_dashboards.stats.timeline import DAY, PERIODS, STEPS, UTC_CLOCK, is_partial
from cekura_dashboards.summaries.bar import ADDITIVE, fill_empty, merge_groups
from cekura_dashboards.summaries.model import Bucket

AROUND = 14 * DAY
"""How much of a series is looked at on each side of a step: other steps should lie beyond. A choice: two weeks."""


class Interval(NamedTuple):
    """When a change can have begun."""

    start: datetime
    end: datetime

    def dates(self, windows: Sequence[Window]) -> bool:
        """Whether it says more than that something changed in the windows: it covers at most half of their time."""
        start, end = min(window.start for window in windows), max(window.end for window in windows)
        return self.end - self.start <= (end - start) / 2


class WholeMeasure:
    """In place of a group: all groups together."""


WHOLE = WholeMeasure()


class _Series(NamedTuple):
    """Buckets in order of time, as the API dates them. ``shift``: seconds to add to their times for those of UTC."""

    buckets: list[Bucket]
    step: float
    shift: float

    def interval(self, at: float | None = None) -> Interval | None:
        """When the level changed, at a step that was found or anywhere; None without buckets."""
        sizes = [bucket.n for bucket in self.buckets]
        weights = [1.0] * len(sizes) if any(n is None for n in sizes) else [float(n or 0) for n in sizes]
        if not any(weights):
            return None
        times, values = floats(b.time for b in self.buckets), floats(b.value for b in self.buckets)
        start, end = onset_interval(times, values, floats(weights), self.step, at=at)
        return self.instants(start, end)

    def instants(self, start: float, end: float) -> Interval:
        return Interval(_instant(start + self.shift), _instant(end + self.shift))

    def around(self, at: float) -> Interval:
        """When the step that was found can have begun."""
        near = [bucket for bucket in self.buckets if abs(bucket.time - at) <= AROUND]
        return self._replace(buckets=near).interval(at) or self.instants(at - self.step, at + self.step)

    def between(self, interval: Interval) -> "_Series":
        start, end = (moment.timestamp() - self.shift for moment in interval)
        return self._replace(buckets=[bucket for bucket in self.buckets if start <= bucket.time < end])


def interval_of_windows(
    readings: Sequence[ChartReading], names: dict[str, str], group: str | WholeMeasure | None = WHOLE
) -> Interval:
    """When a level changed between current and baseline, from the bars of both, of one group or of all.

    What the charts do not show in bars may have changed at any time in both windows.
    """
    return _within(_series(readings, names, group).interval(), [reading.window for reading in readings])


def interval_of_change(
    item: Change, reading: ChartReading, windows: Sequence[Window], names: dict[str, str]
) -> Interval:
    """When a change that was found can have begun. ``windows``: current and baseline, if any."""
    part: str | WholeMeasure | None = item.part if item.how in {"group", "new group", "gone group"} else WHOLE
    series, whole, at = _series([reading], names, part), _within(None, windows), _seconds(item.at)
    if item.how == "evaluated":
        series = _share_series([reading], series.shift)
    step = series.step
    if at is not None:
        match item.how:
            case "outage" | "outlier":
                return series.instants(at, _seconds(item.until) or at + step)
            case "trend":
                return _within(Interval(_instant(at), whole.end), windows)
            case "share":
                return series.instants(at - step, at + step)
            case _:
                return series.around(at)
    series = series.between(whole)
    times = [bucket.time for bucket in series.buckets if bucket.value or bucket.n]
    if item.how in {"new group", "gone group"} and times:
        edge = times[0] if item.how == "new group" else times[-1]
        return series.instants(edge - step, edge + step)
    is_level = item.how in {"comparison", "group"}
    return _within(series.interval() if is_level else None, windows)


def interval_of_share(readings: Sequence[ChartReading], names: dict[str, str]) -> Interval:
    """When the share of calls that a metric was evaluated on changed between current and baseline."""
    series = _share_series(readings, _series(readings, names, WHOLE).shift)
    return _within(series.interval(), [reading.window for reading in readings])


def interval_of_finding(
    finding: Finding, history: ChartReading, window: Window, names: dict[str, str], *, of_share: bool = False
) -> Interval:
    """When what a chart shows can have begun. ``history``: the bars that were tested.

    ``of_share``: the finding is about the share of calls evaluated.
    """
    series = _series([history], names, WHOLE)
    if of_share:
        series = _share_series([history], series.shift)
    if isinstance(finding, Step):
        return series.around(_seconds(finding.at) or 0.0)
    at = _seconds(finding.start) or 0.0
    if isinstance(finding, Gap):
        return series.instants(at, _seconds(finding.end) or at + series.step)
    if isinstance(finding, Unusual):
        return series.instants(at, at + finding.buckets * series.step)
    return _within(Interval(_instant(at), window.end), [window])


def _series(readings: Sequence[ChartReading], names: dict[str, str], group: str | WholeMeasure | None) -> _Series:
    """The bars of one group or of all, of several windows together; none where the charts are no bars of hours or days.

    Of counts and sums, buckets that a window cuts are left out, and buckets without a row are 0.
    """
    buckets, shift, step = list[Bucket](), 0.0, float(DAY)
    for reading in readings:
        chart, config = reading.chart, reading.target.config
        if chart is None or chart.chart_type != "bar" or config.period not in PERIODS:
            continue
        rows, step = bar_rows(reading, chart, names), float(STEPS[PERIODS[config.period]])
        shift = span_of(reading).start - rows.span.start
        shown = [bucket for bucket in rows.buckets if group is WHOLE or bucket.group == group]
        merged = merge_groups(config.function, (bucket for bucket in shown if bucket.value is not None))
        if config.function in ADDITIVE:
            merged = fill_empty(config.function, config.period, merged, rows.span)
            merged = [bucket for bucket in merged if not is_partial(bucket.time, step, rows.span)]
        buckets += merged
    function = readings[0].target.config.function if readings else ""
    return _Series(merge_groups(function, buckets), step, shift)


def _share_series(readings: Sequence[ChartReading], shift: float) -> _Series:
    """The share of calls evaluated, in place of the values of a metric."""
    shares = [share for reading in readings if (share := share_over_time(reading, UTC_CLOCK)) is not None]
    buckets = [
        Bucket(time, evaluated / calls, round(calls))
        for share in shares
        for time, evaluated, calls in zip(
            share.times.tolist(), share.evaluated.tolist(), share.calls.tolist(), strict=True
        )
    ]
    return _Series(merge_groups("avg", buckets), float(shares[0].step) if shares else float(DAY), shift)


def _within(interval: Interval | None, windows: Sequence[Window]) -> Interval:
    """The part of an interval in the time of the windows; all of that time without one."""
    start, end = min(window.start for window in windows), max(window.end for window in windows)
    if interval is None:
        return Interval(start, end)
    return Interval(max(interval.start, start), min(interval.end, end))


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    time = datetime.fromisoformat(text)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
