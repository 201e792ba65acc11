"""Series to draw: every bucket if there is room, otherwise the extremes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cekura_dashboards.stats.time_series import floats
from cekura_dashboards.stats.timeline import DAY, HOUR, Span
from cekura_dashboards.summaries.bar import bar_plot_series
from cekura_dashboards.summaries.line import CallValues, line_plot_series
from cekura_dashboards.summaries.model import Bucket, PlotSeries

START = 1_790_000_000 // DAY * DAY
WEEK = Span(START, START + 7 * DAY)


def day(i: int, value: float | None, n: int | None = 10, group: str | None = None) -> Bucket:
    return Bucket(START + i * DAY, value, n, group)


def test_counts_are_plotted_with_zero_for_empty_buckets() -> None:
    [course] = bar_plot_series("count", "day", [day(0, 5), day(2, 7)], WEEK)
    assert (course.value, course.at, course.n, course.partial) == ([5, 0, 7, 0, 0, 0, 0], None, None, None)


def test_means_are_missing_for_empty_buckets_and_partial_ones_marked() -> None:
    span = Span(WEEK.start + HOUR, WEEK.end - HOUR)
    [course] = bar_plot_series("avg", "day", [day(0, 0.5), day(2, 0.25), day(6, 1.0)], span)
    assert course.value == [0.5, None, 0.25, None, None, None, 1]
    assert course.n == [10, 0, 10, 0, 0, 0, 10]
    assert course.partial == [0, 6]


def test_groups_are_plotted_after_the_total_largest_first() -> None:
    rows = [day(i, 1.0 if name == "b" else 0.0, 30 if name == "b" else 10, name) for i in range(3) for name in "abc"]
    total, *groups = bar_plot_series("avg", "day", rows, WEEK, by_group=True)
    assert (total.role, total.value[:3]) == ("current", [0.6, 0.6, 0.6])
    assert [(course.role, course.label) for course in groups] == [("group", "b"), ("group", "a"), ("group", "c")]


def test_percentiles_of_groups_have_no_total_series() -> None:
    courses = bar_plot_series("p95", "day", [day(0, 5, 10, "a"), day(0, 9, 10, "b")], WEEK, by_group=True)
    assert [course.role for course in courses] == ["group", "group"]


def test_months_are_plotted_at_their_actual_length() -> None:
    january, february = 1_767_225_600, 1_769_904_000
    span = Span(january, february + 28 * DAY)
    [course] = bar_plot_series("avg", "month", [Bucket(january, 1, 5), Bucket(february, 2, 5)], span)
    assert (course.start, course.step_s, course.at) == ("2026-01-01", DAY, [0, 31])


def test_a_line_is_plotted_as_means_with_minimum_and_maximum() -> None:
    calls = CallValues(floats([START, START + 60, START + HOUR]), floats([1, 3, 7]))
    [course] = line_plot_series(calls, WEEK, boolean=False)
    assert (course.step_s, course.at) == (HOUR, None if course.at is None else [0, 1])
    assert (course.value[:2], course.low, course.high, course.n) == ([2, 7], [1, 7], [3, 7], [2, 1])


def test_empty_data_yields_no_series() -> None:
    assert bar_plot_series("avg", "day", [day(0, None)], WEEK) == []
    assert line_plot_series(CallValues(floats([]), floats([])), WEEK, boolean=True) == []


@given(st.lists(st.none() | st.integers(-1000, 1000), min_size=1, max_size=400), st.integers(2, 60))
def test_a_thinned_series_keeps_extremes_and_positions(values: list[int | None], max_points: int) -> None:
    sizes: list[int | None] = [1] * len(values)
    whole = PlotSeries(role="current", start="2026-11-01", step_s=DAY, value=[*values], n=sizes)
    thin = whole.thin(max_points)
    if len(values) <= max_points:
        assert thin == whole
        return
    known = [value for value in values if value is not None]
    assert len(thin.value) <= max_points + 1
    if known:
        assert {min(known), max(known)} <= {*thin.value}
    assert thin.at is not None
    assert [values[place] for place in thin.at] == thin.value
    assert thin.at == sorted(thin.at)


@pytest.mark.parametrize("max_points", [2, 10])
def test_a_thinned_series_marks_partial_buckets(max_points: int) -> None:
    whole = PlotSeries(role="current", start="2026-11-01", step_s=DAY, value=[*range(40)], partial=[0, 39])
    thin = whole.thin(max_points)
    assert thin.partial == [0, len(thin.value) - 1]
