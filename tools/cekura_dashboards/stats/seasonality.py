"""Seasonality: the effects of the hour of the day and the day of the week, and the residuals.

Levels of additive or positive values are compared by their ratio, others by their difference. Counts are scored
on the scale of the inverse hyperbolic sine, which for Poisson counts is the square root, Anscombe (1948), Biometrika
35, and by their exact p-value far from their expected value; rates by their binomial error; durations and similar
values by their logarithm.

An effect is a difference of levels, or of their logarithms if levels are compared by ratio. Arrays have one value per
bucket with data, those of ``DailySeries`` one per day; keys are the whole number of each bucket's group.
"""

import math
from collections.abc import Callable
from functools import cached_property

from msgspec import Struct

from cekura_dashboards.stats.significance import MIN_EXCESS, count_scores, share_scores
from cekura_dashboards.stats.time_series import (
    Calendar,
    TimeSeries,
    calendar,
    dense_keys,
    median,
    medians_by,
    robust_sd,
    running_median,
    sums_by,
    trimmed_means_by,
)
from cekura_dashboards.stats.timeline import DAY, Clock
from cekura_dashboards.values import Array, Flags, Places, np, replace

FIT_ROUNDS = 3
"""Rounds of fitting days and hours in turn, each without the outliers of the last. A choice, for speed."""
OUTLIER_SCORE = 4.0
"""Buckets further from their expected value, in standard deviations, are excluded from a fit. A choice."""
PRECISION_POWERS = (0.0, 0.5, 1.0)
"""The possible powers of precision in the calls: from constant to that of independent calls."""
EXACT_FROM_SCORE = 1.5
"""From this score on the exact p-value of a count or rate is computed: 0 with 3 expected scores 1.6 instead of 2.4.

Measured with 2.5: a false ``possible`` in 20 to 90 % of months of 3 calls an hour; with 1.5 in 0 to 2 %.
"""
SKEWED_SE, RATIO_POWERS = 2.0, (1, 2, 3)
"""The skewness, in standard errors, from which a power of ratios is tried instead of the logarithm. Choices.

Measured: hours of 7 scores of 1 or 5 had a false ``clear`` outlier in 8 to 18 % of months by logarithms, now 0 to 3 %.
"""
LARGEST_LOG = 100.0
"""Keeps squares finite."""
LOG_LIKELIHOOD_MARGIN = 2.0
"""Equal weights are used if their log-likelihood exceeds that of weights by calls by this. A choice."""
NORMAL_FROM = 5000
"""Larger counts are scored as normal. A choice, for speed."""
CONTINUITY = 0.5
"""Added to counts before taking logarithms, to keep that of 0 finite: the usual continuity correction."""
MIN_CYCLES, WEEKS_FOR_WEEKDAYS = 2, 3
"""The minimum days to estimate an hour or weekend effect, and weeks for an effect of each weekday. Choices."""
MIN_VARIANCE_RATIO = 2.0
"""The minimum F ratio, explained over residual variance, to subtract weekday effects. A choice."""
NOON = 12
MIN_DAYS_OF_SLOT = 3
"""The minimum days for an hour to be tested. A choice."""
USUAL_DAY_SD = 3.0
"""The maximum distance of an incomplete last day from usual, in standard deviations of days. A choice."""
MEDIAN_WIDTH = 7
"""The width of the running median that days are compared with: a week."""
EXCESS_ROUNDS = 10
"""Bisections of the range of a variance: to a thousandth. A choice, for speed."""
_TINY = 1e-300


