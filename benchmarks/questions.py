"""Questions as people put them, and the one call that answers each.

``python -m benchmarks.questions`` prints what each takes: requests, round trips, characters of the answer.
"""

import json
from dataclasses import dataclass
from typing import Any

import anyio

from benchmarks.figures import header
from benchmarks.trips import KEY, NOW, rounds_of
from cekura_dashboards.context import Memory
from cekura_sandbox import create_app

Json = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """A question, and the call that a model makes for it."""

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


async def main() -> None:
    lines = header("question", "tool", "requests", "round trips", "characters")
    for question in QUESTIONS:
        app = create_app(now=lambda: NOW, key=KEY)
        arguments = json.loads(json.dumps(question.arguments))
        rounds = await rounds_of(app, KEY, question.tool, arguments, Memory(0), lambda: NOW)
        size = f"{len(rounds.sent)} | {rounds.trips} | {len(rounds.text):,}"
        lines.append(f"| {question.text} | `{question.tool}` | {size} |")
        app.state.world.close()
    print("\n".join(lines))  # noqa: T201 - what it is for


if __name__ == "__main__":
    anyio.run(main)
