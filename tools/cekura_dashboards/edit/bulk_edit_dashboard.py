"""Create, change and delete widgets of one dashboard, all of it or none."""

from typing import Any

from pydantic import Field, ValidationError, model_validator

from cekura_dashboards.api.errors import Fault
from cekura_dashboards.api.filters import fault
from cekura_dashboards.api.models import Dashboard, JsonObject, Widget
from cekura_dashboards.context import ToolContext
from cekura_dashboards.edit.commit import LOST_ANSWER, Stored, commit_bulk, differences
from cekura_dashboards.edit.plan import (
    NO_UNDO,
    Checker,
    Plan,
    can_be_recreated,
    changed_only,
    covered_widgets,
    refuse_too_large,
    signer,
    undo_update,
)
from cekura_dashboards.edit.receipt import Change, Receipt, Undo, before_after, fitted, render
from cekura_dashboards.edit.request import PLAN_ID, WidgetUpdate, ignored_nulls, sent_fields
from cekura_dashboards.read.request import NewWidget
from cekura_dashboards.suggest import one_of
from cekura_dashboards.text import named
from cekura_dashboards.tool import Request, Tool

NAME = "bulk_edit_dashboard"
MOST = 60


class BulkEditRequest(Request):
    dashboard_id: int
    create: list[NewWidget] | None = Field(default=None, max_length=MOST)
    update: list[WidgetUpdate] | None = Field(
        default=None, max_length=MOST, description="as update_widget's changes, with id"
    )
    delete: list[int] | None = Field(default=None, max_length=MOST, description="widget ids")
    plan_id: str | None = PLAN_ID

    @model_validator(mode="after")
    def _each_once(self) -> "BulkEditRequest":
        if not (self.create or self.update or self.delete):
            raise fault("", "give create, update or delete.")
        named_ids = [item.id for item in self.update or []] + [*(self.delete or [])]
        if twice := sorted({number for number in named_ids if named_ids.count(number) > 1}):
            raise fault("", f"widget {twice[0]} is named more than once in update and delete; name it once.")
        return self


async def plan(context: ToolContext, request: BulkEditRequest) -> Plan:
    dashboard = await context.api.get_dashboard(request.dashboard_id)
    mine = {widget.id: widget for widget in dashboard.widgets}
    checker = Checker(context, dashboard.project, dashboard.filters)
    creates = [item.given() for item in request.create or []]
    for index, config in enumerate(creates):
        await checker.created(config, f"create[{index}].")
    updates, notes = dict[int, JsonObject](), list[str]()
    for index, item in enumerate(request.update or []):
        path = f"update[{index}]"
        notes += ignored_nulls(item, path)
        if item.id not in mine:
            checker.faults.append(_stranger(f"{path}.id", item.id, dashboard))
            continue
        sent = changed_only(sent_fields(item, item.clear, mine[item.id].writable()), mine[item.id])
        if not sent:
            notes.append(f"{path}: widget {item.id} is stored like this already")
            continue
        updates[item.id] = sent
        await checker.updated(mine[item.id], sent, f"{path}.")
    deletes = list(request.delete or [])
    for index, number in enumerate(deletes):
        if number not in mine:
            checker.faults.append(_stranger(f"delete[{index}]", number, dashboard))
    warnings = checker.done()
    touched = [mine[number] for number in [*updates, *deletes]]
    made = Plan(
        dashboard_id=dashboard.id,
        creates=creates,
        updates=updates,
        deletes=deletes,
        before={widget.id: widget for widget in touched},
        covered=_covered(dashboard, touched),
        warnings=[*warnings, *_cannot_be_undone([mine[n] for n in deletes])],
        notes=notes,
        approved=request.plan_id is not None,
    )
    if request.plan_id is not None:
        signer(context).check(request.plan_id, made.operations, made.covered)
    refuse_too_large(_undo_arguments(made, [0] * len(creates)))
    return made


def _stranger(path: str, number: int, dashboard: Dashboard) -> Fault:
    known = one_of((f"{widget.id} {named(widget.name)}" for widget in dashboard.widgets), limit=8)
    return Fault(path, f"widget {number} is not on dashboard {dashboard.id}; its widgets: {known or 'none'}.")


def _covered(dashboard: Dashboard, touched: list[Widget]) -> dict[str, JsonObject]:
    """The touched widgets, and the dashboard's filters and widget ids, on which creates depend."""
    ids = sorted(widget.id for widget in dashboard.widgets)
    whole = {f"dashboard {dashboard.id}": {"filters": dashboard.filters or None, "widgets": ids}}
    return {**covered_widgets(touched), **whole}


def _cannot_be_undone(deleted: list[Widget]) -> list[str]:
    return [
        f"widget {widget.id} {named(widget.name)} holds what this server cannot create, so undo cannot restore it"
        for widget in deleted
        if not can_be_recreated(widget)
    ]


