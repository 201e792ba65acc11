"""Comparisons of two sides whose truth is known: how often the interval holds it, and what is said where nothing is."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from cekura_dashboards.insight import Cell, Kind, Side, compare
from cekura_dashboards.insight.timeline import DAY

CURRENT, BASELINE = 0, 1
Draw = Callable[[np.random.Generator, int, float, int], Side]
"""From the number of days, the change, and which side it is, to that side."""
LEAST_HELD, MOST_HELD = 0.93, 0.99
CLEAR, CLEAR_ALIKE = 0.01, 0.05
RATE, LENGTH_S, SPREAD = 0.85, 170.0, 0.8
WEEKEND_CALLS, WEEKEND_RATE, FRIDAY = 0.4, -0.1, 8
CHANGE_OF_RATES, CHANGE_OF_REST = -0.05, -0.15


@dataclass(frozen=True)
class Case:
    """``days``: of both sides. ``change``: what is planted: added to rates, a share of anything else."""

    name: str
    kind: Kind
    draw: Draw
    days: tuple[int, int]
    change: float = 0.0
    ratio: float = 0.0
    counted: bool = False
    alike: bool = False

    def truth(self, baseline: Side) -> float:
        """The difference that was planted."""
        if self.ratio:
            return self.change
        whole = math.fsum(cell.value for cell in baseline.cells) if self.kind == "total" else LENGTH_S
        return self.change * whole


class Compared(NamedTuple):
    """The shares of comparisons whose interval holds the truth, and that are called clear, or possible."""

    case: Case
    held: float
    clear: float
    possible: float

    @property
    def holds(self) -> bool:
        most = CLEAR_ALIKE if self.case.alike else CLEAR
        return self.held >= LEAST_HELD and (bool(self.case.change) or self.clear <= most)

    def __str__(self) -> str:
        days = f"{self.case.days[0]} against {self.case.days[1]} days"
        change = f"{self.case.change:+.0%}" if self.case.change else "none"
        wide = " wide" if self.held > MOST_HELD else ""
        name = f"| {self.case.name} | {days} | {change} | "
        return f"{name}{self.held:.1%}{wide} | {self.clear:.1%} | {self.possible:.1%} |"


def _weekend(day: int) -> bool:
    """The first day is a Friday."""
    return day % 7 in {1, 2}


def _own(rng: np.random.Generator, days: int, size: float, alike: float) -> list[float]:
    """What each day differs by itself, a first-order autoregression."""
    level, found = float(rng.normal(0, size)), list[float]()
    for _ in range(days):
        found.append(level)
        level = alike * level + float(rng.normal(0, size * math.sqrt(1 - alike**2)))
    return found


def _rates(
    calls: tuple[float, float], rng: np.random.Generator, days: int, change: float, side: int,
    *, size: float = 0.02, alike: float = 0.0, weekly: bool = False,
) -> Side:  # fmt: skip
    cells = list[Cell]()
    for day, own in enumerate(_own(rng, days, size, alike)):
        quiet = weekly and _weekend(day)
        n = max(1, int(rng.poisson(calls[side] * (WEEKEND_CALLS if quiet else 1))))
        rate = float(np.clip(RATE + change + own + (WEEKEND_RATE if quiet else 0), 0.01, 0.99))
        cells.append(Cell((FRIDAY + day) * DAY, n, float(rng.binomial(n, rate)) / n))
    return Side(cells, days * DAY, n=math.fsum(cell.n or 0 for cell in cells))


def _lengths(
    calls: float, rng: np.random.Generator, days: int, change: float, _side: int, *, squares: bool = False
) -> Side:
    cells = list[Cell]()
    sigma = math.sqrt(math.log1p(SPREAD**2))
    for day, own in enumerate(_own(rng, days, 0.05, 0.0)):
        n = max(1, int(rng.poisson(calls)))
        mean = LENGTH_S * (1 + change) * math.exp(own - 0.05**2 / 2)
        held = rng.lognormal(math.log(mean) - sigma**2 / 2, sigma, n)
        cells.append(Cell((FRIDAY + day) * DAY, n, float(held.mean()), float((held**2).sum()) if squares else None))
    return Side(cells, days * DAY, n=math.fsum(cell.n or 0 for cell in cells))


def _counts(
    calls: float, variation: float, rng: np.random.Generator, days: int, change: float, side: int,
    *, alike: float = 0.0,
) -> Side:  # fmt: skip
    cells, start = list[Cell](), FRIDAY + (7 * math.ceil(days / 7) if side == CURRENT else 0)
    for day, own in enumerate(_own(rng, days, variation, alike)):
        mean = calls * (1 + change) * math.exp(own) * (WEEKEND_CALLS if _weekend(day) else 1)
        cells.append(Cell((start + day) * DAY, None, float(rng.poisson(mean))))
    return Side(cells, days * DAY)


def cases() -> Iterator[Case]:
    for change in (0.0, CHANGE_OF_RATES):
        for days, calls in (
            ((1, 1), (1500, 1500)), ((1, 7), (1500, 1500)), ((2, 2), (800, 800)), ((3, 3), (300, 300)),
            ((7, 7), (400, 400)), ((7, 2), (300, 80)), ((14, 14), (60, 60)),
        ):  # fmt: skip
            name = (
                f"rates, {calls[0]} calls a day" if calls[0] == calls[1] else f"rates, {calls[0]} and {calls[1]} a day"
            )
            yield Case(name, "mean", partial(_rates, calls), days, change, ratio=1.0)
        weekly = partial(_rates, (400, 400), weekly=True)
        yield Case("rates, weekends fewer and lower", "mean", weekly, (14, 14), change, ratio=1.0)
    for alike in (0.3, 0.6):
        days_alike = partial(_rates, (400, 400), alike=alike)
        yield Case(f"rates, days alike {alike:g}", "mean", days_alike, (7, 7), ratio=1.0, alike=True)
    for change in (0.0, CHANGE_OF_REST):
        for days in ((1, 1), (3, 3), (7, 7), (7, 2)):
            yield Case(
                "durations of single calls, 300 a day", "mean", partial(_lengths, 300, squares=True), days, change
            )
        for days in ((3, 3), (7, 7)):
            yield Case("mean durations, 300 a day", "mean", partial(_lengths, 300), days, change)
        for days, usual, own in (((1, 1), 314, 0.05), ((3, 3), 300, 0.05), ((7, 7), 1500, 0.05), ((7, 7), 300, 0.1)):
            draw = partial(_counts, usual, own)
            yield Case(f"calls, {usual} a day varying by {own:.0%}", "total", draw, days, change, counted=True)
    draw = partial(_counts, 1500, 0.1, alike=0.6)
    yield Case("calls, 1500 a day varying by 10%, days alike 0.6", "total", draw, (7, 7), counted=True, alike=True)


def compared_row(case: Case, seeds: Iterable[int]) -> Compared:
    held, verdicts = 0, list[str | None]()
    for seed in seeds:
        rng = np.random.default_rng(seed)
        baseline = case.draw(rng, case.days[BASELINE], 0.0, BASELINE)
        current = case.draw(rng, case.days[CURRENT], case.change, CURRENT)
        found = compare(case.kind, current, baseline, ratio=case.ratio, counted=case.counted)
        verdicts.append(found.verdict)
        low, high = found.ci95 or (-math.inf, math.inf)
        held += (low or 0) <= case.truth(baseline) <= (high or 0)
    count = len(verdicts)
    return Compared(case, held / count, verdicts.count("clear") / count, verdicts.count("possible") / count)
