"""All tests of a series; the findings are those that lie in the requested window."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct

from cekura_dashboards.stats.arrays import Array, Flags, Places, np
from cekura_dashboards.stats.changepoints import MIN_VALUES, Changepoint, TrendTest, fit_segments, segments
from cekura_dashboards.stats.clocks import followed_clock
from cekura_dashboards.stats.findings import (
    Finding,
    Number,
    Outcome,
    Step,
    Trend,
    Unusual,
    exact,
    relative,
    round_for_display,
)
from cekura_dashboards.stats.outages import MIN_HOURS, LastBucket, Outage, find_outages, gaps_of, surprises
from cekura_dashboards.stats.part_days import find_part_days
from cekura_dashboards.stats.seasonality import LevelModel, SeasonalFit, fit_seasonality, unit_of_sums
from cekura_dashboards.stats.significance import NORMAL, t_quantile, t_sf, two_sided
from cekura_dashboards.stats.time_series import MIN_CALLS, TimeSeries, median, robust_sd
from cekura_dashboards.stats.timeline import DAY, UTC_CLOCK, Clock, Span, iso
from cekura_dashboards.values import replace

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
        apart = (scores < -max(low, normal)) | (scores > max(high, normal))
        clear |= family.flags & apart & outliers(scores, family.probability(levels[0]), used_df)
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


MOST_OF_A_DAY = 0.5
"""Of a day's deviation, the part from which on it is that of single hours. A choice: a majority."""
MAX_UNUSUAL = 3
"""Listed; the rest is counted. A choice."""
MIN_DAYS = 5
"""The least whole days of hourly values tested for steps; with fewer, only for unusual hours. A choice."""
MIN_DAYS_OF_CLEAR_STEP = 14
"""The least days for a clear step. A choice: each weekday occurs twice."""
SIMILAR_SIZES = 1.25
"""Numbers of calls within this ratio do not visibly shift values, such as extremes, that depend on them. A choice."""
TWO_WEEKS = 14
"""With fewer days a weekday occurs once, so a weekend cannot be distinguished from a change."""
MIN_RELATIVE_CHANGE = 0.05
"""A value among many equal ones is unusual only if it differs by this share, as their spread is 0. A choice."""
DATED_BY_HOUR = 4.0
"""By how many variances the squares must prefer an hour to midnight: the 95 % point of a chi-square of one degree."""
MIXED_SD = 3.0
"""A day this many standard deviations off the level before belongs to a step that began within it. A choice."""
ALWAYS = Span(-math.inf, math.inf)
MIN_CALLS_OF_SUM = 16.0
"""A sum that is usually of fewer calls is no outlier: one long call decides it. A choice.

Measured: without it 4 to 10 % of months of up to 4 calls an hour have a false ``clear`` hour, and 23 % of months of 5
calls a day a false ``clear`` day.
"""
SHORTLY = 7 * DAY
"""A step that began this long before the window, and still holds, is reported. A choice: one week."""


def detect(
    series: TimeSeries,
    calls: TimeSeries | None = None,
    *,
    window: Span | None = None,
    clock: Clock = UTC_CLOCK,
    last_bucket: LastBucket | None = None,
) -> Outcome:
    """All tests of a series; the findings are those in the window, or all where it is None.

    ``calls``: calls per bucket, in which gaps are looked for; None: not known. Hours are those of the clock that the
    calls follow, see ``followed_clock``. ``last_bucket``: tells whether an outage goes on; else the last full one does.
    """
    followed = clock if calls is None else followed_clock(calls, clock)
    outcome = _detect(series, calls, window, followed, last_bucket)
    if followed is clock:
        return outcome
    return replace(outcome, notes=[f"hours are those of {followed.zone}: the calls follow its clock change"])


