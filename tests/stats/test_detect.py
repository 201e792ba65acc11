"""Trends, steps, outliers and outages: real ones are detected, and noise rarely is."""

import math
import random

import numpy as np
import pytest
from benchmarks.verdicts import noise
from hypothesis import given
from hypothesis import strategies as st

from cekura_dashboards.stats.changepoints import find_changepoints, fit_segments
from cekura_dashboards.stats.detect import detect
from cekura_dashboards.stats.findings import Gap, Outcome, Step, Trend, Unusual
from cekura_dashboards.stats.outliers import detect_outages, find_outlier_runs
from cekura_dashboards.stats.time_series import Scale, TimeSeries, floats
from cekura_dashboards.stats.timeline import DAY, HOUR, UTC_CLOCK, Clock, Span

MONDAY = 4 * DAY + 52 * 7 * DAY


@pytest.mark.no_cover
@pytest.mark.parametrize("case", [*noise.cases()], ids=lambda case: case.name)
def test_detection_has_few_false_positives_and_high_power(case: noise.Case) -> None:
    """With fewer series than ``python -m benchmarks.verdicts``, and more of the short ones."""
    assert noise.noise_row(case, max(30, 2400 // case.n)).holds


finite = st.lists(st.floats(-1e6, 1e6), min_size=8, max_size=60)


@given(finite, st.floats(0.001, 1000))
def test_steps_and_trends_are_invariant_under_scaling(values: list[float], scale: float) -> None:
    rounded = [round(value, 3) for value in values]
    moved = [value * scale for value in rounded]
    assert [cut.at for cut in find_changepoints(floats(moved))] == [
        cut.at for cut in find_changepoints(floats(rounded))
    ]
    assert fit_segments(floats(moved)).trend.p_value == pytest.approx(
        fit_segments(floats(rounded)).trend.p_value, abs=1e-6
    )
    mirrored = fit_segments(-floats(rounded)).trend
    assert mirrored.slope == pytest.approx(-fit_segments(floats(rounded)).trend.slope)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=40))
def test_arbitrary_values_give_valid_changepoints_and_outliers(values: list[float]) -> None:
    cuts = [cut.at for cut in find_changepoints(floats(values))]
    assert all(0 < cut < len(values) for cut in cuts)
    assert cuts == sorted(cuts)
    for run in find_outlier_runs(floats(values), np.ones(len(values), bool)):
        assert 0 <= run.start < run.end <= len(values)


scales: list[Scale] = ["count", "sum", "rate", "positive", "plain"]
numbers = st.none() | st.floats(0, 1e15) | st.integers(0, 5).map(float)


@given(
    st.lists(st.tuples(numbers, st.none() | st.integers(0, 10**6)), min_size=1, max_size=200),
    st.sampled_from(scales),
    st.sampled_from([HOUR, DAY]),
    st.sampled_from(["merges", ""]),
)
def test_arbitrary_time_series_give_valid_findings(
    rows: list[tuple[float | None, int | None]], scale: Scale, step: int, merges: str
) -> None:
    values = [value if scale != "rate" or value is None else min(value, 1.0) for value, _ in rows]
    series = TimeSeries(
        floats(MONDAY + i * step for i in range(len(rows))),
        floats(values),
        floats(n for _, n in rows),
        step,
        scale,
        bool(merges),
    )
    outcome = detect(series, series if scale == "count" and None not in values else None)
    for finding in outcome.findings or []:
        assert finding.verdict in {"clear", "possible"}


def time_series(
    values: list[float | None], step: int = DAY, *, scale: Scale = "plain", n: float | None = 100, start: float = MONDAY
) -> TimeSeries:
    times = [start + i * step for i in range(len(values))]
    return TimeSeries(
        floats(times), floats(values), floats(values if scale == "count" else [n] * len(values)), step, scale
    )


def kinds(outcome: Outcome) -> list[str]:
    assert outcome.findings is not None
    return [finding.kind for finding in outcome.findings]


