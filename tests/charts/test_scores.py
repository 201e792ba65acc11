"""Metrics that pass or fail, in every encoding of a pass: 1, true, a score of 5, or percent."""

import json
import math
from datetime import timedelta
from typing import Any, Literal, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cekura_dashboards import call_tool
from cekura_dashboards.api.chart_data import BarRow, Chart, LineRow, PieRow
from cekura_dashboards.api.models import Metric, WidgetConfig, is_list, is_object
from cekura_dashboards.api.wire import Response
from cekura_dashboards.charts.scores import in_one_form
from cekura_dashboards.charts.target import ChartReading, Target, Window
from cekura_dashboards.pipeline import Answer as ToolAnswer
from cekura_dashboards.values import replace
from cekura_sandbox import ApiVariant
from support import BY_NAME, NOW, Era, Json, apply_edit, ask, connect, new_sandbox, open_tools, shared_sandbox, sql
from support import text_of as said_by

pytestmark = pytest.mark.anyio
SCORED_VARIANT = ApiVariant(binary="0/5")
PASS_IS_5, PASS_IS_1_OR_5 = "pass = 5", "pass = 1 or 5"
UNCERTAIN = "the values do not show how a pass is scored: they are as the API sent them"
METRIC: Json = {"field": "metric_evaluations.value", "metric": 507}
RATE: Json = {**METRIC, "chart_type": "bar", "aggregation_function": "avg", "time_period": "day"}
BY_AGENT: Json = {**RATE, "group_by": {"type": "field", "field": "agent.id"}}
BY_BUCKET: Json = {**RATE, "group_by": {"type": "bucket", "interval": 86_400_000}}
COUNT: Json = {**RATE, "aggregation_function": "count"}
CALLS: Json = {"chart_type": "bar", "field": "agent_id", "aggregation_function": "count", "time_period": "day"}
CALLS_TO_COMPARE: list[tuple[str, Json]] = [
    ("get_widgets_data", {"widget_ids": [216]}),
    ("get_widgets_data", {"widget_ids": [216], "window": "7d", "compare_to": "previous_period"}),
    ("get_widgets_data", {"widget_ids": [216], "compare_filters": {"field": "agent.id", "op": "eq", "value": 38}}),
    ("get_widgets_data", {"widget_ids": [216], "profile": "weekday"}),
    ("get_widgets_data", {"widget_ids": [216], "window": "2026-11-10/2026-11-11", "points": 40}),
    ("get_widgets_data", {"dashboard_id": 13, "compare_to": "previous_week"}),
    ("preview_widget", {"widget": RATE, "dashboard_id": 13, "window": "3d"}),
    ("preview_widget", {"widget": RATE, "window": "7d"}),
    ("preview_widget", {"widget": {**RATE, "time_period": "hour"}, "dashboard_id": 13, "window": "2d"}),
    ("preview_widget", {"widget": BY_AGENT, "dashboard_id": 13, "window": "14d"}),
    ("preview_widget", {"widget": BY_AGENT, "dashboard_id": 13, "window": "7d", "compare_to": "previous_period"}),
    ("preview_widget", {"widget": BY_BUCKET, "dashboard_id": 13, "window": "3d"}),
    ("preview_widget", {"widget": COUNT, "dashboard_id": 13, "window": "7d"}),
    ("preview_widget", {
        "widget": RATE, "dashboard_id": 13, "window": "7d", "by": "local_day", "time_zone": "America/Los_Angeles",
    }),
    ("preview_edit", {"dashboard_id": 13, "create": [RATE], "update": [{"id": 216, "time_period": "week"}]}),
    ("explain_change", {"widget_id": 216, "window": "7d"}),
    ("find_changes", {"dashboard_ids": [13]}),
    ("check_dashboard", {"dashboard_id": 13}),
]  # fmt: skip
NOTES = {"measure", "pass_score", "notes", "warnings", "shared_notes", "plan_id", "omitted"}


