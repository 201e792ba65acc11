"""A process's connection to the API: the shared pool, the key of each call, and the tools that the key may use."""

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import SecretStr

from cekura_dashboards.api.errors import DashboardsError, KeyRejected
from cekura_dashboards.settings import Settings, SettingsError, usable_key
from cekura_dashboards.text import did_you_mean, quoted
from cekura_dashboards_mcp.protocol.profiles import CORE, names, reading

if TYPE_CHECKING:
    from cekura_dashboards.api.client import Pace
    from cekura_dashboards.api.wire import Transport
    from cekura_dashboards.context import Memory, ToolContext

EVERY_KEY = "*"


def allowed_tools(text: str, *, core_client: bool = False) -> Mapping[str, frozenset[str]]:
    """The tools in ``CEKURA_TOOLS`` by the digest of a key, ``*`` for all other keys; empty: no limit.

    ``read`` stands for all tools that change nothing, ``core`` for the small profile, ``all`` for all tools, and
    ``by-client`` for ``core`` if ``core_client``, else for ``all``; ``doctor`` shows the digest of a key.

    >>> sorted(allowed_tools("0123456789ab=look_up, list_calls")["0123456789ab"])
    ['list_calls', 'look_up']

    Raises:
        SettingsError: for an unknown tool.
    """
    existing = names()
    groups = {"all": frozenset(existing), "read": reading(), "core": CORE}
    groups["by-client"] = groups["core" if core_client else "all"]
    tools_by_key = dict[str, frozenset[str]]()
    for part in filter(None, (part.strip() for part in text.split(";"))):
        digest, sign, listed = part.rpartition("=")
        tools = frozenset[str]()
        for name in (name.strip() for name in listed.split(",")):
            if name not in groups and name not in existing:
                hint = did_you_mean(name, [*existing, *groups])
                raise SettingsError(f'CEKURA_TOOLS names "{quoted(name, limit=60)}", which is not a tool; {hint}')
            tools |= groups.get(name, frozenset({name}))
        tools_by_key[digest.strip() if sign else EVERY_KEY] = tools
    return tools_by_key


def may_use(allowed: Mapping[str, frozenset[str]], caller: str, tool: str) -> bool:
    """Whether the key with that digest may use a tool; if the setting names other keys only, it may use none."""
    return not allowed or tool in allowed.get(caller, allowed.get(EVERY_KEY, frozenset()))


KEY_HEADER = "x-cekura-api-key"
MAX_PACES = 1000
MAX_QUESTIONS = 1000
ANSWERED_WITHIN_S = 600
"""For as long as the SDK accepts an answer to a question."""
SIGNED_IN = (
    "Ask the administrator of this server for another one: the server keeps the Cekura keys of users who sign in."
)
"""The remedy for users whose key is kept by the server."""


class NoUsableKey(DashboardsError):
    """A request has no key, or a malformed one."""


class NotAllowed(DashboardsError):
    """The key or the client may not use this tool here."""

    def __init__(self, tool: str, user: Literal["key", "client"] = "key") -> None:
        super().__init__(
            f"This {user} may not use {tool} on this server (CEKURA_TOOLS); tools/list shows what it may use."
        )


def caller_of(key: SecretStr) -> str:
    """A digest that identifies a key without revealing it."""
    return hashlib.sha256(b"caller\0" + key.get_secret_value().encode()).hexdigest()[:12]


def key_of(header: str | None) -> SecretStr:
    """The key of a request.

    Raises:
        NoUsableKey: if it has none, or one that cannot be sent.
    """
    if not header or not header.strip():
        raise NoUsableKey("Send your Cekura API key in the X-CEKURA-API-KEY header.")
    try:
        return usable_key(header)
    except ValueError as error:
        raise NoUsableKey(f"The X-CEKURA-API-KEY header {error}.") from None


