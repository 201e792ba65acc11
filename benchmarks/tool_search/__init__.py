"""Whether clients that look tools up by words find the right one: by BM25 and by an embedding model.

Clients with many tools show a model none of them, and search names and descriptions for its query.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from benchmarks.tool_search.encoder import Encoder
from benchmarks.tool_search.others import OTHER_TOOLS
from cekura_dashboards import TOOLS

Rank = Callable[[str], Sequence[str]]
"""Maps a question to the names of tools, best first."""
AMONG = 5


def described_tools() -> dict[str, str]:
    """Name and description of each tool, ours and those of other servers."""
    return {tool.name: tool.description for tool in TOOLS} | OTHER_TOOLS


def text_of(name: str, description: str) -> str:
    return f"{name.replace('_', ' ')}: {description}"


def by_words(tools: Mapping[str, str]) -> Rank:
    """BM25 with the library's defaults: Lucene's form, English stop words, no stemming."""
    library: Any = import_module("bm25s")

    def words(text: str) -> list[str]:
        [found] = library.tokenize([text], return_ids=False, show_progress=False)
        return [str(word) for word in found]

    index = library.BM25()
    index.index([words(text_of(name, tools[name])) for name in tools], show_progress=False)
    names = [*tools]

    def rank(question: str) -> Sequence[str]:
        scores = index.get_scores(words(question))
        return [names[place] for place in sorted(range(len(names)), key=lambda place: -scores[place])]

    return rank


def by_meaning(tools: Mapping[str, str]) -> Rank:
    """The embedding model: the nearest description first."""
    encoder = Encoder()
    vectors = {name: encoder.encode(text_of(name, description)) for name, description in tools.items()}

    def rank(question: str) -> Sequence[str]:
        asked = encoder.encode(question)
        return sorted(vectors, key=lambda name: -float(vectors[name] @ asked))

    return rank


@dataclass(frozen=True)
class Score:
    """Percent of questions whose tool is the first, or among the first five."""

    first: float
    among: float


def score(rank: Rank, questions: Sequence[tuple[str, str]]) -> Score:
    """Of pairs of a question and the name of its tool."""
    places = [[*rank(question)].index(tool) for question, tool in questions]
    return Score(
        100 * sum(place == 0 for place in places) / len(places),
        100 * sum(place < AMONG for place in places) / len(places),
    )


def asked(by_tool: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """Each question with its tool."""
    return [(question, tool) for tool, questions in by_tool.items() for question in questions]
