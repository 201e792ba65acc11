"""The weekly report: the content of its single page.

``test_chart_view`` shows it in a browser.
"""

import json
import re
from typing import Any

import pytest

from cekura_dashboards_mcp.cli.calls import Report, make_report
from cekura_dashboards_mcp.connection import Connection
from support import Json, new_sandbox, now, settings, shared_sandbox

pytestmark = pytest.mark.anyio


async def make(app: Any = None, *dashboards: int | str, window: str = "7d") -> Report:
    connection = Connection(settings(), app_factory=lambda: app or shared_sandbox(), now=now)
    return await make_report(connection, dashboards=dashboards, window=window, compare_to="previous_period")


def data_of(report: Report) -> Json:
    match = re.search(r'id="data">(.*?)</script>', report.page, re.DOTALL)
    assert match is not None
    result: Json = json.loads(match[1])
    return result


@pytest.mark.no_cover
async def test_the_report_contains_changes_and_every_dashboard() -> None:
    report = await make()
    data = data_of(report)
    assert report.failed == []
    titles = [section["title"] for section in data["sections"]]
    assert titles == ["What changed", "Operations overview", "Booking agent", "Telecom quality"]
    assert data["title"] == "Cekura report, 7d against previous period"
    assert "2026-11-11T00:00Z to 2026-11-18T00:00Z" in data["about"]
    for section in data["sections"]:
        assert section["chart"]["tool"] == section["tool"]
        assert section["text"]
    assert len(report.page) < 250_000


async def test_a_report_can_be_limited_to_named_dashboards() -> None:
    data = data_of(await make(None, "Booking agent"))
    assert [section["title"] for section in data["sections"]] == ["What changed", "Booking agent"]
    assert "Telecom" not in json.dumps(data["sections"])


async def test_a_report_states_dashboards_beyond_the_limit() -> None:
    app = new_sandbox()
    for number in range(4):
        app.state.world.store.create_dashboard({"name": f"More {number}", "project": 1})
    data = data_of(await make(app))
    assert len(data["sections"]) == 6
    assert "Only the first 5 dashboards are drawn" in data["end"]


async def test_unreadable_dashboards_are_reported_in_their_place() -> None:
    report = await make(None, 12, 99)
    [*_, last] = data_of(report)["sections"]
    assert last["chart"] is None
    assert "No dashboard 99" in last["text"]
    assert any("No dashboard 99" in error for error in report.failed)


@pytest.mark.no_cover
@pytest.mark.parametrize("window", ["last_month", "30d", "this_month"])
async def test_a_window_without_a_baseline_is_reported_without_comparison(window: str) -> None:
    report = await make(None, 12, window=window)
    data = data_of(report)
    assert report.failed == []
    assert data["title"] == f"Cekura report, {window}"
    assert "against" not in data["about"]
    assert "not compared: previous_period would start before" in data["sections"][0]["text"]
    assert data["sections"][1]["chart"]["tool"] == "get_widgets_data"
