"""Filters: validated going out, read tolerantly coming in."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cekura_dashboards.api.filters import (
    Bounds,
    Filter,
    both,
    filter_warnings,
    has_nested_time,
    in_words,
    resolve_time,
    time_bounds,
    within,
    without_time,
)
from support import NOW, Json

TIME = {"field": "timestamp", "op": "gte", "value": "today-7d"}
TOPIC = {"field": "topic", "op": "eq", "value": "complaint"}
FAILED = {"field": "success", "op": "eq", "value": False}


def group(operator: str, *conditions: Json) -> Json:
    return {"operator": operator, "conditions": list(conditions)}


VALID: list[Json] = [
    TIME,
    TOPIC,
    group("or", TOPIC, group("and", FAILED, TIME)),
    group("same_row", {"field": "metric_evaluations.metric.name", "op": "eq", "value": "CSAT"}),
    {"field": "metadata.region", "op": "in", "value": ["north"]},
    {"field": "topic", "op": "isnull", "value": True},
    {"field": "agent.id", "op": "in", "value": [1, 2]},
    {"field": "timestamp", "op": "lt", "value": "2026-11-01T00:00:00+05:30"},
    {"field": "metric_evaluations.value", "op": "gte", "value": 3},
]


@pytest.mark.parametrize("node", VALID)
def test_a_valid_filter_is_kept_unchanged(node: Json) -> None:
    assert Filter.model_validate(node).to_json() == node


@pytest.mark.parametrize(
    ("node", "place", "message"),
    [
        ({"field": "sucess", "op": "eq", "value": 1}, (), "did you mean `success`"),
        ({"field": "topic", "value": 1}, (), "op"),
        ({"op": "eq", "value": 1}, (), "field"),
        ({}, (), "field"),
        ({"field": "topic", "op": "eq"}, (), "is missing"),
        ({"field": "topic", "op": "in", "value": "x"}, (), "a list"),
        ({"field": "topic", "op": "in", "value": []}, (), "at least one"),
        ({"field": "topic", "op": "isnull", "value": "yes"}, (), "true or false"),
        ({"field": "success", "op": "eq", "value": "true"}, (), "true or false"),
        ({"field": "duration", "op": "gt", "value": True}, (), "a number"),
        ({"field": "timestamp", "op": "gte", "value": "last week"}, (), "ISO 8601"),
        ({"field": "topic", "op": "regex", "value": "("}, (), "regular expression"),
        ({"field": "metadata.a.b", "op": "eq", "value": "x"}, (), "cannot be filtered"),
        ({**TOPIC, "operator": "and", "conditions": [TOPIC]}, (), "mixes"),
        (group("and"), (), "at least one"),
        ({"conditions": [TOPIC]}, (), "operator"),
        (group("same_row", TOPIC), (), "same_row"),
        (
            group("and", TOPIC, group("or", {"field": "nope", "op": "eq", "value": 1})),
            ("conditions", 1, "conditions", 0),
            "cannot",
        ),
    ],
)
def test_an_invalid_filter_is_rejected_with_its_path(node: Json, place: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Filter.model_validate(node)
    [error] = caught.value.errors()
    assert error["loc"] == place
    assert message in error["msg"] or message in str(error.get("ctx"))


def test_without_time_removes_time_conditions_that_are_only_under_and() -> None:
    nested = group("and", TIME, group("and", TOPIC, {**TIME, "op": "lt"}), group("or", TIME, FAILED))
    assert without_time(nested) == group("and", TOPIC, group("or", TIME, FAILED))
    assert has_nested_time(nested)
    assert not has_nested_time(group("and", TIME, TOPIC))
    assert without_time(TIME) == {}
    assert without_time(None) == {}


def test_time_bounds_are_the_tightest_of_all_conditions() -> None:
    node = group("and", TIME, {**TIME, "value": "now-2d"}, {"field": "timestamp", "op": "lte", "value": "today-1d"})
    assert time_bounds(node, NOW) == Bounds(NOW - timedelta(days=2), datetime(2026, 11, 18, tzinfo=UTC))
    assert time_bounds(group("or", TIME), NOW) == Bounds(None, None)
    assert time_bounds({"field": "timestamp", "op": "gte", "value": "nonsense"}, NOW) == Bounds(None, None)


@pytest.mark.parametrize(("unit", "seconds"), [("s", 1), ("m", 60), ("h", 3600), ("d", 86400), ("w", 604800)])
def test_each_relative_unit_counts_back_from_now(unit: str, seconds: int) -> None:
    assert resolve_time(f"now-3{unit}", "gte", NOW) == NOW - timedelta(seconds=3 * seconds)


def test_operators_undocumented_for_their_field_are_warned_about() -> None:
    node = group("and", TOPIC, {"field": "duration", "op": "neq", "value": 3})
    [warning] = filter_warnings(node)
    assert warning.startswith("filters.conditions[1]: neq")


def test_a_filter_in_words_quotes_values() -> None:
    node = group("and", {"field": "topic", "op": "eq", "value": 'x" or\n1'}, group("or", FAILED, TOPIC))
    assert in_words(node) == 'topic = "x\' or 1" and (success = false or topic = "complaint")'


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["field", "op", "value", "operator", "conditions", "x"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["field", "op", "value", "operator", "conditions"]), json_values, max_size=5))
def test_arbitrary_stored_filters_are_accepted(node: Json) -> None:
    assert isinstance(in_words(node), str)
    assert not any(part.get("field") == "timestamp" for part in [without_time(node)])
    time_bounds(node, NOW)
    has_nested_time(node)
    list(filter_warnings(node))


@given(st.lists(st.sampled_from(VALID), max_size=4))
def test_combined_filters_are_flat_and_keep_every_condition(nodes: list[Json]) -> None:
    joined = both(*nodes)
    parts = (
        joined.get("conditions", [joined] if joined else [])
        if joined.get("operator") == "and"
        else [joined]
        if joined
        else []
    )
    assert len(parts) == len(nodes)
    assert both(joined) == joined


def test_a_window_is_half_open() -> None:
    assert [c["op"] for c in within(NOW, NOW)["conditions"]] == ["gte", "lt"]
