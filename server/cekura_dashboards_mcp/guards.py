"""What a request must bring before anything else sees it: a name this server goes by, a token, and room."""

import hashlib
import hmac
from collections import Counter
from urllib.parse import urlsplit

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
        if scope["type"] == "http" and scope["path"] not in OPEN:
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

    Requests arrive whole here, so that who is refused is told in the form of the protocol.
    """

    def __init__(self, app: ASGIApp, most: int, most_per_key: int) -> None:
        self._app, self._most, self._most_per_key = app, most, most_per_key
        self._under_way = Counter[bytes]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN:
            await self._app(scope, receive, send)
            return
        caller = _digest(Headers(scope=scope).get(KEY_HEADER, ""))
        text = None
        if self._under_way[caller] >= self._most_per_key:
            text = f"This key has {self._most_per_key} calls under way."
        elif self._under_way.total() >= self._most:
            text = "This server has as many calls under way as it can take."
        if text is not None:
            await _full(text, (await receive()).get("body", b""))(scope, receive, send)
            return
        self._under_way[caller] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way[caller] -= 1
            if not self._under_way[caller]:
                del self._under_way[caller]


def _full(text: str, body: bytes) -> JSONResponse:
    """429, as an error of JSON-RPC to the request."""
    try:
        asked = as_object(msgspec.json.decode(body))
    except msgspec.DecodeError:
        asked = None
    error = {"code": INTERNAL_ERROR, "message": f"{text} Try again in {AGAIN_S} s."}
    answer = {"jsonrpc": "2.0", "id": (asked or {}).get("id"), "error": error}
    return JSONResponse(answer, 429, {"Retry-After": str(AGAIN_S)})
