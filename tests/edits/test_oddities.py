"""Malformed data that only the API can store or send: reported as it is, and restored by undo if possible."""

import json

import pytest

from cekura_dashboards.api import errors
from cekura_dashboards.api.wire import Response
from support import PIE, Fault, Json, Sent, apply_edit, ask, content, force, new_sandbox, open_tools, undo

pytestmark = pytest.mark.anyio


def fault_with(body: Json) -> Fault:
    def fault(sent: Sent) -> Response | None:
        return Response(200, json.dumps(body).encode()) if sent.path.endswith("bulk_widgets/") else None

    return fault


async def test_an_answer_without_operations_is_verified_by_reading_back() -> None:
    app = new_sandbox(count=10)
    nothing: Json = {"created": [], "updated": [], "deleted": []}
    async with open_tools(app) as (context, recorder):
        _, plan = await ask(context, "bulk_edit_dashboard", dashboard_id=11, delete=[205])
        recorder.fault = fault_with(nothing)
        with pytest.raises(errors.EditFailed, match="does not list every operation") as caught:
            await ask(context, "bulk_edit_dashboard", dashboard_id=11, delete=[205], plan_id=plan["plan_id"])
        assert caught.value.outcomes == {"delete of widget 205": "not applied"}
        recorder.fault, recorder.after = None, fault_with(nothing)
        _, created = await ask(context, "bulk_edit_dashboard", dashboard_id=11, create=[PIE])
        assert created["changes"][0]["id"] == 221
        assert "undo" in created


async def test_created_widgets_are_matched_by_content_in_any_order() -> None:
    app = new_sandbox(count=10)
    before = content(app)

    def reversed_order(sent: Sent) -> Response | None:
        if not sent.path.endswith("bulk_widgets/") or not sent.body["create"]:
            return None
        recreated = [w for w in app.state.world.store.dashboard(11)["widgets"] if w["id"] > 220]
        return Response(200, json.dumps({"created": recreated[::-1], "updated": [], "deleted": []}).encode())

    async with open_tools(app) as (context, recorder):
        _, plan = await ask(context, "bulk_edit_dashboard", dashboard_id=11, delete=[205, 206])
        _, deleted = await ask(
            context, "bulk_edit_dashboard", dashboard_id=11, delete=[205, 206], plan_id=plan["plan_id"]
        )
        recorder.after = reversed_order
        _, undone = await ask(context, deleted["undo"]["tool"], **deleted["undo"]["arguments"])
    assert "differences" not in undone
    names = {w["id"]: w["name"] for w in app.state.world.store.dashboard(11)["widgets"]}
    [why_id, topics] = [int(line.split(" = ")[1].split()[0]) for line in undone["restored"]]
    assert (names[why_id], names[topics]) == ("Why calls end", "Topics")
    assert content(app) == before


async def test_metadata_other_than_an_object_is_replaced_only_with_clear() -> None:
    app = new_sandbox(count=10)
    force(app, 203, metadata=["a"])
    async with open_tools(app) as (context, recorder):
        for tool, arguments in (
            ("update_widget", {"widget_id": 203, "changes": {"metadata": {"colour": "red"}}}),
            ("bulk_edit_dashboard", {"dashboard_id": 11, "update": [{"id": 203, "metadata": {"colour": "red"}}]}),
        ):
            with pytest.raises(errors.InvalidArguments, match="cannot be merged"):
                await ask(context, tool, **arguments)
        assert recorder.writes() == []
        changes = {"metadata": {"colour": "red"}}
        _, receipt = await ask(context, "update_widget", widget_id=203, changes=changes, clear=["metadata"])
    assert receipt["outcome"] == "applied"


async def test_true_and_one_are_different_values() -> None:
    app = new_sandbox(count=10)
    force(app, 203, metadata={"hidden": 1})
    async with open_tools(app) as (context, _):
        _, receipt = await ask(context, "update_widget", widget_id=203, changes={"metadata": {"hidden": True}})
    assert receipt["changes"][0]["fields"] == {"metadata.hidden": [1, True]}


