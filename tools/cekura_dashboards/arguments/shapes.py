"""Shapes that models send for filters, groupings and times, read as the shapes that are meant."""

import math
import re
from collections.abc import Collection
from typing import Any

from cekura_dashboards.api.fields import PLOTTED, filter_field
from cekura_dashboards.api.models import JsonObject, as_list, as_object
from cekura_dashboards.arguments import aliases, rewrites

HOUR_MS = 3_600_000
BUCKETS = {"hour": HOUR_MS, "day": 24 * HOUR_MS, "week": 168 * HOUR_MS}
_CLOCK = re.compile(r"(?:(\d{1,4}):)?(\d{1,4}):([0-5]\d)", re.ASCII)
_AMOUNT = re.compile(
    r"(\d{1,9}(?:\.\d{1,9})?)\s*(ms|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?)(?![a-z])", re.ASCII
)
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
STARTS, ENDS = ("from", "start", "since", "after", "start_date"), ("to", "end", "until", "before", "end_date")
DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
TIMES = ("window", "compare_to", "date_range")


def grouping(value: Any) -> Any:
    """A field, or a step of time, as the object that groups by it.

    >>> grouping({"field": "agent"}), grouping(["hour"])
    ({'field': 'agent.id', 'type': 'field'}, {'type': 'bucket', 'interval': 3600000})
    """
    items = as_list(value)
    if items is not None and len(items) == 1:
        value = items[0]
    if isinstance(value, str) and value.strip():
        step = aliases.value("time_period", value)
        if step in BUCKETS:
            return {"type": "bucket", "interval": BUCKETS[step]}
        return {"type": "field", "field": _grouped(value)}
    fields = as_object(value)
    if fields is None:
        return value
    result = dict(fields)
    if isinstance(field := fields.get("field"), str) and field not in PLOTTED:
        result["field"] = _grouped(field)
    if "type" not in result and ("field" in result) != ("interval" in result):
        result["type"] = "field" if "field" in result else "bucket"
    return result


def _grouped(field: str) -> str:
    name = field.strip()
    return aliases.GROUPED_FIELDS.get(name.casefold(), name)


def condition(value: Any) -> Any:
    """A list of conditions, ``{and: […]}``, ``{FIELD: value}`` or ``{field, OP: value}`` as a filter.

    Operators that the API has not are written in its own, ``not`` around a condition too.

    >>> condition([{"field": "success", "op": "eq", "value": True}])
    {'field': 'success', 'op': 'eq', 'value': True}
    >>> condition({"success": True}), condition({"field": "duration", "gt": 300})
    ({'field': 'success', 'op': 'eq', 'value': True}, {'field': 'duration', 'op': 'gt', 'value': 300})
    >>> condition({"not": {"success": True}})
    {'field': 'success', 'op': 'neq', 'value': True}
    """
    read = _reshape(value)
    fields = as_object(read)
    if fields is None:
        return read
    inner = as_object(fields.get("value"))
    if inner and rewrites.operator(fields.get("op")) == rewrites.NOT:  # {FIELD: {not: {OP: value}}}
        opposite = _opposite(rewrites.NOT, {"field": fields.get("field"), **inner})
        return fields if opposite is None else opposite
    return _in_one_row(rewrites.rewrite(fields))


def _in_one_row(group: JsonObject) -> JsonObject:
    """A group of ``same_row`` with no group inside it that an operator was rewritten as."""
    children = as_list(group.get("conditions"))
    if children is None or str(group.get("operator")).casefold() != "same_row":
        return group
    flat = list[Any]()
    for child in children:
        read = as_object(condition(child))
        if read is not None and read != child and read.get("operator") == "and":
            flat += read["conditions"]
        else:
            flat.append(child)
    return {**group, "conditions": flat}


def _reshape(value: Any) -> Any:
    items = as_list(value)
    if items is not None:
        return _all_of(items) if items and all(as_object(item) for item in items) else value
    fields = as_object(value)
    if not fields:
        return value
    if len(fields) == 1:
        [(key, inner)] = fields.items()
        if (opposite := _opposite(key, inner)) is not None:
            return opposite
        group = aliases.value("operator", key.strip().casefold())
        if group in {"and", "or", "same_row"} and (inside := as_list(inner)) is not None:
            return {"operator": group, "conditions": inside}
    if "field" in fields and "op" not in fields and "operator" not in fields:
        return _with_operator(fields)
    if not fields.keys() & {"field", "op", "operator", "conditions", "value"} and _are_fields(fields):
        return _all_of([{"field": name, **part} for name, item in fields.items() for part in _conditions_of(item)])
    if {*fields} == {"operator", "conditions"} and isinstance(fields["operator"], str):
        opposite = _opposite(fields["operator"], fields["conditions"])
        return value if opposite is None else opposite
    return value


