#!/usr/bin/env bash
# mcp-remote 0.15.1: a server meets one client twice, under two names, neither of which is the client's own.
#
# Guess before running: the server gets the clientInfo of "initialize" as the client sent it.
# Seen: it first connects by itself, as "mcp-remote-fallback-test" without capabilities, and acknowledges that; then it
# passes on the client's "initialize", with "(via mcp-remote 0.15.1)" added to the name and all else kept. A server that
# counts clients or tells them apart by clientInfo.name finds two that nobody installed.
# Output seen:
#   mcp-remote-fallback-test 0.0.0 {}
#   acknowledged
#   LocalAI (via mcp-remote 0.15.1) 3.1 {"roots":{}}
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo '{"private": true, "dependencies": {"mcp-remote": "0.15.1"}}' >"$work/package.json"
npm install --silent --no-fund --no-audit --prefix "$work" >/dev/null
cat >"$work/server.mjs" <<'NODE'
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";

const server = createServer(async (request, response) => {
  if (request.method !== "POST") return response.writeHead(405).end();
  const message = JSON.parse((await request.toArray()).join(""));
  if (message.method === "notifications/initialized") console.log("acknowledged");
  if (message.id === undefined) return response.writeHead(202).end();
  const { capabilities, clientInfo, protocolVersion } = message.params;
  console.log(clientInfo.name, clientInfo.version, JSON.stringify(capabilities));
  const result = { protocolVersion, capabilities: {}, serverInfo: { name: "server", version: "1" } };
  response.writeHead(200, { "Content-Type": "application/json" });
  response.end(JSON.stringify({ jsonrpc: "2.0", id: message.id, result }));
});
server.listen(0, "127.0.0.1");
await once(server, "listening");

const bridge = spawn("node_modules/.bin/mcp-remote", [`http://127.0.0.1:${server.address().port}/mcp`], {
  env: { ...process.env, MCP_REMOTE_CONFIG_DIR: `${process.cwd()}/config` },
  stdio: ["pipe", "pipe", "ignore"],
});
const params = {
  protocolVersion: "2025-11-25",
  capabilities: { roots: {} },
  clientInfo: { name: "LocalAI", version: "3.1" },
};
bridge.stdin.write(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params }) + "\n");
await once(bridge.stdout, "data");
bridge.kill();
await once(bridge, "exit");
server.closeAllConnections();
server.close();
NODE
(cd "$work" && node server.mjs) >"$work/seen.txt"
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
mcp-remote-fallback-test 0.0.0 {}
acknowledged
LocalAI (via mcp-remote 0.15.1) 3.1 {"roots":{}}
SEEN
