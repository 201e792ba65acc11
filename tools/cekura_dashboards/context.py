"""What a tool may use: the API client, settings, look-ups of reference data, and concurrent reads.

Projects, agents and metrics change rarely; they may be cached for a minute across calls, separately per key.
"""

import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Any, Generic, NamedTuple, TypeVar, cast, overload
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import anyio
import anyio.to_thread
import msgspec
from msgspec import Struct
from pydantic import SecretStr

from cekura_dashboards.api.client import CekuraClient, utc_now
from cekura_dashboards.api.errors import DashboardsError, InvalidArguments, Refused
from cekura_dashboards.api.filters import METRIC_ID, fields_of, metric_key
from cekura_dashboards.api.models import (
    Agent,
    Alert,
    Dashboard,
    JsonObject,
    Metric,
    Project,
    SomeWidgets,
    Widget,
    WidgetConfig,
)
from cekura_dashboards.api.projects_only import ProjectsOnly
from cekura_dashboards.api.wire import Transport, usage
from cekura_dashboards.settings import Settings
from cekura_dashboards.text import clean, join_names, named
from cekura_dashboards.values import replace

T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
BRIEFLY_S = 10.0
"""Seconds for additional reads that an answer can do without. A choice: the API answers in less than one."""
MAX_CONCURRENT = 20
"""Concurrent requests of one call: enough to read a dashboard of a dozen charts in one round trip."""


async def each(items: Sequence[T], do: Callable[[T], Coroutine[Any, Any, None]]) -> None:
    """Run ``do`` for all items concurrently."""
    if len(items) == 1:
        await do(items[0])
        return
    async with anyio.create_task_group() as group:
        for item in items:
            group.start_soon(do, item)


class Gathered(NamedTuple, Generic[T]):
    """The results of concurrent work by id or index, and the errors of the rest."""

    results: dict[int, T]
    failed: dict[int, DashboardsError]


async def gather_by_id(numbers: Iterable[int], get: Callable[[int], Awaitable[T]]) -> Gathered[T]:
    """The results by id, at most ``MAX_CONCURRENT`` at once."""
    results, failed = dict[int, T](), dict[int, DashboardsError]()
    limiter = anyio.CapacityLimiter(MAX_CONCURRENT)

    async def one(number: int) -> None:
        try:
            async with limiter:
                results[number] = await get(number)
        except DashboardsError as error:
            failed[number] = error

    await each([*numbers], one)
    return Gathered(results, failed)


async def in_thread(work: Callable[..., T], *args: Any, small: bool) -> T:
    """The result of ``work``, in a thread unless it is small, so that other calls are not blocked."""
    return work(*args) if small else await anyio.to_thread.run_sync(work, *args)


async def gather_tried(work: Iterable[Awaitable[T]]) -> Gathered[T]:
    """The results by index, awaited concurrently."""
    awaitables, results, failed = [*work], dict[int, T](), dict[int, DashboardsError]()

    async def one(place: int) -> None:
        try:
            results[place] = await awaitables[place]
        except DashboardsError as error:
            failed[place] = error

    await each(range(len(awaitables)), one)
    return Gathered(results, failed)


async def gather_all(work: Iterable[Awaitable[T]]) -> list[T]:
    """The results in order, awaited concurrently.

    Raises:
        DashboardsError: the first in order, after all have ended.
    """
    results, failed = await gather_tried(work)
    if failed:
        raise failed[min(failed)]
    return [results[place] for place in range(len(results))]


@overload
async def gather(first: Awaitable[T1], second: Awaitable[T2], /) -> tuple[T1, T2]: ...
@overload
async def gather(first: Awaitable[T1], second: Awaitable[T2], third: Awaitable[T3], /) -> tuple[T1, T2, T3]: ...
async def gather(*work: Awaitable[Any]) -> tuple[Any, ...]:
    """Results of different types, awaited concurrently; raises like ``gather_all``."""
    return tuple(await gather_all(work))


Later = Coroutine[Any, Any, T]
"""An awaitable that a plain function returns for its caller to await, which saves a stack frame."""
AGENT_ID_FIELDS = {"agent.id", "agent_id", "agent"}
MAX_KEYS, MAX_BYTES = 200, 16 * 2**20
"""Keys whose reference data is cached, and the total size of the cache in bytes."""
MAX_SHOWN = 8
UTC_ZONE = ZoneInfo("UTC")
FEW_ZONES = 4
"""Maximum time zones in a note."""
MAX_WIDGETS = 1000


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


@dataclass
class _CacheEntry:
    """A cached value, the time it was read, and its approximate size in bytes."""

    value: Any
    read_at: datetime
    size: int


