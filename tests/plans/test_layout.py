"""Where new widgets go: only on a dashboard that shows a grid, and without anything on top of another."""

from typing import Any

import pytest
from fastapi import FastAPI

from cekura_dashboards.api import errors
from support import Json, ask, new_sandbox, open_tools

pytestmark = pytest.mark.anyio
PIE: Json = {"name": "New", "chart_type": "pie", "field": "topic"}
STAT: Json = {"name": "Figures", "chart_type": "stat"}


def layouts(app: FastAPI, dashboard_id: int = 11) -> dict[str, Any]:
    widgets: list[Json] = app.state.world.store.dashboard(dashboard_id)["widgets"]
    return {widget["name"]: widget["metadata"]["layout"] for widget in widgets}


def assert_no_overlap(boxes: dict[str, Json]) -> None:
    found = list(boxes.values())
    for index, a in enumerate(found):
        for b in found[index + 1 :]:
            apart = (
                a["x"] + a["w"] <= b["x"]
                or b["x"] + b["w"] <= a["x"]
                or a["y"] + a["h"] <= b["y"]
                or b["y"] + b["h"] <= a["y"]
            )
            assert apart, (a, b)  # fmt: skip


PLACES: list[tuple[Any, Json]] = [
    (None, {"x": 0, "y": 18, "w": 6, "h": 4}),
    ("top", {"x": 0, "y": 0, "w": 6, "h": 4}),
    ("after 201", {"x": 0, "y": 2, "w": 6, "h": 4}),
    ("after 203", {"x": 6, "y": 6, "w": 6, "h": 4}),
    ({"after": 208}, {"x": 0, "y": 18, "w": 6, "h": 4}),
]


@pytest.mark.parametrize(("place", "box"), PLACES, ids=str)
async def test_a_new_widget_goes_where_it_is_wanted_and_undo_puts_all_back(place: Any, box: Json) -> None:
    app = new_sandbox(count=10)
    before = layouts(app)
    async with open_tools(app) as (context, _):
        new = {**PIE, "place": place} if place else PIE
        _, receipt = await ask(context, "bulk_edit_dashboard", dashboard_id=11, create=[new])
        after = layouts(app)
        assert after["New"] == box
        assert_no_overlap(after)
        order = [name for name in sorted(after, key=lambda n: (after[n]["y"], after[n]["x"])) if name != "New"]
        assert order == sorted(before, key=lambda n: (before[n]["y"], before[n]["x"]))
        await ask(context, receipt["undo"]["tool"], **receipt["undo"]["arguments"])
    assert layouts(app) == before


async def test_room_on_the_right_is_used_and_several_follow_each_other() -> None:
    app = new_sandbox(count=10)
    async with open_tools(app) as (context, _):
        await ask(context, "bulk_edit_dashboard", dashboard_id=12, create=[PIE, {**PIE, "name": "Second"}, STAT])
    after = layouts(app, 12)
    assert after["New"] == {"x": 6, "y": 12, "w": 6, "h": 4}
    assert after["Second"] == {"x": 0, "y": 16, "w": 6, "h": 4}
    assert_no_overlap(after)


async def test_metadata_is_kept_around_the_place() -> None:
    app = new_sandbox(count=10)
    app.state.world.store.update_widget(
        201, {"metadata": {"layout": {"x": 0, "y": 0, "w": 12, "h": 2, "i": "a"}, "colour": "red"}}
    )
    async with open_tools(app) as (context, _):
        new = {**PIE, "metadata": {"colour": "blue"}, "place": "top"}
        await ask(context, "bulk_edit_dashboard", dashboard_id=11, create=[new])
    widgets = {w["name"]: w["metadata"] for w in app.state.world.store.dashboard(11)["widgets"]}
    assert widgets["New"] == {"colour": "blue", "layout": {"x": 0, "y": 0, "w": 6, "h": 4}}
    assert widgets["This week at a glance"] == {"layout": {"x": 0, "y": 4, "w": 12, "h": 2, "i": "a"}, "colour": "red"}


async def test_where_no_grid_is_shown_nothing_is_placed_and_a_wish_is_refused() -> None:
    app = new_sandbox(count=10)
    async with open_tools(app) as (context, recorder):
        with pytest.raises(
            errors.InvalidArguments, match=r"create\[0\].place: not every widget here shows its position"
        ):
            await ask(context, "bulk_edit_dashboard", dashboard_id=13, create=[{**PIE, "place": "top"}])
        assert recorder.writes() == []
        _, receipt = await ask(context, "bulk_edit_dashboard", dashboard_id=13, create=[PIE])
    assert "metadata" not in receipt["changes"][0]["fields"]


