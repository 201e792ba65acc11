"""Plans: what an edit would do, from reads only; the tools that carry out plans; the plan of a bulk edit."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Generic, TypeVar

from msgspec import Struct, field

from cekura_dashboards.api.errors import Fault, InvalidArguments
from cekura_dashboards.api.models import Dashboard, JsonObject, Widget, same
from cekura_dashboards.context import ToolContext
from cekura_dashboards.edits.changes import EditOperation, WidgetEdits, line_of, planned_changes
from cekura_dashboards.edits.layout import Placement, Wish, overlapped, pattern_for, place_widgets
from cekura_dashboards.edits.plan_id import Covered, Origin, covered, covered_alike, covered_widgets, signer
from cekura_dashboards.edits.receipt import (
    Call,
    Receipt,
    fit_receipt,
    refuse_too_large,
    render,
    undo_arguments,
    undo_of,
)
from cekura_dashboards.edits.request import (
    BULK_EDIT,
    BulkEditRequest,
    DashboardEdit,
    PlannedRequest,
    RestoredIds,
    ignored_nulls,
    sent_fields,
    unmergeable,
)
from cekura_dashboards.edits.rules import Checker
from cekura_dashboards.text import clean, join_names, named, noun_and_names
from cekura_dashboards.tool import Tool
from cekura_dashboards.values import replace

Q = TypeVar("Q", bound=PlannedRequest)
W = TypeVar("W")
LOST_ANSWER = "the API's response to the edit was lost; these results were read back"
MAX_LISTED = 12
"""Operations listed in a question to the user."""


class Plan(Struct, Generic[W], frozen=True, kw_only=True):
    """What an edit would do, and the stored state when it was planned. Planning writes nothing.

    ``work``: the input of the tool's commit; ``changes``: the same as a receipt lists it. A plan_id signs
    ``operations`` and ``covered``; for an undo it signs ``covered_by_undo`` instead, if given: only what the edit
    made, so that edits by others do not block the undo. ``stamps``: when the covered things were last changed.
    ``drops_range``: charts lose their date range. ``origin``: of the request's plan_id, if any; ``approved``: the user
    agreed.
    """

    work: W
    about: str
    operations: JsonObject
    covered: Covered
    changes: list[EditOperation]
    covered_by_undo: Covered | None = None
    dashboard_id: int | None = None
    warnings: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])
    stamps: list[str | None] = field(default_factory=list[str | None])
    verb: str = "Edit"
    drops_range: bool = False
    origin: Origin | None = None
    approved: bool = False

    @property
    def is_empty(self) -> bool:
        return not self.changes

    @property
    def deletes(self) -> bool:
        return any(change.op == "delete" for change in self.changes)

    def needs_person(self, confirm: str) -> bool:
        """Whether the user must confirm, if they can be asked: a dry run is not consent; an undo needs none."""
        asked_for = self.deletes or confirm == "writes"
        return asked_for and confirm != "never" and self.origin != "undo" and not (self.approved or self.is_empty)

    def needs_plan(self, confirm: str) -> bool:
        """Whether a plan_id or the user's confirmation is required and missing."""
        asked_for = self.deletes or self.drops_range or confirm == "writes"
        return asked_for and self.origin is None and not (self.approved or self.is_empty)

    def question(self, context: ToolContext) -> str:
        """The question to the user; the same for equal plans."""
        lines = [clean(line_of(change), limit=160) for change in self.changes[:MAX_LISTED]]
        if more := len(self.changes) - len(lines):
            lines.append(f"… and {more} more")
        lines += [f"warning: {text}" for text in self.warnings[:3]]
        lost = " Deletions can be undone, under new ids." if self.deletes else ""
        return "\n".join([f"{self.verb} {self.about}?{lost}", *lines, f"(plan {self.fingerprint(context)})"])

    def fingerprint(self, context: ToolContext) -> str:
        """A short digest of the key, the operations, the covered state and its last change."""
        return signer(context).fingerprint([self.operations, self.covered, self.stamps])


def issued(context: ToolContext, plan: Plan[Any]) -> str:
    return signer(context).issue(plan.operations, plan.covered)


