"""Layout: requested places, no overlaps, and automatic placement only on dashboards with a layout."""

from typing import Any

import pytest
from fastapi import FastAPI

from cekura_dashboards.api import errors
from cekura_dashboards.api.wire import Response
from support import (
    LAST_3_DAYS,
    Era,
    Json,
    ask,
    connect,
    content,
    new_sandbox,
    on_write,
    open_tools,
    stored,
    text_of,
    undo,
)

pytestmark = pytest.mark.anyio
PIE: Json = {"name": "New", "chart_type": "pie", "field": "topic"}
STAT: Json = {"name": "Figures", "chart_type": "stat"}


def layouts(app: FastAPI, dashboard_id: int = 11) -> dict[str, Any]:
    widgets: list[Json] = app.state.world.store.dashboard(dashboard_id)["widgets"]
    return {widget["name"]: widget["metadata"]["layout"] for widget in widgets}


def assert_no_overlap(boxes: dict[str, Json]) -> None:
    placed = list(boxes.values())
    for index, a in enumerate(placed):
        for b in placed[index + 1 :]:
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


@pytest.mark.parametrize(("place", "layout"), PLACES, ids=str)
async def test_a_new_widget_is_placed_as_requested_and_undo_restores_the_layout(place: Any, layout: Json) -> None:
    app = new_sandbox(count=10)
    before = layouts(app)
    async with open_tools(app) as (context, _):
        new = {**PIE, "place": place} if place else PIE
        _, receipt = await ask(context, "bulk_edit_dashboard", dashboard_id=11, create=[new])
        after = layouts(app)
        assert after["New"] == layout
        assert_no_overlap(after)
        order = [name for name in sorted(after, key=lambda n: (after[n]["y"], after[n]["x"])) if name != "New"]
        assert order == sorted(before, key=lambda n: (before[n]["y"], before[n]["x"]))
        await ask(context, receipt["undo"]["tool"], **receipt["undo"]["arguments"])
    assert layouts(app) == before


async def test_new_widgets_fill_free_space_and_then_new_rows() -> None:
    app = new_sandbox(count=10)
    async with open_tools(app) as (context, _):
        await ask(context, "bulk_edit_dashboard", dashboard_id=12, create=[PIE, {**PIE, "name": "Second"}, STAT])
    after = layouts(app, 12)
    assert after["New"] == {"x": 6, "y": 12, "w": 6, "h": 4}
    assert after["Second"] == {"x": 0, "y": 16, "w": 6, "h": 4}
    assert_no_overlap(after)


async def test_placing_a_widget_keeps_its_other_metadata() -> None:
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


async def test_a_dashboard_without_layout_gets_none_unless_requested() -> None:
    app = new_sandbox(count=10)
    async with open_tools(app) as (context, recorder):
        _, receipt = await ask(context, "bulk_edit_dashboard", dashboard_id=13, create=[PIE])
        assert "GET /dashboards/widgets/" not in recorder.paths()
    assert "metadata" not in receipt["changes"][0]["fields"]
    assert {widget["metadata"] for widget in app.state.world.store.dashboard(13)["widgets"]} == {None}


async def test_a_new_dashboard_can_be_laid_out_and_extended(era: Era) -> None:
    app = new_sandbox(count=10)
    before = content(app)
    first = [
        {**PIE, "name": "Left", "layout": {"w": 4}},
        {**PIE, "name": "Beside"},
        {**STAT, "place": "top"},
    ]
    async with connect(app, era) as client:

        async def call_tool(tool: str, **arguments: Any) -> Json:
            answer = await client.call_tool(tool, arguments)
            assert not answer.is_error, text_of(answer)
            receipt: Json = answer.structured_content
            assert receipt["outcome"] == "applied"
            return receipt

        created = await call_tool("create_dashboard", name="New", project_id=1, filters=LAST_3_DAYS, widgets=first)
        number = created["dashboard_id"]
        assert layouts(app, number) == {
            "Figures": {"x": 0, "y": 0, "w": 12, "h": 2},
            "Left": {"x": 0, "y": 2, "w": 4, "h": 4},
            "Beside": {"x": 4, "y": 2, "w": 6, "h": 4},
        }
        assert "warnings" not in created
        more = await call_tool("bulk_edit_dashboard", dashboard_id=number, create=[{**PIE, "place": "top right"}])
        assert layouts(app, number)["New"] == {"x": 8, "y": 0, "w": 4, "h": 4}
        assert_no_overlap(layouts(app, number))
        await call_tool(more["undo"]["tool"], **more["undo"]["arguments"])
        await call_tool(created["undo"]["tool"], **created["undo"]["arguments"])
    assert content(app) == before


