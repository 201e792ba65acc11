"""list_dashboards, get_dashboard and look_up."""

import json
from typing import Any

import pytest

from cekura_dashboards.api import errors
from cekura_dashboards.api.wire import Response
from cekura_sandbox import ApiVariant
from support import Json, Sent, ask, new_sandbox, open_tools, shared_sandbox, sql

pytestmark = pytest.mark.anyio


def many_dashboards(count: int) -> Any:
    """An API with this many dashboards, 30 a page."""

    def answer(sent: Sent) -> Response | None:
        if sent.path != "/dashboards/dashboards/":
            return None
        page = int(sent.query.get("page", 1))
        rows = [
            {"id": i, "name": f"Board {i}", "project": 1, "widget_count": "2"}
            for i in range((page - 1) * 30, min(count, page * 30))
        ]
        following = f"https://other.invalid/?page={page + 1}" if page * 30 < count else None
        return Response(200, json.dumps({"count": count, "next": following, "results": rows}).encode())

    return answer


async def test_dashboards_are_listed_with_project_size_and_date_range() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, answer = await ask(context, "list_dashboards")
    first = answer["dashboards"][0]
    assert (first["id"], first["name"], first["project"], first["widgets"]) == (11, "Operations overview", 1, 8)
    assert first["date_range"] == "since 2026-11-11T00:00Z"
    assert answer["dashboards"][2]["date_range"] == "none"
    assert text.startswith('11 "Operations overview", project 1, 8 widgets, date range since 2026-11-11T00:00Z')


async def test_the_project_argument_overrides_the_default_project() -> None:
    async with open_tools(shared_sandbox(), project_id=2) as (context, _):
        _, answer = await ask(context, "list_dashboards")
        assert [row["id"] for row in answer["dashboards"]] == [13]
        _, answer = await ask(context, "list_dashboards", project_id=1)
        assert [row["id"] for row in answer["dashboards"]] == [11, 12]


async def test_pages_hold_twenty_dashboards_and_state_whether_more_follow() -> None:
    async with open_tools(shared_sandbox()) as (context, recorder):
        recorder.fault = many_dashboards(45)
        sizes = list[tuple[int, bool]]()
        for page in (1, 2, 3, 4):
            _, answer = await ask(context, "list_dashboards", page=page)
            sizes.append((len(answer["dashboards"]), answer["more"]))
    assert sizes == [(20, True), (20, True), (5, False), (0, False)]


async def test_search_reads_all_pages_and_matches_parts_of_names() -> None:
    async with open_tools(shared_sandbox()) as (context, recorder):
        recorder.fault = many_dashboards(100)
        _, answer = await ask(context, "list_dashboards", search="bOARD 99")
        assert [row["id"] for row in answer["dashboards"]] == [99]
        text, _ = await ask(context, "list_dashboards", search="nowhere")
    assert 'none with "nowhere" in the name among 100 read' in text


async def test_search_stops_at_a_limit_and_states_it() -> None:
    async with open_tools(shared_sandbox()) as (context, recorder):
        recorder.fault = many_dashboards(5000)
        text, _ = await ask(context, "list_dashboards", search="nowhere")
    assert "the first 1020 dashboards were read" in text


async def test_get_dashboard_shows_filters_as_text_and_as_json() -> None:
    async with open_tools(shared_sandbox()) as (context, recorder):
        text, answer = await ask(context, "get_dashboard", dashboard_id=12)
        beside = ["GET /dashboards/widgets/", "GET /observability/v1/alerts/"]
        assert sorted(recorder.paths()) == ["GET /dashboards/dashboards/12/", *beside]
    assert answer["filters_text"] == 'timestamp ≥ "today-14d" and agent.id = 33'
    assert answer["filters"]["operator"] == "and"
    by_id = {widget["id"]: widget for widget in answer["widgets"]}
    assert by_id[212]["filters"] == {"field": "success", "op": "eq", "value": False}
    assert by_id[214]["group_by"] == "metadata.region"
    assert 'widget 212 "Where callers drop off": pie of dropoff_point, filters {"field":"success"' in text


async def test_large_dashboards_omit_layouts_and_state_it() -> None:
    app = new_sandbox()
    many: list[Json] = [
        {
            "name": f"Widget {i}",
            "chart_type": "pie",
            "field": "topic",
            "metadata": {"layout": {"x": i, "note": "y" * 100}},
        }
        for i in range(52)
    ]
    async with open_tools(app) as (context, _):
        await ask(context, "bulk_edit_dashboard", dashboard_id=11, create=many)
        text, answer = await ask(context, "get_dashboard", dashboard_id=11)
    assert len(text) <= 9000
    assert answer["omitted"] == ["layout of the widgets"]
    assert len(answer["widgets"]) == 60


