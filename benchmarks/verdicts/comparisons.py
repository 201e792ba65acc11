"""Comparisons with a known truth: how often the interval contains it, and the verdicts without a difference."""

import math
import statistics
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.verdicts.rows import CLEAR, CLEAR_ALIKE, POSSIBLE
from cekura_dashboards.stats.compare import compare
from cekura_dashboards.stats.findings import MeasureKind
from cekura_dashboards.stats.significance import Sample, SampleBucket, VerdictTerms
from cekura_dashboards.stats.timeline import DAY

CURRENT, BASELINE = 0, 1
Floats = npt.NDArray[np.float64]


class Day(NamedTuple):
    """``calls``: the values of all its calls, where a percentile of the whole side is wanted."""

    cell: SampleBucket
    calls: Floats | None = None


Draw = Callable[[np.random.Generator, "Row", float], Iterable[Day]]
"""From the days in a row and the change on the current side, to all days."""


class Row(NamedTuple):
    """``days``: of both sides; ``before``: of the time before them. ``late``: the last days, which alone change."""

    days: tuple[int, int]
    before: int
    late: int


HELD_DAYS = 29
"""Whole days that the API holds."""
MIN_COVERAGE, MAX_COVERAGE = 0.93, 0.99
RATE, LENGTH_S, SPREAD = 0.85, 170.0, 0.8
DAYS_OF_LENGTHS = 0.05
WEEKEND_CALLS, WEEKEND_RATE, FRIDAY = 0.4, -0.1, 8
CHANGE_OF_RATES, CHANGE_OF_REST = -0.05, -0.15
GROWTH = 0.02
COURSE_OF_RATES, COURSE_OF_REST = -0.1, -0.25
COURSES: dict[str, Callable[[int], float]] = {
    "": lambda _: 0.0,
    "a step ten days before": lambda day: float(day >= -10),  # noqa: PLR2004 - in days
    "a step four days before": lambda day: float(day >= -4),  # noqa: PLR2004 - in days
    "a trend": lambda day: (day + HELD_DAYS) / HELD_DAYS,
    "one bad day": lambda day: 3.0 * (day == -12),  # noqa: PLR2004 - in days
    "2 % more a day": lambda day: (1 - (1 + GROWTH) ** (day - 14)) / -COURSE_OF_REST,
    "an outage a week before": lambda day: OUTAGE * (day == -4),  # noqa: PLR2004 - in days
}
"""By how many times its size the level has moved on a day, counted from the first of the current side."""
COURSES_OF_ANY = [*COURSES][1:5]
"""Those of rates and durations too; the others are of calls."""
OUTAGE = 3.8
"""95 % of the calls of a day are missing: this many times the size of a course."""


