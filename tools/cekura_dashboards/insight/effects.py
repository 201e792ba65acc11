"""What groups contributed to a change: by their own rate, and by their share of calls."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from cekura_dashboards.insight.numbers import sig

MOST_CONTRIBUTORS = 5
ENOUGH_CALLS = 30
Groups = Mapping[str | None, tuple[float, float]]
"""Name to calls and value."""
Row = dict[str, Any]


def by_rate_and_mix(this: Groups, that: Groups) -> Row:
    """How much of the change each group brought by its own rate, and by its share of calls; they add up to the change.

    Source: Kitagawa (1955), Journal of the American Statistical Association 50, with the mix about the overall mean.
    """
    split = effects(this, that)
    if not split:
        return {}
    ordered = sorted(split.items(), key=lambda item: (-abs(sum(item[1])), str(item[0])))
    rows = [
        [name, _value(this, name), _value(that, name), sig(rate, 3), sig(mix, 3)]
        for name, (rate, mix) in ordered[:MOST_CONTRIBUTORS]
    ]
    row: Row = {
        "rate_effect": sig(math.fsum(rate for rate, _ in split.values()), 3),
        "mix_effect": sig(math.fsum(mix for _, mix in split.values()), 3),
        "contributors": {
            "columns": ["group", "this", "that", "rate_effect", "mix_effect"], "top": rows, **more(ordered),
        },
    }  # fmt: skip
    if _is_simpson(this, that, math.fsum(rate + mix for rate, mix in split.values())):
        row["simpson"] = "every larger group moved the other way than the whole: the mix of calls changed"
    return row


def side_by_side(this: Groups, that: Groups) -> Row:
    """The largest groups with their typical bucket on both sides: percentiles do not split into parts."""
    shared = [name for name in this if name in that]
    if not shared:
        return {}
    ordered = sorted(shared, key=lambda name: (-this[name][0] - that[name][0], str(name)))
    rows = [
        [
            name,
            sig(this[name][1]),
            sig(that[name][1]),
            sig(this[name][1] - that[name][1], 3),
        ]
        for name in ordered[:MOST_CONTRIBUTORS]
    ]
    return {"contributors": {"columns": ["group", "this", "that", "change"], "top": rows, **more(ordered)}}


def _value(side: Groups, name: str | None) -> float | int | None:
    held = side.get(name)
    return sig(held[1]) if held and held[0] else None


def effects(this: Groups, that: Groups) -> dict[str | None, tuple[float, float]]:
    """The rate effect and the mix effect of each group, from its calls and its mean on both sides.

    >>> effects({"a": (50, 0.8), "b": (50, 0.4)}, {"a": (80, 0.8), "b": (20, 0.4)})
    {'a': (0.0, -0.042), 'b': (0.0, -0.078)}
    """
    wholes = [math.fsum(n for n, _ in side.values()) for side in (this, that)]
    if min(wholes) <= 0:
        return {}
    means = [
        math.fsum(n * value for n, value in side.values()) / whole
        for side, whole in zip((this, that), wholes, strict=True)
    ]
    middle, found = sum(means) / 2, dict[str | None, tuple[float, float]]()
    for name in dict.fromkeys([*this, *that]):
        new_n, new = this.get(name, (0.0, 0.0))
        old_n, old = that.get(name, (0.0, 0.0))
        new, old = (old if not new_n else new), (new if not old_n else old)
        shares = new_n / wholes[0], old_n / wholes[1]
        rate = (new - old) * (shares[0] + shares[1]) / 2
        mix = (shares[0] - shares[1]) * ((new + old) / 2 - middle)
        found[name] = (round(rate, 15) + 0.0, round(mix, 15) + 0.0)
    return found


def _is_simpson(this: Groups, that: Groups, change: float) -> bool:
    larger = [
        this[name][1] - that[name][1]
        for name in this
        if name in that and min(this[name][0], that[name][0]) >= ENOUGH_CALLS
    ]
    return len(larger) > 1 and bool(change) and all(moved * change < 0 for moved in larger)


def more(held: Sequence[Any]) -> Row:
    """How many contributors beyond those that are shown."""
    return {"more": len(held) - MOST_CONTRIBUTORS} if len(held) > MOST_CONTRIBUTORS else {}