@dataclass
class Memory:
    """A cache of reference data, by a digest of the key. The least recently updated key is evicted first."""

    seconds: float
    _entries: dict[str, dict[tuple[str, int | None], _CacheEntry]] = field(default_factory=dict[str, Any], repr=False)
    _size: int = 0

    def get(self, owner: str, what: tuple[str, int | None], now: datetime) -> Any:
        """The cached value if not expired, else None."""
        entry = self._entries.get(owner, {}).get(what)
        if entry is None or not timedelta(0) <= now - entry.read_at < timedelta(seconds=self.seconds):
            return None
        return entry.value

    def put(self, owner: str, what: tuple[str, int | None], value: Any, now: datetime) -> None:
        if self.seconds <= 0:
            return
        mine = self._entries.pop(owner, {})
        if (old := mine.pop(what, None)) is not None:
            self._size -= old.size
        size = sum(len(item.model_dump_json()) for item in value)
        self._entries[owner] = {**mine, what: _CacheEntry(value, now, size)}
        self._size += size
        while self._size > MAX_BYTES or len(self._entries) > MAX_KEYS:
            self.drop(next(iter(self._entries)))

    def drop(self, owner: str) -> None:
        """Drop everything of a key."""
        self._size -= sum(entry.size for entry in self._entries.pop(owner, {}).values())


@dataclass
class _Pending:
    """A request in progress or completed."""

    done: anyio.Event = field(default_factory=anyio.Event)
    value: Any = None
    error: DashboardsError | None = None
    given_up: bool = False


