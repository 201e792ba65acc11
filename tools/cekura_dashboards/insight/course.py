"""A course: one value per bucket of time, evenly spaced, as the tests see it."""

import math
import statistics
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from msgspec import Struct

from cekura_dashboards.values import replace

Scale = Literal["count", "sum", "rate", "positive", "plain"]
"""``count``: whole calls. ``sum``: a total of something over calls. ``rate``: a share of calls, 0 to 1. ``positive``:
durations, latencies, scores and the like, whose noise grows with them. ``plain``: anything else."""
TOO_FEW = 5
"""A value other than a count or a rate that rests on fewer calls is not looked at by itself."""


class Course(Struct, frozen=True):
    """Without buckets that the window or now cuts. ``values`` None: no data; of counts and sums, an empty one is 0.

    ``n``: the calls that each rests on, if known. ``merges``: whether days can be made of hours: not of percentiles,
    lowest and highest values. ``unit``: what a rate of one is written as. ``settles``: the calls in a bucket from which
    on its value does not depend on how many they are: infinite for extremes, hundreds for high percentiles.
    """

    times: Sequence[float]
    values: Sequence[float | None]
    n: Sequence[float | None]
    step: float
    scale: Scale = "plain"
    merges: bool = True
    unit: float = 1.0
    settles: float = 0.0

    def __len__(self) -> int:
        return len(self.times)

    @property
    def additive(self) -> bool:
        return self.scale in {"count", "sum"}

    @property
    def exact(self) -> bool:
        """Whether chance alone decides how a value is spread, and is known."""
        return self.scale in {"count", "rate"}

    @property
    def extreme(self) -> bool:
        """Whether the values are the highest or lowest of their calls, or of so few calls that they are near those."""
        if not self.settles:
            return False
        sizes = [n for n in self.n if n is not None]
        return not sizes or self.settles > statistics.median(sizes)

    def known(self) -> "Course":
        """Without the buckets that have no data, or a value that rests on too few calls."""
        kept = [i for i, (value, n) in enumerate(zip(self.values, self.n, strict=True)) if self._is_known(value, n)]
        return replace(
            self,
            times=[self.times[i] for i in kept],
            values=[self.values[i] for i in kept],
            n=[self.n[i] for i in kept],
        )

    def _is_known(self, value: float | None, n: float | None) -> bool:
        if value is None:
            return False
        if self.additive or n is None:
            return True
        return n >= (1 if self.scale == "rate" else TOO_FEW)

    def numbers(self) -> list[float]:
        return [value for value in self.values if value is not None]


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
        found += (1 + 4 * found) / len(residuals)
    return min(max(found, 0.0), 0.95)


ALIKE_AT_LEAST = 0.15
"""Neighbours are taken to be so much alike, as few values do not show it."""


def inflation(correlation: float) -> float:
    """How much the variance of a mean grows when neighbours are alike: (1 + r) / (1 - r).

    Source: Bayley and Hammersley (1946), for a first-order autoregression.
    """
    correlation = max(correlation, ALIKE_AT_LEAST)
    return (1 + correlation) / (1 - correlation)