def test_fewer_than_eight_buckets_are_reported_as_not_tested() -> None:
    outcome = detect(time_series([1.0] * 7))
    assert outcome.findings is None
    assert outcome.not_tested == [
        "trend, steps, outliers: 7 full buckets, fewer than 8",
        "outages: the calls per bucket are unknown",
    ]
    counted = time_series([1.0] * 7, scale="count")
    assert detect(counted, counted).not_tested == ["trend, steps, outliers, outages: 7 full buckets, fewer than 8"]
    assert kinds(detect(time_series([1.0, 2.0] * 4))) == []
    assert kinds(detect(time_series([1.0] * 8, scale="positive"))) == []


def test_less_than_two_days_of_hours_are_not_tested() -> None:
    morning = time_series([float(hour) for hour in range(24)], HOUR, scale="count")
    outcome = detect(morning, morning)
    assert outcome.findings is None
    assert outcome.not_tested == ["trend, steps, outliers, outages: 24 full buckets, fewer than 48"]


def test_a_step_reports_date_levels_and_verdict() -> None:
    rng = random.Random(3)  # noqa: S311 - no secret
    values: list[float | None] = [(0.9 if i < 20 else 0.8) + rng.gauss(0, 0.01) for i in range(40)]
    [step] = detect(time_series(values)).findings or []
    assert isinstance(step, Step)
    assert (step.kind, step.at, step.n, step.verdict) == ("step", "1971-01-24", [2000, 2000], "clear")
    assert step.before == pytest.approx(0.9, abs=0.01)
    assert step.pct == pytest.approx(-11, abs=2)
    [of_24_days] = [
        finding for finding in detect(time_series(values[8:32])).findings or [] if isinstance(finding, Step)
    ]
    assert (of_24_days.kind, of_24_days.verdict) == ("step", "clear")


def test_days_that_fit_a_line_and_a_step_are_a_trend_or_step() -> None:
    rng = random.Random(1)  # noqa: S311 - no secret
    slope: list[float | None] = [0.8 + 0.004 * i + rng.gauss(0, 0.03) for i in range(29)]
    [either] = detect(time_series(slope)).findings or []
    assert isinstance(either, Step)
    assert (either.kind, either.verdict, either.change > 0) == ("trend or step", "clear", True)


def test_a_drop_amid_growth_is_a_step_and_a_trend() -> None:
    rng = random.Random(5)  # noqa: S311 - no secret
    expected = [400 * 1.02**day * (0.75 if day >= 22 else 1.0) for day in range(29)]
    calls = time_series([float(round(rng.gauss(level, math.sqrt(level)))) for level in expected], scale="count")
    step, trend = detect(calls, calls).findings or []
    assert isinstance(step, Step)
    assert isinstance(trend, Trend)
    assert (step.kind, step.at, step.verdict, trend.verdict) == ("step", "1971-01-26", "clear", "clear")
    assert step.pct == pytest.approx(-25, abs=5)
    assert step.before == pytest.approx(400 * 1.02**21.5, rel=0.05)
    assert trend.per_day == pytest.approx((400 * 1.02**28 - 400) / 28, rel=0.25)


def test_a_step_within_a_day_causes_no_outlier_on_that_day() -> None:
    rng = random.Random(8)  # noqa: S311 - no secret
    rates: list[float | None] = [0.9 - 0.2 * min(1.0, max(0.0, i - 19.5)) + rng.gauss(0, 0.01) for i in range(29)]
    [step] = detect(time_series(rates)).findings or []
    assert isinstance(step, Step)
    assert step.at in {"1971-01-23", "1971-01-24"}
    assert step.verdict == "clear"


def test_findings_are_limited_to_the_window_or_marked_as_before_it() -> None:
    rng = random.Random(3)  # noqa: S311 - no secret
    values: list[float | None] = [(0.9 if i < 20 else 0.8) + rng.gauss(0, 0.01) for i in range(40)]

    def steps_within(first: int, last: int) -> list[tuple[str, bool | None]]:
        window = Span(MONDAY + first * DAY, MONDAY + last * DAY)
        return [
            (f.at, f.before_window)
            for f in detect(time_series(values), window=window).findings or []
            if isinstance(f, Step)
        ]

    assert steps_within(15, 25) == [("1971-01-24", None)]
    assert steps_within(22, 30) == [("1971-01-24", True)]
    assert steps_within(33, 40) == []
    assert steps_within(5, 12) == []


