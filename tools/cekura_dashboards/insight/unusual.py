"""Unusual buckets: so far from what is usual for their hour and day that chance does not explain it."""

import math
import statistics
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from cekura_dashboards.insight.distributions import NORMAL, t_beyond, t_quantile, two_sided

SURE, PERHAPS, PERHAPS_AN_HOUR = 0.995, 0.99, 0.92
"""For all buckets of a window together; hours and days are both looked at, so each gets part of the usual error.

For hours of counts and rates more, as whole numbers do not use it up."""
MOST_SHARE, AT_LEAST = 10, 3
"""Up to a tenth of the buckets can be unusual, and up to three of a few."""
TAIL_SHARE, ENOUGH_FOR_TAILS = 20, 100
"""One in so many values is in a tail; of fewer values than this none is estimated."""
SAFELY, SAFELY_OF_EXTREMES = 1.15, 1.2
"""A tail is taken to be so many times longer than it looks, as few values show it."""
EULER = 0.5772
NORMAL_TAIL = 0.65
"""That of normal values is 0.46 standard deviations long, and hardly ever looks longer than this."""
NO_DIFFERENCE = 1e-9


class Run(NamedTuple):
    """The half-open stretch of neighbours that are unusual in one direction.

    ``chance``: how likely one so far off is anywhere among all that were tested, if none is unusual.
    """

    start: int
    end: int
    size: float
    clear: bool
    chance: float = 1.0


def find_unusual(
    scores: Sequence[float],
    tested: Sequence[bool],
    *,
    perhaps: float = PERHAPS,
    lost: int = 1,
    exact: bool = False,
    extreme: bool = False,
    lowest: Sequence[float] = (),
) -> list[Run]:
    """The runs among those that are ``tested``, the largest first.

    ``scores``: how far each is from its usual, in standard deviations. ``perhaps``: the share of answers in which
    chance alone finds nothing. ``exact``: their distribution is known to be normal, with no other spread; else their
    own spread and tails count, of which ``lost`` values are spent already.
    ``extreme``: they are highest or lowest values themselves, or near those, whose tails are longer. ``lowest``: how
    far below its usual each could be at most; empty where that is not bounded.

    >>> few = [0.1, -1.0, 0.5, 0.2, 9.0, 8.0, -0.3, 0.9, -0.6, 0.4, -0.2, 0.3]
    >>> [run[:2] for run in find_unusual(few, [True] * 12)], find_unusual(few[6:], [True] * 6)
    ([(4, 6)], [])
    """
    count = sum(tested)
    if not count:
        return []
    if exact:
        could = [score for score, here in zip(lowest or [math.inf] * len(scores), tested, strict=True) if here]
        bounds = [(_lower_bound(could, share), NORMAL.inv_cdf(two_sided(share, count))) for share in (SURE, perhaps)]
        sure, maybe = ({i for i, score in enumerate(scores) if not -low <= score <= high} for low, high in bounds)
    else:
        sure, maybe = (outliers(scores, two_sided(share, count), lost) for share in (SURE, perhaps))
        low, high = (_tail(scores, sign, count, extreme=extreme) for sign in (-1, 1))
        normal = SAFELY * NORMAL.inv_cdf(two_sided(SURE, count))
        sure = {i for i in sure if not -max(low, normal) <= scores[i] <= max(high, normal)}
        if extreme or len(scores) >= ENOUGH_FOR_TAILS:
            maybe = {i for i in maybe if not -low <= scores[i] <= high}
    found = _runs(scores, {i for i in maybe if tested[i]}, sure)
    if exact:
        return [run._replace(chance=min(1.0, 2 * count * NORMAL.cdf(-abs(run.size)))) for run in found]
    return [run._replace(chance=_chance(scores, run, count, lost, extreme=extreme)) for run in found]


def _lower_bound(could: Sequence[float], share: float) -> float:
    """How far below its usual one must be. Those that never could be so far do not count as tests.

    Source: Tarone (1990), Biometrics 46.
    """
    ordered = sorted(could)

    def able(tests: int) -> int:
        return len(ordered) - bisect_left(ordered, NORMAL.inv_cdf(two_sided(share, tests)))

    tests = bisect_left(range(1, len(ordered)), True, key=lambda tests: able(tests) <= tests) + 1
    return NORMAL.inv_cdf(two_sided(share, tests))


