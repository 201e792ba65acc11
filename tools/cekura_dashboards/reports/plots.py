"""The data of the chart view: the complete answer, and the series of its charts.

No model reads it, so it can have more points; every figure comes from the answer or the same rows.
"""

import json
from collections.abc import Sequence
from typing import Any

from msgspec import Struct, field

from cekura_dashboards.api.chart_data import number
from cekura_dashboards.api.models import JsonObject
from cekura_dashboards.charts.rows import bar_rows, line_rows, plots_times, unit_of
from cekura_dashboards.charts.target import ChartReading, Target, are_few
from cekura_dashboards.context import in_thread
from cekura_dashboards.reports.compare import ComparedReadings
from cekura_dashboards.reports.report import WidgetReport
from cekura_dashboards.reports.tables import title_in_words
from cekura_dashboards.stats.findings import round_for_display
from cekura_dashboards.stats.significance import wilson_interval
from cekura_dashboards.stats.timeline import iso
from cekura_dashboards.summaries.bar import bar_plot_series, merge_groups
from cekura_dashboards.summaries.line import line_plot_series
from cekura_dashboards.summaries.model import Bucket, PlotSeries, Role
from cekura_dashboards.tool import Result
from cekura_dashboards.values import replace

FOR_ANSWER = 0.6
"""The share of the room for the complete answer; a longer one is replaced by the model's answer."""


class Detail(Struct, frozen=True):
    """The level of detail of each chart."""

    points: int
    groups: int
    counts: bool


DETAILS = (
    Detail(1500, 7, counts=True), Detail(600, 7, counts=True), Detail(300, 5, counts=False),
    Detail(120, 3, counts=False), Detail(48, 0, counts=False), Detail(16, 0, counts=False), Detail(0, 0, counts=False),
)  # fmt: skip
"""The first that fits is used."""


class Plot(Struct, frozen=True):
    """One chart: its series, the arguments of ``list_calls`` for its calls, and its report before an edit.

    ``unit``: of the series, if no report has it. ``title``: what is drawn, in everyday words.
    """

    courses: Sequence[PlotSeries] = ()
    calls: JsonObject | None = None
    before: WidgetReport | None = None
    unit: str | None = None
    title: str | None = None

    def to_json(self, detail: Detail) -> JsonObject:
        groups = [course for course in self.courses if course.role == "group"][: detail.groups]
        drawn = [course for course in self.courses if course.role != "group"] + groups
        series = [(course if detail.counts else course.bare()).thin(detail.points) for course in drawn if detail.points]
        plot: JsonObject = {"courses": [course.model_dump(mode="json", exclude_none=True) for course in series]}
        optional = {"calls": self.calls, "unit": self.unit, "title": self.title}
        plot |= {name: value for name, value in optional.items() if value is not None}
        if self.before is not None:
            plot["before"] = self.before.model_dump(mode="json", by_alias=True, exclude_none=True)
        return plot


class Drawing(Struct, frozen=True):
    """``answer``: complete, before cuts to the budget. ``plots``: of its charts, in order."""

    answer: Result
    plots: Sequence[Plot] = field(default_factory=tuple[Plot, ...])

    def to_json(self, room: int, shorter: JsonObject) -> JsonObject:
        """The data in at most ``room`` bytes, if possible. ``shorter``: the model's answer."""
        answer = self.answer.to_json()
        if _size(answer) > FOR_ANSWER * room:
            answer = shorter
        remaining = room - _size(answer)
        drawing: JsonObject = {"answer": answer}
        for detail in DETAILS:
            drawing["plots"] = [plot.to_json(detail) for plot in self.plots]
            if _size(drawing["plots"]) <= remaining:
                break
        return drawing


