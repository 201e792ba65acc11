"""The report of one chart, from its rows and history to a summary, findings and notes."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from typing import Any

from msgspec import Struct, field
from pydantic import BaseModel, Field, PrivateAttr

from cekura_dashboards.api.chart_data import Chart
from cekura_dashboards.api.filters import both, in_words
from cekura_dashboards.api.models import CHART_TYPES, FILTERED, PLOTTED, Widget, WidgetConfig
from cekura_dashboards.charts.companions import (
    DURATION,
    LABELS,
    RATE,
    TOTAL,
    Evaluated,
    Past,
    disagreement,
    evaluated_calls,
    is_out_of_step,
    past_of,
    share_over_time,
    whole_values,
)
from cekura_dashboards.charts.rows import (
    BarRows,
    Rows,
    bar_rows,
    line_rows,
    pie_slices,
    plots_times,
    span_of,
    stat_figures,
    uncovered_notes,
    unit_of,
    unit_of_rate,
)
from cekura_dashboards.charts.target import ChartReading, Target, Window, are_few, format_instant, is_off_utc
from cekura_dashboards.context import in_thread
from cekura_dashboards.reports.edits import Edits
from cekura_dashboards.stats.change import LabelSeries
from cekura_dashboards.stats.compare import mirrored
from cekura_dashboards.stats.detect import detect
from cekura_dashboards.stats.findings import (
    SCALES,
    Comparison,
    FigureChange,
    Finding,
    Gap,
    GroupChanges,
    Outcome,
    Step,
    Trend,
    round_for_display,
)
from cekura_dashboards.stats.outliers import detect_outages
from cekura_dashboards.stats.significance import wilson_interval
from cekura_dashboards.stats.time_series import TimeSeries, floats
from cekura_dashboards.stats.timeline import (
    DAY,
    HOUR,
    MINUTE,
    PERIODS,
    STEPS,
    UTC_CLOCK,
    Clock,
    Span,
    floor_to,
    is_partial,
    iso,
    moment_of,
)
from cekura_dashboards.summaries.bar import bar, bar_outcome, bar_time_series, last_bucket
from cekura_dashboards.summaries.line import line, outage_of_hours
from cekura_dashboards.summaries.model import AnyFacts, Bucket, Groups, Profile, Series, Summary, Table, TimesFacts
from cekura_dashboards.summaries.pie import pie, stat
from cekura_dashboards.text import SafeText, UntrustedText, counted, json_text, named, untrusted, word
from cekura_dashboards.values import replace

FINE_SERIES, COARSE_SERIES = 31, 12
"""Buckets of a series by default: every day of a month, or fewer if several charts share the room."""


class ReportOptions(Struct, frozen=True):
    """What a report may contain.

    ``points``: the maximum number of buckets in a series; ``coarse``: in the series that replaces it if space is
    short, 0 for none. ``names``: of agents and metrics, by id. ``clock``: the user's time zone.
    """

    points: int
    coarse: int = 0
    names: dict[str, str] = field(default_factory=dict[str, str])
    clock: Clock = UTC_CLOCK


ALL_CALLS = "all calls"
NOT_COUNTED = "a count of {} omits calls without one; field agent_id counts all calls"
WHOLE_DAYS = ("d", "w", "mo")
"""Suffixes of the names of steps of whole days."""


class WidgetBrief(BaseModel):
    """A widget, and what it plots."""

    id: int | None = None
    name: UntrustedText | None = None
    chart_type: SafeText | None = Field(default=None, description="absent: the widget could not be read")
    field: SafeText | None = None
    metric: str | None = None
    aggregation_function: SafeText | None = None
    time_period: SafeText | None = None
    group_by: SafeText | None = None


class WindowShown(BaseModel):
    """The half-open window, in UTC."""

    start: str = Field(serialization_alias="from")
    end: str = Field(serialization_alias="to")
    source: str = Field(description="asked, saved or default")


class StatChange(BaseModel):
    """The figures of a stat with their baseline."""

    start: str = Field(serialization_alias="from")
    end: str = Field(serialization_alias="to")
    figures: list[FigureChange]


class WidgetReport(BaseModel):
    """The facts of one widget over one window, or the reason why there are none."""

    widget: WidgetBrief
    where: str | None = Field(default=None, description="which calls it counts: all filters together")
    window: WindowShown | None = None
    unit: str | None = None
    pass_score: str | None = Field(default=None, description="what a pass is scored, of a metric that passes or fails")
    n: int | None = None
    evaluated: Evaluated | None = None
    comparison: Comparison | None = None
    findings: list[Finding] | None = Field(default=None, description="empty: tested, none found")
    outage_of: int | None = Field(default=None, description="the widget of the same calls that reports the outage")
    facts: AnyFacts | None = None
    change: StatChange | None = None
    series: Series | None = None
    groups: Groups | None = None
    group_changes: GroupChanges | None = None
    edits: list[Edits] | None = Field(default=None, description="made when a change can have begun")
    profile: Profile | None = None
    table: Table | None = None
    not_tested: list[str] | None = None
    notes: list[str] | None = None
    omitted: list[str] | None = Field(default=None, description="what did not fit, and how to get it")
    error: str | None = None
    _coarser: Series | None = PrivateAttr(default=None)
    _changes: list[Finding] = PrivateAttr(default_factory=list[Finding])
    _is_charted: bool = PrivateAttr(default=False)
    _text: str | None = PrivateAttr(default=None)

    def text_by(self, render: Callable[["WidgetReport"], str]) -> str:
        """Its text, rendered once, so that the measured text is the one sent."""
        if self._text is None:
            self._text = render(self)
        return self._text

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> "WidgetReport":
        """A copy without the cached text."""
        copied = super().model_copy(update=update, deep=deep)
        copied._text = None  # noqa: SLF001 - a copy of its own
        return copied

    @property
    def is_charted(self) -> bool:
        """Whether its text contains a chart, which fits only into an answer about one widget."""
        return self._is_charted

    def with_chart(self, *, drawn: bool = True) -> "WidgetReport":
        copied = self.model_copy()
        copied._is_charted = drawn  # noqa: SLF001 - a copy of its own
        return copied

    @property
    def coarser(self) -> Series | None:
        """The series in fewer buckets, used if space is short; None if there is none."""
        return self._coarser

    @property
    def changes(self) -> list[Finding]:
        """Changes that may explain a difference: steps and trends in the whole history, outages in the window."""
        return [*self._changes, *(item for item in self.findings or [] if isinstance(item, Gap))]

    def with_changes(self, changes: Sequence[Finding]) -> "WidgetReport":
        self._changes = [*changes]
        return self

    def with_coarser(self, series: Series | None) -> "WidgetReport":
        """The report with a shorter series too, if that has fewer buckets."""
        if series is not None and self.series is not None and len(series.value) < len(self.series.value):
            self._coarser = series
        return self


def field_word(name: str) -> str:
    """A field as the API names it; untrusted names, such as metadata keys, are quoted."""
    return word(name, {**PLOTTED, **FILTERED})


def brief(config: WidgetConfig, metric_name: str | None = None) -> WidgetBrief:
    """A short description of a widget."""
    metric = None
    if config.metric is not None:
        name = config.metric_name if isinstance(config, Widget) and config.metric_name else metric_name
        metric = f"{config.metric} {named(name)}" if name else str(config.metric)
    return WidgetBrief(
        id=config.id if isinstance(config, Widget) else None,
        name=untrusted(config.name),
        chart_type=word(config.chart_type, CHART_TYPES, limit=40),
        field=field_word(config.field) if config.field else None,
        metric=metric,
        aggregation_function=config.function or None,
        time_period=config.period if config.time_period else None,
        group_by=group_name(config) if config.group_by else None,
    )


def which_calls(target: Target, names: dict[str, str]) -> str:
    """The calls that a chart counts, in words: the filters of widget, dashboard and request, without times."""
    calls = both(target.calls, target.config.counted)
    return in_words(calls, names) if calls else ALL_CALLS


def window_shown(window: Window) -> WindowShown:
    return WindowShown(start=format_instant(window.start), end=format_instant(window.end), source=window.source)


def report(reading: ChartReading, options: ReportOptions, history: ChartReading | None = None) -> WidgetReport:
    """The report of one chart. ``history``: the same measure over a longer time, for the tests."""
    config = reading.target.config
    about = brief(config, reading.chart.display_name if reading.chart else None)
    if reading.target.matching is not None:
        about = about.model_copy(update={"field": config.field})  # this program's own text, so unquoted
    result = WidgetReport(
        widget=about, where=which_calls(reading.target, options.names), window=window_shown(reading.window)
    )
    if reading.error is not None:
        return result.model_copy(update={"error": str(reading.error)})
    summary, untested = summarise(reading, options, history)
    share = share_over_time(history, options.clock) or share_over_time(reading, options.clock)
    evaluated, uncounted = evaluated_calls(reading, summary.n, share)
    findings, changes = summary.findings, summary.changes
    if findings is not None and share is not None:
        findings, changes = share.limit_all(findings), share.limit_all(changes)
    notes = [*summary.notes, *reading.notes, *uncounted]
    zone, days = options.clock.zone, _days_of(config, summary)
    if days and is_off_utc(reading.window, zone):
        notes.append(f"{days} are {'' if reading.target.local_days else f'UTC {days}, not '}those of {zone}")
    if config.counted:
        notes.append(NOT_COUNTED.format(field_word(config.field or "")))
    if history is not None and history.error is not None:
        notes.append(f"tested over this window only, as its history could not be read: {history.error}")
    return (
        result.model_copy(
            update={
                "unit": summary.unit,
                "pass_score": reading.passing,
                "n": summary.n,
                "evaluated": evaluated,
                "findings": findings,
                "facts": summary.facts,
                "series": summary.series,
                "groups": summary.groups,
                "not_tested": [*untested, *summary.not_tested] or None,
                "notes": notes or None,
            }
        )
        .with_coarser(summary.coarser)
        .with_changes(changes)
    )


def _days_of(config: WidgetConfig, summary: Summary) -> str | None:
    """The chart's buckets if they begin at midnight: days, weeks or months; None for shorter ones."""
    if config.chart_type == "bar" and config.period in {"day", "week", "month"}:
        return f"{config.period}s"
    return "days" if summary.series and summary.series.step.endswith(WHOLE_DAYS) else None