def checked(context: ToolContext, plan: Plan[W], request: PlannedRequest) -> Plan[W]:
    """The plan, with the origin of the request's plan_id, if any.

    Raises:
        PlanRefused: if the plan_id is not valid.
        InvalidArguments: for arguments that only an undo may have.
    """
    origin = None
    if request.plan_id is not None:
        name = signer(context)
        covered = plan.covered
        if plan.covered_by_undo is not None and name.origin(request.plan_id) == "undo":
            covered = plan.covered_by_undo
        known_as = [ids.under_first_ids(covered) for ids in request.ids(name).over_time()]
        origin = name.check(request.plan_id, plan.operations, known_as)
    if origin != "undo" and (path := request.restores()) is not None:
        raise InvalidArguments.at(path, "is only allowed in an undo, with its plan_id.", lead="Nothing was changed.")
    return replace(plan, origin=origin)


def not_yet(context: ToolContext, plan: Plan[Any]) -> Receipt | None:
    """The answer to a plan that is empty or needs consent; None if the plan can be carried out."""
    if plan.is_empty:
        outcome = "nothing_to_do"
    elif plan.needs_plan(context.settings.confirm):
        outcome = "needs_plan"
    else:
        return None
    receipt = Receipt(
        outcome=outcome,
        dashboard_id=plan.dashboard_id,
        changes=plan.changes,
        warnings=plan.warnings or None,
        plan_id=issued(context, plan) if outcome == "needs_plan" else None,
        notes=plan.notes or None,
    )
    return fit_receipt(receipt)


def receipt_of(
    plan: Plan[Any],
    changes: list[EditOperation],
    *,
    dashboard_id: int | None = None,
    differences: Sequence[str] = (),
    not_applied: Sequence[str] = (),
    restored: Sequence[str] = (),
    remaining: Sequence[Call] = (),
    undo: Call | None = None,
    read_back: bool = False,
) -> Receipt:
    """The receipt of a plan that was carried out, at least in part. ``read_back``: a response was lost."""
    receipt = Receipt(
        outcome="partly_applied" if not_applied else "applied",
        dashboard_id=dashboard_id,
        changes=changes,
        differences=[*differences] or None,
        not_applied=[*not_applied] or None,
        warnings=[*plan.warnings, *([LOST_ANSWER] if read_back else [])] or None,
        restored=[*restored] or None,
        remaining=[*remaining] or None,
        undo=undo,
        notes=plan.notes or None,
    )
    return fit_receipt(receipt)


def changed_only(sent: JsonObject, stored: Widget) -> JsonObject:
    """The fields of an update that differ from the stored ones."""
    return {name: value for name, value in sent.items() if not same(value, stored.stored(name))}


class WritingTool(Tool[Q, Receipt], frozen=True, kw_only=True):
    """``plan`` writes nothing; ``carry_out`` takes its plan, approved where required."""

    plan: Callable[[ToolContext, Q], Awaitable[Plan[Any]]]
    carry_out: Callable[[ToolContext, Plan[Any]], Awaitable[Receipt]]


def writing_tool(
    *,
    name: str,
    title: str,
    description: str,
    request: type[Q],
    plan: Callable[[ToolContext, Q], Awaitable[Plan[W]]],
    commit: Callable[[ToolContext, Plan[W]], Awaitable[Receipt]],
    destructive: bool = False,
    idempotent: bool = True,
) -> WritingTool[Q]:
    """The catalogue entry of a writing tool. ``commit`` gets only plans that are to be carried out."""

    async def carry_out(context: ToolContext, plan: Plan[W]) -> Receipt:
        return not_yet(context, plan) or await commit(context, plan)

    return WritingTool(
        name=name,
        title=title,
        description=description,
        request=request,
        result=Receipt,
        render=render,
        writes=True,
        destructive=destructive,
        idempotent=idempotent,
        plan=plan,
        carry_out=carry_out,
    )


