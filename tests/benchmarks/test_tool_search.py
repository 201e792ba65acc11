"""Whether a search by words finds the tool that answers a question."""

from benchmarks.tool_search import by_words, described_tools, score
from benchmarks.tool_search import questions as asked_questions
from benchmarks.tool_search.others import OTHER_TOOLS

from cekura_dashboards import TOOLS

QUESTIONS = [(question, tool) for tool, asked in asked_questions.QUESTIONS.items() for question in asked]


def test_the_questions_are_spread_evenly_over_the_tools() -> None:
    sizes = {tool: len(asked) for tool, asked in asked_questions.QUESTIONS.items()}
    assert {*sizes} == {tool.name for tool in TOOLS}
    assert len({question for question, _ in QUESTIONS}) == sum(sizes.values())
    assert {*sizes.values()} == {12, 13}
    assert not {*sizes} & {*OTHER_TOOLS}


def test_bm25_finds_the_tool_first_or_among_five() -> None:
    found = score(by_words(described_tools()), QUESTIONS)
    assert found.first >= 60
    assert found.among >= 90


def test_descriptions_are_sketches() -> None:
    lengths = {tool.name: len(tool.description) for tool in TOOLS}
    alerts = lengths.pop("preview_alert") + lengths.pop("save_alert")
    assert sum(lengths.values()) < 2093, "half of the 4,187 characters of version 0.2.0"
    assert alerts < 350
