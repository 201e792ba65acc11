"""Windows: words and intervals."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cekura_dashboards.api.errors import InvalidArguments, NoTimeBefore
from cekura_dashboards.arguments.spans import WORDS
from cekura_dashboards.charts.window import other_window, resolve
from support import NOW

UTC_ZONE = ZoneInfo("UTC")
BERLIN = ZoneInfo("Europe/Berlin")


def span(text: str, zone: ZoneInfo = UTC_ZONE) -> tuple[str, str]:
    window = resolve(text, NOW, zone)
    return window.start.strftime("%m-%dT%H:%M"), window.end.strftime("%m-%dT%H:%M")


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("24h", "11-17T15:30", "11-18T15:30"),
        ("7d", "11-11T15:30", "11-18T15:30"),
        ("2w", "11-04T15:30", "11-18T15:30"),
        ("today", "11-18T00:00", "11-18T15:30"),
        ("yesterday", "11-17T00:00", "11-18T00:00"),
        ("this_week", "11-16T00:00", "11-18T15:30"),
        ("last_week", "11-09T00:00", "11-16T00:00"),
        ("this_month", "11-01T00:00", "11-18T15:30"),
        (" Today ", "11-18T00:00", "11-18T15:30"),
        ("This month", "11-01T00:00", "11-18T15:30"),
        ("last week", "11-09T00:00", "11-16T00:00"),
        ("2026-11-16", "11-16T00:00", "11-17T00:00"),
        ("2026-11-18", "11-18T00:00", "11-18T15:30"),
        ("monday", "11-16T00:00", "11-17T00:00"),
        ("Thursday", "11-12T00:00", "11-13T00:00"),
        ("wednesday", "11-18T00:00", "11-18T15:30"),
        ("last wednesday", "11-11T00:00", "11-12T00:00"),
        ("2026-11-01 to 2026-11-08", "11-01T00:00", "11-08T00:00"),
        ("2026-11-01..2026-11-08", "11-01T00:00", "11-08T00:00"),
        ("2026-11-01 - 2026-11-08", "11-01T00:00", "11-08T00:00"),
        ("2026-11-01/2026-11-08", "11-01T00:00", "11-08T00:00"),
        ("2026-11-17T10:00Z/2026-11-17T12:30+01:00", "11-17T10:00", "11-17T11:30"),
    ],
)
def test_each_word_and_interval_becomes_instants(text: str, start: str, end: str) -> None:
    assert span(text) == (start, end)


def test_days_begin_in_the_configured_zone() -> None:
    assert span("today", BERLIN) == ("11-17T23:00", "11-18T15:30")
    assert span("2026-11-01/2026-11-08", BERLIN) == ("10-31T23:00", "11-07T23:00")


def test_of_last_month_the_part_is_meant_that_the_api_holds() -> None:
    window = resolve("last month", NOW, UTC_ZONE)
    assert (window.start, window.end) == (NOW - timedelta(days=30, minutes=-5), datetime(2026, 11, 1, tzinfo=UTC))
    assert window.notes == ("of last_month only the part from 2026-10-19T15:35Z on: the API holds 30 days",)
    with pytest.raises(InvalidArguments, match=r"empty: it ends before the 30 days .* start is 2026-05-01T15:05Z"):
        resolve("last_month", datetime(2026, 5, 31, 15, tzinfo=UTC), UTC_ZONE)


@pytest.mark.parametrize(
    ("window", "how", "start", "end"),
    [
        ("this_week", "last_week", "11-09T00:00", "11-11T15:30"),
        ("today", "last week", "11-11T00:00", "11-11T15:30"),
        ("7d", "last_week", "11-04T15:30", "11-11T15:30"),
        ("today", "yesterday", "11-17T00:00", "11-18T00:00"),
        ("this_week", "2026-11-12", "11-12T00:00", "11-13T00:00"),
        ("this_month", "last_month", "10-19T15:35", "11-01T00:00"),
        ("today", "monday", "11-16T00:00", "11-17T00:00"),
    ],
)
def test_a_comparison_may_be_a_time_of_its_own(window: str, how: str, start: str, end: str) -> None:
    other = other_window(resolve(window, NOW, UTC_ZONE), how, NOW, UTC_ZONE)
    assert (other.start.strftime("%m-%dT%H:%M"), other.end.strftime("%m-%dT%H:%M")) == (start, end)


def test_a_day_with_a_clock_change_has_another_length() -> None:
    monday = datetime(2026, 10, 26, 12, tzinfo=UTC)
    window = resolve("yesterday", monday, BERLIN)
    assert window.end - window.start == timedelta(hours=25)


def test_a_start_at_the_limit_is_moved_inside_and_told() -> None:
    window = resolve("30d", NOW, UTC_ZONE)
    assert window.start == NOW - timedelta(days=30) + timedelta(minutes=5)
    assert "5 minutes" in window.notes[0]


def test_a_start_beyond_the_limit_is_refused_with_the_earliest_one() -> None:
    with pytest.raises(InvalidArguments, match=r"earliest start is 2026-10-19T15:35Z"):
        resolve("2026-10-01/2026-11-01", NOW, UTC_ZONE)


def test_an_end_in_the_future_is_moved_to_now_and_told() -> None:
    window = resolve("2026-11-17/2026-12-24", NOW, UTC_ZONE)
    assert (window.end, "ends now" in window.notes[0]) == (NOW, True)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("last wek", "did you mean last_week"),
        ("2026-13-01", "is not a window"),
        ("2026-10-01", "earliest start"),
        ("2026-12-01", "empty"),
        ("yesteday", "did you mean yesterday"),
        ("fortnight", "use 15m, 24h, 7d"),
        ("2026-11-08/2026-11-01", "empty"),
        ("2026-12-01/2026-12-02", "empty"),
        ("2026-11-01/soon", "interval START/END"),
        ("2026-11-01/2026-11-02/2026-11-03", "interval START/END"),
        ("0d", "too short"),
        ("4m", "the shortest is 5m"),
        ("1M", "a month is 30d"),
        ("/", "interval"),
    ],
)
def test_what_is_no_window_is_refused_with_a_hint(text: str, hint: str) -> None:
    with pytest.raises(InvalidArguments, match=hint):
        resolve(text, NOW, UTC_ZONE)


@given(st.text(max_size=30) | st.sampled_from(WORDS) | st.from_regex(r"\d{1,5}[hdw]", fullmatch=True))
def test_any_text_is_a_window_inside_the_limit_or_refused(text: str) -> None:
    try:
        window = resolve(text, NOW, BERLIN)
    except InvalidArguments:
        return
    assert NOW - timedelta(days=30) < window.start < window.end <= NOW


@pytest.mark.parametrize(
    ("how", "start", "end", "differ"),
    [
        ("previous_week", "2026-10-11T22:00Z", "2026-10-18T22:00Z", False),
        ("previous_period", "2026-10-11T22:00Z", "2026-10-18T22:00Z", False),
        ("2026-10-13/2026-10-20", "2026-10-12T22:00Z", "2026-10-19T22:00Z", False),
        ("2026-10-13/2026-10-16", "2026-10-12T22:00Z", "2026-10-15T22:00Z", True),
    ],
)
def test_a_week_with_an_hour_more_is_compared_by_the_calendar(how: str, start: str, end: str, differ: bool) -> None:  # noqa: FBT001 - a column of the table
    now = datetime(2026, 10, 27, 12, tzinfo=UTC)
    week = resolve("last_week", now, BERLIN)
    assert week.end - week.start == timedelta(hours=169), "summer time ended on that Sunday"
    other = other_window(week, how, now, BERLIN)
    assert (f"{other.start:%Y-%m-%dT%H:%MZ}", f"{other.end:%Y-%m-%dT%H:%MZ}") == (start, end)
    assert other.weekdays_differ is differ


OFFERED = re.compile(r"\((\d+d)\)|use window (\d+d)|use (previous_period)")


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Australia/Lord_Howe"])
@pytest.mark.parametrize(
    "now",
    [
        datetime(2026, 11, 18, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
        datetime(2026, 4, 5, 14, tzinfo=UTC), datetime(2026, 3, 31, 23, 59, 59, tzinfo=UTC),
        datetime(2026, 11, 7, 23, tzinfo=UTC),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("how", ["previous_period", "previous_week"])
@pytest.mark.parametrize("text", ["10d", "15d", "16d", "22d", "30d", "last_week", "2d"])
def test_what_a_refused_comparison_offers_can_be_compared(text: str, how: str, now: datetime, zone: str) -> None:
    place = ZoneInfo(zone)
    window = resolve(text, now, place)
    try:
        other_window(window, how, now, place)
    except NoTimeBefore as error:
        [offers] = OFFERED.findall(str(error))
        [offer] = filter(None, offers)
    else:
        return
    if offer == "previous_period":
        other_window(window, offer, now, place)
    else:
        other_window(resolve(offer, now, place), how, now, place)
