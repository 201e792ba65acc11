"""Trend, steps, unusual buckets and gaps: what is planted is found, and noise is not."""

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cekura_dashboards.insight.course import Course
from cekura_dashboards.insight.findings import Outcome, examine
from cekura_dashboards.insight.steps import find_steps
from cekura_dashboards.insight.timeline import DAY, HOUR
from cekura_dashboards.insight.trend import find_trend
from cekura_dashboards.insight.unusual import find_unusual

MONDAY = 4 * DAY + 52 * 7 * DAY
SERIES = 1000
Make = Callable[[random.Random, int], list[float]]


def white(rng: random.Random, n: int) -> list[float]:
    return [rng.gauss(0, 1) for _ in range(n)]


def heavy(rng: random.Random, n: int) -> list[float]:
    """Student's t with 3 degrees of freedom."""
    return [rng.gauss(0, 1) / math.sqrt(sum(rng.gauss(0, 1) ** 2 for _ in range(3)) / 3 + 1e-9) for _ in range(n)]


def sloped(rng: random.Random, n: int) -> list[float]:
    return [5 * i / n + rng.gauss(0, 1) for i in range(n)]


def alike(rng: random.Random, n: int) -> list[float]:
    """A first-order autoregression of 0.6."""
    found = [rng.gauss(0, 1.25)]
    while len(found) < n:
        found.append(0.6 * found[-1] + rng.gauss(0, 1))
    return found


def share(make: Make, n: int, *, clear: bool = False) -> float:
    rng = random.Random(n)  # noqa: S311 - no secret
    found = [find_steps(make(rng, n)) for _ in range(SERIES)]
    return sum(any(cut.clear or not clear for cut in cuts) for cuts in found) / SERIES


@pytest.mark.parametrize("n", [24, 30, 56, 90])
def test_noise_has_no_steps(n: int) -> None:
    assert share(white, n) <= 0.02
    assert share(heavy, n) <= 0.02
    assert share(alike, n, clear=True) <= 0.10


@pytest.mark.parametrize("n", [56, 90])
def test_a_trend_is_no_step(n: int) -> None:
    assert share(sloped, n) <= 0.05


@pytest.mark.parametrize("n", [24, 30, 56, 90])
def test_a_step_of_two_and_a_half_deviations_is_found_within_a_bucket(n: int) -> None:
    rng, hits = random.Random(n), 0  # noqa: S311 - no secret
    for _ in range(SERIES):
        at = rng.randint(n // 4, 3 * n // 4)
        values = [value + (2.5 if i >= at else 0) for i, value in enumerate(white(rng, n))]
        hits += any(abs(cut.at - at) <= 1 for cut in find_steps(values))
    assert hits / SERIES >= 0.85


def test_a_slope_is_a_trend_and_noise_is_none() -> None:
    rng = random.Random(5)  # noqa: S311 - no secret
    assert sum(find_trend(white(rng, 40)).verdict == "clear" for _ in range(SERIES)) / SERIES <= 0.02
    assert sum(find_trend(alike(rng, 60)).verdict == "clear" for _ in range(SERIES)) / SERIES <= 0.05
    assert sum(find_trend(sloped(rng, 40)).verdict == "clear" for _ in range(SERIES)) / SERIES >= 0.98


finite = st.lists(st.floats(-1e6, 1e6), min_size=8, max_size=60)


@given(finite, st.floats(0.001, 1000))
def test_steps_and_trend_do_not_depend_on_shift_or_scale(values: list[float], scale: float) -> None:
    rounded = [round(value, 3) for value in values]
    moved = [value * scale for value in rounded]
    assert [cut.at for cut in find_steps(moved)] == [cut.at for cut in find_steps(rounded)]
    assert find_trend(moved).score == pytest.approx(find_trend(rounded).score, abs=1e-6)
    mirrored = find_trend([-value for value in rounded])
    assert mirrored.slope == pytest.approx(-find_trend(rounded).slope)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=40))
def test_whatever_the_values_the_tests_end(values: list[float]) -> None:
    cuts = [cut.at for cut in find_steps(values)]
    assert all(0 < cut < len(values) for cut in cuts)
    assert cuts == sorted(cuts)
    for run in find_unusual(values, [0.0] * len(values), cuts):
        assert 0 <= run.start < run.end <= len(values)


def course(values: list[float | None], step: int = DAY, *, counted: bool = False, start: float = MONDAY) -> Course:
    times = [start + i * step for i in range(len(values))]
    sizes = [value if counted else 100.0 for value in values]
    return Course(times, values, sizes, [0.0] * len(values), step, additive=counted, counted=counted)


def kinds(outcome: Outcome) -> list[str]:
    assert outcome.findings is not None
    return [found["kind"] for found in outcome.findings]


def test_fewer_than_eight_buckets_are_not_tested_and_that_is_said() -> None:
    outcome = examine(course([1.0] * 7))
    assert outcome.findings is None
    assert outcome.not_tested == [
        "trend, steps, unusual: 7 full buckets, fewer than 8",
        "gaps: the calls per bucket are not known",
    ]
    assert examine(course([1.0] * 7), course([1.0] * 7, counted=True)).not_tested == [
        "trend, steps, unusual, gaps: 7 full buckets, fewer than 8"
    ]
    assert kinds(examine(course([1.0, 2.0] * 4))) == []