def test_a_step_in_hourly_data_is_dated_to_the_hour() -> None:
    rng = random.Random(9)  # noqa: S311 - no secret
    at = 24 * 20 + 14
    values: list[float | None] = [float(max(0, round(rng.gauss(60 if i < at else 40, 7)))) for i in range(24 * 30)]
    counted = time_series(values, HOUR, scale="count")
    [step] = [f for f in detect(counted, counted).findings or [] if isinstance(f, Step)]
    hours_off = [hour for hour in range(-3, 4) if step.at == f"1971-01-24T{14 + hour:02}:00Z"]
    assert hours_off
    assert step.verdict == "clear"
    assert step.before == pytest.approx(60, abs=2)
    assert step.after == pytest.approx(40, abs=2)


@pytest.mark.parametrize("level", [0.5, 1.0])
def test_disabling_outliers_keeps_steps_and_outages(level: float) -> None:
    rng = np.random.default_rng(1)
    times = floats(MONDAY + hour * HOUR for hour in range(21 * 24))
    counts = rng.poisson(np.where(times < MONDAY + 14 * DAY, 40.0, 40.0 * level)).astype(float)
    counts[100:106], counts[200] = 0.0, 200.0
    calls = TimeSeries(times, counts, counts, HOUR, "count")
    full, part = (detect(calls, calls, outliers=outliers) for outliers in (True, False))
    assert part.findings == [item for item in full.findings or [] if not isinstance(item, Unusual)]
    assert [type(item) for item in part.findings or []] == ([Step, Gap] if level < 1 else [Gap])
    assert part.changes == full.changes
    assert any(isinstance(item, Unusual) for item in full.findings or [])


def test_a_single_extreme_bucket_is_an_outlier() -> None:
    values: list[float | None] = [10.0, 11, 9, 10, 12, 8, 10, 11, 9, 10, 10, 60, 10, 9, 11, 10, 10, 9, 12, 10]
    outcome = detect(time_series(values, n=None))
    [run] = outcome.findings or []
    assert isinstance(run, Unusual)
    assert (run.start, run.value, run.buckets) == ("1971-01-15", 60, 1)
    assert run.expected == pytest.approx(10, abs=0.5)


def test_an_extreme_rate_of_few_calls_is_no_outlier() -> None:
    shares: list[float | None] = [0.8, 0.82, 0.79, 0.81, 0.8, 0.78, 0.83, 0.4, 0.8, 0.81, 0.79, 0.8, 0.82, 0.8]
    times = [MONDAY + i * DAY for i in range(len(shares))]

    def kinds_with(n: float) -> list[str]:
        calls: list[float | None] = [n if share == 0.4 else 500.0 for share in shares]
        return kinds(detect(TimeSeries(floats(times), floats(shares), floats(calls), DAY, "rate")))

    assert kinds_with(500.0) == ["outlier"]
    assert kinds_with(5.0) == []


def test_hours_with_too_few_calls_yield_no_outlier() -> None:
    rng, hours = random.Random(4), np.arange(24 * 28)  # noqa: S311 - no secret
    low = (hours >= 24 * 20) & (hours < 24 * 21)
    values = floats((40 if is_low else 100) * math.exp(rng.gauss(0, 0.1)) for is_low in low)
    times, calls = floats(MONDAY + HOUR * hour for hour in range(24 * 28)), np.where(low, 3.0, 20.0)
    few = TimeSeries(times, values, calls, HOUR, "positive")
    assert kinds(detect(few)) == []
    assert kinds(detect(TimeSeries(times, values, np.full(len(hours), 20.0), HOUR, "positive"))) == ["outlier"]


