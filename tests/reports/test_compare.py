"""compare_to and compare_filters: the same figures as querying both sides separately."""

import json
import re
from datetime import datetime
from typing import Any

import pytest

from cekura_dashboards.api import errors
from cekura_dashboards.api.wire import Response
from cekura_dashboards.charts.target import resolve_targets, saved
from cekura_dashboards.reports.compare import compared_targets, days_before, measure_of, read_compared
from cekura_dashboards.stats.findings import Comparison
from cekura_sandbox import ApiVariant
from support import Json, ask, new_sandbox, now, open_tools, report_of, shared_sandbox, sql

pytestmark = pytest.mark.anyio
VARIANTS = [
    ApiVariant(override=override, preview=preview)
    for override in ("replace", "merge")
    for preview in ("alone", "merge")
]
BOOKING: Json = {"field": "agent.id", "op": "eq", "value": 33}
RECEPTION: Json = {"field": "agent.id", "op": "eq", "value": 31}


def rate(readings: ApiVariant, where: str) -> tuple[int, float]:
    [(n, mean)] = sql(
        shared_sandbox(readings),
        f"SELECT count(success), avg(CAST(success AS INT)) FROM calls WHERE project = 1 AND {where}",
    )
    return int(n), float(mean)


@pytest.mark.parametrize("readings", VARIANTS, ids=str)
async def test_previous_period_equals_querying_that_window(readings: ApiVariant) -> None:
    async with open_tools(shared_sandbox(readings)) as (context, _):
        report = await report_of(context, widget_ids=[203], window="7d", compare_to="previous_period")
    result = report["comparison"]
    n, mean = rate(readings, "ts >= '2026-11-04 15:30' AND ts < '2026-11-11 15:30'")
    assert (result["from"], result["to"]) == ("2026-11-04T15:30Z", "2026-11-11T15:30Z")
    assert result["baseline"] == {"value": pytest.approx(mean, abs=1e-4), "n": n}
    n, mean = rate(readings, "ts >= '2026-11-11 15:30'")
    assert result["current"] == {"value": pytest.approx(mean, abs=1e-4), "n": n}
    assert "notes" in result


WINDOWS: list[tuple[str, str, str, str]] = [
    ("today", "previous_period", "2026-11-17T00:00Z", "2026-11-17T15:30Z"),
    ("24h", "previous_week", "2026-11-10T15:30Z", "2026-11-11T15:30Z"),
    ("yesterday", "previous_period", "2026-11-16T00:00Z", "2026-11-17T00:00Z"),
    ("this_week", "previous_week", "2026-11-09T00:00Z", "2026-11-11T15:30Z"),
    ("2026-11-10/2026-11-11", "2026-11-01/2026-11-02", "2026-11-01T00:00Z", "2026-11-03T00:00Z"),
]


@pytest.mark.parametrize(("window", "to", "start", "end"), WINDOWS)
async def test_every_form_of_compare_to_resolves_to_its_window(window: str, to: str, start: str, end: str) -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        report = await report_of(context, widget_ids=[202], window=window, compare_to=to)
    assert (report["comparison"]["from"], report["comparison"]["to"]) == (start, end)
    assert (
        report["comparison"]["difference"]
        == report["comparison"]["current"]["value"] - report["comparison"]["baseline"]["value"]
    )


async def test_compare_filters_compare_two_agents_in_one_window() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        arguments: Json = {"widget_ids": [203], "window": "7d", "filters": BOOKING}
        report = await report_of(context, **arguments, compare_filters=RECEPTION)
        same = await report_of(context, **arguments, compare_to={"filters": RECEPTION})
    assert report["comparison"]["where"] == 'agent.id = "Reception" (31)'
    n, mean = rate(ApiVariant(), "agent_id = 31 AND ts >= '2026-11-11 15:30'")
    assert report["comparison"]["baseline"] == {"value": pytest.approx(mean, abs=1e-4), "n": n}
    assert same["comparison"] == report["comparison"]


