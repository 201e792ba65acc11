"""The HTTP side of the sandbox: routes, the key, error bodies, and the local server."""

import json
import socket
import sys
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Annotated, Any

import duckdb
from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cekura_sandbox import alerts, calls
from cekura_sandbox.call_logs import call_details, call_logs, failure_calls, failure_modes
from cekura_sandbox.charts import ApiVariant, ChartError, Charts, readings_from
from cekura_sandbox.edits import ORGANIZATION, Edits, moment_of
from cekura_sandbox.faults import FaultInjector, Faults, fault_routes
from cekura_sandbox.filters import Invalid, Missing, is_list
from cekura_sandbox.shapes import (
    ALERT_BODY,
    ALERT_CHANGES,
    BULK_BODY,
    BULK_DATA_BODY,
    DASHBOARD_BODY,
    PROJECT_BODY,
    WIDGET_BODY,
    AlertChangesShape,
    AlertShape,
    Body,
    BulkShape,
    CallDetailsShape,
    CallPage,
    ChartPage,
    ChartShape,
    DashboardPage,
    DashboardShape,
    FailureCallsShape,
    FailureModesShape,
    JsonBody,
    LogPage,
    NamedPage,
    NamedShape,
    Number,
    PageMissing,
    Pages,
    ProjectShape,
    VersionPage,
    WidgetPage,
    WidgetShape,
    answers,
    pages_of,
    paginate,
    takes,
)
from cekura_sandbox.store import PREDEFINED, WIDGET_DEFAULTS, Store, both

Clock = Callable[[], datetime]


def _utc_now() -> datetime:
    return datetime.now(UTC)


class World:
    """The data of one sandbox. The calls are generated on first use.

    ``member_key``: a key that may do everything except read the audit log.
    """

    def __init__(
        self, *, now: Clock, seed: int, count: int, key: str, readings: ApiVariant, quiet: bool, time_zone: str
    ) -> None:
        self.key, self.member_key, self.readings, self.time_zone = key, f"{key}-member", readings, time_zone
        self._now, self._seed, self._count, self._quiet = now, seed, count, quiet
        self.store = Store(self.now, scored=readings.scored)
        self.edits = Edits(self._now(), quiet=quiet)
        self._lock = threading.Lock()
        self._con: duckdb.DuckDBPyConnection | None = None

    def now(self) -> datetime:
        return self._now() + timedelta(seconds=self.readings.clock_ahead_s)

    @property
    def con(self) -> duckdb.DuckDBPyConnection:
        return self.generate()

    def generate(self) -> duckdb.DuckDBPyConnection:
        """The database, after generating its calls if needed."""
        with self._lock:
            if self._con is None:
                con = duckdb.connect()
                evaluated = calls.Evaluated(
                    passed=self.readings.passed,
                    sample_rate=self.readings.sample_rate,
                    triggered=self.readings.trigger == "custom",
                    since_days=self.readings.evaluated_since_days or calls.DAYS,
                    placeholders=self.readings.placeholders == "null",
                )
                now = self._now().replace(tzinfo=None)
                calls.fill(con, now, self._seed, self._count, quiet=self._quiet, evaluated=evaluated)
                self._con = con
            return self._con

    def close(self) -> None:
        with self._lock:
            if self._con is not None:
                self._con.close()
                self._con = None

    @property
    def charts(self) -> Charts:
        return Charts(self.con, self.readings)

    def project(self, number: int) -> Body:
        name = dict(calls.PROJECTS)[number]
        return {
            "id": number,
            "name": name,
            "daily_report_dashboard_ids": self.store.daily_reports[number],
            **({"timezone": self.time_zone} if self.time_zone else {}),
            "sample_rate": self.readings.sample_rate,
            **calls.SECRETS,
            **self.edits.project(number),
        }

    def saved(self, widget: Body, override: Any) -> Body:
        """Chart data of a stored widget, with the override combined as in this variant of the API.

        Raises:
            Invalid: if the stored widget cannot be charted.
        """
        self.store.checked({name: widget[name] for name in WIDGET_DEFAULTS})
        saved = [widget["effective_filters"]]
        where = saved if not override else [override] if self.readings.override == "replace" else [*saved, override]
        return self.charts.data(widget, where, self.store.project_of(widget), self.now())


Paging = Annotated[Pages, Depends(pages_of)]


