"""Each widget beside itself: over another time, or for other calls."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from cekura_dashboards.answers.report import WidgetReport
from cekura_dashboards.answers.sides import measure_of
from cekura_dashboards.api.errors import InvalidArguments
from cekura_dashboards.api.filters import Filter, both, in_words
from cekura_dashboards.api.models import JsonObject
from cekura_dashboards.charts.fetch import read_charts
from cekura_dashboards.charts.rows import stat_figures
from cekura_dashboards.charts.share import read_share
from cekura_dashboards.charts.target import Reading, ShareOf, Target, are_few
from cekura_dashboards.charts.window import PERIOD_BEFORE, Window, has_a_period_before, other_window, shown
from cekura_dashboards.concurrency import apart
from cekura_dashboards.context import ToolContext
from cekura_dashboards.insight import compare
from cekura_dashboards.insight.numbers import exact, sig

Comparison = dict[str, Any]


async def other_sides(
    context: ToolContext,
    readings: Sequence[Reading],
    how: str | None,
    filters: JsonObject | None,
    extra: JsonObject | None,
) -> list[Reading | InvalidArguments]:
    """For each reading the one to compare it with, or why there is none.

    ``filters``: of the other side, instead of another time; ``extra``: those of this side, or of both.

    Raises:
        InvalidArguments: if none can be compared.
    """
    now, zone = context.now(), context.settings.zone
    windows = list[Any]()
    for reading in readings:
        try:
            windows.append(other_window(reading.window, how, now, zone) if how else reading.window)
        except InvalidArguments as error:
            windows.append(error)
    errors = [window for window in windows if isinstance(window, InvalidArguments)]
    if errors and len(errors) == len(windows):
        raise errors[0]
    asked = [
        (reading, window)
        for reading, window in zip(readings, windows, strict=True)
        if not isinstance(window, InvalidArguments)
    ]
    targets = [replace(reading.target, window=window) for reading, window in asked if reading.share_of is None]
    charts = iter(await read_charts(context, targets, None, filters or extra, alone=False) if targets else [])
    shares = iter(
        [
            await read_share(context, _other(reading.share_of, window, filters), reading.share_of.matching, None)
            for reading, window in asked
            if reading.share_of is not None
        ]
    )
    return [
        window if isinstance(window, InvalidArguments) else next(shares if reading.share_of else charts)
        for reading, window in zip(readings, windows, strict=True)
    ]


def _other(share: ShareOf, window: Window, filters: JsonObject | None) -> Target:
    return replace(share.counted, window=window, filters=both(share.counted.filters, filters))


def comparison(
    reading: Reading, other: Reading | InvalidArguments, names: dict[str, str], tests: int, filters: JsonObject | None
) -> Comparison:
    """What one widget shows against the other side. ``tests``: how many are compared in this answer."""
    if isinstance(other, InvalidArguments):
        return {"not_compared": str(other).removeprefix("Nothing was sent. ")}
    what: Comparison = {"from": shown(other.window.start), "to": shown(other.window.end)}
    what |= {"where": in_words(filters)} if filters else {"against": other.window.source}
    if reading.chart is None or other.chart is None:
        return what | {"not_compared": f"the other side could not be read: {other.error or reading.error}"}
    that = measure_of(other, other.chart, names)
    if that.untested and other.chart.chart_type in {"bar", "line"}:
        return what | {"not_compared": that.untested[0]}
    this = measure_of(reading, reading.chart, names)
    counted = reading.target.config.aggregation_function == "count"
    notes = [*(note for note in other.notes if note not in reading.notes), *that.untested]
    row = compare(this.kind, this.side, that.side, ratio=this.scale, counted=counted, tests=tests)
    return what | row | ({"notes": notes} if notes else {})


async def compared(
    context: ToolContext,
    readings: Sequence[Reading],
    reports: Sequence[WidgetReport],
    how: str | None,
    filters: Filter | None,
    extra: JsonObject | None,
    names: dict[str, str],
) -> list[WidgetReport]:
    """The reports with their comparison; if none is asked for, those of stats with the change of each figure."""
    if not how and filters is None:
        return await _with_changes(context, readings, reports, extra)
    other_filters = filters.to_json() if filters else None
    charted = [reading for reading in readings if reading.chart is not None]
    others = await other_sides(context, charted, how, other_filters, extra) if charted else []
    small = are_few([*charted, *(other for other in others if isinstance(other, Reading))])
    by_reading = {
        id(reading): await apart(comparison, reading, other, names, len(charted), other_filters, small=small)
        for reading, other in zip(charted, others, strict=True)
    }
    return [
        report.model_copy(update={"comparison": by_reading.get(id(reading))})
        for reading, report in zip(readings, reports, strict=True)
    ]


async def _with_changes(
    context: ToolContext, readings: Sequence[Reading], reports: Sequence[WidgetReport], extra: JsonObject | None
) -> list[WidgetReport]:
    """The reports, those of stats with the change of each figure against the period before, where the API holds it."""
    now, zone = context.now(), context.settings.zone
    stats = [
        reading
        for reading in readings
        if reading.chart and reading.chart.chart_type == "stat" and has_a_period_before(reading.window, now, zone)
    ]
    targets = [replace(r.target, window=other_window(r.window, PERIOD_BEFORE, now, zone)) for r in stats]
    others = await read_charts(context, targets, None, extra, alone=False) if targets else []
    by_reading = {id(reading): other for reading, other in zip(stats, others, strict=True)}
    return [
        _with_change(report, reading, by_reading[id(reading)]) if id(reading) in by_reading else report
        for reading, report in zip(readings, reports, strict=True)
    ]


def _with_change(report: WidgetReport, reading: Reading, other: Reading) -> WidgetReport:
    that = stat_figures(other.chart)[0] if other.chart else {}
    if not that.get("total_calls"):
        why = (
            f"the period before could not be read: {other.error}"
            if other.error
            else "nothing came from the period before"
        )
        return report.model_copy(update={"not_tested": [*(report.not_tested or []), f"change: {why}"]})
    this = stat_figures(reading.chart)[0] if reading.chart else {}
    pairs = {name: (value, that.get(name)) for name, value in this.items()}
    change: dict[str, Any] = {"from": shown(other.window.start), "to": shown(other.window.end)}
    change |= {
        name: exact(now - before) if name == "total_calls" else sig(now - before, 3)
        for name, (now, before) in pairs.items()
        if now is not None and before is not None
    }
    notes = other.window.notes if other.kept else [note for note in other.notes if note not in reading.notes]
    caveats = [*(report.caveats or []), *(f"change: {note}" for note in notes)]
    return report.model_copy(update={"facts": {**(report.facts or {}), "change": change}, "caveats": caveats or None})
