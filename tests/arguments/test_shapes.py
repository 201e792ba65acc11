"""Other shapes that models send, and names for ids: accepted and reported, or rejected with the right shape."""

import pytest

from cekura_dashboards.api.errors import DashboardsError, InvalidArguments
from cekura_dashboards.api.wire import Response
from cekura_dashboards.arguments.reader import parse
from support import BY_NAME, Era, Json, ask, connect, new_sandbox, open_tools, shared_sandbox, text_of

pytestmark = pytest.mark.anyio
BAR: Json = {"chart_type": "bar", "field": "duration", "aggregation_function": "avg", "time_period": "day"}
SUCCEEDED: Json = {"field": "success", "op": "eq", "value": True}
BY_AGENT: Json = {"type": "field", "field": "agent.id"}


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("agent", BY_AGENT),
        ("agent_id", BY_AGENT),
        ("metadata.region", {"type": "field", "field": "metadata.region"}),
        (["topic"], {"type": "field", "field": "topic"}),
        ({"field": "agent"}, BY_AGENT),
        ({"field": "topic"}, {"type": "field", "field": "topic"}),
        ("hour", {"type": "bucket", "interval": 3_600_000}),
        ("daily", {"type": "bucket", "interval": 86_400_000}),
        ({"interval": 3_600_000}, {"type": "bucket", "interval": 3_600_000}),
    ],
)
def test_a_grouping_can_be_given_as_one_word(sent: object, expected: Json) -> None:
    request, notes = parse(BY_NAME["preview_widget"].request, {"widget": {**BAR, "group_by": sent}})
    assert request.widget.group_by.model_dump(exclude_none=True) == expected
    assert any(note.startswith("widget.group_by was read as") for note in notes)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ([SUCCEEDED], SUCCEEDED),
        ([SUCCEEDED, SUCCEEDED], {"operator": "and", "conditions": [SUCCEEDED, SUCCEEDED]}),
        ({"and": [SUCCEEDED, SUCCEEDED]}, {"operator": "and", "conditions": [SUCCEEDED, SUCCEEDED]}),
        (
            {"OR": [SUCCEEDED, {"success": False}]},
            {"operator": "or", "conditions": [SUCCEEDED, {**SUCCEEDED, "value": False}]},
        ),
        ({"success": True}, SUCCEEDED),
        ({"success": "true"}, SUCCEEDED),
        ({"topic": ["a", "b"]}, {"field": "topic", "op": "in", "value": ["a", "b"]}),
        ({"duration": {"gte": 300}}, {"field": "duration", "op": "gte", "value": 300}),
        ({"duration": {"$gt": 300}}, {"field": "duration", "op": "gt", "value": 300}),
        ({"field": "duration", ">": 300}, {"field": "duration", "op": "gt", "value": 300}),
        ({"dropoff": None}, {"field": "dropoff_point", "op": "isnull", "value": True}),
        (
            {"success": True, "topic": "a"},
            {"operator": "and", "conditions": [SUCCEEDED, {"field": "topic", "op": "eq", "value": "a"}]},
        ),
        ('[{"field": "success", "op": "eq", "value": true}]', SUCCEEDED),
    ],
)
def test_filters_can_be_given_as_lists_or_key_value_pairs(sent: object, expected: Json) -> None:
    request, notes = parse(BY_NAME["get_widgets_data"].request, {"dashboard_id": 11, "filters": sent})
    assert request.filters.to_json() == expected
    assert any(note.startswith("filters") for note in notes)


@pytest.mark.parametrize("sent", [{"agent": 33.0}, {"field": "agent.id", "op": "in", "value": [31.0, 33]}])
def test_ids_sent_as_floats_are_converted_to_integers(sent: Json) -> None:
    request, _ = parse(BY_NAME["get_widgets_data"].request, {"dashboard_id": 11, "filters": sent})
    assert ".0" not in str(request.filters.to_json())


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        ({"field": "duration", "value": 300}, '{"field":"duration","op":"eq","value":300}'),
        ({"duration_over": 300}, '{"field":"metadata.duration_over","op":"eq","value":300}'),
        ({"colour": "red"}, '{"field":"metadata.colour","op":"eq","value":"red"}'),
        ({"field": "region", "op": "eq", "value": "north"}, "For a metadata key use metadata.region."),
        ({"operator": "and", "conditions": []}, '{"operator":"and","conditions":[{"field":"success"'),
        (
            {"conditions": [SUCCEEDED, SUCCEEDED]},
            '{"operator":"and","conditions":[{"field":"success","op":"eq","value":true}',
        ),
    ],
)
def test_a_rejected_filter_is_answered_with_a_corrected_one(sent: Json, error: str) -> None:
    with pytest.raises(InvalidArguments) as refusal:
        parse(BY_NAME["get_widgets_data"].request, {"dashboard_id": 11, "filters": sent})
    assert error in str(refusal.value)


