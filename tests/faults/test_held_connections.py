"""Clients that hold connections open block no answers to others: over real connections, in both eras."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio.lowlevel
import httpx2
import pytest
import uvicorn
from benchmarks.hostile import Held, ways_to_hold
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from cekura_dashboards_mcp.connection import Connection
from cekura_dashboards_mcp.web.app import http_app, listening_on
from cekura_dashboards_mcp.web.middleware import SHARE, LimitedProtocol, server_config
from cekura_dashboards_mcp.web.settings import ServerSettings
from support import ERAS, KEY, PLAIN_HTTP, TIMEOUT_S, settings, shared_sandbox, text_of

pytestmark = pytest.mark.anyio
KINDS = ["stream", "idle", "unread", "head", "body", "leaves"]
MAX_CONNECTIONS = 12


class FewConnections(LimitedProtocol):
    """A server with fewer connections than the test holds open."""

    most_connections = MAX_CONNECTIONS


@asynccontextmanager
async def serving(**options: Any) -> AsyncGenerator[tuple[str, int]]:
    """Host and port of a server with these settings."""
    app = http_app(Connection(settings(), key_per_request=True, app_factory=shared_sandbox), ServerSettings(**options))
    config = server_config(app)
    config.http = FewConnections
    server = uvicorn.Server(config)
    with listening_on("127.0.0.1", 0) as listening:
        async with anyio.create_task_group() as group:
            group.start_soon(server.serve, [listening])
            yield listening.getsockname()[:2]
            server.force_exit = server.should_exit = True
    for connection in [*server.server_state.connections]:
        connection.transport.abort()  # a forced shutdown leaves connections with an unfinished answer open
    await anyio.lowlevel.checkpoint()


async def hold(way: Held, host: str, port: int, connections: AsyncExitStack) -> None:
    """Send all pieces, except for the last one of a trickling request, and keep the connection."""
    stream = await anyio.connect_tcp(host, port)
    connections.push_async_callback(anyio.aclose_forcefully, stream)
    pieces = way.pieces[:-1] if len({*way.pieces}) > 1 else way.pieces
    try:
        for piece in pieces:
            await stream.send(piece)
    except anyio.BrokenResourceError:
        return  # closed by the server to make room
    if way.leaves:
        await stream.aclose()


@pytest.mark.parametrize("same_key", [True, False])
@pytest.mark.parametrize("name", KINDS)
async def test_clients_are_answered_while_others_hold_connections_open(name: str, same_key: bool) -> None:  # noqa: FBT001 - a parameter
    async with AsyncExitStack() as connections, serving(max_in_flight=2 * MAX_CONNECTIONS) as (host, port):
        way = ways_to_hold(f"{host}:{port}", KEY if same_key else "another-key")[KINDS.index(name)]
        with anyio.fail_after(TIMEOUT_S):
            for _ in range(MAX_CONNECTIONS + SHARE):
                await hold(way, host, port, connections)
            for era in ERAS:
                async with (
                    httpx2.AsyncClient(**PLAIN_HTTP, headers={"X-CEKURA-API-KEY": KEY}) as http,
                    Client(streamable_http_client(f"http://{host}:{port}/mcp", http_client=http), mode=era) as client,
                ):
                    answers = [await client.call_tool("list_dashboards", {}) for _ in range(3)]
                assert {"Operations overview" in text_of(answer) for answer in answers} == {True}
