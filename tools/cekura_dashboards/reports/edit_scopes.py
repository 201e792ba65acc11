"""The edits to search for a change: whose, and when; and reading them.

The time when a change can have begun follows from the buckets of the charts that show it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, cast

from msgspec import Struct

from cekura_dashboards.api.errors import DashboardsError
from cekura_dashboards.api.models import JsonObject, WidgetConfig
from cekura_dashboards.charts.calls import NUMBERED
from cekura_dashboards.charts.companions import is_by_agent, share_over_time
from cekura_dashboards.charts.edit_histories import MAX_AGENTS, EditScope, read_edit_sources
from cekura_dashboards.charts.rows import bar_rows, span_of
from cekura_dashboards.charts.target import ChartReading, RequestedChart, Window
from cekura_dashboards.context import ToolContext, gather
from cekura_dashboards.reports.budget import ALONE
from cekura_dashboards.reports.changes import RankedChange
from cekura_dashboards.reports.compare import ComparedReadings
from cekura_dashboards.reports.edits import (
    MARGIN,
    OF_ONE,
    OF_SEVERAL,
    Amount,
    Edits,
    agents_in,
    edits_within,
    measure_kind,
    metrics_of,
    without_repeats,
)
from cekura_dashboards.reports.explain import MEASURE, ComparedMeasures, Dimension, Split
from cekura_dashboards.reports.failure_modes import FailureModes, count_failure_modes, failure_scope
from cekura_dashboards.reports.report import WidgetReport
from cekura_dashboards.stats.change import Change, onset_interval
from cekura_dashboards.stats.findings import Comparison, Finding, Gap, Step, Unusual
from cekura_dashboards.stats.time_series import floats
from cekura_dashboards.stats.timeline import DAY, PERIODS, STEPS, UTC_CLOCK, is_partial
from cekura_dashboards.summaries.bar import ADDITIVE, fill_empty, merge_groups
from cekura_dashboards.summaries.model import Bucket
from cekura_dashboards.text import unquoted

AGENT = "agent.id"
MOVED = ("clear", "possible")
UNDATED = "no edits are listed: the change is not clear as a whole, and may have begun at any time"
OF_A_GROUP = ("group", "new group", "gone group")
FEW_CHANGES, FEW_INTERVALS = 3, 2
"""Maximum changes of one answer, and times of one chart, for which edits are searched."""
AROUND = 14 * DAY
"""The time on each side of a step that dates it, short enough to exclude most other steps. A choice: two weeks."""


class OnsetInterval(NamedTuple):
    """The interval in which a change can have begun."""

    start: datetime
    end: datetime

    def dates(self, windows: Sequence[Window]) -> bool:
        """Whether it is informative: it covers at most half of the windows' time."""
        start, end = min(window.start for window in windows), max(window.end for window in windows)
        return self.end - self.start <= (end - start) / 2


class WholeMeasure:
    """All groups together, in place of a group."""


WHOLE = WholeMeasure()


class _Series(NamedTuple):
    """Buckets in order of the API's times. ``shift``: seconds to add for UTC."""

    buckets: list[Bucket]
    step: float
    shift: float

    def interval(self, at: float | None = None) -> OnsetInterval | None:
        """When the level changed, at a given step or anywhere; None without buckets."""
        sizes = [bucket.n for bucket in self.buckets]
        weights = [1.0] * len(sizes) if any(n is None for n in sizes) else [float(n or 0) for n in sizes]
        if not any(weights):
            return None
        times, values = floats(b.time for b in self.buckets), floats(b.value for b in self.buckets)
        start, end = onset_interval(times, values, floats(weights), self.step, at=at)
        return self.instants(start, end)

    def instants(self, start: float, end: float) -> OnsetInterval:
        return OnsetInterval(_instant(start + self.shift), _instant(end + self.shift))

    def around(self, at: float) -> OnsetInterval:
        """When a given step can have begun."""
        near = [bucket for bucket in self.buckets if abs(bucket.time - at) <= AROUND]
        return self._replace(buckets=near).interval(at) or self.instants(at - self.step, at + self.step)

    def between(self, interval: OnsetInterval) -> "_Series":
        start, end = (moment.timestamp() - self.shift for moment in interval)
        return self._replace(buckets=[bucket for bucket in self.buckets if start <= bucket.time < end])


