"""The share of calls on which a metric was evaluated, over time.

Sampling and triggers change it although the calls do not change, and a trigger also selects other calls. So a
change of the metric that coincides with a change of this share may not be one of quality: it is ``possible`` at most.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from cekura_dashboards.stats.detect import detect
from cekura_dashboards.stats.findings import Finding, Gap, Number, Step, Trend, Unusual, exact, round_for_display
from cekura_dashboards.stats.significance import NORMAL, two_sided
from cekura_dashboards.stats.time_series import TimeSeries, median
from cekura_dashboards.stats.timeline import DAY, Clock, Span, moment_of
from cekura_dashboards.values import Array, Flags, np

NEAR_DAYS = 3
"""The maximum error in dating a step; this many days on both sides are compared. A choice: ``MIN_SEGMENT``."""
SIGNIFICANT_Z, CAUTIOUS_Z = 2.58, 1.96
"""The confidence that two shares differ, 99 %; and 95 % if a step may be due to an undetected one of the share."""
CONFIDENCE_OF_PARTS = 0.95
"""The level for all parts of two windows together: a missed change may cause a false ``clear``. A choice."""
MEDIAN_CHI_SQUARED = 0.4549
"""The median of chi-square with one degree of freedom."""
MIN_PAIRS = 5
"""The minimum pairs of neighbouring buckets to estimate a dispersion from; otherwise it is binomial. A choice."""
PRIOR_PAIRS = 6
"""Prior pairs of buckets with binomial differences, added to the observed ones, as the median of few is often large. A
choice: as many as in a week."""
MIN_CHANGE = 0.05
"""Smaller relative changes of the share are not reported, and limit verdicts only if significant. A choice."""
LARGE_RATIO = 2.0
"""A step that multiplies the share by this makes every finding in the whole tested time ``possible`` at most.