async def test_the_agent_of_the_release_is_the_top_contributor() -> None:
    async with open_tools(shared_sandbox(count=60_000)) as (context, _):
        report = await report_of(context, widget_ids=[204], window="7d", compare_to="previous_week")
        unlike = await report_of(context, widget_ids=[204], window="5d", compare_to="2026-11-04/2026-11-10")
    result = report["comparison"]
    assert result["verdict"] == "clear"
    explained = unlike["comparison"]["verdict"], unlike["comparison"]["explained_by"]
    assert explained == ("clear", f"the step at {report['findings'][0]['at']}"), (
        "although they cover different weekdays"
    )
    split = result["contributors"]
    assert (split["top"][0]["group"], len(split["top"][0]["n"])) == ("Booking (33)", 2)
    assert split["rate_effect"] + split["mix_effect"] == pytest.approx(result["difference"], abs=1e-3)


async def test_all_charts_of_a_dashboard_are_compared_in_one_call() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, answer = await ask(
            context, "get_widgets_data", dashboard_id=11, window="7d", compare_to="previous_period"
        )
    assert all("comparison" in report for report in answer["widgets"])
    assert all("not_compared" not in report["comparison"] for report in answer["widgets"])
    assert len(text) <= 8000
    assert text.count("compared with 2026-11-04T15:30Z") == len(answer["widgets"])


INVALID: list[tuple[Json, str]] = [
    ({"window": "20d", "compare_to": "previous_period"}, "compare like this is the last 15 days"),
    ({"window": "10d", "compare_to": "previous_week"}, "overlaps a window longer than a week"),
    ({"window": "7d", "compare_to": "previous_month"}, "is not a comparison; did you mean previous_period"),
    ({"window": "7d", "compare_to": "christmas"}, "use previous_period, previous_week or an interval 2026-11-01/2026-"),
    ({"window": "7d", "compare_to": "previous_week", "compare_filters": BOOKING}, "exclude each other; give only one"),
]


@pytest.mark.parametrize(("arguments", "message"), INVALID)
async def test_invalid_comparisons_are_rejected_with_a_valid_alternative(arguments: Json, message: str) -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        with pytest.raises(errors.InvalidArguments, match=message.replace("compare like", "compared like")):
            await ask(context, "get_widgets_data", widget_ids=[202], **arguments)


async def test_an_unsaved_widget_can_be_compared() -> None:
    pie: Any = {"chart_type": "pie", "field": "topic"}
    async with open_tools(shared_sandbox(count=60_000)) as (context, _):
        text, answer = await ask(
            context, "preview_widget", widget=pie, dashboard_id=11, window="3d", compare_to="previous_period"
        )
    top = answer["report"]["comparison"]["shares"]["top"][0]
    assert top["label"] == "billing question"
    assert (top["points"] > 10, top["verdict"]) == (True, "possible")
    assert "shares (label, current %, baseline %, points, verdict): " in text


COUNT: Json = {"chart_type": "bar", "field": "agent_id", "aggregation_function": "count", "time_period": "day"}


async def test_share_where_reports_a_rate_with_intervals_per_bucket() -> None:
    billing: Json = {"field": "topic", "op": "eq", "value": "billing question"}
    async with open_tools(shared_sandbox()) as (context, recorder):
        text, answer = await ask(
            context, "preview_widget", widget=COUNT, dashboard_id=11, window="7d", share_where=billing, compare_to="previous_period"
        )  # fmt: skip
        assert recorder.writes() == []
    report = answer["report"]
    [(n, matching)] = sql(
        shared_sandbox(),
        "SELECT count(*), count(*) FILTER (topic = 'billing question') FROM calls WHERE project = 1 AND ts >= '2026-11-11 15:30'",
    )
    assert report["n"] == n
    assert report["facts"]["overall"] == pytest.approx(matching / n, abs=1e-4)
    assert report["unit"] == "ratio"
    series = report["series"]
    assert all(
        low <= value <= high for low, value, high in zip(series["low"], series["value"], series["high"], strict=True)
    )
    [(n, matching)] = sql(
        shared_sandbox(),
        "SELECT count(*), count(*) FILTER (topic = 'billing question') FROM calls WHERE project = 1 AND ts >= '2026-11-04 15:30' AND ts < '2026-11-11 15:30'",
    )
    assert report["comparison"]["baseline"] == {"value": pytest.approx(matching / n, abs=1e-4), "n": n}
    assert 'share of calls where topic = "billing question"' in text
    assert answer["widget"] == COUNT


