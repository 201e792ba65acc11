"""Changes in one measure, each with its p-value, its size for ranking, and the time when it can have begun."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Literal

from msgspec import Struct

from cekura_dashboards.stats.compare import Difference, agreed, compare, explanation, share_changes
from cekura_dashboards.stats.findings import (
    CLEAR_P_VALUE,
    Finding,
    Gap,
    GroupChange,
    GroupChanges,
    MeasureKind,
    Number,
    Outcome,
    Step,
    Trend,
    Unusual,
    Verdict,
    exact,
    percent_of,
    relative,
    round_for_display,
)
from cekura_dashboards.stats.group_model import MIN_CALLS_OF_GROUP, NO_BUCKETS, BucketsByGroup, GroupedSample
from cekura_dashboards.stats.group_outliers import STOP_P_VALUE, outlying_groups
from cekura_dashboards.stats.significance import GroupValues, Sample, SampleBucket, VerdictTerms
from cekura_dashboards.stats.time_series import TimeSeries
from cekura_dashboards.stats.timeline import DAY, HOUR, iso, moment_of
from cekura_dashboards.values import Array, np, replace

How = Literal[
    "comparison", "step", "trend", "outlier", "outage", "share", "group", "new group", "gone group", "evaluated"
]
"""``evaluated``: of the share of calls that a metric was evaluated on."""
JUDGED: frozenset[How] = frozenset({"comparison", "step", "trend", "outlier", "outage", "evaluated"})
"""Kinds of change that have the verdict of a finding or comparison before they are ranked."""
RATE_MARGIN = 1e-3
"""For ranking by size, rates are kept this far from 0 and 1, where log odds diverge. A choice."""
MIN_SHARE_CHANGE = 0.01
"""The minimum change of a share to report: with many calls smaller ones are significant, but irrelevant. A choice."""
MIN_RELATIVE_CHANGE = 0.02
"""The same for all other measures, relative to the value before. A choice."""
MAX_LABELS = 3
"""Labels reported for one chart. A choice."""
MAX_GROUPS_LISTED = 5
MIN_GROUPS = 2
"""The minimum groups for one to stand out."""
MAX_UNTESTED, UNTESTED_RATIO = 3, 3.0
"""Counts by group with too few calls on one side for a test: how many are listed, and from which ratio on.

