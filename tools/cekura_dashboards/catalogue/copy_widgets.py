"""The same widgets on many dashboards."""

from collections.abc import Mapping, Sequence

from msgspec import Struct
from pydantic import Field, model_validator

from cekura_dashboards.api.errors import DashboardsError, EditFailed, NotFound
from cekura_dashboards.api.filters import fault
from cekura_dashboards.api.models import Dashboard, JsonObject, Widget
from cekura_dashboards.arguments.references import DashboardId, WidgetId
from cekura_dashboards.context import ToolContext, gather, gather_by_id
from cekura_dashboards.edits.changes import EditOperation, Stored, WidgetEdits, all_differences, not_applied
from cekura_dashboards.edits.copies import (
    Back,
    Move,
    all_failed,
    copies_for,
    from_nowhere,
    moves_back,
    moves_to,
    outcomes_of,
    planned,
    removals_for,
    send_moves,
)
from cekura_dashboards.edits.plan import Plan, checked, receipt_of, writing_tool
from cekura_dashboards.edits.plan_id import Covered, covered, covered_alike, covered_widgets, signer
from cekura_dashboards.edits.receipt import Call, Receipt, Undo, refuse_too_large, undo_of
from cekura_dashboards.edits.request import PlannedRequest, RestoredIds
from cekura_dashboards.edits.send import commit_bulk, surely_not_applied
from cekura_dashboards.text import counted, untrusted

NAME = "copy_widgets"
MOST_WIDGETS, MOST_DASHBOARDS, MOST_COPIES = 20, 50, 200


class CopyRequest(PlannedRequest):
    widget_ids: list[WidgetId] = Field(max_length=MOST_WIDGETS)
    dashboard_ids: list[DashboardId] = Field(max_length=MOST_DASHBOARDS, description="where to")
    move: bool | None = Field(default=None, description="move them instead")
    back: list[Back] | None = Field(default=None, json_schema_extra={"hidden": True})
    remove: list[int] | None = Field(default=None, max_length=MOST_COPIES, description="of an undo alone")

    @model_validator(mode="after")
    def _sensible(self) -> "CopyRequest":
        for name in ("widget_ids", "dashboard_ids"):
            if not getattr(self, name):
                raise fault(name, "is empty; give at least one id.")
        if len(self.widget_ids) * len(self.dashboard_ids) > MOST_COPIES:
            raise fault("", f"makes more than {MOST_COPIES} copies; split dashboard_ids over several calls.")
        if self.remove is not None and self.plan_id is None:
            raise fault("remove", "belongs to an undo; to delete widgets use bulk_edit_dashboard.")
        if self.move and not self.back and len({*self.dashboard_ids}) > 1:
            raise fault("dashboard_ids", "holds several; widgets are moved to one dashboard.")
        if self.back and not self.move:
            raise fault("back", "belongs to the undo of a move.")
        if self.back and {item.id for item in self.back} != {*self.widget_ids}:
            raise fault("back", "names other widgets than widget_ids.")
        return self

    def restores(self) -> str | None:
        return "remove" if self.remove is not None else "back" if self.back else None


class Copies(Struct, frozen=True):
    """The work on each dashboard: create copies of ``sources``, or remove them."""

    request: CopyRequest
    sources: list[Widget]
    edits: list[WidgetEdits]

    @property
    def removes(self) -> bool:
        return self.request.remove is not None


class Moves(Struct, frozen=True):
    """Widgets to move."""

    moves: list[Move]


async def plan(context: ToolContext, request: CopyRequest) -> Plan[Copies | Moves]:
    ids = request.ids(signer(context))
    return await (_plan_moves if request.move else _plan_copies)(context, request, ids)


async def _plan_moves(context: ToolContext, request: CopyRequest, ids: RestoredIds) -> Plan[Copies | Moves]:
    """Moves to one dashboard, or back to where each widget was."""
    numbers = [] if request.back else [ids.now("dashboard", request.dashboard_ids[0])]
    ids_to_move = dict.fromkeys(ids.now("widget", number) for number in request.widget_ids)
    dashboards, widgets = await _read(context, numbers, [*ids_to_move], optional=False)
    warnings, notes = list[str](), list[str]()
    if request.back:
        moves = moves_back(widgets, request.back, ids)
    else:
        moves, warnings, notes = await moves_to(context, dashboards[0], widgets, ids)
    way = _undo_of_moves(moves)
    refuse_too_large(way.arguments if way else {})
    plan = Plan[Copies | Moves](
        work=Moves(moves),
        verb="Move widgets to",
        about="where they were" if request.back else f"dashboard {numbers[0]}",
        operations=request.operations(NAME),
        covered={**_covered(widgets), **(covered(dashboards[0], []) if dashboards else {})},
        changes=[move.operation() for move in moves],
        warnings=[*warnings, *from_nowhere(moves), *(way.warnings if way else [])],
        notes=notes,
        stamps=[widget.updated_at for widget in widgets],
    )
    return checked(context, plan, request)


