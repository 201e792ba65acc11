"""Arguments that the writing tools share."""

import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from cekura_dashboards.api.fields import ChartType
from cekura_dashboards.api.filters import fault, only_time, without_time
from cekura_dashboards.api.models import JsonObject, Widget, as_object
from cekura_dashboards.arguments.references import WidgetId
from cekura_dashboards.arguments.widget import NewWidget, WidgetFields
from cekura_dashboards.edits.rules import CLEARED
from cekura_dashboards.tool import Request

Clearable = Literal[
    "name",
    "metric",
    "data_type",
    "time_period",
    "aggregation_function",
    "group_by",
    "filters",
    "metadata",
    "field",
    "date_range",
]
CLEAR = Field(
    None,
    description="fields to empty (null is ignored); metadata here too: replaced, not merged; date_range takes a plan",
)
MOST_WIDGETS, MOST_WIDGETS_UNDONE = 60, 400
"""Widgets that one call creates, changes or deletes at the most; an undo may have to put back more."""
LAYOUT = "layout"
"""The part of metadata that merges in all its depth: a new width keeps the place."""
PLACE = re.compile(r"top(?: (left|right))?|bottom|after[ :]*(\d{1,15})", re.ASCII)


def _place(value: Any) -> Any:
    """A place as it is written here; ``{"after": 203}`` and ``top-right`` are read too."""
    fields = as_object(value)
    text = f"after {fields['after']}" if fields and set(fields) == {"after"} else value
    if text is None:
        return None
    folded = " ".join(re.split(r"[\s_-]+", text.strip().lower())) if isinstance(text, str) else ""
    if not PLACE.fullmatch(folded):
        raise fault("", 'is top, top left, top right, bottom, or "after ID" with the id of a widget there.')
    return folded


Place = Annotated[str, BeforeValidator(_place)]
PLACED = Field(default=None, description='top, top right, bottom or "after 203"; others make room')


class Layout(Request):
    """Where a widget lies on the grid: columns and rows from the top left, width and height. What is absent stays."""

    x: int | None = Field(default=None, ge=0)
    y: int | None = Field(default=None, ge=0)
    w: int | None = Field(default=None, ge=1)
    h: int | None = Field(default=None, ge=1)


LAID_OUT = Field(default=None, description="x, y, w, h on the grid; a part of it changes that alone")


class CreatedWidget(NewWidget):
    """A widget to create."""

    place: Place | None = PLACED
    layout: Layout | None = LAID_OUT
    was: int | None = Field(
        default=None, json_schema_extra={"hidden": True}, description="the id of the deleted widget that this restores"
    )


def restored_path(name: str, items: Sequence[CreatedWidget] | None) -> str | None:
    """Where the first of these widgets says which deleted one it restores; None if none does."""
    return next((f"{name}[{index}].was" for index, item in enumerate(items or []) if item.was is not None), None)


class WidgetChanges(WidgetFields):
    """New values. `filters` and `group_by` replace the whole; `metadata` merges, its `layout` too."""

    chart_type: ChartType | None = None
    layout: Layout | None = LAID_OUT


class WidgetUpdate(WidgetChanges):
    """A widget's id and its new values."""

    id: WidgetId
    place: Place | None = PLACED
    clear: list[Clearable] | None = CLEAR

    @model_validator(mode="after")
    def _not_both(self) -> "WidgetUpdate":
        check_clear(self.values(), self.clear)
        return self


def check_clear(fields: JsonObject, clear: Sequence[str] | None) -> None:
    """Refuse to set and empty the same field; metadata may be both, which replaces it whole."""
    if CLEARED in (clear or []) and only_time(fields.get("filters")):
        raise fault("clear", f"names {CLEARED}, and the new filters hold one; do one or the other.")
    for name in clear or []:
        if name != "metadata" and name in fields:
            raise fault("clear", f"names {name}, which is also given a new value; do one or the other.")


def unmergeable(fields: WidgetFields, clear: Sequence[str] | None, stored: Widget) -> str | None:
    """Why metadata cannot be merged into what is stored; None if it can."""
    metadata = stored.metadata
    if fields.metadata is None or "metadata" in (clear or []) or not metadata or isinstance(metadata, dict):
        return None
    return "what is stored is no object to merge into; to replace it, put metadata into clear as well."


def ignored_nulls(fields: WidgetFields | None, path: str) -> list[str]:
    """Notes on fields that were sent empty, which changes nothing."""
    if fields is None:
        return []
    names = [name for name in fields.model_fields_set if getattr(fields, name) is None and name != "clear"]
    if not names:
        return []
    return [f"{path}: empty values were ignored for {', '.join(sorted(names))}; clear empties a field"]


def sent_fields(fields: WidgetFields | None, clear: Sequence[str] | None, stored: JsonObject) -> JsonObject:
    """What to send so that a stored widget becomes what was asked: cleared, replaced and merged."""
    sent: JsonObject = {name: "" if name == "field" else None for name in clear or [] if name != CLEARED}
    new_values = fields.values() if fields else {}
    if CLEARED in (clear or []):
        sent = {"filters": without_time(stored.get("filters")) or None} | sent
    metadata = as_object(stored.get("metadata"))
    if "metadata" in new_values and "metadata" not in sent and metadata is not None:
        new_values["metadata"] = _merge(metadata, new_values["metadata"], [LAYOUT])
    return sent | new_values


def _merge(stored: JsonObject, new: JsonObject, deep: Iterable[str]) -> JsonObject:
    """The new values over those held; the objects named ``deep`` are merged in all their depth."""
    merged = stored | new
    for name in deep:
        old, new_part = as_object(stored.get(name)), as_object(new.get(name))
        if old is not None and new_part is not None:
            merged[name] = _merge(old, new_part, new_part)
    return merged
