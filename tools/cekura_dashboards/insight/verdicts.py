"""Verdicts: what may be said of an estimate, and on what terms."""

from typing import Literal, NamedTuple, Self

from msgspec import Struct
from pydantic import BaseModel, ConfigDict, PrivateAttr

from cekura_dashboards.insight.clock import UTC_CLOCK, Clock
from cekura_dashboards.insight.distributions import t_beyond, t_quantile, two_sided
from cekura_dashboards.insight.numbers import Number, round_for_display
from cekura_dashboards.insight.side import NOTHING, Side
from cekura_dashboards.values import replace

Verdict = Literal["clear", "possible", "within noise", "not tested"]


class Estimate(NamedTuple):
    """A difference with its standard error, and the degrees of freedom behind that error."""

    difference: float
    error: float
    df: float

    @property
    def chance(self) -> float:
        """How likely chance alone makes one so large."""
        if self.error <= 0 or self.df <= 0:
            return 1.0
        return min(1.0, 2 * t_beyond(abs(self.difference) / self.error, self.df))


class OfChance(BaseModel):
    """Something shown that remembers how likely chance alone makes one so large, so that many can be ranked.

    ``allows_for``: how many comparisons its interval is corrected for.
    """

    model_config = ConfigDict(frozen=True)
    _chance: float = PrivateAttr(default=1.0)
    _allows_for: int = PrivateAttr(default=1)

    @property
    def chance(self) -> float:
        return self._chance

    @property
    def allows_for(self) -> int:
        return self._allows_for

    def of_chance(self, chance: float, allows_for: int = 1) -> Self:
        self._chance, self._allows_for = chance, allows_for
        return self


class Terms(Struct, frozen=True):
    """What a verdict has to allow for.

    ``tests``: how many charts are compared in this answer; ``parts``: of how many parts of a chart this is one: both
    intervals are corrected for them. ``most``: the most that may be said; where that is ``possible``, the 95 % interval
    is corrected for all. ``earlier``: whole days before the current ones, as far as they are known.
    """

    tests: int = 1
    parts: int = 1
    most: Literal["clear", "possible"] = "clear"
    clock: Clock = UTC_CLOCK
    earlier: Side = NOTHING

    def of_part(self, name: str | None, parts: int) -> "Terms":
        """Those of one part out of so many."""
        return replace(self, parts=parts, earlier=self.earlier.of_part(name))

    def at_most_possible(self) -> "Terms":
        return replace(self, most="possible")

    def verdict(self, found: Estimate) -> Verdict:
        """``clear``: the 99 % interval, corrected for all that is tested, excludes no change; ``possible``: the 95 %.

        >>> found = Estimate(0.1, 0.01, 12)
        >>> Terms().verdict(found), Terms(most="possible").verdict(found), Terms().verdict(Estimate(0.1, 0.2, 12))
        ('clear', 'possible', 'within noise')
        """
        if found.error <= 0 or found.df <= 0:
            return "within noise" if found.difference == 0 else "possible"
        size, all_tests = abs(found.difference) / found.error, self.tests * self.parts
        if size > t_quantile(two_sided(0.99, all_tests), found.df) and self.most == "clear":
            return "clear"
        return "possible" if size > self.bound(found) else "within noise"

    @property
    def corrected_for(self) -> int:
        """For how many tests the 95 % interval is corrected."""
        return self.tests * self.parts if self.most == "possible" else self.parts

    def bound(self, found: Estimate) -> float:
        """How many errors the 95 % interval reaches to each side: what lies beyond is at least ``possible``."""
        return t_quantile(two_sided(0.95, self.corrected_for), found.df)

    def interval(self, found: Estimate) -> list[Number] | None:
        """The 95 % interval of a difference, which excludes none where the verdict says that there is one.

        >>> found = Estimate(-0.1, 0.04, 12)
        >>> Terms(most="possible").interval(found), Terms(most="possible", tests=8).interval(found)
        ([-0.187, -0.0128], [-0.231, 0.0309])
        """
        if found.error <= 0 or found.df <= 0:
            return None
        half = self.bound(found) * found.error
        return [round_for_display(found.difference - half, 3), round_for_display(found.difference + half, 3)]
