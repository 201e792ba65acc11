"""Tool schemas as Python frameworks convert them. Needs the frameworks, not this project.

``conversions.py FRAMEWORK COMMAND...``: starts the server with COMMAND, and prints as JSON the schemas that the
framework shows to a model, and the answer of a call with a name as its argument.
"""

import asyncio
import json
import sys

CALL = {"name": "get_dashboard", "args": {"dashboard_id": "Booking agent"}}


async def google_genai(command, args):
    import httpx
    from google import genai
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client

    requests = []

    def respond(request):
        requests.append(json.loads(request.content))
        part = {"functionCall": CALL} if len(requests) == 1 else {"text": "Done."}
        return httpx.Response(200, json={"candidates": [{"content": {"role": "model", "parts": [part]}}]})

    transport = httpx.MockTransport(respond)  # replaces Google
    client = genai.Client(api_key="none", http_options={"httpx_async_client": httpx.AsyncClient(transport=transport)})
    server = StdioServerParameters(command=command, args=args)
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        arguments = {"model": "gemini-2.5-flash", "contents": "?", "config": {"tools": [session]}}
        await client.aio.models.generate_content(**arguments)
    declared = [item for tool in requests[0]["tools"] for item in tool["functionDeclarations"]]
    schemas = {item["name"]: item["parameters"] for item in declared}
    return {"schemas": schemas, "answer": json.dumps(requests[1]["contents"][-1])}


async def openai_agents(command, args):
    from agents.mcp import MCPServerStdio, MCPUtil

    params = {"command": command, "args": args}
    async with MCPServerStdio(params=params, client_session_timeout_seconds=300) as server:
        tools = [MCPUtil.to_function_tool(tool, server, True) for tool in await server.list_tools()]
        answer = await server.call_tool(CALL["name"], CALL["args"])
    schemas = {tool.name: tool.params_json_schema for tool in tools if tool.strict_json_schema}
    return {"schemas": schemas, "answer": answer.content[0].text}


FRAMEWORKS = {"google-genai": google_genai, "openai-agents": openai_agents}


if __name__ == "__main__":
    framework, command, *args = sys.argv[1:]
    print(json.dumps(asyncio.run(FRAMEWORKS[framework](command, args))))
