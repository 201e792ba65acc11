"""Arguments of the writing tools, and the current ids of restored things.

A receipt lists ``widget 203 = 230 #s1gNed-_``. An older undo call accepts such lines after its plan_id and then uses
the new ids. Each line ends with a signature under the caller's key, so that a plan cannot be redirected to another
widget.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from msgspec import Struct, field
from pydantic import BeforeValidator, Field, field_validator, model_validator

from cekura_dashboards.api.errors import PlanRefused
from cekura_dashboards.api.filters import Filter, fault, only_time, without_time
from cekura_dashboards.api.models import ChartType, JsonObject, Widget, as_object, is_list
from cekura_dashboards.arguments.references import DashboardId, ProjectId, WidgetId
from cekura_dashboards.arguments.widget import MAX_NAME, NewName, NewWidget, WidgetFields
from cekura_dashboards.edits.plan_id import Covered, Signer
from cekura_dashboards.edits.rules import CLEARED
from cekura_dashboards.text import short_json
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
CLEAR = Field(None, description="fields to empty: filters, group_by, date_range …", json_schema_extra={"bare": True})
MOST_WIDGETS, MOST_WIDGETS_UNDONE = 60, 400
"""Widgets that one call may create, change or delete; an undo may restore more."""
AS_PREVIEWED = "widgets, as preview_widget gives them"
PLACES = 'place: top, top right, bottom or "after 203"'


def _list_of(about: str, shown: Literal["brief", "bare"]) -> Any:
    """A list of widgets, shortened in the schema."""
    return Field(default=None, max_length=MOST_WIDGETS_UNDONE, json_schema_extra={shown: True}, description=about)


LAYOUT = "layout"
"""The part of metadata that is merged recursively: a new width keeps the place."""
PLACE = re.compile(r"top(?: (left|right))?|bottom|after[ :]*(\d{1,15})", re.ASCII)


def _place(value: Any) -> Any:
    """A normalized place; ``{"after": 203}`` and ``top-right`` are accepted."""
    fields = as_object(value)
    text = f"after {fields['after']}" if fields and set(fields) == {"after"} else value
    if text is None:
        return None
    folded = " ".join(re.split(r"[\s_-]+", text.strip().lower())) if isinstance(text, str) else ""
    if not PLACE.fullmatch(folded):
        text = 'use top, top left, top right, bottom, or "after ID" of a widget.'
        raise fault("", f"{short_json(value)} is not a place; {text}")
    return folded


Place = Annotated[str, BeforeValidator(_place)]
PLACED = Field(default=None, description='top, top right, bottom, "after 203"')


class Layout(Request):
    """A position on the grid: columns and rows from the top left, width and height. Absent parts stay."""

    x: int | None = Field(default=None, ge=0)
    y: int | None = Field(default=None, ge=0)
    w: int | None = Field(default=None, ge=1)
    h: int | None = Field(default=None, ge=1)


LAID_OUT = Field(default=None, description="on the grid")


class CreatedWidget(NewWidget):
    """A widget to create."""

    place: Place | None = PLACED
    layout: Layout | None = LAID_OUT
    old_id: int | None = Field(
        default=None, json_schema_extra={"hidden": True}, description="the id of the deleted widget that this restores"
    )


def restored_path(name: str, items: Sequence[CreatedWidget] | None) -> str | None:
    """The path of the first ``old_id`` in these widgets; None if there is none."""
    return next((f"{name}[{index}].old_id" for index, item in enumerate(items or []) if item.old_id is not None), None)


class WidgetChanges(WidgetFields):
    """New values. `filters` and `group_by` are replaced; `metadata` is merged, its `layout` too."""

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
    """Refuse to set and clear the same field; for metadata, both together replace it."""
    if CLEARED in (clear or []) and only_time(fields.get("filters")):
        raise fault("clear", f"names {CLEARED}, but the new filters have one; do only one of these.")
    for name in clear or []:
        if name != "metadata" and name in fields:
            raise fault("clear", f"names {name}, which also gets a new value; do only one of these.")


def unmergeable(fields: WidgetFields, clear: Sequence[str] | None, stored: Widget) -> str | None:
    """Why metadata cannot be merged into the stored value; None if it can."""
    metadata = stored.metadata
    if fields.metadata is None or "metadata" in (clear or []) or not metadata or isinstance(metadata, dict):
        return None
    return "cannot be merged: the stored value is not an object; to replace it, add metadata to clear."


def ignored_nulls(fields: WidgetFields | None, path: str) -> list[str]:
    """Notes on null fields, which are ignored."""
    if fields is None:
        return []
    names = [name for name in fields.model_fields_set if getattr(fields, name) is None and name != "clear"]
    if not names:
        return []
    return [f"{path}: empty values were ignored for {', '.join(sorted(names))}; use clear to empty a field"]


def sent_fields(fields: WidgetFields | None, clear: Sequence[str] | None, stored: JsonObject) -> JsonObject:
    """The fields to send for a requested change: cleared, replaced and merged."""
    sent: JsonObject = {name: "" if name == "field" else None for name in clear or [] if name != CLEARED}
    new_values = fields.values() if fields else {}
    if CLEARED in (clear or []):
        sent = {"filters": without_time(stored.get("filters")) or None} | sent
    metadata = as_object(stored.get("metadata"))
    if "metadata" in new_values and "metadata" not in sent and metadata is not None:
        new_values["metadata"] = _merge(metadata, new_values["metadata"], [LAYOUT])
    return sent | new_values


def _merge(stored: JsonObject, new: JsonObject, deep: Iterable[str]) -> JsonObject:
    """The new values over the stored ones; objects named in ``deep`` are merged recursively."""
    merged = stored | new
    for name in deep:
        old, new_part = as_object(stored.get(name)), as_object(new.get(name))
        if old is not None and new_part is not None:
            merged[name] = _merge(old, new_part, new_part)
    return merged


LINE = re.compile(r"(dashboard|widget|alert) (\d{1,15}) = (\d{1,15}) #([\w-]{8})", re.ASCII)
MAX_LINES = 400
_KINDS = {"widgets": "widget", "dashboards": "dashboard", "alerts": "alert"}
"""The first word of a covered field with ids, to their kind."""


class PlannedRequest(Request):
    """Arguments of every tool that writes."""

    plan_id: str | None = Field(
        default=None,
        description="from a dry run, a stopped delete or an undo",
    )
    restored: list[str] | None = Field(
        default=None, max_length=MAX_LINES, json_schema_extra={"hidden": True}, description="the lines alone"
    )

    @model_validator(mode="before")
    @classmethod
    def _split_plan_id(cls, value: Any) -> Any:
        """Split a plan_id from the lines appended to it."""
        fields = as_object(value)
        text = fields.get("plan_id") if fields else None
        if fields is None or not isinstance(text, str) or ";" not in text:
            return value
        plan_id, *lines = (part.strip() for part in text.split(";"))
        lines_sent = fields.get("restored")
        return {
            **fields,
            "plan_id": plan_id,
            "restored": [*(lines_sent if is_list(lines_sent) else []), *filter(None, lines)],
        }

    @field_validator("restored")
    @classmethod
    def _readable(cls, value: list[str] | None) -> list[str] | None:
        for line in value or []:
            if not LINE.fullmatch(line.strip()):
                raise fault("", "must contain lines exactly as in receipts.")
        return value

    def operations(self, tool: str) -> dict[str, object]:
        """What a plan_id signs: the tool and its arguments, as given."""
        arguments = self.model_dump(mode="json", exclude={"plan_id", "restored"}, exclude_none=True)
        return {"tool": tool, **arguments}

    def restores(self) -> str | None:
        """The path of an argument that restores something deleted, which only an undo may; None if there is none."""
        return None

    def ids(self, signer: Signer) -> "RestoredIds":
        """The current ids of restored things.

        Raises:
            PlanRefused: for a line that this server did not issue for this key.
        """
        return RestoredIds.from_lines(self.restored or [], signer)


def check_counts(request: PlannedRequest, **lists: Sequence[Any] | None) -> None:
    """Refuse more items than one call may have, unless it has a plan_id."""
    for name, items in lists.items():
        if request.plan_id is None and len(items or []) > MOST_WIDGETS:
            raise fault(name, f"is too long; at most {MOST_WIDGETS}.")


class RestoredIds(Struct, frozen=True):
    """The current ids of restored things, by former id."""

    new: dict[tuple[str, int], int] = field(default_factory=dict[tuple[str, int], int])

    @classmethod
    def from_lines(cls, lines: Iterable[str], signer: Signer) -> "RestoredIds":
        new_ids = dict[tuple[str, int], int]()
        for text in lines:
            match = LINE.fullmatch(text.strip())
            if match is None or restored_line(signer, match[1], int(match[2]), int(match[3])) != text.strip():
                raise PlanRefused("restored has a line that is not from a receipt for this key. Nothing was changed.")
            new_ids[match[1], int(match[2])] = int(match[3])
        return cls(new_ids)

    def now(self, kind: str, old: int) -> int:
        """The current id of a thing."""
        visited = {old}
        while (following := self.new.get((kind, old))) is not None and following not in visited:
            old = following
            visited.add(old)
        return old

    def over_time(self) -> "Iterator[RestoredIds]":
        """Itself, and with ever fewer of the oldest restorations, as plans issued in between would have it."""
        yield self
        lines = sorted(self.new.items(), key=lambda item: item[1])
        for count in range(1, len(lines) + 1):
            yield RestoredIds(dict(lines[count:]))

    def under_first_ids(self, covered: Covered) -> Covered:
        """A plan's covered state, under the original ids."""
        older = {(kind, new): old for (kind, old), new in self.new.items()}
        if not older:
            return covered

        def then(kind: str, number: int) -> int:
            visited = {number}
            while (before := older.get((kind, number))) is not None and before not in visited:
                number = before
                visited.add(number)
            return number

        fields_by_name = dict[str, Mapping[str, Any]]()
        for name, fields in covered.items():
            kind, _, number = name.partition(" ")
            if number.isdecimal():
                name = f"{kind} {then(kind, int(number))}"  # noqa: PLW2901 - the same thing under its original id
            fields_by_name[name] = {
                field: sorted(then(_KINDS[first], one) for one in ids)
                if (first := field.split(" ", 1)[0]) in _KINDS and is_list(ids)
                else ids
                for field, ids in fields.items()
            }
        return fields_by_name