async def report_readings(
    readings: Sequence[ChartReading], options: ReportOptions, histories: Sequence[ChartReading | None] = ()
) -> list[WidgetReport]:
    """The report of each reading; ``histories``: one for each, if any were read."""
    beside = histories or [None] * len(readings)
    small = are_few([*readings, *(history for history in beside if history is not None)])
    return [
        await in_thread(report, reading, options, history, small=small)
        for reading, history in zip(readings, beside, strict=True)
    ]


def with_intervals(report: WidgetReport) -> WidgetReport:
    """The 95 % interval of each bucket's share."""
    series = report.series
    if series is None or series.n is None:
        return report
    bounds = [
        None if value is None or not n else wilson_interval(float(value), n)
        for value, n in zip(series.value, series.n, strict=True)
    ]
    low, high = ([None if bound is None else round_for_display(bound[side], 3) for bound in bounds] for side in (0, 1))
    return report.model_copy(update={"series": series.model_copy(update={"low": low, "high": high})})


NONE_FOR = 2 * DAY
"""A window that begins with at least this many seconds without calls gets a note."""


def summarise(
    reading: ChartReading, options: ReportOptions, history: ChartReading | None = None
) -> tuple[Summary, list[str]]:
    """The summary, and notes on omitted tests. ``history``: the measure over a longer time, for the tests."""
    chart, config = reading.chart, reading.target.config
    if chart is None:
        raise ValueError("a reading that failed has nothing to summarise")
    by = group_name(config) if config.group_by else None
    if chart.chart_type == "stat":
        figures, extra = stat_figures(chart)
        return stat(figures, extra=extra, rates=chart.rate_unit), uncovered_notes(reading)
    if chart.chart_type == "pie":
        slices = pie_slices(chart, options.names)
        return pie(slices, by=by, passing=chart.passing_label), uncovered_notes(reading)
    if chart.chart_type == "bar":
        return _bar(reading, chart, options, by, history)
    if chart.chart_type == "line":
        return _line(reading, chart, options, by, history)
    kind = UntrustedText(chart.chart_type, limit=40)
    notes = [f"chart type {kind} is not supported"]
    return Summary(kind=kind, unit="unknown", n=None, facts=TimesFacts(), notes=notes), []


