"""Callers who come, leave and are stopped at any moment: nobody takes more than its share, and no place stays taken."""

import random
from collections import Counter
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from cekura_dashboards_mcp.web.middleware import SHARE, ConcurrencyLimit
from support import HANGS_S, Json

CALLERS, MOST, MOST_PER_KEY = 300, 60, 20
KEYS = ["one", "another", "a third"]
NOW_AND_THEN = 0.3


class World:
    """Calls that take a few turns of the event loop, and whoever makes them."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - no secret
        self.room = ConcurrencyLimit(self.app, MOST, MOST_PER_KEY)
        self.running, self.answered, self.over = Counter[str](), 0, anyio.Event()

    async def some_turns(self, most: int) -> None:
        for _ in range(self.chance.randrange(most)):
            await anyio.lowlevel.checkpoint()

    async def app(self, scope: Any, _receive: Any, _send: Any) -> None:
        key: str = scope["key"]
        self.running[key] += 1
        try:
            if scope["stays"]:
                await self.over.wait()
                return
            assert self.running[key] <= SHARE
            await self.some_turns(4)
            self.answered += 1
        finally:
            self.running[key] -= 1

    async def stay(self, key: str) -> None:
        """Be under way with one call all the time, so that what the room knows of the key stays."""
        await self._ask(key, never_leaves, stays=True)

    async def _ask(self, key: str, receive: Any, *, stays: bool = False) -> None:
        headers = [(b"x-cekura-api-key", key.encode())]
        await self.room({"type": "http", "headers": headers, "key": key, "stays": stays}, receive, forget)

    async def call(self, key: str) -> None:
        leaves, waiting = self.chance.random() < NOW_AND_THEN, [b"{}"]

        async def receive() -> Json:
            if waiting:
                return {"type": "http.request", "body": waiting.pop()}
            if not leaves:
                await anyio.sleep_forever()
            await self.some_turns(6)
            return {"type": "http.disconnect"}

        async def stop(calling: anyio.CancelScope) -> None:
            await self.some_turns(8)
            calling.cancel()

        async with anyio.create_task_group() as group:
            if self.chance.random() < NOW_AND_THEN:
                group.start_soon(stop, group.cancel_scope)
            await self._ask(key, receive)


async def never_leaves() -> Json:
    return {"type": "http.request", "body": b"{}"}


async def forget(_message: Any) -> None:
    """Nobody reads the answer."""


@pytest.mark.anyio
@pytest.mark.parametrize("seed", range(20))
async def test_no_place_stays_taken_whoever_leaves_and_is_stopped(seed: int) -> None:
    world = World(seed)
    with anyio.fail_after(HANGS_S):
        async with anyio.create_task_group() as staying:
            for key in KEYS:
                staying.start_soon(world.stay, key)
            async with anyio.create_task_group() as group:
                for _ in range(CALLERS):
                    group.start_soon(world.call, world.chance.choice(KEYS))
                    await world.some_turns(3)
            limiters: dict[bytes, anyio.CapacityLimiter] = vars(world.room)["_limiters"]
            assert [limiter.borrowed_tokens for limiter in limiters.values()] == [1] * len(KEYS)
            world.over.set()
    assert world.answered > CALLERS // 4
    assert not vars(world.room)["_under_way"]
    assert not vars(world.room)["_limiters"]