def _detect(
    series: TimeSeries, calls: TimeSeries | None, window: Span | None, clock: Clock, last_bucket: LastBucket | None
) -> Outcome:
    present = series.with_data()
    if present.is_additive and bool((present.values < 0).any()):
        return Outcome(not_tested=["trend, steps, outliers, outages: totals below zero"])
    if present.scale == "positive" and not (present.values > 0).all():
        series, present = replace(series, scale="plain"), replace(present, scale="plain")
    reporting_window = window or Span(float(series.times[0]) if len(series) else 0.0, math.inf)
    zone = reporting_window.zone
    untested = _too_few(series, present, calls)
    if calls is None:
        untested.append("outages: the calls per bucket are unknown")
    gap_findings, calls_fit, outages = None, None, list[Outage]()
    if calls is not None and len(calls) >= _min_buckets(calls):
        empty = bool((calls.values <= 0).any()) or (last_bucket is not None and last_bucket.calls <= 0)
        calls_fit = fit_seasonality(calls, clock) if empty else None
        outages = find_outages(calls_fit, reporting_window, last_bucket, clock) if calls_fit else []
        gap_findings = gaps_of(outages, zone, calls.step)
    if len(present) < _min_buckets(present):
        return Outcome(None if gap_findings is None else [*gap_findings], untested)
    fit = calls_fit if calls_fit and calls is series else fit_seasonality(series, clock)
    fit = _by_whole_days(fit, series, clock)
    days, findings = fit.days, list[Finding]()
    enough = MIN_VALUES if present.step >= DAY else MIN_DAYS
    segmentation = fit_segments(
        days.levels, days.weights, days.seasons, least=enough, variance_known=days.variance_known
    )
    trend, days = segmentation.trend, days.with_seasonal(segmentation.seasonal)
    fit = replace(fit, days=days)
    cuts = [cut for cut in segmentation.changepoints if not _is_by_size(fit, cut)]
    mixed = not days.has_weekdays and len(days) < TWO_WEEKS and len({*days.weekend.tolist()}) > 1
    if mixed:
        cuts = [cut for cut in cuts if not _is_edge(days.weekend, cut.at)]
        untested.append("trend: less than two weeks, weekend included")
    steps = _steps(fit, cuts, reporting_window, zone)
    findings += steps
    if _drifts(fit):
        untested.append("trend: the calls per bucket changed, and such values depend on how many there are")
    elif len(days) >= MIN_VALUES and not mixed:
        findings += _trend(fit, trend, reporting_window, zone)
    elif len(days) < enough:
        untested.append(f"trend, steps: {len(days)} whole days, fewer than {enough}")
    hours = _unusual_hours(fit, reporting_window)
    unusual = [*_without_bad_hours(fit, _unusual_days(fit, cuts, trend, reporting_window), hours), *hours]
    unusual = [*_unusual_parts(fit, reporting_window, clock, [_locate(fit, cut) for cut in cuts]), *unusual]
    changes: list[Finding] = [*_steps(fit, cuts, ALWAYS, zone), *(item for item in findings if isinstance(item, Trend))]
    findings += _unusual_findings(fit, unusual, outages, zone)
    return Outcome([*findings, *(gap_findings or [])], untested, changes=changes)


def _by_whole_days(fit: SeasonalFit, series: TimeSeries, clock: Clock) -> SeasonalFit:
    """Hours with the days that a chart of days would show, so that steps of the same calls are the same in both."""
    days = series.in_days()
    if days is None or len(days.with_data()) < MIN_VALUES:
        return fit
    by_day, hours = fit_seasonality(days, clock), fit.levels
    base = by_day.levels.base / (DAY / series.step if series.is_additive else 1)
    return replace(fit, days=by_day.days, levels=LevelModel(hours.series, base))


def _is_by_size(fit: SeasonalFit, cut: Changepoint) -> bool:
    """Whether the calls per bucket changed where the level did, for values that depend on how many there are."""
    days = fit.days
    return _sizes_differ(fit, days.sizes[: cut.at][-TWO_WEEKS:], days.sizes[cut.at :][:TWO_WEEKS])


