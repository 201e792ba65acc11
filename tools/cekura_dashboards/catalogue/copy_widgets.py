"""The same widgets on many dashboards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field, model_validator

from cekura_dashboards.api.errors import DashboardsError, EditFailed, Fault, InvalidArguments, NotFound
from cekura_dashboards.api.filters import fault
from cekura_dashboards.api.models import Dashboard, JsonObject, Widget, as_object
from cekura_dashboards.arguments.references import DashboardId, WidgetId
from cekura_dashboards.concurrency import gathered, together
from cekura_dashboards.context import ToolContext
from cekura_dashboards.plans.changes import Change, Stored, WidgetEdits, all_differences, not_done
from cekura_dashboards.plans.covered import covered, covered_after, covered_widgets
from cekura_dashboards.plans.layout import placed
from cekura_dashboards.plans.plan import Plan, checked, receipt_of
from cekura_dashboards.plans.plan_id import Covered, signer
from cekura_dashboards.plans.receipt import Call, Receipt
from cekura_dashboards.plans.restored import Ids, Planned
from cekura_dashboards.plans.send import commit_bulk, surely_not_applied
from cekura_dashboards.plans.undo import undo_of
from cekura_dashboards.plans.writing import writing_tool
from cekura_dashboards.text import foreign, listed
from cekura_dashboards.widgets.checker import Checker
from cekura_dashboards.widgets.date_range import no_date_range

NAME = "copy_widgets"
MOST_WIDGETS, MOST_DASHBOARDS, MOST_COPIES = 20, 50, 200


class CopyRequest(Planned):
    widget_ids: list[WidgetId] = Field(max_length=MOST_WIDGETS)
    dashboard_ids: list[DashboardId] = Field(max_length=MOST_DASHBOARDS, description="where to put copies")
    remove: list[int] | None = Field(
        default=None, max_length=MOST_COPIES, description="from an undo: copies to take away again"
    )

    @model_validator(mode="after")
    def _sensible(self) -> "CopyRequest":
        for name in ("widget_ids", "dashboard_ids"):
            if not getattr(self, name):
                raise fault(name, "is empty; give at least one id.")
        if len(self.widget_ids) * len(self.dashboard_ids) > MOST_COPIES:
            raise fault("", f"makes more than {MOST_COPIES} copies; split dashboard_ids over several calls.")
        if self.remove is not None and self.plan_id is None:
            raise fault("remove", "belongs to an undo; to delete widgets use bulk_edit_dashboard.")
        return self

    def restores(self) -> str | None:
        return "remove" if self.remove is not None else None


@dataclass(frozen=True)
class Copies:
    """What to do on each dashboard: create copies of ``sources``, or take them away."""

    request: CopyRequest
    sources: list[Widget]
    edits: list[WidgetEdits]

    @property
    def removes(self) -> bool:
        return self.request.remove is not None


async def plan(context: ToolContext, request: CopyRequest) -> Plan[Copies]:
    ids = request.ids(signer(context))
    numbers = dict.fromkeys(ids.now("dashboard", number) for number in request.dashboard_ids)
    wanted = dict.fromkeys(ids.now("widget", number) for number in request.widget_ids)
    dashboards, sources = await _read(context, [*numbers], [*wanted], optional=request.remove is not None)
    if request.remove is None:
        edits, warnings, notes = await _copies(context, dashboards, sources, ids)
    else:
        edits, warnings, notes = _removals(dashboards, request.remove, ids), [], []
    touched = [widget for edit in edits for widget in edit.before.values()]
    everything: Covered = {
        **covered_widgets(touched if request.remove is not None else sources),
        **{name: held for dashboard in dashboards for name, held in covered(dashboard, []).items()},
    }
    made = Plan(
        work=Copies(request, sources, edits),
        verb="Take copies away from" if request.remove is not None else "Copy widgets to",
        about=f"{len(edits)} dashboards",
        operations=request.operations(NAME),
        covered=everything,
        changes=[change for edit in edits for change in _planned(edit)],
        warnings=warnings,
        notes=notes,
        stamps=[*(d.updated_at for d in dashboards), *(w.updated_at for w in [*sources, *touched])],
    )
    return checked(context, made, request)


async def _read(
    context: ToolContext, numbers: Sequence[int], widgets: Sequence[int], *, optional: bool
) -> tuple[list[Dashboard], list[Widget]]:
    """The dashboards and the widgets to copy. ``optional``: widgets that are gone are left out."""
    (dashboards, unread), (known, missing) = await together(
        context.lookups.dashboards(numbers), context.lookups.widgets(widgets)
    )
    gone = [error for error in missing.values() if not (optional and isinstance(error, NotFound))]
    for error in [*unread.values(), *gone]:
        raise error
    return [dashboards[number] for number in numbers], [known[number] for number in widgets if number in known]


async def _copies(
    context: ToolContext, dashboards: Sequence[Dashboard], sources: Sequence[Widget], ids: Ids
) -> tuple[list[WidgetEdits], list[str], list[str]]:
    edits, faults, warnings, notes = list[WidgetEdits](), list[Fault](), list[str](), list[str]()
    without_range = list[str]()
    for dashboard in dashboards:
        checker = Checker(context, dashboard.project, dashboard.filters)
        configs = list[JsonObject]()
        for source in sources:
            if source.dashboard == dashboard.id:
                notes.append(f"widget {source.id} is on dashboard {dashboard.id} itself and not copied there")
                continue
            config = source.definition()
            await checker.created(config, f"widget {source.id} on dashboard {dashboard.id}: ")
            configs.append(config)
            twin = next((w for w in dashboard.widgets if _plain(w) == _plain(source)), None)
            if twin is not None:
                warnings.append(f"dashboard {dashboard.id} has one like widget {source.id} already: {twin.id}")
        faults += checker.faults
        warnings += [f"dashboard {dashboard.id}: {text}" for text in checker.warnings]
        without_range += [str(dashboard.id)] if checker.without_range else []
        mine = {widget.id: widget for widget in dashboard.widgets}
        if mine:
            configs = _unplaced(configs, mine, ids)
        if configs:
            edits.append(
                WidgetEdits(
                    dashboard_id=dashboard.id,
                    creates=configs,
                    known=frozenset(mine),
                    filters=dashboard.stored("filters"),
                )
            )
    if faults:
        raise InvalidArguments(faults, lead="Nothing was changed.")
    if without_range:
        warnings.append(f"dashboards {listed(without_range)}: {no_date_range(on_dashboard=True)}")
    return edits, warnings, notes


def _plain(widget: Widget) -> JsonObject:
    """What it is, wherever it stands."""
    return {name: value for name, value in widget.definition().items() if name != "metadata"}


def _unplaced(configs: Sequence[JsonObject], mine: dict[int, Widget], ids: Ids) -> list[JsonObject]:
    """The copies below what is there, where the dashboard shows a grid; else as they are."""
    bare = [{name: value for name, value in config.items() if name != "metadata"} for config in configs]
    placed([(None, config) for config in bare], mine, {}, [], ids)
    return [
        {**config, "metadata": {**_held(config), **_held(laid)}} if "metadata" in laid else config
        for config, laid in zip(configs, bare, strict=True)
    ]


def _held(config: JsonObject) -> JsonObject:
    return as_object(config.get("metadata")) or {}


def _removals(dashboards: Sequence[Dashboard], remove: Sequence[int], ids: Ids) -> list[WidgetEdits]:
    wanted, edits = {ids.now("widget", number) for number in remove}, list[WidgetEdits]()
    for dashboard in dashboards:
        mine = {widget.id: widget for widget in dashboard.widgets}
        if deletes := [number for number in mine if number in wanted]:
            edits.append(
                WidgetEdits(
                    dashboard_id=dashboard.id,
                    deletes=deletes,
                    before={number: mine[number] for number in deletes},
                    known=frozenset(mine),
                    filters=dashboard.stored("filters"),
                )
            )
    return edits


def _planned(edits: WidgetEdits) -> list[Change]:
    creates = [Change(op="create", name=foreign(c.get("name")), dashboard_id=edits.dashboard_id) for c in edits.creates]
    deletes = [
        Change(op="delete", id=n, name=foreign(edits.before[n].name), dashboard_id=edits.dashboard_id)
        for n in edits.deletes
    ]
    return [*creates, *deletes]


async def commit(context: ToolContext, made: Plan[Copies]) -> Receipt:
    work, finished = made.work, 0
    edits = {edit.dashboard_id or 0: edit for edit in work.edits}

    async def one(number: int) -> Stored:
        nonlocal finished
        try:
            return await commit_bulk(context, edits[number])
        finally:
            finished += 1
            await context.progress(finished, len(edits), "dashboards done")

    stored, failed = await gathered(edits, one)
    if not stored:
        raise _all_failed(failed)
    done = [stored[number] for number in edits if number in stored]
    failures = [f"dashboard {number}: {error}" for number, error in sorted(failed.items())]
    return receipt_of(
        made,
        [change for held in done for change in _done(held)],
        differences=[text for held in done for text in all_differences(held)],
        not_done=[
            *(f"dashboard {held.edits.dashboard_id}: {text}" for held in done for text in not_done(held)),
            *failures,
        ],
        complete=_rest(work, failed),
        undo=_undo(context, work, done),
        read_back=any(held.read_back for held in done),
    )


def _all_failed(failed: Mapping[int, DashboardsError]) -> DashboardsError:
    """One error for all: the first, with what is known of each operation."""
    errors = [failed[number] for number in sorted(failed)]
    if len(errors) == 1 or not any(isinstance(error, EditFailed) for error in errors):
        return errors[0]
    told = dict[str, str]()
    for number, error in sorted(failed.items()):
        held = error.outcomes if isinstance(error, EditFailed) else {"all": "not applied"}
        told |= {f"dashboard {number} {name}": text for name, text in held.items()}
    first = next(error for error in errors if isinstance(error, EditFailed))
    return EditFailed(first.cause, told)


def _done(done: Stored) -> list[Change]:
    edits, where = done.edits, done.edits.dashboard_id
    created = [Change(op="create", id=w.id, name=foreign(w.name), dashboard_id=where) for w in done.created]
    deleted = [
        Change(op="delete", id=n, name=foreign(edits.before[n].name if n in edits.before else None), dashboard_id=where)
        for n in edits.deletes
    ]
    return [*created, *deleted]


def _rest(work: Copies, failed: Mapping[int, DashboardsError]) -> list[Call]:
    """The call for the dashboards on which surely nothing was done."""
    again = [number for number, error in sorted(failed.items()) if surely_not_applied(error)]
    if not again or work.removes:
        return []
    return [Call(tool=NAME, arguments={"widget_ids": [w.id for w in work.sources], "dashboard_ids": again})]


def _undo(context: ToolContext, work: Copies, stored: Sequence[Stored]) -> Call | None:
    """After copying, the call that takes the copies away; after that, the one that copies again."""
    arguments: JsonObject = {
        "widget_ids": [widget.id for widget in work.sources],
        "dashboard_ids": [done.edits.dashboard_id for done in stored],
    }
    if work.removes:
        if len(work.sources) < len(work.request.widget_ids):
            return None
    else:
        arguments["remove"] = [widget.id for done in stored for widget in done.created]
    held: Covered = {
        **(covered_widgets(work.sources) if work.removes else {}),
        **{
            name: value
            for done in stored
            for name, value in covered_after(done, {"delete": arguments.get("remove", [])}).items()
        },
    }
    return undo_of(CopyRequest, arguments).call(context, NAME, held)


TOOL = writing_tool(
    name=NAME,
    title="Copy widgets to dashboards",
    description=(
        "Put copies of the same widgets on many dashboards in one call: one receipt, one `undo` for all. Where a "
        "dashboard shows a grid, copies go below what is there. To copy a whole dashboard use create_dashboard with "
        "copy_of."
    ),
    request=CopyRequest,
    plan=plan,
    commit=commit,
    idempotent=False,
)
