"""What an assistant can do: the tools, one module each."""

from typing import Any

from cekura_dashboards.catalogue import (
    bulk_edit_dashboard,
    check_dashboard,
    copy_widgets,
    create_dashboard,
    delete_dashboard,
    explain_change,
    find_changes,
    get_dashboard,
    get_widgets_data,
    list_calls,
    list_dashboards,
    look_up,
    preview_alert,
    preview_edit,
    preview_widget,
    save_alert,
    update_dashboard,
    update_widget,
)
from cekura_dashboards.tool import Tool

TOOLS: tuple[Tool[Any, Any], ...] = (
    list_dashboards.TOOL,
    get_dashboard.TOOL,
    look_up.TOOL,
    get_widgets_data.TOOL,
    preview_widget.TOOL,
    find_changes.TOOL,
    explain_change.TOOL,
    list_calls.TOOL,
    preview_edit.TOOL,
    update_widget.TOOL,
    bulk_edit_dashboard.TOOL,
    create_dashboard.TOOL,
    update_dashboard.TOOL,
    delete_dashboard.TOOL,
    copy_widgets.TOOL,
    check_dashboard.TOOL,
    preview_alert.TOOL,
    save_alert.TOOL,
)
