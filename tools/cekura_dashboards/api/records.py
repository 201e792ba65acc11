"""Records beside the dashboards: versions of metrics and agents, the audit log, single calls, failure modes.

Most of their shapes are documented, some wrongly. Unexpected values count as absent, so that they hide nothing
else. Names of people, such as who made an edit, are dropped.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import Struct, field

from cekura_dashboards.api.errors import UnreadableAnswer
from cekura_dashboards.api.models import JsonObject, as_list, as_object
from cekura_dashboards.api.wire import Body, CountedPage, decode

BOOKKEEPING = frozenset({
    "history_id", "history_date", "history_type", "history_change_reason", "history_user", "version_id", "version_name",
    "agents_snapshot", "id", "slug", "project", "agent", "created_at", "updated_at",
})  # fmt: skip
"""Fields that identify a version; the others are the configuration of its metric or agent."""
Operation = Literal["created", "changed", "deleted"]
OPERATIONS: dict[Any, Operation] = {
    "+": "created", "~": "changed", "-": "deleted", "create": "created", "update": "changed", "delete": "deleted",
}  # fmt: skip
"""The operations of histories and of the audit log."""
MAX_DEPTH, MAX_MODES = 4, 50
"""The depth to which failure modes are searched, and how many are read."""


class Version(Struct, frozen=True):
    """A metric or agent as it was after an edit. ``fields``: its configuration, each value as the JSON received."""

    at: datetime
    operation: Operation
    fields: Mapping[str, bytes]
    reason: str | None = None
    version: str | None = None


class History(Struct, frozen=True):
    """A page of versions, the newest first. ``count``: of all pages, those without a readable time included."""

    count: int
    versions: list[Version]


class AuditEntry(NamedTuple):
    """One operation in the audit log."""

    at: datetime
    operation: Operation
    kind: str
    number: int | None


class AuditLog(Struct, frozen=True):
    """A page of the audit log, the newest first. ``size``: of this page, unreadable entries included."""

    count: int
    size: int
    entries: list[AuditEntry]


class Rule(Struct, frozen=True):
    """A rule of the rubric, and whether one call passed it."""

    metric: int | None
    name: str
    passed: bool
    value: Any = None
    explanation: list[str] = field(default_factory=list[str])


class MetricOfCall(Struct, frozen=True):
    """A metric's value for one call."""

    metric: int | None
    name: str
    value: Any = None
    explanation: list[str] = field(default_factory=list[str])


class CallDetails(Struct, frozen=True):
    """The details of one call that lists omit. ``rules`` None: the call has no rubric."""

    rules: list[Rule] | None
    metrics: list[MetricOfCall]
    metadata: JsonObject


class FailureMode(Struct, frozen=True):
    """A way in which calls fail a metric. ``count``: its calls that the API still keeps."""

    slug: str
    name: str
    metric: int
    count: int


class FailureCalls(Struct, frozen=True):
    """The calls of a failure mode in a window, the newest first."""

    count: int
    call_ids: list[int]


def history_of(body: Body) -> History:
    page = decode(body, CountedPage)
    versions = [version for raw in page.results if (version := _version(raw)) is not None]
    return History(page.count, sorted(versions, key=lambda version: version.at, reverse=True))


def _version(record: msgspec.Raw) -> Version | None:
    parts = {name: bytes(raw) for name, raw in decode(record, dict[str, msgspec.Raw]).items()}
    values = {name: scalar(parts[name]) for name in BOOKKEEPING & {*parts}}
    at, operation = moment(values.get("history_date")), OPERATIONS.get(values.get("history_type"))
    if at is None or operation is None:
        return None
    fields = {name: raw for name, raw in parts.items() if name not in BOOKKEEPING}
    return Version(at, operation, fields, _text(values.get("history_change_reason")), _text(values.get("version_name")))


def scalar(raw: bytes) -> str | float | bool | None:
    """A text, number or boolean; None for null, lists and objects.

    >>> scalar(b'"a"'), scalar(b"2.5"), scalar(b"[1]")
    ('a', 2.5, None)
    """
    value: Any = None if raw[:1] in {b"[", b"{"} else decode(raw, object)
    return value if isinstance(value, str | float | int) else None


def audit_log_of(body: Body) -> AuditLog:
    page = decode(body, CountedPage)
    entries = [entry for raw in page.results if (entry := _entry(decode(raw, object))) is not None]
    newest_first = sorted(entries, key=lambda entry: entry.at, reverse=True)
    return AuditLog(page.count, len(page.results), newest_first)