async def test_the_baseline_of_a_share_counts_the_same_field() -> None:
    by_dropoff: Json = {**COUNT, "field": "dropoff_point"}
    voicemail: Json = {"field": "call_ended_reason", "op": "eq", "value": "voicemail-reached"}
    arguments: Json = {"widget": by_dropoff, "dashboard_id": 11, "share_where": voicemail}
    async with open_tools(shared_sandbox()) as (context, _):
        _, answer = await ask(context, "preview_widget", **arguments, window="7d", compare_to="previous_period")
        _, alone = await ask(context, "preview_widget", **arguments, window="2026-11-04T15:30Z/2026-11-11T15:30Z")
    that = answer["report"]["comparison"]["baseline"]
    assert that["n"] == alone["report"]["n"]
    assert that["value"] == pytest.approx(alone["report"]["facts"]["overall"], abs=1e-4)


async def test_share_where_is_rejected_for_charts_that_count_no_calls() -> None:
    async with open_tools(shared_sandbox()) as (context, recorder):
        with pytest.raises(errors.InvalidArguments, match="share_where: needs a widget that counts calls"):
            await ask(context, "preview_widget", widget={"chart_type": "pie", "field": "topic"}, share_where=BOOKING)
        assert recorder.sent == []


async def test_windows_read_with_different_scopes_are_not_tested() -> None:
    """With an agent that is no longer listed, reads limited to the agents of the project lack its calls."""
    agents = {"count": 1, "next": None, "results": [{"id": 31, "name": "Reception", "project": 1}]}
    async with open_tools(shared_sandbox(count=60_000)) as (context, recorder):
        reports = [await report_of(context, widget_ids=[number], compare_to="previous_period") for number in (202, 205)]
        listed = Response(200, json.dumps(agents).encode())
        recorder.fault = lambda sent: listed if sent.path.endswith("aiagents/") else None
        fewer = [await report_of(context, widget_ids=[number], compare_to="previous_period") for number in (202, 205)]
    for before, after in zip(reports, fewer, strict=True):
        assert (after["n"], after["facts"]) == (before["n"], before["facts"])
        assert "agents that are no longer listed" in after["comparison"]["not_tested"]
        assert after["comparison"]["verdict"] == "not tested"
        assert "not_tested" not in before["comparison"]
    assert "agents that are no longer listed" in fewer[0]["not_tested"][0]
    assert "findings" not in fewer[0]
    assert {row["verdict"] for row in fewer[1]["comparison"]["shares"]["top"]} == {"not tested"}
    assert "not tested" not in {row["verdict"] for row in reports[1]["comparison"]["shares"]["top"]}


async def test_stat_figures_read_with_different_scopes_are_not_tested() -> None:
    agents = {"count": 1, "next": None, "results": [{"id": 31, "name": "Reception", "project": 1}]}
    async with open_tools(shared_sandbox(count=60_000)) as (context, recorder):
        listed = Response(200, json.dumps(agents).encode())
        recorder.fault = lambda sent: listed if sent.path.endswith("aiagents/") else None
        report = await report_of(context, widget_ids=[201])
    assert {row["verdict"] for row in report["change"]["figures"]} == {"not tested"}
    assert "agents that are no longer listed" in report["not_tested"][0]


