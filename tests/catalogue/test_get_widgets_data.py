"""Chart data of whole dashboards: failures are reported per widget, answers stay within the budget."""

from typing import Any

import pytest

from cekura_dashboards.api import errors
from cekura_dashboards.api.wire import Response
from cekura_dashboards.reports.budget import WHOLE_ANSWER
from cekura_sandbox import ApiVariant
from support import Json, Sent, ask, new_sandbox, on_write, open_tools, report_of, shared_sandbox, sql

pytestmark = pytest.mark.anyio


async def test_a_failing_widget_is_reported_beside_the_others() -> None:
    old = {"field": "timestamp", "op": "gte", "value": "now-60d"}
    without_names = {"name": "Too old", "chart_type": "pie", "field": "topic"}
    app = new_sandbox()
    async with open_tools(app) as (context, _):
        _, receipt = await ask(context, "bulk_edit_dashboard", dashboard_id=13, create=[without_names])
        number = receipt["changes"][0]["id"]
        app.state.world.store._widgets[number]["filters"] = old  # noqa: SLF001 - as the web app may store it
        text, answer = await ask(context, "get_widgets_data", dashboard_id=13)
    by_id = {report["widget"]["id"]: report for report in answer["widgets"]}
    assert "keeps 30 days" in by_id[number]["error"]
    assert [i for i, report in by_id.items() if "error" in report] == [number]
    assert f'widget {number} "Too old"' in text


async def test_widgets_missing_from_the_answer_are_reported() -> None:
    def without_widgets(sent: Sent) -> Response | None:
        if sent.path.endswith("bulk_data/") and len(sent.body["widget_ids"]) > 1:
            return Response(200, b'{"count": 0, "next": null, "results": []}')
        return None

    async with open_tools(shared_sandbox()) as (context, recorder):
        recorder.fault = without_widgets
        _, answer = await ask(context, "get_widgets_data", widget_ids=[205, 206, 201], window="2026-10-30/2026-10-30")
        assert all("n" in report for report in answer["widgets"])
        _, answer = await ask(context, "get_widgets_data", widget_ids=[205, 206])
        assert all("holds nothing for widget" in report["error"] for report in answer["widgets"])


async def test_data_of_an_unrequested_widget_is_rejected() -> None:
    def other_widget(sent: Sent) -> Response | None:
        body = b'{"results": [{"widget_id": 999, "chart_type": "pie", "data": [{"label": "x", "value": 1}]}]}'
        return Response(200, body) if sent.path.endswith("bulk_data/") else None

    async with open_tools(shared_sandbox()) as (context, recorder):
        recorder.fault = other_widget
        with pytest.raises(errors.UnreadableAnswer, match="nothing for widget 205"):
            await report_of(context, widget_ids=[205])


async def test_numbers_are_shown_even_if_names_and_projects_are_unreadable() -> None:
    def without_names(sent: Sent) -> Response | None:
        return Response(500, b"") if sent.path.endswith(("aiagents/", "projects/")) else None

    async with open_tools(shared_sandbox()) as (context, recorder):
        recorder.fault = without_names
        text, answer = await ask(context, "get_widgets_data", widget_ids=[204])
        assert answer["widgets"][0]["groups"]["top"][0][0] == "31"
        assert "agents are shown by id" in text
        pie = {"chart_type": "pie", "field": "topic"}
        _, wide = await ask(context, "preview_widget", widget=pie, window="3d")
    assert "covers every project that this key can see; how many could not be read" in wide["report"]["notes"]


async def test_an_unreadable_scope_is_an_error_if_numbers_would_be_wider() -> None:
    async with open_tools(shared_sandbox()) as (context, recorder):
        recorder.fault = lambda sent: Response(500, b"") if sent.path.endswith("aiagents/") else None
        _, answer = await ask(context, "get_widgets_data", widget_ids=[202, 203], window="yesterday")
        assert all("error" not in report for report in answer["widgets"])
        with pytest.raises(errors.ApiFault):
            await ask(context, "get_widgets_data", widget_ids=[202], window="20d")


async def test_an_unknown_widget_is_an_error_only_if_alone() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, answer = await ask(context, "get_widgets_data", widget_ids=[205, 9999])
        assert [report["widget"]["id"] for report in answer["widgets"]] == [205, 9999]
        assert "No widget 9999" in text
        with pytest.raises(errors.NotFound, match="get_dashboard lists"):
            await ask(context, "get_widgets_data", widget_ids=[9999])


