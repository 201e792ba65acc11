"""The meaning of a metric's numbers, by its type and the values that occur.

A metric that passes or fails becomes a rate of 0 to 1, however the API writes a pass: true, 1, the judge's 5, or 100.
Which one is inferred from the values of all charts of a call together, so that both sides, all groups and the
history of a measure are read alike. If the values fit several, the chart keeps them as sent, and the
answer gives each reading. Values alone never turn a rating into a rate; only the type of the metric does.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from typing import Any, Literal, NamedTuple

from cekura_dashboards.api.chart_data import BarRow, Chart, LineRow, PieRow, count_of, counts_of, number, numbers
from cekura_dashboards.api.errors import DashboardsError
from cekura_dashboards.api.models import METRIC_VALUE, Metric, WidgetConfig, plotted_type
from cekura_dashboards.charts.target import ChartReading, Target
from cekura_dashboards.context import ToolContext, gather_by_id
from cekura_dashboards.stats.findings import exact, round_for_display
from cekura_dashboards.stats.significance import wilson_interval
from cekura_dashboards.text import UntrustedText
from cekura_dashboards.values import replace

PASS = 5.0
"""The judge's score for a pass of a binary metric."""
PERCENT = 100.0
ABOVE = 1e-6
"""The relative tolerance of a maximum: averages of equal numbers may differ from them in the last digits."""
MOST_AVERAGES = 400
"""Maximum averages to check against their numbers of calls: a few dozen suffice."""
EXACT_DECIMALS = 10
"""Averages with this many decimals were not rounded."""
MAX_COINCIDENCE = 1e-6
"""The accepted probability that wrong numbers of calls fit averages of at most 1 as well as the right ones. A choice.

Above 1 the numbers of calls are trusted: only a metric that hardly ever passes has such averages in percent.
"""
QUANTILE_STEPS = {"p50": 2, "p95": 20, "p99": 100}
"""Two numbers of calls that differ by a multiple of this interpolate a percentile at the same point."""
MOST_PROJECTS = 10
"""Projects searched for a metric whose project is unknown."""
TEXT_BOOLEANS = {"true": True, "false": False}
PLAIN_SCORE = "pass = 1"
UNIT_IN_NAME = re.compile(r"[(\[](ms|s)[)\]]")
"""A unit at the end of a metric's name, such as ``Latency (ms)``."""
RATING = "rating"
Measure = int | str
"""A metric by its id, or a boolean field."""


class Encoding(NamedTuple):
    """How a pass is encoded: for a single call, and as the average of calls that all pass."""

    call: float
    average: float


ENCODINGS = (Encoding(1, 1), Encoding(1, PERCENT), Encoding(PASS, PASS), Encoding(PERCENT, PERCENT))


