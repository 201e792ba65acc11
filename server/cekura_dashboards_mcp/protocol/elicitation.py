"""Asking the person behind a client, in both eras of the protocol.

Since 2026-07-28 a question ends the call, and the client makes the call again with the answer; before, it is asked in
the middle of the call. The SDK does either; what is asked must be the same both times.
"""

from typing import Any

from mcp.server.elicitation import AcceptedElicitation, ElicitationResult
from mcp.server.mcpserver import Context
from mcp.shared.exceptions import MCPError
from mcp.types import InputRequiredResult
from pydantic import BaseModel, Field

from cekura_dashboards.api.errors import DashboardsError
from cekura_dashboards_mcp.connection import Connection
from cekura_dashboards_mcp.protocol.sdk import (
    Elicit,
    Resolve,
    ToolError,
    build_resolver_plans,
    is_version_at_least,
    resolve_arguments,
)

FIRST_ASKED_BY_RESULT = "2026-07-28"


class NotConfirmed(DashboardsError):
    """The person said no."""

    def __init__(self) -> None:
        super().__init__("Nothing was changed: the user did not confirm. Do not try again unless they ask for it.")


class Consent(BaseModel):
    """The form that a client shows."""

    confirm: bool = Field(description="Carry out this edit", strict=True)


def can_ask(context: Context[Any, Any]) -> bool:
    """Whether there is a person to ask: the client shows forms, and the question can reach it."""
    capabilities = context.client_capabilities
    form = capabilities.elicitation if capabilities is not None else None
    if form is None or (form.form is None and form.url is not None):
        return False
    version = context.protocol_version
    by_result = version is not None and is_version_at_least(version, FIRST_ASKED_BY_RESULT)
    return by_result or context.session.can_send_request


async def ask(context: Context[Any, Any], question: str, *, planned: bool) -> InputRequiredResult | bool:
    """Return True once the person has agreed, False if nobody was asked; or the question, to be answered to the client.

    Nobody was asked if the client answers with an error, or with what is neither yes nor no. Since 2026-07-28 a client
    that cannot show a question ends the call for itself, and this server hears no more of it. So who calls with a
    plan_id instead (``planned``) is not asked a second time.

    Raises:
        NotConfirmed: if the person said no.
    """

    async def consent() -> Elicit[Consent]:
        return Elicit(question, Consent)

    connection: Connection = context.request_context.lifespan_context
    is_first_call = context.request_state is None
    if planned and is_first_call and connection.unanswered.has(question):
        return False
    parameters: dict[str, tuple[Resolve, bool]] = {"consent": (Resolve(consent), True)}
    try:
        resolution = await resolve_arguments(parameters, build_resolver_plans(parameters, set()), {}, context)
    except (ToolError, MCPError):
        return False
    if isinstance(resolution, InputRequiredResult):
        if not (is_first_call or context.input_responses):
            return False
        connection.unanswered.add(question)
        return resolution
    connection.unanswered.remove(question)
    outcome: ElicitationResult[Consent] = resolution["consent"]
    if not isinstance(outcome, AcceptedElicitation) or not outcome.data.confirm:
        raise NotConfirmed
    return True
