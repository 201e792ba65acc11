"""What a plan vouches for: stored fields that must not have moved when it is carried out."""

from collections.abc import Sequence
from typing import Any

from cekura_dashboards.api.models import WRITABLE, Dashboard, JsonObject, Widget, or_none, same
from cekura_dashboards.edits.plan_id import Covered


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


def covered_fields(dashboard: Dashboard) -> Covered:
    """The dashboard's own fields, whatever widgets it has."""
    fields = {"filters": dashboard.stored("filters") or None, "name": dashboard.name or None}
    return {f"dashboard {dashboard.id}": fields}


def covered_alike(number: int, there: Sequence[Widget], restored: Sequence[JsonObject]) -> Covered:
    """Which widgets of a dashboard are like those that an undo brings back: one more means that it was done already."""
    if not restored:
        return {}
    alike = [widget.id for widget in there if any(_is_alike(widget, config) for config in restored)]
    return {f"dashboard {number}": {"widgets like those that were deleted": sorted(alike)}}


def _is_alike(widget: Widget, config: JsonObject) -> bool:
    """Whether it has that name, or plots the same; figures plot nothing, and would be alike whoever made them."""
    shown = [name for name in WRITABLE if name not in {"name", "metadata"}]
    named = bool(widget.name) and widget.name == config.get("name")
    return named or (bool(config.get("field")) and all(same(widget.stored(name), config.get(name)) for name in shown))
