"""Charts that are read in addition to the requested ones: histories, counts, percentiles of whole windows.

A history is a measure over all data that the API keeps, for the tests: a single week has one Monday, and only other
Mondays show what to expect. The charts are answered even if it fails. A check compares its calls with the chart's.

A metric may be evaluated on some calls only, and its chart counts only these. One hourly count serves all
charts of the same calls and window, and a requested chart that is such a count is reused. The share of calls evaluated
is tested over time, because a change of it can explain one of the metric.

Percentiles of all calls of a window cannot be computed from those of its buckets. The API computes one if a single
bucket contains the whole window: a month, or a week. A window across two months has two; the one of all calls lies
between them.
"""

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from msgspec import Struct
from pydantic import BaseModel, Field

from cekura_dashboards.api.chart_data import Chart
from cekura_dashboards.api.filters import both, without_time
from cekura_dashboards.api.models import LIMIT, MARGIN, METRIC_VALUE, WidgetConfig, plotted_type
from cekura_dashboards.charts.rows import TimeParser, bar_rows, line_rows, pie_slices, span_of
from cekura_dashboards.charts.target import ChartReading, Target, Window
from cekura_dashboards.context import AGENT_ID_FIELDS
from cekura_dashboards.stats.evaluated import CAUTIOUS_Z, MIN_CHANGE, EvaluatedShare, Part
from cekura_dashboards.stats.findings import GroupShareChange, Number, Step, Unusual, exact
from cekura_dashboards.stats.significance import NORMAL, two_sided
from cekura_dashboards.stats.time_series import floats
from cekura_dashboards.stats.timeline import DAY, HOUR, PERIODS, STEPS, Clock, Span, floor_to, is_partial
from cekura_dashboards.summaries.bar import fill_empty, is_merged, merge_groups, total, weighted
from cekura_dashboards.summaries.line import line_time_series
from cekura_dashboards.summaries.model import Bucket, WholeValue, WholeValues
from cekura_dashboards.text import counted
from cekura_dashboards.values import np, replace

MAX_HISTORIES = 12
"""Maximum requests for histories in one call."""
HISTORY = "history"
"""The source of the window of a history."""
HOURLY_HISTORY = timedelta(days=3)
"""Lines up to this length are tested by hour, longer ones by day."""
FIELDS_OF_FIGURES = {"success_rate": "success", "avg_duration": "duration"}
"""The fields behind the averages of a stat."""
DURATION, TOTAL = "avg_duration", "total_calls"
"""The figure of a stat whose hourly bar also counts calls, and the figure for their number."""
LABELS, RATE = "labels", "rate"
"""The daily bars of a pie: of its labels, or for a boolean pie, of the rate of true."""
COUNT_BY_DAY = {"field": "agent_id", "aggregation_function": "count", "time_period": "day"}
TESTED_PERIODS = ("hour", "day")
"""The steps at which a chart is tested over time."""


class Histories(NamedTuple):
    """For each target the key of its history, None if not tested over another; and how many are beyond the limit."""

    keys: list[str | None]
    by_key: dict[str, Target]
    without: int


def histories(targets: Sequence[Target], now: datetime) -> Histories:
    """The histories of these targets. If there are too many, the shortest windows have priority."""
    past_targets = [_history_of(target, now) for target in targets]
    by_hours = iter(with_hours([target for target in past_targets if target is not None]))
    past_targets = [None if target is None else next(by_hours) for target in past_targets]
    shared, keys = dict[str, Target](), list[str | None]([None] * len(targets))
    without = 0
    for place in sorted(range(len(targets)), key=lambda i: _length(targets[i])):
        history = past_targets[place]
        if history is None:
            continue
        key = measure_key(history)
        if key not in shared and len(shared) >= MAX_HISTORIES:
            without += 1
            continue
        shared.setdefault(key, history)
        keys[place] = key
    return Histories(keys, shared, without)


