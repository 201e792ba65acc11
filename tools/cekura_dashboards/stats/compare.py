"""Comparisons: current against baseline, with an interval, a verdict, and what contributed.

One change has one verdict: a comparison has the verdict of the step, trend or outage that explains it. A step is tested
at its own place on 30 days, whatever windows a question compares. What such a comparison adds depends on
where their border happens to lie, so two verdicts on the same change could contradict each other.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cekura_dashboards.stats.decomposition import (
    MAX_CONTRIBUTORS,
    by_rate_and_mix,
    count_beyond_shown,
    of_totals,
    side_by_side,
)
from cekura_dashboards.stats.estimates import (
    PRIOR_CALL_VARIATION,
    PRIOR_DAILY_VARIATION,
    PRIOR_WEIGHT,
    design_effect,
    difference_of_means,
    difference_of_percentiles,
    difference_of_totals,
    limited,
    mean_by_calls,
    outages_of,
    percentiles_of,
    ratio_of_totals,
    unit_of_sums,
    without_buckets,
)
from cekura_dashboards.stats.findings import (
    Comparison,
    FigureChange,
    Finding,
    Gap,
    MeasureKind,
    Number,
    SampleFigures,
    ShareChange,
    Shares,
    Step,
    Trend,
    Unusual,
    Verdict,
    exact,
    percent_of,
    relative,
    round_for_display,
)
from cekura_dashboards.stats.significance import Estimate, Sample, SampleBucket, VerdictTerms, call_weights
from cekura_dashboards.stats.timeline import DAY, HOUR, iso, moment_of
from cekura_dashboards.values import replace


def compare_shares(current: Sample, baseline: Sample, terms: VerdictTerms) -> Comparison:
    """The labels whose share of calls changed most, in points of percent.

    Their error is that of independent calls times one design effect, estimated from the daily variation of all labels,
    or the prior one if that is unknown.

    Source: the first-order correction of Rao and Scott (1981), Journal of the American Statistical Association 76.
    """
    wholes = [math.fsum(side.parts.values()) for side in (current, baseline)]
    if min(wholes) <= 0:
        side = "in the current window" if wholes[0] <= 0 else "in the baseline"
        return Comparison(not_compared=f"no data {side}")
    terms, changes = share_changes(current, baseline, terms)
    shares = list[ShareChange]()
    for label, (new, old, change) in changes.items():
        points = Difference(change.difference, percent_of(change.difference, old))
        sides = current.part(label), baseline.part(label)
        judged = agreed(terms.verdict(change), points, terms.for_part(label, 1).changes, *sides)
        row = ShareChange(
            label=label,
            current_pct=round(100 * new, 1),
            baseline_pct=round(100 * old, 1),
            points=round(100 * change.difference, 1),
            verdict=judged.verdict,
            explained_by=judged.by,
        )
        shares.append(row.with_p_value(min(1.0, change.p_value * terms.parts), is_explained=judged.is_explained))
    shares.sort(key=lambda row: (-abs(row.points), str(row.label)))
    return Comparison(
        current=SampleFigures(n=exact(wholes[0])),
        baseline=SampleFigures(n=exact(wholes[1])),
        shares=Shares(top=shares[:MAX_CONTRIBUTORS], more=count_beyond_shown(shares)),
    )


class LabelChange(NamedTuple):
    """A label's shares in both samples, and the estimate of its change."""

    current: float
    baseline: float
    estimate: Estimate


class LabelChanges(NamedTuple):
    """The change of each label's share, and the terms of the verdicts."""

    terms: VerdictTerms
    by_label: dict[str | None, LabelChange]