def figures(value: Any) -> Any:
    """An answer without the fields that state how it was interpreted."""
    if is_object(value):
        return {name: figures(item) for name, item in value.items() if name not in NOTES}
    return [figures(item) for item in value] if is_list(value) else value


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("tool", "arguments"), CALLS_TO_COMPARE, ids=[f"{i}-{tool}" for i, (tool, _) in enumerate(CALLS_TO_COMPARE)]
)
async def test_metrics_scored_0_or_5_equal_boolean_ones_in_answers_and_charts(tool: str, arguments: Json) -> None:
    results = list[ToolAnswer]()
    for readings in (ApiVariant(), SCORED_VARIANT):
        async with open_tools(shared_sandbox(readings)) as (context, _):
            results.append(await call_tool(replace(context, draws=True), BY_NAME[tool], arguments))
    plain, scored = results
    plots = [answer.drawing["plots"] if answer.drawing else None for answer in results]
    assert figures(scored.structured) == figures(plain.structured)
    assert figures(plots[1]) == figures(plots[0])
    counts = arguments.get("widget") == COUNT
    shown = tool not in {"find_changes", "check_dashboard"} and not counts
    assert (PASS_IS_5 in scored.text) == (PASS_IS_5 in json.dumps(scored.structured)) == shown
    assert PASS_IS_5 not in plain.text


@pytest.mark.no_cover
@pytest.mark.parametrize(("place", "binary"), [(1, "0/1"), (2, "percent"), (9, "0/1"), (15, "percent")])
async def test_every_encoding_of_a_pass_gives_the_same_numbers(place: int, binary: Literal["0/1", "percent"]) -> None:
    (tool, arguments), readings = CALLS_TO_COMPARE[place], ApiVariant(binary=binary)
    results = list[tuple[str, Json]]()
    for variant in (ApiVariant(), readings):
        async with open_tools(shared_sandbox(variant)) as (context, _):
            results.append(await ask(context, tool, **arguments))
    [(_, plain), (text, scored)] = results
    assert figures(scored) == figures(plain)
    assert ("pass = 100" in text) == (readings.binary == "percent")


@pytest.mark.parametrize(("binary", "label"), [("boolean", "true"), ("0/1", "true"), ("0/5", "5"), ("percent", "100")])
async def test_a_pie_of_a_pass_metric_states_its_rate(binary: Any, label: str) -> None:
    app = shared_sandbox(ApiVariant(binary=binary, placeholders="null"))
    query = (
        "SELECT count(number), avg((number > 0)::INT) FROM evaluations e JOIN calls c ON c.id = e.call_id "
        "WHERE metric_id = 503 AND agent_id = 33 AND ts >= '2026-11-04'"
    )
    [(n, rate)] = sql(app, query)
    async with open_tools(app) as (context, _):
        [report] = (await ask(context, "get_widgets_data", widget_ids=[211]))[1]["widgets"]
    assert report["facts"]["rate"] == pytest.approx(rate, abs=5e-5)
    assert {row[0]: row[1] for row in report["facts"]["top"]}[label] == round(n * rate)


async def test_a_client_receives_rate_interval_and_pass_score(era: Era) -> None:
    app = shared_sandbox(SCORED_VARIANT)
    [(n, rate)] = sql(
        app, "SELECT count(*), avg(number) / 5 FROM evaluations e JOIN calls c ON c.id = e.call_id "
        "WHERE metric_id = 507 AND ts >= '2026-11-11 15:30'",
    )  # fmt: skip
    async with connect(app, era) as client:
        text = said_by(await client.call_tool("get_widgets_data", {"widget_ids": [216], "window": "7d"}))
    [(calls,)] = sql(app, "SELECT count(*) FROM calls WHERE project = 2 AND ts >= '2026-11-11 15:30'")
    assert (
        f"unit ratio; {PASS_IS_5}; evaluated {n} of {calls} calls, {100 * n / calls:.1f} %; overall {rate:.4g}; 95 "
        in text
    )
    assert "percent" not in text


