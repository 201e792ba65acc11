"""The calls of a line inside its window, in one pass where their times allow it."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from cekura_dashboards.api.chart_data import LARGEST, Chart, LineRow, number
from cekura_dashboards.charts.rows import Rows, label_of, plots_times, span_of
from cekura_dashboards.charts.target import ChartReading
from cekura_dashboards.stats.timeline import MINUTE
from cekura_dashboards.summaries.calls import CallValues, grain_of
from cekura_dashboards.summaries.model import Point
from cekura_dashboards.text import UntrustedText


@dataclass(kw_only=True)
class LineRows(Rows):
    calls: CallValues
    boolean: bool

    def row_times(self) -> Iterable[float]:
        return self.calls.cells


def line_rows(reading: ChartReading, chart: Chart, names: dict[str, str]) -> LineRows:
    """The calls of a line inside its window; worked out once for a reading."""
    return reading.memoise("line", lambda: _line_rows(reading, chart, names))


def _line_rows(reading: ChartReading, chart: Chart, names: dict[str, str]) -> LineRows:
    boolean = chart.data_type == "boolean" or (bool(chart.rows) and all(isinstance(r.value, bool) for r in chart.rows))
    is_time = plots_times(reading.target.config, chart)
    span, grouped = span_of(reading), bool(reading.target.config.group_by)
    rows = LineRows(span=span, calls=CallValues(grain_of(span)), boolean=boolean)
    if not grouped and not is_time and _is_uniform(chart.rows):
        _by_prefix(rows, chart.rows)
        return _checked(rows)
    points = list[Point]()
    for row in chart.rows:
        time = rows.times.parse(row.timestamp)
        if time is None:
            rows.unread += 1
        elif not span.start - 1 <= time < span.end + 1:
            rows.outside += 1
        else:
            value = time if is_time else number(row.value)
            points.append(Point(time, value, _call_id(row), label_of(row.group, names)))
    rows.calls = CallValues.of(points, span, grouped=grouped)
    return _checked(rows)


def _checked(rows: LineRows) -> LineRows:
    """What is said to be true or false is that only if no value lies outside 0 and 1."""
    lowest, highest = rows.calls.lowest, rows.calls.highest
    rows.boolean &= not (lowest and highest) or 0 <= (lowest.value or 0) <= (highest.value or 0) <= 1
    return rows


def _call_id(row: LineRow) -> int | str | None:
    return UntrustedText(row.id, limit=40) if isinstance(row.id, str) else row.id if isinstance(row.id, int) else None


def _is_uniform(rows: list[LineRow]) -> bool:
    """Whether all times are texts in UTC and all values plain numbers: a time's first letters then tell its hour."""
    return (
        {type(row.timestamp) for row in rows} == {str}
        and {type(row.value) for row in rows} <= {float, int, bool, type(None)}
        and {(t := row.timestamp)[13:14] + t[19:20] + t[-1:] for row in rows} <= {":ZZ", ":.Z"}
        and max((row.value for row in rows if row.value is not None), default=0) <= LARGEST
        and min((row.value for row in rows if row.value is not None), default=0) >= -LARGEST
    )


def _by_prefix(rows: LineRows, line_rows: list[LineRow]) -> None:
    """One pass over the calls, keyed by the minute or hour that their time begins with."""
    letters, rest = (16, ":00+00:00") if rows.calls.grain == MINUTE else (13, ":00:00+00:00")
    values_by_prefix = defaultdict[str, list[float]](list)
    for row in line_rows:
        if row.value is not None:
            values_by_prefix[row.timestamp[:letters]].append(row.value)
    rows.calls.nulls = sum(_is_inside(rows, row) for row in line_rows if row.value is None)
    for key in sorted(values_by_prefix):
        start = rows.times.parse(key + rest)
        if start is None:
            rows.unread += len(values_by_prefix[key])
        elif rows.span.start - 1 <= start and start + rows.calls.grain <= rows.span.end + 1:
            rows.calls.cells[start] = values_by_prefix[key]
        else:
            _by_call(
                rows, [row for row in line_rows if row.timestamp[:letters] == key and row.value is not None], start
            )
    rows.calls.cells = dict(sorted(rows.calls.cells.items()))
    values = [min(cell) for cell in rows.calls.cells.values()], [max(cell) for cell in rows.calls.cells.values()]
    if values[0]:
        rows.calls.lowest = _first(rows, line_rows, min(values[0]))
        rows.calls.highest = _first(rows, line_rows, max(values[1]))


def _by_call(rows: LineRows, line_rows: list[LineRow], start: float) -> None:
    """The stretch that an edge of the window cuts: each call's own time decides."""
    for row in line_rows:
        if _is_inside(rows, row):
            rows.calls.cells.setdefault(start, []).append(row.value)


def _is_inside(rows: LineRows, row: LineRow) -> bool:
    """Whether a call lies in the window; one that does not is counted."""
    time = rows.times.parse(row.timestamp)
    if time is None:
        rows.unread += 1
        return False
    inside = rows.span.start - 1 <= time < rows.span.end + 1
    rows.outside += not inside
    return inside


def _first(rows: LineRows, line_rows: list[LineRow], value: float) -> Point | None:
    """The earliest call of this value inside the window."""
    alike: list[LineRow] = [row for row in line_rows if row.value == value]
    while alike:
        row = min(alike, key=lambda found: (found.timestamp, str(found.id)))
        time = rows.times.parse(row.timestamp)
        if time is not None and rows.span.start - 1 <= time < rows.span.end + 1:
            return Point(time, float(row.value), _call_id(row))
        alike = [other for other in alike if other.timestamp > row.timestamp]
    return None
