"""CEKURA_PROJECTS: no argument reads, reveals or changes anything of another project."""

import contextlib
import json
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError
from mcp.types import PromptReference
from pydantic import SecretStr

from cekura_dashboards import DashboardsError, ToolContext
from cekura_dashboards.api.client import CekuraClient
from cekura_dashboards.api.errors import DeadlinePassed, NotFound
from cekura_dashboards.api.projects_only import MAX_PAGES, ProjectsOnly
from cekura_dashboards.api.transport import HttpTransport
from cekura_dashboards.api.wire import Response, Transport
from cekura_dashboards.boards import export_board
from cekura_dashboards.settings import SettingsError, load_settings
from cekura_dashboards_mcp.connection import Connection
from cekura_dashboards_mcp.protocol.server import create_server
from cekura_sandbox import ApiVariant
from support import (
    BY_NAME,
    KEY,
    LAST_3_DAYS,
    PIE,
    SAMPLE_ARGUMENTS,
    TIMEOUT_S,
    Era,
    Json,
    Recorder,
    ask,
    content,
    new_sandbox,
    no_wait,
    now,
    open_tools,
    sample_calls,
    settings,
    shared_sandbox,
    sql,
)

pytestmark = pytest.mark.anyio
ALLOWED, OTHER = 1, 2
OTHER_DASHBOARD, OTHER_WIDGET = 13, 216
LATENCY: Json = {
    "chart_type": "bar",
    "field": "metric_evaluations.value",
    "aggregation_function": "p95",
    "time_period": "day",
}


@asynccontextmanager
async def limited_tools(app: Any) -> AsyncGenerator[tuple[ToolContext, Recorder]]:
    """A context limited to one of the two projects, and the recorder of the requests that reached the API."""
    recorder = Recorder(HttpTransport("http://localhost", app=app))
    guard = ProjectsOnly(recorder, frozenset({ALLOWED}))
    client = CekuraClient(transport=guard, key=SecretStr(KEY), now=now, sleep=no_wait)
    try:
        yield ToolContext(client, settings(projects="1"), now), recorder
    finally:
        await recorder.aclose()


def other_project(app: Any) -> tuple[int, int, list[str]]:
    """An agent and a metric of the other project, and words that only it contains."""
    store = app.state.world.store
    board = store.dashboard(OTHER_DASHBOARD)
    words = ["Telecom", "Harbour", *(str(widget["name"]) for widget in board["widgets"])]
    metric = next(widget["metric"] for widget in board["widgets"] if widget["metric"])
    return 40, metric, words


