"""The sandbox's histories, audit log, call details and failure modes."""

from datetime import timedelta

import httpx
import pytest

from cekura_sandbox.edits import Edit
from support import KEY, NOW, Json, new_sandbox, shared_sandbox, sql

pytestmark = pytest.mark.anyio
LOG = "/user/v1/audit-logs/"
MODES = "/observability/v1/metric-failure-mode-insights/categories/"


async def get(app: object, path: str, key: str = KEY, **query: str | int) -> tuple[int, Json]:
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # an application of FastAPI's
    async with httpx.AsyncClient(transport=transport, base_url="http://s", headers={"X-CEKURA-API-KEY": key}) as api:
        answer = await api.get(path, params=query)
        result: Json = answer.json()
        return answer.status_code, result


async def test_a_history_lists_versions_with_fields_newest_first() -> None:
    app = new_sandbox()
    app.state.world.edits.plant(Edit(NOW - timedelta(days=2), "metric", 503, {"prompt": "Score it."}, "Shorter"))
    _, page = await get(app, "/test_framework/v2/metrics/503/history/", page_size=2)
    assert (page["count"], len(page["results"])) == (3, 2)
    newest, older = page["results"]
    assert (newest["prompt"], newest["history_type"], newest["history_change_reason"]) == ("Score it.", "~", "Shorter")
    assert newest["history_date"] == "2026-11-16T15:30:00.000000Z"
    assert older["prompt"] != "Score it."
    status, _ = await get(app, "/test_framework/v2/metrics/9999/history/")
    assert status == 404


async def test_the_release_is_in_the_history_of_its_agent() -> None:
    _, page = await get(shared_sandbox(), "/test_framework/v2/aiagents/33/history/")
    newest, older = page["results"]
    assert newest["history_date"] == "2026-11-12T15:30:00.000000Z"
    assert (newest["version_name"], older["version_name"]) == ("2.4.0", "2.3.0")
    assert newest["description"] != older["description"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 400),
        ({"organization_id": "7"}, 200),
        ({"organization_id": "8"}, 403),
        ({"organization_id": "7", "start_time": "2026-10-18T00:00:00Z"}, 400),
        ({"organization_id": "7", "start_time": "2026-10-20T00:00:00Z"}, 200),
        ({"organization_id": "7", "start_time": "yesterday"}, 400),
    ],
)
async def test_the_audit_log_needs_an_organization_and_at_most_thirty_days(query: Json, status: int) -> None:
    assert (await get(shared_sandbox(), LOG, **query))[0] == status


async def test_a_member_key_can_read_everything_but_the_audit_log() -> None:
    assert (await get(shared_sandbox(), LOG, f"{KEY}-member", organization_id=7))[0] == 403
    assert (await get(shared_sandbox(), "/dashboards/dashboards/", f"{KEY}-member"))[0] == 200


async def test_the_audit_log_lists_edits_per_project() -> None:
    _, page = await get(shared_sandbox(), LOG, organization_id=7, start_time="2026-10-25T00:00:00Z", page_size=100)
    edits = {(row["object_type"], row["object_id"]) for row in page["results"] if row["operation_type"] == "update"}
    assert {("aiagent", 33), ("metric", 503), ("project", 1), ("dashboard", 11)} <= edits
    _, other = await get(shared_sandbox(), LOG, organization_id=7, project_id="2")
    assert other["count"] == 0


async def test_a_call_fails_a_rubric_rule_exactly_if_it_is_unsuccessful() -> None:
    app = shared_sandbox()
    for number, success in sql(app, "SELECT id, success FROM calls ORDER BY md5(id::TEXT) LIMIT 20"):
        _, call = await get(app, f"/observability/v2/call-logs/{number}/")
        rules = call["rubric"]
        assert (rules is None) == (success is None)
        assert success is None or all(rule["passed"] for rule in rules) is success
        assert all(metric["explanation"] for metric in call["evaluation"]["metrics"])
        assert call["metadata"]["region"]
    assert (await get(app, "/observability/v2/call-logs/1/"))[0] == 404


async def test_failure_modes_count_exactly_their_listed_calls() -> None:
    app = shared_sandbox(count=60_000)
    _, result = await get(app, MODES, project=1, agent_ids="33")
    modes = {mode["slug"]: mode for mode in result["failure_modes"]}
    assert sum(mode["count"] for mode in modes.values()) < 450
    for slug, mode in modes.items():
        query: Json = {"project": 1, "metric_id": 503, "agent_ids": "33"}
        _, calls = await get(app, f"{MODES}{slug}/calls/", **query)
        assert calls["count"] == len(calls["call_log_ids"]) == mode["count"]
        _, late = await get(app, f"{MODES}{slug}/calls/", **query, date_from="2026-11-12T15:30:00Z")
        assert (late["count"] > mode["count"] / 3) == (slug == "caller-wanted-other-time")
    assert (await get(app, f"{MODES}no-such/calls/", project=1, metric_id=503))[0] == 404
