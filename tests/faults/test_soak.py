"""Many calls under mixed faults: every answer is correct or an error, every write is reported correctly."""

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
from support import KEY, Json, ask, new_sandbox, no_wait, now, scaled_examples, served, settings

pytestmark = [pytest.mark.anyio, pytest.mark.no_cover]
WORKERS = 8
FAULT_RATE = 0.3
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
    """All kinds, equally likely; together they hit three requests in ten."""
    values = {"latency": "0.002", "huge": str(3 * 2**20), "compressed": str(3 * 2**20)}
    kinds: list[Any] = list(KINDS)
    shares = [FAULT_RATE / (len(kinds) - FAULT_RATE * i) for i in range(len(kinds))]
    return [Fault(kind, values.get(kind), times=None, share=share) for kind, share in zip(kinds, shares, strict=True)]


def figures(answer: Json, *, tested: bool) -> Any:
    """Every number of an answer about charts, without names.

    ``tested``: and what could not be tested, which is more where a history could not be read.
    """
    reports = answer.get("widgets") or [answer["report"]]
    names = ["window", "unit", "n", "facts", "series"]
    names += ["not_tested"] if tested else []
    sizes = [[row[1:] for row in report.get("groups", {"top": []})["top"]] for report in reports]
    return [[report.get(name) for name in names] for report in reports], sizes


class Worker:
    """Reads shared dashboards and edits its own one, and checks each outcome against what is stored."""

    def __init__(
        self, app: FastAPI, context: ToolContext, expected: list[Any], number: int, counts: Counter[str]
    ) -> None:
        self.store = app.state.world.store
        self.context, self.expected, self.counts = context, expected, counts
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
            self.counts["error"] += 1
            return
        if "could not be read" in answer[0]:
            tested = "could not be read" not in str(answer)
            expected = figures(self.expected[place][1], tested=tested)
            assert figures(answer[1], tested=tested) == expected, "a wrong answer"
            self.counts["right, names missing and told"] += 1
            return
        text, facts = self.expected[place]
        if answer[1].get("charts_unread"):
            text, facts = (
                text.replace("no chart shows", "none of the charts checked shows"),
                facts | {"charts_unread": True},
            )
            self.counts["right, charts missing and told"] += 1
        assert answer == (text, facts), "a wrong answer"
        self.counts["right"] += 1

    async def rename(self) -> None:
        before, name = self.store.widget(self.widget)["name"], f"name {self.count}"
        outcome = await self.outcome("update_widget", widget_id=self.widget, changes={"name": name})
        after = self.store.widget(self.widget)["name"]
        assert after in {before, name}
        assert outcome == "unknown" or (outcome == "applied") == (after == name)

    async def create(self) -> None:
        name = f"made {self.count}"
        outcome = await self.outcome("bulk_edit_dashboard", dashboard_id=self.dashboard, create=[{**PIE, "name": name}])
        created = [w for w in self.store.widgets(self.dashboard) if w["name"] == name]
        assert len(created) <= 1, "a widget was created twice"
        assert outcome == "unknown" or (outcome == "applied") == (len(created) == 1)
        for widget in created:
            self.store.delete_widget(widget["id"])

    async def copy(self) -> None:
        """Copy to a dashboard that is created for this copy."""
        target: int = self.store.create_dashboard({"name": f"target {self.number}", "project": 1})["id"]
        outcome = await self.outcome("copy_widgets", widget_ids=[self.widget], dashboard_ids=[target])
        copies = len(self.store.widgets(target))
        assert copies <= 1, "a widget was copied twice"
        assert outcome == "unknown" or (outcome == "applied") == (copies == 1)
        self.store.delete_dashboard(target)

    async def board(self) -> None:
        """Create a dashboard with a widget, and delete it."""
        name = f"board {self.number} {self.count}"
        outcome = await self.outcome("create_dashboard", name=name, project_id=1, widgets=[PIE])
        created = [row["id"] for row in self.store.dashboards() if row["name"] == name]
        assert len(created) <= 1, "a dashboard was created twice"
        widgets = len(self.store.widgets(created[0])) if created else 0
        assert widgets <= 1, "its widget was created twice"
        if outcome == "applied":
            assert (len(created), widgets) == (1, 1)
        elif outcome == "partly_applied":
            assert created
        elif outcome == "not applied":
            assert not created
        for number in created:
            await self.delete(number)

    async def delete(self, number: int) -> None:
        try:
            _, plan = await ask(self.context, "delete_dashboard", dashboard_id=number)
        except errors.DashboardsError:
            self.counts["error"] += 1
            self.store.delete_dashboard(number)
            return
        outcome = await self.outcome("delete_dashboard", dashboard_id=number, plan_id=plan["plan_id"])
        exists = any(row["id"] == number for row in self.store.dashboards())
        assert outcome == "unknown" or (outcome == "applied") == (not exists)
        if exists:
            self.store.delete_dashboard(number)

    async def outcome(self, tool: str, **arguments: Any) -> str:
        try:
            _, receipt = await ask(self.context, tool, **arguments)
            outcome = str(receipt["outcome"])
            assert "differences" not in receipt
        except errors.EditFailed as error:
            results = set(error.outcomes.values())
            outcome = results.pop() if len(results) == 1 else "unknown"
        except errors.DashboardsError:
            outcome = "not applied"
        self.counts[f"write {outcome}"] += 1
        return outcome


async def test_mixed_faults_cause_no_wrong_answer_and_no_duplicate_write() -> None:
    app, counts = new_sandbox(count=500), Counter[str]()
    async with served(app) as url:
        transport = HttpTransport(url, max_body_bytes=2**20)
        client = CekuraClient(transport=transport, key=SecretStr(KEY), now=now, sleep=no_wait)
        context = ToolContext(client, settings(), now)
        expected = [await ask(context, tool, **arguments) for tool, arguments in READS]
        workers = [Worker(app, context, expected, number, counts) for number in range(WORKERS)]
        app.state.faults.add(*mixed_faults())
        quarter = scaled_examples(600) // 4 // WORKERS
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
    assert counts["right"] > counts["error"] > 0
    assert counts["write applied"] > 0
    assert sizes[3] - sizes[1] < 2 * 2**20, f"memory grows: {sizes}"
    print(dict(counts), sizes)  # noqa: T201 - shown with -s


async def steps(worker: Worker, count: int) -> None:
    for _ in range(count):
        await worker.step()
