"""Bars: one value per bucket of time."""

import math
import statistics

from cekura_dashboards.insight.buckets import (
    ADDITIVE,
    FEW,
    combine,
    extremes,
    filled,
    is_cut,
    merged,
    series,
    shown,
    total,
)
from cekura_dashboards.insight.course import Course
from cekura_dashboards.insight.findings import Outcome, examine
from cekura_dashboards.insight.groups import grouped
from cekura_dashboards.insight.model import Bucket, Summary
from cekura_dashboards.insight.numbers import SCALES, sig, wilson
from cekura_dashboards.insight.timeline import PERIODS, STEPS, Span, is_partial, starts

NOTABLE = 0.01
"""An unweighted mean that differs by more, relative to the weighted one, is shown beside it."""


def bar(
    buckets: list[Bucket],
    span: Span,
    *,
    function: str,
    period: str,
    unit: str,
    points: int,
    by: str | None = None,
) -> Summary:
    """``period``: the API's own bucket. ``by``: what the buckets are grouped by.

    No buckets at all give n = 0 and no facts.
    """
    measured = [b for b in buckets if b.value is not None]
    if not measured:
        return Summary(kind="bar", unit=unit, n=0, facts={}, caveats=[])
    timed = filled(function, period, merged(function, buckets), span)
    caveats = list[str]()
    overall = combine(function, measured)
    n = total(measured)
    if n is None and function == "count":
        n = round(overall or 0)
    facts: dict[str, object] = {_name(function): shown(function, overall)}
    if function == "avg" and overall is not None:
        facts |= _mean_facts(measured, overall, n, unit)
    merges = by is None or function in {*ADDITIVE, "avg", "min", "max"}
    if merges:
        facts |= extremes(function, period, timed, span)
    caveats += _caveats(function, period, timed, span)
    if not merges:
        caveats.append(f"{function} of several groups cannot be merged, so there is no series; see the groups")
    found = _tested(function, period, timed, span, unit) if merges else Outcome()
    return Summary(
        kind="bar",
        unit=unit,
        n=n,
        facts=facts,
        series=series(function, period, timed, span, points) if merges else None,
        groups=grouped(by, _group_rows(function, measured), ["group", "n", _name(function)]) if by else None,
        findings=found.findings,
        not_tested=found.not_tested,
        caveats=caveats,
    )


def _tested(function: str, period: str, timed: list[Bucket], span: Span, unit: str) -> Outcome:
    """Trend, steps, unusual buckets and gaps, among the full buckets."""
    if period not in PERIODS:
        return Outcome(not_tested=["trend, steps, unusual, gaps: months are too few"])
    step = STEPS[PERIODS[period]]
    whole = [time for time in starts(span, step) if not is_partial(time, step, span)]
    held = {bucket.time: bucket for bucket in timed}
    additive, counted = function in ADDITIVE, function == "count"
    sizes: list[float | None] = [held[time].n if time in held else 0 for time in whole]
    values = [held[time].value if time in held else None for time in whole]
    scale = SCALES.get(unit, 0.0)
    errors = [_sampling_error(value, n, scale) for value, n in zip(values, sizes, strict=True)]
    course = Course(whole, values, sizes, errors, step, additive=additive, counted=counted)
    if counted:
        return examine(course, course, zone=span.zone)
    if any(n is None for n in sizes):
        return examine(course, zone=span.zone)
    counts = Course(whole, sizes, sizes, [0.0] * len(whole), step, additive=True, counted=True)
    return examine(course, counts, zone=span.zone)


def _sampling_error(value: float | None, n: float | None, scale: float) -> float:
    """Of a rate over n calls; 0 where it is not known."""
    if value is None or not n or not scale:
        return 0.0
    rate = (min(1.0, max(0.0, value / scale)) * n + 1) / (n + 2)
    return scale * math.sqrt(rate * (1 - rate) / n)


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
        facts["ci95"] = [sig(scale * bound) for bound in wilson(min(1.0, max(0.0, overall / scale)), n)]
    plain = statistics.fmean(b.value for b in buckets if b.value is not None)
    if abs(plain - overall) > NOTABLE * abs(overall):
        facts["unweighted"] = sig(plain)
    return facts


def _caveats(function: str, period: str, timed: list[Bucket], span: Span) -> list[str]:
    said = list[str]()
    if function in ADDITIVE:
        empty = sum(1 for b in timed if b.value == 0 and b.n == 0)
        if empty:
            said.append(f"{empty} {period} buckets without calls count as 0")
    else:
        few = sum(1 for b in timed if b.n is not None and b.n < FEW and not is_cut(b, period, span))
        if few:
            said.append(f"{few} of {len(timed)} {period} buckets rest on fewer than {FEW} calls")
        if any(b.n is None for b in timed):
            said.append("the API gave no sample counts, so buckets weigh the same")
    return said


def _group_rows(function: str, buckets: list[Bucket]) -> list[tuple[str | None, int | None, float | None]]:
    names = dict.fromkeys(b.group for b in buckets)
    held = {name: [b for b in buckets if b.group == name] for name in names}
    return [
        (
            name,
            round(combine(function, parts) or 0) if function == "count" else total(parts),
            combine(function, parts),
        )
        for name, parts in held.items()
    ]
