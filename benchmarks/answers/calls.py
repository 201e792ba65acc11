"""Calls drawn at random, with a level of their own for every day."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from benchmarks.verdicts.worlds import autoregression

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
DAY, HOUR = 86_400, 3_600
SATURDAY = 5
CALL_SD = 10.0
BUSY_HOURS = np.array([1.0] * 7 + [8.0] * 14 + [1.0] * 3)
WEEKEND_VALUE, WEEKEND_VOLUME = -2.0, 0.4
OFFICE_HOURS = np.array([0.2] * 8 + [8.0] * 10 + [0.2] * 6)


@dataclass(frozen=True)
class Setting:
    """``size`` of the effect, in units of a bucket's noise. ``alike``: the correlation of each day with the next.

    ``weekly``: weekends lie lower by two units and have fewer calls.
    """

    size: float
    alike: float
    weekly: bool


@dataclass(frozen=True)
class Region:
    """A group of calls: its share of all, its mean value and its rate of success."""

    share: float
    value: float = 60.0
    rate: float = 0.8


REGIONS = {"north": Region(0.4), "south": Region(0.3), "coast": Region(0.2), "hills": Region(0.1)}


@dataclass(frozen=True)
class Calls:
    """A column for each thing known of a call, in order of time; ``success`` is 0 or 1."""

    time: Floats
    value: Floats
    success: Floats
    region: Ints
    reason: Ints
    regions: list[str]

    def between(self, start: float, end: float) -> "Calls":
        kept = (self.time >= start) & (self.time < end)
        return Calls(
            self.time[kept], self.value[kept], self.success[kept], self.region[kept], self.reason[kept], self.regions
        )

    def after(self, earlier: "Calls") -> "Calls":
        """Both, the earlier ones first; they have the same regions."""
        return Calls(
            np.concatenate([earlier.time, self.time]),
            np.concatenate([earlier.value, self.value]),
            np.concatenate([earlier.success, self.success]),
            np.concatenate([earlier.region, self.region]),
            np.concatenate([earlier.reason, self.reason]),
            self.regions,
        )


@dataclass(frozen=True)
class Draw:
    """What to draw: ``days`` days from ``start``, up to ``end``.

    ``value`` and ``volume``: what is planted on each day, in units of a weekday's noise. ``outage``: without calls.
    ``office``: the zone in whose office hours nearly all calls come. ``shape``: of the gamma distribution by which days
    differ in how many calls they have; None for Poisson alone.
    """

    start: float
    days: int
    end: float
    per_day: float = 80.0
    value: Floats | None = None
    volume: Floats | None = None
    regions: dict[str, Region] = field(default_factory=lambda: REGIONS)
    reasons: Floats = field(default_factory=lambda: np.array([0.5, 0.3, 0.2]))
    outage: tuple[float, float] = (0.0, 0.0)
    office: str | None = None
    shape: float | None = None


def value_unit(per_day: float) -> float:
    """The noise of a day's mean: half of its variance is chance, half is the day's own."""
    return CALL_SD * float(np.sqrt(2 / per_day))


def rate_unit(per_day: float) -> float:
    """The noise of a day's rate of success."""
    return 0.4 * float(np.sqrt(2 / per_day))


def is_weekend(day: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
    return (day // DAY + 3) % 7 >= SATURDAY


def draw(rng: np.random.Generator, setting: Setting, asked: Draw) -> Calls:
    """Calls with levels, weekends and autocorrelated days."""
    day = asked.start + DAY * np.arange(asked.days)
    weekend = is_weekend(day) & setting.weekly
    planted = (asked.value if asked.value is not None else np.zeros(asked.days)) + np.where(weekend, WEEKEND_VALUE, 0)
    own = autoregression(rng.standard_normal(asked.days), setting.alike) / np.sqrt(2)
    volume = 1 + (asked.volume if asked.volume is not None else np.zeros(asked.days)) / np.sqrt(asked.per_day)
    expected: Floats = asked.per_day * np.clip(volume, 0.05, None) * np.where(weekend, WEEKEND_VOLUME, 1)
    if asked.shape is not None:
        expected = np.asarray(rng.gamma(asked.shape, expected / asked.shape), np.float64)
    counts: Ints = np.asarray(rng.poisson(expected), np.int64)
    place = np.repeat(np.arange(asked.days), counts)
    busy = BUSY_HOURS if asked.office is None else OFFICE_HOURS
    hour = rng.choice(24, len(place), p=busy / busy.sum())
    midnight = day if asked.office is None else local_midnights(asked.office, day)
    time = np.floor(midnight[place] + HOUR * (hour + rng.random(len(place))))
    regions = list(asked.regions.values())
    region = rng.choice(len(regions), len(place), p=[r.share for r in regions])
    reason = rng.choice(len(asked.reasons), len(place), p=asked.reasons / asked.reasons.sum())
    level = (planted + own)[place]
    means, rates = np.array([r.value for r in regions]), np.array([r.rate for r in regions])
    value: Floats = means[region] + value_unit(asked.per_day) * level + CALL_SD * rng.standard_normal(len(place))
    rate = np.clip(rates[region] + rate_unit(asked.per_day) * level, 0.01, 0.99)
    success = (rng.random(len(place)) < rate).astype(np.float64)
    kept = (time < asked.end) & ~((time >= asked.outage[0]) & (time < asked.outage[1]))
    order = np.flatnonzero(kept)[np.argsort(time[kept], kind="stable")]
    return Calls(
        time[order], np.round(value[order], 3), success[order], region[order], reason[order], list(asked.regions)
    )


def local_midnights(zone: str, days: npt.NDArray[np.floating]) -> Floats:
    """Twelve hours before noon of days of the calendar in a zone: where clocks change, as they go afterwards."""
    dates: list[float] = days.astype(float).tolist()
    noons = [datetime.fromtimestamp(day, UTC).replace(hour=12, tzinfo=ZoneInfo(zone)) for day in dates]
    return np.array([noon.timestamp() - DAY / 2 for noon in noons])
