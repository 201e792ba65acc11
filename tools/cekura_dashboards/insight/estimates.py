"""Estimates of differences, with an error that is sane for one bucket and for thirty.

Calls of one day are more alike than calls of different days. A side's error is that of independent calls times a design
effect, Kish (1965): 1 + (m - 1) rho, for m calls in a typical bucket. How alike calls are, rho, is taken from how the
buckets of both sides differ, by moments, Fleiss (1981), and moderated by what is usual, worth a few buckets, as in
Smyth (2004), Statistical Applications in Genetics 3. So a single bucket has neither no error nor an infinite one, and a
side of few buckets borrows from the other.
"""

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from cekura_dashboards.insight.clock import Clock
from cekura_dashboards.insight.distributions import t_quantile, two_sided
from cekura_dashboards.insight.effects import Groups
from cekura_dashboards.insight.numbers import Number, round_for_display
from cekura_dashboards.insight.timeline import DAY, HOUR

Verdict = Literal["clear", "possible", "within noise", "not tested"]
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


class Cell(NamedTuple):
    """One bucket: the calls in it, and their mean, total, or whatever the measure is."""

    time: float
    n: float | None
    value: float
    square: float | None = None
    """The sum of the squared values, where single calls are known."""


@dataclass(frozen=True)
class Side:
    """One of two sides. ``seconds``: how long its window is. ``groups`` map a name to its calls and value.

    ``parts``: labels with their counts, or figures by name. ``n``: its calls. ``over_time``: the buckets of a part,
    where they are known: of a label its share of the calls.
    """

    cells: Sequence[Cell]
    seconds: float
    groups: Groups = field(default_factory=dict[str | None, tuple[float, float]])
    parts: Mapping[str | None, float] = field(default_factory=dict[str | None, float])
    n: float | None = None
    over_time: Mapping[str | None, Sequence[Cell]] = field(default_factory=dict[str | None, Sequence[Cell]])

    def of_part(self, name: str | None) -> "Side":
        """One part as a side of its own."""
        return Side(self.over_time.get(name, ()), self.seconds)


class Estimate(NamedTuple):
    """A difference with its standard error, and the degrees of freedom behind that error."""

    difference: float
    error: float
    df: float


def verdict(
    estimate: float, error: float, df: float, *, tests: int = 1, parts: int = 1, most: str = "clear"
) -> Verdict:
    """``clear``: the 99 % interval, corrected for how many were tested, excludes no change; ``possible``: the 95 %.

    ``parts``: of how many parts of one chart this is one: both intervals are corrected for them. ``most``: what may be
    said at the most; where that is ``possible``, the 95 % interval is corrected for all.

    >>> verdict(0.1, 0.01, 12), verdict(0.1, 0.01, 12, most="possible"), verdict(0.1, 0.2, 12)
    ('clear', 'possible', 'within noise')
    """
    if error <= 0 or df <= 0:
        return "within noise" if estimate == 0 else "possible"
    size = abs(estimate) / error
    if size > t_quantile(two_sided(0.99, tests * parts), df) and most == "clear":
        return "clear"
    corrected = tests * parts if most == "possible" else parts
    return "possible" if size > t_quantile(two_sided(0.95, corrected), df) else "within noise"


def interval(found: Estimate) -> list[Number] | None:
    if found.error <= 0 or found.df <= 0:
        return None
    half = t_quantile(two_sided(0.95), found.df) * found.error
    return [round_for_display(found.difference - half, 3), round_for_display(found.difference + half, 3)]


def _weights(side: Side) -> list[float]:
    """The calls of each bucket, or 1 for all where some are not known."""
    return [1.0 if any(c.n is None for c in side.cells) else float(c.n or 0) for c in side.cells]


def mean_of(side: Side) -> float:
    weights = _weights(side)
    whole = math.fsum(weights)
    return math.fsum(c.value * w for c, w in zip(side.cells, weights, strict=True)) / whole if whole > 0 else 0.0


class _Spread(NamedTuple):
    """One side: its calls, the variance of one call (0: not known), and the calls of a typical bucket."""

    calls: float
    variance: float
    typical: float


def means(current: Side, baseline: Side, values: Sequence[float], ratio: float, clock: Clock) -> Estimate:
    """Rates and means, all calls of a side together."""
    strata = _weekends_alike(current, baseline, clock)
    spreads = [_spread(side, value, ratio) for side, value in zip((current, baseline), values, strict=True)]
    square = weight = df = 0.0
    for side, value, spread in zip((current, baseline), values, spreads, strict=True):
        for part in _parts(side, clock) if strata else [[*zip(side.cells, _weights(side), strict=True)]]:
            calls = math.fsum(n for _, n in part)
            if calls <= 0 or spread.variance <= 0:
                continue
            middle = math.fsum(n * c.value for c, n in part) / calls if strata else value
            count = sum(n > 0 for _, n in part) - 1
            square += math.fsum(n * (c.value - middle) ** 2 for c, n in part) / spread.variance - count
            weight += calls - math.fsum(n * n for _, n in part) / calls - count
            df += count
    seen = max(0.0, square / weight) if weight > 0 else 0.0
    rho = (USUAL_WORTH * USUAL_RHO + df * seen) / (USUAL_WORTH + df)
    square = math.fsum(s.variance / s.calls * (1 + (max(s.typical, 1) - 1) * rho) for s in spreads if s.calls > 0)
    return Estimate(values[0] - values[1], math.sqrt(square), USUAL_WORTH + df)


