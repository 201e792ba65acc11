"""Estimates of differences, with an error that is sane for one bucket and for thirty.

Calls of one day are more alike than calls of different days. A side's error is that of independent calls times a design
effect, Kish (1965): 1 + (m - 1) rho, for m calls in a typical bucket. How alike calls are, rho, is taken from how the
buckets of both sides differ, by moments, Fleiss (1981), and moderated by what is usual, worth a few buckets, as in
Smyth (2004), Statistical Applications in Genetics 3. So a single bucket has neither no error nor an infinite one, and a
side of few buckets borrows from the other.
"""

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from cekura_dashboards.insight.clock import Clock
from cekura_dashboards.insight.likeness import Likeness, by_kind, days_beside, likeness_of
from cekura_dashboards.insight.side import Cell, Side, weights_of
from cekura_dashboards.insight.timeline import DAY, HOUR
from cekura_dashboards.insight.verdicts import Estimate, Terms

FEW_BUCKETS = 5
"""With fewer full buckets on a side the most that is said is ``possible``."""
USUAL_WORTH = 3.0
"""What is usual counts as so many buckets."""
LEAST_WORTH = 0.25
"""At least so much it counts, so that few buckets that happen to be alike do not pass for no variation."""
USUAL_RHO = 0.004
"""How alike calls of a day usually are: a day's own effect is 2.3 points on a rate of 0.85."""
USUAL_VARIATION = 0.07
"""By such a share a day's calls usually differ from the same weekday's."""
SPREAD_OF_CALLS = 1.0
"""The standard deviation of single durations and the like, as a share of their mean, where it is not known."""
SPREAD_OF_BUCKETS = 0.15
"""That of a day's percentile."""


def mean_of(cells: Sequence[Cell]) -> float:
    weights = weights_of(cells)
    whole = math.fsum(weights)
    return math.fsum(c.value * w for c, w in zip(cells, weights, strict=True)) / whole if whole > 0 else 0.0


class _Spread(NamedTuple):
    """One side: its calls, the variance of one call (0: not known), and the calls of a typical bucket."""

    calls: float
    variance: float
    typical: float


def means(current: Side, baseline: Side, values: Sequence[float], ratio: float, terms: Terms) -> Estimate:
    """Rates and means, all calls of a side together."""
    clock = terms.clock
    strata = _weekends_alike(current, baseline, clock)
    spreads = [_spread(side, value, ratio) for side, value in zip((current, baseline), values, strict=True)]
    days = days_beside(terms.earlier.cells, baseline.cells, empty=False)
    likeness = likeness_of(days, clock, "means", strata=strata)
    shown = [(current.cells, spreads[0].variance)]
    if not days:
        shown.append((baseline.cells, spreads[1].variance))
    square = weight = df = 0.0
    for cells, variance in shown:
        for part in by_kind(cells, clock) if strata else [cells]:
            sizes = weights_of(part)
            calls = math.fsum(sizes)
            if calls <= 0 or variance <= 0:
                continue
            count = sum(n > 0 for n in sizes) - 1
            square += math.fsum(z * z for z in _apart(part)) / variance - count
            weight += calls - math.fsum(n * n for n in sizes) / calls - count
            df += count
    variance = math.fsum(spread.variance for spread in spreads) / len(spreads)
    if days and variance > 0:  # the same sums, each number of the course in place of a part's mean
        sizes = weights_of(days)
        square += likeness.square / variance - likeness.free
        weight += math.fsum(sizes) - likeness.lost * math.fsum(n * n for n in sizes) / math.fsum(sizes) - likeness.free
        df += likeness.free
    seen = max(0.0, square / weight) if weight > 0 else 0.0
    df *= likeness.worth
    rho = (USUAL_WORTH * USUAL_RHO + df * seen) / (USUAL_WORTH + df)
    square = math.fsum(
        spread.variance / spread.calls * (1 + (max(spread.typical, 1) - 1) * rho) * likeness.growth(len(side.cells))
        for spread, side in zip(spreads, (current, baseline), strict=True)
        if spread.calls > 0
    )
    return Estimate(values[0] - values[1], math.sqrt(square), USUAL_WORTH + df)


