"""From the rows of a chart to a summary: units, names, and what the API sent otherwise than documented."""

from collections.abc import Sequence

from cekura_dashboards.api.chart_data import Chart
from cekura_dashboards.api.fields import FILTERED, PLOTTED
from cekura_dashboards.api.models import WidgetConfig
from cekura_dashboards.charts.rows import (
    BarRows,
    Rows,
    bar_rows,
    line_rows,
    passing_label,
    pie_slices,
    plots_times,
    stat_figures,
    uncovered_notes,
    unit_of,
)
from cekura_dashboards.charts.target import ChartReading
from cekura_dashboards.reports.history import findings_over_history
from cekura_dashboards.reports.report import ReportOptions
from cekura_dashboards.stats.timeline import DAY, HOUR, Span, iso
from cekura_dashboards.summaries.bar import bar
from cekura_dashboards.summaries.line import line
from cekura_dashboards.summaries.model import Bucket, Summary, TimesFacts
from cekura_dashboards.summaries.pie import pie
from cekura_dashboards.summaries.stat import stat
from cekura_dashboards.text import UntrustedText, json_text, word
from cekura_dashboards.values import replace

NONE_FOR = 2 * DAY
"""A window that begins with so much time without calls says so."""


def summarise(
    reading: ChartReading, audience: ReportOptions, history: ChartReading | None = None
) -> tuple[Summary, list[str]]:
    """The summary, and what was not tested. ``history``: more of the same measure, for the tests."""
    chart, config = reading.chart, reading.target.config
    if chart is None:
        raise ValueError("a reading that failed has nothing to summarise")
    by = group_name(config) if config.group_by else None
    if chart.chart_type == "stat":
        figures, extra = stat_figures(chart)
        return stat(figures, extra=extra, rates=chart.rate_unit), uncovered_notes(reading)
    if chart.chart_type == "pie":
        slices = pie_slices(chart, audience.names)
        return pie(slices, by=by, passing=passing_label(chart)), uncovered_notes(reading)
    if chart.chart_type == "bar":
        return _bar(reading, chart, audience, by, history)
    if chart.chart_type == "line":
        return _line(reading, chart, audience, by, history)
    kind = UntrustedText(chart.chart_type, limit=40)
    notes = [f"chart type {kind} is not chartable here"]
    return Summary(kind=kind, unit="unknown", n=None, facts=TimesFacts(), notes=notes), []


def group_name(config: WidgetConfig) -> str:
    """What a widget is grouped by, in a word."""
    group_by = config.group_by or {}
    if group_by.get("type") == "bucket":
        return f"time buckets of {json_text(group_by.get('interval'))} ms"
    return word(group_by.get("field") or "group", {"group", *PLOTTED, *FILTERED})


def _bar(
    reading: ChartReading, chart: Chart, audience: ReportOptions, by: str | None, history: ChartReading | None
) -> tuple[Summary, list[str]]:
    config = reading.target.config
    rows = bar_rows(reading, chart, audience.names)
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
        points=audience.points,
        coarse=audience.coarse,
        by=by,
        clock=audience.clock,
        tested=findings_over_history(history, reading, chart, audience.clock, audience.names),
    )
    calls = _times_with_calls(rows, config)
    begins = _none_before(calls, rows.span, history, audience.names)
    return _with_notes(summary, rows, by, chart, begins, local_days=reading.target.local_days), untested


def _times_with_calls(rows: BarRows, config: WidgetConfig) -> list[float]:
    counts = config.function == "count"
    return [b.time for b in rows.buckets if (b.value if counts or b.n is None else b.n)]


def _none_before(times: Sequence[float], span: Span, history: ChartReading | None, names: dict[str, str]) -> list[str]:
    """That such calls begin only well inside the window, as those of a version do before its release."""
    if history is not None and history.chart is not None:
        times = [*times, *_times_with_calls(bar_rows(history, history.chart, names), history.target.config)]
    first = min(times, default=span.start)
    return [f"no such calls before {iso(first)}"] if first - span.start >= NONE_FOR else []


def _line(
    reading: ChartReading, chart: Chart, audience: ReportOptions, by: str | None, history: ChartReading | None
) -> tuple[Summary, list[str]]:
    rows = line_rows(reading, chart, audience.names)
    span, untested = rows.tested_span(reading)
    if plots_times(reading.target.config, chart):
        summary = _times_only([Bucket(value, value, 1) for value in rows.calls.values()], "line")
        return _with_notes(summary, rows, by, chart), untested
    summary = line(
        rows.calls,
        span,
        unit="ratio" if rows.boolean else unit_of(reading.target.config, chart, []),
        boolean=rows.boolean,
        points=audience.points,
        coarse=audience.coarse,
        by=by,
        clock=audience.clock,
        tested=findings_over_history(history, reading, chart, audience.clock, audience.names),
    )
    begins = [] if rows.calls.nulls else _none_before([*rows.calls.cells], rows.span, history, audience.names)
    return _with_notes(summary, rows, by, chart, begins), untested


def _times_only(buckets: list[Bucket], kind: str) -> Summary:
    """Values that are times have no mean: only the first and the last are told."""
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
    """Add these notes, and what was seen in places where the API's form is not documented, or wrong."""
    all_notes = [*notes]
    if rows.outside:
        all_notes.append(
            f"{rows.outside} rows lay outside the window and were left out; the API may not have applied it"
        )
    if rows.unread:
        all_notes.append(f"{rows.unread} rows had no readable time and were left out")
    if rows.times.bare:
        all_notes.append("times came without an offset and are read as UTC")
    if (others := sorted(offset / HOUR for offset in rows.times.offsets if offset)) and not local_days:
        all_notes.append(f"buckets begin by the API's local time, {others[-1]:+g} hours from UTC")
    if by and chart.rows and not chart.grouped:
        all_notes.append("the widget is grouped, but the rows name no group")
    return replace(summary, notes=[*summary.notes, *all_notes])
