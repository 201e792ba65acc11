"""Targets and readings: which chart to read, and what the API answered."""

from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from msgspec import Struct
from pydantic import Field

from cekura_dashboards.api.chart_data import Chart
from cekura_dashboards.api.errors import DashboardsError, InvalidArguments, UnreadableAnswer
from cekura_dashboards.api.filters import Bounds, Filter, both, time_bounds, with_missing, without_time
from cekura_dashboards.api.models import Dashboard, JsonObject, Widget, WidgetConfig
from cekura_dashboards.arguments.references import DashboardId, ProjectId, WidgetId
from cekura_dashboards.arguments.widget import UNSAVED, NewWidget
from cekura_dashboards.charts.window import Window, resolve, saved_window
from cekura_dashboards.context import ToolContext
from cekura_dashboards.tool import Request
from cekura_dashboards.values import Memoised, replace

MERGEABLE = ("count", "sum", "avg", "min", "max")
"""Aggregations whose buckets can be merged."""
FEW_ROWS = 2000
"""Up to this many rows are processed at once: less work than a thread costs."""


class Target(Struct, frozen=True):
    """A widget to chart. ``filters``: what holds for it in all, its dashboard's filters included.

    ``project``: its dashboard's, where that is known already. ``window`` None: its saved date range. ``extra``: what
    was asked for beyond what is saved. ``matching``: the share of calls that match is charted, not calls themselves.
    ``unreadable``: what of its dashboard's filters cannot be read, so that they could not be applied. ``alone``: to be
    read without its dashboard, as what it is compared with must be. ``local_days``: its days are those of the
    user's time zone, put together from hours.
    """

    config: WidgetConfig
    filters: JsonObject
    dashboard: int | None = None
    project: int | None = None
    window: Window | None = None
    extra: JsonObject | None = None
    matching: JsonObject | None = None
    unreadable: str | None = None
    alone: bool = False
    local_days: bool = False

    @property
    def problem(self) -> str | None:
        """Why the target cannot be charted; None if it can."""
        return self.unreadable or self.config.problem()

    def goes_beyond(self, now: datetime) -> bool:
        """Whether its window reaches beyond what is saved, so that it is read without its dashboard."""
        bounds, window = time_bounds(self.filters, now), self.window
        if window is None:
            return False
        early = bounds.start is not None and window.start < bounds.start
        return early or (bounds.end is not None and window.end > bounds.end)

    @property
    def has_days_of_hours(self) -> bool:
        """Whether it shows days that can be put together from hours."""
        config = self.config
        return config.chart_type == "bar" and config.period == "day" and config.function in MERGEABLE

    @property
    def calls(self) -> JsonObject:
        """The filter, without times, that says which calls it counts."""
        return both(without_time(self.filters), self.extra)

    @property
    def id(self) -> int | None:
        return self.config.id if isinstance(self.config, Widget) else None


class ChartReading(Memoised, frozen=True):
    """What came back for one target: a chart, or an error.

    ``beyond``: the saved bounds, past which the window reaches. ``alone``: read without its dashboard.
    ``restricted_to_project``: read so, but kept to its dashboard's project. ``hours``: of days that were put together,
    what they are of; ``offsets``: seconds from UTC where their window begins and ends. ``passing``: in words, what
    counts as a pass of a metric that passes or fails, where it is a number.
    """

    target: Target
    window: Window
    chart: Chart | None = None
    error: DashboardsError | None = None
    beyond: Bounds | None = None
    alone: bool = False
    restricted_to_project: bool = False
    passing: str | None = None
    notes: tuple[str, ...] = ()
    hours: Chart | None = None
    offsets: tuple[float, float] | None = None

    def by_hour(self) -> "ChartReading":
        """The reading by hour, as the API answered it."""
        config = self.target.config.model_copy(update={"time_period": "hour"})
        target = replace(self.target, config=config, local_days=False)
        return replace(self, target=target, chart=self.hours, hours=None, offsets=None)


def saved(widget: Widget, project: int | None = None) -> Target:
    return Target(widget, widget.effective_filters or widget.filters or {}, widget.dashboard, project)


def unsaved(config: WidgetConfig, dashboard: Dashboard | None) -> Target:
    """A widget as if it were on this dashboard."""
    if dashboard is None:
        return Target(config, config.filters or {})
    odd = dashboard.unreadable("filters")
    unreadable = f"of dashboard {dashboard.id}, {odd}" if odd else None
    return Target(
        config, both(dashboard.filters, config.filters), dashboard.id, dashboard.project, unreadable=unreadable
    )


def resolve_targets(
    targets: Iterable[Target],
    window: str | None,
    extra: JsonObject | None,
    now: datetime,
    zone: ZoneInfo,
    *,
    local_days: bool = False,
) -> list[Target]:
    """The targets, each with the window that it is charted over, and with what was asked for beyond what is saved.

    ``local_days``: days are to be those of the zone, where they can be made of hours.

    Raises:
        InvalidArguments: for a window that cannot be asked for.
    """
    resolved = resolve(window, now, zone) if window else None
    if extra:
        resolved, extra = _time_of(extra, resolved, now)
    return [
        replace(
            target,
            window=resolved or saved_window(time_bounds(target.filters, now), now, zone),
            extra=extra or None,
            local_days=local_days and target.has_days_of_hours,
        )
        for target in targets
    ]


def _time_of(extra: JsonObject, window: Window | None, now: datetime) -> tuple[Window | None, JsonObject]:
    """Take a time range out of the extra filters: it is the window."""
    bounds = time_bounds(extra, now)
    if bounds.start is None and bounds.end is None:
        return window, extra
    if window is not None or bounds.start is None:
        raise InvalidArguments.at(
            "filters", "holds a time range; give the time in `window` instead, as 2026-11-01/2026-11-08."
        )
    return Window(bounds.start, min(bounds.end or now, now), "asked"), without_time(extra)


def are_few(readings: Iterable[ChartReading]) -> bool:
    """Whether their rows are small work."""
    return sum(len(reading.chart.rows) for reading in readings if reading.chart) <= FEW_ROWS


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
