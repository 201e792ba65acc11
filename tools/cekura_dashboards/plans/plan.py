"""Plans: what an edit would do, found out by reading only."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from cekura_dashboards.api.errors import InvalidArguments
from cekura_dashboards.api.models import WRITABLE, JsonObject, Widget
from cekura_dashboards.arguments.faults import Path
from cekura_dashboards.arguments.reader import parse
from cekura_dashboards.context import ToolContext
from cekura_dashboards.plans.plan_id import Covered, Origin, Signer
from cekura_dashboards.plans.receipt import PAYLOAD_LIMIT, Call, Change, Receipt, fitted, line_of, or_none, same
from cekura_dashboards.plans.restored import Planned
from cekura_dashboards.text import cleaned, listed

W = TypeVar("W")
LOST_ANSWER = "the API's answer to the edit was lost; what is reported here was read back"
MOST_ASKED = 12
"""Operations that a question to a person lists."""


@dataclass(frozen=True, kw_only=True)
class Plan(Generic[W]):
    """What would be done, and what was stored when it was planned. Making one writes nothing.

    ``work`` is what the tool's commit carries out; ``changes`` tell it as a receipt would. A plan_id vouches for
    ``operations`` and ``covered``; ``stamps`` are when what is covered was last changed. ``drops_range``: it leaves
    charts without a date range. ``origin``: of the plan_id that the request brought, if any; ``approved``: a person
    said yes.
    """

    work: W
    about: str
    operations: JsonObject
    covered: Covered
    changes: list[Change]
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
        """Whether a person must be asked, where one can be: a dry run is no consent, and an undo needs none."""
        asked_for = self.deletes or confirm == "writes"
        return asked_for and confirm != "never" and self.origin != "undo" and not (self.approved or self.is_empty)

    def needs_plan(self, confirm: str) -> bool:
        """Whether neither a plan_id nor a person stands behind this yet, though one must."""
        asked_for = self.deletes or self.drops_range or confirm == "writes"
        return asked_for and self.origin is None and not (self.approved or self.is_empty)

    def question(self, context: ToolContext) -> str:
        """What a person is asked; the same for the same plan, whenever it is made."""
        lines = [cleaned(line_of(change), limit=160) for change in self.changes[:MOST_ASKED]]
        if more := len(self.changes) - len(lines):
            lines.append(f"… and {more} more")
        lines += [f"warning: {text}" for text in self.warnings[:3]]
        lost = " What is deleted can be brought back under a new id." if self.deletes else ""
        return "\n".join([f"{self.verb} {self.about}?{lost}", *lines, f"(plan {self.fingerprint(context)})"])

    def fingerprint(self, context: ToolContext) -> str:
        """Differs for another key, and when the operations, anything covered or its last change do."""
        return signer(context).fingerprint([self.operations, self.covered, self.stamps])


def signer(context: ToolContext) -> Signer:
    return Signer(context.api.key, context.now())


def issued(context: ToolContext, plan: Plan[Any]) -> str:
    return signer(context).issue(plan.operations, plan.covered)


def checked(context: ToolContext, plan: Plan[W], request: Planned) -> Plan[W]:
    """The plan, with the origin of the plan_id that the request brings, if any.

    Raises:
        PlanRefused: if it does not hold.
        InvalidArguments: for what only an undo may say.
    """
    origin = None
    if request.plan_id is not None:
        known_as = [ids.renamed(plan.covered) for ids in request.ids(signer(context)).over_time()]
        origin = signer(context).check(request.plan_id, plan.operations, known_as)
    if origin != "undo" and (path := request.restores()) is not None:
        raise InvalidArguments.at(path, "belongs to an undo, whose plan_id it needs.", lead="Nothing was changed.")
    return replace(plan, origin=origin)


def not_yet(context: ToolContext, plan: Plan[Any]) -> Receipt | None:
    """The answer to a plan that is not to be carried out, or not yet; None for one that is."""
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
    return fitted(receipt)


def receipt_of(
    made: Plan[Any],
    changes: list[Change],
    *,
    dashboard_id: int | None = None,
    differences: Sequence[str] = (),
    not_done: Sequence[str] = (),
    restored: Sequence[str] = (),
    complete: Sequence[Call] = (),
    undo: Call | None = None,
    read_back: bool = False,
) -> Receipt:
    """The receipt of a plan that was carried out, or of the part that was. ``read_back``: an answer was lost."""
    receipt = Receipt(
        outcome="partly_applied" if not_done else "applied",
        dashboard_id=dashboard_id,
        changes=changes,
        differences=[*differences] or None,
        not_done=[*not_done] or None,
        warnings=[*made.warnings, *([LOST_ANSWER] if read_back else [])] or None,
        restored=[*restored] or None,
        complete=[*complete] or None,
        undo=undo,
        notes=made.notes or None,
    )
    return fitted(receipt)


def covered_widgets(widgets: list[Widget]) -> dict[str, JsonObject]:
    """What of these widgets a plan vouches for."""
    return {f"widget {widget.id}": stored_fields(widget.writable()) for widget in widgets}


def stored_fields(fields: JsonObject) -> JsonObject:
    """Writable fields with an empty text and null brought to one."""
    return {name: or_none(fields.get(name)) for name in WRITABLE}


def covered_dashboard(number: int, filters: Any, widgets: list[int], **more: Any) -> dict[str, JsonObject]:
    """A dashboard's filters and widget ids, on which creates depend; ``more`` of its fields besides."""
    return {f"dashboard {number}": {"filters": filters or None, "widgets": sorted(widgets), **more}}


