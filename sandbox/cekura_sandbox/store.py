"""Dashboards and widgets: those of a new sandbox, the stored ones, and their rules."""

from collections.abc import Callable, Collection
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import RLock
from typing import Any

from cekura_sandbox.alerts import AlertStore
from cekura_sandbox.calls import METRICS, PROJECTS, RELEASE_AGENT
from cekura_sandbox.charts import AGGREGATIONS, CHARTS, FIELD_TYPES, GROUP_COLUMNS
from cekura_sandbox.filters import MAX_NAME, FilterError, Invalid, Missing, Sql, is_list, is_object, to_sql


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


Record = dict[str, Any]
DASHBOARD_FIELDS = ("name", "project", "filters")
WIDGET_DEFAULTS: Record = {
    "dashboard": None, "name": None, "chart_type": None, "field": "", "metric": None, "data_type": None,
    "time_period": None, "aggregation_function": None, "group_by": None, "filters": None, "metadata": None,
}  # fmt: skip
CHOICES: dict[str, list[str | None]] = {
    "chart_type": ["line", "bar", "pie", "stat"],
    "data_type": ["numeric", "boolean", "string", "datetime", "dynamic", "", None],
    "time_period": ["hour", "day", "week", "month", "", None],
    "aggregation_function": ["count", "sum", "avg", "min", "max", "p50", "p95", "p99", "", None],
}


