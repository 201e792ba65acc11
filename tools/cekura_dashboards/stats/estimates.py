"""Estimates: the difference of two samples with its standard error, for rates, means, percentiles and totals.

Calls of one day are correlated. A sample's error is that of independent calls times a design effect, Kish (1965):
1 + (m - 1) rho, for m calls in a typical bucket. The intraclass correlation rho is estimated by moments, Fleiss (1981),
from the variation of the days before both sides; if those are unknown, from the variance between the buckets of both
samples. A prior worth a few buckets moderates it, as in Smyth (2004), Statistical Applications in Genetics 3. So
the error of a single bucket is neither 0 nor infinite.
"""

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from cekura_dashboards.stats.reference import (
    HALF_A_DAY,
    DailyVariation,
    Strata,
    ValueKind,
    estimate_variation,
    expected_counts,
    reference_days,
)
from cekura_dashboards.stats.significance import (
    Estimate,
    Sample,
    SampleBucket,
    VerdictTerms,
    binomial_score,
    call_weights,
    hypergeometric_score,
)
from cekura_dashboards.stats.timeline import DAY, HOUR, Clock
from cekura_dashboards.values import replace

MIN_BUCKETS, MIN_DAYS_KNOWN = 5, 20
"""With fewer full buckets on a side the strongest verdict is ``possible``, unless this many days before are known.

Choices. Measured with 20 days known: without a change, 1 to 3 days are called ``clear`` in at most 1 %, 2 % if
days have heavy tails; a fall of ten points for three days, of 170 calls each, in 93 %.
"""
PRIOR_WEIGHT, PRIOR_WEIGHT_BESIDE_DAYS = 3.0, 1.0
"""The weight of a prior, in buckets: if the spread is estimated from the sample itself, and from the days before.

Choices; ``python -m benchmarks.verdicts`` measures the coverage.
"""
MIN_PRIOR_WEIGHT = 0.25
"""The same for the variance of calls, so that a few buckets that agree by chance keep some variance. A choice."""
PRIOR_INTRACLASS_CORRELATION = 0.004
"""The prior correlation of calls of one day: a daily standard deviation of 2.3 points on a rate of 0.85. A choice."""
PRIOR_DAILY_VARIATION = 0.07
"""The prior coefficient of variation of a day's number of calls, beyond Poisson. A choice."""
PRIOR_CALL_VARIATION = 1.0
"""The standard deviation of single durations and similar values, as a share of their mean, if unknown.

A choice: that of an exponential distribution.
"""
PRIOR_BUCKET_VARIATION = 0.15
"""The same for a percentile of a day. A choice."""
SMALLEST_SCALE = 1e-150
"""Values are divided by this share of the largest, whose square is then still finite."""
SMALL_COUNT = 30.0
"""Up to this many calls on a side, in units of their variance, the probability of a count is exact. For speed:
from here on the exact and the normal score differ by less than a twentieth."""
FEW_EXPECTED = 10.0
"""With fewer expected passes or failures on a side the probability of a rate is exact. A choice, by the usual rule."""
MIN_SCORE = 0.5
"""Below this score the standard error is that of the logarithm, because a score of 0 gives none. A choice."""
OUTAGE_SHARE, OUTAGE_SCORE = 0.5, 4.0
"""A day with less than half of its usual calls, and this many standard deviations below, is an outage. Choices."""


def mean_by_calls(cells: Sequence[SampleBucket]) -> float:
    """The mean of all calls together; 0 for none."""
    weights = call_weights(cells)
    whole = math.fsum(weights)
    return math.fsum(c.value * w for c, w in zip(cells, weights, strict=True)) / whole if whole > 0 else 0.0


def limited(terms: VerdictTerms, current: Sample, baseline: Sample) -> VerdictTerms:
    """At most ``possible`` if a side has few buckets and their variance is not known from enough days before."""
    few = min(len(current.buckets), len(baseline.buckets)) < MIN_BUCKETS
    if few and len(reference_days(terms.earlier_days.buckets)) < MIN_DAYS_KNOWN:
        return terms.at_most_possible()
    return terms


