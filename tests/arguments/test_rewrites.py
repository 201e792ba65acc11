"""Operators that the API does not support are rewritten and reported; durations become seconds."""

from typing import Any

import pytest

from cekura_dashboards.api.errors import InvalidArguments
from cekura_dashboards.arguments.reader import parse
from support import BY_NAME, Era, Json, ask, connect, new_sandbox, open_tools, shared_sandbox, sql, text_of

pytestmark = pytest.mark.anyio
DATA = BY_NAME["get_widgets_data"].request
SUCCESS: Json = {"field": "success", "op": "eq", "value": True}


def condition(field: str, op: str, value: Any) -> Json:
    return {"field": field, "op": op, "value": value}


def group(operator: str, *conditions: Json) -> Json:
    return {"operator": operator, "conditions": [*conditions]}


ONE_TO_TWO_MINUTES = group("and", condition("duration", "gte", 60), condition("duration", "lte", 120))
NEITHER = group("and", condition("topic", "neq", "a"), condition("topic", "neq", "b"))
IS_METRIC_502 = condition("metric_evaluations.metric.id", "eq", 502)

REWRITTEN: list[tuple[Any, Json]] = [
    (condition("duration", "between", [60, 120]), ONE_TO_TWO_MINUTES),
    (condition("duration", "between", ["60", "120"]), ONE_TO_TWO_MINUTES),
    (condition("duration", "between", {"min": 60, "max": 120}), ONE_TO_TWO_MINUTES),
    (condition("duration", "between", "60 and 120"), ONE_TO_TWO_MINUTES),
    (condition("duration", "BETWEEN", "1 min to 2 min"), ONE_TO_TWO_MINUTES),
    ({"field": "duration", "operator": "range", "value": [60, 120]}, ONE_TO_TWO_MINUTES),
    ({"field": "duration", "between": [60, 120]}, ONE_TO_TWO_MINUTES),
    ({"duration": {"between": [60, 120]}}, ONE_TO_TWO_MINUTES),
    ({"duration": {"$gte": 60, "$lte": 120}}, ONE_TO_TWO_MINUTES),
    ({"field": "duration", "gte": 60, "lte": 120}, ONE_TO_TWO_MINUTES),
    (
        condition("duration", "not_between", [60, 120]),
        group("or", condition("duration", "lt", 60), condition("duration", "gt", 120)),
    ),
    (
        condition("timestamp", "between", ["2026-11-10", "2026-11-12"]),
        group("and", condition("timestamp", "gte", "2026-11-10"), condition("timestamp", "lt", "2026-11-13")),
    ),
    (
        condition("date", "between", ["today-7d", "now"]),
        group("and", condition("timestamp", "gte", "today-7d"), condition("timestamp", "lte", "now")),
    ),
    (condition("topic", "not_in", ["a", "b"]), NEITHER),
    (condition("topic", "not in", ["a", "b"]), NEITHER),
    (condition("topic", "neq", ["a", "b"]), NEITHER),
    (condition("topic", "not", ["a", "b"]), NEITHER),
    ({"topic": {"$nin": ["a", "b"]}}, NEITHER),
    ({"topic": {"not": ["a", "b"]}}, NEITHER),
    ({"topic": {"not": {"in": ["a", "b"]}}}, NEITHER),
    ({"field": "topic", "not_in": ["a", "b"]}, NEITHER),
    (condition("topic", "not_in", ["a"]), condition("topic", "neq", "a")),
    (condition("topic", "not_in", "a"), condition("topic", "neq", "a")),
    (
        condition("agent.id", "not_in", ["31", 33]),
        group("and", condition("agent.id", "neq", 31), condition("agent.id", "neq", 33)),
    ),
    ({"not": SUCCESS}, condition("success", "neq", True)),
    ({"NOT": {"success": True}}, condition("success", "neq", True)),
    ({"not": [{"success": True}]}, condition("success", "neq", True)),
    (group("not", SUCCESS), condition("success", "neq", True)),
    ({"not": condition("duration", ">", 60)}, condition("duration", "lte", 60)),
    ({"not": condition("topic", "isnull", True)}, condition("topic", "isnull", False)),
    ({"not": condition("topic", "in", ["a", "b"])}, NEITHER),
    ({"not": group("or", condition("topic", "eq", "a"), condition("topic", "eq", "b"))}, NEITHER),
    (
        {"not": condition("duration", "between", [60, 120])},
        group("or", condition("duration", "lt", 60), condition("duration", "gt", 120)),
    ),
    ({"not": {"not": SUCCESS}}, SUCCESS),
    ({"and": [SUCCESS, {"not": {"topic": "a"}}]}, group("and", SUCCESS, condition("topic", "neq", "a"))),
    ({"field": "topic", "op": "is_not_null"}, condition("topic", "isnull", False)),
    (condition("topic", "is_not", None), condition("topic", "isnull", False)),
    (condition("topic", "exists", True), condition("topic", "isnull", False)),
    (condition("topic", "exists", False), condition("topic", "isnull", True)),
    (
        group("same_row", IS_METRIC_502, condition("metric_evaluations.value", "between", [2, 4])),
        group(
            "same_row",
            IS_METRIC_502,
            condition("metric_evaluations.value", "gte", 2),
            condition("metric_evaluations.value", "lte", 4),
        ),
    ),
]


