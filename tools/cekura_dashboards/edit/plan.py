"""Plans: what an edit would do, found out by reading only; and their commit."""

import json
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from cekura_dashboards.api.errors import Fault, InvalidArguments
from cekura_dashboards.api.fields import METRIC_VALUE
from cekura_dashboards.api.filters import both, time_bounds, undocumented
from cekura_dashboards.api.models import WRITABLE, JsonObject, Widget, WidgetConfig
from cekura_dashboards.context import ToolContext
from cekura_dashboards.edit.plan_id import Covered, Signer
from cekura_dashboards.edit.receipt import PAYLOAD_LIMIT, same
from cekura_dashboards.read.preview_widget import no_date_range
from cekura_dashboards.read.request import NewWidget
from cekura_dashboards.read.rules import check
from cekura_dashboards.text import named

PLOT_FIELDS = {"chart_type", "field", "metric", "time_period", "aggregation_function"}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What would be done, and what was stored when it was planned. Making one writes nothing.

    ``updates`` maps a widget's id to the fields to send. ``operations`` and ``covered`` are what a plan_id vouches for.
    """

    dashboard_id: int | None
    creates: list[JsonObject] = field(default_factory=list[JsonObject])
    updates: dict[int, JsonObject] = field(default_factory=dict[int, JsonObject])
    deletes: list[int] = field(default_factory=list[int])
    before: dict[int, Widget] = field(default_factory=dict[int, Widget])
    covered: Covered = field(default_factory=dict[str, dict[str, Any]])
    warnings: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])
    approved: bool = False

    @property
    def operations(self) -> JsonObject:
        return {
            "dashboard": self.dashboard_id,
            "create": self.creates,
            "update": {str(number): fields for number, fields in self.updates.items()},
            "delete": sorted(self.deletes),
        }

    @property
    def is_empty(self) -> bool:
        return not (self.creates or self.updates or self.deletes)


def signer(context: ToolContext) -> Signer:
    return Signer(context.api.key, context.now())


def covered_widgets(widgets: list[Widget]) -> dict[str, JsonObject]:
    """What of these widgets a plan vouches for."""
    return {f"widget {widget.id}": stored_fields(widget.writable()) for widget in widgets}


def stored_fields(fields: JsonObject) -> JsonObject:
    """Writable fields with an empty text and null brought to one."""
    return {
        name: fields.get(name) or None if not isinstance(fields.get(name), int) else fields[name] for name in WRITABLE
    }


def changed_only(sent: JsonObject, stored: Widget) -> JsonObject:
    """The fields of an update that would change something."""
    return {name: value for name, value in sent.items() if not same(value, getattr(stored, name))}


@dataclass
class Checker:
    """Collects what is wrong with an edit and what to warn of. Faults only for what the edit touches."""

    context: ToolContext
    project: int | None
    dashboard_filters: JsonObject | None
    faults: list[Fault] = field(default_factory=list[Fault])
    warnings: list[str] = field(default_factory=list[str])
    _metrics: dict[int, str | None] | None = None

    async def created(self, config: JsonObject, path: str) -> None:
        await self._check(WidgetConfig.model_validate(config), path, {*config})

    async def updated(self, stored: Widget, sent: JsonObject, path: str) -> None:
        await self._check(WidgetConfig.model_validate({**stored.writable(), **sent}), path, {*sent})

    async def _check(self, config: WidgetConfig, path: str, touched: set[str]) -> None:
        if touched & PLOT_FIELDS:
            self.faults += check(config, path, eval_type=await self._eval_type(config, path))
        if "filters" in touched:
            self.warnings += undocumented(config.filters, f"{path}filters")
        bounds = time_bounds(both(self.dashboard_filters, config.filters), self.context.now())
        if touched & {"filters", "chart_type"} and bounds.start is None:
            self.warnings.append(f"{named(config.name)}: {no_date_range(on_dashboard=True)}")

    async def _eval_type(self, config: WidgetConfig, path: str) -> str | None:
        """The type of the metric that is plotted; a fault if the project has no such metric."""
        if config.field != METRIC_VALUE or config.metric is None or self.project is None:
            return None
        if self._metrics is None:
            found = await self.context.api.metrics(project_id=self.project)
            self._metrics = {metric.id: metric.eval_type for metric in found}
        if config.metric not in self._metrics:
            self.faults.append(
                Fault(
                    f"{path}metric",
                    f"no metric {config.metric} in project {self.project}; look_up metrics lists them.",
                )
            )
        return self._metrics.get(config.metric)

    def done(self) -> list[str]:
        """The warnings.

        Raises:
            InvalidArguments: if there are faults.
        """
        if self.faults:
            raise InvalidArguments(self.faults, lead="Nothing was changed.")
        return self.warnings


def refuse_too_large(undo: JsonObject) -> None:
    """Refuse an edit whose undo would be too long to hand over.

    Raises:
        InvalidArguments: with how to split it.
    """
    size = len(json.dumps(undo, separators=(",", ":"), ensure_ascii=False))
    if size > PAYLOAD_LIMIT:
        raise InvalidArguments.at(
            "", f"the undo of this edit would take {size} characters, more than {PAYLOAD_LIMIT}; "
            "split it into calls with fewer widgets each."
        )  # fmt: skip


def can_be_recreated(widget: Widget) -> bool:
    """Whether an undo could create this widget again through this server's own checks."""
    try:
        NewWidget.model_validate(widget.definition())
    except ValidationError:
        return False
    return True


NO_UNDO = "there is no undo: what was stored before holds what this server cannot write"


def undo_update(before: JsonObject, sent: JsonObject) -> JsonObject:
    """The arguments that set the sent fields back to what they were."""
    values = {name: before[name] for name in sent if name != "metadata" and not same(before[name], None)}
    clear = [name for name in sent if name not in values and (name != "metadata" or not same(sent[name], None))]
    if "metadata" in sent and before["metadata"]:
        values["metadata"] = before["metadata"]
    return {**values, **({"clear": clear} if clear else {})}