async def test_a_pie_of_scores_keeps_its_slices_and_states_the_rate() -> None:
    app = shared_sandbox(SCORED_VARIANT)
    query = (
        "SELECT count(*), avg(number) / 5 FROM evaluations e JOIN calls c ON c.id = e.call_id "
        "WHERE metric_id = 503 AND agent_id = 33 AND ts >= '2026-11-04'"
    )
    [(n, rate)] = sql(app, query)
    async with open_tools(app) as (context, _):
        text, answer = await ask(context, "get_widgets_data", widget_ids=[211], compare_to="previous_period")
    [report] = answer["widgets"]
    facts = report["facts"]
    assert [row[0] for row in facts["top"]] == ["5", "0"]
    assert (facts["total"], facts["rate"]) == (n, round(rate, 4))
    assert facts["ci95"][0] < rate < facts["ci95"][1]
    assert {row["label"] for row in report["comparison"]["shares"]["top"]} == {"5", "0"}
    assert text.count(PASS_IS_5) == 1


async def test_the_pass_score_is_kept_in_shortened_reports() -> None:
    app = new_sandbox(SCORED_VARIANT)
    async with open_tools(app) as (context, _):
        many = [{**RATE, "name": f"chart {i}"} for i in range(30)]
        await apply_edit(context, "bulk_edit_dashboard", {"dashboard_id": 13, "create": many})
        text, answer = await ask(context, "get_widgets_data", dashboard_id=13)
    assert len(text) <= 9000
    assert text.count(PASS_IS_5) == [report.get("pass_score") for report in answer["widgets"]].count(PASS_IS_5) == 31


@pytest.mark.parametrize("function", ["sum", "min", "max", "p50", "p95"])
async def test_other_aggregations_of_scores_count_passes(function: str) -> None:
    app = shared_sandbox(SCORED_VARIANT)
    async with open_tools(app) as (context, _):
        widget = {**RATE, "aggregation_function": function}
        _, answer = await ask(context, "preview_widget", widget=widget, dashboard_id=13, window="7d")
    report = answer["report"]
    [(passed,)] = sql(
        app, "SELECT count(*) FROM evaluations e JOIN calls c ON c.id = e.call_id "
        "WHERE metric_id = 507 AND number = 5 AND ts >= '2026-11-11 15:30'",
    )  # fmt: skip
    assert report["unit"] == ("calls" if function == "sum" else "1 = pass")
    assert set(report["series"]["value"]) <= ({0, 1} if function != "sum" else set(range(passed)))
    assert function != "sum" or report["facts"]["total"] == passed


async def test_a_line_of_scores_reports_the_pass_rate() -> None:
    app = shared_sandbox(SCORED_VARIANT)
    line = {**METRIC, "chart_type": "line"}
    async with open_tools(app) as (context, _):
        _, of_calls = await ask(context, "preview_widget", widget=line, dashboard_id=13, window="7d")
        _, of_days = await ask(context, "preview_widget", widget=RATE, dashboard_id=13, window="7d")
    line_facts, bar_facts = of_calls["report"]["facts"], of_days["report"]["facts"]
    assert (line_facts["rate"], line_facts["ci95"]) == (bar_facts["overall"], bar_facts["ci95"])
    assert (of_calls["report"]["unit"], of_calls["report"]["n"]) == ("ratio", of_days["report"]["n"])


async def test_changes_of_scored_metrics_have_the_size_of_boolean_ones() -> None:
    results = list[Json]()
    for readings in (ApiVariant(), SCORED_VARIANT):
        app = new_sandbox(readings, count=6000)
        async with open_tools(app) as (context, recorder):
            await apply_edit(context, "bulk_edit_dashboard", {"dashboard_id": 13, "create": [{**RATE, "name": "Fell"}]})
            one = 5 if readings is SCORED_VARIANT else 1

            def fallen(sent: Any, one: int = one) -> Response | None:
                if not sent.path.endswith("preview_data/") or sent.body.get("metric") != 507:
                    return None
                days = [NOW.replace(hour=0, minute=0) - timedelta(days=days_ago) for days_ago in range(29, 0, -1)]
                rows = [
                    {"time_interval": f"{day:%Y-%m-%dT%H:%M:%SZ}", "sample_count": 300,
                     "value": one * (271 - day.day % 5 - (90 if day.day >= 12 and day.month == 11 else 0)) / 300}
                    for day in days
                ]  # fmt: skip
                chart = {"chart_type": "bar", "data": rows, "metadata": {"data_type": "boolean"}}
                return Response(200, json.dumps(chart).encode())

            recorder.fault = fallen
            text, answer = await ask(context, "find_changes", dashboard_ids=[13])
        [row] = [row for row in answer["changes"] if 216 in row["widgets"]]
        results.append(row)
        assert f"{row['measure']}: {row['kind']}" in text
    plain, scored = results
    assert (scored["before"], scored["after"], scored["pct"]) == (plain["before"], plain["after"], plain["pct"])
    assert (0.88 < scored["before"] < 0.91, 0.58 < scored["after"] < 0.61) == (True, True)
    assert scored["measure"] == f"{plain['measure']} (pass = 5)"


