"""Answers stay within their budget and state omissions."""

import json
import re
from typing import Any

import pytest

from cekura_dashboards.api.wire import Response
from cekura_dashboards.reports.budget import EACH_OF_SEVERAL, ONE_WIDGET, STRUCTURED, WHOLE_ANSWER
from support import Json, Sent, ask, new_sandbox, open_tools, report_of, shared_sandbox

pytestmark = pytest.mark.anyio


LONG = "x" * 10_000


AWKWARD: list[tuple[str, str, Any]] = [
    ("a 10,000-point line", "line", [{"id": i, "timestamp": f"2026-11-1{i % 8}T0{i % 10}:00:00Z", "value": i / 7} for i in range(10_000)]),
    ("a pie of long labels", "pie", [{"label": f"{i}{LONG}", "value": i + 1, "percentage": None} for i in range(300)]),
    ("a pie of control characters", "pie", [{"label": "\u202e\x1b[31m\n" * 50 + str(i), "value": 5} for i in range(30)]),
    ("groups of long names", "bar", [{"time_interval": "2026-11-12T00:00:00Z", "value": 1, "sample_count": 9, "group": f"{i}{LONG}"} for i in range(300)]),
    ("hours of a month", "bar", [{"time_interval": f"2026-11-{d:02}T{h:02}:00:00Z", "value": 1234.5678, "sample_count": 99999} for d in range(11, 19) for h in range(24)]),
    ("nothing", "bar", []),
    ("null", "line", None),
    ("an unknown chart", "list", [{"a": 1}]),
    ("a stat with strangers", "stat", {"total_calls": None, **{f"{LONG}{i}": i for i in range(50)}}),
    ("odd values", "line", [{"id": None, "timestamp": "never", "value": {}}, {"id": [1], "timestamp": None, "value": "NaN"}]),
]  # fmt: skip


@pytest.mark.parametrize(("chart_type", "data"), [case[1:] for case in AWKWARD], ids=[case[0] for case in AWKWARD])
@pytest.mark.parametrize("several", [False, True], ids=["alone", "among others"])
async def test_awkward_data_stays_within_the_budget(chart_type: str, data: Any, several: bool) -> None:  # noqa: FBT001 - a parameter
    grouped = data and isinstance(data, list) and "group" in data[0]
    group_by = {"type": "field", "field": "topic"} if grouped else None

    def fake(sent: Sent) -> Response | None:
        if re.fullmatch(r"/dashboards/widgets/\d+/", sent.path):
            stored: Json = {"id": int(sent.path.split("/")[-2]), "chart_type": chart_type, "field": "duration"}
            stored |= {
                "effective_filters": {"field": "timestamp", "op": "gte", "value": "today-7d"},
                "group_by": group_by,
            }
            return Response(200, json.dumps(stored | {"aggregation_function": "avg"}).encode())
        if not sent.path.endswith("bulk_data/"):
            return None
        results: list[Json] = [
            {
                "widget_id": i,
                "chart_type": chart_type,
                "data": data,
                "group_by": group_by,
                "metadata": {"data_type": "numeric"},
            }
            for i in sent.body["widget_ids"]
        ]
        return Response(200, json.dumps({"count": len(results), "next": None, "results": results}).encode())

    async with open_tools(shared_sandbox()) as (context, recorder):
        recorder.fault = fake
        ids = [202, 204, 205, 207] if several else [204]
        text, answer = await ask(context, "get_widgets_data", widget_ids=ids)
    budget = EACH_OF_SEVERAL * len(ids) if several else ONE_WIDGET
    said_once = sum(len(f"note: {note}\n\n") for note in answer.get("shared_notes", []))
    assert len(text) <= budget + said_once
    assert len(json.dumps(answer, separators=(",", ":"), ensure_ascii=False)) <= STRUCTURED * (budget + said_once) + 40
    assert not {"\x1b", "\u202e"} & set(text + json.dumps(answer, ensure_ascii=False))


