"""Comparisons: this side against that one, with an interval, a verdict, and what contributed.

The error of a side is estimated from how its buckets differ, as calls of one day are more alike than calls of different
days: the linearised variance of a ratio over clusters, Cochran (1977), Sampling Techniques, chapter 6; and it is never
taken to be smaller than if all calls were independent. Intervals are Student's, for as many buckets as there are.
"""

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from cekura_dashboards.insight.course import is_weekend
from cekura_dashboards.insight.distributions import t_quantile, two_sided
from cekura_dashboards.insight.effects import MOST_CONTRIBUTORS, Groups, Row, by_rate_and_mix, more, side_by_side
from cekura_dashboards.insight.numbers import exact, percent_of, sig
from cekura_dashboards.insight.timeline import DAY, HOUR

Kind = Literal["mean", "total", "median", "shares", "figures", "extreme"]
FEW_BUCKETS = 5
"""With fewer full buckets on a side the most that is said is ``possible``."""


class Cell(NamedTuple):
    """One bucket: the calls in it, and their mean, total, or whatever the measure is."""

    time: float
    n: float | None
    value: float
    square: float | None = None
    """The sum of the squared values, where single calls are known."""


@dataclass(frozen=True)
class Side:
    """One of two sides. ``seconds``: how long its window is. ``groups`` map a name to its calls and value.

    ``parts``: labels with their counts, or figures by name.
    """

    cells: Sequence[Cell]
    seconds: float
    groups: Groups = field(default_factory=dict[str | None, tuple[float, float]])
    parts: Mapping[str | None, float] = field(default_factory=dict[str | None, float])
    n: float | None = None


class _Estimate(NamedTuple):
    """A value with its standard error, and the degrees of freedom behind that error."""

    value: float
    error: float
    df: float


def verdict(difference: float, error: float, df: float, *, tests: int = 1, most: str = "clear") -> str:
    """``clear``: the 99 % interval, corrected for how many were tested, excludes no change; ``possible``: the 95 %.

    ``most``: what may be said at the most; where that is ``possible``, the 95 % interval is the one corrected.

    >>> verdict(0.1, 0.01, 12), verdict(0.1, 0.01, 12, most="possible"), verdict(0.1, 0.2, 12)
    ('clear', 'possible', 'within noise')
    """
    if error <= 0 or df <= 0:
        return "within noise" if difference == 0 else "possible"
    size = abs(difference) / error
    if size > t_quantile(two_sided(0.99, tests), df) and most == "clear":
        return "clear"
    corrected = tests if most == "possible" else 1
    return "possible" if size > t_quantile(two_sided(0.95, corrected), df) else "within noise"


def compare(kind: Kind, this: Side, that: Side, *, ratio: float = 0.0, counted: bool = False, tests: int = 1) -> Row:
    """The comparison as a row of figures; ``difference`` is this less that, ``pct`` of that.

    ``ratio``: what a rate of one is written as (1, 100), 0 for what is no rate. ``counted``: the total is of calls.
    A side without data gives a row that says so and compares nothing.
    """
    if kind == "shares":
        return _shares(this, that, tests)
    if kind == "figures":
        return _figures(this, that)
    if not this.cells or not that.cells:
        return {"not_compared": f"no data on {'this' if not this.cells else 'the other'} side"}
    if kind == "total":
        return _totals(this, that, counted=counted, tests=tests)
    if kind == "extreme":
        return _extremes(this, that)
    weekends = _weekends_alike(this, that)
    estimates = [_mean(side, ratio, weekends=weekends) if kind == "mean" else _median(side) for side in (this, that)]
    row = _row(*estimates, tests=tests, few=_few(this, that))
    for name, side in (("this", this), ("that", that)):
        row[name]["n"] = None if side.n is None else exact(side.n)
    return row | (
        by_rate_and_mix(this.groups, that.groups) if kind == "mean" else side_by_side(this.groups, that.groups)
    )


def widening(side: Side, ratio: float) -> float:
    """How much larger a side's error is, as its buckets differ, than if all calls were independent; 1 if not known."""
    found = _mean(side, ratio)
    whole = math.fsum(c.n or 0 for c in side.cells)
    alone = _independent(side, found.value, whole, ratio) if whole else 0.0
    return max(1.0, found.error / alone) if alone > 0 else 1.0


def _few(this: Side, that: Side) -> bool:
    return min(len(this.cells), len(that.cells)) < FEW_BUCKETS


