"""Where a change happened: the same measure by agent, topic and metadata, on both sides."""

from pydantic import Field, model_validator

from cekura_dashboards.answers.explanation import (
    MEASURE,
    OUTCOMES,
    USUAL_FIELDS,
    BothSides,
    Dimension,
    OutcomeShares,
    dimension,
    fields_to_split,
    outcome_shares,
    ranked,
    read_split,
    single_measure,
)
from cekura_dashboards.answers.render import comparison_lines, contributor_lines, plain, share_lines, title_of
from cekura_dashboards.answers.report import brief, field_word, which_calls
from cekura_dashboards.api.errors import DashboardsError
from cekura_dashboards.api.fields import METRIC_VALUE, filter_field
from cekura_dashboards.api.filters import doubtful, fault
from cekura_dashboards.api.models import WidgetConfig
from cekura_dashboards.charts.calls import (
    CallShown,
    behind,
    call_line,
    call_shown,
    find_calls,
    window_line,
)
from cekura_dashboards.charts.requested import ChartRequest, RequestedChart, requested_chart
from cekura_dashboards.charts.window import DEFAULT, Window, format_instant, other_window, resolve
from cekura_dashboards.concurrency import each
from cekura_dashboards.context import ToolContext
from cekura_dashboards.insight import Comparison
from cekura_dashboards.text import Foreign, did_you_mean, listed, unquoted
from cekura_dashboards.tool import ReadingTool, Result
from cekura_dashboards.widgets.request import COMPARE_TO, RECENT_WINDOW

MOST_CHARTS = 5
"""Each is read twice, once for each side."""
EXAMPLES = 5
MOST_BY = 4
NO_CAUSE = "what coincides with a change need not be its cause"


class ExplainRequest(ChartRequest):
    window: str | None = RECENT_WINDOW
    compare_to: str | None = COMPARE_TO
    by: list[str] | None = Field(
        default=None, max_length=MOST_BY, description="where to look; default agent.id, topic and known metadata.KEY"
    )

    @model_validator(mode="after")
    def _sensible(self) -> "ExplainRequest":
        if (self.widget_id is None) == (self.widget is None):
            raise fault("", "give either widget_id or widget.")
        for index, name in enumerate(self.by or []):
            if filter_field(name) is None or name in {"id", "timestamp", "duration", METRIC_VALUE}:
                hint = did_you_mean(name, [*USUAL_FIELDS, *OUTCOMES, "is_reviewed", "success", "metadata.KEY"])
                raise fault(f"by[{index}]", f"{Foreign(name)} cannot be grouped by; {hint}")
        return self


class Explanation(Result):
    measure: str
    where: str = Field(description="which calls are counted: all filters together")
    window: str
    comparison: Comparison
    dimensions: list[Dimension]
    outcomes: list[OutcomeShares] | None = Field(default=None, description="described, not ranked as drivers")
    examples: dict[str, list[CallShown]] | None = Field(default=None, description="calls of current and of baseline")
    requests: int = Field(description="made for chart data and calls")


async def run(context: ToolContext, request: ExplainRequest) -> Explanation:
    now, settings = context.now(), context.settings
    window = resolve(request.window or DEFAULT, now, settings.zone)
    other = other_window(window, request.compare_to or "previous_period", now, settings.zone)
    chart = await requested_chart(context, request, charted=True)
    config, notes = single_measure(chart.config, window)
    fields, too_many = (request.by, []) if request.by else fields_to_split(chart, config)
    splits = {name: config.model_copy(update={"group_by": {"type": "field", "field": name}}) for name in fields}
    outcomes = [] if request.by else [*OUTCOMES][: MOST_CHARTS - 1 - len(fields)]
    ends = {name: WidgetConfig(chart_type="pie", field=name) for name in outcomes}
    read = await read_split(context, chart, {MEASURE: config, **splits, **ends}, window, other)
    base = read.charts[MEASURE]
    if isinstance(base, DashboardsError):
        raise base
    whole = _overall(base, other, config, context, read.lost)
    noted = [note for reading in base.readings for note in reading.notes]
    notes += dict.fromkeys([*other.notes, *base.current.untested, *base.baseline.untested, *noted])
    dimensions, skipped = list[Dimension](), list[str]()
    for name in fields:
        sides = read.charts[name]
        if isinstance(sides, BothSides):
            dimensions.append(dimension(name, sides, whole, settings.clock, len(fields)))
        else:
            skipped.append(f"{field_word(name)}: could not be read: {sides}")
    ended = [(name, sides) for name in ends if isinstance(sides := read.charts[name], BothSides)]
    not_seen = [*(field_word(name) for name in too_many), *(name for name in OUTCOMES if name not in outcomes)]
    if not_seen and not request.by:
        skipped.append(f"not looked at: {listed(not_seen)}; name them in `by`")
    dimensions = ranked(dimensions)
    examples, unread, looks = await _examples(context, request, chart, config, (window, other), dimensions)
    if whole.verdict == "within noise":
        notes.append("the change itself is within noise, so there may be nothing to explain")
    if base.current.kind == "median":
        notes.append("percentiles do not split into parts: groups are compared, and their changes do not add up")
    names, unnamed = await context.lookups.names(splits.values(), [chart.target.calls], chart.project)
    return Explanation(
        measure=title_of(brief(chart.config)),
        where=which_calls(chart.target, names),
        window=window_line(window),
        comparison=whole,
        dimensions=dimensions,
        outcomes=[found for name, sides in ended if (found := outcome_shares(name, sides, settings.clock))] or None,
        examples=examples or None,
        requests=read.requests + looks,
        notes=[
            *notes,
            *doubtful(chart.target.calls),
            *skipped,
            *unread,
            *unnamed,
            NO_CAUSE,
        ],
    )


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
    first = dimensions[0] if dimensions and dimensions[0].verdict in {"clear", "possible"} else None
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
    if not found.groups:
        return head
    names = listed(plain(name) for name in found.groups)
    if found.share_pct is None:
        return f"{head}; {names} differs most"
    return f"{head}; {names} {'bring' if len(found.groups) > 1 else 'brings'} {plain(found.share_pct)} % of the change"


TOOL = ReadingTool(
    name="explain_change",
    title="Where a change happened",
    description=(
        "Why did it move? Looks at a widget's measure by agent, topic and metadata over two times, splits the change "
        "into rate and mix per group, ranks where it is concentrated, describes how calls ended, and gives example "
        "calls of both sides. What coincides is not a cause: say so. Default: the last 7 days against the 7 before."
    ),
    request=ExplainRequest,
    result=Explanation,
    run=run,
    render=render,
)
