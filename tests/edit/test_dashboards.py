"""Whole dashboards: create, copy, change, delete, copy widgets to many; what the receipts say, and the way back."""

from typing import Any

import pytest

from cekura_dashboards.api import errors
from cekura_dashboards.api.wire import Answer
from cekura_dashboards.context import ToolContext
from support import Fault, Json, Sent, ask, content, new_sandbox, open_tools, plain

pytestmark = pytest.mark.anyio
PIE: Json = {"name": "Topics again", "chart_type": "pie", "field": "topic"}
SINCE: Json = {"field": "timestamp", "op": "gte", "value": "today-3d"}


async def undo(context: ToolContext, receipt: Json, *restored: str) -> Json:
    arguments = {**receipt["undo"]["arguments"], **({"restored": [*restored]} if restored else {})}
    _, answer = await ask(context, receipt["undo"]["tool"], **arguments)
    assert answer["outcome"] == "applied"
    assert "differences" not in answer
    return answer


EDITS: list[tuple[str, Json]] = [
    ("create_dashboard", {"name": "New", "project_id": 1}),
    ("create_dashboard", {"name": "New", "project_id": 2, "filters": SINCE, "widgets": [PIE, {"chart_type": "stat"}]}),
    ("create_dashboard", {"name": "A copy", "copy_of": 12}),
    ("create_dashboard", {"name": "A copy", "copy_of": 12, "filters": SINCE, "widgets": [PIE]}),
    ("create_dashboard", {"name": "Operations overview", "copy_of": 11, "project_id": 1}),
    ("update_dashboard", {"dashboard_id": 11, "name": "Renamed"}),
    ("update_dashboard", {"dashboard_id": 12, "filters": SINCE}),
    ("update_dashboard", {"dashboard_id": 12, "name": "Renamed", "clear": ["filters"]}),
    ("update_dashboard", {"dashboard_id": 13, "filters": SINCE, "clear": ["name"]}),
    ("delete_dashboard", {"dashboard_id": 12}),
    ("copy_widgets", {"widget_ids": [203], "dashboard_ids": [12]}),
    ("copy_widgets", {"widget_ids": [203, 218], "dashboard_ids": [11, 12, 13]}),
]


@pytest.mark.parametrize(("tool", "arguments"), EDITS, ids=[f"{tool}-{i}" for i, (tool, _) in enumerate(EDITS)])
async def test_each_kind_of_edit_its_undo_and_the_undo_of_that_lead_back_and_forth(tool: str, arguments: Json) -> None:
    app = new_sandbox(count=10)
    before = content(app)
    async with open_tools(app) as (context, _):
        receipt = await carried_out(context, tool, arguments)
        after = content(app)
        assert after != before
        redo = await undo(context, receipt)
        assert content(app) == before
        again = await undo(context, redo)
        assert content(app) == after
        await undo(context, again)
        assert content(app) == before


async def carried_out(context: ToolContext, tool: str, arguments: Json) -> Json:
    """The receipt of an edit, planned first where it must be."""
    _, receipt = await ask(context, tool, **arguments)
    if receipt["outcome"] == "needs_plan":
        _, receipt = await ask(context, tool, **arguments, plan_id=receipt["plan_id"])
    assert receipt["outcome"] == "applied"
    assert "differences" not in receipt
    return receipt


