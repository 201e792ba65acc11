"""What the numbers of a rate mean: a pass is written as 1, by Cekura's judge as 5, or in percent as 100.

Nothing documents which of them a chart shows. It is read off the metric's type and off the values that occur, in all
charts of a call together, so that each side, group and history of a measure is read alike. From here on a metric that
is scored 0 or 5 is a rate of 0 to 1 like any other, and its answers say how it was read.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cekura_dashboards.api.chart_data import BarRow, Chart, LineRow, count_of, number
from cekura_dashboards.api.errors import DashboardsError
from cekura_dashboards.api.models import METRIC_VALUE, WidgetConfig, metric_family, plotted_type
from cekura_dashboards.charts.rows import SCORED
from cekura_dashboards.charts.target import ChartReading, Target
from cekura_dashboards.context import ToolContext, gather_by_id
from cekura_dashboards.stats.numbers import exact, round_for_display
from cekura_dashboards.values import replace

PASS = 5.0
"""What the judge scores a binary metric that passes."""
PERCENT = 100.0
SLACK = 0.01
"""How far an average times its calls may be from a whole number, as averages are rounded."""
ABOVE = 1e-6
"""By so much a value must be larger, as averages of the same number may differ from it in their last digits."""
LEAST_APART = 2
"""Averages that scores of 0 and 5 cannot have; fewer may come from a wrong number of calls."""
MOST_PROJECTS = 10
"""Projects in which a metric is looked for where it is not known of which one it is."""
PASS_IS_1, PASS_IS_5 = "pass = 1", "pass = 5"
"""How it is said what a pass is scored."""
Measure = int | str
"""A metric by its id, or a field that is true or false."""
Form = Literal["1", "5", "1 or 5", "percent"]
UNCERTAIN = "a pass may be scored 1 or 5, which averages of at most 1 cannot tell; shown as if it were 1"


@dataclass
class Numbers:
    """What was seen of a measure's numbers. ``top``: the largest value of a call, or average.

    ``one``: a single call that is true or 1. ``apart``: averages that scores of 0 and 5 cannot have; ``broken``: those
    that no whole scores of so many calls can have.
    """

    top: float = 0.0
    one: bool = False
    apart: int = 0
    broken: int = 0

    def add_calls(self, values: Iterable[object]) -> None:
        """Values of single calls, or the lowest or highest of some."""
        numbers = {known for value in values if (known := number(value)) is not None}
        self.one |= 1.0 in numbers
        self.top = max(self.top, *numbers, 0.0)

    def add_average(self, value: float, n: int | None) -> None:
        self.top = max(self.top, value)
        self.one |= n == 1 and value == 1
        if n and 0 < value < 1:
            score = round(value * n)
            self.broken += abs(value * n - score) > SLACK
            self.apart += bool(score % PASS)

    @property
    def is_above_one(self) -> bool:
        return self.top > 1 + ABOVE

    @property
    def form(self) -> Form:
        """What a pass is written as, of a metric that passes or does not."""
        if self.top > PASS + ABOVE:
            return "percent"
        if self.is_above_one:
            return "5"
        cannot_be_five = self.one or not self.top or (self.apart >= LEAST_APART and not self.broken)
        return "1" if cannot_be_five else "1 or 5"


async def types_of_metrics(context: ToolContext, targets: Sequence[Target]) -> dict[int, str]:
    """The ``eval_type`` of each metric whose values are charted, as far as it can be read."""
    charted = [target for target in targets if isinstance(_measure(target.config), int)]
    if not charted:
        return {}
    wanted = {target.config.metric for target in charted}
    projects = {number for target in charted for number in await _projects_of(context, target)}
    metrics_by_project, _ = await gather_by_id(sorted(projects), context.lookups.metrics)
    every = (metric for metrics in metrics_by_project.values() for metric in metrics)
    return {metric.id: metric.eval_type for metric in every if metric.id in wanted and metric.eval_type}


async def _projects_of(context: ToolContext, target: Target) -> list[int]:
    """The project that a chart is of, or those that it may be of."""
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
    readings: Sequence[ChartReading], types: Mapping[int, str], numbers: dict[Measure, Numbers]
) -> list[ChartReading]:
    """The readings, all rates of one measure in one form. ``numbers``: what is known of its values; it is added to."""
    for reading in readings:
        measure = _measure(reading.target.config)
        if reading.chart is not None and measure is not None and not _is_rating(measure, types):
            _add(numbers.setdefault(measure, Numbers()), reading.target.config, reading.chart)
    return [_in_form(reading, types, numbers) for reading in readings]


def _measure(config: WidgetConfig) -> Measure | None:
    """Whose values a chart shows, if they may be those of a rate; None where calls are counted."""
    field = config.field or ""
    if config.chart_type == "stat":
        return "success"
    if config.chart_type == "bar" and config.aggregation_function == "count":
        return None
    if field == METRIC_VALUE:
        return config.metric
    return field if plotted_type(field) == "boolean" else None


def _is_rating(measure: Measure, types: Mapping[int, str]) -> bool:
    """Whether a metric is known not to pass or fail."""
    family = metric_family(types.get(measure)) if isinstance(measure, int) else None
    return family is not None and family != "binary"


def _add(numbers: Numbers, config: WidgetConfig, chart: Chart) -> None:
    """Take in what the rows of a chart show of its measure's numbers."""
    match chart.chart_type:
        case "stat":
            numbers.top = max(numbers.top, number(chart.stat.get("success_rate")) or 0.0)
        case "pie":
            numbers.add_calls(row.label for row in chart.rows if number(row.value))
        case "line":
            numbers.add_calls({row.value for row in chart.rows if isinstance(row.value, str | int | float)})
        case _:
            _add_bars(numbers, config.aggregation_function or "", chart.rows)


