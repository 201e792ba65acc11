"""A new dashboard: empty, with widgets, or a copy."""

from dataclasses import dataclass, field

from msgspec import Struct

from cekura_dashboards.api.errors import DashboardsError
from cekura_dashboards.api.filters import filter_warnings
from cekura_dashboards.api.models import Dashboard, JsonObject
from cekura_dashboards.context import ToolContext
from cekura_dashboards.edits.changes import (
    EditOperation,
    Stored,
    WidgetEdits,
    all_differences,
    before_after,
    not_applied,
    restored_lines,
)
from cekura_dashboards.edits.copies import CopyInto, copy_into
from cekura_dashboards.edits.dashboards import (
    dashboard_change,
    dashboard_differences,
    dashboards_of_project,
    fields_of,
    range_faults,
    send_create,
    send_update,
)
from cekura_dashboards.edits.layout import Placement, Wish, pattern_for, place_widgets
from cekura_dashboards.edits.plan import Plan, checked, receipt_of, writing_tool
from cekura_dashboards.edits.plan_id import Covered, covered_alike, covered_namesakes, covered_whole, signer
from cekura_dashboards.edits.receipt import Call, Receipt, undo_of
from cekura_dashboards.edits.request import (
    BULK_EDIT,
    CREATE,
    DELETE,
    MOST_WIDGETS,
    UPDATE,
    BulkEditRequest,
    CreateDashboardRequest,
    DeleteDashboardRequest,
    restored_line,
)
from cekura_dashboards.edits.rules import Checker
from cekura_dashboards.edits.send import commit_bulk, read_again, surely_not_applied
from cekura_dashboards.text import counted, named, untrusted
from cekura_dashboards.values import replace


class Creation(Struct, frozen=True):
    """A dashboard to create. ``existing_ids``: the ids of the project's dashboards. ``source``: the original of a copy.

    ``shifted``: fields of the source's widgets, by id, that change in the copy to make room for ``widgets``.
    """

    fields: JsonObject
    widgets: list[JsonObject]
    shifted: dict[int, JsonObject]
    existing_ids: tuple[int, ...]
    source: Dashboard | None
    old_id: int | None
    widgets_were: tuple[int | None, ...]
    left_out: list[str]


async def plan(context: ToolContext, request: CreateDashboardRequest) -> Plan[Creation]:
    ids = request.ids(signer(context))
    original = source = None
    if request.copy_of is not None:
        original = source = await context.lookups.dashboard(ids.now("dashboard", request.copy_of))
    project = await _project(context, request, source)
    filters = request.filters.to_json() if request.filters else source.filters if source else None
    into = CopyInto()
    if original is not None and project is not None and project != original.project:
        into = await copy_into(context, original, project, filters if request.filters else None)
        source, filters = None, into.filters
    checker = Checker(context, project, filters)
    checker.lenient = request.plan_id is not None
    checker.warnings += filter_warnings(filters if request.filters else None, "filters")
    if original is not None and not checker.lenient:
        checker.faults += [fault for fault in range_faults(original, filters, context.now()) if fault is not None]
    widgets = [item.values() for item in request.widgets or []]
    for index, config in enumerate(widgets):
        await checker.created(config, f"widgets[{index}].")
    items = enumerate(zip(request.widgets or [], widgets, strict=True))
    placement = Placement(
        [
            *((Wish(f"copy_of {request.copy_of}"), config) for config in into.widgets),
            *((Wish.of(f"widgets[{index}]", item), config) for index, (item, config) in items),
        ]
    )
    copied = {widget.id: widget for widget in source.widgets} if source else {}
    pattern, layout_notes = await pattern_for(context, placement, copied, {}, [])
    shifted, faults = place_widgets(placement, copied, {}, [], ids, pattern)
    checker.faults += faults
    warnings = [*into.left_out, *into.warnings, *checker.done(), *layout_notes]
    existing_ids, namesakes = await dashboards_of_project(context, project, request.name)
    if namesakes and request.old_id is None:
        warnings = [*warnings, f"there is a dashboard {named(request.name)} already: {namesakes[0]}"]
    fields: JsonObject = {"name": request.name, "project": project, "filters": filters}
    widgets = [*into.widgets, *widgets]
    were = (*(None for _ in into.widgets), *(widget.old_id for widget in request.widgets or []))
    plan = Plan(
        work=Creation(fields, widgets, shifted, existing_ids, source, request.old_id, were, into.left_out),
        verb="Create",
        about=f"dashboard {named(request.name)}" + (f" in project {project}" if project is not None else ""),
        operations=request.operations(CREATE),
        covered=_covered(request, original, namesakes),
        stamps=[str(sorted(existing_ids)), original.updated_at if original else None],
        changes=[
            dashboard_change("create", None, request.name, {}, fields),
            *(EditOperation(op="create", name=untrusted(widget.name)) for widget in copied.values()),
            *(EditOperation(op="create", name=untrusted(c.get("name")), fields=before_after({}, c)) for c in widgets),
        ],
        warnings=warnings,
        notes=[*into.matched],
    )
    return checked(context, plan, request)


