"""A comparison has the verdict of the step that explains its difference; charts of hours and days say the same."""

from collections.abc import Sequence
from functools import partial
from typing import Literal

import numpy as np
import pytest
from benchmarks.verdicts.worlds import NOW, Floats, World, series

from cekura_dashboards.stats.agreement import Difference, agreed
from cekura_dashboards.stats.change import Change, LabelSeries, with_verdicts_of_steps
from cekura_dashboards.stats.compare import compare
from cekura_dashboards.stats.detect import detect
from cekura_dashboards.stats.findings import Finding, Gap, Outcome, Step, Trend, Unusual
from cekura_dashboards.stats.significance import Sample, SampleBucket, VerdictTerms
from cekura_dashboards.stats.time_series import TimeSeries
from cekura_dashboards.stats.timeline import DAY, HOUR, Span, iso

Word = Literal["clear", "possible"]
TODAY = 20_000 * DAY
"""A midnight; both weeks lie before it."""


def week(rate: float, last: int, calls: float = 200.0) -> Sample:
    """Seven days up to so many days before today."""
    days = [TODAY - (last + 7 - day) * DAY for day in range(7)]
    return Sample([SampleBucket(day, calls, rate + (i % 2 - 0.5) / 50) for i, day in enumerate(days)], 7 * DAY, n=1400)


NOW_SIDE, BASELINE = week(0.80, 0), week(0.86, 7)


def step(days_ago: float, change: float, verdict: Word = "clear", pct: float | None = None) -> Step:
    """A step of a level of 0.86 that began so many days before today."""
    at = iso(TODAY - days_ago * DAY)
    relative = change / 0.86 * 100 if pct is None else pct
    return Step(kind="step", at=at, before=0.86, after=0.86 + change, change=change, pct=relative, verdict=verdict)


def word(findings: Sequence[Finding], verdict: Literal["clear", "possible", "not significant"] = "possible") -> str:
    found = agreed(verdict, Difference(-0.06, -6.98), findings, NOW_SIDE, BASELINE)
    return found.verdict


@pytest.mark.parametrize("own", ["clear", "possible", "not significant"])
@pytest.mark.parametrize("of_step", ["clear", "possible"])
def test_a_difference_that_a_step_explains_has_its_verdict(
    own: Literal["clear", "possible", "not significant"], of_step: Word
) -> None:
    assert word([step(6, -0.07, of_step)], own) == of_step


def test_a_step_at_the_border_of_both_windows_or_in_the_baseline_explains_what_it_moves() -> None:
    assert word([step(7, -0.06)]) == "clear"
    assert word([step(8, -0.07)]) == "clear", "six of seven days of the baseline lie before it"
    assert word([step(13, -0.06)]) == "possible", "on both sides nearly all days lie after it"
    assert word([step(20, -0.06)]) == "possible", "all days do"


def test_a_step_of_another_direction_or_size_explains_nothing() -> None:
    assert word([step(6, 0.07)]) == "possible"
    assert word([step(6, -0.4)]) == "possible"
    assert word([step(6, -0.01)]) == "possible"
    assert word([step(6, -0.07), step(3, 0.15)]) == "possible", "it came back"


def test_a_trend_or_an_outage_makes_a_verdict_surer_only() -> None:
    trend: dict[Word, Trend] = {
        verdict: Trend(start="2024-09-05", per_day=-0.008, change=-0.23, pct=-25, verdict=verdict)
        for verdict in ("clear", "possible")
    }
    assert word([trend["clear"]]) == "clear"
    assert word([trend["possible"]], "clear") == "clear"
    totals = [Sample([c._replace(value=100.0) for c in side.buckets], 7 * DAY) for side in (NOW_SIDE, BASELINE)]
    gap = Gap(start=iso(TODAY - DAY), end=iso(TODAY), expected_calls=100, still=True)
    found = agreed("possible", Difference(-95, -13.6, is_total=True), [gap], *totals)
    assert (found.verdict, found.by) == ("clear", f"the outage from {gap.start}")


def test_a_comparison_of_many_days_names_the_step_whose_verdict_it_has() -> None:
    terms = VerdictTerms(strongest_verdict="possible", changes=[step(6, -0.07)])
    found = compare("mean", NOW_SIDE, BASELINE, terms, ratio=1.0)
    assert (found.verdict, found.explained_by) == ("clear", f"the step at {iso(TODAY - 6 * DAY)}")
    assert (
        compare("mean", NOW_SIDE, BASELINE, VerdictTerms(strongest_verdict="possible"), ratio=1.0).explained_by is None
    )


