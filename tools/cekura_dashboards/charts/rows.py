"""The rows of a chart inside its window: times and labels read, what lay outside counted, what was not seen told."""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cekura_dashboards.api.chart_data import LARGEST, Chart, LineRow, count_of, number
from cekura_dashboards.api.models import WidgetConfig
from cekura_dashboards.charts.target import Reading
from cekura_dashboards.charts.window import shown
from cekura_dashboards.insight import Bucket, Calls, Point, Slice, Span, grain_of
from cekura_dashboards.insight.timeline import DAY, MINUTE, PERIODS, STEPS, iso
from cekura_dashboards.text import Foreign, json_text

FIRST_YEAR, LAST_YEAR = 1900, 2200
"""A time outside of them is no time of a call."""
FIGURES = ("total_calls", "success_rate", "avg_duration", "p95_latency")


@dataclass
class Times:
    """What was seen of the undocumented zone of times while reading them."""

    bare: bool = False
    offsets: set[float] = field(default_factory=set[float])

    def read(self, text: Any, *, wall: bool = False) -> float | None:
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
        offset = moment.utcoffset()
        self.offsets.add(offset.total_seconds() if offset else 0.0)
        return (moment.replace(tzinfo=UTC) if wall else moment).timestamp()

    def local(self, span: Span) -> Span:
        """The span in the same wall time."""
        offset = max(self.offsets, default=0.0)
        return Span(span.start + offset, span.end + offset, "") if offset else span


@dataclass(kw_only=True)
class Rows(ABC):
    """The rows of a chart inside the window, and what was seen of the rest."""

    span: Span
    times: Times = field(default_factory=Times)
    outside: int = 0
    unread: int = 0

    @abstractmethod
    def seen(self) -> Iterable[float]:
        """Times from which something came."""

    def tested(self, reading: Reading) -> tuple[Span, list[str]]:
        """The part of the window that counts as tested, and what does not.

        That is what lies past the saved bounds, if nothing came from there.
        """
        seen = list(self.seen())
        bounds = reading.beyond
        if bounds is None or not seen:
            return self.span, unseen(reading) if not seen else []
        untested, start, end = list[str](), self.span.start, self.span.end
        if bounds.start and start < bounds.start.timestamp() < min(seen):
            untested.append(
                f"{iso(start)} to {iso(bounds.start.timestamp())}: nothing came from before the saved date range"
            )
            start = bounds.start.timestamp()
        if bounds.end and max(seen) <= bounds.end.timestamp() < end:
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

    def seen(self) -> Iterable[float]:
        return (bucket.time + self.width for bucket in self.buckets)


@dataclass(kw_only=True)
class LineRows(Rows):
    calls: Calls
    boolean: bool

    def seen(self) -> Iterable[float]:
        return self.calls.cells


def bar_rows(reading: Reading, chart: Chart, names: dict[str, str]) -> BarRows:
    config, times = reading.target.config, Times()
    period = config.period
    is_time = plots_times(config, chart)
    buckets, unread = list[Bucket](), 0
    for row in chart.rows:
        time, count = times.read(row.time_interval, wall=True), count_of(row.sample_count)
        if time is None:
            unread += 1
            continue
        value = Times().read(row.value) if is_time else number(row.value)
        buckets.append(Bucket(time, value, count, _label(row.group, names)))
    width = STEPS[PERIODS[period]] if period in PERIODS else 31 * DAY
    span = times.local(_span(reading))
    kept = [b for b in buckets if b.time + width > span.start and b.time < span.end]
    outside = len(buckets) - len(kept)
    return BarRows(span=span, times=times, buckets=kept, width=width, outside=outside, unread=unread)


def plots_times(config: WidgetConfig, chart: Chart) -> bool:
    """Whether the values themselves are times; how many there are is a number."""
    times = chart.data_type == "datetime" or config.field == "timestamp"
    return times and not (config.chart_type == "bar" and config.function == "count")


def line_rows(reading: Reading, chart: Chart, names: dict[str, str]) -> LineRows:
    boolean = chart.data_type == "boolean" or (bool(chart.rows) and all(isinstance(r.value, bool) for r in chart.rows))
    is_time = plots_times(reading.target.config, chart)
    span, grouped = _span(reading), bool(reading.target.config.group_by)
    rows = LineRows(span=span, calls=Calls(grain_of(span)), boolean=boolean)
    if not grouped and not is_time and _is_uniform(chart.rows):
        _by_prefix(rows, chart.rows)
        return _checked(rows)
    kept = list[Point]()
    for row in chart.rows:
        time = rows.times.read(row.timestamp)
        if time is None:
            rows.unread += 1
        elif not span.start - 1 <= time < span.end + 1:
            rows.outside += 1
        else:
            value = time if is_time else number(row.value)
            kept.append(Point(time, value, _call_id(row), _label(row.group, names)))
    rows.calls = Calls.of(kept, span, grouped=grouped)
    return _checked(rows)