@dataclass
class Evidence:
    """What the values of a measure show about the encoding of a pass.

    ``top``: the largest value. ``is_boolean``: a call is true or false, which no rating is.
    """

    top: float = 0.0
    is_boolean: bool = False
    _possible: tuple[Encoding, ...] = ENCODINGS
    _averages: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    _percentiles: dict[float, set[int]] = field(default_factory=lambda: defaultdict[float, set[int]](set))

    def add_calls(self, values: Iterable[object]) -> None:
        """Values of single calls, or the lowest or highest of some."""
        for value in values:
            self.is_boolean |= isinstance(value, bool) or _boolean(value) is not None
            if known := number(_boolean(value, value)):
                self._keep(known, [e for e in self._possible if _is_near(known, e.call)])

    def add_averages(self, averages: Sequence[tuple[float, int | None]]) -> None:
        for value in {value for value, n in averages if n == 1}:
            self._keep(value, [e for e in self._possible if not value or _is_near(value, e.average)])
        of_several = {value for value, n in averages if n != 1}
        if of_several:
            low, high = min(of_several), max(of_several)
            self._keep(high, [e for e in self._possible if low >= 0 and high <= e.average * (1 + ABOVE)])
        telling = ((value, n) for value, n in averages if n and n > 1 and value > 0)
        self._averages += islice(telling, max(0, MOST_AVERAGES - len(self._averages)))

    def add_sum(self, value: float, n: int | None) -> None:
        most = math.inf if n is None else n * (1 + ABOVE)
        fitting = [e for e in self._possible if 0 <= value / e.call <= most and _is_near(_off(value, e.call), 0)]
        self._keep(value / n if n else value, fitting)

    def add_percentile(self, value: float, n: int | None, function: str) -> None:
        """A score, or a value between 0 and one, interpolated at a point that the number of calls decides."""
        self._keep(value, [e for e in self._possible if 0 <= value <= e.call * (1 + ABOVE)])
        if value and n:
            self._percentiles[value].add(n % QUANTILE_STEPS.get(function, 1))

    def _keep(self, value: float, fitting: Iterable[Encoding]) -> None:
        self.top = max(self.top, value)
        self._possible = tuple(fitting)

    @property
    def is_above_one(self) -> bool:
        return self.top > 1 + ABOVE

    def encodings(self) -> tuple[Encoding, ...]:
        """The encodings of a pass that fit all values; none if the values are neither passes nor failures."""
        scores = [value for value, points in self._percentiles.items() if len(points) > 1]
        possible = [e for e in self._possible if all(_is_near(score, e.call) for score in scores)]
        rounding = self._rounding()
        fitting = [e for e in possible if self._fits(e.average, rounding)]
        if not fitting or len(fitting) == len(possible):
            return tuple(possible)
        is_sure = self.is_above_one or self._coincidence(min(e.average for e in fitting), rounding) <= MAX_COINCIDENCE
        return tuple(fitting if is_sure else possible)

    def _rounding(self) -> float:
        """The maximum rounding error of the averages, which all have the same number of decimals."""
        decimals = max((len(repr(value).partition(".")[2]) for value, _ in self._averages), default=0)
        return 0.5 * 10.0**-decimals if decimals < EXACT_DECIMALS else 0.0

    def _fits(self, one: float, rounding: float) -> bool:
        """Whether all averages can be of scores of 0 and ``one`` of their calls."""
        return all(_off(value * n, one) <= n * (rounding + ABOVE * value) for value, n in self._averages)

    def _coincidence(self, one: float, rounding: float) -> float:
        """The chance that all averages fit as well with wrong counts of calls."""
        chance = 1.0
        for value, n in self._averages:
            parts = Fraction(value / one).limit_denominator(n).denominator
            chance *= max(1 / parts, min(1.0, 2 * n * rounding / one))
            if chance <= MAX_COINCIDENCE:
                break
        return chance


def _boolean(value: object, default: Any = None) -> Any:
    """A boolean sent as text; ``default`` for anything else."""
    return TEXT_BOOLEANS.get(value.strip().casefold(), default) if isinstance(value, str) else default


def _is_near(value: float, other: float) -> bool:
    return abs(value - other) <= ABOVE * max(1.0, abs(other))


def _off(total: float, one: float) -> float:
    """The distance of a sum from the nearest multiple."""
    return abs(total - one * round(total / one))


async def types_of_metrics(context: ToolContext, targets: Sequence[Target]) -> dict[int, Metric]:
    """The charted metrics, if they can be read."""
    wanted = {target.config.metric for target in targets if target.config.field == METRIC_VALUE} - {None}
    if not wanted:
        return {}
    charted = [target for target in targets if target.config.metric in wanted]
    projects = {project for target in charted for project in await _projects_of(context, target)}
    metrics_by_project, _ = await gather_by_id(sorted(projects), context.lookups.metrics)
    return {metric.id: metric for metrics in metrics_by_project.values() for metric in metrics if metric.id in wanted}


async def _projects_of(context: ToolContext, target: Target) -> list[int]:
    """The project of a chart, or those it may belong to."""
    try:
        project = target.project
        if project is None and target.dashboard is not None:
            project = (await context.lookups.dashboard(target.dashboard)).project
        if project is None:
            project = context.settings.project_id
        if project is not None:
            return [project]
        return [seen_project.id for seen_project in await context.lookups.projects()][:MOST_PROJECTS]
    except DashboardsError:
        return []


