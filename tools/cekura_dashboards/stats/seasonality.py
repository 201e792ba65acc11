"""Seasonality: the effects of the hour of the day and the day of the week, and the residuals about them."""

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence

from msgspec import Struct

from cekura_dashboards.stats.levels import (
    CONTINUITY,
    FIT_ROUNDS,
    OUTLIER_SCORE,
    LevelModel,
    best_weights,
    overdispersion,
    robust_sd,
    running_median,
    standardise,
    sum_at,
)
from cekura_dashboards.stats.time_series import TimeSeries
from cekura_dashboards.stats.timeline import DAY, Clock, Place
from cekura_dashboards.values import replace

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
