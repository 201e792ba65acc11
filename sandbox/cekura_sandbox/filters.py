"""Translates filter JSON to a SQL condition with bound parameters, with every operator, group and relative time.

Also the API's errors for invalid or missing objects.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeGuard


def is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


TEXT_OPS = {
    "contains": "contains(lower({c}), lower({v}))",
    "startswith": "starts_with(lower({c}), lower({v}))",
    "endswith": "ends_with(lower({c}), lower({v}))",
    "regex": "regexp_matches({c}, {v})",
}
COMPARISONS = {"eq": "=", "neq": "!=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
OPS = {*COMPARISONS, *TEXT_OPS, "in", "isnull"}
CALL_COLUMNS = {
    "id": ("c.id", "number"),
    "call_id": ("('call_' || c.id)", "text"),
    "success": ("c.success", "boolean"),
    "duration": ("c.duration", "number"),
    "customer_number": ("c.customer_number", "text"),
    "call_ended_reason": ("c.call_ended_reason", "text"),
    "dropoff_point": ("c.dropoff_point", "text"),
    "topic": ("c.topic", "text"),
    "timestamp": ("c.ts", "time"),
    "is_reviewed": ("c.is_reviewed", "boolean"),
    "agent.id": ("c.agent_id", "number"),
    "agent.agent_name": ("c.agent_name", "text"),
}
EVALUATION_COLUMNS = {
    "metric_evaluations.value": ("coalesce(e.label, CAST(e.number AS TEXT))", "dynamic"),
    "metric_evaluations.metric.id": ("e.metric_id", "number"),
    "metric_evaluations.metric.name": ("e.metric_name", "text"),
}
_RELATIVE = re.compile(r"(now|today)(?:-(\d+)([smhdwMy]))?")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "M": 30 * 86400, "y": 365 * 86400}


class FilterError(Exception):
    """The filter cannot be evaluated; the text is the API's."""


@dataclass
class Sql:
    """A condition on ``calls c`` being built, with its parameters in order."""

    parameters: list[Any] = field(default_factory=list[Any])

    def bind(self, value: Any) -> str:
        self.parameters.append(value)
        return "?"


def to_sql(node: Any, sql: Sql, now: datetime, *, row: bool = False) -> str:
    """``row``: inside ``same_row``, where conditions refer to one evaluation ``e``."""
    if node is None or node == {}:
        return "TRUE"
    if not is_object(node):
        raise FilterError("Filters must be an object.")
    if "conditions" in node or "operator" in node:
        return _group(node, sql, now, row=row)
    return _condition(node, sql, now, row=row)


def lower_time_bounds(node: Any, now: datetime) -> list[datetime]:
    """Every ``gt`` or ``gte`` on ``timestamp``, at any depth of the filter."""
    if not is_object(node):
        return []
    if node.get("field") == "timestamp" and node.get("op") in {"gt", "gte"}:
        return [resolve_time(node.get("value"), str(node["op"]), now)]
    conditions = node.get("conditions")
    return [bound for child in (conditions if is_list(conditions) else []) for bound in lower_time_bounds(child, now)]


def resolve_time(value: Any, op: str, now: datetime) -> datetime:
    """An absolute or relative time; ``today`` is the day's end for ``lt`` and ``lte``, else its start."""
    if match := _RELATIVE.fullmatch(str(value)):
        word, amount, unit = match.groups()
        back = timedelta(seconds=int(amount or 0) * _UNITS[unit or "s"])
        if word == "now":
            return now - back
        day = (now - back).replace(hour=0, minute=0, second=0, microsecond=0)
        return day + timedelta(days=1) - timedelta(microseconds=1) if op in {"lt", "lte"} else day
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise FilterError(f"Invalid datetime value: {value}") from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _group(node: dict[str, Any], sql: Sql, now: datetime, *, row: bool) -> str:
    operator = node.get("operator", "and")
    if operator not in {"and", "or", "same_row"}:
        raise FilterError(f"Invalid operator: {operator}")
    conditions = node.get("conditions")
    if not is_list(conditions):
        raise FilterError("conditions must be a list.")
    if not conditions:
        return "TRUE"
    inner = row or operator == "same_row"
    joined = (" OR " if operator == "or" else " AND ").join(
        f"({to_sql(child, sql, now, row=inner)})" for child in conditions
    )
    if operator == "same_row" and not row:
        return f"EXISTS (SELECT 1 FROM evaluations e WHERE e.call_id = c.id AND ({joined}))"  # noqa: S608 - bound
    return joined


def _condition(node: dict[str, Any], sql: Sql, now: datetime, *, row: bool) -> str:
    name, op, value = node.get("field"), node.get("op"), node.get("value")
    if op not in OPS:
        raise FilterError(f"Invalid op: {op}")
    if name in EVALUATION_COLUMNS:
        column, kind = EVALUATION_COLUMNS[str(name)]
        if name == "metric_evaluations.value" and op != "isnull" and _numeric(value):
            column, kind = "e.number", "number"
        test = _test(column, kind, str(op), value, sql, now)
        return test if row else f"EXISTS (SELECT 1 FROM evaluations e WHERE e.call_id = c.id AND {test})"  # noqa: S608 - bound
    if name in CALL_COLUMNS:
        column, kind = CALL_COLUMNS[str(name)]
    elif isinstance(name, str) and re.fullmatch(r"metadata\.[^.]+", name):
        column, kind = f"c.metadata[{sql.bind(name.removeprefix('metadata.'))}]", "text"
    else:
        raise FilterError(f"Unsupported filter field: {name}")
    return _test(column, kind, str(op), value, sql, now)


def _test(column: str, kind: str, op: str, value: Any, sql: Sql, now: datetime) -> str:
    if op == "isnull":
        if not isinstance(value, bool):
            raise FilterError("isnull takes a boolean.")
        return f"{column} IS {'' if value else 'NOT '}NULL"
    if op == "in":
        if not is_list(value):
            raise FilterError("in takes a list.")
        if not value:
            return "FALSE"
        return f"{column} IN ({', '.join(sql.bind(_typed(item, kind, op, now)) for item in value)})"
    if op in TEXT_OPS:
        if op == "regex":
            _compile(value)
        return TEXT_OPS[op].format(c=f"CAST({column} AS TEXT)", v=sql.bind(str(value)))
    return f"{column} {COMPARISONS[op]} {sql.bind(_typed(value, kind, op, now))}"


def _compile(pattern: Any) -> None:
    try:
        re.compile(str(pattern))
    except re.error:
        raise FilterError(f"Invalid regex: {pattern}") from None


def _numeric(value: Any) -> bool:
    values = value if is_list(value) else [value]
    return bool(values) and all(isinstance(item, int | float) for item in values)


def _typed(value: Any, kind: str, op: str, now: datetime) -> Any:
    """The value in the column's type, or the API's 400."""
    if kind == "time":
        return resolve_time(value, op, now).replace(tzinfo=None)
    if kind == "boolean":
        if isinstance(value, bool):
            return value
        raise FilterError(f"Invalid boolean value: {value}")
    if kind == "number":
        if isinstance(value, bool):
            return int(value)
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError):
            raise FilterError(f"Invalid number: {value}") from None
    return str(value)


MAX_NAME = 255


class Invalid(Exception):
    """A 400; ``body`` is the API's response."""

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__(str(body))
        self.body = body


class Missing(Exception):
    """A 404."""