class LevelModel:
    """The values of a series, and the arithmetic of its scale."""

    def __init__(self, series: TimeSeries, base: float | None = None) -> None:
        """``series``: without missing values. ``base``: the level at an effect of 0, by default that of all values."""
        self.series = series
        self.values = series.values
        self.sizes = self._sizes()
        self.is_multiplicative = series.scale in {"count", "sum", "positive"}
        self.logs = series.scale == "positive" and not series.is_mergeable
        """Whether levels are means of logarithms, as for values that cannot be merged."""
        self._weighted = self.sizes * (np.log(self.values) if self.logs else self.values)
        self.base = self._mean() if base is None else base

    def _mean(self) -> float:
        mean = float(self._weighted.sum() / self.sizes.sum())
        return math.exp(mean) if self.logs else mean or (CONTINUITY if self.series.is_additive else 0.0)

    def _sizes(self) -> Array:
        """The weight of each bucket in a mean: its calls if all are known; 1 for counts and sums."""
        series = self.series
        if series.is_additive or not series.is_mergeable or not (series.knows_calls and series.n.all()):
            return np.ones(len(series))
        return series.n

    def level(self, effects: Array) -> Array:
        return self.base * np.exp(effects) if self.is_multiplicative else self.base + effects

    def centre(self, effects: Array) -> Array:
        """The effects shifted so that their mean level is the base."""
        if self.logs:
            return effects - float(effects.mean())
        whole = float(self.sizes.sum())
        if not self.is_multiplicative:
            return effects - float((effects * self.sizes).sum()) / whole
        return effects - math.log(float((self.sizes * np.exp(effects)).sum()) / whole)

    def effects(self, others: Array, sums: Callable[[Array], Array]) -> Array:
        """The effect of each group of buckets in addition to the effects of ``others``.

        ``sums``: adds up an array of buckets by group.
        """
        observed, expected = sums(self._weighted), sums(self._expected(others))
        if self.logs or not self.is_multiplicative:
            return (observed - expected) / sums(self.sizes)
        more = CONTINUITY if self.series.is_additive else 0.0
        return np.log(observed + more) - np.log(expected + more)

    def _expected(self, others: Array) -> Array:
        """The expected contribution of each bucket to a sum under ``others`` only: its level times its calls."""
        if self.logs:
            return math.log(self.base) + others
        return self.sizes * self.level(others)

    def precision(self, effects: Array) -> Array:
        """The precision of each residual, up to a factor: its expected calls."""
        return np.maximum(self.level(effects), CONTINUITY) if self.series.is_additive else self.sizes

    def scores(self, effects: Array) -> Array:
        """The residual of each value in standard deviations."""
        expected = self.level(effects)
        if self.series.is_additive:
            return self._count_scores(expected)
        if self.series.scale == "rate" and bool((self.sizes != 1).any()):
            return self._rate_scores(expected)
        residuals = _relative_residuals(self.values, expected) if self.is_multiplicative else self.values - expected
        return standardise(residuals * np.sqrt(best_weights(residuals, _calls_or_one(self.series))))

    def _count_scores(self, levels: Array) -> Array:
        """Scores of counts as negative binomial; sums are counts in a unit in which they vary like counts."""
        unit = unit_of_sums(self.values, levels) if self.series.scale == "sum" else 1.0
        values, expected = np.maximum(self.values, 0.0) / unit, np.maximum(levels, 0.0) / unit
        excess = overdispersion(values, expected)
        scores = stabilise(values, excess) - stabilise(expected, excess)
        far = _worth_exact(scores, np.maximum(values, expected))
        scores[far] = np.copysign(count_scores(values[far], expected[far], excess), scores[far])
        return standardise(scores, least=1.0)

    def _rate_scores(self, levels: Array) -> Array:
        n, unit = self.sizes, self.series.rate_unit
        shares = np.clip(levels / unit, 1 / (n + 2), 1 - 1 / (n + 2))
        hits = np.clip(self.values / unit, 0.0, 1.0) * n
        scores = (hits - shares * n) / np.sqrt(n * shares * (1 - shares))
        far = _worth_exact(scores, n)
        scores[far] = np.copysign(share_scores(hits[far], n[far], shares[far]), scores[far])
        over = float((np.minimum(scores * scores, OUTLIER_SCORE**2) - 1).sum() / n.sum())
        if over > 0:
            scores = scores / np.sqrt(1 + over * n)
        return standardise(scores, least=1.0)


def _relative_residuals(values: Array, expected: Array) -> Array:
    """Residuals by the logarithm of the ratio, or by a power if that is skewed to low values, as for bounded scores.

    Source: Box and Cox (1964), Journal of the Royal Statistical Society B 26.
    """
    logs: Array = np.log(values) - np.log(expected)
    residuals, skewness = logs, _skewness(logs)
    for power in RATIO_POWERS if skewness < -SKEWED_SE * math.sqrt(6 / len(logs)) else ():
        others = np.expm1(np.minimum(power * logs, LARGEST_LOG)) / power
        if abs(_skewness(others)) >= abs(skewness):
            break
        residuals, skewness = others, _skewness(others)
    return residuals


