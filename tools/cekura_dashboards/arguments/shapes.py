"""Aliases of names, values and shapes that models send. Unambiguous aliases are accepted and reported.

Operators that the API lacks, such as ``not``, ``not_in`` and ``between``, are rewritten to those that it has.
"""

import math
import re
from collections.abc import Callable, Collection
from datetime import date, timedelta
from typing import Any

from cekura_dashboards.api.filters import json_shape
from cekura_dashboards.api.models import FILTER_OPS, PLOTTED, JsonObject, as_list, as_object, filter_field
from cekura_dashboards.arguments import times

ARGUMENTS: dict[str, tuple[str, ...]] = {
    "enabled": ("action",),
    "active": ("action",),
    "agg": ("aggregation_function",),
    "aggregate": ("aggregation_function",),
    "aggregation": ("aggregation_function",),
    "aggregator": ("aggregation_function",),
    "function": ("aggregation_function",),
    "chart": ("chart_type",),
    "kind": ("chart_type",),
    "type": ("chart_type", "kind"),
    "visualization": ("chart_type",),
    "widget_type": ("chart_type",),
    "bucket": ("time_period",),
    "frequency": ("time_period",),
    "granularity": ("time_period",),
    "interval": ("time_period", "window"),
    "period": ("time_period", "window"),
    "time_grain": ("time_period",),
    "date_range": ("window",),
    "range": ("window",),
    "time_range": ("window",),
    "time_window": ("window",),
    "timeframe": ("window",),
    "breakdown": ("group_by",),
    "group": ("group_by", "field"),
    "groupby": ("group_by",),
    "split_by": ("group_by",),
    "label": ("name",),
    "title": ("name",),
    "dashboard_name": ("name", "dashboard_id"),
    "widget_name": ("name", "widget_id"),
    "column": ("field",),
    "dimension": ("field",),
    "key": ("field",),
    "measure": ("field",),
    "property": ("field",),
    "metric_id": ("metric",),
    "filter": ("filters",),
    "where": ("filters",),
    "layout": ("metadata",),
    "position": ("place", "layout"),
    "size": ("layout",),
    "tidy": ("arrange",),
    "comparator": ("op", "operator"),
    "comparison": ("op", "operator"),
    "operator": ("op",),
    "values": ("value",),
    "rules": ("conditions",),
    "dashboard": ("dashboard_id",),
    "dashboards": ("dashboard_ids",),
    "id": ("dashboard_id", "widget_id"),
    "ids": ("widget_ids",),
    "widget": ("widget_id",),
    "widgets": ("widget_ids",),
    "project": ("project_id",),
    "agent": ("agent_id",),
    "query": ("search",),
    "q": ("search",),
    "add": ("create",),
    "creates": ("create",),
    "edit": ("update",),
    "updates": ("update",),
    "deletes": ("delete",),
    "remove": ("delete",),
    "set": ("changes",),
    "update": ("changes",),
    "fields": ("changes",),
    "unset": ("clear",),
    "copy_from": ("copy_of",),
    "duplicate_of": ("copy_of",),
    "compare": ("compare_to",),
    "transcript": ("transcripts",),
    "order": ("sort",),
    "order_by": ("sort",),
    "sort_by": ("sort",),
    "contains": ("said",),
    "mentions": ("said",),
    "timezone": ("time_zone",),
    "tz": ("time_zone",),
    "zone": ("time_zone",),
    "fold_by": ("profile",),
    "compare_with": ("compare_to",),
    "window": ("window_size",),
    "sensitivity": ("preset",),
    "sub_type": ("kind",),
    "workspace_id": ("slack_workspace",),
    "channel_id": ("slack_channel",),
    "buckets": ("points",),
    "max_points": ("points",),
    "format": ("table",),
    "as_table": ("table",),
    "output": ("table",),
    "offset": ("from_row",),
    "start_row": ("from_row",),
}
"""Aliases of arguments, to possible names: the first that the object accepts and does not have yet counts."""

INSIDE = {"compare_to": {"filters": "compare_filters"}}
"""For an argument given as an object with one key: the argument that the key means."""

