"""List the dashboards."""

from pydantic import BaseModel, Field

from cekura_dashboards.api.models import DashboardRow
from cekura_dashboards.arguments.references import ProjectId, similar_names
from cekura_dashboards.charts.target import saved_range_text
from cekura_dashboards.context import ToolContext
from cekura_dashboards.text import SafeText, UntrustedText, counted, named, time_text, untrusted
from cekura_dashboards.tool import ReadingTool, Request, Result

PAGE = 20
MAX_READ = 1000
"""Maximum dashboards read in one search."""


class ListRequest(Request):
    project_id: ProjectId | None = Field(default=None, description="default: all")
    search: str | None = Field(default=None, description="part of the name")
    page: int = Field(default=1, ge=1, description="20 a page")


class DashboardShown(BaseModel):
    id: int
    name: UntrustedText | None = None
    project: int | None = None
    widgets: int | None = None
    date_range: str
    updated_at: SafeText | None = None


class DashboardList(Result):
    dashboards: list[DashboardShown]
    page: int
    more: bool


async def run(context: ToolContext, request: ListRequest) -> DashboardList:
    project = request.project_id or context.settings.project_id
    needle, first = (request.search or "").casefold(), (request.page - 1) * PAGE
    rows_by_id, rows_read, others = dict[int, DashboardRow](), 0, list[DashboardRow]()
    notes = list[str]()
    async for rows in context.api.list_dashboards(project):
        rows_read += len(rows)
        others += rows
        rows_by_id |= {row.id: row for row in rows if needle in (row.name or "").casefold()}
        if len(rows_by_id) > first + PAGE:
            break
        if rows_read >= MAX_READ:
            notes.append(f"the first {rows_read} dashboards were read; give project_id to read others")
            break
    if not rows_by_id and request.search:
        names = similar_names(request.search, [row.name for row in others if row.name])
        rows_by_id = {row.id: row for row in others if row.name in names}
        notes += [f"no name contains {UntrustedText(request.search)}; these are similar"] if rows_by_id else []
    if not rows_by_id:
        searched = f" with {UntrustedText(request.search)} in the name" if request.search else ""
        notes.append(f"none{searched} among {rows_read} read" + (f" in project {project}" if project else ""))
    rows = list(rows_by_id.values())[first : first + PAGE]
    return DashboardList(
        dashboards=[_shown(row, context) for row in rows],
        page=request.page,
        more=len(rows_by_id) > first + PAGE,
        notes=notes or None,
    )


def _shown(row: DashboardRow, context: ToolContext) -> DashboardShown:
    count = row.widget_count
    return DashboardShown(
        id=row.id,
        name=untrusted(row.name),
        project=row.project,
        widgets=int(count) if isinstance(count, int) or (isinstance(count, str) and count.isdigit()) else None,
        date_range=saved_range_text(row.filters, context.now()),
        updated_at=time_text((row.updated_at or "")[:10]),
    )


def render(result: DashboardList) -> str:
    lines = [_line(row) for row in result.dashboards]
    if result.more:
        lines.append(f"page {result.page}; more on page {result.page + 1}")
    elif result.page > 1:
        lines.append(f"page {result.page}; no more")
    elif not lines:
        lines.append("no dashboards")
    return "\n".join(lines)


def _line(row: DashboardShown) -> str:
    parts = [
        f"{row.id} {named(row.name)}",
        f"project {row.project}" if row.project is not None else "no project",
        counted(row.widgets, "widget") if row.widgets is not None else "",
        f"date range {row.date_range}",
        f"updated {row.updated_at}" if row.updated_at else "",
    ]
    return ", ".join(part for part in parts if part)


TOOL = ReadingTool(
    name="list_dashboards",
    title="List dashboards",
    description=(
        "What dashboards do we have, which boards exist, is there already one? Overview of all available "
        "in a workspace or project, how many; find one whose name or title you forgot: id, most recently "
        "edited."
    ),
    request=ListRequest,
    result=DashboardList,
    run=run,
    render=render,
)
