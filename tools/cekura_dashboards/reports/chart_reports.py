"""From charts to reports: one path for saved widgets and unsaved ones, compared, as a profile, or empty.

An outage is reported once: of one chart, with the others of the same calls named.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from msgspec import Struct, field

from cekura_dashboards.api.chart_data import Chart
from cekura_dashboards.api.errors import DashboardsError, UnreadableAnswer
from cekura_dashboards.api.filters import (
    AGENT_IDS,
    OTHER_SCORE,
    and_parts,
    both,
    fields_of,
    in_words,
    neq_alone,
    wants_pass,
)
from cekura_dashboards.api.models import METRIC_VALUE, Agent, JsonObject, WidgetConfig, as_list, plotted_type
from cekura_dashboards.charts.read import read_charts
from cekura_dashboards.charts.rows import label_of, pie_slices, stat_figures
from cekura_dashboards.charts.target import WEEK, ChartReading, Target, Window, are_few, format_instant
from cekura_dashboards.context import ToolContext, gather, gather_all, in_thread
from cekura_dashboards.reports.compare import (
    ComparedReadings,
    Measurement,
    compare_readings,
    compared_targets,
    measure_of,
    read_compared,
    why_not_alike,
)
from cekura_dashboards.reports.coverage import change_of_share
from cekura_dashboards.reports.edit_scopes import edits_of_reports
from cekura_dashboards.reports.edits import Amount
from cekura_dashboards.reports.plots import Plot, calls_arguments, plots_of
from cekura_dashboards.reports.profile import Folding, fold, named_reports
from cekura_dashboards.reports.report import (
    ALL_CALLS,
    COARSE_SERIES,
    FINE_SERIES,
    ReportOptions,
    StatChange,
    WidgetReport,
    field_word,
    report_readings,
    with_intervals,
)
from cekura_dashboards.reports.tables import with_profile_table, with_tables
from cekura_dashboards.stats.change import group_changes
from cekura_dashboards.stats.findings import Comparison, Gap, GroupChanges, Step, Unusual, exact
from cekura_dashboards.stats.outliers import is_one_event
from cekura_dashboards.stats.timeline import moment_of
from cekura_dashboards.summaries.bar import ADDITIVE
from cekura_dashboards.summaries.model import By
from cekura_dashboards.text import join_names, json_text, named, nearest, unquoted
from cekura_dashboards.values import replace

GROUP_STEPS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
MIN_STEPS = 3
"""Whole steps in each half of a window whose groups are compared over time."""


class ChartQuery(Struct, frozen=True):
    """What to report of charts whose windows are resolved.

    ``compare_to``: another window, or ``compare_filters``: other calls. ``profile``: profiles instead. ``points``: the
    maximum number of buckets in a series; None: as many as fit. ``project``: where to look up names. ``edits``: beside
    the changes. ``tables``: of all rows, instead of a series.
    """

    project: int | None
    compare_to: str | None = None
    compare_filters: JsonObject | None = None
    profile: By | None = None
    points: int | None = None
    edits: Amount | None = None
    tables: bool = False


class ChartReports(Struct, frozen=True):
    """The report of each chart, in order, and its plot; ``plots`` None: the client draws nothing.

    ``reading_notes``: on histories that were not read; ``name_notes``: on names that could not be read.
    """

    reports: list[WidgetReport]
    plots: list[Plot] | None
    reading_notes: list[str]
    name_notes: list[str]


async def report_charts(context: ToolContext, targets: Sequence[Target], query: ChartQuery) -> ChartReports:
    """Read the charts and their names concurrently, compare or fold them, and report them.

    Raises:
        DashboardsError: for a key that is not accepted, or if all charts failed alike.
        InvalidArguments: if no chart can be compared as asked.
    """
    clock = context.settings.clock
    calls = [node for target in targets for node in (target.calls, target.matching)]
    if query.profile:
        folding = Folding(query.profile, clock, context.settings.zone.key)
        reports, (names, name_notes) = await gather(
            fold(context, targets, folding), context.lookups.names([], calls, query.project)
        )
        plots = [Plot(calls=calls_arguments(target)) for target in targets] if context.draws else None
        reports = [with_profile_table(report) for report in reports] if query.tables else reports
        return ChartReports(named_reports(reports, targets, names), plots, [], name_notes)
    pairs = compared_targets(targets, query.compare_to, query.compare_filters, context.now(), context.settings.zone)
    (readings, notes), (names, name_notes) = await gather(
        read_compared(context, pairs),
        context.lookups.names([target.config for target in targets], [*calls, query.compare_filters], query.project),
    )
    unasked = (FINE_SERIES, COARSE_SERIES if len(targets) > 1 else 0)
    points, coarse = unasked if query.points is None else (query.points, 0)
    options = ReportOptions(points, coarse, names, clock)
    reports = await comparison_reports(readings, options)
    reports = await explain_empty(context, readings, reports, names)
    reports = [
        with_intervals(report) if target.matching else report for target, report in zip(targets, reports, strict=True)
    ]
    reports = without_repeated_outages(targets, reports)
    if query.edits:
        reports = await edits_of_reports(context, readings, reports, names, query.edits)
    reports = await with_tables(readings, reports, options) if query.tables else reports
    plots = await plots_of(readings, names) if context.draws else None
    return ChartReports(reports, plots, notes, name_notes)


async def comparison_reports(
    compared_readings: Sequence[ComparedReadings], options: ReportOptions
) -> list[WidgetReport]:
    """The report of each chart, with its comparison, or with the change of each figure of a stat."""
    reports = await report_readings(
        [sides.current for sides in compared_readings], options, [sides.history for sides in compared_readings]
    )
    tests = sum(sides.current.chart is not None and sides.targets.baseline is not None for sides in compared_readings)
    beside = [bar for sides in compared_readings for side in sides.daily_bars for bar in side.values()]
    readings = [side for sides in compared_readings for side in (sides.current, sides.baseline) if side is not None]
    small = are_few([*readings, *beside])
    return [
        await in_thread(_with_comparison, report, sides, tests, options, small=small)
        for report, sides in zip(reports, compared_readings, strict=True)
    ]


def _with_comparison(report: WidgetReport, sides: ComparedReadings, tests: int, options: ReportOptions) -> WidgetReport:
    report = _with_groups(report, sides, options)
    if sides.current.chart is None or sides.targets.baseline is None:
        return report
    result = compare_readings(sides, tests, options, report.changes)
    if not sides.targets.unasked:
        return report.model_copy(update={"comparison": result})
    if not result.figures or not sides.baseline or not _calls_of(result):
        why = result.not_compared or "the baseline has no data"
        return report.model_copy(update={"not_tested": [*(report.not_tested or []), f"change: {why}"]})
    change = StatChange(start=result.start or "", end=result.end or "", figures=result.figures)
    baseline_notes = sides.baseline.window.notes if sides.baseline.restricted_to_project else result.notes or []
    notes = [*(report.notes or []), *(f"change: {note}" for note in baseline_notes)]
    untested = [*(report.not_tested or []), *([f"change: {result.not_tested}"] if result.not_tested else [])]
    return report.model_copy(update={"change": change, "notes": notes or None, "not_tested": untested or None})


def _with_groups(report: WidgetReport, sides: ComparedReadings, options: ReportOptions) -> WidgetReport:
    """Add which groups changed, where the chart shows groups over time."""
    reading, other = sides.current, sides.baseline
    if reading.chart is None or not is_divided(reading) or not reading.chart.grouped:
        return report
    if sides.targets.baseline is None:
        steps = [item.at for item in report.findings or [] if isinstance(item, Step) and not item.before_window]
        group_changes = by_halves(reading, options, moment_of(steps[-1]) if steps else None)
    elif other is None or other.chart is None or why_not_alike(sides, reading.chart, options) is not None:
        group_changes = None
    else:
        sides_read = (reading, reading.chart), (other, other.chart)
        current, baseline = (measure_of(side, chart, options.names, clock=options.clock) for side, chart in sides_read)
        reason = change_of_share(reading, other, options.clock) if sides.targets.filters is None else None
        group_changes = by_baseline(
            current, baseline, "current against baseline", alike=not other.window.weekdays_differ, limited_by=reason
        )
    return report if group_changes is None else report.model_copy(update={"group_changes": group_changes})


def _calls_of(comparison: Comparison) -> bool:
    """Whether the period before contains any call."""
    return any(row.figure == "total_calls" and row.baseline for row in comparison.figures or [])


def is_divided(reading: ChartReading) -> bool:
    """Whether a chart shows groups over time."""
    config, by = reading.target.config, reading.target.config.group_by or {}
    return config.chart_type == "bar" and by.get("type") == "field" and config.period in GROUP_STEPS


def by_baseline(
    current: Measurement, baseline: Measurement, against: str, *, alike: bool, limited_by: str | None = None
) -> GroupChanges | None:
    """Group changes between two measurements.

    ``alike``: both cover the same weekdays. ``limited_by``: why a change is ``possible`` at most, for another reason.
    """
    if current.kind not in {"mean", "total"}:
        return None
    changes = group_changes(
        current.grouped,
        baseline.grouped,
        additive=current.kind == "total",
        ratio=max(current.scale, baseline.scale),
        most="clear" if alike and limited_by is None else "possible",
        against=against,
    )
    return changes.model_copy(update={"limited_by": limited_by}) if changes and changes.top and limited_by else changes


def _floored(moment: datetime, step: timedelta) -> datetime:
    hour = moment.replace(minute=0, second=0, microsecond=0)
    return hour.replace(hour=0) if step >= timedelta(days=1) else hour


def by_halves(reading: ChartReading, options: ReportOptions, changed_at: datetime | None) -> GroupChanges | None:
    """The later half of the whole steps in the window against the earlier half; None if they are too few.

    ``changed_at``: where the level changed, if it did: as many steps after it as before, as halves that do not meet
    there would say that no group stands out. The step before it, in which the change may have begun, is left out.
    """
    chart, step = reading.chart, GROUP_STEPS[reading.target.config.period]
    zone = options.clock.zone if reading.target.local_days else UTC
    start, end = (_floored(moment.astimezone(zone), step) for moment in (reading.window.start, reading.window.end))
    start += step * (start < reading.window.start)
    half = (end - start) // step // 2
    first = before = end - half * step
    if changed_at is not None:
        first = _floored(changed_at.astimezone(zone), step)
        before = first - step
        half = min((end - first) // step, (before - start) // step)
    if chart is None or half < MIN_STEPS:
        return None
    later, earlier = Window(first, first + half * step, ""), Window(before - half * step, before, "")
    halves = [replace(reading, window=part) for part in (later, earlier)]
    measures = [measure_of(side, chart, options.names, clock=options.clock) for side in halves]
    reason = change_of_share(halves[0], halves[1], options.clock)
    against = " against ".join(
        f"{format_instant(part.start)} to {format_instant(part.end)}" for part in (later, earlier)
    )
    alike = (half * step) % WEEK == timedelta(0)
    return by_baseline(measures[0], measures[1], against, alike=alike, limited_by=reason)


MOST_CONDITIONS, MOST_EXPLAINED = 6, 3
"""The most conditions counted one by one, and the most empty charts of an answer explained that way."""
MAX_VALUES = 6
LONGER = "try a longer window"
NULL = "null"
LABELLED = {"string", "boolean"}
"""Types of fields whose values a pie counts."""


class CallsQuery(Struct, frozen=True):
    """The requested calls: in this window, of this project, under all of these conditions."""

    calls: JsonObject
    window: Window
    project: int | None = None
    dashboard: int | None = None

    @classmethod
    def of(cls, reading: ChartReading) -> "CallsQuery":
        return cls(reading.target.calls, reading.window, reading.target.project, reading.target.dashboard)

    @property
    def conditions(self) -> list[JsonObject]:
        """The conditions that are counted one by one."""
        return [*and_parts(self.calls)][:MOST_CONDITIONS]


class _Counts(Struct, frozen=True):
    """Calls in the window: all of them, those under all conditions, and under each condition alone.

    ``values``: of a condition on a field with labels, how many calls have each label.
    """

    every: float
    matching: float
    alone: list[float]
    values: dict[int, dict[str, float]] = field(default_factory=dict[int, dict[str, float]])


async def explain_empty(
    context: ToolContext, sides: Sequence[ComparedReadings], reports: Sequence[WidgetReport], names: Mapping[str, str]
) -> list[WidgetReport]:
    """The reports; those without calls, or without calls in the baseline, say why."""
    readings = [pair.current for pair in sides]
    reports = await _explain_baselines(context, sides, reports, names)
    reports = await _with_left_out_counts(context, readings, reports)
    empty = {
        place: CallsQuery.of(reading)
        for place, (reading, report) in enumerate(zip(readings, reports, strict=True))
        if report.n == 0 and report.error is None
    }
    distinct = {_key(query): query for query in empty.values()}
    looked_at = [*distinct][:MOST_EXPLAINED]
    reasons = dict(zip(looked_at, await gather_all(_reason(context, distinct[key]) for key in looked_at), strict=True))
    explained_reports = [*reports]
    for place, asked in empty.items():
        reason_text = _in_words(asked, reasons.get(_key(asked)), readings[place].target.config.field, names)
        explained_reports[place] = reports[place].model_copy(
            update={"notes": [reason_text, *(reports[place].notes or [])]}
        )
    return explained_reports


async def _with_left_out_counts(
    context: ToolContext, readings: Sequence[ChartReading], reports: Sequence[WidgetReport]
) -> list[WidgetReport]:
    """The reports; a saved ``neq`` gets a note on how many calls have no value of its field."""
    wanted = dict[tuple[str, str], Target]()
    for reading in readings:
        for name in _neq_fields(reading) if reading.error is None else ():
            rest = [part for part in and_parts(reading.target.calls) if name not in {*fields_of(part)}]
            missing = both(*rest, {"field": name, "op": "isnull", "value": True})
            wanted[_key(CallsQuery.of(reading)), name] = _target(CallsQuery.of(reading), missing)
    if not wanted:
        return [*reports]
    wanted = dict([*wanted.items()][:MOST_EXPLAINED])
    counts = dict(zip(wanted, await read_charts(context, [*wanted.values()]), strict=True))
    counted_reports = [*reports]
    for place, reading in enumerate(readings):
        asked = [(name, counts.get((_key(CallsQuery.of(reading)), name))) for name in _neq_fields(reading)]
        count_notes = [
            f"{exact(n)} more calls have no value of {field_word(name)}, and neq may omit them; "
            "add `or` isnull true to count them"
            for name, count in asked
            if count is not None and count.chart is not None and (n := _calls(count.chart))
        ]
        if count_notes:
            counted_reports[place] = counted_reports[place].model_copy(
                update={"notes": [*(counted_reports[place].notes or []), *count_notes]}
            )
    return counted_reports


def _neq_fields(reading: ChartReading) -> list[str]:
    """The fields of a chart's ``neq`` conditions that stand alone."""
    parts = [part for part in and_parts(reading.target.calls) if part.get("op") == "neq"]
    whole: JsonObject = {"operator": "and", "conditions": [*and_parts(reading.target.calls)]}
    alone = [*neq_alone(whole)]
    return [*dict.fromkeys(str(part["field"]) for part in parts if part in alone)]


