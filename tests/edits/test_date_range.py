"""Edits that leave charts without a date range, or with one that starts too early: the API rejects both."""

from typing import Any

import pytest

from cekura_dashboards.api import errors
from support import Json, ask, content, new_sandbox, open_tools, stored, undo

pytestmark = pytest.mark.anyio
FAILED: Json = {"field": "success", "op": "eq", "value": False}
WEEK: Json = {"field": "timestamp", "op": "gte", "value": "today-7d"}
YEAR: Json = {"field": "timestamp", "op": "gte", "value": "today-365d"}


def all_of(*conditions: Json) -> Json:
    return {"operator": "and", "conditions": [*conditions]}


REFUSED: list[tuple[str, Json, str]] = [
    ("update_dashboard", {"dashboard_id": 11, "filters": FAILED}, "filters: leaves 8 charts"),
    ("update_dashboard", {"dashboard_id": 11, "clear": ["filters"]}, "filters: leaves 8 charts"),
    ("update_dashboard", {"dashboard_id": 11, "filters": YEAR}, "today-29d"),
    ("update_dashboard", {"dashboard_id": 11, "filters": YEAR, "clear": ["date_range"]}, "do only one of these"),
    ("update_widget", {"widget_id": 219, "changes": {"filters": YEAR}}, "today-29d"),
    ("update_widget", {"widget_id": 219, "changes": {"filters": FAILED}}, "leaves the chart without a date range"),
    ("update_widget", {"widget_id": 219, "clear": ["filters"]}, "leaves the chart without a date range"),
    (
        "bulk_edit_dashboard",
        {"dashboard_id": 13, "update": [{"id": 219, "filters": FAILED}]},
        r"update\[0\].filters: leaves the chart",
    ),
    (
        "bulk_edit_dashboard",
        {"dashboard_id": 13, "create": [{"chart_type": "stat", "filters": YEAR}]},
        r"create\[0\].filters: .*today-29d",
    ),
    ("preview_edit", {"dashboard_id": 13, "update": [{"id": 219, "filters": FAILED}]}, "leaves the chart without"),
    ("create_dashboard", {"name": "Failed", "copy_of": 11, "filters": FAILED}, "filters: leaves 8 charts"),
]


@pytest.mark.parametrize(("tool", "arguments", "message"), REFUSED, ids=range(len(REFUSED)))
async def test_filters_that_break_charts_are_rejected_with_working_ones(
    tool: str, arguments: Json, message: str
) -> None:
    app = new_sandbox(count=10)
    app.state.world.store._widgets[219]["filters"] = WEEK  # noqa: SLF001 - on a dashboard without a date range
    before = content(app)
    async with open_tools(app) as (context, recorder):
        with pytest.raises(errors.InvalidArguments, match=message) as caught:
            await ask(context, tool, **arguments)
        assert str(caught.value).startswith("Nothing was")
        assert not recorder.writes()
    assert content(app) == before


async def test_the_suggested_date_range_is_the_previous_one() -> None:
    async with open_tools(new_sandbox(count=10)) as (context, _):
        _, dashboard = await ask(context, "get_dashboard", dashboard_id=11)
        assert dashboard["filters"]["value"] == "today-7d"
        with pytest.raises(errors.InvalidArguments, match='"value": "today-7d"'):
            await ask(context, "update_dashboard", dashboard_id=11, filters=FAILED)
        _, receipt = await ask(
            context, "update_dashboard", dashboard_id=11, filters=all_of(dashboard["filters"], FAILED)
        )
        assert receipt["outcome"] == "applied"
        assert "warnings" not in receipt


CLEARED: list[tuple[str, Json]] = [
    ("update_dashboard", {"dashboard_id": 11, "filters": FAILED, "clear": ["date_range"]}),
    ("update_dashboard", {"dashboard_id": 11, "clear": ["date_range"]}),
    ("update_dashboard", {"dashboard_id": 11, "clear": ["filters", "date_range"]}),
    ("update_widget", {"widget_id": 219, "changes": {"filters": FAILED}, "clear": ["date_range"]}),
    ("update_widget", {"widget_id": 219, "clear": ["date_range"]}),
    ("bulk_edit_dashboard", {"dashboard_id": 13, "update": [{"id": 219, "clear": ["date_range"]}]}),
]