class _Reference(NamedTuple):
    """The days for estimating a variance; the last ``changed`` ones are those of the current side."""

    days: Sequence[SampleBucket]
    changed: int = 0


def _reference(current: Sample, terms: VerdictTerms, *, empty: bool = True) -> _Reference:
    """The days before; if they are few, with the compared days, although a change among these widens the spread."""
    days = reference_days(terms.earlier_days.buckets, empty=empty)
    own = [cell for cell in current.buckets if empty or cell.n != 0]
    if days and len(days) < MIN_DAYS_KNOWN <= len(days) + len(own) and _has_whole_days(current):
        return _Reference([*days, *own], len(own))
    return _Reference(days)


def _has_whole_days(side: Sample) -> bool:
    return not side.seconds or abs(side.seconds - len(side.buckets) * DAY) <= HOUR


def _variation(
    reference: _Reference, terms: VerdictTerms, values: ValueKind, strata: Strata = "weekdays"
) -> DailyVariation:
    """The variation of the days before, estimated once per terms."""
    days, changed = reference
    if terms.memo is None:
        return estimate_variation(days, terms.clock, values, strata, changed=changed)
    key = (*days, changed, values, strata)
    if key not in terms.memo:
        terms.memo[key] = estimate_variation(days, terms.clock, values, strata, changed=changed)
    variation: DailyVariation = terms.memo[key]
    return variation


def _length(side: Sample) -> float:
    """The length in days, at least one."""
    return max(1.0, side.seconds / DAY if side.seconds else len(side.buckets))


def _shared_effects(current: Sample, baseline: Sample, clock: Clock) -> Strata:
    """The effects that cancel: of weekdays if both sides have the same, else of weekends if as many."""
    places = [[clock.place(cell.time + HALF_A_DAY) for cell in side.buckets] for side in (current, baseline)]
    if Counter(place.weekday for place in places[0]) == Counter(place.weekday for place in places[1]):
        return "weekdays"
    kinds = [Counter(clock.kind(place.weekday) for place in side) for side in places]
    return "weekends" if kinds[0] == kinds[1] else "none"


class _SampleVariance(NamedTuple):
    """One side: its calls, the variance of a call, and the calls of a typical bucket."""

    calls: float
    variance: float
    typical: float


def difference_of_means(
    current: Sample, baseline: Sample, values: Sequence[float], ratio: float, terms: VerdictTerms
) -> Estimate:
    """Rates and means of all calls of a side. ``ratio``: what a rate of 100 % is written as, 0 for other means."""
    clock, sides = terms.clock, (current, baseline)
    strata = _shared_effects(current, baseline, clock)
    reference = _reference(current, terms, empty=False)
    days, variation = reference.days, _variation(reference, terms, "means", strata)
    spreads = [_sample_variance(side, value, ratio) for side, value in zip(sides, values, strict=True)]
    if days and not all(ratio or _knows_squares(side) for side in sides):
        by_days = variation.sum_of_squares / max(1, variation.degrees_of_freedom)
        spreads = [spread._replace(variance=min(by_days, (PRIOR_CALL_VARIATION * value) ** 2))
                   for spread, value in zip(spreads, values, strict=True)]  # fmt: skip
    variance = math.fsum(spread.variance for spread in spreads) / len(spreads)
    if days and all(ratio or _knows_squares(side) for side in sides):
        variation = variation.beyond(variance)
    moments = _Moments(0.0, 0.0, 0.0)
    if days and variance > 0:  # the parameters of the reference model replace a mean
        sizes, df = call_weights(days), float(variation.degrees_of_freedom)
        removed = variation.parameters * math.fsum(n * n for n in sizes) / math.fsum(sizes)
        moments = _Moments(variation.sum_of_squares / variance - df, math.fsum(sizes) - removed - df, df)
    else:
        for side, spread in zip(sides, spreads, strict=True):
            for part in _by_weekend(side.buckets, clock) if _has_strata(side, strata, clock) else [side.buckets]:
                moments = moments.plus(_moments(part, spread.variance))
    freedom, prior = moments.df, PRIOR_WEIGHT
    if days:
        freedom, prior = variation.effective_df, PRIOR_WEIGHT_BESIDE_DAYS
    correlation = max(0.0, moments.excess / moments.weight) if moments.weight > 0 else 0.0
    moderated = (prior * PRIOR_INTRACLASS_CORRELATION + freedom * correlation) / (prior + freedom)
    squared_error = math.fsum(
        spread.variance
        / spread.calls
        * (1 + (max(spread.typical, 1) - 1) * moderated)
        * variation.variance_factor(_length(side))
        for spread, side in zip(spreads, sides, strict=True)
        if spread.calls > 0
    )
    difference, error = values[0] - values[1], math.sqrt(squared_error)
    if ratio and abs(difference) > MIN_SCORE * error:
        designs = [max(1.0, 1 + (max(spread.typical, 1) - 1) * moderated) for spread in spreads]
        few = [round(spread.calls / design) for spread, design in zip(spreads, designs, strict=True)]
        score = _score_of_few(values, few, ratio)
        error = max(error, abs(difference) / score) if score is not None and score > MIN_SCORE else error
    return Estimate(difference, error, prior + freedom)


