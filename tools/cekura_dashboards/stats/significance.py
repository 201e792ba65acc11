"""Samples, estimates and verdicts: how significant an estimate is, and on what terms."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Self

from msgspec import Struct, field
from pydantic import BaseModel, ConfigDict, PrivateAttr

from cekura_dashboards.stats.distributions import t_quantile, t_sf, two_sided
from cekura_dashboards.stats.numbers import Number, round_for_display
from cekura_dashboards.stats.timeline import UTC_CLOCK, Clock
from cekura_dashboards.values import replace

GroupValues = Mapping[str | None, tuple[float, float]]
"""Name to calls and value."""


class SampleBucket(NamedTuple):
    """One bucket: the calls in it, and their mean, total, or whatever the measure is."""

    time: float
    n: float | None
    value: float
    sum_of_squares: float | None = None
    """The sum of the squared values, where single calls are known."""


def call_weights(cells: Sequence[SampleBucket]) -> list[float]:
    """The calls of each bucket, or 1 for all where some are not known."""
    return [1.0 if any(c.n is None for c in cells) else float(c.n or 0) for c in cells]


class Sample(Struct, frozen=True):
    """One of two sides. ``seconds``: how long its window is. ``groups`` map a name to its calls and value.

    ``parts``: labels with their counts, or figures by name. ``n``: its calls. ``over_time``: the buckets of a part,
    where they are known: of a label its share of the calls.
    """

    buckets: Sequence[SampleBucket]
    seconds: float
    groups: GroupValues = field(default_factory=dict[str | None, tuple[float, float]])
    parts: Mapping[str | None, float] = field(default_factory=dict[str | None, float])
    n: float | None = None
    over_time: Mapping[str | None, Sequence[SampleBucket]] = field(
        default_factory=dict[str | None, Sequence[SampleBucket]]
    )

    def part(self, name: str | None) -> "Sample":
        """One part as a side of its own."""
        return Sample(self.over_time.get(name, ()), self.seconds)


EMPTY_SAMPLE = Sample([], 0.0)
"""A side of which nothing is known."""


Verdict = Literal["clear", "possible", "within noise", "not tested"]


class Estimate(NamedTuple):
    """A difference with its standard error, and the degrees of freedom behind that error."""

    difference: float
    standard_error: float
    df: float

    @property
    def p_value(self) -> float:
        """Two-sided, by Student's t; 1 where the error is not known."""
        if self.standard_error <= 0 or self.df <= 0:
            return 1.0
        return min(1.0, 2 * t_sf(abs(self.difference) / self.standard_error, self.df))


class WithPValue(BaseModel):
    """Something shown that remembers how likely chance alone makes one so large, so that many can be ranked.

    ``allows_for``: how many comparisons its interval is corrected for.
    """

    model_config = ConfigDict(frozen=True)
    _p_value: float = PrivateAttr(default=1.0)
    _allows_for: int = PrivateAttr(default=1)

    @property
    def p_value(self) -> float:
        return self._p_value

    @property
    def allows_for(self) -> int:
        return self._allows_for

    def with_p_value(self, p_value: float, allows_for: int = 1) -> Self:
        self._p_value, self._allows_for = p_value, allows_for
        return self


class VerdictTerms(Struct, frozen=True):
    """The terms of a verdict: the corrections for multiple tests, and its upper limit.

    ``tests``: how many charts are compared in this answer; ``parts``: of how many parts of a chart this is one: both
    intervals are corrected for them. ``strongest_verdict``: the upper limit; where that is ``possible``, the 95 %
    interval is corrected for all. ``earlier_days``: whole days before the current ones, as far as they are known.
    """

    tests: int = 1
    parts: int = 1
    strongest_verdict: Literal["clear", "possible"] = "clear"
    clock: Clock = UTC_CLOCK
    earlier_days: Sample = EMPTY_SAMPLE

    def for_part(self, name: str | None, parts: int) -> "VerdictTerms":
        """Those of one part out of so many."""
        return replace(self, parts=parts, earlier_days=self.earlier_days.part(name))

    def at_most_possible(self) -> "VerdictTerms":
        return replace(self, strongest_verdict="possible")

    def verdict(self, estimate: Estimate) -> Verdict:
        """``clear``: the 99 % interval, corrected for all that is tested, excludes no change; ``possible``: the 95 %.

        >>> estimate = Estimate(0.1, 0.01, 12)
        >>> VerdictTerms().verdict(estimate), VerdictTerms().verdict(Estimate(0.1, 0.2, 12))
        ('clear', 'within noise')
        >>> VerdictTerms(strongest_verdict="possible").verdict(estimate)
        'possible'
        """
        if estimate.standard_error <= 0 or estimate.df <= 0:
            return "within noise" if estimate.difference == 0 else "possible"
        size, all_tests = abs(estimate.difference) / estimate.standard_error, self.tests * self.parts
        if size > t_quantile(two_sided(0.99, all_tests), estimate.df) and self.strongest_verdict == "clear":
            return "clear"
        return "possible" if size > self.bound(estimate) else "within noise"

    @property
    def corrected_for(self) -> int:
        """For how many tests the 95 % interval is corrected."""
        return self.tests * self.parts if self.strongest_verdict == "possible" else self.parts

    def bound(self, estimate: Estimate) -> float:
        """How many errors the 95 % interval reaches to each side: what lies beyond is at least ``possible``."""
        return t_quantile(two_sided(0.95, self.corrected_for), estimate.df)

    def interval(self, estimate: Estimate) -> list[Number] | None:
        """The 95 % interval of a difference, which excludes none where the verdict says that there is one.

        >>> estimate = Estimate(-0.1, 0.04, 12)
        >>> VerdictTerms(strongest_verdict="possible").interval(estimate)
        [-0.187, -0.0128]
        >>> VerdictTerms(strongest_verdict="possible", tests=8).interval(estimate)
        [-0.232, 0.0323]
        """
        if estimate.standard_error <= 0 or estimate.df <= 0:
            return None
        half = self.bound(estimate) * estimate.standard_error
        return [round_for_display(estimate.difference - half, 3), round_for_display(estimate.difference + half, 3)]


def benjamini_hochberg(p_values: Sequence[float], level: float, tests: int) -> float:
    """The largest p-value that is significant at a false discovery rate of ``level``; 0 where none is.

    ``tests``: how many tests were made, those without a finding included.

    Source: Benjamini and Hochberg (1995), Journal of the Royal Statistical Society B 57.

    >>> benjamini_hochberg([0.001, 0.02, 0.5], 0.05, 10), benjamini_hochberg([0.02], 0.05, 10)
    (0.001, 0.0)
    """
    ordered = sorted(p_values)
    accepted = [p_value for place, p_value in enumerate(ordered, start=1) if p_value <= level * place / max(tests, 1)]
    return max(accepted, default=0.0)
