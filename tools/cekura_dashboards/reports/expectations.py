"""Expectations of charts, such as ``>= 0.85 over 7d`` or ``no outage``: reading and checking them.

A value fails only if its interval excludes what is expected, so chance alone seldom makes one fail.
"""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from msgspec import Struct

from cekura_dashboards.api.chart_data import Chart
from cekura_dashboards.api.errors import Fault, InvalidArguments
from cekura_dashboards.api.models import Widget
from cekura_dashboards.charts.rows import bar_rows, unit_of
from cekura_dashboards.charts.target import ChartReading, Target, resolve, saved
from cekura_dashboards.context import ToolContext
from cekura_dashboards.reports.changes import surveys
from cekura_dashboards.reports.chart_reports import comparison_reports
from cekura_dashboards.reports.compare import compared_targets, measure_of, read_compared
from cekura_dashboards.reports.report import ReportOptions, WidgetReport
from cekura_dashboards.stats.findings import Gap, Step, Trend, Unusual, exact, round_for_display
from cekura_dashboards.stats.significance import (
    NORMAL,
    is_significant_in_look,
    share_of_look,
    t_quantile,
    two_sided,
    wilson_interval,
)
from cekura_dashboards.stats.timeline import PERIODS, Clock
from cekura_dashboards.summaries.bar import ADDITIVE, fill_empty, is_cut, merge_groups
from cekura_dashboards.text import UntrustedText, did_you_mean, named, one_of, plain
from cekura_dashboards.values import replace

Operator = Literal[">=", ">", "<=", "<"]
USUAL_WINDOW = "7d"
CONFIDENCE = 0.95
"""A value fails if its interval of this confidence excludes what is expected: ``possible`` in other answers."""
MIN_BUCKETS = 2
"""The minimum whole days or hours to estimate a spread, and so an interval, from."""
FORMS = '">= 0.85 over 7d", "< 2 s over 24h", "no outage" or "no change over 14d"'
_OPERATORS: dict[str, Operator] = {
    ">=": ">=", "=>": ">=", "≥": ">=", "at least": ">=", "minimum": ">=", "min": ">=", "<=": "<=", "=<": "<=",
    "≤": "<=", "at most": "<=", "maximum": "<=", "max": "<=", ">": ">", "above": ">", "more than": ">",
    "greater than": ">", "<": "<", "below": "<", "under": "<", "less than": "<", "fewer than": "<",
}  # fmt: skip
"""Operators as people write them."""
_OPPOSITE: dict[Operator, Operator] = {">": "<=", "<": ">=", ">=": "<", "<=": ">"}
_NEGATION = re.compile(r"\b(?:not|no|never|cannot)(?: \w+)?\s*$")
"""Words before an operator: ``never below``, ``not be above``."""
_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}
PERCENT, CALLS = "%", "calls"
_UNITS = {
    "%": PERCENT, "percent": PERCENT, "pct": PERCENT, "call": CALLS, "calls": CALLS,
    "ms": "ms", "msec": "ms", "millisecond": "ms", "milliseconds": "ms", "s": "s", "sec": "s", "secs": "s",
    "second": "s", "seconds": "s", "min": "min", "mins": "min", "minute": "min", "minutes": "min", "h": "h",
    "hr": "h", "hrs": "h", "hour": "h", "hours": "h",
}  # fmt: skip
"""Units after a number; ``m`` is ambiguous: minutes, metres or a million."""
_UNIT = "|".join(sorted(_UNITS, key=len, reverse=True))
_BOUND = r"(>=|<=|>|<)\s*(-?(?:\d+(?:\.\d+)?|\.\d+))\s*"
_OVER = r"(?:\s+over\s+(\S.*))?"
_VALUE = re.compile(rf"{_BOUND}({_UNIT})?{_OVER}", re.ASCII | re.IGNORECASE)
_ODD_UNIT = re.compile(rf"{_BOUND}([a-jl-z]+|k[a-z]+){_OVER}", re.ASCII | re.IGNORECASE)
_NOTHING = re.compile(r"no (outage|change)(?:\s+over\s+(\S.*))?", re.ASCII)
_WRITTEN = re.compile(
    "|".join(rf"\b{word}\b" if word[0].isalpha() else word for word in sorted(_OPERATORS, key=len, reverse=True))
)
_NUMBER = re.compile(
    rf"(-?(?:\d{{1,3}}(?:[ ,]\d{{3}})+(?!\d)|\d*[.,]?\d+)(?:e[+-]?\d+|k\b)?)(?!m\b)\s*({_UNIT})?(?![a-z])", re.ASCII
)
_SPAN = re.compile(r"\b(\d+)\s*(m|h|d|w)(?:in|ins|inutes?|ours?|ays?|eeks?)?\b", re.ASCII)


