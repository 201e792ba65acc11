"""Comparisons: current against baseline, with an interval, a verdict, and what contributed.

Calls of one day are correlated. A sample's error is that of independent calls times a design effect, Kish (1965):
1 + (m - 1) rho, for m calls in a typical bucket. The intraclass correlation rho is estimated from the variance between
the buckets of both samples, by moments, Fleiss (1981), and moderated by a prior worth a few buckets, as in Smyth
(2004), Statistical Applications in Genetics 3. So the error of a single bucket is neither 0 nor infinite, and a sample
of few buckets borrows from the other.
"""

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from cekura_dashboards.stats.decomposition import (
    MAX_CONTRIBUTORS,
    by_rate_and_mix,
    count_beyond_shown,
    of_totals,
    side_by_side,
)
from cekura_dashboards.stats.findings import (
    Comparison,
    FigureChange,
    MeasureKind,
    Number,
    SampleFigures,
    ShareChange,
    Shares,
    Verdict,
    exact,
    relative,
    round_for_display,
)
from cekura_dashboards.stats.reference import (
    Autocorrelation,
    ValueKind,
    by_day_type,
    estimate_autocorrelation,
    reference_days,
)
from cekura_dashboards.stats.significance import Estimate, Sample, SampleBucket, VerdictTerms, call_weights
from cekura_dashboards.stats.timeline import DAY, HOUR, Clock
from cekura_dashboards.values import replace

MIN_BUCKETS = 5
"""With fewer full buckets on a side the strongest verdict is ``possible``. A choice."""
PRIOR_WEIGHT = 3.0
"""The weight of a prior, in buckets. A choice; ``python -m benchmarks.verdicts`` measures the coverage."""
MIN_PRIOR_WEIGHT = 0.25
"""The same for the variance of calls: so that few buckets that happen to agree keep some variance. A choice."""
PRIOR_INTRACLASS_CORRELATION = 0.004
"""The prior correlation of calls of one day: a daily standard deviation of 2.3 points on a rate of 0.85. A choice."""
PRIOR_DAILY_VARIATION = 0.07
"""The prior coefficient of variation of a day's number of calls, beyond Poisson. A choice."""
PRIOR_CALL_VARIATION = 1.0
"""The standard deviation of single durations and the like, as a share of their mean, where it is not known.

A choice: that of an exponential distribution.
"""
PRIOR_BUCKET_VARIATION = 0.15
"""The same for a percentile of a day. A choice."""


def mean_by_calls(cells: Sequence[SampleBucket]) -> float:
    weights = call_weights(cells)
    whole = math.fsum(weights)
    return math.fsum(c.value * w for c, w in zip(cells, weights, strict=True)) / whole if whole > 0 else 0.0


class _SampleVariance(NamedTuple):
    """One side: its calls, the variance of one call (0: not known), and the calls of a typical bucket."""

    calls: float
    variance: float
    typical: float


def _autocorrelation(
    days: Sequence[SampleBucket], terms: VerdictTerms, values: ValueKind, *, strata: bool = True
) -> Autocorrelation:
    """That of the days before, estimated once on the same terms."""
    if terms.memo is None:
        return estimate_autocorrelation(days, terms.clock, values, strata=strata)
    key = (*days, values, strata)
    if key not in terms.memo:
        terms.memo[key] = estimate_autocorrelation(days, terms.clock, values, strata=strata)
    estimated: Autocorrelation = terms.memo[key]
    return estimated


