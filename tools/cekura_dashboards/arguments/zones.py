"""Time zones as people name them: ``America/Los_Angeles``, or the city alone."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from difflib import get_close_matches
from zoneinfo import ZoneInfo, available_timezones

from cekura_dashboards.api.errors import InvalidArguments
from cekura_dashboards.text import UntrustedText, join_names

NAME = "time_zone"
OFFSET = re.compile(r"(?:utc|gmt)?_?([+\u2212-])_?(\d{1,2})(?::?(\d\d))?|(?:utc|gmt)_?(\d{1,2})", re.ASCII)
CHANGES_CLOCKS = {"est", "mst"}
"""Names of the database that stand still all year, while the places that are called so change their clocks."""
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
"""What is offered for an offset, each that is in use among them, or an abbreviation."""
MOST_OFFERED = 4
ALIKE = 0.8
"""Names that are less alike are of other places."""


def zone_named(text: str | None, default: ZoneInfo, now: datetime) -> ZoneInfo:
    """A time zone of the IANA database. An offset or an abbreviation is none, as places that share it change clocks.

    >>> from datetime import UTC
    >>> now = datetime(2026, 11, 21, tzinfo=UTC)
    >>> zone_named("los angeles", ZoneInfo("UTC"), now).key, zone_named(None, ZoneInfo("UTC"), now).key
    ('America/Los_Angeles', 'UTC')

    Raises:
        InvalidArguments: for a name that none or several have, with those that are meant.
    """
    if text is None:
        return default
    key = "_".join(text.strip().casefold().split())
    zones = {name for name in available_timezones() if name.casefold() not in CHANGES_CLOCKS}
    matches = [name for name in zones if name.casefold() == key]
    matches = matches or sorted(name for name in zones if _is_place(name) and _city(name) == key)
    if len(matches) == 1:
        return ZoneInfo(matches[0])
    if matches:
        raise InvalidArguments.at(
            NAME, f"{UntrustedText(text, limit=60)} is several zones: {join_names(matches)}; give one whole."
        )
    if match := OFFSET.fullmatch(key):
        raise InvalidArguments.at(
            NAME, f"{UntrustedText(text, limit=60)} is an offset from UTC; {_with_offset(match, now)}"
        )
    cities = {_city(name): name for name in sorted(zones) if _is_place(name)}
    names = {name.casefold(): name for name in zones if _is_place(name)}
    near = [(names | cities)[name] for name in get_close_matches(key, names | cities, n=1, cutoff=ALIKE)]
    meant = [*_called(key, now)][:MOST_OFFERED] or near
    hint = f"did you mean {' or '.join(meant)}?" if meant else "give an IANA name such as America/Los_Angeles."
    raise InvalidArguments.at(NAME, f"{UntrustedText(text, limit=60)} is no time zone; {hint}")


def _is_place(name: str) -> bool:
    """Whether a zone is called by a place, which an offset or an abbreviation is not."""
    return "/" in name and not name.startswith("Etc/")


def _city(name: str) -> str:
    return name.casefold().rpartition("/")[2]


def _with_offset(match: re.Match[str], now: datetime) -> str:
    """Places that have the offset now, and the zone that has it all year, whose sign is the other one."""
    sign, hours, minutes, bare = match.groups()
    offset = timedelta(hours=int(hours or bare), minutes=int(minutes or 0)) * (1 if sign in {"+", None} else -1)
    if not offset:
        return "give UTC."
    offered = [name for name in PLACES if _offset(name, now) == offset][:MOST_OFFERED]
    still = f"Etc/GMT{-offset // timedelta(hours=1):+d}"
    if still in available_timezones() and _offset(still, now) == offset:
        offered.append(f"{still}, which has it all year")
    return f"give a place that has it now: {' or '.join(offered)}." if offered else "no place has it now."


def _offset(name: str, now: datetime) -> timedelta | None:
    return now.astimezone(ZoneInfo(name)).utcoffset()


def _called(wanted: str, now: datetime) -> Iterator[str]:
    """The places whose time is abbreviated so in winter or summer; also for ``Pacific Standard Time`` and ``PT``."""
    if wanted.endswith("_time"):
        wanted = "".join(word[0] for word in wanted.split("_"))
    for place in PLACES:
        seasons = {now.replace(month=month, day=1).astimezone(ZoneInfo(place)).tzname() or "" for month in (1, 7)}
        names = {season.casefold() for season in seasons}
        if wanted in names | {re.sub("[sd]t$", "t", name) for name in names if len(name) == 3}:  # noqa: PLR2004 - PST
            yield place
