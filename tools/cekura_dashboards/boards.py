"""Dashboards as files: names instead of ids, so that a board moves between projects and can be kept beside code.

>>> from cekura_dashboards.boards import read_board
>>> read_board('{"name": "Latency", "widgets": [{"name": "Calls", "chart_type": "stat"}]}').name
'Latency'
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct, field
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cekura_dashboards.api.errors import DashboardsError, PlanRefused
from cekura_dashboards.api.models import (
    WRITABLE,
    Dashboard,
    JsonObject,
    Widget,
    WidgetConfig,
    as_list,
    as_object,
    is_object,
    same,
)
from cekura_dashboards.arguments.references import id_of, name_or_id, names_of, no_such, number_or_name
from cekura_dashboards.catalogue import TOOLS
from cekura_dashboards.context import ToolContext, gather
from cekura_dashboards.edits.changes import line_of
from cekura_dashboards.edits.copies import with_references
from cekura_dashboards.edits.receipt import Receipt
from cekura_dashboards.edits.request import MOST_WIDGETS
from cekura_dashboards.pipeline import Answer, call_tool
from cekura_dashboards.reports.expectations import FORMS, SINGLE, Checked, Limit, check_charts, read_expectations
from cekura_dashboards.reports.looks import HOUR, Event, LookToken, event_of_line, read_token, scope_of
from cekura_dashboards.stats.significance import has_lasted, share_of_look
from cekura_dashboards.text import NotJson, UntrustedText, did_you_mean, read_json
from cekura_dashboards.tool import EntityKind
from cekura_dashboards.values import replace


class BoardRefused(DashboardsError):
    """A file that is not a board, or that cannot be applied here. Nothing was changed."""


class Board(BaseModel):
    """The contents of a file. ``project``, agents in filters and metrics are names or ids.

    ``widgets``: as in the API, without ids. If a widget has no metadata, the stored metadata stays. ``expect``: by the
    names of widgets, what ``assert_board`` checks; nothing else reads it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    format: Literal[1] = 1
    name: str = Field(min_length=1)
    project: str | int | None = None
    filters: JsonObject | None = None
    widgets: list[JsonObject] = Field(default_factory=list[JsonObject], max_length=MOST_WIDGETS)
    expect: dict[str, str] | None = None

    def to_text(self) -> str:
        """The text of the file; fields that are None are absent."""
        return json.dumps(self.model_dump(exclude_none=True), indent=2, ensure_ascii=False) + "\n"


def read_board(text: str | bytes) -> Board:
    """The board in a file; bytes in UTF-8, UTF-16 or UTF-32.

    Raises:
        BoardRefused: if it is not a board, with the place.
    """
    try:
        board = Board.model_validate(read_json(text))
    except NotJson as error:
        raise BoardRefused(f"The file {error}.") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        hint = did_you_mean(where, [*Board.model_fields]) if first["type"] == "extra_forbidden" else first["msg"]
        raise BoardRefused(f"The file is not a board: {UntrustedText(where)}: {hint}") from None
    for index, widget in enumerate(board.widgets):
        _check(index, widget)
    return board


def _check(index: int, widget: JsonObject) -> None:
    """Refuse unknown and malformed fields; the tools check the rest.

    Raises:
        BoardRefused: naming the field.
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
            raise BoardRefused(f"{where}.{name} must be an object.")


def definition(widget: JsonObject) -> JsonObject:
    """The fields of a widget that are set."""
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
        """Filters or a widget with names in place of ids; an id without a unique name stays."""
        return with_references(value, self._name, where)

    def with_ids(self, value: JsonObject | None, where: str) -> Any:
        """Filters or a widget with ids in place of names.

        Raises:
            BoardRefused: for an unknown or ambiguous name.
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
        BoardRefused: if no dashboard has that name, its filters cannot be read, or it has more widgets than one call
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
    """The id of a dashboard, by id or name.

    Raises:
        BoardRefused: if no dashboard has that name, or several.
    """
    text = str(dashboard).strip()
    if isinstance(number := number_or_name(text), int):
        return number
    names = await names_of(context, "dashboard")
    matching_id = id_of(text, names)
    if matching_id is None:
        raise BoardRefused(no_such("dashboard", text, names))
    return matching_id


_TOOLS = {tool.name: tool for tool in TOOLS}
_CREATE, _SETUP, _WIDGETS = "create_dashboard", "update_dashboard", "bulk_edit_dashboard"


class PlannedCall(Struct, frozen=True):
    """A call of a writing tool, and the answer to its dry run."""

    tool: str
    arguments: JsonObject
    dry_run: JsonObject

    @property
    def lines(self) -> list[str]:
        """For people: the changes, then warnings."""
        receipt = Receipt.model_validate(self.dry_run)
        remarks = [*(f"warning: {text}" for text in receipt.warnings or []), *(receipt.omitted or [])]
        return [*(line_of(change) for change in receipt.changes), *remarks]


