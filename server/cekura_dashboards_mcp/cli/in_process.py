"""Calls through an MCP client in this process."""

from typing import Any

from mcp import Client
from mcp.client.extension import ClientExtension, advertise
from mcp.server.apps import APP_MIME_TYPE, EXTENSION_ID
from mcp.types import CallToolResult, TextContent, Tool

from cekura_dashboards_mcp.connection import Connection
from cekura_dashboards_mcp.protocol.chart_view import CHART, standalone
from cekura_dashboards_mcp.protocol.server import create_server


async def list_tools(connection: Connection) -> list[Tool]:
    async with Client(create_server(connection)) as client:
        return (await client.list_tools()).tools


def shows_charts() -> list[ClientExtension]:
    """What a client that shows charts says of itself."""
    return [advertise(EXTENSION_ID, {"mimeTypes": [APP_MIME_TYPE]})]


async def call_one(
    connection: Connection, tool: str, arguments: dict[str, Any], *, draws: bool = False
) -> CallToolResult:
    """``draws``: as a client that shows charts."""
    async with Client(create_server(connection), extensions=shows_charts() if draws else None) as client:
        return await client.call_tool(tool, arguments)


def page_of(result: CallToolResult, tool: str, arguments: dict[str, Any]) -> str | None:
    """One page that shows a result in any browser; None where it holds nothing to draw."""
    drawing = (result.meta or {}).get(CHART)
    return None if drawing is None else standalone(tool, arguments, drawing)


def text_of(result: CallToolResult) -> str:
    """All text of a result."""
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))
