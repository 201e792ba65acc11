"""Steps with known edits: how often the edit is named, and whether edits at other times are."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

import anyio
from fastapi import FastAPI

from benchmarks.verdicts.quiet_calls import NOW, Json, ask, quiet_worlds
from cekura_sandbox.edits import Edit, Edits, Kind

NAMED = 0.95
"""The least share of steps whose edit is named; edits elsewhere, and where nothing moved, are never listed."""
CALLS = 12_000
NEAR, FAR = timedelta(hours=6), timedelta(days=5)
"""How long before a step its edit is made at most, and how far from it the others are at least."""
METRIC: Json = {
    "chart_type": "bar", "field": "metric_evaluations.value", "metric": 503, "aggregation_function": "avg",
    "time_period": "day",
}  # fmt: skip
What = Literal["an agent", "the rubric", "a metric"]


@dataclass(frozen=True)
class Case:
    """What is edited, the tool that is asked, and the SQL of the step from a time on; None: nothing moves."""

    what: What
    tool: str
    arguments: tuple[tuple[str, Any], ...]
    kind: Kind
    number: int
    step: str | None

    @property
    def name(self) -> str:
        return f"{self.tool}, {self.what} edited, {'a step' if self.step else 'nothing moved'}"


class EditsNamed(NamedTuple):
    """The share of steps whose edit is named, and how many edits elsewhere, or without a step, are listed."""

    case: Case
    named: float
    elsewhere: int

    @property
    def holds(self) -> bool:
        return not self.elsewhere and (self.case.step is None or self.named >= NAMED)

    def __str__(self) -> str:
        named = f"{self.named:.0%}" if self.case.step else ""
        return f"| {self.case.name} | {named} | {self.elsewhere} |"


SUCCESS = "UPDATE calls SET success = success AND u(id, 'fall') >= 0.{share} WHERE ts >= TIMESTAMP '{{time}}'"
OF_AGENT = f"{SUCCESS.format(share=35)} AND agent_id = 33"
OF_ALL = SUCCESS.format(share=15)
OF_METRIC = (
    "UPDATE evaluations SET number = 0 WHERE metric_id = 503 AND u(call_id, 'fall') < 0.3 "
    "AND call_id IN (SELECT id FROM calls WHERE ts >= TIMESTAMP '{time}')"
)
EXPLAINED: dict[What, tuple[tuple[str, Any], ...]] = {
    "an agent": (("widget_id", 203), ("window", "7d")),
    "the rubric": (("widget_id", 203), ("window", "7d")),
    "a metric": (("widget", METRIC), ("dashboard_id", 11), ("window", "7d")),
}


def cases() -> Iterator[Case]:
    planted: list[tuple[What, Kind, int, str]] = [
        ("an agent", "aiagent", 33, OF_AGENT),
        ("the rubric", "metric", 521, OF_ALL),
        ("a metric", "metric", 503, OF_METRIC),
    ]
    for what, kind, number, step in planted:
        for sql in (step, None):
            yield Case(what, "explain_change", EXPLAINED[what], kind, number, sql)
    for sql in (OF_AGENT, None):
        yield Case("an agent", "find_changes", (("dashboard_ids", [12]), ("window", "7d")), "aiagent", 33, sql)


class _Plan(NamedTuple):
    """When the level changes, and the edits of that and of other times."""

    step: datetime
    near: Edit
    far: tuple[Edit, Edit]


def _plan(case: Case, seed: int) -> _Plan:
    chance = random.Random(seed)  # noqa: S311 - no secret
    step = NOW - timedelta(days=chance.uniform(3.5, 6.5))
    field = "description" if case.kind == "aiagent" else "prompt"

    def edit(at: datetime, text: str) -> Edit:
        return Edit(at, case.kind, case.number, {field: text})

    others = [step - FAR - timedelta(days=chance.uniform(*days)) for days in ((0, 2), (3, 15))]
    near = edit(step - NEAR * chance.random(), "As of the step.")
    return _Plan(step, near, (edit(others[0], "Once."), edit(others[1], "Before.")))


def edits_row(case: Case, seeds: Iterable[int], calls: int = CALLS) -> EditsNamed:
    """Half of the worlds with an edit at the step, all of them with two edits elsewhere."""
    named, elsewhere, with_edit = 0, 0, 0
    drawn = [*seeds]
    for place, (seed, app) in enumerate(zip(drawn, quiet_worlds(drawn, calls), strict=True)):
        plan, world = _plan(case, seed), app.state.world
        world.edits = Edits(NOW, quiet=True)
        world.edits.plant(*plan.far, *([plan.near] if place % 2 == 0 or not case.step else []))
        if case.step:
            world.con.execute(case.step.format(time=plan.step.replace(tzinfo=None).isoformat(" ")))
        listed = set(_edits_listed(case, app))
        near, far = _stamp(plan.near.at), {_stamp(edit.at) for edit in plan.far}
        elsewhere += len(listed & far) + (near in listed if not case.step else 0)
        if case.step and place % 2 == 0:
            with_edit += 1
            named += near in listed
    return EditsNamed(case, named / with_edit if with_edit else 1.0, elsewhere)


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%MZ")


def _edits_listed(case: Case, app: FastAPI) -> list[str]:
    """The times of all edits of what was edited that an answer lists."""
    answer = anyio.run(ask, case.tool, app, dict(case.arguments)).structured
    rows: list[Json] = answer["changes"] if case.tool == "find_changes" else [answer]
    thing = f"{'agent' if case.kind == 'aiagent' else case.kind} {case.number}"
    return [
        edit["at"] for row in rows for edit in row.get("edits", {}).get("edits", []) if edit["object"].startswith(thing)
    ]