@pytest.mark.parametrize("of_step", ["clear", "possible"])
def test_a_label_in_a_list_has_the_verdict_of_its_step_as_in_a_pie(of_step: Word) -> None:
    sides = [
        Sample([], 7 * DAY, parts={"a": 1400 * rate, "b": 1400 * (1 - rate)}, over_time={"a": week(rate, last).buckets})
        for rate, last in ((0.80, 0), (0.86, 7))
    ]
    course = LabelSeries(
        TimeSeries(np.zeros(0), np.zeros(0), np.zeros(0), DAY), Outcome(changes=[step(6, -0.07, of_step)])
    )
    for p_value in (1e-6, 0.03):
        change = Change(how="share", p_value=p_value, size=1.0, part="a")
        assert with_verdicts_of_steps([change], {"a": course}, sides[0], sides[1])[0].verdict == of_step
    terms = VerdictTerms(changes_of_parts={"a": course.outcome.changes})
    shares = compare("shares", sides[0], sides[1], terms).shares
    assert shares is not None
    assert next(row.verdict for row in shares.top if row.label == "a") == of_step


def by_hours_and_days(world: World, seed: int) -> list[Outcome]:
    """What a chart of hours, and one of days, of the same calls say of the last week."""
    course, calls = series(world, seed)
    window = Span(NOW.timestamp() - 7 * DAY, NOW.timestamp())
    days, days_of_calls = course.in_days(), calls.in_days()
    assert days is not None
    return [detect(course, calls, window=window), detect(days, days_of_calls, window=window)]


@pytest.mark.parametrize("world", [
    World("count", HOUR, 720, 40, office="UTC").with_effect(lambda at, _: np.where(at >= NOW.timestamp() - 5 * DAY, 0.75, 1)),
    World("rate", HOUR, 720, 6).with_effect(lambda at, _: np.where(at >= NOW.timestamp() - 5.4 * DAY, -0.08, 0)),
    World("rate", HOUR, 720, 6).with_effect(lambda at, _: np.where(at >= NOW.timestamp() - 5 * DAY, -0.055, 0)),
    World("mean", HOUR, 720, 40, office="UTC").with_effect(lambda at, _: np.where(at >= NOW.timestamp() - 4 * DAY, 1.2, 1)),
], ids=lambda world: world.measure)  # fmt: skip
def test_charts_of_hours_and_of_days_say_the_same_of_a_step(world: World) -> None:
    found = 0
    for seed in range(12):
        hours, days = (
            [s for s in outcome.findings or [] if isinstance(s, Step)] for outcome in by_hours_and_days(world, seed)
        )
        assert [(s.kind, s.verdict) for s in hours] == [(s.kind, s.verdict) for s in days]
        assert [s.pct for s in hours] == pytest.approx([s.pct for s in days], rel=0.02)
        assert all(abs(day_of(a.at) - day_of(b.at)) <= 1 for a, b in zip(hours, days, strict=True))
        found += len(days)
    assert found >= 4


def day_of(text: str) -> int:
    return int(text[5:7]) * 31 + int(text[8:10])


def at_hour(hour: float, factor: float, at: Floats, _: World) -> Floats:
    return np.where(at == hour, factor, 1.0)


def test_an_outlier_is_as_clear_in_a_short_window_as_in_a_long_one() -> None:
    hour = NOW.timestamp() - 36 * HOUR
    world = World("count", HOUR, 720, 40, office="UTC")
    seen = set[str]()
    for factor in (0.3, 0.35, 0.4, 0.45, 0.5):
        course, calls = series(world.with_effect(partial(at_hour, hour, factor)), 5)
        words = set[str]()
        for days in (2, 7, 30):
            window = Span(NOW.timestamp() - days * DAY, NOW.timestamp())
            findings = detect(course, calls, window=window).findings or []
            words |= {item.verdict for item in findings if isinstance(item, Unusual) and item.start == iso(hour)}
        assert len(words) <= 1, factor
        seen |= words
    assert seen == {"clear", "possible"}


def test_the_few_calls_of_the_hour_in_which_an_outage_begins_are_no_outlier_beside_it() -> None:
    world = World("count", HOUR, 720, 60)
    start = NOW.timestamp() - 40 * HOUR
    effect = world.with_effect(
        lambda at, _: np.where(at == start, 0.15, np.where((at > start) & (at < start + 5 * HOUR), 0, 1))
    )
    course, calls = series(effect, 3)
    findings = detect(course, calls, window=Span(NOW.timestamp() - 7 * DAY, NOW.timestamp())).findings or []
    assert [item.kind for item in findings] == ["outage"]
