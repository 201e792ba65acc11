"""Metrics of a project that are asked for as if they were fields: by name, a part of it, or an abbreviation."""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Any

from cekura_dashboards.api.errors import DashboardsError, Fault, InvalidArguments, UnknownField
from cekura_dashboards.api.fields import FILTERED, METRIC_COMBINATIONS, METRIC_VALUE, PLOTTED
from cekura_dashboards.api.filters import METRIC_ID, json_shape
from cekura_dashboards.api.models import JsonObject, Metric
from cekura_dashboards.concurrency import gather_by_id
from cekura_dashboards.context import ToolContext
from cekura_dashboards.text import UntrustedText, json_text, named, nearest, word

MOST_PROJECTS, MOST_OFFERED = 10, 3
SAYS_LITTLE = {
    "agent", "agents", "and", "average", "avg", "by", "call", "caller", "callers", "calls", "count", "customer",
    "customers", "in", "level", "mean", "median", "metric", "number", "of", "p50", "p95", "p99", "per", "rate",
    "rating", "score", "scores", "the", "time", "total", "user", "value", "values",
}  # fmt: skip
"""Words that stand beside the name of many a measure, and decide nothing alone."""
SLIP = 0.8
"""How near a name is that is certainly misspelled; 1 is the same."""
LONGEST = 200
"""Characters of a name that are looked at."""
SHORTEST, SAME_STEM, SAME_SHARE = 3, 5, 0.6
"""Letters of a part of a word; of the beginning that two forms of a word share, and their share of the shorter."""


def metrics_called(text: str, metrics: Iterable[Metric]) -> list[Metric]:
    """The metrics whose name a text means; none if it means no one's."""
    known = [metric for metric in metrics if metric.name]
    names = matching_names(text, [metric.name or "" for metric in known])
    return [metric for metric in known if metric.name in names]


def matching_names(text: str, names: Iterable[str]) -> set[str]:
    """The names that a text means, in the way that fits best; none if no way does.

    What is near a field's name means that field, unless it is a part of a name here.

    >>> known = ["Customer satisfaction", "Response latency"]
    >>> [matching_names(text, known) for text in ("LATENCY", "satisfied", "csat", "custmer satisfaction")] == [
    ...     {"Response latency"}, {"Customer satisfaction"}, {"Customer satisfaction"}, {"Customer satisfaction"}]
    True
    >>> matching_names("total cost", known), matching_names("customer number", known)
    (set(), set())
    """
    wanted, by_fold = _folded(text), dict[str, set[str]]()
    for name in names:
        by_fold.setdefault(_folded(name), set()).add(name)
    by_fold.pop("", None)
    if not wanted or len(wanted) > LONGEST:
        return set()
    near_a_field = nearest(wanted, [*FILTERED, *PLOTTED]) is not None
    for fits in (str.__eq__, _is_part) if near_a_field else (str.__eq__, _is_part, _abbreviates, _has_words):
        if matches := [same for name, same in by_fold.items() if fits(wanted, name)]:
            return {name for same in matches for name in same}
    return set() if near_a_field else by_fold.get(nearest(wanted, by_fold) or "", set())


def _folded(text: str) -> str:
    return " ".join(re.split(r"[\W_]+", text[: LONGEST + 1].casefold())).strip()


def _is_part(wanted: str, name: str) -> bool:
    return (len(wanted) >= SHORTEST and wanted in name) or f" {name} " in f" {wanted} "


def _abbreviates(wanted: str, name: str) -> bool:
    """``csat`` of ``customer satisfaction``: the beginnings of all its words."""
    letters, words = wanted.replace(" ", ""), name.split()
    ends = {0}
    for own in words:
        ends = {end + length for end in ends for length in range(1, 1 + _shared(letters[end:], own))}
    return len(words) > 1 and len(letters) in ends


def _shared(one: str, other: str) -> int:
    """How many letters two words begin with alike."""
    return sum(1 for _ in takewhile(bool, map(str.__eq__, one, other)))


