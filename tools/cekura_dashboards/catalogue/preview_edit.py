"""The dry run of bulk_edit_dashboard: the changes, and the charts as they would be."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct, field
from pydantic import BaseModel, Field

from cekura_dashboards.api.errors import DashboardsError, KeyRejected
from cekura_dashboards.api.models import Dashboard, JsonObject, Widget, WidgetConfig
from cekura_dashboards.charts.read import read_charts
from cekura_dashboards.charts.target import ChartReading, Target, resolve_targets, saved, unsaved
from cekura_dashboards.context import ToolContext, gather
from cekura_dashboards.edits.changes import EditOperation, WidgetEdits, line_of
from cekura_dashboards.edits.plan import Plan, issued, plan_bulk_edit
from cekura_dashboards.edits.receipt import Receipt, fit_receipt
from cekura_dashboards.edits.request import BULK_EDIT, BulkEditRequest, DashboardEdit, RestoredIds
from cekura_dashboards.edits.rules import PLOT_FIELDS
from cekura_dashboards.reports.budget import WHOLE_ANSWER, fit
from cekura_dashboards.reports.chart_reports import ChartQuery, ChartReports, report_charts
from cekura_dashboards.reports.plots import Drawing, Plot, plots_of_edit
from cekura_dashboards.reports.render import render_report
from cekura_dashboards.reports.report import ReportOptions, WidgetReport, brief, report_readings
from cekura_dashboards.text import counted, plain
from cekura_dashboards.tool import ReadingTool, Result
from cekura_dashboards.values import replace

MAX_CHARTS = 10
POINTS = 12
FOR_CHANGES = 4000
HEADLINES = ("overall", "total", "rate", "mean", "total_calls")
SHOWN_BY = PLOT_FIELDS | {"filters", "group_by"}
"""The fields that decide what a chart shows."""


class Effect(BaseModel):
    """One chart as it would be. ``before`` and ``after``: the headline figure of an existing chart."""

    change: str
    figure: str | None = None
    before: float | int | None = None
    after: float | int | None = None
    report: WidgetReport


class EditPreview(Result):
    BOUND = "at most 9,000 characters of text"

    dashboard_id: int
    changes: list[EditOperation]
    effects: list[Effect] | None = None
    warnings: list[str] | None = None
    plan_id: str | None = Field(default=None, description="for bulk_edit_dashboard with the same arguments")
    omitted: list[str] | None = None


async def run(context: ToolContext, request: DashboardEdit) -> EditPreview:
    dashboard = await context.lookups.dashboard_with_names(request.dashboard_id)
    edit = BulkEditRequest.model_validate(request.model_dump(exclude_unset=True))
    plan = await plan_bulk_edit(context, edit, dashboard, RestoredIds())
    fitted_receipt = fit_receipt(
        Receipt(outcome="needs_plan", changes=plan.changes, warnings=plan.warnings or None), FOR_CHANGES
    )
    charts = await _charts(context, plan, dashboard)
    left_out = [*(fitted_receipt.omitted or []), *charts.left_out]
    answer = EditPreview(
        dashboard_id=dashboard.id,
        changes=fitted_receipt.changes,
        effects=charts.effects or None,
        warnings=fitted_receipt.warnings,
        plan_id=None if plan.is_empty else issued(context, plan),
        notes=plan.notes or None,
        omitted=left_out or None,
    )
    if not context.draws:
        return answer
    return answer.with_drawing(Drawing(answer.model_copy(update={"effects": charts.whole or None}), charts.plots))


class _Charts(Struct, frozen=True):
    """The new and changed charts, within the budget and complete, and their plots.

    ``left_out``: notes on what is omitted.
    """

    effects: list[Effect] = field(default_factory=list[Effect])
    whole: list[Effect] = field(default_factory=list[Effect])
    plots: Sequence[Plot] = ()
    left_out: Sequence[str] = ()


async def _charts(context: ToolContext, plan: Plan[WidgetEdits], dashboard: Dashboard) -> _Charts:
    edits = plan.work
    charted: list[tuple[str, Widget | None, WidgetConfig]] = [
        (f"create {index + 1}", None, WidgetConfig.model_validate(config)) for index, config in enumerate(edits.creates)
    ]
    charted += [
        (f"update {number}", edits.before[number], _changed(edits.before[number], fields))
        for number, fields in edits.updates.items()
        if SHOWN_BY & {*fields}
    ]
    left_out = [f"the numbers of {counted(len(charted) - MAX_CHARTS, 'more chart')} (preview_widget shows them)"]
    left_out, charted = left_out if len(charted) > MAX_CHARTS else [], charted[:MAX_CHARTS]
    if not charted:
        return _Charts(left_out=left_out)
    stored = {widget.id: widget for _, widget, _ in charted if widget is not None}
    context = await context.in_zone_of([dashboard.project])
    now, zone = context.now(), context.settings.zone
    targets = [unsaved(config, dashboard) for _, _, config in charted]
    targets += [saved(widget, dashboard.project) for widget in stored.values()]
    targets = resolve_targets(targets, None, None, now, zone)
    charts, (old, names) = await gather(
        _reports(context, targets[: len(charted)], dashboard), _as_stored(context, targets[len(charted) :])
    )
    fitting = fit(charts.reports, most=WHOLE_ANSWER - FOR_CHANGES, charted=not context.draws)
    before = [old[widget.id] if widget is not None else (None, None) for _, widget, _ in charted]
    rows = [*zip((what for what, _, _ in charted), before, charts.reports, fitting, strict=True)]
    plots = list[Plot]()
    if context.draws and charts.readings:
        pairs = [(reading, new) for (reading, _), new in zip(before, charts.readings, strict=True)]
        drawn = await plots_of_edit(pairs, names)
        plots = [replace(plot, before=report) for plot, (_, report) in zip(drawn, before, strict=True)]
    return _Charts(
        [_effect(what, was, whole, fitted_report) for what, (_, was), whole, fitted_report in rows],
        [_effect(what, was, whole, whole) for what, (_, was), whole, _ in rows],
        plots,
        [*left_out, *charts.reading_notes, *charts.name_notes],
    )


async def _reports(context: ToolContext, targets: Sequence[Target], dashboard: Dashboard) -> ChartReports:
    """The reports of preview_widget; an edit can be planned even if its charts cannot be read.

    Raises:
        KeyRejected: as nothing can be read.
    """
    try:
        return await report_charts(context, targets, ChartQuery(dashboard.project, None, None, points=POINTS))
    except KeyRejected:
        raise
    except DashboardsError as error:
        failed = [WidgetReport(widget=brief(target.config), error=str(error)) for target in targets]
        return ChartReports(failed, None, [], [])


async def _as_stored(
    context: ToolContext, targets: Sequence[Target]
) -> tuple[dict[int | None, tuple[ChartReading, WidgetReport]], dict[str, str]]:
    """The current state of changed charts, for their headlines, and the names of agents and metrics."""
    readings, (names, _) = await gather(
        read_charts(context, targets),
        context.lookups.names([target.config for target in targets], [target.calls for target in targets], None),
    )
    options = ReportOptions(POINTS, names=names, clock=context.settings.clock)
    reports = await report_readings(readings, options)
    by_id = {target.id: pair for target, pair in zip(targets, zip(readings, reports, strict=True), strict=True)}
    return by_id, names


def _changed(stored: Widget, fields: JsonObject) -> WidgetConfig:
    return WidgetConfig.model_validate({**stored.writable(), **fields})


def _effect(what: str, before: WidgetReport | None, after: WidgetReport, fitted_report: WidgetReport) -> Effect:
    figure, value = _headline(after)
    if before is None or figure is None:
        return Effect(change=what, report=fitted_report)
    was, old = _headline(before)
    return Effect(change=what, figure=figure, before=old if was == figure else None, after=value, report=fitted_report)


def _headline(report: WidgetReport) -> tuple[str | None, Any]:
    values = ((name, getattr(report.facts, name, None)) for name in HEADLINES)
    return next(((name, value) for name, value in values if value is not None), (None, None))


def render(result: EditPreview) -> str:
    lines = [f"Dry run, nothing was changed. dashboard {result.dashboard_id}"]
    lines += [line_of(change) for change in result.changes] or ["it is already stored like this"]
    for effect in result.effects or []:
        head = f"{effect.change} would show"
        if effect.figure and effect.before is not None:
            head += f", {effect.figure} {plain(effect.before)} → {plain(effect.after)}"
        lines.append(f"\n{head}:\n{render_report(effect.report)}")
    lines += [f"warning: {text}" for text in result.warnings or []]
    lines += [f"omitted: {text}" for text in result.omitted or []]
    if result.plan_id:
        lines.append(f"plan_id: {result.plan_id} (for bulk_edit_dashboard with the same arguments)")
    return "\n".join(lines)


TOOL = ReadingTool(
    name="preview_edit",
    title="Dry run of an edit",
    description=(
        "What would change or happen if? Dry run before you touch, apply or save anything: simulate, "
        "test, plan edits or removal of widgets first, show me the effect, diff, result, without applying"
        " it yet."
    ),
    prepares=BULK_EDIT,
    request=DashboardEdit,
    result=EditPreview,
    run=run,
    render=render,
    is_drawn=True,
)
