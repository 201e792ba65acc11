#!/usr/bin/env bash
# @ai-sdk/mcp 2.0.99: no connection over stdio to a server on mcp 2.3.0 that needs more than a second to start.
#
# Guess before running: none; a tool was to be called. Anybody would expect the client to wait for the server to start,
# as it does for "initialize".
# Seen: the client sends "server/discover", and after one second "initialize" in its place. A server on mcp 2.3.0 reads
# both when it has started, answers the first, and then refuses the second, because the connection now has the newer
# protocol. A start of Python with its imports takes about a second. With protocolVersionDiscovery: false the client
# sends "initialize" at once, and waits for the answer.
# Output seen, of a server that starts two seconds late:
#   by default: connection is serving the 2026-07-28 protocol; the initialize handshake is not accepted
#   without discovery: lines
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --no-compile "mcp==2.3.0"
cat >"$work/package.json" <<'JSON'
{ "private": true, "dependencies": { "@ai-sdk/mcp": "2.0.99", "zod": "4.6.7" } }
JSON
npm install --silent --no-fund --no-audit --prefix "$work" >/dev/null
cat >"$work/server.py" <<'PYTHON'
import time

from mcp.server import MCPServer

server = MCPServer("lines", version="1")


@server.tool()
def lines() -> str:
    """Two lines."""
    return "one\ntwo"


time.sleep(2)
server.run()
PYTHON
cat >"$work/client.mjs" <<'NODE'
import { createMCPClient } from "@ai-sdk/mcp";
import { Experimental_StdioMCPTransport as Transport } from "@ai-sdk/mcp/mcp-stdio";

async function toolNames(options) {
  const transport = new Transport({ command: "venv/bin/python", args: ["server.py"], stderr: "ignore" });
  try {
    const client = await createMCPClient({ transport, ...options });
    const tools = await client.tools();
    await client.close();
    return Object.keys(tools).join(", ");
  } catch (error) {
    return error.message;
  }
}

console.log("by default:", await toolNames({}));
console.log("without discovery:", await toolNames({ protocolVersionDiscovery: false }));
NODE
(cd "$work" && node client.mjs) >"$work/seen.txt"
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
by default: connection is serving the 2026-07-28 protocol; the initialize handshake is not accepted
without discovery: lines
SEEN
