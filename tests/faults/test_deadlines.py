"""Deadlines, cancellation of upstream requests, and fairness while large answers are processed."""

import tracemalloc
from typing import Any

import anyio
import httpx
import pytest
from mcp import Client
from pydantic import SecretStr

from cekura_dashboards import ToolContext
from cekura_dashboards.api import errors
from cekura_dashboards.api.client import CekuraClient
from cekura_dashboards.api.transport import HttpTransport
from cekura_dashboards.api.wire import count_usage
from cekura_dashboards_mcp.connection import Connection
from cekura_dashboards_mcp.protocol.server import create_server
from cekura_dashboards_mcp.web.app import http_app
from cekura_sandbox.faults import Fault
from support import (
    KEY,
    PIE,
    PLAIN_HTTP,
    TIMEOUT_S,
    Era,
    ask,
    new_sandbox,
    no_wait,
    now,
    open_tools_at,
    served,
    settings,
    shared_sandbox,
)

pytestmark = pytest.mark.anyio
FOREVER_S = "36000"  # seconds, far beyond TIMEOUT_S
NEVER_ANSWERS = Fault("latency", FOREVER_S, times=None)


async def until(condition: Any) -> None:
    """Yield to the event loop until the condition holds; the deadline of the test ends a wait that never does."""
    while not condition():
        await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize(("tool", "arguments"), [
    ("list_dashboards", {}),
    ("get_widgets_data", {"dashboard_id": 11}),
    ("update_widget", {"widget_id": 203, "changes": {"name": "x"}}),
])  # fmt: skip
async def test_a_call_ends_within_a_second_of_its_deadline_without_repeats(
    tool: str, arguments: dict[str, Any]
) -> None:
    app = new_sandbox(count=10)
    app.state.faults.add(NEVER_ANSWERS)
    async with served(app) as url, open_tools_at(url, timeout_s=1) as (context, _):
        with anyio.fail_after(2), pytest.raises(errors.DeadlinePassed, match="No response within 1 seconds"):
            await ask(context, tool, **arguments)
    log = app.state.faults.log
    assert len(log) == len({*log}) > 0


async def test_one_deadline_covers_all_requests_of_a_call() -> None:
    app = new_sandbox(count=10)
    app.state.faults.add(Fault("latency", "0.7", times=None))
    async with served(app) as url, open_tools_at(url, timeout_s=1) as (context, _):
        with anyio.fail_after(2), pytest.raises(errors.DeadlinePassed):
            await ask(context, "preview_widget", widget={"chart_type": "pie", "field": "topic"}, dashboard_id=11)


async def test_a_trickling_answer_ends_at_the_deadline() -> None:
    app = new_sandbox(count=10)
    app.state.faults.add(Fault("trickling", FOREVER_S, times=None))
    async with served(app) as url, open_tools_at(url, timeout_s=1) as (context, _):
        with anyio.fail_after(2), pytest.raises(errors.DeadlinePassed, match="No response within 1 seconds"):
            await ask(context, "get_dashboard", dashboard_id=11)


async def test_a_cancelled_call_cancels_its_requests_upstream(era: Era) -> None:
    app = new_sandbox(count=10)
    app.state.faults.add(NEVER_ANSWERS)
    async with served(app) as url:
        connection = Connection(settings().model_copy(update={"base_url": url}), now=now)
        async with Client(create_server(connection), mode=era) as client:
            with anyio.fail_after(TIMEOUT_S):
                async with anyio.create_task_group() as group:
                    group.start_soon(client.call_tool, "get_widgets_data", {"widget_ids": [201, 202]})
                    await until(lambda: len(app.state.faults.log) == 5)
                    group.cancel_scope.cancel()
                await until(lambda: app.state.faults.disconnected == 5)


async def test_a_write_past_its_deadline_is_reported_as_applied_or_unknown() -> None:
    """The sandbox completes a write after its caller disconnects, as a real API may."""
    app = new_sandbox(count=10)
    app.state.faults.add(Fault("latency", FOREVER_S, method="PATCH"))
    async with served(app) as url, open_tools_at(url, timeout_s=1) as (context, _):
        with anyio.fail_after(3):
            try:
                _, receipt = await ask(context, "update_widget", widget_id=203, changes={"name": "x"})
                outcome = receipt["outcome"]
            except errors.EditFailed as error:
                [outcome] = error.outcomes.values()
    assert outcome in {"applied", "unknown"}
    assert app.state.world.store.widget(203)["name"] == "x"


async def test_a_body_of_200_megabytes_is_rejected_in_bounded_memory() -> None:
    app = new_sandbox(count=10)
    app.state.faults.add(Fault("huge", str(200 * 10**6), path="preview_data"))
    async with served(app) as url, open_tools_at(url) as (context, _):
        tracemalloc.start()
        with pytest.raises(errors.UnreadableAnswer, match=r"larger than 96 MiB.*narrower window"):
            await ask(context, "preview_widget", widget={"chart_type": "line", "field": "duration"}, window="7d")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 128 * 2**20


async def test_decompression_stops_at_the_size_limit() -> None:
    app = new_sandbox(count=10)
    app.state.faults.add(Fault("compressed", str(32 * 2**20), path="preview_data"))
    async with served(app) as url, open_tools_at(url, max_body_bytes=2**20) as (context, _):
        tracemalloc.start()
        with pytest.raises(errors.UnreadableAnswer, match=r"larger than 1 MiB.*narrower window"):
            await ask(context, "preview_widget", widget={"chart_type": "line", "field": "duration"}, window="7d")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 8 * 2**20


async def test_all_answers_of_a_call_share_one_byte_budget() -> None:
    app, arguments = shared_sandbox(), {"widget": PIE, "dashboard_id": 11}

    async def bytes_of_two_calls(limit: int) -> int:
        transport = HttpTransport("http://localhost", app=app, max_call_bytes=limit)
        client, used = CekuraClient(transport=transport, key=SecretStr(KEY), now=now, sleep=no_wait), 0
        try:
            for _ in range(2):
                with count_usage() as counts:
                    await ask(ToolContext(client, settings(), now), "preview_widget", **arguments)
                    used = counts.bytes
        finally:
            await transport.aclose()
        return used

    used = await bytes_of_two_calls(2**20)
    assert await bytes_of_two_calls(used) == used
    with pytest.raises(errors.UnreadableAnswer, match=r"of this call .* fewer widgets"):
        await bytes_of_two_calls(used - 1)


@pytest.mark.no_cover
async def test_health_checks_are_answered_while_a_large_answer_is_processed() -> None:
    app = new_sandbox(count=100_000)
    app.state.world.generate()
    connection = Connection(settings(), key_per_request=False, app_factory=lambda: app, now=now)
    answers = list[int]()
    finished = anyio.Event()
    async with served(http_app(connection)) as url, httpx.AsyncClient(**PLAIN_HTTP) as http:

        async def large() -> None:
            async with Client(f"{url}/mcp") as client:
                result = await client.call_tool(
                    "preview_widget", {"widget": {"chart_type": "line", "field": "duration"}, "window": "30d"}
                )
                assert result.structured_content is not None
                assert result.structured_content["report"]["n"] > 99_000
            finished.set()

        async with anyio.create_task_group() as group:
            group.start_soon(large)
            while not finished.is_set():
                answers.append((await http.get(f"{url}/healthz")).status_code)
    assert set(answers) == {200}
    assert len(answers) > 10
