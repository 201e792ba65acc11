"""Calls through an MCP client in this process."""

from typing import Any

from mcp import Client
from mcp.types import CallToolResult, TextContent, Tool

from cekura_dashboards_mcp.connection import Connection
from cekura_dashboards_mcp.server import create_server


async def list_tools(connection: Connection) -> list[Tool]:
    async with Client(create_server(connection)) as client:
        return (await client.list_tools()).tools


async def call_one(connection: Connection, tool: str, arguments: dict[str, Any]) -> CallToolResult:
    async with Client(create_server(connection)) as client:
        return await client.call_tool(tool, arguments)


def text_of(result: CallToolResult) -> str:
    """All text of a result."""
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))
