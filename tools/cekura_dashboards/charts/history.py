"""Histories and surveys: measures over all the time that the API holds, for tests.

A single week has one of each weekday; only other Mondays show what is usual for a Monday. Charts of the same measure
share one history. It is read beside the charts; if it fails, they are still answered. A survey is what
``find_changes`` reads: every chart's measure, once.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from msgspec import Struct

from cekura_dashboards.api.filters import without_time
from cekura_dashboards.api.models import LIMIT, MARGIN, METRIC_VALUE, Widget, WidgetConfig, plotted_type
from cekura_dashboards.charts.target import Target, saved
from cekura_dashboards.charts.window import Window
from cekura_dashboards.stats.timeline import PERIODS, STEPS
from cekura_dashboards.summaries.bar import is_merged
from cekura_dashboards.values import replace

MAX_HISTORIES = 12
"""Requests for history in one call."""
SHORT = timedelta(days=3)
"""Lines up to this length are tested by hour, longer ones by day."""
FIELDS_OF_FIGURES = {"success_rate": "success", "avg_duration": "duration"}
"""The fields that are averaged in figures of a stat."""
LABELS = "labels"
COUNT_BY_DAY = {"field": "agent_id", "aggregation_function": "count", "time_period": "day"}
TESTED_PERIODS = ("hour", "day")
"""The steps at which a chart is tested over time."""


def histories(targets: Sequence[Target], now: datetime) -> tuple[list[str | None], dict[str, Target], int]:
    """For each target the key of its history, the histories by key, and how many targets go without.

    Where there are too many, those with the shortest windows come first. None: the target is its own history, or
    nothing about it is tested over time.
    """
    past_targets = [_history_of(target, now) for target in targets]
    shared, keys = dict[str, Target](), list[str | None]([None] * len(targets))
    without = 0
    for place in sorted(range(len(targets)), key=lambda i: _length(targets[i])):
        history = past_targets[place]
        if history is None:
            continue
        key = measure_key(history)
        if key not in shared and len(shared) >= MAX_HISTORIES:
            without += 1
            continue
        shared.setdefault(key, history)
        keys[place] = key
    return keys, shared, without


def _length(target: Target) -> timedelta:
    return target.window.end - target.window.start if target.window else LIMIT


def measure_key(history: Target) -> str:
    """A key, equal for histories of the same measure over the same calls."""
    config = history.config
    parts = [
        config.field, config.metric, config.aggregation_function, config.time_period, config.data_type, config.group_by,
        without_time(history.filters), history.extra, history.matching, history.dashboard,
    ]  # fmt: skip
    return json.dumps(parts, sort_keys=True, default=str)


def _history_of(target: Target, now: datetime) -> Target | None:
    config, window = target.config, target.window
    if window is None or target.problem is not None:
        return None
    if config.chart_type == "bar":
        period = config.period
        if period not in TESTED_PERIODS or not is_merged(config.function, "group" if config.group_by else None):
            return None
    elif config.chart_type == "line" and config.field != "timestamp" and config.data_type != "datetime":
        period = "hour" if window.end - window.start <= SHORT else "day"
    else:
        return None
    if window.start <= now - LIMIT + MARGIN + timedelta(seconds=STEPS[PERIODS[period]]):
        return None
    function = config.aggregation_function if config.chart_type == "bar" else "avg"
    return bar_over_all(target, now, time_period=period, aggregation_function=function)


def bar_over_all(target: Target, now: datetime, **fields: Any) -> Target:
    """A bar of the same calls over all the time that the API holds."""
    bar = {**target.config.writable(), "chart_type": "bar", "name": None, "group_by": None, **fields}
    window = Window(now - LIMIT + MARGIN, now, "history")
    return replace(target, config=WidgetConfig.model_validate(bar), window=window)


def daily_bars(target: Target, now: datetime) -> dict[str, Target]:
    """Bars that show how the figures of a stat, or the labels of a pie, vary over time; by figure, or ``LABELS``."""
    config = target.config
    if target.problem is not None or config.group_by:
        return {}
    if config.chart_type == "stat":
        return {
            figure: bar_over_all(target, now, field=field, aggregation_function="avg", time_period="hour")
            for figure, field in FIELDS_OF_FIGURES.items()
        }
    if config.chart_type == "pie" and plotted_type(config.field or "") == "string":
        by = {"type": "field", "field": config.field}
        return {LABELS: bar_over_all(target, now, **COUNT_BY_DAY, group_by=by)}
    return {}


Parts = Literal["", "groups", "labels"]


class Survey(Struct, frozen=True):
    """One measure of some calls, and the widgets that show it. ``parts``: what it is read by, if anything."""

    target: Target
    widgets: tuple[Widget, ...]
    parts: Parts

    @property
    def key(self) -> str:
        """A key, unique among the surveys of one tool call."""
        return _key(self.target, self.target.config.group_by)

    @property
    def whole(self) -> str:
        """A key, equal for the same measure, whatever it is grouped by."""
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
