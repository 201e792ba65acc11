"""The share of calls that a metric evaluated, and changes of this share, which are no changes of quality."""

import json
from datetime import timedelta

import numpy as np
import pytest
from benchmarks.verdicts.evaluated import ASKED, evaluated_row

from cekura_dashboards.api.models import is_object
from cekura_dashboards.api.wire import Response
from cekura_dashboards.stats.evaluated import EvaluatedShare, Part
from cekura_dashboards.stats.findings import Gap, Step, Trend, Unusual
from cekura_dashboards.stats.timeline import DAY, UTC_CLOCK, Span, iso
from cekura_dashboards.values import replace
from cekura_sandbox import ApiVariant
from cekura_sandbox.edits import Edit
from support import NOW, Json, Sent, ask, new_sandbox, open_tools, shared_sandbox, sql

pytestmark = pytest.mark.anyio
METRIC: Json = {"field": "metric_evaluations.value", "metric": 503}
BAR: Json = {**METRIC, "chart_type": "bar", "aggregation_function": "avg", "time_period": "day"}
RATING: Json = {"field": "metric_evaluations.value", "metric": 502}
COUNT: Json = {"chart_type": "bar", "field": "agent_id", "aggregation_function": "count", "time_period": "day"}
BY_AGENT: Json = {"type": "field", "field": "agent.id"}
BOOKING: Json = {"field": "agent.id", "op": "eq", "value": 33}
SAMPLED = [
    ApiVariant(binary="0/5", sample_rate=0.1),
    ApiVariant(binary="percent", sample_rate=0.3, placeholders="null"),
    ApiVariant(trigger="custom", placeholders="null", preview="merge", override="merge"),
    ApiVariant(),
]
CHARTS: list[Json] = [
    {"widget": BAR},
    {"widget": {**BAR, "time_period": "hour"}, "window": "2d"},
    {"widget": {**BAR, "time_period": "week"}},
    {"widget": {**BAR, "aggregation_function": "count"}, "filters": BOOKING},
    {"widget": {**BAR, "group_by": BY_AGENT}, "window": "14d"},
    {"widget": {**METRIC, "chart_type": "pie"}, "filters": BOOKING},
    {"widget": {**RATING, "chart_type": "line"}},
    {"widget": {**RATING, "chart_type": "bar", "aggregation_function": "p95", "time_period": "day"}},
    {"widget": BAR, "by": "local_day", "time_zone": "America/Los_Angeles", "window": "6d"},
    {"widget": BAR, "profile": "weekday", "window": "28d"},
]


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("arguments", "readings"),
    [(chart, SAMPLED[place % len(SAMPLED)]) for i, chart in enumerate(CHARTS) for place in (i, i + 2)],
    ids=lambda value: json.dumps(value["widget"])[-60:] if is_object(value) else str(value),
)
async def test_metric_charts_state_the_share_of_evaluated_calls(arguments: Json, readings: ApiVariant) -> None:
    app = shared_sandbox(readings)
    async with open_tools(app) as (context, recorder):
        text, answer = await ask(context, "preview_widget", dashboard_id=11, **arguments)
    report = answer["report"]
    start, end = report["window"]["from"], report["window"]["to"]
    agent = "AND agent_id = 33" if "filters" in arguments else ""
    where = f"project = 1 {agent} AND ts >= '{start}' AND ts < '{end}'".replace("Z'", "'")
    metric = arguments["widget"]["metric"]
    [(calls,)] = sql(app, f"SELECT count(*) FROM calls WHERE {where}")
    [(n,)] = sql(
        app, f"SELECT count(number) FROM evaluations e JOIN calls c ON c.id = e.call_id WHERE metric_id = {metric} "
        f"AND {where}",
    )  # fmt: skip
    assert (report["n"], report["evaluated"]["n"], report["evaluated"]["all_calls"]) == (n, n, calls)
    assert f"evaluated {n} of {calls} calls, {report['evaluated']['pct']} %" in text
    counts = [sent for sent in recorder.sent if is_object(sent.body) and sent.body.get("field") == "agent_id"]
    assert len(counts) <= 2, "one for the window, one for its history"


