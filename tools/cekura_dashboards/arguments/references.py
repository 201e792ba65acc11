"""References to dashboards, widgets, projects, agents and metrics by id or name; and metrics sent as fields."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Annotated, Any

from msgspec import Struct

from cekura_dashboards.api.errors import DashboardsError, Fault, InvalidArguments, UnknownField
from cekura_dashboards.api.filters import METRIC_ID, json_shape
from cekura_dashboards.api.models import (
    CHART_TYPES,
    FILTERED,
    METRIC_COMBINATIONS,
    METRIC_VALUE,
    PLOTTED,
    Agent,
    Alert,
    JsonObject,
    Metric,
    Widget,
)
from cekura_dashboards.context import ToolContext, gather_all, gather_by_id
from cekura_dashboards.text import UntrustedText, clean, join_names, json_text, named, nearest, word
from cekura_dashboards.tool import EntityKind, Reference

MAX_READ = 1000
"""Maximum dashboards searched for a name."""
MAX_NAMES = 6
LONGEST = 200
"""Characters of a name: a longer one is neither written in place of an id nor matched."""
MAX_PROJECTS = 20
"""Maximum projects whose metrics are searched for a name."""
STAND_IN = -(2**61)
"""Placeholder for a name until it is looked up; below every possible id."""
LISTING_TOOL = {
    "dashboard": "list_dashboards shows them",
    "widget": "get_dashboard lists a dashboard's widgets",
    "project": "look_up projects lists them",
    "agent": "look_up agents lists them",
    "metric": "look_up metrics lists them",
    "alert": "look_up alerts lists them",
}
_NUMBER = re.compile(r"\d{1,18}")
"""An id. A longer run of digits is a name."""
_NUMBERED = re.compile(r"(.*) \((\d{1,18})\)", re.DOTALL)


DashboardId = Annotated[int, Reference("dashboard")]
WidgetId = Annotated[int, Reference("widget")]
ProjectId = Annotated[int, Reference("project")]
AgentId = Annotated[int, Reference("agent")]
MetricId = Annotated[int, Reference("metric")]
AlertId = Annotated[int, Reference("alert")]


class GivenName(Struct, frozen=True):
    """A name given in place of an id. ``path``: its location, for people."""

    kind: EntityKind
    text: str
    path: str


class _Scope(Struct, frozen=True):
    """Where to look for a name; None: everywhere."""

    dashboard: int | None = None
    project: int | None = None


async def names_of(
    context: ToolContext, kind: EntityKind, *, dashboard: int | None = None, project: int | None = None
) -> dict[int, str]:
    """Names by id; of a thousand dashboards or widgets at most."""
    return await _READ[kind](context, _Scope(dashboard, project))


def number_or_name(text: str) -> int | str:
    """An id if the text is a number, else the text as a name.

    >>> number_or_name(" 12 "), number_or_name("Booking"), number_or_name("1" * 5000) == "1" * 5000
    (12, 'Booking', True)
    """
    return int(text) if _NUMBER.fullmatch(text.strip()) else text


def id_of(text: str, names: Mapping[int, str]) -> int | None:
    """The id of that name, or the id itself; None if no or several things have it.

    >>> id_of("booking", {12: "Booking"}), id_of("12", {12: "Booking"}), id_of("Sales", {12: "Booking"})
    (12, 12, None)
    """
    number = number_or_name(text)
    if isinstance(number, int) and number in names:
        return number
    ids = _matching(text, names)
    return ids[0] if len(ids) == 1 else None


def name_or_id(number: int, names: Mapping[int, str]) -> str | int:
    r"""The name of an id, which ``id_of`` reads back; with the id where several have the same name.

    The id alone if the name cannot be shown, or could be read as another id.

    >>> names = {1: "Same", 2: "Same", 3: "Booking", 4: "33", 5: "a\nb"}
    >>> [name_or_id(number, names) for number in names]
    ['Same (1)', 'Same (2)', 'Booking', 4, 5]
    """
    name = names[number]
    if name.strip().isdecimal() or clean(name, limit=LONGEST) != name:
        return number
    return name if id_of(name, names) == number else f"{name} ({number})"


async def ids_of(context: ToolContext, names: Mapping[int, GivenName], request: Any) -> dict[int, int]:
    """The id of each name, by its placeholder: dashboards and projects first, then the others in their scope.

    Raises:
        InvalidArguments: for unknown names, with the nearest, and ambiguous ones, with their ids.
    """
    outer = {key: name for key, name in names.items() if name.kind in {"dashboard", "project"}}
    ids = await _resolve(context, outer, _Scope())
    inner = {key: name for key, name in names.items() if key not in outer}
    return ids | await _resolve(context, inner, await _scope(context, inner, request, ids))


async def _scope(context: ToolContext, names: Mapping[int, GivenName], request: Any, ids: Mapping[int, int]) -> _Scope:
    """The dashboard in the request and its project, or the project in the request."""

    def argument(name: str) -> int | None:
        value: int | None = getattr(request, name, None)
        return ids.get(value, value) if value is not None else None

    dashboard, project, widget = argument("dashboard_id"), argument("project_id"), argument("widget_id")
    if project is None and {name.kind for name in names.values()} & {"agent", "metric"}:
        if dashboard is None and widget is not None and widget > 0:
            dashboard = (await context.lookups.widget(widget)).dashboard
        project = context.settings.project_id
        if dashboard is not None:
            project = (await context.lookups.dashboard(dashboard)).project
    return _Scope(dashboard, project)


async def _resolve(context: ToolContext, names: Mapping[int, GivenName], scope: _Scope) -> dict[int, int]:
    kinds = [*dict.fromkeys(name.kind for name in names.values())]
    names_by_kind = dict(zip(kinds, await gather_all(_READ[kind](context, scope) for kind in kinds), strict=True))
    ids_by_stand_in, faults = dict[int, int](), dict[Fault, None]()
    for key, name in names.items():
        ids = _matching(name.text, names_by_kind[name.kind])
        if len(ids) == 1:
            ids_by_stand_in[key] = ids[0]
        else:
            places = await _places(context, name.kind, ids) if ids else {}
            faults[Fault(name.path, no_such(name.kind, name.text, names_by_kind[name.kind], places))] = None
    if faults:
        raise InvalidArguments([*faults], lead="Not found.")
    return ids_by_stand_in


def _matching(text: str, names: Mapping[int, str]) -> list[int]:
    """The ids of that name; failing that, ignoring case, or as printed. ``NAME (ID)`` means that id."""
    match = _NUMBERED.fullmatch(text.strip())
    if match and named(names.get(int(match[2]))) == named(match[1]):
        return [int(match[2])]
    exact = [number for number, name in names.items() if name == text]
    folded, printed = text.strip().casefold(), named(text)
    return (
        exact
        or [number for number, name in names.items() if name.strip().casefold() == folded]
        or [number for number, name in names.items() if named(name) == printed]
    )


async def _places(context: ToolContext, kind: EntityKind, ids: Sequence[int]) -> dict[int, str]:
    """Where each of several namesakes is: its project; for widgets the dashboard, or what they plot on the same one."""
    try:
        if kind != "widget":
            return {number: f"project {project}" for number, project in await _projects_of(context, kind)}
        widgets = [widget for widget in await context.lookups.all_widgets() if widget.id in ids]
        boards = {widget.dashboard for widget in widgets}
        if len(boards) == 1:
            return {widget.id: _plot(widget) for widget in widgets}
        names = await _dashboards(context, _Scope())
        return {w.id: f"dashboard {w.dashboard} {named(names.get(w.dashboard or 0))}" for w in widgets}
    except DashboardsError:
        return {}  # without them, only the ids are reported


def _plot(widget: Widget) -> str:
    chart = word(widget.chart_type, CHART_TYPES)
    return f"{chart} of {word(widget.field, PLOTTED)}" if widget.field else f"{chart}"


async def _projects_of(context: ToolContext, kind: EntityKind) -> Iterable[tuple[int, int]]:
    if kind == "dashboard":
        return (await context.lookups.projects_of_dashboards()).items()
    projects = [project.id for project in await context.lookups.projects()][:MAX_PROJECTS]
    records: Iterable[Agent | Alert | Metric] = (
        await context.lookups.agents()
        if kind == "agent"
        else await visible_alerts(context, None)
        if kind == "alert"
        else [metric for page in await gather_all(map(context.lookups.metrics, projects)) for metric in page]
    )
    return [(item.id, item.project) for item in records if item.project is not None]


def no_such(kind: EntityKind, text: str, names: Mapping[int, str], places: Mapping[int, str] | None = None) -> str:
    """Why a name is not a unique reference, with the ids of its namesakes or the nearest name.

    ``places``: where the namesakes are, as far as known.
    """
    ids = _matching(text, names)
    if ids:
        where = places or {}
        ids_text = join_names((f"{one} ({where[one]})" if one in where else str(one) for one in ids), limit=MAX_NAMES)
        return f"{len(ids)} {kind}s are called {named(text)}; give the id: {ids_text}."
    if near := similar_names(text, names.values()):
        offered = [f"{named(title)} ({number})" for number, title in names.items() if title in near][:MOST_OFFERED]
        return f"no {kind} {named(text)}; did you mean {' or '.join(offered)}?"
    is_field = kind == "metric" and text.strip().casefold() in PLOTTED
    return f"no {kind} {named(text)}{', which is a field' if is_field else ''}; {LISTING_TOOL[kind]}."


async def _dashboards(context: ToolContext, _scope: _Scope) -> dict[int, str]:
    names = dict[int, str]()
    async for rows in context.api.list_dashboards():
        names |= {row.id: row.name for row in rows if row.name}
        if len(names) >= MAX_READ:
            break
    return names


async def _widgets(context: ToolContext, scope: _Scope) -> dict[int, str]:
    if scope.dashboard is not None:
        dashboard = await context.lookups.dashboard(scope.dashboard)
        return {widget.id: widget.name for widget in dashboard.widgets if widget.name}
    return {widget.id: widget.name for widget in await context.lookups.all_widgets() if widget.name}


async def _projects(context: ToolContext, _scope: _Scope) -> dict[int, str]:
    return {project.id: project.name for project in await context.lookups.projects() if project.name}


async def _agents(context: ToolContext, scope: _Scope) -> dict[int, str]:
    return {agent.id: agent.name for agent in await context.lookups.agents(scope.project) if agent.name}


async def _metrics(context: ToolContext, scope: _Scope) -> dict[int, str]:
    """Of the project, or of all projects of the key."""
    projects = [scope.project] if scope.project else [project.id for project in await context.lookups.projects()]
    pages = await gather_all(context.lookups.metrics(number) for number in projects[:MAX_PROJECTS])
    return {metric.id: metric.name for page in pages for metric in page if metric.name}


async def _alerts(context: ToolContext, scope: _Scope) -> dict[int, str]:
    alerts = await visible_alerts(context, scope.project)
    return {alert.id: alert.name for alert in alerts if alert.name}


_READ = {
    "dashboard": _dashboards,
    "widget": _widgets,
    "project": _projects,
    "agent": _agents,
    "metric": _metrics,
    "alert": _alerts,
}


MOST_PROJECTS, MOST_OFFERED = 10, 3
SAYS_LITTLE = {
    "agent", "agents", "and", "average", "avg", "by", "call", "caller", "callers", "calls", "count", "customer",
    "customers", "in", "level", "mean", "median", "metric", "number", "of", "p50", "p95", "p99", "per", "rate",
    "rating", "score", "scores", "the", "time", "total", "user", "value", "values",
}  # fmt: skip
"""Words too common in names of measures to decide alone."""
SLIP = 0.8
"""Similarity from which a name counts as misspelled; 1 is equal."""
SHORTEST, SAME_STEM, SAME_SHARE = 3, 5, 0.6
"""Minimum letters of a part of a word; of the prefix that two forms of a word share, and its share of the shorter."""


def metrics_called(text: str, metrics: Iterable[Metric]) -> list[Metric]:
    """The metrics whose name matches a text."""
    named_metrics = [metric for metric in metrics if metric.name]
    names = matching_names(text, [metric.name or "" for metric in named_metrics])
    return [metric for metric in named_metrics if metric.name in names]


def similar_names(text: str, names: Collection[str]) -> set[str]:
    """The most similar name; failing that, those that the text is a part or another form of.

    >>> similar_names("sucess rate", ["Success rate", "Calls"]), similar_names("clinik", ["Northside Clinics"])
    ({'Success rate'}, {'Northside Clinics'})
    """
    match = nearest(text, names)
    return {match} if match else matching_names(text, names)


def matching_names(text: str, names: Iterable[str]) -> set[str]:
    """The names that match a text, by the strictest rule that finds any.

    A text close to a field's name means that field, unless it is part of a name here.

    >>> names = ["Customer satisfaction", "Response latency"]
    >>> [matching_names(text, names) for text in ("LATENCY", "satisfied", "csat", "custmer satisfaction")] == [
    ...     {"Response latency"}, {"Customer satisfaction"}, {"Customer satisfaction"}, {"Customer satisfaction"}]
    True
    >>> matching_names("total cost", names), matching_names("customer number", names)
    (set(), set())
    """
    query, by_fold = _folded(text), dict[str, set[str]]()
    for name in names:
        by_fold.setdefault(_folded(name), set()).add(name)
    by_fold.pop("", None)
    if not query or len(query) > LONGEST:
        return set()
    near_a_field = nearest(query, [*FILTERED, *PLOTTED]) is not None
    for fits in (str.__eq__, _is_part) if near_a_field else (str.__eq__, _is_part, _abbreviates, _has_words):
        if matches := [same for name, same in by_fold.items() if fits(query, name)]:
            return {name for same in matches for name in same}
    return set() if near_a_field else by_fold.get(nearest(query, by_fold) or "", set())


def with_similar_word(text: str, names: Iterable[str]) -> set[str]:
    """The names of which a word is the one most similar to a single misspelt word.

    >>> with_similar_word("latncy", ["Response latency", "Empathy"]), with_similar_word("cost", ["Response latency"])
    ({'Response latency'}, set())
    """
    by_word = dict[str, set[str]]()
    for name in names:
        for part in _folded(name).split():
            by_word.setdefault(part, set()).add(name)
    return by_word.get(nearest(_folded(text), by_word, cutoff=WORD_CUTOFF) or "", set())


WORD_CUTOFF = 0.8
"""Of a word: a letter or two may be wrong. A choice."""


def _folded(text: str) -> str:
    return " ".join(re.split(r"[\W_]+", text[: LONGEST + 1].casefold())).strip()


def _is_part(query: str, name: str) -> bool:
    return (len(query) >= SHORTEST and query in name) or f" {name} " in f" {query} "


def _abbreviates(query: str, name: str) -> bool:
    """Whether this abbreviates a name by the beginnings of all its words: ``csat``, customer satisfaction."""
    letters, words = query.replace(" ", ""), name.split()
    ends = {0}
    for own in words:
        ends = {end + length for end in ends for length in range(1, 1 + _shared(letters[end:], own))}
    return len(words) > 1 and len(letters) in ends


def _shared(one: str, other: str) -> int:
    """The length of the common prefix of two words."""
    return sum(1 for _ in takewhile(bool, map(str.__eq__, one, other)))


def _has_words(query: str, name: str) -> bool:
    """Whether every significant word is one of the name's, in part or in another form."""
    words = [word for word in query.split() if word not in SAYS_LITTLE]
    return bool(words) and all(any(_is_form(word, own) for own in name.split()) for word in words)


