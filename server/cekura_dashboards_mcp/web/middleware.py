"""The edge of the HTTP server: tokens, hosts and origins, and limits on the size, duration and number of requests.

Incomplete, oversized and excess requests end here, before any work is done.
"""

import asyncio
import contextlib
import hashlib
import hmac
import logging
import math
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast
from urllib.parse import urlsplit

import anyio
from mcp.types import INTERNAL_ERROR, JSONRPCRequest
from pydantic import ValidationError
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol

from cekura_dashboards.api.network import is_loopback
from cekura_dashboards.settings import NETLOC
from cekura_dashboards_mcp.connection import KEY_HEADER

MAX_REQUEST_BYTES = 512 * 1024
"""Of one request: twice the largest arguments, because JSON escapes some characters."""
HALF_OPEN_S = 15.0
"""Seconds in which a request must arrive completely."""
KEEP_ALIVE_S = 75
"""Seconds that a connection stays open between requests: longer than in the proxy in front of this server (nginx,
load balancers: 60), or a request that it sends while the connection closes is lost."""
UNREAD_S = 60.0
"""Seconds that a client may leave its answer unread, once the buffers are full."""
SHUTDOWN_S = 10
"""Seconds that running calls may take to finish when the server stops."""
REPEATED_LOG_S = 10.0
MAX_BACKLOG, LEAST_BACKLOG = 128, 8