def share_changes(current: Sample, baseline: Sample, terms: VerdictTerms) -> LabelChanges:
    """The change of each label's share of the calls."""
    wholes = [math.fsum(side.parts.values()) for side in (current, baseline)]
    labels = dict.fromkeys([*current.parts, *baseline.parts])
    designs = [design_effect(whole, side.seconds) for whole, side in zip(wholes, (current, baseline), strict=True)]
    observed = _observed_design_effect(current, baseline, terms)
    if observed is not None:
        designs = [observed, observed]
    terms = replace(_limited_by_parts(terms, current, baseline), parts=len(labels))
    changes = dict[str | None, LabelChange]()
    for label in labels:
        shares = [side.parts.get(label, 0.0) / whole for side, whole in zip((current, baseline), wholes, strict=True)]
        variance = math.fsum(
            max(share * (1 - share), 0.25 / whole) * design / whole
            for share, whole, design in zip(shares, wholes, designs, strict=True)
        )
        estimate = Estimate(shares[0] - shares[1], math.sqrt(variance), math.inf)
        changes[label] = LabelChange(shares[0], shares[1], estimate)
    return LabelChanges(terms, changes)


def _limited_by_parts(terms: VerdictTerms, current: Sample, baseline: Sample) -> VerdictTerms:
    """At most ``possible`` if labels are known over too few days."""
    known = [label for label in current.over_time if baseline.over_time.get(label) and current.over_time[label]]
    if not known:
        return terms.at_most_possible()
    part = limited(terms.for_part(known[0], 1), current.part(known[0]), baseline.part(known[0]))
    return replace(terms, strongest_verdict=part.strongest_verdict)


def _observed_design_effect(current: Sample, baseline: Sample, terms: VerdictTerms) -> float | None:
    """The design effect: the variance of shares divided by that of independent calls; None if unknown."""
    observed = plain = 0.0
    for label in {*current.over_time} & {*baseline.over_time}:
        pair = current.part(label), baseline.part(label)
        values = [mean_by_calls(side.buckets) for side in pair]
        calls = [math.fsum(cell.n or 0 for cell in side.buckets) for side in pair]
        if min(calls) <= 0:
            continue
        observed += difference_of_means(*pair, values, 1.0, terms.for_part(label, 1)).standard_error ** 2
        plain += math.fsum(value * (1 - value) / n for value, n in zip(values, calls, strict=True))
    return observed / plain if plain > 0 else None


def compare_figures(current: Sample, baseline: Sample, terms: VerdictTerms) -> Comparison:
    """The figures of a stat on both sides, tested like shares.

    The difference of calls is per day if the windows differ by more than an hour, the effect of a clock change.
    """
    names = [name for name in current.parts if name in baseline.parts]
    if not names:
        return Comparison(not_compared="no figures on one side")
    rows = list[FigureChange]()
    for name in names:
        new, old = current.parts[name], baseline.parts[name]
        sides, own = (current.part(name), baseline.part(name)), terms.for_part(name, 1)
        tested = _over_time(name, *sides, own) or _from_prior(name, current, baseline, terms, len(names))
        is_total = name == "total_calls"
        per_day = is_total and abs(current.seconds - baseline.seconds) > HOUR
        scales = [DAY / max(side.seconds, HOUR) if per_day else 1.0 for side in (current, baseline)]
        then = old * scales[1]
        change = new * scales[0] - then
        moved = Difference(change, percent_of(change, then), is_total=is_total)
        judged = agreed(tested.verdict, moved, own.changes, *sides)
        row = FigureChange(
            figure=name or "",
            current=exact(new),
            baseline=exact(old),
            difference=round_for_display(change, 3) if per_day else difference(new, old),
            per="day" if per_day else None,
            verdict=judged.verdict,
            not_tested=tested.not_tested,
            explained_by=judged.by,
        )
        rows.append(row.with_p_value(tested.p_value, is_explained=judged.is_explained))
    return Comparison(figures=rows)


class _Tested(NamedTuple):
    """``not_tested``: why there is no verdict."""

    verdict: Verdict
    p_value: float = 1.0
    not_tested: str | None = None

    @classmethod
    def of(cls, estimate: Estimate, terms: VerdictTerms) -> "_Tested":
        return cls(terms.verdict(estimate), estimate.p_value)