def create_app(
    *,
    now: Clock = _utc_now,
    seed: int = 1,
    count: int = 60_000,
    key: str = "sandbox",
    readings: ApiVariant | None = None,
    quiet: bool = False,
    time_zone: str = "UTC",
) -> FastAPI:
    """Build a sandbox as an ASGI application.

    ``now`` returns aware UTC times, and tests may share it; ``count`` calls lie in the 30 days before its first use;
    ``quiet``: without changes in them. ``time_zone``: of all projects; "": they have none.
    """
    chosen = readings or ApiVariant()
    return app_of(World(now=now, seed=seed, count=count, key=key, readings=chosen, quiet=quiet, time_zone=time_zone))


def app_of(world: World) -> FastAPI:
    """Build the API over the data of one sandbox."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        yield
        world.close()

    app = FastAPI(title="Cekura dashboards sandbox", version="1", lifespan=lifespan)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]  # FastAPI's own way of changing it
    app.state.world = world
    app.state.faults = faults = Faults()
    app.add_middleware(FaultInjector, faults=faults)
    app.add_middleware(DateHeader, now=world.now)
    api = (_dashboards(world), _widgets(world), _lookups(world), _calls(world), _edits(world), _alerts(world))
    for router in (fault_routes(faults), *api):
        app.router.routes += router.routes  # include_router makes each anew when it is first looked up, 60 ms in all

    def answer(status: int, body: Callable[[Any], Any]) -> Callable[[Request, Exception], Response]:
        return lambda _request, error: JSONResponse(body(error), status)

    app.add_exception_handler(_Unauthenticated, answer(401, lambda _: {"detail": "Invalid API key."}))
    app.add_exception_handler(_Forbidden, answer(403, lambda _: {"detail": "You do not have permission to do this."}))
    app.add_exception_handler(Missing, answer(404, lambda _: {"detail": "Not found."}))
    app.add_exception_handler(PageMissing, answer(404, lambda _: {"detail": "Invalid page."}))
    app.add_exception_handler(RequestValidationError, answer(400, _query_errors))
    app.add_exception_handler(Invalid, answer(400, lambda error: error.body))
    app.add_exception_handler(ChartError, answer(400, lambda error: error.body))
    return app


def _router(world: World, tag: str, prefix: str = "", *conditions: Callable[[], Awaitable[None]]) -> APIRouter:
    """Of routes that ask for the key, and then check these conditions."""

    async def authenticated(request: Request) -> None:
        if _key_of(request) not in {world.key, world.member_key}:
            raise _Unauthenticated

    return APIRouter(prefix=prefix, tags=[tag], dependencies=[Depends(authenticated), *map(Depends, conditions)])


def _document(app: FastAPI) -> Body:
    """The OpenAPI document without FastAPI's 422, which this API does not use."""
    document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("422", None)
    return document


def _query_errors(error: RequestValidationError) -> Body:
    """The faults of a path or query in Django's words; a path that is not a number gives 404 elsewhere."""
    return {str(item["loc"][-1]): ["Enter a valid value."] for item in error.errors()}


class DateHeader:
    """Adds the sandbox's time to every response."""

    def __init__(self, app: ASGIApp, now: Clock) -> None:
        self._app = app
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = format_datetime(self._now(), usegmt=True).encode()
                message = {**message, "headers": [*message["headers"], (b"date", date)]}
            await send(message)

        await self._app(scope, receive, dated)


def _key_of(request: Request) -> str:
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    return request.headers.get("x-cekura-api-key") or bearer


class _Unauthenticated(Exception):
    """A 401."""


class _Forbidden(Exception):
    """A 403."""


def _dashboards(world: World) -> APIRouter:
    router, store = _router(world, "dashboards", "/dashboards/dashboards"), world.store

    @router.get("/", **answers(DashboardPage))
    async def list_dashboards(request: Request, pages: Paging, project_id: int | None = None) -> Body:
        return paginate(request, pages, store.dashboards(project_id))

    @router.post("/", **answers(DashboardShape, status=201), **takes(DASHBOARD_BODY))
    async def create_dashboard(body: JsonBody) -> Body:
        return store.create_dashboard(body)

    @router.get("/predefined_widgets/", **answers(Any))
    async def predefined_widgets() -> Any:
        return {"widgets": PREDEFINED} if world.readings.predefined == "object" else PREDEFINED

    @router.get("/{id}/", **answers(DashboardShape))
    async def get_dashboard(number: Number) -> Body:
        return store.dashboard(number)

    @router.patch("/{id}/", **answers(DashboardShape), **takes(DASHBOARD_BODY))
    @router.put("/{id}/", **answers(DashboardShape), **takes(DASHBOARD_BODY))
    async def update_dashboard(number: Number, body: JsonBody) -> Body:
        return store.update_dashboard(number, body)

    @router.delete("/{id}/", **answers(None, status=204))
    async def delete_dashboard(number: Number) -> None:
        store.delete_dashboard(number)

    @router.post("/{id}/duplicate/", **answers(DashboardShape, status=201), **takes({"name": {"type": "string"}}))
    async def duplicate(number: Number, body: JsonBody) -> Body:
        return store.duplicate(number, body)

    @router.post("/{id}/bulk_widgets/", **answers(BulkShape), **takes(BULK_BODY))
    async def bulk_widgets(number: Number, body: JsonBody) -> Body:
        return store.bulk(number, body)

    return router


