"""Where a change happened: how concentrated it is in few groups of a dimension, and how unlike the groups are."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from cekura_dashboards.insight.compare import Side
from cekura_dashboards.insight.distributions import NORMAL, two_sided
from cekura_dashboards.insight.effects import ENOUGH_CALLS, Groups, effects

FEW = 2
"""Groups that a concentrated change is in at the most."""


@dataclass(frozen=True)
class Driver:
    """One dimension. ``share``: of the change, what its one or two largest groups bring; None without a change.

    ``differs``: the group that moved least like the others; ``verdict``: whether that is more than chance, for as many
    groups and dimensions as were looked at. ``mixed``: the groups moved little, but calls shifted between them, and the
    verdict is about that.
    """

    share: float | None
    groups: list[str | None]
    differs: str | None
    verdict: str
    mixed: bool = False


def driver(this: Side, that: Side, *, additive: bool, ratio: float, widening: float, dimensions: int) -> Driver:
    """``widening``: how much larger the error of a group is than if calls were independent, 1 or more."""
    parts = {} if additive else effects(this.groups, that.groups)
    moved = (
        _additive(this.groups, that.groups) if additive else {name: rate + mix for name, (rate, mix) in parts.items()}
    )
    change = math.fsum(moved.values())
    largest = sorted(moved, key=lambda name: (-moved[name] * math.copysign(1, change), str(name)))[:FEW]
    with_it = [name for name in largest if moved[name] * change > 0]
    if len(with_it) == FEW and abs(moved[with_it[1]]) < abs(change) / 10:
        with_it = with_it[:1]
    share = math.fsum(moved[name] for name in with_it) / change if change else None
    scores = _scores(this.groups, that.groups, additive=additive, ratio=ratio, widening=max(1.0, widening))
    differs = max(scores, key=lambda name: (abs(scores[name]), str(name)), default=None)
    unlike = abs(scores[differs]) if scores else 0.0
    said = _said(unlike, max(1, len(scores)) * max(1, dimensions))
    if said != "within noise":
        return Driver(share, with_it, differs, said)
    shifted = _said(abs(_mix_score(parts, this.groups, that.groups)) / max(1.0, widening), max(1, dimensions))
    return Driver(share, with_it, differs, shifted, mixed=shifted != "within noise")


def _said(score: float, tests: int) -> str:
    if score > NORMAL.inv_cdf(two_sided(0.99, tests)):
        return "clear"
    return "possible" if score > NORMAL.inv_cdf(two_sided(0.95, tests)) else "within noise"


def _mix_score(parts: Mapping[str | None, tuple[float, float]], this: Groups, that: Groups) -> float:
    """The mix effect in standard errors, where it is the larger part of the change; 0 where it is not.

    Its error is that of shares of independent calls, with the groups' means taken as they are.
    """
    rate, mix = (math.fsum(held) for held in zip(*parts.values(), strict=True)) if parts else (0.0, 0.0)
    if abs(mix) <= abs(rate):
        return 0.0
    square = 0.0
    for side in (this, that):
        whole = math.fsum(n for n, _ in side.values())
        means = [((this.get(name) or held)[1] + (that.get(name) or held)[1]) / 2 for name, held in side.items()]
        shares = [n / whole for n, _ in side.values()]
        middle = math.fsum(share * mean for share, mean in zip(shares, means, strict=True))
        square += math.fsum(s * (mean - middle) ** 2 for s, mean in zip(shares, means, strict=True)) / whole
    return mix / math.sqrt(square) if square > 0 else 0.0


def _additive(this: Groups, that: Groups) -> dict[str | None, float]:
    zero = (0.0, 0.0)
    return {n: this.get(n, zero)[1] - that.get(n, zero)[1] for n in dict.fromkeys([*this, *that])}


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