async def test_one_count_request_serves_all_charts_of_the_same_calls() -> None:
    charts = [
        BAR,
        {**BAR, "time_period": "week"},
        {**METRIC, "chart_type": "pie"},
        {**BAR, "group_by": BY_AGENT},
    ]
    async with open_tools(shared_sandbox(), history=False) as (context, recorder):
        await ask(context, "preview_edit", dashboard_id=11, create=charts)
        assert _counts(recorder.sent) == 1
        recorder.sent.clear()
        await ask(context, "preview_edit", dashboard_id=11, create=[*charts, {**COUNT, "time_period": "hour"}])
        assert _counts(recorder.sent) == 1, "the count chart itself"
        recorder.sent.clear()
        await ask(context, "get_widgets_data", dashboard_id=11)
        assert _counts(recorder.sent) == 0, "the dashboard has no chart of a metric"


def _counts(sent: list[Sent]) -> int:
    return sum(is_object(one.body) and one.body.get("field") == "agent_id" for one in sent)


async def test_a_failed_count_omits_only_the_evaluated_share() -> None:
    def refused(sent: Sent) -> Response | None:
        counts = is_object(sent.body) and sent.body.get("field") == "agent_id"
        return Response(500, b"{}") if counts else None

    async with open_tools(shared_sandbox(), history=False) as (context, recorder):
        recorder.fault = refused
        text, answer = await ask(context, "preview_widget", widget=BAR, dashboard_id=11)
    assert answer["report"]["n"] > 0
    assert "evaluated" not in answer["report"]
    assert "note: of how many calls is unknown, as they could not be counted: " in text


async def test_a_sample_rate_change_is_reported_apart_from_quality() -> None:
    app = shared_sandbox(ApiVariant(binary="0/5", sample_rate=0.1, evaluated_since_days=5), 20_000)
    async with open_tools(app) as (context, _):
        text, answer = await ask(
            context, "preview_widget", widget=BAR, dashboard_id=11, window="14d", compare_to="previous_period"
        )
        result, changes = await ask(context, "find_changes", dashboard_ids=[13], window="7d")
        explained, _ = await ask(context, "explain_change", widget=BAR, dashboard_id=11, window="7d")
    [change] = answer["report"]["evaluated"]["share_changes"]
    assert (change["kind"], change["at"]) == ("step", "2026-11-13T16:00Z")
    assert (change["before"], change["after"]) == (pytest.approx(0.8, abs=0.02), pytest.approx(0.08, abs=0.02))
    assert "share of calls evaluated, by sampling or trigger; not a change of quality: step at 2026" in text
    assert "significant: the share of calls evaluated changed too, " in text
    [row] = [row for row in changes["changes"] if row["kind"] == "evaluated"]
    assert (row["widgets"], row["verdict"]) == ([216], "clear")
    assert "share of calls evaluated, by sampling or trigger; not a change of quality: step at 2026-11-1" in result
    assert "the share of calls evaluated changed too" in explained
    assert "evaluated " in explained


async def test_the_edit_that_changed_the_evaluated_share_is_listed() -> None:
    app = new_sandbox(ApiVariant(binary="0/5", sample_rate=0.1, evaluated_since_days=5), count=9000)
    app.state.world.edits.plant(
        Edit(NOW - timedelta(days=5, hours=3), "metric", 507, {"evaluation_trigger": "custom"}, "Cheaper"),
        Edit(NOW - timedelta(days=10), "metric", 507, {"prompt": "Was it resolved?"}),
        Edit(NOW - timedelta(hours=9), "metric", 507, {"prompt": "Was it really resolved?"}),
    )
    issues: Json = {**BAR, "metric": 507}
    async with open_tools(app) as (context, _):
        _, changes = await ask(context, "find_changes", dashboard_ids=[13], window="7d")
        text, explained = await ask(context, "explain_change", widget=issues, dashboard_id=13, window="7d")
        _, charts = await ask(context, "get_widgets_data", dashboard_id=13, window="14d", edits="brief")
    [change] = [row for row in changes["changes"] if row["kind"] == "evaluated"]
    [of_chart] = charts["widgets"][0]["edits"]
    for edits in (change["edits"], explained["edits"], of_chart):
        [edit] = edits["edits"]
        assert (edit["at"], edit["fields"][0]["field"]) == ("2026-11-13T12:30Z", "evaluation_trigger")
    assert explained["comparison"]["verdict"] == "not significant"
    assert text.startswith("the measure itself was changed: 2026-11-13T12:30Z, metric 507")