@pytest.mark.parametrize(("sent", "expected"), REWRITTEN)
def test_unsupported_operators_are_rewritten_as_supported_ones(sent: Any, expected: Json) -> None:
    request, notes = parse(DATA, {"dashboard_id": 11, "filters": sent})
    assert request.filters.to_json() == expected
    assert any("was read as" in note for note in notes)


@pytest.mark.parametrize(
    "plain", [condition("topic", "neq", "a"), condition("topic", "in", ["a"]), ONE_TO_TWO_MINUTES, NEITHER]
)
def test_supported_filters_are_kept_unchanged(plain: Json) -> None:
    request, notes = parse(DATA, {"dashboard_id": 11, "filters": plain})
    assert request.filters.to_json() == plain
    assert notes == []


REFUSED: list[tuple[Any, str]] = [
    (condition("duration", "between", 60), '"between" takes two values: {"operator":"and","conditions":['),
    (
        condition("duration", "between", [1, 2, 3]),
        '{"field":"duration","op":"gte","value":60},{"field":"duration","op":"lte"',
    ),
    (condition("topic", "not_in", []), '"not_in" is op neq with one condition per value: {"operator":"and"'),
    (condition("topic", "not_contains", "a"), "contains, startswith, endswith and regex have no opposite"),
    (condition("topic", "does not contain", "a"), "contains, startswith, endswith and regex have no opposite"),
    ({"not": condition("topic", "contains", "a")}, "contains, startswith, endswith and regex have no opposite"),
    ({"not": [SUCCESS, {"topic": "a"}]}, "takes one condition"),
    ({"not": "x"}, 'for example {"field":"success","op":"neq","value":true}'),
    (condition("duration", "gt", "long"), '"long" is not a number of seconds'),
    (condition("duration", "gt", "3 miles"), '"3 miles" is not a number of seconds'),
]


@pytest.mark.parametrize(("sent", "message"), REFUSED)
def test_filters_that_cannot_be_rewritten_are_rejected_with_an_example(sent: Any, message: str) -> None:
    with pytest.raises(InvalidArguments) as refusal:
        parse(DATA, {"dashboard_id": 11, "filters": sent})
    assert message in str(refusal.value)
    assert "did you mean `contains`" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("3 min", 180), ("3 minutes", 180), ("2m30s", 150), ("1:30", 90), ("01:02:03", 3723), ("90s", 90), ("1 hour and 5 min", 3900),
     ("1.5 min", 90), ("500 ms", 0.5)],
)  # fmt: skip
async def test_durations_with_units_are_converted_to_seconds_and_reported(text: str, seconds: float, era: Era) -> None:
    app = shared_sandbox()
    arguments = {
        "widget_id": 203,
        "window": "7d",
        "filters": {"field": "duration", "op": "gt", "value": text},
        "limit": 1,
    }
    async with connect(app, era) as client:
        result = await client.call_tool("list_calls", arguments)
    assert f'filters.value: "{text}" was read as {seconds} seconds' in text_of(result)


async def test_rewritten_filters_count_the_same_calls_as_sql() -> None:
    app = shared_sandbox()
    topic = sql(app, "SELECT topic FROM calls WHERE project = 1 AND topic IS NOT NULL GROUP BY 1 ORDER BY 1 LIMIT 2")
    names = [row[0] for row in topic]
    cases: list[tuple[Json, str]] = [
        (condition("duration", "between", ["1 min", "2 min"]), "duration BETWEEN 60 AND 120"),
        ({"topic": {"not_in": names}}, f"(topic IS NULL OR topic NOT IN ({', '.join(map(repr, names))}))"),
        ({"not": condition("duration", "gte", 100)}, "duration < 100"),
    ]
    async with open_tools(app) as (context, _):
        for filters, where in cases:
            _, answer = await ask(context, "list_calls", widget_id=202, window="7d", filters=filters)
            start, end = (part.replace("Z", "") for part in answer["window"].split(" (")[0].split(" to "))
            [(count,)] = sql(
                app,
                f"SELECT count(*) FROM calls WHERE project = 1 AND {where} "
                f"AND ts >= TIMESTAMP '{start}' AND ts < TIMESTAMP '{end}'",
            )
            assert answer["total"] == count


async def test_the_rewritten_filter_is_stored_and_shown_in_the_receipt() -> None:
    app = new_sandbox()
    async with open_tools(app) as (context, _):
        text, receipt = await ask(
            context, "update_widget", widget_id=203, changes={"filters": condition("topic", "not_in", ["a", "b"])}
        )
        _, answer = await ask(context, "get_dashboard", dashboard_id=11)
    assert receipt["outcome"] == "applied"
    assert next(widget["filters"] for widget in answer["widgets"] if widget["id"] == 203) == NEITHER
    assert '{"field":"topic","op":"neq","value":"a"},{"field":"topic","op":"neq","value":"b"}' in text
