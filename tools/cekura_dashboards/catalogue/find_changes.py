"""What changed anywhere: every chart read, all tests corrected together, the largest changes first."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Literal
from zoneinfo import ZoneInfo

from msgspec import Struct
from pydantic import Field

from cekura_dashboards.api.errors import NoTimeBefore
from cekura_dashboards.api.models import DURATION, LIMIT, Dashboard, JsonObject, Widget, WidgetConfig
from cekura_dashboards.arguments.references import DashboardId, ProjectId
from cekura_dashboards.arguments.widget import COMPARE_TO, RECENT_WINDOW, EditAmount
from cekura_dashboards.charts.calls import window_line
from cekura_dashboards.charts.companions import additional_requests
from cekura_dashboards.charts.read import read_charts
from cekura_dashboards.charts.rows import line_rows
from cekura_dashboards.charts.scores import PLAIN_SCORE
from cekura_dashboards.charts.target import (
    PERIOD_BEFORE,
    ChartReading,
    Window,
    check_comparison,
    format_instant,
    is_off_utc,
    other_window,
    recent_window,
)
from cekura_dashboards.context import ToolContext, gather, in_thread
from cekura_dashboards.reports.changes import (
    ComparedSpans,
    MeasureTests,
    NextCall,
    RankedChange,
    ReportedChange,
    Survey,
    interval_of,
    rank_changes,
    report_change,
    run_tests,
    surveys,
    whole_steps,
)
from cekura_dashboards.reports.edit_scopes import FEW_CHANGES, edits_of_changes
from cekura_dashboards.reports.edits import edits_text, measure_words
from cekura_dashboards.reports.looks import MAX_TOKEN, Look, LookToken, look_line, read_token, scope_of, since_last_look
from cekura_dashboards.reports.plots import (
    Drawing,
    Plot,
    group_plot_series,
    plot_series_of,
    title_of_reading,
    unit_over_time,
)
from cekura_dashboards.reports.render import NOT_QUALITY, verdict_words
from cekura_dashboards.reports.watched import fired_in
from cekura_dashboards.stats.change import Change
from cekura_dashboards.stats.timeline import MINUTE, floor_to, iso, moment_of
from cekura_dashboards.summaries.bar import is_merged
from cekura_dashboards.text import counted, json_text, named, noun_and_names, plain
from cekura_dashboards.tool import ReadingTool, Request, Result
from cekura_dashboards.values import replace

USUAL_CHARTS, MOST_CHARTS = 40, 200
SHORT = timedelta(days=3)
"""Windows up to this length are tested by the hour."""
ANSWER = 6000
"""Characters of the answer."""
FOR_THE_REST = 900
"""Characters reserved for the head and the notes."""
EXPLAINED = {"bar", "line"}
"""Charts that explain_change accepts."""
OF_A_PART = {"share", "group", "new group", "gone group"}
"""Kinds of change that concern a group or label."""
MIN_FULL = 4
"""Changes that are always shown with their next call. A choice."""
MOST_WIDGETS = 20
"""Widgets named in the next call."""
FEW_NAMED = 8
FEW_PLOTS = 4
"""Work of a few milliseconds."""
NOTHING_TO_TEST = "percentiles of several groups cannot be merged; preview_widget without group_by tests them"
ONLY_COMPARED = "groups are tested in a comparison only"
NO_DATA = "no calls in 30 days"


class FindRequest(Request):
    dashboard_ids: list[DashboardId] | None = Field(default=None, max_length=MOST_CHARTS, description="default: all")
    project_id: ProjectId | None = None
    window: str | None = RECENT_WINDOW
    compare_to: str | None = COMPARE_TO
    limit: int = Field(default=USUAL_CHARTS, ge=1, le=MOST_CHARTS, description="charts")
    edits: EditAmount | None = None
    since: Literal["last look"] | None = Field(default=None, description="what is new since then comes first")
    token: str | None = Field(default=None, max_length=MAX_TOKEN, description="of the last look; omit it at first")


class ChartCounts(Result):
    """The number of charts of each outcome."""

    total: int
    changed: int
    not_significant: int
    not_tested: int
    failed: int


class Changes(Result):
    window: str
    against: str | None = Field(default=None, description="absent: compared with no other time")
    changes: list[ReportedChange] = Field(description="the surest and largest first")
    more: int | None = Field(default=None, description="changes beyond those shown")
    more_widgets: list[int] | None = Field(default=None, description="that show them, for get_widgets_data")
    charts: ChartCounts
    requests: int
    look: Look | None = None
    next: NextCall | None = Field(default=None, description="for the dashboards not covered")


class _Scope(Struct, frozen=True):
    """The widgets to test, the projects and names of their dashboards, and the dashboards for the next call."""

    widgets: list[Widget]
    projects: dict[int, int]
    names: dict[int, str | None]
    left_out: list[int]
    requests: int
    notes: list[str]


async def run(context: ToolContext, request: FindRequest) -> Changes:
    check_comparison(None, request.window, context.now(), context.settings.zone_set)
    last = _last_look(context, request)
    where, _, _ = await gather(
        _find_scope(context, request), context.lookups.prefetch(), context.lookups.prefetch_alerts()
    )
    context = await context.in_zone_of([*where.projects.values(), request.project_id])
    now, zone = context.now(), context.settings.zone
    asked_for = recent_window(request.window, now, zone)
    step = _step_of(asked_for)
    reaches_now = now - asked_for.end <= timedelta(minutes=1)
    window = whole_steps(asked_for, step, now)
    other, notes = _other(window, request.compare_to or PERIOD_BEFORE, now, zone)
    times = ComparedSpans(window, other and whole_steps(other, step, now), now if reaches_now else window.end)
    if step == "day" and is_off_utc(window, zone):
        notes.append(f"days are UTC days, not those of {zone}")
    measures, untested = surveys(where.widgets, where.projects, now, step)
    readings, fired = await gather(
        read_charts(context, [survey.target for survey in measures]),
        fired_in(context, asked_for, {*where.projects.values()}, where.widgets),
    )
    names, unnamed = await context.lookups.names(
        [survey.target.config for survey in measures], [survey.target.calls for survey in measures], None
    )
    tested = await in_thread(_run_tests, context, measures, readings, times, names, small=len(measures) < 2)  # noqa: PLR2004 - work of a few milliseconds
    ranking, look = rank_changes(tested, times), None
    if request.since or request.token:
        tests = sum(item.tests for item in tested)
        ranking, look = since_last_look(ranking, tests, last, _scope(context, request), now)
    untested |= {w.id: _why_untested(item, times) for item in tested if not item.tests for w in item.survey.widgets}
    untested |= {
        widget.id: NO_DATA
        for survey, reading in zip(measures, readings, strict=True)
        if reading.chart is not None and not reading.chart.rows
        for widget in survey.widgets
    }
    going_on = partial(_next_call, times=times, request=request)
    readings_by_key = {survey.key: reading for survey, reading in zip(measures, readings, strict=True)}
    few = [(row, readings_by_key[row.survey.key]) for row in ranking[:FEW_CHANGES] if not row.told_before]
    windows = [window for window in (times.current, times.baseline) if window]
    (edits, edit_requests), (ranking, looks) = await gather(
        edits_of_changes(context, few, windows, readings, names, request.edits or "brief"),
        _since_last_call(context, ranking),
    )
    rows = [
        report_change(row, times, where.names, going_on, _passing(readings_by_key[row.survey.key])) for row in ranking
    ]
    rows[: len(edits)] = [row.model_copy(update={"edits": of_row}) for row, of_row in zip(rows, edits, strict=False)]
    listed_changes = _fitting(rows)
    failed = {
        widget.id: str(reading.error)
        for survey, reading in zip(measures, readings, strict=True)
        for widget in survey.widgets
        if reading.error is not None
    }
    notes += [
        *fired.notes,
        *asked_for.notes,
        *(other.notes if other else []),
        *_by_reason(failed, "could not be read"),
        *_by_reason(untested, "not tested"),
    ]
    notes += [*where.notes, *unnamed, *dict.fromkeys(note for item in tested for note in item.notes)]
    changed = {number for row in rows for number in row.widgets}
    looked_at = len(where.widgets)
    answer = Changes(
        window=window_line(times.current),
        against=window_line(times.baseline) if times.baseline else None,
        changes=listed_changes,
        more=len(rows) - len(listed_changes) or None,
        more_widgets=[*dict.fromkeys(row.widgets[0] for row in rows[len(listed_changes) :])] or None,
        charts=ChartCounts(
            total=looked_at,
            changed=len(changed),
            not_significant=looked_at - len(changed | failed.keys() | untested.keys()),
            not_tested=len(untested),
            failed=len(failed.keys() - changed),
        ),
        requests=len(measures)
        + additional_requests(readings)
        + where.requests
        + len(context.lookups.metrics_of)
        + edit_requests
        + looks
        + fired.requests,
        look=look,
        next=_other_dashboards(where.left_out, request),
        notes=notes or None,
    )
    if not context.draws:
        return answer
    drawn = [(readings_by_key[row.survey.key], row.change) for row in ranking]
    return answer.with_drawing(Drawing(answer, await in_thread(_plots, drawn, names, small=len(drawn) < FEW_PLOTS)))


async def _since_last_call(context: ToolContext, ranking: Sequence[RankedChange]) -> tuple[list[RankedChange], int]:
    """The changes, with an ongoing outage dated from the last call, and the number of requests for that."""
    place = next((place for place, row in enumerate(ranking) if row.goes_on), None)
    if place is None:
        return [*ranking], 0
    outage = ranking[place]
    start = moment_of(outage.change.at or "")
    config = WidgetConfig(chart_type="line", field=DURATION)
    window = Window(start - timedelta(hours=1), start, "")
    [reading] = await read_charts(
        context, [replace(outage.survey.target, config=config, window=window, by_hours=False)]
    )
    times: list[float] = [] if reading.chart is None else line_rows(reading, reading.chart, {}).calls.times.tolist()
    if times:
        outage = outage._replace(change=replace(outage.change, at=iso(floor_to(times[-1], MINUTE))))
    return [*ranking[:place], outage, *ranking[place + 1 :]], 1


def _scope(context: ToolContext, request: FindRequest) -> str:
    """A digest of the dashboards in a series of looks."""
    ids = sorted({*request.dashboard_ids}) if request.dashboard_ids else None
    return scope_of(ids, None if ids else request.project_id or context.settings.project_id)


def _last_look(context: ToolContext, request: FindRequest) -> LookToken | None:
    ids = sorted({*(request.dashboard_ids or [])})
    project = request.project_id or context.settings.project_id
    every = f"all dashboards of project {project}" if project else "all dashboards"
    about = noun_and_names("dashboard", ids, limit=len(ids)) if ids else every
    return read_token(request.token, _scope(context, request), context.now(), about=about)


def _step_of(window: Window) -> Literal["hour", "day"]:
    return "hour" if window.end - window.start <= SHORT else "day"


def _other(window: Window, how: str, now: datetime, zone: ZoneInfo) -> tuple[Window | None, list[str]]:
    """The baseline; or None and the reason. The window is tested over time either way."""
    try:
        return other_window(window, how, now, zone, cut=lambda other: whole_steps(other, _step_of(other), now)), []
    except NoTimeBefore as error:
        return None, [f"not compared: {error.faults[0].message}"]


async def _find_scope(context: ToolContext, request: FindRequest) -> _Scope:
    """Whole dashboards, in order, until the limit of charts."""
    if request.dashboard_ids:
        dashboards, unread = await context.lookups.dashboards(dict.fromkeys(request.dashboard_ids))
        for error in unread.values():
            raise error
        return _enough(
            [dashboards[number] for number in dict.fromkeys(request.dashboard_ids)], request.limit, len(dashboards)
        )
    project = request.project_id or context.settings.project_id
    pages = [page async for page in context.api.list_dashboards(project)]
    rows = sorted((row for page in pages for row in page), key=lambda row: row.id)
    ids, charts = list[int](), 0
    for row in rows:
        if charts >= request.limit:
            break
        ids.append(row.id)
        charts += max(1, row.widget_count if isinstance(row.widget_count, int) else 0)
    dashboards, unread = await context.lookups.dashboards(ids)
    scope = _enough(
        [dashboards[number] for number in ids if number in dashboards], request.limit, len(pages) + len(ids)
    )
    rest = [row.id for row in rows if row.id not in ids]
    failed = [f"dashboard {number} could not be read: {error}" for number, error in sorted(unread.items())]
    return replace(scope, left_out=[*scope.left_out, *rest], notes=[*scope.notes, *failed])


def _enough(dashboards: Sequence[Dashboard], limit: int, requests: int) -> _Scope:
    widgets, left_out, notes = list[Widget](), list[int](), list[str]()
    for dashboard in dashboards:
        if widgets and len(widgets) + len(dashboard.widgets) > limit:
            left_out.append(dashboard.id)
            continue
        widgets += dashboard.widgets[:limit]
        if (count := len(dashboard.widgets)) > limit:
            notes.append(f"of dashboard {dashboard.id} only {limit} of {count} charts were tested; raise limit")
    projects = {dashboard.id: dashboard.project for dashboard in dashboards if dashboard.project is not None}
    return _Scope(
        widgets, projects, {dashboard.id: dashboard.name for dashboard in dashboards}, left_out, requests, notes
    )


def _run_tests(
    context: ToolContext, measures: Sequence[Survey], readings: Sequence[ChartReading], times: ComparedSpans,
    names: dict[str, str],
) -> list[MeasureTests]:  # fmt: skip
    """Each measure as a whole is tested once, preferably on an ungrouped chart."""
    pairs = [*zip(measures, readings, strict=True)]
    undivided = {survey.whole for survey, reading in pairs if reading.chart and not survey.parts}
    tested, whole_tested = list[MeasureTests](), set[str]()
    for survey, reading in pairs:
        if reading.chart is None or not reading.chart.rows:
            continue
        whole = survey.whole not in whole_tested and (not survey.parts or survey.whole not in undivided)
        whole_tested |= {survey.whole} if whole else set()
        tested.append(run_tests(survey, reading, times, context.settings.clock, names, whole=whole))
    return tested


def _why_untested(item: MeasureTests, times: ComparedSpans) -> str:
    merged = is_merged(item.survey.target.config.function, "group")
    return ONLY_COMPARED if merged and times.baseline is None else NOTHING_TO_TEST


def _next_call(survey: Survey, item: Change, *, times: ComparedSpans, request: FindRequest) -> NextCall | None:
    """The next call for a change, over the same window; None for an outage, which has no calls."""
    first = survey.widgets[0]
    window = f"{format_instant(times.current.start)}/{format_instant(times.current.end)}"
    if item.how == "outage":
        return None
    if item.how == "outlier":
        about = interval_of(item, timedelta(hours=1) if survey.target.config.period == "hour" else timedelta(days=1))
        return NextCall(tool="list_calls", arguments={"widget_id": first.id, "window": about})
    if item.how == "share":
        label = "null" if item.part is None else item.part
        return NextCall(tool="list_calls", arguments={"widget_id": first.id, "label": label, "window": window})
    time: JsonObject = {"window": window} | ({"compare_to": request.compare_to} if request.compare_to else {})
    if item.still:
        time = _since(item, times)
    elif times.baseline is None:
        time = _around(item, times.current)
    widget = next((candidate for candidate in survey.widgets if candidate.chart_type in EXPLAINED), None)
    if widget is not None:
        return NextCall(tool="explain_change", arguments={"widget_id": widget.id, **time})
    definition = survey.target.config.definition()
    bar = {name: value for name, value in definition.items() if name not in {"name", "metadata"}}
    on = {"dashboard_id": first.dashboard} if first.dashboard is not None else {}
    return NextCall(tool="explain_change", arguments={"widget": bar, **on, **time})


def _since(item: Change, times: ComparedSpans) -> JsonObject:
    """The window since a change that preceded the window, and one of equal length before it, within the API's limit."""
    since, end = moment_of(item.at or ""), times.current.end
    start = max(since - (end - since), whole_steps(Window(times.until - LIMIT, end, ""), "day", times.until).start)
    start_text, middle, end_text = (format_instant(moment) for moment in (start, since, end))
    return {"window": f"{middle}/{end_text}", "compare_to": f"{start_text}/{middle}"}


