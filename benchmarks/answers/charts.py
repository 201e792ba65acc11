"""Charts of the simulated calls, as the API would send them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from benchmarks.answers.calls import DAY, HOUR, Calls, Floats

Json = dict[str, Any]
Rows = list[Json]


@dataclass(frozen=True)
class Chart:
    """``measure``: what its buckets hold. ``step``: seconds of a bucket, 0 for what has none."""

    config: Json
    data_type: str
    measure: str
    step: int
    rows: Callable[[Calls], Rows | Json]

    @property
    def kind(self) -> str:
        return str(self.config["chart_type"])

    @property
    def grouped(self) -> bool:
        return "group_by" in self.config


def iso(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat().replace("+00:00", "Z")


def day_of(time: float) -> str:
    return iso(time)[:10]


def _line(calls: Calls) -> Rows:
    return [
        {"id": 1_000_000 + i, "timestamp": iso(time), "value": value}
        for i, (time, value) in enumerate(zip(calls.time.tolist(), calls.value.tolist(), strict=True))
    ]


def _line_by_region(calls: Calls) -> Rows:
    places: list[int] = calls.region.tolist()
    return [{**row, "group": calls.regions[place]} for row, place in zip(_line(calls), places, strict=True)]


def _buckets(time: Floats, values: Floats, step: int, how: Callable[[Floats], Any], **also: str) -> Rows:
    """Of calls in the order of time."""
    starts, firsts = np.unique(time // step * step, return_index=True)
    parts = np.split(values, firsts[1:])
    return [
        {"time_interval": iso(start), "value": how(part), "sample_count": len(part), **also}
        for start, part in zip(starts.tolist(), parts, strict=True)
    ]


def _mean(part: Floats) -> float:
    return float(np.mean(part))


def _by_region(calls: Calls, of: str = "success", step: int = DAY) -> Rows:
    found, values = Rows(), calls.success if of == "success" else calls.value
    for i, name in enumerate(calls.regions):
        mine = calls.region == i
        found += _buckets(calls.time[mine], values[mine], step, _mean, group=name)
    return found


def _by_reason(calls: Calls) -> Rows:
    """How many calls ended for each reason, by day."""
    found = Rows()
    for label in np.unique(calls.reason).tolist():
        mine = calls.reason == label
        found += _buckets(calls.time[mine], calls.value[mine], DAY, len, group=f"reason {label}")
    return found


def rows_of(config: Json, calls: Calls) -> Rows | Json:
    """The API's rows for the other charts that the tool may request."""
    kind: str = config["chart_type"]
    grouped: Json = config.get("group_by") or {}
    if kind != "bar":
        alike = (chart for chart in CHARTS.values() if chart.kind == kind and chart.grouped == bool(grouped))
        return next(alike).rows(calls)
    field, step = config["field"], HOUR if config["time_period"] == "hour" else DAY
    if config["time_period"] == "month":
        return _by_month(calls)
    if grouped:
        if grouped["field"] == "call_ended_reason":
            return _by_reason(calls)
        return _by_region(calls, field, step)
    how: dict[str, Callable[[Floats], Any]] = {"avg": _mean, "count": len, "p95": _p95}
    values = calls.success if field == "success" else calls.value
    return _buckets(calls.time, values, step, how[config["aggregation_function"]])


def _p95(part: Floats) -> float:
    return float(np.quantile(part, 0.95))


def _by_month(calls: Calls) -> Rows:
    """The 95th percentile of the calls of each month: the tool asks for that of its window in this way."""
    months = calls.time.astype("datetime64[s]").astype("datetime64[M]")
    return _buckets(months.astype("datetime64[s]").astype(np.float64), calls.value, 1, _p95)


def _pie(calls: Calls) -> Rows:
    labels, counts = np.unique(calls.reason, return_counts=True)
    whole = counts.sum()
    rows = [
        {"label": f"reason {label}", "value": int(n), "percentage": round(100 * float(n / whole), 1)}
        for label, n in zip(labels.tolist(), counts.tolist(), strict=True)
    ]
    return sorted(rows, key=lambda row: -int(row["value"]))


def _stat(calls: Calls) -> Json:
    return {
        "total_calls": len(calls.time), "success_rate": float(np.mean(calls.success)),
        "avg_duration": float(np.mean(calls.value)), "p95_latency": float(np.quantile(calls.value, 0.95)),
    }  # fmt: skip


def _bar(function: str, period: str = "day", field: str = "duration") -> Json:
    return {"chart_type": "bar", "field": field, "aggregation_function": function, "time_period": period}


BY_REGION = {"group_by": {"type": "field", "field": "metadata.region"}}
LINE = {"chart_type": "line", "field": "duration"}
CHARTS: dict[str, Chart] = {
    "line": Chart(LINE, "numeric", "value", DAY, _line),
    "line by region": Chart({**LINE, **BY_REGION}, "numeric", "value", DAY, _line_by_region),
    "avg": Chart(_bar("avg"), "numeric", "value", DAY, lambda c: _buckets(c.time, c.value, DAY, _mean)),
    "p95": Chart(
        _bar("p95"), "numeric", "p95", DAY,
        lambda c: _buckets(c.time, c.value, DAY, _p95),
    ),
    "count": Chart(
        _bar("count", field="agent_id"), "numeric", "calls", DAY, lambda c: _buckets(c.time, c.value, DAY, len)
    ),
    "hourly count": Chart(
        _bar("count", "hour", "agent_id"), "numeric", "calls", HOUR, lambda c: _buckets(c.time, c.value, HOUR, len)
    ),
    "success": Chart(
        _bar("avg", field="success"), "boolean", "success", DAY, lambda c: _buckets(c.time, c.success, DAY, _mean)
    ),
    "avg by region": Chart({**_bar("avg", field="success"), **BY_REGION}, "boolean", "success", DAY, _by_region),
    "duration by region": Chart(
        {**_bar("avg"), **BY_REGION}, "numeric", "value", DAY, lambda c: _by_region(c, "duration")
    ),
    "hourly avg": Chart(
        _bar("avg", "hour"), "numeric", "value", HOUR, lambda c: _buckets(c.time, c.value, HOUR, _mean)
    ),
    "hourly success": Chart(
        _bar("avg", "hour", "success"), "boolean", "success", HOUR, lambda c: _buckets(c.time, c.success, HOUR, _mean)
    ),
    "pie of reasons": Chart({"chart_type": "pie", "field": "call_ended_reason"}, "string", "share", 0, _pie),
    "stat": Chart({"chart_type": "stat", "field": ""}, "numeric", "value", 0, _stat),
}  # fmt: skip


def with_wrong_percentages(rows: Rows) -> Rows:
    """As if they had been computed over another total."""
    return [{**row, "percentage": round(0.6 * float(row["percentage"]), 1)} for row in rows]