async def test_test_data_and_histories_share_a_limit_of_twelve_requests() -> None:
    fields = ["topic", "call_ended_reason", "dropoff_point", "metadata.region", "metadata.app_version"]
    pies: list[Json] = [{"name": field, "chart_type": "pie", "field": field} for field in fields]
    bars: list[Json] = [
        {"name": f"{field} {how}", "chart_type": "bar", "field": field, "aggregation_function": how, "time_period": period}
        for field, how in (("duration", "avg"), ("duration", "p95"), ("duration", "max"), ("duration", "min"), ("success", "avg"))
        for period in ("hour", "day")
    ]  # fmt: skip
    async with open_tools(new_sandbox()) as (context, recorder):
        await ask(context, "bulk_edit_dashboard", dashboard_id=11, create=[*pies, *bars])
        recorder.sent.clear()
        _, answer = await ask(context, "get_widgets_data", dashboard_id=11, compare_to="previous_period")
    whole = [
        sent for sent in recorder.sent
        if sent.path.endswith("preview_data/") and sent.body["filters"]["conditions"][0]["value"].startswith("2026-10-19")
    ]  # fmt: skip
    assert len(whole) == 12
    assert any("comparison" in report for report in answer["widgets"])


RATE, CALLS = "avg(CAST(success AS INT))", "count(*)"
DAYS_BEFORE = [
    (203, None, None, "2026-11-11 00:00", RATE),
    (202, None, None, "2026-11-11 00:00", CALLS),
    (201, "success_rate", None, "2026-11-11 00:00", RATE),
    (201, "success_rate", "7d", "2026-11-11 00:00", RATE),
    (201, "total_calls", "7d", "2026-11-11 00:00", CALLS),
    (206, "appointment", None, "2026-11-11 00:00", "avg(CAST(coalesce(topic = 'appointment', false) AS INT))"),
]


@pytest.mark.parametrize(("widget", "part", "window", "until", "measure"), DAYS_BEFORE)
async def test_daily_variation_is_estimated_from_whole_days_before_the_window(
    widget: int, part: str | None, window: str | None, until: str, measure: str
) -> None:
    app = shared_sandbox(count=60_000)
    async with open_tools(app) as (context, _):
        zone = context.settings.zone
        targets = resolve_targets([saved(await context.lookups.widget(widget))], window, None, now(), zone)
        [sides], _ = await read_compared(context, compared_targets(targets, "previous_period", None, now(), zone))
    assert sides.current.chart
    side = measure_of(sides.current, sides.current.chart, {}, sides.daily_bars[0]).sample
    result = days_before(sides.current, side, sides.history, sides.daily_bars[0], {})
    cells = result.over_time[part] if part else result.buckets
    rows = sql(
        app,
        f"SELECT floor((epoch(ts) - epoch(TIMESTAMP '{until}')) / 86400) AS day, {measure} FROM calls "
        f"WHERE project = 1 AND ts < '{until}' GROUP BY day ORDER BY day",
    )
    end = datetime.fromisoformat(f"{until}Z").timestamp()
    assert len(cells) >= 20
    assert [(cell.time - end) / 86400 for cell in cells] == [day for day, _ in rows[-len(cells) :]]
    assert [cell.value for cell in cells] == pytest.approx([value for _, value in rows[-len(cells) :]])


async def test_history_is_used_only_for_comparisons_over_time() -> None:
    results = list[Json]()
    for history in (True, False):
        async with open_tools(shared_sandbox(count=60_000), history=history) as (context, _):
            before = await report_of(context, widget_ids=[203], compare_to="previous_period")
            beside = await report_of(context, widget_ids=[203], compare_filters=BOOKING)
        results += [before["comparison"], beside["comparison"]]
    assert results[0]["ci95"] != results[2]["ci95"]
    assert results[0]["difference"] == results[2]["difference"]
    assert results[1] == results[3]


