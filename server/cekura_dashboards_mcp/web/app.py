"""Stateless Streamable HTTP; each request has its own key."""

import re
import socket
import sys
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
import uvicorn
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from cekura_dashboards.api.errors import DashboardsError
from cekura_dashboards.text import quoted
from cekura_dashboards_mcp.connection import KEY_HEADER, Connection, NoUsableKey, key_of
from cekura_dashboards_mcp.protocol.server import create_server, load
from cekura_dashboards_mcp.web.middleware import (
    METRICS,
    AllowedHosts,
    CompleteRequests,
    ConcurrencyLimit,
    TokenGuard,
    replay_body,
    server_config,
)
from cekura_dashboards_mcp.web.settings import ServerSettings

if TYPE_CHECKING:
    from cekura_dashboards_mcp.web.oauth import SignIn

PATH = "/mcp"
PORT = re.compile(r"\d{1,5}", re.ASCII)
PROGRESS = b'"progressToken"'
"""A request that contains this asks for progress notifications."""
BROWSER_SENDS = (
    "Authorization", KEY_HEADER, "MCP-Protocol-Version", "Mcp-Method", "Mcp-Name", "Mcp-Session-Id", "Last-Event-ID",
)  # fmt: skip
BROWSER_READS = ("Mcp-Session-Id", "MCP-Protocol-Version", "WWW-Authenticate", "Retry-After")
"""The headers of MCP and of this server that pages of other origins may send, and read."""
READY_S = 10.0
"""How long a result of the readiness check is valid."""
READY_TIMEOUT_S = 5.0


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``.

    Raises:
        ValueError: for anything else.
    """
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    if not host or not PORT.fullmatch(port) or int(port) > 65535:  # noqa: PLR2004 - the last port
        raise ValueError(f'--http takes HOST:PORT, such as 127.0.0.1:8000, not "{quoted(text, limit=60)}"')
    return host, int(port)


class KeyGuard:
    """Answers requests without a usable key with 403 before they go further.

    401 would make MCP clients look for an OAuth server.
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


class StreamIfProgressAsked:
    """Streams the answers of calls that ask for progress, and sends all others in one piece.

    For clients before 2026-07-28, which are the majority, a stream costs a tenth more processor time.
    """

    def __init__(self, streaming: ASGIApp, at_once: ASGIApp) -> None:
        self._streaming, self._at_once = streaming, at_once

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._at_once(scope, receive, send)
            return
        body: bytes = (await receive()).get("body", b"")  # whole, as CompleteRequests passes it on
        app = self._streaming if PROGRESS in body else self._at_once
        await app(scope, replay_body(body, receive), send)


async def _alive(_request: Request) -> Response:
    return Response()


@dataclass
class Readiness:
    """Whether the API answers at all, checked at most once in ten seconds."""

    connection: Connection
    _asked_at: float = -READY_S
    _ready: bool = False
    _lock: anyio.Lock = field(default_factory=anyio.Lock)

    async def __call__(self, _request: Request) -> Response:
        """200 or 503."""
        async with self._lock:
            if anyio.current_time() - self._asked_at >= READY_S:
                self._ready = await self._answers()
                self._asked_at = anyio.current_time()
        return Response(status_code=200 if self._ready else 503)

    async def _answers(self) -> bool:
        """No key is sent: an error about the missing key is an answer, too."""
        try:
            answer = await self.connection.transport().send(
                "GET", "/user/v1/projects/", key=SecretStr(""), timeout_s=READY_TIMEOUT_S, query={}, body=None
            )
        except DashboardsError:
            return False
        return answer.status < 500  # noqa: PLR2004 - the server errors


