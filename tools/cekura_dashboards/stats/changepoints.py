"""Change points: places where a series changes from one level to another, and stays; and steady trends.

Source: segments of least squares, Auger and Lawrence (1989), Bulletin of Mathematical Biology 51, on winsorised values,
as many as the criterion of Yao (1988) wants, each value weighted by its precision as in Venkatraman and Olshen (2007),
Bioinformatics 23; every cut that is kept survives a re-test of its two sides with the variance inflated for
autocorrelation, and all of them together describe the series better than a straight line does (Bayesian information
criterion).
"""

import math
import operator
import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from msgspec import Struct

from cekura_dashboards.stats.seasonality import CONTINUITY, MAD_TO_SD, running_median
from cekura_dashboards.stats.significance import NORMAL, SampleBucket, call_weights, t_quantile, t_sf, two_sided
from cekura_dashboards.stats.time_series import lag1_autocorrelation, variance_inflation
from cekura_dashboards.stats.timeline import DAY, HOUR, Clock

MIN_VALUES = 8
"""Fewer values than this are not tested. A choice: two levels of at least ``MIN_SEGMENT`` values and two to spare."""
MAX_CHANGEPOINTS = 5
"""A choice: the search takes time in proportion, and a month rarely has more."""
MIN_SEGMENT = 3
"""A choice: shorter stretches are outliers, and tested as such."""
MANY_VALUES = 24
"""From here on the cost of a change point alone keeps false ``possible`` steps rare; with fewer, its 95 % bound too."""
WINSORISE_AT = 4.0
"""Values further from the level around them, in robust standard deviations, count as that far. A choice."""
MEDIAN_WIDTH = 7
"""Of the running median that values are winsorised about: a week of days."""
FIRST_CHANGEPOINT_COST, FURTHER_CHANGEPOINT_COST = 3.7, 4.7
"""In parameters. A fall of four deviations for six of 30 days is found in 97 %, of 400 months of noise none had two."""
LEVEL_COST = 1.5
"""In parameters. At its nominal two, 8 % of steps of 2.5 deviations among 24 values would pass for a line."""
RELATIVE_TOLERANCE = 1e-12
"""Of the largest value. A smaller spread is rounding error."""


class Changepoint(NamedTuple):
    """Where a new level begins, and the levels on both sides of it.

    ``clear``: its 99 % interval, corrected for all places tried, excludes no change. ``p_value``: of the largest of all
    places, if nothing changed.
    """

    at: int
    clear: bool
    before: float
    after: float
    p_value: float = 1.0


