"""How many sequential round trips to the API a call makes: what a user waits for.

``python -m benchmarks.trips`` prints a row for every reading tool, with nothing kept from other calls and with names
kept.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import anyio
import anyio.lowlevel
from pydantic import SecretStr

from benchmarks.figures import header
from cekura_dashboards import TOOLS, Settings, ToolContext, call_tool
from cekura_dashboards.api.client import CekuraClient
from cekura_dashboards.api.transport import HttpTransport
from cekura_dashboards.api.wire import Response, Transport
from cekura_dashboards.context import Memory
from cekura_sandbox import create_app

Json = dict[str, Any]
SETTLED = 60
"""So many turns of the event loop without a new request: all that can be asked for at once is asked for."""
KEY = "sandbox"
NOW = datetime(2026, 11, 18, 15, 30, tzinfo=UTC)
"""Of client and sandbox, so that the tables are the same on any day."""
BAR: Json = {"chart_type": "bar", "field": "success", "aggregation_function": "avg", "time_period": "day"}
METRIC: Json = {"chart_type": "pie", "field": "metric_evaluations.value", "metric": 503}
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
    ("get_widgets_data", {"widget_ids": [216]}, 2),
    ("get_widgets_data", {"dashboard_id": 13}, 2),
    ("get_widgets_data", {"dashboard_id": 11, "edits": "brief"}, 3),
    ("preview_widget", {"widget": BAR, "dashboard_id": 11, "window": "14d", "compare_to": "previous_period"}, 3),
    ("preview_widget", {"widget": METRIC, "dashboard_id": 11}, 3),
    ("preview_edit", {"dashboard_id": 11, "create": [BAR, METRIC], "update": [{"id": 203, "time_period": "week"}]}, 3),
    ("list_calls", {"widget_id": 203}, 3),
    ("list_calls", {"widget_id": 203, "details": True}, 4),
    ("explain_change", {"widget_id": 203}, 5),
    ("explain_change", {"widget": BAR, "dashboard_id": 11}, 5),
    ("find_changes", {}, 4),
    ("find_changes", {"dashboard_ids": [11]}, 3),
    ("check_dashboard", {"dashboard_id": 11}, 2),
]  # fmt: skip
"""Reading calls, and the most round trips that each may take with nothing kept."""
MOST_CHARACTERS = 60


@dataclass
class InRounds:
    """Delays responses until no further request comes, then releases all at once: one round trip.

    ``text``: what the tool answered in the end.
    """

    inner: Transport
    sent: list[str] = field(default_factory=list[str])
    trips: int = 0
    under_way: int = 0
    waiting: int = 0
    text: str = ""
    let_go: anyio.Event = field(default_factory=anyio.Event)
    answered: anyio.Event = field(default_factory=anyio.Event)

    async def send(
        self, method: str, path: str, *, key: SecretStr, timeout_s: float, query: dict[str, str], body: bytes | None
    ) -> Response:
        self.sent.append(f"{method} {path} {json.dumps(query, sort_keys=True)} {(body or b'').decode()}")
        self.under_way += 1
        answer = await self.inner.send(method, path, key=key, timeout_s=timeout_s, query=query, body=body)
        self.waiting += 1
        self.answered.set()
        await self.let_go.wait()
        return answer

    async def aclose(self) -> None:
        await self.inner.aclose()

    async def conduct(self) -> None:
        """Count the trips, for ever."""
        while True:
            await self.answered.wait()
            self.answered = anyio.Event()
            quiet, sent_before = 0, len(self.sent)
            while self.waiting == self.under_way and quiet < SETTLED:
                await anyio.lowlevel.checkpoint()
                quiet = quiet + 1 if len(self.sent) == sent_before else 0
                sent_before = len(self.sent)
            if self.waiting < self.under_way:
                continue  # until the next answer
            self.trips += 1
            self.under_way = self.waiting = 0
            self.let_go, let_go = anyio.Event(), self.let_go
            let_go.set()


async def rounds_of(
    app: Any,
    key: str,
    tool: str,
    arguments: Json,
    memory: Memory,
    now: Callable[[], datetime],
    *,
    time_zone: str | None = None,
) -> InRounds:
    """The requests and round trips of one call. ``time_zone``: as in the settings."""
    transport = InRounds(HttpTransport("http://localhost", app=app))
    settings = Settings(api_key=SecretStr(key), base_url="http://localhost", time_zone=time_zone)
    client = CekuraClient(transport=transport, key=SecretStr(key), now=now)
    [called] = [candidate for candidate in TOOLS if candidate.name == tool]
    async with anyio.create_task_group() as group:
        group.start_soon(transport.conduct)
        transport.text = (await call_tool(ToolContext(client, settings, now, memory=memory), called, arguments)).text
        group.cancel_scope.cancel()
    await transport.aclose()
    return transport


async def table() -> list[str]:
    """A row for each call: requests and round trips, first without and then with names that are kept."""
    app = create_app(now=lambda: NOW, count=6000, key=KEY)
    rows = header("call", "requests", "round trips", "with names kept")
    for tool, arguments, _ in TRIPS:
        memory = Memory(60)
        cold, warm = [await rounds_of(app, KEY, tool, arguments, memory, lambda: NOW) for _ in "cw"]
        shown = json.dumps(arguments, separators=(",", ":"))
        call = f"{tool} {shown if len(shown) <= MOST_CHARACTERS else shown[:MOST_CHARACTERS] + '…'}"
        rows.append(f"| `{call}` | {len(cold.sent)} | {cold.trips} | {len(warm.sent)}, {warm.trips} |")
    app.state.world.close()
    return rows


if __name__ == "__main__":
    print("\n".join(anyio.run(table)))  # noqa: T201
