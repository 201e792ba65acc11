"""One process's connection to the API: the shared pool, and whose key a call brings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import SecretStr

from cekura_dashboards import Settings, ToolContext
from cekura_dashboards.api.client import CekuraClient
from cekura_dashboards.api.errors import KeyRejected
from cekura_dashboards.api.wire import Transport
from cekura_dashboards.context import utc_now

KEY_HEADER = "x-cekura-api-key"


@dataclass
class Connection:
    """``app_factory`` makes an ASGI application to talk to instead of the network, on first use."""

    settings: Settings
    key_per_request: bool = False
    app_factory: Callable[[], Any] | None = None
    now: Callable[[], datetime] = utc_now
    _transport: Transport | None = field(default=None, repr=False)

    async def tool_context(self, headers: Mapping[str, str] | None) -> ToolContext:
        """What a tool call may use, under its own key."""
        key = self._key(headers)
        client = CekuraClient(transport=self.transport(), key=key, timeout_s=self.settings.timeout_s, now=self.now)
        return ToolContext(client, self.settings, self.now)

    def _key(self, headers: Mapping[str, str] | None) -> SecretStr:
        if not self.key_per_request:
            return self.settings.api_key or SecretStr("")
        given = (headers or {}).get(KEY_HEADER)
        if not given:
            raise KeyRejected
        return SecretStr(given)

    def transport(self) -> Transport:
        """The pool that every call shares."""
        if self._transport is None:
            from cekura_dashboards.api.transport import HttpTransport  # noqa: PLC0415 - start-up does not wait for it

            app = self.app_factory() if self.app_factory else None
            self._transport = HttpTransport(self.settings.base_url, app=app)
        return self._transport

    async def aclose(self) -> None:
        if self._transport is not None:
            await self._transport.aclose()
            self._transport = None
