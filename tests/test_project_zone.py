"""The time zone of a project applies to answers if none is set, and costs a round trip only if it is needed first."""

from typing import Any

import pytest
from benchmarks.trips import BAR, rounds_of

from cekura_dashboards.api.errors import ApiFault
from cekura_dashboards.context import Memory
from cekura_dashboards.settings import load_settings
from support import KEY, Json, ask, new_sandbox, now, open_tools, report_of, shared_sandbox

pytestmark = pytest.mark.anyio
NEW_YORK = "America/New_York"


@pytest.fixture
def app() -> Any:
    return shared_sandbox(time_zone=NEW_YORK)


MIDNIGHT = {NEW_YORK: "2026-11-17T05:00Z", "UTC": "2026-11-17T00:00Z", "Asia/Tokyo": "2026-11-17T15:00Z"}


@pytest.mark.no_cover
@pytest.mark.parametrize("given", [None, "UTC", "Asia/Tokyo"])
async def test_days_follow_the_time_zone_of_the_project_unless_configured(app: Any, given: str | None) -> None:
    wanted = MIDNIGHT[given or NEW_YORK]
    async with open_tools(app, **({} if given is None else {"time_zone": given})) as (context, _):
        report = await report_of(context, widget_ids=[203], window="yesterday")
        assert report["window"]["from"] == wanted
        _, preview = await ask(context, "preview_widget", widget=BAR, dashboard_id=11, window="yesterday")
        assert preview["report"]["window"]["from"] == wanted
        texts = [
            (await ask(context, "list_calls", widget_id=203, window="yesterday"))[1]["window"],
            (await ask(context, "explain_change", widget_id=203, window="yesterday"))[1]["window"],
            (await ask(context, "explain_change", widget_id=203, window="yesterday", by=["topic"]))[1]["window"],
        ]
        assert [text.split()[0] for text in texts] == [wanted] * 3, texts


async def test_the_time_zone_argument_overrides_the_project_and_is_stated_once(app: Any) -> None:
    async with open_tools(app) as (context, _):
        text, _ = await ask(context, "get_widgets_data", dashboard_id=11)
        assert text.count(NEW_YORK) == 1
        assert f"days are UTC days, not those of {NEW_YORK}" in text
        text, _ = await ask(context, "get_widgets_data", dashboard_id=11, time_zone="Tokyo")
        assert NEW_YORK not in text
        assert text.count("Asia/Tokyo") == 1
        text, _ = await ask(context, "find_changes", dashboard_ids=[11])
        assert text.count(NEW_YORK) == 1
        report = await report_of(context, widget_ids=[202], profile="hour_of_day")
        assert report["profile"]["time_zone"] == NEW_YORK


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("tool", "arguments", "trips"),
    [
        ("get_widgets_data", {"dashboard_id": 11}, 2),
        ("get_widgets_data", {"widget_ids": [203]}, 2),
        ("preview_widget", {"widget": BAR, "dashboard_id": 11}, 2),
        ("preview_widget", {"widget": BAR}, 2),
        ("explain_change", {"widget_id": 203}, 5),
        ("find_changes", {}, 4),
        ("list_calls", {"widget_id": 203}, 3),
    ],
)
async def test_reading_the_time_zone_adds_no_round_trip(app: Any, tool: str, arguments: Json, trips: int) -> None:
    for window in ("yesterday", "7d") if tool == "get_widgets_data" else ("yesterday",):
        result = await rounds_of(app, KEY, tool, {**arguments, "window": window}, Memory(0), now)
        fixed = await rounds_of(app, KEY, tool, {**arguments, "window": window}, Memory(0), now, time_zone="UTC")
        assert result.trips == fixed.trips <= trips


async def test_date_ranges_are_saved_in_the_time_zone_of_the_project() -> None:
    app = new_sandbox(count=10, time_zone=NEW_YORK)
    async with open_tools(app) as (context, recorder):
        await ask(context, "update_dashboard", dashboard_id=11, date_range="2026-11-10/2026-11-12")
    [patch] = recorder.writes()
    assert "2026-11-10T05:00" in str(patch.body)


@pytest.mark.parametrize(("zone", "note"), [("", None), ("Moon/Crater", '"Moon/Crater", is unknown')])
async def test_a_project_without_a_valid_time_zone_uses_utc_days(zone: str, note: str | None) -> None:
    app = new_sandbox(time_zone=zone)
    async with open_tools(app) as (context, _):
        _, answer = await ask(context, "get_widgets_data", widget_ids=[203], window="yesterday")
    assert answer["widgets"][0]["window"]["from"] == MIDNIGHT["UTC"]
    notes: list[str] = answer.get("notes") or []
    assert [text for text in notes if note and note in text] == notes
    assert len(notes) == (note is not None)


async def test_an_unreadable_project_time_zone_is_noted() -> None:
    async with open_tools(new_sandbox()) as (context, recorder):
        recorder.fault = lambda sent: ApiFault(500) if "projects" in sent.path else None
        _, answer = await ask(context, "get_widgets_data", dashboard_id=11, window="yesterday")
    assert "times and days are in UTC: the project's time zone could not be read" in answer["notes"]


def test_an_unfilled_reference_counts_as_no_time_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CEKURA_TIME_ZONE", "${user_config.time_zone}")
    assert load_settings().time_zone is None
