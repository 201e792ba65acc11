"""The results of tests and comparisons: models without arithmetic, rounded once, at the end."""

from typing import Annotated, Any, Literal, Self, TypeVar

from msgspec import Struct, field
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from cekura_dashboards.text import SafeText

LARGEST_PERCENT = 1e12
Number = float | int


def round_for_display(value: float, digits: int = 4) -> Number:
    """Round to significant digits; whole numbers come back as int, counts below 10^15 exact.

    >>> round_for_display(0.87123), round_for_display(1234.56), round_for_display(12.0), round_for_display(0)
    (0.8712, 1235, 12, 0)
    """
    if isinstance(value, int):
        return value
    rounded = float(f"{value:.{digits}g}")
    return int(rounded) if rounded.is_integer() else rounded


def exact(value: float) -> Number:
    """A count; whole numbers stay exact, whatever their size.

    >>> exact(1234567.0), exact(0.5)
    (1234567, 0.5)
    """
    return int(value) if float(value).is_integer() else round_for_display(value)


def percent_of(change: float, base: float) -> float | None:
    """A change in percent of the start; None if that is 0 or almost 0.

    >>> percent_of(-1.0, 4.0), percent_of(1.0, 0.0), percent_of(1e15, 1e-300)
    (-25.0, None, None)
    """
    if not base:
        return None
    percent = 100 * change / abs(base)
    return percent if abs(percent) <= LARGEST_PERCENT else None


def relative(change: float, base: float) -> Number | None:
    """As ``percent_of``, rounded for display."""
    pct = percent_of(change, base)
    return None if pct is None else round_for_display(pct, 3)


SCALES = {"ratio": 1.0, "percent": 100.0}
"""What a rate of 100 % is written as, by unit."""


Verdict = Literal["clear", "possible", "not significant", "not tested"]


class WithPValue(BaseModel):
    """A result that keeps its p-value, so that many can be ranked."""

    model_config = ConfigDict(frozen=True)
    _p_value: float = PrivateAttr(default=1.0)
    _is_explained: bool = PrivateAttr(default=False)

    @property
    def p_value(self) -> float:
        return self._p_value

    @property
    def is_explained(self) -> bool:
        """Whether its verdict comes from a change over time, which is tested at its own place."""
        return self._is_explained

    def with_p_value(self, p_value: float, *, is_explained: bool = False) -> Self:
        self._p_value, self._is_explained = p_value, is_explained
        return self


FindingVerdict = Literal["clear", "possible"]


class Step(WithPValue):
    """A level that changed and stayed; both levels are adjusted for hours and weekdays, as tested."""

    kind: Literal["step", "trend or step"]
    at: str
    before: Number
    after: Number
    change: Number
    pct: Number | None = Field(default=None, description="relative, in percent of before")
    n: list[Number] | None = Field(default=None, description="calls before and after")
    before_window: bool | None = Field(default=None, description="it began before the window and persists")
    verdict: FindingVerdict
    limited_by: str | None = Field(default=None, description="what else changed: the verdict is possible at most")


class Trend(WithPValue):
    """A steady rise or fall, in units of the chart per day."""

    kind: Literal["trend"] = "trend"
    start: str = Field(serialization_alias="from")
    per_day: Number
    change: Number
    pct: Number | None = Field(default=None, description="relative, in percent of where it began")
    verdict: FindingVerdict
    limited_by: str | None = Field(default=None, description="what else changed: the verdict is possible at most")


class Unusual(WithPValue):
    """Buckets far from the usual values for their hour and weekday, at the level of their day."""

    kind: Literal["outlier"] = "outlier"
    start: str = Field(serialization_alias="from")
    buckets: int
    value: Number
    expected: Number
    n: int | None = None
    more: int | None = Field(default=None, description="as many others are left out")
    verdict: FindingVerdict
    limited_by: str | None = Field(default=None, description="what else changed: the verdict is possible at most")


class Gap(WithPValue):
    """An outage: no calls at a time when many are usual."""

    kind: Literal["outage"] = "outage"
    start: str = Field(serialization_alias="from")
    end: str = Field(serialization_alias="to")
    expected_calls: Number
    still: bool | None = Field(default=None, description="it goes on; expected until now")
    widgets: list[int] | None = Field(default=None, description="other widgets of the same calls, without it")
    more: int | None = Field(default=None, description="as many others are left out")
    verdict: FindingVerdict = "clear"


