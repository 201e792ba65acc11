"""All tests of a series; the findings are those that lie in the requested window."""

import math
import statistics
from collections.abc import Sequence

from msgspec import Struct

from cekura_dashboards.stats.changepoints import MIN_VALUES, Changepoint, find_changepoints, fit_trend, segments
from cekura_dashboards.stats.distributions import count_score
from cekura_dashboards.stats.findings import Finding, Gap, Outcome, Step, Trend, Unusual
from cekura_dashboards.stats.numbers import Number, exact, relative, round_for_display
from cekura_dashboards.stats.outliers import (
    POSSIBLE_LEVEL,
    POSSIBLE_LEVEL_OF_HOURS,
    Outage,
    OutlierRun,
    find_outages,
    find_outlier_runs,
)
from cekura_dashboards.stats.seasonality import DailySeries, SeasonalFit, fit_seasonality
from cekura_dashboards.stats.time_series import MIN_CALLS, TimeSeries
from cekura_dashboards.stats.timeline import DAY, UTC_CLOCK, Clock, Span, iso
from cekura_dashboards.values import replace

MAX_UNUSUAL, MAX_GAPS = 3, 3
"""Listed; the rest is counted. A choice."""
MIN_BUCKETS_OF_STEP = 30
"""With fewer buckets a trend and a step cannot be distinguished reliably, so a step is at most possible. A choice."""
MIN_DAYS = 5
"""The least whole days of hourly values tested for steps; with fewer, only for unusual hours. A choice."""
MIN_HOURS = 48
"""The least hourly values tested at all. A choice: each hour of the day occurs twice."""
MIN_DAYS_OF_CLEAR_STEP = 21
"""The least days for a clear step in hourly values. A choice: each weekday occurs three times, as its effect needs."""
SIMILAR_SIZES = 1.25
"""Numbers of calls within this ratio do not visibly shift values, such as extremes, that depend on them. A choice."""
TWO_WEEKS = 14
"""With fewer days a weekday occurs once, so a weekend cannot be distinguished from a change."""
MIN_RELATIVE_CHANGE = 0.05
"""A value among many equal ones is unusual only if it differs by this share, as their spread is 0. A choice."""
SHORTLY = 7 * DAY
"""A step that began this long before the window, and still holds, is reported. A choice: one week."""


def detect(
    series: TimeSeries,
    calls: TimeSeries | None = None,
    *,
    window: Span | None = None,
    clock: Clock = UTC_CLOCK,
) -> Outcome:
    """All tests of a series; the findings are those in the window, or all where it is None.

    ``calls``: calls per bucket, in which gaps are looked for; None: not known.
    """
    present = series.with_data()
    if present.is_additive and min(present.present_values(), default=0.0) < 0:
        return Outcome(not_tested=["trend, steps, unusual, gaps: totals below zero"])
    if present.scale == "positive" and min(present.present_values(), default=0.0) <= 0:
        series, present = replace(series, scale="plain"), replace(present, scale="plain")
    reporting_window = window or Span(series.times[0] if len(series) else 0.0, math.inf)
    zone = reporting_window.zone
    untested = _too_few(series, present, calls)
    if calls is None:
        untested.append("gaps: the calls per bucket are not known")
    gap_findings, calls_fit, outages = None, None, list[Outage]()
    if calls is not None and len(calls) >= _min_buckets(calls):
        calls_fit = None if all(calls.values) else fit_seasonality(calls, clock)
        outages = find_outages(calls_fit, reporting_window) if calls_fit else []
        gap_findings = _gaps(outages, zone, calls.step)
    if len(present) < _min_buckets(present):
        return Outcome(None if gap_findings is None else [*gap_findings], untested)
    fit = calls_fit if calls_fit and calls is series else fit_seasonality(series, clock)
    days, findings = fit.days, list[Finding]()
    enough = MIN_VALUES if present.step >= DAY else MIN_DAYS
    cuts = find_changepoints(
        days.adjusted_levels, days.weights, least=enough, used_df=days.used_df, variance_known=days.variance_known
    )
    cuts = [cut for cut in cuts if not _is_by_size(fit, cut)]
    mixed = not days.has_weekdays and len(days) < TWO_WEEKS and len({*days.weekend}) > 1
    if mixed:
        cuts = [cut for cut in cuts if not _is_edge(days.weekend, cut.at)]
        untested.append("trend: less than two weeks, weekend included")
    steps = _steps(fit, cuts, reporting_window, zone)
    findings += steps
    if _drifts(fit):
        untested.append("trend: the calls per bucket changed, and such values depend on how many there are")
    elif len(days) >= MIN_VALUES and not mixed:
        findings += _trend(fit, cuts, reporting_window, zone)
    elif len(days) < enough:
        untested.append(f"trend, steps: {len(days)} whole days, fewer than {enough}")
    unusual = [*_unusual_days(fit, cuts, reporting_window), *_unusual_hours(fit, reporting_window)]
    findings += _unusual_findings(fit, unusual, outages, zone)
    return Outcome([*findings, *(gap_findings or [])], untested)