def with_groups(
    targets: Sequence[Target], keys: Sequence[str | None], shared: dict[str, Target]
) -> tuple[list[str | None], int]:
    """For each target the key of a daily history with its groups, and the number of targets beyond the limit.

    None if its groups are not compared over time, or beyond the limit.

    ``keys`` and ``shared``: as returned by ``histories``. A history by group replaces the same one without
    groups, without another request, unless that one is hourly; then both are read.
    """
    keys_of_groups, without = list[str | None](), 0
    for target, key in zip(targets, keys, strict=True):
        history = shared.get(key or "")
        if key is None or history is None or history.config.period != "day" or not _is_by_field(target):
            keys_of_groups.append(None)
            continue
        config = history.config.model_copy(update={"group_by": target.config.group_by})
        grouped = replace(history, config=config, by_hours=False)
        is_free = not (history.by_hours or history.local_days or history.config.group_by)
        own_key = key if is_free or history.config.group_by == config.group_by else measure_key(grouped)
        if own_key in shared or len(shared) < MAX_HISTORIES:
            shared[own_key] = grouped
        without += own_key not in shared
        keys_of_groups.append(own_key if own_key in shared else None)
    return keys_of_groups, without


def _is_by_field(target: Target) -> bool:
    return target.config.chart_type == "bar" and (target.config.group_by or {}).get("type") == "field"


def with_hours(bars: Sequence[Target]) -> list[Target]:
    """The bars over all data; for each set of calls, one daily bar, preferably a count, is read by the hour.

    Its hours show an outage today, without another request. Sets that already have an hourly bar are skipped.
    """
    first, hourly = dict[str, Target](), {_key_of_calls(bar) for bar in bars if bar.config.period == "hour"}
    for bar in sorted((bar for bar in bars if bar.has_days_of_hours and not bar.local_days), key=_counts_calls):
        if (key := _key_of_calls(bar)) not in hourly:
            first.setdefault(key, bar)
    chosen = {id(bar) for bar in first.values()}
    return [replace(bar, by_hours=True) if id(bar) in chosen else bar for bar in bars]


def _counts_calls(bar: Target) -> bool:
    """A sort key that puts counts of all calls first."""
    return not (bar.config.function == "count" and bar.config.counted is None)


def _key_of_calls(bar: Target) -> str:
    calls = both(bar.calls, bar.matching)
    return json.dumps([calls, bar.dashboard, bar.project], sort_keys=True, default=str)


def _length(target: Target) -> timedelta:
    return target.window.end - target.window.start if target.window else LIMIT


def measure_key(history: Target) -> str:
    """A key, equal for histories of the same measure over the same calls."""
    config = history.config
    parts = [
        config.field, config.metric, config.aggregation_function, config.time_period, config.data_type, config.group_by,
        without_time(history.filters), history.extra, history.matching, history.dashboard,
    ]  # fmt: skip
    return json.dumps(parts, sort_keys=True, default=str)


def _history_of(target: Target, now: datetime) -> Target | None:
    config, window = target.config, target.window
    if window is None or target.problem is not None:
        return None
    if config.chart_type == "bar":
        period = config.period
        if period not in TESTED_PERIODS or not is_merged(config.function, "group" if config.group_by else None):
            return None
    elif config.chart_type == "line" and config.field != "timestamp" and config.data_type != "datetime":
        period = "hour" if window.end - window.start <= HOURLY_HISTORY else "day"
    else:
        return None
    if window.start <= now - LIMIT + MARGIN + timedelta(seconds=STEPS[PERIODS[period]]):
        return None
    function = config.aggregation_function if config.chart_type == "bar" else "avg"
    return bar_over_all(target, now, time_period=period, aggregation_function=function)


def bar_over_all(target: Target, now: datetime, **fields: Any) -> Target:
    """A bar of the same calls over all data that the API keeps."""
    bar = {**target.config.writable(), "chart_type": "bar", "name": None, "group_by": None, **fields}
    window = Window(now - LIMIT + MARGIN, now, HISTORY)
    return replace(target, config=WidgetConfig.model_validate(bar), window=window)