def _entry(record: object) -> AuditEntry | None:
    values = as_object(record) or {}
    at, operation = moment(values.get("timestamp")), OPERATIONS.get(_word(values.get("operation_type")))
    kind = _text(values.get("object_type"))
    if at is None or operation is None or kind is None:
        return None
    return AuditEntry(at, operation, kind, _whole(values.get("object_id")))


def call_details_of(body: Body, number: int) -> CallDetails:
    """The details of the call ``number``.

    Raises:
        UnreadableAnswer: if they are of another call.
    """
    values = as_object(decode(body, object))
    if values is None or values.get("id", number) != number:
        raise UnreadableAnswer(f"it does not describe call {number}")
    rules = as_list(values.get("rubric"))
    metrics = as_list((as_object(values.get("evaluation")) or {}).get("metrics")) or []
    return CallDetails(
        None if rules is None else [rule for item in rules if (rule := _rule(as_object(item) or {})) is not None],
        [metric for item in metrics if (metric := _metric_of_call(as_object(item) or {})) is not None],
        as_object(values.get("metadata")) or {},
    )


def _rule(values: JsonObject) -> Rule | None:
    passed, metric = values.get("passed"), _whole(values.get("metric_id"))
    name = _text(values.get("metric_name")) or (None if metric is None else f"metric {metric}")
    if not isinstance(passed, bool) or name is None:
        return None
    return Rule(metric, name, passed, values.get("value"), _texts(values.get("explanation")))


def _metric_of_call(values: JsonObject) -> MetricOfCall | None:
    metric = _whole(values.get("id"))
    name = _text(values.get("name")) or (None if metric is None else f"metric {metric}")
    if name is None:
        return None
    label = _text(values.get("enum")) or _text(values.get("value"))
    return MetricOfCall(metric, name, label or values.get("score"), _texts(values.get("explanation")))


def failure_modes_of(body: Body) -> list[FailureMode]:
    """The failure modes in a response, each once. The documented shape is wrong: an insight, not a list of modes."""
    modes = {(mode.metric, mode.slug): mode for mode in _modes(decode(body, object), None, MAX_DEPTH)}
    return sorted(modes.values(), key=lambda mode: (-mode.count, mode.slug))[:MAX_MODES]


def _modes(value: object, metric: int | None, depth: int) -> Iterator[FailureMode]:
    """Objects with a slug, in lists and objects; ``metric``: that of the enclosing object."""
    if depth < 0:
        return
    for item in as_list(value) or []:
        yield from _modes(item, metric, depth)
    values = as_object(value) or {}
    own = _first(values, "metric_id", "metric")
    metric = metric if not isinstance(own, int) or isinstance(own, bool) else own
    slug = _text(_first(values, "slug", "category_slug"))
    if slug is not None and metric is not None:
        name = _text(_first(values, "name", "title", "label", "category")) or slug
        yield FailureMode(slug, name, metric, _whole(_first(values, "count", "call_count", "num_calls")) or 0)
        return
    for inner in values.values():
        yield from _modes(inner, metric, depth - 1)


def failure_calls_of(body: Body) -> FailureCalls:
    values = as_object(decode(body, object)) or {}
    ids = [number for item in as_list(values.get("call_log_ids")) or [] if (number := _whole(item)) is not None]
    count = _whole(values.get("count"))
    return FailureCalls(len(ids) if count is None else max(count, 0), ids)


def _first(values: JsonObject, *names: str) -> Any:
    return next((values[name] for name in names if values.get(name) is not None), None)


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _text(value: Any) -> str | None:
    """A non-blank text; None for anything else."""
    return value if isinstance(value, str) and value.strip() else None


def _texts(value: Any) -> list[str]:
    return [text for item in as_list(value) or [value] if (text := _text(item)) is not None]


def moment(value: Any) -> datetime | None:
    """An instant from the API; None if it is malformed, or too close to the ends of the calendar to shift.

    >>> moment("2026-11-18T15:30:00Z"), moment("soon"), moment("0001-01-01T00:00:00+14:00")
    (datetime.datetime(2026, 11, 18, 15, 30, tzinfo=datetime.timezone.utc), None, None)
    """
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if time is None or not 2 <= time.year <= 9998:  # noqa: PLR2004 - a zone or a day may be added to it
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)


def slug_path(slug: str) -> str | None:
    """A slug as part of a path; None if it has characters that slugs cannot have."""
    return slug if slug.replace("-", "").replace("_", "").isalnum() and slug.isascii() else None


def joined(numbers: list[int]) -> str | None:
    """Ids separated by commas, as the API expects; None for no ids."""
    return ",".join(map(str, numbers)) or None
