"""Days merged from hours: of the user's time zone, or the API's own where their hours are wanted too."""

import re
from collections import defaultdict
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from cekura_dashboards.api.chart_data import BarRow, Key, count_of, counts_of, number, numbers
from cekura_dashboards.charts.rows import TimeParser
from cekura_dashboards.charts.target import ChartReading, Window
from cekura_dashboards.summaries.bar import combine, total
from cekura_dashboards.summaries.model import Bucket
from cekura_dashboards.text import json_text
from cekura_dashboards.values import replace


def group_key(value: Any) -> Key:
    """The key of a row's group; a list or an object as its JSON."""
    return value if isinstance(value, Key) else json_text(value)


_HOUR_OF_DAY = re.compile(r"^(\d{4}-\d\d-\d\d[T ])[\d:.]+(.*)$", re.ASCII)
"""The time of day in a time."""
HALF = 1800.0
"""Half an hour: an hour belongs to the day that its midpoint lies in."""
ODD_OFFSET = "days are merged from UTC hours, which midnight in that zone cuts: each is up to half an hour off"


def in_local_days(reading: ChartReading, zone: ZoneInfo) -> ChartReading:
    """An hourly reading merged into days that begin at midnight in ``zone``, for each group."""
    chart, function = reading.chart, reading.target.config.function
    if chart is None:
        return reading
    times, buckets_by_day = TimeParser(), defaultdict[tuple[datetime, Key], list[Bucket]](list)
    groups, unread = dict[Key, object](), list[BarRow]()
    for row in chart.rows:
        time = times.parse(row.time_interval)
        if time is None:
            unread.append(row)
            continue
        midnight = _midnight(time, reading.window, zone)
        key: Key = row.group if isinstance(row.group, Key) else json_text(row.group)
        groups[key] = row.group
        buckets_by_day[midnight, key].append(Bucket(time, number(row.value), count_of(row.sample_count)))
    rows = [
        BarRow(
            time_interval=midnight.isoformat(),
            value=combine(function, parts),
            sample_count=total(parts),
            group=groups[key],
        )
        for (midnight, key), parts in sorted(buckets_by_day.items(), key=lambda item: (item[0][0], str(item[0][1])))
    ]
    notes = reading.notes
    if any(midnight.timestamp() % (2 * HALF) for midnight, _ in buckets_by_day):
        notes = (*notes, ODD_OFFSET)
    first, last = (_offset(edge, zone) for edge in (reading.window.start, reading.window.end))
    days = replace(chart, rows=[*rows, *unread])
    return replace(reading, chart=days, notes=notes, hours=chart, offsets=(first, last))


def in_days(reading: ChartReading, zone: ZoneInfo) -> ChartReading:
    """The reading; days that were read by the hour are merged, as the target says."""
    if reading.target.local_days:
        return in_local_days(reading, zone)
    return _in_named_days(reading) if reading.target.by_hours else reading


def _in_named_days(reading: ChartReading) -> ChartReading:
    """An hourly reading merged into the days that its times name, as the API would have answered it by day."""
    chart, function = reading.chart, reading.target.config.function
    if chart is None:
        return reading
    buckets_by_day, groups = defaultdict[tuple[str, Key], list[Bucket]](list), dict[Key, object]()
    values, counts = numbers(row.value for row in chart.rows), counts_of(row.sample_count for row in chart.rows)
    for row, value, count in zip(chart.rows, values, counts, strict=True):
        key = group_key(row.group)
        groups[key] = row.group
        day = str(row.time_interval)
        if time := _HOUR_OF_DAY.match(day):
            day = f"{time[1]}00:00:00{time[2]}{day[time.end() :]}"
        buckets_by_day[day, key].append(Bucket(0.0, value, count))
    rows = [
        BarRow(time_interval=day, value=combine(function, parts), sample_count=total(parts), group=groups[key])
        for (day, key), parts in buckets_by_day.items()
    ]
    return replace(reading, chart=replace(chart, rows=rows), hours=chart)


def _offset(moment: datetime, zone: ZoneInfo) -> float:
    offset = moment.astimezone(zone).utcoffset()
    return offset.total_seconds() if offset else 0.0


def _midnight(time: float, window: Window, zone: ZoneInfo) -> datetime:
    """The start of the day that an hour belongs to; an hour that the window cuts belongs to a day inside it."""
    middle, first, last = time + HALF, window.start.timestamp(), window.end.timestamp() - 1
    if time + 2 * HALF > first and time <= last:
        middle = max(first, min(middle, last))
    return datetime.fromtimestamp(middle, zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