def _has_words(wanted: str, name: str) -> bool:
    """Every word that says something is one of the name's, in part or in another form."""
    words = [word for word in wanted.split() if word not in SAYS_LITTLE]
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
    """The filter that asks for a value of a metric."""
    conditions = [
        {"field": METRIC_ID, "op": "eq", "value": metric.id},
        {"field": METRIC_VALUE, "op": op or "eq", "value": "…" if value is None else value},
    ]
    return {"operator": "same_row", "conditions": conditions}


def titles(metrics: Sequence[Metric], *, with_charts: bool = False) -> list[str]:
    """``metric 504 "Sentiment" (enum)`` of each, and of which project where there are several.

    ``with_charts``: and what it can be drawn as.
    """
    shown = metrics[:MOST_OFFERED]
    several = len({metric.project for metric in shown}) > 1
    return [
        f"metric {metric.id} {named(metric.name)}{_kind(metric, with_charts)}"
        + (f" of project {metric.project}" if several else "")
        for metric in shown
    ]


def _kind(metric: Metric, with_charts: bool) -> str:  # noqa: FBT001 - as it is handed on
    if not metric.eval_type:
        return ""
    allowed = METRIC_COMBINATIONS.get(metric.eval_type) if with_charts else None
    charts = f", drawn as {' or '.join(allowed.charts)}" if allowed else ""
    return f" ({word(metric.eval_type, METRIC_COMBINATIONS)}{charts})"


async def visible_metrics(context: ToolContext, project: int | None) -> list[Metric]:
    """The metrics of a project, or of the first that the key sees.

    Raises:
        DashboardsError: if they cannot be read.
    """
    if project is not None:
        return await context.lookups.metrics(project)
    projects = [item.id for item in (await context.lookups.projects())[:MOST_PROJECTS]]
    known, unread = await gather_by_id(projects, context.lookups.metrics)
    for error in unread.values():
        raise error
    return [metric for number in projects for metric in known[number]]


async def with_metrics(context: ToolContext, error: InvalidArguments, raw: Mapping[str, Any]) -> InvalidArguments:
    """The same faults; those about an unknown field that is a metric's name offer the metric, ready to hand on."""
    if not any(item.unknown and not _is_slip(item.unknown.name) for item in error.faults):
        return error
    try:
        metrics = await visible_metrics(context, await _project(context, raw))
    except DashboardsError:
        return error  # what is wrong is told without them
    return InvalidArguments([_with_offer(item, metrics) for item in error.faults], lead=error.lead, more=error.more)


def _is_slip(name: str) -> bool:
    """Whether this is a field's name with a letter or two wrong, for which nothing need be read."""
    return nearest(name, [*FILTERED, *PLOTTED], cutoff=SLIP) is not None


async def _project(context: ToolContext, raw: Mapping[str, Any]) -> int | None:
    """The project of what the arguments name by id."""
    dashboard, widget = raw.get("dashboard_id"), raw.get("widget_id")
    if isinstance(raw.get("project_id"), int):
        return int(raw["project_id"])
    if dashboard is None and isinstance(widget, int):
        dashboard = (await context.lookups.widget(widget)).dashboard
    if isinstance(dashboard, int):
        return (await context.lookups.dashboard(dashboard)).project
    return context.settings.project_id


def _with_offer(item: Fault, metrics: Sequence[Metric]) -> Fault:
    metrics_found = metrics_called(item.unknown.name, metrics) if item.unknown else []
    if item.unknown is None or not metrics_found:
        return item
    message = f"{UntrustedText(item.unknown.name)} is no field, but {_offer(item.unknown, metrics_found)}."
    return item._replace(message=message, unknown=None)


def _offer(unknown: UnknownField, metrics: Sequence[Metric]) -> str:
    title = " or ".join(titles(metrics, with_charts=unknown.use == "plot"))
    if unknown.use == "plot":
        return f"there is {title}: {json_text(plotted(metrics[0]))}"
    if unknown.use == "list":
        pie = {"widget": {"chart_type": "pie", **plotted(metrics[0])}}
        return f"there is {title}, whose values preview_widget shows: {json_text(pie)}"
    condition = json_shape(filtered(metrics[0], unknown.op, unknown.value))
    if unknown.use == "filter":
        return f"there is {title}: {condition}"
    return f"{title}, by which nothing is grouped; filter by its values: {condition}"
