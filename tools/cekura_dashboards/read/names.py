"""Names for what the API numbers."""

from collections.abc import Iterable

from cekura_dashboards.api.models import WidgetConfig
from cekura_dashboards.context import ToolContext
from cekura_dashboards.text import cleaned

AGENT_FIELDS = {"agent.id", "agent_id", "agent"}


async def group_names(context: ToolContext, configs: Iterable[WidgetConfig]) -> dict[str, str]:
    """Agent names by id, if any widget is grouped by agent; else nothing is asked."""
    if not any((config.group_by or {}).get("field") in AGENT_FIELDS for config in configs):
        return {}
    return {str(agent.id): cleaned(agent.name) for agent in await context.api.agents() if agent.name}