def _row(this: _Estimate, that: _Estimate, *, tests: int, few: bool) -> Row:
    difference = this.value - that.value
    error = math.hypot(this.error, that.error)
    df = _joint_df(this, that)
    row: Row = {
        "this": {"value": sig(this.value)},
        "that": {"value": sig(that.value)},
        "difference": sig(difference, 3),
    }
    if (pct := percent_of(difference, that.value)) is not None:
        row["pct"] = sig(pct, 3)
    if error > 0 and df > 0:
        half = t_quantile(two_sided(0.95), df) * error
        row["ci95"] = [sig(difference - half, 3), sig(difference + half, 3)]
    row["verdict"] = verdict(difference, error, df, tests=tests, most="possible" if few else "clear")
    return row


def _joint_df(this: _Estimate, that: _Estimate) -> float:
    """Of a difference of two estimates. Source: Satterthwaite (1946)."""
    squares = [estimate.error**4 / estimate.df for estimate in (this, that) if estimate.df > 0]
    below = math.fsum(squares)
    return (this.error**2 + that.error**2) ** 2 / below if below > 0 else 0.0


def _weekends_alike(this: Side, that: Side) -> bool:
    """Whether both have as many buckets of weekdays and as many of weekends, two or more of each."""
    found = [Counter(is_weekend(cell.time) for cell in side.cells) for side in (this, that)]
    return found[0] == found[1] and min(found[0][True], found[0][False]) > 1


def _mean(side: Side, ratio: float, *, weekends: bool = False) -> _Estimate:
    """A rate or mean over all calls, its error from how the buckets differ; ``weekends``: apart from weekends.

    Source of the latter: stratified clusters, Cochran (1977), Sampling Techniques, chapter 5.
    """
    weights = [1.0 if any(c.n is None for c in side.cells) else float(c.n or 0) for c in side.cells]
    whole = math.fsum(weights)
    if whole <= 0:
        return _Estimate(0.0, 0.0, 0.0)
    value = math.fsum(c.value * w for c, w in zip(side.cells, weights, strict=True)) / whole
    count = sum(w > 0 for w in weights)
    if count < 2:  # noqa: PLR2004 - one bucket shows no difference
        return _Estimate(value, _independent(side, value, whole, ratio), max(0.0, whole - 1))
    parts = defaultdict[bool, list[float]](list)
    for cell, weight in zip(side.cells, weights, strict=True):
        if weight > 0:
            parts[weekends and is_weekend(cell.time)].append(weight * (cell.value - value))
    square = math.fsum(
        len(part) * statistics.variance(part) if len(part) > 1 else part[0] ** 2 for part in parts.values()
    )
    clustered = math.sqrt(square) / whole
    return _Estimate(value, max(clustered, _independent(side, value, whole, ratio)), max(1, count - len(parts)))


def _independent(side: Side, value: float, whole: float, ratio: float) -> float:
    """The error if all calls were independent; 0 where that is not known."""
    if any(c.n is None for c in side.cells):
        return 0.0
    if ratio:
        rate = min(1.0, max(0.0, value / ratio))
        return ratio * math.sqrt(rate * (1 - rate) / whole)
    if all(c.square is not None for c in side.cells):
        spread = math.fsum(c.square or 0.0 for c in side.cells) / whole - value * value
        return math.sqrt(max(0.0, spread) / whole)
    return 0.0


def _median(side: Side) -> _Estimate:
    """The typical bucket, for percentiles, which cannot be merged."""
    values = [c.value for c in side.cells]
    if len(values) < 2:  # noqa: PLR2004 - one bucket shows no difference
        return _Estimate(values[0], 0.0, 0.0)
    error = math.sqrt(math.pi / 2) * statistics.stdev(values) / math.sqrt(len(values))
    return _Estimate(statistics.median(values), error, len(values) - 1)


