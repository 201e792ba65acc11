"""Print how often a tool is found, and write it into ``benchmarks/README.md``; ``--misses`` shows what is not."""

from datetime import UTC, datetime

import click

from benchmarks import figures
from benchmarks.tool_search import AMONG, asked, by_meaning, by_words, described_tools, score
from benchmarks.tool_search.others import OTHER_TOOLS
from benchmarks.tool_search.questions import HELD_OUT, WRITTEN_WITH

SETS = {"those that the descriptions were written with": asked(WRITTEN_WITH), "held out": asked(HELD_OUT)}


@click.command()
@click.option("--misses", is_flag=True, help="Show which questions of the first set do not find their tool.")
@click.option("--write/--no-write", default=True, show_default=True, help="Write the table into the README.")
def main(*, misses: bool, write: bool) -> None:
    """Rank our tools and those of other servers for all questions."""
    tools = described_tools()
    ranks = {"BM25": by_words(tools), "all-MiniLM-L6-v2": by_meaning(tools)}
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}. {len(tools) - len(OTHER_TOOLS)} tools among {len(tools)}. Nothing is random.",
        "",
        *figures.header("questions", "", *(cell for name in ranks for cell in (f"{name}: first", f"among {AMONG}"))),
    ]
    for name, questions in SETS.items():
        scores = [score(rank, questions) for rank in ranks.values()]
        cells = " | ".join(f"{item.first:.0f} % | {item.among:.0f} %" for item in scores)
        lines.append(f"| {name} | {len(questions)} | {cells} |")
    click.echo("\n".join(lines))
    if write:
        figures.write("tool search", "\n".join(lines))
    for question, tool in asked(WRITTEN_WITH) if misses else []:
        for name, rank in ranks.items():
            first, *rest = rank(question)
            if first != tool:
                click.echo(f"{name}: {question!r} is for {tool}, at {rest.index(tool) + 2}; first {first}")


if __name__ == "__main__":
    main()
