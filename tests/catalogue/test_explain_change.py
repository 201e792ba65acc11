"""explain_change: where a change happened."""

import json
from typing import Any

import pytest

from cekura_dashboards.api import errors
from cekura_dashboards.api.wire import Response
from cekura_sandbox import ApiVariant
from support import Json, ask, open_tools, report_of, shared_sandbox, sql

pytestmark = pytest.mark.anyio
LARGE = 60_000

INVALID: list[tuple[Json, str]] = [
    ({}, "Give either widget_id or widget"),
    ({"widget_id": 205}, "a pie has no single figure to explain"),
    ({"widget_id": 203, "by": ["colour"]}, r'by\[0\]: "colour" cannot be grouped by'),
    ({"widget_id": 203, "window": "20d"}, "is the last 15 days"),
]


@pytest.mark.parametrize(("arguments", "message"), INVALID, ids=[message for _, message in INVALID])
async def test_unexplainable_requests_are_rejected_with_a_valid_alternative(arguments: Json, message: str) -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        with pytest.raises(errors.InvalidArguments, match=message):
            await ask(context, "explain_change", **arguments)


@pytest.mark.parametrize("history", [True, False])
async def test_windows_read_with_different_scopes_are_not_tested(*, history: bool) -> None:
    agents = {"count": 1, "next": None, "results": [{"id": 31, "name": "Reception", "project": 1}]}
    async with open_tools(shared_sandbox(count=LARGE), history=history) as (context, recorder):
        _, complete = await ask(context, "explain_change", widget_id=202, by=["agent.id"])
        listed = Response(200, json.dumps(agents).encode())
        recorder.fault = lambda sent: listed if sent.path.endswith("aiagents/") else None
        _, fewer = await ask(context, "explain_change", widget_id=202, by=["agent.id"])
    assert "not_tested" not in complete["comparison"]
    assert "agents that are no longer listed" in fewer["comparison"]["not_tested"]
    assert fewer["comparison"]["verdict"] == "not tested"


async def test_explain_change_attributes_a_release_to_its_day_and_agent() -> None:
    async with open_tools(shared_sandbox(count=LARGE)) as (context, recorder):
        report = await report_of(context, widget_ids=[209], window="29d")
        [step] = report["findings"]
        assert (step["kind"], step["at"], step["verdict"]) == ("step", "2026-11-13", "clear")
        recorder.sent.clear()
        text, answer = await ask(context, "explain_change", widget_id=203, window="5d")
    first = answer["dimensions"][0]
    assert (first["by"], first["groups"], first["verdict"]) == ("agent.id", ["Booking (33)"], "clear")
    assert first["share_pct"] > 80
    by = {other["by"]: other["verdict"] for other in answer["dimensions"]}
    assert (by["topic"], by["metadata.app_version"]) == ("not significant", "possible")
    inside = answer["drill_down"]
    assert (inside["by"], inside["group"]) == ("agent.id", "Booking (33)")
    [release] = inside["dimensions"]
    assert (release["by"], release["verdict"]) == ("metadata.app_version", "clear")
    [(n, rate)] = sql(
        shared_sandbox(count=LARGE),
        "SELECT count(success), avg(CAST(success AS INT)) FROM calls WHERE agent_id = 33 AND ts >= '2026-11-08 15:30' "
        "AND ts < '2026-11-13 15:30' AND json_extract_string(metadata, '$.app_version') = '2.3.1'",
    )
    assert release["gone"] == [{"group": "2.3.1", "n": n, "value": pytest.approx(rate, abs=1e-4)}]
    assert 'within agent.id "Booking (33)", by "metadata.app_version"' in text
    assert all(call["agent"] == "Booking (33)" for side in answer["examples"].values() for call in side)
    assert all(len(side) == 5 for side in answer["examples"].values())
    assert "correlation is not causation" in text
    requests = [sent for sent in recorder.sent if sent.path.endswith("_data/") or "call-logs" in sent.path]
    details = [sent for sent in requests if sent.path.startswith("/observability/v2/call-logs/1")]
    assert len(details) == 6, "rules of three calls per window"
    assert len(requests) <= 21 + len(details), (
        "eight charts and the examples in both windows; hours, scope and keys once"
    )
    edits = [sent for sent in recorder.sent if sent.path.endswith("/history/") or "audit" in sent.path]
    modes = [sent for sent in recorder.sent if "failure-mode" in sent.path]
    assert len(modes) <= 2 + 2 * 3, "all modes and those of the agent; then at most three, in both windows"
    assert answer["requests"] == len(requests) + len(edits) + len(modes)
    assert len(text) < 9000


