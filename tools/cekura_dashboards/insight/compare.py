"""Comparisons: current against baseline, with an interval, a verdict, and what contributed."""

import math
import statistics
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from cekura_dashboards.insight.clock import UTC_CLOCK, Clock
from cekura_dashboards.insight.distributions import t_quantile, two_sided
from cekura_dashboards.insight.effects import (
    MOST_CONTRIBUTORS,
    Contributors,
    by_rate_and_mix,
    more,
    of_totals,
    side_by_side,
)
from cekura_dashboards.insight.estimates import (
    SPREAD_OF_CALLS,
    USUAL_VARIATION,
    USUAL_WORTH,
    Cell,
    Side,
    Verdict,
    design_effect,
    difference_of_totals,
    interval,
    mean_of,
    means,
    medians,
    ratio_of_totals,
    unit_of_sums,
    verdict,
)
from cekura_dashboards.insight.numbers import Number, exact, relative, round_for_display
from cekura_dashboards.insight.timeline import DAY, HOUR
from cekura_dashboards.text import Word

Kind = Literal["mean", "total", "median", "shares", "figures", "extreme"]
FEW_BUCKETS = 5
"""With fewer full buckets on a side the most that is said is ``possible``."""
MOST_GROWTH = math.log(1e6)
"""An interval that reaches further says nothing."""


class _Shown(BaseModel):
    model_config = ConfigDict(frozen=True)


class SideShown(_Shown):
    """One side's figures."""

    value: Number | None = None
    n: Number | None = Field(default=None, description="calls")
    total: Number | None = Field(default=None, description="of the whole side, where value is per day")


class ShareChange(_Shown):
    """A label's share of calls, in percent; ``points``: the change in percentage points."""

    label: Word | None = Field(default=None, description="absent: calls without one")
    current_pct: float
    baseline_pct: float
    points: float
    verdict: Verdict


class Shares(_Shown):
    """The labels whose share of calls changed most."""

    top: list[ShareChange]
    more: int | None = Field(default=None, description="labels beyond those shown")


class FigureChange(_Shown):
    """One figure of a stat on both sides, in its own unit."""

    figure: Word
    current: Number
    baseline: Number
    difference: Number
    verdict: Verdict


class Comparison(_Shown):
    """Current against baseline; differences are current less baseline, in the unit of the chart."""

    start: str | None = Field(default=None, serialization_alias="from", description="of the baseline")
    end: str | None = Field(default=None, serialization_alias="to", description="of the baseline")
    against: str | None = None
    where: str | None = Field(default=None, description="the baseline's calls, if it is other calls")
    not_compared: str | None = Field(default=None, description="why")
    current: SideShown | None = None
    baseline: SideShown | None = None
    difference: Number | None = None
    pct: Number | None = Field(default=None, description="relative, in percent of baseline")
    ci95: list[Number] | None = Field(default=None, description="of the difference")
    per: str | None = Field(default=None, description="day: the sides are not equally long, so values are per day")
    verdict: Verdict | None = None
    not_tested: str | None = Field(default=None, description="why there is no verdict")
    contributors: Contributors | None = None
    shares: Shares | None = None
    figures: list[FigureChange] | None = None
    notes: list[str] | None = None

    def untested(self, why: str) -> "Comparison":
        """The same figures, none of them with a verdict, and the reason why."""
        none = {"verdict": "not tested"}
        figures = self.figures and [row.model_copy(update=none) for row in self.figures]
        shares = self.shares and self.shares.model_copy(
            update={"top": [row.model_copy(update=none) for row in self.shares.top]}
        )
        return self.model_copy(update={**none, "not_tested": why, "ci95": None, "figures": figures, "shares": shares})


