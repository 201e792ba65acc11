"""check_dashboard: every kind of finding is detected, and its fix resolves it."""

from typing import Any

import pytest
from fastapi import FastAPI

from cekura_dashboards.api.wire import Response
from support import Json, ask, new_sandbox, open_tools

pytestmark = pytest.mark.anyio
LAST_WEEK: Json = {"field": "timestamp", "op": "gte", "value": "today-7d"}
VALID_WIDGET: Json = {
    "name": "Success",
    "chart_type": "bar",
    "field": "success",
    "aggregation_function": "avg",
    "time_period": "day",
}
METRIC: Json = {**VALID_WIDGET, "name": "Latency", "field": "metric_evaluations.value", "metric": 501}
MATCHES_NO_CALL: Json = {"field": "topic", "op": "eq", "value": "no such topic"}


def dashboard_with(app: FastAPI, *widgets: Json, filters: Any = LAST_WEEK, forced: Json | None = None) -> int:
    """A dashboard with these widgets; ``forced`` is stored in the last one without validation."""
    store = app.state.world.store
    number: int = store.create_dashboard({"name": "Planted", "project": 1, "filters": filters})["id"]
    ids = [store.create_widget({**widget, "dashboard": number})["id"] for widget in widgets]
    store._widgets[ids[-1]] |= forced or {}  # noqa: SLF001 - only the API could store it
    return number


FINDINGS: list[tuple[str, list[Json], Json, str]] = [
    ("broken", [VALID_WIDGET], {"field": "colour"}, "is not a field of calls"),
    ("broken", [VALID_WIDGET], {"aggregation_function": "sum"}, "is not possible for"),
    ("broken", [VALID_WIDGET], {"time_period": None}, "time_period: is missing"),
    ("broken", [METRIC], {"metric": 999}, "no metric 999 in project 1"),
    ("broken", [METRIC], {"metric": 504, "chart_type": "line"}, "is not possible for an enum metric"),
    ("empty", [{**VALID_WIDGET, "filters": MATCHES_NO_CALL}], {}, "its own filters may be too narrow"),
    ("duplicate", [VALID_WIDGET, {**VALID_WIDGET, "name": "The same"}], {}, "duplicates widget"),
    ("sum_of_score", [{**METRIC, "aggregation_function": "sum"}], {}, "a sum of scores"),
    ("sum_of_score", [{**VALID_WIDGET, "field": "agent_id"}], {}, "the avg of ids is meaningless"),
    ("many_slices", [{"name": "Slices", "chart_type": "pie", "field": "metadata.caller"}], {}, "slices are too many to read"),
    ("many_buckets", [{**VALID_WIDGET, "time_period": "hour"}], {}, "bars are too many to read"),
    ("no_name", [{**VALID_WIDGET, "name": None}], {}, "without a name"),
    ("same_name", [VALID_WIDGET, {**VALID_WIDGET, "field": "duration"}], {}, "has the same name as widget"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "widgets", "forced", "text_part"), FINDINGS, ids=[f"{p[0]}-{i}" for i, p in enumerate(FINDINGS)]
)
async def test_every_kind_of_finding_is_detected_and_resolved_by_its_fix(
    kind: str, widgets: list[Json], forced: Json, text_part: str
) -> None:
    app = new_sandbox(count=3000 if kind != "many_slices" else 3001)  # no other test uses these calls
    if kind == "many_slices":
        app.state.world.con.execute("UPDATE calls SET metadata = json_object('caller', 'C' || (id % 20))")
    number = dashboard_with(app, *widgets, forced=forced)
    async with open_tools(app) as (context, recorder):
        text, answer = await ask(context, "check_dashboard", dashboard_id=number)
        assert recorder.writes() == []
        [finding] = answer["findings"]
        assert (finding["kind"], text_part in finding["text"]) == (kind, True)
        assert finding["fix"]["arguments"]["plan_id"] in text
        _, receipt = await ask(context, finding["fix"]["tool"], **finding["fix"]["arguments"])
        assert receipt["outcome"] == "applied"
        text, answer = await ask(context, "check_dashboard", dashboard_id=number)
        assert answer["findings"] == []
        assert "no findings" in text


async def test_missing_date_ranges_are_fixed_on_the_dashboard() -> None:
    app = new_sandbox(count=2000)
    number = dashboard_with(app, VALID_WIDGET, {"name": "Topics", "chart_type": "pie", "field": "topic"}, filters=None)
    async with open_tools(app) as (context, _):
        _, answer = await ask(context, "check_dashboard", dashboard_id=number)
        [finding] = answer["findings"]
        assert (finding["kind"], len(finding["widgets"])) == ("no_date_range", 2)
        assert finding["fix"]["tool"] == "update_dashboard"
        await ask(context, "update_dashboard", **finding["fix"]["arguments"])
        assert app.state.world.store.dashboard(number)["filters"] == LAST_WEEK
        _, answer = await ask(context, "check_dashboard", dashboard_id=number)
    assert answer["findings"] == []


async def test_a_healthy_dashboard_has_no_findings() -> None:
    app = new_sandbox(count=3000)
    for alert in app.state.world.store.alerts.list():
        app.state.world.store.alerts.delete(alert["id"])
    async with open_tools(app) as (context, _):
        text, answer = await ask(context, "check_dashboard", dashboard_id=12)
    assert answer["findings"] == []
    assert text == f'dashboard 12 "Booking agent": no findings\n{answer["scope"]}'
    assert "get_widgets_data shows their numbers" in text


async def test_a_fix_that_would_create_a_duplicate_is_omitted() -> None:
    async with open_tools(new_sandbox(count=3000)) as (context, _):
        text, answer = await ask(context, "check_dashboard", dashboard_id=11)
    [finding] = answer["findings"]
    assert (finding["kind"], finding["widgets"]) == ("many_buckets", [208])
    assert "fix" not in finding
    assert 'it would duplicate widget 202 "Calls per day"' in text


async def test_unreadable_charts_are_reported_as_not_tested() -> None:
    app = new_sandbox(count=500)
    number = dashboard_with(app, VALID_WIDGET)
    async with open_tools(app) as (context, recorder):
        recorder.fault = lambda sent: Response(500, b"") if sent.path.endswith("bulk_data/") else None
        text, answer = await ask(context, "check_dashboard", dashboard_id=number)
    assert answer["findings"] == []
    assert "500" in answer["not_tested"][0]
    assert "not tested: widget" in text


async def test_findings_are_limited_to_twenty_and_a_count() -> None:
    app = new_sandbox(count=500)
    number = dashboard_with(app, *({**VALID_WIDGET, "name": f"Widget {i}", "field": "agent_id"} for i in range(30)))
    store = app.state.world.store
    for index, widget in enumerate(store.dashboard(number)["widgets"]):
        store.update_widget(widget["id"], {"filters": {"field": "duration", "op": "gt", "value": index}})
    async with open_tools(app) as (context, _):
        text, answer = await ask(context, "check_dashboard", dashboard_id=number)
    assert len(answer["findings"]) == 20
    assert answer["omitted"] == ["10 more findings; fix these and check again"]
    assert len(text) < 9000