def _score_of_few(values: Sequence[float], sizes: Sequence[int], ratio: float) -> float | None:
    """The exact score of two rates with few passes or failures; None for many."""
    hits = [round(min(1.0, max(0.0, value / ratio)) * size) for value, size in zip(values, sizes, strict=True)]
    whole, share = sum(sizes), sum(hits) / max(1, sum(sizes))
    if not whole or min(sizes) * min(share, 1 - share) > FEW_EXPECTED:
        return None
    return hypergeometric_score(hits[0], sizes[0], sum(hits), whole)


class _Moments(NamedTuple):
    """The excess of a sum of squares between buckets over that of independent calls, and its coefficient of rho."""

    excess: float
    weight: float
    df: float

    def plus(self, other: "_Moments") -> "_Moments":
        return _Moments(*(a + b for a, b in zip(self, other, strict=True)))


def _moments(cells: Sequence[SampleBucket], variance: float) -> _Moments:
    sizes = call_weights(cells)
    calls = math.fsum(sizes)
    if calls <= 0 or variance <= 0:
        return _Moments(0.0, 0.0, 0.0)
    count, middle = sum(n > 0 for n in sizes) - 1, mean_by_calls(cells)
    squares = math.fsum(n * (cell.value - middle) ** 2 for cell, n in zip(cells, sizes, strict=True))
    return _Moments(squares / variance - count, calls - math.fsum(n * n for n in sizes) / calls - count, count)


def _by_weekend(cells: Sequence[SampleBucket], clock: Clock) -> list[list[SampleBucket]]:
    """Weekdays and weekends as strata. Source: stratified clusters, Cochran (1977), Sampling Techniques, chapter 5."""
    is_weekend = [clock.is_weekend(cell.time + HALF_A_DAY) for cell in cells]
    return [[cell for cell, other in zip(cells, is_weekend, strict=True) if other is kind] for kind in (False, True)]


def _has_strata(side: Sample, strata: Strata, clock: Clock) -> bool:
    """Whether weekends and weekdays are two strata with at least two buckets each."""
    weekends = sum(clock.is_weekend(cell.time + HALF_A_DAY) for cell in side.buckets)
    return strata != "none" and min(weekends, len(side.buckets) - weekends) > 1


def _knows_squares(side: Sample) -> bool:
    return all(cell.sum_of_squares is not None for cell in side.buckets)


def _sample_variance(side: Sample, value: float, ratio: float) -> _SampleVariance:
    weights = call_weights(side.buckets)
    calls = math.fsum(weights)
    typical = math.fsum(w * w for w in weights) / calls if calls else 0.0
    if ratio:
        # One more pass and one more failure keep the variance of few calls from 0: Agresti and Caffo (2000), The
        # American Statistician 54.
        rate = (min(1.0, max(0.0, value / ratio)) * calls + 1) / (calls + 2)
        variance = ratio**2 * rate * (1 - rate)
    elif _knows_squares(side):
        variance = (
            max(0.0, math.fsum(c.sum_of_squares or 0.0 for c in side.buckets) / calls - value * value) if calls else 0.0
        )
    else:
        variance = _moderated_variance(side, weights, value)
    return _SampleVariance(calls, variance, typical)


