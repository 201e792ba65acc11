"""The parts of the MCP SDK that it does not document as public; nothing else here imports any.

A tool of the catalogue validates its own arguments, words its own errors and asks a person in the middle of a call, for
which the SDK has no public way yet. Hence ``mcp>=2.3,<2.4`` in pyproject.toml: a newer SDK is taken once these hold.

- ``Tool``, ``func_metadata``, ``UnexpectedToolError``: ``tests/server/test_tools_through_clients.py`` and
  ``tests/server/test_schemas.py`` would notice.
- ``build_resolver_plans``, ``resolve_arguments``: ``tests/server/test_consent.py``, in both eras of the protocol.
- ``serve_tools_and_view_only``: ``tests/server/test_what_is_offered.py`` and ``test_what_is_drawn.py``, in both eras.
- ``is_version_at_least``: ``tests/server/test_consent.py``, where an old client on stateless HTTP cannot be asked.
"""

from typing import Any, cast

from mcp.server import MCPServer
from mcp.server.apps import client_supports_apps
from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.server.mcpserver.resolve import Elicit, Resolve, build_resolver_plans, resolve_arguments
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import func_metadata
from mcp.types import ListToolsResult, PaginatedRequestParams
from mcp_types.version import is_version_at_least

__all__ = [
    "Elicit",
    "Resolve",
    "Tool",
    "ToolError",
    "UnexpectedToolError",
    "build_resolver_plans",
    "func_metadata",
    "is_version_at_least",
    "resolve_arguments",
    "serve_tools_and_view_only",
]


def serve_tools_and_view_only(server: MCPServer[Any], for_view: str) -> None:
    """Take back the handlers from which the SDK advertises prompts, of which there are none here.

    ``for_view``: a tool that is listed only to clients that can show the view, or of which that is not known.
    """
    lowlevel: Any = vars(server)["_lowlevel_server"]  # there is no public way to take one back
    handlers = cast("dict[str, object]", vars(lowlevel)["_request_handlers"])
    for method in [name for name in handlers if name.startswith("prompts/")]:
        del handlers[method]

    async def list_tools(
        context: ServerRequestContext[Any, Any], _params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        tools = await server.list_tools()
        shows = context.session.client_capabilities is None or client_supports_apps(context)
        return ListToolsResult(tools=[tool for tool in tools if shows or tool.name != for_view])

    lowlevel.add_request_handler("tools/list", PaginatedRequestParams, list_tools)
