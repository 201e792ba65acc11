"""What may stand for an argument of a prompt or a resource: names that are there, as they are typed."""

from collections.abc import Mapping

from mcp.server.mcpserver import Context
from mcp.types import CompleteRequestParams, Completion, ResourceTemplateReference

from cekura_dashboards import DashboardsError, ToolContext
from cekura_dashboards.arguments.references import EntityKind, id_of, name_or_id, names_of
from cekura_dashboards.arguments.times import WORDS
from cekura_dashboards.charts.window import COMPARISONS
from cekura_dashboards_mcp.connection import Connection

MAX_VALUES = 100
"""Of values in one answer, by the protocol."""
NAMED: dict[str, EntityKind] = {"dashboard": "dashboard", "widget": "widget", "agent": "agent", "metric": "metric"}
LISTED_BY = {"dashboard": "list_dashboards", "widget": "get_dashboard", "agent": "look_up", "metric": "look_up"}
"""The tool that tells such names: who may not use it is not told them here."""
FIXED = {"window": WORDS, "compare_to": COMPARISONS}


async def complete(context: Context[Connection, object], params: CompleteRequestParams) -> Completion:
    """The values that go with what is typed so far; none where the API cannot be asked."""
    typed, name = params.argument.value, params.argument.name
    if name in FIXED:
        return _shown([word for word in FIXED[name] if word.startswith(typed.strip().lower())])
    is_address = isinstance(params.ref, ResourceTemplateReference)
    kind = "dashboard" if is_address and name == "id" else NAMED.get(name)
    if kind is None:
        return _shown([])
    connection = context.request_context.lifespan_context
    arguments = (params.context.arguments if params.context else None) or {}
    try:
        connection.refuse_unless_open(context.headers, LISTED_BY[kind])
        tools = await connection.tool_context(context.headers)
        names = await _names(tools.for_one_call(), kind, arguments)
    except DashboardsError:
        return _shown([])  # a list of suggestions is no place for an error; the tool that is called then tells it
    matching = {number: text for number, text in names.items() if _matches(typed, number, text)}
    if is_address:
        return _shown([str(number) for number in matching])
    return _shown([str(name_or_id(number, names)) for number in matching])


async def _names(tools: ToolContext, kind: EntityKind, arguments: Mapping[str, str]) -> dict[int, str]:
    """Names by id; of the widgets those of the dashboard that was given before, if any."""
    project, dashboard = tools.settings.project_id, None
    if kind == "widget" and (text := arguments.get("dashboard", "").strip()):
        dashboard = id_of(text, await names_of(tools, "dashboard"))
    return await names_of(tools, kind, dashboard=dashboard, project=project)


def _matches(typed: str, number: int, text: str) -> bool:
    prefix = typed.strip().casefold()
    return prefix in text.casefold() or str(number).startswith(prefix)


def _shown(values: list[str]) -> Completion:
    return Completion(values=values[:MAX_VALUES], total=len(values), has_more=len(values) > MAX_VALUES)
