"""The rows of a chart inside its window: times and labels parsed, rows outside counted, gaps in coverage reported.

The calls of a line are read in one pass if the format of their times allows it. Days are merged from hours: those of
the user's time zone, or the API's own if their hours are needed too.
"""

import math
import re
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import compress
from types import NoneType
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from cekura_dashboards.api.chart_data import LARGEST, BarRow, Chart, Key, LineRow, count_of, counts_of, number, numbers
from cekura_dashboards.api.models import WidgetConfig
from cekura_dashboards.charts.target import (
    ChartReading,
    Window,
    format_instant,
)
from cekura_dashboards.stats.findings import SCALES
from cekura_dashboards.stats.time_series import floats
from cekura_dashboards.stats.timeline import (
    DAY,
    HOUR,
    MINUTE,
    PERIODS,
    STEPS,
    Clock,
    Span,
    day_starts,
    floor_to,
    iso,
)
from cekura_dashboards.summaries.bar import combine, total
from cekura_dashboards.summaries.line import PIECE, CallValues, grain_of
from cekura_dashboards.summaries.model import Bucket, Slice
from cekura_dashboards.summaries.pie import FIGURES, rate_unit
from cekura_dashboards.text import UntrustedText, json_text
from cekura_dashboards.values import Array, np, replace

FIRST_YEAR, LAST_YEAR = 1900, 2200
"""The range of years for the time of a call."""
TIME_FORM = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?P<fraction>(\.\d{1,6})?)(Z|[+-]\d\d:\d\d)?", re.ASCII)
MIN_UNIFORM = 50
"""The minimum number of texts to parse at once: fewer are faster one by one. Measured."""