async def _explain_baselines(
    context: ToolContext, sides: Sequence[ComparedReadings], reports: Sequence[WidgetReport], names: Mapping[str, str]
) -> list[WidgetReport]:
    """Why a baseline of other calls is empty: which condition excludes them."""
    empty = [
        (place, pair.baseline)
        for place, (pair, report) in enumerate(zip(sides, reports, strict=True))
        if pair.targets.filters and pair.baseline and report.comparison and pair.has_empty_baseline(names)
    ][:MOST_EXPLAINED]
    reasons = await gather_all(why_empty(context, CallsQuery.of(reading), names) for _, reading in empty)
    explained_reports = [*reports]
    for (place, _), reason in zip(empty, reasons, strict=True):
        if (comparison := explained_reports[place].comparison) is not None:
            why = f"no calls match in the baseline: {reason}"
            explained_reports[place] = explained_reports[place].model_copy(
                update={"comparison": comparison.model_copy(update={"not_compared": why})}
            )
    return explained_reports


def _key(query: CallsQuery) -> str:
    """A key, equal for the same calls, wherever they are charted."""
    return json.dumps([query.calls, str(query.window), query.project], sort_keys=True)


async def why_empty(context: ToolContext, query: CallsQuery, names: Mapping[str, str]) -> str:
    """Which condition excludes all calls, in words."""
    return _in_words(query, await _reason(context, query), None, names)