def weeks_of_calls(rng: random.Random, days: int, *, busy: int = 60) -> list[float | None]:
    """Calls per hour with nights, days and weekends."""
    values = list[float | None]()
    for hour in range(24 * days):
        expected = (busy if 8 <= hour % 24 < 18 else 3) * (0.4 if hour // 24 % 7 >= 5 else 1)
        values.append(float(max(0, round(rng.gauss(expected, math.sqrt(expected))))))
    return values


@pytest.mark.parametrize("days", [7, 14, 20, 28])
def test_nights_and_weekends_yield_few_findings(days: int) -> None:
    results = list[str]()
    for seed in range(20):
        calls = time_series(weeks_of_calls(random.Random(seed), days), HOUR, scale="count")  # noqa: S311 - no secret
        results += kinds(detect(calls, calls))
    assert len(results) <= 2


def test_a_custom_weekend_is_no_outlier() -> None:
    """Friday and Saturday are quiet: no outlier, whichever weekend is configured."""
    rng = random.Random(6)  # noqa: S311 - no secret
    values: list[float | None] = [
        float(max(0, round(rng.gauss(100 if day % 7 in {4, 5} else 400, 15)))) for day in range(16)
    ]
    days = time_series(values, scale="count")
    theirs, ours = (
        detect(days, days, clock=Clock(weekend=weekend)) for weekend in (frozenset({4, 5}), frozenset({5, 6}))
    )
    assert kinds(theirs) == []
    assert not [finding for finding in ours.findings or [] if finding.kind == "outlier"], "it recurs, so it is seasonal"


def test_only_unusual_hours_without_calls_are_an_outage() -> None:
    values = weeks_of_calls(random.Random(2), 22)  # noqa: S311 - no secret
    values[24 * 9 + 10] = values[24 * 9 + 11] = 0.0
    for week in range(3):
        for hour in range(24):
            values[24 * (7 * week + 6) + hour] = 0.0
    calls = time_series(values, HOUR, scale="count")
    gaps = [finding for finding in detect(calls, calls).findings or [] if isinstance(finding, Gap)]
    [(start, end, usual)] = [(gap.start, gap.end, gap.expected_calls) for gap in gaps]
    assert (start, end) == ("1971-01-13T10:00Z", "1971-01-13T12:00Z")
    assert usual == pytest.approx(120, abs=30)


def test_outages_are_detected_in_counts_and_never_in_negative_numbers() -> None:
    values = weeks_of_calls(random.Random(2), 22)  # noqa: S311 - no secret
    values[24 * 21 + 10] = values[24 * 21 + 11] = 0.0
    calls = time_series(values, HOUR, scale="count")
    last_day = Span(float(calls.times[-24]), float(calls.times[-1]) + HOUR)
    [gap] = detect_outages(calls, last_day, UTC_CLOCK, None)
    assert (gap.start, gap.end) == ("1971-01-25T10:00Z", "1971-01-25T12:00Z")
    below = time_series([-1e5 if i % 2 else value for i, value in enumerate(values)], HOUR, scale="count")
    assert detect_outages(below, last_day, UTC_CLOCK, None) == []


def test_an_outage_of_days_ends_at_an_instant() -> None:
    values: list[float | None] = [100.0] * 28
    values[20] = values[21] = 0.0
    calls = time_series(values, DAY, scale="count")
    gaps = [finding for finding in detect(calls, calls).findings or [] if isinstance(finding, Gap)]
    assert [(gap.start, gap.end) for gap in gaps] == [("1971-01-24", "1971-01-26T00:00Z")]


def test_the_time_before_the_first_call_is_no_outage() -> None:
    values = weeks_of_calls(random.Random(2), 16)  # noqa: S311 - no secret
    values[: 24 * 4] = [0.0] * (24 * 4)
    calls = time_series(values, HOUR, scale="count")
    assert "outage" not in kinds(detect(calls, calls))


def test_a_maximum_that_falls_with_fewer_calls_is_no_step() -> None:
    """The maximum of many calls is higher than that of few."""
    rng = random.Random(8)  # noqa: S311 - no secret
    sizes = [400 if day < 15 else 40 for day in range(30)]
    values: list[float | None] = [max(math.exp(rng.gauss(5, 0.8)) for _ in range(n)) for n in sizes]
    times = [MONDAY + day * DAY for day in range(30)]
    highest = TimeSeries(
        floats(times), floats(values), floats(sizes), DAY, "positive", is_mergeable=False, stable_from=math.inf
    )
    outcome = detect(highest)
    assert not [finding for finding in outcome.findings or [] if finding.kind in {"step", "trend or step", "trend"}]
    assert any("depend on how many there are" in text for text in outcome.not_tested)
