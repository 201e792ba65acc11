"""Daily looks: how many series of ninety looks report a false ``clear``, and how late a real step is reported."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from benchmarks.verdicts.months import WEEKEND, Month, draw
from cekura_dashboards.api.models import Widget, WidgetConfig
from cekura_dashboards.charts.target import Target, Window
from cekura_dashboards.reports.changes import (
    TESTS_OF_A_SERIES,
    ComparedSpans,
    MeasureTests,
    RankedChange,
    Survey,
    rank_changes,
)
from cekura_dashboards.reports.looks import read_token, since_last_look
from cekura_dashboards.stats.change import changes_from_findings, level_change
from cekura_dashboards.stats.detect import detect
from cekura_dashboards.stats.findings import MeasureKind
from cekura_dashboards.stats.significance import ERROR_RATE_OF_LOOKS, LOOKS, Sample, SampleBucket, VerdictTerms
from cekura_dashboards.stats.time_series import TimeSeries
from cekura_dashboards.stats.timeline import DAY
from cekura_dashboards.values import replace as replaced

KNOWN_DAYS, WEEK = 29, 7
"""Whole days that the API holds; the days of a window and of its baseline."""
QUIET_LOOKS, MOST_LOOKS = 10, 30
"""Looks before a step, and those after it that may tell it."""
MOST_LATER = 1.5
SCOPE = "bench-"
KINDS: dict[str, MeasureKind] = {"count": "total", "p95": "median"}
RATIOS = {"rate": 1.0, "percent": 100.0}
BAR = WidgetConfig(chart_type="bar", field="duration", aggregation_function="avg", time_period="day")
SURVEY = Survey(Target(BAR, {}), (Widget(id=1, chart_type="bar"),), "")


def shapes() -> Iterator[Month]:
    """Twenty shapes of months without changes."""
    for measure in ("rate", "count", "mean", "p95", "score", "percent"):
        yield Month("nothing", measure)
        yield Month("nothing, weekends", measure, weekend=WEEKEND)
    yield Month("nothing, heavy tails", "mean", heavy=True)
    yield Month("nothing, one call in ten evaluated", calls=17)
    for alike in (0.3, 0.6):
        for measure in ("rate", "count", "mean"):
            yield Month(f"nothing, days alike by {alike}", measure, 300, alike=alike)


@dataclass(frozen=True)
class Looks:
    """A shape; ``step``: by how many standard deviations of its days its level falls."""

    month: Month
    step: float = 0.0


def cases() -> Iterator[Looks]:
    for month in shapes():
        yield Looks(month)
    for measure in ("rate", "count", "mean", "p95"):
        for size in (2.0, 4.0):
            yield Looks(Month(f"a step of {size:g} sd", measure), size)


class LooksRow(NamedTuple):
    """``false``: the share of series with a false ``clear``. ``days``: see there; in the median."""

    case: Looks
    false: float
    days: "DaysUntil | None" = None

    @property
    def holds(self) -> bool:
        return (
            self.false <= ERROR_RATE_OF_LOOKS
            if self.days is None
            else self.days.listed <= MOST_LATER * self.days.single
        )

    def __str__(self) -> str:
        month = self.case.month
        if self.days is not None:
            return f"| {month.what} | {month.measure} | | {' | '.join(f'{days:g}' for days in self.days)} |"
        return f"| {month.what} | {month.measure} | {self.false:.1%} | | | |"


class DaysUntil(NamedTuple):
    """The age of a step in days when a single look calls it clear, when a series reports it, and calls it clear."""

    single: float
    listed: float
    clear: float


def looks_row(case: Looks, seeds: Iterable[int]) -> LooksRow:
    if not case.step:
        false_clears = [tells(case.month, seed)[1] for seed in seeds]
        return LooksRow(case, sum(false_clears) / len(false_clears))
    days = [days_until(case, seed) for seed in seeds]
    return LooksRow(case, 0.0, DaysUntil(*(float(np.median(column)) for column in zip(*days, strict=True))))


def tells(month: Month, seed: int, looks: int = LOOKS) -> tuple[bool, bool]:
    """Whether any look without a change reports a clear one: as single looks, and as a series."""
    token, single, series = None, False, False
    for look in looks_at(replace(month, days=KNOWN_DAYS + looks - 1), seed):
        ranking, token = _next_look(look, token)
        single |= any(row.is_clear for row in look.ranking)
        series |= any(row.is_clear for row in ranking)
    return single, series


def days_until(case: Looks, seed: int) -> DaysUntil:
    """The days of one series; infinite if the step is not reported while it lasts."""
    days = KNOWN_DAYS + QUIET_LOOKS + MOST_LOOKS - 1
    moved = replace(case.month, days=days, moved=-case.step * _sd(case.month), days_moved=MOST_LOOKS)
    token, first = None, DaysUntil(math.inf, math.inf, math.inf)
    for place, look in enumerate(looks_at(moved, seed), start=1 - QUIET_LOOKS):
        ranking, token = _next_look(look, token)
        if place > 0:
            clear_falls = [[row for row in rows if row.is_clear and _is_fall(row)] for rows in (look.ranking, ranking)]
            ways = [clear_falls[0], [row for row in ranking if _is_fall(row)], clear_falls[1]]
            first = DaysUntil(*(min(days, place if rows else math.inf) for days, rows in zip(first, ways, strict=True)))
        if math.isfinite(max(first)):
            break
    return first


def _is_fall(row: RankedChange) -> bool:
    return float(row.change.after or 0) < float(row.change.before or 0)


@lru_cache
def _sd(month: Month) -> float:
    """The standard deviation of days: of rates in points, else as a share."""
    values = draw(replace(month, days=2000), np.random.default_rng(1))[0].values
    return float(values.std() / (1 if month.measure == "rate" else values.mean()))


class OneLook(NamedTuple):
    ranking: list[RankedChange]
    tests: int
    now: datetime


def _next_look(look: OneLook, token: str | None) -> tuple[list[RankedChange], str]:
    last = read_token(token, SCOPE, look.now, about="the benchmark")
    ranking, series = since_last_look(look.ranking, look.tests, last, SCOPE, look.now)
    return ranking, series.token


def looks_at(month: Month, seed: int) -> Iterator[OneLook]:
    """A look at the end of each day, at the days that the API then holds: the last week against the one before."""
    series, counts = draw(month, np.random.default_rng(seed))
    for first in range(month.days - KNOWN_DAYS + 1):
        days = slice(first, first + KNOWN_DAYS)
        yield _look(month, _part(series, days), _part(counts, days))


def _look(month: Month, series: TimeSeries, counts: TimeSeries) -> OneLook:
    now = datetime.fromtimestamp(float(series.times[-1]) + DAY, UTC)
    edges = [datetime.fromtimestamp(now.timestamp() - days * DAY, UTC) for days in (2 * WEEK, WEEK, 0)]
    times = ComparedSpans(Window(edges[1], edges[2], ""), Window(edges[0], edges[1], ""), now)
    ratio, counted = RATIOS.get(month.measure, 0.0), month.measure == "count"
    earlier, baseline, current = (
        _sample(series, days) for days in (slice(-WEEK), slice(-2 * WEEK, -WEEK), slice(-WEEK, None))
    )
    terms = VerdictTerms(earlier_days=earlier)
    kind = KINDS.get(month.measure, "mean")
    change = level_change(kind, current, baseline, terms, ratio=ratio, counted=counted)
    findings = detect(series, series if counted else counts, window=times.span).findings or []
    candidates = [*([change] if change else []), *changes_from_findings(findings, ratio)]
    tests = TESTS_OF_A_SERIES + (change is not None)
    return OneLook(rank_changes([MeasureTests(SURVEY, candidates, tests)], times), tests, now)


def _part(series: TimeSeries, days: slice) -> TimeSeries:
    return replaced(series, times=series.times[days], values=series.values[days], n=series.n[days])


def _sample(series: TimeSeries, days: slice) -> Sample:
    part = _part(series, days)
    rows = zip(part.times.tolist(), part.n.tolist(), part.values.tolist(), strict=True)
    buckets = [SampleBucket(*row) for row in rows if not math.isnan(row[2])]
    return Sample(buckets, len(part) * float(DAY), n=float(part.n.sum()))
