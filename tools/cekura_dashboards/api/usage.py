"""What a call takes: requests, retries, round trips, bytes, points, what was remembered; counted where it happens."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

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