def difference_of_means(
    current: Sample, baseline: Sample, values: Sequence[float], ratio: float, terms: VerdictTerms
) -> Estimate:
    """Rates and means, all calls of a side together."""
    clock = terms.clock
    strata = _same_day_types(current, baseline, clock)
    spreads = [_sample_variance(side, value, ratio) for side, value in zip((current, baseline), values, strict=True)]
    days = reference_days(terms.earlier_days.buckets, baseline.buckets, empty=False)
    autocorrelation = _autocorrelation(days, terms, "means", strata=strata)
    samples = [(current.buckets, spreads[0].variance)]
    if not days:
        samples.append((baseline.buckets, spreads[1].variance))
    # Moments: the excess of the sum of squares between buckets over its expectation for independent calls, over the
    # weight that the intraclass correlation has in it.
    sum_of_squares = weight = df = 0.0
    for cells, variance in samples:
        for part in by_day_type(cells, clock) if strata else [cells]:
            sizes = call_weights(part)
            calls = math.fsum(sizes)
            if calls <= 0 or variance <= 0:
                continue
            count = sum(n > 0 for n in sizes) - 1
            sum_of_squares += math.fsum(z * z for z in _residuals(part)) / variance - count
            weight += calls - math.fsum(n * n for n in sizes) / calls - count
            df += count
    variance = math.fsum(spread.variance for spread in spreads) / len(spreads)
    if days and variance > 0:  # the same sums, with the parameters of the reference model in place of a mean
        sizes = call_weights(days)
        sum_of_squares += autocorrelation.sum_of_squares / variance - autocorrelation.degrees_of_freedom
        weight += (
            math.fsum(sizes)
            - autocorrelation.parameters * math.fsum(n * n for n in sizes) / math.fsum(sizes)
            - autocorrelation.degrees_of_freedom
        )
        df += autocorrelation.degrees_of_freedom
    correlation = max(0.0, sum_of_squares / weight) if weight > 0 else 0.0
    df *= autocorrelation.effective_share
    moderated = (PRIOR_WEIGHT * PRIOR_INTRACLASS_CORRELATION + df * correlation) / (PRIOR_WEIGHT + df)
    sum_of_squares = math.fsum(
        spread.variance
        / spread.calls
        * (1 + (max(spread.typical, 1) - 1) * moderated)
        * autocorrelation.variance_factor(len(side.buckets))
        for spread, side in zip(spreads, (current, baseline), strict=True)
        if spread.calls > 0
    )
    return Estimate(values[0] - values[1], math.sqrt(sum_of_squares), PRIOR_WEIGHT + df)


def _residuals(cells: Sequence[SampleBucket]) -> list[float]:
    """The residuals of bucket means about the overall mean, each times the root of its calls."""
    middle = mean_by_calls(cells)
    return [math.sqrt(n) * (cell.value - middle) for cell, n in zip(cells, call_weights(cells), strict=True)]


def _sample_variance(side: Sample, value: float, ratio: float) -> _SampleVariance:
    weights = call_weights(side.buckets)
    calls = math.fsum(weights)
    typical = math.fsum(w * w for w in weights) / calls if calls else 0.0
    if ratio:
        rate = min(1.0, max(0.0, value / ratio))
        variance = ratio**2 * max(rate * (1 - rate), 0.25 / max(calls, 1.0))
    elif all(c.sum_of_squares is not None for c in side.buckets):
        variance = (
            max(0.0, math.fsum(c.sum_of_squares or 0.0 for c in side.buckets) / calls - value * value) if calls else 0.0
        )
    else:
        variance = _moderated_variance(side, weights, value)
    return _SampleVariance(calls, variance, typical)


