"""Chart data for the configuration of a widget, computed by DuckDB."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

import duckdb

from cekura_sandbox.filters import FilterError, Sql, lower_time_bounds, to_sql


@dataclass(frozen=True, kw_only=True)
class ApiVariant:
    """One variant of the API where the published documents are ambiguous.

    The defaults are the simplest reading.
    """

    override: Literal["replace", "merge"] = "replace"
    """An override replaces all saved filters; or it is ANDed with those of the dashboard and widget."""
    preview: Literal["alone", "merge"] = "alone"
    """A preview uses its own filters only; or also those of its dashboard."""
    grouped: Literal["key", "field", "nested"] = "key"
    """A grouped row has the key ``group``; or the grouped field's name; or rows are in ``{group, data}``."""
    booleans: Literal["true", "1"] = "true"
    rates: Literal["ratio", "percent"] = "ratio"
    binary: Literal["boolean", "0/1", "0/5", "percent"] = "boolean"
    """A binary metric is true or false; or a score of 0 or 1, of 0 or 5 (one type by an older name), or of 0 or 100,
    charted as a number."""
    placeholders: Literal["omit", "null"] = "omit"
    """A call without an evaluation of a metric has no row in its charts; or a row with a null value."""
    stat: Literal["object", "array"] = "object"
    buckets: Literal["utc", "bare"] = "utc"
    """``time_interval`` ends in Z; or it has no offset."""
    empty_buckets: Literal["omit", "null"] = "omit"
    predefined: Literal["object", "list"] = "object"
    """Ready-made widgets come in an object, as the document says, or as a list."""
    preview_answer: Literal["whole", "short"] = "whole"
    """The response to a preview has ``widget_id``, ``group_by`` and ``can_group_by``; or omits them."""
    call_metadata: Literal["absent", "present"] = "absent"
    """A listed call has no metadata, as documented; or it has."""
    alerts: Literal["allowed", "forbidden"] = "allowed"
    """The key may read and change alerts; or the API answers 403."""
    clock_ahead_s: float = 0
    """How far the API's clock runs ahead of the caller's, 0 to 120 seconds."""
    sample_rate: float = 1
    """The share of calls, 0 to 1, that metrics with sampling are evaluated on."""
    trigger: Literal["always", "custom"] = "always"
    """Metrics with sampling are evaluated on every call; or only on those that the caller ended, about half of them."""
    evaluated_since_days: float = 0
    """Days since when sampling and trigger apply; before, every call was evaluated. 0: they always applied."""

    @property
    def passed(self) -> int:
        """The score of a pass of a binary metric."""
        return {"0/5": 5, "percent": 100}.get(self.binary, 1)

    @property
    def scored(self) -> bool:
        """Whether binary metrics are numbers."""
        return self.binary != "boolean"


LIMITS = {"clock_ahead_s": 120.0, "sample_rate": 1.0, "evaluated_since_days": 30.0}
"""The maximum of each numeric choice; the minimum is 0."""


def _within_limits(name: str, value: str) -> float:
    try:
        amount = float(value)
    except ValueError:
        amount = -1.0
    if not 0 <= amount <= LIMITS[name]:
        raise ValueError(f'reading {name} is 0 to {LIMITS[name]:g}, not "{value}"')
    return amount


def readings_from(chosen: dict[str, str]) -> ApiVariant:
    """The ``ApiVariant`` with these choices, by name.

    Raises:
        ValueError: for an unknown name or value.
    """
    allowed = {field.name: get_args(field.type) for field in fields(ApiVariant)}
    chosen_readings: dict[str, str | float] = {}
    for name, value in chosen.items():
        if name not in allowed:
            raise ValueError(f'no reading "{name}"; there are {", ".join(allowed)}')
        if allowed[name] and value not in allowed[name]:
            raise ValueError(f'reading {name} is {" or ".join(allowed[name])}, not "{value}"')
        chosen_readings[name] = value if allowed[name] else _within_limits(name, value)
    return ApiVariant(**chosen_readings)  # type: ignore[arg-type]  # checked against the fields above


FIELD_TYPES = {
    "duration": ("numeric", "c.duration", "Duration"),
    "success": ("boolean", "c.success", "Success"),
    "is_reviewed": ("boolean", "c.is_reviewed", "Is reviewed"),
    "call_ended_reason": ("string", "c.call_ended_reason", "Call ended reason"),
    "dropoff_point": ("string", "c.dropoff_point", "Dropoff point"),
    "topic": ("string", "c.topic", "Topic"),
    "agent_id": ("numeric", "c.agent_id", "Agent"),
    "timestamp": ("datetime", "c.ts", "Timestamp"),
}
AGGREGATIONS = {
    "numeric": {"count", "sum", "avg", "min", "max", "p50", "p95", "p99"},
    "boolean": {"count", "avg"},
    "string": {"count"},
    "datetime": {"count", "min", "max"},
}
CHARTS = {
    "numeric": {"line", "bar"},
    "boolean": {"pie", "bar"},
    "string": {"pie", "bar"},
    "datetime": {"line", "bar"},
}
GROUP_COLUMNS = {
    "agent.id": "c.agent_id", "agent.agent_name": "c.agent_name", "topic": "c.topic", "success": "c.success",
    "call_ended_reason": "c.call_ended_reason", "dropoff_point": "c.dropoff_point", "is_reviewed": "c.is_reviewed",
}  # fmt: skip
SCORED = "scored"
"""A binary metric with scores as values, which has the same type in the API as other binary ones."""
MAX_AGE = timedelta(days=30)
TOO_OLD = "Timestamp filter value is too far in the past. Maximum allowed range is 30 days."


