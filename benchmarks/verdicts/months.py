"""Months of days with a changed level or without: how often a step or trend is clear, or reported.

170 calls a day on average by default, whose rates vary besides by a fifth of a binomial error.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np

from benchmarks.verdicts.rows import CLEAR, CLEAR_ALIKE, POSSIBLE, VerdictShares
from benchmarks.verdicts.worlds import CLOSES, NOW, OPENS, SATURDAY, SETTLES, Floats, autoregression
from cekura_dashboards.stats.detect import detect
from cekura_dashboards.stats.findings import Finding, Step, Trend
from cekura_dashboards.stats.time_series import Scale, TimeSeries, calendar, utc_offset
from cekura_dashboards.stats.timeline import DAY, HOUR, Clock, Span
from cekura_dashboards.values import Places
from cekura_dashboards.values import replace as replaced

RATE, WEEKEND, OUTAGE, LARGEST_ERROR = 0.85, 0.3, 0.02, 4.0
LOG_SD = {"mean": 0.8, "p95": 0.4}
"""Of single durations and, of a p95, single latencies."""
OVERDISPERSION = 0.04
"""Of the binomial variance: the days vary besides by a fifth of a binomial error."""
DAILY_SD = {"count": 0.1, "rate": 0.02, "mean": 0.05, "p95": 0.05, "score": 0.05, "percent": 0.02}
"""Of days that are alike."""
LAST_WEEK = 7.5 * DAY


@dataclass(frozen=True)
class Month:
    """What is drawn. ``alike``: the autocorrelation of the days' own levels; None where they do not differ.

    ``weekend``: the share of calls on its days; ``growth``: of calls a day; ``moved``: the change of the level of the
    last ``days_moved`` days, a share of counts and values, and points of rates; ``drift``: of the level over the month.
    ``out``, ``holiday``: the day, counted from the end, without calls, or with a fifth of them. ``hours``: what the
    calls are drawn by, and how those are read; None where they are drawn by days.
    """

    what: str
    measure: str = "rate"
    calls: float = 170
    days: int = 29
    weekend: float = 1.0
    growth: float = 0.0
    alike: float | None = None
    heavy: bool = False
    moved: float = 0.0
    days_moved: float = 0.0
    drift: float = 0.0
    out: int | None = None
    holiday: int | None = None
    aim: float | None = None
    hours: "Hours | None" = None


@dataclass(frozen=True)
class Hours:
    """``zone``: of the calls, which come from ``opens`` to ``closes`` in it. ``clock``: the zone that is set.

    ``read``: by hours, by days of UTC, or by days of the zone that is set.
    """

    read: Literal["hours", "days", "local days"] = "hours"
    zone: str = "UTC"
    clock: str = "UTC"
    opens: int = 0
    closes: int = 24


HOURS = {
    "by hours": Hours(),
    "of Tokyo, by days of UTC": Hours("days", "Asia/Tokyo", opens=OPENS, closes=CLOSES),
    "of Tokyo, by local days": Hours("local days", "Asia/Tokyo", "Asia/Tokyo", OPENS, CLOSES),
    "of New York, its clocks change, zone set": Hours("hours", "America/New_York", "America/New_York", OPENS, CLOSES),
    "of New York, its clocks change, zone not set": Hours("hours", "America/New_York", opens=OPENS, closes=CLOSES),
    "three hours a day": Hours(opens=9, closes=12),
}
PLACES = {"in the window": 3, "before the window": 11}
"""Of a day, counted from the end."""


def months() -> Iterator[Month]:
    yield from _alike()
    for measure in ("rate", "count", "mean", "p95", "score", "percent"):
        yield Month("nothing", measure)
        yield Month("nothing, weekends", measure, weekend=WEEKEND)
        yield Month("nothing, of a metric that began 15 days ago", measure, days=15)
    yield Month("nothing, heavy tails", "mean", heavy=True)
    yield Month("nothing, one call in ten evaluated", calls=17)
    for name, place in PLACES.items():
        yield Month(f"a holiday {name}", "count", weekend=WEEKEND, holiday=place)
        yield Month(f"a holiday {name}", weekend=WEEKEND, holiday=place)
        yield Month(f"an outage {name}", "count", out=place)
    for growth in (0.007, 0.02):
        yield Month(f"growth of {growth:.1%} a day", "count", growth=growth)
        yield Month(f"growth of {growth:.1%} a day, weekends", "count", growth=growth, weekend=WEEKEND)
    yield from _moved()
    for (name, hours), weekend in product(HOURS.items(), (1.0, WEEKEND)):
        month = Month(f"{name}{', weekends' * (weekend < 1)}", weekend=weekend, hours=hours)
        for measure in ("count", "rate", "mean", "score"):
            yield replace(month, what=f"nothing, {month.what}", measure=measure)
        yield from _fallen(month)
    for (name, place), weekend in product(PLACES.items(), (1.0, WEEKEND)):
        yield from _fallen(Month(f"a holiday {name}{', weekends' * (weekend < 1)}", weekend=weekend, holiday=place))


def _fallen(month: Month) -> Iterator[Month]:
    yield replace(month, what=f"-10 points for 5 days, {month.what}", moved=-0.1, days_moved=5, aim=0.8)
    what = f"-25 % of calls for a week, {month.what}"
    yield replace(month, what=what, measure="count", moved=-0.25, days_moved=7, aim=0.9)


def _alike() -> Iterator[Month]:
    for alike in (0.3, 0.6):
        for measure in ("rate", "count", "mean"):
            for days in (15, 22, 29):
                yield Month(f"nothing, days alike by {alike}", measure, 300, days, alike=alike)


def _moved() -> Iterator[Month]:
    for weekend, name in ((1.0, ""), (WEEKEND, ", weekends")):
        fall = Month("", weekend=weekend, moved=-0.1)
        yield replace(fall, what=f"-10 points for 5 days{name}", days_moved=5, aim=0.8)
        yield replace(fall, what=f"-10 points for 3 days{name}", days_moved=3, aim=0.5)
        fewer = Month("", "count", weekend=weekend, moved=-0.25, days_moved=7, aim=0.9)
        yield replace(fewer, what=f"-25 % of calls for a week{name}")
        yield replace(fewer, what=f"-25 % of calls for a week, growth of 2 % a day{name}", growth=0.02)
    yield Month("-10 points since noon of the fifth day before", moved=-0.1, days_moved=5.5, aim=0.8)
    yield Month("-25 % of calls, an outage before", "count", moved=-0.25, days_moved=7, out=10, aim=0.8)
    yield Month("p95 +30 % for 5 days", "p95", moved=0.3, days_moved=5, aim=0.8)
    yield Month("p95 +20 % over a month", "p95", drift=0.2, aim=0.95)


def month_row(month: Month, seeds: Iterable[int]) -> VerdictShares:
    """Of the findings that are false where nothing moved, else of those that are the change."""
    verdicts = ({finding.verdict for finding in findings(month, seed) if _counts(month, finding)} for seed in seeds)
    aim = "" if month.aim is None else f"{month.aim:.0%}"
    name = f"{month.what} | {month.measure}, {month.days} days | {aim}"
    most = (CLEAR if month.alike is None else CLEAR_ALIKE), POSSIBLE
    return VerdictShares.of(name, verdicts, most if month.aim is None else None, month.aim or 0.0)


def _counts(month: Month, finding: Finding) -> bool:
    """Whether it is the change that was planted; where none was, whether it is false."""
    if month.drift:  # its days may not tell it from a step
        return isinstance(finding, (Step, Trend)) and finding.kind != "step" and finding.change > 0
    if month.moved:
        return isinstance(finding, Step) and finding.change * month.moved > 0
    if month.growth:  # it is a trend, or looks like one
        return isinstance(finding, Step) and finding.kind == "step"
    return isinstance(finding, (Step, Trend)) or (month.out is None and month.holiday is None)


def findings(month: Month, seed: int) -> list[Finding]:
    """All of a month, or those of its last week if something was planted there."""
    series, counts = draw(month, np.random.default_rng(seed))
    end = float(series.times[-1]) + series.step
    window = Span(end - LAST_WEEK, end) if month.moved else None
    clock = Clock(ZoneInfo(month.hours.clock if month.hours else "UTC"))
    return detect(series, counts, window=window, clock=clock).findings or []


def draw(month: Month, rng: np.random.Generator) -> tuple[TimeSeries, TimeSeries]:
    """The measure, and the calls, by what they are read by."""
    days = np.arange(month.days)
    times, day, weekdays, share = _buckets(month)
    share_moved = np.clip(month.days_moved - (month.days - 1 - days), 0, 1)
    level = (month.moved * share_moved + month.drift * days / (month.days - 1))[day]
    own = _own(month, rng)[day]
    weekday_calls = month.calls * 7 / (5 + 2 * month.weekend)
    expected = weekday_calls * share * np.where(weekdays >= SATURDAY, month.weekend, 1.0) * np.exp(month.growth * day)
    for place, left in ((month.out, OUTAGE), (month.holiday, 0.2)):
        if place is not None:
            expected[day == month.days - place] *= left
    if month.measure == "count":
        expected = expected * np.exp(own) * (1 + level)
    calls = rng.poisson(expected).astype(np.float64)
    counts = _series(times, calls, calls, "count")
    series = counts if month.measure == "count" else _measured(month, rng, counts, day, level, own)
    return _read(month, series), _read(month, counts)


def _buckets(month: Month) -> tuple[Floats, Places, Places, Floats]:
    """The start of each bucket, its day from 0 on, its weekday where the calls are, and its share of a day's calls."""
    if (hours := month.hours) is None:
        days = np.arange(month.days)
        times = np.asarray(NOW.timestamp() + DAY * (days - month.days), np.float64)
        return times, days, (NOW.weekday() + days - month.days) % 7, np.ones(month.days)
    end = NOW.timestamp() - (utc_offset(NOW.timestamp(), ZoneInfo(hours.clock)) if hours.read == "local days" else 0)
    places = np.arange(24 * month.days)
    times = end + HOUR * np.asarray(places - len(places), np.float64)
    local = calendar(times, Clock(ZoneInfo(hours.zone)))
    is_open = (local.hour >= hours.opens) & (local.hour < hours.closes)
    return times, places // 24, local.weekday, is_open / (hours.closes - hours.opens)


