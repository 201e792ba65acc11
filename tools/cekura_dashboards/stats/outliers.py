"""Outliers, unusual parts of days, and outages.

Outliers are values too far from the others for the same distribution, and runs of such neighbours. A part of a day is
compared with the rest of that day: given the calls of a day, the calls in some of its hours are binomial, whatever the
level of the day. An outage is a stretch without calls where many are expected.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from cekura_dashboards.stats.findings import Gap, round_for_display
from cekura_dashboards.stats.seasonality import SeasonalFit, fit_seasonality, standardise
from cekura_dashboards.stats.significance import NORMAL, t_quantile, t_sf, two_sided
from cekura_dashboards.stats.time_series import TimeSeries, calendar, followed_clock, median
from cekura_dashboards.stats.timeline import DAY, HOUR, UTC_CLOCK, Clock, Span, iso
from cekura_dashboards.values import Array, Flags, Places, np

CLEAR_LEVEL, POSSIBLE_LEVEL = 0.995, 0.99
"""The probability that a window without outliers has no finding: 1 - the error rate over all its buckets.

Hours and days are both tested, so each gets half of 1 % for ``clear`` and less than half of 5 % for ``possible``. The
division of the rest is a choice.
"""
CLEAR_LEVEL_OF_HOURS, POSSIBLE_LEVEL_OF_HOURS = 0.98, 0.92
"""The level for hours of counts and rates, because discrete values do not use up their error rate.

Measured: false ``clear`` at most 1.3 % of months with 0.985, and an hour at a third of 40 calls clear in 75 %.
"""
LEVELS, LEVELS_OF_HOURS = (CLEAR_LEVEL, POSSIBLE_LEVEL), (CLEAR_LEVEL_OF_HOURS, POSSIBLE_LEVEL_OF_HOURS)
LEVELS_OF_PARTS = 0.985, 0.96
"""The levels for parts of days. Measured: with winsorised hours, at most 1 % of months of counts have a false one."""
RECENT, RECENT_SHARE = 7 * DAY, 0.85
"""The last week gets six sevenths of the error rate of a month, because most questions are about it. A choice.

Source: a weighted Bonferroni correction, as in Genovese, Roeder and Wasserman (2006), Biometrika 93.
"""
MAX_OUTLIER_SHARE, MIN_OUTLIERS = 10, 3
"""Up to a tenth of the buckets can be outliers, and up to three of fewer than 30. Choices."""
TAIL_SHARE, MIN_VALUES_FOR_TAIL = 20, 100
"""The tail is the most extreme twentieth, estimated from 100 values on, so from at least five. Choices."""
TAIL_MARGIN, TAIL_MARGIN_OF_EXTREMES = 1.15, 1.2
"""Safety factors on the length of a tail, which is estimated from few values. Choices."""
EULER_MASCHERONI = 0.5772
NORMAL_TAIL = 0.65
"""The tail of normal values is 0.46 standard deviations long, and estimates hardly ever exceed this."""
RELATIVE_TOLERANCE = 1e-9
"""A variance below this share of the mean square is rounding error."""


class OutlierRun(NamedTuple):
    """A half-open run of neighbouring outliers in one direction.

    ``p_value``: of the largest tested score, if there are no outliers.
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
    """The runs among the ``tested`` values, the largest first.

    ``scores``: residuals in standard deviations. ``levels``: for both verdicts, the probability of no finding without
    outliers. ``exact``: the scores are standard normal; otherwise their own spread and tails count, of which
    ``used_df`` degrees of freedom are spent already. ``extreme``: the values are maxima or minima, or near those, and
    have longer tails. ``lowest``: minus the log probability of the lowest possible value of each; None if unbounded.

    ``recent``: the last ones; None: all. ``possible`` is corrected for the tested values, ``clear`` for the recent or
    the earlier ones, so that an outlier is as clear in a short window as in a long one.

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
    """Values tested together, with their share of the error rate."""

    flags: Flags
    share: float

    @property
    def tests(self) -> float:
        """The number of tests that each value counts as."""
        return max(1, int(self.flags.sum())) / self.share

    def probability(self, level: float) -> float:
        """The two-sided quantile for testing each, for this probability of no finding in all families."""
        return 1 - (1 - level) / 2 / self.tests

    def exact_outliers(self, scores: Array, level: float, lowest: Array | None) -> Flags:
        least = None if lowest is None else lowest[self.flags]
        bound = _lower_bound(least, int(self.flags.sum()), 1 - (1 - level) * self.share)
        outlying: Flags = (scores < -bound) | (scores > NORMAL.inv_cdf(self.probability(level)))
        return outlying


def _lower_bound(surprises: Array | None, count: int, share: float) -> float:
    """The lower bound for one of ``count`` values. Values that cannot be so low do not count as tests.

    ``surprises``: minus the log probability of the lowest possible value of each; None if unbounded.

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
    """Flags for the outliers of one normal distribution.

    ``probability``: the quantile for testing one value. ``used_df``: degrees of freedom already spent.

    Source: the generalised extreme Studentised deviate, Rosner (1983), Technometrics 25.

    >>> np.flatnonzero(outliers(np.array([1.0, 2, 1, 2, 1, 2, 1, 2, 1, 9]), two_sided(0.99, 10))).tolist()
    [9]
    """
    # Remove the most extreme value repeatedly; all up to the last one beyond its bound (lambda) are outliers.
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
            break  # later ones hardly ever exceed their bounds, and every step takes time
        value = float(values[at])
        whole, sum_of_squares = whole - value, sum_of_squares - value**2
    flags = np.zeros(len(values), np.bool_)
    flags[candidates[:count_outlying]] = True
    return flags


