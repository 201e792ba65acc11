"""Lines: one value per call."""

import math
import statistics

from cekura_dashboards.insight.buckets import TOO_FEW
from cekura_dashboards.insight.calls import Calls, quantiles_of
from cekura_dashboards.insight.course import Course
from cekura_dashboards.insight.findings import Outcome, examine
from cekura_dashboards.insight.groups import grouped
from cekura_dashboards.insight.model import Point, Series, Summary
from cekura_dashboards.insight.numbers import sig, squares, wilson
from cekura_dashboards.insight.timeline import STEPS, Span, choose_step, is_partial, iso, origin_of, starts

FINE = ("5m", "15m", "1h", "1d")
MOST_TESTED, USUAL_N, USUAL_POINTS = 750, 10, 30
PERCENTILES = (5, 50, 95, 99)


def line(calls: Calls, span: Span, *, unit: str, boolean: bool, points: int, by: str | None = None) -> Summary:
    """``boolean``: the values are 0 and 1, and a rate is told instead of a distribution.

    One call gives its value as mean and every percentile; none gives n = 0 and no facts.
    """
    values = calls.values()
    if not values:
        facts: dict[str, object] = {"nulls": calls.nulls} if calls.nulls else {}
        return Summary(kind="line", unit=unit, n=0, facts=facts)
    mean = statistics.fmean(values)
    apart = squares(values, mean)
    if boolean:
        facts = {"rate": sig(mean), "ci95": [sig(bound) for bound in wilson(mean, len(values))]}
    else:
        facts = {
            "mean": sig(mean),
            "sd": sig(math.sqrt(apart / (len(values) - 1))) if len(values) > 1 else None,
            **_percentiles(calls),
            "min": _call(calls.lowest),
            "max": _call(calls.highest),
        }
    facts |= _latest(calls, span, points)
    if calls.nulls:
        facts["nulls"] = calls.nulls
    found = _tested(calls, span, math.sqrt(apart / len(values)), len(values))
    measure = "rate" if boolean else "mean"
    return Summary(
        kind="line",
        unit=unit,
        n=len(values),
        facts={name: value for name, value in facts.items() if value is not None},
        series=_series(calls, span, points, measure),
        groups=grouped(by, _group_rows(calls), ["group", "n", measure]) if by else None,
        findings=found.findings,
        not_tested=found.not_tested,
    )


def _latest(calls: Calls, span: Span, points: int) -> dict[str, object]:
    """The last two full buckets, if both hold enough calls: ``last`` as ``[when, mean]``, ``previous`` its mean."""
    name = choose_step(span, points or USUAL_POINTS)
    step = STEPS[name]
    full = [time for time in starts(span, step) if not is_partial(time, step, span)][-2:]
    parts = [[v for time, cell in calls.cells.items() if start <= time < start + step for v in cell] for start in full]
    if len(parts) < 2 or min(map(len, parts)) < TOO_FEW:  # noqa: PLR2004 - the last and the one before
        return {}
    before, last = (sig(statistics.fmean(part)) for part in parts)
    return {"last": [iso(full[1], step=step), last], "previous": before}


def _percentiles(calls: Calls) -> dict[str, object]:
    found = quantiles_of([*calls.cells.values()], [q / 100 for q in PERCENTILES])
    return {f"p{q}": sig(value) for q, value in zip(PERCENTILES, found, strict=True)}


def _call(point: Point | None) -> list[object] | None:
    return None if point is None else [sig(point.value or 0), iso(point.time), point.id]


def _series(calls: Calls, span: Span, points: int, measure: str) -> Series | None:
    if points <= 0:
        return None
    name = choose_step(span, points)
    step = STEPS[name]
    times = starts(span, step)[-points:]
    held = calls.by(step, origin_of(span, step))
    return Series(
        measure=measure,
        start=iso(times[0], step=step),
        step=name,
        value=[sig(statistics.fmean(held[time])) if time in held else None for time in times],
        n=[len(held[time]) if time in held else 0 for time in times],
        partial=[i for i, time in enumerate(times) if is_partial(time, step, span)],
    )


def _tested(calls: Calls, span: Span, sd: float, n: int) -> Outcome:
    """Trend, steps, unusual buckets and gaps, in the shortest buckets that hold ten calls on average."""
    fitting = [name for name in FINE if len(starts(span, STEPS[name])) <= MOST_TESTED and STEPS[name] >= calls.grain]
    filling = [name for name in fitting if n >= USUAL_N * len(starts(span, STEPS[name]))]
    step = STEPS[(filling or fitting)[0 if filling else -1]] if fitting else STEPS["1d"]
    whole = [time for time in starts(span, step) if not is_partial(time, step, span)]
    if not whole:
        return Outcome(not_tested=["trend, steps, unusual, gaps: no full bucket"])
    by_time = calls.by(step, origin_of(span, step))
    held = [by_time.get(time, []) for time in whole]
    sizes: list[float | None] = [len(values) for values in held]
    means = [statistics.fmean(values) if values else None for values in held]
    errors = [sd / math.sqrt(len(values)) if values else 0.0 for values in held]
    counts = Course(whole, sizes, sizes, [0.0] * len(whole), step, additive=True, counted=True)
    return examine(Course(whole, means, sizes, errors, step), counts, zone=span.zone)


def _group_rows(calls: Calls) -> list[tuple[str | None, int | None, float | None]]:
    return [(name, len(values), statistics.fmean(values)) for name, values in calls.groups.items()]
