"""Wording of answers: windows, missing verdicts, singular and plural."""

import re
from typing import Any

import pytest

from cekura_dashboards.api.errors import InvalidArguments
from support import Json, ask, new_sandbox, open_tools, report_of, shared_sandbox

pytestmark = pytest.mark.anyio
P95: Json = {"chart_type": "bar", "field": "metric_evaluations.value", "metric": 503, "time_period": "day",
             "aggregation_function": "p95"}  # fmt: skip
YESTERDAY: Json = {"field": "timestamp", "op": "gte", "value": "today-1d"}

WINDOWS: list[tuple[str, Json, str]] = [
    ("explain_change", {"widget_id": 203, "by": ["topic"]}, "default"),
    ("explain_change", {"widget_id": 203, "by": ["topic"], "window": "7d"}, "asked"),
    ("find_changes", {"dashboard_ids": [13]}, "default"),
    ("find_changes", {"dashboard_ids": [13], "window": "7d"}, "asked"),
    ("list_calls", {"project_id": 1}, "default"),
    ("list_calls", {"project_id": 1, "filters": YESTERDAY}, "asked"),
    ("list_calls", {"widget_id": 203}, "saved"),
]


@pytest.mark.parametrize(("tool", "arguments", "source"), WINDOWS)
async def test_a_window_is_labelled_by_its_source(tool: str, arguments: Json, source: str) -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, answer = await ask(context, tool, **arguments)
    assert answer["window"].endswith(f"({source})")
    assert f"({source})" in text


async def test_a_chart_without_a_date_range_states_the_default_window() -> None:
    note = "no date range is saved, so the last 7 days are shown"
    async with open_tools(shared_sandbox()) as (context, _):
        calls, _ = await ask(context, "list_calls", widget_id=219, limit=1)
        report = await report_of(context, widget_ids=[219])
        explained, _ = await ask(context, "explain_change", widget_id=204)
    assert note in calls
    assert note in report["notes"]
    assert note not in explained


async def test_untested_figures_state_a_reason() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, answer = await ask(context, "get_widgets_data", widget_ids=[201])
    rows: list[Any] = answer["widgets"][0]["change"]["figures"]
    assert [row["figure"] for row in rows if row["verdict"] == "not tested"] == ["p95_latency"]
    assert all(row.get("not_tested") for row in rows if row["verdict"] == "not tested")
    assert "not tested (the API has no daily values of it)" in text


async def test_untestable_charts_name_an_alternative() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, answer = await ask(context, "find_changes", dashboard_ids=[13])
    assert answer["charts"]["not_tested"] == 1
    assert "1 not tested, 0 failed" in text
    assert "note: widget 217 not tested: percentiles of several groups cannot be merged; preview_widget without" in text


async def test_an_unreadable_widget_is_shown_by_id_only() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, answer = await ask(context, "get_widgets_data", widget_ids=[203, 999])
    assert "\n\nwidget 999\nfailed: No widget 999" in text
    assert "chart_type" not in answer["widgets"][1]["widget"]


async def test_an_empty_window_has_no_examples_and_no_comparison() -> None:
    none = {"field": "topic", "op": "eq", "value": "complant"}
    async with open_tools(shared_sandbox()) as (context, recorder):
        text, answer = await ask(context, "explain_change", widget_id=204, filters=none)
    read = [sent for sent in recorder.sent if sent.path.endswith("_data/") or "call-logs" in sent.path]
    assert answer["requests"] == len(read)
    assert "examples" not in text
    assert "examples" not in answer
    assert "by agent.id: not compared: no data in the current window" in text
    assert "note: none of the " in text
    assert 'matches topic = "complant"; did you mean "complaint"?' in text
    assert "no group stands out" not in text


async def test_new_groups_are_listed_for_percentiles_too() -> None:
    async with open_tools(shared_sandbox(count=60_000)) as (context, _):
        _, answer = await ask(context, "explain_change", widget_id=210, by=["metadata.app_version"])
    [dimension] = answer["dimensions"]
    assert [group["group"] for group in dimension["new"]] == ["2.4.0"]


async def test_a_single_call_is_counted_in_the_singular() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        calls, answer = await ask(context, "list_calls", project_id=1, limit=1)
        one = {"field": "id", "op": "eq", "value": answer["calls"][0]["id"]}
        single, _ = await ask(context, "list_calls", project_id=1, filters=one)
    assert " calls in project 1" in calls
    assert single.startswith("1 call in project 1")