def _over_time(name: str | None, current: Sample, baseline: Sample, terms: VerdictTerms) -> _Tested | None:
    """A figure tested by its daily variation; None if that is unknown."""
    if not current.buckets or not baseline.buckets:
        return None
    terms = limited(terms, current, baseline)
    if name == "total_calls":
        return _Tested.of(ratio_of_totals((current, baseline), 1.0, terms), terms)
    values = [mean_by_calls(side.buckets) for side in (current, baseline)]
    ratio = 0.0
    if name == "success_rate":
        ratio = 100.0 if max(cell.value for side in (current, baseline) for cell in side.buckets) > 1 else 1.0
    return _Tested.of(difference_of_means(current, baseline, values, ratio, terms), terms)


def difference(current: float, baseline: float) -> Number:
    """Exact for whole numbers."""
    if float(current).is_integer() and float(baseline).is_integer():
        return exact(current - baseline)
    return round_for_display(current - baseline, 3)


def _from_prior(name: str | None, current: Sample, baseline: Sample, terms: VerdictTerms, figures: int) -> _Tested:
    """A figure tested by prior variances, which exist for calls, success and duration; others are not tested."""
    calls = [side.parts.get("total_calls", 0.0) for side in (current, baseline)]
    if min(calls) < 1:
        return _Tested("not tested", not_tested=f"no calls in the {'current window' if calls[0] < 1 else 'baseline'}")
    terms = replace(terms, parts=figures).at_most_possible()
    sides = [
        Sample([SampleBucket(0.0, n, side.parts.get(name, 0.0))], side.seconds)
        for side, n in zip((current, baseline), calls, strict=True)
    ]
    if name == "total_calls":
        days = [max(1.0, side.seconds / DAY) for side in sides]
        squared_error = math.fsum(1 / n + PRIOR_DAILY_VARIATION**2 / d for n, d in zip(calls, days, strict=True))
        log = math.log(calls[0] / sides[0].seconds) - math.log(calls[1] / sides[1].seconds)
        return _Tested.of(Estimate(log, math.sqrt(squared_error), PRIOR_WEIGHT), terms)
    values = [side.buckets[0].value for side in sides]
    if name == "success_rate":
        unit = 100.0 if max(values) > 1 else 1.0
        variances = [unit**2 * max(v / unit * (1 - v / unit), 0.25 / n) for v, n in zip(values, calls, strict=True)]
    elif name == "avg_duration":
        variances = [(PRIOR_CALL_VARIATION * value) ** 2 for value in values]
    else:
        return _Tested("not tested", not_tested="the API has no daily values of it")
    squared_error = math.fsum(
        variance / n * design_effect(n, side.seconds) for variance, n, side in zip(variances, calls, sides, strict=True)
    )
    return _Tested.of(Estimate(values[0] - values[1], math.sqrt(squared_error), PRIOR_WEIGHT), terms)


