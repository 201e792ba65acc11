"""Bars: one value per time bucket, summarised as an overall value, extremes, a bounded series and one to plot."""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter

from cekura_dashboards.stats.detect import detect
from cekura_dashboards.stats.findings import SCALES, Finding, Gap, Number, Outcome, exact, round_for_display
from cekura_dashboards.stats.outliers import LastBucket
from cekura_dashboards.stats.significance import weighted_mean, wilson_interval
from cekura_dashboards.stats.time_series import MIN_CALLS, Scale, TimeSeries, floats
from cekura_dashboards.stats.timeline import (
    DAY,
    HOUR,
    PERIODS,
    STEPS,
    UTC_CLOCK,
    Clock,
    Span,
    choose_step,
    floor_to,
    is_partial,
    iso,
    next_month,
    origin_of,
    starts,
)
from cekura_dashboards.summaries.model import (
    At,
    BarFacts,
    Bucket,
    Groups,
    GroupShown,
    OtherGroups,
    PlotSeries,
    Role,
    Series,
    Summary,
    WholeValue,
    WholeValues,
)

ADDITIVE = {"count", "sum"}
UNKNOWN = WholeValues()
MIN_CALLS_UNFLAGGED = 30
"""Figures based on fewer calls are flagged. A choice, by the usual rule of thumb."""


def combine(function: str, parts: Sequence[Bucket]) -> float | None:
    """One value for several buckets: the sum for count and sum, the extreme for min and max, the mean by n for avg.

    Percentiles cannot be merged: the result is their median, the typical bucket.
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


def weighted(parts: Sequence[Bucket]) -> float:
    """The mean of buckets by their calls; for percentiles, an approximation of that of all calls."""
    observed = [part for part in parts if part.value is not None]
    values = [part.value for part in observed if part.value is not None]
    return weighted_mean(values, [float(part.n or 0) for part in observed]) or statistics.fmean(values)


def merge_groups(function: str, buckets: Iterable[Bucket]) -> list[Bucket]:
    """The buckets of all groups merged into one per time, in order of time."""
    buckets = [*buckets]
    if len({bucket.time for bucket in buckets}) == len(buckets) and all(bucket.group is None for bucket in buckets):
        return sorted(buckets, key=attrgetter("time"))
    by_time = defaultdict[float, list[Bucket]](list)
    for bucket in buckets:
        by_time[bucket.time].append(bucket)
    return [_merged(function, time, parts) for time, parts in sorted(by_time.items())]


def _merged(function: str, time: float, parts: Sequence[Bucket]) -> Bucket:
    if len(parts) > 1:
        return Bucket(time, combine(function, parts), total(parts))
    part = parts[0]
    return part if part.group is None else Bucket(time, part.value, part.n)


def total(parts: Iterable[Bucket]) -> int | None:
    """The calls in these buckets; None if any number is unknown."""
    calls = 0
    for part in parts:
        if part.n is None:
            return None
        calls += part.n
    return calls


def end_of(bucket: Bucket, period: str) -> float:
    """The end of a bucket of the API's ``time_period``."""
    return next_month(bucket.time) if period == "month" else bucket.time + STEPS[PERIODS.get(period, "1d")]


def is_cut(bucket: Bucket, period: str, span: Span) -> bool:
    """Whether the window, or now, cuts this bucket."""
    return is_partial(bucket.time, end_of(bucket, period) - bucket.time, span)


def fill_empty(function: str, period: str, buckets: list[Bucket], span: Span) -> list[Bucket]:
    """For count and sum, add 0 for times without a row; others stay missing. ``buckets``: in order of time."""
    if period == "month" or function not in ADDITIVE:
        return buckets
    present = {bucket.time for bucket in buckets}
    step = STEPS[PERIODS.get(period, "1d")]
    empty = [Bucket(time, 0, 0) for time in starts(span, step) if time not in present]
    zeroed = [Bucket(b.time, 0, 0) if b.value is None and not b.n else b for b in buckets]
    return sorted([*zeroed, *empty]) if empty else zeroed