def _is_form(word: str, own: str) -> bool:
    shared = _shared(word, own)
    return shared >= SHORTEST and (
        shared == len(word) or shared >= max(SAME_STEM, SAME_SHARE * min(len(word), len(own)))
    )


def plotted(metric: Metric) -> JsonObject:
    """The arguments of a widget that plots a metric."""
    return {"field": METRIC_VALUE, "metric": metric.id}


def filtered(metric: Metric, op: str | None, value: Any) -> JsonObject:
    """A filter for a value of a metric."""
    conditions = [
        {"field": METRIC_ID, "op": "eq", "value": metric.id},
        {"field": METRIC_VALUE, "op": op or "eq", "value": "…" if value is None else value},
    ]
    return {"operator": "same_row", "conditions": conditions}


def titles(metrics: Sequence[Metric], *, with_charts: bool = False) -> list[str]:
    """``metric 504 "Sentiment" (enum)`` for each, with the project where there are several.

    ``with_charts``: with its chart types.
    """
    listed = metrics[:MOST_OFFERED]
    several = len({metric.project for metric in listed}) > 1
    return [
        f"metric {metric.id} {named(metric.name)}{_kind(metric, with_charts)}"
        + (f" of project {metric.project}" if several else "")
        for metric in listed
    ]


def _kind(metric: Metric, with_charts: bool) -> str:  # noqa: FBT001 - passed through
    if not metric.eval_type:
        return ""
    allowed = METRIC_COMBINATIONS.get(metric.eval_type) if with_charts else None
    charts = f", drawn as {' or '.join(allowed.charts)}" if allowed else ""
    return f" ({word(metric.eval_type, METRIC_COMBINATIONS)}{charts})"


