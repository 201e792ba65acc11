"""The vocabulary of the dashboards API: what can be plotted, filtered and combined.

Source: the dashboards guide and the published OpenAPI document of the API, August 2026.
"""

import re
from datetime import timedelta
from typing import Literal, NamedTuple, get_args

DataType = Literal["numeric", "boolean", "string", "datetime", "dynamic"]
ChartType = Literal["line", "bar", "pie", "stat"]
Aggregation = Literal["count", "sum", "avg", "min", "max", "p50", "p95", "p99"]
TimePeriod = Literal["hour", "day", "week", "month"]
FilterOp = Literal["eq", "neq", "gt", "gte", "lt", "lte", "contains", "startswith", "endswith", "in", "isnull", "regex"]
GroupOperator = Literal["and", "or", "same_row"]

CALL_LOG_OPS: frozenset[str] = frozenset(get_args(FilterOp)) - {"endswith", "regex"}
"""What is published of the filters of call logs; charts take more."""
CHART_TYPES: tuple[str, ...] = get_args(ChartType)
AGGREGATIONS: tuple[str, ...] = get_args(Aggregation)
TIME_PERIODS: tuple[str, ...] = get_args(TimePeriod)
FILTER_OPS: tuple[str, ...] = get_args(FilterOp)
GROUP_OPERATORS: tuple[str, ...] = get_args(GroupOperator)

LIMIT = timedelta(days=30)
"""How far back the API lets chart data begin."""
MARGIN = timedelta(minutes=5)
"""A start that is only this little beyond the limit is moved as far inside it."""

METRIC_VALUE = "metric_evaluations.value"
METADATA = "metadata."
DURATION = "duration"
"""In seconds."""

PLOTTED: dict[str, DataType] = {
    "duration": "numeric",
    "success": "boolean",
    "is_reviewed": "boolean",
    "call_ended_reason": "string",
    "dropoff_point": "string",
    "topic": "string",
    "agent_id": "numeric",
    METRIC_VALUE: "dynamic",
    "timestamp": "datetime",
}
"""Fields that a widget can plot; ``metadata.KEY``, a string, besides."""


class Combinations(NamedTuple):
    """The charts a data type can be drawn as, and the aggregations a bar of it can have."""

    charts: tuple[str, ...]
    aggregations: tuple[str, ...]


COMBINATIONS: dict[str, Combinations] = {
    "numeric": Combinations(("line", "bar"), AGGREGATIONS),
    "boolean": Combinations(("pie", "bar"), ("count", "avg")),
    "string": Combinations(("pie", "bar"), ("count",)),
    "datetime": Combinations(("line", "bar"), ("count", "min", "max")),
}
METRIC_COMBINATIONS: dict[str, Combinations] = {
    "enum": Combinations(("pie",), ()),
    "numeric": Combinations(("line", "bar", "pie"), AGGREGATIONS),
    "binary": COMBINATIONS["boolean"],
}
"""By a metric's ``eval_type``; for others the API decides."""
FAMILIES = ("binary", "numeric", "enum", "continuous")


def metric_family(eval_type: str | None) -> str | None:
    """What kind of metric this is, also by an older name; None for one that is not known.

    >>> metric_family("binary_workflow_adherence"), metric_family("continuous_qualitative"), metric_family("custom")
    ('binary', 'continuous', None)
    """
    return next((family for family in FAMILIES if (eval_type or "").casefold().startswith(family)), None)


class FilterField(NamedTuple):
    """The type of a filter field and the operators documented for it (empty: none are)."""

    kind: str
    ops: tuple[str, ...]


_ORDER = ("gt", "gte", "lt", "lte")
FILTERED: dict[str, FilterField] = {
    "id": FilterField("number", ("eq", "in", *_ORDER)),
    "success": FilterField("boolean", ("eq", "neq", "isnull")),
    "duration": FilterField("number", ("eq", *_ORDER)),
    "customer_number": FilterField("text", ("eq", "neq", "contains", "startswith", "in")),
    "call_ended_reason": FilterField("text", ("eq", "neq", "contains", "in")),
    "dropoff_point": FilterField("text", ("eq", "neq", "contains", "in", "isnull")),
    "topic": FilterField("text", ("eq", "neq", "contains", "in", "isnull")),
    "timestamp": FilterField("time", ("eq", *_ORDER)),
    "is_reviewed": FilterField("boolean", ("eq",)),
    "agent.id": FilterField("number", ()),
    "agent.agent_name": FilterField("text", ()),
    METRIC_VALUE: FilterField("dynamic", ()),
    "metric_evaluations.metric.id": FilterField("number", ()),
    "metric_evaluations.metric.name": FilterField("text", ()),
}


def is_metadata(name: str) -> bool:
    """Whether this is ``metadata.KEY``: top-level keys only.

    >>> is_metadata("metadata.region"), is_metadata("metadata.a.b"), is_metadata("metadata.")
    (True, False, False)
    """
    key = name.removeprefix(METADATA)
    return name.startswith(METADATA) and bool(key) and "." not in key


def filter_field(name: str) -> FilterField | None:
    """What is known of a filter field; None for an unknown one."""
    return FilterField("text", ()) if is_metadata(name) else FILTERED.get(name)


def plotted_type(name: str) -> DataType | None:
    """The data type that a plotted field has; None for an unknown one."""
    return "string" if is_metadata(name) else PLOTTED.get(name)


A_METRIC = "a metric of the project (look_up metrics)"
NO_SUCH_MEASURE: dict[str, str] = {
    r"unique|distinct|repeat": "the number of calls (field agent_id, aggregation_function count)",
    r"cost|price|spend|revenue|credit": "talk time (field duration, aggregation_function sum)",
    r"median.*(group|agent|across)|percentile.*(group|agent|across)": "each group's own (group_by), side by side",
    r"wait|hold|queue|silence": "the time of a whole call (field duration), or a metric of the project",
    r"sentiment|satisfaction|csat|latency|quality|score": A_METRIC,
    r"caller|customer|phone|number": "filters by customer_number; it cannot be plotted or grouped by",
    r"transcript|word|keyword|said": "list_calls with said, or a metric of the project",
}
"""What people ask for and the API does not measure, as patterns, to what is nearest."""


def no_such_measure(name: str) -> str | None:
    """That something is not measured, and what is nearest; None if nothing is known about it.

    >>> no_such_measure("Total cost")
    'the API has no such measure; nearest: talk time (field duration, aggregation_function sum)'
    >>> no_such_measure("topic")
    """
    text = name.casefold().replace("_", " ")
    near = next((nearest for pattern, nearest in NO_SUCH_MEASURE.items() if re.search(pattern, text)), None)
    return None if near is None else f"the API has no such measure; nearest: {near}"
