"""What passes between the client and whatever carries its requests: its cost, its limits, and what answers hold.

Whatever is not as documented is one error, with what is wrong.
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
from cekura_dashboards.api.models import Dashboard, JsonObject, Widget, as_list, as_object, is_list, is_object
from cekura_dashboards.text import inert, quoted

MAX_BODY_BYTES = 96 * 2**20
SMALLER = "Ask for a narrower window, or plot a bar instead of a line"


class Response(Struct, frozen=True):
    """A response, its body read whole."""

    status: int
    body: bytes | bytearray
    content_type: str = ""
    retry_after: str | None = None
    date: str | None = None


class Transport(Protocol):
    """Sends one request and returns the answer, whatever its status.

    Raises:
        Unreachable: if there is none.
        UnreadableAnswer: if it is larger than the cap.
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
    """Counts of one call. ``trips``: how often it had to wait for the API; requests under way together are one.

    ``bytes``: of the bodies of all answers, unpacked.
    """

    requests: int = 0
    retries: int = 0
    trips: int = 0
    bytes: int = 0
    points: int = 0
    cache_hits: int = 0
    _under_way: int = 0

    def begin(self) -> None:
        """A request goes out."""
        self.requests += 1
        self.trips += not self._under_way
        self._under_way += 1

    def end(self) -> None:
        """It was answered, or given up."""
        self._under_way -= 1


def usage() -> Usage:
    """The counts of the call that this is part of; outside of one, counts that nobody reads."""
    return _counting.get() or Usage()


@contextmanager
def count_usage() -> Generator[Usage]:
    """Count what is done inside; inside of another, both count the same.

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
S = TypeVar("S", Dashboard, Widget)


class Size(NamedTuple):
    """The most that an answer may be: bytes, and values, which are counted by the marks between them.

    Read, a value takes up to fifty times its bytes, and nothing else gets its turn meanwhile.
    """

    size: int
    values: int
    marks: bytes = b"[{,"


MEBIBYTE = 2**20
RECORDS = Size(16 * MEBIBYTE, 1_000_000)
CALLS = Size(64 * MEBIBYTE, 4_000_000)
CHARTS = Size(MAX_BODY_BYTES, 3_000_000, b"{")


def within(most: Size, answer: Response) -> Response:
    """The answer, if it is no larger than that."""
    body = answer.body
    if len(body) > most.size:
        raise UnreadableAnswer(f"it is larger than {most.size / MEBIBYTE:.0f} MiB. {SMALLER}")
    if len(body) > MEBIBYTE and sum(body.count(mark) for mark in most.marks) > most.values:
        raise UnreadableAnswer(f"it holds more than {most.values} values. {SMALLER}")
    return answer


class Page(msgspec.Struct, Generic[T]):
    results: list[T]
    next: str | None = None


class CountedPage(msgspec.Struct):
    count: int
    results: list[msgspec.Raw]


_LIST_OR_PAGE: Any = list[msgspec.Raw] | Page[msgspec.Raw]


def decode(body: Body, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise UnreadableAnswer(f"a field has another type than documented ({error})") from None
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
        raise UnreadableAnswer(f"{place} has another type than documented") from None
    return parsed


def parse_list(kind: type[T], body: Body) -> list[T]:
    """A plain array, or pages with ``results`` in case one is wrapped after all."""
    rows: list[msgspec.Raw] | Page[msgspec.Raw] = decode(body, _LIST_OR_PAGE)
    return [parse(kind, raw) for raw in (rows if isinstance(rows, list) else rows.results)]


def objects_in(data: Any) -> list[JsonObject]:
    """The objects of a list, or of the first list that an object holds."""
    values: list[Any] = [data, *(as_object(data) or {}).values()]
    items: list[Any] = next((value for value in values if is_list(value)), list[Any]())
    return [item for item in items if is_object(item)]


def check_same_id(record: S, number: int) -> S:
    if record.id != number:
        raise UnreadableAnswer(f"it is about {record.id}, but {number} was asked for")
    return record


def messages_of(body: Body, key: SecretStr) -> dict[str, list[str]]:
    """The documented messages of a 400: ``{"detail": "…"}`` or ``{"field": ["…", …]}``; nothing else is kept."""
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
