"""Between the client and a transport: requests and responses, their cost, size limits and decoding.

Anything undocumented is an ``UnreadableAnswer`` that says what is wrong.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import msgspec
from msgspec import Struct
from pydantic import SecretStr, TypeAdapter, ValidationError

from cekura_dashboards.api.errors import UnreadableAnswer
from cekura_dashboards.api.models import (
    Alert,
    Dashboard,
    JsonObject,
    Project,
    Widget,
    as_list,
    as_object,
    is_list,
    is_object,
)
from cekura_dashboards.text import inert, quoted

MAX_BODY_BYTES = 96 * 2**20
SMALLER = "Use a narrower window, or a bar instead of a line."


class Response(Struct, frozen=True):
    """A response with its whole body."""

    status: int
    body: bytes | bytearray
    content_type: str = ""
    retry_after: str | None = None
    date: str | None = None


class Transport(Protocol):
    """Sends one request and returns the response, whatever its status.

    Raises:
        Unreachable: if no response arrives.
        UnreadableAnswer: if it exceeds the size limit.
    """

    async def send(
        self,
        method: str,
        path: str,
        *,
        key: SecretStr,
        timeout_s: float,
        query: dict[str, str],
        body: bytes | None,
    ) -> Response: ...

    async def aclose(self) -> None: ...


_counting: ContextVar["Usage | None"] = ContextVar("usage", default=None)


@dataclass
class Usage:
    """Counts of one call. ``trips``: round trips to the API; concurrent requests count as one.

    ``bytes``: of all response bodies, decompressed.
    """

    requests: int = 0
    retries: int = 0
    trips: int = 0
    bytes: int = 0
    points: int = 0
    cache_hits: int = 0
    _under_way: int = 0

    def begin(self) -> None:
        """A request starts."""
        self.requests += 1
        self.trips += not self._under_way
        self._under_way += 1

    def end(self) -> None:
        """A request ended, with a response or without."""
        self._under_way -= 1


def usage() -> Usage:
    """The counts of the current call; outside a call, a throw-away object."""
    return _counting.get() or Usage()


@contextmanager
def count_usage() -> Generator[Usage]:
    """Count the requests inside; nested, the outer counts are used.

    >>> with count_usage() as counts:
    ...     usage().begin()
    >>> counts.requests, counts.trips, usage().requests
    (1, 1, 0)
    """
    token = _counting.set(counts := _counting.get() or Usage())
    try:
        yield counts
    finally:
        _counting.reset(token)


Body = bytes | bytearray | msgspec.Raw
MAX_REFUSAL_BYTES = 100_000
T = TypeVar("T")
S = TypeVar("S", Dashboard, Widget, Alert)


class Size(NamedTuple):
    """Limits of a response: bytes, and values, which are counted by the separators between them.

    A decoded value takes up to fifty times its bytes, and decoding blocks the event loop.
    """

    size: int
    values: int
    marks: bytes = b"[{,"


MEBIBYTE = 2**20
RECORDS = Size(16 * MEBIBYTE, 1_000_000)
CALLS = Size(64 * MEBIBYTE, 4_000_000)
CHARTS = Size(MAX_BODY_BYTES, 3_000_000, b"{")


def within(most: Size, answer: Response) -> Response:
    """The response, if it is within the limits."""
    body = answer.body
    if len(body) > most.size:
        raise UnreadableAnswer(f"it is larger than {most.size / MEBIBYTE:.0f} MiB", SMALLER)
    if len(body) > MEBIBYTE and sum(body.count(mark) for mark in most.marks) > most.values:
        raise UnreadableAnswer(f"it contains more than {most.values} values", SMALLER)
    return answer


class Page(msgspec.Struct, Generic[T]):
    results: list[T]
    next: str | None = None


class CountedPage(msgspec.Struct):
    count: int
    results: list[msgspec.Raw]


class Score(msgspec.Struct):
    """What a metric, ``id``, scored a call."""

    id: Any = None
    score: Any = None


class ScoredCall(msgspec.Struct):
    """A call with its scores; everything else in the response is skipped without decoding."""

    id: Any = None
    timestamp: Any = None
    agent: Any = None
    metrics: list[Score] | None = None


class ScorePage(msgspec.Struct):
    count: int
    results: list[ScoredCall]


class DailyReport(msgspec.Struct):
    """The only field decoded of a project: others are secret. ``daily_report_dashboard_ids`` may be absent."""

    id: int
    name: str | None = None
    daily_report_dashboard_ids: list[int] | msgspec.UnsetType | None = msgspec.UNSET

    @property
    def dashboards(self) -> list[int]:
        shown = self.daily_report_dashboard_ids
        return [] if isinstance(shown, msgspec.UnsetType) or shown is None else shown


_LIST_OR_PAGE: Any = list[msgspec.Raw] | Page[msgspec.Raw]


def decode(body: Body, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise UnreadableAnswer(f"a field has an undocumented type ({error})") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UnreadableAnswer("it is not valid JSON") from None


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}


def parse(kind: type[T], body: Body) -> T:
    adapter = _ADAPTERS.setdefault(kind, TypeAdapter(kind)) if kind not in _ADAPTERS else _ADAPTERS[kind]
    try:
        parsed: T = adapter.validate_json(bytes(body))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        if first["type"] == "json_invalid":
            raise UnreadableAnswer("it is not valid JSON") from None
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise UnreadableAnswer(f"{place} has an undocumented type") from None
    return parsed


def parse_list(kind: type[T], body: Body) -> list[T]:
    """The items of a plain array, or of a page with ``results``."""
    return [parse(kind, raw) for raw in _rows_of(body)]


def _rows_of(body: Body) -> list[msgspec.Raw]:
    rows: list[msgspec.Raw] | Page[msgspec.Raw] = decode(body, _LIST_OR_PAGE)
    return rows if isinstance(rows, list) else rows.results


def parse_projects(body: Body) -> list[Project]:
    """The projects of a list. Only the fields of the model are decoded: others may be secrets."""
    records = [decode(raw, dict[str, msgspec.Raw]) for raw in _rows_of(body)]
    named_fields = ({name: record[name] for name in Project.model_fields if name in record} for record in records)
    return [parse(Project, msgspec.json.encode(fields)) for fields in named_fields]


def objects_in(data: Any) -> list[JsonObject]:
    """The objects in a list, or in the first list inside an object."""
    values: list[Any] = [data, *(as_object(data) or {}).values()]
    items: list[Any] = next((value for value in values if is_list(value)), list[Any]())
    return [item for item in items if is_object(item)]


def check_same_id(record: S, number: int) -> S:
    if record.id != number:
        raise UnreadableAnswer(f"it describes {record.id}, but {number} was requested")
    return record


def messages_of(body: Body, key: SecretStr) -> dict[str, list[str]]:
    """The documented messages of a 400: ``{"detail": "…"}`` or ``{"field": ["…", …]}``; the rest is dropped."""
    if len(body) > MAX_REFUSAL_BYTES:
        return {}
    try:
        body_object = as_object(msgspec.json.decode(body)) or {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    messages = dict[str, list[str]]()
    for name, value in list(body_object.items())[:8]:
        texts = as_list(value) or [value]
        clean_texts = [
            inert(quoted(text, secret=key.get_secret_value())) for text in texts[:3] if isinstance(text, str)
        ]
        if clean_texts:
            messages[inert(quoted(str(name), limit=40, secret=key.get_secret_value()))] = clean_texts
    return messages
