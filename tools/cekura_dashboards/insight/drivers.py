"""Where a change happened: how concentrated it is in few groups of a dimension, and how unlike the groups are."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from cekura_dashboards.insight.compare import ENOUGH_CALLS, Side, effects
from cekura_dashboards.insight.distributions import NORMAL, two_sided

Groups = Mapping[str | None, tuple[float, float]]
FEW = 2
"""Groups that a concentrated change is in at the most."""


@dataclass(frozen=True)
class Driver:
    """One dimension. ``share``: of the change, what its one or two largest groups bring; None without a change.

    ``differs``: the group that moved least like the others; ``verdict``: whether that is more than chance, for as many
    groups and dimensions as were looked at.
    """

    share: float | None
    groups: list[str | None]
    differs: str | None
    verdict: str


def driver(this: Side, that: Side, *, additive: bool, ratio: float, widening: float, dimensions: int) -> Driver:
    """``widening``: how much larger the error of a group is than if calls were independent, 1 or more."""
    moved = _additive(this.groups, that.groups) if additive else _effects(this.groups, that.groups)
    change = math.fsum(moved.values())
    largest = sorted(moved, key=lambda name: (-moved[name] * math.copysign(1, change), str(name)))[:FEW]
    with_it = [name for name in largest if moved[name] * change > 0]
    if len(with_it) == FEW and abs(moved[with_it[1]]) < abs(change) / 10:
        with_it = with_it[:1]
    share = math.fsum(moved[name] for name in with_it) / change if change else None
    scores = _scores(this.groups, that.groups, additive=additive, ratio=ratio, widening=max(1.0, widening))
    differs = max(scores, key=lambda name: (abs(scores[name]), str(name)), default=None)
    unlike = abs(scores[differs]) if scores else 0.0
    tests = max(1, len(scores)) * max(1, dimensions)
    clear = unlike > NORMAL.inv_cdf(two_sided(0.99, tests))
    possible = unlike > NORMAL.inv_cdf(two_sided(0.95, tests))
    return Driver(share, with_it, differs, "clear" if clear else "possible" if possible else "within noise")


def _additive(this: Groups, that: Groups) -> dict[str | None, float]:
    zero = (0.0, 0.0)
    return {n: this.get(n, zero)[1] - that.get(n, zero)[1] for n in dict.fromkeys([*this, *that])}


def _effects(this: Groups, that: Groups) -> dict[str | None, float]:
    return {name: rate + mix for name, (rate, mix) in effects(this, that).items()}


def _scores(this: Groups, that: Groups, *, additive: bool, ratio: float, widening: float) -> dict[str | None, float]:
    """For each group how its own change differs from that of all others together, in standard errors."""
    found = dict[str | None, float]()
    for name in this:
        if name not in that or len(this) < FEW:
            continue
        mine = [_part(side, name, inside=True) for side in (this, that)]
        rest = [_part(side, name, inside=False) for side in (this, that)]
        if min(n for n, _ in [*mine, *rest]) < ENOUGH_CALLS:
            continue
        found[name] = _counts(mine, rest, widening) if additive else _rates(mine, rest, ratio, widening)
    return found


def _part(side: Groups, name: str | None, *, inside: bool) -> tuple[float, float]:
    """The calls and the mean of a group, or of all others."""
    parts = [held for key, held in side.items() if (key == name) is inside]
    n = math.fsum(count for count, _ in parts)
    return n, math.fsum(count * value for count, value in parts) / n if n else 0.0


def _rates(mine: list[tuple[float, float]], rest: list[tuple[float, float]], ratio: float, widening: float) -> float:
    change = (mine[0][1] - mine[1][1]) - (rest[0][1] - rest[1][1])
    square = 0.0
    for n, value in [*mine, *rest]:
        rate = min(1 - 1 / (n + 2), max(1 / (n + 2), value / ratio)) if ratio else 0.5
        square += (ratio or max(abs(value), 1e-9)) ** 2 * rate * (1 - rate) / n
    return change / (widening * math.sqrt(square)) if square else 0.0


def _counts(mine: list[tuple[float, float]], rest: list[tuple[float, float]], widening: float) -> float:
    """Of calls: how the group grew against the others. Source: the standard error of a log odds ratio, Woolf (1955)."""
    log = math.log(mine[0][0] / mine[1][0]) - math.log(rest[0][0] / rest[1][0])
    return log / (widening * math.sqrt(math.fsum(1 / n for n, _ in [*mine, *rest])))