def daily_bars(target: Target, now: datetime) -> dict[str, Target]:
    """Bars over time of the figures of a stat or the labels of a pie, by figure, ``LABELS`` or ``RATE``.

    Those of figures are days read by the hour, so that a window may cut them.
    """
    config = target.config
    if target.problem is not None or config.group_by:
        return {}
    if config.chart_type == "stat":
        bars = {
            figure: bar_over_all(target, now, field=field, aggregation_function="avg", time_period="day")
            for figure, field in FIELDS_OF_FIGURES.items()
        }
        return {figure: replace(bar, by_hours=True) for figure, bar in bars.items()}
    if config.chart_type == "pie" and plotted_type(config.field or "") == "string":
        by = {"type": "field", "field": config.field}
        return {LABELS: bar_over_all(target, now, **COUNT_BY_DAY, group_by=by)}
    if config.chart_type == "pie" and plotted_type(config.field or "") == "boolean":
        return {RATE: bar_over_all(target, now, aggregation_function="avg", time_period="day")}
    return {}


HOURLY_COUNT = WidgetConfig(chart_type="bar", field="agent_id", aggregation_function="count", time_period="hour")
"""Hourly, because evaluations can be missing for hours while calls come in."""
BY_AGENT = {"type": "field", "field": "agent.id"}
"""The grouping of the count for a chart by agent, because sampling and triggers may differ by agent."""


def additional_counts(readings: Sequence[ChartReading], used: int) -> tuple[list[Target], list[int | None]]:
    """Additional counts to read, and for each of the first ``used`` readings the position of its count.

    Positions are in ``readings``, continued by the counts; None for charts of all calls.
    """
    places = dict[str, int]()
    for place, reading in enumerate(readings):
        if _counts_calls_by_hour(reading.target):
            places.setdefault(_calls_of(reading), place)
    targets, chosen = list[Target](), list[int | None]()
    by_agent = {
        _calls_of(reading)
        for reading in readings[:used]
        if _is_of_metric(reading) and is_by_agent(reading) and reading.window.source != HISTORY
    }
    for reading in readings[:used]:
        key = _calls_of(reading)
        if _is_of_metric(reading) and key not in places:
            places[key] = len(readings) + len(targets)
            as_sent = replace(reading.target, local_days=False, by_hours=False)
            config = HOURLY_COUNT.model_copy(update={"group_by": BY_AGENT}) if key in by_agent else HOURLY_COUNT
            targets.append(replace(as_sent, config=config, window=reading.window))
        chosen.append(places[key] if _is_of_metric(reading) else None)
    return targets, chosen


def additional_requests(readings: Sequence[ChartReading]) -> int:
    """The number of additional counts that were read for these charts."""
    counts = {id(reading.all_calls): reading.all_calls for reading in readings if reading.all_calls is not None}
    own = [reading.target for reading in readings]
    return sum(count.target not in own for count in counts.values())


def _is_of_metric(reading: ChartReading) -> bool:
    target = reading.target
    return target.config.field == METRIC_VALUE and target.matching is None and reading.error is None


def is_by_agent(reading: ChartReading) -> bool:
    return (reading.target.config.group_by or {}).get("field") in AGENT_ID_FIELDS


def _counts_calls_by_hour(target: Target) -> bool:
    """Whether a chart counts all its calls by the hour."""
    config = target.config
    counts = config.chart_type == "bar" and config.aggregation_function == "count" and config.field == "agent_id"
    return counts and config.period == "hour" and not (config.group_by or target.matching)


def _calls_of(reading: ChartReading) -> str:
    """A key, equal for the same calls of the same time, read in the same way."""
    target, window = reading.target, reading.window
    parts = [target.calls, target.dashboard, target.project, str(window.start), str(window.end), reading.alone]
    return json.dumps(parts, sort_keys=True, default=str)


PERCENTILES = ("p50", "p95", "p99")
PERIODS_OF_PARTS = ("hour", "day", "week")
MAX_WHOLE_DIFFERENCE = 0.02
"""Allowed difference of the calls of two readings, as a share: some arrive between the requests. A choice."""


