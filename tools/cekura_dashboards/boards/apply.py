"""What turns a dashboard into what a board says, carried out by the writing tools with their plans and undo."""

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct, field

from cekura_dashboards.api.errors import DashboardsError, PlanRefused
from cekura_dashboards.api.models import WRITABLE, Dashboard, JsonObject, Widget, as_list, as_object, same
from cekura_dashboards.arguments.references import id_of, names_of, no_such
from cekura_dashboards.boards.board import Board, BoardRefused, Names, dashboard_id, definition
from cekura_dashboards.catalogue import TOOLS
from cekura_dashboards.context import ToolContext
from cekura_dashboards.edits.changes import line_of
from cekura_dashboards.edits.receipt import Receipt
from cekura_dashboards.pipeline import Answer, call_tool
from cekura_dashboards.text import UntrustedText
from cekura_dashboards.values import replace

_TOOLS = {tool.name: tool for tool in TOOLS}
_CREATE, _SETUP, _WIDGETS = "create_dashboard", "update_dashboard", "bulk_edit_dashboard"


class PlannedCall(Struct, frozen=True):
    """A call of a tool that writes, and what its dry run answered."""

    tool: str
    arguments: JsonObject
    dry_run: JsonObject

    @property
    def lines(self) -> list[str]:
        """For people: each change, then what may go wrong with it."""
        receipt = Receipt.model_validate(self.dry_run)
        remarks = [*(f"warning: {text}" for text in receipt.warnings or []), *(receipt.left_out or [])]
        return [*(line_of(change) for change in receipt.changes), *remarks]


class BoardPlan(Struct, frozen=True):
    """What would be done to which dashboard; ``dashboard`` None: to a new one. No steps: it is like this already."""

    dashboard: int | None
    steps: list[PlannedCall]
    notes: list[str]


class AppliedBoard(Struct, frozen=True):
    """The receipts, in order. ``failed``: why it was not carried on."""

    receipts: list[Answer] = field(default_factory=list[Answer])
    failed: str | None = None

    @property
    def calls_to_undo(self) -> list[JsonObject]:
        """The undo calls, the last step's first: ``{tool, arguments}``."""
        undo_calls = [as_object(receipt.structured.get("undo")) for receipt in reversed(self.receipts)]
        return [call for call in undo_calls if call is not None]


async def plan_board(
    context: ToolContext, board: Board, *, dashboard: str | int | None = None, project: str | int | None = None
) -> BoardPlan:
    """What would be done. Changes nothing.

    ``dashboard``: the one to change, by id or name; None: the one of that name in the project, or a new one.
    ``project``: in place of the board's.

    Raises:
        BoardRefused: if a name of the board is not there, or the dashboard is not the only one of its name.
        DashboardsError: of the tools, where they would refuse a step.
    """
    context = context.for_one_call()
    target, where, notes = await _target(context, board, dashboard, project)
    names = await Names.of(context, where)
    filters = names.with_ids(board.filters, "filters")
    widgets = [names.with_ids(widget, f"widgets[{index}]") for index, widget in enumerate(board.widgets)]
    steps = list[PlannedCall]()
    for tool, arguments in await _calls(context, board, filters, widgets, target, where):
        dry_run = await call_tool(_careful(context), _TOOLS[tool], arguments)
        if dry_run.structured["outcome"] != "nothing_to_do":
            steps.append(PlannedCall(tool, arguments, dry_run.structured))
    return BoardPlan(target, steps, notes)


async def apply_board(context: ToolContext, plan: BoardPlan) -> AppliedBoard:
    """Carry out a plan that somebody agreed to; what was changed by others since is refused, and left as it is.

    Raises:
        BoardRefused: in read-only mode.
    """
    _refuse_if_read_only(context)
    careful, done = _careful(context), list[Answer]()
    for step in plan.steps:
        try:
            plan_id = (await _plan_again(careful, step) if done else step.dry_run)["plan_id"]
            done.append(await call_tool(careful, _TOOLS[step.tool], {**step.arguments, "plan_id": plan_id}))
        except DashboardsError as error:
            return AppliedBoard(done, str(error))
    return AppliedBoard(done)


async def _plan_again(context: ToolContext, step: PlannedCall) -> JsonObject:
    """The dry run of a later step, which knows what the steps before it changed.

    Raises:
        PlanRefused: if it is another by now.
    """
    dry_run = (await call_tool(context, _TOOLS[step.tool], step.arguments)).structured
    if dry_run | {"plan_id": None} != step.dry_run | {"plan_id": None}:
        raise PlanRefused(f"{step.tool} was not carried out: it would do something else than was planned. Plan again.")
    return dry_run


def _refuse_if_read_only(context: ToolContext) -> None:
    if context.settings.read_only:
        raise BoardRefused("CEKURA_READ_ONLY is set: nothing is written.")


async def undo_board(context: ToolContext, calls: Sequence[JsonObject]) -> AppliedBoard:
    """Make undo calls, as in ``AppliedBoard.calls_to_undo``; later ones know the new ids of what earlier ones restored.

    Raises:
        BoardRefused: in read-only mode.
    """
    _refuse_if_read_only(context)
    done, restored = list[Answer](), list[str]()
    for call in calls:
        tool, arguments = _TOOLS.get(str(call.get("tool"))), as_object(call.get("arguments"))
        if tool is None or arguments is None or not tool.writes or "plan_id" not in arguments:
            return AppliedBoard(done, "This is no undo call of a receipt.")
        try:
            answer = await call_tool(
                context, tool, arguments | {"plan_id": "; ".join([str(arguments["plan_id"]), *restored])}
            )
        except DashboardsError as error:
            return AppliedBoard(done, str(error))
        done.append(answer)
        restored += [str(line) for line in as_list(answer.structured.get("restored")) or []]
    return AppliedBoard(done)