def _moderated_variance(side: Sample, weights: Sequence[float], value: float) -> float:
    """The variance of one call, where it is not known: from the variance between buckets, and a prior for durations.

    The prior counts as one bucket, on the scale of logarithms, as scores vary far less than durations.
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


def _same_day_types(current: Sample, baseline: Sample, clock: Clock) -> bool:
    """Whether both have as many buckets of weekdays and as many of weekends, two or more of each."""
    day_types = [Counter(clock.is_weekend(cell.time + HOUR) for cell in side.buckets) for side in (current, baseline)]
    return day_types[0] == day_types[1] and min(day_types[0][True], day_types[0][False]) > 1


def difference_of_medians(current: Sample, baseline: Sample, values: Sequence[float], terms: VerdictTerms) -> Estimate:
    """The median bucket, for percentiles, which cannot be merged. Its prior error scales with the larger value."""
    scale = max(abs(value) for value in values)
    days = reference_days(terms.earlier_days.buckets, baseline.buckets)
    autocorrelation = _autocorrelation(days, terms, "others", strata=False)
    sum_of_squares, df = autocorrelation.sum_of_squares, autocorrelation.degrees_of_freedom
    for side, value in zip((current, baseline), values, strict=True):
        if side is current or not days:
            sum_of_squares += math.fsum((c.value - value) ** 2 for c in side.buckets)
            df += len(side.buckets) - 1
    effective_df = df * autocorrelation.effective_share
    variance = (PRIOR_WEIGHT * (PRIOR_BUCKET_VARIATION * scale) ** 2 + sum_of_squares / max(df, 1) * effective_df) / (
        PRIOR_WEIGHT + effective_df
    )
    shares = [
        autocorrelation.variance_factor(len(side.buckets))
        / len(side.buckets)
        * (math.pi / 2 if len(side.buckets) > 2 else 1)  # noqa: PLR2004 - the median of two is their mean
        for side in (current, baseline)
    ]
    return Estimate(values[0] - values[1], math.sqrt(variance * math.fsum(shares)), PRIOR_WEIGHT + effective_df)


def unit_of_sums(sides: tuple[Sample, Sample], totals: Sequence[float]) -> float:
    """The unit in which the variance of a sum is its mean, as that of a count is.

    That is twice the mean of a call, if the standard deviation of calls is their mean.
    """
    calls = math.fsum(cell.n or 0 for side in sides for cell in side.buckets)
    return 2 * PRIOR_CALL_VARIATION * math.fsum(totals) / calls if calls and math.fsum(totals) > 0 else 1.0


def ratio_of_totals(sides: tuple[Sample, Sample], unit: float, terms: VerdictTerms) -> Estimate:
    """The logarithm of current over baseline, for equal times.

    Source: McCullagh and Nelder (1989), chapter 4.5: given the sum of both, one side's count is binomial with extra
    dispersion; slot by slot where windows meet, which removes the effects of hours and weekdays.
    """
    current, baseline = ([cell.value / unit for cell in side.buckets] for side in sides)
    x, y = math.fsum(current), math.fsum(baseline)
    days = [
        cell._replace(value=cell.value / unit) for cell in reference_days(terms.earlier_days.buckets, sides[1].buckets)
    ]
    autocorrelation = _autocorrelation(days, terms, "counts")
    sum_of_squares, df = autocorrelation.sum_of_squares, autocorrelation.degrees_of_freedom
    variance_factors = [autocorrelation.variance_factor(len(side.buckets)) for side in sides]
    if _same_slots(*sides):
        pairs = [(a, b) for a, b in zip(current, baseline, strict=True) if a + b > 0]
        share = (x + 0.5) / (x + y + 1)
        sum_of_squares += math.fsum((a - (a + b) * share) ** 2 / ((a + b) * share * (1 - share)) for a, b in pairs)
        df += max(0, len(pairs) - 1)
        mean = (x + y) / max(1, len(pairs)) / 2
        overdispersion, effective_df = _overdispersion(mean, sum_of_squares, df, autocorrelation)
        error = math.sqrt(overdispersion * variance_factors[0] / ((x + y + 1) * share * (1 - share)))
        return Estimate(math.log((x + 0.5) / (y + 0.5)), error, effective_df)
    for values in (current, baseline):
        mean = math.fsum(values) / len(values)
        sum_of_squares += math.fsum((a - mean) ** 2 for a in values) / max(mean, 0.5)
        df += len(values) - 1
    whole = (x + y) / (len(current) + len(baseline))
    overdispersion, effective_df = _overdispersion(whole, sum_of_squares, df, autocorrelation)
    error = math.sqrt(overdispersion * (variance_factors[0] / max(x, 0.5) + variance_factors[1] / max(y, 0.5)))
    seconds = [max(side.seconds, 1.0) for side in sides]
    return Estimate(math.log((x + 0.5) / seconds[0]) - math.log((y + 0.5) / seconds[1]), error, effective_df)


def _overdispersion(
    mean: float, sum_of_squares: float, df: int, autocorrelation: Autocorrelation
) -> tuple[float, float]:
    """The variance of counts of this mean over that of Poisson, and its degrees of freedom."""
    effective_df = df * autocorrelation.effective_share
    observed = sum_of_squares / df * effective_df if df else 0.0
    return max(
        1.0, (PRIOR_WEIGHT * _prior_overdispersion(mean) + observed) / (PRIOR_WEIGHT + effective_df)
    ), PRIOR_WEIGHT + effective_df


def _prior_overdispersion(mean: float) -> float:
    """The prior overdispersion of days of this mean."""
    return 1 + mean * PRIOR_DAILY_VARIATION**2


def _same_slots(current: Sample, baseline: Sample) -> bool:
    """Whether bucket i of both sides is the same slot of its day or week: one shift, of whole days, for all."""
    if len(current.buckets) != len(baseline.buckets) or abs(current.seconds - baseline.seconds) > HOUR:
        return False
    shifts = {round(a.time - b.time) for a, b in zip(current.buckets, baseline.buckets, strict=True)}
    return max(shifts) - min(shifts) <= HOUR and all(min(shift % DAY, -shift % DAY) <= HOUR for shift in shifts)


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
    """The prior factor on the variance of a share, as calls of one day are correlated. Source: Rao and Scott (1981)."""
    return 1 + max(0.0, calls / max(1.0, seconds / DAY) - 1) * PRIOR_INTRACLASS_CORRELATION


def compare_shares(current: Sample, baseline: Sample, terms: VerdictTerms) -> Comparison:
    """The labels whose share of calls changed most, in points of percent.

    Their error is that of independent calls times one design effect: estimated from the daily variation of all labels,
    or the prior one where that is not known.

    Source: the first-order correction of Rao and Scott (1981), Journal of the American Statistical Association 76.
    """
    wholes = [math.fsum(side.parts.values()) for side in (current, baseline)]
    if min(wholes) <= 0:
        side = "in the current window" if wholes[0] <= 0 else "in the baseline"
        return Comparison(not_compared=f"no data {side}")
    terms, changes = share_changes(current, baseline, terms)
    shares = [
        ShareChange(
            label=label,
            current_pct=round(100 * new, 1),
            baseline_pct=round(100 * old, 1),
            points=round(100 * change.difference, 1),
            verdict=terms.verdict(change),
        )
        for label, (new, old, change) in changes.items()
    ]
    shares.sort(key=lambda row: (-abs(row.points), str(row.label)))
    return Comparison(
        current=SampleFigures(n=exact(wholes[0])),
        baseline=SampleFigures(n=exact(wholes[1])),
        shares=Shares(top=shares[:MAX_CONTRIBUTORS], more=count_beyond_shown(shares)),
    )


def share_changes(
    current: Sample, baseline: Sample, terms: VerdictTerms
) -> tuple[VerdictTerms, dict[str | None, tuple[float, float, Estimate]]]:
    """The terms of the verdicts, and each label's share in both samples with the estimate of its change."""
    wholes = [math.fsum(side.parts.values()) for side in (current, baseline)]
    labels = dict.fromkeys([*current.parts, *baseline.parts])
    designs = [design_effect(whole, side.seconds) for whole, side in zip(wholes, (current, baseline), strict=True)]
    observed, days = _observed_design_effect(current, baseline, terms)
    if observed is not None:
        designs = [observed, observed]
    terms = replace(terms if days >= MIN_BUCKETS else terms.at_most_possible(), parts=len(labels))
    changes = dict[str | None, tuple[float, float, Estimate]]()
    for label in labels:
        shares = [side.parts.get(label, 0.0) / whole for side, whole in zip((current, baseline), wholes, strict=True)]
        variance = math.fsum(
            max(share * (1 - share), 0.25 / whole) * design / whole
            for share, whole, design in zip(shares, wholes, designs, strict=True)
        )
        changes[label] = shares[0], shares[1], Estimate(shares[0] - shares[1], math.sqrt(variance), math.inf)
    return terms, changes


