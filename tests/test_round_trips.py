"""Latency in round trips: how many successive requests a call needs, and that none is repeated."""

from collections import Counter

import pytest
from benchmarks.trips import BAR, InRounds, rounds_of
from benchmarks.trips import TRIPS as MEASURED

from cekura_dashboards.context import Memory
from support import BY_NAME, KEY, PIE, Json, new_sandbox, now, sample_calls, shared_sandbox

pytestmark = pytest.mark.anyio
MAX_TRIPS = 5
"""The maximum for reading calls."""
TRIPS = [
    *MEASURED,
    *((tool, arguments, MAX_TRIPS) for tool, arguments in sample_calls([tool for tool, *_ in MEASURED], writes=False)),
]


async def counted(tool: str, arguments: Json, memory: Memory | None = None) -> InRounds:
    """The requests and round trips of one call on a sandbox."""
    app = new_sandbox() if BY_NAME[tool].writes else shared_sandbox()
    return await rounds_of(app, KEY, tool, arguments, memory or Memory(0), now)


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("tool", "arguments", "max_trips"), TRIPS, ids=[f"{i}-{case[0]}" for i, case in enumerate(TRIPS)]
)
async def test_calls_take_few_round_trips_without_duplicate_requests(
    tool: str, arguments: Json, max_trips: int
) -> None:
    result = await counted(tool, arguments)
    assert [text for text, count in Counter(result.sent).items() if count > 1] == []
    assert result.trips <= max_trips, result.sent


WRITES: list[tuple[str, Json]] = [
    ("update_widget", {"widget_id": 203, "changes": {"aggregation_function": "count"}}),
    ("bulk_edit_dashboard", {"dashboard_id": 11, "create": [BAR, PIE], "update": [{"id": 203, "name": "New"}]}),
    ("create_dashboard", {"name": "New", "widgets": [BAR], "project_id": 1}),
    ("create_dashboard", {"name": "New", "copy_of": 11}),
    ("update_dashboard", {"dashboard_id": 11, "name": "New"}),
    ("delete_dashboard", {"dashboard_id": 11}),
    ("copy_widgets", {"widget_ids": [203, 205], "dashboard_ids": [12, 13]}),
]
WRITES.extend(sample_calls([tool for tool, _ in WRITES], writes=True))


@pytest.mark.parametrize(("tool", "arguments"), WRITES, ids=[f"{i}-{case[0]}" for i, case in enumerate(WRITES)])
async def test_edits_send_no_duplicate_requests(tool: str, arguments: Json) -> None:
    result = await counted(tool, arguments)
    assert [text for text, count in Counter(result.sent).items() if count > 1] == []


def test_every_tool_is_counted() -> None:
    assert {tool for tool, *_ in [*TRIPS, *WRITES]} == set(BY_NAME)


async def test_names_are_cached_and_data_is_always_read() -> None:
    memory, call = Memory(60), ("get_widgets_data", {"dashboard_id": 11, "window": "30d"})
    first, second = [await counted(*call, memory=memory) for _ in "ab"]
    remaining = Counter(first.sent) - Counter(second.sent)
    assert sorted(text.split()[1] for text in remaining) == ["/test_framework/v2/aiagents/", "/user/v1/projects/"]
    assert not Counter(second.sent) - Counter(first.sent)
    await counted("look_up", {"kind": "predefined_widgets"}, memory=memory)
    assert Counter((await counted(*call, memory=memory)).sent) == Counter(first.sent)