def calls_with_other_project(agent: int, metric: int) -> list[tuple[str, Json]]:
    other_agent_filter: Json = {"field": "agent.id", "op": "in", "value": [31, agent]}
    deep: Json = {
        "operator": "and",
        "conditions": [{"operator": "or", "conditions": [other_agent_filter, LAST_3_DAYS]}],
    }
    measured: Json = {"field": "metric_evaluations.metric.id", "op": "eq", "value": metric}
    calls: list[tuple[str, Json]] = [
        ("list_dashboards", {"project_id": OTHER}),
        ("get_dashboard", {"dashboard_id": OTHER_DASHBOARD}),
        ("get_dashboard", {"dashboard_id": "Telecom quality"}),
        ("look_up", {"kind": "agents", "project_id": OTHER}),
        ("look_up", {"kind": "metrics", "project_id": OTHER}),
        ("look_up", {"kind": "metrics", "agent_id": agent}),
        ("look_up", {"kind": "topics", "project_id": OTHER}),
        ("look_up", {"kind": "values", "field": "topic", "agent_id": agent}),
        ("look_up", {"kind": "metadata_keys", "project_id": OTHER}),
        ("get_widgets_data", {"dashboard_id": OTHER_DASHBOARD}),
        ("get_widgets_data", {"widget_ids": [OTHER_WIDGET], "window": "7d"}),
        ("get_widgets_data", {"widget_ids": [203], "filters": other_agent_filter}),
        ("get_widgets_data", {"widget_ids": [203], "filters": deep}),
        ("get_widgets_data", {"widget_ids": [203], "compare_filters": other_agent_filter}),
        ("preview_widget", {"widget": PIE, "dashboard_id": OTHER_DASHBOARD}),
        ("preview_widget", {"widget": {**PIE, "filters": other_agent_filter}, "window": "7d"}),
        ("preview_widget", {"widget": {**LATENCY, "metric": metric}, "window": "7d"}),
        ("preview_widget", {"widget": {**PIE, "filters": measured}, "window": "7d"}),
        ("preview_widget", {"widget": PIE, "share_where": other_agent_filter, "window": "7d"}),
        ("find_changes", {"dashboard_ids": [OTHER_DASHBOARD]}),
        ("find_changes", {"project_id": OTHER}),
        ("explain_change", {"widget_id": OTHER_WIDGET}),
        ("list_calls", {"widget_id": OTHER_WIDGET, "window": "7d"}),
        ("list_calls", {"widget": PIE, "project_id": OTHER, "window": "7d"}),
        ("list_calls", {"widget_id": 203, "window": "7d", "filters": other_agent_filter}),
        ("check_dashboard", {"dashboard_id": OTHER_DASHBOARD}),
        ("preview_edit", {"dashboard_id": OTHER_DASHBOARD, "create": [PIE]}),
        ("preview_edit", {"dashboard_id": 11, "create": [{**LATENCY, "metric": metric}]}),
        ("update_widget", {"widget_id": OTHER_WIDGET, "changes": {"name": "Mine"}}),
        ("update_widget", {"widget_id": 203, "changes": {"filters": other_agent_filter}}),
        ("bulk_edit_dashboard", {"dashboard_id": OTHER_DASHBOARD, "create": [PIE]}),
        ("bulk_edit_dashboard", {"dashboard_id": 11, "create": [{**PIE, "filters": other_agent_filter}]}),
        ("bulk_edit_dashboard", {"dashboard_id": 11, "update": [{"id": OTHER_WIDGET, "name": "Mine"}]}),
        ("create_dashboard", {"name": "Theirs", "project_id": OTHER}),
        ("create_dashboard", {"name": "Copied", "copy_of": OTHER_DASHBOARD}),
        ("create_dashboard", {"name": "Ours", "project_id": ALLOWED, "filters": other_agent_filter}),
        ("update_dashboard", {"dashboard_id": OTHER_DASHBOARD, "name": "Mine"}),
        ("update_dashboard", {"dashboard_id": 11, "only": other_agent_filter}),
        ("delete_dashboard", {"dashboard_id": OTHER_DASHBOARD}),
        ("copy_widgets", {"widget_ids": [OTHER_WIDGET], "dashboard_ids": [11]}),
        ("copy_widgets", {"widget_ids": [203], "dashboard_ids": [OTHER_DASHBOARD]}),
        ("copy_widgets", {"widget_ids": [203], "dashboard_ids": [OTHER_DASHBOARD], "move": True}),
    ]  # fmt: skip
    other_body: Json = {
        "dashboard_id": OTHER_DASHBOARD, "dashboard_ids": [OTHER_DASHBOARD], "widget_id": OTHER_WIDGET,
        "widget_ids": [OTHER_WIDGET], "project_id": OTHER, "agent_id": agent, "metric": metric,
    }  # fmt: skip
    attempted = [tool for tool, _ in calls]
    others = [sample_calls(attempted, writes=writes, values=SAMPLE_ARGUMENTS | other_body) for writes in (False, True)]
    return [*calls, *others[0], *others[1]]


CASES = range(len(calls_with_other_project(0, 0)))


@pytest.mark.parametrize("case", CASES)
async def test_other_projects_are_neither_revealed_nor_changed(case: int) -> None:
    app = new_sandbox(count=2000)
    agent, metric, words = other_project(app)
    before = content(app)
    tool, arguments = calls_with_other_project(agent, metric)[case]
    async with limited_tools(app) as (context, recorder):
        try:
            text, structured = await ask(context, tool, **arguments)
        except DashboardsError as error:
            text, structured = str(error), dict[str, Any]()
        assert recorder.writes() == []
    text_of_arguments = json.dumps(arguments)
    answer = text + json.dumps(structured)
    assert not [word for word in words if word in answer and word not in text_of_arguments], answer
    assert content(app) == before


