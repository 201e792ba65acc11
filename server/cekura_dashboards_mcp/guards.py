"""What a request must bring before anything else sees it: a name this server goes by, a token, and room."""

import hashlib
import hmac
from collections import Counter, deque
from urllib.parse import urlsplit

import anyio
import msgspec
from mcp.types import INTERNAL_ERROR
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from cekura_dashboards.api.models import as_object
from cekura_dashboards.settings import NETLOC, is_loopback
from cekura_dashboards_mcp.connection import KEY_HEADER

OPEN = ("/healthz", "/readyz")
"""Paths that probes ask, under any name and without a token: they say next to nothing."""
SHARE = 4
"""Requests of a key that run at once while other keys have some, too: each costs the processor some 10 ms."""
METRICS = "/metrics"
"""A collector asks for it under the address of a process; it needs a token if there is one."""
AGAIN_S = 1
"""Seconds after which a caller who found no room may try again: most calls are answered by then."""


class KnownNames:
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


class TokenRequired:
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


class Room:
    """Bounds the requests under way, in all and for each key, so that no caller takes the room of the others.

    While several keys have requests under way, each has at most ``SHARE`` that run; the others of it wait their turn.
    Requests arrive whole here, so that who is refused is told in the form of the protocol.
    """

    def __init__(self, app: ASGIApp, most: int, most_per_key: int) -> None:
        self._app, self._most, self._most_per_key = app, most, most_per_key
        self._running = Counter[bytes]()
        self._waiting = dict[bytes, deque[anyio.Event]]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in {*OPEN, METRICS}:
            await self._app(scope, receive, send)
            return
        caller = _digest(Headers(scope=scope).get(KEY_HEADER, ""))
        if (text := self._refusal(caller)) is not None:
            await _full(text, (await receive()).get("body", b""))(scope, receive, send)
            return
        await self._enter(caller)
        try:
            await self._app(scope, receive, send)
        finally:
            self._leave(caller)

    def _refusal(self, caller: bytes) -> str | None:
        """Why there is no room for another request; None if there is."""
        if self._running[caller] + len(self._waiting.get(caller, ())) >= self._most_per_key:
            return f"This key has {self._most_per_key} calls under way."
        if self._running.total() + sum(map(len, self._waiting.values())) >= self._most:
            return "This server has as many calls under way as it can take."
        return None

    def _may_run(self, caller: bytes) -> bool:
        others = (self._running.keys() | self._waiting.keys()) - {caller}
        return not others or self._running[caller] < SHARE

    async def _enter(self, caller: bytes) -> None:
        """Wait for the turn of a request, which counts as running from then on."""
        if caller not in self._waiting and self._may_run(caller):
            self._running[caller] += 1
            return
        turn = anyio.Event()
        self._waiting.setdefault(caller, deque()).append(turn)
        try:
            await turn.wait()
        except BaseException:
            if turn.is_set():
                self._leave(caller)
            else:
                self._waiting[caller].remove(turn)
                self._tidy(caller)
            raise

    def _leave(self, caller: bytes) -> None:
        """Let those run whose turn it is now, one of each key after the other."""
        self._running[caller] -= 1
        self._tidy(caller)
        went = True
        while went:
            went = False
            for waiting in [*self._waiting]:
                if self._may_run(waiting):
                    self._running[waiting] += 1
                    self._waiting[waiting].popleft().set()
                    self._tidy(waiting)
                    went = True

    def _tidy(self, caller: bytes) -> None:
        """Forget a key that has nothing under way."""
        if not self._waiting.get(caller, True):
            del self._waiting[caller]
        if not self._running[caller]:
            del self._running[caller]


def _full(text: str, body: bytes) -> JSONResponse:
    """429, as an error of JSON-RPC to the request."""
    try:
        asked = as_object(msgspec.json.decode(body))
    except msgspec.DecodeError:
        asked = None
    error = {"code": INTERNAL_ERROR, "message": f"{text} Try again in {AGAIN_S} s."}
    answer = {"jsonrpc": "2.0", "id": (asked or {}).get("id"), "error": error}
    return JSONResponse(answer, 429, {"Retry-After": str(AGAIN_S)})