class Expectation(Struct, frozen=True):
    """What a chart is expected to show. ``operator`` None: an event of this ``kind`` must not have happened.

    ``unit``: of the value; empty: the unit of the chart.
    """

    widget: str
    kind: Literal["value", "outage", "change"]
    window: str
    operator: Operator | None = None
    value: float = 0.0
    unit: str = ""

    @property
    def bound(self) -> str:
        """The operator, the value and its unit."""
        return " ".join(filter(None, [self.operator, f"{self.value:.15g}", self.unit]))

    @property
    def text(self) -> str:
        return f"{self.bound if self.operator else f'no {self.kind}'} over {self.window}"


def read_expectations(
    texts: Mapping[str, str], widgets: Sequence[str] | None, now: datetime, zone: ZoneInfo
) -> list[Expectation]:
    """The expectations by the names of charts. ``widgets``: the existing names; None: unknown yet.

    Raises:
        InvalidArguments: naming each malformed line, with the nearest valid form.
    """
    expectations, faults = list[Expectation](), list[Fault]()
    for name, text in texts.items():
        try:
            expectation = _read(name, text)
            resolve(expectation.window, now, zone)
        except InvalidArguments as error:
            faults += [Fault(f"expect {UntrustedText(name)}", fault.message) for fault in error.faults]
            continue
        count = 1 if widgets is None else widgets.count(name)
        if count > 1:
            faults.append(Fault(f"expect {UntrustedText(name)}", f"names {count} charts; rename all but one."))
        elif not count:
            hint = did_you_mean(name, widgets) if widgets else "there are none."
            faults.append(Fault(f"expect {UntrustedText(name)}", f"names no chart; {hint}"))
        expectations.append(expectation)
    if faults:
        raise InvalidArguments(faults, lead="Nothing was read.")
    return expectations


def _read(name: str, text: str) -> Expectation:
    """One line.

    Raises:
        InvalidArguments: with the nearest valid form.
    """
    match = _VALUE.fullmatch(text.strip())
    if match and math.isfinite(float(match[2])):
        operator, value, written, window = match.groups()
        unit = _UNITS[written.lower()] if written else ""
        return Expectation(name, "value", window or USUAL_WINDOW, _OPERATORS[operator], float(value), unit)
    if match := _NOTHING.fullmatch(text.strip()):
        kind: Literal["outage", "change"] = "outage" if match[1] == "outage" else "change"
        return Expectation(name, kind, match[2] or USUAL_WINDOW)
    if match := _ODD_UNIT.fullmatch(text.strip()):
        units = one_of([PERCENT, *_SECONDS, CALLS])
        raise InvalidArguments([Fault("", f"{UntrustedText(match[3])} is not a unit; use {units}, or none.")])
    closest = nearest_form(text)
    hint = f'did you mean "{closest}"?' if closest else f"write it as {FORMS}."
    raise InvalidArguments([Fault("", f"{UntrustedText(text)} is not an expectation; {hint}")])


