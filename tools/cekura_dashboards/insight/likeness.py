"""What the days before show of a comparison: by how much days vary, and how alike neighbouring days are.

A week in which a slow day follows slow days says less than seven days that have nothing to do with each other. A week
itself cannot show that: what moves it may be what is looked for. So it is taken from the days before; and there from
what is left of each day when the course that they took, clear steps and a clear trend, is taken away. A release three
weeks ago does not make days vary, nor does one day that went wrong count for more than a day that is far off.
"""

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from cekura_dashboards.insight.clock import Clock
from cekura_dashboards.insight.course import lag_correlation
from cekura_dashboards.insight.levels import HALF
from cekura_dashboards.insight.side import Cell, weights_of
from cekura_dashboards.insight.steps import find_steps, segments, winsorised
from cekura_dashboards.insight.timeline import DAY, HOUR
from cekura_dashboards.insight.trend import find_trend

ENOUGH_DAYS = 20
"""Fewer do not show how alike neighbouring days are."""
ALIKE_AT_LEAST = 0.1
"""Neighbouring days are taken to be so much alike, as three weeks do not show it well."""
Values = Literal["means", "counts", "others"]
"""``means``: of calls, and more precise with more of them. ``counts``: their variance by chance is their mean."""


class Likeness(Struct, frozen=True):
    """How days vary, and how alike neighbouring ones are; without any they are taken for unlike.

    ``apart``: how far each day is from what its course makes usual: of a mean times the root of its calls, of a count
    in standard deviations of chance. ``lost``: the degrees of freedom that the course took.
    """

    correlation: float = 0.0
    apart: Sequence[float] = ()
    lost: int = 0

    @property
    def free(self) -> int:
        return len(self.apart) - self.lost

    @property
    def square(self) -> float:
        return math.fsum(apart * apart for apart in self.apart)

    def growth(self, days: int) -> float:
        """What the variance of a mean of so many days in a row is multiplied by.

        The second factor makes up for a variance that was seen around the mean of days that are alike.

        >>> round(Likeness(0.6, [0.0] * 22).growth(7), 2), Likeness(0.0, [0.0] * 22).growth(7)
        (3.39, 1.0)
        """
        if not self.correlation:
            return 1.0
        seen = len(self.apart)
        hidden = self._of_mean(seen) / seen
        return self._of_mean(days) * (1 - 1 / seen) / (1 - hidden)

    def _of_mean(self, days: int) -> float:
        """Of a first-order autoregression, exactly for so few: Bayley and Hammersley (1946)."""
        return 1 + 2 * math.fsum((days - lag) / days * self.correlation**lag for lag in range(1, days))

    @property
    def worth(self) -> float:
        """As how many days that are unlike one day counts, for the variance."""
        return (1 - self.correlation**2) / (1 + self.correlation**2)


def by_kind(cells: Sequence[Cell], clock: Clock) -> list[list[Cell]]:
    """Weekdays and weekends apart. Source: stratified clusters, Cochran (1977), Sampling Techniques, chapter 5."""
    held = defaultdict[bool, list[Cell]](list)
    for cell in cells:
        held[clock.is_weekend(cell.time + HOUR)].append(cell)
    return [*held.values()]


def days_beside(earlier: Sequence[Cell], baseline: Sequence[Cell], *, empty: bool = True) -> list[Cell]:
    """The days before, with those of the baseline that are not among them; none where they are too few.

    ``empty``: days without calls are days as well.
    """
    if not earlier:
        return []
    start, end = earlier[0].time, earlier[-1].time + DAY
    others = [cell for cell in baseline if not start - HOUR <= cell.time < end - HOUR]
    found = sorted([cell for cell in (*earlier, *others) if empty or cell.n != 0], key=lambda cell: cell.time)
    return found if len(found) >= ENOUGH_DAYS else []