def whole_window_bars(target: Target) -> list[Target]:
    """For a chart of percentiles: with as few buckets as contain its window, by group and for all groups together."""
    config, window = target.config, target.window
    has_parts = config.chart_type == "bar" and config.period in PERIODS_OF_PARTS
    if not has_parts or config.function not in PERCENTILES or window is None or target.problem is not None:
        return []
    bar = {**config.writable(), "name": None, "time_period": _shortest_period(window)}
    groupings = [config.group_by, None] if config.group_by else [None]
    configs = [WidgetConfig.model_validate({**bar, "group_by": group_by}) for group_by in groupings]
    return [replace(target, config=part) for part in configs]


def _shortest_period(window: Window) -> str:
    """A week if one contains the window and no month does."""
    edges = [edge.astimezone(UTC) for edge in (window.start, window.end - timedelta(microseconds=1))]
    first, last = edges
    in_month = (first.year, first.month) == (last.year, last.month)
    return "week" if not in_month and first.isocalendar()[:2] == last.isocalendar()[:2] else "month"


def key_of_whole(target: Target) -> str:
    """A key, equal for the same percentiles of the same calls, read in the same way."""
    window = target.window
    times = [window.start.isoformat(), window.end.isoformat()] if window else []
    return json.dumps([measure_key(target), times, target.alone])


def _value_of(buckets: list[Bucket]) -> WholeValue | None:
    """The value from the buckets of one group; None without values, or if the calls of several are unknown."""
    values = [bucket.value for bucket in buckets if bucket.value is not None]
    if not values or total(buckets) is None:
        return None
    return WholeValue(weighted(buckets), tuple(values) if len(values) > 1 else ())


def whole_values(reading: ChartReading, names: dict[str, str]) -> WholeValues:
    """The percentile of all calls, and of each group; empty if they were not read, or cover other calls."""
    values, calls = WholeValues(), _calls(reading, names)
    for whole in reading.whole:
        others = _calls(whole, names)
        if whole.chart is None or calls is None or others is None or abs(calls - others) > MAX_WHOLE_DIFFERENCE * calls:
            continue
        buckets_by_group = defaultdict[str | None, list[Bucket]](list)
        for bucket in bar_rows(whole, whole.chart, names).buckets:
            buckets_by_group[bucket.group].append(bucket)
        values_of = {group: _value_of(buckets) for group, buckets in buckets_by_group.items()}
        by_group = {group: value for group, value in values_of.items() if value is not None}
        if whole.target.config.group_by:
            values = replace(values, by_group=by_group)
        else:
            values = replace(values, of_all=by_group.get(None))
    return values


def _calls(reading: ChartReading, names: dict[str, str]) -> int | None:
    return None if reading.chart is None else total(bar_rows(reading, reading.chart, names).buckets)


CLEAR = 0.99
"""The level for all groups together: that of ``clear``. Measured, one week against another: with 7 agents of 20 or 100
calls a day, 0.5 % of answers report a false change, and 5 % if the share varies by 0.05 from day to day.
"""
ARRIVING = 2
"""Calls, besides one in a hundred, that may arrive between two requests. A choice."""


class Evaluated(BaseModel):
    """The calls with a value of the metric, and all calls of the same filter and window."""

    n: int
    all_calls: int
    pct: Number
    share_changes: list[Step | Unusual] | None = Field(
        default=None, description="of the share, 0 to 1: by sampling or trigger, not a change of quality"
    )


def evaluated_calls(
    reading: ChartReading, n: int | None, share: EvaluatedShare | None
) -> tuple[Evaluated | None, list[str]]:
    """How many of the calls have a value; and notes if that is unknown."""
    counts = reading.all_calls
    if counts is None or n is None:
        return None, []
    if counts.chart is None:
        return None, [f"of how many calls is unknown, as they could not be counted: {counts.error}"]
    calls = round(_calls_in(counts, reading.window))
    if n > calls:
        note = f"of how many calls is unknown: only {calls} were counted"
        return None, [note] if n > calls + ARRIVING + calls // 100 else []
    if not calls:
        return None, []
    changes = None if share is None else share.reported(_local_span(reading))
    return Evaluated(n=n, all_calls=calls, pct=exact(round(100 * n / calls, 1)), share_changes=changes or None), []


