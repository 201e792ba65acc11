"""Requests of the tools and answers of the sandbox match the published document.

``tests/facts/published_api.json`` holds the names, types and choices of the API's published OpenAPI document. Two types
are wrong in the document and corrected here: ``filters`` in a query is typed as an object but sent as JSON text, and
the data of a stat is typed as an array but is an object. The answers of an alert review and of a trigger summary are
taken from their descriptions, as their schemas are those of a single alert.
"""

import re
from collections.abc import Generator
from importlib import import_module
from typing import Any

import httpx
import jsonschema
import jsonschema_rs
import pytest
import schemathesis
from hypothesis import settings

from arbitrary import OPERATIONS, operation
from cekura_dashboards import TOOLS
from cekura_dashboards.api.models import is_list, is_object
from support import KEY, Json, Sent, ask, new_sandbox, open_tools, sample_calls, scaled_examples, shared_sandbox

STAT = "stat data is an object"
QUERY_FILTERS = "filters in a query are JSON text"


def as_json_schema(schema: Any) -> Any:
    """The facts as JSON Schema, with ``nullable`` as a type."""
    if not is_object(schema):
        return schema
    simplified: Json = {
        k: as_json_schema(v) if k == "items" else v for k, v in schema.items() if k not in {"nullable", "format"}
    }
    if "properties" in simplified:
        simplified["properties"] = {name: as_json_schema(inner) for name, inner in simplified["properties"].items()}
    if schema.get("nullable") and isinstance(simplified.get("type"), str):
        simplified["type"] = [simplified["type"], "null"]
    return simplified


def assert_documented(sent: Sent) -> None:
    known = OPERATIONS[operation(sent.method, sent.path)]
    for name, value in sent.query.items():
        assert name in known["query"], f"{sent.path} has no {name}"
        if known["query"][name] == "integer":
            assert value.isdecimal()
    if sent.body is not None:
        schema = as_json_schema(known["body"])
        assert set(sent.body) <= set(schema["properties"])
        read_only = {"id", "effective_filters", "metric_name", "created_at", "updated_at"}
        items = [*sent.body.get("create", []), *sent.body.get("update", [])]
        widget = as_json_schema(OPERATIONS["PATCH /dashboards/widgets/{id}/"]["body"])
        for item in items:
            assert set(item) <= set(widget["properties"])
            assert set(item) & read_only <= {"id"}
            jsonschema_rs.validate(widget, item)
        if not sent.path.endswith("bulk_widgets/"):
            assert not set(sent.body) & read_only
        jsonschema_rs.validate(
            {k: v for k, v in schema.items() if sent.method != "PATCH" or k != "required"}, sent.body
        )
        for node in filters_in(sent.body):
            assert set(node) in ({"field", "op", "value"}, {"operator", "conditions"})


def filters_in(value: Any) -> list[Json]:
    """Every condition and group in a request body."""
    if is_list(value):
        return [node for item in value for node in filters_in(item)]
    if not is_object(value):
        return []
    mine = [value] if "op" in value or "conditions" in value else []
    return mine + [
        node
        for name, inner in value.items()
        if name in {"filters", "conditions", "create", "update"}
        for node in filters_in(inner)
    ]