def _covered(request: CreateDashboardRequest, source: Dashboard | None, namesakes: list[int]) -> Covered:
    """The state that the plan covers: a copy's original; for a restored dashboard, also its namesakes."""
    whole: Covered = covered_whole(source) if source else {}
    return whole if request.old_id is None else {**whole, **covered_namesakes(namesakes)}


async def _project(context: ToolContext, request: CreateDashboardRequest, source: Dashboard | None) -> int | None:
    if request.old_id is not None:
        return request.project_id
    if source is not None:
        return request.project_id or source.project
    return await context.lookups.only_project(request.project_id, lead="Nothing was changed.")


async def commit(context: ToolContext, plan: Plan[Creation]) -> Receipt:
    work, steps = plan.work, _FollowUps()
    dashboard, steps.read_back = await send_create(
        context, work.fields, work.source.id if work.source else None, work.existing_ids
    )
    dashboard = await _whole(context, work, dashboard, steps)
    dashboard = await _with_filters(context, work, dashboard, steps)
    differences = _copy_differences(work, dashboard, steps)
    done = await _with_widgets(context, work, dashboard, steps)
    widgets = [done.updated.get(widget.id, widget) for widget in dashboard.widgets]
    dashboard = dashboard.model_copy(update={"widgets": [*widgets, *done.created]})
    way = undo_of(DeleteDashboardRequest, {"dashboard_id": dashboard.id})
    return receipt_of(
        replace(plan, warnings=[text for text in plan.warnings if text not in work.left_out]),
        _changes(dashboard),
        dashboard_id=dashboard.id,
        differences=[*differences, *steps.differences],
        not_applied=[*work.left_out, *steps.not_applied],
        restored=_restored_lines(context, work, dashboard, done),
        remaining=steps.remaining,
        undo=way.call(context, DELETE, covered_whole(dashboard)),
        read_back=steps.read_back,
    )


@dataclass
class _FollowUps:
    """The outcomes of the calls after the first."""

    not_applied: list[str] = field(default_factory=list[str])
    remaining: list[Call] = field(default_factory=list[Call])
    differences: list[str] = field(default_factory=list[str])
    read_back: bool = False
    is_unread: bool = False

    def failed(self, what: str, error: DashboardsError, *calls: Call) -> None:
        self.not_applied.append(f"{what}: {error}")
        if surely_not_applied(error):
            self.remaining += calls


async def _whole(context: ToolContext, work: Creation, dashboard: Dashboard, steps: _FollowUps) -> Dashboard:
    """A copy, read again if the response lacks its widgets; unchanged, with a note, if that fails."""
    if work.source is None or len(dashboard.widgets) >= len(work.source.widgets):
        return dashboard
    complete = await read_again(context, lambda api: api.get_dashboard(dashboard.id))
    if complete is None:
        steps.differences.append(
            f"which widgets the copy has could not be read; get_dashboard {dashboard.id} shows them"
        )
        steps.is_unread = True
    return complete or dashboard


async def _with_filters(context: ToolContext, work: Creation, dashboard: Dashboard, steps: _FollowUps) -> Dashboard:
    """A copy has its original's filters; replace them with those of the request."""
    fields = {"filters": work.fields["filters"]}
    if work.source is None or not dashboard_differences(fields, dashboard):
        return dashboard
    try:
        changed, read_back = await send_update(context, dashboard, fields)
    except DashboardsError as error:
        call = Call(tool=UPDATE, arguments={"dashboard_id": dashboard.id, **fields})
        steps.failed("its filters", error, call)
        return dashboard
    steps.read_back |= read_back
    return changed.model_copy(update={"widgets": changed.widgets or dashboard.widgets})


