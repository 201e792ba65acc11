"""The days before a comparison: the day-to-day variation and its autocorrelation."""

import math
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct, field

from cekura_dashboards.stats.changepoints import WINSORISE_AT, fit_segments, sums_of_segments, winsorise
from cekura_dashboards.stats.seasonality import CONTINUITY, precision_power
from cekura_dashboards.stats.significance import SampleBucket, call_weights
from cekura_dashboards.stats.time_series import (
    MAD_TO_SD,
    calendar,
    floats,
    lag1_autocorrelation,
    median,
    medians_by,
    sums_by,
)
from cekura_dashboards.stats.timeline import DAY, Clock
from cekura_dashboards.values import Array, Places, np, replace

HALF_A_DAY = DAY / 2
MIN_REFERENCE_DAYS = 14
"""The minimum days to estimate an autocorrelation: two weeks contain every weekday twice. A choice.

Measured: of fortnights with an autocorrelation of 0.6, 4 to 5 % are called ``clear`` without a change.
"""
MIN_DAYS_FOR_WEEKDAYS = 20
"""From this many days on, just under three weeks, each weekday may have its own level. A choice."""
MIN_VARIANCE_RATIO = 3.0
"""The minimum F ratio, explained over residual variance, for weekdays to have their own levels.

A choice, p = 0.04 for seven weekdays in four weeks: with 2, 8 % of weeks with an autocorrelation of 0.6 had such
levels.
"""
REMOVED_P_VALUE = 1e-4
"""The level for steps and trends to remove before the autocorrelation. A choice: false ones narrow intervals."""
ValueKind = Literal["means", "counts", "percentiles"]
"""``means``: of calls, more precise with more calls. ``counts``: with their mean as sampling variance.

``percentiles``: their precision grows with their calls as far as the days show it.
"""
PRIOR_AUTOCORRELATION: dict[ValueKind, float] = {"means": 0.25, "counts": 0.5, "percentiles": 0.25}
"""The prior autocorrelation, needed because four weeks measure it with a standard error of 0.2. Choices.

Measured on fortnights: with a minimum of 0.1 instead, which only adds to estimates that are too high by chance, 2 of
100 true changes of means are no longer ``clear``; halfway to 0, 7 % of days with 0.6 are falsely ``clear``.
"""
PRIOR_DAYS, MAX_AUTOCORRELATION = 8.0, 0.8
"""The weight of the prior, in days, and the maximum estimate. Choices, measured by ``benchmarks.verdicts``."""
Strata = Literal["weekdays", "weekends", "none"]
"""The effects that both sides of a comparison share, so that they do not add to its error."""


class DailyVariation(Struct, frozen=True, eq=False):
    """The residuals of days and their lag-1 autocorrelation; without days, they count as independent.

    ``residuals``: the difference of each day from its expected value, scaled to one variance: a mean times the root of
    its calls, a count in Poisson standard deviations, a percentile times the root of its precision. ``parameters``: the
    degrees of freedom of the model that was subtracted. ``power``: the precision of a day grows with this power of its
    calls.
    """

    correlation: float = 0.0
    residuals: Array = field(default_factory=lambda: np.empty(0))
    parameters: int = 0
    power: float = 0.0

    @property
    def degrees_of_freedom(self) -> int:
        return len(self.residuals) - self.parameters

    @property
    def sum_of_squares(self) -> float:
        return float(self.residuals @ self.residuals)

    def beyond(self, sampling: float) -> "DailyVariation":
        """With the autocorrelation limited to the share of the variance beyond that of independent calls.

        ``sampling``: the variance of the residuals due to the calls alone. The variance of days is known to within two
        standard errors.
        """
        df = max(1, self.degrees_of_freedom)
        most = self.sum_of_squares / df * (1 + 2 * math.sqrt(2 / df))
        share = max(0.0, 1 - sampling / most) if most > 0 else 0.0
        return replace(self, correlation=min(self.correlation, MAX_AUTOCORRELATION * share))

    def variance_factor(self, days: float) -> float:
        """The factor by which autocorrelation inflates the variance of a mean of so many consecutive days.

        A second factor corrects the variance itself, which is too small about the mean of autocorrelated days.

        >>> round(DailyVariation(0.6, np.zeros(22)).variance_factor(7), 2)
        3.39
        >>> DailyVariation(0.0, np.zeros(22)).variance_factor(7)
        1.0
        """
        if not self.correlation:
            return 1.0
        count = len(self.residuals)
        removed = _factor_of_mean(count, self.correlation) / count
        return _factor_of_mean(max(1, round(days)), self.correlation) * (1 - 1 / count) / (1 - removed)

    @property
    def effective_df(self) -> float:
        """The degrees of freedom of the variance, fewer for autocorrelated days.

        Source: Bayley and Hammersley (1946), Supplement to the Journal of the Royal Statistical Society 8.

        >>> round(DailyVariation(0.6, np.zeros(22)).effective_df, 1)
        10.4
        """
        return self.degrees_of_freedom * (1 - self.correlation**2) / (1 + self.correlation**2)


