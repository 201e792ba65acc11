"""The tools' names and profiles, read from the tool list without the MCP SDK, which takes half a second to import."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

TOOL_LIST = Path(__file__).with_name("tools.json")
"""Packaged with this module. ``pytest --update-golden`` writes it; a test compares it with the catalogue."""
CORE = frozenset(
    {
        "list_dashboards",
        "get_widgets_data",
        "preview_widget",
        "find_changes",
        "explain_change",
        "list_calls",
        "bulk_edit_dashboard",
        "update_dashboard",
    }
)
"""The small profile, for models that work better with few tools. Every next call in an answer is to one of these."""


@cache
def _only_reads() -> Mapping[str, bool]:
    tools = json.loads(TOOL_LIST.read_bytes())["tools"]
    return {tool["name"]: tool["annotations"]["readOnlyHint"] for tool in tools}


def names() -> list[str]:
    """The names of all tools that a model may call."""
    return [*_only_reads()]


def reading() -> frozenset[str]:
    """The names of the tools that change nothing."""
    return frozenset(name for name, only_reads in _only_reads().items() if only_reads)