async def test_an_outdated_date_range_is_fixed_on_the_dashboard() -> None:
    app = new_sandbox(count=2000)
    old = {"field": "timestamp", "op": "gte", "value": "2026-10-01T00:00:00Z"}
    app.state.world.store.update_dashboard(12, {"filters": {"operator": "and", "conditions": [old, PIE_ONLY]}})
    async with open_tools(app) as (context, _):
        _, answer = await ask(context, "check_dashboard", dashboard_id=12)
        [finding] = answer["findings"]
        assert (finding["kind"], finding["fix"]["tool"]) == ("old_date_range", "update_dashboard")
        await ask(context, finding["fix"]["tool"], **finding["fix"]["arguments"])
        _, answer = await ask(context, "check_dashboard", dashboard_id=12)
        assert answer["findings"] == []
        with pytest.raises(errors.InvalidArguments, match="starts before the 30 days"):
            await ask(context, "update_dashboard", dashboard_id=12, filters=old)


PIE_ONLY: Json = {"field": "agent.id", "op": "eq", "value": 33}


async def test_charts_rejected_by_the_api_alone_are_reported_without_a_fix() -> None:
    app = new_sandbox(count=500)
    async with open_tools(app) as (context, recorder):
        recorder.fault = lambda sent: (
            Response(400, b'{"detail": "Busy."}') if sent.path.endswith("bulk_data/") else None
        )
        _, answer = await ask(context, "check_dashboard", dashboard_id=12)
    assert len(answer["findings"]) == 7
    assert all("fix" not in finding and "Busy." in finding["text"] for finding in answer["findings"])


@pytest.mark.parametrize("status", [403, 500])
async def test_unreadable_metrics_cause_warnings_and_block_nothing(status: int) -> None:
    app = new_sandbox(count=2000)
    async with open_tools(app) as (context, recorder):
        recorder.fault = lambda sent: Response(status, b"") if "metrics" in sent.path else None
        _, answer = await ask(context, "check_dashboard", dashboard_id=12)
        assert "could not be read" in answer["not_tested"][0]
        _, receipt = await ask(context, "update_widget", widget_id=210, changes={"aggregation_function": "p50"})
        assert "could not be read" in receipt["warnings"][0]
        metric = {
            "chart_type": "bar",
            "field": "metric_evaluations.value",
            "metric": 501,
            "aggregation_function": "avg",
            "time_period": "day",
        }
        _, preview = await ask(context, "preview_widget", widget=metric, dashboard_id=12)
        assert "could not be read" in preview["warnings"][0]


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("get_dashboard", {"dashboard_id": "--5"}),
        ("update_widget", {"widget_id": 203, "changes": {"name": "x"}, "plan_id": "².a.b.c"}),
        ("update_dashboard", {"dashboard_id": 11, "name": "   "}),
        ("update_widget", {"widget_id": 203, "changes": {}}),
    ],
)
async def test_malformed_arguments_are_rejected_before_any_write(tool: str, arguments: Json) -> None:
    async with open_tools(new_sandbox(count=10)) as (context, recorder):
        with pytest.raises((errors.InvalidArguments, errors.PlanRefused)):
            await ask(context, tool, **arguments)
        assert recorder.writes() == []


async def test_deeply_nested_filters_are_rejected() -> None:
    deep: Json = {"field": "success", "op": "eq", "value": True}
    for _ in range(600):
        deep = {"operator": "and", "conditions": [deep]}
    async with open_tools(new_sandbox(count=10)) as (context, _):
        with pytest.raises(errors.InvalidArguments, match="nested more than"):
            await ask(context, "update_widget", widget_id=203, changes={"filters": deep})


async def test_a_dry_run_reports_ignored_nulls_like_the_edit() -> None:
    edit: Json = {"dashboard_id": 11, "update": [{"id": 203, "filters": None, "name": "N"}]}
    async with open_tools(new_sandbox(count=200)) as (context, _):
        _, dry = await ask(context, "preview_edit", **edit)
        assert dry["notes"] == ["update[0]: empty values were ignored for filters; use clear to empty a field"]
        _, receipt = await ask(context, "bulk_edit_dashboard", **edit, plan_id=dry["plan_id"])
    assert receipt["notes"] == dry["notes"]


async def test_bidi_controls_are_escaped_in_text_and_stored_unchanged() -> None:
    app, topic = new_sandbox(count=10), "abc\u202edef\u2028x"
    async with open_tools(app) as (context, _):
        filters = {"field": "topic", "op": "eq", "value": topic}
        text, receipt = await ask(context, "update_widget", widget_id=203, changes={"filters": filters})
        await ask(context, receipt["undo"]["tool"], **receipt["undo"]["arguments"])
    assert not {"\u202e", "\u2028"} & set(text)
    assert "abc\\u202edef" in text
    assert receipt["changes"][0]["fields"]["filters"][1]["value"] == topic