def _factor_of_mean(days: int, correlation: float) -> float:
    """Exact for a first-order autoregression of this length. Source: Bayley and Hammersley (1946)."""
    lags = np.arange(1, days)
    return 1 + 2 * float(((days - lags) / days * correlation**lags).sum())


def reference_days(earlier: Sequence[SampleBucket], *, empty: bool = True) -> list[SampleBucket]:
    """The days before; empty if they are too few. ``empty``: whether days without calls count."""
    days = [cell for cell in earlier if empty or cell.n != 0]
    return days if len(days) >= MIN_REFERENCE_DAYS else []


def estimate_variation(
    days: Sequence[SampleBucket], clock: Clock, values: ValueKind, strata: Strata = "weekdays", *, changed: int = 0
) -> DailyVariation:
    """``strata``: the effects to exclude from the variation: of weekdays, if there are any, of weekends, or none.

    ``changed``: how many last days have their own level, because they are the compared ones.
    """
    if not days:
        return DailyVariation()
    month = _Month(days, clock, values)
    levels, parameters = month.changed(changed), min(changed, 1)
    correlation = _autocorrelation(month.residuals(levels, month.kinds), 1 + parameters, values)
    if correlation > PRIOR_AUTOCORRELATION[values] and not changed:  # steps and trends look like autocorrelation too
        levels, parameters = month.levels()
        correlation = _autocorrelation(month.residuals(levels, month.kinds), 1 + parameters, values)
    by_strata = {"weekdays": month.kinds, "weekends": month.weekend, "none": np.zeros_like(month.kinds)}
    kinds = by_strata[strata]
    residuals = month.residuals(levels, kinds)
    used = len({*kinds.tolist()}) + parameters
    return DailyVariation(correlation, residuals, used, month.power)


def _autocorrelation(residuals: Array, levels: int, values: ValueKind) -> float:
    """The mean of the estimate and the prior, weighted by days.

    The estimate is corrected for the bias of residuals about fitted levels: Marriott and Pope (1954), Biometrika 41.
    """
    days, estimate = len(residuals), lag1_autocorrelation(residuals)
    estimate += levels * (1 + 4 * estimate) / days
    correlation = (PRIOR_DAYS * PRIOR_AUTOCORRELATION[values] + days * estimate) / (PRIOR_DAYS + days)
    return min(max(correlation, 0.0), MAX_AUTOCORRELATION)


def expected_counts(days: Sequence[SampleBucket], clock: Clock) -> dict[float, float]:
    """The usual count of each day: the median of its kind, which an outage does not affect."""
    if not days:
        return {}
    month = _Month(days, clock, "counts")
    usual = medians_by(np.unique(month.kinds, return_inverse=True)[1], floats(day.value for day in days))
    by_kind = dict(zip(sorted({*month.kinds.tolist()}), usual.tolist(), strict=True))
    return {day.time: by_kind[kind] for day, kind in zip(days, month.kinds.tolist(), strict=True)}


