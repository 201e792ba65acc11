"""Word search finds the tool that answers a question."""

from benchmarks.tool_search import asked, by_words, described_tools, score
from benchmarks.tool_search.others import OTHER_TOOLS
from benchmarks.tool_search.questions import HELD_OUT, WRITTEN_WITH

from cekura_dashboards import TOOLS


def test_questions_are_distributed_evenly_over_tools() -> None:
    for questions, sizes in ((WRITTEN_WITH, {12, 13}), (HELD_OUT, {7, 8, 9})):
        assert {*questions} == {tool.name for tool in TOOLS}
        assert {len(of_tool) for of_tool in questions.values()} == sizes
    every = [question for question, _ in (*asked(WRITTEN_WITH), *asked(HELD_OUT))]
    assert len(every) == len({*every}) >= 200
    assert not {*WRITTEN_WITH} & {*OTHER_TOOLS}


def test_bm25_ranks_the_right_tool_in_the_top_five() -> None:
    rank = by_words(described_tools())
    for questions in (WRITTEN_WITH, HELD_OUT):
        figures = score(rank, asked(questions))
        assert figures.first >= 60
        assert figures.among >= 90


def test_tool_descriptions_stay_shorter_than_in_version_0_2_0() -> None:
    alerts = ("preview_alert", "save_alert")
    assert sum(len(tool.description) for tool in TOOLS if tool.name not in alerts) < 4187, "characters of version 0.2.0"
