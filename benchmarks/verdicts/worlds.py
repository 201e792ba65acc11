"""Simulated series of 30 days of calls, by hours or days, with or without a change."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from cekura_dashboards.stats.time_series import Scale, TimeSeries
from cekura_dashboards.stats.timeline import DAY, HOUR, Clock

Floats = npt.NDArray[np.float64]
NOW = datetime(2026, 11, 21, tzinfo=UTC)
"""A Saturday; both Europe and America leave summer time within the 30 days before."""
SPREAD_OF_DURATIONS = 0.8
"""Of the logarithm of one call's duration."""
WEEKEND, NIGHT = 0.25, 0.03
OPENS, CLOSES, SATURDAY = 8, 18, 5
DAYS_ALIKE = {"count": 0.10, "rate": 0.02, "positive": 0.05}
"""The standard deviation of daily levels, if they vary, as a share or in points."""


SETTLES = {"p95": 200.0, "max": np.inf}


@dataclass(frozen=True)
class World:
    """One kind of series. ``n``: calls in a busy bucket; ``drift``: how many times more at the end than at the start.

    ``k``: the shape of a negative binomial, None for Poisson. ``alike``: the correlation of one day's own level with
    the next day's; None where days do not differ. ``effect``: what is planted, by bucket; it multiplies counts and
    durations, and is added to rates. ``assumed_zone``: the one that the tests use, None for that of the office.
    """

    measure: str
    step: int
    length: int
    n: float
    drift: float = 1.0
    k: float | None = None
    office: str | None = None
    monday: float = 1.0
    alike: float | None = None
    effect: Callable[[Floats, "World"], Floats] | None = None
    assumed_zone: str | None = None

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.office or "UTC")

    @property
    def clock(self) -> Clock:
        return Clock(self.zone if self.assumed_zone is None else ZoneInfo(self.assumed_zone))

    @property
    def scale(self) -> Scale:
        return {"count": "count", "rate": "rate", "sum": "sum"}.get(self.measure, "positive")  # type: ignore[return-value] # a table of the words of Scale

    def with_effect(self, effect: Callable[[Floats, "World"], Floats]) -> "World":
        return replace(self, effect=effect)

    @property
    def name(self) -> str:
        parts = [self.measure, f"{self.length} {'hours' if self.step == HOUR else 'days'}", f"n {self.n:g}"]
        parts += [f"drifting {self.drift:g}x"] if self.drift != 1 else []
        parts += [f"k {self.k:g}"] if self.k else []
        parts += [f"office in {self.office}"] if self.office else []
        parts += [f"tested in {self.assumed_zone}"] if self.assumed_zone else []
        parts += [f"Mondays {self.monday:g}x"] if self.monday != 1 else []
        parts += [f"days alike {self.alike:g}"] if self.alike is not None else []
        return ", ".join(parts)


def times_of(world: World) -> Floats:
    first = NOW - timedelta(seconds=world.step * world.length)
    return first.timestamp() + world.step * np.arange(world.length, dtype=float)


def rhythm(world: World, times: Floats) -> Floats:
    """The relative load of each bucket, 1 for the busiest: weekends and nights have few calls."""
    if not world.office and world.monday == 1:
        return np.ones(len(times))
    busy = list[float]()
    for time in times:
        moment = datetime.fromtimestamp(time + world.step / 2, world.zone)
        day = WEEKEND if moment.weekday() >= SATURDAY else world.monday if moment.weekday() == 0 else 1.0
        night = world.step < DAY and world.office and not OPENS <= moment.hour < CLOSES
        busy.append(day * (NIGHT if night else 1.0))
    return np.array(busy)


def days_own(world: World, times: Floats, rng: np.random.Generator, size: float) -> Floats:
    """The level of each day, a first-order autoregression; 0 if days do not vary."""
    if world.alike is None:
        return np.zeros(len(times))
    moments: list[float] = times.tolist()
    days = [round(moment - moments[0]) // DAY for moment in moments]
    level, found = float(rng.normal(0, size)), list[float]()
    for _ in range(days[-1] + 1):
        found.append(level)
        level = world.alike * level + float(rng.normal(0, size * math.sqrt(1 - world.alike**2)))
    return np.array([found[day] for day in days])


def autoregression(noise: Floats, correlation: float) -> Floats:
    """First-order autoregressions along the last axis, of the variance of the noise."""
    values = noise.copy()
    for place in range(1, noise.shape[-1] if correlation else 0):
        values[..., place] = correlation * values[..., place - 1] + math.sqrt(1 - correlation**2) * noise[..., place]
    return values


def series(world: World, seed: int) -> tuple[TimeSeries, TimeSeries]:
    """The measure, and the calls per bucket."""
    rng, times = np.random.default_rng(seed), times_of(world)
    effect = world.effect(times, world) if world.effect else None
    busy = rhythm(world, times) * world.n * np.linspace(1, world.drift, len(times))
    if world.measure == "count":
        own = np.exp(days_own(world, times, rng, DAYS_ALIKE["count"]))
        busy = busy * own * (1 if effect is None else effect)
    if world.k:
        busy = rng.gamma(world.k, busy / world.k)
    calls = rng.poisson(busy).astype(float)
    counts = _course(world, times, calls, calls, "count")
    if world.measure == "count":
        return counts, counts
    values = _values(world, times, calls, effect, rng)
    return _course(world, times, values, calls, world.scale, merges=world.measure in {"rate", "mean"}), counts


def _values(world: World, times: Floats, calls: Floats, effect: Floats | None, rng: np.random.Generator) -> Floats:
    hour = 0.04 * np.sin(2 * np.pi * (times % DAY) / DAY) if world.step == HOUR else np.zeros(len(times))
    if world.measure == "rate":
        rates = 0.85 + hour / 2 + days_own(world, times, rng, DAYS_ALIKE["rate"]) + (0 if effect is None else effect)
        with np.errstate(invalid="ignore"):
            values: Floats = rng.binomial(calls.astype(int), np.clip(rates, 0, 1)) / calls
        return values
    levels = np.log(180) + hour + days_own(world, times, rng, DAYS_ALIKE["positive"])
    levels = levels + (0 if effect is None else np.log(effect))
    values = np.full(len(times), 0.0 if world.measure == "sum" else np.nan)
    for place, (level, n) in enumerate(zip(levels, calls, strict=True)):
        if n:
            durations = np.exp(rng.normal(level, SPREAD_OF_DURATIONS, int(n)))
            values[place] = {
                "mean": durations.mean(), "p95": np.quantile(durations, 0.95), "max": durations.max(),
                "sum": durations.sum(),
            }[world.measure]  # fmt: skip
    return values


def _course(
    world: World, times: Floats, values: Floats, calls: Floats, scale: Scale, *, merges: bool = True
) -> TimeSeries:
    return TimeSeries(
        times=times,
        values=values,
        n=calls,
        step=world.step,
        scale=scale,
        is_mergeable=merges,
        stable_from=SETTLES.get(world.measure, 0.0) if scale == "positive" else 0.0,
    )
