"""Copying, moving and removing widgets across dashboards; copying dashboards across projects."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from msgspec import Struct, field
from pydantic import Field

from cekura_dashboards.api.client import CekuraClient
from cekura_dashboards.api.errors import DashboardsError, EditFailed, Fault, InvalidArguments
from cekura_dashboards.api.filters import AGENT_IDS, METRIC_ID, only_time
from cekura_dashboards.api.models import Dashboard, JsonObject, Widget, as_list, as_object
from cekura_dashboards.arguments.references import DashboardId, WidgetId, names_of
from cekura_dashboards.context import ToolContext, gather_all, gather_by_id
from cekura_dashboards.edits.changes import EditOperation, WidgetEdits, as_json, before_after, differences
from cekura_dashboards.edits.layout import Placement, Wish, place_widgets
from cekura_dashboards.edits.request import RestoredIds
from cekura_dashboards.edits.rules import Checker, no_date_range
from cekura_dashboards.edits.send import ReadBack, WriteResult, write_or_read_back
from cekura_dashboards.text import join_names, json_text, named, noun_and_names, untrusted
from cekura_dashboards.tool import EntityKind, Request

Names = Mapping[EntityKind, Mapping[int, str]]
Change = Callable[[EntityKind, Any, str], Any]
KINDS: dict[str, EntityKind] = {**dict.fromkeys(AGENT_IDS, "agent"), METRIC_ID: "metric"}
"""Filter fields with ids, by the kind of thing."""
NAMED: dict[str, EntityKind] = {"agent.agent_name": "agent", "metric_evaluations.metric.name": "metric"}
"""Filter fields with names, by the kind of thing."""


class Translation(Struct, frozen=True):
    """``value`` with the ids of another project. ``matched``: replaced ids; ``missing``: unmatched names."""

    value: Any
    matched: dict[str, None] = field(default_factory=dict[str, None])
    missing: dict[str, None] = field(default_factory=dict[str, None])


async def translated(
    context: ToolContext, value: JsonObject | None, *, project: int | None, dashboard: int | None
) -> Translation:
    """A widget or filters of ``dashboard``, with the ids of ``project``; unchanged where none need replacing.

    Raises:
        DashboardsError: if the names of its ids could not be read.
    """
    names = _names_in(value)
    kinds: set[EntityKind] = {kind for kind, _ in [*_references(value), *names]}
    if project is None or not kinds:
        return Translation(value)
    here = dict[EntityKind, Mapping[int, str]]()
    with suppress(DashboardsError):  # read again below if needed
        here = await _names_of(context, kinds, project)
    if here and all(number in here[kind] for kind, number in _references(value)) and not _unknown(names, here):
        return Translation(value)
    home = None if dashboard is None else (await context.lookups.dashboard(dashboard)).project
    if home == project:
        return Translation(value)
    here = here or await _names_of(context, kinds, project)
    return _translated(value, await _names_of(context, kinds, home), here, project)


async def _names_of(
    context: ToolContext, kinds: Iterable[EntityKind], project: int | None
) -> dict[EntityKind, Mapping[int, str]]:
    ordered = sorted(kinds)
    names = await gather_all(names_of(context, kind, project=project) for kind in ordered)
    return dict(zip(ordered, names, strict=True))


def _translated(value: JsonObject | None, old_names: Names, here: Names, project: int) -> Translation:
    translation = Translation(None)

    def change(kind: EntityKind, reference: Any, _where: str) -> Any:
        number = _number(reference)
        if number is None or number in here[kind]:
            return reference
        name = old_names[kind].get(number)
        ids = [one for one, title in here[kind].items() if title == name]
        if len(ids) == 1:
            translation.matched[f"{kind} {number} {named(name)} was replaced by {ids[0]} of project {project}"] = None
            return ids[0]
        if name is None:
            translation.missing[f"no {kind} {number} in project {project}, and its name is unknown"] = None
        elif ids:
            translation.missing[f"{len(ids)} {kind}s of project {project} are called {named(name)}: {_shown(ids)}"] = (
                None
            )
        else:
            translation.missing[f"no {kind} {named(name)} in project {project}"] = None
        return reference

    changed = with_references(value, change, "")
    for kind, name in _unknown(_names_in(value), here):
        translation.missing[f"no {kind} {named(name)} in project {project}"] = None
    return Translation(changed, translation.matched, translation.missing)


def _shown(ids: Iterable[int]) -> str:
    return join_names(map(str, ids))


def _number(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    return value if isinstance(value, int) else None


def _references(value: JsonObject | None) -> list[tuple[EntityKind, int]]:
    """The ids in a widget or filters."""
    references = list[tuple[EntityKind, int]]()

    def keep(kind: EntityKind, reference: Any, _where: str) -> Any:
        number = _number(reference)
        references.extend([(kind, number)] if number is not None else [])
        return reference

    with_references(value, keep, "")
    return references


def _names_in(value: JsonObject | None) -> list[tuple[EntityKind, str]]:
    """The full names in filters."""
    node = value or {}
    kind = NAMED.get(str(node.get("field")))
    values = as_list(node.get("value")) or [node.get("value")]
    names = list[tuple[EntityKind, str]]()
    if kind is not None and node.get("op") in {"eq", "in"}:
        names.extend((kind, name) for name in values if isinstance(name, str))
    inside = [as_object(part) for part in [*(as_list(node.get("conditions")) or []), node.get("filters")]]
    return [*names, *(name for part in inside if part is not None for name in _names_in(part))]


def _unknown(names: Iterable[tuple[EntityKind, str]], names_by_kind: Names) -> list[tuple[EntityKind, str]]:
    """The names that do not exist, ignoring case."""
    folded = {kind: {title.casefold() for title in titles.values()} for kind, titles in names_by_kind.items()}
    return [(kind, name) for kind, name in names if name.casefold() not in folded[kind]]


def with_references(value: JsonObject | None, change: Change, where: str) -> Any:
    """Filters or a widget with each reference in them converted."""
    if value is None:
        return None
    result = dict(value)
    if result.get("metric") is not None:
        result["metric"] = change("metric", result["metric"], f"{where}.metric")
    if (kind := KINDS.get(str(result.get("field")))) and "value" in result:
        items = as_list(result["value"])
        place = f"{where}.value"
        result["value"] = (
            change(kind, result["value"], place) if items is None else [change(kind, item, place) for item in items]
        )
    if (parts := as_list(result.get("conditions"))) is not None:
        result["conditions"] = [
            part
            if (inner := as_object(part)) is None
            else with_references(inner, change, f"{where}.conditions[{index}]")
            for index, part in enumerate(parts)
        ]
    if (filters := as_object(result.get("filters"))) is not None:
        result["filters"] = with_references(filters, change, f"{where}.filters")
    return result


class PlannedCopies(NamedTuple):
    """The edits that make the copies, one per dashboard."""

    edits: list[WidgetEdits]
    warnings: list[str]
    notes: list[str]


async def copies_for(
    context: ToolContext, dashboards: Sequence[Dashboard], sources: Sequence[Widget], ids: RestoredIds
) -> PlannedCopies:
    edits, faults, warnings, notes = list[WidgetEdits](), list[Fault](), list[str](), list[str]()
    without_range = list[str]()
    for dashboard in dashboards:
        checker = Checker(context, dashboard.project, dashboard.filters)
        configs, mine = list[JsonObject](), {widget.id: widget for widget in dashboard.widgets}
        for source in sources:
            if source.dashboard == dashboard.id or source.id in mine:
                notes.append(f"widget {source.id} is already on dashboard {dashboard.id} and not copied")
                continue
            path = f"widget {source.id} on dashboard {dashboard.id}"
            translation = await translated(
                context, source.definition(), project=dashboard.project, dashboard=source.dashboard
            )
            config: JsonObject = translation.value
            notes += [text for text in translation.matched if text not in notes]
            faults += [Fault(path, f"{text}.") for text in translation.missing]
            if not translation.missing:
                await checker.created(config, f"{path}: ")
            configs.append(config)
            twin = next((w for w in dashboard.widgets if _plain(w.definition()) == _plain(config)), None)
            if twin is not None:
                warnings.append(f"dashboard {dashboard.id} already has a copy of widget {source.id}: {twin.id}")
        faults += checker.faults
        warnings += [f"dashboard {dashboard.id}: {text}" for text in checker.warnings]
        without_range += [str(dashboard.id)] if checker.without_range else []
        if mine:
            configs = _unplaced(configs, mine, ids)
        if configs:
            edits.append(
                WidgetEdits(
                    dashboard_id=dashboard.id,
                    creates=configs,
                    widgets=mine,
                )
            )
    if faults:
        raise InvalidArguments(faults, lead="Nothing was changed.")
    if without_range:
        warnings.append(f"{noun_and_names('dashboard', without_range)}: {no_date_range(on_dashboard=True)}")
    return PlannedCopies(edits, warnings, notes)


def _plain(config: JsonObject) -> JsonObject:
    """The configuration without its position."""
    return {name: value for name, value in config.items() if name != "metadata"}


def _unplaced(configs: Sequence[JsonObject], mine: dict[int, Widget], ids: RestoredIds) -> list[JsonObject]:
    """The copies placed below the existing widgets if the dashboard has a grid, else unchanged."""
    bare = [{name: value for name, value in config.items() if name != "metadata"} for config in configs]
    place_widgets(Placement([(Wish("create"), config) for config in bare]), mine, {}, [], ids)
    return [
        {**config, "metadata": {**_matching_widgets(config), **_matching_widgets(laid)}}
        if "metadata" in laid
        else config
        for config, laid in zip(configs, bare, strict=True)
    ]


def _matching_widgets(config: JsonObject) -> JsonObject:
    return as_object(config.get("metadata")) or {}


def removals_for(dashboards: Sequence[Dashboard], remove: Sequence[int], ids: RestoredIds) -> list[WidgetEdits]:
    ids_to_remove, edits = {ids.now("widget", number) for number in remove}, list[WidgetEdits]()
    for dashboard in dashboards:
        mine = {widget.id: widget for widget in dashboard.widgets}
        if deletes := [number for number in mine if number in ids_to_remove]:
            edits.append(
                WidgetEdits(
                    dashboard_id=dashboard.id,
                    deletes=deletes,
                    before={number: mine[number] for number in deletes},
                    widgets=mine,
                )
            )
    return edits


def planned(edits: WidgetEdits) -> list[EditOperation]:
    creates = [
        EditOperation(op="create", name=untrusted(c.get("name")), dashboard_id=edits.dashboard_id)
        for c in edits.creates
    ]
    deletes = [
        EditOperation(op="delete", id=n, name=untrusted(edits.before[n].name), dashboard_id=edits.dashboard_id)
        for n in edits.deletes
    ]
    return [*creates, *deletes]


class CopyInto(Struct):
    """A dashboard as it would be in another project. ``left_out``: its widgets that cannot be copied, and why."""

    filters: JsonObject | None = None
    widgets: list[JsonObject] = field(default_factory=list[JsonObject])
    matched: dict[str, None] = field(default_factory=dict[str, None])
    left_out: list[str] = field(default_factory=list[str])
    warnings: list[str] = field(default_factory=list[str])


async def copy_into(context: ToolContext, original: Dashboard, project: int, filters: JsonObject | None) -> CopyInto:
    """A dashboard in another project, with the agents and metrics of the same names. ``filters``: replace its own.

    Raises:
        InvalidArguments: if its filters cannot be copied and none are given, or if no widget can be copied.
        DashboardsError: if the names of its ids could not be read.
    """
    result = CopyInto(filters)
    if project not in {row.id for row in await context.lookups.projects()}:
        text = f"no project {project} for this key; look_up projects lists them."
        raise InvalidArguments.at("project_id", text, lead="Nothing was changed.")
    if filters is None:
        odd = original.unreadable("filters")
        translation = await translated(context, original.filters, project=project, dashboard=original.id)
        result.filters, result.matched = translation.value, {**translation.matched}
        if odd or translation.missing:
            such_as = f", such as {json_text(time_filter)}" if (time_filter := only_time(original.filters)) else ""
            text = (
                f"{odd or '; '.join(translation.missing)}, which the original uses; give filters for the copy{such_as}."
            )
            raise InvalidArguments.at("filters", text, lead="Nothing was changed.")
    checker = Checker(context, project, result.filters)
    for widget in original.widgets:
        translation = await translated(context, widget.definition(), project=project, dashboard=original.id)
        problems = [odd] if (odd := widget.problem()) else [*translation.missing]
        if not problems:
            await checker.created(translation.value, "")
            problems, checker.faults = [str(fault) for fault in checker.faults], []
        if problems:
            result.left_out.append(f"widget {widget.id} {named(widget.name)} is left out: {'; '.join(problems)}")
        else:
            result.widgets.append(translation.value)
            result.matched |= translation.matched
    if original.widgets and not result.widgets:
        text = f"no widget of the original can be copied to project {project}: {join_names(result.left_out, limit=3)}."
        raise InvalidArguments.at("project_id", text, lead="Nothing was changed.")
    result.warnings = checker.done()
    return result


COPIED = "a move cannot change the widget; omit move to copy it with that change."


class Back(Request):
    """The place of a widget before it was moved."""

    id: WidgetId
    dashboard_id: DashboardId
    metadata: dict[str, Any] | None = Field(default=None)


class Move(Struct, frozen=True):
    """A widget and the fields to send."""

    before: Widget
    fields: JsonObject

    @property
    def to(self) -> int:
        dashboard: int = self.fields["dashboard"]
        return dashboard

    @property
    def back(self) -> JsonObject:
        """The place before the move, as an undo call states it."""
        back: JsonObject = {"id": self.before.id, "dashboard_id": self.before.dashboard}
        return back | ({"metadata": self.before.metadata} if self.before.metadata else {})

    @property
    def forth(self) -> JsonObject:
        """The place after the move, in the same form."""
        forth: JsonObject = {"id": self.before.id, "dashboard_id": self.to}
        metadata = self.fields.get("metadata", self.before.metadata)
        return forth | ({"metadata": metadata} if metadata else {})

    def operation(self, stored: Widget | None = None) -> EditOperation:
        """The planned or applied change."""
        after = {**self.before.writable(), **self.fields} if stored is None else stored.writable()
        now = self.to if stored is None else stored.dashboard
        fields = {"dashboard": [self.before.dashboard, now], **before_after(self.before.writable(), after)}
        return EditOperation(op="update", id=self.before.id, name=untrusted(self.before.name), fields=fields)

    def differences(self, stored: Widget) -> list[str]:
        """Where the stored state differs from the request."""
        name = f"widget {self.before.id}"
        texts = differences(self.fields, stored, self.before, name)
        if stored.dashboard != self.to:
            texts.append(f"{name} dashboard: sent {self.to}, stored {as_json(stored.dashboard)}")
        return texts


class PlannedMoves(NamedTuple):
    """The moves of widgets to one dashboard."""

    moves: list[Move]
    warnings: list[str]
    notes: list[str]


async def moves_to(
    context: ToolContext, dashboard: Dashboard, widgets: Sequence[Widget], ids: RestoredIds
) -> PlannedMoves:
    """The moves of widgets that are not on the dashboard yet, placed below the others.

    Raises:
        InvalidArguments: for widgets that cannot be on that dashboard.
    """
    checker, moves, notes = Checker(context, dashboard.project, dashboard.filters), list[Move](), list[str]()
    mine = {widget.id: widget for widget in dashboard.widgets}
    for widget in widgets:
        if widget.dashboard == dashboard.id or widget.id in mine:
            notes.append(f"widget {widget.id} is already on dashboard {dashboard.id}")
            continue
        path = f"widget {widget.id} on dashboard {dashboard.id}"
        translation = await translated(
            context, widget.definition(), project=dashboard.project, dashboard=widget.dashboard
        )
        checker.faults += [Fault(path, f"{text}; {COPIED}") for text in translation.matched]
        checker.faults += [Fault(path, f"{text}.") for text in translation.missing]
        if not (translation.matched or translation.missing):
            await checker.created(widget.definition(), f"{path}: ")
        moves.append(Move(widget, {"dashboard": dashboard.id}))
    warnings = checker.done()
    laid: list[JsonObject] = [
        {name: value for name, value in move.before.definition().items() if name != "metadata"} for move in moves
    ]
    place_widgets(Placement([(Wish("widget_ids"), config) for config in laid]), mine, {}, [], ids)
    for move, config in zip(moves, laid, strict=True):
        if "metadata" in config:
            move.fields["metadata"] = {**(move.before.metadata or {}), **config["metadata"]}
    if moves:
        notes.append(f"the filters of dashboard {dashboard.id} apply to moved widgets")
    return PlannedMoves(moves, warnings, notes)


def moves_back(widgets: Sequence[Widget], places: Sequence[Back], ids: RestoredIds) -> list[Move]:
    """The moves that return widgets to their former places."""
    widgets_by_id = {widget.id: widget for widget in widgets}
    return [
        Move(
            widgets_by_id[ids.now("widget", item.id)],
            {"dashboard": ids.now("dashboard", item.dashboard_id), "metadata": item.metadata},
        )
        for item in places
    ]


def from_nowhere(moves: Sequence[Move]) -> list[str]:
    """A warning for widgets without a known dashboard, which an undo cannot move back."""
    names = [f"widget {move.before.id}" for move in moves if move.before.dashboard is None]
    return [f"undo cannot restore {join_names(names)}: the API does not report its dashboard"] if names else []


class MovedWidgets(NamedTuple):
    """The stored widgets, and errors by id. ``read_back``: whether a response was lost."""

    stored: dict[int, Widget]
    failed: dict[int, DashboardsError]
    read_back: bool


async def send_moves(context: ToolContext, moves: Sequence[Move]) -> MovedWidgets:
    """Move the widgets concurrently."""
    by_id, lost = {move.before.id: move for move in moves}, list[int]()

    async def one(number: int) -> Widget:
        stored, read_back = await _send(context, by_id[number])
        lost.extend([number] * read_back)
        await context.progress(len(by_id), len(by_id), f"widget {number} moved")
        return stored

    stored, failed = await gather_by_id(by_id, one)
    return MovedWidgets(stored, failed, bool(lost))


async def _send(context: ToolContext, move: Move) -> WriteResult[Widget]:
    number, what = move.before.id, f"move of widget {move.before.id}"

    async def look(api: CekuraClient) -> ReadBack[Widget]:
        stored = await api.get_widget(number)
        return ReadBack({what: _outcome(move, stored)}, stored)

    return await write_or_read_back(context, context.api.update_widget(number, move.fields), [what], look)


def _outcome(move: Move, stored: Widget) -> str:
    if stored.dashboard == move.to:
        return "applied"
    stays = stored.dashboard is not None and stored.dashboard == move.before.dashboard
    return "not applied" if stays else "unknown"


def outcomes_of(failed: Mapping[int, DashboardsError]) -> list[str]:
    """The outcomes of failed moves, a line each."""
    return [f"widget {number}: {error}" for number, error in sorted(failed.items())]


def all_failed(failed: Mapping[int, DashboardsError]) -> DashboardsError:
    """One error for moves that all failed: the first, with the outcome of each."""
    errors = [failed[number] for number in sorted(failed)]
    in_doubt = [error for error in errors if isinstance(error, EditFailed)]
    if len(errors) == 1 or not in_doubt:
        return errors[0]
    outcomes = dict[str, str]()
    for number, error in sorted(failed.items()):
        outcomes |= error.outcomes if isinstance(error, EditFailed) else {f"move of widget {number}": "not applied"}
    return EditFailed(in_doubt[0].cause, outcomes)
