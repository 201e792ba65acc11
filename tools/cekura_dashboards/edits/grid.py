"""The grid of a dashboard: where its widgets lie, and how others make room.

The shape of metadata is the web app's own and not documented. A grid is taken for known only where every widget holds
numbers ``x``, ``y``, ``w`` and ``h`` in the same place of it, such as ``metadata.layout``. Where some do not, and a
widget is to be placed, they are given positions as other dashboards hold them.
"""

import copy
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from cekura_dashboards.api.models import JsonObject, as_object

MetadataPath = tuple[str, ...]
EDGES = ("x", "y", "w", "h")
COLUMNS = 12
"""Of a grid of which nothing is known. One that shows fewer may be wider than its widgets."""


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
    """How dashboards lay out their widgets: where in metadata a position stands, and boxes by chart type.

    ``is_known``: seen on a dashboard, and not only supposed.
    """

    path: MetadataPath
    columns: float
    boxes: list[tuple[str, Box]]
    is_known: bool = True

    @classmethod
    def of(cls, widgets: Iterable[tuple[str, Any]], path: MetadataPath | None = None) -> "Pattern":
        """The pattern of widgets, given by chart type and metadata: at ``path``, or where most hold a position."""
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
    """Positions by widget id; new widgets have negative keys. ``before``: those that the widgets show.

    ``moved``: those that were put somewhere on purpose.
    """

    path: MetadataPath
    boxes: dict[int, Box]
    before: dict[int, Box]
    columns: float
    usual_boxes: list[tuple[str, Box]]
    moved: dict[int, None] = field(default_factory=dict[int, None])

    @classmethod
    def of(cls, metadata: Mapping[int, Any], kinds: Mapping[int, str], pattern: Pattern | None = None) -> "Grid | None":
        """The grid of these widgets, at least as wide as ``pattern``; None where none is known.

        With a pattern, widgets that show no position come last, in their order.
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
        """A box of the size most common among charts of this type, or among all."""
        alike = [box for kind, box in self.usual_boxes if kind == chart_type]
        sizes = Counter((box.w, box.h) for box in alike or [box for _, box in self.usual_boxes])
        [((w, h), _)] = sizes.most_common(1)
        return Box(0, 0, w, h)

    def put(self, key: int, box: Box) -> None:
        """Put it there; what lies there makes room at the end."""
        box.x = max(0, min(box.x, self.columns - box.w))
        self.boxes[key] = box
        self.moved[key] = None

    def put_last(self, key: int, box: Box) -> None:
        """Beside the last one if there is room, else below all."""
        others = self._others(key)
        last = max(others, key=lambda other: (other.y, other.x), default=Box(0, 0, 0, 0))
        if not self._fits(key, box, last.right, last.y):
            box.x, box.y = 0, max((placed.bottom for placed in others), default=0)
        self.boxes[key] = box

    def put_on_top(self, key: int, box: Box) -> None:
        """In a row of its own above all."""
        self.boxes.pop(key, None)
        self._make_room(0, box.h)
        box.x, box.y = 0, 0
        self.boxes[key] = box

    def put_after(self, key: int, after: int, box: Box) -> None:
        """To the right of another if there is room, else in a row of its own below."""
        self.boxes.pop(key, None)
        anchor = self.boxes[after]
        if not self._fits(key, box, anchor.right, anchor.y):
            row = anchor.bottom
            while straddling := [other for other in self.boxes.values() if other.y < row < other.bottom]:
                row = max(held.bottom for held in straddling)
            self._make_room(row, box.h)
            box.x, box.y = anchor.x if anchor.x + box.w <= self.columns else 0, row
        self.boxes[key] = box

    def settle(self) -> None:
        """Push down what overlaps a widget that was put there, and what that overlaps then."""
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
        """What lies under it; not where both did so before."""
        return [
            other_box
            for other, other_box in settled.items()
            if box.overlaps(other_box) and (key in disturbed or other in disturbed)
        ]

    def arrange(self) -> None:
        """Move everything up as far as it goes, in order, so that nothing overlaps and no row is empty."""
        settled = list[Box]()
        for box in sorted(self.boxes.values(), key=lambda other: (other.y, other.x)):
            below = [held.bottom for held in settled if held.x < box.right and box.x < held.right]
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
    """Where in metadata each of these widgets holds its position; None if not all do, or there are none."""
    paths = paths_in(next(iter(metadata.values()), None))
    return next(
        (path for path in paths if all(box_at(widget_metadata, path) for widget_metadata in metadata.values())), None
    )


def paths_in(metadata: Any, path: MetadataPath = ()) -> Iterator[MetadataPath]:
    """Where in metadata a position stands, at most two levels down."""
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
    """The metadata with this position in it; all else kept."""
    result: JsonObject = copy.deepcopy(as_object(metadata) or {})
    target = result
    for name in path:
        inner = as_object(target.get(name))
        if inner is None:
            inner = target[name] = {}
        target = inner
    target |= {"x": box.x, "y": box.y, "w": box.w, "h": box.h}
    return result