async def test_a_copy_has_all_widgets_and_the_new_name_and_filters() -> None:
    app = new_sandbox(count=10)
    async with open_tools(app) as (context, recorder):
        text, receipt = await ask(context, "create_dashboard", name="Mine", copy_of=12, filters=SINCE)
        assert [sent.path for sent in recorder.writes()] == [
            "/dashboards/dashboards/12/duplicate/",
            f"/dashboards/dashboards/{receipt['dashboard_id']}/",
        ]
    made = app.state.world.store.dashboard(receipt["dashboard_id"])
    assert (made["name"], made["filters"]) == ("Mine", SINCE)
    assert [plain(w) for w in made["widgets"]] == [plain(w) for w in app.state.world.store.dashboard(12)["widgets"]]
    assert f"create dashboard {made['id']} " in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": ""}, "name: is empty"),
        ({"name": "x"}, 'project_id: is missing; the key sees several projects: 1 "Northside'),
        ({"name": "x", "project_id": 2, "copy_of": 12}, "a copy stays in the project of its original, 1"),
        ({"name": "x", "copy_of": 12, "widgets": [{**PIE, "place": "top"}]}, "cannot be placed in a copy"),
        ({"name": "x", "project_id": 1, "widgets": [{**PIE, "place": "top"}]}, r"widgets\[0\].place: not every widget"),
        ({"name": "x", "project_id": 1, "widgets": [{"chart_type": "line", "field": "topic"}]}, r"widgets\[0\].chart_type"),
        ({"name": "x", "project_id": 1, "widgets": [{"chart_type": "pie", "field": "metric_evaluations.value", "metric": 507}]},
         r"no metric 507 in project 1"),
    ],
)  # fmt: skip
async def test_a_dashboard_that_cannot_be_is_not_created(arguments: Json, message: str) -> None:
    async with open_tools(new_sandbox(count=10)) as (context, recorder):
        with pytest.raises(errors.InvalidArguments, match=message):
            await ask(context, "create_dashboard", **arguments)
        assert recorder.writes() == []


async def test_the_project_comes_from_the_settings_and_a_namesake_is_warned_of() -> None:
    app = new_sandbox(count=10)
    async with open_tools(app, project_id=2) as (context, _):
        _, receipt = await ask(context, "create_dashboard", name="Telecom quality")
    assert app.state.world.store.dashboard(receipt["dashboard_id"])["project"] == 2
    assert 'there is a dashboard "Telecom quality" already: 13' in receipt["warnings"][0]


def on(path_end: str, outcome: Any) -> Fault:
    return lambda sent: outcome if sent.method != "GET" and sent.path.endswith(path_end) else None


async def test_when_the_widgets_fail_the_receipt_says_what_exists_and_how_to_go_on_or_back() -> None:
    app = new_sandbox(count=10)
    before = content(app)
    async with open_tools(app) as (context, recorder):
        recorder.fault = on("bulk_widgets/", Answer(500, b""))
        text, receipt = await ask(context, "create_dashboard", name="Half", project_id=1, filters=SINCE, widgets=[PIE])
        assert receipt["outcome"] == "partly_applied"
        assert text.startswith("Only part of it was done.")
        assert receipt["not_done"][0].startswith("its 1 widgets: ")
        [made] = [change for change in receipt["changes"] if change["op"] == "create"]
        assert made["of"] == "dashboard"
        recorder.fault = None
        [rest] = receipt["complete"]
        _, completed = await ask(context, rest["tool"], **rest["arguments"])
        assert completed["outcome"] == "applied"
        await undo(context, completed)
        await undo(context, receipt)
    assert content(app) == before


async def test_when_it_is_not_known_whether_the_widgets_arrived_no_repeat_is_offered() -> None:
    app = new_sandbox(count=10)
    async with open_tools(app) as (context, recorder):
        recorder.fault = on("bulk_widgets/", errors.DeadlinePassed(30))
        _, receipt = await ask(context, "create_dashboard", name="Half", project_id=1, widgets=[PIE])
    assert receipt["outcome"] == "partly_applied"
    assert "create 1 unknown" in receipt["not_done"][0]
    assert "complete" not in receipt


async def test_when_the_filters_of_a_copy_fail_the_call_that_sets_them_is_given() -> None:
    app = new_sandbox(count=10)
    async with open_tools(app) as (context, recorder):
        recorder.fault = lambda sent: Answer(400, b'{"filters": ["No."]}') if sent.method == "PATCH" else None
        _, receipt = await ask(context, "create_dashboard", name="C", copy_of=12, filters=SINCE)
    assert receipt["outcome"] == "partly_applied"
    number = receipt["dashboard_id"]
    assert receipt["complete"] == [
        {"tool": "update_dashboard", "arguments": {"dashboard_id": number, "filters": SINCE}}
    ]


