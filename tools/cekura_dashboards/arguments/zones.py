"""Time zones as people name them: ``America/Los_Angeles``, or the city alone."""

from zoneinfo import ZoneInfo, available_timezones

from cekura_dashboards.api.errors import InvalidArguments
from cekura_dashboards.text import Foreign, listed, nearest

NAME = "time_zone"


def zone_named(text: str | None, default: ZoneInfo) -> ZoneInfo:
    """A time zone of the IANA database.

    >>> zone_named("los angeles", ZoneInfo("UTC")).key, zone_named(None, ZoneInfo("UTC")).key
    ('America/Los_Angeles', 'UTC')

    Raises:
        InvalidArguments: for a name that none or several have, with those that are near.
    """
    if text is None:
        return default
    wanted = "_".join(text.strip().casefold().split())
    known = available_timezones()
    found = [name for name in known if name.casefold() == wanted]
    found = found or sorted(name for name in known if name.casefold().rpartition("/")[2] == wanted)
    if len(found) == 1:
        return ZoneInfo(found[0])
    if found:
        raise InvalidArguments.at(NAME, f"{Foreign(text, limit=60)} is several zones: {listed(found)}; give one whole.")
    cities = {name.rpartition("/")[2]: name for name in sorted(known)}
    near = nearest(wanted, [*cities, *known])
    hint = f"did you mean {cities.get(near, near)}?" if near else "give an IANA name such as America/Los_Angeles."
    raise InvalidArguments.at(NAME, f"{Foreign(text, limit=60)} is no time zone; {hint}")
