"""From the catalogue of tools to tools of an MCP server."""

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, cached_property, partial
from typing import Any

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult, InputRequiredResult, TextContent, ToolAnnotations
from pydantic import BaseModel, Field

from cekura_dashboards import TOOLS, DashboardsError, Tool, call_tool
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
            approve = partial(_approve, context) if can_ask(context) else None
            text, structured = await call_tool(tools, self.catalogue_entry, arguments, approve=approve)
        except Question as asked:
            return asked.result
        except DashboardsError as error:
            log.info("%s: %s", self.name, type(error).__name__)
            return CallToolResult(content=[TextContent(type="text", text=str(error))], is_error=True)
        except Exception as error:
            raise UnexpectedToolError(
                f"{self.name} failed unexpectedly ({type(error).__name__}): a fault of this server; its log tells more."
            ) from error
        return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=structured)


class Question(Exception):
    """A question to the person, which ends the call: the client makes it again with the answer."""

    def __init__(self, result: InputRequiredResult) -> None:
        super().__init__("a person is asked")
        self.result = result


async def _approve(context: Context[Any, Any], question: str) -> None:
    if (result := await ask(context, question)) is not None:
        raise Question(result)


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
