"""Groups of a chart over time: which one changed, with the same figures as SQL."""

import pytest
from benchmarks.verdicts import quiet_calls

from cekura_dashboards.api.wire import Response
from support import KEY, Json, Sent, ask, new_sandbox, open_tools, report_of, shared_sandbox, sql

pytestmark = pytest.mark.anyio
LARGE = 60_000
BY = ["agent.id", "topic", "metadata.app_version"]
BY_TOPIC: Json = {
    "chart_type": "bar",
    "field": "agent_id",
    "aggregation_function": "count",
    "time_period": "day",
    "group_by": "topic",
}


async def test_group_changes_name_the_agent_that_got_worse() -> None:
    app = shared_sandbox(count=LARGE)
    async with open_tools(app) as (context, _):
        report = await report_of(context, widget_ids=[204], window="2026-11-11/2026-11-17", compare_to="previous_week")
    [first, *others] = report["group_changes"]["top"]
    figures = sql(
        app,
        "SELECT count(success), avg(CAST(success AS INT)) FROM calls WHERE agent_id = 33 AND ts >= '2026-11-04' "
        "AND ts < '2026-11-18' GROUP BY ts >= '2026-11-11' ORDER BY ts >= '2026-11-11'",
    )
    assert (first["group"], first["verdict"], others) == ("Booking (33)", "clear", [])
    assert first["n"] == [row[0] for row in figures]
    assert [first["baseline"], first["current"]] == [pytest.approx(row[1], abs=1e-3) for row in figures]
    assert report["group_changes"]["not_significant"] == 6


async def test_group_changes_of_an_unsaved_widget_compare_window_halves() -> None:
    app = shared_sandbox(count=LARGE)
    async with open_tools(app) as (context, _):
        text, answer = await ask(context, "preview_widget", widget=BY_TOPIC, dashboard_id=11)
    result = answer["report"]["group_changes"]
    [first] = result["top"]
    counts = sql(
        app,
        "SELECT count(*) FROM calls WHERE project = 1 AND topic = 'billing question' AND ts >= '2026-11-12' "
        "AND ts < '2026-11-18' GROUP BY ts >= '2026-11-15' ORDER BY ts >= '2026-11-15'",
    )
    assert result["against"] == (
        "2026-11-15T00:00Z to 2026-11-18T00:00Z against 2026-11-12T00:00Z to 2026-11-15T00:00Z"
    )
    assert (first["group"], first["baseline"], first["current"]) == ("billing question", counts[0][0], counts[1][0])
    assert first["verdict"] == "possible", "the halves contain different weekdays"
    assert "6 not significant" in text


async def test_a_new_group_is_marked_as_new() -> None:
    async with open_tools(shared_sandbox(count=LARGE)) as (context, _):
        report = await report_of(context, widget_ids=[215], window="2026-11-05/2026-11-17")
    rows = {row["group"]: row for row in report["group_changes"]["top"]}
    assert rows["2.4.0"]["verdict"] == "new"
    assert "baseline" not in rows["2.4.0"]


async def test_history_makes_a_small_drop_of_an_agent_clear() -> None:
    app = next(iter(quiet_calls.quiet_worlds([2], 12_000, KEY)))
    app.state.world.con.execute(
        "UPDATE calls SET success = success AND u(id, 'fall') >= 0.065 WHERE ts >= TIMESTAMP '2026-11-11' "
        "AND agent_id = 33"
    )
    weeks = {"window": "2026-11-11/2026-11-17", "compare_to": "previous_week"}
    verdicts, requests = list[tuple[str, str]](), list[int]()
    for history in (False, True):
        async with open_tools(app, history=history) as (context, recorder):
            _, explanation = await ask(context, "explain_change", widget_id=203, by=BY, **weeks)
            requests.append(sum(sent.path.endswith("_data/") for sent in recorder.sent))
            report = await report_of(context, widget_ids=[204], **weeks)
        [agents, *_], first = explanation["dimensions"], report["group_changes"]["top"][0]
        assert (agents["groups"], first["group"]) == (["Booking (33)"], "Booking (33)")
        verdicts.append((agents["verdict"], first["verdict"]))
    assert verdicts == [("possible", "clear"), ("clear", "clear")]
    assert requests[1] == requests[0] + 3, "a history of the measure, and by each field; one of them checks the calls"


async def test_short_windows_have_no_group_changes() -> None:
    async with open_tools(shared_sandbox(count=LARGE)) as (context, _):
        report = await report_of(context, widget_ids=[204], window="3d")
    assert "group_changes" not in report


@pytest.mark.no_cover
def test_quiet_data_rarely_yields_group_changes() -> None:
    """``python -m benchmarks.verdicts`` runs more seeds."""
    assert quiet_calls.quiet_answers(quiet_calls.GROUPS, range(700, 704)).holds