def outliers(values: Sequence[float], probability: float, lost: int = 1) -> set[int]:
    """The places of those that do not belong to one normal distribution with the rest.

    ``probability``: the quantile that one of them is tested at. ``lost``: degrees of freedom that are spent.

    Source: the generalised extreme Studentised deviate, Rosner (1983), Technometrics 25.

    >>> outliers([1.0, 2, 1, 2, 1, 2, 1, 2, 1, 9], two_sided(0.99, 10)), outliers([1.0, 1, 1], 0.99)
    ({9}, set())
    """
    order = sorted(range(len(values)), key=lambda i: values[i])
    whole, square = math.fsum(values), math.fsum(value * value for value in values)
    low, high, taken, found = 0, len(order), list[int](), 0
    for _ in range(max(AT_LEAST, len(order) // MOST_SHARE)):
        count = high - low
        free = count - lost
        if free <= AT_LEAST:
            break
        mean = whole / count
        variance = (square - whole * mean) / free
        if variance <= NO_DIFFERENCE * square / count:
            break
        below, above = mean - values[order[low]], values[order[high - 1]] - mean
        at = order[low] if below > above else order[high - 1]
        low, high = (low + 1, high) if below > above else (low, high - 1)
        taken.append(at)
        t = t_quantile(probability, free - 1)
        if max(below, above) / math.sqrt(variance) > free * t / math.sqrt((free - 1 + t * t) * (free + 1)):
            found = len(taken)
        elif len(taken) - found > AT_LEAST + found:
            break
        whole, square = whole - values[at], square - values[at] ** 2
    return set(taken[:found])


def _tail(scores: Sequence[float], sign: int, tests: int, *, extreme: bool) -> float:
    """How far out chance reaches on one side, for as many tests, if that side falls off exponentially.

    Of many values their own tail shows how fast; fewer are taken to be like the highest of many.

    Source: exceedances over a high threshold, Pickands (1975), Annals of Statistics 3, with a shape of 0; and Gumbel
    (1958).
    """
    chance = (1 - SURE) / 2 / tests
    if len(scores) < ENOUGH_FOR_TAILS:
        return (-math.log(chance) - EULER) * math.sqrt(6) / math.pi
    ordered = sorted((sign * score for score in scores), reverse=True)
    count = len(ordered) // TAIL_SHARE
    threshold = ordered[count]
    beyond = (statistics.median(ordered[:count]) - threshold) / math.log(2)
    if beyond <= NORMAL_TAIL and not extreme:
        return 0.0
    beyond *= SAFELY_OF_EXTREMES if extreme else SAFELY
    return threshold - beyond * math.log(chance * TAIL_SHARE)


def _chance(scores: Sequence[float], run: Run, tests: int, lost: int, *, extreme: bool) -> float:
    """By their own spread, that of the others, and by the tail on its side if that is longer."""
    others = [score for i, score in enumerate(scores) if not run.start <= i < run.end]
    df = max(1.0, len(others) - lost)
    spread = math.sqrt(math.fsum(score * score for score in others) / df)
    normal = 2 * tests * t_beyond(abs(run.size) / spread, df) if spread > 0 else 0.0
    sign = 1 if run.size > 0 else -1
    edges = [_tail(scores, sign, tests * scale, extreme=extreme) for scale in (1, 10)]
    length = (edges[1] - edges[0]) / math.log(10)
    tail = (1 - SURE) / 2 * math.exp(-(abs(run.size) - edges[0]) / length) if length > 0 else 0.0
    return min(1.0, max(normal, tail))


def _runs(scores: Sequence[float], places: set[int], sure: set[int]) -> list[Run]:
    found = list[Run]()
    for i in sorted(places):
        score, last = scores[i], found[-1] if found else None
        if last and last.end == i and (last.size > 0) == (score > 0):
            found[-1] = Run(last.start, i + 1, max(last.size, score, key=abs), last.clear or i in sure)
        else:
            found.append(Run(i, i + 1, score, i in sure))
    return sorted(found, key=lambda run: (-abs(run.size), run.start))
