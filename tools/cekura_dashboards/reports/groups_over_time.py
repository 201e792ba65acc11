"""Which groups of a chart moved: against its baseline, or from one half of its window to the next."""

from datetime import UTC, datetime, timedelta
from typing import Literal

from cekura_dashboards.charts.target import ChartReading
from cekura_dashboards.charts.window import Window, format_instant
from cekura_dashboards.reports.compare import Measurement, measure_of
from cekura_dashboards.reports.report import ReportOptions
from cekura_dashboards.stats.change import group_changes
from cekura_dashboards.stats.findings import GroupChanges
from cekura_dashboards.values import replace

LEAST_STEPS = 3
"""Whole steps of each half."""
WEEK = timedelta(weeks=1)
STEPS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}


def is_divided(reading: ChartReading) -> bool:
    """Whether a chart shows groups over time."""
    config = reading.target.config
    return config.chart_type == "bar" and (config.group_by or {}).get("type") == "field" and config.period in STEPS


def by_baseline(current: Measurement, baseline: Measurement, against: str, *, alike: bool) -> GroupChanges | None:
    """``alike``: both sides hold the same weekdays."""
    if current.kind not in {"mean", "total"}:
        return None
    most: Literal["clear", "possible"] = "clear" if alike else "possible"
    return group_changes(
        current.grouped,
        baseline.grouped,
        additive=current.kind == "total",
        ratio=max(current.scale, baseline.scale),
        most=most,
        against=against,
    )


def _floored(moment: datetime, step: timedelta) -> datetime:
    hour = moment.replace(minute=0, second=0, microsecond=0)
    return hour.replace(hour=0) if step >= timedelta(days=1) else hour


def by_halves(reading: ChartReading, audience: ReportOptions) -> GroupChanges | None:
    """The later half of the whole steps in the window against as many before; None where they are too few."""
    chart, step = reading.chart, STEPS[reading.target.config.period]
    zone = audience.clock.zone if reading.target.local_days else UTC
    start, end = (_floored(moment.astimezone(zone), step) for moment in (reading.window.start, reading.window.end))
    start += step * (start < reading.window.start)
    half = (end - start) // step // 2
    if chart is None or half < LEAST_STEPS:
        return None
    later, earlier = Window(end - half * step, end, ""), Window(end - 2 * half * step, end - half * step, "")
    measures = [measure_of(replace(reading, window=part), chart, audience.names) for part in (later, earlier)]
    middle = format_instant(later.start)
    against = f"{middle} to {format_instant(end)} against {format_instant(earlier.start)} to {middle}"
    return by_baseline(measures[0], measures[1], against, alike=(half * step) % WEEK == timedelta(0))