VALUES: dict[str, dict[str, str]] = {
    "action": {
        "enable": "on", "enabled": "on", "true": "on", "resume": "on", "unmute": "on",
        "disable": "off", "disabled": "off", "false": "off", "pause": "off", "mute": "off", "remove": "delete",
    },
    "chart_type": {
        "area": "line", "line_chart": "line", "scatter": "line", "timeseries": "line",
        "bar_chart": "bar", "column": "bar", "histogram": "bar",
        "donut": "pie", "doughnut": "pie", "pie_chart": "pie",
        "big_number": "stat", "kpi": "stat", "number": "stat", "scorecard": "stat", "stats": "stat",
    },
    "aggregation_function": {
        "average": "avg", "mean": "avg", "rate": "avg", "total": "sum", "minimum": "min", "maximum": "max",
        "median": "p50", "percentile_50": "p50", "percentile_95": "p95", "percentile_99": "p99", "95th": "p95",
        "99th": "p99",
    },
    "time_period": {
        "hourly": "hour", "hours": "hour", "1h": "hour", "daily": "day", "days": "day", "1d": "day", "weekly": "week",
        "weeks": "week", "1w": "week", "monthly": "month", "months": "month",
    },
    "op": {
        "=": "eq", "==": "eq", "equal": "eq", "equals": "eq", "is": "eq",
        "!=": "neq", "<>": "neq", "ne": "neq", "not_equal": "neq", "not_equals": "neq", "is_not": "neq",
        ">": "gt", "greater_than": "gt", ">=": "gte", "ge": "gte", "<": "lt", "less_than": "lt", "<=": "lte",
        "le": "lte", "like": "contains", "ilike": "contains", "includes": "contains", "starts_with": "startswith",
        "ends_with": "endswith", "one_of": "in", "any_of": "in", "is_null": "isnull", "empty": "isnull",
        "matches": "regex",
    },
    "operator": {
        "all": "and", "&&": "and", "any": "or", "||": "or", ">": "gt", "above": "gt", "<": "lt", "below": "lt",
    },
    "sort": {
        "time": "newest", "latest": "newest", "recent": "newest", "duration": "longest", "-duration": "longest",
        "longest_first": "longest", "shortest_first": "shortest", "oldest_first": "oldest", "newest_first": "newest",
        "value": "highest", "metric": "highest", "worst": "lowest", "best": "highest",
    },
    "table": {"true": "text", "yes": "text", "rows": "text", "table": "text", "markdown": "text", "spreadsheet": "csv"},
    "by": {"local_days": "local_day", "local": "local_day"},
    "profile": {"hour": "hour_of_day", "hours": "hour_of_day", "day_of_week": "weekday", "weekdays": "weekday"},
    "kind": {
        "topic": "topics", "keys": "metadata_keys", "metadata": "metadata_keys", "field": "fields", "value": "values",
        "metric": "metrics", "agent": "agents", "project": "projects", "alert": "alerts",
        "normal": "failure", "significant_change": "trend",
    },
}  # fmt: skip
"""By argument: aliases of values, to the choices that they mean."""

_SHARED = {
    "ended_reason": "call_ended_reason", "end_reason": "call_ended_reason", "drop_off": "dropoff_point",
    "dropoff": "dropoff_point", "drop_off_point": "dropoff_point", "topics": "topic", "reviewed": "is_reviewed",
    "call_duration": "duration", "date": "timestamp", "time": "timestamp", "created_at": "timestamp",
    "metric_value": "metric_evaluations.value",
}  # fmt: skip
_METRIC = {"metric": "metric_evaluations.value"}
PLOTTED_FIELDS = _SHARED | _METRIC | {"agent": "agent_id", "agent.id": "agent_id", "calls": "agent_id"}
FILTER_FIELDS = _SHARED | {
    "agent": "agent.id", "agent_id": "agent.id", "agent_name": "agent.agent_name", "agent.name": "agent.agent_name",
    "metric_id": "metric_evaluations.metric.id", "metric_name": "metric_evaluations.metric.name",
}  # fmt: skip
"""Fields of calls; some have different names for plotting and filtering."""
GROUPED_FIELDS = FILTER_FIELDS | _METRIC
"""In a grouping ``metric`` can only mean its value; in a condition it could be its id."""


def canonical_argument(name: str, fields: Collection[str], present: Collection[str]) -> str | None:
    """The field that an unknown argument means; None if that is ambiguous, or the field is present too.

    >>> canonical_argument("chartType", ["chart_type"], ["chartType"]), canonical_argument("zzz", ["a"], [])
    ('chart_type', None)
    """
    if name in fields:
        return None
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()
    options = [snake] if snake in fields else [field for field in ARGUMENTS.get(snake, ()) if field in fields]
    return next((field for field in options if field not in present), None)


