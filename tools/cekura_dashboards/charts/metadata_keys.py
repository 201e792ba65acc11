"""Which keys calls carry in their metadata: learnt from the widgets of a project, and from a page of its calls.

The API's documents do not say that a listed call holds its metadata; where it does, its keys and values are seen.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from msgspec import Struct, field

from cekura_dashboards.api.errors import DashboardsError, Fault, InvalidArguments
from cekura_dashboards.api.filters import fields_of, instant, within
from cekura_dashboards.api.models import (
    CallLog,
    Widget,
    as_list,
    filter_field,
    is_metadata,
    no_such_measure,
    plotted_type,
)
from cekura_dashboards.charts.window import Window
from cekura_dashboards.context import ToolContext, gather
from cekura_dashboards.text import UntrustedText, join_names, nearest

CALLS_READ = 20
"""Each comes with its whole transcript."""
MAX_VALUES = 3
RECENT = timedelta(days=7)
NAME = "metadata."


class MetadataKey(Struct, frozen=True):
    """A key as a field, ``metadata.KEY``: how many widgets use it, and in how many of the calls seen it occurs."""

    field: str
    widgets: int
    calls: int
    values: list[str]


class MetadataKeys(Struct, frozen=True):
    """The keys, those of most calls and widgets first; the calls that were looked at; and what could not be read."""

    keys: list[MetadataKey] = field(default_factory=list[MetadataKey])
    calls_read: int = 0
    have_metadata: bool = False
    """Whether calls show their metadata at all."""
    requests: int = 0
    notes: list[str] = field(default_factory=list[str])


async def read_metadata_keys(context: ToolContext, project: int | None, window: Window) -> MetadataKeys:
    """What is known of a project's metadata, from its widgets and from calls of a window, read beside each other."""
    notes, calls = list[str](), list[CallLog]()

    async def read_calls() -> None:
        if project is None:
            return
        start, end = instant(window.start), instant(window.end)
        scope = within(window.start, window.end)
        try:
            _, logs = await context.api.call_logs(project, scope, start=start, end=end, limit=CALLS_READ)
            calls.extend(logs)
        except DashboardsError as error:
            notes.append(f"keys of calls could not be read: {error}")

    widgets = list[Widget]()

    async def read_widgets() -> None:
        try:
            saved_widgets, projects = await gather(
                context.lookups.all_widgets(), context.lookups.projects_of_dashboards()
            )
        except DashboardsError as error:
            notes.append(f"keys that other widgets use could not be read: {error}")
            return
        widgets.extend(w for w in saved_widgets if project is None or projects.get(w.dashboard or 0) == project)

    await gather(read_calls(), read_widgets())
    requests = int(project is not None)
    return MetadataKeys(_rank(widgets, calls), len(calls), any(call.metadata for call in calls), requests, notes)


async def with_known_keys(context: ToolContext, error: InvalidArguments, raw: Mapping[str, Any]) -> InvalidArguments:
    """The same faults; those about an unknown field that may be a key of metadata tell the keys that there are."""
    if not any(_may_be_key(fault) for fault in error.faults):
        return error
    try:
        project = await _project(context, raw)
    except DashboardsError:
        return error  # what is wrong is told without them
    known = await read_metadata_keys(context, project, Window(context.now() - RECENT, context.now(), "default"))
    names = [key.field for key in known.keys]
    if not names:
        return error
    lead = f"Keys that {'occur' if known.have_metadata else 'widgets use'}"
    faults = [_with_keys(fault, names, lead) if _may_be_key(fault) else fault for fault in error.faults]
    return InvalidArguments(faults, lead=error.lead, more=error.more)


def _may_be_key(fault: Fault) -> bool:
    """Whether the field is like a key, and no other field is offered for it."""
    unknown = fault.unknown
    if unknown is None or not unknown.name.isidentifier() or _is_known(unknown.name):
        return False
    near = "did you mean" in fault.message and "metadata.KEY" not in fault.message
    return not near and (unknown.value is None or isinstance(unknown.value, str | int | float))


def _is_known(name: str) -> bool:
    return any((filter_field(name), plotted_type(name), no_such_measure(name)))


async def _project(context: ToolContext, raw: Mapping[str, Any]) -> int | None:
    """The project of what the arguments name by id, as far as it is known."""
    numbers = [raw.get("widget_id"), *(as_list(raw.get("widget_ids")) or [])]
    known, projects = await gather(context.lookups.all_widgets(), context.lookups.projects_of_dashboards())
    boards = {widget.id: widget.dashboard for widget in known}
    on = [raw.get("dashboard_id"), *(boards.get(number) for number in numbers if isinstance(number, int))]
    candidates = [projects.get(number) for number in on if isinstance(number, int)]
    return next((project for project in candidates if project is not None), context.settings.project_id)


def _with_keys(fault: Fault, names: Sequence[str], lead: str) -> Fault:
    """The fault with the nearest key in its example, if one is near, and all keys behind it."""
    key = fault.unknown.name if fault.unknown else ""
    plain = {name.removeprefix(NAME): name for name in names if name.removeprefix(NAME).isidentifier()}
    holding = (name for part, name in plain.items() if key.casefold() in part.casefold())
    near = next(holding, None) or plain.get(nearest(key, plain) or "")
    exact = f"{NAME}{key}"
    message = fault.message if exact in names or not near else fault.message.replace(exact, near)
    return fault._replace(message=f"{message} {lead}: {join_names([str(UntrustedText(name)) for name in names])}.")


def used_keys(widgets: Iterable[Widget]) -> Counter[str]:
    """The keys that widgets plot, filter or group by, and how many widgets do."""
    used = Counter[str]()
    for widget in widgets:
        names = [widget.field or "", str((widget.group_by or {}).get("field") or ""), *fields_of(widget.filters)]
        used.update({name for name in names if is_metadata(name)})
    return used


def _rank(widgets: Iterable[Widget], calls: Sequence[CallLog]) -> list[MetadataKey]:
    used, values = used_keys(widgets), defaultdict[str, Counter[str]](Counter)
    for call in calls:
        for key, value in (call.metadata or {}).items():
            if is_metadata(f"{NAME}{key}") and isinstance(value, str | int | float) and str(value):
                values[f"{NAME}{key}"][str(value)] += 1
    keys = [
        MetadataKey(name, used[name], values[name].total(), [text for text, _ in values[name].most_common(MAX_VALUES)])
        for name in {*used, *values}
    ]
    return sorted(keys, key=lambda key: (-key.calls, -key.widgets, key.field))