@pytest.mark.parametrize(("tool", "arguments"), CLEARED, ids=range(len(CLEARED)))
async def test_clearing_a_date_range_explicitly_needs_a_plan(tool: str, arguments: Json) -> None:
    app = new_sandbox(count=10)
    store = app.state.world.store
    store._widgets[219]["filters"] = all_of(WEEK, FAILED)  # noqa: SLF001 - on a dashboard without a date range
    before = content(app)
    async with open_tools(app) as (context, _):
        text, plan = await ask(context, tool, **arguments)
        assert plan["outcome"] == "needs_plan"
        assert "deleted" not in text
        assert "without a date range" in plan["warnings"][0] or "neither the widget" in plan["warnings"][0]
        assert content(app) == before
        _, receipt = await ask(context, tool, **arguments, plan_id=plan["plan_id"])
        assert receipt["outcome"] == "applied"
        changed = store.dashboard(11) if tool == "update_dashboard" else store.widget(219)
        assert "timestamp" not in str(changed["filters"])
        await undo(context, receipt)
    assert content(app) == before


async def test_a_chart_without_a_date_range_can_be_edited() -> None:
    app = new_sandbox(count=10)
    async with open_tools(app) as (context, _):
        _, receipt = await ask(context, "update_widget", widget_id=219, changes={"filters": FAILED})
        assert receipt["outcome"] == "applied"
        assert "has a date range" in receipt["warnings"][0]
        await undo(context, receipt)


async def test_an_already_excessive_date_range_does_not_block_other_edits() -> None:
    app = new_sandbox(count=10)
    app.state.world.store._dashboards[11]["filters"] = YEAR  # noqa: SLF001 - as the web app may store it
    async with open_tools(app) as (context, _):
        for tool, arguments in (
            ("update_widget", {"widget_id": 203, "changes": {"filters": FAILED}}),
            ("update_dashboard", {"dashboard_id": 11, "filters": all_of(YEAR, FAILED)}),
        ):
            _, receipt = await ask(context, tool, **arguments)
            assert receipt["outcome"] == "applied"


@pytest.mark.parametrize("deep", [{"w": 12}, {"w": 12, "style": {"colour": "red"}}], ids=str)
async def test_a_partial_layout_update_keeps_the_rest(deep: Json) -> None:
    app = new_sandbox(count=10)
    metadata: Json = app.state.world.store.widget(203)["metadata"]
    whole: Json = {**metadata, "layout": {**metadata["layout"], "style": {"colour": "blue", "size": 3}}}
    app.state.world.store.update_widget(203, {"metadata": whole})
    before = stored(app)
    expected = {**whole["layout"], **deep, "style": {**whole["layout"]["style"], **deep.get("style", {})}}
    edits: list[tuple[str, Any]] = [
        ("update_widget", {"widget_id": 203, "changes": {"metadata": {"layout": deep}}}),
        ("bulk_edit_dashboard", {"dashboard_id": 11, "update": [{"id": 203, "metadata": {"layout": deep}}]}),
    ]
    async with open_tools(app) as (context, _):
        for tool, arguments in edits:
            _, receipt = await ask(context, tool, **arguments)
            assert app.state.world.store.widget(203)["metadata"] == {**whole, "layout": expected}
            await undo(context, receipt)
            assert stored(app) == before


