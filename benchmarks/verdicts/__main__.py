"""Print how often what is said is true: ``python -m benchmarks.verdicts [SEEDS]``."""

import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from benchmarks.verdicts.cases import planted, quiet, windows
from benchmarks.verdicts.rows import found_row, quiet_row

SEEDS = 100
FIRST_SEED = 90_000
"""Other seeds than those that the tests and their bounds were made with."""


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS
    seeds = range(FIRST_SEED, FIRST_SEED + count)
    calm = [(world, window_s) for world in quiet() for window_s in windows(world)]
    with ProcessPoolExecutor() as processes:
        rows = processes.map(partial(quiet_row, seeds=seeds), *zip(*calm, strict=True))
        plants = processes.map(partial(found_row, seeds=seeds), *zip(*planted(), strict=True))
        held, found = 0, 0
        print("| nothing happened | told | false clear | false possible |\n|---|---|---|---|")  # noqa: T201 - its output
        for row in rows:
            print(row, "" if row.holds else " over", flush=True)  # noqa: T201 - its output
            held += row.holds
        print("\n| something happened | in | found | clear |\n|---|---|---|---|")  # noqa: T201 - its output
        for plant in plants:
            print(plant, "" if plant.holds else " under", flush=True)  # noqa: T201 - its output
            found += plant.holds
    print(f"\n{held} of {len(calm)} quiet rows and {found} of {len([*planted()])} planted ones hold.")  # noqa: T201 - its output


if __name__ == "__main__":
    main()