def _opposite(word: str, value: Any) -> JsonObject | None:
    """``not`` around one condition or group; None for anything else, and where the API has no opposite."""
    items = as_list(value)
    if rewrites.operator(word) != rewrites.NOT or (items is not None and len(items) != 1):
        return None
    inner = as_object(condition(items[0] if items else value))
    return None if inner is None else rewrites.negate(inner, condition)


def _all_of(conditions: list[Any]) -> Any:
    return conditions[0] if len(conditions) == 1 else {"operator": "and", "conditions": conditions}


def _with_operator(fields: JsonObject) -> JsonObject:
    """``{field, gt: 300}`` as a condition."""
    rest = {name: item for name, item in fields.items() if name != "field"}
    if rest and all(rewrites.is_op(name) for name in rest):
        conditions = [{"field": fields["field"], **part} for part in _conditions_of(rest)]
        return conditions[0] if len(conditions) == 1 else {"operator": "and", "conditions": conditions}
    return fields


def _are_fields(fields: JsonObject) -> bool:
    names = [aliases.FILTER_FIELDS.get(name.casefold(), name) for name in fields]
    return all(filter_field(name) is not None for name in names)


def _conditions_of(value: Any) -> list[JsonObject]:
    """What ``{OP: value, …}`` says of a field, or a plain value."""
    inner = as_object(value)
    if inner is None or not all(rewrites.is_op(name) for name in inner):
        return [equals(value)]
    return [equals({name: item}) for name, item in inner.items()] or [equals(value)]


def equals(value: Any) -> JsonObject:
    """Of a plain value that a field equals it, of a list that it is one of them."""
    items, inner = as_list(value), as_object(value)
    if items is not None:
        return {"op": "in", "value": items}
    if inner is not None and len(inner) == 1:
        [(name, item)] = inner.items()
        return {"op": aliases.value("op", name.removeprefix("$")), "value": item}
    return {"op": "isnull", "value": True} if value is None else {"op": "eq", "value": value}


def seconds(text: str) -> float | int | None:
    """How long a text says, with units or as on a clock; None for anything else.

    >>> [seconds(text) for text in ("3 min", "1h 30m", "1:30", "90 seconds", "500ms", "3", "long")]
    [180, 5400, 90, 90, 0.5, None, None]
    """
    wanted = text.strip().casefold()
    if clock := _CLOCK.fullmatch(wanted):
        hours, minutes, rest = (int(part or 0) for part in clock.groups())
        return hours * 3600 + minutes * 60 + rest
    parts = _AMOUNT.findall(wanted)
    if not parts or _AMOUNT.sub("", wanted).replace("and", "").strip(" ,"):
        return None
    total = math.fsum(
        float(amount) * _SECONDS[unit[:2] if unit.startswith("ms") else unit[0]] for amount, unit in parts
    )
    return int(total) if total.is_integer() else total


def time(value: Any) -> Any:
    """``{from, to}`` as an interval; ``{since}`` as one up to now. A day ``before`` which it ends is not in it.

    >>> time({"start": "2026-11-01", "end": "2026-11-08"}), time("7d"), time({"since": "monday"})
    ('2026-11-01/2026-11-08', '7d', 'monday/now')
    """
    fields = as_object(value)
    if not fields or len(fields) > 2:  # noqa: PLR2004 - both ends
        return value
    start, end = (next((name for name in names if name in fields), "") for names in (STARTS, ENDS))
    if {start, end} - {""} != {*fields} or not start or not all(isinstance(text, str) for text in fields.values()):
        return value
    exact = "T00:00" if end == "before" and DATE.fullmatch(fields[end]) else ""
    return f"{fields[start]}/{fields[end] if end else 'now'}{exact}"


def lift(fields_sent: JsonObject, fields: Collection[str], inner: dict[str, Collection[str]]) -> JsonObject:
    """Arguments that belong into another one, put there, where only that one knows them.

    ``inner``: the arguments that are objects, with the names of what is in them.

    >>> lift({"widget_id": 1, "title": "x"}, ["widget_id", "changes"], {"changes": ["name"]})
    {'widget_id': 1, 'changes': {'title': 'x'}}
    """
    result = dict(fields_sent)
    for owner, names in inner.items():
        owner_fields = as_object(result.get(owner, {}))
        mine = [
            name
            for name in fields_sent
            if name not in fields
            and aliases.argument(name, fields, fields_sent) is None
            and (name in names or aliases.argument(name, names, owner_fields or {}) is not None)
        ]
        if mine and owner_fields is not None:
            result[owner] = owner_fields | {name: result.pop(name) for name in mine if name not in owner_fields}
    return result
