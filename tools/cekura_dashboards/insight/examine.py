"""All tests on a course, and what of their findings lies in the window that was asked about."""

import math
import statistics
from collections.abc import Sequence

from msgspec import Struct

from cekura_dashboards.insight.clock import UTC_CLOCK, Clock
from cekura_dashboards.insight.course import TOO_FEW, Course
from cekura_dashboards.insight.distributions import count_score
from cekura_dashboards.insight.findings import Finding, Gap, Outcome, Step, Trend, Unusual
from cekura_dashboards.insight.gaps import Empty, find_gaps
from cekura_dashboards.insight.numbers import Number, exact, relative, round_for_display
from cekura_dashboards.insight.rhythm import Days, Fit, fitted
from cekura_dashboards.insight.steps import LEAST, Cut, find_steps, segments
from cekura_dashboards.insight.timeline import DAY, Span, iso
from cekura_dashboards.insight.trend import find_trend
from cekura_dashboards.insight.unusual import PERHAPS, PERHAPS_AN_HOUR, Run, find_unusual
from cekura_dashboards.values import replace

MOST_UNUSUAL, MOST_GAPS = 3, 3
TELLABLE = 30
"""With fewer buckets a trend and a step cannot be told apart reliably."""
LEAST_DAYS = 5
"""So many whole days of hours can be tested for steps; of fewer, hours are only tested for what is unusual."""
LEAST_HOURS = 48
ENOUGH_DAYS = 21
"""Of hours, so many days are needed before a step is clear."""
ALIKE = 1.25
"""Numbers of calls that differ by less do not make values differ that depend on them."""
TWO_WEEKS = 14
NO_SPREAD_CHANGE = 0.05
"""A value among many that are equal is unusual only if it differs by this share."""
SHORTLY = 7 * DAY


def examine(
    course: Course,
    calls: Course | None = None,
    *,
    window: Span | None = None,
    clock: Clock = UTC_CLOCK,
) -> Outcome:
    """All tests on a course, of which is told what lies in the window; None: all of it.

    ``calls``: calls per bucket, in which gaps are looked for; None: not known.
    """
    known = course.known()
    if known.additive and min(known.numbers(), default=0.0) < 0:
        return Outcome(not_tested=["trend, steps, unusual, gaps: totals below zero"])
    if known.scale == "positive" and min(known.numbers(), default=0.0) <= 0:
        course, known = replace(course, scale="plain"), replace(known, scale="plain")
    asked = window or Span(course.times[0] if len(course) else 0.0, math.inf)
    zone = asked.zone
    untested = _too_few(course, known, calls)
    if calls is None:
        untested.append("gaps: the calls per bucket are not known")
    gaps, calls_fit, empty = None, None, list[Empty]()
    if calls is not None and len(calls) >= _least(calls):
        calls_fit = None if all(calls.values) else fitted(calls, clock)
        empty = find_gaps(calls_fit, asked) if calls_fit else []
        gaps = _gaps(empty, zone, calls.step)
    if len(known) < _least(known):
        return Outcome(None if gaps is None else [*gaps], untested)
    fit = calls_fit if calls_fit and calls is course else fitted(course, clock)
    days, findings = fit.days, list[Finding]()
    enough = LEAST if known.step >= DAY else LEAST_DAYS
    cuts = find_steps(days.apart, days.weights, least=enough, lost=days.lost, chance=days.chance)
    cuts = [cut for cut in cuts if not _is_by_size(fit, cut)]
    mixed = not days.weekdays and len(days) < TWO_WEEKS and len({*days.weekend}) > 1
    if mixed:
        cuts = [cut for cut in cuts if not _is_edge(days.weekend, cut.at)]
        untested.append("trend: less than two weeks, weekend included")
    steps = _steps(fit, cuts, asked, zone)
    findings += steps
    if _drifts(fit):
        untested.append("trend: the calls per bucket changed, and such values depend on how many there are")
    elif len(days) >= LEAST and not mixed:
        findings += _trend(fit, cuts, asked, zone)
    elif len(days) < enough:
        untested.append(f"trend, steps: {len(days)} whole days, fewer than {enough}")
    unusual = [*_unusual_days(fit, cuts, asked), *_unusual_hours(fit, asked)]
    findings += _told(fit, unusual, empty, zone)
    return Outcome([*findings, *(gaps or [])], untested)


def _is_by_size(fit: Fit, cut: Cut) -> bool:
    """Whether the calls per bucket changed where the level did, for values that depend on how many there are."""
    days = fit.days
    return _sizes_differ(fit, days.sizes[: cut.at][-TWO_WEEKS:], days.sizes[cut.at :][:TWO_WEEKS])


