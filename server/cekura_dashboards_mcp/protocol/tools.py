"""The tool list as data, written from the catalogue, so that a server answers ``tools/list`` without importing it."""

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from mcp.server.session import ServerSession
from mcp.types import Tool as McpTool
from mcp.types import ToolAnnotations
from pydantic import BaseModel

from cekura_dashboards_mcp.protocol.profiles import TOOL_LIST

CHART_DATA = "chart_data"
"""The tool that only the chart view calls."""
SENTENCE = re.compile(r"(?<=\.)\s+")
CORE_CLIENTS = {
    "LocalAI": "runs models on its own machine; all tools of a model's servers are in each of its requests",
    "llama-webui-mcp": "the page of llama.cpp's server: its context is fixed at the start, and every tool is in it",
}
"""The clients that get the small profile with ``CEKURA_TOOLS=by-client``, by the name that they send, and why.

They run the model themselves, so its context is limited by the memory of their machine. Clients that
let the user choose the model, such as Jan or mcphost, are not included.
"""
BRIDGE = " (via mcp-remote"
"""The suffix of the name of a client that mcp-remote connects."""


class ToolList(BaseModel):
    """All tools as in ``tools/list``. ``prepares``: by name, the tool without which a tool is useless."""

    prepares: Mapping[str, str]
    tools: tuple[McpTool, ...]


@cache
def tool_list() -> ToolList:
    return ToolList.model_validate_json(TOOL_LIST.read_bytes())


def is_drawn(tool: McpTool) -> bool:
    """Whether a chart view can show its answers."""
    return tool.meta is not None


def _writes(tool: McpTool) -> bool:
    return not (tool.annotations and tool.annotations.read_only_hint)


def offered(*, read_only: bool, open_tools: Container[str] | None = None) -> list[McpTool]:
    """The tools to offer; in read-only mode without those that write or only prepare a write.

    ``open_tools``: the names of those that any key may use; None: no limit. Descriptions mention only offered tools.
    """
    everything = tool_list()
    absent = {tool.name for tool in everything.tools if read_only and _writes(tool)}
    absent |= {name for name, purpose in everything.prepares.items() if purpose in absent}
    absent |= {tool.name for tool in everything.tools if open_tools is not None and tool.name not in open_tools}
    return [
        tool.model_copy(update={"description": without(absent, tool.description or "")})
        for tool in everything.tools
        if tool.name not in absent
    ]


def without(absent: Iterable[str], text: str) -> str:
    """A text for a model, without the sentences about tools that are not offered."""
    sentences = SENTENCE.split(text)
    return " ".join(sentence for sentence in sentences if not any(name in sentence for name in absent))


def chart_data(drawn: Sequence[str]) -> McpTool:
    """The tool that only the chart view calls, for the answers of these tools."""
    title = "Data of the chart view"
    return McpTool(
        name=CHART_DATA,
        title=title,
        description="Used by the chart view; do not call.",
        input_schema={
            "type": "object",
            "properties": {
                "tool": {"type": "string", "enum": [*drawn]},
                "arguments": {"type": "object", "properties": {}},
            },
            "required": ["tool"],
        },
        annotations=ToolAnnotations(
            title=title, read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=True
        ),
        _meta={"ui": {"visibility": ["app"]}},
    )


def from_catalogue() -> dict[str, Any]:
    """The contents of the file, from the models of the catalogue."""
    from cekura_dashboards import TOOLS
    from cekura_dashboards.arguments.schema import input_schemas, output_schemas
    from cekura_dashboards_mcp.protocol.chart_view import bound_to_view

    inputs, outputs = input_schemas(tool.request for tool in TOOLS), output_schemas(tool.result for tool in TOOLS)
    tools = [
        McpTool(
            name=tool.name,
            title=tool.title,
            description=tool.description,
            input_schema=inputs[tool.request],
            output_schema=outputs[tool.result],
            annotations=ToolAnnotations(
                title=tool.title,
                read_only_hint=not tool.writes,
                destructive_hint=tool.destructive,
                idempotent_hint=tool.idempotent,
                open_world_hint=True,
            ),
            _meta=bound_to_view(tool.name) if tool.is_drawn else None,
        )
        for tool in TOOLS
    ]
    prepares = {tool.name: tool.prepares for tool in TOOLS if tool.prepares}
    return ToolList(prepares=prepares, tools=tuple(tools)).model_dump(mode="json", by_alias=True, exclude_none=True)


def is_core_client(session: ServerSession) -> bool:
    """Whether the client of a request is one of ``CORE_CLIENTS``, by the name that it sent.

    The name comes with ``initialize`` or, since 2026-07-28, with each request. Requests of older clients to a stateless
    server have no name, so the result is False.
    """
    client = session.client_params
    return client is not None and client.client_info.name.partition(BRIDGE)[0] in CORE_CLIENTS