@dataclass
class TimeParser:
    """Parses times, and records their offsets, as the API does not document its time zone."""

    bare: bool = False
    offsets: set[float] = field(default_factory=set[float])
    _edges: tuple[tuple[float, float], tuple[float, float]] = ((math.inf, 0.0), (-math.inf, 0.0))
    """The earliest and the latest time, each with its offset."""

    def parse(self, text: Any, *, wall: bool = False) -> float | None:
        """Seconds since 1970; None for other text.

        ``wall``: treat the time of day as UTC, so that days begin where the API begins them.
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

    def parse_all(self, texts: Sequence[Any], *, wall: bool = False) -> Array:
        """As ``parse``, NaN for anything else; vectorised if many have the same format."""
        local_times = _uniform_times(texts) if len(texts) >= MIN_UNIFORM else None
        if local_times is None:
            return floats(self.parse(text, wall=wall) for text in texts)
        self.bare |= (moment := datetime.fromisoformat(texts[0])).tzinfo is None
        if (utc_offset := moment.utcoffset()) is None:
            return local_times
        offset = utc_offset.total_seconds()
        times = local_times - offset
        self.offsets.add(offset)
        first, last = (float(times.min()), offset), (float(times.max()), offset)
        self._edges = min(self._edges[0], first), max(self._edges[1], last)
        return local_times if wall else times

    def local(self, span: Span, offsets: tuple[float, float] | None = None) -> Span:
        """The span in the same wall time, each end with the offset of the rows nearest to it.

        ``offsets``: those of both ends, if known: on a day with a clock change they differ from the rows'.
        """
        if not any(self.offsets | {*(offsets or ())}):
            return span
        first, last = offsets or (self._edges[0][1], self._edges[1][1])
        return Span(span.start + first, span.end + last, "")


def _uniform_times(texts: Sequence[Any]) -> Array | None:
    """The local times in texts with the format of the first, in seconds since 1970; None if the formats differ.

    Times to the second or its fractions, with one offset or none, are parsed by the columns of their digits.
    """
    if not isinstance(texts[0], str) or not (form := TIME_FORM.fullmatch(texts[0])):
        return None
    try:
        letters = np.frombuffer("".join(texts).encode("ascii"), np.uint8)
    except (TypeError, UnicodeEncodeError):
        return None
    width, fraction = len(texts[0]), form.end("fraction")
    if {*map(len, texts)} != {width}:
        return None
    columns = letters.reshape(-1, width).T
    digits = (columns - ord("0")).astype(np.int32)
    is_digit = np.array([i < fraction and letter.isdigit() for i, letter in enumerate(texts[0])])
    if (digits[is_digit] > 9).any() or (columns[~is_digit] != columns[~is_digit][:, :1]).any():  # noqa: PLR2004 - digits
        return None
    year = digits[0] * 1000 + digits[1] * 100 + digits[2] * 10 + digits[3]
    month, day, hour, minute, second = (digits[i] * 10 + digits[i + 1] for i in (5, 8, 11, 14, 17))
    months = (year - 1970) * 12 + month - 1
    first, after = ((months + i).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) for i in (0, 1))
    parts = ((year, FIRST_YEAR, LAST_YEAR), (month, 1, 12), (day, 1, after - first), (hour, 0, 23), (minute, 0, 59))
    if any(((part < low) | (part > high)).any() for part, low, high in (*parts, (second, 0, 59))):
        return None
    times: Array = (first + day - 1) * float(DAY) + hour * HOUR + minute * MINUTE + second
    for place in range(len("2026-11-18T15:30:00."), fraction):
        times += digits[place] / 10.0 ** (place - 19)
    return times


def _numbers(values: Sequence[Any]) -> Array:
    """As ``number``, NaN for anything else."""
    try:
        numbers = floats(values)
    except (TypeError, ValueError, OverflowError):
        numbers = np.empty((0, 0))
    if numbers.ndim != 1:  # NumPy would make lists a table
        return floats(number(value) for value in values)
    numbers[np.abs(numbers) > LARGEST] = np.nan
    return numbers


@dataclass(kw_only=True)
class Rows(ABC):
    """The rows of a chart inside the window, and how many were outside or had no readable time."""

    span: Span
    times: TimeParser = field(default_factory=TimeParser)
    outside: int = 0
    unread: int = 0

    @abstractmethod
    def row_times(self) -> Iterable[float]:
        """Times for which there is data."""

    def tested_span(self, reading: ChartReading) -> tuple[Span, list[str]]:
        """The tested part of the window, and notes on the rest.

        The rest is the part beyond the saved bounds, if it has no data.
        """
        times = list(self.row_times())
        bounds = reading.beyond
        if bounds is None or not times:
            return self.span, uncovered_notes(reading) if not times else []
        untested, start, end = list[str](), self.span.start, self.span.end
        if bounds.start and start < bounds.start.timestamp() < min(times):
            untested.append(
                f"{iso(start)} to {iso(bounds.start.timestamp())}: no data from before the saved date range"
            )
            start = bounds.start.timestamp()
        if bounds.end and max(times) <= bounds.end.timestamp() < end:
            untested.append(f"{iso(bounds.end.timestamp())} to {iso(end)}: no data from after the saved date range")
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
    """The buckets of a bar inside its window. Its rows are parsed once for all windows cut from it."""
    return reading.memoise(("bar", *names.items()), lambda: _within(reading, _all_buckets(reading, chart, names)))


def _all_buckets(reading: ChartReading, chart: Chart, names: dict[str, str]) -> _AllBuckets:
    is_time = plots_times(reading.target.config, chart)
    if not chart.memoise("groups", lambda: any(row.group is not None for row in chart.rows)):
        names = {}  # without names, because the rows are parsed once for all
    return chart.memoise(("buckets", is_time, *names.items()), lambda: _read(chart, names, is_time=is_time))


def _read(chart: Chart, names: dict[str, str], *, is_time: bool) -> _AllBuckets:
    times = TimeParser()
    # In a grouped chart every time and every group occurs in many rows; each is parsed once.
    rows, sent_times = chart.rows, [row.time_interval for row in chart.rows]
    all_texts = {*map(type, sent_times)} <= {str}
    texts = [*({*sent_times} if all_texts else {text for text in sent_times if isinstance(text, str)})]
    parsed = zip(texts, times.parse_all(texts, wall=True).tolist(), strict=True)
    moments: dict[Any, float] = {text: moment for text, moment in parsed if not math.isnan(moment)}
    if not all_texts or len(moments) < len(texts):
        readable = [isinstance(text, str) and text in moments for text in sent_times]
        rows, sent_times = [*compress(rows, readable)], [*compress(sent_times, readable)]
    sent = [row.value for row in rows]
    buckets = map(
        Bucket,
        map(moments.__getitem__, sent_times),
        [TimeParser().parse(value) for value in sent] if is_time else numbers(sent),
        counts_of(row.sample_count for row in rows),
        _labels([row.group for row in rows], names),
    )
    return _AllBuckets([*buckets], times, len(chart.rows) - len(rows))


def _labels(groups: Sequence[Any], names: dict[str, str]) -> Iterable[str | None]:
    """The label of each group."""
    if {*map(type, groups)} <= {str, int, NoneType}:  # the usual case
        by_group = {group: label_of(group, names) for group in {*groups}}
        return map(by_group.__getitem__, groups)
    labels = dict[tuple[str, Key], str | None]()  # by type too, because True == 1
    keys = [(type(group).__name__, group_key(group)) for group in groups]
    for key, group in zip(keys, groups, strict=True):
        if key not in labels:
            labels[key] = label_of(group, names)
    return map(labels.__getitem__, keys)


def _within(reading: ChartReading, all_buckets: _AllBuckets) -> BarRows:
    period, span = reading.target.config.period, all_buckets.times.local(span_of(reading), reading.offsets)
    width = STEPS[PERIODS[period]] if period in PERIODS else 31 * DAY
    buckets = [b for b in all_buckets.buckets if b.time + width > span.start and b.time < span.end]
    outside = len(all_buckets.buckets) - len(buckets)
    return BarRows(
        span=span, times=all_buckets.times, buckets=buckets, width=width, outside=outside, unread=all_buckets.unread
    )


def plots_times(config: WidgetConfig, chart: Chart) -> bool:
    """Whether the values themselves are times; a count of them is a number."""
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
    return chart.unit or "unknown"


def pie_slices(chart: Chart, names: dict[str, str]) -> list[Slice]:
    is_boolean = chart.data_type == "boolean" and chart.passing_label in {None, "true"}
    labels = {"1": "true", "0": "false"} if is_boolean else {}
    return [
        Slice(
            label_of(labels.get(str(row.label), row.label), {}),
            max(0.0, number(row.value) or 0.0),
            number(row.percentage),
            label_of(row.group, names),
        )
        for row in chart.rows
    ]


def stat_figures(chart: Chart) -> tuple[dict[str, float | None], list[str]]:
    """The documented figures and up to six others, and the names of the others."""
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
    """For data without times: a note that the answer may cover the saved range only."""
    bounds = reading.beyond
    if bounds is None:
        return []
    edges = [("from", bounds.start), ("to", bounds.end)]
    edges_text = " ".join(f"{word} {format_instant(moment)}" for word, moment in edges if moment)
    return [f"this chart does not show whether it covers more than the saved date range ({edges_text})"]


@dataclass(kw_only=True)
class LineRows(Rows):
    calls: CallValues
    boolean: bool

    def row_times(self) -> Iterable[float]:
        """The times of the first and of the last call."""
        return (
            [floor_to(float(time), grain_of(self.span)) for time in self.calls.times[[0, -1]]]
            if len(self.calls)
            else []
        )


def line_rows(reading: ChartReading, chart: Chart, names: dict[str, str]) -> LineRows:
    """The calls of a line inside its window; computed once for a reading."""
    return reading.memoise("line", lambda: _line_rows(reading, chart, names))


def _line_rows(reading: ChartReading, chart: Chart, names: dict[str, str]) -> LineRows:
    boolean = chart.data_type == "boolean" or (bool(chart.rows) and all(isinstance(r.value, bool) for r in chart.rows))
    is_time = plots_times(reading.target.config, chart)
    span, parser, sent = span_of(reading), TimeParser(), chart.rows
    grouped, groups = bool(reading.target.config.group_by), list[str | None]()
    times, values, places = np.empty(len(sent)), np.empty(len(sent)), np.empty(len(sent), np.int32)
    count = nulls = outside = unread = 0
    for start in range(0, len(sent), PIECE):  # in pieces, to save memory
        rows = sent[start : start + PIECE]
        piece = parser.parse_all([row.timestamp for row in rows])
        numbers = piece if is_time else _numbers([row.value for row in rows])
        inside, missing = (piece >= span.start - 1) & (piece < span.end + 1), np.isnan(numbers)
        taken = np.flatnonzero(inside & ~missing)
        filled = slice(count, count := count + len(taken))
        times[filled], values[filled], places[filled] = piece[taken], numbers[taken], taken + start
        nulls, unread = nulls + int((inside & missing).sum()), unread + int(np.isnan(piece).sum())
        outside += len(rows) - int(inside.sum())
        groups += [label_of(rows[place].group, names) for place in taken.tolist()] if grouped else []
    calls = CallValues.of(
        times[:count], values[:count], lambda i: _call_id(sent[places[i]]), nulls=nulls, groups=groups
    )
    outside -= unread
    return _checked(LineRows(span=span, times=parser, calls=calls, boolean=boolean, outside=outside, unread=unread))


def _checked(rows: LineRows) -> LineRows:
    """Treat values as booleans only if all are 0 or 1."""
    lowest, highest = rows.calls.lowest, rows.calls.highest
    rows.boolean &= not (lowest and highest) or 0 <= (lowest.value or 0) <= (highest.value or 0) <= 1
    return rows


def _call_id(row: LineRow) -> int | str | None:
    return UntrustedText(row.id, limit=40) if isinstance(row.id, str) else row.id if isinstance(row.id, int) else None


def group_key(value: Any) -> Key:
    """The key of a row's group; a list or an object as its JSON."""
    return value if isinstance(value, Key) else json_text(value)


