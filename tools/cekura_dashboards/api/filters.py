"""Filters: the model that validates a caller's, and functions on stored ones.

A filter is a condition ``{field, op, value}`` or a group ``{operator, conditions}``. Stored filters stay plain JSON,
as the API may accept more than is documented.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from cekura_dashboards.api.errors import UnknownField
from cekura_dashboards.api.models import (
    DURATION,
    FILTER_OPS,
    FILTERED,
    METRIC_VALUE,
    FilterOp,
    GroupOperator,
    JsonObject,
    as_list,
    as_object,
    filter_field,
    is_metadata,
)
from cekura_dashboards.text import UntrustedText, did_you_mean, json_text, short_json, word

RELATIVE = re.compile(r"(now|today)(?:-(\d{1,5})([smhdwMy]))?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "M": 30 * 86400, "y": 365 * 86400}
_ROW_FIELDS = "metric_evaluations."
LONGEST_REGEX = 1000
MAX_EXAMPLE = 240


class Filter(BaseModel):
    """A condition (field, op, value) or a group (operator, conditions)."""

    model_config = ConfigDict(extra="forbid", strict=True)

    field: str | None = Field(default=None, description="success, duration, agent.id, topic, metadata.KEY …")
    op: FilterOp | None = None
    value: Any = Field(default=None, description="a list for in; times: ISO, now-30m, today-7d")
    operator: GroupOperator | None = Field(default=None, description="and, or, same_row (of one metric evaluation)")
    conditions: list["Filter"] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "Filter":
        if self.conditions is not None or self.operator is not None:
            self._check_group()
        else:
            self._check_condition()
        return self

    def _check_group(self) -> None:
        if self.field is not None or self.op is not None:
            raise fault(
                "",
                "mixes a condition and a group; keep either `field`, `op`, `value` or `operator`, `conditions`.",
            )
        if not self.conditions:
            example = {"field": "success", "op": "eq", "value": True}
            shape = json_shape({"operator": self.operator or "and", "conditions": [example]})
            raise fault("conditions", f"needs at least one condition, for example {shape}.")
        if self.operator is None:
            shape = json_shape({"operator": "and", "conditions": [child.to_json() for child in self.conditions]})
            raise fault("operator", f"is missing; use `and`, `or` or `same_row`, for example {shape}.")
        if self.operator == "same_row":
            strangers = [c.field for c in self.conditions if c.field and not c.field.startswith(_ROW_FIELDS)]
            if strangers:
                raise fault(
                    "conditions",
                    f"of same_row accept only metric_evaluations fields, not {UntrustedText(strangers[0])}.",
                )

    def _check_condition(self) -> None:
        if self.field is None:
            raise fault("field", "is missing; a condition is {field, op, value}.")
        filter_type = filter_field(self.field)
        if filter_type is None:
            if self.field == "metric":
                raise fault("field", f"`metric` {of_metric(self.op, self.value)}")
            hint = did_you_mean(self.field, [*FILTERED, "metadata.KEY"], limit=20)
            is_key = self.field.isidentifier() and self.field != "metadata"
            key = f" For a metadata key use metadata.{self.field}." if is_key else ""
            unknown = UnknownField(self.field, "filter", self.op, self.value)
            raise fault("field", f"{UntrustedText(self.field)} cannot be filtered; {hint}{key}", unknown)
        if self.op is None:
            ops = filter_type.ops or ("eq", "in")
            shape = json_shape({"field": self.field, "op": ops[0], "value": "…" if self.value is None else self.value})
            raise fault("op", f"is missing; for {self.field} try {', '.join(ops)}, for example {shape}.")
        _check_value("seconds" if self.field == DURATION else filter_type.kind, self.op, self.value)

    def to_json(self) -> JsonObject:
        """As the API expects it."""
        if self.conditions is not None:
            return {"operator": self.operator, "conditions": [child.to_json() for child in self.conditions]}
        return {"field": self.field, "op": self.op, "value": self.value}


def json_shape(example: JsonObject) -> str:
    """A correct filter for an error message, built from the caller's values."""
    return short_json(example, limit=MAX_EXAMPLE)


