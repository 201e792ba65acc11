"""The contributions of groups to a change, by their own rate and their share of calls, and the groups that drive it."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from cekura_dashboards.stats.findings import Contributor, Contributors, Number, Verdict, exact, round_for_display
from cekura_dashboards.stats.group_model import MIN_CALLS_OF_GROUP, NO_BUCKETS, BucketsByGroup, GroupedSample
from cekura_dashboards.stats.group_outliers import GroupOutlier, dispersion_of_calls, outlying_groups
from cekura_dashboards.stats.significance import GroupValues, SampleBucket, t_sf

MAX_CONTRIBUTORS = 5
"""Listed. A choice."""


def by_rate_and_mix(current: GroupValues, baseline: GroupValues) -> Contributors | None:
    """The parts of a change by each group's own rate and by its share of calls, which add up to the change.

    Source: Kitagawa (1955), Journal of the American Statistical Association 50, with the mix about the overall mean.
    """
    split = rate_and_mix_effects(current, baseline)
    if not split:
        return None
    ordered = sorted(split.items(), key=lambda item: (-abs(sum(item[1])), str(item[0])))
    top = [
        _contributor(name, current, baseline).model_copy(
            update={"rate_effect": round_for_display(rate, 3), "mix_effect": round_for_display(mix, 3)}
        )
        for name, (rate, mix) in ordered[:MAX_CONTRIBUTORS]
    ]
    rate, mix = (math.fsum(parts) for parts in zip(*split.values(), strict=True))
    return Contributors(
        top=top,
        more=count_beyond_shown(ordered),
        rate_effect=round_for_display(rate, 3),
        mix_effect=round_for_display(mix, 3),
        simpsons_paradox=_is_simpson(current, baseline, rate + mix) or None,
    )


def side_by_side(current: GroupValues, baseline: GroupValues) -> Contributors | None:
    """The largest groups with their typical bucket on both sides, because percentiles cannot be decomposed."""
    shared = [name for name in current if name in baseline]
    if not shared:
        return None
    ordered = sorted(shared, key=lambda name: (-current[name][0] - baseline[name][0], str(name)))
    top = [
        _contributor(name, current, baseline).model_copy(
            update={"change": round_for_display(current[name][1] - baseline[name][1], 3)}
        )
        for name in ordered[:MAX_CONTRIBUTORS]
    ]
    return Contributors(top=top, more=count_beyond_shown(ordered))


def of_totals(current: GroupValues, baseline: GroupValues, scales: tuple[float, float]) -> Contributors | None:
    """The groups whose totals changed most, scaled to the same length of time on both sides."""
    if not current and not baseline:
        return None
    zero = (0.0, 0.0)
    changes = {
        name: (current.get(name, zero)[1], baseline.get(name, zero)[1]) for name in dict.fromkeys([*current, *baseline])
    }
    change_by_group = {name: new * scales[0] - old * scales[1] for name, (new, old) in changes.items()}
    ordered = sorted(changes, key=lambda name: (-abs(change_by_group[name]), str(name)))
    top = [
        Contributor(
            group=name,
            current=exact(changes[name][0]),
            baseline=exact(changes[name][1]),
            n=_sizes(name, current, baseline),
            change=round_for_display(change_by_group[name], 3),
            status=_only(*changes[name]),
        )
        for name in ordered[:MAX_CONTRIBUTORS]
    ]
    return Contributors(top=top, more=count_beyond_shown(ordered))


def _sizes(name: str | None, current: GroupValues, baseline: GroupValues) -> list[Number | None] | None:
    """The calls on both sides; None if the totals are calls."""
    sizes = [side.get(name, (0.0, 0.0)) for side in (current, baseline)]
    return None if all(n == total for n, total in sizes) else [exact(n) for n, _ in sizes]


def _contributor(name: str | None, current: GroupValues, baseline: GroupValues) -> Contributor:
    new, old = current.get(name, (0.0, 0.0)), baseline.get(name, (0.0, 0.0))
    return Contributor(
        group=name,
        current=round_for_display(new[1]) if new[0] else None,
        baseline=round_for_display(old[1]) if old[0] else None,
        n=[exact(new[0]), exact(old[0])],
        status=_only(new[0], old[0]),
    )


def _only(current: float, baseline: float) -> str | None:
    return "new" if current and not baseline else "gone" if baseline and not current else None


def rate_and_mix_effects(current: GroupValues, baseline: GroupValues) -> dict[str | None, tuple[float, float]]:
    """The rate effect and the mix effect of each group, from its calls and its mean on both sides.

    >>> rate_and_mix_effects({"a": (50, 0.8), "b": (50, 0.4)}, {"a": (80, 0.8), "b": (20, 0.4)})
    {'a': (0.0, -0.042), 'b': (0.0, -0.078)}
    """
    wholes = [math.fsum(n for n, _ in side.values()) for side in (current, baseline)]
    if min(wholes) <= 0:
        return {}
    means = [
        math.fsum(n * value for n, value in side.values()) / whole
        for side, whole in zip((current, baseline), wholes, strict=True)
    ]
    middle, effects = sum(means) / 2, dict[str | None, tuple[float, float]]()
    for name in dict.fromkeys([*current, *baseline]):
        new_n, new = current.get(name, (0.0, 0.0))
        old_n, old = baseline.get(name, (0.0, 0.0))
        new, old = (old if not new_n else new), (new if not old_n else old)
        shares = new_n / wholes[0], old_n / wholes[1]
        rate = (new - old) * (shares[0] + shares[1]) / 2
        mix = (shares[0] - shares[1]) * ((new + old) / 2 - middle)
        effects[name] = (round(rate, 15) + 0.0, round(mix, 15) + 0.0)
    return effects


def _is_simpson(current: GroupValues, baseline: GroupValues, change: float) -> bool:
    larger = [
        current[name][1] - baseline[name][1]
        for name in current
        if name in baseline and min(current[name][0], baseline[name][0]) >= MIN_CALLS_OF_GROUP
    ]
    return len(larger) > 1 and bool(change) and all(difference * change < 0 for difference in larger)


def count_beyond_shown(rows: Sequence[Any]) -> int | None:
    """The number beyond those shown; None for 0."""
    return len(rows) - MAX_CONTRIBUTORS if len(rows) > MAX_CONTRIBUTORS else None


MAX_DRIVING_GROUPS = 2
"""Maximum groups to name if no group that stands out moved in the direction of the total. A choice."""
CLEAR_P_VALUE, POSSIBLE_P_VALUE = 0.01, 0.05
"""The levels of a 99 % and a 95 % interval."""


class Driver(Struct, frozen=True):
    """The driver by one dimension. ``groups``: those that account for the change; ``share``: their part of it, if any.

    ``outlier``: the group whose change differs most from that of the others, and when; ``verdict``: on that difference,
    with ``p_value`` corrected for all groups and dimensions tested. ``mixed``: the groups changed little, but calls
    shifted between them, and the verdict is on that.
    """

    share: float | None
    groups: list[str | None]
    outlier: GroupOutlier | None
    verdict: Verdict
    p_value: float
    mixed: bool = False

    @property
    def outlying_group(self) -> str | None:
        return self.outlier.group if self.outlier else None


def find_driver(
    current: GroupedSample, baseline: GroupedSample, *, additive: bool, ratio: float, dimensions: int,
    earlier: BucketsByGroup = NO_BUCKETS,
) -> Driver:  # fmt: skip
    """``additive``: for counts and sums. ``ratio``: what a rate of 100 % is written as, 0 for other measures.

    ``earlier``: the days before both sides.
    """
    new, old, tests = current.groups, baseline.groups, max(1, dimensions)
    parts = {} if additive else rate_and_mix_effects(new, old)
    change_by_group = _additive(new, old) if additive else {name: rate + mix for name, (rate, mix) in parts.items()}
    change = math.fsum(change_by_group.values())
    outliers = outlying_groups(current, baseline, additive=additive, ratio=ratio, earlier=earlier)
    outlier = min(outliers, key=lambda item: item.p_value, default=None)
    p_value = min(1.0, tests * outlier.p_value) if outlier else 1.0
    named = [item.group for item in outliers if tests * item.p_value <= POSSIBLE_P_VALUE]
    named = [name for name in named if change_by_group.get(name, 0.0) * change > 0]
    # two groups stand out equally from each other, so the one that contributed more drives the change
    if p_value > POSSIBLE_P_VALUE or not named or len({*new} | {*old}) == MAX_DRIVING_GROUPS:
        named = _leading(change_by_group, change)
    share = math.fsum(change_by_group[name] for name in named) / change if change else None
    if p_value <= POSSIBLE_P_VALUE:
        return Driver(share, named, outlier, _verdict(p_value), p_value)
    # no group's own rate changed, so the mix of calls may have
    shifted = min(1.0, tests * _p_value_of_mix(parts, current, baseline, ratio))
    verdict = _verdict(shifted)
    p_value, is_mixed = min(p_value, shifted), verdict != "not significant"
    return Driver(share, named, outlier, verdict, p_value, mixed=is_mixed)


def _verdict(p_value: float) -> Verdict:
    return "clear" if p_value <= CLEAR_P_VALUE else "possible" if p_value <= POSSIBLE_P_VALUE else "not significant"


def _leading(change_by_group: Mapping[str | None, float], change: float) -> list[str | None]:
    """The one or two groups that contributed most."""
    largest = sorted(change_by_group, key=lambda name: (-change_by_group[name] * math.copysign(1, change), str(name)))
    leading = [name for name in largest[:MAX_DRIVING_GROUPS] if change_by_group[name] * change > 0]
    # a second group is named only if it adds at least a tenth of the change
    if len(leading) == MAX_DRIVING_GROUPS and abs(change_by_group[leading[1]]) < abs(change) / 10:
        leading = leading[:1]
    return leading


def _p_value_of_mix(
    parts: Mapping[str | None, tuple[float, float]], current: GroupedSample, baseline: GroupedSample, ratio: float
) -> float:
    """The p-value of the mix effect if it is the larger part of the change, else 1.

    Its error has two parts, from the shares of calls and from the groups' values. If a release takes over all
    calls, only the second remains.
    """
    rate, mix = (math.fsum(effects) for effects in zip(*parts.values(), strict=True)) if parts else (0.0, 0.0)
    if abs(mix) <= abs(rate):
        return 1.0
    new, old = current.groups, baseline.groups
    wholes = [math.fsum(n for n, _ in side.values()) for side in (new, old)]
    dispersion, df = dispersion_of_calls(current, baseline)
    variance = 0.0
    for side, whole in zip((new, old), wholes, strict=True):
        means = [((new.get(name) or values)[1] + (old.get(name) or values)[1]) / 2 for name, values in side.items()]
        shares = [n / whole for n, _ in side.values()]
        middle = math.fsum(share * mean for share, mean in zip(shares, means, strict=True))
        spread = math.fsum(s * (mean - middle) ** 2 for s, mean in zip(shares, means, strict=True))
        variance += dispersion * spread / whole
    for name in parts:
        sizes = [side.get(name, (0.0, 0.0))[0] for side in (new, old)]
        shift = (sizes[0] / wholes[0] - sizes[1] / wholes[1]) / (2 if all(sizes) else 1)
        variance += shift**2 * math.fsum(_variance_of_mean(side, name, ratio) for side in (current, baseline))
    return 2 * t_sf(abs(mix) / math.sqrt(variance), df) if variance > 0 else 1.0


def _variance_of_mean(side: GroupedSample, name: str | None, ratio: float) -> float:
    """The variance of a group's value on one side, from its buckets; for a rate, at least that of independent calls."""
    n, value = side.groups.get(name, (0.0, 0.0))
    if n <= 0:
        return 0.0
    cells: Sequence[SampleBucket] = [cell for cell in side.buckets.get(name, ()) if cell.n]
    squares = math.fsum(((cell.n or 0.0) * (cell.value - value)) ** 2 for cell in cells)
    by_bucket = squares / n**2 * len(cells) / (len(cells) - 1) if len(cells) > 1 else 0.0
    rate = min(1.0, max(0.0, value / ratio)) if ratio else 0.0
    return max(by_bucket, ratio**2 * rate * (1 - rate) / n)