async def test_missing_evaluations_are_not_an_outage_while_calls_continue() -> None:
    app = shared_sandbox(ApiVariant(sample_rate=0, evaluated_since_days=3), 20_000)
    async with open_tools(app) as (context, _):
        text, answer = await ask(context, "preview_widget", widget={**BAR, "time_period": "hour"}, dashboard_id=11)
    assert not [item for item in answer["report"]["findings"] if item["kind"] == "outage"]
    [change] = answer["report"]["evaluated"]["share_changes"]
    assert (change["after"], change["at"]) == (0, "2026-11-15T15:00Z")
    assert "no calls" not in text


def series(shares: list[float], *, calls: int = 400) -> EvaluatedShare:
    first = (NOW - timedelta(days=len(shares))).replace(hour=0, minute=0).timestamp()
    times = first + DAY * np.arange(len(shares), dtype=float)
    sizes = np.full(len(shares), float(calls))
    return EvaluatedShare.of(times, np.round(sizes * shares), sizes, DAY, UTC_CLOCK, dict.fromkeys(times, calls))


def day(place: int, days: int = 28) -> str:
    return iso((NOW - timedelta(days=days - place)).replace(hour=0, minute=0).timestamp(), step=DAY)


def step(place: int) -> Step:
    result = Step(kind="step", at=day(place), before=0.8, after=0.9, change=0.1, verdict="clear")
    return result.with_p_value(1e-9)


@pytest.mark.parametrize(
    ("at", "late", "verdict"),
    [
        (13, 0.5, "possible"),
        (14, 0.5, "possible"),
        (16, 0.5, "possible"),
        (6, 0.5, "clear"),
        (22, 0.5, "clear"),
        (6, 0.3, "possible"),
        (22, 0.3, "possible"),
    ],
)
def test_a_step_near_a_change_of_the_evaluated_share_is_possible(at: int, late: float, verdict: str) -> None:
    result = series([0.8] * 14 + [late] * 14).limit(step(at))
    assert isinstance(result, Step)
    assert (result.verdict, result.p_value) == (verdict, 1e-9)
    reason = f"the share of calls evaluated changed too, 80 % → {100 * late:g} %"
    assert result.limited_by == (reason if verdict == "possible" else None)


def test_a_changed_evaluated_share_limits_trends_and_outliers() -> None:
    share = series([0.8] * 14 + [0.3] * 14)
    trend = Trend(start=day(0), per_day=0.01, change=0.3, verdict="clear")
    late = Unusual(start=day(20), buckets=2, value=0.9, expected=0.8, verdict="clear")
    limited = [share.limit(item) for item in (trend, late)]
    assert [item.verdict for item in limited if item] == ["possible", "possible"]
    still = series([0.8, 0.79, 0.81, 0.8, 0.78, 0.82, 0.8] * 4)
    assert [still.limit(item) for item in (trend, late, step(14))] == [trend, late, step(14)]
    assert still.reported(Span(0, 1e12)) == []


@pytest.mark.parametrize(("late", "verdict"), [(0.3, "possible"), (0.7, "clear")])
def test_an_outlier_is_possible_if_the_evaluated_share_halves(late: float, verdict: str) -> None:
    share = series([0.8] * 20 + [late] * 8)
    outlier = Unusual(start=day(5), buckets=1, value=0.6, expected=0.8, verdict="clear")
    result = share.limit(outlier)
    assert result is not None
    assert result.verdict == verdict


WEEK: list[float] = [0.8] * 5 + [0.6] * 2


@pytest.mark.parametrize(
    ("earlier", "current", "reason"),
    [
        (WEEK, WEEK, None),
        (WEEK, [0.8, 0.81, 0.79, 0.8, 0.82, 0.61, 0.6], None),
        (WEEK, [0.8] * 5 + [0.45] * 2, "60 % → 45 %"),
        ([0.65, *WEEK[1:]], WEEK, "65 % → 80 %"),
    ],
    ids=["the same weekdays", "chance", "a trigger on the last two days", "a trigger until the first day"],
)
def test_evaluated_shares_are_compared_within_parts_of_the_windows(
    earlier: list[float], current: list[float], reason: str | None
) -> None:
    sides = [series(shares, calls=160) for shares in (earlier, current)]
    sides[0] = replace(sides[0], times=sides[0].times - 7 * DAY)
    before, after = (Part(float(side.evaluated.sum()), float(side.calls.sum())) for side in sides)
    assert sides[1].reason(before, after) is None, "the shares of both windows are similar"
    result = sides[1].reason_between(sides[0], 7 * DAY, before, after)
    assert result == (None if reason is None else f"the share of calls evaluated changed too, {reason}")


