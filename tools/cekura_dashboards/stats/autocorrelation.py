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

from cekura_dashboards.stats.changepoints import find_changepoints, fit_trend, segments, winsorise
from cekura_dashboards.stats.levels import CONTINUITY
from cekura_dashboards.stats.significance import SampleBucket, call_weights
from cekura_dashboards.stats.time_series import lag1_autocorrelation
from cekura_dashboards.stats.timeline import DAY, HOUR, Clock

MIN_REFERENCE_DAYS = 20
"""Fewer do not show how alike neighbouring days are."""
MIN_DAILY_AUTOCORRELATION = 0.1
"""Neighbouring days are taken to be so much alike, as three weeks do not show it well."""
ValueKind = Literal["means", "counts", "others"]
"""``means``: of calls, and more precise with more of them. ``counts``: their variance by chance is their mean."""


class Autocorrelation(Struct, frozen=True):
    """How days vary, and how alike neighbouring ones are; without any they are taken for unlike.

    ``residuals``: how far each day is from what its course makes usual: of a mean times the root of its calls, of a
    count in standard deviations of chance. ``parameters``: the degrees of freedom that the course took.
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
        """What the variance of a mean of so many days in a row is multiplied by.

        The second factor makes up for a variance that was seen around the mean of days that are alike.

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
        """Of a first-order autoregression, exactly for so few: Bayley and Hammersley (1946)."""
        return 1 + 2 * math.fsum((days - lag) / days * self.correlation**lag for lag in range(1, days))

    @property
    def effective_share(self) -> float:
        """As how many days that are unlike one day counts, for the variance."""
        return (1 - self.correlation**2) / (1 + self.correlation**2)


def by_day_type(cells: Sequence[SampleBucket], clock: Clock) -> list[list[SampleBucket]]:
    """Weekdays and weekends apart. Source: stratified clusters, Cochran (1977), Sampling Techniques, chapter 5."""
    buckets_by_type = defaultdict[bool, list[SampleBucket]](list)
    for cell in cells:
        buckets_by_type[clock.is_weekend(cell.time + HOUR)].append(cell)
    return [*buckets_by_type.values()]


def reference_days(
    earlier: Sequence[SampleBucket], baseline: Sequence[SampleBucket], *, empty: bool = True
) -> list[SampleBucket]:
    """The days before, with those of the baseline that are not among them; none where they are too few.

    ``empty``: days without calls are days as well.
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
    """``strata``: weekends may have a level of their own; else that they do counts among what days vary by."""
    if not days:
        return Autocorrelation()
    month = _Month(days, clock, values)
    level, parameters = [0.0] * len(month.values), 0
    residuals = month.residuals(level, month.weekend)
    correlation = lag1_autocorrelation(residuals, unbiased=True)
    if correlation > MIN_DAILY_AUTOCORRELATION:  # as any course makes it
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
    """Days in a row, with the arithmetic of their values. A level is a sum to add, or of counts a share more."""

    def __init__(self, days: Sequence[SampleBucket], clock: Clock, values: ValueKind) -> None:
        self.counts = values == "counts"
        self.values = [day.value for day in days]
        self.sizes = call_weights(days) if values == "means" else [1.0] * len(days)
        self.weekend = [clock.is_weekend(day.time + HOUR) for day in days]
        self._winsorise()

    def _winsorise(self) -> None:
        """Bring days that are far off nearer to those around them, which one outage is no measure of."""
        values_by_type = defaultdict[bool, list[float]](list)
        for value, kind in zip(self.values, self.weekend, strict=True):
            values_by_type[kind].append(value)
        medians = [statistics.median(values_by_type[kind]) for kind in self.weekend]
        shares, weights = self._deviations(medians)
        winsorised_shares = winsorise(shares, weights, 1.0 if self.counts else 0.0)
        if self.counts:
            shared = zip(self.values, medians, winsorised_shares, strict=True)
            self.values = [mean * (1 + far) if mean else value for value, mean, far in shared]
        else:
            self.values = [mean + far for mean, far in zip(medians, winsorised_shares, strict=True)]

    def _deviations(self, usual: Sequence[float]) -> tuple[list[float], list[float]]:
        """How far each day is from what is usual, as a level, and how precise that is."""
        differences = [value - mean for value, mean in zip(self.values, usual, strict=True)]
        if not self.counts:
            return differences, self.sizes
        shares = [far / mean if mean else 0.0 for far, mean in zip(differences, usual, strict=True)]
        return shares, [max(mean, CONTINUITY) for mean in usual]

    def expected(self, level: Sequence[float], kinds: Sequence[bool]) -> list[float]:
        """What each day of its kind would be, at the level of its time."""
        totals, weights = defaultdict[bool, float](float), defaultdict[bool, float](float)
        for value, size, higher, kind in zip(self.values, self.sizes, level, kinds, strict=True):
            totals[kind] += value if self.counts else size * (value - higher)
            weights[kind] += 1 + higher if self.counts else size
        means = {kind: totals[kind] / weights[kind] if weights[kind] else 0.0 for kind in totals}
        if self.counts:
            return [means[kind] * (1 + higher) for kind, higher in zip(kinds, level, strict=True)]
        return [means[kind] + higher for kind, higher in zip(kinds, level, strict=True)]

    def residuals(self, level: Sequence[float], kinds: Sequence[bool]) -> list[float]:
        """How far each day is from that, in errors that all share."""
        usual = self.expected(level, kinds)
        precise = [1 / max(mean, CONTINUITY) for mean in usual] if self.counts else self.sizes
        return [math.sqrt(p) * (value - mean) for value, mean, p in zip(self.values, usual, precise, strict=True)]

    def levels(self) -> tuple[list[float], int]:
        """The level of each day by clear steps and a clear trend, and how many numbers describe it."""
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