def likeness_of(days: Sequence[Cell], clock: Clock, values: Values, *, strata: bool = True) -> Likeness:
    """``strata``: weekends may have a level of their own; else that they do counts among what days vary by."""
    if not days:
        return Likeness()
    held = _Month(days, clock, values)
    level, taken = [0.0] * len(held.values), 0
    apart = held.apart(level, held.weekend)
    correlation = lag_correlation(apart, unbiased=True)
    if correlation > ALIKE_AT_LEAST:  # as any course makes it
        level, taken = held.course()
    if taken:
        apart = held.apart(level, held.weekend)
        correlation = lag_correlation(apart, unbiased=True)
    kinds = held.weekend
    if not strata:
        kinds = [False] * len(level)
        apart = held.apart(level, kinds)
    return Likeness(max(correlation, ALIKE_AT_LEAST), apart, len({*kinds}) + taken)


class _Month:
    """Days in a row, with the arithmetic of their values. A level is a sum to add, or of counts a share more."""

    def __init__(self, days: Sequence[Cell], clock: Clock, values: Values) -> None:
        self.counts = values == "counts"
        self.values = [day.value for day in days]
        self.sizes = weights_of(days) if values == "means" else [1.0] * len(days)
        self.weekend = [clock.is_weekend(day.time + HOUR) for day in days]
        self._winsorise()

    def _winsorise(self) -> None:
        """Bring days that are far off nearer to those around them, which one outage is no measure of."""
        held = defaultdict[bool, list[float]](list)
        for value, kind in zip(self.values, self.weekend, strict=True):
            held[kind].append(value)
        usual = [statistics.median(held[kind]) for kind in self.weekend]
        shares, weights = self._beside(usual)
        tamed = winsorised(shares, weights, 1.0 if self.counts else 0.0)
        if self.counts:
            shared = zip(self.values, usual, tamed, strict=True)
            self.values = [mean * (1 + far) if mean else value for value, mean, far in shared]
        else:
            self.values = [mean + far for mean, far in zip(usual, tamed, strict=True)]

    def _beside(self, usual: Sequence[float]) -> tuple[list[float], list[float]]:
        """How far each day is from what is usual, as a level, and how precise that is."""
        apart = [value - mean for value, mean in zip(self.values, usual, strict=True)]
        if not self.counts:
            return apart, self.sizes
        shares = [far / mean if mean else 0.0 for far, mean in zip(apart, usual, strict=True)]
        return shares, [max(mean, HALF) for mean in usual]

    def usual(self, level: Sequence[float], kinds: Sequence[bool]) -> list[float]:
        """What each day of its kind would be, at the level of its time."""
        seen, whole = defaultdict[bool, float](float), defaultdict[bool, float](float)
        for value, size, higher, kind in zip(self.values, self.sizes, level, kinds, strict=True):
            seen[kind] += value if self.counts else size * (value - higher)
            whole[kind] += 1 + higher if self.counts else size
        means = {kind: seen[kind] / whole[kind] if whole[kind] else 0.0 for kind in seen}
        if self.counts:
            return [means[kind] * (1 + higher) for kind, higher in zip(kinds, level, strict=True)]
        return [means[kind] + higher for kind, higher in zip(kinds, level, strict=True)]

    def apart(self, level: Sequence[float], kinds: Sequence[bool]) -> list[float]:
        """How far each day is from that, in errors that all share."""
        usual = self.usual(level, kinds)
        precise = [1 / max(mean, HALF) for mean in usual] if self.counts else self.sizes
        return [math.sqrt(p) * (value - mean) for value, mean, p in zip(self.values, usual, precise, strict=True)]

    def course(self) -> tuple[list[float], int]:
        """The level of each day by clear steps and a clear trend, and how many numbers describe it."""
        apart, weights = self._beside(self.usual([0.0] * len(self.values), self.weekend))
        least = -1.0 if self.counts else -math.inf  # no calls
        cuts = [
            cut.at for cut in find_steps(apart, weights, lost=len({*self.weekend}), chance=self.counts) if cut.clear
        ]
        trend = find_trend(apart, cuts)
        slope = trend.slope if trend.verdict == "clear" else 0.0
        level = list[float]()
        for start, end in segments(cuts, len(apart)):
            part, middle = range(start, end), (start + end - 1) / 2
            mean = math.fsum(weights[i] * apart[i] for i in part) / math.fsum(weights[i] for i in part)
            level += [max(least, mean + slope * (i - middle)) for i in part]
        return level, len(cuts) + bool(slope)
