"""What is to be charted, and what came back."""

from collections.abc import Iterable
from dataclasses import dataclass

from cekura_dashboards.api.chart_data import Chart
from cekura_dashboards.api.errors import DashboardsError
from cekura_dashboards.api.filters import Bounds, both
from cekura_dashboards.api.models import Dashboard, JsonObject, Widget, WidgetConfig
from cekura_dashboards.charts.window import Window

FEW_ROWS = 2000
"""Up to so many rows are worked on at once: less work than handing them to a thread."""


@dataclass(frozen=True)
class Target:
    """A widget to chart. ``filters``: what holds for it in all, its dashboard's filters included.

    ``project``: its dashboard's, where that is known already. ``window``: its own, in place of the one that all are
    asked for. ``unreadable``: what of its dashboard's filters cannot be read, so that they could not be applied.
    """

    config: WidgetConfig
    filters: JsonObject
    dashboard: int | None = None
    project: int | None = None
    window: Window | None = None
    unreadable: str | None = None

    @property
    def problem(self) -> str | None:
        """Why what is to be charted cannot be told; None if it can."""
        return self.unreadable or self.config.problem()

    @property
    def id(self) -> int | None:
        return self.config.id if isinstance(self.config, Widget) else None


@dataclass(frozen=True)
class ShareOf:
    """The counting chart that a share was made from, and what the calls of the share match."""

    counted: Target
    matching: JsonObject


@dataclass(frozen=True)
class Reading:
    """What came back for one target: a chart, or an error.

    ``beyond``: the saved bounds, past which the window reaches. ``alone``: read without its dashboard.
    ``kept``: read so, but kept to its dashboard's project. ``share_of``: the chart was made from two others.
    """

    target: Target
    window: Window
    chart: Chart | None = None
    error: DashboardsError | None = None
    beyond: Bounds | None = None
    alone: bool = False
    kept: bool = False
    notes: tuple[str, ...] = ()
    share_of: ShareOf | None = None


def saved(widget: Widget, project: int | None = None) -> Target:
    return Target(widget, widget.effective_filters or widget.filters or {}, widget.dashboard, project)


def unsaved(config: WidgetConfig, dashboard: Dashboard | None) -> Target:
    """A widget as if it were on this dashboard."""
    if dashboard is None:
        return Target(config, config.filters or {})
    odd = dashboard.unreadable("filters")
    unreadable = f"of dashboard {dashboard.id}, {odd}" if odd else None
    return Target(config, both(dashboard.filters, config.filters), dashboard.id, dashboard.project, None, unreadable)


def are_few(readings: Iterable[Reading]) -> bool:
    """Whether their rows are small work."""
    return sum(len(reading.chart.rows) for reading in readings if reading.chart) <= FEW_ROWS