def compare(
    kind: Kind,
    current: Side,
    baseline: Side,
    *,
    ratio: float = 0.0,
    counted: bool = False,
    tests: int = 1,
    parts: int = 1,
    most: str = "clear",
    clock: Clock = UTC_CLOCK,
) -> Comparison:
    """``ratio``: what a rate of one is written as (1, 100), 0 for what is no rate. ``counted``: the total is of calls.

    ``tests``: how many charts are compared in this answer; ``parts``: of how many parts of a chart this is one.
    ``most``: the most that may be said, ``possible`` where the sides are not alike. A side without data compares
    nothing, and that is said.
    """
    if kind == "shares":
        return _shares(current, baseline, tests, most, clock)
    if kind == "figures":
        return _figures(current, baseline, tests, most, clock)
    if not current.cells or not baseline.cells:
        side = "in the current window" if not current.cells else "in the baseline"
        return Comparison(not_compared=f"no data {side}")
    if kind == "extreme":
        return _extremes(current, baseline)
    if min(len(current.cells), len(baseline.cells)) < FEW_BUCKETS:
        most = "possible"
    if kind == "total":
        return _totals(current, baseline, counted=counted, tests=tests, parts=parts, most=most)
    if kind == "median":
        values = [statistics.median(cell.value for cell in side.cells) for side in (current, baseline)]
        found = medians(current, baseline, values)
    else:
        values = [mean_of(side) for side in (current, baseline)]
        found = means(current, baseline, values, ratio, clock)
    split = by_rate_and_mix if kind == "mean" else side_by_side
    sides = [
        SideShown(value=round_for_display(value), n=None if side.n is None else exact(side.n))
        for value, side in zip(values, (current, baseline), strict=True)
    ]
    return Comparison(
        current=sides[0],
        baseline=sides[1],
        difference=round_for_display(found.difference, 3),
        pct=relative(found.difference, values[1]),
        ci95=interval(found),
        verdict=verdict(*found, tests=tests, parts=parts, most=most),
        contributors=split(current.groups, baseline.groups),
    )


def _totals(current: Side, baseline: Side, *, counted: bool, tests: int, parts: int, most: str) -> Comparison:
    """Totals, or totals per day where the windows are not equally long."""
    sides = current, baseline
    same = abs(current.seconds - baseline.seconds) < 60  # noqa: PLR2004 - a minute
    totals = [math.fsum(c.value for c in side.cells) for side in sides]
    scales = (1.0, 1.0) if same else tuple(DAY / max(side.seconds, HOUR) for side in sides)
    values = [total * scale for total, scale in zip(totals, scales, strict=True)]
    unit = 1.0 if counted else unit_of_sums(sides, totals)
    found = ratio_of_totals(sides, unit) if min(totals) >= 0 else difference_of_totals(sides, scales)
    shown = [
        SideShown(
            value=exact(value) if counted and same else round_for_display(value),
            total=None if same else exact(total),
        )
        for value, total in zip(values, totals, strict=True)
    ]
    log = min(totals) >= 0
    ci95 = None
    if found.error > 0 and not log:
        ci95 = interval(found)
    elif found.error > 0 and values[1] > 0:
        half = t_quantile(two_sided(0.95), found.df) * found.error
        if found.difference + half < MOST_GROWTH:
            bounds = (values[1] * math.expm1(found.difference + sign * half) for sign in (-1, 1))
            ci95 = [round_for_display(bound, 3) for bound in bounds]
    return Comparison(
        current=shown[0],
        baseline=shown[1],
        difference=round_for_display(values[0] - values[1], 3),
        pct=relative(values[0] - values[1], values[1]),
        ci95=ci95,
        per=None if same else "day",
        verdict=verdict(*found, tests=tests, parts=parts, most=most),
        contributors=of_totals(current.groups, baseline.groups, (scales[0], scales[1])),
    )


def _extremes(current: Side, baseline: Side) -> Comparison:
    """A lowest or highest value: shown, and not tested, as one call decides it."""
    values = [side.parts.get("value", side.cells[0].value) for side in (current, baseline)]
    return Comparison(
        current=SideShown(value=round_for_display(values[0])),
        baseline=SideShown(value=round_for_display(values[1])),
        difference=round_for_display(values[0] - values[1], 3),
        verdict="not tested",
        not_tested="one call decides a lowest or highest value",
    )


def _shares(current: Side, baseline: Side, tests: int, most: str, clock: Clock) -> Comparison:
    """The labels whose share of calls changed most, in points of percent.

    Their error is that of independent calls times one design effect: that seen in how all labels vary from day to day,
    or where that is not known the usual one.

    Source: the first-order correction of Rao and Scott (1981), Journal of the American Statistical Association 76.
    """
    wholes = [math.fsum(side.parts.values()) for side in (current, baseline)]
    if min(wholes) <= 0:
        side = "in the current window" if wholes[0] <= 0 else "in the baseline"
        return Comparison(not_compared=f"no data {side}")
    labels = dict.fromkeys([*current.parts, *baseline.parts])
    designs = [design_effect(whole, side.seconds) for whole, side in zip(wholes, (current, baseline), strict=True)]
    seen, days = _design_seen(current, baseline, clock)
    if seen is not None:
        designs = [seen, seen]
    if days < FEW_BUCKETS:
        most = "possible"
    found = list[ShareChange]()
    for label in labels:
        shares = [side.parts.get(label, 0.0) / whole for side, whole in zip((current, baseline), wholes, strict=True)]
        square = math.fsum(
            max(share * (1 - share), 0.25 / whole) * design / whole
            for share, whole, design in zip(shares, wholes, designs, strict=True)
        )
        change = shares[0] - shares[1]
        found.append(
            ShareChange(
                label=label,
                current_pct=round(100 * shares[0], 1),
                baseline_pct=round(100 * shares[1], 1),
                points=round(100 * change, 1),
                verdict=verdict(change, math.sqrt(square), math.inf, tests=tests, parts=len(labels), most=most),
            )
        )
    found.sort(key=lambda row: (-abs(row.points), str(row.label)))
    return Comparison(
        current=SideShown(n=exact(wholes[0])),
        baseline=SideShown(n=exact(wholes[1])),
        shares=Shares(top=found[:MOST_CONTRIBUTORS], more=more(found)),
    )


