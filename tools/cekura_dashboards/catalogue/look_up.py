"""List what exists: fields, values, metrics, agents, projects, ready-made widgets."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from cekura_dashboards.api.chart_data import number
from cekura_dashboards.api.errors import DashboardsError, Fault, InvalidArguments, UnknownField
from cekura_dashboards.api.filters import fault
from cekura_dashboards.api.models import (
    A_METRIC,
    COMBINATIONS,
    FILTERED,
    METRIC_COMBINATIONS,
    METRIC_VALUE,
    OF_CALL_LOGS,
    PLOTTED,
    Metric,
    WidgetConfig,
    as_list,
    is_metadata,
    no_such_measure,
    plotted_type,
)
from cekura_dashboards.arguments import shapes
from cekura_dashboards.arguments.alert import setting_text
from cekura_dashboards.arguments.references import (
    AgentId,
    ProjectId,
    matching_names,
    metrics_called,
    plotted,
    similar_names,
    titles,
    visible_alerts,
    visible_metrics,
    with_similar_word,
)
from cekura_dashboards.charts.calls import METRIC_LINK, read_metadata_keys
from cekura_dashboards.charts.read import read_charts
from cekura_dashboards.charts.target import format_instant, resolve, resolve_targets, unsaved
from cekura_dashboards.context import ToolContext, gather_by_id
from cekura_dashboards.reports.report import field_word
from cekura_dashboards.stats.findings import exact
from cekura_dashboards.text import UntrustedText, did_you_mean, json_text, nearest, plain, word
from cekura_dashboards.tool import ReadingTool, Request, Result

LookUpKind = Literal[
    "fields", "values", "topics", "metadata_keys", "metrics", "agents", "projects", "alerts", "predefined_widgets"
]
MAX_FIELDS = 6
ROWS_BUDGET = 6000
"""Maximum characters of rows; the rest is counted, and `search` finds it."""
MAX_PROJECTS = 10
NOT_MEASURED = "not measured by the API: unique callers, cost, hold time, medians of several groups combined"


class LookUpRequest(Request):
    kind: LookUpKind
    search: str | None = Field(default=None, description="part of the name")
    field: str | None = Field(default=None, description="of kind values: topic, call_ended_reason, metadata.KEY …")
    project_id: ProjectId | None = None
    agent_id: AgentId | None = None

    @model_validator(mode="after")
    def _field_for_values(self) -> "LookUpRequest":
        if self.kind == "values" and not self.fields:
            raise fault("field", "is missing; whose values? e.g. topic, call_ended_reason, metadata.region.")
        if len(self.fields) > MAX_FIELDS:
            raise fault("field", f"names {len(self.fields)} fields; at most {MAX_FIELDS} at once.")
        return self

    @field_validator("field", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        items = as_list(value)
        return ", ".join(map(str, items)) if items is not None else value

    @property
    def fields(self) -> list[str]:
        """The fields whose values are requested, each once."""
        names = ["topic"] if self.kind == "topics" else (self.field or "").split(",")
        return [*dict.fromkeys(shapes.FILTER_FIELDS.get(name.strip(), name.strip()) for name in names if name.strip())]


class LookUpResult(Result):
    BOUND = "at most 6,000 characters of rows"

    kind: LookUpKind
    columns: list[str]
    rows: list[list[Any]]
    total: int = Field(description="matching rows, shown or not")


async def run(context: ToolContext, request: LookUpRequest) -> LookUpResult:
    context.lookups.forget()  # a lookup returns the current state, not a cached one
    columns, rows, notes = await _SOURCES[request.kind](context, request)
    if request.search:
        rows, more = await _search_rows(context, request, request.search, rows)
        notes = [*notes, *more]
    rows_kept, used = list[list[Any]](), 0
    for row in rows:
        used += len(_line(row)) + 1
        if used > ROWS_BUDGET:
            notes = [*notes, f"{len(rows) - len(rows_kept)} more omitted; narrow with search"]
            break
        rows_kept.append(row)
    return LookUpResult(kind=request.kind, columns=columns, rows=rows_kept, total=len(rows), notes=notes or None)


async def _search_rows(
    context: ToolContext, request: LookUpRequest, search: str, rows: list[list[Any]]
) -> tuple[list[list[Any]], list[str]]:
    """The rows that match, or if none contains the text, those with similar names; and notes."""
    wanted = search.casefold()
    if matches := [row for row in rows if any(wanted in str(cell).casefold() for cell in row[:2])]:
        return matches, []
    similar = matching_names if request.kind == "metrics" else similar_names
    all_names = [name for row in rows for name in _names(row)]
    names = similar(search, all_names) or with_similar_word(search, all_names)
    if near := [row for row in rows if names & {*_names(row)}]:
        return near, [f"none contains {UntrustedText(search)}; these are similar"]
    none = f"no match for {UntrustedText(search)}" + ("; without search all are listed" if rows else "")
    if request.kind == "fields" and (metrics := await _metrics_called(context, request, search)):
        shown = titles(metrics, with_charts=True)
        ready = [f"{title}: {json_text(plotted(metric))}" for title, metric in zip(shown, metrics, strict=False)]
        return [], [f"{UntrustedText(search)} is a metric, not a field", *ready]
    if request.kind == "fields" and (field := nearest(search, [row[0] for row in rows])):
        return [row for row in rows if row[0] == field], [f"none contains {UntrustedText(search)}; this is similar"]
    hint = no_such_measure(search)
    notes = (
        [f"{UntrustedText(search)}: {hint}"] if hint and not (request.kind == "metrics" and A_METRIC in hint) else []
    )
    return [], [*notes, none]


async def _metrics_called(context: ToolContext, request: LookUpRequest, search: str) -> list[Metric]:
    """The metrics of that name; empty if they cannot be read, because the request was for fields."""
    try:
        known = await visible_metrics(context, request.project_id or context.settings.project_id)
    except DashboardsError:
        return []
    return metrics_called(search, known)


Table = tuple[list[str], list[list[Any]], list[str]]


async def _fields(_context: ToolContext, _request: LookUpRequest) -> Table:
    rows = list[list[Any]]()
    for name, kind in [*PLOTTED.items(), ("metadata.KEY", "string")]:
        allowed = COMBINATIONS.get(kind)
        charts = " ".join(allowed.charts) if allowed else "by metric"
        rows.append([name, kind, charts, " ".join(allowed.aggregations) if allowed else "by metric"])
    metric = "; ".join(f"{kind} metric: {' '.join(c.charts)}" for kind, c in METRIC_COMBINATIONS.items())
    only_filtered = [name for name in FILTERED if name not in {*PLOTTED, *OF_CALL_LOGS}]
    return (
        ["field", "type", "charts", "bar aggregations"],
        rows,
        [
            "stat plots no field: calls, success rate, average duration, p95 latency",
            f"{METRIC_VALUE} needs a metric id; {metric}",
            NOT_MEASURED,
            f"filters also take {', '.join(only_filtered)}; group_by takes agent.id, strings and metadata.KEY",
        ],
    )


async def _values(context: ToolContext, request: LookUpRequest) -> Table:
    """The values that occur, counted by the API as pies over the last 30 days."""
    for name in request.fields:
        _check_values(name)
    scope = await _agent_scope(context, request)
    pies = [WidgetConfig(chart_type="pie", field=name, filters=scope) for name in request.fields]
    targets = resolve_targets([unsaved(pie, None) for pie in pies], "30d", None, context.now(), context.settings.zone)
    readings = await read_charts(context, targets)
    for reading in readings:
        if reading.error:
            raise reading.error
    several = len(readings) > 1
    rows = [
        [*([field_word(name)] if several else []), _text(row.label), _count(row.value)]
        for name, reading in zip(request.fields, readings, strict=True)
        for row in (reading.chart.rows if reading.chart else [])
    ]
    notes = {note: None for reading in readings for note in reading.notes if "project" in note and not scope}
    for name, reading in zip(request.fields, readings, strict=True):
        labels = [row.label for row in (reading.chart.rows if reading.chart else [])]
        if is_metadata(name) and not any(label is not None for label in labels):
            notes[f"no call has {UntrustedText(name)}; look_up metadata_keys lists the keys that occur"] = None
    window = f"{format_instant(readings[0].window.start)} to {format_instant(readings[0].window.end)}"
    return [*(["field"] if several else []), "value", "calls"], rows, [f"calls from {window}", *notes]


def _check_values(name: str) -> None:
    """Refuse a field without a list of values, and say what to use instead.

    Raises:
        InvalidArguments: for such a field.
    """
    kind = plotted_type(name)
    if name in {"agent.id", "agent_id", "agent.agent_name"}:
        raise InvalidArguments.at("field", "agents are listed by kind agents.")
    if name == METRIC_VALUE:
        raise InvalidArguments.at("field", "values of a metric: preview_widget with chart_type pie and the metric id.")
    if kind is None:
        hint = no_such_measure(name) or did_you_mean(name, [*PLOTTED, "metadata.KEY"])
        raise InvalidArguments(
            [Fault("field", f"{UntrustedText(name)} is not a field; {hint}", unknown=UnknownField(name, "list"))]
        )
    if kind not in {"string", "boolean"}:
        raise InvalidArguments.at(
            "field", f"{name} is {kind}; it has no list of values. preview_widget shows its distribution."
        )


async def _metadata_keys(context: ToolContext, request: LookUpRequest) -> Table:
    """The keys in widgets and in a page of calls, most frequent first."""
    project = request.project_id or context.settings.project_id
    if project is None:
        projects = await context.lookups.projects()
        project = projects[0].id if len(projects) == 1 else None
    window = resolve("7d", context.now(), context.settings.zone)
    keys = await read_metadata_keys(context, project, window)
    rows = [
        [UntrustedText(key.field), key.widgets, key.calls if keys.have_metadata else None, _examples(key.values)]
        for key in keys.keys
    ]
    notes = [*keys.notes]
    if project is None:
        notes.append("calls are read in one project only: give project_id")
    elif keys.have_metadata:
        notes.append(f"calls: of the newest {keys.calls_read}; the values are examples, look_up values counts them")
    elif keys.calls_read:
        notes.append("calls are listed without their metadata here, so only keys that widgets use are known")
    return ["key", "widgets", "calls", "values"], rows, notes


def _examples(values: Sequence[str]) -> UntrustedText | None:
    return UntrustedText(", ".join(values)) if values else None


async def _agent_scope(context: ToolContext, request: LookUpRequest) -> dict[str, Any] | None:
    if request.agent_id is not None:
        return {"field": "agent.id", "op": "eq", "value": request.agent_id}
    project = request.project_id or context.settings.project_id
    if project is None:
        return None
    agents = [agent.id for agent in await context.lookups.agents(project)]
    return {"field": "agent.id", "op": "in", "value": agents or [0]}


async def _metrics(context: ToolContext, request: LookUpRequest) -> Table:
    project = request.project_id or context.settings.project_id
    notes = list[str]()
    if request.agent_id is not None:
        metrics = await context.api.metrics(project_id=project, agent_id=request.agent_id)
    elif project is not None:
        metrics = await context.lookups.metrics(project)
    else:
        projects = await context.lookups.projects()
        metrics_by_project, unread = await gather_by_id(
            [item.id for item in projects[:MAX_PROJECTS]], context.lookups.metrics
        )
        for error in unread.values():
            raise error
        metrics = [metric for item in projects[:MAX_PROJECTS] for metric in metrics_by_project[item.id]]
        if len(projects) > MAX_PROJECTS:
            notes.append(f"metrics of the first {MAX_PROJECTS} of {len(projects)} projects; give project_id for others")
    unique = {metric.id: metric for metric in metrics}
    if unique:
        notes.append(f"a metric opens at {METRIC_LINK}")
    rows = [[m.id, _text(m.name), _kind(m), m.project] for m in unique.values()]
    return ["id", "name", "type", "project"], rows, notes


def _count(value: Any) -> float | int | None:
    count = number(value)
    return None if count is None else exact(count)


def _kind(metric: Metric) -> str | None:
    return word(metric.eval_type, METRIC_COMBINATIONS) if metric.eval_type else None


async def _agents(context: ToolContext, request: LookUpRequest) -> Table:
    project = request.project_id or context.settings.project_id
    agents = await context.lookups.agents(project)
    return ["id", "name", "project"], [[a.id, _text(a.name), a.project] for a in agents], []


async def _projects(context: ToolContext, _request: LookUpRequest) -> Table:
    rows = [[p.id, _text(p.name), _text(p.timezone), p.sample_rate] for p in await context.lookups.projects()]
    return ["id", "name", "time zone", "sample rate"], rows, []


async def _alerts(context: ToolContext, request: LookUpRequest) -> Table:
    alerts = await visible_alerts(context, request.project_id or context.settings.project_id)
    rows = [[a.id, _text(a.name), a.project, a.source_id, setting_text(a), a.enabled is not False] for a in alerts]
    return ["id", "name", "project", "metric", "setting", "on"], rows, []


async def _predefined(context: ToolContext, _request: LookUpRequest) -> Table:
    widgets = await context.api.predefined_widgets()
    return ["name", "widget"], [[_text(w.name), w.definition()] for w in widgets], []


def _names(row: Sequence[Any]) -> list[str]:
    """The names by which a search finds a row."""
    return [cell[:].removeprefix("metadata.") for cell in row[:2] if isinstance(cell, UntrustedText)]


def _text(value: Any) -> Any:
    return UntrustedText(value) if isinstance(value, str) else value


_SOURCES = {
    "fields": _fields,
    "values": _values,
    "topics": _values,
    "metadata_keys": _metadata_keys,
    "metrics": _metrics,
    "agents": _agents,
    "projects": _projects,
    "alerts": _alerts,
    "predefined_widgets": _predefined,
}


def render(result: LookUpResult) -> str:
    lines = [f"{result.kind} ({', '.join(result.columns)}), {result.total} in all"]
    lines += [_line(row, none="-" if result.kind == "metadata_keys" else "null") for row in result.rows]
    return "\n".join(lines)


def _line(row: list[Any], *, none: str = "null") -> str:
    """``none``: the text for a missing value; null for labels."""
    return " | ".join(none if cell is None else plain(cell) for cell in row)


TOOL = ReadingTool(
    name="look_up",
    title="Look up what exists",
    description=(
        "Which agents, metrics, topics, projects, fields, metadata keys, alerts, ready-made widgets are "
        "there, available? What is it called? List, exact names, ids, possible values that a field can "
        "have, to filter or group by."
    ),
    request=LookUpRequest,
    result=LookUpResult,
    run=run,
    render=render,
)