def _apart(cells: Sequence[Cell]) -> list[float]:
    """How far each mean is from that of all, times the root of its calls."""
    middle = mean_of(cells)
    return [math.sqrt(n) * (cell.value - middle) for cell, n in zip(cells, weights_of(cells), strict=True)]


def _spread(side: Side, value: float, ratio: float) -> _Spread:
    weights = weights_of(side.cells)
    calls = math.fsum(weights)
    typical = math.fsum(w * w for w in weights) / calls if calls else 0.0
    if ratio:
        rate = min(1.0, max(0.0, value / ratio))
        variance = ratio**2 * max(rate * (1 - rate), 0.25 / max(calls, 1.0))
    elif all(c.square is not None for c in side.cells):
        variance = max(0.0, math.fsum(c.square or 0.0 for c in side.cells) / calls - value * value) if calls else 0.0
    else:
        variance = _moderated(side, weights, value)
    return _Spread(calls, variance, typical)


def _moderated(side: Side, weights: Sequence[float], value: float) -> float:
    """The variance of one call, where it is not known: from how buckets differ, and what is usual for durations.

    What is usual counts as one bucket, on the scale of logarithms, as scores vary far less than durations.
    """
    usual = (SPREAD_OF_CALLS * value) ** 2
    if any(c.n is None for c in side.cells):
        usual = (SPREAD_OF_BUCKETS * value) ** 2
    square = math.fsum(w * (c.value - value) ** 2 for c, w in zip(side.cells, weights, strict=True))
    df = sum(w > 0 for w in weights) - 1
    if usual <= 0 or df <= 0:
        return usual
    seen = (LEAST_WORTH * usual + square) / (LEAST_WORTH + df)
    return math.exp((math.log(usual) + df * math.log(seen)) / (1 + df))


def _weekends_alike(current: Side, baseline: Side, clock: Clock) -> bool:
    """Whether both have as many buckets of weekdays and as many of weekends, two or more of each."""
    found = [Counter(clock.is_weekend(cell.time + HOUR) for cell in side.cells) for side in (current, baseline)]
    return found[0] == found[1] and min(found[0][True], found[0][False]) > 1


def medians(current: Side, baseline: Side, values: Sequence[float], terms: Terms) -> Estimate:
    """The typical bucket, for percentiles, which cannot be merged. Its error is on the scale of the larger value."""
    scale = max(abs(value) for value in values)
    days = days_beside(terms.earlier.cells, baseline.cells)
    likeness = likeness_of(days, terms.clock, "others", strata=False)
    square, df = likeness.square, likeness.free
    for side, value in zip((current, baseline), values, strict=True):
        if side is current or not days:
            square += math.fsum((c.value - value) ** 2 for c in side.cells)
            df += len(side.cells) - 1
    worth = df * likeness.worth
    variance = (USUAL_WORTH * (SPREAD_OF_BUCKETS * scale) ** 2 + square / max(df, 1) * worth) / (USUAL_WORTH + worth)
    shares = [
        likeness.growth(len(side.cells)) / len(side.cells) * (math.pi / 2 if len(side.cells) > 2 else 1)  # noqa: PLR2004 - the median of two is their mean
        for side in (current, baseline)
    ]
    return Estimate(values[0] - values[1], math.sqrt(variance * math.fsum(shares)), USUAL_WORTH + worth)


def unit_of_sums(sides: tuple[Side, Side], totals: Sequence[float]) -> float:
    """What a sum is counted in, so that it varies as a count does.

    That is twice the mean of a call, if calls vary by as much as their mean.
    """
    calls = math.fsum(cell.n or 0 for side in sides for cell in side.cells)
    return 2 * SPREAD_OF_CALLS * math.fsum(totals) / calls if calls and math.fsum(totals) > 0 else 1.0