OTHER_PATHS: list[tuple[str, Json]] = [
    ("/test_framework/v2/metrics/507/history/", {}),
    ("/test_framework/v2/aiagents/40/history/", {}),
    ("/user/v1/audit-logs/", {"organization_id": "7"}),
    ("/user/v1/audit-logs/", {"organization_id": "7", "project_id": "2"}),
    ("/observability/v1/metric-failure-mode-insights/categories/", {}),
    ("/observability/v1/metric-failure-mode-insights/categories/", {"project": "2"}),
    ("/observability/v1/metric-failure-mode-insights/categories/", {"project": "1", "agent_ids": "31,40"}),
    (
        "/observability/v1/metric-failure-mode-insights/categories/slot-taken/calls/",
        {"project": "1", "metric_id": "507"},
    ),
    ("/observability/v1/metric-failure-mode-insights/categories/../calls/", {"project": "1", "metric_id": "503"}),
    ("/observability/v1/metric-failure-mode-insights/failure-rates/", {"project": "1"}),
]


@pytest.mark.parametrize(("path", "query"), OTHER_PATHS)
async def test_histories_logs_and_failure_modes_of_other_projects_are_blocked(path: str, query: Json) -> None:
    async with limited_tools(shared_sandbox()) as (context, recorder):
        with pytest.raises(NotFound):
            await context.api.ask("GET", path, query=query)
    assert path not in [sent.path for sent in recorder.sent]


async def test_call_details_and_audit_entries_are_limited_to_allowed_projects() -> None:
    app = shared_sandbox()
    ids = {project: number for number, project in sql(app, "SELECT max(id), project FROM calls GROUP BY project")}
    async with limited_tools(app) as (context, _):
        assert (await context.api.call_details(ids[ALLOWED])).metrics
        with pytest.raises(NotFound):
            await context.api.call_details(ids[OTHER])
        log = await context.api.audit_log(7, ALLOWED, start="2026-10-25T00:00:00Z", end="2026-11-18T00:00:00Z")
        assert {entry.kind for entry in log.entries} >= {"aiagent", "metric", "project"}
        assert (await context.api.agent_history(33)).versions


def test_every_tool_is_tried_on_another_project() -> None:
    assert {tool for tool, _ in calls_with_other_project(0, 0)} == {*BY_NAME}


async def test_lists_are_limited_to_allowed_projects() -> None:
    app = new_sandbox(count=2000)
    _, _, words = other_project(app)
    calls: list[tuple[str, Json]] = [
        ("list_dashboards", {}), ("find_changes", {}), *(("look_up", {"kind": kind}) for kind in ("projects", "agents", "metrics"))
    ]  # fmt: skip
    async with limited_tools(app) as (context, _):
        for tool, arguments in calls:
            text, structured = await ask(context, tool, **arguments)
            assert not [word for word in words if word in text + json.dumps(structured)]


@pytest.mark.no_cover
@pytest.mark.parametrize(
    "readings", [ApiVariant(), ApiVariant(override="merge", preview="merge")], ids=["replace", "merge"]
)
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("list_dashboards", {"project_id": ALLOWED}), ("get_dashboard", {"dashboard_id": 11}),
        ("get_widgets_data", {"dashboard_id": 11}), ("get_widgets_data", {"widget_ids": [203], "window": "14d"}),
        ("get_widgets_data", {"dashboard_id": 12, "window": "7d", "compare_to": "previous_period"}),
        ("preview_widget", {"widget": PIE, "dashboard_id": 12}), ("explain_change", {"widget_id": 203}),
        ("find_changes", {"project_id": ALLOWED}), ("list_calls", {"widget_id": 203, "window": "7d"}),
        ("look_up", {"kind": "agents", "project_id": ALLOWED}), ("look_up", {"kind": "topics", "project_id": ALLOWED}),
        ("check_dashboard", {"dashboard_id": 12}), ("preview_edit", {"dashboard_id": 11, "create": [PIE], "delete": [206]}),
    ],
)  # fmt: skip
async def test_allowed_projects_get_the_same_answers_as_without_the_limit(
    tool: str, arguments: Json, readings: ApiVariant
) -> None:
    app = shared_sandbox(readings, count=600)
    async with open_tools(app) as (context, _):
        unlimited, _ = await ask(context, tool, **arguments)
    async with limited_tools(app) as (context, _):
        limited, _ = await ask(context, tool, **arguments)
    assert without_notes(limited) == without_notes(unlimited)


