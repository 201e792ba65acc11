"""Comparisons: coverage of intervals, false positive rates of verdicts, and effects that add up."""

import math
import random
from collections.abc import Sequence
from functools import partial
from typing import Literal

import numpy as np
import pytest
from benchmarks.verdicts.worlds import NOW, Floats, World, series
from hypothesis import given
from hypothesis import strategies as st

from cekura_dashboards.stats.change import Change, LabelSeries, with_verdicts_of_steps
from cekura_dashboards.stats.compare import Difference, agreed, compare
from cekura_dashboards.stats.decomposition import rate_and_mix_effects
from cekura_dashboards.stats.detect import detect
from cekura_dashboards.stats.findings import Comparison, Finding, Gap, MeasureKind, Outcome, Step, Trend, Unusual
from cekura_dashboards.stats.significance import Estimate, Sample, SampleBucket, VerdictTerms
from cekura_dashboards.stats.time_series import TimeSeries
from cekura_dashboards.stats.timeline import DAY, HOUR, Span, iso

COMPARISONS = 250
Days = dict[str | None, Sequence[SampleBucket]]
FRIDAY = 4 * DAY + 4 * DAY


def binomial(rng: random.Random, n: int, rate: float) -> int:
    spread = math.sqrt(n * rate * (1 - rate))
    return min(n, max(0, round(rng.gauss(n * rate, spread)))) if n > 60 else sum(rng.random() < rate for _ in range(n))


def rates(rng: random.Random, days: int, calls: float, rate: float = 0.85, day_effect: float = 0.02) -> Sample:
    """Days of similar size, each with its own rate."""
    cells = list[SampleBucket]()
    for day in range(days):
        own = min(0.99, max(0.01, rng.gauss(rate, day_effect)))
        n = max(5, round(rng.gauss(calls, calls / 10)))
        cells.append(SampleBucket(day * DAY, n, binomial(rng, n, own) / n))
    return Sample(cells, days * DAY, n=sum(cell.n or 0 for cell in cells))


def counts(rng: random.Random, days: int, calls: float, variation: float = 0.05) -> Sample:
    """Days with weekly seasonality, each with its own volume."""
    cells = list[SampleBucket]()
    for day in range(days):
        mean = calls * (0.4 if day % 7 > 4 else 1) * math.exp(rng.gauss(0, variation))
        cells.append(SampleBucket(day * DAY, None, float(max(0, round(rng.gauss(mean, math.sqrt(mean)))))))
    return Sample(cells, days * DAY)


@pytest.mark.parametrize(
    ("kind", "current", "baseline"),
    [
        ("total", [100.0, 0.0, 5e-324, 5e-324, 0.5], [0.0, 0.0, 0.0, 0.0, 100.0]),
        ("total", [1e15] * 5, [0.0] * 5),
        ("median", [1.0, 5e-301, -2e-301, 0.0, 3e-301], [-1e-300, 0.0, 1e-300, 0.0, 7.0]),
    ],
)
def test_extreme_floating_point_values_can_be_compared(
    kind: MeasureKind, current: list[float], baseline: list[float]
) -> None:
    sides = [
        Sample([SampleBucket(day * DAY, 7, value) for day, value in enumerate(values)], 5 * DAY, n=35)
        for values in (current, baseline)
    ]
    result = compare(kind, sides[0], sides[1], counted=kind == "total")
    assert result.verdict in {"clear", "possible", "not significant", "not tested"}


SIDES = [(1, 1, 1500, 1500), (1, 7, 1500, 1500), (2, 2, 800, 800), (3, 3, 300, 300), (7, 7, 400, 400), (7, 2, 300, 80)]


@pytest.mark.no_cover
@pytest.mark.parametrize(("days", "before", "calls", "calls_before"), SIDES)
@pytest.mark.parametrize("change", [0.0, -0.05])
def test_rate_intervals_have_coverage_and_a_low_false_positive_rate(
    days: int, before: int, calls: int, calls_before: int, change: float
) -> None:
    rng, covered, clear = random.Random(11 * days + before), 0, 0  # noqa: S311 - no secret
    for _ in range(COMPARISONS):
        current, baseline = rates(rng, days, calls, 0.85 + change), rates(rng, before, calls_before)
        result = compare("mean", current, baseline, ratio=1.0)
        assert result.ci95
        covered += result.ci95[0] <= change <= result.ci95[1]
        clear += result.verdict == "clear"
    assert covered / COMPARISONS >= 0.93
    assert change or clear / COMPARISONS <= 0.01