async def _reason(context: ToolContext, query: CallsQuery) -> str | _Counts | None:
    """The counts of calls under each condition alone; None if they cannot be read."""
    conditions = query.conditions
    try:
        agents = {agent.id: agent for agent in await context.lookups.agents()} if _agents_in(conditions) else {}
        return _foreign_agents(conditions, agents, query.project) or await _count_calls(context, query)
    except DashboardsError:
        return None


def _in_words(query: CallsQuery, reason: str | _Counts | None, plotted: str | None, names: Mapping[str, str]) -> str:
    """``plotted``: the field whose values are missing."""
    if isinstance(reason, str):
        return reason
    if reason is None:
        where = in_words(query.calls, names) if query.calls else ALL_CALLS
        return f"no calls with a value where {where}: the window may hold none, or a condition excludes them all"
    if not reason.every:
        return f"there are no calls in this window: {LONGER}"
    if reason.matching:
        value = "this metric" if plotted == METRIC_VALUE else field_word(plotted) if plotted else "what is plotted"
        return f"{exact(reason.matching)} calls match, none with a value of {value}"
    for place, (condition, alone) in enumerate(zip(query.conditions, reason.alone, strict=True)):
        if alone:
            continue
        text = f"none of the {exact(reason.every)} calls in this window has {in_words(condition, names)}"
        if wants_pass(condition):
            return f"{OTHER_SCORE}; {text}"
        values = reason.values.get(place, {})
        labels = sorted((label for label in values if label != NULL), key=lambda label: (-values[label], label))
        near = [nearest(name, labels) for name in sorted(_labels_in(condition) or ())]
        meant = next((f"; did you mean {named(label)}?" for label in near if label), "")
        return (
            f"{text}{meant}; values that occur: {join_names(map(named, labels), limit=MAX_VALUES)}" if labels else text
        )
    one_by_one = f"each condition alone matches some of the {exact(reason.every)} calls in this window"
    return f"{one_by_one}, together they match none"


