#!/usr/bin/env bash
# supergateway 4.0.0: over HTTP each request gets a new server, which is told an old protocol and another client.
#
# Guess before running: the server on stdio starts once, and learns the name of the HTTP client and its protocol.
# Seen: without --stateful each request starts a server of its own. "initialize" goes to one as the client sent it; the
# one that lists the tools, and each that runs one, has first been initialized by supergateway, under its own name and
# with protocol 2024-11-05. What a server remembers from one call to the next is gone, and what it shows a client by
# name or protocol differs from what it agreed with that client. With --stateful all is as guessed.
# Output seen (the answer to "calls" is the number of calls of that process, its client and its protocol):
#   stateless, initialized with 2025-06-18
#   call 1: 1, supergateway, 2024-11-05
#   call 2: 1, supergateway, 2024-11-05
#   stateful, initialized with 2025-06-18
#   call 1: 1, chat, 2025-06-18
#   call 2: 2, chat, 2025-06-18
set -euo pipefail
work=$(mktemp -d)
gateway=
trap '[ -z "$gateway" ] || kill "$gateway" 2>/dev/null || true; rm -rf "$work"' EXIT
cat >"$work/package.json" <<'JSON'
{ "private": true, "dependencies": { "supergateway": "4.0.0" } }
JSON
npm install --silent --no-fund --no-audit --prefix "$work" >/dev/null
cat >"$work/server.mjs" <<'NODE'
import { createInterface } from "node:readline";

let calls = 0;
let told;
for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) continue;
  let result = {};
  if (method === "initialize") {
    told = `${params.clientInfo.name}, ${params.protocolVersion}`;
    const { protocolVersion } = params;
    result = { protocolVersion, capabilities: { tools: {} }, serverInfo: { name: "calls", version: "1" } };
  }
  if (method === "tools/call") result = { content: [{ type: "text", text: `${++calls}, ${told}` }] };
  console.log(JSON.stringify({ jsonrpc: "2.0", id, result }));
}
NODE
cat >"$work/client.mjs" <<'NODE'
const url = `http://127.0.0.1:${process.argv[2]}/mcp`;
let session = {};

async function post(message) {
  const headers = { "content-type": "application/json", accept: "application/json, text/event-stream", ...session };
  const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify({ jsonrpc: "2.0", ...message }) });
  const id = answer.headers.get("mcp-session-id");
  if (id) session = { "mcp-session-id": id };
  const data = (await answer.text()).split("\n").find((line) => line.startsWith("data: {"));
  return data && JSON.parse(data.slice(6)).result;
}

const hello = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "chat", version: "1" } };
const { protocolVersion } = await post({ id: 1, method: "initialize", params: hello });
console.log(`${process.argv[3]}, initialized with ${protocolVersion}`);
await post({ method: "notifications/initialized" });
for (const call of [1, 2]) {
  const { content } = await post({ id: call + 1, method: "tools/call", params: { name: "calls", arguments: {} } });
  console.log(`call ${call}: ${content[0].text}`);
}
NODE
cd "$work"
for kind in stateless stateful; do
  option=()
  [ "$kind" = stateless ] || option=(--stateful)
  port=$(python3 -c 'import socket; one = socket.create_server(("127.0.0.1", 0)); print(one.getsockname()[1])')
  node node_modules/supergateway/dist/index.js --stdio "node server.mjs" --outputTransport streamableHttp \
    --port "$port" --logLevel none "${option[@]}" >gateway.log 2>&1 &
  gateway=$!
  until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do kill -0 "$gateway"; sleep 0.1; done
  node client.mjs "$port" "$kind"
  kill "$gateway"
done >seen.txt
cat seen.txt
diff seen.txt - <<'SEEN'
stateless, initialized with 2025-06-18
call 1: 1, supergateway, 2024-11-05
call 2: 1, supergateway, 2024-11-05
stateful, initialized with 2025-06-18
call 1: 1, chat, 2025-06-18
call 2: 2, chat, 2025-06-18
SEEN