MAX_LOG_RATIO = math.log(1e6)
"""Wider intervals, over a factor of a million, are not reported. A choice."""
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
    """``ratio``: what a rate of 100 % is written as (1, 100), 0 for other measures. ``counted``: of calls.

    Without data on one side, ``not_compared`` gives the reason.
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
    terms = limited(terms, current, baseline)
    if kind == "total":
        return _agreed(_totals(current, baseline, terms, counted=counted), current, baseline, terms, is_total=True)
    if kind == "median":
        return _agreed(_percentiles(current, baseline, terms), current, baseline, terms)
    return _agreed(_means(current, baseline, terms, ratio), current, baseline, terms)


def _agreed(
    comparison: Comparison, current: Sample, baseline: Sample, terms: VerdictTerms, *, is_total: bool = False
) -> Comparison:
    """The comparison, with the verdict of the change over time that explains it, if any."""
    if comparison.verdict is None or comparison.difference is None:
        return comparison
    moved = Difference(comparison.difference, comparison.pct, is_total=is_total)
    judged = agreed(comparison.verdict, moved, terms.changes, current, baseline)
    same = comparison.model_copy(update={"verdict": judged.verdict, "explained_by": judged.by})
    return same.with_p_value(comparison.p_value, is_explained=judged.is_explained)


def _means(current: Sample, baseline: Sample, terms: VerdictTerms, ratio: float) -> Comparison:
    """Means of all calls; ``ratio`` as in ``compare``."""
    values = [mean_by_calls(side.buckets) for side in (current, baseline)]
    estimate = difference_of_means(current, baseline, values, ratio, terms)
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
        contributors=by_rate_and_mix(current.groups, baseline.groups),
    ).with_p_value(estimate.p_value)


def _percentiles(current: Sample, baseline: Sample, terms: VerdictTerms) -> Comparison:
    """Percentiles of all calls on each side if known, else of a typical bucket."""
    percentiles = percentiles_of(current, baseline)
    estimate, (new, old) = difference_of_percentiles(current, baseline, percentiles, terms), percentiles.values
    scale = max(abs(new), abs(old)) or 1.0
    half = terms.bound(estimate) * estimate.standard_error
    bounds = [estimate.difference + sign * half for sign in (-1, 1)]
    return Comparison(
        current=SampleFigures(value=round_for_display(new), n=None if current.n is None else exact(current.n)),
        baseline=SampleFigures(value=round_for_display(old), n=None if baseline.n is None else exact(baseline.n)),
        difference=round_for_display(new - old, 3),
        pct=relative(new - old, old),
        ci95=[round_for_display(old * math.expm1(b) if percentiles.logs else scale * b, 3) for b in bounds]
        if estimate.standard_error > 0 and bounds[1] < MAX_LOG_RATIO
        else None,
        verdict=terms.verdict(estimate),
        contributors=side_by_side(current.groups, baseline.groups),
    ).with_p_value(estimate.p_value)


def _totals(current: Sample, baseline: Sample, terms: VerdictTerms, *, counted: bool) -> Comparison:
    """Totals, or totals per day if the windows differ in length.

    Days with an outage in the baseline are left out of both sides: compared with them, usual calls would be a rise.
    """
    outages, notes = outages_of(current, baseline, terms), None
    if outages:
        all_calls = [exact(math.fsum(cell.value for cell in side.buckets)) for side in (current, baseline)]
        days = ", ".join(iso(baseline.buckets[place].time, step=DAY)[:10] for place in outages)
        left_out = f"excluding {days}, an outage in the baseline, and the same days of the current window"
        notes = [f"{left_out}; with them {all_calls[0]} against {all_calls[1]}"]
        current, baseline = without_buckets(current, outages), without_buckets(baseline, outages)
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
        notes=notes,
    ).with_p_value(estimate.p_value)


def _extremes(current: Sample, baseline: Sample) -> Comparison:
    """A lowest or highest value, which a single call decides, so it is shown without a test."""
    values = [side.parts.get("value", side.buckets[0].value) for side in (current, baseline)]
    return Comparison(
        current=SampleFigures(value=round_for_display(values[0])),
        baseline=SampleFigures(value=round_for_display(values[1])),
        difference=round_for_display(values[0] - values[1], 3),
        verdict="not tested",
        not_tested="one call decides a lowest or highest value",
    )


MOST_APART = 3.0
"""A finding explains a difference between a third and three times the predicted one.