def _widgets(world: World) -> APIRouter:  # noqa: C901 - a router is a list of routes
    router, store = _router(world, "widgets", "/dashboards/widgets"), world.store

    @router.get("/", **answers(WidgetPage))
    async def list_widgets(request: Request, pages: Paging, dashboard_id: int | None = None) -> Body:
        return paginate(request, pages, store.widgets(dashboard_id))

    @router.post("/", **answers(WidgetShape, status=201), **takes(WIDGET_BODY, "chart_type"))
    async def create_widget(body: JsonBody) -> Body:
        return store.create_widget(body)

    @router.post("/bulk_data/", **answers(ChartPage), **takes(BULK_DATA_BODY, "widget_ids"))
    def bulk_data(request: Request, pages: Paging, body: JsonBody) -> Body:
        numbers = body.get("widget_ids")
        if not is_list(numbers) or not all(isinstance(number, int) for number in numbers):
            raise Invalid({"widget_ids": ["A list of ids is required."]})
        widgets = [store.widget(number) for number in numbers]
        return paginate(request, pages, widgets, lambda widget: world.saved(widget, body.get("filters")))

    @router.post("/preview_data/", **answers(ChartShape), **takes(WIDGET_BODY, "chart_type"))
    def preview_data(body: JsonBody) -> Body:
        widget = store.checked(WIDGET_DEFAULTS | {k: v for k, v in body.items() if k in WIDGET_DEFAULTS})
        where = [widget["filters"]]
        if widget["dashboard"] is not None and world.readings.preview == "merge":
            where = [both(store.dashboard(widget["dashboard"])["filters"], widget["filters"])]
        answer = world.charts.data(widget, where, store.project_of(widget), world.now())
        if world.readings.preview_answer == "whole":
            return answer
        return {k: v for k, v in answer.items() if k not in {"widget_id", "group_by", "can_group_by"}}

    @router.get("/{id}/", **answers(WidgetShape))
    async def get_widget(number: Number) -> Body:
        return store.widget(number)

    @router.patch("/{id}/", **answers(WidgetShape), **takes(WIDGET_BODY))
    @router.put("/{id}/", **answers(WidgetShape), **takes(WIDGET_BODY))
    async def update_widget(number: Number, body: JsonBody) -> Body:
        return store.update_widget(number, body)

    @router.delete("/{id}/", **answers(None, status=204))
    async def delete_widget(number: Number) -> None:
        store.delete_widget(number)

    @router.get("/{id}/data/", **answers(ChartShape))
    def widget_data(number: Number, filters: str | None = None) -> Body:
        return world.saved(store.widget(number), _json_text(filters))

    return router


def _json_text(text: str | None) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        raise Invalid({"filters": ["Invalid JSON."]}) from None


def _lookups(world: World) -> APIRouter:
    router = _router(world, "lookups")

    @router.get("/user/v1/projects/", **answers(list[ProjectShape]))
    async def projects() -> list[Body]:
        return [world.project(number) for number, _ in calls.PROJECTS]

    @router.patch("/user/v1/projects/{id}/", **answers(ProjectShape), **takes(PROJECT_BODY))
    async def update_project(number: Number, body: JsonBody) -> Body:
        world.store.report_daily(number, body)
        return world.project(number)

    @router.get("/test_framework/v2/metrics/", **answers(list[NamedShape]))
    async def metrics(project_id: int | None = None, agent_id: int | None = None) -> list[Body]:
        if agent_id is not None:
            project_id = next((a[2] for a in calls.AGENTS if a[0] == agent_id), -1)
        old = [calls.OLD_METRIC] if world.readings.binary == "0/5" else []
        return [
            {
                "id": number,
                "name": name,
                "eval_type": calls.OLD_TYPE if number in old else kind,
                "project": project,
                "function_name": calls.MEASURED.get(name),
                "sampling_enabled": name not in calls.MEASURED,
                "evaluation_trigger": "always" if name in calls.MEASURED else world.readings.trigger,
            }
            for number, name, kind, project, _ in calls.METRICS
            if project_id in (None, project)
        ]

    @router.get("/test_framework/v2/aiagents/", **answers(NamedPage))
    async def agents(request: Request, pages: Paging, project_id: int | None = None, q: str = "") -> Body:
        rows = [
            {"id": number, "name": name, "project": project, "description": f"Answers as {name}."}
            for number, name, project, *_ in calls.AGENTS
            if project_id in (None, project) and q.lower() in name.lower()
        ]
        return paginate(request, pages, rows)

    return router


