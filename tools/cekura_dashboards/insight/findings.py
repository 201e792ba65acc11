"""What the tests find in a course, as plain rows."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from cekura_dashboards.insight.buckets import TOO_FEW
from cekura_dashboards.insight.course import LEAST, Course, is_weekend
from cekura_dashboards.insight.gaps import find_gaps
from cekura_dashboards.insight.numbers import exact, percent_of, sig
from cekura_dashboards.insight.steps import find_steps, segments
from cekura_dashboards.insight.timeline import DAY, iso
from cekura_dashboards.insight.trend import find_trend
from cekura_dashboards.insight.unusual import Run, find_unusual

Finding = dict[str, Any]
MOST_UNUSUAL, MOST_GAPS = 3, 3
TELLABLE = 30
"""With fewer buckets a trend and a step cannot be told apart reliably."""


@dataclass(frozen=True)
class Outcome:
    """``findings`` None: nothing was tested. ``not_tested``: what was not, and why."""

    findings: list[Finding] | None = None
    not_tested: list[str] = field(default_factory=list[str])


def examine(course: Course, calls: Course | None = None, *, zone: str = "Z") -> Outcome:
    """All tests on a course. ``calls``: calls per bucket, in which gaps are looked for; None: not known."""
    days = course.daily()
    known = (days if len(days.known()) >= LEAST else course).known()
    too_few = [
        name
        for name, seen in (("trend, steps, unusual", known), ("gaps", calls))
        if seen is not None and len(seen) < LEAST
    ]
    seen = f"full buckets of {TOO_FEW} calls or more" if len(known) < len(course) else "full buckets"
    untested = [f"{', '.join(too_few)}: {len(known)} {seen}, fewer than {LEAST}"] if too_few else []
    if calls is None:
        untested.append("gaps: the calls per bucket are not known")
    gaps = _gaps(calls, zone) if calls is not None and len(calls) >= LEAST else None
    if len(known) < LEAST:
        return Outcome(gaps, untested)
    levels = known.adjusted()
    cuts = find_steps(levels)
    findings = _steps(known, [cut.at for cut in cuts], [cut.clear for cut in cuts], zone)
    if _mixed(known):
        untested.append("trend: less than two weeks, weekend included")
    else:
        findings += _trend(known, levels, [cut.at for cut in cuts], zone)
    unusual = _unusual(course, known, [cut.at for cut in cuts], zone)
    findings += [run for run in unusual if not _inside(run, gaps or [])]
    return Outcome([*findings, *(gaps or [])], untested)


def _steps(course: Course, cuts: Sequence[int], clear: Sequence[bool], zone: str) -> list[Finding]:
    found, parts = list[Finding](), segments(cuts, len(course))
    for (before, after), sure in zip(pairwise(parts), clear, strict=True):
        old, new = _level(course, *before), _level(course, *after)
        weekend = _mixed(course) and _is_edge(course.times[after[0]], course.step)
        found.append(
            {
                "kind": "step" if len(course) >= TELLABLE else "trend or step",
                "at": iso(course.times[after[0]], step=int(course.step), zone=zone),
                "before": sig(old),
                "after": sig(new),
                **_change(old, new),
                **_counts(course, before, after),
                **({"coincides": "weekend begins or ends"} if weekend else {}),
                "verdict": "clear" if sure and not weekend else "possible",
            }
        )
    return found


def _mixed(course: Course) -> bool:
    """Whether weekdays and weekends are in it, but not the two weeks that it takes to know how they differ."""
    kinds = {is_weekend(time) for time in course.times}
    slots = course.slots() or []
    return course.step <= DAY and len(kinds) > 1 and not any(weekend for _, weekend in slots)


def _is_edge(time: float, step: float) -> bool:
    """Whether a weekend begins or ends within half a day."""
    slack = max(step, DAY / 2) - 1
    return is_weekend(time - slack) != is_weekend(time + (slack if step < DAY else 0))


def _level(course: Course, start: int, end: int) -> float:
    """The mean of a stretch: by n, or by bucket for counts and where n is not known."""
    values = [value or 0.0 for value in course.values[start:end]]
    weights = [n or 0.0 for n in course.n[start:end]]
    if course.additive or sum(weights) <= 0:
        weights = [1.0] * len(values)
    return sum(v * w for v, w in zip(values, weights, strict=True)) / sum(weights)


def _change(old: float, new: float) -> Finding:
    pct = percent_of(new - old, old)
    return {"change": sig(new - old, 3), **({} if pct is None else {"pct": sig(pct, 3)})}


def _counts(course: Course, before: tuple[int, int], after: tuple[int, int]) -> Finding:
    if course.additive or any(n is None for n in course.n):
        return {}
    return {"n": [exact(sum(n or 0 for n in course.n[slice(*part)])) for part in (before, after)]}


def _trend(course: Course, levels: Sequence[float], cuts: Sequence[int], zone: str) -> list[Finding]:
    """A trend, unless what was found is a step that cannot be told from one."""
    trend = find_trend(levels, cuts)
    if trend.verdict == "within noise" or (cuts and len(course) < TELLABLE):
        return []
    per_day = trend.slope * DAY / course.step
    span = (course.times[-1] - course.times[0]) / DAY
    start = _level(course, 0, max(1, len(course) // 4))
    change = per_day * span
    pct = percent_of(change, start)
    return [
        {
            "kind": "trend",
            "from": iso(course.times[0], step=int(course.step), zone=zone),
            "per_day": sig(per_day, 3),
            "change": sig(change, 3),
            **({} if pct is None else {"pct": sig(pct, 3)}),
            "verdict": trend.verdict,
        }
    ]


def _unusual(course: Course, known: Course, cuts: Sequence[int], zone: str) -> list[Finding]:
    """In the finest buckets; a step found in days is carried over to them."""
    fine, steady = course.known(), course.steadied().known()
    where = [known.times[cut] for cut in cuts]
    places = [next((i for i, time in enumerate(fine.times) if time >= at), len(fine)) for at in where]
    edges = [place for place in places if 0 < place < len(fine)]
    runs = find_unusual(steady.adjusted(within_days=True), steady.errors, edges, fine.sizes())
    found = [
        {
            "kind": "unusual",
            "from": iso(fine.times[run.start], step=int(fine.step), zone=zone),
            "buckets": run.end - run.start,
            "value": sig(_level(fine, run.start, run.end)),
            "usual": sig(_usual(fine, run, edges)),
        }
        for run in runs[:MOST_UNUSUAL]
    ]
    if found and len(runs) > MOST_UNUSUAL:
        found[-1]["more"] = len(runs) - MOST_UNUSUAL
    return found


def _usual(course: Course, run: Run, cuts: Sequence[int]) -> float:
    """The median of the same hours of other days on the same level, or of the rest of that level."""
    slots = course.slots() or [(0, False)] * len(course)
    wanted = set(slots[run.start : run.end])
    start, end = next(part for part in segments(cuts, len(course)) if part[0] <= run.start < part[1])
    rest = [i for i in range(start, end) if not run.start <= i < run.end]
    alike = [i for i in rest if slots[i] in wanted]
    return statistics.median(course.values[i] or 0.0 for i in (alike or rest or range(start, end)))


def _inside(run: Finding, gaps: Sequence[Finding]) -> bool:
    return any(gap["from"] <= run["from"] < gap["to"] for gap in gaps)


def _gaps(counts: Course, zone: str) -> list[Finding]:
    gaps = find_gaps(counts.times, [value or 0.0 for value in counts.values], counts.step)
    largest = sorted(gaps, key=lambda gap: -gap.expected)
    found: list[Finding] = [
        {
            "kind": "gap",
            "from": iso(counts.times[gap.start], step=int(counts.step), zone=zone),
            "to": iso(counts.times[gap.end - 1] + counts.step, step=int(counts.step), zone=zone),
            "usual_calls": sig(gap.expected, 3),
        }
        for gap in largest[:MOST_GAPS]
    ]
    if found and len(gaps) > MOST_GAPS:
        found[-1]["more"] = len(gaps) - MOST_GAPS
    return found