async def test_plottable_fields_are_listed_with_charts_and_aggregations() -> None:
    async with open_tools(shared_sandbox()) as (context, recorder):
        text, answer = await ask(context, "look_up", kind="fields")
        assert recorder.sent == []
    assert ["success", "boolean", "pie bar", "count avg"] in answer["rows"]
    assert "metric_evaluations.value needs a metric id" in text


async def test_values_are_counted_over_thirty_days() -> None:
    app = shared_sandbox()
    async with open_tools(app) as (context, _):
        _, answer = await ask(context, "look_up", kind="values", field="topic", project_id=1)
    expected = dict(
        sql(app, "SELECT topic, count(*) FROM calls WHERE project = 1 AND ts >= '2026-10-19 15:35' GROUP BY 1")
    )
    assert dict(answer["rows"]) == expected
    assert not any("projects" in text for text in answer["notes"])


@pytest.mark.parametrize(
    ("field", "hint"),
    [
        ("duration", "no list of values"),
        ("agent.id", "kind agents"),
        ("metric_evaluations.value", "preview_widget"),
        ("topci", "did you mean `topic`"),
    ],
)
async def test_values_of_unsupported_fields_are_rejected_with_a_next_step(field: str, hint: str) -> None:
    async with open_tools(shared_sandbox()) as (context, recorder):
        with pytest.raises(errors.InvalidArguments, match=hint):
            await ask(context, "look_up", kind="values", field=field)
        assert recorder.sent == []


async def test_metrics_are_listed_for_all_projects_or_one_agent() -> None:
    async with open_tools(shared_sandbox()) as (context, recorder):
        _, everything = await ask(context, "look_up", kind="metrics")
        assert [row[0] for row in everything["rows"]] == [501, 502, 503, 504, 505, 506, 507]
        _, one = await ask(context, "look_up", kind="metrics", agent_id=38)
        assert [row[:3] for row in one["rows"]] == [
            [506, "Response latency", "numeric"],
            [507, "Issue resolved", "binary"],
        ]
        assert recorder.sent[-1].query == {"agent_id": "38"}


async def test_long_metric_lists_fit_the_budget_and_suggest_search() -> None:
    def metrics(sent: Sent) -> Response | None:
        rows = [
            {"id": i, "name": f"A metric with a long name {i}", "eval_type": "numeric", "project": 1}
            for i in range(500)
        ]
        return Response(200, json.dumps(rows).encode()) if sent.path.endswith("metrics/") else None

    async with open_tools(shared_sandbox(), project_id=1) as (context, recorder):
        recorder.fault = metrics
        text, answer = await ask(context, "look_up", kind="metrics")
        assert (answer["total"], len(text) <= 9000) == (500, True)
        assert "narrow with search" in text
        _, result = await ask(context, "look_up", kind="metrics", search="NAME 499")
        assert [row[0] for row in result["rows"]] == [499]


async def test_agents_projects_and_ready_made_widgets_are_listed() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        _, agents = await ask(context, "look_up", kind="agents")
        assert (agents["total"], agents["rows"][2]) == (12, [33, "Booking", 1])
        _, projects = await ask(context, "look_up", kind="projects")
        assert [row[:2] for row in projects["rows"]] == [[1, "Northside Clinics"], [2, "Harbour Telecom"]]
        _, ready = await ask(context, "look_up", kind="predefined_widgets")
        widget = ready["rows"][2][1]
        _, preview = await ask(context, "preview_widget", widget=widget, window="7d")
        assert preview["report"]["unit"] == "ratio"


MISSPELLED: list[tuple[str, Json, Any]] = [
    ("look_up", {"kind": "agents", "search": "Bookin g"}, 33),
    ("look_up", {"kind": "projects", "search": "clinik"}, 1),
    ("look_up", {"kind": "alerts", "search": "cold cals"}, 703),
    ("look_up", {"kind": "topics", "search": "test result s"}, "test results"),
    ("look_up", {"kind": "metadata_keys", "project_id": 1, "search": "regoin"}, "metadata.region"),
    ("look_up", {"kind": "predefined_widgets", "search": "sucess"}, "Success rate"),
    ("look_up", {"kind": "fields", "search": "durration"}, "duration"),
    ("list_dashboards", {"search": "overvew"}, 11),
]


