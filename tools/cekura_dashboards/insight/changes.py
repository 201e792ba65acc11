"""What may have changed in one measure, each with how likely chance alone makes it, so that many can be ranked."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from msgspec import Struct

from cekura_dashboards.insight.compare import compare
from cekura_dashboards.insight.compare_parts import share_changes
from cekura_dashboards.insight.comparison import Kind
from cekura_dashboards.insight.course import Course
from cekura_dashboards.insight.drivers import SURELY_CHANCE, GroupedSide, unlike_groups
from cekura_dashboards.insight.effects import ENOUGH_CALLS
from cekura_dashboards.insight.estimates import FEW_BUCKETS
from cekura_dashboards.insight.findings import Finding, Gap, Outcome, Step, Trend, Unusual
from cekura_dashboards.insight.numbers import Number, exact, relative, round_for_display
from cekura_dashboards.insight.side import Cell, Groups, Side
from cekura_dashboards.insight.verdicts import Terms
from cekura_dashboards.values import replace

How = Literal["comparison", "step", "trend", "unusual", "gap", "share", "group", "new group", "gone group"]
LEAST_SHARE = 1e-3
"""Rates nearer to 0 or 1 count as this near when changes are ranked by size."""
NOTABLE_POINTS = 0.01
"""A share that moved by less is not told: of very many calls that is beyond chance, and of no use."""
NOTABLE = 0.02
"""Of anything else, relative to what it was."""
SURELY = 1e-4
"""So unlikely, a step is clear also where days are too few to tell it from a trend: something changed."""
MOST_LABELS = 3
NO_CALLS = 3.0
"""The size of a change to nothing, from nothing, or from one sign to the other."""


class Candidate(Struct, frozen=True, kw_only=True):
    """One change. ``chance``: how likely any so large is in this test without one. ``size``: to rank it by.

    ``most``: the most that may be said of it. ``part``: of a share or group, which; None there: calls without one.
    """

    how: How
    chance: float
    size: float
    most: Literal["clear", "possible"] = "clear"
    before: Number | None = None
    after: Number | None = None
    pct: Number | None = None
    n: tuple[Number, Number] | None = None
    at: str | None = None
    until: str | None = None
    part: str | None = None


def level(kind: Kind, current: Side, baseline: Side, terms: Terms, *, ratio: float, counted: bool) -> Candidate | None:
    """The window against its baseline; None where that is not tested."""
    found = compare(kind, current, baseline, terms, ratio=ratio, counted=counted)
    if found.verdict in {None, "not tested"} or found.current is None or found.baseline is None:
        return None
    after, before = found.current.value or 0, found.baseline.value or 0
    few = min(len(current.cells), len(baseline.cells)) < FEW_BUCKETS
    sizes = found.current.n, found.baseline.n
    return Candidate(
        how="comparison",
        chance=found.chance,
        size=_size(before, after, ratio),
        most="possible" if few else terms.most,
        before=before,
        after=after,
        pct=found.pct,
        n=None if sizes[0] is None or sizes[1] is None else (sizes[1], sizes[0]),
    )


def _size(before: float, after: float, ratio: float) -> float:
    """By how much it moved, on the scale of logarithms; of rates that of the odds."""
    if ratio:
        shares = [min(1 - LEAST_SHARE, max(LEAST_SHARE, value / ratio)) for value in (before, after)]
        return abs(math.log(shares[1] / (1 - shares[1])) - math.log(shares[0] / (1 - shares[0])))
    if before * after <= 0:
        return NO_CALLS if before != after else 0.0
    return min(NO_CALLS, abs(math.log(after / before)))


def of_findings(findings: Iterable[Finding], ratio: float) -> list[Candidate]:
    """What the tests of a course found."""
    found = list[Candidate]()
    for item in findings:
        match item:
            case Step():
                sure = item.verdict == "clear" or item.chance <= SURELY
                found.append(
                    Candidate(how="step", chance=item.chance, size=_size(item.before, item.after, ratio),
                              most="clear" if sure else "possible", before=item.before, after=item.after, pct=item.pct,
                              n=_sizes(item), at=item.at)
                )  # fmt: skip
            case Trend():
                start = item.change * 100 / item.pct if item.pct else 0.0
                found.append(
                    Candidate(how="trend", chance=item.chance, size=_size(start, start + item.change, ratio),
                              most=item.verdict, before=round_for_display(start),
                              after=round_for_display(start + item.change), pct=item.pct, at=item.start)
                )  # fmt: skip
            case Unusual():
                found.append(
                    Candidate(how="unusual", chance=item.chance, size=_size(item.usual, item.value, ratio),
                              most=item.verdict, before=item.usual, after=item.value,
                              pct=relative(item.value - item.usual, item.usual), at=item.start)
                )  # fmt: skip
            case Gap():
                found.append(
                    Candidate(how="gap", chance=item.chance, size=NO_CALLS, before=item.usual_calls, after=0,
                              at=item.start, until=item.end)
                )  # fmt: skip
    return found


def of_labels(current: Side, baseline: Side, terms: Terms) -> list[Candidate]:
    """Labels whose share of the calls changed, in percent, the surest first, each among those that remain.

    As shares add up, one that grows makes all others smaller; so what changed is taken away before the next is looked
    for. The last one is that which might be chance.
    """
    wholes = [math.fsum(side.parts.values()) for side in (current, baseline)]
    sides, found = (current, baseline), list[Candidate]()
    while len(found) < MOST_LABELS and min(math.fsum(side.parts.values()) for side in sides) > 0:
        terms_of, changes = share_changes(*sides, terms)
        chances = {label: min(1.0, change.chance * terms_of.parts) for label, (_, _, change) in changes.items()}
        label = min(chances, key=lambda name: (chances[name], -abs(changes[name][2].difference), str(name)))
        counts = [side.parts.get(label, 0.0) for side in (baseline, current)]
        old, new = counts[0] / wholes[1], counts[1] / wholes[0]
        found.append(
            Candidate(
                how="share",
                chance=chances[label] if abs(changes[label][2].difference) >= NOTABLE_POINTS else 1.0,
                size=_size(changes[label][1], changes[label][0], 1.0),
                most=terms_of.most,
                before=round(100 * old, 1),
                after=round(100 * new, 1),
                n=(exact(wholes[1]), exact(wholes[0])),
                part=label,
            )
        )
        if chances[label] > SURELY_CHANCE:
            break
        sides = _without(current, found), _without(baseline, found)
    return found


def _without(side: Side, found: Iterable[Candidate]) -> Side:
    """A side less the labels that were found to have changed: the shares of the others are of what remains."""
    gone = {item.part for item in found}
    taken = Counter[float]()
    for label in gone & side.over_time.keys():
        taken.update({cell.time: cell.value * (cell.n or 0) for cell in side.over_time[label]})
    left = {
        label: [
            Cell(cell.time, n, cell.value * (cell.n or 0) / n)
            for cell in cells
            if (n := (cell.n or 0) - taken[cell.time]) > 0
        ]
        for label, cells in side.over_time.items()
        if label not in gone
    }
    parts = {label: count for label, count in side.parts.items() if label not in gone}
    return replace(side, parts=parts, over_time=left, n=math.fsum(parts.values()))


class LabelCourse(NamedTuple):
    """A label's share of the calls over time, and what the tests found in it."""

    course: Course
    outcome: Outcome

    def step(self) -> Step | None:
        """The surest step."""
        steps = [item for item in self.outcome.findings or [] if isinstance(item, Step) and not item.before_window]
        return min(steps, key=lambda item: item.chance, default=None)

    def around(self, at: str) -> tuple[tuple[float, float], tuple[float, float]]:
        """The calls, and the share of them, before a time and from then on."""
        moment = datetime.fromisoformat(at)
        start = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        sides = list[tuple[float, float]]()
        for later in (False, True):
            held = [
                (float(n or 0), float(share or 0))
                for time, share, n in zip(self.course.times, self.course.values, self.course.n, strict=True)
                if (time >= start) is later
            ]
            calls = math.fsum(n for n, _ in held)
            sides.append((calls, math.fsum(n * share for n, share in held) / calls if calls else 0.0))
        return sides[0], sides[1]