def find_changepoints(
    values: Sequence[float],
    weights: Sequence[float] = (),
    *,
    least: int = MIN_VALUES,
    used_df: int = 1,
    variance_known: bool = False,
) -> list[Changepoint]:
    """The cuts, in order; none for fewer than ``least`` values or values that are all the same.

    ``weights``: the precision of each, up to a factor; empty where all are equal. ``used_df``: degrees of freedom that
    were spent on the values before, 1 for none. ``variance_known``: the variance of each is at least 1 / weight.

    >>> [cut[:2] for cut in find_changepoints([10.0, 11, 10, 9, 10, 11, 9, 10, 30, 31, 29, 30, 31, 30, 29, 30])]
    [(8, True)]
    >>> find_changepoints([1.0, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    []
    """
    count = len(values)
    if count < least:
        return []
    mean = math.fsum(weights) / count if weights else 1.0
    relative_weights = [weight / mean for weight in weights] if weights else [1.0] * count
    floor = 1 / mean if variance_known else 0.0
    bounded = winsorise(values, relative_weights, floor)
    level = _mean(bounded, relative_weights, 0, count)
    spread = math.sqrt(math.fsum(w * (v - level) ** 2 for v, w in zip(bounded, relative_weights, strict=True)) / count)
    if not math.isfinite(spread) or spread <= RELATIVE_TOLERANCE * max(map(abs, bounded)):
        return []
    scaled = [(value - level) / spread for value in bounded]
    floor /= spread * spread
    cuts = _best_changepoints(scaled, relative_weights, least=max(MIN_SEGMENT, count // 50))
    # Backward elimination. sqrt(2 ln n) is about the largest of n standard normal scores; 0.5 is a margin, a choice.
    while cuts:
        scores = _scores(scaled, relative_weights, cuts, used_df=used_df, floor=floor)
        weakest = min(range(len(cuts)), key=lambda i: scores[i])
        if scores[weakest] >= math.sqrt(2 * math.log(count)) + 0.5:
            break
        del cuts[weakest]
    if not cuts or _is_linear(scaled, relative_weights, cuts):
        return []
    scores = _scores(scaled, relative_weights, cuts, used_df=used_df, floor=floor, unbiased=True)
    df = _degrees_of_freedom(scaled, relative_weights, cuts, used_df)
    clear, possible = _bounds(count, df)
    may_be_autocorrelated = _may_be_autocorrelation(scaled, relative_weights, cuts)
    parts = segments(cuts, count)
    levels = [_mean(bounded, relative_weights, start, end) for start, end in parts]
    return [
        Changepoint(
            at, score >= clear and not may_be_autocorrelated, before, after, min(1.0, 2 * count * t_sf(score, df))
        )
        for at, score, (before, after) in zip(cuts, scores, pairwise(levels), strict=True)
        if score >= possible
    ]


def winsorise(values: Sequence[float], weights: Sequence[float], floor: float = 0.0) -> list[float]:
    """Values brought within four robust standard deviations of the median of those around them.

    ``floor``: the least variance of a value of weight 1.

    >>> winsorise([1.0, 2, 1, 2, 100, 1, 2, 1], [1.0] * 8)[4] < 10
    True
    """
    medians = running_median(values, MEDIAN_WIDTH)
    deviations = [math.sqrt(w) * (v - a) for v, a, w in zip(values, medians, weights, strict=True)]
    spread = max(math.sqrt(floor), MAD_TO_SD * statistics.median(map(abs, deviations)))
    if spread <= 0:
        return list(values)
    return [
        a + min(max(d, -WINSORISE_AT * spread), WINSORISE_AT * spread) / math.sqrt(w)
        for d, a, w in zip(deviations, medians, weights, strict=True)
    ]


def segments(cuts: Sequence[int], count: int) -> list[tuple[int, int]]:
    """The half-open stretches between cuts.

    >>> segments([3], 8)
    [(0, 3), (3, 8)]
    """
    edges = [0, *cuts, count]
    return list(pairwise(edges))


def _mean(values: Sequence[float], weights: Sequence[float], start: int, end: int) -> float:
    part = range(start, end)
    return math.fsum(values[i] * weights[i] for i in part) / math.fsum(weights[i] for i in part)


def _best_changepoints(values: Sequence[float], weights: Sequence[float], *, least: int) -> list[int]:
    """The cuts with the least sum of squares, as many as the criterion selects.

    Every number of cuts is tried, as a series that falls and comes back gains nothing by the first of its two. Dynamic
    programming: the best k cuts of all values up to an end are the best k - 1 up to some start, then one segment.
    """
    count, sums = len(values), [(0.0, 0.0)]
    for value, weight in zip(values, weights, strict=True):
        sums.append((sums[-1][0] + value * weight, sums[-1][1] + weight))
    squares = math.fsum(weight * value * value for value, weight in zip(values, weights, strict=True))
    explained = [
        [(total - part) ** 2 / (whole - weight) for part, weight in sums[: max(0, end - least + 1)]]
        for end, (total, whole) in enumerate(sums)
    ]
    gains = [row[0] if row else 0.0 for row in explained]
    cuts = [list[int]() for _ in sums]
    best, best_cuts = _criterion(squares - gains[count], 0.0, count), list[int]()
    for number in range(1, MAX_CHANGEPOINTS + 1):
        first, further, cuts_by_end = number * least, [0.0] * len(sums), [list[int]() for _ in sums]
        for end in range(first + least, count + 1):
            candidate_gains = [*map(operator.add, gains[first : end - least + 1], explained[end][first:])]
            further[end] = max(candidate_gains)
            at = first + candidate_gains.index(further[end])
            cuts_by_end[end] = [*cuts[at], at]
        gains, cuts = further, cuts_by_end
        criterion = _criterion(
            squares - gains[count], FIRST_CHANGEPOINT_COST + FURTHER_CHANGEPOINT_COST * (number - 1), count
        )
        if cuts_by_end[count] and criterion < best:
            best, best_cuts = criterion, cuts_by_end[count]
    return best_cuts


def residuals(values: Sequence[float], weights: Sequence[float], cuts: Sequence[int]) -> list[float]:
    """The residuals about segment means, each times the root of its weight."""
    scaled = list[float]()
    for start, end in segments(cuts, len(values)):
        mean = _mean(values, weights, start, end)
        scaled += [math.sqrt(weights[i]) * (values[i] - mean) for i in range(start, end)]
    return scaled


def _scores(
    values: Sequence[float],
    weights: Sequence[float],
    cuts: Sequence[int],
    *,
    used_df: int,
    floor: float,
    unbiased: bool = False,
) -> list[float]:
    """For each cut the difference of its two sides, in standard errors inflated for autocorrelation."""
    scaled = residuals(values, weights, cuts)
    inflation = (
        variance_inflation(lag1_autocorrelation(scaled, unbiased=unbiased))
        * len(values)
        / max(1, len(values) - used_df + 1)
    )
    parts, scores = segments(cuts, len(values)), list[float]()
    pooled = max(floor, math.fsum(r * r for r in scaled) / len(scaled))
    for before, after in pairwise(parts):
        variance = 0.0
        for start, end in (before, after):
            spread = max(pooled, math.fsum(r * r for r in scaled[start:end]) / (end - start))
            variance += spread / math.fsum(weights[start:end])
        difference = abs(_mean(values, weights, *before) - _mean(values, weights, *after))
        scores.append(difference / math.sqrt(variance * inflation + 1e-12))
    return scores


def _degrees_of_freedom(values: Sequence[float], weights: Sequence[float], cuts: Sequence[int], used_df: int) -> float:
    """The residual degrees of freedom, fewer where neighbours are autocorrelated."""
    inflation = variance_inflation(lag1_autocorrelation(residuals(values, weights, cuts), unbiased=True))
    return max(1.0, len(values) / inflation - len(cuts) - used_df)


def _bounds(count: int, df: float) -> tuple[float, float]:
    """The scores from which on no change is excluded: at 99 % and, of few values, at 95 %, corrected for every place.

    With more values the cost of a change point in the search ensures the latter.
    """
    places = max(1, count - 2 * MIN_SEGMENT)
    possible = t_quantile(two_sided(0.95, places), df) if count < MANY_VALUES else 0.0
    return t_quantile(two_sided(0.99, count), df), possible


def _is_linear(values: Sequence[float], weights: Sequence[float], cuts: Sequence[int]) -> bool:
    """Whether a straight line describes the values better than the levels do."""
    count = len(values)
    whole = math.fsum(weights)
    middle = math.fsum(i * weight for i, weight in enumerate(weights)) / whole
    mean = _mean(values, weights, 0, count)
    sum_of_squares = math.fsum(weight * (i - middle) ** 2 for i, weight in enumerate(weights))
    triples = [*zip(range(count), values, weights, strict=True)]
    slope = math.fsum(w * (i - middle) * (v - mean) for i, v, w in triples) / sum_of_squares
    line = math.fsum(w * (v - mean - slope * (i - middle)) ** 2 for i, v, w in triples)
    return _criterion(line, 2, count) < _levels_criterion(values, weights, cuts)


def _may_be_autocorrelation(values: Sequence[float], weights: Sequence[float], cuts: Sequence[int]) -> bool:
    """Whether a first-order autoregression describes the values better than several levels; of a single cut False."""
    if len(cuts) == 1:
        return False
    scaled = residuals(values, weights, [])
    sum_of_squares = math.fsum(r * r for r in scaled) * (1 - lag1_autocorrelation(scaled, unbiased=True) ** 2)
    return _criterion(sum_of_squares, 2, len(values)) < _levels_criterion(values, weights, cuts)


def _levels_criterion(values: Sequence[float], weights: Sequence[float], cuts: Sequence[int]) -> float:
    sum_of_squares = math.fsum(residual * residual for residual in residuals(values, weights, cuts))
    return _criterion(sum_of_squares, 1 + LEVEL_COST + FURTHER_CHANGEPOINT_COST * (len(cuts) - 1), len(values))


def _criterion(squares: float, parameters: float, count: int) -> float:
    return count * math.log(max(squares, 1e-12) / count) + parameters * math.log(count)


MAX_VALUES = 180
"""Longer series are averaged down to this: the slopes of all pairs are computed. A choice, for time."""


class TrendTest(NamedTuple):
    """``slope`` per value; ``score`` in standard errors inflated for autocorrelation."""

    slope: float
    score: float

    @property
    def p_value(self) -> float:
        """Two-sided, and doubled as the series is tested for steps too."""
        return min(1.0, 2 * 2 * NORMAL.cdf(-abs(self.score)))

    @property
    def verdict(self) -> str:
        """``clear``, ``possible`` or ``within noise``, corrected as the series is tested for steps too."""
        if abs(self.score) >= NORMAL.inv_cdf(two_sided(0.99, tests=2)):
            return "clear"
        return "possible" if abs(self.score) >= NORMAL.inv_cdf(two_sided(0.95, tests=2)) else "within noise"


def fit_trend(values: Sequence[float], cuts: Sequence[int] = ()) -> TrendTest:
    """The trend between cuts: only values of one stretch are compared with each other.

    Source: slope by Sen (1968), score by Mann (1945) and Kendall with ties, its variance inflated by the
    autocorrelation of the residuals.

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