def canonical_value(field: str, text: str) -> str:
    """The choice that a text means for this argument, or else the text itself.

    >>> canonical_value("op", ">="), canonical_value("chart_type", "Donut"), canonical_value("op", "eq")
    ('gte', 'pie', 'eq')
    >>> [canonical_value("window", text) for text in ("last 7 days", "15 minutes", "the past 90 min")]
    ['7d', '15m', '90m']
    """
    folded = text.strip().casefold().replace(" ", "_").replace("-", "_")
    if field == "window":
        return times.rolling(text) or text
    return VALUES.get(field, {}).get(folded, text)


NOT, NOT_IN, BETWEEN, NOT_BETWEEN, NOT_NULL, EXISTS = "not", "not_in", "between", "not_between", "not_null", "exists"
KNOWN = {
    "between": BETWEEN, "range": BETWEEN, "in_range": BETWEEN, "is_between": BETWEEN, "within": BETWEEN,
    "not_between": NOT_BETWEEN, "outside": NOT_BETWEEN, "not_in_range": NOT_BETWEEN,
    "not_in": NOT_IN, "nin": NOT_IN, "notin": NOT_IN, "is_not_in": NOT_IN, "none_of": NOT_IN, "not_one_of": NOT_IN,
    "not_any_of": NOT_IN,
    "not": NOT, "is_not": NOT, "isnot": NOT, "neq": NOT, "ne": NOT, "!=": NOT, "<>": NOT, "not_equal": NOT,
    "not_equals": NOT,
    "not_null": NOT_NULL, "notnull": NOT_NULL, "is_not_null": NOT_NULL, "isnotnull": NOT_NULL, "not_empty": NOT_NULL,
    "is_not_empty": NOT_NULL,
    "exists": EXISTS,
}  # fmt: skip
"""Aliases of operators that the API lacks."""
OPPOSITE = {"eq": "neq", "neq": "eq", "gt": "lte", "lte": "gt", "gte": "lt", "lt": "gte"}
OTHER_GROUP = {"and": "or", "or": "and"}
OPERATOR_KEYS = ("op", "operator", "comparator", "comparison")
VALUE_KEYS = ("value", "values")
LOWER, UPPER = ("from", "min", "start", "low", "lower"), ("to", "max", "end", "high", "upper")
_ENDS = re.compile(r"\s*(?:,|\.\.\.?|\band\b|\bto\b|\u2013)\s*", re.IGNORECASE)
DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def operator(text: Any) -> str | None:
    """The operator in ``KNOWN`` that a word means; None for any other."""
    if not isinstance(text, str):
        return None
    return KNOWN.get(re.sub(r"[\s_-]+", "_", text.strip().removeprefix("$").casefold()))


def is_op(word: str) -> bool:
    """Whether a word is an operator of a condition, the API's or one in ``KNOWN``."""
    return operator(word) is not None or canonical_value("op", word.removeprefix("$")) in FILTER_OPS


def rewrite(condition: JsonObject) -> JsonObject:
    """A condition with an operator in ``KNOWN``, rewritten to the API's; any other, or an invalid one, unchanged.

    >>> rewrite({"field": "duration", "op": "between", "value": [60, 120]})["conditions"]
    [{'field': 'duration', 'op': 'gte', 'value': 60}, {'field': 'duration', 'op': 'lte', 'value': 120}]
    >>> rewrite({"field": "topic", "op": "not in", "value": ["a"]})
    {'field': 'topic', 'op': 'neq', 'value': 'a'}
    """
    key = next((name for name in OPERATOR_KEYS if operator(condition.get(name)) is not None), None)
    if key is None:
        return condition
    kind, value = operator(condition[key]), next((condition[name] for name in VALUE_KEYS if name in condition), None)
    rest = {name: item for name, item in condition.items() if name not in {key, *VALUE_KEYS}}
    items = as_list(value)
    if kind in {BETWEEN, NOT_BETWEEN}:
        return _between(rest, value, inside=kind == BETWEEN) or condition
    if kind == NOT_NULL or (kind == NOT and value is None):
        return {**rest, "op": "isnull", "value": False}
    if kind == EXISTS:
        return {**rest, "op": "isnull", "value": str(value).casefold() == "false"}
    if items == [] or as_object(value) is not None:
        return condition
    if kind == NOT_IN or items is not None:
        return _all("and", [{**rest, "op": "neq", "value": item} for item in items or [value]])
    return {**rest, "op": "neq", "value": value}


