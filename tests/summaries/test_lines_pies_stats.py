"""Lines, pies and stats."""

import math
import statistics
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cekura_dashboards.stats.significance import wilson_interval
from cekura_dashboards.stats.time_series import floats
from cekura_dashboards.stats.timeline import HOUR, Span
from cekura_dashboards.summaries.line import CallValues, line
from cekura_dashboards.summaries.model import Point, Slice, Summary
from cekura_dashboards.summaries.pie import pie, stat
from support import Json

ONE_DAY = Span(0, 24 * HOUR)


def calls_of(points: Sequence[Point]) -> CallValues:
    some = [point for point in points if point.value is not None]
    times, values = floats(point.time for point in some), floats(point.value for point in some)
    groups = [point.group for point in some]
    return CallValues.of(times, values, lambda i: some[i].id, nulls=len(points) - len(some), groups=groups)


def drawn(points: list[Point], *, boolean: bool = False, max_points: int = 24) -> Summary:
    return line(calls_of(points), ONE_DAY, unit="s", boolean=boolean, points=max_points)


def facts_of(summary: Summary) -> Json:
    """The facts as they are sent."""
    result: Json = summary.facts.model_dump(mode="json", exclude_none=True)
    return result


def calls(*values: float | None) -> list[Point]:
    return [Point(i * 60.0, value, 100 + i) for i, value in enumerate(values)]


def test_a_line_reports_its_distribution_and_extreme_calls() -> None:
    facts = facts_of(drawn(calls(*range(1, 101))))
    assert (facts["mean"], facts["p50"], facts["p95"], facts["p5"]) == (50.5, 50.5, 95.05, 5.95)
    assert facts["sd"] == 29.01
    assert facts["min"] == [1, "1970-01-01T00:00Z", 100]
    assert facts["max"] == [100, "1970-01-01T01:39Z", 199]


def test_nulls_are_counted_and_excluded() -> None:
    result = drawn(calls(1, None, 3))
    assert (result.n, facts_of(result)["nulls"], facts_of(result)["mean"]) == (2, 1, 2)


def test_one_call_is_its_own_mean_and_percentiles() -> None:
    facts = facts_of(drawn(calls(7)))
    assert {facts[name] for name in ("mean", "p5", "p50", "p95", "p99")} == {7}
    assert "sd" not in facts


def test_no_calls_give_no_facts() -> None:
    assert (drawn([]).n, facts_of(drawn([])), drawn([]).series) == (0, {}, None)
    assert facts_of(drawn(calls(None))) == {"nulls": 1}


def test_booleans_are_reported_as_a_rate() -> None:
    facts = facts_of(drawn(calls(1, 1, 1, 0), boolean=True))
    assert facts["rate"] == 0.75
    assert facts["ci95"] == [0.3006, 0.9544]


def test_a_series_counts_every_call_once_and_keeps_gaps() -> None:
    result = drawn([Point(0, 2.0), Point(10, 4.0), Point(2 * HOUR, 9.0)])
    assert result.series is not None
    assert (result.series.step, result.series.value[:3], result.series.n) == ("1h", [3, None, 9], [2, 0, 1, *[0] * 21])


values = st.lists(st.floats(-1e6, 1e6, allow_nan=False), min_size=1, max_size=80)


@given(values)
def test_statistics_of_a_line_are_ordered(numbers: list[float]) -> None:
    facts = facts_of(drawn(calls(*numbers)))
    chain = [facts["min"][0], facts["p5"], facts["p50"], facts["p95"], facts["p99"], facts["max"][0]]
    assert all(a <= b or math.isclose(a, b, rel_tol=1e-3) for a, b in pairwise(chain))
    assert math.isclose(
        facts["mean"], statistics.fmean(numbers), rel_tol=1e-3, abs_tol=1e-3 + 1e-3 * max(map(abs, numbers))
    )


@given(values, st.floats(0.1, 100))
def test_scaling_the_values_scales_the_facts(numbers: list[float], factor: float) -> None:
    plain, scaled = facts_of(drawn(calls(*numbers))), facts_of(drawn(calls(*(v * factor for v in numbers))))
    for name in ("p50", "p95"):
        assert math.isclose(scaled[name], plain[name] * factor, rel_tol=2e-3, abs_tol=1e-6)


