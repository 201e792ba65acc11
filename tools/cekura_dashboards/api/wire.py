"""What passes between the client and whatever carries its requests, and what it costs: counted where it happens."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from msgspec import Struct
from pydantic import SecretStr

MAX_BODY_BYTES = 96 * 2**20
SMALLER = "Ask for a narrower window, or plot a bar instead of a line"


class Response(Struct, frozen=True):
    """A response, its body read whole."""

    status: int
    body: bytes | bytearray
    content_type: str = ""
    retry_after: str | None = None
    date: str | None = None


class Transport(Protocol):
    """Sends one request and returns the answer, whatever its status.

    Raises:
        Unreachable: if there is none.
        UnreadableAnswer: if it is larger than the cap.
    """

    async def send(
        self,
        method: str,
        path: str,
        *,
        key: SecretStr,
        timeout_s: float,
        query: dict[str, str],
        body: bytes | None,
    ) -> Response: ...

    async def aclose(self) -> None: ...


_counting: ContextVar["Usage | None"] = ContextVar("usage", default=None)


@dataclass
class Usage:
    """Counts of one call. ``trips``: how often it had to wait for the API; requests under way together are one.

    ``bytes``: of the bodies of all answers, unpacked.
    """

    requests: int = 0
    retries: int = 0
    trips: int = 0
    bytes: int = 0
    points: int = 0
    cache_hits: int = 0
    _under_way: int = 0

    def begin(self) -> None:
        """A request goes out."""
        self.requests += 1
        self.trips += not self._under_way
        self._under_way += 1

    def end(self) -> None:
        """It was answered, or given up."""
        self._under_way -= 1


def usage() -> Usage:
    """The counts of the call that this is part of; outside of one, counts that nobody reads."""
    return _counting.get() or Usage()


@contextmanager
def count_usage() -> Generator[Usage]:
    """Count what is done inside; inside of another, both count the same.

    >>> with count_usage() as counts:
    ...     usage().begin()
    >>> counts.requests, counts.trips, usage().requests
    (1, 1, 0)
    """
    token = _counting.set(counts := _counting.get() or Usage())
    try:
        yield counts
    finally:
        _counting.reset(token)