SINCE: list[tuple[str, Json]] = [
    ("30d", {"field": "timestamp", "op": "gte", "value": "today-29d"}),
    ("last 30 days", {"field": "timestamp", "op": "gte", "value": "today-29d"}),
    ("10d", {"field": "timestamp", "op": "gte", "value": "today-10d"}),
    ("1w", {"field": "timestamp", "op": "gte", "value": "today-7d"}),
    ("24h", {"field": "timestamp", "op": "gte", "value": "now-24h"}),
    ("today", {"field": "timestamp", "op": "gte", "value": "today"}),
    (
        "yesterday",
        all_of(
            {"field": "timestamp", "op": "gte", "value": "today-1d"},
            {"field": "timestamp", "op": "lte", "value": "today-1d"},
        ),
    ),
    ("this month", {"field": "timestamp", "op": "gte", "value": "2026-11-01T00:00:00Z"}),
    (
        "2026-11-01 to 2026-11-08",
        all_of(
            {"field": "timestamp", "op": "gte", "value": "2026-11-01T00:00:00Z"},
            {"field": "timestamp", "op": "lt", "value": "2026-11-09T00:00:00Z"},
        ),
    ),
    (
        "2026-11-16/2026-11-22",
        all_of(
            {"field": "timestamp", "op": "gte", "value": "2026-11-16T00:00:00Z"},
            {"field": "timestamp", "op": "lt", "value": "2026-11-23T00:00:00Z"},
        ),
    ),
    ("since monday", {"field": "timestamp", "op": "gte", "value": "2026-11-16T00:00:00Z"}),
    ("2026-11-16/now", {"field": "timestamp", "op": "gte", "value": "2026-11-16T00:00:00Z"}),
    ("the last three weeks", {"field": "timestamp", "op": "gte", "value": "today-21d"}),
    ("today-5d", {"field": "timestamp", "op": "gte", "value": "today-5d"}),
    ("since now-36h", {"field": "timestamp", "op": "gte", "value": "2026-11-17T03:30:00Z"}),
    (
        "last weekend",
        all_of(
            {"field": "timestamp", "op": "gte", "value": "2026-11-14T00:00:00Z"},
            {"field": "timestamp", "op": "lt", "value": "2026-11-16T00:00:00Z"},
        ),
    ),
]


@pytest.mark.parametrize(("text", "saved"), SINCE, ids=[text for text, _ in SINCE])
async def test_setting_a_date_range_keeps_other_filters(text: str, saved: Json) -> None:
    app = new_sandbox(count=10)
    agent: Json = {"field": "agent.id", "op": "eq", "value": 33}
    parts = saved.get("conditions", [saved])
    before = stored(app)
    async with open_tools(app) as (context, _):
        _, receipt = await ask(context, "update_dashboard", dashboard_id=12, date_range=text)
        assert app.state.world.store.dashboard(12)["filters"] == all_of(agent, *parts)
        await undo(context, receipt)
    assert stored(app) == before


@pytest.mark.parametrize(
    ("text", "expected"), [("7d", True), ("today", True), ("yesterday", True), ("30d", True), ("24h", False)]
)
async def test_a_rolling_date_range_states_that_its_days_are_utc(text: str, expected: bool) -> None:  # noqa: FBT001 - a column of the table
    for zone in ("America/Los_Angeles", "UTC"):
        async with open_tools(new_sandbox(count=10), time_zone=zone) as (context, _):
            _, receipt = await ask(context, "update_dashboard", dashboard_id=11, date_range=text)
        states_utc = f"days are UTC days, not those of {zone}" in str(receipt)
        assert states_utc is (expected and zone != "UTC" and receipt["outcome"] == "applied")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"date_range": "60d"}, 'longest possible: {"field": "timestamp", "op": "gte", "value": "today-29d"}'),
        ({"date_range": "2026-09-01/2026-11-08"}, "today-29d"),
        ({"date_range": "fortnight"}, 'date_range: "fortnight" is not a date range; use 7d'),
        ({"date_range": "7d", "filters": FAILED}, "date_range: changes a part of the filters"),
        ({"date_range": "7d", "clear": ["date_range"]}, "date_range: changes a part of the filters"),
        ({"only": FAILED, "clear": ["filters"]}, "only: changes a part of the filters"),
    ],
)
async def test_invalid_date_ranges_are_rejected(arguments: Json, message: str) -> None:
    app = new_sandbox(count=10)
    before = stored(app)
    async with open_tools(app) as (context, recorder):
        with pytest.raises(errors.InvalidArguments) as caught:
            await ask(context, "update_dashboard", dashboard_id=11, **arguments)
        assert message in str(caught.value)
        assert not recorder.writes()
    assert stored(app) == before


