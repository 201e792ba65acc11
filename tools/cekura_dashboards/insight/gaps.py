"""Gaps: stretches without a single call, where so many usually come that this is no chance."""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from cekura_dashboards.insight.course import is_weekend
from cekura_dashboards.insight.timeline import DAY, HOUR

ENOUGH = 15.0
"""So many calls must have been missed: were they independent, none at all would be likelier than 1 in 3 million."""


class Gap(NamedTuple):
    """The half-open stretch of empty buckets, and how many calls usually come in it."""

    start: int
    end: int
    expected: float


def find_gaps(times: Sequence[float], counts: Sequence[float], step: float) -> list[Gap]:
    """In order of time. What is usual is the mean of the same hour of other days, weekends apart.

    >>> hours = [i * HOUR for i in range(24 * 9)]
    >>> day = [0] * 7 + [20] * 17
    >>> counts = [float(c) for _ in range(9) for c in day]
    >>> find_gaps(hours, counts, HOUR)
    []
    >>> counts[34:36] = [0.0, 0.0]
    >>> [gap[:2] for gap in find_gaps(hours, counts, HOUR)]
    [(34, 36)]
    """
    slots = [_slot(time, step) for time in times]
    held = defaultdict[tuple[int, bool], list[float]](list)
    for slot, count in zip(slots, counts, strict=True):
        held[slot].append(count)
    usual = {slot: math.fsum(members) / max(1, len(members) - 1) for slot, members in held.items()}
    found, start = list[Gap](), None
    for i in range(len(counts) + 1):
        empty = i < len(counts) and counts[i] <= 0
        if empty and start is None:
            start = i
        elif not empty and start is not None:
            expected = math.fsum(usual[slot] for slot in slots[start:i])
            if expected >= ENOUGH and i - start < len(counts):
                found.append(Gap(*_trimmed(start, i, slots, usual), expected))
            start = None
    return found


def _slot(time: float, step: float) -> tuple[int, bool]:
    hour = int(time % DAY // HOUR) if step < DAY else 0
    return hour, step <= DAY and is_weekend(time)


def _trimmed(
    start: int, end: int, slots: Sequence[tuple[int, bool]], usual: dict[tuple[int, bool], float]
) -> tuple[int, int]:
    """Without the buckets at both ends in which hardly a call is usual: they are night."""
    while start < end - 1 and usual[slots[start]] < 1:
        start += 1
    while end > start + 1 and usual[slots[end - 1]] < 1:
        end -= 1
    return start, end
