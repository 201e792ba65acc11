"""The one path to chart data, for saved, windowed and previewed widgets.

Whether an override replaces the saved filters or is ANDed with them is not documented, nor whether a preview obeys
the dashboard that it names. Every request sent here means the same under each reading: filters are self-contained,
an override never reaches beyond the saved time bounds, and where it would have to, the widget is previewed alone.
"""

import json
import math
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from importlib import import_module

import anyio
from msgspec import Struct

from cekura_dashboards.api.chart_data import BarRow, Chart, ChartEnvelope, Key, count_of, decode, number
from cekura_dashboards.api.errors import (
    DashboardsError,
    InvalidArguments,
    KeyRejected,
    Refused,
    TooFarBack,
    UnreadableAnswer,
)
from cekura_dashboards.api.filters import (
    OTHER_SCORE,
    Bounds,
    both,
    fields_of,
    has_nested_time,
    in_words,
    time_bounds,
    wants_pass,
    within,
    without_time,
)
from cekura_dashboards.api.models import LIMIT, METRIC_VALUE, JsonObject, WidgetConfig
from cekura_dashboards.api.wire import usage
from cekura_dashboards.charts.companions import additional_counts
from cekura_dashboards.charts.rows import TimeParser, group_key, in_days
from cekura_dashboards.charts.scores import in_one_form, types_of_metrics
from cekura_dashboards.charts.target import ChartReading, Target, Window, are_few, saved_window
from cekura_dashboards.context import MAX_CONCURRENT, ToolContext, each, gather, gather_all, in_thread
from cekura_dashboards.stats.timeline import PERIODS, STEPS
from cekura_dashboards.text import counted
from cekura_dashboards.values import replace

FINE = ("hour", "day")
"""Periods of bars that are short enough to show whether calls lie beyond the saved range."""
SHORT = timedelta(days=2)
"""Up to this time beyond the range, hours are read instead of days."""
MAX_AGENTS = 300
NOT_EVALUATED = "calls without an evaluation of the metric count as not matching; its avg omits them"
SMALL_BYTES = 100_000


class _ChartRequest(Struct, frozen=True):
    """One request upstream, and the places of the readings that it fills.

    ``preview``: a body to preview; None: saved widgets are read, with ``override`` in place of their filters.
    """

    places: Sequence[int]
    preview: JsonObject | None = None
    override: JsonObject | None = None


async def read_charts(context: ToolContext, targets: Sequence[Target]) -> list[ChartReading]:
    """Chart data of each target, in order. A failed target carries its error, without affecting others.

    A share of calls is two charts, read like others and then divided. For a chart that cannot show whether it
    covers all of its window, a bar that can is read too; for charts of metrics, a count of the same calls.

    Raises:
        KeyRejected: if the key is rejected.
    """
    parts = {
        place: matching_part(target, target.matching)
        for place, target in enumerate(targets)
        if target.matching is not None
    }
    placed = [_place(context, target) for target in (*targets, *parts.values())]
    placed += [_place(context, target) for target in witnesses([reading for reading, _ in placed[: len(targets)]])]
    counts, count_places = additional_counts([reading for reading, _ in placed], len(targets))
    placed += [_place(context, target) for target in counts]
    placed = await keep_to_projects(context, placed)
    limiter = anyio.CapacityLimiter(MAX_CONCURRENT + len(counts))  # the counts must not delay charts
    filling = _Reader(context, [reading for reading, _ in placed], limiter)
    asks = _chart_requests([body for _, body in placed], filling.readings)
    types, _, _ = await gather(
        types_of_metrics(context, targets),
        each(asks, filling.fill),
        in_thread(import_module, "numpy", small="numpy" in sys.modules),
    )
    readings, zone = [_with_reason(reading, context.now()) for reading in filling.readings], context.settings.zone
    readings = await in_thread(in_one_form, readings, types, context.lookups.numbers, small=are_few(readings))
    for place, part in zip(parts, readings[len(targets) : len(targets) + len(parts)], strict=True):
        readings[place] = share_of(readings[place], part)
    readings = covered([in_days(reading, zone) for reading in readings])
    readings = [
        reading if place is None else replace(reading, all_calls=readings[place])
        for reading, place in zip(readings, count_places, strict=False)
    ]
    for reading in readings:
        if isinstance(reading.error, KeyRejected):
            raise reading.error
    return readings


def raise_if_all_failed(readings: Sequence[ChartReading]) -> None:
    """Raise the error if all readings failed with the same one."""
    if len({str(reading.error) for reading in readings}) == 1 and readings[0].error is not None:
        raise readings[0].error