LOST: list[Any] = [errors.ConnectionBroken("ReadError"), errors.DeadlinePassed(30), Answer(502, b""), Answer(500, b"")]
WRITES: list[tuple[str, Json]] = [
    ("create_dashboard", {"name": "New", "project_id": 1}),
    ("create_dashboard", {"name": "Copied", "copy_of": 12}),
    ("update_dashboard", {"dashboard_id": 11, "name": "Renamed"}),
    ("delete_dashboard", {"dashboard_id": 13}),
    ("copy_widgets", {"widget_ids": [203], "dashboard_ids": [12, 13]}),
]


@pytest.mark.parametrize(("tool", "arguments"), WRITES, ids=[f"{t}-{i}" for i, (t, _) in enumerate(WRITES)])
@pytest.mark.parametrize("lost", LOST, ids=["broken", "too slow", "502", "500"])
async def test_an_edit_whose_answer_was_lost_is_read_back(lost: Any, tool: str, arguments: Json) -> None:
    app = new_sandbox(count=10)
    before = content(app)
    async with open_tools(app) as (context, recorder):
        if tool == "delete_dashboard":
            _, stopped = await ask(context, tool, **arguments)
            arguments = {**arguments, "plan_id": stopped["plan_id"]}
        recorder.after = lambda sent: lost if sent in recorder.writes() else None
        _, receipt = await ask(context, tool, **arguments)
        assert receipt["outcome"] == "applied"
        assert "was lost" in receipt["warnings"][-1]
        assert len(recorder.writes()) == (2 if tool == "copy_widgets" else 1)
        recorder.after = None
        await undo(context, receipt)
    assert content(app) == before


@pytest.mark.parametrize(("tool", "arguments"), WRITES, ids=[f"{t}-{i}" for i, (t, _) in enumerate(WRITES)])
async def test_an_edit_that_did_not_arrive_is_not_called_done(tool: str, arguments: Json) -> None:
    app = new_sandbox(count=10)
    before = content(app)
    async with open_tools(app) as (context, recorder):
        if tool == "delete_dashboard":
            _, stopped = await ask(context, tool, **arguments)
            arguments = {**arguments, "plan_id": stopped["plan_id"]}
        for lost, told in ((Answer(500, b""), "not applied"), (errors.DeadlinePassed(30), "unknown")):
            recorder.fault = lambda sent, lost=lost: lost if sent in recorder.writes() else None
            with pytest.raises(errors.EditFailed) as caught:
                await ask(context, tool, **arguments)
            assert set(caught.value.outcomes.values()) == {told}
    assert content(app) == before


async def test_a_copy_to_many_of_which_some_fail_says_which_and_how_to_complete_it() -> None:
    app = new_sandbox(count=10)
    before = content(app)
    async with open_tools(app) as (context, recorder):
        recorder.fault = on("/12/bulk_widgets/", Answer(400, b'{"detail": "Locked."}'))
        _, receipt = await ask(context, "copy_widgets", widget_ids=[218], dashboard_ids=[11, 12])
        assert receipt["outcome"] == "partly_applied"
        assert [change["dashboard_id"] for change in receipt["changes"]] == [11]
        assert "dashboard 12: " in receipt["not_done"][0]
        assert "Locked." in receipt["not_done"][0]
        assert receipt["complete"][0]["arguments"]["dashboard_ids"] == [12]
        recorder.fault = None
        _, rest = await ask(context, receipt["complete"][0]["tool"], **receipt["complete"][0]["arguments"])
        await undo(context, rest)
        await undo(context, receipt)
    assert content(app) == before


