"""Print how often what is said is true: ``python -m benchmarks.verdicts [SEEDS]``."""

import sys

from benchmarks.verdicts.cases import planted, quiet, windows
from benchmarks.verdicts.rows import Found, Quiet, found_row, quiet_row

SEEDS = 100
FIRST_SEED = 90_000
"""Other seeds than those that the tests and their bounds were made with."""


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS
    seeds = range(FIRST_SEED, FIRST_SEED + count)
    print("| nothing happened | told | false clear | false possible |\n|---|---|---|---|")  # noqa: T201 - its output
    rows = list[Quiet]()
    for world in quiet():
        for window_s in windows(world):
            rows.append(quiet_row(world, window_s, seeds))
            print(rows[-1], "" if rows[-1].holds else " over", flush=True)  # noqa: T201 - its output
    print("\n| something happened | in | found | clear |\n|---|---|---|---|")  # noqa: T201 - its output
    plants = list[Found]()
    for plant, world in planted():
        plants.append(found_row(plant, world, seeds))
        print(plants[-1], "" if plants[-1].holds else " under", flush=True)  # noqa: T201 - its output
    held = sum(row.holds for row in rows), sum(found.holds for found in plants)
    print(f"\n{held[0]} of {len(rows)} quiet rows and {held[1]} of {len(plants)} planted ones hold.")  # noqa: T201 - its output


if __name__ == "__main__":
    main()
