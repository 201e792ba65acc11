"""Why a chart holds no call: which of its conditions excludes them all, or that there are none at all."""

import json
from collections.abc import Mapping, Sequence

from msgspec import Struct, field

from cekura_dashboards.answers.comparison import SidesRead
from cekura_dashboards.answers.report import ALL_CALLS, WidgetReport, field_word
from cekura_dashboards.api.chart_data import Chart
from cekura_dashboards.api.errors import DashboardsError, UnreadableAnswer
from cekura_dashboards.api.fields import METRIC_VALUE, plotted_type
from cekura_dashboards.api.filter_words import in_words
from cekura_dashboards.api.filters import AGENT_IDS, OTHER_SCORE, and_parts, both, fields_of, neq_alone, wants_pass
from cekura_dashboards.api.models import Agent, JsonObject, WidgetConfig, as_list
from cekura_dashboards.charts.fetch import read_charts
from cekura_dashboards.charts.rows import label_of, pie_slices, stat_figures
from cekura_dashboards.charts.target import ChartReading, Target
from cekura_dashboards.charts.window import Window
from cekura_dashboards.concurrency import together
from cekura_dashboards.context import ToolContext
from cekura_dashboards.insight.numbers import exact
from cekura_dashboards.text import listed, named, nearest, unquoted

MOST_CONDITIONS, MOST_EXPLAINED = 6, 3
"""Conditions that are looked at one by one, and empty charts of one answer that are explained so."""
MOST_VALUES = 6
LONGER = "try a longer window"
NULL = "null"
LABELLED = {"string", "boolean"}
"""Types of fields whose values a pie counts."""


class Asked(Struct, frozen=True):
    """Which calls were asked for: in this window, of this project, under all of these conditions."""

    calls: JsonObject
    window: Window
    project: int | None = None
    dashboard: int | None = None

    @classmethod
    def of(cls, reading: ChartReading) -> "Asked":
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


async def explained(
    context: ToolContext, sides: Sequence[SidesRead], reports: Sequence[WidgetReport], names: Mapping[str, str]
) -> list[WidgetReport]:
    """The reports, each that counts no call with the reason as its first note; and why a baseline holds none."""
    readings = [pair.current for pair in sides]
    reports = await _baselines_explained(context, sides, reports, names)
    reports = await _left_out_counted(context, readings, reports)
    empty = {
        place: Asked.of(reading)
        for place, (reading, report) in enumerate(zip(readings, reports, strict=True))
        if report.n == 0 and report.error is None
    }
    distinct = {_key(asked): asked for asked in empty.values()}
    looked_at = [*distinct][:MOST_EXPLAINED]
    reasons = dict(zip(looked_at, await together(*(_reason(context, distinct[key]) for key in looked_at)), strict=True))
    found = [*reports]
    for place, asked in empty.items():
        said = _in_words(asked, reasons.get(_key(asked)), readings[place].target.config.field, names)
        found[place] = reports[place].model_copy(update={"notes": [said, *(reports[place].notes or [])]})
    return found


async def _left_out_counted(
    context: ToolContext, readings: Sequence[ChartReading], reports: Sequence[WidgetReport]
) -> list[WidgetReport]:
    """The reports, each whose saved filters hold a ``neq`` with how many calls have no value of that field."""
    wanted = dict[tuple[str, str], Target]()
    for reading in readings:
        for name in _neq_fields(reading) if reading.error is None else ():
            rest = [part for part in and_parts(reading.target.calls) if name not in {*fields_of(part)}]
            missing = both(*rest, {"field": name, "op": "isnull", "value": True})
            wanted[_key(Asked.of(reading)), name] = _target(Asked.of(reading), missing)
    if not wanted:
        return [*reports]
    wanted = dict([*wanted.items()][:MOST_EXPLAINED])
    counts = dict(zip(wanted, await read_charts(context, [*wanted.values()]), strict=True))
    found = [*reports]
    for place, reading in enumerate(readings):
        asked = [(name, counts.get((_key(Asked.of(reading)), name))) for name in _neq_fields(reading)]
        told = [
            f"{exact(n)} more calls have no value of {field_word(name)}, and neq may leave them out; "
            "`or` an isnull true counts them"
            for name, count in asked
            if count is not None and count.chart is not None and (n := _calls(count.chart))
        ]
        if told:
            found[place] = found[place].model_copy(update={"notes": [*(found[place].notes or []), *told]})
    return found


def _neq_fields(reading: ChartReading) -> list[str]:
    """The fields that all calls of a chart have not a value of."""
    parts = [part for part in and_parts(reading.target.calls) if part.get("op") == "neq"]
    whole: JsonObject = {"operator": "and", "conditions": [*and_parts(reading.target.calls)]}
    alone = [*neq_alone(whole)]
    return [*dict.fromkeys(str(part["field"]) for part in parts if part in alone)]


async def _baselines_explained(
    context: ToolContext, sides: Sequence[SidesRead], reports: Sequence[WidgetReport], names: Mapping[str, str]
) -> list[WidgetReport]:
    """Why no other calls are there to compare with: which condition excludes them."""
    empty = [
        (place, pair.baseline)
        for place, (pair, report) in enumerate(zip(sides, reports, strict=True))
        if pair.asked.filters and pair.baseline and report.comparison and pair.has_empty_baseline(names)
    ][:MOST_EXPLAINED]
    reasons = await together(*(why_none(context, Asked.of(reading), names) for _, reading in empty))
    found = [*reports]
    for (place, _), reason in zip(empty, reasons, strict=True):
        if (held := found[place].comparison) is not None:
            why = f"no calls match in the baseline: {reason}"
            found[place] = found[place].model_copy(update={"comparison": held.model_copy(update={"not_compared": why})})
    return found


