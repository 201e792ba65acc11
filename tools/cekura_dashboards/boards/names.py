"""Names for ids in a board, and ids for names."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from cekura_dashboards.api.models import JsonObject
from cekura_dashboards.arguments.references import EntityKind, id_of, name_or_id, names_of, no_such
from cekura_dashboards.boards.board import BoardRefused
from cekura_dashboards.concurrency import gather
from cekura_dashboards.context import ToolContext
from cekura_dashboards.edits.namesakes import with_references

NamesByKind = Mapping[EntityKind, Mapping[int, str]]


class Names(Struct, frozen=True):
    """The names of the agents and metrics of one project."""

    names_by_kind: NamesByKind

    @classmethod
    async def of(cls, context: ToolContext, project: int | None) -> "Names":
        agents, metrics = await gather(
            names_of(context, "agent", project=project), names_of(context, "metric", project=project)
        )
        return cls({"agent": agents, "metric": metrics})

    def with_names(self, value: JsonObject | None, where: str) -> Any:
        """Filters or a widget with names in place of ids; an id that has no name of its own stays."""
        return with_references(value, self._name, where)

    def with_ids(self, value: JsonObject | None, where: str) -> Any:
        """Filters or a widget with ids in place of names.

        Raises:
            BoardRefused: for a name that nothing has, or several things.
        """
        return with_references(value, self._id, where)

    def _name(self, kind: EntityKind, value: Any, _where: str) -> Any:
        names = self.names_by_kind[kind]
        return name_or_id(value, names) if type(value) is int and value in names else value

    def _id(self, kind: EntityKind, value: Any, where: str) -> Any:
        if not isinstance(value, str) or value.strip().isdecimal():
            return value
        number = id_of(value, self.names_by_kind[kind])
        if number is None:
            raise BoardRefused(f"{where}: {no_such(kind, value, self.names_by_kind[kind])}")
        return number
