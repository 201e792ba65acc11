"""Names for ids in a board, and ids for names."""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from cekura_dashboards.api.models import JsonObject, as_list, as_object
from cekura_dashboards.arguments.reader import NAMED
from cekura_dashboards.arguments.references import Kind, id_of, names_of, no_such, written
from cekura_dashboards.boards.board import BoardRefused
from cekura_dashboards.concurrency import together
from cekura_dashboards.context import ToolContext

Known = Mapping[Kind, Mapping[int, str]]
Change = Callable[[Kind, Any, str], Any]


class Names(Struct, frozen=True):
    """The names of the agents and metrics of one project."""

    known: Known

    @classmethod
    async def of(cls, context: ToolContext, project: int | None) -> "Names":
        agents, metrics = await together(
            names_of(context, "agent", project=project), names_of(context, "metric", project=project)
        )
        return cls({"agent": agents, "metric": metrics})

    def written(self, value: JsonObject | None, where: str) -> Any:
        """Filters or a widget with names in place of ids; an id that has no name of its own stays."""
        return _changed(value, self._name, where)

    def read(self, value: JsonObject | None, where: str) -> Any:
        """Filters or a widget with ids in place of names.

        Raises:
            BoardRefused: for a name that nothing has, or several things.
        """
        return _changed(value, self._id, where)

    def _name(self, kind: Kind, value: Any, _where: str) -> Any:
        known = self.known[kind]
        return written(value, known) if type(value) is int and value in known else value

    def _id(self, kind: Kind, value: Any, where: str) -> Any:
        if not isinstance(value, str) or value.strip().isdecimal():
            return value
        found = id_of(value, self.known[kind])
        if found is None:
            raise BoardRefused(f"{where}: {no_such(kind, value, self.known[kind])}")
        return found


def _changed(value: JsonObject | None, change: Change, where: str) -> Any:
    """Filters or a widget, each reference in them changed."""
    if value is None:
        return None
    found = dict(value)
    if found.get("metric") is not None:
        found["metric"] = change("metric", found["metric"], f"{where}.metric")
    if (kind := NAMED.get(str(found.get("field")))) and "value" in found:
        items = as_list(found["value"])
        there = f"{where}.value"
        found["value"] = (
            change(kind, found["value"], there) if items is None else [change(kind, item, there) for item in items]
        )
    if (parts := as_list(found.get("conditions"))) is not None:
        found["conditions"] = [
            part if (inner := as_object(part)) is None else _changed(inner, change, f"{where}.conditions[{index}]")
            for index, part in enumerate(parts)
        ]
    if (filters := as_object(found.get("filters"))) is not None:
        found["filters"] = _changed(filters, change, f"{where}.filters")
    return found
