"""Profiles: a measure by hour of the day or weekday, and a test whether it differs from flat."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from msgspec import Struct

from cekura_dashboards.stats.findings import Number, exact, round_for_display
from cekura_dashboards.stats.significance import f_sf, t_sf
from cekura_dashboards.stats.time_series import floats, sums_by
from cekura_dashboards.stats.timeline import Clock
from cekura_dashboards.summaries.bar import ADDITIVE, combine, total
from cekura_dashboards.summaries.model import Bucket, By, Profile, SlotShown
from cekura_dashboards.values import Array, Places, np

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
CLEAR_P_VALUE, POSSIBLE_P_VALUE = 0.01, 0.05
"""The levels of all verdicts: outside the 99 % and the 95 % interval."""
MAX_SLOTS_LISTED = 3
MIN_TURNS = 2
"""The minimum days or weeks: a single one has no variation to test against."""
HALF_AN_HOUR = 1800.0
FIT_ROUNDS = 30
"""Rounds of alternating means, which converge quickly with few missing cells. A choice."""
HOURS_OF_A_DAY, MIN_HOURS_OF_A_DAY = 24, 23
"""The minimum hours of a whole day: 23 at a clock change."""
MIN_CALLS_OF_SLOT = 20
"""The minimum calls of a slot for a test, because values of few calls are far from normal. A choice.

