"""What a request must bring before anything else sees it: a name this server goes by, a token, and room."""

import contextlib
import hashlib
import hmac
import math
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import anyio
from mcp.types import INTERNAL_ERROR, JSONRPCRequest
from pydantic import ValidationError
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from cekura_dashboards.settings import NETLOC, is_loopback
from cekura_dashboards_mcp.connection import KEY_HEADER
from cekura_dashboards_mcp.web.middleware import replay_body

OPEN = ("/healthz", "/readyz")
"""Paths that probes ask, under any name and without a token: they say next to nothing."""
SHARE = 4
"""Requests of a key that run at once while other keys have some, too: each costs the processor some 10 ms."""
METRICS = "/metrics"
"""A collector asks for it under the address of a process; it needs a token if there is one."""
AGAIN_S = 1
"""Seconds after which a caller who found no room may try again: most calls are answered by then."""


class AllowedHosts:
    """Refuses requests that a web page or another name leads here.

    Host and origin are compared whole: the SDK's own check takes ``localhost:1.evil.example`` for this machine.
    ``hosts`` and ``origins``: those that count beside this machine's, as they stand in the headers.
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
                text = "This server does not go by that name."
                if not self._hosts:
                    text = "This server is for requests to this machine only."
                await JSONResponse({"error": text}, 421)(scope, receive, send)
                return
            if origin is not None and origin.lower() not in self._origins and not _is_here(origin):
                await JSONResponse({"error": "No web page may call this server."}, 403)(scope, receive, send)
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
    """Answers 401 to requests without one of the server's tokens; how long the comparison takes tells nothing."""

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
    """Bounds the calls under way, in all and for each key, so that no caller takes the room of the others.

    While several keys have calls under way, each has at most ``SHARE`` that run; the others of it wait their turn, as
    long as their caller does. Requests arrive whole here, so that who is refused is told in the form of the protocol.
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
        """Why there is no room for another call; None if there is."""
        if self._under_way[caller] >= self._most_per_key:
            return f"This key has {self._most_per_key} calls under way."
        if self._under_way.total() >= self._most:
            return "This server has as many calls under way as it can take."
        return None

    @asynccontextmanager
    async def _turn(self, caller: bytes, receive: Receive) -> AsyncGenerator[bool]:
        """The turn of a call: True once it has come, False if its caller was gone before."""
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
        """A key that is alone may run as much as it wants."""
        most = SHARE if len(self._limiters) > 1 else math.inf
        for limiter in self._limiters.values():
            limiter.total_tokens = most


async def _acquired(limiter: anyio.CapacityLimiter, receive: Receive) -> bool:
    """Whether a token came before the caller left."""
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
        if acquired:  # stopped in between
            limiter.release()
        raise
    return acquired


async def _cancel_when_gone(receive: Receive, waiting: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    waiting.cancel()


def _too_many(text: str, body: bytes) -> JSONResponse:
    """429, as an error of JSON-RPC to the request."""
    try:
        request_id = JSONRPCRequest.model_validate_json(body).id
    except ValidationError:
        request_id = None
    error = {"code": INTERNAL_ERROR, "message": f"{text} Try again in {AGAIN_S} s."}
    answer = {"jsonrpc": "2.0", "id": request_id, "error": error}
    return JSONResponse(answer, 429, {"Retry-After": str(AGAIN_S)})
