"""Outages: stretches without a call where many are expected, and whether one goes on."""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from cekura_dashboards.stats.arrays import Array, Flags, np
from cekura_dashboards.stats.clocks import followed_clock
from cekura_dashboards.stats.findings import Gap, round_for_display
from cekura_dashboards.stats.seasonality import SeasonalFit, fit_seasonality
from cekura_dashboards.stats.time_series import TimeSeries, calendar
from cekura_dashboards.stats.timeline import DAY, UTC_CLOCK, Clock, Span, iso

MAX_GAPS = 3
"""Listed; the rest is counted. A choice."""
MIN_HOURS = 48
"""The least hourly values tested at all. A choice: each hour of the day occurs twice."""
MIN_SURPRISE = 15.0
"""Minus the log probability of an outage without a cause, at least: exp(-15) is 1 in 3 million. A choice."""
NIGHT_CALLS = 1.0
"""Buckets with fewer expected calls are night, and trimmed from an outage. A choice."""
WEEKLY_SHARE = 4
"""In the same hours of other weeks at least a fourth of the expected calls must have come. A choice."""


LAG = 900.0
"""Seconds before now in which no calls are expected yet, as a call is listed once it has ended. A choice."""


class Outage(NamedTuple):
    """The half-open stretch of time without a call, and the calls expected in it.

    ``p_value``: of one anywhere in the series. ``goes_on``: it reaches the end of the data.
    """

    start: float
    end: float
    expected: float
    p_value: float = 1.0
    goes_on: bool = False


class LastBucket(NamedTuple):
    """The bucket that the end of the data cuts: its start, that end, and the calls in it so far."""

    start: float
    end: float
    calls: float


def find_outages(
    fit: SeasonalFit, window: Span, last_bucket: LastBucket | None = None, clock: Clock = UTC_CLOCK
) -> list[Outage]:
    """The gaps in counts that reach into the window, in order of time. Before the first call there is none.

    ``last_bucket``: the calls in it decide whether a gap at the end goes on. Of hours it is part of the gap.
    """
    series, expected, outages = fit.series, fit.levels.level(fit.hours), list[Outage]()
    times, values, data_end = series.times, series.values, float(series.times[-1]) + series.step
    if last_bucket is not None:
        expected = np.append(expected, _expected_so_far(fit, expected, last_bucket, clock))
        times, values = np.append(times, last_bucket.start), np.append(values, last_bucket.calls)
        data_end = last_bucket.end
    for start, end in _stretches(values <= 0):
        surprise = float(surprises(expected[start:end], fit.excess).sum())
        if start and surprise >= MIN_SURPRISE and not _is_empty_weekly(fit, times[start:end], surprise):
            first, last = _trim(expected, start, end)
            goes_on = end == len(values)
            missing_calls, p_value = float(expected[first:last].sum()), min(1.0, len(series) * math.exp(-surprise))
            until = data_end if goes_on else float(times[last - 1]) + series.step
            outages.append(Outage(float(times[first]), until, missing_calls, p_value, goes_on))
    return [gap for gap in outages if gap.start < window.end and gap.end > window.start]


def _expected_so_far(fit: SeasonalFit, expected: Array, last_bucket: LastBucket, clock: Clock) -> float:
    """The expected calls in the part of an hour; 0 for days, as their hours are not known."""
    step = fit.series.step
    if step >= DAY:
        return 0.0
    places = calendar(np.append(fit.series.times, last_bucket.start) + step / 2, clock)
    same = (places.hour[:-1] == places.hour[-1]) & (places.weekend[:-1] == places.weekend[-1])
    elapsed = last_bucket.end - last_bucket.start - LAG
    return float(expected[same].mean()) * max(0.0, elapsed) / step if same.any() else 0.0


def _stretches(flags: Flags) -> list[tuple[int, int]]:
    """The half-open stretches of neighbours that are set."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]))).tolist()
    return [*zip(edges[::2], edges[1::2], strict=True)]


def surprises(expected: Array, excess: float) -> Array:
    """Minus the log probability that each bucket is empty: for Poisson counts, the expected calls."""
    return np.log1p(excess * expected) / excess if excess > 0 else expected


def _is_empty_weekly(fit: SeasonalFit, gap: Array, expected: float) -> bool:
    """Whether hardly a call comes at this time of other weeks either, such as on Sundays. ``gap``: the times."""
    times, weeks = fit.series.times, np.array([-3, -2, -1, 1, 2, 3]) * 7 * DAY
    wanted = np.add.outer(gap, weeks).ravel()
    places = np.minimum(np.searchsorted(times, wanted), len(times) - 1)
    others = fit.series.values[places[times[places] == wanted]]
    return len(others) > 0 and float(others.mean()) * len(gap) < expected / WEEKLY_SHARE


def _trim(expected: Array, start: int, end: int) -> tuple[int, int]:
    """Without the buckets at both ends in which hardly a call is expected: they are night."""
    while start < end - 1 and expected[start] < NIGHT_CALLS:
        start += 1
    while end > start + 1 and expected[end - 1] < NIGHT_CALLS:
        end -= 1
    return start, end


def detect_outages(calls: TimeSeries, window: Span, clock: Clock, last_bucket: LastBucket | None) -> list[Gap]:
    """The outages in hourly counts that reach into the window; none in numbers below zero, which count nothing."""
    empty = (calls.values <= 0) & (calls.times + calls.step > window.start)
    if len(calls) < MIN_HOURS or bool((calls.values < 0).any()):
        return []
    if not (empty.any() or (last_bucket is not None and last_bucket.calls <= 0)):
        return []
    clock = followed_clock(calls, clock)
    return gaps_of(find_outages(fit_seasonality(calls, clock), window, last_bucket, clock), window.zone, calls.step)


def is_one_event(first: tuple[datetime, datetime], other: tuple[datetime, datetime]) -> bool:
    """Whether two outages, from their start to their end, overlap by more than half of the longer one."""
    (start, end), (since, until) = first, other
    return min(end, until) - max(start, since) > max(end - start, until - since) / 2


def gaps_of(empty: Sequence[Outage], zone: str, step: float) -> list[Gap]:
    """The gap that goes on, and the largest ones."""
    largest = sorted(empty, key=lambda gap: (not gap.goes_on, -gap.expected))
    gaps = [
        Gap(
            start=iso(gap.start, step=int(step), zone=zone),
            end=iso(gap.end, zone=zone),
            expected_calls=round_for_display(gap.expected, 3),
            still=gap.goes_on or None,
        ).with_p_value(gap.p_value)
        for gap in largest[:MAX_GAPS]
    ]
    if len(largest) > MAX_GAPS:
        gaps[-1] = gaps[-1].model_copy(update={"more": len(largest) - MAX_GAPS})
    return gaps