def changed_only(sent: JsonObject, stored: Widget) -> JsonObject:
    """The fields of an update that would change something."""
    return {name: value for name, value in sent.items() if not same(value, stored.stored(name))}


def refuse_too_large(undo: JsonObject, *, instead: str = "split it into calls with fewer widgets each") -> None:
    """Refuse an edit whose undo would be too long to hand over.

    Raises:
        InvalidArguments: with how to split it.
    """
    size = len(json.dumps(undo, separators=(",", ":"), ensure_ascii=False))
    if size > PAYLOAD_LIMIT:
        raise InvalidArguments.at(
            "", f"the undo of this edit would take {size} characters, more than {PAYLOAD_LIMIT}; {instead}.",
            lead="Nothing was changed.",
        )  # fmt: skip


Q = TypeVar("Q", bound=Planned)


@dataclass(frozen=True)
class Undo(Generic[Q]):
    """The way back: the call's request and arguments, and what it cannot put back. No request: there is no way."""

    request: Q | None
    arguments: JsonObject
    lost: list[str]

    @property
    def warnings(self) -> list[str]:
        """What an undo will not do, for before and after the edit."""
        if self.request is None:
            return ["there is no undo: what is stored holds what this server cannot write"]
        return [f"undo cannot put back {listed(self.lost)}: what is stored there this server cannot write"] * bool(
            self.lost
        )

    def call(self, context: ToolContext, tool: str, covered: Covered) -> Call | None:
        """The undo, with a plan_id over what is stored now; None if this server could not write it."""
        if self.request is None:
            return None
        plan_id = signer(context).issue(self.request.operations(tool), covered, origin="undo")
        return Call(tool=tool, arguments={**self.arguments, "plan_id": plan_id})


def undo_of(model: type[Q], arguments: JsonObject) -> Undo[Q]:
    """The undo call as this server itself would read it, without what it could not write again."""
    arguments, lost = dict(arguments), list[str]()
    while True:
        try:
            request, _ = parse(model, {**arguments, "plan_id": "undo"})
        except InvalidArguments as error:
            dropped = _without_faulty(arguments, [fault.at for fault in error.faults])
            if dropped is None:
                return Undo(None, {}, [])
            arguments, names = dropped
            lost += names
        else:
            return Undo(request, arguments, lost)


def _without_faulty(arguments: JsonObject, faulty: Sequence[Path]) -> tuple[JsonObject, list[str]] | None:
    """The arguments less the items, or the filters, that the faults are in; None if nothing can be left out."""
    kept, names = dict(arguments), list[str]()
    places = {(str(at[0]), at[1]) for at in faulty if len(at) > 1 and isinstance(at[1], int)}
    for name, index in sorted(places, reverse=True):
        items = [*kept[name]]
        item = items.pop(index)
        names.append(f"widget {item.get('was', item.get('id'))}")
        kept[name] = items
    if "filters" in kept and any(at[:1] == ("filters",) for at in faulty):
        del kept["filters"]
        names.append("the dashboard's filters")
    kept = {name: value for name, value in kept.items() if value != []}
    return (kept, names) if names and len(kept) > 1 else None


def undo_update(before: JsonObject, sent: JsonObject) -> JsonObject:
    """The arguments that set the sent fields back to what they were."""
    values = {name: before[name] for name in sent if name != "metadata" and not same(before[name], None)}
    clear = [name for name in sent if name not in values and (name != "metadata" or not same(sent[name], None))]
    if "metadata" in sent and before["metadata"]:
        values["metadata"] = before["metadata"]
    return {**values, **({"clear": clear} if clear else {})}