The ratio is relative to that of all calls. A choice: 30 calls and a third of them differ by more than days usually do.
"""
NO_CALLS = 3.0
"""The maximum log ratio, a factor of 20, also used for changes from or to 0 or of sign. A choice."""


class Change(Struct, frozen=True, kw_only=True):
    """One change. ``p_value``: of the test, corrected for the places it tried. ``size``: to rank it by.

    ``strongest_verdict``: the upper limit of its verdict, or the verdict if ``how`` is in ``JUDGED``, or it
    ``is_explained`` by a step, whose verdict it has; ``limited_by``: why, if the answer gives the reason. ``still``: an
    outage is ongoing. ``or_trend``: of a step, whether the days do not distinguish it from a trend. ``part``: the group
    or label; None there: calls without one.
    """

    how: How
    p_value: float
    size: float
    strongest_verdict: Literal["clear", "possible"] = "clear"
    before: Number | None = None
    after: Number | None = None
    pct: Number | None = None
    n: tuple[Number, Number] | None = None
    at: str | None = None
    until: str | None = None
    still: bool = False
    or_trend: bool = False
    is_explained: bool = False
    part: str | None = None
    limited_by: str | None = None

    @property
    def verdict(self) -> Literal["clear", "possible"]:
        """Its own verdict, the same wherever it is reported, without correction for other tests in a list."""
        is_clear = self.how in JUDGED or self.is_explained or self.p_value <= CLEAR_P_VALUE
        return self.strongest_verdict if is_clear else "possible"

    def limit(self, reason: str | None) -> "Change":
        """The change, at most ``possible`` if there is a reason."""
        return self if reason is None else replace(self, strongest_verdict="possible", limited_by=reason)


def level_change(
    kind: MeasureKind, current: Sample, baseline: Sample, terms: VerdictTerms, *, ratio: float, counted: bool
) -> Change | None:
    """The change from baseline to window; None if that is not tested, or an outage explains the difference."""
    comparison = compare(kind, current, baseline, terms, ratio=ratio, counted=counted)
    if comparison.verdict in {None, "not tested"} or comparison.current is None or comparison.baseline is None:
        return None
    difference = Difference(comparison.difference or 0, comparison.pct, is_total=kind == "total")
    if isinstance(explanation(difference, terms.changes, current, baseline), Gap):
        return None  # the outage is the finding
    after, before = comparison.current.value or 0, comparison.baseline.value or 0
    sizes = comparison.current.n, comparison.baseline.n
    return Change(
        how="comparison",
        p_value=comparison.p_value,
        size=_size(before, after, ratio),
        strongest_verdict="clear" if comparison.verdict == "clear" else "possible",
        before=before,
        after=after,
        pct=comparison.pct,
        n=None if sizes[0] is None or sizes[1] is None else (sizes[1], sizes[0]),
    )


def _size(before: float, after: float, ratio: float) -> float:
    """The absolute log ratio of two values; of rates the absolute log odds ratio."""
    if ratio:
        shares = [min(1 - RATE_MARGIN, max(RATE_MARGIN, value / ratio)) for value in (before, after)]
        return abs(math.log(shares[1] / (1 - shares[1])) - math.log(shares[0] / (1 - shares[0])))
    if before * after <= 0:
        return NO_CALLS if before != after else 0.0
    return min(NO_CALLS, abs(math.log(abs(after)) - math.log(abs(before))))


def changes_from_findings(findings: Iterable[Finding], ratio: float) -> list[Change]:
    """The findings in a series, as changes."""
    items = [*findings]
    reasons = [None if isinstance(item, Gap) else item.limited_by for item in items]
    return [change.limit(reason) for change, reason in zip(_as_changes(items, ratio), reasons, strict=True)]


def _as_changes(findings: Iterable[Finding], ratio: float) -> list[Change]:
    changes = list[Change]()
    for item in findings:
        match item:
            case Step():
                changes.append(
                    Change(how="step", p_value=item.p_value, size=_size(item.before, item.after, ratio),
                              strongest_verdict=item.verdict, before=item.before,
                              after=item.after, pct=item.pct, n=_sizes(item), at=item.at,
                              or_trend=item.kind == "trend or step")
                )  # fmt: skip
            case Trend():
                start = item.change * 100 / item.pct if item.pct else 0.0
                changes.append(
                    Change(how="trend", p_value=item.p_value, size=_size(start, start + item.change, ratio),
                              strongest_verdict=item.verdict, before=round_for_display(start),
                              after=round_for_display(start + item.change), pct=item.pct, at=item.start)
                )  # fmt: skip
            case Unusual():
                changes.append(
                    Change(how="outlier", p_value=item.p_value, size=_size(item.expected, item.value, ratio),
                              strongest_verdict=item.verdict, before=item.expected, after=item.value,
                              pct=relative(item.value - item.expected, item.expected), at=item.start,
                              until=_end_of(item))
                )  # fmt: skip
            case Gap():
                changes.append(
                    Change(how="outage", p_value=item.p_value, size=NO_CALLS, before=item.expected_calls, after=0,
                              at=item.start, until=item.end, still=item.still is True)
                )  # fmt: skip
    return changes


def _end_of(item: Unusual) -> str | None:
    """The end of several buckets; None for one."""
    if item.buckets == 1:
        return None
    step = DAY if len(item.start) == len("2026-11-12") else HOUR
    zone = item.start[len("2026-11-12T10:00") :]
    return iso(moment_of(item.start).timestamp() + item.buckets * step, step=step, zone=zone)


def label_changes(current: Sample, baseline: Sample, terms: VerdictTerms) -> list[Change]:
    """Labels whose share of the calls changed, in percent, the most significant first, each among the remaining ones.

    Shares add up to 1, so one that grows makes all others smaller: each change is removed before the next is tested.
    The last one may be insignificant.
    """
    wholes = [math.fsum(side.parts.values()) for side in (current, baseline)]
    sides, candidates, terms = (current, baseline), list[Change](), replace(terms, memo={})
    while len(candidates) < MAX_LABELS and min(math.fsum(side.parts.values()) for side in sides) > 0:
        conditions, changes = share_changes(*sides, terms)
        p_values = {label: min(1.0, item.estimate.p_value * conditions.parts) for label, item in changes.items()}
        label = min(p_values, key=lambda name: (p_values[name], -abs(changes[name].estimate.difference), str(name)))
        counts = [side.parts.get(label, 0.0) for side in (baseline, current)]
        old, new = counts[0] / wholes[1], counts[1] / wholes[0]
        candidates.append(
            Change(
                how="share",
                p_value=p_values[label] if abs(changes[label].estimate.difference) >= MIN_SHARE_CHANGE else 1.0,
                size=_size(changes[label].baseline, changes[label].current, 1.0),
                strongest_verdict=conditions.strongest_verdict,
                before=round(100 * old, 1),
                after=round(100 * new, 1),
                n=(exact(wholes[1]), exact(wholes[0])),
                part=label,
            )
        )
        if p_values[label] > STOP_P_VALUE:
            break
        sides = _without(current, candidates), _without(baseline, candidates)
    return candidates


def _without(side: Sample, changed: Iterable[Change]) -> Sample:
    """A sample without the labels that changed; the shares of the others are relative to the remaining calls."""
    changed_labels = {item.part for item in changed}
    removed = Counter[float]()
    for label in changed_labels & side.over_time.keys():
        removed.update({cell.time: cell.value * (cell.n or 0) for cell in side.over_time[label]})
    remaining = {
        label: [
            SampleBucket(cell.time, n, cell.value * (cell.n or 0) / n)
            for cell in cells
            if (n := (cell.n or 0) - removed[cell.time]) > 0
        ]
        for label, cells in side.over_time.items()
        if label not in changed_labels
    }
    parts = {label: count for label, count in side.parts.items() if label not in changed_labels}
    return replace(side, parts=parts, over_time=remaining, n=math.fsum(parts.values()))


class LabelSeries(Struct, frozen=True, eq=False, dict=True):
    """A label's share of the calls over time, and its steps and trends, computed on first use.

    ``test``: finds them.
    """

    series: TimeSeries
    test: Callable[[], Outcome]

    @cached_property
    def outcome(self) -> Outcome:
        return self.test()

    def step(self) -> Step | None:
        """The most significant step that began in the window."""
        steps = [item for item in self.outcome.findings or [] if isinstance(item, Step) and not item.before_window]
        return min(steps, key=lambda item: item.p_value, default=None)

    def around(self, at: str) -> tuple[tuple[float, float], tuple[float, float]]:
        """The calls and the label's share, before a time and from then on."""
        moment = datetime.fromisoformat(at)
        start = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        later, calls, hits = self.series.times >= start, self.series.n, self.series.n * self.series.values
        sides = [(float(calls[side].sum()), float(hits[side].sum())) for side in (~later, later)]
        before, after = ((n, part / n if n else 0.0) for n, part in sides)
        return before, after