def _checked(rows: LineRows) -> LineRows:
    """What is said to be true or false is that only if no value lies outside 0 and 1."""
    lowest, highest = rows.calls.lowest, rows.calls.highest
    rows.boolean &= not (lowest and highest) or 0 <= (lowest.value or 0) <= (highest.value or 0) <= 1
    return rows


def _call_id(row: LineRow) -> int | str | None:
    return Foreign(row.id, limit=40) if isinstance(row.id, str) else row.id if isinstance(row.id, int) else None


def _is_uniform(rows: list[LineRow]) -> bool:
    """Whether all times are texts in UTC and all values plain numbers: a time's first letters then tell its hour."""
    return (
        {type(row.timestamp) for row in rows} == {str}
        and {type(row.value) for row in rows} <= {float, int, bool, type(None)}
        and {(t := row.timestamp)[13:14] + t[19:20] + t[-1:] for row in rows} <= {":ZZ", ":.Z"}
        and max((row.value for row in rows if row.value is not None), default=0) <= LARGEST
        and min((row.value for row in rows if row.value is not None), default=0) >= -LARGEST
    )


def _by_prefix(rows: LineRows, given: list[LineRow]) -> None:
    """One pass over the calls, keyed by the minute or hour that their time begins with."""
    letters, rest = (16, ":00+00:00") if rows.calls.grain == MINUTE else (13, ":00:00+00:00")
    held = defaultdict[str, list[float]](list)
    for row in given:
        if row.value is not None:
            held[row.timestamp[:letters]].append(row.value)
    rows.calls.nulls = sum(_is_inside(rows, row) for row in given if row.value is None)
    for key in sorted(held):
        start = rows.times.read(key + rest)
        if start is None:
            rows.unread += len(held[key])
        elif rows.span.start - 1 <= start and start + rows.calls.grain <= rows.span.end + 1:
            rows.calls.cells[start] = held[key]
        else:
            _by_call(rows, [row for row in given if row.timestamp[:letters] == key and row.value is not None], start)
    rows.calls.cells = dict(sorted(rows.calls.cells.items()))
    values = [min(cell) for cell in rows.calls.cells.values()], [max(cell) for cell in rows.calls.cells.values()]
    if values[0]:
        rows.calls.lowest = _first(rows, given, min(values[0]))
        rows.calls.highest = _first(rows, given, max(values[1]))


def _by_call(rows: LineRows, given: list[LineRow], start: float) -> None:
    """The stretch that an edge of the window cuts: each call's own time decides."""
    for row in given:
        if _is_inside(rows, row):
            rows.calls.cells.setdefault(start, []).append(row.value)


def _is_inside(rows: LineRows, row: LineRow) -> bool:
    """Whether a call lies in the window; one that does not is counted."""
    time = rows.times.read(row.timestamp)
    if time is None:
        rows.unread += 1
        return False
    inside = rows.span.start - 1 <= time < rows.span.end + 1
    rows.outside += not inside
    return inside


def _first(rows: LineRows, given: list[LineRow], value: float) -> Point | None:
    """The earliest call of this value inside the window."""
    alike: list[LineRow] = [row for row in given if row.value == value]
    while alike:
        row = min(alike, key=lambda found: (found.timestamp, str(found.id)))
        time = rows.times.read(row.timestamp)
        if time is not None and rows.span.start - 1 <= time < rows.span.end + 1:
            return Point(time, float(row.value), _call_id(row))
        alike = [other for other in alike if other.timestamp > row.timestamp]
    return None


def pie_slices(chart: Chart, names: dict[str, str]) -> list[Slice]:
    labels = {"1": "true", "0": "false"} if chart.data_type == "boolean" else {}
    return [
        Slice(
            _label(labels.get(str(row.label), row.label), {}),
            max(0.0, number(row.value) or 0.0),
            number(row.percentage),
            _label(row.group, names),
        )
        for row in chart.rows
    ]


def stat_figures(chart: Chart) -> tuple[dict[str, float | None], list[str]]:
    """The documented figures and up to six others, whose names come second."""
    figures: dict[str, float | None] = {name: number(chart.stat[name]) for name in FIGURES if name in chart.stat}
    extra = {name: number(value) for name, value in chart.stat.items() if name not in FIGURES}
    known: dict[str, float | None] = {
        Foreign(name, limit=40): value for name, value in list(extra.items())[:6] if value is not None
    }
    return figures | known, list(known)


def _span(reading: Reading) -> Span:
    return Span(reading.window.start.timestamp(), reading.window.end.timestamp())


def _label(value: Any, names: dict[str, str]) -> str | None:
    """A label or group as text: numbered ones by name, booleans as true and false."""
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value) if isinstance(value, int | float | str) else json_text(value)
    return Foreign(f"{names[text]} ({text})") if text in names else Foreign(text)


def unseen(reading: Reading) -> list[str]:
    """For data without times: that the answer may cover the saved part only."""
    bounds = reading.beyond
    if bounds is None:
        return []
    edges = [("from", bounds.start), ("to", bounds.end)]
    told = " ".join(f"{word} {shown(moment)}" for word, moment in edges if moment)
    return [f"whether more than the saved date range ({told}) is covered cannot be seen from this chart"]
