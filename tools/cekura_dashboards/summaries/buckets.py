"""From buckets to overall, extremes and a bounded series."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence

from cekura_dashboards.stats.numbers import Number, exact, round_for_display, weighted_mean
from cekura_dashboards.stats.time_series import MIN_CALLS
from cekura_dashboards.stats.timeline import (
    PERIODS,
    STEPS,
    Span,
    choose_step,
    floor_to,
    is_partial,
    iso,
    next_month,
    origin_of,
    starts,
)
from cekura_dashboards.summaries.model import At, Bucket, Series

ADDITIVE = {"count", "sum"}
MIN_CALLS_UNFLAGGED = 30
"""A figure that rests on fewer calls is flagged. A choice, by the usual rule of thumb."""


def combine(function: str, parts: Sequence[Bucket]) -> float | None:
    """One value for several buckets: a sum for count and sum, the extreme for min and max, for avg the mean by n.

    Percentiles are never merged: the median of the buckets' own is given, the typical bucket.
    """
    if len(parts) == 1:
        return parts[0].value
    observed = [part for part in parts if part.value is not None]
    values = [part.value for part in observed if part.value is not None]
    if not values:
        return None
    if function in ADDITIVE:
        return sum(values)
    if function == "min":
        return min(values)
    if function == "max":
        return max(values)
    if function == "avg":
        weights = [float(part.n or 0) for part in observed]
        return weighted_mean(values, weights) if any(weights) else statistics.fmean(values)
    return statistics.median(values)


def merge_groups(function: str, buckets: Iterable[Bucket]) -> list[Bucket]:
    """Buckets of all groups brought to one per time, in order of time."""
    by_time = defaultdict[float, list[Bucket]](list)
    for bucket in buckets:
        by_time[bucket.time].append(bucket)
    return [Bucket(time, combine(function, parts), total(parts)) for time, parts in sorted(by_time.items())]


def total(parts: Iterable[Bucket]) -> int | None:
    """The calls that these buckets rest on; None if any number is not known."""
    calls = 0
    for part in parts:
        if part.n is None:
            return None
        calls += part.n
    return calls


def end_of(bucket: Bucket, period: str) -> float:
    """Where a bucket of the API's ``time_period`` ends."""
    return next_month(bucket.time) if period == "month" else bucket.time + STEPS[PERIODS.get(period, "1d")]


def is_cut(bucket: Bucket, period: str, span: Span) -> bool:
    """Whether the window, or now, cuts this bucket."""
    return is_partial(bucket.time, end_of(bucket, period) - bucket.time, span)


def fill_empty(function: str, period: str, buckets: list[Bucket], span: Span) -> list[Bucket]:
    """For count and sum, a time without a row is 0; for all else it stays missing."""
    if period == "month" or function not in ADDITIVE:
        return buckets
    present = {bucket.time for bucket in buckets}
    step = STEPS[PERIODS.get(period, "1d")]
    empty = [Bucket(time, 0, 0) for time in starts(span, step) if time not in present]
    zeroed = [Bucket(b.time, 0, 0) if b.value is None and not b.n else b for b in buckets]
    return sorted([*zeroed, *empty])


def extremes(function: str, period: str, buckets: list[Bucket], span: Span) -> dict[str, At]:
    """``highest`` and ``lowest`` among full buckets of at least five calls."""
    step = STEPS[PERIODS.get(period, "1d")]
    full = [
        b
        for b in buckets
        if b.value is not None
        and not is_cut(b, period, span)
        and (function in ADDITIVE or b.n is None or b.n >= MIN_CALLS)
    ]
    if len(full) < 2:  # noqa: PLR2004 - one bucket has no extremes
        return {}
    highest = max(full, key=lambda b: (b.value or 0, -b.time))
    lowest = min(full, key=lambda b: (b.value or 0, b.time))
    return {
        name: At(iso(b.time, step=step, zone=span.zone), display_value(function, b.value) or 0)
        for name, b in (("highest", highest), ("lowest", lowest))
    }


def series(function: str, period: str, buckets: list[Bucket], span: Span, points: int) -> Series | None:
    """At most ``points`` aligned buckets; neighbours are combined where the API sent more."""
    if points <= 0 or not buckets:
        return None
    measure = function if function in {*ADDITIVE, "avg", "min", "max"} else f"{function} of a bucket"
    if period == "month":
        return _months(measure, buckets, span, points)
    least = STEPS[PERIODS.get(period, "1d")]
    name = choose_step(span, points, least)
    step = STEPS[name]
    origin = origin_of(span, step)
    buckets_by_time = defaultdict[float, list[Bucket]](list)
    for bucket in buckets:
        buckets_by_time[floor_to(bucket.time, step, origin)].append(bucket)
    if step > least and function.startswith("p"):
        measure = f"median of {function} per {period}"
    times = starts(span, step)[-points:]
    return Series(
        measure=measure,
        start=iso(times[0], step=step, zone=span.zone),
        step=name,
        value=[
            display_value(function, combine(function, buckets_by_time[time])) if time in buckets_by_time else None
            for time in times
        ],
        n=_counts(function, [total(buckets_by_time[time]) if time in buckets_by_time else 0 for time in times]),
        partial=[i for i, time in enumerate(times) if is_partial(time, step, span)] or None,
    )


def _months(measure: str, buckets: list[Bucket], span: Span, points: int) -> Series:
    last_buckets = buckets[-points:]
    return Series(
        measure=measure,
        start=iso(last_buckets[0].time, step=86400),
        step="1mo",
        value=[display_value(measure, b.value) for b in last_buckets],
        n=_counts(measure, [b.n for b in last_buckets]),
        partial=[i for i, b in enumerate(last_buckets) if is_cut(b, "month", span)] or None,
    )


def _counts(function: str, counts: list[int | None]) -> list[int | None] | None:
    """The n of each bucket; left out for a count, which is its own n, and where none is known."""
    return None if function == "count" or all(n is None for n in counts) else counts


def display_value(function: str, value: float | None) -> Number | None:
    """A value rounded for showing; counts stay exact."""
    if value is None:
        return None
    return exact(value) if function == "count" else round_for_display(float(value))