def _skewness(values: Array) -> float:
    """The skewness without outliers. For normal values its standard error is the root of 6 / n."""
    scores = standardise(values - median(values))
    near = scores[np.abs(scores) <= OUTLIER_SCORE]
    deviations = near - near.mean()
    variance = float((deviations**2).mean())
    return float((deviations**3).mean()) / (variance * math.sqrt(variance)) if variance > 0 else 0.0


def _calls_or_one(series: TimeSeries) -> Array:
    """The calls of each bucket; 1 if unknown or 0."""
    return np.where(series.n > 0, series.n, 1.0)


def _worth_exact(scores: Array, counts: Array) -> Places:
    """Where the exact p-value is worth its cost: with few calls, far from the expected value."""
    return np.flatnonzero((np.abs(scores) >= EXACT_FROM_SCORE) & (counts <= NORMAL_FROM))


def unit_of_sums(sums: Array, expected: Array) -> float:
    """The unit in which the variance of sums equals their mean, as for counts. By moments, without outliers.

    The median of such ratios is far lower if most buckets have no call or one.
    """
    squares, unit = (sums - expected) ** 2, 1.0
    for _ in range(FIT_ROUNDS):
        whole = float(expected.sum())
        unit = max(float(squares.sum()) / whole, 1e-12) if whole > 0 else 1.0
        near = squares <= OUTLIER_SCORE**2 * unit * (expected + unit)
        if near.any():
            squares, expected = squares[near], expected[near]
    return unit


def overdispersion(values: Array, expected: Array) -> float:
    """The overdispersion of counts: the variance is the mean plus this times its square. By moments.

    Outliers under one estimate are left out of the next, because they are the subject of the test.
    """
    excess, squares = 0.0, (values - expected) ** 2
    for _ in range(FIT_ROUNDS):
        sum_of_squares = float((expected * expected).sum())
        excess = max(0.0, float((squares - expected).sum()) / sum_of_squares) if sum_of_squares > 0 else 0.0
        near = squares <= OUTLIER_SCORE**2 * (expected + excess * expected * expected + 1)
        if near.any():
            squares, expected = squares[near], expected[near]
    return excess


def stabilise(counts: Array, excess: float) -> Array:
    """Negative binomial counts on a scale with a standard deviation of 1."""
    if excess <= MIN_EXCESS:
        return 2 * np.sqrt(counts + 0.375)
    return 2 / math.sqrt(excess) * np.arcsinh(np.sqrt(excess * (counts + 0.375)))


def standardise(values: Array, *, least: float = 0.0) -> Array:
    """The values divided by their robust spread, at least ``least``; 0 if all are equal."""
    spread = max(least, robust_sd(values))
    return values / spread if spread > 0 else np.zeros(len(values))


def best_weights(residuals: Array, calls: Array) -> Array:
    """The weights under which the values are most likely normal with one variance: equal, or growing with the calls."""
    power = precision_power(residuals, calls)
    weights: Array = (calls / float(calls.mean())) ** power if power else np.ones(len(calls))
    return weights


def precision_power(residuals: Array, calls: Array) -> float:
    """The power of the calls with which the precision of a value grows: one of ``PRECISION_POWERS``."""
    mean_calls = float(calls.mean())
    if mean_calls <= 0 or calls.min() <= 0 or calls.max() < 1.2 * calls.min():
        return 0.0
    log_calls = float(np.log(calls).sum())

    def misfit(power: float) -> float:
        spread = robust_sd(residuals * calls ** (power / 2))
        return len(calls) * math.log(max(spread, _TINY)) - power / 2 * log_calls

    return min(PRECISION_POWERS, key=lambda power: misfit(power) + LOG_LIKELIHOOD_MARGIN * (1 - power))