PIE: Json = {
    "name": "T",
    "chart_type": "pie",
    "field": "topic",
    "filters": {"field": "success", "op": "eq", "value": False},
}
WEEK: Json = {"field": "timestamp", "op": "gte", "value": "today-7d"}
CALLS: list[tuple[str, Json]] = [
    ("list_dashboards", {"project_id": 1, "search": "x"}),
    ("get_dashboard", {"dashboard_id": 12}),
    *(("look_up", {"kind": kind}) for kind in ("metrics", "agents", "projects", "predefined_widgets")),
    ("look_up", {"kind": "metrics", "agent_id": 33}),
    ("look_up", {"kind": "values", "field": "topic", "project_id": 2}),
    ("look_up", {"kind": "values", "field": "metadata.region", "agent_id": 33}),
    *(("get_widgets_data", {"dashboard_id": number, **window}) for number in (11, 12, 13) for window in ({}, {"window": "yesterday"}, {"window": "25d"})),
    ("get_widgets_data", {"widget_ids": [204, 219], "filters": PIE["filters"]}),
    ("preview_widget", {"widget": PIE}),
    ("preview_widget", {"widget": PIE, "dashboard_id": 12, "window": "3d"}),
    ("update_widget", {"widget_id": 203, "changes": {"name": "x", "metadata": {"a": 1}}, "clear": ["filters", "data_type"]}),
    ("bulk_edit_dashboard", {"dashboard_id": 11, "create": [PIE], "update": [{"id": 204, "clear": ["group_by"]}]}),
    ("bulk_edit_dashboard", {"dashboard_id": 11, "delete": [205]}),
    ("preview_edit", {"dashboard_id": 11, "create": [{**PIE, "place": "top"}], "update": [{"id": 204, "name": "N"}]}),
    ("check_dashboard", {"dashboard_id": 13}),
    ("list_calls", {"widget_id": 206, "label": "complaint"}),
    ("list_calls", {"widget_id": 206, "sort": "longest", "page": 2, "said": "refund"}),
    ("list_calls", {"widget_id": 203, "details": True}),
    ("explain_change", {"widget_id": 203, "window": "5d"}),
    ("find_changes", {}),
    ("get_widgets_data", {"widget_ids": [202], "profile": "weekday", "window": "14d"}),
    ("get_widgets_data", {"widget_ids": [202], "by": "local_day", "time_zone": "Asia/Tokyo"}),
    ("copy_widgets", {"widget_ids": [203], "dashboard_ids": [12], "move": True}),
    ("update_dashboard", {"dashboard_id": 12, "date_range": "30d", "only": {"agent.id": 31}}),
    ("get_widgets_data", {"dashboard_id": 11, "window": "5d", "compare_to": "previous_period"}),
    ("create_dashboard", {"name": "New", "project_id": 1, "filters": PIE["filters"], "widgets": [PIE]}),
    ("create_dashboard", {"name": "Copied", "copy_of": 11, "filters": WEEK}),
    ("update_dashboard", {"dashboard_id": 12, "name": "x", "clear": ["filters", "date_range"]}),
    ("copy_widgets", {"widget_ids": [203, 218], "dashboard_ids": [12, 13]}),
    ("delete_dashboard", {"dashboard_id": 13}),
    ("look_up", {"kind": "alerts"}),
    ("preview_alert", {"alert_id": 701, "preset": "aggressive"}),
    ("preview_alert", {"widget_id": 211, "kind": "failure"}),
    ("save_alert", {"widget_id": 213, "kind": "threshold", "operator": "outside", "value": 2, "high": 4, "slack_workspace": 9}),
    ("save_alert", {"alert_id": 701, "action": "off", "filters": PIE["filters"], "name": "x"}),
    ("save_alert", {"alert_id": 703, "action": "delete"}),
    ("update_dashboard", {"dashboard_id": 12, "daily_report": "add"}),
    ("get_dashboard", {"dashboard_id": "Operations overview"}),
    ("update_widget", {"widget_id": "Where callers drop off", "changes": {"name": "Length"}}),
]  # fmt: skip
CALLS.extend(call for writes in (False, True) for call in sample_calls([tool for tool, _ in CALLS], writes=writes))


@pytest.mark.no_cover
@pytest.mark.anyio
async def test_every_request_of_every_tool_is_documented() -> None:
    async with open_tools(new_sandbox()) as (context, recorder):
        for tool, arguments in CALLS:
            _, answer = await ask(context, tool, **arguments)
            if answer.get("outcome") == "needs_plan":
                await ask(context, tool, **arguments, plan_id=answer["plan_id"])
        for sent in recorder.sent:
            assert_documented(sent)
        assert {tool for tool, _ in CALLS} == {tool.name for tool in TOOLS}
        assert len({(sent.method, re.sub(r"\d+", "", sent.path)) for sent in recorder.sent}) == 25


