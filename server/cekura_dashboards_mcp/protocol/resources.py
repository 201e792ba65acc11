"""Resources: the guide, and each dashboard as it is set up."""

from mcp import MCPError
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.types import INVALID_PARAMS

from cekura_dashboards import TOOLS, DashboardsError, call_tool
from cekura_dashboards.arguments.references import number_or_name
from cekura_dashboards.reports.guide import guide
from cekura_dashboards_mcp.connection import Connection

GUIDE = "cekura://guide"
DASHBOARD = "cekura://dashboards/{id}"
_SETUP = next(tool for tool in TOOLS if tool.name == "get_dashboard")


def add_resources(server: MCPServer[Connection]) -> None:
    """Offer them."""
    server.resource(
        GUIDE,
        name="guide",
        title="Fields, filters, times and limits",
        description="What can be charted, how filters and windows are written, with examples, and what the API lacks.",
        mime_type="text/markdown",
    )(guide)
    server.resource(
        DASHBOARD,
        name="dashboard",
        title="A dashboard's setup",
        description="Filters and widgets of one dashboard, by id or exact name; no chart data.",
        mime_type="text/plain",
    )(_dashboard)


async def _dashboard(id: str, context: Context[Connection, object]) -> str:  # noqa: A002 - the name in the address
    """What get_dashboard says.

    Raises:
        MCPError: with the tool's own words.
    """
    connection = context.request_context.lifespan_context
    try:
        connection.refuse_unless_open(context.headers, _SETUP.name)
        tools = await connection.tool_context(context.headers)
        answer = await call_tool(tools, _SETUP, {"dashboard_id": number_or_name(id)})
    except DashboardsError as error:
        raise MCPError(INVALID_PARAMS, str(error)) from None
    return answer.text
