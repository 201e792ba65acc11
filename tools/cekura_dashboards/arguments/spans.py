"""Stretches of time as people write them: words, days, months and intervals."""

import re
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

Span = tuple[datetime, datetime]
WORDS = (
    "15m", "24h", "7d", "30d", "today", "yesterday", "this_week", "last_week", "this_month", "last_month", "monday",
)  # fmt: skip
MONTHS = ("this_month", "last_month")
"""Of a month that is older than what the API holds, its newer part is meant."""
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
ROLLING = re.compile(r"(\d{1,5})(m|h|d|w)", re.ASCII)
UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_DAY = timedelta(days=1)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_BETWEEN = re.compile(r"\s*(?:/|\.\.\.?|\bto\b|\buntil\b|\u2013|\u2014|\s-\s)\s*", re.IGNORECASE)


def folded(text: str) -> str:
    """A word as it is looked for.

    >>> folded(" This month ")
    'this_month'
    """
    return "_".join(text.lower().split())


def is_interval(text: str) -> bool:
    """Whether two ends are given.

    >>> [is_interval(text) for text in ("2026-11-01/2026-11-08", "2026-11-01 to 2026-11-08", "today", "2026-11-01")]
    [True, True, False, False]
    """
    return len(_BETWEEN.split(text)) > 1


def interval(text: str, zone: ZoneInfo) -> Span:
    """Both ends of an interval; times without an offset are of ``zone``.

    Raises:
        ValueError: if it is none.
    """
    start, end = (datetime.fromisoformat(part) for part in _BETWEEN.split(text))
    return start if start.tzinfo else start.replace(tzinfo=zone), end if end.tzinfo else end.replace(tzinfo=zone)


def span_of(word: str, now: datetime, zone: ZoneInfo) -> Span | None:
    """What a word stands for; None for one that is not known.

    A weekday is the latest one that has begun, and with ``last_`` before it the latest that has ended.
    """
    if match := ROLLING.fullmatch(word):
        return now - int(match[1]) * UNITS[match[2]], now
    today = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    if _DATE.fullmatch(word):
        return _date(word, zone)
    day = word.removeprefix("last_")
    if day in WEEKDAYS:
        back = (today.weekday() - WEEKDAYS.index(day)) % 7
        first = today - timedelta(days=back or 7 * (word != day))
        return first, min(first + _DAY, now)
    monday, first = today - timedelta(days=today.weekday()), today.replace(day=1)
    known: dict[str, Span] = {
        "today": (today, now),
        "yesterday": (today - _DAY, today),
        "this_week": (monday, now),
        "last_week": (monday - timedelta(weeks=1), monday),
        "this_month": (first, now),
        "last_month": ((first - _DAY).replace(day=1), first),
    }
    return known.get(word)


def _date(text: str, zone: ZoneInfo) -> Span | None:
    try:
        day = date.fromisoformat(text)
        start = datetime(day.year, day.month, day.day, tzinfo=zone)
        return start, start + _DAY
    except (ValueError, OverflowError):
        return None
