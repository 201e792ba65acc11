"""Noise alone, and noise with one effect: how often the tests of a single series are right."""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from cekura_dashboards.stats.changepoints import find_changepoints, fit_segments
from cekura_dashboards.stats.outliers import find_outlier_runs
from cekura_dashboards.stats.time_series import floats

Make = Callable[[random.Random, int], list[float]]
LENGTHS, DAYS_OF_A_FALL = (24, 30, 56, 90), (4, 6, 10)


def white(rng: random.Random, n: int) -> list[float]:
    return [rng.gauss(0, 1) for _ in range(n)]


def heavy_tailed(rng: random.Random, n: int) -> list[float]:
    """Student's t with 3 degrees of freedom."""
    return [rng.gauss(0, 1) / math.sqrt(sum(rng.gauss(0, 1) ** 2 for _ in range(3)) / 3 + 1e-9) for _ in range(n)]


def sloped(rng: random.Random, n: int) -> list[float]:
    return [5 * i / n + rng.gauss(0, 1) for i in range(n)]


def autocorrelated(rng: random.Random, n: int) -> list[float]:
    """A first-order autoregression of 0.6."""
    values = [rng.gauss(0, 1.25)]
    while len(values) < n:
        values.append(0.6 * values[-1] + rng.gauss(0, 1))
    return values


@dataclass(frozen=True)
class Case:
    """What a series of ``n`` values may show: in at most a share ``most`` of those drawn, or at least ``least``."""

    what: str
    n: int
    is_so: Callable[[random.Random], bool]
    most: float = 1.0
    least: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.what}, {self.n} values"


class Row(NamedTuple):
    """The share of drawn series of which a case holds."""

    case: Case
    share: float

    @property
    def holds(self) -> bool:
        return self.case.least <= self.share <= self.case.most

    def __str__(self) -> str:
        aim = f"at most {self.case.most:.0%}" if self.case.most < 1 else f"at least {self.case.least:.0%}"
        return f"| {self.case.name} | {aim} | {self.share:.1%} |"


def noise_row(case: Case, draws: int, seed: int = 1) -> Row:
    rng = random.Random(seed)  # noqa: S311 - no secret
    return Row(case, sum(case.is_so(rng) for _ in range(draws)) / draws)


def cases() -> Iterator[Case]:
    for n in LENGTHS:
        yield Case("a change point in noise", n, partial(_is_changed, white, n), most=0.03)
        yield Case("a change point in heavy-tailed noise", n, partial(_is_changed, heavy_tailed, n), most=0.03)
        clear = partial(_is_changed, autocorrelated, n, clear=True)
        yield Case("a clear change point in autocorrelated noise", n, clear, most=0.10)
        # 24 values do not always tell a step from a line, or from neighbours that are alike: 84 % of 1,400 draws
        least = 0.82 if n == min(LENGTHS) else 0.85
        yield Case("a step of 2.5 deviations within a bucket", n, partial(_finds_step, n), least=least)
        for days in DAYS_OF_A_FALL:
            yield Case(f"both ends of a fall of {days} days", n, partial(_finds_fall, n, days), least=0.8)
    for n in LENGTHS[2:]:
        yield Case("a change point in a slope", n, partial(_is_changed, sloped, n), most=0.05)
    yield Case("no change point in a staircase", 30, _is_staircase_smooth, least=0.5)
    yield Case("weeks in turn as change points", 28, _finds_weeks, least=0.8)
    yield Case("a clear trend in noise", 40, partial(_has_trend, white, 40), most=0.02)
    yield Case("a clear trend in autocorrelated noise", 60, partial(_has_trend, autocorrelated, 60), most=0.05)
    yield Case("a clear trend in a slope", 40, partial(_has_trend, sloped, 40), least=0.98)
    for n in (14, 29, 56, 700):
        yield Case("an outlier in noise", n, partial(_has_outlier, n), most=0.05)
        yield Case("a value six deviations off", n, partial(_finds_outlier, n), least=0.75)


def _is_changed(make: Make, n: int, rng: random.Random, *, clear: bool = False) -> bool:
    return any(cut.clear or not clear for cut in find_changepoints(floats(make(rng, n))))


def _finds_step(n: int, rng: random.Random) -> bool:
    at = rng.randint(n // 4, 3 * n // 4)
    values = [value + (2.5 if i >= at else 0) for i, value in enumerate(white(rng, n))]
    return any(abs(cut.at - at) <= 1 for cut in find_changepoints(floats(values)))


def _finds_fall(n: int, days: int, rng: random.Random) -> bool:
    at = rng.randint(6, n - days - 6)
    values = [value - (5 if at <= i < at + days else 0) for i, value in enumerate(white(rng, n))]
    cuts = find_changepoints(floats(values))
    return len(cuts) == 2 and all(abs(cut.at - end) <= 1 for cut, end in zip(cuts, (at, at + days), strict=True))  # noqa: PLR2004 - its ends


def _is_staircase_smooth(rng: random.Random) -> bool:
    return not find_changepoints(floats([value + 1.5 * (i // 6) for i, value in enumerate(white(rng, 30))]))


def _finds_weeks(rng: random.Random) -> bool:
    values = [value + 8 * (i // 7 % 2) for i, value in enumerate(white(rng, 28))]
    return [cut.at for cut in find_changepoints(floats(values))] == [7, 14, 21]


def _has_trend(make: Make, n: int, rng: random.Random) -> bool:
    return fit_segments(floats(make(rng, n))).trend.verdict == "clear"


def _has_outlier(n: int, rng: random.Random) -> bool:
    return bool(find_outlier_runs(floats(white(rng, n)), np.ones(n, bool)))


def _finds_outlier(n: int, rng: random.Random) -> bool:
    values = white(rng, n)
    values[n // 2] += 6
    return any(run.start <= n // 2 < run.end for run in find_outlier_runs(floats(values), np.ones(n, bool)))
