"""Where a change happened: the same measure by agent, topic and metadata, on both sides."""

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import Field, field_validator, model_validator

from cekura_dashboards.answers.drawing import Drawing, Plot, calls_behind, courses_of, unit_over_time
from cekura_dashboards.answers.explanation import (
    MEASURE,
    OUTCOMES,
    USUAL_FIELDS,
    BothSides,
    Dimension,
    GroupSeen,
    Inside,
    OutcomeShares,
    Split,
    dimension,
    fields_inside,
    fields_to_split,
    outcome_shares,
    ranked,
    read_split,
    single_measure,
)
from cekura_dashboards.answers.render import comparison_lines, contributor_lines, share_lines, title_of
from cekura_dashboards.answers.report import brief, field_word, which_calls
from cekura_dashboards.api.errors import DashboardsError, UnknownField
from cekura_dashboards.api.fields import METRIC_VALUE, filter_field
from cekura_dashboards.api.filters import both, doubtful, fault, only_time
from cekura_dashboards.api.models import WidgetConfig, as_list
from cekura_dashboards.arguments import aliases
from cekura_dashboards.charts.calls import (
    CallShown,
    behind,
    call_line,
    call_shown,
    find_calls,
    window_line,
)
from cekura_dashboards.charts.metadata_keys import KnownKeys, known_keys
from cekura_dashboards.charts.requested import ChartRequest, RequestedChart, requested_chart
from cekura_dashboards.charts.window import DEFAULT, Window, format_instant, other_window, resolve
from cekura_dashboards.concurrency import each, together
from cekura_dashboards.context import ToolContext
from cekura_dashboards.insight import Clock, Comparison
from cekura_dashboards.text import Foreign, did_you_mean, listed, plain, unquoted
from cekura_dashboards.tool import ReadingTool, Result
from cekura_dashboards.values import replace
from cekura_dashboards.widgets.request import COMPARE_TO, RECENT_WINDOW

MOST_CHARTS = 5
"""Each is read twice, once for each side."""
EXAMPLES = 5
MOST_BY = 4
DRIVING = ("clear", "possible")
MOST_TOLD_INSIDE = 2
NO_CAUSE = "what coincides with a change need not be its cause"


class ExplainRequest(ChartRequest):
    window: str | None = RECENT_WINDOW
    compare_to: str | None = COMPARE_TO
    by: list[str] | None = Field(
        default=None, max_length=MOST_BY, description="where to look; default agent.id, topic and known metadata.KEY"
    )

    @field_validator("by", mode="before")
    @classmethod
    def _by_fields(cls, value: Any) -> Any:
        items = as_list(value)
        return value if items is None else [aliases.FILTER_FIELDS.get(str(item), item) for item in items]

    @model_validator(mode="after")
    def _sensible(self) -> "ExplainRequest":
        if (self.widget_id is None) == (self.widget is None):
            raise fault("", "give either widget_id or widget.")
        for index, name in enumerate(self.by or []):
            if filter_field(name) is None or name in {"id", "timestamp", "duration", METRIC_VALUE}:
                hint = did_you_mean(name, [*USUAL_FIELDS, *OUTCOMES, "is_reviewed", "success", "metadata.KEY"])
                unknown = UnknownField(name, "group") if filter_field(name) is None else None
                raise fault(f"by[{index}]", f"{Foreign(name)} cannot be grouped by; {hint}", unknown)
        return self


class Explanation(Result):
    measure: str
    where: str = Field(description="which calls are counted: all filters together")
    window: str
    comparison: Comparison
    dimensions: list[Dimension]
    inside: Inside | None = Field(default=None, description="the group that drives the change, divided in turn")
    outcomes: list[OutcomeShares] | None = Field(default=None, description="described, not ranked as drivers")
    examples: dict[str, list[CallShown]] | None = Field(default=None, description="calls of current and of baseline")
    requests: int = Field(description="made for chart data and calls")


