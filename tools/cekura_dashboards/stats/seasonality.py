"""Seasonality: the effects of the hour of the day and the day of the week, and the residuals about them.

Levels of additive or positive values are compared by their ratio, all others by their difference. Counts are scored
on the scale of the inverse hyperbolic sine, which for Poisson counts is the square root, Anscombe (1948), Biometrika
35, and far from their expected value by their exact p-value; rates by their binomial error; durations and the like by
their logarithm.
"""

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence

from msgspec import Struct

from cekura_dashboards.stats.significance import count_score, share_score
from cekura_dashboards.stats.time_series import TimeSeries
from cekura_dashboards.stats.timeline import DAY, Clock, Place
from cekura_dashboards.values import replace

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


MIN_CYCLES, WEEKS_FOR_WEEKDAYS = 2, 3
"""The least days to estimate an hour or weekend effect, and the least weeks for an effect of each weekday. Choices."""
MIN_VARIANCE_RATIO = 2.0
"""The least F ratio, explained over residual variance, at which weekday effects are subtracted. A choice."""
NOON = 12
MIN_DAYS_OF_SLOT = 3
"""An hour that occurs on fewer days is not tested. A choice."""


class DailySeries(Struct, frozen=True):
    """Whole days, seasonally adjusted: the residual of each, as a difference of levels or of their logarithms.

    ``totals``: the days themselves, as totals or means; ``effects``: those of their hours and weekdays. ``weights``:
    1 / variance, up to a factor. ``has_weekdays``: whether there were enough weeks to estimate weekday effects.
    """

    totals: LevelModel
    effects: Sequence[float]
    times: Sequence[float]
    adjusted_levels: Sequence[float]
    weights: Sequence[float]
    variance_known: bool
    """Whether the variance cannot be less than 1 / weight."""
    has_weekdays: bool
    weekend: Sequence[bool]
    used_df: int
    """Degrees of freedom spent on weekday effects."""
    precision: Sequence[float]
    """By how much to shrink scores, as the weekday effect is estimated: 1 / the standard error of a new day."""
    sizes: Sequence[float]
    """The median calls per bucket of each day."""

    def __len__(self) -> int:
        return len(self.times)

    def values(self, places: Sequence[int], levels: Sequence[float]) -> float:
        """The expected value of some days on these levels: the total of additive values, else the mean by calls."""
        expected = [self.totals.level(self.effects[i] + levels[i]) for i in places]
        if self.totals.series.is_additive:
            return math.fsum(expected)
        weights = [float(self.totals.series.n[i] or 1) for i in places]
        return math.fsum(u * w for u, w in zip(expected, weights, strict=True)) / math.fsum(weights)

    def scores(self, levels: Sequence[float]) -> list[float]:
        """The residual of each day about its level, in standard deviations.

        The error of values that do not merge is only known from the variance between days.
        """
        if self.totals.series.is_mergeable:
            scores = self.totals.scores([effect + level for effect, level in zip(self.effects, levels, strict=True)])
        else:
            residuals = [v - level for v, level in zip(self.adjusted_levels, levels, strict=True)]
            scores = standardise([math.sqrt(w) * v for v, w in zip(residuals, self.weights, strict=True)])
        return [score * part for score, part in zip(scores, self.precision, strict=True)]


class SeasonalFit(Struct, frozen=True):
    """A series with its seasonal fit.

    ``hours``: the effect of each bucket's hour. ``expected``: the value of each bucket by its hour and the level of its
    day. ``scores``: the residuals of hours in standard deviations; ``days`` has those of days. ``excess``: the variance
    of counts beyond Poisson, as a share of the square of their mean.
    """

    series: TimeSeries
    hours: Sequence[float]
    expected: Sequence[float]
    scores: Sequence[float]
    levels: LevelModel
    days: DailySeries
    excess: float

    def value(self, effect: float) -> float:
        """A level in the units of the series."""
        return self.levels.level(effect)

    def deviations(self, places: Sequence[int]) -> list[tuple[float, float]]:
        """The residual of each bucket about its hour on the overall level, and its precision."""
        alone = [[place] for place in places]
        precisions = [self.levels.precision(place, self.hours[place]) for place in places]
        return [*zip(self.levels.deviations(alone, self.hours), precisions, strict=True)]


