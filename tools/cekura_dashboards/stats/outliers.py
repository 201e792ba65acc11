"""Outliers: values too far from the others to be of their distribution, and runs of such neighbours."""

import math
from bisect import bisect_left
from typing import NamedTuple

from cekura_dashboards.stats.arrays import Array, Flags, np
from cekura_dashboards.stats.significance import NORMAL, t_quantile, t_sf, two_sided
from cekura_dashboards.stats.time_series import median
from cekura_dashboards.stats.timeline import DAY

CLEAR_LEVEL, POSSIBLE_LEVEL = 0.995, 0.99
"""The chance that a window without outliers gives no finding: 1 - the error rate over all its buckets.

Hours and days are both tested, so each gets half of 1 % for ``clear`` and less than half of 5 % for ``possible``. How
the rest is divided is a choice.
"""
CLEAR_LEVEL_OF_HOURS, POSSIBLE_LEVEL_OF_HOURS = 0.98, 0.92
"""Of hours of counts and rates, as discrete values do not use up their error rate.

Measured: false ``clear`` at most 1.3 % of months with 0.985, and an hour at a third of 40 calls clear in 75 %.
"""
LEVELS, LEVELS_OF_HOURS = (CLEAR_LEVEL, POSSIBLE_LEVEL), (CLEAR_LEVEL_OF_HOURS, POSSIBLE_LEVEL_OF_HOURS)
LEVELS_OF_PARTS = 0.985, 0.96
"""Of parts of days. Measured: with these at most 1 % of months of counts hold a false one, as hours are winsorised."""
RECENT, RECENT_SHARE = 7 * DAY, 0.85
"""The last week gets six sevenths of the error rate of a month, as most questions are about it. A choice.

Source: a weighted Bonferroni correction, as in Genovese, Roeder and Wasserman (2006), Biometrika 93.
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
    scores: Array,
    tested: Flags,
    *,
    levels: tuple[float, float] = LEVELS,
    used_df: int = 1,
    exact: bool = False,
    extreme: bool = False,
    lowest: Array | None = None,
    recent: Flags | None = None,
) -> list[OutlierRun]:
    """The runs among those that are ``tested``, the largest first.

    ``scores``: residuals in standard deviations. ``levels``: for both verdicts, the chance of none where there are no
    outliers. ``exact``: their distribution is known to be normal, with no other spread; else their own spread and tails
    count, of which ``used_df`` degrees of freedom are spent already. ``extreme``: they are highest or lowest values
    themselves, or near those, whose tails are longer. ``lowest``: minus the log probability of the lowest
    value that each can have; None where that is not bounded.

    ``recent``: the last of them; None: all. ``possible`` is corrected for those that are tested, ``clear`` for the
    recent or for the earlier ones, so that an outlier is as clear in a short window as in a long one.

    >>> few = np.array([0.1, -1.0, 0.5, 0.2, 9.0, 8.0, -0.3, 0.9, -0.6, 0.4, -0.2, 0.3])
    >>> [run[:2] for run in find_outlier_runs(few, few < 10)], find_outlier_runs(few[6:], few[6:] < 10)
    ([(4, 6)], [])
    """
    count = int(tested.sum())
    if not count:
        return []
    own = _Family(tested, 1.0)
    families = [own] if recent is None else [_Family(recent, RECENT_SHARE), _Family(~recent, 1 - RECENT_SHARE)]
    if exact:
        possible = own.exact_outliers(scores, levels[1], lowest)
    else:
        possible = outliers(scores, own.probability(levels[1]), used_df)
        if extreme or len(scores) >= MIN_VALUES_FOR_TAIL:
            low, high = (_tail_bound(scores, sign, own.tests, extreme=extreme) for sign in (-1, 1))
            possible &= (scores < -low) | (scores > high)
    clear = np.zeros(len(scores), np.bool_)
    for family in families if possible.any() else []:
        if exact:
            clear |= family.flags & family.exact_outliers(scores, levels[0], lowest)
            continue
        low, high = (_tail_bound(scores, sign, family.tests, extreme=extreme) for sign in (-1, 1))
        normal = TAIL_MARGIN * NORMAL.inv_cdf(family.probability(CLEAR_LEVEL))
        is_outlying = (scores < -max(low, normal)) | (scores > max(high, normal))
        clear |= family.flags & is_outlying & outliers(scores, family.probability(levels[0]), used_df)
    runs = _runs(scores, possible & tested, clear)
    if exact:
        return [run._replace(p_value=min(1.0, 2 * count * NORMAL.cdf(-abs(run.score)))) for run in runs]
    return [run._replace(p_value=_p_value(scores, run, count, used_df, extreme=extreme)) for run in runs]


class _Family(NamedTuple):
    """Values that are tested together, with their share of the error rate."""

    flags: Flags
    share: float

    @property
    def tests(self) -> float:
        """As how many tests each of them counts."""
        return max(1, int(self.flags.sum())) / self.share

    def probability(self, level: float) -> float:
        """The quantile at which each is tested, two-sided, for this chance of none among all families."""
        return 1 - (1 - level) / 2 / self.tests

    def exact_outliers(self, scores: Array, level: float, lowest: Array | None) -> Flags:
        least = None if lowest is None else lowest[self.flags]
        bound = _lower_bound(least, int(self.flags.sum()), 1 - (1 - level) * self.share)
        outlying: Flags = (scores < -bound) | (scores > NORMAL.inv_cdf(self.probability(level)))
        return outlying


def _lower_bound(surprises: Array | None, count: int, share: float) -> float:
    """How far below its expected value one of ``count`` must be. Those that cannot be so low do not count as tests.

    ``surprises``: of each the most that there can be, as minus a log probability; None where that is not bounded.

    Source: Tarone (1990), Biometrics 46.
    """
    if surprises is None:
        return NORMAL.inv_cdf(two_sided(share, count))
    ordered = np.sort(surprises)

    def attaining(tests: int) -> int:
        return count - int(np.searchsorted(ordered, -math.log((1 - share) / 2 / tests)))

    tests = bisect_left(range(1, count), True, key=lambda tests: attaining(tests) <= tests) + 1
    return NORMAL.inv_cdf(two_sided(share, tests))


def outliers(values: Array, probability: float, used_df: int = 1) -> Flags:
    """Which values are outliers of one normal distribution.

    ``probability``: the quantile that one of them is tested at. ``used_df``: degrees of freedom that are spent.

    Source: the generalised extreme Studentised deviate, Rosner (1983), Technometrics 25.

    >>> np.flatnonzero(outliers(np.array([1.0, 2, 1, 2, 1, 2, 1, 2, 1, 9]), two_sided(0.99, 10))).tolist()
    [9]
    """
    # Remove the most extreme value again and again; the outliers are all up to the last one beyond its bound (lambda).
    order = np.argsort(values, kind="stable").tolist()
    whole, sum_of_squares = float(values.sum()), float(values @ values)
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
        below, above = mean - float(values[order[low]]), float(values[order[high - 1]]) - mean
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
        value = float(values[at])
        whole, sum_of_squares = whole - value, sum_of_squares - value**2
    flags = np.zeros(len(values), np.bool_)
    flags[candidates[:count_outlying]] = True
    return flags


def _tail_bound(scores: Array, sign: int, tests: float, *, extreme: bool) -> float:
    """The bound on one side, corrected for so many tests, if the tail on that side is exponential.

    The tail of many values is estimated; fewer are taken for maxima of many, with a Gumbel distribution.

    Source: exceedances over a high threshold, Pickands (1975), Annals of Statistics 3, with a shape of 0; and Gumbel
    (1958).
    """
    level = (1 - CLEAR_LEVEL) / 2 / tests
    if len(scores) < MIN_VALUES_FOR_TAIL:
        return (-math.log(level) - EULER_MASCHERONI) * math.sqrt(6) / math.pi
    count = len(scores) // TAIL_SHARE
    tail = np.sort(sign * scores)[-count - 1 :]
    threshold = float(tail[0])
    scale = (median(tail[1:]) - threshold) / math.log(2)
    if scale <= NORMAL_TAIL and not extreme:
        return 0.0
    scale *= TAIL_MARGIN_OF_EXTREMES if extreme else TAIL_MARGIN
    return threshold - scale * math.log(level * TAIL_SHARE)


def _p_value(scores: Array, run: OutlierRun, tests: int, used_df: int, *, extreme: bool) -> float:
    """By the spread of the others, and by the tail on its side where that gives a larger one."""
    others = np.delete(scores, slice(run.start, run.end))
    df = max(1.0, len(others) - used_df)
    spread = math.sqrt(float(others @ others) / df)
    normal = 2 * tests * t_sf(abs(run.score) / spread, df) if spread > 0 else 0.0
    sign = 1 if run.score > 0 else -1
    edges = [_tail_bound(scores, sign, tests * scale, extreme=extreme) for scale in (1, 10)]
    length = (edges[1] - edges[0]) / math.log(10)
    tail = (1 - CLEAR_LEVEL) / 2 * math.exp(-(abs(run.score) - edges[0]) / length) if length > 0 else 0.0
    return min(1.0, max(normal, tail))


def _runs(scores: Array, places: Flags, clear_places: Flags) -> list[OutlierRun]:
    runs = list[OutlierRun]()
    for i in np.flatnonzero(places).tolist():
        score, last, is_clear = float(scores[i]), runs[-1] if runs else None, bool(clear_places[i])
        if last and last.end == i and (last.score > 0) == (score > 0):
            runs[-1] = OutlierRun(last.start, i + 1, max(last.score, score, key=abs), last.clear or is_clear)
        else:
            runs.append(OutlierRun(i, i + 1, score, is_clear))
    return sorted(runs, key=lambda run: (-abs(run.score), run.start))
