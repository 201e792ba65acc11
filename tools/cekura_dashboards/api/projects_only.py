"""Restricts a key to the projects that a server is configured to serve.

Anything in another project is answered with 404. Every request passes through here, so that tools need no check of
their own. Ids are looked up before a request is forwarded: a widget leads to its dashboard, a dashboard to its
project; agents and metrics, in filters too, must belong to the projects. Unknown paths are refused. Results of
lookups are cached for a minute per key.
"""

import hashlib
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import anyio
import msgspec
from msgspec import Struct
from pydantic import SecretStr

from cekura_dashboards.api.errors import DashboardsError, DeadlinePassed, UnreadableAnswer
from cekura_dashboards.api.models import JsonObject, as_list, as_object
from cekura_dashboards.api.wire import RECORDS, Response, Transport, decode, parse_projects, within

CACHE_S = 60.0
MAX_PAGES = 100
NOT_FOUND = Response(404, b'{"detail": "Not found."}', "application/json")
DASHBOARDS, WIDGETS = "/dashboards/dashboards/", "/dashboards/widgets/"
PROJECTS, CALLS = "/user/v1/projects/", "/observability/v2/call-logs/"
AGENTS, METRICS = "/test_framework/v2/aiagents/", "/test_framework/v2/metrics/"
ALERTS = "/observability/v1/alerts/"
OF_A_PROJECT = {f"{ALERTS}review/", f"{ALERTS}trigger_summary/"}
"""Readable only with the id of a project."""
LISTS = {DASHBOARDS, WIDGETS, PROJECTS, AGENTS, METRICS, ALERTS}
_ONE = re.compile(r"/dashboards/(dashboards|widgets)/(\d{1,18})/(\w+/)?", re.ASCII)
DAILY_REPORT = "daily_report_dashboard_ids"
_ALERT = re.compile(rf"{ALERTS}\d{{1,18}}/", re.ASCII)
_PROJECT = re.compile(rf"{PROJECTS}(\d{{1,18}})/", re.ASCII)
AUDIT_LOG = "/user/v1/audit-logs/"
_HISTORY = re.compile(r"/test_framework/v2/(metrics|aiagents)/(\d{1,18})/history/", re.ASCII)
_CALL = re.compile(r"/observability/v2/call-logs/\d{1,18}/", re.ASCII)
_FAILURES = re.compile(r"/observability/v1/metric-failure-mode-insights/categories/([\w-]+/calls/)?", re.ASCII)
_FIELDS = {"agent.id": "agent", "agent_id": "agent", "agent": "agent", "metric_evaluations.metric.id": "metric"}


