"""Where a change happened: the same measure by agent, topic and metadata, in both windows."""

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import Field, field_validator, model_validator

from cekura_dashboards.api.errors import DashboardsError, InvalidArguments, Refused, UnknownField
from cekura_dashboards.api.filters import both, fault, filter_warnings, only_time
from cekura_dashboards.api.models import METRIC_VALUE, WidgetConfig, as_list, filter_field
from cekura_dashboards.arguments import shapes
from cekura_dashboards.arguments.widget import COMPARE_TO, RECENT_WINDOW, EditAmount
from cekura_dashboards.charts.call_details import FailedRules, failed_rules, failed_rules_line, read_details
from cekura_dashboards.charts.calls import (
    METRIC_LINK,
    CallShown,
    MetadataKeys,
    call_line,
    call_shown,
    calls_filter,
    find_calls,
    read_metadata_keys,
    window_line,
)
from cekura_dashboards.charts.companions import Evaluated, change_of_share, evaluated_calls
from cekura_dashboards.charts.target import (
    DEFAULT,
    ChartRequest,
    RequestedChart,
    Window,
    check_comparison,
    format_instant,
    other_window,
    recent_window,
    requested_chart,
)
from cekura_dashboards.context import Later, ToolContext, each, gather, gather_all
from cekura_dashboards.edits.rules import check, why_refused
from cekura_dashboards.reports.compare import has_no_calls
from cekura_dashboards.reports.edit_scopes import context_of_explanation, has_moved
from cekura_dashboards.reports.edits import Edits, edit_lines, measure_kind, measure_line
from cekura_dashboards.reports.empty import CallsQuery, requests_for, why_empty
from cekura_dashboards.reports.explain import (
    MEASURE,
    OUTCOMES,
    USUAL_FIELDS,
    ComparedMeasures,
    Dimension,
    DrillDown,
    OneSidedGroup,
    OutcomeShares,
    Split,
    dimension,
    fields_inside,
    fields_to_split,
    narrows_to,
    outcome_shares,
    rank_dimensions,
    read_split,
    single_measure,
)
from cekura_dashboards.reports.failure_modes import FailureModes, failure_lines
from cekura_dashboards.reports.plots import (
    Drawing,
    Plot,
    calls_arguments,
    plot_series_of,
    title_of_reading,
    unit_over_time,
)
from cekura_dashboards.reports.render import (
    comparison_lines,
    contributor_lines,
    evaluated_line,
    finding_lines,
    share_lines,
    shares_text,
    title_of,
)
from cekura_dashboards.reports.report import brief, field_word, which_calls
from cekura_dashboards.stats.findings import Comparison, Finding, limited
from cekura_dashboards.text import UntrustedText, counted, did_you_mean, join_names, plain, unquoted
from cekura_dashboards.tool import ReadingTool, Result
from cekura_dashboards.values import replace

MAX_CHARTS = 5
"""Fields to compare, each of which is read for current and baseline."""
EXAMPLES, WITH_RULES = 5, 3
"""Example calls per window, and those whose rules are read, one request each. Choices: three on both sides show a rule
that all fail."""
MAX_BY = 4
DRIVING = ("clear", "possible")
MAX_INSIDE_LISTED = 2
NO_CAUSE = "correlation is not causation"


class ExplainRequest(ChartRequest):
    window: str | None = RECENT_WINDOW
    compare_to: str | None = COMPARE_TO
    by: list[str] | None = Field(default=None, max_length=MAX_BY, description="default: agent.id, topic, metadata")
    edits: EditAmount | None = Field(default=None, json_schema_extra={"known": True})

    @field_validator("by", mode="before")
    @classmethod
    def _by_fields(cls, value: Any) -> Any:
        items = as_list(value)
        return value if items is None else [shapes.FILTER_FIELDS.get(str(item), item) for item in items]

    @model_validator(mode="after")
    def _sensible(self) -> "ExplainRequest":
        if (self.widget_id is None) == (self.widget is None):
            raise fault("", "give either widget_id or widget; get_dashboard lists a dashboard's widgets.")
        for index, name in enumerate(self.by or []):
            if filter_field(name) is None or name in {"id", "timestamp", "duration", METRIC_VALUE}:
                hint = did_you_mean(name, [*USUAL_FIELDS, *OUTCOMES, "is_reviewed", "success", "metadata.KEY"])
                unknown = UnknownField(name, "group") if filter_field(name) is None else None
                raise fault(f"by[{index}]", f"{UntrustedText(name)} cannot be grouped by; {hint}", unknown)
        return self