def _around(item: Change, window: Window) -> JsonObject:
    """The window since a change and the window before it; the halves of the window if the change has no date."""
    since = moment_of(item.at) if item.at else window.start
    if not window.start < since < window.end:
        since = window.start + (window.end - window.start) / 2
    start, middle, end = (format_instant(moment) for moment in (window.start, since, window.end))
    return {"window": f"{middle}/{end}", "compare_to": f"{start}/{middle}"}


def _passing(reading: ChartReading) -> str | None:
    """The score of a pass, if it is not 1."""
    return reading.passing if reading.passing != PLAIN_SCORE else None


def _plots(changed: Sequence[tuple[ChartReading, Change]], names: dict[str, str]) -> list[Plot]:
    return [_plot(reading, item, names) for reading, item in changed]


def _plot(reading: ChartReading, item: Change, names: dict[str, str]) -> Plot:
    """The 30 days around a change, of what changed."""
    if item.how in OF_A_PART:
        share = item.how == "share"
        unit = "percent" if share else unit_over_time(reading, names)
        return Plot(
            group_plot_series(reading, item.part, names, share=share),
            unit=unit,
            title="Share of calls, per day" if share else _title(reading),
        )
    courses = [course for course in plot_series_of(reading, names) if course.role != "group"]
    return Plot(courses, unit=unit_over_time(reading, names), title=_title(reading))