async def test_metadata_keys_come_from_all_dashboards_and_from_calls() -> None:
    """Dashboard 11 uses no metadata, 12 does; calls contain unused keys, if the API lists them."""
    async with open_tools(shared_sandbox(count=LARGE)) as (context, _):
        _, answer = await ask(context, "explain_change", widget_id=203)
    assert {row["by"] for row in answer["dimensions"]} == {"agent.id", "topic", "metadata.app_version"}
    [release] = answer["drill_down"]["dimensions"]
    assert release["new"][0]["group"] == "2.4.0"
    assert release["new"][0]["since"] == "2026-11-12"
    async with open_tools(shared_sandbox(ApiVariant(call_metadata="present"), LARGE)) as (context, recorder):
        _, answer = await ask(context, "explain_change", widget_id=203)
        groups = {json.dumps(sent.body) for sent in recorder.sent}
    assert any("metadata.language" in group for group in groups)
    assert answer["drill_down"]["dimensions"][0]["by"] == "metadata.app_version"


async def test_a_release_in_one_window_only_is_reported_as_a_mix_shift() -> None:
    async with open_tools(shared_sandbox(count=LARGE)) as (context, _):
        text, answer = await ask(context, "explain_change", widget_id=209, window="5d")
    first = answer["dimensions"][0]
    assert (first["by"], first["verdict"], first["mix_shift"]) == ("metadata.app_version", "clear", True)
    assert 'by "metadata.app_version": calls shifted between groups, clear' in text
    assert all("mix_shift" not in other for other in answer["dimensions"][1:])
    assert [len(answer["examples"][side]) for side in ("current", "baseline")] == [5, 5]
    assert [outcome["by"] for outcome in answer["outcomes"]] == ["call_ended_reason"]
    assert "not analyzed: dropoff_point; name them in `by`" in answer["notes"]


async def test_a_topic_surge_is_detected_while_the_total_is_unchanged() -> None:
    async with open_tools(shared_sandbox(count=LARGE)) as (context, _):
        text, answer = await ask(context, "explain_change", widget_id=202, window="3d", compare_to="previous_week")
    assert answer["comparison"]["verdict"] == "not significant"
    assert '"billing question" differs most' in text
    by = {dimension["by"]: dimension for dimension in answer["dimensions"]}
    assert (by["topic"]["verdict"], by["topic"]["groups"][0]) == ("clear", "billing question")
    assert by["agent.id"]["verdict"] == "not significant"


async def test_outages_and_trends_are_detected_in_chart_data() -> None:
    async with open_tools(shared_sandbox(count=LARGE)) as (context, _):
        hourly = await report_of(context, widget_ids=[208], window="20d")
        latency = await report_of(context, widget_ids=[210], window="29d")
    [gap] = [finding for finding in hourly["findings"] if finding["kind"] == "outage"]
    assert (gap["from"], gap["to"]) == ("2026-11-08T13:00Z", "2026-11-08T15:00Z")
    [trend] = latency["findings"]
    assert (trend["kind"], trend["verdict"]) == ("trend", "clear")


