"""Changes by group whose truth is known: which group is named, and whether one is where none or all moved."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from cekura_dashboards.stats.decomposition import find_driver
from cekura_dashboards.stats.group_model import GroupedSample
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
