"""What the values of a chart are counted in."""

from cekura_dashboards.api.chart_data import Chart
from cekura_dashboards.api.models import WidgetConfig
from cekura_dashboards.charts.rows import plots_times
from cekura_dashboards.summaries.stat import rate_unit


def unit_of(config: WidgetConfig, chart: Chart, values: list[float | None]) -> str:
    """The unit of a bar's or line's values; ``unknown`` rather than a guess."""
    function, plotted = config.aggregation_function, config.field or ""
    if function == "count" and config.chart_type == "bar":
        return "calls"
    if plotted == "duration":
        return "s"
    if plots_times(config, chart):
        return "time"
    if chart.data_type == "boolean" or plotted in {"success", "is_reviewed"}:
        if config.chart_type == "bar" and function != "avg":
            return "calls" if function == "sum" else "1 = pass"
        return chart.rate_unit or rate_unit(values)
    return "unknown"