def nearest_form(text: str) -> str | None:
    """The valid form nearest to a text; None if none is near.

    >>> nearest_form("at least 85% in the last 24 hours"), nearest_form("=> 0,85"), nearest_form("max 1,000 a day")
    ('>= 85 % over 24h', '>= 0.85 over 7d', '<= 1000 over 7d')
    >>> nearest_form("never below 80 %"), nearest_form("no more than 1 000"), nearest_form("< 2.5k")
    ('>= 80 % over 7d', '<= 1000 over 7d', '< 2500 over 7d')
    >>> nearest_form("at most 2 minutes"), nearest_form("in 24h below 2000 ms"), nearest_form("max 2m")
    ('<= 2 min over 7d', '< 2000 ms over 24h', None)
    """
    lowered = " ".join(text.lower().split())
    operator = _WRITTEN.search(lowered)
    number = operator and (_NUMBER.search(lowered, operator.end()) or _NUMBER.search(lowered))
    rest = lowered if number is None else f"{lowered[: number.start()]} | {lowered[number.end() :]}"
    span = _SPAN.search(rest)
    window = USUAL_WINDOW if span is None else span[1] + span[2]
    for kind in ("outage", "change"):
        if kind in rest:
            return f"no {kind} over {window}"
    if number is None or operator is None:
        return None
    digits = number[1].strip().replace(" ", "")
    value = digits.replace(",", "") if re.search(r",\d{3}(?!\d)", digits) else digits.replace(",", ".")
    if value.endswith("k") or "e" in value:
        value = f"{float(value.rstrip('k')) * (1e3 if value.endswith('k') else 1.0):.15g}"
    if not math.isfinite(float(value)):
        return None
    sign = _OPERATORS[operator[0]]
    if _NEGATION.search(lowered[: operator.start()]):
        sign = _OPPOSITE[sign]
    unit = f" {_UNITS[number[2]]}" if number[2] else ""
    return f"{sign} {value}{unit} over {window}"


class Measured(NamedTuple):
    """A chart's value over a window. ``n``: calls, if known. ``error``: the standard error; 0 where it has none.

    ``scale``: what a rate of 100 % is written as; 0 for other measures. ``df``: degrees of freedom of the error.
    ``per``: the bucket of a count; ``lowest``: the minimum possible. ``unit``: of the chart, or ``unknown``.
    """

    value: float
    n: float | None
    scale: float
    error: float
    df: float
    per: str = ""
    lowest: float = -math.inf
    unit: str = "unknown"

    def interval(self, confidence: float) -> tuple[float, float]:
        """Wilson's interval for a rate, else Student's t over the whole buckets."""
        probability = two_sided(confidence)
        if self.scale:
            low, high = wilson_interval(self.value / self.scale, round(self.n or 0), NORMAL.inv_cdf(probability))
            return low * self.scale, high * self.scale
        half = t_quantile(probability, self.df) * self.error if self.error else 0.0
        return max(self.lowest, self.value - half), self.value + half

    def __str__(self) -> str:
        low, high = (plain(round_for_display(bound)) for bound in self.interval(CONFIDENCE))
        calls = "" if self.n is None else f", n {plain(exact(self.n))}"
        unit = f" {self.unit}" if self.unit in _SECONDS else ""
        return f"{plain(round_for_display(self.value))}{unit}{self.per}, 95 % interval {low} to {high}{calls}"


def measure(reading: ChartReading, names: dict[str, str], clock: Clock) -> Measured | str:
    """The value of a chart over its window in its unit, or the reason why there is none."""
    if reading.chart is None:
        return str(reading.error)
    measured = _measured(reading, reading.chart, names, clock)
    if isinstance(measured, str):
        return measured
    return measured._replace(unit=unit_of(reading.target.config, reading.chart, []))