def test_a_step_says_where_from_what_to_what_and_how_sure() -> None:
    rng = random.Random(3)  # noqa: S311 - no secret
    values: list[float | None] = [(0.9 if i < 20 else 0.8) + rng.gauss(0, 0.01) for i in range(40)]
    outcome = examine(course(values))
    assert outcome.findings is not None
    [step] = outcome.findings
    assert (step["kind"], step["at"], step["n"], step["verdict"]) == ("step", "1971-01-24", [2000, 2000], "clear")
    assert step["before"] == pytest.approx(0.9, abs=0.01)
    assert step["pct"] == pytest.approx(-11, abs=2)
    few = examine(course(values[8:32]))
    assert kinds(few) == ["trend or step"]


def test_a_single_bucket_far_off_is_unusual_unless_its_few_calls_explain_it() -> None:
    values: list[float | None] = [10.0, 11.0, 9.0, 10.0, 12.0, 8.0, 10.0, 30.0, 11.0, 9.0, 10.0, 10.0]
    outcome = examine(course(values))
    assert outcome.findings is not None
    [run] = outcome.findings
    assert (run["from"], run["value"], run["usual"]) == ("1971-01-11", 30, 10)
    plain = course(values)
    uncertain = Course(plain.times, plain.values, plain.n, [9.0 if v == 30 else 0.0 for v in values], DAY)
    assert kinds(examine(uncertain)) == []


def test_what_is_unusual_is_told_beside_what_is_usual_on_its_own_level() -> None:
    rng = random.Random(8)  # noqa: S311 - no secret
    values: list[float | None] = [(60 if i < 12 else 20) + rng.gauss(0, 1) for i in range(28)]
    values[5] = 40.0
    outcome = examine(course(values))
    assert outcome.findings is not None
    [run] = [found for found in outcome.findings if found["kind"] == "unusual"]
    assert (run["from"], run["value"]) == ("1971-01-09", 40)
    assert run["usual"] == pytest.approx(60, abs=2)


@pytest.mark.parametrize("n", [14, 29, 56, 700])
def test_noise_is_hardly_ever_unusual_and_a_bucket_six_deviations_off_mostly_is(n: int) -> None:
    rng, rounds, false, found = random.Random(n), 7000 // n, 0, 0  # noqa: S311 - no secret
    for _ in range(rounds):
        values = white(rng, n)
        false += bool(find_unusual(values, [0.0] * n))
        values[n // 2] += 6
        found += any(run.start <= n // 2 < run.end for run in find_unusual(values, [0.0] * n))
    assert false / rounds <= 0.03
    assert found / rounds >= 0.75


def test_hours_of_few_calls_count_in_their_day_and_not_by_themselves() -> None:
    times = [MONDAY + i * HOUR for i in range(24 * 12)]
    busy = [9 <= i % 24 < 17 for i in range(len(times))]
    values: list[float | None] = [50.0 if full else 90.0 for full in busy]
    hours = Course(times, values, [20.0 if full else 2.0 for full in busy], [0.0] * len(times), HOUR)
    assert len(hours.known()) == 8 * 12
    [level] = set(hours.daily().known().numbers())
    assert level == pytest.approx((8 * 20 * 50 + 16 * 2 * 90) / (8 * 20 + 16 * 2))
    few = Course(times[:24], values[:24], [2.0] * 24, [0.0] * 24, HOUR)
    assert examine(few).not_tested[0] == "trend, steps, unusual: 0 full buckets of 5 calls or more, fewer than 8"


def weeks_of_calls(rng: random.Random, days: int) -> list[float | None]:
    """Calls per hour with nights, days and weekends."""
    found = list[float | None]()
    for hour in range(24 * days):
        busy = 60 if 8 <= hour % 24 < 18 else 3
        expected = busy * (0.4 if hour // 24 % 7 >= 5 else 1)
        found.append(float(max(0, round(rng.gauss(expected, math.sqrt(expected))))))
    return found


@pytest.mark.parametrize("days", [14, 20, 28])
def test_nights_and_weekends_are_no_finding(days: int) -> None:
    found = list[str]()
    for seed in range(20):
        calls = course(weeks_of_calls(random.Random(seed), days), HOUR, counted=True)  # noqa: S311 - no secret
        found += kinds(examine(calls, calls))
    assert len(found) <= 2


def test_an_hour_without_calls_by_day_is_a_gap_and_a_night_is_none() -> None:
    values = weeks_of_calls(random.Random(2), 16)  # noqa: S311 - no secret
    values[24 * 9 + 10] = values[24 * 9 + 11] = 0.0
    calls = course(values, HOUR, counted=True)
    outcome = examine(calls, calls)
    assert outcome.findings is not None
    [gap] = outcome.findings
    assert (gap["kind"], gap["from"], gap["to"]) == ("gap", "1971-01-13T10:00Z", "1971-01-13T12:00Z")
    assert gap["usual_calls"] == pytest.approx(120, abs=25)


def test_a_weekend_in_less_than_two_weeks_is_not_called_a_step() -> None:
    values = weeks_of_calls(random.Random(2), 7)[24 * 2 :]  # noqa: S311 - no secret
    calls = course(values, HOUR, counted=True, start=MONDAY + 2 * DAY)
    outcome = examine(calls, calls)
    assert outcome.findings is not None
    assert all(found["verdict"] == "possible" for found in outcome.findings if found["kind"] == "step")
    assert "trend: less than two weeks, weekend included" in outcome.not_tested