def _calls(world: World) -> APIRouter:
    router = _router(world, "calls", "/observability")
    modes = "/v1/metric-failure-mode-insights/categories"

    @router.get("/v2/call-logs/", **answers(CallPage))
    def list_call_logs(
        request: Request,
        pages: Paging,
        project_id: int | None = None,
        agent_id: int | None = None,
        timestamp_from: Annotated[str | None, Query()] = None,
        timestamp_to: Annotated[str | None, Query()] = None,
        filters_v2: str | None = None,
    ) -> Body:
        if project_id is None and agent_id is None:
            raise Invalid({"detail": "project_id or agent_id is required."})
        scope: list[Any] = [_json_text(filters_v2)]
        if agent_id is not None:
            scope.append({"field": "agent.id", "op": "eq", "value": agent_id})
        scope += [
            {"field": "timestamp", "op": op, "value": value}
            for op, value in (("gte", timestamp_from), ("lt", timestamp_to))
            if value
        ]
        return call_logs(world.con, request, pages, project_id, scope, world.now(), world.readings)

    @router.get("/v2/call-logs/{id}/", **answers(CallDetailsShape))
    def get_call(number: Number) -> Body:
        return call_details(world.con, number)

    @router.get(f"{modes}/", **answers(FailureModesShape))
    def list_failure_modes(project: int | None = None, agent_ids: str | None = None) -> Body:
        rows = [mode for mode in failure_modes(world.con, agent_ids) if project in (None, mode["project"])]
        return {"project": project or 1, "failure_modes": rows}

    @router.get(modes + "/{category_slug}/calls/", **answers(FailureCallsShape))
    def list_failure_calls(
        category_slug: str,
        project: int,
        metric_id: int,
        date_from: str | None = None,
        date_to: str | None = None,
        agent_ids: str | None = None,
    ) -> Body:
        times = {"date_from": date_from, "date_to": date_to}
        now = world.now()
        window = [moment_of(times, "date_from", now - timedelta(days=calls.DAYS)), moment_of(times, "date_to", now)]
        start, end = (moment.astimezone(UTC).replace(tzinfo=None) for moment in window)
        answer = failure_calls(world.con, category_slug, agent_ids, (start, end))
        ours = (project, metric_id) == (1, calls.FAILURE_METRIC)
        return answer if ours else {"count": 0, "call_log_ids": []}

    return router


def _edits(world: World) -> APIRouter:
    router = _router(world, "edits")

    @router.get("/test_framework/v2/metrics/{id}/history/", **answers(VersionPage))
    def metric_history(request: Request, pages: Paging, number: Number) -> Body:
        return paginate(request, pages, world.edits.history("metric", number))

    @router.get("/test_framework/v2/aiagents/{id}/history/", **answers(VersionPage))
    def agent_history(request: Request, pages: Paging, number: Number) -> Body:
        return paginate(request, pages, world.edits.history("aiagent", number))

    @router.get("/user/v1/audit-logs/", **answers(LogPage, forbidden=True))
    def audit_log(
        request: Request,
        pages: Paging,
        organization_id: str | None = None,
        start_time: str | None = None,
        end_time: str | None = None,
        project_id: str | None = None,
        object_type: str | None = None,
        object_id: str | None = None,
        operation_type: str | None = None,
    ) -> Body:
        if not organization_id:
            raise Invalid({"organization_id": ["This field is required."]})
        if organization_id != str(ORGANIZATION) or _key_of(request) == world.member_key:
            raise _Forbidden
        asked = {"start_time": start_time, "end_time": end_time, "project_id": project_id}
        narrow = {"object_type": object_type, "object_id": object_id, "operation_type": operation_type}
        entries = world.edits.log(asked, world.now())
        wanted = [e for e in entries if all(v in (None, str(e[name])) for name, v in narrow.items())]
        return paginate(request, pages, wanted)

    return router


