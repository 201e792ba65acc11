"""Why a chart, a baseline or a list of calls is empty, by counting the calls under each condition alone."""

import json
from collections.abc import Mapping, Sequence

from msgspec import Struct, field

from cekura_dashboards.api.chart_data import Chart
from cekura_dashboards.api.errors import DashboardsError, UnreadableAnswer
from cekura_dashboards.api.filters import (
    AGENT_IDS,
    METRIC_ID,
    OTHER_SCORE,
    and_parts,
    both,
    fields_of,
    in_words,
    neq_alone,
    wants_pass,
)
from cekura_dashboards.api.models import (
    METRIC_VALUE,
    Agent,
    JsonObject,
    Metric,
    WidgetConfig,
    as_list,
    as_object,
    plotted_type,
)
from cekura_dashboards.arguments.references import visible_metrics
from cekura_dashboards.charts.read import read_charts
from cekura_dashboards.charts.rows import label_of, pie_slices, stat_figures
from cekura_dashboards.charts.target import ChartReading, Target, Window
from cekura_dashboards.context import ToolContext, gather_all
from cekura_dashboards.reports.compare import ComparedReadings
from cekura_dashboards.reports.report import ALL_CALLS, WidgetReport, field_word
from cekura_dashboards.stats.findings import exact
from cekura_dashboards.text import counted, join_names, named, nearest, unquoted
from cekura_dashboards.values import replace

MOST_CONDITIONS, MOST_EXPLAINED = 6, 3
"""The most conditions counted one by one, and the most empty charts of an answer explained that way."""
MAX_VALUES = 6
LONGER = "try a longer window"
NULL = "null"
LABELLED = {"string", "boolean"}
"""Types of fields whose values a pie counts."""
AGENT_NAME, METRIC_NAME = "agent.agent_name", "metric_evaluations.metric.name"
HEADS = {AGENT_NAME: "agents", METRIC_NAME: "metrics"}
"""The nouns for possible values that no pie counts."""


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

    ``values``: of a condition on a field with labels, how many calls have each label; of one on names, the names.
    """

    every: float
    matching: float
    alone: list[float]
    values: dict[int, dict[str, float]] = field(default_factory=dict[int, dict[str, float]])


async def explain_empty(
    context: ToolContext, sides: Sequence[ComparedReadings], reports: Sequence[WidgetReport], names: Mapping[str, str]
) -> list[WidgetReport]:
    """The reports, with the reason for those without calls, or without calls in the baseline."""
    readings = [pair.current for pair in sides]
    reports = await _explain_baselines(context, sides, reports, names)
    reports = await _with_excluded_counts(context, readings, reports)
    queries = [_without_calls(reading, report) for reading, report in zip(readings, reports, strict=True)]
    empty = {place: query for place, query in enumerate(queries) if query is not None}
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


def _without_calls(reading: ChartReading, report: WidgetReport) -> CallsQuery | None:
    """The query of a chart that has no calls, or whose share is 0; None for others."""
    query, matching = CallsQuery.of(reading), reading.target.matching
    if report.error is not None:
        return None
    if report.n and matching and getattr(report.facts, "overall", None) == 0:
        return replace(query, calls=both(query.calls, matching))
    return query if report.n == 0 else None


async def _with_excluded_counts(
    context: ToolContext, readings: Sequence[ChartReading], reports: Sequence[WidgetReport]
) -> list[WidgetReport]:
    """The reports, with a note on how many calls a saved ``neq`` leaves out because they have no value."""
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
    """The fields of a chart's ``neq`` conditions without an ``isnull``."""
    parts = [part for part in and_parts(reading.target.calls) if part.get("op") == "neq"]
    whole: JsonObject = {"operator": "and", "conditions": [*and_parts(reading.target.calls)]}
    alone = [*neq_alone(whole)]
    return [*dict.fromkeys(str(part["field"]) for part in parts if part in alone)]


async def _explain_baselines(
    context: ToolContext, sides: Sequence[ComparedReadings], reports: Sequence[WidgetReport], names: Mapping[str, str]
) -> list[WidgetReport]:
    """The reports, with the condition that excludes all calls of an empty baseline."""
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
    """A key, equal for the same calls, whatever the chart."""
    return json.dumps([query.calls, str(query.window), query.project], sort_keys=True)


def requests_for(query: CallsQuery) -> int:
    """The requests that ``why_empty`` makes at most."""
    return 2 + len(query.conditions) + sum(_metric_of_value(item) is not None for item in query.conditions)


async def why_empty(context: ToolContext, query: CallsQuery, names: Mapping[str, str]) -> str:
    """Which condition excludes all calls, in words."""
    return _in_words(query, await _reason(context, query), None, names)


async def _reason(context: ToolContext, query: CallsQuery) -> str | _Counts | None:
    """The reason, or the counts of calls under each condition alone; None if they cannot be read."""
    conditions = query.conditions
    try:
        agents = {agent.id: agent for agent in await context.lookups.agents()} if _agents_in(conditions) else {}
        if foreign := _foreign_agents(conditions, agents, query.project):
            return foreign
        counts = await _count_calls(context, query)
    except DashboardsError:
        return None
    for place, condition in enumerate(conditions):
        if not counts.alone[place] and condition.get("field") in HEADS:
            counts.values[place] = await _names(context, str(condition["field"]), query.project)
    return counts


