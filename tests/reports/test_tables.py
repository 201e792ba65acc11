"""Tables as aligned text and CSV: complete, paged, with n, and safe in a spreadsheet."""

import csv
import io
import json
import re
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest

from cekura_dashboards.api.errors import InvalidArguments
from cekura_dashboards.api.wire import Response
from cekura_dashboards.reports.budget import WHOLE_ANSWER
from cekura_dashboards_mcp.cli.calls import csv_of
from cekura_dashboards_mcp.connection import Connection
from support import NOW, Json, Recorder, Sent, ask, open_tools, settings, shared_sandbox, sql

pytestmark = pytest.mark.anyio
BY_AGENT: Json = {
    "chart_type": "bar", "field": "success", "aggregation_function": "avg", "time_period": "day",
    "group_by": {"type": "field", "field": "agent.id"},
}  # fmt: skip


def send_rows(recorder: Recorder, chart_type: str, rows: list[Json], data_type: str = "numeric") -> None:
    """Let the API answer every chart with these rows."""

    def fake(sent: Sent) -> Response | None:
        if not sent.path.endswith("preview_data/"):
            return None
        chart: Json = {"chart_type": chart_type, "data": rows, "metadata": {"data_type": data_type}}
        return Response(200, json.dumps(chart).encode())

    recorder.fault = fake


def csv_in(text: str) -> list[list[str]]:
    """The records of the CSV at the end of an answer."""
    return [*csv.reader(io.StringIO(text.partition("rows:\n")[2] or text.partition("continues:\n")[2]), strict=True)]


def numbers_in(rows: list[list[Any]]) -> list[str]:
    return [repr(cell) for row in rows for cell in row if isinstance(cell, int | float)]


async def test_a_table_has_a_row_with_rate_and_n_per_day_and_group() -> None:
    app = shared_sandbox()
    async with open_tools(app) as (context, _):
        text, answer = await ask(
            context, "preview_widget", widget=BY_AGENT, dashboard_id=11, window="2026-11-15/2026-11-17", table="text"
        )
    table = answer["report"]["table"]
    assert table["columns"] == ["day (UTC)", "agent", "success rate (ratio)", "n"]
    assert [row[0] for row in table["rows"]] == sorted(row[0] for row in table["rows"])
    expected = sql(
        app,
        "SELECT strftime(ts, '%Y-%m-%d'), agent_id, avg(success::INT), count(success) FROM calls "
        "WHERE ts >= '2026-11-15' AND ts < '2026-11-18' AND agent_id <= 37 GROUP BY ALL",
    )
    counted = {(day, int(re.findall(r"\((\d+)\)", agent)[0])): (value, n) for day, agent, value, n in table["rows"]}
    assert len(counted) == len(table["rows"]) == table["total_rows"] == 3 * len({agent for _, agent, _, _ in expected})
    for day, agent, rate, n in expected:
        assert counted[day, agent] == (pytest.approx(rate, abs=1e-4) if n else None, n)
    assert "series" not in answer["report"]
    for number in numbers_in(table["rows"]):
        assert number in text


async def test_a_long_table_is_paged_and_each_page_names_the_next_row() -> None:
    widget: Json = {"chart_type": "bar", "field": "agent_id", "aggregation_function": "count", "time_period": "hour"}
    widget |= {"group_by": {"type": "field", "field": "topic"}}
    rows, first, pages = list[list[Any]](), 1, 0
    async with open_tools(shared_sandbox()) as (context, _):
        while True:
            text, answer = await ask(
                context, "preview_widget", widget=widget, dashboard_id=11, window="7d", table="text", from_row=first
            )
            table = answer["report"]["table"]
            assert table["first_row"] == first
            assert len(text) <= WHOLE_ANSWER + len(json.dumps(answer["widget"])) + 400
            assert len(json.dumps(answer, separators=(",", ":"))) <= 1.5 * WHOLE_ANSWER + 1000
            rows += table["rows"]
            pages += 1
            if len(rows) == table["total_rows"]:
                break
            first = int(re.findall(rf"rows {first} to \d+ of {table['total_rows']}; from_row (\d+) continues", text)[0])
            assert first == len(rows) + 1
        report = (await ask(context, "preview_widget", widget=widget, dashboard_id=11, window="7d"))[1]["report"]
    assert pages > 2
    assert len({(hour, topic) for hour, topic, *_ in rows}) == len(rows) == 169 * len({row[1] for row in rows})
    assert sum(row[2] for row in rows) == report["n"]
    assert all(isinstance(row[2], int) for row in rows)
    assert {row[0] for row in rows if row[3] == "yes"} == {rows[0][0], rows[-1][0]}


async def test_all_pages_of_a_csv_file_cover_the_same_window() -> None:
    times = (NOW + min(i - 40, 0) * timedelta(minutes=20) for i in count())
    connection = Connection(settings(), app_factory=shared_sandbox, now=lambda: next(times))
    widget = {"chart_type": "bar", "field": "agent_id", "aggregation_function": "count", "time_period": "hour"}
    text, failed = await csv_of(connection, "preview_widget", {"widget": widget, "window": "28d"})
    assert not failed
    _, *records = csv.reader(io.StringIO(text, newline=""), strict=True)
    hours = [datetime.fromisoformat(record[0]) for record in records]
    assert hours == [hours[0] + i * timedelta(hours=1) for i in range(28 * 24 + 1)]


