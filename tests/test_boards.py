"""Dashboards as files: exact round trips, names that map between projects, and the plans and undo of the tools."""

import json
from datetime import timedelta
from typing import Any

import pytest

from cekura_dashboards import DashboardsError, ToolContext
from cekura_dashboards.api.wire import Response
from cekura_dashboards.boards import (
    Board,
    BoardRefused,
    apply_board,
    assert_board,
    export_board,
    plan_board,
    read_board,
    undo_board,
)
from cekura_dashboards.reports.looks import read_token, scope_of
from cekura_dashboards.values import replace
from cekura_sandbox import ApiVariant
from support import (
    LAST_3_DAYS,
    NOW,
    PIE,
    Json,
    content,
    force,
    new_sandbox,
    on_write,
    open_tools,
    shared_sandbox,
    stored,
)

pytestmark = pytest.mark.anyio


def changed(board: Board, **fields: Any) -> Board:
    """The same board with other fields, as if a user had edited the file."""
    return read_board(json.dumps({**board.model_dump(exclude_none=True), **fields}))


async def applied(context: ToolContext, board: Board, **where: Any) -> list[Json]:
    """The receipts after all steps, ending with the calls that undo them."""
    plan = await plan_board(context, board, **where)
    result = await apply_board(context, plan)
    assert result.failed is None
    assert [receipt.structured["outcome"] for receipt in result.receipts] == ["applied"] * len(plan.steps)
    assert not [receipt for receipt in result.receipts if "differences" in receipt.structured]
    return result.calls_to_undo


@pytest.mark.parametrize("number", [11, 12, 13])
async def test_an_exported_board_has_no_changes_and_recreates_its_dashboard(number: int) -> None:
    app = new_sandbox()
    async with open_tools(app) as (context, recorder):
        board = await export_board(context, number)
        text = board.to_text()
        plan = await plan_board(context, read_board(text))
        assert (plan.dashboard, plan.steps, plan.notes) == (number, [], [])
        await applied(context, changed(board, name="Another"))
        assert len(recorder.writes()) == 1 + bool(board.widgets)
        again = await export_board(context, "Another")
    assert again.model_copy(update={"name": board.name}).to_text() == text
    assert stored(app, 14) == [{**widget, "dashboard": 14} for widget in stored(app, number)]


async def test_boards_contain_agents_metrics_and_projects_by_name() -> None:
    async with open_tools(new_sandbox()) as (context, _):
        board = await export_board(context, 12)
    assert board.project == "Northside Clinics"
    assert {"field": "agent.id", "op": "eq", "value": "Booking"} in (board.filters or {})["conditions"]
    metrics = {widget.get("metric") for widget in board.widgets}
    assert metrics >= {"Response latency", "Appointment booked"}


async def test_a_board_resolves_names_in_the_target_project() -> None:
    app = new_sandbox()
    async with open_tools(app) as (context, _):
        board = Board(
            name="Latency",
            project="Northside Clinics",
            filters=LAST_3_DAYS,
            widgets=[{"name": "p95", "chart_type": "bar", "field": "metric_evaluations.value", "time_period": "day",
                      "metric": "Response latency", "aggregation_function": "p95"}],
        )  # fmt: skip
        await applied(context, board)
        await applied(context, board, project="Harbour Telecom")
        both = [await export_board(context, number) for number in (14, 15)]
    assert [exported.project for exported in both] == ["Northside Clinics", "Harbour Telecom"]
    assert both[0].model_dump(exclude={"project", "widgets"}) == both[1].model_dump(exclude={"project", "widgets"})
    assert [widget["metric"] for exported in both for widget in exported.widgets] == ["Response latency"] * 2
    metrics = [stored(app, number)[0]["metric"] for number in (14, 15)]
    assert metrics == [501, 506]