def _observed_design_effect(current: Sample, baseline: Sample, terms: VerdictTerms) -> tuple[float | None, int]:
    """The design effect: the variance of shares over that of independent calls, and the days it is estimated from."""
    observed = plain = 0.0
    days = 0
    for label in {*current.over_time} & {*baseline.over_time}:
        pair = current.part(label), baseline.part(label)
        values = [mean_by_calls(side.buckets) for side in pair]
        calls = [math.fsum(cell.n or 0 for cell in side.buckets) for side in pair]
        if min(calls) <= 0:
            continue
        observed += difference_of_means(*pair, values, 1.0, terms.for_part(label, 1)).standard_error ** 2
        plain += math.fsum(value * (1 - value) / n for value, n in zip(values, calls, strict=True))
        days = min(len(side.buckets) for side in pair)
    return (observed / plain if plain > 0 else None), days


def compare_figures(current: Sample, baseline: Sample, terms: VerdictTerms) -> Comparison:
    """The figures of a stat side by side, tested as shares are."""
    names = [name for name in current.parts if name in baseline.parts]
    if not names:
        return Comparison(not_compared="no figures on one side")
    rows = list[FigureChange]()
    for name in names:
        pair = current.parts[name], baseline.parts[name]
        rows.append(
            FigureChange(
                figure=name or "",
                current=exact(pair[0]),
                baseline=exact(pair[1]),
                difference=difference(*pair),
                verdict=_over_time(name, current.part(name), baseline.part(name), terms.for_part(name, len(names)))
                or _verdict_from_prior(name, current, baseline, replace(terms, tests=terms.tests * len(names))),
            )
        )
    return Comparison(figures=rows)


