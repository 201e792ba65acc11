"""The one module that speaks HTTP: bytes out, bytes in, every fault one of ours.

One pool of connections serves the process. Keys travel with each request and nothing else is kept: no cookies,
no redirects followed. Proxies are those of the environment (``HTTPS_PROXY``, ``NO_PROXY``).
"""

import ssl
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any
from urllib.parse import urlencode
from urllib.request import getproxies, proxy_bypass

import anyio
import httpx
from opentelemetry import propagate, trace
from pydantic import SecretStr

from cekura_dashboards.api.errors import (
    ConnectionBroken,
    DeadlinePassed,
    NotSent,
    Unreachable,
    UnreadableAnswer,
)
from cekura_dashboards.api.usage import usage
from cekura_dashboards.api.wire import Answer

CONNECT_TIMEOUT_S = 5.0
MAX_BODY_BYTES = 96 * 2**20
NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.ProxyError,
)


BUSY, MOST_PARTS = 4, 8
"""The library looks at every connection of a pool for each request, which is slow for many; so the pool has parts, and
another is begun when each has this many requests under way."""


@cache
def _user_agent() -> str:
    return f"cekura-dashboards-mcp/{version('cekura-dashboards-mcp')}"


@dataclass
class _Part:
    """A part of the pool."""

    http: httpx.AsyncBaseTransport
    under_way: int = 0


class HttpTransport:
    """Requests straight to connections: the library's client, with its cookies and redirects, is not in between.

    ``app``: an ASGI application to talk to in this process instead of the network.
    """

    def __init__(self, base_url: str, *, app: Any = None, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self._base = httpx.URL(base_url)
        self._prefix = self._base.raw_path.rstrip(b"/")
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate",
            "User-Agent": _user_agent(),
        }
        trusting_none = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # made at once: no certificates are read for plain HTTP
        self._ssl = httpx.create_ssl_context() if self._base.scheme == "https" and not app else trusting_none
        self._parts = list[_Part]()

    def _free_part(self) -> "_Part":
        """The part of the pool with the least to do; a further one when all are busy."""
        least = min(self._parts, key=lambda part: part.under_way, default=None)
        if least is None or (least.under_way >= BUSY and len(self._parts) < MOST_PARTS):
            least = _Part(self._connections())
            self._parts.append(least)
        return least

    def _connections(self) -> httpx.AsyncBaseTransport:
        if self._app:
            return httpx.ASGITransport(self._app)
        limits = httpx.Limits(max_connections=16, max_keepalive_connections=8, keepalive_expiry=30)
        proxy = None if proxy_bypass(self._base.host) else getproxies().get(self._base.scheme)
        return httpx.AsyncHTTPTransport(limits=limits, proxy=proxy, verify=self._ssl)

    async def send(
        self,
        method: str,
        path: str,
        *,
        key: SecretStr,
        timeout_s: float,
        query: dict[str, str],
        body: bytes | None,
    ) -> Answer:
        headers = {**self._headers}
        if secret := key.get_secret_value():
            headers["X-CEKURA-API-KEY"] = secret
        if trace.get_current_span().is_recording():
            propagate.inject(headers)
        if body is not None:
            headers["Content-Type"] = "application/json"
        raw_path = self._prefix + path.encode() + (b"?" + urlencode(query).encode() if query else b"")
        timeout = httpx.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s))
        request = httpx.Request(
            method,
            self._base.copy_with(raw_path=raw_path),
            headers=headers,
            content=body,
            extensions={"timeout": timeout.as_dict()},
        )
        part, counts = self._free_part(), usage()
        part.under_way += 1
        counts.begin()
        try:
            with anyio.fail_after(timeout_s):
                response = await part.http.handle_async_request(request)
                try:
                    return Answer(
                        response.status_code,
                        await self._read(response),
                        response.headers.get("content-type", ""),
                        response.headers.get("retry-after"),
                        response.headers.get("date"),
                    )
                finally:
                    await response.aclose()
        except TimeoutError:
            raise DeadlinePassed(timeout_s) from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise translate(error, timeout_s) from None
        finally:
            part.under_way -= 1
            counts.end()

    async def _read(self, response: httpx.Response) -> bytearray:
        body = bytearray()
        announced = response.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > self._max_body_bytes:
            raise self._too_large()
        async for part in response.aiter_bytes():
            body += part
            if len(body) > self._max_body_bytes:
                raise self._too_large()
        return body

    def _too_large(self) -> UnreadableAnswer:
        return UnreadableAnswer(
            f"it is larger than {self._max_body_bytes / 2**20:.0f} MiB. "
            "Ask for a narrower window, or plot a bar instead of a line"
        )

    async def aclose(self) -> None:
        for part in self._parts:
            await part.http.aclose()
        self._parts.clear()


def translate(error: Exception, timeout_s: float) -> Unreachable:
    """Our error for one of the HTTP library's; only its kind is told, as its text may quote the request."""
    kind = type(error).__name__
    if isinstance(error, (*NEVER_SENT, httpx.InvalidURL)):
        return NotSent(kind)
    if isinstance(error, httpx.TimeoutException):
        return DeadlinePassed(timeout_s)
    return ConnectionBroken(kind)