@pytest.mark.parametrize(("tool", "arguments", "nearest"), MISSPELLED)
async def test_search_returns_similar_names(tool: str, arguments: Json, nearest: Any) -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, answer = await ask(context, tool, **arguments)
    rows = [row[0] for row in answer["rows"]] if tool == "look_up" else [row["id"] for row in answer["dashboards"]]
    assert rows == [nearest]
    assert "similar" in text
    assert f'contains "{arguments["search"]}"' in text


async def test_fields_that_grouping_accepts_are_stated() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, _ = await ask(context, "look_up", kind="fields")
    assert "group_by takes agent.id, strings and metadata.KEY" in text


async def test_search_without_a_match_is_reported() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, answer = await ask(context, "look_up", kind="agents", search="zzz")
    assert (answer["total"], answer["rows"]) == (0, [])
    assert 'no match for "zzz"; without search all are listed' in text


async def test_metadata_keys_come_from_widgets_and_from_calls_if_available() -> None:
    async with open_tools(shared_sandbox()) as (context, recorder):
        text, answer = await ask(context, "look_up", kind="metadata_keys", project_id=1)
    assert [row[:3] for row in answer["rows"]] == [["metadata.app_version", 1, None], ["metadata.region", 1, None]]
    assert "only keys that widgets use are known" in text
    [logs] = [sent for sent in recorder.sent if "call-logs" in sent.path]
    assert logs.query["page_size"] == "20"
    app = shared_sandbox(ApiVariant(call_metadata="present"))
    newest = sql(app, "SELECT metadata FROM calls WHERE project = 1 ORDER BY ts DESC LIMIT 20")
    campaigns = sum(bool(held.get("campaign")) for (held,) in newest)
    async with open_tools(app) as (context, _):
        _, answer = await ask(context, "look_up", kind="metadata keys", project_id="Northside Clinics")
    rows = {row[0]: row[1:] for row in answer["rows"]}
    assert rows["metadata.app_version"][:2] == [1, 20]
    assert rows["metadata.language"][:2] == [0, 20]
    assert rows["metadata.campaign"][1] == campaigns
    assert "2.3.1" in rows["metadata.app_version"][2]
    assert [*rows][-1] == "metadata.campaign"


@pytest.mark.parametrize(
    "field", ["topic, call_ended_reason", ["topic", "ended_reason"], "topic,topic,call_ended_reason"]
)
async def test_values_of_several_fields_are_returned_in_one_call(field: Any) -> None:
    app = shared_sandbox()
    async with open_tools(app) as (context, _):
        _, answer = await ask(context, "look_up", kind="values", field=field, project_id=1)
    assert answer["columns"] == ["field", "value", "calls"]
    for name in ("topic", "call_ended_reason"):
        counts = dict(sql(app, f"SELECT {name}, count(*) FROM calls WHERE project = 1 GROUP BY 1"))
        shown = {row[1]: row[2] for row in answer["rows"] if row[0] == name}
        assert shown.keys() == counts.keys()
        assert all(abs(shown[label] - counts[label]) <= 2 for label in counts), (
            "the first minutes of the month are excluded"
        )


async def test_look_up_topics_equals_values_of_topic() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        _, answer = await ask(context, "look_up", kind="topics")
        _, same = await ask(context, "look_up", kind="values", field="topic")
    assert answer["rows"] == same["rows"]


@pytest.mark.parametrize(
    ("measure", "nearest"),
    [
        ("unique callers", "the number of calls"),
        ("cost", "talk time"),
        ("median per group", "the value of each group"),
        ("hold time", "the duration of the whole call"),
        ("caller's phone", "a filter on customer_number"),
    ],
)
async def test_unavailable_measures_are_reported_with_the_nearest_one(measure: str, nearest: str) -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, _ = await ask(context, "look_up", kind="fields", search=measure)
        assert f'"{measure}": the API has no such measure; nearest: {nearest}' in text
        widget = {"chart_type": "line", "field": measure.replace(" ", "_")}
        with pytest.raises(errors.InvalidArguments, match=f"no such measure; nearest: {nearest}"):
            await ask(context, "preview_widget", widget=widget)


async def test_an_unknown_metadata_key_is_reported() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, _ = await ask(context, "look_up", kind="values", field="metadata.nothing")
    assert 'no call has "metadata.nothing"; look_up metadata_keys' in text


async def test_projects_are_listed_with_their_time_zone_and_sample_rate() -> None:
    async with open_tools(shared_sandbox(ApiVariant(sample_rate=0.3))) as (context, _):
        text, answer = await ask(context, "look_up", kind="projects")
    assert answer["columns"] == ["id", "name", "time zone", "sample rate"]
    assert answer["rows"][0] == [1, "Northside Clinics", "UTC", 0.3]
    assert '1 | "Northside Clinics" | "UTC" | 0.3' in text
