"""What groups contributed to a change: by their own rate, by their share of calls, and how unlike the groups are.

The error of a group's change comes from how its buckets differ, once the level of each group and of each bucket of time
is taken away: one dispersion for a whole dimension, by quasi-likelihood with variance p(1 - p) for rates, the square of
the mean for durations and scores, the mean for counts; McCullagh and Nelder (1989), chapters 4, 6 and 9.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import Struct

from cekura_dashboards.stats.arrays import Array, Places, np
from cekura_dashboards.stats.findings import Contributor, Contributors, Number, Verdict, exact, round_for_display
from cekura_dashboards.stats.significance import GroupValues, SampleBucket, t_quantile, t_sf, two_sided
from cekura_dashboards.stats.time_series import sums_by

MAX_CONTRIBUTORS = 5
"""Listed. A choice."""
MIN_CALLS_OF_GROUP = 30
"""A group of fewer calls on a side is too small for its rate to be compared. A choice, by the usual rule of thumb."""


def by_rate_and_mix(current: GroupValues, baseline: GroupValues) -> Contributors | None:
    """How much of the change each group brought by its own rate, and by its share of calls; they add up to the change.

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
    """The largest groups with their typical bucket on both sides: percentiles do not split into parts."""
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
    """The groups whose totals changed most, each brought to the same length of time by its side's scale."""
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
    """The calls on both sides; None where the totals are those."""
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
    """How many there are beyond those that are shown; None if there are none."""
    return len(rows) - MAX_CONTRIBUTORS if len(rows) > MAX_CONTRIBUTORS else None


MAX_DRIVING_GROUPS = 2
"""The most groups that a concentrated change is attributed to. A choice."""
PRIOR_DF = 3.0
"""The weight of the prior, a dispersion of 1, that of independent calls, in degrees of freedom. A choice."""
_TINY = 1e-12
MAX_OUTLYING_GROUPS, STOP_P_VALUE = 4, 0.05
"""At most so many outlying groups are tested for, while the last p-value is at most the level. Choices."""
BucketsByGroup = Mapping[str | None, Sequence[SampleBucket]]


class GroupedSample(Struct, frozen=True):
    """One side of a dimension: each group's calls and value, in all and by bucket of time."""

    groups: GroupValues
    buckets: BucketsByGroup


class Driver(Struct, frozen=True):
    """One dimension. ``share``: the part of the change that its one or two largest groups bring; None without a change.

    ``outlying_group``: the group whose change differs most from that of the others; ``verdict``: on that difference,
    corrected for all groups and dimensions tested. ``mixed``: the groups moved little, but calls shifted between them,
    and the verdict is about that.
    """

    share: float | None
    groups: list[str | None]
    outlying_group: str | None
    verdict: Verdict
    mixed: bool = False


class Dispersion(NamedTuple):
    """The variance of buckets over their variance function, and its degrees of freedom."""

    value: float
    df: float


def find_driver(
    current: GroupedSample, baseline: GroupedSample, *, additive: bool, ratio: float, dimensions: int
) -> Driver:
    """``additive``: of counts or sums. ``ratio``: what a rate of one is written as, 0 for what is no rate."""
    new, old = current.groups, baseline.groups
    parts = {} if additive else rate_and_mix_effects(new, old)
    change_by_group = _additive(new, old) if additive else {name: rate + mix for name, (rate, mix) in parts.items()}
    change = math.fsum(change_by_group.values())
    largest = sorted(change_by_group, key=lambda name: (-change_by_group[name] * math.copysign(1, change), str(name)))[
        :MAX_DRIVING_GROUPS
    ]
    leading = [name for name in largest if change_by_group[name] * change > 0]
    # a second group that adds less than a tenth of the change does not belong to the answer
    if len(leading) == MAX_DRIVING_GROUPS and abs(change_by_group[leading[1]]) < abs(change) / 10:
        leading = leading[:1]
    share = math.fsum(change_by_group[name] for name in leading) / change if change else None
    sides = [GroupBuckets.of(side.buckets) for side in (current, baseline)]
    calls = dispersion(sides, "calls", 0.0)
    spread = calls if additive else dispersion(sides, "rate" if ratio else "mean", ratio)
    scores = _scores(new, old, spread, additive=additive, ratio=ratio)
    outlying_group = max(scores, key=lambda name: (abs(scores[name]), str(name)), default=None)
    largest_score = abs(scores[outlying_group]) if scores else 0.0
    verdict = _verdict_of_score(largest_score, spread.df, max(1, len(scores)) * max(1, dimensions))
    if verdict != "not significant":
        return Driver(share, leading, outlying_group, verdict)
    # no group changed by itself, so the mix of calls may have
    shifted = _verdict_of_score(abs(_mix_score(parts, new, old)) / math.sqrt(calls.value), calls.df, max(1, dimensions))
    return Driver(share, leading, outlying_group, shifted, mixed=shifted != "not significant")


