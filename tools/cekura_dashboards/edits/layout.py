"""The grid of a dashboard: the positions of its widgets, places for new and moved ones, and making room.

The metadata belongs to the web app and is not documented. A grid is recognized only if every widget has numbers ``x``,
``y``, ``w`` and ``h`` at the same path of its metadata, such as ``metadata.layout``. Widgets without them get
positions, in the form that other dashboards use, only if the call requests a place.
"""

import copy
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from msgspec import Struct

from cekura_dashboards.api.errors import DashboardsError, Fault
from cekura_dashboards.api.models import JsonObject, Widget, as_object
from cekura_dashboards.context import ToolContext
from cekura_dashboards.edits.request import PLACE, CreatedWidget, Layout, RestoredIds, WidgetUpdate
from cekura_dashboards.text import noun_and_names

MetadataPath = tuple[str, ...]
EDGES = ("x", "y", "w", "h")
COLUMNS = 12
"""Columns of an unknown grid. A grid with narrower contents may still be this wide."""


@dataclass
class Box:
    """A rectangle in columns and rows, from the top left."""

    x: float
    y: float
    w: float
    h: float

    @property
    def right(self) -> float:
        return self.x + self.w

    @property
    def bottom(self) -> float:
        return self.y + self.h

    def overlaps(self, other: "Box") -> bool:
        beside = self.x < other.right and other.x < self.right
        return beside and self.y < other.bottom and other.y < self.bottom


class Pattern(Struct, frozen=True):
    """How dashboards lay out their widgets: the metadata path of a position, and boxes by chart type.

    ``is_known``: taken from a dashboard, not the default.
    """

    path: MetadataPath
    columns: float
    boxes: list[tuple[str, Box]]
    is_known: bool = True

    @classmethod
    def of(cls, widgets: Iterable[tuple[str, Any]], path: MetadataPath | None = None) -> "Pattern":
        """The pattern of widgets, given as chart type and metadata: at ``path``, or at the most common path."""
        all_widgets = [*widgets]
        paths = Counter(one for _, metadata in all_widgets for one in paths_in(metadata))
        path = path if path is not None else next((one for one, _ in paths.most_common(1)), STANDARD.path)
        boxes = [(kind, box) for kind, metadata in all_widgets if (box := box_at(metadata, path))]
        if not boxes:
            return cls(path, STANDARD.columns, STANDARD.boxes, is_known=False)
        return cls(path, max(box.right for _, box in boxes), boxes)


STANDARD = Pattern(
    ("layout",),
    COLUMNS,
    [("bar", Box(0, 0, 6, 4)), ("line", Box(0, 0, 6, 4)), ("pie", Box(0, 0, 6, 4)), ("stat", Box(0, 0, 12, 2))],
    is_known=False,
)


