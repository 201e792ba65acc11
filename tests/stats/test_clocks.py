"""Hours of calls follow the clock of the people who call: that of another zone than was set shows where clocks change."""

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from benchmarks.verdicts.worlds import World, series

from cekura_dashboards.stats.clocks import followed_clock
from cekura_dashboards.stats.detect import detect
from cekura_dashboards.stats.timeline import DAY, HOUR, Clock

NEW_YORK = "America/New_York"


def followed(world: World, told: str, *, step: int = HOUR) -> list[str]:
    _, calls = series(world, 7)
    assert calls.step == step
    return [str(followed_clock(calls, Clock(ZoneInfo(told))).zone)]


@pytest.mark.parametrize(
    ("office", "told", "expected"),
    [
        (NEW_YORK, "UTC", NEW_YORK),
        (NEW_YORK, "Europe/Berlin", NEW_YORK),
        (NEW_YORK, NEW_YORK, NEW_YORK),
        ("America/Los_Angeles", NEW_YORK, NEW_YORK),
        ("Europe/Berlin", "UTC", "Europe/Berlin"),
        ("UTC", NEW_YORK, "UTC"),
        ("Asia/Tokyo", "Asia/Tokyo", "Asia/Tokyo"),
        ("Asia/Tokyo", "UTC", "UTC"),
        (None, "Europe/Berlin", "Europe/Berlin"),
    ],
)
def test_the_clock_that_fits_the_hours_is_followed_and_that_which_is_set_if_none_fits_better(
    office: str | None, told: str, expected: str
) -> None:
    assert followed(World("count", HOUR, 720, 40, office=office), told) == [expected]


def test_days_and_few_days_of_hours_follow_the_clock_that_is_set() -> None:
    assert followed(World("count", DAY, 29, 40, office=NEW_YORK), "UTC", step=DAY) == ["UTC"]
    assert followed(World("count", HOUR, 168, 40, office=NEW_YORK), "UTC") == ["UTC"]


def test_another_clock_is_said_and_the_one_that_is_set_is_not() -> None:
    values, calls = series(World("rate", HOUR, 720, 40, office=NEW_YORK), 7)
    said = f"hours are those of {NEW_YORK}: the calls follow its clock change"
    assert detect(values, calls, clock=Clock(UTC)).notes == [said]
    assert detect(values, calls, clock=Clock(ZoneInfo(NEW_YORK))).notes == []
