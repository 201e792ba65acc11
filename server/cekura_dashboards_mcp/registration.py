"""From the catalogue of tools to tools of an MCP server."""

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, cached_property
from typing import Any

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult, InputRequiredResult, TextContent, ToolAnnotations
from pydantic import BaseModel, Field

from cekura_dashboards import TOOLS, Plan, Tool, ToolContext, WritingTool, answered, call_tool, understood
from cekura_dashboards.api.errors import DashboardsError, PlanRefused
from cekura_dashboards.arguments.schema import Schema, input_schemas, output_schemas
from cekura_dashboards_mcp.connection import Connection
from cekura_dashboards_mcp.consent import ask, can_ask
from cekura_dashboards_mcp.sdk import Tool as McpTool
from cekura_dashboards_mcp.sdk import UnexpectedToolError, func_metadata

log = logging.getLogger(__name__)
SENTENCE = re.compile(r"(?<=\.)\s+")


@cache
def _inputs() -> dict[type[BaseModel], Schema]:
    return input_schemas(tool.request for tool in TOOLS)


@cache
def _outputs() -> dict[type[BaseModel], Schema]:
    return output_schemas(tool.result for tool in TOOLS)


class CatalogueTool(McpTool):
    """A tool of the catalogue, its arguments validated and its errors worded by the catalogue itself."""

    catalogue_entry: Tool[Any, Any] = Field(exclude=True)

    @cached_property
    def output_schema(self) -> dict[str, Any] | None:
        return _outputs()[self.catalogue_entry.result]

    async def run(self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False) -> Any:  # noqa: ARG002, FBT001, FBT002 - the SDK gives these
        """Answer with text and structure; a fault of ours with its exact text and isError."""
        connection: Connection = context.request_context.lifespan_context
        try:
            tools = replace(await connection.tool_context(context.headers), progress=context.report_progress)
            tool = self.catalogue_entry
            if isinstance(tool, WritingTool):
                answer = await _written(tools, tool, arguments, context)
            else:
                answer = await call_tool(tools, tool, arguments)
        except DashboardsError as error:
            log.info("%s: %s", self.name, type(error).__name__)
            return CallToolResult(content=[TextContent(type="text", text=str(error))], is_error=True)
        except Exception as error:
            raise UnexpectedToolError(
                f"{self.name} failed unexpectedly ({type(error).__name__}): a fault of this server; its log tells more."
            ) from error
        if isinstance(answer, InputRequiredResult):
            return answer
        text, structured = answer
        return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=structured)


async def _written(
    tools: ToolContext, tool: WritingTool[Any], arguments: dict[str, Any], context: Context[Any, Any]
) -> tuple[str, dict[str, Any]] | InputRequiredResult:
    """Run a writing tool; where its plan needs a person, and there is one to ask, ask first."""
    confirm, asked = tools.settings.confirm, tools.for_one_call()
    request, notes = await understood(asked, tool.request, arguments)
    made: Plan[Any] = await tool.plan(asked, request)
    if made.needs_person(confirm) and can_ask(context):
        if (question := await ask(context, made.question(tools))) is not None:
            return question
        made = await _planned_again(tools, tool, request, made)
    return answered(tool, await tool.carry_out(tools.for_one_call(), made), notes)


async def _planned_again(tools: ToolContext, tool: WritingTool[Any], request: Any, made: Plan[Any]) -> Plan[Any]:
    """The same plan, approved, from what is stored now: a person may take their time to answer.

    Raises:
        PlanRefused: if it is not the same any more.
    """
    now: Plan[Any] = await tool.plan(tools.for_one_call(), request)
    if now.fingerprint(tools) != made.fingerprint(tools):
        raise PlanRefused(
            "Nothing was changed: while the user was asked, what this edit touches was changed by somebody else. "
            "Look at it with get_dashboard, then call again."
        )
    return replace(now, approved=True)


def _never_called() -> None:
    """Stands where the SDK wants a function; ``CatalogueTool.run`` does the work."""


_METADATA = func_metadata(_never_called, structured_output=False)


def registered(tool: Tool[Any, Any], description: str) -> CatalogueTool:
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
    )


def catalogue(*, read_only: bool) -> Sequence[Tool[Any, Any]]:
    """The tools to offer: in read-only mode none that writes, nor one that only prepares for it."""
    left = {tool.name for tool in TOOLS if read_only and tool.writes}
    return [tool for tool in TOOLS if tool.name not in left and tool.prepares not in left]


def about(text: str, offered: Sequence[Tool[Any, Any]]) -> str:
    """What is said to a model, without the sentences that point to a tool that is not offered."""
    absent = {tool.name for tool in TOOLS} - {tool.name for tool in offered}
    sentences = SENTENCE.split(text)
    return " ".join(sentence for sentence in sentences if not any(name in sentence for name in absent))