def group_name(config: WidgetConfig) -> str:
    """The name of what a widget is grouped by."""
    group_by = config.group_by or {}
    if group_by.get("type") == "bucket":
        return f"time buckets of {json_text(group_by.get('interval'))} ms"
    return word(group_by.get("field") or "group", {"group", *PLOTTED, *FILTERED})


def _bar(
    reading: ChartReading, chart: Chart, options: ReportOptions, by: str | None, history: ChartReading | None
) -> tuple[Summary, list[str]]:
    config = reading.target.config
    rows = bar_rows(reading, chart, options.names)
    span, untested = rows.tested_span(reading)
    unit = unit_of(config, chart, [b.value for b in rows.buckets])
    if unit == "time":
        return _with_notes(_times_only(rows.buckets, "bar"), rows, by, chart), untested
    summary = bar(
        rows.buckets,
        span,
        function=config.function,
        period=config.period,
        unit=unit,
        points=options.points,
        coarse=options.coarse,
        by=by,
        clock=options.clock,
        tested=findings_over_history(history, reading, chart, options.clock, options.names),
        whole=whole_values(reading, options.names),
    )
    calls = _times_with_calls(rows, config)
    begins = _none_before(calls, rows.span, history, options.names)
    return _with_notes(summary, rows, by, chart, begins, local_days=reading.target.local_days), untested