class Lookups:
    """The look-ups of one call. Each request is sent once, even for concurrent callers.

    ``numbers``: evidence from this call's charts about a measure's values, also used for later charts.
    ``metrics_of``: the projects whose metrics were used, whether read or cached. ``zone_notes``: why the time zone is
    not that of the project.
    """

    def __init__(self, api: CekuraClient, settings: Settings, now: Callable[[], datetime], memory: Memory) -> None:
        self._api, self._settings, self._now, self._memory = api, settings, now, memory
        self._owner = hashlib.sha256(b"lookups\0" + api.key.get_secret_value().encode()).hexdigest()
        self._pending = dict[tuple[str, int | None], _Pending]()
        self.numbers = dict[Any, Any]()
        self.metrics_of = set[int]()
        self.zone_notes = list[str]()

    async def _once(self, what: tuple[str, int | None], ask: Callable[[], Awaitable[T]], *, keep: bool = False) -> T:
        """The result of a request; an error is raised to all callers. ``keep``: cache it across calls."""
        while (pending := self._pending.get(what)) is not None:
            await pending.done.wait()
            if pending.error is not None:
                raise pending.error
            if not pending.given_up:
                return cast("T", pending.value)
        if keep and (cached := self._cached(what)) is not None:
            usage().cache_hits += 1
            return cast("T", cached)
        mine = self._pending[what] = _Pending(given_up=True)
        try:
            mine.value = answer = await ask()
            mine.given_up = False
        except DashboardsError as error:
            mine.error = error
            raise
        finally:
            if mine.given_up and mine.error is None:
                del self._pending[what]  # the caller was cancelled: the next one sends the request
            mine.done.set()
        if keep:
            self._memory.put(self._owner, what, answer, self._now())
        return answer

    def _cached(self, what: tuple[str, int | None]) -> Any:
        """The value cached by an earlier call, or None."""
        return self._memory.get(self._owner, what, self._now())

    @property
    def used(self) -> bool:
        """Whether this call requested anything."""
        return bool(self._pending)

    def forget(self) -> None:
        """Drop cached data, so that later calls read it again."""
        self._memory.drop(self._owner)

    def dashboard(self, number: int) -> Later[Dashboard]:
        return self._once(("dashboard", number), partial(self._api.get_dashboard, number))

    async def dashboard_with_names(self, number: int) -> Dashboard:
        """A dashboard; concurrently, projects and agents are read, which its charts nearly always need."""
        dashboard, _ = await gather(self.dashboard(number), self.prefetch())
        return dashboard

    async def prefetch(self) -> None:
        """Read projects and agents ahead; a failure is raised when they are used."""
        readers: dict[str, Callable[[], Later[object]]] = {"projects": self.projects, "agents": self.agents}
        await gather_tried(ask() for kind, ask in readers.items() if self._cached((kind, None)) is None)

    async def projects_of_dashboards(self) -> dict[int, int]:
        """The projects of the dashboards on the first page; empty if it cannot be read."""

        async def first_page() -> dict[int, int]:
            async for page in self._api.list_dashboards():
                return {row.id: row.project for row in page if row.project is not None}
            return {}

        try:
            return await self._once(("dashboards", None), first_page)
        except DashboardsError:
            return {}

    async def prefetch_widgets(self) -> None:
        """Read all dashboards' widgets ahead; a failure is raised when they are used."""
        with suppress(DashboardsError):
            await self.all_widgets()

    async def some_widgets(self) -> list[Widget]:
        """The first page of all dashboards' widgets."""

        async def first_page() -> list[Widget]:
            async for page in self._api.list_widgets():
                return page
            return []

        return await self._once(("some widgets", None), first_page)

    async def prefetch_first_widgets(self) -> None:
        """Read the first page of all widgets ahead; a failure is raised when they are used."""
        with suppress(DashboardsError):
            await self.first_widgets()

    def first_widgets(self) -> Later[SomeWidgets]:
        """The first page of all dashboards' widgets."""
        return self._once(("first widgets", None), self._api.first_widgets)

    async def all_widgets(self) -> list[Widget]:
        """The widgets of all dashboards that the key can access, up to a thousand."""

        async def pages() -> list[Widget]:
            widgets = list[Widget]()
            async for page in self._api.list_widgets():
                widgets += page
                if len(widgets) >= MAX_WIDGETS:
                    break
            return widgets

        return await self._once(("widgets", None), pages)

    async def every_widget(self) -> SomeWidgets:
        """As ``all_widgets``, and whether these are all."""
        widgets = await self.all_widgets()
        return SomeWidgets(widgets, are_all=len(widgets) < MAX_WIDGETS)

    def widget(self, number: int) -> Later[Widget]:
        return self._once(("widget", number), partial(self._api.get_widget, number))

    def dashboards(self, numbers: Iterable[int]) -> Later[Gathered[Dashboard]]:
        return gather_by_id(numbers, self.dashboard)

    def widgets(self, numbers: Iterable[int]) -> Later[Gathered[Widget]]:
        return gather_by_id(numbers, self.widget)

    def projects(self) -> Later[list[Project]]:
        return self._once(("projects", None), self._api.projects, keep=True)

    async def zone_of(self, projects: Iterable[int | None]) -> ZoneInfo:
        """The time zone of these projects, or of all that the key can see if none is known.

        UTC if they have none; with a note if they have several, or if it cannot be read.
        """
        ids = {*projects} - {None}
        try:
            records = await self.projects()
        except DashboardsError:
            self.zone_notes = ["times and days are in UTC: the project's time zone could not be read"]
            return UTC_ZONE
        names = {record.timezone or UTC_ZONE.key for record in records if record.id in ids or not ids}
        zones = {name: zone for name in sorted(names) if (zone := _zone(name)) is not None}
        if len(zones) == len(names) == 1:
            return next(iter(zones.values()))
        if len(zones) > 1:
            named_zones = join_names(zones, limit=FEW_ZONES)
            self.zone_notes = [f"times and days are in UTC: the projects' time zones differ ({named_zones})"]
        elif names:
            self.zone_notes = [f"times and days are in UTC: the project's time zone, {named(min(names))}, is unknown"]
        return UTC_ZONE

    async def agents(self, project_id: int | None = None) -> list[Agent]:
        """All agents that the key can access, or those of a project; one request if agents have a project."""
        agents = await self._once(("agents", None), self._api.agents, keep=True)
        if project_id is None:
            return agents
        if any(agent.project is None for agent in agents):
            of_project = partial(self._api.agents, project_id=project_id)
            return await self._once(("agents", project_id), of_project, keep=True)
        return [agent for agent in agents if agent.project == project_id]

    async def names(
        self, configs: Iterable[WidgetConfig], filters: Iterable[JsonObject | None], project: int | None
    ) -> tuple[dict[str, str], list[str]]:
        """Names of agents by id and of metrics by key, where a grouping or filter needs them.

        A note says if they cannot be read.
        """
        fields = {name for node in filters for name in fields_of(node)}
        fields |= {str((config.group_by or {}).get("field")) for config in configs}
        names, notes = dict[str, str](), list[str]()
        if AGENT_ID_FIELDS & fields:
            try:
                names |= {str(agent.id): clean(agent.name) for agent in await self.agents() if agent.name}
            except DashboardsError:
                notes.append("agents are shown by id: their names could not be read")
        if METRIC_ID in fields and project is not None:
            try:
                names |= {metric_key(item.id): clean(item.name) for item in await self.metrics(project) if item.name}
            except DashboardsError:
                notes.append("metrics are shown by id: their names could not be read")
        return names, notes

    def metrics(self, project_id: int) -> Later[list[Metric]]:
        self.metrics_of.add(project_id)
        return self._once(("metrics", project_id), partial(self._api.metrics, project_id=project_id), keep=True)

    async def prefetch_alerts(self) -> None:
        """Read all alerts ahead, where no project is known yet; a failure is raised when they are used."""
        with suppress(DashboardsError):
            await self._all_alerts()

    async def alerts(self, project_id: int) -> list[Alert]:
        """The alerts of a project, taken from the list of all alerts if the API has one.

        A key without the right to read them keeps its cached reference data.
        """
        try:
            alerts = await self._all_alerts()
        except Refused:
            api = replace(self._api, refused=_nothing)
            alerts = await self._once(("alerts", project_id), partial(api.alerts, project_id))
        return [alert for alert in alerts if alert.project in {None, project_id}]

    async def alert_fires(self, project_id: int, hours: int) -> dict[int, int]:
        """How often each alert of a project fired in the last hours."""
        return await replace(self._api, refused=_nothing).alert_fires(project_id, hours)

    def _all_alerts(self) -> Later[list[Alert]]:
        return self._once(("alerts", None), replace(self._api, refused=_nothing).alerts)

    async def only_project(self, requested: int | None, *, lead: str = "Nothing was read.") -> int:
        """The project to use.

        Raises:
            InvalidArguments: if there are several.
        """
        project_id = requested or self._settings.project_id
        if project_id is not None:
            return project_id
        projects = await self.projects()
        if len(projects) == 1:
            return projects[0].id
        listed = ", ".join(f"{project.id} {named(project.name)}" for project in projects[:MAX_SHOWN])
        text = f"is missing; the key has several projects: {listed}."
        raise InvalidArguments.at("project_id", text, lead=lead)


