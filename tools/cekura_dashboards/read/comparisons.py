"""Each widget beside itself: over another time, or for other calls."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from cekura_dashboards.api.errors import InvalidArguments
from cekura_dashboards.api.filters import Filter, both, in_words
from cekura_dashboards.api.models import JsonObject
from cekura_dashboards.context import ToolContext
from cekura_dashboards.insight import compare
from cekura_dashboards.read.charts import Reading, Target, read_charts
from cekura_dashboards.read.reports import WidgetReport
from cekura_dashboards.read.shares import read_share
from cekura_dashboards.read.sides import side_of
from cekura_dashboards.read.summaries import summarise
from cekura_dashboards.read.windows import other_window, shown

Comparison = dict[str, Any]


async def other_sides(
    context: ToolContext,
    readings: Sequence[Reading],
    how: str | None,
    filters: JsonObject | None,
    extra: JsonObject | None,
    matching: JsonObject | None,
) -> list[Reading | InvalidArguments]:
    """For each reading the one to compare it with, or why there is none.

    ``filters``: of the other side, instead of another time; ``extra``: those of this side, or of both; ``matching``:
    what the calls of a share match.

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
    targets = [
        replace(reading.target, window=window)
        for reading, window in zip(readings, windows, strict=True)
        if not isinstance(window, InvalidArguments)
    ]
    if matching:
        return [await read_share(context, _counted(target, filters), matching, None) for target in targets]
    found = iter(await read_charts(context, targets, None, filters or extra, alone=False))
    return [window if isinstance(window, InvalidArguments) else next(found) for window in windows]


def _counted(target: Target, filters: JsonObject | None) -> Target:
    """The count that a share was made from."""
    config = target.config.model_copy(update={"aggregation_function": "count", "field": "agent_id"})
    return replace(target, config=config, filters=both(target.filters, filters))


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
    untested = summarise(other, 0, names)[1] if other.beyond else []
    if untested and other.chart.chart_type in {"bar", "line"}:
        return what | {"not_compared": untested[0]}
    kind, this, ratio = side_of(reading, reading.chart, names)
    _, that, _ = side_of(other, other.chart, names)
    counted = reading.target.config.aggregation_function == "count"
    notes = [*other.window.notes, *(note for note in other.notes if note not in reading.notes), *untested]
    row = compare(kind, this, that, ratio=ratio, counted=counted, tests=tests)
    return what | row | ({"notes": notes} if notes else {})


async def compared(
    context: ToolContext,
    readings: Sequence[Reading],
    reports: Sequence[WidgetReport],
    how: str | None,
    filters: Filter | None,
    extra: JsonObject | None,
    names: dict[str, str],
    matching: JsonObject | None = None,
) -> list[WidgetReport]:
    """The reports with their comparison. ``matching``: they are shares of calls that match."""
    other_filters = filters.to_json() if filters else None
    charted = [reading for reading in readings if reading.chart is not None]
    others = await other_sides(context, charted, how, other_filters, extra, matching) if charted else []
    by_reading = {id(reading): other for reading, other in zip(charted, others, strict=True)}
    return [
        report
        if id(reading) not in by_reading
        else report.model_copy(
            update={"comparison": comparison(reading, by_reading[id(reading)], names, len(charted), other_filters)}
        )
        for reading, report in zip(readings, reports, strict=True)
    ]