BLANKS: list[tuple[str, str]] = [
    ("Success rate ", "Success rate[U+0020]"),
    ("  Success rate", "[U+0020 x2]Success rate"),
    ("Success  rate", "Success[U+0020 x2]rate"),
    ("Success\u00a0rate", "Success[U+00A0]rate"),
    ("Success\u200b rate", "Success[U+200B] rate"),
    ("Success rate\n", "Success rate[U+000A]"),
    ("\u202eSuccess rate", "[U+202E]Success rate"),
]


@pytest.mark.parametrize(("name", "shown"), BLANKS, ids=[shown for _, shown in BLANKS])
async def test_whitespace_only_changes_are_made_visible(name: str, shown: str) -> None:
    app = new_sandbox(count=10)
    async with open_tools(app, confirm="writes") as (context, _):
        change: Json = {"widget_id": 203, "changes": {"name": name}}
        text, dry = await ask(context, "update_widget", **change)
        assert dry["changes"][0]["fields"] == {"name": ["Success rate", shown]}
        assert f'name: "Success rate" → "{shown}"' in text
        text, receipt = await ask(context, "update_widget", **change, plan_id=dry["plan_id"])
        assert app.state.world.store.widget(203)["name"] == name
        undone = await undo(context, receipt)
        assert undone["changes"][0]["fields"] == {"name": [shown, "Success rate"]}
        bulk: Json = {"dashboard_id": 11, "update": [{"id": 203, "name": name}]}
        _, dry = await ask(context, "preview_edit", **bulk)
        assert dry["changes"][0]["fields"] == {"name": ["Success rate", shown]}


async def test_whitespace_changes_in_dashboard_names_and_metadata_are_visible() -> None:
    app = new_sandbox(count=10)
    force(app, 203, metadata={"title": "a b", "x": 1})
    async with open_tools(app) as (context, _):
        _, receipt = await ask(context, "update_dashboard", dashboard_id=11, name="Operations overview ")
        assert receipt["changes"][0]["fields"] == {"name": ["Operations overview", "Operations overview[U+0020]"]}
        _, receipt = await ask(context, "update_widget", widget_id=203, changes={"metadata": {"title": "a  b"}})
        assert receipt["changes"][0]["fields"] == {"metadata.title": ["a b", "a[U+0020 x2]b"]}
        force(app, 203, name=" \t ")
        _, receipt = await ask(context, "update_widget", widget_id=203, changes={"name": "Success rate"})
        assert receipt["changes"][0]["fields"] == {"name": ["[U+0020][U+0009][U+0020]", "Success rate"]}


async def test_long_values_are_shown_around_their_difference() -> None:
    app = new_sandbox(count=10)
    topics = [f"topic number {index}" for index in range(60)]
    old, new = ({"field": "topic", "op": "in", "value": [*topics, last]} for last in ("before", "after"))
    force(app, 203, filters=old)
    async with open_tools(app) as (context, recorder):
        _, receipt = await ask(context, "update_widget", widget_id=203, changes={"filters": new})
        [first, second] = receipt["changes"][0]["fields"]["filters"]
        assert first.endswith('"before"]}')
        assert second.endswith('"after"]}')
        recorder.after = lambda sent: (
            Response(200, json.dumps(app.state.world.store.widget(203) | {"filters": old}).encode())
            if sent.method == "PATCH"
            else None
        )
        changes = {"filters": {**new, "value": [*topics, "other"]}}
        _, receipt = await ask(context, "update_widget", widget_id=203, changes=changes)
        [difference] = receipt["differences"]
        assert '"other"]}, stored …' in difference
        assert difference.endswith('"before"]}')


LONG = "A name as long as names are when people explain what they mean, and then some more of it"
ALIASED = {"type": "column", "column": "duration", "aggregation": "average", "interval": "daily"}
LARGE: list[tuple[str, Json]] = [
    ("bulk_edit_dashboard", {"dashboard_id": 13, "create": [{**ALIASED, "title": f"{LONG} {i}"} for i in range(60)]}),
    ("preview_edit", {"dashboard_id": 13, "create": [
        {**PIE, "name": f"{LONG} {i}", "filters": {"field": "success", "op": "gt", "value": True}} for i in range(60)]}),
    ("delete_dashboard", {"dashboard_id": 14}),
    ("create_dashboard", {"name": "C", "copy_of": 14}),
    ("copy_widgets", {"widget_ids": list(range(221, 241)), "dashboard_ids": [11, 12, 13, 15]}),
]  # fmt: skip


