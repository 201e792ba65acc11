"""Chart data in every documented and tolerated form."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cekura_dashboards.api import chart_data
from cekura_dashboards.api.chart_data import ChartEnvelope, decode, number
from cekura_dashboards.api.errors import UnreadableAnswer

BAR_ROW = {"time_interval": "2026-11-03T00:00:00Z", "value": 4.5, "sample_count": 10}
"""From the examples of the API's reference page for bulk widget data."""
BY_AGENT = {"type": "field", "field": "agent.id"}


def chart(data: Any, chart_type: str = "bar", group_by: Any = None, **envelope: Any) -> Any:
    body = msgspec.json.encode({"widget_id": 1, "data": data, **envelope})
    return decode(ChartEnvelope.decode(body), chart_type=chart_type, group_by=group_by)


def test_documented_examples_are_decoded() -> None:
    line = chart([{"id": 1, "timestamp": "2025-11-03T10:30:00Z", "value": 45}], "line").rows
    assert (line[0].id, line[0].timestamp, line[0].value) == (1, "2025-11-03T10:30:00Z", 45)
    [bar] = chart([BAR_ROW]).rows
    assert (bar.time_interval, bar.value, bar.sample_count, bar.group) == ("2026-11-03T00:00:00Z", 4.5, 10, None)
    [pie] = chart([{"label": "customer_ended_call", "value": 320, "percentage": 45.7}], "pie").rows
    assert (pie.label, pie.value, pie.percentage) == ("customer_ended_call", 320, 45.7)


STAT = {"total_calls": 3, "success_rate": None, "avg_duration": 12.5, "p95_latency": 900}


@pytest.mark.parametrize("data", [STAT, [STAT], [[], STAT]])
def test_stat_figures_are_accepted_as_an_object_or_in_an_array(data: Any) -> None:
    assert chart(data, "stat").stat == STAT


@pytest.mark.parametrize("data", [None, [], "x", 3])
def test_a_stat_without_figures_decodes_to_an_empty_object(data: Any) -> None:
    assert chart(data, "stat").stat == {}


@pytest.mark.parametrize(
    "data",
    [
        [{**BAR_ROW, "group": 31}],
        [{**BAR_ROW, "agent.id": 31}],
        [{**BAR_ROW, "agent_id": 31}],
        [{**BAR_ROW, "label": 31}],
        [{**BAR_ROW, "whatever": 31}],
        [{"group": 31, "data": [BAR_ROW]}],
        [{"label": 31, "data": [BAR_ROW]}],
        [{"agent.id": 31, "data": [BAR_ROW]}],
    ],
)
@pytest.mark.parametrize("in_answer", [True, False], ids=["group_by in the answer", "group_by in the widget"])
def test_grouped_rows_of_every_form_keep_their_group(data: Any, in_answer: bool) -> None:  # noqa: FBT001 - a parameter
    body = msgspec.json.encode({"data": data, "group_by": BY_AGENT if in_answer else None})
    result = decode(ChartEnvelope.decode(body), chart_type="bar", group_by=None if in_answer else BY_AGENT)
    [row] = result.rows
    assert (row.group, row.value, result.grouped) == (31, 4.5, True)


def test_grouped_rows_without_a_group_are_kept_as_ungrouped() -> None:
    result = chart([BAR_ROW], group_by=BY_AGENT)
    assert (len(result.rows), result.grouped) == (1, False)


def test_null_values_and_unknown_keys_are_accepted() -> None:
    [row] = chart([{"time_interval": None, "value": None, "sample_count": None, "colour": "red"}]).rows
    assert (row.time_interval, row.value) == (None, None)
    assert chart(None).rows == []


def test_an_unknown_chart_type_is_kept() -> None:
    assert chart([{"a": 1}], "list").chart_type == "list"


@pytest.mark.parametrize("data", ["x", 3, {"rows": []}, [1], [[1]]])
def test_data_other_than_a_list_of_rows_is_an_error(data: Any) -> None:
    with pytest.raises(UnreadableAnswer):
        chart(data)


@pytest.mark.parametrize("body", [b"", b"[", b"[]", b'"x"', b"\xff", b"[" * 5000])
def test_an_envelope_other_than_a_json_object_is_an_error(body: bytes) -> None:
    with pytest.raises(UnreadableAnswer):
        ChartEnvelope.decode(body)


@pytest.mark.parametrize("kind", ["line", "bar", "pie", "stat"])
@pytest.mark.parametrize(
    "data", [b'[{"label": "\xff", "timestamp": "\xff", "time_interval": "\xff"}]', b"[" * 5000 + b"]" * 5000]
)
def test_undecodable_data_is_an_error(data: bytes, kind: str) -> None:
    with pytest.raises(UnreadableAnswer):
        decode(ChartEnvelope.decode(b'{"data":' + data + b"}"), chart_type=kind, group_by=None)


def test_a_list_in_place_of_a_value_is_decoded_as_a_list() -> None:
    [row] = chart([{"id": 1, "timestamp": "2025-11-03T10:30:00Z", "value": [1]}], "line").rows
    assert (row.id, row.value) == (1, [1])


def test_data_with_more_than_eight_million_values_is_rejected() -> None:
    data = b'[{"id": 1, "value": [' + b"[]," * 4_000_000 + b"0]}]"
    with pytest.raises(UnreadableAnswer, match="more than 8000000 values"):
        decode(ChartEnvelope.decode(b'{"data":' + data + b"}"), chart_type="line", group_by=None)


def test_oversized_envelope_metadata_counts_as_absent() -> None:
    envelope = ChartEnvelope.decode(b'{"widget_id": 7, "metadata": [' + b"[]," * 100_000 + b"0]}")
    assert (envelope.widget_id, envelope.metadata) == (7, None)


json_rows = st.lists(
    st.dictionaries(
        st.sampled_from(["time_interval", "value", "sample_count", "group", "data", "label", "id", "timestamp"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False)
        | st.text(max_size=5)
        | st.lists(st.integers()),
        max_size=5,
    ),
    max_size=5,
)


@given(json_rows, st.sampled_from(["line", "bar", "pie", "stat", "list"]), st.sampled_from([None, BY_AGENT]))
def test_arbitrary_rows_decode_to_no_more_rows_than_given(data: Any, chart_type: str, group_by: Any) -> None:
    result = chart(data, chart_type, group_by)
    assert len(result.rows) <= max(
        len(data), sum(len(row.get("data") or []) for row in data if isinstance(row.get("data"), list))
    )


@given(st.one_of(st.integers(), st.floats(), st.text(), st.booleans(), st.none()))
def test_numbers_decode_to_finite_values_or_none(value: Any) -> None:
    result = number(value)
    assert result is None or abs(result) < float("inf")


@pytest.mark.parametrize("joint", [",", " ,\n ", ", "])
def test_large_data_is_decoded_completely_in_pieces(joint: str) -> None:
    rows = [
        {"id": i, "timestamp": "2026-11-18T10:00:00Z", "value": i % 7, "note": "}, {" * (i % 3)} for i in range(60_000)
    ]
    data = "[" + joint.join(json.dumps(row) for row in rows) + "]"
    assert len(data) > 2 * chart_data.PIECE
    envelope = ChartEnvelope.decode(f'{{"chart_type": "line", "data": {data}}}'.encode())
    result = decode(envelope, chart_type="line", group_by=None).rows
    assert [row.id for row in result] == list(range(60_000))
    line_chart = ChartEnvelope.decode(f'{{"chart_type": "line", "data": {data[:-1]}, 5]}}'.encode())
    with pytest.raises(UnreadableAnswer):
        decode(line_chart, chart_type="line", group_by=None)
