"""Unusual buckets: far from what is usual around them, and further than their own sampling error explains."""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from cekura_dashboards.insight.distributions import NORMAL, t_quantile, two_sided
from cekura_dashboards.insight.numbers import squares
from cekura_dashboards.insight.steps import segments

LEAST_SCORE = 4.0
MOST_SHARE, AT_LEAST = 10, 3
"""Up to a tenth of the buckets can be unusual, and up to three of a few."""
NO_DIFFERENCE = 1e-9
MANY, MANY_NEED = 20, 3.0


class Run(NamedTuple):
    """The half-open stretch of neighbours that are unusual in one direction, its usual level and its size in errors."""

    start: int
    end: int
    usual: float
    size: float


def find_unusual(
    values: Sequence[float], errors: Sequence[float], cuts: Sequence[int] = (), sizes: Sequence[float] = ()
) -> list[Run]:
    """The runs, the largest first. ``cuts``: where the level changes, which is not unusual but a step.

    ``errors``: the sampling error of each, 0 where it is not known. ``sizes``: the calls that each rests on; one of
    fewer calls than usual may differ by as much more as chance then does.

    >>> find_unusual([10.0, 11, 9, 10, 30, 29, 10, 11, 9, 10], [0.0] * 10)[0][:3]
    (4, 6, 10.0)
    >>> find_unusual([10.0, 11, 9, 10, 30, 10, 11, 9, 10, 11], [0, 0, 0, 0, 10, 0, 0, 0, 0, 0])
    []
    >>> few = [10.0, 11, 9, 10, 15, 10, 11, 9, 10, 11]
    >>> find_unusual(few, [0.0] * 10)[0][:3], find_unusual(few, [0.0] * 10, sizes=[50] * 4 + [2] + [50] * 5)
    ((4, 5, 10.0), [])
    """
    levels = [level for part in segments(cuts, len(values)) for level in _level(values, *part)]
    differences = [value - level for value, level in zip(values, levels, strict=True)]
    negligible = NO_DIFFERENCE * max(map(abs, values), default=0.0)
    differences = [0.0 if abs(difference) <= negligible else difference for difference in differences]
    steadied = [d * weight for d, weight in zip(differences, _weights(sizes, len(values)), strict=True)]
    far = outliers(steadied)
    rest = [difference for i, difference in enumerate(steadied) if i not in far]
    spread = math.sqrt(squares(rest) / (len(rest) - 1)) if len(rest) > 1 else 0.0
    bound = NORMAL.inv_cdf(two_sided(0.99, max(1, len(values))))
    scores = [
        (math.copysign(math.inf, difference) if not spread else difference / spread)
        if i in far and abs(differences[i]) > bound * errors[i]
        else 0.0
        for i, difference in enumerate(steadied)
    ]
    return _runs(scores, levels)


def outliers(values: Sequence[float]) -> set[int]:
    """The places of those that do not belong to one normal distribution with the rest, at 1 % for all together.

    Source: the generalised extreme Studentised deviate, Rosner (1983), Technometrics 25.

    >>> outliers([1.0, 2, 1, 2, 1, 2, 1, 2, 1, 9]), outliers([1.0, 1, 1])
    ({9}, set())
    """
    order = sorted(range(len(values)), key=lambda i: values[i])
    whole, square = math.fsum(values), math.fsum(value * value for value in values)
    low, high, taken, found = 0, len(order), list[int](), 0
    for _ in range(max(AT_LEAST, len(order) // MOST_SHARE)):
        count = high - low
        if count <= AT_LEAST:
            break
        mean = whole / count
        variance = (square - whole * mean) / (count - 1)
        if variance <= NO_DIFFERENCE * square / count:
            break
        below, above = mean - values[order[low]], values[order[high - 1]] - mean
        at = order[low] if below > above else order[high - 1]
        low, high = (low + 1, high) if below > above else (low, high - 1)
        taken.append(at)
        if _is_far(max(below, above) / math.sqrt(variance), count):
            found = len(taken)
        whole, square = whole - values[at], square - values[at] ** 2
    return set(taken[:found])


def _is_far(deviation: float, count: int) -> bool:
    """Whether the largest of so many deviations is beyond chance. Of many, none up to 3 is: that is told at once."""
    if count >= MANY and deviation <= MANY_NEED:
        return False
    t = t_quantile(two_sided(0.99, count), count - 2)
    return deviation > (count - 1) * t / math.sqrt((count - 2 + t * t) * count)


def _level(values: Sequence[float], start: int, end: int) -> list[float]:
    return [statistics.median(values[start:end])] * (end - start) if end > start else []


def _weights(sizes: Sequence[float], count: int) -> list[float]:
    """1, or less for what rests on fewer calls than usual: chance goes with the root of the calls."""
    usual = statistics.median(sizes) if sizes else 0.0
    return [min(1.0, math.sqrt(size / usual)) for size in sizes] if usual > 0 else [1.0] * count


def _runs(scores: Sequence[float], levels: Sequence[float]) -> list[Run]:
    found = list[Run]()
    for i, score in enumerate(scores):
        if abs(score) < LEAST_SCORE:
            continue
        last = found[-1] if found else None
        if last and last.end == i and (last.size > 0) == (score > 0) and last.usual == levels[i]:
            found[-1] = Run(last.start, i + 1, last.usual, max(last.size, score, key=abs))
        else:
            found.append(Run(i, i + 1, levels[i], score))
    return sorted(found, key=lambda run: (-abs(run.size), run.start))
