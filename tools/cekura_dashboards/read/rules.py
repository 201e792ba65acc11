"""Which field, chart and aggregation go together. Impossible ones are refused, unknown ones pass with a warning."""

from cekura_dashboards.api.errors import Fault
from cekura_dashboards.api.fields import (
    CHART_TYPES,
    COMBINATIONS,
    METRIC_COMBINATIONS,
    METRIC_VALUE,
    Combinations,
    plotted_type,
)
from cekura_dashboards.api.models import WidgetConfig
from cekura_dashboards.suggest import one_of


def check(config: WidgetConfig, path: str, *, eval_type: str | None = None) -> list[Fault]:
    """What makes this configuration impossible. ``eval_type``: the metric's, if it is known."""
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
    kind, allowed = _allowed(field, eval_type)
    if allowed is None:
        return faults
    if chart not in allowed.charts:
        return [
            *faults,
            Fault(f"{path}chart_type", f"a {kind} field is drawn as {one_of(allowed.charts)}, not {chart}."),
        ]
    function = config.aggregation_function
    if chart == "bar" and function and function not in allowed.aggregations:
        can = one_of(allowed.aggregations)
        faults.append(Fault(f"{path}aggregation_function", f"a {kind} field is aggregated by {can}, not {function}."))
    return faults


def _allowed(field: str, eval_type: str | None) -> tuple[str, Combinations | None]:
    if field == METRIC_VALUE:
        return f"{eval_type} metric", METRIC_COMBINATIONS.get(eval_type or "")
    kind = plotted_type(field)
    return str(kind), COMBINATIONS.get(kind or "")
