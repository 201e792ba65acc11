"""What a tool may use."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct, field
from pydantic import SecretStr

from cekura_dashboards.api.client import CekuraClient
from cekura_dashboards.api.projects_only import ProjectsOnly
from cekura_dashboards.api.wire import Transport
from cekura_dashboards.lookups import Lookups, Memory
from cekura_dashboards.settings import Settings
from cekura_dashboards.values import replace

Progress = Callable[[int, int, str], Awaitable[None]]


def utc_now() -> datetime:
    return datetime.now(UTC)


async def no_progress(_done: int, _of: int, _message: str) -> None:
    """Report to nobody."""


Audit = Callable[[str, Mapping[str, Any], str, Mapping[str, Any]], None]


def no_audit(_tool: str, _arguments: Mapping[str, Any], _outcome: str, _receipt: Mapping[str, Any]) -> None:
    """Write nothing down."""


class ToolContext(Struct, frozen=True, dict=True):
    """``now`` gives aware UTC times; ``progress`` takes done, total and a message.

    ``memory``: reference data kept across calls; ``lookups``: what names things, asked for at most once in this call.
    ``audit`` is called for every write: tool, arguments, outcome, receipt.
    ``draws``: somebody looks at charts, so that answers come with what is drawn.
    """

    api: CekuraClient
    settings: Settings
    now: Callable[[], datetime] = utc_now
    progress: Progress = no_progress
    memory: Memory = field(default_factory=lambda: Memory(0))
    draws: bool = False
    audit: Audit = no_audit

    @cached_property
    def lookups(self) -> Lookups:
        return Lookups(self.api, self.settings, self.now, self.memory)

    def in_zone(self, zone: ZoneInfo) -> "ToolContext":
        """The same call, its days and hours those of another time zone."""
        if zone.key == self.settings.time_zone:
            return self
        changed = replace(self, settings=self.settings.model_copy(update={"time_zone": zone.key}))
        vars(changed)["lookups"] = self.lookups
        return changed

    def for_one_call(self) -> "ToolContext":
        """The same context, its deadline starting now, with nothing looked up yet."""
        refused = partial(_forget, self)
        return replace(self, api=replace(self.api.within(self.settings.timeout_s), refused=refused))


def _forget(context: ToolContext) -> None:
    """A key, project or thing that is refused or gone: what is remembered may be too."""
    context.lookups.forget()


@asynccontextmanager
async def open_context(
    settings: Settings | None = None, *, app: Any = None, now: Callable[[], datetime] = utc_now
) -> AsyncGenerator[ToolContext]:
    """A context for calling tools from Python, with its own connections.

    ``app``: an ASGI application, such as a sandbox, to talk to instead of the network.
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