def _with_reason(reading: ChartReading, now: datetime) -> ChartReading:
    """The reading; if the API refused it because the window is too old, with that error."""
    if isinstance(reading.error, Refused) and reading.window.start < now - LIMIT:
        return replace(reading, error=TooFarBack(reading.error.fields))
    return reading


def _place(context: ToolContext, target: Target) -> tuple[ChartReading, JsonObject | None]:
    """The reading to fill, and the body to preview; None reads the saved widget."""
    now = context.now()
    bounds = time_bounds(target.filters, now)
    notes = list[str]()
    if has_nested_time(target.filters):
        notes.append("a saved time condition inside or/same_row still applies; it could not be replaced")
    window = target.window or saved_window(bounds, now, context.settings.zone)
    notes += window.notes
    if (problem := target.problem) is not None:
        return ChartReading(target, window, error=UnreadableAnswer(problem)), None
    reading = ChartReading(target, window, notes=tuple(notes))
    inside = _is_inside(window, bounds)
    hours = {"time_period": "hour"} if target.local_days or target.by_hours else {}
    if target.id is not None and inside and not (target.alone or hours):
        return reading, None
    filters = both(without_time(target.filters), within(window.start, window.end), target.extra)
    body = {**target.config.definition(), **hours, "filters": filters}
    if inside and target.dashboard is not None and not target.alone:
        return reading, {**body, "dashboard": target.dashboard}
    return replace(reading, beyond=None if inside else bounds, alone=True), body


def _is_inside(window: Window, bounds: Bounds) -> bool:
    """Whether the window lies inside the saved bounds, or none are saved."""
    return (bounds.start is None or bounds.start <= window.start) and (bounds.end is None or window.end <= bounds.end)


def _chart_requests(bodies: Sequence[JsonObject | None], readings: Sequence[ChartReading]) -> list[_ChartRequest]:
    """The requests: one for the saved widgets of each distinct override, and one for each preview.

    A reading without a body is of a saved widget.
    """
    saved, previews = dict[str, _ChartRequest](), list[_ChartRequest]()
    for place, (reading, body) in enumerate(zip(readings, bodies, strict=True)):
        if reading.error is not None:
            continue
        if body is not None:
            previews.append(_ChartRequest([place], preview=body))
            continue
        override, window, target = None, reading.window, reading.target
        if window.source != "saved" or target.extra:
            override = both(without_time(target.filters), within(window.start, window.end), target.extra)
        alike = json.dumps(override, sort_keys=True)
        ask = saved.get(alike, _ChartRequest([], override=override))
        saved[alike] = replace(ask, places=[*ask.places, place])
    return [*saved.values(), *previews]


@dataclass
class _Reader:
    """Fills readings with a bounded number of concurrent requests."""

    context: ToolContext
    readings: list[ChartReading]
    limiter: anyio.CapacityLimiter
    _done: int = 0

    async def fill(self, ask: _ChartRequest) -> None:
        """Request all at once; if that fails, each alone, so that only the failing one carries the error."""
        ids, api = [self.readings[place].target.id or 0 for place in ask.places], self.context.api
        try:
            async with self.limiter:
                if ask.preview is not None:
                    envelopes = [await api.preview_data(ask.preview)]
                else:
                    envelopes = await api.bulk_data(list(dict.fromkeys(ids)), ask.override)
        except DashboardsError as error:
            if len(ask.places) > 1 and not isinstance(error, KeyRejected):
                await each([replace(ask, places=[place]) for place in ask.places], self.fill)
                return
            for place in ask.places:
                self.readings[place] = replace(self.readings[place], error=error)
        else:
            answers = _answers(ask, ids, envelopes)
            for place, number in zip(ask.places, ids, strict=True):
                self.readings[place] = await _in_turn(self.readings[place], answers.get(number))
        self._done += len(ask.places)
        await self.context.progress(
            self._done, len(self.readings), f"{self._done} of {len(self.readings)} widgets read"
        )


def _answers(ask: _ChartRequest, ids: list[int], envelopes: list[ChartEnvelope]) -> dict[int, ChartEnvelope]:
    """The answer for each widget. A preview is one request with one answer, whatever its id."""
    if ask.preview is not None:
        return {ids[0]: envelopes[0]}
    by_id = {envelope.widget_id: envelope for envelope in envelopes if isinstance(envelope.widget_id, int)}
    unnamed = [envelope for envelope in envelopes if not envelope.widget_id]
    return {ids[0]: unnamed[0], **by_id} if len(ids) == 1 and unnamed else by_id


async def _in_turn(reading: ChartReading, envelope: ChartEnvelope | None) -> ChartReading:
    small = envelope is None or len(memoryview(envelope.data)) <= SMALL_BYTES
    return await in_thread(_decoded, reading, envelope, small=small)


