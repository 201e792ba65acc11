"""The one module that speaks HTTP: bytes out, bytes in, every fault one of ours.

One pool of connections serves the process. Keys travel with each request and nothing else is kept: no cookies,
no redirects followed.
"""

from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.metadata import version
from typing import Any

import anyio
import httpx
from pydantic import SecretStr

from cekura_dashboards.api.errors import (
    ConnectionBroken,
    DeadlinePassed,
    NotSent,
    Unreachable,
    UnreadableAnswer,
)
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


class HttpTransport:
    """``app``: an ASGI application to talk to in this process instead of the network."""

    def __init__(self, base_url: str, *, app: Any = None, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self._max_body_bytes = max_body_bytes
        self._http = httpx.AsyncClient(
            base_url=base_url,
            transport=httpx.ASGITransport(app) if app else None,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
            headers={
                "Accept": "application/json",
                "User-Agent": f"cekura-dashboards-mcp/{version('cekura-dashboards-mcp')}",
            },
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=32, keepalive_expiry=30),
        )

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
        headers = {"X-CEKURA-API-KEY": key.get_secret_value()}
        if body is not None:
            headers["Content-Type"] = "application/json"
        timeout = httpx.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s))
        try:
            with anyio.fail_after(timeout_s):
                async with self._http.stream(
                    method, path, params=query or None, content=body, headers=headers, timeout=timeout
                ) as response:
                    return Answer(
                        response.status_code,
                        await self._read(response),
                        response.headers.get("content-type", ""),
                        response.headers.get("retry-after"),
                        response.headers.get("date"),
                    )
        except TimeoutError:
            raise DeadlinePassed(timeout_s) from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise translate(error, timeout_s) from None

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
        await self._http.aclose()


def translate(error: Exception, timeout_s: float) -> Unreachable:
    """Our error for one of the HTTP library's; only its kind is told, as its text may quote the request."""
    kind = type(error).__name__
    if isinstance(error, (*NEVER_SENT, httpx.InvalidURL)):
        return NotSent(kind)
    if isinstance(error, httpx.TimeoutException):
        return DeadlinePassed(timeout_s)
    return ConnectionBroken(kind)