def extremes(function: str, period: str, buckets: list[Bucket], span: Span) -> dict[str, At]:
    """``highest`` and ``lowest`` among complete buckets with at least five calls."""
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
    """At most ``points`` aligned buckets; neighbours are merged if the API sent more."""
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
    """The n of each bucket; None for a count, which is its own n, or if all are unknown."""
    return None if function == "count" or all(n is None for n in counts) else counts


def display_value(function: str, value: float | None) -> Number | None:
    """A value rounded for display; counts stay exact."""
    if value is None:
        return None
    return exact(value) if function == "count" else round_for_display(float(value))


MAX_GROUPS = 15


def largest_groups(by: str, rows: list[tuple[str | None, int | None, float | None]], columns: list[str]) -> Groups:
    """``rows``: (group, n, value). The largest 15 by n come first; equal ones by name."""
    ordered = sorted(rows, key=lambda row: (-(row[1] or 0), -(abs(row[2] or 0)), str(row[0])))
    rest = ordered[MAX_GROUPS:]
    return Groups(
        by=by,
        columns=columns,
        top=[GroupShown(name, n, _shown(value)) for name, n, value in ordered[:MAX_GROUPS]],
        other=OtherGroups(groups=len(rest), n=sum(n or 0 for _, n, _ in rest)) if rest else None,
    )


def _shown(value: float | None) -> Number | None:
    """A value for display; whole values, such as counts, stay exact."""
    if value is None:
        return None
    return exact(value) if float(value).is_integer() else round_for_display(value)


MIN_RELATIVE_DIFFERENCE = 0.01
"""A mean of buckets that differs by more from the mean of calls, relatively, is shown too. A choice."""
STABLE_FROM = {"p50": 20.0, "p95": 200.0, "p99": 1000.0, "min": math.inf, "max": math.inf}
"""The calls in a bucket from which its value hardly depends on their number: 10 above the percentile. A choice."""


def bar(
    buckets: list[Bucket],
    span: Span,
    *,
    function: str,
    period: str,
    unit: str,
    points: int,
    coarse: int = 0,
    by: str | None = None,
    clock: Clock = UTC_CLOCK,
    tested: Outcome | None = None,
    whole: WholeValues = UNKNOWN,
) -> Summary:
    """``period``: the API's bucket. ``by``: the grouping.

    ``whole``: the percentiles of all calls.
    ``tested``: the findings from a longer history; None: the buckets themselves are tested. No buckets give n = 0 and
    no facts.
    """
    measured = [b for b in buckets if b.value is not None]
    if not measured:
        gaps: list[Finding] = [item for item in (tested.findings if tested else None) or [] if isinstance(item, Gap)]
        return Summary(kind="bar", unit=unit, n=0, facts=BarFacts(), findings=gaps or None)
    timed = fill_empty(function, period, merge_groups(function, buckets), span)
    overall = combine(function, measured)
    n = total(measured)
    if n is None and function == "count":
        n = round(overall or 0)
    name, of_all = _name(function, len(timed)), whole.of_all
    facts: dict[str, object] = {name: display_value(function, overall)}
    if of_all is not None:
        facts = {function: display_value(function, of_all.value)}
    if function == "avg" and overall is not None:
        facts |= _mean_facts(measured, overall, n, unit)
    merges = is_merged(function, by)
    if merges:
        facts |= extremes(function, period, timed, span)
    notes = _notes(function, period, timed, span)
    if not merges:
        notes.append(f"{function} of several groups cannot be merged, so there is no series; see the groups")
    if of_all is not None and of_all.parts:
        shown = " and ".join(str(display_value(function, part)) for part in of_all.parts)
        notes.append(f"{function} of all calls lies between those of the two months, {shown}")
    groups = _group_rows(function, measured, whole.by_group) if by else []
    outcome = Outcome()
    if merges:
        outcome = tested or bar_outcome(function, period, unit, timed, span, clock, span)
    return Summary(
        kind="bar",
        unit=unit,
        n=n,
        facts=BarFacts.model_validate(facts),
        series=series(function, period, timed, span, points) if merges else None,
        coarser=series(function, period, timed, span, coarse) if merges else None,
        groups=largest_groups(by, groups, ["group", "n", function if whole.by_group else name]) if by else None,
        findings=outcome.findings,
        changes=outcome.changes,
        not_tested=outcome.not_tested,
        notes=[*notes, *outcome.notes],
    )