async def test_a_narrow_dashboard_uses_the_width_of_the_others() -> None:
    app = new_sandbox(count=10)
    async with open_tools(app) as (context, _):
        _, created = await ask(
            context, "create_dashboard", name="N", project_id=1, filters=LAST_3_DAYS, widgets=[{**PIE, "place": "top"}]
        )
        number = created["dashboard_id"]
        await ask(context, "bulk_edit_dashboard", dashboard_id=number, create=[{**STAT, "layout": {"w": 12}}])
    assert layouts(app, number) == {
        "New": {"x": 0, "y": 0, "w": 6, "h": 4},
        "Figures": {"x": 0, "y": 4, "w": 12, "h": 4},
    }


async def test_a_copied_dashboard_makes_room_for_placed_widgets() -> None:
    app = new_sandbox(count=10)
    before, first = content(app), layouts(app, 12)
    async with open_tools(app) as (context, recorder):
        new = [{**STAT, "place": "top"}, {**PIE, "place": "after 212"}]
        _, created = await ask(context, "create_dashboard", name="Copied", copy_of=12, widgets=new)
        assert created["outcome"] == "applied"
        assert "differences" not in created
        assert len(recorder.writes()) == 2
        after = layouts(app, created["dashboard_id"])
        assert after["Figures"] == {"x": 0, "y": 0, "w": 6, "h": 4}
        assert after["New"] == {"x": 6, "y": 12, "w": 6, "h": 4}
        assert {name: layout["y"] for name, layout in after.items() if layout["y"] < 12 and name != "Figures"} == {
            name: layout["y"] + 4 for name, layout in first.items() if layout["y"] < 8
        }
        assert_no_overlap(after)
        assert layouts(app, 12) == first
        await undo(context, created)
    assert content(app) == before


async def test_a_copy_with_failed_widgets_can_be_completed_without_overlap() -> None:
    app = new_sandbox(count=10)
    async with open_tools(app) as (context, recorder):
        recorder.fault = on_write("bulk_widgets/", Response(500, b""))
        new = [{**STAT, "place": "top"}]
        _, created = await ask(context, "create_dashboard", name="Copied", copy_of=12, widgets=new)
        assert created["outcome"] == "partly_applied"
        recorder.fault = None
        [remaining] = created["remaining"]
        await ask(context, remaining["tool"], **remaining["arguments"])
    after = layouts(app, created["dashboard_id"])
    assert after["Figures"]["y"] == 0
    assert_no_overlap(after)


WITHOUT_LAYOUT: list[tuple[Json, str, Json]] = [
    ({"create": [{**PIE, "place": "top"}]}, "New", {"x": 0, "y": 0, "w": 6, "h": 4}),
    ({"create": [{**PIE, "layout": {"x": 3, "y": 1}}]}, "New", {"x": 3, "y": 1, "w": 6, "h": 4}),
    ({"update": [{"id": 218, "place": "top right"}]}, "Outcome", {"x": 6, "y": 0, "w": 6, "h": 4}),
    ({"update": [{"id": 218, "layout": {"w": 12}}]}, "Outcome", {"x": 0, "y": 4, "w": 12, "h": 4}),
    ({"arrange": True}, "Weekly talk time", {"x": 0, "y": 8, "w": 6, "h": 4}),
]


@pytest.mark.parametrize(("edit", "name", "layout"), WITHOUT_LAYOUT, ids=str)
async def test_requesting_a_place_adds_a_layout_to_the_whole_dashboard(edit: Json, name: str, layout: Json) -> None:
    app = new_sandbox(count=10)
    before = content(app)
    async with open_tools(app) as (context, _):
        _, dry = await ask(context, "preview_edit", dashboard_id=13, **edit)
        assert content(app) == before
        assert "widgets 216, 217, 218, 219, 220 had no position before" in dry["warnings"]
        _, receipt = await ask(context, "bulk_edit_dashboard", dashboard_id=13, **edit, plan_id=dry["plan_id"])
        after = layouts(app, 13)
        assert after[name] == layout
        assert_no_overlap(after)
        await undo(context, receipt)
    assert content(app) == before


async def test_layouts_are_written_in_the_format_of_other_dashboards() -> None:
    app = new_sandbox(count=10)
    for widget in [*app.state.world.store.widgets(11), *app.state.world.store.widgets(12)]:
        layout = widget["metadata"]["layout"]
        app.state.world.store.update_widget(
            widget["id"], {"metadata": {"ui": {"pos": {**layout, "w": layout["w"] * 2}}}}
        )
    async with open_tools(app) as (context, _):
        _, receipt = await ask(context, "bulk_edit_dashboard", dashboard_id=13, create=[{**PIE, "place": "bottom"}])
    assert app.state.world.store.widget(receipt["changes"][0]["id"])["metadata"] == {
        "ui": {"pos": {"x": 0, "y": 12, "w": 12, "h": 4}}
    }
    assert app.state.world.store.widget(217)["metadata"] == {"ui": {"pos": {"x": 12, "y": 0, "w": 12, "h": 4}}}