async def test_a_widget_of_another_dashboard_is_reported_in_its_place() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        _, answer = await ask(context, "get_widgets_data", dashboard_id=11, widget_ids=[205, 216])
    assert answer["widgets"][1]["error"].startswith("widget_ids: widget 216 is not on dashboard 11; its widgets: 201 ")


async def test_a_rejected_key_fails_the_whole_call() -> None:
    def reject_key(sent: Sent) -> Response | None:
        return Response(401, b"{}") if "data" in sent.path else None

    async with open_tools(shared_sandbox()) as (context, recorder):
        recorder.fault = reject_key
        with pytest.raises(errors.KeyRejected, match="CEKURA_API_KEY"):
            await ask(context, "get_widgets_data", dashboard_id=11)


async def test_more_than_a_page_of_widgets_is_answered_within_the_budget() -> None:
    app = new_sandbox()
    async with open_tools(app) as (context, _):
        many = [{"name": f"Pie {i}", "chart_type": "pie", "field": "topic"} for i in range(17)]
        await ask(context, "bulk_edit_dashboard", dashboard_id=11, create=many)
        text, answer = await ask(context, "get_widgets_data", dashboard_id=11)
    assert len(answer["widgets"]) == 25
    assert all("n" in report for report in answer["widgets"])
    assert len(text) <= WHOLE_ANSWER


GROUPED = {204: ("Reception (31)", "agent_id = 31 AND ts >= '2026-11-11' AND success IS NOT NULL"),
           214: ("north", "agent_id = 33 AND metadata['region'] = 'north' AND ts >= '2026-11-04'")}  # fmt: skip


@pytest.mark.parametrize("form", ["key", "field", "nested"])
@pytest.mark.parametrize("widget_id", GROUPED)
async def test_groups_are_named_and_counted_for_every_row_format(form: Any, widget_id: int) -> None:
    app = shared_sandbox(ApiVariant(grouped=form))
    name, where = GROUPED[widget_id]
    async with open_tools(app) as (context, _):
        report = await report_of(context, widget_ids=[widget_id])
    sizes = {row[0]: row[1] for row in report["groups"]["top"]}
    assert [(sizes[name],)] == sql(app, f"SELECT count(*) FROM calls WHERE {where}")
    assert sum(sizes.values()) == report["n"]


@pytest.mark.parametrize(("rates", "unit", "scale"), [("ratio", "ratio", 1), ("percent", "percent", 100)])
async def test_rates_keep_the_unit_of_the_api(rates: Any, unit: str, scale: int) -> None:
    app = shared_sandbox(ApiVariant(rates=rates, booleans="1", stat="array", buckets="bare", empty_buckets="null"))
    async with open_tools(app) as (context, _):
        report = await report_of(context, widget_ids=[203])
        stat = await report_of(context, widget_ids=[201])
        pie = await report_of(context, widget_ids=[218])
    [(expected, n)] = sql(
        app, "SELECT avg(success::INT), count(success) FROM calls WHERE project = 1 AND ts >= '2026-11-11'"
    )
    assert (report["unit"], report["n"]) == (unit, n)
    assert report["facts"]["overall"] == pytest.approx(expected * scale, rel=1e-3)
    low, high = report["facts"]["ci95"]
    assert low < expected * scale < high
    assert "times without an offset are read as UTC" in report["notes"]
    assert stat["facts"]["units"]["success_rate"] == unit
    assert {row[0] for row in pie["facts"]["top"]} == {"true", "false", None}


async def test_percentiles_of_a_line_match_the_database() -> None:
    app = shared_sandbox()
    async with open_tools(app) as (context, _):
        report = await report_of(context, widget_ids=[207])
    where = "FROM calls WHERE project = 1 AND ts >= '2026-11-11'"
    [(n, mean, p95, top)] = sql(
        app, f"SELECT count(*), avg(duration), quantile_cont(duration, 0.95), max(duration) {where}"
    )
    facts = report["facts"]
    assert (report["n"], facts["max"][0]) == (n, pytest.approx(top, rel=1e-3))
    assert (facts["mean"], facts["p95"]) == (pytest.approx(mean, rel=1e-3), pytest.approx(p95, rel=1e-3))
    assert [(facts["max"][2],)] == sql(app, f"SELECT id {where} ORDER BY duration DESC LIMIT 1")


async def test_an_empty_result_names_the_filter_and_existing_values() -> None:
    nobody = {"field": "metadata.region", "op": "eq", "value": "atlantis"}
    async with open_tools(shared_sandbox()) as (context, _):
        text, answer = await ask(
            context, "preview_widget", widget={"chart_type": "pie", "field": "topic", "filters": nobody}, window="7d"
        )
    assert answer["report"]["n"] == 0
    assert "atlantis" in answer["report"]["notes"][0]
    assert 'values that occur: "north", "south", "coast"' in text


