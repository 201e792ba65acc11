"""History: the same measure of the same calls over all the time that the API holds, for tests to look at.

A week alone has one of each weekday; what is usual for a Monday only other Mondays show. Charts that measure the same
share one history. It is asked for beside the charts, and never decides whether they are answered.
"""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from cekura_dashboards.api.fields import LIMIT, MARGIN, plotted_type
from cekura_dashboards.api.filters import without_time
from cekura_dashboards.api.models import WidgetConfig
from cekura_dashboards.charts.target import Target
from cekura_dashboards.charts.window import Window
from cekura_dashboards.stats.timeline import PERIODS, STEPS
from cekura_dashboards.summaries.bar import is_merged
from cekura_dashboards.values import replace

MAX_HISTORIES = 12
"""Requests for history in one call."""
SHORT = timedelta(days=3)
"""Lines of at most so long are tested in hours, longer ones in days."""
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
    """Alike for histories of the same measure over the same calls."""
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
