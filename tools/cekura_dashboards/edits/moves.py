"""Moving widgets to another dashboard: they keep their ids, as the API takes the dashboard of a widget as a field."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from pydantic import Field

from cekura_dashboards.api.client import CekuraClient
from cekura_dashboards.api.errors import DashboardsError, EditFailed, Fault
from cekura_dashboards.api.models import Dashboard, JsonObject, Widget
from cekura_dashboards.arguments.references import DashboardId, WidgetId
from cekura_dashboards.concurrency import gather_by_id
from cekura_dashboards.context import ToolContext
from cekura_dashboards.edits.changes import EditOperation, as_json, before_after, differences
from cekura_dashboards.edits.checker import Checker
from cekura_dashboards.edits.layout import Placement, Wish, place_widgets
from cekura_dashboards.edits.namesakes import translated
from cekura_dashboards.edits.restored import RestoredIds
from cekura_dashboards.edits.send import write_or_read_back
from cekura_dashboards.text import join_names, untrusted
from cekura_dashboards.tool import Request

COPIED = "a move changes no widget: leave out move, and the copy is made with it."


class Back(Request):
    """Where a widget was before it was moved."""

    id: WidgetId
    dashboard_id: DashboardId
    metadata: dict[str, Any] | None = Field(default=None)


class Move(Struct, frozen=True):
    """A widget as it is, and the fields to send."""

    before: Widget
    fields: JsonObject

    @property
    def to(self) -> int:
        dashboard: int = self.fields["dashboard"]
        return dashboard

    @property
    def back(self) -> JsonObject:
        """Where it was, as an undo says it; for a move from a dashboard."""
        back: JsonObject = {"id": self.before.id, "dashboard_id": self.before.dashboard}
        return back | ({"metadata": self.before.metadata} if self.before.metadata else {})

    @property
    def forth(self) -> JsonObject:
        """Where it goes, in the same words."""
        forth: JsonObject = {"id": self.before.id, "dashboard_id": self.to}
        metadata = self.fields.get("metadata", self.before.metadata)
        return forth | ({"metadata": metadata} if metadata else {})

    def operation(self, stored: Widget | None = None) -> EditOperation:
        """The change, planned or done."""
        after = {**self.before.writable(), **self.fields} if stored is None else stored.writable()
        now = self.to if stored is None else stored.dashboard
        fields = {"dashboard": [self.before.dashboard, now], **before_after(self.before.writable(), after)}
        return EditOperation(op="update", id=self.before.id, name=untrusted(self.before.name), fields=fields)

    def differences(self, stored: Widget) -> list[str]:
        """What is stored otherwise than asked."""
        name = f"widget {self.before.id}"
        texts = differences(self.fields, stored, self.before, name)
        if stored.dashboard != self.to:
            texts.append(f"{name} dashboard: asked {self.to}, stored {as_json(stored.dashboard)}")
        return texts


async def moves_to(
    context: ToolContext, dashboard: Dashboard, widgets: Sequence[Widget], ids: RestoredIds
) -> tuple[list[Move], list[str], list[str]]:
    """The moves of those that are not there already, below what is there; warnings; and notes.

    Raises:
        InvalidArguments: for what cannot be on that dashboard.
    """
    checker, moves, notes = Checker(context, dashboard.project, dashboard.filters), list[Move](), list[str]()
    mine = {widget.id: widget for widget in dashboard.widgets}
    for widget in widgets:
        if widget.dashboard == dashboard.id or widget.id in mine:
            notes.append(f"widget {widget.id} is on dashboard {dashboard.id} already")
            continue
        path = f"widget {widget.id} on dashboard {dashboard.id}"
        there = await translated(context, widget.definition(), project=dashboard.project, dashboard=widget.dashboard)
        checker.faults += [Fault(path, f"{text}; {COPIED}") for text in there.matched]
        checker.faults += [Fault(path, f"{text}.") for text in there.missing]
        if not (there.matched or there.missing):
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
        notes.append(f"moved widgets count the calls that the filters of dashboard {dashboard.id} leave")
    return moves, warnings, notes


def moves_back(widgets: Sequence[Widget], places: Sequence[Back], ids: RestoredIds) -> list[Move]:
    """The moves that put widgets back where they were."""
    widgets_by_id = {widget.id: widget for widget in widgets}
    return [
        Move(
            widgets_by_id[ids.now("widget", item.id)],
            {"dashboard": ids.now("dashboard", item.dashboard_id), "metadata": item.metadata},
        )
        for item in places
    ]


def from_nowhere(moves: Sequence[Move]) -> list[str]:
    """What is to be said of widgets of which the API names no dashboard: an undo would not know where to."""
    names = [f"widget {move.before.id}" for move in moves if move.before.dashboard is None]
    return (
        [f"undo cannot put back {join_names(names)}: the API does not say on which dashboard it was"] if names else []
    )


async def send_moves(
    context: ToolContext, moves: Sequence[Move]
) -> tuple[dict[int, Widget], dict[int, DashboardsError], bool]:
    """The widgets as stored, the errors of those that could not be moved, and whether an answer was lost."""
    by_id, lost = {move.before.id: move for move in moves}, list[int]()

    async def one(number: int) -> Widget:
        stored, read_back = await _send(context, by_id[number])
        lost.extend([number] * read_back)
        await context.progress(len(by_id), len(by_id), f"widget {number} moved")
        return stored

    stored, failed = await gather_by_id(by_id, one)
    return stored, failed, bool(lost)


async def _send(context: ToolContext, move: Move) -> tuple[Widget, bool]:
    number, what = move.before.id, f"move of widget {move.before.id}"

    async def look(api: CekuraClient) -> tuple[dict[str, str], Widget]:
        stored = await api.get_widget(number)
        return {what: _outcome(move, stored)}, stored

    return await write_or_read_back(context, context.api.update_widget(number, move.fields), [what], look)


def _outcome(move: Move, stored: Widget) -> str:
    if stored.dashboard == move.to:
        return "applied"
    stays = stored.dashboard is not None and stored.dashboard == move.before.dashboard
    return "not applied" if stays else "unknown"


def outcomes_of(failed: Mapping[int, DashboardsError]) -> list[str]:
    """What became of the moves that failed, a line each."""
    return [f"widget {number}: {error}" for number, error in sorted(failed.items())]


def all_failed(failed: Mapping[int, DashboardsError]) -> DashboardsError:
    """One error for moves of which none was made: the first, with what is known of each."""
    errors = [failed[number] for number in sorted(failed)]
    in_doubt = [error for error in errors if isinstance(error, EditFailed)]
    if len(errors) == 1 or not in_doubt:
        return errors[0]
    outcomes = dict[str, str]()
    for number, error in sorted(failed.items()):
        outcomes |= error.outcomes if isinstance(error, EditFailed) else {f"move of widget {number}": "not applied"}
    return EditFailed(in_doubt[0].cause, outcomes)
