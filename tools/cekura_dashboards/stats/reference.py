"""The days before a comparison: how much one day differs from the next, and how alike neighbouring days are."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct, field

from cekura_dashboards.stats.arrays import Array, Places, np
from cekura_dashboards.stats.changepoints import (
    find_changepoints,
    fit_trend,
    segments,
    spread_over_segments,
    sums_of_segments,
    winsorise,
)
from cekura_dashboards.stats.seasonality import CONTINUITY
from cekura_dashboards.stats.significance import SampleBucket, call_weights
from cekura_dashboards.stats.time_series import calendar, floats, lag1_autocorrelation, median, sums_by
from cekura_dashboards.stats.timeline import DAY, HOUR, Clock

MIN_REFERENCE_DAYS = 20
"""With fewer days no autocorrelation is estimated. A choice: just under three weeks."""
MIN_DAILY_AUTOCORRELATION = 0.1
"""The least autocorrelation assumed, as three weeks of days do not measure it well.

A choice. The coverage of the intervals that result is measured by ``python -m benchmarks.verdicts``.
"""
ValueKind = Literal["means", "counts", "others"]
"""``means``: of calls, and more precise with more of them. ``counts``: their sampling variance is their mean."""


class Autocorrelation(Struct, frozen=True, eq=False):
    """The residuals of days and their lag-1 autocorrelation; without days they count as independent.

    ``residuals``: the difference of each day from its expected value: of a mean times the root of its calls, of a count
    in Poisson standard deviations. ``parameters``: the degrees of freedom of the model that was subtracted.
    """

    correlation: float = 0.0
    residuals: Array = field(default_factory=lambda: np.empty(0))
    parameters: int = 0

    @property
    def degrees_of_freedom(self) -> int:
        return len(self.residuals) - self.parameters

    @property
    def sum_of_squares(self) -> float:
        return float(self.residuals @ self.residuals)

    def variance_factor(self, days: int) -> float:
        """The factor by which autocorrelation inflates the variance of a mean of so many consecutive days.

        The second factor corrects the variance itself, which is too small about the mean of autocorrelated days.

        >>> round(Autocorrelation(0.6, np.zeros(22)).variance_factor(7), 2)
        3.39
        >>> Autocorrelation(0.0, np.zeros(22)).variance_factor(7)
        1.0
        """
        if not self.correlation:
            return 1.0
        count = len(self.residuals)
        removed = self._factor_of_mean(count) / count
        return self._factor_of_mean(days) * (1 - 1 / count) / (1 - removed)

    def _factor_of_mean(self, days: int) -> float:
        """Exact for a first-order autoregression of this length. Source: Bayley and Hammersley (1946)."""
        lags = np.arange(1, days)
        return 1 + 2 * float(((days - lags) / days * self.correlation**lags).sum())

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
    levels, parameters = np.zeros(len(days)), 0
    residuals = month.residuals(levels, month.weekend)
    correlation = lag1_autocorrelation(residuals, unbiased=True)
    if correlation > MIN_DAILY_AUTOCORRELATION:  # steps and trends look like autocorrelation too
        levels, parameters = month.levels()
    if parameters:
        residuals = month.residuals(levels, month.weekend)
        correlation = lag1_autocorrelation(residuals, unbiased=True)
    kinds = month.weekend
    if not strata:
        kinds = np.zeros_like(kinds)
        residuals = month.residuals(levels, kinds)
    return Autocorrelation(max(correlation, MIN_DAILY_AUTOCORRELATION), residuals, len({*kinds.tolist()}) + parameters)


class _Month:
    """Consecutive days with the arithmetic of their values. Levels add to a mean, and multiply a count by 1 + level.

    Arrays have a value per day. ``weekend``: 1 for a weekend, else 0, as ``kinds`` of days are.
    """

    def __init__(self, days: Sequence[SampleBucket], clock: Clock, values: ValueKind) -> None:
        self.counts = values == "counts"
        self.values = floats(day.value for day in days)
        self.sizes = floats(call_weights(days)) if values == "means" else np.ones(len(days))
        self.weekend = calendar(floats(day.time for day in days) + HOUR, clock).weekend
        self._winsorise()

    def _winsorise(self) -> None:
        """Winsorise each day type about its median, so that one outage does not set the variance."""
        medians = np.empty(len(self.values))
        for kind in {*self.weekend.tolist()}:
            medians[self.weekend == kind] = median(self.values[self.weekend == kind])
        deviations, weights = self._deviations(medians)
        winsorised = winsorise(deviations, weights, 1.0 if self.counts else 0.0)
        if self.counts:
            self.values = np.where(medians != 0, medians * (1 + winsorised), self.values)
        else:
            self.values = medians + winsorised

    def _deviations(self, expected: Array) -> tuple[Array, Array]:
        """The difference of each day from its expected value, as a level, and its precision."""
        differences = self.values - expected
        if not self.counts:
            return differences, self.sizes
        shares = np.divide(differences, expected, out=np.zeros(len(expected)), where=expected != 0)
        return shares, np.maximum(expected, CONTINUITY)

    def expected(self, levels: Array, kinds: Places) -> Array:
        """The expected value of each day: the mean of its day type at the level of its time."""
        totals = sums_by(kinds, self.values if self.counts else self.sizes * (self.values - levels))
        weights = sums_by(kinds, 1 + levels if self.counts else self.sizes)
        means = np.divide(totals, weights, out=np.zeros(len(totals)), where=weights != 0)[kinds]
        return means * (1 + levels) if self.counts else means + levels

    def residuals(self, levels: Array, kinds: Places) -> Array:
        """The difference of each day from its expected value, scaled so that all have one variance."""
        expected = self.expected(levels, kinds)
        precisions = 1 / np.maximum(expected, CONTINUITY) if self.counts else self.sizes
        return np.sqrt(precisions) * (self.values - expected)

    def levels(self) -> tuple[Array, int]:
        """The level of each day by clear steps and a clear trend, and the number of parameters."""
        count = len(self.values)
        deviations, weights = self._deviations(self.expected(np.zeros(count), self.weekend))
        used_df = len({*self.weekend.tolist()})
        steps = find_changepoints(deviations, weights, used_df=used_df, variance_known=self.counts)
        cuts = [step.at for step in steps if step.clear]
        trend = fit_trend(deviations, cuts)
        slope = trend.slope if trend.verdict == "clear" else 0.0
        means = sums_of_segments(deviations * weights, cuts) / sums_of_segments(weights, cuts)
        levels = spread_over_segments(means, cuts, count)
        middles = np.array([(start + end - 1) / 2 for start, end in segments(cuts, count)])
        levels = levels + slope * (np.arange(count) - spread_over_segments(middles, cuts, count))
        return np.maximum(levels, -1.0) if self.counts else levels, len(cuts) + bool(slope)  # -1: no calls