async def test_the_same_three_charts_on_twelve_dashboards_are_two_calls_and_one_undo() -> None:
    app = new_sandbox(count=10)
    store = app.state.world.store
    targets = [store.create_dashboard({"name": f"Site {i}", "project": 1, "filters": SINCE})["id"] for i in range(12)]
    before = content(app)
    async with open_tools(app, confirm="writes") as (context, recorder):
        wanted = {"widget_ids": [202, 203, 205], "dashboard_ids": targets}
        dry, stopped = await ask(context, "copy_widgets", **wanted)
        assert recorder.writes() == []
        text, receipt = await ask(context, "copy_widgets", **wanted, plan_id=stopped["plan_id"])
        assert [len(store.dashboard(number)["widgets"]) for number in targets] == [3] * 12
        assert max(len(dry), len(text)) < 9000
        await undo(context, receipt)
    assert content(app) == before


async def test_copies_go_below_what_is_there_and_stay_as_they_are_where_no_grid_is_shown() -> None:
    app = new_sandbox(count=10)
    async with open_tools(app) as (context, _):
        _, receipt = await ask(context, "copy_widgets", widget_ids=[203], dashboard_ids=[12, 13])
    where = {change["dashboard_id"]: app.state.world.store.widget(change["id"]) for change in receipt["changes"]}
    assert where[12]["metadata"] == {"layout": {"x": 6, "y": 12, "w": 6, "h": 4}}
    assert where[13]["metadata"] == app.state.world.store.widget(203)["metadata"]


async def test_a_metric_of_another_project_cannot_be_copied() -> None:
    async with open_tools(new_sandbox(count=10)) as (context, recorder):
        with pytest.raises(
            errors.InvalidArguments, match="widget 210 on dashboard 13: metric: no metric 501 in project 2"
        ):
            await ask(context, "copy_widgets", widget_ids=[210], dashboard_ids=[11, 13])
        assert recorder.writes() == []


async def test_a_widget_is_not_copied_onto_its_own_dashboard_and_an_equal_one_is_warned_of() -> None:
    async with open_tools(new_sandbox(count=10)) as (context, _):
        _, receipt = await ask(context, "copy_widgets", widget_ids=[218], dashboard_ids=[11, 13])
        assert "widget 218 is on dashboard 13 itself" in receipt["notes"][0]
        assert len(receipt["changes"]) == 1
        _, again = await ask(context, "copy_widgets", widget_ids=[219], dashboard_ids=[11])
        _, twice = await ask(context, "copy_widgets", widget_ids=[again["changes"][0]["id"]], dashboard_ids=[13])
    assert "has one like widget" in twice["warnings"][0]


async def test_copies_are_taken_away_only_by_an_undo() -> None:
    async with open_tools(new_sandbox(count=10)) as (context, recorder):
        with pytest.raises(errors.InvalidArguments, match="remove: belongs to an undo"):
            await ask(context, "copy_widgets", widget_ids=[203], dashboard_ids=[12], remove=[209])
        with pytest.raises(errors.PlanRefused):
            await ask(context, "copy_widgets", widget_ids=[203], dashboard_ids=[12], remove=[209], plan_id="a.b.c.d")
        assert recorder.writes() == []


async def test_a_dashboard_that_somebody_changed_is_not_deleted_by_an_older_plan() -> None:
    app = new_sandbox(count=10)
    async with open_tools(app) as (context, recorder):
        _, stopped = await ask(context, "delete_dashboard", dashboard_id=13)
        app.state.world.store.update_widget(218, {"name": "Mine now"})
        with pytest.raises(errors.PlanRefused, match="widget 218 changed"):
            await ask(context, "delete_dashboard", dashboard_id=13, plan_id=stopped["plan_id"])
        assert recorder.writes() == []


async def test_an_undo_of_a_dashboards_filters_is_refused_after_a_colleagues_edit() -> None:
    app = new_sandbox(count=10)
    async with open_tools(app) as (context, _):
        _, receipt = await ask(context, "update_dashboard", dashboard_id=11, filters=SINCE)
        app.state.world.store.update_dashboard(11, {"filters": None})
        with pytest.raises(errors.PlanRefused, match="dashboard 11 changed: filters is now null"):
            await undo(context, receipt)


