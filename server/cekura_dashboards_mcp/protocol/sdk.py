"""The undocumented parts of the MCP SDK that this server uses; no other module imports any.

A tool of the catalogue validates its arguments, writes its errors and asks the user in the middle of a call, for
which the SDK has no public API yet. Hence ``mcp>=2.3,<2.4`` in pyproject.toml: raise it once these tests pass.

- ``ToolError``, ``UnexpectedToolError``: ``tests/protocol/test_tools_through_clients.py`` would notice.
- ``build_resolver_plans``, ``resolve_arguments``: ``tests/protocol/test_elicitation.py``, in both eras of the protocol.
- ``list_allowed_tools``: ``tests/protocol/test_chart_view.py``, in both eras.
- ``list_by_client``: ``tests/protocol/test_tools_by_client.py``, in both eras.
- ``complete_with``: ``tests/protocol/test_prompts_and_resources.py``, in both eras and with the key of each request.
- ``Prompt``, ``PromptArgument``, ``ResourceNotFoundError``: the same.
- ``run_over`` with the types of its streams: ``tests/protocol/test_stdio.py``.
- ``MODERN_PROTOCOL_VERSIONS``, ``TextResource``: ``tests/protocol/test_skills.py``, in both eras.
- ``is_version_at_least``: ``tests/protocol/test_elicitation.py``, where an old client over HTTP cannot be asked.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from mcp.server import MCPServer
from mcp.server.apps import client_supports_apps
from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ResourceNotFoundError, ToolError, UnexpectedToolError
from mcp.server.mcpserver.prompts import Prompt
from mcp.server.mcpserver.prompts.base import PromptArgument
from mcp.server.mcpserver.resolve import Elicit, Resolve, build_resolver_plans, resolve_arguments
from mcp.server.mcpserver.resources import TextResource
from mcp.shared._stream_protocols import ReadStream, WriteStream
from mcp.shared.message import SessionMessage
from mcp.types import (
    CompleteRequestParams,
    CompleteResult,
    Completion,
    ListPromptsResult,
    ListResourcesResult,
    ListToolsResult,
    PaginatedRequestParams,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS, is_version_at_least

__all__ = [
    "MODERN_PROTOCOL_VERSIONS",
    "Elicit",
    "Prompt",
    "PromptArgument",
    "ReadStream",
    "Resolve",
    "ResourceNotFoundError",
    "SessionMessage",
    "TextResource",
    "ToolError",
    "UnexpectedToolError",
    "WriteStream",
    "build_resolver_plans",
    "complete_with",
    "is_version_at_least",
    "list_allowed_tools",
    "list_by_client",
    "resolve_arguments",
    "run_over",
]


def list_allowed_tools(
    server: MCPServer[Any],
    for_view: str,
    opened: Callable[[Context[Any, Any]], Callable[[str], bool]],
    serving: Callable[[ServerRequestContext[Any, Any]], MCPServer[Any]],
) -> None:
    """List the tools that a request's key may use, and those ``for_view`` only to clients that may show the view.

    ``serving``: returns the server for the client of a request.
    """

    async def list_tools(
        context: ServerRequestContext[Any, Any], _params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        tools = await serving(context).list_tools()
        shows = context.session.client_capabilities is None or client_supports_apps(context)
        is_open = opened(Context(request_context=context, mcp_server=server))
        offered = [tool for tool in tools if (shows if tool.name == for_view else is_open(tool.name))]
        return ListToolsResult(tools=offered)

    _lowlevel(server).add_request_handler("tools/list", PaginatedRequestParams, list_tools)


def list_by_client(server: MCPServer[Any], serving: Callable[[ServerRequestContext[Any, Any]], MCPServer[Any]]) -> None:
    """List the prompts and resources of the server that ``serving`` returns for the client of a request."""

    async def list_prompts(
        context: ServerRequestContext[Any, Any], _params: PaginatedRequestParams | None
    ) -> ListPromptsResult:
        return ListPromptsResult(prompts=await serving(context).list_prompts())

    async def list_resources(
        context: ServerRequestContext[Any, Any], _params: PaginatedRequestParams | None
    ) -> ListResourcesResult:
        return ListResourcesResult(resources=await serving(context).list_resources())

    _lowlevel(server).add_request_handler("prompts/list", PaginatedRequestParams, list_prompts)
    _lowlevel(server).add_request_handler("resources/list", PaginatedRequestParams, list_resources)


def complete_with(
    server: MCPServer[Any], completed: Callable[[Context[Any, Any], CompleteRequestParams], Awaitable[Completion]]
) -> None:
    """Complete arguments with a function that gets the request's context, which the SDK's decorator does not pass."""

    async def complete(context: ServerRequestContext[Any, Any], params: CompleteRequestParams) -> CompleteResult:
        completion = await completed(Context(request_context=context, mcp_server=server), params)
        return CompleteResult(completion=completion)

    _lowlevel(server).add_request_handler("completion/complete", CompleteRequestParams, complete)


async def run_over(
    server: MCPServer[Any], messages: ReadStream[SessionMessage | Exception], answers: WriteStream[SessionMessage]
) -> None:
    """Serve over two streams until the first ends, as ``MCPServer.run_stdio_async`` does over stdin and stdout."""
    lowlevel = _lowlevel(server)
    await lowlevel.run(messages, answers, lowlevel.create_initialization_options())


def _lowlevel(server: MCPServer[Any]) -> Any:
    return vars(server)["_lowlevel_server"]