Finding = Annotated[Step | Trend | Unusual | Gap, Field(discriminator="kind")]


class Outcome(Struct, frozen=True):
    """``findings`` None: nothing was tested. ``not_tested``: omitted tests with reasons. ``notes``: on the method.

    ``changes``: the steps and trends of the whole history.
    """

    findings: list[Finding] | None = None
    not_tested: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])
    changes: list[Finding] = field(default_factory=list[Finding])


MeasureKind = Literal["mean", "total", "median", "shares", "figures", "extreme"]


class _Shown(BaseModel):
    model_config = ConfigDict(frozen=True)


class Contributor(BaseModel):
    """One group on both sides. Only fields that apply are set: effects for a mean, ``change`` for a total."""

    model_config = ConfigDict(frozen=True)

    group: SafeText | None = Field(default=None, description="absent: calls without one")
    current: Number | None = Field(default=None, description="absent: no calls on this side")
    baseline: Number | None = None
    n: list[Number | None] | None = Field(default=None, description="calls now and in the baseline")
    rate_effect: Number | None = Field(default=None, description="of the change: what its own rate brought")
    mix_effect: Number | None = Field(default=None, description="of the change: what its share of calls brought")
    change: Number | None = None
    status: str | None = Field(default=None, description="new or gone: it has calls on one side only")


class Contributors(BaseModel):
    """The groups that contributed most to a change. The effects of all groups add up to the change."""

    model_config = ConfigDict(frozen=True)

    top: list[Contributor]
    more: int | None = Field(default=None, description="groups beyond those shown")
    rate_effect: Number | None = Field(default=None, description="of all groups together")
    mix_effect: Number | None = Field(default=None, description="of all groups together")
    simpsons_paradox: bool | None = Field(
        default=None, description="every larger group moved the other way than the whole, as the mix of calls changed"
    )


class SampleFigures(_Shown):
    """The figures of one side."""

    value: Number | None = None
    n: Number | None = Field(default=None, description="calls")
    total: Number | None = Field(default=None, description="of the whole side, where value is per day")


CLEAR_P_VALUE = 0.01
"""The level of a 99 % interval, below which a verdict can be clear."""
EXPLAINED_BY = "the change over time that explains the difference, if its verdict is another than the interval's"
POSSIBLE_AMONG = "a clear difference that is only possible if corrected for so many comparisons of this answer"


class ShareChange(WithPValue):
    """A label's share of calls, in percent; ``points``: the change in percentage points."""

    label: SafeText | None = Field(default=None, description="absent: calls without one")
    current_pct: float
    baseline_pct: float
    points: float
    verdict: Verdict
    possible_among: int | None = Field(default=None, description=POSSIBLE_AMONG)
    explained_by: str | None = Field(default=None, description=EXPLAINED_BY)


class Shares(_Shown):
    """The labels whose share of calls changed most."""

    top: list[ShareChange]
    more: int | None = Field(default=None, description="labels beyond those shown")


class FigureChange(WithPValue):
    """One figure of a stat on both sides, in its own unit."""

    figure: SafeText
    current: Number
    baseline: Number
    difference: Number
    per: Literal["day"] | None = Field(default=None, description="of the difference; the windows differ in length")
    verdict: Verdict
    not_tested: str | None = Field(default=None, description="why there is no verdict")
    possible_among: int | None = Field(default=None, description=POSSIBLE_AMONG)
    explained_by: str | None = Field(default=None, description=EXPLAINED_BY)