async def test_widgets_that_would_lose_their_date_range_are_warned_of() -> None:
    async with open_tools(new_sandbox(count=10)) as (context, _):
        _, receipt = await ask(context, "update_dashboard", dashboard_id=11, clear=["filters"])
        assert '201 "This week at a glance"' in receipt["warnings"][0]
        assert "and 2 more" in receipt["warnings"][0]


async def test_older_undo_calls_go_on_working_for_what_was_restored_under_new_ids() -> None:
    app = new_sandbox(count=10)
    before = content(app)
    async with open_tools(app) as (context, _):
        renamed = await carried_out(context, "update_widget", {"widget_id": 218, "changes": {"name": "Renamed"}})
        mixed = {"dashboard_id": 13, "create": [PIE], "delete": [218]}
        edited = await carried_out(context, "bulk_edit_dashboard", mixed)
        deleted = await carried_out(context, "delete_dashboard", {"dashboard_id": 13})
        back = await undo(context, deleted)
        assert back["restored"][0].startswith(f"dashboard 13 = {back['dashboard_id']} #")
        back_too = await undo(context, edited, *back["restored"])
        assert back_too["restored"][0].startswith("widget 218 = ")
        with pytest.raises(errors.NotFound):
            await undo(context, renamed)
        await undo(context, renamed, *back["restored"], *back_too["restored"])
    assert content(app) == before


async def test_what_is_restored_stands_for_the_old_only_where_it_is_the_same() -> None:
    app = new_sandbox(count=10)
    async with open_tools(app) as (context, _):
        renamed = await carried_out(context, "update_widget", {"widget_id": 218, "changes": {"name": "Renamed"}})
        with pytest.raises(errors.PlanRefused, match="a line that no receipt for this key has"):
            await undo(context, renamed, "widget 218 = 219 #AAAAAAAA")
        with pytest.raises(errors.InvalidArguments, match="restored: holds lines exactly as receipts give them"):
            await undo(context, renamed, "218 is 219")


async def test_a_dry_run_shows_changes_and_numbers_and_its_plan_carries_the_edit() -> None:
    app = new_sandbox(count=2000)
    edit = {
        "dashboard_id": 11,
        "create": [PIE],
        "update": [{"id": 203, "filters": {"field": "agent.id", "op": "eq", "value": 33}}, {"id": 202, "name": "N"}],
        "delete": [205],
    }
    async with open_tools(app) as (context, recorder):
        text, dry = await ask(context, "preview_edit", **edit)
        assert recorder.writes() == []
        assert [change["op"] for change in dry["changes"]] == ["delete", "update", "update", "create"]
        created, updated = sorted(dry["effects"], key=lambda effect: str(effect["change"]))
        assert created["report"]["widget"]["chart_type"] == "pie"
        assert (updated["change"], updated["figure"]) == ("update 203", "overall")
        assert 0 < updated["after"] < 1
        assert updated["before"] != updated["after"]
        assert f"overall {updated['before']} → {updated['after']}" in text
        _, data = await ask(context, "get_widgets_data", widget_ids=[203], points=0)
        assert updated["before"] == data["widgets"][0]["facts"]["overall"]
        _, receipt = await ask(context, "bulk_edit_dashboard", **edit, plan_id=dry["plan_id"])
        assert receipt["outcome"] == "applied"
        _, data = await ask(context, "get_widgets_data", widget_ids=[203], points=0)
        assert updated["after"] == data["widgets"][0]["facts"]["overall"]


async def test_a_dry_run_of_sixty_widgets_fits_the_budget() -> None:
    app = new_sandbox(count=500)
    many = [{**PIE, "name": f"Pie {i} with a name of some length", "metadata": {"note": "x" * 60}} for i in range(60)]
    async with open_tools(app) as (context, _):
        text, dry = await ask(context, "preview_edit", dashboard_id=13, create=many)
    assert len(text) < 9000
    assert len(dry["changes"]) == 60
    assert any("50 more charts" in left for left in dry["left_out"])