async def commit(context: ToolContext, made: Plan) -> Receipt:
    notes = made.notes or None
    if made.is_empty:
        return Receipt(outcome="nothing_to_do", dashboard_id=made.dashboard_id, changes=[], notes=notes)
    if made.deletes and not made.approved:
        plan_id = signer(context).issue(made.operations, made.covered)
        return fitted(
            Receipt(
                outcome="needs_plan",
                dashboard_id=made.dashboard_id,
                changes=_planned(made),
                warnings=made.warnings or None,
                plan_id=plan_id,
                notes=notes,
            )
        )
    done = await commit_bulk(context, made)
    undo = _undo(context, made, done)
    warnings = [*made.warnings, *([LOST_ANSWER] if done.read_back else []), *([] if undo else [NO_UNDO])]
    receipt = Receipt(
        outcome="applied",
        dashboard_id=made.dashboard_id,
        changes=_changes(made, done),
        differences=_differences(made, done) or None,
        warnings=warnings or None,
        undo=undo,
        notes=notes,
    )
    return fitted(receipt)


def _planned(made: Plan) -> list[Change]:
    """What would change, as a receipt would tell it."""
    deletes = [
        Change(op="delete", id=n, name=made.before[n].name, fields=before_after(made.before[n].writable(), {}))
        for n in made.deletes
    ]
    updates = [
        Change(
            op="update",
            id=number,
            name=made.before[number].name,
            fields=before_after(made.before[number].writable(), {**made.before[number].writable(), **fields}),
        )
        for number, fields in made.updates.items()
    ]
    creates = [Change(op="create", name=c.get("name"), fields=before_after({}, c)) for c in made.creates]
    return [*deletes, *updates, *creates]


def _changes(made: Plan, done: Stored) -> list[Change]:
    created = [
        Change(op="create", id=w.id, name=w.name, fields=before_after({}, w.writable())) for w in done.created
    ]  # fmt: skip
    updated = [
        Change(
            op="update",
            id=number,
            name=widget.name,
            fields=before_after(made.before[number].writable(), widget.writable()),
        )
        for number, widget in done.updated.items()
        if number in made.before
    ]
    deleted = [
        Change(op="delete", id=n, name=made.before[n].name if n in made.before else None) for n in done.deleted
    ]  # fmt: skip
    return [*created, *updated, *deleted]


def _differences(made: Plan, done: Stored) -> list[str]:
    told = list[str]()
    if len(done.created) != len(made.creates):
        told.append(f"{len(made.creates)} widgets were to be created, {len(done.created)} were answered")
    for config, widget in zip(made.creates, done.created, strict=False):
        told += differences(config, widget, None, f"widget {widget.id}")
        if widget.dashboard not in {made.dashboard_id, None}:
            told.append(f"widget {widget.id} was created on dashboard {widget.dashboard}, not {made.dashboard_id}")
    for number, fields in made.updates.items():
        if number in done.updated:
            told += differences(fields, done.updated[number], made.before[number], f"widget {number}")
        else:
            told.append(f"widget {number} was to be updated, but was not answered")
    missing = sorted(set(made.deletes) - set(done.deleted))
    return [*told, *(f"widget {number} was to be deleted, but was not answered" for number in missing)]


def _undo_arguments(made: Plan, created: list[int]) -> JsonObject:
    arguments: JsonObject = {"dashboard_id": made.dashboard_id}
    restored = [made.before[n].definition() for n in made.deletes if can_be_recreated(made.before[n])]
    back: list[JsonObject] = [
        {"id": number, **undo_update(made.before[number].writable(), fields)} for number, fields in made.updates.items()
    ]
    for name, value in (("create", restored), ("update", back), ("delete", created)):
        if value:
            arguments[name] = value
    return arguments


def _undo(context: ToolContext, made: Plan, done: Stored) -> Undo | None:
    """The reverse edit, with a plan_id over what is stored now."""
    arguments = _undo_arguments(made, [widget.id for widget in done.created])
    try:
        request = BulkEditRequest.model_validate(arguments)
    except ValidationError:
        return None
    updates = dict[int, JsonObject]()
    for item in request.update or []:
        if item.id in done.updated:
            stored = done.updated[item.id]
            sent = changed_only(sent_fields(item, item.clear, stored.writable()), stored)
            if sent:
                updates[item.id] = sent
    reverse = Plan(
        dashboard_id=made.dashboard_id,
        creates=[item.given() for item in request.create or []],
        updates=updates,
        deletes=list(request.delete or []),
    )
    touched = [done.updated[n] for n in updates] + [w for w in done.created if w.id in reverse.deletes]
    whole: Any = made.covered[f"dashboard {made.dashboard_id}"]
    ids = sorted((set(whole["widgets"]) - set(done.deleted)) | {widget.id for widget in done.created})
    covered = {
        **covered_widgets(touched),
        f"dashboard {made.dashboard_id}": {"filters": whole["filters"], "widgets": ids},
    }
    plan_id = signer(context).issue(reverse.operations, covered)
    return Undo(tool=NAME, arguments={**arguments, "plan_id": plan_id})


async def run(context: ToolContext, request: BulkEditRequest) -> Receipt:
    return await commit(context, await plan(context, request))


TOOL = Tool(
    name=NAME,
    title="Edit a dashboard's widgets",
    description=(
        "Create, change and delete widgets of one dashboard in one transaction. Answers with before and after, and an "
        "`undo` call. With `delete` the first call changes nothing: it tells what would be lost and gives a plan_id; "
        "repeat the call with it once the user agrees. Widgets come from preview_widget, ids from get_dashboard."
    ),
    request=BulkEditRequest,
    result=Receipt,
    run=run,
    render=render,
    writes=True,
    destructive=True,
    idempotent=False,
)
