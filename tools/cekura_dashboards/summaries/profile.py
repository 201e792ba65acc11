"""Profiles: one measure by hour of the day or weekday, and whether it differs significantly from flat."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

from msgspec import Struct

from cekura_dashboards.stats.findings import Number, exact, round_for_display
from cekura_dashboards.stats.significance import f_sf, t_sf
from cekura_dashboards.stats.timeline import Clock
from cekura_dashboards.summaries.bar import ADDITIVE, combine, total
from cekura_dashboards.summaries.model import Bucket, By, Profile, SlotShown

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
CLEAR_P_VALUE, POSSIBLE_P_VALUE = 0.01, 0.05
"""As for all verdicts: outside the 99 % and the 95 % interval."""
MAX_SLOTS_LISTED = 3
MIN_TURNS = 2
"""The least days, or weeks: one alone has no variation to test against."""
HALF_AN_HOUR = 1800.0
FIT_ROUNDS = 30
"""Of alternating means; with few missing cells they converge in a few. A choice."""
HOURS_OF_A_DAY = 24


class _Cell(Struct, frozen=True):
    """One slot of one turn: of one day, or week."""

    turn: int
    slot: int
    parts: list[Bucket]


class _Row(NamedTuple):
    """A cell as it is tested."""

    turn: int
    slot: int
    value: float
    weight: float


def profile(buckets: Sequence[Bucket], by: By, *, function: str, clock: Clock, zone: str) -> Profile | None:
    """``buckets``: full hours, of counts the empty ones too. None for none."""
    if not buckets:
        return None
    cells = _cells(buckets, by, function, clock)
    names = names_of(by)
    whole = _fold(cells, function)
    days = {kind: _fold([c for c in cells if _is_weekend(c, by, clock) is kind], function) for kind in (False, True)}
    split = by == "hour_of_day" and all(days.values())
    sizes = {slot: total([part for cell in cells if cell.slot == slot for part in cell.parts]) for slot in whole}
    test = _compare_slots(cells, function)
    verdict, above, below = test or ("not tested", None, None)
    return Profile(
        by=by,
        time_zone=zone,
        slots=None if by == "hour_of_week" else names,
        value=_listed(whole, names),
        n=None if function == "count" or by == "hour_of_week" else _sizes_listed(sizes, names),
        weekdays=_listed(days[False], names) if split else None,
        weekend=_listed(days[True], names) if split else None,
        highest=_extreme(whole, names, sizes, 1),
        lowest=_extreme(whole, names, sizes, -1),
        highest_on_weekdays=_extreme(days[False], names, {}, 1) if split else None,
        verdict=verdict,
        above=[names[slot] for slot in above] if above else None,
        below=[names[slot] for slot in below] if below else None,
    )


def _cells(buckets: Sequence[Bucket], by: By, function: str, clock: Clock) -> list[_Cell]:
    buckets_by_slot = defaultdict[tuple[int, int], list[Bucket]](list)
    for bucket in buckets:
        place = clock.place(bucket.time + HALF_AN_HOUR)
        week = (place.day - place.weekday) // 7
        slot = {"hour_of_day": place.hour, "weekday": place.weekday}.get(by, place.weekday * 24 + place.hour)
        turn = place.day if by == "hour_of_day" else week
        buckets_by_slot[turn, slot].append(bucket)
    if by == "weekday" and function in ADDITIVE:
        buckets_by_slot = defaultdict(list, {key: parts for key, parts in buckets_by_slot.items() if len(parts) >= 23})  # noqa: PLR2004 - a whole day, also when clocks change
    return [_Cell(turn, slot, parts) for (turn, slot), parts in sorted(buckets_by_slot.items())]


def _is_weekend(cell: _Cell, by: By, clock: Clock) -> bool:
    return by == "hour_of_day" and clock.is_weekend(cell.parts[0].time + HALF_AN_HOUR)


def names_of(by: By) -> list[str]:
    """What the slots are called, in order."""
    hours = [f"{hour:02d}:00" for hour in range(24)]
    if by == "hour_of_day":
        return hours
    return [*WEEKDAYS] if by == "weekday" else [f"{day[:3]} {hour}" for day in WEEKDAYS for hour in hours]


def _value(parts: Sequence[Bucket], function: str) -> float | None:
    observed = [part for part in parts if part.value is not None]
    return combine(function, observed) if observed else None


def _fold(cells: Sequence[_Cell], function: str) -> dict[int, float]:
    """Each slot: of counts and sums the mean of its turns, else all its calls together."""
    cells_by_slot = defaultdict[int, list[_Cell]](list)
    for cell in cells:
        cells_by_slot[cell.slot].append(cell)
    values = dict[int, float]()
    for slot, members in cells_by_slot.items():
        value = _value([part for cell in members for part in cell.parts], function)
        if value is not None:
            values[slot] = value / len(members) if function in ADDITIVE else value
    return values


def _sizes_listed(sizes: Mapping[int, int | None], names: Sequence[str]) -> list[Number | None] | None:
    """The calls of each slot; None where some are not known."""
    if any(n is None for n in sizes.values()):
        return None
    return [None if (n := sizes.get(i)) is None else exact(n) for i in range(len(names))]


def _listed(values: Mapping[int, float], names: Sequence[str]) -> list[Number | None]:
    """Each slot's value; those of a whole week shorter, so that all have room."""
    digits = 3 if len(names) > HOURS_OF_A_DAY else 4
    return [round_for_display(values[i], digits) if i in values else None for i in range(len(names))]