def _design_seen(current: Side, baseline: Side, clock: Clock) -> tuple[float | None, int]:
    """By how much the variance of shares is larger than that of independent calls, and the days that show it."""
    square = plain = 0.0
    days = 0
    for label in {*current.over_time} & {*baseline.over_time}:
        pair = current.of_part(label), baseline.of_part(label)
        values, calls = [mean_of(side) for side in pair], [math.fsum(c.n or 0 for c in side.cells) for side in pair]
        if min(calls) <= 0:
            continue
        square += means(*pair, values, 1.0, clock).error ** 2
        plain += math.fsum(value * (1 - value) / n for value, n in zip(values, calls, strict=True))
        days = min(len(side.cells) for side in pair)
    return (square / plain if plain > 0 else None), days


def _figures(current: Side, baseline: Side, tests: int, most: str, clock: Clock) -> Comparison:
    """The figures of a stat side by side, tested as shares are."""
    names = [name for name in current.parts if name in baseline.parts]
    if not names:
        return Comparison(not_compared="no figures on one side")
    rows = list[FigureChange]()
    for name in names:
        pair = current.parts[name], baseline.parts[name]
        rows.append(
            FigureChange(
                figure=name or "",
                current=exact(pair[0]),
                baseline=exact(pair[1]),
                difference=difference(*pair),
                verdict=_figure_over_time(name or "", current, baseline, tests, len(names), most, clock)
                or figure_verdict(name or "", current, baseline, tests * len(names)),
            )
        )
    return Comparison(figures=rows)


def _figure_over_time(
    name: str, current: Side, baseline: Side, tests: int, parts: int, most: str, clock: Clock
) -> Verdict | None:
    """The verdict on a figure by how it varies over time; None where that is not known."""
    pair = current.of_part(name), baseline.of_part(name)
    if not all(side.cells for side in pair):
        return None
    if name == "total_calls":
        return compare("total", *pair, counted=True, tests=tests, parts=parts, most=most).verdict
    ratio = 0.0
    if name == "success_rate":
        ratio = 100.0 if max(cell.value for side in pair for cell in side.cells) > 1 else 1.0
    return compare("mean", *pair, ratio=ratio, tests=tests, parts=parts, most=most, clock=clock).verdict


def difference(current: float, baseline: float) -> Number:
    """Of whole numbers exact."""
    if float(current).is_integer() and float(baseline).is_integer():
        return exact(current - baseline)
    return round_for_display(current - baseline, 3)


def figure_verdict(name: str, current: Side, baseline: Side, tests: int) -> Verdict:
    """Of calls, success and duration, from what is usual; of anything else nothing is known."""
    calls = [side.parts.get("total_calls", 0.0) for side in (current, baseline)]
    if min(calls) < 1:
        return "not tested"
    sides = [
        Side([Cell(0.0, n, side.parts.get(name, 0.0))], side.seconds)
        for side, n in zip((current, baseline), calls, strict=True)
    ]
    if name == "total_calls":
        days = [max(1.0, side.seconds / DAY) for side in sides]
        square = math.fsum(1 / n + USUAL_VARIATION**2 / d for n, d in zip(calls, days, strict=True))
        log = math.log(calls[0] / sides[0].seconds) - math.log(calls[1] / sides[1].seconds)
        return verdict(log, math.sqrt(square), USUAL_WORTH, tests=tests, most="possible")
    values = [side.cells[0].value for side in sides]
    if name == "success_rate":
        unit = 100.0 if max(values) > 1 else 1.0
        variances = [unit**2 * max(v / unit * (1 - v / unit), 0.25 / n) for v, n in zip(values, calls, strict=True)]
    elif name == "avg_duration":
        variances = [(SPREAD_OF_CALLS * value) ** 2 for value in values]
    else:
        return "not tested"
    square = math.fsum(
        variance / n * design_effect(n, side.seconds) for variance, n, side in zip(variances, calls, sides, strict=True)
    )
    return verdict(values[0] - values[1], math.sqrt(square), USUAL_WORTH, tests=tests, most="possible")
