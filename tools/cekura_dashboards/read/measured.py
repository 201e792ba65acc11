"""What a tool is asked about: a saved widget, or one that is not saved."""

from dataclasses import dataclass, replace

from cekura_dashboards.api.filters import both
from cekura_dashboards.api.models import Dashboard, JsonObject, WidgetConfig
from cekura_dashboards.context import ToolContext
from cekura_dashboards.read.charts import Target, saved, unsaved
from cekura_dashboards.read.request import NewWidget


@dataclass(frozen=True)
class Measured:
    """A chart with all filters that hold for it, and the dashboard and project that it belongs to."""

    target: Target
    project: int | None
    dashboard: Dashboard | None

    @property
    def config(self) -> WidgetConfig:
        return self.target.config

    def narrowed(self, extra: JsonObject | None) -> "Measured":
        return replace(self, target=replace(self.target, filters=both(self.target.filters, extra)))


async def measured(
    context: ToolContext, widget_id: int | None, widget: NewWidget | None, dashboard_id: int | None
) -> Measured:
    """Read what is needed to know the chart's filters and project."""
    if widget_id is not None:
        stored = await context.api.get_widget(widget_id)
        dashboard = await context.api.get_dashboard(stored.dashboard) if stored.dashboard is not None else None
        return Measured(saved(stored), dashboard.project if dashboard else None, dashboard)
    config = widget.config() if widget else WidgetConfig(chart_type="stat")
    dashboard = await context.api.get_dashboard(dashboard_id) if dashboard_id is not None else None
    filters = dashboard.filters if dashboard else None
    target = unsaved(config, dashboard_id, filters)
    return Measured(target, dashboard.project if dashboard else None, dashboard)