def _moderated_variance(side: Sample, weights: Sequence[float], value: float) -> float:
    """The variance of a call if unknown: from the variance between buckets, and a prior for durations.

    The prior counts as one bucket, on the scale of logarithms, because scores vary far less than durations.
    """
    prior = (PRIOR_CALL_VARIATION * value) ** 2
    if any(c.n is None for c in side.buckets):
        prior = (PRIOR_BUCKET_VARIATION * value) ** 2
    sum_of_squares = math.fsum(w * (c.value - value) ** 2 for c, w in zip(side.buckets, weights, strict=True))
    df = sum(w > 0 for w in weights) - 1
    if prior <= 0 or df <= 0:
        return prior
    observed = (MIN_PRIOR_WEIGHT * prior + sum_of_squares) / (MIN_PRIOR_WEIGHT + df)
    return math.exp((math.log(prior) + df * math.log(observed)) / (1 + df))


class Percentiles(NamedTuple):
    """The percentile of each side, and whether differences are on logarithms, as for values above 0.

    ``whole``: percentiles of all calls of a side; otherwise the medians of the buckets' percentiles.
    """

    values: tuple[float, float]
    logs: bool
    whole: bool


def percentiles_of(current: Sample, baseline: Sample) -> Percentiles:
    sides = current, baseline
    whole = [side.whole for side in sides]
    values = [statistics.median(cell.value for cell in side.buckets) for side in sides]
    is_whole = whole[0] is not None and whole[1] is not None
    if whole[0] is not None and whole[1] is not None:
        values = [whole[0], whole[1]]
    lowest = min(*values, *(cell.value for side in sides for cell in side.buckets))
    return Percentiles((values[0], values[1]), lowest > 0, is_whole)


def difference_of_percentiles(
    current: Sample, baseline: Sample, percentiles: Percentiles, terms: VerdictTerms
) -> Estimate:
    """The difference of logarithms, or of values if some are not above 0.

    The error of a percentile of all calls is that of the mean of its days by their calls: both have the variance of a
    sample quantile of as many calls, David and Nagaraja (2003), Order Statistics, chapter 10, and the variation of days
    beyond it. The variance of a median of days is larger by pi / 2.
    """
    sides = current, baseline
    scale = 1.0 if percentiles.logs else max(abs(value) for value in percentiles.values) or 1.0
    largest = max((abs(cell.value) for side in sides for cell in side.buckets), default=0.0)
    scale = max(scale, SMALLEST_SCALE * largest)

    def scaled(cells: Sequence[SampleBucket]) -> list[SampleBucket]:
        if percentiles.logs:
            return [cell._replace(value=math.log(cell.value)) for cell in cells if cell.value > 0]
        return [cell._replace(value=cell.value / scale) for cell in cells]

    reference = _reference(current, terms, empty=False)
    reference = reference._replace(days=scaled(reference.days))
    strata = _shared_effects(current, baseline, terms.clock)
    variation = _variation(reference, terms, "percentiles", strata)
    sizes = [_precisions(side.buckets, variation.power) for side in sides]
    sum_of_squares, df, prior = variation.sum_of_squares, float(variation.degrees_of_freedom), PRIOR_WEIGHT_BESIDE_DAYS
    effective_df = variation.effective_df
    if not reference.days:
        sum_of_squares = df = 0.0
        for side in sides:
            values = [cell.value for cell in scaled(side.buckets)]
            middle = statistics.median(values)
            sum_of_squares += math.fsum((value - middle) ** 2 for value in values)
            df += len(values) - 1
        effective_df, prior = df, PRIOR_WEIGHT
    typical = math.fsum(math.fsum(part) / len(part) for part in sizes) / len(sizes)
    observed = sum_of_squares / max(df, 1.0) / typical
    usual = PRIOR_BUCKET_VARIATION**2
    if reference.days and observed > 0:  # far smaller for many calls: a mean of logarithms
        variance = math.exp((prior * math.log(usual) + effective_df * math.log(observed)) / (prior + effective_df))
    else:
        variance = (prior * usual + effective_df * observed) / (prior + effective_df)
    squared_error = 0.0
    for side, part in zip(sides, sizes, strict=True):
        calls = call_weights(side.buckets) if percentiles.whole else [1.0] * len(part)
        # a mean of days by their calls, each with the variance of its precision
        share = math.fsum(n * n * typical / size for n, size in zip(calls, part, strict=True)) / math.fsum(calls) ** 2
        median_factor = math.pi / 2 if not percentiles.whole and len(part) > 2 else 1.0  # noqa: PLR2004 - the median of two is their mean
        squared_error += variance * share * median_factor * variation.variance_factor(_length(side))
    new, old = percentiles.values
    difference = math.log(new / old) if percentiles.logs else (new - old) / scale
    return Estimate(difference, math.sqrt(squared_error), prior + effective_df)


