"""The depth of calls from a tool to the API: few functions between registration and transport."""

from collections.abc import Iterator
from inspect import currentframe
from types import FrameType
from typing import Any

import pytest
from benchmarks.trips import TRIPS

from cekura_dashboards.api.transport import HttpTransport
from cekura_dashboards.api.wire import Response
from support import Json, connect, shared_sandbox

pytestmark = pytest.mark.anyio
MAX_FUNCTIONS = {"preview_widget": 8, "get_widgets_data": 9}
READS = [(tool, arguments) for tool, arguments, _ in TRIPS if tool in MAX_FUNCTIONS]


def own_functions(frame: FrameType | None) -> Iterator[str]:
    """Functions of this project that await this one, the nearest first."""
    while frame is not None:
        module = frame.f_globals["__name__"]
        if module.startswith("cekura_dashboards"):
            yield f"{module}.{frame.f_code.co_name}"
        frame = frame.f_back


@pytest.mark.parametrize(("tool", "arguments"), READS, ids=[f"{i}-{case[0]}" for i, case in enumerate(READS)])
async def test_the_call_stack_from_tool_to_transport_is_short(
    tool: str, arguments: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways, send = list[list[str]](), HttpTransport.send

    async def recorded(transport: HttpTransport, method: str, path: str, **options: Any) -> Response:
        this = currentframe()
        ways.append([*own_functions(this and this.f_back)])
        return await send(transport, method, path, **options)

    monkeypatch.setattr(HttpTransport, "send", recorded)
    async with connect(shared_sandbox()) as client:
        assert not (await client.call_tool(tool, arguments)).is_error
    assert ways
    assert max(map(len, ways)) <= MAX_FUNCTIONS[tool], max(ways, key=len)
