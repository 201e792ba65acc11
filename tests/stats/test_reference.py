"""Daily variation, estimated from earlier days, in comparisons."""

import math
import random
import statistics
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from cekura_dashboards.stats.compare import compare
from cekura_dashboards.stats.findings import MeasureKind
from cekura_dashboards.stats.reference import MIN_REFERENCE_DAYS, DailyVariation, estimate_variation
from cekura_dashboards.stats.significance import Sample, SampleBucket, VerdictTerms
from cekura_dashboards.stats.timeline import DAY, UTC_CLOCK

WEEKS = 4000
MONTH = 29


def draw_levels(rng: random.Random, days: int, autocorrelation: float) -> Iterator[float]:
    """A first-order autoregression of variance 1."""
    level = rng.gauss(0, 1)
    for _ in range(days):
        yield level
        level = autocorrelation * level + rng.gauss(0, math.sqrt(1 - autocorrelation**2))


def month(seed: int, autocorrelation: float, size: float, change: float = 0.0) -> tuple[Sample, Sample, Sample]:
    """A week, the week before it, and three weeks before the first."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    cells = [
        SampleBucket(day * DAY, 1000, 0.8 + size * level + (change if day >= MONTH - 7 else 0.0))
        for day, level in enumerate(draw_levels(rng, MONTH, autocorrelation))
    ]
    current, baseline = Sample(cells[-7:], 7 * DAY), Sample(cells[-14:-7], 7 * DAY)
    return current, baseline, Sample(cells[:-7], 0.0)


@pytest.mark.parametrize("autocorrelation", [0.3, 0.6, 0.9])
def test_the_variance_factor_matches_simulated_weeks(autocorrelation: float) -> None:
    rng = random.Random(5)  # noqa: S311 - no secret
    means = [math.fsum(draw_levels(rng, 7, autocorrelation)) / 7 for _ in range(WEEKS)]
    drawn = math.fsum(mean * mean for mean in means) / WEEKS
    assert DailyVariation(autocorrelation, np.zeros(10**5)).variance_factor(7) / 7 == pytest.approx(drawn, rel=0.08)


def correlation(days: list[float]) -> float:
    cells = [SampleBucket(day * DAY, 1000, value) for day, value in enumerate(days)]
    return estimate_variation(cells, UTC_CLOCK, "means").correlation


def test_alternating_days_have_no_autocorrelation() -> None:
    assert correlation([0.8, 0.9] * 14) == 0.0


def test_autocorrelation_is_estimated_from_four_weeks() -> None:
    rng = random.Random(6)  # noqa: S311 - no secret
    by_alike = {
        autocorrelation: statistics.median(correlation([*draw_levels(rng, 28, autocorrelation)]) for _ in range(60))
        for autocorrelation in (0.0, 0.6)
    }
    assert by_alike[0.0] < 0.1
    assert 0.4 < by_alike[0.6] < 0.65


def width(current: Sample, baseline: Sample, earlier: Sample) -> float:
    result = compare("mean", current, baseline, VerdictTerms(earlier_days=earlier), ratio=1.0).ci95
    assert result
    return float(result[1] - result[0])


def test_autocorrelated_days_widen_the_interval() -> None:
    alone, autocorrelation, unlike = list[float](), list[float](), list[float]()
    for seed in range(40):
        current, baseline, earlier = month(seed, 0.8, 0.03)
        autocorrelation.append(width(current, baseline, earlier))
        alone.append(width(current, baseline, Sample([], 0.0)))
        unlike.append(width(*month(seed, 0.0, 0.03)))
        few = Sample(earlier.buckets[-(MIN_REFERENCE_DAYS - 1) :], 0.0)
        assert width(current, baseline, few) == alone[-1]
    assert math.fsum(autocorrelation) > 1.5 * math.fsum(alone)
    assert math.fsum(autocorrelation) > 1.3 * math.fsum(unlike)


def test_a_release_within_the_window_stays_clear() -> None:
    current, baseline, earlier = month(3, 0.0, 0.01)
    released = Sample(
        [cell._replace(value=cell.value - 0.15 * (i > 2)) for i, cell in enumerate(current.buckets)], 7 * DAY
    )
    result = compare("mean", released, baseline, VerdictTerms(earlier_days=earlier), ratio=1.0)
    assert result.verdict == "clear"


def test_a_single_day_is_judged_by_its_own_daily_variation() -> None:
    _, baseline, earlier = month(4, 0.0, 0.002)
    days = Sample(baseline.buckets[-1:], DAY), Sample(baseline.buckets[-2:-1], DAY)
    before = Sample(earlier.buckets[:-1], 0.0)
    assert width(*days, before) < 0.6 * width(*days, Sample([], 0.0))


@pytest.mark.parametrize("kind", ["total", "median"])
def test_totals_and_percentiles_use_earlier_days(kind: MeasureKind) -> None:
    for seed in range(5):
        current, baseline, earlier = month(seed, 0.9, 0.03)
        sides = [
            Sample([cell._replace(value=1000 * cell.value) for cell in side.buckets], 7 * DAY)
            for side in (current, baseline)
        ]
        before = Sample([cell._replace(value=1000 * cell.value) for cell in earlier.buckets], 0.0)
        alone, known = (
            compare(kind, sides[0], sides[1], VerdictTerms(earlier_days=held)).ci95
            for held in (Sample([], 0.0), before)
        )
        assert alone
        assert known
        assert alone != known


EVENTS: dict[str, Callable[[float], float]] = {
    "a step": lambda day: 0.3 * (day < 10),
    "a fall that was over": lambda day: -0.3 * (5 <= day < 10),
    "an outage": lambda day: -0.9 * (day == 7),
    "a trend": lambda day: 0.01 * (MONTH - day),
    "nothing": lambda day: 0 * day,
}


def with_event(event: str, side: Sample) -> Sample:
    """The sample with days changed by the event; values of a thousand calls."""
    change = EVENTS[event]
    return Sample(
        [cell._replace(value=1000 * cell.value * (1 + change(cell.time / DAY))) for cell in side.buckets], 7 * DAY
    )


@pytest.mark.no_cover
@pytest.mark.parametrize("kind", ["mean", "total", "median"])
@pytest.mark.parametrize("event", [*EVENTS][:-1])
def test_events_in_earlier_days_hardly_widen_the_interval(kind: MeasureKind, event: str) -> None:
    widths = dict[str, float]()
    for name in ("nothing", event):
        for seed in range(20):
            current, baseline, earlier = (with_event(name, side) for side in month(seed, 0.0, 0.02))
            result = compare(kind, current, baseline, VerdictTerms(earlier_days=earlier)).ci95
            assert result
            widths[name] = widths.get(name, 0.0) + float(result[1] - result[0])
    assert widths[event] < 1.6 * widths["nothing"]


def test_a_day_after_a_release_differs_clearly_from_a_week_before() -> None:
    observed = list[str | None]()
    for seed in range(20):
        _, _, earlier = month(seed, 0.0, 0.01)
        days = [
            cell._replace(value=cell.value - 0.15 * (i >= len(earlier.buckets) - 5))
            for i, cell in enumerate(earlier.buckets)
        ]
        sides = Sample(days[-1:], DAY), Sample(days[-8:-7], DAY)
        observed.append(compare("mean", *sides, VerdictTerms(earlier_days=Sample(days[:-1], 0.0)), ratio=1.0).verdict)
    assert observed.count("clear") >= 19
