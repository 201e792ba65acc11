"""Operators that people know and the API has not, in those that it has: ``not``, ``not_in``, ``between``."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from cekura_dashboards.api.fields import FILTER_OPS
from cekura_dashboards.api.filters import json_shape
from cekura_dashboards.api.models import JsonObject, as_list, as_object
from cekura_dashboards.arguments import aliases

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
"""What each of them is called."""
OPPOSITE = {"eq": "neq", "neq": "eq", "gt": "lte", "lte": "gt", "gte": "lt", "lt": "gte"}
OTHER_GROUP = {"and": "or", "or": "and"}
OPERATOR_KEYS = ("op", "operator", "comparator", "comparison")
VALUE_KEYS = ("value", "values")
LOWER, UPPER = ("from", "min", "start", "low", "lower"), ("to", "max", "end", "high", "upper")
_ENDS = re.compile(r"\s*(?:,|\.\.\.?|\band\b|\bto\b|\u2013)\s*", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def operator(text: Any) -> str | None:
    """The one of these operators that a word is; None for another."""
    if not isinstance(text, str):
        return None
    return KNOWN.get(re.sub(r"[\s_-]+", "_", text.strip().removeprefix("$").casefold()))


def is_op(word: str) -> bool:
    """Whether a word is an operator of a condition, here or of the API."""
    return operator(word) is not None or aliases.value("op", word.removeprefix("$")) in FILTER_OPS


def rewrite(condition: JsonObject) -> JsonObject:
    """A condition with such an operator in the API's own; any other, and one that makes no sense, as it is.

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
    """Both ends belong to it, and of days the whole of the last. None if there are not two."""
    ends = _ends(value)
    if ends is None:
        return None
    first, last = ends
    after = "lte" if inside else "gt"
    field = str(rest.get("field")).strip().casefold()
    is_time = aliases.FILTER_FIELDS.get(field, field) == "timestamp"
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
    """The next day of a date; None for what is none."""
    if not _DATE.fullmatch(text):
        return None
    try:
        return (date.fromisoformat(text) + timedelta(days=1)).isoformat()
    except (ValueError, OverflowError):
        return None


def negate(filter_object: JsonObject, shaped: Callable[[Any], Any]) -> JsonObject | None:
    """The condition or group that holds where this one does not; None where the API has none.

    ``shaped``: reads what is inside a group.

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
    op = aliases.value("op", str(filter_object.get("op")))
    if op == "in":
        return rewrite({**filter_object, "op": NOT_IN})
    if op == "isnull" and isinstance(filter_object.get("value"), bool):
        return {**filter_object, "op": op, "value": not filter_object["value"]}
    return {**filter_object, "op": OPPOSITE[op]} if op in OPPOSITE else None


def _all(group: str, conditions: list[JsonObject]) -> JsonObject:
    return conditions[0] if len(conditions) == 1 else {"operator": group, "conditions": conditions}


def hint(word: str) -> str | None:
    """What to write in place of an operator that could not be rewritten; None for no such operator."""
    kind = operator(word)
    if kind in {BETWEEN, NOT_BETWEEN}:
        both = rewrite({"field": "duration", "op": kind, "value": [60, 120]})
        return f"takes two values, and is written {json_shape(both)}."
    if kind is not None:
        pair = rewrite({"field": "topic", "op": NOT_IN, "value": ["a", "b"]})
        return f"is written with op neq, one condition a value: {json_shape(pair)}."
    if re.match(r"(?:not|does_?nt?|is_not|!)", re.sub(r"[\s'_-]+", "_", word.strip().casefold())):
        return "is not an operator of the API, nor has it an opposite of contains, startswith, endswith and regex."
    return None