@pytest.mark.parametrize("days", [1, 3, 7, 14])
def test_equal_counts_are_rarely_significant_and_doubled_ones_always(days: int) -> None:
    rng = random.Random(days)  # noqa: S311 - no secret
    same = [compare("total", counts(rng, days, 314), counts(rng, days, 314), counted=True) for _ in range(COMPARISONS)]
    twice = [compare("total", counts(rng, days, 628), counts(rng, days, 314), counted=True) for _ in range(100)]
    assert sum(item.verdict == "clear" for item in same) / COMPARISONS <= 0.01
    assert sum(item.verdict == "possible" for item in same) / COMPARISONS <= 0.07
    assert all(item.verdict != "not significant" for item in twice)


def test_a_difference_of_one_call_is_not_significant() -> None:
    days = [Sample([SampleBucket(0, None, calls)], DAY) for calls in (313.0, 314.0)]
    assert compare("total", days[0], days[1], counted=True).verdict == "not significant"


def test_a_rate_drop_with_a_small_baseline_is_possible() -> None:
    new = Sample([SampleBucket(day * DAY, 317, 0.71) for day in range(7)], 7 * DAY, n=2217)
    old = Sample([SampleBucket(day * DAY, 79, 0.91) for day in range(2)], 2 * DAY, n=158)
    assert compare("mean", new, old, ratio=1.0).verdict == "possible"


def fortnight(rng: random.Random, rate: float) -> Sample:
    """Weekends have fewer calls and a lower rate; the first day is a Friday."""
    cells = list[SampleBucket]()
    for day in range(14):
        weekend = (day + 4) % 7 > 4
        one = rates(rng, 1, 160 if weekend else 400, rate - (0.15 if weekend else 0)).buckets[0]
        cells.append(one._replace(time=FRIDAY + day * DAY))
    return Sample(cells, 14 * DAY, n=sum(cell.n or 0 for cell in cells))


def test_weekends_on_both_sides_widen_no_interval() -> None:
    rng, covered, widths = random.Random(12), 0, list[float]()  # noqa: S311 - no secret
    for _ in range(COMPARISONS):
        result = compare("mean", fortnight(rng, 0.76), fortnight(rng, 0.8), ratio=1.0)
        assert result.ci95
        covered += result.ci95[0] <= -0.04 <= result.ci95[1]
        widths.append(result.ci95[1] - result.ci95[0])
    assert 0.93 <= covered / COMPARISONS <= 0.99
    assert sum(widths) / COMPARISONS <= 0.055


def test_a_large_difference_is_clear_given_enough_comparable_days() -> None:
    rng = random.Random(1)  # noqa: S311 - no secret
    sides = rates(rng, 7, 500, 0.7), rates(rng, 7, 500, 0.9)
    result = compare("mean", *sides, ratio=1.0)
    assert result.verdict == "clear"
    assert result.difference == pytest.approx(-0.2, abs=0.03)
    assert compare("mean", *sides, VerdictTerms(strongest_verdict="possible"), ratio=1.0).verdict == "possible"
    assert compare("mean", rates(rng, 3, 500, 0.7), rates(rng, 3, 500, 0.9), ratio=1.0).verdict == "possible"


def test_an_outage_day_in_the_baseline_is_excluded_on_both_sides() -> None:
    rng = random.Random(8)  # noqa: S311 - no secret
    days = [*counts(rng, 28, 300, 0.02).buckets]
    days[17] = days[17]._replace(value=4.0)
    current = [cell._replace(value=round(0.75 * cell.value)) for cell in days[-7:]]
    terms = VerdictTerms(earlier_days=Sample(days[:-7], 0.0))
    result = compare("total", Sample(current, 7 * DAY), Sample(days[-14:-7], 7 * DAY), terms, counted=True)
    totals = [sum(cell.value for cell in side if cell.time % (7 * DAY) != 3 * DAY) for side in (current, days[-14:-7])]
    assert result.current
    assert result.baseline
    assert (result.current.value, result.baseline.value) == tuple(map(int, totals))
    assert result.verdict == "clear"
    assert result.notes
    assert result.notes[0].startswith("excluding 1970-01-18, an outage in the baseline, and the same days")