def _precisions(cells: Sequence[SampleBucket], power: float) -> list[float]:
    """The precision of each bucket, up to a factor; buckets without calls count as one call."""
    return [max(1.0, n) ** power for n in call_weights(cells)]


def unit_of_sums(sides: tuple[Sample, Sample], totals: Sequence[float]) -> float:
    """The unit in which the variance of a sum equals its mean, as for a count.

    It is twice the mean of a call if the standard deviation of calls equals their mean.
    """
    calls = math.fsum(cell.n or 0 for side in sides for cell in side.buckets)
    return 2 * PRIOR_CALL_VARIATION * math.fsum(totals) / calls if calls and math.fsum(totals) > 0 else 1.0


def ratio_of_totals(sides: tuple[Sample, Sample], unit: float, terms: VerdictTerms) -> Estimate:
    """The logarithm of current divided by baseline, for equal times.

    Source: McCullagh and Nelder (1989), chapter 4.5: given the sum of both, one side's count is binomial with extra
    dispersion. If the days before are unknown, this is estimated slot by slot where windows meet, which removes
    the effects of hours and weekdays. For few calls the probability is exact.
    """
    current, baseline = ([cell.value / unit for cell in side.buckets] for side in sides)
    x, y = math.fsum(current), math.fsum(baseline)
    reference = _reference(sides[0], terms)
    reference = reference._replace(days=[cell._replace(value=cell.value / unit) for cell in reference.days])
    same_slots = _same_slots(*sides)
    strata: Strata = "weekdays" if same_slots else _shared_effects(*sides, terms.clock)
    variation = _variation(reference, terms, "counts", strata).beyond(1.0)
    mean = (x + y) / math.fsum(map(_length, sides))
    if reference.days:
        sum_of_squares, df = variation.sum_of_squares, float(variation.degrees_of_freedom)
        effective_df, prior = variation.effective_df, PRIOR_WEIGHT_BESIDE_DAYS
    else:
        sum_of_squares, df = (
            _squares_of_pairs(current, baseline) if same_slots else _squares_of_sides(current, baseline)
        )
        effective_df, prior = df, PRIOR_WEIGHT
    observed = sum_of_squares / df * effective_df if df else 0.0
    usual = 1 + mean * PRIOR_DAILY_VARIATION**2
    overdispersion = max(1.0, (prior * usual + observed) / (prior + effective_df))
    seconds = [max(side.seconds, 1.0) for side in sides]
    difference = math.log((x + 0.5) / seconds[0]) - math.log((y + 0.5) / seconds[1])
    factors = [overdispersion * variation.variance_factor(_length(side)) for side in sides]
    error = math.sqrt(math.fsum(factor / (total + 0.5) for factor, total in zip(factors, (x, y), strict=True)))
    typical = math.fsum(factors) / len(factors)
    if min(x, y) < SMALL_COUNT * typical and abs(difference) > MIN_SCORE * error:
        score = binomial_score(x / typical, y / typical, seconds[0] / math.fsum(seconds))
        error = abs(difference) / score if score > MIN_SCORE else error
    return Estimate(difference, error, prior + effective_df)