def _times_with_calls(rows: BarRows, config: WidgetConfig) -> list[float]:
    counts = config.function == "count"
    return [b.time for b in rows.buckets if (b.value if counts or b.n is None else b.n)]


def _none_before(times: Sequence[float], span: Span, history: ChartReading | None, names: dict[str, str]) -> list[str]:
    """A note if the first call comes late in the window, as with a version released during it."""
    if history is not None and history.chart is not None:
        times = [*times, *_times_with_calls(bar_rows(history, history.chart, names), history.target.config)]
    first = min(times, default=span.start)
    return [f"no calls before {iso(first)}"] if first - span.start >= NONE_FOR else []


def _line(
    reading: ChartReading, chart: Chart, options: ReportOptions, by: str | None, history: ChartReading | None
) -> tuple[Summary, list[str]]:
    rows = line_rows(reading, chart, options.names)
    span, untested = rows.tested_span(reading)
    if plots_times(reading.target.config, chart):
        summary = _times_only([Bucket(value, value, 1) for value in rows.calls.values.tolist()], "line")
        return _with_notes(summary, rows, by, chart), untested
    summary = line(
        rows.calls,
        span,
        unit="ratio" if rows.boolean else unit_of(reading.target.config, chart, []),
        boolean=rows.boolean,
        points=options.points,
        coarse=options.coarse,
        by=by,
        clock=options.clock,
        tested=findings_over_history(history, reading, chart, options.clock, options.names),
    )
    if not rows.calls.nulls and len(rows.calls):
        findings = _with_outage_now(summary.findings, outage_of_hours(rows.calls, rows.span, options.clock))
        summary = replace(summary, findings=_since_last_call(findings, float(rows.calls.times[-1])))
    begins = [] if rows.calls.nulls else _none_before([*rows.row_times()], rows.span, history, options.names)
    return _with_notes(summary, rows, by, chart, begins), untested


def _with_outage_now(findings: Sequence[Finding] | None, gaps: Sequence[Gap]) -> list[Finding] | None:
    """The findings, with these outages in place of those that end when they begin, or later."""
    if findings is None or not gaps:
        return None if findings is None else [*findings]
    starts_at = min(moment_of(gap.start) for gap in gaps)
    others = [item for item in findings if not (isinstance(item, Gap) and moment_of(item.end) >= starts_at)]
    return [*others, *gaps]


