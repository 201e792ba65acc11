"""A time series: one value per bucket of time, evenly spaced, as it is tested."""

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
MIN_CALLS = 5
"""A value other than a count or a rate that rests on fewer calls is not tested. A choice."""


class TimeSeries(Struct, frozen=True):
    """Without buckets that the window or now cuts. ``values`` None: no data; of counts and sums, an empty one is 0.

    ``n``: the calls that each rests on, if known. ``is_mergeable``: whether days can be made of hours: not of
    percentiles, lowest and highest values. ``rate_unit``: what a rate of one is written as. ``stable_from``: the calls
    in a bucket from which on its value does not depend on how many they are: infinite for extremes, hundreds for high
    percentiles.
    """

    times: Sequence[float]
    values: Sequence[float | None]
    n: Sequence[float | None]
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
    def is_extreme(self) -> bool:
        """Whether the values are the highest or lowest of their calls, or of so few calls that they are near those."""
        if not self.stable_from:
            return False
        sizes = [n for n in self.n if n is not None]
        return not sizes or self.stable_from > statistics.median(sizes)

    def with_data(self) -> "TimeSeries":
        """Without the buckets that have no data, or a value that rests on too few calls."""
        positions = [
            i for i, (value, n) in enumerate(zip(self.values, self.n, strict=True)) if self._has_data(value, n)
        ]
        return replace(
            self,
            times=[self.times[i] for i in positions],
            values=[self.values[i] for i in positions],
            n=[self.n[i] for i in positions],
        )

    def _has_data(self, value: float | None, n: float | None) -> bool:
        if value is None:
            return False
        if self.is_additive or n is None:
            return True
        return n >= (1 if self.scale == "rate" else MIN_CALLS)

    def present_values(self) -> list[float]:
        return [value for value in self.values if value is not None]


def lag1_autocorrelation(residuals: Sequence[float], *, unbiased: bool = False) -> float:
    """The lag-1 autocorrelation, limited to 0 to 0.95.

    ``unbiased``: corrected for the bias in short series, Marriott and Pope (1954), where it is positive.

    >>> lag1_autocorrelation([1, -1, 1, -1]), lag1_autocorrelation([0, 0])
    (0.0, 0.0)
    """
    mean = math.fsum(residuals) / len(residuals)
    sum_of_squares = math.fsum((r - mean) ** 2 for r in residuals)
    if sum_of_squares <= 0:
        return 0.0
    correlation = math.fsum((a - mean) * (b - mean) for a, b in pairwise(residuals)) / sum_of_squares
    if unbiased and correlation > 0:
        correlation += (1 + 4 * correlation) / len(residuals)
    return min(max(correlation, 0.0), 0.95)


MIN_AUTOCORRELATION = 0.15
"""The least autocorrelation assumed, as few values do not measure it. A choice."""


def variance_inflation(correlation: float) -> float:
    """The factor by which autocorrelation r inflates the variance of a mean: (1 + r) / (1 - r).

    Source: Bayley and Hammersley (1946), for a first-order autoregression.
    """
    correlation = max(correlation, MIN_AUTOCORRELATION)
    return (1 + correlation) / (1 - correlation)
