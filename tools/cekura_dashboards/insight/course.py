"""A course: one value per bucket of time, evenly spaced, as the tests see it."""

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from cekura_dashboards.insight.buckets import TOO_FEW
from cekura_dashboards.insight.timeline import DAY, HOUR, WEEK, floor_to

LEAST = 8
"""Fewer full buckets than this are not tested."""
CYCLES, POLISHES = 2, 2
HARDLY = 0.9
"""A rhythm that leaves more than this of the spread is no rhythm."""
SATURDAY = 5


@dataclass(frozen=True)
class Course:
    """``values`` None: no data. ``n``: the calls that each rests on, if known. ``errors``: the sampling error of each.

    ``additive``: counts and sums, whose rhythm scales them and whose empty buckets are 0; ``counted``: whole calls,
    whose chance error is known. Partial buckets are not here.
    """

    times: Sequence[float]
    values: Sequence[float | None]
    n: Sequence[float | None]
    errors: Sequence[float]
    step: float
    additive: bool = False
    counted: bool = False

    def __len__(self) -> int:
        return len(self.times)

    def known(self) -> "Course":
        """Without the buckets that have no data, or a value that rests on fewer than five calls."""
        kept = [i for i, (value, n) in enumerate(zip(self.values, self.n, strict=True)) if self._is_known(value, n)]
        return replace(
            self,
            times=[self.times[i] for i in kept],
            values=[self.values[i] for i in kept],
            n=[self.n[i] for i in kept],
            errors=[self.errors[i] for i in kept],
        )

    def _is_known(self, value: float | None, n: float | None) -> bool:
        return value is not None and (self.additive or self.counted or n is None or n >= TOO_FEW)

    def numbers(self) -> list[float]:
        return [value for value in self.values if value is not None]

    def sizes(self) -> list[float]:
        """The calls that each value rests on; empty for counts and sums, and where not all are known."""
        known = [n for n in self.n if n is not None]
        return known if len(known) == len(self) and not self.additive else []

    def daily(self) -> "Course":
        """Whole days of a finer course: sums, or means weighted by n. Days that are not whole are left out."""
        if self.step >= DAY:
            return self
        held = defaultdict[float, list[int]](list)
        for i, time in enumerate(self.times):
            held[floor_to(time, DAY)].append(i)
        whole = [(day, held[day]) for day in sorted(held) if len(held[day]) * self.step >= DAY]
        parts = [[i for i in places if self.values[i] is not None] for _, places in whole]
        return Course(
            times=[day for day, _ in whole],
            values=[self._joined(places) for places in parts],
            n=[math.fsum(self.n[i] or 0 for i in places) for places in parts],
            errors=[self._joined_error(places) for places in parts],
            step=DAY,
            additive=self.additive,
            counted=self.counted,
        )

    def _weights(self, places: Sequence[int]) -> list[float]:
        weights = [float(self.n[i] or 0) for i in places]
        return weights if math.fsum(weights) > 0 else [1.0] * len(places)

    def _joined(self, places: Sequence[int]) -> float | None:
        values = [value for i in places if (value := self.values[i]) is not None]
        if not values:
            return None
        if self.additive:
            return math.fsum(values)
        weights = self._weights(places)
        return math.fsum(v * w for v, w in zip(values, weights, strict=True)) / math.fsum(weights)

    def _joined_error(self, places: Sequence[int]) -> float:
        weights = [1.0] * len(places) if self.additive else self._weights(places)
        whole = 1.0 if self.additive else math.fsum(weights) or 1.0
        return math.sqrt(math.fsum((self.errors[i] * w) ** 2 for i, w in zip(places, weights, strict=True))) / whole

    def steadied(self) -> "Course":
        """Counts on a scale on which chance alone gives each an error of 1; anything else as it is.

        Source: Anscombe (1948), Biometrika 35.
        """
        if not self.counted:
            return self
        values = [None if value is None else 2 * math.sqrt(max(0.0, value) + 0.375) for value in self.values]
        return replace(self, values=values, errors=[1.0] * len(values), additive=False)

    def slots(self) -> list[tuple[int, bool]] | None:
        """The hour of day and whether it is weekend, for each bucket; None without two full cycles of either.

        The buckets that the window cuts at both ends are not here, and count as seen.
        """
        span = self.times[-1] - self.times[0] + 3 * self.step if self.times else 0.0
        hours = self.step < DAY and DAY % self.step == 0 and span >= CYCLES * DAY
        weekends = self.step <= DAY and span >= CYCLES * WEEK
        if not hours and not weekends:
            return None
        return [
            (
                int(time % DAY // HOUR) if hours else 0,
                weekends and is_weekend(time),
            )
            for time in self.times
        ]

    def adjusted(self, *, within_days: bool = False) -> list[float]:
        """The known values without the rhythm of hours and weekends, where at least two full cycles show one.

        ``within_days``: and without the level of each day, so that only what stands out of its day is left.
        """
        course = self.known()
        values, slots = course.numbers(), course.slots()
        if not slots:
            return values
        if within_days and self.step < DAY:
            days = [int(time // DAY) for time in course.times]
            for _ in range(POLISHES):
                values = _levelled(_levelled(values, days), slots)
            return values
        cycle = round(WEEK / self.step) if self.step >= DAY else round(DAY / self.step) + 1
        return _levelled(values, slots, running_level(values, cycle), scales=self.additive)


def is_weekend(time: float) -> bool:
    """Saturday or Sunday, in UTC.

    >>> is_weekend(0.0), is_weekend(2 * DAY)
    (False, True)
    """
    return int(time // DAY + 3) % 7 >= SATURDAY


def _levelled(
    values: Sequence[float], slots: Sequence[object], around: Sequence[float] | None = None, *, scales: bool = False
) -> list[float]:
    """Each value as if its slot were like all; unchanged where the slots hardly differ.

    A slot's effect is the median of what its values are above the level ``around`` each (by default that of all), or,
    if it ``scales``, of how many times that level they are.

    Source: one half of a step of median polish, Tukey (1977), about a running level.
    """
    level = list(around) if around is not None else [statistics.median(values)] * len(values)
    scales = scales and all(value > 0 for value in level)
    apart = [v / a if scales else v - a for v, a in zip(values, level, strict=True)]
    held = defaultdict[object, list[float]](list)
    for slot, value in zip(slots, apart, strict=True):
        held[slot].append(value)
    if any(len(members) < CYCLES for members in held.values()):
        return list(values)
    usual = {slot: statistics.median(members) for slot, members in held.items()}
    rest = [value - usual[slot] for slot, value in zip(slots, apart, strict=True)]
    middle = statistics.median(apart)
    before = statistics.fmean(abs(value - middle) for value in apart)
    if statistics.fmean(abs(value) for value in rest) > HARDLY * before or (scales and min(usual.values()) <= 0):
        return list(values)
    if scales:
        return [value * middle / usual[slot] for slot, value in zip(slots, values, strict=True)]
    return [value - usual[slot] + middle for slot, value in zip(slots, values, strict=True)]


def running_level(values: Sequence[float], width: int) -> list[float]:
    """The median of each value and its neighbours, ``width`` in all, fewer at the ends.

    >>> running_level([1.0, 9, 2, 3, 2], 3)
    [5.0, 2, 3, 2, 2.5]
    """
    half = width // 2
    return [statistics.median(values[max(0, i - half) : i + half + 1]) for i in range(len(values))]


def lag_correlation(residuals: Sequence[float], *, unbiased: bool = False) -> float:
    """The correlation of each with the next, between 0 and 0.95.

    ``unbiased``: raised by what few values make it too small, Marriott and Pope (1954), where it is positive.

    >>> lag_correlation([1, -1, 1, -1]), lag_correlation([0, 0])
    (0.0, 0.0)
    """
    mean = math.fsum(residuals) / len(residuals)
    square = math.fsum((r - mean) ** 2 for r in residuals)
    if square <= 0:
        return 0.0
    found = math.fsum((a - mean) * (b - mean) for a, b in pairwise(residuals)) / square
    if unbiased and found > 0:
        found += (1 + 3 * found) / len(residuals)
    return min(max(found, 0.0), 0.95)


def inflation(correlation: float) -> float:
    """How much the variance of a mean grows when neighbours are alike: (1 + r) / (1 - r).

    Source: Bayley and Hammersley (1946), for a first-order autoregression.
    """
    return (1 + correlation) / (1 - correlation)
