"""Bars: weighting, extremes, the bounded series."""

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cekura_dashboards.stats.timeline import DAY, HOUR, STEPS, Span, choose_step, floor_to, starts
from cekura_dashboards.summaries.bar import bar, combine, merge_groups
from cekura_dashboards.summaries.model import Bucket, OtherGroups, Summary
from support import Json

START = datetime(2026, 11, 2, tzinfo=UTC).timestamp()
"""A Monday."""
WEEK = Span(START, START + 7 * DAY)


def days(*values: float | None, n: int | None = 100) -> list[Bucket]:
    return [Bucket(START + i * DAY, value, n) for i, value in enumerate(values)]


def summary(buckets: list[Bucket], span: Span = WEEK, function: str = "avg", **fields: object) -> Summary:
    options = {"period": "day", "unit": "ratio", "points": 30, **fields}
    return bar(buckets, span, function=function, **options)  # type: ignore[arg-type]  # options by name


def facts_of(summary: Summary) -> Json:
    """The facts as they are sent."""
    result: Json = summary.facts.model_dump(mode="json", exclude_none=True)
    return result


def test_averages_are_weighted_and_the_plain_mean_is_added_if_different() -> None:
    result = summary([Bucket(START, 0.5, 900), Bucket(START + DAY, 1.0, 100)])
    assert (result.n, facts_of(result)["overall"], facts_of(result)["mean_of_buckets"]) == (1000, 0.55, 0.75)
    assert facts_of(result)["ci95"] == [0.519, 0.5806]


@pytest.mark.parametrize(
    ("function", "name", "value"),
    [
        ("count", "total", 60),
        ("sum", "total", 60),
        ("min", "min", 10),
        ("max", "max", 30),
        ("p95", "typical_bucket_p95", 20),
    ],
)
def test_the_total_of_a_window_is_named_by_its_aggregation(function: str, name: str, value: float) -> None:
    assert facts_of(summary(days(10, 20, 30), function=function, unit="s"))[name] == value


def test_extremes_exclude_partial_and_small_buckets() -> None:
    buckets = days(0.99, 0.5, 0.6, 0.7, 0.8, 0.9, 0.01)
    buckets[2] = Bucket(buckets[2].time, 0.0, 4)
    cut = Span(START + HOUR, START + 6 * DAY + HOUR)
    facts = facts_of(summary(buckets, cut))
    assert facts["highest"] == ["2026-11-07", 0.9]
    assert facts["lowest"] == ["2026-11-03", 0.5]


def test_partial_buckets_are_marked_at_both_ends() -> None:
    series = summary(days(1, 1, 1), Span(START + 1, START + 3 * DAY - 1)).series
    assert series is not None
    assert series.partial == [0, 2]
    complete = summary(days(1, 1, 1), Span(START, START + 3 * DAY)).series
    assert complete is not None
    assert complete.partial is None


def test_a_missing_day_is_zero_for_a_count_and_missing_for_a_mean() -> None:
    buckets = [b for b in days(5, 5, 5, 5, 5, 5, 5, n=5) if b.time != START + 2 * DAY]
    counted, averaged = summary(buckets, function="count", unit="calls"), summary(buckets)
    assert counted.series is not None
    assert averaged.series is not None
    assert counted.series.value[2] == 0
    assert facts_of(counted)["lowest"] == ["2026-11-04", 0]
    assert averaged.series.value[2] is None
    assert "1 day buckets without calls count as 0" in counted.notes


def test_buckets_over_the_limit_are_combined_by_aggregation() -> None:
    hours = [Bucket(START + i * HOUR, 1.0, 2) for i in range(7 * 24)]
    counted = summary(hours, function="count", period="hour", unit="calls", points=7).series
    assert counted is not None
    assert (counted.step, counted.value) == ("1d", [24] * 7)
    tails = summary(hours, function="p95", period="hour", points=7).series
    assert tails is not None
    assert tails.measure == "median of p95 per hour"


def test_months_keep_their_own_buckets() -> None:
    october, november = (datetime(2026, month, 1, tzinfo=UTC).timestamp() for month in (10, 11))
    span = Span(october + 5 * DAY, november + 3 * DAY)
    series = summary([Bucket(october, 3, 3), Bucket(november, 4, 4)], span, function="count", period="month").series
    assert series is not None
    assert (series.step, series.start, series.value, series.partial) == ("1mo", "2026-10-01", [3, 4], [0, 1])