class GroupOutlier(NamedTuple):
    """A group whose change differs from that of the others. ``p_value``: corrected for the groups tested."""

    group: str | None
    p_value: float


def outlying_groups(
    current: GroupedSample, baseline: GroupedSample, *, additive: bool, ratio: float
) -> list[GroupOutlier]:
    """The groups whose change differs from that of the rest, largest first, each tested among those remaining.

    The last one may not be significant. Empty where fewer than two groups have enough calls.
    """
    new, old = dict(current.groups), dict(baseline.groups)
    kind = "calls" if additive else "rate" if ratio else "mean"
    outliers = list[GroupOutlier]()
    while len(outliers) < MAX_OUTLYING_GROUPS:
        cells = [{name: side.buckets[name] for name in new if name in side.buckets} for side in (current, baseline)]
        spread = dispersion([GroupBuckets.of(side) for side in cells], kind, ratio)
        scores = _scores(new, old, spread, additive=additive, ratio=ratio)
        if not scores:
            break
        name = max(scores, key=lambda group: (abs(scores[group]), str(group)))
        p_value = min(1.0, 2 * len(scores) * t_sf(abs(scores[name]), spread.df))
        outliers.append(GroupOutlier(name, p_value))
        if p_value > STOP_P_VALUE:
            break
        del new[name], old[name]
    return outliers


def _verdict_of_score(score: float, df: float, tests: int) -> Verdict:
    if score > t_quantile(two_sided(0.99, tests), df):
        return "clear"
    return "possible" if score > t_quantile(two_sided(0.95, tests), df) else "not significant"


class GroupBuckets(NamedTuple):
    """The buckets of all groups of one side: which group and which time each is of, its calls and its value."""

    groups: Places
    times: Places
    n: Array
    values: Array

    @classmethod
    def of(cls, side: BucketsByGroup) -> "GroupBuckets":
        rows = [(bucket.time, bucket.n or 0.0, bucket.value) for members in side.values() for bucket in members]
        columns = np.array(rows, np.float64).reshape(-1, 3).T
        groups = np.repeat(np.arange(len(side)), [len(members) for members in side.values()])
        return cls(groups, np.unique(columns[0], return_inverse=True)[1], columns[1], columns[2])


def dispersion(sides: Sequence[GroupBuckets], of: str, ratio: float) -> Dispersion:
    """The dispersion of rates, means or numbers of calls, pooled over the groups and buckets of both sides.

    That of means is the variance of a call as a share of the square of the mean; of the others it is 1 at least.
    """
    sum_of_squares = df = 0.0
    for side in sides:
        n, values = (np.ones(len(side.n)), side.n) if of == "calls" else (side.n, side.values)
        used = n > 0
        n, values, keys = n[used], values[used], (side.groups[used], side.times[used])
        degrees_of_freedom = len(n) - sum(int(np.count_nonzero(np.bincount(key))) for key in keys) + 1
        if degrees_of_freedom <= 0 or not len(n):
            continue
        # two-way main effects, groups by times: what remains is the variation that a group's change is tested against
        by_group, by_time = (_means_by(key, n, values) for key in keys)
        whole = float(n @ values) / float(n.sum())
        if of == "rate":
            expected = by_group + by_time - whole
        else:
            expected = by_group * by_time / whole if whole else np.zeros(len(n))
        squares, variances = n * (values - expected) ** 2, _variance(of, expected, n, ratio)
        sum_of_squares += float(np.divide(squares, variances, out=np.zeros(len(n)), where=variances > 0).sum())
        df += degrees_of_freedom
    if of == "mean":
        return Dispersion(sum_of_squares / df if df else 1.0, max(1.0, df))
    return Dispersion(max(1.0, (PRIOR_DF + sum_of_squares) / (PRIOR_DF + df)), PRIOR_DF + df)


