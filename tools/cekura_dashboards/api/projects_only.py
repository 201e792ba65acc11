"""A key may see more projects than a server is meant to serve: nothing of the others passes through here.

What is of another project does not exist: 404, as for what there is not. Every request goes through here, so that no
tool has to think of it. Ids are looked up before they are handed on: a widget leads to its dashboard, a dashboard to
its project; agents and metrics, in filters too, are those of the projects. A path that is not known here is refused.
What was found out is remembered for a minute, for each key.
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

from cekura_dashboards.api.decoding import RECORDS, decoded, within
from cekura_dashboards.api.errors import DashboardsError, DeadlinePassed, UnreadableAnswer
from cekura_dashboards.api.models import JsonObject, as_list, as_object
from cekura_dashboards.api.wire import Answer, Transport

REMEMBERED_S = 60.0
MOST_PAGES = 100
NOT_HERE = Answer(404, b'{"detail": "Not found."}', "application/json")
DASHBOARDS, WIDGETS = "/dashboards/dashboards/", "/dashboards/widgets/"
PROJECTS, CALLS = "/user/v1/projects/", "/observability/v2/call-logs/"
AGENTS, METRICS = "/test_framework/v2/aiagents/", "/test_framework/v2/metrics/"
LISTS = {DASHBOARDS, WIDGETS, PROJECTS, AGENTS, METRICS}
_ONE = re.compile(r"/dashboards/(dashboards|widgets)/(\d{1,18})/(\w+/)?", re.ASCII)
_FIELDS = {"agent.id": "agent", "agent_id": "agent", "agent": "agent", "metric_evaluations.metric.id": "metric"}


class OutsideProjects(DashboardsError):
    """Something that a request names is of no project that is served."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} is of no project that this server is set to serve (CEKURA_PROJECTS). Nothing was sent."
        )


@dataclass
class _Known:
    """Of one key, until when: what is of the projects."""

    until: float
    agents: frozenset[int]
    metrics: frozenset[int]
    dashboards: set[int] = field(default_factory=set[int])
    widgets: set[int] = field(default_factory=set[int])


@dataclass
class _Turns:
    """Requests with one key that wait for what has to be read first; only one of them reads it."""

    lock: anyio.Lock = field(default_factory=anyio.Lock)
    waiting: int = 0


