"""The alerts of the sandbox: validation, merging of updates, and firing on the generated calls."""

from typing import Any

import httpx
import pytest

from cekura_dashboards.api.errors import Forbidden, Refused
from cekura_dashboards.context import Memory
from cekura_dashboards.values import replace
from cekura_sandbox import ApiVariant
from support import KEY, Json, new_sandbox, open_tools, shared_sandbox, sql

pytestmark = pytest.mark.anyio
PATH = "/observability/v1/alerts/"
TREND: Json = {"name": "T", "project": 1, "source_type": "metric", "source_id": 501, "preset": "balanced",
               "source": {"sub_type": "significant_change"}}  # fmt: skip
CEILING: Json = {"name": "C", "project": 1, "source_type": "metric", "source_id": 501,
                 "source": {"sub_type": "threshold"}, "threshold": {"operator": "gt", "value": 3000}}  # fmt: skip


def client(app: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://s", headers={"X-CEKURA-API-KEY": KEY})


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": None}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"project": 9}, "project"),
        ({"source_type": "duration"}, "source_type"),
        ({"source_id": 999}, "source_id"),
        ({"source_id": 506}, "source_id"),
        ({"source_id": 504}, "source"),
        ({"source": {"sub_type": "normal"}}, "source"),
        ({"source": {"sub_type": "weekly"}}, "source"),
        ({"source": {"sub_type": "significant_change", "filters": {"field": "nothing", "op": "eq", "value": 1}}}, "source"),
        ({"source": {"sub_type": "significant_change", "window_size": 0}}, "source"),
        ({"threshold": {"ewma_alpha": 1.5}}, "threshold"),
        ({"threshold": {"direction": "down"}}, "threshold"),
        ({"preset": "quiet"}, "preset"),
        ({**CEILING, "threshold": {"operator": "gt"}}, "threshold"),
        ({**CEILING, "threshold": {"operator": "outside", "value": {"low": 9, "high": 1}}}, "threshold"),
        ({**CEILING, "threshold": {"operator": "lt", "value": 1, "min_breaches": 51}}, "threshold"),
    ],
)  # fmt: skip
async def test_invalid_alerts_are_rejected_by_field(changes: Json, field: str) -> None:
    app = new_sandbox(count=10)
    async with client(app) as http:
        answer = await http.post(PATH, json={**TREND, **changes})
        assert (answer.status_code, [*answer.json()]) == (400, [field])
        assert len((await http.get(PATH)).json()) == 3


async def test_alert_presets_are_expanded_and_updates_are_merged() -> None:
    async with client(new_sandbox(count=10)) as http:
        alert = (await http.post(PATH, json=TREND)).json()
        assert alert["source"] == {"sub_type": "significant_change", "window_size": 50}
        assert alert["threshold"] == {"std_multiplier": 2.0, "ewma_alpha": 0.3, "direction": ""}
        changed = await http.patch(f"{PATH}{alert['id']}/", json={"threshold": {"std_multiplier": 4}, "enabled": False})
        assert [*changed.json()] == ["name", "enabled", "source", "threshold", "notifications"]
        stored = (await http.get(f"{PATH}{alert['id']}/")).json()
        assert (stored["threshold"], stored["enabled"]) == ({**alert["threshold"], "std_multiplier": 4}, False)
        assert (await http.delete(f"{PATH}{alert['id']}/")).status_code == 204
        assert (await http.get(f"{PATH}{alert['id']}/")).status_code == 404


async def test_alerts_fire_on_calls_since_their_creation() -> None:
    app = shared_sandbox()
    cold = [row[0] for row in sql(
        app, "SELECT c.agent_id FROM calls c JOIN evaluations e ON e.call_id = c.id WHERE e.metric_id = 505 AND "
        "e.number < 40 AND c.ts >= (SELECT max(ts) FROM calls) - INTERVAL 20 DAY")]  # fmt: skip
    async with client(app) as http:
        whole, week = [
            (await http.get(f"{PATH}trigger_summary/", params={"project_id": 1, "hours": hours})).json()
            for hours in (9999, 168)
        ]
        assert whole == week, "the summary covers at most a week"
        listed = {row["id"]: row["trigger_count"] for row in (await http.get(PATH)).json()}
        assert listed[701] > week["701"] > 0
        assert listed[702] == 0, "this alert is off"
        assert 0 < listed[703] < len(cold), "three of fifty calls, per agent"
        review = (await http.get(f"{PATH}review/", params={"project_id": 1, "hours": 168})).json()
        assert (review["total_fires"], len(review["timeline"])) == (sum(week.values()), 28)
        assert (await http.get(f"{PATH}trigger_summary/")).status_code == 400


async def test_forbidden_alerts_raise_an_error_and_keep_the_cache() -> None:
    app = new_sandbox(ApiVariant(alerts="forbidden"), count=10)
    async with open_tools(app) as (context, recorder):
        first, second = [replace(context, memory=memory).for_one_call() for memory in [Memory(60)] * 2]
        await first.lookups.projects()
        with pytest.raises(Forbidden):
            await first.lookups.alerts(1)
        await second.lookups.projects()
    assert recorder.paths().count("GET /user/v1/projects/") == 1


async def test_the_client_reads_and_writes_alerts_and_daily_reports() -> None:
    async with open_tools(new_sandbox(count=10)) as (context, _):
        api = context.api
        created = await api.create_alert({name: value for name, value in TREND.items() if name != "source_type"})
        changed = await api.update_alert(created.id, {"enabled": False})
        assert (changed.id, changed.enabled, changed.kind) == (created.id, False, "significant_change")
        assert (await api.alert(created.id)).fields()["threshold"] == created.threshold
        await api.delete_alert(created.id)
        assert [alert.id for alert in await api.alerts(1)] == [701, 702, 703]
        assert await context.lookups.alerts(2) == []
        with pytest.raises(Refused):
            await api.create_alert({**TREND, "source_id": 9})
        assert await api.set_daily_report(1, [12, 11]) == [12, 11]
        reports = {number: report.dashboards for number, report in (await api.daily_reports()).items()}
        assert reports == {1: [12, 11], 2: []}


async def test_scores_are_read_without_transcripts() -> None:
    app = shared_sandbox()
    async with open_tools(app) as (context, _):
        where = {"field": "metric_evaluations.metric.id", "op": "eq", "value": 505}
        start, end = "2026-11-17T00:00:00Z", "2026-11-18T00:00:00Z"
        page = await context.api.call_scores(1, where, start=start, end=end, limit=100, page=1)
    rows = sql(app, "SELECT c.id, e.number FROM calls c JOIN evaluations e ON e.call_id = c.id WHERE e.metric_id = 505 "
               "AND c.ts >= '2026-11-17' AND c.ts < '2026-11-18' ORDER BY c.ts DESC, c.id DESC")  # fmt: skip
    assert page.count == len(rows)
    scores = [(call.id, next(score.score for score in call.metrics or [] if score.id == 505)) for call in page.results]
    assert scores == rows[:100]
    assert not hasattr(page.results[0], "transcript")