async def test_every_kind_of_board_edit_can_be_applied_and_undone() -> None:
    app = new_sandbox()
    before = content(app)
    async with open_tools(app) as (context, _):
        board = await export_board(context, 11)
        widgets = [*board.widgets]
        widgets[1] = {**widgets[1], "time_period": "hour"}
        widgets[3] = {name: value for name, value in widgets[3].items() if name != "group_by"}
        widgets[5] = {**widgets[5], "name": "What callers want"}
        widgets[7:] = [PIE]
        edited = changed(board, filters=LAST_3_DAYS, widgets=widgets)
        plan = await plan_board(context, edited)
        assert content(app) == before
        assert [step.tool for step in plan.steps] == ["update_dashboard", "bulk_edit_dashboard"]
        edits = plan.steps[1].arguments
        assert edits["update"] == [
            {"id": 202, "time_period": "hour"}, {"id": 204, "clear": ["group_by"]},
            {"id": 206, "name": "What callers want"},
        ]  # fmt: skip
        assert (edits["create"], edits["delete"]) == ([PIE], [208])
        lines = [line for step in plan.steps for line in step.lines]
        assert 'update 202 "Calls per day": time_period: "day" → "hour"' in lines
        result = await apply_board(context, plan)
        assert result.failed is None
        assert (await plan_board(context, edited)).steps == []
        again = await export_board(context, 11)
        assert [w for w in again.widgets if w["name"] != PIE["name"]] == widgets[:7]
        undone = await undo_board(context, result.calls_to_undo)
        assert undone.failed is None
        assert content(app) == before
        redone = await undo_board(context, undone.calls_to_undo)
        assert redone.failed is None
        assert (await export_board(context, 11)).to_text() == again.to_text()


async def test_layouts_missing_from_the_file_are_kept() -> None:
    async with open_tools(new_sandbox()) as (context, _):
        board = await export_board(context, 11)
        bare = [{name: value for name, value in widget.items() if name != "metadata"} for widget in board.widgets]
        assert (await plan_board(context, changed(board, widgets=bare))).steps == []
        moved = [{**board.widgets[0], "metadata": {"layout": {"x": 0, "y": 40, "w": 12, "h": 2}}}, *board.widgets[1:]]
        await applied(context, changed(board, widgets=moved))
        assert (await export_board(context, 11)).widgets == moved


async def test_equally_named_widgets_are_matched_by_content() -> None:
    app = new_sandbox()
    async with open_tools(app) as (context, _):
        twins = [
            {**PIE, "name": "Same"},
            {**PIE, "name": "Same", "field": "call_ended_reason"},
            {**PIE, "name": "Same"},
        ]
        board = Board(name="Twins", project=1, filters=LAST_3_DAYS, widgets=twins)
        await applied(context, board)
        assert (await plan_board(context, changed(board, widgets=twins[::-1]))).steps == []
        [step] = (await plan_board(context, changed(board, widgets=twins[1:]))).steps
        assert step.arguments.keys() == {"dashboard_id", "delete"}


async def test_ambiguous_names_include_an_id_and_unknown_ids_are_kept() -> None:
    app = new_sandbox()
    force(app, 209, filters={"field": "agent.id", "op": "in", "value": [33, 990]})
    force(
        app,
        210,
        filters={
            "operator": "and",
            "conditions": [{"field": "metric_evaluations.metric.id", "op": "eq", "value": 501}],
        },
    )
    async with open_tools(app) as (context, _):
        board = await export_board(context, 12)
        assert board.widgets[0]["filters"]["value"] == ["Booking", 990]
        assert board.widgets[1]["filters"]["conditions"][0]["value"] == "Response latency"
        assert (await plan_board(context, board)).steps == []


async def test_a_malformed_widget_is_exported_unchanged() -> None:
    app = new_sandbox()
    force(app, 209, aggregation_function="median", filters=["what"], time_period=7)
    async with open_tools(app) as (context, _):
        board = await export_board(context, 12)
        assert (board.widgets[0]["aggregation_function"], board.widgets[0]["time_period"]) == ("median", 7)
        with pytest.raises(BoardRefused, match=r"widgets\[0\].filters must be an object"):
            read_board(board.to_text())


async def test_a_dashboard_with_malformed_filters_is_rejected() -> None:
    app = new_sandbox()
    app.state.world.store._dashboards[12]["filters"] = ["what"]  # noqa: SLF001 - only the API could store it
    async with open_tools(app) as (context, _):
        with pytest.raises(BoardRefused, match=r'cannot be written as a file: filters is \["what"\]'):
            await export_board(context, 12)


