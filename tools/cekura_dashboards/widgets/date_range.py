"""The date range that every chart needs: the API refuses one without, and one that starts more than 30 days ago."""

import json
from datetime import datetime

from cekura_dashboards.api.fields import LIMIT
from cekura_dashboards.api.filters import Bounds

DATE_RANGE = {"field": "timestamp", "op": "gte", "value": "today-7d"}
"""What is proposed where there is none."""
ADD_ONE = f"Add to filters: {json.dumps(DATE_RANGE)}"
TOO_OLD = "the date range starts before the 30 days that the API holds"


def is_too_old(bounds: Bounds, now: datetime) -> bool:
    """Whether it starts before what the API holds; one without a start does not."""
    return bounds.start is not None and bounds.start < now - LIMIT


def no_date_range(*, on_dashboard: bool) -> str:
    """The warning that a chart saved without any lower time bound answers 400, and the filter that mends it."""
    who = "neither the widget nor its dashboard has a date range" if on_dashboard else "the widget has no date range"
    unless = "" if on_dashboard else " unless its dashboard has one"
    return f"{who}; saved like this, the API refuses the chart (400){unless}. {ADD_ONE}"