def without_notes(text: str) -> list[str]:
    """The text without notes, one of which states how calls of other projects were excluded."""
    return [line for line in text.splitlines() if not line.startswith("note: ")]


async def test_concurrent_requests_read_project_metrics_once() -> None:
    async with limited_tools(shared_sandbox()) as (context, recorder):
        await ask(context, "get_widgets_data", dashboard_id=11)
    listed = Counter((sent.path, sent.query.get("project_id")) for sent in recorder.sent if "metrics" in sent.path)
    assert listed["/test_framework/v2/metrics/", "1"] <= 2  # once for this check, and once for names


@pytest.mark.parametrize(
    "path", ["/test_framework/v2/metrics/", "/dashboards/dashboards/11/", "/dashboards/dashboards/"]
)
@pytest.mark.parametrize(
    "answer", [Response(200, b"<html>", "application/json"), Response(500, b""), Response(429, b"")], ids=str
)
async def test_unreadable_project_data_is_an_error_and_blocks_edits(path: str, answer: Response) -> None:
    app = new_sandbox()
    before = content(app)
    async with limited_tools(app) as (context, recorder):
        recorder.fault = lambda sent: answer if sent.method == "GET" and sent.path == path else None
        for tool, arguments in (
            ("list_dashboards", {}),
            ("update_dashboard", {"dashboard_id": 11, "name": "Mine"}),
        ):
            if tool == "list_dashboards" and path.endswith("11/"):
                continue
            if tool == "update_dashboard" and path.endswith("dashboards/"):
                continue
            with pytest.raises(DashboardsError):
                await ask(context, tool, **arguments)
    assert content(app) == before


UNREADABLE = {
    "no UTF-8": b'[{"id": 1, "name": "\xff"}]',
    "nested too deep": b"[" * 5000 + b"]" * 5000,
    "cut off": b'{"id": 11, "widgets": [',
    "a number": b"7",
    "no list": b'{"results": {"0": 1}}',
    "lists for ids": b'{"id": [], "dashboard": [], "results": [{"id": [], "project": [], "dashboard": []}]}',
}
UNDECODABLE = [name for name in UNREADABLE if name != "lists for ids"]
GUARDED = (
    "/aiagents/",
    "/metrics/",
    "/dashboards/dashboards/11/",
    "/dashboards/dashboards/",
    "/widgets/203/",
    "/projects/",
)
READS_OF_GUARDED: list[tuple[str, Json]] = [
    ("list_dashboards", {}),
    ("get_dashboard", {"dashboard_id": 11}),
    ("look_up", {"kind": "agents"}),
    ("look_up", {"kind": "metrics"}),
    ("look_up", {"kind": "projects"}),
    ("get_widgets_data", {"widget_ids": [203]}),
    ("preview_widget", {"widget": PIE, "window": "7d"}),
    ("find_changes", {}),
    ("list_calls", {"widget_id": 203, "window": "7d"}),
    ("update_widget", {"widget_id": 203, "changes": {"name": "Mine"}}),
]


_calls_by_path = dict[str, list[tuple[str, Json]]]()


async def calls_reading(path: str) -> list[tuple[str, Json]]:
    """The calls that read this path, determined once."""
    if not _calls_by_path:
        async with limited_tools(new_sandbox(count=10)) as (context, recorder):
            for call in READS_OF_GUARDED:
                recorder.sent.clear()
                await ask(context, call[0], **call[1])
                for guarded in GUARDED:
                    if any(sent.path.endswith(guarded) for sent in recorder.sent):
                        _calls_by_path.setdefault(guarded, []).append(call)
    return _calls_by_path[path]