class _Month:
    """Consecutive days and the arithmetic of their values. Levels add to a mean, and multiply a count by 1 + level.

    Arrays have a value per day. ``weekend``: 1 for a weekend, else 0; ``kinds``: the key of the days that share an
    effect: weekends, or each weekday if weekdays explain enough.
    """

    def __init__(self, days: Sequence[SampleBucket], clock: Clock, values: ValueKind) -> None:
        self.counts = values == "counts"
        self.values, self.power = floats(day.value for day in days), 0.0
        self.sizes = floats(call_weights(days)) if values != "counts" else np.ones(len(days))
        places = calendar(floats(day.time for day in days) + HALF_A_DAY, clock)
        self.weekend = self.kinds = places.weekend
        if values == "percentiles":
            self.power = precision_power(self._deviations(self._medians(self.weekend))[0], self.sizes)
            self.sizes = self.sizes**self.power
        if len(days) >= MIN_DAYS_FOR_WEEKDAYS and self._differ(places.weekday):
            self.kinds = places.weekday
        self._winsorise()

    def _differ(self, weekdays: Places) -> bool:
        """Whether weekdays differ beyond the weekend effect, by an analysis of variance.

        About medians and with bounded deviations, so that one outage cannot decide.
        """
        rest, less = (self._roots(kinds) for kinds in (self.weekend, weekdays))
        limit = WINSORISE_AT * MAD_TO_SD * median(np.abs(rest))
        more = len({*weekdays.tolist()}) - len({*self.weekend.tolist()})
        before, after = (
            float(bounded @ bounded) for bounded in (np.clip(part, -limit, limit) for part in (rest, less))
        )
        explained, df = before - after, len(rest) - len({*weekdays.tolist()})
        return explained > MIN_VARIANCE_RATIO * more * after / df

    def _roots(self, kinds: Places) -> Array:
        """The deviations of days from the medians of their kinds, scaled to one variance."""
        deviations, precisions = self._deviations(self._medians(kinds))
        return np.sqrt(precisions) * deviations

    def _medians(self, kinds: Places) -> Array:
        keys = np.unique(kinds, return_inverse=True)[1]
        return medians_by(keys, self.values)[keys]

    def _winsorise(self) -> None:
        """Winsorise the days about the medians of their kinds, so that one outage does not dominate the variance."""
        medians = self._medians(self.kinds)
        deviations, weights = self._deviations(medians)
        bounded = winsorise(deviations, weights, 1.0 if self.counts else 0.0)
        if self.counts:
            self.values = np.where(medians != 0, medians * (1 + bounded), self.values)
        else:
            self.values = medians + bounded

    def _deviations(self, expected: Array) -> tuple[Array, Array]:
        """The difference of each day from its expected value, as a level, and its precision."""
        differences = self.values - expected
        if not self.counts:
            return differences, self.sizes
        shares = np.divide(differences, expected, out=np.zeros(len(expected)), where=expected != 0)
        return shares, np.maximum(expected, CONTINUITY)

    def expected(self, levels: Array, kinds: Places) -> Array:
        """The expected value of each day: the mean of its kind at the current level."""
        totals = sums_by(kinds, self.values if self.counts else self.sizes * (self.values - levels))
        weights = sums_by(kinds, 1 + levels if self.counts else self.sizes)
        means = np.divide(totals, weights, out=np.zeros(len(totals)), where=weights != 0)[kinds]
        return means * (1 + levels) if self.counts else means + levels

    def residuals(self, levels: Array, kinds: Places) -> Array:
        """The difference of each day from its expected value, scaled so that all have one variance."""
        expected = self.expected(levels, kinds)
        precisions = 1 / np.maximum(expected, CONTINUITY) if self.counts else self.sizes
        return np.sqrt(precisions) * (self.values - expected)

    def changed(self, count: int) -> Array:
        """The level of each day if this many last ones have their own."""
        levels = np.zeros(len(self.values))
        if count:
            deviations, weights = self._deviations(self._medians(self.kinds))
            first = len(levels) - count
            means = [np.average(deviations[part], weights=weights[part]) for part in (slice(first), slice(first, None))]
            levels[first:] = means[1] - means[0]
        return np.maximum(levels, -1.0) if self.counts else levels

    def levels(self) -> tuple[Array, int]:
        """The level of each day by clear steps and a significant trend, and the number of parameters."""
        count = len(self.values)
        deviations, weights = self._deviations(self.expected(np.zeros(count), self.kinds))
        fit = fit_segments(deviations, weights, variances=1 / weights if self.counts else None)
        cuts = [cut.at for cut in fit.changepoints if cut.clear and cut.p_value <= REMOVED_P_VALUE]
        slope = fit.trend.slope if fit.trend.p_value <= REMOVED_P_VALUE else 0.0
        line: Array = slope * np.arange(count, dtype=np.float64)
        means: Array = sums_of_segments((deviations - line) * weights, cuts) / sums_of_segments(weights, cuts)
        levels = np.asarray(line + np.repeat(means, np.diff([0, *cuts, count])), np.float64)
        return np.maximum(levels, -1.0) if self.counts else levels, len(cuts) + bool(slope)  # -1: no calls
