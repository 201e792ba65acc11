"""Which groups moved unlike the others: from one half of a window to the next, or against a baseline."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from cekura_dashboards.insight.drivers import SURELY_CHANCE, GroupedSide, unlike_groups
from cekura_dashboards.insight.effects import ENOUGH_CALLS
from cekura_dashboards.insight.numbers import Number, exact, relative, round_for_display
from cekura_dashboards.insight.verdicts import Verdict
from cekura_dashboards.text import Word

SURE = 0.01
MOST_TOLD = 5
LEAST_KNOWN = 2
"""Of fewer groups none can move unlike the others."""


class GroupChange(BaseModel):
    """One group before and after. Its verdict is about how unlike the other groups it moved."""

    model_config = ConfigDict(frozen=True)

    group: Word | None = Field(default=None, description="absent: calls without one")
    before: Number | None = None
    after: Number | None = None
    pct: Number | None = Field(default=None, description="relative, in percent of before")
    n: list[Number] | None = Field(default=None, description="calls before and after; absent: the values are calls")
    verdict: Verdict | Literal["new", "gone"]


class GroupChanges(BaseModel):
    """The groups that moved most unlike the others, the surest first."""

    model_config = ConfigDict(frozen=True)

    against: str = Field(description="both times, or what is compared with")
    top: list[GroupChange]
    more: int | None = Field(default=None, description="groups that moved beyond those shown")
    quiet: int | None = Field(default=None, description="groups that moved like the others, within noise")


def group_changes(
    current: GroupedSide,
    baseline: GroupedSide,
    *,
    additive: bool,
    ratio: float,
    most: Literal["clear", "possible"],
    against: str,
) -> GroupChanges | None:
    """``ratio``: what a rate of one is written as, 0 for what is no rate. None where fewer than two can be compared."""
    new, old = current.groups, baseline.groups
    unlike = unlike_groups(current, baseline, additive=additive, ratio=ratio)
    known = [name for name in new if name in old and min(new[name][0], old[name][0]) >= ENOUGH_CALLS]
    rows = [
        GroupChange(
            group=found.group,
            before=round_for_display(old[found.group][1]),
            after=round_for_display(new[found.group][1]),
            pct=relative(new[found.group][1] - old[found.group][1], old[found.group][1]),
            n=None if additive else [exact(old[found.group][0]), exact(new[found.group][0])],
            verdict=_verdict(found.chance, most),
        )
        for found in unlike
    ]
    for name, side, word in (
        *((name, new, "new") for name in new if name not in old),
        *((name, old, "gone") for name in old if name not in new),
    ):
        n, value = side[name]
        if n >= ENOUGH_CALLS:
            shown = round_for_display(value)
            rows.append(
                GroupChange(
                    group=name,
                    before=shown if word == "gone" else None,
                    after=shown if word == "new" else None,
                    n=None if additive else [0, exact(n)] if word == "new" else [exact(n), 0],
                    verdict="new" if word == "new" else "gone",
                )
            )
    moved = [row for row in rows if row.verdict != "within noise"]
    quiet = len(known) - sum(row.verdict in {"clear", "possible"} for row in moved)
    if not moved and len(known) < LEAST_KNOWN:
        return None
    return GroupChanges(
        against=against,
        top=moved[:MOST_TOLD],
        more=max(0, len(moved) - MOST_TOLD) or None,
        quiet=quiet if len(known) >= LEAST_KNOWN and quiet else None,
    )


def _verdict(chance: float, most: Literal["clear", "possible"]) -> Verdict:
    if chance <= SURE and most == "clear":
        return "clear"
    return "possible" if chance <= SURELY_CHANCE else "within noise"