async def test_call_lists_of_scored_metrics_state_the_pass_score() -> None:
    async with open_tools(shared_sandbox(SCORED_VARIANT)) as (context, _):
        text, highest = await ask(context, "list_calls", widget_id=211, sort="highest", limit=3)
        _, lowest = await ask(context, "list_calls", widget_id=211, sort="lowest", limit=3)
        none, _ = await ask(context, "list_calls", widget_id=211, label="true")
    assert [call["value"] for call in highest["calls"] + lowest["calls"]] == [5, 5, 5, 0, 0, 0]
    assert 'value: metric 503 "Appointment booked" (pass = 5)' in text
    assert "a passing metric may be scored 5, 1 or true: try another of these" in none


@pytest.mark.parametrize(("value", "matches"), [(5, True), (1, False), (True, False)])
async def test_share_where_on_an_unused_score_suggests_other_pass_scores(value: Any, *, matches: bool) -> None:
    where = {
        "operator": "same_row",
        "conditions": [
            {"field": "metric_evaluations.metric.id", "op": "eq", "value": 503},
            {"field": "metric_evaluations.value", "op": "eq", "value": value},
        ],
    }
    async with open_tools(shared_sandbox(SCORED_VARIANT)) as (context, _):
        text, answer = await ask(
            context, "preview_widget", widget=CALLS, dashboard_id=12, window="7d", share_where=where
        )
    assert (answer["report"]["facts"]["overall"] > 0.5) == matches
    assert ("no call matches: a passing metric may be scored 5, 1 or true" in text) != matches
    assert ("calls without an evaluation of the metric count as not matching" in text) == matches


async def test_metric_types_cost_one_request_per_project() -> None:
    async with open_tools(shared_sandbox(SCORED_VARIANT), history=False) as (context, recorder):
        await ask(context, "get_widgets_data", dashboard_id=13)
        assert recorder.paths().count("GET /test_framework/v2/metrics/") == 1
        recorder.sent.clear()
        await ask(context, "get_widgets_data", dashboard_id=11)
        assert "GET /test_framework/v2/metrics/" not in recorder.paths()


async def test_scores_of_unknown_metric_type_have_an_unknown_unit() -> None:
    async with open_tools(shared_sandbox(SCORED_VARIANT)) as (context, recorder):
        recorder.fault = lambda sent: Response(403, b"{}") if sent.path.endswith("/metrics/") else None
        text, answer = await ask(context, "get_widgets_data", widget_ids=[216])
    [report] = answer["widgets"]
    assert (report["unit"], "ci95" in report["facts"]) == ("unknown", False)
    assert report["pass_score"].startswith("a number, or if it passes or fails pass = 5: rate 0.7")
    assert "the type of metric 507 is unknown" in text


def chart_reading(chart: Chart, *, metric: int = 1, **config: Any) -> ChartReading:
    target = Target(
        WidgetConfig(chart_type=chart.chart_type, field="metric_evaluations.value", metric=metric, **config), {}
    )
    return ChartReading(target, Window(NOW - timedelta(days=7), NOW, "asked"), chart=chart)


def bars(*rows: tuple[float, int | None], function: str = "avg", data_type: str | None = "boolean") -> ChartReading:
    chart = Chart(
        "bar",
        rows=[
            BarRow(time_interval=f"2026-11-{day:02}T00:00:00Z", value=value, sample_count=n)
            for day, (value, n) in enumerate(rows, start=11)
        ],
        data_type=data_type,
    )
    return chart_reading(chart, aggregation_function=function, time_period="day")