def _covered(widgets: Sequence[Widget]) -> Covered:
    """The widgets, and where they are."""
    covered = covered_widgets([*widgets])
    return {f"widget {w.id}": {**covered[f"widget {w.id}"], "dashboards": [w.dashboard or 0]} for w in widgets}


def _undo_of_moves(moves: Sequence[Move]) -> Undo[CopyRequest] | None:
    """The call that moves widgets back; None if the API names no dashboard for any."""
    return _moving([move.back for move in moves if move.before.dashboard is not None])


def _moving(back: list[JsonObject]) -> Undo[CopyRequest] | None:
    """The undo call that moves widgets to dashboards, with their metadata there."""
    dashboards = dict.fromkeys(item["dashboard_id"] for item in back)
    arguments = {
        "widget_ids": [item["id"] for item in back],
        "dashboard_ids": [*dashboards],
        "move": True,
        "back": back,
    }
    return undo_of(CopyRequest, arguments) if back else None


async def _plan_copies(context: ToolContext, request: CopyRequest, ids: RestoredIds) -> Plan[Copies | Moves]:
    numbers = dict.fromkeys(ids.now("dashboard", number) for number in request.dashboard_ids)
    ids_to_copy = dict.fromkeys(ids.now("widget", number) for number in request.widget_ids)
    dashboards, sources = await _read(context, [*numbers], [*ids_to_copy], optional=request.remove is not None)
    if request.remove is None:
        edits, warnings, notes = await copies_for(context, dashboards, sources, ids)
    else:
        edits, warnings, notes = removals_for(dashboards, request.remove, ids), [], []
    touched = [widget for edit in edits for widget in edit.before.values()]
    everything: Covered = {
        **covered_widgets(touched if request.remove is not None else sources),
        **{name: part for dashboard in dashboards for name, part in covered(dashboard, []).items()},
    }
    plan = Plan[Copies | Moves](
        work=Copies(request, sources, edits),
        verb="Take copies away from" if request.remove is not None else "Copy widgets to",
        about=counted(len(edits), "dashboard"),
        operations=request.operations(NAME),
        covered=everything,
        covered_by_undo=_covered_by_undo(
            touched if request.remove is not None else [],
            sources if request.remove is None else [],
            {dashboard.id: dashboard.widgets for dashboard in dashboards},
        ),
        changes=[change for edit in edits for change in planned(edit)],
        warnings=warnings,
        notes=notes,
        stamps=[*(d.updated_at for d in dashboards), *(w.updated_at for w in [*sources, *touched])],
    )
    return checked(context, plan, request)


async def _read(
    context: ToolContext, numbers: Sequence[int], widgets: Sequence[int], *, optional: bool
) -> tuple[list[Dashboard], list[Widget]]:
    """The dashboards and the widgets to copy. ``optional``: leave out deleted widgets."""
    (dashboards, unread), (widgets_read, missing) = await gather(
        context.lookups.dashboards(numbers), context.lookups.widgets(widgets)
    )
    gone = [error for error in missing.values() if not (optional and isinstance(error, NotFound))]
    for error in [*unread.values(), *gone]:
        raise error
    return [dashboards[number] for number in numbers], [
        widgets_read[number] for number in widgets if number in widgets_read
    ]


async def commit(context: ToolContext, plan: Plan[Copies | Moves]) -> Receipt:
    if isinstance(plan.work, Moves):
        return await _commit_moves(context, plan, plan.work.moves)
    return await _commit_copies(context, plan, plan.work)


async def _commit_moves(context: ToolContext, plan: Plan[Copies | Moves], moves: Sequence[Move]) -> Receipt:
    stored, failed, read_back = await send_moves(context, moves)
    if not stored:
        raise all_failed(failed)
    done = [move for move in moves if move.before.id in stored]
    way, movable_back = (
        _undo_of_moves(done),
        [stored[move.before.id] for move in done if move.before.dashboard is not None],
    )
    return receipt_of(
        plan,
        [move.operation(stored[move.before.id]) for move in done],
        differences=[text for move in done for text in move.differences(stored[move.before.id])],
        not_applied=outcomes_of(failed),
        remaining=_remaining_moves(context, plan, moves, failed),
        undo=way.call(context, NAME, _covered(movable_back)) if way else None,
        read_back=read_back,
    )


def _remaining_moves(
    context: ToolContext, plan: Plan[Copies | Moves], moves: Sequence[Move], failed: Mapping[int, DashboardsError]
) -> list[Call]:
    """The call for the widgets that were certainly not moved, also for the rest of an undo."""
    unmoved = [move for move in moves if move.before.id in failed and surely_not_applied(failed[move.before.id])]
    if not unmoved:
        return []
    if plan.origin != "undo":
        numbers = [move.before.id for move in unmoved]
        return [Call(tool=NAME, arguments={"widget_ids": numbers, "dashboard_ids": [unmoved[0].to], "move": True})]
    way = _moving([move.forth for move in unmoved])
    call = way.call(context, NAME, _covered([move.before for move in unmoved])) if way else None
    return [call] if call else []