def with_onsets(changes: Sequence[Change], series_by_label: Mapping[str | None, LabelSeries]) -> list[Change]:
    """The labels that changed, each with its onset if its series has a step.

    If the comparison shows none, the most significant step of any label, which may have begun late in the window.
    """
    since = list[Change]()
    for item in changes:
        step = series_by_label[item.part].step() if item.part in series_by_label else None
        since.append(replace(item, **_around(series_by_label[item.part], step)) if step else item)
    if any(item.p_value <= STOP_P_VALUE for item in changes):
        return since
    steps = {
        label: step for label, label_series in series_by_label.items() if (step := label_series.step()) is not None
    }
    if not steps:
        return since
    label = min(steps, key=lambda name: (steps[name].p_value, str(name)))
    step = steps[label]
    late = Change(
        how="share",
        p_value=min(1.0, step.p_value * len(series_by_label)),
        size=_size(step.before, step.after, 1.0),
        part=label,
    )
    return [*since, replace(late, **_around(series_by_label[label], step))]


def with_verdicts_of_steps(
    changes: Sequence[Change], series_by_label: Mapping[str | None, LabelSeries], current: Sample, baseline: Sample
) -> list[Change]:
    """The labels that changed, with the verdict of the step if one explains the difference of the two samples."""
    wholes, judged = [math.fsum(side.parts.values()) or 1.0 for side in (current, baseline)], list[Change]()
    for item in changes:
        new, old = current.parts.get(item.part, 0.0) / wholes[0], baseline.parts.get(item.part, 0.0) / wholes[1]
        findings = series_by_label[item.part].outcome.changes if item.part in series_by_label else []
        moved, sides = (
            Difference(new - old, percent_of(new - old, old)),
            (current.part(item.part), baseline.part(item.part)),
        )
        verdict = agreed(item.verdict, moved, findings, *sides)
        word: Literal["clear", "possible"] = "clear" if verdict.verdict == "clear" else "possible"
        judged.append(replace(item, strongest_verdict=word, is_explained=True) if verdict.is_explained else item)
    return judged


