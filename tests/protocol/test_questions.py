"""Questions of users, each answered by one call through a real MCP client with the same figures as SQL."""

from typing import Any

import pytest
from benchmarks.questions import QUESTIONS, Question

from support import ERAS, Era, Json, connect, new_sandbox, shared_sandbox, sql, text_of

pytestmark = pytest.mark.anyio
LARGE = 60_000
WEEK = "project = 1 AND ts >= '2026-11-11' AND ts < '2026-11-18'"
PREVIOUS_WEEK = "project = 1 AND ts >= '2026-11-04' AND ts < '2026-11-11'"
LOCAL = "timezone('America/Los_Angeles', timezone('UTC', ts))"
BY_TEXT = {question.text: question for question in QUESTIONS}


async def answer_to(text: str, era: Era = "auto", *, app: Any = None, **options: Any) -> tuple[str, Json]:
    """The text and structure of the one call that answers a question."""
    question: Question = BY_TEXT[text]
    async with connect(app or shared_sandbox(count=LARGE), era, **options) as client:
        result = await client.call_tool(question.tool, question.arguments)
    assert not result.is_error, text_of(result)
    assert result.structured_content is not None
    return text_of(result), result.structured_content


def rates(where: str, by: str = "1") -> dict[Any, float]:
    rows = sql(
        shared_sandbox(count=LARGE), f"SELECT {by}, avg(CAST(success AS INT)) FROM calls WHERE {where} GROUP BY 1"
    )
    return {row[0]: row[1] for row in rows}


@pytest.mark.parametrize("era", ERAS)
async def test_question_is_anything_wrong_anywhere(era: Era) -> None:
    text, result = await answer_to("Is anything wrong anywhere?", era)
    parts = " ".join(str(row.get("part")) for row in result["changes"])
    assert all(name in parts for name in ("Booking (33)", "2.4.0", "billing question"))
    assert {"outage", "trend"} <= {row["kind"] for row in result["changes"]}
    assert len(text) <= 6000


async def test_question_which_agent_got_worse() -> None:
    _, result = await answer_to("Which agent got worse?")
    now, before = rates(WEEK, "agent_id"), rates(PREVIOUS_WEEK, "agent_id")
    worst = min(now, key=lambda agent: now[agent] - before[agent])
    [row] = result["widgets"][0]["group_changes"]["top"]
    assert row["group"].endswith(f"({worst})")
    assert [row["baseline"], row["current"]] == [
        pytest.approx(before[worst], abs=1e-3),
        pytest.approx(now[worst], abs=1e-3),
    ]


async def test_question_which_topic_rises() -> None:
    _, result = await answer_to("Which topic rises?")
    counts = [
        dict(sql(shared_sandbox(count=LARGE), f"SELECT topic, count(*) FROM calls WHERE {where} GROUP BY 1"))
        for where in (WEEK, PREVIOUS_WEEK)
    ]
    shares = [{topic: n / sum(side.values()) for topic, n in side.items()} for side in counts]
    rising = max(shares[0], key=lambda topic: shares[0][topic] - shares[1][topic])
    first = result["widgets"][0]["comparison"]["shares"]["top"][0]
    assert (first["label"], first["current_pct"]) == (rising, pytest.approx(100 * shares[0][rising], abs=0.06))
    assert first["verdict"] in {"clear", "possible"}


async def test_question_why_did_success_drop() -> None:
    text, result = await answer_to("Why did success drop?")
    assert result["dimensions"][0]["groups"] == ["Booking (33)"]
    [release] = result["drill_down"]["dimensions"]
    rate = rates(
        "agent_id = 33 AND ts >= '2026-11-11 15:30' AND json_extract_string(metadata, '$.app_version') = '2.4.0'"
    )
    assert release["new"][0]["group"] == "2.4.0"
    assert release["new"][0]["value"] == pytest.approx(rate[1], abs=1e-3)
    assert 'within agent.id "Booking (33)", by "metadata.app_version"' in text


async def test_question_booking_against_reception_this_week() -> None:
    _, result = await answer_to("Booking against Reception this week?")
    since = rates("project = 1 AND ts >= '2026-11-16'", "agent_id")
    compared = result["widgets"][0]["comparison"]
    assert compared["current"]["value"] == pytest.approx(since[33], abs=1e-3)
    assert compared["baseline"]["value"] == pytest.approx(since[31], abs=1e-3)
    assert compared["verdict"] in {"clear", "possible"}


async def test_question_drop_offs_against_other_calls_by_topic() -> None:
    _, result = await answer_to("Drop-offs against the rest, by topic?")
    rows = sql(
        shared_sandbox(count=LARGE),
        "SELECT topic, count(*) FILTER (dropoff_point IS NOT NULL), count(*) FILTER (dropoff_point IS NULL) "
        "FROM calls WHERE project = 1 AND ts >= '2026-11-11 15:30' GROUP BY 1",
    )
    dropped, rest = (sum(row[side] for row in rows) for side in (1, 2))
    shares = {row["label"]: row for row in result["report"]["comparison"]["shares"]["top"]}
    for topic, n, others in rows:
        if topic in shares:
            assert shares[topic]["current_pct"] == pytest.approx(100 * n / dropped, abs=0.06)
            assert shares[topic]["baseline_pct"] == pytest.approx(100 * others / rest, abs=0.06)


async def test_question_busiest_hour_on_weekdays_in_los_angeles() -> None:
    _, result = await answer_to("The busiest hour on weekdays in Los Angeles?")
    hours = dict(
        sql(
            shared_sandbox(count=LARGE),
            f"SELECT hour({LOCAL}), count(*) FROM calls WHERE project = 1 AND isodow({LOCAL}) < 6 "
            "AND ts >= '2026-10-21 16:00' AND ts < '2026-11-18 15:00' GROUP BY 1",
        )
    )
    busiest = max(hours, key=lambda hour: hours[hour])
    assert result["widgets"][0]["profile"]["highest_on_weekdays"]["slot"] == f"{busiest:02d}:00"


async def test_question_long_calls_with_quotes_about_a_refund() -> None:
    _, result = await answer_to('Calls over five minutes, longest first, with what was said about "refund"?')
    longest = sql(
        shared_sandbox(count=LARGE),
        "SELECT id, topic FROM calls WHERE project = 1 AND ts >= '2026-11-11 15:30' AND duration > 300 "
        "ORDER BY duration DESC, id DESC LIMIT 50",
    )
    wanted = [number for number, topic in longest if number % 7 == 0 and topic]
    assert [call["id"] for call in result["calls"]] == wanted[:10]
    assert all("refund" in call["quote"] for call in result["calls"])


async def test_request_move_a_pie_to_the_top_right_at_half_width() -> None:
    app = new_sandbox(count=100)
    _, result = await answer_to("Move the pie of topics to the top right, half as wide.", app=app)
    assert result["outcome"] == "applied"
    assert app.state.world.store.widget(206)["metadata"]["layout"] == {"x": 9, "y": 0, "w": 3, "h": 4}
    assert "undo" in result


async def test_request_show_thirty_days_on_a_dashboard() -> None:
    app = new_sandbox(count=100)
    text, result = await answer_to("Show 30 days on dashboard 11.", app=app)
    assert result["outcome"] == "applied"
    stored = app.state.world.store.dashboard(11)["filters"]
    assert stored == {"field": "timestamp", "op": "gte", "value": "today-29d"}
    assert "saved as today-29d" in text
