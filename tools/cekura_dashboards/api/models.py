"""What the API stores, read tolerantly: unknown keys and unknown choices are kept, nothing is refused for them."""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Self, TypeGuard

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

from cekura_dashboards.api.fields import AGGREGATIONS, METRIC_VALUE, TIME_PERIODS, plotted_type
from cekura_dashboards.text import short_json, word

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
"""The fields of a widget that can be sent; ``dashboard`` is chosen by where it is sent to."""


PLOT_DEFINITION = (*(name for name in WRITABLE if name not in {"name", "data_type", "metadata"}), "effective_filters")
"""The fields that decide what a widget shows."""


class _Stored(BaseModel):
    """A record of the API. A field of another type than is known here counts as absent, and is kept in ``odd``.

    So one odd widget hides neither its dashboard nor the others.
    """

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)
    ESSENTIAL: ClassVar[frozenset[str]] = frozenset({"id"})
    """Fields without which nothing can be said about a record, or done to it."""
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
        """A field as it is stored, whether it could be read or not."""
        return self._odd[name] if name in self._odd else getattr(self, name)

    def unreadable(self, *names: str) -> str | None:
        """Which of these fields cannot be read, and what it holds; None if all can."""
        return next((f"{name} is {short_json(self._odd[name])}" for name in names if name in self._odd), None)


def _with_ids(value: Any) -> Any:
    """The records of a list that have an id, which none below 0 is; without one nothing can be said or done."""
    items = as_list(value)
    if items is None:
        return [] if value is None else value
    return [item for item in items if not is_object(item) or (isinstance(item.get("id"), int) and item["id"] >= 0)]


class WidgetConfig(_Stored):
    """What a widget plots. An empty text and null mean the same to the API, and here."""

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
        """The aggregation of a bar, ``Foreign`` if it is none that is known; "" for none."""
        return word(self.aggregation_function, AGGREGATIONS) if self.aggregation_function else ""

    @property
    def period(self) -> str:
        """The bucket of a bar, ``Foreign`` if it is none that is known; a day where none is said."""
        return word(self.time_period, TIME_PERIODS) if self.time_period else "day"

    @property
    def counted(self) -> JsonObject | None:
        """Which calls a bar counts that counts the values of a field; None for one that counts all calls."""
        plotted = self.field or ""
        if self.chart_type != "bar" or self.aggregation_function != "count":
            return None
        may_be_missing = plotted in {"success", METRIC_VALUE} or plotted_type(plotted) == "string"
        return {"field": plotted, "op": "isnull", "value": False} if may_be_missing else None

    def writable(self) -> JsonObject:
        """The fields that can be sent, as they are stored."""
        return {name: self.stored(name) for name in WRITABLE}

    def problem(self) -> str | None:
        """Why it is unknown what this widget shows; None if it is known."""
        return self.unreadable(*PLOT_DEFINITION)

    def definition(self) -> JsonObject:
        """The writable fields that are set: the shortest way to say what this widget is."""
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


class DashboardRow(_Stored):
    """A dashboard as a list shows it."""

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
    """What one bulk edit did. Any entry in ``errors`` means that it failed."""

    ESSENTIAL = frozenset({"created", "updated", "deleted", "errors"})
    created: list[Widget] = Field(default_factory=list[Widget])
    updated: list[Widget] = Field(default_factory=list[Widget])
    deleted: list[int] = Field(default_factory=list[int])
    errors: list[Any] | None = None


class Project(_Stored):
    """``daily_report_dashboard_ids``: the dashboards that its daily report shows."""

    id: int
    name: str | None = None
    daily_report_dashboard_ids: list[int] | None = None


class Agent(_Stored):
    id: int
    name: str | None = None
    project: int | None = None


class CallLog(_Stored):
    """One production call. ``duration`` is ``mm:ss`` as the API writes it; the id of links is ``id``."""

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


class Metric(_Stored):
    id: int
    name: str | None = None
    eval_type: str | None = None
    project: int | None = None


def same(first: Any, second: Any) -> bool:
    """Whether the API would take both to mean the same: an empty text, list or object is like null; true is not 1."""
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
