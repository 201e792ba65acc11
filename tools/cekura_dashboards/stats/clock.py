"""The people's clock: hours, days and weekends where the calls are made."""

from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct

SATURDAY, SUNDAY = 5, 6


class Place(NamedTuple):
    """Where an instant lies on the clock. ``day``: counted from an arbitrary one; ``weekday``: Monday is 0."""

    day: int
    weekday: int
    hour: int


class Clock(Struct, frozen=True):
    """A time zone, and the weekdays that are weekend there, Monday being 0."""

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
        """0 for a day of work, 1 for one of the weekend."""
        return int(weekday in self.weekend)


UTC_CLOCK = Clock()


@lru_cache(maxsize=16384)
def _place(time: float, zone: tzinfo) -> Place:
    moment = datetime.fromtimestamp(time, zone)
    return Place(moment.toordinal(), moment.weekday(), moment.hour)