def _drifts(fit: Fit) -> bool:
    third = max(1, len(fit.days) // 3)
    return bool(fit.days.sizes) and _sizes_differ(fit, fit.days.sizes[:third], fit.days.sizes[-third:])


def _sizes_differ(fit: Fit, before: Sequence[float], after: Sequence[float]) -> bool:
    sizes = sorted(statistics.median(part) for part in (before, after))
    return sizes[0] < fit.course.settles and sizes[1] > ALIKE * sizes[0]


def _least(course: Course) -> int:
    return LEAST_HOURS if course.step < DAY else LEAST


def _too_few(course: Course, known: Course, calls: Course | None) -> list[str]:
    least = _least(course)
    names = [
        name
        for name, seen in (("trend, steps, unusual", known), ("gaps", calls))
        if seen is not None and len(seen) < least
    ]
    seen = f"full buckets of {TOO_FEW} calls or more" if len(known) < len(course) else "full buckets"
    return [f"{', '.join(names)}: {len(known)} {seen}, fewer than {least}"] if names else []


def _is_edge(weekend: Sequence[bool], at: int) -> bool:
    """Whether a weekend begins or ends with this day, or the day before it."""
    return any(weekend[i] != weekend[i - 1] for i in (at - 1, at, at + 1) if 0 < i < len(weekend))


def _steps(fit: Fit, cuts: Sequence[Cut], window: Span, zone: str) -> list[Step]:
    found = list[Step]()
    course, days = fit.course, fit.days
    parts = segments([cut.at for cut in cuts], len(days))
    for place, cut in enumerate(cuts):
        at = _placed(fit, cut)
        ends = days.times[parts[place + 1][1]] if place + 1 < len(cuts) else math.inf
        early = at <= window.start
        if at >= window.end or at < window.start - SHORTLY or (early and ends < window.end):
            continue
        old, new = fit.value(cut.before), fit.value(cut.after)
        whole = len(course) >= TELLABLE and len(days) >= ENOUGH_DAYS
        found.append(
            Step(
                kind="step" if whole else "trend or step",
                at=iso(at, step=int(course.step), zone=zone),
                before=round_for_display(old),
                after=round_for_display(new),
                n=_counts(fit, at, parts[place], parts[place + 1]),
                before_window=early or None,
                verdict="clear" if cut.clear and whole else "possible",
                change=round_for_display(new - old, 3),
                pct=relative(new - old, old),
            ).of_chance(cut.chance)
        )
    return found


def _placed(fit: Fit, cut: Cut) -> float:
    """The bucket in which a step of days began: where the buckets of the days about it fit both levels best."""
    days, course = fit.days, fit.course
    if course.step >= DAY:
        return days.times[cut.at]
    first, last = days.times[cut.at] - DAY, days.times[cut.at] + DAY
    near = [place for place, time in enumerate(course.times) if first <= time < last]
    best, at, sums = math.inf, days.times[cut.at], 0.0
    for place, (apart, weight) in zip(near, fit.apart(near), strict=True):
        if sums < best:
            best, at = sums, course.times[place]
        sums += weight * ((apart - cut.before) ** 2 - (apart - cut.after) ** 2)
    return at


def _counts(fit: Fit, at: float, before: tuple[int, int], after: tuple[int, int]) -> list[Number] | None:
    """The calls on both sides of a step; None for counts and sums, and where they are not known."""
    course, times = fit.course, fit.days.times
    if course.additive or any(n is None for n in course.n):
        return None
    start, end = times[before[0]], times[after[1] - 1] + DAY
    sides = [0.0, 0.0]
    for time, n in zip(course.times, course.n, strict=True):
        if start <= time < end:
            sides[time >= at] += n or 0
    return [exact(side) for side in sides]


def _trend(fit: Fit, cuts: Sequence[Cut], window: Span, zone: str) -> list[Trend]:
    """A trend through the window, unless what was found is a step that cannot be told from one."""
    days = fit.days
    if (cuts and len(fit.course) < TELLABLE) or window.start >= days.times[-1]:
        return []
    trend = find_trend(days.apart, [cut.at for cut in cuts])
    if trend.verdict == "within noise":
        return []
    span = (days.times[-1] - days.times[0]) / DAY
    slope = trend.slope * DAY / ((days.times[-1] - days.times[0]) / (len(days) - 1))
    start = fit.value(_begin(days.apart))
    end = fit.value(_begin(days.apart) + slope * span)
    return [
        Trend(
            start=iso(days.times[0], step=int(fit.course.step), zone=zone),
            per_day=round_for_display((end - start) / span, 3),
            verdict="clear" if trend.verdict == "clear" else "possible",
            change=round_for_display(end - start, 3),
            pct=relative(end - start, start),
        ).of_chance(trend.chance)
    ]


def _begin(levels: Sequence[float]) -> float:
    """The level at which a course begins: the mean of its first quarter."""
    first = levels[: max(1, len(levels) // 4)]
    return math.fsum(first) / len(first)


class _Far(Struct, frozen=True):
    """Buckets that are unusual together, first and last."""

    start: int
    end: int
    run: Run
    usual: float


def _unusual_hours(fit: Fit, window: Span) -> list[_Far]:
    course = fit.course
    if course.step >= DAY:
        return []
    tested = [window.start <= time < window.end for time in course.times]
    lost = len(fit.days) + len({*fit.hours})
    lowest = list[float]()
    if course.scale == "count":
        pairs = zip(fit.usual, tested, strict=True)
        lowest = [count_score(0, usual, fit.excess) if here else 0.0 for usual, here in pairs]
    return [
        _Far(run.start, run.end, run, _level(course, fit.usual, run.start, run.end))
        for run in find_unusual(
            fit.scores,
            tested,
            perhaps=PERHAPS_AN_HOUR if course.exact else PERHAPS,
            lost=lost,
            exact=course.exact,
            extreme=course.extreme,
            lowest=lowest,
        )
    ]


def _unusual_days(fit: Fit, cuts: Sequence[Cut], window: Span) -> list[_Far]:
    """Days far from their level; not where less than two weeks say nothing about weekdays."""
    days, course = fit.days, fit.course
    if len(days) < (TWO_WEEKS - 1 if len({*days.weekend}) > 1 else LEAST):
        return []
    levels = _levels(days, [cut.at for cut in cuts])
    scores = days.scores(levels)
    tested = [window.start <= time < window.end for time in days.times]
    runs = find_unusual(scores, tested, lost=days.lost + len(cuts), exact=course.exact, extreme=course.extreme)
    if not days.weekdays:
        runs = [run for run in runs if not _is_weekly(days.times, scores, run)]
    found = list[_Far]()
    for run in runs:
        first = days.times[run.start]
        last = days.times[run.end] if run.end < len(days) else math.inf
        places = [i for i, time in enumerate(course.times) if first <= time < last]
        usual = days.values([*range(run.start, run.end)], levels)
        found.append(_Far(places[0], places[-1] + 1, run, usual / len(places) if course.additive else usual))
    return found


def _levels(days: Days, cuts: Sequence[int]) -> list[float]:
    """For each day the median level of its stretch."""
    found = list[float]()
    for start, end in segments(cuts, len(days)):
        found += [statistics.median(days.apart[start:end])] * (end - start)
    return found


def _is_weekly(times: Sequence[float], scores: Sequence[float], run: Run) -> bool:
    """Whether the same weekday of another week is off alike: a rhythm that is not known yet."""
    same = [i for i, time in enumerate(times) if round((time - times[run.start]) / DAY) % 7 == 0 and i != run.start]
    return any(scores[i] * run.size > 0 and abs(scores[i]) > abs(run.size) / 2 for i in same)


def _told(fit: Fit, found: Sequence[_Far], gaps: Sequence[Empty], zone: str) -> list[Unusual]:
    """What is unusual, days before hours, each stretch once, without what a gap explains."""
    course, taken, told = fit.course, set[int](), list[tuple[float, Unusual]]()
    for far in found:
        places = range(far.start, far.end)
        at = course.times[far.start]
        if taken & {*places} or any(gap.start <= at < gap.end for gap in gaps):
            continue
        value, usual = _level(course, course.numbers(), far.start, far.end), far.usual
        if (value - usual) * far.run.size <= 0 or abs(value - usual) < NO_SPREAD_CHANGE * abs(usual):
            continue
        taken |= {*places}
        n = (
            None
            if course.additive or any(m is None for m in course.n)
            else round(sum(course.n[i] or 0 for i in places))
        )
        told.append(
            (
                -abs(far.run.size),
                Unusual(
                    start=iso(at, step=int(course.step), zone=zone),
                    buckets=len(places),
                    value=round_for_display(value),
                    usual=round_for_display(usual),
                    n=n,
                    verdict="clear" if far.run.clear else "possible",
                ).of_chance(far.run.chance),
            )
        )
    told.sort(key=lambda item: item[0])
    first = [item for _, item in told[:MOST_UNUSUAL]]
    if len(told) > MOST_UNUSUAL:
        first[-1] = first[-1].model_copy(update={"more": len(told) - MOST_UNUSUAL})
    return first


def _level(course: Course, values: Sequence[float], start: int, end: int) -> float:
    """The mean of a stretch: by n, or by bucket for counts and where n is not known."""
    part = values[start:end]
    weights = [float(n or 0) for n in course.n[start:end]]
    if course.additive or math.fsum(weights) <= 0:
        weights = [1.0] * len(part)
    return math.fsum(v * w for v, w in zip(part, weights, strict=True)) / math.fsum(weights)


def _gaps(empty: Sequence[Empty], zone: str, step: float) -> list[Gap]:
    """The largest gaps."""
    largest = sorted(empty, key=lambda gap: -gap.expected)
    found = [
        Gap(
            start=iso(gap.start, step=int(step), zone=zone),
            end=iso(gap.end, zone=zone),
            usual_calls=round_for_display(gap.expected, 3),
        ).of_chance(gap.chance)
        for gap in largest[:MOST_GAPS]
    ]
    if len(largest) > MOST_GAPS:
        found[-1] = found[-1].model_copy(update={"more": len(largest) - MOST_GAPS})
    return found