@pytest.mark.parametrize("readings", VARIANTS, ids=str)
async def test_compare_filters_replace_dashboard_filters_on_the_same_field(readings: ApiVariant) -> None:
    """A filter of its dashboard limits widget 209 to the agent Booking."""
    async with open_tools(shared_sandbox(readings)) as (context, _):
        report = await report_of(context, widget_ids=[209], window="7d", compare_filters={"agent": "Reception"})
    result = report["comparison"]
    n, mean = rate(readings, "agent_id = 31 AND ts >= '2026-11-11 15:30'")
    assert result["baseline"] == {"value": pytest.approx(mean, abs=1e-4), "n": n}
    n, mean = rate(readings, "agent_id = 33 AND ts >= '2026-11-11 15:30'")
    assert result["current"] == {"value": pytest.approx(mean, abs=1e-4), "n": n}
    assert result["where"] == 'agent.id = "Reception" (31)'
    assert 'replaced in the baseline: agent.id = "Booking" (33)' in result["notes"]


async def test_comparing_a_version_with_its_successor_adds_a_note() -> None:
    versions = [[{"agent": "Booking", "metadata.app_version": version}, version] for version in ("2.4.0", "2.3.1")]
    async with open_tools(shared_sandbox(count=20_000)) as (context, _):
        report = await report_of(
            context, widget_ids=[203], window="7d", filters=versions[0][0], compare_filters=versions[1][0]
        )
        same = await report_of(context, widget_ids=[203], window="7d", filters=BOOKING, compare_filters=RECEPTION)
    result = report["comparison"]
    assert result["verdict"] in {"clear", "possible"}
    assert any(note.startswith("one replaced the other: these calls begin on 2026-11-12") for note in result["notes"])
    assert not any("replaced the other" in note for note in same["comparison"].get("notes", []))


async def test_filters_apply_to_both_sides_of_a_comparison() -> None:
    failed: Json = {"field": "success", "op": "eq", "value": False}
    async with open_tools(shared_sandbox()) as (context, _):
        report = await report_of(
            context, widget_ids=[202], window="7d", filters=[BOOKING, failed], compare_filters=RECEPTION
        )
    counts = dict(
        sql(
            shared_sandbox(),
            "SELECT agent_id, count(*) FROM calls WHERE NOT success AND ts >= '2026-11-11 15:30' GROUP BY 1",
        )
    )
    assert report["comparison"]["current"]["value"] == counts[33]
    assert report["comparison"]["baseline"]["value"] == counts[31]


CUT_NOTE = "cut to the same hour, as the window is under way"
UNEQUAL_NOTE = "the windows differ in length, and so in hours or weekdays"


@pytest.mark.parametrize(
    ("other", "note"),
    [
        ("2026-11-11", CUT_NOTE),
        ("2026-11-11T00:00Z/2026-11-12T00:00Z", UNEQUAL_NOTE),
        ("2026-11-16/2026-11-17", UNEQUAL_NOTE),
        ("2026-11-11T00:00Z/2026-11-11T10:00Z", UNEQUAL_NOTE),
    ],
)
async def test_partial_days_are_compared_with_equal_hours_or_per_day(other: str, note: str) -> None:
    async with open_tools(shared_sandbox(count=60_000)) as (context, _):
        comparison = (await report_of(context, widget_ids=[202], window="today", compare_to=other))["comparison"]
    assert comparison["ci95"][0] < comparison["difference"] < comparison["ci95"][1]
    assert note in comparison["notes"]
    assert comparison.get("per") == (None if note == CUT_NOTE else "day")


async def test_comparing_a_subset_with_the_whole_adds_a_note() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        report = await report_of(context, widget_ids=[203], window="7d", compare_filters=RECEPTION)
        apart = await report_of(context, widget_ids=[203], window="7d", filters=BOOKING, compare_filters=RECEPTION)
    assert any("is a subset of the current calls" in note for note in report["comparison"]["notes"])
    assert not any("among the current" in note for note in apart["comparison"].get("notes", []))