def metrics_of_type(eval_type: str | None, number: int = 1, **fields: Any) -> dict[int, Metric]:
    return {number: Metric(id=number, eval_type=eval_type, **fields)} if eval_type else {}


def read_values(
    one: ChartReading, *others: ChartReading, eval_type: str | None = "binary"
) -> tuple[list[Any], ChartReading]:
    result = in_one_form([one, *others], metrics_of_type(eval_type), {})[0]
    assert result.chart
    return [getattr(row, "value", None) for row in result.chart.rows], result


@pytest.mark.parametrize("data_type", ["boolean", "numeric", None])
@pytest.mark.parametrize("eval_type", ["binary", "binary_workflow_adherence", "Binary_Qualitative"])
def test_the_pass_score_is_5_if_an_average_exceeds_1(eval_type: str, data_type: str | None) -> None:
    values, result = read_values(bars((4.0, 40), (0.5, 200), data_type=data_type), eval_type=eval_type)
    assert values == [0.8, 0.1]
    assert result.chart
    assert (result.chart.data_type, result.chart.rate_unit, result.passing) == ("boolean", "ratio", PASS_IS_5)


@pytest.mark.parametrize("eval_type", ["continuous_qualitative", "numeric", "numeric_old"])
@pytest.mark.parametrize("data_type", ["boolean", "numeric"])
def test_ratings_are_never_converted_to_pass_rates(eval_type: str, data_type: str) -> None:
    for values in [(4.0, 0.5), (0.8, 0.3), (5.0, 0.0), (1.0, 0.0)]:
        shown, result = read_values(bars(*((value, 10) for value in values), data_type=data_type), eval_type=eval_type)
        assert result.chart
        assert (shown, result.chart.data_type, result.chart.rate_unit) == ([*values], "numeric", None)
        assert result.notes == ()


def test_ambiguous_averages_are_reported_under_every_pass_score() -> None:
    values, result = read_values(bars((0.5, 10), (1.0, 20)))
    assert result.chart
    assert (values, result.chart.data_type, result.notes) == ([0.5, 1.0], "numeric", (UNCERTAIN,))
    rates = "rate 0.8333 (95 % interval 0.664 to 0.927) or rate 0.1667 (95 % interval 0.0734 to 0.336)"
    assert result.passing == f"{PASS_IS_1_OR_5} or 100: {rates} or rate 0.008333 (95 % interval 0.000482 to 0.128)"
    _, result = read_values(bars((5, 10), (10, 20), function="sum"))
    assert result.passing == "pass = 1 or 5: total 15 or total 3"
    _, result = read_values(bars((0.4, None), (0.7, None)))
    assert (result.passing, result.notes) == (f"{PASS_IS_1_OR_5} or 100", (UNCERTAIN,))


DAYS = [(0.7, 41), (0.3, 37), (0.62, 53), (0.81, 29), (0.55, 47), (0.44, 31), (0.9, 23)]


def test_counts_incompatible_with_5_imply_a_pass_score_of_1() -> None:
    days = [(round(rate * n) / n, n) for rate, n in DAYS]
    _, result = read_values(bars(*days))
    assert (result.passing, result.notes) == ("pass = 1", ())
    wrong = bars(*((value, n + 1) for value, n in days))
    assert str(read_values(wrong)[1].passing).startswith(PASS_IS_1_OR_5), "the call counts do not fit the averages"
    rounded = bars(*((round(value, 2), n) for value, n in days))
    assert str(read_values(rounded)[1].passing).startswith(PASS_IS_1_OR_5), (
        "any call count fits averages with two decimals"
    )


def test_a_pass_score_applies_to_all_charts_of_its_metric_only() -> None:
    low, high = bars((0.5, 10)), bars((4.5, 10))
    other = replace(low, target=chart_reading(Chart("bar"), metric=2, aggregation_function="avg").target)
    assert read_values(low, high)[0] == [0.1]
    passing = in_one_form([other, high], metrics_of_type("binary") | metrics_of_type("binary", 2), {})[0].passing
    assert str(passing).startswith(f"{PASS_IS_1_OR_5} or 100: rate 0.5 ")
    forms: dict[Any, Any] = {}
    in_one_form([high], metrics_of_type("binary"), forms)
    assert in_one_form([low], metrics_of_type("binary"), forms)[0].passing == PASS_IS_5, (
        "also in charts that the same call reads later"
    )


