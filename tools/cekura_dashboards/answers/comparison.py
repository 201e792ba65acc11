"""Each widget beside itself: over another time, or for other calls."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from cekura_dashboards.answers.report import WidgetReport, reported
from cekura_dashboards.answers.sides import measure_of
from cekura_dashboards.api.errors import InvalidArguments
from cekura_dashboards.api.filters import in_words
from cekura_dashboards.api.models import JsonObject
from cekura_dashboards.charts.fetch import raise_if_all_failed, read_charts
from cekura_dashboards.charts.rows import stat_figures
from cekura_dashboards.charts.target import ChartReading, Target, are_few
from cekura_dashboards.charts.window import PERIOD_BEFORE, format_instant, has_a_period_before, other_window
from cekura_dashboards.concurrency import in_thread
from cekura_dashboards.context import ToolContext
from cekura_dashboards.insight import compare
from cekura_dashboards.insight.numbers import exact, sig

Comparison = dict[str, Any]


@dataclass(frozen=True)
class Sides:
    """A chart, and what it is compared with: another, or why there is none. ``baseline`` None: nothing was asked.

    ``filters``: of the baseline, where it holds other calls instead of another time. ``unasked``: nobody asked for the
    comparison; a stat shows the change of its figures by itself.
    """

    current: Target
    baseline: Target | InvalidArguments | None = None
    filters: JsonObject | None = None
    unasked: bool = False


@dataclass(frozen=True)
class SidesRead:
    """What came back for both sides."""

    current: ChartReading
    baseline: ChartReading | InvalidArguments | None = None
    filters: JsonObject | None = None
    unasked: bool = False


def sides_of(
    targets: Sequence[Target], how: str | None, filters: JsonObject | None, now: datetime, zone: ZoneInfo
) -> list[Sides]:
    """Both sides of each target, whose windows are settled; if nothing is asked, a stat has its period before.

    Raises:
        InvalidArguments: if none can be compared as asked.
    """
    if not how and filters is None:
        return [Sides(target, _period_before(target, now, zone), unasked=True) for target in targets]
    found = [Sides(target, _baseline(target, how, filters, now, zone), filters) for target in targets]
    errors = [sides.baseline for sides in found if isinstance(sides.baseline, InvalidArguments)]
    if errors and len(errors) == len(found):
        raise errors[0]
    return found


def _baseline(
    target: Target, how: str | None, filters: JsonObject | None, now: datetime, zone: ZoneInfo
) -> Target | InvalidArguments:
    if not how or target.window is None:
        return replace(target, extra=filters)
    try:
        return replace(target, window=other_window(target.window, how, now, zone), extra=filters or target.extra)
    except InvalidArguments as error:
        return error


def _period_before(target: Target, now: datetime, zone: ZoneInfo) -> Target | None:
    if target.config.chart_type != "stat" or target.window is None:
        return None
    if not has_a_period_before(target.window, now, zone):
        return None
    return replace(target, window=other_window(target.window, PERIOD_BEFORE, now, zone))


async def read_sides(context: ToolContext, asked: Sequence[Sides]) -> list[SidesRead]:
    """Both sides of every chart, all asked for at once.

    Raises:
        DashboardsError: for a key that is not accepted; or if all charts failed alike.
    """
    baselines = [sides.baseline for sides in asked if isinstance(sides.baseline, Target)]
    readings = await read_charts(context, [*(sides.current for sides in asked), *baselines])
    current, others = readings[: len(asked)], iter(readings[len(asked) :])
    raise_if_all_failed(current)
    return [
        SidesRead(
            reading,
            next(others) if isinstance(sides.baseline, Target) else sides.baseline,
            sides.filters,
            sides.unasked,
        )
        for reading, sides in zip(current, asked, strict=True)
    ]


def comparison(
    reading: ChartReading,
    other: ChartReading | InvalidArguments,
    names: dict[str, str],
    tests: int,
    filters: JsonObject | None,
) -> Comparison:
    """What one widget shows against the other side. ``tests``: how many are compared in this answer."""
    if isinstance(other, InvalidArguments):
        return {"not_compared": other.told}
    what: Comparison = {"from": format_instant(other.window.start), "to": format_instant(other.window.end)}
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


async def compared(found: Sequence[SidesRead], points: int, names: dict[str, str]) -> list[WidgetReport]:
    """The report of each chart, with its comparison, or with the change of each figure of a stat."""
    reports = await reported([sides.current for sides in found], points, names)
    tests = sum(sides.current.chart is not None and sides.baseline is not None for sides in found)
    readings = [side for sides in found for side in (sides.current, sides.baseline) if isinstance(side, ChartReading)]
    small = are_few(readings)
    return [
        await in_thread(_with_other_side, report, sides, names, tests, small=small)
        for report, sides in zip(reports, found, strict=True)
    ]


def _with_other_side(report: WidgetReport, sides: SidesRead, names: dict[str, str], tests: int) -> WidgetReport:
    current, baseline = sides.current, sides.baseline
    if current.chart is None or baseline is None:
        return report
    if sides.unasked and isinstance(baseline, ChartReading):
        return _with_change(report, current, baseline)
    row = comparison(current, baseline, names, tests, sides.filters)
    return report.model_copy(update={"comparison": row})


def _with_change(report: WidgetReport, reading: ChartReading, other: ChartReading) -> WidgetReport:
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
    change: dict[str, Any] = {"from": format_instant(other.window.start), "to": format_instant(other.window.end)}
    change |= {
        name: exact(now - before) if name == "total_calls" else sig(now - before, 3)
        for name, (now, before) in pairs.items()
        if now is not None and before is not None
    }
    notes = other.window.notes if other.kept else [note for note in other.notes if note not in reading.notes]
    caveats = [*(report.caveats or []), *(f"change: {note}" for note in notes)]
    return report.model_copy(update={"facts": {**(report.facts or {}), "change": change}, "caveats": caveats or None})