class BoardPlan(Struct, frozen=True):
    """The planned calls for a dashboard; ``dashboard`` None: a new one. No steps: nothing to do."""

    dashboard: int | None
    steps: list[PlannedCall]
    notes: list[str]


class AppliedBoard(Struct, frozen=True):
    """The receipts, in order. ``failed``: why it stopped."""

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
    """The plan that applies a board. Changes nothing.

    ``dashboard``: the one to change, by id or name; None: the one of the board's name in the project, or a new one.
    ``project``: replaces the board's.

    Raises:
        BoardRefused: if a name in the board is unknown, or the dashboard's name is not unique.
        DashboardsError: if a tool would refuse a step.
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
    """Carry out an approved plan. A step whose dashboard was changed since is refused.

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
    """The dry run of a later step, repeated after the changes of earlier steps.

    Raises:
        PlanRefused: if it differs from the plan.
    """
    dry_run = (await call_tool(context, _TOOLS[step.tool], step.arguments)).structured
    if dry_run | {"plan_id": None} != step.dry_run | {"plan_id": None}:
        raise PlanRefused(f"{step.tool} was not carried out: its changes would differ from the plan. Plan again.")
    return dry_run


def _refuse_if_read_only(context: ToolContext) -> None:
    if context.settings.read_only:
        raise BoardRefused("CEKURA_READ_ONLY is set. Nothing was changed.")


async def undo_board(context: ToolContext, calls: Sequence[JsonObject]) -> AppliedBoard:
    """Make undo calls, as in ``AppliedBoard.calls_to_undo``; later ones use the new ids of restored things.

    Raises:
        BoardRefused: in read-only mode.
    """
    _refuse_if_read_only(context)
    done, restored = list[Answer](), list[str]()
    for call in calls:
        tool, arguments = _TOOLS.get(str(call.get("tool"))), as_object(call.get("arguments"))
        if tool is None or arguments is None or not tool.writes or "plan_id" not in arguments:
            return AppliedBoard(done, "This is not an undo call from a receipt.")
        try:
            answer = await call_tool(
                context, tool, arguments | {"plan_id": "; ".join([str(arguments["plan_id"]), *restored])}
            )
        except DashboardsError as error:
            return AppliedBoard(done, str(error))
        done.append(answer)
        restored += [str(line) for line in as_list(answer.structured.get("restored")) or []]
    return AppliedBoard(done)


class AssertedBoard(Struct, frozen=True):
    """The checks of a dashboard; ``token``: for the next look of a series."""

    dashboard: int
    name: str
    checks: list[Checked]
    token: str | None = None

    @property
    def failed(self) -> list[Checked]:
        return [check for check in self.checks if check.status == "fail"]

    @property
    def untested(self) -> list[Checked]:
        return [check for check in self.checks if check.status == "not tested"]


def check_expectations(context: ToolContext, texts: Mapping[str, str], widgets: Sequence[str] | None = None) -> None:
    """Refuse malformed lines before any request. ``widgets``: the names of the charts, if known.

    Raises:
        InvalidArguments: naming each, with the nearest valid form.
        BoardRefused: if there are none.
    """
    if not texts:
        raise BoardRefused(f"There is nothing to check: give expectations by the names of charts, such as {FORMS}.")
    read_expectations(texts, widgets, context.now(), context.settings.zone)


async def board_dashboard(
    context: ToolContext, board: Board, *, dashboard: str | int | None = None, project: str | int | None = None
) -> int:
    """The dashboard of a board.

    Raises:
        BoardRefused: if it does not exist yet.
    """
    target, where, _ = await _target(context, board, dashboard, project)
    if target is None:
        raise BoardRefused(
            f"Project {where} has no dashboard {UntrustedText(board.name)}; apply the file first, or give --dashboard."
        )
    return target


