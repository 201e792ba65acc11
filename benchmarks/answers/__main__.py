"""Ask, score, print the tables, and write them into ``benchmarks/README.md``."""

from datetime import UTC, datetime
from statistics import fmean

import anyio
import click

from benchmarks import figures
from benchmarks.answers.plants import PLANTS
from benchmarks.answers.questions import KINDS, YES_OR_NO
from benchmarks.answers.scores import (
    Case,
    Said,
    Way,
    answers,
    balanced,
    by_kind,
    cases_of,
    false_claims,
    share_right,
    ways,
)
from benchmarks.sizes import tokens

SEEDS, MORE_SEEDS = 10, 40


def table(cases: list[Case], found: dict[str, list[Said]], handed: list[Way]) -> list[str]:
    """A row for each kind of question, a column for each way to present a chart; in brackets the balanced accuracy."""
    rows = figures.header("", "asked", *found)
    sorted_out = {name: by_kind(said) for name, said in found.items()}
    for kind in KINDS:
        cells = [_cell(answers[kind]) for answers in sorted_out.values()]
        rows.append(f"| {kind} | {len(next(iter(sorted_out.values()))[kind])} | {' | '.join(cells)} |")
    whole = [f"{100 * share_right(said):.1f} %" for said in found.values()]
    rows.append(f"| **all** | {len(next(iter(found.values())))} | {' | '.join(whole)} |")
    claims = [f"{wrong} of {null}" for wrong, null in map(false_claims, found.values())]
    rows.append(f"| false claims where there is nothing | | {' | '.join(claims)} |")
    sizes = [[tokens(text) for case in cases for text in way.texts(case.handed)] for way in handed]
    rows.append(
        f"| tokens of an answer, mean (most) | | {' | '.join(f'{fmean(s):,.0f} ({max(s):,})' for s in sizes)} |"
    )
    return rows


def _cell(said: list[Said]) -> str:
    even = balanced(said) if said[0].question.kind in YES_OR_NO else None
    return f"{100 * share_right(said):.1f} %" + ("" if even is None else f" ({100 * even:.0f})")


async def measure(seeds: int, more: int) -> str:
    cases, handed = await cases_of(seeds), ways(tokens)
    found = {way.name: answers(cases, way.reader) for way in handed}
    many = answers(await cases_of(more), handed[0].reader)
    worst = min(by_kind(many).items(), key=lambda item: share_right(item[1]))
    wrong, null = false_claims(many)
    head = f"{datetime.now(UTC):%Y-%m-%d}. {len(cases)} charts of {len(PLANTS)} plants, {seeds} seeds each."
    tail = (
        f"With {more} seeds the summary answers {100 * share_right(many):.1f} % of {len(many):,} questions right, "
        f"{100 * share_right(worst[1]):.1f} % of the hardest kind ({worst[0]}), and claims something in {wrong} of "
        f"{null:,} cases where there is nothing."
    )
    return "\n".join([head, "", *table(cases, found, handed), "", tail])


@click.command()
@click.option("--seeds", default=SEEDS, show_default=True, help="Seeds of each plant.")
@click.option("--more", default=MORE_SEEDS, show_default=True, help="Seeds for the summary alone.")
@click.option("--write/--no-write", default=True, show_default=True, help="Write the figures into the README.")
def main(seeds: int, more: int, *, write: bool) -> None:
    """Measure how often a mechanical reader of answers, and a reader of raw rows, is right."""
    text = anyio.run(measure, seeds, more)
    click.echo(text)
    if write:
        figures.write("answers", text)


if __name__ == "__main__":
    main()