def _tail_bound(scores: Array, sign: int, tests: float, *, extreme: bool) -> float:
    """The bound on one side for an exponential tail, corrected for this many tests.

    With many values the tail is estimated; few are treated as maxima with a Gumbel distribution.

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
    """The p-value by the spread of the other values, or by the tail on its side if that gives a larger one."""
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


PART_LENGTHS = (3, 4, 6, 8, 12)
"""The lengths of parts in hours. A choice: at most half a day, so that the rest shows what is usual."""
MIN_CALLS_OF_PART = 20.0
"""The minimum expected calls in a part and in the rest of its day, for the normal approximation. A choice."""
WINSOR_LIMIT = 2.5
"""Hours are winsorised at this many standard deviations, so that a single one does not make a part of a day."""
HOURS_OF_DAY = 24


class PartDay(NamedTuple):
    """A half-open run of hours, its score, and the calls per hour expected from the rest of its day."""

    start: int
    end: int
    score: float
    expected: float
    p_value: float
    clear: bool


def find_part_days(
    fit: SeasonalFit, window: Span, clock: Clock, levels: tuple[float, float], steps: Sequence[float]
) -> list[PartDay]:
    """The unusual parts of days, the most significant of each day.

    ``fit``: of hourly counts. ``levels``: for both verdicts, the probability of no finding if nothing differs.
    ``steps``: when the level changed; on those days and their neighbours, an unusual part is the change itself.
    """
    series = fit.series
    places = calendar(series.times + series.step / 2, clock)
    days, first, sizes = np.unique(places.day, return_index=True, return_counts=True)
    whole = np.flatnonzero(sizes == HOURS_OF_DAY)
    if series.step != HOUR or series.scale != "count" or len(whole) < 7 or (np.diff(days) != 1).any():  # noqa: PLR2004 - a week
        return []
    rows = first[whole][:, None] + np.arange(HOURS_OF_DAY)
    expected, spread = fit.expected[rows], np.sqrt(fit.expected[rows] * (1 + fit.excess * fit.expected[rows]))
    counts = expected + np.clip(series.values[rows] - expected, -WINSOR_LIMIT * spread, WINSOR_LIMIT * spread)
    usual = np.maximum(fit.levels.level(fit.hours)[rows], 1e-9)
    scores = {length: _scores(counts, usual, fit.excess, length) for length in PART_LENGTHS}
    starts = series.times[rows]
    tested = (starts[:, 0] + DAY > window.start) & (starts[:, 0] < window.end)
    for step in steps:
        tested &= np.abs(starts[:, 0] + DAY / 2 - step) > 1.5 * DAY
    count = sum(int((scores[length][tested] != 0).sum()) for length in PART_LENGTHS)
    if not count:
        return []
    clear, possible = (NORMAL.inv_cdf(two_sided(level, count)) for level in levels)
    parts = list[PartDay]()
    for row in np.flatnonzero(tested).tolist():
        length = max(PART_LENGTHS, key=lambda each: float(np.abs(scores[each][row]).max()))
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
    """The score of each part of this length, by day and first hour, in standard deviations; 0 with too few calls."""
    parts, expected = _sums(counts, length), _sums(usual, length)
    totals = counts.sum(axis=1, keepdims=True)
    share = expected / usual.sum(axis=1, keepdims=True)
    means = usual * totals / usual.sum(axis=1, keepdims=True)
    of_hours = means + excess * means * means
    inside = _sums(of_hours, length)
    variance = (1 - share) ** 2 * inside + share**2 * (of_hours.sum(axis=1, keepdims=True) - inside)
    enough = (totals * share >= MIN_CALLS_OF_PART) & (totals * (1 - share) >= MIN_CALLS_OF_PART)
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


MAX_GAPS = 3
"""Maximum listed; the rest is counted. A choice."""
MIN_HOURS = 48
"""The minimum hourly values for a test. A choice: each hour of the day occurs twice."""
MIN_SURPRISE = 15.0
"""The minimum of minus the log probability of an outage by chance: exp(-15) is 1 in 3 million. A choice."""
NIGHT_CALLS = 1.0
"""Buckets with fewer expected calls count as night and are trimmed from an outage. A choice."""
WEEKLY_SHARE = 4
"""The minimum share of the expected calls in the same hours of other weeks. A choice."""


LAG = 900.0
"""Seconds before now in which no calls are expected yet, because calls are listed when they end. A choice."""


class Outage(NamedTuple):
    """A half-open interval without calls, and the calls expected in it.

    ``p_value``: of an outage anywhere in the series. ``goes_on``: it reaches the end of the data.
    """

    start: float
    end: float
    expected: float
    p_value: float = 1.0
    goes_on: bool = False


class LastBucket(NamedTuple):
    """The incomplete last bucket: its start, the end of the data, and the calls in it so far."""

    start: float
    end: float
    calls: float


def find_outages(
    fit: SeasonalFit, window: Span, last_bucket: LastBucket | None = None, clock: Clock = UTC_CLOCK
) -> list[Outage]:
    """The outages in counts that overlap the window, in order of time; none before the first call.

    ``last_bucket``: its calls decide whether an outage at the end is ongoing. Hourly, it is part of the outage.
    """
    series, expected, outages = fit.series, fit.levels.level(fit.hours), list[Outage]()
    times, values, data_end = series.times, series.values, float(series.times[-1]) + series.step
    if last_bucket is not None:
        expected = np.append(expected, _expected_so_far(fit, expected, last_bucket, clock))
        times, values = np.append(times, last_bucket.start), np.append(values, last_bucket.calls)
        data_end = last_bucket.end
    for start, end in _stretches(values <= 0):
        surprise = float(surprises(expected[start:end], fit.excess).sum())
        if start and surprise >= MIN_SURPRISE and not _is_empty_weekly(fit, times[start:end], surprise):
            first, last = _trim(expected, start, end)
            goes_on = end == len(values)
            missing_calls, p_value = float(expected[first:last].sum()), min(1.0, len(series) * math.exp(-surprise))
            until = data_end if goes_on else float(times[last - 1]) + series.step
            outages.append(Outage(float(times[first]), until, missing_calls, p_value, goes_on))
    return [gap for gap in outages if gap.start < window.end and gap.end > window.start]


def _expected_so_far(fit: SeasonalFit, expected: Array, last_bucket: LastBucket, clock: Clock) -> float:
    """The expected calls in the part of an hour; 0 for days, whose hours are unknown."""
    step = fit.series.step
    if step >= DAY:
        return 0.0
    places = calendar(np.append(fit.series.times, last_bucket.start) + step / 2, clock)
    same = (places.hour[:-1] == places.hour[-1]) & (places.weekend[:-1] == places.weekend[-1])
    elapsed = last_bucket.end - last_bucket.start - LAG
    return float(expected[same].mean()) * max(0.0, elapsed) / step if same.any() else 0.0


def _stretches(flags: Flags) -> list[tuple[int, int]]:
    """The half-open runs of set flags."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]))).tolist()
    return [*zip(edges[::2], edges[1::2], strict=True)]


