"""Charts that are read beside those asked for: histories, counts of all calls, percentiles of a whole window.

A history is a measure over all the time that the API keeps, for the tests: a single week has one Monday, and only
other Mondays show what to expect. It is read with the charts; if it fails, they are still answered.

A metric may be sampled, or evaluated on some calls only; its chart holds these alone. One count by the hour serves all
charts of the same calls and window, and a chart that counts them so is used as it is.

Percentiles of all calls of a window cannot be computed from those of its buckets. The API computes one where a single
bucket holds the whole window: a month, or a week. A window that lies in two months has two; that of all calls lies
between them.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from cekura_dashboards.api.filters import (
    both,
    without_time,
)
from cekura_dashboards.api.models import LIMIT, MARGIN, METRIC_VALUE, WidgetConfig, plotted_type
from cekura_dashboards.charts.rows import bar_rows
from cekura_dashboards.charts.target import ChartReading, Target, Window
from cekura_dashboards.stats.timeline import PERIODS, STEPS
from cekura_dashboards.summaries.bar import is_merged, total, weighted
from cekura_dashboards.summaries.model import Bucket, WholeValue, WholeValues
from cekura_dashboards.values import replace

MAX_HISTORIES = 12
"""Requests for history in one call."""
HOURLY_HISTORY = timedelta(days=3)
"""Lines up to this length are tested by hour, longer ones by day."""
FIELDS_OF_FIGURES = {"success_rate": "success", "avg_duration": "duration"}
"""The fields behind the averages of a stat."""
DURATION, TOTAL = "avg_duration", "total_calls"
"""The figure of a stat whose hourly bar also counts calls, and the figure that is their number."""
LABELS, RATE = "labels", "rate"
"""The daily bars of a pie: of its labels, or of a pie of true and false, of the rate of true."""
COUNT_BY_DAY = {"field": "agent_id", "aggregation_function": "count", "time_period": "day"}
TESTED_PERIODS = ("hour", "day")
"""The steps at which a chart is tested over time."""


def histories(targets: Sequence[Target], now: datetime) -> tuple[list[str | None], dict[str, Target], int]:
    """For each target the key of its history, the histories by key, and the number of targets without one.

    If there are too many, the shortest windows come first. None: the target is its own history, or nothing about it
    is tested over time.
    """
    past_targets = [_history_of(target, now) for target in targets]
    by_hours = iter(with_hours([target for target in past_targets if target is not None]))
    past_targets = [None if target is None else next(by_hours) for target in past_targets]
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


def with_hours(bars: Sequence[Target]) -> list[Target]:
    """The bars over all the time; of each set of calls one of days is read by the hour: a count, or else the first.

    Its hours show an outage of today, at no request more. None is if there is an hourly bar of the same calls.
    """
    first, hourly = dict[str, Target](), {_key_of_calls(bar) for bar in bars if bar.config.period == "hour"}
    for bar in sorted((bar for bar in bars if bar.has_days_of_hours and not bar.local_days), key=_counts_calls):
        if (key := _key_of_calls(bar)) not in hourly:
            first.setdefault(key, bar)
    chosen = {id(bar) for bar in first.values()}
    return [replace(bar, by_hours=True) if id(bar) in chosen else bar for bar in bars]


def _counts_calls(bar: Target) -> bool:
    """Sorts counts of all calls first."""
    return not (bar.config.function == "count" and bar.config.counted is None)


def _key_of_calls(bar: Target) -> str:
    calls = both(bar.calls, bar.matching)
    return json.dumps([calls, bar.dashboard, bar.project], sort_keys=True, default=str)


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
        period = "hour" if window.end - window.start <= HOURLY_HISTORY else "day"
    else:
        return None
    if window.start <= now - LIMIT + MARGIN + timedelta(seconds=STEPS[PERIODS[period]]):
        return None
    function = config.aggregation_function if config.chart_type == "bar" else "avg"
    return bar_over_all(target, now, time_period=period, aggregation_function=function)


def bar_over_all(target: Target, now: datetime, **fields: Any) -> Target:
    """A bar of the same calls over all the time that the API keeps."""
    bar = {**target.config.writable(), "chart_type": "bar", "name": None, "group_by": None, **fields}
    window = Window(now - LIMIT + MARGIN, now, "history")
    return replace(target, config=WidgetConfig.model_validate(bar), window=window)


def daily_bars(target: Target, now: datetime) -> dict[str, Target]:
    """Bars of the figures of a stat, or of the labels of a pie, over time; by figure, ``LABELS`` or ``RATE``.

    Those of figures are days with their hours, of which a window may hold a part.
    """
    config = target.config
    if target.problem is not None or config.group_by:
        return {}
    if config.chart_type == "stat":
        bars = {
            figure: bar_over_all(target, now, field=field, aggregation_function="avg", time_period="day")
            for figure, field in FIELDS_OF_FIGURES.items()
        }
        return {figure: replace(bar, by_hours=True) for figure, bar in bars.items()}
    if config.chart_type == "pie" and plotted_type(config.field or "") == "string":
        by = {"type": "field", "field": config.field}
        return {LABELS: bar_over_all(target, now, **COUNT_BY_DAY, group_by=by)}
    if config.chart_type == "pie" and plotted_type(config.field or "") == "boolean":
        return {RATE: bar_over_all(target, now, aggregation_function="avg", time_period="day")}
    return {}


HOURLY_COUNT = WidgetConfig(chart_type="bar", field="agent_id", aggregation_function="count", time_period="hour")
"""By the hour, as evaluations can be missing for hours while calls come."""


def counts_beside(readings: Sequence[ChartReading], used: int) -> tuple[list[Target], list[int | None]]:
    """Counts to read too, and for each of the first ``used`` readings the place of its count.

    Places are those in ``readings``, or beyond them in the counts; None for charts of all calls.
    """
    places = dict[str, int]()
    for place, reading in enumerate(readings):
        if _counts_calls_by_hour(reading.target):
            places.setdefault(_calls_of(reading), place)
    targets, chosen = list[Target](), list[int | None]()
    for reading in readings[:used]:
        key = _calls_of(reading)
        if _is_of_metric(reading) and key not in places:
            places[key] = len(readings) + len(targets)
            as_sent = replace(reading.target, local_days=False, by_hours=False)
            targets.append(replace(as_sent, config=HOURLY_COUNT, window=reading.window))
        chosen.append(places[key] if _is_of_metric(reading) else None)
    return targets, chosen


def requests_beside(readings: Sequence[ChartReading]) -> int:
    """The counts that were read for these charts, besides these charts."""
    counts = {id(reading.all_calls): reading.all_calls for reading in readings if reading.all_calls is not None}
    own = [reading.target for reading in readings]
    return sum(count.target not in own for count in counts.values())


def _is_of_metric(reading: ChartReading) -> bool:
    target = reading.target
    return target.config.field == METRIC_VALUE and target.matching is None and reading.error is None


def _counts_calls_by_hour(target: Target) -> bool:
    """Whether a chart counts all its calls by the hour."""
    config = target.config
    counts = config.chart_type == "bar" and config.aggregation_function == "count" and config.field == "agent_id"
    return counts and config.period == "hour" and not (config.group_by or target.matching)


def _calls_of(reading: ChartReading) -> str:
    """A key, equal for the same calls of the same time, read in the same way."""
    target, window = reading.target, reading.window
    parts = [target.calls, target.dashboard, target.project, str(window.start), str(window.end), reading.alone]
    return json.dumps(parts, sort_keys=True, default=str)


PERCENTILES = ("p50", "p95", "p99")
PERIODS_OF_PARTS = ("hour", "day", "week")
MAX_DIFFERENCE = 0.02
"""Of the calls of both readings: some arrive between the two requests. A choice."""


def whole_window_bars(target: Target) -> list[Target]:
    """The chart with as few buckets as hold its window, by group and of all groups together.

    Empty for a chart without percentiles of shorter buckets.
    """
    config, window = target.config, target.window
    has_parts = config.chart_type == "bar" and config.period in PERIODS_OF_PARTS
    if not has_parts or config.function not in PERCENTILES or window is None or target.problem is not None:
        return []
    bar = {**config.writable(), "name": None, "time_period": _shortest_period(window)}
    groupings = [config.group_by, None] if config.group_by else [None]
    configs = [WidgetConfig.model_validate({**bar, "group_by": group_by}) for group_by in groupings]
    return [replace(target, config=part) for part in configs]


def _shortest_period(window: Window) -> str:
    """A week if one holds the window, and no month does."""
    edges = [edge.astimezone(UTC) for edge in (window.start, window.end - timedelta(microseconds=1))]
    first, last = edges
    in_month = (first.year, first.month) == (last.year, last.month)
    return "week" if not in_month and first.isocalendar()[:2] == last.isocalendar()[:2] else "month"


def key_of_whole(target: Target) -> str:
    """A key, equal for the same percentiles of the same calls, read in the same way."""
    window = target.window
    times = [window.start.isoformat(), window.end.isoformat()] if window else []
    return json.dumps([measure_key(target), times, target.alone])


def _value_of(buckets: list[Bucket]) -> WholeValue | None:
    """From the buckets of one group; None without values, or where the calls of several are not known."""
    values = [bucket.value for bucket in buckets if bucket.value is not None]
    if not values or total(buckets) is None:
        return None
    return WholeValue(weighted(buckets), tuple(values) if len(values) > 1 else ())


def whole_values(reading: ChartReading, names: dict[str, str]) -> WholeValues:
    """The percentile of all calls, and of each group; none where they were not read, or rest on other calls."""
    values, calls = WholeValues(), _calls(reading, names)
    for whole in reading.whole:
        others = _calls(whole, names)
        if whole.chart is None or calls is None or others is None or abs(calls - others) > MAX_DIFFERENCE * calls:
            continue
        buckets_by_group = defaultdict[str | None, list[Bucket]](list)
        for bucket in bar_rows(whole, whole.chart, names).buckets:
            buckets_by_group[bucket.group].append(bucket)
        values_of = {group: _value_of(buckets) for group, buckets in buckets_by_group.items()}
        by_group = {group: value for group, value in values_of.items() if value is not None}
        if whole.target.config.group_by:
            values = replace(values, by_group=by_group)
        else:
            values = replace(values, of_all=by_group.get(None))
    return values


def _calls(reading: ChartReading, names: dict[str, str]) -> int | None:
    return None if reading.chart is None else total(bar_rows(reading, reading.chart, names).buckets)