def is_merged(function: str, by: str | None) -> bool:
    """Whether the groups of a chart can be merged into one series."""
    return by is None or function in {*ADDITIVE, "avg", "min", "max"}


def bar_outcome(
    function: str,
    period: str,
    unit: str,
    timed: list[Bucket],
    span: Span,
    clock: Clock,
    window: Span,
) -> Outcome:
    """Trend, steps, unusual buckets and outages in the complete buckets of ``span`` that lie in ``window``."""
    if period not in {"hour", "day"}:
        return Outcome(not_tested=[f"trend, steps, outliers, outages: {period}s are too few"])
    time_series, counts = bar_time_series(function, period, unit, timed, span)
    return detect(
        time_series, counts, window=window, clock=clock, last_bucket=last_bucket(function, period, timed, span)
    )


def last_bucket(function: str, period: str, timed: Sequence[Bucket], span: Span) -> LastBucket | None:
    """The bucket that the end of a span cuts, with its calls; None if there is none, or they are unknown."""
    step = STEPS[PERIODS[period]]
    start = floor_to(span.end, step, origin_of(span, step))
    if start >= span.end:
        return None
    bucket = next((bucket for bucket in reversed(timed) if bucket.time == start), Bucket(start, 0, 0))
    calls = bucket.value if function == "count" else bucket.n
    return None if calls is None else LastBucket(start, span.end, calls)


def bar_time_series(
    function: str, period: str, unit: str, timed: list[Bucket], span: Span
) -> tuple[TimeSeries, TimeSeries | None]:
    """The values and the numbers of calls of the complete buckets; the latter None if unknown."""
    step = STEPS[PERIODS[period]]
    whole = [time for time in starts(span, step) if span.start <= time <= span.end - step]
    buckets_by_time = {bucket.time: bucket for bucket in timed}
    present = [buckets_by_time.get(time) for time in whole]
    times, sizes = floats(whole), floats([0 if bucket is None else bucket.n for bucket in present])
    scales: dict[str, Scale] = {"count": "count", "sum": "sum"}
    scale: Scale = scales.get(function, "rate" if unit in SCALES and function == "avg" else "positive")
    time_series = TimeSeries(
        times,
        floats([None if bucket is None else bucket.value for bucket in present]),
        sizes,
        step,
        scale=scale,
        is_mergeable=function in {*ADDITIVE, "avg"},
        rate_unit=SCALES.get(unit, 1.0),
        stable_from=STABLE_FROM.get(function, 0.0),
    )
    if function == "count":
        return time_series, time_series
    return time_series, TimeSeries(times, sizes, sizes, step, scale="count") if time_series.knows_calls else None


def _name(function: str, buckets: int) -> str:
    """The name of the value for the whole window, because a percentile of several buckets is not one of all calls."""
    if buckets == 1 and function not in {*ADDITIVE, "avg"}:
        return function
    if function in ADDITIVE:
        return "total"
    if function == "avg":
        return "overall"
    return function if function in {"min", "max"} else f"typical_bucket_{function}"


def _mean_facts(buckets: list[Bucket], overall: float, n: int | None, unit: str) -> dict[str, object]:
    facts: dict[str, object] = {}
    scale = SCALES.get(unit)
    if scale and n:
        facts["ci95"] = [
            round_for_display(scale * bound) for bound in wilson_interval(min(1.0, max(0.0, overall / scale)), n)
        ]
    plain = statistics.fmean(b.value for b in buckets if b.value is not None)
    if abs(plain - overall) > MIN_RELATIVE_DIFFERENCE * abs(overall):
        facts["mean_of_buckets"] = round_for_display(plain)
    return facts