def _alerts(world: World) -> APIRouter:  # noqa: C901 - a router is a list of routes
    async def may_alert() -> None:
        if world.readings.alerts == "forbidden":
            raise _Forbidden

    router = _router(world, "alerts", "/observability/v1/alerts", may_alert)
    known = dict[tuple[int, str], list[datetime]]()

    def fires(alert: Body) -> list[datetime]:
        """The times at which an alert fired, computed once per setting, because the calls do not change."""
        setting = id(world.con), json.dumps(alert, sort_keys=True)
        if setting not in known:
            known[setting] = alerts.fires(world.con, alert, world.now())
        return known[setting]

    @router.get("/", **answers(list[AlertShape]))
    def list_alerts(
        project_id: int | None = None,
        source_type: str | None = None,
        enabled: bool | None = None,  # noqa: FBT001 - a parameter of the query
        search: str = "",
        ordering: str = "",
    ) -> list[Body]:
        if source_type not in (None, "metric"):
            raise Invalid({"source_type": [f"Select a valid choice. {source_type} is not one of them."]})
        rows = world.store.alerts.list(project_id, enabled=enabled, search=search)
        if (name := ordering.removeprefix("-")) in {"id", "name", "created_at", "updated_at"}:
            rows.sort(key=lambda alert: alert[name], reverse=ordering.startswith("-"))
        return [alerts.shown(alert, fires(alert), whole=False) for alert in rows]

    @router.post("/", **answers(AlertShape, status=201), **takes(ALERT_BODY, "name", "project", "source_type"))
    def create_alert(body: JsonBody) -> Body:
        return alerts.of_fields(world.store.alerts.create(body), alerts.ANSWERED_TO_CREATE)

    @router.get("/review/", **answers(Any))
    def review(project_id: int | None = None, hours: Annotated[int, Query(ge=1)] = 24) -> Body:
        rows = [(alert, fires(alert)) for alert in world.store.alerts.list(project_id)]
        return alerts.review(rows, world.now(), hours)

    @router.get("/trigger_summary/", **answers(Any))
    def trigger_summary(project_id: int | None = None, hours: Annotated[int, Query(ge=1)] = 24) -> Body:
        if project_id is None:
            raise Invalid({"project_id": ["This field is required."]})
        start = world.now().replace(tzinfo=None) - timedelta(hours=min(hours, alerts.MAX_HOURS))
        return {
            str(alert["id"]): sum(moment >= start for moment in fires(alert))
            for alert in world.store.alerts.list(project_id)
        }

    @router.get("/{id}/", **answers(AlertShape))
    def get_alert(number: Number) -> Body:
        alert = world.store.alerts.get(number)
        return alerts.shown(alert, fires(alert), whole=True)

    @router.patch("/{id}/", **answers(AlertChangesShape), **takes(ALERT_CHANGES))
    def update_alert(number: Number, body: JsonBody) -> Body:
        return alerts.of_fields(world.store.alerts.update(number, body), alerts.ANSWERED_TO_UPDATE)

    @router.delete("/{id}/", **answers(None, status=204))
    def delete_alert(number: Number) -> None:
        world.store.alerts.delete(number)

    return router


def run_sandbox(*, port: int, seed: int, count: int, key: str, readings: dict[str, str]) -> None:
    """Serve on 127.0.0.1 until stopped; port 0 chooses a free one. The calls are generated before it listens.

    Raises:
        ValueError: for an unknown reading.
        OSError: if the port is taken.
    """
    import uvicorn  # noqa: PLC0415 - a sandbox in the client's process does not need it

    app = create_app(seed=seed, count=count, key=key, readings=readings_from(readings))
    tcp = socket.IPPROTO_TCP  # TCP is named so that the event loop sets TCP_NODELAY
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, tcp) as listening:
        if sys.platform != "win32":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen()
        app.state.world.generate()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        print(  # noqa: T201 - not the protocol's stdout
            f"{count} calls of the last 30 days on {url}. Use them with\n"
            f"  CEKURA_BASE_URL={url} CEKURA_API_KEY={key} cekura-dashboards",
            file=sys.stderr,
            flush=True,
        )
        config = uvicorn.Config(app, log_config=None, access_log=False, date_header=False)
        uvicorn.Server(config).run(sockets=[listening])
