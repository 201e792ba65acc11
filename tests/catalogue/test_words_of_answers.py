"""What answers say of windows, of verdicts that are missing, and of one thing or several."""

from typing import Any

import pytest

from support import Json, ask, open_tools, report_of, shared_sandbox

pytestmark = pytest.mark.anyio
YESTERDAY: Json = {"field": "timestamp", "op": "gte", "value": "today-1d"}

WINDOWS: list[tuple[str, Json, str]] = [
    ("explain_change", {"widget_id": 203}, "default"),
    ("explain_change", {"widget_id": 203, "window": "7d"}, "asked"),
    ("find_changes", {"dashboard_ids": [13]}, "default"),
    ("find_changes", {"dashboard_ids": [13], "window": "7d"}, "asked"),
    ("list_calls", {"project_id": 1}, "default"),
    ("list_calls", {"project_id": 1, "filters": YESTERDAY}, "asked"),
    ("list_calls", {"widget_id": 203}, "saved"),
]


@pytest.mark.parametrize(("tool", "arguments", "source"), WINDOWS)
async def test_a_window_is_called_asked_only_where_somebody_asked(tool: str, arguments: Json, source: str) -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, answer = await ask(context, tool, **arguments)
    assert answer["window"].endswith(f"({source})")
    assert f"({source})" in text


async def test_a_chart_without_a_saved_range_says_that_the_last_days_stand_in_for_it() -> None:
    note = "no date range is saved, so the last 7 days are shown"
    async with open_tools(shared_sandbox()) as (context, _):
        calls, _ = await ask(context, "list_calls", widget_id=219, limit=1)
        report = await report_of(context, widget_ids=[219])
        explained, _ = await ask(context, "explain_change", widget_id=204)
    assert note in calls
    assert note in report["notes"]
    assert note not in explained


async def test_each_figure_without_a_verdict_says_why() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, answer = await ask(context, "get_widgets_data", widget_ids=[201])
    rows: list[Any] = answer["widgets"][0]["change"]["figures"]
    assert [row["figure"] for row in rows if row["verdict"] == "not tested"] == ["p95_latency"]
    assert all(row.get("not_tested") for row in rows if row["verdict"] == "not tested")
    assert "not tested (the API has no daily values of it)" in text


async def test_of_a_widget_that_cannot_be_read_only_its_id_is_said() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, answer = await ask(context, "get_widgets_data", widget_ids=[203, 999])
    assert "\n\nwidget 999\nfailed: No widget 999" in text
    assert "chart_type" not in answer["widgets"][1]["widget"]


async def test_a_side_without_calls_has_no_examples_and_its_groups_are_not_compared() -> None:
    none = {"field": "topic", "op": "eq", "value": "no such topic"}
    async with open_tools(shared_sandbox()) as (context, _):
        text, answer = await ask(context, "explain_change", widget_id=204, filters=none)
    assert "examples" not in text
    assert "examples" not in answer
    assert "by agent.id: not compared: no data in the current window" in text
    assert "no group stands out" not in text


async def test_a_group_that_only_one_side_has_is_named_beside_percentiles_too() -> None:
    async with open_tools(shared_sandbox(count=60_000)) as (context, _):
        _, answer = await ask(context, "explain_change", widget_id=210, by=["metadata.app_version"])
    [dimension] = answer["dimensions"]
    assert [group["group"] for group in dimension["new"]] == ["2.4.0"]


async def test_one_call_is_counted_in_the_singular() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        calls, answer = await ask(context, "list_calls", project_id=1, limit=1)
        one = {"field": "id", "op": "eq", "value": answer["calls"][0]["id"]}
        single, _ = await ask(context, "list_calls", project_id=1, filters=one)
    assert " calls in project 1" in calls
    assert single.startswith("1 call in project 1")