def _totals(this: Side, that: Side, *, counted: bool, tests: int) -> Row:
    """Totals, or totals per day where the windows are not equally long; paired bucket by bucket where they can be."""
    same = abs(this.seconds - that.seconds) < 60  # noqa: PLR2004 - a minute
    totals = [math.fsum(c.value for c in side.cells) for side in (this, that)]
    scales = [1.0, 1.0] if same else [DAY / max(this.seconds, HOUR), DAY / max(that.seconds, HOUR)]
    values = [total * scale for total, scale in zip(totals, scales, strict=True)]
    pairs = _paired(this, that) if same else None
    least = math.hypot(*(scale * math.sqrt(max(0.0, t)) for t, scale in zip(totals, scales, strict=True)))
    if pairs is not None:
        error, df = math.sqrt(len(pairs)) * statistics.stdev(pairs), len(pairs) - 1.0
    else:
        errors = [_spread(side) * scale for side, scale in zip((this, that), scales, strict=True)]
        error, df = math.hypot(*errors), float(min(len(this.cells), len(that.cells)) - 1)
    error = max(error, least) if counted else error
    estimates = _Estimate(values[0], error, df), _Estimate(values[1], 0.0, 0.0)
    row = _row(*estimates, tests=tests, few=_few(this, that))
    if not same:
        row["per"] = "day"
    for name, total in (("this", totals[0]), ("that", totals[1])):
        row[name] |= {"total": exact(total)} if not same else {}
        if counted and same:
            row[name]["value"] = exact(total)
    if not this.groups and not that.groups:
        return row
    zero = (0.0, 0.0)
    names = dict.fromkeys([*this.groups, *that.groups])
    changes = [(name, this.groups.get(name, zero)[1], that.groups.get(name, zero)[1]) for name in names]
    ordered = sorted(changes, key=lambda held: (-abs(held[1] * scales[0] - held[2] * scales[1]), str(held[0])))
    rows = [[n, exact(a), exact(b), sig(a * scales[0] - b * scales[1], 3)] for n, a, b in ordered[:MOST_CONTRIBUTORS]]
    return row | {"contributors": {"columns": ["group", "this", "that", "change"], "top": rows, **more(changes)}}


def _paired(this: Side, that: Side) -> list[float] | None:
    """The differences of buckets at the same place in both windows; None where they do not meet."""
    if len(this.cells) != len(that.cells) or len(this.cells) < 2:  # noqa: PLR2004 - no spread
        return None
    shifts = {round(a.time - b.time) for a, b in zip(this.cells, that.cells, strict=True)}
    if len(shifts) > 1:
        return None
    return [a.value - b.value for a, b in zip(this.cells, that.cells, strict=True)]


def _spread(side: Side) -> float:
    values = [c.value for c in side.cells]
    return math.sqrt(len(values)) * statistics.stdev(values) if len(values) > 1 else 0.0


def _extremes(this: Side, that: Side) -> Row:
    """A lowest or highest value: shown, and not tested, as one call decides it."""
    values = [side.parts.get("value", side.cells[0].value) for side in (this, that)]
    return {
        "this": {"value": sig(values[0])},
        "that": {"value": sig(values[1])},
        "difference": sig(values[0] - values[1], 3),
        "verdict": "not tested: one call decides it",
    }


def _shares(this: Side, that: Side, tests: int) -> Row:
    """The labels whose share of calls changed most, in points of percent."""
    wholes = [math.fsum(side.parts.values()) for side in (this, that)]
    if min(wholes) <= 0:
        return {"not_compared": f"no data on {'this' if wholes[0] <= 0 else 'the other'} side"}
    labels = dict.fromkeys([*this.parts, *that.parts])
    rows = list[tuple[float, list[Any]]]()
    for label in labels:
        a, b = this.parts.get(label, 0.0) / wholes[0], that.parts.get(label, 0.0) / wholes[1]
        error = math.sqrt(a * (1 - a) / wholes[0] + b * (1 - b) / wholes[1])
        said = verdict(a - b, error, math.inf, tests=tests * len(labels), most="possible")
        rows.append((abs(a - b), [label, round(100 * a, 1), round(100 * b, 1), round(100 * (a - b), 1), said]))
    rows.sort(key=lambda row: (-row[0], str(row[1][0])))
    return {
        "this": {"n": exact(wholes[0])},
        "that": {"n": exact(wholes[1])},
        "shares": {
            "columns": ["label", "this_pct", "that_pct", "points", "verdict"],
            "top": [row for _, row in rows[:MOST_CONTRIBUTORS]],
            **more(rows),
        },
    }


def _difference(this: float, that: float) -> float | int:
    """Of whole numbers exact."""
    return exact(this - that) if float(this).is_integer() and float(that).is_integer() else sig(this - that, 3)


def _figures(this: Side, that: Side) -> Row:
    """The figures of a stat side by side: how they vary from day to day is not known, so no verdict is given."""
    names = [name for name in this.parts if name in that.parts]
    if not names:
        return {"not_compared": "no figures on one side"}
    rows = [
        [name, exact(this.parts[name]), exact(that.parts[name]), _difference(this.parts[name], that.parts[name])]
        for name in names
    ]
    return {
        "figures": {"columns": ["figure", "this", "that", "difference"], "top": rows},
        "verdict": "not tested: a stat does not show how its figures vary",
    }
