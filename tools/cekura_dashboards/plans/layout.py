"""Where new widgets go, on dashboards whose widgets show a grid in their metadata.

The shape of metadata is the web app's own and not documented. A grid is taken for known only where every widget holds
numbers ``x``, ``y``, ``w`` and ``h`` in the same place of it, such as ``metadata.layout``; else nothing is placed.
"""

import copy
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cekura_dashboards.api.errors import Fault
from cekura_dashboards.api.models import JsonObject, Widget, as_object
from cekura_dashboards.plans.restored import Ids
from cekura_dashboards.widgets.edits import PLACE

Path = tuple[str, ...]
EDGES = ("x", "y", "w", "h")


@dataclass
class _Box:
    x: float
    y: float
    w: float
    h: float

    def overlaps(self, other: "_Box") -> bool:
        return (
            self.x < other.x + other.w
            and other.x < self.x + self.w
            and self.y < other.y + other.h
            and other.y < self.y + self.h
        )


def placed(
    wanted: Sequence[tuple[str | None, JsonObject]],
    stored: Mapping[int, Widget],
    updates: Mapping[int, JsonObject],
    deletes: Sequence[int],
    ids: Ids,
    *,
    argument: str = "create",
) -> tuple[dict[int, JsonObject], list[Fault]]:
    """Give each new widget its place; the updates, with those of widgets that make room, and what cannot be done.

    ``wanted``: for each new widget the place that was asked for, and its configuration, which is completed.
    ``argument``: what they came in.
    """
    metadata = {
        number: updates.get(number, {}).get("metadata", widget.metadata)
        for number, widget in stored.items()
        if number not in deletes
    }
    grid = _Grid.read(metadata, stored)
    faults, found = list[Fault](), {number: dict(fields) for number, fields in updates.items()}
    for index, (place, config) in enumerate(wanted):
        problem = _place(grid, place, config, -1 - index, ids)
        if problem:
            faults.append(Fault(f"{argument}[{index}].place", problem))
    if grid is None or faults:
        return found, faults
    for number, box in grid.boxes.items():
        if number < 0:
            config = wanted[-1 - number][1]
            config["metadata"] = _with_box(config.get("metadata"), grid.path, box)
        elif box != grid.before[number]:
            found[number] = {**found.get(number, {}), "metadata": _with_box(metadata[number], grid.path, box)}
    return found, faults


def _place(grid: "_Grid | None", place: str | None, config: JsonObject, key: int, ids: Ids) -> str | None:
    """Put one new widget into the grid; why that cannot be done, if it cannot."""
    if grid is None:
        if place:
            return (
                "not every widget here shows its position (x, y, w, h) in its metadata, so no place can be "
                "given; leave it out."
            )
        return None
    own = _box_at(config.get("metadata"), grid.path)
    if own is not None:
        if place:
            return "and a position in metadata contradict each other; give one of them."
        grid.boxes[key] = own
        return None
    match = PLACE.fullmatch(place) if place else None
    if match and match[1]:
        after = ids.now("widget", int(match[1]))
        if after not in grid.boxes:
            return f"widget {after} is not on this dashboard after the edit; give the id of one that is."
        grid.insert_after(key, after, config)
    elif match:
        grid.insert_on_top(key, config)
    else:
        grid.append(key, config)
    return None


@dataclass
class _Grid:
    """Positions by widget id; new widgets have negative keys."""

    path: Path
    boxes: dict[int, _Box]
    before: dict[int, _Box]
    kinds: dict[int, str]

    @classmethod
    def read(cls, metadata: Mapping[int, Any], stored: Mapping[int, Widget]) -> "_Grid | None":
        if not metadata:
            return None
        for path in _paths(next(iter(metadata.values()))):
            boxes = {number: box for number, held in metadata.items() if (box := _box_at(held, path))}
            if len(boxes) == len(metadata):
                kinds = {number: stored[number].chart_type for number in boxes}
                return cls(path, boxes, copy.deepcopy(boxes), kinds)
        return None

    @property
    def columns(self) -> float:
        return max(box.x + box.w for box in self.boxes.values())

    def _sized(self, config: JsonObject) -> _Box:
        """A box of the size most common among charts of the same type, or among all."""
        alike = [box for number, box in self.boxes.items() if self.kinds.get(number) == config.get("chart_type")]
        [((w, h), _)] = Counter((box.w, box.h) for box in alike or self.boxes.values()).most_common(1)
        return _Box(0, 0, w, h)

    def append(self, key: int, config: JsonObject) -> None:
        """Beside the last one if there is room, else below all."""
        box = self._sized(config)
        last = max(self.boxes.values(), key=lambda held: (held.y, held.x))
        if not self._fits(box, last.x + last.w, last.y):
            box.x, box.y = 0, max(held.y + held.h for held in self.boxes.values())
        self.boxes[key] = box

    def insert_on_top(self, key: int, config: JsonObject) -> None:
        box = self._sized(config)
        self._make_room(0, box.h)
        self.boxes[key] = box

    def insert_after(self, key: int, after: int, config: JsonObject) -> None:
        """To the right if there is room, else in a row of its own below."""
        box, left = self._sized(config), self.boxes[after]
        if not self._fits(box, left.x + left.w, left.y):
            row = left.y + left.h
            while straddling := [held for held in self.boxes.values() if held.y < row < held.y + held.h]:
                row = max(held.y + held.h for held in straddling)
            self._make_room(row, box.h)
            box.x, box.y = left.x if left.x + box.w <= self.columns else 0, row
        self.boxes[key] = box

    def _fits(self, box: _Box, x: float, y: float) -> bool:
        """Move the box there if it is free."""
        box.x, box.y = x, y
        return x + box.w <= self.columns and not any(box.overlaps(held) for held in self.boxes.values())

    def _make_room(self, row: float, height: float) -> None:
        for held in self.boxes.values():
            if held.y >= row:
                held.y += height


def _paths(metadata: Any, path: Path = ()) -> Iterator[Path]:
    """Where in metadata a position stands, at most two levels down."""
    held = as_object(metadata)
    if held is None:
        return
    if _box_at(held, ()) is not None:
        yield path
    if len(path) < 2:  # noqa: PLR2004 - two levels
        for name in held:
            yield from _paths(held[name], (*path, name))


def _box_at(metadata: Any, path: Path) -> _Box | None:
    held = as_object(metadata)
    for name in path:
        held = as_object(held.get(name)) if held else None
    if held is None:
        return None
    edges = [held.get(edge) for edge in EDGES]
    numbers = [edge for edge in edges if isinstance(edge, int | float) and not isinstance(edge, bool) and edge >= 0]
    return _Box(*numbers) if len(numbers) == len(EDGES) and numbers[2] > 0 and numbers[3] > 0 else None


def _with_box(metadata: Any, path: Path, box: _Box) -> JsonObject:
    """The metadata with this position in it; all else kept."""
    found: JsonObject = copy.deepcopy(as_object(metadata) or {})
    held = found
    for name in path:
        inner = as_object(held.get(name))
        if inner is None:
            inner = held[name] = {}
        held = inner
    held |= {"x": box.x, "y": box.y, "w": box.w, "h": box.h}
    return found
