"""Write what pages take from the code: ``docs/tools.md``, ``docs/filters.md``, and two sizes in the benchmarks' README.

Run ``.venv/bin/python docs/make_pages.py``; it needs the extra ``sandbox``. Tests compare the pages with the code.
"""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
from pydantic import SecretStr

from cekura_dashboards import TOOLS, Settings, Tool, ToolContext, call_tool, open_context
from cekura_dashboards.api.models import as_list, as_object
from cekura_dashboards.arguments.schema import Schema, input_schemas
from cekura_dashboards.reports.guide import guide
from cekura_dashboards_mcp.protocol.profiles import CORE
from cekura_sandbox import create_app

NOW = datetime(2026, 11, 18, 15, 30, tzinfo=UTC)
HERE = Path(__file__).parent
BENCHMARKS = HERE.parent / "benchmarks" / "README.md"
KEY = "sandbox"
WRITTEN = "<!-- Written by docs/make_pages.py; change that, or the code. -->\n"
LATENCY = {
    "name": "Latency p95", "chart_type": "bar", "field": "metric_evaluations.value", "metric": "Response latency",
    "aggregation_function": "p95", "time_period": "day",
}  # fmt: skip
EDIT: dict[str, Any] = {"dashboard_id": 11, "create": [{**LATENCY, "place": "top"}], "delete": ["Topics"]}
PLANNED = {"plan_id"}
"""Arguments that an example takes from the answer before it."""
EXAMPLES: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "list_dashboards": [("All dashboards that the key can see:", {})],
    "get_dashboard": [("By name or id:", {"dashboard_id": "Booking agent"})],
    "look_up": [
        ("What callers talk about:", {"kind": "topics", "project_id": 1}),
        ("Metrics with a word in their name:", {"kind": "metrics", "search": "latency"}),
    ],
    "get_widgets_data": [
        ("One chart compared with the week before:",
         {"widget_ids": [209], "window": "7d", "compare_to": "previous_period"}),
        ("A whole dashboard, facts only:", {"dashboard_id": 12, "window": "7d", "points": 0}),
        ("Rows for a spreadsheet, every agent on every day:",
         {"widget_ids": [204], "window": "2026-11-16/2026-11-17", "table": "csv"}),
        ("The busiest hours in the callers' time zone:",
         {"widget_ids": [202], "profile": "hour_of_day", "time_zone": "America/Los_Angeles"}),
    ],
    "preview_widget": [
        ("A chart that is not saved, as if it were on a dashboard:", {"widget": LATENCY, "dashboard_id": 11}),
        ("The share of calls that match:",
         {"widget": {"chart_type": "bar", "field": "agent_id", "aggregation_function": "count", "time_period": "day"},
          "share_where": {"topic": "billing question"}, "dashboard_id": 11, "window": "7d"}),
    ],
    "find_changes": [("Changes on one dashboard:", {"dashboard_ids": ["Booking agent"]})],
    "explain_change": [("Why success dropped:", {"widget_id": "Success rate", "window": "5d"})],
    "list_calls": [("The longest failed calls of a chart:",
                    {"widget_id": 203, "window": "7d", "filters": {"success": False}, "sort": "longest", "limit": 3}),
                   ("Why a call failed:", {"widget_id": 209, "window": "7d", "filters": {"success": False}, "limit": 1,
                                           "details": True})],
    "preview_edit": [("A dry run that adds one chart at the top and deletes another:", EDIT)],
    "bulk_edit_dashboard": [("The same, with the `plan_id` of the dry run:", {**EDIT, "plan_id": "…"})],
    "update_widget": [("A new name, by week:",
                       {"widget_id": 203, "changes": {"name": "Success per week", "time_period": "week"}})],
    "create_dashboard": [("A dashboard with its first chart:",
                          {"name": "Latency", "project_id": "Northside Clinics", "widgets": [LATENCY],
                           "filters": {"field": "timestamp", "op": "gte", "value": "today-14d"}})],
    "update_dashboard": [("A new date range for a dashboard:",
                          {"dashboard_id": "Operations overview", "date_range": "30d"})],
    "copy_widgets": [("One chart on another dashboard:",
                      {"widget_ids": ["Calls by region"], "dashboard_ids": ["Latency"]})],
    "delete_dashboard": [("Without a `plan_id`, nothing is deleted unless the client asks its user for confirmation:",
                          {"dashboard_id": "Latency"})],
    "preview_alert": [("How often an alert would have fired over the past month, beside the presets:",
                       {"widget_id": "Customer satisfaction", "kind": "trend", "preset": "aggressive"})],
    "save_alert": [("An alert from a chart:", {"widget_id": "Customer satisfaction", "kind": "trend",
                                               "preset": "conservative", "slack_workspace": 9}),
                   ("Switched off:", {"alert_id": "Latency trend", "action": "off"})],
    "check_dashboard": [("Problems in the setup of a dashboard:", {"dashboard_id": 13})],
}  # fmt: skip
"""By tool, in the order of the page: a line before each call, and its arguments. The calls are made in this order.

Tools without examples come last, with their arguments only.
"""