@dataclass(frozen=True)
class Case:
    """``days``: of both sides. ``change``: what is planted: added to rates, a share of anything else.

    ``late``: only on so many last days. ``alike``: days are like the one before them. ``history``: the days before are
    known, as they are by default. ``course``: what all days went through besides. ``between``: days between both sides.
    ``aim``: the least share of ``clear`` verdicts.
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
    late: int = 0
    aim: float = 0.0

    def __str__(self) -> str:
        days = f"{self.days[0]} against {self.days[1]} days"
        if self.between:
            days += f", {self.between} between"
        if self.course:
            days += f", {self.course}"
        change = f"{self.change:+.0%}" if self.change else "none"
        if self.late:
            change += f" on the last {self.late}"
        return f"{self.name} | {days} | {'known' if self.history else 'not known'} | {change}"

    def levels(self) -> tuple[float, float]:
        """How far each side has moved by the course. A day without calls is compared with none."""
        begun = -self.days[BASELINE] - self.between
        sides = range(self.days[CURRENT]), range(begun, begun + self.days[BASELINE])
        whole = [[day for day in days if COURSES[self.course](day) != OUTAGE] for days in sides]
        new, old = (statistics.fmean(self._moved(day) for day in days) for days in whole)
        return new, old

    @property
    def is_quiet(self) -> bool:
        """Whether the sides have the same distribution."""
        new, old = self.levels()
        return not self.change and new == old

    def truth(self, baseline: Sample) -> float:
        """The difference that was planted."""
        new, old = self.levels()
        change = self.change * (self.late / self.days[CURRENT] if self.late else 1.0)
        if self.ratio:
            return change * self.ratio + new - old
        whole = math.fsum(cell.value for cell in baseline.buckets)
        if self.days[CURRENT] != self.days[BASELINE]:
            whole /= len(baseline.buckets)  # per day
        if self.kind == "mean":
            whole = LENGTH_S * (1 + old)
        elif self.kind == "median":
            whole = baseline.whole or 0.0
        return whole * ((1 + change) * (1 + new) / (1 + old) - 1)

    def drawn(self, seed: int) -> tuple[Sample, Sample, Sample]:
        """The current side, the baseline, and the days before; weekdays meet where the sides are equally long."""
        rng = np.random.default_rng(seed)
        before = HELD_DAYS - sum(self.days) if self.history else self.between
        days = [*self.draw(rng, Row(self.days, before, self.late or self.days[CURRENT]), self.change)]
        first = before + self.days[BASELINE]
        days = [day._replace(cell=self._on_course(day.cell, place - first, rng)) for place, day in enumerate(days)]
        begun = first - self.between - self.days[BASELINE]
        sides = [days[first:], days[begun : begun + self.days[BASELINE]], days[:first] if self.history else []]
        current, baseline, earlier = map(_sample, sides)
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


def _sample(days: list[Day]) -> Sample:
    cells, calls = [day.cell for day in days], [day.calls for day in days if day.calls is not None]
    whole = float(np.quantile(np.concatenate(calls), PERCENTILE)) if calls else None
    return Sample(cells, len(cells) * DAY, n=math.fsum(cell.n or 0 for cell in cells), whole=whole)


class Compared(NamedTuple):
    """The shares of comparisons whose interval contains the truth, and of those called clear or possible."""

    case: Case
    covered: float
    clear: float
    possible: float

    @property
    def holds(self) -> bool:
        most = CLEAR_ALIKE if self.case.alike else CLEAR
        quiet = not self.case.is_quiet or (self.clear <= most and self.possible <= POSSIBLE)
        return self.covered >= MIN_COVERAGE and quiet and self.clear >= self.case.aim

    def __str__(self) -> str:
        wide = " wide" if self.covered > MAX_COVERAGE else ""
        return f"| {self.case} | {self.covered:.1%}{wide} | {self.clear:.1%} | {self.possible:.1%} |"


def _weekend(day: int) -> bool:
    """Day 0 is a Friday."""
    return day % 7 in {1, 2}


class _Drawn(NamedTuple):
    """A day, its side, whether it has changed, and what it differs by itself."""

    day: int
    side: int
    changed: bool
    own: float


def _in_a_row(
    rng: np.random.Generator, row: Row, size: float, alike: float, *, heavy: bool = False
) -> Iterator[_Drawn]:
    """Days that differ by a first-order autoregression, or by Student's t with 3 degrees of freedom."""
    level, whole = float(rng.normal(0, size)), sum(row.days) + row.before
    for place in range(whole):
        own = size * float(rng.standard_t(3)) / math.sqrt(3) if heavy else level
        side = CURRENT if place >= whole - row.days[CURRENT] else BASELINE
        yield _Drawn(FRIDAY + place, side, place >= whole - row.late, own)
        level = alike * level + float(rng.normal(0, size * math.sqrt(1 - alike**2)))


def _rates(
    calls: tuple[float, float], rng: np.random.Generator, row: Row, change: float,
    *, size: float = 0.02, alike: float = 0.0, weekly: bool = False, heavy: bool = False, unit: float = 1.0,
) -> Iterator[Day]:  # fmt: skip
    for day, side, changed, own in _in_a_row(rng, row, size, alike, heavy=heavy):
        quiet = weekly and _weekend(day - FRIDAY)
        n = max(1, int(rng.poisson(calls[side] * (WEEKEND_CALLS if quiet else 1))))
        planted = change if changed else 0.0
        rate = float(np.clip(RATE + planted + own + (WEEKEND_RATE if quiet else 0), 0.01, 0.99))
        yield Day(SampleBucket(day * DAY, n, unit * float(rng.binomial(n, rate)) / n))


