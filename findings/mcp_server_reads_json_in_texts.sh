#!/usr/bin/env bash
# mcp 2.3.0: a text that looks like JSON is another value where the parameter of a tool may be a text or something else.
#
# Guess before running: a text for "str | None" arrives as that text, whatever stands in it.
# Seen: for every parameter whose type is not exactly "str", MCPServer first reads the text as JSON and keeps what is no
# text and no number. So "null" becomes None, and a search for "[1]" is refused as no valid string, although the tool's
# schema takes any string and "str" alone takes both. "true" and "123" stay texts.
# Output seen:
#   str: 'null'; '[1]'; '{}'; '123'; 'true'
#   str | None: None; refused; refused; '123'; 'true'
#   str | list[str]: refused; refused; refused; '123'; 'true'
#   Any: None; [1]; {}; '123'; 'true'
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --no-compile "mcp==2.3.0"
"$work/venv/bin/python" - >"$work/seen.txt" 2>"$work/log.txt" <<'PYTHON' || { cat "$work/log.txt"; exit 1; }
from typing import Any

import anyio
from mcp.client import Client
from mcp.server import MCPServer

server = MCPServer("echo", version="1")


@server.tool(name="str")
def text(value: str) -> str:
    return repr(value)


@server.tool(name="str | None")
def optional(value: str | None) -> str:
    return repr(value)


@server.tool(name="str | list[str]")
def several(value: str | list[str]) -> str:
    return repr(value)


@server.tool(name="Any")
def anything(value: Any) -> str:
    return repr(value)


async def main():
    async with Client(server) as client:
        for name in ("str", "str | None", "str | list[str]", "Any"):
            answers = [await client.call_tool(name, {"value": value}) for value in ("null", "[1]", "{}", "123", "true")]
            texts = ("refused" if answer.is_error else answer.content[0].text for answer in answers)
            print(f"{name}:", "; ".join(texts))


anyio.run(main)
PYTHON
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
str: 'null'; '[1]'; '{}'; '123'; 'true'
str | None: None; refused; refused; '123'; 'true'
str | list[str]: refused; refused; refused; '123'; 'true'
Any: None; [1]; {}; '123'; 'true'
SEEN
