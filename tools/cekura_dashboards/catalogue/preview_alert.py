"""Replay an alert over the past month before it exists."""

from typing import Any

from pydantic import Field

from cekura_dashboards.api.errors import InvalidArguments
from cekura_dashboards.api.filters import in_words
from cekura_dashboards.arguments.alert import AlertRequest, check_kind, direction_warnings, subject_of
from cekura_dashboards.charts.alert_scores import ScoredMetric, read_scores
from cekura_dashboards.charts.calls import LINK, check_operators
from cekura_dashboards.charts.target import is_off_utc
from cekura_dashboards.context import ToolContext, gather, in_thread
from cekura_dashboards.edits.alerts import SAVE_ALERT
from cekura_dashboards.reports.alerts import Replay, ReplayedAlert, find_change_periods, replay_lines, replayed
from cekura_dashboards.reports.changes import NextCall
from cekura_dashboards.reports.report import ALL_CALLS
from cekura_dashboards.stats.alerts import AlertSetting
from cekura_dashboards.text import json_text, named
from cekura_dashboards.tool import ReadingTool, Result

FEW_SCORES = 5000
"""Scores to replay in the event loop; more take longer than starting a thread."""


class AlertPreview(Result):
    BOUND = "at most 4,000 characters of text"

    metric: str
    project: int
    where: str = Field(description="which calls it watches")
    replay: ReplayedAlert
    next: NextCall | None = Field(default=None, description="saves it")


async def run(context: ToolContext, request: AlertRequest) -> AlertPreview:
    alert = None if request.alert_id is None else await context.api.alert(request.alert_id)
    subject, _ = await gather(subject_of(context, request, alert), context.lookups.prefetch())
    setting = request.changed(alert)
    context = await context.in_zone_of([subject.project])
    if setting is None:
        text = f"{request.alert_id} is of a kind that scores of calls do not decide, so it cannot be replayed."
        raise InvalidArguments.at("alert_id", text)
    check_kind(setting, subject.eval_type)
    check_operators(subject.filters)
    watched = ScoredMetric(subject.metric, subject.project, subject.filters, subject.eval_type)
    scores = await read_scores(context, watched)
    names, unread = await context.lookups.names([watched.config()], [subject.filters], subject.project)
    small = scores.count <= FEW_SCORES
    intervals, untested = await in_thread(find_change_periods, scores, context.settings.clock, names, small=small)
    replay = Replay(scores, intervals, names)
    answer: ReplayedAlert = await in_thread(_replayed, replay, setting, subject.project, small=small)
    notes = [
        *direction_warnings(setting, subject.eval_type),
        *subject.warnings,
        *scores.notes,
        *unread,
        *([f"not tested: {untested}"] if untested else []),
    ]
    if is_off_utc(scores.bars.window, context.settings.zone):
        notes.append(f"days are UTC days, not those of {context.settings.zone}")
    is_new = alert is None or bool(request.given() or request.kind)
    arguments = request.model_dump(mode="json", exclude_none=True)
    return AlertPreview(
        metric=f"{subject.metric} {named(subject.metric_name)}",
        project=subject.project,
        where=in_words(subject.filters, names) if subject.filters else ALL_CALLS,
        replay=answer,
        next=NextCall(tool=SAVE_ALERT, arguments=arguments) if is_new else None,
        notes=notes or None,
    )


def _replayed(replay: Replay, setting: AlertSetting, project: int) -> ReplayedAlert:
    def link(number: Any) -> str:
        return LINK.format(project=project, id=number)

    return replayed(replay, setting, link)


def render(result: AlertPreview) -> str:
    head = (
        f"{result.replay.result.setting}, on metric {result.metric}, project {result.project}, where {result.where}; "
        "nothing was saved"
    )
    follow = [f"next: {result.next.tool} {json_text(result.next.arguments)}"] if result.next else []
    return "\n".join([head, *replay_lines(result.replay), *follow])


TOOL = ReadingTool(
    name="preview_alert",
    title="Preview an alert",
    description=(
        "Try out, test against history an alert, alarm, notification, preset or threshold before it "
        "exists: how often would it have fired, paged, triggered last month, on which days and calls? Too"
        " noisy, false alarms, sensitivity."
    ),
    request=AlertRequest,
    result=AlertPreview,
    run=run,
    render=render,
)
