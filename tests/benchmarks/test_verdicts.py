"""Verdicts are mostly correct: a short version of ``python -m benchmarks.verdicts``."""

import re
from dataclasses import dataclass

import pytest
from benchmarks.verdicts import clocks, comparisons, drivers, edits, labelled, looks, months, profiles, scores
from benchmarks.verdicts.cases import PLANTS, Plant
from benchmarks.verdicts.rows import found_row, quiet_row
from benchmarks.verdicts.worlds import World

from cekura_dashboards.stats.timeline import DAY, HOUR

pytestmark = pytest.mark.no_cover
SEEDS, DRAWS = range(20), range(60)
QUIET = [
    World("count", HOUR, 720, 40, office="America/Los_Angeles"),
    World("count", HOUR, 168, 40, office="Asia/Tokyo"),
    World("count", HOUR, 720, 40, office="America/New_York", assumed_zone="UTC"),
    World("rate", HOUR, 720, 40, office="UTC", assumed_zone="America/New_York"),
    World("count", HOUR, 720, 3),
    World("count", DAY, 29, 200, office="UTC", monday=1.5),
    World("count", HOUR, 336, 40, k=10),
    World("rate", DAY, 29, 5),
    World("rate", HOUR, 336, 40, office="Europe/Berlin"),
    World("mean", DAY, 29, 200, alike=0.3),
    World("p95", DAY, 29, 20, drift=10),
    World("max", DAY, 21, 60),
    World("sum", DAY, 29, 5),
    World("sum", HOUR, 720, 4, office="UTC"),
]


@pytest.mark.parametrize("world", QUIET, ids=lambda world: world.name)
def test_quiet_data_rarely_yields_findings(world: World) -> None:
    row = quiet_row(world, None, SEEDS)
    assert row.clear <= 0.05, "one of twenty"
    assert row.possible <= 0.15, "three of twenty"


def test_hourly_charts_of_quiet_days_rarely_yield_findings() -> None:
    for office in ("UTC", "America/New_York"):
        row = quiet_row(World("count", HOUR, 720, 40, office=office), DAY, SEEDS)
        assert row.clear <= 0.05
        assert row.possible <= 0.15


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
def test_real_changes_are_usually_detected(plant: Plant) -> None:
    row = found_row(plant, World("count", HOUR, 720, 40), SEEDS)
    assert row.found >= 0.75
    assert row.clear >= plant.clear_aim - 0.15, "three of twenty"


WEEKS = (7, 7)
CASES = [
    case
    for case in comparisons.of_usual_shapes()
    if not case.alike and (case.days == WEEKS or (case.is_quiet and case.history))
]
"""All cases of weeks, and the quiet ones of other windows: planted changes do not alter the width of an interval."""


@pytest.mark.parametrize("case", CASES, ids=str)
def test_intervals_have_coverage_and_equal_sides_are_rarely_clear(case: comparisons.Case) -> None:
    row = comparisons.compared_row(case, DRAWS)
    assert row.covered >= 0.9
    assert not case.is_quiet or row.clear <= 0.04, "two of sixty"


AUTOCORRELATED = [case for case in comparisons.of_usual_shapes() if case.alike and case.history and case.is_quiet]


@pytest.mark.parametrize("case", AUTOCORRELATED, ids=str)
def test_autocorrelated_weeks_are_rarely_called_clear(case: comparisons.Case) -> None:
    row = comparisons.compared_row(case, DRAWS)
    assert row.covered >= 0.86
    assert not case.is_quiet or row.clear <= 0.06


DURING_EVENTS = [
    case for case in comparisons.on_a_course() if not case.alike and (case.days == WEEKS or case.kind == "total")
]


@pytest.mark.parametrize("case", DURING_EVENTS, ids=str)
def test_comparisons_are_reliable_amid_other_events(case: comparisons.Case) -> None:
    row = comparisons.compared_row(case, range(25))
    assert row.covered >= 0.86
    assert not case.is_quiet or row.clear <= 0.04, "one of twenty-five"


@dataclass(frozen=True)
class Shape:
    """A case of other shapes by its printed name, and the allowed range of its share of ``clear`` verdicts."""

    case: str
    least: float = 0.0
    most: float = 1.0


SHAPES = [
    Shape("rates, 170 calls a day | 3 against 7 days | known | -10%", least=0.8),
    Shape("rates, 170 calls a day | 7 against 7 days | known | -10% on the last 4", least=0.5),
    Shape("calls, 170 a day | 7 against 7 days, an outage a week before | known | none", most=0.04),
    Shape("calls, 170 a day | 7 against 7 days, an outage a week before | known | -25%", least=0.7),
    Shape("calls, busy Mondays and quiet weekends | 7 against 7 days | known | -20%", least=0.5),
    Shape("calls, 10 a day | 1 against 7 days | known | +200%", least=0.75),
    Shape("rates, 20 calls against 400 a day | 1 against 7 days | known | none", most=0.04),
    Shape("p95, 60 calls a day | 7 against 7 days | known | none", most=0.04),
    Shape("p95, 1500 calls a day | 7 against 7 days | known | +20%", least=0.9),
]
OTHER_SHAPES = {str(case): case for case in comparisons.of_other_shapes()}


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.case)
def test_changes_in_other_window_shapes_have_the_expected_verdicts(shape: Shape) -> None:
    row = comparisons.compared_row(OTHER_SHAPES[shape.case], DRAWS)
    assert row.covered >= 0.9
    assert shape.least <= row.clear <= shape.most


