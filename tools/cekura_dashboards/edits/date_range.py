"""The date range that every chart needs: the API refuses one without, and one that starts more than 30 days ago."""

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cekura_dashboards.api.errors import InvalidArguments
from cekura_dashboards.api.fields import LIMIT
from cekura_dashboards.api.filters import Bounds, both, only_time, time_bounds, within
from cekura_dashboards.api.models import JsonObject
from cekura_dashboards.arguments.spans import BACK, ROLLING, UNITS, fold, interval, is_interval, rolling, span_of
from cekura_dashboards.text import UntrustedText

CLEARED = "date_range"
"""What ``clear`` names to drop a date range on purpose."""
DATE_RANGE = {"field": "timestamp", "op": "gte", "value": "today-7d"}
"""What is proposed where there is none."""
LONGEST = {"field": "timestamp", "op": "gte", "value": "today-29d"}
ADD_ONE = f"Add to filters: {json.dumps(DATE_RANGE)}"
TOO_OLD = "the date range starts before the 30 days that the API holds"
TOO_OLD_REFUSED = f"{TOO_OLD}, so it refuses the charts (400); the longest that works: {json.dumps(LONGEST)}."


def saved_range(text: str, now: datetime, zone: ZoneInfo) -> tuple[JsonObject, list[str]]:
    """A date range in words as the filter that is stored, and what is to be warned of.

    What is relative stays so: ``7d`` is saved as ``today-7d``; the API's days are those of UTC.

    >>> saved_range("24h", datetime(2026, 11, 21), ZoneInfo("UTC"))[0]
    {'field': 'timestamp', 'op': 'gte', 'value': 'now-24h'}

    Raises:
        InvalidArguments: for a text that is no stretch of time.
    """
    word = rolling(text) or fold(text)
    utc_days = [f"days are UTC days, not those of {zone}"] if now.astimezone(zone).utcoffset() else []
    if match := ROLLING.fullmatch(word):
        length = int(match[1]) * UNITS[match[2]]
        if length == LIMIT:
            why = "30 days ago begins before what the API holds by the time it is read: saved as today-29d"
            return LONGEST, [why, *utc_days]
        days = match[2] in "dw"
        return _since(f"today-{length.days}d" if days else f"now-{word}"), utc_days if days else []
    if word == "today" or BACK.fullmatch(word):
        return _since(word), [] if word.startswith("now") else utc_days
    if word == "yesterday":
        return both(_since("today-1d"), {"field": "timestamp", "op": "lte", "value": "today-1d"}), utc_days
    begins = refused = ""
    try:
        span = interval(text, now, zone) if is_interval(text) else span_of(word, now, zone)
        if span is not None:
            begins, refused = _instant(span[0]), _instant(span[0] + LIMIT)
    except (ValueError, OverflowError):
        span = None
    if span is None:
        hint = "use 7d, 24h, today, yesterday, 30d or an interval 2026-11-01/2026-11-08."
        raise InvalidArguments.at(CLEARED, f"{UntrustedText(text, limit=60)} is not a date range; {hint}")
    fixed = f"the date range is fixed: it begins at {begins} and does not move on with time, as 7d would"
    return (
        _since(begins) if span[1] == now else within(*span),
        [f"{fixed}; from {refused} the API refuses the charts (400)"],
    )


def _instant(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _since(value: str) -> JsonObject:
    return {"field": "timestamp", "op": "gte", "value": value}


def is_too_old(bounds: Bounds, now: datetime) -> bool:
    """Whether it starts before what the API holds; one without a start does not."""
    return bounds.start is not None and bounds.start < now - LIMIT


def goes_too_far_back(before: Bounds, after: Bounds, now: datetime) -> bool:
    """Whether a change of filters makes the date range start too long ago."""
    return is_too_old(after, now) and before.start != after.start


def is_lost(before: Bounds, after: Bounds) -> bool:
    """Whether a change of filters leaves a chart without a date range."""
    return before.start is not None and after.start is None


def date_range_loss(what: str, filters: JsonObject | None, now: datetime) -> str:
    """What is wrong with dropping the date range of ``filters``, and how to keep it."""
    own = only_time(filters)
    bounds = time_bounds(own, now)
    suggestion = own if bounds.start is not None and not is_too_old(bounds, now) else DATE_RANGE
    return (
        f"leaves {what} without a date range, and the API refuses such charts (400). Keep one in filters: "
        f"{json.dumps(both(suggestion))}; or, to drop it all the same, put {CLEARED} into clear."
    )


def no_date_range(*, on_dashboard: bool) -> str:
    """The warning that a chart saved without any lower time bound answers 400, and the filter that mends it."""
    subject = (
        "neither the widget nor its dashboard has a date range" if on_dashboard else "the widget has no date range"
    )
    unless = "" if on_dashboard else " unless its dashboard has one"
    return f"{subject}; saved like this, the API refuses the chart (400){unless}. {ADD_ONE}"
