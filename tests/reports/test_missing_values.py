"""Calls without a value: included, counted, or reported as omitted."""

from typing import Any

import pytest

from cekura_dashboards.api.filters import Filter, filter_warnings, with_missing
from support import Json, apply_edit, ask, new_sandbox, open_tools, report_of, shared_sandbox, sql

pytestmark = pytest.mark.anyio
NOT_RECALL: Json = {"field": "metadata.campaign", "op": "neq", "value": "recall"}
NO_CAMPAIGN: Json = {"field": "metadata.campaign", "op": "isnull", "value": True}
HAS_CAMPAIGN: Json = {**NO_CAMPAIGN, "value": False}
NOT_COMPLAINT: Json = {"field": "topic", "op": "neq", "value": "complaint"}
COUNT: Json = {"chart_type": "bar", "field": "agent_id", "aggregation_function": "count", "time_period": "day"}
RECALL = "metadata['campaign'] = 'recall'"
PROJECT_WEEK = "project = 1 AND ts >= '2026-11-11'"


def count(where: str, *, of: str = "*") -> int:
    [(number,)] = sql(shared_sandbox(), f"SELECT count({of}) FROM calls WHERE {PROJECT_WEEK} AND {where}")
    return int(number)


def all_of(*conditions: Json) -> Json:
    return {"operator": "and", "conditions": [*conditions]}


async def test_share_where_with_neq_counts_calls_without_a_value() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, answer = await ask(context, "preview_widget", widget=COUNT, dashboard_id=11, share_where=NOT_RECALL)
        _, those_with = await ask(
            context, "preview_widget", widget=COUNT, dashboard_id=11, share_where=all_of(NOT_RECALL, HAS_CAMPAIGN)
        )
        _, those_equal = await ask(
            context, "preview_widget", widget=COUNT, dashboard_id=11, share_where={**NOT_RECALL, "op": "eq"}
        )
    share, share_present, share_equal = (one["report"]["facts"]["overall"] for one in (answer, those_with, those_equal))
    assert share == pytest.approx(count(f"NOT coalesce({RECALL}, false)") / count("TRUE"), abs=1e-4)
    assert share + share_equal == pytest.approx(1, abs=2e-4)
    assert share_present == pytest.approx(count(f"NOT {RECALL}") / count("TRUE"), abs=1e-4)
    assert '"metadata.campaign" ≠ "recall" or "metadata.campaign" has no value' in text
    assert "share_where: neq also counts calls without a value of metadata.campaign" in text


async def test_neq_counts_calls_without_a_value_in_every_tool() -> None:
    expected = count("coalesce(topic, '') <> 'complaint'")
    async with open_tools(shared_sandbox()) as (context, _):
        report = await report_of(context, widget_ids=[202], filters=NOT_COMPLAINT)
        _, preview = await ask(context, "preview_widget", widget=COUNT, dashboard_id=11, filters=NOT_COMPLAINT)
        _, calls = await ask(context, "list_calls", widget_id=202, filters=NOT_COMPLAINT)
        _, explained = await ask(context, "explain_change", widget_id=202, filters=NOT_COMPLAINT, window="7d")
        against = await report_of(context, widget_ids=[202], compare_filters=NOT_COMPLAINT)
    assert [report["n"], preview["report"]["n"], calls["total"]] == [expected] * 3
    assert "topic has no value" in explained["where"]
    assert against["comparison"]["baseline"]["value"] == expected


