"""The variance and the autocorrelation of days, estimated from the days before a comparison.

Seven autocorrelated days hold less information than seven independent ones. The compared weeks cannot show by how much,
as what moves them may be the very change that is tested. So both are estimated from the days before, from the residuals
about clear steps and a clear trend, with outliers winsorised: neither a release three weeks ago nor a single bad day
counts as day-to-day variation.
"""

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from cekura_dashboards.stats.changepoints import find_changepoints, fit_trend, segments, winsorise
from cekura_dashboards.stats.levels import CONTINUITY
from cekura_dashboards.stats.significance import SampleBucket, call_weights
from cekura_dashboards.stats.time_series import lag1_autocorrelation
from cekura_dashboards.stats.timeline import DAY, HOUR, Clock

MIN_REFERENCE_DAYS = 20
"""With fewer days no autocorrelation is estimated. A choice: just under three weeks."""
MIN_DAILY_AUTOCORRELATION = 0.1
"""The least autocorrelation assumed, as three weeks of days do not measure it well.

A choice. The coverage of the intervals that result is measured by ``python -m benchmarks.verdicts``.
"""
ValueKind = Literal["means", "counts", "others"]
"""``means``: of calls, and more precise with more of them. ``counts``: their sampling variance is their mean."""


class Autocorrelation(Struct, frozen=True):
    """The residuals of days and their lag-1 autocorrelation; without days they count as independent.

    ``residuals``: the difference of each day from its expected value: of a mean times the root of its calls, of a count
    in Poisson standard deviations. ``parameters``: the degrees of freedom of the model that was subtracted.
    """

    correlation: float = 0.0
    residuals: Sequence[float] = ()
    parameters: int = 0

    @property
    def degrees_of_freedom(self) -> int:
        return len(self.residuals) - self.parameters

    @property
    def sum_of_squares(self) -> float:
        return math.fsum(residual * residual for residual in self.residuals)

    def variance_factor(self, days: int) -> float:
        """The factor by which autocorrelation inflates the variance of a mean of so many consecutive days.

        The second factor corrects the variance itself, which is too small about the mean of autocorrelated days.

        >>> round(Autocorrelation(0.6, [0.0] * 22).variance_factor(7), 2)
        3.39
        >>> Autocorrelation(0.0, [0.0] * 22).variance_factor(7)
        1.0
        """
        if not self.correlation:
            return 1.0
        count = len(self.residuals)
        removed = self._factor_of_mean(count) / count
        return self._factor_of_mean(days) * (1 - 1 / count) / (1 - removed)

    def _factor_of_mean(self, days: int) -> float:
        """Exact for a first-order autoregression of this length. Source: Bayley and Hammersley (1946)."""
        return 1 + 2 * math.fsum((days - lag) / days * self.correlation**lag for lag in range(1, days))

    @property
    def effective_share(self) -> float:
        """How many independent days one day is worth for estimating the variance."""
        return (1 - self.correlation**2) / (1 + self.correlation**2)


def by_day_type(cells: Sequence[SampleBucket], clock: Clock) -> list[list[SampleBucket]]:
    """Weekdays and weekends as strata. Source: stratified clusters, Cochran (1977), Sampling Techniques, chapter 5."""
    buckets_by_type = defaultdict[bool, list[SampleBucket]](list)
    for cell in cells:
        buckets_by_type[clock.is_weekend(cell.time + HOUR)].append(cell)
    return [*buckets_by_type.values()]


def reference_days(
    earlier: Sequence[SampleBucket], baseline: Sequence[SampleBucket], *, empty: bool = True
) -> list[SampleBucket]:
    """The days before and those of the baseline that are not among them, in order; empty where they are too few.

    ``empty``: whether days without calls count.
    """
    if not earlier:
        return []
    start, end = earlier[0].time, earlier[-1].time + DAY
    others = [cell for cell in baseline if not start - HOUR <= cell.time < end - HOUR]
    days = sorted([cell for cell in (*earlier, *others) if empty or cell.n != 0], key=lambda cell: cell.time)
    return days if len(days) >= MIN_REFERENCE_DAYS else []


