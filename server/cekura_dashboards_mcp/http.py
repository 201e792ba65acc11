"""Stateless Streamable HTTP on this machine, each request bringing its own key."""

import socket
import sys
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from ipaddress import ip_address

import uvicorn
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from cekura_dashboards_mcp.connection import KEY_HEADER, Connection, NoUsableKey, key_of
from cekura_dashboards_mcp.edge import LocalOnly, WholeRequests, once_more, server_config
from cekura_dashboards_mcp.server import create_server

PATH = "/mcp"
PROGRESS = b'"progressToken"'
"""Where this stands in a request, its caller wants to hear of the progress."""
LOCAL = TransportSecuritySettings(
    enable_dns_rebinding_protection=True,
    allowed_hosts=["127.0.0.1:*", "localhost:*", "[::1]:*"],
    allowed_origins=["http://127.0.0.1:*", "http://localhost:*", "http://[::1]:*"],
)


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``.

    Raises:
        ValueError: if it is no such thing, or not an address of this machine.
    """
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdecimal() or int(port) > 65535:  # noqa: PLR2004 - the last port
        raise ValueError(f'--http takes HOST:PORT, such as 127.0.0.1:8000, not "{text}"')
    try:
        loopback = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ValueError(f'--http serves this machine only: use 127.0.0.1:{port}, not "{text}"')
    return host, int(port)


class KeyRequired:
    """Answers 403 to requests without a usable key, before anything else sees them.

    Not 401: on that, MCP clients go looking for an OAuth server.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == PATH:
            try:
                key_of(Headers(scope=scope).get(KEY_HEADER))
            except NoUsableKey as error:
                await JSONResponse({"error": str(error)}, 403)(scope, receive, send)
                return
        await self._app(scope, receive, send)


class StreamedIfAsked:
    """Streams the answers of calls that want to hear of their progress, and sends all others in one piece.

    To clients of before 2026-07-28 a stream costs a tenth more of the processor, and they are most.
    """

    def __init__(self, streaming: ASGIApp, at_once: ASGIApp) -> None:
        self._streaming, self._at_once = streaming, at_once

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._at_once(scope, receive, send)
            return
        body: bytes = (await receive()).get("body", b"")  # whole, as WholeRequests hands it on
        app = self._streaming if PROGRESS in body else self._at_once
        await app(scope, once_more(body, receive), send)


async def _health(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})


def http_app(connection: Connection) -> Starlette:
    """The server as an ASGI application at ``/mcp``."""
    server = create_server(connection)
    streaming, at_once = (
        server.streamable_http_app(
            streamable_http_path=PATH, stateless_http=True, transport_security=LOCAL, json_response=in_one_piece
        )
        for in_one_piece in (False, True)
    )

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        async with streaming.router.lifespan_context(streaming), at_once.router.lifespan_context(at_once):
            yield

    app = Starlette(
        routes=[Route("/health", _health), Mount("/", StreamedIfAsked(streaming, at_once))], lifespan=lifespan
    )
    app.add_middleware(WholeRequests)
    if connection.key_per_request:
        app.add_middleware(KeyRequired)
    app.add_middleware(LocalOnly)
    return app


def listening_on(host: str, port: int) -> socket.socket:
    """A socket whose connections send at once: the event loop sees to that only where TCP is named as the protocol."""
    found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # on Windows it would share a port in use
        found.bind((host, port))
        found.listen()  # from here on a client that was told of the address is not refused
    except OSError:
        found.close()
        raise
    return found


def run_http(app: Starlette, connection: Connection, host: str, port: int) -> None:
    """Serve until stopped; port 0 takes a free one.

    Raises:
        OSError: if the address is taken.
    """
    config = server_config(app)
    with listening_on(host, port) as listening:
        shown = f"[{host}]" if ":" in host else host
        print(f"Serving MCP at http://{shown}:{listening.getsockname()[1]}{PATH}", file=sys.stderr, flush=True)  # noqa: T201 - not the protocol's stdout
        # what only the first call needs is loaded beside, so that no health request waits for it
        threading.Thread(target=connection.transport, name="first-call", daemon=True).start()
        uvicorn.Server(config).run(sockets=[listening])
