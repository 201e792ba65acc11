#!/usr/bin/env bash
# langchain 1.5.14 with @langchain/mcp-adapters 1.1.4: an answer with structuredContent reaches the model as JSON, twice.
#
# Guess before running: an answer of one text block becomes that text in the ToolMessage, as it does without
# structuredContent, and as in LangChain for Python.
# Seen: the message is the block as JSON, with structuredContent inside: the model reads the text with its lines escaped,
# so that a table is no longer one, and pays for the structure besides.
# Output seen:
#   the tool: {"type":"text","text":"one\ntwo","structuredContent":{"lines":["one","two"]}}
#   the message: "{\"type\":\"text\",\"text\":\"one\\ntwo\",\"structuredContent\":{\"lines\":[\"one\",\"two\"]}}"
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/package.json" <<'JSON'
{
  "private": true,
  "dependencies": {
    "@langchain/core": "1.4.0",
    "@langchain/mcp-adapters": "1.1.4",
    "@modelcontextprotocol/sdk": "^1.20.0",
    "langchain": "1.5.14"
  }
}
JSON
npm install --silent --no-fund --no-audit --prefix "$work" >/dev/null
cat >"$work/server.mjs" <<'NODE'
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";

const server = new McpServer({ name: "lines", version: "1" });
server.registerTool("lines", { description: "Two lines." }, async () => ({
  content: [{ type: "text", text: "one\ntwo" }],
  structuredContent: { lines: ["one", "two"] },
}));
await server.connect(new StdioServerTransport());
NODE
cat >"$work/agent.mjs" <<'NODE'
import { BaseChatModel } from "@langchain/core/language_models/chat_models";
import { AIMessage, ToolMessage } from "@langchain/core/messages";
import { MultiServerMCPClient } from "@langchain/mcp-adapters";
import { createAgent } from "langchain";

class Scripted extends BaseChatModel {
  _llmType() {
    return "scripted";
  }
  bindTools() {
    return this;
  }
  async _generate(messages) {
    const answer = messages.find((message) => ToolMessage.isInstance(message));
    if (answer) console.log("the message:", JSON.stringify(answer.text));
    const calls = answer ? [] : [{ name: "lines", args: {}, id: "1", type: "tool_call" }];
    return { generations: [{ text: "", message: new AIMessage({ content: "", tool_calls: calls }) }] };
  }
}

const client = new MultiServerMCPClient({ mcpServers: { lines: { transport: "stdio", command: "node", args: ["server.mjs"] } } });
const tools = await client.getTools();
console.log("the tool:", JSON.stringify(await tools[0].invoke({})));
await createAgent({ model: new Scripted({}), tools }).invoke({ messages: [{ role: "user", content: "?" }] });
await client.close();
NODE
(cd "$work" && node agent.mjs) >"$work/seen.txt"
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
the tool: {"type":"text","text":"one\ntwo","structuredContent":{"lines":["one","two"]}}
the message: "{\"type\":\"text\",\"text\":\"one\\ntwo\",\"structuredContent\":{\"lines\":[\"one\",\"two\"]}}"
SEEN
