"""Charts in plain text: for a single widget, narrow, aligned, and omitted first if space is short."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cekura_dashboards.reports.render import CHART_ROWS, EIGHTHS, column_chart, pie_chart
from cekura_dashboards.summaries.model import OtherSlices, PieFacts, Series, SliceShown
from cekura_dashboards.text import UntrustedText
from support import PIE, Json, ask, open_tools, shared_sandbox

BAR: Json = {"chart_type": "bar", "field": "agent_id", "aggregation_function": "count", "time_period": "day"}


def series(values: list[float | None], measure: str = "avg") -> Series:
    return Series(measure=measure, start="2026-11-01", step="1d", value=[*values])


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("widget", "window"),
    [(BAR, "7d"), ({**BAR, "time_period": "hour"}, "29d"), ({"chart_type": "line", "field": "duration"}, "14d")],
)
async def test_a_single_time_series_is_drawn_with_axes(widget: Json, window: str) -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, answer = await ask(context, "preview_widget", widget=widget, window=window)
    chart = [line for line in text.splitlines() if re.match(r" *\S* [┤│]", line)]
    assert len(chart) == CHART_ROWS
    assert all(len(line) <= 80 for line in chart)
    values = [value for value in answer["report"]["series"]["value"] if value is not None]
    assert float(chart[0].split("┤")[0]) == max(values)
    axis = text.splitlines()[text.splitlines().index(chart[-1]) + 1]
    assert axis.split() == [answer["report"]["series"]["start"], answer["report"]["window"]["to"][:10]]
    assert "\x1b" not in text


@pytest.mark.anyio
async def test_a_single_pie_is_drawn_and_several_are_listed() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        alone, _ = await ask(context, "preview_widget", widget=PIE, window="7d")
        among, _ = await ask(context, "get_widgets_data", widget_ids=[205, 206])
    rows = [line for line in alone.splitlines() if "█" in line]
    assert len(rows) >= 6
    assert len({line.index("█") for line in rows}) == 1
    assert all(len(line) <= 80 for line in rows)
    assert "█" not in among


@pytest.mark.anyio
async def test_stat_figures_are_aligned_in_columns() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, answer = await ask(context, "get_widgets_data", widget_ids=[201])
    lines = text.splitlines()
    [head] = [line for line in lines if line.split() == ["current", "baseline", "difference"]]
    place = lines.index(head)
    for row, line in zip(answer["widgets"][0]["change"]["figures"], lines[place + 1 :], strict=False):
        assert line.split()[0] == row["figure"]
        assert float(line.split()[1]) == row["current"]
        assert line.index(line.split()[1]) + len(line.split()[1]) == head.index("current") + 7


def test_a_text_chart_is_omitted_if_it_does_not_fit() -> None:
    named = [SliceShown(UntrustedText("x" * 60), 5, 50.0), SliceShown(UntrustedText("y"), 5, 50.0)]
    assert pie_chart(PieFacts(total=10, categories=2, top=named)) == []
    assert pie_chart(PieFacts(total=0, categories=0)) == []
    assert (
        len(pie_chart(PieFacts(total=9, categories=9, top=named[1:], other=OtherSlices(categories=8, n=4, pct=4.0))))
        == 2
    )


@given(st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=60), st.sampled_from(["count", "avg"]))
def test_higher_values_are_never_drawn_lower(values: list[float | None], measure: str) -> None:
    lines = column_chart(series(values, measure), "2026-11-08")
    known = [value for value in values if value is not None]
    if len(known) < 2 or (not lines and max(len(repr(value)) for value in known) + len(values) > 70):
        assert lines == []
        return
    assert all(len(line) <= 80 for line in lines)
    start = max(line.index("┤") for line in lines if "┤" in line) + 2
    width = min(5, min(60, 80 - start) // len(values))
    heights = [
        sum((EIGHTHS.index(cell) + 1) if cell in EIGHTHS else 0 for row in lines[:CHART_ROWS] if (cell := row[start + i * width : start + i * width + 1]))
        for i in range(len(values))
    ]  # fmt: skip
    for value, height in zip(values, heights, strict=True):
        assert all(
            height <= other
            for more, other in zip(values, heights, strict=True)
            if value is not None and more is not None and more > value
        )


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("widget", "window", "ends"),
    [
        (202, "2026-11-13/2026-11-17", ["2026-11-13", "2026-11-17"]),
        (202, "last_week", ["2026-11-09", "2026-11-15"]),
        (202, "2026-11-12/now", ["2026-11-12", "2026-11-18"]),
        (208, "2026-11-16T00:00Z/2026-11-18T00:00Z", ["2026-11-16T00:00Z", "2026-11-17"]),
        (208, "2026-11-14/2026-11-17", ["2026-11-14T00:00Z", "2026-11-17"]),
    ],
)
async def test_the_axis_labels_the_first_and_last_bucket(widget: int, window: str, ends: list[str]) -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text, answer = await ask(context, "get_widgets_data", widget_ids=[widget], window=window)
    lines = text.splitlines()
    axis = next(line for above, line in pairwise(lines) if "┤" in above and "┤" not in line and "│" not in line)
    assert axis.split() == ends
    [report] = answer["widgets"]
    assert report["series"]["start"] == ends[0]


@pytest.mark.anyio
async def test_the_axis_of_months_and_local_days_labels_the_last_bucket() -> None:
    months = {"chart_type": "bar", "field": "agent_id", "aggregation_function": "count", "time_period": "month"}
    async with open_tools(shared_sandbox()) as (context, _):
        text, _ = await ask(context, "preview_widget", widget=months, window="30d")
        local, _ = await ask(
            context,
            "get_widgets_data",
            widget_ids=[202],
            window="2026-11-10/2026-11-13",
            by="local_day",
            time_zone="Tokyo",
        )
    assert re.search(r"^ +2026-10-01 +2026-11-01$", text, re.MULTILINE)
    assert re.search(r"^ +2026-11-10 +2026-11-13$", local, re.MULTILINE)
