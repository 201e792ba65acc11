"""Lines of many calls: the fast path for uniform rows gives the same results as the general one."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cekura_dashboards.api.chart_data import ChartEnvelope, decode
from cekura_dashboards.api.models import WidgetConfig
from cekura_dashboards.charts.rows import MIN_UNIFORM, TimeParser
from cekura_dashboards.charts.target import ChartReading, Target, Window
from cekura_dashboards.reports.report import ReportOptions, report
from support import Json

END = datetime(2026, 11, 18, 15, 30, tzinfo=UTC)
LINE = WidgetConfig(chart_type="line", field="duration")


def facts_of(rows: list[Json], *, days: float) -> Any:
    envelope = ChartEnvelope.decode(msgspec.json.encode({"chart_type": "line", "data": rows}))
    window = Window(END - timedelta(days=days), END, "asked")
    chart = decode(envelope, chart_type="line", group_by=None)
    return report(ChartReading(Target(LINE, {}), window, chart), ReportOptions(30)).model_dump()


times = st.integers(-3600 * 8, 3600 * 30).map(lambda s: END - timedelta(days=1) + timedelta(seconds=s))
values = st.none() | st.floats(0, 1000) | st.integers(0, 50)


@given(st.lists(st.tuples(times, values), min_size=MIN_UNIFORM, max_size=80), st.sampled_from([0.5, 1.0, 3.0]))
def test_fast_and_general_paths_give_equal_results(calls: list[tuple[datetime, Any]], days: float) -> None:
    def rows(last: str) -> list[Json]:
        suffixes = ["Z"] * (len(calls) - 1) + [last]
        return [
            {"id": i, "timestamp": t.isoformat()[:19] + suffix, "value": v}
            for i, ((t, v), suffix) in enumerate(zip(calls, suffixes, strict=True))
        ]

    assert facts_of(rows("Z"), days=days) == facts_of(rows("+00:00"), days=days)


moments = st.datetimes(datetime(1890, 1, 1), datetime(2210, 1, 1))  # noqa: DTZ001 - the offset follows
FORMS = ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S.%f+05:30", "%Y-%m-31T%H:%M:%S-08:00", "%Y-%m-%d"]


@given(st.lists(moments, min_size=MIN_UNIFORM, max_size=60), st.sampled_from(FORMS), st.booleans())
def test_uniform_times_are_parsed_like_single_ones(moments_drawn: list[datetime], form: str, wall: bool) -> None:  # noqa: FBT001 - drawn
    texts = [moment.strftime(form).rjust(len(moments_drawn[0].strftime(form)), "0") for moment in moments_drawn]
    together, alone = TimeParser(), TimeParser()
    read = together.parse_all(texts, wall=wall).tolist()
    each = [alone.parse(text, wall=wall) for text in texts]
    assert read == pytest.approx([math.nan if time is None else time for time in each], abs=1e-5, nan_ok=True)
    assert (together.bare, together.offsets) == (alone.bare, alone.offsets)


def test_mixed_time_and_value_formats_are_parsed_individually() -> None:
    rows: list[Json] = [
        {"id": 1, "timestamp": "2026-11-18T10:00:00Z", "value": 1.0},
        {"id": 2, "timestamp": "2026-11-18T12:00:00+02:00", "value": "3"},
        {"id": 3, "timestamp": "2026-11-18T10:30:00", "value": True},
        {"id": 4, "timestamp": 5, "value": 1},
        {"id": 5, "timestamp": "2026-11-18T10:30:00Z", "value": "NaN"},
    ]
    result = facts_of(rows, days=1)
    assert (result["n"], result["facts"]["max"][2]) == (3, 2)
    assert any("without a readable time" in text for text in result["notes"])
    assert any("without an offset" in text for text in result["notes"])


@pytest.mark.parametrize("value", [[], [1], [[2]], {}, {"a": 1}])
@pytest.mark.parametrize("count", [1, 3])
def test_calls_with_non_numeric_values_are_excluded(value: Any, count: int) -> None:
    rows = [{"id": i, "timestamp": "2026-11-18T10:00:00Z", "value": value} for i in range(count)]
    good = {"id": 9, "timestamp": "2026-11-18T11:00:00Z", "value": 4}
    assert facts_of(rows, days=1)["n"] == 0
    assert facts_of([*rows, good], days=1)["n"] == 1
