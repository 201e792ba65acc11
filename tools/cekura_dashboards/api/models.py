"""The API's records, and its vocabulary: what can be plotted, filtered and combined.

Records are parsed tolerantly: unknown keys and choices are kept.

Source of the vocabulary: the dashboards guide and the published OpenAPI document of the API, August 2026.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self, TypeGuard, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from cekura_dashboards.text import short_json, word

DataType = Literal["numeric", "boolean", "string", "datetime", "dynamic"]
ChartType = Literal["line", "bar", "pie", "stat"]
Aggregation = Literal["count", "sum", "avg", "min", "max", "p50", "p95", "p99"]
TimePeriod = Literal["hour", "day", "week", "month"]
FilterOp = Literal["eq", "neq", "gt", "gte", "lt", "lte", "contains", "startswith", "endswith", "in", "isnull", "regex"]
GroupOperator = Literal["and", "or", "same_row"]

CALL_LOG_OPS: frozenset[str] = frozenset(get_args(FilterOp)) - {"endswith", "regex"}
"""The operators documented for filters of call logs; charts accept more."""
CHART_TYPES: tuple[str, ...] = get_args(ChartType)
AGGREGATIONS: tuple[str, ...] = get_args(Aggregation)
TIME_PERIODS: tuple[str, ...] = get_args(TimePeriod)
FILTER_OPS: tuple[str, ...] = get_args(FilterOp)
GROUP_OPERATORS: tuple[str, ...] = get_args(GroupOperator)

LIMIT = timedelta(days=30)
"""How far back chart data may start."""
MARGIN = timedelta(minutes=5)
"""A start beyond the limit by at most this much is moved inside it by as much."""

METRIC_VALUE = "metric_evaluations.value"
METADATA = "metadata."
DURATION = "duration"
"""The field for the length of a call, in seconds."""

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
"""Fields that a widget can plot, besides ``metadata.KEY``, a string."""


class Combinations(NamedTuple):
    """The chart types of a data type, and the aggregations of its bars."""

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
"""By a metric's ``eval_type``; the API decides on others."""
FAMILIES = {
    "binary": "binary", "numeric": "numeric", "enum": "enum", "continuous": "continuous",
    "evaluate_expected_outcome": "binary", "observability_topics": "enum", "observability_dropoff": "enum",
}  # fmt: skip
"""The kind of metric by the prefix of its ``eval_type``, or of the name of a predefined one."""


def metric_family(eval_type: str | None) -> str | None:
    """The kind of metric, by a current or older name; None for an unknown one.

    >>> metric_family("binary_workflow_adherence"), metric_family("continuous_qualitative"), metric_family("custom")
    ('binary', 'continuous', None)
    """
    name = (eval_type or "").strip().casefold()
    return next((family for prefix, family in FAMILIES.items() if name.startswith(prefix)), None)


class FilterField(NamedTuple):
    """The type of a filter field and its documented operators, if any."""

    kind: str
    ops: tuple[str, ...]