async def pages() -> dict[str, str]:
    """Each page by its file's name."""
    app = create_app(now=lambda: NOW, key=KEY)
    settings = Settings(api_key=SecretStr(KEY), base_url="http://localhost")
    async with open_context(settings, app=app, now=lambda: NOW) as context:
        planned = dict[str, str]()
        parts = [await _section(context, tool, planned) for tool in _ordered()]
    head = f"""{WRITTEN}
# The tools

For each tool: its purpose, its arguments, and example calls with the answers that a model reads, from the sandbox
(`--sandbox`). Every answer also comes as data (`structuredContent`), with the same numbers and ids. `preview_edit` and
the tools after it change dashboards or prepare a change: [editing.md](editing.md). Exact names work in place of ids.

Unambiguous aliases are accepted and reported: `type` for `chart_type`, `average` for `avg`, `>=` for `gte`,
`group_by: "agent"`, `filters: {{"success": true}}`, and windows such as `this month` or `monday`. Anything else is
refused with the nearest valid value.
"""
    return {"tools.md": "\n".join([head, *parts]), "filters.md": f"{WRITTEN}\n{guide()}"}


def _ordered() -> list[Tool[Any, Any]]:
    """The tools in the order of the examples, then those without."""
    order = [*EXAMPLES]
    return sorted(TOOLS, key=lambda tool: order.index(tool.name) if tool.name in EXAMPLES else len(order))


async def _section(context: ToolContext, tool: Tool[Any, Any], planned: dict[str, str]) -> str:
    """The section of a tool. ``planned``: the plan_ids of earlier dry runs, by the tool that accepts them."""
    lines = [f"## {tool.name}", "", tool.description, "", "| argument | | |", "| --- | --- | --- |"]
    schema = input_schemas([tool.request])[tool.request]
    lines += [f"| `{name}` | {kind} | {about} |" for name, kind, about in _arguments(schema)]
    plan_id = ""
    for question, arguments in EXAMPLES.get(tool.name, []):
        given = {name: planned.get(tool.name, value) if name in PLANNED else value for name, value in arguments.items()}
        answer = await call_tool(context, tool, given)
        plan_id = str(answer.structured.get("plan_id", ""))
        lines += ["", question, "", "```json", json.dumps(given, ensure_ascii=False), "```", "", "```text"]
        lines += [*answer.text.splitlines(), "```"]
    if tool.name == "preview_edit":
        planned["bulk_edit_dashboard"] = plan_id
    return "\n".join([*lines, ""])


def _arguments(schema: Schema) -> Iterator[tuple[str, str, str]]:
    """Name, type and description of each argument, as clients see them."""
    needed = schema.get("required", [])
    for name, node in schema["properties"].items():
        kind = f"list of {_kind(node['items'], 's')}" if node.get("type") == "array" else _kind(node)
        choices = as_list(node.get("enum"))
        about = str(node.get("description") or node.get("anyOf", [{}])[0].get("description", ""))
        inner = as_object(node.get("properties")) or as_object((as_object(node.get("items")) or {}).get("properties"))
        parts = [
            about,
            f"one of {', '.join(f'`{choice}`' for choice in choices)}" if choices else "",
            f"holds {', '.join(f'`{inside}`' for inside in inner)}" if inner else "",
        ]
        text = "; ".join(part for part in parts if part).replace("|", "\\|")
        yield name, kind + (", required" if name in needed else ""), text


def _kind(node: Schema, plural: str = "") -> str:
    """The type in a word; an integer or a string together are an id or a name."""
    types = [option["type"] for option in node.get("anyOf", [node])]
    return f"id{plural} or name{plural}" if types == ["integer", "string"] else f"{types[0]}{plural}"


def with_sizes(text: str) -> str:
    """The benchmarks' README with the bytes of what a model sees: of all tools, then of the small profile."""
    sizes = iter([_size(tool.name for tool in TOOLS), _size(CORE)])
    return re.sub(r"[\d,]+(?= bytes, [\d,]+ tokens)", lambda _: f"{next(sizes):,}", text)


def _size(names: Iterable[str]) -> int:
    chosen, schemas = {*names}, input_schemas(tool.request for tool in TOOLS)
    shown = [
        {"name": tool.name, "description": tool.description, "inputSchema": schemas[tool.request]}
        for tool in TOOLS
        if tool.name in chosen
    ]
    return len(json.dumps(shown, ensure_ascii=False, separators=(",", ":")).encode())


async def main() -> None:
    for name, text in (await pages()).items():
        (HERE / name).write_text(text, encoding="utf-8")
    BENCHMARKS.write_text(with_sizes(BENCHMARKS.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    anyio.run(main)