def restored_line(signer: Signer, kind: str, old: int, new: int) -> str:
    """The line for a restored thing, as ``RestoredIds`` parses it."""
    text = f"{kind} {old} = {new}"
    return f"{text} #{signer.fingerprint(['restored', text])}"


CREATE, UPDATE, DELETE = "create_dashboard", "update_dashboard", "delete_dashboard"
BULK_EDIT = "bulk_edit_dashboard"
"""Tools whose calls an answer may contain."""


class CreateDashboardRequest(PlannedRequest):
    name: NewName = Field(max_length=MAX_NAME)
    project_id: ProjectId | None = Field(default=None, description="default: the only one")
    filters: Filter | None = Field(
        default=None,
        json_schema_extra={"bare": True},
        description="of all widgets, with a date range: timestamp gte today-7d",
    )
    widgets: list[CreatedWidget] | None = _list_of(AS_PREVIEWED, "brief")
    copy_of: DashboardId | None = Field(default=None, description="the dashboard to copy")
    old_id: int | None = Field(
        default=None, json_schema_extra={"hidden": True}, description="the id of the deleted one that this restores"
    )

    @model_validator(mode="after")
    def _sensible(self) -> "CreateDashboardRequest":
        if not self.name.strip() and self.old_id is None:
            raise fault("name", "is empty; give the dashboard a name.")
        check_counts(self, widgets=self.widgets)
        return self

    def restores(self) -> str | None:
        return "old_id" if self.old_id is not None else restored_path("widgets", self.widgets)


