#!/usr/bin/env bash
# llama-index-tools-mcp 0.6.0, llama-index-core 0.14.25: the model reads an MCP answer as the repr of a Python object.
#
# Guess before running: the text of a tool's output is the text blocks of the answer.
# Seen: the tool returns the CallToolResult itself, and the text for the model is its str(): names of classes and
# fields, the line end written as \n, and the structure as a Python dictionary, all of which the model pays for. An
# answer with isError is no error of the tool; is_error=True stands in the text alone.
# Output seen:
#   answer: meta=None content=[TextContent(type='text', text='one\ntwo', annotations=None, meta=None)] structured_content={'lines': ['one', 'two']} is_error=False result_type='complete'
#   answer, is_error: False
#   refusal: meta=None content=[TextContent(type='text', text='No such line.', annotations=None, meta=None)] structured_content=None is_error=True result_type='complete'
#   refusal, is_error: False
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --no-compile "llama-index-tools-mcp==0.6.0" "llama-index-core==0.14.25" "mcp==2.3.0"
cat >"$work/server.py" <<'PYTHON'
import anyio
import mcp.types as types
from mcp.server import Server
from mcp.server.stdio import stdio_server


async def list_tools(_context, _params):
    tools = [types.Tool(name=name, input_schema={"type": "object"}) for name in ("answer", "refusal")]
    return types.ListToolsResult(tools=tools)


async def call_tool(_context, params):
    if params.name == "refusal":
        return types.CallToolResult(content=[types.TextContent(type="text", text="No such line.")], is_error=True)
    text = types.TextContent(type="text", text="one\ntwo")
    return types.CallToolResult(content=[text], structured_content={"lines": ["one", "two"]})


async def main():
    server = Server("lines", on_list_tools=list_tools, on_call_tool=call_tool)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


anyio.run(main)
PYTHON
cat >"$work/tools.py" <<'PYTHON'
import asyncio
import sys

from llama_index.tools.mcp import BasicMCPClient, McpToolSpec


async def main():
    for tool in await McpToolSpec(BasicMCPClient(sys.executable, args=["server.py"])).to_tool_list_async():
        output = await tool.acall()
        print(f"{tool.metadata.name}: {output.content}")
        print(f"{tool.metadata.name}, is_error: {output.is_error}")


asyncio.run(main())
PYTHON
(cd "$work" && venv/bin/python tools.py) >"$work/seen.txt"
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
answer: meta=None content=[TextContent(type='text', text='one\ntwo', annotations=None, meta=None)] structured_content={'lines': ['one', 'two']} is_error=False result_type='complete'
answer, is_error: False
refusal: meta=None content=[TextContent(type='text', text='No such line.', annotations=None, meta=None)] structured_content=None is_error=True result_type='complete'
refusal, is_error: False
SEEN