def _measured(reading: ChartReading, chart: Chart, names: dict[str, str], clock: Clock) -> Measured | str:
    measurement = measure_of(reading, chart, names, clock=clock)
    config, sample = reading.target.config, measurement.sample
    if measurement.kind in {"figures", "shares"}:
        return "it shows several figures; use a chart of one of them"
    n = sample.n
    if measurement.kind == "total":
        values = _whole_buckets(reading, names)
        error, df = _error(values, [1.0] * len(values))
        if df < 1:
            return f"{len(values)} whole {config.period}s, fewer than {MIN_BUCKETS}: use a longer window"
        lowest = 0.0 if config.function == "count" else -math.inf
        if config.function == "count":  # a few buckets may be equal by chance: assume at least the Poisson variance
            error = max(error, math.sqrt(max(1.0, math.fsum(values))) / len(values))
        return Measured(math.fsum(values) / len(values), n, 0.0, error, df, f" per {config.period}", lowest)
    if measurement.kind == "extreme":
        value = sample.parts.get("value")
        return "no calls" if value is None or not sample.buckets else Measured(value, n, 0.0, 0.0, 1.0)
    cells = [bucket for bucket in sample.buckets if bucket.n is None or bucket.n > 0]
    if not cells:
        return "no calls"
    weights = [1.0 if bucket.n is None else float(bucket.n) for bucket in cells]
    mean = math.fsum(w * bucket.value for w, bucket in zip(weights, cells, strict=True)) / math.fsum(weights)
    value = mean if sample.whole is None else sample.whole
    if measurement.scale and measurement.kind == "mean" and n:
        return Measured(value, n, measurement.scale, 0.0, 1.0)
    error, df = _error([bucket.value for bucket in cells], weights)
    if df < 1:
        return f"calls on {len(cells)} day, fewer than {MIN_BUCKETS}: use a longer window"
    return Measured(value, n, 0.0, error, df)


def _whole_buckets(reading: ChartReading, names: dict[str, str]) -> list[float]:
    """The totals of the complete buckets; 0 for those without a row."""
    if reading.chart is None:
        return []
    rows, config = bar_rows(reading, reading.chart, names), reading.target.config
    merged = merge_groups(config.function, (bucket for bucket in rows.buckets if bucket.value is not None))
    if config.function in ADDITIVE and config.period in PERIODS:
        merged = fill_empty(config.function, config.period, merged, rows.span)
    return [float(bucket.value or 0) for bucket in merged if not is_cut(bucket, config.period, rows.span)]


def _error(values: Sequence[float], weights: Sequence[float]) -> tuple[float, float]:
    """The standard error of a weighted mean, and its degrees of freedom.

    Source: the ratio estimator of clusters, Cochran (1977), Sampling Techniques, section 11.
    """
    count, whole = len(values), math.fsum(weights)
    if count < MIN_BUCKETS or whole <= 0:
        return 0.0, 0.0
    mean = math.fsum(w * value for w, value in zip(weights, values, strict=True)) / whole
    squares = math.fsum((w * (value - mean)) ** 2 for w, value in zip(weights, values, strict=True))
    return math.sqrt(count / (count - 1) * squares) / whole, count - 1.0


Status = Literal["ok", "fail", "not tested"]


class Checked(NamedTuple):
    """An expectation, whether it holds, and the measured value in words.

    ``told_before``: reported by an earlier look. ``must_last``: in a series of looks it fails only once it has lasted,
    as a new level must. ``lasts``: it is significant at the share of a daily look, if this look has a smaller one.
    """

    expectation: Expectation
    status: Status
    text: str
    told_before: bool = False
    must_last: bool = False
    lasts: bool = False

    def not_yet(self) -> "Checked":
        """The check as not failed yet: it fails in this look, but not yet over the series."""
        return self._replace(status="ok", text=f"{self.text}: {NOT_YET}")

    def __str__(self) -> str:
        before = ", reported before, ongoing" if self.told_before else ""
        mark = {"ok": "ok  ", "fail": "FAIL", "not tested": "?   "}[self.status]
        return f"{mark} {named(self.expectation.widget)} {self.expectation.text}: {self.text}{before}"