def _notes(function: str, period: str, timed: list[Bucket], span: Span) -> list[str]:
    notes = list[str]()
    if function in ADDITIVE:
        empty = sum(1 for b in timed if b.value == 0 and b.n == 0)
        if empty:
            notes.append(f"{empty} {period} buckets without calls count as 0")
    else:
        few = sum(1 for b in timed if b.n is not None and b.n < MIN_CALLS_UNFLAGGED and not is_cut(b, period, span))
        if few:
            notes.append(f"{few} of {len(timed)} {period} buckets rest on fewer than {MIN_CALLS_UNFLAGGED} calls")
        if any(b.n is None for b in timed):
            notes.append("the API gave no sample counts, so buckets weigh the same")
    return notes


def _group_rows(
    function: str, buckets: list[Bucket], whole: Mapping[str | None, WholeValue]
) -> list[tuple[str | None, int | None, float | None]]:
    names = dict.fromkeys(b.group for b in buckets)
    buckets_by_group = {name: [b for b in buckets if b.group == name] for name in names}
    return [
        (
            name,
            round(combine(function, parts) or 0) if function == "count" else total(parts),
            whole[name].value if name in whole else combine(function, parts),
        )
        for name, parts in buckets_by_group.items()
    ]


MAX_GROUPS_DRAWN = 7


def bar_plot_series(
    function: str, period: str, buckets: Sequence[Bucket], span: Span, *, role: Role = "current", by_group: bool = False
) -> list[PlotSeries]:
    """The series of all groups together, if they can be merged; then, if requested, the largest groups in order."""
    observed = [bucket for bucket in buckets if bucket.value is not None]
    if not observed:
        return []
    all_series = list[PlotSeries]()
    if is_merged(function, "group" if by_group else None):
        all_series.append(_bar_series(function, period, observed, span, role, None))
    if not by_group:
        return all_series
    groups = defaultdict[str | None, list[Bucket]](list)
    for bucket in observed:
        groups[bucket.group].append(bucket)
    sizes = {
        name: sum((b.value if function == "count" else b.n) or 0 for b in buckets_of_group)
        for name, buckets_of_group in groups.items()
    }
    largest = sorted(groups, key=lambda name: (-sizes[name], str(name)))[:MAX_GROUPS_DRAWN]
    return [*all_series, *(_bar_series(function, period, groups[name], span, "group", name) for name in largest)]


def _bar_series(
    function: str, period: str, buckets: Sequence[Bucket], span: Span, role: Role, label: str | None
) -> PlotSeries:
    buckets_by_time = {
        bucket.time: bucket for bucket in fill_empty(function, period, merge_groups(function, buckets), span)
    }
    step = STEPS.get(PERIODS.get(period, ""), DAY)
    times = starts(span, step)
    if period == "month" or not buckets_by_time.keys() <= {*times}:
        times, step = (
            sorted(buckets_by_time),
            DAY if all(time % DAY == min(buckets_by_time) % DAY for time in buckets_by_time) else HOUR,
        )
    rows = [buckets_by_time.get(time) for time in times]
    sizes = [row.n if row is not None else 0 for row in rows]
    return PlotSeries(
        role=role,
        label=label,
        start=iso(times[0], step=step, zone=span.zone),
        step_s=step,
        at=places_of(times, step),
        value=[display_value(function, row.value) if row is not None else None for row in rows],
        n=None if function == "count" or all(n is None for n in sizes) else sizes,
        partial=[
            i
            for i, (time, row) in enumerate(zip(times, rows, strict=True))
            if row is not None and is_partial(time, end_of(row, period) - time, span)
        ]
        or None,
    )


def places_of(times: Sequence[float], step: int) -> list[int] | None:
    """The step index of each time; None if they are consecutive."""
    places = [round((time - times[0]) / step) for time in times]
    return None if places == [*range(len(places))] else places
