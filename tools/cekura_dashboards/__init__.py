"""Tools that read, explain and edit Cekura dashboards. They know nothing of MCP and can be called as they are.

>>> from cekura_dashboards import TOOLS
>>> [tool.name for tool in TOOLS if not tool.writes][:2]
['list_dashboards', 'get_dashboard']
"""

from typing import Any

from cekura_dashboards.arguments.reader import understood
from cekura_dashboards.catalogue import (
    bulk_edit_dashboard,
    check_dashboard,
    copy_widgets,
    create_dashboard,
    delete_dashboard,
    explain_change,
    get_dashboard,
    get_widgets_data,
    list_calls,
    list_dashboards,
    look_up,
    preview_edit,
    preview_widget,
    update_dashboard,
    update_widget,
)
from cekura_dashboards.context import ToolContext, open_context
from cekura_dashboards.plans.plan import Plan
from cekura_dashboards.plans.receipt import Receipt
from cekura_dashboards.plans.writing import WritingTool
from cekura_dashboards.settings import Settings, load_settings
from cekura_dashboards.text import condensed
from cekura_dashboards.tool import Result, Tool

TOOLS: tuple[Tool[Any, Any], ...] = (
    list_dashboards.TOOL,
    get_dashboard.TOOL,
    look_up.TOOL,
    get_widgets_data.TOOL,
    preview_widget.TOOL,
    explain_change.TOOL,
    list_calls.TOOL,
    preview_edit.TOOL,
    update_widget.TOOL,
    bulk_edit_dashboard.TOOL,
    create_dashboard.TOOL,
    update_dashboard.TOOL,
    delete_dashboard.TOOL,
    copy_widgets.TOOL,
    check_dashboard.TOOL,
)

__all__ = [
    "TOOLS",
    "Plan",
    "Receipt",
    "Result",
    "Settings",
    "Tool",
    "ToolContext",
    "WritingTool",
    "answered",
    "call_tool",
    "load_settings",
    "open_context",
    "understood",
]


async def call_tool(
    context: ToolContext, tool: Tool[Any, Any], arguments: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Run one tool: its text and its structured answer. Nobody is asked: what needs a person needs a plan_id.

    Raises:
        DashboardsError: with a text that says what happened and what to do next.
    """
    context = context.for_one_call()
    request, notes = await understood(context, tool.request, arguments)
    return answered(tool, await tool.run(context, request), notes)


def answered(tool: Tool[Any, Any], result: Result, notes: list[str]) -> tuple[str, dict[str, Any]]:
    """A result as text and as structure, with notes on how the arguments were read."""
    told = condensed([*(result.notes or []), *notes])
    result = result.model_copy(update={"notes": told or None})
    text = "\n".join([tool.render(result), *(f"note: {note}" for note in told)])
    return text, result.to_json()