class OutsideProjects(DashboardsError):
    """A request names something outside the served projects."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} is in none of the projects that this server serves (CEKURA_PROJECTS). Nothing was sent."
        )


@dataclass
class _ProjectContents:
    """The contents of the projects for one key, valid until ``until``.

    ``rubrics``: the metrics of their rubrics, which may belong to other projects; None until needed.
    """

    until: float
    agents: frozenset[int]
    metrics: frozenset[int]
    dashboards: set[int] = field(default_factory=set[int])
    widgets: set[int] = field(default_factory=set[int])
    rubrics: frozenset[int] | None = None


@dataclass
class _Turns:
    """Requests with one key that wait for the same lookup, which only one of them makes."""

    lock: anyio.Lock = field(default_factory=anyio.Lock)
    waiting: int = 0


class _NotRead(Exception):
    """A lookup failed; its response is the response to the request."""

    def __init__(self, answer: Response) -> None:
        super().__init__(answer.status)
        self.answer = answer


class _UpstreamRequest(Struct, frozen=True):
    """The lookups for one request, with the same key.

    ``timeout_s``: for all of them; ``deadline``: by the event loop's clock.
    """

    inner: Transport
    key: SecretStr
    timeout_s: float
    deadline: float

    def remaining_s(self) -> float:
        """The remaining time.

        Raises:
            DeadlinePassed: if none is left.
        """
        if (remaining := self.deadline - anyio.current_time()) <= 0:
            raise DeadlinePassed(self.timeout_s)
        return remaining

    async def get(self, path: str, **query: str) -> Any:
        """The JSON at a path; None for a 404.

        Raises:
            _NotRead: for any other error status.
            UnreadableAnswer: for a body that is not JSON.
        """
        answer = await self.answer(path, **query)
        return None if answer is None else _json_of(answer)

    async def answer(self, path: str, **query: str) -> Response | None:
        """The response at a path; None for a 404.

        Raises:
            _NotRead: for any other error status.
        """
        answer = await self.inner.send("GET", path, key=self.key, timeout_s=self.remaining_s(), query=query, body=None)
        if answer.status == NOT_FOUND.status:
            return None
        if not _is_success(answer):
            raise _NotRead(answer)
        return answer


class ProjectsOnly:
    """A transport restricted to some projects. ``inner``: the transport to the API."""

    def __init__(self, inner: Transport, projects: frozenset[int]) -> None:
        self.inner, self._projects = inner, projects
        self._cache = dict[bytes, _ProjectContents]()
        self._reading = dict[bytes, _Turns]()

    async def aclose(self) -> None:
        await self.inner.aclose()

    async def send(
        self, method: str, path: str, *, key: SecretStr, timeout_s: float, query: dict[str, str], body: bytes | None
    ) -> Response:
        """As any transport; 404 for anything in other projects.

        Raises:
            OutsideProjects: for agents and metrics of other projects.
        """
        lookup = _UpstreamRequest(self.inner, key, timeout_s, anyio.current_time() + timeout_s)
        body_object = as_object(msgspec.json.decode(body)) if body else None
        try:
            if not await self._is_allowed(lookup, method, path, query, body_object):
                return NOT_FOUND
            if path == f"{WIDGETS}preview_data/" and body_object is not None and body_object.get("dashboard") is None:
                body = msgspec.json.encode(await self._confine(lookup, body_object))
            answer = await self.inner.send(
                method, path, key=key, timeout_s=lookup.remaining_s(), query=query, body=body
            )
            filters_answer = method == "GET" and _is_success(answer)
            return await self._without_others(lookup, path, answer) if filters_answer else answer
        except _NotRead as failed:
            return failed.answer

    async def _is_allowed(
        self, lookup: _UpstreamRequest, method: str, path: str, query: dict[str, str], body: JsonObject | None
    ) -> bool:
        """Whether everything that a request names is in the projects."""
        if (number := query.get("project_id")) is not None and not self._is_ours(number):
            return False
        contents = await self._contents(lookup)
        if (agent := query.get("agent_id")) is not None and agent not in map(str, contents.agents):
            return False
        if filters := query.get("filters_v2") or query.get("filters"):
            self._check(contents, as_object(msgspec.json.decode(filters)))
        if path == CALLS or path in OF_A_PROJECT:
            return "project_id" in query or ("agent_id" in query and path == CALLS)
        if method == "GET" and (beside := await self._is_allowed_record(lookup, contents, path, query)) is not None:
            return beside
        if body is not None and not await self._is_allowed_body(lookup, contents, path, body):
            return False
        if (owned := await self._is_one_of_ours(lookup, contents, path)) is not None:
            return owned
        if path == f"{WIDGETS}bulk_data/":
            numbers = as_list((body or {}).get("widget_ids")) or []
            return bool(numbers) and all([await self._has_widget(lookup, contents, number) for number in numbers])
        if path in {DASHBOARDS, ALERTS} and method == "POST":
            return self._is_ours((body or {}).get("project"))
        readable = {*LISTS, f"{DASHBOARDS}predefined_widgets/"}
        return path == f"{WIDGETS}preview_data/" if method == "POST" else path in readable

    async def _is_one_of_ours(self, lookup: _UpstreamRequest, contents: _ProjectContents, path: str) -> bool | None:
        """Whether the dashboard, widget, alert or project that a path names is ours; None for a path without an id."""
        if match := _ONE.fullmatch(path):
            own = self._has_dashboard if match[1] == "dashboards" else self._has_widget
            return await own(lookup, contents, int(match[2]))
        if _ALERT.fullmatch(path):
            return self._is_ours((as_object(await lookup.get(path)) or {}).get("project"))
        match = _PROJECT.fullmatch(path)
        return self._is_ours(match[1]) if match else None

    async def _is_allowed_record(
        self, lookup: _UpstreamRequest, contents: _ProjectContents, path: str, query: dict[str, str]
    ) -> bool | None:
        """Whether a history, the audit log, a call or failure modes may be requested; None for any other path.

        The project of a call is known only from its response.
        """
        if match := _HISTORY.fullmatch(path):
            if match[1] == "aiagents":
                return int(match[2]) in contents.agents
            return int(match[2]) in contents.metrics or int(match[2]) in await self._rubrics(lookup, contents)
        if path == AUDIT_LOG:
            return "project_id" in query
        if _FAILURES.fullmatch(path):
            agents = query["agent_ids"].split(",") if "agent_ids" in query else []
            metrics = [query["metric_id"]] if "metric_id" in query else []
            named = {*agents} <= {*map(str, contents.agents)} and {*metrics} <= {*map(str, contents.metrics)}
            return self._is_ours(query.get("project")) and named
        return True if _CALL.fullmatch(path) else None

    async def _rubrics(self, lookup: _UpstreamRequest, contents: _ProjectContents) -> frozenset[int]:
        """The metrics of the projects' rubrics."""
        if contents.rubrics is None:
            answer = await lookup.answer(PROJECTS)
            rows = [] if answer is None else parse_projects(within(RECORDS, answer).body)
            contents.rubrics = frozenset(
                number for row in rows if self._is_ours(row.id) for number in row.rubric_config or []
            )
        return contents.rubrics

    async def _is_allowed_body(
        self, lookup: _UpstreamRequest, contents: _ProjectContents, path: str, body: JsonObject
    ) -> bool:
        """Whether a body names only the projects' own dashboards, widgets, agents and metrics."""
        if body.get("project") is not None and not self._is_ours(body["project"]):
            return False
        if body.get("dashboard") is not None and not await self._has_dashboard(lookup, contents, body["dashboard"]):
            return False
        self._check(contents, body)
        if _PROJECT.fullmatch(path):
            reported = as_list(body.get(DAILY_REPORT)) or []
            ours = [await self._has_dashboard(lookup, contents, number) for number in reported]
            return all(ours) and {*body} <= {DAILY_REPORT}
        if not path.endswith("/bulk_widgets/"):
            return True
        updates = [item.get("id") for item in map(as_object, as_list(body.get("update")) or []) if item]
        numbers = [*updates, *(as_list(body.get("delete")) or [])]
        return all([await self._has_widget(lookup, contents, number) for number in numbers])

    def _is_ours(self, project: Any) -> bool:
        return str(project) in map(str, self._projects)

    def _check(self, contents: _ProjectContents, value: Any) -> None:
        """Refuse agents and metrics of other projects, wherever a body or filter names them.

        Raises:
            OutsideProjects: for one of them.
        """
        for kind, number in _references(value):
            ours = contents.agents if kind == "agent" else contents.metrics
            if str(number) not in map(str, ours):
                raise OutsideProjects(f"{kind} {number!s:.40}")

    async def _contents(self, lookup: _UpstreamRequest) -> _ProjectContents:
        """The cached contents for the key, or read now, once for all waiting requests.

        Raises:
            DeadlinePassed: if the deadline passes while another request reads them.
        """
        name = hashlib.sha256(lookup.key.get_secret_value().encode()).digest()
        if (contents := self._cached(name)) is not None:
            return contents
        turns = self._reading.setdefault(name, _Turns())
        turns.waiting += 1
        try:
            with anyio.move_on_after(lookup.remaining_s()):
                async with turns.lock:
                    if (contents := self._cached(name)) is None:
                        contents = self._cache[name] = await self._read(lookup)
                    return contents
        finally:
            turns.waiting -= 1
            if not turns.waiting:
                del self._reading[name]
        raise DeadlinePassed(lookup.timeout_s)

    async def _read(self, lookup: _UpstreamRequest) -> _ProjectContents:
        agents, metrics = [await self._ids(lookup, path) for path in (AGENTS, METRICS)]
        now = anyio.current_time()
        self._cache = {key: contents for key, contents in self._cache.items() if contents.until > now}
        return _ProjectContents(now + CACHE_S, agents, metrics)

    def _cached(self, name: bytes) -> _ProjectContents | None:
        contents = self._cache.get(name)
        return contents if contents is not None and contents.until > anyio.current_time() else None

    async def _ids(self, lookup: _UpstreamRequest, path: str) -> frozenset[int]:
        """The ids that a path lists for the projects."""
        ids = set[int]()
        for project in sorted(self._projects):
            ids |= {row["id"] async for row in _rows(lookup, path, project_id=str(project))}
        return frozenset(ids)

    async def _has_dashboard(self, lookup: _UpstreamRequest, contents: _ProjectContents, number: Any) -> bool:
        if not isinstance(number, int):
            return False
        if number not in contents.dashboards:
            self._learn(contents, await lookup.get(f"{DASHBOARDS}{number}/"))
        return number in contents.dashboards

    async def _has_widget(self, lookup: _UpstreamRequest, contents: _ProjectContents, number: Any) -> bool:
        if not isinstance(number, int):
            return False
        if number in contents.widgets:
            return True
        widget = as_object(await lookup.get(f"{WIDGETS}{number}/"))
        if widget is not None and await self._has_dashboard(lookup, contents, widget.get("dashboard")):
            contents.widgets.add(number)
        return number in contents.widgets

    def _learn(self, contents: _ProjectContents, dashboard: Any) -> bool:
        """Cache a dashboard and its widgets if it is in the projects; whether it is."""
        dashboard_object = as_object(dashboard)
        if (
            dashboard_object is None
            or not isinstance(dashboard_object.get("id"), int)
            or not self._is_ours(dashboard_object.get("project"))
        ):
            return False
        contents.dashboards.add(dashboard_object["id"])
        widgets = [item for item in map(as_object, as_list(dashboard_object.get("widgets")) or []) if item]
        contents.widgets |= {item["id"] for item in widgets if isinstance(item.get("id"), int)}
        return True

    async def _confine(self, lookup: _UpstreamRequest, widget: JsonObject) -> JsonObject:
        """A preview without a dashboard, which would count all projects' calls, limited to our agents."""
        contents = await self._contents(lookup)
        ours = {"field": "agent.id", "op": "in", "value": sorted(contents.agents) or [0]}
        filters = [widget["filters"]] if widget.get("filters") else []
        return {**widget, "filters": {"operator": "and", "conditions": [*filters, ours]}}

    async def _without_others(self, lookup: _UpstreamRequest, path: str, answer: Response) -> Response:
        """A response without the rows of other projects; 404 for a single record of another project."""
        if path == PROJECTS:
            return self._own_projects(answer)
        one, call = _ONE.fullmatch(path), _CALL.fullmatch(path)
        if not (call or (one[1] == "dashboards" and not one[3] if one else path in {*LISTS, AUDIT_LOG})):
            return answer
        contents, payload = await self._contents(lookup), _json_of(answer)
        if one:
            return answer if self._learn(contents, payload) else NOT_FOUND
        if call:
            agent = (as_object(payload) or {}).get("agent")
            return answer if isinstance(agent, int) and agent in contents.agents else NOT_FOUND
        own_rows = list[JsonObject]()
        if path in {ALERTS, AUDIT_LOG}:
            own_rows = [row for row in _objects(payload) if self._is_ours(row.get("project"))]
        elif path == DASHBOARDS:
            own_rows = [row for row in _objects(payload) if self._is_ours(row.get("project"))]
            contents.dashboards |= {row["id"] for row in own_rows if isinstance(row.get("id"), int)}
        elif path == WIDGETS:
            rows = _objects(payload)
            own_rows = [row for row in rows if await self._has_dashboard(lookup, contents, row.get("dashboard"))]
            contents.widgets |= {row["id"] for row in own_rows if isinstance(row.get("id"), int)}
        else:
            ours = contents.agents if path == AGENTS else contents.metrics
            own_rows = [row for row in _objects(payload) if isinstance(row.get("id"), int) and row["id"] in ours]
        page = as_object(payload)
        result = (
            own_rows
            if page is None
            else {**page, "results": own_rows, **({"count": len(own_rows)} if "count" in page else {})}
        )
        return _with_body(answer, msgspec.json.encode(result))

    def _own_projects(self, answer: Response) -> Response:
        """The served projects, with only the fields in use: all others may be secrets."""
        projects = [row for row in parse_projects(within(RECORDS, answer).body) if self._is_ours(row.id)]
        return _with_body(answer, msgspec.json.encode([row.model_dump(exclude_unset=True) for row in projects]))