@pytest.mark.parametrize("encoding", scores.ENCODINGS)
def test_pass_scores_are_recognized_or_reported_as_ambiguous(encoding: str) -> None:
    rows = [scores.scores_row(encoding, kind, charts, 5) for kind, charts in (("bar", 100), ("pie", 20), ("line", 5))]
    assert [row.wrong for row in rows] == [0, 0, 0]
    assert all(row.decided == (encoding != "rating") for row in rows[1:])


GROUPS = [
    month for month in drivers.months() if re.search("^[a-z]+( of 1 or 5)?, (3,000|nothing|no days before)", month.name)
]


@pytest.mark.parametrize("month", GROUPS, ids=lambda month: month.name)
def test_drivers_are_named_for_one_changed_group_and_rarely_otherwise(month: drivers.Month) -> None:
    row = drivers.moved_row(month, range(30))
    assert row.right >= 0.8 if month.aim else row.clear + row.possible <= 0.07, "two of thirty"


def test_the_cause_of_a_drop_is_named_exactly() -> None:
    rows = [labelled.labelled_row(shape, [700_003]) for shape in ("a topic of an agent", "two agents", "all")]
    assert [(row.causes, row.named, row.exact) for row in rows] == [(1, 1, 1), (1, 1, 1), (0, 0, 0)]


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_hourly_and_daily_charts_give_the_same_verdict_in_any_zone(zone: str) -> None:
    for change in (0.0, -0.2):
        verdicts = [
            [clocks.verdict(clocks.Case(way, zone, change, rolling=True), seed) for seed in range(12)]
            for way in clocks.WAYS
        ]
        assert all(row.count("clear") >= 8 if change else row.count("clear") == 0 for row in verdicts)
        assert sum(len({*row}) == 1 for row in zip(*verdicts, strict=True)) >= 9


PLANTED_EDITS = [case for case in edits.cases() if case.what != "the rubric" and case.tool == "explain_change"]


@pytest.mark.parametrize("case", PLANTED_EDITS, ids=lambda case: case.name)
def test_edits_are_listed_only_at_their_step(case: edits.Case) -> None:
    row = edits.edits_row(case, range(1), calls=9000)
    assert row.named == 1
    assert not row.elsewhere


def test_no_edit_is_listed_for_a_chance_difference_of_one_group() -> None:
    [case] = [case for case in edits.cases() if case.what == "the rubric" and case.step is None]
    assert not edits.edits_row(case, [871_020]).elsewhere


FLAT = [
    profiles.Case("rate", "hour_of_week", 20_000, own=0.1),
    profiles.Case("duration", "hour_of_week", 600, own=0.1),
    profiles.Case("score", "hour_of_day", 3000),
]


@pytest.mark.parametrize("case", FLAT, ids=str)
def test_flat_profiles_are_rarely_called_clear(case: profiles.Case) -> None:
    assert profiles.profiled_row(case, range(30)).clear <= 0.07, "two of thirty"


def test_a_profile_with_one_low_weekday_is_clear() -> None:
    assert profiles.profiled_row(profiles.Case("rate", "hour_of_week", 20_000, change=-0.2), range(6)).clear >= 0.8


MONTHS = {month.what: month for month in months.months() if month.measure in {"rate", "count", "p95"}}


@pytest.mark.parametrize("what", ["nothing, weekends", "a holiday in the window", "an outage before the window"])
def test_months_without_a_change_rarely_have_a_clear_step_or_trend(what: str) -> None:
    row = months.month_row(MONTHS[what], SEEDS)
    assert row.clear <= 0.05, "one of twenty"
    assert row.possible <= 0.2, "four of twenty"


def test_hourly_scores_of_one_or_five_rarely_yield_clear_outliers() -> None:
    month = months.Month("scores by hours", "score", days=15, hours=months.HOURS["by hours"])
    assert months.month_row(month, SEEDS).clear <= 0.05, "one of twenty"


CHANGED = [
    "-10 points for 5 days",
    "-10 points for 3 days, weekends",
    "-25 % of calls for a week, growth of 2 % a day",
    "-10 points since noon of the fifth day before",
    "-25 % of calls, an outage before",
    "p95 +30 % for 5 days",
]


@pytest.mark.parametrize("what", CHANGED)
def test_changed_levels_are_usually_clear(what: str) -> None:
    month = MONTHS[what]
    assert months.month_row(month, SEEDS).clear >= (month.aim or 0) - 0.15


def test_daily_looks_at_quiet_data_report_no_clear_change() -> None:
    """``python -m benchmarks.verdicts`` checks ninety looks at twenty shapes."""
    month = months.Month("nothing, days alike by 0.6", "count", 300, alike=0.6)
    assert [looks.tells(month, seed, looks=20) for seed in (9, 11)] == [(True, False)] * 2


def test_a_series_of_looks_lists_a_step_as_early_as_a_single_look() -> None:
    days = looks.days_until(looks.Looks(months.Month("", "rate"), 4.0), 2)
    assert days.listed <= days.single
    assert days.single + 5 <= days.clear <= 14
