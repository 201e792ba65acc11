"""Chart data: all documented and tolerated forms, decoded to one."""

import re
from collections.abc import Callable, Hashable, Iterable
from itertools import chain, starmap
from operator import itemgetter
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec
from msgspec import field

from cekura_dashboards.api.errors import UnreadableAnswer
from cekura_dashboards.api.models import JsonObject, as_list, as_object
from cekura_dashboards.api.wire import SMALLER
from cekura_dashboards.text import word
from cekura_dashboards.values import replace

T = TypeVar("T")
Key = str | int | float | bool | None
if TYPE_CHECKING:
    Cell = Any
else:
    Cell = Key  # a list in place of a value fails during decoding, before it takes memory
KNOWN_KEYS = {
    "line": {"id", "timestamp", "value"},
    "bar": {"time_interval", "value", "sample_count"},
    "pie": {"label", "value", "percentage"},
}
PIECE = 2_000_000
MAX_AROUND = 100_000
MAX_VALUES = 8_000_000
"""Maximum values in data that is decoded at once, counted by separators; a million grouped calls have half as many."""
UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
LIST = re.compile(rb"(\s*\[).*", re.DOTALL)
BETWEEN = re.compile(rb"\}\s*,\s*\{")
NESTED_NAMES = ("group", "label", "name", "key")


NOTHING = msgspec.Raw(b"null")


class SentChart(msgspec.Struct):
    """The data of one widget and its envelope, undecoded."""

    data: msgspec.Raw = NOTHING
    widget_id: msgspec.Raw = NOTHING
    chart_type: msgspec.Raw = NOTHING
    aggregation_function: msgspec.Raw = NOTHING
    time_period: msgspec.Raw = NOTHING
    group_by: msgspec.Raw = NOTHING
    metadata: msgspec.Raw = NOTHING


class ChartEnvelope(msgspec.Struct):
    """The envelope of one widget's data; the data itself stays undecoded until needed."""

    data: msgspec.Raw = NOTHING
    widget_id: Any = None
    chart_type: Any = None
    aggregation_function: Any = None
    time_period: Any = None
    group_by: Any = None
    metadata: Any = None

    @classmethod
    def of(cls, sent: SentChart) -> "ChartEnvelope":
        """The envelope, decoded; oversized fields count as absent."""
        around = {name: getattr(sent, name) for name in sent.__struct_fields__ if name != "data"}
        small = {name: raw for name, raw in around.items() if raw is not NOTHING and len(memoryview(raw)) <= MAX_AROUND}
        try:
            return cls(sent.data, **{name: msgspec.json.decode(raw) for name, raw in small.items()})
        except UNDECODABLE as error:
            raise _no_object(error) from None

    @classmethod
    def decode(cls, body: bytes | bytearray | msgspec.Raw) -> "ChartEnvelope":
        try:
            return cls.of(msgspec.json.decode(body, type=SentChart))
        except UNDECODABLE as error:
            raise _no_object(error) from None


def _no_object(error: Exception) -> UnreadableAnswer:
    return UnreadableAnswer(f"chart data is not a JSON object as documented ({type(error).__name__})")


class LineRow(msgspec.Struct, frozen=True, gc=False):
    """One call."""

    id: Cell = None
    timestamp: Cell = None
    value: Cell = None
    group: Cell = None


class BarRow(msgspec.Struct, frozen=True, gc=False):
    """One bucket."""

    time_interval: Cell = None
    value: Cell = None
    sample_count: Cell = None
    group: Cell = None


class PieRow(msgspec.Struct, frozen=True, gc=False):
    """One slice."""

    label: Cell = None
    value: Cell = None
    percentage: Cell = None
    group: Cell = None


ROWS: dict[str, Any] = {"line": LineRow, "bar": BarRow, "pie": PieRow}


class Memoised(msgspec.Struct, frozen=True, dict=True):
    """A value with memoised results, stored outside its fields, so that a changed copy starts without any."""

    def memoise(self, what: Hashable, work_out: Callable[[], T]) -> T:
        """The result under this name, computed only once."""
        memo: dict[Hashable, T] = vars(self).setdefault("made", {})
        if what not in memo:
            memo[what] = work_out()
        return memo[what]


