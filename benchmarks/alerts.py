"""How often an alert fires in months without changes, by preset and reading, compared with this product's tests.

``python -m benchmarks.alerts`` draws the months and writes the table into ``docs/alerts.md``.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from benchmarks import figures
from cekura_dashboards.stats.alerts import PRESETS, Reading, replay
from cekura_dashboards.stats.detect import detect
from cekura_dashboards.stats.time_series import TimeSeries
from cekura_dashboards.stats.timeline import DAY

Floats = npt.NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Floats]
PAGE = Path(__file__).parents[1] / "docs" / "alerts.md"
DAYS, MONTHS, FIRST_SEED = 30, 200, 1000
READINGS = {
    "as written": Reading(),
    "limits of a mean": Reading(limits="mean"),
    "each call": Reading(limits="call"),
    "once until back inside": Reading(resets="inside"),
}
"""Choices where the guide is silent, by the names of the table's columns."""


@dataclass(frozen=True)
class Month:
    """Scores with the same distribution on every day of a month. ``calls``: per day, of one agent."""

    name: str
    draw: Draw
    calls: int
    rate: bool = False


def passes(share: float, rng: np.random.Generator, n: int) -> Floats:
    return (rng.random(n) < share).astype(float)


def ratings(rng: np.random.Generator, n: int) -> Floats:
    """1 to 5, mostly high."""
    return np.clip(np.round(rng.normal(4.1, 0.9, n)), 1, 5).astype(np.float64)


def latencies(rng: np.random.Generator, n: int) -> Floats:
    """Milliseconds, with the long tail of a lognormal."""
    return np.round(np.exp(rng.normal(6.8, 0.35, n))).astype(np.float64)


def scores(rng: np.random.Generator, n: int) -> Floats:
    """0 to 100."""
    return np.clip(rng.normal(71, 12, n), 0, 100).astype(np.float64)


def in_runs(rng: np.random.Generator, n: int) -> Floats:
    """Scores of 0 to 100 with an autocorrelation of 0.5: callers come in waves."""
    noise, level, values = rng.normal(0, 12 * np.sqrt(0.75), n), 0.0, np.empty(n)
    for place in range(n):
        level = 0.5 * level + noise[place]
        values[place] = 71 + level
    return np.clip(values, 0, 100)


MONTHS_DRAWN = [
    Month(name, draw, calls, rate=rate)
    for calls in (20, 150)
    for name, draw, rate in (
        ("passes, 95 %", partial(passes, 0.95), True),
        ("passes, 80 %", partial(passes, 0.80), True),
        ("ratings of 1 to 5", ratings, False),
        ("scores of 0 to 100", scores, False),
        ("latencies", latencies, False),
        ("scores in waves", in_runs, False),
    )
]


def own_words(month: Month, values: Floats) -> set[str]:
    """The verdicts of this product's tests on the daily means of the same scores."""
    by_day = values.reshape(DAYS, -1)
    times = np.arange(DAYS, dtype=np.float64) * DAY
    counts = np.full(DAYS, float(month.calls))
    means = by_day.mean(axis=1).astype(np.float64)
    series = TimeSeries(times, means, counts, DAY, scale="rate" if month.rate else "positive")
    return {finding.verdict for finding in detect(series).findings or []}


def row(month: Month, months: int) -> str:
    """Firings a month by preset and reading, and the share of months in which the tests report a change."""
    fired, words = np.zeros((len(PRESETS), len(READINGS))), list[set[str]]()
    for seed in range(FIRST_SEED, FIRST_SEED + months):
        values = month.draw(np.random.default_rng(seed), DAYS * month.calls)
        words.append(own_words(month, values))
        for i, preset in enumerate(PRESETS.values()):
            fired[i] += [len(replay(values, preset, reading)) for reading in READINGS.values()]
    cells = [" / ".join(_short(count / months) for count in fired[:, j]) for j in range(len(READINGS))]
    clear, possible = (sum(word in verdicts for verdicts in words) / months for word in ("clear", "possible"))
    return f"| {month.name} | {month.calls} | {' | '.join(cells)} | {clear:.1%}, {possible:.1%} |"


def _short(count: float) -> str:
    return f"{count:.0f}" if count >= 10 else f"{count:.1f}"  # noqa: PLR2004 - two digits


def table(months: int) -> Iterator[str]:
    yield f"Firings a month of conservative / balanced / aggressive: the mean of {months} months of one agent."
    yield ""
    yield from figures.header("scores", "calls a day", *READINGS, "this product: months with `clear`, `possible`")
    for month in MONTHS_DRAWN:
        yield row(month, months)


@click.command()
@click.option("--months", default=MONTHS, show_default=True, help="Months drawn for each row.")
@click.option("--write/--no-write", default=True, show_default=True, help="Write the table into docs/alerts.md.")
def main(*, months: int, write: bool) -> None:
    """Simulate months without changes, and count the firings."""
    lines = [*table(months)]
    click.echo("\n".join(lines))
    if write:
        figures.write("quiet months", "\n".join(lines), PAGE)


if __name__ == "__main__":
    main()
