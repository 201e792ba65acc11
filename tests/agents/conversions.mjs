// What JavaScript frameworks make of the tools. Needs the packages of package.json, not this project.
//
// conversions.mjs FOLDER FRAMEWORK COMMAND...: starts the server by COMMAND, prints as JSON the schemas that a model is
// shown by the framework, and what a call with names and nulls answered. FOLDER: where the packages are installed.
import { createRequire } from "node:module";

const [folder, framework, command, ...args] = process.argv.slice(2);
const require = createRequire(`${folder}/`);

// Of a model: a call of a tool first, and a text after its answer.
const CALL = { name: "get_dashboard", args: { dashboard_id: "Booking agent" } };

async function aiSdkGoogle() {
  const { generateText, stepCountIs } = require("ai");
  const { createGoogleGenerativeAI } = require("@ai-sdk/google");
  const { createMCPClient } = require("@ai-sdk/mcp");
  const { Experimental_StdioMCPTransport: Transport } = require("@ai-sdk/mcp/mcp-stdio");
  const requests = [];
  const respond = async (_url, init) => {
    requests.push(JSON.parse(init.body));
    const part = requests.length === 1 ? { functionCall: CALL } : { text: "Done." };
    return Response.json({ candidates: [{ content: { role: "model", parts: [part] }, finishReason: "STOP" }] });
  };
  const model = createGoogleGenerativeAI({ apiKey: "none", fetch: respond })("gemini-2.5-flash");
  const client = await createMCPClient({ transport: new Transport({ command, args }) });
  try {
    await generateText({ model, tools: await client.tools(), prompt: "?", stopWhen: stepCountIs(2) });
  } finally {
    await client.close();
  }
  const declared = requests[0].tools.flatMap((tool) => tool.functionDeclarations);
  const schemas = Object.fromEntries(declared.map((tool) => [tool.name, tool.parameters]));
  return { schemas, answer: JSON.stringify(requests[1].contents.at(-1)) };
}

async function openaiAgents() {
  const { MCPServerStdio, RunContext, getAllMcpTools } = require("@openai/agents");
  const server = new MCPServerStdio({ command, args, clientSessionTimeoutSeconds: 300, timeout: 300_000 });
  await server.connect();
  try {
    const tools = await getAllMcpTools({ mcpServers: [server], convertSchemasToStrict: true });
    const [dashboards] = tools.filter((tool) => tool.name === "list_dashboards");
    const answer = await dashboards.invoke(new RunContext(), '{"project_id": null, "search": "booking", "page": null}');
    const strict = tools.filter((tool) => tool.strict);
    const schemas = Object.fromEntries(strict.map((tool) => [tool.name, tool.parameters]));
    return { schemas, answer: JSON.stringify(answer) };
  } finally {
    await server.close();
  }
}

async function langchain() {
  const { MultiServerMCPClient } = require("@langchain/mcp-adapters");
  const client = new MultiServerMCPClient({ mcpServers: { cekura: { transport: "stdio", command, args } } });
  try {
    const tools = await client.getTools();
    const schemas = Object.fromEntries(tools.map((tool) => [tool.name, tool.schema]));
    const [dashboard] = tools.filter((tool) => tool.name === CALL.name);
    return { schemas, answer: JSON.stringify(await dashboard.invoke(CALL.args)) };
  } finally {
    await client.close();
  }
}

const found = await { "ai-sdk-google": aiSdkGoogle, "openai-agents-js": openaiAgents, "langchain-js": langchain }[framework]();
process.stdout.write(`${JSON.stringify(found)}\n`, () => process.exit(0));
