"""Change points: places where a series changes from one level to another, and stays; and steady trends.

Source: segments of least squares, Auger and Lawrence (1989), Bulletin of Mathematical Biology 51, on winsorised values,
as many as the criterion of Yao (1988) wants, each value weighted by its precision as in Venkatraman and Olshen (2007),
Bioinformatics 23; every cut that is kept survives a re-test of its two sides with the variance inflated for
autocorrelation, and all of them together describe the series better than a straight line does (Bayesian information
criterion).
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from cekura_dashboards.stats.arrays import Array, Places, np
from cekura_dashboards.stats.seasonality import MEDIAN_WIDTH
from cekura_dashboards.stats.significance import NORMAL, t_quantile, t_sf, two_sided
from cekura_dashboards.stats.time_series import (
    MAD_TO_SD,
    floats,  # noqa: F401 - for the examples below
    lag1_autocorrelation,
    median,
    running_median,
    variance_inflation,
)

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
    values: Array,
    weights: Array | None = None,
    *,
    least: int = MIN_VALUES,
    used_df: int = 1,
    variance_known: bool = False,
) -> list[Changepoint]:
    """The cuts, in order; none for fewer than ``least`` values or values that are all the same.

    ``weights``: the precision of each, up to a factor; None where all are equal. ``used_df``: degrees of freedom that
    were spent on the values before, 1 for none. ``variance_known``: the variance of each is at least 1 / weight.

    >>> [cut[:2] for cut in find_changepoints(floats([10, 11, 10, 9, 10, 11, 9, 10, 30, 31, 29, 30, 31, 30, 29, 30]))]
    [(8, True)]
    >>> find_changepoints(floats(range(1, 11)))
    []
    """
    count = len(values)
    if count < least:
        return []
    weights = np.ones(count) if weights is None else weights
    mean = float(weights.mean())
    weights = weights / mean
    floor = 1 / mean if variance_known else 0.0
    bounded = winsorise(values, weights, floor)
    level = float((bounded * weights).sum() / weights.sum())
    spread = math.sqrt(float((weights * (bounded - level) ** 2).sum()) / count)
    if not math.isfinite(spread) or spread <= RELATIVE_TOLERANCE * float(np.abs(bounded).max()):
        return []
    scaled = _Weighted((bounded - level) / spread, weights)
    floor /= spread * spread
    cuts = _best_changepoints(scaled, least=max(MIN_SEGMENT, count // 50))
    # Backward elimination. sqrt(2 ln n) is about the largest of n standard normal scores; 0.5 is a margin, a choice.
    while cuts:
        scores = _scores(scaled, cuts, used_df=used_df, floor=floor)
        weakest = int(scores.argmin())
        if scores[weakest] >= math.sqrt(2 * math.log(count)) + 0.5:
            break
        del cuts[weakest]
    if not cuts or _is_linear(scaled, cuts):
        return []
    scores = _scores(scaled, cuts, used_df=used_df, floor=floor, unbiased=True)
    df = _degrees_of_freedom(scaled, cuts, used_df)
    clear, possible = _bounds(count, df)
    may_be_autocorrelated = _may_be_autocorrelation(scaled, cuts)
    levels: list[float] = _Weighted(bounded, weights).means(cuts).tolist()
    return [
        Changepoint(
            at, score >= clear and not may_be_autocorrelated, before, after, min(1.0, 2 * count * t_sf(score, df))
        )
        for at, score, (before, after) in zip(cuts, scores.tolist(), pairwise(levels), strict=True)
        if score >= possible
    ]


def winsorise(values: Array, weights: Array, floor: float = 0.0) -> Array:
    """Values brought within four robust standard deviations of the median of those around them.

    ``floor``: the least variance of a value of weight 1.

    >>> bool(winsorise(floats([1, 2, 1, 2, 100, 1, 2, 1]), np.ones(8))[4] < 10)
    True
    """
    medians, roots = running_median(values, MEDIAN_WIDTH), np.sqrt(weights)
    deviations = roots * (values - medians)
    spread = max(math.sqrt(floor), MAD_TO_SD * median(np.abs(deviations)))
    if spread <= 0:
        return values
    return medians + np.clip(deviations, -WINSORISE_AT * spread, WINSORISE_AT * spread) / roots


def segments(cuts: Sequence[int], count: int) -> list[tuple[int, int]]:
    """The half-open stretches between cuts.

    >>> segments([3], 8)
    [(0, 3), (3, 8)]
    """
    return list(pairwise([0, *cuts, count]))


class _Weighted(NamedTuple):
    """Values with their precisions, in segments between cuts."""

    values: Array
    weights: Array

    def means(self, cuts: Sequence[int]) -> Array:
        """The weighted mean of each segment."""
        means: Array = sums_of_segments(self.values * self.weights, cuts) / sums_of_segments(self.weights, cuts)
        return means

    def residuals(self, cuts: Sequence[int]) -> Array:
        """The residuals about segment means, each times the root of its weight."""
        return np.sqrt(self.weights) * (self.values - spread_over_segments(self.means(cuts), cuts, len(self.values)))


def sums_of_segments(values: Array, cuts: Sequence[int]) -> Array:
    """The sum of each segment between cuts."""
    sums: Array = np.add.reduceat(values, [0, *cuts])
    return sums


def spread_over_segments(levels: Array, cuts: Sequence[int], count: int) -> Array:
    """The level of each of ``count`` values by its segment."""
    return np.repeat(levels, np.diff([0, *cuts, count]))


def _best_changepoints(scaled: _Weighted, *, least: int) -> list[int]:
    """The cuts with the least sum of squares, as many as the criterion selects.

    Every number of cuts is tried, as a series that falls and comes back gains nothing by the first of its two. Dynamic
    programming: the best k cuts of all values up to an end are the best k - 1 up to some start, then one segment.
    """
    values, weights = scaled
    count, places = len(values), np.arange(len(values) + 1)
    sums, sizes = (np.concatenate([[0.0], np.cumsum(part)]) for part in (values * weights, weights))
    squares = float((weights * values * values).sum())
    fits = places[:, None] - places[None, :] >= least
    # explained[end, start]: what the mean of one segment explains of its sum of squares
    explained = np.full(fits.shape, -np.inf)
    ends, starts = np.nonzero(fits)
    explained[ends, starts] = (sums[ends] - sums[starts]) ** 2 / (sizes[ends] - sizes[starts])
    gains, last_cuts = explained[:, 0], list[Places]()
    best, best_number = _criterion(squares - gains[count], 0.0, count), 0
    for number in range(1, min(MAX_CHANGEPOINTS, count // least - 1) + 1):
        candidates = gains[None, :] + explained
        last_cuts.append(candidates.argmax(axis=1))
        gains = candidates.max(axis=1)
        criterion = _criterion(
            squares - gains[count], FIRST_CHANGEPOINT_COST + FURTHER_CHANGEPOINT_COST * (number - 1), count
        )
        if criterion < best:
            best, best_number = criterion, number
    cuts, end = list[int](), count
    for last in reversed(last_cuts[:best_number]):
        end = int(last[end])
        cuts.insert(0, end)
    return cuts


def _scores(scaled: _Weighted, cuts: Sequence[int], *, used_df: int, floor: float, unbiased: bool = False) -> Array:
    """For each cut the difference of its two sides, in standard errors inflated for autocorrelation."""
    residuals, count = scaled.residuals(cuts), len(scaled.values)
    inflation = (
        variance_inflation(lag1_autocorrelation(residuals, unbiased=unbiased)) * count / max(1, count - used_df + 1)
    )
    squares, sizes = residuals * residuals, np.diff([0, *cuts, count])
    pooled = max(floor, float(squares.mean()))
    variances = np.maximum(pooled, sums_of_segments(squares, cuts) / sizes) / sums_of_segments(scaled.weights, cuts)
    scores: Array = np.abs(np.diff(scaled.means(cuts))) / np.sqrt((variances[:-1] + variances[1:]) * inflation + 1e-12)
    return scores


def _degrees_of_freedom(scaled: _Weighted, cuts: Sequence[int], used_df: int) -> float:
    """The residual degrees of freedom, fewer where neighbours are autocorrelated."""
    inflation = variance_inflation(lag1_autocorrelation(scaled.residuals(cuts), unbiased=True))
    return max(1.0, len(scaled.values) / inflation - len(cuts) - used_df)


def _bounds(count: int, df: float) -> tuple[float, float]:
    """The scores from which on no change is excluded: at 99 % and, of few values, at 95 %, corrected for every place.

    With more values the cost of a change point in the search ensures the latter.
    """
    places = max(1, count - 2 * MIN_SEGMENT)
    possible = t_quantile(two_sided(0.95, places), df) if count < MANY_VALUES else 0.0
    return t_quantile(two_sided(0.99, count), df), possible


def _is_linear(scaled: _Weighted, cuts: Sequence[int]) -> bool:
    """Whether a straight line describes the values better than the levels do."""
    values, weights = scaled
    count, places = len(values), np.arange(len(values))
    centred = places - float((places * weights).sum() / weights.sum())
    deviations = values - scaled.means([])[0]
    slope = float((weights * centred * deviations).sum() / (weights * centred**2).sum())
    line = float((weights * (deviations - slope * centred) ** 2).sum())
    return _criterion(line, 2, count) < _levels_criterion(scaled, cuts)


def _may_be_autocorrelation(scaled: _Weighted, cuts: Sequence[int]) -> bool:
    """Whether a first-order autoregression describes the values better than several levels; of a single cut False."""
    if len(cuts) == 1:
        return False
    residuals = scaled.residuals([])
    sum_of_squares = float(residuals @ residuals) * (1 - lag1_autocorrelation(residuals, unbiased=True) ** 2)
    return _criterion(sum_of_squares, 2, len(residuals)) < _levels_criterion(scaled, cuts)


def _levels_criterion(scaled: _Weighted, cuts: Sequence[int]) -> float:
    residuals = scaled.residuals(cuts)
    parameters = 1 + LEVEL_COST + FURTHER_CHANGEPOINT_COST * (len(cuts) - 1)
    return _criterion(float(residuals @ residuals), parameters, len(residuals))


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
        """``clear``, ``possible`` or ``not significant``, corrected as the series is tested for steps too."""
        if abs(self.score) >= NORMAL.inv_cdf(two_sided(0.99, tests=2)):
            return "clear"
        return "possible" if abs(self.score) >= NORMAL.inv_cdf(two_sided(0.95, tests=2)) else "not significant"


def fit_trend(values: Array, cuts: Sequence[int] = ()) -> TrendTest:
    """The trend between cuts: only values of one stretch are compared with each other.

    Source: slope by Sen (1968), score by Mann (1945) and Kendall with ties, its variance inflated by the
    autocorrelation of the residuals.

    >>> trend = fit_trend(floats([1, 2, 3, 5, 4, 6, 8, 7, 9, 10]))
    >>> trend.slope, trend.verdict
    (1.0, 'clear')
    >>> fit_trend(np.full(10, 5.0)).verdict
    'not significant'
    """
    width = math.ceil(len(values) / MAX_VALUES)
    if width > 1:
        edges = range(width, len(values), width)
        values, cuts = _Weighted(values, np.ones(len(values))).means(edges), [round(cut / width) for cut in cuts]
    stretches = [values[start:end] for start, end in segments(cuts, len(values)) if end > start]
    slopes = np.concatenate([_slopes(stretch) for stretch in stretches])
    variance = math.fsum(_variance(stretch) for stretch in stretches)
    if not len(slopes) or variance <= 0 or not math.isfinite(slope := median(slopes)):
        return TrendTest(0.0, 0.0)
    residuals = np.concatenate(
        [part - part.mean() - slope * (np.arange(len(part)) - (len(part) - 1) / 2) for part in stretches]
    )
    score = float(np.sign(slopes).sum())
    inflation = variance_inflation(lag1_autocorrelation(residuals, unbiased=True))
    toward_zero = score - math.copysign(1, score) if score else 0
    return TrendTest(slope / width, toward_zero / math.sqrt(variance * inflation))


def _slopes(values: Array) -> Array:
    """Between all pairs of values."""
    gaps = np.subtract.outer(np.arange(len(values)), np.arange(len(values)))
    later = gaps > 0
    slopes: Array = np.subtract.outer(values, values)[later] / gaps[later]
    return slopes


def _variance(values: Array) -> float:
    """Of Kendall's score when there is no trend, ties taken into account."""
    count, ties = len(values), np.unique(values, return_counts=True)[1].astype(float)
    return float(count * (count - 1) * (2 * count + 5) - (ties * (ties - 1) * (2 * ties + 5)).sum()) / 18
