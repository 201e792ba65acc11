"""Where a change happened: how concentrated it is in few groups of a dimension, and how unlike the groups are.

The error of a group's change comes from how its buckets differ, once the level of each group and of each bucket of time
is taken away: one dispersion for a whole dimension, by quasi-likelihood with variance p(1 - p) for rates, the square of
the mean for durations and scores, the mean for counts; McCullagh and Nelder (1989), chapters 4, 6 and 9.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

from cekura_dashboards.insight.distributions import t_beyond, t_quantile, two_sided
from cekura_dashboards.insight.effects import ENOUGH_CALLS, effects
from cekura_dashboards.insight.side import Cell, Groups
from cekura_dashboards.insight.verdicts import Verdict

FEW_GROUPS = 2
"""A concentrated change is in so many groups at the most."""
USUAL_DF = 3.0
"""What is usual, that calls are independent, counts as so many degrees of freedom."""
_TINY = 1e-12
MOST_UNLIKE, SURELY_CHANCE = 4, 0.05
"""So many groups are looked for, and only while the last one was hardly chance."""
ByGroup = Mapping[str | None, Sequence[Cell]]


class GroupedSide(Struct, frozen=True):
    """One side of a dimension: each group's calls and value, in all and by bucket of time."""

    groups: Groups
    cells: ByGroup


class Driver(Struct, frozen=True):
    """One dimension. ``share``: of the change, what its one or two largest groups bring; None without a change.

    ``differs``: the group that moved least like the others; ``verdict``: whether that is more than chance, for as many
    groups and dimensions as were looked at. ``mixed``: the groups moved little, but calls shifted between them, and the
    verdict is about that.
    """

    share: float | None
    groups: list[str | None]
    differs: str | None
    verdict: Verdict
    mixed: bool = False


class Dispersion(NamedTuple):
    """How much more than their variance function buckets differ, and how well that is known."""

    value: float
    df: float


def driver(current: GroupedSide, baseline: GroupedSide, *, additive: bool, ratio: float, dimensions: int) -> Driver:
    """``additive``: of counts or sums. ``ratio``: what a rate of one is written as, 0 for what is no rate."""
    new, old = current.groups, baseline.groups
    parts = {} if additive else effects(new, old)
    moved = _additive(new, old) if additive else {name: rate + mix for name, (rate, mix) in parts.items()}
    change = math.fsum(moved.values())
    largest = sorted(moved, key=lambda name: (-moved[name] * math.copysign(1, change), str(name)))[:FEW_GROUPS]
    with_it = [name for name in largest if moved[name] * change > 0]
    if len(with_it) == FEW_GROUPS and abs(moved[with_it[1]]) < abs(change) / 10:
        with_it = with_it[:1]
    share = math.fsum(moved[name] for name in with_it) / change if change else None
    calls = dispersion([current.cells, baseline.cells], "calls", 0.0)
    spread = calls if additive else dispersion([current.cells, baseline.cells], "rate" if ratio else "mean", ratio)
    scores = _scores(new, old, spread, additive=additive, ratio=ratio)
    differs = max(scores, key=lambda name: (abs(scores[name]), str(name)), default=None)
    unlike = abs(scores[differs]) if scores else 0.0
    said = _said(unlike, spread.df, max(1, len(scores)) * max(1, dimensions))
    if said != "within noise":
        return Driver(share, with_it, differs, said)
    shifted = _said(abs(_mix_score(parts, new, old)) / math.sqrt(calls.value), calls.df, max(1, dimensions))
    return Driver(share, with_it, differs, shifted, mixed=shifted != "within noise")


class Unlike(NamedTuple):
    """A group whose own change is unlike that of the others. ``chance``: how likely any is so far off by itself."""

    group: str | None
    chance: float


def unlike_groups(current: GroupedSide, baseline: GroupedSide, *, additive: bool, ratio: float) -> list[Unlike]:
    """The groups whose own change is unlike that of the rest, the most unlike first, each beside those that remain.

    The last one is that which might be chance; none where fewer than two groups have enough calls.
    """
    new, old = dict(current.groups), dict(baseline.groups)
    kind = "calls" if additive else "rate" if ratio else "mean"
    found = list[Unlike]()
    while len(found) < MOST_UNLIKE:
        cells = [{name: side.cells[name] for name in new if name in side.cells} for side in (current, baseline)]
        spread = dispersion(cells, kind, ratio)
        scores = _scores(new, old, spread, additive=additive, ratio=ratio)
        if not scores:
            break
        name = max(scores, key=lambda group: (abs(scores[group]), str(group)))
        chance = min(1.0, 2 * len(scores) * t_beyond(abs(scores[name]), spread.df))
        found.append(Unlike(name, chance))
        if chance > SURELY_CHANCE:
            break
        del new[name], old[name]
    return found


def _said(score: float, df: float, tests: int) -> Verdict:
    if score > t_quantile(two_sided(0.99, tests), df):
        return "clear"
    return "possible" if score > t_quantile(two_sided(0.95, tests), df) else "within noise"