def _agents_in(conditions: Sequence[JsonObject]) -> set[int]:
    """The agents that conditions name by id."""
    agents = set[int]()
    for condition in conditions:
        if condition.get("field") in AGENT_IDS and condition.get("op") in {"eq", "in"}:
            values = as_list(condition.get("value")) or [condition.get("value")]
            agents |= {int(value) for value in values if str(value).isdecimal()}
    return agents


def _foreign_agents(conditions: Sequence[JsonObject], agents: Mapping[int, Agent], project: int | None) -> str | None:
    """What is wrong with the agents of a condition, if none of them can have calls here."""
    for condition in conditions:
        ids = sorted(_agents_in([condition]))
        descriptions = [_foreign_agent(number, agents.get(number), project) for number in ids]
        if descriptions and all(descriptions):
            return "; ".join(text for text in descriptions[:MAX_VALUES] if text)
    return None


def _foreign_agent(number: int, agent: Agent | None, project: int | None) -> str | None:
    if agent is None:
        return f"this key cannot see agent {number} (look_up agents lists them)"
    if project is None or agent.project in {None, project}:
        return None
    where = f"agent {number} {named(agent.name)} is in project {agent.project}"
    return f"{where}, but these are calls of project {project}"


async def _count_calls(context: ToolContext, query: CallsQuery) -> _Counts:
    """One request for each count, all at once.

    Raises:
        DashboardsError: the first failure.
    """
    labelled = [_labels_in(condition) for condition in query.conditions]
    targets = [_target(query, None), _target(query, query.calls)]
    for condition, labels in zip(query.conditions, labelled, strict=True):
        targets.append(_target(query, condition) if labels is None else _target(query, None, str(condition["field"])))
    charts = list[Chart]()
    for reading in await read_charts(context, targets):
        if reading.chart is None:
            raise reading.error or UnreadableAnswer("a count of calls is missing")
        charts.append(reading.chart)
    every, matching = (_calls(chart) for chart in charts[:2])
    alone, values = list[float](), dict[int, dict[str, float]]()
    for place, (chart, labels) in enumerate(zip(charts[2:], labelled, strict=True)):
        if labels is None:
            alone.append(_calls(chart))
            continue
        values[place] = {_plain(piece.label): piece.value for piece in pie_slices(chart, {})}
        alone.append(sum(n for label, n in values[place].items() if label in labels))
    return _Counts(every, matching, alone, values)


