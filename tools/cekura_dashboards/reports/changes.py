"""Changes in all charts: the measures to test, the tests, the significant changes, and their reports."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from msgspec import Struct
from pydantic import BaseModel, Field

from cekura_dashboards.api.filters import without_time
from cekura_dashboards.api.models import LIMIT, METRIC_VALUE, Widget, WidgetConfig, plotted_type
from cekura_dashboards.charts.companions import (
    COUNT_BY_DAY,
    FIELDS_OF_FIGURES,
    TESTED_PERIODS,
    bar_over_all,
    change_of_share,
    share_over_time,
    with_hours,
)
from cekura_dashboards.charts.target import ChartReading, Target, Window, format_instant, saved
from cekura_dashboards.reports.compare import clock_of_api_days, days_before, groups_before, labels_of, measure_of
from cekura_dashboards.reports.edits import Edits
from cekura_dashboards.reports.report import field_word, label_outcomes, outcome_of
from cekura_dashboards.stats.change import (
    Change,
    How,
    changes_by_group,
    changes_from_findings,
    is_notable,
    label_changes,
    level_change,
    with_onsets,
    with_verdicts_of_steps,
)
from cekura_dashboards.stats.compare import MOST_APART
from cekura_dashboards.stats.detect import SHORTLY
from cekura_dashboards.stats.findings import Gap, Number
from cekura_dashboards.stats.outliers import is_one_event
from cekura_dashboards.stats.significance import VerdictTerms, benjamini_hochberg
from cekura_dashboards.stats.timeline import Clock, Span, iso, moment_of
from cekura_dashboards.summaries.bar import ADDITIVE, is_merged
from cekura_dashboards.text import SafeText, UntrustedText, named, untrusted
from cekura_dashboards.values import replace

FALSE_DISCOVERY_RATE = 0.05
"""The false discovery rate of reported changes."""
CLEAR_FALSE_DISCOVERY_RATE = 0.01
"""The false discovery rate of those that remain ``clear`` among all tests."""
TIMED = {"step", "outlier", "outage", "evaluated"}
WHOLE: tuple[How, ...] = ("step", "trend", "comparison")
"""Kinds of change of a whole measure, the most informative first: one is reported."""
TESTS_OF_A_SERIES = 4
"""The number of tests of a series: steps, trends, outliers and outages."""
WEIGHTS: dict[How, float] = {"comparison": 1.5, "step": 2.0, "trend": 0.5, "outlier": 0.5, "outage": 0.5}
"""Weights of the tests of one series, 1 on average: most changes of interest are new levels, and outages are certain.

