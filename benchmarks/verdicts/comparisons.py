"""Comparisons of two sides whose truth is known: how often the interval holds it, and what is said where nothing is."""

import math
import statistics
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np

from cekura_dashboards.stats.compare import compare
from cekura_dashboards.stats.findings import MeasureKind
from cekura_dashboards.stats.significance import Sample, SampleBucket, VerdictTerms
from cekura_dashboards.stats.timeline import DAY

CURRENT, BASELINE = 0, 1
Draw = Callable[[np.random.Generator, tuple[int, int], int, float], Iterable[SampleBucket]]
"""From the days of both sides, those before them, and the change on the current side, to all days in a row."""
HELD_DAYS = 29
"""Whole days that the API holds."""
LEAST_HELD, MOST_HELD = 0.93, 0.99
CLEAR, CLEAR_ALIKE = 0.01, 0.05
RATE, LENGTH_S, SPREAD = 0.85, 170.0, 0.8
DAYS_OF_LENGTHS = 0.05
WEEKEND_CALLS, WEEKEND_RATE, FRIDAY = 0.4, -0.1, 8
CHANGE_OF_RATES, CHANGE_OF_REST = -0.05, -0.15
COURSES: dict[str, Callable[[int], float]] = {
    "": lambda _: 0.0,
    "a step ten days before": lambda day: float(day >= -10),  # noqa: PLR2004 - in days
    "a step four days before": lambda day: float(day >= -4),  # noqa: PLR2004 - in days
    "a trend": lambda day: (day + HELD_DAYS) / HELD_DAYS,
    "one bad day": lambda day: 3.0 * (day == -12),  # noqa: PLR2004 - in days
}
"""By how many times its size the level has moved on a day, counted from the first of the current side."""
COURSE_OF_RATES, COURSE_OF_REST = -0.1, -0.25


@dataclass(frozen=True)
class Case:
    """``days``: of both sides. ``change``: what is planted: added to rates, a share of anything else.

    ``alike``: days are like the one before them. ``history``: the days before are known, as they are by default.
    ``course``: what all days went through besides. ``between``: days between both sides.
    """

    name: str
    kind: MeasureKind
    draw: Draw
    days: tuple[int, int]
    change: float = 0.0
    ratio: float = 0.0
    counted: bool = False
    alike: bool = False
    history: bool = False
    course: str = ""
    between: int = 0

    def __str__(self) -> str:
        days = f"{self.days[0]} against {self.days[1]} days"
        if self.between:
            days += f", {self.between} between"
        if self.course:
            days += f", {self.course}"
        change = f"{self.change:+.0%}" if self.change else "none"
        return f"{self.name} | {days} | {'known' if self.history else 'not known'} | {change}"

    def levels(self) -> tuple[float, float]:
        """How far each side has moved by the course."""
        begun = -self.days[BASELINE] - self.between
        sides = range(self.days[CURRENT]), range(begun, begun + self.days[BASELINE])
        new, old = (statistics.fmean(self._moved(day) for day in days) for days in sides)
        return new, old

    @property
    def is_quiet(self) -> bool:
        """Whether the sides are alike."""
        new, old = self.levels()
        return not self.change and new == old

    def truth(self, baseline: Sample) -> float:
        """The difference that was planted."""
        new, old = self.levels()
        if self.ratio:
            return self.change + new - old
        whole = math.fsum(cell.value for cell in baseline.buckets) if self.kind == "total" else LENGTH_S * (1 + old)
        return whole * ((1 + self.change) * (1 + new) / (1 + old) - 1)

    def drawn(self, seed: int) -> tuple[Sample, Sample, Sample]:
        """The current side, the baseline, and the days before; weekdays meet where the sides are equally long."""
        rng = np.random.default_rng(seed)
        before = HELD_DAYS - sum(self.days) if self.history else self.between
        days = [*self.draw(rng, self.days, before, self.change)]
        first = before + self.days[BASELINE]
        days = [self._on_course(cell, place - first, rng) for place, cell in enumerate(days)]
        begun = first - self.between - self.days[BASELINE]
        sides = [days[first:], days[begun : begun + self.days[BASELINE]], days[:first] if self.history else []]
        current, baseline, earlier = (
            Sample(cells, len(cells) * DAY, n=math.fsum(cell.n or 0 for cell in cells)) for cells in sides
        )
        return current, baseline, earlier

    def _moved(self, day: int) -> float:
        return (COURSE_OF_RATES if self.ratio else COURSE_OF_REST) * COURSES[self.course](day)

    def _on_course(self, cell: SampleBucket, day: int, rng: np.random.Generator) -> SampleBucket:
        by = self._moved(day)
        if not by:
            return cell
        if self.ratio:
            return cell._replace(value=max(0.0, cell.value + by))
        if self.counted:
            return cell._replace(value=float(rng.binomial(int(cell.value), 1 + by)))
        return cell._replace(value=cell.value * (1 + by))


class Compared(NamedTuple):
    """The shares of comparisons whose interval holds the truth, and that are called clear, or possible."""

    case: Case
    held: float
    clear: float
    possible: float

    @property
    def holds(self) -> bool:
        most = CLEAR_ALIKE if self.case.alike else CLEAR
        return self.held >= LEAST_HELD and (not self.case.is_quiet or self.clear <= most)

    def __str__(self) -> str:
        wide = " wide" if self.held > MOST_HELD else ""
        return f"| {self.case} | {self.held:.1%}{wide} | {self.clear:.1%} | {self.possible:.1%} |"


def _weekend(day: int) -> bool:
    """Day 0 is a Friday."""
    return day % 7 in {1, 2}