async def plan_bulk_edit(
    context: ToolContext,
    request: BulkEditRequest,
    dashboard: Dashboard,
    ids: RestoredIds,
) -> Plan[WidgetEdits]:
    """The plan of a bulk edit, for a dashboard that was already read."""
    checker = Checker(context, dashboard.project, dashboard.filters)
    checker.lenient = request.plan_id is not None
    creates = [item.values() for item in request.create or []]
    for index, config in enumerate(creates):
        await checker.created(config, f"create[{index}].")
    updates, notes = await _updates(request, dashboard, checker, ids)
    deletes = [ids.now("widget", number) for number in request.delete or []]
    mine = {widget.id: widget for widget in dashboard.widgets}
    for index, number in enumerate(deletes):
        if number not in mine:
            checker.faults.append(unknown_widget(f"delete[{index}]", number, dashboard))
    placement = _placement(request, creates, mine, ids)
    pattern, layout_notes = await pattern_for(context, placement, mine, updates, deletes)
    shifted, faults = place_widgets(placement, mine, updates, deletes, ids, pattern)
    checker.faults += faults
    checker.warnings += layout_notes
    warnings = [*checker.done(), *_covering(request, creates, mine, shifted, deletes)]
    named_ids = [ids.now("widget", item.id) for item in request.update or []]
    edits = WidgetEdits(
        dashboard_id=dashboard.id,
        creates=creates,
        updates=shifted,
        deletes=deletes,
        before={number: mine[number] for number in [*named_ids, *shifted, *deletes]},
        widgets=mine,
        old_ids=tuple(item.old_id for item in request.create or []),
    )
    yet_to_come = [-1 - index for index in range(len(creates))]
    way = undo_of(BulkEditRequest, undo_arguments(edits, yet_to_come))
    refuse_too_large(way.arguments)
    return Plan(
        work=edits,
        about=f"dashboard {dashboard.id} {named(dashboard.name)}",
        operations=request.operations(BULK_EDIT),
        covered=covered(dashboard, [*edits.before.values()]),
        covered_by_undo={
            **covered_widgets([*edits.before.values()]),
            **covered_alike(dashboard.id, dashboard.widgets, creates),
        },
        changes=planned_changes(edits),
        dashboard_id=dashboard.id,
        warnings=[*warnings, *(way.warnings if not edits.is_empty else [])],
        notes=notes,
        drops_range=checker.drops_range,
        stamps=[dashboard.updated_at, *(widget.updated_at for widget in edits.before.values())],
    )


def _covering(
    request: DashboardEdit,
    creates: Sequence[JsonObject],
    mine: Mapping[int, Widget],
    updates: Mapping[int, JsonObject],
    deletes: Sequence[int],
) -> list[str]:
    """Warnings for restored widgets whose former place is taken."""
    remaining_widgets = {
        n: widget.model_copy(update=updates.get(n, {})) for n, widget in mine.items() if n not in deletes
    }
    restored = [config for item, config in zip(request.create or [], creates, strict=True) if item.old_id is not None]
    under = [(config, overlapped(0, config.get("metadata"), remaining_widgets)) for config in restored]
    return [
        f"{named(config.get('name'))} overlaps {noun_and_names('widget', numbers)} if restored; arrange makes room"
        for config, numbers in under
        if numbers
    ]


def _placement(
    request: DashboardEdit, creates: Sequence[JsonObject], mine: Collection[int], ids: RestoredIds
) -> Placement:
    """The requested places of widgets; restored ones have their former places."""
    items = enumerate(zip(request.create or [], creates, strict=True))
    moves = {
        number: Wish.of(f"update[{index}]", item)
        for index, item in enumerate(request.update or [])
        if (item.place or item.layout) and (number := ids.now("widget", item.id)) in mine
    }
    return Placement(
        [(Wish.of(f"create[{index}]", item), config) for index, (item, config) in items if item.old_id is None],
        moves,
        bool(request.arrange),
    )


async def _updates(
    request: DashboardEdit, dashboard: Dashboard, checker: Checker, ids: RestoredIds
) -> tuple[dict[int, JsonObject], list[str]]:
    """The fields to send for each widget that would change, and notes."""
    mine = {widget.id: widget for widget in dashboard.widgets}
    updates, notes = dict[int, JsonObject](), list[str]()
    for index, item in enumerate(request.update or []):
        path, number = f"update[{index}]", ids.now("widget", item.id)
        notes += ignored_nulls(item, path)
        if number not in mine:
            checker.faults.append(unknown_widget(f"{path}.id", number, dashboard))
            continue
        if (problem := unmergeable(item, item.clear, mine[number])) is not None:
            checker.faults.append(Fault(f"{path}.metadata", problem))
            continue
        sent = changed_only(sent_fields(item, item.clear, mine[number].writable()), mine[number])
        if not sent:
            if item.place or item.layout:
                continue
            notes.append(f"{path}: widget {number} already has these values")
            continue
        updates[number] = sent
        await checker.updated(mine[number], sent, f"{path}.", item.clear)
    return updates, notes


def unknown_widget(path: str, number: int, dashboard: Dashboard) -> Fault:
    """A widget id that is not on the dashboard, with those that are."""
    widgets_text = join_names((f"{widget.id} {named(widget.name)}" for widget in dashboard.widgets), limit=8)
    return Fault(path, f"widget {number} is not on dashboard {dashboard.id}; its widgets: {widgets_text or 'none'}.")