def _drifts(fit: SeasonalFit) -> bool:
    third = max(1, len(fit.days) // 3)
    return len(fit.days) > 0 and _sizes_differ(fit, fit.days.sizes[:third], fit.days.sizes[-third:])


def _sizes_differ(fit: SeasonalFit, before: Array, after: Array) -> bool:
    if not fit.series.stable_from:
        return False
    sizes = sorted(median(part) for part in (before, after))
    return sizes[0] < fit.series.stable_from and sizes[1] > SIMILAR_SIZES * sizes[0]


def _min_buckets(series: TimeSeries) -> int:
    return MIN_HOURS if series.step < DAY else MIN_VALUES


def _too_few(series: TimeSeries, present: TimeSeries, calls: TimeSeries | None) -> list[str]:
    least = _min_buckets(series)
    names = [
        name
        for name, buckets in (("trend, steps, outliers", present), ("outages", calls))
        if buckets is not None and len(buckets) < least
    ]
    bucket_kind = f"full buckets of {MIN_CALLS} calls or more" if len(present) < len(series) else "full buckets"
    return [f"{', '.join(names)}: {len(present)} {bucket_kind}, fewer than {least}"] if names else []


def _is_edge(weekend: Places, at: int) -> bool:
    """Whether a weekend begins or ends with this day, or the day before it."""
    return any(weekend[i] != weekend[i - 1] for i in (at - 1, at, at + 1) if 0 < i < len(weekend))


def _steps(fit: SeasonalFit, cuts: Sequence[Changepoint], window: Span, zone: str) -> list[Step]:
    steps = list[Step]()
    series, days = fit.series, fit.days
    parts = segments([cut.at for cut in cuts], len(days))
    for place, cut in enumerate(cuts):
        at = _locate(fit, cut)
        ends = float(days.times[parts[place + 1][1]]) if place + 1 < len(cuts) else math.inf
        early = at <= window.start
        if at >= window.end or at < window.start - SHORTLY or (early and ends < window.end):
            continue
        old, new = fit.value(cut.before), fit.value(cut.after)
        is_clear = cut.clear and not cut.is_linear and len(days) >= MIN_DAYS_OF_CLEAR_STEP
        steps.append(
            Step(
                kind="trend or step" if cut.is_linear else "step",
                at=iso(at, step=int(series.step), zone=zone),
                before=round_for_display(old),
                after=round_for_display(new),
                n=_counts(fit, at, parts[place], parts[place + 1]),
                before_window=early or None,
                verdict="clear" if is_clear else "possible",
                change=round_for_display(new - old, 3),
                pct=relative(new - old, old),
            ).with_p_value(cut.p_value)
        )
    return steps


def _locate(fit: SeasonalFit, cut: Changepoint) -> float:
    """The bucket in which a step of days began: where the buckets of the days about it fit both levels best."""
    day, times = float(fit.days.times[cut.at]), fit.series.times
    near = np.flatnonzero((times >= day - DAY) & (times < day + DAY))
    if fit.series.step >= DAY or not len(near):
        return _first_mixed(fit, cut)
    deviations, weights = fit.deviations(near)
    before, after = (weights * (deviations - level) ** 2 for level in (cut.before, cut.after))
    misfits = np.concatenate([[0.0], np.cumsum(before - after)[:-1]])
    best, midnight = int(misfits.argmin()), int(np.searchsorted(times[near], day))
    residuals = np.where(np.arange(len(near)) < best, before, after)
    if midnight < len(near) and misfits[midnight] - misfits[best] <= DATED_BY_HOUR * float(residuals.mean()):
        return day
    return float(times[near[best]])


def _first_mixed(fit: SeasonalFit, cut: Changepoint) -> float:
    """The day of the cut; the one before it if that lies between both levels, so that the step began within it."""
    days, at = fit.days, cut.at
    roots, levels = np.sqrt(days.weights), np.where(np.arange(len(days)) < at, cut.before, cut.after)
    residuals: Array = roots * (days.adjusted_levels - levels)
    spread = robust_sd(np.concatenate([residuals[max(0, at - 8) : at - 1], residuals[at : at + 7]]))
    share = (days.adjusted_levels[at - 1] - cut.before) / ((cut.after - cut.before) or 1.0)
    is_mixed = 0 < share < 1 and abs(residuals[at - 1]) > MIXED_SD * spread
    return float(days.times[at - 1 if is_mixed else at])


def _counts(fit: SeasonalFit, at: float, before: tuple[int, int], after: tuple[int, int]) -> list[Number] | None:
    """The calls on both sides of a step; None for counts and sums, and where they are not known."""
    series, times = fit.series, fit.days.times
    if series.is_additive or not series.knows_calls:
        return None
    start, end = times[before[0]], times[after[1] - 1] + DAY
    sides = ((series.times >= start) & (series.times < at), (series.times >= at) & (series.times < end))
    return [exact(float(series.n[side].sum())) for side in sides]


def _trend(fit: SeasonalFit, trend: TrendTest, window: Span, zone: str) -> list[Trend]:
    """A trend through the window."""
    days = fit.days
    first, last = float(days.times[0]), float(days.times[-1])
    if trend.verdict == "not significant" or window.start >= last:
        return []
    quarter = max(1, len(days) // 4)
    begin = float((days.adjusted_levels[:quarter] - trend.slope * np.arange(quarter)).mean())
    span = (last - first) / DAY
    start, end = fit.value(begin), fit.value(begin + trend.slope * (len(days) - 1))
    return [
        Trend(
            start=iso(first, step=int(fit.series.step), zone=zone),
            per_day=round_for_display((end - start) / span, 3),
            verdict="clear" if trend.verdict == "clear" else "possible",
            change=round_for_display(end - start, 3),
            pct=relative(end - start, start),
        ).with_p_value(trend.p_value)
    ]


class _OutlierSpan(Struct, frozen=True):
    """Buckets that are unusual together, first and last."""

    start: int
    end: int
    run: OutlierRun
    expected: float


def _without_bad_hours(
    fit: SeasonalFit, days: Sequence[_OutlierSpan], hours: Sequence[_OutlierSpan]
) -> list[_OutlierSpan]:
    """The unusual days, but for those whose deviation is mostly that of unusual hours in them."""

    def deviation(span: _OutlierSpan) -> float:
        calls = 1.0 if fit.series.is_additive else np.nan_to_num(fit.series.n[span.start : span.end], nan=1.0)
        return float(((fit.series.values[span.start : span.end] - span.expected) * calls).sum())

    return [
        day
        for day in days
        if sum(deviation(hour) for hour in hours if day.start <= hour.start < day.end) / (deviation(day) or 1.0)
        < MOST_OF_A_DAY
    ]


def _is_recent(times: Array) -> Flags:
    recent: Flags = times > times[-1] - RECENT
    return recent


def _unusual_hours(fit: SeasonalFit, window: Span) -> list[_OutlierSpan]:
    series = fit.series
    if series.step >= DAY:
        return []
    tested = (series.times >= window.start) & (series.times < window.end)
    lost = len(fit.days) + len(np.unique(fit.hours))
    lowest, places = None, np.arange(len(series))
    if series.scale == "count":
        lowest = surprises(fit.expected, fit.excess)
    if series.scale == "sum":
        places = np.flatnonzero(_has_many_calls(series.values, fit.expected))
    runs = find_outlier_runs(
        fit.scores[places],
        tested[places],
        levels=LEVELS_OF_HOURS if series.has_exact_distribution else LEVELS,
        used_df=lost,
        exact=series.has_exact_distribution,
        extreme=series.is_extreme,
        lowest=lowest,
        recent=_is_recent(series.times)[places],
    )
    spans = [(int(places[run.start]), int(places[run.end - 1]) + 1, run) for run in runs]
    return [_OutlierSpan(start, end, run, _level(series, fit.expected, start, end)) for start, end, run in spans]


def _has_many_calls(sums: Array, expected: Array) -> Flags:
    """The sums that are usually of enough calls, as far as their variance tells how many these are."""
    return expected >= MIN_CALLS_OF_SUM * unit_of_sums(sums, expected)


def _unusual_parts(fit: SeasonalFit, window: Span, clock: Clock, steps: Sequence[float]) -> list[_OutlierSpan]:
    parts = find_part_days(fit, window, clock, LEVELS_OF_PARTS, steps)
    runs = [OutlierRun(part.start, part.end, part.score, part.clear, part.p_value) for part in parts]
    return [_OutlierSpan(run.start, run.end, run, part.expected) for run, part in zip(runs, parts, strict=True)]


def _unusual_days(fit: SeasonalFit, cuts: Sequence[Changepoint], trend: TrendTest, window: Span) -> list[_OutlierSpan]:
    """Days far from their level; not where less than two weeks say nothing about weekdays."""
    days, series = fit.days, fit.series
    if len(days) < (TWO_WEEKS - 1 if len({*days.weekend.tolist()}) > 1 else MIN_VALUES):
        return []
    parts = segments([cut.at for cut in cuts], len(days))
    line: Array = (trend.slope if trend.verdict == "clear" else 0.0) * np.arange(len(days), dtype=np.float64)
    flat = days.adjusted_levels - line
    levels = line + np.concatenate([np.full(end - start, median(flat[start:end])) for start, end in parts])
    scores = days.scores(levels)
    for cut in cuts:  # a step that began within a day leaves it between both levels
        for day in (cut.at - 1, cut.at):
            if min(cut.before, cut.after) < days.adjusted_levels[day] < max(cut.before, cut.after):
                scores[day] = 0.0
    tested = (days.times >= window.start) & (days.times < window.end)
    if series.scale == "sum":
        tested &= _has_many_calls(days.totals.values, days.totals.level(days.effects + levels))
    runs = find_outlier_runs(
        scores,
        tested,
        used_df=days.used_df + len(cuts),
        exact=series.has_exact_distribution,
        extreme=series.is_extreme,
        recent=_is_recent(days.times),
    )
    if not days.has_weekdays:
        runs = [run for run in runs if not _is_weekly(days.times, scores, run)]
    spans = list[_OutlierSpan]()
    for run in runs:
        following = float(days.times[run.end]) if run.end < len(days) else math.inf
        edges = days.times[run.start], min(following, float(days.times[run.end - 1]) + DAY)
        start, end = np.searchsorted(series.times, edges).tolist()
        expected = days.values(run.start, run.end, levels)
        spans.append(_OutlierSpan(start, end, run, expected / (end - start) if series.is_additive else expected))
    return spans


def _is_weekly(times: Array, scores: Array, run: OutlierRun) -> bool:
    """Whether the same weekday of another week differs likewise: a weekday effect that cannot be estimated yet."""
    same = np.rint((times - times[run.start]) / DAY) % 7 == 0
    same[run.start] = False
    return bool((scores[same] * math.copysign(1, run.score) > abs(run.score) / 2).any())


def _unusual_findings(
    fit: SeasonalFit, spans: Sequence[_OutlierSpan], gaps: Sequence[Outage], zone: str
) -> list[Unusual]:
    """Unusual buckets, days before hours, without overlaps and without those in a gap."""
    series, taken, findings = fit.series, np.zeros(len(fit.series), np.bool_), list[tuple[float, Unusual]]()
    for span in spans:
        at = float(series.times[span.start])
        value, expected = _level(series, series.values, span.start, span.end), span.expected
        end = float(series.times[span.end - 1]) + series.step
        is_left = series.is_additive and value < expected  # the few calls of a bucket that an outage begins or ends in
        if taken[span.start : span.end].any() or any(
            gap.start <= at < gap.end or (is_left and gap.start <= end and at <= gap.end) for gap in gaps
        ):
            continue
        if (value - expected) * span.run.score <= 0 or abs(value - expected) < MIN_RELATIVE_CHANGE * abs(expected):
            continue
        taken[span.start : span.end] = True
        calls = None if series.is_additive or not series.knows_calls else series.n[span.start : span.end].sum()
        finding = Unusual(
            start=iso(at, step=int(series.step), zone=zone),
            buckets=span.end - span.start,
            value=round_for_display(value),
            expected=round_for_display(expected),
            n=None if calls is None else round(float(calls)),
            verdict="clear" if span.run.clear else "possible",
        )
        findings.append((-abs(span.run.score), finding.with_p_value(span.run.p_value)))
    findings.sort(key=lambda item: item[0])
    first = [item for _, item in findings[:MAX_UNUSUAL]]
    if len(findings) > MAX_UNUSUAL:
        first[-1] = first[-1].model_copy(update={"more": len(findings) - MAX_UNUSUAL})
    return first


def _level(series: TimeSeries, values: Array, start: int, end: int) -> float:
    """The mean of a stretch: by n, or by bucket for counts and where n is not known."""
    part, weights = values[start:end], np.nan_to_num(series.n[start:end])
    if series.is_additive or weights.sum() <= 0:
        return float(part.mean())
    return float((part * weights).sum() / weights.sum())
