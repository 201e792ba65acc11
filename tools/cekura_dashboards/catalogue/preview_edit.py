"""The dry run of bulk_edit_dashboard: what would change, and what the charts would show."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct, field
from pydantic import BaseModel, Field

from cekura_dashboards.api.models import Dashboard, JsonObject, Widget, WidgetConfig
from cekura_dashboards.charts.read import read_charts
from cekura_dashboards.charts.target import saved, unsaved
from cekura_dashboards.context import ToolContext, gather
from cekura_dashboards.edits.changes import EditOperation, WidgetEdits, line_of
from cekura_dashboards.edits.plan import Plan, issued, plan_bulk_edit
from cekura_dashboards.edits.receipt import Receipt, fit_receipt
from cekura_dashboards.edits.request import BULK_EDIT, BulkEditRequest, DashboardEdit, RestoredIds
from cekura_dashboards.edits.rules import PLOT_FIELDS
from cekura_dashboards.reports.budget import WHOLE_ANSWER, fit
from cekura_dashboards.reports.plots import Drawing, Plot, plots_of_edit
from cekura_dashboards.reports.render import render_report
from cekura_dashboards.reports.report import ReportOptions, WidgetReport, report_readings
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
    dashboard = await context.lookups.dashboard(request.dashboard_id)
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
    targets = [unsaved(config, dashboard) for _, _, config in charted]
    targets += [saved(stored, dashboard.project) for _, stored, _ in charted if stored is not None]
    readings, (names, notes), context = await gather(
        read_charts(context, targets),
        context.lookups.names(
            [target.config for target in targets], [target.calls for target in targets], targets[0].project
        ),
        context.in_zone_of([dashboard.project]),
    )
    reports = await report_readings(readings, ReportOptions(POINTS, names=names, clock=context.settings.clock))
    old = {report.widget.id: (reading, report) for reading, report in zip(readings, reports, strict=True)}
    after = [*zip(readings, reports, strict=True)][: len(charted)]
    before = [old[stored.id] if stored is not None else (None, None) for _, stored, _ in charted]
    fitting = fit([report for _, report in after], most=WHOLE_ANSWER - FOR_CHANGES, charted=not context.draws)
    rows = [*zip((what for what, _, _ in charted), before, after, fitting, strict=True)]
    pairs = [(was[0], reading) for _, was, (reading, _), _ in rows]
    plots = await plots_of_edit(pairs, names) if context.draws else []
    return _Charts(
        [_effect(what, was[1], whole, fitted_report) for what, was, (_, whole), fitted_report in rows],
        [_effect(what, was[1], whole, whole) for what, was, (_, whole), _ in rows],
        [replace(plot, before=was) for plot, (_, was) in zip(plots, before if plots else [], strict=True)],
        [*left_out, *notes],
    )


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
