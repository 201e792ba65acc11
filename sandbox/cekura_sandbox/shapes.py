"""Shapes of requests and answers: JSON bodies, pages in the style of Django REST, and the models of the document."""

import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict

from cekura_sandbox.filters import MAX_NAME, Invalid, is_object
from cekura_sandbox.store import CHOICES

Body = dict[str, Any]


async def _body(request: Request) -> Body:
    try:
        parsed: Any = json.loads(await request.body() or b"{}")
    except ValueError:
        raise Invalid({"detail": "JSON parse error."}) from None
    if not is_object(parsed):
        raise Invalid({"non_field_errors": ["Invalid data. Expected a dictionary."]})
    return parsed


JsonBody = Annotated[Body, Depends(_body)]
Number = Annotated[int, Path(alias="id", ge=1, le=2**31 - 1)]
Schema = dict[str, Any]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="allow")


class WidgetShape(_Shape):
    id: int
    dashboard: int | None
    name: str | None
    chart_type: str
    data_type: str | None
    field: str
    metric: int | None
    metric_name: str = ""
    time_period: str | None
    aggregation_function: str | None
    group_by: dict[str, Any] | None
    filters: dict[str, Any] | None
    effective_filters: dict[str, Any]
    metadata: Any
    created_at: str | None
    updated_at: str | None


class DashboardRowShape(_Shape):
    id: int
    name: str | None
    project: int | None
    filters: dict[str, Any] | None
    widget_count: str
    created_at: str | None
    updated_at: str | None


class DashboardShape(DashboardRowShape):
    widgets: list[WidgetShape]


class _Page(_Shape):
    count: int
    next: str | None
    previous: str | None


class DashboardPage(_Page):
    results: list[DashboardRowShape]


class WidgetPage(_Page):
    results: list[WidgetShape]


class ChartShape(_Shape):
    widget_id: int = 0
    field_name: str
    chart_type: str
    data: list[dict[str, Any]] | dict[str, Any]
    aggregation_function: str | None
    time_period: str | None
    group_by: dict[str, Any] | None = None
    can_group_by: bool = False
    metadata: dict[str, Any]


class ChartPage(_Page):
    results: list[ChartShape]


class BulkShape(_Shape):
    created: list[WidgetShape]
    updated: list[WidgetShape]
    deleted: list[int]


class NamedShape(_Shape):
    id: int
    name: str


class ProjectShape(NamedShape):
    daily_report_dashboard_ids: list[int]
    timezone: str = "UTC"
    sample_rate: float


class NamedPage(_Page):
    results: list[NamedShape]


class CallShape(_Shape):
    id: int
    call_id: str
    agent: int | None
    duration: str
    success: bool | None
    timestamp: str
    transcript: str


class CallPage(_Page):
    results: list[CallShape]


class CallDetailsShape(CallShape):
    metadata: dict[str, Any]
    dynamic_variables: dict[str, Any]
    rubric: list[dict[str, Any]] | None
    evaluation: dict[str, Any]


class VersionShape(_Shape):
    history_id: int
    history_date: str
    history_type: str
    history_change_reason: str | None
    version_name: str | None


class VersionPage(_Page):
    results: list[VersionShape]


class LogEntryShape(_Shape):
    id: int
    timestamp: str
    object_type: str | None
    object_id: int | None
    operation_type: str | None


class LogPage(_Page):
    results: list[LogEntryShape]


class FailureModesShape(_Shape):
    project: int
    failure_modes: list[dict[str, Any]]


class FailureCallsShape(_Shape):
    count: int
    call_log_ids: list[int]


class AlertChangesShape(_Shape):
    name: str
    enabled: bool
    source: dict[str, Any]
    threshold: dict[str, Any]
    notifications: dict[str, Any]


class AlertShape(AlertChangesShape):
    id: int
    project: int
    source_type: str
    source_id: int | None


class Problem(_Shape):
    """``detail``, or a list of messages for each field."""