async def test_groups_are_compared_at_the_step_of_their_chart() -> None:
    async with open_tools(shared_sandbox(count=60_000)) as (context, _):
        fortnight = await report_of(context, widget_ids=[204], window="14d")
        week = await report_of(context, widget_ids=[204], window="7d")
    changes = fortnight["group_changes"]
    assert fortnight["findings"][0]["at"] == "2026-11-12"
    before, after = "2026-11-05T00:00Z to 2026-11-11T00:00Z", "2026-11-12T00:00Z to 2026-11-18T00:00Z"
    assert changes["against"] == f"{after} against {before}"
    assert changes["top"][0]["group"] == "Booking (33)"
    assert "group_changes" not in week, "one day before the step is too little to compare groups"


def _bar(field: str, function: str, by: str | None = None) -> Json:
    group_by = {"type": "field", "field": by} if by else None
    return {"name": f"{function} of {field} by {by}", "chart_type": "bar", "field": field, "time_period": "day",
            "aggregation_function": function, "group_by": group_by}  # fmt: skip


COUNT, BY_AGENT = _bar("agent_id", "count"), _bar("success", "avg", "agent.id")


async def test_a_boolean_pie_has_the_same_verdict_alone_and_beside_others() -> None:
    compared: Json = {"window": "7d", "compare_to": "previous_period"}
    async with open_tools(new_sandbox(count=9000)) as (context, _):
        pie = {"name": "Success", "chart_type": "pie", "field": "success"}
        _, created = await ask(context, "create_dashboard", name="D", project_id=1, widgets=[COUNT, BY_AGENT, pie])
        _, beside = await ask(context, "get_widgets_data", dashboard_id=created["dashboard_id"], **compared)
        alone = await report_of(context, widget_ids=[beside["widgets"][-1]["widget"]["id"]], **compared)
    shares = [report["comparison"]["shares"] for report in (beside["widgets"][-1], alone)]
    assert shares[0] == shares[1]
    assert "possible" in str(shares[0])


async def test_groups_with_unreadable_history_are_compared_with_a_note() -> None:
    def fails_by_group(sent: Sent) -> Response | None:
        asks_group = sent.path.endswith("preview_data/") and sent.body.get("group_by")
        return Response(403, b"{}", "application/json") if asks_group and "2026-10-" in str(sent.body) else None

    async with open_tools(shared_sandbox()) as (context, recorder):
        recorder.fault = fails_by_group
        for arguments in ({"window": "2026-11-11/2026-11-17", "compare_to": "previous_week"}, {"window": "14d"}):
            text, answer = await ask(context, "get_widgets_data", widget_ids=[204], **arguments)
            assert answer["widgets"][0]["group_changes"]["not_significant"] >= 1
            assert "note: groups are compared without the days before, which could not be read: " in text
            assert "not tested" not in text, "the totals of all groups are tested"


async def test_group_charts_beyond_the_history_limit_are_counted() -> None:
    measures = [("agent_id", "count"), ("success", "avg"), *(("duration", f) for f in ("avg", "sum", "min", "max"))]
    charts = [_bar(*measure, by) for measure in measures for by in ("agent.id", "topic", "metadata.language")]
    async with open_tools(new_sandbox()) as (context, recorder):
        _, created = await ask(context, "create_dashboard", name="D", project_id=1, widgets=charts)
        recorder.sent.clear()
        text, _ = await ask(context, "get_widgets_data", dashboard_id=created["dashboard_id"])
    histories = [sent for sent in recorder.sent if "2026-10-" in str(sent.body)]
    assert len(histories) == 12
    assert "note: groups of 7 charts compared without the days before: at most 12 histories are read" in text


async def test_a_group_with_few_calls_on_one_side_is_not_tested() -> None:
    app = new_sandbox(count=9000)
    app.state.world.con.cursor().execute(
        "UPDATE calls SET topic = 'rare' WHERE id % 20 = 5 AND (ts >= '2026-11-11 15:30' OR id % 100 = 5)"
    )
    of_topic = "SELECT count(*) FROM calls WHERE project = 1 AND topic = 'rare' AND ts >= "
    [(calls,)] = sql(app, f"{of_topic}'2026-11-11 15:30' AND ts < '2026-11-18 15:30'")
    [(before,)] = sql(app, f"{of_topic}'2026-11-04 15:30' AND ts < '2026-11-11 15:30'")
    async with open_tools(app) as (context, _):
        text, answer = await ask(
            context, "preview_widget", widget=BY_TOPIC, dashboard_id=11, window="7d", compare_to="previous_period"
        )
    [row] = [row for row in answer["report"]["group_changes"]["top"] if row["group"] == "rare"]
    assert 0 < before < 30 < calls
    assert (row["verdict"], row["baseline"], row["current"]) == ("not tested", before, calls)
    assert "; not tested: too few calls on one side" in text


async def test_a_group_missing_from_compared_calls_is_not_marked_new() -> None:
    booking = {"field": "agent.id", "op": "eq", "value": 33}
    async with open_tools(shared_sandbox()) as (context, _):
        text, answer = await ask(context, "get_widgets_data", widget_ids=[204], window="7d", compare_filters=booking)
    rows = answer["widgets"][0]["group_changes"]["top"]
    assert {row["verdict"] for row in rows} == {"only in current"}
    assert "only in current" in text
    assert " new" not in text
    assert "(no calls in the baseline)" in text