def _size(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def plot_series_of(reading: ChartReading, names: dict[str, str], role: Role = "current") -> list[PlotSeries]:
    """The series of a chart over time; empty if it has none, or could not be read."""
    chart, config = reading.chart, reading.target.config
    if chart is None or chart.chart_type not in {"bar", "line"} or plots_times(config, chart):
        return []
    if chart.chart_type == "line":
        lines = line_rows(reading, chart, names)
        return line_plot_series(lines.calls, lines.span, boolean=lines.boolean, role=role)
    rows = bar_rows(reading, chart, names)
    by_group = bool(config.group_by) and role == "current"
    courses = bar_plot_series(config.function, config.period, rows.buckets, rows.span, role=role, by_group=by_group)
    if config.function != "avg" or role != "current":
        return courses
    unit = unit_of(config, chart, [bucket.value for bucket in rows.buckets])
    return [course if course.role == "group" else with_rate_interval(course, unit) for course in courses]


PERCENT = {"ratio": 1.0, "percent": 100.0}
"""The value of a rate of all calls, by unit."""


def with_rate_interval(course: PlotSeries, unit: str | None) -> PlotSeries:
    """A rate with the 95 % interval of each value; other measures, and rates of unknown n, unchanged."""
    whole = PERCENT.get(unit or "")
    if whole is None or course.n is None or any(not 0 <= (value or 0) <= whole for value in course.value):
        return course
    bounds = [
        wilson_interval(value / whole, n) if value is not None and n else (None, None)
        for value, n in zip(course.value, course.n, strict=True)
    ]
    low, high = (
        [None if bound is None else round_for_display(whole * bound, 3) for bound in side]
        for side in zip(*bounds, strict=True)
    )
    return course.model_copy(update={"low": low, "high": high, "interval": True})


def title_of_reading(reading: ChartReading) -> str | None:
    """The title of a chart in everyday words."""
    chart, config = reading.chart, reading.target.config
    if chart is None:
        return None
    unit = None
    if reading.target.matching is not None:
        return f"Share of calls, per {config.period}"
    if chart.chart_type == "bar":
        unit = unit_of(config, chart, [number(row.value) for row in chart.rows])
    elif chart.data_type == "boolean":
        unit = "ratio"
    return title_in_words(config, chart.display_name, unit).replace('"', "")


async def plots_of(compared_readings: Sequence[ComparedReadings], names: dict[str, str]) -> list[Plot]:
    """The plot of each chart."""
    readings = [side for sides in compared_readings for side in (sides.current, sides.baseline) if side is not None]
    small = are_few(readings)
    return [await in_thread(_plot_of, sides, names, small=small) for sides in compared_readings]


def _plot_of(sides: ComparedReadings, names: dict[str, str]) -> Plot:
    """A chart and its baseline."""
    courses = plot_series_of(sides.current, names)
    if sides.baseline is not None and not sides.targets.unasked:
        courses += plot_series_of(sides.baseline, names, "baseline")
    return Plot(courses, calls_arguments(sides.current.target), title=title_of_reading(sides.current))


async def plots_of_edit(pairs: Sequence[tuple[ChartReading | None, ChartReading]], names: dict[str, str]) -> list[Plot]:
    """The plot of each chart of an edit, before and after."""
    small = are_few(reading for pair in pairs for reading in pair if reading is not None)
    return [await in_thread(_plot_of_edit, *pair, names, small=small) for pair in pairs]


def _plot_of_edit(before: ChartReading | None, after: ChartReading, names: dict[str, str]) -> Plot:
    """A chart after an edit and before."""
    courses = plot_series_of(after, names)
    if before is not None:
        steps = {course.step_s for course in courses}
        courses += [course for course in plot_series_of(before, names, "before") if course.step_s in steps]
    return Plot(courses, calls_arguments(after.target), title=title_of_reading(after))


def calls_arguments(target: Target) -> JsonObject | None:
    """The arguments of ``list_calls`` for the calls of a chart; None if its days are not UTC days.

    The window is always included, because a bucket that it cuts counts only calls inside.
    """
    if target.local_days:
        return None
    arguments: JsonObject = {"filters": target.extra} if target.extra else {}
    if target.window is not None:
        start, end = target.window.start.timestamp(), target.window.end.timestamp()
        arguments["window"] = f"{iso(start)}/{iso(end)}"
    if target.id is not None:
        return {"widget_id": target.id, **arguments}
    widget = {name: value for name, value in target.config.definition().items() if name != "metadata"}
    return {
        "widget": widget,
        **({"dashboard_id": target.dashboard} if target.dashboard is not None else {}),
        **arguments,
    }


def group_plot_series(
    reading: ChartReading, group: str | None, names: dict[str, str], *, share: bool
) -> list[PlotSeries]:
    """The series of one group of a bar; ``share``: the count as a share of all calls, in percent."""
    if reading.chart is None:
        return []
    config, rows = reading.target.config, bar_rows(reading, reading.chart, names)
    buckets = [bucket for bucket in rows.buckets if bucket.group == group]
    if share:
        sizes = {bucket.time: bucket for bucket in merge_groups("count", rows.buckets)}
        buckets = [_share(bucket, sizes[bucket.time]) for bucket in buckets]
    function = "avg" if share else config.function
    all_series = bar_plot_series(function, config.period, buckets, rows.span)
    unit = "percent" if share else unit_over_time(reading, names) if function == "avg" else None
    return [with_rate_interval(course.model_copy(update={"label": group}), unit) for course in all_series]


def unit_over_time(reading: ChartReading, names: dict[str, str]) -> str | None:
    """The unit of a bar's values; None if it could not be read."""
    if reading.chart is None:
        return None
    values = [bucket.value for bucket in bar_rows(reading, reading.chart, names).buckets]
    return unit_of(reading.target.config, reading.chart, values)


def _share(part: Bucket, whole: Bucket) -> Bucket:
    value = 100 * (part.value or 0) / whole.value if whole.value else None
    return replace(part, value=value, n=round(whole.value or 0))
