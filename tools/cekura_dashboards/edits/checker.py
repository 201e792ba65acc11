"""What is wrong with the widgets of an edit, and what to warn of."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from cekura_dashboards.api.errors import Fault, InvalidArguments
from cekura_dashboards.api.filters import Bounds, both, filter_warnings, time_bounds
from cekura_dashboards.api.models import JsonObject, Widget, WidgetConfig
from cekura_dashboards.context import ToolContext
from cekura_dashboards.edits.date_range import (
    CLEARED,
    TOO_OLD_REFUSED,
    date_range_loss,
    goes_too_far_back,
    is_lost,
    is_too_old,
    no_date_range,
)
from cekura_dashboards.edits.rules import check, doubts, metric_types
from cekura_dashboards.text import join_names, named

PLOT_FIELDS = {"chart_type", "field", "metric", "time_period", "aggregation_function"}


@dataclass
class Checker:
    """Collects faults and warnings. Faults only for what the edit touches.

    ``lenient``: a plan stands behind the edit, so that what is stored, or was, may be written as it is; what seems
    impossible is a warning, and the API decides. ``drops_range``: a chart is left without a date range, as was asked.
    """

    context: ToolContext
    project: int | None
    dashboard_filters: JsonObject | None
    faults: list[Fault] = field(default_factory=list[Fault])
    warnings: list[str] = field(default_factory=list[str])
    lenient: bool = False
    without_range: list[str] = field(default_factory=list[str])
    drops_range: bool = False

    async def created(self, config: JsonObject, path: str) -> None:
        new = WidgetConfig.model_validate(config)
        await self._check(new, path, {*config})
        after = self._bounds(new)
        if after.start is None:
            self.without_range.append(named(new.name))
        elif "filters" in config and goes_too_far_back(self._bounds(None), after, self.context.now()):
            self._refuse([Fault(f"{path}filters", TOO_OLD_REFUSED)])

    async def updated(self, stored: Widget, sent: JsonObject, path: str, clear: Sequence[str] | None = None) -> None:
        new = WidgetConfig.model_validate({**stored.writable(), **sent})
        await self._check(new, path, {*sent})
        if {"filters", "chart_type"} & {*sent}:
            self._check_range(stored, new, path, drops=CLEARED in (clear or []))

    async def _check(self, config: WidgetConfig, path: str, touched: set[str]) -> None:
        if touched & PLOT_FIELDS:
            metrics, unread = await metric_types(self.context, self.project, config)
            self.warnings += [text for text in unread if text not in self.warnings]
            self._refuse(check(config, path, metrics))
            self.warnings += doubts(config, path, metrics)
        if "filters" in touched:
            self.warnings += filter_warnings(config.filters, f"{path}filters")

    def _refuse(self, problems: Sequence[Fault]) -> None:
        """Faults, or where the edit is lenient warnings."""
        self.faults += [] if self.lenient else problems
        self.warnings += [f"{problem} The API decides." for problem in problems] if self.lenient else []

    def _bounds(self, config: WidgetConfig | None) -> Bounds:
        """The date range of a chart on this dashboard; None: that of the dashboard itself."""
        return time_bounds(both(self.dashboard_filters, config.filters if config else None), self.context.now())

    def _check_range(self, stored: Widget, new: WidgetConfig, path: str, *, drops: bool) -> None:
        before, after, now = self._bounds(stored), self._bounds(new), self.context.now()
        if is_lost(before, after) and not drops:
            self._refuse([Fault(f"{path}filters", date_range_loss("the chart", stored.filters, now))])
        elif goes_too_far_back(before, after, now):
            self._refuse([Fault(f"{path}filters", TOO_OLD_REFUSED)])
        elif after.start is None:
            self.without_range.append(named(new.name))
        elif is_too_old(after, now):
            self.warnings.append(f"{named(new.name)}: {TOO_OLD_REFUSED}")
        self.drops_range |= is_lost(before, after)

    def done(self) -> list[str]:
        """The warnings.

        Raises:
            InvalidArguments: if there are faults.
        """
        if self.faults:
            raise InvalidArguments(self.faults, lead="Nothing was changed.")
        if not self.without_range:
            return self.warnings
        return [*self.warnings, f"{join_names(self.without_range)}: {no_date_range(on_dashboard=True)}"]