A choice: both are estimates, and a step that is dated a day late predicts a seventh less in a week.
"""
LEAST_SHARE = 0.5
"""The minimum share of the explaining finding in all effects in the windows, by size. A choice."""
RANKS: dict[Verdict, int] = {"not tested": 0, "not significant": 1, "possible": 2, "clear": 3}


class Difference(NamedTuple):
    """A difference, current minus baseline. ``pct``: in percent of the baseline; None if that is 0.

    ``is_total``: of totals, whose findings concern single buckets, so that only percentages are comparable.
    """

    value: float
    pct: float | None = None
    is_total: bool = False


class Agreed(NamedTuple):
    """A verdict, whether it comes from a change over time, and from which, if the comparison alone differs."""

    verdict: Verdict
    is_explained: bool = False
    by: str | None = None


def agreed(
    verdict: Verdict, difference: Difference, findings: Sequence[Finding], current: Sample, baseline: Sample
) -> Agreed:
    """The verdict on a difference, given the findings in the same values over time.

    A step that explains it always decides; a trend or outage decides only if it is more certain.
    """
    if verdict == "not tested":
        return Agreed(verdict)
    item = explanation(difference, findings, current, baseline)
    if item is None or (not isinstance(item, Step) and RANKS[item.verdict] < RANKS[verdict]):
        return Agreed(verdict)
    return Agreed(item.verdict, is_explained=True, by=None if item.verdict == verdict else _named(item))


def explanation(
    difference: Difference, findings: Iterable[Finding], current: Sample, baseline: Sample
) -> Step | Trend | Gap | None:
    """The finding that explains a difference: the main effect, in the same direction and of about the same size."""
    items = [item for item in findings if not isinstance(item, Unusual)]
    is_relative = difference.pct is not None and all(isinstance(item, Gap) or item.pct is not None for item in items)
    size = difference.pct if is_relative else None if difference.is_total else difference.value
    if not size:
        return None
    effects = [_effect(item, current, baseline, is_relative=is_relative) for item in items]
    if not any(effects):
        return None
    lead, whole = max(effects, key=abs), math.fsum(effects)
    is_most = abs(lead) >= LEAST_SHARE * math.fsum(map(abs, effects))
    is_alike = lead * size > 0 and whole * size > 0 and 1 / MOST_APART <= size / whole <= MOST_APART
    return items[effects.index(lead)] if is_most and is_alike else None


def _effect(item: Step | Trend | Gap, current: Sample, baseline: Sample, *, is_relative: bool) -> float:
    """The effect of a finding on the current side: in percent of the baseline, or in the unit of the values."""
    match item:
        case Step():
            at = moment_of(item.at).timestamp()
            moved = _share_from(current, at) - _share_from(baseline, at)
            return moved * ((item.pct or 0.0) if is_relative else item.change)
        case Trend():
            days = (_mean_time(current) - _mean_time(baseline)) / DAY
            per_day = (item.pct or 0.0) * item.per_day / item.change if is_relative and item.change else item.per_day
            return days * per_day
        case Gap():
            times = [cell.time for cell in current.buckets]
            calls = math.fsum(cell.value for cell in baseline.buckets)
            at = moment_of(item.start).timestamp()
            is_inside = bool(times) and times[0] <= at < times[-1] + DAY
            return -100 * item.expected_calls / calls if is_relative and is_inside and calls > 0 else 0.0


def _share_from(side: Sample, at: float) -> float:
    """The share of a side's calls on days that lie mostly after a moment."""
    weights = call_weights(side.buckets)
    later = [weight for cell, weight in zip(side.buckets, weights, strict=True) if cell.time + DAY / 2 > at]
    return math.fsum(later) / (math.fsum(weights) or 1.0)


def _mean_time(side: Sample) -> float:
    weights = call_weights(side.buckets)
    sums = math.fsum(weight * cell.time for cell, weight in zip(side.buckets, weights, strict=True))
    return sums / (math.fsum(weights) or 1.0)


def _named(item: Step | Trend | Gap) -> str:
    match item:
        case Step():
            return f"the {item.kind} at {item.at}"
        case Trend():
            return f"the trend from {item.start}"
        case Gap():
            return f"the outage from {item.start}"


def mirrored(item: Step | Trend, whole: float) -> Step | Trend:
    """The change of the complementary rate. ``whole``: what a rate of 100 % is written as."""
    if isinstance(item, Step):
        start = whole - item.before
        update = {"before": start, "after": whole - item.after, "change": -item.change}
    else:
        start = whole - (100 * item.change / item.pct if item.pct else whole)
        update = {"per_day": -item.per_day, "change": -item.change}
    return item.model_copy(update={**update, "pct": percent_of(-item.change, start)})