def interval_of_windows(
    readings: Sequence[ChartReading], names: dict[str, str], group: str | WholeMeasure | None = WHOLE
) -> OnsetInterval:
    """When a level changed between current and baseline, from the bars of both, for one group or all.

    Without bars, the change may have begun at any time in both windows.
    """
    return _within(_series(readings, names, group).interval(), [reading.window for reading in readings])


def interval_of_change(
    item: Change, reading: ChartReading, windows: Sequence[Window], names: dict[str, str]
) -> OnsetInterval:
    """When a change can have begun. ``windows``: current and baseline, if any."""
    part: str | WholeMeasure | None = item.part if item.how in {"group", "new group", "gone group"} else WHOLE
    series, whole, at = _series([reading], names, part), _within(None, windows), _seconds(item.at)
    if item.how == "evaluated":
        series = _share_series([reading], series.shift)
    step = series.step
    if at is not None:
        match item.how:
            case "outage" | "outlier":
                return series.instants(at, _seconds(item.until) or at + step)
            case "trend":
                return _within(OnsetInterval(_instant(at), whole.end), windows)
            case "share":
                return series.instants(at - step, at + step)
            case _:
                return series.around(at)
    series = series.between(whole)
    times = [bucket.time for bucket in series.buckets if bucket.value or bucket.n]
    if item.how in {"new group", "gone group"} and times:
        edge = times[0] if item.how == "new group" else times[-1]
        return series.instants(edge - step, edge + step)
    is_level = item.how in {"comparison", "group"}
    return _within(series.interval() if is_level else None, windows)


def interval_of_share(readings: Sequence[ChartReading], names: dict[str, str]) -> OnsetInterval:
    """When the share of calls evaluated changed between current and baseline."""
    series = _share_series(readings, _series(readings, names, WHOLE).shift)
    return _within(series.interval(), [reading.window for reading in readings])


def interval_of_finding(
    finding: Finding, history: ChartReading, window: Window, names: dict[str, str], *, of_share: bool = False
) -> OnsetInterval:
    """When a finding of a chart can have begun. ``history``: the tested bars.

    ``of_share``: the finding is about the share of calls evaluated.
    """
    series = _series([history], names, WHOLE)
    if of_share:
        series = _share_series([history], series.shift)
    if isinstance(finding, Step):
        return series.around(_seconds(finding.at) or 0.0)
    at = _seconds(finding.start) or 0.0
    if isinstance(finding, Gap):
        return series.instants(at, _seconds(finding.end) or at + series.step)
    if isinstance(finding, Unusual):
        return series.instants(at, at + finding.buckets * series.step)
    return _within(OnsetInterval(_instant(at), window.end), [window])


def _series(readings: Sequence[ChartReading], names: dict[str, str], group: str | WholeMeasure | None) -> _Series:
    """The bars of one group or all, over several windows; None unless the charts are hourly or daily bars.

    For counts and sums, buckets cut by a window are left out, and buckets without a row are 0.
    """
    buckets, shift, step = list[Bucket](), 0.0, float(DAY)
    for reading in readings:
        chart, config = reading.chart, reading.target.config
        if chart is None or chart.chart_type != "bar" or config.period not in PERIODS:
            continue
        rows, step = bar_rows(reading, chart, names), float(STEPS[PERIODS[config.period]])
        shift = span_of(reading).start - rows.span.start
        shown = [bucket for bucket in rows.buckets if group is WHOLE or bucket.group == group]
        merged = merge_groups(config.function, (bucket for bucket in shown if bucket.value is not None))
        if config.function in ADDITIVE:
            merged = fill_empty(config.function, config.period, merged, rows.span)
            merged = [bucket for bucket in merged if not is_partial(bucket.time, step, rows.span)]
        buckets += merged
    function = readings[0].target.config.function if readings else ""
    return _Series(merge_groups(function, buckets), step, shift)


