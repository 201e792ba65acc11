"""How one dashboard is set up."""

import json
from typing import Any

from pydantic import Field

from cekura_dashboards.api.filters import in_words
from cekura_dashboards.api.models import Dashboard, Widget
from cekura_dashboards.arguments.references import DashboardId
from cekura_dashboards.charts.target import saved_range_text
from cekura_dashboards.context import ToolContext, gather
from cekura_dashboards.reports.budget import WHOLE_ANSWER
from cekura_dashboards.reports.render import title_of
from cekura_dashboards.reports.report import WidgetBrief, brief
from cekura_dashboards.reports.watched import MAX_ALERTS, AlertShown, alert_lines, alerts_of_dashboard, omitted_alerts
from cekura_dashboards.text import SafeText, UntrustedText, json_text, named, time_text, untrusted
from cekura_dashboards.tool import ReadingTool, Request, Result

LAYOUT_LIMIT = 200


class GetDashboardRequest(Request):
    dashboard_id: DashboardId


class WidgetShown(WidgetBrief):
    filters: dict[str, Any] | None = Field(default=None, description="its own, without the dashboard's")
    layout: Any = Field(default=None, description="metadata, if short")
    unreadable: str | None = None


class DashboardSetup(Result):
    BOUND = "one line of text for each widget"

    id: int
    name: UntrustedText | None = None
    project: int | None = None
    date_range: str
    filters_text: str
    filters: dict[str, Any] | None = None
    updated_at: SafeText | None = None
    widgets: list[WidgetShown]
    alerts: list[AlertShown] | None = Field(default=None, description="on these charts, or on what no chart shows")
    charts_unread: bool | None = Field(default=None, description="for the latter, not all charts were checked")
    omitted: list[str] | None = None


async def run(context: ToolContext, request: GetDashboardRequest) -> DashboardSetup:
    lookups = context.lookups
    dashboard, _, _ = await gather(
        lookups.dashboard(request.dashboard_id), lookups.prefetch_alerts(), lookups.prefetch_first_widgets()
    )
    beside = await alerts_of_dashboard(context, dashboard, lookups.first_widgets)
    result = DashboardSetup(
        id=dashboard.id,
        name=untrusted(dashboard.name),
        project=dashboard.project,
        date_range=saved_range_text(dashboard.filters, context.now()),
        filters_text=_filters(dashboard),
        filters=dashboard.filters or None,
        updated_at=time_text(dashboard.updated_at),
        widgets=[_widget(widget) for widget in dashboard.widgets],
        alerts=beside.alerts[:MAX_ALERTS] or None,
        omitted=omitted_alerts(beside.alerts) or None,
        charts_unread=None if beside.whole else True,
        notes=beside.notes or None,
    )
    return _fit(result)


def _filters(dashboard: Dashboard) -> str:
    problem = dashboard.unreadable("filters")
    return f"cannot be read: {problem}" if problem else in_words(dashboard.filters)


def _widget(widget: Widget) -> WidgetShown:
    return WidgetShown(
        **dict(brief(widget)),
        filters=widget.filters or None,
        layout=_short(widget.metadata),
        unreadable=widget.problem(),
    )


def _short(metadata: Any) -> Any:
    return metadata if metadata and len(json.dumps(metadata)) <= LAYOUT_LIMIT else None


def _fit(result: DashboardSetup) -> DashboardSetup:
    """Leave out the layouts, then the widgets' filters, when the answer grows too long."""
    for name in ("layout", "filters"):
        if len(render(result)) <= WHOLE_ANSWER:
            break
        widgets = [widget.model_copy(update={name: None}) for widget in result.widgets]
        left_out = [*(result.omitted or []), f"{name} of the widgets"]
        result = result.model_copy(update={"widgets": widgets, "omitted": left_out})
    return result


def render(result: DashboardSetup) -> str:
    project = f"project {result.project}" if result.project is not None else "no project"
    lines = [
        f"dashboard {result.id} {named(result.name)}, {project}"
        + (f", updated {result.updated_at}" if result.updated_at else ""),
        f"date range {result.date_range}; filters: {result.filters_text}",
    ]
    if result.filters:
        lines.append(f"filters {json_text(result.filters)}")
    for widget in result.widgets:
        line = title_of(widget)
        if widget.filters:
            line += f", filters {json_text(widget.filters)}"
        if widget.unreadable:
            line += f", cannot be read: {widget.unreadable}"
        if widget.layout:
            line += f", layout {json_text(widget.layout)}"
        lines.append(line)
    if not result.widgets:
        lines.append("no widgets")
    lines += alert_lines(result.alerts, whole=not result.charts_unread)
    return "\n".join([*lines, *(f"omitted: {text}" for text in result.omitted or [])])


TOOL = ReadingTool(
    name="get_dashboard",
    title="Dashboard setup",
    description=(
        "What is on a dashboard, board? Describe, walk me through its setup: which widgets, charts, ids, "
        "what does each plot or measure, how configured, metric, grouping and filters behind a chart, "
        "date range set, layout."
    ),
    request=GetDashboardRequest,
    result=DashboardSetup,
    run=run,
    render=render,
)
