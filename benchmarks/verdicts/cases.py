"""The cases: worlds without changes, and worlds with one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np

from benchmarks.verdicts.worlds import NOW, Floats, World
from cekura_dashboards.stats.findings import Finding, Step, Unusual
from cekura_dashboards.stats.timeline import DAY, HOUR

MEASURES = ("count", "rate", "mean", "p95", "max", "sum")
OFFICES = ("UTC", "America/Los_Angeles", "America/New_York", "Europe/Berlin", "Asia/Tokyo")
HISTORY_DAYS, HISTORY_HOURS = 29, 720
OTHER_ZONES = (("America/New_York", "UTC"), ("Europe/Berlin", "UTC"), ("UTC", "America/New_York"))
"""Offices whose zone was not set, and the one that is set: clocks change in the month of one of them."""


def quiet() -> Iterator[World]:
    """No change: every finding is false."""
    for measure in MEASURES:
        for length in (14, 21, HISTORY_DAYS):
            yield from _quiet_days(measure, length)
        for length in (24, 168, 336, HISTORY_HOURS):
            yield from _quiet_hours(measure, length)


def _quiet_days(measure: str, length: int) -> Iterator[World]:
    for n in (5, 60, 400):
        yield World(measure, DAY, length, n)
    if measure not in {"count", "sum"}:  # theirs would be a change
        yield World(measure, DAY, length, 20, drift=10)
    yield World(measure, DAY, length, 200, office="UTC")
    yield World(measure, DAY, length, 200, office="America/Los_Angeles", monday=1.5)
    yield World(measure, DAY, length, 200, alike=0.3)
    if measure == "count":
        yield World(measure, DAY, length, 300, k=10)
        yield World(measure, DAY, length, 100, k=30)


def _quiet_hours(measure: str, length: int) -> Iterator[World]:
    for n in (3, 5, 40):
        yield World(measure, HOUR, length, n)
    if measure not in {"count", "sum"}:
        yield World(measure, HOUR, length, 10, drift=5)
    for office in OFFICES:
        yield World(measure, HOUR, length, 40, office=office)
    for office, assumed_zone in OTHER_ZONES:
        yield World(measure, HOUR, length, 40, office=office, assumed_zone=assumed_zone)
    yield World(measure, HOUR, length, 40, office="UTC", monday=1.5)
    yield World(measure, HOUR, length, 40, office="UTC", alike=0.3)
    if measure == "count":
        yield World(measure, HOUR, length, 40, k=10)
        yield World(measure, HOUR, length, 40, k=30, office="America/New_York")


def windows(world: World) -> tuple[float | None, ...]:
    """How much of a world is told, in seconds: all of it, and of a full history also its last week and day."""
    if world.length == HISTORY_HOURS:
        return None, 7 * DAY, DAY
    return (None, 7 * DAY) if world.length == HISTORY_DAYS else (None,)


@dataclass(frozen=True)
class Plant:
    """Something that happened. ``effect``: by seed; ``found``: whether a finding is it. ``aim``: the share to find.

    ``clear_aim``: the share of them that is to be clear.
    """

    name: str
    effect: Callable[[int], Callable[[Floats, World], Floats]]
    found: Callable[[Finding], bool]
    aim: float | None
    clear_aim: float = 0.0


def _when(seed: int) -> float:
    """The start of a day of work, two to four days ago: a Tuesday to Thursday."""
    return NOW.timestamp() - (2 + seed % 3) * DAY


def _fewer(_seed: int) -> Callable[[Floats, World], Floats]:
    return lambda times, _: np.where(times >= NOW.timestamp() - 7 * DAY, 0.75, 1.0)


def _fewer_for_a_while(_seed: int) -> Callable[[Floats, World], Floats]:
    start, end = (NOW.timestamp() - days * DAY for days in (12, 4))
    return lambda times, _: np.where((times >= start) & (times < end), 0.75, 1.0)


def _half_a_day(seed: int) -> Callable[[Floats, World], Floats]:
    start = _when(seed)
    return lambda times, _: np.where((times >= start) & (times < start + DAY), 0.5, 1.0)


def _an_hour(factor: float, seed: int) -> Callable[[Floats, World], Floats]:
    hour = _when(seed) + (9 + seed % 7) * HOUR
    return lambda times, _: np.where(times == hour, factor, 1.0)


def _eight_hours(seed: int) -> Callable[[Floats, World], Floats]:
    start = _when(seed) + 9 * HOUR
    return lambda times, _: np.where((times >= start) & (times < start + 8 * HOUR), 0.6, 1.0)


def _is_fall(finding: Finding) -> bool:
    return isinstance(finding, Step) and finding.change < 0


def _is_rise(finding: Finding) -> bool:
    return isinstance(finding, Step) and finding.change > 0


def _is_low_day(finding: Finding) -> bool:
    return isinstance(finding, Unusual) and finding.value < finding.expected


def _is_hour(finding: Finding) -> bool:
    return isinstance(finding, Unusual) and finding.buckets <= 2  # noqa: PLR2004 - with a neighbour


def _is_part_of_a_day(finding: Finding) -> bool:
    return isinstance(finding, Unusual) and 6 <= finding.buckets <= 10 and finding.value < finding.expected  # noqa: PLR2004 - about eight


AIM, CLEAR_AIM = 0.85, 0.75
PLANTS = (
    Plant("25 % fewer calls over the last week", _fewer, _is_fall, AIM),
    Plant("25 % fewer calls for eight days, over since four", _fewer_for_a_while, _is_rise, AIM),
    Plant("half of one day's calls missing", _half_a_day, _is_low_day, AIM),
    Plant("an hour at three times its usual", partial(_an_hour, 3.0), _is_hour, AIM),
    Plant("an hour at a third of its usual", partial(_an_hour, 1 / 3), _is_hour, AIM, CLEAR_AIM),
    Plant("eight hours of a day at 0.6 of their usual", _eight_hours, _is_part_of_a_day, AIM, CLEAR_AIM),
)


def planted() -> Iterator[tuple[Plant, World]]:
    """Plants on counts. Where the calls themselves vary more, less can be known, and there is no aim."""
    hours = [World("count", HOUR, HISTORY_HOURS, 40), World("count", HOUR, HISTORY_HOURS, 40, office="UTC")]
    varied = [World("count", HOUR, HISTORY_HOURS, 40, k=10), World("count", HOUR, HISTORY_HOURS, 40, alike=0.3)]
    days = [World("count", DAY, HISTORY_DAYS, 300), World("count", DAY, HISTORY_DAYS, 300, k=30)]
    yield from product(PLANTS[:3], [*hours, *varied, *days])
    yield from product(PLANTS[3:5], [*hours, *varied])
    yield from product(PLANTS[5:], [hours[0], *varied])
