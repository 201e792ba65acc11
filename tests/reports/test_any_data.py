"""Arbitrary data from the API: answers stay within the budget and are valid JSON, without a crash."""

import csv
import io
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cekura_dashboards.api.errors import DashboardsError
from cekura_dashboards.api.wire import Response
from cekura_dashboards.reports.budget import ONE_WIDGET, STRUCTURED, WHOLE_ANSWER
from support import Json, Sent, ask, open_tools, scaled_examples, shared_sandbox

pytestmark = pytest.mark.no_cover
LONG = "label " * 1700
WHOLE_OF_EIGHT, EXPLAINED, ERROR = 6000, 8000, 1000
CHARTS = {"bar": 202, "line": 207, "pie": 205, "stat": 201, "grouped bar": 204}
Drawn = st.SearchStrategy[Any]
CLOCK_CHANGE = "2026-10-25T02:{:02}:00+0{}:00"
times: Drawn = st.one_of(
    st.datetimes().map(str),
    st.integers(1, 30).map(lambda day: f"2026-11-{day:02}T00:00:00Z"),
    st.integers(1, 30).map(lambda day: f"2026-11-{day:02}T05:30:00+05:30"),
    st.builds(CLOCK_CHANGE.format, st.integers(0, 59), st.integers(1, 2)),
    st.sampled_from([None, "", "never", 17, LONG]),
)
odd_values: list[Any] = ["", "12", "NaN", "2026-11-01", LONG, [], {}, 10**400, -(10**30)]
values: Drawn = st.one_of(st.floats(), st.integers(), st.booleans(), st.none(), st.sampled_from(odd_values))
labels: Drawn = st.one_of(st.text(max_size=20), st.none(), st.just(LONG), st.integers(), st.just("\u202e\x1b[31m"))
columns: dict[str, Drawn] = {
    "id": labels, "timestamp": times, "time_interval": times, "sample_count": values, "label": labels,
    "percentage": values, "group": labels, "agent.id": labels,
}  # fmt: skip


def repeated(rows: list[Json]) -> list[Json]:
    return rows * 7


rows = st.lists(st.fixed_dictionaries({"value": values}, optional=columns), max_size=40)
many_rows: list[Json] = [
    {"label": f"{i}{LONG}", "value": 10**i, "group": f"{i}{LONG}", "time_interval": f"2026-11-{i % 18 + 1:02}"}
    for i in range(40)
]
data: Drawn = st.one_of(
    rows,
    st.builds(repeated, rows),
    st.dictionaries(st.text(max_size=9) | st.just(LONG), values, max_size=20),
    st.none(),
    st.text(),
    st.just(many_rows),
)
types = st.sampled_from(["numeric", "boolean", "string", "datetime", "dynamic"])
few_examples = settings(max_examples=scaled_examples(25))


def fault_with(sides: list[Any], data_type: str) -> Callable[[Sent], Response | None]:
    """Answers every chart with the given sides in turn."""
    count = 0

    def fake(sent: Sent) -> Response | None:
        nonlocal count
        if not sent.path.endswith("_data/"):
            return None
        count += 1
        shown: Json = {"data": sides[count % len(sides)], "metadata": {"data_type": data_type}}
        if sent.path.endswith("preview_data/"):
            return Response(200, json.dumps(shown).encode())
        results: list[Json] = [{"widget_id": number, **shown} for number in sent.body["widget_ids"]]
        return Response(200, json.dumps({"count": len(results), "results": results}).encode())

    return fake


async def answer_of(tool: str, sides: list[Any], data_type: str, arguments: Json) -> tuple[str, Json]:
    """The answer, or the text of an error of this project."""
    async with open_tools(shared_sandbox()) as (context, recorder):
        recorder.fault = fault_with(sides, data_type)
        try:
            return await ask(context, tool, **arguments)
        except DashboardsError as refused:
            return str(refused), {}


def assert_within_budget(result: tuple[str, Json], budget: int) -> None:
    text, answer = result
    assert len(text) <= (budget if answer else ERROR)
    assert len(json.dumps(answer, allow_nan=False, ensure_ascii=False)) <= 2 * STRUCTURED * budget
    assert [line for line in text.splitlines() if {"\x1b", "\u202e"} & set(line)] == []


@pytest.mark.parametrize("widget", CHARTS.values(), ids=CHARTS)
@given(sides=st.lists(data, min_size=1, max_size=2), data_type=types)
@example(sides=[[{"value": 17, "timestamp": "2026-11-14T00:00:00Z", "id": "\u202e\x1b[31m"}]], data_type="boolean")
@few_examples
def test_comparisons_of_arbitrary_data_stay_within_the_budget(widget: int, sides: list[Any], data_type: str) -> None:
    arguments: Json = {"widget_ids": [widget], "compare_to": "previous_period"}
    assert_within_budget(anyio.run(partial(answer_of, "get_widgets_data", sides, data_type, arguments)), ONE_WIDGET)


@given(widget=st.sampled_from([201, 204, 205, 207]), sides=st.lists(data, min_size=1, max_size=2), data_type=types)
@example(widget=204, sides=[many_rows], data_type="numeric")
@few_examples
def test_tables_of_arbitrary_data_stay_within_the_budget(widget: int, sides: list[Any], data_type: str) -> None:
    arguments: Json = {"widget_ids": [widget], "compare_to": "previous_period", "table": "csv"}
    text, answer = anyio.run(partial(answer_of, "get_widgets_data", sides, data_type, arguments))
    assert_within_budget((text, answer), WHOLE_ANSWER)
    for table in [report["table"] for report in answer.get("widgets", []) if report.get("table", {}).get("rows")]:
        records = [*csv.reader(io.StringIO('"' + text.partition(':\n"')[2].strip()), strict=True)]
        assert {len(record) for record in records} <= {len(table["columns"])}
        assert {len(row) for row in table["rows"]} <= {len(table["columns"])}


@given(sides=st.lists(data, min_size=1, max_size=3), data_type=types)
@few_examples
def test_dashboards_of_arbitrary_data_stay_within_the_budget(sides: list[Any], data_type: str) -> None:
    arguments: Json = {"dashboard_id": 11, "compare_to": "previous_week", "window": "5d"}
    assert_within_budget(anyio.run(partial(answer_of, "get_widgets_data", sides, data_type, arguments)), WHOLE_OF_EIGHT)


@pytest.mark.parametrize("widget", [202, 203, 207])
@given(sides=st.lists(data, min_size=1, max_size=3), data_type=types)
@example(sides=[many_rows], data_type="numeric")
@few_examples
def test_explanations_of_arbitrary_data_stay_within_the_budget(widget: int, sides: list[Any], data_type: str) -> None:
    arguments: Json = {"widget_id": widget, "window": "5d"}
    assert_within_budget(anyio.run(partial(answer_of, "explain_change", sides, data_type, arguments)), EXPLAINED)
