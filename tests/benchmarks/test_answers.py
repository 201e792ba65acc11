"""Changes planted in calls are found in the answers by a reader that knows only their format."""

from dataclasses import replace
from functools import cache

import anyio
import pytest
from benchmarks.answers.questions import KINDS, YES_OR_NO
from benchmarks.answers.readers import OfRows, OfSummary
from benchmarks.answers.scores import (
    Case,
    answers,
    balanced,
    by_kind,
    cases_of,
    drawn_charts,
    false_claims,
    share_right,
)

pytestmark = pytest.mark.no_cover
SEEDS = 1


@cache
def cases() -> list[Case]:
    """The cases, created inside a test, because code before a test is traced for coverage."""
    return anyio.run(cases_of, SEEDS)


def test_summaries_are_interpreted_correctly_with_few_false_claims() -> None:
    judged = answers(cases(), OfSummary)
    assert share_right(judged) >= 0.97
    kinds = by_kind(judged)
    shares = {kind: share_right(answered) for kind, answered in kinds.items()}
    assert shares.keys() == set(KINDS)
    assert min(shares.values()) >= 0.85, shares
    both = {kind: balanced(kinds[kind]) or 0 for kind in YES_OR_NO}
    assert min(both.values()) >= 0.75, both  # most answers are no: a method that never answers yes scores 0.5
    wrong, null = false_claims(judged)
    assert wrong / null <= 0.03


def _not_in_rows(case: Case) -> set[str]:
    """The figures that rows cannot give: a percentile of all calls does not follow from those of days."""
    return {"overall"} if case.chart == "p95" else set()


def test_a_reader_of_all_rows_confirms_the_figures() -> None:
    """Two independent ways to the same figures: an error would have to occur in both."""
    figures = {"overall", "calls", "extreme", "one bucket or label"}
    exact = [
        replace(case, asked=[question for question in case.asked if question.kind in figures - _not_in_rows(case)])
        for case in cases()
        if case.plant != "long-tailed pie"
    ]
    judged = answers(exact, lambda handed: OfRows(handed, handed.this, handed.that))
    assert {one.question.kind for one in judged} == figures
    assert [one for one in judged if not one.right] == []


def test_benchmark_cases_are_reproducible() -> None:
    again = [(chart.plant, chart.seed, chart.name, chart.asked) for chart in drawn_charts(SEEDS)]
    assert again == [(case.plant, case.seed, case.chart, case.asked) for case in cases()]
