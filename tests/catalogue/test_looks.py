"""find_changes since the last look: what was told before stands last, and a token goes from look to look."""

import pytest

from cekura_dashboards import DashboardsError
from support import ERAS, Era, ask, connect, open_tools, shared_sandbox, text_of

pytestmark = pytest.mark.anyio
LARGE = 60_000
TWO = {"dashboard_ids": [11, 12], "window": "7d"}


async def test_the_second_look_tells_as_still_so_what_the_first_told_as_new() -> None:
    async with open_tools(shared_sandbox(count=LARGE)) as (context, _):
        _, alone = await ask(context, "find_changes", **TWO)
        text, first = await ask(context, "find_changes", since="last look", **TWO)
        again, second = await ask(context, "find_changes", since="last look", token=first["look"]["token"], **TWO)
    assert len(first["look"]["token"]) <= 500
    assert "look 1 of a series: at most 5 % of series of 90 looks tell any false clear that is new" in text
    assert {change["widgets"][0] for change in first["changes"]} == {
        change["widgets"][0] for change in alone["changes"]
    }
    lasting = [change for change in first["changes"] if change["kind"] in {"step", "trend"}]
    assert {(change["verdict"], change["limited_by"]) for change in lasting} == {
        ("possible", "clear to a single look, not yet over the looks")
    }
    assert not any("told_before" in change for change in first["changes"])
    assert all(change["told_before"] and "next" not in change for change in second["changes"])
    assert (second["look"]["number"], second["look"]["new"]) == (2, 0)
    assert "nothing new since the last look\n1. clear, told before and still so: widget" in again
    assert len(again) < len(text)
    assert "look" not in alone


async def test_a_token_of_other_dashboards_is_refused_before_anything_is_sent() -> None:
    async with open_tools(shared_sandbox(count=LARGE)) as (context, recorder):
        _, first = await ask(context, "find_changes", since="last look", **TWO)
        sent = len(recorder.sent)
        for token, why in ((first["look"]["token"], "about something else than dashboards 11;"), ("x", "is no token")):
            with pytest.raises(DashboardsError, match=why):
                await ask(context, "find_changes", since="last look", token=token, dashboard_ids=[11])
        assert len(recorder.sent) == sent


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_keeps_the_token_of_the_text(era: Era) -> None:
    async with connect(shared_sandbox(count=LARGE), era) as client:
        arguments = {"dashboard_ids": [12], "since": "last look"}
        first = await client.call_tool("find_changes", arguments)
        token = text_of(first).partition('next look: since "last look", token "')[2].partition('"')[0]
        second = await client.call_tool("find_changes", {**arguments, "token": token})
    assert "0 new," in text_of(second)