_ORDER = ("gt", "gte", "lt", "lte")
FILTERED: dict[str, FilterField] = {
    "id": FilterField("number", ("eq", "in", *_ORDER)),
    "call_id": FilterField("text", ("eq", "neq", "contains", "in")),
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


OF_CALL_LOGS = frozenset({"call_id"})
"""Filter fields documented for call logs only, not for charts."""


def is_metadata(name: str) -> bool:
    """Whether this is ``metadata.KEY``: top-level keys only.

    >>> is_metadata("metadata.region"), is_metadata("metadata.a.b"), is_metadata("metadata.")
    (True, False, False)
    """
    key = name.removeprefix(METADATA)
    return name.startswith(METADATA) and bool(key) and "." not in key


def filter_field(name: str) -> FilterField | None:
    """The type and operators of a filter field; None for an unknown one."""
    return FilterField("text", ()) if is_metadata(name) else FILTERED.get(name)


def plotted_type(name: str) -> DataType | None:
    """The data type of a plotted field; None for an unknown one."""
    return "string" if is_metadata(name) else PLOTTED.get(name)


A_METRIC = "a metric of the project (look_up metrics)"
NO_SUCH_MEASURE: dict[str, str] = {
    r"unique|distinct|repeat": "the number of calls (field agent_id, aggregation_function count)",
    r"cost|price|spend|revenue|credit": "talk time (field duration, aggregation_function sum)",
    r"median.*(group|agent|across)|percentile.*(group|agent|across)": "the value of each group (group_by)",
    r"wait|hold|queue|silence": "the duration of the whole call (field duration), or a metric of the project",
    r"sentiment|satisfaction|csat|latency|quality|score": A_METRIC,
    r"caller|customer|phone|number": "a filter on customer_number, which cannot be plotted or grouped by",
    r"transcript|word|keyword|said": "list_calls with said, or a metric of the project",
}
"""Patterns of measures that the API lacks, to the nearest that it has."""


def no_such_measure(name: str) -> str | None:
    """A message that the API lacks a measure, and the nearest one; None for an unknown measure.

    >>> no_such_measure("Total cost")
    'the API has no such measure; nearest: talk time (field duration, aggregation_function sum)'
    >>> no_such_measure("topic")
    """
    text = name.casefold().replace("_", " ")
    near = next((nearest for pattern, nearest in NO_SUCH_MEASURE.items() if re.search(pattern, text)), None)
    return None if near is None else f"the API has no such measure; nearest: {near}"


JsonObject = dict[str, Any]


def is_object(value: Any) -> TypeGuard[JsonObject]:
    return isinstance(value, dict)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def as_object(value: Any) -> JsonObject | None:
    """The value if it is a JSON object."""
    return value if is_object(value) else None


def as_list(value: Any) -> list[Any] | None:
    """The value if it is a JSON array."""
    return value if is_list(value) else None


WRITABLE = (
    "name", "chart_type", "field", "metric", "data_type", "time_period", "aggregation_function", "group_by",
    "filters", "metadata",
)  # fmt: skip
"""The fields of a widget that can be sent; ``dashboard`` follows from the URL."""


PLOT_DEFINITION = (*(name for name in WRITABLE if name not in {"name", "data_type", "metadata"}), "effective_filters")
"""The fields that define what a widget shows."""


class _Stored(BaseModel):
    """A record of the API. A field with an undocumented type counts as absent; its value is kept in ``_odd``.

    So one malformed widget hides neither its dashboard nor the other widgets.
    """

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)
    ESSENTIAL: ClassVar[frozenset[str]] = frozenset({"id"})
    """Fields that a record needs to be usable."""
    _odd: JsonObject = PrivateAttr(default_factory=dict[str, Any])

    @model_validator(mode="wrap")
    @classmethod
    def _tolerant(cls, data: Any, parse: Callable[[Any], Self]) -> Self:
        try:
            return parse(data)
        except ValidationError as error:
            fields = as_object(data)
            wrong = {str(part["loc"][0]) for part in error.errors(include_url=False) if part["loc"]}
            if fields is None or wrong & cls.ESSENTIAL or not wrong <= {*fields}:
                raise
        record = parse({name: value for name, value in fields.items() if name not in wrong})
        record._odd.update({name: fields[name] for name in wrong})  # noqa: SLF001 - its own
        return record

    def stored(self, name: str) -> Any:
        """The stored value of a field, readable or not."""
        return self._odd[name] if name in self._odd else getattr(self, name)

    def unreadable(self, *names: str) -> str | None:
        """The first of these fields that cannot be parsed, with its value; None if all can."""
        return next((f"{name} is {short_json(self._odd[name])}" for name in names if name in self._odd), None)


def _with_ids(value: Any) -> Any:
    """The records of a list that have an id, which is at least 0."""
    items = as_list(value)
    if items is None:
        return [] if value is None else value
    return [item for item in items if not is_object(item) or (isinstance(item.get("id"), int) and item["id"] >= 0)]


class WidgetConfig(_Stored):
    """What a widget plots. As in the API, an empty string equals null."""

    name: str | None = None
    chart_type: str = ""
    field: str | None = ""
    metric: int | None = None
    data_type: str | None = None
    time_period: str | None = None
    aggregation_function: str | None = None
    group_by: JsonObject | None = None
    filters: JsonObject | None = None
    metadata: Any = None

    @property
    def function(self) -> str:
        """The aggregation of a bar, ``UntrustedText`` if unknown; "" for none."""
        return word(self.aggregation_function, AGGREGATIONS) if self.aggregation_function else ""

    @property
    def period(self) -> str:
        """The bucket of a bar, ``UntrustedText`` if unknown; a day by default."""
        return word(self.time_period, TIME_PERIODS) if self.time_period else "day"

    @property
    def counted(self) -> JsonObject | None:
        """A filter for the calls that a counting bar counts, those with a value; None if it counts all calls."""
        plotted = self.field or ""
        if self.chart_type != "bar" or self.aggregation_function != "count":
            return None
        may_be_missing = plotted in {"success", METRIC_VALUE} or plotted_type(plotted) == "string"
        return {"field": plotted, "op": "isnull", "value": False} if may_be_missing else None

    def writable(self) -> JsonObject:
        """The stored values of the fields that can be sent."""
        return {name: self.stored(name) for name in WRITABLE}

    def problem(self) -> str | None:
        """The reason why it is unknown what this widget shows; None if it is known."""
        return self.unreadable(*PLOT_DEFINITION)

    def definition(self) -> JsonObject:
        """The writable fields that are set: the shortest definition of this widget."""
        return {name: value for name, value in self.writable().items() if value not in (None, "", {})}


class Widget(WidgetConfig):
    """A saved widget."""

    id: int
    dashboard: int | None = None
    metric_name: str | None = None
    effective_filters: JsonObject | None = None
    created_at: str | None = None
    updated_at: str | None = None


Widgets = Annotated[list[Widget], FailFast(), BeforeValidator(_with_ids)]


class SomeWidgets(NamedTuple):
    """Widgets of all dashboards, and whether there are no more."""

    widgets: list[Widget]
    are_all: bool


class DashboardRow(_Stored):
    """A dashboard in a list."""

    id: int
    name: str | None = None
    project: int | None = None
    filters: JsonObject | None = None
    widget_count: int | str | None = None
    updated_at: str | None = None


