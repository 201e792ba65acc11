"""Levels of values, the residuals about them, and their scores in standard deviations.

Levels of additive or positive values are compared by their ratio, all others by their difference. Counts are scored
on the scale of the inverse hyperbolic sine, which for Poisson counts is the square root, Anscombe (1948), Biometrika
35, and far from their expected value by their exact p-value; rates by their binomial error; durations and the like by
their logarithm.
"""

import math
import statistics
from collections import defaultdict
from collections.abc import Hashable, Sequence

from cekura_dashboards.stats.distributions import count_score, share_score
from cekura_dashboards.stats.time_series import TimeSeries

FIT_ROUNDS = 3
"""Rounds of fitting days and hours in turn, each without the outliers of the last. A choice, for time."""
OUTLIER_SCORE = 4.0
"""Buckets further from their expected value, in standard deviations, do not enter a fit. A choice."""
MAD_TO_SD = 1.4826
"""1 / the 0.75 quantile of the normal: scales a median absolute deviation to a standard deviation."""
PRECISION_POWERS = (0.0, 0.5, 1.0)
"""How precision may grow with the calls: not at all, or up to as if all calls were independent."""
EXACT_FROM_SCORE = 2.5
"""From this score on the exact p-value of a count is computed; nearer, no verdict depends on it. A choice, for time."""
LOG_LIKELIHOOD_MARGIN = 2.0
"""The log-likelihood that weights by calls must lose to equal weights before those are used. A choice."""
NORMAL_FROM = 5000
"""Larger counts are scored as normal. A choice, for time."""
CHI_SQUARE_MEDIAN = 0.455
"""The median of a chi-square distribution with one degree of freedom."""
CONTINUITY = 0.5
"""Added to counts before their logarithm is taken, which keeps that of 0 finite: the usual continuity correction."""


