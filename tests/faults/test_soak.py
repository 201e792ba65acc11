"""Many calls under mixed faults: every answer right or an honest error, every write reported for what it is."""

import gc
import random
import tracemalloc
from collections import Counter
from typing import Any

import anyio
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from cekura_dashboards import ToolContext
from cekura_dashboards.api import errors
from cekura_dashboards.api.client import CekuraClient
from cekura_dashboards.api.transport import HttpTransport
from cekura_sandbox.faults import KINDS, Fault
from support import KEY, Json, ask, new_sandbox, no_wait, now, served, settings, some

pytestmark = [pytest.mark.anyio, pytest.mark.no_cover]
WORKERS = 8
SHARE = 0.3
READS: list[tuple[str, Json]] = [
    ("list_dashboards", {"search": "overview"}),
    ("get_dashboard", {"dashboard_id": 12}),
    ("look_up", {"kind": "agents"}),
    ("get_widgets_data", {"widget_ids": [204]}),
    ("get_widgets_data", {"widget_ids": [205], "window": "last_week"}),
    ("preview_widget", {"widget": {"chart_type": "pie", "field": "topic"}, "window": "7d"}),
]
PIE: Json = {"chart_type": "pie", "field": "topic"}


def mixed_faults() -> list[Fault]:
    """All kinds, each as likely; together they meet three requests in ten."""
    values = {"latency": "0.002", "huge": str(3 * 2**20), "compressed": str(3 * 2**20)}
    kinds: list[Any] = list(KINDS)
    shares = [SHARE / (len(kinds) - SHARE * i) for i in range(len(kinds))]
    return [Fault(kind, values.get(kind), times=None, share=share) for kind, share in zip(kinds, shares, strict=True)]


def figures(answer: Json, *, tested: bool) -> Any:
    """Every number of an answer about charts, without the names that only accompany them.

    ``tested``: and what could not be tested, which is more where a history could not be read.
    """
    reports = answer.get("widgets") or [answer["report"]]
    kept = ["window", "unit", "n", "facts", "series"]
    kept += ["not_tested"] if tested else []
    sizes = [[row[1:] for row in report.get("groups", {"top": []})["top"]] for report in reports]
    return [[report.get(name) for name in kept] for report in reports], sizes


