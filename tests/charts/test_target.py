"""Windows in words and intervals, and values that are memoised per chart."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cekura_dashboards.api.chart_data import BarRow, Chart
from cekura_dashboards.api.errors import InvalidArguments, NoTimeBefore
from cekura_dashboards.api.models import WidgetConfig
from cekura_dashboards.arguments.times import WORDS
from cekura_dashboards.charts.rows import bar_rows
from cekura_dashboards.charts.target import ChartReading, Target, Window, other_window, resolve
from cekura_dashboards.values import replace
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
        ("2026-11-01 to 2026-11-08", "11-01T00:00", "11-09T00:00"),
        ("2026-11-01..2026-11-08", "11-01T00:00", "11-09T00:00"),
        ("2026-11-01 - 2026-11-08", "11-01T00:00", "11-09T00:00"),
        ("2026-11-01/2026-11-08", "11-01T00:00", "11-09T00:00"),
        ("between 2026-11-01 and 2026-11-08", "11-01T00:00", "11-09T00:00"),
        ("from 2026-11-01 until 2026-11-08", "11-01T00:00", "11-09T00:00"),
        ("2026-11-08/2026-11-08", "11-08T00:00", "11-09T00:00"),
        ("2026-11-01/2026-11-08T00:00Z", "11-01T00:00", "11-08T00:00"),
        ("2026-11-01T00:00/2026-11-08T00:00", "11-01T00:00", "11-08T00:00"),
        ("2026-11-01T09:00Z/2026-11-08", "11-01T09:00", "11-09T00:00"),
        ("2026-11-01/P7D", "11-01T00:00", "11-08T00:00"),
        ("2026-11-16/now", "11-16T00:00", "11-18T15:30"),
        ("2026-11-16T10:00/now", "11-16T10:00", "11-18T15:30"),
        ("monday/now", "11-16T00:00", "11-18T15:30"),
        ("since monday", "11-16T00:00", "11-18T15:30"),
        ("since yesterday", "11-17T00:00", "11-18T15:30"),
        ("since 2026-11-16", "11-16T00:00", "11-18T15:30"),
        ("Since last week", "11-09T00:00", "11-18T15:30"),
        ("since 3 days ago", "11-15T00:00", "11-18T15:30"),
        ("monday to friday", "11-09T00:00", "11-14T00:00"),
        ("friday to monday", "11-13T00:00", "11-17T00:00"),
        ("nov 2 - nov 5", "11-02T00:00", "11-06T00:00"),
        ("now-7d/now", "11-11T15:30", "11-18T15:30"),
        ("today-7d", "11-11T00:00", "11-18T15:30"),
        ("7d/2d", "11-11T15:30", "11-16T15:30"),
        ("last weekend", "11-14T00:00", "11-16T00:00"),
        ("the weekend", "11-14T00:00", "11-16T00:00"),
        ("two weeks", "11-04T15:30", "11-18T15:30"),
        ("the last two weeks", "11-04T15:30", "11-18T15:30"),
        ("a couple of weeks", "11-04T15:30", "11-18T15:30"),
        ("last 3 days", "11-15T15:30", "11-18T15:30"),
        ("last-3-days", "11-15T15:30", "11-18T15:30"),
        ("past week", "11-11T15:30", "11-18T15:30"),
        ("last hour", "11-18T14:30", "11-18T15:30"),
        ("P7D", "11-11T15:30", "11-18T15:30"),
        ("week to date", "11-16T00:00", "11-18T15:30"),
        ("day before yesterday", "11-16T00:00", "11-17T00:00"),
        ("2 days ago", "11-16T00:00", "11-17T00:00"),
        ("since two weeks ago", "11-04T00:00", "11-18T15:30"),
        ("a week ago to yesterday", "11-11T00:00", "11-18T00:00"),
        ("previous week", "11-09T00:00", "11-16T00:00"),
        ("November", "11-01T00:00", "11-18T15:30"),
        ("2026-11", "11-01T00:00", "11-18T15:30"),
        ("2026-W46", "11-09T00:00", "11-16T00:00"),
        ("November 16th, 2026", "11-16T00:00", "11-17T00:00"),
        ("16th of november", "11-16T00:00", "11-17T00:00"),
        ("2026-11-17T10:00Z/2026-11-17T12:30+01:00", "11-17T10:00", "11-17T11:30"),
    ],
)
def test_windows_in_words_and_intervals_are_resolved(text: str, start: str, end: str) -> None:
    assert span(text) == (start, end)


def test_days_start_at_midnight_of_the_configured_zone() -> None:
    assert span("today", BERLIN) == ("11-17T23:00", "11-18T15:30")
    assert span("2026-11-01/2026-11-08", BERLIN) == ("10-31T23:00", "11-08T23:00")
    assert span("since monday", BERLIN) == ("11-15T23:00", "11-18T15:30")


CLOCKS: list[tuple[str, str, str, tuple[str, str]]] = [
    ("2026-10-25/2026-10-25", "2026-10-26T12:00Z", "Europe/Berlin", ("10-24T22:00", "10-25T23:00")),
    ("last weekend", "2026-10-26T12:00Z", "Europe/Berlin", ("10-23T22:00", "10-25T23:00")),
    ("2026-03-29/2026-03-29", "2026-04-01T12:00Z", "Europe/Berlin", ("03-28T23:00", "03-29T22:00")),
    ("since sunday", "2026-11-01T12:00Z", "America/New_York", ("11-01T04:00", "11-01T12:00")),
    ("last weekend", "2026-11-15T23:30Z", "UTC", ("11-07T00:00", "11-09T00:00")),
    ("this weekend", "2026-11-15T23:30Z", "UTC", ("11-14T00:00", "11-15T23:30")),
    ("last weekend", "2026-11-15T23:30Z", "Asia/Kolkata", ("11-13T18:30", "11-15T18:30")),
    ("last weekend", "2026-11-16T00:00Z", "UTC", ("11-14T00:00", "11-16T00:00")),
    ("since monday", "2026-11-16T00:10Z", "UTC", ("11-16T00:00", "11-16T00:10")),
    ("since monday", "2026-11-16T00:10Z", "America/St_Johns", ("11-09T03:30", "11-16T00:10")),
    ("2026-11-09/2026-11-13", "2026-11-20T00:00Z", "Asia/Kathmandu", ("11-08T18:15", "11-13T18:15")),
    ("this_month", "2026-11-30T23:50Z", "Asia/Kathmandu", ("11-30T18:15", "11-30T23:50")),
    ("february", "2028-03-01T00:00Z", "UTC", ("02-01T00:00", "03-01T00:00")),
    ("december 30", "2027-01-02T00:00Z", "UTC", ("12-30T00:00", "12-31T00:00")),
    ("2026-12-30/2027-01-01", "2027-01-10T00:00Z", "Pacific/Chatham", ("12-29T10:15", "01-01T10:15")),
]


@pytest.mark.parametrize(("text", "now", "zone", "instants"), CLOCKS)
def test_days_and_weekends_follow_the_local_clock(text: str, now: str, zone: str, instants: tuple[str, str]) -> None:
    window = resolve(text, datetime.fromisoformat(now), ZoneInfo(zone))
    assert (f"{window.start:%m-%dT%H:%M}", f"{window.end:%m-%dT%H:%M}") == instants


def test_last_month_is_limited_to_the_days_that_the_api_keeps() -> None:
    window = resolve("last month", NOW, UTC_ZONE)
    assert (window.start, window.end) == (NOW - timedelta(days=30, minutes=-5), datetime(2026, 11, 1, tzinfo=UTC))
    assert window.notes == ("of last_month only the part from 2026-10-19T15:35Z: the API keeps 30 days",)
    with pytest.raises(
        InvalidArguments, match=r"empty: it ends before the API's last 30 days.* start is 2026-05-01T15:05Z"
    ):
        resolve("last_month", datetime(2026, 5, 31, 15, tzinfo=UTC), UTC_ZONE)


@pytest.mark.parametrize(
    ("window", "how", "start", "end"),
    [
        ("this_week", "last_week", "11-09T00:00", "11-11T15:30"),
        ("this_week", "previous_week", "11-09T00:00", "11-11T15:30"),
        ("since monday", "the week before", "11-09T00:00", "11-11T15:30"),
        ("since monday", "2026-11-09/2026-11-11", "11-09T00:00", "11-12T00:00"),
        ("last weekend", "2026-11-07/2026-11-08", "11-07T00:00", "11-09T00:00"),
        ("today", "last week", "11-11T00:00", "11-11T15:30"),
        ("7d", "last_week", "11-04T15:30", "11-11T15:30"),
        ("today", "yesterday", "11-17T00:00", "11-17T15:30"),
        ("this_week", "2026-11-12", "11-12T00:00", "11-13T00:00"),
        ("this_month", "last_month", "10-19T15:35", "11-01T00:00"),
        ("today", "monday", "11-16T00:00", "11-16T15:30"),
    ],
)
def test_compare_to_accepts_named_windows(window: str, how: str, start: str, end: str) -> None:
    other = other_window(resolve(window, NOW, UTC_ZONE), how, NOW, UTC_ZONE)
    assert (other.start.strftime("%m-%dT%H:%M"), other.end.strftime("%m-%dT%H:%M")) == (start, end)


def test_a_day_with_a_clock_change_has_25_hours() -> None:
    monday = datetime(2026, 10, 26, 12, tzinfo=UTC)
    window = resolve("yesterday", monday, BERLIN)
    assert window.end - window.start == timedelta(hours=25)


def test_a_start_at_the_limit_is_moved_inside_with_a_note() -> None:
    window = resolve("30d", NOW, UTC_ZONE)
    assert window.start == NOW - timedelta(days=30) + timedelta(minutes=5)
    assert "5 minutes" in window.notes[0]


def test_a_start_beyond_the_limit_is_rejected_with_the_earliest_one() -> None:
    with pytest.raises(InvalidArguments, match=r"earliest start is 2026-10-19T15:35Z"):
        resolve("2026-10-01/2026-11-01", NOW, UTC_ZONE)


def test_an_end_in_the_future_is_moved_to_now_with_a_note() -> None:
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
        ("2026-11-08/2026-11-01", "it ends before it starts"),
        ("2026-12-01/2026-12-02", "it lies in the future"),
        ("2026-11-01/soon", "interval START/END"),
        ("since noon", "interval START/END"),
        ("until yesterday", "interval START/END"),
        ("this weekend", "lies in the future"),
        ("2 months", "earliest start is 2026-10-19T15:35Z"),
        ("99999w", "starts more than 30 days ago"),
        ("9999-12-31/9999-12-31", "interval START/END"),
        ("heute", "is not a window"),
        ("two weeks ago", "is not a window"),
        ("ad", "is not a window"),
        ("two minutes", "the shortest is 5m"),
        ("2026-11-01/2026-11-02/2026-11-03", "interval START/END"),
        ("0d", "too short"),
        ("4m", "the shortest is 5m"),
        ("1M", "a month is 30d"),
        ("/", "interval"),
    ],
)
def test_invalid_windows_are_rejected_with_a_suggestion(text: str, hint: str) -> None:
    with pytest.raises(InvalidArguments, match=hint):
        resolve(text, NOW, UTC_ZONE)


PARTS = st.sampled_from(
    [
        "2026-11-16",
        "monday",
        "now",
        "last week",
        "weekend",
        "2026-11-17T10:00",
        "7d",
        "0001-01-01",
        "9999-12-31",
        "2 days ago",
        "P1W",
        "nov 31",
    ]
)


@given(
    st.text(max_size=30)
    | st.sampled_from(WORDS)
    | st.builds("{}{}{}".format, PARTS, st.sampled_from(["/", " to ", ".."]), PARTS)
    | st.builds("{} {}".format, st.sampled_from(["since", "last", "the past"]), PARTS)
    | st.from_regex(r"\d{1,5}[hdw]", fullmatch=True)
)
def test_arbitrary_text_is_a_valid_window_or_rejected(text: str) -> None:
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
        ("2026-10-13/2026-10-19", "2026-10-12T22:00Z", "2026-10-19T22:00Z", False),
        ("2026-10-13/2026-10-15", "2026-10-12T22:00Z", "2026-10-15T22:00Z", True),
    ],
)
def test_a_week_with_a_clock_change_is_compared_by_calendar_days(how: str, start: str, end: str, differ: bool) -> None:  # noqa: FBT001 - a column of the table
    now = datetime(2026, 10, 27, 12, tzinfo=UTC)
    week = resolve("last_week", now, BERLIN)
    assert week.end - week.start == timedelta(hours=169), "summer time ended on that Sunday"
    other = other_window(week, how, now, BERLIN)
    assert (f"{other.start:%Y-%m-%dT%H:%MZ}", f"{other.end:%Y-%m-%dT%H:%MZ}") == (start, end)
    assert other.weekdays_differ is differ


@pytest.mark.parametrize("text", ["today", "this_week", "this_month", "since monday", "2026-06-01"])
def test_a_window_that_starts_now_is_rejected_at_midnight(text: str) -> None:
    with pytest.raises(InvalidArguments, match="it starts now; use 24h"):
        resolve(text, datetime(2026, 6, 1, tzinfo=UTC), UTC_ZONE)


SUGGESTION = re.compile(r"\((\d+d)\)|use window (\d+d)|use (previous_period)")


@pytest.mark.no_cover
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
def test_suggestions_of_rejected_comparisons_are_valid(text: str, how: str, now: datetime, zone: str) -> None:
    time_zone = ZoneInfo(zone)
    window = resolve(text, now, time_zone)
    try:
        other_window(window, how, now, time_zone)
    except NoTimeBefore as error:
        [offers] = SUGGESTION.findall(str(error))
        [offer] = filter(None, offers)
    else:
        return
    if offer == "previous_period":
        other_window(window, offer, now, time_zone)
    else:
        other_window(resolve(offer, now, time_zone), how, now, time_zone)


WEEK = Window(NOW - timedelta(days=7), NOW, "asked")


def test_memoised_values_are_computed_once_per_chart() -> None:
    computed = list[str]()

    def rows_of(reading: ChartReading) -> str:
        def compute() -> str:
            computed.append(f"{reading.chart}")
            return computed[-1]

        return reading.memoise("rows", compute)

    first = ChartReading(Target(WidgetConfig(), {}), Window(NOW, NOW, "asked"), Chart("bar"))
    other = replace(first, chart=Chart("pie"))
    assert [rows_of(first), rows_of(first), rows_of(other)] == [computed[0], computed[0], computed[1]]
    assert computed == [f"{first.chart}", f"{other.chart}"]


def test_windows_of_one_chart_share_buckets_and_keep_group_names() -> None:
    days = [NOW.replace(hour=0, minute=0) - timedelta(days=days) for days in (6, 2, 1)]
    chart = Chart("bar", rows=[BarRow(f"{day:%Y-%m-%dT%H:%M:%SZ}", 1.5, 4, "7") for day in days], grouped=True)
    config = WidgetConfig.model_validate({"chart_type": "bar", "time_period": "day", "aggregation_function": "avg"})
    reading = ChartReading(Target(config, {}), WEEK, chart)
    part = replace(reading, window=replace(WEEK, start=NOW - timedelta(days=2)))
    rows, fewer = bar_rows(reading, chart, {}), bar_rows(part, chart, {})
    assert [len(rows.buckets), rows.outside, len(fewer.buckets), fewer.outside] == [3, 0, 2, 1]
    assert all(mine is theirs for mine, theirs in zip(fewer.buckets, rows.buckets[1:], strict=True))
    named = bar_rows(reading, chart, {"7": "Booking"})
    assert {bucket.group for bucket in named.buckets} == {"Booking (7)"}
    assert {bucket.group for bucket in rows.buckets} == {"7"}


def test_a_partial_day_is_compared_with_the_same_hours() -> None:
    now = datetime(2026, 11, 18, 15, 30, tzinfo=UTC)
    other = other_window(resolve("today", now, BERLIN), "yesterday", now, BERLIN)
    assert (other.start, other.end) == (
        datetime(2026, 11, 16, 23, tzinfo=UTC),
        datetime(2026, 11, 17, 15, 30, tzinfo=UTC),
    )
    assert "cut to the same hour, as the window is under way" in other.notes
    day = other_window(resolve("yesterday", now, BERLIN), "today", now, BERLIN)
    assert day.end == now
    assert any("the baseline is under way" in note for note in day.notes)
