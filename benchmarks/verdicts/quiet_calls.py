"""Whole answers about calls without changes: how often a tool reports one."""

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import anyio
from fastapi import FastAPI
from pydantic import SecretStr

from benchmarks.verdicts.rows import VerdictShares
from cekura_dashboards import TOOLS, Settings, ToolContext, call_tool
from cekura_dashboards.api.client import CekuraClient
from cekura_dashboards.api.transport import HttpTransport
from cekura_dashboards.pipeline import Answer
from cekura_sandbox import create_app

NOW = datetime(2026, 11, 18, 15, 30, tzinfo=UTC)
KEY = "sandbox"
Json = dict[str, Any]
TOOL = {tool.name: tool for tool in TOOLS}
COUNT: Json = {"chart_type": "bar", "field": "agent_id", "aggregation_function": "count", "time_period": "day"}
WINDOWS = ("this week", "2026-11-16", "2026-11-14", "6h", "24h", "yesterday", "14d")


@dataclass(frozen=True)
class Case:
    """What is asked of a tool in each world of so many calls, and the largest shares of false verdicts."""

    name: str
    tool: str
    calls: int
    arguments: tuple[Json, ...]
    verdicts: Callable[[Json], Iterable[str]]
    clear: float
    possible: float


def _changes(answer: Json) -> Iterable[str]:
    return ("possible" if row.get("possible_among") else row["verdict"] for row in answer["changes"])


def _first_group(answer: Json) -> Iterable[str]:
    return (row["verdict"] for row in answer["report"]["group_changes"]["top"][:1])


def _profile(answer: Json) -> Iterable[str]:
    return [answer["report"]["profile"]["verdict"]]


CHANGES = Case("changes of a week", "find_changes", 4000, ({"window": "7d"},), _changes, 0.02, 0.05)
RHYTHM = Case("changes of days, hours and a fortnight", "find_changes", 20_000,
              tuple({"window": window} for window in WINDOWS), _changes, 0.02, 0.05)  # fmt: skip
GROUPS = Case("groups over time", "preview_widget", 9000, tuple(
    {"widget": {**COUNT, "group_by": group_by}, "dashboard_id": 11, "window": window}
    for group_by in ("agent", "topic") for window in ("7d", "14d")
), _first_group, 0.02, 0.08)  # fmt: skip
PROFILES = Case("success by hour and weekday", "preview_widget", 6000, tuple(
    {"widget": {"chart_type": "pie", "field": "success"}, "dashboard_id": 11, "window": "28d", "profile": profile}
    for profile in ("hour_of_day", "weekday", "hour_of_week")
), _profile, 0.03, 0.08)  # fmt: skip

CASES = CHANGES, RHYTHM, GROUPS, PROFILES


def quiet_worlds(seeds: Iterable[int], calls: int, key: str = KEY) -> Generator[FastAPI]:
    """Worlds without changes, one after another in one application, because creating many takes long."""
    app = create_app(now=lambda: NOW, count=calls, key=key, quiet=True)
    world = app.state.world
    for seed in seeds:
        world._seed = seed  # noqa: SLF001 - the calls are generated when they are first asked for
        yield app
        world.close()


def quiet_answers(case: Case, seeds: Iterable[int]) -> VerdictShares:
    verdicts = ({*case.verdicts(anyio.run(ask, case.tool, app, arguments).structured)}
                for app in quiet_worlds(seeds, case.calls) for arguments in case.arguments)  # fmt: skip
    return VerdictShares.of(case.name, verdicts, (case.clear, case.possible))


async def ask(tool: str, app: FastAPI, arguments: Json) -> Answer:
    """One answer about a sandbox."""
    transport = HttpTransport("http://localhost", app=app)
    client = CekuraClient(transport=transport, key=SecretStr(KEY), now=lambda: NOW)
    try:
        return await call_tool(ToolContext(client, Settings(), lambda: NOW), TOOL[tool], arguments)
    finally:
        await transport.aclose()
