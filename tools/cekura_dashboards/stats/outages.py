"""Gaps: stretches without a single call, where so many usually come that this is no chance."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from cekura_dashboards.stats.seasonality import SeasonalFit
from cekura_dashboards.stats.timeline import DAY, Span

MIN_SURPRISE = 15.0
"""So many calls must have been missed: were they independent, none at all would be likelier than 1 in 3 million."""
NIGHT_CALLS = 1.0
WEEKLY_SHARE = 4
"""In other weeks at least this part of what is usual must have come."""


class Outage(NamedTuple):
    """The half-open stretch of time without a call, and how many usually come in it.

    ``p_value``: how likely one is anywhere in the course.
    """

    start: float
    end: float
    expected: float
    p_value: float = 1.0


def find_outages(fit: SeasonalFit, window: Span) -> list[Outage]:
    """The gaps in counts that reach into the window, in order of time. Before the first call there is none."""
    times, step = fit.series.times, fit.series.step
    values = fit.series.present_values()
    usual = [fit.value(effect) for effect in fit.hours]
    outages, start = list[Outage](), None
    for i in range(len(values) + 1):
        empty = i < len(values) and values[i] <= 0
        if empty and start is None:
            start = i
        elif not empty and start is not None:
            surprise = _surprise(usual[start:i], fit.excess)
            if start and surprise >= MIN_SURPRISE and not _is_weekly(fit, start, i, surprise):
                first, last = _trim(usual, start, i)
                expected, p_value = math.fsum(usual[first:last]), min(1.0, len(values) * math.exp(-surprise))
                outages.append(Outage(times[first], times[last - 1] + step, expected, p_value))
            start = None
    return [gap for gap in outages if gap.start < window.end and gap.end > window.start]


def _surprise(usual: Sequence[float], excess: float) -> float:
    """Minus the logarithm of the chance that all are empty: for Poisson counts, the calls that usually come."""
    if excess <= 0:
        return math.fsum(usual)
    return math.fsum(math.log1p(excess * u) / excess for u in usual)


def _is_weekly(fit: SeasonalFit, start: int, end: int, expected: float) -> bool:
    """Whether hardly a call comes at this time of other weeks either, such as on Sundays."""
    values, week = dict(zip(fit.series.times, fit.series.present_values(), strict=True)), 7 * DAY
    others = [
        values[time + shift * week]
        for time in fit.series.times[start:end]
        for shift in (-3, -2, -1, 1, 2, 3)
        if time + shift * week in values
    ]
    return bool(others) and math.fsum(others) / len(others) * (end - start) < expected / WEEKLY_SHARE


def _trim(usual: Sequence[float], start: int, end: int) -> tuple[int, int]:
    """Without the buckets at both ends in which hardly a call is usual: they are night."""
    while start < end - 1 and usual[start] < NIGHT_CALLS:
        start += 1
    while end > start + 1 and usual[end - 1] < NIGHT_CALLS:
        end -= 1
    return start, end