def in_one_form(
    readings: Sequence[ChartReading], metrics: Mapping[int, Metric], evidence: dict[Measure, Evidence]
) -> list[ChartReading]:
    """The readings, all rates of one measure in one unit. ``evidence``: of each measure; updated here."""
    for reading in readings:
        measure = _measure(reading.target.config)
        if reading.chart is not None and measure is not None and _family(measure, metrics) in {"binary", None}:
            _add(evidence.setdefault(measure, Evidence()), reading.target.config, reading.chart)
    return [_in_form(_of_evaluated(reading), metrics, evidence) for reading in readings]


def _of_evaluated(reading: ChartReading) -> ChartReading:
    """A pie of a metric without the slice of calls that were not evaluated."""
    chart = reading.chart
    is_pie = chart is not None and chart.chart_type == "pie" and reading.target.config.field == METRIC_VALUE
    if chart is None or not is_pie or all(row.label is not None for row in chart.rows):
        return reading
    rows = [replace(row, percentage=None) for row in chart.rows if row.label is not None]
    return replace(reading, chart=replace(chart, rows=rows))


def _measure(config: WidgetConfig) -> Measure | None:
    """The measure that a chart shows, if it may be a rate; None for counts of calls."""
    field = config.field or ""
    if config.chart_type == "stat":
        return "success"
    if config.chart_type == "bar" and config.aggregation_function == "count":
        return None
    if field == METRIC_VALUE:
        return config.metric
    return field if plotted_type(field) == "boolean" else None


def _family(measure: Measure, metrics: Mapping[int, Metric]) -> str | None:
    """The kind of a metric; None if its type is unknown, and for fields."""
    metric = metrics.get(measure) if isinstance(measure, int) else None
    return metric.family if metric else None


def _add(evidence: Evidence, config: WidgetConfig, chart: Chart) -> None:
    """Add the evidence in the rows of a chart."""
    match chart.chart_type:
        case "stat":
            evidence.top = max(evidence.top, number(chart.stat.get("success_rate")) or 0.0)
        case "pie":
            evidence.add_calls(row.label for row in chart.rows if number(row.value))
        case "line":
            values = [row.value for row in chart.rows if isinstance(row.value, str | int | float)]
            evidence.add_calls({(type(value), value): value for value in values}.values())
        case _:
            _add_bars(evidence, config.aggregation_function or "", chart.rows)


def _add_bars(evidence: Evidence, function: str, rows: Sequence[BarRow]) -> None:
    if function in {"min", "max"}:
        evidence.add_calls(row.value for row in rows)
        return
    values, counts = numbers(row.value for row in rows), counts_of(row.sample_count for row in rows)
    known = [(value, n) for value, n in zip(values, counts, strict=True) if value is not None]
    if function == "avg":
        evidence.add_averages(known)
        return
    for value, n in known:
        if function == "sum":
            evidence.add_sum(value, n)
        else:
            evidence.add_percentile(value, n, function)


def _in_form(
    reading: ChartReading, metrics: Mapping[int, Metric], evidence: Mapping[Measure, Evidence]
) -> ChartReading:
    chart, measure = reading.chart, _measure(reading.target.config)
    if chart is None or measure is None:
        return reading
    if isinstance(measure, str):
        unit: Literal["ratio", "percent"] = "percent" if evidence[measure].is_above_one else "ratio"
        return replace(reading, chart=replace(chart, rate_unit=unit))
    family = _family(measure, metrics)
    if family not in {"binary", None}:
        return replace(reading, chart=replace(_as_numbers(chart), unit=_unit(metrics[measure], family)))
    return _of_binary(reading, chart, evidence[measure], is_known=family is not None)


def _unit(metric: Metric, family: str | None) -> str | None:
    """The unit of a rating or number, if the API defines one: its predefined latency metrics are in milliseconds."""
    if family == "continuous":
        return RATING
    if family != "numeric":
        return None
    if "latency" in (metric.function_name or "").casefold():
        return "ms"
    match = UNIT_IN_NAME.search(metric.name or "")
    return match[1] if match else None


def _as_numbers(chart: Chart) -> Chart:
    """The values as sent, which are not a rate even if the API calls them boolean."""
    return replace(chart, data_type="numeric") if chart.data_type == "boolean" else chart