async def test_a_stat_compares_each_figure_with_the_previous_period() -> None:
    app = shared_sandbox()
    async with open_tools(app) as (context, _):
        report = await report_of(context, widget_ids=[201])
    query = (
        "SELECT count(*), avg(success::INT), avg(duration) FROM calls WHERE project = 1 AND ts >= '{}' AND ts < '{}'"
    )
    [this], [that] = (
        sql(app, query.format("2026-11-11", "2026-11-19")),
        sql(app, query.format("2026-11-03", "2026-11-10 15:30")),
    )
    change = report["change"]
    assert (change["from"], change["to"]) == ("2026-11-03T00:00Z", "2026-11-10T15:30Z")
    rows = {row["figure"]: row for row in change["figures"]}
    assert rows["total_calls"]["difference"] == this[0] - that[0]
    assert rows["success_rate"]["difference"] == pytest.approx(this[1] - that[1], rel=0.01)
    assert rows["avg_duration"]["difference"] == pytest.approx(float(this[2] - that[2]), rel=0.01)
    assert {row["verdict"] for row in rows.values()} <= {"not significant", "not tested"}
    assert "change: the windows cover different weekdays" in report["notes"]


async def test_a_stat_without_a_readable_baseline_omits_the_change() -> None:
    async with open_tools(shared_sandbox()) as (context, recorder):
        report = await report_of(context, widget_ids=[201], window="20d")
        assert "change" not in report
        recorder.fault = on_write("preview_data/", Response(500, b"no"))
        report = await report_of(context, widget_ids=[201])
        assert report["n"]
        assert "change" not in report
        assert any(text.startswith("change: the baseline could not be read") for text in report["not_tested"])
        recorder.fault = on_write("preview_data/", Response(200, b'{"data": {"total_calls": 0, "success_rate": null}}'))
        report = await report_of(context, widget_ids=[201])
        assert "change: the baseline has no data" in report["not_tested"]


async def test_metric_filters_joined_by_and_warn_about_same_row() -> None:
    parts: list[Json] = [
        {"field": "metric_evaluations.metric.name", "op": "eq", "value": "CSAT"},
        {"field": "metric_evaluations.value", "op": "gte", "value": 4},
    ]
    async with open_tools(shared_sandbox()) as (context, _):
        texts = {
            operator: (
                await ask(
                    context, "get_widgets_data", widget_ids=[202], filters={"operator": operator, "conditions": parts}
                )
            )[0]
            for operator in ("and", "same_row")
        }
    assert "note: filters: with `and`, the metric and the value may match different evaluations" in texts["and"]
    assert "same_row" not in texts["same_row"].replace("one evaluation", "")


async def test_reports_state_all_filters_with_names() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, answer = await ask(
            context, "get_widgets_data", widget_ids=[212], filters={"field": "topic", "op": "eq", "value": "complaint"}
        )
        plain, _ = await ask(context, "get_widgets_data", widget_ids=[202])
    where = 'agent.id = "Booking" (33) and success = false and topic = "complaint"'
    assert answer["widgets"][0]["where"] == where
    assert f"where {where}" in text
    assert "where all calls" in plain


async def test_only_the_window_is_tested_if_history_is_off_or_unreadable() -> None:
    async with open_tools(shared_sandbox(count=60_000), history=False) as (context, recorder):
        alone = await report_of(context, widget_ids=[203])
        requests_before = len(recorder.sent)
    async with open_tools(shared_sandbox(count=60_000)) as (context, recorder):
        tested = await report_of(context, widget_ids=[203])
        assert len(recorder.sent) > requests_before
        recorder.fault = on_write("preview_data/", Response(500, b"no"))
        unread = await report_of(context, widget_ids=[203])
    assert "fewer than 8" in alone["not_tested"][0]
    [step] = tested["findings"]
    assert step["at"] in {"2026-11-12", "2026-11-13"}
    assert "findings" not in unread
    assert any(
        text.startswith("tested over this window only, as its history could not be read") for text in unread["notes"]
    )


async def test_widgets_of_other_dashboards_are_rejected_with_the_valid_ids() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        with pytest.raises(errors.InvalidArguments, match=r"widget_ids: widget 209 is not on dashboard 11; its .*203"):
            await ask(context, "get_widgets_data", dashboard_id=11, widget_ids=[209])
