"""Operators that people know and the API has not are read as those that it has, and told; times are seconds."""

from typing import Any

import pytest

from cekura_dashboards.api.errors import InvalidArguments
from cekura_dashboards.arguments.reader import parse
from support import BY_NAME, Era, Json, ask, connect, new_sandbox, open_tools, shared_sandbox, sql, text_of

pytestmark = pytest.mark.anyio
DATA = BY_NAME["get_widgets_data"].request
SUCCESS: Json = {"field": "success", "op": "eq", "value": True}


def one(field: str, op: str, value: Any) -> Json:
    return {"field": field, "op": op, "value": value}


def group(operator: str, *conditions: Json) -> Json:
    return {"operator": operator, "conditions": [*conditions]}


MINUTES = group("and", one("duration", "gte", 60), one("duration", "lte", 120))
NEITHER = group("and", one("topic", "neq", "a"), one("topic", "neq", "b"))
NUMBER = one("metric_evaluations.metric.id", "eq", 502)

READ: list[tuple[Any, Json]] = [
    (one("duration", "between", [60, 120]), MINUTES),
    (one("duration", "between", ["60", "120"]), MINUTES),
    (one("duration", "between", {"min": 60, "max": 120}), MINUTES),
    (one("duration", "between", "60 and 120"), MINUTES),
    (one("duration", "BETWEEN", "1 min to 2 min"), MINUTES),
    ({"field": "duration", "operator": "range", "value": [60, 120]}, MINUTES),
    ({"field": "duration", "between": [60, 120]}, MINUTES),
    ({"duration": {"between": [60, 120]}}, MINUTES),
    ({"duration": {"$gte": 60, "$lte": 120}}, MINUTES),
    ({"field": "duration", "gte": 60, "lte": 120}, MINUTES),
    (one("duration", "not_between", [60, 120]), group("or", one("duration", "lt", 60), one("duration", "gt", 120))),
    (
        one("timestamp", "between", ["2026-11-10", "2026-11-12"]),
        group("and", one("timestamp", "gte", "2026-11-10"), one("timestamp", "lt", "2026-11-13")),
    ),
    (
        one("date", "between", ["today-7d", "now"]),
        group("and", one("timestamp", "gte", "today-7d"), one("timestamp", "lte", "now")),
    ),
    (one("topic", "not_in", ["a", "b"]), NEITHER),
    (one("topic", "not in", ["a", "b"]), NEITHER),
    (one("topic", "neq", ["a", "b"]), NEITHER),
    (one("topic", "not", ["a", "b"]), NEITHER),
    ({"topic": {"$nin": ["a", "b"]}}, NEITHER),
    ({"topic": {"not": ["a", "b"]}}, NEITHER),
    ({"topic": {"not": {"in": ["a", "b"]}}}, NEITHER),
    ({"field": "topic", "not_in": ["a", "b"]}, NEITHER),
    (one("topic", "not_in", ["a"]), one("topic", "neq", "a")),
    (one("topic", "not_in", "a"), one("topic", "neq", "a")),
    (one("agent.id", "not_in", ["31", 33]), group("and", one("agent.id", "neq", 31), one("agent.id", "neq", 33))),
    ({"not": SUCCESS}, one("success", "neq", True)),
    ({"NOT": {"success": True}}, one("success", "neq", True)),
    ({"not": [{"success": True}]}, one("success", "neq", True)),
    (group("not", SUCCESS), one("success", "neq", True)),
    ({"not": one("duration", ">", 60)}, one("duration", "lte", 60)),
    ({"not": one("topic", "isnull", True)}, one("topic", "isnull", False)),
    ({"not": one("topic", "in", ["a", "b"])}, NEITHER),
    ({"not": group("or", one("topic", "eq", "a"), one("topic", "eq", "b"))}, NEITHER),
    (
        {"not": one("duration", "between", [60, 120])},
        group("or", one("duration", "lt", 60), one("duration", "gt", 120)),
    ),
    ({"not": {"not": SUCCESS}}, SUCCESS),
    ({"and": [SUCCESS, {"not": {"topic": "a"}}]}, group("and", SUCCESS, one("topic", "neq", "a"))),
    ({"field": "topic", "op": "is_not_null"}, one("topic", "isnull", False)),
    (one("topic", "is_not", None), one("topic", "isnull", False)),
    (one("topic", "exists", True), one("topic", "isnull", False)),
    (one("topic", "exists", False), one("topic", "isnull", True)),
    (
        group("same_row", NUMBER, one("metric_evaluations.value", "between", [2, 4])),
        group("same_row", NUMBER, one("metric_evaluations.value", "gte", 2), one("metric_evaluations.value", "lte", 4)),
    ),
]