async def _with_widgets(context: ToolContext, work: Creation, dashboard: Dashboard, steps: _FollowUps) -> Stored:
    updates = _shifts(work, dashboard)
    edits = WidgetEdits(
        dashboard_id=dashboard.id,
        creates=work.widgets,
        updates=updates,
        before={widget.id: widget for widget in dashboard.widgets if widget.id in updates},
        widgets={widget.id: widget for widget in dashboard.widgets},
        old_ids=work.widgets_were,
    )
    nothing = Stored(edits=replace(edits, creates=[], updates={}, old_ids=()))
    if edits.is_empty:
        return nothing
    try:
        done = await commit_bulk(context, edits)
    except DashboardsError as error:
        steps.failed(f"its {counted(len(work.widgets), 'widget')}", error, *_widgets_left(context, dashboard, edits))
        return nothing
    steps.read_back |= done.read_back
    steps.differences += all_differences(done)
    steps.not_applied += not_applied(done)
    return done


def _widgets_left(context: ToolContext, dashboard: Dashboard, edits: WidgetEdits) -> list[Call]:
    """The calls that create the missing widgets; for restored ones with their former ids."""
    arguments: JsonObject = {"dashboard_id": dashboard.id}
    if any(old_id is not None for old_id in edits.old_ids):
        create = [{**config, "old_id": old_id} for config, old_id in zip(edits.creates, edits.old_ids, strict=True)]
        way = undo_of(BulkEditRequest, {**arguments, "create": create})
        restored = [item.values() for item in (way.request.create if way.request else None) or []]
        call = way.call(context, BULK_EDIT, covered_alike(dashboard.id, dashboard.widgets, restored))
        return [call] if call else []
    moved: JsonObject = {"update": [{"id": n, **sent} for n, sent in edits.updates.items()]} if edits.updates else {}
    parts = [edits.creates[start : start + MOST_WIDGETS] for start in range(0, len(edits.creates), MOST_WIDGETS)]
    return [
        Call(
            tool=BULK_EDIT,
            arguments={**arguments, "create": part, **(moved if part is parts[0] else {})},
        )
        for part in parts
    ]


def _shifts(work: Creation, dashboard: Dashboard) -> dict[int, JsonObject]:
    """The fields that differ in the copy, by the ids of the copied widgets."""
    remaining, shifts = [*dashboard.widgets], dict[int, JsonObject]()
    for widget in work.source.widgets if work.source else []:
        twin = next((one for one in remaining if one.definition() == widget.definition()), None)
        if twin is not None:
            remaining.remove(twin)
            shifts |= {twin.id: work.shifted[widget.id]} if widget.id in work.shifted else {}
    return shifts


def _changes(dashboard: Dashboard) -> list[EditOperation]:
    widgets = [
        EditOperation(op="create", id=w.id, name=untrusted(w.name), fields=before_after({}, w.writable()))
        for w in dashboard.widgets
    ]
    return [dashboard_change("create", dashboard.id, dashboard.name, {}, fields_of(dashboard)), *widgets]


def _copy_differences(work: Creation, dashboard: Dashboard, steps: _FollowUps) -> list[str]:
    requested = {name: value for name, value in work.fields.items() if name != "filters" or not steps.not_applied}
    texts = dashboard_differences(requested, dashboard)
    if work.source is not None and not steps.is_unread:
        copied = [widget.definition() for widget in dashboard.widgets]
        missing = [widget for widget in work.source.widgets if widget.definition() not in copied]
        texts += [f"widget {w.id} {named(w.name)} has no equal in the copy" for w in missing]
    return texts


def _restored_lines(context: ToolContext, work: Creation, dashboard: Dashboard, done: Stored) -> list[str]:
    if work.old_id is None:
        return []
    name = signer(context)
    return [
        restored_line(name, "dashboard", work.old_id, dashboard.id),
        *restored_lines(name, done.edits.old_ids, done.created),
    ]


TOOL = writing_tool(
    name=CREATE,
    title="Create a dashboard",
    description=(
        "Create, build me, generate, set up, spin up, start a new, fresh, empty dashboard, board or page "
        "for a team, agent, campaign, launch with its charts; clone one. Not idempotent: a retry creates "
        "a second one."
    ),
    request=CreateDashboardRequest,
    plan=plan,
    commit=commit,
    idempotent=False,
)
