"""All tests of a series, and the findings in the requested window."""

import math
from collections.abc import Sequence

from msgspec import Struct

from cekura_dashboards.stats.changepoints import (
    CLEAR_MARGIN,
    CLEAR_MARGIN_OF_COUNTS,
    CLEAR_MARGIN_OF_RATES,
    MIN_VALUES,
    Changepoint,
    TrendTest,
    fit_segments,
    segments,
)
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
from cekura_dashboards.stats.outliers import (
    LEVELS,
    LEVELS_OF_HOURS,
    LEVELS_OF_PARTS,
    MIN_HOURS,
    RECENT,
    LastBucket,
    Outage,
    OutlierRun,
    find_outages,
    find_outlier_runs,
    find_part_days,
    gaps_of,
    surprises,
)
from cekura_dashboards.stats.seasonality import LevelModel, SeasonalFit, fit_seasonality, unit_of_sums
from cekura_dashboards.stats.time_series import MIN_CALLS, Scale, TimeSeries, followed_clock, median, robust_sd
from cekura_dashboards.stats.timeline import DAY, UTC_CLOCK, Clock, Span, iso
from cekura_dashboards.text import counted
from cekura_dashboards.values import Array, Flags, Places, np, replace

MOST_OF_A_DAY = 0.5
"""The share of a day's deviation from which single hours account for it. A choice: a majority."""
MAX_UNUSUAL = 3
"""Maximum findings listed; the rest is counted. A choice."""
MIN_DAYS = 5
"""The minimum whole days to test hourly values for steps; with fewer, only unusual hours are tested. A choice."""
MIN_DAYS_OF_CLEAR_STEP = 14
"""The minimum days for a clear step. A choice: each weekday occurs twice."""
SIMILAR_SIZES = 1.25
"""Within this ratio, a change in the number of calls hardly shifts values that depend on it. A choice."""
TWO_WEEKS = 14
"""With fewer days a weekday occurs once, so a weekend looks like a change."""
MIN_RELATIVE_CHANGE = 0.05
"""Among many equal values, whose spread is 0, one is unusual only if it differs by this share. A choice."""
DATED_BY_HOUR = 4.0
"""The gain in squares, in variances, to prefer an hour to midnight: the 95 % point of chi-square, one degree."""
MIXED_SD = 3.0
"""A day this many standard deviations from the previous level belongs to a step that began within it. A choice."""
ALWAYS = Span(-math.inf, math.inf)
MIN_CALLS_OF_SUM = 16.0
"""A sum of usually fewer calls is not tested as an outlier, because one long call decides it. A choice.

Measured: without it 4 to 10 % of months of up to 4 calls an hour have a false ``clear`` hour, and 23 % of months of 5
calls a day a false ``clear`` day.
"""
CLEAR_MARGINS: dict[Scale, float] = {
    "count": CLEAR_MARGIN_OF_COUNTS,
    "sum": CLEAR_MARGIN_OF_COUNTS,
    "rate": CLEAR_MARGIN_OF_RATES,
}
SHORTLY = 7 * DAY
"""A step that began at most this long before the window, and persists, is reported. A choice: one week."""


def detect(
    series: TimeSeries,
    calls: TimeSeries | None = None,
    *,
    window: Span | None = None,
    clock: Clock = UTC_CLOCK,
    last_bucket: LastBucket | None = None,
    outliers: bool = True,
) -> Outcome:
    """All tests of a series, and the findings in the window, or all if it is None.

    ``calls``: calls per bucket, to test for outages; None: unknown. Hours are in the clock that the calls follow, see
    ``followed_clock``. ``last_bucket``: shows whether an outage is ongoing; without it, the last full bucket does.
    ``outliers``: False: only steps, trends and outages, in a fraction of the time.
    """
    followed = clock if calls is None else followed_clock(calls, clock)
    outcome = _detect(series, calls, window, followed, last_bucket, outliers=outliers)
    if followed is clock:
        return outcome
    return replace(outcome, notes=[f"hours are those of {followed.zone}: the calls follow its clock change"])


