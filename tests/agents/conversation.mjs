// A conversation with the tools through a JavaScript framework: read, edit, confirm, undo, read again.
//
// conversation.mjs FOLDER FRAMEWORK PROFILES COMMAND...: for each of the profiles, with commas between them, starts the
// server by COMMAND with that profile in CEKURA_TOOLS, and prints as JSON which tools the framework offered and what each
// call answered. Instead of a model there is a script, in the form that the framework has for tests. FOLDER: where the
// packages of package.json are installed.
import { createRequire } from "node:module";

const [folder, framework, profiles, command, ...args] = process.argv.slice(2);
const require = createRequire(`${folder}/`);

const EDIT = { dashboard_id: "Booking agent", delete: ["Appointments booked"] };
const READ = ["get_widgets_data", { dashboard_id: "Booking agent", window: "7d", points: 0 }];

// The name and arguments of the call that follows, or null at the end.
function nextCall(answers) {
  if (answers.length === 1) return ["bulk_edit_dashboard", EDIT];
  if (answers.length === 2) {
    return ["bulk_edit_dashboard", { ...EDIT, plan_id: /^plan_id: (\S+)$/m.exec(answers[1])[1] }];
  }
  if (answers.length === 3) {
    const [, tool, written] = /^undo: (\w+) (\{.*\})$/m.exec(answers[2]);
    return [tool, JSON.parse(written)];
  }
  return answers.length === 5 ? null : READ;
}

async function aiSdk(env) {
  const { generateText, stepCountIs } = require("ai");
  const { MockLanguageModelV3 } = require("ai/test");
  const { createMCPClient } = require("@ai-sdk/mcp");
  const { Experimental_StdioMCPTransport: Transport } = require("@ai-sdk/mcp/mcp-stdio");
  let tools = [];
  let answers = [];
  const usage = { inputTokens: { total: 0 }, outputTokens: { total: 0 } };
  const model = new MockLanguageModelV3({
    doGenerate: async ({ prompt, tools: offered }) => {
      tools = offered.map((tool) => tool.name);
      const parts = prompt.filter((message) => message.role === "tool").flatMap((message) => message.content);
      answers = parts.map((part) => textOf(part.output.value.content ?? part.output.value));
      const call = nextCall(answers);
      const content = call
        ? [{ type: "tool-call", toolCallId: String(answers.length), toolName: call[0], input: JSON.stringify(call[1]) }]
        : [{ type: "text", text: "Done." }];
      return { content, finishReason: { unified: call ? "tool-calls" : "stop", raw: "" }, usage, warnings: [] };
    },
  });
  const client = await createMCPClient({ transport: new Transport({ command, args, env }) });
  try {
    await generateText({ model, tools: await client.tools(), prompt: "?", stopWhen: stepCountIs(9) });
  } finally {
    await client.close();
  }
  return { tools, answers };
}

async function langchain(env) {
  const { createAgent } = require("langchain");
  const { BaseChatModel } = require("@langchain/core/language_models/chat_models");
  const { AIMessage, ToolMessage } = require("@langchain/core/messages");
  const { MultiServerMCPClient } = require("@langchain/mcp-adapters");
  let tools = [];
  let answers = [];
  class Scripted extends BaseChatModel {
    _llmType() {
      return "scripted";
    }
    bindTools(offered) {
      tools = offered.map((tool) => tool.name);
      return this;
    }
    async _generate(messages) {
      // the agent writes the block of an answer as JSON into the message
      answers = messages.filter((message) => ToolMessage.isInstance(message)).map((message) => JSON.parse(message.text).text);
      const call = nextCall(answers);
      const calls = call ? [{ name: call[0], args: call[1], id: String(answers.length), type: "tool_call" }] : [];
      const message = new AIMessage({ content: call ? "" : "Done.", tool_calls: calls });
      return { generations: [{ text: "", message }] };
    }
  }
  const client = new MultiServerMCPClient({ mcpServers: { cekura: { transport: "stdio", command, args, env } } });
  try {
    const agent = createAgent({ model: new Scripted({}), tools: await client.getTools() });
    await agent.invoke({ messages: [{ role: "user", content: "?" }] });
  } finally {
    await client.close();
  }
  return { tools, answers };
}

// Of an answer, which is a text or a list of blocks.
function textOf(value) {
  return typeof value === "string" ? value : value.map((block) => block.text ?? "").join("");
}

const conversations = {};
for (const profile of profiles.split(",")) {
  const env = { ...process.env, CEKURA_TOOLS: profile };
  conversations[profile] = await { "ai-sdk": aiSdk, "langchain-js": langchain }[framework](env);
}
process.stdout.write(`${JSON.stringify(conversations)}\n`, () => process.exit(0));
