"""Edits of widgets: the operations, what the API stores after them, and the changes that a receipt lists."""

from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct, field
from pydantic import BaseModel

from cekura_dashboards.api.models import WRITABLE, JsonObject, Widget, as_object, same
from cekura_dashboards.edits.plan_id import Signer
from cekura_dashboards.edits.request import restored_line
from cekura_dashboards.text import SafeText, UntrustedText, cut, json_text, named, short_json, spelled_blanks, untrusted

VALUE_LIMIT = 400
FEW_INSIDE = 4
BEFORE = 20
"""Characters shown before the first difference of two long values."""
MOST_SHOWN = 120
"""Characters of a value in a difference."""


class EditOperation(BaseModel):
    """One operation on a widget, a dashboard or an alert. ``fields`` maps a field to ``[before, after]``."""

    op: Literal["create", "update", "delete"]
    kind: Literal["dashboard", "alert", "project"] | None = None
    id: int | None = None
    name: UntrustedText | None = None
    dashboard_id: int | None = None
    fields: dict[SafeText, list[Any]] | None = None


class WidgetEdits(Struct, frozen=True, kw_only=True):
    """Operations on the widgets of one dashboard, which was just read.

    ``updates`` maps a widget's id to the fields to send. ``before``: the widgets that it touches; ``widgets``: all
    widgets of the dashboard; ``old_ids``: the former ids of created widgets that restore deleted ones.
    """

    dashboard_id: int | None
    creates: list[JsonObject] = field(default_factory=list[JsonObject])
    updates: dict[int, JsonObject] = field(default_factory=dict[int, JsonObject])
    deletes: list[int] = field(default_factory=list[int])
    before: dict[int, Widget] = field(default_factory=dict[int, Widget])
    widgets: dict[int, Widget] = field(default_factory=dict[int, Widget])
    old_ids: tuple[int | None, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.creates or self.updates or self.deletes)


class Stored(Struct, frozen=True, kw_only=True):
    """The stored state after an edit; ``edits``: the operations that were applied.

    ``created``: in the order of its creates. ``not_applied``: the outcome of each other operation, by name; ``cause``:
    why it was not applied.
    """

    edits: WidgetEdits
    created: list[Widget] = field(default_factory=list[Widget])
    updated: dict[int, Widget] = field(default_factory=dict[int, Widget])
    read_back: bool = False
    not_applied: dict[str, str] = field(default_factory=dict[str, str])
    cause: str | None = None

    @property
    def widgets(self) -> list[Widget]:
        """The widgets on the dashboard now, as far as known."""
        edits = self.edits
        remaining = [widget for number, widget in edits.widgets.items() if number not in edits.deletes]
        return [*(self.updated.get(widget.id, widget) for widget in remaining), *self.created]


def planned_changes(edits: WidgetEdits) -> list[EditOperation]:
    """The planned changes, as a receipt lists them."""
    deletes = [
        EditOperation(
            op="delete", id=n, name=untrusted(edits.before[n].name), fields=before_after(edits.before[n].writable(), {})
        )
        for n in edits.deletes
    ]
    updates = [
        EditOperation(
            op="update",
            id=number,
            name=untrusted(edits.before[number].name),
            fields=before_after(edits.before[number].writable(), {**edits.before[number].writable(), **fields}),
        )
        for number, fields in edits.updates.items()
    ]
    creates = [
        EditOperation(op="create", name=untrusted(c.get("name")), fields=before_after({}, c)) for c in edits.creates
    ]
    return [*deletes, *updates, *creates]


def done_changes(done: Stored) -> list[EditOperation]:
    """The applied changes."""
    edits = done.edits
    created = [
        EditOperation(op="create", id=w.id, name=untrusted(w.name), fields=before_after({}, w.writable()))
        for w in done.created
    ]
    updated = [
        EditOperation(
            op="update",
            id=number,
            name=untrusted(widget.name),
            fields=before_after(edits.before[number].writable(), widget.writable()),
        )
        for number, widget in done.updated.items()
        if number in edits.before
    ]
    deleted = [
        EditOperation(
            op="delete", id=number, name=untrusted(edits.before[number].name if number in edits.before else None)
        )
        for number in edits.deletes
    ]
    return [*created, *updated, *deleted]


def all_differences(done: Stored) -> list[str]:
    """Where the stored state differs from the request."""
    edits, texts = done.edits, list[str]()
    for config, widget in zip(edits.creates, done.created, strict=False):
        texts += differences(config, widget, None, f"widget {widget.id}")
        if widget.dashboard not in {edits.dashboard_id, None}:
            texts.append(f"widget {widget.id} was created on dashboard {widget.dashboard}, not {edits.dashboard_id}")
    for number, fields in edits.updates.items():
        texts += differences(fields, done.updated[number], edits.before[number], f"widget {number}")
    return texts


