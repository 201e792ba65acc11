"""When to ask again, and after how long: never past the deadline, never a write that may have arrived."""

import random
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import anyio

from cekura_dashboards.api.errors import ApiFault, ConnectionBroken, DashboardsError, NotSent, RateLimited
from cekura_dashboards.api.wire import Response

if TYPE_CHECKING:
    from tenacity import RetryCallState

MAX_ATTEMPTS = 4
FIRST_WAIT_S = 0.25
MAX_WAIT_S = 4.0
MAX_RETRY_AFTER_S = 20.0
"""A longer ``Retry-After`` is not waited out: the error says how long to wait."""
MAX_PAUSE_S = 300.0
"""A longer ``Retry-After`` counts as this: one absurd answer must not lock a key out."""
PASSING_FAULTS = {502, 503, 504}

_SECONDS = re.compile(r"\d+(\.\d*)?", re.ASCII)
Sleep = Callable[[float], Awaitable[None]]


PAUSE_S = 1.0
"""After a 429 that does not say for how long."""


@dataclass
class Pace:
    """The API's last rate limit for a key: all calls with that key heed it, not only the one that received it."""

    _until: float = 0.0

    def wait_turn(self) -> None:
        """Ask for nothing while the API wants a pause.

        Raises:
            RateLimited: with what is left of it, a little more for each caller, so that not all ask again at once.
        """
        remaining = self._until - anyio.current_time()
        if remaining > 0:
            raise RateLimited(min(remaining * random.uniform(1, 1.25), MAX_PAUSE_S))  # noqa: S311 - jitter

    def pause(self, wait_s: float | None) -> None:
        self._until = max(self._until, anyio.current_time() + (PAUSE_S if wait_s is None else wait_s))


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Seconds to wait by a ``Retry-After`` header, in seconds or as a date, at most five minutes.

    None if it is absent or unreadable; 0 for a date that is over.

    >>> from datetime import datetime, UTC
    >>> now = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    >>> retry_after_s("7", now), retry_after_s("Sat, 21 Nov 2026 12:01:00 GMT", now), retry_after_s("soon", now)
    (7.0, 60.0, None)
    """
    if header is None:
        return None
    text = header.strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), MAX_PAUSE_S)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - now).total_seconds()), MAX_PAUSE_S)


def is_worth_retrying(error: BaseException, *, safe: bool) -> bool:
    """``safe``: asking twice changes nothing, as for reads."""
    if isinstance(error, NotSent | RateLimited):
        return True
    return safe and (
        isinstance(error, ConnectionBroken) or (isinstance(error, ApiFault) and error.status in PASSING_FAULTS)
    )


async def with_retries(
    first: DashboardsError,
    attempt: Callable[[], Awaitable[Response]],
    *,
    safe: bool,
    remaining_s: Callable[[], float],
    sleep: Sleep,
) -> Response:
    """Run ``attempt`` until it succeeds, is not worth repeating, or the next wait would outlast the deadline.

    ``first``: the error of the first attempt, which was made already.
    """
    if not is_worth_retrying(first, safe=safe):
        raise first
    failed = [first]
    import tenacity  # noqa: PLC0415 - what succeeds at once, as nearly everything does, needs none of it

    async def again() -> Response:
        """The attempt that failed counts as the first."""
        if failed:
            raise failed.pop()
        return await attempt()

    def wait(state: "RetryCallState") -> float:
        error = state.outcome.exception() if state.outcome else None
        requested = error.wait_s if isinstance(error, RateLimited | ApiFault) else None
        if requested is not None:
            return requested
        ceiling = min(MAX_WAIT_S, FIRST_WAIT_S * 2 ** (state.attempt_number - 1))
        return random.uniform(ceiling / 2, ceiling)  # noqa: S311 - jitter

    def stop(state: "RetryCallState") -> bool:
        upcoming = state.upcoming_sleep
        return state.attempt_number >= MAX_ATTEMPTS or upcoming > min(MAX_RETRY_AFTER_S, remaining_s())

    retrying = tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception(lambda error: is_worth_retrying(error, safe=safe)),
        wait=wait,
        stop=stop,
        sleep=sleep,
        reraise=True,
    )
    return await retrying(again)
