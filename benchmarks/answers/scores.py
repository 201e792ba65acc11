"""Every effect, seed, chart and question, for each way to present a chart: how often the reader is right."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from benchmarks.answers.asked import Handed, hand_over
from benchmarks.answers.charts import CHARTS, Json, Rows
from benchmarks.answers.plants import PLANTS, Planted, planted
from benchmarks.answers.questions import NO, YES_OR_NO, Answer, Question, questions
from benchmarks.answers.readers import OfRows, OfSummary, Reader

RAW_TOKENS = 21_000
Count = Callable[[str], int]


@dataclass(frozen=True)
class Way:
    """A way of handing over a chart: what the reader makes of it, and the texts that a model would be given."""

    name: str
    reader: Callable[[Handed], Reader]
    texts: Callable[[Handed], list[str]]


@dataclass(frozen=True)
class Case:
    """One chart of one plant, with what is asked about it."""

    plant: str
    seed: int
    chart: str
    handed: Handed
    asked: list[Question]


@dataclass(frozen=True)
class Said:
    """One answer of one reader."""

    case: Case
    question: Question
    answer: Answer | None

    @property
    def right(self) -> bool:
        return self.question.is_right(self.answer)


class PlantedChart(NamedTuple):
    """One chart of one plant before it is handed over: its calls, and what is asked about them."""

    plant: str
    seed: int
    name: str
    calls: Planted
    asked: list[Question]


def drawn_charts(seeds: int) -> Iterator[PlantedChart]:
    """Every plant, seed and chart; the same every time."""
    for place, plant in enumerate(PLANTS):
        for seed in range(seeds):
            rng = np.random.default_rng([seed, place])
            for calls in planted(plant, seed):
                for name in calls.charts:
                    yield PlantedChart(plant, seed, name, calls, questions(calls, CHARTS[name], rng))


async def cases_of(seeds: int) -> list[Case]:
    """Every plant, seed and chart, handed over."""
    return [
        Case(plant, seed, name, await hand_over(calls, CHARTS[name]), asked)
        for plant, seed, name, calls, asked in drawn_charts(seeds)
    ]


def answers(cases: list[Case], reader: Callable[[Handed], Reader]) -> list[Said]:
    found = list[Said]()
    for case in cases:
        reads = reader(case.handed)
        found += [Said(case, question, reads.answer(question)) for question in case.asked]
    return found


def share_right(said: list[Said]) -> float:
    return sum(one.right for one in said) / len(said)


def balanced(said: list[Said]) -> float | None:
    """The mean of how often a yes is answered with a yes, and a no with a no; None where only one of them occurs."""
    yes = [one.answer not in {NO, None} for one in said if one.question.truth != NO]
    no = [one.answer in {NO, None} for one in said if one.question.truth == NO]
    return (sum(yes) / len(yes) + sum(no) / len(no)) / 2 if yes and no else None


def false_claims(said: list[Said]) -> tuple[int, int]:
    """How many questions with the answer no got another answer."""
    null = [one for one in said if one.question.kind in YES_OR_NO and one.question.truth == NO]
    return sum(one.answer not in {NO, None} for one in null), len(null)


def by_kind(said: list[Said]) -> dict[str, list[Said]]:
    found = defaultdict[str, list[Said]](list)
    for one in said:
        found[one.question.kind].append(one)
    return found


def _cut(rows: Rows | Json, count: Count) -> tuple[Rows | Json, str]:
    """The rows that fit in the tokens, and their text."""
    if isinstance(rows, dict):
        return rows, json.dumps(rows)
    kept = len(rows)
    while (tokens := count(text := json.dumps(rows[:kept]))) > RAW_TOKENS:
        kept = min(kept - 1, int(kept * RAW_TOKENS / tokens))
    return rows[:kept], text


def _sides(handed: Handed) -> Iterator[Rows | Json]:
    yield handed.this
    if handed.that:
        yield handed.that


def ways(count: Count) -> list[Way]:
    def raw(handed: Handed) -> Reader:
        return OfRows(handed, _cut(handed.this, count)[0], _cut(handed.that, count)[0])

    return [
        Way("summary", OfSummary, lambda handed: list(handed.texts)),
        Way(f"raw rows, cut at {RAW_TOKENS:,} tokens", raw, lambda h: [_cut(rows, count)[1] for rows in _sides(h)]),
    ]