def test_no_buckets_give_no_facts() -> None:
    for buckets in ([], days(None, None)):
        result = summary(buckets)
        assert (result.n, facts_of(result), result.series) == (0, {}, None)


def test_one_bucket_has_no_extremes() -> None:
    assert "highest" not in facts_of(summary(days(0.5)))


def test_buckets_without_sample_counts_are_weighted_equally_with_a_note() -> None:
    result = summary(days(0.2, 0.4, n=None))
    assert (result.n, facts_of(result)["overall"]) == (None, 0.3)
    assert any("no sample counts" in text for text in result.notes)


def test_counts_stay_exact_and_others_have_four_digits() -> None:
    assert facts_of(summary(days(1234567), function="count"))["total"] == 1234567
    assert facts_of(summary(days(1234567), function="sum"))["total"] == 1235000


def test_groups_are_sorted_by_size_and_the_rest_is_combined() -> None:
    buckets = [Bucket(START, 0.5, 10 * (i + 1), f"agent {i}") for i in range(20)]
    groups = summary(buckets, by="agent.id").groups
    assert groups is not None
    assert groups.top[0] == ("agent 19", 200, 0.5)
    assert len(groups.top) == 15
    assert groups.other == OtherGroups(groups=5, n=150)


def test_percentiles_of_groups_are_never_merged() -> None:
    result = summary([Bucket(START, 5, 9, "a"), Bucket(START, 9, 9, "b")], function="p95", by="agent.id")
    assert result.series is None
    assert "highest" not in facts_of(result)


buckets_of_time = st.lists(
    st.builds(
        Bucket,
        st.integers(0, 167).map(lambda hour: START + hour * HOUR),
        st.none() | st.floats(-1e9, 1e9, allow_nan=False),
        st.none() | st.integers(0, 10**6),
        st.sampled_from([None, "a", "b"]),
    ),
    max_size=60,
)
functions = st.sampled_from(["count", "sum", "avg", "min", "max", "p50", "p95", "p99"])


@given(buckets_of_time, functions, st.integers(0, 60), st.randoms(use_true_random=False))
def test_summaries_ignore_order_and_points_limits_the_series(
    buckets: list[Bucket], function: str, points: int, random: object
) -> None:
    shuffled = list(buckets)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis types randoms loosely
    first = summary(sorted(buckets, key=str), function=function, period="hour", points=points)
    second = summary(sorted(shuffled, key=str), function=function, period="hour", points=points)
    assert first == second
    if first.series is not None:
        assert len(first.series.value) <= points


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 1000)), min_size=1, max_size=40), st.integers(1, 39))
def test_combining_parts_equals_combining_the_whole(pairs: list[tuple[float, int]], cut: int) -> None:
    whole = [Bucket(START, value, n) for value, n in pairs]
    for function in ("sum", "count", "min", "max", "avg"):
        parts = [part for part in (whole[:cut], whole[cut:]) if part]
        halves = [merge_groups(function, part)[0] for part in parts]
        direct, stepwise = combine(function, whole), combine(function, halves)
        assert direct is not None
        assert stepwise is not None
        assert math.isclose(direct, stepwise, rel_tol=1e-9, abs_tol=1e-9)


@given(st.floats(START - 40 * DAY, START + 40 * DAY), st.floats(60, 40 * DAY), st.integers(1, 60))
def test_the_chosen_step_yields_at_most_the_requested_points(start: float, length: float, points: int) -> None:
    span = Span(start, start + length)
    step = STEPS[choose_step(span, points)]
    cuts = starts(span, step)
    assert len(cuts) <= points or step == STEPS["2w"]
    assert cuts[0] <= span.start < cuts[0] + step
    assert cuts[-1] < span.end <= cuts[-1] + step


@given(st.floats(0, 4e9), st.sampled_from(sorted(STEPS.values())))
def test_a_bucket_contains_its_instant(seconds: float, step: int) -> None:
    assert floor_to(seconds, step) <= seconds < floor_to(seconds, step) + step
