#!/usr/bin/env bash
# openai-agents 0.24.0, semantic-kernel 1.45.0 and smolagents 1.26.0: a failed call looks like one that succeeded.
#
# Guess before running: an answer with isError reaches the model with a mark that the call failed, or as an exception
# whose text does; two texts reach it joined.
# Seen: none of the three gives a mark or an exception. The model, or the Python code that smolagents' model writes,
# gets the server's words as after a success. smolagents hands on the first of two texts only; semantic-kernel has both
# for the model, but its own text of an answer is the first alone.
# Output seen (of a server that answers "No calls today." with isError, then two texts):
#   openai-agents: {'type': 'text', 'text': 'No calls today.'}
#   openai-agents: [{'type': 'text', 'text': 'first'}, {'type': 'text', 'text': 'second'}]
#   semantic-kernel: ['No calls today.']; as text 'No calls today.'
#   semantic-kernel: ['first', 'second']; as text 'first'
#   smolagents: 'No calls today.'
#   smolagents: 'first'
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/server.py" <<'PYTHON'
import json
import sys

ANSWERS = {
    "fail": {"content": [{"type": "text", "text": "No calls today."}], "isError": True},
    "two": {"content": [{"type": "text", "text": "first"}, {"type": "text", "text": "second"}]},
}
TOOLS = [{"name": name, "description": name, "inputSchema": {"type": "object", "properties": {}}} for name in ANSWERS]


def answer(method, params):
    match method:
        case "initialize":
            info = {"name": "calls", "version": "1"}
            return {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": info}
        case "tools/list":
            return {"tools": TOOLS}
        case "tools/call":
            return ANSWERS[params["name"]]
        case "ping":
            return {}


for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    result = answer(message["method"], message.get("params"))
    reply = {"error": {"code": -32601, "message": "Method not found"}} if result is None else {"result": result}
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **reply}), flush=True)
PYTHON
cat >"$work/openai-agents.py" <<'PYTHON'
import asyncio

from agents import RunContextWrapper
from agents.mcp import MCPServerStdio, MCPUtil


async def main():
    async with MCPServerStdio(params={"command": "python3", "args": ["server.py"]}) as server:
        for tool in await server.list_tools():
            print("openai-agents:", await MCPUtil.invoke_mcp_tool(server, tool, RunContextWrapper(None), "{}"))


asyncio.run(main())
PYTHON
cat >"$work/semantic-kernel.py" <<'PYTHON'
import asyncio

from semantic_kernel import Kernel
from semantic_kernel.connectors.mcp import MCPStdioPlugin


async def main():
    async with MCPStdioPlugin(name="calls", command="python3", args=["server.py"]) as plugin:
        kernel = Kernel()
        functions = kernel.add_plugin(plugin).functions
        for name in ("fail", "two"):
            result = await kernel.invoke(functions[name])
            print(f"semantic-kernel: {[content.text for content in result.value]}; as text {str(result)!r}")


asyncio.run(main())
PYTHON
cat >"$work/smol.py" <<'PYTHON'
from mcp import StdioServerParameters
from smolagents import MCPClient

with MCPClient(StdioServerParameters(command="python3", args=["server.py"]), structured_output=False) as tools:
    for tool in tools:
        print(f"smolagents: {tool()!r}")
PYTHON
cd "$work"
run() {
  script=$1
  shift
  python3 -m venv venv
  venv/bin/pip install -q --no-compile "$@"
  venv/bin/python -W ignore "$script" 2>errors.txt || { cat errors.txt >&2; exit 1; }
  rm -rf venv
}
{
  run openai-agents.py "openai-agents==0.24.0" "mcp==2.3.0"
  run semantic-kernel.py "semantic-kernel[mcp]==1.45.0" "mcp==1.30.0"
  run smol.py "smolagents[mcp]==1.26.0" "mcpadapt==0.1.19" "mcp==1.30.0" "websockets==15.0.1"
} >seen.txt
cat seen.txt
diff seen.txt - <<'SEEN'
openai-agents: {'type': 'text', 'text': 'No calls today.'}
openai-agents: [{'type': 'text', 'text': 'first'}, {'type': 'text', 'text': 'second'}]
semantic-kernel: ['No calls today.']; as text 'No calls today.'
semantic-kernel: ['first', 'second']; as text 'first'
smolagents: 'No calls today.'
smolagents: 'first'
SEEN