def _metrics_route() -> Route:
    """OpenTelemetry's metrics in Prometheus format; configures its SDK, so that counting begins."""
    from opentelemetry.exporter.prometheus import PrometheusMetricReader  # in the extra telemetry
    from opentelemetry.metrics import set_meter_provider
    from opentelemetry.sdk.metrics import MeterProvider
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

    set_meter_provider(MeterProvider(metric_readers=[PrometheusMetricReader()]))

    async def metrics(_request: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return Route(METRICS, metrics)


def http_app(
    connection: Connection,
    serving: ServerSettings | None = None,
    *,
    with_metrics: bool = False,
    sign_in: "SignIn | None" = None,
) -> Starlette:
    """The server as an ASGI application at ``/mcp``, with ``/healthz``, ``/readyz`` and, if requested, ``/metrics``.

    ``sign_in``: maps tokens to users if an issuer is set; created from the settings by default.
    """
    serving = serving or ServerSettings()
    if serving.oauth_issuer and sign_in is None:
        from cekura_dashboards_mcp.web.oauth import SignIn

        sign_in = SignIn.by(serving)
    connection.signs_in = sign_in is not None
    server = create_server(connection)
    security = TransportSecuritySettings(enable_dns_rebinding_protection=False)  # AllowedHosts is stricter
    streaming, at_once = (
        server.streamable_http_app(
            streamable_http_path=PATH, stateless_http=True, transport_security=security, json_response=in_one_piece
        )
        for in_one_piece in (False, True)
    )

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        async with (
            streaming.router.lifespan_context(streaming),
            at_once.router.lifespan_context(at_once),
            sign_in.keep_fresh() if sign_in else nullcontext(),
        ):
            yield

    per_key = serving.max_in_flight_per_key if connection.key_per_request else serving.max_in_flight
    room = Middleware(ConcurrencyLimit, serving.max_in_flight, per_key)
    app = Starlette(
        routes=[
            Route("/healthz", _alive),
            Route("/readyz", Readiness(connection).__call__),
            *([_metrics_route()] if with_metrics else []),
            *(sign_in.metadata_routes() if sign_in else []),
            Route(PATH, StreamIfProgressAsked(streaming, at_once), methods=["POST"], middleware=[room]),
        ],
        lifespan=lifespan,
    )
    app.add_middleware(CompleteRequests)
    if connection.key_per_request:
        app.add_middleware(KeyGuard)
    if sign_in is not None:
        app.add_middleware(sign_in.guard)
    if serving.tokens:
        app.add_middleware(TokenGuard, serving.tokens)
    if serving.origins:  # around the guards, so that pages can read their refusals and send a preflight without a key
        app.add_middleware(
            CORSMiddleware,
            allow_origins=serving.origins,
            allow_methods=("GET", "POST", "DELETE"),
            allow_headers=BROWSER_SENDS,
            expose_headers=BROWSER_READS,
            allow_private_network=True,
        )
    app.add_middleware(AllowedHosts, serving.hosts, serving.origins)
    return app


def listening_on(host: str, port: int) -> socket.socket:
    """A listening socket with TCP_NODELAY: the event loop sets it only if TCP is named as the protocol."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # on Windows it would share a used port
        listener.bind((host, port))
        listener.listen()  # from here on clients can connect to the announced address
    except OSError:
        listener.close()
        raise
    return listener


def run_http(app: Starlette, connection: Connection, listening: socket.socket) -> None:
    """Serve until stopped."""
    announce(listening)
    _load_first_call(connection)
    uvicorn.Server(server_config(app)).run(sockets=[listening])


def announce(listening: socket.socket) -> None:
    host, port = listening.getsockname()[:2]
    host_text = f"[{host}]" if ":" in host else host
    print(f"Serving MCP at http://{host_text}:{port}{PATH}", file=sys.stderr, flush=True)  # noqa: T201 - not the protocol's stdout


def _load_first_call(connection: Connection) -> None:
    """Load what only the first call needs in a thread, so that no health request waits for it."""

    def work() -> None:
        load()
        connection.transport()

    threading.Thread(target=work, name="first-call", daemon=True).start()