@pytest.mark.parametrize(("tool", "arguments"), LARGE, ids=[tool for tool, _ in LARGE])
async def test_answers_of_large_edits_stay_within_the_budget(tool: str, arguments: Json) -> None:
    app = new_sandbox(count=100)
    store = app.state.world.store
    for name, count in (("Large", 110), ("Small", 1)):
        number = store.create_dashboard({"name": name, "project": 1})["id"]
        for index in range(count):
            store.create_widget({**PIE, "name": f"{LONG} {index}", "dashboard": number})
    async with open_tools(app) as (context, _):
        text, answer = await ask(context, tool, **arguments)
    payloads = ("undo", "remaining", "restored")
    lines = [line for line in text.splitlines() if not line.startswith(("undo: ", "remaining: ", "restored under"))]
    assert len("\n".join(lines)) <= 9000
    assert len(json.dumps({k: v for k, v in answer.items() if k not in payloads}, ensure_ascii=False)) <= 1.6 * 9000
    assert any("more" in omission or "values of" in omission for omission in answer["omitted"])


MALFORMED: dict[str, Json] = {
    "group_by is [1,2]": {"group_by": [1, 2]},
    'group_by is "agent.id"': {"group_by": "agent.id"},
    "chart_type is 5": {"chart_type": 5},
    'metric is "latency"': {"metric": "latency"},
    "field is [": {"field": ["topic"]},
}


@pytest.mark.parametrize("problem", MALFORMED)
async def test_a_malformed_widget_hides_no_other_widget(problem: str) -> None:
    app = new_sandbox()
    force(app, 204, **MALFORMED[problem])
    before = content(app)
    async with open_tools(app) as (context, _):
        setup, answer = await ask(context, "get_dashboard", dashboard_id=11)
        assert len(answer["widgets"]) == 8
        assert f"cannot be read: {problem}" in setup
        _, data = await ask(context, "get_widgets_data", dashboard_id=11)
        assert [report["widget"]["id"] for report in data["widgets"] if "error" in report] == [204]
        assert problem in data["widgets"][3]["error"]
        await ask(context, "check_dashboard", dashboard_id=11)
        receipt = await apply_edit(context, "update_widget", {"widget_id": 203, "changes": {"name": "Fine"}})
        await undo(context, receipt)
        arguments: Json = {"dashboard_id": 11, "update": [{"id": 202, "name": "Fine"}], "create": [PIE]}
        await undo(context, await apply_edit(context, "bulk_edit_dashboard", arguments))
    assert content(app) == before


async def test_a_malformed_dashboard_filter_is_reported_and_blocks_numbers() -> None:
    def odd(sent: Sent) -> Response | None:
        dashboard = {"id": 11, "project": 1, "filters": [1], "widgets": [], "name": "Odd"}
        return Response(200, json.dumps(dashboard).encode()) if sent.path.endswith("/11/") else None

    async with open_tools(new_sandbox()) as (context, recorder):
        recorder.fault = odd
        setup, _ = await ask(context, "get_dashboard", dashboard_id=11)
        assert "filters: cannot be read: filters is [1]" in setup
        with pytest.raises(errors.UnreadableAnswer, match="of dashboard 11, filters is"):
            await ask(context, "preview_widget", widget=PIE, dashboard_id=11, window="7d")


async def test_a_malformed_predefined_widget_is_listed_with_the_others() -> None:
    made = [{"name": "Odd", "chart_type": "bar", "group_by": [1]}, {"name": "Overview", "chart_type": "stat"}]
    async with open_tools(new_sandbox()) as (context, recorder):
        recorder.fault = lambda _: Response(200, json.dumps(made).encode())
        _, answer = await ask(context, "look_up", kind="predefined_widgets")
    assert [row[0] for row in answer["rows"]] == ["Odd", "Overview"]


async def test_preview_answers_are_accepted_with_any_widget_id() -> None:
    pie: Json = {"widget_id": 999, "chart_type": "pie", "data": [{"label": "a", "value": 3}], "metadata": {}}
    async with open_tools(new_sandbox()) as (context, recorder):
        recorder.fault = lambda sent: Response(200, json.dumps(pie).encode()) if "preview_data" in sent.path else None
        _, answer = await ask(context, "preview_widget", widget=PIE, window="7d")
    assert answer["report"]["facts"]["total"] == 3