def _over_time(name: str | None, current: Sample, baseline: Sample, terms: VerdictTerms) -> Verdict | None:
    """The verdict on a figure by its daily variation; None where that is not known."""
    days = min(len(current.buckets), len(baseline.buckets))
    if not days:
        return None
    if days < MIN_BUCKETS:
        terms = terms.at_most_possible()
    if name == "total_calls":
        return terms.verdict(ratio_of_totals((current, baseline), 1.0, terms))
    values = [mean_by_calls(side.buckets) for side in (current, baseline)]
    ratio = 0.0
    if name == "success_rate":
        ratio = 100.0 if max(cell.value for side in (current, baseline) for cell in side.buckets) > 1 else 1.0
    return terms.verdict(difference_of_means(current, baseline, values, ratio, terms))


def difference(current: float, baseline: float) -> Number:
    """Exact for whole numbers."""
    if float(current).is_integer() and float(baseline).is_integer():
        return exact(current - baseline)
    return round_for_display(current - baseline, 3)


def _verdict_from_prior(name: str | None, current: Sample, baseline: Sample, terms: VerdictTerms) -> Verdict:
    """The verdict from prior variances, which exist for calls, success and duration; else ``not tested``."""
    calls = [side.parts.get("total_calls", 0.0) for side in (current, baseline)]
    if min(calls) < 1:
        return "not tested"
    terms = terms.at_most_possible()
    sides = [
        Sample([SampleBucket(0.0, n, side.parts.get(name, 0.0))], side.seconds)
        for side, n in zip((current, baseline), calls, strict=True)
    ]
    if name == "total_calls":
        days = [max(1.0, side.seconds / DAY) for side in sides]
        squared_error = math.fsum(1 / n + PRIOR_DAILY_VARIATION**2 / d for n, d in zip(calls, days, strict=True))
        log = math.log(calls[0] / sides[0].seconds) - math.log(calls[1] / sides[1].seconds)
        return terms.verdict(Estimate(log, math.sqrt(squared_error), PRIOR_WEIGHT))
    values = [side.buckets[0].value for side in sides]
    if name == "success_rate":
        unit = 100.0 if max(values) > 1 else 1.0
        variances = [unit**2 * max(v / unit * (1 - v / unit), 0.25 / n) for v, n in zip(values, calls, strict=True)]
    elif name == "avg_duration":
        variances = [(PRIOR_CALL_VARIATION * value) ** 2 for value in values]
    else:
        return "not tested"
    squared_error = math.fsum(
        variance / n * design_effect(n, side.seconds) for variance, n, side in zip(variances, calls, sides, strict=True)
    )
    return terms.verdict(Estimate(values[0] - values[1], math.sqrt(squared_error), PRIOR_WEIGHT))


MAX_LOG_RATIO = math.log(1e6)
"""An interval that reaches further, a factor of a million, is not reported. A choice."""
SINGLE_TEST = VerdictTerms()


