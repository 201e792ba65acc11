#!/usr/bin/env bash
# pydantic-ai 2.68.0: where an MCP answer has a structure, the model reads that alone, and of a link only its URI.
#
# Guess before running: none was written. Anybody would expect the model of an agent to read the text of an error.
# Seen: an answer with structuredContent is shown as that structure as JSON, and its text is lost. So is the text of an
# answer with isError, whose structure becomes JSON inside JSON; the sentence that says what to do never arrives. Where
# a link stands beside the text, the text is shown and the structure is lost; of the link the name, title and
# description are lost.
# Output seen, each answer with the same text:
#   text: Lines are 1 to 3.
#   structure: {"lines":3}
#   error: {"error":"Lines are 1 to 3."}
#   error_and_structure: {"error":"{\"code\":7}"}
#   link_and_structure: ["Lines are 1 to 3.","lines://3"]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --no-compile "pydantic-ai-slim[mcp]==2.68.0" "fastmcp-slim==4.2.3" "mcp==2.3.0"
cat >"$work/server.py" <<'PYTHON'
import anyio
from mcp.server import Server
from mcp.server.stdio import stdio_server
from mcp.types import CallToolResult, ListToolsResult, ResourceLink, TextContent, Tool

TEXT = TextContent(type="text", text="Lines are 1 to 3.")
LINK = ResourceLink(
    type="resource_link", uri="lines://3", name="three", title="Line 3", description="The last line, 2 kB."
)
ANSWERS = {
    "text": CallToolResult(content=[TEXT]),
    "structure": CallToolResult(content=[TEXT], structured_content={"lines": 3}),
    "error": CallToolResult(content=[TEXT], is_error=True),
    "error_and_structure": CallToolResult(content=[TEXT], structured_content={"code": 7}, is_error=True),
    "link_and_structure": CallToolResult(content=[TEXT, LINK], structured_content={"lines": 3}),
}


async def list_tools(_context, _params):
    return ListToolsResult(tools=[Tool(name=name, input_schema={"type": "object"}) for name in ANSWERS])


async def call_tool(_context, params):
    return ANSWERS[params.name]


async def main():
    server = Server("lines", on_list_tools=list_tools, on_call_tool=call_tool)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


anyio.run(main)
PYTHON
cat >"$work/agent.py" <<'PYTHON'
import asyncio

from fastmcp.client.transports import StdioTransport
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import FunctionModel


def respond(messages, info):
    answers = [part for part in messages[-1].parts if isinstance(part, ToolReturnPart)]
    for answer in answers:
        print(f"{answer.tool_name}: {answer.model_response_str()}")
    if answers:
        return ModelResponse(parts=[TextPart("Done.")])
    return ModelResponse(parts=[ToolCallPart(tool.name, {}) for tool in info.function_tools])


async def main():
    lines = MCPToolset(StdioTransport("venv/bin/python", ["server.py"]), init_timeout=60)
    async with Agent(FunctionModel(respond), toolsets=[lines], retries=2) as agent:
        await agent.run("?")


asyncio.run(main())
PYTHON
(cd "$work" && venv/bin/python agent.py) >"$work/seen.txt" 2>"$work/log.txt" || { cat "$work/log.txt"; exit 1; }
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
text: Lines are 1 to 3.
structure: {"lines":3}
error: {"error":"Lines are 1 to 3."}
error_and_structure: {"error":"{\"code\":7}"}
link_and_structure: ["Lines are 1 to 3.","lines://3"]
SEEN
