"""What changed anywhere: the candidates of all measures, those to believe, and how each is told."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from msgspec import Struct
from pydantic import BaseModel, Field

from cekura_dashboards.answers.history import label_outcomes, outcome_of
from cekura_dashboards.answers.report import field_word
from cekura_dashboards.answers.sides import days_before, labels_of, measure_of
from cekura_dashboards.api.fields import LIMIT, METRIC_VALUE
from cekura_dashboards.api.models import WidgetConfig
from cekura_dashboards.charts.survey import Survey
from cekura_dashboards.charts.target import ChartReading
from cekura_dashboards.charts.window import Window, format_instant
from cekura_dashboards.insight import Clock, Span, Terms
from cekura_dashboards.insight.bar import is_merged
from cekura_dashboards.insight.changes import (
    Candidate,
    How,
    dated,
    is_notable,
    level,
    of_findings,
    of_groups,
    of_labels,
)
from cekura_dashboards.insight.many_tests import believed
from cekura_dashboards.insight.numbers import Number
from cekura_dashboards.insight.timeline import iso
from cekura_dashboards.text import Foreign, Word, foreign, named
from cekura_dashboards.values import replace

FALSE_AMONG_TOLD = 0.05
"""The share of what is told that may be false."""
SURE_AMONG_TOLD = 0.01
"""The same for what is told as ``clear``."""
TIMED = {"step", "unusual", "gap"}
WHOLE: tuple[How, ...] = ("step", "trend", "comparison")
"""What is said of a measure as a whole, the most telling first: one of them is enough."""
MOST_UNUSUAL = 1


class Next(BaseModel):
    """The call that goes on from here."""

    tool: str
    arguments: dict[str, Any]


class ChangeFound(BaseModel):
    """One change: where, what, how much, how sure, and how to go on."""

    widgets: list[int] = Field(description="that show it; the first is meant by next")
    name: Foreign | None = Field(default=None, description="of the first")
    dashboard_id: int | None = None
    dashboard: Foreign | None = None
    measure: Word
    how: How
    part: Word | None = Field(default=None, description="the group or label; absent: calls without one, or the whole")
    by: Word | None = None
    before: Number | None = None
    after: Number | None = None
    pct: Number | None = Field(default=None, description="relative, in percent of before")
    n: list[Number] | None = Field(default=None, description="calls before and after")
    at: str | None = None
    until: str | None = None
    before_window: bool | None = Field(default=None, description="it lies in the time that is compared with")
    verdict: Literal["clear", "possible"]
    next: Next | None = None


class Times(Struct, frozen=True):
    """The window and what it is compared with, if anything, each from a step's begin to another's."""

    current: Window
    baseline: Window | None
    until: datetime
    """Later calls are not looked at."""

    @property
    def span(self) -> Span:
        """All of which findings are told."""
        first = min(self.current.start, self.baseline.start) if self.baseline else self.current.start
        return Span(first.timestamp(), max(self.until, self.current.end).timestamp())


def whole_steps(window: Window, step: str, now: datetime) -> Window:
    """The window from a step's begin to another's; the first step is whole, but for one that the API holds in part."""
    zero: dict[str, Any] = {"minute": 0, "second": 0, "microsecond": 0} | ({} if step == "hour" else {"hour": 0})
    start, end = window.start.replace(**zero), window.end.replace(**zero)
    least = timedelta(hours=1) if step == "hour" else timedelta(days=1)
    if start < now - LIMIT:
        start += least
    return replace(window, start=start, end=max(end, start + least))


class Tested(Struct, frozen=True):
    """The candidates of one measure, and how many tests were made on it."""

    survey: Survey
    candidates: list[Candidate]
    tests: int


def tested(
    survey: Survey, reading: ChartReading, times: Times, clock: Clock, names: dict[str, str], *, whole: bool
) -> Tested:
    """``whole``: the measure as a whole is tested too, not its groups alone."""
    chart = reading.chart
    if chart is None:
        raise ValueError("a reading that failed has nothing to test")
    sides = [replace(reading, window=window) for window in (times.current, times.baseline) if window]
    reading = replace(reading, window=replace(reading.window, end=max(times.until, times.current.end)))
    differ = times.baseline is not None and times.baseline.weekdays_differ
    most: Literal["clear", "possible"] = "possible" if differ else "clear"
    terms = Terms(most=most, clock=clock)
    if survey.parts == "labels":
        current, *baseline = [labels_of(side, names) for side in sides]
        shares = of_labels(current, baseline[0], terms) if baseline else []
        courses = label_outcomes(reading, clock, times.span, names)
        return Tested(survey, _in_time(dated(shares, courses), times), len(sides))
    measures = [measure_of(side, chart, names) for side in sides]
    scale, counted = max(measure.scale for measure in measures), reading.target.config.function == "count"
    found, tests = list[Candidate](), 0
    if times.baseline and survey.parts == "groups" and measures[0].kind in {"mean", "total"}:
        additive = measures[0].kind == "total"
        groups = [measure.grouped for measure in measures]
        found += of_groups(groups[0], groups[1], additive=additive, ratio=0.0 if additive else scale, most=most)
        tests += 2
    if not whole or not is_merged(reading.target.config.function, "group" if survey.parts else None):
        return Tested(survey, found, tests)
    change = None
    if times.baseline and (measures[0].kind != "total" or not differ):  # else only their rhythm would be told
        terms = replace(terms, earlier=days_before(sides[0], measures[0].side, reading, {}, names))
        change = level(measures[0].kind, measures[0].side, measures[1].side, terms, ratio=scale, counted=counted)
    outcome = outcome_of(reading, chart, clock, times.span, names)
    told = [finding for finding in outcome.findings or [] if not getattr(finding, "before_window", False)]
    found += [change] if change else []
    found += _in_time(of_findings(told, scale), times)
    return Tested(survey, found, tests + (change is not None) + 4 * (outcome.findings is not None))


def _in_time(found: Iterable[Candidate], times: Times) -> list[Candidate]:
    """Without steps that are older than the window: they hold on both sides of it by now."""
    start = iso(times.current.start.timestamp())
    steps = {"step", "share"}
    return [item for item in found if item.how not in steps or item.at is None or item.at >= start[:10]]


def ranked(all_tested: Sequence[Tested]) -> list[tuple[Survey, Candidate, Literal["clear", "possible"]]]:
    """What is to be believed, one line for what is said of a measure twice; the surest and largest first."""
    every = [(held.survey, item) for held in all_tested for item in held.candidates if is_notable(item)]
    tests = sum(held.tests for held in all_tested)
    chances = [item.chance for _, item in every]
    limits = [believed(chances, share, tests) for share in (FALSE_AMONG_TOLD, SURE_AMONG_TOLD)]
    kept = [(survey, item) for survey, item in every if item.chance <= limits[0] and item.chance < 1]
    found = list[tuple[Survey, Candidate, Literal["clear", "possible"]]]()
    for survey, item in _told_once(kept):
        sure = item.chance <= limits[1] and item.most == "clear"
        found.append((survey, item, "clear" if sure else "possible"))
    return sorted(found, key=lambda row: (row[2] != "clear", -row[1].size, row[1].chance, row[0].widgets[0].id))


def _told_once(kept: Sequence[tuple[Survey, Candidate]]) -> list[tuple[Survey, Candidate]]:
    """Of a measure as a whole the most telling, and the most unusual stretch; of shares and groups each."""
    found, said = list[tuple[Survey, Candidate]](), dict[tuple[str, str], int]()
    order = {how: place for place, how in enumerate(WHOLE)}
    for survey, item in sorted(kept, key=lambda row: (order.get(row[1].how, 0), row[1].at is None, row[1].chance)):
        key = (survey.whole, "whole" if item.how in order else f"{item.how} {item.part}")
        most = 1 if item.how in {*order, "share"} else MOST_UNUSUAL if item.how == "unusual" else len(kept)
        if said.get(key, 0) < most:
            said[key] = said.get(key, 0) + 1
            found.append((survey, item))
    return found


def told(
    survey: Survey,
    item: Candidate,
    verdict: Literal["clear", "possible"],
    times: Times,
    dashboards: Mapping[int, str | None],
    going_on: Callable[[Survey, Candidate], Next | None],
    passing: str | None = None,
) -> ChangeFound:
    """A change as it is answered. ``passing``: what counts as a pass, where that has to be said."""
    first, config = survey.widgets[0], survey.target.config
    by = (config.group_by or {}).get("field")
    early = item.how in TIMED and (item.at or "") < iso(times.current.start.timestamp())[:10]
    return ChangeFound(
        widgets=[widget.id for widget in survey.widgets],
        name=foreign(first.name),
        dashboard_id=first.dashboard,
        dashboard=foreign(dashboards.get(first.dashboard or 0)),
        measure=measure_word(config, survey) + (f" ({passing})" if passing else ""),
        how=item.how,
        part=item.part,
        by=field_word(str(by)) if by else None,
        before=item.before,
        after=item.after,
        pct=item.pct,
        n=[*item.n] if item.n else None,
        at=item.at,
        until=item.until,
        before_window=early or None,
        verdict=verdict,
        next=going_on(survey, item),
    )


def measure_word(config: WidgetConfig, survey: Survey) -> str:
    """``avg of success``; what a pie divides is its calls."""
    if survey.parts == "labels" or config.function == "count":
        return f"calls with a {field_word(config.field or '')}" if config.counted and not survey.parts else "calls"
    first = survey.widgets[0]
    metric = first.metric_name if config.field == METRIC_VALUE else None
    plotted = named(metric) if metric else field_word(config.field or "")
    return f"{config.function} of {plotted}"


def interval_of(item: Candidate, step: timedelta) -> str | None:
    """The time that a finding is about, as a window."""
    if item.at is None:
        return None
    start = datetime.fromisoformat(item.at)
    start = start if start.tzinfo else start.replace(tzinfo=UTC)
    return f"{format_instant(start)}/{item.until or format_instant(start + step)}"
