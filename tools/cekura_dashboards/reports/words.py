"""Everyday names of charts and measures, for headers of tables and titles of drawings."""

from cekura_dashboards.api.models import METADATA, METRIC_VALUE, Widget, WidgetConfig
from cekura_dashboards.reports.report import group_name
from cekura_dashboards.text import UntrustedText, named

FIELDS = {
    "duration": "call duration", "call_ended_reason": "ended reason", "dropoff_point": "drop-off point",
    "is_reviewed": "reviewed calls", "agent_id": "agent", "agent.id": "agent", "agent.agent_name": "agent",
    "timestamp": "time of call", METRIC_VALUE: "metric value", "metric_evaluations.metric.id": "metric",
    "metric_evaluations.metric.name": "metric", "customer_number": "customer number",
}  # fmt: skip
AGGREGATIONS = {"avg": "average", "sum": "total", "min": "lowest", "max": "highest", "p50": "median"}
RATES = {"success": "success rate", "is_reviewed": "share of calls reviewed"}
RATE_UNITS = {"ratio", "percent"}


def field_in_words(field: str) -> str:
    """A field of calls; names that people wrote are quoted.

    >>> field_in_words("agent.id"), field_in_words("topic"), field_in_words("metadata.app_version")
    ('agent', 'topic', '"app_version"')
    """
    if field.startswith(METADATA):
        return str(UntrustedText(field.removeprefix(METADATA)))
    return FIELDS.get(field, field.replace("_", " ") if field.isidentifier() else str(UntrustedText(field)))


def _metric(config: WidgetConfig, name: str | None) -> str:
    """The quoted name of the metric that a chart plots; empty where there is none."""
    name = (config.metric_name if isinstance(config, Widget) else None) or name
    return named(name) if name and config.field == METRIC_VALUE else ""


def plotted_in_words(config: WidgetConfig, metric_name: str | None = None) -> str:
    """The metric or field that a chart plots."""
    return _metric(config, metric_name) or field_in_words(config.field or "")


def measure_in_words(config: WidgetConfig, metric_name: str | None = None, unit: str | None = None) -> str:
    """The measure of a bar or line, without its unit.

    >>> measure_in_words(WidgetConfig(chart_type="bar", field="success", aggregation_function="avg"), unit="ratio")
    'success rate'
    >>> measure_in_words(WidgetConfig(chart_type="bar", field="duration", aggregation_function="p95"), unit="s")
    'p95 of call duration'
    """
    field, function = config.field or "", config.aggregation_function or ""
    is_bar = config.chart_type == "bar"
    if is_bar and function == "count":
        return f"calls with a value of {field_in_words(field)}" if config.counted else "calls"
    name = _metric(config, metric_name)
    if unit in RATE_UNITS and (function in {"", "avg"} or not is_bar):
        return RATES.get(field) or f"rate of {name or field_in_words(field)}"
    plotted = name or field_in_words(field)
    if not is_bar:
        return f"average {plotted}"
    return f"{function} of {plotted}" if function in {"p95", "p99"} else f"{AGGREGATIONS.get(function, '')} {plotted}"


def group_in_words(config: WidgetConfig) -> str | None:
    """The grouping of a chart; None for a chart without groups."""
    group_by = config.group_by
    if not group_by:
        return None
    return (
        group_name(config)
        if group_by.get("type") == "bucket"
        else field_in_words(str(group_by.get("field") or "group"))
    )


def title_in_words(config: WidgetConfig, metric_name: str | None = None, unit: str | None = None) -> str:
    """``Success rate, per day, by agent``."""
    if config.chart_type == "stat":
        return "Figures of all calls"
    group = group_in_words(config)
    if config.chart_type == "pie":
        parts = [f"calls by {plotted_in_words(config, metric_name)}"]
    else:
        parts = [
            measure_in_words(config, metric_name, unit),
            f"per {config.period}" if config.chart_type == "bar" else "",
        ]
    text = ", ".join(part for part in [*parts, f"by {group}" if group else ""] if part)
    return text[:1].upper() + text[1:]