@pytest.mark.parametrize(("sent", "meant"), READ)
def test_an_operator_that_the_api_has_not_is_read_as_those_that_it_has(sent: Any, meant: Json) -> None:
    request, notes = parse(DATA, {"dashboard_id": 11, "filters": sent})
    assert request.filters.to_json() == meant
    assert any("was read as" in note for note in notes)


@pytest.mark.parametrize("plain", [one("topic", "neq", "a"), one("topic", "in", ["a"]), MINUTES, NEITHER])
def test_what_the_api_takes_is_left_as_it_is(plain: Json) -> None:
    request, notes = parse(DATA, {"dashboard_id": 11, "filters": plain})
    assert request.filters.to_json() == plain
    assert notes == []


REFUSED: list[tuple[Any, str]] = [
    (one("duration", "between", 60), '"between" takes two values: {"operator":"and","conditions":['),
    (
        one("duration", "between", [1, 2, 3]),
        '{"field":"duration","op":"gte","value":60},{"field":"duration","op":"lte"',
    ),
    (one("topic", "not_in", []), '"not_in" is op neq with one condition per value: {"operator":"and"'),
    (one("topic", "not_contains", "a"), "contains, startswith, endswith and regex have no opposite"),
    (one("topic", "does not contain", "a"), "contains, startswith, endswith and regex have no opposite"),
    ({"not": one("topic", "contains", "a")}, "contains, startswith, endswith and regex have no opposite"),
    ({"not": [SUCCESS, {"topic": "a"}]}, "takes one condition"),
    ({"not": "x"}, 'for example {"field":"success","op":"neq","value":true}'),
    (one("duration", "gt", "long"), '"long" is not a number of seconds'),
    (one("duration", "gt", "3 miles"), '"3 miles" is not a number of seconds'),
]


@pytest.mark.parametrize(("sent", "said"), REFUSED)
def test_what_cannot_be_rewritten_is_refused_with_what_can(sent: Any, said: str) -> None:
    with pytest.raises(InvalidArguments) as refusal:
        parse(DATA, {"dashboard_id": 11, "filters": sent})
    assert said in str(refusal.value)
    assert "did you mean `contains`" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("3 min", 180), ("3 minutes", 180), ("2m30s", 150), ("1:30", 90), ("01:02:03", 3723), ("90s", 90), ("1 hour and 5 min", 3900),
     ("1.5 min", 90), ("500 ms", 0.5)],
)  # fmt: skip
async def test_a_duration_with_its_unit_is_seconds_and_told(text: str, seconds: float, era: Era) -> None:
    app = shared_sandbox()
    given = {"widget_id": 203, "window": "7d", "filters": {"field": "duration", "op": "gt", "value": text}, "limit": 1}
    async with connect(app, era) as client:
        result = await client.call_tool("list_calls", given)
    assert f'filters.value: "{text}" was read as {seconds} seconds' in text_of(result)


async def test_rewritten_filters_count_the_calls_that_sql_counts() -> None:
    app = shared_sandbox()
    topic = sql(app, "SELECT topic FROM calls WHERE project = 1 AND topic IS NOT NULL GROUP BY 1 ORDER BY 1 LIMIT 2")
    names = [row[0] for row in topic]
    cases: list[tuple[Json, str]] = [
        (one("duration", "between", ["1 min", "2 min"]), "duration BETWEEN 60 AND 120"),
        ({"topic": {"not_in": names}}, f"(topic IS NULL OR topic NOT IN ({', '.join(map(repr, names))}))"),
        ({"not": one("duration", "gte", 100)}, "duration < 100"),
    ]
    async with open_tools(app) as (context, _):
        for given, where in cases:
            _, found = await ask(context, "list_calls", widget_id=202, window="7d", filters=given)
            start, end = (part.replace("Z", "") for part in found["window"].split(" (")[0].split(" to "))
            [(count,)] = sql(
                app,
                f"SELECT count(*) FROM calls WHERE project = 1 AND {where} "
                f"AND ts >= TIMESTAMP '{start}' AND ts < TIMESTAMP '{end}'",
            )
            assert found["total"] == count


async def test_what_is_stored_is_the_rewrite_and_the_receipt_shows_it() -> None:
    app = new_sandbox()
    async with open_tools(app) as (context, _):
        text, done = await ask(
            context, "update_widget", widget_id=203, changes={"filters": one("topic", "not_in", ["a", "b"])}
        )
        _, found = await ask(context, "get_dashboard", dashboard_id=11)
    assert done["outcome"] == "applied"
    assert next(widget["filters"] for widget in found["widgets"] if widget["id"] == 203) == NEITHER
    assert '{"field":"topic","op":"neq","value":"a"},{"field":"topic","op":"neq","value":"b"}' in text
