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
from cekura_dashboards_mcp.sdk import (
    Elicit,
    Resolve,
    ToolError,
    build_resolver_plans,
    is_version_at_least,
    resolve_arguments,
)

FIRST_ASKED_BY_RESULT = "2026-07-28"


class NotConfirmed(DashboardsError):
    """The person said no, or nothing."""

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


async def ask(context: Context[Any, Any], question: str) -> InputRequiredResult | None:
    """Return None once the person has agreed; or the question, to be answered to the client as it is.

    Raises:
        NotConfirmed: else, whatever came back.
    """

    async def consent() -> Elicit[Consent]:
        return Elicit(question, Consent)

    parameters: dict[str, tuple[Resolve, bool]] = {"consent": (Resolve(consent), True)}
    try:
        found = await resolve_arguments(parameters, build_resolver_plans(parameters, set()), {}, context)
    except (ToolError, MCPError):
        raise NotConfirmed from None
    if isinstance(found, InputRequiredResult):
        return found
    outcome: ElicitationResult[Consent] = found["consent"]
    if not isinstance(outcome, AcceptedElicitation) or not outcome.data.confirm:
        raise NotConfirmed
    return None
