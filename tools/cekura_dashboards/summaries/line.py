"""Lines: one value per call.

Calls are two arrays, of times and of values: a million take 16 MB.
"""

import math
from collections.abc import Callable, Sequence

from msgspec import Struct, field

from cekura_dashboards.stats.detect import detect
from cekura_dashboards.stats.findings import Finding, Gap, Number, Outcome, round_for_display
from cekura_dashboards.stats.outliers import LAG, LastBucket, detect_outages
from cekura_dashboards.stats.significance import SampleBucket, wilson_interval
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
from cekura_dashboards.values import Array, Places, np

MINUTES_UP_TO = 2.6 * DAY
"""In windows up to this length calls are grouped by minute, in longer ones by hour. A choice, to save memory."""


def grain_of(span: Span) -> int:
    """The length of a group of calls in a window, in seconds."""
    return MINUTE if span.end - span.start <= MINUTES_UP_TO else HOUR


class CallValues(Struct, frozen=True, eq=False):
    """The calls of a line with a value, in order of time: ``times`` in seconds since 1970.

    ``nulls``: how many have no value. ``lowest``, ``highest``: single calls, the earliest of equal ones. ``groups``:
    the values of each group, and ``group_times`` their times, in the order in which the calls came; empty where the
    calls are not grouped.
    """

    times: Array
    values: Array
    nulls: int = 0
    lowest: Point | None = None
    highest: Point | None = None
    groups: dict[str | None, Array] = field(default_factory=dict["str | None", "Array"])
    group_times: dict[str | None, Array] = field(default_factory=dict["str | None", "Array"])

    @classmethod
    def of(
        cls,
        times: Array,
        values: Array,
        id_of: Callable[[int], int | str | None],
        *,
        nulls: int = 0,
        groups: Sequence[str | None] = (),
    ) -> "CallValues":
        """From calls with a value, in any order. ``id_of``: returns the id of a call by its position."""
        names = {name: code for code, name in enumerate(dict.fromkeys(groups))}
        codes = np.array([names[name] for name in groups], np.intp)
        parts = {name: values[codes == code] for name, code in names.items()}
        part_times = {name: times[codes == code] for name, code in names.items()}
        extremes = [_extreme(times, values, sign, id_of) for sign in (1, -1)]
        if (times[1:] < times[:-1]).any():
            order = np.argsort(times, kind="stable")
            times, values = times[order], values[order]
        return cls(times, values, nulls, extremes[0], extremes[1], parts, part_times)

    def __len__(self) -> int:
        return len(self.times)

    def cut(self, starts: Sequence[float], step: float) -> Places:
        """The positions among the calls where buckets begin, and where the last one ends."""
        return np.searchsorted(self.times, [*starts, starts[-1] + step])

    def by_group(self) -> dict[str | None, "CallValues"]:
        """The calls of each group; empty where they are not grouped."""
        orders = {name: np.argsort(times, kind="stable") for name, times in self.group_times.items()}
        return {
            name: CallValues(self.group_times[name][order], self.groups[name][order]) for name, order in orders.items()
        }

    def means(self, edges: Places) -> Array:
        """The mean of the calls in each bucket, NaN for none. ``edges``: from ``cut``."""
        means: Array = _of_buckets(np.add, self.values, edges) / np.diff(edges).clip(1)
        return means

    def by_day(self, days: Sequence[float]) -> list[SampleBucket]:
        """The calls of each day that has any, with their mean and sum of squares. ``days``: the starts of days."""
        if not len(self):
            return []
        edges = np.append(np.searchsorted(self.times, days), len(self))
        edges[0] = 0
        squares = _of_buckets(np.add, self.values * self.values, edges).tolist()
        rows = zip(days, np.diff(edges).tolist(), self.means(edges).tolist(), squares, strict=True)
        return [SampleBucket(*row) for row in rows if row[1]]


def _of_buckets(reduce: "np.ufunc", values: Array, edges: Places) -> Array:
    """The sum, least or greatest value of each bucket, NaN for an empty one."""
    results, filled = np.full(len(edges) - 1, np.nan), np.flatnonzero(np.diff(edges))
    if len(filled):
        results[filled] = reduce.reduceat(values[: edges[-1]], edges[filled])
    return results


def _extreme(times: Array, values: Array, sign: int, id_of: Callable[[int], int | str | None]) -> Point | None:
    """The lowest call, or with a sign of -1 the highest; the earliest of equal ones. None without calls."""
    if not len(values):
        return None
    extreme = values.min() if sign > 0 else values.max()
    alike = np.flatnonzero(values == extreme)
    earliest: list[int] = alike[times[alike] == times[alike].min()].tolist()
    place = min(earliest, key=lambda place: str(id_of(place)))
    return Point(float(times[place]), float(values[place]), id_of(place))