A choice, fixed before seeing data. Source: Genovese, Roeder and Wasserman (2006), Biometrika 93. Measured: of
changes of one agent in five of 29 days with p below 1e-4 by the calls alone, 58 % are listed instead of 52.
"""
MAX_UNUSUAL = 1
DAY_LONG = timedelta(days=1)


class NextCall(BaseModel):
    """The suggested next call."""

    tool: str
    arguments: dict[str, Any]


class ReportedChange(BaseModel):
    """One change: where, what, how much, how significant, and the next call."""

    widgets: list[int] = Field(description="that show it; next uses the first")
    name: UntrustedText | None = Field(default=None, description="of the first")
    dashboard_id: int | None = None
    dashboard: UntrustedText | None = None
    measure: SafeText
    kind: How
    part: SafeText | None = Field(
        default=None, description="the group or label; absent: calls without one, or the whole"
    )
    by: SafeText | None = None
    before: Number | None = None
    after: Number | None = None
    pct: Number | None = Field(default=None, description="relative, in percent of before")
    n: list[Number] | None = Field(default=None, description="calls before and after")
    at: str | None = None
    until: str | None = None
    still: bool | None = Field(default=None, description="an outage that goes on, or a level since before the window")
    or_trend: bool | None = Field(default=None, description="the days do not distinguish a step from a trend")
    before_window: bool | None = Field(default=None, description="it lies in the baseline")
    verdict: Literal["clear", "possible"]
    possible_among: int | None = Field(
        default=None, description="a clear change, only possible when corrected for this many tests"
    )
    edits: Edits | None = Field(default=None, description="from when it can have begun; absent: not searched")
    limited_by: str | None = Field(default=None, description="what else changed: the verdict is possible at most")
    told_before: bool | None = Field(default=None, description="by an earlier look, and ongoing")
    next: NextCall | None = None


Parts = Literal["", "groups", "labels"]


class Survey(Struct, frozen=True):
    """One measure of some calls, and the widgets that show it. ``parts``: its groups or labels, if any."""

    target: Target
    widgets: tuple[Widget, ...]
    parts: Parts

    @property
    def key(self) -> str:
        """A key, unique among the surveys of one tool call."""
        return _key(self.target, self.target.config.group_by)

    @property
    def calls_key(self) -> str:
        """A key, equal for the same calls, whatever the measure."""
        target = self.target
        return json.dumps([without_time(target.filters), target.project or target.dashboard], sort_keys=True)

    @property
    def whole(self) -> str:
        """A key, equal for the same measure and step, whatever the grouping."""
        return _key(self.target, None)

    @property
    def measure(self) -> str:
        """A key, equal for the same measure, whatever the step and grouping."""
        config = self.target.config.model_copy(update={"time_period": None})
        return _key(replace(self.target, config=config), None)


def surveys(
    widgets: Iterable[Widget], projects: Mapping[int, int], now: datetime, step: str
) -> tuple[list[Survey], dict[int, str]]:
    """The surveys of these widgets, each measure once; and why others cannot be tested, by id.

    ``projects``: of dashboards. ``step``: ``hour`` to read all by the hour, else ``day``.
    """
    surveys_by_key, untested = dict[str, Survey](), dict[int, str]()
    for widget in widgets:
        target = saved(widget, projects.get(widget.dashboard or 0))
        if (problem := target.problem) is not None:
            untested[widget.id] = problem
            continue
        measures = _measures(widget, step)
        if not measures:
            untested[widget.id] = "its values cannot be followed over time"
        for parts, fields in measures:
            bar = bar_over_all(target, now, **fields)
            key = _key(bar, bar.config.group_by)
            if (survey := surveys_by_key.get(key)) is None:
                surveys_by_key[key] = Survey(bar, (widget,), parts)
            elif widget not in survey.widgets:
                surveys_by_key[key] = replace(survey, widgets=(*survey.widgets, widget))
    surveyed = [
        replace(found_survey, widgets=tuple(sorted(found_survey.widgets, key=_is_indirect)))
        for found_survey in surveys_by_key.values()
    ]
    bars = with_hours([survey.target for survey in surveyed])
    return [replace(survey, target=bar) for survey, bar in zip(surveyed, bars, strict=True)], untested


def _is_indirect(widget: Widget) -> bool:
    """Whether a widget shows several measures, or none over time, so that other widgets have priority."""
    return widget.chart_type not in {"bar", "line"}


def _key(bar: Target, group_by: Any) -> str:
    config = bar.config
    parts = [
        config.field, config.metric, config.aggregation_function, config.time_period, group_by,
        without_time(bar.filters), bar.project if bar.project is not None else bar.dashboard,
    ]  # fmt: skip
    return json.dumps(parts, sort_keys=True, default=str)


def _measures(widget: Widget, step: str) -> list[tuple[Parts, dict[str, Any]]]:
    """The bars over time of a chart's measures; empty if they have none."""
    field = widget.field or ""
    if widget.chart_type == "stat":
        figures = {"count": "agent_id"} | {name: name for name in FIELDS_OF_FIGURES.values()}
        return [("", _bar(plotted, "count" if name == "count" else "avg", step)) for name, plotted in figures.items()]
    if field == "timestamp" or widget.data_type == "datetime":
        return []
    if widget.chart_type == "bar":
        period = "hour" if step == "hour" or widget.period == "hour" else "day"
        by_field = (widget.group_by or {}).get("type") == "field"
        bar = _bar(field, widget.aggregation_function, period)
        return [("groups", {**bar, "group_by": widget.group_by})] if by_field else [("", bar)]
    if widget.chart_type == "line":
        return [("", _bar(field, "avg", step))]
    if widget.chart_type == "pie" and plotted_type(field) == "string":
        return [("labels", {**COUNT_BY_DAY, "time_period": step, "group_by": {"type": "field", "field": field}})]
    if widget.chart_type == "pie" and (plotted_type(field) == "boolean" or field == METRIC_VALUE):
        return [("", _bar(field, "avg", step))]
    return []


def _bar(field: str, function: str | None, period: str) -> dict[str, Any]:
    if period not in TESTED_PERIODS:
        raise ValueError(f"buckets are hours or days, not {period}")
    return {"field": field, "aggregation_function": function, "time_period": period}