async def test_a_widget_that_is_restored_keeps_its_old_place_or_that_it_had_none() -> None:
    app = new_sandbox(count=10)
    app.state.world.store.update_widget(204, {"metadata": None})
    async with open_tools(app) as (context, _):
        _, stopped = await ask(context, "bulk_edit_dashboard", dashboard_id=11, delete=[204])
        _, gone = await ask(context, "bulk_edit_dashboard", dashboard_id=11, delete=[204], plan_id=stopped["plan_id"])
        _, back = await ask(context, gone["undo"]["tool"], **gone["undo"]["arguments"])
    assert app.state.world.store.widget(back["changes"][0]["id"])["metadata"] is None


async def test_one_widget_without_a_place_hides_the_grid() -> None:
    app = new_sandbox(count=10)
    app.state.world.store.update_widget(204, {"metadata": None})
    async with open_tools(app) as (context, _):
        with pytest.raises(errors.InvalidArguments, match="not every widget here shows its position"):
            await ask(context, "bulk_edit_dashboard", dashboard_id=11, create=[{**PIE, "place": "after 203"}])


@pytest.mark.parametrize(
    ("new", "more", "message"),
    [
        ({**PIE, "place": "after 999"}, {}, "widget 999 is not on this dashboard"),
        ({**PIE, "place": "after 205"}, {"delete": [205]}, "widget 205 is not on this dashboard after the edit"),
        ({**PIE, "place": "left"}, {}, "is top, top left, top right, bottom, or"),
        ({**PIE, "place": "top", "metadata": {"layout": {"x": 0, "y": 0, "w": 1, "h": 1}}}, {}, "give one of them"),
    ],
)
async def test_a_place_that_cannot_be_is_refused(new: Json, more: Json, message: str) -> None:
    async with open_tools(new_sandbox(count=10)) as (context, recorder):
        with pytest.raises(errors.InvalidArguments, match=message):
            await ask(context, "bulk_edit_dashboard", dashboard_id=11, create=[new], **more)
        assert recorder.writes() == []


async def test_a_move_by_a_colleague_meanwhile_refuses_the_plan() -> None:
    app = new_sandbox(count=10)
    async with open_tools(app) as (context, _):
        edit = {"dashboard_id": 11, "create": [{**PIE, "place": "after 203"}]}
        _, dry = await ask(context, "preview_edit", **edit)
        app.state.world.store.update_widget(206, {"metadata": {"layout": {"x": 6, "y": 10, "w": 6, "h": 4}}})
        with pytest.raises(errors.PlanRefused, match="widget 206 changed"):
            await ask(context, "bulk_edit_dashboard", **edit, plan_id=dry["plan_id"])


async def test_several_places_in_one_edit_have_an_undo_and_no_warning() -> None:
    app = new_sandbox(count=10)
    before = layouts(app)
    async with open_tools(app) as (context, _):
        new = [{**PIE, "place": "top"}, {**STAT, "place": "after 203"}, {**PIE, "name": "Third"}]
        _, dry = await ask(context, "preview_edit", dashboard_id=11, create=new)
        _, receipt = await ask(context, "bulk_edit_dashboard", dashboard_id=11, create=new)
        assert "warnings" not in dry
        assert "warnings" not in receipt
        assert_no_overlap(layouts(app))
        await ask(context, receipt["undo"]["tool"], **receipt["undo"]["arguments"])
    assert layouts(app) == before


MOVES: list[tuple[Json, Json]] = [
    ({"id": 206, "place": "top right", "layout": {"w": 3}}, {"x": 9, "y": 0, "w": 3, "h": 4}),
    ({"id": 206, "place": "top-left"}, {"x": 0, "y": 0, "w": 6, "h": 4}),
    ({"id": 206, "place": "top"}, {"x": 0, "y": 0, "w": 6, "h": 4}),
    ({"id": 203, "place": "bottom"}, {"x": 6, "y": 18, "w": 6, "h": 4}),
    ({"id": 208, "place": "after 201"}, {"x": 0, "y": 2, "w": 12, "h": 4}),
    ({"id": 206, "place": {"after": 202}, "layout": {"h": 2}}, {"x": 0, "y": 6, "w": 6, "h": 2}),
    ({"id": 204, "layout": {"w": 12}}, {"x": 0, "y": 6, "w": 12, "h": 4}),
    ({"id": 205, "layout": {"x": 0, "y": 0}}, {"x": 0, "y": 0, "w": 6, "h": 4}),
    ({"id": 205, "layout": {"w": 8}}, {"x": 4, "y": 6, "w": 8, "h": 4}),
]


