"""Trend: whether a course goes steadily up or down, and how fast."""

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from cekura_dashboards.stats.changepoints import segments
from cekura_dashboards.stats.distributions import NORMAL, two_sided
from cekura_dashboards.stats.time_series import lag1_autocorrelation, variance_inflation

MAX_VALUES = 180
"""Beyond this neighbours are averaged: every pair is looked at."""


class TrendTest(NamedTuple):
    """``slope`` per value; ``score`` in standard errors, inflated for neighbours that are alike."""

    slope: float
    score: float

    @property
    def p_value(self) -> float:
        """How likely a score so large is without a trend; the course was tested for steps besides."""
        return min(1.0, 2 * 2 * NORMAL.cdf(-abs(self.score)))

    @property
    def verdict(self) -> str:
        """In words: ``clear``, ``possible`` or ``within noise``; the course was tested for steps besides."""
        if abs(self.score) >= NORMAL.inv_cdf(two_sided(0.99, tests=2)):
            return "clear"
        return "possible" if abs(self.score) >= NORMAL.inv_cdf(two_sided(0.95, tests=2)) else "within noise"


def fit_trend(values: Sequence[float], cuts: Sequence[int] = ()) -> TrendTest:
    """The trend between cuts: only values of one stretch are compared with each other.

    Source: slope by Sen (1968), score by Mann (1945) and Kendall with ties, its variance inflated by the correlation of
    what the slope leaves.

    >>> trend = fit_trend([1.0, 2, 3, 5, 4, 6, 8, 7, 9, 10])
    >>> trend.slope, trend.verdict
    (1.0, 'clear')
    >>> fit_trend([5.0] * 10).verdict
    'within noise'
    """
    width = math.ceil(len(values) / MAX_VALUES)
    if width > 1:
        values = [statistics.fmean(values[i : i + width]) for i in range(0, len(values), width)]
        cuts = [round(cut / width) for cut in cuts]
    stretches = [values[start:end] for start, end in segments(cuts, len(values)) if end > start]
    slopes = [
        (stretch[j] - stretch[i]) / (j - i)
        for stretch in stretches
        for i in range(len(stretch))
        for j in range(i + 1, len(stretch))
    ]
    if not slopes:
        return TrendTest(0.0, 0.0)
    slope = statistics.median(slopes)
    score = sum((later > 0) - (later < 0) for later in slopes)
    variance = math.fsum(_variance(stretch) for stretch in stretches)
    if variance <= 0 or not math.isfinite(slope):
        return TrendTest(0.0, 0.0)
    residuals = [
        value - statistics.fmean(stretch) - slope * (i - (len(stretch) - 1) / 2)
        for stretch in stretches
        for i, value in enumerate(stretch)
    ]
    inflation = variance_inflation(lag1_autocorrelation(residuals, unbiased=True))
    toward_zero = score - math.copysign(1, score) if score else 0
    return TrendTest(slope / width, toward_zero / math.sqrt(variance * inflation))


def _variance(values: Sequence[float]) -> float:
    """Of Kendall's score when there is no trend, ties taken into account."""
    count = len(values)
    ties = sum(t * (t - 1) * (2 * t + 5) for t in Counter(values).values())
    return (count * (count - 1) * (2 * count + 5) - ties) / 18