class Limit(NamedTuple):
    """The significance that a failure needs: so that this share of looks with so many tests has one by chance."""

    share: float
    tests: int = 1


SINGLE = Limit(1 - CONFIDENCE)
NOT_YET = "a failure in this look, not yet over the series"


def check_value(expectation: Expectation, measured: Measured | str, limit: Limit) -> Checked:
    """Whether a value is as expected, judged by its interval."""
    if isinstance(measured, str):
        return Checked(expectation, "not tested", f"not tested: {measured}")
    bound = _in_unit_of(measured, expectation)
    if isinstance(bound, str):
        return Checked(expectation, "not tested", f"not tested: {bound}")
    is_low = expectation.operator in {">=", ">"}
    side = "below" if is_low else "above"
    misses = _misses(expectation.operator or ">=", measured.value, bound)
    if not misses:
        return Checked(expectation, "ok", str(measured))
    if not _excludes(measured, bound, 1 - SINGLE.share, is_low=is_low):
        return Checked(expectation, "ok", f"{measured}: not shown to be {side}")
    failure = Checked(expectation, "fail", str(measured))
    is_sure = limit.share > 0 and _excludes(measured, bound, 1 - limit.share / limit.tests, is_low=is_low)
    return failure if is_sure else failure.not_yet()


def _in_unit_of(measured: Measured, expectation: Expectation) -> float | str:
    """The bound in the unit of the chart; or the reason why that is impossible, and what to write instead."""
    value, unit = expectation.value, expectation.unit
    if unit == PERCENT and not measured.scale:
        return f"{measured} is not a rate; write it without %"
    if unit in _SECONDS and measured.unit in _SECONDS:
        return value * _SECONDS[unit] / _SECONDS[measured.unit]
    if unit in _SECONDS or (unit == CALLS and measured.unit != CALLS):
        what = "its unit is not known" if measured.unit == "unknown" else f"its unit is {measured.unit}"
        return f"{measured}: {what}; write the number without {unit}"
    if not measured.scale:
        return value
    bound = value / 100 * measured.scale if unit == PERCENT else value
    bounds = f"a rate of this chart is from 0 to {plain(exact(measured.scale))}, or from 0 to 100 %"
    percent = [f'"{expectation.operator} {number:.15g} %"' for number in (value, 100 * value)]
    if not 0 <= bound <= measured.scale:
        return bounds if unit or not 0 <= value <= 100 else f"{bounds}; did you mean {percent[0]}?"  # noqa: PLR2004 - percent
    if not unit and measured.scale > 1 and 0 < value <= 1:
        return f"{bounds}; write {percent[1]} or {percent[0]}"
    return bound


def _misses(operator: Operator, value: float, bound: float) -> bool:
    match operator:
        case ">=":
            return value < bound
        case ">":
            return value <= bound
        case "<=":
            return value > bound
        case "<":
            return value >= bound


def _excludes(measured: Measured, bound: float, confidence: float, *, is_low: bool) -> bool:
    if not measured.scale and not measured.error:
        return True  # a value without an error, such as the highest of all
    low, high = measured.interval(confidence)
    return high < bound if is_low else low > bound