def _of_binary(reading: ChartReading, chart: Chart, evidence: Evidence, *, is_known: bool) -> ChartReading:
    """A metric that passes or fails, or that may; ``is_known``: its type says so."""
    config = reading.target.config
    averaged = chart.chart_type == "bar" and config.aggregation_function == "avg"
    encodings = evidence.encodings()
    scores = sorted({e.average if averaged else e.call for e in encodings})
    if not evidence.top:
        scores = scores[:1]
    is_known |= evidence.is_boolean or (chart.data_type == "boolean" and scores == [1.0])
    if not is_known and not evidence.top:
        return reading
    if not scores:
        note = f"no pass rate: values such as {exact(evidence.top)} are neither a pass nor a failure"
        return replace(reading, chart=_as_numbers(chart), notes=(*reading.notes, *([note] if is_known else [])))
    if is_known and len(scores) == 1:
        return _as_rate(reading, chart, scores[0], evidence)
    words = f"pass = {' or '.join(str(exact(score)) for score in scores)}"
    rates = [figure for score in scores if (figure := _figure(config.aggregation_function, chart, score))]
    readings_text = f"{words}{': ' + ' or '.join(rates) if rates else ''}"
    if is_known:
        note = "the values do not show how a pass is scored: they are as the API sent them"
    else:
        readings_text = f"a number, or if it passes or fails {readings_text}"
        note = f"the type of metric {config.metric} is unknown"
    return replace(reading, chart=_as_numbers(chart), passing=readings_text, notes=(*reading.notes, note))


def _as_rate(reading: ChartReading, chart: Chart, score: float, evidence: Evidence) -> ChartReading:
    """Scores of 0 and ``score`` as 0 and 1; the slices of a pie keep the scores as their labels."""
    is_numbered = score != 1 or (chart.chart_type == "bar" and evidence.top > 0)
    shown = replace(chart, data_type="boolean", rate_unit="ratio")
    if chart.chart_type == "pie":
        rows = [replace(row, label=_label(row)) for row in chart.rows]
        is_rate = all(row.label is None or isinstance(row.label, bool | int | float) for row in rows)
        label = "true" if score == 1 else UntrustedText(str(exact(score)))
        shown = replace(shown, rows=rows, passing_label=label if is_rate else None)
    else:
        shown = replace(shown, rows=[_scaled(row, score) for row in chart.rows])
    return replace(reading, chart=shown, passing=f"pass = {exact(score)}" if is_numbered else None)


def _label(row: PieRow) -> Any:
    label = _boolean(row.label, row.label)
    score = None if isinstance(label, bool) else number(label)
    return label if score is None else exact(score)


def _scaled(row: LineRow | BarRow, score: float) -> LineRow | BarRow:
    value = number(_boolean(row.value, row.value))
    return row if value is None or isinstance(row.value, bool) else replace(row, value=value / score)


def _figure(function: str | None, chart: Chart, score: float) -> str:
    """The rate of a chart with its interval, or its total, if this is the score of a pass; empty without either."""
    if chart.chart_type == "bar" and function not in {"avg", "sum"}:
        return ""
    if chart.chart_type == "pie":
        known = [(number(row.label), count_of(row.value)) for row in chart.rows]
    else:
        known = [(number(row.value), count_of(getattr(row, "sample_count", 1))) for row in chart.rows]
    values = [(value, n or 0) for value, n in known if value is not None]
    n = sum(weight for _, weight in values)
    if not n:
        return ""
    if function == "sum":
        return f"total {exact(math.fsum(value for value, _ in values) / score)}"
    rate = min(1.0, math.fsum(value * weight for value, weight in values) / n / score)
    low, high = (round_for_display(bound, 3) for bound in wilson_interval(rate, n))
    return f"rate {round_for_display(rate)} (95 % interval {low} to {high})"


def known_scores(values: Iterable[object]) -> str:
    """The score of a pass in words, if single values show that it is not 1: ``pass = 5``."""
    evidence = Evidence()
    evidence.add_calls(values)
    [score, *others] = sorted({e.call for e in evidence.encodings()}) or [0.0]
    return f"pass = {exact(score)}" if score > 1 and not others else ""