async def visible_metrics(context: ToolContext, project: int | None) -> list[Metric]:
    """The metrics of a project, or of the first projects of the key.

    Raises:
        DashboardsError: if they cannot be read.
    """
    if project is not None:
        return await context.lookups.metrics(project)
    projects = [item.id for item in (await context.lookups.projects())[:MOST_PROJECTS]]
    metrics_by_project, unread = await gather_by_id(projects, context.lookups.metrics)
    for error in unread.values():
        raise error
    return [metric for number in projects for metric in metrics_by_project[number]]


async def visible_alerts(context: ToolContext, project: int | None) -> list[Alert]:
    """The alerts of a project, or of the first projects of the key.

    Raises:
        DashboardsError: if they cannot be read.
    """
    projects = [project] if project is not None else [item.id for item in (await context.lookups.projects())]
    pages = await gather_all(context.lookups.alerts(number) for number in projects[:MOST_PROJECTS])
    return [*{alert.id: alert for page in pages for alert in page}.values()]


async def with_metrics(context: ToolContext, error: InvalidArguments, raw: Mapping[str, Any]) -> InvalidArguments:
    """The same faults; where an unknown field is the name of a metric, with arguments for that metric."""
    if not any(item.unknown and not _is_slip(item.unknown.name) for item in error.faults):
        return error
    try:
        metrics = await visible_metrics(context, await _project(context, raw))
    except DashboardsError:
        return error  # the faults are reported without them
    return InvalidArguments([_with_offer(item, metrics) for item in error.faults], lead=error.lead, more=error.more)