def _in_a_row(
    rng: np.random.Generator, days: tuple[int, int], before: int, size: float, alike: float
) -> Iterator[tuple[int, int, float]]:
    """Each day, the side it is on, and what it differs by itself, a first-order autoregression."""
    level, whole = float(rng.normal(0, size)), sum(days) + before
    for place in range(whole):
        yield FRIDAY + place, CURRENT if place >= whole - days[CURRENT] else BASELINE, level
        level = alike * level + float(rng.normal(0, size * math.sqrt(1 - alike**2)))


def _rates(
    calls: tuple[float, float], rng: np.random.Generator, days: tuple[int, int], before: int, change: float,
    *, size: float = 0.02, alike: float = 0.0, weekly: bool = False,
) -> Iterator[SampleBucket]:  # fmt: skip
    for day, side, own in _in_a_row(rng, days, before, size, alike):
        quiet = weekly and _weekend(day - FRIDAY)
        n = max(1, int(rng.poisson(calls[side] * (WEEKEND_CALLS if quiet else 1))))
        planted = change if side == CURRENT else 0.0
        rate = float(np.clip(RATE + planted + own + (WEEKEND_RATE if quiet else 0), 0.01, 0.99))
        yield SampleBucket(day * DAY, n, float(rng.binomial(n, rate)) / n)


def _lengths(
    calls: float, rng: np.random.Generator, days: tuple[int, int], before: int, change: float,
    *, squares: bool = False, alike: float = 0.0,
) -> Iterator[SampleBucket]:  # fmt: skip
    sigma = math.sqrt(math.log1p(SPREAD**2))
    for day, side, own in _in_a_row(rng, days, before, DAYS_OF_LENGTHS, alike):
        n = max(1, int(rng.poisson(calls)))
        mean = LENGTH_S * (1 + (change if side == CURRENT else 0.0)) * math.exp(own - DAYS_OF_LENGTHS**2 / 2)
        held = rng.lognormal(math.log(mean) - sigma**2 / 2, sigma, n)
        yield SampleBucket(day * DAY, n, float(held.mean()), float((held**2).sum()) if squares else None)


def _counts(
    calls: float, variation: float, rng: np.random.Generator, days: tuple[int, int], before: int, change: float,
    *, alike: float = 0.0,
) -> Iterator[SampleBucket]:  # fmt: skip
    """A window of fewer than seven days is compared with the same weekdays of the week before."""
    apart = -days[CURRENT] % 7 if days[CURRENT] == days[BASELINE] else 0
    for day, side, own in _in_a_row(rng, days, before, variation, alike):
        shifted = day + (apart if side == CURRENT else 0)
        planted = change if side == CURRENT else 0.0
        mean = calls * (1 + planted) * math.exp(own) * (WEEKEND_CALLS if _weekend(shifted - FRIDAY) else 1)
        yield SampleBucket(shifted * DAY, None, float(rng.poisson(mean)))


def cases() -> Iterator[Case]:
    """Each first as it is by default, with the days before known, then without."""
    for case in (*_of_unlike_days(), *_of_days_alike()):
        yield replace(case, history=True)
        yield case
    yield from _on_a_course()


def _of_unlike_days() -> Iterator[Case]:
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


def _of_days_alike() -> Iterator[Case]:
    """Weeks in which a day is like the one before it."""
    for alike in (0.3, 0.6):
        said = f"days alike {alike:g}"
        for change in (0.0, CHANGE_OF_RATES):
            draw = partial(_rates, (400, 400), alike=alike)
            yield Case(f"rates, 400 calls a day, {said}", "mean", draw, (7, 7), change, ratio=1.0, alike=True)
        for change in (0.0, CHANGE_OF_REST):
            for usual, own in ((300, 0.05), (1500, 0.1)):
                draw = partial(_counts, usual, own, alike=alike)
                name = f"calls, {usual} a day varying by {own:.0%}, {said}"
                yield Case(name, "total", draw, (7, 7), change, counted=True, alike=True)
        lengths = partial(_lengths, 300, alike=alike)
        yield Case(f"mean durations, 300 a day, {said}", "mean", lengths, (7, 7), alike=True)


def _on_a_course() -> Iterator[Case]:
    """Months in which something happened besides; a day against that of the week before, and a week against a week."""
    for alike in (0.0, 0.6):
        said = f", days alike {alike:g}" if alike else ""
        rates, lengths = partial(_rates, (400, 400), alike=alike), partial(_lengths, 300, alike=alike)
        for of_days in (
            Case(f"rates, 400 calls a day{said}", "mean", rates, (1, 1), ratio=1.0),
            Case(f"mean durations, 300 a day{said}", "mean", lengths, (1, 1)),
            Case(f"calls, 300 a day varying by 5%{said}", "total", partial(_counts, 300, 0.05, alike=alike), (1, 1),
                 counted=True),
        ):  # fmt: skip
            for course in [*COURSES][1:]:
                known = replace(of_days, alike=bool(alike), history=True, course=course)
                yield replace(known, between=6)
                yield replace(known, days=(7, 7))


def compared_row(case: Case, seeds: Iterable[int]) -> Compared:
    held, verdicts = 0, list[str | None]()
    for seed in seeds:
        current, baseline, earlier = case.drawn(seed)
        terms = VerdictTerms(earlier_days=earlier)
        found = compare(case.kind, current, baseline, terms, ratio=case.ratio, counted=case.counted)
        verdicts.append(found.verdict)
        low, high = found.ci95 or (-math.inf, math.inf)
        held += (low or 0) <= case.truth(baseline) <= (high or 0)
    count = len(verdicts)
    return Compared(case, held / count, verdicts.count("clear") / count, verdicts.count("possible") / count)
