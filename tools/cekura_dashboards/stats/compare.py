"""Comparisons: current against baseline, with an interval, a verdict, and what contributed."""

import math
import statistics

from cekura_dashboards.stats.compare_parts import compare_figures, compare_shares
from cekura_dashboards.stats.comparison import Comparison, MeasureKind, SampleFigures
from cekura_dashboards.stats.decomposition import by_rate_and_mix, of_totals, side_by_side
from cekura_dashboards.stats.estimates import (
    MIN_BUCKETS,
    difference_of_means,
    difference_of_medians,
    difference_of_totals,
    mean_by_calls,
    ratio_of_totals,
    unit_of_sums,
)
from cekura_dashboards.stats.numbers import exact, relative, round_for_display
from cekura_dashboards.stats.sample import Sample
from cekura_dashboards.stats.significance import VerdictTerms
from cekura_dashboards.stats.timeline import DAY, HOUR

MAX_LOG_RATIO = math.log(1e6)
"""An interval that reaches further says nothing."""
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

    A side without data compares nothing, and that is said.
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
    """A lowest or highest value: shown, and not tested, as one call decides it."""
    values = [side.parts.get("value", side.buckets[0].value) for side in (current, baseline)]
    return Comparison(
        current=SampleFigures(value=round_for_display(values[0])),
        baseline=SampleFigures(value=round_for_display(values[1])),
        difference=round_for_display(values[0] - values[1], 3),
        verdict="not tested",
        not_tested="one call decides a lowest or highest value",
    )