@pytest.mark.parametrize("path", GUARDED)
@pytest.mark.parametrize("body", UNREADABLE)
async def test_undecodable_project_data_is_an_error_and_blocks_edits(body: str, path: str) -> None:
    calls = await calls_reading(path)
    app = new_sandbox(count=10)
    before = content(app)
    async with limited_tools(app) as (context, recorder):
        recorder.fault = lambda sent: Response(200, UNREADABLE[body]) if sent.path.endswith(path) else None
        for tool, arguments in calls:
            with contextlib.suppress(DashboardsError):
                await ask(context, tool, **arguments)
    if path in {"/aiagents/", "/metrics/"} and body in UNDECODABLE:  # without these lists no call succeeds
        assert content(app) == before


@pytest.mark.parametrize("body", UNDECODABLE)
async def test_a_delete_fails_if_the_project_check_is_unreadable(body: str) -> None:
    app = new_sandbox()
    async with limited_tools(app) as (context, recorder):
        recorder.fault = lambda sent: Response(200, UNREADABLE[body]) if sent.path.endswith("/aiagents/") else None
        with pytest.raises(DashboardsError, match="could not be read"):
            await context.api.delete_dashboard(11)
    assert app.state.world.store.dashboard(11)


class Gated:
    """Requests for the agents of one key wait for the gate, which takes no time of the clock."""

    def __init__(self, inner: Transport, slow: str) -> None:
        self.inner, self.slow = inner, slow
        self.gate, self.waiting = anyio.Event(), anyio.Event()

    async def send(self, method: str, path: str, *, key: SecretStr, **options: Any) -> Response:
        if key.get_secret_value() == self.slow and path.endswith("/aiagents/"):
            self.waiting.set()
            await self.gate.wait()
        return await self.inner.send(method, path, key=SecretStr(KEY), **options)

    async def aclose(self) -> None:
        await self.inner.aclose()


async def test_a_slow_key_delays_no_other_key_and_reads_agents_once() -> None:
    recorder = Recorder(HttpTransport("http://localhost", app=shared_sandbox()))
    gated = Gated(recorder, "slow")
    guard, answered = ProjectsOnly(gated, frozenset({ALLOWED})), list[str]()

    async def read(key: str) -> None:
        await CekuraClient(transport=guard, key=SecretStr(key), now=now, sleep=no_wait).get_dashboard(11)
        answered.append(key)

    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as group:
            group.start_soon(read, "slow")
            await gated.waiting.wait()
            group.start_soon(read, "slow")
            await read("quick")
            assert answered == ["quick"]
            gated.gate.set()
    await recorder.aclose()
    assert answered == ["quick", "slow", "slow"]
    assert recorder.paths().count("GET /test_framework/v2/aiagents/") == 2


async def test_one_deadline_covers_all_pages_of_the_project_check() -> None:
    """Each page arrives in time, and each names a next one."""
    pages = 0

    class Endless:
        async def send(self, *_: Any, timeout_s: float, **__: Any) -> Response:
            nonlocal pages
            pages += 1
            with anyio.fail_after(timeout_s):
                await anyio.sleep(0.02)
            return Response(200, b'{"results": [], "next": "https://localhost/?page=2"}')

        async def aclose(self) -> None:
            """Nothing to close."""

    guard = ProjectsOnly(Endless(), frozenset({ALLOWED}))
    api = CekuraClient(transport=guard, key=SecretStr(KEY), now=now, timeout_s=0.2, sleep=no_wait)
    ended = list[DashboardsError]()

    async def read() -> None:
        with pytest.raises(DeadlinePassed) as caught:
            await api.get_dashboard(11)
        ended.append(caught.value)

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(read)
    assert len(ended) == 3
    assert pages < MAX_PAGES


