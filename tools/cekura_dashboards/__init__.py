"""Tools that read, explain and edit Cekura dashboards. They know nothing of MCP and can be called as they are.

>>> from cekura_dashboards import TOOLS
>>> [tool.name for tool in TOOLS if not tool.writes][:2]
['list_dashboards', 'get_dashboard']
"""

from typing import Any

from cekura_dashboards.arguments import parse
from cekura_dashboards.context import ToolContext, open_context
from cekura_dashboards.edit import bulk_edit_dashboard, update_widget
from cekura_dashboards.read import get_dashboard, get_widgets_data, list_dashboards, look_up, preview_widget
from cekura_dashboards.settings import Settings, load_settings
from cekura_dashboards.tool import Tool

TOOLS: tuple[Tool[Any, Any], ...] = (
    list_dashboards.TOOL,
    get_dashboard.TOOL,
    look_up.TOOL,
    get_widgets_data.TOOL,
    preview_widget.TOOL,
    update_widget.TOOL,
    bulk_edit_dashboard.TOOL,
)

__all__ = ["TOOLS", "Settings", "Tool", "ToolContext", "call_tool", "load_settings", "open_context", "parse"]


async def call_tool(
    context: ToolContext, tool: Tool[Any, Any], arguments: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Run one tool: its text and its structured answer.

    Raises:
        DashboardsError: with a text that says what happened and what to do next.
    """
    request, notes = parse(tool.request, arguments)
    result = await tool.run(context.for_one_call(), request)
    told: list[str] = [*(result.notes or []), *notes]
    result = result.model_copy(update={"notes": told or None})
    text = "\n".join([tool.render(result), *(f"note: {note}" for note in told)])
    return text, result.to_json()