def fault(at: str, message: str, unknown: UnknownField | None = None) -> PydanticCustomError:
    """A validation error whose path ends in ``at``."""
    return PydanticCustomError("fault", "{message}", {"message": message, "at": at, "unknown": unknown})


def of_metric(op: str | None, value: Any) -> str:
    """A message that ``metric`` is ambiguous, an id or a score, with a condition on both."""
    is_id = op in {None, "eq", "in"} and isinstance(value, int | float | str)
    name = "metric_evaluations.metric.name" if isinstance(value, str) and is_id else METRIC_ID
    which = {"field": name, "op": "eq", "value": value if is_id else "…"}
    scored = {"field": METRIC_VALUE, "op": "gte" if is_id else op, "value": "…" if is_id else value}
    shape = json_shape({"operator": "same_row", "conditions": [which, scored]})
    return f"may mean the metric or its score; give both: {shape}."


def _check_value(kind: str, op: str, value: Any) -> None:
    """Refuse a value that does not fit the operator or the field's type."""
    if op == "isnull":
        if not isinstance(value, bool):
            raise fault("value", "must be true or false for isnull.")
        return
    if op == "in":
        items = as_list(value)
        if not items:
            raise fault("value", "must be a list with at least one value for in.")
        for item in items:
            _check_one(kind, "eq", item)
        return
    _check_one(kind, op, value)


def _check_one(kind: str, op: str, value: Any) -> None:
    if value is None:
        raise fault("value", "is missing; to match calls without a value use op isnull.")
    if op in {"contains", "startswith", "endswith", "regex"} or kind == "text":
        if not isinstance(value, str):
            raise fault("value", "must be text.")
        if op == "regex":
            _check_regex(value)
    elif kind == "boolean" and not isinstance(value, bool):
        raise fault("value", f"{short_json(value, limit=40)} is not true or false.")
    elif kind in {"number", "seconds"} and (isinstance(value, bool) or not isinstance(value, int | float)):
        wanted = "a number of seconds" if kind == "seconds" else "a number"
        raise fault("value", f"{short_json(value, limit=40)} is not {wanted}.")
    elif kind == "time" and (not isinstance(value, str) or resolve_time(value, op, datetime.now(UTC)) is None):
        forms = "ISO 8601, or relative such as now-30m or today-7d (units s m h d w M y)"
        raise fault("value", f"{short_json(value, limit=40)} is not a time: {forms}.")
    elif not isinstance(value, str | int | float):
        raise fault("value", "must be text, a number, true or false.")


def _check_regex(pattern: str) -> None:
    if len(pattern) > LONGEST_REGEX:
        raise fault("value", f"is too long; a regular expression may have {LONGEST_REGEX} characters.")
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        raise fault("value", "is not a valid regular expression.") from None


AGENT_IDS = frozenset({"agent.id", "agent_id"})
AGENT_FIELDS = AGENT_IDS | {"agent", "agent.agent_name"}
METRIC_ID = "metric_evaluations.metric.id"
EVALUATION_NAMES = {METRIC_ID, "metric_evaluations.metric.name"}
EVALUATION_VALUE = "metric_evaluations.value"


def may_be_missing(name: str) -> bool:
    """Whether calls can lack a value of a field, and filters can match such calls."""
    filter_type = filter_field(name)
    return is_metadata(name) or (filter_type is not None and "isnull" in filter_type.ops)


def with_missing(requested: Filter | None, path: str = "filters") -> tuple[JsonObject | None, list[str]]:
    """A filter in which each ``neq`` also matches calls without a value, and notes on that.

    A call without a campaign is also "not recall", but whether the API counts it is undocumented. A ``neq`` beside an
    ``isnull`` on the same field stays as it is.

    >>> with_missing(Filter(field="topic", op="neq", value="a"))[0]["conditions"][1]
    {'field': 'topic', 'op': 'isnull', 'value': True}
    """
    if requested is None:
        return None, []
    node = requested.to_json()
    fields = dict.fromkeys(str(condition["field"]) for condition in neq_alone(node))
    if not fields:
        return node, []
    named = ", ".join(word(name, FILTERED) for name in fields)
    return _with_missing(node, [*neq_alone(node)]), [
        f"{path}: neq also counts calls without a value of {named}; add isnull false to exclude them"
    ]


