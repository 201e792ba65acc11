#!/usr/bin/env bash
# mcp 2.3.0: a client session sends tools/list after each call of a tool that it has not read from a list.
#
# Guess before running: a call is one request, and tools/list is sent where the caller asks for it.
# Seen: the session looks for the tool's output schema, so the first call without a list is followed by tools/list. It
# reads one page. A tool that stands on the second page is looked for again after every call, and never found, so
# that each call costs two requests; after list_tools with the cursor of that page a call is one request again.
# Output seen:
#   first, on page 1: tools/call, tools/list
#   first again: tools/call
#   second, on page 2: tools/call, tools/list
#   second again: tools/call, tools/list
#   second, page 2 read: tools/list 1, tools/call
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --no-compile "mcp==2.3.0"
cat >"$work/server.py" <<'PYTHON'
import sys

import anyio
import mcp.types as types
from mcp.server import Server
from mcp.server.stdio import stdio_server

TOOLS = [types.Tool(name=name, input_schema={"type": "object"}) for name in ("first", "second")]
requests = []


async def list_tools(_context, params):
    page = int(params.cursor or 0) if params else 0
    requests.append("tools/list 1" if page else "tools/list")
    return types.ListToolsResult(tools=[TOOLS[page]], next_cursor=None if page else "1")


async def call_tool(_context, _params):
    requests.append("tools/call")
    return types.CallToolResult(content=[])


async def read_requests(_context, _params):
    text = ", ".join(requests)
    requests.clear()
    contents = [types.TextResourceContents(uri="requests://", text=text)]
    return types.ReadResourceResult(contents=contents)


async def main():
    server = Server("pages", on_list_tools=list_tools, on_call_tool=call_tool, on_read_resource=read_requests)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


anyio.run(main)
PYTHON
cat >"$work/client.py" <<'PYTHON'
import sys

import anyio
import mcp.types as types
from mcp import ClientSession
from mcp.client.stdio import StdioServerParameters, stdio_client


async def main():
    parameters = StdioServerParameters(command=sys.executable, args=["server.py"])
    async with stdio_client(parameters) as (read, write), ClientSession(read, write) as session:
        await session.initialize()

        async def call(label, name):
            await session.call_tool(name, {})
            print(f"{label}:", (await session.read_resource("requests://")).contents[0].text)

        await call("first, on page 1", "first")
        await call("first again", "first")
        await call("second, on page 2", "second")
        await call("second again", "second")
        await session.list_tools(params=types.PaginatedRequestParams(cursor="1"))
        await call("second, page 2 read", "second")


anyio.run(main)
PYTHON
(cd "$work" && venv/bin/python client.py) >"$work/seen.txt" 2>"$work/log.txt" || { cat "$work/log.txt"; exit 1; }
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
first, on page 1: tools/call, tools/list
first again: tools/call
second, on page 2: tools/call, tools/list
second again: tools/call, tools/list
second, page 2 read: tools/list 1, tools/call
SEEN
