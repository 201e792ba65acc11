"""Days of another time zone than UTC, put together from the API's hours."""

from collections import defaultdict
from datetime import datetime
from zoneinfo import ZoneInfo

from cekura_dashboards.api.chart_data import BarRow, Key, count_of, number
from cekura_dashboards.charts.rows import TimeParser
from cekura_dashboards.charts.target import ChartReading
from cekura_dashboards.charts.window import Window
from cekura_dashboards.summaries.buckets import combine, total
from cekura_dashboards.summaries.model import Bucket
from cekura_dashboards.text import json_text
from cekura_dashboards.values import replace

HALF = 1800.0
"""Half of an hour: an hour belongs to the day that its middle lies in."""
ODD_OFFSET = "days are put together from hours of UTC, which that zone's midnight cuts: each is up to half an hour off"


def in_local_days(reading: ChartReading, zone: ZoneInfo) -> ChartReading:
    """A reading by the hour as days that begin at midnight in ``zone``; a group's rows stay apart."""
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


def _offset(moment: datetime, zone: ZoneInfo) -> float:
    offset = moment.astimezone(zone).utcoffset()
    return offset.total_seconds() if offset else 0.0


def _midnight(time: float, window: Window, zone: ZoneInfo) -> datetime:
    """Where the day begins that an hour belongs to; one that the window cuts is of a day inside it."""
    middle, first, last = time + HALF, window.start.timestamp(), window.end.timestamp() - 1
    if time + 2 * HALF > first and time <= last:
        middle = max(first, min(middle, last))
    return datetime.fromtimestamp(middle, zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