def test_a_drop_to_zero_is_judged_by_the_usual_count() -> None:
    def said(calls: float) -> str | None:
        sides = Sample([SampleBucket(7 * DAY, None, 0.0)], DAY), Sample([SampleBucket(0, None, calls)], DAY)
        days = [SampleBucket(-day * DAY, None, calls) for day in range(1, 22)]
        terms = VerdictTerms(earlier_days=Sample(days[::-1], 0.0))
        return compare("total", *sides, terms, counted=True).verdict

    assert (said(3.0), said(6.0), said(12.0)) == ("not significant", "possible", "clear")


def test_single_days_of_durations_are_judged_by_typical_variation() -> None:
    def day(mean: float) -> Sample:
        return Sample([SampleBucket(0, 300, mean)], DAY, n=300)

    assert compare("mean", day(170.0), day(166.0)).verdict == "not significant"
    assert compare("mean", day(300.0), day(166.0)).verdict == "possible"


groups = st.dictionaries(
    st.sampled_from("abcdef"), st.tuples(st.integers(1, 500).map(float), st.floats(0, 100)), min_size=1, max_size=6
)


@given(groups, groups)
def test_rate_and_mix_effects_add_up_to_the_change(
    current: dict[str | None, tuple[float, float]], baseline: dict[str | None, tuple[float, float]]
) -> None:
    means = [sum(n * v for n, v in side.values()) / sum(n for n, _ in side.values()) for side in (current, baseline)]
    split = rate_and_mix_effects(current, baseline)
    assert sum(rate + mix for rate, mix in split.values()) == pytest.approx(means[0] - means[1], abs=1e-9)
    effects_back = rate_and_mix_effects(baseline, current)
    assert all(effects_back[name][0] == pytest.approx(-split[name][0]) for name in split)


def test_a_mix_change_is_separated_from_rates_and_simpsons_paradox_flagged() -> None:
    cells = [SampleBucket(day * DAY, 100, 0.6) for day in range(7)]
    moved = compare(
        "mean", Sample(cells, 7 * DAY, {"a": (200, 0.82), "b": (800, 0.42)}),
        Sample(cells, 7 * DAY, {"a": (800, 0.8), "b": (200, 0.4)}), ratio=1.0,
    ).contributors  # fmt: skip
    assert moved
    assert moved.rate_effect == pytest.approx(0.02)
    assert moved.mix_effect == pytest.approx(-0.24)
    assert moved.simpsons_paradox
    assert {row.group: row.n for row in moved.top} == {"a": [200, 800], "b": [800, 200]}


def test_groups_of_one_side_only_are_marked_new_or_gone() -> None:
    cells = [SampleBucket(day * DAY, 100, 0.6) for day in range(7)]
    moved = compare(
        "mean", Sample(cells, 7 * DAY, {"new": (200, 0.5), "b": (500, 0.6)}),
        Sample(cells, 7 * DAY, {"old": (100, 0.9), "b": (600, 0.6)}), ratio=1.0,
    ).contributors  # fmt: skip
    assert moved
    assert {row.group: (row.status, row.current, row.baseline) for row in moved.top} == {
        "new": ("new", 0.5, None), "old": ("gone", None, 0.9), "b": (None, 0.6, 0.6),
    }  # fmt: skip


def test_totals_of_unequal_windows_are_compared_per_day() -> None:
    rng = random.Random(4)  # noqa: S311 - no secret
    result = compare("total", counts(rng, 7, 300), counts(rng, 14, 300), counted=True)
    assert result.per == "day"
    assert result.current
    assert result.baseline
    assert result.current.value == pytest.approx(result.baseline.value, rel=0.1)
    assert (result.current.total or 0) < (result.baseline.total or 0)


def test_shares_without_daily_values_are_at_most_possible() -> None:
    current = Sample([], DAY, parts={"a": 900.0, "b": 100.0})
    baseline = Sample([], DAY, parts={"a": 100.0, "b": 800.0, "c": 100.0})
    shares = compare("shares", current, baseline).shares
    assert shares
    first = shares.top[0]
    assert (first.label, first.current_pct, first.baseline_pct, first.points) == ("a", 90.0, 10.0, 80.0)
    assert {row.verdict for row in shares.top} == {"possible"}