class ComparedSpans(Struct, frozen=True):
    """The window and its baseline, if any, both in whole steps."""

    current: Window
    baseline: Window | None
    until: datetime
    """The end of the tested time."""

    @property
    def span(self) -> Span:
        """The time in which findings are reported."""
        first = min(self.current.start, self.baseline.start) if self.baseline else self.current.start
        return Span(first.timestamp(), max(self.until, self.current.end).timestamp())


def whole_steps(window: Window, step: str, now: datetime) -> Window:
    """The window extended to whole steps; a first step that the API keeps only in part is dropped."""
    zero: dict[str, Any] = {"minute": 0, "second": 0, "microsecond": 0} | ({} if step == "hour" else {"hour": 0})
    start, end = window.start.replace(**zero), window.end.replace(**zero)
    least = timedelta(hours=1) if step == "hour" else timedelta(days=1)
    if start < now - LIMIT:
        start += least
    return replace(window, start=start, end=max(end, start + least))


class MeasureTests(Struct, frozen=True):
    """The changes in one measure, the number of its tests, and notes."""

    survey: Survey
    candidates: list[Change]
    tests: int
    notes: Sequence[str] = ()


def run_tests(
    survey: Survey, reading: ChartReading, times: ComparedSpans, clock: Clock, names: dict[str, str], *, whole: bool
) -> MeasureTests:
    """Test one measure. ``whole``: test it as a whole, besides its groups."""
    chart = reading.chart
    if chart is None:
        raise ValueError("a reading that failed has nothing to test")
    sides = [replace(reading, window=window) for window in (times.current, times.baseline) if window]
    reading = replace(reading, window=replace(reading.window, end=max(times.until, times.current.end)))
    differ = times.baseline is not None and times.baseline.weekdays_differ
    most: Literal["clear", "possible"] = "possible" if differ else "clear"
    terms = VerdictTerms(strongest_verdict=most, clock=clock)
    if survey.parts == "labels":
        current, *baseline = [labels_of(side, names) for side in sides]
        shares = label_changes(current, baseline[0], replace(terms, clock=clock_of_api_days(clock))) if baseline else []
        courses = label_outcomes(reading, clock, times.span, names)
        shares = with_onsets(shares, courses)
        if baseline:
            shares = with_verdicts_of_steps(shares, courses, current, baseline[0])
        return MeasureTests(survey, _within_window(shares, times), len(sides))
    measures = [measure_of(side, chart, names, clock=clock) for side in sides]
    scale, counted = max(measure.scale for measure in measures), reading.target.config.function == "count"
    candidates, tests = list[Change](), 0
    reason = change_of_share(sides[0], sides[1], clock) if times.baseline else None
    if times.baseline and survey.parts == "groups" and measures[0].kind in {"mean", "total"}:
        additive = measures[0].kind == "total"
        groups = [measure.grouped for measure in measures]
        earlier = groups_before((sides[0], sides[1]), reading, names)
        by_group = changes_by_group(
            groups[0], groups[1], additive=additive, ratio=0.0 if additive else scale, most=most, earlier=earlier
        )
        candidates += [change.limit(reason) for change in by_group]
        tests += 2
    if not whole or not is_merged(reading.target.config.function, "group" if survey.parts else None):
        return MeasureTests(survey, candidates, tests)
    outcome, change = outcome_of(reading, chart, clock, times.span, names), None
    findings, over_time = outcome.findings or [], outcome.changes
    share = share_over_time(reading, clock)
    if share is not None:
        findings, over_time = share.limit_all(findings), share.limit_all(over_time)
    if times.baseline and (measures[0].kind != "total" or not differ):  # otherwise only their seasonality would show
        before = days_before(sides[0], measures[0].sample, reading, {}, names, clock)
        gaps = [item for item in findings if isinstance(item, Gap)]
        terms = replace(terms, earlier_days=before, clock=measures[0].clock, changes=[*over_time, *gaps])
        change = level_change(
            measures[0].kind, measures[0].sample, measures[1].sample, terms, ratio=scale, counted=counted
        )
    if share is not None:
        changes = changes_from_findings(share.reported(times.span), 1.0)
        candidates += _within_window([replace(item, how="evaluated") for item in changes], times)
    candidates += [change.limit(reason)] if change else []
    candidates += _in_or_since_before(changes_from_findings(findings, scale), times)
    tests += (change is not None) + TESTS_OF_A_SERIES * (outcome.findings is not None)
    return MeasureTests(survey, candidates, tests, outcome.notes)