def _between(rest: JsonObject, value: Any, *, inside: bool) -> JsonObject | None:
    """The range with both ends included, and with dates the whole last day. None without two ends."""
    ends = _ends(value)
    if ends is None:
        return None
    first, last = ends
    after = "lte" if inside else "gt"
    field = str(rest.get("field")).strip().casefold()
    is_time = FILTER_FIELDS.get(field, field) == "timestamp"
    if is_time and isinstance(last, str) and (following := _day_after(last)):
        last, after = following, "lt" if inside else "gte"
    low = {**rest, "op": "gte" if inside else "lt", "value": first}
    return _all("and" if inside else "or", [low, {**rest, "op": after, "value": last}])


def _ends(value: Any) -> tuple[Any, Any] | None:
    if (named := as_object(value)) is not None:
        ends = [next((named[name] for name in names if name in named), None) for names in (LOWER, UPPER)]
    else:
        ends = as_list(value) or (_ENDS.split(value.strip()) if isinstance(value, str) else [])
    return (ends[0], ends[1]) if len(ends) == 2 and all(end not in (None, "") for end in ends) else None  # noqa: PLR2004 - both


def _day_after(text: str) -> str | None:
    """The day after a date; None if it is not a date."""
    if not DATE.fullmatch(text):
        return None
    try:
        return (date.fromisoformat(text) + timedelta(days=1)).isoformat()
    except (ValueError, OverflowError):
        return None


def negate(filter_object: JsonObject, shaped: Callable[[Any], Any]) -> JsonObject | None:
    """The opposite of a condition or group; None where the API cannot express it.

    ``shaped``: converts the conditions inside a group.

    >>> negate({"field": "duration", "op": "gt", "value": 60}, dict)
    {'field': 'duration', 'op': 'lte', 'value': 60}
    >>> negate({"field": "topic", "op": "contains", "value": "a"}, dict)
    """
    children = as_list(filter_object.get("conditions"))
    if children is not None:
        other = OTHER_GROUP.get(str(filter_object.get("operator")).casefold())
        inner = [as_object(shaped(child)) for child in children]
        parts = [negate(child, shaped) for child in inner if child is not None]
        whole = [part for part in parts if part is not None]
        return _all(other, whole) if other and whole and len(whole) == len(children) else None
    op = canonical_value("op", str(filter_object.get("op")))
    if op == "in":
        return rewrite({**filter_object, "op": NOT_IN})
    if op == "isnull" and isinstance(filter_object.get("value"), bool):
        return {**filter_object, "op": op, "value": not filter_object["value"]}
    return {**filter_object, "op": OPPOSITE[op]} if op in OPPOSITE else None


def _all(group: str, conditions: list[JsonObject]) -> JsonObject:
    return conditions[0] if len(conditions) == 1 else {"operator": group, "conditions": conditions}


def hint(word: str) -> str | None:
    """How to write an operator that could not be rewritten; None for an unknown operator."""
    kind = operator(word)
    if kind in {BETWEEN, NOT_BETWEEN}:
        both = rewrite({"field": "duration", "op": kind, "value": [60, 120]})
        return f"takes two values: {json_shape(both)}."
    if kind is not None:
        pair = rewrite({"field": "topic", "op": NOT_IN, "value": ["a", "b"]})
        return f"is op neq with one condition per value: {json_shape(pair)}."
    if re.match(r"(?:not|does_?nt?|is_not|!)", re.sub(r"[\s'_-]+", "_", word.strip().casefold())):
        return "is not an operator of the API; contains, startswith, endswith and regex have no opposite."
    return None


HOUR_MS = 3_600_000
BUCKETS = {"hour": HOUR_MS, "day": 24 * HOUR_MS, "week": 168 * HOUR_MS}
_CLOCK = re.compile(r"(?:(\d{1,4}):)?(\d{1,4}):([0-5]\d)", re.ASCII)
_AMOUNT = re.compile(
    r"(\d{1,9}(?:\.\d{1,9})?)\s*(ms|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?)(?![a-z])", re.ASCII
)
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
STARTS, ENDS = ("from", "start", "since", "after", "start_date"), ("to", "end", "until", "before", "end_date")
TIMES = ("window", "compare_to", "date_range")


def grouping(value: Any) -> Any:
    """The grouping object for a field or a time step.

    >>> grouping({"field": "agent"}), grouping(["hour"])
    ({'field': 'agent.id', 'type': 'field'}, {'type': 'bucket', 'interval': 3600000})
    """
    items = as_list(value)
    if items is not None and len(items) == 1:
        value = items[0]
    if isinstance(value, str) and value.strip():
        step = canonical_value("time_period", value)
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
    return GROUPED_FIELDS.get(name.casefold(), name)


