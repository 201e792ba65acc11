"""Time zones: full names and cities are accepted; offsets and abbreviations are answered with matching zones."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest

from cekura_dashboards.api.errors import InvalidArguments
from cekura_dashboards.arguments.times import PLACES, zone_named
from support import NOW, Era, ask, connect, open_tools, shared_sandbox, text_of

pytestmark = pytest.mark.anyio
ZONES = available_timezones()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Europe/Berlin", "Europe/Berlin"), ("europe/berlin", "Europe/Berlin"), ("los angeles", "America/Los_Angeles"),
        ("Tokyo", "Asia/Tokyo"), ("utc", "UTC"), ("GMT", "GMT"), ("Etc/GMT+2", "Etc/GMT+2"), ("US/Pacific", "US/Pacific"),
        ("CET", "CET"),
    ],
)  # fmt: skip
def test_time_zone_names_and_cities_are_accepted(text: str, key: str) -> None:
    assert zone_named(text, NOW) == ZoneInfo(key)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("GMT+2", "is an offset from UTC; give a place that has it now: Europe/Athens or Africa/Cairo or "),
        ("UTC+2", "or Etc/GMT-2, which has it all year"),
        ("gmt -5", "America/New_York or America/Bogota"),
        ("+05:30", "Asia/Kolkata"),
        ("UTC+5:45", "Asia/Kathmandu"),
        ("UTC\u22123", "America/Sao_Paulo"),
        ("GMT+9:30", "Australia/Darwin"),
        ("+0", "give UTC"),
        ("UTC+25", "is an offset from UTC; no place has it now."),
        ("PST", "did you mean America/Los_Angeles or Asia/Manila?"),
        ("PDT", "did you mean America/Los_Angeles?"),
        ("IST", "did you mean Asia/Kolkata or Asia/Jerusalem or Europe/Dublin?"),
        ("EST", "did you mean America/New_York?"),
        ("CST", "America/Chicago"),
        ("BST", "Europe/London"),
        ("ET", "America/New_York"),
        ("Pacific Standard Time", "America/Los_Angeles"),
        ("Berln", "did you mean Europe/Berlin?"),
        ("Amercia/New_York", "did you mean America/New_York?"),
        ("pacific", "may be several zones: Canada/Pacific, US/Pacific; give a full name."),
        ("Mumbai", "is not a time zone; give an IANA name such as America/Los_Angeles."),
    ],
)
def test_offsets_and_abbreviations_are_rejected_with_matching_zones(text: str, message: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        zone_named(text, NOW)
    assert message in str(caught.value)


@pytest.mark.parametrize("form", ["GMT{:+03d}", "UTC{:+03d}:00", "{:+03d}00", "gmt {:+03d}:00", "utc{:+03d}00"])
def test_suggested_zones_have_the_sign_of_the_offset(form: str) -> None:
    for hours in range(-14, 15):
        try:
            zone = zone_named(form.format(hours), NOW)
            zones = [] if zone is None else [zone]
        except InvalidArguments as error:
            names = [name.strip(",.:;") for name in str(error).partition(";")[2].split()]
            zones = [ZoneInfo(name) for name in names if name in ZONES]
        assert {NOW.astimezone(zone).utcoffset() for zone in zones} <= {timedelta(hours=hours)}


@pytest.mark.parametrize("month", [1, 7])
def test_every_offset_in_use_has_a_zone_to_suggest(month: int) -> None:
    moment = datetime(2026, month, 1, tzinfo=UTC)
    used = {moment.astimezone(ZoneInfo(name)).utcoffset() for name in ZONES if not name.startswith("Etc/")}
    assert used - {moment.astimezone(ZoneInfo(name)).utcoffset() for name in PLACES} == set()


def test_suggested_zones_have_the_offset_at_that_time_of_year() -> None:
    summer = datetime(2026, 7, 1, tzinfo=UTC)
    with pytest.raises(InvalidArguments, match="Europe/Berlin or Europe/Paris"):
        zone_named("GMT+2", summer)
    with pytest.raises(InvalidArguments, match="America/Los_Angeles"):
        zone_named("UTC-7", summer)


@pytest.mark.parametrize("tool", ["get_widgets_data", "preview_widget"])
async def test_an_offset_is_rejected_with_zones_through_a_client(tool: str, era: Era) -> None:
    chart = {"widget_ids": [202]} if tool == "get_widgets_data" else {"widget": {"chart_type": "stat"}}
    async with connect(shared_sandbox(), era) as client:
        result = await client.call_tool(tool, {**chart, "window": "yesterday", "time_zone": "GMT+2"})
    assert result.is_error
    assert "Africa/Cairo" in text_of(result)


@pytest.mark.parametrize("points", [0, 12])
@pytest.mark.parametrize(
    ("function", "period", "by", "message"),
    [
        ("p95", "day", "local_day", "days are UTC days, not those of"),
        ("count", "day", None, "days are UTC days, not those of"),
        ("count", "day", "local_day", "days are those of"),
        ("count", "week", "local_day", "weeks are UTC weeks, not those of"),
        ("avg", "month", "local_day", "months are UTC months, not those of"),
    ],
)
async def test_the_time_zone_of_days_and_weeks_is_stated(
    function: str, period: str, by: str | None, message: str, points: int
) -> None:
    widget = {"chart_type": "bar", "field": "duration", "aggregation_function": function, "time_period": period}
    arguments = {"widget": widget, "points": points} | ({"by": by} if by else {})
    async with open_tools(shared_sandbox(), history=False) as (context, _):
        text, answer = await ask(context, "preview_widget", window="7d", time_zone="America/Los_Angeles", **arguments)
        winter, _ = await ask(context, "preview_widget", window="7d", time_zone="London", **arguments)
        autumn, _ = await ask(
            context, "preview_widget", window="2026-10-22/2026-10-27", time_zone="London", **arguments
        )
    assert f"{message} America/Los_Angeles" in answer["report"]["notes"]
    assert f"{message} America/Los_Angeles" in text
    assert "Europe/London" not in winter, "London is at UTC in winter"
    assert f"{message} Europe/London" in autumn, "some days are in summer time"
