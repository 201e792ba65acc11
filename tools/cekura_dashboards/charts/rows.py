"""The rows of a chart inside its window: times and labels parsed, rows outside counted, gaps in coverage reported.

The calls of a line are read in one pass where the format of their times allows it.
"""

import math
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from cekura_dashboards.api.chart_data import LARGEST, Chart, LineRow, count_of, number
from cekura_dashboards.api.models import WidgetConfig
from cekura_dashboards.charts.target import ChartReading
from cekura_dashboards.charts.window import format_instant
from cekura_dashboards.stats.timeline import DAY, MINUTE, PERIODS, STEPS, Span, iso
from cekura_dashboards.summaries.calls import CallValues, grain_of
from cekura_dashboards.summaries.model import Bucket, Point, Slice
from cekura_dashboards.summaries.stat import rate_unit
from cekura_dashboards.text import UntrustedText, json_text

FIRST_YEAR, LAST_YEAR = 1900, 2200
"""The years in which the time of a call may lie."""
SCORED = "scored"
"""The type of a pie whose slices are scores of 0 and 5."""
FIGURES = ("total_calls", "success_rate", "avg_duration", "p95_latency")


@dataclass
class TimeParser:
    """Parses times, and records their offsets, as the API does not document its time zone."""

    bare: bool = False
    offsets: set[float] = field(default_factory=set[float])
    _edges: tuple[tuple[float, float], tuple[float, float]] = ((math.inf, 0.0), (-math.inf, 0.0))
    """The earliest and the latest time, each with its offset."""

    def parse(self, text: Any, *, wall: bool = False) -> float | None:
        """Seconds since 1970; None if the text is no time.

        ``wall``: as if the time of day that was sent were in UTC, so that a day begins where the API begins it.
        """
        try:
            moment = datetime.fromisoformat(text)
        except (TypeError, ValueError):
            return None
        if not FIRST_YEAR <= moment.year <= LAST_YEAR:
            return None
        if moment.tzinfo is None:
            self.bare = True
            return moment.replace(tzinfo=UTC).timestamp()
        utc_offset = moment.utcoffset()
        offset, time = utc_offset.total_seconds() if utc_offset else 0.0, moment.timestamp()
        self.offsets.add(offset)
        self._edges = min(self._edges[0], (time, offset)), max(self._edges[1], (time, offset))
        return moment.replace(tzinfo=UTC).timestamp() if wall else time

    def local(self, span: Span, offsets: tuple[float, float] | None = None) -> Span:
        """The span in the same wall time, of each end as the rows nearest to it are written.

        ``offsets``: those of both ends, where they are known: on a day with a clock change they are not the rows'.
        """
        if not any(self.offsets | {*(offsets or ())}):
            return span
        first, last = offsets or (self._edges[0][1], self._edges[1][1])
        return Span(span.start + first, span.end + last, "")


@dataclass(kw_only=True)
class Rows(ABC):
    """The rows of a chart inside the window, and how many lay outside or had no readable time."""

    span: Span
    times: TimeParser = field(default_factory=TimeParser)
    outside: int = 0
    unread: int = 0

    @abstractmethod
    def row_times(self) -> Iterable[float]:
        """Times for which there is data."""

    def tested_span(self, reading: ChartReading) -> tuple[Span, list[str]]:
        """The part of the window that counts as tested, and what does not.

        That is what lies past the saved bounds, if nothing came from there.
        """
        times = list(self.row_times())
        bounds = reading.beyond
        if bounds is None or not times:
            return self.span, uncovered_notes(reading) if not times else []
        untested, start, end = list[str](), self.span.start, self.span.end
        if bounds.start and start < bounds.start.timestamp() < min(times):
            untested.append(
                f"{iso(start)} to {iso(bounds.start.timestamp())}: nothing came from before the saved date range"
            )
            start = bounds.start.timestamp()
        if bounds.end and max(times) <= bounds.end.timestamp() < end:
            untested.append(
                f"{iso(bounds.end.timestamp())} to {iso(end)}: nothing came from after the saved date range"
            )
            end = bounds.end.timestamp()
        return Span(start, end), untested


@dataclass(kw_only=True)
class BarRows(Rows):
    """``width``: seconds of a bucket."""

    buckets: list[Bucket]
    width: float

    def row_times(self) -> Iterable[float]:
        return (bucket.time + self.width for bucket in self.buckets)


class _AllBuckets(NamedTuple):
    """All buckets of a bar, whatever the window."""

    buckets: list[Bucket]
    times: TimeParser
    unread: int


def bar_rows(reading: ChartReading, chart: Chart, names: dict[str, str]) -> BarRows:
    """The buckets of a bar inside its window. Its rows are read once, for all windows that are cut out of it."""
    return reading.memoise(("bar", *names.items()), lambda: _within(reading, _all_buckets(reading, chart, names)))


def _all_buckets(reading: ChartReading, chart: Chart, names: dict[str, str]) -> _AllBuckets:
    is_time = plots_times(reading.target.config, chart)
    return chart.memoise(("buckets", is_time, *names.items()), lambda: _read(chart, names, is_time=is_time))