_HOUR_OF_DAY = re.compile(r"^(\d{4}-\d\d-\d\d[T ])[\d:.]+(.*)$", re.ASCII)
"""The time of day in a time."""
HALF = 1800.0
"""Half an hour: an hour belongs to the day that its midpoint lies in."""
ODD_OFFSET = "days are merged from UTC hours, and midnight in that zone is within one: they are up to half an hour off"


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
    """An hourly reading merged into the calendar days of its times, as the API's daily bar would have them."""
    chart, function = reading.chart, reading.target.config.function
    if chart is None:
        return reading
    buckets_by_day, sent = defaultdict[tuple[str, Key], list[Bucket]](list), [row.group for row in chart.rows]
    values, counts = numbers(row.value for row in chart.rows), counts_of(row.sample_count for row in chart.rows)
    keys = sent if {*map(type, sent)} <= {str, int, NoneType} else [group_key(group) for group in sent]
    groups = dict(zip(keys, sent, strict=True))
    days = [_day_of(str(row.time_interval)) for row in chart.rows]
    for place, value, count in zip(zip(days, keys, strict=True), values, counts, strict=True):
        buckets_by_day[place].append(Bucket(0.0, value, count))
    rows = [
        BarRow(time_interval=day, value=combine(function, parts), sample_count=total(parts), group=groups[key])
        for (day, key), parts in buckets_by_day.items()
    ]
    return replace(reading, chart=replace(chart, rows=rows), hours=chart)


