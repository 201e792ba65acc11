"""From a dashboard to a board."""

from cekura_dashboards.arguments.references import id_of, name_or_id, names_of, no_such, number_or_name
from cekura_dashboards.boards.board import Board, BoardRefused
from cekura_dashboards.boards.names import Names
from cekura_dashboards.context import ToolContext
from cekura_dashboards.edits.request import MOST_WIDGETS


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