class Explanation(Result):
    BOUND = "at most 9,000 characters"

    measure: str
    metric_link: str | None = None
    where: str = Field(description="which calls are counted: all filters together")
    window: str
    evaluated: Evaluated | None = Field(default=None, description="of a metric, in the window")
    comparison: Comparison
    findings: list[Finding] | None = Field(default=None, description="over time, in or shortly before the window")
    dimensions: list[Dimension]
    drill_down: DrillDown | None = Field(default=None, description="the group that drives the change, divided in turn")
    outcomes: list[OutcomeShares] | None = Field(default=None, description="described, not ranked as drivers")
    examples: dict[str, list[CallShown]] | None = Field(default=None, description="calls of current and of baseline")
    failed_rules: FailedRules | None = None
    failure_modes: FailureModes | None = None
    edits: Edits | None = Field(default=None, description="from when the change can have begun; absent: not searched")
    requests: int = Field(description="for chart data, calls and edits")


async def run(context: ToolContext, request: ExplainRequest) -> Explanation:
    if request.widget and request.widget.chart_type != "stat" and (faults := check(request.widget.config(), "widget.")):
        raise InvalidArguments(faults)
    check_comparison(request.compare_to, request.window or DEFAULT, context.now(), context.settings.zone_set)
    context = await context.in_zone_of([await _project(context, request)])
    now, settings = context.now(), context.settings
    window = recent_window(request.window, now, settings.zone)
    other = other_window(window, request.compare_to or "previous_period", now, settings.zone)
    chart, keys = await gather(requested_chart(context, request, charted=True), _keys(context, request, window))
    config, notes = single_measure(chart.config, window)
    fields, too_many = fields_to_split(chart, config, keys)
    if request.by:
        fields, too_many = request.by, [name for name in [*fields, *too_many] if name not in request.by]
    outcomes = [] if request.by else [*OUTCOMES][: MAX_CHARTS - 1 - len(fields)]
    ends = {name: WidgetConfig(chart_type="pie", field=name) for name in outcomes}
    split = await read_split(context, chart, {MEASURE: config, **_splits(config, fields), **ends}, window, other)
    base = split.charts[MEASURE]
    if isinstance(base, Refused) and request.widget:
        raise await why_refused(context, base, chart.config, "widget.", chart.project)
    if isinstance(base, DashboardsError):
        raise base
    whole = _overall(base, other, config, split.lost)
    noted = [note for reading in base.readings for note in reading.notes]
    notes += dict.fromkeys([*other.notes, *base.current.untested, *base.baseline.untested, *noted])
    ranked, skipped = _dimensions(split, fields, whole)
    ended = [(name, sides) for name in ends if isinstance(sides := split.charts[name], ComparedMeasures)]
    inner_fields, not_inside = _inside_of(ranked, too_many)
    (examples, rules, unread, looks), (inside, more, inner), beside = await gather(
        _examples_with_rules(context, request, chart, config, (window, other), [row for _, row in ranked], whole),
        _inside(context, chart, config, (window, other), ranked, inner_fields),
        context_of_explanation(context, chart, split, ranked, whole, request.edits or "brief"),
    )
    skipped += more
    if inside and not_inside:
        skipped.append(f"not analyzed within it: {join_names(map(field_word, not_inside))}")
    fields_read = {*fields, *inner_fields}
    not_seen = [*(field_word(name) for name in too_many if name not in fields_read)]
    not_seen += [name for name in OUTCOMES if name not in outcomes and name not in fields]
    if not_seen:
        skipped.append(f"not analyzed: {join_names(not_seen)}; name them in `by`")
    if whole.verdict == "not significant":
        notes.append("the change is not significant, so there may be nothing to explain")
    if base.current.kind == "median":
        notes.append("groups are compared, not tested: percentiles cannot be decomposed, so changes do not add up")
    names, unnamed = await context.lookups.names(_splits(config, fields).values(), [chart.target.calls], chart.project)
    query, counting = CallsQuery(chart.target.calls, window, chart.project, request.dashboard_id), 0
    if has_no_calls(base.current):
        notes.insert(0, await why_empty(context, query, names))
        counting = requests_for(query)
    n = base.current.sample.n
    evaluated, uncounted = evaluated_calls(base.readings[0], None if n is None else round(n), None)
    notes += uncounted
    passing = base.readings[0].passing
    answer = Explanation(
        measure=title_of(brief(chart.config)) + (f" ({passing})" if passing else ""),
        metric_link=None if chart.config.metric is None else METRIC_LINK.format(id=chart.config.metric),
        where=which_calls(chart.target, names),
        window=window_line(window),
        evaluated=evaluated,
        comparison=whole,
        findings=[*split.findings] or None,
        dimensions=[row for _, row in ranked],
        drill_down=inside,
        outcomes=[shares for name, sides in ended if (shares := outcome_shares(name, sides))] or None,
        examples=examples or None,
        failed_rules=rules,
        failure_modes=beside.failure_modes,
        edits=beside.edits,
        requests=split.requests + looks + keys.requests + inner + beside.requests + counting,
        notes=[
            *notes,
            *filter_warnings(chart.target.calls),
            *skipped,
            *keys.notes,
            *unread,
            *beside.notes,
            *unnamed,
            NO_CAUSE,
        ],
    )
    return answer.with_drawing(Drawing(answer, [_plot(base, chart, names)]) if context.draws else None)


