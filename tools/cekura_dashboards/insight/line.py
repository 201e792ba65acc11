"""Lines: one value per call."""

import math
import statistics
from bisect import bisect_right

from cekura_dashboards.insight.buckets import TOO_FEW
from cekura_dashboards.insight.course import Course
from cekura_dashboards.insight.findings import Outcome, examine
from cekura_dashboards.insight.groups import grouped
from cekura_dashboards.insight.model import Point, Series, Summary
from cekura_dashboards.insight.numbers import quantile, sig, wilson
from cekura_dashboards.insight.timeline import STEPS, Span, choose_step, is_partial, iso, starts

FINE = ("5m", "15m", "1h", "1d")
MOST_TESTED, USUAL_N = 750, 10


def line(
    points_in: list[Point], span: Span, *, unit: str, boolean: bool, points: int, by: str | None = None
) -> Summary:
    """``boolean``: the values are 0 and 1, and a rate is told instead of a distribution.

    One call gives its value as mean and every percentile; none gives n = 0 and no facts.
    """
    known = [p for p in points_in if p.value is not None]
    nulls = len(points_in) - len(known)
    if not known:
        facts: dict[str, object] = {"nulls": nulls} if nulls else {}
        return Summary(kind="line", unit=unit, n=0, facts=facts)
    values = sorted(p.value for p in known if p.value is not None)
    mean = statistics.fmean(values)
    if boolean:
        facts = {"rate": sig(mean), "ci95": [sig(bound) for bound in wilson(mean, len(values))]}
    else:
        facts = {
            "mean": sig(mean),
            "sd": sig(statistics.stdev(values)) if len(values) > 1 else None,
            **{f"p{q}": sig(quantile(values, q / 100)) for q in (5, 50, 95, 99)},
            "min": _call(min(known, key=lambda p: (p.value or 0, p.time))),
            "max": _call(max(known, key=lambda p: (p.value or 0, -p.time))),
        }
    if nulls:
        facts["nulls"] = nulls
    found = _tested(known, span)
    return Summary(
        kind="line",
        unit=unit,
        n=len(known),
        facts={name: value for name, value in facts.items() if value is not None},
        series=_series(known, span, points, "rate" if boolean else "mean"),
        groups=grouped(by, _group_rows(known), ["group", "n", "rate" if boolean else "mean"]) if by else None,
        findings=found.findings,
        not_tested=found.not_tested,
    )


def _call(point: Point) -> list[object]:
    return [sig(point.value or 0), iso(point.time), point.id]


def _series(known: list[Point], span: Span, points: int, measure: str) -> Series | None:
    if points <= 0:
        return None
    name = choose_step(span, points)
    step = STEPS[name]
    times = starts(span, step)[-points:]
    sums, counts = [0.0] * len(times), [0] * len(times)
    for point in known:
        place = bisect_right(times, point.time) - 1
        if place >= 0 and point.value is not None:
            sums[place] += point.value
            counts[place] += 1
    return Series(
        measure=measure,
        start=iso(times[0], step=step),
        step=name,
        value=[sig(s / n) if n else None for s, n in zip(sums, counts, strict=True)],
        n=list(counts),
        partial=[i for i, time in enumerate(times) if is_partial(time, step, span)],
    )


def _tested(known: list[Point], span: Span) -> Outcome:
    """Trend, steps, unusual buckets and gaps, in the shortest buckets that hold ten calls on average."""
    fitting = [name for name in FINE if len(starts(span, STEPS[name])) <= MOST_TESTED]
    filling = [name for name in fitting if len(known) >= USUAL_N * len(starts(span, STEPS[name]))]
    step = STEPS[(filling or fitting)[0 if filling else -1]] if fitting else STEPS["1d"]
    whole = [time for time in starts(span, step) if not is_partial(time, step, span)]
    if not whole:
        return Outcome(not_tested=["trend, steps, unusual, gaps: no full bucket"])
    held: list[list[float]] = [[] for _ in whole]
    for point in known:
        place = bisect_right(whole, point.time) - 1
        if place >= 0 and point.value is not None and point.time < whole[place] + step:
            held[place].append(point.value)
    spread = statistics.pstdev(p.value for p in known if p.value is not None)
    sizes: list[float | None] = [len(values) for values in held]
    means = [statistics.fmean(values) if len(values) >= TOO_FEW else None for values in held]
    errors = [spread / math.sqrt(len(values)) if values else 0.0 for values in held]
    counts = Course(whole, sizes, sizes, [0.0] * len(whole), step, additive=True, counted=True)
    return examine(Course(whole, means, sizes, errors, step), counts, zone=span.zone)


def _group_rows(known: list[Point]) -> list[tuple[str | None, int | None, float | None]]:
    held = dict[str | None, list[float]]()
    for point in known:
        if point.value is not None:
            held.setdefault(point.group, []).append(point.value)
    return [(name, len(values), statistics.fmean(values)) for name, values in held.items()]
