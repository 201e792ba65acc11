"""Windows, aligned buckets, and the local clock: hours, days and weekends. Times are seconds since 1970 UTC."""

import math
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct

MINUTE, HOUR, DAY, WEEK = 60, 3600, 86400, 604800
MONDAY = 4 * DAY
"""The first Monday after the epoch: weeks begin on it."""
STEPS = {
    "5m": 5 * MINUTE, "15m": 15 * MINUTE, "1h": HOUR, "3h": 3 * HOUR, "6h": 6 * HOUR, "12h": 12 * HOUR,
    "1d": DAY, "2d": 2 * DAY, "3d": 3 * DAY, "1w": WEEK, "2w": 2 * WEEK,
}  # fmt: skip
PERIODS = {"hour": "1h", "day": "1d", "week": "1w"}


class Span(Struct, frozen=True):
    """The half-open requested window ``[start, end)``; ``end`` is never later than now."""

    start: float
    end: float
    zone: str = "Z"
    """The suffix of times of this span; empty for the API's local times."""


def iso(seconds: float, *, step: int = 1, zone: str = "Z") -> str:
    """An instant: the date alone for steps of whole days, else to the minute or second.

    >>> iso(0), iso(0, step=DAY), iso(61)
    ('1970-01-01T00:00Z', '1970-01-01', '1970-01-01T00:01:01Z')
    """
    moment = datetime.fromtimestamp(seconds, UTC)
    if step % DAY == 0 and seconds % DAY == 0:
        return moment.strftime("%Y-%m-%d")
    return moment.strftime("%Y-%m-%dT%H:%M:%S" if int(seconds) % MINUTE else "%Y-%m-%dT%H:%M") + zone


def moment_of(text: str) -> datetime:
    """The inverse of ``iso``; UTC without a zone.

    >>> moment_of(iso(0)) == moment_of("1970-01-01")
    True
    """
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def floor_to(seconds: float, step: int, origin: float = MONDAY) -> float:
    """The start of the bucket that holds this instant."""
    return origin + math.floor((seconds - origin) / step) * step


def origin_of(span: Span, step: int) -> float:
    """The origin of buckets of this step: Monday for weeks, the window's first day for 2d and 3d, else the hour."""
    return floor_to(span.start, DAY) if step in {2 * DAY, 3 * DAY} else MONDAY


def choose_step(span: Span, points: int, least: int = 0) -> str:
    """The shortest step, of at least ``least`` seconds, that cuts the window into at most ``points`` buckets.

    >>> choose_step(Span(0, 7 * DAY), 30), choose_step(Span(0, 30 * DAY), 12), choose_step(Span(0, DAY), 1)
    ('6h', '3d', '1d')
    """
    fitting = [name for name, step in STEPS.items() if step >= least and len(starts(span, step)) <= points]
    return fitting[0] if fitting else next(reversed(STEPS))


def starts(span: Span, step: int) -> list[float]:
    """The start of every bucket that overlaps the window."""
    first = floor_to(span.start, step, origin_of(span, step))
    count = max(0, math.ceil((span.end - first) / step))
    return [first + i * step for i in range(min(count, 100_000))]


def is_partial(start: float, step: float, span: Span) -> bool:
    """Whether the window, or now, cuts the bucket."""
    return start < span.start or start + step > span.end


def later(start: str, step: str, count: int) -> str:
    """The start of the bucket this many steps later, in the same format.

    >>> later("2026-11-21", "1d", 4), later("2026-11-21T18:00Z", "6h", 1), later("2026-11-01", "1mo", 2)
    ('2026-11-25', '2026-11-22T00:00Z', '2027-01-01')
    """
    if step not in STEPS:
        months = int(start[:4]) * 12 + int(start[5:7]) - 1 + count
        return f"{months // 12:04d}-{months % 12 + 1:02d}{start[7:]}"
    zone = start[len(start.rstrip("Z")) :]
    moment = datetime.fromisoformat(start.rstrip("Z")) + timedelta(seconds=count * STEPS[step])
    return moment.strftime("%Y-%m-%d" if len(start) == len("2026-11-21") else "%Y-%m-%dT%H:%M") + zone


def next_month(seconds: float) -> float:
    """The start of the month after the one that holds this instant."""
    moment = datetime.fromtimestamp(seconds, UTC)
    year, month = (moment.year + 1, 1) if moment.month == 12 else (moment.year, moment.month + 1)  # noqa: PLR2004 - months
    return datetime(year, month, 1, tzinfo=UTC).timestamp()


SATURDAY, SUNDAY = 5, 6


class Place(NamedTuple):
    """The position of an instant on a clock. ``day``: from an arbitrary origin; ``weekday``: Monday is 0."""

    day: int
    weekday: int
    hour: int


class Clock(Struct, frozen=True):
    """A time zone and its weekend days, with Monday as 0."""

    zone: tzinfo = UTC
    weekend: frozenset[int] = frozenset({SATURDAY, SUNDAY})

    def place(self, time: float) -> Place:
        """The day, weekday and hour of an instant, in seconds since 1970.

        >>> Clock().place(2 * 86400.0 + 3600)
        Place(day=719165, weekday=5, hour=1)
        """
        return _place(time, self.zone)

    def is_weekend(self, time: float) -> bool:
        """Whether an instant lies in a weekend.

        >>> Clock().is_weekend(0.0), Clock().is_weekend(2 * 86400.0)
        (False, True)
        """
        return self.place(time).weekday in self.weekend

    def kind(self, weekday: int) -> int:
        """0 for a working day, 1 for a weekend day."""
        return int(weekday in self.weekend)


UTC_CLOCK = Clock()


def day_starts(start: float, end: float, clock: Clock) -> list[float]:
    """The start of every local day that overlaps an interval, in seconds since 1970, also around clock changes.

    >>> day_starts(0.0, 90000.0, Clock())
    [0.0, 86400.0]
    """
    first = datetime.fromtimestamp(start, clock.zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    starts = [first.timestamp()]
    while (following := first.replace(tzinfo=None) + timedelta(days=len(starts))).replace(
        tzinfo=clock.zone
    ).timestamp() < end:
        starts.append(following.replace(tzinfo=clock.zone).timestamp())
    return starts


@lru_cache(maxsize=16384)
def _place(time: float, zone: tzinfo) -> Place:
    moment = datetime.fromtimestamp(time, zone)
    return Place(moment.toordinal(), moment.weekday(), moment.hour)