def _decoded(reading: ChartReading, envelope: ChartEnvelope | None) -> ChartReading:
    config = reading.target.config
    if envelope is None:
        return replace(reading, error=UnreadableAnswer(f"it holds nothing for widget {reading.target.id}"))
    try:
        chart = decode(envelope, chart_type=config.chart_type, group_by=config.group_by)
    except UnreadableAnswer as error:
        return replace(reading, error=error)
    usage().points += len(chart.rows)
    return replace(reading, chart=chart)


def witnesses(readings: Sequence[ChartReading]) -> list[Target]:
    """A count of the same calls for each weekly or monthly bar beyond its saved range, if none is read yet."""
    fine = {_calls_of(reading) for reading in readings if _is_fine(reading.target.config)}
    coarse = {
        _calls_of(reading): _count_of_calls(reading.target, reading.window, reading.beyond)
        for reading in readings
        if reading.beyond and reading.target.config.chart_type == "bar" and not _is_fine(reading.target.config)
    }
    return [target for key, target in coarse.items() if key not in fine]


def _count_of_calls(target: Target, window: Window, saved: Bounds) -> Target:
    past = [saved.start - window.start] if saved.start and saved.start > window.start else []
    past += [window.end - saved.end] if saved.end and saved.end < window.end else []
    step = "hour" if min(past, default=SHORT) < SHORT else "day"
    config = WidgetConfig(chart_type="bar", field="agent_id", aggregation_function="count", time_period=step)
    return replace(target, config=config, window=window, matching=None, local_days=False)


def covered(readings: Sequence[ChartReading]) -> list[ChartReading]:
    """The readings; ``beyond`` keeps only the ends beyond which no bar of the same calls shows calls."""
    fine = defaultdict[str, list[ChartReading]](list)
    for reading in readings:
        if reading.beyond and _is_fine(reading.target.config):
            fine[_calls_of(reading)].append(reading)
    return [
        replace(reading, beyond=_past_all(reading.beyond, reading.window, fine[_calls_of(reading)]))
        if reading.beyond and not _is_fine(reading.target.config)
        else reading
        for reading in readings
    ]


def _past_all(saved: Bounds, window: Window, bars: Iterable[ChartReading]) -> Bounds | None:
    """The ends of the saved range beyond which none of these bars shows calls."""
    unseen = _uncovered_ends(saved, window, ())
    for bar in bars:
        if unseen is None:
            break
        unseen = _uncovered_ends(unseen, window, bar.memoise("stretches", partial(_stretches, bar)))
    return unseen


def _calls_of(reading: ChartReading) -> str:
    """A key, equal for the same calls read in the same way beyond the same range."""
    target = reading.target
    return json.dumps(
        [target.calls, target.dashboard, target.project, str(reading.beyond)], sort_keys=True, default=str
    )


def _is_fine(config: WidgetConfig) -> bool:
    return config.chart_type == "bar" and config.period in FINE


def _stretches(reading: ChartReading) -> list[tuple[float, float]]:
    """Begin and end of each bucket with calls, in seconds since 1970."""
    chart = reading.hours or reading.chart
    width = STEPS[PERIODS["hour" if reading.hours else reading.target.config.period]]
    rows = chart.rows if chart else []
    texts = [*{row.time_interval for row in rows if count_of(row.sample_count) or number(row.value)}]
    return [(time, time + width) for time in TimeParser().parse_all(texts).tolist() if not math.isnan(time)]


def _uncovered_ends(saved: Bounds, window: Window, stretches: Iterable[tuple[float, float]]) -> Bounds | None:
    """The ends of the saved range beyond which the window has no bucket."""
    first, last = window.start.timestamp(), window.end.timestamp()
    inside = [(start, end) for start, end in stretches if end > first and start < last]
    early = saved.start and any(end <= saved.start.timestamp() for _, end in inside)
    late = saved.end and any(start >= saved.end.timestamp() for start, _ in inside)
    start = None if early or (saved.start and saved.start <= window.start) else saved.start
    end = None if late or (saved.end and saved.end >= window.end) else saved.end
    return Bounds(start, end) if start or end else None


async def keep_to_projects(
    context: ToolContext, placed: list[tuple[ChartReading, JsonObject | None]]
) -> list[tuple[ChartReading, JsonObject | None]]:
    """Restrict previews without a dashboard to the agents of their project; otherwise note what they cover.

    A reading whose scope cannot be read carries the error, as other projects' numbers would be wrong.
    """
    targets = {reading.target.dashboard: reading.target for reading, _ in placed if reading.alone}
    if not targets:
        return placed
    scopes_of = (_agents_of(context, target) for target in targets.values())
    count, _, scopes_read = await gather(_projects(context), context.lookups.prefetch(), gather_all(scopes_of))
    if count is not None and count <= 1:
        return placed
    scopes = dict(zip(targets, scopes_read, strict=True))
    return [_restrict(reading, body, scopes.get(reading.target.dashboard), count) for reading, body in placed]


