"""preview_edit: what an edit would change and show, and the plan that applies it."""

import pytest

from cekura_dashboards.api import errors
from cekura_dashboards.api.wire import Response
from support import PIE, Json, ask, new_sandbox, open_tools, shared_sandbox

pytestmark = pytest.mark.anyio


async def test_a_dry_run_shows_the_edit_and_its_plan_applies_it() -> None:
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


async def test_a_dry_run_of_sixty_widgets_stays_within_the_budget() -> None:
    app = new_sandbox(count=500)
    many = [{**PIE, "name": f"Pie {i} with a name of some length", "metadata": {"note": "x" * 60}} for i in range(60)]
    async with open_tools(app) as (context, _):
        text, dry = await ask(context, "preview_edit", dashboard_id=13, create=many)
    assert len(text) < 9000
    assert len(dry["changes"]) == 60
    assert any("50 more charts" in omission for omission in dry["omitted"])


async def test_the_second_of_two_concurrent_plans_is_rejected() -> None:
    app = new_sandbox(count=10)
    async with open_tools(app) as (first, _), open_tools(app) as (second, _):
        mine = {"dashboard_id": 11, "update": [{"id": 203, "name": "First"}]}
        other_edit = {"dashboard_id": 11, "update": [{"id": 203, "name": "Second"}]}
        _, plan_1 = await ask(first, "preview_edit", **mine)
        _, plan_2 = await ask(second, "preview_edit", **other_edit)
        await ask(first, "bulk_edit_dashboard", **mine, plan_id=plan_1["plan_id"])
        with pytest.raises(errors.PlanRefused, match='widget 203 changed: name is now "First"'):
            await ask(second, "bulk_edit_dashboard", **other_edit, plan_id=plan_2["plan_id"])
    assert app.state.world.store.widget(203)["name"] == "First"


async def test_a_dry_run_reports_the_same_findings_as_a_preview() -> None:
    latency: Json = {"chart_type": "bar", "field": "metric_evaluations.value", "metric": 501, "time_period": "day"}
    async with open_tools(shared_sandbox(count=60_000)) as (context, _):
        _, dry = await ask(
            context, "preview_edit", dashboard_id=12, update=[{"id": 210, "aggregation_function": "p50"}]
        )
        widget = {**latency, "name": "Response latency p95", "aggregation_function": "p50"}
        _, preview = await ask(context, "preview_widget", dashboard_id=12, widget=widget, points=12)
    [effect] = dry["effects"]
    assert [finding["kind"] for finding in effect["report"]["findings"]] == ["trend"]
    assert effect["report"]["findings"] == preview["report"]["findings"]
    assert effect["report"]["facts"] == preview["report"]["facts"]


async def test_a_dry_run_with_unreadable_charts_still_returns_a_plan() -> None:
    async with open_tools(shared_sandbox()) as (context, recorder):
        recorder.fault = lambda sent: Response(500, b"{}") if "data" in sent.path else None
        text, dry = await ask(context, "preview_edit", dashboard_id=11, create=[PIE])
    assert dry["plan_id"]
    assert 'unsaved widget "Topics again": pie of topic\nfailed: The API failed (500).' in text