async def run(context: ToolContext, request: ExplainRequest) -> Explanation:
    now, settings = context.now(), context.settings
    window = resolve(request.window or DEFAULT, now, settings.zone)
    other = other_window(window, request.compare_to or "previous_period", now, settings.zone)
    chart, keys = await together(requested_chart(context, request, charted=True), _keys(context, request, window))
    config, notes = single_measure(chart.config, window)
    fields, too_many = fields_to_split(chart, config, keys)
    if request.by:
        fields, too_many = request.by, [name for name in [*fields, *too_many] if name not in request.by]
    outcomes = [] if request.by else [*OUTCOMES][: MOST_CHARTS - 1 - len(fields)]
    ends = {name: WidgetConfig(chart_type="pie", field=name) for name in outcomes}
    read = await read_split(context, chart, {MEASURE: config, **_splits(config, fields), **ends}, window, other)
    base = read.charts[MEASURE]
    if isinstance(base, DashboardsError):
        raise base
    whole = _overall(base, other, config, context, read.lost)
    noted = [note for reading in base.readings for note in reading.notes]
    notes += dict.fromkeys([*other.notes, *base.current.untested, *base.baseline.untested, *noted])
    found, skipped = _dimensions(read, fields, whole, settings.clock)
    ended = [(name, sides) for name in ends if isinstance(sides := read.charts[name], BothSides)]
    inner_fields, not_inside = _inside_of(found, too_many)
    (examples, unread, looks), (inside, more, inner) = await together(
        _examples(context, request, chart, config, (window, other), [row for _, row in found]),
        _inside(context, chart, config, (window, other), found, inner_fields),
    )
    skipped += more
    if inside and not_inside:
        skipped.append(f"not looked at inside it: {listed(map(field_word, not_inside))}")
    seen = {*fields, *inner_fields}
    not_seen = [*(field_word(name) for name in too_many if name not in seen)]
    not_seen += [name for name in OUTCOMES if name not in outcomes and name not in fields]
    if not_seen:
        skipped.append(f"not looked at: {listed(not_seen)}; name them in `by`")
    if whole.verdict == "within noise":
        notes.append("the change itself is within noise, so there may be nothing to explain")
    if base.current.kind == "median":
        notes.append("percentiles do not split into parts: groups are compared, and their changes do not add up")
    names, unnamed = await context.lookups.names(_splits(config, fields).values(), [chart.target.calls], chart.project)
    passing = base.readings[0].passing
    answer = Explanation(
        measure=title_of(brief(chart.config)) + (f" ({passing})" if passing else ""),
        where=which_calls(chart.target, names),
        window=window_line(window),
        comparison=whole,
        dimensions=[row for _, row in found],
        inside=inside,
        outcomes=[shown for name, sides in ended if (shown := outcome_shares(name, sides, settings.clock))] or None,
        examples=examples or None,
        requests=read.requests + looks + keys.requests + inner,
        notes=[*notes, *doubtful(chart.target.calls), *skipped, *keys.notes, *unread, *unnamed, NO_CAUSE],
    )
    return answer.drawn(Drawing(answer, [_plot(base, chart, names)]) if context.draws else None)


def _plot(base: BothSides, chart: RequestedChart, names: dict[str, str]) -> Plot:
    """The measure over time, on both sides."""
    current, baseline = base.readings
    courses = [*courses_of(current, names), *courses_of(baseline, names, "baseline")]
    return Plot(
        courses, calls_behind(replace(chart.target, window=current.window)), unit=unit_over_time(current, names)
    )


def _splits(config: WidgetConfig, fields: Iterable[str]) -> dict[str, WidgetConfig]:
    """The measure by each of these fields."""
    return {name: config.model_copy(update={"group_by": {"type": "field", "field": name}}) for name in fields}


async def _keys(context: ToolContext, request: ExplainRequest, window: Window) -> KnownKeys:
    """The metadata keys of the project, read beside the chart; none where it is said what to look at."""
    if request.by:
        return KnownKeys()
    number = request.dashboard_id
    ahead = context.lookups.projects_of_dashboards(), context.lookups.widgets_ahead()
    if request.widget_id is None:
        projects, _ = await together(*ahead)
    else:
        (known, _), projects, _ = await together(context.lookups.widgets([request.widget_id]), *ahead)
        if request.widget_id not in known:
            return KnownKeys()  # the chart cannot be read either, which is said of it
        number = known[request.widget_id].dashboard
    project = projects.get(number or 0) or request.project_id or context.settings.project_id
    return await known_keys(context, project, window)


def _dimensions(
    read: Split, fields: Sequence[str], whole: Comparison, clock: Clock
) -> tuple[list[tuple[str, Dimension]], list[str]]:
    """The change by each field, ranked, with the field; and which could not be read."""
    found, skipped = list[tuple[str, Dimension]](), list[str]()
    for name in fields:
        sides = read.charts[name]
        if isinstance(sides, BothSides):
            found.append((name, dimension(name, sides, whole, clock, len(fields))))
        else:
            skipped.append(f"{field_word(name)}: could not be read: {sides}")
    return ranked(found), skipped


def _inside_of(found: Sequence[tuple[str, Dimension]], others: Sequence[str]) -> tuple[list[str], list[str]]:
    """By what the group that drives the change is divided, and by what not; nothing where no single one does."""
    if not found or found[0][1].verdict not in DRIVING or len(found[0][1].groups or []) != 1:
        return [], []
    return fields_inside(found, others)


async def _inside(
    context: ToolContext,
    chart: RequestedChart,
    config: WidgetConfig,
    windows: tuple[Window, Window],
    found: Sequence[tuple[str, Dimension]],
    fields: Sequence[str],
) -> tuple[Inside | None, list[str], int]:
    """The group that drives the change, divided by other fields, each of both sides; and the requests for it."""
    if not fields:
        return None, [], 0
    by, first = found[0]
    [group] = first.groups or [None]
    grouped = config.model_copy(update={"group_by": {"type": "field", "field": by}})
    calls = behind(grouped, chart.target.filters, None, "null" if group is None else unquoted(group))
    ranges = only_time(chart.target.filters)
    narrowed = replace(chart, target=replace(chart.target, filters=both(ranges, calls)))
    read = await read_split(context, narrowed, _splits(config, fields), *windows)
    clear = Comparison(verdict=first.verdict)
    rows, skipped = _dimensions(read, fields, clear, context.settings.clock)
    told = [row for _, row in rows if row.verdict in DRIVING or row.new or row.gone]
    inside = Inside(by=first.by, group=group, dimensions=told[:MOST_TOLD_INSIDE]) if told else None
    same = [f"inside {plain(group)} nothing stands out by {listed(map(field_word, fields))}"] if not told else []
    return inside, [*skipped, *same], read.requests


