"""What models really send, in other shapes and by name: read as what is meant, and told; or refused with the shape."""

import pytest

from cekura_dashboards.api.errors import DashboardsError, InvalidArguments
from cekura_dashboards.api.wire import Response
from cekura_dashboards.arguments.reader import parse
from support import BY_NAME, Era, Json, ask, connect, new_sandbox, open_tools, shared_sandbox, text_of

pytestmark = pytest.mark.anyio
BAR: Json = {"chart_type": "bar", "field": "duration", "aggregation_function": "avg", "time_period": "day"}
TRUE: Json = {"field": "success", "op": "eq", "value": True}
BY_AGENT: Json = {"type": "field", "field": "agent.id"}


@pytest.mark.parametrize(
    ("sent", "meant"),
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
def test_a_grouping_may_be_a_word(sent: object, meant: Json) -> None:
    request, notes = parse(BY_NAME["preview_widget"].request, {"widget": {**BAR, "group_by": sent}})
    assert request.widget.group_by.model_dump(exclude_none=True) == meant
    assert any(note.startswith("widget.group_by was read as") for note in notes)


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ([TRUE], TRUE),
        ([TRUE, TRUE], {"operator": "and", "conditions": [TRUE, TRUE]}),
        ({"and": [TRUE, TRUE]}, {"operator": "and", "conditions": [TRUE, TRUE]}),
        ({"OR": [TRUE, {"success": False}]}, {"operator": "or", "conditions": [TRUE, {**TRUE, "value": False}]}),
        ({"success": True}, TRUE),
        ({"success": "true"}, TRUE),
        ({"topic": ["a", "b"]}, {"field": "topic", "op": "in", "value": ["a", "b"]}),
        ({"duration": {"gte": 300}}, {"field": "duration", "op": "gte", "value": 300}),
        ({"duration": {"$gt": 300}}, {"field": "duration", "op": "gt", "value": 300}),
        ({"field": "duration", ">": 300}, {"field": "duration", "op": "gt", "value": 300}),
        ({"dropoff": None}, {"field": "dropoff_point", "op": "isnull", "value": True}),
        (
            {"success": True, "topic": "a"},
            {"operator": "and", "conditions": [TRUE, {"field": "topic", "op": "eq", "value": "a"}]},
        ),
        ('[{"field": "success", "op": "eq", "value": true}]', TRUE),
    ],
)
def test_filters_may_be_lists_and_pairs(sent: object, meant: Json) -> None:
    request, notes = parse(BY_NAME["get_widgets_data"].request, {"dashboard_id": 11, "filters": sent})
    assert request.filters.to_json() == meant
    assert any(note.startswith("filters") for note in notes)


@pytest.mark.parametrize("sent", [{"agent": 33.0}, {"field": "agent.id", "op": "in", "value": [31.0, 33]}])
def test_an_id_that_a_client_made_a_fraction_of_is_whole(sent: Json) -> None:
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
        ({"conditions": [TRUE, TRUE]}, '{"operator":"and","conditions":[{"field":"success","op":"eq","value":true}'),
    ],
)
def test_a_filter_that_is_refused_is_shown_as_it_should_be(sent: Json, error: str) -> None:
    with pytest.raises(InvalidArguments) as refusal:
        parse(BY_NAME["get_widgets_data"].request, {"dashboard_id": 11, "filters": sent})
    assert error in str(refusal.value)


@pytest.mark.parametrize(
    ("tool", "sent", "meant"),
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
def test_what_was_put_one_level_too_high_is_taken(tool: str, sent: Json, meant: Json) -> None:
    request, notes = parse(BY_NAME[tool].request, sent)
    assert request == parse(BY_NAME[tool].request, meant)[0]
    assert notes


@pytest.mark.parametrize(
    ("tool", "sent", "told", "answer"),
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
async def test_a_name_stands_for_an_id(tool: str, sent: Json, told: str, answer: str) -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, structured = await ask(context, tool, **sent)
    assert f"was read as {told}" in text
    assert any(told in note for note in structured["notes"])
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
async def test_a_name_that_nothing_or_too_much_has_is_refused(tool: str, sent: Json, error: str) -> None:
    async with open_tools(shared_sandbox()) as (context, recorder):
        with pytest.raises(DashboardsError) as refusal:
            await ask(context, tool, **sent)
    assert error in str(refusal.value)
    assert not recorder.writes()


async def test_a_metric_of_a_saved_widget_is_looked_for_in_its_project() -> None:
    async with connect(new_sandbox()) as client:
        result = await client.call_tool(
            "update_widget", {"widget_id": 218, "field": "metric", "metric": "response latency"}
        )
    assert not result.is_error, text_of(result)
    assert "was read as metric 50" in text_of(result)


async def test_what_is_refused_after_something_was_read_does_not_say_that_nothing_was_sent() -> None:
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
async def test_a_metric_alone_is_not_read_as_a_value(sent: object, error: str, era: Era) -> None:
    async with connect(shared_sandbox(), era) as client:
        result = await client.call_tool("get_widgets_data", {"widget_ids": [203], "filters": sent})
    assert result.is_error
    assert error in text_of(result)


@pytest.mark.parametrize("sent", [{"metric_id": 503}, {"metric_value": 1}, {"metric_name": "Customer satisfaction"}])
def test_what_says_which_part_of_a_metric_it_means_is_read(sent: Json) -> None:
    request, _ = parse(BY_NAME["get_widgets_data"].request, {"dashboard_id": 11, "filters": sent})
    assert request.filters.field.startswith("metric_evaluations.")


KEYS = 'Keys that widgets use: "metadata.app_version", "metadata.region".'
COUNT: Json = {"chart_type": "bar", "field": "agent_id", "aggregation_function": "count", "time_period": "day"}


@pytest.mark.parametrize(
    ("tool", "sent", "said"),
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
async def test_what_may_be_a_key_of_metadata_leads_to_keys_that_there_are(tool: str, sent: Json, said: str) -> None:
    async with connect(shared_sandbox()) as client:
        result = await client.call_tool(tool, sent)
    text = text_of(result)
    assert result.is_error
    assert said in text
    assert "metadata.metadata" not in text
    assert "Keys that widgets use: " in text


async def test_keys_that_calls_show_are_told_and_a_failed_look_up_hides_no_fault() -> None:
    given: Json = {"widget_ids": [203], "filters": {"version": "2.4.0"}}
    async with open_tools(shared_sandbox()) as (context, recorder):
        recorder.fault = lambda sent: Response(500, b"{}") if sent.path.startswith("/dashboards/") else None
        with pytest.raises(InvalidArguments, match=r"`filters.version` is not an argument here"):
            await ask(context, "get_widgets_data", **given)


@pytest.mark.parametrize("guess", ["p90", "p75", "p999", "90th", "percentile_90"])
def test_a_percentile_that_there_is_not_is_no_other_one(guess: str) -> None:
    widget = {**COUNT, "field": "duration", "aggregation_function": guess}
    with pytest.raises(InvalidArguments, match=r"use `count`, .* `p50`, `p95` or `p99`"):
        parse(BY_NAME["preview_widget"].request, {"widget": widget})
