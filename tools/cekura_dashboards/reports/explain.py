"""Where a change happened: the measure in both windows, as a whole and by several fields."""

from collections.abc import Mapping, Sequence

from msgspec import Struct, field
from pydantic import BaseModel, Field

from cekura_dashboards.api.errors import DashboardsError, InvalidArguments
from cekura_dashboards.api.filters import fields_of
from cekura_dashboards.api.models import CHART_TYPES, WidgetConfig, is_metadata
from cekura_dashboards.charts.calls import MetadataKeys, used_keys
from cekura_dashboards.charts.companions import additional_requests, changes_by_group, differ, disagreement, histories
from cekura_dashboards.charts.read import read_charts
from cekura_dashboards.charts.target import ChartReading, RequestedChart, Target, Window, are_few
from cekura_dashboards.context import ToolContext, gather, in_thread
from cekura_dashboards.reports.compare import Measurement, days_before, groups_before, measure_of
from cekura_dashboards.reports.report import ReportOptions, field_word, report
from cekura_dashboards.stats.compare import compare
from cekura_dashboards.stats.decomposition import find_driver, has_rest_stayed
from cekura_dashboards.stats.findings import (
    EVALUATED_SHARES,
    Comparison,
    Contributors,
    Finding,
    GroupShareChange,
    Number,
    Shares,
    Verdict,
    exact,
    round_for_display,
)
from cekura_dashboards.stats.group_model import MIN_CALLS_OF_GROUP, BucketsByGroup
from cekura_dashboards.stats.significance import EMPTY_SAMPLE, Sample, SampleBucket, VerdictTerms
from cekura_dashboards.stats.timeline import DAY, iso
from cekura_dashboards.summaries.bar import is_merged
from cekura_dashboards.text import SafeText, word
from cekura_dashboards.values import replace

USUAL_FIELDS = ("agent.id", "topic")
OUTCOMES = ("call_ended_reason", "dropoff_point")
VERDICTS: tuple[Verdict, ...] = ("clear", "possible", "not significant", "not tested")
MAX_FIELDS = 3
MIN_DAYS = 5
"""Windows up to this length have hourly groups."""
MAX_INSIDE = 3
"""Maximum fields of the drill-down into a group."""
MAX_ONE_SIDED = 3
MAX_SHARES = 3
MEASURE = "measure"
"""The key of the whole measure among the fields."""
CURRENT, BASELINE, AS_SHOWN, PAST = "current", "baseline", "as shown", "past"
"""The readings of a chart: current, baseline, current on its dashboard, and history."""


class OneSidedGroup(BaseModel):
    """A group with calls in one window only."""

    group: SafeText | None = None
    n: Number
    value: Number | None = None
    since: str | None = Field(default=None, description="of a new group: when its calls begin")


class Dimension(BaseModel):
    """The change by one field: the share of its one or two largest groups, and whether groups differ."""

    by: SafeText
    verdict: Verdict
    mix_shift: bool | None = Field(
        default=None, description="calls shifted between groups that themselves moved little"
    )
    share_pct: float | None = Field(default=None, description="of the change, what the groups named bring")
    groups: list[SafeText | None] | None = None
    since: str | None = Field(default=None, description="of the only group named: when it began to differ")
    only: str | None = Field(default=None, description="of the only group named: the one day or hour that differs")
    contributors: Contributors | None = None
    new: list[OneSidedGroup] | None = Field(default=None, description="groups without calls in the baseline")
    gone: list[OneSidedGroup] | None = Field(default=None, description="groups without calls now")
    not_compared: str | None = None
    evaluated_shares: list[GroupShareChange] | None = Field(default=None, description=EVALUATED_SHARES)


class DrillDown(BaseModel):
    """The drill-down into the group that drives the change."""

    by: SafeText
    group: SafeText | None = Field(default=None, description="absent: calls without one")
    dimensions: list[Dimension]


class OutcomeShares(BaseModel):
    """How calls ended, in both windows."""

    by: SafeText
    shares: Shares


