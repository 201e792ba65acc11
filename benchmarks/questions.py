"""Questions as people put them, and the one call that answers each.

``python -m benchmarks.questions`` prints what each takes: requests, round trips, characters of the answer.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import anyio
from pydantic import SecretStr

from benchmarks.trips import KEY, rounds_of
from cekura_dashboards import TOOLS, Settings, ToolContext, call_tool
from cekura_dashboards.api.client import CekuraClient
from cekura_dashboards.api.transport import HttpTransport
from cekura_dashboards.context import Memory
from cekura_sandbox import create_app

Json = dict[str, Any]
NOW = datetime(2026, 11, 18, 15, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Question:
    """What is asked, and the call that a model makes of it."""

    text: str
    tool: str
    arguments: Json


QUESTIONS = [
    Question("Is anything wrong anywhere?", "find_changes", {}),
    Question(
        "Which agent got worse?",
        "get_widgets_data",
        {"widget_ids": ["Success rate by agent"], "window": "2026-11-11/2026-11-17", "compare_to": "last_week"},
    ),
    Question(
        "Which topic rises?",
        "get_widgets_data",
        {"widget_ids": ["Topics"], "window": "2026-11-11/2026-11-17", "compare_to": "previous_period"},
    ),
    Question("Why did success drop?", "explain_change", {"widget_id": 203}),
    Question(
        "Booking against Reception this week?",
        "get_widgets_data",
        {
            "widget_ids": [203],
            "window": "this week",
            "filters": {"agent": "Booking"},
            "compare_filters": {"agent": "Reception"},
        },
    ),
    Question(
        "Drop-offs against the rest, by topic?",
        "preview_widget",
        {
            "widget": {"chart_type": "pie", "field": "topic"},
            "dashboard_id": 11,
            "window": "7d",
            "filters": {"dropoff_point": {"isnull": False}},
            "compare_filters": {"dropoff_point": {"isnull": True}},
        },
    ),
    Question(
        "The busiest hour on weekdays in Los Angeles?",
        "get_widgets_data",
        {"widget_ids": [202], "profile": "hour_of_day", "time_zone": "Los Angeles", "window": "28d"},
    ),
    Question(
        'Calls over five minutes, longest first, with what was said about "refund"?',
        "list_calls",
        {"project_id": 1, "window": "7d", "filters": {"duration": {"gt": 300}}, "sort": "longest", "said": "refund"},
    ),
    Question(
        "Move the pie of topics to the top right, half as wide.",
        "bulk_edit_dashboard",
        {"dashboard_id": 11, "update": [{"id": "Topics", "place": "top right", "layout": {"w": 3}}]},
    ),
    Question("Show 30 days on dashboard 11.", "update_dashboard", {"dashboard_id": 11, "date_range": "30d"}),
]


async def characters_of(app: Any, question: Question) -> int:
    """The length of the answer's text."""
    transport = HttpTransport("http://localhost", app=app)
    tool = next(tool for tool in TOOLS if tool.name == question.tool)
    try:
        client = CekuraClient(transport=transport, key=SecretStr(KEY), now=lambda: NOW)
        text, *_ = await call_tool(ToolContext(client, Settings(), lambda: NOW), tool, question.arguments)
    finally:
        await transport.aclose()
    return len(text)


async def main() -> None:
    print("| question | tool | requests | round trips | characters |\n| --- | --- | --- | --- | --- |")  # noqa: T201 - what it is for
    for question in QUESTIONS:
        app = create_app(now=lambda: NOW, key=KEY)
        found = await rounds_of(
            app, KEY, question.tool, json.loads(json.dumps(question.arguments)), Memory(0), lambda: NOW
        )
        app = create_app(now=lambda: NOW, key=KEY)
        size = await characters_of(app, question)
        print(f"| {question.text} | `{question.tool}` | {len(found.sent)} | {found.trips} | {size:,} |")  # noqa: T201 - as above
        app.state.world.close()


if __name__ == "__main__":
    anyio.run(main)