@dataclass
class Grid:
    """Positions by widget id; new widgets have negative keys. ``before``: the stored positions.

    ``moved``: the widgets that were placed on purpose.
    """

    path: MetadataPath
    boxes: dict[int, Box]
    before: dict[int, Box]
    columns: float
    usual_boxes: list[tuple[str, Box]]
    moved: dict[int, None] = field(default_factory=dict[int, None])

    @classmethod
    def of(cls, metadata: Mapping[int, Any], kinds: Mapping[int, str], pattern: Pattern | None = None) -> "Grid | None":
        """The grid of these widgets, at least as wide as ``pattern``; None if none is known.

        With a pattern, widgets without a position come last, in their order.
        """
        path = whole_path(metadata)
        if path is None and pattern is not None:
            path = pattern.path
        if path is None:
            return None
        boxes = {number: box for number, metadata_of in metadata.items() if (box := box_at(metadata_of, path))}
        before = copy.deepcopy(boxes)
        widest = max((box.right for box in before.values()), default=0.0)
        columns = max(widest, pattern.columns) if pattern else widest
        usual_boxes = [(kinds[number], box) for number, box in before.items()] or (pattern.boxes if pattern else [])
        grid = cls(path, boxes, before, columns, usual_boxes)
        for number in metadata:
            if number not in boxes:
                grid.put_last(number, grid.usual(kinds[number]))
        return grid

    def usual(self, chart_type: Any) -> Box:
        """A box of the most common size among charts of this type, or among all."""
        alike = [box for kind, box in self.usual_boxes if kind == chart_type]
        sizes = Counter((box.w, box.h) for box in alike or [box for _, box in self.usual_boxes])
        [((w, h), _)] = sizes.most_common(1)
        return Box(0, 0, w, h)

    def put(self, key: int, box: Box) -> None:
        """Place it there; ``settle`` moves others out of the way."""
        box.x = max(0, min(box.x, self.columns - box.w))
        self.boxes[key] = box
        self.moved[key] = None

    def put_last(self, key: int, box: Box) -> None:
        """Place it beside the last one if there is room, else below all."""
        others = self._others(key)
        last = max(others, key=lambda other: (other.y, other.x), default=Box(0, 0, 0, 0))
        if not self._fits(key, box, last.right, last.y):
            box.x, box.y = 0, max((placed.bottom for placed in others), default=0)
        self.boxes[key] = box

    def put_on_top(self, key: int, box: Box) -> None:
        """Place it in a row of its own above all."""
        self.boxes.pop(key, None)
        self._make_room(0, box.h)
        box.x, box.y = 0, 0
        self.boxes[key] = box

    def put_after(self, key: int, after: int, box: Box) -> None:
        """Place it to the right of another if there is room, else in a row of its own below."""
        self.boxes.pop(key, None)
        anchor = self.boxes[after]
        if not self._fits(key, box, anchor.right, anchor.y):
            row = anchor.bottom
            while straddling := [other for other in self.boxes.values() if other.y < row < other.bottom]:
                row = max(other_box.bottom for other_box in straddling)
            self._make_room(row, box.h)
            box.x, box.y = anchor.x if anchor.x + box.w <= self.columns else 0, row
        self.boxes[key] = box

    def settle(self) -> None:
        """Push down widgets that overlap a placed one, and those that they overlap in turn."""
        disturbed, settled = {*self.moved}, dict[int, Box]()
        rest = sorted(self.boxes.keys() - disturbed, key=lambda key: (self.boxes[key].y, self.boxes[key].x))
        for key in [*self.moved, *rest]:
            box = self.boxes[key]
            while over := self._in_the_way(key, box, settled, disturbed):
                box.y = max(other.bottom for other in over)
                disturbed.add(key)
            settled[key] = box

    @staticmethod
    def _in_the_way(key: int, box: Box, settled: Mapping[int, Box], disturbed: Collection[int]) -> list[Box]:
        """The boxes that it overlaps, except where both overlapped before."""
        return [
            other_box
            for other, other_box in settled.items()
            if box.overlaps(other_box) and (key in disturbed or other in disturbed)
        ]

    def arrange(self) -> None:
        """Move everything up as far as possible, in order: no overlaps, no empty rows."""
        settled = list[Box]()
        for box in sorted(self.boxes.values(), key=lambda other: (other.y, other.x)):
            below = [other_box.bottom for other_box in settled if other_box.x < box.right and box.x < other_box.right]
            box.y = max(below, default=0)
            settled.append(box)

    def _others(self, key: int) -> list[Box]:
        return [box for number, box in self.boxes.items() if number != key]

    def _fits(self, key: int, box: Box, x: float, y: float) -> bool:
        """Move the box there if it is free."""
        box.x, box.y = x, y
        return box.right <= self.columns and not any(box.overlaps(other) for other in self._others(key))

    def _make_room(self, row: float, height: float) -> None:
        for other in self.boxes.values():
            if other.y >= row:
                other.y += height


def whole_path(metadata: Mapping[int, Any]) -> MetadataPath | None:
    """The metadata path at which all these widgets have a position; None if there is none, or no widget."""
    paths = paths_in(next(iter(metadata.values()), None))
    return next(
        (path for path in paths if all(box_at(widget_metadata, path) for widget_metadata in metadata.values())), None
    )


def paths_in(metadata: Any, path: MetadataPath = ()) -> Iterator[MetadataPath]:
    """The paths of positions in metadata, at most two levels deep."""
    fields = as_object(metadata)
    if fields is None:
        return
    if box_at(fields, ()) is not None:
        yield path
    if len(path) < 2:  # noqa: PLR2004 - two levels
        for name in fields:
            yield from paths_in(fields[name], (*path, name))


