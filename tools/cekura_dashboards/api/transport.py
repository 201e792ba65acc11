"""HTTP, confined to this module: bytes out, bytes in, and every failure as one of our errors.

One connection pool serves the process. The key is sent with each request; there are no cookies, and redirects are
not followed. Proxies and certificates come from the environment, see ``api.network``.
"""

import ssl
import zlib
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import version
from typing import Any
from urllib.parse import urlencode

import anyio
import anyio.to_thread
import httpx
from opentelemetry import propagate, trace
from pydantic import SecretStr

from cekura_dashboards.api.errors import ConnectionBroken, DeadlinePassed, NotSent, Unreachable, UnreadableAnswer
from cekura_dashboards.api.network import Proxy, certificate_variable, check_certificates, proxy_of
from cekura_dashboards.api.wire import MAX_BODY_BYTES, SMALLER, Response, Usage, usage
from cekura_dashboards.text import quoted

CONNECT_TIMEOUT_S = 5.0
MAX_CALL_BYTES = 192 * 2**20
"""Of all responses of one call, decompressed."""
PACKED_PIECE_BYTES, INLINE_BYTES, PIECE_BYTES = 2**16, 2**16, 2**20
"""Compressed bytes are read in pieces of the first size. Output up to the second, as nearly every response has, is
decompressed in place; the rest in a thread, in pieces of the third."""
ZLIB_HEADER = 8
"""The low four bits of a zlib header's first byte (RFC 1950: CM = 8, deflate)."""
NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.ProxyError,
)


UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
BUSY, MAX_PARTS = 1, 32
"""httpcore scans every connection of a pool as a request begins and ends, which is slow for many. So the pool has
parts, and a new one is created when each has this many active requests. Measured: one of twenty requests takes
570 us of processor time, 720 us with parts of four."""
CONNECTIONS_OF_PART, IDLE_OF_PART = 4, 2
"""Connections of a part, so 128 in all; and how many of them stay open without a request."""
MAX_URLS = 64
"""Parsed URLs to keep, because most requests share a few. A choice."""


@cache
def _user_agent() -> str:
    return f"cekura-dashboards-mcp/{version('cekura-dashboards-mcp')}"


_base = lru_cache(MAX_URLS)(httpx.URL)


@lru_cache(MAX_URLS)
def _url(base_url: str, raw_path: bytes) -> httpx.URL:
    return _base(base_url).copy_with(raw_path=raw_path)


@dataclass
class _Part:
    """A part of the pool, and its active requests."""

    http: httpx.AsyncBaseTransport
    under_way: int = 0


