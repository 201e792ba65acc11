"""Outliers: buckets too far from what is expected for their hour and day to be noise; and outages."""

import math
import statistics
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from cekura_dashboards.stats.distributions import NORMAL, t_quantile, t_sf, two_sided
from cekura_dashboards.stats.seasonality import SeasonalFit
from cekura_dashboards.stats.timeline import DAY, Span

CLEAR_LEVEL, POSSIBLE_LEVEL, POSSIBLE_LEVEL_OF_HOURS = 0.995, 0.99, 0.92
"""The chance that a window without outliers gives no finding: 1 - the error rate over all its buckets.

Hours and days are both tested, so each gets half of 1 % for ``clear`` and less than half of 5 % for ``possible``. Hours
of counts and rates get more, as discrete values do not use up their error rate. How the rest is divided is a choice.
"""
MAX_OUTLIER_SHARE, MIN_OUTLIERS = 10, 3
"""Up to a tenth of the buckets can be outliers, and up to three of fewer than 30. Choices."""
TAIL_SHARE, MIN_VALUES_FOR_TAIL = 20, 100
"""The tail is the most extreme of so many values; estimated from at least so many values, so from five. Choices."""
TAIL_MARGIN, TAIL_MARGIN_OF_EXTREMES = 1.15, 1.2
"""Factors on the estimated length of a tail, as it is estimated from few values. Choices."""
EULER_MASCHERONI = 0.5772
NORMAL_TAIL = 0.65
"""That of normal values is 0.46 standard deviations long, and hardly ever looks longer than this."""
RELATIVE_TOLERANCE = 1e-9
"""Of the mean square: a smaller variance is rounding error."""


class OutlierRun(NamedTuple):
    """The half-open stretch of neighbouring outliers in one direction.

    ``p_value``: of the largest score among all that were tested, if none is an outlier.
    """

    start: int
    end: int
    score: float
    clear: bool
    p_value: float = 1.0


def find_outlier_runs(
    scores: Sequence[float],
    tested: Sequence[bool],
    *,
    possible_level: float = POSSIBLE_LEVEL,
    used_df: int = 1,
    exact: bool = False,
    extreme: bool = False,
    lowest: Sequence[float] = (),
) -> list[OutlierRun]:
    """The runs among those that are ``tested``, the largest first.

    ``scores``: residuals in standard deviations. ``possible_level``: the chance of no finding where there are no
    outliers. ``exact``: their distribution is known to be normal, with no other spread; else their own spread and tails
    count, of which ``used_df`` degrees of freedom are spent already. ``extreme``: they are highest or lowest values
    themselves, or near those, whose tails are longer. ``lowest``: how far below its expected value each could be at
    most; empty where that is not bounded.

    >>> few = [0.1, -1.0, 0.5, 0.2, 9.0, 8.0, -0.3, 0.9, -0.6, 0.4, -0.2, 0.3]
    >>> [run[:2] for run in find_outlier_runs(few, [True] * 12)], find_outlier_runs(few[6:], [True] * 6)
    ([(4, 6)], [])
    """
    count = sum(tested)
    if not count:
        return []
    if exact:
        attainable = [score for score, here in zip(lowest or [math.inf] * len(scores), tested, strict=True) if here]
        bounds = [
            (_lower_bound(attainable, level), NORMAL.inv_cdf(two_sided(level, count)))
            for level in (CLEAR_LEVEL, possible_level)
        ]
        clear, possible = ({i for i, score in enumerate(scores) if not -low <= score <= high} for low, high in bounds)
    else:
        clear, possible = (
            outliers(scores, two_sided(share, count), used_df) for share in (CLEAR_LEVEL, possible_level)
        )
        low, high = (_tail_bound(scores, sign, count, extreme=extreme) for sign in (-1, 1))
        normal = TAIL_MARGIN * NORMAL.inv_cdf(two_sided(CLEAR_LEVEL, count))
        clear = {i for i in clear if not -max(low, normal) <= scores[i] <= max(high, normal)}
        if extreme or len(scores) >= MIN_VALUES_FOR_TAIL:
            possible = {i for i in possible if not -low <= scores[i] <= high}
    runs = _runs(scores, {i for i in possible if tested[i]}, clear)
    if exact:
        return [run._replace(p_value=min(1.0, 2 * count * NORMAL.cdf(-abs(run.score)))) for run in runs]
    return [run._replace(p_value=_p_value(scores, run, count, used_df, extreme=extreme)) for run in runs]


