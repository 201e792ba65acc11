"""A time series: one value per bucket of time, evenly spaced; robust statistics of its values, and its clock.

Series are arrays of floats, with NaN for missing or unknown values.
"""

import math
from collections.abc import Iterable
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from msgspec import Struct

from cekura_dashboards.stats.timeline import DAY, HOUR, Clock
from cekura_dashboards.values import Array, Places, np, replace

Scale = Literal["count", "sum", "rate", "positive", "plain"]
"""``count``: whole calls. ``sum``: a total of something over calls. ``rate``: a share of calls, 0 to 1. ``positive``:
durations, latencies, scores and similar values, whose noise grows with them. ``plain``: anything else."""
MIN_CALLS = 5
"""The minimum calls behind a value, other than a count or rate, for a test. A choice."""
MAD_TO_SD = 1.4826
"""1 / the 0.75 quantile of the normal: scales a median absolute deviation to a standard deviation."""
THURSDAY = 3
"""The weekday of 1 January 1970."""


def floats(values: Iterable[float | None]) -> Array:
    """An array, None as NaN.

    >>> floats([1, None])
    array([ 1., nan])
    """
    return np.array([*values], dtype=np.float64)


class TimeSeries(Struct, frozen=True, eq=False):
    """Complete buckets only. All arrays have the same length and are in order of time.

    ``times``: the start of each bucket, in seconds since 1970. ``values`` NaN: no data; empty buckets of counts and
    sums are 0. ``n``: the calls of each bucket, NaN if unknown. ``step``: seconds. ``is_mergeable``: whether hours can
    be merged into days, unlike percentiles, minima and maxima. ``rate_unit``: what a rate of 100 % is written as.
    ``stable_from``: the calls in a bucket from which its value does not depend on their number: infinite for extremes,
    hundreds for high percentiles.
    """

    times: Array
    values: Array
    n: Array
    step: float
    scale: Scale = "plain"
    is_mergeable: bool = True
    rate_unit: float = 1.0
    stable_from: float = 0.0

    def __len__(self) -> int:
        return len(self.times)

    @property
    def is_additive(self) -> bool:
        return self.scale in {"count", "sum"}

    @property
    def has_exact_distribution(self) -> bool:
        """Whether the sampling distribution of a value is known: Poisson for counts, binomial for rates."""
        return self.scale in {"count", "rate"}

    @property
    def knows_calls(self) -> bool:
        """Whether the calls of every bucket are known."""
        return not bool(np.isnan(self.n).any())

    @property
    def is_extreme(self) -> bool:
        """Whether the values are maxima or minima, or percentiles of so few calls that they are close to those."""
        if not self.stable_from:
            return False
        sizes = self.n[~np.isnan(self.n)]
        return not len(sizes) or self.stable_from > median(sizes)

    def in_days(self) -> "TimeSeries | None":
        """The hours merged into whole days, as in a daily chart; None if the buckets cannot be merged."""
        per_day = round(DAY / self.step)
        if self.step >= DAY or not self.is_mergeable or not self.knows_calls:
            return None
        numbers, days, sizes = np.unique(self.times // DAY, return_inverse=True, return_counts=True)
        weights = np.ones(len(self)) if self.is_additive else self.n
        totals, calls = sums_by(days, weights), sums_by(days, self.n)
        sums = sums_by(days, np.where(weights > 0, weights * np.nan_to_num(self.values), 0.0))
        means = np.divide(sums, totals, out=np.full(len(sums), np.nan), where=totals > 0)
        whole = sizes == per_day
        values = (sums if self.is_additive else means)[whole]
        return replace(self, times=numbers[whole] * DAY, values=values, n=calls[whole], step=DAY)

    def with_data(self) -> "TimeSeries":
        """Without buckets that have no data or too few calls."""
        has_data = ~np.isnan(self.values)
        if not self.is_additive:
            has_data &= np.isnan(self.n) | (self.n >= (1 if self.scale == "rate" else MIN_CALLS))
        return replace(self, times=self.times[has_data], values=self.values[has_data], n=self.n[has_data])


class Calendar(NamedTuple):
    """The positions of instants on a clock.

    ``day``: counted from 1970. ``weekday``: Monday is 0. ``weekend``: 1 for a day of a weekend, else 0.
    """

    day: Places
    weekday: Places
    hour: Places
    weekend: Places


def calendar(times: Array, clock: Clock) -> Calendar:
    """The local day, weekday and hour of instants in seconds since 1970.

    >>> [int(part[0]) for part in calendar(floats([2 * 86400.0 + 3600]), Clock())]
    [2, 5, 1, 1]
    """
    return _calendar(times.tobytes(), clock)


@lru_cache(maxsize=64)
def _calendar(seconds: bytes, clock: Clock) -> Calendar:
    """``calendar`` with a cache, because the charts of one answer have the same times."""
    times: Array = np.frombuffer(seconds)
    days = np.floor(times / DAY).astype(np.intp)
    first = int(days.min()) if len(days) else 0
    edges = floats(utc_offset(day * DAY, clock.zone) for day in range(first, int(days.max(initial=first)) + 2))
    offsets = edges[days - first]
    for place in np.flatnonzero(offsets != edges[days - first + 1]):  # a day with a clock change
        offsets[place] = utc_offset(float(times[place]), clock.zone)
    local = times + offsets
    day = np.floor(local / DAY)
    weekday = ((day + THURSDAY) % 7).astype(np.intp)
    weekend = np.array([kind in clock.weekend for kind in range(7)], dtype=np.intp)
    places = Calendar(day.astype(np.intp), weekday, ((local - day * DAY) // HOUR).astype(np.intp), weekend[weekday])
    for part in places:
        part.flags.writeable = False
    return places


@lru_cache(maxsize=4096)
def utc_offset(time: float, zone: tzinfo) -> float:
    """The offset of local time from UTC at an instant, in seconds."""
    offset = datetime.fromtimestamp(time, zone).utcoffset()
    return offset.total_seconds() if offset else 0.0


def sums_by(keys: Places, values: Array, count: int = 0) -> Array:
    """The sum of the values of each key, for keys from 0 to the largest, and at least ``count`` of them.

    >>> sums_by(np.array([0, 1, 0]), floats([1, 5, 2]))
    array([3., 5.])
    """
    return np.asarray(np.bincount(keys, values, count), np.float64)


def median(values: Array) -> float:
    """``numpy.median``, several times faster for a few values. Raises for no values.

    >>> median(floats([3, 1])), median(floats([5, 1, 2]))
    (2.0, 2.0)
    """
    ordered, count = values.copy(), len(values)
    ordered.sort()
    return float(ordered[(count - 1) // 2] + ordered[count // 2]) / 2


def medians_by(keys: Places, values: Array) -> Array:
    """The median of the values of each key; every key from 0 to the largest must occur.

    >>> medians_by(np.array([0, 1, 0]), floats([1, 5, 2]))
    array([1.5, 5. ])
    """
    return _medians(*_sorted_by(keys, values))


def trimmed_means_by(keys: Places, values: Array) -> Array:
    """The mean of the values of each key without the highest and the lowest if there are four or more; else the median.

    Every key from 0 to the largest must have at least two values.

    >>> trimmed_means_by(np.array([0, 0, 1, 0, 0, 1]), floats([1, 2, 5, 4, 99, 6]))
    array([3. , 5.5])
    """
    ordered, first, counts = _sorted_by(keys, values)
    inner = np.add.reduceat(ordered, np.stack([first + 1, first + counts - 1], axis=1).ravel())[::2]
    return np.where(counts < 4, _medians(ordered, first, counts), inner / np.maximum(counts - 2, 1))  # noqa: PLR2004 - four, as documented


def _sorted_by(keys: Places, values: Array) -> tuple[Array, Places, Places]:
    """The values sorted within each key, and the start and number of values of each key."""
    counts = np.bincount(keys)
    return values[np.lexsort((values, keys))], np.cumsum(counts) - counts, counts


def _medians(ordered: Array, first: Places, counts: Places) -> Array:
    middle: Array = (ordered[first + (counts - 1) // 2] + ordered[first + counts // 2]) / 2
    return middle


def running_median(values: Array, width: int) -> Array:
    """The median of each value and its neighbours, ``width`` in all, fewer at the ends.

    >>> running_median(floats([1, 9, 2, 3, 2]), 3)
    array([5. , 2. , 3. , 2. , 2.5])
    """
    half, count, places = width // 2, len(values), np.arange(len(values))
    padded = np.full(count + 2 * half, np.inf)  # values beyond the ends sort after all others
    padded[half : half + count] = values
    windows = padded[places[:, None] + np.arange(2 * half + 1)]
    windows.sort(axis=1)
    sizes = np.minimum(places + half + 1, count) - np.maximum(places - half, 0)
    middle: Array = (windows[places, (sizes - 1) // 2] + windows[places, sizes // 2]) / 2
    return middle


def robust_sd(values: Array) -> float:
    """A standard deviation resistant to outliers: the larger of the scaled median deviation and the winsorised one.

    >>> round(robust_sd(floats([-2, -1, 0, 1, 2, 100])), 2)
    3.05
    """
    deviations = values - median(values)
    spread = MAD_TO_SD * median(np.abs(deviations))
    bounded = np.clip(deviations, -3 * spread, 3 * spread) if spread > 0 else deviations
    return max(spread, math.sqrt(float(bounded @ bounded) / len(bounded)))


def lag1_autocorrelation(residuals: Array) -> float:
    """The lag-1 autocorrelation; 0 where nothing varies.

    >>> lag1_autocorrelation(floats([1, -1, 1, -1])), lag1_autocorrelation(floats([0, 0]))
    (-0.75, 0.0)
    """
    deviations = residuals - residuals.sum() / len(residuals)
    sum_of_squares = float(deviations @ deviations)
    if sum_of_squares <= 0:
        return 0.0
    return float(deviations[1:] @ deviations[:-1]) / sum_of_squares


CANDIDATE_ZONES = ("UTC", "America/New_York", "Europe/Berlin", "Australia/Sydney")
"""The candidate zones: one without clock changes, and one for each common date of a change.

Zones that change their clocks on the same date are equivalent here, because their hours differ by a constant.
"""
MIN_GAIN_OF_CLOCK = 40.0
"""The improvement of fit, in variances of an hour, that another clock needs.

Measured on 40 months of each of 40 kinds: at most 39 if hours do not differ, 0 if they follow the given clock; for 5
calls an hour in New York under UTC 56 to 124, for 40 over 800.
"""
MIN_DAYS_FOR_CLOCK = 14
"""The minimum days. A choice: two weeks show the hours of both kinds of days before and after a change."""


def followed_clock(calls: TimeSeries, clock: Clock) -> Clock:
    """The clock that hourly counts follow: different from ``clock`` only if another fits clearly better.

    Only a clock change within the series distinguishes zones; without one, and for days, it is ``clock``.
    """
    if calls.step >= DAY or calls.scale != "count" or len(calls) * calls.step < MIN_DAYS_FOR_CLOCK * DAY:
        return clock
    clocks = [clock, *(replace(clock, zone=ZoneInfo(name)) for name in CANDIDATE_ZONES)]
    ends = float(calls.times[0]), float(calls.times[-1])
    shifts = [utc_offset(ends[1], other.zone) - utc_offset(ends[0], other.zone) for other in clocks]
    others = [other for other, shift in zip(clocks[1:], shifts[1:], strict=True) if shift or shifts[0]]
    if not others:
        return clock
    counts = np.maximum(calls.values, 0.0)  # a faulty API may send negative ones
    counts = 2 * np.sqrt(counts + 0.375)  # variance 1 for Poisson counts: Anscombe (1948), Biometrika 35
    middles = calls.times + calls.step / 2
    days = dense_keys(calendar(middles, clock).day)
    misfit, *misfits = (_misfit(counts, days, middles, other) for other in (clock, *others))
    best = min(misfits)
    gain = (misfit - best) / max(1.0, best / len(calls))
    return others[misfits.index(best)] if gain > MIN_GAIN_OF_CLOCK else clock


def _misfit(counts: Array, days: Places, times: Array, clock: Clock) -> float:
    """The sum of squares about the level of each day and the effect of each hour of its kind of day, fitted in turn."""
    places = calendar(times, clock)
    slots, residuals = dense_keys(places.hour * 2 + places.weekend), counts
    for keys in (days, slots, days, slots):
        residuals = residuals - (sums_by(keys, residuals) / np.bincount(keys))[keys]
    return float(residuals @ residuals)


def dense_keys(values: Places) -> Places:
    """Whole numbers from 0 on, without a gap, in the order of the values."""
    keys: Places = np.unique(values, return_inverse=True)[1]
    return keys
