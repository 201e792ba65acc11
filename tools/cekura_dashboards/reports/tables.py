"""Charts as rows: every bucket or slice of every group, each with its number of calls; and their names in words.

Rows are in order of time; at one time, and in a pie, the largest group and slice come first. A value that is missing
is None; a count of no calls is 0.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from msgspec import Struct

from cekura_dashboards.api.chart_data import Chart
from cekura_dashboards.api.models import METADATA, METRIC_VALUE, Widget, WidgetConfig
from cekura_dashboards.charts.rows import bar_rows, line_rows, pie_slices, plots_times, unit_of
from cekura_dashboards.charts.target import ChartReading, are_few
from cekura_dashboards.context import in_thread
from cekura_dashboards.reports.compare import ComparedReadings
from cekura_dashboards.reports.report import FINE_SERIES, ReportOptions, WidgetReport, group_name
from cekura_dashboards.stats.findings import exact, round_for_display
from cekura_dashboards.stats.significance import wilson_interval
from cekura_dashboards.stats.timeline import DAY, PERIODS, STEPS, Span, choose_step, is_partial, iso, starts
from cekura_dashboards.summaries.bar import ADDITIVE, display_value, end_of, merge_groups
from cekura_dashboards.summaries.line import CallValues
from cekura_dashboards.summaries.model import Bucket, Cell, Profile, Slice, StatFacts, Table
from cekura_dashboards.summaries.profile import names_of
from cekura_dashboards.text import UntrustedText, named
from cekura_dashboards.values import Array, np

LINE_ROWS, GROUPED_LINE_ROWS = 170, FINE_SERIES
"""Maximum buckets of a line, which consists of calls: the hours of a week; for each group the days of a month."""
PERIOD, CURRENT, BASELINE, INCOMPLETE = "period", "current", "baseline", "incomplete"
NO_VALUE = "no value"
"""The group or slice of calls without a value of its field."""
NO_TABLE = "no table, as the values of this chart are times or of an unknown kind"
INTERVAL = ("95 % low", "95 % high")
OPTIONAL = {"n", INCOMPLETE, *INTERVAL, "on weekdays", "on weekends"}
"""Columns that are omitted if empty."""
FIELDS = {
    "duration": "call duration", "call_ended_reason": "ended reason", "dropoff_point": "drop-off point",
    "is_reviewed": "reviewed calls", "agent_id": "agent", "agent.id": "agent", "agent.agent_name": "agent",
    "timestamp": "time of call", METRIC_VALUE: "metric value", "metric_evaluations.metric.id": "metric",
    "metric_evaluations.metric.name": "metric", "customer_number": "customer number",
}  # fmt: skip
AGGREGATIONS = {"avg": "average", "sum": "total", "min": "lowest", "max": "highest", "p50": "median"}
RATES = {"success": "success rate", "is_reviewed": "share of calls reviewed"}
RATE_UNITS = {"ratio", "percent"}


class _Row(Struct, frozen=True):
    """A bucket of one group. ``bounds``: the 95 % interval of a share."""

    time: str
    group: str | None
    value: float | None
    n: int | None
    partial: bool
    bounds: tuple[float, float] | None = None


async def with_tables(
    compared_readings: Sequence[ComparedReadings], reports: Sequence[WidgetReport], options: ReportOptions
) -> list[WidgetReport]:
    """The reports, each with all rows of its chart."""
    small = are_few(
        reading for sides in compared_readings for reading in (sides.current, sides.baseline) if reading is not None
    )
    tables = [
        await in_thread(_table_of, sides, report, options, small=small)
        for sides, report in zip(compared_readings, reports, strict=True)
    ]
    return [
        report.model_copy(update={"table": table} if table else {"notes": [*(report.notes or []), NO_TABLE]})
        if report.error is None
        else report
        for report, table in zip(reports, tables, strict=True)
    ]


def with_profile_table(report: WidgetReport) -> WidgetReport:
    """The report of a profile, with a row for each slot."""
    if report.profile is None:
        return report
    values: dict[str, list[None] | None] = {"value": [], "slots": None, "weekdays": None, "n": None, "weekend": None}
    table = _profile(report.profile, report.unit)
    return report.model_copy(update={"table": table, "profile": report.profile.model_copy(update=values)})


def _table_of(sides: ComparedReadings, report: WidgetReport, options: ReportOptions) -> Table | None:
    """All rows of a chart, and those of its baseline if a comparison was requested; None if it has none."""
    reading = sides.current
    if report.error is not None or reading.chart is None:
        return None
    if isinstance(report.facts, StatFacts):
        return _stat(report.facts, report)
    table = _chart(reading, reading.chart, report, options)
    other = None if sides.targets.unasked else sides.baseline
    if table is None or other is None or other.chart is None:
        return table
    baseline = _chart(other, other.chart, report, options)
    return table if baseline is None else _stacked(table, baseline)


def _table(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Table:
    """All rows, without empty columns."""
    listed = [[*row] for row in rows]
    used = [i for i, name in enumerate(columns) if name not in OPTIONAL or any(row[i] is not None for row in listed)]
    return Table(
        columns=[columns[i] for i in used], total_rows=len(listed), rows=[[row[i] for i in used] for row in listed]
    )


def _stacked(current: Table, baseline: Table) -> Table:
    """The rows of both periods, those of the current one first."""
    if current.columns == baseline.columns:
        both = ((CURRENT, current.rows), (BASELINE, baseline.rows))
        return _table([PERIOD, *current.columns], ([period, *row] for period, listed in both for row in listed))
    columns = [*current.columns, *(name for name in baseline.columns if name not in current.columns)]
    rows = [
        [period, *(cells.get(name) for name in columns)]
        for period, table in ((CURRENT, current), (BASELINE, baseline))
        for cells in (dict(zip(table.columns, row, strict=True)) for row in table.rows)
    ]
    return _table([PERIOD, *columns], rows)


def _chart(reading: ChartReading, chart: Chart, report: WidgetReport, options: ReportOptions) -> Table | None:
    if chart.chart_type == "pie":
        return _pie(pie_slices(chart, options.names), reading.target.config, chart)
    if chart.chart_type not in {"bar", "line"} or plots_times(reading.target.config, chart):
        return None
    if chart.chart_type == "line":
        return _line(reading, chart, report, options)
    return _bar(reading, chart, report, options)


def _of_unit(name: str, unit: str | None) -> str:
    """``success rate (ratio)``: with the unit if it is known and the name does not include it."""
    return name if unit in {None, "unknown", "calls"} else f"{name} ({unit})"


def _over_time(rows: Iterable[_Row], times: str, value: str, config: WidgetConfig, *, grouped: bool) -> Table:
    group = [group_in_words(config) or "group"] if grouped else []
    counts = config.chart_type == "bar" and config.function == "count"
    columns = [times, *group, value, "n", *INTERVAL, INCOMPLETE]
    cells: Iterable[list[Cell]] = (
        [
            row.time,
            *([_label(row.group)] if grouped else []),
            row.value,
            None if counts and row.n in {None, row.value} else row.n,
            *(row.bounds or (None, None)),
            "yes" if row.partial else None,
        ]
        for row in rows
    )
    return _table(columns, cells)


def _label(name: str | None) -> str:
    return NO_VALUE if name is None else name


def _largest_first(sizes: Mapping[str | None, float]) -> list[str | None]:
    return sorted(sizes, key=lambda name: (-sizes[name], name is None, str(name)))


def _bar(reading: ChartReading, chart: Chart, report: WidgetReport, options: ReportOptions) -> Table:
    config, rows = reading.target.config, bar_rows(reading, chart, options.names)
    function, period = config.function, config.period
    step = STEPS.get(PERIODS.get(period, ""), DAY)
    grid, present = starts(rows.span, step), {bucket.time for bucket in rows.buckets}
    if period == "month" or not present <= {*grid}:
        grid = sorted(present)
    buckets_by_group = defaultdict[str | None, list[Bucket]](list)
    for bucket in rows.buckets:
        buckets_by_group[bucket.group].append(bucket)
    sizes = {
        name: sum((b.value if function == "count" else b.n) or 0.0 for b in parts)
        for name, parts in buckets_by_group.items()
    }
    grouped = bool(config.group_by) and any(name is not None for name in sizes)
    at = {
        name: {bucket.time: bucket for bucket in merge_groups(function, buckets_by_group[name])}
        for name in _largest_first(sizes)
    }
    unit = unit_of(config, chart, [bucket.value for bucket in rows.buckets])
    zone = str(options.clock.zone) if reading.target.local_days else "API time" if any(rows.times.offsets) else "UTC"
    with_bounds = reading.target.matching is not None

    def row(time: float, name: str | None) -> _Row:
        bucket = at[name].get(time) or Bucket(time, None, 0)
        value = 0 if function in ADDITIVE and bucket.value is None and not bucket.n else bucket.value
        return _Row(
            iso(time, step=DAY if period != "hour" and time % DAY == 0 else step, zone=rows.span.zone),
            name,
            display_value(function, value),
            bucket.n,
            is_partial(time, end_of(bucket, period) - time, rows.span),
            _bounds(value, bucket.n) if with_bounds else None,
        )

    name = "share of calls" if with_bounds else measure_in_words(config, chart.display_name, unit)
    all_rows = (row(time, name) for time in grid for name in at)
    return _over_time(all_rows, f"{period} ({zone})", _of_unit(name, report.unit or unit), config, grouped=grouped)


def _bounds(value: float | None, n: int | None) -> tuple[float, float] | None:
    """The 95 % interval of a share."""
    if value is None or not n:
        return None
    low, high = wilson_interval(value, n)
    return round_for_display(low), round_for_display(high)


def _line(reading: ChartReading, chart: Chart, report: WidgetReport, options: ReportOptions) -> Table:
    """A row for each bucket: the mean of its calls, or the rate of booleans."""
    rows, config = line_rows(reading, chart, options.names), reading.target.config
    groups = rows.calls.by_group() or {None: rows.calls}
    name = choose_step(rows.span, LINE_ROWS if len(groups) == 1 else GROUPED_LINE_ROWS)
    grid = starts(rows.span, STEPS[name])
    ordered = _largest_first({group: float(len(calls)) for group, calls in groups.items()})
    by_group = [[*_line_rows(groups[group], group, grid, STEPS[name], rows.span)] for group in ordered]
    measure = measure_in_words(config, chart.display_name, "ratio" if rows.boolean else report.unit)
    all_rows = chain.from_iterable(zip(*by_group, strict=True))
    grouped = bool(config.group_by) and any(group is not None for group in groups)
    return _over_time(all_rows, f"every {name} (UTC)", _of_unit(measure, report.unit), config, grouped=grouped)


def _line_rows(calls: CallValues, group: str | None, grid: Sequence[float], step: int, span: Span) -> Iterable[_Row]:
    edges = calls.cut(grid, step)
    means: Array = calls.means(edges)
    for time, mean, n in zip(grid, means.tolist(), np.diff(edges).tolist(), strict=True):
        value = round_for_display(mean) if n else None
        yield _Row(iso(time, step=step, zone=span.zone), group, value, n, is_partial(time, step, span))


def _pie(slices: Sequence[Slice], config: WidgetConfig, chart: Chart) -> Table:
    """Each slice with its share of its group, in percent."""
    counts = defaultdict[str | None, dict[str | None, float]](dict)
    for piece in slices:
        group = counts[piece.group]
        group[piece.label] = group.get(piece.label, 0.0) + piece.value
    totals = {group: sum(labels.values()) for group, labels in counts.items()}
    grouped = bool(config.group_by) and any(group is not None for group in counts)
    by = [group_in_words(config) or "group"] if grouped else []
    share = f"share of the {by[0]} (%)" if grouped else "share (%)"
    rows: Iterable[list[Cell]] = (
        [
            *([_label(group)] if grouped else []),
            _label(label),
            exact(counts[group][label]),
            round(100 * counts[group][label] / totals[group], 1) if totals[group] else None,
        ]
        for group in _largest_first(totals)
        for label in _largest_first(counts[group])
    )
    return _table([*by, plotted_in_words(config, chart.display_name), "calls", share], rows)


def _stat(facts: StatFacts, report: WidgetReport) -> Table:
    """Each figure in its own unit, with its baseline if there is one."""
    figures: dict[str, float | int] = {name: value for name, value in facts if isinstance(value, int | float)} | {
        **(facts.other_figures or {})
    }
    units = facts.units or {}
    changes = report.change.figures if report.change else report.comparison.figures if report.comparison else None
    changed = {change.figure: change for change in changes or []}
    columns = ["figure", "value", "unit"] + (["baseline", "difference", "verdict"] if changed else [])
    rows = list[list[Cell]]()
    for name, value in figures.items():
        change = changed.get(name)
        beside: list[Cell] = [change.baseline, change.difference, change.verdict] if change else [None, None, None]
        rows.append([name, value, units.get(name), *(beside if changed else [])])
    return _table(columns, rows)


def _profile(profile: Profile, unit: str | None) -> Table:
    slots = names_of(profile.by)
    none: list[None] = [None] * len(slots)
    rows: Iterable[list[Cell]] = (
        [*cells]
        for cells in zip(
            slots, profile.value, profile.n or none, profile.weekdays or none, profile.weekend or none, strict=True
        )
    )
    name = profile.by.replace("_", " ")
    columns = [f"{name} ({profile.time_zone})", _of_unit("typical value", unit), "n", "on weekdays", "on weekends"]
    return _table(columns, rows)


def field_in_words(field: str) -> str:
    """A field of calls; names that people wrote are quoted.

    >>> field_in_words("agent.id"), field_in_words("topic"), field_in_words("metadata.app_version")
    ('agent', 'topic', '"app_version"')
    """
    if field.startswith(METADATA):
        return str(UntrustedText(field.removeprefix(METADATA)))
    return FIELDS.get(field, field.replace("_", " ") if field.isidentifier() else str(UntrustedText(field)))


def _metric(config: WidgetConfig, name: str | None) -> str:
    """The quoted name of the metric that a chart plots; empty where there is none."""
    name = (config.metric_name if isinstance(config, Widget) else None) or name
    return named(name) if name and config.field == METRIC_VALUE else ""


def plotted_in_words(config: WidgetConfig, metric_name: str | None = None) -> str:
    """The metric or field that a chart plots."""
    return _metric(config, metric_name) or field_in_words(config.field or "")


def measure_in_words(config: WidgetConfig, metric_name: str | None = None, unit: str | None = None) -> str:
    """The measure of a bar or line, without its unit.

    >>> measure_in_words(WidgetConfig(chart_type="bar", field="success", aggregation_function="avg"), unit="ratio")
    'success rate'
    >>> measure_in_words(WidgetConfig(chart_type="bar", field="duration", aggregation_function="p95"), unit="s")
    'p95 of call duration'
    """
    field, function = config.field or "", config.aggregation_function or ""
    is_bar = config.chart_type == "bar"
    if is_bar and function == "count":
        return f"calls with a value of {field_in_words(field)}" if config.counted else "calls"
    name = _metric(config, metric_name)
    if unit in RATE_UNITS and (function in {"", "avg"} or not is_bar):
        return RATES.get(field) or f"rate of {name or field_in_words(field)}"
    plotted = name or field_in_words(field)
    if not is_bar:
        return f"average {plotted}"
    return f"{function} of {plotted}" if function in {"p95", "p99"} else f"{AGGREGATIONS.get(function, '')} {plotted}"


def group_in_words(config: WidgetConfig) -> str | None:
    """The grouping of a chart; None for a chart without groups."""
    group_by = config.group_by
    if not group_by:
        return None
    return (
        group_name(config)
        if group_by.get("type") == "bucket"
        else field_in_words(str(group_by.get("field") or "group"))
    )


def title_in_words(config: WidgetConfig, metric_name: str | None = None, unit: str | None = None) -> str:
    """``Success rate, per day, by agent``."""
    if config.chart_type == "stat":
        return "Figures of all calls"
    group = group_in_words(config)
    if config.chart_type == "pie":
        parts = [f"calls by {plotted_in_words(config, metric_name)}"]
    else:
        parts = [
            measure_in_words(config, metric_name, unit),
            f"per {config.period}" if config.chart_type == "bar" else "",
        ]
    text = ", ".join(part for part in [*parts, f"by {group}" if group else ""] if part)
    return text[:1].upper() + text[1:]