def _since_last_call(findings: Sequence[Finding] | None, last: float) -> list[Finding] | None:
    """The findings; an ongoing outage starts at the minute of the last call, if that is near."""
    if findings is None:
        return None
    minute = iso(floor_to(last, MINUTE))
    return [item.model_copy(update={"start": minute}) if _goes_on_since(item, last) else item for item in findings]


def _goes_on_since(item: Finding, last: float) -> bool:
    return isinstance(item, Gap) and item.still is True and abs(moment_of(item.start).timestamp() - last) <= HOUR


def _times_only(buckets: list[Bucket], kind: str) -> Summary:
    """Values that are times have no mean: only the first and the last are reported."""
    values = [b.value for b in buckets if b.value is not None]
    facts = TimesFacts(first=iso(min(values)), last=iso(max(values))) if values else TimesFacts()
    n = sum(b.n or 0 for b in buckets)
    return Summary(kind=kind, unit="time", n=n, facts=facts)


def _with_notes(
    summary: Summary,
    rows: Rows,
    by: str | None,
    chart: Chart,
    notes: Sequence[str] = (),
    *,
    local_days: bool = False,
) -> Summary:
    """Add these notes, and notes on rows that differ from the documented format."""
    all_notes = [*notes]
    if rows.outside:
        all_notes.append(f"omitted: {counted(rows.outside, 'row')} outside the window; the API may not have applied it")
    if rows.unread:
        all_notes.append(f"omitted: {counted(rows.unread, 'row')} without a readable time")
    if rows.times.bare:
        all_notes.append("times without an offset are read as UTC")
    if (others := sorted(offset / HOUR for offset in rows.times.offsets if offset)) and not local_days:
        all_notes.append(f"buckets start in the API's local time, {others[-1]:+g} hours from UTC")
    if by and chart.rows and not chart.grouped:
        all_notes.append("the widget is grouped, but the rows name no group")
    return replace(summary, notes=[*summary.notes, *all_notes])


MIN_SHARE = 0.03
"""The minimum share of all calls for a label to be tested."""


def findings_over_history(
    history: ChartReading | None, reading: ChartReading, chart: Chart, clock: Clock, names: dict[str, str]
) -> Outcome | None:
    """The findings of the tests on a history that lie in the chart's window.

    None without a history, so that the chart itself is tested. Nothing is tested if the two count different calls.
    """
    if history is None or history.chart is None:
        return None
    past = past_of(history, history.chart, names)
    if not past.observed or is_out_of_step(past, chart):
        return None
    if (reason := disagreement(history, reading, chart, names)) is not None:
        return Outcome(not_tested=[f"trend, steps, outliers, outages: {reason}"])
    config, window = history.target.config, past.times.local(span_of(reading))
    unit = unit_of(config, history.chart, [bucket.value for bucket in past.observed])
    if chart.chart_type == "line" and line_rows(reading, chart, names).boolean and unit not in SCALES:
        unit = "ratio"
    outcome = _tested(history, past, unit, clock, window)
    return _with_hours(outcome, history, clock, window, names)


def _tested(history: ChartReading, past: Past, unit: str, clock: Clock, window: Span) -> Outcome:
    """Computed once, also for charts that share the history."""
    config = history.target.config
    return history.memoise(
        ("outcome", unit, window.start, window.end, window.zone),
        lambda: bar_outcome(config.function, config.period, unit, past.timed, past.span, clock, window),
    )


def _with_hours(outcome: Outcome, history: ChartReading, clock: Clock, window: Span, names: dict[str, str]) -> Outcome:
    """The outcome for days; for days read by the hour, an outage up to the last one is dated by the hour."""
    if history.hours is None or outcome.findings is None:
        return outcome
    by_hour, config = history.by_hour(), history.target.config
    past = past_of(by_hour, history.hours, names)
    starts = [moment_of(gap.start).timestamp() for gap in outcome.findings if isinstance(gap, Gap) and gap.still]
    today = Span(min([floor_to(past.span.end, DAY), *(start - DAY for start in starts)]), past.span.end, window.zone)
    _, calls = bar_time_series(config.function, "hour", "", past.timed, past.span)
    if calls is None or window.end < today.start:
        return outcome
    last = last_bucket(config.function, "hour", past.timed, past.span)
    gaps = by_hour.memoise(("outages", today, clock), lambda: detect_outages(calls, today, clock, last))
    return replace(outcome, findings=_with_outage_now(outcome.findings, gaps))