def dated(found: Sequence[Candidate], courses: Mapping[str | None, LabelCourse]) -> list[Candidate]:
    """The labels that changed, with the time since when where their course over time shows a step.

    Where both sides show none, the surest step of a label: it may have begun late in the window.
    """
    steps = {label: step for label, held in courses.items() if (step := held.step()) is not None}
    since = [
        replace(item, **_around(courses[item.part], steps[item.part])) if item.part in steps else item for item in found
    ]
    if not steps or any(item.chance <= SURELY_CHANCE for item in found):
        return since
    label = min(steps, key=lambda name: (steps[name].chance, str(name)))
    step = steps[label]
    late = Candidate(
        how="share",
        chance=min(1.0, step.chance * len(courses)),
        size=_size(step.before, step.after, 1.0),
        part=label,
    )
    return [*since, replace(late, **_around(courses[label], step))]


def _around(held: LabelCourse, step: Step) -> dict[str, Any]:
    """The shares before and after a step, of all calls on each side, in percent."""
    (before, old), (after, new) = held.around(step.at)
    return {
        "before": round(100 * old, 1),
        "after": round(100 * new, 1),
        "n": (exact(before), exact(after)),
        "at": step.at,
    }


def _sizes(step: Step) -> tuple[Number, Number] | None:
    return (step.n[0], step.n[1]) if step.n else None