def box_at(metadata: Any, path: MetadataPath) -> Box | None:
    fields = as_object(metadata)
    for name in path:
        fields = as_object(fields.get(name)) if fields else None
    if fields is None:
        return None
    edges = [fields.get(edge) for edge in EDGES]
    numbers = [edge for edge in edges if isinstance(edge, int | float) and not isinstance(edge, bool) and edge >= 0]
    return Box(*numbers) if len(numbers) == len(EDGES) and numbers[2] > 0 and numbers[3] > 0 else None


def with_box(metadata: Any, path: MetadataPath, box: Box) -> JsonObject:
    """The metadata with this position; everything else unchanged."""
    result: JsonObject = copy.deepcopy(as_object(metadata) or {})
    target = result
    for name in path:
        inner = as_object(target.get(name))
        if inner is None:
            inner = target[name] = {}
        target = inner
    target |= {"x": box.x, "y": box.y, "w": box.w, "h": box.h}
    return result


SUPPOSED = (
    "no dashboard of this key has positions of widgets: they are written to metadata.{path} in {columns:g} columns; "
    "whether the web app reads them is unknown"
)


class Wish(Struct, frozen=True):
    """The requested place of a widget. ``path``: the argument that requests it."""

    path: str
    place: str | None = None
    layout: Layout | None = None

    @classmethod
    def of(cls, path: str, item: CreatedWidget | WidgetUpdate) -> "Wish":
        return cls(path, item.place, item.layout)

    @property
    def faulty(self) -> str:
        """The argument to name in a fault."""
        return f"{self.path}.{'place' if self.place else 'layout'}"

    def __bool__(self) -> bool:
        return self.place is not None or self.layout is not None


class Placement(Struct, frozen=True):
    """Requested places. ``creates``: new widgets, whose configurations get positions; ``moves``: by widget id.

    ``arrange``: tidy the whole dashboard.
    """

    creates: Sequence[tuple[Wish, JsonObject]] = ()
    moves: Mapping[int, Wish] | None = None
    arrange: bool = False

    def needs_grid(self, metadata: Mapping[int, Any]) -> bool:
        """Whether it requires a position for every widget. ``metadata``: of the existing widgets, by id."""
        moves = (self.moves or {}).items()
        others = any(wish.place or next(paths_in(metadata[number]), None) is None for number, wish in moves)
        return self.arrange or others or any(wish for wish, _ in self.creates)


class OtherLayout(NamedTuple):
    """The pattern of other dashboards, if needed, and warnings."""

    pattern: Pattern | None
    warnings: list[str]


async def pattern_for(
    context: ToolContext,
    placement: Placement,
    stored: Mapping[int, Widget],
    updates: Mapping[int, JsonObject],
    deletes: Sequence[int],
) -> OtherLayout:
    """How other dashboards lay out their widgets, in case this one has no grid; and warnings.

    None if not needed: the dashboard has a grid of its own, or no place is requested.
    """
    metadata = _metadata(stored, updates, deletes)
    path, is_requested = whole_path(metadata), placement.needs_grid(metadata)
    if not is_requested and (path is None or not placement.creates):
        return OtherLayout(None, [])
    own = [(stored[number].chart_type, widget_metadata) for number, widget_metadata in metadata.items()]
    own += [(str(config.get("chart_type")), config.get("metadata")) for _, config in placement.creates]
    own_pattern = Pattern.of(own)
    if path is not None and own_pattern.columns >= COLUMNS:
        return OtherLayout(None, [])
    try:
        others = [(widget.chart_type, widget.metadata) for widget in await context.lookups.some_widgets()]
    except DashboardsError:
        others = []
    elsewhere = Pattern.of(others, own_pattern.path if own_pattern.is_known else None)
    unplaced = [str(number) for number, value in metadata.items() if box_at(value, elsewhere.path) is None]
    notes = [f"{noun_and_names('widget', unplaced)} had no position before"] if unplaced else []
    if not (elsewhere.is_known or own_pattern.is_known):
        notes.append(SUPPOSED.format(path=".".join(elsewhere.path), columns=elsewhere.columns))
    return OtherLayout(elsewhere, notes)


def _metadata(
    stored: Mapping[int, Widget], updates: Mapping[int, JsonObject], deletes: Sequence[int]
) -> dict[int, Any]:
    """The metadata of each widget that will remain, by id."""
    return {
        number: updates.get(number, {}).get("metadata", widget.metadata)
        for number, widget in stored.items()
        if number not in deletes
    }


class PlacedWidgets(NamedTuple):
    """The updates by widget id, and faults."""

    updates: dict[int, JsonObject]
    faults: list[Fault]