async def _projects(context: ToolContext) -> int | None:
    """The number of projects that the key can see; None if that cannot be read."""
    try:
        return len(await context.lookups.projects())
    except DashboardsError:
        return None


async def _agents_of(context: ToolContext, target: Target) -> tuple[int, list[int]] | DashboardsError | None:
    """The project of a dashboard, or the default one, and its agents; None without one, or with too many agents."""
    try:
        project = target.project
        if project is None and target.dashboard is not None:
            project = (await context.lookups.dashboard(target.dashboard)).project
        elif project is None:
            project = context.settings.project_id
        if project is None:
            return None
        agents = [agent.id for agent in await context.lookups.agents(project)]
    except DashboardsError as error:
        return error
    return (project, agents) if 0 < len(agents) <= MAX_AGENTS else None


def _restrict(
    reading: ChartReading,
    body: JsonObject | None,
    scope: tuple[int, list[int]] | DashboardsError | None,
    count: int | None,
) -> tuple[ChartReading, JsonObject | None]:
    if not reading.alone or body is None:
        return reading, body
    if isinstance(scope, DashboardsError):
        return replace(reading, error=scope), body
    if scope is None:
        if count is None:
            return _with_note(reading, "covers every project that this key can see; how many could not be read"), body
        return _with_note(
            reading, f"covers all {count} projects that this key can see, as no dashboard limits it"
        ), body
    project, ids = scope
    theirs = {"field": "agent.id", "op": "in", "value": ids}
    note = f"limited to project {project} by its {counted(len(ids), 'agent')}"
    if reading.target.dashboard is not None:
        note += ", as the dashboard's own scope ends at its date range"
    restricted = replace(_with_note(reading, note), restricted_to_project=True)
    return restricted, {**body, "filters": both(body["filters"], theirs)}


def _with_note(reading: ChartReading, note: str) -> ChartReading:
    return replace(reading, notes=(*reading.notes, note)) if reading.alone else reading


def check_countable(config: WidgetConfig) -> None:
    """Refuse a widget that does not count calls over time.

    Raises:
        InvalidArguments: with a widget that does.
    """
    if config.chart_type != "bar" or config.aggregation_function != "count":
        raise InvalidArguments.at(
            "share_where",
            "needs a widget that counts calls: chart_type bar, field agent_id, aggregation_function count, and a "
            "time_period.",
        )


def matching_part(target: Target, matching: JsonObject) -> Target:
    """The matching calls of a target that charts a share."""
    config = target.config
    return replace(
        target,
        config=config.model_copy(update={"filters": both(config.filters, matching)}),
        filters=both(target.filters, matching),
    )


def share_of(whole: ChartReading, part: ChartReading) -> ChartReading:
    """The matching calls divided by all calls. ``n`` of a bucket is the number of all its calls."""
    target = whole.target
    config = target.config.model_copy(
        update={"aggregation_function": "avg", "field": f"share of calls where {in_words(target.matching)}"}
    )
    calls = both(target.extra, target.config.counted)
    share = replace(whole, target=replace(target, config=config, extra=calls or None), chart=None)
    error = whole.error or part.error
    if error is not None or whole.chart is None:
        return replace(share, error=error)
    every, matched = _counts(whole), _counts(part)
    if any(not 0 <= count <= every.get(place, 0.0) for place, count in matched.items()):
        return replace(share, error=UnreadableAnswer("more calls match than there are in a bucket"))
    rows = [
        BarRow(time_interval=time, value=matched.get((time, group), 0.0) / n, sample_count=round(n), group=group)
        for (time, group), n in every.items()
        if n > 0
    ]
    if wants_pass(target.matching) and not any(matched.values()):
        share = replace(share, notes=(*share.notes, f"no call matches: {OTHER_SCORE}"))
    elif METRIC_VALUE in fields_of(target.matching):
        share = replace(share, notes=(*share.notes, NOT_EVALUATED))
    return replace(
        share, chart=Chart("bar", rows=rows, data_type="boolean", rate_unit="ratio", grouped=whole.chart.grouped)
    )


def _counts(reading: ChartReading) -> dict[tuple[str, Key], float]:
    rows = reading.chart.rows if reading.chart else []
    return {(str(row.time_interval), group_key(row.group)): number(row.value) or 0.0 for row in rows}