class DeleteDashboardRequest(PlannedRequest):
    dashboard_id: DashboardId


class DashboardEdit(Request):
    """Widgets to create, change and delete on one dashboard."""

    dashboard_id: DashboardId
    create: list[CreatedWidget] | None = _list_of(AS_PREVIEWED, "brief")
    update: list[WidgetUpdate] | None = _list_of("new values, by id", "brief")
    delete: list[WidgetId] | None = Field(default=None, max_length=MOST_WIDGETS_UNDONE)
    arrange: bool | None = Field(default=None, description="tidy: no overlaps, no gaps")

    @model_validator(mode="after")
    def _each_once(self) -> "DashboardEdit":
        if not (self.create or self.update or self.delete or self.arrange):
            raise fault("", "give create, update, delete or arrange.")
        named_ids = [item.id for item in self.update or []] + [*(self.delete or [])]
        if twice := sorted({number for number in named_ids if named_ids.count(number) > 1}):
            raise fault("", f"widget {twice[0]} occurs more than once in update and delete.")
        return self


class BulkEditRequest(DashboardEdit, PlannedRequest):
    create: list[CreatedWidget] | None = _list_of(f"{AS_PREVIEWED}; {PLACES}", "bare")
    update: list[WidgetUpdate] | None = _list_of("new values, by id; clear empties fields", "bare")

    @model_validator(mode="after")
    def _not_too_many(self) -> "BulkEditRequest":
        check_counts(self, create=self.create, update=self.update, delete=self.delete)
        return self

    def restores(self) -> str | None:
        return restored_path("create", self.create)


class UpdateDashboardRequest(PlannedRequest):
    dashboard_id: DashboardId
    name: NewName | None = Field(default=None, max_length=MAX_NAME)
    date_range: str | None = Field(default=None, description="7d, 30d, today …; other filters stay")
    only: Filter | None = Field(
        default=None, json_schema_extra={"bare": True}, description="only these calls; filters on other fields stay"
    )
    filters: Filter | None = Field(default=None, description="replaces all filters, the date range too: a condition")
    clear: list[Literal["name", "filters", "date_range"]] | None = None
    daily_report: Literal["add", "remove"] | None = None

    @model_validator(mode="after")
    def _something(self) -> "UpdateDashboardRequest":
        own = bool(self.values() or self.clear or self._narrows())
        if self.daily_report and own:
            raise fault("daily_report", "is an edit of the project; give it without the other changes.")
        if not own and not self.daily_report:
            raise fault("", "give name, date_range, only or filters, or clear one of them.")
        if self._narrows() and (self.filters or self.clear):
            raise fault(self._narrows(), "changes a part of the filters; it excludes filters and clear.")
        if self.name is not None and not self.name.strip():
            raise fault("name", "is empty; give a name, or add name to clear.")
        check_clear(self.values(), self.clear)
        return self

    def _narrows(self) -> str:
        """The argument that changes a part of the filters, or an empty string."""
        return "date_range" if self.date_range else "only" if self.only else ""

    def values(self) -> JsonObject:
        values = {"name": self.name, "filters": self.filters.to_json() if self.filters else None}
        return {name: value for name, value in values.items() if value is not None}