class HttpTransport:
    """Requests sent straight to a connection pool, without httpx's client and its cookies and redirects.

    ``app``: an ASGI application to call in this process instead of the network. ``max_call_bytes``: of all responses
    counted together, see ``api.wire``.

    Raises:
        WrongNetworkSetting: if a proxy or certificate setting cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        *,
        app: Any = None,
        max_body_bytes: int = MAX_BODY_BYTES,
        max_call_bytes: int = MAX_CALL_BYTES,
    ) -> None:
        base = _base(base_url)
        self._base_url, self._prefix = base_url, base.raw_path.rstrip(b"/")
        self._app = app
        self._max_body_bytes, self._max_call_bytes = max_body_bytes, max_call_bytes
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate",
            "User-Agent": _user_agent(),
        }
        self._ssl = _trust() if base.scheme == "https" and not app else _trusting_none()
        self._proxy = None if app else proxy_of(base_url)
        self._parts = list[_Part]()

    def _free_part(self) -> "_Part":
        """The least busy part of the pool; a new one when all are busy."""
        least = min(self._parts, key=lambda part: part.under_way, default=None)
        if least is None or (least.under_way >= BUSY and len(self._parts) < MAX_PARTS):
            least = _Part(self._connections())
            self._parts.append(least)
        return least

    def _connections(self) -> httpx.AsyncBaseTransport:
        if self._app:
            return httpx.ASGITransport(self._app)
        limits = httpx.Limits(
            max_connections=CONNECTIONS_OF_PART, max_keepalive_connections=IDLE_OF_PART, keepalive_expiry=30
        )
        proxy = self._proxy.url if self._proxy else None
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
    ) -> Response:
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
            _url(self._base_url, raw_path),
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
                    return Response(
                        response.status_code,
                        await self._read(response, counts),
                        response.headers.get("content-type", ""),
                        response.headers.get("retry-after"),
                        response.headers.get("date"),
                    )
                finally:
                    await response.aclose()
        except TimeoutError:
            raise DeadlinePassed(timeout_s) from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise translate(error, timeout_s, self._proxy) from None
        finally:
            part.under_way -= 1
            counts.end()

    async def _read(self, response: httpx.Response, counts: Usage) -> bytearray:
        """The body, decompressed; at most one piece beyond the limits is held in memory.

        Raises:
            UnreadableAnswer: if it is too large, or its content encoding was not requested.
        """
        announced = response.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > self._max_body_bytes:
            raise self._too_large()
        body, inflater = bytearray(), None
        async for part in response.aiter_raw():
            if response.num_bytes_downloaded > self._max_body_bytes:
                raise self._too_large()
            if not body and inflater is None:
                inflater = _inflater(response.headers.get("content-encoding", ""), part)
            if inflater is None:
                self._add(body, part, counts)
                continue
            for place in range(0, len(part), PACKED_PIECE_BYTES):
                await self._unpack(body, inflater, part[place : place + PACKED_PIECE_BYTES], counts)
        if inflater is not None:
            self._add(body, inflater.flush(), counts)  # a few kilobytes at most
        return body

    async def _unpack(self, body: bytearray, inflater: Any, packed: bytes, counts: Usage) -> None:
        """Add decompressed bytes; anything after the end of the compressed stream is ignored."""
        try:
            piece = b"" if inflater.eof else inflater.decompress(packed, INLINE_BYTES)
            self._add(body, piece, counts)
            while inflater.unconsumed_tail:
                piece = await anyio.to_thread.run_sync(inflater.decompress, inflater.unconsumed_tail, PIECE_BYTES)
                self._add(body, piece, counts)
        except zlib.error:
            raise UnreadableAnswer("its compressed data is corrupt") from None

    def _add(self, body: bytearray, piece: bytes, counts: Usage) -> None:
        body += piece
        counts.bytes += len(piece)
        if len(body) > self._max_body_bytes:
            raise self._too_large()
        if counts.bytes > self._max_call_bytes:
            raise UnreadableAnswer(
                f"the responses of this call exceed {self._max_call_bytes / 2**20:.0f} MiB together",
                "Use a narrower window, fewer widgets, or bars instead of lines.",
            )

    def _too_large(self) -> UnreadableAnswer:
        return UnreadableAnswer(f"it is larger than {self._max_body_bytes / 2**20:.0f} MiB", SMALLER)

    async def aclose(self) -> None:
        for part in self._parts:
            await part.http.aclose()
        self._parts.clear()


def _inflater(encoding: str, first: bytes) -> Any:
    """The decompressor for a content encoding and a first piece of the body; None for an uncompressed body.

    Source: RFC 9110, 8.4.1. Some servers send raw deflate data, without the zlib header.

    Raises:
        UnreadableAnswer: for an encoding that was not requested, or several.
    """
    codings = [name for part in encoding.split(",") if (name := part.strip().lower()) not in {"", "identity"}]
    match codings:
        case []:
            return None
        case ["gzip" | "x-gzip"]:
            return zlib.decompressobj(16 + zlib.MAX_WBITS)
        case ["deflate"]:
            return zlib.decompressobj(zlib.MAX_WBITS if first[:1] and first[0] & 15 == ZLIB_HEADER else -zlib.MAX_WBITS)
        case _:
            raise UnreadableAnswer(
                f'it has the content encoding "{quoted(encoding, limit=40)}", which was not requested',
                "Check CEKURA_BASE_URL and any proxy.",
            )


@cache
def _trusting_none() -> ssl.SSLContext:
    """An SSL context for plain HTTP, which loads no certificates."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _trust() -> ssl.SSLContext:
    check_certificates()
    return httpx.create_ssl_context()


def translate(error: Exception, timeout_s: float, proxy: Proxy | None = None) -> Unreachable:
    """Our error for one of httpx's; only its type is reported, as its text may quote the request."""
    kind = type(error).__name__
    if isinstance(error, (*NEVER_SENT, httpx.InvalidURL)):
        through = [proxy.variable] if proxy else []
        if UNTRUSTED in str(error):
            return NotSent("its certificate is not trusted", *through, certificate_variable())
        return NotSent(kind, *through)
    if isinstance(error, httpx.TimeoutException):
        return DeadlinePassed(timeout_s)
    return ConnectionBroken(kind)