@pytest.mark.parametrize(
    ("other", "pattern"),
    [
        ({"topic": "no such topic"}, 'none of the \\d+ calls in this window matches topic = "no such topic"'),
        ({"agent.id": 38}, "agent 38 .*project 2"),
    ],
)
async def test_an_empty_baseline_is_reported_with_its_cause(other: Json, pattern: str) -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, answer = await ask(
            context, "get_widgets_data", widget_ids=[202, 203, 205], window="7d", compare_filters=other
        )
    for report in answer["widgets"]:
        assert report["comparison"]["not_compared"].startswith("no calls match in the baseline: ")
        assert "difference" not in report["comparison"]
        assert re.search(pattern, report["comparison"]["not_compared"])
    assert "baseline 0" not in text


async def test_an_unsaved_pie_compares_drop_offs_with_other_calls() -> None:
    pie: Json = {"chart_type": "pie", "field": "topic"}
    async with open_tools(shared_sandbox()) as (context, _):
        _, answer = await ask(
            context,
            "preview_widget",
            widget=pie,
            dashboard_id=11,
            window="7d",
            filters={"dropoff_point": {"isnull": False}},
            compare_filters={"dropoff_point": None},
        )
    result = answer["report"]["comparison"]
    shares = {row["label"]: (row["current_pct"], row["baseline_pct"]) for row in result["shares"]["top"]}
    rows = sql(
        shared_sandbox(),
        "SELECT topic, count(*) FILTER (dropoff_point IS NOT NULL), count(*) FILTER (dropoff_point IS NULL) FROM calls "
        "WHERE project = 1 AND ts >= '2026-11-11 15:30' GROUP BY 1",
    )
    sums = [sum(row[side] for row in rows) for side in (1, 2)]
    for label, dropped, rest in rows:
        if label in shares:
            assert shares[label] == (
                pytest.approx(100 * dropped / sums[0], abs=0.06),
                pytest.approx(100 * rest / sums[1], abs=0.06),
            )
    assert answer["report"]["n"] == sums[0]
    assert "filters" not in answer["widget"]


COMPARISONS: list[Json] = [
    {"dashboard_id": 11, "points": 0, "compare_to": "previous_period"},
    {"dashboard_id": 12, "points": 0, "window": "2d", "compare_to": "previous_period"},
    {"dashboard_id": 11, "points": 0, "window": "3d", "compare_to": "previous_week"},
    {"dashboard_id": 12, "points": 0, "window": "10d", "compare_to": "previous_period"},
    {"dashboard_id": 11, "points": 0, "compare_filters": {"field": "topic", "op": "eq", "value": "complaint"}},
    {"dashboard_id": 12, "points": 0, "compare_filters": {"field": "topic", "op": "eq", "value": "complaint"}},
]


async def test_intervals_and_verdicts_agree_in_every_comparison() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        for arguments in COMPARISONS:
            _, answer = await ask(context, "get_widgets_data", **arguments)
            results = [report["comparison"] for report in answer["widgets"]]
            for one in results:
                if "ci95" in one:
                    low, high = one["ci95"]
                    significant = "explained_by" in one or one["verdict"] in {"clear", "possible"}
                    assert "explained_by" in one or (not low <= 0 <= high) == significant, (arguments, one)


async def test_verdicts_are_independent_of_other_charts_in_the_call() -> None:
    together: Json = {"dashboard_id": 11, "points": 0, "window": "3d", "compare_to": "previous_period"}
    async with open_tools(shared_sandbox()) as (context, _):
        _, answer = await ask(context, "get_widgets_data", **together)
        alone = [
            await report_of(context, **{**together, "dashboard_id": None}, widget_ids=[report["widget"]["id"]])
            for report in answer["widgets"]
        ]
    verdicts = [[report["comparison"].get("verdict") for report in side] for side in (answer["widgets"], alone)]
    assert verdicts[0] == verdicts[1]
    assert not any("possible_among" in report["comparison"] for report in alone)


