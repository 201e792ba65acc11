"""A dashboard as a file."""

import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cekura_dashboards.api.errors import DashboardsError
from cekura_dashboards.api.models import WRITABLE, JsonObject, WidgetConfig, is_object
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