def share_over_time(reading: ChartReading | None, clock: Clock) -> EvaluatedShare | None:
    """The share of calls evaluated over time; None if it is unknown, or the buckets are not hours or days."""
    return None if reading is None else reading.memoise("evaluated share", lambda: _share_over_time(reading, clock))


def _share_over_time(reading: ChartReading, clock: Clock) -> EvaluatedShare | None:
    own = reading.by_hour() if reading.hours is not None else reading
    chart, counts = own.chart, reading.all_calls
    if chart is None or chart.chart_type not in {"bar", "line"} or counts is None or counts.chart is None:
        return None
    short = reading.window.end - reading.window.start <= HOURLY_HISTORY
    period = own.target.config.period if chart.chart_type == "bar" else "hour" if short else "day"
    evaluated = _evaluated(own, chart) if period in TESTED_PERIODS else None
    if evaluated is None:
        return None
    # A window cut from a longer reading is narrower than its counts: calls outside must not count as unevaluated.
    rows, step = bar_rows(replace(counts, window=own.window), counts.chart, {}), STEPS[PERIODS[period]]
    by_hour = [*_by_step(((bucket.time, bucket.value or 0.0) for bucket in rows.buckets), HOUR).items()]
    calls, with_value = _by_step(by_hour, step), _by_step(evaluated, step)
    # The API may leave out buckets without calls; without them a day is not whole.
    every = np.arange(min(calls, default=0.0), max(calls, default=-1.0) + 1, step).tolist()
    full = {time: not is_partial(time, step, rows.span) for time in every}
    # A window that was read directly cuts calls and evaluations alike; a window cut from a longer reading does not.
    times = [time for time, is_full in full.items() if is_full or own.window == counts.window]
    n, of = (floats(counted.get(time, 0.0) for time in times) for counted in (with_value, calls))
    whole = np.array([full[time] for time in times], np.bool_)
    return EvaluatedShare.of(floats(times), n, of, step, clock, dict(by_hour), full=whole)


def _evaluated(reading: ChartReading, chart: Chart) -> list[tuple[float, float]] | None:
    """Times, and the number of evaluated calls at each; None if that is unknown."""
    if chart.chart_type == "line":
        return [(time, 1.0) for time in line_rows(reading, chart, {}).calls.times.tolist()]
    counts = reading.target.config.function == "count"
    buckets = bar_rows(reading, chart, {}).buckets
    if not counts and any(bucket.n is None for bucket in buckets):
        return None
    return [(bucket.time, float((bucket.value if counts else bucket.n) or 0)) for bucket in buckets]


def _by_step(values: Iterable[tuple[float, float]], step: int) -> dict[float, float]:
    sums = defaultdict[float, float](float)
    for time, value in values:
        sums[floor_to(time, step)] += value
    return sums


def change_of_share(current: ChartReading, baseline: ChartReading, clock: Clock) -> str | None:
    """How the share of calls evaluated differs between two windows; None if it does not, or is unknown."""
    before, after = _part(baseline), _part(current)
    if before is None or after is None:
        return None
    share, earlier = share_over_time(current, clock), share_over_time(baseline, clock)
    if share is None or earlier is None:
        return EvaluatedShare.unknown().reason(before, after, CAUTIOUS_Z)
    lag_s = (current.window.start - baseline.window.start).total_seconds()
    return share.reason_between(earlier, lag_s, before, after)