def _around(label_series: LabelSeries, step: Step) -> dict[str, Any]:
    """The shares of all calls before and after a step, in percent."""
    (before, old), (after, new) = label_series.around(step.at)
    return {
        "before": round(100 * old, 1),
        "after": round(100 * new, 1),
        "n": (exact(before), exact(after)),
        "at": step.at,
    }


def _sizes(step: Step) -> tuple[Number, Number] | None:
    return (step.n[0], step.n[1]) if step.n else None


def changes_by_group(
    current: GroupedSample,
    baseline: GroupedSample,
    *,
    additive: bool,
    ratio: float,
    most: Literal["clear", "possible"],
    earlier: BucketsByGroup = NO_BUCKETS,
) -> list[Change]:
    """Groups whose change differs from that of the others, and new or gone groups.

    ``earlier``: the days before both sides.
    """
    new, old = current.groups, baseline.groups
    times = {cell.time for cells in current.buckets.values() for cell in cells}
    changes = [
        Change(
            how="group",
            p_value=outlier.p_value,
            size=_size(old[outlier.group][1], new[outlier.group][1], 0.0 if additive else ratio),
            strongest_verdict=most,
            before=round_for_display(old[outlier.group][1]),
            after=round_for_display(new[outlier.group][1]),
            pct=relative(new[outlier.group][1] - old[outlier.group][1], old[outlier.group][1]),
            n=(exact(old[outlier.group][0]), exact(new[outlier.group][0])),
            part=outlier.group,
            at=iso(outlier.time, step=DAY) if outlier.time is not None and outlier.when == "since" else None,
        )
        for outlier in outlying_groups(current, baseline, additive=additive, ratio=ratio, earlier=earlier)
        # one bad day of the baseline is not a change of the window
        if outlier.when != "only" or outlier.time in times
    ]
    return [*changes, *_on_one_side("new group", new, old, most), *_on_one_side("gone group", old, new, most)]


def _on_one_side(
    how: How, there: GroupValues, other: Mapping[str | None, tuple[float, float]], most: Literal["clear", "possible"]
) -> list[Change]:
    """Groups with enough calls on one side and none on the other; without a change, each call's side is random."""
    parts = len({*there, *other})
    return [
        Change(
            how=how,
            p_value=min(1.0, parts * 2.0 ** (1 - n)),
            size=NO_CALLS,
            strongest_verdict=most,
            before=None if how == "new group" else round_for_display(value),
            after=round_for_display(value) if how == "new group" else None,
            n=(0, exact(n)) if how == "new group" else (exact(n), 0),
            part=name,
        )
        for name, (n, value) in there.items()
        if n >= MIN_CALLS_OF_GROUP and not other.get(name, (0.0, 0.0))[0]
    ]


def is_notable(change: Change) -> bool:
    """Whether it is large enough to report, whatever its significance."""
    if change.how in {"outage", "new group", "gone group", "share", "evaluated"} or change.pct is None:
        return True
    return abs(change.pct) >= 100 * MIN_RELATIVE_CHANGE


def group_changes(
    current: GroupedSample,
    baseline: GroupedSample,
    *,
    additive: bool,
    ratio: float,
    most: Literal["clear", "possible"],
    against: str,
    earlier: BucketsByGroup = NO_BUCKETS,
) -> GroupChanges | None:
    """``ratio``: what a rate of 100 % is written as, 0 for other measures. None with fewer than two groups to compare.

    ``earlier``: the days before both sides.
    """
    new, old = current.groups, baseline.groups
    compared = [name for name in new if name in old and min(new[name][0], old[name][0]) >= MIN_CALLS_OF_GROUP]
    rows = [
        GroupChange(
            group=change.part,
            baseline=change.before,
            current=change.after,
            pct=change.pct,
            n=None if additive or change.n is None else [*change.n],
            verdict=_group_verdict(change),
        )
        for change in changes_by_group(current, baseline, additive=additive, ratio=ratio, most=most, earlier=earlier)
        # a group on both sides is neither new nor gone, even if its number of calls is unknown on one side
        if change.how == "group" or not (change.part in new and change.part in old)
    ]
    significant_rows = [row for row in rows if row.verdict != "not significant"]
    quiet = len(compared) - sum(row.verdict in {"clear", "possible"} for row in significant_rows)
    untested = _untested_counts(new, old) if additive else []
    if not (significant_rows or untested) and len(compared) < MIN_GROUPS:
        return None
    return GroupChanges(
        against=against,
        top=[*significant_rows[:MAX_GROUPS_LISTED], *untested],
        more=max(0, len(significant_rows) - MAX_GROUPS_LISTED) or None,
        not_significant=quiet if len(compared) >= MIN_GROUPS and quiet else None,
    )