@pytest.mark.parametrize(("move", "box"), MOVES, ids=str)
async def test_a_widget_is_moved_and_sized_others_make_room_and_undo_puts_all_back(move: Json, box: Json) -> None:
    app = new_sandbox(count=10)
    before, name = layouts(app), app.state.world.store.widget(move["id"])["name"]
    async with open_tools(app) as (context, _):
        _, dry = await ask(context, "preview_edit", dashboard_id=11, update=[move])
        assert layouts(app) == before
        _, receipt = await ask(context, "bulk_edit_dashboard", dashboard_id=11, update=[move])
        assert [change["id"] for change in receipt["changes"]] == [change["id"] for change in dry["changes"]]
        after = layouts(app)
        assert after[name] == box
        assert_no_overlap(after)
        rest = sorted(before, key=lambda n: (before[n]["y"], before[n]["x"]))
        assert {n: after[n]["x"] for n in rest if n != name} == {n: before[n]["x"] for n in rest if n != name}
        await ask(context, receipt["undo"]["tool"], **receipt["undo"]["arguments"])
    assert layouts(app) == before


async def test_arranging_closes_gaps_and_takes_overlaps_apart() -> None:
    app = new_sandbox(count=10)
    for number, y in ((208, 40), (207, 3), (205, 20)):
        box = app.state.world.store.widget(number)["metadata"]["layout"]
        app.state.world.store.update_widget(number, {"metadata": {"layout": {**box, "y": y}}})
    messy = layouts(app)
    async with open_tools(app) as (context, _):
        _, receipt = await ask(context, "bulk_edit_dashboard", dashboard_id=11, arrange=True)
        tidy = layouts(app)
        assert_no_overlap(tidy)
        assert {name: (box["x"], box["w"], box["h"]) for name, box in tidy.items()} == {
            name: (box["x"], box["w"], box["h"]) for name, box in messy.items()
        }
        rows = {row for box in tidy.values() for row in range(box["y"], box["y"] + box["h"])}
        assert rows == {*range(max(rows) + 1)}
        _, again = await ask(context, "bulk_edit_dashboard", dashboard_id=11, arrange=True)
        assert again["outcome"] == "nothing_to_do"
        await ask(context, receipt["undo"]["tool"], **receipt["undo"]["arguments"])
    assert layouts(app) == messy


async def test_one_widget_takes_a_part_of_a_position_and_says_what_it_lies_on() -> None:
    app = new_sandbox(count=10)
    before = layouts(app)
    async with open_tools(app) as (context, _):
        text, receipt = await ask(context, "update_widget", widget_id=204, layout={"w": 3})
        assert layouts(app)["Success rate by agent"] == {"x": 0, "y": 6, "w": 3, "h": 4}
        assert "lies on" not in text
        await ask(context, receipt["undo"]["tool"], **receipt["undo"]["arguments"])
        assert layouts(app) == before
        text, receipt = await ask(context, "update_widget", widget_id=204, changes={"layout": {"w": 12}})
        assert "it lies on widgets 205; bulk_edit_dashboard with arrange" in text
        await ask(context, receipt["undo"]["tool"], **receipt["undo"]["arguments"])
    assert layouts(app) == before


@pytest.mark.parametrize(
    ("tool", "arguments", "message"),
    [
        ("bulk_edit_dashboard", {"dashboard_id": 13, "arrange": True}, "arrange: not every widget here shows"),
        (
            "bulk_edit_dashboard",
            {"dashboard_id": 13, "update": [{"id": 216, "layout": {"w": 3}}]},
            r"update\[0\].layout: not every widget",
        ),
        ("update_widget", {"widget_id": 218, "changes": {"layout": {"w": 3}}}, "this widget shows no position"),
        (
            "bulk_edit_dashboard",
            {"dashboard_id": 11, "update": [{"id": 203, "layout": {"w": 40}}]},
            "wider than the dashboard, which has 12 columns",
        ),
        (
            "bulk_edit_dashboard",
            {"dashboard_id": 11, "update": [{"id": 206, "layout": {"x": 9}}]},
            "reaches beyond the 12 columns",
        ),
        (
            "bulk_edit_dashboard",
            {"dashboard_id": 11, "update": [{"id": 203, "place": "after 203"}]},
            "or is this one",
        ),
        ("bulk_edit_dashboard", {"dashboard_id": 11, "update": [{"id": 203, "layout": {"w": -1}}]}, "at least 1"),
    ],
)
async def test_a_move_that_cannot_be_is_refused(tool: str, arguments: Json, message: str) -> None:
    async with open_tools(new_sandbox(count=10)) as (context, recorder):
        with pytest.raises(errors.InvalidArguments, match=message):
            await ask(context, tool, **arguments)
        assert recorder.writes() == []