def ratio_of_totals(sides: tuple[Side, Side], unit: float, terms: Terms) -> Estimate:
    """The logarithm of current over baseline, for equal times.

    Source: McCullagh and Nelder (1989), chapter 4.5: given the sum of both, one side's count is binomial with extra
    dispersion; slot by slot where windows meet, which takes out the rhythm of hours and weekdays.
    """
    current, baseline = ([cell.value / unit for cell in side.cells] for side in sides)
    x, y = math.fsum(current), math.fsum(baseline)
    days = [cell._replace(value=cell.value / unit) for cell in days_beside(terms.earlier.cells, sides[1].cells)]
    likeness = likeness_of(days, terms.clock, "counts")
    square, df = likeness.square, likeness.free
    growth = [likeness.growth(len(side.cells)) for side in sides]
    if _meet(*sides):
        pairs = [(a, b) for a, b in zip(current, baseline, strict=True) if a + b > 0]
        share = (x + 0.5) / (x + y + 1)
        square += math.fsum((a - (a + b) * share) ** 2 / ((a + b) * share * (1 - share)) for a, b in pairs)
        df += max(0, len(pairs) - 1)
        mean = (x + y) / max(1, len(pairs)) / 2
        more_than_chance, worth = _dispersion(mean, square, df, likeness)
        error = math.sqrt(more_than_chance * growth[0] / ((x + y + 1) * share * (1 - share)))
        return Estimate(math.log((x + 0.5) / (y + 0.5)), error, worth)
    for values in (current, baseline):
        mean = math.fsum(values) / len(values)
        square += math.fsum((a - mean) ** 2 for a in values) / max(mean, 0.5)
        df += len(values) - 1
    whole = (x + y) / (len(current) + len(baseline))
    more_than_chance, worth = _dispersion(whole, square, df, likeness)
    error = math.sqrt(more_than_chance * (growth[0] / max(x, 0.5) + growth[1] / max(y, 0.5)))
    seconds = [max(side.seconds, 1.0) for side in sides]
    return Estimate(math.log((x + 0.5) / seconds[0]) - math.log((y + 0.5) / seconds[1]), error, worth)


def _dispersion(mean: float, square: float, df: int, likeness: Likeness) -> tuple[float, float]:
    """How many times the variance by chance counts of this mean vary, and the days that this rests on."""
    worth = df * likeness.worth
    seen = square / df * worth if df else 0.0
    return max(1.0, (USUAL_WORTH * _usual(mean) + seen) / (USUAL_WORTH + worth)), USUAL_WORTH + worth


def _usual(mean: float) -> float:
    """How much more than chance days of this mean usually vary."""
    return 1 + mean * USUAL_VARIATION**2


def _meet(current: Side, baseline: Side) -> bool:
    """Whether bucket i of both sides is the same slot of its day or week: all are equally far apart, in whole days."""
    if len(current.cells) != len(baseline.cells) or abs(current.seconds - baseline.seconds) > HOUR:
        return False
    shifts = {round(a.time - b.time) for a, b in zip(current.cells, baseline.cells, strict=True)}
    return max(shifts) - min(shifts) <= HOUR and all(min(shift % DAY, -shift % DAY) <= HOUR for shift in shifts)


def difference_of_totals(sides: tuple[Side, Side], scales: Sequence[float]) -> Estimate:
    """Sums that can be negative: as many buckets as there are, each as far from the others as they are seen to be."""
    totals = [math.fsum(c.value for c in side.cells) for side in sides]
    square, df = 0.0, 0
    for side, scale in zip(sides, scales, strict=True):
        values = [c.value for c in side.cells]
        if len(values) > 1:
            square += len(values) * statistics.variance(values) * scale**2
        df += len(values) - 1
    return Estimate(totals[0] * scales[0] - totals[1] * scales[1], math.sqrt(square), df)


def design_effect(calls: float, seconds: float) -> float:
    """What the variance of a share is multiplied by, as calls of one day are alike. Source: Rao and Scott (1981)."""
    return 1 + max(0.0, calls / max(1.0, seconds / DAY) - 1) * USUAL_RHO
