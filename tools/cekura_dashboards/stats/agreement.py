"""One change, one verdict: a comparison has that of the step, trend or outage that explains its difference.

A step is tested at its own place on 30 days, whatever two windows a question compares. What such a comparison adds
depends on where their border happens to lie, so two verdicts of the same change would contradict each other.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cekura_dashboards.stats.findings import Finding, Gap, Step, Trend, Unusual, Verdict, percent_of
from cekura_dashboards.stats.significance import Sample, call_weights
from cekura_dashboards.stats.timeline import DAY, moment_of

MOST_APART = 3.0
"""A finding explains a difference that is between a third and three times what it predicts.

A choice: both are estimates, and a step that is found a day late predicts a seventh less in a week.
"""
LEAST_SHARE = 0.5
"""Of all the effects in the windows, by size, that of the finding that explains the difference. A choice."""
RANKS: dict[Verdict, int] = {"not tested": 0, "not significant": 1, "possible": 2, "clear": 3}


class Difference(NamedTuple):
    """A difference of current less baseline. ``pct``: in percent of the baseline; None: from nothing.

    ``is_total``: of totals, whose findings are about single buckets, so that only percentages compare.
    """

    value: float
    pct: float | None = None
    is_total: bool = False


class Agreed(NamedTuple):
    """A verdict; whether it is that of a change over time, and of which, if the comparison alone had another."""

    verdict: Verdict
    is_explained: bool = False
    by: str | None = None


def agreed(
    verdict: Verdict, difference: Difference, findings: Sequence[Finding], current: Sample, baseline: Sample
) -> Agreed:
    """The verdict on a difference, beside what was found in the same values over time.

    That of the step that explains it, be it more or less certain; that of a trend or outage only if more certain.
    """
    if verdict == "not tested":
        return Agreed(verdict)
    item = explanation(difference, findings, current, baseline)
    if item is None or (not isinstance(item, Step) and RANKS[item.verdict] < RANKS[verdict]):
        return Agreed(verdict)
    return Agreed(item.verdict, is_explained=True, by=None if item.verdict == verdict else _named(item))


def explanation(
    difference: Difference, findings: Iterable[Finding], current: Sample, baseline: Sample
) -> Step | Trend | Gap | None:
    """The finding that explains a difference: most of all that happened, in its direction, and of about its size."""
    items = [item for item in findings if not isinstance(item, Unusual)]
    is_relative = difference.pct is not None and all(isinstance(item, Gap) or item.pct is not None for item in items)
    size = difference.pct if is_relative else None if difference.is_total else difference.value
    if not size:
        return None
    effects = [_effect(item, current, baseline, is_relative=is_relative) for item in items]
    if not any(effects):
        return None
    lead, whole = max(effects, key=abs), math.fsum(effects)
    is_most = abs(lead) >= LEAST_SHARE * math.fsum(map(abs, effects))
    is_alike = lead * size > 0 and whole * size > 0 and 1 / MOST_APART <= size / whole <= MOST_APART
    return items[effects.index(lead)] if is_most and is_alike else None


def _effect(item: Step | Trend | Gap, current: Sample, baseline: Sample, *, is_relative: bool) -> float:
    """What a finding makes the current side differ by: in percent of the baseline, or in the unit of the values."""
    match item:
        case Step():
            at = moment_of(item.at).timestamp()
            moved = _share_from(current, at) - _share_from(baseline, at)
            return moved * ((item.pct or 0.0) if is_relative else item.change)
        case Trend():
            days = (_mean_time(current) - _mean_time(baseline)) / DAY
            per_day = (item.pct or 0.0) * item.per_day / item.change if is_relative and item.change else item.per_day
            return days * per_day
        case Gap():
            times = [cell.time for cell in current.buckets]
            calls = math.fsum(cell.value for cell in baseline.buckets)
            at = moment_of(item.start).timestamp()
            is_inside = bool(times) and times[0] <= at < times[-1] + DAY
            return -100 * item.expected_calls / calls if is_relative and is_inside and calls > 0 else 0.0


def _share_from(side: Sample, at: float) -> float:
    """The part of a side, by its calls, of the days that lie mostly after a moment."""
    weights = call_weights(side.buckets)
    later = [weight for cell, weight in zip(side.buckets, weights, strict=True) if cell.time + DAY / 2 > at]
    return math.fsum(later) / (math.fsum(weights) or 1.0)


def _mean_time(side: Sample) -> float:
    weights = call_weights(side.buckets)
    sums = math.fsum(weight * cell.time for cell, weight in zip(side.buckets, weights, strict=True))
    return sums / (math.fsum(weights) or 1.0)


def _named(item: Step | Trend | Gap) -> str:
    match item:
        case Step():
            return f"the {item.kind} at {item.at}"
        case Trend():
            return f"the trend from {item.start}"
        case Gap():
            return f"the outage from {item.start}"


def mirrored(item: Step | Trend, whole: float) -> Step | Trend:
    """The change of a rate as that of the rate of all other calls. ``whole``: what a rate of one is written as."""
    if isinstance(item, Step):
        start = whole - item.before
        update = {"before": start, "after": whole - item.after, "change": -item.change}
    else:
        start = whole - (100 * item.change / item.pct if item.pct else whole)
        update = {"per_day": -item.per_day, "change": -item.change}
    return item.model_copy(update={**update, "pct": percent_of(-item.change, start)})
