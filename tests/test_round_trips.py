"""What a user waits for: how many times, one after the other, a call goes to the API and back; and nothing twice."""

import json
from collections import Counter
from dataclasses import dataclass, field

import anyio
import anyio.lowlevel
import pytest
from pydantic import SecretStr

from cekura_dashboards.api.client import CekuraClient
from cekura_dashboards.api.transport import HttpTransport
from cekura_dashboards.api.wire import Answer, Transport
from cekura_dashboards.context import ToolContext
from cekura_dashboards.lookups import Memory
from support import BY_NAME, KEY, PIE, Json, ask, new_sandbox, no_wait, now, settings, shared_sandbox

pytestmark = pytest.mark.anyio
SETTLED = 60
"""So many turns of the event loop without a new request: all that can be asked for at once is asked for."""
BAR: Json = {"chart_type": "bar", "field": "success", "aggregation_function": "avg", "time_period": "day"}


@dataclass
class InRounds:
    """Holds every answer back until nothing more is asked for, then lets all go at once: one round trip."""

    inner: Transport
    sent: list[str] = field(default_factory=list[str])
    trips: int = 0
    under_way: int = 0
    held: int = 0
    let_go: anyio.Event = field(default_factory=anyio.Event)

    async def send(
        self, method: str, path: str, *, key: SecretStr, timeout_s: float, query: dict[str, str], body: bytes | None
    ) -> Answer:
        self.sent.append(f"{method} {path} {json.dumps(query, sort_keys=True)} {(body or b'').decode()}")
        self.under_way += 1
        answer = await self.inner.send(method, path, key=key, timeout_s=timeout_s, query=query, body=body)
        self.held += 1
        await self.let_go.wait()
        return answer

    async def aclose(self) -> None:
        await self.inner.aclose()

    async def conduct(self) -> None:
        """Count the trips, for ever."""
        quiet, seen = 0, 0
        while True:
            await anyio.lowlevel.checkpoint()
            waiting = self.under_way > 0 and self.held == self.under_way
            quiet = quiet + 1 if waiting and len(self.sent) == seen else 0
            seen = len(self.sent)
            if quiet < SETTLED:
                continue
            self.trips += 1
            self.under_way = self.held = quiet = 0
            self.let_go, let_go = anyio.Event(), self.let_go
            let_go.set()


async def counted(tool: str, arguments: Json, memory: Memory | None = None) -> InRounds:
    """The requests and round trips of one call."""
    writes = BY_NAME[tool].writes
    transport = InRounds(HttpTransport("http://localhost", app=new_sandbox() if writes else shared_sandbox()))
    client = CekuraClient(transport=transport, key=SecretStr(KEY), now=now, sleep=no_wait)
    context = ToolContext(client, settings(), now, memory=memory or Memory(0))
    async with anyio.create_task_group() as group:
        group.start_soon(transport.conduct)
        await ask(context, tool, **arguments)
        group.cancel_scope.cancel()
    await transport.aclose()
    return transport


TRIPS: list[tuple[str, Json, int]] = [
    ("list_dashboards", {}, 1),
    ("get_dashboard", {"dashboard_id": 11}, 1),
    ("look_up", {"kind": "agents"}, 1),
    ("look_up", {"kind": "metrics"}, 2),
    ("look_up", {"kind": "values", "field": "topic", "project_id": 1}, 3),
    ("get_widgets_data", {"widget_ids": [203]}, 2),
    ("get_widgets_data", {"widget_ids": [202, 203, 204, 205]}, 2),
    ("get_widgets_data", {"dashboard_id": 11}, 2),
    ("get_widgets_data", {"dashboard_id": 11, "compare_to": "previous_period"}, 2),
    ("get_widgets_data", {"dashboard_id": 11, "window": "30d"}, 2),
    ("get_widgets_data", {"widget_ids": [203], "window": "30d"}, 3),
    ("get_widgets_data", {"widget_ids": [201]}, 3),
    ("preview_widget", {"widget": BAR, "dashboard_id": 11, "window": "30d", "compare_to": "2026-11-01/2026-11-05"}, 3),
    ("preview_widget", {"widget": {"chart_type": "pie", "field": "metric_evaluations.value", "metric": 503}, "dashboard_id": 11}, 3),
    ("preview_edit", {"dashboard_id": 11, "create": [BAR], "update": [{"id": 203, "time_period": "week"}], "delete": [206]}, 3),
    ("list_calls", {"widget_id": 203}, 3),
    ("explain_change", {"widget_id": 203}, 4),
    ("explain_change", {"widget": BAR, "dashboard_id": 11}, 4),
    ("check_dashboard", {"dashboard_id": 11}, 2),
]  # fmt: skip


@pytest.mark.parametrize(("tool", "arguments", "most"), TRIPS, ids=[f"{i}-{case[0]}" for i, case in enumerate(TRIPS)])
async def test_a_call_takes_few_round_trips_and_asks_for_nothing_twice(tool: str, arguments: Json, most: int) -> None:
    found = await counted(tool, arguments)
    assert [text for text, count in Counter(found.sent).items() if count > 1] == []
    assert found.trips <= most, found.sent


WRITES: list[tuple[str, Json]] = [
    ("update_widget", {"widget_id": 203, "changes": {"aggregation_function": "count"}}),
    ("bulk_edit_dashboard", {"dashboard_id": 11, "create": [BAR, PIE], "update": [{"id": 203, "name": "New"}]}),
    ("create_dashboard", {"name": "New", "widgets": [BAR], "project_id": 1}),
    ("create_dashboard", {"name": "New", "copy_of": 11}),
    ("update_dashboard", {"dashboard_id": 11, "name": "New"}),
    ("delete_dashboard", {"dashboard_id": 11}),
    ("copy_widgets", {"widget_ids": [203, 205], "dashboard_ids": [12, 13]}),
]


@pytest.mark.parametrize(("tool", "arguments"), WRITES, ids=[f"{i}-{case[0]}" for i, case in enumerate(WRITES)])
async def test_an_edit_asks_for_nothing_twice(tool: str, arguments: Json) -> None:
    found = await counted(tool, arguments)
    assert [text for text, count in Counter(found.sent).items() if count > 1] == []


def test_every_tool_is_counted() -> None:
    assert {tool for tool, *_ in [*TRIPS, *WRITES]} == set(BY_NAME)


async def test_names_that_are_kept_are_not_asked_for_again_and_data_always_are() -> None:
    memory, call = Memory(60), ("get_widgets_data", {"dashboard_id": 11, "window": "30d"})
    first, second = [await counted(*call, memory=memory) for _ in "ab"]
    left = Counter(first.sent) - Counter(second.sent)
    assert sorted(text.split()[1] for text in left) == ["/test_framework/v2/aiagents/", "/user/v1/projects/"]
    assert not Counter(second.sent) - Counter(first.sent)
    await counted("look_up", {"kind": "predefined_widgets"}, memory=memory)
    assert Counter((await counted(*call, memory=memory)).sent) == Counter(first.sent)
