"""Names for what the API numbers."""

from collections.abc import Iterable

from cekura_dashboards.api.errors import DashboardsError
from cekura_dashboards.api.models import WidgetConfig
from cekura_dashboards.context import ToolContext
from cekura_dashboards.text import cleaned

AGENT_FIELDS = {"agent.id", "agent_id", "agent"}


async def group_names(context: ToolContext, configs: Iterable[WidgetConfig]) -> tuple[dict[str, str], list[str]]:
    """Agent names by id, if any widget is grouped by agent, and a note if they cannot be read."""
    if not any((config.group_by or {}).get("field") in AGENT_FIELDS for config in configs):
        return {}, []
    try:
        agents = await context.api.agents()
    except DashboardsError:
        return {}, ["agents are shown by id, as their names could not be read"]
    return {str(agent.id): cleaned(agent.name) for agent in agents if agent.name}, []