async def test_the_second_of_two_editors_is_refused_and_told_what_moved() -> None:
    app = new_sandbox(count=10)
    async with open_tools(app) as (first, _), open_tools(app) as (second, _):
        mine = {"dashboard_id": 11, "update": [{"id": 203, "name": "First"}]}
        theirs = {"dashboard_id": 11, "update": [{"id": 203, "name": "Second"}]}
        _, plan_1 = await ask(first, "preview_edit", **mine)
        _, plan_2 = await ask(second, "preview_edit", **theirs)
        await ask(first, "bulk_edit_dashboard", **mine, plan_id=plan_1["plan_id"])
        with pytest.raises(errors.PlanRefused, match='widget 203 changed: name is now "First"'):
            await ask(second, "bulk_edit_dashboard", **theirs, plan_id=plan_2["plan_id"])
    assert app.state.world.store.widget(203)["name"] == "First"


async def test_a_copy_in_which_the_api_left_something_out_is_reported() -> None:
    app = new_sandbox(count=10)

    def without_a_widget(sent: Sent) -> Answer | None:
        if not sent.path.endswith("duplicate/"):
            return None
        app.state.world.store.delete_widget(221)
        return Answer(201, b'{"id": 14, "name": "C", "project": 2, "filters": null}')

    async with open_tools(app) as (context, recorder):
        recorder.after = without_a_widget
        text, receipt = await ask(context, "create_dashboard", name="C", copy_of=13)
    assert 'widget 216 "Issues resolved" has no equal in the copy' in receipt["differences"]
    assert "NOT as asked" in text


async def test_a_copy_whose_answer_leaves_out_the_widgets_is_read_again() -> None:
    app = new_sandbox(count=10)
    before = content(app)
    async with open_tools(app) as (context, recorder):
        recorder.after = lambda sent: (
            Answer(201, b'{"id": 14, "name": "C", "project": 2, "filters": null}')
            if sent.path.endswith("duplicate/")
            else None
        )
        _, receipt = await ask(context, "create_dashboard", name="C", copy_of=13)
        assert "differences" not in receipt
        recorder.after = None
        await undo(context, receipt)
    assert content(app) == before


async def test_a_dashboard_field_that_the_api_stored_otherwise_is_reported_and_not_called_success() -> None:
    async with open_tools(new_sandbox(count=10)) as (context, recorder):
        recorder.after = lambda sent: (
            Answer(200, b'{"id": 11, "name": "Old", "project": 1, "filters": null, "widgets": []}')
            if sent.method == "PATCH"
            else None
        )
        text, receipt = await ask(context, "update_dashboard", dashboard_id=11, name="New")
    assert receipt["differences"][0] == "dashboard 11 name: asked 'New', stored 'Old'"
    assert any("filters: asked" in told for told in receipt["differences"])
    assert "NOT as asked" in text


METRIC_BAR: Json = {
    "chart_type": "bar",
    "field": "metric_evaluations.value",
    "aggregation_function": "avg",
    "time_period": "day",
}


async def test_the_type_of_a_metric_decides_its_charts_before_it_is_drawn_and_before_it_is_saved() -> None:
    line = {"chart_type": "line", "field": "metric_evaluations.value", "metric": 504}
    async with open_tools(new_sandbox(count=300)) as (context, recorder):
        for tool, arguments in (
            ("preview_widget", {"widget": line, "dashboard_id": 11}),
            ("bulk_edit_dashboard", {"dashboard_id": 11, "create": [line]}),
        ):
            with pytest.raises(errors.InvalidArguments, match="chart_type: an enum metric is drawn as `pie`, not line"):
                await ask(context, tool, **arguments)
        assert not any("preview_data" in path for path in recorder.paths())
        unknown = {**METRIC_BAR, "metric": 505}
        text, preview = await ask(context, "preview_widget", widget=unknown, dashboard_id=11)
        assert (
            'which charts a metric of type "continuous_qualitative" can have is not documented'
            in preview["warnings"][0]
        )
        _, receipt = await ask(context, "bulk_edit_dashboard", dashboard_id=11, create=[unknown])
        assert receipt["outcome"] == "applied"
        assert "is not documented; the API decides" in receipt["warnings"][0]
        assert "warning: " in text