def differences(requested: JsonObject, stored: Widget, before: Widget | None, name: str) -> list[str]:
    """Where the stored state differs from the request, and what else changed."""
    texts = list[str]()
    for part in WRITABLE:
        value: Any = stored.stored(part)
        if part in requested and not same(value, requested[part]):
            requested_value, stored_value = both_as_json(requested[part], value)
            texts.append(f"{name} {part}: sent {requested_value}, stored {stored_value}")
        elif part not in requested and before is not None and not same(value, before.stored(part)):
            old, stored_value = both_as_json(before.stored(part), value)
            texts.append(f"{name} {part}: also changed, from {old} to {stored_value}")
    return texts


def not_applied(done: Stored) -> list[str]:
    """The outcomes of the operations that were not applied, and the cause."""
    texts = [f"{name}: {outcome}" for name, outcome in done.not_applied.items()]
    return [*texts, done.cause] if done.cause else texts


def restored_lines(signer: Signer, old_ids: Sequence[int | None], created: Sequence[Widget]) -> list[str]:
    """Old and new ids of restored widgets, a line each."""
    return [
        restored_line(signer, "widget", old, widget.id)
        for old, widget in zip(old_ids, created, strict=False)
        if old is not None
    ]


def before_after(before: JsonObject, after: JsonObject, fields: Sequence[str] = WRITABLE) -> dict[str, list[Any]]:
    """The writable fields that differ (an empty string equals null); of metadata only the parts that differ."""
    fields_changed = dict[str, list[Any]]()
    for name in fields:
        old, new = before.get(name), after.get(name)
        if same(old, new):
            continue
        inside = _differing(old, new, name) if name == "metadata" and old and new else None
        fields_changed |= inside if inside and len(inside) <= FEW_INSIDE else {name: _pair(old, new)}
    return fields_changed


def _differing(before: Any, after: Any, path: str) -> dict[str, list[Any]]:
    """The differences of two JSON values, by path."""
    old, new = as_object(before), as_object(after)
    if old is None or new is None:
        return {} if same(before, after) else {UntrustedText(path): _pair(before, after)}
    inside = [_differing(old.get(name), new.get(name), f"{path}.{name}") for name in dict.fromkeys([*old, *new])]
    return {name: pair for part in inside for name, pair in part.items()}


def _pair(before: Any, after: Any) -> list[Any]:
    """Both values, shortened; if they would look alike, the parts that differ."""
    short_values = [_short(before), _short(after)]
    if (
        json_text(short_values[0]) != json_text(short_values[1])
        and _shows(before, short_values[0])
        and _shows(after, short_values[1])
    ):
        return short_values
    old, new = (value if isinstance(value, str) else json_text(value) for value in (before, after))
    start = _difference(old, new, VALUE_LIMIT)
    parts = [("…" if start else "") + spelled_blanks(text[start:]) for text in (old, new)]
    return [
        None if value is None else UntrustedText(part, limit=VALUE_LIMIT)
        for value, part in zip((before, after), parts, strict=True)
    ]


def _shows(value: Any, short_value: Any) -> bool:
    """Whether the short value shows anything of the value."""
    return not (isinstance(value, str) and value and not short_value)


def _difference(old: str, new: str, limit: int) -> int:
    """The offset from which to show two texts so that the difference is visible; 0 if it is near the start."""
    differs = next(
        (place for place, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new))
    )
    return max(0, differs - BEFORE) if differs >= limit - BEFORE else 0


def _short(value: Any) -> Any:
    """The value, truncated if long."""
    if isinstance(value, str):
        return UntrustedText(value, limit=VALUE_LIMIT)
    text = json_text(value)
    return value if len(text) <= VALUE_LIMIT else UntrustedText(text, limit=VALUE_LIMIT)


def line_of(change: EditOperation) -> str:
    """``update 203 "Success rate": name: "Old" → "New"``."""
    number = change.id if change.id is not None else "new"
    head = f"{change.op} {f'{change.kind} ' if change.kind else ''}{number} {named(change.name)}"
    if change.dashboard_id is not None:
        head += f" on dashboard {change.dashboard_id}"
    if not change.fields:
        return head
    parts = [
        f"{name}: {json_text(before)} → {json_text(after)}"
        if change.op == "update"
        else f"{name}: {json_text(after if change.op == 'create' else before)}"
        for name, (before, after) in change.fields.items()
    ]
    return f"{head}: {'; '.join(parts)}"


def as_json(value: Any) -> str:
    return short_json(value, limit=MOST_SHOWN)


def both_as_json(first: Any, second: Any) -> tuple[str, str]:
    """Two different values as JSON, truncated so that the difference is visible."""
    old, new = json_text(first), json_text(second)
    start = _difference(old, new, MOST_SHOWN)
    begin = "…" if start else ""
    return cut(begin + old[start:], MOST_SHOWN), cut(begin + new[start:], MOST_SHOWN)
