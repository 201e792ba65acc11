"""Metrics used as if they were fields: the error suggests the arguments to use instead."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from cekura_dashboards.api.errors import InvalidArguments
from cekura_dashboards.api.wire import Response
from cekura_dashboards.arguments.references import matching_names
from support import Era, Json, ask, connect, open_tools, shared_sandbox, text_of

pytestmark = pytest.mark.anyio
COUNT: Json = {"chart_type": "bar", "field": "agent_id", "aggregation_function": "count", "time_period": "day"}
NAMES = ["Customer satisfaction", "Response latency", "Appointment booked", "Sentiment", "Empathy", "Is resolved"]


def metric_condition(number: int, op: str, value: Any) -> Json:
    conditions = [
        {"field": "metric_evaluations.metric.id", "op": "eq", "value": number},
        {"field": "metric_evaluations.value", "op": op, "value": value},
    ]
    return {"operator": "same_row", "conditions": conditions}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("customer satisfaction", "Customer satisfaction"),
        ("CUSTOMER_SATISFACTION", "Customer satisfaction"),
        ("csat", "Customer satisfaction"),
        ("cust sat", "Customer satisfaction"),
        ("satisf", "Customer satisfaction"),
        ("satisfied", "Customer satisfaction"),
        ("satisfaction score", "Customer satisfaction"),
        ("average customer satisfaction per agent", "Customer satisfaction"),
        ("custmer satisfaction", "Customer satisfaction"),
        ("Latency", "Response latency"),
        ("latency p95", "Response latency"),
        ("response time", "Response latency"),
        ("booked appointments", "Appointment booked"),
        ("sentiment", "Sentiment"),
        ("Sentiment score", "Sentiment"),
        ("Sentimnt", "Sentiment"),
        ("is_resolved", "Is resolved"),
        ("total cost", None),
        ("customer number", None),
        ("calls", None),
        ("duraton", None),
        ("topics", None),
        ("colour", None),
        ("", None),
        ("  __ ", None),
    ],
)
def test_a_text_matches_the_most_similar_metric_name(text: str, name: str | None) -> None:
    assert matching_names(text, NAMES) == ({name} if name else set())


def test_name_matching_handles_very_long_texts() -> None:
    names = ["a" * 100_000, "word " * 20_000, "x " * 100, *NAMES]
    for text in ("a" * 200_000, "word " * 40_000, "x" * 150, "csat" * 60, "aaaa"):
        matching_names(text, names)
    assert matching_names("csat", names) == {"Customer satisfaction"}


METRICS: list[tuple[str, int, str]] = [
    ("customer satisfaction", 502, '"Customer satisfaction" (numeric, drawn as line or bar or pie)'),
    ("csat", 502, '"Customer satisfaction" (numeric, drawn as line or bar or pie)'),
    ("sentiment", 504, '"Sentiment" (enum, drawn as pie)'),
    ("Response latency", 501, '"Response latency" (numeric, drawn as line or bar or pie)'),
    ("APPOINTMENT BOOKED", 503, '"Appointment booked" (binary, drawn as pie or bar)'),
]
WIDGET_ARGUMENTS: list[tuple[str, Callable[[Json], Json]]] = [
    ("preview_widget", lambda widget: {"widget": widget, "dashboard_id": 11}),
    ("update_widget", lambda widget: {"widget_id": 203, "changes": widget}),
    ("preview_edit", lambda widget: {"dashboard_id": 11, "create": [widget]}),
    ("bulk_edit_dashboard", lambda widget: {"dashboard_id": 11, "update": [{"id": 203, **widget}]}),
    ("create_dashboard", lambda widget: {"name": "New", "project_id": 1, "widgets": [widget]}),
    ("explain_change", lambda widget: {"widget": widget, "project_id": 1}),
]


@pytest.mark.parametrize(("tool", "arguments_with"), WIDGET_ARGUMENTS)
@pytest.mark.parametrize(("field", "number", "title"), METRICS)
async def test_plotting_a_metric_by_name_suggests_its_id_and_chart_types(
    field: str, number: int, title: str, tool: str, arguments_with: Callable[[Json], Json]
) -> None:
    async with open_tools(shared_sandbox()) as (context, recorder):
        with pytest.raises(InvalidArguments) as refusal:
            await ask(context, tool, **arguments_with({"chart_type": "pie", "field": field}))
    ready = json.dumps({"field": "metric_evaluations.value", "metric": number}, separators=(",", ":"))
    assert f'"{field}" is not a field, but there is metric {number} {title}: {ready}.' in str(refusal.value)
    assert "Nothing was sent" not in str(refusal.value)
    assert recorder.writes() == []


async def test_suggested_arguments_are_accepted_verbatim(era: Era) -> None:
    async with connect(shared_sandbox(), era) as client:
        refused = await client.call_tool("preview_widget", {"widget": {"chart_type": "pie", "field": "sentiment"}})
        assert refused.is_error
        offered = json.loads(text_of(refused).partition("drawn as pie): ")[2].removesuffix("."))
        result = await client.call_tool("preview_widget", {"widget": {"chart_type": "pie", **offered}})
        assert not result.is_error
        share = {"widget": COUNT, "dashboard_id": 11, "share_where": {"field": "csat", "op": "gte", "value": 4}}
        refused = await client.call_tool("preview_widget", share)
        condition = json.loads(text_of(refused).partition("(numeric): ")[2].removesuffix("."))
        assert condition == metric_condition(502, "gte", 4)
        result = await client.call_tool("preview_widget", {**share, "share_where": condition})
    assert not result.is_error


METRIC_FILTERS: list[tuple[Json, Json]] = [
    ({"field": "customer satisfaction", "op": "gte", "value": 4}, metric_condition(502, "gte", 4)),
    ({"field": "Latency", "op": "gt", "value": 2.5}, metric_condition(501, "gt", 2.5)),
    ({"csat": 5}, metric_condition(502, "eq", 5)),
    ({"csat": {"lt": 3}}, metric_condition(502, "lt", 3)),
    ({"field": "sentiment", "op": "in", "value": ["angry", "sad"]}, metric_condition(504, "in", ["angry", "sad"])),
]


FILTER_ARGUMENTS: list[tuple[str, Callable[[Json], Json]]] = [
    ("get_widgets_data", lambda found: {"dashboard_id": 11, "filters": found}),
    ("get_widgets_data", lambda found: {"dashboard_id": 11, "compare_filters": found}),
    ("preview_widget", lambda found: {"widget": COUNT, "dashboard_id": 11, "share_where": found}),
    ("list_calls", lambda found: {"widget_id": 203, "filters": found}),
    ("update_dashboard", lambda found: {"dashboard_id": 11, "only": found}),
    ("update_widget", lambda found: {"widget_id": 203, "changes": {"filters": found}}),
]


@pytest.mark.parametrize(("tool", "arguments_with"), FILTER_ARGUMENTS)
@pytest.mark.parametrize(("given", "expected"), METRIC_FILTERS)
async def test_filtering_by_a_metric_name_suggests_the_complete_condition(
    tool: str, arguments_with: Callable[[Json], Json], given: Json, expected: Json
) -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        with pytest.raises(InvalidArguments) as refusal:
            await ask(context, tool, **arguments_with(given))
    assert json.dumps(expected, separators=(",", ":")) in str(refusal.value)


@pytest.mark.parametrize(
    ("tool", "given"),
    [
        ("explain_change", {"widget_id": 203, "by": ["sentiment"]}),
        ("preview_widget", {"widget": {**COUNT, "group_by": "sentiment"}, "dashboard_id": 11}),
    ],
)
async def test_grouping_by_a_metric_is_rejected(tool: str, given: Json) -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        with pytest.raises(
            InvalidArguments, match=r'metric 504 "Sentiment" .enum., which cannot be grouped by; filter'
        ):
            await ask(context, tool, **given)


async def test_looking_up_values_of_a_metric_suggests_a_pie() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        with pytest.raises(InvalidArguments, match="preview_widget shows its values") as refusal:
            await ask(context, "look_up", kind="values", field="sentiment", project_id=1)
        suggested = json.loads(str(refusal.value).partition("shows its values: ")[2].removesuffix("."))
        text, _ = await ask(context, "preview_widget", **suggested)
    assert "metric 504" in text


@pytest.mark.parametrize("search", ["csat", "satisfaction score", "Custmer satisfaction", "CUST SAT"])
async def test_metric_search_matches_similar_names(search: str) -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, answer = await ask(context, "look_up", kind="metrics", search=search)
    assert [row[0] for row in answer["rows"]] == [502]
    assert f'none contains "{search}"; these are similar' in text
    assert "no such measure" not in text


async def test_metric_search_matches_a_misspelled_word_of_a_longer_name() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, answer = await ask(context, "look_up", kind="metrics", search="latncy")
    assert [row[0] for row in answer["rows"]] == [501, 506]
    assert 'none contains "latncy"; these are similar' in text


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ("zzz", 'no match for "zzz"; without search all are listed'),
        ("cost", "nearest: talk time"),
        ("quality", "no match for"),
    ],
)
async def test_metric_search_without_a_match_suggests_another_step(search: str, message: str) -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, answer = await ask(context, "look_up", kind="metrics", search=search)
    assert answer["rows"] == []
    assert message in text
    assert "look_up metrics" not in text


@pytest.mark.parametrize(("search", "number", "title"), METRICS)
async def test_field_search_suggests_the_matching_metric(search: str, number: int, title: str) -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, _ = await ask(context, "look_up", kind="fields", search=search, project_id=1)
    assert f'metric {number} {title}: {{"field":"metric_evaluations.value","metric":{number}}}' in text
    assert "no such measure" not in text


async def test_metrics_with_equal_names_are_listed_with_their_projects() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        with pytest.raises(InvalidArguments, match=r"501 .* of project 1 or metric 506 .* of project 2: .*501}"):
            await ask(context, "preview_widget", widget={"chart_type": "line", "field": "latency"})
        text, _ = await ask(context, "look_up", kind="fields", search="latency")
    assert "of project 1: " in text
    assert "of project 2: " in text


async def test_a_misspelled_field_gets_a_suggestion() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        with pytest.raises(InvalidArguments, match="did you mean `duration`"):
            await ask(context, "preview_widget", widget={"chart_type": "line", "field": "duraton"})


async def test_field_errors_are_reported_even_if_metrics_are_unavailable() -> None:
    async with open_tools(shared_sandbox()) as (context, recorder):
        recorder.fault = lambda sent: Response(503, b"") if "metrics" in sent.path else None
        with pytest.raises(InvalidArguments, match="nearest: a metric of the project"):
            await ask(context, "preview_widget", widget={"chart_type": "line", "field": "sentiment"}, dashboard_id=11)


async def test_faults_unrelated_to_metrics_send_no_request() -> None:
    async with open_tools(shared_sandbox()) as (context, recorder):
        with pytest.raises(InvalidArguments, match="Nothing was sent"):
            await ask(context, "preview_widget", widget={"chart_type": "cake", "field": "duration"})
    assert recorder.sent == []


async def test_a_project_of_another_key_is_rejected_by_every_tool() -> None:
    bar = {"chart_type": "bar", "field": "success", "aggregation_function": "avg", "time_period": "day"}
    requests: list[tuple[str, Json]] = [
        ("list_dashboards", {}),
        ("look_up", {"kind": "agents"}),
        ("find_changes", {}),
        ("list_calls", {}),
        ("explain_change", {"widget": bar}),
    ]
    async with open_tools(shared_sandbox()) as (context, recorder):
        for tool, arguments in requests:
            with pytest.raises(InvalidArguments, match=r"^Not found. project_id: no project 99 for this key; look_up"):
                await ask(context, tool, **arguments, project_id=99)
        assert {path.rsplit("/", 2)[-2] for path in recorder.paths()} == {"projects"}
        recorder.fault = lambda sent: Response(403, b"") if sent.path.endswith("projects/") else None
        context.lookups.forget()
        _, answer = await ask(context, "list_dashboards", project_id=1)
        assert [row["id"] for row in answer["dashboards"]] == [11, 12]