class ComparedMeasures(Struct, frozen=True):
    """Current and baseline of one chart: readings, measurements, the days before, and changes over time.

    ``groups_before``: the days before of each group.
    """

    readings: tuple[ChartReading, ChartReading]
    current: Measurement
    baseline: Measurement
    earlier: Sample = EMPTY_SAMPLE
    changes: Sequence[Finding] = ()
    groups_before: BucketsByGroup = field(default_factory=dict[str | None, Sequence[SampleBucket]])
    evaluated_shares: list[GroupShareChange] | None = None

    @property
    def scale(self) -> float:
        """The number that a rate of 100 % is written as, 0 for other measures."""
        return max(self.current.scale, self.baseline.scale)

    def compared(self, *, counted: bool) -> Comparison:
        differs = self.readings[1].window.weekdays_differ
        return compare(
            self.current.kind,
            self.current.sample,
            self.baseline.sample,
            VerdictTerms(
                strongest_verdict="possible" if differs else "clear",
                clock=self.current.clock,
                earlier_days=self.earlier,
                changes=self.changes,
            ),
            ratio=self.scale,
            counted=counted,
        )


class Split(Struct, frozen=True):
    """The measure and its splits by field, each compared or with its error.

    ``lost``: how the calls differ from those of the chart on its dashboard, if they do. ``requests``: for chart data.
    ``findings``: in the measure over time, in or shortly before the window, as ``get_widgets_data`` reports them.
    """

    charts: Mapping[str, ComparedMeasures | DashboardsError]
    lost: str | None
    requests: int
    findings: Sequence[Finding] = ()


async def read_split(
    context: ToolContext, chart: RequestedChart, configs: Mapping[str, WidgetConfig], window: Window, other: Window
) -> Split:
    """Current and baseline of each chart, read in the same way, and the history of the measure, concurrently."""
    now = context.now()
    sides = {CURRENT: replace(chart.target, window=window), BASELINE: replace(chart.target, window=other)}
    alone = not sides[CURRENT].goes_beyond(now) and sides[BASELINE].goes_beyond(now)
    targets = {
        (name, side): replace(target, config=config, alone=alone)
        for name, config in configs.items()
        for side, target in sides.items()
    }
    if MEASURE in configs:
        as_shown = replace(sides[CURRENT], config=configs[MEASURE])
        if context.settings.history:
            [key], measures, _ = histories([targets[MEASURE, CURRENT]], now)
            targets |= {(MEASURE, PAST): measures[key], **_past_of_groups(measures[key], configs)} if key else {}
        if alone and (MEASURE, PAST) in targets:
            targets[MEASURE, CURRENT] = as_shown
        elif alone:
            targets[MEASURE, AS_SHOWN] = as_shown
    readings, (names, _) = await gather(
        read_charts(context, [*targets.values()]),
        context.lookups.names(configs.values(), [chart.target.calls], chart.project),
    )
    read: dict[tuple[str, str], ChartReading] = dict(zip(targets, readings, strict=True))
    small, split = are_few(readings), dict[str, ComparedMeasures | DashboardsError]()
    options, findings = ReportOptions(points=0, names=names, clock=context.settings.clock), list[Finding]()
    for name in configs:
        current, baseline = read[name, CURRENT], read[name, BASELINE]
        error = current.error or baseline.error
        if error is not None or current.chart is None or baseline.chart is None:
            split[name] = error or DashboardsError("no data")
            continue
        measures_of = [
            await in_thread(measure_of, reading, part, names, None, context.settings.clock, small=small)
            for reading, part in ((current, current.chart), (baseline, baseline.chart))
        ]
        earlier = days_before(current, measures_of[0].sample, read.get((name, PAST)), {}, names, context.settings.clock)
        changes = list[Finding]()
        if name == MEASURE:
            over_time = await in_thread(report, current, options, read.get((name, PAST)), small=small)
            findings, changes = over_time.findings or [], over_time.changes
        past_groups = groups_before((current, baseline), read.get((name, PAST)), names)
        split[name] = ComparedMeasures(
            (current, baseline),
            measures_of[0],
            measures_of[1],
            earlier,
            changes,
            past_groups,
            changes_by_group(current, baseline, names),
        )
    lost = _calls_lost(read, names) if alone and isinstance(split.get(MEASURE), ComparedMeasures) else None
    return Split(split, lost, len(targets) + additional_requests(readings), findings)


