"""A dashboard as a file: reading one, writing one, and names in place of ids."""

import json
from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cekura_dashboards.api.errors import DashboardsError
from cekura_dashboards.api.models import WRITABLE, JsonObject, WidgetConfig, is_object
from cekura_dashboards.arguments.references import EntityKind, id_of, name_or_id, names_of, no_such, number_or_name
from cekura_dashboards.context import ToolContext, gather
from cekura_dashboards.edits.copies import with_references
from cekura_dashboards.edits.request import MOST_WIDGETS
from cekura_dashboards.json_input import NotJson, read_json
from cekura_dashboards.text import UntrustedText, did_you_mean


class BoardRefused(DashboardsError):
    """A file that is no board, or one that cannot be carried out here. Nothing was changed."""


class Board(BaseModel):
    """What a file holds. ``project``, agents in filters and metrics stand as names, or as ids.

    ``widgets``: as the API has them, without ids. Metadata that a widget does not have stays what it is.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    format: Literal[1] = 1
    name: str = Field(min_length=1)
    project: str | int | None = None
    filters: JsonObject | None = None
    widgets: list[JsonObject] = Field(default_factory=list[JsonObject], max_length=MOST_WIDGETS)

    def to_text(self) -> str:
        """As a file; what is None is absent."""
        return json.dumps(self.model_dump(exclude_none=True), indent=2, ensure_ascii=False) + "\n"


def read_board(text: str | bytes) -> Board:
    """What a file says; bytes in UTF-8, UTF-16 or UTF-32.

    Raises:
        BoardRefused: if it is no board, saying where.
    """
    try:
        board = Board.model_validate(read_json(text))
    except NotJson as error:
        raise BoardRefused(f"The file {error}.") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        hint = did_you_mean(where, [*Board.model_fields]) if first["type"] == "extra_forbidden" else first["msg"]
        raise BoardRefused(f"The file is no board: {UntrustedText(where)}: {hint}") from None
    for index, widget in enumerate(board.widgets):
        _check(index, widget)
    return board


def _check(index: int, widget: JsonObject) -> None:
    """Refuse what no widget has, and what would be read as nothing; the tools check the rest.

    Raises:
        BoardRefused: naming it.
    """
    where = f"widgets[{index}]"
    for name in widget:
        if name not in WRITABLE:
            raise BoardRefused(
                f"{where}: {UntrustedText(name)} is not a field of a widget; {did_you_mean(name, WRITABLE)}"
            )
    if not isinstance(widget.get("chart_type"), str):
        raise BoardRefused(f"{where}: chart_type is missing.")
    for name in ("filters", "group_by"):
        if widget.get(name) is not None and not is_object(widget[name]):
            raise BoardRefused(f"{where}.{name}: is no object.")


def definition(widget: JsonObject) -> JsonObject:
    """The fields of a widget that are set, whatever their form."""
    return WidgetConfig.model_validate({"chart_type": "", **widget}).definition()


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


async def export_board(context: ToolContext, dashboard: str | int) -> Board:
    """A dashboard, by id or exact name.

    Raises:
        BoardRefused: if there is none of that name, its filters cannot be read, or it has more widgets than one call
            may create.
        DashboardsError: if it could not be read.
    """
    context = context.for_one_call()
    stored = await context.lookups.dashboard(await dashboard_id(context, dashboard))
    if len(stored.widgets) > MOST_WIDGETS:
        raise BoardRefused(
            f"Dashboard {stored.id} has {len(stored.widgets)} widgets; a board has at most {MOST_WIDGETS}."
        )
    if (problem := stored.unreadable("filters")) is not None:
        raise BoardRefused(f"Dashboard {stored.id} cannot be written as a file: {problem}.")
    names = await Names.of(context, stored.project)
    projects = await names_of(context, "project")
    return Board(
        name=stored.name or f"Dashboard {stored.id}",
        project=name_or_id(stored.project, projects) if stored.project in projects else stored.project,
        filters=names.with_names(stored.filters or None, "filters"),
        widgets=[names.with_names(widget.definition(), f"widgets[{i}]") for i, widget in enumerate(stored.widgets)],
    )


async def dashboard_id(context: ToolContext, dashboard: str | int) -> int:
    """The id of a dashboard that is named.

    Raises:
        BoardRefused: if there is none of that name, or several.
    """
    text = str(dashboard).strip()
    if isinstance(number := number_or_name(text), int):
        return number
    names = await names_of(context, "dashboard")
    matching_id = id_of(text, names)
    if matching_id is None:
        raise BoardRefused(no_such("dashboard", text, names))
    return matching_id