async def test_a_quiet_widget_has_no_findings() -> None:
    async with open_tools(shared_sandbox(count=LARGE)) as (context, recorder):
        for widget in (202, 213):
            text, answer = await ask(context, "get_widgets_data", widget_ids=[widget], window="29d")
            assert answer["widgets"][0]["findings"] == []
            assert "no trend, step, outlier or outage" in text
        recorder.sent.clear()
        _, result = await ask(
            context, "explain_change", widget_id=203, window="2026-10-29/2026-11-04", compare_to="previous_period"
        )
        read = [sent.path for sent in recorder.sent]
    assert not [path for path in read if "/call-logs/1" in path or "failure-mode" in path or "history" in path]
    assert result["comparison"]["verdict"] == "not significant"
    assert "the change is not significant, so there may be nothing to explain" in result["notes"]
    assert all(dimension["verdict"] != "clear" for dimension in result["dimensions"])


async def test_percentiles_are_compared_without_a_decomposition() -> None:
    async with open_tools(shared_sandbox(count=LARGE)) as (context, _):
        text, answer = await ask(context, "explain_change", widget_id=210, by=["metadata.region"])
    [dimension] = answer["dimensions"]
    assert dimension["verdict"] == "not tested"
    assert all({"current", "baseline", "change"} <= {*row} for row in dimension["contributors"]["top"])
    assert "rate_effect" not in dimension["contributors"]
    assert "percentiles cannot be decomposed" in text


async def test_unreadable_dimensions_are_reported_beside_the_explanation() -> None:
    def no_topics(sent: Any) -> Response | None:
        body: Json = sent.body or {}
        grouped = '"topic"' in json.dumps(body.get("group_by"))
        return Response(400, b'{"detail": "No."}') if grouped or "call-logs" in sent.path else None

    async with open_tools(shared_sandbox(count=LARGE)) as (context, recorder):
        recorder.fault = no_topics
        _, answer = await ask(context, "explain_change", widget_id=203, window="5d")
    assert "examples" not in answer
    assert any(text.startswith("topic: could not be read: The API refused") for text in answer["notes"])
    assert answer["dimensions"][0]["by"] == "agent.id"


async def test_charts_of_the_same_calls_show_consistent_numbers() -> None:
    async with open_tools(shared_sandbox()) as (context, _):

        async def n_of(widget: Json) -> Json:
            _, answer = await ask(context, "preview_widget", widget=widget, dashboard_id=11)
            result: Json = answer["report"]
            return result

        bar = await n_of(
            {"chart_type": "bar", "field": "agent_id", "aggregation_function": "count", "time_period": "day"}
        )
        hours = await n_of(
            {"chart_type": "bar", "field": "agent_id", "aggregation_function": "count", "time_period": "hour"}
        )
        line = await n_of({"chart_type": "line", "field": "duration"})
        pie = await n_of({"chart_type": "pie", "field": "call_ended_reason"})
        stat = await n_of({"chart_type": "stat"})
        mean = await n_of(
            {"chart_type": "bar", "field": "duration", "aggregation_function": "avg", "time_period": "day"}
        )
    assert {bar["n"], hours["n"], line["n"], pie["n"], stat["n"], mean["n"]} == {bar["n"]}
    assert bar["facts"]["total"] == sum(value for value in bar["series"]["value"])
    assert mean["facts"]["overall"] == line["facts"]["mean"] == stat["facts"]["avg_duration"]


REGEX: Json = {"field": "topic", "op": "regex", "value": "refill|billing"}


async def test_operators_unsupported_by_call_logs_are_rejected_early() -> None:
    async with open_tools(shared_sandbox()) as (context, recorder):
        with pytest.raises(errors.InvalidArguments, match="use regex, which charts accept and call logs do not"):
            await ask(context, "list_calls", widget_id=203, filters=REGEX)
        assert not [sent for sent in recorder.sent if "call-logs" in sent.path]
        text, _ = await ask(context, "explain_change", widget_id=203, filters=REGEX)
    assert "current example calls could not be read: No calls were read. filters: of this chart use regex" in text