class Store:
    """Everything that can be edited. Each public method is one transaction.

    Stored objects are replaced, never changed in place, so returned objects and the state for a rollback
    need no copy.
    """

    def __init__(self, now: Callable[[], datetime], *, scored: bool = False) -> None:
        """``scored``: binary metrics are scores, and can be charted as any number."""
        self._now = now
        self._scored = scored
        self._lock = RLock()
        self._dashboards: dict[int, Record] = {}
        self._widgets: dict[int, Record] = {}
        self._next_dashboard, self._next_widget = 11, 201
        self.alerts = AlertStore(now)
        self.daily_reports: dict[int, list[int]] = {1: [11], 2: []}
        """The dashboards in the daily report of each project."""
        for sample in DASHBOARDS:
            dashboard = self.create_dashboard({k: v for k, v in sample.items() if k != "widgets"})
            self.bulk(dashboard["id"], {"create": sample["widgets"]})

    @contextmanager
    def _transaction(self) -> Any:
        with self._lock:
            before = {**self._dashboards}, {**self._widgets}
            try:
                yield
            except Exception:
                self._dashboards, self._widgets = before
                raise

    def dashboards(self, project: int | None = None) -> list[Record]:
        with self._lock:
            dashboards = [d for d in self._dashboards.values() if project is None or d["project"] == project]
            return [{**d, "widget_count": str(len(self._of(d["id"])))} for d in dashboards]

    def dashboard(self, number: int) -> Record:
        with self._lock:
            if number not in self._dashboards:
                raise Missing
            widgets = [self.widget(w["id"]) for w in self._of(number)]
            return {
                **self._dashboards[number],
                "widgets": widgets,
                "widget_count": str(len(widgets)),
            }

    def create_dashboard(self, body: Record) -> Record:
        with self._transaction():
            number = self._next_dashboard
            self._next_dashboard += 1
            stamp = self._stamp()
            self._dashboards[number] = {
                "id": number, "name": None, "project": None, "filters": None, "created_at": stamp, "updated_at": stamp,
            }  # fmt: skip
            return self.update_dashboard(number, body)

    def update_dashboard(self, number: int, body: Record) -> Record:
        with self._transaction():
            if number not in self._dashboards:
                raise Missing
            changes = {name: body[name] for name in DASHBOARD_FIELDS if name in body}
            errors = _text_errors(changes, "name") | self._filter_errors(changes)
            errors |= _pk_errors(changes, "project", [project[0] for project in PROJECTS])
            if errors:
                raise Invalid(errors)
            self._dashboards[number] = self._dashboards[number] | changes | {"updated_at": self._stamp()}
            return self.dashboard(number)

    def delete_dashboard(self, number: int) -> None:
        with self._transaction():
            if self._dashboards.pop(number, None) is None:
                raise Missing
            self._widgets = {k: w for k, w in self._widgets.items() if w["dashboard"] != number}
            self.daily_reports = {
                project: [one for one in reported if one != number] for project, reported in self.daily_reports.items()
            }

    def report_daily(self, project: int, body: Record) -> None:
        """Set the dashboards in the daily report of a project."""
        with self._lock:
            if project not in self.daily_reports:
                raise Missing
            if (numbers := body.get("daily_report_dashboard_ids")) is None:
                return
            if not is_list(numbers) or not all(_is_pk(number) for number in numbers):
                raise Invalid({"daily_report_dashboard_ids": ["A list of ids is expected."]})
            if strangers := [number for number in numbers if number not in self._dashboards]:
                raise Invalid({"daily_report_dashboard_ids": [f"Dashboards not found: {strangers}"]})
            self.daily_reports = {**self.daily_reports, project: [*numbers]}

    def duplicate(self, number: int, body: Record) -> Record:
        with self._transaction():
            original = self.dashboard(number)
            name = body.get("name") or f"Copy of {original['name']}"
            copy = self.create_dashboard({**original, "name": name})
            self.bulk(copy["id"], {"create": [_writable(w) for w in original["widgets"]]})
            return self.dashboard(copy["id"])

    def widgets(self, dashboard: int | None = None) -> list[Record]:
        with self._lock:
            widgets = self._widgets.values() if dashboard is None else self._of(dashboard)
            return [self.widget(w["id"]) for w in widgets]

    def widget(self, number: int) -> Record:
        with self._lock:
            if number not in self._widgets:
                raise Missing
            stored = {**self._widgets[number]}
            names = {m[0]: m[1] for m in METRICS}
            if stored["metric"] in names:
                stored["metric_name"] = names[stored["metric"]]
            dashboard = self._dashboards.get(stored["dashboard"], {})
            stored["effective_filters"] = both(dashboard.get("filters"), stored["filters"])
            return stored

    def project_of(self, widget: Record) -> int | None:
        with self._lock:
            project: int | None = self._dashboards.get(widget.get("dashboard") or 0, {}).get("project")
            return project

    def create_widget(self, body: Record) -> Record:
        with self._transaction():
            config = self.checked(WIDGET_DEFAULTS | _writable(body))
            number = self._next_widget
            self._next_widget += 1
            stamp = self._stamp()
            self._widgets[number] = {"id": number, **config, "created_at": stamp, "updated_at": stamp}
            return self.widget(number)

    def update_widget(self, number: int, body: Record) -> Record:
        with self._transaction():
            if number not in self._widgets:
                raise Missing
            stored = self._widgets[number]
            config = self.checked({k: stored[k] for k in WIDGET_DEFAULTS} | _writable(body))
            self._widgets[number] = stored | config | {"updated_at": self._stamp()}
            return self.widget(number)

    def delete_widget(self, number: int) -> None:
        with self._transaction():
            if self._widgets.pop(number, None) is None:
                raise Missing

    def bulk(self, dashboard: int, body: Record) -> Record:
        """Create, update and delete widgets of one dashboard in one transaction."""
        with self._transaction():
            mine = {w["id"] for w in self.dashboard(dashboard)["widgets"]}
            creates, updates = _objects(body, "create"), _objects(body, "update")
            deletes: list[Any] = body.get("delete") or []
            if not is_list(deletes) or not all(_is_pk(number) for number in deletes):
                raise Invalid({"delete": ["A list of ids is expected."]})
            named = [*(item.get("id") for item in updates), *deletes]
            if strangers := [number for number in named if number not in mine]:
                raise Invalid({"detail": f"Widgets not found in this dashboard: {strangers}"})
            created = [self.create_widget({**item, "dashboard": dashboard}) for item in creates]
            updated = [self.update_widget(item["id"], item) for item in updates]
            for number in deletes:
                self.delete_widget(number)
            return {"created": created, "updated": updated, "deleted": deletes}

    def checked(self, config: Record) -> Record:
        """Return the configuration if the API would take it.

        Raises:
            Invalid: with a list of messages per field.
        """
        errors: Record = {}
        for name, choices in CHOICES.items():
            if not isinstance(config[name], str | None) or config[name] not in choices:
                errors[name] = ["This field is required."] if config[name] is None else [
                    f'"{config[name]}" is not a valid choice.'
                ]  # fmt: skip
        errors |= _text_errors(config, "name") | _text_errors(config, "field") | self._filter_errors(config)
        errors |= _pk_errors(config, "dashboard", self._dashboards) | _pk_errors(config, "metric", None)
        if not errors:
            errors = _plot_errors(config, scored=self._scored) | _group_errors(config["group_by"])
        if errors:
            raise Invalid(errors)
        return config

    def _of(self, dashboard: int) -> list[Record]:
        return [w for w in self._widgets.values() if w["dashboard"] == dashboard]

    def _filter_errors(self, config: Record) -> Record:
        try:
            to_sql(config.get("filters"), Sql(), self._now())
        except FilterError as error:
            return {"filters": [str(error)]}
        return {}

    def _stamp(self) -> str:
        return self._now().astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def both(first: Any, second: Any) -> Record:
    """AND of two filters, each of which may be empty."""
    present = [f for f in (first, second) if f]
    if len(present) < 2:  # noqa: PLR2004 - two are given
        return present[0] if present else {}
    return {"operator": "and", "conditions": present}


