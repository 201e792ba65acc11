"""What the API stores, read tolerantly: unknown keys and unknown choices are kept, nothing is refused for them."""

from typing import Any, TypeGuard

from pydantic import BaseModel, ConfigDict, Field

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


class _Stored(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)


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

    def writable(self) -> JsonObject:
        """The fields that can be sent, as they are stored."""
        return {name: getattr(self, name) for name in WRITABLE}

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

    widgets: list[Widget] = Field(default_factory=list[Widget])


class BulkResult(_Stored):
    """What one bulk edit did. Any entry in ``errors`` means that it failed."""

    created: list[Widget] = Field(default_factory=list[Widget])
    updated: list[Widget] = Field(default_factory=list[Widget])
    deleted: list[int] = Field(default_factory=list[int])
    errors: list[JsonObject] = Field(default_factory=list[JsonObject])


class Project(_Stored):
    id: int
    name: str | None = None


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
    transcript: str | None = None


class Metric(_Stored):
    id: int
    name: str | None = None
    eval_type: str | None = None
    project: int | None = None
