"""Which calls a widget covers that is read without its dashboard."""

from cekura_dashboards.api.errors import DashboardsError
from cekura_dashboards.api.filters import both
from cekura_dashboards.api.models import JsonObject
from cekura_dashboards.charts.target import ChartReading, Target
from cekura_dashboards.concurrency import gather, gather_all
from cekura_dashboards.context import ToolContext
from cekura_dashboards.values import replace

MAX_AGENTS = 300


async def keep_to_projects(
    context: ToolContext, placed: list[tuple[ChartReading, JsonObject | None]]
) -> list[tuple[ChartReading, JsonObject | None]]:
    """Keep what is previewed without its dashboard to its project, by its agents; else tell what it covers.

    A reading whose scope cannot be found out carries the error: the numbers of others would be no answer.
    """
    targets = {reading.target.dashboard: reading.target for reading, _ in placed if reading.alone}
    if not targets:
        return placed
    scopes_of = (_agents_of(context, target) for target in targets.values())
    count, _, scopes_read = await gather(_projects(context), context.lookups.prefetch(), gather_all(scopes_of))
    if count is not None and count <= 1:
        return placed
    scopes = dict(zip(targets, scopes_read, strict=True))
    return [_restrict(reading, body, scopes.get(reading.target.dashboard), count) for reading, body in placed]


async def _projects(context: ToolContext) -> int | None:
    """How many the key can see; None if that cannot be read."""
    try:
        return len(await context.lookups.projects())
    except DashboardsError:
        return None


async def _agents_of(context: ToolContext, target: Target) -> tuple[int, list[int]] | DashboardsError | None:
    """The project of a dashboard, or the default one, and its agents; None where there is none, or too many agents."""
    try:
        project = target.project
        if project is None and target.dashboard is not None:
            project = (await context.lookups.dashboard(target.dashboard)).project
        elif project is None:
            project = context.settings.project_id
        if project is None:
            return None
        agents = [agent.id for agent in await context.lookups.agents(project)]
    except DashboardsError as error:
        return error
    return (project, agents) if 0 < len(agents) <= MAX_AGENTS else None


def _restrict(
    reading: ChartReading,
    body: JsonObject | None,
    scope: tuple[int, list[int]] | DashboardsError | None,
    count: int | None,
) -> tuple[ChartReading, JsonObject | None]:
    if not reading.alone or body is None:
        return reading, body
    if isinstance(scope, DashboardsError):
        return replace(reading, error=scope), body
    if scope is None:
        if count is None:
            return _with_note(reading, "covers every project that this key can see; how many could not be read"), body
        return _with_note(
            reading, f"covers all {count} projects that this key can see, as no dashboard scopes it"
        ), body
    project, ids = scope
    theirs = {"field": "agent.id", "op": "in", "value": ids}
    note = f"kept to project {project} by its {len(ids)} agents"
    if reading.target.dashboard is not None:
        note += ", as the dashboard's own scope ends at its date range"
    restricted = replace(_with_note(reading, note), restricted_to_project=True)
    return restricted, {**body, "filters": both(body["filters"], theirs)}


def _with_note(reading: ChartReading, note: str) -> ChartReading:
    return replace(reading, notes=(*reading.notes, note)) if reading.alone else reading
