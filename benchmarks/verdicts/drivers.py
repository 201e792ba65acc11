"""Changes by group whose truth is known: which group is named, and whether one is where none or all moved."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from benchmarks.verdicts.rows import CLEAR, CLEAR_ALIKE, POSSIBLE
from cekura_dashboards.stats.decomposition import Driver, find_driver
from cekura_dashboards.stats.group_model import NO_BUCKETS, GroupedSample
from cekura_dashboards.stats.significance import SampleBucket
from cekura_dashboards.stats.timeline import DAY

Measure = Literal["rates", "durations", "scores", "counts"]
NAMED, RIGHT = 0.05, 0.80
CALLS, DAYS = 3000, 7
SHARES = {"a": 0.35, "b": 0.3, "c": 0.2, "d": 0.15}
LEVELS: dict[Measure, Mapping[str, float]] = {
    "rates": {"a": 0.85, "b": 0.75, "c": 0.6, "d": 0.9},
    "durations": {"a": 180.0, "b": 120.0, "c": 240.0, "d": 60.0},
    "scores": {"a": 4.1, "b": 3.6, "c": 4.4, "d": 3.9},
    "counts": {"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0},
}
SPREADS: dict[Measure, float] = {"rates": 0.0, "durations": 0.8, "scores": 0.2, "counts": 0.0}
"""Of single calls, as a share of their mean."""
DAYS_OWN: dict[Measure, float] = {"rates": 0.02, "durations": 0.05, "scores": 0.02, "counts": 0.1}
"""What all groups differ by on one day: added to rates, else a share."""
PLANTED: dict[Measure, float] = {"rates": -0.12, "durations": 0.3, "scores": -0.1, "counts": 0.5}
PLACE = "b"


@dataclass(frozen=True)
class Case:
    """``moved``: the groups that change by what is planted."""

    measure: Measure
    moved: tuple[str, ...]

    @property
    def name(self) -> str:
        what = "nothing moved" if not self.moved else "all moved alike" if len(self.moved) > 1 else "one group moved"
        return f"{self.measure}, {what}"

    @property
    def has_driver(self) -> bool:
        return len(self.moved) == 1


class Driven(NamedTuple):
    """The share of answers that name a driver, and of those that name the right one."""

    case: Case
    named: float
    right: float

    @property
    def holds(self) -> bool:
        return self.right >= RIGHT if self.case.has_driver else self.named <= NAMED

    def __str__(self) -> str:
        right = f"{self.right:.0%}" if self.case.has_driver else ""
        return f"| {self.case.name} | {self.named:.1%} | {right} |"


def cases() -> Iterator[Case]:
    for measure in LEVELS:
        for moved in ((), tuple(SHARES), (PLACE,)):
            yield Case(measure, moved)


def _side(case: Case, rng: np.random.Generator, *, current: bool) -> GroupedSample:
    """A week of calls that fall into groups at random."""
    measure, cells = case.measure, dict[str | None, list[SampleBucket]]()
    owns = rng.normal(0, DAYS_OWN[measure], DAYS)
    for group, share in SHARES.items():
        moved = PLANTED[measure] if current and group in case.moved else 0.0
        cells[group] = [_cell(measure, LEVELS[measure][group], share, moved, float(own), day, rng)
                        for day, own in enumerate(owns)]  # fmt: skip
    groups = dict[str | None, tuple[float, float]]()
    for name, held in cells.items():
        n = math.fsum(cell.n or 0 for cell in held)
        whole = math.fsum((1 if measure == "counts" else cell.n or 0) * cell.value for cell in held)
        groups[name] = (n, whole if measure == "counts" else whole / n)
    return GroupedSample(groups, cells)


def _cell(
    measure: Measure, level: float, share: float, moved: float, own: float, day: int, rng: np.random.Generator
) -> SampleBucket:
    usual = CALLS / DAYS * share
    if measure == "counts":
        n = float(rng.poisson(usual * (1 + moved) * math.exp(own)))
        return SampleBucket(day * DAY, n, n)
    n = max(1, int(rng.poisson(usual)))
    if measure == "rates":
        rate = float(np.clip(level + moved + own, 0.01, 0.99))
        return SampleBucket(day * DAY, n, float(rng.binomial(n, rate)) / n)
    mean = level * (1 + moved) * math.exp(own)
    sigma = math.sqrt(math.log1p(SPREADS[measure] ** 2))
    return SampleBucket(day * DAY, n, float(rng.lognormal(math.log(mean) - sigma**2 / 2, sigma, n).mean()))


def driven_row(case: Case, seeds: Iterable[int]) -> Driven:
    named, right, count = 0, 0, 0
    for seed in seeds:
        rng = np.random.default_rng(seed)
        driver = find_driver(
            _side(case, rng, current=True),
            _side(case, rng, current=False),
            additive=case.measure == "counts",
            ratio=1.0 if case.measure == "rates" else 0.0,
            dimensions=1,
        )
        is_named = driver.verdict != "not significant"
        named += is_named
        right += is_named and not driver.mixed and driver.outlying_group == PLACE
        count += 1
    return Driven(case, named / count, right / count)


CALLS_A_DAY, DAY_EFFECT = 170, 0.2
"""Days vary besides by this share of a binomial error."""
DAYS_KEPT = 28
"""Whole weeks that the API holds."""
ALIKE: tuple[float, ...] = (0.25, 0.25, 0.25, 0.25)
OPPOSITE = ((1.4,) * 5 + (0.0,) * 2, (0.3,) * 5 + (2.75,) * 2)
"""Calls by weekday, beside the usual: one group works on weekdays, another on weekends."""


@dataclass(frozen=True)
class Month:
    """Two windows of ``days`` each, and the days before that the API keeps.

    The second group changes by ``planted`` on the last ``since`` days.

    ``draw``: sigma of the logarithms of single calls, None for rates; ``scale``: of the values, as (least, range);
    ``correlation``: of each group's days, which then vary as much as their calls. ``before``: what the second group's
    rate differs by before both windows. ``history``: the days before are read. ``aim``: the share to be named.
    """

    name: str
    levels: tuple[float, ...] = (0.85, 0.75, 0.6, 0.9)
    shares: tuple[float, ...] = ALIKE
    weeks: tuple[tuple[float, ...], ...] = ()
    days: int = 7
    planted: float = 0.0
    since: int = 0
    draw: float | None = None
    scale: tuple[float, float] = (0.0, 1.0)
    ratio: float = 1.0
    additive: bool = False
    correlation: float | None = None
    growth: float = 0.0
    first_day: int = 0
    before: float = 0.0
    history: bool = True
    aim: float | None = None


class Moved(NamedTuple):
    """The shares of answers that name a group, call it clear, and name the right one, with its day if there is one."""

    month: Month
    possible: float
    clear: float
    right: float

    @property
    def holds(self) -> bool:
        if self.month.aim is not None:
            return self.right >= self.month.aim
        return self.clear <= (CLEAR if self.month.correlation is None else CLEAR_ALIKE) and self.possible <= POSSIBLE

    def __str__(self) -> str:
        right = f"{self.right:.1%}" if self.month.aim is not None else ""
        return f"| {self.month.name} | {self.possible:.1%} | {self.clear:.1%} | {right} |"


def months() -> Iterator[Month]:
    yield Month("rates, nothing moved")
    yield Month("rates, opposite weeks, nothing moved", weeks=OPPOSITE)
    yield Month("rates in percent, nothing moved", scale=(0.0, 100.0), ratio=100.0)
    yield Month("rates, a rare topic, nothing moved", shares=(0.9, 0.05, 0.03, 0.02))
    yield Month("rates, a new agent, nothing moved", first_day=5)
    yield Month("rates, days alike, nothing moved", correlation=0.3)
    yield Month("rates, one of four changed before both windows", (0.85,) * 4, before=-0.06)
    yield Month("rates, no days before, nothing moved", history=False)
    yield Month("scores of 1 or 5, nothing moved", (0.97, 0.88, 0.5, 0.25), scale=(1.0, 4.0), ratio=0.0)
    yield Month("durations, nothing moved", draw=0.7, ratio=0.0)
    yield Month("durations, heavy tails, nothing moved", draw=1.5, ratio=0.0)
    yield Month("calls, opposite weeks, growth, nothing moved", weeks=OPPOSITE, additive=True, ratio=0.0, growth=0.02)
    equal, two = (0.85,) * 4, (0.85, 0.85)
    yield Month("rates, one of four -12 points, a week", equal, planted=-0.12, since=7, aim=RIGHT)
    yield Month("rates, one of four -12 points, a fortnight", equal, days=14, planted=-0.12, since=14, aim=RIGHT)
    yield Month(
        "rates, opposite weeks, one of two -12 points", two, (0.5, 0.5), OPPOSITE, planted=-0.12, since=7, aim=RIGHT
    )
    yield Month(
        "rates, opposite weeks, one of four -12 points", equal, weeks=OPPOSITE, planted=-0.12, since=7, aim=RIGHT
    )
    yield Month("rates, one of four -40 points on the last day", equal, planted=-0.4, since=1, aim=0.9)
    yield Month("rates, one of four -20 points since five days", equal, planted=-0.2, since=5, aim=0.9)
    yield Month("durations, one of four +30 %", draw=0.7, ratio=0.0, planted=0.3, since=7, aim=0.7)


def _month(month: Month, rng: np.random.Generator) -> tuple[GroupedSample, GroupedSample, GroupedSample]:
    """Current, baseline, and the days before that the API keeps."""
    length, groups = DAYS_KEPT, len(month.levels)
    levels = np.repeat(np.array(month.levels)[:, None], length, 1)
    usual = (
        CALLS_A_DAY * np.repeat(np.array(month.shares)[:, None], length, 1) * (1 + month.growth) ** np.arange(length)
    )
    for row, week in enumerate(month.weeks):
        usual[row] *= np.array(week)[np.arange(length) % 7]
    usual[-1, : length - 2 * month.days + month.first_day if month.first_day else 0] = 0.0
    if month.since:
        levels[1, length - month.since :] *= 1 + (month.planted if month.draw else month.planted / levels[1, 0])
    levels[1, : length - 2 * month.days] += month.before
    n = rng.poisson(usual)
    own = rng.normal(0, DAY_EFFECT if month.correlation is None else 1.0, levels.shape)
    for day in range(1, length if month.correlation else 0):
        weight = month.correlation or 0.0
        own[:, day] = weight * own[:, day - 1] + math.sqrt(1 - weight**2) * own[:, day]
    if month.draw:
        drawn = [[rng.lognormal(-(month.draw**2) / 2, month.draw, max(1, k)).mean() for k in row] for row in n]
        values = 120 * levels * np.array(drawn)
    else:
        error = np.sqrt(levels * (1 - levels) / np.maximum(usual, 1))
        hits = rng.binomial(n, np.clip(levels + own * error, 0.001, 0.999))
        values = month.scale[0] + month.scale[1] * hits / np.maximum(n, 1)
    values = n.astype(float) if month.additive else values
    sides = list[GroupedSample]()
    first = length - 2 * month.days
    for part in (range(first + month.days, length), range(first, first + month.days), range(first)):
        cells: dict[str | None, list[SampleBucket]] = {
            name: [SampleBucket(day * DAY, float(n[row, day]), float(values[row, day])) for day in part if n[row, day]]
            for row, name in enumerate("abcd"[:groups])
        }
        sizes = {name: math.fsum(cell.n or 0.0 for cell in row) for name, row in cells.items()}
        sums = {name: math.fsum((cell.n or 0.0) * cell.value for cell in row) for name, row in cells.items()}
        totals = {name: (size, size if month.additive else sums[name] / max(size, 1)) for name, size in sizes.items()}
        sides.append(GroupedSample(dict[str | None, tuple[float, float]](totals), cells))
    return sides[0], sides[1], sides[2]


def _driver(month: Month, seed: int) -> Driver:
    current, baseline, before = _month(month, np.random.default_rng(seed))
    earlier = before.buckets if month.history else NO_BUCKETS
    return find_driver(current, baseline, additive=month.additive, ratio=month.ratio, dimensions=1, earlier=earlier)


def moved_row(month: Month, seeds: Iterable[int]) -> Moved:
    drivers = [_driver(month, seed) for seed in seeds]
    named = [driver for driver in drivers if driver.verdict != "not significant" and not driver.mixed]
    clear = [driver for driver in named if driver.verdict == "clear"]
    last = (DAYS_KEPT - 1) * DAY if month.since == 1 else None
    right = [driver for driver in named if driver.outlier and driver.outlier.group == PLACE]
    dated = [driver for driver in right if last is None or (driver.outlier and driver.outlier.time == last)]
    share = 1 / len(drivers)
    return Moved(month, share * (len(named) - len(clear)), share * len(clear), share * len(dated))