def _with_body(answer: Response, body: bytes) -> Response:
    return Response(answer.status, body, answer.content_type, answer.retry_after, answer.date)


def _json_of(answer: Response) -> Any:
    return decode(within(RECORDS, answer).body, object)


def _objects(payload: Any) -> list[JsonObject]:
    """The rows of a list or page; none for a missing one.

    Raises:
        UnreadableAnswer: for anything else.
    """
    page = as_object(payload)
    rows = as_list(payload if page is None else page.get("results"))
    if rows is None and payload is not None:
        raise UnreadableAnswer("it contains no list, but a list was requested")
    return [row for item in rows or [] if (row := as_object(item)) is not None]


async def _rows(lookup: _UpstreamRequest, path: str, **query: str) -> AsyncIterator[JsonObject]:
    """The rows with an id, of all pages."""
    for number in range(1, MAX_PAGES + 1):
        payload = await lookup.get(path, **query, page_size="100", **({"page": str(number)} if number > 1 else {}))
        for row in _objects(payload):
            if isinstance(row.get("id"), int):
                yield row
        if not (as_object(payload) or {}).get("next"):
            return


def _references(value: Any) -> Iterator[tuple[str, Any]]:
    """Every agent and metric id in a body or filter."""
    node = as_object(value)
    if node is not None:
        for name in ("metric", "source_id"):
            if node.get(name) is not None:
                yield "metric", node[name]
        if (kind := _FIELDS.get(str(node.get("field")))) and node.get("op") not in {None, "isnull"}:
            condition_value = node.get("value")
            items: Iterable[Any] = as_list(condition_value) or [condition_value]
            yield from ((kind, item) for item in items)
    inside: Iterable[Any] = as_list(value) or []
    if node is not None:
        inside = [item for name, item in node.items() if name != "metadata"]  # presentation only
    for item in inside:
        yield from _references(item)


def _is_success(answer: Response) -> bool:
    return 200 <= answer.status < 300  # noqa: PLR2004 - the success range