@pytest.mark.parametrize(
    ("values", "shown", "passing"),
    [
        ([0, 5, 5], [0, 1, 1], PASS_IS_5),
        ([0, 1, 1], [0, 1, 1], None),
        ([0, 100], [0, 1], "pass = 100"),
        ([True, False], [True, False], None),
        (["True", "false"], [1, 0], None),
        ([0.0, "5"], [0, 1], PASS_IS_5),
        ([0, 0, None], [0, 0, None], None),
    ],
)
def test_single_calls_determine_the_pass_score(values: list[Any], shown: list[Any], passing: str | None) -> None:
    rows = [LineRow(id=i, timestamp="2026-11-12T00:00:00Z", value=value) for i, value in enumerate(values)]
    result, whole = read_values(chart_reading(Chart("line", rows=rows)))
    assert result == shown
    assert (whole.passing, whole.notes) == (passing, ())


@pytest.mark.parametrize("score", [5, 100])
def test_slices_are_labelled_by_score_or_kept_as_booleans(score: int) -> None:
    rows = [PieRow(label=float(score), value=3), PieRow(label=0, value=1), PieRow(label=None, value=2)]
    _, result = read_values(chart_reading(Chart("pie", rows=rows, data_type="boolean")))
    assert result.chart
    assert ([row.label for row in result.chart.rows], result.chart.passing_label) == ([score, 0], str(score))
    plain = Chart("pie", rows=[PieRow(label=True, value=3), PieRow(label=False, value=1)], data_type="boolean")
    _, result = read_values(chart_reading(plain))
    assert result.chart
    assert (result.chart.rows, result.passing, result.notes) == (plain.rows, None, ())
    assert result.chart.passing_label == "true"
    words = Chart("pie", rows=[PieRow(label="passed", value=3), PieRow(label="failed", value=1)])
    _, result = read_values(chart_reading(words))
    assert result.chart
    assert (result.chart.rows, result.chart.passing_label) == (words.rows, None), "labels in words are ambiguous"


def test_rounding_errors_leave_the_pass_score_unchanged() -> None:
    values, result = read_values(bars((5.000000000000001, 3), (5.0, 7), (5.0, 4)))
    assert values == pytest.approx([1.0, 1.0, 1.0])
    assert result.passing == PASS_IS_5
    days = [(1.0000000000000002, 3), *((round(rate * n) / n, n) for rate, n in DAYS)]
    assert read_values(bars(*days))[1].passing == "pass = 1"


def test_rates_in_percent_become_ratios() -> None:
    values, result = read_values(bars((72.5, 40), (2.5, 40)))
    assert result.chart
    assert (values, result.chart.rate_unit, result.passing) == ([0.725, 0.025], "ratio", "pass = 100")


def test_low_averages_may_be_percent_or_scores_of_5() -> None:
    values, result = read_values(bars((4.0, 50), (2.0, 100)))
    assert values == [4.0, 2.0]
    assert str(result.passing).startswith("pass = 5 or 100: rate 0.5333 (")
    assert read_values(bars((4.0, 50), (0.25, 140)))[1].passing == PASS_IS_5, (
        "a total of 35 cannot contain passes of 100"
    )


def test_single_calls_of_1_leave_percent_averages_possible() -> None:
    line = chart_reading(Chart("line", rows=[LineRow(id=1, timestamp="2026-11-12T00:00:00Z", value=True)]))
    _, result = read_values(bars((0.5, 200)), line)
    assert str(result.passing).startswith("pass = 1 or 100: rate 0.5 ")
    assert read_values(bars((62.5, 40)), line)[0] == [0.625]


@pytest.mark.parametrize("function", ["p50", "p95"])
def test_a_recurring_percentile_determines_the_pass_score(function: str) -> None:
    assert read_values(bars((5, 33), (5, 48), (0, 20), function=function))[0] == [1, 1, 0]
    values, result = read_values(bars((5, 20), (5, 40), function=function))
    assert (values, result.passing) == ([5, 5], "pass = 5 or 100"), (
        "both points are the same percentile between 0 and 100"
    )