def _is_slip(name: str) -> bool:
    """Whether this is a misspelled field name, which needs no request."""
    return nearest(name, [*FILTERED, *PLOTTED], cutoff=SLIP) is not None


async def _project(context: ToolContext, raw: Mapping[str, Any]) -> int | None:
    """The project of the ids in the arguments."""
    dashboard, widget = raw.get("dashboard_id"), raw.get("widget_id")
    if isinstance(raw.get("project_id"), int):
        return int(raw["project_id"])
    if dashboard is None and isinstance(widget, int):
        dashboard = (await context.lookups.widget(widget)).dashboard
    if isinstance(dashboard, int):
        return (await context.lookups.dashboard(dashboard)).project
    return context.settings.project_id


def _with_offer(item: Fault, metrics: Sequence[Metric]) -> Fault:
    matches = metrics_called(item.unknown.name, metrics) if item.unknown else []
    if item.unknown is None or not matches:
        return item
    message = f"{UntrustedText(item.unknown.name)} is not a field, but {_offer(item.unknown, matches)}."
    return item._replace(message=message, unknown=None)


def _offer(unknown: UnknownField, metrics: Sequence[Metric]) -> str:
    title = " or ".join(titles(metrics, with_charts=unknown.use == "plot"))
    if unknown.use == "plot":
        return f"there is {title}: {json_text(plotted(metrics[0]))}"
    if unknown.use == "list":
        pie = {"widget": {"chart_type": "pie", **plotted(metrics[0])}}
        return f"there is {title}; preview_widget shows its values: {json_text(pie)}"
    condition = json_shape(filtered(metrics[0], unknown.op, unknown.value))
    if unknown.use == "filter":
        return f"there is {title}: {condition}"
    return f"{title}, which cannot be grouped by; filter by its values: {condition}"