def _means_by(keys: Places, n: Array, values: Array) -> Array:
    """For each value the mean of all with its key, by calls."""
    sizes = sums_by(keys, n)
    return np.divide(sums_by(keys, n * values), sizes, out=np.zeros(len(sizes)), where=sizes > 0)[keys]


def _variance(of: str, expected: Array, n: Array, ratio: float) -> Array:
    """The variance function of a single call at each expected value."""
    if of == "rate":
        rates = np.clip(expected / ratio, 1 / (n + 2), 1 - 1 / (n + 2))
        return ratio**2 * rates * (1 - rates)
    return expected**2 if of == "mean" else np.maximum(expected, 0.0)


def _mix_score(parts: Mapping[str | None, tuple[float, float]], current: GroupValues, baseline: GroupValues) -> float:
    """The mix effect in standard errors, where it is the larger part of the change; 0 where it is not.

    Its error is that of shares of independent calls, with the groups' means taken as they are.
    """
    rate, mix = (
        (math.fsum(effects_of_groups) for effects_of_groups in zip(*parts.values(), strict=True))
        if parts
        else (0.0, 0.0)
    )
    if abs(mix) <= abs(rate):
        return 0.0
    variance = 0.0
    for side in (current, baseline):
        whole = math.fsum(n for n, _ in side.values())
        means = [
            ((current.get(name) or values)[1] + (baseline.get(name) or values)[1]) / 2 for name, values in side.items()
        ]
        shares = [n / whole for n, _ in side.values()]
        middle = math.fsum(share * mean for share, mean in zip(shares, means, strict=True))
        variance += math.fsum(s * (mean - middle) ** 2 for s, mean in zip(shares, means, strict=True)) / whole
    return mix / math.sqrt(variance) if variance > 0 else 0.0


def _additive(current: GroupValues, baseline: GroupValues) -> dict[str | None, float]:
    zero = (0.0, 0.0)
    return {
        name: current.get(name, zero)[1] - baseline.get(name, zero)[1] for name in dict.fromkeys([*current, *baseline])
    }


def _scores(
    current: GroupValues, baseline: GroupValues, spread: Dispersion, *, additive: bool, ratio: float
) -> dict[str | None, float]:
    """For each group how its own change differs from that of the others, in standard errors.

    What the others did is the mean of their own changes, each by its precision: calls that shift between them do not
    count as a change.
    """
    both = [name for name in current if name in baseline]
    both = [name for name in both if min(current[name][0], baseline[name][0]) >= MIN_CALLS_OF_GROUP]
    if len(both) < MAX_DRIVING_GROUPS or spread.value <= 0:
        return {}
    (n, new), (m, old) = (np.array([side[name] for name in both], np.float64).T for side in (current, baseline))
    changes, variances = _changes(n, new, m, old, additive=additive, ratio=ratio)
    others = 1 - np.eye(len(both))
    weights = others @ (1 / variances)
    rest = others @ (changes / variances) / weights
    scores = (changes - rest) / np.sqrt(spread.value * (variances + 1 / weights))
    return dict(zip(both, scores.tolist(), strict=True))


def _changes(n: Array, new: Array, m: Array, old: Array, *, additive: bool, ratio: float) -> tuple[Array, Array]:
    """Each group's change with its variance at a dispersion of 1: of rates the difference, else of the logarithms.

    ``n``, ``m``: the calls now and before; ``new``, ``old``: the values.

    Source of the variance for counts: Woolf (1955), of a log odds ratio.
    """
    if ratio:
        return new - old, _variance("rate", new, n, ratio) / n + _variance("rate", old, m, ratio) / m
    if additive:
        return np.log(n / m), 1 / n + 1 / m
    has_log = (new > 0) & (old > 0)
    ratios = np.divide(new, old, out=np.ones(len(n)), where=has_log)
    plain = np.maximum(new * new, _TINY) / n + np.maximum(old * old, _TINY) / m
    return np.where(has_log, np.log(ratios), new - old), np.where(has_log, 1 / n + 1 / m, plain)