def of_groups(
    current: GroupedSide, baseline: GroupedSide, *, additive: bool, ratio: float, most: Literal["clear", "possible"]
) -> list[Candidate]:
    """Groups whose own change is unlike that of the others, and those that are new or gone."""
    new, old = current.groups, baseline.groups
    found = [
        Candidate(
            how="group",
            chance=unlike.chance,
            size=_size(old[unlike.group][1], new[unlike.group][1], 0.0 if additive else ratio),
            most=most,
            before=round_for_display(old[unlike.group][1]),
            after=round_for_display(new[unlike.group][1]),
            pct=relative(new[unlike.group][1] - old[unlike.group][1], old[unlike.group][1]),
            n=(exact(old[unlike.group][0]), exact(new[unlike.group][0])),
            part=unlike.group,
        )
        for unlike in unlike_groups(current, baseline, additive=additive, ratio=ratio)
    ]
    return [*found, *_on_one_side("new group", new, old, most), *_on_one_side("gone group", old, new, most)]


def _on_one_side(
    how: How, there: Groups, other: Mapping[str | None, tuple[float, float]], most: Literal["clear", "possible"]
) -> list[Candidate]:
    """Groups of enough calls on one side that have none on the other: as likely as that many tosses of a coin."""
    parts = len({*there, *other})
    return [
        Candidate(
            how=how,
            chance=min(1.0, parts * 2.0 ** (1 - n)),
            size=NO_CALLS,
            most=most,
            before=None if how == "new group" else round_for_display(value),
            after=round_for_display(value) if how == "new group" else None,
            n=(0, exact(n)) if how == "new group" else (exact(n), 0),
            part=name,
        )
        for name, (n, value) in there.items()
        if n >= ENOUGH_CALLS and not other.get(name, (0.0, 0.0))[0]
    ]


def is_notable(found: Candidate) -> bool:
    """Whether it is large enough to be told, however sure it is."""
    if found.how in {"gap", "new group", "gone group", "share"} or found.pct is None:
        return True
    return abs(found.pct) >= 100 * NOTABLE
