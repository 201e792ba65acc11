"""The words that models guess, and what they are called here. Each is accepted where it leaves no doubt, and told."""

import re
from collections.abc import Collection

from cekura_dashboards.arguments import times

ARGUMENTS: dict[str, tuple[str, ...]] = {
    "agg": ("aggregation_function",),
    "aggregate": ("aggregation_function",),
    "aggregation": ("aggregation_function",),
    "aggregator": ("aggregation_function",),
    "function": ("aggregation_function",),
    "chart": ("chart_type",),
    "kind": ("chart_type",),
    "type": ("chart_type", "kind"),
    "visualization": ("chart_type",),
    "widget_type": ("chart_type",),
    "bucket": ("time_period",),
    "frequency": ("time_period",),
    "granularity": ("time_period",),
    "interval": ("time_period", "window"),
    "period": ("time_period", "window"),
    "time_grain": ("time_period",),
    "date_range": ("window",),
    "range": ("window",),
    "time_range": ("window",),
    "time_window": ("window",),
    "timeframe": ("window",),
    "breakdown": ("group_by",),
    "group": ("group_by", "field"),
    "groupby": ("group_by",),
    "split_by": ("group_by",),
    "label": ("name",),
    "title": ("name",),
    "dashboard_name": ("name", "dashboard_id"),
    "widget_name": ("name", "widget_id"),
    "column": ("field",),
    "dimension": ("field",),
    "key": ("field",),
    "measure": ("field",),
    "property": ("field",),
    "metric_id": ("metric",),
    "filter": ("filters",),
    "where": ("filters",),
    "layout": ("metadata",),
    "position": ("place", "layout"),
    "size": ("layout",),
    "tidy": ("arrange",),
    "comparator": ("op",),
    "comparison": ("op",),
    "operator": ("op",),
    "values": ("value",),
    "rules": ("conditions",),
    "dashboard": ("dashboard_id",),
    "dashboards": ("dashboard_ids",),
    "id": ("dashboard_id", "widget_id"),
    "ids": ("widget_ids",),
    "widget": ("widget_id",),
    "widgets": ("widget_ids",),
    "project": ("project_id",),
    "agent": ("agent_id",),
    "query": ("search",),
    "q": ("search",),
    "add": ("create",),
    "creates": ("create",),
    "edit": ("update",),
    "updates": ("update",),
    "deletes": ("delete",),
    "remove": ("delete",),
    "set": ("changes",),
    "update": ("changes",),
    "fields": ("changes",),
    "unset": ("clear",),
    "copy_from": ("copy_of",),
    "duplicate_of": ("copy_of",),
    "compare": ("compare_to",),
    "transcript": ("transcripts",),
    "order": ("sort",),
    "order_by": ("sort",),
    "sort_by": ("sort",),
    "contains": ("said",),
    "mentions": ("said",),
    "timezone": ("time_zone",),
    "tz": ("time_zone",),
    "zone": ("time_zone",),
    "fold_by": ("profile",),
    "compare_with": ("compare_to",),
    "buckets": ("points",),
    "max_points": ("points",),
}
"""An argument's name to what it may be called here: the first that the object takes and was not given."""

INSIDE = {"compare_to": {"filters": "compare_filters"}}
"""An argument that is given an object with one key, to the argument that the key means."""

