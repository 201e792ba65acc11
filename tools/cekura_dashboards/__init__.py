"""Tools that read, explain and edit Cekura dashboards. They know nothing of MCP and can be called as they are.

>>> from cekura_dashboards import TOOLS
>>> [tool.name for tool in TOOLS if not tool.writes][:2]
['list_dashboards', 'get_dashboard']
"""

from cekura_dashboards.api.errors import DashboardsError
from cekura_dashboards.catalogue import TOOLS
from cekura_dashboards.context import ToolContext, open_context
from cekura_dashboards.pipeline import Answer, Approve, call_tool
from cekura_dashboards.settings import Settings, load_settings
from cekura_dashboards.tool import Result, Tool

__all__ = [
    "TOOLS",
    "Answer",
    "Approve",
    "DashboardsError",
    "Result",
    "Settings",
    "Tool",
    "ToolContext",
    "call_tool",
    "load_settings",
    "open_context",
]