def _untested_counts(new: GroupValues, old: GroupValues) -> list[GroupChange]:
    """Groups with too few calls on one side for a test, whose change differs most from that of all groups together."""
    rows = list[tuple[float, GroupChange]]()
    totals = [sum(n for n, _ in side.values()) for side in (new, old)]
    for name, (n, value) in new.items():
        few, many = sorted((n, old.get(name, (0.0, 0.0))[0]))
        if not 0 < few < MIN_CALLS_OF_GROUP <= many:
            continue
        before = old[name][1]
        ratio = n * totals[1] / (old[name][0] * totals[0])
        if not 1 / UNTESTED_RATIO < ratio < UNTESTED_RATIO:
            row = GroupChange(
                group=name,
                baseline=round_for_display(before),
                current=round_for_display(value),
                pct=relative(value - before, before),
                verdict="not tested",
            )
            rows.append((abs(value - before), row))
    return [row for _, row in sorted(rows, key=lambda pair: -pair[0])[:MAX_UNTESTED]]


def _group_verdict(change: Change) -> Verdict | Literal["new", "gone"]:
    match change.how:
        case "new group":
            return "new"
        case "gone group":
            return "gone"
        case _:
            return change.verdict if change.p_value <= STOP_P_VALUE else "not significant"


LIKELIHOOD_RATIO = 7.35
"""A place is excluded if twice its log likelihood ratio to the likeliest exceeds this: a 95 % confidence set.

Source: Hansen (2000), Econometrica 68, table 1.
"""
MIN_ONSET_BUCKETS = 4
"""The minimum buckets to distinguish two levels from noise."""
RELATIVE_TOLERANCE = 1e-12
"""Smaller weights and squares, relative to the largest, are rounding error."""


def onset_interval(
    times: Array, values: Array, weights: Array, step: float, *, at: float | None = None
) -> tuple[float, float]:
    """The interval from the first bucket in which the level can have changed to the end of the last, in seconds.

    ``times``: the starts of buckets of ``step`` seconds, in order, gaps allowed. ``weights``: of each value, up to a
    factor. ``at``: the start of the bucket from a test; None: the likeliest place. The bucket before a new level
    belongs to the interval, because a level may change within a bucket. Too few buckets give their whole time.

    >>> day = np.arange(8.0) * 86400
    >>> start, end = onset_interval(day, np.array([9.0, 10, 9, 10, 5, 6, 5, 6]), np.ones(8), 86400)
    >>> start / 86400, end / 86400
    (3.0, 5.0)
    """
    known = np.isfinite(values) & (weights > RELATIVE_TOLERANCE * float(weights.max(initial=0.0)))
    times, values, weights = times[known], values[known], weights[known]
    count, largest = len(times), float(np.abs(values).max(initial=0.0))
    if count < MIN_ONSET_BUCKETS:
        return (float(times[0]), float(times[-1]) + step) if count else (-math.inf, math.inf)
    weights = weights / float(weights.max())
    values = values / largest if largest else values
    values = values - float((values * weights).sum() / weights.sum())
    sizes, sums = np.cumsum(weights), np.cumsum(values * weights)
    explained = sums[:-1] ** 2 / sizes[:-1] + (sums[-1] - sums[:-1]) ** 2 / (sizes[-1] - sizes[:-1])
    residual = float((values**2 * weights).sum()) - explained
    at_place = np.searchsorted(times, at if at is not None else times[int(residual.argmin()) + 1]).item() - 1
    place = min(max(at_place, 0), count - 2)
    variance = max(float(residual[place]), 0.0) / (count - 2)
    slack = max(LIKELIHOOD_RATIO * variance, RELATIVE_TOLERANCE * float((values**2 * weights).sum()))
    possible = residual <= residual[place] + slack
    first = last = place
    if at is None:
        first, last = np.flatnonzero(possible)[[0, -1]].tolist()
    while first > 0 and possible[first - 1]:
        first -= 1
    while last < count - 2 and possible[last + 1]:
        last += 1
    return float(times[first]), float(times[last + 1]) + step
