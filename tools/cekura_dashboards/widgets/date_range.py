"""The date range that every chart needs: the API refuses one without, and one that starts more than 30 days ago."""

import json
from datetime import datetime

from cekura_dashboards.api.fields import LIMIT
from cekura_dashboards.api.filters import Bounds, both, only_time, time_bounds
from cekura_dashboards.api.models import JsonObject

CLEARED = "date_range"
"""What ``clear`` names to drop a date range on purpose."""
DATE_RANGE = {"field": "timestamp", "op": "gte", "value": "today-7d"}
"""What is proposed where there is none."""
LONGEST = {"field": "timestamp", "op": "gte", "value": "today-29d"}
ADD_ONE = f"Add to filters: {json.dumps(DATE_RANGE)}"
TOO_OLD = "the date range starts before the 30 days that the API holds"
TOO_OLD_REFUSED = f"{TOO_OLD}, so it refuses the charts (400); the longest that works: {json.dumps(LONGEST)}."


def is_too_old(bounds: Bounds, now: datetime) -> bool:
    """Whether it starts before what the API holds; one without a start does not."""
    return bounds.start is not None and bounds.start < now - LIMIT


def goes_too_far_back(before: Bounds, after: Bounds, now: datetime) -> bool:
    """Whether a change of filters makes the date range start too long ago."""
    return is_too_old(after, now) and before.start != after.start


def is_lost(before: Bounds, after: Bounds) -> bool:
    """Whether a change of filters leaves a chart without a date range."""
    return before.start is not None and after.start is None


def losing(what: str, filters: JsonObject | None, now: datetime) -> str:
    """What is wrong with dropping the date range of ``filters``, and how to keep it."""
    own = only_time(filters)
    bounds = time_bounds(own, now)
    kept = own if bounds.start is not None and not is_too_old(bounds, now) else DATE_RANGE
    return (
        f"leaves {what} without a date range, and the API refuses such charts (400). Keep one in filters: "
        f"{json.dumps(both(kept))}; or, to drop it all the same, put {CLEARED} into clear."
    )


def no_date_range(*, on_dashboard: bool) -> str:
    """The warning that a chart saved without any lower time bound answers 400, and the filter that mends it."""
    who = "neither the widget nor its dashboard has a date range" if on_dashboard else "the widget has no date range"
    unless = "" if on_dashboard else " unless its dashboard has one"
    return f"{who}; saved like this, the API refuses the chart (400){unless}. {ADD_ONE}"