def check_events(expectation: Expectation, report: WidgetReport, limit: Limit) -> Checked:
    """Whether the window has no outage, or no clear change that began in it."""
    if report.error is not None or report.findings is None:
        why = (
            report.error
            or "; ".join(report.not_tested or [])
            or "this chart is not tested over time, or has too few calls"
        )
        return Checked(expectation, "not tested", f"not tested: {why}")
    calls = "" if report.n is None else f", n {report.n}"
    if expectation.kind == "outage":
        gaps = [item for item in report.findings if isinstance(item, Gap)]
        untested = [text for text in report.not_tested or [] if text.startswith("outages")]
        if untested and not gaps:
            return Checked(expectation, "not tested", f"not tested: {untested[0]}")
        texts, p_values, must_last = [_gap_text(gap) for gap in gaps], [gap.p_value for gap in gaps], False
    else:
        changes = [item for item in report.findings if not isinstance(item, Gap) and item.verdict == "clear"]
        new = [item for item in changes if not (isinstance(item, Step) and item.before_window)]
        texts, p_values = [_change_text(item) for item in new], [item.p_value for item in new]
        beyond = [item for item in new if is_significant_in_look(item.p_value, limit.tests, limit.share)]
        must_last = not any(isinstance(item, Unusual) for item in beyond)
    if not texts:
        return Checked(expectation, "ok", f"none found{calls}")
    failure = Checked(expectation, "fail", "; ".join(texts) + calls, must_last=must_last)
    is_sure = limit == SINGLE or is_significant_in_look(min(p_values), limit.tests, limit.share)
    if is_sure:
        return failure
    is_level = expectation.kind == "change" and not any(isinstance(item, Unusual) for item in report.findings)
    lasts = is_level and is_significant_in_look(min(p_values), limit.tests, share_of_look(None))
    return failure.not_yet()._replace(lasts=lasts)


def _gap_text(gap: Gap) -> str:
    if gap.still:
        return f"no calls since {gap.start}, expected {plain(gap.expected_calls)} by now"
    return f"no calls from {gap.start} to {gap.end}, expected {plain(gap.expected_calls)}"


def _change_text(item: Step | Trend | Unusual) -> str:
    match item:
        case Step():
            return f"step at {item.at}: {plain(item.before)} → {plain(item.after)}"
        case Trend():
            return f"trend from {item.start}: {plain(item.change)} in all"
        case Unusual():
            return f"outlier from {item.start}: {plain(item.value)}, expected {plain(item.expected)}"


async def check_charts(
    context: ToolContext, lines: Sequence[tuple[Expectation, Widget]], limits: Sequence[Limit], project: int | None
) -> list[Checked]:
    """Check each expectation of a widget, in order; all are read concurrently, each over its own window."""
    values = [place for place, (expectation, _) in enumerate(lines) if expectation.kind == "value"]
    events = [place for place, (expectation, _) in enumerate(lines) if expectation.kind != "value"]
    without_history = replace(context, settings=context.settings.model_copy(update={"history": False}))
    checks = dict[int, Checked]()
    for places, reading_context in ((values, without_history), (events, context)):
        if not places:
            continue
        targets = [_target(context, *lines[place], project) for place in places]
        pairs = compared_targets(targets, None, None, context.now(), context.settings.zone)
        readings, _ = await read_compared(reading_context, pairs)
        names, _ = await context.lookups.names([target.config for target in targets], [], project)
        options = ReportOptions(0, names=names, clock=context.settings.clock)
        if places is values:
            for place, sides in zip(places, readings, strict=True):
                measured = measure(sides.current, names, options.clock)
                checks[place] = check_value(lines[place][0], measured, limits[place])
            continue
        for place, report in zip(places, await comparison_reports(readings, options), strict=True):
            checks[place] = check_events(lines[place][0], report, limits[place])
    return [checks[place] for place in range(len(lines))]


def _target(context: ToolContext, expectation: Expectation, widget: Widget, project: int | None) -> Target:
    """The chart over the window of its expectation; a pie of a rate becomes a daily bar of that rate."""
    now, zone = context.now(), context.settings.zone
    target = saved(widget, project)
    if widget.chart_type == "pie":
        measures, _ = surveys([widget], {} if project is None else {widget.dashboard or 0: project}, now, "day")
        target = next((survey.target for survey in measures if not survey.parts), target)
    return replace(target, window=resolve(expectation.window, now, zone))