def estimate_autocorrelation(
    days: Sequence[SampleBucket], clock: Clock, values: ValueKind, *, strata: bool = True
) -> Autocorrelation:
    """``strata``: weekends get a level of their own; otherwise their difference counts as day-to-day variance."""
    if not days:
        return Autocorrelation()
    month = _Month(days, clock, values)
    level, parameters = [0.0] * len(month.values), 0
    residuals = month.residuals(level, month.weekend)
    correlation = lag1_autocorrelation(residuals, unbiased=True)
    if correlation > MIN_DAILY_AUTOCORRELATION:  # steps and trends look like autocorrelation too
        level, parameters = month.levels()
    if parameters:
        residuals = month.residuals(level, month.weekend)
        correlation = lag1_autocorrelation(residuals, unbiased=True)
    kinds = month.weekend
    if not strata:
        kinds = [False] * len(level)
        residuals = month.residuals(level, kinds)
    return Autocorrelation(max(correlation, MIN_DAILY_AUTOCORRELATION), residuals, len({*kinds}) + parameters)


class _Month:
    """Consecutive days with the arithmetic of their values. Levels add to a mean, and multiply a count by 1 + level."""

    def __init__(self, days: Sequence[SampleBucket], clock: Clock, values: ValueKind) -> None:
        self.counts = values == "counts"
        self.values = [day.value for day in days]
        self.sizes = call_weights(days) if values == "means" else [1.0] * len(days)
        self.weekend = [clock.is_weekend(day.time + HOUR) for day in days]
        self._winsorise()

    def _winsorise(self) -> None:
        """Winsorise each day type about its median, so that one outage does not set the variance."""
        values_by_type = defaultdict[bool, list[float]](list)
        for value, kind in zip(self.values, self.weekend, strict=True):
            values_by_type[kind].append(value)
        medians = [statistics.median(values_by_type[kind]) for kind in self.weekend]
        shares, weights = self._deviations(medians)
        winsorised_shares = winsorise(shares, weights, 1.0 if self.counts else 0.0)
        if self.counts:
            shared = zip(self.values, medians, winsorised_shares, strict=True)
            self.values = [mean * (1 + deviation) if mean else value for value, mean, deviation in shared]
        else:
            self.values = [mean + deviation for mean, deviation in zip(medians, winsorised_shares, strict=True)]

    def _deviations(self, expected: Sequence[float]) -> tuple[list[float], list[float]]:
        """The difference of each day from its expected value, as a level, and its precision."""
        differences = [value - mean for value, mean in zip(self.values, expected, strict=True)]
        if not self.counts:
            return differences, self.sizes
        shares = [deviation / mean if mean else 0.0 for deviation, mean in zip(differences, expected, strict=True)]
        return shares, [max(mean, CONTINUITY) for mean in expected]

    def expected(self, level: Sequence[float], kinds: Sequence[bool]) -> list[float]:
        """The expected value of each day: the mean of its day type at the level of its time."""
        totals, weights = defaultdict[bool, float](float), defaultdict[bool, float](float)
        for value, size, higher, kind in zip(self.values, self.sizes, level, kinds, strict=True):
            totals[kind] += value if self.counts else size * (value - higher)
            weights[kind] += 1 + higher if self.counts else size
        means = {kind: totals[kind] / weights[kind] if weights[kind] else 0.0 for kind in totals}
        if self.counts:
            return [means[kind] * (1 + higher) for kind, higher in zip(kinds, level, strict=True)]
        return [means[kind] + higher for kind, higher in zip(kinds, level, strict=True)]

    def residuals(self, level: Sequence[float], kinds: Sequence[bool]) -> list[float]:
        """The difference of each day from its expected value, scaled so that all have one variance."""
        expected = self.expected(level, kinds)
        precisions = [1 / max(mean, CONTINUITY) for mean in expected] if self.counts else self.sizes
        return [math.sqrt(p) * (value - mean) for value, mean, p in zip(self.values, expected, precisions, strict=True)]

    def levels(self) -> tuple[list[float], int]:
        """The level of each day by clear steps and a clear trend, and the number of parameters."""
        deviations, weights = self._deviations(self.expected([0.0] * len(self.values), self.weekend))
        least = -1.0 if self.counts else -math.inf  # no calls
        cuts = [
            cut.at
            for cut in find_changepoints(deviations, weights, used_df=len({*self.weekend}), variance_known=self.counts)
            if cut.clear
        ]
        trend = fit_trend(deviations, cuts)
        slope = trend.slope if trend.verdict == "clear" else 0.0
        level = list[float]()
        for start, end in segments(cuts, len(deviations)):
            part, middle = range(start, end), (start + end - 1) / 2
            mean = math.fsum(weights[i] * deviations[i] for i in part) / math.fsum(weights[i] for i in part)
            level += [max(least, mean + slope * (i - middle)) for i in part]
        return level, len(cuts) + bool(slope)
