"""Widgets and filters in another project: the agents and metrics that they name are found there by name."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from msgspec import Struct, field

from cekura_dashboards.api.errors import DashboardsError
from cekura_dashboards.api.filters import AGENT_IDS, METRIC_ID
from cekura_dashboards.api.models import JsonObject, as_list, as_object
from cekura_dashboards.arguments.references import EntityKind, names_of
from cekura_dashboards.concurrency import gather_all
from cekura_dashboards.context import ToolContext
from cekura_dashboards.text import join_names, named

Names = Mapping[EntityKind, Mapping[int, str]]
Change = Callable[[EntityKind, Any, str], Any]
KINDS: dict[str, EntityKind] = {**dict.fromkeys(AGENT_IDS, "agent"), METRIC_ID: "metric"}
"""Fields of filters, to what their values are ids of."""
NAMED: dict[str, EntityKind] = {"agent.agent_name": "agent", "metric_evaluations.metric.name": "metric"}
"""Fields of filters, to what their values are names of."""


class Translation(Struct, frozen=True):
    """``value`` with the ids of another project. ``matched``: which stood for which; ``missing``: what is not there."""

    value: Any
    matched: dict[str, None] = field(default_factory=dict[str, None])
    missing: dict[str, None] = field(default_factory=dict[str, None])


async def translated(
    context: ToolContext, value: JsonObject | None, *, project: int | None, dashboard: int | None
) -> Translation:
    """A widget or filters of ``dashboard`` as they are to be in ``project``; as they are where nothing need change.

    Raises:
        DashboardsError: if it could not be read what its ids are called.
    """
    names = _names_in(value)
    kinds: set[EntityKind] = {kind for kind, _ in [*_references(value), *names]}
    if project is None or not kinds:
        return Translation(value)
    here = dict[EntityKind, Mapping[int, str]]()
    with suppress(DashboardsError):  # asked for again below, if it matters
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
    wanted = sorted(kinds)
    names = await gather_all(names_of(context, kind, project=project) for kind in wanted)
    return dict(zip(wanted, names, strict=True))


def _translated(value: JsonObject | None, there: Names, here: Names, project: int) -> Translation:
    made = Translation(None)

    def change(kind: EntityKind, given: Any, _where: str) -> Any:
        number = _number(given)
        if number is None or number in here[kind]:
            return given
        name = there[kind].get(number)
        ids = [one for one, title in here[kind].items() if title == name]
        if len(ids) == 1:
            made.matched[f"{kind} {named(name)} is {ids[0]} in project {project}, in place of {number}"] = None
            return ids[0]
        if name is None:
            made.missing[f"no {kind} {number} in project {project}, and what it is called is not known"] = None
        elif ids:
            made.missing[f"{len(ids)} {kind}s of project {project} are called {named(name)}: {_shown(ids)}"] = None
        else:
            made.missing[f"no {kind} {named(name)} in project {project}"] = None
        return given

    changed = with_references(value, change, "")
    for kind, name in _unknown(_names_in(value), here):
        made.missing[f"no {kind} {named(name)} in project {project}"] = None
    return Translation(changed, made.matched, made.missing)


def _shown(ids: Iterable[int]) -> str:
    return join_names(map(str, ids))


def _number(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    return value if isinstance(value, int) else None


def _references(value: JsonObject | None) -> list[tuple[EntityKind, int]]:
    """What a widget or filters name by id."""
    references = list[tuple[EntityKind, int]]()

    def keep(kind: EntityKind, given: Any, _where: str) -> Any:
        number = _number(given)
        references.extend([(kind, number)] if number is not None else [])
        return given

    with_references(value, keep, "")
    return references


def _names_in(value: JsonObject | None) -> list[tuple[EntityKind, str]]:
    """What filters name by its whole name."""
    node = value or {}
    kind = NAMED.get(str(node.get("field")))
    given = as_list(node.get("value")) or [node.get("value")]
    names = list[tuple[EntityKind, str]]()
    if kind is not None and node.get("op") in {"eq", "in"}:
        names.extend((kind, name) for name in given if isinstance(name, str))
    inside = [as_object(part) for part in [*(as_list(node.get("conditions")) or []), node.get("filters")]]
    return [*names, *(name for part in inside if part is not None for name in _names_in(part))]


def _unknown(names: Iterable[tuple[EntityKind, str]], known: Names) -> list[tuple[EntityKind, str]]:
    """The names that nothing has, whatever their capitals."""
    folded = {kind: {title.casefold() for title in titles.values()} for kind, titles in known.items()}
    return [(kind, name) for kind, name in names if name.casefold() not in folded[kind]]


def with_references(value: JsonObject | None, change: Change, where: str) -> Any:
    """Filters or a widget, each reference in them changed."""
    if value is None:
        return None
    result = dict(value)
    if result.get("metric") is not None:
        result["metric"] = change("metric", result["metric"], f"{where}.metric")
    if (kind := KINDS.get(str(result.get("field")))) and "value" in result:
        items = as_list(result["value"])
        there = f"{where}.value"
        result["value"] = (
            change(kind, result["value"], there) if items is None else [change(kind, item, there) for item in items]
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