def place_widgets(
    placement: Placement,
    stored: Mapping[int, Widget],
    updates: Mapping[int, JsonObject],
    deletes: Sequence[int],
    ids: RestoredIds,
    pattern: Pattern | None = None,
) -> PlacedWidgets:
    """The updates, including widgets that are moved or make room; and faults.

    ``pattern``: from ``pattern_for``.
    """
    metadata = _metadata(stored, updates, deletes)
    grid = Grid.of(metadata, {number: widget.chart_type for number, widget in stored.items()}, pattern)
    updates_by_id = {number: dict(fields) for number, fields in updates.items()}
    if grid is None:
        return PlacedWidgets(updates_by_id | _alone(placement.moves or {}, metadata, updates_by_id), [])
    faults = list[Fault]()
    for number, wish in (placement.moves or {}).items():
        box = _sized(replace(grid.boxes[number]), wish.layout)
        faults += _at_place(grid, number, wish, box, ids, fixed=True)
    for index, (wish, config) in enumerate(placement.creates):
        faults += _create(grid, -1 - index, wish, config, ids)
    if faults:
        return PlacedWidgets(updates_by_id, faults)
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
    return PlacedWidgets(updates_by_id, faults)


def _alone(
    moves: Mapping[int, Wish], metadata: Mapping[int, Any], updates: Mapping[int, JsonObject]
) -> dict[int, JsonObject]:
    """The updates of widgets whose own position changes, on a dashboard without a grid."""
    changed = {number: relaid(metadata[number], wish.layout) for number, wish in moves.items() if wish.layout}
    return {
        number: {**updates.get(number, {}), "metadata": new_metadata}
        for number, new_metadata in changed.items()
        if new_metadata
    }


def relaid(metadata: Any, layout: Layout) -> JsonObject | None:
    """The metadata with parts of its position changed; None if it has none."""
    path = next(paths_in(metadata), None)
    box = None if path is None else box_at(metadata, path)
    return None if path is None or box is None else with_box(metadata, path, _sized(box, layout))


def overlapped(number: int, metadata: Any, stored: Mapping[int, Widget]) -> list[int]:
    """The widgets that one with this metadata overlaps."""
    grid = Grid.of({key: w.metadata for key, w in stored.items()}, {key: w.chart_type for key, w in stored.items()})
    box = box_at(metadata, grid.path) if grid else None
    return (
        [key for key, other_box in grid.boxes.items() if key != number and box.overlaps(other_box)]
        if grid and box
        else []
    )


def _sized(box: Box, layout: Layout | None) -> Box:
    """The box with the given parts of its position and size."""
    return replace(box, **layout.model_dump(exclude_none=True)) if layout else box


def _create(grid: Grid, key: int, wish: Wish, config: JsonObject, ids: RestoredIds) -> list[Fault]:
    own = box_at(config.get("metadata"), grid.path)
    if own is not None:
        if wish:
            return [Fault(wish.faulty, "and the position in metadata exclude each other; give only one.")]
        grid.boxes[key] = own
        return []
    box = _sized(grid.usual(config.get("chart_type")), wish.layout)
    layout = wish.layout
    if layout and wish.place is None and (layout.x is not None or layout.y is not None):
        grid.put(key, box)
        return []
    return _at_place(grid, key, wish, box, ids, fixed=False)


def _at_place(grid: Grid, key: int, wish: Wish, box: Box, ids: RestoredIds, *, fixed: bool) -> list[Fault]:
    """Put a box at its requested place; without one, a new box comes last and an existing one stays."""
    if box.w > grid.columns:
        return [Fault(f"{wish.path}.layout", f"is wider than the dashboard's {grid.columns:g} columns.")]
    match = PLACE.fullmatch(wish.place) if wish.place else None
    if match is None and wish.layout and wish.layout.x is not None and box.right > grid.columns:
        return [Fault(f"{wish.path}.layout", f"exceeds the dashboard's {grid.columns:g} columns.")]
    if match is None:
        if fixed:
            grid.put(key, box)
        else:
            grid.put_last(key, box)
    elif match[2]:
        after = ids.now("widget", int(match[2]))
        if after not in grid.boxes or after == key:
            text = f"widget {after} is the same one, or not on this dashboard after the edit; get_dashboard lists them."
            return [Fault(wish.faulty, text)]
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