async def test_csv_follows_the_standard_and_contains_no_formulas() -> None:
    groups = ['=HYPERLINK("http://a.example")', "+1", "-2", "@sum", "a,b", 'say "hi"', "two\nlines", None]
    stamps = ["2026-11-16T00:00:00Z", "2026-11-17T00:00:00Z"]
    rows: list[Json] = [{"time_interval": stamps[0], "value": 0, "sample_count": 9, "group": name} for name in groups]
    rows.append({"time_interval": stamps[1], "value": 0.25, "sample_count": 4, "group": groups[0]})
    widget = {**BY_AGENT, "field": "duration", "group_by": {"type": "field", "field": "topic"}}
    async with open_tools(shared_sandbox()) as (context, recorder):
        send_rows(recorder, "bar", rows)
        text, answer = await ask(context, "preview_widget", widget=widget, window="2026-11-16/2026-11-17", table="csv")
    head, *records = csv_in(text)
    assert head == ["day (UTC)", "topic", "average call duration (s)", "n"]
    assert {len(record) for record in records} == {4}
    assert text.count("\r\n") == 1 + len(records) == 1 + 2 * len(groups)
    assert not [cell for record in records for cell in record if cell[:1] in "=+-@" and cell]
    assert ["2026-11-16", "a,b", "0", "9"] in records
    assert ["2026-11-17", "a,b", "", "0"] in records
    assert [record[2:] for record in records if "HYPERLINK" in record[1]] == [["0", "9"], ["0.25", "4"]]
    assert "say 'hi'" in text or 'say ""hi""' in text
    assert [row[1] for row in answer["report"]["table"]["rows"]].count('=HYPERLINK("http://a.example")') == 2
    assert "(http://" not in text


async def test_pie_shares_sum_to_100_within_each_group() -> None:
    widget = {"chart_type": "pie", "field": "topic", "group_by": {"type": "field", "field": "agent.id"}}
    async with open_tools(shared_sandbox()) as (context, _):
        text, answer = await ask(context, "preview_widget", widget=widget, dashboard_id=11, window="7d", table="text")
    table = answer["report"]["table"]
    assert table["columns"] == ["agent", "topic", "calls", "share of the agent (%)"]
    for agent in {row[0] for row in table["rows"]}:
        mine = [row for row in table["rows"] if row[0] == agent]
        assert [row[2] for row in mine] == sorted((row[2] for row in mine), reverse=True)
        for _, _, calls, share in mine:
            assert share == pytest.approx(100 * calls / sum(row[2] for row in mine), abs=0.051)
    assert sum(row[2] for row in table["rows"]) == answer["report"]["n"]
    assert f"table, {table['total_rows']} rows:" in text


async def test_tables_of_comparisons_hold_the_rows_of_both_periods() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        _, answer = await ask(
            context, "get_widgets_data", widget_ids=[203, 207], window="7d", compare_to="previous_period", table="text"
        )
    bar, line = (report["table"] for report in answer["widgets"])
    reports = answer["widgets"]
    for side in ("current", "baseline"):
        mine = [dict(zip(bar["columns"], row, strict=True)) for row in bar["rows"] if row[0] == side]
        assert sum(row["n"] for row in mine) == reports[0]["comparison"][side]["n"]
    assert line["columns"][:3] == ["period", "every 1h (UTC)", "average call duration (s)"]
    assert line["total_rows"] == 2 * 169


async def test_stat_figures_and_profile_slots_are_available_as_tables() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        _, stat = await ask(context, "get_widgets_data", widget_ids=[201], window="7d", table="csv")
        _, folded = await ask(
            context, "get_widgets_data", widget_ids=[202], window="29d", table="csv", profile="weekday"
        )
        _, plain = await ask(context, "get_widgets_data", widget_ids=[202], window="29d", profile="weekday")
    [report] = stat["widgets"]
    assert {row[0]: row[1] for row in report["table"]["rows"]}["total_calls"] == report["facts"]["total_calls"]
    [profile] = plain["widgets"]
    [row_report] = folded["widgets"]
    assert [row[1] for row in row_report["table"]["rows"]] == profile["profile"]["value"]
    assert row_report["table"]["rows"][0][0] == "Monday"


async def test_tables_of_a_dashboard_share_the_budget_of_one_answer() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        for how in ("text", "csv"):
            text, answer = await ask(context, "get_widgets_data", dashboard_id=11, table=how)
            assert len(text) <= WHOLE_ANSWER
            assert len(json.dumps(answer, separators=(",", ":"))) <= 1.5 * WHOLE_ANSWER
            for report in answer["widgets"]:
                table, number = report["table"], report["widget"]["id"]
                assert table["rows"]
                shown = len(table["rows"])
                cut = f"rows 1 to {shown} of {table['total_rows']}; from_row {shown + 1} continues:"
                assert f"table of widget {number}, {f'{shown} rows:' if shown == table['total_rows'] else cut}" in text


async def test_missing_rows_are_reported_and_from_row_needs_a_table() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, _ = await ask(context, "get_widgets_data", widget_ids=[202], window="7d", table="text", from_row=99)
        assert "table of widget 202: no row 99, as there are 8" in text
        times = {"chart_type": "bar", "field": "timestamp", "aggregation_function": "max", "time_period": "day"}
        text, _ = await ask(context, "preview_widget", widget=times, window="2d", table="csv")
        assert "no table, as the values of this chart are times" in text
        _, plain = await ask(context, "get_widgets_data", widget_ids=[202], window="7d", from_row=1, table="none")
        assert "table" not in plain["widgets"][0], "as strict clients fill in optional arguments"
        with pytest.raises(InvalidArguments, match="give table too: text or csv"):
            await ask(context, "get_widgets_data", widget_ids=[202], from_row=2)
