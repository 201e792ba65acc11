"""The verdicts on each case, as shares."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from benchmarks.verdicts.cases import Plant
from benchmarks.verdicts.worlds import World, series
from cekura_dashboards.stats.detect import detect
from cekura_dashboards.stats.findings import Finding
from cekura_dashboards.stats.timeline import DAY, Span

CLEAR, CLEAR_ALIKE, POSSIBLE = 0.03, 0.05, 0.08
"""The maximum shares without a change."""
Most = tuple[float, float] | None
QUIET: Most = (CLEAR, POSSIBLE)


class VerdictShares(NamedTuple):
    """The shares of answers that call a case ``clear``, or only ``possible``.

    ``most``: of both, where nothing happened; None where something did. ``aim``: the least share of ``clear``.
    """

    name: str
    clear: float
    possible: float
    most: Most = QUIET
    aim: float = 0.0

    @classmethod
    def of(cls, name: str, answers: Iterable[Collection[str]], most: Most = QUIET, aim: float = 0.0) -> "VerdictShares":
        """``answers``: the verdicts in each."""
        drawn = [*answers]
        clear = sum("clear" in verdicts for verdicts in drawn) / len(drawn)
        possible = sum(bool({"clear", "possible"} & {*verdicts}) for verdicts in drawn) / len(drawn) - clear
        return cls(name, clear, possible, most, aim)

    @property
    def holds(self) -> bool:
        most = self.most or (1.0, 1.0)
        return self.clear >= self.aim and self.clear <= most[0] and self.possible <= most[1]

    def __str__(self) -> str:
        return f"| {self.name} | {self.clear:.1%} | {self.possible:.1%} |"


class Found(NamedTuple):
    """A plant in a world: the shares of answers that find it, and that call it clear."""

    plant: Plant
    world: World
    found: float
    clear: float

    @property
    def holds(self) -> bool:
        aimed = self.world.k is None and self.world.alike is None
        if not aimed or self.plant.aim is None:
            return True
        return self.found >= self.plant.aim and self.clear >= self.plant.clear_aim

    def __str__(self) -> str:
        return f"| {self.plant.name} | {self.world.name} | {self.found:.0%} | {self.clear:.0%} |"


def findings(world: World, seed: int, window_s: float | None) -> list[Finding]:
    course, calls = series(world, seed)
    end = course.times[-1] + world.step
    window = Span(end - window_s, end) if window_s else None
    counts = course if world.measure == "count" else calls
    return detect(course, counts, window=window, clock=world.clock).findings or []


def quiet_row(world: World, window_s: float | None, seeds: Iterable[int]) -> VerdictShares:
    window = "all" if window_s is None else f"last {window_s / DAY:g} days"
    verdicts = ({finding.verdict for finding in findings(world, seed, window_s)} for seed in seeds)
    most = CLEAR if world.alike is None else CLEAR_ALIKE
    return VerdictShares.of(f"{world.name} | {window}", verdicts, (most, POSSIBLE))


def found_row(plant: Plant, world: World, seeds: Iterable[int]) -> Found:
    """Of a week that holds the plant, and half a day before it."""
    hits = [
        [found for found in findings(world.with_effect(plant.effect(seed)), seed, 7.5 * DAY) if plant.found(found)]
        for seed in seeds
    ]
    clear = sum(any(finding.verdict == "clear" for finding in findings) for findings in hits)
    return Found(plant, world, sum(map(bool, hits)) / len(hits), clear / len(hits))
