"""Which groups moved unlike the others: from one half of a window to the next, or against a baseline."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from cekura_dashboards.stats.decomposition import MIN_CALLS_OF_GROUP, STOP_P_VALUE, GroupedSample, outlying_groups
from cekura_dashboards.stats.numbers import Number, exact, relative, round_for_display
from cekura_dashboards.stats.significance import Verdict
from cekura_dashboards.text import SafeText

CLEAR_P_VALUE = 0.01
MAX_GROUPS_LISTED = 5
MIN_GROUPS = 2
"""Of fewer groups none can move unlike the others."""


class GroupChange(BaseModel):
    """One group before and after. Its verdict is about how unlike the other groups it moved."""

    model_config = ConfigDict(frozen=True)

    group: SafeText | None = Field(default=None, description="absent: calls without one")
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
    current: GroupedSample,
    baseline: GroupedSample,
    *,
    additive: bool,
    ratio: float,
    most: Literal["clear", "possible"],
    against: str,
) -> GroupChanges | None:
    """``ratio``: what a rate of one is written as, 0 for what is no rate. None where fewer than two can be compared."""
    new, old = current.groups, baseline.groups
    unlike = outlying_groups(current, baseline, additive=additive, ratio=ratio)
    known = [name for name in new if name in old and min(new[name][0], old[name][0]) >= MIN_CALLS_OF_GROUP]
    rows = [
        GroupChange(
            group=outlier.group,
            before=round_for_display(old[outlier.group][1]),
            after=round_for_display(new[outlier.group][1]),
            pct=relative(new[outlier.group][1] - old[outlier.group][1], old[outlier.group][1]),
            n=None if additive else [exact(old[outlier.group][0]), exact(new[outlier.group][0])],
            verdict=_verdict(outlier.p_value, most),
        )
        for outlier in unlike
    ]
    for name, side, word in (
        *((name, new, "new") for name in new if name not in old),
        *((name, old, "gone") for name in old if name not in new),
    ):
        n, value = side[name]
        if n >= MIN_CALLS_OF_GROUP:
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
    if not moved and len(known) < MIN_GROUPS:
        return None
    return GroupChanges(
        against=against,
        top=moved[:MAX_GROUPS_LISTED],
        more=max(0, len(moved) - MAX_GROUPS_LISTED) or None,
        quiet=quiet if len(known) >= MIN_GROUPS and quiet else None,
    )


def _verdict(chance: float, most: Literal["clear", "possible"]) -> Verdict:
    if chance <= CLEAR_P_VALUE and most == "clear":
        return "clear"
    return "possible" if chance <= STOP_P_VALUE else "within noise"
