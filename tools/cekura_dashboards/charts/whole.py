"""Percentiles of all calls of a window, which cannot be computed from those of its buckets.

The API computes one where a single bucket holds the whole window: a month, or a week. A window that lies in two months
has two; that of all calls lies between them.
"""

import json
from collections import defaultdict
from datetime import UTC, timedelta

from cekura_dashboards.api.models import WidgetConfig
from cekura_dashboards.charts.read import measure_key
from cekura_dashboards.charts.rows import bar_rows
from cekura_dashboards.charts.target import ChartReading, Target, Window
from cekura_dashboards.summaries.bar import total, weighted
from cekura_dashboards.summaries.model import Bucket, WholeValue, WholeValues
from cekura_dashboards.values import replace

PERCENTILES = ("p50", "p95", "p99")
PERIODS_OF_PARTS = ("hour", "day", "week")
MAX_DIFFERENCE = 0.02
"""Of the calls of both readings: some arrive between the two requests. A choice."""


def of_all_calls(target: Target) -> list[Target]:
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


def key_of(target: Target) -> str:
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
