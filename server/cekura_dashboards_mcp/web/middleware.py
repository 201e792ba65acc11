"""The edge of the HTTP server: what is half open, too large or too much ends there, before any work is done on it."""

import asyncio
import logging
import math
import sys
import time
from collections.abc import Callable
from typing import Any, cast

import anyio
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_REQUEST_BYTES = 512 * 1024
"""Of one request: twice the largest arguments, as JSON escapes some of what it holds."""
HALF_OPEN_S = 15.0
"""Seconds that a request may take to arrive whole."""
KEEP_ALIVE_S = 75
"""Seconds that a connection stays open between requests: longer than before what stands in front of this server (nginx,
load balancers: 60) closes it, or a request that is sent just then is lost."""
UNREAD_S = 60.0
"""Seconds that a client may leave what it asked for unread, once the buffers are full."""
SHUTDOWN_S = 10
"""Seconds that running calls have to finish once the server is stopping."""
REPEATED_LOG_S = 10.0
MAX_BACKLOG, LEAST_BACKLOG = 128, 8


def most_connections() -> int:
    """Half of the descriptors that this process may open: the others are for requests to the API, and files."""
    if sys.platform == "win32":
        return 10_000
    import resource  # noqa: PLC0415 - there is none on Windows

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(LEAST_BACKLOG, min(soft, 20_000) // 2)


def server_config(app: ASGIApp, *, within_s: float = HALF_OPEN_S) -> Config:
    """How uvicorn serves: a bounded number of connections, none of them half open for longer than ``within_s``."""
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
    """Bounds the connections, and closes those on which no whole request head arrives in time or no answer is read.

    Beyond the most that there may be, one that waits for a request makes room for a new one. uvicorn itself waits for a
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
        """Whether a connection without a whole request made room: the one that would be closed next."""
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
        return bool(self.cycle) and not self.cycle.response_complete  # there is none before the first request

    def _arrives(self) -> bool:
        return self._under_way() and self.cycle.more_body

    def closes_at(self) -> float | None:
        """When, by the event loop's clock, it is closed unless a request comes; None with a whole one under way."""
        if self.transport.is_closing() or self._arrives():
            return math.inf  # what is left of an answer may still be read, and what is missing of a request may come
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
        """Wait for no request that has not arrived whole."""
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
    """Hands on requests whose body has arrived: within 15 seconds, and no larger than a call can be."""

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
            text = f"The request did not arrive whole within {self._within_s:.0f} seconds."
            await JSONResponse({"error": text}, 408, {"connection": "close"})(scope, receive, send)
            return
        await self._app(scope, replay_body(bytes(body), receive), send)


def replay_body(body: bytes, receive: Receive) -> Receive:
    """The body once more, then whatever comes after it."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return messages.pop() if messages else await receive()

    return next_message


class RateLimitedLog(logging.Filter):
    """Lets a message through once in ten seconds: out of descriptors, the event loop says so thousands of times."""

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
