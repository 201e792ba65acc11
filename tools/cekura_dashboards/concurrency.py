"""Concurrency: requests awaited together, and slow work in threads."""

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any, TypeVar, overload

import anyio
import anyio.to_thread

from cekura_dashboards.api.errors import DashboardsError

T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
MAX_CONCURRENT = 20
"""Requests under way for one call: enough for a dashboard of a dozen charts to be read in one round trip."""


async def each(items: Sequence[T], do: Callable[[T], Coroutine[Any, Any, None]]) -> None:
    """Run ``do`` for all items concurrently."""
    if len(items) == 1:
        await do(items[0])
        return
    async with anyio.create_task_group() as group:
        for item in items:
            group.start_soon(do, item)


async def gather_by_id(
    numbers: Iterable[int], get: Callable[[int], Awaitable[T]]
) -> tuple[dict[int, T], dict[int, DashboardsError]]:
    """The results by number, at most ``MAX_CONCURRENT`` at once, and the errors of those that fail."""
    results, failed = dict[int, T](), dict[int, DashboardsError]()
    limiter = anyio.CapacityLimiter(MAX_CONCURRENT)

    async def one(number: int) -> None:
        try:
            async with limiter:
                results[number] = await get(number)
        except DashboardsError as error:
            failed[number] = error

    await each([*numbers], one)
    return results, failed


async def in_thread(work: Callable[..., T], *args: Any, small: bool) -> T:
    """The result of ``work``, run in a thread unless it is small, so that other calls are not blocked."""
    return work(*args) if small else await anyio.to_thread.run_sync(work, *args)


async def gather_tried(work: Iterable[Awaitable[T]]) -> tuple[dict[int, T], dict[int, DashboardsError]]:
    """The results by place, all awaited at once, and the errors of those that fail."""
    awaitables, results, failed = [*work], dict[int, T](), dict[int, DashboardsError]()

    async def one(place: int) -> None:
        try:
            results[place] = await awaitables[place]
        except DashboardsError as error:
            failed[place] = error

    await each(range(len(awaitables)), one)
    return results, failed


async def gather_all(work: Iterable[Awaitable[T]]) -> list[T]:
    """The results in order, all awaited at once.

    Raises:
        DashboardsError: the first in order, once all have ended.
    """
    results, failed = await gather_tried(work)
    if failed:
        raise failed[min(failed)]
    return [results[place] for place in range(len(results))]


@overload
async def gather(first: Awaitable[T1], second: Awaitable[T2], /) -> tuple[T1, T2]: ...
@overload
async def gather(first: Awaitable[T1], second: Awaitable[T2], third: Awaitable[T3], /) -> tuple[T1, T2, T3]: ...
async def gather(*work: Awaitable[Any]) -> tuple[Any, ...]:
    """The results of different kinds, each with its type, awaited at once; raises like ``gather_all``."""
    return tuple(await gather_all(work))