def _extreme(
    values: Mapping[int, float], names: Sequence[str], sizes: Mapping[int, int | None], sign: int
) -> SlotShown | None:
    """The highest slot, or with a sign of -1 the lowest; the first of equal ones. None for fewer than two."""
    if len(values) < 2:  # noqa: PLR2004 - one has no extremes
        return None
    slot = max(values, key=lambda i: (sign * values[i], -i))
    n = sizes.get(slot)
    return SlotShown(slot=names[slot], value=round_for_display(values[slot]), n=None if n is None else exact(n))


def _compare_slots(
    cells: Sequence[_Cell], function: str
) -> tuple[Literal["clear", "possible", "within noise"], list[int], list[int]] | None:
    """Whether slots differ by more than a slot differs from turn to turn, and which stand out.

    A two-way analysis of variance without interaction, turns by slots, each cell weighted by its calls; counts on the
    scale of the square root. Source: Scheffé (1959), The Analysis of Variance, chapter 4; for single slots Student's t
    with Bonferroni's correction.
    """
    rows = [row for cell in cells if (row := _row(cell, function)) is not None]
    turns, slots = {row.turn for row in rows}, {row.slot for row in rows}
    degrees_of_freedom = len(rows) - len(turns) - len(slots) + 1
    if len(turns) < MIN_TURNS or len(slots) < 2 or degrees_of_freedom < 1:  # noqa: PLR2004 - two to compare
        return None
    by_turn, by_slot = _fitted(rows)
    residual = math.fsum(row.weight * (row.value - by_turn[row.turn] - by_slot[row.slot]) ** 2 for row in rows)
    level = _means(rows, lambda row: row.turn, lambda row: row.value)
    flat = math.fsum(row.weight * (row.value - level[row.turn]) ** 2 for row in rows)
    if residual <= 0:
        return None
    between = len(slots) - 1
    p_value = f_sf((flat - residual) / between / (residual / degrees_of_freedom), between, degrees_of_freedom)
    if p_value > POSSIBLE_P_VALUE:
        return "within noise", [], []
    weights = {slot: math.fsum(row.weight for row in rows if row.slot == slot) for slot in slots}
    scores = {slot: by_slot[slot] * math.sqrt(weights[slot] * degrees_of_freedom / residual) for slot in slots}
    out = [slot for slot in slots if 2 * len(slots) * t_sf(abs(scores[slot]), degrees_of_freedom) <= CLEAR_P_VALUE]
    high = sorted((slot for slot in out if scores[slot] > 0), key=lambda slot: -by_slot[slot])[:MAX_SLOTS_LISTED]
    low = sorted((slot for slot in out if scores[slot] < 0), key=lambda slot: by_slot[slot])[:MAX_SLOTS_LISTED]
    return ("clear" if p_value <= CLEAR_P_VALUE else "possible"), high, low


def _row(cell: _Cell, function: str) -> _Row | None:
    """A cell to be tested; None where it has no value, or no calls."""
    value = _value(cell.parts, function)
    if value is None or (function in ADDITIVE and value < 0):
        return None
    if function in ADDITIVE:
        return _Row(cell.turn, cell.slot, math.sqrt(value), 1.0)
    n = total(cell.parts)
    return None if n == 0 else _Row(cell.turn, cell.slot, value, 1.0 if n is None else float(n))


def _means(rows: Sequence[_Row], key: Callable[[_Row], int], value: Callable[[_Row], float]) -> dict[int, float]:
    """The weighted mean of all rows with the same key."""
    sums, weights = defaultdict[int, float](float), defaultdict[int, float](float)
    for row in rows:
        sums[key(row)] += row.weight * value(row)
        weights[key(row)] += row.weight
    return {name: sums[name] / weight for name, weight in weights.items()}


def _fitted(rows: Sequence[_Row]) -> tuple[dict[int, float], dict[int, float]]:
    """The effect of each turn and, about it, of each slot, by alternating weighted means."""
    by_turn, by_slot = dict[int, float](), dict.fromkeys((row.slot for row in rows), 0.0)
    for _ in range(FIT_ROUNDS):
        slot_effects = by_slot
        by_turn = _means(rows, lambda row: row.turn, lambda row: row.value - slot_effects[row.slot])  # noqa: B023 - used at once
        level = by_turn
        by_slot = _means(rows, lambda row: row.slot, lambda row: row.value - level[row.turn])  # noqa: B023 - used at once
    middle = math.fsum(row.weight * by_slot[row.slot] for row in rows) / math.fsum(row.weight for row in rows)
    return (
        {name: effect + middle for name, effect in by_turn.items()},
        {name: effect - middle for name, effect in by_slot.items()},
    )