def stat(calls: float, success: float, days: float = 7) -> Sample:
    figures: dict[str | None, float] = {
        "total_calls": calls,
        "success_rate": success,
        "avg_duration": 166.0,
        "p95_latency": 2000.0,
    }
    return Sample([], days * DAY, parts=figures)


def test_stat_figures_are_judged_by_typical_variation() -> None:
    def said(current: Sample, baseline: Sample) -> dict[str, str]:
        result = compare("figures", current, baseline)
        return {row.figure: row.verdict for row in result.figures or []}

    quiet = said(stat(11_000, 0.85), stat(10_800, 0.86))
    assert quiet == {
        "total_calls": "not significant", "success_rate": "not significant", "avg_duration": "not significant",
        "p95_latency": "not tested",
    }  # fmt: skip
    moved = said(stat(22_000, 0.55), stat(10_800, 0.86))
    assert (moved["total_calls"], moved["success_rate"]) == ("possible", "possible")


KINDS: list[MeasureKind] = ["mean", "total", "median", "shares", "figures", "extreme"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_side_is_not_compared(kind: MeasureKind) -> None:
    empty, one = Sample([], HOUR), Sample([SampleBucket(0, 5, 1.0)], HOUR, parts={"a": 1.0})
    for pair in ((empty, one), (one, empty), (empty, empty)):
        assert compare(kind, *pair).not_compared
    result: Comparison = compare(kind, one, one)
    assert result.not_compared is None


def test_labels_and_figures_with_too_few_calls_are_not_tested() -> None:
    none: Days = {"a": [SampleBucket(0, 0.0, 0.0)], "b": [SampleBucket(0, 0.0, 0.0)]}
    side = Sample([], 7 * DAY, parts={"a": 3.0, "b": 1.0}, over_time=none)
    assert compare("shares", side, side).shares
    few = compare("figures", stat(5e-324, 0.5), stat(5e-324, 0.5)).figures
    assert few
    assert {row.verdict for row in few} == {"not tested"}


def week_of(labels: dict[str, float]) -> Sample:
    """Seven days of 200 calls with nearly constant shares of labels."""
    by_day: Days = {
        label: [SampleBucket(day * DAY, 200.0, share + (day % 3 - 1) / 200) for day in range(7)]
        for label, share in labels.items()
    }
    return Sample([], 7 * DAY, parts={label: 1400 * share for label, share in labels.items()}, over_time=by_day)


def test_shares_with_daily_values_can_be_clear() -> None:
    usual, moved = {"a": 0.5, "b": 0.3, "c": 0.2}, {"a": 0.35, "b": 0.45, "c": 0.2}
    result = compare("shares", week_of(moved), week_of(usual)).shares
    assert result
    assert {row.label: row.verdict for row in result.top} == {"a": "clear", "b": "clear", "c": "not significant"}
    same = compare("shares", week_of(usual), week_of(usual)).shares
    assert same
    assert {row.verdict for row in same.top} == {"not significant"}


def test_stat_figures_with_daily_values_can_be_clear() -> None:
    def side(rate: float) -> Sample:
        days: Days = {"success_rate": [SampleBucket(day * DAY, 1600.0, rate + (day % 3 - 1) / 100) for day in range(7)]}
        return Sample([], 7 * DAY, parts=stat(11_200, rate).parts, over_time=days)

    result = compare("figures", side(0.80), side(0.86)).figures
    assert result
    assert {row.figure: row.verdict for row in result}["success_rate"] == "clear"


@given(
    difference=st.floats(-5, 5),
    error=st.floats(0.01, 2),
    df=st.floats(1, 60),
    parts=st.integers(1, 9),
    most=st.sampled_from(["clear", "possible"]),
)
def test_an_interval_excludes_zero_exactly_if_the_verdict_is_significant(
    difference: float, error: float, df: float, parts: int, most: Literal["clear", "possible"]
) -> None:
    terms, result = VerdictTerms(parts, most), Estimate(difference, error, df)
    bounds = terms.interval(result)
    assert bounds
    assert (not bounds[0] <= 0 <= bounds[1]) == (terms.verdict(result) in {"clear", "possible"})


Verdict = Literal["clear", "possible"]
TODAY = 20_000 * DAY
"""A midnight after both weeks."""


def week(rate: float, last: int, calls: float = 200.0) -> Sample:
    """Seven days that end this many days before today."""
    days = [TODAY - (last + 7 - day) * DAY for day in range(7)]
    return Sample([SampleBucket(day, calls, rate + (i % 2 - 0.5) / 50) for i, day in enumerate(days)], 7 * DAY, n=1400)


NOW_SIDE, BASELINE = week(0.80, 0), week(0.86, 7)


def step(days_ago: float, change: float, verdict: Verdict = "clear", pct: float | None = None) -> Step:
    """A step from a level of 0.86, this many days before today."""
    at = iso(TODAY - days_ago * DAY)
    relative = change / 0.86 * 100 if pct is None else pct
    return Step(kind="step", at=at, before=0.86, after=0.86 + change, change=change, pct=relative, verdict=verdict)


def verdict_with(
    findings: Sequence[Finding], verdict: Literal["clear", "possible", "not significant"] = "possible"
) -> str:
    result = agreed(verdict, Difference(-0.06, -6.98), findings, NOW_SIDE, BASELINE)
    return result.verdict


@pytest.mark.parametrize("own", ["clear", "possible", "not significant"])
@pytest.mark.parametrize("of_step", ["clear", "possible"])
def test_a_difference_explained_by_a_step_has_the_verdict_of_the_step(
    own: Literal["clear", "possible", "not significant"], of_step: Verdict
) -> None:
    assert verdict_with([step(6, -0.07, of_step)], own) == of_step


def test_a_step_between_or_early_in_the_windows_explains_the_difference() -> None:
    assert verdict_with([step(7, -0.06)]) == "clear"
    assert verdict_with([step(8, -0.07)]) == "clear", "six of seven days of the baseline precede it"
    assert verdict_with([step(13, -0.06)]) == "possible", "nearly all days of both sides follow it"
    assert verdict_with([step(20, -0.06)]) == "possible", "all days of both sides follow it"


def test_a_step_of_other_direction_or_size_explains_nothing() -> None:
    assert verdict_with([step(6, 0.07)]) == "possible"
    assert verdict_with([step(6, -0.4)]) == "possible"
    assert verdict_with([step(6, -0.01)]) == "possible"
    assert verdict_with([step(6, -0.07), step(3, 0.15)]) == "possible", "the level returned"


def test_trends_and_outages_only_strengthen_a_verdict() -> None:
    trend: dict[Verdict, Trend] = {
        verdict: Trend(start="2024-09-05", per_day=-0.008, change=-0.23, pct=-25, verdict=verdict)
        for verdict in ("clear", "possible")
    }
    assert verdict_with([trend["clear"]]) == "clear"
    assert verdict_with([trend["possible"]], "clear") == "clear"
    totals = [Sample([c._replace(value=100.0) for c in side.buckets], 7 * DAY) for side in (NOW_SIDE, BASELINE)]
    gap = Gap(start=iso(TODAY - DAY), end=iso(TODAY), expected_calls=100, still=True)
    result = agreed("possible", Difference(-95, -13.6, is_total=True), [gap], *totals)
    assert (result.verdict, result.by) == ("clear", f"the outage from {gap.start}")


def test_a_comparison_names_the_step_that_explains_it() -> None:
    terms = VerdictTerms(strongest_verdict="possible", changes=[step(6, -0.07)])
    result = compare("mean", NOW_SIDE, BASELINE, terms, ratio=1.0)
    assert (result.verdict, result.explained_by) == ("clear", f"the step at {iso(TODAY - 6 * DAY)}")
    assert (
        compare("mean", NOW_SIDE, BASELINE, VerdictTerms(strongest_verdict="possible"), ratio=1.0).explained_by is None
    )


@pytest.mark.parametrize("of_step", ["clear", "possible"])
def test_a_label_has_the_verdict_of_its_step_in_lists_and_pies(of_step: Verdict) -> None:
    sides = [
        Sample([], 7 * DAY, parts={"a": 1400 * rate, "b": 1400 * (1 - rate)}, over_time={"a": week(rate, last).buckets})
        for rate, last in ((0.80, 0), (0.86, 7))
    ]
    outcome = Outcome(changes=[step(6, -0.07, of_step)])
    course = LabelSeries(TimeSeries(np.zeros(0), np.zeros(0), np.zeros(0), DAY), lambda: outcome)
    for p_value in (1e-6, 0.03):
        change = Change(how="share", p_value=p_value, size=1.0, part="a")
        assert with_verdicts_of_steps([change], {"a": course}, sides[0], sides[1])[0].verdict == of_step
    terms = VerdictTerms(changes_of_parts={"a": outcome.changes})
    shares = compare("shares", sides[0], sides[1], terms).shares
    assert shares is not None
    assert next(row.verdict for row in shares.top if row.label == "a") == of_step


def hourly_and_daily_outcomes(scenario: World, seed: int) -> list[Outcome]:
    """Findings of the last week from an hourly and a daily chart of the same calls."""
    course, calls = series(scenario, seed)
    window = Span(NOW.timestamp() - 7 * DAY, NOW.timestamp())
    days, days_of_calls = course.in_days(), calls.in_days()
    assert days is not None
    return [detect(course, calls, window=window), detect(days, days_of_calls, window=window)]


@pytest.mark.parametrize("scenario", [
    World("count", HOUR, 720, 40, office="UTC").with_effect(lambda at, _: np.where(at >= NOW.timestamp() - 5 * DAY, 0.75, 1)),
    World("rate", HOUR, 720, 6).with_effect(lambda at, _: np.where(at >= NOW.timestamp() - 5.4 * DAY, -0.08, 0)),
    World("rate", HOUR, 720, 6).with_effect(lambda at, _: np.where(at >= NOW.timestamp() - 5 * DAY, -0.055, 0)),
    World("mean", HOUR, 720, 40, office="UTC").with_effect(lambda at, _: np.where(at >= NOW.timestamp() - 4 * DAY, 1.2, 1)),
], ids=lambda scenario: scenario.measure)  # fmt: skip
def test_hourly_and_daily_charts_agree_on_a_step(scenario: World) -> None:
    steps = 0
    for seed in range(12):
        hours, days = (
            [s for s in outcome.findings or [] if isinstance(s, Step)]
            for outcome in hourly_and_daily_outcomes(scenario, seed)
        )
        assert [(s.kind, s.verdict) for s in hours] == [(s.kind, s.verdict) for s in days]
        assert [s.pct for s in hours] == pytest.approx([s.pct for s in days], rel=0.02)
        assert all(abs(day_of(a.at) - day_of(b.at)) <= 1 for a, b in zip(hours, days, strict=True))
        steps += len(days)
    assert steps >= 4


def day_of(text: str) -> int:
    return int(text[5:7]) * 31 + int(text[8:10])


def at_hour(hour: float, factor: float, at: Floats, _: World) -> Floats:
    return np.where(at == hour, factor, 1.0)


def test_the_verdict_of_an_outlier_is_independent_of_the_window() -> None:
    hour = NOW.timestamp() - 36 * HOUR
    scenario = World("count", HOUR, 720, 40, office="UTC")
    observed = set[str]()
    for factor in (0.3, 0.35, 0.4, 0.45, 0.5):
        course, calls = series(scenario.with_effect(partial(at_hour, hour, factor)), 5)
        words = set[str]()
        for days in (2, 7, 30):
            window = Span(NOW.timestamp() - days * DAY, NOW.timestamp())
            findings = detect(course, calls, window=window).findings or []
            words |= {item.verdict for item in findings if isinstance(item, Unusual) and item.start == iso(hour)}
        assert len(words) <= 1, factor
        observed |= words
    assert observed == {"clear", "possible"}


def test_the_first_hour_of_an_outage_is_no_separate_outlier() -> None:
    scenario = World("count", HOUR, 720, 60)
    start = NOW.timestamp() - 40 * HOUR
    effect = scenario.with_effect(
        lambda at, _: np.where(at == start, 0.15, np.where((at > start) & (at < start + 5 * HOUR), 0, 1))
    )
    course, calls = series(effect, 3)
    findings = detect(course, calls, window=Span(NOW.timestamp() - 7 * DAY, NOW.timestamp())).findings or []
    assert [item.kind for item in findings] == ["outage"]
