"""Print how often verdicts are true: ``python -m benchmarks.verdicts [SEEDS]``.

Comparisons, drivers and single series, which are quick, are drawn from many times more seeds.
"""

import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from typing import Any

from benchmarks import figures
from benchmarks.verdicts import (
    clocks,
    comparisons,
    drivers,
    edits,
    evaluated,
    labelled,
    looks,
    months,
    noise,
    profiles,
    quiet_calls,
    scores,
)
from benchmarks.verdicts.cases import planted, quiet, windows
from benchmarks.verdicts.clocks import clock_row
from benchmarks.verdicts.comparisons import compared_row
from benchmarks.verdicts.drivers import moved_row
from benchmarks.verdicts.many_charts import ROWS, many_charts_row
from benchmarks.verdicts.months import month_row
from benchmarks.verdicts.noise import noise_row
from benchmarks.verdicts.rows import found_row, quiet_row

SEEDS, TIMES_MORE, TIMES_MORE_DRIVERS = 100, 20, 5
CHARTS = 7
"""Charts of each encoding and kind for each seed: 10,500 in all."""
EDITS = 40
"""Steps of each case, half of them with an edit, as each takes two seconds."""
FIRST_SEED = 90_000
"""Other seeds than those that the tests and their bounds were made with."""


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS
    times = 1, TIMES_MORE, TIMES_MORE_DRIVERS
    seeds, for_comparisons, for_drivers = (range(FIRST_SEED, FIRST_SEED + count * n) for n in times)
    calm = [(world, window_s) for world in quiet() for window_s in windows(world)]
    with ProcessPoolExecutor() as processes:
        tables = [
            ("nothing happened | window | false clear | false possible", "over", processes.map(
                partial(quiet_row, seeds=seeds), *zip(*calm, strict=True))),
            ("something happened | in | found | clear", "under", processes.map(
                partial(found_row, seeds=seeds), *zip(*planted(), strict=True))),
            ("compared | sides | days before | planted | interval holds truth | clear | possible", "off", processes.map(
                partial(compared_row, seeds=for_comparisons), comparisons.cases())),
            ("the same calls compared | window | planted | clear | possible", "off", processes.map(
                partial(clock_row, seeds=seeds), clocks.cases())),
            ("profile | planted | clear | possible", "off", processes.map(
                partial(profiles.profiled_row, seeds=seeds), profiles.cases())),
            ("one group of four | possible | clear | the right one", "off", processes.map(
                partial(moved_row, seeds=for_drivers), drivers.months())),
            ("answers about calls in which nothing happened | false clear | false possible", "over", processes.map(
                partial(quiet_calls.quiet_answers, seeds=seeds), quiet_calls.CASES)),
            ("a step and edits | named | others listed", "off", processes.map(
                partial(edits.edits_row, seeds=seeds[:EDITS]), edits.cases())),
            ("a cause | worlds | named | exactly | first | F1 | F1 of the first answer", "under", labelled.with_all(
                processes.map(partial(labelled.labelled_row, seeds=seeds[: labelled.WORLDS]), labelled.SHAPES))),
            ("evaluated on other calls | false clear | the change is reported | worlds", "over", processes.map(
                partial(evaluated.evaluated_row, seeds=seeds), evaluated.CHANGES)),
            ("a month of days | of | aim | clear | possible", "off", processes.map(
                partial(month_row, seeds=for_drivers), months.months())),
            ("ninety daily looks | of | false clear | days until clear to one | told | clear over all", "off",
             processes.map(partial(looks.looks_row, seeds=seeds), looks.cases())),
            ("charts | planted | reported", "off", processes.map(
                partial(many_charts_row, seeds=seeds), range(len(ROWS)))),
            ("one truth in any encoding | chart | charts | one reading | the wrong one alone", "off", processes.map(
                partial(scores.scores_row, charts=count * CHARTS, seed=FIRST_SEED),
                *zip(*product(scores.ENCODINGS, scores.KINDS), strict=True))),
            ("a single series | aim | share", "off", processes.map(
                partial(noise_row, draws=count * TIMES_MORE, seed=FIRST_SEED), noise.cases())),
        ]  # fmt: skip
        for head, missed, rows in tables:
            show(head, missed, rows)


def show(head: str, missed: str, rows: Iterable[Any]) -> None:
    """Print the rows of a table as they come, and how many meet their aims."""
    print("\n".join(figures.header(*head.split(" | "))), flush=True)  # noqa: T201 - its output
    kept = list[bool]()
    for row in rows:
        kept.append(row.holds)
        print(row, "" if row.holds else missed, flush=True)  # noqa: T201 - its output
    print(f"\n{sum(kept)} of {len(kept)} hold.\n", flush=True)  # noqa: T201 - its output


if __name__ == "__main__":
    main()