async def test_a_board_over_the_widget_limit_is_rejected() -> None:
    app = new_sandbox()
    app.state.world.store.bulk(13, {"create": [{"data_type": None, **PIE} for _ in range(60)]})
    async with open_tools(app) as (context, _):
        with pytest.raises(BoardRefused, match="has 65 widgets; a board has at most 60"):
            await export_board(context, 13)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON: "),
        ("[]", "not a board"),
        ('{"widgets": []}', '"name": Field required'),
        ('{"name": "x", "widgts": []}', "did you mean `widgets`"),
        ('{"name": "x", "format": 2}', '"format": Input should be 1'),
        ('{"name": "x", "widgets": [{"chart_type": "pie", "colour": 1}]}', 'widgets[0]: "colour" is not a field'),
        ('{"name": "x", "widgets": [{"field": "topic"}]}', "widgets[0]: chart_type is missing"),
        ('{"name": "x", "widgets": [{"chart_type": "stat", "filters": []}]}', "widgets[0].filters must be an object"),
        (json.dumps({"name": "x", "widgets": [PIE] * 61}), "at most 60 items"),
    ],
)
async def test_invalid_board_files_are_rejected_with_their_position(text: str, message: str) -> None:
    with pytest.raises(BoardRefused) as refused:
        read_board(text)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"project": "Nowhere"}, 'no project "Nowhere"; look_up projects lists them.'),
        ({"project": "Harbour Telekom"}, 'did you mean "Harbour Telecom" (2)?'),
        ({"filters": {"field": "agent.id", "op": "eq", "value": "Bookin"}}, 'filters.value: no agent "Bookin"; did you mean "Booking"'),
        ({"widgets": [{**PIE, "field": "metric_evaluations.value", "metric": "Speed"}]}, 'widgets[0].metric: no metric "Speed"'),
        ({"widgets": [{**PIE, "chart_type": "radar"}]}, "chart_type"),
        ({"widgets": [{**PIE, "aggregation_function": "avg", "chart_type": "bar"}]}, "time_period"),
        ({"filters": {"field": "success", "op": "eq", "value": True}}, "date range"),
    ],
)  # fmt: skip
async def test_inapplicable_boards_are_rejected_before_any_write(fields: Json, message: str) -> None:
    async with open_tools(new_sandbox()) as (context, recorder):
        board = changed(await export_board(context, 12), **fields)
        with pytest.raises(DashboardsError) as refused:
            await plan_board(context, board)
        assert recorder.writes() == []
    assert message in str(refused.value)


async def test_ambiguous_dashboard_names_are_rejected_with_all_ids() -> None:
    app = new_sandbox()
    app.state.world.store.create_dashboard({"name": "Booking agent", "project": 1})
    async with open_tools(app) as (context, _):
        board = await export_board(context, 12)
        with pytest.raises(BoardRefused, match=r'has 2 dashboards "Booking agent"; give the id: 12, 14'):
            await plan_board(context, board)
        assert (await plan_board(context, board, dashboard=12)).steps == []
        with pytest.raises(BoardRefused, match="2 dashboards are called"):
            await export_board(context, "Booking agent")


async def test_a_board_for_another_project_states_whose_names_it_uses() -> None:
    async with open_tools(new_sandbox()) as (context, _):
        board = Board(name="Quick", project=1, filters=LAST_3_DAYS, widgets=[PIE])
        plan = await plan_board(context, board, dashboard=13)
    assert plan.notes == ["dashboard 13 stays in project 2; its names are used"]


async def test_concurrent_changes_since_the_plan_are_not_overwritten() -> None:
    app = new_sandbox()
    async with open_tools(app) as (context, recorder):
        board = await export_board(context, 11)
        edited = changed(board, filters=LAST_3_DAYS, widgets=[*board.widgets[1:], PIE])
        plan = await plan_board(context, edited)
        force(app, 201, name="Mine")
        result = await apply_board(context, plan)
        assert [receipt.structured["outcome"] for receipt in result.receipts] == ["applied"]
        assert result.failed is not None
        assert "Plan again" in result.failed
        assert len(recorder.writes()) == 1
        assert (await undo_board(context, result.calls_to_undo)).failed is None


async def test_a_failed_step_keeps_the_receipts_of_earlier_steps() -> None:
    app = new_sandbox()
    before = content(app)
    async with open_tools(app) as (context, recorder):
        board = await export_board(context, 11)
        plan = await plan_board(context, changed(board, filters=LAST_3_DAYS, widgets=board.widgets[1:]))
        recorder.fault = on_write("bulk_widgets/", Response(400, b'{"detail": "Locked."}'))
        result = await apply_board(context, plan)
        assert len(result.receipts) == 1
        assert result.failed is not None
        recorder.fault = None
        assert (await undo_board(context, result.calls_to_undo)).failed is None
    assert content(app) == before


