"""Steps: places where a course changes from one level to another, and stays.

Source: binary segmentation, Scott and Knott (1974), on winsorised values with the penalty of Yao (1988); every cut that
is kept survives a re-test of its two sides with the variance inflated for neighbours that are alike, and all of them
together describe the course better than a straight line does (Bayesian information criterion).
"""

import math
import statistics
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from cekura_dashboards.insight.course import LEAST, inflation, lag_correlation
from cekura_dashboards.insight.distributions import t_quantile, two_sided
from cekura_dashboards.insight.numbers import squares

MOST_CUTS = 5
SHORTEST = 3
LIMIT = 4.0
"""Values further from the median, in robust standard deviations, count as that far."""
MAD_TO_SD = 1.4826
COST_OF_A_CUT = 1.5
"""In parameters. With the two that it has, 8 % of steps of 2.5 deviations among 24 values would pass for a line."""
NO_SPREAD = 1e-12
"""Of the largest value: what rounding alone makes."""


class Cut(NamedTuple):
    """Where a new level begins. ``clear``: its 99 % interval, corrected for all places tried, excludes no change."""

    at: int
    clear: bool


def find_steps(values: Sequence[float]) -> list[Cut]:
    """The cuts, in order; none for fewer than 8 values or values that are all the same.

    >>> find_steps([10.0, 11, 10, 9, 10, 11, 9, 10, 30, 31, 29, 30, 31, 30, 29, 30])
    [Cut(at=8, clear=True)]
    >>> find_steps([1.0, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    []
    """
    if len(values) < LEAST:
        return []
    plain = winsorised(values)
    spread = math.sqrt(squares(plain) / len(plain))
    if not math.isfinite(spread) or spread <= NO_SPREAD * max(map(abs, plain)):
        return []
    scaled = [value / spread for value in plain]
    count = len(scaled)
    cuts = _segmented(scaled, penalty=3 * math.log(count), least=max(SHORTEST, count // 50))
    while cuts:
        scores = _scores(scaled, cuts)
        weakest = min(range(len(cuts)), key=lambda i: scores[i])
        if scores[weakest] >= math.sqrt(2 * math.log(count)) + 0.5:
            break
        del cuts[weakest]
    if not cuts or _is_a_line(scaled, cuts):
        return []
    bound = _clear_bound(scaled, cuts)
    return [Cut(at, score >= bound) for at, score in zip(cuts, _scores(scaled, cuts, unbiased=True), strict=True)]


def winsorised(values: Sequence[float]) -> list[float]:
    """Values brought within four robust standard deviations of the median.

    >>> winsorised([1.0, 2, 3, 4, 100])[-1] < 10
    True
    """
    middle = statistics.median(values)
    spread = MAD_TO_SD * statistics.median(abs(value - middle) for value in values)
    if spread <= 0:
        return list(values)
    return [min(max(value, middle - LIMIT * spread), middle + LIMIT * spread) for value in values]


def segments(cuts: Sequence[int], count: int) -> list[tuple[int, int]]:
    """The half-open stretches between cuts.

    >>> segments([3], 8)
    [(0, 3), (3, 8)]
    """
    edges = [0, *cuts, count]
    return list(pairwise(edges))


def _segmented(values: Sequence[float], *, penalty: float, least: int) -> list[int]:
    """Split the stretch that gains most, again and again, while the gain in squares is above the penalty."""
    sums = [0.0]
    for value in values:
        sums.append(sums[-1] + value)
    cuts = list[int]()
    open_stretches = {(0, len(values)): _best_split(sums, 0, len(values), least)}
    while open_stretches and len(cuts) < MOST_CUTS:
        stretch = max(open_stretches, key=lambda held: open_stretches[held][0])
        gain, at = open_stretches.pop(stretch)
        if gain <= penalty:
            break
        cuts.append(at)
        for part in ((stretch[0], at), (at, stretch[1])):
            if part[1] - part[0] >= 2 * least:
                open_stretches[part] = _best_split(sums, *part, least)
    return sorted(cuts)


def _best_split(sums: Sequence[float], start: int, end: int, least: int) -> tuple[float, int]:
    """The gain and the place of the best split; a gain of -1 where the stretch is too short."""
    length, whole = end - start, sums[end] - sums[start]
    base, best = whole * whole / length, (-1.0, start)
    for at in range(start + least, end - least + 1):
        left = sums[at] - sums[start]
        right = whole - left
        gain = left * left / (at - start) + right * right / (end - at) - base
        if gain > best[0]:
            best = (gain, at)
    return best


def residuals(values: Sequence[float], cuts: Sequence[int]) -> list[float]:
    """What is left of each value when the mean of its stretch is taken away."""
    left = list[float]()
    for start, end in segments(cuts, len(values)):
        mean = math.fsum(values[start:end]) / (end - start)
        left += [value - mean for value in values[start:end]]
    return left


def _grown(values: Sequence[float], cuts: Sequence[int], *, unbiased: bool) -> float:
    return inflation(lag_correlation(residuals(values, cuts), unbiased=unbiased))


def _scores(values: Sequence[float], cuts: Sequence[int], *, unbiased: bool = False) -> list[float]:
    """For each cut the difference of its two sides in inflated standard errors."""
    grown = _grown(values, cuts, unbiased=unbiased)
    parts = segments(cuts, len(values))
    found = list[float]()
    for (a, b), (_, c) in pairwise(parts):
        left, right = values[a:b], values[b:c]
        square = squares(left) / len(left) ** 2 + squares(right) / len(right) ** 2
        difference = abs(math.fsum(left) / len(left) - math.fsum(right) / len(right))
        found.append(difference / math.sqrt(square * grown + 1e-12))
    return found


def _clear_bound(values: Sequence[float], cuts: Sequence[int]) -> float:
    """The score that excludes no change: 99 %, corrected for every place, for as few values as neighbours leave."""
    grown = _grown(values, cuts, unbiased=True)
    df = max(1.0, len(values) / grown - len(cuts) - 1)
    return t_quantile(two_sided(0.99, len(values)), df)


def _is_a_line(values: Sequence[float], cuts: Sequence[int]) -> bool:
    """Whether a straight line describes the values better than the levels do."""
    count = len(values)
    mean, middle = math.fsum(values) / count, (count - 1) / 2
    square = math.fsum((i - middle) ** 2 for i in range(count))
    slope = math.fsum((i - middle) * (value - mean) for i, value in enumerate(values)) / square
    line = math.fsum((value - mean - slope * (i - middle)) ** 2 for i, value in enumerate(values))
    levels = math.fsum(left * left for left in residuals(values, cuts))
    return _criterion(line, 2, count) < _criterion(levels, COST_OF_A_CUT * len(cuts) + 1, count)


def _criterion(squares: float, parameters: float, count: int) -> float:
    return count * math.log(max(squares, 1e-12) / count) + parameters * math.log(count)
