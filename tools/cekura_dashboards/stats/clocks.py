"""Whose clock the hours of calls follow: where clocks change, that of another zone than was set shows."""

from zoneinfo import ZoneInfo

from cekura_dashboards.stats.arrays import Array, Places, np
from cekura_dashboards.stats.time_series import TimeSeries, calendar, sums_by, utc_offset
from cekura_dashboards.stats.timeline import DAY, Clock
from cekura_dashboards.values import replace

CANDIDATES = ("UTC", "America/New_York", "Europe/Berlin", "Australia/Sydney")
"""Zones that are tried: without clock changes, and one for each of the dates on which most people change theirs.

Which zone it is of those that change their clocks on the same date hardly matters: their hours stay apart by as many.
"""
MIN_GAIN = 40.0
"""By how many variances of an hour another clock must fit better.

Measured on 40 months of each of 40 kinds: at most 39 where hours do not differ, 0 where they follow the given clock; of
5 calls an hour in New York under UTC 56 to 124, of 40 over 800.
"""
MIN_DAYS = 14
"""The least days of hours. A choice: two weeks show the hours of both kinds of days before and after a change."""


def followed_clock(calls: TimeSeries, clock: Clock) -> Clock:
    """The clock that hourly counts follow: another than ``clock`` only where it fits clearly better.

    Only a clock change within the series tells zones apart; without one, and for days, it is ``clock``.
    """
    if calls.step >= DAY or calls.scale != "count" or len(calls) * calls.step < MIN_DAYS * DAY:
        return clock
    clocks = [clock, *(replace(clock, zone=ZoneInfo(name)) for name in CANDIDATES)]
    ends = float(calls.times[0]), float(calls.times[-1])
    shifts = [utc_offset(ends[1], other.zone) - utc_offset(ends[0], other.zone) for other in clocks]
    others = [other for other, shift in zip(clocks[1:], shifts[1:], strict=True) if shift or shifts[0]]
    if not others:
        return clock
    counts = 2 * np.sqrt(calls.values + 0.375)  # of variance 1 for Poisson counts: Anscombe (1948), Biometrika 35
    middles = calls.times + calls.step / 2
    days = _keys(calendar(middles, clock).day)
    misfit, *misfits = (_misfit(counts, days, middles, other) for other in (clock, *others))
    best = min(misfits)
    gain = (misfit - best) / max(1.0, best / len(calls))
    return others[misfits.index(best)] if gain > MIN_GAIN else clock


def _misfit(counts: Array, days: Places, times: Array, clock: Clock) -> float:
    """The sum of squares about the level of each day and the effect of each hour of its kind of day, fitted in turn."""
    places = calendar(times, clock)
    slots, residuals = _keys(places.hour * 2 + places.weekend), counts
    for keys in (days, slots, days, slots):
        residuals = residuals - (sums_by(keys, residuals) / np.bincount(keys))[keys]
    return float(residuals @ residuals)


def _keys(values: Places) -> Places:
    """Whole numbers from 0 on, without a gap, in the order of the values."""
    keys: Places = np.unique(values, return_inverse=True)[1]
    return keys