def _in_or_since_before(candidates: Sequence[Change], times: ComparedSpans) -> list[Change]:
    """Without steps before the window, except the last one if it is recent and the level has stayed since."""
    steps = sorted((item for item in candidates if item.how == "step"), key=lambda item: item.at or "")
    shortly = iso(times.current.start.timestamp() - SHORTLY)[:10]
    last = steps[-1:] if steps and shortly <= (steps[-1].at or "") < iso(times.current.start.timestamp())[:10] else []
    return [*_within_window(candidates, times), *(replace(item, still=True) for item in last)]


def _within_window(candidates: Iterable[Change], times: ComparedSpans) -> list[Change]:
    """Without steps before the window, because both windows have the new level."""
    start = iso(times.current.start.timestamp())
    steps = {"step", "share", "evaluated"}
    return [item for item in candidates if item.how not in steps or item.at is None or item.at >= start[:10]]


class RankedChange(NamedTuple):
    """A change to report, and all the widgets that show it.

    ``possible_among``: the number of tests, if correction for them weakens ``clear`` to ``possible``.
    ``told_before``: by an earlier look of the same series.
    """

    survey: Survey
    change: Change
    possible_among: int | None = None
    told_before: bool = False

    @property
    def is_clear(self) -> bool:
        """Whether it is clear in this list."""
        return self.change.verdict == "clear" and self.possible_among is None

    @property
    def goes_on(self) -> bool:
        """Whether it is an ongoing outage."""
        return self.change.how == "outage" and self.change.still

    def is_early(self, times: ComparedSpans) -> bool:
        """Whether it lies only in the baseline."""
        item = self.change
        return item.how in TIMED and not item.still and (item.at or "") < iso(times.current.start.timestamp())[:10]


def rank_changes(all_tested: Sequence[MeasureTests], times: ComparedSpans) -> list[RankedChange]:
    """The significant changes, each event once: ongoing outages first, changes in the baseline last."""
    every = [(measure.survey, item) for measure in all_tested for item in measure.candidates if is_notable(item)]
    tests = sum(measure.tests for measure in all_tested)
    p_values = [_weighted(item) for _, item in every]
    rates = FALSE_DISCOVERY_RATE, CLEAR_FALSE_DISCOVERY_RATE
    limits = [benjamini_hochberg(p_values, rate, tests) for rate in rates]
    accepted = [(survey, item) for survey, item in every if _weighted(item) <= limits[0] and item.p_value < 1]
    ranking = list[RankedChange]()
    for survey, item in _without_repeats(accepted):
        is_weaker = item.verdict == "clear" and _weighted(item) > limits[1]
        ranking.append(RankedChange(survey, item, tests if is_weaker else None))

    def place(row: RankedChange) -> tuple[Any, ...]:
        item, is_early = row.change, row.is_early(times)
        size = item.still, -item.size, item.p_value, row.survey.widgets[0].id
        return (not row.goes_on, is_early, not row.is_clear, *size)

    return sorted(_one_for_each_outage(ranking, times), key=place)


def _weighted(item: Change) -> float:
    return item.p_value / WEIGHTS.get(item.how, 1.0)


def _one_for_each_outage(ranking: Sequence[RankedChange], times: ComparedSpans) -> list[RankedChange]:
    """Merge concurrent outages into one with all their widgets, with the buckets of few calls that they cause."""
    outages, others = list[RankedChange](), list[RankedChange]()
    for row in sorted(ranking, key=lambda row: -float(row.change.before or 0)):
        if row.change.how != "outage":
            others.append(row)
            continue
        place = next(
            (place for place, first in enumerate(outages) if is_one_event(_ends(first.change), _ends(row.change))), None
        )
        if place is None:
            outages.append(row)
        else:
            outages[place] = outages[place]._replace(survey=_with_widgets(outages[place].survey, row.survey))
    left = list[RankedChange]()
    for row in others:
        place = next((place for place, outage in enumerate(outages) if _is_remnant_of(outage, row, times)), None)
        if place is None:
            left.append(row)
        else:
            outages[place] = outages[place]._replace(survey=_with_widgets(outages[place].survey, row.survey))
    return [*outages, *left]