def outcome_of(history: ChartReading, chart: Chart, clock: Clock, window: Span, names: dict[str, str]) -> Outcome:
    """All tests on a history; only findings that concern ``window`` are reported."""
    past, config = past_of(history, chart, names), history.target.config
    if not past.observed:
        return Outcome()
    unit = unit_of(config, chart, [bucket.value for bucket in past.observed])
    local = past.times.local(window)
    outcome = _tested(history, past, unit, clock, local)
    return _with_hours(outcome, history, clock, local, names)


def outcome_of_calls(history: ChartReading, chart: Chart, clock: Clock, names: dict[str, str]) -> Outcome:
    """The steps, trends and outages in the number of calls of a history, over its whole time."""
    past, config = past_of(history, chart, names), history.target.config
    if not past.observed:
        return Outcome()
    calls = bar_time_series(config.function, config.period, "", past.timed, past.span)[1]
    return Outcome() if calls is None else detect(calls, calls, clock=clock, outliers=False)


def label_outcomes(
    history: ChartReading, clock: Clock, window: Span, names: dict[str, str]
) -> dict[str | None, LabelSeries]:
    """The share of each larger label over a history, with its steps and trends."""
    if history.chart is None:
        return {}
    rows = bar_rows(history, history.chart, names)
    step = STEPS[PERIODS[history.target.config.period]]
    sums, counts = defaultdict[float, float](float), defaultdict[str | None, dict[float, float]](dict)
    for bucket in rows.buckets:
        sums[bucket.time] += bucket.value or 0.0
        counts[bucket.group][bucket.time] = bucket.value or 0.0
    whole = [time for time in sorted(sums) if sums[time] >= 1 and not is_partial(time, step, rows.span)]
    every = math.fsum(sums.values())
    larger = {
        label: label_counts
        for label, label_counts in counts.items()
        if math.fsum(label_counts.values()) >= MIN_SHARE * every
    }
    local, times, calls = rows.times.local(window), floats(whole), floats(sums[time] for time in whole)

    def over_time(of_label: Mapping[float, float]) -> LabelSeries:
        shares = floats(of_label.get(time, 0.0) for time in whole) / calls
        course = TimeSeries(times, shares, calls, step, scale="rate")
        return LabelSeries(course, lambda: detect(course, window=local, clock=clock, outliers=False))

    return {label: over_time(of_label) for label, of_label in larger.items()}


def changes_of_parts(
    daily_bars: Mapping[str, ChartReading], clock: Clock, window: Span, names: dict[str, str]
) -> dict[str | None, Sequence[Finding]]:
    """The steps and trends of the figures of a stat, or of the labels of a pie, over the whole known time.

    ``window``: of the chart; results are shared with other charts of the same window.
    """
    changes = dict[str | None, Sequence[Finding]]()
    for name, history in daily_bars.items():
        if history.chart is None:
            continue
        if name == LABELS:
            outcomes = label_outcomes(history, replace(clock, zone=UTC), span_of(history), names)
            changes.update((label, of_label.outcome.changes) for label, of_label in outcomes.items())
            continue
        if name == RATE:
            changes["true"] = outcome_of(history, history.chart, clock, window, names).changes
            unit = unit_of_rate(history, bar_rows(history, history.chart, names))
            changes["false"] = [mirrored(item, unit) for item in changes["true"] if isinstance(item, Step | Trend)]
            continue
        changes[name] = outcome_of(history, history.chart, clock, window, names).changes
        if name == DURATION:
            calls = outcome_of_calls(history, history.chart, clock, names)
            changes[TOTAL] = [*calls.changes, *(item for item in calls.findings or [] if isinstance(item, Gap))]
    return changes
