"""What the tests can find in a course over time."""

from typing import Annotated, Literal

from msgspec import Struct, field
from pydantic import Field

from cekura_dashboards.stats.numbers import Number
from cekura_dashboards.stats.significance import WithPValue

FindingVerdict = Literal["clear", "possible"]


class Step(WithPValue):
    """A level that changed and stayed; both levels are adjusted for hours and weekdays, as they were tested."""

    kind: Literal["step", "trend or step"]
    at: str
    before: Number
    after: Number
    change: Number
    pct: Number | None = Field(default=None, description="relative, in percent of before")
    n: list[Number] | None = Field(default=None, description="calls before and after")
    before_window: bool | None = Field(default=None, description="it began before the window, and still holds")
    verdict: FindingVerdict


class Trend(WithPValue):
    """A steady rise or fall, in units of the chart per day."""

    kind: Literal["trend"] = "trend"
    start: str = Field(serialization_alias="from")
    per_day: Number
    change: Number
    pct: Number | None = Field(default=None, description="relative, in percent of where it began")
    verdict: FindingVerdict


class Unusual(WithPValue):
    """Buckets far from what is usual for their hour and weekday, on the level of their day."""

    kind: Literal["unusual"] = "unusual"
    start: str = Field(serialization_alias="from")
    buckets: int
    value: Number
    usual: Number
    n: int | None = None
    more: int | None = Field(default=None, description="as many others are left out")
    verdict: FindingVerdict


class Gap(WithPValue):
    """No calls at all, where many usually come."""

    kind: Literal["gap"] = "gap"
    start: str = Field(serialization_alias="from")
    end: str = Field(serialization_alias="to")
    usual_calls: Number
    more: int | None = Field(default=None, description="as many others are left out")
    verdict: FindingVerdict = "clear"


Finding = Annotated[Step | Trend | Unusual | Gap, Field(discriminator="kind")]


class Outcome(Struct, frozen=True):
    """``findings`` None: nothing was tested. ``not_tested``: what was not, and why."""

    findings: list[Finding] | None = None
    not_tested: list[str] = field(default_factory=list[str])