def _overall(
    base: BothSides, other: Window, config: WidgetConfig, context: ToolContext, lost: str | None
) -> Comparison:
    counted = config.aggregation_function == "count"
    found = base.compared(counted=counted, clock=context.settings.clock)
    if lost is not None:
        found = found.untested(lost)
    start, end = format_instant(other.start), format_instant(other.end)
    return found.model_copy(update={"start": start, "end": end, "against": other.source})


async def _examples(
    context: ToolContext,
    request: ExplainRequest,
    chart: RequestedChart,
    config: WidgetConfig,
    windows: tuple[Window, Window],
    dimensions: list[Dimension],
) -> tuple[dict[str, list[CallShown]], list[str], int]:
    """Up to five calls of each side, of the group that brings most of the change; of a rate those without success.

    And why there are none, where they could not be read; and how many requests for them were made.
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
    found, unread = dict[str, list[CallShown]](), list[str]()

    async def one(side: str) -> None:
        filters = behind(where, chart.target.filters, None, _group_on(side, first) if first else None)
        if config.field == "success":
            filters = {"operator": "and", "conditions": [filters, {"field": "success", "op": "eq", "value": False}]}
        try:
            _, calls = await find_calls(context, project, filters, sides[side], EXAMPLES)
        except DashboardsError as error:
            unread.append(f"example calls of the {side} side could not be read: {error}")
        else:
            found[side] = [call_shown(call, project) for call in calls]

    await each(list(sides), one)
    return {side: found[side] for side in sides if side in found}, sorted(unread, reverse=True), len(sides)


def _group_on(side: str, found: Dimension) -> str | None:
    """The first group of the change that has calls on this side, as it is asked for."""
    rows = found.contributors.top if found.contributors else []
    empty = {row.group for row in rows if not (row.current if side == "current" else row.baseline)}
    names = [name for name in found.groups or [] if name not in empty]
    return None if not names else "null" if names[0] is None else unquoted(names[0])


def render(result: Explanation) -> str:
    lines = [result.measure, f"where {result.where}", result.window]
    lines += comparison_lines(result.comparison)
    for found in result.dimensions:
        lines.append(_dimension_line(found))
        lines += contributor_lines(found.contributors) if found.contributors else []
    if result.inside:
        for found in result.inside.dimensions:
            lines.append(f"inside {result.inside.by} {plain(result.inside.group)}, {_dimension_line(found)}")
            lines += contributor_lines(found.contributors) if found.contributors else []
    for outcome in result.outcomes or []:
        lines += [f"how calls ended, {outcome.by}:", *share_lines(outcome.shares)]
    for side, calls in (result.examples or {}).items():
        lines += [f"examples, {side}:", *(f"  {call_line(call)}" for call in calls)]
    lines.append(f"{result.requests} requests were made for it")
    return "\n".join(lines)


def _dimension_line(found: Dimension) -> str:
    said = {"within noise": "groups moved alike, within noise", "not tested": "groups side by side, not tested"}
    how = "calls shifted between groups" if found.mixed else "groups moved differently"
    head = f"by {found.by}: {said.get(found.verdict, f'{how}, {found.verdict}')}"
    if found.not_compared:
        head += f"; not compared: {found.not_compared}"
    head += "".join(f"; new{_since(group)}: {_seen(group)}" for group in found.new or [])
    head += "".join(f"; gone: {_seen(group)}" for group in found.gone or [])
    if not found.groups:
        return head
    names = listed(plain(name) for name in found.groups)
    if found.share_pct is None:
        return f"{head}; {names} differs most"
    return f"{head}; {names} {'bring' if len(found.groups) > 1 else 'brings'} {plain(found.share_pct)} % of the change"


def _since(group: GroupSeen) -> str:
    return f" since {group.since}" if group.since else ""


def _seen(group: GroupSeen) -> str:
    return f"{plain(group.group)} n {plain(group.n)}" + (f", {plain(group.value)}" if group.value is not None else "")


TOOL = ReadingTool(
    name="explain_change",
    title="Where a change happened",
    description=(
        "Why did it move? Looks at a widget's measure by agent, topic and metadata over two times, ranks where the "
        "change is concentrated, looks inside the group that drives it, and gives example calls of both sides. What "
        "coincides is not a cause: say so. Default: the last 7 days against the 7 before."
    ),
    request=ExplainRequest,
    result=Explanation,
    run=run,
    render=render,
    is_drawn=True,
)
