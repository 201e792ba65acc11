"""What is wrong with the widgets of an edit, and what to warn of."""

from dataclasses import dataclass, field

from cekura_dashboards.api.errors import Fault, InvalidArguments
from cekura_dashboards.api.filters import both, doubtful, time_bounds
from cekura_dashboards.api.models import JsonObject, Widget, WidgetConfig
from cekura_dashboards.context import ToolContext
from cekura_dashboards.text import listed, named
from cekura_dashboards.widgets.date_range import TOO_OLD, is_too_old, no_date_range
from cekura_dashboards.widgets.rules import check, doubts, metric_types

PLOT_FIELDS = {"chart_type", "field", "metric", "time_period", "aggregation_function"}


@dataclass
class Checker:
    """Collects faults and warnings. Faults only for what the edit touches.

    ``lenient``: a plan stands behind the edit, so that what is stored, or was, may be written as it is; what seems
    impossible is a warning, and the API decides.
    """

    context: ToolContext
    project: int | None
    dashboard_filters: JsonObject | None
    faults: list[Fault] = field(default_factory=list[Fault])
    warnings: list[str] = field(default_factory=list[str])
    lenient: bool = False
    without_range: list[str] = field(default_factory=list[str])

    async def created(self, config: JsonObject, path: str) -> None:
        await self._check(WidgetConfig.model_validate(config), path, {*config})

    async def updated(self, stored: Widget, sent: JsonObject, path: str) -> None:
        await self._check(WidgetConfig.model_validate({**stored.writable(), **sent}), path, {*sent})

    async def _check(self, config: WidgetConfig, path: str, touched: set[str]) -> None:
        if touched & PLOT_FIELDS:
            metrics, unread = await metric_types(self.context, self.project, config)
            self.warnings += [text for text in unread if text not in self.warnings]
            problems = check(config, path, metrics)
            self.faults += [] if self.lenient else problems
            self.warnings += [f"{problem} The API decides." for problem in problems] if self.lenient else []
            self.warnings += doubts(config, path, metrics)
        if "filters" in touched:
            self.warnings += doubtful(config.filters, f"{path}filters")
        bounds = time_bounds(both(self.dashboard_filters, config.filters), self.context.now())
        if touched & {"filters", "chart_type"} and bounds.start is None:
            self.without_range.append(named(config.name))
        if "filters" in touched and is_too_old(bounds, self.context.now()):
            self.warnings.append(f"{named(config.name)}: {TOO_OLD}, so the API refuses it (400)")

    def done(self) -> list[str]:
        """The warnings.

        Raises:
            InvalidArguments: if there are faults.
        """
        if self.faults:
            raise InvalidArguments(self.faults, lead="Nothing was changed.")
        if not self.without_range:
            return self.warnings
        return [*self.warnings, f"{listed(self.without_range)}: {no_date_range(on_dashboard=True)}"]
