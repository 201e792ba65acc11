"""The routes of alerts."""

import json
from datetime import datetime, timedelta
from typing import Annotated, Any, Protocol

import duckdb
from fastapi import APIRouter, Query

from cekura_sandbox import alerts
from cekura_sandbox.bodies import Body, JsonBody, Number
from cekura_sandbox.refusals import Invalid
from cekura_sandbox.shapes import ALERT_BODY, ALERT_CHANGES, AlertChangesShape, AlertShape, answers, takes
from cekura_sandbox.store import Store


class AlertWorld(Protocol):
    """Where alerts are stored, and the calls that they watch."""

    store: Store

    @property
    def con(self) -> duckdb.DuckDBPyConnection: ...

    def now(self) -> datetime: ...


def alert_routes(world: AlertWorld) -> APIRouter:  # noqa: C901 - a router is a list of routes
    router = APIRouter(prefix="/observability/v1/alerts", tags=["alerts"])
    known = dict[tuple[int, str], list[datetime]]()

    def fires(alert: Body) -> list[datetime]:
        """When an alert fired. The calls stay as they are, so each setting is worked out once."""
        setting = id(world.con), json.dumps(alert, sort_keys=True)
        if setting not in known:
            known[setting] = alerts.fires(world.con, alert, world.now())
        return known[setting]

    @router.get("/", **answers(list[AlertShape]))
    def list_alerts(
        project_id: int | None = None,
        source_type: str | None = None,
        enabled: bool | None = None,  # noqa: FBT001 - a parameter of the query
        search: str = "",
        ordering: str = "",
    ) -> list[Body]:
        if source_type not in (None, "metric"):
            raise Invalid({"source_type": [f"Select a valid choice. {source_type} is not one of them."]})
        rows = world.store.alerts.list(project_id, enabled=enabled, search=search)
        if (name := ordering.removeprefix("-")) in {"id", "name", "created_at", "updated_at"}:
            rows.sort(key=lambda alert: alert[name], reverse=ordering.startswith("-"))
        return [alerts.shown(alert, fires(alert), whole=False) for alert in rows]

    @router.post("/", **answers(AlertShape, status=201), **takes(ALERT_BODY, "name", "project", "source_type"))
    def create_alert(body: JsonBody) -> Body:
        return alerts.of_fields(world.store.alerts.create(body), alerts.ANSWERED_TO_CREATE)

    @router.get("/review/", **answers(Any))
    def review(project_id: int | None = None, hours: Annotated[int, Query(ge=1)] = 24) -> Body:
        rows = [(alert, fires(alert)) for alert in world.store.alerts.list(project_id)]
        return alerts.review(rows, world.now(), hours)

    @router.get("/trigger_summary/", **answers(Any))
    def trigger_summary(project_id: int | None = None, hours: Annotated[int, Query(ge=1)] = 24) -> Body:
        if project_id is None:
            raise Invalid({"project_id": ["This field is required."]})
        start = world.now().replace(tzinfo=None) - timedelta(hours=min(hours, alerts.MAX_HOURS))
        return {
            str(alert["id"]): sum(moment >= start for moment in fires(alert))
            for alert in world.store.alerts.list(project_id)
        }

    @router.get("/{id}/", **answers(AlertShape))
    def get_alert(number: Number) -> Body:
        alert = world.store.alerts.get(number)
        return alerts.shown(alert, fires(alert), whole=True)

    @router.patch("/{id}/", **answers(AlertChangesShape), **takes(ALERT_CHANGES))
    def update_alert(number: Number, body: JsonBody) -> Body:
        return alerts.of_fields(world.store.alerts.update(number, body), alerts.ANSWERED_TO_UPDATE)

    @router.delete("/{id}/", **answers(None, status=204))
    def delete_alert(number: Number) -> None:
        world.store.alerts.delete(number)

    return router