def _writable(body: Record) -> Record:
    return {name: body[name] for name in WIDGET_DEFAULTS if name in body}


def _is_pk(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _pk_errors(config: Record, name: str, existing: Collection[int] | None) -> Record:
    """``existing`` None: which ones exist is checked elsewhere."""
    value = config.get(name)
    if value is None:
        return {}
    if not _is_pk(value):
        return {name: [f"Incorrect type. Expected pk value, received {type(value).__name__}."]}
    return {} if existing is None or value in existing else {name: [f'Invalid pk "{value}" - object does not exist.']}


def _objects(body: Record, name: str) -> list[Record]:
    items: Any = body.get(name) or []
    if not is_list(items) or not all(is_object(item) for item in items):
        raise Invalid({name: ["A list of objects is expected."]})
    return items


def _text_errors(config: Record, name: str) -> Record:
    value = config.get(name)
    if value is None and name == "name":
        return {}
    if name in config and not isinstance(value, str):
        return {name: ["Not a valid string."]}
    if isinstance(value, str) and len(value) > MAX_NAME:
        return {name: [f"Ensure this field has no more than {MAX_NAME} characters."]}
    return {}


def _plot_errors(config: Record, *, scored: bool) -> Record:
    chart, field = config["chart_type"], config["field"]
    if chart == "stat":
        return {}
    if field == "metric_evaluations.value":
        return _metric_errors(config, scored=scored)
    if field.startswith("metadata.") and field.count(".") == 1:
        kind = "string"
    elif field in FIELD_TYPES:
        kind = FIELD_TYPES[field][0]
    else:
        return {"field": [f"Unsupported field: {field}" if field else "This field is required."]}
    if chart not in CHARTS[kind]:
        return {"chart_type": [f"{chart} is not valid for a {kind} field."]}
    return _bar_errors(config, AGGREGATIONS[kind])


def _metric_errors(config: Record, *, scored: bool) -> Record:
    types = {m[0]: m[2] for m in METRICS}
    if config["metric"] is None:
        return {"metric": ["This field is required when field is 'metric_evaluations.value'."]}
    if config["metric"] not in types:
        return {"metric": [f'Invalid pk "{config["metric"]}" - object does not exist.']}
    number = ("numeric", {"line", "bar", "pie"})
    kind, charts = {
        "enum": ("string", {"pie"}),
        "binary": number if scored else ("boolean", {"pie", "bar"}),
        "numeric": number,
        "continuous_qualitative": number,
    }[types[config["metric"]]]
    if config["chart_type"] not in charts:
        return {"chart_type": [f"{config['chart_type']} is not valid for this metric."]}
    return _bar_errors(config, AGGREGATIONS[kind])


def _bar_errors(config: Record, functions: set[str]) -> Record:
    if config["chart_type"] != "bar":
        return {}
    errors: Record = {
        name: ["This field is required for bar charts."]
        for name in ("aggregation_function", "time_period")
        if not config[name]
    }
    if not errors and config["aggregation_function"] not in functions:
        errors["aggregation_function"] = [f"{config['aggregation_function']} is not valid for this field."]
    return errors


def _group_errors(group_by: Any) -> Record:
    if not group_by:
        return {}
    wrong: Record = {"group_by": ["Invalid group by configuration."]}
    if not is_object(group_by):
        return wrong
    if group_by.get("type") == "bucket":
        interval = group_by.get("interval")
        return {} if isinstance(interval, int) and interval > 0 else wrong
    name = str(group_by.get("field"))
    is_known = name in GROUP_COLUMNS or (name.startswith("metadata.") and name.count(".") == 1)
    return {} if group_by.get("type") == "field" and is_known else wrong