def _lengths(
    calls: float, rng: np.random.Generator, row: Row, change: float,
    *, squares: bool = False, alike: float = 0.0, tail: float = 0.0,
) -> Iterator[Day]:  # fmt: skip
    """``tail``: of a Pareto distribution, 0 for a lognormal one."""
    sigma = math.sqrt(math.log1p(SPREAD**2))
    for day, _, changed, own in _in_a_row(rng, row, DAYS_OF_LENGTHS, alike):
        n = max(1, int(rng.poisson(calls)))
        mean = LENGTH_S * (1 + (change if changed else 0.0)) * math.exp(own - DAYS_OF_LENGTHS**2 / 2)
        if tail:
            values = mean * (tail - 1) / tail * (1 + rng.pareto(tail, n))
        else:
            values = rng.lognormal(math.log(mean) - sigma**2 / 2, sigma, n)
        yield Day(SampleBucket(day * DAY, n, float(values.mean()), float((values**2).sum()) if squares else None))


def _scores(calls: float, rng: np.random.Generator, row: Row, change: float) -> Iterator[Day]:
    """Of 1 or 5, with a mean of ``LENGTH_S`` in some unit."""
    high = 5 * LENGTH_S / 4.2
    for day, _, changed, own in _in_a_row(rng, row, 0.02, 0.0):
        n = max(1, int(rng.poisson(calls)))
        share = float(np.clip(0.8 + own + (1.05 * change if changed else 0.0), 0, 1))
        yield Day(SampleBucket(day * DAY, n, high / 5 * (1 + 4 * float(rng.binomial(n, share)) / n)))


PERCENTILE = 0.95


def _percentiles(
    calls: float, rng: np.random.Generator, row: Row, change: float, *, own: float = 0.03, alike: float = 0.0
) -> Iterator[Day]:
    """Lognormal durations, and the percentile of each day."""
    for day, _, changed, level in _in_a_row(rng, row, own, alike):
        n = max(5, int(rng.poisson(calls)))
        values = LENGTH_S * (1 + (change if changed else 0.0)) * np.exp(rng.normal(level, SPREAD, n))
        yield Day(SampleBucket(day * DAY, n, float(np.quantile(values, PERCENTILE))), values)


def _counts(
    calls: float, variation: float, rng: np.random.Generator, row: Row, change: float,
    *, alike: float = 0.0, weekend: float = WEEKEND_CALLS, monday: float = 1.0, heavy: bool = False,
) -> Iterator[Day]:  # fmt: skip
    """A window of fewer than seven days is compared with the same weekdays of the week before."""
    shift = -row.days[CURRENT] % 7 if row.days[CURRENT] == row.days[BASELINE] else 0
    for day, side, changed, own in _in_a_row(rng, row, variation, alike, heavy=heavy):
        shifted = day + (shift if side == CURRENT else 0)
        planted = change if changed else 0.0
        place = (shifted - FRIDAY) % 7
        busy = weekend if place in {1, 2} else monday if place == 3 else 1.0  # noqa: PLR2004 - a Monday
        yield Day(SampleBucket(shifted * DAY, None, float(rng.poisson(calls * (1 + planted) * math.exp(own) * busy))))


def cases() -> Iterator[Case]:
    yield from of_usual_shapes()
    yield from on_a_course()
    yield from of_other_shapes()


def of_usual_shapes() -> Iterator[Case]:
    """Each first as it is by default, with the days before known, then without."""
    for case in (*_of_unlike_days(), *_of_days_alike()):
        yield replace(case, history=True)
        yield case


def of_other_shapes() -> Iterator[Case]:
    """With the days before known: what is planted, and the same shape with nothing in it."""
    shapes = (*_of_late_changes(), *_of_few_calls(), *_of_fortnights_alike(), *_of_percentiles(), *_of_heavy_tails())
    return (replace(case, history=True) for case in shapes)