def fit_seasonality(whole: TimeSeries, clock: Clock) -> SeasonalFit:
    """The seasonal fit of a series with at least one value; buckets without data are left out."""
    series = whole.with_data()
    places = [clock.place(time + series.step / 2) for time in series.times]
    model = LevelModel(series)
    days, slots = [place.day for place in places], _slots(places, clock, series.step)
    hours, within = [0.0] * len(series), [0.0] * len(series)
    inliers, scores = [True] * len(series), [0.0] * len(series)
    slot_sizes = Counter(slots)
    reliability = [
        1 / math.sqrt(1 + 1 / slot_sizes[slot]) if slot_sizes[slot] >= MIN_DAYS_OF_SLOT else 0.0 for slot in slots
    ]
    reliability = reliability or [1.0] * len(series)
    # Hour effects and day levels depend on each other, and outliers on both: fit in turn until the outliers repeat.
    for turn in range(FIT_ROUNDS if series.step < DAY else 0):
        within = model.effects(hours, days, inliers)
        if slots:
            kinds = [kind for _, kind in slots]
            within = [level - mean for level, mean in zip(within, _means(within, kinds), strict=True)]
            hours = model.centre(model.effects(within, slots, inliers))
            within = model.effects(hours, days, inliers)
        scores = model.scores([a + b for a, b in zip(hours, within, strict=True)])
        scores = [score * part for score, part in zip(scores, reliability, strict=True)]
        near = [abs(score) <= OUTLIER_SCORE for score in scores]
        if near == inliers and turn:
            break
        inliers = near
    expected = [model.level(a + b) for a, b in zip(hours, within, strict=True)]
    return SeasonalFit(
        series=series,
        hours=hours,
        expected=expected,
        scores=scores,
        levels=model,
        days=_daily_series(model, hours, inliers, places, clock, _edges(whole, clock)),
        excess=overdispersion(model.values, expected) if series.scale == "count" else 0.0,
    )


def _means(values: Sequence[float], keys: Sequence[Hashable]) -> list[float]:
    """For each value the mean of all with its key."""
    members_by_key = defaultdict[Hashable, list[float]](list)
    for key, value in zip(keys, values, strict=True):
        members_by_key[key].append(value)
    means = {key: math.fsum(members) / len(members) for key, members in members_by_key.items()}
    return [means[key] for key in keys]


def _slots(places: Sequence[Place], clock: Clock, step: float) -> list[tuple[int, int]]:
    """The hour, and weekend or not, of each bucket; empty where days are too few to estimate hour effects."""
    if step >= DAY:
        return []
    days_by_kind = defaultdict[int, set[int]](set)
    for place in places:
        days_by_kind[clock.kind(place.weekday)].add(place.day)
    if sum(map(len, days_by_kind.values())) < MIN_CYCLES:
        return []
    by_weekend = all(len(days) >= MIN_CYCLES for days in days_by_kind.values())
    return [(place.hour, clock.kind(place.weekday) if by_weekend else 0) for place in places]


def _edges(series: TimeSeries, clock: Clock) -> set[int]:
    """The first and the last day, if less than half of them is in the series."""
    if series.step >= DAY:
        return set()
    first, last = (clock.place(series.times[i] + series.step / 2) for i in (0, -1))
    cut = {first.day} if first.hour > NOON else set[int]()
    return cut | ({last.day} if last.hour < NOON - 1 else set[int]())


def _daily_series(
    model: LevelModel,
    hours: Sequence[float],
    inliers: Sequence[bool],
    places: Sequence[Place],
    clock: Clock,
    cut: set[int],
) -> DailySeries:
    """Days less weekday effects and without outlying hours; ``cut`` days are left out."""
    series, places_by_day = model.series, defaultdict[int, list[int]](list)
    for i, place in enumerate(places):
        if place.day not in cut:
            places_by_day[place.day].append(i)
    whole = [[i for i in items if inliers[i]] or items for _, items in sorted(places_by_day.items())]
    plain = level = model.deviations(whole, hours)
    weekdays = [places[items[0]].weekday for items in whole]
    expected_levels, counts = [model.level(hour) for hour in hours], [float(n or 0) for n in series.n]
    sizes = _sizes(model, whole, expected_levels)
    weeks = (places[whole[-1][0]].day - places[whole[0][0]].day + 1) / 7 if whole else 0
    by_weekday, used_df = weeks >= WEEKS_FOR_WEEKDAYS - 1 / 7, 1
    kinds = weekdays if by_weekday else [clock.kind(weekday) for weekday in weekdays]
    if weeks >= MIN_CYCLES - 1 / 7:
        level, used_df = _without_weekdays(level, kinds)
    others = Counter(kinds)
    totals, expected = _totals(model, whole, expected_levels, counts)
    effects = [u + p - v for u, p, v in zip(expected, plain, level, strict=True)]
    return DailySeries(
        totals=totals,
        effects=effects,
        times=[series.times[items[0]] for items in whole],
        adjusted_levels=level,
        weights=_weights(model, level, sizes),
        variance_known=_sampling_variance(model) is not None,
        has_weekdays=by_weekday,
        weekend=[clock.kind(weekday) > 0 for weekday in weekdays],
        used_df=used_df,
        precision=[1 / math.sqrt(1 + 1 / max(1, others[kind] - 2)) if used_df > 1 else 1.0 for kind in kinds],
        sizes=[statistics.median([counts[i] for i in items]) for items in whole],
    )