class DailySeries(Struct, frozen=True, eq=False):
    """Whole days, seasonally adjusted, as differences of levels or of their logarithms.

    ``totals``: the days as totals or means; ``effects``: of their hours and weekdays. ``levels``: of days, without the
    effects of hours only. ``seasons``: the key of each day's weekday effect, None without effects. ``weights``: 1 /
    variance, up to a factor. ``has_weekdays``: whether there were enough weeks to estimate weekday effects.
    """

    totals: LevelModel
    effects: Array
    times: Array
    levels: Array
    adjusted_levels: Array
    seasons: Places | None
    weights: Array
    variances: Array | None
    """The minimum variance of each day, due to its calls; None if unknown."""
    has_weekdays: bool
    weekend: Places
    """1 for a weekend, else 0."""
    used_df: int
    """Degrees of freedom spent on weekday effects."""
    precision: Array
    """The factor that shrinks scores because weekday effects are estimated: 1 / the standard error of a new day."""
    sizes: Array
    """The median calls per bucket of each day; empty if values do not depend on them."""

    def __len__(self) -> int:
        return len(self.times)

    def with_seasonal(self, seasonal: Array) -> "DailySeries":
        """The same with these weekday effects, one per day, in place of the estimated ones."""
        adjusted = self.levels - seasonal
        return replace(self, adjusted_levels=adjusted, effects=self.effects + self.adjusted_levels - adjusted)

    def values(self, start: int, end: int, levels: Array) -> float:
        """The expected values of runs of days: totals of additive values, else means weighted by calls.

        ``levels``: of all days.
        """
        expected = self.totals.level(self.effects[start:end] + levels[start:end])
        if self.totals.series.is_additive:
            return float(expected.sum())
        weights = _calls_or_one(self.totals.series)[start:end]
        return float((expected * weights).sum() / weights.sum())

    def scores(self, levels: Array) -> Array:
        """The residual of each day about its level, in standard deviations.

        The error of values that cannot be merged is known only from the variance between days.
        """
        if self.totals.series.is_mergeable:
            return self.totals.scores(self.effects + levels) * self.precision
        return standardise(np.sqrt(self.weights) * (self.adjusted_levels - levels)) * self.precision


class SeasonalFit(Struct, frozen=True, eq=False, dict=True):
    """A series with its seasonal fit.

    ``series``: the buckets with data. ``hours``: the effect of each bucket's hour. ``expected``: the value of each
    bucket by its hour and the level of its day. ``scores``: the residuals of hours in standard deviations; ``days`` has
    those of days. ``excess``: the variance of counts beyond Poisson, as a share of the square of their mean.
    """

    series: TimeSeries
    hours: Array
    expected: Array
    scores: Array
    levels: LevelModel
    excess: float
    fit_days: Callable[[], DailySeries]

    @cached_property
    def days(self) -> DailySeries:
        """Fitted when they are asked for: outages are looked for in hours alone."""
        return self.fit_days()

    def value(self, effect: float) -> float:
        """A level in the units of the series."""
        return float(self.levels.level(np.array(effect)))

    def deviations(self, places: Places) -> tuple[Array, Array]:
        """The residual of each bucket about its hour on the overall level, and its precision."""
        return self.levels.effects(self.hours, lambda part: part[places]), self.levels.precision(self.hours)[places]


def fit_seasonality(whole: TimeSeries, clock: Clock) -> SeasonalFit:
    """The seasonal fit of a series with at least one value; buckets without data are left out."""
    series = whole.with_data()
    places = calendar(series.times + series.step / 2, clock)
    model, slots = LevelModel(series), _slots(places, series.step)
    hours, within, scores = np.zeros(len(series)), np.zeros(len(series)), np.zeros(len(series))
    inliers, days, reliability = np.ones(len(series), np.bool_), dense_keys(places.day), np.ones(len(series))
    if slots is not None:
        slot_sizes = np.bincount(slots.hours)[slots.hours]
        reliability = np.where(slot_sizes >= MIN_DAYS_OF_SLOT, 1 / np.sqrt(1 + 1 / slot_sizes), 0.0)
    # Hour effects and day levels depend on each other, and outliers on both: fit in turn until the outliers repeat.
    for turn in range(FIT_ROUNDS if series.step < DAY else 0):
        within = _effects(model, hours, days, inliers)
        if slots is not None:
            within = within - (sums_by(slots.kinds, within) / np.bincount(slots.kinds))[slots.kinds]
            hours = model.centre(_effects(model, within, slots.hours, inliers))
            within = _effects(model, hours, days, inliers)
        scores = model.scores(hours + within) * reliability
        near = np.abs(scores) <= OUTLIER_SCORE
        if turn and np.array_equal(near, inliers):
            break
        inliers = near
    bounded = _with_usual_last_day(within, days, round(DAY / series.step))
    if bounded is not None:
        within, scores = bounded, model.scores(hours + bounded) * reliability
    expected = model.level(hours + within)
    return SeasonalFit(
        series=series,
        hours=hours,
        expected=expected,
        scores=scores,
        levels=model,
        excess=overdispersion(model.values, expected) if series.scale == "count" else 0.0,
        fit_days=lambda: _daily_series(
            model, hours, _weights_of_inliers(days, inliers), places, _cut_days(whole, clock)
        ),
    )