def _title(reading: ChartReading) -> str | None:
    """The measure, without the groups that it was read by."""
    config = reading.target.config.model_copy(update={"group_by": None})
    return title_of_reading(replace(reading, target=replace(reading.target, config=config)))


def _other_dashboards(left_out: Sequence[int], request: FindRequest) -> NextCall | None:
    """The arguments of the same call for the other dashboards."""
    if not left_out:
        return None
    arguments = request.model_dump(exclude_none=True, include={"window", "compare_to", "since"})
    return NextCall(tool="find_changes", arguments={"dashboard_ids": [*left_out], **arguments})


def _by_reason(reasons: Mapping[int, str], what: str) -> list[str]:
    """The widgets, a line for each reason."""
    widgets_by_reason = dict[str, list[int]]()
    for number, reason in reasons.items():
        widgets_by_reason.setdefault(reason, []).append(number)
    return [
        f"{noun_and_names('widget', ids, limit=FEW_NAMED)} {what}: {reason}"
        for reason, ids in widgets_by_reason.items()
    ]


def _fitting(rows: Sequence[ReportedChange]) -> list[ReportedChange]:
    """All rows if text and structure fit; otherwise the first ones in full, and as many others as fit, shortened."""
    brief = [row.model_copy(update={"next": None, "edits": None, "dashboard": None}) for row in rows]
    sizes, brief_sizes, room = [_size(row) for row in rows], [_size(row) for row in brief], ANSWER - FOR_THE_REST
    used, full = sum(brief_sizes), 0
    while full < len(rows) and (full < MIN_FULL or used + sizes[full] - brief_sizes[full] <= room):
        used += sizes[full] - brief_sizes[full]
        full += 1
    shown, used = [*rows[:full]], sum(sizes[:full])
    for row, size in zip(brief[full:], brief_sizes[full:], strict=True):
        used += size
        if used > room:
            break
        shown.append(row)
    return shown