def _read(chart: Chart, names: dict[str, str], *, is_time: bool) -> _AllBuckets:
    buckets, times, unread = list[Bucket](), TimeParser(), 0
    # In a grouped chart every time and every group stands in many rows; each is read once.
    moments = {text: times.parse(text, wall=True) for text in _texts(row.time_interval for row in chart.rows)}
    labels = {text: label_of(text, names) for text in _texts(row.group for row in chart.rows)}
    for row in chart.rows:
        time = moments[row.time_interval] if isinstance(row.time_interval, str) else None
        if time is None:
            unread += 1
            continue
        value = TimeParser().parse(row.value) if is_time else number(row.value)
        label = labels[row.group] if isinstance(row.group, str) else label_of(row.group, names)
        buckets.append(Bucket(time, value, count_of(row.sample_count), label))
    return _AllBuckets(buckets, times, unread)


def _within(reading: ChartReading, all_buckets: _AllBuckets) -> BarRows:
    period, span = reading.target.config.period, all_buckets.times.local(span_of(reading), reading.offsets)
    width = STEPS[PERIODS[period]] if period in PERIODS else 31 * DAY
    buckets = [b for b in all_buckets.buckets if b.time + width > span.start and b.time < span.end]
    outside = len(all_buckets.buckets) - len(buckets)
    return BarRows(
        span=span, times=all_buckets.times, buckets=buckets, width=width, outside=outside, unread=all_buckets.unread
    )


def _texts(values: Iterable[Any]) -> set[str]:
    return {value for value in values if isinstance(value, str)}


def plots_times(config: WidgetConfig, chart: Chart) -> bool:
    """Whether the values themselves are times; how many there are is a number."""
    times = chart.data_type == "datetime" or config.field == "timestamp"
    return times and not (config.chart_type == "bar" and config.function == "count")


def unit_of(config: WidgetConfig, chart: Chart, values: list[float | None]) -> str:
    """The unit of a bar's or line's values; ``unknown`` rather than a guess."""
    function, plotted = config.aggregation_function, config.field or ""
    if function == "count" and config.chart_type == "bar":
        return "calls"
    if plotted == "duration":
        return "s"
    if plots_times(config, chart):
        return "time"
    if chart.data_type == "boolean" or plotted in {"success", "is_reviewed"}:
        if config.chart_type == "bar" and function != "avg":
            return "calls" if function == "sum" else "1 = pass"
        return chart.rate_unit or rate_unit(values)
    return "unknown"


def pie_slices(chart: Chart, names: dict[str, str]) -> list[Slice]:
    labels = {"1": "true", "0": "false"} if chart.data_type == "boolean" else {}
    return [
        Slice(
            label_of(labels.get(str(row.label), row.label), {}),
            max(0.0, number(row.value) or 0.0),
            number(row.percentage),
            label_of(row.group, names),
        )
        for row in chart.rows
    ]


def passing_label(chart: Chart) -> str | None:
    """The slice of a pie that holds the calls that pass a metric scored 0 or 5; None where slices are no scores."""
    return UntrustedText("5") if chart.data_type == SCORED else None


def stat_figures(chart: Chart) -> tuple[dict[str, float | None], list[str]]:
    """The documented figures and up to six others, whose names come second."""
    figures: dict[str, float | None] = {name: number(chart.stat[name]) for name in FIGURES if name in chart.stat}
    extra = {name: number(value) for name, value in chart.stat.items() if name not in FIGURES}
    documented: dict[str, float | None] = {
        UntrustedText(name, limit=40): value for name, value in list(extra.items())[:6] if value is not None
    }
    return figures | documented, list(documented)


def span_of(reading: ChartReading) -> Span:
    return Span(reading.window.start.timestamp(), reading.window.end.timestamp())


def label_of(value: Any, names: dict[str, str]) -> str | None:
    """A label or group as text: numbered ones by name, booleans as true and false."""
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value) if isinstance(value, int | float | str) else json_text(value)
    return UntrustedText(f"{names[text]} ({text})") if text in names else UntrustedText(text)


def uncovered_notes(reading: ChartReading) -> list[str]:
    """For data without times: that the answer may cover the saved part only."""
    bounds = reading.beyond
    if bounds is None:
        return []
    edges = [("from", bounds.start), ("to", bounds.end)]
    edges_text = " ".join(f"{word} {format_instant(moment)}" for word, moment in edges if moment)
    return [f"whether more than the saved date range ({edges_text}) is covered cannot be seen from this chart"]


@dataclass(kw_only=True)
class LineRows(Rows):
    calls: CallValues
    boolean: bool

    def row_times(self) -> Iterable[float]:
        return self.calls.cells


def line_rows(reading: ChartReading, chart: Chart, names: dict[str, str]) -> LineRows:
    """The calls of a line inside its window; computed once for a reading."""
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
    """Treat values as true or false only if none lies outside 0 and 1."""
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
