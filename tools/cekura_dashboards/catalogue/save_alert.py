"""Create, change, switch or delete an alert."""

from cekura_dashboards.api.models import Alert
from cekura_dashboards.context import ToolContext
from cekura_dashboards.edits.alerts import (
    SAVE_ALERT,
    AlertEdit,
    SaveAlertRequest,
    alert_differences,
    alert_operation,
    covered_alert,
    plan_alert,
    send_alert,
    undo_delete_arguments,
    undo_update_arguments,
)
from cekura_dashboards.edits.plan import Plan, receipt_of, writing_tool
from cekura_dashboards.edits.plan_id import signer
from cekura_dashboards.edits.receipt import Call, Receipt, undo_of
from cekura_dashboards.edits.request import restored_line


async def commit(context: ToolContext, plan: Plan[AlertEdit]) -> Receipt:
    edit = plan.work
    stored, read_back = await send_alert(context, edit)
    restored = []
    if stored is not None and edit.old_id is not None:
        restored = [restored_line(signer(context), "alert", edit.old_id, stored.id)]
    return receipt_of(
        plan,
        [alert_operation(edit, stored)],
        differences=[] if stored is None else alert_differences(edit.fields, stored),
        restored=restored,
        undo=_undo(context, edit, stored),
        read_back=read_back,
    )


def _undo(context: ToolContext, edit: AlertEdit, stored: Alert | None) -> Call | None:
    """The undo: deletes a new alert, restores the values before a change, or creates a deleted alert under a new id."""
    if stored is None:
        arguments = undo_delete_arguments(edit.before) if edit.before else {}
        return undo_of(SaveAlertRequest, arguments).call(context, SAVE_ALERT, edit.alike)
    arguments = {"alert_id": stored.id, "action": "delete"}
    if edit.before is not None:
        arguments = undo_update_arguments(edit.before, edit.fields)
    return undo_of(SaveAlertRequest, arguments).call(context, SAVE_ALERT, covered_alert(stored))


TOOL = writing_tool(
    name=SAVE_ALERT,
    title="Save an alert",
    description=(
        "Alert, notify, tell, page, warn me in Slack when or whenever a metric fails, drops below, goes "
        "above a threshold, drifts, is too slow; create, edit, mute, pause, switch off, enable, remove an"
        " alert. Preview it first. A retry creates a second one."
    ),
    request=SaveAlertRequest,
    plan=plan_alert,
    commit=commit,
    destructive=True,
    idempotent=False,
)