def _calls(stat: Chart) -> float:
    return stat_figures(stat)[0].get("total_calls") or 0.0


def _plain(label: str | None) -> str:
    """A label for comparison, without its quotes."""
    return NULL if label is None else unquoted(label)


def _target(query: CallsQuery, filters: JsonObject | None, labels_of: str | None = None) -> Target:
    """A count of calls, or of the labels of a field, without the dashboard and its filters."""
    config = WidgetConfig(chart_type="pie" if labels_of else "stat", field=labels_of)
    return Target(config, {}, query.dashboard, query.project, window=query.window, extra=filters or None, alone=True)


def _labels_in(condition: JsonObject) -> set[str] | None:
    """The labels that a condition names; None if its field or operator has no list of labels."""
    if condition.get("op") not in {"eq", "in"} or plotted_type(str(condition.get("field"))) not in LABELLED:
        return None
    values = as_list(condition.get("value")) or [condition.get("value")]
    return {_plain(label_of(value, {})) for value in values}


HOUR_LONG, DAY_LONG = timedelta(hours=1), timedelta(days=1)


def without_repeated_outages(targets: Sequence[Target], reports: Sequence[WidgetReport]) -> list[WidgetReport]:
    """The reports; an outage of the same calls is told of one chart, a count if there is one, with the others named."""
    first, results = dict[str, int](), [*reports]
    for place in sorted(range(len(reports)), key=lambda i: targets[i].config.function != "count"):
        report, target = results[place], targets[place]
        gaps = [item for item in report.findings or [] if isinstance(item, Gap)]
        if not gaps or report.widget.id is None:
            continue
        key = _key_of_calls(target)
        if first.setdefault(key, place) == place:
            continue
        main = results[first[key]]
        known = [item for item in main.findings or [] if isinstance(item, Gap)]
        repeats = [gap for gap in gaps if any(is_one_event(_ends(gap), _ends(other)) for other in known)]
        if not repeats:
            continue
        others = [
            _told_with(item, repeats, report.widget.id) if isinstance(item, Gap) else item
            for item in main.findings or []
        ]
        results[first[key]] = main.model_copy(update={"findings": others})
        left = [item for item in report.findings or [] if item not in repeats]
        results[place] = report.model_copy(update={"findings": left, "outage_of": main.widget.id})
    return [_without_rest(target, report, results, first) for target, report in zip(targets, results, strict=True)]


