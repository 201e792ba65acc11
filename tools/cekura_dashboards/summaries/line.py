"""Lines: one value per call.

Single calls in cells of a minute or an hour rather than one by one: a million of them are a few hundred lists.
"""

import math
import statistics
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cekura_dashboards.stats.detect import detect
from cekura_dashboards.stats.findings import Number, Outcome, round_for_display
from cekura_dashboards.stats.significance import sum_of_squares, wilson_interval
from cekura_dashboards.stats.time_series import TimeSeries, floats
from cekura_dashboards.stats.timeline import (
    DAY,
    HOUR,
    MINUTE,
    STEPS,
    UTC_CLOCK,
    Clock,
    Span,
    choose_step,
    floor_to,
    is_partial,
    iso,
    origin_of,
    starts,
)
from cekura_dashboards.summaries.bar import largest_groups, places_of
from cekura_dashboards.summaries.model import LineFacts, OneCall, PlotSeries, Point, Role, Series, Summary
from cekura_dashboards.text import UntrustedText

MINUTES_UP_TO = 2.6 * DAY
"""In windows up to this length cells are minutes, in longer ones hours. A choice, for memory."""


def grain_of(span: Span) -> int:
    """How long the stretches of a window are, in seconds."""
    return MINUTE if span.end - span.start <= MINUTES_UP_TO else HOUR


MAX_SORTED = 4096
"""The most values that are sorted at once. A choice: short enough for other threads to get their turn."""


@dataclass
class CallValues:
    """Values by the start of their stretch, ``grain`` seconds long. ``lowest`` and ``highest`` are single calls.

    ``groups`` is empty where the calls are not grouped. Missing values are only counted.
    """

    grain: int
    cells: dict[float, list[float]] = field(default_factory=dict[float, list[float]])
    nulls: int = 0
    lowest: Point | None = None
    highest: Point | None = None
    groups: dict[str | None, list[float]] = field(default_factory=dict[str | None, list[float]])

    @classmethod
    def of(cls, points: Iterable[Point], span: Span, *, grouped: bool = False) -> "CallValues":
        """From calls one by one, in any order."""
        call_values = cls(grain_of(span))
        cells, groups = defaultdict[float, list[float]](list), defaultdict[str | None, list[float]](list)
        for point in points:
            if point.value is None:
                call_values.nulls += 1
                continue
            cells[floor_to(point.time, call_values.grain)].append(point.value)
            if grouped:
                groups[point.group].append(point.value)
            if call_values.lowest is None or _order(point, 1) < _order(call_values.lowest, 1):
                call_values.lowest = point
            if call_values.highest is None or _order(point, -1) < _order(call_values.highest, -1):
                call_values.highest = point
        call_values.cells, call_values.groups = dict(sorted(cells.items())), dict(groups)
        return call_values

    def values(self) -> list[float]:
        return [value for cell in self.cells.values() for value in cell]

    def by(self, step: float, origin: float) -> dict[float, list[float]]:
        """The values in longer stretches, counted from ``origin``."""
        values_by_step = defaultdict[float, list[float]](list)
        for time, values in self.cells.items():
            values_by_step[floor_to(time, int(step), origin)].extend(values)
        return values_by_step


def _order(point: Point, sign: int) -> tuple[float, float, str]:
    """By value, then time, then id, so that the same calls give the same one in any order."""
    return sign * (point.value or 0.0), point.time, str(point.id)


def quantiles_of(cells: Sequence[list[float]], shares: Sequence[float]) -> list[float]:
    """Quantiles over all cells together, exactly as if they were sorted as one; sorts each cell.

    Linear between order statistics. No single step takes long, whatever the number of values, so that other threads get
    their turn.

    Source: Hyndman and Fan (1996), definition 7.

    >>> quantiles_of([[3.0, 1.0], [4.0], [2.0]], [0.5, 1.0])
    [2.5, 4.0]
    """
    for cell in cells:
        cell.sort()
    last, quantiles = sum(map(len, cells)) - 1, list[float]()
    for share in shares:
        place = share * last
        low = math.floor(place)
        bottom = _nth(cells, low)
        top = bottom if low == place else _nth(cells, low + 1)
        quantiles.append(bottom + (top - bottom) * (place - low))
    return quantiles


def _nth(cells: Sequence[list[float]], rank: int) -> float:
    """The value of this rank, from 0, over sorted cells.

    Source: selection by a weighted median of medians, Frederickson and Johnson (1982).
    """
    lows, highs = [0] * len(cells), [len(cell) for cell in cells]
    while sum(highs) - sum(lows) > MAX_SORTED:
        middles = sorted((cell[(a + b) // 2], b - a) for cell, a, b in zip(cells, lows, highs, strict=True) if a < b)
        half, cumulative, pivot = (sum(highs) - sum(lows)) / 2, 0, middles[-1][0]
        for value, weight in middles:
            cumulative += weight
            if cumulative >= half:
                pivot = value
                break
        below = [bisect_left(cell, pivot, a, b) for cell, a, b in zip(cells, lows, highs, strict=True)]
        upto = [bisect_right(cell, pivot, a, b) for cell, a, b in zip(cells, lows, highs, strict=True)]
        if rank < sum(below):
            highs = below
        elif rank >= sum(upto):
            lows = upto
        else:
            return pivot
    candidates = sorted(value for cell, a, b in zip(cells, lows, highs, strict=True) for value in cell[a:b])
    return candidates[rank - sum(lows)]


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
    times, sizes = floats(whole), floats(len(values) for values in buckets)
    means = floats(statistics.fmean(values) if values else None for values in buckets)
    return (
        TimeSeries(times, means, sizes, step, scale="rate" if boolean else "positive"),
        TimeSeries(times, sizes, sizes, step, scale="count"),
    )


def _group_rows(calls: CallValues) -> list[tuple[str | None, int | None, float | None]]:
    return [(name, len(values), statistics.fmean(values)) for name, values in calls.groups.items()]


RATE_POINTS = 120
"""A rate of true and false needs several calls to a point."""
SPARSE = 2
"""Where fewer than one in so many steps holds something, the steps that do are listed."""


def line_plot_series(calls: CallValues, span: Span, *, boolean: bool, role: Role = "current") -> list[PlotSeries]:
    """The mean of the calls in each short stretch, with the smallest and the largest; of true and false the rate."""
    if not calls.cells:
        return []
    step = max(calls.grain, STEPS[choose_step(span, RATE_POINTS)] if boolean else 0)
    values_by_time = calls.by(step, origin_of(span, step))
    times = starts(span, step)
    if len(values_by_time) * SPARSE < len(times):
        times = sorted(values_by_time)
    cells = [values_by_time.get(time, []) for time in times]
    spread = not boolean and any(len(cell) > 1 for cell in cells)
    return [
        PlotSeries(
            role=role,
            start=iso(times[0], step=step, zone=span.zone),
            step_s=step,
            at=places_of(times, step),
            value=[round_for_display(statistics.fmean(cell)) if cell else None for cell in cells],
            n=[len(cell) for cell in cells],
            low=[round_for_display(min(cell)) if cell else None for cell in cells] if spread else None,
            high=[round_for_display(max(cell)) if cell else None for cell in cells] if spread else None,
            partial=[i for i, time in enumerate(times) if cells[i] and is_partial(time, step, span)] or None,
        )
    ]