def test_a_clear_difference_among_many_tests_is_marked_as_possible() -> None:
    clear = Comparison(verdict="clear").with_p_value(0.004)
    assert [clear.among(tests).possible_among for tests in (1, 2, 3)] == [None, None, 3]
    assert Comparison(verdict="clear").with_p_value(0.004, is_explained=True).among(9).possible_among is None
    assert Comparison(verdict="possible").with_p_value(0.04).among(9).possible_among is None


FEW_CALLS: list[Json] = [
    {"field": "success", "op": "eq", "value": True},
    {"field": "success", "op": "eq", "value": False},
    {"field": "id", "op": "gte", "value": 1_005_989},
]


@pytest.mark.parametrize("readings", [ApiVariant(), ApiVariant(rates="percent"), ApiVariant(booleans="1")], ids=str)
@pytest.mark.parametrize("filters", FEW_CALLS, ids=range(len(FEW_CALLS)))
async def test_success_of_few_calls_has_a_unit_and_an_interval(readings: ApiVariant, filters: Json) -> None:
    widget: Json = {"chart_type": "bar", "field": "success", "aggregation_function": "avg", "time_period": "day"}
    [(n, mean)] = sql(
        shared_sandbox(readings),
        "SELECT count(success), avg(CAST(success AS INT)) FROM calls WHERE project = 1 AND ts >= '2026-11-18 15:00' AND "
        + {"id": "id >= 1005989", "success": f"success = {filters['value']}"}[filters["field"]],
    )
    async with open_tools(shared_sandbox(readings)) as (context, _):
        _, answer = await ask(
            context, "preview_widget", widget=widget, dashboard_id=11, filters=filters, window="2026-11-18T15:00Z/2026-11-18T15:30Z"
        )  # fmt: skip
    report = answer["report"]
    one = 100 if readings.rates == "percent" and mean else 1
    assert 0 < n < 25
    assert (report["n"], report["unit"]) == (n, "percent" if one > 1 else "ratio")
    assert report["facts"]["overall"] == pytest.approx(one * mean, abs=1e-3)
    low, high = report["facts"]["ci95"]
    assert 0 <= low <= one * mean <= high <= one


async def test_the_unit_of_a_rate_is_inferred_from_all_its_charts() -> None:
    async with open_tools(shared_sandbox(ApiVariant(rates="percent"))) as (context, recorder):
        rows = [{"time_interval": "2026-11-17T00:00:00Z", "value": 0.8, "sample_count": 125}]
        body = json.dumps({"chart_type": "bar", "data": rows, "metadata": {"data_type": "boolean"}}).encode()
        recorder.fault = lambda sent: (
            Response(200, body) if sent.body and "2026-11-17T00:00:00Z" in json.dumps(sent.body) else None
        )
        widget = {"chart_type": "bar", "field": "success", "aggregation_function": "avg", "time_period": "day"}
        window = "2026-11-17T00:00Z/2026-11-18T00:00Z"
        _, answer = await ask(context, "preview_widget", widget=widget, dashboard_id=11, window=window)
    report = answer["report"]
    assert (report["unit"], report["facts"]["overall"]) == ("percent", 0.8)


async def test_total_calls_are_compared_per_day_for_unequal_windows() -> None:
    windows = {"window": "2026-11-12/2026-11-17", "compare_to": "2026-11-09/2026-11-10"}
    async with open_tools(shared_sandbox()) as (context, _):
        text, answer = await ask(context, "get_widgets_data", widget_ids=[201, 202], **windows)
        alike, _ = await ask(context, "get_widgets_data", widget_ids=[201], window="7d", compare_to="previous_period")
    stat, bar = (report["comparison"] for report in answer["widgets"])
    [calls] = [row for row in stat["figures"] if row["figure"] == "total_calls"]
    assert (calls["difference"], calls["per"]) == (
        pytest.approx(calls["current"] / 6 - calls["baseline"] / 2, rel=1e-2),
        "day",
    )
    assert calls["difference"] == bar["difference"]
    assert f"difference {calls['difference']} per day, " in text
    assert "per day" not in alike
    assert not [row for row in stat["figures"] if "per" in row and row is not calls], "other figures are averages"