def _past_of_groups(history: Target, configs: Mapping[str, WidgetConfig]) -> dict[tuple[str, str], Target]:
    """The daily histories of the measure by field; empty if groups are not tested over days.

    By the first field only if outcomes are read too, to keep the number of requests about equal.
    """
    fields = [name for name, config in configs.items() if config.group_by]
    if history.config.period != "day" or not is_merged(history.config.function, "group"):
        return {}
    most = 1 if any(config.chart_type == "pie" for config in configs.values()) else len(fields)
    return {(name, PAST): replace(history, config=configs[name], by_hours=False) for name in fields[:most]}


def _calls_lost(read: Mapping[tuple[str, str], ChartReading], names: dict[str, str]) -> str | None:
    """How the calls of the measure differ with its dashboard and without; None if they agree."""
    current, past, as_shown = (read.get((MEASURE, side)) for side in (CURRENT, PAST, AS_SHOWN))
    if current is None or current.chart is None:
        return None
    if past is not None and past.chart is None:
        return f"it is unknown whether both windows count the same calls: {past.error}"
    if past is not None:
        return disagreement(past, current, current.chart, names)
    if as_shown is None or as_shown.chart is None:
        return None
    return differ(*(measure_of(side, side.chart, names).sample.n for side in (as_shown, current) if side.chart))


def single_measure(config: WidgetConfig, window: Window) -> tuple[WidgetConfig, list[str]]:
    """The widget's measure as bars over time, ungrouped.

    Raises:
        InvalidArguments: for a chart that has no single measure.
    """
    period = "day" if (window.end - window.start).days >= MIN_DAYS else "hour"
    bar = {**config.writable(), "chart_type": "bar", "time_period": period, "group_by": None, "name": None}
    if config.chart_type == "bar":
        return WidgetConfig.model_validate(bar), []
    rate = config.chart_type == "pie" and config.field in {"success", "is_reviewed"}
    if config.chart_type == "line" or rate:
        note = "the rate of true is explained" if rate else "the mean of the line is explained"
        return WidgetConfig.model_validate({**bar, "aggregation_function": "avg"}), [note]
    raise InvalidArguments.at(
        "widget",
        f"a {word(config.chart_type, CHART_TYPES)} has no single figure to explain; give a bar, such as success avg "
        "per day, or compare its slices with get_widgets_data and compare_to.",
        lead="Nothing was explained.",
    )


def fields_to_split(chart: RequestedChart, config: WidgetConfig, keys: MetadataKeys) -> tuple[list[str], list[str]]:
    """Agent, topic and known metadata keys, without those that filters fix or the chart measures.

    The second list: those beyond the limit.
    """
    own = used_keys(chart.dashboard.widgets if chart.dashboard else [])
    names = [*(name for name in fields_of(chart.target.filters) if is_metadata(name)), *own]
    names = [key.field for key in keys.keys] + [name for name in names if name not in {key.field for key in keys.keys}]
    fixed = {*fields_of(chart.target.filters), config.field}
    candidates = [name for name in dict.fromkeys([*USUAL_FIELDS, *names]) if name not in fixed]
    return candidates[:MAX_FIELDS], candidates[MAX_FIELDS:]


def fields_inside(ranked: Sequence[tuple[str, Dimension]], others: Sequence[str]) -> tuple[list[str], list[str]]:
    """The fields of the drill-down into the group that drives a change; and those beyond the limit.

    Fields whose groups changed or whose mix shifted come first, then other metadata, then other fields.
    """
    first, *looked_at = ranked
    moved = [name for name, row in looked_at if row.verdict in {"clear", "possible"}]
    rest = sorted([*others, *(name for name, _ in looked_at)], key=lambda name: not is_metadata(name))
    fields = [name for name in dict.fromkeys([*moved, *rest]) if name != first[0]]
    return fields[:MAX_INSIDE], fields[MAX_INSIDE:]


