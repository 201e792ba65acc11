"""Filters in words, as a person would write them."""

from collections.abc import Mapping
from typing import Any

from cekura_dashboards.api.fields import FILTERED
from cekura_dashboards.api.filters import AGENT_IDS, METRIC_ID
from cekura_dashboards.api.models import JsonObject, as_list, as_object
from cekura_dashboards.text import UntrustedText, json_text, word

MOST_SHOWN = 6
"""Values of a list that are put in words."""
_WORDS = {
    "eq": "=", "neq": "≠", "gt": ">", "gte": "≥", "lt": "<", "lte": "≤", "contains": "contains", "in": "in",
    "startswith": "starts with", "endswith": "ends with", "regex": "matches",
}  # fmt: skip


def in_words(node: JsonObject | None, names: Mapping[str, str] | None = None) -> str:
    """A filter as a person would write it; texts in it are quoted and capped.

    ``names``: of agents by id, of metrics by ``metric_key``.

    >>> in_words({"operator": "or", "conditions": [{"field": "topic", "op": "in", "value": ["a", "b"]},
    ...     {"field": "success", "op": "isnull", "value": True}]})
    'topic in ("a", "b") or success has no value'
    >>> in_words({"field": "agent.id", "op": "eq", "value": 33}, {"33": "Booking"})
    'agent.id = "Booking" (33)'
    """
    return _words(node, names or {}, nested=False) if node else "none"


def metric_key(number: object) -> str:
    """Under which the name of a metric stands among names of agents."""
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
        more = f", … {len(items) - MOST_SHOWN} more" if len(items) > MOST_SHOWN else ""
        return f"({', '.join(_value_words(item, names) for item in items[:MOST_SHOWN])}{more})"
    if isinstance(value, int | str) and str(value) in names:
        return f"{UntrustedText(names[str(value)])} ({value})"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, str):
        return str(UntrustedText(value))
    return str(value) if isinstance(value, int | float) else str(UntrustedText(json_text(value)))