def _totals(
    model: LevelModel, whole: Sequence[Sequence[int]], levels: Sequence[float], counts: Sequence[float]
) -> tuple[LevelModel, list[float]]:
    """The days as totals or means, and the expected value of each by its hours, as an effect.

    ``levels``: the expected value of each bucket; ``counts``: its calls, 0 where they are not known.
    """
    series, sizes = model.series, model.sizes
    sums = [size * value for size, value in zip(sizes, model.values, strict=True)]
    expected_sums = [size * level for size, level in zip(sizes, levels, strict=True)]
    weights = [1.0 if series.is_additive else sum_at(sizes, items) for items in whole]
    values: list[float | None] = [sum_at(sums, items) / n for items, n in zip(whole, weights, strict=True)]
    expected = [sum_at(expected_sums, items) / n for items, n in zip(whole, weights, strict=True)]
    if model.is_multiplicative:
        expected = [math.log(max(level, 1e-300)) for level in expected]
    calls_known = not any(n is None for n in series.n)
    calls = [sum_at(counts, items) if calls_known else None for items in whole]
    days = replace(series, times=[0.0] * len(whole), values=values, n=calls, step=DAY)
    return LevelModel(days, base=1.0 if model.is_multiplicative else 0.0), expected


def _sizes(model: LevelModel, whole: Sequence[Sequence[int]], levels: Sequence[float]) -> list[float]:
    """The calls of each day; of counts the expected ones."""
    if model.series.is_additive:
        return [max(CONTINUITY, sum_at(levels, items)) for items in whole]
    calls = [float(n or 1) for n in model.series.n]
    return [sum_at(calls, items) for items in whole]


def _weights(model: LevelModel, level: Sequence[float], sizes: Sequence[float]) -> list[float]:
    """1 / variance of each day: the sampling variance of its calls, and the variance between days."""
    if not level:
        return []
    own, residuals = _sampling_variance(model), [v - m for v, m in zip(level, running_median(level, 7), strict=True)]
    if own is None:
        return best_weights(residuals, sizes)
    sampling_variances = [own / size for size in sizes]
    more = max(0.0, robust_sd(residuals) ** 2 - statistics.median(sampling_variances))
    return [1 / (more + part) for part in sampling_variances]


def _sampling_variance(model: LevelModel) -> float | None:
    """The variance of one call in a day's level; None where that is not known."""
    if model.series.scale == "count":
        return 1.0
    if model.series.scale == "rate" and any(n for n in model.series.n):
        share = min(0.99, max(0.01, model.base / model.series.rate_unit))
        return share * (1 - share) * model.series.rate_unit**2
    return None


def _without_weekdays(level: Sequence[float], kinds: Sequence[int]) -> tuple[list[float], int]:
    """Each day less its weekday effect, where weekdays explain enough; and the degrees of freedom that took.

    Source: one half of a step of median polish, Tukey (1977), about a running level, with winsorised means.
    """
    medians = running_median(level, 7)
    deviations = [value - median for value, median in zip(level, medians, strict=True)]
    deviations_by_kind = defaultdict[int, list[float]](list)
    for kind, value in zip(kinds, deviations, strict=True):
        deviations_by_kind[kind].append(value)
    if len(deviations_by_kind) < 2 or min(map(len, deviations_by_kind.values())) < MIN_CYCLES:  # noqa: PLR2004 - of two kinds
        return list(level), 1
    weekday_effects = {kind: _centre(values) for kind, values in deviations_by_kind.items()}
    middle = statistics.fmean(weekday_effects[kind] for kind in kinds)
    rest = [value - weekday_effects[kind] for kind, value in zip(kinds, deviations, strict=True)]
    limit = OUTLIER_SCORE * robust_sd(rest)
    before, after = (math.fsum(min(abs(value), limit) ** 2 for value in part) for part in (deviations, rest))
    degrees_of_freedom = len(level) - len(deviations_by_kind)
    if after > 0 and (before - after) / (len(deviations_by_kind) - 1) < MIN_VARIANCE_RATIO * after / max(
        1, degrees_of_freedom
    ):
        return list(level), 1
    return [value - weekday_effects[kind] + middle for kind, value in zip(kinds, level, strict=True)], len(
        deviations_by_kind
    )


def _centre(values: Sequence[float]) -> float:
    """The mean of a few values without the highest and the lowest, where there are four."""
    if len(values) < 4:  # noqa: PLR2004 - see above
        return statistics.median(values)
    return statistics.fmean(sorted(values)[1:-1])
