"""Which field, chart and aggregation go together. Impossible ones are refused, unknown ones pass with a warning."""

from msgspec import Struct

from cekura_dashboards.api.errors import DashboardsError, Fault, KeyRejected
from cekura_dashboards.api.fields import (
    AGGREGATIONS,
    CHART_TYPES,
    COMBINATIONS,
    METRIC_COMBINATIONS,
    METRIC_VALUE,
    Combinations,
    plotted_type,
)
from cekura_dashboards.api.models import WidgetConfig
from cekura_dashboards.context import ToolContext
from cekura_dashboards.text import UntrustedText, one_of, word


class MetricTypes(Struct, frozen=True):
    """The metrics of a project: id to ``eval_type``."""

    project: int
    types: dict[int, str | None]


async def metric_types(
    context: ToolContext, project: int | None, *configs: WidgetConfig
) -> tuple[MetricTypes | None, list[str]]:
    """The types of a project's metrics; None where none is plotted, no project is known, or they cannot be read.

    That they cannot be is told.

    Raises:
        KeyRejected: when nothing else can be read either.
    """
    if project is None or not any(config.field == METRIC_VALUE for config in configs):
        return None, []
    try:
        metrics = await context.lookups.metrics(project)
    except KeyRejected:
        raise
    except DashboardsError:
        text = f"the metrics of project {project} could not be read, so whether the chart fits is the API's to say"
        return None, [text]
    return MetricTypes(project, {metric.id: metric.eval_type for metric in metrics}), []


def check(config: WidgetConfig, path: str, metrics: MetricTypes | None = None) -> list[Fault]:
    """What makes this configuration impossible, with what is possible instead."""
    chart, field = config.chart_type, config.field or ""
    if chart not in CHART_TYPES:
        return []
    if chart == "stat":
        return [Fault(f"{path}field", "a stat plots no field; leave it empty.")] if field else []
    if not field:
        return [Fault(f"{path}field", f"is missing; a {chart} plots one, such as duration, success or topic.")]
    if field == METRIC_VALUE and config.metric is None:
        return [Fault(f"{path}metric", f"is missing; {METRIC_VALUE} needs a metric id (look_up metrics).")]
    faults = list[Fault]()
    if chart == "bar":
        faults += [
            Fault(f"{path}{name}", f"is missing; a bar needs one: {choices}.")
            for name, choices in (("aggregation_function", "count, sum, avg, min, max, p50, p95, p99"),
                                  ("time_period", "hour, day, week, month"))
            if not getattr(config, name)
        ]  # fmt: skip
    if field == METRIC_VALUE and metrics is not None and config.metric not in metrics.types:
        text = f"no metric {config.metric} in project {metrics.project}; look_up metrics lists them."
        return [*faults, Fault(f"{path}metric", text)]
    return [*faults, *_impossible(config, path, metrics)]


def _impossible(config: WidgetConfig, path: str, metrics: MetricTypes | None) -> list[Fault]:
    kind, allowed = combinations(config, metrics)
    if allowed is None:
        return []
    chart, function = config.chart_type, config.aggregation_function
    if chart not in allowed.charts:
        return [Fault(f"{path}chart_type", f"{kind} is drawn as {one_of(allowed.charts)}, not {chart}.")]
    if chart == "bar" and function and function not in allowed.aggregations:
        text = f"{kind} is aggregated by {one_of(allowed.aggregations)}, not {word(function, AGGREGATIONS)}."
        return [Fault(f"{path}aggregation_function", text)]
    return []


def doubts(config: WidgetConfig, path: str, metrics: MetricTypes | None) -> list[str]:
    """Warnings of what is not documented: the API may or may not take it."""
    if config.field and plotted_type(config.field) is None:
        return [f"{path}field: {UntrustedText(config.field)} is not documented; the API decides"]
    if config.field != METRIC_VALUE or metrics is None or config.metric not in metrics.types:
        return []
    kind = metrics.types[config.metric]
    if kind in METRIC_COMBINATIONS:
        return []
    what = f"a metric of type {UntrustedText(kind, limit=40)}" if kind else "a metric without a type"
    return [f"{path}metric: which charts {what} can have is not documented; the API decides"]


def combinations(config: WidgetConfig, metrics: MetricTypes | None) -> tuple[str, Combinations | None]:
    """What is plotted, in words, and what it can be drawn as; None where that is not known."""
    field = config.field or ""
    if field == METRIC_VALUE:
        kind = metrics.types.get(config.metric or 0) if metrics else None
        return f"{_article(kind and word(kind, METRIC_COMBINATIONS))} metric", METRIC_COMBINATIONS.get(kind or "")
    plotted = plotted_type(field)
    return f"{_article(plotted)} field", COMBINATIONS.get(plotted or "")


def _article(kind: str | None) -> str:
    return f"{'an' if (kind or '')[:1] in 'aeiou' else 'a'} {kind}"
