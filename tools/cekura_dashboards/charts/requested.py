"""What a tool is asked about: a saved widget, or one that is not saved."""

from msgspec import Struct
from pydantic import Field

from cekura_dashboards.api.errors import UnreadableAnswer
from cekura_dashboards.api.filters import Filter, both, with_missing
from cekura_dashboards.api.models import Dashboard, WidgetConfig
from cekura_dashboards.arguments.references import DashboardId, ProjectId, WidgetId
from cekura_dashboards.arguments.widget import UNSAVED, NewWidget
from cekura_dashboards.charts.target import Target, saved, unsaved
from cekura_dashboards.context import ToolContext
from cekura_dashboards.tool import Request
from cekura_dashboards.values import replace


class ChartRequest(Request):
    """Which chart is meant, and where."""

    widget_id: WidgetId | None = None
    widget: NewWidget | None = UNSAVED
    dashboard_id: DashboardId | None = Field(default=None, description="for an unsaved widget: its dashboard")
    project_id: ProjectId | None = Field(
        default=None, description="where no dashboard says it; default CEKURA_PROJECT_ID"
    )
    filters: Filter | None = Field(default=None, description="and only calls that match")


class RequestedChart(Struct, frozen=True):
    """A chart with all filters that hold for it, and the dashboard and project that it belongs to."""

    target: Target
    project: int | None
    dashboard: Dashboard | None

    @property
    def config(self) -> WidgetConfig:
        return self.target.config


async def requested_chart(context: ToolContext, request: ChartRequest, *, charted: bool) -> RequestedChart:
    """Read what is needed to know the chart's filters and project; if it is to be charted, names beside it."""
    read_dashboard = context.lookups.dashboard_with_names if charted else context.lookups.dashboard
    if request.widget_id is not None:
        stored = await context.lookups.widget(request.widget_id)
        number = stored.dashboard
        dashboard = await read_dashboard(number) if number is not None else None
        target = saved(stored, dashboard.project if dashboard else None)
    else:
        config = request.widget.config() if request.widget else WidgetConfig(chart_type="stat")
        number = request.dashboard_id
        dashboard = await read_dashboard(number) if number is not None else None
        target = unsaved(config, dashboard)
    if target.problem is not None:
        raise UnreadableAnswer(target.problem)
    extra, _ = with_missing(request.filters)
    narrowed = replace(target, filters=both(target.filters, extra))
    return RequestedChart(narrowed, dashboard.project if dashboard else None, dashboard)