class LevelModel:
    """The values of a series with the arithmetic of its scale."""

    def __init__(self, series: TimeSeries, base: float | None = None) -> None:
        """``base``: the level of an effect of 0, by default that of all values."""
        self.series = series
        self.values = series.present_values()
        self.sizes = self._sizes()
        self.is_multiplicative = series.scale in {"count", "sum", "positive"}
        self.logs = series.scale == "positive" and not series.is_mergeable
        """Whether levels are means of logarithms, as of values that do not merge."""
        self._weighted = [
            size * (math.log(v) if self.logs else v) for size, v in zip(self.sizes, self.values, strict=True)
        ]
        self.base = self._mean() if base is None else base

    def _mean(self) -> float:
        mean = math.fsum(self._weighted) / math.fsum(self.sizes)
        return math.exp(mean) if self.logs else mean or (CONTINUITY if self.series.is_additive else 0.0)

    def _sizes(self) -> list[float]:
        """The weight of each bucket in a mean: its calls, where all are known; 1 for counts and sums."""
        series = self.series
        if series.is_additive or not series.is_mergeable or any(not n for n in series.n):
            return [1.0] * len(series)
        return [float(n or 0) for n in series.n]

    def level(self, effect: float) -> float:
        return self.base * math.exp(effect) if self.is_multiplicative else self.base + effect

    def centre(self, effects: list[float]) -> list[float]:
        """Effects whose mean level is the base."""
        if not self.is_multiplicative:
            middle = math.fsum(e * n for e, n in zip(effects, self.sizes, strict=True)) / math.fsum(self.sizes)
        elif self.logs:
            middle = math.fsum(effects) / len(effects)
        else:
            whole = math.fsum(self.sizes)
            middle = math.log(math.fsum(n * math.exp(e) for e, n in zip(effects, self.sizes, strict=True)) / whole)
        return [effect - middle for effect in effects]

    def effects(self, others: Sequence[float], keys: Sequence[Hashable], inliers: Sequence[bool]) -> list[float]:
        """For each bucket the effect of its key, the effects of ``others`` taken away."""
        places_by_key = defaultdict[Hashable, list[int]](list)
        for place, key in enumerate(keys):
            places_by_key[key].append(place)
        weighted, expected = self._weighted, self._expected(others)
        effect_by_key = dict[Hashable, float]()
        for key, places in places_by_key.items():
            members = [place for place in places if inliers[place]] or places
            effect_by_key[key] = self._effect(
                sum([self.sizes[place] for place in members]),
                sum([weighted[place] for place in members]),
                sum([expected[place] for place in members]),
            )
        return [effect_by_key[key] for key in keys]

    def deviations(self, groups: Sequence[Sequence[int]], others: Sequence[float]) -> list[float]:
        """The effect of each group of buckets beyond the effects of ``others``."""
        expected = self._expected(others)
        return [
            self._effect(sum_at(self.sizes, places), sum_at(self._weighted, places), sum_at(expected, places))
            for places in groups
        ]

    def _expected(self, others: Sequence[float]) -> list[float]:
        """The expected contribution of each bucket to a sum under ``others`` alone: its level times its calls."""
        if self.logs:
            return [math.log(self.base) + other for other in others]
        if self.is_multiplicative:
            return [size * self.base * math.exp(other) for size, other in zip(self.sizes, others, strict=True)]
        return [size * (self.base + other) for size, other in zip(self.sizes, others, strict=True)]

    def _effect(self, whole: float, observed: float, expected: float) -> float:
        if self.logs or not self.is_multiplicative:
            return (observed - expected) / whole
        more = CONTINUITY if self.series.is_additive else 0.0
        return math.log(observed + more) - math.log(expected + more)

    def precision(self, place: int, effect: float) -> float:
        """The precision of a bucket's residual, up to a factor: its expected calls."""
        return max(self.level(effect), CONTINUITY) if self.series.is_additive else self.sizes[place]

    def scores(self, effects: Sequence[float]) -> list[float]:
        """The residual of each value in standard deviations."""
        expected = [self.level(effect) for effect in effects]
        if self.series.is_additive:
            return self._count_scores(expected)
        if self.series.scale == "rate" and any(size != 1 for size in self.sizes):
            return self._rate_scores(expected)
        if self.is_multiplicative:
            deviations = [math.log(v) - math.log(u) for v, u in zip(self.values, expected, strict=True)]
        else:
            deviations = [v - u for v, u in zip(self.values, expected, strict=True)]
        calls = [float(n or 1) for n in self.series.n]
        weights = best_weights(deviations, calls)
        return standardise([a * math.sqrt(w) for a, w in zip(deviations, weights, strict=True)])

    def _count_scores(self, levels: Sequence[float]) -> list[float]:
        """Counts as negative binomial; sums as counts of a unit chosen so that their variance is as for counts."""
        unit = 1.0
        if self.series.scale == "sum":
            ratios = [(v - u) ** 2 / u for v, u in zip(self.values, levels, strict=True) if u > 0]
            unit = max(statistics.median(ratios) / CHI_SQUARE_MEDIAN, 1e-12) if ratios else 1.0
        values, expected = [max(v, 0.0) / unit for v in self.values], [max(u, 0.0) / unit for u in levels]
        excess = overdispersion(values, expected)
        scores = [stabilise(v, excess) - stabilise(u, excess) for v, u in zip(values, expected, strict=True)]
        scores = [
            math.copysign(count_score(v, u, excess), score) if _needs_exact(score, max(v, u)) else score
            for score, v, u in zip(scores, values, expected, strict=True)
        ]
        return standardise(scores, least=1.0)

    def _rate_scores(self, levels: Sequence[float]) -> list[float]:
        scores, unit = list[float](), self.series.rate_unit
        for value, level, n in zip(self.values, levels, self.sizes, strict=True):
            share = min(1 - 1 / (n + 2), max(1 / (n + 2), level / unit))
            hits = min(1.0, max(0.0, value / unit)) * n
            score = (hits - share * n) / math.sqrt(n * share * (1 - share))
            if _needs_exact(score, n):
                score = math.copysign(share_score(hits, n, share), score)
            scores.append(score)
        over = math.fsum(min(score * score, OUTLIER_SCORE * OUTLIER_SCORE) - 1 for score in scores) / math.fsum(
            self.sizes
        )
        if over > 0:
            scores = [s / math.sqrt(1 + over * n) for s, n in zip(scores, self.sizes, strict=True)]
        return standardise(scores, least=1.0)