def _part(reading: ChartReading) -> Part | None:
    chart, counts = reading.chart, reading.all_calls
    if chart is None or counts is None or counts.chart is None:
        return None
    if chart.chart_type == "pie":
        evaluated = sum(piece.value for piece in pie_slices(chart, {}) if piece.label is not None)
    else:
        values = _evaluated(reading, chart)
        if values is None:
            return None
        evaluated = sum(n for _, n in values)
    calls = _calls_in(counts, reading.window)
    return Part(evaluated, calls) if evaluated <= calls else None


def changes_by_group(
    current: ChartReading, baseline: ChartReading, names: dict[str, str]
) -> list[GroupShareChange] | None:
    """The agents whose share of calls evaluated differs between the windows.

    None if there are none, or calls were not counted by agent: one count serves all charts of the same calls.
    """
    sides = [_days_by_group(reading, names) for reading in (current, baseline)]
    groups = [group for group in sides[0] if group in sides[1]]
    z, changes = NORMAL.inv_cdf(two_sided(CLEAR, max(1, len(groups)))), list[GroupShareChange]()
    for group in groups:
        after, before = (_share_by_day(side[group]) for side in sides)
        parts = [side.part(side.calls > 0) for side in (before, after)]
        both = _share_by_day({**sides[1][group], **sides[0][group]})
        is_large = abs(parts[0].share - parts[1].share) >= MIN_CHANGE * max(part.share for part in parts)
        if is_large and both.reason(parts[0], parts[1], z) is not None:
            changes.append(GroupShareChange(group=group, baseline_pct=parts[0].pct, current_pct=parts[1].pct))
    return changes or None


_Days = dict[float, tuple[float, float]]
"""Evaluated calls and all calls by the start of the day."""


def _days_by_group(reading: ChartReading, names: dict[str, str]) -> dict[str | None, _Days]:
    """The days with calls of each agent; empty if unknown."""
    own, counts = reading.by_hour() if reading.hours is not None else reading, reading.all_calls
    if own.chart is None or counts is None or counts.chart is None or not counts.target.config.group_by:
        return {}
    if not is_by_agent(own) or own.chart.chart_type != "bar":
        return {}
    evaluated, calls = (defaultdict[str | None, list[tuple[float, float]]](list) for _ in range(2))
    for bucket in bar_rows(own, own.chart, names).buckets:
        n = bucket.value if own.target.config.function == "count" else bucket.n
        if n is None and bucket.value is not None:
            return {}
        evaluated[bucket.group].append((bucket.time, n or 0.0))
    for bucket in bar_rows(replace(counts, window=own.window), counts.chart, names).buckets:
        calls[bucket.group].append((bucket.time, bucket.value or 0.0))
    days = dict[str | None, _Days]()
    for group, rows in calls.items():
        with_value = _by_step(evaluated[group], DAY)
        by_day = {day: (with_value.get(day, 0.0), n) for day, n in _by_step(rows, DAY).items() if n}
        if sum(with_value.values()) <= sum(n for _, n in by_day.values()):
            days[group] = by_day
    return days


def _share_by_day(days: _Days) -> EvaluatedShare:
    times = sorted(days)
    evaluated, calls = (floats(days[time][place] for time in times) for place in (0, 1))
    return EvaluatedShare(floats(times), np.minimum(evaluated, calls), calls, DAY)


def _calls_in(counts: ChartReading, window: Window) -> float:
    """The calls of a window, or of its whole buckets if it is cut from a longer one."""
    if counts.chart is None:
        return 0.0
    rows = bar_rows(replace(counts, window=window), counts.chart, {})
    return math.fsum(bucket.value or 0.0 for bucket in rows.buckets)


def _local_span(reading: ChartReading) -> Span:
    chart = reading.chart
    if chart is None or chart.chart_type != "bar":
        return span_of(reading)
    return bar_rows(reading, chart, {}).times.local(span_of(reading), reading.offsets)


MAX_COUNT_DIFFERENCE = 0.005
"""The allowed relative difference between two answers of the API at nearly the same time."""


class Past(Struct, frozen=True):
    """The buckets of a history with data, all buckets from the first on, and their span."""

    observed: list[Bucket]
    timed: list[Bucket]
    span: Span
    times: TimeParser