def _size(row: ReportedChange) -> float:
    """The characters of a row in the answer."""
    return max(len(_line(0, row)), len(row.model_dump_json(exclude_none=True)) / 1.5) + 4


def _quiet(charts: ChartCounts) -> str:
    """The lines of an answer without changes."""
    if not charts.total:
        return "no charts to test"
    return "no significant change" if charts.not_significant else "no chart could be tested"


def render(result: Changes) -> str:
    charts = result.charts
    lines = [f"{result.window}, against {result.against}" if result.against else result.window]
    lines += [_line(place, row) for place, row in enumerate(result.changes, start=1)]
    if not result.changes:
        lines.append(_quiet(charts))
    elif result.look and not result.look.new:
        lines.insert(1, "nothing new since the last look")
    if result.more:
        ids = {"widget_ids": (result.more_widgets or [])[:MOST_WIDGETS]}
        lines.append(f"omitted: {result.more} smaller or less certain changes; next: get_widgets_data {json_text(ids)}")
    lines.append(
        f"{counted(charts.total, 'chart')}: {charts.changed} changed, {charts.not_significant} not significant, "
        f"{charts.not_tested} not tested, {charts.failed} failed; {counted(result.requests, 'request')}"
    )
    if result.look:
        lines.append(look_line(result.look))
    if result.next:
        lines.append(f"next, for the other dashboards: {result.next.tool} {json_text(result.next.arguments)}")
    return "\n".join(lines)


