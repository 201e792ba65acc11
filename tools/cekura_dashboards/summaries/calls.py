"""Single calls in cells of a minute or an hour rather than one by one: a million of them are a few hundred lists."""

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cekura_dashboards.stats.timeline import DAY, HOUR, MINUTE, Span, floor_to
from cekura_dashboards.summaries.model import Point

MINUTES_UP_TO = 2.6 * DAY
"""In windows up to this length cells are minutes, in longer ones hours. A choice, for memory."""


def grain_of(span: Span) -> int:
    """How long the stretches of a window are, in seconds."""
    return MINUTE if span.end - span.start <= MINUTES_UP_TO else HOUR


MAX_SORTED = 4096
"""The most values that are sorted at once. A choice: short enough for other threads to get their turn."""


@dataclass
class CallValues:
    """Values by the start of their stretch, ``grain`` seconds long. ``lowest`` and ``highest`` are single calls.

    ``groups`` is empty where the calls are not grouped. Missing values are only counted.
    """

    grain: int
    cells: dict[float, list[float]] = field(default_factory=dict[float, list[float]])
    nulls: int = 0
    lowest: Point | None = None
    highest: Point | None = None
    groups: dict[str | None, list[float]] = field(default_factory=dict[str | None, list[float]])

    @classmethod
    def of(cls, points: Iterable[Point], span: Span, *, grouped: bool = False) -> "CallValues":
        """From calls one by one, in any order."""
        call_values = cls(grain_of(span))
        cells, groups = defaultdict[float, list[float]](list), defaultdict[str | None, list[float]](list)
        for point in points:
            if point.value is None:
                call_values.nulls += 1
                continue
            cells[floor_to(point.time, call_values.grain)].append(point.value)
            if grouped:
                groups[point.group].append(point.value)
            if call_values.lowest is None or _order(point, 1) < _order(call_values.lowest, 1):
                call_values.lowest = point
            if call_values.highest is None or _order(point, -1) < _order(call_values.highest, -1):
                call_values.highest = point
        call_values.cells, call_values.groups = dict(sorted(cells.items())), dict(groups)
        return call_values

    def values(self) -> list[float]:
        return [value for cell in self.cells.values() for value in cell]

    def by(self, step: float, origin: float) -> dict[float, list[float]]:
        """The values in longer stretches, counted from ``origin``."""
        values_by_step = defaultdict[float, list[float]](list)
        for time, values in self.cells.items():
            values_by_step[floor_to(time, int(step), origin)].extend(values)
        return values_by_step


def _order(point: Point, sign: int) -> tuple[float, float, str]:
    """By value, then time, then id, so that the same calls give the same one in any order."""
    return sign * (point.value or 0.0), point.time, str(point.id)


def quantiles_of(cells: Sequence[list[float]], shares: Sequence[float]) -> list[float]:
    """Quantiles over all cells together, exactly as if they were sorted as one; sorts each cell.

    Linear between order statistics. No single step takes long, whatever the number of values, so that other threads get
    their turn.

    Source: Hyndman and Fan (1996), definition 7.

    >>> quantiles_of([[3.0, 1.0], [4.0], [2.0]], [0.5, 1.0])
    [2.5, 4.0]
    """
    for cell in cells:
        cell.sort()
    last, quantiles = sum(map(len, cells)) - 1, list[float]()
    for share in shares:
        place = share * last
        low = math.floor(place)
        bottom = _nth(cells, low)
        top = bottom if low == place else _nth(cells, low + 1)
        quantiles.append(bottom + (top - bottom) * (place - low))
    return quantiles


def _nth(cells: Sequence[list[float]], rank: int) -> float:
    """The value of this rank, from 0, over sorted cells.

    Source: selection by a weighted median of medians, Frederickson and Johnson (1982).
    """
    lows, highs = [0] * len(cells), [len(cell) for cell in cells]
    while sum(highs) - sum(lows) > MAX_SORTED:
        middles = sorted((cell[(a + b) // 2], b - a) for cell, a, b in zip(cells, lows, highs, strict=True) if a < b)
        half, cumulative, pivot = (sum(highs) - sum(lows)) / 2, 0, middles[-1][0]
        for value, weight in middles:
            cumulative += weight
            if cumulative >= half:
                pivot = value
                break
        below = [bisect_left(cell, pivot, a, b) for cell, a, b in zip(cells, lows, highs, strict=True)]
        upto = [bisect_right(cell, pivot, a, b) for cell, a, b in zip(cells, lows, highs, strict=True)]
        if rank < sum(below):
            highs = below
        elif rank >= sum(upto):
            lows = upto
        else:
            return pivot
    candidates = sorted(value for cell, a, b in zip(cells, lows, highs, strict=True) for value in cell[a:b])
    return candidates[rank - sum(lows)]