INVALID: list[tuple[Json, Json, str]] = [
    ({}, {}, "widget.aggregation_function: p95 is not possible for a binary metric; use `count` or `avg`"),
    ({"dashboard_id": 12}, {}, "p95 is not possible for a binary metric"),
    ({}, {"metric": 999}, "widget.metric: no metric 999 for this key; look_up metrics lists them"),
]


@pytest.mark.parametrize("tool", ["preview_widget", "explain_change"])
@pytest.mark.parametrize(("arguments", "changes", "message"), INVALID, ids=range(len(INVALID)))
async def test_charts_unsupported_by_a_metric_are_rejected_without_a_dashboard(
    tool: str, arguments: Json, changes: Json, message: str
) -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        with pytest.raises(InvalidArguments, match=message):
            await ask(context, tool, widget={**P95, **changes}, **arguments)


async def test_an_invalid_unsaved_chart_is_rejected_before_any_request() -> None:
    async with open_tools(shared_sandbox()) as (context, recorder):
        with pytest.raises(InvalidArguments, match="avg is not possible for a string field; use `count`"):
            await ask(context, "explain_change", widget={**P95, "field": "topic", "aggregation_function": "avg"})
    assert recorder.sent == []


@pytest.mark.parametrize(
    ("tool", "arguments", "offer"),
    [
        ("list_calls", {"project_id": "Clinik"}, r'did you mean "Northside Clinics" \(1\)'),
        ("get_dashboard", {"dashboard_id": "Operations"}, r'did you mean "Operations overview" \(11\)'),
        ("explain_change", {"widget_id": "per hour"}, r'did you mean "Calls per hour" \(208\)'),
        ("save_alert", {"alert_id": "latency", "action": "off"}, r'did you mean "Latency trend" \(701\)'),
        ("preview_alert", {"metric": "resolved", "kind": "failure"}, r'did you mean "Issue resolved" \(507\)'),
        ("look_up", {"kind": "metrics", "agent_id": "porting"}, r'did you mean "Number porting" \(41\)'),
    ],
)
async def test_a_partial_name_gets_a_suggestion(tool: str, arguments: Json, offer: str) -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        with pytest.raises(InvalidArguments, match=offer):
            await ask(context, tool, **arguments)


async def test_a_zero_share_names_the_condition_that_matches_no_call() -> None:
    count: Json = {"chart_type": "bar", "field": "agent_id", "aggregation_function": "count", "time_period": "day"}
    share = {"field": "topic", "op": "eq", "value": "complant"}
    async with open_tools(shared_sandbox()) as (context, _):
        _, answer = await ask(context, "preview_widget", widget=count, share_where=share, window="7d", dashboard_id=11)
    report = answer["report"]
    assert (report["facts"]["overall"], report["series"]["low"][0]) == (0, 0)
    assert 'matches topic = "complant"; did you mean "complaint"?' in report["notes"][0]


@pytest.mark.parametrize(
    ("tool", "chart"),
    [("explain_change", {"widget_id": 203}), ("get_widgets_data", {"widget_ids": [203]}), ("find_changes", {})],
)
async def test_comparing_a_window_with_itself_is_rejected(tool: str, chart: Json) -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        with pytest.raises(InvalidArguments, match='compare_to: "7d" is the window itself; use previous_period'):
            await ask(context, tool, **chart, window="7d", compare_to="7d")


async def test_transcript_matches_beyond_the_limit_are_counted() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, answer = await ask(context, "list_calls", project_id=1, said="refund", limit=1)
        with pytest.raises(InvalidArguments, match="use `newest`, `oldest`, `longest`"):
            await ask(context, "list_calls", project_id=1, sort="slowest")
    assert len(answer["calls"]) == 1
    assert re.search(r"searched 50 transcripts of \d+ calls, \d+ with the text, the first 1 shown; raise limit", text)


async def test_only_tested_kinds_of_findings_are_ruled_out() -> None:
    widget = {"chart_type": "bar", "field": "metric_evaluations.value", "metric": 501, "time_period": "day"}
    async with open_tools(new_sandbox(count=90)) as (context, _):
        text, answer = await ask(
            context, "preview_widget", dashboard_id=11, widget={**widget, "aggregation_function": "p95"}, window="7d"
        )
    assert answer["report"]["findings"] == []
    assert "\nno outage\n" in text
    assert "\nnot tested: trend, steps, outliers: 1 full bucket of 5 calls or more, fewer than 8\n" in text