@pytest.mark.parametrize(
    ("tool", "sent", "expected"),
    [
        ("update_widget", {"widget_id": 203, "name": "New"}, {"widget_id": 203, "changes": {"name": "New"}}),
        ("update_widget", {"widget_id": 203, "title": "New"}, {"widget_id": 203, "changes": {"name": "New"}}),
        (
            "update_widget",
            {"widget_id": 203, "changes": {"field": "topic"}, "chart_type": "pie"},
            {"widget_id": 203, "changes": {"field": "topic", "chart_type": "pie"}},
        ),
        ("preview_widget", {**BAR, "window": "7d"}, {"widget": BAR, "window": "7d"}),
        (
            "get_widgets_data",
            {"dashboard_id": 11, "window": {"start": "2026-11-01", "end": "2026-11-08"}},
            {"dashboard_id": 11, "window": "2026-11-01/2026-11-08"},
        ),
    ],
)
def test_arguments_one_level_too_high_are_moved_to_their_place(tool: str, sent: Json, expected: Json) -> None:
    request, notes = parse(BY_NAME[tool].request, sent)
    assert request == parse(BY_NAME[tool].request, expected)[0]
    assert notes


@pytest.mark.parametrize(
    ("tool", "sent", "resolved", "answer"),
    [
        (
            "preview_widget",
            {"widget": {**BAR, "filters": {"agent": "booking"}}},
            "agent 33",
            'agent.id = "Booking" (33)',
        ),
        (
            "preview_widget",
            {"widget": {**BAR, "filters": {"agent.id": ["Booking", "Reception (31)"]}}},
            "agent 31",
            "Reception (31)",
        ),
        (
            "preview_widget",
            {
                "widget": {**BAR, "field": "metric", "metric": "Customer satisfaction"},
                "dashboard_id": "booking agent",
            },
            "metric 502",
            "metric 502",
        ),
        (
            "preview_widget",
            {"widget": {**BAR, "field": "metric", "metric": "Response latency"}, "dashboard_id": 11},
            "metric 501",
            "metric 501",
        ),
        ("list_dashboards", {"project_id": "harbour telecom"}, "project 2", "project 2"),
        ("look_up", {"kind": "metrics", "agent_id": "Booking"}, "agent 33", "501"),
    ],
)
async def test_names_are_resolved_to_ids_and_reported(tool: str, sent: Json, resolved: str, answer: str) -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, structured = await ask(context, tool, **sent)
    assert f"was read as {resolved}" in text
    assert any(resolved in note for note in structured["notes"])
    assert answer in text


@pytest.mark.parametrize(
    ("tool", "sent", "error"),
    [
        ("preview_widget", {"widget": {**BAR, "filters": {"agent": "Bookings"}}}, 'did you mean "Booking" (33)?'),
        ("preview_widget", {"widget": {**BAR, "filters": {"agent": "Zzzzz"}}}, "look_up agents lists them"),
        (
            "preview_widget",
            {"widget": {**BAR, "field": "metric", "metric": "Response latency"}},
            '2 metrics are called "Response latency"; give the id: 501 (project 1), 506 (project 2)',
        ),
        ("list_dashboards", {"project_id": "Northside"}, "Northside Clinics"),
    ],
)
async def test_unknown_and_ambiguous_names_are_rejected(tool: str, sent: Json, error: str) -> None:
    async with open_tools(shared_sandbox()) as (context, recorder):
        with pytest.raises(DashboardsError) as refusal:
            await ask(context, tool, **sent)
    assert error in str(refusal.value)
    assert not recorder.writes()


async def test_a_metric_name_is_resolved_in_the_project_of_the_widget() -> None:
    async with connect(new_sandbox()) as client:
        result = await client.call_tool(
            "update_widget", {"widget_id": 218, "field": "metric", "metric": "response latency"}
        )
    assert not result.is_error, text_of(result)
    assert "was read as metric 50" in text_of(result)


async def test_an_error_after_a_request_omits_that_nothing_was_sent() -> None:
    async with open_tools(shared_sandbox()) as (context, recorder):
        with pytest.raises(InvalidArguments, match=r"No result\. group: names a group"):
            await ask(context, "list_calls", widget_id=203, group="Booking")
        assert recorder.sent