async def test_a_saved_neq_is_kept_and_the_calls_without_a_value_are_counted() -> None:
    app = new_sandbox(count=6000)
    async with open_tools(app) as (context, recorder):
        receipt = await apply_edit(
            context, "bulk_edit_dashboard", {"dashboard_id": 11, "create": [{**COUNT, "name": "x", "filters": NOT_RECALL}]}
        )  # fmt: skip
        number = receipt["changes"][0]["id"]
        assert app.state.world.store.widget(number)["filters"] == NOT_RECALL
        recorder.sent.clear()
        report = await report_of(context, widget_ids=[number], points=0)
        previews = [sent for sent in recorder.sent if sent.path.endswith("preview_data/")]
        recorder.sent.clear()
        await report_of(context, widget_ids=[202], points=0)
        usual = [sent for sent in recorder.sent if sent.path.endswith("preview_data/")]
    assert report["n"] == count(f"NOT {RECALL}")
    missing = count("metadata['campaign'] IS NULL")
    expected = f'{missing} more calls have no value of "metadata.campaign", and neq may omit them'
    assert [note.split(";")[0] for note in report["notes"] if "no value" in note] == [expected]
    assert len(previews) == len(usual) + 1
    assert any("neq may exclude calls without a value" in warning for warning in receipt["warnings"])


@pytest.mark.parametrize(
    ("field", "column"),
    [
        ("topic", "topic"),
        ("dropoff_point", "dropoff_point"),
        ("success", "success"),
        ("metadata.campaign", "metadata['campaign']"),
    ],
)
async def test_counting_a_field_states_that_calls_without_a_value_are_omitted(field: str, column: str) -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, answer = await ask(context, "preview_widget", widget={**COUNT, "field": field}, dashboard_id=11)
        share, _ = await ask(
            context, "preview_widget", widget={**COUNT, "field": field}, dashboard_id=11, share_where=NOT_RECALL
        )
        _, calls = await ask(context, "list_calls", widget={**COUNT, "field": field}, dashboard_id=11)
    assert answer["report"]["n"] == calls["total"] == count("TRUE", of=column) < count("TRUE")
    assert answer["report"]["where"].endswith(" has a value")
    assert "where all calls" not in text + share
    assert "omits calls without one; field agent_id counts all calls" in text


async def test_counting_all_calls_omits_the_note_on_missing_values() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, answer = await ask(context, "preview_widget", widget=COUNT, dashboard_id=11)
    assert answer["report"]["where"] == "all calls"
    assert "omits calls" not in text


@pytest.mark.parametrize(
    ("filters", "sent"),
    [
        (NOT_RECALL, {"operator": "or", "conditions": [NOT_RECALL, NO_CAMPAIGN]}),
        (all_of(NOT_RECALL, HAS_CAMPAIGN), None),
        ({"operator": "or", "conditions": [NOT_RECALL, NO_CAMPAIGN]}, None),
        ({"field": "call_ended_reason", "op": "neq", "value": "x"}, None),
        ({"field": "topic", "op": "eq", "value": "x"}, None),
        (
            {"operator": "same_row", "conditions": [
                {"field": "metric_evaluations.metric.id", "op": "neq", "value": 1},
                {"field": "metric_evaluations.value", "op": "neq", "value": 1},
            ]},
            None,
        ),
        (
            all_of({"field": "duration", "op": "gt", "value": 3}, NOT_COMPLAINT),
            all_of(
                {"field": "duration", "op": "gt", "value": 3},
                {"operator": "or", "conditions": [NOT_COMPLAINT, {"field": "topic", "op": "isnull", "value": True}]},
            ),
        ),
    ],
)  # fmt: skip
def test_missing_values_are_added_only_to_neq_on_optional_fields(filters: Json, sent: Json | None) -> None:
    sent_filter, notes = with_missing(Filter.model_validate(filters))
    assert sent_filter == (sent or filters)
    assert bool(notes) == (sent is not None)
    assert any("may exclude" in text for text in filter_warnings(filters)) == (sent is not None)


async def test_neq_on_a_complete_field_adds_no_note() -> None:
    widget: Any = {**COUNT, "filters": {"field": "metadata.region", "op": "neq", "value": "north"}}
    async with open_tools(shared_sandbox()) as (context, _):
        _, answer = await ask(context, "preview_widget", widget=widget, dashboard_id=11)
    assert not any("no value" in note for note in answer["report"].get("notes", []))