@lru_cache(4096)
def _day_of(hour: str) -> str:
    """The text of a time with its hour replaced by midnight. Cached, as charts share their hours."""
    time = _HOUR_OF_DAY.match(hour)
    return f"{time[1]}00:00:00{time[2]}{hour[time.end() :]}" if time else hour


def _offset(moment: datetime, zone: ZoneInfo) -> float:
    offset = moment.astimezone(zone).utcoffset()
    return offset.total_seconds() if offset else 0.0


def _midnight(time: float, window: Window, zone: ZoneInfo) -> datetime:
    """The start of the day that an hour belongs to; an hour that the window cuts belongs to a day inside it."""
    middle, first, last = time + HALF, window.start.timestamp(), window.end.timestamp() - 1
    if time + 2 * HALF > first and time <= last:
        middle = max(first, min(middle, last))
    return datetime.fromtimestamp(middle, zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)


def whole_hours_of(bar: ChartReading, window: Window) -> ChartReading | None:
    """The whole hours of a window, cut from a bar over a longer time; None if no hour is whole."""
    start, end = (moment.replace(minute=0, second=0, microsecond=0) for moment in (window.start, window.end))
    start += timedelta(hours=start < window.start)
    return replace(bar, window=replace(window, start=start, end=end)) if start < end else None


def by_cluster(buckets: list[Bucket], span: Span, period: str, clock: Clock) -> list[tuple[float, list[Bucket]]]:
    """Clusters for the tests: the hours of each day of a clock, because they are correlated; each day on its own.

    An hour that the window cuts belongs to a day inside it.
    """
    if period != "hour" or not buckets:
        return [(bucket.time, [bucket]) for bucket in buckets]
    days = day_starts(span.start, span.end, clock)
    places = np.searchsorted(days, floats([bucket.time + HALF for bucket in buckets]), "right") - 1
    clusters = defaultdict[float, list[Bucket]](list)
    for bucket, place in zip(buckets, places.tolist(), strict=True):
        clusters[days[max(0, place)]].append(bucket)
    return sorted(clusters.items())


def unit_of_rate(bar: ChartReading, rows: BarRows) -> float:
    """The number that a rate of 100 % is written as."""
    values = [bucket.value for bucket in rows.buckets]
    return SCALES.get(unit_of(bar.target.config, bar.chart, values), 1.0) if bar.chart is not None else 1.0