def _without_rest(
    target: Target, report: WidgetReport, results: Sequence[WidgetReport], first: Mapping[str, int]
) -> WidgetReport:
    """A report of totals without the buckets of few calls that an outage of the same calls leaves in another chart."""
    place = first.get(_key_of_calls(target))
    if place is None or results[place].widget.id == report.widget.id or target.config.function not in ADDITIVE:
        return report
    gaps = [_ends(item) for item in results[place].findings or [] if isinstance(item, Gap)]
    left = [item for item in report.findings or [] if not (isinstance(item, Unusual) and _is_left_by(item, gaps))]
    if len(left) == len(report.findings or []):
        return report
    return report.model_copy(update={"findings": left, "outage_of": results[place].widget.id})


def _is_left_by(item: Unusual, gaps: Sequence[tuple[datetime, datetime]]) -> bool:
    start = moment_of(item.start)
    end = start + item.buckets * (DAY_LONG if len(item.start) == len("2026-11-12") else HOUR_LONG)
    return item.value < item.expected and any(start <= until and since <= end for since, until in gaps)


def _key_of_calls(target: Target) -> str:
    return json_text([target.calls, target.project or target.dashboard])


def _told_with(gap: Gap, others: Sequence[Gap], widget: int) -> Gap:
    """An outage with another widget that has it: by the hour, and from the last call, where either shows that."""
    same = [other for other in others if is_one_event(_ends(gap), _ends(other))]
    if not same:
        return gap
    start, expected = gap.start, gap.expected_calls
    for other in same:
        earlier = moment_of(start) - moment_of(other.start)
        if gap.still and other.still and timedelta(0) < earlier:
            start, expected = other.start, expected if earlier <= HOUR_LONG else other.expected_calls
    update = {"start": start, "expected_calls": expected, "widgets": [*(gap.widgets or []), widget]}
    return gap.model_copy(update=update)


def _ends(gap: Gap) -> tuple[datetime, datetime]:
    return moment_of(gap.start), moment_of(gap.end)
