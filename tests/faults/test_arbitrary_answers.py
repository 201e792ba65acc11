"""Arbitrary answers within the API's published schema: each tool answers or raises one of its own errors."""

import contextlib
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import get_args

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from arbitrary import Arbitrary
from cekura_dashboards.api.client import CekuraClient
from cekura_dashboards.api.errors import DashboardsError
from cekura_dashboards.api.projects_only import ProjectsOnly
from cekura_dashboards.api.records import FailureMode
from cekura_dashboards.api.wire import Transport
from cekura_dashboards.charts.edit_histories import EditScope, read_edit_sources
from cekura_dashboards.context import ToolContext
from cekura_dashboards.reports.edits import Amount, MeasureKind, edit_lines, edits_text, edits_within, measure_line
from cekura_dashboards.values import replace
from support import KEY, NOW, Json, ask, no_wait, now, result_validator
from support import settings as tool_settings

BAR: Json = {"chart_type": "bar", "field": "success", "aggregation_function": "avg", "time_period": "day"}
COUNT: Json = {**BAR, "field": "agent_id", "aggregation_function": "count"}
BY_AGENT: Json = {**BAR, "group_by": {"type": "field", "field": "agent.id"}}
CALLS: list[tuple[str, Json]] = [
    ("list_dashboards", {}),
    ("get_dashboard", {"dashboard_id": 11}),
    *(("look_up", {"kind": kind}) for kind in ("metrics", "agents", "projects", "predefined_widgets")),
    ("look_up", {"kind": "values", "field": "topic"}),
    ("get_widgets_data", {"dashboard_id": 11}),
    ("get_widgets_data", {"dashboard_id": 11, "window": "today", "compare_to": "previous_period"}),
    ("get_widgets_data", {"widget_ids": [203, 204], "compare_to": "2026-11-01/2026-11-04"}),
    *(("preview_widget", {"widget": widget, "window": "7d"}) for widget in (BAR, BY_AGENT, COUNT)),
    *(
        ("preview_widget", {"widget": {"chart_type": chart, "field": field}, "window": "7d", "compare_to": "previous_period"})
        for chart, field in (("line", "duration"), ("line", "timestamp"), ("pie", "topic"), ("pie", "success"))
    ),
    ("preview_widget", {"widget": {"chart_type": "stat"}, "window": "7d"}),
    ("preview_widget", {"widget": COUNT, "window": "7d", "share_where": {"field": "success", "op": "eq", "value": True}}),
    ("explain_change", {"widget": BAR, "by": ["agent.id", "topic"]}),
    ("explain_change", {"widget_id": 203}),
    ("explain_change", {"widget": BAR, "dashboard_id": 11, "edits": "full"}),
    ("find_changes", {}),
    ("find_changes", {"dashboard_ids": [11], "edits": "full"}),
    ("get_widgets_data", {"dashboard_id": 11, "compare_to": "previous_period", "edits": "full"}),
    ("list_calls", {"widget_id": 203, "project_id": 1}),
    ("list_calls", {"transcript": 5, "project_id": 1}),
    ("list_calls", {"widget_id": 203, "project_id": 1, "details": True}),
    ("check_dashboard", {"dashboard_id": 11}),
    ("preview_edit", {"dashboard_id": 11, "create": [{**BAR, "place": "top"}]}),
    ("update_widget", {"widget_id": 203, "changes": {"name": "New", "filters": {"field": "topic", "op": "eq", "value": "a"}}}),
    ("bulk_edit_dashboard", {"dashboard_id": 11, "create": [BAR, {**BAR, "name": "b"}]}),
    ("create_dashboard", {"name": "New", "project_id": 1, "widgets": [BAR]}),
    ("create_dashboard", {"name": "New", "copy_of": 11}),
    ("update_dashboard", {"dashboard_id": 11, "name": "New"}),
    ("delete_dashboard", {"dashboard_id": 11}),
    ("copy_widgets", {"widget_ids": [203], "dashboard_ids": [11, 12]}),
    ("look_up", {"kind": "alerts"}),
    *(("preview_alert", {**given, "kind": "trend", "preset": "aggressive"}) for given in ({"alert_id": 701}, {"widget_id": 213}, {"metric": 1})),
    ("save_alert", {"metric": 1, "project_id": 1, "kind": "threshold", "operator": "gt", "value": 3}),
    *(("save_alert", {"alert_id": 7, **change}) for change in ({"action": "delete"}, {"action": "off"}, {"kind": "trend"})),
]  # fmt: skip


async def assert_answered(transport: Transport, tool: str, arguments: Json) -> None:
    client = CekuraClient(transport=transport, key=SecretStr(KEY), now=now, sleep=no_wait)
    context = ToolContext(client, tool_settings(), now)
    try:
        text, answer = await ask(context, tool, **arguments)
    except DashboardsError:
        return
    assert text
    assert not {char for char in text if char != "\n" and not char.isprintable()}
    json.dumps(answer, allow_nan=False)
    result_validator(tool).validate(answer)


@pytest.mark.no_cover
@pytest.mark.parametrize("call", CALLS, ids=[f"{i}-{tool}" for i, (tool, _) in enumerate(CALLS)])
def test_arbitrary_documented_answers_crash_no_tool(call: tuple[str, Json]) -> None:
    @given(st.integers(0, 2**32), st.booleans())
    def run(seed: int, of_projects: bool) -> None:  # noqa: FBT001 - drawn
        transport: Transport = Arbitrary(seed)
        if of_projects:
            transport = ProjectsOnly(transport, frozenset({0, 1, 7}))
        anyio.run(assert_answered, transport, *call)

    run()


async def read_edits(transport: Transport) -> None:
    """Arbitrary histories and audit log, over a window that contains most of their entries."""
    client = CekuraClient(transport=transport, key=SecretStr(KEY), now=now, sleep=no_wait)
    context = ToolContext(client, tool_settings(), now)
    scope = EditScope(NOW - timedelta(days=400), NOW, 7, (1, 501), (7, 33))
    log = await client.audit_log(7, 7, start="2026-10-20T00:00:00Z", end="2026-11-18T00:00:00Z")
    sources = replace(await read_edit_sources(context, [scope]), audit=log)
    for kind in get_args(MeasureKind):
        for amount in get_args(Amount):
            edits = edits_within(sources, scope, kind, {33: "\u202e\n"}, amount)
            text = "\n".join([*edit_lines(edits), measure_line(edits) or "", edits_text(edits)])
            assert not {char for char in text if char != "\n" and not char.isprintable()}
            assert len(text) < 20_000
            json.dumps(edits.model_dump(mode="json", by_alias=True), allow_nan=False)


async def read_call_details(transport: Transport) -> None:
    """Details of one call, and failure modes with their calls."""
    client = CekuraClient(transport=transport, key=SecretStr(KEY), now=now, sleep=no_wait)
    mode = FailureMode("a-b", "A", 501, 3)
    reads: list[Awaitable[object]] = [
        client.call_details(5), client.failure_modes(1, [7]), client.failure_modes(1, []),
        client.failure_calls(mode, 1, [], start="2026-11-01T00:00:00Z", end="2026-11-18T00:00:00Z"),
    ]  # fmt: skip
    for answer in reads:
        with contextlib.suppress(DashboardsError):
            await answer


@pytest.mark.no_cover
@pytest.mark.parametrize("read", [read_edits, read_call_details])
def test_arbitrary_histories_and_call_details_crash_no_reader(read: Callable[[Transport], Awaitable[None]]) -> None:
    @given(st.integers(0, 2**32))
    def run(seed: int) -> None:
        anyio.run(read, Arbitrary(seed))

    run()