def _plot(base: ComparedMeasures, chart: RequestedChart, names: dict[str, str]) -> Plot:
    """The measure over time, current and baseline."""
    current, baseline = base.readings
    courses = [*plot_series_of(current, names), *plot_series_of(baseline, names, "baseline")]
    return Plot(
        courses,
        calls_arguments(replace(chart.target, window=current.window)),
        unit=unit_over_time(current, names),
        title=title_of_reading(current),
    )


def _splits(config: WidgetConfig, fields: Iterable[str]) -> dict[str, WidgetConfig]:
    """The measure by each of these fields."""
    return {name: config.model_copy(update={"group_by": {"type": "field", "field": name}}) for name in fields}


async def _project(context: ToolContext, request: ExplainRequest) -> int | None:
    """The project of the chart, read together with the data for the chart and the metadata keys; None if unknown."""
    lookups, number = context.lookups, request.dashboard_id
    default = request.project_id or context.settings.project_id
    if request.by:
        return (await requested_chart(context, request, charted=True)).project or default
    ahead: list[Later[Any]] = [lookups.prefetch_widgets(), lookups.prefetch()]
    if request.widget_id is not None:
        ahead.append(lookups.widget(request.widget_id))
    elif number is not None:
        ahead.append(lookups.dashboard(number))
    projects, _ = await gather(lookups.projects_of_dashboards(), gather_all(ahead))
    if request.widget_id is not None:
        number = (await lookups.widget(request.widget_id)).dashboard
    return projects.get(number or 0) or default


async def _keys(context: ToolContext, request: ExplainRequest, window: Window) -> MetadataKeys:
    """The metadata keys of the project, read with the chart; none if ``by`` is given."""
    if request.by:
        return MetadataKeys()
    return await read_metadata_keys(context, await _project(context, request), window)


def _dimensions(
    split: Split, fields: Sequence[str], whole: Comparison
) -> tuple[list[tuple[str, Dimension]], list[str]]:
    """The change by each field, ranked, with the field; and notes on fields that could not be read."""
    dimensions, skipped = list[tuple[str, Dimension]](), list[str]()
    for name in fields:
        sides = split.charts[name]
        if isinstance(sides, ComparedMeasures):
            dimensions.append((name, dimension(name, sides, whole, len(fields))))
        else:
            skipped.append(f"{field_word(name)}: could not be read: {sides}")
    return rank_dimensions(dimensions), skipped


def _inside_of(ranked: Sequence[tuple[str, Dimension]], others: Sequence[str]) -> tuple[list[str], list[str]]:
    """The fields of the drill-down, and those beyond the limit; none if no single group drives the change."""
    if not ranked or ranked[0][1].verdict not in DRIVING or len(ranked[0][1].groups or []) != 1:
        return [], []
    return fields_inside(ranked, others)


