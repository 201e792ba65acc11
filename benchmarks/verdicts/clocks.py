"""The same calls compared by hours, by days of UTC and by days of the user's zone: one fact, one verdict."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from benchmarks.verdicts.rows import QUIET, VerdictShares
from cekura_dashboards.api.chart_data import BarRow, Chart
from cekura_dashboards.api.models import WidgetConfig
from cekura_dashboards.charts.rows import in_local_days
from cekura_dashboards.charts.target import ChartReading, Target, Window
from cekura_dashboards.reports.compare import days_before, measure_of
from cekura_dashboards.stats.compare import compare
from cekura_dashboards.stats.significance import VerdictTerms
from cekura_dashboards.stats.timeline import DAY, HOUR, Clock

NOW = datetime(2026, 11, 18, 15, 30, tzinfo=UTC)
"""A Wednesday; clocks changed in New York on the 1st."""
HISTORY_DAYS, WEEKEND = 30, 0.25
OPENS, CLOSES, SATURDAY = 8, 18, 5
WAYS = ("hours", "days of UTC", "days of the zone")


@dataclass(frozen=True)
class Case:
    """``calls``: in an hour of work, ``hours``, in the zone. ``aim``: the least share of ``clear`` verdicts."""

    way: str
    zone: str
    change: float
    calls: float = 15.0
    hours: tuple[int, int] = (OPENS, CLOSES)
    rolling: bool = False
    aim: float = 0.0

    def __str__(self) -> str:
        window = "the last 7 days to the minute" if self.rolling else "7 whole days"
        change = f"{self.change:+.0%}" if self.change else "none"
        return f"calls from {self.hours[0]} to {self.hours[1]} in {self.zone}, by {self.way} | {window} | {change}"


def cases() -> Iterator[Case]:
    for zone in ("UTC", "America/New_York", "Asia/Tokyo"):
        for way in WAYS:
            for rolling in (False, True):
                yield Case(way, zone, 0.0, rolling=rolling)
                yield Case(way, zone, -0.2, rolling=rolling, aim=0.6)
    for way in WAYS:
        yield Case(way, "America/New_York", 0.0, 40.0, (9, 12))
        yield Case(way, "America/New_York", -0.2, 40.0, (9, 12), aim=0.5)


def clock_row(case: Case, seeds: Iterable[int]) -> VerdictShares:
    verdicts = ([verdict(case, seed) or ""] for seed in seeds)
    return VerdictShares.of(str(case), verdicts, None if case.change else QUIET, case.aim)


def verdict(case: Case, seed: int) -> str | None:
    rng, zone = np.random.default_rng(seed), ZoneInfo(case.zone)
    end = NOW if case.rolling else NOW.astimezone(zone).replace(hour=0, minute=0).astimezone(UTC)
    start = _back(end, 7, zone)
    window, baseline = Window(start, end, ""), Window(_back(end, 14, zone), start, "")
    first = NOW.replace(minute=0) - timedelta(days=HISTORY_DAYS)
    history = Window(first, NOW, "history")
    rows = dict[datetime, int]()
    for hour in range(HISTORY_DAYS * 24 + 1):
        moment = first + timedelta(hours=hour)
        local = moment.astimezone(zone)
        busy = (WEEKEND if local.weekday() >= SATURDAY else 1.0) * (case.hours[0] <= local.hour < case.hours[1])
        share = 1 + (case.change if moment >= start.replace(minute=0) else 0.0)
        if count := int(rng.poisson(case.calls * busy * share)):
            rows[moment] = count
    clock = Clock(zone)
    readings = [_reading(case, rows, part, zone) for part in (window, baseline, history)]
    current, other = (
        measure_of(reading, reading.chart, {}, clock=clock) for reading in readings[:2] if reading.chart is not None
    )
    earlier = days_before(readings[0], current.sample, readings[2], {}, {}, clock)
    terms = VerdictTerms(clock=current.clock, earlier_days=earlier)
    return compare("total", current.sample, other.sample, terms, counted=True).verdict


def _back(moment: datetime, days: int, zone: ZoneInfo) -> datetime:
    wall = moment.astimezone(zone).replace(tzinfo=None) - timedelta(days=days)
    return wall.replace(tzinfo=zone).astimezone(UTC)


def _reading(case: Case, counts: dict[datetime, int], window: Window, zone: ZoneInfo) -> ChartReading:
    """What the API answers for a window: it cuts hours and days to it."""
    period, seconds = ("day", DAY) if case.way == "days of UTC" else ("hour", HOUR)
    buckets = dict[datetime, int]()
    for moment, count in counts.items():
        if window.start.replace(minute=0) <= moment < window.end:
            time = datetime.fromtimestamp(moment.timestamp() // seconds * seconds, UTC)
            buckets[time] = buckets.get(time, 0) + count
    config = WidgetConfig(chart_type="bar", field="agent_id", aggregation_function="count", time_period=period)
    rows = [BarRow(time_interval=time.isoformat(), value=n, sample_count=n) for time, n in sorted(buckets.items())]
    by_zone = case.way == "days of the zone"
    config = config.model_copy(update={"time_period": "day"}) if by_zone else config
    target = Target(config, {}, window=window, local_days=by_zone)
    reading = ChartReading(target, window, chart=Chart("bar", rows=rows, data_type="numeric"))
    return in_local_days(reading, zone) if by_zone else reading