class Chart(Memoised, frozen=True):
    """Decoded chart data. ``rows`` for line, bar and pie; ``stat`` for a stat; neither for an unknown chart type.

    ``rate_unit``: the unit of its rates, where other charts show it. ``unit``: of other values, where the metric says
    it. ``passing_label``: the slice of calls that pass, of a metric that passes or fails.
    """

    chart_type: str
    rows: list[Any] = field(default_factory=list[Any])
    stat: JsonObject = field(default_factory=dict[str, Any])
    grouped: bool = False
    data_type: str | None = None
    display_name: str | None = None
    rate_unit: Literal["ratio", "percent"] | None = None
    unit: str | None = None
    passing_label: str | None = None


def decode(envelope: ChartEnvelope, *, chart_type: str, group_by: JsonObject | None) -> Chart:
    """``chart_type`` and ``group_by``: the widget's own, in case the response omits them.

    Raises:
        UnreadableAnswer: if the data has no documented or tolerated form, or is of another chart type.
    """
    kind = envelope.chart_type if isinstance(envelope.chart_type, str) and envelope.chart_type else chart_type
    if chart_type and kind != chart_type:
        kinds = [word(name, ROWS.keys() | {"stat"}, limit=40) for name in (kind, chart_type)]
        raise UnreadableAnswer(f"it is a {kinds[0]}, but a {kinds[1]} was requested")
    about = as_object(envelope.metadata) or {}
    chart = Chart(kind, data_type=_text(about.get("data_type")), display_name=_text(about.get("display_name")))
    if kind == "stat":
        return replace(chart, stat=_stat(envelope.data))
    if kind not in ROWS:
        return chart
    grouping = as_object(envelope.group_by) or group_by
    if not grouping:
        rows = _plain(envelope.data, kind)
        if rows is not None:
            return replace(chart, rows=rows)
    rows, grouped = _grouped(_list(envelope.data, kind), kind, grouping or {})
    return replace(chart, rows=rows, grouped=grouped)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _plain(data: msgspec.Raw, kind: str) -> list[Any] | None:
    """Rows of an ungrouped chart, decoded into structs; None if a row has no known key, or nested values."""
    try:
        rows = _in_pieces(data, kind) if len(memoryview(data)) > PIECE else None
        if rows is None:
            rows = msgspec.json.decode(data, type=list[ROWS[kind]] | None) or []  # type: ignore[valid-type]  # chosen at run time
    except msgspec.ValidationError:
        return None
    except UNDECODABLE as error:
        raise _no_rows(kind, error) from None
    empty = ROWS[kind]()
    return None if any(row == empty for row in rows[:3]) else rows


def _in_pieces(data: msgspec.Raw, kind: str) -> list[Any] | None:
    """The rows, decoded a few megabytes at a time so that other threads can run; None if it is not a plain list.

    A piece ends between two objects. If that is inside a string, the piece is not valid JSON.
    """
    view, rows = memoryview(data), list[Any]()
    begin, end = LIST.fullmatch(view[:16]), bytes(view[-16:]).rfind(b"]")
    if begin is None or end < 0:
        return None
    place, end = begin.end(1), len(view) - 16 + end
    while place < end:
        cut = BETWEEN.search(view, min(place + PIECE, end), end)
        stop = cut.start() + 1 if cut else end
        try:
            rows += msgspec.json.decode(b"[" + bytes(view[place:stop]) + b"]", type=list[ROWS[kind]])  # type: ignore[valid-type]  # chosen at run time
        except UNDECODABLE:
            return None
        place = cut.end() - 1 if cut else end
    return rows


def _no_rows(kind: str, error: Exception) -> UnreadableAnswer:
    return UnreadableAnswer(f"{kind} data is not a list of rows ({type(error).__name__})")