BY_METRIC = '{"operator":"same_row","conditions":[{"field":"metric_evaluations.metric.'


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (
            {"metric": 503},
            BY_METRIC + 'id","op":"eq","value":503},{"field":"metric_evaluations.value","op":"gte","value":"…"}]}',
        ),
        ({"metric": "Customer satisfaction"}, BY_METRIC + 'name","op":"eq","value":"Customer satisfaction"}'),
        ({"field": "metric", "op": "eq", "value": 503}, BY_METRIC + 'id","op":"eq","value":503}'),
        ({"field": "metric", "op": "gte", "value": 4}, '{"field":"metric_evaluations.value","op":"gte","value":4}'),
        ({"metric": {"gte": 4}}, "may mean the metric or its score"),
        ({"success": True, "metric": 503}, BY_METRIC),
        ([{"metric": 503}], BY_METRIC),
    ],
    ids=str,
)
async def test_an_ambiguous_metric_filter_is_rejected_with_both_forms(sent: object, error: str, era: Era) -> None:
    async with connect(shared_sandbox(), era) as client:
        result = await client.call_tool("get_widgets_data", {"widget_ids": [203], "filters": sent})
    assert result.is_error
    assert error in text_of(result)


@pytest.mark.parametrize("sent", [{"metric_id": 503}, {"metric_value": 1}, {"metric_name": "Customer satisfaction"}])
def test_explicit_metric_aliases_are_accepted(sent: Json) -> None:
    request, _ = parse(BY_NAME["get_widgets_data"].request, {"dashboard_id": 11, "filters": sent})
    assert request.filters.field.startswith("metric_evaluations.")


KEYS = 'Keys that widgets use: "metadata.app_version", "metadata.region".'
COUNT: Json = {"chart_type": "bar", "field": "agent_id", "aggregation_function": "count", "time_period": "day"}


@pytest.mark.parametrize(
    ("tool", "sent", "message"),
    [
        ("get_widgets_data", {"widget_ids": [203], "filters": {"version": "2.4.0"}},
         '{"field":"metadata.app_version","op":"eq","value":"2.4.0"}. ' + KEYS),
        ("get_widgets_data", {"dashboard_id": 11, "filters": {"regoin": "north"}}, '{"field":"metadata.region"'),
        ("get_widgets_data", {"dashboard_id": 11, "filters": {"region": "north"}}, '{"field":"metadata.region"'),
        ("get_widgets_data", {"dashboard_id": 11, "filters": {"campaign": "recall"}}, '{"field":"metadata.campaign"'),
        ("get_widgets_data", {"dashboard_id": 11, "filters": {"field": "metadata", "op": "eq", "value": "x"}}, KEYS),
        ("list_calls", {"widget_id": 203, "filters": {"field": "metadata", "value": "x"}}, KEYS),
        ("preview_widget", {"dashboard_id": 11, "widget": {"chart_type": "pie", "field": "metadata"}}, KEYS),
        ("preview_widget", {"dashboard_id": 11, "widget": {**COUNT, "group_by": "version"}}, KEYS),
        ("explain_change", {"widget_id": 203, "by": ["version"]}, KEYS),
        ("look_up", {"kind": "values", "field": "metadata"}, 'Keys that widgets use: "metadata.app_version"'),
        ("update_widget", {"widget_id": 203, "changes": {"field": "metadata"}}, "Nothing was changed. "),
    ],
)  # fmt: skip
async def test_unknown_fields_suggest_existing_metadata_keys(tool: str, sent: Json, message: str) -> None:
    async with connect(shared_sandbox()) as client:
        result = await client.call_tool(tool, sent)
    text = text_of(result)
    assert result.is_error
    assert message in text
    assert "metadata.metadata" not in text
    assert "Keys that widgets use: " in text


async def test_argument_errors_are_reported_even_if_the_key_look_up_fails() -> None:
    arguments: Json = {"widget_ids": [203], "filters": {"version": "2.4.0"}}
    async with open_tools(shared_sandbox()) as (context, recorder):
        recorder.fault = lambda sent: Response(500, b"{}") if sent.path.startswith("/dashboards/") else None
        with pytest.raises(InvalidArguments, match=r"`filters.version` is not an argument here"):
            await ask(context, "get_widgets_data", **arguments)


@pytest.mark.parametrize("guess", ["p90", "p75", "p999", "90th", "percentile_90"])
def test_unsupported_percentiles_are_rejected_with_the_supported_ones(guess: str) -> None:
    widget = {**COUNT, "field": "duration", "aggregation_function": guess}
    with pytest.raises(InvalidArguments, match=r"use `count`, .* `p50`, `p95` or `p99`"):
        parse(BY_NAME["preview_widget"].request, {"widget": widget})