@given(st.floats(0, 1), st.integers(1, 10**6))
def test_a_rate_lies_within_its_interval(rate: float, n: int) -> None:
    low, high = wilson_interval(rate, n)
    assert 0 <= low <= rate + 1e-9
    assert rate - 1e-9 <= high <= 1


def test_a_pie_reports_its_largest_slices_and_combines_the_rest() -> None:
    slices = [Slice(f"label {i}", 100 - i) for i in range(40)]
    facts = facts_of(pie(slices))
    assert (facts["total"], facts["categories"], len(facts["top"])) == (3220, 40, 8)
    assert facts["top"][0] == ["label 0", 100, 3.1]
    assert facts["other"] == {"categories": 32, "n": 2448, "pct": 76.0}
    assert sum(row[1] for row in facts["top"]) + facts["other"]["n"] == 3220


def test_wrong_percentages_are_recomputed_with_a_note() -> None:
    result = pie([Slice("a", 75, 50.0), Slice("b", 25, 50.0)])
    assert facts_of(result)["top"] == [["a", 75, 75.0], ["b", 25, 25.0]]
    assert any("do not match" in text for text in result.notes)


def test_labels_that_differ_in_case_or_spaces_are_noted() -> None:
    assert any("spellings" in text for text in pie([Slice("No  show", 5), Slice("no show", 5), Slice(None, 1)]).notes)


def test_an_empty_pie_has_no_slices() -> None:
    assert facts_of(pie([])) == {"total": 0, "categories": 0}
    assert pie([Slice("a", 0)]).n == 0


def test_the_lead_of_the_largest_slice_has_an_interval() -> None:
    facts = facts_of(pie([Slice("a", 5120), Slice("b", 2210), Slice("c", 2904)]))
    assert (facts["lead_points"], facts["lead_ci95"]) == (21.7, [20.0, 23.3])


def test_grouped_slices_are_validated_per_group_and_summed() -> None:
    result = pie([Slice("a", 1, 50.0, "x"), Slice("b", 1, 50.0, "x"), Slice("a", 2, 100.0, "y")], by="topic")
    assert facts_of(result)["top"] == [["a", 3, 75.0], ["b", 1, 25.0]]
    assert result.groups is not None
    assert result.groups.top == [("x", 2, 2), ("y", 2, 2)]
    assert result.notes == []


@given(st.lists(st.builds(Slice, st.none() | st.text(max_size=4), st.integers(0, 10**6)), max_size=40))
def test_slices_add_up_to_the_total(slices: list[Slice]) -> None:
    facts = facts_of(pie(slices))
    assert facts["total"] == sum(piece.value for piece in slices)
    if facts["total"]:
        total = sum(row[1] for row in facts["top"]) + facts.get("other", {"n": 0})["n"]
        assert total == facts["total"]


@pytest.mark.parametrize(("rate", "unit"), [(0.87, "ratio"), (87.0, "percent"), (1.0, "unknown"), (None, "unknown")])
def test_a_stat_states_the_unit_of_each_figure(rate: float | None, unit: str) -> None:
    result = stat({"total_calls": 123456, "success_rate": rate, "avg_duration": 61.234}, extra=[])
    assert facts_of(result)["units"] == {"total_calls": "calls", "success_rate": unit, "avg_duration": "s"}
    assert (result.n, facts_of(result)["total_calls"], facts_of(result)["avg_duration"]) == (123456, 123456, 61.23)


@given(st.permutations([Point(i * 900.0, float(i % 7), i, "ab"[i % 2]) for i in range(60)]))
def test_call_values_are_independent_of_order(points: list[Point]) -> None:
    result = calls_of(points)
    plain = calls_of(sorted(points))
    assert (
        (result.lowest, result.highest) == (plain.lowest, plain.highest) == (Point(0.0, 0.0, 0), Point(5400.0, 6.0, 6))
    )
    assert (result.times.tolist(), result.values.tolist()) == (plain.times.tolist(), plain.values.tolist())
    assert {name: sorted(part) for name, part in result.groups.items()} == {
        name: sorted(part) for name, part in plain.groups.items()
    }
    assert sum(map(len, result.groups.values())) == len(result) == 60
