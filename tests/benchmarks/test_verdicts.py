"""What is said about numbers is mostly true: a short form of ``python -m benchmarks.verdicts``."""

import pytest
from benchmarks.verdicts import comparisons, drivers
from benchmarks.verdicts.cases import PLANTS, Plant
from benchmarks.verdicts.rows import found_row, quiet_row
from benchmarks.verdicts.worlds import World

from cekura_dashboards.stats.timeline import DAY, HOUR

pytestmark = pytest.mark.no_cover
SEEDS, DRAWS = range(40), range(60)
QUIET = [
    World("count", HOUR, 720, 40, office="America/Los_Angeles"),
    World("count", HOUR, 168, 40, office="Asia/Tokyo"),
    World("count", HOUR, 720, 40, office="America/New_York", told="UTC"),
    World("rate", HOUR, 720, 40, office="UTC", told="America/New_York"),
    World("count", HOUR, 720, 3),
    World("count", DAY, 29, 200, office="UTC", monday=1.5),
    World("count", HOUR, 336, 40, k=10),
    World("rate", DAY, 29, 5),
    World("rate", HOUR, 336, 40, office="Europe/Berlin"),
    World("mean", DAY, 29, 200, alike=0.3),
    World("p95", DAY, 29, 20, drift=10),
    World("max", DAY, 21, 60),
]


@pytest.mark.parametrize("world", QUIET, ids=lambda world: world.name)
def test_where_nothing_happened_hardly_anything_is_said(world: World) -> None:
    row = quiet_row(world, None, SEEDS)
    assert row.clear <= 0.05, "two of forty"
    assert row.possible <= 0.15, "six of forty"


def test_an_hourly_chart_of_today_says_nothing_about_the_morning() -> None:
    for office in ("UTC", "America/New_York"):
        row = quiet_row(World("count", HOUR, 720, 40, office=office), DAY, SEEDS)
        assert row.clear <= 0.05
        assert row.possible <= 0.15


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
def test_what_happened_to_the_calls_is_mostly_found(plant: Plant) -> None:
    row = found_row(plant, World("count", HOUR, 720, 40), SEEDS)
    assert row.found >= 0.75
    assert row.clear >= plant.clear_aim - 0.15, "six of forty"


CASES = [case for case in comparisons.cases() if not case.alike and not case.course]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_intervals_hold_the_truth_and_equal_sides_are_not_called_clear(case: comparisons.Case) -> None:
    row = comparisons.compared_row(case, DRAWS)
    assert row.held >= 0.9
    assert not case.is_quiet or row.clear <= 0.04, "two of sixty"


DAYS_ALIKE = [case for case in comparisons.cases() if case.alike and case.history and not case.course]


@pytest.mark.parametrize("case", DAYS_ALIKE, ids=str)
def test_weeks_of_days_that_are_alike_are_not_called_clear_where_that_can_be_seen(case: comparisons.Case) -> None:
    row = comparisons.compared_row(case, DRAWS)
    assert row.held >= 0.86
    assert not case.is_quiet or row.clear <= 0.06


ON_A_COURSE = [case for case in comparisons.cases() if case.course and not case.alike]


@pytest.mark.parametrize("case", ON_A_COURSE, ids=str)
def test_months_in_which_something_happened_besides_are_compared_as_well(case: comparisons.Case) -> None:
    row = comparisons.compared_row(case, range(50))
    assert row.held >= 0.86
    assert not case.is_quiet or row.clear <= 0.04, "two of fifty"


@pytest.mark.parametrize("case", [*drivers.cases()], ids=lambda case: case.name)
def test_a_driver_is_named_where_one_group_moved_and_hardly_where_none_or_all_did(case: drivers.Case) -> None:
    row = drivers.driven_row(case, DRAWS)
    assert row.right >= 0.8 if case.has_driver else row.named <= 0.09