async def _inside(
    context: ToolContext,
    chart: RequestedChart,
    config: WidgetConfig,
    windows: tuple[Window, Window],
    ranked: Sequence[tuple[str, Dimension]],
    fields: Sequence[str],
) -> tuple[DrillDown | None, list[str], int]:
    """The drill-down into the group that drives the change, notes, and the number of requests."""
    if not fields:
        return None, [], 0
    by, first = ranked[0]
    [group] = first.groups or [None]
    grouped = config.model_copy(update={"group_by": {"type": "field", "field": by}})
    calls = calls_filter(grouped, chart.target.filters, None, "null" if group is None else unquoted(group))
    ranges = only_time(chart.target.filters)
    narrowed = replace(chart, target=replace(chart.target, filters=both(ranges, calls)))
    split = await read_split(context, narrowed, _splits(config, fields), *windows)
    clear = Comparison(verdict=first.verdict)
    rows, skipped = _dimensions(split, fields, clear)
    notable, too_wide = list[Dimension](), list[str]()
    for name, row in rows:
        sides = split.charts[name]
        driving = row.verdict in DRIVING
        if driving and isinstance(sides, ComparedMeasures) and not narrows_to(sides, row.groups or []):
            too_wide.append(f"within {plain(group)}, {row.by} does not narrow it down: other calls changed too")
        elif driving or row.new or row.gone:
            notable.append(row)
    inside = DrillDown(by=first.by, group=group, dimensions=notable[:MAX_INSIDE_LISTED]) if notable else None
    nothing = f"within {plain(group)} nothing stands out by {join_names(map(field_word, fields))}"
    return inside, [*skipped, *too_wide, *([] if notable or too_wide else [nothing])], split.requests


def _overall(base: ComparedMeasures, other: Window, config: WidgetConfig, lost: str | None) -> Comparison:
    counted = config.aggregation_function == "count"
    comparison = limited(base.compared(counted=counted), change_of_share(*base.readings, base.current.clock))
    if lost is not None:
        comparison = comparison.without_verdicts(lost)
    start, end = format_instant(other.start), format_instant(other.end)
    return comparison.model_copy(update={"start": start, "end": end, "against": other.source})


async def _examples(
    context: ToolContext,
    request: ExplainRequest,
    chart: RequestedChart,
    config: WidgetConfig,
    windows: tuple[Window, Window],
    dimensions: list[Dimension],
) -> tuple[dict[str, list[CallShown]], list[str], int]:
    """Up to five calls of each window, of the group that drives the change; of a success rate, failed calls.

    And notes on calls that could not be read, and the number of requests.
    """
    try:
        project = chart.project or await context.lookups.only_project(request.project_id)
    except DashboardsError as error:
        return {}, [f"example calls could not be read: {error}"], 0
    first = dimensions[0] if dimensions and dimensions[0].verdict in DRIVING else None
    where = config
    if first is not None and first.groups:
        where = config.model_copy(update={"group_by": {"type": "field", "field": unquoted(first.by)}})
    sides: dict[str, Window] = dict(zip(("current", "baseline"), windows, strict=True))
    examples, unread = dict[str, list[CallShown]](), list[str]()

    async def one(side: str) -> None:
        filters = calls_filter(where, chart.target.filters, None, _group_on(side, first) if first else None)
        if config.field == "success":
            filters = {"operator": "and", "conditions": [filters, {"field": "success", "op": "eq", "value": False}]}
        try:
            _, calls = await find_calls(context, project, filters, sides[side], EXAMPLES)
        except DashboardsError as error:
            unread.append(f"{side} example calls could not be read: {error}")
        else:
            if calls:
                examples[side] = [call_shown(call, project) for call in calls]

    await each(list(sides), one)
    return {side: examples[side] for side in sides if side in examples}, sorted(unread, reverse=True), len(sides)