def _read(month: Month, series: TimeSeries) -> TimeSeries:
    if month.hours is None or month.hours.read == "hours":
        return series
    first = float(series.times[0]) % DAY
    days = replaced(series, times=series.times - first).in_days()
    if days is None:
        raise ValueError(month)
    return replaced(days, times=days.times + first)


def _own(month: Month, rng: np.random.Generator) -> Floats:
    """What each day differs by itself, a first-order autoregression."""
    if month.alike is None:
        return np.zeros(month.days)
    own = autoregression(rng.normal(size=month.days), month.alike)
    return np.asarray(DAILY_SD[month.measure] * own, np.float64)


def _measured(
    month: Month, rng: np.random.Generator, counts: TimeSeries, day: Places, level: Floats, own: Floats
) -> TimeSeries:
    times, calls = counts.times, counts.values
    rates = np.clip(RATE + level + own, 0.01, 0.99)
    binomial_sd = np.sqrt(rates * (1 - rates) / np.maximum(np.bincount(day, calls)[day], 1))
    rates = np.clip(rates + np.sqrt(OVERDISPERSION) * binomial_sd * rng.normal(size=month.days)[day], 0.01, 0.99)
    shares = rng.binomial(calls.astype(int), rates) / np.maximum(calls, 1)
    match month.measure:
        case "rate":
            return _series(times, shares, calls, "rate")
        case "percent":
            return _series(times, 100 * shares, calls, "rate", month.measure)
        case "score":  # of 1 or 5
            return _series(times, 1 + 4 * shares, calls, "positive")
        case _:
            return _durations(month, rng, times, calls, level, own)


def _durations(
    month: Month, rng: np.random.Generator, times: Floats, calls: Floats, level: Floats, own: Floats
) -> TimeSeries:
    values = np.full(len(times), np.nan)
    for day in np.flatnonzero(calls).tolist():
        size, log_sd = int(calls[day]), LOG_SD[month.measure]
        errors = rng.standard_t(3, size) / 2 if month.heavy else rng.normal(0, log_sd, size)
        durations = np.exp(np.log(180) + own[day] + np.minimum(errors, LARGEST_ERROR)) * (1 + level[day])
        values[day] = np.quantile(durations, 0.95) if month.measure == "p95" else durations.mean()
    return _series(times, values, calls, "positive", month.measure)


def _series(times: Floats, values: Floats, calls: Floats, scale: Scale, measure: str = "") -> TimeSeries:
    return TimeSeries(
        times,
        values,
        calls,
        float(times[1] - times[0]),
        scale,
        is_mergeable=measure != "p95",
        rate_unit=100.0 if measure == "percent" else 1.0,
        stable_from=SETTLES.get(measure, 0.0),
    )