class Dashboard(DashboardRow):
    """A dashboard with its widgets."""

    ESSENTIAL = frozenset({"id", "widgets"})
    widgets: Widgets = Field(default_factory=list[Widget])


class BulkResult(_Stored):
    """The result of a bulk edit. Any entry in ``errors`` means that it failed."""

    ESSENTIAL = frozenset({"created", "updated", "deleted", "errors"})
    created: list[Widget] = Field(default_factory=list[Widget])
    updated: list[Widget] = Field(default_factory=list[Widget])
    deleted: list[int] = Field(default_factory=list[int])
    errors: list[Any] | None = None


def _id_of(value: Any) -> Any:
    """The id of an object, or an id alone."""
    inner = as_object(value)
    return value if inner is None else inner.get("id")


def _metrics_of_rules(value: Any) -> list[int]:
    """The metrics of a rubric's rules, or of a list of metrics, each once."""
    config = as_object(value)
    rules = as_list(value if config is None else config.get("rules")) or []
    numbers = [inner.get("metric_id") if (inner := as_object(rule)) is not None else rule for rule in rules]
    return [*dict.fromkeys(number for number in numbers if isinstance(number, int) and not isinstance(number, bool))]


class Project(_Stored):
    """The few fields that are used: the API's record also holds secrets of the project and keys of voice providers.

    ``daily_report_dashboard_ids``: the dashboards in its daily report. ``timezone``: an IANA name. ``sample_rate``: the
    share of calls whose metrics are evaluated, 0 to 1. ``organization``: its id; its members are not kept.
    ``rubric_config``: of the rubric that decides on success, only the metrics of its rules.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)
    id: int
    name: str | None = None
    daily_report_dashboard_ids: list[int] | None = None
    timezone: str | None = None
    sample_rate: float | None = None
    organization: Annotated[int | None, BeforeValidator(_id_of)] = None
    rubric_config: Annotated[list[int] | None, BeforeValidator(_metrics_of_rules)] = None
    updated_at: str | None = None


class Agent(_Stored):
    id: int
    name: str | None = None
    project: int | None = None


class CallLog(_Stored):
    """One production call. ``duration`` is ``mm:ss``; links use ``id``."""

    id: int | None = None
    call_id: str | None = None
    timestamp: str | None = None
    agent: int | None = None
    agent_name: str | None = None
    duration: str | float | None = None
    success: bool | None = None
    call_ended_reason: str | None = None
    topic: str | None = None
    transcript: str | None = None
    metadata: JsonObject | None = None
    metrics: list[JsonObject] | None = None


class CallLogs(NamedTuple):
    """A page of calls. ``total``: on all pages."""

    total: int
    calls: list[CallLog]


ALERT_FIELDS = ("name", "enabled", "project", "source_id", "source", "threshold", "notifications")
"""The fields of an alert that can be sent, beside ``source_type``; the project and the metric only at first."""


class Alert(_Stored):
    """An alert on the metric ``source_id``. ``source`` contains its kind (``sub_type``), window and filters."""

    id: int
    name: str | None = None
    enabled: bool | None = None
    project: int | None = None
    source_id: int | None = None
    source: JsonObject | None = None
    threshold: JsonObject | None = None
    notifications: JsonObject | None = None
    updated_at: str | None = None

    @property
    def kind(self) -> str:
        """Its ``sub_type``; "" if that cannot be read."""
        kind = (self.source or {}).get("sub_type")
        return kind if isinstance(kind, str) else ""

    def fields(self) -> JsonObject:
        """The stored values of the fields that can be sent."""
        return {name: self.stored(name) for name in ALERT_FIELDS}


class Metric(_Stored):
    """The few fields that are used: the API's record also holds prompts and code.

    ``function_name``: of a predefined metric. ``sampling_enabled``: it is evaluated on the project's ``sample_rate`` of
    calls only. ``evaluation_trigger``: always, automatic or custom.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)
    id: int
    name: str | None = None
    eval_type: str | None = None
    project: int | None = None
    function_name: str | None = None
    sampling_enabled: bool | None = None
    evaluation_trigger: str | None = None

    @property
    def family(self) -> str | None:
        """The kind of metric; None if it is unknown."""
        return metric_family(self.eval_type) or metric_family(self.function_name)


def same(first: Any, second: Any) -> bool:
    """Whether both mean the same to the API: an empty string, list or object equals null; true differs from 1."""
    return _equal(or_none(first), or_none(second))


def or_none(value: Any) -> Any:
    return None if value in ("", [], {}) else value


def _equal(first: Any, second: Any) -> bool:
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    objects, lists = (as_object(first), as_object(second)), (as_list(first), as_list(second))
    if objects[0] is not None and objects[1] is not None:
        old, new = objects[0], objects[1]
        return old.keys() == new.keys() and all(_equal(value, new[name]) for name, value in old.items())
    if lists[0] is not None and lists[1] is not None:
        return len(lists[0]) == len(lists[1]) and all(map(_equal, lists[0], lists[1]))
    return bool(first == second)
