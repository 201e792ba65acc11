"""Dashboards and widgets by number, or by their exact name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from cekura_dashboards.api.errors import Fault, InvalidArguments
from cekura_dashboards.context import ToolContext
from cekura_dashboards.text import named, nearest

MOST_READ = 1000
"""Dashboards, or widgets, that are looked through for a name."""
MOST_NAMES_SHOWN = 6


@dataclass(frozen=True)
class Reference:
    """Marks an id for which a name may be given."""

    kind: Literal["dashboard", "widget"]


DashboardId = Annotated[int, Reference("dashboard")]
WidgetId = Annotated[int, Reference("widget")]


@dataclass(frozen=True)
class GivenName:
    """A name that stands where an id is wanted. ``path`` is where, for people."""

    kind: Literal["dashboard", "widget"]
    text: str
    path: str


async def resolve(context: ToolContext, names: Iterable[GivenName], dashboard_id: int | None) -> dict[GivenName, int]:
    """The id of each name. ``dashboard_id``: where to look for widgets; None: everywhere.

    Raises:
        InvalidArguments: for names that nothing has, with the nearest, or that several have, with their ids.
    """
    found, faults = dict[GivenName, int](), list[Fault]()
    for kind in ("dashboard", "widget"):
        wanted = [name for name in names if name.kind == kind]
        if not wanted:
            continue
        known = await (_dashboards(context) if kind == "dashboard" else _widgets(context, dashboard_id))
        for name in wanted:
            ids = _matching(name.text, known)
            if len(ids) == 1:
                found[name] = ids[0]
            else:
                faults.append(Fault(name.path, _problem(name, ids, known)))
    if faults:
        raise InvalidArguments(faults, lead="Not found.")
    return found


def _matching(text: str, known: Mapping[int, str]) -> list[int]:
    """The ids of that name; if none has it, of the same name in other capitals."""
    exact = [number for number, name in known.items() if name == text]
    folded = text.strip().casefold()
    return exact or [number for number, name in known.items() if name.strip().casefold() == folded]


def _problem(name: GivenName, ids: list[int], known: Mapping[int, str]) -> str:
    if ids:
        shown = ", ".join(str(number) for number in ids[:MOST_NAMES_SHOWN])
        return f"{len(ids)} {name.kind}s are called {named(name.text)}; give the id: {shown}."
    if match := nearest(name.text, known.values()):
        number = next(number for number, title in known.items() if title == match)
        return f"no {name.kind} {named(name.text)}; there is {named(match)} ({number})."
    tool = "list_dashboards shows them" if name.kind == "dashboard" else "get_dashboard lists a dashboard's widgets"
    return f"no {name.kind} {named(name.text)}; {tool}."


async def _dashboards(context: ToolContext) -> dict[int, str]:
    found = dict[int, str]()
    async for rows in context.api.list_dashboards():
        found |= {row.id: row.name for row in rows if row.name}
        if len(found) >= MOST_READ:
            break
    return found


async def _widgets(context: ToolContext, dashboard_id: int | None) -> dict[int, str]:
    if dashboard_id is not None:
        dashboard = await context.lookups.dashboard(dashboard_id)
        return {widget.id: widget.name for widget in dashboard.widgets if widget.name}
    found = dict[int, str]()
    async for widgets in context.api.list_widgets():
        found |= {widget.id: widget.name for widget in widgets if widget.name}
        if len(found) >= MOST_READ:
            break
    return found