def test_a_chance_change_of_the_evaluated_share_limits_no_trend() -> None:
    trend = Trend(start=day(0), per_day=0.01, change=0.3, verdict="clear")
    small, larger = ([early] * 14 + [late] * 14 for early, late in ((0.95, 0.97), (0.4, 0.45)))
    results = [series(shares, calls=100).limit(trend) for shares in (small, larger)]
    assert [item.verdict for item in results if item] == ["clear", "possible"]


def test_only_a_gap_in_calls_is_an_outage() -> None:
    gap = Gap(start=day(5), end=day(7), expected_calls=600)
    assert series([0.8] * 28).limit(gap) is None, "there were calls"
    share = series([0.8] * 28)
    none_came = EvaluatedShare(share.times, share.evaluated, share.calls, DAY, hours={share.times[4]: 400.0})
    assert none_came.limit(gap) is gap


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ((80, 100), (10, 100), True),
        ((800, 1000), (780, 1000), False),
        ((0, 100), (0, 100), False),
        ((9, 9), (0, 0), False),
    ],
)
def test_evaluated_shares_are_tested_for_a_difference(
    before: tuple[int, int], after: tuple[int, int], *, changed: bool
) -> None:
    assert (EvaluatedShare.unknown().reason(Part(*before), Part(*after)) is not None) == changed


@pytest.mark.no_cover
@pytest.mark.parametrize("name", ["sampled at 30 %", "only calls that succeed"])
def test_changed_evaluation_rules_cause_no_clear_quality_change(name: str) -> None:
    """With this seed, at least two answers would report a quality change if they ignored the evaluated share."""
    row = evaluated_row(name, [91_006], calls=20_000, asked=ASKED[:4])
    assert row.holds
    assert row.share_reported >= 0.75


async def test_grouped_charts_name_the_group_with_a_changed_evaluated_share() -> None:
    app = new_sandbox(count=20_000, seed=77)
    chart = {"widget": {**BAR, "group_by": BY_AGENT}, "dashboard_id": 11, "points": 0}
    week = {"window": "7d", "compare_to": "previous_period"}
    async with open_tools(app) as (context, recorder):
        before, _ = await ask(context, "preview_widget", **chart, **week)
        requests = len(recorder.sent)
        app.state.world.con.execute(
            "DELETE FROM evaluations WHERE metric_id = 503 AND call_id IN (SELECT id FROM calls WHERE agent_id = 36 "
            "AND ts >= '2026-11-11 00:00') AND (number = 0 OR call_id % 10 < 4)"
        )
        recorder.sent.clear()
        text, answer = await ask(context, "preview_widget", **chart, **week)
        assert len(recorder.sent) == requests
        _, halves = await ask(context, "preview_widget", **chart, window="14d")
        del chart["points"]
        explained, explanation = await ask(context, "explain_change", **chart, window="7d", by=["agent.id", "topic"])
    counts = sql(
        app, "SELECT ts >= '2026-11-11 15:30', count(e.number), count(*) FROM calls c LEFT JOIN evaluations e "
        "ON c.id = e.call_id AND metric_id = 503 WHERE agent_id = 36 AND ts >= '2026-11-04 15:30' AND ts < '2026-11-18 15:30' "
        "GROUP BY 1 ORDER BY 1",
    )  # fmt: skip
    [group] = [row for row in answer["report"]["group_changes"]["top"] if row["group"] == "After hours (36)"]
    assert (group["current"], group["verdict"]) == (1, "possible"), "the rate is 1 if only passes are evaluated"
    assert "share of calls evaluated" not in before
    [share] = answer["report"]["group_changes"]["evaluated_shares"]
    assert share["group"] == "After hours (36)"
    percentages = [share["baseline_pct"], share["current_pct"]]
    assert percentages == [pytest.approx(100 * n / of, rel=0.01) for _, n, of in counts]
    words = 'share of calls evaluated, by sampling or trigger; not a change of quality: "After hours (36)" '
    assert f"{words}{percentages[0]} % → {percentages[1]} %" in text
    assert [row["group"] for row in halves["report"]["group_changes"]["evaluated_shares"]] == ["After hours (36)"]
    by_agent, by_topic = sorted(explanation["dimensions"], key=lambda row: str(row["by"]))
    assert [row["group"] for row in by_agent["evaluated_shares"]] == ["After hours (36)"]
    assert "evaluated_shares" not in by_topic
    assert words in explained
