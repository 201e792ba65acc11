"""A change has the same verdict and date in every tool that reports it, and comparisons agree with steps."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

import pytest
from fastapi import FastAPI
from mcp import Client

from cekura_dashboards.stats.change import changes_from_findings
from cekura_dashboards.stats.findings import Step
from cekura_dashboards_mcp.cli.calls import make_report
from cekura_dashboards_mcp.connection import Connection
from support import Json, changed_sandbox, connect, now, read_only, settings, shared_sandbox

pytestmark = pytest.mark.anyio
BY_AGENT = {"type": "field", "field": "agent.id"}
WEEK: Json = {"window": "7d", "compare_to": "previous_period"}


def bar(measured: str, function: str, period: str = "day", **more: Any) -> Json:
    chart = {"chart_type": "bar", "field": measured, "aggregation_function": function, "time_period": period}
    return {"name": f"{function} of {measured} per {period}", **chart, **more}


CHARTS: dict[str, list[Json]] = {
    "success": [
        bar("success", "avg"),
        bar("success", "avg", group_by=BY_AGENT),
        bar("success", "avg", "hour"),
        {"name": "Outcome", "chart_type": "pie", "field": "success"},
    ],
    "calls": [bar("agent_id", "count"), bar("agent_id", "count", "hour")],
    "duration": [bar("duration", "avg"), {"name": "Length", "chart_type": "line", "field": "duration"}],
    "p95": [bar("duration", "p95")],
    "stat": [{"name": "At a glance", "chart_type": "stat"}],
}
"""Charts by measure."""
FIGURES = {"success_rate": "success", "avg_duration": "duration", "total_calls": "calls"}
FALL = "UPDATE calls SET success = success AND u(id, 'fall') >= {share} WHERE ts >= '{since}'"
SCENARIOS: dict[str, list[str]] = {
    "nineteen points of one agent in seven": [FALL.format(share=0.21, since="2026-11-12 15:30") + " AND agent_id = 33"],
    "ten points of all since noon of the third day before": [FALL.format(share=0.12, since="2026-11-14 12:00")],
    "ten points since before the window, and durations within it": [
        FALL.format(share=0.12, since="2026-11-09"),
        "UPDATE calls SET duration = duration * 1.3 WHERE ts >= '2026-11-13'",
    ],
    "a quarter of the calls, on top of growth": [
        "DELETE FROM calls WHERE u(id, 'grown') > exp(0.01 * date_diff('day', TIMESTAMP '2026-11-18', ts))",
        "DELETE FROM calls WHERE ts >= '2026-11-12' AND u(id, 'fewer') < 0.25",
    ],
    "an outage that goes on": ["DELETE FROM calls WHERE ts >= '2026-11-18 11:12'"],
}


@dataclass
class Facts:
    """Facts of all answers. ``words``: the verdicts of each step by measure and day, with their tools."""

    measures: dict[int, str]
    words: defaultdict[tuple[str, str], dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    compared: list[tuple[str, str, Json]] = field(default_factory=list[tuple[str, str, Json]])
    outages: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def add_finding(self, tool: str, measure: str, finding: Json) -> None:
        if re.search("step", finding["kind"]):
            kind = "trend or step" if finding.get("or_trend") else finding["kind"]
            size = f"{kind}, {finding['verdict']}, {sign(finding):+d}"
            self.words[measure, day_of(finding)][f"{tool} {finding['at']}"] = size
        if finding["kind"] == "outage" and finding.get("still"):
            self.outages[finding["verdict"]].add(finding.get("at") or finding["from"])

    def add_report(self, tool: str, report: Json) -> None:
        measure = self.measures.get(report["widget"].get("id"), "success")
        for finding in report.get("findings", []):
            self.add_finding(tool, measure, finding)
        if "difference" in (comparison := report.get("comparison", {})):
            self.compared.append((tool, measure, comparison))
        shares: list[Json] = comparison.get("shares", {}).get("top", []) if measure == "success" else []
        self.compared += [
            (tool, measure, {**row, "difference": row["points"]}) for row in shares if row.get("label") == "true"
        ]
        figures = [*comparison.get("figures", []), *report.get("change", {}).get("figures", [])]
        self.compared += [(tool, FIGURES[row["figure"]], row) for row in figures if row["figure"] in FIGURES]

    def add_changes(self, tool: str, answer: Json) -> None:
        for row in answer["changes"]:
            measure = self.measures[row["widgets"][0]]
            if row["kind"] in {"step", "outage"}:
                self.add_finding(tool, measure, {**row, "change": (row["after"] or 0) - (row["before"] or 0)})
            if row["kind"] == "comparison":
                self.compared.append((tool, measure, {**row, "difference": row["after"] - row["before"]}))


def sign(finding: Json) -> int:
    return 1 if finding["change"] > 0 else -1


def day_of(finding: Json) -> str:
    return str(finding["at"][:10])


def sandbox_with(changes: list[str]) -> FastAPI:
    """A quiet month with these changes, and a dashboard of charts of a few measures."""
    app = changed_sandbox(*changes, count=20_000, quiet=True)
    store = app.state.world.store
    for dashboard in [*store.dashboards()]:
        store.delete_dashboard(dashboard["id"])
    dashboard = store.create_dashboard({"name": "Planted", "project": 1, "filters": None})
    store.bulk(dashboard["id"], {"create": [chart for charts in CHARTS.values() for chart in charts]})
    return read_only(app)


def measures_of(app: FastAPI) -> dict[int, str]:
    by_name = {chart["name"]: measure for measure, charts in CHARTS.items() for chart in charts}
    return {widget["id"]: by_name[widget["name"]] for widget in app.state.world.store.widgets()}


async def answer_of(client: Client, tool: str, **arguments: Any) -> Json:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    answer: Json | None = result.structured_content
    assert answer is not None
    return answer


async def facts_of(app: FastAPI, measures: dict[int, str], dashboards: list[int]) -> Facts:
    """The facts of all reading tools and of the report, which asks for the changes and charts of a compared week."""
    facts = Facts(measures)
    async with connect(app) as client:
        for dashboard in dashboards:
            for window in ("7d", "24h"):
                answer = await answer_of(client, "get_widgets_data", dashboard_id=dashboard, window=window)
                for report in answer["widgets"]:
                    facts.add_report(f"get_widgets_data {window}", report)
        answer = await answer_of(client, "find_changes", dashboard_ids=dashboards, window="24h")
        facts.add_changes("find_changes 24h", answer)
        for measure in ("success", "calls"):
            number = next(number for number, name in measures.items() if name == measure)
            answer = await answer_of(client, "explain_change", widget_id=number, **WEEK)
            facts.add_report("explain_change", {**answer, "widget": {"id": number}})
        preview = await answer_of(
            client, "preview_widget", widget=bar("success", "avg"), dashboard_id=dashboards[0], **WEEK
        )
        facts.add_report("preview_widget", preview["report"])
    for tool, answer in await charts_of_report(app, dashboards):
        if tool == "find_changes":
            facts.add_changes("find_changes report", answer)
        for report in answer.get("widgets", []):
            facts.add_report("get_widgets_data report", report)
    return facts


async def charts_of_report(app: FastAPI, dashboards: list[int]) -> Iterator[tuple[str, Json]]:
    """The charts on the page of ``report`` by tool, as the chart view receives them."""
    link = Connection(settings(), app_factory=lambda: app, now=now)
    page = (await make_report(link, dashboards=dashboards, **WEEK)).page
    sections = json.loads(re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)[0])
    return ((str(section["tool"]), section["chart"]["answer"]) for section in sections["sections"])


def assert_consistent(facts: Facts) -> None:
    for (measure, day), words in facts.words.items():
        assert len({*words.values()}) == 1, (measure, day, words)
    days = defaultdict[str, set[str]](set)
    for measure, day in facts.words:
        days[measure].add(day)
    for measure, several in days.items():
        assert len(several) <= 2, (measure, several, {**facts.words})
    for tool, measure, comparison in facts.compared:
        steps = {word for (other, _), words in facts.words.items() if other == measure for word in words.values()}
        if len(steps) == 1 and "24h" not in tool:  # both the day and the previous day are after the step
            [(_, verdict, direction)] = [word.split(", ") for word in steps]
            assert comparison["verdict"] == verdict, (tool, measure, comparison, steps)
            assert comparison["difference"] * int(direction) > 0, (tool, measure, comparison, steps)
    assert {*facts.outages} <= {"clear"}
    for since in facts.outages.values():  # hourly charts date it to the first hour without a call
        first, last = (datetime.fromisoformat(time) for time in (min(since), max(since)))
        assert last - first <= timedelta(hours=1), since


@pytest.mark.no_cover
@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_all_tools_and_comparisons_agree_on_a_change(scenario: str) -> None:
    app = sandbox_with(SCENARIOS[scenario])
    facts = await facts_of(app, measures_of(app), [app.state.world.store.dashboards()[0]["id"]])
    assert facts.words or facts.outages
    for words in facts.words.values():
        tools = {tool.rpartition(" ")[0] for tool in words}
        assert tools >= {"get_widgets_data 7d", "get_widgets_data report", "find_changes report"}, words
    assert_consistent(facts)


@pytest.mark.no_cover
async def test_all_tools_agree_on_the_changes_of_the_sandbox() -> None:
    measures = {201: "stat", 202: "calls", 203: "success", 204: "success", 205: "reasons", 206: "topics"}
    measures |= {207: "duration", 208: "calls"}
    app = shared_sandbox(count=60_000)
    async with connect(app) as client:
        facts = await facts_of(app, {**measures, 210: "p95"}, [11])
        answer = await answer_of(client, "get_widgets_data", dashboard_id=12, compare_to="previous_period")
    [day] = [day for measure, day in facts.words if measure == "success"]
    assert day == "2026-11-12"
    assert {*facts.words["success", day].values()} == {"step, clear, -1"}
    assert_consistent(facts)
    [booking] = [report for report in answer["widgets"] if report["widget"]["id"] == 209]
    assert booking["findings"][0]["verdict"] == booking["comparison"]["verdict"] == "clear"
    assert booking["comparison"]["explained_by"] == f"the step at {booking['findings'][0]['at']}"


async def test_all_tools_give_the_changed_group_the_same_verdict() -> None:
    app = sandbox_with([FALL.format(share=0.12, since="2026-11-12") + " AND agent_id = 32"])
    [dashboard] = [item["id"] for item in app.state.world.store.dashboards()]
    widget = next(number for number, name in measures_of(app).items() if name == "success")
    week: Json = {"window": "2026-11-11/2026-11-17"}
    async with connect(app) as client:
        charts = await answer_of(
            client, "get_widgets_data", dashboard_id=dashboard, compare_to="previous_period", **week
        )
        listed = await answer_of(client, "find_changes", dashboard_ids=[dashboard], **week)
        explained = await answer_of(client, "explain_change", widget_id=widget, compare_to="previous_period", **week)
    [in_chart] = [row for report in charts["widgets"] for row in report.get("group_changes", {}).get("top", [])]
    [in_list] = [row for row in listed["changes"] if row["kind"] == "group"]
    [by_agent] = [dimension for dimension in explained["dimensions"] if dimension["by"] == "agent.id"]
    names = (in_chart["group"], in_list["part"], by_agent["groups"][0])
    assert names == ("Triage (32)",) * 3
    assert (in_chart["verdict"], in_list["verdict"], by_agent["verdict"]) == ("clear",) * 3


@pytest.mark.parametrize("verdict", ["clear", "possible"])
@pytest.mark.parametrize("p_value", [1e-9, 0.02])
def test_a_listed_change_has_the_verdict_of_its_finding(verdict: Literal["clear", "possible"], p_value: float) -> None:
    step = Step(kind="step", at="2026-11-12", before=0.9, after=0.8, change=-0.1, verdict=verdict)
    [change] = changes_from_findings([step.with_p_value(p_value)], 1.0)
    assert change.verdict == verdict
