"""From the catalogue of tools to tools of an MCP server."""

import re
from collections.abc import Sequence
from functools import cache, cached_property, partial
from typing import Any

from mcp.server.apps import client_supports_apps
from mcp.server.mcpserver import Context
from mcp.types import CallToolResult, InputRequiredResult, TextContent, ToolAnnotations
from pydantic import BaseModel, Field, InstanceOf

from cekura_dashboards import TOOLS, DashboardsError, Tool, call_tool
from cekura_dashboards.api.errors import InvalidArguments, NotFound, PlanRefused
from cekura_dashboards.api.models import is_object
from cekura_dashboards.arguments.schema import Schema, input_schemas, output_schemas
from cekura_dashboards.values import replace
from cekura_dashboards_mcp.connection import Connection, NotAllowed
from cekura_dashboards_mcp.protocol.calls import ask, can_ask, observe
from cekura_dashboards_mcp.protocol.chart_view import CHART, CHART_DATA, bound_to_view
from cekura_dashboards_mcp.protocol.sdk import Tool as McpTool
from cekura_dashboards_mcp.protocol.sdk import UnexpectedToolError, func_metadata

SENTENCE = re.compile(r"(?<=\.)\s+")


@cache
def _inputs() -> dict[type[BaseModel], Schema]:
    return input_schemas(tool.request for tool in TOOLS)


@cache
def _outputs() -> dict[type[BaseModel], Schema]:
    return output_schemas(tool.result for tool in TOOLS)


class CatalogueTool(McpTool):
    """A tool of the catalogue, its arguments validated and its errors worded by the catalogue itself."""

    catalogue_entry: InstanceOf[Tool[Any, Any]] = Field(exclude=True)
    for_view: bool = Field(default=False, exclude=True)
    """Whether the chart view asks: its answers hold almost no text."""

    @cached_property
    def output_schema(self) -> dict[str, Any] | None:
        return _outputs()[self.catalogue_entry.result]

    async def run(self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False) -> Any:  # noqa: ARG002, FBT001, FBT002 - the SDK gives these
        """Answer with text and structure, and with a chart for those who show it.

        A fault of ours is answered with its exact text and isError, and a question to a person as that question.
        """
        connection: Connection = context.request_context.lifespan_context
        tool = self.catalogue_entry
        draws = self.for_view or (tool.is_drawn and client_supports_apps(context))
        with observe(tool.name, connection.caller(context.headers)) as call:
            try:
                connection.refuse_unless_open(context.headers, tool.name)
                tools = await connection.tool_context(context.headers)
                tools = replace(tools, progress=context.report_progress, draws=draws)
                approve = partial(_approve, context) if can_ask(context) else None
                answer = await call_tool(tools, tool, arguments, approve=approve)
            except ConfirmationNeeded as asked:
                call.outcome = "asked"
                return asked.result
            except DashboardsError as error:
                call.outcome = type(error).__name__
                text = str(error) if isinstance(error, ANSWERABLE) else f"{error} (request {call.request})"
                return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)
            except Exception as error:
                call.outcome = f"fault {type(error).__name__}"
                raise UnexpectedToolError(
                    f"{tool.name} failed unexpectedly ({type(error).__name__}): a fault of this server; its log tells "
                    f"more (request {call.request})."
                ) from error
            call.outcome, call.characters = "ok", len(answer.text)
        return CallToolResult(
            content=[TextContent(type="text", text="Data for the chart view." if self.for_view else answer.text)],
            structured_content=None if self.for_view else answer.structured,
            _meta={CHART: answer.drawing} if answer.drawing is not None else None,
        )


ANSWERABLE = (InvalidArguments, NotFound, PlanRefused, NotAllowed)
"""Errors that the caller can mend alone; the others carry the id under which the log has the call."""


class ConfirmationNeeded(Exception):
    """A question to the person, which ends the call: the client makes it again with the answer."""

    def __init__(self, result: InputRequiredResult) -> None:
        super().__init__("a person is asked")
        self.result = result


async def _approve(context: Context[Any, Any], question: str, *, planned: bool) -> bool:
    result = await ask(context, question, planned=planned)
    if isinstance(result, InputRequiredResult):
        raise ConfirmationNeeded(result)
    return result


class ChartData(McpTool):
    """The way back for a chart view that was not handed its data, or that asks for other data."""

    drawn: dict[str, CatalogueTool] = Field(exclude=True)

    async def run(self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False) -> Any:  # noqa: ARG002, FBT001, FBT002 - the SDK gives these
        """Answer with what is drawn of a tool's answer, and with next to no text."""
        tool = self.drawn.get(str(arguments.get("tool")))
        tool_arguments: Any = arguments.get("arguments") or {}
        if tool is None or not is_object(tool_arguments):
            text = f"tool is one of {', '.join(self.drawn)}, arguments an object."
            return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)
        return await tool.run(tool_arguments, context)


def _never_called() -> None:
    """Stands where the SDK wants a function; ``run`` of the classes above does the work."""


_METADATA = func_metadata(_never_called, structured_output=False)


def chart_data(offered: Sequence[CatalogueTool]) -> ChartData:
    """The tool that only the chart view calls."""
    drawn_tools = [tool.model_copy(update={"for_view": True}) for tool in offered if tool.catalogue_entry.is_drawn]
    drawn = {tool.name: tool for tool in drawn_tools}
    title = "Data of the chart view"
    return ChartData(
        drawn=drawn,
        fn=_never_called,
        name=CHART_DATA,
        title=title,
        description="Used by the chart view; do not call.",
        context_kwarg=None,
        parameters={
            "type": "object",
            "properties": {
                "tool": {"type": "string", "enum": [*drawn]},
                "arguments": {"type": "object", "properties": {}},
            },
            "required": ["tool"],
        },
        fn_metadata=_METADATA,
        is_async=True,
        annotations=ToolAnnotations(
            title=title, read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=True
        ),
        meta={"ui": {"visibility": ["app"]}},
    )


def register_tools(tool: Tool[Any, Any], description: str) -> CatalogueTool:
    return CatalogueTool(
        catalogue_entry=tool,
        fn=_never_called,
        name=tool.name,
        title=tool.title,
        description=description,
        context_kwarg=None,
        parameters=_inputs()[tool.request],
        fn_metadata=_METADATA,
        is_async=True,
        annotations=ToolAnnotations(
            title=tool.title,
            read_only_hint=not tool.writes,
            destructive_hint=tool.destructive,
            idempotent_hint=tool.idempotent,
            open_world_hint=True,
        ),
        meta=bound_to_view(tool.name) if tool.is_drawn else None,
    )


def catalogue(*, read_only: bool) -> Sequence[Tool[Any, Any]]:
    """The tools to offer: in read-only mode none that writes, nor one that only prepares for it."""
    left_out = {tool.name for tool in TOOLS if read_only and tool.writes}
    return [tool for tool in TOOLS if tool.name not in left_out and tool.prepares not in left_out]


def about(text: str, offered: Sequence[Tool[Any, Any]]) -> str:
    """What is said to a model, without the sentences that point to a tool that is not offered."""
    absent = {tool.name for tool in TOOLS} - {tool.name for tool in offered}
    sentences = SENTENCE.split(text)
    return " ".join(sentence for sentence in sentences if not any(name in sentence for name in absent))