class Worker:
    """Reads what nobody edits, and edits one dashboard of its own, checking each outcome against what is stored."""

    def __init__(self, app: FastAPI, context: ToolContext, truth: list[Any], number: int, seen: Counter[str]) -> None:
        self.store = app.state.world.store
        self.context, self.truth, self.seen = context, truth, seen
        self.random = random.Random(number)  # noqa: S311 - no secret
        self.dashboard: int = self.store.create_dashboard({"name": f"Worker {number}", "project": 1})["id"]
        self.widget: int = self.store.create_widget({**PIE, "name": "start", "dashboard": self.dashboard})["id"]
        self.count, self.number = 0, number

    async def step(self) -> None:
        self.count += 1
        kind = self.random.random()
        for share, act in (
            (0.6, self.read),
            (0.72, self.rename),
            (0.82, self.create),
            (0.9, self.copy),
            (1, self.board),
        ):
            if kind < share:
                await act()
                return

    async def read(self) -> None:
        place = self.random.randrange(len(READS))
        tool, arguments = READS[place]
        try:
            answer = await ask(self.context, tool, **arguments)
        except errors.DashboardsError:
            self.seen["error"] += 1
            return
        if "could not be read" in answer[0]:
            tested = "could not be read" not in str(answer)
            truth = figures(self.truth[place][1], tested=tested)
            assert figures(answer[1], tested=tested) == truth, "a wrong success"
            self.seen["right, names missing and told"] += 1
            return
        text, facts = self.truth[place]
        if answer[1].get("charts_unread"):
            text, facts = (
                text.replace("no chart shows", "no chart that was looked at shows"),
                facts | {"charts_unread": True},
            )
            self.seen["right, charts missing and told"] += 1
        assert answer == (text, facts), "a wrong success"
        self.seen["right"] += 1

    async def rename(self) -> None:
        before, name = self.store.widget(self.widget)["name"], f"name {self.count}"
        told = await self.outcome("update_widget", widget_id=self.widget, changes={"name": name})
        after = self.store.widget(self.widget)["name"]
        assert after in {before, name}
        assert told == "unknown" or (told == "applied") == (after == name)

    async def create(self) -> None:
        name = f"made {self.count}"
        told = await self.outcome("bulk_edit_dashboard", dashboard_id=self.dashboard, create=[{**PIE, "name": name}])
        made = [w for w in self.store.widgets(self.dashboard) if w["name"] == name]
        assert len(made) <= 1, "a create was doubled"
        assert told == "unknown" or (told == "applied") == (len(made) == 1)
        for widget in made:
            self.store.delete_widget(widget["id"])

    async def copy(self) -> None:
        """Onto a dashboard that is there for this one copy."""
        target: int = self.store.create_dashboard({"name": f"target {self.number}", "project": 1})["id"]
        told = await self.outcome("copy_widgets", widget_ids=[self.widget], dashboard_ids=[target])
        made = len(self.store.widgets(target))
        assert made <= 1, "a copy was doubled"
        assert told == "unknown" or (told == "applied") == (made == 1)
        self.store.delete_dashboard(target)

    async def board(self) -> None:
        """A dashboard of its own, created with a widget and deleted again."""
        name = f"board {self.number} {self.count}"
        told = await self.outcome("create_dashboard", name=name, project_id=1, widgets=[PIE])
        made = [row["id"] for row in self.store.dashboards() if row["name"] == name]
        assert len(made) <= 1, "a dashboard was doubled"
        held = len(self.store.widgets(made[0])) if made else 0
        assert held <= 1, "a widget was doubled"
        if told == "applied":
            assert (len(made), held) == (1, 1)
        elif told == "partly_applied":
            assert made
        elif told == "not applied":
            assert not made
        for number in made:
            await self.delete(number)

    async def delete(self, number: int) -> None:
        try:
            _, stopped = await ask(self.context, "delete_dashboard", dashboard_id=number)
        except errors.DashboardsError:
            self.seen["error"] += 1
            self.store.delete_dashboard(number)
            return
        told = await self.outcome("delete_dashboard", dashboard_id=number, plan_id=stopped["plan_id"])
        there = any(row["id"] == number for row in self.store.dashboards())
        assert told == "unknown" or (told == "applied") == (not there)
        if there:
            self.store.delete_dashboard(number)

    async def outcome(self, tool: str, **arguments: Any) -> str:
        try:
            _, receipt = await ask(self.context, tool, **arguments)
            told = str(receipt["outcome"])
            assert "differences" not in receipt
        except errors.EditFailed as error:
            found = set(error.outcomes.values())
            told = found.pop() if len(found) == 1 else "unknown"
        except errors.DashboardsError:
            told = "not applied"
        self.seen[f"write {told}"] += 1
        return told


async def test_mixed_faults_lead_to_no_wrong_success_and_no_doubled_or_lost_write() -> None:
    app, seen = new_sandbox(count=500), Counter[str]()
    async with served(app) as url:
        transport = HttpTransport(url, max_body_bytes=2**20)
        client = CekuraClient(transport=transport, key=SecretStr(KEY), now=now, sleep=no_wait)
        context = ToolContext(client, settings(), now)
        truth = [await ask(context, tool, **arguments) for tool, arguments in READS]
        workers = [Worker(app, context, truth, number, seen) for number in range(WORKERS)]
        app.state.faults.add(*mixed_faults())
        quarter = some(600) // 4 // WORKERS
        sizes = list[int]()
        tracemalloc.start()
        for _ in range(4):
            async with anyio.create_task_group() as group:
                for worker in workers:
                    group.start_soon(steps, worker, quarter)
            app.state.faults.log.clear()
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        await transport.aclose()
    assert sum(worker.count for worker in workers) == quarter * 4 * WORKERS
    assert seen["right"] > seen["error"] > 0
    assert seen["write applied"] > 0
    assert sizes[3] - sizes[1] < 2 * 2**20, f"memory grows: {sizes}"
    print(dict(seen), sizes)  # noqa: T201 - shown with -s


async def steps(worker: Worker, count: int) -> None:
    for _ in range(count):
        await worker.step()