def _line(place: int, row: ReportedChange) -> str:
    """``1. clear: widget 203 "Success rate" (dashboard 11 …), avg of success: step at …: 0.901 → 0.812 …``."""
    ruler = f", {words}" if (words := measure_words(row.edits)) else ""
    before = ", reported before, ongoing" if row.told_before else ""
    verdict = verdict_words(row.verdict, row.possible_among)
    head = f"{place}. {verdict}{before}{ruler}: widget {row.widgets[0]} {named(row.name)}"
    if row.dashboard_id is not None:
        head += f" (dashboard {row.dashboard_id}" + (f" {named(row.dashboard)})" if row.dashboard else ")")
    parts = [f"{head}, {row.measure}{_of_part(row)}: {_change_text(row)}"]
    if row.limited_by:
        parts.append(f"possible at most: {row.limited_by}")
    if others := row.widgets[1:]:
        parts.append(f"also {noun_and_names('widget', others, limit=len(others))}")
    if row.next:
        parts.append(f"next: {row.next.tool} {json_text(row.next.arguments)}")
    return "; ".join(parts) + (f"\n   {edits_text(row.edits)}" if row.edits else "")


def _of_part(row: ReportedChange) -> str:
    if row.kind == "evaluated":
        return f", share of calls evaluated, {NOT_QUALITY}"
    if row.kind not in OF_A_PART:
        return ""
    return f", {row.by or 'group'} {plain(row.part)}"