def _both(case: Case, change: float, aim: float = 0.0, late: int = 0) -> Iterator[Case]:
    yield case
    yield replace(case, change=change, aim=aim, late=late)


def _of_late_changes() -> Iterator[Case]:
    """Changes within the window, of three days, beside growth, after an outage, and in busy weeks."""
    fifth = partial(_rates, (170, 170), size=RATE_FIFTH)

    rates = Case("rates, 170 calls a day", "mean", fifth, WEEK, ratio=1.0)
    yield from _both(rates, -0.1, 0.6, late=4)
    yield replace(rates, change=-0.1, days=(3, 7), aim=0.5)
    yield replace(rates, days=(3, 7))
    calls = Case("calls, 170 a day", "total", partial(_counts, 170, 0.0, weekend=1.0), WEEK, counted=True)
    yield from _both(calls, -0.25, 0.9)
    yield replace(calls, course="2 % more a day", change=-0.25)
    yield from _both(replace(calls, course="an outage a week before"), -0.25, 0.8)
    office = partial(_counts, 170, 0.05, weekend=0.15, monday=1.5)
    yield from _both(Case("calls, busy Mondays and quiet weekends", "total", office, WEEK, counted=True), -0.2, 0.6)
    yield from _both(Case("calls, busy Mondays", "total", office, (3, 3), counted=True), -0.3)


def _of_few_calls() -> Iterator[Case]:
    for days in ((1, 1), (1, 7), WEEK):
        for few in (3, 10):
            rare = partial(_counts, few, 0.0, weekend=1.0)
            yield from _both(Case(f"calls, {few} a day", "total", rare, days, counted=True), 2.0)
            passes = partial(_rates, (few, few), size=0.0)
            yield from _both(Case(f"rates, {few} calls a day", "mean", passes, days, ratio=1.0), -0.5)
    small = partial(_rates, (20, 400))
    yield from _both(Case("rates, 20 calls against 400 a day", "mean", small, (1, 7), ratio=1.0), -0.4)


def _of_fortnights_alike() -> Iterator[Case]:
    for alike in (0.3, 0.6):
        rates, calls = partial(_rates, (400, 400), alike=alike), partial(_counts, 300, 0.05, alike=alike)
        kept = Case(f"rates, 400 calls a day, days alike {alike:g}", "mean", rates, FORTNIGHT, ratio=1.0, alike=True)
        yield kept
        yield replace(kept, name=f"calls, 300 a day varying by 5%, days alike {alike:g}", kind="total", draw=calls,
                      ratio=0.0, counted=True)  # fmt: skip
    for alike, aim in ((0.0, 0.85), (0.3, 0.75)):
        rates = partial(_rates, (80, 80), size=math.sqrt(RATE * (1 - RATE) / 80), alike=alike)
        name = "rates, 80 calls a day, as much between days as by chance" + (f", days alike {alike:g}" if alike else "")
        fortnights = Case(name, "mean", rates, FORTNIGHT, ratio=1.0, alike=bool(alike))
        yield from _both(fortnights, -0.1, aim)


def _of_percentiles() -> Iterator[Case]:
    """Of all calls of a side."""
    for calls, aim in ((60, 0.0), (400, 0.8), (1500, 0.95)):
        weeks = Case(f"p95, {calls} calls a day", "median", partial(_percentiles, calls), WEEK)
        yield from _both(weeks, 0.2)
        yield from _both(replace(weeks, days=FORTNIGHT), 0.2, aim)
    for calls, aim in ((170, 0.0), (400, 0.8)):
        days = Case(f"p95, {calls} calls a day", "median", partial(_percentiles, calls), (5, 14))
        yield from _both(days, 0.3, aim)
    for alike in (0.3, 0.6):
        draw = partial(_percentiles, 400, alike=alike, own=0.08)
        yield Case(f"p95, 400 calls a day varying by 8%, days alike {alike:g}", "median", draw, WEEK, alike=True)


