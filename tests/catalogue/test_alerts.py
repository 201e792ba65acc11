"""preview_alert and save_alert: on which calls an alert would have fired, and receipts, conflicts and undo."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from cekura_dashboards.api import errors
from cekura_dashboards.api.errors import InvalidArguments
from cekura_dashboards.api.wire import Response
from cekura_sandbox import ApiVariant, alerts
from support import Json, Sent, ask, new_sandbox, now, open_tools, shared_sandbox, sql, undo

pytestmark = pytest.mark.anyio
PREVIEW, SAVE = "preview_alert", "save_alert"
LATENCY: Json = {"metric": 501, "project_id": 1}
SCORED_VARIANT = ApiVariant(binary="0/5")


def expected_firings(app: Any, metric: int, source: Json, threshold: Json) -> list[datetime]:
    """Times at which the alert of the sandbox fires on its calls."""
    alert = {"enabled": True, "created_at": "2000-01-01T00:00:00Z", "source_id": metric, "source": source,
             "threshold": threshold}  # fmt: skip
    return alerts.fires(app.state.world.con, alert, now())


TREND_SOURCE: Json = {"sub_type": "significant_change", "window_size": 25}
BOOKING_FILTER: Json = {"field": "agent.id", "op": "eq", "value": 33}


@pytest.mark.parametrize(
    ("arguments", "metric", "source", "threshold"),
    [
        ({"kind": "trend", "preset": "aggressive"}, 501, TREND_SOURCE, {"std_multiplier": 1.5, "ewma_alpha": 0.5}),
        ({"kind": "trend", "window_size": 12, "std_multiplier": 0.5, "ewma_alpha": 0.2, "direction": "decrease",
          "filters": BOOKING_FILTER}, 505, {**TREND_SOURCE, "window_size": 12, "filters": BOOKING_FILTER},
         {"std_multiplier": 0.5, "ewma_alpha": 0.2, "direction": "decrease"}),
        ({"kind": "threshold", "operator": "gt", "value": 2000, "min_breaches": 3, "window_size": 40}, 501,
         {"sub_type": "threshold", "window_size": 40}, {"operator": "gt", "value": 2000, "min_breaches": 3}),
        ({"kind": "threshold", "operator": "outside", "value": 45, "high": 95}, 505,
         {"sub_type": "threshold", "window_size": 50}, {"operator": "outside", "value": {"low": 45, "high": 95}, "min_breaches": 1}),
        ({"kind": "failure", "filters": BOOKING_FILTER}, 503, {"sub_type": "normal", "filters": BOOKING_FILTER}, {}),
    ],
    ids=["preset", "custom numbers", "threshold", "outside", "failure"],
)  # fmt: skip
@pytest.mark.parametrize("readings", [None, SCORED_VARIANT], ids=["boolean", "0/5"])
async def test_previewed_alerts_fire_on_the_same_calls_as_the_api(
    readings: ApiVariant | None, arguments: Json, metric: int, source: Json, threshold: Json
) -> None:
    app = shared_sandbox(readings)
    async with open_tools(app) as (context, recorder):
        text, answer = await ask(context, PREVIEW, metric=metric, project_id=1, **arguments)
    expected, replay = expected_firings(app, metric, source, threshold), answer["replay"]
    assert replay["result"]["fired"] == len(expected) > 5
    days: Json = {}
    for moment in expected:
        days[f"{moment:%Y-%m-%d}"] = days.get(f"{moment:%Y-%m-%d}", 0) + 1
    assert replay["days"] == days
    assert [call["time"] for call in replay["calls"]] == [f"{moment:%Y-%m-%dT%H:%MZ}" for moment in expected[:-7:-1]]
    assert replay["calls"][0]["link"] in text
    assert recorder.writes() == []
    from_logs = metric == 503 and readings is None
    assert ("call logs: all" if from_logs else "a line by agent") in replay["source"]


async def test_alert_previews_read_the_newest_calls_and_state_their_span() -> None:
    app = shared_sandbox(count=20_000)
    async with open_tools(app) as (context, recorder):
        _, answer = await ask(context, PREVIEW, metric=503, project_id=1, kind="failure")
    newest = sql(app, "SELECT e.number, c.ts FROM calls c JOIN evaluations e ON e.call_id = c.id WHERE e.metric_id = 503 "
                 "ORDER BY c.ts DESC, c.id DESC LIMIT 2000")  # fmt: skip
    replay = answer["replay"]
    pages = [sent.query.get("page", "1") for sent in recorder.sent if sent.path.endswith("/call-logs/")]
    assert sorted(pages, key=int) == [str(page) for page in range(1, 21)]
    assert (replay["scores"], replay["result"]["fired"]) == (2000, sum(score == 0 for score, _ in newest))
    assert replay["from"] == f"{newest[-1][1].replace(tzinfo=UTC):%Y-%m-%dT%H:%MZ}"
    assert "the newest 2000 of " in replay["source"]


async def test_alert_previews_stop_at_the_first_unreadable_page() -> None:
    def third(sent: Sent) -> Response | None:
        return Response(500, b"") if sent.query.get("page") == "3" else None

    async with open_tools(shared_sandbox(count=20_000)) as (context, recorder):
        recorder.fault = third
        _, answer = await ask(context, PREVIEW, metric=503, project_id=1, kind="failure")
    assert answer["replay"]["scores"] == 200
    assert "page 3 of the call logs could not be read" in answer["notes"][0]


async def test_call_counts_beyond_float_range_are_read_up_to_the_last_page() -> None:
    call: Json = {"id": 1, "timestamp": "2026-11-17T10:00:00Z", "agent": 31, "evaluation": {"metrics": []}}
    page = json.dumps({"count": 10**400, "results": [call]}).encode()

    async with open_tools(shared_sandbox()) as (context, recorder):
        recorder.fault = lambda sent: Response(200, page) if sent.path.endswith("/call-logs/") else None
        _, answer = await ask(context, PREVIEW, metric=503, project_id=1, kind="failure")
    assert f"the newest 20 of {10**400} calls" in answer["replay"]["source"]


@pytest.mark.no_cover
async def test_firings_within_changes_are_counted_separately() -> None:
    quiet = new_sandbox(count=20_000, quiet=True)
    counts, texts = list[Json](), list[str]()
    for app in (shared_sandbox(count=20_000), quiet):
        async with open_tools(app) as (context, _):
            text, answer = await ask(context, PREVIEW, **LATENCY, kind="trend", preset="aggressive")
            counts.append(answer["replay"])
            texts.append(text)
    slow, calm = counts
    assert 0.9 * slow["scores"] < slow["within_changes"] <= slow["scores"]
    within, scores = slow["within_changes"], slow["scores"]
    assert f"{within} of the {scores} scores lie within changes, which leaves {scores - within} to" in texts[0]
    assert "within_changes" not in calm
    assert "clear, all agents: trend from 2026-10-20" in slow["changes"][0]
    assert slow["result"]["within_clear"] > 0.9 * slow["result"]["fired"]
    assert "changes" not in calm
    assert calm["result"]["without_change"] == calm["result"]["fired"] > 100
    assert [row["setting"].split()[1] for row in calm["beside"]] == ["conservative", "balanced"]
    assert calm["quieter"]["without_change"] <= 1
    assert float(calm["quieter"]["setting"].split(" deviations")[0].split()[-1]) > 1.5
    assert calm["read_otherwise"]["it fires once until back inside"] < calm["result"]["fired"]


async def test_a_suggested_trend_uses_the_preset_multiplier_amid_changes() -> None:
    app = new_sandbox(count=3000)
    late = "(SELECT id FROM calls WHERE ts >= TIMESTAMP '2026-10-23')"
    for value, where in (("CAST(call_id % 20 > 0 AS INT)", "NOT IN"), ("call_id % 2", "IN")):
        sql(app, f"UPDATE evaluations SET number = {value} WHERE metric_id = 503 AND call_id {where} {late}")
    async with open_tools(app) as (context, _):
        _, answer = await ask(context, PREVIEW, metric=503, project_id=1, kind="failure")
    assert answer["replay"]["result"]["within_clear"] > 0
    assert "1.5 deviations" in answer["replay"]["quieter"]["setting"]


async def test_quieter_settings_are_suggested_only_for_noisy_alerts() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        arguments = {"metric": 505, "project_id": 1, "kind": "threshold", "operator": "gt"}
        text, firing = await ask(context, PREVIEW, **arguments, value=0, window_size=2)
        assert firing["replay"]["none_quieter"] is True
        assert "no setting of this kind would have fired at most once a month without a change" in text
        _, silent = await ask(context, PREVIEW, **arguments, value=1000)
        assert silent["replay"]["result"]["fired"] == 0
        assert not {"quieter", "none_quieter", "shorter", "days", "calls"} & {*silent["replay"]}


async def test_the_text_of_an_alert_preview_matches_the_golden_file(golden: Callable[[str, str], None]) -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, _ = await ask(context, PREVIEW, widget_id=213, kind="trend", preset="aggressive", direction="decrease")
    assert len(text) < 4000
    golden("preview_alert.txt", text)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"widget_id": 203, "kind": "trend"}, 'widget_id: 203 "Success rate" plots success; alerts watch metrics only'),
        ({"widget_id": 203}, "plots success; alerts watch metrics only .* an expectation that cekura-dashboards assert"),
        ({"widget_id": 203, "kind": "threshold", "preset": "balanced"}, "plots success; alerts watch metrics only"),
        ({"widget_id": 202}, "plots agent_id; alerts watch metrics only"),
        ({"widget_id": 201}, "plots no single measure; alerts watch metrics only"),
        ({"widget_id": 211}, "kind: is missing; use failure, trend or threshold"),
        ({"metric": "Success", "project_id": 1}, 'no metric "Success", which is a field; look_up metrics'),
        ({**LATENCY, "kind": "failure"}, "use trend or threshold"),
        ({"metric": 504, "project_id": 1, "kind": "trend"}, "no alert on such values"),
        ({**LATENCY}, "kind: is missing; use failure, trend or threshold"),
        ({**LATENCY, "kind": "threshold"}, "operator: is missing"),
        ({**LATENCY, "kind": "threshold", "operator": "outside", "value": 3}, "high: must be the upper value"),
        ({**LATENCY, "kind": "threshold", "operator": "gt", "value": 3, "min_breaches": 51}, "cannot be more than the 50"),
        ({**LATENCY, "kind": "trend", "min_breaches": 3}, "min_breaches: belongs to kind threshold"),
        ({"kind": "trend"}, "give a chart of a metric, or metric"),
        ({"metric": "Latency that is not there", "project_id": 1, "kind": "trend"}, "no metric"),
    ],
)  # fmt: skip
async def test_invalid_alerts_are_rejected_with_a_valid_alternative(arguments: Json, problem: str) -> None:
    async with open_tools(shared_sandbox()) as (context, recorder):
        for tool in (PREVIEW, SAVE):
            with pytest.raises(InvalidArguments, match=problem):
                await ask(context, tool, **arguments)
        assert recorder.writes() == []


async def test_an_alert_inherits_name_filters_and_project_of_its_chart() -> None:
    app = new_sandbox()
    async with open_tools(app) as (context, _):
        text, receipt = await ask(context, SAVE, widget_id="Response latency p95", kind="trend")
        [change] = receipt["changes"]
        stored = app.state.world.store.alerts.get(change["id"])
        assert (stored["name"], stored["project"], stored["source_id"]) == (
            "Response latency p95: trend balanced",
            1,
            501,
        )
        assert stored["source"] == {"sub_type": "significant_change", "window_size": 50, "filters": BOOKING_FILTER}
        assert stored["threshold"] == {"std_multiplier": 2.0, "ewma_alpha": 0.3, "direction": ""}
        assert 'there is alert 701 "Latency trend"' in receipt["warnings"][0]
        assert "goes to every Slack workspace of the project, if there is one; else it is silent" in text
        again = (await ask(context, SAVE, widget_id=210, kind="trend", slack_workspace=9, slack_channel="C1"))[1]
        assert any("a duplicate" in warning for warning in again["warnings"])
        assert not [warning for warning in again["warnings"] if "Slack" in warning]
        await undo(context, again)
        await undo(context, receipt)
    assert [alert["id"] for alert in app.state.world.store.alerts.list()] == [701, 702, 703]


async def test_deleting_an_alert_needs_a_plan_and_can_be_undone_once() -> None:
    app = new_sandbox()
    before = app.state.world.store.alerts.get(702)
    async with open_tools(app) as (context, recorder):
        _, plan = await ask(context, SAVE, alert_id=702, action="delete")
        assert (plan["outcome"], recorder.writes()) == ("needs_plan", [])
        _, deleted = await ask(context, SAVE, alert_id=702, action="delete", plan_id=plan["plan_id"])
        undone = await undo(context, deleted)
        with pytest.raises(errors.PlanRefused, match="alerts like it on metric 503 changed"):
            await undo(context, deleted)
        restored = app.state.world.store.alerts.get(undone["changes"][0]["id"])
        same = ("name", "enabled", "project", "source_id", "source", "threshold", "notifications")
        assert {name: restored[name] for name in same} == {name: before[name] for name in same}
        again = await undo(context, undone)
        assert again["changes"][0]["op"] == "delete"


@pytest.mark.parametrize("stored", [{"direction": None}, {}], ids=["null", "absent"])
async def test_undo_restores_a_null_trend_direction_as_an_empty_one(stored: Json) -> None:
    app = new_sandbox()
    store = app.state.world.store.alerts
    numbers = {"std_multiplier": 2.0, "ewma_alpha": 0.3}
    store.get(701)["threshold"] = {**numbers, **stored}
    async with open_tools(app) as (context, _):
        _, changed = await ask(context, SAVE, alert_id=701, direction="increase")
        await undo(context, changed)
        assert store.get(701)["threshold"] == {**numbers, "direction": ""}
        store.get(701)["threshold"] = {**numbers, **stored}
        _, plan = await ask(context, SAVE, alert_id=701, action="delete")
        _, deleted = await ask(context, SAVE, alert_id=701, action="delete", plan_id=plan["plan_id"])
        undone = await undo(context, deleted)
        assert store.get(undone["changes"][0]["id"])["threshold"] == numbers


async def test_an_alert_update_sends_changed_fields_and_detects_conflicts() -> None:
    app = new_sandbox()
    store = app.state.world.store.alerts
    async with open_tools(app) as (context, recorder):
        _, off = await ask(context, SAVE, alert_id="Latency trend", action="off")
        assert recorder.writes()[-1].body == {"enabled": False}
        _, same = await ask(context, SAVE, alert_id=701, action="off")
        assert same["outcome"] == "nothing_to_do"
        _, other = await ask(context, SAVE, alert_id=701, kind="threshold", operator=">", value=4000)
        assert store.get(701)["threshold"]["operator"] == "gt"
        with pytest.raises(errors.PlanRefused, match="alert 701 changed"):
            await undo(context, off)
        await undo(context, other)
        assert (store.get(701)["source"]["sub_type"], store.get(701)["source"]["window_size"]) == (
            "significant_change",
            25,
        )


async def test_alert_fields_stored_differently_are_reported() -> None:
    def other(sent: Sent) -> Response | None:
        body = b'{"name": "n", "enabled": true, "source": {"sub_type": "significant_change", "window_size": 99}, "threshold": {}}'
        return Response(200, body) if sent.method == "PATCH" else None

    async with open_tools(new_sandbox()) as (context, recorder):
        recorder.fault = other
        _, receipt = await ask(context, SAVE, alert_id=701, window_size=30)
    assert receipt["differences"] == ["alert 701 source.window_size: sent 30, stored 99"]


async def test_a_key_without_alert_rights_is_rejected_before_any_write() -> None:
    async with open_tools(new_sandbox(ApiVariant(alerts="forbidden"))) as (context, recorder):
        with pytest.raises(errors.Forbidden):
            await ask(context, SAVE, **LATENCY, kind="trend")
        assert recorder.writes() == []
        _, answer = await ask(context, PREVIEW, **LATENCY, kind="trend")
        assert answer["replay"]["scores"] > 100