async def test_a_dashboard_of_eight_widgets_fits_in_6000_characters() -> None:
    async with open_tools(shared_sandbox(count=60_000)) as (context, _):
        text, answer = await ask(context, "get_widgets_data", dashboard_id=11)
        assert len(answer["widgets"]) == 8
        assert len(text) <= 6000


async def test_notes_shared_by_all_widgets_are_printed_once() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, answer = await ask(context, "get_widgets_data", dashboard_id=11, compare_to="previous_period")
        assert "note: all widgets: the windows cover different weekdays" in text
        assert text.count("the windows cover different weekdays") == 1
        assert text.count("limited to project 1") == 1
        assert "whether more than" not in text, "the bars show calls from before the saved date range"
        text, answer = await ask(context, "get_widgets_data", widget_ids=[202, 203], compare_to="previous_period")
    assert not any("weekdays" in note for note in answer.get("shared_notes", []))
    assert text.count("the windows cover different weekdays") == 2
    async with open_tools(shared_sandbox(), history=False) as (context, _):
        _, answer = await ask(context, "get_widgets_data", widget_ids=[201, 205, 206], compare_to="previous_period")
    assert any(
        note.startswith("all widgets: this chart does not show whether") for note in answer.get("shared_notes", [])
    )


async def test_sixty_widgets_show_one_figure_each_within_the_budget() -> None:
    app = new_sandbox()
    async with open_tools(app) as (context, _):
        many: list[Json] = [
            {"name": f"A rather long name for the widget number {i}", "chart_type": "pie", "field": "topic"}
            for i in range(52)
        ]
        await ask(context, "bulk_edit_dashboard", dashboard_id=11, create=many)
        text, answer = await ask(context, "get_widgets_data", dashboard_id=11)
    assert len(answer["widgets"]) == 60
    assert len(text) <= WHOLE_ANSWER
    assert all("n" in report and report["omitted"] for report in answer["widgets"])


async def test_points_limits_the_length_of_the_series() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        facts_only = await report_of(context, widget_ids=[208], points=0)
        short = await report_of(context, widget_ids=[208], points=5)
        long = await report_of(context, widget_ids=[208], points=60)
    assert "series" not in facts_only
    assert len(short["series"]["value"]) <= 5 < len(long["series"]["value"]) <= 60
    assert sum(long["series"]["value"]) == sum(short["series"]["value"]) == facts_only["facts"]["total"]


async def test_a_series_is_coarsened_before_it_is_omitted() -> None:
    app = new_sandbox(count=6000)
    lines: list[Json] = [{"name": f"Line {i}", "chart_type": "line", "field": "duration"} for i in range(12)]
    async with open_tools(app) as (context, _):
        alone = await report_of(context, widget_ids=[207])
        await ask(context, "bulk_edit_dashboard", dashboard_id=11, create=lines)
        text, answer = await ask(context, "get_widgets_data", dashboard_id=11)
        chosen = await report_of(context, widget_ids=[207], points=5)
    assert len(text) <= WHOLE_ANSWER
    coarser = [report for report in answer["widgets"] if "a finer series" in report.get("omitted", [])]
    assert coarser
    for report in coarser:
        assert 1 < len(report["series"]["value"]) <= 12 < len(alone["series"]["value"]) <= 31
        assert "n per bucket" in report["omitted"]
        assert "n" not in report["series"]
    assert len(chosen["series"]["value"]) <= 5


async def test_omissions_state_how_to_get_the_rest() -> None:
    async with open_tools(shared_sandbox(count=60_000)) as (context, _):
        text, answer = await ask(context, "get_widgets_data", dashboard_id=11, window="7d", compare_to="previous_week")
    omissions = [report["omitted"] for report in answer["widgets"] if "omitted" in report]
    assert omissions
    assert all(
        omission[-1] == "request the widget alone" and f"omitted: {'; '.join(omission)}" in text
        for omission in omissions
    )