def compare(
    kind: MeasureKind,
    current: Sample,
    baseline: Sample,
    terms: VerdictTerms = SINGLE_TEST,
    *,
    ratio: float = 0.0,
    counted: bool = False,
) -> Comparison:
    """``ratio``: what a rate of one is written as (1, 100), 0 for what is no rate. ``counted``: the total is of calls.

    Without data on a side the result gives the reason in ``not_compared``.
    """
    if kind == "shares":
        return compare_shares(current, baseline, terms)
    if kind == "figures":
        return compare_figures(current, baseline, terms)
    if not current.buckets or not baseline.buckets:
        side = "in the current window" if not current.buckets else "in the baseline"
        return Comparison(not_compared=f"no data {side}")
    if kind == "extreme":
        return _extremes(current, baseline)
    if min(len(current.buckets), len(baseline.buckets)) < MIN_BUCKETS:
        terms = terms.at_most_possible()
    if kind == "total":
        return _totals(current, baseline, terms, counted=counted)
    if kind == "median":
        values = [statistics.median(cell.value for cell in side.buckets) for side in (current, baseline)]
        estimate = difference_of_medians(current, baseline, values, terms)
    else:
        values = [mean_by_calls(side.buckets) for side in (current, baseline)]
        estimate = difference_of_means(current, baseline, values, ratio, terms)
    split = by_rate_and_mix if kind == "mean" else side_by_side
    sides = [
        SampleFigures(value=round_for_display(value), n=None if side.n is None else exact(side.n))
        for value, side in zip(values, (current, baseline), strict=True)
    ]
    return Comparison(
        current=sides[0],
        baseline=sides[1],
        difference=round_for_display(estimate.difference, 3),
        pct=relative(estimate.difference, values[1]),
        ci95=terms.interval(estimate),
        verdict=terms.verdict(estimate),
        contributors=split(current.groups, baseline.groups),
    ).with_p_value(estimate.p_value, terms.corrected_for)


def _totals(current: Sample, baseline: Sample, terms: VerdictTerms, *, counted: bool) -> Comparison:
    """Totals, or totals per day where the windows are not equally long."""
    sides = current, baseline
    same = abs(current.seconds - baseline.seconds) < 60  # noqa: PLR2004 - a minute
    totals = [math.fsum(c.value for c in side.buckets) for side in sides]
    scales = (1.0, 1.0) if same else tuple(DAY / max(side.seconds, HOUR) for side in sides)
    values = [total * scale for total, scale in zip(totals, scales, strict=True)]
    log = min(totals) >= 0
    if log:
        estimate = ratio_of_totals(sides, 1.0 if counted else unit_of_sums(sides, totals), terms)
    else:
        estimate = difference_of_totals(sides, scales)
    figures = [
        SampleFigures(
            value=exact(value) if counted and same else round_for_display(value),
            total=None if same else exact(total),
        )
        for value, total in zip(values, totals, strict=True)
    ]
    ci95 = None
    if estimate.standard_error > 0 and not log:
        ci95 = terms.interval(estimate)
    elif estimate.standard_error > 0 and values[1] > 0:
        half = terms.bound(estimate) * estimate.standard_error
        if estimate.difference + half < MAX_LOG_RATIO:
            bounds = (values[1] * math.expm1(estimate.difference + sign * half) for sign in (-1, 1))
            ci95 = [round_for_display(bound, 3) for bound in bounds]
    return Comparison(
        current=figures[0],
        baseline=figures[1],
        difference=round_for_display(values[0] - values[1], 3),
        pct=relative(values[0] - values[1], values[1]),
        ci95=ci95,
        per=None if same else "day",
        verdict=terms.verdict(estimate),
        contributors=of_totals(current.groups, baseline.groups, (scales[0], scales[1])),
    ).with_p_value(estimate.p_value, terms.corrected_for)


def _extremes(current: Sample, baseline: Sample) -> Comparison:
    """A lowest or highest value: one call decides it, so it is shown without a test."""
    values = [side.parts.get("value", side.buckets[0].value) for side in (current, baseline)]
    return Comparison(
        current=SampleFigures(value=round_for_display(values[0])),
        baseline=SampleFigures(value=round_for_display(values[1])),
        difference=round_for_display(values[0] - values[1], 3),
        verdict="not tested",
        not_tested="one call decides a lowest or highest value",
    )
