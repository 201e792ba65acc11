"""From a dashboard to a board."""

from cekura_dashboards.arguments.references import id_of, names_of, no_such, number_or_name, written
from cekura_dashboards.boards.board import Board, BoardRefused
from cekura_dashboards.boards.names import Names
from cekura_dashboards.context import ToolContext
from cekura_dashboards.widgets.edits import MOST_WIDGETS


async def export_board(context: ToolContext, dashboard: str | int) -> Board:
    """A dashboard, by id or exact name.

    Raises:
        BoardRefused: if there is none of that name, its filters cannot be read, or it has more widgets than one call
            may create.
        DashboardsError: if it could not be read.
    """
    context = context.for_one_call()
    found = await context.lookups.dashboard(await dashboard_id(context, dashboard))
    if len(found.widgets) > MOST_WIDGETS:
        raise BoardRefused(
            f"Dashboard {found.id} has {len(found.widgets)} widgets; a board has at most {MOST_WIDGETS}."
        )
    if (problem := found.unreadable("filters")) is not None:
        raise BoardRefused(f"Dashboard {found.id} cannot be written as a file: {problem}.")
    names = await Names.of(context, found.project)
    projects = await names_of(context, "project")
    return Board(
        name=found.name or f"Dashboard {found.id}",
        project=written(found.project, projects) if found.project in projects else found.project,
        filters=names.written(found.filters or None, "filters"),
        widgets=[names.written(widget.definition(), f"widgets[{i}]") for i, widget in enumerate(found.widgets)],
    )


async def dashboard_id(context: ToolContext, dashboard: str | int) -> int:
    """The id of a dashboard that is named.

    Raises:
        BoardRefused: if there is none of that name, or several.
    """
    text = str(dashboard).strip()
    if isinstance(number := number_or_name(text), int):
        return number
    known = await names_of(context, "dashboard")
    found = id_of(text, known)
    if found is None:
        raise BoardRefused(no_such("dashboard", text, known))
    return found