class _NotRead(Exception):
    """What had to be known first could not be read; the answer says why by its status."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class _Request(Struct, frozen=True):
    """What is asked of the API itself on the way, under the same key.

    ``timeout_s``: for all of it; ``deadline``: when that is over, a time of the event loop's clock.
    """

    inner: Transport
    key: SecretStr
    timeout_s: float
    deadline: float

    def left_s(self) -> float:
        """What is left of the time.

        Raises:
            DeadlinePassed: if nothing is.
        """
        if (left := self.deadline - anyio.current_time()) <= 0:
            raise DeadlinePassed(self.timeout_s)
        return left

    async def read(self, path: str, **query: str) -> Any:
        """What a path answers; None for what there is not.

        Raises:
            _NotRead: for any other status that is no success, which is the answer to the request then.
            UnreadableAnswer: for what is no JSON.
        """
        answer = await self.inner.send("GET", path, key=self.key, timeout_s=self.left_s(), query=query, body=None)
        if answer.status == NOT_HERE.status:
            return None
        if not _is_success(answer):
            raise _NotRead(answer)
        return _json_of(answer)


class ProjectsOnly:
    """A transport that serves some projects. ``inner`` reaches the API."""

    def __init__(self, inner: Transport, projects: frozenset[int]) -> None:
        self.inner, self._projects = inner, projects
        self._known = dict[bytes, _Known]()
        self._reading = dict[bytes, _Turns]()

    async def aclose(self) -> None:
        await self.inner.aclose()

    async def send(
        self, method: str, path: str, *, key: SecretStr, timeout_s: float, query: dict[str, str], body: bytes | None
    ) -> Answer:
        """As every transport; 404 for what is of other projects.

        Raises:
            OutsideProjects: for agents and metrics of other projects, and what cannot be told apart.
        """
        asking = _Request(self.inner, key, timeout_s, anyio.current_time() + timeout_s)
        given = as_object(msgspec.json.decode(body)) if body else None
        try:
            if not await self._may(asking, method, path, query, given):
                return NOT_HERE
            if path == f"{WIDGETS}preview_data/" and given is not None and given.get("dashboard") is None:
                body = msgspec.json.encode(await self._confined(asking, given))
            answer = await self.inner.send(method, path, key=key, timeout_s=asking.left_s(), query=query, body=body)
            shown = method == "GET" and _is_success(answer)
            return await self._without_others(asking, path, answer) if shown else answer
        except _NotRead as failed:
            return failed.answer

    async def _may(
        self, asking: _Request, method: str, path: str, query: dict[str, str], given: JsonObject | None
    ) -> bool:
        """Whether all that a request names is of the projects."""
        if (number := query.get("project_id")) is not None and not self._is_ours(number):
            return False
        known = await self._of(asking)
        if (agent := query.get("agent_id")) is not None and agent not in map(str, known.agents):
            return False
        if filters := query.get("filters_v2") or query.get("filters"):
            self._check(known, as_object(msgspec.json.decode(filters)))
        if path == CALLS:
            return "project_id" in query or "agent_id" in query
        if given is not None and not await self._may_hold(asking, known, path, given):
            return False
        if match := _ONE.fullmatch(path):
            own = self._has_dashboard if match[1] == "dashboards" else self._has_widget
            return await own(asking, known, int(match[2]))
        if path == f"{WIDGETS}bulk_data/":
            numbers = as_list((given or {}).get("widget_ids")) or []
            return bool(numbers) and all([await self._has_widget(asking, known, number) for number in numbers])
        if path == DASHBOARDS and method == "POST":
            return self._is_ours((given or {}).get("project"))
        read = {*LISTS, f"{DASHBOARDS}predefined_widgets/"}
        return path == f"{WIDGETS}preview_data/" if method == "POST" else path in read

    async def _may_hold(self, asking: _Request, known: _Known, path: str, given: JsonObject) -> bool:
        """Whether a body names only what is of the projects: a dashboard, its project, widgets, agents, metrics."""
        if given.get("project") is not None and not self._is_ours(given["project"]):
            return False
        if given.get("dashboard") is not None and not await self._has_dashboard(asking, known, given["dashboard"]):
            return False
        self._check(known, given)
        if not path.endswith("/bulk_widgets/"):
            return True
        updates = [item.get("id") for item in map(as_object, as_list(given.get("update")) or []) if item]
        numbers = [*updates, *(as_list(given.get("delete")) or [])]
        return all([await self._has_widget(asking, known, number) for number in numbers])

    def _is_ours(self, project: Any) -> bool:
        return str(project) in map(str, self._projects)

    def _check(self, known: _Known, value: Any) -> None:
        """Refuse agents and metrics of other projects, wherever a body or filter names them.

        Raises:
            OutsideProjects: for one of them.
        """
        for kind, number in _named(value):
            ours = known.agents if kind == "agent" else known.metrics
            if str(number) not in map(str, ours):
                raise OutsideProjects(f"{kind} {number!s:.40}")

    async def _of(self, asking: _Request) -> _Known:
        """What is remembered of the key, or read now: once, however many requests with it wait for that.

        Raises:
            DeadlinePassed: for a request that waited for another until its own time was over.
        """
        name = hashlib.sha256(asking.key.get_secret_value().encode()).digest()
        if (found := self._remembered(name)) is not None:
            return found
        turns = self._reading.setdefault(name, _Turns())
        turns.waiting += 1
        try:
            with anyio.move_on_after(asking.left_s()):
                async with turns.lock:
                    if (found := self._remembered(name)) is None:
                        found = self._known[name] = await self._read(asking)
                    return found
        finally:
            turns.waiting -= 1
            if not turns.waiting:
                del self._reading[name]
        raise DeadlinePassed(asking.timeout_s)

    async def _read(self, asking: _Request) -> _Known:
        agents, metrics = [await self._ids(asking, path) for path in (AGENTS, METRICS)]
        now = anyio.current_time()
        self._known = {key: held for key, held in self._known.items() if held.until > now}
        return _Known(now + REMEMBERED_S, agents, metrics)

    def _remembered(self, name: bytes) -> _Known | None:
        found = self._known.get(name)
        return found if found is not None and found.until > anyio.current_time() else None

    async def _ids(self, asking: _Request, path: str) -> frozenset[int]:
        """Of all that a path lists in the projects."""
        found = set[int]()
        for project in sorted(self._projects):
            found |= {row["id"] async for row in _rows(asking, path, project_id=str(project))}
        return frozenset(found)

    async def _has_dashboard(self, asking: _Request, known: _Known, number: Any) -> bool:
        if not isinstance(number, int):
            return False
        if number not in known.dashboards:
            self._learn(known, await asking.read(f"{DASHBOARDS}{number}/"))
        return number in known.dashboards

    async def _has_widget(self, asking: _Request, known: _Known, number: Any) -> bool:
        if not isinstance(number, int):
            return False
        if number in known.widgets:
            return True
        widget = as_object(await asking.read(f"{WIDGETS}{number}/"))
        if widget is not None and await self._has_dashboard(asking, known, widget.get("dashboard")):
            known.widgets.add(number)
        return number in known.widgets

    def _learn(self, known: _Known, dashboard: Any) -> bool:
        """Remember a dashboard and its widgets, if it is of the projects; whether it is."""
        found = as_object(dashboard)
        if found is None or not isinstance(found.get("id"), int) or not self._is_ours(found.get("project")):
            return False
        known.dashboards.add(found["id"])
        widgets = [item for item in map(as_object, as_list(found.get("widgets")) or []) if item]
        known.widgets |= {item["id"] for item in widgets if isinstance(item.get("id"), int)}
        return True

    async def _confined(self, asking: _Request, widget: JsonObject) -> JsonObject:
        """A preview without a dashboard, which would count the calls of all projects: of ours only."""
        known = await self._of(asking)
        ours = {"field": "agent.id", "op": "in", "value": sorted(known.agents) or [0]}
        held = [widget["filters"]] if widget.get("filters") else []
        return {**widget, "filters": {"operator": "and", "conditions": [*held, ours]}}

    async def _without_others(self, asking: _Request, path: str, answer: Answer) -> Answer:
        """An answer without the rows of other projects; 404 if it is one thing and of another."""
        one = _ONE.fullmatch(path)
        if not (one[1] == "dashboards" and not one[3] if one else path in LISTS):
            return answer
        known, found = await self._of(asking), _json_of(answer)
        if one:
            return answer if self._learn(known, found) else NOT_HERE
        kept = list[JsonObject]()
        if path == PROJECTS:
            kept = [row for row in _objects(found) if self._is_ours(row.get("id"))]
        elif path == DASHBOARDS:
            kept = [row for row in _objects(found) if self._is_ours(row.get("project"))]
            known.dashboards |= {row["id"] for row in kept if isinstance(row.get("id"), int)}
        elif path == WIDGETS:
            rows = _objects(found)
            kept = [row for row in rows if await self._has_dashboard(asking, known, row.get("dashboard"))]
            known.widgets |= {row["id"] for row in kept if isinstance(row.get("id"), int)}
        else:
            ours = known.agents if path == AGENTS else known.metrics
            kept = [row for row in _objects(found) if isinstance(row.get("id"), int) and row["id"] in ours]
        page = as_object(found)
        shown = kept if page is None else {**page, "results": kept, **({"count": len(kept)} if "count" in page else {})}
        return Answer(answer.status, msgspec.json.encode(shown), answer.content_type, answer.retry_after, answer.date)


def _json_of(answer: Answer) -> Any:
    return decoded(within(RECORDS, answer).body, object)


def _objects(found: Any) -> list[JsonObject]:
    """The rows of a list, or of a page of one; none of what there is not.

    Raises:
        UnreadableAnswer: for anything else.
    """
    page = as_object(found)
    rows = as_list(found if page is None else page.get("results"))
    if rows is None and found is not None:
        raise UnreadableAnswer("a list was asked for, and it holds none")
    return [row for item in rows or [] if (row := as_object(item)) is not None]


async def _rows(asking: _Request, path: str, **query: str) -> AsyncIterator[JsonObject]:
    """The rows of all pages that have an id."""
    for number in range(1, MOST_PAGES + 1):
        found = await asking.read(path, **query, page_size="100", **({"page": str(number)} if number > 1 else {}))
        for row in _objects(found):
            if isinstance(row.get("id"), int):
                yield row
        if not (as_object(found) or {}).get("next"):
            return


def _named(value: Any) -> Iterator[tuple[str, Any]]:
    """Every agent and metric that a body or filter names by its id."""
    found = as_object(value)
    if found is not None:
        if found.get("metric") is not None:
            yield "metric", found["metric"]
        if (kind := _FIELDS.get(str(found.get("field")))) and found.get("op") not in {None, "isnull"}:
            held = found.get("value")
            items: Iterable[Any] = as_list(held) or [held]
            yield from ((kind, item) for item in items)
    inside: Iterable[Any] = as_list(value) or []
    if found is not None:
        inside = [item for name, item in found.items() if name != "metadata"]  # styling; it names nothing of the API
    for item in inside:
        yield from _named(item)


def _is_success(answer: Answer) -> bool:
    return 200 <= answer.status < 300  # noqa: PLR2004 - the success range
