"""Answers of the API as what they hold; whatever is not as documented is one error, with what is wrong."""

from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
from pydantic import SecretStr, TypeAdapter, ValidationError

from cekura_dashboards.api.errors import UnreadableAnswer
from cekura_dashboards.api.models import Dashboard, JsonObject, Widget, as_list, as_object, is_list, is_object
from cekura_dashboards.api.wire import MAX_BODY_BYTES, SMALLER, Answer
from cekura_dashboards.text import inert, quoted

Body = bytes | bytearray | msgspec.Raw
MOST_IN_A_REFUSAL = 100_000
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


def within(most: Size, answer: Answer) -> Answer:
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


def decoded(body: Body, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise UnreadableAnswer(f"a field has another type than documented ({error})") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UnreadableAnswer("it is not valid JSON") from None


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}


def parsed_as(kind: type[T], body: Body) -> T:
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


def parsed_list(kind: type[T], body: Body) -> list[T]:
    """A plain array, or pages with ``results`` in case one is wrapped after all."""
    found: list[msgspec.Raw] | Page[msgspec.Raw] = decoded(body, _LIST_OR_PAGE)
    return [parsed_as(kind, raw) for raw in (found if isinstance(found, list) else found.results)]


def objects_in(found: Any) -> list[JsonObject]:
    """The objects of a list, or of the first list that an object holds."""
    values: list[Any] = [found, *(as_object(found) or {}).values()]
    items: list[Any] = next((value for value in values if is_list(value)), list[Any]())
    return [item for item in items if is_object(item)]


def same_id(found: S, asked: int) -> S:
    if found.id != asked:
        raise UnreadableAnswer(f"it is about {found.id}, but {asked} was asked for")
    return found


def messages_of(body: Body, key: SecretStr) -> dict[str, list[str]]:
    """The documented messages of a 400: ``{"detail": "…"}`` or ``{"field": ["…", …]}``; nothing else is kept."""
    if len(body) > MOST_IN_A_REFUSAL:
        return {}
    try:
        found = as_object(msgspec.json.decode(body)) or {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    messages = dict[str, list[str]]()
    for name, value in list(found.items())[:8]:
        texts = as_list(value) or [value]
        shown = [inert(quoted(text, secret=key.get_secret_value())) for text in texts[:3] if isinstance(text, str)]
        if shown:
            messages[inert(quoted(str(name), limit=40, secret=key.get_secret_value()))] = shown
    return messages