async def _examples_with_rules(
    context: ToolContext,
    request: ExplainRequest,
    chart: RequestedChart,
    config: WidgetConfig,
    windows: tuple[Window, Window],
    dimensions: list[Dimension],
    whole: Comparison,
) -> tuple[dict[str, list[CallShown]], FailedRules | None, list[str], int]:
    """Example calls and, if something changed, the rules of the rubric that the newest few of each window failed.

    A number of calls has no rules.
    """
    examples, notes, requests = await _examples(context, request, chart, config, windows, dimensions)
    if measure_kind(config) == "other" or not has_moved(whole, dimensions[0] if dimensions else None):
        return examples, None, notes, requests
    ids = {
        side: [call.id for call in calls if isinstance(call.id, int)][:WITH_RULES] for side, calls in examples.items()
    }
    wanted = [number for numbers in ids.values() for number in numbers]
    details, _ = await read_details(context, wanted)
    return examples, failed_rules(ids, details), notes, requests + len(wanted)


def _group_on(side: str, dimension: Dimension) -> str | None:
    """The first group of the change with calls on this side, as an argument."""
    rows = dimension.contributors.top if dimension.contributors else []
    empty = {row.group for row in rows if not (row.current if side == "current" else row.baseline)}
    names = [name for name in dimension.groups or [] if name not in empty]
    return None if not names else "null" if names[0] is None else unquoted(names[0])


def render(result: Explanation) -> str:
    lines = [line] if (line := measure_line(result.edits)) else []
    link = f", {result.metric_link}" if result.metric_link else ""
    lines += [f"{result.measure}{link}", f"where {result.where}", result.window]
    lines += [evaluated_line(result.evaluated)] if result.evaluated else []
    lines += [*comparison_lines(result.comparison), *finding_lines(result.findings)]
    lines += edit_lines(result.edits)
    modes = failure_lines(result.failure_modes)
    lines += modes if result.failure_modes and result.failure_modes.differ else []
    for row in result.dimensions:
        lines.append(_dimension_line(row))
        lines += contributor_lines(row.contributors) if row.contributors else []
    if result.drill_down:
        for row in result.drill_down.dimensions:
            lines.append(f"within {result.drill_down.by} {plain(result.drill_down.group)}, {_dimension_line(row)}")
            lines += contributor_lines(row.contributors) if row.contributors else []
    for outcome in result.outcomes or []:
        lines += [f"how calls ended, {outcome.by}:", *share_lines(outcome.shares)]
    for side, calls in (result.examples or {}).items():
        lines += [f"examples, {side}:", *(f"  {call_line(call)}" for call in calls)]
    lines += [failed_rules_line(result.failed_rules)] if result.failed_rules else []
    lines += modes if result.failure_modes and not result.failure_modes.differ else []
    lines.append(counted(result.requests, "request"))
    return "\n".join(lines)


def _dimension_line(dimension: Dimension) -> str:
    phrases = {"not significant": "no group stands out", "not tested": "groups, not tested"}
    how = "calls shifted between groups" if dimension.mix_shift else "groups differ"
    result = phrases.get(dimension.verdict, f"{how}, {dimension.verdict}")
    if dimension.not_compared:
        result = f"not compared: {dimension.not_compared}"
    head = f"by {dimension.by}: {result}"
    head += "".join(f"; new{_since(group)}: {_fields_line(group)}" for group in dimension.new or [])
    head += "".join(f"; gone: {_fields_line(group)}" for group in dimension.gone or [])
    head += shares_text(dimension.evaluated_shares)
    if not dimension.groups:
        return head
    names = join_names(plain(name) for name in dimension.groups)
    when = f", since {dimension.since}" if dimension.since else f", on {dimension.only} only" if dimension.only else ""
    if dimension.share_pct is None:
        return f"{head}; {names} differs most{when}"
    verb = "account for" if len(dimension.groups) > 1 else "accounts for"
    return f"{head}; {names} {verb} {plain(dimension.share_pct)} % of the change{when}"


def _since(group: OneSidedGroup) -> str:
    return f" since {group.since}" if group.since else ""


def _fields_line(group: OneSidedGroup) -> str:
    return f"{plain(group.group)} n {plain(group.n)}" + (f", {plain(group.value)}" if group.value is not None else "")


TOOL = ReadingTool(
    name="explain_change",
    title="Where a change happened",
    description=(
        "Why did it drop, fall, dip, decline, go down, rise, climb, double, jump, spike, get worse? What "
        "caused, is behind a change or difference, where is it coming from, root cause? Is it one agent "
        "or all, which segment, group, version is responsible, drives it, accounts for most?"
    ),
    request=ExplainRequest,
    result=Explanation,
    run=run,
    render=render,
    is_drawn=True,
)