STEPS_TESTED = ("1h", "1d")
MAX_TESTED, MIN_MEAN_CALLS = 750, 10
"""The maximum hours to test, one month, and the minimum calls per hour on average. Choices."""
PERCENTILES = (5, 50, 95, 99)
PIECE = 1 << 14
"""Calls to process at once where a copy of all would take memory. A choice."""


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
    """``boolean``: the values are 0 and 1, so that a rate replaces the distribution.

    ``tested``: the findings from a longer history; None: the calls themselves are tested. One call gives its value
    as mean and every percentile; none gives n = 0 and no facts.
    """
    values = calls.values
    if not len(values):
        gaps: list[Finding] = [item for item in (tested.findings if tested else None) or [] if isinstance(item, Gap)]
        return Summary(kind="line", unit=unit, n=0, facts=LineFacts(nulls=calls.nulls or None), findings=gaps or None)
    mean = float(values.mean())
    facts = LineFacts(nulls=calls.nulls or None)
    if boolean:
        interval = [round_for_display(bound) for bound in wilson_interval(mean, len(values))]
        facts = facts.model_copy(update={"rate": round_for_display(mean), "ci95": interval})
    else:
        spread = math.sqrt(_sum_of_squares(values, mean) / (len(values) - 1)) if len(values) > 1 else None
        facts = facts.model_copy(
            update={
                "mean": round_for_display(mean),
                "sd": None if spread is None else round_for_display(spread),
                **_percentiles(values),
                "min": _call(calls.lowest),
                "max": _call(calls.highest),
            }
        )
    outcome = tested or _outcome(calls, span, boolean=boolean, clock=clock)
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
        changes=outcome.changes,
        not_tested=outcome.not_tested,
        notes=outcome.notes,
    )


def _outcome(calls: CallValues, span: Span, *, boolean: bool, clock: Clock) -> Outcome:
    values, counts = line_time_series(calls, span, boolean=boolean)
    last_bucket = _last_bucket(calls, span, int(counts.step))
    return detect(values, counts, window=span, clock=clock, last_bucket=last_bucket)


def outage_of_hours(calls: CallValues, span: Span, clock: Clock) -> list[Gap]:
    """The outages that overlap the last day, by the hour."""
    if float(calls.times[-1]) >= span.end - LAG:
        return []
    _, counts = line_time_series(calls, span, boolean=False, step=HOUR)
    today = Span(floor_to(span.end, DAY), span.end, span.zone)
    return detect_outages(counts, today, clock, _last_bucket(calls, span, HOUR))


def _last_bucket(calls: CallValues, span: Span, step: int) -> LastBucket | None:
    start = floor_to(span.end, step, origin_of(span, step))
    return LastBucket(start, span.end, float((calls.times >= start).sum())) if start < span.end else None


def _sum_of_squares(values: Array, mean: float) -> float:
    """The sum of squared differences from the mean, in parts to save memory."""
    parts = (values[start : start + PIECE] for start in range(0, len(values), PIECE))
    return math.fsum(float(((part - mean) ** 2).sum()) for part in parts)


def _percentiles(values: Array) -> dict[str, Number]:
    """Linear between order statistics. Source: Hyndman and Fan (1996), definition 7."""
    quantiles = np.quantile(values, [q / 100 for q in PERCENTILES]).tolist()
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
    edges = calls.cut(times, step)
    return Series(
        measure=measure,
        start=iso(times[0], step=step),
        step=name,
        value=_displayed(calls.means(edges)),
        n=np.diff(edges).tolist(),
        partial=[i for i, time in enumerate(times) if is_partial(time, step, span)] or None,
    )


def _displayed(values: Array) -> list[Number | None]:
    """Values rounded for display, NaN as None."""
    return [None if math.isnan(value) else round_for_display(value) for value in values.tolist()]


def line_time_series(
    calls: CallValues, span: Span, *, boolean: bool, step: int | None = None
) -> tuple[TimeSeries, TimeSeries]:
    """The means and the numbers of calls by hour, or by day if hours have fewer than ten calls on average."""
    if step is None:
        fitting = [name for name in STEPS_TESTED if len(starts(span, STEPS[name])) <= MAX_TESTED]
        filling = [name for name in fitting if len(calls) >= MIN_MEAN_CALLS * len(starts(span, STEPS[name]))]
        step = STEPS[(filling or STEPS_TESTED[-1:])[0]]
    whole = [time for time in starts(span, step) if not is_partial(time, step, span)]
    times = floats(whole)
    edges = calls.cut(whole, step) if whole else np.zeros(1, np.intp)
    sizes, means = np.diff(edges).astype(np.float64), calls.means(edges)
    return (
        TimeSeries(times, means, sizes, step, scale="rate" if boolean else "positive"),
        TimeSeries(times, sizes, sizes, step, scale="count"),
    )


def _group_rows(calls: CallValues) -> list[tuple[str | None, int | None, float | None]]:
    return [(name, len(values), float(values.mean())) for name, values in calls.groups.items()]


RATE_POINTS = 120
"""The calls that a rate needs per point."""
SPARSE = 2
"""If fewer than one in this many steps has data, the steps with data are listed."""


def line_plot_series(calls: CallValues, span: Span, *, boolean: bool, role: Role = "current") -> list[PlotSeries]:
    """The mean, minimum and maximum of the calls in each short step; for booleans the rate."""
    if not len(calls):
        return []
    step = max(grain_of(span), STEPS[choose_step(span, RATE_POINTS)] if boolean else 0)
    times = starts(span, step)
    edges = calls.cut(times, step)
    counts = np.diff(edges)
    filled = np.flatnonzero(counts)
    if not len(filled):
        return []
    if len(filled) * SPARSE < len(times):
        times, edges, counts = [times[i] for i in filled], edges[[*filled, filled[-1] + 1]], counts[filled]
    spread = not boolean and bool((counts > 1).any())
    return [
        PlotSeries(
            role=role,
            start=iso(times[0], step=step, zone=span.zone),
            step_s=step,
            at=places_of(times, step),
            value=_displayed(calls.means(edges)),
            n=counts.tolist(),
            low=_displayed(_of_buckets(np.minimum, calls.values, edges)) if spread else None,
            high=_displayed(_of_buckets(np.maximum, calls.values, edges)) if spread else None,
            partial=[i for i, time in enumerate(times) if counts[i] and is_partial(time, step, span)] or None,
        )
    ]