def _key(asked: Asked) -> str:
    """Alike for the same calls, wherever they are charted."""
    return json.dumps([asked.calls, str(asked.window), asked.project], sort_keys=True)


async def why_none(context: ToolContext, asked: Asked, names: Mapping[str, str]) -> str:
    """Which condition excludes all calls, in words."""
    return _in_words(asked, await _reason(context, asked), None, names)


async def _reason(context: ToolContext, asked: Asked) -> str | _Counts | None:
    """Found out by counting calls under each condition alone; None if that cannot be."""
    conditions = asked.conditions
    try:
        agents = {agent.id: agent for agent in await context.lookups.agents()} if _agents_in(conditions) else {}
        return _strangers(conditions, agents, asked.project) or await _counted(context, asked)
    except DashboardsError:
        return None


def _in_words(asked: Asked, reason: str | _Counts | None, plotted: str | None, names: Mapping[str, str]) -> str:
    """``plotted``: the field whose values are missing."""
    if isinstance(reason, str):
        return reason
    if reason is None:
        where = in_words(asked.calls, names) if asked.calls else ALL_CALLS
        return f"no calls with a value where {where}: the window may hold none, or a condition excludes them all"
    if not reason.every:
        return f"there are no calls at all in this window: {LONGER}"
    if reason.matching:
        value = "this metric" if plotted == METRIC_VALUE else field_word(plotted) if plotted else "what is plotted"
        return f"{exact(reason.matching)} calls match, and none of them has a value of {value}"
    for place, (condition, alone) in enumerate(zip(asked.conditions, reason.alone, strict=True)):
        if alone:
            continue
        said = f"none of the {exact(reason.every)} calls in this window has {in_words(condition, names)}"
        if wants_pass(condition):
            return f"{OTHER_SCORE}; {said}"
        values = reason.values.get(place, {})
        labels = sorted((label for label in values if label != NULL), key=lambda label: (-values[label], label))
        near = [nearest(wanted, labels) for wanted in sorted(_wanted_labels(condition) or ())]
        meant = next((f"; did you mean {named(label)}?" for label in near if label), "")
        return f"{said}{meant}; values that occur: {listed(map(named, labels), limit=MOST_VALUES)}" if labels else said
    one_by_one = f"each of these conditions alone holds some of the {exact(reason.every)} calls in this window"
    return f"{one_by_one}, all together none"


def _agents_in(conditions: Sequence[JsonObject]) -> set[int]:
    """The agents that conditions ask for by id."""
    wanted = set[int]()
    for condition in conditions:
        if condition.get("field") in AGENT_IDS and condition.get("op") in {"eq", "in"}:
            values = as_list(condition.get("value")) or [condition.get("value")]
            wanted |= {int(value) for value in values if str(value).isdecimal()}
    return wanted


def _strangers(conditions: Sequence[JsonObject], agents: Mapping[int, Agent], project: int | None) -> str | None:
    """What is wrong with agents that are asked for, if none of those in a condition can have calls here."""
    for condition in conditions:
        wanted = sorted(_agents_in([condition]))
        told = [_stranger(number, agents.get(number), project) for number in wanted]
        if told and all(told):
            return "; ".join(text for text in told[:MOST_VALUES] if text)
    return None


def _stranger(number: int, agent: Agent | None, project: int | None) -> str | None:
    if agent is None:
        return f"this key sees no agent {number} (look_up agents lists them)"
    if project is None or agent.project in {None, project}:
        return None
    where = f"agent {number} {named(agent.name)} is in project {agent.project}"
    return f"{where}, and these are the calls of project {project}"


async def _counted(context: ToolContext, asked: Asked) -> _Counts:
    """One request for each count, all at once.

    Raises:
        DashboardsError: the first of those that failed.
    """
    labelled = [_wanted_labels(condition) for condition in asked.conditions]
    targets = [_target(asked, None), _target(asked, asked.calls)]
    for condition, wanted in zip(asked.conditions, labelled, strict=True):
        targets.append(_target(asked, condition) if wanted is None else _target(asked, None, str(condition["field"])))
    charts = list[Chart]()
    for reading in await read_charts(context, targets):
        if reading.chart is None:
            raise reading.error or UnreadableAnswer("a count of calls is missing")
        charts.append(reading.chart)
    every, matching = (_calls(chart) for chart in charts[:2])
    alone, values = list[float](), dict[int, dict[str, float]]()
    for place, (chart, wanted) in enumerate(zip(charts[2:], labelled, strict=True)):
        if wanted is None:
            alone.append(_calls(chart))
            continue
        values[place] = {_plain(piece.label): piece.value for piece in pie_slices(chart, {})}
        alone.append(sum(n for label, n in values[place].items() if label in wanted))
    return _Counts(every, matching, alone, values)


def _calls(stat: Chart) -> float:
    return stat_figures(stat)[0].get("total_calls") or 0.0


def _plain(label: str | None) -> str:
    """A label as it is compared: without what it is quoted with."""
    return NULL if label is None else unquoted(label)


def _target(asked: Asked, filters: JsonObject | None, labels_of: str | None = None) -> Target:
    """A count of calls, or of the labels of a field, without the dashboard and its filters."""
    config = WidgetConfig(chart_type="pie" if labels_of else "stat", field=labels_of)
    return Target(config, {}, asked.dashboard, asked.project, window=asked.window, extra=filters or None, alone=True)


def _wanted_labels(condition: JsonObject) -> set[str] | None:
    """The labels that a condition asks for; None for one whose field or operator has no list of them."""
    if condition.get("op") not in {"eq", "in"} or plotted_type(str(condition.get("field"))) not in LABELLED:
        return None
    values = as_list(condition.get("value")) or [condition.get("value")]
    return {_plain(label_of(value, {})) for value in values}
