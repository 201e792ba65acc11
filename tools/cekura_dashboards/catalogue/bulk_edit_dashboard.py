"""Create, change and delete widgets of one dashboard in one transaction."""

from cekura_dashboards.context import ToolContext
from cekura_dashboards.edits.changes import (
    Stored,
    WidgetEdits,
    all_differences,
    done_changes,
    not_applied,
    restored_lines,
)
from cekura_dashboards.edits.plan import Plan, checked, plan_bulk_edit, receipt_of, writing_tool
from cekura_dashboards.edits.plan_id import Covered, covered_alike, covered_widgets, signer
from cekura_dashboards.edits.receipt import Receipt, undo_arguments, undo_of
from cekura_dashboards.edits.request import BULK_EDIT, BulkEditRequest
from cekura_dashboards.edits.send import commit_bulk


async def plan(context: ToolContext, request: BulkEditRequest) -> Plan[WidgetEdits]:
    ids = request.ids(signer(context))
    dashboard = await context.lookups.dashboard(ids.now("dashboard", request.dashboard_id))
    return checked(context, await plan_bulk_edit(context, request, dashboard, ids), request)


async def commit(context: ToolContext, plan: Plan[WidgetEdits]) -> Receipt:
    done = await commit_bulk(context, plan.work)
    edits = done.edits
    way = undo_of(BulkEditRequest, undo_arguments(edits, [widget.id for widget in done.created]))
    return receipt_of(
        plan,
        done_changes(done),
        dashboard_id=edits.dashboard_id,
        differences=all_differences(done),
        not_applied=not_applied(done),
        restored=restored_lines(signer(context), edits.old_ids, done.created),
        undo=way.call(context, BULK_EDIT, _covered_by_undo(done, way.request)),
        read_back=done.read_back,
    )


def _covered_by_undo(done: Stored, undo: BulkEditRequest | None) -> Covered:
    """The state that the undo's plan covers: what is stored now of the widgets in it."""
    if undo is None:
        return {}
    named_ids = {*(item.id for item in undo.update or []), *(undo.delete or [])}
    touched = [widget for widget in done.widgets if widget.id in named_ids]
    restored = [item.values() for item in undo.create or []]
    return {**covered_widgets(touched), **covered_alike(undo.dashboard_id, done.widgets, restored)}


TOOL = writing_tool(
    name=BULK_EDIT,
    title="Edit a dashboard's widgets",
    description=(
        "Add, put charts, graphs on a dashboard, board; delete, remove, get rid of, replace old widgets, "
        "tiles; move them to the top, bottom, first, two in each row, next to another, same size, half "
        "width, reorder, rearrange, close gaps, tidy the layout, all at once."
    ),
    request=BulkEditRequest,
    plan=plan,
    commit=commit,
    destructive=True,
    idempotent=False,
)