def _detect(
    series: TimeSeries, calls: TimeSeries | None, window: Span | None, clock: Clock, last_bucket: LastBucket | None,
    *, outliers: bool,
) -> Outcome:  # fmt: skip
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
        calls_fit, all_outages = _outages_in(calls, last_bucket, clock)
        outages = [gap for gap in all_outages if reporting_window.start < gap.end and gap.start < reporting_window.end]
        gap_findings = gaps_of(outages, zone, calls.step)
        series, present, calls_fit = _without_outages(series, present, calls_fit, all_outages)
    if len(present) < _min_buckets(present):
        return Outcome(None if gap_findings is None else [*gap_findings], untested)
    fit = calls_fit if calls is series else None
    findings, changes = _over_time(
        series, fit, reporting_window, clock, outages, untested, enough=_min_days(present), outliers=outliers
    )
    return Outcome([*findings, *(gap_findings or [])], untested, changes=changes)


def _min_days(series: TimeSeries) -> int:
    return MIN_VALUES if series.step >= DAY else MIN_DAYS


def _over_time(
    series: TimeSeries, known: SeasonalFit | None, window: Span, clock: Clock, outages: Sequence[Outage],
    untested: list[str], *, enough: int, outliers: bool,
) -> tuple[list[Finding], list[Finding]]:  # fmt: skip
    """The findings in the window except outages, and the steps and trends of the whole time.

    ``known``: the fit of the series, if any. ``untested``: receives omitted tests, with reasons. ``enough``: days.
    """
    by_day = _whole_days(series, clock)
    fit = by_day or known or fit_seasonality(series, clock)
    days = fit.days
    segmentation = fit_segments(
        days.levels,
        days.weights,
        days.seasons,
        least=enough,
        variances=days.variances,
        clear_margin=CLEAR_MARGINS.get(series.scale, CLEAR_MARGIN),
    )
    if not outliers and not segmentation.changepoints and segmentation.trend.verdict == "not significant":
        return [], []
    if by_day is not None:
        fit = _with_days(known or fit_seasonality(series, clock), by_day)
    days = days.with_seasonal(segmentation.seasonal)
    trend = TrendTest() if any(cut.is_linear for cut in segmentation.changepoints) else segmentation.trend
    fit = replace(fit, fit_days=lambda: days)
    cuts = [cut for cut in segmentation.changepoints if not _is_by_size(fit, cut)]
    mixed = not days.has_weekdays and len(days) < TWO_WEEKS and len({*days.weekend.tolist()}) > 1
    if mixed:
        cuts = [cut for cut in cuts if not _is_edge(days.weekend, cut.at)]
        untested.append("trend: less than two weeks, weekend included")
    trends = list[Trend]()
    if _drifts(fit):
        untested.append("trend: the calls per bucket changed, and such values depend on how many there are")
    elif len(days) >= MIN_VALUES and not mixed:
        trends = _trend(fit, trend, window, window.zone)
    elif len(days) < enough:
        untested.append(f"trend, steps: {counted(len(days), 'whole day')}, fewer than {enough}")
    findings: list[Finding] = [*_steps(fit, cuts, window, window.zone), *trends]
    if outliers:
        findings += _outliers(fit, cuts, trend, window, clock, outages)
    changes: list[Finding] = [*_steps(fit, cuts, ALWAYS, window.zone), *trends]
    return findings, changes


def _outliers(
    fit: SeasonalFit,
    cuts: Sequence[Changepoint],
    trend: TrendTest,
    window: Span,
    clock: Clock,
    outages: Sequence[Outage],
) -> list[Unusual]:
    """The unusual hours, days and parts of days, given the steps and the trend."""
    hours = _unusual_hours(fit, window)
    unusual = [*_without_bad_hours(fit, _unusual_days(fit, cuts, trend, window), hours), *hours]
    unusual = [*_unusual_parts(fit, window, clock, [_locate(fit, cut) for cut in cuts]), *unusual]
    return _unusual_findings(fit, unusual, outages, window.zone)