def _change_text(row: ReportedChange) -> str:
    n = f", n {plain(row.n[0])} and {plain(row.n[1])}" if row.n else ""
    relative = f" ({plain(row.pct)} % relative)" if row.pct is not None else ""
    moved = f"{plain(row.before)} → {plain(row.after)}{relative}"
    early = " (in the baseline)" if row.before_window else ""
    match row.kind:
        case "outage" if row.still:
            return f"no calls since {row.at}, expected {plain(row.before)} by now; ongoing"
        case "outage":
            return f"no calls from {row.at} to {row.until}, expected {plain(row.before)}{early}"
        case "outlier":
            until = f" to {row.until}" if row.until else ""
            return f"outlier from {row.at}{until}: {plain(row.after)}, expected {plain(row.before)}{early}"
        case "new group":
            return f"new{n}" + (f", {plain(row.after)}" if row.after is not None else "")
        case "gone group":
            return f"gone{n}" + (f", was {plain(row.before)}" if row.before is not None else "")
        case "share":
            since = f" since {row.at}" if row.at else ""
            return f"share{since} {plain(row.before)} % → {plain(row.after)} % of the calls{n}"
        case "trend":
            return f"trend from {row.at}: {moved}"
        case "step" if row.still:
            return f"{'trend or step ' if row.or_trend else ''}since {row.at}, before the window: {moved}{n}; ongoing"
        case "step" | "evaluated":
            return f"{'trend or ' if row.or_trend else ''}step at {row.at}: {moved}{n}"
        case _:
            return f"{moved}{n}"


TOOL = ReadingTool(
    name="find_changes",
    title="What changed anywhere",
    description=(
        "Is anything wrong, broken, unusual, weird, new? Everything normal, ok today, what did I miss? "
        "Scan, check all charts, metrics, across dashboards for what changed, moved, is better or got "
        "worse since yesterday or last release: outages, incidents, anomalies, outliers, any spikes, "
        "dips, biggest shifts."
    ),
    request=FindRequest,
    result=Changes,
    run=run,
    render=render,
    is_drawn=True,
)
