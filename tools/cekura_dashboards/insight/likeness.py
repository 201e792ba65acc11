"""What the days before show of a comparison: by how much days vary, and how alike neighbouring days are.

A week in which a slow day follows slow days says less than seven days that have nothing to do with each other. A week
itself cannot show that: what moves it may be what is looked for. So it is taken from the days before.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence

from msgspec import Struct

from cekura_dashboards.insight.clock import Clock
from cekura_dashboards.insight.course import lag_correlation
from cekura_dashboards.insight.side import Cell
from cekura_dashboards.insight.timeline import DAY, HOUR

ENOUGH_DAYS = 20
"""Fewer do not show how alike neighbouring days are."""
ALIKE_AT_LEAST = 0.1
"""Neighbouring days are taken to be so much alike, as three weeks do not show it well."""


class Likeness(Struct, frozen=True):
    """How alike neighbouring days are, as was seen in so many days; without any they are taken for unlike."""

    correlation: float = 0.0
    days: int = 0

    def growth(self, days: int) -> float:
        """What the variance of a mean of so many days in a row is multiplied by.

        The second factor makes up for a variance that was seen around the mean of days that are alike.

        >>> round(Likeness(0.6, 22).growth(7), 2), Likeness(0.0, 22).growth(7)
        (3.39, 1.0)
        """
        if not self.correlation:
            return 1.0
        hidden = self._of_mean(self.days) / self.days
        return self._of_mean(days) * (1 - 1 / self.days) / (1 - hidden)

    def _of_mean(self, days: int) -> float:
        """Of a first-order autoregression, exactly for so few: Bayley and Hammersley (1946)."""
        return 1 + 2 * math.fsum((days - lag) / days * self.correlation**lag for lag in range(1, days))

    @property
    def worth(self) -> float:
        """As how many days that are unlike one day counts, for the variance."""
        return (1 - self.correlation**2) / (1 + self.correlation**2)


def by_kind(cells: Sequence[Cell], clock: Clock) -> list[list[Cell]]:
    """Weekdays and weekends apart. Source: stratified clusters, Cochran (1977), Sampling Techniques, chapter 5."""
    held = defaultdict[bool, list[Cell]](list)
    for cell in cells:
        held[clock.is_weekend(cell.time + HOUR)].append(cell)
    return [*held.values()]


def days_beside(earlier: Sequence[Cell], baseline: Sequence[Cell]) -> list[Cell]:
    """The days before, with those of the baseline that are not among them; none where they are too few."""
    if not earlier:
        return []
    start, end = earlier[0].time, earlier[-1].time + DAY
    others = [cell for cell in baseline if not start - HOUR <= cell.time < end - HOUR]
    found = sorted([*earlier, *others], key=lambda cell: cell.time)
    return found if len(found) >= ENOUGH_DAYS else []


def likeness_of(days: Sequence[Cell], clock: Clock, apart: Callable[[Sequence[Cell]], Sequence[float]]) -> Likeness:
    """``apart``: how far each of the days of one kind is from what is usual for them, in an error that all share."""
    if not days:
        return Likeness()
    found = {cell.time: far for part in by_kind(days, clock) for cell, far in zip(part, apart(part), strict=True)}
    seen = lag_correlation([found[time] for time in sorted(found)], unbiased=True)
    return Likeness(max(seen, ALIKE_AT_LEAST), len(days))
