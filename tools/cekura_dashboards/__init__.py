"""Tools that read, explain and edit Cekura dashboards, callable from Python without MCP.

>>> from cekura_dashboards import TOOLS
>>> [tool.name for tool in TOOLS if not tool.writes][:2]
['list_dashboards', 'get_dashboard']
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cekura_dashboards.api.errors import DashboardsError
    from cekura_dashboards.catalogue import TOOLS
    from cekura_dashboards.context import ToolContext, open_context
    from cekura_dashboards.pipeline import Answer, Approve, call_tool
    from cekura_dashboards.settings import Settings, load_settings
    from cekura_dashboards.tool import Result, Tool
else:
    _MODULES = {
        "TOOLS": "catalogue",
        "Answer": "pipeline",
        "Approve": "pipeline",
        "DashboardsError": "api.errors",
        "Result": "tool",
        "Settings": "settings",
        "Tool": "tool",
        "ToolContext": "context",
        "call_tool": "pipeline",
        "load_settings": "settings",
        "open_context": "context",
    }

    def __getattr__(name):  # noqa: ANN001, ANN202 - type checkers see the imports above
        """Import a name when it is first used, because a server needs only the settings to start."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        return value

    def __dir__():  # noqa: ANN202 - see above
        return __all__


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