def condition(value: Any) -> Any:
    """A list of conditions, ``{and: […]}``, ``{FIELD: value}`` or ``{field, OP: value}`` as a filter.

    Operators that the API lacks are rewritten, also ``not`` around a condition.

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
    if inner and operator(fields.get("op")) == NOT:  # {FIELD: {not: {OP: value}}}
        opposite = _opposite(NOT, {"field": fields.get("field"), **inner})
        return fields if opposite is None else opposite
    return _in_one_row(rewrite(fields))


def _in_one_row(group: JsonObject) -> JsonObject:
    """A ``same_row`` group, with groups that came from rewritten operators flattened."""
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
        group = canonical_value("operator", key.strip().casefold())
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
    """The opposite, for ``not`` around one condition or group; None otherwise, or if the API has no opposite."""
    items = as_list(value)
    if operator(word) != NOT or (items is not None and len(items) != 1):
        return None
    inner = as_object(condition(items[0] if items else value))
    return None if inner is None else negate(inner, condition)


def _all_of(conditions: list[Any]) -> Any:
    return conditions[0] if len(conditions) == 1 else {"operator": "and", "conditions": conditions}


def _with_operator(fields: JsonObject) -> JsonObject:
    """``{field, gt: 300}`` as a condition."""
    rest = {name: item for name, item in fields.items() if name != "field"}
    if rest and all(is_op(name) for name in rest):
        conditions = [{"field": fields["field"], **part} for part in _conditions_of(rest)]
        return conditions[0] if len(conditions) == 1 else {"operator": "and", "conditions": conditions}
    return fields


def _are_fields(fields: JsonObject) -> bool:
    names = [FILTER_FIELDS.get(name.casefold(), name) for name in fields]
    return all(filter_field(name) is not None for name in names)


def _conditions_of(value: Any) -> list[JsonObject]:
    """The conditions of ``{OP: value, …}`` or of a plain value, without the field."""
    inner = as_object(value)
    if inner is None or not all(is_op(name) for name in inner):
        return [equals(value)]
    return [equals({name: item}) for name, item in inner.items()] or [equals(value)]


def equals(value: Any) -> JsonObject:
    """The condition that a field equals a value, or is in a list, without the field."""
    items, inner = as_list(value), as_object(value)
    if items is not None:
        return {"op": "in", "value": items}
    if inner is not None and len(inner) == 1:
        [(name, item)] = inner.items()
        return {"op": canonical_value("op", name.removeprefix("$")), "value": item}
    return {"op": "isnull", "value": True} if value is None else {"op": "eq", "value": value}


def seconds(text: str) -> float | int | None:
    """A duration with units or as on a clock, in seconds; None for anything else.

    >>> [seconds(text) for text in ("3 min", "1h 30m", "1:30", "90 seconds", "500ms", "3", "long")]
    [180, 5400, 90, 90, 0.5, None, None]
    """
    folded = text.strip().casefold()
    if clock := _CLOCK.fullmatch(folded):
        hours, minutes, rest = (int(part or 0) for part in clock.groups())
        return hours * 3600 + minutes * 60 + rest
    parts = _AMOUNT.findall(folded)
    if not parts or _AMOUNT.sub("", folded).replace("and", "").strip(" ,"):
        return None
    total = math.fsum(
        float(amount) * _SECONDS[unit[:2] if unit.startswith("ms") else unit[0]] for amount, unit in parts
    )
    return int(total) if total.is_integer() else total


def time(value: Any) -> Any:
    """``{from, to}`` as an interval; ``{since}`` as one up to now. A day in ``before`` is excluded.

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
    """The arguments, with those that only a nested object accepts moved into it.

    ``inner``: the arguments that are objects, with their field names.

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
            and canonical_argument(name, fields, fields_sent) is None
            and (name in names or canonical_argument(name, names, owner_fields or {}) is not None)
        ]
        if mine and owner_fields is not None:
            result[owner] = owner_fields | {name: result.pop(name) for name in mine if name not in owner_fields}
    return result


HOST_OWN = {"toolCallId", "sessionId", "action", "chatInput"}
"""Keys that hosts such as n8n add to the arguments for their own use."""
HOST_ACTIONS = ("sendMessage", "loadPreviousSession")
"""What a host's ``action`` can be: requests of the n8n chat trigger."""


def host_own(given: JsonObject, arguments: Collection[str]) -> list[str]:
    """The keys that a host added; one that a tool's argument has too only with a value of the host."""
    return [key for key in given if key in HOST_OWN and (key not in arguments or given[key] in HOST_ACTIONS)]