def _with_usual_last_day(within: Array, days: Places, per_day: int) -> Array | None:
    """The levels of days, that of an incomplete last day no further from usual than days are; None if it is not.

    A day is taken at its own level, as days differ. Where calls break off within today, its level would follow, and
    the hours before, which were as usual, would stand out instead.
    """
    if not len(days) or (days == days[-1]).sum() >= per_day:
        return None
    first = np.unique(days, return_index=True)[1]
    *_, last = levels = within[first]
    others = levels[:-1]
    if len(others) < MEDIAN_WIDTH:
        return None
    usual, spread = median(others[-MEDIAN_WIDTH:]), robust_sd(others - running_median(others, MEDIAN_WIDTH))
    level = float(np.clip(last, usual - USUAL_DAY_SD * spread, usual + USUAL_DAY_SD * spread))
    return None if level == last else np.where(days == days[-1], level, within)


def _effects(model: LevelModel, others: Array, keys: Places, inliers: Flags) -> Array:
    """For each bucket the effect of its key, the effects of ``others`` taken away."""
    weights = _weights_of_inliers(keys, inliers)
    return model.effects(others, lambda part: sums_by(keys, weights * part))[keys]


def _weights_of_inliers(keys: Places, inliers: Flags) -> Array:
    """1 for inliers, and for all buckets of a key without any; else 0."""
    return np.where(np.bincount(keys, inliers)[keys] > 0, inliers, 1.0)


class _Slots(Struct, frozen=True, eq=False):
    """Of each bucket the key of its hour and kind of day, and the kind alone: weekend 1, else 0; 0 if they are one."""

    hours: Places
    kinds: Places


def _slots(places: Calendar, step: float) -> _Slots | None:
    """None where days are too few to estimate hour effects."""
    if step >= DAY:
        return None
    days = [len(np.unique(places.day[places.weekend == kind])) for kind in (0, 1)]
    if sum(days) < MIN_CYCLES:
        return None
    kinds = places.weekend if min(days) >= MIN_CYCLES else np.zeros_like(places.weekend)
    return _Slots(dense_keys(places.hour * 2 + kinds), kinds)


def _cut_days(series: TimeSeries, clock: Clock) -> list[int]:
    """The first and the last day, if less than half of them is in the series."""
    if series.step >= DAY:
        return []
    ends = calendar(series.times[[0, -1]] + series.step / 2, clock)
    return [int(ends.day[i]) for i, is_cut in enumerate((ends.hour[0] > NOON, ends.hour[1] < NOON - 1)) if is_cut]


def _daily_series(
    model: LevelModel, hours: Array, weights: Array, calendar: Calendar, cut_days: list[int]
) -> DailySeries:
    """Days less weekday effects, of the buckets with a weight; ``cut_days`` are left out."""
    series = model.series
    used = weights > 0
    for day in cut_days:
        used &= calendar.day != day
    places = np.flatnonzero(used)
    numbers, first, days = np.unique(calendar.day[places], return_index=True, return_inverse=True)
    first = places[first]

    def sums(part: Array) -> Array:
        return sums_by(days, part[places], len(numbers))

    adjusted = plain = model.effects(hours, sums)
    weeks = (numbers[-1] - numbers[0] + 1) / 7 if len(numbers) else 0.0
    by_weekday, used_df = weeks >= WEEKS_FOR_WEEKDAYS - 1 / 7, 1
    kinds = calendar.weekday[first] if by_weekday else calendar.weekend[first]
    if weeks >= MIN_CYCLES - 1 / 7:
        adjusted, used_df = _without_weekdays(adjusted, kinds)
    levels = model.level(hours)
    totals, expected = _totals(model, sums, levels)
    others = np.bincount(kinds)[kinds] if len(kinds) else kinds
    sizes, sampling_variance = _day_sizes(model, sums, levels, plain - adjusted), _sampling_variance(model)
    return DailySeries(
        totals=totals,
        effects=expected + plain - adjusted,
        times=series.times[first],
        levels=plain,
        adjusted_levels=adjusted,
        seasons=kinds if used_df > 1 else None,
        weights=_day_weights(model, adjusted, sizes),
        variances=None if sampling_variance is None else sampling_variance / sizes,
        has_weekdays=bool(by_weekday),
        weekend=calendar.weekend[first],
        used_df=used_df,
        precision=1 / np.sqrt(1 + 1 / np.maximum(1, others - 2)) if used_df > 1 else np.ones(len(numbers)),
        sizes=medians_by(days, np.nan_to_num(series.n[places])) if series.stable_from and len(days) else np.empty(0),
    )


