"""The dashboards that a new sandbox holds."""

from typing import Any

from cekura_sandbox.calls import RELEASE_AGENT


def _since(days: int) -> dict[str, Any]:
    return {"field": "timestamp", "op": "gte", "value": f"today-{days}d"}


def _at(x: int, y: int, w: int = 6, h: int = 4) -> dict[str, Any]:
    return {"layout": {"x": x, "y": y, "w": w, "h": h}}


def _bar(name: str, field: str, function: str, period: str = "day", **more: Any) -> dict[str, Any]:
    return {
        "name": name, "chart_type": "bar", "field": field, "aggregation_function": function, "time_period": period,
        **more,
    }  # fmt: skip


DASHBOARDS: list[dict[str, Any]] = [
    {
        "name": "Operations overview",
        "project": 1,
        "filters": _since(7),
        "widgets": [
            {"name": "This week at a glance", "chart_type": "stat", "metadata": _at(0, 0, 12, 2)},
            _bar("Calls per day", "agent_id", "count", metadata=_at(0, 2)),
            _bar("Success rate", "success", "avg", metadata=_at(6, 2)),
            _bar("Success rate by agent", "success", "avg", group_by={"type": "field", "field": "agent.id"},
                 metadata=_at(0, 6)),
            {"name": "Why calls end", "chart_type": "pie", "field": "call_ended_reason", "metadata": _at(6, 6)},
            {"name": "Topics", "chart_type": "pie", "field": "topic", "metadata": _at(0, 10)},
            {"name": "Call length", "chart_type": "line", "field": "duration", "metadata": _at(6, 10)},
            _bar("Calls per hour", "agent_id", "count", "hour", metadata=_at(0, 14, 12)),
        ],
    },
    {
        "name": "Booking agent",
        "project": 1,
        "filters": {"operator": "and", "conditions": [
            _since(14), {"field": "agent.id", "op": "eq", "value": RELEASE_AGENT},
        ]},
        "widgets": [
            _bar("Booking success", "success", "avg", metadata=_at(0, 0)),
            _bar("Response latency p95", "metric_evaluations.value", "p95", metric=501, metadata=_at(6, 0)),
            {"name": "Appointments booked", "chart_type": "pie", "field": "metric_evaluations.value", "metric": 503,
             "metadata": _at(0, 4)},
            {"name": "Where callers drop off", "chart_type": "pie", "field": "dropoff_point",
             "filters": {"field": "success", "op": "eq", "value": False}, "metadata": _at(6, 4)},
            {"name": "Customer satisfaction", "chart_type": "line", "field": "metric_evaluations.value",
             "metric": 502, "metadata": _at(0, 8)},
            _bar("Calls by region", "agent_id", "count", group_by={"type": "field", "field": "metadata.region"},
                 metadata=_at(6, 8)),
            _bar("Success by app version", "success", "avg",
                 group_by={"type": "field", "field": "metadata.app_version"}, metadata=_at(0, 12)),
        ],
    },
    {
        "name": "Telecom quality",
        "project": 2,
        "filters": None,
        "widgets": [
            _bar("Issues resolved", "metric_evaluations.value", "avg", metric=507, filters=_since(10)),
            _bar("Latency by agent", "metric_evaluations.value", "p50", metric=506, filters=_since(10),
                 group_by={"type": "field", "field": "agent.id"}),
            {"name": "Outcome", "chart_type": "pie", "field": "success", "filters": _since(10)},
            {"name": "Languages", "chart_type": "pie", "field": "metadata.language"},
            _bar("Weekly talk time", "duration", "sum", "week", filters=_since(28)),
        ],
    },
]  # fmt: skip

PREDEFINED: list[dict[str, Any]] = [
    {"name": "Overview", "chart_type": "stat", "field": ""},
    _bar("Calls per day", "agent_id", "count"),
    _bar("Success rate", "success", "avg"),
    {"name": "Call ended reason", "chart_type": "pie", "field": "call_ended_reason"},
    {"name": "Call duration", "chart_type": "line", "field": "duration"},
]