def most_connections() -> int:
    """Half of the file descriptors of this process: the others are for requests to the API, and files."""
    if sys.platform == "win32":
        return 10_000
    import resource  # not on Windows

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(LEAST_BACKLOG, min(soft, 20_000) // 2)


def server_config(app: ASGIApp, *, within_s: float = HALF_OPEN_S) -> Config:
    """The configuration of uvicorn: a bounded number of connections, none half open for longer than ``within_s``."""
    most = most_connections()

    class Guarded(LimitedProtocol):
        most_connections = most
        half_open_s = within_s

    logging.getLogger("asyncio").addFilter(RateLimitedLog())
    return Config(
        app,
        http=Guarded,
        backlog=max(LEAST_BACKLOG, min(MAX_BACKLOG, most // 2)),
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUTDOWN_S,
        log_config=None,
        access_log=False,
    )


class LimitedProtocol(H11Protocol):
    """Limits the connections, and closes those that send no complete request head in time or read no answer.

    At the limit, a new connection replaces one that waits for a request. uvicorn itself waits for a
    request head and for a reader without end, and takes connections until descriptors run out.
    """

    most_connections: int = 1000
    half_open_s: float = HALF_OPEN_S
    unread_s: float = UNREAD_S
    _waiting: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the base class has it
        super().connection_made(transport)
        if len(self.connections) > self.most_connections and not self._take_place_of_another():
            transport.abort()
        else:
            self._waiting = self.loop.call_later(self.half_open_s, transport.close)

    def _take_place_of_another(self) -> bool:
        """Whether a connection without a complete request, the one due to close next, was closed to make room."""
        closing = dict[float, LimitedProtocol]()
        for other in cast("set[asyncio.Protocol]", self.connections):
            if isinstance(other, LimitedProtocol) and other is not self and (when := other.closes_at()) is not None:
                closing[when] = other
        if not closing:
            return False
        idle = closing[min(closing)]
        self.connections.discard(idle)
        idle.transport.abort()
        return True

    def _under_way(self) -> bool:
        return bool(self.cycle) and not self.cycle.response_complete  # unset before the first request

    def _arrives(self) -> bool:
        return self._under_way() and self.cycle.more_body

    def closes_at(self) -> float | None:
        """When it closes unless a request comes, by the event loop's clock; None while a complete one is under way."""
        if self.transport.is_closing() or self._arrives():
            return math.inf  # the rest of an answer may still be read, and the rest of a request may still arrive
        timer = self._waiting or self.timeout_keep_alive_task
        return timer.when() if timer else None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        under_way = self._under_way()
        if self._waiting is not None and under_way:
            self._waiting.cancel()
            self._waiting = None
        elif self._waiting is None and not under_way and not self.transport.is_closing():
            self._waiting = self.loop.call_later(self.half_open_s, self.transport.close)

    def shutdown(self) -> None:
        """Do not wait for incomplete requests."""
        if self._arrives():
            self.transport.abort()
        else:
            super().shutdown()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(self.unread_s, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._waiting, self._unread):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)


class CompleteRequests:
    """Passes on a request once its body has arrived: within 15 seconds, and no larger than a call can be."""

    def __init__(self, app: ASGIApp, within_s: float = HALF_OPEN_S) -> None:
        self._app, self._within_s = app, within_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = bytearray()
        with anyio.move_on_after(self._within_s) as waited:
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                body += message.get("body", b"")
                more = message.get("more_body", False)
                if len(body) > MAX_REQUEST_BYTES:
                    text = f"The request is larger than {MAX_REQUEST_BYTES // 1024} KiB."
                    await JSONResponse({"error": text}, 413, {"connection": "close"})(scope, receive, send)
                    return
        if waited.cancelled_caught:
            text = f"The request did not arrive completely within {self._within_s:.0f} seconds."
            await JSONResponse({"error": text}, 408, {"connection": "close"})(scope, receive, send)
            return
        await self._app(scope, replay_body(bytes(body), receive), send)


def replay_body(body: bytes, receive: Receive) -> Receive:
    """The body again, then the following messages."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return messages.pop() if messages else await receive()

    return next_message


class RateLimitedLog(logging.Filter):
    """Passes a message once in ten seconds: without file descriptors, the event loop logs it thousands of times."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._last = dict[Any, float]()

    def filter(self, record: logging.LogRecord) -> bool:
        now = self._now()
        if now - self._last.get(record.msg, -REPEATED_LOG_S) < REPEATED_LOG_S:
            return False
        if len(self._last) >= LEAST_BACKLOG:
            self._last.clear()
        self._last[record.msg] = now
        return True


OPEN = ("/healthz", "/readyz")
"""Paths for probes, with any host name and without a token: their answers contain almost nothing."""
SHARE = 4
"""Concurrent calls of a key while other keys have some too: each takes about 10 ms of processor time."""
METRICS = "/metrics"
"""A collector requests it by the address of a process; it needs the token if one is set."""
AGAIN_S = 1
"""Seconds after which a refused caller may try again: most calls have been answered by then."""


class AllowedHosts:
    """Refuses requests from other web pages or for other host names.

    Host and origin must match exactly: the SDK's own check accepts ``localhost:1.evil.example`` as this machine.
    ``hosts`` and ``origins``: those allowed besides this machine's, as in the headers.
    """

    def __init__(
        self, app: ASGIApp, hosts: frozenset[str] = frozenset(), origins: frozenset[str] = frozenset()
    ) -> None:
        self._app, self._hosts, self._origins = app, hosts, origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in {*OPEN, METRICS}:
            headers = Headers(scope=scope)
            host, origin = headers.get("host", "").lower(), headers.get("origin")
            if host not in self._hosts and not _is_here(f"//{host}"):
                text = "This host name is not allowed (CEKURA_ALLOWED_HOSTS)."
                if not self._hosts:
                    text = "This server accepts requests to this machine only."
                await JSONResponse({"error": text}, 421)(scope, receive, send)
                return
            if origin is not None and origin.lower() not in self._origins and not _is_here(origin):
                await JSONResponse(
                    {"error": "Web pages of this origin may not call this server (CEKURA_ALLOWED_ORIGINS)."}, 403
                )(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _is_here(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        return False
    return parts.scheme in {"", "http", "https"} and NETLOC.fullmatch(parts.netloc) is not None and is_loopback(host)


class TokenGuard:
    """Answers requests without one of the server's tokens with 401; tokens are compared in constant time."""

    def __init__(self, app: ASGIApp, tokens: list[str]) -> None:
        self._app = app
        self._digests = [_digest(token) for token in tokens]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN:
            kind, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
            given = _digest(token.strip())
            matches = [hmac.compare_digest(given, digest) for digest in self._digests]
            if kind.lower() != "bearer" or not any(matches):
                text = "Send this server's token as Authorization: Bearer TOKEN."
                headers = {"WWW-Authenticate": "Bearer"}
                await JSONResponse({"error": text}, 401, headers)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


class ConcurrencyLimit:
    """Limits the active calls, in total and per key, so that no caller starves the others.

    While several keys have active calls, each runs at most ``SHARE`` at once, and its other calls wait for
    as long as their callers do. Requests are complete here, so a refusal can have the form of the protocol.
    """

    def __init__(self, app: ASGIApp, most: int, most_per_key: int) -> None:
        self._app, self._most, self._most_per_key = app, most, most_per_key
        self._under_way = Counter[bytes]()
        self._limiters = dict[bytes, anyio.CapacityLimiter]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = _digest(Headers(scope=scope).get(KEY_HEADER, ""))
        body: bytes = (await receive()).get("body", b"")
        if (text := self._refusal(caller)) is not None:
            await _too_many(text, body)(scope, receive, send)
            return
        async with self._turn(caller, receive) as came:
            if came:
                await self._app(scope, replay_body(body, receive), send)

    def _refusal(self, caller: bytes) -> str | None:
        """Why another call is refused; None if it is accepted."""
        if self._under_way[caller] >= self._most_per_key:
            return f"This key has {self._most_per_key} active calls, the maximum."
        if self._under_way.total() >= self._most:
            return "This server has as many active calls as it can handle."
        return None

    @asynccontextmanager
    async def _turn(self, caller: bytes, receive: Receive) -> AsyncGenerator[bool]:
        """Wait for the turn of a call: True when it comes, False if the caller disconnects first."""
        self._under_way[caller] += 1
        if caller not in self._limiters:
            self._limiters[caller] = anyio.CapacityLimiter(SHARE)
            self._share_out()
        limiter = self._limiters[caller]
        try:
            if not await _acquired(limiter, receive):
                yield False
                return
            try:
                yield True
            finally:
                limiter.release()
        finally:
            self._under_way[caller] -= 1
            if not self._under_way[caller]:
                del self._under_way[caller], self._limiters[caller]
                self._share_out()

    def _share_out(self) -> None:
        """Apply the share; a key that is alone may run any number."""
        most = SHARE if len(self._limiters) > 1 else math.inf
        for limiter in self._limiters.values():
            limiter.total_tokens = most


async def _acquired(limiter: anyio.CapacityLimiter, receive: Receive) -> bool:
    """Whether a token was acquired before the caller left."""
    with contextlib.suppress(anyio.WouldBlock):
        limiter.acquire_nowait()
        return True
    acquired = False
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(_cancel_when_gone, receive, group.cancel_scope)
            await limiter.acquire()
            acquired = True
            group.cancel_scope.cancel()
    except BaseException:
        if acquired:  # cancelled meanwhile
            limiter.release()
        raise
    return acquired


async def _cancel_when_gone(receive: Receive, waiting: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    waiting.cancel()


def _too_many(text: str, body: bytes) -> JSONResponse:
    """429 as a JSON-RPC error for the request."""
    try:
        request_id = JSONRPCRequest.model_validate_json(body).id
    except ValidationError:
        request_id = None
    error = {"code": INTERNAL_ERROR, "message": f"{text} Try again in {AGAIN_S} s."}
    answer = {"jsonrpc": "2.0", "id": request_id, "error": error}
    return JSONResponse(answer, 429, {"Retry-After": str(AGAIN_S)})