def dimension(name: str, sides: ComparedMeasures, whole: Comparison, dimensions: int) -> Dimension:
    """The change by one field, in relation to the overall change."""
    counted = sides.current.kind == "total"
    row = sides.compared(counted=counted)
    by = field_word(name)
    new = _on_one_side(sides.current, sides.baseline, since=True) or None
    gone = _on_one_side(sides.baseline, sides.current, since=False) or None
    if sides.current.kind == "median":
        contributors, why = row.contributors, row.not_compared
        return Dimension(by=by, verdict="not tested", contributors=contributors, new=new, gone=gone, not_compared=why)
    result = find_driver(
        sides.current.grouped, sides.baseline.grouped, additive=counted, ratio=sides.scale, dimensions=dimensions,
        earlier=sides.groups_before,
    )  # fmt: skip
    alike, still = result.verdict == "not significant", whole.verdict == "not significant"
    groups = [result.outlying_group] if still and not result.mixed else result.groups
    outlier = result.outlier if result.outlier and not alike and groups == [result.outlier.group] else None
    when = {} if outlier is None or outlier.time is None else {outlier.when: iso(outlier.time, step=DAY)}
    resampled = {share.group for share in sides.evaluated_shares or []} & {*(groups or [])}
    is_limited = result.verdict == "clear" and (whole.limited_by or resampled)
    verdict: Verdict = "possible" if is_limited else result.verdict
    return Dimension(
        by=by,
        verdict=verdict,
        mix_shift=result.mixed or None,
        share_pct=None if alike or still or result.share is None else round(100 * result.share, 1),
        groups=None if alike else groups or None,
        since=when.get("since"),
        only=when.get("only"),
        contributors=row.contributors,
        new=new,
        gone=gone,
        not_compared=row.not_compared,
        evaluated_shares=sides.evaluated_shares,
    )


def narrows_to(sides: ComparedMeasures, groups: Sequence[str | None]) -> bool:
    """Whether only these groups changed, and not the other calls."""
    return has_rest_stayed(
        sides.current.grouped,
        sides.baseline.grouped,
        groups,
        additive=sides.current.kind == "total",
        ratio=sides.scale,
    )


def _on_one_side(there: Measurement, other: Measurement, *, since: bool) -> list[OneSidedGroup]:
    """The larger groups with calls on this side and none on the other."""
    groups = [
        OneSidedGroup(
            group=name,
            n=exact(n),
            value=None if there.kind == "total" else round_for_display(value),
            since=_first_time(there, name) if since else None,
        )
        for name, (n, value) in there.grouped.groups.items()
        if n >= MIN_CALLS_OF_GROUP and not other.grouped.groups.get(name, (0.0, 0.0))[0]
    ]
    return sorted(groups, key=lambda group: -group.n)[:MAX_ONE_SIDED]


def _first_time(measure: Measurement, name: str | None) -> str | None:
    """The first bucket with calls; None if it is the very first, because the group may be older than the window."""
    times = [cell.time for cell in measure.grouped.buckets.get(name, ()) if cell.n]
    first = min((cell.time for cells in measure.grouped.buckets.values() for cell in cells), default=0.0)
    return iso(min(times), step=DAY) if times and min(times) > first else None


def rank_dimensions(dimensions: Sequence[tuple[str, Dimension]]) -> list[tuple[str, Dimension]]:
    """The dimensions by significance, then by the share of the change."""
    return sorted(dimensions, key=lambda row: (VERDICTS.index(row[1].verdict), -(row[1].share_pct or 0.0)))


def outcome_shares(name: str, sides: ComparedMeasures) -> OutcomeShares | None:
    shares = sides.compared(counted=False).shares
    if shares is None:
        return None
    hidden = max(0, len(shares.top) - MAX_SHARES) + (shares.more or 0)
    shorter = shares.model_copy(update={"top": shares.top[:MAX_SHARES], "more": hidden or None})
    return OutcomeShares(by=name, shares=shorter)
