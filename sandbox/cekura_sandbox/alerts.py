"""Alerts on metrics: the stored ones, their rules, and how often each fired on the generated calls."""

from collections import defaultdict, deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import RLock
from typing import Any, TypeGuard

import duckdb

from cekura_sandbox.calls import METRICS, PROJECTS
from cekura_sandbox.filters import MAX_NAME, FilterError, Invalid, Missing, Sql, is_object, to_sql

Record = dict[str, Any]
FIELDS = ("name", "enabled", "project", "source_type", "source_id", "source", "threshold", "notifications")
ANSWERED_TO_CREATE = ("id", *FIELDS)
ANSWERED_TO_UPDATE = ("name", "enabled", "source", "threshold", "notifications")
"""As documented, the response to a change names neither the alert nor its metric."""
JSON_FIELDS = ("source", "threshold", "notifications")
PRESETS: dict[str, tuple[int, float, float]] = {
    "conservative": (100, 3.0, 0.10), "balanced": (50, 2.0, 0.30), "aggressive": (25, 1.5, 0.50),
}  # fmt: skip
"""Window, multiplier of the standard deviation, and weight of the newest score."""
WINDOW = 50
"""The default window of a threshold alert."""
KINDS = {
    "normal": {"binary"},
    "significant_change": {"binary", "numeric", "continuous_qualitative"},
    "threshold": {"numeric", "continuous_qualitative"},
    "insight_new_mode": {"binary", "numeric", "continuous_qualitative", "enum"},
    "insight_uptick": {"binary", "numeric", "continuous_qualitative", "enum"},
}
"""The types of metrics that each kind of alert accepts."""
MAX_HOURS = 168
AGE = timedelta(days=20)
"""The settings of the alerts in a new sandbox."""
ALERTS: list[Record] = [
    {"name": "Latency trend", "project": 1, "source_type": "metric", "source_id": 501,
     "source": {"sub_type": "significant_change"}, "preset": "aggressive"},
    {"name": "Booking fails", "project": 1, "source_type": "metric", "source_id": 503, "enabled": False,
     "source": {"sub_type": "normal", "filters": {"field": "agent.id", "op": "eq", "value": 33}},
     "notifications": {"slack": {"workspace_id": 9, "channel_id": "C0123"}}},
    {"name": "Cold calls", "project": 1, "source_type": "metric", "source_id": 505,
     "source": {"sub_type": "threshold", "window_size": 50},
     "threshold": {"operator": "lt", "value": 40, "min_breaches": 3}},
]  # fmt: skip


