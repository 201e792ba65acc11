"""The sandbox keeps the API's rules."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from cekura_sandbox import ApiVariant
from support import KEY, NOW, Json, new_sandbox, shared_sandbox, sql

pytestmark = pytest.mark.anyio
SINCE = {"field": "timestamp", "op": "gte", "value": "today-20d"}


@asynccontextmanager
async def http(app: FastAPI, key: str | None = KEY) -> AsyncGenerator[httpx.AsyncClient]:
    headers = {"X-CEKURA-API-KEY": key} if key else {}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://sandbox", headers=headers
    ) as made:
        yield made


@pytest.mark.parametrize("key", [None, "wrong"])
async def test_a_missing_or_invalid_key_is_answered_with_401(key: str | None) -> None:
    async with http(shared_sandbox(), key) as api:
        answer = await api.get("/dashboards/dashboards/")
        assert (answer.status_code, "detail" in answer.json()) == (401, True)


async def test_a_bearer_token_is_accepted() -> None:
    async with http(shared_sandbox(), None) as api:
        answer = await api.get("/user/v1/projects/", headers={"Authorization": f"Bearer {KEY}"})
        assert answer.status_code == 200


async def test_lists_have_pages_of_ten_and_next_on_another_host() -> None:
    async with http(shared_sandbox()) as api:
        first = (await api.get("/dashboards/widgets/")).json()
        assert (first["count"], len(first["results"]), first["previous"]) == (20, 10, None)
        assert not first["next"].startswith("http://sandbox")
        second = (await api.get("/dashboards/widgets/?page=2")).json()
        assert second["next"] is None
        assert {w["id"] for w in first["results"]} & {w["id"] for w in second["results"]} == set()
        assert (await api.get("/dashboards/widgets/?page=3")).status_code == 404


async def test_bulk_data_is_paginated() -> None:
    app = new_sandbox()
    async with http(app) as api:
        body = {"create": [{"chart_type": "pie", "field": "topic"}] * 12}
        created = (await api.post("/dashboards/dashboards/11/bulk_widgets/", json=body)).json()["created"]
        ids = [widget["id"] for widget in created]
        answer = (await api.post("/dashboards/widgets/bulk_data/", json={"widget_ids": ids})).json()
        assert (answer["count"], len(answer["results"])) == (12, 10)


async def test_chart_data_needs_a_start_within_thirty_days() -> None:
    async with http(shared_sandbox()) as api:
        widget: Json = {"chart_type": "pie", "field": "topic"}
        assert (await api.post("/dashboards/widgets/preview_data/", json=widget)).status_code == 400
        old = {"field": "timestamp", "op": "gte", "value": (NOW - timedelta(days=30, seconds=1)).isoformat()}
        answer = await api.post("/dashboards/widgets/preview_data/", json={**widget, "filters": old})
        assert answer.status_code == 400
        assert answer.json() == {
            "detail": "Timestamp filter value is too far in the past. Maximum allowed range is 30 days."
        }
        young = {**old, "value": (NOW - timedelta(days=29, hours=23)).isoformat()}
        assert (
            await api.post("/dashboards/widgets/preview_data/", json={**widget, "filters": young})
        ).status_code == 200


async def test_a_bulk_edit_is_all_or_nothing() -> None:
    async with http(new_sandbox()) as api:
        before = (await api.get("/dashboards/dashboards/11/")).json()
        body = {
            "create": [{"chart_type": "pie", "field": "topic"}, {"chart_type": "pie", "field": "nonsense"}],
            "delete": [201],
        }
        answer = await api.post("/dashboards/dashboards/11/bulk_widgets/", json=body)
        assert (answer.status_code, list(answer.json())) == (400, ["field"])
        assert (await api.get("/dashboards/dashboards/11/")).json() == before


@pytest.mark.parametrize(
    ("widget", "wrong"),
    [
        ({}, "chart_type"),
        ({"chart_type": "donut", "field": "topic"}, "chart_type"),
        ({"chart_type": "bar", "field": "success", "aggregation_function": "avg"}, "time_period"),
        (
            {"chart_type": "bar", "field": "topic", "aggregation_function": "avg", "time_period": "day"},
            "aggregation_function",
        ),
        ({"chart_type": "line", "field": "topic"}, "chart_type"),
        ({"chart_type": "pie", "field": "metric_evaluations.value"}, "metric"),
        ({"chart_type": "line", "field": "metric_evaluations.value", "metric": 504}, "chart_type"),
        ({"chart_type": "pie", "field": "topic", "filters": {"field": "mood", "op": "eq", "value": 1}}, "filters"),
        (
            {"chart_type": "pie", "field": "topic", "filters": {"field": "duration", "op": "gt", "value": 10**400}},
            "filters",
        ),
        ({"chart_type": "pie", "field": "topic", "group_by": {"type": "field"}}, "group_by"),
        ({"chart_type": "pie", "field": "topic", "name": "x" * 256}, "name"),
    ],
)
async def test_invalid_widgets_are_rejected_by_field(widget: Json, wrong: str) -> None:
    async with http(shared_sandbox()) as api:
        answer = await api.post("/dashboards/widgets/", json=widget)
        assert (answer.status_code, list(answer.json())) == (400, [wrong])


CONDITIONS: list[tuple[Any, str]] = [
    ({"field": "success", "op": "eq", "value": True}, "success"),
    ({"field": "success", "op": "neq", "value": True}, "NOT success"),
    ({"field": "success", "op": "isnull", "value": True}, "success IS NULL"),
    ({"field": "duration", "op": "gt", "value": 200}, "duration > 200"),
    ({"field": "duration", "op": "gte", "value": 200}, "duration >= 200"),
    ({"field": "duration", "op": "lt", "value": 60}, "duration < 60"),
    ({"field": "duration", "op": "lte", "value": 60}, "duration <= 60"),
    ({"field": "topic", "op": "in", "value": ["complaint", "appointment"]}, "topic IN ('complaint', 'appointment')"),
    ({"field": "topic", "op": "in", "value": []}, "FALSE"),
    ({"field": "topic", "op": "contains", "value": "BILL"}, "topic ILIKE '%bill%'"),
    ({"field": "topic", "op": "startswith", "value": "app"}, "topic LIKE 'app%'"),
    ({"field": "topic", "op": "endswith", "value": "Results"}, "topic LIKE '%results'"),
    ({"field": "topic", "op": "regex", "value": "^(test|open)"}, "topic LIKE 'test%' OR topic LIKE 'open%'"),
    ({"field": "agent.agent_name", "op": "eq", "value": "Booking"}, "agent_id = 33"),
    ({"field": "metadata.region", "op": "eq", "value": "north"}, "metadata['region'] = 'north'"),
    ({"field": "metadata.nowhere", "op": "isnull", "value": True}, "TRUE"),
    (
        {"operator": "or", "conditions": [{"field": "agent.id", "op": "eq", "value": 31}, {"field": "agent.id", "op": "eq", "value": 42}]},
        "agent_id IN (31, 42)",
    ),
    (
        {"operator": "same_row", "conditions": [
            {"field": "metric_evaluations.metric.name", "op": "eq", "value": "Customer satisfaction"},
            {"field": "metric_evaluations.value", "op": "lte", "value": 2}]},
        "id IN (SELECT call_id FROM evaluations WHERE metric_name = 'Customer satisfaction' AND number <= 2)",
    ),
    (
        {"operator": "and", "conditions": [
            {"field": "metric_evaluations.metric.name", "op": "eq", "value": "Sentiment"},
            {"field": "metric_evaluations.value", "op": "eq", "value": "negative"}]},
        "id IN (SELECT call_id FROM evaluations WHERE label = 'negative')",
    ),
    ({"field": "timestamp", "op": "lt", "value": "now-3d"}, f"ts < '{(NOW - timedelta(days=3)).replace(tzinfo=None)}'"),
    ({"field": "timestamp", "op": "lte", "value": "today-3d"}, "ts < '2026-11-16'"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("condition", "where"), CONDITIONS, ids=[str(c[0].get("op", c[0].get("operator"))) for c in CONDITIONS]
)
async def test_every_filter_operator_counts_the_same_calls_as_sql(condition: Json, where: str) -> None:
    app = shared_sandbox()
    async with http(app) as api:
        filters = {"operator": "and", "conditions": [SINCE, condition]}
        body = {"chart_type": "pie", "field": "is_reviewed", "filters": filters}
        answer = (await api.post("/dashboards/widgets/preview_data/", json=body)).json()
    counted = sum(piece["value"] for piece in answer["data"])
    assert [(counted,)] == sql(app, f"SELECT count(*) FROM calls WHERE ts >= '2026-10-29' AND ({where})")


async def test_sql_injections_in_values_and_keys_are_inert() -> None:
    async with http(shared_sandbox()) as api:
        for condition in (
            {"field": "topic", "op": "eq", "value": "x' OR '1'='1"},
            {"field": "metadata.x'] IS NULL OR TRUE --", "op": "eq", "value": "1"},
        ):
            body = {
                "chart_type": "pie",
                "field": "topic",
                "filters": {"operator": "and", "conditions": [SINCE, condition]},
            }
            assert (await api.post("/dashboards/widgets/preview_data/", json=body)).json()["data"] == []


@pytest.mark.parametrize("grouped", ["key", "field", "nested"])
async def test_grouped_rows_follow_the_api_variant(grouped: Any) -> None:
    async with http(shared_sandbox(ApiVariant(grouped=grouped))) as api:
        data = (await api.get("/dashboards/widgets/204/data/")).json()["data"]
    names = {"key": "group", "field": "agent.id", "nested": "data"}
    assert all(names[grouped] in row for row in data)


async def test_api_variants_change_the_answers() -> None:
    async with http(shared_sandbox(ApiVariant(rates="percent", stat="array", buckets="bare", booleans="1"))) as api:
        stat = (await api.get("/dashboards/widgets/201/data/")).json()["data"]
        assert isinstance(stat, list)
        assert stat[0]["success_rate"] > 1
        bar = (await api.get("/dashboards/widgets/203/data/")).json()["data"]
        assert bar[0]["value"] > 1
        assert not bar[0]["time_interval"].endswith("Z")
        pie = (await api.get("/dashboards/widgets/218/data/")).json()["data"]
        assert [piece["label"] for piece in pie] == [1, 0, None]


async def test_a_duplicated_dashboard_has_copies_of_all_widgets() -> None:
    async with http(new_sandbox()) as api:
        copy = await api.post("/dashboards/dashboards/12/duplicate/", json={})
        assert (copy.status_code, copy.json()["name"], len(copy.json()["widgets"])) == (201, "Copy of Booking agent", 7)
        assert (await api.delete("/dashboards/dashboards/12/")).status_code == 204
        assert (await api.get("/dashboards/widgets/209/")).status_code == 404


async def test_call_logs_are_filtered_and_contain_transcripts() -> None:
    app = shared_sandbox()
    async with http(app) as api:
        assert (await api.get("/observability/v2/call-logs/")).status_code == 400
        query = '{"field": "success", "op": "eq", "value": false}'
        answer = (await api.get("/observability/v2/call-logs/", params={"agent_id": 33, "filters_v2": query})).json()
    assert [(answer["count"],)] == sql(app, "SELECT count(*) FROM calls WHERE agent_id = 33 AND NOT success")
    assert all(call["agent"] == 33 and call["transcript"] for call in answer["results"])