def _is_remnant_of(outage: RankedChange, row: RankedChange, times: ComparedSpans) -> bool:
    """Whether a change in the same calls is a bucket of few calls in or next to the outage.

    Or a fall against the baseline by about the number of missing calls.
    """
    item, config = row.change, row.survey.target.config
    fewer = float(item.before or 0) - float(item.after or 0)
    if config.function not in ADDITIVE or fewer <= 0 or row.survey.calls_key != outage.survey.calls_key:
        return False
    if item.how == "comparison" and config.function == "count":
        return not outage.is_early(times) and 1 / MOST_APART <= fewer / float(outage.change.before or 1) <= MOST_APART
    if item.how != "outlier":
        return False
    start, end = _ends(replace(item, until=None), step=timedelta(hours=1) if config.period == "hour" else DAY_LONG)
    since, until = _ends(outage.change)
    return start <= until and end >= since


def _ends(item: Change, step: timedelta = timedelta(0)) -> tuple[datetime, datetime]:
    start = moment_of(item.at or "")
    return start, moment_of(item.until) if item.until else start + step


def _without_repeats(accepted: Sequence[tuple[Survey, Change]]) -> list[tuple[Survey, Change]]:
    """The most informative change of each whole measure, its largest outlier, and every share and group.

    A measure shown both daily and hourly counts once, with the widgets of both.
    """
    distinct, places = list[tuple[Survey, Change]](), dict[tuple[str, str], list[int]]()
    order = {how: place for place, how in enumerate(WHOLE)}
    informative = sorted(
        accepted, key=lambda row: (order.get(row[1].how, 0), row[1].still, row[1].at is None, row[1].p_value)
    )
    for survey, item in informative:
        is_whole = item.how in order
        of_all = survey.measure if is_whole or item.how == "outlier" else survey.whole
        key = (of_all, "whole" if is_whole else f"{item.how} {item.part}")
        most = 1 if is_whole or item.how == "share" else MAX_UNUSUAL if item.how == "outlier" else len(accepted)
        if len(taken := places.setdefault(key, [])) < most:
            taken.append(len(distinct))
            distinct.append((survey, item))
        elif is_whole or (item.how == "outlier" and _are_on_one_day(item, distinct[taken[0]][1])):
            distinct[taken[0]] = _with_widgets(distinct[taken[0]][0], survey), distinct[taken[0]][1]
    return distinct


def _are_on_one_day(first: Change, other: Change) -> bool:
    return (first.at or "")[:10] == (other.at or "")[:10]


def _with_widgets(first: Survey, other: Survey) -> Survey:
    widgets = {widget.id: widget for widget in (*first.widgets, *other.widgets)}
    return replace(first, widgets=tuple(widgets.values()))


def report_change(
    row: RankedChange,
    times: ComparedSpans,
    dashboards: Mapping[int, str | None],
    going_on: Callable[[Survey, Change], NextCall | None],
    passing: str | None = None,
) -> ReportedChange:
    """A change for the answer. ``passing``: the score of a pass, if it is not 1."""
    survey, item = row.survey, row.change
    first, config = survey.widgets[0], survey.target.config
    by = (config.group_by or {}).get("field")
    return ReportedChange(
        widgets=[widget.id for widget in survey.widgets],
        name=untrusted(first.name),
        dashboard_id=first.dashboard,
        dashboard=untrusted(dashboards.get(first.dashboard or 0)),
        measure=measure_word(config, survey) + (f" ({passing})" if passing else ""),
        kind=item.how,
        part=item.part,
        by=field_word(str(by)) if by else None,
        before=item.before,
        after=item.after,
        pct=item.pct,
        n=[*item.n] if item.n else None,
        at=item.at,
        until=None if item.still else item.until,
        still=item.still or None,
        or_trend=item.or_trend or None,
        before_window=row.is_early(times) or None,
        verdict=item.verdict,
        possible_among=row.possible_among,
        limited_by=item.limited_by,
        told_before=row.told_before or None,
        next=None if row.told_before else going_on(survey, item),
    )


def measure_word(config: WidgetConfig, survey: Survey) -> str:
    """``avg of success``; the measure of a pie is its calls."""
    if survey.parts == "labels" or config.function == "count":
        return f"calls with a {field_word(config.field or '')}" if config.counted and not survey.parts else "calls"
    first = survey.widgets[0]
    metric = first.metric_name if config.field == METRIC_VALUE else None
    plotted = named(metric) if metric else field_word(config.field or "")
    return f"{config.function} of {plotted}"


def interval_of(item: Change, step: timedelta) -> str | None:
    """The time of a finding as a window."""
    if item.at is None:
        return None
    start = moment_of(item.at)
    return f"{format_instant(start)}/{item.until or format_instant(start + step)}"
