"""Bars: one value per bucket of time."""

import math
import statistics

from cekura_dashboards.stats.detect import detect
from cekura_dashboards.stats.findings import Outcome
from cekura_dashboards.stats.numbers import SCALES, round_for_display, wilson_interval
from cekura_dashboards.stats.time_series import Scale, TimeSeries
from cekura_dashboards.stats.timeline import PERIODS, STEPS, UTC_CLOCK, Clock, Span, is_partial, starts
from cekura_dashboards.summaries.buckets import (
    ADDITIVE,
    MIN_CALLS_UNFLAGGED,
    combine,
    display_value,
    extremes,
    fill_empty,
    is_cut,
    merge_groups,
    series,
    total,
)
from cekura_dashboards.summaries.model import BarFacts, Bucket, Summary, largest_groups

MIN_RELATIVE_DIFFERENCE = 0.01
"""A mean of buckets that differs by more, relative to the mean of calls, is shown beside it. A choice."""
STABLE_FROM = {"p50": 20.0, "p95": 200.0, "p99": 1000.0, "min": math.inf, "max": math.inf}
"""The calls in a bucket from which on its value hardly depends on their number: 10 above the percentile. A choice."""


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
) -> Summary:
    """``period``: the API's own bucket. ``by``: what the buckets are grouped by.

    ``tested``: the findings in more of its history; None: the buckets themselves are tested. No buckets give n = 0 and
    no facts.
    """
    measured = [b for b in buckets if b.value is not None]
    if not measured:
        return Summary(kind="bar", unit=unit, n=0, facts=BarFacts())
    timed = fill_empty(function, period, merge_groups(function, buckets), span)
    overall = combine(function, measured)
    n = total(measured)
    if n is None and function == "count":
        n = round(overall or 0)
    facts: dict[str, object] = {_name(function): display_value(function, overall)}
    if function == "avg" and overall is not None:
        facts |= _mean_facts(measured, overall, n, unit)
    merges = is_merged(function, by)
    if merges:
        facts |= extremes(function, period, timed, span)
    notes = _notes(function, period, timed, span)
    if not merges:
        notes.append(f"{function} of several groups cannot be merged, so there is no series; see the groups")
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
        groups=largest_groups(by, _group_rows(function, measured), ["group", "n", _name(function)]) if by else None,
        findings=outcome.findings,
        not_tested=outcome.not_tested,
        notes=notes,
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
    """Trend, steps, unusual buckets and gaps in the full buckets of ``span``, those that lie in ``window``."""
    if period not in {"hour", "day"}:
        return Outcome(not_tested=[f"trend, steps, unusual, gaps: {period}s are too few"])
    time_series, counts = bar_time_series(function, period, unit, timed, span)
    return detect(time_series, counts, window=window, clock=clock)


def bar_time_series(
    function: str, period: str, unit: str, timed: list[Bucket], span: Span
) -> tuple[TimeSeries, TimeSeries | None]:
    """The values and the numbers of calls of the full buckets; the latter None where they are not known."""
    step = STEPS[PERIODS[period]]
    whole = [time for time in starts(span, step) if not is_partial(time, step, span)]
    buckets_by_time = {bucket.time: bucket for bucket in timed}
    sizes: list[float | None] = [buckets_by_time[time].n if time in buckets_by_time else 0 for time in whole]
    values = [buckets_by_time[time].value if time in buckets_by_time else None for time in whole]
    scales: dict[str, Scale] = {"count": "count", "sum": "sum"}
    scale: Scale = scales.get(function, "rate" if unit in SCALES and function == "avg" else "positive")
    time_series = TimeSeries(
        whole,
        values,
        sizes,
        step,
        scale=scale,
        is_mergeable=function in {*ADDITIVE, "avg"},
        rate_unit=SCALES.get(unit, 1.0),
        stable_from=STABLE_FROM.get(function, 0.0),
    )
    if function == "count":
        return time_series, time_series
    if any(n is None for n in sizes):
        return time_series, None
    return time_series, TimeSeries(whole, sizes, sizes, step, scale="count")


def _name(function: str) -> str:
    """What the value for the whole window is called."""
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


def _group_rows(function: str, buckets: list[Bucket]) -> list[tuple[str | None, int | None, float | None]]:
    names = dict.fromkeys(b.group for b in buckets)
    buckets_by_group = {name: [b for b in buckets if b.group == name] for name in names}
    return [
        (
            name,
            round(combine(function, parts) or 0) if function == "count" else total(parts),
            combine(function, parts),
        )
        for name, parts in buckets_by_group.items()
    ]
