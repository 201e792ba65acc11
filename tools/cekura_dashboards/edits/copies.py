"""Copies of widgets on many dashboards and taking them away again; and of a whole dashboard in another project."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from cekura_dashboards.api.errors import Fault, InvalidArguments
from cekura_dashboards.api.filters import only_time
from cekura_dashboards.api.models import Dashboard, JsonObject, Widget, as_object
from cekura_dashboards.context import ToolContext
from cekura_dashboards.edits.changes import EditOperation, WidgetEdits
from cekura_dashboards.edits.checker import Checker
from cekura_dashboards.edits.date_range import no_date_range
from cekura_dashboards.edits.layout import Placement, Wish, place_widgets
from cekura_dashboards.edits.namesakes import translated
from cekura_dashboards.edits.restored import RestoredIds
from cekura_dashboards.text import join_names, json_text, named, untrusted


async def copies_for(
    context: ToolContext, dashboards: Sequence[Dashboard], sources: Sequence[Widget], ids: RestoredIds
) -> tuple[list[WidgetEdits], list[str], list[str]]:
    edits, faults, warnings, notes = list[WidgetEdits](), list[Fault](), list[str](), list[str]()
    without_range = list[str]()
    for dashboard in dashboards:
        checker = Checker(context, dashboard.project, dashboard.filters)
        configs, mine = list[JsonObject](), {widget.id: widget for widget in dashboard.widgets}
        for source in sources:
            if source.dashboard == dashboard.id or source.id in mine:
                notes.append(f"widget {source.id} is on dashboard {dashboard.id} itself and not copied there")
                continue
            path = f"widget {source.id} on dashboard {dashboard.id}"
            there = await translated(
                context, source.definition(), project=dashboard.project, dashboard=source.dashboard
            )
            config: JsonObject = there.value
            notes += [text for text in there.matched if text not in notes]
            faults += [Fault(path, f"{text}.") for text in there.missing]
            if not there.missing:
                await checker.created(config, f"{path}: ")
            configs.append(config)
            twin = next((w for w in dashboard.widgets if _plain(w.definition()) == _plain(config)), None)
            if twin is not None:
                warnings.append(f"dashboard {dashboard.id} has one like widget {source.id} already: {twin.id}")
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
                    there=mine,
                )
            )
    if faults:
        raise InvalidArguments(faults, lead="Nothing was changed.")
    if without_range:
        warnings.append(f"dashboards {join_names(without_range)}: {no_date_range(on_dashboard=True)}")
    return edits, warnings, notes


def _plain(config: JsonObject) -> JsonObject:
    """What it is, wherever it stands."""
    return {name: value for name, value in config.items() if name != "metadata"}


def _unplaced(configs: Sequence[JsonObject], mine: dict[int, Widget], ids: RestoredIds) -> list[JsonObject]:
    """The copies below what is there, where the dashboard shows a grid; else as they are."""
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
                    there=mine,
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


@dataclass
class CopyInto:
    """A dashboard as it would be in another project. ``left_out``: its widgets that cannot be there, and why."""

    filters: JsonObject | None = None
    widgets: list[JsonObject] = field(default_factory=list[JsonObject])
    matched: dict[str, None] = field(default_factory=dict[str, None])
    left_out: list[str] = field(default_factory=list[str])
    warnings: list[str] = field(default_factory=list[str])


async def copy_into(context: ToolContext, original: Dashboard, project: int, filters: JsonObject | None) -> CopyInto:
    """A dashboard in another project, its agents and metrics found there by name. ``filters``: in place of its own.

    Raises:
        InvalidArguments: if its filters cannot be there and none are given, or none of its widgets.
        DashboardsError: if it could not be read what its ids are called.
    """
    made = CopyInto(filters)
    if project not in {known.id for known in await context.lookups.projects()}:
        text = f"no project {project} for this key; look_up projects lists them."
        raise InvalidArguments.at("project_id", text, lead="Nothing was changed.")
    if filters is None:
        odd = original.unreadable("filters")
        there = await translated(context, original.filters, project=project, dashboard=original.id)
        made.filters, made.matched = there.value, {**there.matched}
        if odd or there.missing:
            such_as = f", such as {json_text(kept)}" if (kept := only_time(original.filters)) else ""
            text = f"{odd or '; '.join(there.missing)}, as the original has; give filters for the copy{such_as}."
            raise InvalidArguments.at("filters", text, lead="Nothing was changed.")
    checker = Checker(context, project, made.filters)
    for widget in original.widgets:
        there = await translated(context, widget.definition(), project=project, dashboard=original.id)
        problems = [odd] if (odd := widget.problem()) else [*there.missing]
        if not problems:
            await checker.created(there.value, "")
            problems, checker.faults = [str(fault) for fault in checker.faults], []
        if problems:
            made.left_out.append(f"widget {widget.id} {named(widget.name)} is left out: {'; '.join(problems)}")
        else:
            made.widgets.append(there.value)
            made.matched |= there.matched
    if original.widgets and not made.widgets:
        text = f"no widget of the original can be in project {project}: {join_names(made.left_out, limit=3)}."
        raise InvalidArguments.at("project_id", text, lead="Nothing was changed.")
    made.warnings = checker.done()
    return made