async def test_read_only_mode_rejects_apply_and_undo() -> None:
    async with open_tools(new_sandbox(), read_only=True) as (context, recorder):
        board = changed(await export_board(context, 11), name="Other")
        plan = await plan_board(context, board)
        with pytest.raises(BoardRefused, match="CEKURA_READ_ONLY"):
            await apply_board(context, plan)
        with pytest.raises(BoardRefused, match="CEKURA_READ_ONLY"):
            await undo_board(context, [{"tool": "delete_dashboard", "arguments": {"plan_id": "x"}}])
        assert recorder.writes() == []


@pytest.mark.parametrize(
    "call",
    [
        {"tool": "delete_dashboard", "arguments": {"dashboard_id": 11}},
        {"tool": "get_dashboard", "arguments": {"dashboard_id": 11, "plan_id": "x"}},
        {"tool": "nothing"},
    ],
)
async def test_undo_rejects_calls_other_than_an_undo(call: Json) -> None:
    async with open_tools(new_sandbox()) as (context, recorder):
        result = await undo_board(context, [call])
        assert result.failed == "This is not an undo call from a receipt."
        assert recorder.sent == []


async def test_a_step_fails_a_series_of_looks_after_it_has_lasted() -> None:
    lines = {"Booking success": "no change over 14d"}
    async with open_tools(shared_sandbox(count=60_000)) as (context, _):
        [single] = (await assert_board(context, 12, lines)).checks
        first = await assert_board(context, 12, lines, looks=True)
        soon = await assert_board(context, 12, lines, looks=True, token=first.token)
        token = read_token(soon.token, scope_of("assert", 12), NOW, about="it")
        assert token is not None
        earlier = replace(token, at=NOW - timedelta(days=6)).to_text()
        second = await assert_board(context, 12, lines, looks=True, token=earlier)
        third = await assert_board(context, 12, lines, looks=True, token=second.token)
    assert (single.status, first.checks[0].status, soon.checks[0].status) == ("fail", "ok", "ok")
    assert first.checks[0].text == f"{single.text}: a failure in this look, not yet over the series"
    assert [(one.checks[0].status, one.checks[0].told_before) for one in (second, third)] == [
        ("fail", False), ("fail", True),
    ]  # fmt: skip


async def test_a_few_constant_hours_do_not_fail_an_expectation() -> None:
    app = new_sandbox(count=20_000)
    first = "SELECT min(rowid) FROM calls WHERE project = 1 GROUP BY date_trunc('hour', ts)"
    app.state.world.con.execute(f"DELETE FROM calls WHERE project = 1 AND rowid NOT IN ({first})")
    async with open_tools(app) as (context, _):
        [check] = (await assert_board(context, 11, {"Calls per hour": "> 1 over 6h"})).checks
    assert check.text.startswith("1 per hour, 95 % interval 0 to ")
    assert (check.status, check.text.endswith(": not shown to be below")) == ("ok", True)


async def test_expectations_are_validated_before_the_dashboard_is_read() -> None:
    async with open_tools(shared_sandbox(count=60_000)) as (context, recorder):
        with pytest.raises(DashboardsError, match=r'expect "Calls per day": "many" is not an expectation; write it as'):
            await assert_board(context, 11, {"Calls per day": "many"})
        assert not recorder.sent
        [check] = (await assert_board(context, 11, {"Calls per day": "> 5 %"})).checks
    assert (check.status, check.text.endswith("is not a rate; write it without %")) == ("not tested", True)


@pytest.mark.parametrize(
    ("line", "status", "words"),
    [
        (">= 0.5", "not tested", 'from 0 to 100, or from 0 to 100 %; write ">= 50 %" or ">= 0.5 %"'),
        (">= 50", "ok", "95 % interval"),
        (">= 50 %", "ok", "95 % interval"),
        ("< 0.5 %", "fail", "95 % interval"),
    ],
)
async def test_expected_rates_follow_the_unit_of_the_api(line: str, status: str, words: str) -> None:
    async with open_tools(shared_sandbox(ApiVariant(rates="percent"))) as (context, _):
        [check] = (await assert_board(context, 11, {"Success rate": line})).checks
    assert (check.status, words in check.text) == (status, True), check.text
