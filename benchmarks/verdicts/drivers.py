"""Changes by group with a known truth: which group is named, and whether one is named if none or all changed."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from benchmarks.verdicts.rows import CLEAR, CLEAR_ALIKE, POSSIBLE
from benchmarks.verdicts.worlds import autoregression
from cekura_dashboards.stats.decomposition import Driver, find_driver
from cekura_dashboards.stats.group_model import NO_BUCKETS, GroupedSample
from cekura_dashboards.stats.significance import SampleBucket
from cekura_dashboards.stats.timeline import DAY

RIGHT = 0.80
PLACE = "b"
CALLS_A_DAY, DAY_EFFECT = 170, 0.2
"""Days vary besides by this share of a binomial error."""
MANY_CALLS = 430
"""A day: 3,000 a week."""
DAYS_KEPT = 28
"""Whole weeks that the API holds."""
ALIKE: tuple[float, ...] = (0.25, 0.25, 0.25, 0.25)
OPPOSITE = ((1.4,) * 5 + (0.0,) * 2, (0.3,) * 5 + (2.75,) * 2)
"""Calls by weekday, beside the usual: one group works on weekdays, another on weekends."""


@dataclass(frozen=True)
class Month:
    """Two windows of ``days`` each, and the days before that the API keeps.

    The second group changes by ``planted`` on the last ``since`` days, or all of them do: ``all_move``. ``common``: how
    much days differ by themselves, in all groups alike.

    ``draw``: sigma of the logarithms of single calls, None for rates; ``scale``: of the values, as (least, range);
    ``correlation``: of each group's days, which then vary as much as their calls. ``before``: what the second group's
    rate differs by before both windows. ``history``: the days before are read. ``aim``: the share to be named.
    """

    name: str
    levels: tuple[float, ...] = (0.85, 0.75, 0.6, 0.9)
    shares: tuple[float, ...] = ALIKE
    weeks: tuple[tuple[float, ...], ...] = ()
    days: int = 7
    calls: float = CALLS_A_DAY
    planted: float = 0.0
    since: int = 0
    all_move: bool = False
    common: float = 0.0
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
    for many in (
        Month("rates", planted=-0.12, common=0.02),
        Month("scores of 1 or 5", scale=(1.0, 4.0), ratio=0.0, planted=-0.1, common=0.02),
        Month("durations", draw=0.7, ratio=0.0, planted=0.3, common=0.05),
        Month("calls", additive=True, ratio=0.0, planted=0.5, common=0.1),
    ):
        yield replace(
            many, name=f"{many.name}, 3,000 a week, all moved alike", calls=MANY_CALLS, since=7, all_move=True
        )
        yield replace(many, name=f"{many.name}, 3,000 a week, one of four moved", calls=MANY_CALLS, since=7, aim=RIGHT)


def _month(month: Month, rng: np.random.Generator) -> tuple[GroupedSample, GroupedSample, GroupedSample]:
    """Current, baseline, and the days before that the API keeps."""
    length, groups = DAYS_KEPT, len(month.levels)
    levels, usual = (np.repeat(np.array(row)[:, None], length, 1) for row in (month.levels, month.shares))
    usual *= month.calls * (1 + month.growth) ** np.arange(length)
    for row, week in enumerate(month.weeks):
        usual[row] *= np.array(week)[np.arange(length) % 7]
    usual[-1, : length - 2 * month.days + month.first_day if month.first_day else 0] = 0.0
    common = rng.normal(0, month.common, length) if month.common else np.zeros(length)
    moved, last = slice(None if month.all_move else 1, None if month.all_move else 2), slice(length - month.since, None)
    if month.ratio:
        levels += common
        levels[moved, last] += month.planted
    else:
        factors = np.ones(levels.shape) * np.exp(common)
        factors[moved, last] *= 1 + month.planted
        low, width = month.scale
        if month.additive:
            usual *= factors
        else:
            levels = ((low + width * levels) * factors - low) / width
    levels[1, : length - 2 * month.days] += month.before
    n = rng.poisson(usual)
    own = rng.normal(0, DAY_EFFECT if month.correlation is None else 1.0, levels.shape)
    own = autoregression(own, month.correlation or 0.0)
    if month.draw:
        drawn = [[rng.lognormal(-(month.draw**2) / 2, month.draw, max(1, k)).mean() for k in row] for row in n]
        values = 120 * levels * np.array(drawn)
    else:
        rates = np.clip(levels, 0.001, 0.999)
        error = np.sqrt(rates * (1 - rates) / np.maximum(usual, 1))
        hits = rng.binomial(n, np.clip(rates + own * error, 0.001, 0.999))
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
