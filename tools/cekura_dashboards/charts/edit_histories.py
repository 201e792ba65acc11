"""Edits by people in the API: histories of metrics and agents, and the audit log, read concurrently.

None of them can be filtered by time alone: one page of each is read, and the answer names what it does not cover.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import zip_longest

from msgspec import Struct

from cekura_dashboards.api.errors import ApiError, DashboardsError, DeadlinePassed, UnreadableAnswer
from cekura_dashboards.api.filters import instant
from cekura_dashboards.api.models import Project
from cekura_dashboards.api.records import AuditLog, History
from cekura_dashboards.charts.target import format_instant
from cekura_dashboards.context import ToolContext, gather, gather_by_id
from cekura_dashboards.values import replace

MAX_METRICS, MAX_AGENTS, MAX_HISTORIES = 3, 3, 8
"""Maximum histories to read of each kind: for one change, and in one answer."""
LONGEST_LOG = timedelta(days=30)
"""The API's limit of one request to the audit log."""
AUDIT = "audit log"


class EditScope(Struct, frozen=True):
    """Whose edits to search, and when. ``metrics`` and ``agents``: in order of importance.

    ``only_agents``: ignore edits of other agents.
    """

    start: datetime
    end: datetime
    project: int | None
    metrics: tuple[int, ...] = ()
    agents: tuple[int, ...] = ()
    only_agents: bool = False

    def widened(self, by: timedelta, now: datetime) -> "EditScope":
        """The same for a longer time, up to now at most."""
        return replace(self, start=self.start - by, end=min(self.end + by, now))


class EditSources(Struct, frozen=True):
    """The histories and audit log that were read, and those that were not, with the reason.

    ``project``: its record, if known. ``log_gaps``: why the audit log, or part of it, is missing.
    """

    metrics: Mapping[int, History] = {}
    agents: Mapping[int, History] = {}
    audit: AuditLog | None = None
    project: Project | None = None
    unread_metrics: Mapping[int, str] = {}
    unread_agents: Mapping[int, str] = {}
    log_gaps: Sequence[str] = ()
    requests: int = 0


async def read_edit_sources(context: ToolContext, scopes: Sequence[EditScope]) -> EditSources:
    """A page of each history in the scopes, and one of the audit log over their whole time."""
    if not scopes:
        return EditSources()
    metrics = _few([scope.metrics[:MAX_METRICS] for scope in scopes])
    agents = _few([scope.agents[:MAX_AGENTS] for scope in scopes])
    (of_metrics, no_metrics), (of_agents, no_agents), log = await gather(
        gather_by_id(metrics, context.brief_api.metric_history),
        gather_by_id(agents, context.brief_api.agent_history),
        _read_log(context, scopes),
    )
    return replace(
        log,
        metrics=of_metrics,
        agents=of_agents,
        unread_metrics={number: _reason(error) for number, error in no_metrics.items()},
        unread_agents={number: _reason(error) for number, error in no_agents.items()},
        requests=log.requests + len(metrics) + len(agents),
    )


def _few(wanted: Sequence[Sequence[int]]) -> list[int]:
    """The first of each list, then the second of each, and so on, up to the limit."""
    ordered = (number for same_place in zip_longest(*wanted) for number in same_place if number is not None)
    return [*dict.fromkeys(ordered)][:MAX_HISTORIES]


async def _read_log(context: ToolContext, scopes: Sequence[EditScope]) -> EditSources:
    """The audit log and the project."""
    numbers = {scope.project for scope in scopes}
    try:
        project = next((row for row in await context.lookups.projects() if {row.id} == numbers), None)
    except DashboardsError as error:
        return EditSources(log_gaps=[f"{AUDIT} (the projects could not be read: {_reason(error)})"])
    if project is None or project.organization is None:
        unknown = "of several projects" if len(numbers) > 1 else "of an unknown project"
        why = f"the charts are {unknown}" if project is None else "the project names no organization"
        return EditSources(project=project, log_gaps=[f"{AUDIT} ({why})"])
    start, end = min(scope.start for scope in scopes), max(scope.end for scope in scopes)
    earliest = max(start, end - LONGEST_LOG)
    gaps = [f"{AUDIT} before {format_instant(earliest)}"] if earliest > start else []
    try:
        log = await context.brief_api.audit_log(
            project.organization, project.id, start=instant(earliest), end=instant(end)
        )
    except DashboardsError as error:
        return EditSources(project=project, log_gaps=[f"{AUDIT} ({_reason(error)})"], requests=1)
    if log.count > log.size:
        oldest = min((entry.at for entry in log.entries), default=end)
        gaps = [f"{AUDIT} before {format_instant(oldest)} (the newest {log.size} of {log.count} entries were read)"]
    return EditSources(audit=log, project=project, log_gaps=gaps, requests=1)


def _reason(error: DashboardsError) -> str:
    """Why something was not read, in a few words."""
    if isinstance(error, ApiError):
        return str(error.status)
    if isinstance(error, DeadlinePassed):
        return "no response in time"
    return "unreadable response" if isinstance(error, UnreadableAnswer) else "not reached"