def _share_series(readings: Sequence[ChartReading], shift: float) -> _Series:
    """The share of calls evaluated, in place of the values of a metric."""
    shares = [share for reading in readings if (share := share_over_time(reading, UTC_CLOCK)) is not None]
    buckets = [
        Bucket(time, evaluated / calls, round(calls))
        for share in shares
        for time, evaluated, calls in zip(
            share.times.tolist(), share.evaluated.tolist(), share.calls.tolist(), strict=True
        )
    ]
    return _Series(merge_groups("avg", buckets), float(shares[0].step) if shares else float(DAY), shift)


def _within(interval: OnsetInterval | None, windows: Sequence[Window]) -> OnsetInterval:
    """The part of an interval within the windows; the whole windows without an interval."""
    start, end = min(window.start for window in windows), max(window.end for window in windows)
    if interval is None:
        return OnsetInterval(start, end)
    return OnsetInterval(max(interval.start, start), min(interval.end, end))


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    time = datetime.fromisoformat(text)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


class ExplanationContext(Struct, frozen=True):
    """Edits and failure modes to report with an explained change."""

    edits: Edits | None = None
    failure_modes: FailureModes | None = None
    notes: Sequence[str] = ()
    requests: int = 0


async def context_of_explanation(
    context: ToolContext,
    chart: RequestedChart,
    split: Split,
    ranked: Sequence[tuple[str, Dimension]],
    whole: Comparison,
    amount: Amount,
) -> ExplanationContext:
    """The edits around an explained change, or a change of the share of calls evaluated; and the failure modes.

    Empty if nothing changed.
    """
    base = split.charts[MEASURE]
    by, first = ranked[0] if ranked else ("", None)
    driven = first is not None and first.verdict in MOVED
    if isinstance(base, DashboardsError) or not (has_moved(whole, first) or whole.limited_by):
        return ExplanationContext()
    readings, group = base.readings, cast("str | WholeMeasure | None", WHOLE)
    if first is not None and driven and len(first.groups or []) == 1:
        sides = split.charts[by]
        if isinstance(sides, ComparedMeasures):
            readings, group = sides.readings, (first.groups or [None])[0]
    names, _ = await context.lookups.names([reading.target.config for reading in readings], [], chart.project)
    if has_moved(whole, first):
        interval = interval_of_windows(readings, names, group)
    else:
        interval = interval_of_share(base.readings, names)
    windows = base.readings[0].window, base.readings[1].window
    is_clear = whole.verdict in MOVED and "clear" in {whole.verdict, first.verdict if first is not None else None}
    is_dated = is_clear or interval.dates(windows)
    drivers = (first.groups or []) if first is not None and driven and by == AGENT else []
    scope = await edit_scope(
        context, chart.config, chart.target.calls, chart.project, interval,
        drivers=_agents(drivers), leading=_largest(split.charts.get(AGENT)),
    )  # fmt: skip
    sizes = base.current.sample.n or 0.0, base.baseline.sample.n or 0.0
    by_agent = split.charts.get(AGENT)
    if drivers and isinstance(by_agent, ComparedMeasures):
        sides_of_drivers = by_agent.current.grouped.groups, by_agent.baseline.grouped.groups
        current, baseline = (sum(side.get(name, (0.0, 0.0))[0] for name in drivers) for side in sides_of_drivers)
        sizes = current, baseline
    own = scope.agents if scope.only_agents else ()
    failures = failure_scope(chart.config, chart.target.calls, chart.project, own, windows, sizes)
    (edits, edit_requests), (modes, notes, requests) = await gather(
        _edits_in(context, [scope] if is_dated else [], [chart.config] if is_dated else [], amount),
        count_failure_modes(context, failures),
    )
    undated = [] if is_dated else [UNDATED]
    return ExplanationContext(next(iter(edits), None), modes, [*undated, *notes], edit_requests + requests)


