"""A chart without calls names the condition that excludes all of them."""

from typing import Any

import pytest

from cekura_dashboards.api import errors
from cekura_dashboards.api.wire import Response
from cekura_sandbox import ApiVariant
from support import Json, Sent, ask, open_tools, report_of, shared_sandbox, sql

pytestmark = pytest.mark.anyio
VARIANTS = [ApiVariant(), ApiVariant(override="merge", preview="merge", booleans="1", rates="percent", stat="array")]
LAWSUIT: Json = {"field": "topic", "op": "eq", "value": "lawsuit"}
LONG: Json = {"field": "duration", "op": "gt", "value": 90_000}
SUCCESS: Json = {"field": "success", "op": "eq", "value": True}


def agent(number: int) -> Json:
    return {"field": "agent.id", "op": "eq", "value": number}


def all_of(*conditions: Json) -> Json:
    return {"operator": "and", "conditions": [*conditions]}


def metric_condition(metric: int | str, value: str, by: str = "id") -> Json:
    conditions = [
        {"field": f"metric_evaluations.metric.{by}", "op": "eq", "value": metric},
        {"field": "metric_evaluations.value", "op": "eq", "value": value},
    ]
    return {"operator": "same_row", "conditions": conditions}


CASES: list[tuple[Json, str]] = [
    (LAWSUIT, 'matches topic = "lawsuit"; values that occur: "billing question", '),
    (all_of(SUCCESS, LAWSUIT), 'matches topic = "lawsuit"; values'),
    ({"field": "topic", "op": "in", "value": ["lawsuit", "theft"]}, 'matches topic in ("lawsuit", "theft"); values'),
    ({"field": "metadata.app_version", "op": "eq", "value": "9.9"}, 'matches "metadata.app_version" = "9.9"; values'),
    (
        {"field": "agent.agent_name", "op": "eq", "value": "Recepton"},
        'matches agent.agent_name = "Recepton"; did you mean "Reception"?; agents: ',
    ),
    (metric_condition(504, "positiv"), 'did you mean "positive"?; values that occur: "positive", '),
    (metric_condition("Sentimnt", "positive", by="name"), "calls in this window has one evaluation with"),
    (
        {"field": "metric_evaluations.metric.name", "op": "eq", "value": "Sentimnt"},
        'did you mean "Sentiment"?; metrics: ',
    ),
    ({"field": "agent.id", "op": "isnull", "value": True}, "calls in this window has no value of agent.id"),
    (all_of(SUCCESS, LONG), "calls in this window matches duration > 90000"),
    ({"field": "topic", "op": "contains", "value": "lawsuit"}, 'matches topic contains "lawsuit"'),
    (agent(41), 'agent 41 "Number porting" is in project 2, but these are calls of project 1'),
    (
        {"field": "agent.id", "op": "in", "value": [41, 4100]},
        "project 2, but these are calls of project 1; this key",
    ),
    (agent(4100), "this key cannot see agent 4100"),
    (all_of(SUCCESS, {**SUCCESS, "value": False}), "each condition alone matches some of the"),
]


@pytest.mark.parametrize("place", range(len(CASES)))
async def test_an_empty_chart_names_the_condition_that_matches_no_call(place: int) -> None:
    (filters, note_part), app = CASES[place], shared_sandbox(VARIANTS[place % 2])
    async with open_tools(app) as (context, _):
        notes = [(await report_of(context, widget_ids=[203], filters=filters))["notes"][0]]
        widget = {"chart_type": "pie", "field": "topic", "filters": filters}
        _, preview = await ask(context, "preview_widget", widget=widget, dashboard_id=11)
        notes.append(preview["report"]["notes"][0])
        _, calls = await ask(context, "list_calls", widget_id=202, filters=filters)
        notes.append(calls["notes"][0])
    assert all(note_part in note for note in notes), notes
    assert not any("longer window" in note for note in notes)
    [(every,)] = sql(app, "SELECT count(*) FROM calls WHERE ts >= '2026-11-11' AND agent_id IN (31,32,33,34,35,36,37)")
    counted = [note for note in notes if "calls in this window" in note]
    assert all(f"{every} calls in this window" in note for note in counted)


async def test_an_empty_chart_blames_no_agent_with_matching_calls() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        report = await report_of(context, widget_ids=[203], filters=all_of(agent(33), LAWSUIT))
    assert 'matches topic = "lawsuit"' in report["notes"][0]


async def test_an_empty_chart_distinguishes_no_calls_from_no_values() -> None:
    app = shared_sandbox()

    def no_rows(sent: Sent) -> Response | None:
        is_line_preview = sent.path.endswith("preview_data/") and sent.body["chart_type"] == "line"
        return Response(200, b'{"chart_type": "line", "data": []}') if is_line_preview else None

    async with open_tools(app) as (context, recorder):
        report = await report_of(context, widget_ids=[203], window="2026-11-18T15:28:00Z/2026-11-18T15:29:00Z")
        assert report["notes"][0] == "there are no calls in this window: try a longer window"
        _, metrics = await ask(context, "look_up", kind="metrics", project_id=1)
        number = next(row[0] for row in metrics["rows"] if row[2] == "numeric")
        recorder.fault = no_rows
        widget = {"chart_type": "line", "field": "metric_evaluations.value", "metric": number}
        _, preview = await ask(context, "preview_widget", widget=widget, dashboard_id=11)
    [(every,)] = sql(app, "SELECT count(*) FROM calls WHERE ts >= '2026-11-11' AND agent_id IN (31,32,33,34,35,36,37)")
    assert preview["report"]["notes"][0] == f"{every} matching calls, none with a value of this metric"


async def test_the_cause_of_empty_charts_is_determined_once_for_all() -> None:
    async with open_tools(shared_sandbox()) as (context, recorder):
        await ask(context, "get_widgets_data", dashboard_id=11, filters=LAWSUIT)
        stats = [s.body for s in recorder.sent if s.path.endswith("preview_data/") and s.body["chart_type"] == "stat"]
        assert len(stats) == 4, "the two counts of all widgets, and both sides of the stat's own change"

        def failing(sent: Sent) -> Any:
            stat = sent.path.endswith("preview_data/") and sent.body["chart_type"] == "stat"
            return errors.ConnectionBroken("x") if stat else None

        recorder.fault = failing
        report = await report_of(context, widget_ids=[203], filters=LAWSUIT)
        assert report["notes"][0].startswith('no calls with a value where topic = "lawsuit": the window may hold none')


@pytest.mark.parametrize("window", ["30d", None], ids=["argument", "saved"])
@pytest.mark.parametrize("function", ["avg", "count"])
async def test_a_series_that_starts_within_the_window_is_not_an_outage(window: str | None, function: str) -> None:
    app = shared_sandbox(count=60_000)
    [(first,)] = sql(
        app,
        "SELECT strftime(min(ts), '%Y-%m-%d') FROM calls WHERE json_extract_string(metadata, '$.app_version') = '2.4.0'",
    )
    version = {"field": "metadata.app_version", "op": "eq", "value": "2.4.0"}
    widget = {"chart_type": "bar", "field": "success", "time_period": "day", "aggregation_function": function}
    async with open_tools(app) as (context, _):
        arguments: Json = {"window": window} if window else {"dashboard_id": 12}
        _, answer = await ask(context, "preview_widget", widget={**widget, "filters": version}, **arguments)
    report = answer["report"]
    assert f"no calls before {first}T00:00Z" in report["notes"]
    findings: list[Json] = report.get("findings") or []
    assert not [finding for finding in findings if finding["kind"] == "outage"]
