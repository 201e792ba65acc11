"""Names for ids in a board, and ids for names."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from cekura_dashboards.api.models import JsonObject
from cekura_dashboards.arguments.references import Kind, id_of, names_of, no_such, written
from cekura_dashboards.boards.board import BoardRefused
from cekura_dashboards.concurrency import together
from cekura_dashboards.context import ToolContext
from cekura_dashboards.plans.namesakes import with_references

Known = Mapping[Kind, Mapping[int, str]]


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
        return with_references(value, self._name, where)

    def read(self, value: JsonObject | None, where: str) -> Any:
        """Filters or a widget with ids in place of names.

        Raises:
            BoardRefused: for a name that nothing has, or several things.
        """
        return with_references(value, self._id, where)

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
