"""What has to be done so that a dashboard is what a board says."""

from collections.abc import Callable
from typing import Any

from cekura_dashboards.api.models import WRITABLE, Dashboard, JsonObject, Widget, same
from cekura_dashboards.boards.board import Board, definition

Edits = JsonObject
"""Arguments of bulk_edit_dashboard but for the dashboard; none: nothing to do."""


def setup_changes(board: Board, stored: Dashboard, filters: JsonObject | None) -> JsonObject:
    """Arguments of update_dashboard but for the dashboard. ``filters``: the board's, with ids."""
    changes: JsonObject = {}
    if board.name != stored.name:
        changes["name"] = board.name
    if not same(filters, stored.stored("filters")):
        changes |= {"filters": filters} if filters else {"clear": ["filters"]}
    return changes


def widget_edits(board_widgets: list[JsonObject], stored: list[Widget]) -> Edits:
    """The widgets to create, change and delete. ``board_widgets``: the board's, with ids.

    A widget is known again by its name; one whose name is gone, by being the same otherwise.
    """
    pairs = _pair_widgets(board_widgets, stored)
    kept_ids = {widget.id for _, widget in pairs if widget is not None}
    create = [new for new, widget in pairs if widget is None]
    update = [{"id": widget.id, **changes} for new, widget in pairs if widget and (changes := _changes(new, widget))]
    delete = [widget.id for widget in stored if widget.id not in kept_ids]
    return {name: items for name, items in (("create", create), ("update", update), ("delete", delete)) if items}


def _pair_widgets(board_widgets: list[JsonObject], stored: list[Widget]) -> list[tuple[JsonObject, Widget | None]]:
    """Each wanted widget with the stored one that it is: the most alike first."""
    pairs, remaining = dict[int, Widget](), list(stored)
    alike: tuple[Callable[[JsonObject, Widget], bool], ...] = (
        lambda new, widget: not _changes(new, widget),
        lambda new, widget: new.get("name") == widget.stored("name"),
        lambda new, widget: set(_changes(new, widget)) <= {"name"},
    )
    for is_alike in alike:
        for place, new in enumerate(board_widgets):
            match = None if place in pairs else next((widget for widget in remaining if is_alike(new, widget)), None)
            if match is not None:
                pairs[place] = match
                remaining.remove(match)
    return [(new, pairs.get(place)) for place, new in enumerate(board_widgets)]


def _changes(new: JsonObject, stored: Widget) -> JsonObject:
    """The arguments of an update, but for the id; nothing if it is stored like this already.

    What the board does not say is empty, but for metadata: it holds the place, which a new widget is given.
    """
    new_values, stored_values = definition(new), stored.writable()
    names = [name for name in WRITABLE if name != "metadata" or "metadata" in new]
    changed = [name for name in names if not same(new_values.get(name), stored_values[name])]
    changes: dict[str, Any] = {name: new_values[name] for name in changed if name in new_values}
    clear = [name for name in changed if name not in new_values or name == "metadata"]
    return changes | ({"clear": clear} if clear else {})