def past_of(history: ChartReading, chart: Chart, names: dict[str, str]) -> Past:
    """Computed once, also for charts that share the history."""
    return history.memoise(("past", *names.items()), lambda: _read_past(history, chart, names))


def is_out_of_step(past: Past, chart: Chart) -> bool:
    """Whether the buckets start in the API's local time, while single calls are in UTC."""
    return chart.chart_type == "line" and any(past.times.offsets)


def _read_past(history: ChartReading, chart: Chart, names: dict[str, str]) -> Past:
    config, rows = history.target.config, bar_rows(history, chart, names)
    observed = [bucket for bucket in rows.buckets if bucket.value is not None]
    first = min((bucket.time for bucket in observed), default=rows.span.start)
    span = replace(rows.span, start=max(rows.span.start, first))
    timed = fill_empty(config.function, config.period, merge_groups(config.function, rows.buckets), span)
    return Past(observed, timed, span, rows.times)


def disagreement(history: ChartReading, reading: ChartReading, chart: Chart, names: dict[str, str]) -> str | None:
    """How the calls of a chart and its history differ in the window; None if they agree, or cannot be compared."""
    return reading.memoise("disagreement", lambda: _disagreement_by_hour(history, reading, chart, names))


def _disagreement_by_hour(
    history: ChartReading, reading: ChartReading, chart: Chart, names: dict[str, str]
) -> str | None:
    """The readings to compare: hourly for days merged from hours, because a day that the window cuts is incomplete."""
    if history.hours is None or reading.hours is None:
        return _disagreement(history, reading, chart, names)
    return _disagreement(history.by_hour(), reading.by_hour(), reading.hours, names)


def _disagreement(history: ChartReading, reading: ChartReading, chart: Chart, names: dict[str, str]) -> str | None:
    if history.chart is None or is_out_of_step(past_of(history, history.chart, names), chart):
        return None
    step = STEPS[PERIODS[history.target.config.period]]
    past, mine = past_of(history, history.chart, names), _chart_calls(reading, chart, names, step)
    theirs = {bucket.time: float(bucket.n if bucket.n is not None else bucket.value or 0) for bucket in past.timed}
    slack = line_rows(reading, chart, names).calls.nulls if chart.chart_type == "line" else 0
    both = [time for time in mine if not is_partial(time, step, past.span)]
    return differ(*(sum(side_counts.get(time, 0.0) for time in both) for side_counts in (mine, theirs)), slack=slack)


def differ(own: float | None, alone: float | None, *, slack: int = 0) -> str | None:
    """How the calls of a chart differ with its dashboard and without; None if they agree.

    ``slack``: calls without a value, which averages over time may or may not count.
    """
    if own is None or alone is None:
        return None
    allowed = max(2.0, MAX_COUNT_DIFFERENCE * max(own, alone))
    if -allowed <= alone - own <= allowed + slack:
        return None
    return (
        f"without its dashboard, as an earlier window requires, the chart counts {counted(exact(alone), 'call')} "
        f"instead of {exact(own)}: calls of agents that are no longer listed may be missing"
    )


def _chart_calls(reading: ChartReading, chart: Chart, names: dict[str, str], step: int) -> Mapping[float, float]:
    """The calls of the chart in each full bucket of its window."""
    if chart.chart_type == "line":
        lines = line_rows(reading, chart, names)
        counts, _ = line_time_series(lines.calls, lines.span, boolean=lines.boolean, step=step)
        return dict(zip(counts.times.tolist(), counts.n.tolist(), strict=True))
    rows = bar_rows(reading, chart, names)
    whole = [
        bucket
        for bucket in merge_groups(reading.target.config.function, rows.buckets)
        if _is_full(bucket, step, rows.span)
    ]
    return {b.time: float(b.n if b.n is not None else b.value or 0) for b in whole}


def _is_full(bucket: Bucket, step: int, span: Span) -> bool:
    return bucket.value is not None and not is_partial(bucket.time, step, span)
