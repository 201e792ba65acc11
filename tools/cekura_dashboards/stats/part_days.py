"""Parts of a day whose hours differ from the rest of it: a shift of several hours that the day's own level absorbs.

Given the calls of a day, those of some of its hours are binomial, whatever the level of the day.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from cekura_dashboards.stats.arrays import Array, Places, np
from cekura_dashboards.stats.seasonality import SeasonalFit, standardise
from cekura_dashboards.stats.significance import NORMAL, two_sided
from cekura_dashboards.stats.time_series import calendar
from cekura_dashboards.stats.timeline import DAY, HOUR, Clock, Span

LENGTHS = (3, 4, 6, 8, 12)
"""Hours of a part that are tried. A choice: at most half a day, so that the rest says what is usual."""
MIN_EXPECTED = 20.0
"""The least expected calls in a part and in the rest of its day, as the normal distribution is used. A choice."""
BOUND = 2.5
"""Hours further from their expected value, in standard deviations, count as this far: one is no part of a day."""
HOURS_OF_DAY = 24


class PartDay(NamedTuple):
    """A half-open stretch of hours, its score, and the calls an hour expected by the rest of its day."""

    start: int
    end: int
    score: float
    expected: float
    p_value: float
    clear: bool


def find_part_days(
    fit: SeasonalFit, window: Span, clock: Clock, levels: tuple[float, float], steps: Sequence[float]
) -> list[PartDay]:
    """The parts of days that differ, the surest of each day.

    ``fit``: of hourly counts. ``levels``: for both verdicts, the chance of none where nothing differs. ``steps``: when
    the level changed; on such a day and the next to it a part that differs is the change itself.
    """
    series = fit.series
    places = calendar(series.times + series.step / 2, clock)
    days, first, sizes = np.unique(places.day, return_index=True, return_counts=True)
    whole = np.flatnonzero(sizes == HOURS_OF_DAY)
    if series.step != HOUR or series.scale != "count" or len(whole) < 7 or (np.diff(days) != 1).any():  # noqa: PLR2004 - a week
        return []
    rows = first[whole][:, None] + np.arange(HOURS_OF_DAY)
    expected, spread = fit.expected[rows], np.sqrt(fit.expected[rows] * (1 + fit.excess * fit.expected[rows]))
    counts = expected + np.clip(series.values[rows] - expected, -BOUND * spread, BOUND * spread)
    usual = np.maximum(fit.levels.level(fit.hours)[rows], 1e-9)
    scores = {length: _scores(counts, usual, fit.excess, length) for length in LENGTHS}
    starts = series.times[rows]
    tested = (starts[:, 0] + DAY > window.start) & (starts[:, 0] < window.end)
    for step in steps:
        tested &= np.abs(starts[:, 0] + DAY / 2 - step) > 1.5 * DAY
    count = sum(int((scores[length][tested] != 0).sum()) for length in LENGTHS)
    if not count:
        return []
    clear, possible = (NORMAL.inv_cdf(two_sided(level, count)) for level in levels)
    parts = list[PartDay]()
    for row in np.flatnonzero(tested).tolist():
        length = max(LENGTHS, key=lambda each: float(np.abs(scores[each][row]).max()))
        hour = int(np.abs(scores[length][row]).argmax())
        score = float(scores[length][row, hour])
        if abs(score) <= possible or _is_weekly(scores[length][:, hour], days[whole], row):
            continue
        part = slice(hour, hour + length)
        level = (counts[row].sum() - counts[row, part].sum()) / (usual[row].sum() - usual[row, part].sum())
        p_value = min(1.0, 2 * count * NORMAL.cdf(-abs(score)))
        at = int(rows[row, hour])
        mean = float(usual[row, part].mean() * level)
        parts.append(PartDay(at, at + length, score, mean, p_value, abs(score) > clear))
    return parts


def _scores(counts: Array, usual: Array, excess: float, length: int) -> Array:
    """The score of each part of so many hours, by day and first hour, in standard deviations; 0 where too few calls."""
    parts, expected = _sums(counts, length), _sums(usual, length)
    totals = counts.sum(axis=1, keepdims=True)
    share = expected / usual.sum(axis=1, keepdims=True)
    means = usual * totals / usual.sum(axis=1, keepdims=True)
    of_hours = means + excess * means * means
    inside = _sums(of_hours, length)
    variance = (1 - share) ** 2 * inside + share**2 * (of_hours.sum(axis=1, keepdims=True) - inside)
    enough = (totals * share >= MIN_EXPECTED) & (totals * (1 - share) >= MIN_EXPECTED)
    scores = np.where(enough, (parts - totals * share) / np.sqrt(np.maximum(variance, 1e-9)), 0.0)
    places = np.flatnonzero(enough.ravel())
    flat = scores.ravel()
    if len(places):
        flat[places] = standardise(flat[places], least=1.0)
    return flat.reshape(scores.shape)


def _sums(values: Array, length: int) -> Array:
    """The sums of neighbouring hours, by first hour."""
    cumulative = np.concatenate([np.zeros((len(values), 1)), values.cumsum(axis=1)], axis=1)
    sums: Array = cumulative[:, length:] - cumulative[:, :-length]
    return sums


def _is_weekly(scores: Array, days: Places, row: int) -> bool:
    """Whether the same hours of the same weekday differ likewise in another week."""
    same = (days - days[row]) % 7 == 0
    same[row] = False
    return bool((scores[same] * math.copysign(1, scores[row]) > abs(float(scores[row])) / 2).any())
