"""Times in plain language: words, days, months and intervals; and time zones by city or IANA name."""

import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from difflib import get_close_matches
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from cekura_dashboards.api.errors import InvalidArguments
from cekura_dashboards.text import UntrustedText, join_names

Interval = tuple[datetime, datetime]
WORDS = (
    "15m", "24h", "7d", "30d", "today", "yesterday", "this_week", "last_week", "this_month", "last_month", "monday",
)  # fmt: skip
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
WEEKEND = "saturday"
"""The first day of a weekend of two days."""
ROLLING = re.compile(r"(\d{1,5})(m|h|d|w)", re.ASCII)
UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
SAME = {
    "past_week": "7d", "past_month": "30d", "last_day": "24h", "past_day": "24h", "last_hour": "1h", "past_hour": "1h",
    "current_week": "this_week", "week_to_date": "this_week", "wtd": "this_week", "current_month": "this_month",
    "month_to_date": "this_month", "mtd": "this_month", "weekend": "last_weekend", "past_weekend": "last_weekend",
    "previous_week": "last_week", "previous_month": "last_month", "previous_day": "yesterday",
}  # fmt: skip
"""Synonyms."""
NOW = "now"
_DAY = timedelta(days=1)
_COUNTS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_NUMBERS = {name: number for number, name in enumerate(_COUNTS, start=1)} | {"a": 1, "an": 1, "couple": 2}
_LENGTHS = {"min": "m", "minute": "m", "hr": "h", "hour": "h", "day": "d", "week": "w", "month": "d"}
_LENGTH = re.compile(
    rf"(?:(?:last|past)_)?(?:(\d{{1,5}})_?|(?:a_)?({'|'.join(_NUMBERS)})(?:_of)?_)({'|'.join(_LENGTHS)}|[mhdw])s?",
    re.ASCII,
)
_DURATION = re.compile(r"p(?:(\d{1,5})([dw])|t(\d{1,5})([hm]))", re.ASCII)
BACK = re.compile(r"(now|today)-(\d{1,5})([mhdw])", re.ASCII)
"""A relative time in the notation of the API's filters."""
_AGO = re.compile(rf"({'|'.join(_NUMBERS)}|\d{{1,5}})_(day|week)s?_ago", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d|\d{8}|\d{4}-w\d\d-\d", re.ASCII)
_WEEK = re.compile(r"(\d{4})-w(\d\d)", re.ASCII)
_MONTH = re.compile(r"(\d{4})-(\d\d)", re.ASCII)
_NAMED = "|".join(f"{name[:3]}(?:{name[3:]})?" for name in MONTHS)
_MONTH_NAME = re.compile(rf"(?:last_)?({_NAMED}|sept)(?:_(\d{{4}}))?", re.ASCII)
_DAY_NAME = re.compile(rf"(?:({_NAMED}|sept)_(\d\d?)|(\d\d?)_({_NAMED}|sept))(?:_(\d{{4}}))?", re.ASCII)
_ORDINAL = re.compile(r"(?<=\d)(?:st|nd|rd|th)?(?=_|$)(?:_of)?", re.ASCII)
_BETWEEN = re.compile(r"\s*(?:/|\.\.\.?|\bto\b|\buntil\b|\btill\b|\bthrough\b|\u2013|\u2014|\s-\s)\s*", re.IGNORECASE)
_AND = re.compile(r"between\s+(.+?)\s+and\s+(.+)", re.IGNORECASE)
_SINCE = re.compile(r"(?:since|from|starting)\s+", re.IGNORECASE)


def fold(text: str) -> str:
    """A word, normalized for look-up.

    >>> fold(" This month ")
    'this_month'
    """
    return "_".join(text.lower().split())


def rolling(text: str) -> str | None:
    """The length of a window that ends now; None for anything else.

    >>> rolling("7d"), rolling("the last two weeks"), rolling("past 90 min"), rolling("P7D"), rolling("last week")
    ('7d', '2w', '90m', '7d', None)
    """
    word = bare(text)
    word = SAME.get(word, word)
    if match := _DURATION.fullmatch(word):
        days, unit, time, time_unit = match.groups()
        return f"{days or time}{unit or time_unit}"
    if ROLLING.fullmatch(word):
        return word
    if (match := _LENGTH.fullmatch(word.replace("-", "_"))) is None:
        return None
    count = int(match[1]) if match[1] else _NUMBERS[match[2]]
    return f"{count * (30 if match[3] == 'month' else 1)}{_LENGTHS.get(match[3], match[3])}"


def bare(text: str) -> str:
    """A normalized word without article, comma and hyphen between letters."""
    word = re.sub(r"(?<=[a-z])-(?=[a-z])", "_", fold(text.replace(",", " ")), flags=re.ASCII)
    return word.removeprefix("in_").removeprefix("on_").removeprefix("the_")


def is_interval(text: str) -> bool:
    """Whether a text has two ends, or a start with ``since``.

    >>> texts = "2026-11-01/2026-11-08", "2026-11-01 to 2026-11-08", "since monday", "today", "2026-11-01"
    >>> [is_interval(text) for text in texts]
    [True, True, True, False, False]
    """
    if bare(text) in SAME:
        return False
    return bool(_AND.fullmatch(text.strip()) or _SINCE.match(text.strip())) or len(_BETWEEN.split(text)) > 1


def is_month(text: str) -> bool:
    """Whether a text means a month, which may be cut to the part that the API has data for."""
    word = SAME.get(bare(text), bare(text))
    return word in {"this_month", "last_month"} or bool(_MONTH.fullmatch(word) or _MONTH_NAME.fullmatch(word))


def interval(text: str, now: datetime, zone: ZoneInfo) -> Interval:
    """The interval between two ends. A date, weekday or month is included as a whole.

    An instant is an exact end; without an offset it is in ``zone``. A weekday as start is the latest before the end.

    Raises:
        ValueError: if it is not an interval.
        OverflowError: if it is outside the calendar.
    """
    text = text.strip()
    if match := _AND.fullmatch(text):
        first, last = match.groups()
    else:
        parts = _BETWEEN.split(_SINCE.sub("", text, count=1) if _SINCE.match(text) else text)
        first, last = parts if len(parts) > 1 else (parts[0], NOW)
    if match := _DURATION.fullmatch(bare(last)):
        length = ROLLING.fullmatch(rolling(last) or "")
        start = _start(first, now, now, zone)
        return start, start + (int(length[1]) * UNITS[length[2]] if length else _DAY)
    end = _end(last, now, zone)
    return _start(first, end, now, zone), end


def _start(text: str, end: datetime, now: datetime, zone: ZoneInfo) -> datetime:
    if (moment := _instant(text, now, zone)) is not None:
        return moment
    is_weekday = _weekday(bare(text)) is not None and not bare(text).startswith("last_")
    before = end - timedelta(microseconds=1) if is_weekday and end < now else now
    if (span := _end_of(text, before, zone)) is None:
        raise ValueError("the first end is not a time")
    return span[0]


def _end(text: str, now: datetime, zone: ZoneInfo) -> datetime:
    if bare(text) == NOW:
        return now
    if (moment := _instant(text, now, zone)) is not None:
        return moment
    if (span := _end_of(text, now, zone)) is None:
        raise ValueError("the second end is not a time")
    return span[1]


def _ago(match: re.Match[str]) -> int:
    """The number of days that ``N weeks ago`` and the like mean."""
    count = int(match[1]) if match[1].isdecimal() else _NUMBERS[match[1]]
    return count * (7 if match[2] == "week" else 1)


def _end_of(text: str, now: datetime, zone: ZoneInfo) -> Interval | None:
    """The interval that a word means as an end, where ``N weeks ago`` is a day."""
    match = _AGO.fullmatch(bare(text))
    return span_of(f"{_ago(match)}_days_ago" if match else text, now, zone)


def _instant(text: str, now: datetime, zone: ZoneInfo) -> datetime | None:
    """An exact end; None for a day or a longer period."""
    word = bare(text)
    if match := ROLLING.fullmatch(rolling(text) or ""):
        return now - int(match[1]) * UNITS[match[2]]
    if (match := BACK.fullmatch(word)) and match[1] == NOW:
        return now - int(match[2]) * UNITS[match[3]]
    if _DATE.fullmatch(word) or _WEEK.fullmatch(word):
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def span_of(text: str, now: datetime, zone: ZoneInfo) -> Interval | None:
    """The interval that a word means; None for an unknown word.

    A weekday is the latest that has begun; with ``last_``, the latest that has ended, as for the last weekend. A month
    or day without a year is the latest that has begun.
    """
    word = SAME.get(bare(text), bare(text))
    today = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        return _up_to_now(text, word, today, now) or _dated(word, today) or _calendar(word, today, now)
    except (ValueError, OverflowError):
        return None


def _up_to_now(text: str, word: str, today: datetime, now: datetime) -> Interval | None:
    if match := ROLLING.fullmatch(rolling(text) or ""):
        return now - int(match[1]) * UNITS[match[2]], now
    if match := BACK.fullmatch(word):
        return (now if match[1] == NOW else today) - int(match[2]) * UNITS[match[3]], now
    return None


def _weekday(word: str) -> int | None:
    """The index of a weekday; Monday is 0."""
    name = word.removeprefix("last_").removeprefix("this_").removeprefix("past_")
    return next((place for place, day in enumerate(WEEKDAYS) if name in {day, day[:3]}), None)


def _calendar(word: str, today: datetime, now: datetime) -> Interval | None:
    if (match := _AGO.fullmatch(word)) and match[2] == "day":
        first = today - _ago(match) * _DAY
        return first, first + _DAY
    if (day := _weekday(word)) is not None:
        back = (today.weekday() - day) % 7
        first = today - timedelta(days=back or 7 * word.startswith("last_"))
        return first, min(first + _DAY, now)
    monday, first = today - timedelta(days=today.weekday()), today.replace(day=1)
    saturday = monday + WEEKDAYS.index(WEEKEND) * _DAY
    intervals: dict[str, Interval] = {
        "today": (today, now),
        "yesterday": (today - _DAY, today),
        "day_before_yesterday": (today - 2 * _DAY, today - _DAY),
        "this_week": (monday, now),
        "last_week": (monday - timedelta(weeks=1), monday),
        "this_weekend": (saturday, saturday + 2 * _DAY),
        "last_weekend": (saturday - timedelta(weeks=1), monday),
        "this_month": (first, now),
        "last_month": ((first - _DAY).replace(day=1), first),
    }
    return intervals.get(word)


def _dated(word: str, today: datetime) -> Interval | None:
    """A calendar day, week or month.

    Raises:
        ValueError: if it does not exist.
    """
    word = _ORDINAL.sub("", word)
    if _DATE.fullmatch(word):
        return _days(date.fromisoformat(word.upper()), 1, today)
    if match := _WEEK.fullmatch(word):
        return _days(date.fromisocalendar(int(match[1]), int(match[2]), 1), 7, today)
    if match := _MONTH.fullmatch(word):
        return _month(int(match[1]), int(match[2]), today)
    if match := _MONTH_NAME.fullmatch(word):
        month = _number_of(match[1])
        return _month(int(match[2] or today.year - (month > today.month)), month, today)
    if match := _DAY_NAME.fullmatch(word):
        month, day = _number_of(match[1] or match[4]), int(match[2] or match[3])
        year = int(match[5] or today.year - ((month, day) > (today.month, today.day)))
        return _days(date(year, month, day), 1, today)
    return None


def _number_of(month: str) -> int:
    return next(number for number, name in enumerate(MONTHS, start=1) if name.startswith(month[:3]))


def _days(first: date, count: int, today: datetime) -> Interval:
    start = datetime(first.year, first.month, first.day, tzinfo=today.tzinfo)
    return start, start + count * _DAY


def _month(year: int, month: int, today: datetime) -> Interval:
    start = datetime(year, month, 1, tzinfo=today.tzinfo)
    return start, (start + 31 * _DAY).replace(day=1)


TIME_ZONE = "time_zone"
OFFSET = re.compile(r"(?:utc|gmt)?_?([+\u2212-])_?(\d{1,2})(?::?(\d\d))?|(?:utc|gmt)_?(\d{1,2})", re.ASCII)
CHANGES_CLOCKS = {"est", "mst"}
"""Names in the database with a fixed offset, although places with that abbreviation have daylight saving time."""
PLACES = (
    "America/Los_Angeles", "America/Denver", "America/Phoenix", "America/Chicago", "America/New_York",
    "America/Halifax", "America/St_Johns", "America/Anchorage", "Pacific/Honolulu", "America/Mexico_City",
    "America/Bogota", "America/Sao_Paulo", "America/Argentina/Buenos_Aires", "Europe/London", "Europe/Lisbon",
    "Europe/Berlin", "Europe/Paris", "Europe/Athens", "Africa/Cairo", "Africa/Lagos", "Africa/Johannesburg",
    "Africa/Nairobi", "Europe/Istanbul", "Europe/Moscow", "Asia/Riyadh", "Asia/Tehran", "Asia/Dubai", "Asia/Karachi",
    "Asia/Kolkata", "Asia/Kathmandu", "Asia/Dhaka", "Asia/Bangkok", "Asia/Jakarta", "Asia/Shanghai", "Asia/Singapore",
    "Asia/Hong_Kong", "Asia/Manila", "Australia/Perth", "Asia/Tokyo", "Asia/Seoul", "Australia/Adelaide",
    "Australia/Brisbane", "Australia/Sydney", "Pacific/Auckland", "Asia/Jerusalem", "Europe/Dublin",
    "Pacific/Pago_Pago", "Pacific/Marquesas", "America/Caracas", "America/Noronha", "Atlantic/Azores",
    "Atlantic/Cape_Verde", "Asia/Kabul", "Asia/Tashkent", "Asia/Yangon", "Australia/Eucla", "Australia/Darwin",
    "Australia/Lord_Howe", "Pacific/Noumea", "Pacific/Fiji", "Pacific/Chatham", "Pacific/Tongatapu",
    "Pacific/Kiritimati", "Pacific/Gambier",
)  # fmt: skip
"""Suggestions for an offset (one for each in use) or an abbreviation."""
MOST_OFFERED = 4
ALIKE = 0.8
"""Minimum similarity of a suggested name."""


def zone_named(text: str | None, now: datetime) -> ZoneInfo | None:
    """A time zone of the IANA database; None if none is named.

    Offsets and abbreviations are refused: they do not define daylight saving time.

    >>> from datetime import UTC
    >>> now = datetime(2026, 11, 21, tzinfo=UTC)
    >>> zone_named("los angeles", now), zone_named(None, now)
    (zoneinfo.ZoneInfo(key='America/Los_Angeles'), None)

    Raises:
        InvalidArguments: for an unknown or ambiguous name, with suggestions.
    """
    if text is None:
        return None
    key = "_".join(text.strip().casefold().split())
    zones = {name for name in _zone_names() if name.casefold() not in CHANGES_CLOCKS}
    matches = [name for name in zones if name.casefold() == key]
    matches = matches or sorted(name for name in zones if _is_place(name) and _city(name) == key)
    if len(matches) == 1:
        return ZoneInfo(matches[0])
    if matches:
        raise InvalidArguments.at(
            TIME_ZONE, f"{UntrustedText(text, limit=60)} may be several zones: {join_names(matches)}; give a full name."
        )
    if match := OFFSET.fullmatch(key):
        raise InvalidArguments.at(
            TIME_ZONE, f"{UntrustedText(text, limit=60)} is an offset from UTC; {_with_offset(match, now)}"
        )
    cities = {_city(name): name for name in sorted(zones) if _is_place(name)}
    names = {name.casefold(): name for name in zones if _is_place(name)}
    near = [(names | cities)[name] for name in get_close_matches(key, names | cities, n=1, cutoff=ALIKE)]
    suggestions = [*_abbreviated(key, now)][:MOST_OFFERED] or near
    hint = (
        f"did you mean {' or '.join(suggestions)}?" if suggestions else "give an IANA name such as America/Los_Angeles."
    )
    raise InvalidArguments.at(TIME_ZONE, f"{UntrustedText(text, limit=60)} is not a time zone; {hint}")


@cache
def _zone_names() -> frozenset[str]:
    """Of the machine's time zone database, whose folders take some 20 ms to list."""
    return frozenset(available_timezones())


def _is_place(name: str) -> bool:
    """Whether a zone is named after a place, unlike offsets and abbreviations."""
    return "/" in name and not name.startswith("Etc/")


def _city(name: str) -> str:
    return name.casefold().rpartition("/")[2]


def _with_offset(match: re.Match[str], now: datetime) -> str:
    """Places with this offset now, and the zone with this fixed offset, whose sign is inverted."""
    sign, hours, minutes, bare = match.groups()
    offset = timedelta(hours=int(hours or bare), minutes=int(minutes or 0)) * (1 if sign in {"+", None} else -1)
    if not offset:
        return "give UTC."
    offered = [name for name in PLACES if _offset(name, now) == offset][:MOST_OFFERED]
    still = f"Etc/GMT{-offset // timedelta(hours=1):+d}"
    if still in _zone_names() and _offset(still, now) == offset:
        offered.append(f"{still}, which has it all year")
    return f"give a place that has it now: {' or '.join(offered)}." if offered else "no place has it now."


def _offset(name: str, now: datetime) -> timedelta | None:
    return now.astimezone(ZoneInfo(name)).utcoffset()


def _abbreviated(abbreviation: str, now: datetime) -> Iterator[str]:
    """The places with this abbreviation in winter or summer; also for ``Pacific Standard Time`` and ``PT``."""
    if abbreviation.endswith("_time"):
        abbreviation = "".join(word[0] for word in abbreviation.split("_"))
    for place in PLACES:
        seasons = {now.replace(month=month, day=1).astimezone(ZoneInfo(place)).tzname() or "" for month in (1, 7)}
        names = {season.casefold() for season in seasons}
        if abbreviation in names | {re.sub("[sd]t$", "t", name) for name in names if len(name) == 3}:  # noqa: PLR2004 - PST
            yield place