def _squares_of_pairs(current: Sequence[float], baseline: Sequence[float]) -> tuple[float, float]:
    """The sum of squares of one side's share of each slot, in binomial variances, and its degrees of freedom."""
    x, y = math.fsum(current), math.fsum(baseline)
    share = (x + 0.5) / (x + y + 1)
    pairs = [(a, b) for a, b in zip(current, baseline, strict=True) if (a + b) * share * (1 - share) > 0]
    squares = math.fsum((a - (a + b) * share) ** 2 / ((a + b) * share * (1 - share)) for a, b in pairs)
    return squares, max(0.0, len(pairs) - 1)


def _squares_of_sides(*sides: Sequence[float]) -> tuple[float, float]:
    """The same for each side about its mean, in Poisson variances."""
    squares = df = 0.0
    for values in sides:
        mean = math.fsum(values) / len(values)
        squares += math.fsum((a - mean) ** 2 for a in values) / max(mean, 0.5)
        df += len(values) - 1
    return squares, df


def _same_slots(current: Sample, baseline: Sample) -> bool:
    """Whether bucket i of both sides is the same slot of the day or week: one shift by whole days for all."""
    if len(current.buckets) != len(baseline.buckets) or abs(current.seconds - baseline.seconds) > HOUR:
        return False
    shifts = {round(a.time - b.time) for a, b in zip(current.buckets, baseline.buckets, strict=True)}
    return max(shifts) - min(shifts) <= HOUR and all(min(shift % DAY, -shift % DAY) <= HOUR for shift in shifts)


def outages_of(current: Sample, baseline: Sample, terms: VerdictTerms) -> list[int]:
    """The positions of baseline days on which most calls are missing, if both sides have the same slots.

    Days that the window cuts are excluded: usual counts are known for whole days only.
    """
    days = reference_days(terms.earlier_days.buckets)
    if not days or not _same_slots(current, baseline):
        return []
    usual, variation = expected_counts(days, terms.clock), _variation(_Reference(days), terms, "counts")
    dispersion = max(1.0, variation.sum_of_squares / max(1, variation.degrees_of_freedom))
    places, cut = list[int](), {*()} if _has_whole_days(baseline) else {0, len(baseline.buckets) - 1}
    for place, cell in enumerate(baseline.buckets):
        if place in cut:
            continue
        expected = usual.get(cell.time, 0.0)
        missing = expected - cell.value
        if missing > OUTAGE_SHARE * expected and missing > OUTAGE_SCORE * math.sqrt(dispersion * max(expected, 1.0)):
            places.append(place)
    return places if len(places) < len(baseline.buckets) else []


def without_buckets(side: Sample, places: Sequence[int]) -> Sample:
    """A sample without the buckets at these positions."""
    cells = [cell for place, cell in enumerate(side.buckets) if place not in places]
    seconds = side.seconds * len(cells) / len(side.buckets)
    return replace(side, buckets=cells, seconds=seconds)


def difference_of_totals(sides: tuple[Sample, Sample], scales: Sequence[float]) -> Estimate:
    """For sums that can be negative: the variance of a total is its buckets' sample variance times their number."""
    totals = [math.fsum(c.value for c in side.buckets) for side in sides]
    variance, df = 0.0, 0
    for side, scale in zip(sides, scales, strict=True):
        values = [c.value for c in side.buckets]
        if len(values) > 1:
            variance += len(values) * statistics.variance(values) * scale**2
        df += len(values) - 1
    return Estimate(totals[0] * scales[0] - totals[1] * scales[1], math.sqrt(variance), df)


def design_effect(calls: float, seconds: float) -> float:
    """The prior factor on the variance of a share, for correlated calls. Source: Rao and Scott (1981)."""
    return 1 + max(0.0, calls / max(1.0, seconds / DAY) - 1) * PRIOR_INTRACLASS_CORRELATION
