"""The chart view: one HTML file that MCP hosts show beside an answer, and that also works alone in a browser."""

import json
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any

from mcp.server.apps import Apps
from mcp.types import Tool

CHART = "cekura/chart"
"""The key of ``_meta`` for the chart data of a result."""
DATA = '<script type="application/json" id="data">null</script>'
"""The element of the file for its data, if it is shown without a host."""


@cache
def chart_html() -> str:
    """The view without comments, blank lines and indentation, because hosts load it again for every answer."""
    text = files(__name__).joinpath("chart.html").read_text(encoding="utf-8")
    lines = (line.lstrip() for line in text.split("\n"))
    return "\n".join(line for line in lines if line and not line.startswith("// "))


def address_of(tool: str) -> str:
    """The address of the view for one tool, which tells the view what to request if a host passes no data."""
    return f"ui://cekura-dashboards/{tool}.html"


def bound_to_view(tool: str) -> dict[str, Any]:
    """The ``_meta`` of a tool whose answers the view shows; some hosts read the flat key only."""
    return {"ui": {"resourceUri": address_of(tool)}, "ui/resourceUri": address_of(tool)}


def chart_view(drawn: Iterable[Tool]) -> Apps:
    """The MCP Apps extension with the view of each of these tools."""
    apps = Apps()
    for tool in drawn:
        apps.add_html_resource(
            address_of(tool.name),
            chart_html().replace(DATA, _data({"tool": tool.name})),
            name=f"{tool.name} chart",
            title=f"{tool.title}, as charts",
            prefers_border=True,
        )
    return apps


def standalone(tool: str, arguments: dict[str, Any], drawing: dict[str, Any]) -> str:
    """A page with its data inside that shows an answer in any browser."""
    return chart_html().replace(DATA, _data({"tool": tool, "arguments": arguments, "chart": drawing}))


def report_page(report: dict[str, Any]) -> str:
    """A page that shows several answers, each in a view of its own."""
    return files(__name__).joinpath("report.html").read_text(encoding="utf-8").replace(DATA, _data(report))


def _data(value: dict[str, Any]) -> str:
    """The data element of the file; escaped so that nothing in it can end the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return DATA.replace("null", text)
