"""Shapes that models send for filters, groupings and times, read as the shapes that are meant."""

import re
from collections.abc import Collection
from typing import Any

from cekura_dashboards.api.fields import FILTER_OPS, PLOTTED, filter_field
from cekura_dashboards.api.models import JsonObject, as_list, as_object
from cekura_dashboards.arguments import aliases

HOUR_MS = 3_600_000
BUCKETS = {"hour": HOUR_MS, "day": 24 * HOUR_MS, "week": 168 * HOUR_MS}
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
    found = as_object(value)
    if found is None:
        return value
    read = dict(found)
    if isinstance(field := found.get("field"), str) and field not in PLOTTED:
        read["field"] = _grouped(field)
    if "type" not in read and ("field" in read) != ("interval" in read):
        read["type"] = "field" if "field" in read else "bucket"
    return read


def _grouped(field: str) -> str:
    name = field.strip()
    return aliases.FILTER_FIELDS.get(name.casefold(), name)


def condition(value: Any) -> Any:
    """A list of conditions, ``{and: […]}``, ``{FIELD: value}`` or ``{field, OP: value}`` as a filter.

    >>> condition([{"field": "success", "op": "eq", "value": True}])
    {'field': 'success', 'op': 'eq', 'value': True}
    >>> condition({"success": True}), condition({"field": "duration", "gt": 300})
    ({'field': 'success', 'op': 'eq', 'value': True}, {'field': 'duration', 'op': 'gt', 'value': 300})
    """
    items = as_list(value)
    if items is not None:
        return _all_of(items) if items and all(as_object(item) for item in items) else value
    found = as_object(value)
    if not found:
        return value
    if len(found) == 1:
        [(key, held)] = found.items()
        group = aliases.value("operator", key.strip().casefold())
        if group in {"and", "or", "same_row"} and (inside := as_list(held)) is not None:
            return {"operator": group, "conditions": inside}
    if "field" in found and "op" not in found and "operator" not in found:
        return _with_operator(found)
    if not found.keys() & {"field", "op", "operator", "conditions", "value"} and _are_fields(found):
        return _all_of([{"field": name, **_equals(item)} for name, item in found.items()])
    return value


def _all_of(conditions: list[Any]) -> Any:
    return conditions[0] if len(conditions) == 1 else {"operator": "and", "conditions": conditions}


def _with_operator(found: JsonObject) -> JsonObject:
    """``{field, gt: 300}`` as a condition."""
    named = [name for name in found if aliases.value("op", name) in FILTER_OPS]
    if len(found) == 2 and len(named) == 1:  # noqa: PLR2004 - the field, and an operator with its value
        return {"field": found["field"], "op": aliases.value("op", named[0]), "value": found[named[0]]}
    return found


def _are_fields(found: JsonObject) -> bool:
    names = [aliases.FILTER_FIELDS.get(name.casefold(), name) for name in found]
    return all(filter_field(name) is not None for name in names)


def _equals(value: Any) -> JsonObject:
    """Of a plain value that a field equals it, of a list that it is one of them."""
    items, inner = as_list(value), as_object(value)
    if items is not None:
        return {"op": "in", "value": items}
    if inner is not None and len(inner) == 1:
        [(name, held)] = inner.items()
        return {"op": aliases.value("op", name.removeprefix("$")), "value": held}
    return {"op": "isnull", "value": True} if value is None else {"op": "eq", "value": value}


def time(value: Any) -> Any:
    """``{from, to}`` as an interval; ``{since}`` as one up to now. A day ``before`` which it ends is not in it.

    >>> time({"start": "2026-11-01", "end": "2026-11-08"}), time("7d"), time({"since": "monday"})
    ('2026-11-01/2026-11-08', '7d', 'monday/now')
    """
    found = as_object(value)
    if not found or len(found) > 2:  # noqa: PLR2004 - both ends
        return value
    start, end = (next((name for name in names if name in found), "") for names in (STARTS, ENDS))
    if {start, end} - {""} != {*found} or not start or not all(isinstance(text, str) for text in found.values()):
        return value
    exact = "T00:00" if end == "before" and DATE.fullmatch(found[end]) else ""
    return f"{found[start]}/{found[end] if end else 'now'}{exact}"


def lifted(found: JsonObject, fields: Collection[str], inner: dict[str, Collection[str]]) -> JsonObject:
    """Arguments that belong into another one, put there, where only that one knows them.

    ``inner``: the arguments that are objects, with the names of what is in them.

    >>> lifted({"widget_id": 1, "title": "x"}, ["widget_id", "changes"], {"changes": ["name"]})
    {'widget_id': 1, 'changes': {'title': 'x'}}
    """
    read = dict(found)
    for owner, names in inner.items():
        held = as_object(read.get(owner, {}))
        mine = [
            name
            for name in found
            if name not in fields
            and aliases.argument(name, fields, found) is None
            and (name in names or aliases.argument(name, names, held or {}) is not None)
        ]
        if mine and held is not None:
            read[owner] = held | {name: read.pop(name) for name in mine if name not in held}
    return read
