"""Single calls, held by short stretches of time rather than one by one: a million of them are a few hundred lists."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cekura_dashboards.insight.model import Point
from cekura_dashboards.insight.timeline import DAY, HOUR, MINUTE, Span, floor_to

MINUTES_UP_TO = 2.6 * DAY
"""In windows up to this length the stretches are minutes, in longer ones hours."""


def grain_of(span: Span) -> int:
    """How long the stretches of a window are, in seconds."""
    return MINUTE if span.end - span.start <= MINUTES_UP_TO else HOUR


@dataclass
class Calls:
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
    def of(cls, points: Iterable[Point], span: Span, *, grouped: bool = False) -> "Calls":
        """From calls one by one, in any order."""
        found = cls(grain_of(span))
        cells, groups = defaultdict[float, list[float]](list), defaultdict[str | None, list[float]](list)
        for point in points:
            if point.value is None:
                found.nulls += 1
                continue
            cells[floor_to(point.time, found.grain)].append(point.value)
            if grouped:
                groups[point.group].append(point.value)
            low, high = found.lowest, found.highest
            if low is None or (point.value, point.time) < (low.value, low.time):
                found.lowest = point
            if high is None or (-point.value, point.time) < (-(high.value or 0.0), high.time):
                found.highest = point
        found.cells, found.groups = dict(sorted(cells.items())), dict(groups)
        return found

    def values(self) -> list[float]:
        return [value for cell in self.cells.values() for value in cell]

    def by(self, step: float, origin: float) -> dict[float, list[float]]:
        """The values in longer stretches, counted from ``origin``."""
        held = defaultdict[float, list[float]](list)
        for time, values in self.cells.items():
            held[floor_to(time, int(step), origin)].extend(values)
        return held


def spread(values: Sequence[float], mean: float) -> float:
    """The sum of squared differences from the mean."""
    return math.fsum((value - mean) ** 2 for value in values)
