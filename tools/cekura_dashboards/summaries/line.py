"""Lines: one value per call."""

import math
import statistics

from cekura_dashboards.stats.detect import detect
from cekura_dashboards.stats.findings import Outcome
from cekura_dashboards.stats.numbers import Number, round_for_display, sum_of_squares, wilson_interval
from cekura_dashboards.stats.time_series import TimeSeries
from cekura_dashboards.stats.timeline import (
    STEPS,
    UTC_CLOCK,
    Clock,
    Span,
    choose_step,
    is_partial,
    iso,
    origin_of,
    starts,
)
from cekura_dashboards.summaries.calls import CallValues, quantiles_of
from cekura_dashboards.summaries.model import LineFacts, OneCall, Point, Series, Summary, largest_groups
from cekura_dashboards.text import UntrustedText

STEPS_TESTED = ("1h", "1d")
MAX_TESTED, MIN_MEAN_CALLS = 750, 10
"""The most hours that are tested, one month, and the least calls per hour on average. Choices."""
PERCENTILES = (5, 50, 95, 99)


def line(
    calls: CallValues,
    span: Span,
    *,
    unit: str,
    boolean: bool,
    points: int,
    coarse: int = 0,
    by: str | None = None,
    clock: Clock = UTC_CLOCK,
    tested: Outcome | None = None,
) -> Summary:
    """``boolean``: the values are 0 and 1, and a rate is reported instead of a distribution.

    ``tested``: the findings in more of its history; None: the calls themselves are tested. One call gives its value
    as mean and every percentile; none gives n = 0 and no facts.
    """
    values = calls.values()
    if not values:
        return Summary(kind="line", unit=unit, n=0, facts=LineFacts(nulls=calls.nulls or None))
    mean = statistics.fmean(values)
    facts = LineFacts(nulls=calls.nulls or None)
    if boolean:
        interval = [round_for_display(bound) for bound in wilson_interval(mean, len(values))]
        facts = facts.model_copy(update={"rate": round_for_display(mean), "ci95": interval})
    else:
        spread = math.sqrt(sum_of_squares(values, mean) / (len(values) - 1)) if len(values) > 1 else None
        facts = facts.model_copy(
            update={
                "mean": round_for_display(mean),
                "sd": None if spread is None else round_for_display(spread),
                **_percentiles(calls),
                "min": _call(calls.lowest),
                "max": _call(calls.highest),
            }
        )
    outcome = tested or detect(*line_time_series(calls, span, boolean=boolean), window=span, clock=clock)
    measure = "rate" if boolean else "mean"
    return Summary(
        kind="line",
        unit=unit,
        n=len(values),
        facts=facts,
        series=_series(calls, span, points, measure),
        coarser=_series(calls, span, coarse, measure),
        groups=largest_groups(by, _group_rows(calls), ["group", "n", measure]) if by else None,
        findings=outcome.findings,
        not_tested=outcome.not_tested,
    )


def _percentiles(calls: CallValues) -> dict[str, Number]:
    quantiles = quantiles_of([*calls.cells.values()], [q / 100 for q in PERCENTILES])
    return {f"p{q}": round_for_display(value) for q, value in zip(PERCENTILES, quantiles, strict=True)}


def _call(point: Point | None) -> OneCall | None:
    if point is None:
        return None
    return OneCall(
        round_for_display(point.value or 0),
        iso(point.time),
        UntrustedText(point.id) if isinstance(point.id, str) else point.id,
    )


def _series(calls: CallValues, span: Span, points: int, measure: str) -> Series | None:
    if points <= 0:
        return None
    name = choose_step(span, points)
    step = STEPS[name]
    times = starts(span, step)[-points:]
    values_by_time = calls.by(step, origin_of(span, step))
    return Series(
        measure=measure,
        start=iso(times[0], step=step),
        step=name,
        value=[
            round_for_display(statistics.fmean(values_by_time[time])) if time in values_by_time else None
            for time in times
        ],
        n=[len(values_by_time[time]) if time in values_by_time else 0 for time in times],
        partial=[i for i, time in enumerate(times) if is_partial(time, step, span)] or None,
    )


def line_time_series(
    calls: CallValues, span: Span, *, boolean: bool, step: int | None = None
) -> tuple[TimeSeries, TimeSeries]:
    """The means and the numbers of calls in hours, or in days where hours hold fewer than ten calls on average."""
    if step is None:
        n = sum(map(len, calls.cells.values()))
        fitting = [name for name in STEPS_TESTED if len(starts(span, STEPS[name])) <= MAX_TESTED]
        filling = [name for name in fitting if n >= MIN_MEAN_CALLS * len(starts(span, STEPS[name]))]
        step = STEPS[(filling or STEPS_TESTED[-1:])[0]]
    whole = [time for time in starts(span, step) if not is_partial(time, step, span)]
    by_time = calls.by(step, origin_of(span, step))
    buckets = [by_time.get(time, []) for time in whole]
    sizes: list[float | None] = [len(values) for values in buckets]
    means = [statistics.fmean(values) if values else None for values in buckets]
    return (
        TimeSeries(whole, means, sizes, step, scale="rate" if boolean else "positive"),
        TimeSeries(whole, sizes, sizes, step, scale="count"),
    )


def _group_rows(calls: CallValues) -> list[tuple[str | None, int | None, float | None]]:
    return [(name, len(values), statistics.fmean(values)) for name, values in calls.groups.items()]