def dispersion(sides: Sequence[ByGroup], of: str, ratio: float) -> Dispersion:
    """Of rates, means, or of the numbers of calls, in all groups and buckets of both sides together.

    That of means is the variance of a call as a share of the square of the mean; of the others it is 1 at least.
    """
    square = df = 0.0
    for side in sides:
        held = [
            (
                name,
                cell.time,
                1.0 if of == "calls" else float(cell.n or 0),
                cell.n or 0 if of == "calls" else cell.value,
            )
            for name, cells in side.items()
            for cell in cells
        ]
        held = [row for row in held if row[2] > 0]
        by_group, by_time = _levels(held, 0), _levels(held, 1)
        whole = _level(held)
        free = len(held) - len(by_group) - len(by_time) + 1
        if free <= 0 or not held:
            continue
        for name, time, n, value in held:
            group, moment = by_group[name], by_time[time]
            fitted = group + moment - whole if of == "rate" else group * moment / whole if whole else 0.0
            variance = _variance(of, fitted, n, ratio)
            square += n * (value - fitted) ** 2 / variance if variance > 0 else 0.0
        df += free
    if of == "mean":
        return Dispersion(square / df if df else 1.0, max(1.0, df))
    return Dispersion(max(1.0, (USUAL_DF + square) / (USUAL_DF + df)), USUAL_DF + df)


def _levels(rows: Sequence[tuple[str | None, float, float, float]], key: int) -> dict[object, float]:
    held = defaultdict[object, list[tuple[str | None, float, float, float]]](list)
    for row in rows:
        held[row[key]].append(row)
    return {name: _level(members) for name, members in held.items()}


def _level(rows: Sequence[tuple[str | None, float, float, float]]) -> float:
    weight = math.fsum(n for _, _, n, _ in rows)
    return math.fsum(n * value for _, _, n, value in rows) / weight if weight else 0.0


def _variance(of: str, fitted: float, n: float, ratio: float) -> float:
    if of == "rate":
        rate = min(1 - 1 / (n + 2), max(1 / (n + 2), fitted / ratio))
        return ratio**2 * rate * (1 - rate)
    return fitted**2 if of == "mean" else max(fitted, 0.0)


def _mix_score(parts: Mapping[str | None, tuple[float, float]], current: Groups, baseline: Groups) -> float:
    """The mix effect in standard errors, where it is the larger part of the change; 0 where it is not.

    Its error is that of shares of independent calls, with the groups' means taken as they are.
    """
    rate, mix = (math.fsum(held) for held in zip(*parts.values(), strict=True)) if parts else (0.0, 0.0)
    if abs(mix) <= abs(rate):
        return 0.0
    square = 0.0
    for side in (current, baseline):
        whole = math.fsum(n for n, _ in side.values())
        means = [((current.get(name) or held)[1] + (baseline.get(name) or held)[1]) / 2 for name, held in side.items()]
        shares = [n / whole for n, _ in side.values()]
        middle = math.fsum(share * mean for share, mean in zip(shares, means, strict=True))
        square += math.fsum(s * (mean - middle) ** 2 for s, mean in zip(shares, means, strict=True)) / whole
    return mix / math.sqrt(square) if square > 0 else 0.0


def _additive(current: Groups, baseline: Groups) -> dict[str | None, float]:
    zero = (0.0, 0.0)
    return {
        name: current.get(name, zero)[1] - baseline.get(name, zero)[1] for name in dict.fromkeys([*current, *baseline])
    }


def _scores(
    current: Groups, baseline: Groups, spread: Dispersion, *, additive: bool, ratio: float
) -> dict[str | None, float]:
    """For each group how its own change differs from that of the others, in standard errors.

    What the others did is the mean of their own changes, each by its precision: calls that shift between them do not
    count as a change.
    """
    both = [name for name in current if name in baseline]
    both = [name for name in both if min(current[name][0], baseline[name][0]) >= ENOUGH_CALLS]
    if len(both) < FEW_GROUPS or spread.value <= 0:
        return {}
    moved = {name: _change(current[name], baseline[name], additive=additive, ratio=ratio) for name in both}
    found = dict[str | None, float]()
    for name, (change, square) in moved.items():
        others = [held for other, held in moved.items() if other != name]
        weight = math.fsum(1 / part for _, part in others)
        rest = math.fsum(each / part for each, part in others) / weight
        found[name] = (change - rest) / math.sqrt(spread.value * (square + 1 / weight))
    return found


def _change(
    current: tuple[float, float], baseline: tuple[float, float], *, additive: bool, ratio: float
) -> tuple[float, float]:
    """A group's change with its variance at a dispersion of 1: of rates the difference, else of the logarithms.

    Source of the variance for counts: Woolf (1955), of a log odds ratio.
    """
    (n, new), (m, old) = current, baseline
    if ratio:
        return new - old, _variance("rate", new, n, ratio) / n + _variance("rate", old, m, ratio) / m
    if not additive and (new <= 0 or old <= 0):
        return new - old, max(new * new, _TINY) / n + max(old * old, _TINY) / m
    return math.log(n / m) if additive else math.log(new) - math.log(old), 1 / n + 1 / m