def _list(data: msgspec.Raw, kind: str) -> list[JsonObject]:
    body = bytes(data)
    if len(body) > PIECE and sum(body.count(mark) for mark in b"[{,") > MAX_VALUES:
        raise UnreadableAnswer(f"{kind} data contains more than {MAX_VALUES} values", SMALLER)
    try:
        return msgspec.json.decode(body, type=list[dict[str, Any]] | None) or []
    except UNDECODABLE as error:
        raise _no_rows(kind, error) from None


def _stat(data: msgspec.Raw) -> JsonObject:
    """The figures, sent as an object or as an array with one."""
    if len(memoryview(data)) > PIECE:
        raise UnreadableAnswer("stat data is far larger than four figures")
    try:
        content: Any = msgspec.json.decode(data)
    except UNDECODABLE as error:
        raise _no_rows("stat", error) from None
    for item in [content, *(as_list(content) or [])]:
        if (figures := as_object(item)) is not None:
            return figures
    return {}


def _grouped(items: list[JsonObject], kind: str, group_by: JsonObject) -> tuple[list[Any], bool]:
    """Grouped rows in either form: ``{group, data: [rows]}``, or an extra key on every row."""
    shapes = {*map(tuple, items)}
    keys = {*chain.from_iterable(shapes)}
    if "data" in keys and any(isinstance(item.get("data"), list) for item in items):
        rows = list[Any]()
        for item in items:
            name = next((key for key in _group_names(group_by) if key in item), None)
            inner = [as_object(row) for row in as_list(item.get("data")) or []]
            rows += [_row(kind, row, item.get(name) if name else None) for row in inner if row is not None]
        return rows, True
    extra = keys - KNOWN_KEYS[kind]
    name = next((key for key in _group_names(group_by) if key in extra), None)
    if name is None and group_by and len(extra) == 1:
        name = next(iter(extra))
    fields = (*ROWS[kind].__struct_fields__[:-1], name)
    if name is not None and len(shapes) == 1 and keys >= {*fields}:  # as nearly always
        return [*starmap(ROWS[kind], map(itemgetter(*fields), items))], True
    return [_row(kind, item, item.get(name) if name else None) for item in items], name is not None


def _group_names(group_by: JsonObject) -> list[str]:
    """The keys that may hold a row's group, the most likely first."""
    field_name = str(group_by.get("field") or "bucket")
    return ["group", field_name, field_name.replace(".", "_"), field_name.rpartition(".")[2], *NESTED_NAMES]


def _row(kind: str, item: JsonObject, group: Any) -> Any:
    fields: tuple[str, ...] = ROWS[kind].__struct_fields__  # the last key is the group
    return ROWS[kind](*map(item.get, fields[:-1]), group)


LARGEST = 1e15
"""Beyond 2**53 (9e15) a float cannot represent every integer; the margin keeps sums of squares accurate."""


def number(value: Any) -> float | None:
    """A value as a number of usable size, booleans as 1 and 0; None for anything else.

    >>> number(True), number("2.5"), number(float("nan")), number("fast"), number(1e300)
    (1.0, 2.5, None, None, None)
    """
    if type(value) is not float:  # the usual case
        if not isinstance(value, str | int | float):
            return None
        try:
            value = float(value)
        except (ValueError, OverflowError):
            return None
    return value if abs(value) <= LARGEST else None


def count_of(value: Any) -> int | None:
    """The value as a number of calls; None for anything else, such as -1."""
    if type(value) is int and 0 <= value <= LARGEST:
        return value
    count = number(value)
    return None if count is None or count < 0 else int(count)


def numbers(values: Iterable[Any]) -> list[float | None]:
    """``number`` for many values, mostly numbers: one call for each would take most of the time."""
    return [
        v if type(v) is float and -LARGEST <= v <= LARGEST
        else float(v) if type(v) is int and -LARGEST <= v <= LARGEST
        else number(v)
        for v in values
    ]  # fmt: skip


def counts_of(values: Iterable[Any]) -> list[int | None]:
    """``count_of`` for many values, nearly always all whole numbers or all absent."""
    sent = [*values]
    kinds = {*map(type, sent)}
    if kinds == {NoneType} or (kinds == {int} and min(sent) >= 0 and max(sent) <= LARGEST):
        return sent
    return [count_of(value) for value in sent]