async def _calls(
    context: ToolContext,
    board: Board,
    filters: JsonObject | None,
    widgets: list[JsonObject],
    target: int | None,
    project: int | None,
) -> list[tuple[str, JsonObject]]:
    if target is None:
        optional = {"project_id": project, "filters": filters, "widgets": widgets or None}
        arguments = {name: value for name, value in optional.items() if value is not None}
        return [(_CREATE, {"name": board.name, **arguments})]
    stored = await context.lookups.dashboard(target)
    setup, edits = setup_changes(board, stored, filters), widget_edits(widgets, stored.widgets)
    return [
        (tool, {"dashboard_id": target, **fields}) for tool, fields in ((_SETUP, setup), (_WIDGETS, edits)) if fields
    ]


async def _target(
    context: ToolContext, board: Board, dashboard: str | int | None, project: str | int | None
) -> tuple[int | None, int | None, list[str]]:
    """The dashboard to change, None for a new one; the project whose names count; and notes."""
    project_name = project if project is not None else board.project
    if dashboard is None:
        where = await _project(context, project_name)
        return await _namesake(context, board.name, where), where, []
    number = await dashboard_id(context, dashboard)
    stays = (await context.lookups.dashboard(number)).project
    if project_name is None or stays is None or await _project(context, project_name) == stays:
        return number, stays, []
    return number, stays, [f"dashboard {number} stays in project {stays}; names are those of that project"]


async def _project(context: ToolContext, name: str | int | None) -> int:
    """The id of the project.

    Raises:
        BoardRefused: if it is not there.
        InvalidArguments: if none is given and there are several.
    """
    if name is None:
        return await context.lookups.only_project(None, lead="Nothing was changed.")
    names: dict[int, Any] = await names_of(context, "project")
    project_id = id_of(str(name), names)
    if project_id is None:
        raise BoardRefused(no_such("project", str(name), names))
    return project_id


async def _namesake(context: ToolContext, name: str, project: int) -> int | None:
    """The one dashboard of that name in the project; None if there is none yet.

    Raises:
        BoardRefused: if there are several.
    """
    ids = list[int]()
    async for rows in context.api.list_dashboards(project_id=project):
        ids += [row.id for row in rows if row.name == name]
    if len(ids) > 1:
        raise BoardRefused(
            f"Project {project} has {len(ids)} dashboards {UntrustedText(name)}; say which is meant, by id: "
            f"{', '.join(map(str, ids))}."
        )
    return ids[0] if ids else None


def _careful(context: ToolContext) -> ToolContext:
    """The same context, in which every write needs a plan first."""
    return replace(context, settings=context.settings.model_copy(update={"confirm": "writes"}))


Edits = JsonObject
"""Arguments of bulk_edit_dashboard but for the dashboard; none: nothing to do."""


def setup_changes(board: Board, stored: Dashboard, filters: JsonObject | None) -> JsonObject:
    """Arguments of update_dashboard but for the dashboard. ``filters``: the board's, with ids."""
    changes: JsonObject = {}
    if board.name != stored.name:
        changes["name"] = board.name
    if not same(filters, stored.stored("filters")):
        changes |= {"filters": filters} if filters else {"clear": ["filters"]}
    return changes


def widget_edits(board_widgets: list[JsonObject], stored: list[Widget]) -> Edits:
    """The widgets to create, change and delete. ``board_widgets``: the board's, with ids.

    Widgets are matched when they are equal, then by name, then when they differ in nothing but the name.
    """
    pairs = _pair_widgets(board_widgets, stored)
    kept_ids = {widget.id for _, widget in pairs if widget is not None}
    create = [new for new, widget in pairs if widget is None]
    update = [{"id": widget.id, **changes} for new, widget in pairs if widget and (changes := _changes(new, widget))]
    delete = [widget.id for widget in stored if widget.id not in kept_ids]
    return {name: items for name, items in (("create", create), ("update", update), ("delete", delete)) if items}


def _pair_widgets(board_widgets: list[JsonObject], stored: list[Widget]) -> list[tuple[JsonObject, Widget | None]]:
    """Each widget of the board with the stored one that it matches: the most alike first."""
    pairs, remaining = dict[int, Widget](), list(stored)
    alike: tuple[Callable[[JsonObject, Widget], bool], ...] = (
        lambda new, widget: not _changes(new, widget),
        lambda new, widget: new.get("name") == widget.stored("name"),
        lambda new, widget: set(_changes(new, widget)) <= {"name"},
    )
    for is_alike in alike:
        for place, new in enumerate(board_widgets):
            match = None if place in pairs else next((widget for widget in remaining if is_alike(new, widget)), None)
            if match is not None:
                pairs[place] = match
                remaining.remove(match)
    return [(new, pairs.get(place)) for place, new in enumerate(board_widgets)]


def _changes(new: JsonObject, stored: Widget) -> JsonObject:
    """The arguments of an update, but for the id; nothing if it is stored like this already.

    A field that the board omits is emptied, except metadata, which holds the widget's position.
    """
    new_values, stored_values = definition(new), stored.writable()
    names = [name for name in WRITABLE if name != "metadata" or "metadata" in new]
    changed = [name for name in names if not same(new_values.get(name), stored_values[name])]
    changes: dict[str, Any] = {name: new_values[name] for name in changed if name in new_values}
    clear = [name for name in changed if name not in new_values or name == "metadata"]
    return changes | ({"clear": clear} if clear else {})
