#!/usr/bin/env bash
# semantic-kernel 1.45.0 and autogen-ext 0.7.5: a schema with $ref reaches the model, but its $defs do not.
#
# Guess before running, of google-genai alone: references are replaced by what they refer to, and "oneOf" is kept.
# Anybody would expect at least the first of the others.
# Seen: google-genai 3.6.1 replaces references and keeps "anyOf", but a value with "oneOf" or "const" becomes one of any
# kind. semantic-kernel, and the workbench of autogen, keep the reference and drop the definitions: the model is asked
# for a value of a type that the request does not contain. The single tools of autogen carry what is referred to in
# place, and make null the default of each optional value.
# Output seen (of a schema whose "filter" refers to an object with "field"):
#   google-genai: filter {'properties': {'field': {'type': 'STRING'}}, 'type': 'OBJECT'}
#   google-genai: oneOf {}, anyOf {'any_of': [{'type': 'STRING'}, {'type': 'INTEGER'}]}, const {}
#   semantic-kernel: filter {'$ref': '#/$defs/Filter'}; $defs: False
#   autogen's workbench: filter {'$ref': '#/$defs/Filter'}; $defs: False
#   autogen's tool: filter by reference False, or null True; $defs: False
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/server.py" <<'PYTHON'
import json
import sys

SCHEMA = {
    "type": "object",
    "properties": {"filter": {"$ref": "#/$defs/Filter"}},
    "$defs": {"Filter": {"type": "object", "properties": {"field": {"type": "string"}}}},
}
TOOLS = [{"name": "look", "description": "Look.", "inputSchema": SCHEMA}]


def answer(method, params):
    match method:
        case "initialize":
            info = {"name": "calls", "version": "1"}
            return {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": info}
        case "tools/list":
            return {"tools": TOOLS}


if __name__ == "__main__":
    for line in sys.stdin:
        message = json.loads(line)
        if "id" in message:
            result = answer(message["method"], message.get("params")) or {}
            print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
PYTHON
cat >"$work/genai.py" <<'PYTHON'
from google.genai import _mcp_utils
from mcp.types import Tool
from server import SCHEMA

TEXT_OR_NUMBER = [{"type": "string"}, {"type": "integer"}]
VALUES = {"one": {"oneOf": TEXT_OR_NUMBER}, "any": {"anyOf": TEXT_OR_NUMBER}, "const": {"const": "day"}}
schema = {**SCHEMA, "properties": {**SCHEMA["properties"], **VALUES}}
tool = _mcp_utils.mcp_to_gemini_tool(Tool(name="look", description="Look.", input_schema=schema))
sent = tool.model_dump(mode="json", exclude_none=True)["function_declarations"][0]["parameters"]["properties"]
print(f"google-genai: filter {sent['filter']}")
print(f"google-genai: oneOf {sent['one']}, anyOf {sent['any']}, const {sent['const']}")
PYTHON
cat >"$work/kernel.py" <<'PYTHON'
import asyncio

from semantic_kernel import Kernel
from semantic_kernel.connectors.ai.function_calling_utils import kernel_function_metadata_to_function_call_format
from semantic_kernel.connectors.mcp import MCPStdioPlugin


async def main():
    async with MCPStdioPlugin(name="calls", command="python3", args=["server.py"]) as plugin:
        function = Kernel().add_plugin(plugin).functions["look"]
    sent = kernel_function_metadata_to_function_call_format(function.metadata)["function"]["parameters"]
    print(f"semantic-kernel: filter {sent['properties']['filter']}; $defs: {'$defs' in sent}")


asyncio.run(main())
PYTHON
cat >"$work/workbench.py" <<'PYTHON'
import asyncio

from autogen_ext.tools.mcp import McpWorkbench, StdioServerParams, mcp_server_tools


async def main():
    server = StdioServerParams(command="python3", args=["server.py"])
    async with McpWorkbench(server) as workbench:
        listed = (await workbench.list_tools())[0]["parameters"]
    single = (await mcp_server_tools(server))[0].schema["parameters"]
    print(f"autogen's workbench: filter {listed['properties']['filter']}; $defs: {'$defs' in listed}")
    shown = str(single["properties"]["filter"])
    by_reference, or_null = "$ref" in shown, "null" in shown
    print(f"autogen's tool: filter by reference {by_reference}, or null {or_null}; $defs: {'$defs' in single}")


asyncio.run(main())
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
  run genai.py "google-genai==3.6.1" "mcp==2.3.0"
  run kernel.py "semantic-kernel[mcp]==1.45.0" "mcp==1.30.0"
  run workbench.py "autogen-ext[mcp]==0.7.5" "mcp==1.30.0"
} >seen.txt
cat seen.txt
diff seen.txt - <<'SEEN'
google-genai: filter {'properties': {'field': {'type': 'STRING'}}, 'type': 'OBJECT'}
google-genai: oneOf {}, anyOf {'any_of': [{'type': 'STRING'}, {'type': 'INTEGER'}]}, const {}
semantic-kernel: filter {'$ref': '#/$defs/Filter'}; $defs: False
autogen's workbench: filter {'$ref': '#/$defs/Filter'}; $defs: False
autogen's tool: filter by reference False, or null True; $defs: False
SEEN