def _with_missing(node: JsonObject, alone: list[JsonObject]) -> JsonObject:
    children = as_list(node.get("conditions"))
    if children is not None:
        return {**node, "conditions": [_with_missing(child, alone) for child in children]}
    if not any(node is condition for condition in alone):
        return node
    return {"operator": "or", "conditions": [node, {"field": node["field"], "op": "isnull", "value": True}]}


def neq_alone(node: JsonObject | None, settled: frozenset[str] = frozenset()) -> Iterator[JsonObject]:
    """``neq`` conditions on fields that can be missing, without an ``isnull`` on the same field."""
    group = as_object(node) or {}
    children = [as_object(child) or {} for child in as_list(group.get("conditions")) or []]
    if group.get("op") == "neq" and may_be_missing(str(group.get("field"))) and group.get("field") not in settled:
        yield group
    if group.get("operator") != "same_row":
        settled |= {str(child.get("field")) for child in children if child.get("op") == "isnull"}
        for child in children:
            yield from neq_alone(child, settled)


def filter_warnings(node: Any, path: str = "filters") -> Iterator[str]:
    """Warnings for a filter that the API may refuse, or that may match other calls than intended."""
    yield from _undocumented(node, path)
    for name in dict.fromkeys(str(condition["field"]) for condition in neq_alone(as_object(node))):
        yield f"{path}: {word(name, FILTERED)} neq may exclude calls without a value; `or` an isnull true includes them"
    yield from _loose_evaluations(node, path)


PASSES = (True, 1, 5, "true", "1", "5")
OTHER_SCORE = "a passing metric may be scored 5, 1 or true: try another of these"


def wants_pass(node: JsonObject | None) -> bool:
    """Whether a filter matches calls that pass a metric, by any of the values for a pass."""
    return any(
        condition.get("field") == EVALUATION_VALUE and condition.get("op") == "eq" and condition.get("value") in PASSES
        for _, condition in _conditions(node, "")
    )


def _loose_evaluations(node: Any, path: str) -> Iterator[str]:
    """Warnings for a metric and a value that may match different evaluations, without ``same_row``."""
    group = as_object(node) or {}
    children = [as_object(child) or {} for child in as_list(group.get("conditions")) or []]
    fields = {str(child.get("field")) for child in children}
    if group.get("operator") == "and" and EVALUATION_VALUE in fields and EVALUATION_NAMES & fields:
        yield (
            f"{path}: with `and`, the metric and the value may match different evaluations of a call, so that more "
            'calls match; put both into one group with "operator": "same_row".'
        )
    for index, child in enumerate(children):
        yield from _loose_evaluations(child, f"{path}.conditions[{index}]")


def _undocumented(node: Any, path: str) -> Iterator[str]:
    """Warnings for operators that are not documented for their field."""
    for place, condition in _conditions(node, path):
        filter_type = filter_field(str(condition.get("field")))
        op = condition.get("op")
        if filter_type and filter_type.ops and op not in filter_type.ops:
            ops = ", ".join(filter_type.ops)
            operator = word(op, FILTER_OPS)
            yield f"{place}: {operator} is not documented for {condition['field']} ({ops}); the API may refuse it."


def _conditions(node: Any, path: str) -> Iterator[tuple[str, JsonObject]]:
    group = as_object(node)
    if group is None:
        return
    children = as_list(group.get("conditions"))
    if children is not None:
        for index, child in enumerate(children):
            yield from _conditions(child, f"{path}.conditions[{index}]")
    elif "field" in group:
        yield path, group


def operators_of(node: JsonObject | None) -> set[str]:
    """The operators of all conditions of a filter."""
    return {str(condition.get("op")) for _, condition in _conditions(node, "")}