def _spread(side: Side, value: float, ratio: float) -> _Spread:
    weights = _weights(side)
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


def _parts(side: Side, clock: Clock) -> list[list[tuple[Cell, float]]]:
    """Weekdays and weekends apart. Source: stratified clusters, Cochran (1977), Sampling Techniques, chapter 5."""
    held = defaultdict[bool, list[tuple[Cell, float]]](list)
    for cell, weight in zip(side.cells, _weights(side), strict=True):
        held[clock.is_weekend(cell.time + HOUR)].append((cell, weight))
    return [*held.values()]


def _weekends_alike(current: Side, baseline: Side, clock: Clock) -> bool:
    """Whether both have as many buckets of weekdays and as many of weekends, two or more of each."""
    found = [Counter(clock.is_weekend(cell.time + HOUR) for cell in side.cells) for side in (current, baseline)]
    return found[0] == found[1] and min(found[0][True], found[0][False]) > 1


def medians(current: Side, baseline: Side, values: Sequence[float]) -> Estimate:
    """The typical bucket, for percentiles, which cannot be merged. Its error is on the scale of the larger value."""
    scale = max(abs(value) for value in values)
    square, df = 0.0, 0
    for side, value in zip((current, baseline), values, strict=True):
        square += math.fsum((c.value - value) ** 2 for c in side.cells)
        df += len(side.cells) - 1
    variance = (USUAL_WORTH * (SPREAD_OF_BUCKETS * scale) ** 2 + square) / (USUAL_WORTH + df)
    counts = [len(side.cells) / (math.pi / 2 if len(side.cells) > 2 else 1) for side in (current, baseline)]  # noqa: PLR2004 - the median of two is their mean
    return Estimate(
        values[0] - values[1], math.sqrt(variance * math.fsum(1 / count for count in counts)), USUAL_WORTH + df
    )


def unit_of_sums(sides: tuple[Side, Side], totals: Sequence[float]) -> float:
    """What a sum is counted in, so that it varies as a count does.

    That is twice the mean of a call, if calls vary by as much as their mean.
    """
    calls = math.fsum(cell.n or 0 for side in sides for cell in side.cells)
    return 2 * SPREAD_OF_CALLS * math.fsum(totals) / calls if calls and math.fsum(totals) > 0 else 1.0


def ratio_of_totals(sides: tuple[Side, Side], unit: float) -> Estimate:
    """The logarithm of current over baseline, for equal times.

    Source: McCullagh and Nelder (1989), chapter 4.5: given the sum of both, one side's count is binomial with extra
    dispersion; slot by slot where windows meet, which takes out the rhythm of hours and weekdays.
    """
    current, baseline = ([cell.value / unit for cell in side.cells] for side in sides)
    x, y = math.fsum(current), math.fsum(baseline)
    if _meet(*sides):
        pairs = [(a, b) for a, b in zip(current, baseline, strict=True) if a + b > 0]
        share = (x + 0.5) / (x + y + 1)
        pearson = math.fsum((a - (a + b) * share) ** 2 / ((a + b) * share * (1 - share)) for a, b in pairs)
        df = max(0, len(pairs) - 1)
        mean = (x + y) / max(1, len(pairs)) / 2
        more_than_chance = max(1.0, (USUAL_WORTH * _usual(mean) + pearson) / (USUAL_WORTH + df))
        error = math.sqrt(more_than_chance / ((x + y + 1) * share * (1 - share)))
        return Estimate(math.log((x + 0.5) / (y + 0.5)), error, USUAL_WORTH + df)
    square, df = 0.0, 0
    for values in (current, baseline):
        mean = math.fsum(values) / len(values)
        square += math.fsum((a - mean) ** 2 for a in values) / max(mean, 0.5)
        df += len(values) - 1
    whole = (x + y) / (len(current) + len(baseline))
    more_than_chance = max(1.0, (USUAL_WORTH * _usual(whole) + square) / (USUAL_WORTH + df))
    error = math.sqrt(more_than_chance * (1 / max(x, 0.5) + 1 / max(y, 0.5)))
    seconds = [max(side.seconds, 1.0) for side in sides]
    return Estimate(math.log((x + 0.5) / seconds[0]) - math.log((y + 0.5) / seconds[1]), error, USUAL_WORTH + df)


def _usual(mean: float) -> float:
    """How much more than chance days of this mean usually vary."""
    return 1 + mean * USUAL_VARIATION**2


def _meet(current: Side, baseline: Side) -> bool:
    """Whether bucket i of both sides is the same slot of its day or week: all are equally far apart, in whole days."""
    if len(current.cells) != len(baseline.cells):
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
