"""Callers that disconnect or are cancelled at any moment: each keeps to its share, and every slot is released."""

import random
from collections import Counter
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from cekura_dashboards_mcp.web.middleware import SHARE, ConcurrencyLimit
from support import TIMEOUT_S, Json

CALLERS, MAX_CALLS, MAX_CALLS_PER_KEY = 300, 60, 20
KEYS = ["one", "another", "a third"]
DISCONNECT_PROBABILITY = 0.3


class SimulatedApp:
    """An app whose calls take a few turns of the event loop, and its callers."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - no secret
        self.limit = ConcurrencyLimit(self.app, MAX_CALLS, MAX_CALLS_PER_KEY)
        self.running, self.answered, self.finished = Counter[str](), 0, anyio.Event()

    async def yield_turns(self, most: int) -> None:
        for _ in range(self.random.randrange(most)):
            await anyio.lowlevel.checkpoint()

    async def app(self, scope: Any, _receive: Any, _send: Any) -> None:
        key: str = scope["key"]
        self.running[key] += 1
        try:
            if scope["stays"]:
                await self.finished.wait()
                return
            assert self.running[key] <= SHARE
            await self.yield_turns(4)
            self.answered += 1
        finally:
            self.running[key] -= 1

    async def stay(self, key: str) -> None:
        """Keep one call in flight, so that the limiter of this key stays in memory."""
        await self._ask(key, stay_connected, stays=True)

    async def _ask(self, key: str, receive: Any, *, stays: bool = False) -> None:
        headers = [(b"x-cekura-api-key", key.encode())]
        await self.limit({"type": "http", "headers": headers, "key": key, "stays": stays}, receive, discard)

    async def call(self, key: str) -> None:
        leaves, waiting = self.random.random() < DISCONNECT_PROBABILITY, [b"{}"]

        async def receive() -> Json:
            if waiting:
                return {"type": "http.request", "body": waiting.pop()}
            if not leaves:
                await anyio.sleep_forever()
            await self.yield_turns(6)
            return {"type": "http.disconnect"}

        async def stop(calling: anyio.CancelScope) -> None:
            await self.yield_turns(8)
            calling.cancel()

        async with anyio.create_task_group() as group:
            if self.random.random() < DISCONNECT_PROBABILITY:
                group.start_soon(stop, group.cancel_scope)
            await self._ask(key, receive)


async def stay_connected() -> Json:
    return {"type": "http.request", "body": b"{}"}


async def discard(_message: Any) -> None:
    """Discard a message of the answer."""


@pytest.mark.anyio
@pytest.mark.parametrize("seed", range(20))
async def test_disconnected_and_cancelled_callers_release_their_slots(seed: int) -> None:
    simulated = SimulatedApp(seed)
    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as staying:
            for key in KEYS:
                staying.start_soon(simulated.stay, key)
            async with anyio.create_task_group() as group:
                for _ in range(CALLERS):
                    group.start_soon(simulated.call, simulated.random.choice(KEYS))
                    await simulated.yield_turns(3)
            limiters: dict[bytes, anyio.CapacityLimiter] = vars(simulated.limit)["_limiters"]
            assert [limiter.borrowed_tokens for limiter in limiters.values()] == [1] * len(KEYS)
            simulated.finished.set()
    assert simulated.answered > CALLERS // 4
    assert not vars(simulated.limit)["_under_way"]
    assert not vars(simulated.limit)["_limiters"]