def fields_of(node: JsonObject | None) -> list[str]:
    """The fields in a filter, in order.

    >>> fields_of({"operator": "or", "conditions": [{"field": "topic", "op": "eq", "value": "a"}]})
    ['topic']
    """
    return [str(condition["field"]) for _, condition in _conditions(node, "")]


def both(*filters: JsonObject | None) -> JsonObject:
    """AND of any number of filters, flattened; empty ones are dropped.

    >>> a = {"field": "success", "op": "eq", "value": True}
    >>> both(a, None, {}) == a, len(both(a, both(a, a))["conditions"])
    (True, 3)
    """
    parts = [part for item in filters for part in and_parts(item)]
    return parts[0] if len(parts) == 1 else {"operator": "and", "conditions": parts} if parts else {}


def and_parts(node: JsonObject | None) -> Iterator[JsonObject]:
    """The conditions and groups that must all match, nested ANDs flattened."""
    if not node:
        return
    children = as_list(node.get("conditions"))
    if children is not None and node.get("operator", "and") == "and":
        for child in children:
            yield from and_parts(as_object(child))
    elif "field" in node or children:
        yield node


def replace_fields(node: JsonObject | None, by: JsonObject | None) -> tuple[JsonObject, list[JsonObject]]:
    """A filter in which ``by`` replaces the conditions on the same fields; and the replaced conditions.

    Only conditions whose ancestors are all ``and`` are replaced.

    >>> old = {"field": "topic", "op": "eq", "value": "a"}
    >>> replace_fields(old, {**old, "value": "b"})
    ({'field': 'topic', 'op': 'eq', 'value': 'b'}, [{'field': 'topic', 'op': 'eq', 'value': 'a'}])
    """
    rest, out = without_fields_of(node, by)
    return both(rest, by), out


def without_fields_of(node: JsonObject | None, other: JsonObject | None) -> tuple[JsonObject, list[JsonObject]]:
    """A filter without its conditions on the fields of another; and those conditions."""
    fields = {_same_field(name) for name in fields_of(other)}
    out = [part for part in and_parts(node) if fields & {_same_field(name) for name in fields_of(part)}]
    return both(*(part for part in and_parts(node) if part not in out)), out


def _same_field(name: str) -> str:
    """One name for fields that identify the same thing."""
    return "agent" if name in AGENT_FIELDS else name


def _is_time(node: JsonObject) -> bool:
    return node.get("field") == "timestamp"


def without_time(node: JsonObject | None) -> JsonObject:
    """The filter without the time conditions whose ancestors are all ``and``."""
    return both(*(part for part in and_parts(node) if not _is_time(part)))


def only_time(node: JsonObject | None) -> JsonObject:
    """The time conditions that ``without_time`` removes."""
    return both(*(part for part in and_parts(node) if _is_time(part)))


def has_nested_time(node: JsonObject | None) -> bool:
    """Whether a time condition is inside ``or`` or ``same_row``, where it cannot be removed."""
    return any(
        _is_time(condition) for part in and_parts(node) if not _is_time(part) for _, condition in _conditions(part, "")
    )


class Bounds(Struct, frozen=True):
    """A filter's time bounds, as instants; None where it sets none."""

    start: datetime | None
    end: datetime | None


def time_bounds(node: JsonObject | None, now: datetime) -> Bounds:
    """The tightest bounds among the time conditions that must all match.

    ``today`` is the start of the UTC day for gt and gte, its end for lt and lte. ``eq`` bounds both sides.
    """
    starts, ends = list[datetime](), list[datetime]()
    for part in and_parts(node):
        op = str(part.get("op"))
        moment = resolve_time(part.get("value"), op, now) if _is_time(part) else None
        if moment is not None and op in {"gt", "gte", "eq"}:
            starts.append(moment)
        if moment is not None and op in {"lt", "lte", "eq"}:
            ends.append(moment)
    return Bounds(max(starts, default=None), min(ends, default=None))