def surprises(expected: Array, excess: float) -> Array:
    """Minus the log probability that each bucket is empty: for Poisson counts, the expected calls."""
    return np.log1p(excess * expected) / excess if excess > 0 else expected


def _is_empty_weekly(fit: SeasonalFit, gap: Array, expected: float) -> bool:
    """Whether this time of other weeks is almost empty too, such as on Sundays. ``gap``: the times."""
    times, weeks = fit.series.times, np.array([-3, -2, -1, 1, 2, 3]) * 7 * DAY
    wanted = np.add.outer(gap, weeks).ravel()
    places = np.minimum(np.searchsorted(times, wanted), len(times) - 1)
    others = fit.series.values[places[times[places] == wanted]]
    return len(others) > 0 and float(others.mean()) * len(gap) < expected / WEEKLY_SHARE


def _trim(expected: Array, start: int, end: int) -> tuple[int, int]:
    """The buckets without those at both ends in which hardly any calls are expected, which count as night."""
    while start < end - 1 and expected[start] < NIGHT_CALLS:
        start += 1
    while end > start + 1 and expected[end - 1] < NIGHT_CALLS:
        end -= 1
    return start, end


def detect_outages(calls: TimeSeries, window: Span, clock: Clock, last_bucket: LastBucket | None) -> list[Gap]:
    """The outages in hourly counts that overlap the window; none for negative numbers, which are not counts."""
    empty = (calls.values <= 0) & (calls.times + calls.step > window.start)
    if len(calls) < MIN_HOURS or bool((calls.values < 0).any()):
        return []
    if not (empty.any() or (last_bucket is not None and last_bucket.calls <= 0)):
        return []
    clock = followed_clock(calls, clock)
    return gaps_of(find_outages(fit_seasonality(calls, clock), window, last_bucket, clock), window.zone, calls.step)


def is_one_event(first: tuple[datetime, datetime], other: tuple[datetime, datetime]) -> bool:
    """Whether two outages, given as start and end, overlap by more than half of the longer one."""
    (start, end), (since, until) = first, other
    return min(end, until) - max(start, since) > max(end - start, until - since) / 2


def gaps_of(empty: Sequence[Outage], zone: str, step: float) -> list[Gap]:
    """The ongoing outage and the largest ones, as findings."""
    largest = sorted(empty, key=lambda gap: (not gap.goes_on, -gap.expected))
    gaps = [
        Gap(
            start=iso(gap.start, step=int(step), zone=zone),
            end=iso(gap.end, zone=zone),
            expected_calls=round_for_display(gap.expected, 3),
            still=gap.goes_on or None,
        ).with_p_value(gap.p_value)
        for gap in largest[:MAX_GAPS]
    ]
    if len(largest) > MAX_GAPS:
        gaps[-1] = gaps[-1].model_copy(update={"more": len(largest) - MAX_GAPS})
    return gaps
