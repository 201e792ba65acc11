"""Why a chart holds no call: which of its conditions excludes them all, or that there are none at all."""

import json
from collections.abc import Mapping, Sequence

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
from cekura_dashboards.charts.target import ChartReading, Target
from cekura_dashboards.charts.window import Window
from cekura_dashboards.context import ToolContext, gather_all
from cekura_dashboards.reports.compare import ComparedReadings
from cekura_dashboards.reports.report import ALL_CALLS, WidgetReport, field_word
from cekura_dashboards.stats.numbers import exact
from cekura_dashboards.text import join_names, named, nearest, unquoted

MOST_CONDITIONS, MOST_EXPLAINED = 6, 3
"""Conditions that are looked at one by one, and empty charts of one answer that are explained so."""
MAX_VALUES = 6
LONGER = "try a longer window"
NULL = "null"
LABELLED = {"string", "boolean"}
"""Types of fields whose values a pie counts."""


class CallsQuery(Struct, frozen=True):
    """Which calls were asked for: in this window, of this project, under all of these conditions."""

    calls: JsonObject
    window: Window
    project: int | None = None
    dashboard: int | None = None

    @classmethod
    def of(cls, reading: ChartReading) -> "CallsQuery":
        return cls(reading.target.calls, reading.window, reading.target.project, reading.target.dashboard)

    @property
    def conditions(self) -> list[JsonObject]:
        """Those that are looked at one by one."""
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
    """The reports, each that counts no call with the reason as its first note; and why a baseline holds none."""
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
    """The reports, each whose saved filters hold a ``neq`` with how many calls have no value of that field."""
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
            f"{exact(n)} more calls have no value of {field_word(name)}, and neq may leave them out; "
            "`or` an isnull true counts them"
            for name, count in asked
            if count is not None and count.chart is not None and (n := _calls(count.chart))
        ]
        if count_notes:
            counted_reports[place] = counted_reports[place].model_copy(
                update={"notes": [*(counted_reports[place].notes or []), *count_notes]}
            )
    return counted_reports


def _neq_fields(reading: ChartReading) -> list[str]:
    """The fields that all calls of a chart have not a value of."""
    parts = [part for part in and_parts(reading.target.calls) if part.get("op") == "neq"]
    whole: JsonObject = {"operator": "and", "conditions": [*and_parts(reading.target.calls)]}
    alone = [*neq_alone(whole)]
    return [*dict.fromkeys(str(part["field"]) for part in parts if part in alone)]


async def _explain_baselines(
    context: ToolContext, sides: Sequence[ComparedReadings], reports: Sequence[WidgetReport], names: Mapping[str, str]
) -> list[WidgetReport]:
    """Why no other calls are there to compare with: which condition excludes them."""
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
    """Alike for the same calls, wherever they are charted."""
    return json.dumps([query.calls, str(query.window), query.project], sort_keys=True)


async def why_empty(context: ToolContext, query: CallsQuery, names: Mapping[str, str]) -> str:
    """Which condition excludes all calls, in words."""
    return _in_words(query, await _reason(context, query), None, names)


async def _reason(context: ToolContext, query: CallsQuery) -> str | _Counts | None:
    """Found out by counting calls under each condition alone; None if that cannot be."""
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
        return f"there are no calls at all in this window: {LONGER}"
    if reason.matching:
        value = "this metric" if plotted == METRIC_VALUE else field_word(plotted) if plotted else "what is plotted"
        return f"{exact(reason.matching)} calls match, and none of them has a value of {value}"
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
    one_by_one = f"each of these conditions alone holds some of the {exact(reason.every)} calls in this window"
    return f"{one_by_one}, all together none"


def _agents_in(conditions: Sequence[JsonObject]) -> set[int]:
    """The agents that conditions ask for by id."""
    agents = set[int]()
    for condition in conditions:
        if condition.get("field") in AGENT_IDS and condition.get("op") in {"eq", "in"}:
            values = as_list(condition.get("value")) or [condition.get("value")]
            agents |= {int(value) for value in values if str(value).isdecimal()}
    return agents


def _foreign_agents(conditions: Sequence[JsonObject], agents: Mapping[int, Agent], project: int | None) -> str | None:
    """What is wrong with agents that are asked for, if none of those in a condition can have calls here."""
    for condition in conditions:
        ids = sorted(_agents_in([condition]))
        descriptions = [_foreign_agent(number, agents.get(number), project) for number in ids]
        if descriptions and all(descriptions):
            return "; ".join(text for text in descriptions[:MAX_VALUES] if text)
    return None


def _foreign_agent(number: int, agent: Agent | None, project: int | None) -> str | None:
    if agent is None:
        return f"this key sees no agent {number} (look_up agents lists them)"
    if project is None or agent.project in {None, project}:
        return None
    where = f"agent {number} {named(agent.name)} is in project {agent.project}"
    return f"{where}, and these are the calls of project {project}"


async def _count_calls(context: ToolContext, query: CallsQuery) -> _Counts:
    """One request for each count, all at once.

    Raises:
        DashboardsError: the first of those that failed.
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
    """A label as it is compared: without what it is quoted with."""
    return NULL if label is None else unquoted(label)


def _target(query: CallsQuery, filters: JsonObject | None, labels_of: str | None = None) -> Target:
    """A count of calls, or of the labels of a field, without the dashboard and its filters."""
    config = WidgetConfig(chart_type="pie" if labels_of else "stat", field=labels_of)
    return Target(config, {}, query.dashboard, query.project, window=query.window, extra=filters or None, alone=True)


def _labels_in(condition: JsonObject) -> set[str] | None:
    """The labels that a condition asks for; None for one whose field or operator has no list of them."""
    if condition.get("op") not in {"eq", "in"} or plotted_type(str(condition.get("field"))) not in LABELLED:
        return None
    values = as_list(condition.get("value")) or [condition.get("value")]
    return {_plain(label_of(value, {})) for value in values}