def resolve_time(value: Any, op: str, now: datetime) -> datetime | None:
    """A filter's time value as an instant in UTC; None if it is not a time."""
    text = str(value)
    try:
        if match := RELATIVE.fullmatch(text):
            word, amount, unit = match.groups()
            moment = now - timedelta(seconds=int(amount or 0) * _SECONDS[unit or "s"])
            if word == "now":
                return moment
            day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
            return day + timedelta(days=1) if op in {"lt", "lte"} else day
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def within(start: datetime, end: datetime) -> JsonObject:
    """The filter for the half-open window ``[start, end)``.

    >>> within(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 8, tzinfo=UTC))["conditions"][1]
    {'field': 'timestamp', 'op': 'lt', 'value': '2026-11-08T00:00:00Z'}
    """
    return {
        "operator": "and",
        "conditions": [
            {"field": "timestamp", "op": "gte", "value": instant(start)},
            {"field": "timestamp", "op": "lt", "value": instant(end)},
        ],
    }


def instant(moment: datetime) -> str:
    """ISO 8601 in UTC with a Z; microseconds only if there are any."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


MAX_VALUES_IN_WORDS = 6
"""Maximum values of a list that are written out."""
_WORDS = {
    "eq": "=", "neq": "≠", "gt": ">", "gte": "≥", "lt": "<", "lte": "≤", "contains": "contains", "in": "in",
    "startswith": "starts with", "endswith": "ends with", "regex": "matches",
}  # fmt: skip


def in_words(node: JsonObject | None, names: Mapping[str, str] | None = None) -> str:
    """A filter in plain notation; text values are quoted and truncated.

    ``names``: of agents by id, of metrics by ``metric_key``.

    >>> in_words({"operator": "or", "conditions": [{"field": "topic", "op": "in", "value": ["a", "b"]},
    ...     {"field": "success", "op": "isnull", "value": True}]})
    'topic in ("a", "b") or success has no value'
    >>> in_words({"field": "agent.id", "op": "eq", "value": 33}, {"33": "Booking"})
    'agent.id = "Booking" (33)'
    """
    return _words(node, names or {}, nested=False) if node else "none"


def metric_key(number: object) -> str:
    """The key of a metric's name among the names of agents."""
    return f"metric {number}"


def _words(node: JsonObject, names: Mapping[str, str], *, nested: bool) -> str:
    children = as_list(node.get("conditions"))
    if children is not None:
        operator = str(node.get("operator", "and"))
        joint = " or " if operator == "or" else " and "
        inner = joint.join(_words(as_object(child) or {}, names, nested=True) for child in children)
        if operator == "same_row":
            return f"one evaluation with ({inner})"
        return f"({inner})" if nested and len(children) > 1 else inner
    field, op, value = word(node.get("field"), FILTERED), str(node.get("op")), node.get("value")
    if op == "isnull":
        return f"{field} has {'no' if value else 'a'} value"
    names_by_id = dict[str, str]()
    if str(node.get("field")) in AGENT_IDS:
        names_by_id = {key: name for key, name in names.items() if key.isdecimal()}
    elif node.get("field") == METRIC_ID:
        names_by_id = {str(item): name for item in as_list(value) or [value] if (name := names.get(metric_key(item)))}
    return f"{field} {_WORDS[op] if op in _WORDS else UntrustedText(op, limit=20)} {_value_words(value, names_by_id)}"


def _value_words(value: Any, names: Mapping[str, str]) -> str:
    items = as_list(value)
    if items is not None:
        more = f", … {len(items) - MAX_VALUES_IN_WORDS} more" if len(items) > MAX_VALUES_IN_WORDS else ""
        return f"({', '.join(_value_words(item, names) for item in items[:MAX_VALUES_IN_WORDS])}{more})"
    if isinstance(value, int | str) and str(value) in names:
        return f"{UntrustedText(names[str(value)])} ({value})"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, str):
        return str(UntrustedText(value))
    return str(value) if isinstance(value, int | float) else str(UntrustedText(json_text(value)))
