"""Percentiles of all calls of a window and of each group, if the API can compute them."""

import pytest

from support import Json, ask, open_tools, shared_sandbox, sql

pytestmark = pytest.mark.anyio
P95: Json = {"chart_type": "bar", "field": "duration", "aggregation_function": "p95", "time_period": "day"}
BY_AGENT: Json = {**P95, "group_by": {"type": "field", "field": "agent.id"}}


def p95(start: str, end: str, by: str = "1") -> dict[object, float]:
    rows = sql(
        shared_sandbox(),
        f"SELECT {by}, quantile_cont(duration, 0.95) FROM calls WHERE project = 1 AND ts >= '{start}' AND ts < '{end}' "
        "GROUP BY 1",
    )
    return dict(rows)


async def test_percentiles_cover_all_calls_of_window_and_baseline() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        _, answer = await ask(
            context, "preview_widget", widget=P95, dashboard_id=11, window="7d", compare_to="previous_period"
        )
    report = answer["report"]
    [now] = p95("2026-11-11 15:30", "2026-11-18 15:30").values()
    [before] = p95("2026-11-04 15:30", "2026-11-11 15:30").values()
    assert report["facts"]["p95"] == pytest.approx(now, rel=1e-3)
    assert "typical_bucket_p95" not in report["facts"]
    assert report["comparison"]["current"]["value"] == pytest.approx(now, rel=1e-3)
    assert report["comparison"]["baseline"]["value"] == pytest.approx(before, rel=1e-3)


async def test_each_group_has_the_percentile_of_its_own_calls() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        _, answer = await ask(context, "preview_widget", widget=BY_AGENT, dashboard_id=11, window="7d")
    report = answer["report"]
    groups = p95("2026-11-11 15:30", "2026-11-18 15:30", "agent_name")
    shown = {name.rsplit(" (", 1)[0].strip('"'): value for name, _, value in report["groups"]["top"]}
    assert shown == {name: pytest.approx(value, rel=1e-3) for name, value in groups.items()}
    [expected] = p95("2026-11-11 15:30", "2026-11-18 15:30").values()
    assert report["facts"]["p95"] == pytest.approx(expected, rel=1e-3)


async def test_a_percentile_across_two_months_is_bounded_with_a_note() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        _, answer = await ask(context, "preview_widget", widget=P95, dashboard_id=11, window="2026-10-28/2026-11-05")
    [october] = p95("2026-10-28", "2026-11-01").values()
    [november] = p95("2026-11-01", "2026-11-06").values()
    low, high = sorted((october, november))
    assert low <= answer["report"]["facts"]["p95"] <= high
    [note] = [note for note in answer["report"]["notes"] if "lies between" in note]
    assert note == f"p95 of all calls lies between those of the two months, {october:.4g} and {november:.4g}"


async def test_a_week_across_two_months_has_an_exact_percentile() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        _, answer = await ask(context, "preview_widget", widget=P95, dashboard_id=11, window="2026-10-26/2026-11-01")
    [expected] = p95("2026-10-26", "2026-11-02").values()
    assert answer["report"]["facts"]["p95"] == pytest.approx(expected, rel=1e-3)
    assert not any("lies between" in note for note in answer["report"].get("notes", []))
