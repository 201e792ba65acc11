"""The one path to chart data, for saved, windowed and previewed widgets.

Whether an override replaces the saved filters or is ANDed with them is not documented, nor whether a preview obeys
the dashboard that it names. Every request sent here means the same under each reading: filters are self-contained,
an override never reaches beyond the saved time bounds, and where it would have to, the widget is previewed alone.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

import anyio

from cekura_dashboards.api.chart_data import ChartEnvelope, decode
from cekura_dashboards.api.errors import DashboardsError, InvalidArguments, KeyRejected, UnreadableAnswer
from cekura_dashboards.api.filters import Bounds, both, has_nested_time, time_bounds, within, without_time
from cekura_dashboards.api.models import JsonObject
from cekura_dashboards.charts.scope import scoped
from cekura_dashboards.charts.target import Reading, Target
from cekura_dashboards.charts.window import Window, resolve, saved_window
from cekura_dashboards.concurrency import AT_ONCE, apart, each
from cekura_dashboards.context import ToolContext

SMALL_BYTES = 100_000


@dataclass
class _Ask:
    """One request upstream and the readings that it will fill."""

    readings: list[Reading]
    fetch: Callable[[list[int]], Awaitable[list[ChartEnvelope]]]
    previews: bool = False
    found: list[Reading] = field(default_factory=list[Reading])


async def read_charts(
    context: ToolContext,
    targets: Sequence[Target],
    window: str | None,
    extra: JsonObject | None = None,
    *,
    alone: bool = True,
) -> list[Reading]:
    """Chart data of each target, in order. A target that fails carries its error and fails no other.

    ``alone``: the data are all that is asked for, so that if all targets fail alike, that is raised.

    Raises:
        InvalidArguments: for a window that cannot be asked for.
        DashboardsError: for a key that is not accepted; or if all targets failed alike.
    """
    now = context.now()
    asked = resolve(window, now, context.settings.zone) if window else None
    if extra:
        asked, extra = _time_of(extra, asked, now)
    placed = [_place(context, target, target.window or asked, extra, now) for target in targets]
    placed = await scoped(context, placed)
    asks = _combined(context, [reading for reading, body in placed if body is None and reading.error is None], extra)
    asks += [
        _Ask([reading], partial(_preview, context, body), previews=True)
        for reading, body in placed
        if body is not None and reading.error is None
    ]
    unscoped = [reading for reading, _ in placed if reading.error is not None]
    limiter = anyio.CapacityLimiter(AT_ONCE)

    async def fill(ask: _Ask) -> None:
        await _fill(ask, limiter)
        done = sum(len(other.found) for other in asks)
        await context.progress(done, len(targets), f"{done} of {len(targets)} widgets read")

    await each(asks, fill)
    found = [*unscoped, *(reading for ask in asks for reading in ask.found)]
    by_target = {id(reading.target): reading for reading in found}
    readings = [by_target[id(target)] for target in targets]
    alike = alone and len({str(r.error) for r in readings}) == 1
    if alike or any(isinstance(r.error, KeyRejected) for r in readings):
        for reading in readings:
            if reading.error:
                raise reading.error
    return readings


def _time_of(extra: JsonObject, asked: Window | None, now: datetime) -> tuple[Window | None, JsonObject]:
    """Take a time range out of the extra filters: it is the window."""
    bounds = time_bounds(extra, now)
    if bounds.start is None and bounds.end is None:
        return asked, extra
    if asked is not None or bounds.start is None:
        raise InvalidArguments.at(
            "filters", "holds a time range; give the time in `window` instead, as 2026-11-01/2026-11-08."
        )
    return Window(bounds.start, min(bounds.end or now, now), "asked"), without_time(extra)


def _place(
    context: ToolContext, target: Target, asked: Window | None, extra: JsonObject | None, now: datetime
) -> tuple[Reading, JsonObject | None]:
    """The reading to fill, and the body to preview; no body means that the saved widget is asked."""
    bounds = time_bounds(target.filters, now)
    notes = list[str]()
    if has_nested_time(target.filters):
        notes.append("a saved time condition inside or/same_row still applies; it could not be replaced")
    window = asked or saved_window(bounds, now, context.settings.zone)
    notes += window.notes
    if window.source == "default":
        notes.append("no date range is saved, so the last 7 days are shown")
    if (problem := target.problem) is not None:
        return Reading(target, window, error=UnreadableAnswer(problem)), None
    reading = Reading(target, window, notes=tuple(notes))
    inside = _is_inside(window, bounds)
    if target.id is not None and inside:
        return reading, None
    filters = both(without_time(target.filters), within(window.start, window.end), extra)
    body = {**target.config.definition(), "filters": filters}
    if inside and target.dashboard is not None:
        return reading, {**body, "dashboard": target.dashboard}
    return replace(reading, beyond=None if inside else bounds, alone=True), body


def _is_inside(window: Window, bounds: Bounds) -> bool:
    """Whether the window lies inside the saved bounds, or none are saved."""
    return (bounds.start is None or bounds.start <= window.start) and (bounds.end is None or window.end <= bounds.end)


def _combined(context: ToolContext, readings: list[Reading], extra: JsonObject | None) -> list[_Ask]:
    """Requests for saved widgets: one without override, and one for each distinct self-contained filter."""
    groups: dict[str, tuple[JsonObject | None, list[Reading]]] = {}
    for reading in readings:
        override = None
        if reading.window.source != "saved" or extra:
            span = within(reading.window.start, reading.window.end)
            override = both(without_time(reading.target.filters), span, extra)
        group = groups.setdefault(json.dumps(override, sort_keys=True), (override, []))
        group[1].append(reading)
    return [
        _Ask(alike, partial(_bulk, context, override)) for override, alike in groups.values()
    ]  # fmt: skip


async def _bulk(context: ToolContext, override: JsonObject | None, ids: list[int]) -> list[ChartEnvelope]:
    return await context.api.bulk_data(ids, override)


async def _preview(context: ToolContext, body: JsonObject, _ids: list[int]) -> list[ChartEnvelope]:
    return [await context.api.preview_data(body)]


async def _fill(ask: _Ask, limiter: anyio.CapacityLimiter) -> None:
    """Ask for all at once; if that fails, for each alone, so that the failing one is found."""
    ids = [reading.target.id or 0 for reading in ask.readings]
    try:
        async with limiter:
            envelopes = await ask.fetch(list(dict.fromkeys(ids)))
        answers = _answers(ask, envelopes)
        ask.found = [await _in_turn(reading, answers.get(reading.target.id or 0)) for reading in ask.readings]
    except KeyRejected as error:
        ask.found = [replace(reading, error=error) for reading in ask.readings]
    except DashboardsError as error:
        if len(ask.readings) == 1:
            ask.found = [replace(ask.readings[0], error=error)]
            return
        singles = [replace(ask, readings=[reading], found=[]) for reading in ask.readings]
        await each(singles, partial(_fill, limiter=limiter))
        ask.found = [reading for single in singles for reading in single.found]


def _answers(ask: _Ask, envelopes: list[ChartEnvelope]) -> dict[int, ChartEnvelope]:
    """What was answered for each widget. A preview is one request with one answer, whatever id that bears."""
    asked = ask.readings[0].target.id or 0
    if ask.previews:
        return {asked: envelopes[0]}
    by_id = {envelope.widget_id: envelope for envelope in envelopes if isinstance(envelope.widget_id, int)}
    unnamed = [envelope for envelope in envelopes if not envelope.widget_id]
    return {asked: unnamed[0], **by_id} if len(ask.readings) == 1 and unnamed else by_id


async def _in_turn(reading: Reading, envelope: ChartEnvelope | None) -> Reading:
    small = envelope is None or len(memoryview(envelope.data)) <= SMALL_BYTES
    return await apart(_decoded, reading, envelope, small=small)


def _decoded(reading: Reading, envelope: ChartEnvelope | None) -> Reading:
    config = reading.target.config
    if envelope is None:
        return replace(reading, error=UnreadableAnswer(f"it holds nothing for widget {reading.target.id}"))
    try:
        return replace(reading, chart=decode(envelope, chart_type=config.chart_type, group_by=config.group_by))
    except UnreadableAnswer as error:
        return replace(reading, error=error)