def has_moved(whole: Comparison, first: Dimension | None) -> bool:
    """Whether something changed. ``first``: the dimension that differs most."""
    return whole.verdict in MOVED or (first is not None and first.verdict == "clear")


async def edit_scope(
    context: ToolContext,
    config: WidgetConfig,
    calls: JsonObject | None,
    project: int | None,
    interval: OnsetInterval,
    *,
    drivers: Sequence[int] = (),
    leading: Sequence[int] = (),
) -> EditScope:
    """The scope of edits: the agents that a chart is limited to or that drive its change, else the largest ones.

    ``leading``: the agents with most calls, if known; else those of a project with few agents.
    """
    own = [*drivers] or agents_in(calls)
    agents = own or [*leading]
    rubric = list[int]()
    try:
        record = next((row for row in await context.lookups.projects() if row.id == project), None)
        rubric = (record.rubric_config if record else None) or []
        if not agents and project is not None:
            every = [agent.id for agent in await context.lookups.agents(project)]
            agents = every if len(every) <= MAX_AGENTS else []
    except DashboardsError:
        rubric = list[int]()  # the audit log cannot be read either, and says why
    return EditScope(
        interval.start, interval.end, project, metrics_of(config, rubric), tuple(agents[:MAX_AGENTS]), bool(own)
    )


async def agent_names(context: ToolContext) -> Mapping[int, str | None]:
    """The names of agents by id; empty if they cannot be read."""
    try:
        return {agent.id: agent.name for agent in await context.lookups.agents()}
    except DashboardsError:
        return {}


def _agents(groups: Sequence[str | None]) -> list[int]:
    """The ids of agents in group names such as ``Booking (33)``."""
    matches = [NUMBERED.fullmatch(unquoted(group)) for group in groups if group is not None]
    return [int(match[1]) for match in matches if match]


def _largest(sides: ComparedMeasures | DashboardsError | None) -> list[int]:
    """The agents with most calls, the largest first."""
    if not isinstance(sides, ComparedMeasures):
        return []
    groups = sides.current.grouped.groups
    return _agents(sorted(groups, key=lambda name: (-groups[name][0], str(name))))


async def edits_of_changes(
    context: ToolContext,
    changes: Sequence[tuple[RankedChange, ChartReading]],
    windows: Sequence[Window],
    readings: Sequence[ChartReading],
    names: dict[str, str],
    amount: Amount,
) -> tuple[list[Edits | None], int]:
    """The edits around each change, or None for a change without a date; and the number of requests.

    ``windows``: current and baseline, if any. ``readings``: all tested ones, to find the agents with most calls.
    """
    scopes = dict[int, EditScope]()
    for place, (row, reading) in enumerate(changes):
        survey, item = row.survey, row.change
        interval = interval_of_change(item, reading, windows, names)
        if row.is_clear or interval.dates(windows):
            scopes[place] = await edit_scope(
                context, survey.target.config, survey.target.calls, survey.target.project, interval,
                drivers=_agents([item.part]) if is_by_agent(reading) and item.how in OF_A_GROUP else (),
                leading=_most_calls(readings, survey.target.project, names),
            )  # fmt: skip
    configs = [changes[place][0].survey.target.config for place in scopes]
    edits, requests = await _edits_in(context, [*scopes.values()], configs, amount)
    beside = dict(zip(scopes, edits, strict=True))
    return [beside.get(place) for place in range(len(changes))], requests