class Comparison(WithPValue):
    """Current compared with baseline; differences are current minus baseline, in the unit of the chart."""

    start: str | None = Field(default=None, serialization_alias="from", description="of the baseline")
    end: str | None = Field(default=None, serialization_alias="to", description="of the baseline")
    against: str | None = None
    where: str | None = Field(default=None, description="the baseline's calls, if it is other calls")
    not_compared: str | None = Field(default=None, description="why")
    current: SampleFigures | None = None
    baseline: SampleFigures | None = None
    difference: Number | None = None
    pct: Number | None = Field(default=None, description="relative, in percent of baseline")
    ci95: list[Number] | None = Field(default=None, description="of the difference")
    per: str | None = Field(default=None, description="day: the sides are not equally long, so values are per day")
    verdict: Verdict | None = None
    not_tested: str | None = Field(default=None, description="why there is no verdict")
    limited_by: str | None = Field(default=None, description="what else changed: the verdict is possible at most")
    possible_among: int | None = Field(default=None, description=POSSIBLE_AMONG)
    explained_by: str | None = Field(default=None, description=EXPLAINED_BY)
    contributors: Contributors | None = None
    shares: Shares | None = None
    figures: list[FigureChange] | None = None
    notes: list[str] | None = None

    def among(self, tests: int) -> "Comparison":
        """With the number of comparisons in an answer, if correction for it weakens clear to possible."""
        figures = self.figures and [_among(row, tests) for row in self.figures]
        shares = self.shares and self.shares.model_copy(update={"top": [_among(row, tests) for row in self.shares.top]})
        return _among(self.model_copy(update={"figures": figures, "shares": shares}), tests)

    def without_verdicts(self, why: str) -> "Comparison":
        """The same figures without verdicts, and with the reason."""
        none = {"verdict": "not tested", "explained_by": None}
        figures = self.figures and [row.model_copy(update={**none, "not_tested": None}) for row in self.figures]
        shares = self.shares and self.shares.model_copy(
            update={"top": [row.model_copy(update=none) for row in self.shares.top]}
        )
        return self.model_copy(update={**none, "not_tested": why, "ci95": None, "figures": figures, "shares": shares})


_Compared = TypeVar("_Compared", Comparison, ShareChange, FigureChange)


def _among(item: _Compared, tests: int) -> _Compared:
    is_weaker = item.verdict == "clear" and not item.is_explained and item.p_value * tests > CLEAR_P_VALUE
    return item.model_copy(update={"possible_among": tests}) if is_weaker else item


class GroupChange(BaseModel):
    """One group before and after. Its verdict is on the difference of its change from that of the other groups."""

    model_config = ConfigDict(frozen=True)

    group: SafeText | None = Field(default=None, description="absent: calls without one")
    baseline: Number | None = None
    current: Number | None = None
    pct: Number | None = Field(default=None, description="relative, in percent of before")
    n: list[Number] | None = Field(default=None, description="calls before and after; absent: the values are calls")
    verdict: Verdict | Literal["new", "gone", "only in current", "only in baseline"] = Field(
        description="only in: one side of a comparison with other calls"
    )


class GroupShareChange(BaseModel):
    """A group whose share of calls evaluated changed, by sampling or trigger; not a change of quality."""

    model_config = ConfigDict(frozen=True)

    group: SafeText | None = Field(default=None, description="absent: calls without one")
    baseline_pct: Number
    current_pct: Number


EVALUATED_SHARES = "groups of whose calls another share is evaluated: possible at most"


class GroupChanges(BaseModel):
    """The groups whose change differs most from the others, the most significant first; then untested counts."""

    model_config = ConfigDict(frozen=True)

    against: str = Field(description="both times, or what is compared with")
    top: list[GroupChange]
    more: int | None = Field(default=None, description="groups that moved beyond those shown")
    not_significant: int | None = Field(default=None, description="groups that moved like the others, not significant")
    limited_by: str | None = Field(default=None, description="what else changed: the verdict is possible at most")
    evaluated_shares: list[GroupShareChange] | None = Field(default=None, description=EVALUATED_SHARES)


def limited(comparison: Comparison, reason: str | None) -> Comparison:
    """A comparison, at most ``possible``, with the reason if there is one."""
    if reason is None or comparison.not_compared:
        return comparison
    shares = comparison.shares
    update: dict[str, Any] = {"limited_by": reason}
    if comparison.verdict == "clear":
        update["verdict"] = "possible"
    if shares is not None:
        top = [row.model_copy(update={"verdict": "possible"}) if row.verdict == "clear" else row for row in shares.top]
        update["shares"] = shares.model_copy(update={"top": top})
    return comparison.model_copy(update=update)