@pytest.mark.parametrize("answered", [True, False], ids=["no layout", "unreadable"])
async def test_an_unverified_layout_format_is_warned_about(answered: bool) -> None:  # noqa: FBT001 - a parameter
    app = new_sandbox(count=10)
    for number in range(201, 221):
        app.state.world.store.update_widget(number, {"metadata": {"colour": "red"}})
    async with open_tools(app) as (context, recorder):
        recorder.fault = lambda sent: None if answered or sent.path != "/dashboards/widgets/" else Response(500, b"")
        _, created = await ask(
            context, "create_dashboard", name="N", project_id=1, filters=LAST_3_DAYS, widgets=[{**STAT, "place": "top"}]
        )
        [warning] = created["warnings"]
        assert "they are written to metadata.layout in 12 columns; whether the web app reads them" in warning
        _, receipt = await ask(context, "bulk_edit_dashboard", dashboard_id=11, arrange=True)
    assert app.state.world.store.widget(201)["metadata"]["colour"] == "red"
    assert len(receipt["changes"]) == 8
    assert_no_overlap(layouts(app))


async def test_a_restored_widget_without_a_layout_stays_without_one() -> None:
    app = new_sandbox(count=10)
    app.state.world.store.update_widget(204, {"metadata": None})
    async with open_tools(app) as (context, _):
        _, plan = await ask(context, "bulk_edit_dashboard", dashboard_id=11, delete=[204])
        _, deleted = await ask(context, "bulk_edit_dashboard", dashboard_id=11, delete=[204], plan_id=plan["plan_id"])
        _, undone = await ask(context, deleted["undo"]["tool"], **deleted["undo"]["arguments"])
    assert app.state.world.store.widget(undone["changes"][0]["id"])["metadata"] is None


async def test_a_widget_without_a_layout_is_placed_last() -> None:
    app = new_sandbox(count=10)
    app.state.world.store.update_widget(204, {"metadata": None})
    before = stored(app)
    async with open_tools(app) as (context, _):
        _, receipt = await ask(context, "bulk_edit_dashboard", dashboard_id=11, create=[{**PIE, "place": "after 203"}])
        assert receipt["warnings"] == ["widget 204 had no position before"]
        after = layouts(app)
        assert after["New"] == {"x": 6, "y": 6, "w": 6, "h": 4}
        assert after["Success rate by agent"]["y"] == max(layout["y"] for layout in after.values())
        assert_no_overlap(after)
        await undo(context, receipt)
        assert stored(app) == before
        _, receipt = await ask(
            context, "bulk_edit_dashboard", dashboard_id=11, update=[{"id": 203, "layout": {"h": 5}}]
        )
    assert [change["id"] for change in receipt["changes"]] == [203]


@pytest.mark.parametrize(
    ("new", "more", "message"),
    [
        ({**PIE, "place": "after 999"}, {}, "widget 999 is the same one, or not on this dashboard"),
        (
            {**PIE, "place": "after 205"},
            {"delete": [205]},
            "widget 205 is the same one, or not on this dashboard after the edit",
        ),
        ({**PIE, "place": "left"}, {}, '"left" is not a place; use top, top left, top right, bottom, or'),
        ({**PIE, "place": "top", "metadata": {"layout": {"x": 0, "y": 0, "w": 1, "h": 1}}}, {}, "give only one"),
    ],
)
async def test_invalid_places_are_rejected(new: Json, more: Json, message: str) -> None:
    async with open_tools(new_sandbox(count=10)) as (context, recorder):
        with pytest.raises(errors.InvalidArguments, match=message):
            await ask(context, "bulk_edit_dashboard", dashboard_id=11, create=[new], **more)
        assert recorder.writes() == []


async def test_a_plan_is_rejected_after_a_concurrent_move() -> None:
    app = new_sandbox(count=10)
    async with open_tools(app) as (context, _):
        edit = {"dashboard_id": 11, "create": [{**PIE, "place": "after 203"}]}
        _, dry = await ask(context, "preview_edit", **edit)
        app.state.world.store.update_widget(206, {"metadata": {"layout": {"x": 6, "y": 10, "w": 6, "h": 4}}})
        with pytest.raises(errors.PlanRefused, match="widget 206 changed"):
            await ask(context, "bulk_edit_dashboard", **edit, plan_id=dry["plan_id"])