def sum_at(values: Sequence[float], places: Sequence[int]) -> float:
    """The sum of the values at these places, of which there is often but one."""
    return values[places[0]] if len(places) == 1 else math.fsum([values[place] for place in places])


def _needs_exact(score: float, count: float) -> bool:
    """Whether the exact p-value is worth its time: of few calls, far from the expected value."""
    return abs(score) >= EXACT_FROM_SCORE and count <= NORMAL_FROM


def overdispersion(values: Sequence[float], expected: Sequence[float]) -> float:
    """How much counts vary beyond Poisson: the variance is the mean plus this times its square. By moments.

    Outliers for a count with the current estimate are left out of the next: they are what is tested for.
    """
    pairs, excess = list(zip(values, expected, strict=True)), 0.0
    for _ in range(FIT_ROUNDS):
        sum_of_squares = math.fsum(e * e for _, e in pairs)
        over = math.fsum((v - e) ** 2 - e for v, e in pairs)
        excess = max(0.0, over / sum_of_squares) if sum_of_squares > 0 else 0.0
        bound = OUTLIER_SCORE**2
        pairs = [(v, e) for v, e in pairs if (v - e) ** 2 <= bound * (e + excess * e * e + 1)] or pairs
    return excess


def stabilise(count: float, excess: float) -> float:
    """A negative binomial count on a scale on which its standard deviation is 1."""
    if excess < 1e-6:  # noqa: PLR2004 - Poisson
        return 2 * math.sqrt(count + 0.375)
    return 2 / math.sqrt(excess) * math.asinh(math.sqrt(excess * (count + 0.375)))


def standardise(values: Sequence[float], *, least: float = 0.0) -> list[float]:
    """Divided by their robust spread, which is at least ``least``; 0 where all are equal."""
    spread = max(least, robust_sd(values))
    return [value / spread for value in values] if spread > 0 else [0.0] * len(values)


def robust_sd(values: Sequence[float]) -> float:
    """A standard deviation resistant to outliers: the larger of the scaled median deviation and the winsorised one.

    >>> round(robust_sd([-2.0, -1, 0, 1, 2, 100]), 2)
    3.05
    """
    middle = statistics.median(values)
    spread = MAD_TO_SD * statistics.median(abs(value - middle) for value in values)
    if spread <= 0:
        return math.sqrt(math.fsum((value - middle) ** 2 for value in values) / len(values))
    bounded = [min(max(value, middle - 3 * spread), middle + 3 * spread) - middle for value in values]
    return max(spread, math.sqrt(math.fsum(value * value for value in bounded) / len(bounded)))


def best_weights(deviations: Sequence[float], calls: Sequence[float]) -> list[float]:
    """Weights under which the values are most likely normal with one variance: equal, or growing with their calls."""
    mean_calls = statistics.fmean(calls)
    if mean_calls <= 0 or max(calls) < 1.2 * min(calls):
        return [1.0] * len(calls)

    def misfit(power: float) -> float:
        spread = robust_sd([a * n ** (power / 2) for a, n in zip(deviations, calls, strict=True)])
        return len(calls) * math.log(max(spread, 1e-300)) - math.fsum(power / 2 * math.log(n) for n in calls)

    power = min(PRECISION_POWERS, key=lambda power: misfit(power) + LOG_LIKELIHOOD_MARGIN * (1 - power))
    return [(n / mean_calls) ** power for n in calls]


def running_median(values: Sequence[float], width: int) -> list[float]:
    """The median of each value and its neighbours, ``width`` in all, fewer at the ends.

    >>> running_median([1.0, 9, 2, 3, 2], 3)
    [5.0, 2, 3, 2, 2.5]
    """
    half = width // 2
    return [statistics.median(values[max(0, i - half) : i + half + 1]) for i in range(len(values))]