async def _names(context: ToolContext, field_name: str, project: int | None) -> dict[str, float]:
    """The names that a condition on names may mean; empty if they cannot be read."""
    try:
        if field_name == AGENT_NAME:
            known: Sequence[Agent | Metric] = await context.lookups.agents(project)
        else:
            known = await visible_metrics(context, project)
    except DashboardsError:
        return {}
    return {item.name: 0.0 for item in known if item.name}


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
        calls = counted(exact(reason.matching), "matching call")
        return f"{calls}, none with a value of {value}"
    for place, (condition, alone) in enumerate(zip(query.conditions, reason.alone, strict=True)):
        if alone:
            continue
        verb = "has" if condition.get("operator") == "same_row" else "matches"
        words = f"{verb} {in_words(condition, names)}"
        if condition.get("op") == "isnull":
            words = f"has {'no' if condition.get('value') else 'a'} value of {field_word(str(condition.get('field')))}"
        text = f"none of the {counted(exact(reason.every), 'call')} in this window {words}"
        if wants_pass(condition):
            return f"{OTHER_SCORE}; {text}"
        values = reason.values.get(place, {})
        labels = sorted((label for label in values if label != NULL), key=lambda label: (-values[label], label))
        near = [nearest(name, labels) for name in sorted(_labels_in(condition) or _named_in(condition))]
        meant = next((f"; did you mean {named(label)}?" for label in near if label), "")
        head = HEADS.get(str(condition.get("field")), "values that occur")
        return f"{text}{meant}; {head}: {join_names(map(named, labels), limit=MAX_VALUES)}" if labels else text
    one_by_one = f"each condition alone matches some of the {counted(exact(reason.every), 'call')} in this window"
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
    """The fault of a condition on agents, if none of them can have calls here."""
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
    metrics = {place: number for place, item in enumerate(query.conditions) if (number := _metric_of_value(item))}
    targets = [_target(query, None), _target(query, query.calls)]
    for condition, labels in zip(query.conditions, labelled, strict=True):
        targets.append(_target(query, condition) if labels is None else _target(query, None, str(condition["field"])))
    pies = [_target(query, None, METRIC_VALUE, number) for number in metrics.values()]
    readings = await read_charts(context, [*targets, *pies])
    charts = list[Chart]()
    for reading in readings[: len(targets)]:
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
    for place, reading in zip(metrics, readings[len(targets) :], strict=True):
        if reading.chart is not None:  # some metrics have no pie
            values[place] = {_plain(piece.label): piece.value for piece in pie_slices(reading.chart, {})}
    return _Counts(every, matching, alone, values)


def _calls(stat: Chart) -> float:
    return stat_figures(stat)[0].get("total_calls") or 0.0


def _plain(label: str | None) -> str:
    """A label for comparison, without quotes."""
    return NULL if label is None else unquoted(label)


def _target(
    query: CallsQuery, filters: JsonObject | None, labels_of: str | None = None, metric: int | None = None
) -> Target:
    """A count of calls, or of the labels of a field, without the dashboard and its filters."""
    config = WidgetConfig(chart_type="pie" if labels_of else "stat", field=labels_of, metric=metric)
    return Target(config, {}, query.dashboard, query.project, window=query.window, extra=filters or None, alone=True)


def _labels_in(condition: JsonObject) -> set[str] | None:
    """The labels that a condition names; None if its field or operator has no list of labels."""
    if condition.get("op") not in {"eq", "in"} or plotted_type(str(condition.get("field"))) not in LABELLED:
        return None
    return _values_in(condition)


def _values_in(condition: JsonObject) -> set[str]:
    values = as_list(condition.get("value")) or [condition.get("value")]
    return {_plain(label_of(value, {})) for value in values}


def _named_in(condition: JsonObject) -> set[str]:
    """The values that a condition on names, or on the value of a metric, names."""
    conditions = [condition] if _metric_of_value(condition) is None else [*and_parts({**condition, "operator": "and"})]
    fields = {*HEADS, METRIC_VALUE}
    parts = [part for part in conditions if part.get("field") in fields and part.get("op") in {"eq", "in"}]
    return {value for part in parts for value in _values_in(part)}


def _metric_of_value(condition: JsonObject) -> int | None:
    """The metric of a condition on a value of it; None for other conditions."""
    if condition.get("operator") != "same_row":
        return None
    parts = [as_object(part) or {} for part in as_list(condition.get("conditions")) or []]
    numbers = [part.get("value") for part in parts if part.get("field") == METRIC_ID and part.get("op") == "eq"]
    of_value = any(part.get("field") == METRIC_VALUE and part.get("op") in {"eq", "in"} for part in parts)
    return numbers[0] if of_value and len(numbers) == 1 and isinstance(numbers[0], int) else None