def _lower_bound(attainable: Sequence[float], share: float) -> float:
    """How far below its expected value one must be. Those that cannot reach the bound do not count as tests.

    Source: Tarone (1990), Biometrics 46.
    """
    ordered = sorted(attainable)

    def attaining(tests: int) -> int:
        return len(ordered) - bisect_left(ordered, NORMAL.inv_cdf(two_sided(share, tests)))

    tests = bisect_left(range(1, len(ordered)), True, key=lambda tests: attaining(tests) <= tests) + 1
    return NORMAL.inv_cdf(two_sided(share, tests))


def outliers(values: Sequence[float], probability: float, used_df: int = 1) -> set[int]:
    """The positions of the outliers of one normal distribution.

    ``probability``: the quantile that one of them is tested at. ``used_df``: degrees of freedom that are spent.

    Source: the generalised extreme Studentised deviate, Rosner (1983), Technometrics 25.

    >>> outliers([1.0, 2, 1, 2, 1, 2, 1, 2, 1, 9], two_sided(0.99, 10)), outliers([1.0, 1, 1], 0.99)
    ({9}, set())
    """
    # Remove the most extreme value again and again; the outliers are all up to the last one beyond its bound (lambda).
    order = sorted(range(len(values)), key=lambda i: values[i])
    whole, sum_of_squares = math.fsum(values), math.fsum(value * value for value in values)
    low, high, candidates, count_outlying = 0, len(order), list[int](), 0
    for _ in range(max(MIN_OUTLIERS, len(order) // MAX_OUTLIER_SHARE)):
        count = high - low
        degrees_of_freedom = count - used_df
        if degrees_of_freedom <= MIN_OUTLIERS:
            break
        mean = whole / count
        variance = (sum_of_squares - whole * mean) / degrees_of_freedom
        if variance <= RELATIVE_TOLERANCE * sum_of_squares / count:
            break
        below, above = mean - values[order[low]], values[order[high - 1]] - mean
        at = order[low] if below > above else order[high - 1]
        low, high = (low + 1, high) if below > above else (low, high - 1)
        candidates.append(at)
        t = t_quantile(probability, degrees_of_freedom - 1)
        if max(below, above) / math.sqrt(variance) > degrees_of_freedom * t / math.sqrt(
            (degrees_of_freedom - 1 + t * t) * (degrees_of_freedom + 1)
        ):
            count_outlying = len(candidates)
        elif len(candidates) - count_outlying > MIN_OUTLIERS + count_outlying:
            break  # a later one hardly exceeds its bound any more, and every step takes time
        whole, sum_of_squares = whole - values[at], sum_of_squares - values[at] ** 2
    return set(candidates[:count_outlying])


def _tail_bound(scores: Sequence[float], sign: int, tests: int, *, extreme: bool) -> float:
    """The bound on one side, corrected for so many tests, if the tail on that side is exponential.

    The tail of many values is estimated; fewer are taken for maxima of many, with a Gumbel distribution.

    Source: exceedances over a high threshold, Pickands (1975), Annals of Statistics 3, with a shape of 0; and Gumbel
    (1958).
    """
    level = (1 - CLEAR_LEVEL) / 2 / tests
    if len(scores) < MIN_VALUES_FOR_TAIL:
        return (-math.log(level) - EULER_MASCHERONI) * math.sqrt(6) / math.pi
    ordered = sorted((sign * score for score in scores), reverse=True)
    count = len(ordered) // TAIL_SHARE
    threshold = ordered[count]
    scale = (statistics.median(ordered[:count]) - threshold) / math.log(2)
    if scale <= NORMAL_TAIL and not extreme:
        return 0.0
    scale *= TAIL_MARGIN_OF_EXTREMES if extreme else TAIL_MARGIN
    return threshold - scale * math.log(level * TAIL_SHARE)


def _p_value(scores: Sequence[float], run: OutlierRun, tests: int, used_df: int, *, extreme: bool) -> float:
    """By the spread of the others, and by the tail on its side where that gives a larger one."""
    others = [score for i, score in enumerate(scores) if not run.start <= i < run.end]
    df = max(1.0, len(others) - used_df)
    spread = math.sqrt(math.fsum(score * score for score in others) / df)
    normal = 2 * tests * t_sf(abs(run.score) / spread, df) if spread > 0 else 0.0
    sign = 1 if run.score > 0 else -1
    edges = [_tail_bound(scores, sign, tests * scale, extreme=extreme) for scale in (1, 10)]
    length = (edges[1] - edges[0]) / math.log(10)
    tail = (1 - CLEAR_LEVEL) / 2 * math.exp(-(abs(run.score) - edges[0]) / length) if length > 0 else 0.0
    return min(1.0, max(normal, tail))


def _runs(scores: Sequence[float], places: set[int], clear_places: set[int]) -> list[OutlierRun]:
    runs = list[OutlierRun]()
    for i in sorted(places):
        score, last = scores[i], runs[-1] if runs else None
        if last and last.end == i and (last.score > 0) == (score > 0):
            runs[-1] = OutlierRun(last.start, i + 1, max(last.score, score, key=abs), last.clear or i in clear_places)
        else:
            runs.append(OutlierRun(i, i + 1, score, i in clear_places))
    return sorted(runs, key=lambda run: (-abs(run.score), run.start))


MIN_SURPRISE = 15.0
"""Minus the log probability of an outage without a cause, at least: exp(-15) is 1 in 3 million. A choice."""
NIGHT_CALLS = 1.0
"""Buckets with fewer expected calls are night, and trimmed from an outage. A choice."""
WEEKLY_SHARE = 4
"""In the same hours of other weeks at least a fourth of the expected calls must have come. A choice."""


class Outage(NamedTuple):
    """The half-open stretch of time without a call, and the calls expected in it.

    ``p_value``: of one anywhere in the series.
    """

    start: float
    end: float
    expected: float
    p_value: float = 1.0


def find_outages(fit: SeasonalFit, window: Span) -> list[Outage]:
    """The gaps in counts that reach into the window, in order of time. Before the first call there is none."""
    times, step = fit.series.times, fit.series.step
    values = fit.series.present_values()
    expected = [fit.value(effect) for effect in fit.hours]
    outages, start = list[Outage](), None
    for i in range(len(values) + 1):
        empty = i < len(values) and values[i] <= 0
        if empty and start is None:
            start = i
        elif not empty and start is not None:
            surprise = _surprise(expected[start:i], fit.excess)
            if start and surprise >= MIN_SURPRISE and not _is_weekly(fit, start, i, surprise):
                first, last = _trim(expected, start, i)
                missing_calls, p_value = math.fsum(expected[first:last]), min(1.0, len(values) * math.exp(-surprise))
                outages.append(Outage(times[first], times[last - 1] + step, missing_calls, p_value))
            start = None
    return [gap for gap in outages if gap.start < window.end and gap.end > window.start]


def _surprise(expected: Sequence[float], excess: float) -> float:
    """Minus the log probability that all are empty: for Poisson counts, the expected calls."""
    if excess <= 0:
        return math.fsum(expected)
    return math.fsum(math.log1p(excess * u) / excess for u in expected)


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


def _trim(expected: Sequence[float], start: int, end: int) -> tuple[int, int]:
    """Without the buckets at both ends in which hardly a call is expected: they are night."""
    while start < end - 1 and expected[start] < NIGHT_CALLS:
        start += 1
    while end > start + 1 and expected[end - 1] < NIGHT_CALLS:
        end -= 1
    return start, end