All days share one spread. Measured: months of means with a false ``clear`` outlier, 0.1 % with
ratios of 1 to 2, 0.2 % with 3.3, 1.3 % with 10; and step, 0.6, 0.9 and 2.1 %.
"""
OUTAGE_CALLS = 0.2
"""A gap in evaluations with at least this share of the expected calls is not an outage. A choice."""


class Part(Struct, frozen=True):
    """Evaluated calls, and all calls."""

    evaluated: float
    calls: float

    @property
    def share(self) -> float:
        return self.evaluated / self.calls if self.calls else 0.0

    @property
    def pct(self) -> Number:
        return round_for_display(100 * self.share, 3)


class EvaluatedShare(Struct, frozen=True, eq=False):
    """Evaluated and all calls in each bucket; ``findings``: all changes of the share.

    ``hours``: all calls by the start of the hour.
    """

    times: Array
    evaluated: Array
    calls: Array
    step: int
    findings: Sequence[Finding] = ()
    hours: Mapping[float, float] = {}

    @classmethod
    def unknown(cls) -> "EvaluatedShare":
        """The share for a chart without steps over time; its calls count as independent."""
        return cls(np.empty(0), np.empty(0), np.empty(0), DAY)

    @classmethod
    def of(
        cls,
        times: Array,
        evaluated: Array,
        calls: Array,
        step: int,
        clock: Clock,
        hours: Mapping[float, float],
        *,
        full: Flags | None = None,
    ) -> "EvaluatedShare":
        """``full``: the complete buckets, which are tested for changes; None: all."""
        evaluated, has_calls = np.minimum(evaluated, calls), calls > 0
        shares = np.divide(evaluated, calls, out=np.full(len(calls), np.nan), where=has_calls)
        tested = np.ones(len(times), np.bool_) if full is None else full
        series = TimeSeries(times[tested], shares[tested], calls[tested], step, scale="rate")
        findings = detect(series, clock=clock).findings or []
        return cls(times[has_calls], evaluated[has_calls], calls[has_calls], step, findings, hours)

    def reported(self, window: Span) -> list[Step | Unusual]:
        """The changes of the share in a window that are large enough to report."""
        reported, steps = list[Step | Unusual](), self._steps()
        for item in self.findings:
            if not isinstance(item, Step | Unusual) or not window.start <= _seconds(_start(item)) < window.end:
                continue
            if isinstance(item, Unusual) and self._is_near(steps, _seconds(item.start)):
                continue  # the day on which the step began
            before, after = (item.before, item.after) if isinstance(item, Step) else (item.expected, item.value)
            if abs(after - before) >= MIN_CHANGE * max(abs(before), abs(after)):
                names = ("before", "after") if isinstance(item, Step) else ("expected", "value")
                rounded = {name: exact(round(share, 6)) for name, share in zip(names, (before, after), strict=True)}
                reported.append(item.model_copy(update=rounded))
        return reported

    def limit_all(self, findings: Iterable[Finding]) -> list[Finding]:
        """``limit`` for each finding."""
        return [limited for item in findings if (limited := self.limit(item)) is not None]

    def limit(self, item: Finding) -> Finding | None:
        """A finding in the metric, at most ``possible`` if the share changed too; None for a gap in evaluations."""
        if isinstance(item, Gap):
            start, end = _seconds(item.start), _seconds(item.end)
            calls = sum(n for time, n in self.hours.items() if start <= time < end)
            return None if calls > OUTAGE_CALLS * item.expected_calls else item
        sides = [*self._sides(item), *self._sides_of_large_steps()]
        reasons = (self.reason(before, after, z) for before, after, z in sides)
        reason = next(filter(None, reasons), None)
        return item if reason is None else item.model_copy(update={"verdict": "possible", "limited_by": reason})

    def reason(self, before: Part, after: Part, z: float = SIGNIFICANT_Z) -> str | None:
        """The change of the share between two parts of the calls, in words; None without one.

        A small change, which hardly affects other values, must also be significant.
        """
        dispersion = self.dispersion if z > CAUTIOUS_Z else 1.0
        is_small = abs(after.share - before.share) < MIN_CHANGE * max(before.share, after.share)
        least = SIGNIFICANT_Z if is_small else z
        return _change(before, after) if _standard_errors(before, after, dispersion) > least else None

    def reason_between(self, earlier: "EvaluatedShare", lag_s: float, before: Part, after: Part) -> str | None:
        """The difference of the share from an earlier window as a whole, from a time on, or until a time; in words.

        A change near an end of a window hardly affects the whole, although the evaluated calls may differ much.
        ``lag_s``: seconds between the windows, whole weeks if the share differs by weekday.
        """
        dispersion, cuts = (self.dispersion + earlier.dispersion) / 2, self.times[1:]
        if _standard_errors(before, after, dispersion) > SIGNIFICANT_Z:
            return _change(before, after)
        if not len(cuts):
            return None
        parts = list[tuple[Part, Part]]()
        for cut in cuts:
            was_late, is_late = earlier.times >= cut - lag_s, self.times >= cut
            parts += [(earlier.part(was_late), self.part(is_late)), (earlier.part(~was_late), self.part(~is_late))]
        z = NORMAL.inv_cdf(two_sided(CONFIDENCE_OF_PARTS, len(parts)))
        errors = [_standard_errors(then, now, dispersion) for then, now in parts]
        return _change(*parts[errors.index(max(errors))]) if max(errors) > z else None

    @property
    def dispersion(self) -> float:
        """The variance of differences of neighbouring shares relative to binomial chance, at least 1."""
        if len(self.times) <= MIN_PAIRS:
            return 1.0
        shares, calls = self.evaluated / self.calls, self.calls
        pooled = (self.evaluated[1:] + self.evaluated[:-1]) / (calls[1:] + calls[:-1])
        variances = pooled * (1 - pooled) * (1 / calls[1:] + 1 / calls[:-1])
        varied = variances > 0
        if varied.sum() < MIN_PAIRS:
            return 1.0
        squares = (np.diff(shares)[varied]) ** 2 / variances[varied]
        pairs = len(squares)
        return (PRIOR_PAIRS + pairs * max(1.0, median(squares) / MEDIAN_CHI_SQUARED)) / (PRIOR_PAIRS + pairs)

    def _sides(self, item: Step | Trend | Unusual) -> list[tuple[Part, Part, float]]:
        """The calls before and after a change, divided at a nearby step of the share, if any; and the confidence.

        Without a step of the share, all calls on both sides, because a small step may be dated days off. For an
        outlier first all other buckets, which set its expected level, then its neighbours.
        """
        at, near = _seconds(_start(item)), NEAR_DAYS * DAY
        if isinstance(item, Unusual):
            end = at + item.buckets * (DAY if len(item.start) == len("2026-11-17") else self.step)
            inside = (self.times >= at) & (self.times < end)
            around = (self.times >= at - near) & (self.times < end + near) & ~inside
            return [(self.part(others), self.part(inside), SIGNIFICANT_Z) for others in (~inside, around)]
        if isinstance(item, Trend):
            third = max(1, len(self.times) // 3)
            places = np.arange(len(self.times))
            return [(self.part(places < third), self.part(places >= len(places) - third), CAUTIOUS_Z)]
        steps = self._steps()
        if not steps:
            return [(self.part(self.times < at), self.part(self.times >= at), CAUTIOUS_Z)]
        at = min(steps, key=lambda time: abs(time - at), default=at) if self._is_near(steps, at) else at
        before, after = ((self.times >= start) & (self.times < start + near) for start in (at - near, at))
        return [(self.part(before), self.part(after), SIGNIFICANT_Z)]

    def _steps(self) -> list[float]:
        return [_seconds(item.at) for item in self.findings if isinstance(item, Step)]

    def _sides_of_large_steps(self) -> list[tuple[Part, Part, float]]:
        """The calls before and after each step of the share that is large enough to change the spread of values."""
        steps = (item for item in self.findings if isinstance(item, Step))
        times = [_seconds(item.at) for item in steps if _ratio(item.before, item.after) >= LARGE_RATIO]
        return [(self.part(self.times < at), self.part(self.times >= at), SIGNIFICANT_Z) for at in times]

    @staticmethod
    def _is_near(times: Sequence[float], at: float) -> bool:
        return any(abs(time - at) <= NEAR_DAYS * DAY for time in times)

    def part(self, places: Flags) -> Part:
        return Part(float(self.evaluated[places].sum()), float(self.calls[places].sum()))


def _standard_errors(before: Part, after: Part, dispersion: float) -> float:
    """The difference of two shares in standard errors; ``dispersion``: of their variance, 1 for independent calls."""
    if not min(before.calls, after.calls):
        return 0.0
    pooled = (before.evaluated + after.evaluated) / (before.calls + after.calls)
    variance = dispersion * pooled * (1 - pooled) * (1 / before.calls + 1 / after.calls)
    return abs(after.share - before.share) / math.sqrt(variance) if variance > 0 else 0.0


def _change(before: Part, after: Part) -> str:
    return f"the share of calls evaluated changed too, {before.pct} % → {after.pct} %"


def _start(item: Step | Trend | Unusual) -> str:
    return item.at if isinstance(item, Step) else item.start


def _ratio(one: float, other: float) -> float:
    low, high = sorted((one, other))
    return high / low if low > 0 else math.inf


def _seconds(text: str) -> float:
    return moment_of(text).timestamp()
