"""What the tests can find in a course over time."""

from dataclasses import dataclass, field
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from cekura_dashboards.insight.numbers import Number

Verdict = Literal["clear", "possible"]


class _Finding(BaseModel):
    model_config = ConfigDict(frozen=True)
    _chance: float = PrivateAttr(default=1.0)

    @property
    def chance(self) -> float:
        """How likely chance alone makes one so large anywhere in the course; for many courses that are ranked."""
        return self._chance

    def of_chance(self, chance: float) -> Self:
        self._chance = chance
        return self


class Step(_Finding):
    """A level that changed and stayed; both levels are adjusted for hours and weekdays, as they were tested."""

    kind: Literal["step", "trend or step"]
    at: str
    before: Number
    after: Number
    change: Number
    pct: Number | None = Field(default=None, description="relative, in percent of before")
    n: list[Number] | None = Field(default=None, description="calls before and after")
    before_window: bool | None = Field(default=None, description="it began before the window, and still holds")
    verdict: Verdict


class Trend(_Finding):
    """A steady rise or fall, in units of the chart per day."""

    kind: Literal["trend"] = "trend"
    start: str = Field(serialization_alias="from")
    per_day: Number
    change: Number
    pct: Number | None = Field(default=None, description="relative, in percent of where it began")
    verdict: Verdict


class Unusual(_Finding):
    """Buckets far from what is usual for their hour and weekday, on the level of their day."""

    kind: Literal["unusual"] = "unusual"
    start: str = Field(serialization_alias="from")
    buckets: int
    value: Number
    usual: Number
    n: int | None = None
    more: int | None = Field(default=None, description="as many others are left out")
    verdict: Verdict


class Gap(_Finding):
    """No calls at all, where many usually come."""

    kind: Literal["gap"] = "gap"
    start: str = Field(serialization_alias="from")
    end: str = Field(serialization_alias="to")
    usual_calls: Number
    more: int | None = Field(default=None, description="as many others are left out")
    verdict: Verdict = "clear"


Finding = Annotated[Step | Trend | Unusual | Gap, Field(discriminator="kind")]


@dataclass(frozen=True)
class Outcome:
    """``findings`` None: nothing was tested. ``not_tested``: what was not, and why."""

    findings: list[Finding] | None = None
    not_tested: list[str] = field(default_factory=list[str])