async def test_several_placed_widgets_can_be_undone_without_warnings() -> None:
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


@pytest.mark.parametrize(("move", "layout"), MOVES, ids=str)
async def test_others_make_room_for_a_moved_widget_and_undo_restores_all(move: Json, layout: Json) -> None:
    app = new_sandbox(count=10)
    before, name = layouts(app), app.state.world.store.widget(move["id"])["name"]
    async with open_tools(app) as (context, _):
        _, dry = await ask(context, "preview_edit", dashboard_id=11, update=[move])
        assert layouts(app) == before
        _, receipt = await ask(context, "bulk_edit_dashboard", dashboard_id=11, update=[move])
        assert [change["id"] for change in receipt["changes"]] == [change["id"] for change in dry["changes"]]
        after = layouts(app)
        assert after[name] == layout
        assert_no_overlap(after)
        rest = sorted(before, key=lambda n: (before[n]["y"], before[n]["x"]))
        assert {n: after[n]["x"] for n in rest if n != name} == {n: before[n]["x"] for n in rest if n != name}
        await ask(context, receipt["undo"]["tool"], **receipt["undo"]["arguments"])
    assert layouts(app) == before


async def test_arrange_closes_gaps_and_resolves_overlaps() -> None:
    app = new_sandbox(count=10)
    for number, y in ((208, 40), (207, 3), (205, 20)):
        layout = app.state.world.store.widget(number)["metadata"]["layout"]
        app.state.world.store.update_widget(number, {"metadata": {"layout": {**layout, "y": y}}})
    messy = layouts(app)
    async with open_tools(app) as (context, _):
        _, receipt = await ask(context, "bulk_edit_dashboard", dashboard_id=11, arrange=True)
        tidy = layouts(app)
        assert_no_overlap(tidy)
        assert {name: (layout["x"], layout["w"], layout["h"]) for name, layout in tidy.items()} == {
            name: (layout["x"], layout["w"], layout["h"]) for name, layout in messy.items()
        }
        rows = {row for layout in tidy.values() for row in range(layout["y"], layout["y"] + layout["h"])}
        assert rows == {*range(max(rows) + 1)}
        _, again = await ask(context, "bulk_edit_dashboard", dashboard_id=11, arrange=True)
        assert again["outcome"] == "nothing_to_do"
        await ask(context, receipt["undo"]["tool"], **receipt["undo"]["arguments"])
    assert layouts(app) == messy


async def test_a_partial_layout_update_reports_overlapping_widgets() -> None:
    app = new_sandbox(count=10)
    before = layouts(app)
    async with open_tools(app) as (context, _):
        text, receipt = await ask(context, "update_widget", widget_id=204, layout={"w": 3})
        assert layouts(app)["Success rate by agent"] == {"x": 0, "y": 6, "w": 3, "h": 4}
        assert "lies on" not in text
        await ask(context, receipt["undo"]["tool"], **receipt["undo"]["arguments"])
        assert layouts(app) == before
        text, receipt = await ask(context, "update_widget", widget_id=204, changes={"layout": {"w": 12}})
        assert "it lies on widget 205; bulk_edit_dashboard with arrange" in text
        await ask(context, receipt["undo"]["tool"], **receipt["undo"]["arguments"])
    assert layouts(app) == before


@pytest.mark.parametrize(
    ("tool", "arguments", "message"),
    [
        ("update_widget", {"widget_id": 218, "changes": {"layout": {"w": 3}}}, "bulk_edit_dashboard gives it one"),
        (
            "bulk_edit_dashboard",
            {"dashboard_id": 11, "update": [{"id": 203, "layout": {"w": 40}}]},
            "wider than the dashboard's 12 columns",
        ),
        (
            "bulk_edit_dashboard",
            {"dashboard_id": 11, "update": [{"id": 206, "layout": {"x": 9}}]},
            "exceeds the dashboard's 12 columns",
        ),
        (
            "bulk_edit_dashboard",
            {"dashboard_id": 11, "update": [{"id": 203, "place": "after 203"}]},
            "is the same one",
        ),
        ("bulk_edit_dashboard", {"dashboard_id": 11, "update": [{"id": 203, "layout": {"w": -1}}]}, "at least 1"),
    ],
)
async def test_impossible_layouts_are_rejected(tool: str, arguments: Json, message: str) -> None:
    async with open_tools(new_sandbox(count=10)) as (context, recorder):
        with pytest.raises(errors.InvalidArguments, match=message):
            await ask(context, tool, **arguments)
        assert recorder.writes() == []
