"""Unusual buckets: far from what is usual around them, and further than their own sampling error explains."""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from cekura_dashboards.insight.distributions import NORMAL, two_sided
from cekura_dashboards.insight.steps import MAD_TO_SD, segments

LEAST_SCORE = 4.0


class Run(NamedTuple):
    """The half-open stretch of neighbours that are unusual in one direction, its usual level and its size in errors."""

    start: int
    end: int
    usual: float
    size: float


def find_unusual(values: Sequence[float], errors: Sequence[float], cuts: Sequence[int] = ()) -> list[Run]:
    """The runs, the largest first. ``cuts``: where the level changes, which is not unusual but a step.

    >>> find_unusual([10.0, 11, 9, 10, 30, 29, 10, 11, 9, 10], [0.0] * 10)[0][:3]
    (4, 6, 10.0)
    >>> find_unusual([10.0, 11, 9, 10, 30, 10, 11, 9, 10, 11], [0, 0, 0, 0, 10, 0, 0, 0, 0, 0])
    []
    """
    scores, levels = list[float](), list[float]()
    for start, end in segments(cuts, len(values)):
        part = values[start:end]
        level = statistics.median(part)
        spread = MAD_TO_SD * statistics.median(abs(value - level) for value in part)
        for value, error in zip(part, errors[start:end], strict=True):
            scale = math.hypot(spread, error)
            difference = value - level
            scores.append(
                difference / scale if scale > 0 else math.copysign(math.inf, difference) if difference else 0.0
            )
            levels.append(level)
    bound = max(LEAST_SCORE, NORMAL.inv_cdf(two_sided(0.99, len(values))))
    return _runs(scores, levels, bound)


def _runs(scores: Sequence[float], levels: Sequence[float], bound: float) -> list[Run]:
    found = list[Run]()
    for i, score in enumerate(scores):
        if not math.isfinite(score) or abs(score) < bound:
            continue
        last = found[-1] if found else None
        if last and last.end == i and (last.size > 0) == (score > 0) and last.usual == levels[i]:
            found[-1] = Run(last.start, i + 1, last.usual, max(last.size, score, key=abs))
        else:
            found.append(Run(i, i + 1, levels[i], score))
    return sorted(found, key=lambda run: (-abs(run.size), run.start))