async def edits_of_reports(
    context: ToolContext,
    readings: Sequence[ComparedReadings],
    reports: Sequence[WidgetReport],
    names: dict[str, str],
    amount: Amount,
) -> list[WidgetReport]:
    """The reports, with the edits around the changes of the first few charts that changed."""
    intervals = {
        place: _joined(_intervals_of(sides, report, names))
        for place, (sides, report) in enumerate(zip(readings, reports, strict=True))
    }
    changed = [place for place, times in intervals.items() if times]
    scopes, places = list[EditScope](), list[int]()
    for place in changed[:FEW_CHANGES]:
        target = readings[place].current.target
        for interval in intervals[place][:FEW_INTERVALS]:
            leading = _most_calls([sides.current for sides in readings], target.project, names)
            scopes.append(
                await edit_scope(context, target.config, target.calls, target.project, interval, leading=leading)
            )
            places.append(place)
    all_edits, _ = await _edits_in(context, scopes, [readings[place].current.target.config for place in places], amount)
    whole = [*reports]
    for place, edits in zip(places, all_edits, strict=True):
        whole[place] = whole[place].model_copy(update={"edits": [*(whole[place].edits or []), edits]})
    for place in changed[FEW_CHANGES:]:
        note = f"edits were looked for beside the first {FEW_CHANGES} charts that changed: {ALONE}"
        whole[place] = whole[place].model_copy(update={"notes": [*(whole[place].notes or []), note]})
    return whole


async def _edits_in(
    context: ToolContext, scopes: Sequence[EditScope], configs: Sequence[WidgetConfig], amount: Amount
) -> tuple[list[Edits], int]:
    if not scopes:
        return [], 0
    wide = [scope.widened(MARGIN, context.now()) for scope in scopes]
    sources, names = await gather(read_edit_sources(context, wide), agent_names(context))
    room = OF_ONE if len(wide) == 1 else OF_SEVERAL
    edits = [
        edits_within(sources, scope, measure_kind(config), names, amount, room=room)
        for scope, config in zip(wide, configs, strict=True)
    ]
    return without_repeats(edits), sources.requests


def _intervals_of(sides: ComparedReadings, report: WidgetReport, names: dict[str, str]) -> list[OnsetInterval]:
    """The intervals in which the changes of a report can have begun."""
    history = sides.history if sides.history is not None and sides.history.chart is not None else sides.current
    window = sides.current.window
    intervals = [interval_of_finding(finding, history, window, names) for finding in report.findings or []]
    share_changes = report.evaluated.share_changes if report.evaluated is not None else None
    intervals += [interval_of_finding(item, history, window, names, of_share=True) for item in share_changes or []]
    comparison = report.comparison
    if comparison is not None and comparison.verdict in MOVED and not sides.targets.filters and sides.baseline:
        interval = interval_of_windows([sides.baseline, sides.current], names)
        if comparison.verdict == "clear" or interval.dates([sides.baseline.window, window]):
            intervals.append(interval)
    return intervals


def _joined(intervals: Sequence[OnsetInterval]) -> list[OnsetInterval]:
    """The intervals in order, those that overlap as one."""
    joined = list[OnsetInterval]()
    for interval in sorted(intervals):
        if joined and interval.start <= joined[-1].end:
            joined[-1] = OnsetInterval(joined[-1].start, max(joined[-1].end, interval.end))
        else:
            joined.append(interval)
    return joined


def _most_calls(readings: Sequence[ChartReading], project: int | None, names: dict[str, str]) -> list[int]:
    """The agents of a project with most calls, according to the charts by agent."""
    sizes = Counter[str | None]()
    for reading in readings:
        chart = reading.chart
        if chart is None or chart.chart_type != "bar" or not is_by_agent(reading) or reading.target.project != project:
            continue
        counts = reading.target.config.function == "count"
        for bucket in bar_rows(reading, chart, names).buckets:
            sizes[bucket.group] += round((bucket.value if counts else bucket.n) or 0)
    return _agents([name for name, _ in sizes.most_common()])