def _add_bars(numbers: Numbers, function: str, rows: Sequence[BarRow]) -> None:
    if function in {"min", "max"}:
        numbers.add_calls(row.value for row in rows)
        return
    for row in rows:
        value, n = number(row.value), count_of(row.sample_count)
        if value is None or (function == "sum" and not n):
            continue
        if function == "sum" and n:
            value /= n
        numbers.add_average(value, n if function in {"avg", "sum"} else None)


def _in_form(reading: ChartReading, types: Mapping[int, str], numbers: Mapping[Measure, Numbers]) -> ChartReading:
    chart, measure = reading.chart, _measure(reading.target.config)
    if chart is None or measure is None:
        return reading
    if isinstance(measure, str):
        unit: Literal["ratio", "percent"] = "percent" if numbers[measure].is_above_one else "ratio"
        return replace(reading, chart=replace(chart, rate_unit=unit))
    if _is_rating(measure, types):
        kind = "numeric" if chart.data_type == "boolean" else chart.data_type
        return replace(reading, chart=replace(chart, data_type=kind))
    if metric_family(types.get(measure)) is None:
        return _untyped(reading, chart, numbers[measure])
    return _of_binary(reading, chart, numbers[measure])


def _untyped(reading: ChartReading, chart: Chart, numbers: Numbers) -> ChartReading:
    """Of a metric whose type is not known: 0 to 5 is neither a rate nor a percentage."""
    if chart.data_type != "boolean" or numbers.form != "5":
        return reading
    note = (
        f"values up to {exact(numbers.top):g} are no rate, and what a pass is scored is not known without the type of"
    )
    return replace(
        reading,
        chart=replace(chart, data_type=None),
        notes=(*reading.notes, f"{note} metric {reading.target.config.metric}"),
    )


def _of_binary(reading: ChartReading, chart: Chart, numbers: Numbers) -> ChartReading:
    """Of a metric that passes or fails: as a rate of 0 to 1, or where the API sends percent, in percent."""
    form = numbers.form
    unit: Literal["ratio", "percent"] = "percent" if form == "percent" else "ratio"
    shown = replace(chart, data_type="boolean", rate_unit=unit)
    if form == "5":
        return replace(reading, chart=_scored(shown), passing=PASS_IS_5)
    if form == "1 or 5":
        both = f"pass = {form}{_both(reading.target.config.aggregation_function, chart)}"
        return replace(reading, chart=shown, passing=both, notes=(*reading.notes, UNCERTAIN))
    numbered = form == "1" and chart.chart_type == "bar" and numbers.top
    return replace(reading, chart=shown, passing=PASS_IS_1 if numbered else None)


def _scored(chart: Chart) -> Chart:
    """Scores of 0 and 5 as 0 and 1; the slices of a pie keep the scores as their labels."""
    if chart.chart_type != "pie":
        return replace(chart, rows=[_fifth(row) for row in chart.rows])
    labels = [None if isinstance(row.label, bool) else number(row.label) for row in chart.rows]
    rows = [row if n is None else replace(row, label=exact(n)) for row, n in zip(chart.rows, labels, strict=True)]
    return replace(chart, rows=rows, data_type=SCORED)


def _fifth(row: LineRow | BarRow) -> LineRow | BarRow:
    value = number(row.value)
    return row if value is None else replace(row, value=value / PASS)


def _both(function: str | None, chart: Chart) -> str:
    """Both ways to read averages of at most 1, if they can be told by one figure each."""
    known = [(number(row.value), count_of(getattr(row, "sample_count", 1))) for row in chart.rows]
    values = [(value, n or 0) for value, n in known if value is not None]
    n = sum(weight for _, weight in values)
    if chart.chart_type != "bar" or function not in {"avg", "sum"} or not n:
        return ""
    if function == "sum":
        total = math.fsum(value for value, _ in values)
        return f", total {exact(total)} or {round_for_display(total / PASS)}"
    rate = math.fsum(value * weight for value, weight in values) / n
    return f", overall {round_for_display(rate)} or {round_for_display(rate / PASS)}"