def _totals(model: LevelModel, sums: Callable[[Array], Array], levels: Array) -> tuple[LevelModel, Array]:
    """The days as totals or means, and the expected value of each by its hours, as an effect.

    ``sums``: adds up buckets by day; ``levels``: the expected value of each bucket.
    """
    series, sizes = model.series, model.sizes
    weights = 1.0 if series.is_additive else sums(sizes)
    values, expected = sums(sizes * model.values) / weights, sums(sizes * levels) / weights
    if model.is_multiplicative:
        expected = np.log(np.maximum(expected, _TINY))
    calls = sums(series.n) if series.knows_calls else np.full(len(values), np.nan)
    days = replace(series, times=np.zeros(len(values)), values=values, n=calls, step=DAY)
    return LevelModel(days, base=1.0 if model.is_multiplicative else 0.0), expected


def _day_sizes(model: LevelModel, sums: Callable[[Array], Array], levels: Array, seasonal: Array) -> Array:
    """The calls of each day; of counts the expected ones. ``seasonal``: the weekday effect of each day."""
    if model.series.is_additive:
        return np.maximum(CONTINUITY, sums(levels) * np.exp(seasonal))
    return sums(_calls_or_one(model.series))


def _day_weights(model: LevelModel, adjusted: Array, sizes: Array) -> Array:
    """1 / variance of each day: the sampling variance of its calls, and the variance between days."""
    if not len(adjusted):
        return adjusted
    own, residuals = _sampling_variance(model), adjusted - running_median(adjusted, MEDIAN_WIDTH)
    if own is None:
        return best_weights(residuals, sizes)
    sampling_variances = own / sizes
    return 1 / (sampling_variances + _excess_variance(residuals, sampling_variances))


def _excess_variance(residuals: Array, variances: Array) -> float:
    """The variance beyond these under which the residuals have a robust standard deviation of one; 0 at least.

    Source: Paule and Mandel (1982), Journal of Research of the National Bureau of Standards 87, by bisection.
    """
    low, high = 0.0, 4 * float(residuals.var())
    if robust_sd(residuals / np.sqrt(variances)) <= 1:
        return 0.0
    for _ in range(EXCESS_ROUNDS):
        middle = (low + high) / 2
        is_small = robust_sd(residuals / np.sqrt(variances + middle)) > 1
        low, high = (middle, high) if is_small else (low, middle)
    return high


def _sampling_variance(model: LevelModel) -> float | None:
    """The variance of one call in a day's level; None where that is not known."""
    if model.series.scale == "count":
        return 1.0
    if model.series.scale == "rate" and bool((model.series.n > 0).any()):
        share = min(0.99, max(0.01, model.base / model.series.rate_unit))
        return share * (1 - share) * model.series.rate_unit**2
    return None


def _without_weekdays(levels: Array, kinds: Places) -> tuple[Array, int]:
    """Each day less its weekday effect, where weekdays explain enough; and the degrees of freedom that took.

    Source: one half of a step of median polish, Tukey (1977), about a running level, with winsorised means.
    """
    deviations = levels - running_median(levels, MEDIAN_WIDTH)
    present, keys, sizes = np.unique(kinds, return_inverse=True, return_counts=True)
    if len(present) < 2 or sizes.min() < MIN_CYCLES:  # noqa: PLR2004 - of two kinds
        return levels, 1
    effects = trimmed_means_by(keys, deviations)[keys]
    rest = deviations - effects
    limit = OUTLIER_SCORE * robust_sd(rest)
    before, after = (
        float(bounded @ bounded) for bounded in (np.minimum(np.abs(part), limit) for part in (deviations, rest))
    )
    degrees_of_freedom = max(1, len(levels) - len(present))
    if after > 0 and (before - after) / (len(present) - 1) < MIN_VARIANCE_RATIO * after / degrees_of_freedom:
        return levels, 1
    return levels - effects + effects.mean(), len(present)
