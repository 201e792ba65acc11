"""find_changes since the last look: known changes are listed last, and a token links the looks."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from cekura_dashboards import DashboardsError, ToolContext
from cekura_dashboards.api.client import CekuraClient
from cekura_dashboards.api.transport import HttpTransport
from cekura_sandbox import create_app
from support import ERAS, KEY, NOW, Era, Json, ask, connect, open_tools, settings, shared_sandbox, text_of

pytestmark = pytest.mark.anyio
LARGE = 60_000
TWO_DASHBOARDS = {"dashboard_ids": [11, 12], "window": "7d"}


async def test_a_second_look_marks_known_changes_as_reported_before() -> None:
    async with open_tools(shared_sandbox(count=LARGE)) as (context, _):
        _, alone = await ask(context, "find_changes", **TWO_DASHBOARDS)
        text, first = await ask(context, "find_changes", since="last look", **TWO_DASHBOARDS)
        again, second = await ask(
            context, "find_changes", since="last look", token=first["look"]["token"], **TWO_DASHBOARDS
        )
    assert len(first["look"]["token"]) <= 500
    assert "look 1 of a series: at most 5 % of series of 90 looks report any false new clear change" in text
    assert {change["widgets"][0] for change in first["changes"]} == {
        change["widgets"][0] for change in alone["changes"]
    }
    clear_alone = {change["widgets"][0] for change in alone["changes"] if change["verdict"] == "clear"}
    lasting = [change for change in first["changes"] if change["kind"] in {"step", "trend"}]
    assert {(change["verdict"], change["limited_by"]) for change in lasting if change["widgets"][0] in clear_alone} == {
        ("possible", "clear in this look, not yet over the series")
    }
    assert not any("told_before" in change for change in first["changes"])
    assert all(change["told_before"] and "next" not in change for change in second["changes"])
    assert (second["look"]["number"], second["look"]["new"]) == (2, 0)
    assert "nothing new since the last look\n1. clear, reported before, ongoing: widget" in again
    assert len(again) < len(text)
    assert "look" not in alone


async def test_a_token_of_other_dashboards_is_rejected_before_any_request() -> None:
    async with open_tools(shared_sandbox(count=LARGE)) as (context, recorder):
        _, first = await ask(context, "find_changes", since="last look", **TWO_DASHBOARDS)
        sent = len(recorder.sent)
        for token, message in (
            (first["look"]["token"], "about something other than dashboard 11;"),
            ("x", "is not a complete token"),
        ):
            with pytest.raises(DashboardsError, match=message):
                await ask(context, "find_changes", since="last look", token=token, dashboard_ids=[11])
        assert len(recorder.sent) == sent


@pytest.mark.parametrize("era", ERAS)
async def test_the_token_can_be_read_from_the_text(era: Era) -> None:
    async with connect(shared_sandbox(count=LARGE), era) as client:
        arguments = {"dashboard_ids": [12], "since": "last look"}
        first = await client.call_tool("find_changes", arguments)
        token = text_of(first).partition('next look: since "last look", token "')[2].partition('"')[0]
        second = await client.call_tool("find_changes", {**arguments, "token": token})
    assert "0 new," in text_of(second)


async def test_a_drop_is_reported_the_first_day_and_clear_after_six_days() -> None:
    """Success falls by a third on 9 November, in otherwise quiet data."""
    clock = [NOW]
    app = create_app(now=lambda: clock[0], count=12_000, key=KEY, quiet=True, seed=500)
    app.state.world.store.bulk(11, {"delete": [204, 205, 206]})
    app.state.world.con.execute("SELECT setseed(0.3)")
    app.state.world.con.execute("UPDATE calls SET success = false WHERE ts >= '2026-11-09' AND random() < 0.35")
    transport, arguments = HttpTransport("http://localhost", app=app), Json(dashboard_ids=[11], since="last look")
    client = CekuraClient(transport=transport, key=SecretStr(KEY), now=lambda: clock[0])
    mornings = list[set[tuple[str, str, bool]]]()
    try:
        for day in range(10, 19):
            clock[0] = datetime(2026, 11, day, 8, tzinfo=UTC) + timedelta(minutes=day)
            _, answer = await ask(ToolContext(client, settings(), lambda: clock[0]), "find_changes", **arguments)
            arguments["token"] = answer["look"]["token"]
            mornings.append({
                (row["verdict"], row["kind"], row.get("told_before", False))
                for row in answer["changes"] if row["widgets"][0] == 203
            })  # fmt: skip
    finally:
        await transport.aclose()
        app.state.world.close()
    first, *others = mornings
    assert ("clear", "outlier", False) in first
    levels = [{row for row in rows if row[1] == "step"} for rows in others]
    assert levels == [{("possible", "step", True)}] * 6 + [{("clear", "step", False)}, {("clear", "step", True)}]