@pytest.mark.no_cover
@pytest.mark.anyio
async def test_requests_for_edits_details_and_failure_modes_are_documented() -> None:
    async with open_tools(shared_sandbox(count=60_000)) as (context, recorder):
        await ask(context, "explain_change", widget_id=203, window="5d", edits="full")
        await ask(context, "find_changes", dashboard_ids=[12])
        await ask(context, "get_widgets_data", dashboard_id=12, edits="brief", compare_to="previous_period")
    for sent in recorder.sent:
        assert_documented(sent)
    names = {operation(sent.method, sent.path) for sent in recorder.sent}
    beside = "history/", "audit-logs/", "call-logs/{id}/", "categories/", "/calls/"
    assert {name for name in names if name.endswith(beside)} == {name for name in OPERATIONS if name.endswith(beside)}


ALERT: Json = {
    "name": "Slow",
    "project": 1,
    "source_type": "metric",
    "source_id": 501,
    "source": {"sub_type": "threshold"},
    "threshold": {"operator": "gt", "value": 3000},
}
REQUESTS: list[tuple[str, str, Json | None]] = [
    ("GET", "/dashboards/dashboards/", None),
    ("POST", "/dashboards/dashboards/", {"name": "New", "project": 1}),
    ("GET", "/dashboards/dashboards/11/", None),
    ("PATCH", "/dashboards/dashboards/11/", {"name": "Renamed"}),
    ("PUT", "/dashboards/dashboards/11/", {"name": "Renamed", "filters": {"field": "timestamp", "op": "gte", "value": "today-7d"}}),
    ("POST", "/dashboards/dashboards/11/bulk_widgets/", {"create": [PIE], "update": [{"id": 203, "name": "x"}], "delete": [205]}),
    ("POST", "/dashboards/dashboards/11/duplicate/", {}),
    ("GET", "/dashboards/dashboards/predefined_widgets/", None),
    ("GET", "/dashboards/widgets/", None),
    ("POST", "/dashboards/widgets/", PIE),
    ("GET", "/dashboards/widgets/203/", None),
    ("PATCH", "/dashboards/widgets/203/", {"name": "x"}),
    ("PUT", "/dashboards/widgets/203/", {"chart_type": "stat", "field": ""}),
    *(("GET", f"/dashboards/widgets/{number}/data/", None) for number in (202, 204, 206, 207)),
    ("GET", '/dashboards/widgets/206/data/?filters={"field":"timestamp","op":"gte","value":"today"}', None),
    ("POST", "/dashboards/widgets/bulk_data/", {"widget_ids": [202, 206]}),
    ("POST", "/dashboards/widgets/preview_data/", {**PIE, "filters": {"field": "timestamp", "op": "gte", "value": "today"}}),
    ("GET", "/user/v1/projects/", None),
    ("PATCH", "/user/v1/projects/1/", {"daily_report_dashboard_ids": [11, 12]}),
    ("GET", "/observability/v1/alerts/?project_id=1&ordering=-name", None),
    ("GET", "/observability/v1/alerts/701/", None),
    ("POST", "/observability/v1/alerts/", ALERT),
    ("PATCH", "/observability/v1/alerts/701/", {"preset": "conservative", "source": {"window_size": 80}}),
    ("GET", "/observability/v1/alerts/review/?project_id=1&hours=72", None),
    ("GET", "/observability/v1/alerts/trigger_summary/?project_id=1&hours=168", None),
    ("DELETE", "/observability/v1/alerts/702/", None),
    ("GET", "/test_framework/v2/metrics/?project_id=1", None),
    ("GET", "/test_framework/v2/aiagents/?q=o", None),
    ("GET", "/observability/v2/call-logs/?project_id=1&page_size=3", None),
    ("GET", "/observability/v2/call-logs/1000100/", None),
    ("GET", "/test_framework/v2/metrics/503/history/", None),
    ("GET", "/test_framework/v2/aiagents/33/history/?page_size=1", None),
    ("GET", "/user/v1/audit-logs/?organization_id=7&start_time=2026-10-25T00:00:00Z", None),
    ("GET", "/observability/v1/metric-failure-mode-insights/categories/?project=1", None),
    ("GET", "/observability/v1/metric-failure-mode-insights/categories/slot-taken/calls/?project=1&metric_id=503", None),
    ("DELETE", "/dashboards/widgets/203/", None),
    ("DELETE", "/dashboards/dashboards/11/", None),
]  # fmt: skip