VALUES: dict[str, dict[str, str]] = {
    "chart_type": {
        "area": "line", "line_chart": "line", "scatter": "line", "timeseries": "line",
        "bar_chart": "bar", "column": "bar", "histogram": "bar",
        "donut": "pie", "doughnut": "pie", "pie_chart": "pie",
        "big_number": "stat", "kpi": "stat", "number": "stat", "scorecard": "stat", "stats": "stat",
    },
    "aggregation_function": {
        "average": "avg", "mean": "avg", "rate": "avg", "total": "sum", "minimum": "min", "maximum": "max",
        "median": "p50", "percentile_50": "p50", "percentile_95": "p95", "percentile_99": "p99", "95th": "p95",
        "99th": "p99",
    },
    "time_period": {
        "hourly": "hour", "hours": "hour", "1h": "hour", "daily": "day", "days": "day", "1d": "day", "weekly": "week",
        "weeks": "week", "1w": "week", "monthly": "month", "months": "month",
    },
    "op": {
        "=": "eq", "==": "eq", "equal": "eq", "equals": "eq", "is": "eq",
        "!=": "neq", "<>": "neq", "ne": "neq", "not_equal": "neq", "not_equals": "neq", "is_not": "neq",
        ">": "gt", "greater_than": "gt", ">=": "gte", "ge": "gte", "<": "lt", "less_than": "lt", "<=": "lte",
        "le": "lte", "like": "contains", "ilike": "contains", "includes": "contains", "starts_with": "startswith",
        "ends_with": "endswith", "one_of": "in", "any_of": "in", "is_null": "isnull", "empty": "isnull",
        "matches": "regex",
    },
    "operator": {"all": "and", "&&": "and", "any": "or", "||": "or"},
    "sort": {
        "time": "newest", "latest": "newest", "recent": "newest", "duration": "longest", "-duration": "longest",
        "longest_first": "longest", "shortest_first": "shortest", "oldest_first": "oldest", "newest_first": "newest",
        "value": "highest", "metric": "highest", "worst": "lowest", "best": "highest",
    },
    "by": {"local_days": "local_day", "local": "local_day"},
    "profile": {"hour": "hour_of_day", "hours": "hour_of_day", "day_of_week": "weekday", "weekdays": "weekday"},
    "kind": {
        "topic": "topics", "keys": "metadata_keys", "metadata": "metadata_keys", "field": "fields", "value": "values",
        "metric": "metrics", "agent": "agents", "project": "projects",
    },
}  # fmt: skip
"""By argument: a value to the choice that it means."""

_SHARED = {
    "ended_reason": "call_ended_reason", "end_reason": "call_ended_reason", "drop_off": "dropoff_point",
    "dropoff": "dropoff_point", "drop_off_point": "dropoff_point", "topics": "topic", "reviewed": "is_reviewed",
    "call_duration": "duration", "date": "timestamp", "time": "timestamp", "created_at": "timestamp",
    "metric_value": "metric_evaluations.value",
}  # fmt: skip
_METRIC = {"metric": "metric_evaluations.value"}
PLOTTED_FIELDS = _SHARED | _METRIC | {"agent": "agent_id", "agent.id": "agent_id", "calls": "agent_id"}
FILTER_FIELDS = _SHARED | {
    "agent": "agent.id", "agent_id": "agent.id", "agent_name": "agent.agent_name", "agent.name": "agent.agent_name",
    "call_id": "id",
    "metric_id": "metric_evaluations.metric.id", "metric_name": "metric_evaluations.metric.name",
}  # fmt: skip
"""Fields of calls: what is plotted and what is filtered are called differently in places."""
GROUPED_FIELDS = FILTER_FIELDS | _METRIC
"""A condition on ``metric`` could mean its id as well as its value, which a group cannot."""


def argument(name: str, fields: Collection[str], present: Collection[str]) -> str | None:
    """What an unknown argument is called in an object with these fields; None if that is open, or given besides.

    >>> argument("chartType", ["chart_type"], ["chartType"]), argument("type", ["type"], []), argument("zzz", ["a"], [])
    ('chart_type', None, None)
    """
    if name in fields:
        return None
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()
    options = [snake] if snake in fields else [field for field in ARGUMENTS.get(snake, ()) if field in fields]
    return next((field for field in options if field not in present), None)


def value(field: str, text: str) -> str:
    """The choice that a text means for this argument, or the text itself.

    >>> value("op", ">="), value("chart_type", "Donut"), value("op", "eq")
    ('gte', 'pie', 'eq')
    >>> value("window", "last 7 days"), value("window", "15 minutes"), value("window", "the past 90 min")
    ('7d', '15m', '90m')
    """
    folded = text.strip().casefold().replace(" ", "_").replace("-", "_")
    if field == "window":
        return times.rolling(text) or text
    return VALUES.get(field, {}).get(folded, text)
