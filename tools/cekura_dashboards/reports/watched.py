"""The alerts on charts, the alerts on metrics that no chart shows, and the alerts that fired."""

import math
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

from pydantic import BaseModel, Field

from cekura_dashboards.api.errors import DashboardsError, Forbidden, NotFound
from cekura_dashboards.api.filters import in_words
from cekura_dashboards.api.models import METRIC_VALUE, Alert, Dashboard, SomeWidgets, Widget, as_object
from cekura_dashboards.arguments.alert import setting_text
from cekura_dashboards.charts.target import Window
from cekura_dashboards.context import ToolContext, gather_by_id
from cekura_dashboards.text import SafeText, UntrustedText, clean, counted, join_names, named, noun_and_names, untrusted

ALERT_HISTORY = timedelta(hours=168)
"""How far back the API reports how often alerts fired, as documented."""
HOUR = timedelta(hours=1)
NOW = timedelta(minutes=1)
"""A window that ended at most this long ago counts as reaching to now."""
MAX_ALERTS, MAX_WIDGETS = 12, 6
"""Maximum listed; the rest is counted."""


class AlertShown(BaseModel):
    """An alert, and the charts that show what it watches."""

    id: int
    name: UntrustedText | None = None
    setting: SafeText
    off: bool | None = None
    metric: int | None = None
    where: str | None = Field(default=None, description="the calls that it watches, if not all")
    widgets: list[int] | None = Field(default=None, description="that show its metric; absent: no chart does")


def metrics_of(widgets: Collection[Widget]) -> dict[int, list[int]]:
    """The widgets that plot each metric."""
    widgets_by_metric = dict[int, list[int]]()
    for widget in widgets:
        if widget.field == METRIC_VALUE and widget.metric is not None:
            widgets_by_metric.setdefault(widget.metric, []).append(widget.id)
    return widgets_by_metric


def alerts_on_charts(
    widgets: Collection[Widget], alerts: Sequence[Alert], elsewhere: Collection[Widget]
) -> list[AlertShown]:
    """The alerts on metrics of these widgets, and those on metrics that no widget shows, here or elsewhere."""
    here, others = metrics_of(widgets), metrics_of(elsewhere)
    listed = [alert for alert in alerts if alert.source_id in here or alert.source_id not in others]
    return [_shown(alert, here.get(alert.source_id or 0)) for alert in listed if alert.source_id is not None]


def _shown(alert: Alert, widgets: list[int] | None) -> AlertShown:
    filters = as_object((alert.source or {}).get("filters"))
    return AlertShown(
        id=alert.id,
        name=untrusted(alert.name),
        setting=setting_text(alert),
        off=True if alert.enabled is False else None,
        metric=alert.source_id,
        where=in_words(filters) if filters else None,
        widgets=widgets,
    )


def alert_lines(alerts: Sequence[AlertShown] | None, *, whole: bool = True) -> list[str]:
    """A line for each alert. ``whole``: every chart of the project was checked."""
    return [_line(alert, whole=whole) for alert in alerts or []]


def omitted_alerts(alerts: Sequence[AlertShown]) -> list[str]:
    """The note on alerts beyond those that an answer lists."""
    more = len(alerts) - MAX_ALERTS
    return [f"{more} more alerts (look_up alerts lists them)"] if more > 0 else []


def _line(alert: AlertShown, *, whole: bool) -> str:
    head = f"alert {alert.id} {named(alert.name)}, {alert.setting}{', off' if alert.off else ''}"
    head += f", where {alert.where}" if alert.where else ""
    if alert.widgets:
        return f"{head}: {noun_and_names('widget', alert.widgets, limit=MAX_WIDGETS)}"
    coverage = "no chart shows" if whole else "none of the charts checked shows"
    return f"{head}: watches metric {alert.metric}, which {coverage}"


async def alerts_of(context: ToolContext, project: int | None) -> tuple[list[Alert], list[str]]:
    """The alerts of a project; a note says if they could not be read."""
    if project is None:
        return [], []
    try:
        return await context.lookups.alerts(project), []
    except DashboardsError as error:
        return [], [_not_looked_at(error)]


def _not_looked_at(error: DashboardsError) -> str:
    if isinstance(error, Forbidden | NotFound):
        return f"alerts were not read ({error.status})"
    return f"alerts could not be read: {clean(str(error), limit=120)}"