class ChartError(Exception):
    """A configuration or filter that the API refuses; ``body`` is its 400."""

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__(str(body))
        self.body = body


class Charts:
    """Computes chart data over the generated calls."""

    def __init__(self, con: duckdb.DuckDBPyConnection, readings: ApiVariant) -> None:
        self._con = con
        self._readings = readings

    def data(self, widget: dict[str, Any], where: list[Any], project: int | None, now: datetime) -> dict[str, Any]:
        """``where``: filters that must all match. ``project`` None: all projects that the key can see."""
        condition, parameters = self._where(where, project, now)
        chart = widget["chart_type"]
        kind, column, label, source = self._plotted(widget)
        group = self._group_column(widget.get("group_by"))
        source_sql = f"FROM {source} WHERE {condition}"
        answer: dict[str, Any] = {
            "widget_id": widget.get("id", 0),
            "field_name": widget.get("field") or "",
            "chart_type": chart,
            "aggregation_function": widget.get("aggregation_function"),
            "time_period": widget.get("time_period"),
            "group_by": widget.get("group_by"),
            "can_group_by": chart in {"line", "bar"},
            "metadata": {
                "display_name": label,
                "data_type": "boolean" if kind == SCORED else kind,
                "filter_value": widget.get("metric"),
            },
        }
        if chart == "stat":
            answer["data"] = self._stat(source_sql, parameters)
        elif group:
            answer["data"] = self._grouped(widget, kind, column, source_sql, group, parameters)
        else:
            rows = self._rows(widget, kind, column, source_sql, "NULL", parameters)
            answer["data"] = [row for _, row in rows]
        return answer

    def _where(self, filters: list[Any], project: int | None, now: datetime) -> tuple[str, list[Any]]:
        sql = Sql()
        parts = ["TRUE"]
        try:
            bounds = [bound for item in filters for bound in lower_time_bounds(item, now)]
            if not bounds:
                raise ChartError({"detail": "A timestamp filter with gt or gte is required."})
            if min(bounds) < now - MAX_AGE:
                raise ChartError({"detail": TOO_OLD})
            if project is not None:
                parts.append(f"c.project = {sql.bind(project)}")
            parts += [f"({to_sql(item, sql, now)})" for item in filters]
        except FilterError as error:
            raise ChartError({"filters": [str(error)]}) from None
        return " AND ".join(parts), sql.parameters

    def _plotted(self, widget: dict[str, Any]) -> tuple[str, str, str, str]:
        """Data type, SQL column, display name and FROM clause of the plotted field."""
        name = widget.get("field") or ""
        if widget["chart_type"] == "stat":
            return "numeric", "NULL", "Overview", "calls c"
        if name == "metric_evaluations.value":
            return self._metric(widget)
        if name.startswith("metadata."):
            return "string", _metadata_column(name), name.removeprefix("metadata."), "calls c"
        kind, column, label = FIELD_TYPES[name]
        return kind, column, label, "calls c"

    def _metric(self, widget: dict[str, Any]) -> tuple[str, str, str, str]:
        rows = self._run("SELECT name, eval_type FROM metrics WHERE id = ?", [widget.get("metric")])
        if not rows:
            raise ChartError({"metric": [f'Invalid pk "{widget.get("metric")}" - object does not exist.']})
        [(name, eval_type)] = rows
        source = f"calls c JOIN evaluations e ON e.call_id = c.id AND e.metric_id = {int(widget['metric'])}"
        if eval_type == "enum":
            return "string", "e.label", name, source
        if eval_type == "binary":
            if self._readings.scored:
                return SCORED, "CAST(e.number AS INT)", name, source
            return "boolean", "CAST(e.number AS BOOLEAN)", name, source
        return "numeric", "e.number", name, source

    def _group_column(self, group_by: Any) -> str | None:
        if not group_by:
            return None
        if group_by.get("type") == "bucket":
            step = f"to_milliseconds({int(group_by['interval'])})"
            return f"strftime(time_bucket({step}, c.ts), '%Y-%m-%dT%H:%M:%SZ')"
        name = str(group_by.get("field"))
        return _metadata_column(name) if name.startswith("metadata.") else GROUP_COLUMNS[name]

    def _rows(
        self, widget: dict[str, Any], kind: str, column: str, source: str, group: str, parameters: list[Any]
    ) -> Iterable[tuple[Any, dict[str, Any]]]:
        chart = widget["chart_type"]
        if chart == "line":
            return self._line(column, source, group, parameters)
        if chart == "pie":
            return self._pie(column, source, group, parameters)
        return self._bar(widget, kind, column, source, group, parameters)

    def _line(
        self, column: str, source: str, group: str, parameters: list[Any]
    ) -> Iterable[tuple[Any, dict[str, Any]]]:
        rows = self._run(
            f"SELECT {group}, c.id, replace(CAST(date_trunc('second', c.ts) AS TEXT), ' ', 'T') || 'Z', {column} "
            f"{source} ORDER BY c.ts, c.id",
            parameters,
        )
        for key, call, moment, value in rows:
            yield key, {"id": call, "timestamp": moment, "value": self._value(value)}

    def _pie(self, column: str, source: str, group: str, parameters: list[Any]) -> Iterable[tuple[Any, dict[str, Any]]]:
        rows = self._run(
            f"SELECT {group} AS g, {column} AS slice, count(*) AS n {source} GROUP BY g, slice ORDER BY n DESC, slice",
            parameters,
        )
        totals = Counter[Any]()
        for key, _, count in rows:
            totals[key] += count
        for key, label, count in rows:
            share = round(100 * count / totals[key], 2)
            yield key, {"label": self._value(label), "value": count, "percentage": share}

    def _bar(
        self, widget: dict[str, Any], kind: str, column: str, source: str, group: str, parameters: list[Any]
    ) -> Iterable[tuple[Any, dict[str, Any]]]:
        function = widget["aggregation_function"]
        rate = kind == "boolean" and function == "avg"
        bars = self._run(
            f"SELECT date_trunc('{widget['time_period']}', c.ts) AS bucket, {group} AS g, "
            f"{_aggregate(function, kind, column)}, count({column}) {source} GROUP BY bucket, g ORDER BY bucket, g",
            parameters,
        )
        rows = [(key, bucket, value, count) for bucket, key, value, count in bars]
        if self._readings.empty_buckets == "null":
            rows = _with_empty(rows, widget["time_period"])
        for key, bucket, value, count in rows:
            scale = 100 if rate and self._readings.rates == "percent" else None
            bar_value = self._value(value if value is None or scale is None else scale * value)
            yield key, {"time_interval": self._moment(bucket), "value": bar_value, "sample_count": count}

    def _stat(self, source: str, parameters: list[Any]) -> Any:
        total, success, duration = self._run(
            f"SELECT count(*), avg(CAST(c.success AS INT)), avg(c.duration) {source}", parameters
        )[0]
        latencies = (
            "SELECT quantile_cont(e.number, 0.95) FROM evaluations e WHERE e.metric_name = 'Response latency' "
            "AND e.call_id IN (SELECT c.id {source})"
        )
        latency = self._run(latencies.format(source=source), parameters)[0][0]
        if success is not None and self._readings.rates == "percent":
            success *= 100
        row = {
            "total_calls": total,
            "success_rate": success,
            "avg_duration": duration,
            "p95_latency": latency,
        }
        return [row] if self._readings.stat == "array" else row

    def _grouped(
        self, widget: dict[str, Any], kind: str, column: str, source: str, group: str, parameters: list[Any]
    ) -> list[dict[str, Any]]:
        rows = self._rows(widget, kind, column, source, group, parameters)
        if self._readings.grouped == "nested":
            nested: dict[Any, list[dict[str, Any]]] = {}
            for key, row in rows:
                nested.setdefault(key, []).append(row)
            return [{"group": key, "data": data} for key, data in nested.items()]
        name = "group"
        if self._readings.grouped == "field":
            name = widget["group_by"].get("field", "bucket")
        return [row | {name: key} for key, row in rows]

    def _run(self, sql: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
        return self._con.cursor().execute(sql, parameters).fetchall()

    def _value(self, value: Any) -> Any:
        if isinstance(value, bool):
            return value if self._readings.booleans == "true" else int(value)
        return self._moment(value) if isinstance(value, datetime) else value

    def _moment(self, moment: datetime) -> str:
        return moment.isoformat(timespec="seconds") + ("Z" if self._readings.buckets == "utc" else "")


def _metadata_column(name: str) -> str:
    key = name.removeprefix("metadata.").replace("'", "''")
    return f"c.metadata['{key}']"


def _aggregate(function: str, kind: str, column: str) -> str:
    if function == "count":
        return f"count({column})"
    if kind == "boolean":
        return f"avg(CAST({column} AS INT))"
    if function.startswith("p"):
        return f"quantile_cont({column}, {int(function[1:]) / 100})"
    return f"{function}({column})"


def _with_empty(rows: list[tuple[Any, ...]], period: str) -> list[tuple[Any, ...]]:
    """Add a null row for every hour or day, between the first and last, in which a group has no calls."""
    step = {"hour": timedelta(hours=1), "day": timedelta(days=1)}.get(period)
    if step is None or not rows:
        return rows
    present = {(key, bucket) for key, bucket, _, _ in rows}
    first, last = min(r[1] for r in rows), max(r[1] for r in rows)
    count = int((last - first) / step) + 1
    missing = [
        (key, first + i * step, None, 0)
        for key in dict.fromkeys(r[0] for r in rows)
        for i in range(count)
        if (key, first + i * step) not in present
    ]
    return sorted([*rows, *missing], key=lambda r: (r[1], str(r[0])))
