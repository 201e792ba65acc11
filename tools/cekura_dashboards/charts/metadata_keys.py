"""Which keys calls carry in their metadata: learnt from the widgets of a project, and from a page of its calls.

The API's documents do not say that a listed call holds its metadata; where it does, its keys and values are seen.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from msgspec import Struct, field

from cekura_dashboards.api.errors import DashboardsError
from cekura_dashboards.api.fields import is_metadata
from cekura_dashboards.api.filters import fields_of, instant, within
from cekura_dashboards.api.models import CallLog, Widget
from cekura_dashboards.charts.window import Window
from cekura_dashboards.concurrency import together
from cekura_dashboards.context import ToolContext

CALLS_SEEN = 20
"""Each comes with its whole transcript."""
VALUES_SHOWN = 3
NAME = "metadata."


class MetadataKey(Struct, frozen=True):
    """A key as a field, ``metadata.KEY``: how many widgets use it, and in how many of the calls seen it occurs."""

    field: str
    widgets: int
    calls: int
    values: list[str]


class KnownKeys(Struct, frozen=True):
    """The keys, those of most calls and widgets first; the calls that were looked at; and what could not be read."""

    keys: list[MetadataKey] = field(default_factory=list[MetadataKey])
    seen: int = 0
    shown: bool = False
    """Whether calls show their metadata at all."""
    requests: int = 0
    notes: list[str] = field(default_factory=list[str])


async def known_keys(context: ToolContext, project: int | None, window: Window) -> KnownKeys:
    """What is known of a project's metadata, from its widgets and from calls of a window, read beside each other."""
    notes, calls = list[str](), list[CallLog]()

    async def read_calls() -> None:
        if project is None:
            return
        start, end = instant(window.start), instant(window.end)
        scope = within(window.start, window.end)
        try:
            _, found = await context.api.call_logs(project, scope, start=start, end=end, limit=CALLS_SEEN)
            calls.extend(found)
        except DashboardsError as error:
            notes.append(f"keys of calls could not be read: {error}")

    widgets = list[Widget]()

    async def read_widgets() -> None:
        try:
            known, projects = await together(context.lookups.all_widgets(), context.lookups.projects_of_dashboards())
        except DashboardsError as error:
            notes.append(f"keys that other widgets use could not be read: {error}")
            return
        widgets.extend(w for w in known if project is None or projects.get(w.dashboard or 0) == project)

    await together(read_calls(), read_widgets())
    asked = int(project is not None)
    return KnownKeys(_ranked(widgets, calls), len(calls), any(call.metadata for call in calls), asked, notes)


def used_keys(widgets: Iterable[Widget]) -> Counter[str]:
    """The keys that widgets plot, filter or group by, and how many widgets do."""
    used = Counter[str]()
    for widget in widgets:
        names = [widget.field or "", str((widget.group_by or {}).get("field") or ""), *fields_of(widget.filters)]
        used.update({name for name in names if is_metadata(name)})
    return used


def _ranked(widgets: Iterable[Widget], calls: Sequence[CallLog]) -> list[MetadataKey]:
    used, values = used_keys(widgets), defaultdict[str, Counter[str]](Counter)
    for call in calls:
        for key, value in (call.metadata or {}).items():
            if is_metadata(f"{NAME}{key}") and isinstance(value, str | int | float) and str(value):
                values[f"{NAME}{key}"][str(value)] += 1
    found = [
        MetadataKey(
            name, used[name], values[name].total(), [text for text, _ in values[name].most_common(VALUES_SHOWN)]
        )
        for name in {*used, *values}
    ]
    return sorted(found, key=lambda key: (-key.calls, -key.widgets, key.field))