class Fired(NamedTuple):
    """The alerts that fired, in a line, or the reason why that is unknown; and the number of requests."""

    notes: list[str]
    requests: int


async def fired_in(
    context: ToolContext, window: Window, projects: Collection[int], widgets: Collection[Widget]
) -> Fired:
    """The alerts that fired in a window; no notes without alerts."""
    alerts, notes = dict[int, Alert](), list[str]()
    for project in sorted(projects):
        listed, notes = await alerts_of(context, project)
        alerts |= {alert.id: alert for alert in listed if alert.source_id is not None}
    if not alerts:
        return Fired(notes, 1)
    now = context.now()
    if window.start < now - ALERT_HISTORY - NOW:
        return Fired(["alerts were not read: the API reports how often they fired for the last 7 days only"], 1)
    first, last = _hours(now - window.start), 0 if now - window.end <= NOW else _hours(now - window.end)
    numbers = {alert.project for alert in alerts.values()} & {*projects}
    counts, failed = await _counts(context, numbers, first, last)
    requests = 1 + len(numbers) * (2 if last else 1)
    if failed is not None:
        return Fired([_not_looked_at(failed)], requests)
    span = f"in the last {_duration(first)}" if not last else f"from {first} h to {last} h ago"
    fired = {number: count for number, count in counts.items() if number in alerts and count > 0}
    if not fired:
        return Fired([f"none of {counted(len(alerts), 'alert')} fired {span}"], requests)
    shown = metrics_of(widgets)
    ordered = sorted(fired, key=lambda number: (-fired[number], number))
    parts = [
        f"{n} {named(alerts[n].name)} {fired[n]} time{'s' * (fired[n] != 1)} ({_of(alerts[n], shown)})" for n in ordered
    ]
    return Fired([f"alerts that fired {span}: {join_names(parts, limit=MAX_ALERTS)}"], requests)


def _hours(span: timedelta) -> int:
    return min(math.ceil((span - NOW) / HOUR), ALERT_HISTORY // HOUR)


def _duration(hours: int) -> str:
    days, rest = divmod(hours, 24)
    return f"{days} days" if days > 1 and not rest else f"{hours} h"


def _of(alert: Alert, shown: Mapping[int, list[int]]) -> str:
    widgets = shown.get(alert.source_id or 0)
    return noun_and_names("widget", widgets, limit=MAX_WIDGETS) if widgets else f"metric {alert.source_id}"


async def _counts(
    context: ToolContext, projects: Collection[int | None], first: int, last: int
) -> tuple[dict[int, int], DashboardsError | None]:
    """How often each alert fired between two times, in hours ago; and the first error, if any."""
    numbers = sorted(project for project in projects if project is not None)
    asked = dict(enumerate((n, hours) for n in numbers for hours in (first, last) if hours))

    async def ask(place: int) -> dict[int, int]:
        return await context.lookups.alert_fires(*asked[place])

    answers, failed = await gather_by_id(asked, ask)
    counts = dict[int, int]()
    for place, fires in answers.items():
        sign = 1 if asked[place][1] == first else -1
        for number, count in fires.items():
            counts[number] = counts.get(number, 0) + sign * count
    return counts, next(iter(failed.values()), None)


class DashboardAlerts(NamedTuple):
    """The alerts for a dashboard. ``whole``: every chart was checked, if that matters."""

    alerts: list[AlertShown]
    notes: list[str]
    whole: bool = True


async def alerts_of_dashboard(
    context: ToolContext, dashboard: Dashboard, read: Callable[[], Awaitable[SomeWidgets]]
) -> DashboardAlerts:
    """The alerts on the charts of a dashboard, and those on metrics that no chart shows.

    ``read``: returns the charts of all dashboards; called only if that matters.
    """
    alerts, notes = await alerts_of(context, dashboard.project)
    here = metrics_of(dashboard.widgets)
    elsewhere, whole = list[Widget](), True
    if any(alert.source_id not in here for alert in alerts):
        try:
            elsewhere, whole = await read()
        except DashboardsError as error:
            alerts = [alert for alert in alerts if alert.source_id in here]
            notes = [*notes, f"which alerts no chart shows could not be read: {clean(str(error), limit=120)}"]
    shown = alerts_on_charts(dashboard.widgets, alerts, elsewhere)
    return DashboardAlerts(shown, notes, whole or all(alert.widgets for alert in shown))
