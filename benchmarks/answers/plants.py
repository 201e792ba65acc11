"""Seventeen effects that are put into simulated calls, with the true answers."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from benchmarks.answers.calls import (
    CALL_SD,
    DAY,
    HOUR,
    REGIONS,
    Calls,
    Draw,
    Floats,
    Region,
    Setting,
    draw,
    rate_unit,
    value_unit,
)

NOW = datetime(2026, 11, 18, 15, 30, tzinfo=UTC).timestamp()
EARLY = datetime(2026, 11, 18, 6, 10, tzinfo=UTC).timestamp()
LONG = datetime(2026, 10, 20, tzinfo=UTC).timestamp()
SHORT, BEFORE = (datetime(2026, *date, tzinfo=UTC).timestamp() for date in ((11, 4), (10, 21)))
LONG_DAYS, FULL_DAYS, SHORT_DAYS = 30, 29, 14
BUSY, UNEVEN = 300.0, 12.0
SETTINGS = (
    Setting(3.0, 0.0, weekly=False),
    Setting(3.5, 0.0, weekly=True),
    Setting(4.0, 0.3, weekly=False),
    Setting(5.0, 0.3, weekly=True),
    Setting(6.0, 0.5, weekly=True),
)
"""One for each seed, in turn: how large, how alike neighbouring days are, whether weekends differ."""
LABELS = 40
SERIES, SIDES, DURATIONS = ("line", "avg"), ("avg by region", "line by region"), "duration by region"
HOURLY = ("hourly count", "hourly avg", "hourly success")
OFFICES = ("America/Los_Angeles", "Europe/Berlin", "Asia/Tokyo")


@dataclass(frozen=True)
class Planted:
    """Calls with the true answers.

    ``moved``: 1, -1 or 0 for how the level of the values moves inside the window, ``moved_volume`` that of the calls.
    ``changed``: the same against the time before; ``changed_volume`` for the calls; None where chance decides.
    ``step``, ``unusual``: the first instant of a day; ``outage``: of an hour. ``driver``: the region or label that
    brought the change, and whether by its own rate or by its share of calls. ``zone``: of the people. ``past``: calls
    before ``start`` that only the tests look at; ``later``: those from ``end`` until now.
    """

    charts: tuple[str, ...]
    start: float
    end: float
    this: Calls
    that: Calls | None = None
    before: float = 0.0
    moved: int = 0
    moved_volume: int = 0
    step: float | None = None
    unusual: float | None = None
    outage: float | None = None
    changed: int | None = 0
    driver: tuple[str | None, str] | None = None
    wrong_percentages: bool = False
    zone: str = "UTC"
    past: Calls | None = None
    later: Calls | None = None

    @property
    def all_calls(self) -> Calls:
        """All calls of the API."""
        calls = self.this if self.later is None else self.later.after(self.this)
        for earlier in (self.that, self.past):
            calls = calls if earlier is None else calls.after(earlier)
        return calls


Plant = Callable[[np.random.Generator, Setting], list[Planted]]


def _long(
    rng: np.random.Generator,
    setting: Setting,
    charts: tuple[str, ...],
    signal: Floats | None = None,
    *,
    sign: int = 1,
    per_day: float = 80.0,
    end: float = NOW,
    outage: tuple[float, float] = (0.0, 0.0),
) -> Planted:
    """A window of 29 full days and the one that is still filling."""
    value = None if signal is None else sign * signal
    asked = Draw(LONG, LONG_DAYS, end, per_day, value=value, volume=signal, outage=outage)
    return Planted(charts, LONG, end, draw(rng, setting, asked))


def _short(rng: np.random.Generator, setting: Setting, charts: tuple[str, ...], this: Draw, that: Draw) -> Planted:
    """Two weeks, and the two before. Calls go on after them, as an outage until now would be one."""
    current, before, end = draw(rng, setting, this), draw(rng, setting, that), SHORT + SHORT_DAYS * DAY
    later = draw(np.random.default_rng(0), setting, replace(this, start=end, days=1, end=NOW, value=None))
    return Planted(charts, SHORT, end, current, before, BEFORE, later=later)


def _sides(
    rng: np.random.Generator,
    setting: Setting,
    charts: tuple[str, ...],
    days: tuple[int, int],
    *,
    per_day: float = BUSY,
    value: float = 0.0,
) -> Planted:
    """So many days up to the same hour, against so many before, with all that is left of the month before both."""
    start, middle = SHORT - days[1] * DAY, SHORT + days[0] * DAY
    moved = np.full(days[0], value)
    this = draw(rng, setting, Draw(SHORT, days[0], middle, per_day, value=moved))
    that = draw(rng, setting, Draw(start, days[1], SHORT, per_day))
    rest = round((start - BEFORE) / DAY)
    past = draw(rng, setting, Draw(BEFORE, rest, start, per_day)) if rest else None
    return Planted(charts, SHORT, middle, this, that, start, past=past)


def _fortnights(per_day: float = 80.0) -> tuple[Draw, Draw]:
    return tuple(Draw(start, SHORT_DAYS, start + SHORT_DAYS * DAY, per_day) for start in (SHORT, BEFORE))  # type: ignore[return-value]


def _sign(rng: np.random.Generator) -> int:
    return 1 if rng.integers(2) else -1


def null(rng: np.random.Generator, setting: Setting) -> list[Planted]:
    """Nothing."""
    charts = ("line", "avg", "p95", "count")
    return [
        _long(rng, setting, charts),
        _long(rng, setting, ("hourly count",), per_day=BUSY),
        _short(rng, setting, ("count", "success", "pie of reasons", "stat", *SIDES, DURATIONS), *_fortnights()),
    ]


def trend(rng: np.random.Generator, setting: Setting) -> list[Planted]:
    """A steady rise or fall, by ``size`` over the window."""
    sign = _sign(rng)
    plant = _long(rng, setting, (*SERIES, "count"), setting.size * np.linspace(0, 1, LONG_DAYS), sign=sign)
    return [replace(plant, moved=sign, moved_volume=1)]


def _stepped(rng: np.random.Generator, setting: Setting, slope: float) -> list[Planted]:
    sign, at = _sign(rng), int(rng.integers(8, 22))
    signal = np.where(np.arange(LONG_DAYS) >= at, setting.size, 0) + slope * np.linspace(0, 1, LONG_DAYS)
    plant = _long(rng, setting, (*SERIES, "count"), signal, sign=sign)
    return [replace(plant, moved=sign, moved_volume=1, step=LONG + at * DAY)]


def step(rng: np.random.Generator, setting: Setting) -> list[Planted]:
    """Another level from one day on."""
    return _stepped(rng, setting, 0.0)


def step_with_trend(rng: np.random.Generator, setting: Setting) -> list[Planted]:
    """A step on top of a slope of a third of its size."""
    return _stepped(rng, setting, setting.size / 3)


def outlier(rng: np.random.Generator, setting: Setting) -> list[Planted]:
    """One day far off, by twice ``size``."""
    at = int(rng.integers(3, 26))
    signal = np.where(np.arange(LONG_DAYS) == at, 2 * setting.size, 0.0)
    return [replace(_long(rng, setting, (*SERIES, "count"), signal, sign=_sign(rng)), unusual=LONG + at * DAY)]


def gap(rng: np.random.Generator, setting: Setting) -> list[Planted]:
    """No calls for some hours of a day; more of them, the larger ``size`` is."""
    start = LONG + int(rng.integers(9, 27)) * DAY + int(rng.integers(8, 13)) * HOUR
    stretch = (start, start + round(setting.size) * HOUR)
    return [replace(_long(rng, setting, ("line", "hourly count"), per_day=BUSY, outage=stretch), outage=start)]


def partial(rng: np.random.Generator, setting: Setting) -> list[Planted]:
    """Nothing, but the last day has only begun."""
    return [_long(rng, setting, ("line", "count"), end=EARLY)]


def small(rng: np.random.Generator, setting: Setting) -> list[Planted]:
    """Nothing, in a few calls a day; one day has only two, both two and a half deviations of a call above the mean."""
    plant = _short(rng, setting, ("line", "avg"), *_fortnights(9))
    far = SHORT + int(rng.integers(2, 12)) * DAY
    of_day = np.flatnonzero((plant.this.time >= far) & (plant.this.time < far + DAY))
    kept = np.setdiff1d(np.arange(len(plant.this.time)), of_day[2:])
    value = plant.this.value.copy()
    value[of_day[:2]] = 60 + 2.5 * CALL_SD
    thin = replace(
        plant.this,
        time=plant.this.time[kept],
        value=value[kept],
        success=plant.this.success[kept],
        region=plant.this.region[kept],
        reason=plant.this.reason[kept],
    )
    return [replace(plant, this=thin, changed=None)]


def rate_shift(rng: np.random.Generator, setting: Setting) -> list[Planted]:
    """The rate of success of all calls is another than before, by half of ``size``."""
    sign, (this, that) = -_sign(rng), _fortnights()
    moved = np.full(SHORT_DAYS, sign * setting.size / 2)
    plant = _short(rng, setting, ("success", "stat"), replace(this, value=moved), that)
    return [replace(plant, changed=sign)]


def group(rng: np.random.Generator, setting: Setting) -> list[Planted]:
    """One region is worse or better than before, and moves the whole by half of ``size``."""
    sign, (this, that) = _sign(rng), _fortnights()
    name = ("north", "south", "coast")[int(rng.integers(3))]
    region, change = REGIONS[name], sign * setting.size / 2 / REGIONS[name].share
    moved = Region(region.share, region.value + change * value_unit(80), region.rate - abs(change) * rate_unit(80))
    plant = _short(rng, setting, (*SIDES[1:], DURATIONS), replace(this, regions={**REGIONS, name: moved}), that)
    rates = _short(rng, setting, SIDES[:1], replace(this, regions={**REGIONS, name: moved}), that)
    return [
        replace(plant, changed=sign, driver=(name, "rate")),
        replace(rates, changed=-1, driver=(name, "rate")),
    ]


def simpson(rng: np.random.Generator, setting: Setting) -> list[Planted]:
    """Both regions are better than before, and the whole is worse, as more calls come from the worse one."""
    before = {"north": Region(0.75, 75, 0.9), "south": Region(0.25, 45, 0.5)}
    after = {"north": Region(0.4, 77, 0.93), "south": Region(0.6, 47, 0.53)}
    this, that = _fortnights()
    plant = _short(rng, setting, SIDES, replace(this, regions=after), replace(that, regions=before))
    return [replace(plant, changed=-1, driver=(None, "mix"))]


def office(rng: np.random.Generator, setting: Setting) -> list[Planted]:
    """Nothing, in the office hours of three zones: nights and weekends are no finding."""
    plants = list[Planted]()
    for zone in OFFICES:
        plants.append(Planted(HOURLY, LONG, NOW, _in_office(rng, replace(setting, weekly=True), zone), zone=zone))
    return plants


def _in_office(rng: np.random.Generator, setting: Setting, zone: str) -> Calls:
    """A month of calls in the office hours of a zone, whose days begin at other times than those of the window."""
    return draw(rng, setting, Draw(LONG - DAY, LONG_DAYS + 2, NOW, BUSY, office=zone)).between(LONG, NOW)


def today(rng: np.random.Generator, setting: Setting) -> list[Planted]:
    """Nothing, on the one day that is still filling, of which the days before say what is usual."""
    zone = OFFICES[int(rng.integers(3))]
    calls = _in_office(rng, setting, zone)
    start = NOW // DAY * DAY
    return [Planted(HOURLY, start, NOW, calls.between(start, NOW), past=calls.between(LONG, start), zone=zone)]


def uneven(rng: np.random.Generator, setting: Setting) -> list[Planted]:
    """Nothing, in calls whose number varies far more than by chance."""
    asked = Draw(LONG, LONG_DAYS, NOW, BUSY, shape=UNEVEN)
    return [Planted(("count", "hourly count"), LONG, NOW, draw(rng, setting, asked))]


def few_days(rng: np.random.Generator, setting: Setting) -> list[Planted]:
    """Nothing, on one day against the day before, and on three against three."""
    charts = ("success", "avg", "count", "stat", *SIDES[:1])
    plain = replace(setting, weekly=False)
    return [_sides(rng, plain, charts, days) for days in ((1, 1), (3, 3))]


def unequal(rng: np.random.Generator, setting: Setting) -> list[Planted]:
    """A week against the fortnight before it: nothing, or another level by ``size``."""
    sign, plain = _sign(rng), replace(setting, weekly=False)
    still = _sides(rng, plain, ("success", "avg", "count"), (7, 14))
    moved = _sides(rng, plain, ("success", "avg"), (7, 14), value=sign * setting.size)
    return [still, replace(moved, changed=sign)]


def long_tail(rng: np.random.Generator, setting: Setting) -> list[Planted]:
    """Forty labels, the percentages sent are wrong; one label has become more frequent."""
    this, that = _fortnights()
    weights = 1 / np.arange(1, LABELS + 1)
    weights /= weights.sum()
    label = int(rng.integers(1, 6))
    before = float(weights[label])
    after = before + 1.5 * setting.size * float(np.sqrt(2 * before * (1 - before) / (80 * SHORT_DAYS)))
    grown = weights * (1 - after) / (1 - before)
    grown[label] = after
    plant = _short(rng, setting, ("pie of reasons",), replace(this, reasons=grown), replace(that, reasons=weights))
    return [replace(plant, changed=1, driver=(f"reason {label}", "share"), wrong_percentages=True)]


PLANTS: dict[str, Plant] = {
    "nothing": null,
    "trend": trend,
    "step": step,
    "step with trend": step_with_trend,
    "outlier day": outlier,
    "gap": gap,
    "partial last day": partial,
    "few calls": small,
    "rate shift": rate_shift,
    "group by its rate": group,
    "mix, Simpson": simpson,
    "long-tailed pie": long_tail,
    "office hours": office,
    "today": today,
    "uneven counts": uneven,
    "single days": few_days,
    "unequal sides": unequal,
}


def planted(plant: str, seed: int) -> list[Planted]:
    """The same calls every time."""
    rng = np.random.default_rng([list(PLANTS).index(plant), seed])
    return PLANTS[plant](rng, SETTINGS[seed % len(SETTINGS)])