def _outages_in(
    calls: TimeSeries, last_bucket: LastBucket | None, clock: Clock
) -> tuple[SeasonalFit | None, list[Outage]]:
    """All outages of a series, with the fit that found them; None if no bucket is empty."""
    if not (bool((calls.values <= 0).any()) or (last_bucket is not None and last_bucket.calls <= 0)):
        return None, []
    fit = fit_seasonality(calls, clock)
    return fit, find_outages(fit, ALWAYS, last_bucket, clock)


def _without_outages(
    series: TimeSeries, present: TimeSeries, fit: SeasonalFit | None, outages: Sequence[Outage]
) -> tuple[TimeSeries, TimeSeries, SeasonalFit | None]:
    """Totals without the buckets of outages, which are findings already and must not also be steps, trends or outliers.

    Also the totals of buckets with data, and their fit, if known.
    """
    if not outages or not series.is_additive:
        return series, present, fit
    kept = np.ones(len(series), np.bool_)
    for outage in outages:
        kept &= (series.times + series.step <= outage.start) | (series.times >= outage.end)
    rest = replace(series, times=series.times[kept], values=series.values[kept], n=series.n[kept])
    return rest, rest.with_data(), None


def _whole_days(series: TimeSeries, clock: Clock) -> SeasonalFit | None:
    """The days of a daily chart, so that hourly and daily charts of the same calls have the same steps.

    None if they are too few, and for daily values.
    """
    days = series.in_days()
    return None if days is None or len(days.with_data()) < MIN_VALUES else fit_seasonality(days, clock)


def _with_days(hours: SeasonalFit, by_day: SeasonalFit) -> SeasonalFit:
    """The fit of hours with these days in place of its own."""
    series = hours.series
    base = by_day.levels.base / (DAY / series.step if series.is_additive else 1)
    return replace(hours, fit_days=lambda: by_day.days, levels=LevelModel(series, base))


def _is_by_size(fit: SeasonalFit, cut: Changepoint) -> bool:
    """Whether the calls per bucket changed with the level, for values that depend on their number."""
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
    of_calls = f" of {MIN_CALLS} calls or more" if len(present) < len(series) else ""
    buckets = counted(len(present), "full bucket")
    return [f"{', '.join(names)}: {buckets}{of_calls}, fewer than {least}"] if names else []


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
        is_clear = cut.clear and len(days) >= MIN_DAYS_OF_CLEAR_STEP
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
    """The bucket in which a step of days began: for hourly values, the hour of that day that fits both levels best.

    Midnight if no hour fits clearly better.
    """
    day, times = _first_mixed(fit, cut), fit.series.times
    near = np.flatnonzero((times >= day) & (times < day + DAY))
    if fit.series.step >= DAY or not len(near):
        return day
    deviations, weights = fit.deviations(near)
    before, after = (weights * (deviations - level) ** 2 for level in (cut.before, cut.after))
    misfits = np.concatenate([[0.0], np.cumsum(before - after)[:-1]])
    best = int(misfits.argmin())
    residuals = np.where(np.arange(len(near)) < best, before, after)
    return float(times[near[best]]) if -misfits[best] > DATED_BY_HOUR * float(residuals.mean()) else day


def _first_mixed(fit: SeasonalFit, cut: Changepoint) -> float:
    """The day of the cut, or the day before if its value lies between both levels, so that the step began within it."""
    days, at = fit.days, cut.at
    roots, levels = np.sqrt(days.weights), np.where(np.arange(len(days)) < at, cut.before, cut.after)
    residuals: Array = roots * (days.adjusted_levels - levels)
    spread = robust_sd(np.concatenate([residuals[max(0, at - 8) : at - 1], residuals[at : at + 7]]))
    share = (days.adjusted_levels[at - 1] - cut.before) / ((cut.after - cut.before) or 1.0)
    is_mixed = 0 < share < 1 and abs(residuals[at - 1]) > MIXED_SD * spread
    return float(days.times[at - 1 if is_mixed else at])