def _is_by_size(fit: SeasonalFit, cut: Changepoint) -> bool:
    """Whether the calls per bucket changed where the level did, for values that depend on how many there are."""
    days = fit.days
    return _sizes_differ(fit, days.sizes[: cut.at][-TWO_WEEKS:], days.sizes[cut.at :][:TWO_WEEKS])


def _drifts(fit: SeasonalFit) -> bool:
    third = max(1, len(fit.days) // 3)
    return bool(fit.days.sizes) and _sizes_differ(fit, fit.days.sizes[:third], fit.days.sizes[-third:])


def _sizes_differ(fit: SeasonalFit, before: Sequence[float], after: Sequence[float]) -> bool:
    sizes = sorted(statistics.median(part) for part in (before, after))
    return sizes[0] < fit.series.stable_from and sizes[1] > SIMILAR_SIZES * sizes[0]


def _min_buckets(series: TimeSeries) -> int:
    return MIN_HOURS if series.step < DAY else MIN_VALUES


def _too_few(series: TimeSeries, present: TimeSeries, calls: TimeSeries | None) -> list[str]:
    least = _min_buckets(series)
    names = [
        name
        for name, buckets in (("trend, steps, unusual", present), ("gaps", calls))
        if buckets is not None and len(buckets) < least
    ]
    bucket_kind = f"full buckets of {MIN_CALLS} calls or more" if len(present) < len(series) else "full buckets"
    return [f"{', '.join(names)}: {len(present)} {bucket_kind}, fewer than {least}"] if names else []


def _is_edge(weekend: Sequence[bool], at: int) -> bool:
    """Whether a weekend begins or ends with this day, or the day before it."""
    return any(weekend[i] != weekend[i - 1] for i in (at - 1, at, at + 1) if 0 < i < len(weekend))


def _steps(fit: SeasonalFit, cuts: Sequence[Changepoint], window: Span, zone: str) -> list[Step]:
    steps = list[Step]()
    series, days = fit.series, fit.days
    parts = segments([cut.at for cut in cuts], len(days))
    for place, cut in enumerate(cuts):
        at = _locate(fit, cut)
        ends = days.times[parts[place + 1][1]] if place + 1 < len(cuts) else math.inf
        early = at <= window.start
        if at >= window.end or at < window.start - SHORTLY or (early and ends < window.end):
            continue
        old, new = fit.value(cut.before), fit.value(cut.after)
        whole = len(series) >= MIN_BUCKETS_OF_STEP and len(days) >= MIN_DAYS_OF_CLEAR_STEP
        steps.append(
            Step(
                kind="step" if whole else "trend or step",
                at=iso(at, step=int(series.step), zone=zone),
                before=round_for_display(old),
                after=round_for_display(new),
                n=_counts(fit, at, parts[place], parts[place + 1]),
                before_window=early or None,
                verdict="clear" if cut.clear and whole else "possible",
                change=round_for_display(new - old, 3),
                pct=relative(new - old, old),
            ).with_p_value(cut.p_value)
        )
    return steps


def _locate(fit: SeasonalFit, cut: Changepoint) -> float:
    """The bucket in which a step of days began: where the buckets of the days about it fit both levels best."""
    days, series = fit.days, fit.series
    if series.step >= DAY:
        return days.times[cut.at]
    first, last = days.times[cut.at] - DAY, days.times[cut.at] + DAY
    near = [place for place, time in enumerate(series.times) if first <= time < last]
    best, at, sums = math.inf, days.times[cut.at], 0.0
    for place, (deviation, weight) in zip(near, fit.deviations(near), strict=True):
        if sums < best:
            best, at = sums, series.times[place]
        sums += weight * ((deviation - cut.before) ** 2 - (deviation - cut.after) ** 2)
    return at


def _counts(fit: SeasonalFit, at: float, before: tuple[int, int], after: tuple[int, int]) -> list[Number] | None:
    """The calls on both sides of a step; None for counts and sums, and where they are not known."""
    series, times = fit.series, fit.days.times
    if series.is_additive or any(n is None for n in series.n):
        return None
    start, end = times[before[0]], times[after[1] - 1] + DAY
    sides = [0.0, 0.0]
    for time, n in zip(series.times, series.n, strict=True):
        if start <= time < end:
            sides[time >= at] += n or 0
    return [exact(side) for side in sides]


def _trend(fit: SeasonalFit, cuts: Sequence[Changepoint], window: Span, zone: str) -> list[Trend]:
    """A trend through the window, unless there is a step that cannot be distinguished from one."""
    days = fit.days
    if (cuts and len(fit.series) < MIN_BUCKETS_OF_STEP) or window.start >= days.times[-1]:
        return []
    trend = fit_trend(days.adjusted_levels, [cut.at for cut in cuts])
    if trend.verdict == "within noise":
        return []
    span = (days.times[-1] - days.times[0]) / DAY
    slope = trend.slope * DAY / ((days.times[-1] - days.times[0]) / (len(days) - 1))
    start = fit.value(_begin(days.adjusted_levels))
    end = fit.value(_begin(days.adjusted_levels) + slope * span)
    return [
        Trend(
            start=iso(days.times[0], step=int(fit.series.step), zone=zone),
            per_day=round_for_display((end - start) / span, 3),
            verdict="clear" if trend.verdict == "clear" else "possible",
            change=round_for_display(end - start, 3),
            pct=relative(end - start, start),
        ).with_p_value(trend.p_value)
    ]


def _begin(levels: Sequence[float]) -> float:
    """The level at the start of a series: the mean of its first quarter."""
    first = levels[: max(1, len(levels) // 4)]
    return math.fsum(first) / len(first)


class _OutlierSpan(Struct, frozen=True):
    """Buckets that are unusual together, first and last."""

    start: int
    end: int
    run: OutlierRun
    expected: float


def _unusual_hours(fit: SeasonalFit, window: Span) -> list[_OutlierSpan]:
    series = fit.series
    if series.step >= DAY:
        return []
    tested = [window.start <= time < window.end for time in series.times]
    lost = len(fit.days) + len({*fit.hours})
    lowest = list[float]()
    if series.scale == "count":
        pairs = zip(fit.expected, tested, strict=True)
        lowest = [count_score(0, expected, fit.excess) if here else 0.0 for expected, here in pairs]
    return [
        _OutlierSpan(run.start, run.end, run, _level(series, fit.expected, run.start, run.end))
        for run in find_outlier_runs(
            fit.scores,
            tested,
            possible_level=POSSIBLE_LEVEL_OF_HOURS if series.has_exact_distribution else POSSIBLE_LEVEL,
            used_df=lost,
            exact=series.has_exact_distribution,
            extreme=series.is_extreme,
            lowest=lowest,
        )
    ]


def _unusual_days(fit: SeasonalFit, cuts: Sequence[Changepoint], window: Span) -> list[_OutlierSpan]:
    """Days far from their level; not where less than two weeks say nothing about weekdays."""
    days, series = fit.days, fit.series
    if len(days) < (TWO_WEEKS - 1 if len({*days.weekend}) > 1 else MIN_VALUES):
        return []
    levels = _levels(days, [cut.at for cut in cuts])
    scores = days.scores(levels)
    tested = [window.start <= time < window.end for time in days.times]
    runs = find_outlier_runs(
        scores, tested, used_df=days.used_df + len(cuts), exact=series.has_exact_distribution, extreme=series.is_extreme
    )
    if not days.has_weekdays:
        runs = [run for run in runs if not _is_weekly(days.times, scores, run)]
    spans = list[_OutlierSpan]()
    for run in runs:
        first = days.times[run.start]
        last = days.times[run.end] if run.end < len(days) else math.inf
        places = [i for i, time in enumerate(series.times) if first <= time < last]
        expected = days.values([*range(run.start, run.end)], levels)
        spans.append(
            _OutlierSpan(places[0], places[-1] + 1, run, expected / len(places) if series.is_additive else expected)
        )
    return spans


def _levels(days: DailySeries, cuts: Sequence[int]) -> list[float]:
    """For each day the median level of its stretch."""
    levels = list[float]()
    for start, end in segments(cuts, len(days)):
        levels += [statistics.median(days.adjusted_levels[start:end])] * (end - start)
    return levels


def _is_weekly(times: Sequence[float], scores: Sequence[float], run: OutlierRun) -> bool:
    """Whether the same weekday of another week differs likewise: a weekday effect that cannot be estimated yet."""
    same = [i for i, time in enumerate(times) if round((time - times[run.start]) / DAY) % 7 == 0 and i != run.start]
    return any(scores[i] * run.score > 0 and abs(scores[i]) > abs(run.score) / 2 for i in same)


def _unusual_findings(
    fit: SeasonalFit, spans: Sequence[_OutlierSpan], gaps: Sequence[Outage], zone: str
) -> list[Unusual]:
    """Unusual buckets, days before hours, without overlaps and without those in a gap."""
    series, earlier_places, findings = fit.series, set[int](), list[tuple[float, Unusual]]()
    for span in spans:
        places = range(span.start, span.end)
        at = series.times[span.start]
        if earlier_places & {*places} or any(gap.start <= at < gap.end for gap in gaps):
            continue
        value, expected = _level(series, series.present_values(), span.start, span.end), span.expected
        if (value - expected) * span.run.score <= 0 or abs(value - expected) < MIN_RELATIVE_CHANGE * abs(expected):
            continue
        earlier_places |= {*places}
        n = (
            None
            if series.is_additive or any(m is None for m in series.n)
            else round(sum(series.n[i] or 0 for i in places))
        )
        findings.append(
            (
                -abs(span.run.score),
                Unusual(
                    start=iso(at, step=int(series.step), zone=zone),
                    buckets=len(places),
                    value=round_for_display(value),
                    usual=round_for_display(expected),
                    n=n,
                    verdict="clear" if span.run.clear else "possible",
                ).with_p_value(span.run.p_value),
            )
        )
    findings.sort(key=lambda item: item[0])
    first = [item for _, item in findings[:MAX_UNUSUAL]]
    if len(findings) > MAX_UNUSUAL:
        first[-1] = first[-1].model_copy(update={"more": len(findings) - MAX_UNUSUAL})
    return first


def _level(series: TimeSeries, values: Sequence[float], start: int, end: int) -> float:
    """The mean of a stretch: by n, or by bucket for counts and where n is not known."""
    part = values[start:end]
    weights = [float(n or 0) for n in series.n[start:end]]
    if series.is_additive or math.fsum(weights) <= 0:
        weights = [1.0] * len(part)
    return math.fsum(v * w for v, w in zip(part, weights, strict=True)) / math.fsum(weights)


def _gaps(empty: Sequence[Outage], zone: str, step: float) -> list[Gap]:
    """The largest gaps."""
    largest = sorted(empty, key=lambda gap: -gap.expected)
    gaps = [
        Gap(
            start=iso(gap.start, step=int(step), zone=zone),
            end=iso(gap.end, zone=zone),
            usual_calls=round_for_display(gap.expected, 3),
        ).with_p_value(gap.p_value)
        for gap in largest[:MAX_GAPS]
    ]
    if len(largest) > MAX_GAPS:
        gaps[-1] = gaps[-1].model_copy(update={"more": len(largest) - MAX_GAPS})
    return gaps