def _additive(current: GroupValues, baseline: GroupValues) -> dict[str | None, float]:
    zero = (0.0, 0.0)
    return {
        name: current.get(name, zero)[1] - baseline.get(name, zero)[1] for name in dict.fromkeys([*current, *baseline])
    }


MAX_CHANGE_OF_REST = 0.25
"""Relative to the change of the named groups: a smaller change of the rest counts as none. A choice."""
SIGNIFICANT_ERRORS = 1.96
"""Of a 95 % interval: a change of the rest within it is insignificant."""


def has_rest_stayed(
    current: GroupedSample, baseline: GroupedSample, groups: Sequence[str | None], *, additive: bool, ratio: float
) -> bool:
    """Whether the other calls changed little in comparison, in the other direction, or insignificantly."""
    sides = [
        [_together(side, groups, within=within, additive=additive) for side in (current, baseline)]
        for within in (True, False)
    ]
    (new, old), (rest, rest_before) = [[side.groups[None] for side in part] for part in sides]
    if not rest[0] or not rest_before[0]:
        return True
    if additive:
        moved, stayed = (math.log(max(a[1], 1.0) / max(b[1], 1.0)) for a, b in ((new, old), (rest, rest_before)))
        variance = 1 / max(rest[0], 1.0) + 1 / max(rest_before[0], 1.0)
    else:
        moved, stayed = new[1] - old[1], rest[1] - rest_before[1]
        variance = math.fsum(_variance_of_mean(side, None, ratio) for side in sides[1])
    if stayed * moved <= 0 or abs(stayed) <= MAX_CHANGE_OF_REST * abs(moved):
        return True
    # with few calls, an insignificant change may still be half of the whole
    return abs(stayed) <= abs(moved) / 2 and stayed**2 <= SIGNIFICANT_ERRORS**2 * variance


def _together(side: GroupedSample, groups: Sequence[str | None], *, within: bool, additive: bool) -> GroupedSample:
    """The calls in these groups, or all others, as one group."""
    names = [name for name in side.groups if (name in groups) is within]
    n = math.fsum(side.groups[name][0] for name in names)
    totals = math.fsum(side.groups[name][1] for name in names)
    means = math.fsum(side.groups[name][0] * side.groups[name][1] for name in names)
    value = totals if additive else means / n if n else 0.0
    return GroupedSample({None: (n, value)}, {None: _merged(side, names)})


def _merged(side: GroupedSample, names: Sequence[str | None]) -> list[SampleBucket]:
    """The buckets of several groups merged into one."""
    cells = defaultdict[float, list[SampleBucket]](list)
    for name in names:
        for cell in side.buckets.get(name, ()):
            cells[cell.time].append(cell)
    merged = list[SampleBucket]()
    for time, parts in sorted(cells.items()):
        n = math.fsum(cell.n or 0.0 for cell in parts)
        merged.append(SampleBucket(time, n, math.fsum((c.n or 0.0) * c.value for c in parts) / n if n else 0.0))
    return merged
