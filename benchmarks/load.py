"""Concurrent calls of a real client to one server.

``python -m benchmarks.load PORT CALL AT_ONCE CALLS ERA`` prints calls a second.
"""

import sys
import time
from typing import Any

import anyio

from benchmarks.speed import MADE, Era, client_of


async def run(port: int, name: str, at_once: int, calls: int, era: Era) -> float:
    tool, arguments = MADE[name]
    share = calls // at_once
    async with client_of(port, era) as client:

        async def worker() -> None:
            for _ in range(share):
                result = await client.call_tool(tool, arguments)
                if result.is_error:
                    raise RuntimeError(result.model_dump_json())

        await client.call_tool(tool, arguments)
        begun = time.perf_counter()
        async with anyio.create_task_group() as group:
            for _ in range(at_once):
                group.start_soon(worker)
        return share * at_once / (time.perf_counter() - begun)


if __name__ == "__main__":
    era: Any = sys.argv[5]
    print(anyio.run(run, int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), era))  # noqa: T201 - its answer
