"""What has to be done so that a dashboard is what a board says."""

from collections.abc import Callable
from typing import Any

from cekura_dashboards.api.models import WRITABLE, Dashboard, JsonObject, Widget, same
from cekura_dashboards.boards.board import Board, definition

Edits = JsonObject
"""Arguments of bulk_edit_dashboard but for the dashboard; none: nothing to do."""


def setup_changes(board: Board, stored: Dashboard, filters: JsonObject | None) -> JsonObject:
    """Arguments of update_dashboard but for the dashboard. ``filters``: the board's, with ids."""
    found: JsonObject = {}
    if board.name != stored.name:
        found["name"] = board.name
    if not same(filters, stored.stored("filters")):
        found |= {"filters": filters} if filters else {"clear": ["filters"]}
    return found


def widget_edits(wanted: list[JsonObject], stored: list[Widget]) -> Edits:
    """The widgets to create, change and delete. ``wanted``: the board's, with ids.

    A widget is known again by its name; one whose name is gone, by being the same otherwise.
    """
    pairs = _paired(wanted, stored)
    kept = {widget.id for _, widget in pairs if widget is not None}
    create = [new for new, widget in pairs if widget is None]
    update = [{"id": widget.id, **changes} for new, widget in pairs if widget and (changes := _changes(new, widget))]
    delete = [widget.id for widget in stored if widget.id not in kept]
    return {name: items for name, items in (("create", create), ("update", update), ("delete", delete)) if items}


def _paired(wanted: list[JsonObject], stored: list[Widget]) -> list[tuple[JsonObject, Widget | None]]:
    """Each wanted widget with the stored one that it is: the most alike first."""
    found, left = dict[int, Widget](), list(stored)
    alike: tuple[Callable[[JsonObject, Widget], bool], ...] = (
        lambda new, widget: not _changes(new, widget),
        lambda new, widget: new.get("name") == widget.stored("name"),
        lambda new, widget: set(_changes(new, widget)) <= {"name"},
    )
    for is_alike in alike:
        for place, new in enumerate(wanted):
            match = None if place in found else next((widget for widget in left if is_alike(new, widget)), None)
            if match is not None:
                found[place] = match
                left.remove(match)
    return [(new, found.get(place)) for place, new in enumerate(wanted)]


def _changes(new: JsonObject, stored: Widget) -> JsonObject:
    """The arguments of an update, but for the id; nothing if it is stored like this already.

    What the board does not say is empty, but for metadata: it holds the place, which a new widget is given.
    """
    given, held = definition(new), stored.writable()
    names = [name for name in WRITABLE if name != "metadata" or "metadata" in new]
    changed = [name for name in names if not same(given.get(name), held[name])]
    found: dict[str, Any] = {name: given[name] for name in changed if name in given}
    clear = [name for name in changed if name not in given or name == "metadata"]
    return found | ({"clear": clear} if clear else {})