class Questions:
    """Questions to users that may still be answered: a bounded number, each for ten minutes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._asked_at = dict[str, float]()

    def add(self, question: str) -> None:
        self.remove(question)
        self._asked_at[question] = self._clock()
        while len(self._asked_at) > MAX_QUESTIONS:
            del self._asked_at[next(iter(self._asked_at))]

    def remove(self, question: str) -> None:
        self._asked_at.pop(question, None)

    def has(self, question: str) -> bool:
        return self._clock() - self._asked_at.get(question, float("-inf")) < ANSWERED_WITHIN_S


@dataclass
class Connection:
    """``app_factory`` creates, on first use, an ASGI application to call instead of the network.

    ``signs_in``: callers send a token, which stands for the key of their user.
    """

    settings: Settings
    key_per_request: bool = False
    app_factory: Callable[[], Any] | None = None
    now: Callable[[], datetime] = field(default_factory=lambda: partial(datetime.now, UTC))
    signs_in: bool = False
    unanswered: Questions = field(default_factory=Questions, repr=False)
    _transport: "Transport | None" = field(default=None, repr=False)
    _allowed_tools: Mapping[bool, Mapping[str, frozenset[str]]] = field(init=False, repr=False)
    _paces: "dict[str, Pace]" = field(init=False, repr=False, default_factory=dict[str, Any])
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        self._allowed_tools = {
            core_client: allowed_tools(self.settings.tools, core_client=core_client) for core_client in (False, True)
        }
        if self.settings.audit_log:
            from cekura_dashboards_mcp.audit import check_file

            check_file(self.settings.audit_log)

    @cached_property
    def _memory(self) -> "Memory":
        from cekura_dashboards.context import Memory

        return Memory(self.settings.cache_s)

    async def tool_context(self, headers: Mapping[str, str] | None) -> "ToolContext":
        """The context of a tool call, with its own key."""
        from cekura_dashboards.api.client import CekuraClient
        from cekura_dashboards.context import ToolContext
        from cekura_dashboards_mcp.audit import Audit

        key = self._key(headers)
        caller, timeout_s = caller_of(key), self.settings.timeout_s
        client = CekuraClient(
            transport=self.transport(),
            key=key,
            timeout_s=timeout_s,
            now=self.now,
            pace=self._pace(caller),
            remedy=SIGNED_IN if self.signs_in else KeyRejected.REMEDY,
        )
        audit = Audit(self.settings.audit_log, caller, self.now)
        return ToolContext(client, self.settings, self.now, memory=self._memory, audit=audit)

    def caller(self, headers: Mapping[str, str] | None) -> str:
        """The caller of a request as a digest of the key; a fixed word without a usable key."""
        try:
            return caller_of(self._key(headers))
        except NoUsableKey:
            return "none"

    @property
    def by_client(self) -> bool:
        """Whether ``CEKURA_TOOLS`` gives other tools to the clients of the small profile."""
        return self._allowed_tools[False] != self._allowed_tools[True]

    def allowed_tools(self, *, core_client: bool) -> Mapping[str, frozenset[str]]:
        """The tools for each key according to ``CEKURA_TOOLS``, with such a client or with any other."""
        return self._allowed_tools[core_client]

    def open_tools(self, *, core_client: bool) -> frozenset[str] | None:
        """The tools that at least one key may use with such a client; None: no limit."""
        allowed = self._allowed_tools[core_client]
        return frozenset[str]().union(*allowed.values()) if allowed else None

    def refuse_unless_open(self, headers: Mapping[str, str] | None, tool: str, *, core_client: bool) -> None:
        """Refuse a tool that the key or the client of a request may not use.

        Raises:
            NotAllowed: if they may not.
        """
        caller = self.caller(headers)
        if not may_use(self._allowed_tools[core_client], caller, tool):
            raise NotAllowed(tool, "client" if may_use(self._allowed_tools[False], caller, tool) else "key")

    def _pace(self, caller: str) -> "Pace":
        """The rate limit that all calls of a key share; the least recently used keys are forgotten."""
        from cekura_dashboards.api.client import Pace

        pace = self._paces.pop(caller, None) or Pace()
        self._paces[caller] = pace
        while len(self._paces) > MAX_PACES:
            del self._paces[next(iter(self._paces))]
        return pace

    def _key(self, headers: Mapping[str, str] | None) -> SecretStr:
        if not self.key_per_request:
            return self.settings.api_key or SecretStr("")
        return key_of((headers or {}).get(KEY_HEADER))

    def transport(self) -> "Transport":
        """The pool that every call shares."""
        with self._lock:
            return self._shared_transport()

    def _shared_transport(self) -> "Transport":
        if self._transport is None:
            from cekura_dashboards.api.projects_only import ProjectsOnly
            from cekura_dashboards.api.transport import HttpTransport

            app = self.app_factory() if self.app_factory else None
            self._transport = HttpTransport(self.settings.base_url, app=app)
            if self.settings.allowed_projects:
                self._transport = ProjectsOnly(self._transport, self.settings.allowed_projects)
        return self._transport

    async def aclose(self) -> None:
        if self._transport is not None:
            await self._transport.aclose()
            self._transport = None