def test_intermediate_scores_prevent_a_pass_rate() -> None:
    rows = [LineRow(id=i, timestamp="2026-11-12T00:00:00Z", value=value) for i, value in enumerate([0, 3, 5])]
    values, result = read_values(chart_reading(Chart("line", rows=rows, data_type="boolean")))
    assert result.chart
    assert (values, result.chart.data_type, result.passing) == ([0, 3, 5], "numeric", None)
    assert result.notes == ("no pass rate: values such as 5 are neither a pass nor a failure",)


def test_a_metric_of_unknown_type_is_reported_as_number_and_rate() -> None:
    values, result = read_values(bars((4.05, 100), (4.45, 100)), eval_type=None)
    rate = "rate 0.85 (95 % interval 0.794 to 0.893)"
    assert (values, result.passing) == ([4.05, 4.45], f"a number, or if it passes or fails pass = 5: {rate}")
    assert result.notes == ("the type of metric 1 is unknown",)
    assert read_values(bars((1139.0, 10)), eval_type=None)[1].notes == (), "a latency is not a rate"
    labels = Chart("pie", rows=[PieRow(label="calm", value=3)], data_type="string")
    assert read_values(chart_reading(labels), eval_type="unheard_of")[1].notes == ()


@pytest.mark.parametrize(
    ("fields", "unit"),
    [
        ({"eval_type": "numeric", "function_name": "get_latency"}, "ms"),
        ({"eval_type": "numeric", "name": "Time to first word (ms)"}, "ms"),
        ({"eval_type": "numeric", "name": "Latency"}, None),
        ({"eval_type": "continuous_qualitative", "name": "Empathy"}, "rating"),
    ],
)
def test_the_unit_follows_type_and_name_of_the_metric(fields: Json, unit: str | None) -> None:
    [result] = in_one_form([bars((4.0, 10))], {1: Metric(id=1, **fields)}, {})
    assert result.chart
    assert result.chart.unit == unit


class Truth(NamedTuple):
    """The pass score of a generated chart, and the passes and calls of its days."""

    score: float
    days: list[tuple[int, int]]
    decimals: int
    counts_all: bool

    def chart(self) -> ChartReading:
        """``counts_all``: the API counts calls without a value too."""
        counts = [7 * n + 3 if self.counts_all else n for _, n in self.days]
        return bars(*zip(self.values, counts, strict=True))

    @property
    def values(self) -> list[float]:
        """The mean score of each day, as the API rounds it."""
        return [round(self.score * passed / n, self.decimals) for passed, n in self.days]

    @property
    def rate(self) -> float:
        return sum(passed for passed, _ in self.days) / sum(n for _, n in self.days)


@st.composite
def truths(draw: st.DrawFn) -> Truth:
    share = draw(st.sampled_from([0.005, 0.04, 0.2, 0.7, 1.0]))
    sizes = draw(st.lists(st.integers(1, 400), min_size=1, max_size=10))
    days = [(draw(st.integers(0, math.ceil(share * n))), n) for n in sizes]
    score = draw(st.sampled_from([1, 5, 100]))
    return Truth(
        score, [(min(passed, n), n) for passed, n in days],
        draw(st.sampled_from([2, 4, 17])), score != 100 and draw(st.booleans()),
    )  # fmt: skip


@given(truths())
@example(Truth(score=1, days=[(1, 201)], decimals=2, counts_all=False))  # its one pass is rounded to 0
def test_the_true_pass_score_is_always_among_those_reported(generated: Truth) -> None:
    values, result = read_values(generated.chart())
    if result.passing is None:
        assert not any(generated.values)
        return
    scores = [float(score) for score in str(result.passing).partition(":")[0].removeprefix("pass = ").split(" or ")]
    assert generated.score in scores
    if len(scores) == 1:
        assert result.chart
        weights = [row.sample_count for row in result.chart.rows]
        mean = sum(value * n for value, n in zip(values, weights, strict=True)) / sum(weights)
        assert generated.counts_all or mean == pytest.approx(generated.rate, abs=0.01)
