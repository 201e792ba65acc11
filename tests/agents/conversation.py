"""A scripted conversation with the tools through a Python framework: read, edit, confirm, undo, read again.

``conversation.py FRAMEWORK PROFILES COMMAND...``: for each of the comma-separated profiles, starts the server with
COMMAND and that profile in CEKURA_TOOLS, and prints as JSON the tools that the framework offered and the answer of each
call. The model is replaced by a script, in the form that the framework provides for tests. Needs the frameworks, not
this project.
"""

import asyncio
import json
import os
import re
import sys

EDIT = {"dashboard_id": "Booking agent", "delete": ["Appointments booked"]}
READ = ("get_widgets_data", {"dashboard_id": "Booking agent", "window": "7d", "points": 0})


def next_call(answers):
    """The name and arguments of the next call, or None at the end; answers are texts or objects."""
    if len(answers) == 1:
        return "bulk_edit_dashboard", EDIT
    if len(answers) == 2:
        return "bulk_edit_dashboard", {**EDIT, "plan_id": plan_in(answers[1])}
    if len(answers) == 3:
        return undo_in(answers[2])
    return None if len(answers) == 5 else READ


def plan_in(answer):
    return answer["plan_id"] if isinstance(answer, dict) else re.search(r"^plan_id: (\S+)$", answer, re.MULTILINE)[1]


def undo_in(answer):
    if isinstance(answer, dict):
        return answer["undo"]["tool"], answer["undo"]["arguments"]
    tool, arguments = re.search(r"^undo: (\w+) (\{.*\})$", answer, re.MULTILINE).groups()
    return tool, json.loads(arguments)


async def fastmcp(command, args, env):
    from fastmcp import Client
    from fastmcp.client.transports import StdioTransport

    answers = []
    async with Client(StdioTransport(command, args, env)) as client:
        tools = [tool.name for tool in await client.list_tools()]
        while call := next_call(answers):
            result = await client.call_tool(*call)
            answers.append(result.content[0].text)
    return tools, answers


async def pydantic_ai(command, args, env):
    from fastmcp.client.transports import StdioTransport
    from pydantic_ai import Agent
    from pydantic_ai.mcp import MCPToolset
    from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart, ToolReturnPart
    from pydantic_ai.models.function import FunctionModel

    tools, answers = [], []

    def respond(messages, info):
        parts = [part for message in messages for part in message.parts]
        tools[:] = [tool.name for tool in info.function_tools]
        answers[:] = [part.content for part in parts if isinstance(part, ToolReturnPart)]
        call = next_call(answers)
        return ModelResponse(parts=[ToolCallPart(*call) if call else TextPart("Done.")])

    agent = Agent(FunctionModel(respond), toolsets=[MCPToolset(StdioTransport(command, args, env), init_timeout=300)])
    async with agent:
        await agent.run("?")
    return tools, answers


async def langchain(command, args, env):
    from langchain.agents import create_agent
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage, ToolMessage
    from langchain_core.outputs import ChatGeneration, ChatResult
    from langchain_mcp_adapters.client import MultiServerMCPClient
    from langchain_mcp_adapters.tools import load_mcp_tools

    tools, answers = [], []

    class Scripted(BaseChatModel):
        @property
        def _llm_type(self):
            return "scripted"

        def bind_tools(self, tools_offered, **_given):
            tools[:] = [tool.name for tool in tools_offered]
            return self

        def _generate(self, messages, stop=None, run_manager=None, **_given):
            answers[:] = [message.text for message in messages if isinstance(message, ToolMessage)]
            message = AIMessage(content="Done.")
            if call := next_call(answers):
                name, arguments = call
                message = AIMessage(content="", tool_calls=[{"name": name, "args": arguments, "id": str(len(answers))}])
            return ChatResult(generations=[ChatGeneration(message=message)])

    client = MultiServerMCPClient({"cekura": {"transport": "stdio", "command": command, "args": args, "env": env}})
    async with client.session("cekura") as session:
        agent = create_agent(Scripted(), await load_mcp_tools(session))
        await agent.ainvoke({"messages": [{"role": "user", "content": "?"}]})
    return tools, answers


async def openai_agents(command, args, env):
    from agents.mcp import MCPServerStdio
    from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

    from agents import Agent, Model, ModelResponse, Runner, Usage, set_tracing_disabled

    set_tracing_disabled(disabled=True)
    offered, answers = [], []

    class Scripted(Model):
        async def get_response(self, system_instructions, input, model_settings, tools, *_rest, **_given):
            offered[:] = [tool.name for tool in tools]
            outputs = [item for item in input if isinstance(item, dict) and item.get("type") == "function_call_output"]
            answers[:] = [text_of(item["output"]) for item in outputs]
            if call := next_call(answers):
                name, arguments = call
                output = ResponseFunctionToolCall(
                    type="function_call", call_id=str(len(answers)), name=name, arguments=json.dumps(arguments)
                )
            else:
                text = ResponseOutputText(type="output_text", text="Done.", annotations=[])
                output = ResponseOutputMessage(
                    id="end", type="message", role="assistant", status="completed", content=[text]
                )
            return ModelResponse(output=[output], usage=Usage(), response_id=None)

        def stream_response(self, *_given, **_more):
            raise NotImplementedError("the conversation does not stream")

    params = {"command": command, "args": args, "env": env}
    async with MCPServerStdio(params=params, client_session_timeout_seconds=300) as server:
        await Runner.run(Agent(name="Analyst", model=Scripted(), mcp_servers=[server]), "?")
    return offered, answers


def text_of(output):
    """The text of an answer, which is a text or a list of blocks."""
    if isinstance(output, list):
        return "".join(block["text"] for block in output)
    return output["text"] if isinstance(output, dict) else output


FRAMEWORKS = {
    "fastmcp": fastmcp,
    "pydantic-ai": pydantic_ai,
    "langchain": langchain,
    "openai-agents": openai_agents,
}


async def main(framework, profiles, command, *args):
    conversations = {}
    for profile in profiles.split(","):
        tools, answers = await FRAMEWORKS[framework](command, args, {**os.environ, "CEKURA_TOOLS": profile})
        conversations[profile] = {"tools": tools, "answers": answers}
    print(json.dumps(conversations))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
