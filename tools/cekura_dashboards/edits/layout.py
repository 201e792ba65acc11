"""Where new and moved widgets go. Widgets that show no grid in their metadata get one only if a place is asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from msgspec import Struct

from cekura_dashboards.api.errors import DashboardsError, Fault
from cekura_dashboards.api.models import JsonObject, Widget
from cekura_dashboards.context import ToolContext
from cekura_dashboards.edits.grid import COLUMNS, Box, Grid, Pattern, box_at, paths_in, whole_path, with_box
from cekura_dashboards.edits.request import PLACE, CreatedWidget, Layout, WidgetUpdate
from cekura_dashboards.edits.restored import RestoredIds
from cekura_dashboards.text import join_names

SUPPOSED = (
    "no dashboard of this key shows where its widgets lie: positions are written as metadata.{path} in {columns:g} "
    "columns, and whether the web app reads them there is not known"
)


class Wish(Struct, frozen=True):
    """Where a widget is wanted. ``path``: the argument that says so."""

    path: str
    place: str | None = None
    layout: Layout | None = None

    @classmethod
    def of(cls, path: str, item: CreatedWidget | WidgetUpdate) -> "Wish":
        return cls(path, item.place, item.layout)

    @property
    def faulty(self) -> str:
        """The argument to name where it cannot be granted."""
        return f"{self.path}.{'place' if self.place else 'layout'}"

    def __bool__(self) -> bool:
        return self.place is not None or self.layout is not None


class Placement(Struct, frozen=True):
    """What is to be placed. ``creates``: new widgets, whose configurations are completed; ``moves``: by widget id.

    ``arrange``: tidy the whole dashboard.
    """

    creates: Sequence[tuple[Wish, JsonObject]] = ()
    moves: Mapping[int, Wish] | None = None
    arrange: bool = False

    def needs_grid(self, metadata: Mapping[int, Any]) -> bool:
        """Whether it cannot be done unless all widgets have a position. ``metadata``: of those there, by id."""
        moves = (self.moves or {}).items()
        others = any(wish.place or next(paths_in(metadata[number]), None) is None for number, wish in moves)
        return self.arrange or others or any(wish for wish, _ in self.creates)


async def pattern_for(
    context: ToolContext,
    placement: Placement,
    stored: Mapping[int, Widget],
    updates: Mapping[int, JsonObject],
    deletes: Sequence[int],
) -> tuple[Pattern | None, list[str]]:
    """How other dashboards lay out their widgets, where this one does not show it; and what to warn of.

    None where it is not needed: the dashboard has a grid of its own, or no place is asked for.
    """
    metadata = _metadata(stored, updates, deletes)
    path, is_asked_for = whole_path(metadata), placement.needs_grid(metadata)
    if path is None and not is_asked_for:
        return None, []
    if path is not None and not (placement.creates or is_asked_for):
        return None, []
    own = [(stored[number].chart_type, widget_metadata) for number, widget_metadata in metadata.items()]
    own += [(str(config.get("chart_type")), config.get("metadata")) for _, config in placement.creates]
    shown = Pattern.of(own)
    if path is not None and shown.columns >= COLUMNS:
        return None, []
    try:
        others = [(widget.chart_type, widget.metadata) for widget in await context.lookups.some_widgets()]
    except DashboardsError:
        others = []
    elsewhere = Pattern.of(others, shown.path if shown.is_known else None)
    unplaced = [str(number) for number, held in metadata.items() if box_at(held, elsewhere.path) is None]
    notes = [f"widgets {join_names(unplaced)} showed no position and get one"] if unplaced else []
    if not (elsewhere.is_known or shown.is_known):
        notes.append(SUPPOSED.format(path=".".join(elsewhere.path), columns=elsewhere.columns))
    return elsewhere, notes


def _metadata(
    stored: Mapping[int, Widget], updates: Mapping[int, JsonObject], deletes: Sequence[int]
) -> dict[int, Any]:
    """Of each widget that will be there, by id."""
    return {
        number: updates.get(number, {}).get("metadata", widget.metadata)
        for number, widget in stored.items()
        if number not in deletes
    }


def place_widgets(
    placement: Placement,
    stored: Mapping[int, Widget],
    updates: Mapping[int, JsonObject],
    deletes: Sequence[int],
    ids: RestoredIds,
    pattern: Pattern | None = None,
) -> tuple[dict[int, JsonObject], list[Fault]]:
    """The updates, with those of widgets that are moved and that make room; and what cannot be done.

    ``pattern``: as ``pattern_for`` has it.
    """
    metadata = _metadata(stored, updates, deletes)
    grid = Grid.of(metadata, {number: widget.chart_type for number, widget in stored.items()}, pattern)
    updates_by_id = {number: dict(fields) for number, fields in updates.items()}
    if grid is None:
        return updates_by_id | _alone(placement.moves or {}, metadata, updates_by_id), []
    faults = list[Fault]()
    for number, wish in (placement.moves or {}).items():
        box = _sized(replace(grid.boxes[number]), wish.layout)
        faults += _at_place(grid, number, wish, box, ids, fixed=True)
    for index, (wish, config) in enumerate(placement.creates):
        faults += _create(grid, -1 - index, wish, config, ids)
    if faults:
        return updates_by_id, faults
    grid.settle()
    if placement.arrange:
        grid.arrange()
    for number, box in grid.boxes.items():
        if number < 0:
            config = placement.creates[-1 - number][1]
            config["metadata"] = with_box(config.get("metadata"), grid.path, box)
        elif box != grid.before.get(number):
            updates_by_id[number] = {
                **updates_by_id.get(number, {}),
                "metadata": with_box(metadata[number], grid.path, box),
            }
    return updates_by_id, faults


def _alone(
    moves: Mapping[int, Wish], metadata: Mapping[int, Any], updates: Mapping[int, JsonObject]
) -> dict[int, JsonObject]:
    """The updates of widgets whose own position is changed, where it is not known how others lie."""
    changed = {number: relaid(metadata[number], wish.layout) for number, wish in moves.items() if wish.layout}
    return {
        number: {**updates.get(number, {}), "metadata": new_metadata}
        for number, new_metadata in changed.items()
        if new_metadata
    }


def relaid(metadata: Any, layout: Layout) -> JsonObject | None:
    """The metadata with a part of the position in it changed; None if it shows none."""
    path = next(paths_in(metadata), None)
    box = None if path is None else box_at(metadata, path)
    return None if path is None or box is None else with_box(metadata, path, _sized(box, layout))


def overlapped(number: int, metadata: Any, stored: Mapping[int, Widget]) -> list[int]:
    """The widgets that one with this metadata lies on."""
    grid = Grid.of({key: w.metadata for key, w in stored.items()}, {key: w.chart_type for key, w in stored.items()})
    box = box_at(metadata, grid.path) if grid else None
    return (
        [key for key, other_box in grid.boxes.items() if key != number and box.overlaps(other_box)]
        if grid and box
        else []
    )


def _sized(box: Box, layout: Layout | None) -> Box:
    """The box with what is given of its position and size."""
    return replace(box, **layout.model_dump(exclude_none=True)) if layout else box


def _create(grid: Grid, key: int, wish: Wish, config: JsonObject, ids: RestoredIds) -> list[Fault]:
    own = box_at(config.get("metadata"), grid.path)
    if own is not None:
        if wish:
            return [Fault(wish.faulty, "and a position in metadata contradict each other; give one of them.")]
        grid.boxes[key] = own
        return []
    box = _sized(grid.usual(config.get("chart_type")), wish.layout)
    given = wish.layout
    if given and wish.place is None and (given.x is not None or given.y is not None):
        grid.put(key, box)
        return []
    return _at_place(grid, key, wish, box, ids, fixed=False)


def _at_place(grid: Grid, key: int, wish: Wish, box: Box, ids: RestoredIds, *, fixed: bool) -> list[Fault]:
    """Put a box where it is wanted; without a wish for a place a new one comes last, and one that is there stays."""
    if box.w > grid.columns:
        return [Fault(f"{wish.path}.layout", f"is wider than the dashboard, which has {grid.columns:g} columns.")]
    match = PLACE.fullmatch(wish.place) if wish.place else None
    if match is None and wish.layout and wish.layout.x is not None and box.right > grid.columns:
        return [Fault(f"{wish.path}.layout", f"reaches beyond the {grid.columns:g} columns of the dashboard.")]
    if match is None:
        if fixed:
            grid.put(key, box)
        else:
            grid.put_last(key, box)
    elif match[2]:
        after = ids.now("widget", int(match[2]))
        if after not in grid.boxes or after == key:
            return [Fault(wish.faulty, f"widget {after} is not on this dashboard after the edit, or is this one.")]
        grid.put_after(key, after, box)
    elif wish.place == "bottom":
        box.y = max((other_box.bottom for other, other_box in grid.boxes.items() if other != key), default=0)
        grid.put(key, box)
    elif match[1] is None and not fixed:
        grid.put_on_top(key, box)
    else:
        box.x, box.y = grid.columns - box.w if match[1] == "right" else 0, 0
        grid.put(key, box)
    return []
