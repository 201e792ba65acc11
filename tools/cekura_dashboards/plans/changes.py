"""Edits of one dashboard's widgets: planned changes, what was done, and the way back."""

from collections.abc import Sequence

from cekura_dashboards.api.models import Dashboard, JsonObject, Widget
from cekura_dashboards.plans.plan import covered_dashboard, covered_widgets, undo_update
from cekura_dashboards.plans.plan_id import Covered, Signer
from cekura_dashboards.plans.receipt import Change, before_after
from cekura_dashboards.plans.restored import line
from cekura_dashboards.plans.send import Stored, WidgetEdits, differences
from cekura_dashboards.text import foreign


def covered(dashboard: Dashboard, touched: Sequence[Widget]) -> Covered:
    """The touched widgets, and the dashboard's filters and widget ids, on which creates depend."""
    whole = covered_dashboard(dashboard.id, dashboard.stored("filters"), [w.id for w in dashboard.widgets])
    return {**covered_widgets([*touched]), **whole}


def planned_changes(edits: WidgetEdits) -> list[Change]:
    """What would change, as a receipt would tell it."""
    deletes = [
        Change(
            op="delete", id=n, name=foreign(edits.before[n].name), fields=before_after(edits.before[n].writable(), {})
        )
        for n in edits.deletes
    ]
    updates = [
        Change(
            op="update",
            id=number,
            name=foreign(edits.before[number].name),
            fields=before_after(edits.before[number].writable(), {**edits.before[number].writable(), **fields}),
        )
        for number, fields in edits.updates.items()
    ]
    creates = [Change(op="create", name=foreign(c.get("name")), fields=before_after({}, c)) for c in edits.creates]
    return [*deletes, *updates, *creates]


def done_changes(done: Stored) -> list[Change]:
    """What did change."""
    edits = done.edits
    created = [
        Change(op="create", id=w.id, name=foreign(w.name), fields=before_after({}, w.writable())) for w in done.created
    ]  # fmt: skip
    updated = [
        Change(
            op="update",
            id=number,
            name=foreign(widget.name),
            fields=before_after(edits.before[number].writable(), widget.writable()),
        )
        for number, widget in done.updated.items()
        if number in edits.before
    ]
    deleted = [
        Change(op="delete", id=number, name=foreign(edits.before[number].name if number in edits.before else None))
        for number in edits.deletes
    ]
    return [*created, *updated, *deleted]


def all_differences(done: Stored) -> list[str]:
    """What is stored otherwise than asked."""
    edits, told = done.edits, list[str]()
    for config, widget in zip(edits.creates, done.created, strict=False):
        told += differences(config, widget, None, f"widget {widget.id}")
        if widget.dashboard not in {edits.dashboard_id, None}:
            told.append(f"widget {widget.id} was created on dashboard {widget.dashboard}, not {edits.dashboard_id}")
    for number, fields in edits.updates.items():
        told += differences(fields, done.updated[number], edits.before[number], f"widget {number}")
    return told


def restored_lines(signer: Signer, was: Sequence[int | None], created: Sequence[Widget]) -> list[str]:
    """Old and new ids of what was created again."""
    return [
        line(signer, "widget", old, widget.id) for old, widget in zip(was, created, strict=False) if old is not None
    ]


def not_done(done: Stored) -> list[str]:
    """What became of the operations that are not there, and why."""
    told = [f"{name}: {outcome}" for name, outcome in done.not_done.items()]
    return [*told, done.cause] if done.cause else told


def undo_arguments(edits: WidgetEdits, created: Sequence[int]) -> JsonObject:
    """The arguments of bulk_edit_dashboard that put these edits back."""
    arguments: JsonObject = {"dashboard_id": edits.dashboard_id}
    restored: list[JsonObject] = [{**edits.before[n].definition(), "was": n} for n in edits.deletes]
    back: list[JsonObject] = [
        {"id": number, **undo_update(edits.before[number].writable(), fields)}
        for number, fields in edits.updates.items()
    ]
    for name, value in (("create", restored), ("update", back), ("delete", [*created])):
        if value:
            arguments[name] = value
    return arguments


def covered_after(done: Stored, undo: JsonObject) -> Covered:
    """What the undo of what was done is planned against: what is stored now of the widgets that it names."""
    edits = done.edits
    ids = sorted((set(edits.known) - set(edits.deletes)) | {widget.id for widget in done.created})
    named = {item["id"] for item in undo.get("update", [])} | {*undo.get("delete", [])}
    whole = covered_dashboard(edits.dashboard_id or 0, edits.filters, ids)
    touched = [widget for widget in [*done.updated.values(), *done.created] if widget.id in named]
    return {**covered_widgets(touched), **whole}