@pytest.mark.anyio
async def test_sandbox_answers_match_the_published_schema_on_every_path() -> None:
    observed = set[str]()
    headers = {"X-CEKURA-API-KEY": KEY}
    transport = httpx.ASGITransport(new_sandbox())
    async with httpx.AsyncClient(transport=transport, base_url="http://s", headers=headers) as http:
        for method, path, body in REQUESTS:
            answer = await http.request(method, path, json=body)
            observed.add(name := operation(method, path.partition("?")[0]))
            known = OPERATIONS[name]
            assert str(answer.status_code) in known["responses"], (method, path, answer.text)
            if schema := known["responses"][str(answer.status_code)]:
                jsonschema_rs.validate(as_json_schema(schema), answer.json())
        assert observed == set(OPERATIONS)
        stat = await http.get("/dashboards/widgets/209/data/")
        assert stat.status_code == 200


@pytest.mark.anyio
async def test_exactly_two_deviations_from_the_published_document_are_known() -> None:
    headers = {"X-CEKURA-API-KEY": KEY}
    transport = httpx.ASGITransport(shared_sandbox())
    async with httpx.AsyncClient(transport=transport, base_url="http://s", headers=headers) as http:
        stat = (await http.get("/dashboards/widgets/201/data/")).json()
    results = list[str]()
    known = OPERATIONS["GET /dashboards/widgets/{id}/data/"]
    validator: Any = jsonschema.Draft202012Validator(as_json_schema(known["responses"]["200"]))
    if [list(error.absolute_path) for error in validator.iter_errors(stat)] == [["data"]]:
        results.append(STAT)
    if known["query"]["filters"] == "object":
        results.append(QUERY_FILTERS)
    assert results == [STAT, QUERY_FILTERS]


def test_sandbox_and_published_documents_have_the_same_operations() -> None:
    mine: Json = shared_sandbox().openapi()
    paths: Json = mine["paths"]
    assert {f"{m.upper()} {p}" for p, methods in paths.items() for m in methods} == set(OPERATIONS)
    for name, facts in OPERATIONS.items():
        method, path = name.split()
        module_sandbox = paths[path][method.lower()]
        query = {p["name"] for p in module_sandbox.get("parameters", []) if p["in"] == "query"}
        assert query <= set(facts["query"]), name
        if "requestBody" in module_sandbox:
            body = module_sandbox["requestBody"]["content"]["application/json"]["schema"]
            published = as_json_schema(facts["body"])
            assert set(body["properties"]) <= set(published["properties"]), name
            for field, schema in body["properties"].items():
                if "enum" in schema:
                    assert schema["enum"] == published["properties"][field]["enum"]
        documented = {code for code in module_sandbox["responses"] if code < "400"}
        assert documented <= set(facts["responses"]), name


async def module_sandbox(scope: Any, receive: Any, send: Any) -> None:
    """A sandbox for this module, created at the first request."""
    await shared_sandbox(count=301)(scope, receive, send)


CONFIG: Any = schemathesis.Config
# One unsupported method represents all seven, as FastAPI rejects each in the same way.
ONE_UNEXPECTED_METHOD: Any = CONFIG.from_dict({"phases": {"coverage": {"unexpected-methods": ["TRACE"]}}})
OWN_SCHEMA: Any = schemathesis.openapi.from_asgi("/openapi.json", module_sandbox, config=ONE_UNEXPECTED_METHOD)
CHECKS: Any = import_module("schemathesis.checks").CHECKS.get_by_names(
    ["not_a_server_error", "response_schema_conformance", "status_code_conformance"]
)


@pytest.fixture(scope="module")
def session() -> Generator[Any]:
    """One client for all cases, without settings from the environment, which each case would read again."""
    with import_module("schemathesis.python.asgi").get_client(module_sandbox) as client:
        client.trust_env = False
        yield client


# PUT and PATCH are one function, and PUT's answers are checked above.
@OWN_SCHEMA.exclude(method="PUT").parametrize()  # type: ignore[untyped-decorator]  # schemathesis types it loosely
@pytest.mark.no_cover
@settings(max_examples=scaled_examples(25))
def test_the_sandbox_conforms_to_its_own_openapi_document(session: Any, case: Any) -> None:
    answer = case.call(session=session, headers={"X-CEKURA-API-KEY": KEY})
    case.validate_response(answer, checks=CHECKS)