Measured: durations of 600 calls by hour of the week were called ``clear`` in 5 to 8 % without differences.
"""


class _Cell(Struct, frozen=True):
    """One slot of one day or week."""

    turn: int
    slot: int
    parts: list[Bucket]


class _Row(NamedTuple):
    """A cell in the form for the test."""

    turn: int
    slot: int
    value: float
    weight: float


def profile(buckets: Sequence[Bucket], by: By, *, function: str, clock: Clock, zone: str) -> Profile | None:
    """``buckets``: complete hours, for counts including empty ones. None without buckets."""
    if not buckets:
        return None
    cells = _cells(buckets, by, function, clock)
    names = names_of(by)
    whole = _fold(cells, function)
    days = {kind: _fold([c for c in cells if _is_weekend(c, by, clock) is kind], function) for kind in (False, True)}
    split = by == "hour_of_day" and all(days.values())
    sizes = {slot: total([part for cell in cells if cell.slot == slot for part in cell.parts]) for slot in whole}
    test = _compare_slots(cells, function, by)
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
        buckets_by_slot = defaultdict(
            list, {key: parts for key, parts in buckets_by_slot.items() if len(parts) >= MIN_HOURS_OF_A_DAY}
        )
    return [_Cell(turn, slot, parts) for (turn, slot), parts in sorted(buckets_by_slot.items())]


def _is_weekend(cell: _Cell, by: By, clock: Clock) -> bool:
    return by == "hour_of_day" and clock.is_weekend(cell.parts[0].time + HALF_AN_HOUR)


def names_of(by: By) -> list[str]:
    """The names of the slots, in order."""
    hours = [f"{hour:02d}:00" for hour in range(24)]
    if by == "hour_of_day":
        return hours
    return [*WEEKDAYS] if by == "weekday" else [f"{day[:3]} {hour}" for day in WEEKDAYS for hour in hours]


def _value(parts: Sequence[Bucket], function: str) -> float | None:
    observed = [part for part in parts if part.value is not None]
    return combine(function, observed) if observed else None


def _fold(cells: Sequence[_Cell], function: str) -> dict[int, float]:
    """The value of each slot: for counts and sums the mean of its days or weeks, else of all its calls together."""
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
    """The calls of each slot; None if some are unknown."""
    if any(n is None for n in sizes.values()):
        return None
    return [None if (n := sizes.get(i)) is None else exact(n) for i in range(len(names))]


def _listed(values: Mapping[int, float], names: Sequence[str]) -> list[Number | None]:
    """The value of each slot; rounded more for the hours of a week, so that all fit."""
    digits = 3 if len(names) > HOURS_OF_A_DAY else 4
    return [round_for_display(values[i], digits) if i in values else None for i in range(len(names))]


def _extreme(
    values: Mapping[int, float], names: Sequence[str], sizes: Mapping[int, int | None], sign: int
) -> SlotShown | None:
    """The highest slot, or with a sign of -1 the lowest; the first of equal ones. None with fewer than two."""
    if len(values) < 2:  # noqa: PLR2004 - one has no extremes
        return None
    slot = max(values, key=lambda i: (sign * values[i], -i))
    n = sizes.get(slot)
    return SlotShown(slot=names[slot], value=round_for_display(values[slot]), n=None if n is None else exact(n))


class _SlotTest(NamedTuple):
    """The p-value of a difference between slots, and the effect of each slot with its squared standard error."""

    p_value: float
    df: int
    effects: dict[int, float]
    squared_errors: dict[int, float]


def _compare_slots(
    cells: Sequence[_Cell], function: str, by: By
) -> tuple[Literal["clear", "possible", "not significant"], list[int], list[int]] | None:
    """Test whether slots differ by more than one slot does from day to day or week to week, and which stand out.

    The hours of one day are correlated, so the hours of a week are two tests: of weekdays, by the variation of days,
    and of hours within a day; each is corrected for two. Single slots are tested by Student's t with Bonferroni's
    correction.
    """
    rows = _tested_rows(cells, function)
    days = _DaysOfWeeks.of(cells, function) if by == "hour_of_week" else None
    test = _slot_test(rows, days)
    if test is None or len({row.turn for row in rows}) < MIN_TURNS:
        return None
    p_value = test.p_value
    if days is not None and days.test is not None:
        p_value = min(1.0, 2 * min(p_value, days.test.p_value))
    if p_value > POSSIBLE_P_VALUE:
        return "not significant", [], []
    clear = [
        slot
        for slot, effect in test.effects.items()
        if 2 * len(test.effects) * t_sf(abs(effect) / math.sqrt(test.squared_errors[slot]), test.df) <= CLEAR_P_VALUE
    ]
    high = sorted((slot for slot in clear if test.effects[slot] > 0), key=lambda slot: -test.effects[slot])
    low = sorted((slot for slot in clear if test.effects[slot] < 0), key=lambda slot: test.effects[slot])
    verdict: Literal["clear", "possible"] = "clear" if p_value <= CLEAR_P_VALUE else "possible"
    return verdict, high[:MAX_SLOTS_LISTED], low[:MAX_SLOTS_LISTED]


class _DaysOfWeeks(NamedTuple):
    """The weekdays in hours of weeks, tested by whole days; None if these are too few."""

    test: _SlotTest | None

    @classmethod
    def of(cls, cells: Sequence[_Cell], function: str) -> "_DaysOfWeeks":
        parts_of_days = defaultdict[tuple[int, int], list[Bucket]](list)
        for cell in cells:
            parts_of_days[cell.turn, cell.slot // HOURS_OF_A_DAY].extend(cell.parts)
        whole = [
            _Cell(*key, parts)
            for key, parts in sorted(parts_of_days.items())
            if function not in ADDITIVE or len(parts) >= MIN_HOURS_OF_A_DAY
        ]
        return cls(_slot_test(_tested_rows(whole, function), None))


def _tested_rows(cells: Sequence[_Cell], function: str) -> list[_Row]:
    """The cells of the slots with enough calls."""
    rows = [row for cell in cells if (row := _row(cell, function)) is not None]
    calls = defaultdict[int, float](float)
    for row in rows:
        calls[row.slot] += row.weight
    if function in ADDITIVE or any(total(cell.parts) is None for cell in cells):
        return rows
    return [row for row in rows if calls[row.slot] >= MIN_CALLS_OF_SLOT]


def _slot_test(rows: Sequence[_Row], days: _DaysOfWeeks | None) -> _SlotTest | None:
    """A two-way analysis of variance without interaction, turns by slots, each cell weighted by its calls.

    ``days``: the slots are hours of a week, and each day is a repetition. None with too few degrees of freedom. Counts
    are on the square root scale. Source: Scheffé (1959), The Analysis of Variance, chapter 4.
    """
    turns, turn_of = np.unique([_turn(row, days) for row in rows], return_inverse=True)
    slots, slot_of = np.unique([row.slot for row in rows], return_inverse=True)
    kinds = 1 if days is None else len({row.slot // HOURS_OF_A_DAY for row in rows})
    between, df = len(slots) - kinds, len(rows) - len(turns) - len(slots) + kinds
    if len(turns) < MIN_TURNS or between < 1 or df < 1:
        return None
    values, weights = floats(row.value for row in rows), floats(row.weight for row in rows)

    def means(keys: Places, part: Array) -> Array:
        """The weighted mean of all rows with the same key."""
        return sums_by(keys, weights * part) / sums_by(keys, weights)

    by_turn, by_slot = np.zeros(len(turns)), np.zeros(len(slots))
    for _ in range(FIT_ROUNDS):  # the effect of each turn and, about it, of each slot, by alternating means
        by_turn = means(turn_of, values - by_slot[slot_of])
        by_slot = means(slot_of, values - by_turn[turn_of])
    residuals, deviations = values - by_turn[turn_of] - by_slot[slot_of], values - means(turn_of, values)[turn_of]
    residual, flat = (float((weights * part**2).sum()) for part in (residuals, deviations))
    if residual <= 0:
        return None
    p_value = f_sf((flat - residual) / between / (residual / df), between, df)
    squared_errors = residual / df / sums_by(slot_of, weights)
    if days is not None:  # a slot also differs from the others by its weekday
        by_slot = means(slot_of, values)
        if days.test is not None:
            by_weekday = days.test.squared_errors
            squared_errors += floats(by_weekday.get(slot // HOURS_OF_A_DAY, 0.0) for slot in slots.tolist())
    effects = by_slot - float((weights * by_slot[slot_of]).sum()) / float(weights.sum())
    names: list[int] = slots.tolist()
    return _SlotTest(
        p_value,
        df,
        dict(zip(names, effects.tolist(), strict=True)),
        dict(zip(names, squared_errors.tolist(), strict=True)),
    )


def _turn(row: _Row, days: _DaysOfWeeks | None) -> int:
    return row.turn if days is None else row.turn * 7 + row.slot // HOURS_OF_A_DAY


def _row(cell: _Cell, function: str) -> _Row | None:
    """A cell for the test; None without a value or calls."""
    value = _value(cell.parts, function)
    if value is None or (function in ADDITIVE and value < 0):
        return None
    if function in ADDITIVE:
        return _Row(cell.turn, cell.slot, math.sqrt(value), 1.0)
    n = total(cell.parts)
    return None if n == 0 else _Row(cell.turn, cell.slot, value, 1.0 if n is None else float(n))