def _of_heavy_tails() -> Iterator[Case]:
    """And of scores, and rates in percent."""
    yield from _both(Case("durations with a Pareto tail", "mean", partial(_lengths, 300, tail=2.2), WEEK), 0.4)
    rates, calls = partial(_rates, (400, 400), heavy=True), partial(_counts, 300, 0.1, heavy=True)
    heavy = Case("rates, 400 calls a day, days with heavy tails", "mean", rates, WEEK, ratio=1.0)
    yield from _both(heavy, -0.05)
    yield from _both(replace(heavy, days=(1, 1)), -0.15)
    heavy = Case("calls, 300 a day, days with heavy tails", "total", calls, WEEK, counted=True)
    yield from _both(heavy, -0.25)
    yield from _both(replace(heavy, days=(1, 1)), -0.5)
    yield from _both(Case("scores of 1 or 5, 300 calls a day", "mean", partial(_scores, 300), WEEK), -0.05)
    percent = partial(_rates, (400, 400), unit=100.0)
    yield from _both(Case("rates in percent, 400 calls a day", "mean", percent, WEEK, ratio=100.0), -0.05)


WEEK, FORTNIGHT = (7, 7), (14, 14)
RATE_FIFTH = 0.2 * math.sqrt(RATE * (1 - RATE) / 170)
"""Days that vary besides by a fifth of the binomial error of 170 calls."""


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
    """Weeks with autocorrelated days."""
    for alike in (0.3, 0.6):
        likeness = f"days alike {alike:g}"
        for change in (0.0, CHANGE_OF_RATES):
            draw = partial(_rates, (400, 400), alike=alike)
            yield Case(f"rates, 400 calls a day, {likeness}", "mean", draw, (7, 7), change, ratio=1.0, alike=True)
        for change in (0.0, CHANGE_OF_REST):
            for usual, own in ((300, 0.05), (1500, 0.1)):
                draw = partial(_counts, usual, own, alike=alike)
                name = f"calls, {usual} a day varying by {own:.0%}, {likeness}"
                yield Case(name, "total", draw, (7, 7), change, counted=True, alike=True)
        lengths = partial(_lengths, 300, alike=alike)
        yield Case(f"mean durations, 300 a day, {likeness}", "mean", lengths, (7, 7), alike=True)


def on_a_course() -> Iterator[Case]:
    """Months in which something happened besides; a day against that of the week before, and a week against a week."""
    for alike in (0.0, 0.6):
        likeness = f", days alike {alike:g}" if alike else ""
        rates, lengths = partial(_rates, (400, 400), alike=alike), partial(_lengths, 300, alike=alike)
        for of_days in (
            Case(f"rates, 400 calls a day{likeness}", "mean", rates, (1, 1), ratio=1.0),
            Case(f"mean durations, 300 a day{likeness}", "mean", lengths, (1, 1)),
            Case(f"calls, 300 a day varying by 5%{likeness}", "total", partial(_counts, 300, 0.05, alike=alike), (1, 1),
                 counted=True),
        ):  # fmt: skip
            for course in COURSES_OF_ANY:
                known = replace(of_days, alike=bool(alike), history=True, course=course)
                yield replace(known, between=6)
                yield replace(known, days=(7, 7))


def without_outage(side: Sample) -> Sample:
    """Without its day of fewest calls."""
    least = min(side.buckets, key=lambda cell: cell.value)
    return Sample([cell for cell in side.buckets if cell is not least], side.seconds - DAY)


def compared_row(case: Case, seeds: Iterable[int]) -> Compared:
    covered, verdicts = 0, list[str | None]()
    for seed in seeds:
        current, baseline, earlier = case.drawn(seed)
        terms = VerdictTerms(earlier_days=earlier)
        found = compare(case.kind, current, baseline, terms, ratio=case.ratio, counted=case.counted)
        verdicts.append(found.verdict)
        low, high = found.ci95 or (-math.inf, math.inf)
        if case.course.startswith("an outage") and found.notes:  # both sides without that day
            baseline = without_outage(baseline)
        covered += (low or 0) <= case.truth(baseline) <= (high or 0)
    count = len(verdicts)
    return Compared(case, covered / count, verdicts.count("clear") / count, verdicts.count("possible") / count)
