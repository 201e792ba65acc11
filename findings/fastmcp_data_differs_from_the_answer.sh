#!/usr/bin/env bash
# fastmcp-slim[client] 4.2.3: "data" of a tool's answer has values that the server did not send, and lacks some it did.
#
# Guess before running: "data" has the values of structuredContent; what the output schema does not list is kept, and
# what the answer leaves out is absent.
# Seen: "data" is an object made from the output schema. It lacks "note", which the schema allows but does not list, has
# None for "p95", which the answer leaves out and the schema has no null for, and 50 for "limit", a default of the
# schema: a caller cannot tell any of them from a value of the server. Names are rewritten to Python's.
# structured_content is as sent.
# Output seen:
#   sent: {'day': '2026-11-01', 'by-agent': {'7': 1.5}, 'class': 'calls', 'note': 'partial'}
#   data: day=date(2026, 11, 1), p95=None, limit=50, by_agent={'7': 1.5}, class_='calls'
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --no-compile "fastmcp-slim[client]==4.2.3" "mcp==2.3.0"
cat >"$work/server.py" <<'PYTHON'
import anyio
import mcp.types as types
from mcp.server import Server
from mcp.server.stdio import stdio_server

OUTPUT = {
    "type": "object",
    "properties": {
        "day": {"type": "string", "format": "date"},
        "p95": {"type": "number"},
        "limit": {"type": "integer", "default": 50},
        "by-agent": {"type": "object", "additionalProperties": {"type": "number"}},
        "class": {"type": "string"},
    },
    "required": ["day"],
}
ANSWER = {"day": "2026-11-01", "by-agent": {"7": 1.5}, "class": "calls", "note": "partial"}


async def list_tools(_context, _params):
    tool = types.Tool(name="calls", input_schema={"type": "object"}, output_schema=OUTPUT)
    return types.ListToolsResult(tools=[tool])


async def call_tool(_context, _params):
    return types.CallToolResult(content=[], structured_content=ANSWER)


async def main():
    server = Server("calls", on_list_tools=list_tools, on_call_tool=call_tool)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


anyio.run(main)
PYTHON
cat >"$work/client.py" <<'PYTHON'
import asyncio
import sys

from fastmcp import Client
from fastmcp.client.transports import StdioTransport


async def main():
    async with Client(StdioTransport(sys.executable, ["server.py"])) as client:
        answer = await client.call_tool("calls", {})
    print("sent:", answer.structured_content)
    values = ", ".join(f"{name}={value!r}" for name, value in vars(answer.data).items())
    print("data:", values.replace("datetime.", ""))


asyncio.run(main())
PYTHON
(cd "$work" && venv/bin/python client.py) >"$work/seen.txt" 2>"$work/log.txt" || { cat "$work/log.txt"; exit 1; }
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
sent: {'day': '2026-11-01', 'by-agent': {'7': 1.5}, 'class': 'calls', 'note': 'partial'}
data: day=date(2026, 11, 1), p95=None, limit=50, by_agent={'7': 1.5}, class_='calls'
SEEN