def _counts(fit: SeasonalFit, at: float, before: tuple[int, int], after: tuple[int, int]) -> list[Number] | None:
    """The calls on both sides of a step; None for counts and sums, or if unknown."""
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
    """A run of unusual buckets, first and last."""

    start: int
    end: int
    run: OutlierRun
    expected: float


def _without_bad_hours(
    fit: SeasonalFit, days: Sequence[_OutlierSpan], hours: Sequence[_OutlierSpan]
) -> list[_OutlierSpan]:
    """The unusual days, except those whose deviation is mostly due to unusual hours."""

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
    """The sums with usually enough calls, as estimated from their variance."""
    return expected >= MIN_CALLS_OF_SUM * unit_of_sums(sums, expected)


def _unusual_parts(fit: SeasonalFit, window: Span, clock: Clock, steps: Sequence[float]) -> list[_OutlierSpan]:
    parts = find_part_days(fit, window, clock, LEVELS_OF_PARTS, steps)
    runs = [OutlierRun(part.start, part.end, part.score, part.clear, part.p_value) for part in parts]
    return [_OutlierSpan(run.start, run.end, run, part.expected) for run, part in zip(runs, parts, strict=True)]


def _unusual_days(fit: SeasonalFit, cuts: Sequence[Changepoint], trend: TrendTest, window: Span) -> list[_OutlierSpan]:
    """Days far from their level; none if less than two weeks are known, which is too little to estimate weekdays."""
    days, series = fit.days, fit.series
    if len(days) < (TWO_WEEKS - 1 if len({*days.weekend.tolist()}) > 1 else MIN_VALUES):
        return []
    parts = segments([cut.at for cut in cuts], len(days))
    line: Array = (trend.slope if trend.verdict == "clear" else 0.0) * np.arange(len(days), dtype=np.float64)
    flat = days.adjusted_levels - line
    levels = line + np.concatenate([np.full(end - start, median(flat[start:end])) for start, end in parts])
    scores = days.scores(levels)
    for cut in cuts:  # a step that began within a day leaves that day between both levels
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
        if start == end:  # none of its hours has enough calls
            continue
        expected = days.values(run.start, run.end, levels)
        spans.append(_OutlierSpan(start, end, run, expected / (end - start) if series.is_additive else expected))
    return spans


def _is_weekly(times: Array, scores: Array, run: OutlierRun) -> bool:
    """Whether the same weekday of another week differs likewise, by a weekday effect that is not estimated yet."""
    same = np.rint((times - times[run.start]) / DAY) % 7 == 0
    same[run.start] = False
    return bool((scores[same] * math.copysign(1, run.score) > abs(run.score) / 2).any())


def _unusual_findings(
    fit: SeasonalFit, spans: Sequence[_OutlierSpan], gaps: Sequence[Outage], zone: str
) -> list[Unusual]:
    """Findings of unusual buckets, days before hours, without overlaps and outages."""
    series, taken, findings = fit.series, np.zeros(len(fit.series), np.bool_), list[tuple[float, Unusual]]()
    for span in spans:
        at = float(series.times[span.start])
        value, expected = _level(series, series.values, span.start, span.end), span.expected
        end = float(series.times[span.end - 1]) + series.step
        is_left = series.is_additive and value < expected  # the few calls of a bucket in which an outage begins or ends
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
    """The mean of a stretch, weighted by n; unweighted for counts, or if n is unknown."""
    part, weights = values[start:end], np.nan_to_num(series.n[start:end])
    if series.is_additive or weights.sum() <= 0:
        return float(part.mean())
    return float((part * weights).sum() / weights.sum())
