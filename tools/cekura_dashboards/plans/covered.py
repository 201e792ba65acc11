"""What a plan vouches for: stored fields that must not have moved when it is carried out."""

from collections.abc import Sequence
from typing import Any

from cekura_dashboards.api.models import WRITABLE, Dashboard, JsonObject, Widget, or_none
from cekura_dashboards.plans.changes import Stored
from cekura_dashboards.plans.plan_id import Covered


def covered_widgets(widgets: list[Widget]) -> dict[str, JsonObject]:
    """What of these widgets a plan vouches for."""
    return {f"widget {widget.id}": stored_fields(widget.writable()) for widget in widgets}


def stored_fields(fields: JsonObject) -> JsonObject:
    """Writable fields with an empty text and null brought to one."""
    return {name: or_none(fields.get(name)) for name in WRITABLE}


def covered_dashboard(number: int, filters: Any, widgets: list[int], **more: Any) -> dict[str, JsonObject]:
    """A dashboard's filters and widget ids, on which creates depend; ``more`` of its fields besides."""
    return {f"dashboard {number}": {"filters": filters or None, "widgets": sorted(widgets), **more}}


def covered_whole(dashboard: Dashboard) -> Covered:
    """The dashboard's own fields, and every widget on it."""
    return {**covered_setup(dashboard), **covered_widgets(dashboard.widgets)}


def covered_setup(dashboard: Dashboard) -> Covered:
    """The dashboard's own fields, and which widgets it has."""
    return covered_dashboard(
        dashboard.id,
        dashboard.stored("filters"),
        [widget.id for widget in dashboard.widgets],
        name=dashboard.name or None,
        project=dashboard.project,
    )


def covered_namesakes(numbers: Sequence[int]) -> Covered:
    """Which dashboards of a name there are: one more means that it was created already."""
    return {"dashboards of this name": {"dashboards": sorted(numbers)}}


def covered(dashboard: Dashboard, touched: Sequence[Widget]) -> Covered:
    """The touched widgets, and the dashboard's filters and widget ids, on which creates depend."""
    whole = covered_dashboard(dashboard.id, dashboard.stored("filters"), [w.id for w in dashboard.widgets])
    return {**covered_widgets([*touched]), **whole}


def covered_after(done: Stored, undo: JsonObject) -> Covered:
    """What the undo of what was done is planned against: what is stored now of the widgets that it names."""
    edits = done.edits
    ids = sorted((set(edits.known) - set(edits.deletes)) | {widget.id for widget in done.created})
    named = {item["id"] for item in undo.get("update", [])} | {*undo.get("delete", [])}
    whole = covered_dashboard(edits.dashboard_id or 0, edits.filters, ids)
    touched = [widget for widget in [*done.updated.values(), *done.created] if widget.id in named]
    return {**covered_widgets(touched), **whole}