async def assert_board(
    context: ToolContext,
    dashboard: str | int,
    texts: Mapping[str, str],
    *,
    looks: bool = False,
    token: str | None = None,
) -> AssertedBoard:
    """Check a dashboard's charts against expectations. ``texts``: by the names of widgets. Changes nothing.

    ``looks``: this is one look of a series, after the one that returned ``token``. Then a failure must be significant
    over the whole series, and one that was reported before remains a failure, even if an intermediate look could not
    read its chart.

    Raises:
        InvalidArguments: for lines that cannot be read, or a token of another series.
        DashboardsError: if the dashboard or its charts could not be read.
    """
    check_expectations(context, texts)
    context = context.for_one_call()
    stored = await context.lookups.dashboard(await dashboard_id(context, dashboard))
    context = await context.in_zone_of([stored.project])
    now, zone = context.now(), context.settings.zone
    expectations = read_expectations(texts, [widget.name or "" for widget in stored.widgets], now, zone)
    scope = scope_of("assert", stored.id)
    last = read_token(token, scope, now, about=f"dashboard {stored.id}", anew="delete the file")
    pause = None if last is None else now - last.at
    earlier = {} if last is None else {event.digest: event for event in last.events}
    events = [event_of_line(json.dumps([e.widget, e.text]), now, earlier, pause) for e in expectations]
    share = Limit(share_of_look(pause), len(expectations))
    limits = [share if looks and not event.is_clear else SINGLE for event in events]
    widgets = {widget.name or "": widget for widget in stored.widgets}
    checks = await check_charts(context, [(e, widgets[e.widget]) for e in expectations], limits, stored.project)
    name = stored.name or f"Dashboard {stored.id}"
    if not looks:
        return AssertedBoard(stored.id, name, checks)
    remembered = list[Event]()
    for place, (check, event) in enumerate(zip(checks, events, strict=True)):
        if check.status == "not tested" and event.digest in earlier:
            remembered.append(earlier[event.digest]._replace(age=0))
        if check.lasts and event.digest in earlier and earlier[event.digest].age:
            remembered.append(event)
        if check.status != "fail":
            continue
        if check.must_last and not event.is_clear and not has_lasted(event.age * HOUR):
            checks[place] = check.not_yet()
            remembered.append(event)
            continue
        checks[place] = check._replace(told_before=event.is_clear)
        remembered.append(event._replace(kind=event.kind.upper()))
    number = 1 if last is None else last.looks + 1
    return AssertedBoard(stored.id, name, checks, LookToken(scope, number, now, tuple(remembered)).to_text())


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
    """The dashboard to change, None for a new one; the project whose names apply; and notes."""
    project_name = project if project is not None else board.project
    if dashboard is None:
        where = await _project(context, project_name)
        return await _namesake(context, board.name, where), where, []
    number = await dashboard_id(context, dashboard)
    stays = (await context.lookups.dashboard(number)).project
    if project_name is None or stays is None or await _project(context, project_name) == stays:
        return number, stays, []
    return number, stays, [f"dashboard {number} stays in project {stays}; its names are used"]


async def _project(context: ToolContext, name: str | int | None) -> int:
    """The id of the project.

    Raises:
        BoardRefused: if it does not exist.
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
    """The dashboard of that name in the project; None if there is none.

    Raises:
        BoardRefused: if there are several.
    """
    ids = list[int]()
    async for rows in context.api.list_dashboards(project_id=project):
        ids += [row.id for row in rows if row.name == name]
    if len(ids) > 1:
        raise BoardRefused(
            f"Project {project} has {len(ids)} dashboards {UntrustedText(name)}; give the id: "
            f"{', '.join(map(str, ids))}."
        )
    return ids[0] if ids else None


def _careful(context: ToolContext) -> ToolContext:
    """The same context, in which every write requires a plan."""
    return replace(context, settings=context.settings.model_copy(update={"confirm": "writes"}))


Edits = JsonObject
"""Arguments of bulk_edit_dashboard without the dashboard; empty: nothing to do."""


def setup_changes(board: Board, stored: Dashboard, filters: JsonObject | None) -> JsonObject:
    """Arguments of update_dashboard without the dashboard. ``filters``: the board's, with ids."""
    changes: JsonObject = {}
    if board.name != stored.name:
        changes["name"] = board.name
    if not same(filters, stored.stored("filters")):
        changes |= {"filters": filters} if filters else {"clear": ["filters"]}
    return changes


def widget_edits(board_widgets: list[JsonObject], stored: list[Widget]) -> Edits:
    """The widgets to create, change and delete. ``board_widgets``: the board's, with ids.

    Widgets are matched if equal, then by name, then if only their names differ.
    """
    pairs = _pair_widgets(board_widgets, stored)
    kept_ids = {widget.id for _, widget in pairs if widget is not None}
    create = [new for new, widget in pairs if widget is None]
    update = [{"id": widget.id, **changes} for new, widget in pairs if widget and (changes := _changes(new, widget))]
    delete = [widget.id for widget in stored if widget.id not in kept_ids]
    return {name: items for name, items in (("create", create), ("update", update), ("delete", delete)) if items}


def _pair_widgets(board_widgets: list[JsonObject], stored: list[Widget]) -> list[tuple[JsonObject, Widget | None]]:
    """Each widget of the board with the stored one that it matches, closest matches first."""
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
    """The arguments of an update, without the id; empty if nothing differs.

    A field that the board omits is cleared, except metadata, which has the widget's position.
    """
    new_values, stored_values = definition(new), stored.writable()
    names = [name for name in WRITABLE if name != "metadata" or "metadata" in new]
    changed = [name for name in names if not same(new_values.get(name), stored_values[name])]
    changes: dict[str, Any] = {name: new_values[name] for name in changed if name in new_values}
    clear = [name for name in changed if name not in new_values or name == "metadata"]
    return changes | ({"clear": clear} if clear else {})