def answers(shape: Any, *, status: int = 200, forbidden: bool = False) -> dict[str, Any]:
    """The documented responses of a route, for its decorator. ``forbidden``: some keys get a 403."""
    codes = (400, 401, 403, 404) if forbidden else (400, 401, 404)
    documented: dict[int | str, Any] = {code: {"model": Problem} for code in codes}
    whole = None if shape is None else Any  # without a model FastAPI walks the whole response in Python
    return {"response_model": whole, "status_code": status, "responses": {status: {"model": shape}, **documented}}


def takes(properties: Schema, *required: str) -> dict[str, Any]:
    """The documented JSON body of a route."""
    schema: Schema = {"type": "object", "properties": properties, "required": list(required)}
    if not required:
        del schema["required"]
    return {"openapi_extra": {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}}


def _or_null(kind: str, **more: Any) -> Schema:
    return {"type": [kind, "null"], **more}


FILTERS = _or_null("object")
NAME = _or_null("string", maxLength=MAX_NAME)
DASHBOARD_BODY: Schema = {"name": NAME, "project": _or_null("integer"), "filters": FILTERS}
WIDGET_BODY: Schema = {
    "dashboard": _or_null("integer"),
    "name": NAME,
    "filters": FILTERS,
    "field": {"type": "string", "maxLength": MAX_NAME},
    "metric": _or_null("integer"),
    "group_by": _or_null("object"),
    "metadata": {},
    **{name: {"enum": choices} for name, choices in CHOICES.items()},
}
BULK_BODY: Schema = {
    "create": {"type": "array", "items": {"type": "object"}},
    "update": {"type": "array", "items": {"type": "object"}},
    "delete": {"type": "array", "items": {"type": "integer"}},
}
BULK_DATA_BODY: Schema = {"widget_ids": {"type": "array", "items": {"type": "integer"}}, "filters": {"type": "object"}}

ALERT_CHANGES: Schema = {
    "name": {"type": "string", "maxLength": MAX_NAME},
    "enabled": {"type": "boolean"},
    "source": {},
    "threshold": {},
    "notifications": {},
    "preset": {"enum": ["conservative", "balanced", "aggressive"]},
}
ALERT_BODY: Schema = {
    **ALERT_CHANGES,
    "project": {"type": "integer"},
    "source_type": {"enum": ["metric"]},
    "source_id": _or_null("integer", minimum=0, maximum=2**31 - 1),
}
PROJECT_BODY: Schema = {"daily_report_dashboard_ids": {"type": "array", "items": {"type": "integer"}}}


PUBLIC_HOST = "https://api.sandbox.invalid"
"""The host in ``next``, which differs from the sandbox's: a client must use only the query."""


class PageMissing(Exception):
    """A 404 for a page past the end."""


class Pages:
    """The ``page`` and ``page_size`` of a request: 10 a page by default, 100 at the most."""

    def __init__(self, page: int, page_size: int) -> None:
        self.page = page
        self.size = min(page_size, 100)

    def envelope(self, request: Request, count: int, results: list[Any]) -> dict[str, Any]:
        if self.page > 1 and (self.page - 1) * self.size >= count:
            raise PageMissing
        last = self.page * self.size >= count
        return {
            "count": count,
            "next": None if last else self._link(request, self.page + 1),
            "previous": None if self.page == 1 else self._link(request, self.page - 1),
            "results": results,
        }

    def _link(self, request: Request, page: int) -> str:
        return f"{PUBLIC_HOST}{request.url.path}?{request.url.include_query_params(page=page).query}"


async def pages_of(page: Annotated[int, Query(ge=1)] = 1, page_size: Annotated[int, Query(ge=1)] = 10) -> Pages:
    """The ``Pages`` of a request; a coroutine, because FastAPI runs plain functions in another thread."""
    return Pages(page, page_size)


def paginate(
    request: Request, pages: Pages, items: Sequence[Any], make: Callable[[Any], Any] = lambda item: item
) -> dict[str, Any]:
    """A page of results; only its items are built."""
    start = (pages.page - 1) * pages.size
    return pages.envelope(request, len(items), [make(item) for item in items[start : start + pages.size]])