def _nothing() -> None:
    """Do nothing."""


Progress = Callable[[int, int, str], Awaitable[None]]


async def no_progress(_done: int, _of: int, _message: str) -> None:
    """Report nothing."""


Audit = Callable[[str, Mapping[str, Any], str, Mapping[str, Any]], None]


def no_audit(_tool: str, _arguments: Mapping[str, Any], _outcome: str, _receipt: Mapping[str, Any]) -> None:
    """Record nothing."""


class ToolContext(Struct, frozen=True, dict=True):
    """``now`` returns aware UTC times; ``progress`` takes done, total and a message.

    ``memory``: reference data cached across calls; ``lookups``: each read at most once in this call.
    ``audit`` is called for every write: tool, arguments, outcome, receipt.
    ``draws``: the client shows charts, so that answers include drawings.
    """

    api: CekuraClient
    settings: Settings
    now: Callable[[], datetime] = utc_now
    progress: Progress = no_progress
    memory: Memory = msgspec.field(default_factory=lambda: Memory(0))
    draws: bool = False
    audit: Audit = no_audit

    @cached_property
    def lookups(self) -> Lookups:
        return Lookups(self.api, self.settings, self.now, self.memory)

    async def in_zone_of(self, projects: Iterable[int | None]) -> "ToolContext":
        """The same call in the time zone of these projects, unless one is set."""
        return self if self.settings.time_zone is not None else self.in_zone(await self.lookups.zone_of(projects))

    def in_zone(self, zone: ZoneInfo | None) -> "ToolContext":
        """The same call with another time zone, if one is given."""
        if zone is None or zone.key == self.settings.time_zone:
            return self
        changed = replace(self, settings=self.settings.model_copy(update={"time_zone": zone.key}))
        vars(changed)["lookups"] = self.lookups
        return changed

    @property
    def brief_api(self) -> CekuraClient:
        """The API for reads that a call can do without, with a short deadline that leaves time for the others."""
        remaining = BRIEFLY_S if self.api.deadline is None else self.api.deadline - anyio.current_time()
        return self.api.within(max(0.0, min(BRIEFLY_S, remaining)))

    def for_one_call(self) -> "ToolContext":
        """A copy for one call: the deadline starts now, and nothing is looked up yet."""
        refused = partial(_forget, self)
        return replace(self, api=replace(self.api.within(self.settings.timeout_s), refused=refused))


def _forget(context: ToolContext) -> None:
    """Drop cached data after a 401, 403 or 404, as it may be outdated too."""
    context.lookups.forget()


@asynccontextmanager
async def open_context(
    settings: Settings | None = None, *, app: Any = None, now: Callable[[], datetime] = utc_now
) -> AsyncGenerator[ToolContext]:
    """A context for calling tools from Python, with its own connections.

    ``app``: an ASGI application, such as the sandbox, to call instead of the network.
    """
    from cekura_dashboards.api.transport import HttpTransport  # noqa: PLC0415 - the HTTP library is slow to import
    from cekura_dashboards.settings import load_settings  # noqa: PLC0415 - beside it

    settings = settings or load_settings()
    transport: Transport = HttpTransport(settings.base_url, app=app)
    if settings.allowed_projects:
        transport = ProjectsOnly(transport, settings.allowed_projects)
    try:
        client = CekuraClient(
            transport=transport, key=settings.api_key or SecretStr(""), timeout_s=settings.timeout_s, now=now
        )
        yield ToolContext(client, settings, now, memory=Memory(settings.cache_s))
    finally:
        await transport.aclose()