class AlertStore:
    """The alerts. As with the dashboards, stored objects are replaced, never changed in place."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lock = RLock()
        self._alerts: dict[int, Record] = {}
        self._next = 701
        for sample in ALERTS:
            alert = self.create(sample)
            self._alerts[alert["id"]] = self._alerts[alert["id"]] | {"created_at": _stamp(self._now() - AGE)}

    def list(self, project: int | None = None, *, enabled: bool | None = None, search: str = "") -> list[Record]:
        with self._lock:
            return [
                alert
                for alert in self._alerts.values()
                if project in (None, alert["project"])
                and enabled in (None, alert["enabled"])
                and search.casefold() in alert["name"].casefold()
            ]

    def get(self, number: int) -> Record:
        with self._lock:
            if number not in self._alerts:
                raise Missing
            return self._alerts[number]

    def create(self, body: Record) -> Record:
        required = ("name", "project", "source_type")
        if missing := [name for name in required if body.get(name) is None]:
            raise Invalid({name: ["This field is required."] for name in missing})
        with self._lock:
            blank: Record = {"enabled": True, "source_id": None, "source": {}, "threshold": {}, "notifications": {}}
            alert = self._checked({**blank, **_known(body)}, body.get("preset"))
            number, stamp = self._next, _stamp(self._now())
            self._next += 1
            self._alerts[number] = {"id": number, **alert, "created_at": stamp, "updated_at": stamp}
            return self._alerts[number]

    def update(self, number: int, body: Record) -> Record:
        """Merge each JSON field into the stored one; keys that are not sent stay."""
        with self._lock:
            stored = self.get(number)
            fixed = {"project", "source_type", "source_id"}
            changes = {name: value for name, value in _known(body).items() if name not in fixed}
            for name in JSON_FIELDS:
                if is_object(new := changes.get(name)):
                    changes[name] = {**stored[name], **new}
            alert = self._checked({name: stored[name] for name in FIELDS} | changes, body.get("preset"))
            self._alerts[number] = stored | alert | {"updated_at": _stamp(self._now())}
            return self._alerts[number]

    def delete(self, number: int) -> None:
        with self._lock:
            if self._alerts.pop(number, None) is None:
                raise Missing

    def _checked(self, alert: Record, preset: Any) -> Record:
        """The alert with its preset expanded.

        Raises:
            Invalid: with a list of messages per field.
        """
        errors = _plain_errors(alert) | self._json_errors(alert)
        if preset is not None and (not isinstance(preset, str) or preset not in PRESETS):
            errors["preset"] = [f'"{preset}" is not a valid choice.']
        if errors:
            raise Invalid(errors)
        if not alert["source"]:
            return alert
        alert = _expanded(alert, preset)
        if errors := _source_errors(alert) | _threshold_errors(alert):
            raise Invalid(errors)
        return alert

    def _json_errors(self, alert: Record) -> Record:
        errors: Record = {name: ["Expected a JSON object."] for name in JSON_FIELDS if not is_object(alert[name])}
        if "source" not in errors:
            try:
                to_sql(alert["source"].get("filters"), Sql(), self._now())
            except FilterError as error:
                errors["source"] = [str(error)]
        return errors


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _known(body: Record) -> Record:
    return {name: body[name] for name in FIELDS if name in body}


def _plain_errors(alert: Record) -> Record:
    errors: Record = {}
    name, metric = alert["name"], alert["source_id"]
    if not isinstance(name, str) or not name.strip():
        errors["name"] = ["Not a valid string." if not isinstance(name, str) else "This field may not be blank."]
    elif len(name) > MAX_NAME:
        errors["name"] = [f"Ensure this field has no more than {MAX_NAME} characters."]
    if not isinstance(alert["enabled"], bool):
        errors["enabled"] = ["Must be a valid boolean."]
    if _not_id(alert["project"]) or alert["project"] not in {project[0] for project in PROJECTS}:
        errors["project"] = [f'Invalid pk "{alert["project"]}" - object does not exist.']
    if alert["source_type"] != "metric":
        errors["source_type"] = [f'"{alert["source_type"]}" is not a valid choice.']
    projects = {number: project for number, _, _, project, _ in METRICS}
    if metric is not None and (_not_id(metric) or metric not in projects):
        errors["source_id"] = [f"Metric {metric} does not exist."]
    elif metric is not None and "project" not in errors and projects[metric] != alert["project"]:
        errors["source_id"] = [f"Metric {metric} does not belong to this project."]
    return errors


def _not_id(value: Any) -> bool:
    return not isinstance(value, int) or isinstance(value, bool)


def _expanded(alert: Record, preset: str | None) -> Record:
    """The alert with the numbers of its preset, unless it has its own."""
    source, threshold, kind = alert["source"], alert["threshold"], alert["source"].get("sub_type")
    if kind == "threshold":
        return alert | {"source": {"window_size": WINDOW, **source}, "threshold": {"min_breaches": 1, **threshold}}
    if kind != "significant_change" or preset is None:
        return alert
    window, multiplier, weight = PRESETS[preset]
    numbers = {"std_multiplier": multiplier, "ewma_alpha": weight, "direction": ""}
    return alert | {"source": {"window_size": window, **source}, "threshold": {**numbers, **threshold}}


def _source_errors(alert: Record) -> Record:
    source, kind = alert["source"], alert["source"].get("sub_type")
    if not isinstance(kind, str) or kind not in KINDS:
        return {"source": [f'sub_type "{kind or ""}" is not a valid choice.']}
    types = {metric[0]: metric[2] for metric in METRICS}
    if alert["source_id"] is None:
        return {"source_id": ["This field is required for a metric."]}
    if (type_of_metric := types[alert["source_id"]]) not in KINDS[kind]:
        return {"source": [f"{kind} alerts are not available for {type_of_metric} metrics."]}
    if kind in {"significant_change", "threshold"} and _not_count(source.get("window_size")):
        return {"source": ["window_size must be a positive integer."]}
    return {}


def _threshold_errors(alert: Record) -> Record:
    threshold, kind = alert["threshold"], alert["source"].get("sub_type")
    if kind == "significant_change":
        return _trend_errors(threshold)
    if kind != "threshold":
        return {}
    operator, value = threshold.get("operator"), threshold.get("value")
    if operator not in ("gt", "lt", "outside"):
        return {"threshold": [f'operator "{operator or ""}" is not a valid choice.']}
    if operator == "outside":
        edges: list[Any] = [value.get("low"), value.get("high")] if is_object(value) else []
        if not edges or not all(map(_is_number, edges)) or edges[0] > edges[1]:
            return {"threshold": ["value must be {low, high} for outside."]}
    elif not _is_number(value):
        return {"threshold": ["value must be a number."]}
    if _not_count(threshold.get("min_breaches")):
        return {"threshold": ["min_breaches must be a positive integer."]}
    if threshold["min_breaches"] > alert["source"]["window_size"]:
        return {"threshold": ["min_breaches must not exceed window_size."]}
    return {}


def _trend_errors(threshold: Record) -> Record:
    multiplier, weight = threshold.get("std_multiplier"), threshold.get("ewma_alpha")
    if not _is_number(multiplier) or multiplier <= 0:
        return {"threshold": ["std_multiplier must be a positive number."]}
    if not _is_number(weight) or not 0 < weight <= 1:
        return {"threshold": ["ewma_alpha must lie in (0, 1]."]}
    if threshold.get("direction", "") not in ("", "increase", "decrease"):
        return {"threshold": [f'direction "{threshold.get("direction")}" is not a valid choice.']}
    return {}


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _not_count(value: Any) -> bool:
    return not isinstance(value, int) or isinstance(value, bool) or value < 1


def of_fields(alert: Record, names: tuple[str, ...]) -> Record:
    return {name: alert[name] for name in names}


def shown(alert: Record, fires: list[datetime], *, whole: bool) -> Record:
    """An alert as in a list, or if ``whole`` as a single one."""
    names = {metric[0]: (metric[1], metric[2]) for metric in METRICS}
    name, kind = names.get(alert["source_id"], ("", ""))
    last = _stamp(fires[-1].replace(tzinfo=UTC)) if fires else None
    record = {**alert, "source_object_name": name, "trigger_count": len(fires), "last_triggered_at": last}
    if whole:
        details = {"id": alert["source_id"], "name": name, "eval_type": kind}
        projects = dict(PROJECTS)
        return record | {
            "project_name": projects[alert["project"]], "source_object_details": details, "last_updated_by": None,
            "last_updated_by_email": "",
        }  # fmt: skip
    return record | {"source_object_eval_type": kind, "last_triggered_at_formatted": last or "Never"}


def fires(con: duckdb.DuckDBPyConnection, alert: Record, now: datetime) -> list[datetime]:
    """The times at which the alert fired since its creation, in order."""
    kind = alert["source"].get("sub_type")
    if not alert["enabled"] or kind not in ("normal", "significant_change", "threshold"):
        return []
    sql = Sql()
    condition = to_sql(alert["source"].get("filters"), sql, now)
    rows = (
        con.cursor()
        .execute(
            "SELECT c.agent_id, c.ts, e.number FROM calls c JOIN evaluations e ON e.call_id = c.id "  # noqa: S608 - bound
            f"AND e.metric_id = {int(alert['source_id'])} WHERE e.number IS NOT NULL AND ({condition}) "
            "ORDER BY c.ts, c.id",
            sql.parameters,
        )
        .fetchall()
    )
    calls_by_agent = defaultdict[int, list[tuple[datetime, float]]](list)
    for agent, moment, number in rows:
        calls_by_agent[agent].append((moment, number))
    created = datetime.fromisoformat(alert["created_at"]).astimezone(UTC).replace(tzinfo=None)
    watch = {"normal": _failures, "significant_change": _drifts, "threshold": _crossings}[kind]
    moments = [moment for calls in calls_by_agent.values() for moment in watch(alert, calls)]
    return sorted(moment for moment in moments if moment >= created)


def _failures(_alert: Record, calls: list[tuple[datetime, float]]) -> list[datetime]:
    return [moment for moment, number in calls if number == 0]


def _drifts(alert: Record, calls: list[tuple[datetime, float]]) -> list[datetime]:
    """The calls at which the weighted mean leaves the mean of the preceding scores by the multiplier."""
    size, threshold = alert["source"]["window_size"], alert["threshold"]
    window, level, moments = deque[float](), None, list[datetime]()
    total = squares = 0.0
    wanted = {"increase": (1,), "decrease": (-1,)}.get(threshold.get("direction", ""), (1, -1))
    for moment, number in calls:
        level = number if level is None else threshold["ewma_alpha"] * number + (1 - threshold["ewma_alpha"]) * level
        if len(window) == size:
            mean = total / size
            spread = max(0.0, squares / size - mean * mean) ** 0.5
            if any(sign * (level - mean) > threshold["std_multiplier"] * spread + 1e-9 for sign in wanted):
                moments.append(moment)
            oldest = window.popleft()
            total, squares = total - oldest, squares - oldest * oldest
        window.append(number)
        total, squares = total + number, squares + number * number
    return moments


def _crossings(alert: Record, calls: list[tuple[datetime, float]]) -> list[datetime]:
    """The calls across the limit that complete the required number among the last calls."""
    threshold, recent = alert["threshold"], deque[bool](maxlen=alert["source"]["window_size"])
    moments = list[datetime]()
    operator, value = threshold["operator"], threshold["value"]
    for moment, number in calls:
        if operator == "outside":
            recent.append(not value["low"] <= number <= value["high"])
        else:
            recent.append(number > value if operator == "gt" else number < value)
        if recent[-1] and sum(recent) >= threshold["min_breaches"]:
            moments.append(moment)
    return moments


def review(alerts: list[tuple[Record, list[datetime]]], now: datetime, hours: int) -> Record:
    """The firings of the last hours: totals, a timeline, and each alert with its firings by bucket."""
    hours = min(hours, MAX_HOURS)
    width = timedelta(hours=1 if hours <= 24 else 3 if hours <= 72 else 6)  # noqa: PLR2004 - as documented
    start = now.replace(tzinfo=None) - timedelta(hours=hours)
    edges = [start + place * width for place in range(int(timedelta(hours=hours) / width))]
    rows = list[Record]()
    for alert, moments in alerts:
        recent = [moment for moment in moments if moment >= start]
        spark = [sum(edge <= moment < edge + width for moment in recent) for edge in edges]
        rows.append({"id": alert["id"], "name": alert["name"], "fires": len(recent), "sparkline": spark})
    fired = sorted((row for row in rows if row["fires"]), key=lambda row: -row["fires"])
    return {
        "hours": hours,
        "total_fires": sum(row["fires"] for row in rows),
        "unique_alerts": len(fired),
        "top_alert": fired[0]["id"] if fired else None,
        "timeline": [
            {"start": _stamp(edge.replace(tzinfo=UTC)), "fires": sum(row["sparkline"][place] for row in rows)}
            for place, edge in enumerate(edges)
        ],
        "alerts": fired,
    }
