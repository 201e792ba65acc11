"""Array functions match the same computation for single values."""

import statistics
from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from benchmarks.verdicts.worlds import World, series
from hypothesis import given
from hypothesis import strategies as st

from cekura_dashboards.stats.detect import detect
from cekura_dashboards.stats.time_series import (
    calendar,
    floats,
    followed_clock,
    median,
    medians_by,
    running_median,
    trimmed_means_by,
)
from cekura_dashboards.stats.timeline import DAY, HOUR, Clock, day_starts
from cekura_dashboards.values import replace

ZONES = [ZoneInfo(name) for name in ("UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")]
numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)


@given(st.integers(1_700_000_000, 1_800_000_000), st.integers(1, 800), st.sampled_from(ZONES))
def test_calendar_arrays_match_single_instants(start: int, hours: int, zone: ZoneInfo) -> None:
    clock, times = Clock(zone), floats(float(start + i * HOUR) for i in range(hours))
    result, each = calendar(times, clock), [clock.place(time) for time in times.tolist()]
    assert (result.day - result.day[0]).tolist() == [place.day - each[0].day for place in each]
    assert [*zip(result.weekday.tolist(), result.hour.tolist(), strict=True)] == [(p.weekday, p.hour) for p in each]
    assert result.weekend.tolist() == [clock.kind(place.weekday) for place in each]


def test_days_start_at_local_midnight_across_clock_changes() -> None:
    start = datetime(2026, 10, 31, 9, 30, tzinfo=ZoneInfo("America/New_York")).timestamp()
    days = day_starts(start, start + 60 * HOUR, Clock(ZoneInfo("America/New_York")))
    assert datetime.fromtimestamp(days[0], UTC) == datetime(2026, 10, 31, 4, tzinfo=UTC)
    assert [(after - before) / HOUR for before, after in pairwise(days)] == [24, 25]


@given(numbers, st.sampled_from([1, 3, 7]))
def test_medians_match_the_statistics_module(values: list[float], width: int) -> None:
    assert median(floats(values)) == pytest.approx(statistics.median(values))
    windows = [values[max(0, i - width // 2) : i + width // 2 + 1] for i in range(len(values))]
    assert running_median(floats(values), width).tolist() == pytest.approx([*map(statistics.median, windows)])


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(-1e6, 1e6)), max_size=40))
def test_medians_and_trimmed_means_are_computed_per_key(rows: list[tuple[int, float]]) -> None:
    rows += [(key, value) for key in range(4) for value in (1.0, 2.0)]
    keys, values = np.array([key for key, _ in rows]), floats(value for _, value in rows)
    members = [sorted(value for at, value in rows if at == key) for key in range(4)]
    trimmed = [statistics.median(part) if len(part) < 4 else statistics.fmean(part[1:-1]) for part in members]
    assert medians_by(keys, values).tolist() == pytest.approx([*map(statistics.median, members)])
    assert trimmed_means_by(keys, values).tolist() == pytest.approx(trimmed, abs=1e-6)


NEW_YORK = "America/New_York"


def clock_of(world: World, configured: str, *, step: int = HOUR) -> list[str]:
    _, calls = series(world, 7)
    assert calls.step == step
    return [str(followed_clock(calls, Clock(ZoneInfo(configured))).zone)]


@pytest.mark.parametrize(
    ("office", "configured", "expected"),
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
def test_the_best_fitting_clock_is_followed_or_the_configured_one(
    office: str | None, configured: str, expected: str
) -> None:
    assert clock_of(World("count", HOUR, 720, 40, office=office), configured) == [expected]


def test_daily_and_short_series_follow_the_configured_clock() -> None:
    assert clock_of(World("count", DAY, 29, 40, office=NEW_YORK), "UTC", step=DAY) == ["UTC"]
    assert clock_of(World("count", HOUR, 168, 40, office=NEW_YORK), "UTC") == ["UTC"]


def test_negative_counts_follow_the_configured_clock() -> None:
    _, calls = series(World("count", HOUR, 720, 40, office=NEW_YORK), 7)
    negative = replace(calls, values=-calls.values)
    assert str(followed_clock(negative, Clock(ZoneInfo("UTC"))).zone) == "UTC"


def test_only_a_clock_other_than_the_configured_one_is_noted() -> None:
    values, calls = series(World("rate", HOUR, 720, 40, office=NEW_YORK), 7)
    note = f"hours are those of {NEW_YORK}: the calls follow its clock change"
    assert detect(values, calls, clock=Clock(UTC)).notes == [note]
    assert detect(values, calls, clock=Clock(ZoneInfo(NEW_YORK))).notes == []
