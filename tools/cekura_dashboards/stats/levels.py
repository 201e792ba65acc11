"""Levels of values, what is apart from them, and how many standard deviations that is.

Levels of what is additive or positive are compared by their ratio, of all else by their difference. Counts are scored
on the scale of the inverse hyperbolic sine, which for Poisson counts is the square root, Anscombe (1948), Biometrika
35, and where they are far off by their exact chance; rates by their binomial error; durations and the like by their
logarithm.
"""

import math
import statistics
from collections import defaultdict
from collections.abc import Hashable, Sequence

from cekura_dashboards.stats.distributions import count_score, share_score
from cekura_dashboards.stats.time_series import TimeSeries

FIT_ROUNDS = 3
"""Of fitting days and hours in turn; a bucket that is far off after one does not count in the next."""
OUTLIER_SCORE = 4.0
MAD_TO_SD = 1.4826
PRECISION_POWERS = (0.0, 0.5, 1.0)
"""How precision may grow with the calls: not at all, or up to as if all calls were independent."""
EXACT_FROM_SCORE = 2.5
"""From this score on the exact chance of a count is worked out."""
LOG_LIKELIHOOD_MARGIN = 2.0
"""How much likelier, in units of log-likelihood, all days must be alike than differ by their calls."""
NORMAL_FROM = 5000
"""Larger counts are as good as normal."""
CHI_SQUARE_MEDIAN = 0.455
"""Of squared normal values."""
CONTINUITY = 0.5
"""Added to counts before their logarithm is taken."""


class LevelModel:
    """The values of a course with the arithmetic of its scale."""

    def __init__(self, course: TimeSeries, base: float | None = None) -> None:
        """``base``: the level of an effect of 0, by default that of all values."""
        self.series = course
        self.values = course.present_values()
        self.sizes = self._sizes()
        self.is_multiplicative = course.scale in {"count", "sum", "positive"}
        self.logs = course.scale == "positive" and not course.is_mergeable
        """Whether levels are means of logarithms, as of values that do not merge."""
        self._weighted = [
            size * (math.log(v) if self.logs else v) for size, v in zip(self.sizes, self.values, strict=True)
        ]
        self.base = self._mean() if base is None else base

    def _mean(self) -> float:
        mean = math.fsum(self._weighted) / math.fsum(self.sizes)
        return math.exp(mean) if self.logs else mean or (CONTINUITY if self.series.is_additive else 0.0)

    def _sizes(self) -> list[float]:
        """What a bucket counts in a mean: its calls, where all are known; 1 for counts and sums."""
        course = self.series
        if course.is_additive or not course.is_mergeable or any(not n for n in course.n):
            return [1.0] * len(course)
        return [float(n or 0) for n in course.n]

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

    def effects(self, others: Sequence[float], keys: Sequence[Hashable], included: Sequence[bool]) -> list[float]:
        """For each bucket the effect of its key, the effects of ``others`` taken away."""
        places_by_key = defaultdict[Hashable, list[int]](list)
        for place, key in enumerate(keys):
            places_by_key[key].append(place)
        weighted, expected = self._weighted, self._expected(others)
        effect_by_key = dict[Hashable, float]()
        for key, places in places_by_key.items():
            chosen = [place for place in places if included[place]] or places
            effect_by_key[key] = self._effect(
                sum([self.sizes[place] for place in chosen]),
                sum([weighted[place] for place in chosen]),
                sum([expected[place] for place in chosen]),
            )
        return [effect_by_key[key] for key in keys]

    def deviations(self, groups: Sequence[Sequence[int]], others: Sequence[float]) -> list[float]:
        """How far the buckets of each group together are from what the effects of ``others`` alone would make them."""
        expected = self._expected(others)
        return [
            self._effect(sum_at(self.sizes, places), sum_at(self._weighted, places), sum_at(expected, places))
            for places in groups
        ]

    def _expected(self, others: Sequence[float]) -> list[float]:
        """What each bucket adds to a sum if only the effects of ``others`` hold: its level, by its calls."""
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
        """Of how far a bucket is apart, up to a factor: by the calls that it should rest on."""
        return max(self.level(effect), CONTINUITY) if self.series.is_additive else self.sizes[place]

    def scores(self, effects: Sequence[float]) -> list[float]:
        """How far each value is from the usual, in standard deviations."""
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

    def _count_scores(self, usual: Sequence[float]) -> list[float]:
        """Counts as negative binomial ones, sums as such counts of units that make up for their spread."""
        unit = 1.0
        if self.series.scale == "sum":
            ratios = [(v - u) ** 2 / u for v, u in zip(self.values, usual, strict=True) if u > 0]
            unit = max(statistics.median(ratios) / CHI_SQUARE_MEDIAN, 1e-12) if ratios else 1.0
        values, expected = [max(v, 0.0) / unit for v in self.values], [max(u, 0.0) / unit for u in usual]
        excess = overdispersion(values, expected)
        scores = [stabilise(v, excess) - stabilise(u, excess) for v, u in zip(values, expected, strict=True)]
        scores = [
            math.copysign(count_score(v, u, excess), score) if _needs_exact(score, max(v, u)) else score
            for score, v, u in zip(scores, values, expected, strict=True)
        ]
        return standardise(scores, least=1.0)

    def _rate_scores(self, usual: Sequence[float]) -> list[float]:
        scores, unit = list[float](), self.series.rate_unit
        for value, level, n in zip(self.values, usual, self.sizes, strict=True):
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
    """Whether the exact chance is worth its time: of few calls, and not of what is usual."""
    return abs(score) >= EXACT_FROM_SCORE and count <= NORMAL_FROM


def overdispersion(values: Sequence[float], expected: Sequence[float]) -> float:
    """How much counts vary beyond Poisson: the variance is the mean plus this times its square. By moments.

    Those that are far off for a Poisson count with the excess found do not count: they are what is looked for.
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
    """Divided by their robust spread, which is taken to be at least ``least``; 0 where all are alike."""
    spread = max(least, robust_sd(values))
    return [value / spread for value in values] if spread > 0 else [0.0] * len(values)


def robust_sd(values: Sequence[float]) -> float:
    """A standard deviation that few values far off do not change: the median deviation, or what is winsorised by it.

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
    """Weights under which the values are most likely to be normal with one spread: all alike, or by their calls."""
    usual = statistics.fmean(calls)
    if usual <= 0 or max(calls) < 1.2 * min(calls):
        return [1.0] * len(calls)

    def misfit(power: float) -> float:
        spread = robust_sd([a * n ** (power / 2) for a, n in zip(deviations, calls, strict=True)])
        return len(calls) * math.log(max(spread, 1e-300)) - math.fsum(power / 2 * math.log(n) for n in calls)

    power = min(PRECISION_POWERS, key=lambda power: misfit(power) + LOG_LIKELIHOOD_MARGIN * (1 - power))
    return [(n / usual) ** power for n in calls]


def running_median(values: Sequence[float], width: int) -> list[float]:
    """The median of each value and its neighbours, ``width`` in all, fewer at the ends.

    >>> running_median([1.0, 9, 2, 3, 2], 3)
    [5.0, 2, 3, 2, 2.5]
    """
    half = width // 2
    return [statistics.median(values[max(0, i - half) : i + half + 1]) for i in range(len(values))]