async def test_a_preview_without_dashboard_counts_allowed_projects_only() -> None:
    app = shared_sandbox()
    async with open_tools(app) as (context, _):
        _, of_ours = await ask(context, "preview_widget", widget=PIE, dashboard_id=11, window="7d")
        _, of_all = await ask(context, "preview_widget", widget=PIE, window="7d")
    async with limited_tools(app) as (context, _):
        _, answer = await ask(context, "preview_widget", widget=PIE, window="7d")
    assert answer["report"]["n"] == of_ours["report"]["n"] < of_all["report"]["n"]


async def test_edits_in_allowed_projects_can_be_applied_and_undone() -> None:
    app = new_sandbox()
    before = content(app)
    async with limited_tools(app) as (context, _):
        _, planned = await ask(context, "preview_edit", dashboard_id=11, create=[PIE], delete=[206])
        _, receipt = await ask(
            context, "bulk_edit_dashboard", dashboard_id=11, create=[PIE], delete=[206], plan_id=planned["plan_id"]
        )
        assert receipt["outcome"] == "applied"
        _, undone = await ask(context, receipt["undo"]["tool"], **receipt["undo"]["arguments"])
        assert undone["outcome"] == "applied"
        _, created = await ask(
            context, "create_dashboard", name="New", project_id=ALLOWED, widgets=[PIE], filters=LAST_3_DAYS
        )
        _, deleted = await ask(context, created["undo"]["tool"], **created["undo"]["arguments"])
        assert deleted["outcome"] == "applied"
        with pytest.raises(DashboardsError):
            await export_board(context, OTHER_DASHBOARD)
    assert content(app) == before


async def test_resources_and_completions_are_limited_to_allowed_projects(era: Era) -> None:
    connection = Connection(settings(projects="1"), app_factory=shared_sandbox, now=now)
    async with Client(create_server(connection), mode=era) as client:
        with pytest.raises(MCPError, match="No dashboard 13"):
            await client.read_resource("cekura://dashboards/13")
        reference = PromptReference(type="ref/prompt", name="weekly_review")
        for argument, name in ("dashboard", "Telecom quality"), ("agent", "Number porting"):
            result = await client.complete(reference, {"name": argument, "value": ""})
            assert name not in result.completion.values


@pytest.mark.parametrize(
    ("projects", "project", "text"),
    [("one", "", 'CEKURA_PROJECTS is "one": must be ids of projects'), ("1,2", "3", 'CEKURA_PROJECTS is "1,2": does not contain CEKURA_PROJECT_ID, 3')],
)  # fmt: skip
def test_contradictory_project_settings_are_reported_by_name(
    projects: str, project: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CEKURA_PROJECTS", projects)
    monkeypatch.setenv("CEKURA_PROJECT_ID", project)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert text in str(refused.value)


async def test_alerts_and_daily_reports_of_other_projects_are_protected() -> None:
    app = new_sandbox(count=300)
    store = app.state.world.store
    other_alert = store.alerts.create(
        {"name": "Theirs", "project": OTHER, "source_type": "metric", "source_id": 506, "preset": "balanced",
         "source": {"sub_type": "significant_change"}}
    )["id"]  # fmt: skip
    before = content(app)
    async with limited_tools(app) as (context, _):
        listed, _ = await ask(context, "look_up", kind="alerts")
        assert "Latency trend" in listed
        assert "Theirs" not in listed
        for tool, arguments in (
            ("preview_alert", {"alert_id": other_alert}),
            ("save_alert", {"alert_id": other_alert, "action": "off"}),
            ("save_alert", {"alert_id": other_alert, "action": "delete"}),
            ("save_alert", {"metric": 506, "project_id": OTHER, "kind": "trend"}),
            ("update_dashboard", {"dashboard_id": OTHER_DASHBOARD, "daily_report": "add"}),
        ):
            with pytest.raises(DashboardsError):
                await ask(context, tool, **arguments)
        assert content(app) == before
        for arguments in ({"alert_id": 701, "action": "off"}, {"metric": 501, "project_id": ALLOWED, "kind": "trend"}):
            _, receipt = await ask(context, "save_alert", **arguments)
            assert receipt["outcome"] == "applied"
        _, receipt = await ask(context, "update_dashboard", dashboard_id=12, daily_report="add")
        assert receipt["outcome"] == "applied"
