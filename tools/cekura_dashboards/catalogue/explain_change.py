"""Where a change happened: the same measure by agent, topic and metadata, on both sides."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, Field, model_validator

from cekura_dashboards.answers.render import comparison_lines, figure, parts_lines, plain, title_of
from cekura_dashboards.answers.report import brief, field_word
from cekura_dashboards.answers.sides import ENOUGH_DAYS, Measure, measure_of
from cekura_dashboards.api.errors import DashboardsError, InvalidArguments
from cekura_dashboards.api.fields import CHART_TYPES, METRIC_VALUE, filter_field, is_metadata
from cekura_dashboards.api.filters import fault, fields_of
from cekura_dashboards.api.models import WidgetConfig
from cekura_dashboards.charts.calls import (
    CallShown,
    behind,
    call_line,
    call_shown,
    find_calls,
    window_line,
)
from cekura_dashboards.charts.fetch import read_charts
from cekura_dashboards.charts.measured import Measured, MeasuredRequest, measured
from cekura_dashboards.charts.target import ChartReading, are_few
from cekura_dashboards.charts.window import DEFAULT, Window, format_instant, other_window, resolve
from cekura_dashboards.concurrency import each, in_thread, together
from cekura_dashboards.context import ToolContext
from cekura_dashboards.insight import Driver, compare, driver, widening
from cekura_dashboards.text import Foreign, Word, did_you_mean, listed, unquoted, word
from cekura_dashboards.tool import ReadingTool, Result
from cekura_dashboards.widgets.request import COMPARE_TO, RECENT_WINDOW

MOST_CHARTS = 10
BUDGET = MOST_CHARTS + 2
"""Requests for chart data and calls that one explanation makes at the most."""
EXAMPLES = 5
SIDES = ("this", "that")
EFFECTS = ("rate_effect", "mix_effect", "simpson", "not_compared")
VERDICTS = ("clear", "possible", "within noise", "not tested")
USUAL = ("agent.id", "topic")
OUTCOMES = ("call_ended_reason", "dropoff_point")
MOST_BY = 4


class ExplainRequest(MeasuredRequest):
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
                hint = did_you_mean(name, [*USUAL, *OUTCOMES, "is_reviewed", "success", "metadata.KEY"])
                raise fault(f"by[{index}]", f"{Foreign(name)} cannot be grouped by; {hint}")
        return self


class Dimension(BaseModel):
    """The change by one field: how much of it its one or two largest groups bring, and whether groups differ."""

    by: Word
    verdict: str
    mixed: bool | None = Field(default=None, description="calls shifted between groups that themselves moved little")
    share_pct: float | None = None
    groups: list[Word | None] | None = None
    comparison: dict[str, Any]


class Explanation(Result):
    measure: str
    window: str
    comparison: dict[str, Any]
    dimensions: list[Dimension]
    outcomes: list[dict[str, Any]] | None = Field(default=None, description="described, not ranked as drivers")
    examples: dict[str, list[CallShown]] | None = None
    requests_used: str
    caveats: list[str] | None = None


@dataclass(frozen=True)
class _Sides:
    """Both sides of one chart: what was read of each, and what it measures."""

    readings: list[ChartReading]
    this: Measure
    that: Measure

    @property
    def scale(self) -> float:
        """What a rate of one is written as, 0 for what is no rate."""
        return max(self.this.scale, self.that.scale)

    @property
    def widening(self) -> float:
        return max(widening(self.this.side, self.scale), widening(self.that.side, self.scale))

    def compared(self, *, counted: bool = False) -> dict[str, Any]:
        return compare(self.this.kind, self.this.side, self.that.side, ratio=self.scale, counted=counted)


async def _read(
    context: ToolContext, chart: Measured, configs: list[WidgetConfig], window: Window, other: Window
) -> list[_Sides | DashboardsError]:
    """Both sides of each chart, or why one could not be read; all are asked for at once."""
    targets = [replace(chart.target, config=config, window=side) for config in configs for side in (window, other)]
    readings, (names, _) = await together(read_charts(context, targets), context.lookups.agent_names(configs))
    small, found = are_few(readings), list[_Sides | DashboardsError]()
    for pair in zip(readings[::2], readings[1::2], strict=True):
        charts = [reading.chart for reading in pair if reading.chart is not None]
        if len(charts) < len(pair):
            found.append(next(reading.error for reading in pair if reading.error is not None))
            continue
        this, that = [
            await in_thread(measure_of, reading, part, names, small=small)
            for reading, part in zip(pair, charts, strict=True)
        ]
        found.append(_Sides([*pair], this, that))
    return found


async def run(context: ToolContext, request: ExplainRequest) -> Explanation:
    now, zone = context.now(), context.settings.zone
    window = resolve(request.window or DEFAULT, now, zone)
    other = other_window(window, request.compare_to or "previous_period", now, zone)
    chart = await measured(context, request, charted=True)
    config, caveats = _measure(chart.config, window)
    wanted = request.by or _where(chart, config)
    grouped = [config.model_copy(update={"group_by": {"type": "field", "field": name}}) for name in wanted]
    ends = [WidgetConfig(chart_type="pie", field=name) for name in OUTCOMES if not request.by]
    configs = [config, *grouped, *ends][: MOST_CHARTS // 2]
    base, *others = await _read(context, chart, configs, window, other)
    if isinstance(base, DashboardsError):
        raise base
    overall = {"from": format_instant(other.start), "to": format_instant(other.end), "against": other.source}
    overall |= base.compared(counted=_is_counted(config))
    noted = [note for reading in base.readings for note in reading.notes]
    caveats += dict.fromkeys([*other.notes, *base.this.untested, *base.that.untested, *noted])
    dimensions, skipped = list[Dimension](), list[str]()
    for name, sides in zip(wanted, others, strict=False):
        if isinstance(sides, DashboardsError):
            skipped.append(f"{field_word(name)}: could not be read: {sides}")
        else:
            dimensions.append(_dimension(field_word(name), sides, config, base.widening, len(wanted)))
    ended = others[len(wanted) :]
    skipped += [
        f"how calls ended by {end.field} was not looked at, as the budget of requests is spent"
        for end in ends[len(ended) :]
    ]
    dimensions.sort(key=_rank)
    examples, unread, looks = await _examples(context, request, chart, config, (window, other), dimensions)
    if overall.get("verdict") == "within noise":
        caveats.append("the change itself is within noise, so there may be nothing to explain")
    if base.this.kind == "median":
        caveats.append("percentiles do not split into parts: groups are compared, and their changes do not add up")
    return Explanation(
        measure=title_of(brief(config)),
        window=window_line(window),
        comparison=overall,
        dimensions=dimensions,
        outcomes=_outcomes(OUTCOMES, ended) or None,
        examples=examples or None,
        requests_used=f"{2 * len(configs) + looks} of {BUDGET}",
        caveats=[*caveats, *skipped, *unread, "what coincides with a change need not be its cause"],
    )


def _is_counted(config: WidgetConfig) -> bool:
    return config.aggregation_function == "count"


def _rank(found: Dimension) -> tuple[int, float]:
    return VERDICTS.index(found.verdict), -(found.share_pct or 0.0)


def _measure(config: WidgetConfig, window: Window) -> tuple[WidgetConfig, list[str]]:
    """The widget's measure as bars over time, ungrouped.

    Raises:
        InvalidArguments: for a chart that has no single measure.
    """
    period = "day" if (window.end - window.start).days >= ENOUGH_DAYS else "hour"
    bar = {**config.writable(), "chart_type": "bar", "time_period": period, "group_by": None, "name": None}
    if config.chart_type == "bar":
        return WidgetConfig.model_validate(bar), []
    rate = config.chart_type == "pie" and config.field in {"success", "is_reviewed"}
    if config.chart_type == "line" or rate:
        said = "the rate of true is explained" if rate else "the mean of the line is explained"
        return WidgetConfig.model_validate({**bar, "aggregation_function": "avg"}), [said]
    raise InvalidArguments.at(
        "widget",
        f"a {word(config.chart_type, CHART_TYPES)} has no single figure to explain; give a bar, such as success avg "
        "per day, or compare its slices with get_widgets_data and compare_to.",
        lead="Nothing was explained.",
    )


def _where(chart: Measured, config: WidgetConfig) -> list[str]:
    """Agent, topic and the metadata keys that are known here, less what the filters hold fixed or what is measured."""
    widgets = chart.dashboard.widgets if chart.dashboard else []
    used = [str((widget.group_by or {}).get("field") or "") for widget in widgets]
    seen = [name for widget in widgets for name in [widget.field or "", *fields_of(widget.filters)]]
    keys = [name for name in dict.fromkeys([*fields_of(chart.target.filters), *used, *seen]) if is_metadata(name)]
    fixed = {*fields_of(chart.target.filters), config.field}
    return [name for name in [*USUAL, *keys] if name not in fixed][:3]


def _dimension(name: str, sides: _Sides, config: WidgetConfig, wider: float, dimensions: int) -> Dimension:
    """The change by one field. ``wider``: how much wider than binomial the measure itself varies."""
    row, kind = sides.compared(counted=_is_counted(config)), sides.this.kind
    found: Driver = driver(
        sides.this.side,
        sides.that.side,
        additive=kind == "total",
        ratio=sides.scale,
        widening=wider if sides.scale else 1.0,
        dimensions=dimensions,
    )
    if kind == "median":
        kept = {key: row[key] for key in ("contributors", "not_compared") if key in row}
        return Dimension(by=name, verdict="not tested", comparison=kept)
    alike, still = found.verdict == "within noise", row.get("verdict") == "within noise"
    parts = ("rate_effect", "mix_effect", "contributors", "simpson", "not_compared")
    return Dimension(
        by=name,
        verdict=found.verdict,
        mixed=found.mixed or None,
        share_pct=None if alike or still or found.share is None else round(100 * found.share, 1),
        groups=None if alike else [found.differs] if still else found.groups or None,
        comparison={key: row[key] for key in parts if key in row},
    )


def _outcomes(names: Sequence[str], read: Sequence[_Sides | DashboardsError]) -> list[dict[str, Any]]:
    """How calls ended, on both sides."""
    found = list[dict[str, Any]]()
    for name, sides in zip(names, read, strict=False):
        row = {} if isinstance(sides, DashboardsError) else sides.compared()
        if "shares" in row:
            found.append({"by": name, "shares": {**row["shares"], "top": row["shares"]["top"][:3]}})
    return found


async def _examples(
    context: ToolContext,
    request: ExplainRequest,
    chart: Measured,
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
    first = (
        dimensions[0]
        if dimensions and dimensions[0].verdict in {"clear", "possible"} and dimensions[0].groups
        else None
    )
    where = (
        config
        if first is None
        else config.model_copy(update={"group_by": {"type": "field", "field": unquoted(first.by)}})
    )
    found, unread = dict[str, list[CallShown]](), list[str]()

    async def one(place: int) -> None:
        name, window = SIDES[place], windows[place]
        filters = behind(where, chart.target.filters, None, None if first is None else _group_on(name, first))
        if config.field == "success":
            filters = {"operator": "and", "conditions": [filters, {"field": "success", "op": "eq", "value": False}]}
        try:
            _, calls = await find_calls(context, project, filters, window, EXAMPLES)
        except DashboardsError as error:
            unread.append(f"example calls of {name} side could not be read: {error}")
        else:
            found[name] = [call_shown(call, project) for call in calls]

    await each(range(len(SIDES)), one)
    return {name: found[name] for name in SIDES if name in found}, sorted(unread, reverse=True), len(SIDES)


def _group_on(side: str, dimension: Dimension) -> str | None:
    """The first group of the change that has calls on this side, as it is asked for."""
    rows = dimension.comparison["contributors"]
    nothing = 0 if "change" in rows["columns"] else None
    empty = {row[0] for row in rows["top"] if row[rows["columns"].index(side)] == nothing}
    names = [name for name in dimension.groups or [] if name not in empty]
    return None if not names else "null" if names[0] is None else unquoted(names[0])


def render(result: Explanation) -> str:
    lines = [result.measure, result.window]
    lines += comparison_lines(result.comparison)
    for found in result.dimensions:
        said = {"within noise": "groups moved alike, within noise", "not tested": "groups side by side, not tested"}
        how = "calls shifted between groups" if found.mixed else "groups moved differently"
        head = f"by {found.by}: {said.get(found.verdict, f'{how}, {found.verdict}')}"
        if found.groups and found.share_pct is None:
            head += f"; {listed(plain(n) for n in found.groups)} differs most"
        elif found.groups:
            names = listed(plain(name) for name in found.groups)
            verb = "bring" if len(found.groups) > 1 else "brings"
            head += f"; {names} {verb} {plain(found.share_pct)} % of the change"
        effects = [figure(key, found.comparison[key]) for key in EFFECTS if key in found.comparison]
        lines += ["; ".join([head, *effects]), *parts_lines(found.comparison)]
    for outcome in result.outcomes or []:
        lines += [f"how calls ended, {outcome['by']}:", *parts_lines(outcome)]
    for name, calls in (result.examples or {}).items():
        lines += [f"examples, {name} side:", *(f"  {call_line(call)}" for call in calls)]
    lines.append(f"requests used: {result.requests_used}")
    return "\n".join([*lines, *(f"note: {text}" for text in result.caveats or [])])


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