async def _commit_copies(context: ToolContext, plan: Plan[Copies | Moves], work: Copies) -> Receipt:
    finished = 0
    edits = {edit.dashboard_id or 0: edit for edit in work.edits}

    async def one(number: int) -> Stored:
        nonlocal finished
        try:
            return await commit_bulk(context, edits[number])
        finally:
            finished += 1
            await context.progress(finished, len(edits), "dashboards done")

    stored, failed = await gather_by_id(edits, one)
    if not stored:
        raise _all_failed(failed)
    done = [stored[number] for number in edits if number in stored]
    failures = [f"dashboard {number}: {error}" for number, error in sorted(failed.items())]
    return receipt_of(
        plan,
        [change for stored_edits in done for change in _done(stored_edits)],
        differences=[text for stored_edits in done for text in all_differences(stored_edits)],
        not_applied=[
            *(
                f"dashboard {stored_edits.edits.dashboard_id}: {text}"
                for stored_edits in done
                for text in not_applied(stored_edits)
            ),
            *failures,
        ],
        remaining=_remaining_copies(context, work, failed),
        undo=_undo(context, work, done),
        read_back=any(stored_edits.read_back for stored_edits in done),
    )


def _all_failed(failed: Mapping[int, DashboardsError]) -> DashboardsError:
    """One error for all: the first, with the outcome of each operation."""
    errors = [failed[number] for number in sorted(failed)]
    if len(errors) == 1 or not any(isinstance(error, EditFailed) for error in errors):
        return errors[0]
    outcomes = dict[str, str]()
    for number, error in sorted(failed.items()):
        outcomes_of = error.outcomes if isinstance(error, EditFailed) else {"all": "not applied"}
        outcomes |= {f"dashboard {number} {name}": text for name, text in outcomes_of.items()}
    first = next(error for error in errors if isinstance(error, EditFailed))
    return EditFailed(first.cause, outcomes)


def _done(done: Stored) -> list[EditOperation]:
    edits, where = done.edits, done.edits.dashboard_id
    created = [EditOperation(op="create", id=w.id, name=untrusted(w.name), dashboard_id=where) for w in done.created]
    deleted = [
        EditOperation(
            op="delete", id=n, name=untrusted(edits.before[n].name if n in edits.before else None), dashboard_id=where
        )
        for n in edits.deletes
    ]
    return [*created, *deleted]


def _remaining_copies(context: ToolContext, work: Copies, failed: Mapping[int, DashboardsError]) -> list[Call]:
    """The call for the dashboards that certainly did not change, also for the rest of an undo."""
    again = [number for number, error in sorted(failed.items()) if surely_not_applied(error)]
    if not again:
        return []
    if not work.removes:
        return [Call(tool=NAME, arguments={"widget_ids": [w.id for w in work.sources], "dashboard_ids": again})]
    remaining = [widget for edit in work.edits if edit.dashboard_id in again for widget in edit.before.values()]
    arguments: JsonObject = {"widget_ids": work.request.widget_ids, "dashboard_ids": again}
    way = undo_of(CopyRequest, {**arguments, "remove": [widget.id for widget in remaining]})
    call = way.call(context, NAME, _covered_by_undo(remaining, [], {}))
    return [call] if call else []


def _undo(context: ToolContext, work: Copies, stored: Sequence[Stored]) -> Call | None:
    """After copying, the call that removes the copies; after removing, the one that copies again."""
    arguments: JsonObject = {
        "widget_ids": [widget.id for widget in work.sources],
        "dashboard_ids": [done.edits.dashboard_id for done in stored],
    }
    if work.removes:
        if len(work.sources) < len(work.request.widget_ids):
            return None
    else:
        arguments["remove"] = [widget.id for done in stored for widget in done.created]
    covered = _covered_by_undo(
        [] if work.removes else [widget for done in stored for widget in done.created],
        work.sources if work.removes else [],
        {done.edits.dashboard_id or 0: done.widgets for done in stored},
    )
    return undo_of(CopyRequest, arguments).call(context, NAME, covered)


def _covered_by_undo(removed: Sequence[Widget], copied: Sequence[Widget], there: Mapping[int, list[Widget]]) -> Covered:
    """The state that the undo's plan covers: the copies, or the originals and similar widgets on the dashboards."""
    configs = [widget.definition() for widget in copied]
    alike = [covered_alike(number, widgets, configs) for number, widgets in there.items()]
    return {**covered_widgets([*removed, *copied]), **{name: part for one in alike for name, part in one.items()}}


TOOL = writing_tool(
    name=NAME,
    title="Copy widgets to dashboards",
    description=(
        "Copy, replicate, duplicate a chart, every widget from one dashboard into, onto another, the same"
        " graph on several, too, as well; transfer, relocate, move widgets over, which removes them here."
    ),
    request=CopyRequest,
    plan=plan,
    commit=commit,
    destructive=True,  # `move` removes widgets from their dashboards, and `remove` deletes copies
    idempotent=False,
)
