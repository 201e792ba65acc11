"""What groups contributed to a change: by their own rate, and by their share of calls."""

import math
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from cekura_dashboards.stats.numbers import Number, exact, round_for_display
from cekura_dashboards.stats.sample import GroupValues
from cekura_dashboards.text import SafeText

MAX_CONTRIBUTORS = 5
MIN_CALLS_OF_GROUP = 30
"""A group of fewer calls on a side is too small for its rate to be compared."""


class Contributor(BaseModel):
    """One group on both sides. What is absent does not apply: effects split a mean, ``change`` is of a total."""

    model_config = ConfigDict(frozen=True)

    group: SafeText | None = Field(default=None, description="absent: calls without one")
    current: Number | None = Field(default=None, description="absent: no calls on this side")
    baseline: Number | None = None
    n: list[Number | None] | None = Field(default=None, description="calls now and in the baseline")
    rate_effect: Number | None = Field(default=None, description="of the change: what its own rate brought")
    mix_effect: Number | None = Field(default=None, description="of the change: what its share of calls brought")
    change: Number | None = None
    only: str | None = Field(default=None, description="new or gone: it has calls on one side only")


class Contributors(BaseModel):
    """The groups that brought most of a change. The effects of all groups add up to the change."""

    model_config = ConfigDict(frozen=True)

    top: list[Contributor]
    more: int | None = Field(default=None, description="groups beyond those shown")
    rate_effect: Number | None = Field(default=None, description="of all groups together")
    mix_effect: Number | None = Field(default=None, description="of all groups together")
    simpson: bool | None = Field(
        default=None, description="every larger group moved the other way than the whole, as the mix of calls changed"
    )


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
        simpson=_is_simpson(current, baseline, rate + mix) or None,
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
    moved = {name: new * scales[0] - old * scales[1] for name, (new, old) in changes.items()}
    ordered = sorted(changes, key=lambda name: (-abs(moved[name]), str(name)))
    top = [
        Contributor(
            group=name,
            current=exact(changes[name][0]),
            baseline=exact(changes[name][1]),
            n=_sizes(name, current, baseline),
            change=round_for_display(moved[name], 3),
            only=_only(*changes[name]),
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
        only=_only(new[0], old[0]),
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
    return len(larger) > 1 and bool(change) and all(moved * change < 0 for moved in larger)


def count_beyond_shown(rows: Sequence[Any]) -> int | None:
    """How many there are beyond those that are shown; None if there are none."""
    return len(rows) - MAX_CONTRIBUTORS if len(rows) > MAX_CONTRIBUTORS else None