@pytest.mark.parametrize("arguments", [{"date_range": "14d"}, {"only": {"agent.id": 33}}])
async def test_an_unchanged_date_range_or_filter_is_nothing_to_do(arguments: Json) -> None:
    async with open_tools(new_sandbox(count=10)) as (context, recorder):
        text, receipt = await ask(context, "update_dashboard", dashboard_id=12, **arguments)
        assert receipt["outcome"] == "nothing_to_do"
        assert "replaced" not in text
        assert not recorder.writes()


async def test_only_replaces_conditions_on_the_same_field_and_reports_it() -> None:
    app = new_sandbox(count=10)
    before = stored(app)
    async with open_tools(app) as (context, _):
        text, receipt = await ask(context, "update_dashboard", dashboard_id=12, only={"agent": "Reception"})
        since = {"field": "timestamp", "op": "gte", "value": "today-14d"}
        assert app.state.world.store.dashboard(12)["filters"] == all_of(
            since, {"field": "agent.id", "op": "eq", "value": 31}
        )
        assert "replaced: agent.id = 33" in text
        await undo(context, receipt)
        assert stored(app) == before
        _, receipt = await ask(context, "update_dashboard", dashboard_id=11, only={"success": False}, date_range="3d")
        assert app.state.world.store.dashboard(11)["filters"] == all_of(
            {"field": "timestamp", "op": "gte", "value": "today-3d"}, FAILED
        )
        await undo(context, receipt)
    assert stored(app) == before


async def test_agents_of_another_project_are_warned_about() -> None:
    async with open_tools(new_sandbox(count=10)) as (context, _):
        text, _ = await ask(context, "update_dashboard", dashboard_id=12, only={"agent.id": 38})
        assert 'warning: agent 38 "Sales line" is in project 2' in text
        text, _ = await ask(context, "update_dashboard", dashboard_id=12, only={"agent.id": [31, 32]})
        assert "warning" not in text


@pytest.mark.parametrize(
    ("text", "begins", "refused"),
    [
        ("this_week", "2026-11-16T00:00:00Z", "2026-12-16T00:00:00Z"),
        ("this month", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
        ("last_week", "2026-11-09T00:00:00Z", "2026-12-09T00:00:00Z"),
        ("monday", "2026-11-16T00:00:00Z", "2026-12-16T00:00:00Z"),
        ("2026-11-10/2026-11-12", "2026-11-10T00:00:00Z", "2026-12-10T00:00:00Z"),
    ],
)
async def test_a_fixed_date_range_is_warned_about_in_plan_and_receipt(text: str, begins: str, refused: str) -> None:
    fixed = (
        f"the date range is fixed from {begins}; it does not move with time, as 7d would; "
        f"from {refused} the API refuses the charts (400)"
    )
    async with open_tools(new_sandbox(count=10), confirm="writes") as (context, _):
        _, dry = await ask(context, "update_dashboard", dashboard_id=11, date_range=text)
        assert dry["warnings"] == [fixed]
        _, receipt = await ask(context, "update_dashboard", dashboard_id=11, date_range=text, plan_id=dry["plan_id"])
        assert receipt["warnings"] == [fixed]


@pytest.mark.parametrize("text", ["9999-12-20/9999-12-30", "0001-01-01/0001-01-02", "9999-12-31"])
@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Los_Angeles"])
async def test_date_ranges_at_the_limits_of_the_calendar_are_rejected(text: str, zone: str) -> None:
    async with open_tools(new_sandbox(count=10), time_zone=zone) as (context, recorder):
        with pytest.raises(errors.InvalidArguments):
            await ask(context, "update_dashboard", dashboard_id=11, date_range=text)
        assert recorder.writes() == []
