"""Worlds with a known cause: whether ``explain_change`` names exactly the groups whose calls changed."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import anyio

from benchmarks.verdicts.quiet_calls import Json, ask, quiet_worlds

Shape = Literal[
    "one agent", "two agents", "one topic", "one region", "a topic of an agent", "more calls of an agent", "all", "none"
]  # fmt: skip
SHAPES: tuple[Shape, ...] = get_args(Shape)
CALLS = 12_000
"""About 2,000 a week of the project that is asked about."""
FIELDS = ["agent.id", "topic", "metadata.region"]
AGENTS = (31, 32, 33, 34)
TOPICS = ("appointment", "billing question", "prescription refill", "test results")
REGIONS = ("north", "south", "coast")
WORLDS = 17
"""Of each shape, 136 in all, as each takes a second."""
EXACT, FIRST = 0.55, 0.60
"""The least F1 of all that is named, and of the first answer alone."""
Cause = frozenset[tuple[str, str]]
"""Fields, each with the group that changed, or with ``MIX``."""
MIX, TOGETHER = "mix", "all shapes"


@dataclass(frozen=True)
class Label:
    """``sql``: what makes the cause. ``parts``: a first answer that names one of them is right too."""

    cause: Cause
    sql: tuple[str, ...]
    parts: tuple[Cause, ...] = ()


class Labelled(NamedTuple):
    """How many worlds of a shape have a cause, name any, name exactly it, and name it first."""

    shape: str
    worlds: int
    causes: int
    named: int
    exact: int
    named_first: int
    first: int

    @property
    def f1(self) -> tuple[float, float]:
        """Of all that is named, and of the first answer alone."""
        pairs = (self.exact, self.named), (self.first, self.named_first)
        exact, first = (2 * right / max(1, named + self.causes) for right, named in pairs)
        return exact, first

    @property
    def holds(self) -> bool:
        if not self.causes:
            return self.named <= 0.05 * self.worlds + 1
        return self.shape != TOGETHER or (self.f1[0] >= EXACT and self.f1[1] >= FIRST)

    def __str__(self) -> str:
        f1 = " | ".join(f"{value:.2f}" if self.causes else "" for value in self.f1)
        return f"| {self.shape} | {self.worlds} | {self.named} | {self.exact} | {self.first} | {f1} |"


FALL = "UPDATE calls SET success = success AND u(id, 'fall') >= {share} WHERE ts >= '2026-11-11 15:30' AND {calls}"
WORSE = "UPDATE calls SET success = success AND u(id, 'worse') >= 0.6 WHERE agent_id = {agent}"
FEWER = (
    "DELETE FROM calls WHERE ts >= TIMESTAMP '2026-11-11 15:30' AND agent_id <> {agent} AND u(id, 'fewer') < {share}"
)


def _agent(number: int) -> tuple[str, str]:
    return "agent.id", f"({number})"


def label_of(shape: Shape, seed: int) -> Label:
    """The cause of one world, drawn from its seed: how much changes, and of which calls."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    first, second = chance.sample(AGENTS, 2)
    topic, region = chance.choice(TOPICS), chance.choice(REGIONS)
    size = chance.uniform(0.05, 0.2)
    match shape:
        case "one agent":
            return Label(frozenset({_agent(first)}), (FALL.format(share=size, calls=f"agent_id = {first}"),))
        case "two agents":
            both = frozenset({_agent(first), _agent(second)})
            return Label(both, (FALL.format(share=size, calls=f"agent_id IN ({first}, {second})"),))
        case "one topic":
            return Label(frozenset({("topic", topic)}), (FALL.format(share=size, calls=f"topic = '{topic}'"),))
        case "one region":
            where = f"json_extract_string(metadata::JSON, '$.region') = '{region}'"
            return Label(frozenset({("metadata.region", region)}), (FALL.format(share=size, calls=where),))
        case "a topic of an agent":
            parts = _agent(first), ("topic", topic)
            sql = FALL.format(share=min(0.9, 3 * size), calls=f"agent_id = {first} AND topic = '{topic}'")
            return Label(frozenset(parts), (sql,), tuple(frozenset({part}) for part in parts))
        case "more calls of an agent":
            fewer = FEWER.format(agent=first, share=3 * size)
            return Label(frozenset({("agent.id", MIX)}), (WORSE.format(agent=first), fewer))
        case "all":
            return Label(frozenset(), (FALL.format(share=size / 2, calls="true"),))
        case "none":
            return Label(frozenset(), ())


def causes_named(answer: Json) -> Iterator[Cause]:
    """The groups that the first dimension names; and these with the ones inside them, if any."""
    first = answer["dimensions"][0]
    outer = _groups(first)
    yield outer
    drill_down: Json = answer.get("drill_down") or {}
    inside: list[Json] = drill_down.get("dimensions", [])
    yield outer | (_groups(inside[0]) if inside else frozenset())


def _groups(dimension: Json) -> Cause:
    if dimension["verdict"] not in {"clear", "possible"}:
        return frozenset()
    if dimension.get("mix_shift"):
        return frozenset({(dimension["by"], MIX)})
    groups: list[str] = dimension.get("groups") or []
    return frozenset((dimension["by"], name[name.rfind("(") :] if name.endswith(")") else name) for name in groups)


def labelled_row(shape: Shape, seeds: Iterable[int]) -> Labelled:
    drawn = [*seeds]
    named = exact = named_first = first = causes = 0
    for seed, app in zip(drawn, quiet_worlds(drawn, CALLS), strict=True):
        label = label_of(shape, seed)
        for sql in label.sql:
            app.state.world.con.execute(sql)
        answer = anyio.run(ask, "explain_change", app, {"widget_id": 203, "window": "7d", "by": FIELDS}).structured
        outer, whole = causes_named(answer)
        causes += bool(label.cause)
        named, named_first = named + bool(whole), named_first + bool(outer)
        exact += bool(whole) and whole == label.cause
        first += bool(outer) and outer in (label.cause, *label.parts)
    return Labelled(shape, len(drawn), causes, named, exact, named_first, first)


def with_all(rows: Iterable[Labelled]) -> Iterator[Labelled]:
    """The rows, and all shapes as one."""
    shapes = list[Labelled]()
    for row in rows:
        shapes.append(row)
        yield row
    yield Labelled(TOGETHER, *(sum(counts) for counts in list(zip(*shapes, strict=True))[1:]))
