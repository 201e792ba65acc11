"""What is read to look for changes anywhere: every chart's measure over all the time that the API holds.

Charts that measure the same thing over the same calls share one reading.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from cekura_dashboards.api.fields import METRIC_VALUE, plotted_type
from cekura_dashboards.api.filters import without_time
from cekura_dashboards.api.models import Widget
from cekura_dashboards.charts.history import COUNT_BY_DAY, FIELDS_OF_FIGURES, TESTED_PERIODS, bar_over_all
from cekura_dashboards.charts.target import Target, saved
from cekura_dashboards.values import replace

Parts = Literal["", "groups", "labels"]


class Survey(Struct, frozen=True):
    """One measure of some calls, and the widgets that show it. ``parts``: what it is read by, if anything."""

    target: Target
    widgets: tuple[Widget, ...]
    parts: Parts

    @property
    def key(self) -> str:
        """Of no other survey of a call."""
        return _key(self.target, self.target.config.group_by)

    @property
    def whole(self) -> str:
        """Alike for the same measure, whatever it is read by."""
        return _key(self.target, None)


def surveys(
    widgets: Iterable[Widget], projects: Mapping[int, int], now: datetime, step: str
) -> tuple[list[Survey], dict[int, str]]:
    """What to read for these widgets, each measure once; and why others cannot be tested, by id.

    ``projects``: of dashboards. ``step``: ``hour`` where all is to be read by the hour, else ``day``.
    """
    surveys_by_key, untestable = dict[str, Survey](), dict[int, str]()
    for widget in widgets:
        target = saved(widget, projects.get(widget.dashboard or 0))
        if (problem := target.problem) is not None:
            untestable[widget.id] = problem
            continue
        measures = _measures(widget, step)
        if not measures:
            untestable[widget.id] = "its values cannot be followed over time"
        for parts, fields in measures:
            bar = bar_over_all(target, now, **fields)
            key = _key(bar, bar.config.group_by)
            if (survey := surveys_by_key.get(key)) is None:
                surveys_by_key[key] = Survey(bar, (widget,), parts)
            elif widget not in survey.widgets:
                surveys_by_key[key] = replace(survey, widgets=(*survey.widgets, widget))
    surveyed = [
        replace(found_survey, widgets=tuple(sorted(found_survey.widgets, key=_is_indirect)))
        for found_survey in surveys_by_key.values()
    ]
    return surveyed, untestable


def _is_indirect(widget: Widget) -> bool:
    """Whether a widget shows a measure among others, or not over time: others are named before it."""
    return widget.chart_type not in {"bar", "line"}


def _key(bar: Target, group_by: Any) -> str:
    config = bar.config
    parts = [
        config.field, config.metric, config.aggregation_function, config.time_period, group_by,
        without_time(bar.filters), bar.project if bar.project is not None else bar.dashboard,
    ]  # fmt: skip
    return json.dumps(parts, sort_keys=True, default=str)


def _measures(widget: Widget, step: str) -> list[tuple[Parts, dict[str, Any]]]:
    """The bars that show what a chart shows; none for what has no course over time."""
    field = widget.field or ""
    if widget.chart_type == "stat":
        figures = {"count": "agent_id"} | {name: name for name in FIELDS_OF_FIGURES.values()}
        return [("", _bar(plotted, "count" if name == "count" else "avg", step)) for name, plotted in figures.items()]
    if field == "timestamp" or widget.data_type == "datetime":
        return []
    if widget.chart_type == "bar":
        period = "hour" if step == "hour" or widget.period == "hour" else "day"
        by_field = (widget.group_by or {}).get("type") == "field"
        bar = _bar(field, widget.aggregation_function, period)
        return [("groups", {**bar, "group_by": widget.group_by})] if by_field else [("", bar)]
    if widget.chart_type == "line":
        return [("", _bar(field, "avg", step))]
    if widget.chart_type == "pie" and plotted_type(field) == "string":
        return [("labels", {**COUNT_BY_DAY, "time_period": step, "group_by": {"type": "field", "field": field}})]
    if widget.chart_type == "pie" and (plotted_type(field) == "boolean" or field == METRIC_VALUE):
        return [("", _bar(field, "avg", step))]
    return []


def _bar(field: str, function: str | None, period: str) -> dict[str, Any]:
    if period not in TESTED_PERIODS:
        raise ValueError(f"a course has steps of an hour or a day, not {period}")
    return {"field": field, "aggregation_function": function, "time_period": period}
