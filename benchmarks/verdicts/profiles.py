"""Four weeks of hours in which no hour or weekday differs, or one does: the verdicts of profiles."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Literal, get_args

import numpy as np

from benchmarks.verdicts.rows import QUIET, VerdictShares
from benchmarks.verdicts.worlds import Floats
from cekura_dashboards.stats.timeline import HOUR, MONDAY, UTC_CLOCK
from cekura_dashboards.summaries.model import Bucket, By
from cekura_dashboards.summaries.profile import profile

Measure = Literal["rate", "duration", "score", "count"]
FUNCTIONS: dict[Measure, str] = {"rate": "avg", "duration": "avg", "score": "avg", "count": "count"}
DAYS, HOURS = 28, 24
RHYTHM = 1 + 0.98 * np.sin(2 * np.pi * (np.arange(HOURS) - 8) / HOURS)
"""How many calls an hour of the day has; next to none at night."""
WEEKEND, RATE, LENGTH_S, SPREAD = 0.3, 0.86, 170.0, 0.8
BYS: tuple[By, ...] = get_args(By)


@dataclass(frozen=True)
class Case:
    """``calls``: in all. ``own``: by how much days differ, as a share; ``change``: of one weekday, or of one hour."""

    measure: Measure
    by: By
    calls: int
    own: float = 0.0
    change: float = 0.0
    aim: float = 0.0

    def __str__(self) -> str:
        days = f", days varying by {self.own:.0%}" if self.own else ""
        change = f"{self.change:+.0%}" if self.change else "none"
        return f"{self.measure} by {self.by}, {self.calls} calls{days} | {change}"


def cases() -> Iterator[Case]:
    for measure, by, calls in product(FUNCTIONS, BYS, (600, 3000, 20_000)):
        yield Case(measure, by, calls)
        yield Case(measure, by, calls, own=0.1)
    for measure, by in product(FUNCTIONS, BYS):
        yield Case(measure, by, 20_000, change=-0.2, aim=0.8)


def profiled_row(case: Case, seeds: Iterable[int]) -> VerdictShares:
    verdicts = ([verdict(case, seed) or ""] for seed in seeds)
    return VerdictShares.of(str(case), verdicts, None if case.change else QUIET, case.aim)


def verdict(case: Case, seed: int) -> str:
    rng = np.random.default_rng(seed)
    hours = np.arange(DAYS * HOURS)
    day, hour = hours // HOURS, hours % HOURS
    busy = RHYTHM[hour] * np.where(day % 7 >= 5, WEEKEND, 1.0)  # noqa: PLR2004 - Saturday
    if case.measure == "count":
        busy = np.ones(len(hours))
    moved = hour == 15 if case.by == "hour_of_day" else day % 7 == 2  # noqa: PLR2004 - at 15:00, on Wednesdays
    level: Floats = (1 + case.change * moved) * np.exp(rng.normal(0, case.own, DAYS))[day]
    usual: Floats = case.calls * busy / busy.sum()
    n = rng.poisson(usual * level if case.measure == "count" else usual).astype(np.float64)
    buckets = list[Bucket]()
    sizes: list[int] = [round(count) for count in n.tolist()]
    for place, (count, size) in enumerate(zip(sizes, level.tolist(), strict=True)):
        if count or case.measure == "count":
            value = float(count) if case.measure == "count" else _mean(case.measure, count, size, rng)
            buckets.append(Bucket(MONDAY + 52 * 7 * HOURS * HOUR + place * HOUR, value, count))
    result = profile(buckets, case.by, function=FUNCTIONS[case.measure], clock=UTC_CLOCK, zone="UTC")
    return result.verdict if result else "not tested"


def _mean(measure: Measure, count: int, size: float, rng: np.random.Generator) -> float:
    if measure == "rate":
        return float(rng.binomial(count, min(0.99, RATE * size))) / count
    if measure == "score":
        return 1 + 4 * float(rng.binomial(count, min(0.99, 0.8 * size))) / count
    return float(rng.lognormal(math.log(LENGTH_S * size), SPREAD, count).mean())
