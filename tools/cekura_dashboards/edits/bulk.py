"""The plan of a bulk edit: widgets created, changed and deleted on one dashboard."""

from collections.abc import Collection, Mapping, Sequence

from cekura_dashboards.api.errors import Fault
from cekura_dashboards.api.models import Dashboard, JsonObject, Widget
from cekura_dashboards.context import ToolContext
from cekura_dashboards.edits.changes import WidgetEdits, planned_changes
from cekura_dashboards.edits.layout import Placement, Wish, overlapped, pattern_for, place_widgets
from cekura_dashboards.edits.plan import Plan, changed_only
from cekura_dashboards.edits.plan_id import covered, covered_alike, covered_widgets
from cekura_dashboards.edits.request import (
    BULK_EDIT,
    BulkEditRequest,
    DashboardEdit,
    RestoredIds,
    ignored_nulls,
    sent_fields,
    unmergeable,
)
from cekura_dashboards.edits.rules import Checker
from cekura_dashboards.edits.undo import refuse_too_large, undo_arguments, undo_of
from cekura_dashboards.text import join_names, named


async def plan_bulk_edit(
    context: ToolContext,
    request: BulkEditRequest,
    dashboard: Dashboard,
    ids: RestoredIds,
) -> Plan[WidgetEdits]:
    """The plan against a dashboard that was read already."""
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
            checker.faults.append(_unknown_widget(f"delete[{index}]", number, dashboard))
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
        there=mine,
        was=tuple(item.was for item in request.create or []),
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
    """Warnings of restored widgets whose old place is taken by now."""
    there = {n: widget.model_copy(update=updates.get(n, {})) for n, widget in mine.items() if n not in deletes}
    restored = [config for item, config in zip(request.create or [], creates, strict=True) if item.was is not None]
    under = [(config, overlapped(0, config.get("metadata"), there)) for config in restored]
    return [
        f"{named(config.get('name'))} comes back onto widgets {join_names(map(str, numbers))}; arrange makes room"
        for config, numbers in under
        if numbers
    ]


def _placement(
    request: DashboardEdit, creates: Sequence[JsonObject], mine: Collection[int], ids: RestoredIds
) -> Placement:
    """Where widgets are wanted; what is restored has its old place."""
    items = enumerate(zip(request.create or [], creates, strict=True))
    moves = {
        number: Wish.of(f"update[{index}]", item)
        for index, item in enumerate(request.update or [])
        if (item.place or item.layout) and (number := ids.now("widget", item.id)) in mine
    }
    return Placement(
        [(Wish.of(f"create[{index}]", item), config) for index, (item, config) in items if item.was is None],
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
            checker.faults.append(_unknown_widget(f"{path}.id", number, dashboard))
            continue
        if (problem := unmergeable(item, item.clear, mine[number])) is not None:
            checker.faults.append(Fault(f"{path}.metadata", problem))
            continue
        sent = changed_only(sent_fields(item, item.clear, mine[number].writable()), mine[number])
        if not sent:
            if item.place or item.layout:
                continue
            notes.append(f"{path}: widget {number} is stored like this already")
            continue
        updates[number] = sent
        await checker.updated(mine[number], sent, f"{path}.", item.clear)
    return updates, notes


def _unknown_widget(path: str, number: int, dashboard: Dashboard) -> Fault:
    widgets_text = join_names((f"{widget.id} {named(widget.name)}" for widget in dashboard.widgets), limit=8)
    return Fault(path, f"widget {number} is not on dashboard {dashboard.id}; its widgets: {widgets_text or 'none'}.")
