"""Tool calls: asking the user for confirmation, metrics, spans and the log line.

Since 2026-07-28 a question ends the call, and the client repeats the call with the answer; before, it is asked in
the middle of the call. The SDK does either; the question must be the same both times.

Metrics and spans go to OpenTelemetry's API, without keys and contents; it drops them unless its SDK is configured.
"""

import json
import logging
import os
import secrets
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from mcp.server.apps import client_supports_apps
from mcp.server.elicitation import AcceptedElicitation, ElicitationResult
from mcp.server.mcpserver import Context
from mcp.shared.exceptions import MCPError
from mcp.types import CallToolResult, InputRequiredResult, TextContent
from opentelemetry import metrics, trace
from pydantic import BaseModel, Field

from cekura_dashboards import TOOLS, DashboardsError, call_tool
from cekura_dashboards.api.errors import InvalidArguments, NotFound, PlanRefused
from cekura_dashboards.api.models import is_object
from cekura_dashboards.api.wire import Usage, count_usage
from cekura_dashboards.values import replace
from cekura_dashboards_mcp.connection import Connection, NotAllowed
from cekura_dashboards_mcp.protocol.chart_view import CHART
from cekura_dashboards_mcp.protocol.sdk import (
    Elicit,
    Resolve,
    ToolError,
    UnexpectedToolError,
    build_resolver_plans,
    is_version_at_least,
    resolve_arguments,
)
from cekura_dashboards_mcp.protocol.tools import is_core_client, without

FIRST_ASKED_BY_RESULT = "2026-07-28"


class NotConfirmed(DashboardsError):
    """The user declined."""

    def __init__(self) -> None:
        super().__init__("Nothing was changed: the user declined. Do not try again unless they ask for it.")


class Consent(BaseModel):
    """The form that a client shows."""

    confirm: bool = Field(description="Carry out this edit", strict=True)


def can_ask(context: Context[Any, Any]) -> bool:
    """Whether the user can be asked: the client shows forms, and the question can reach it."""
    capabilities = context.client_capabilities
    form = capabilities.elicitation if capabilities is not None else None
    if form is None or (form.form is None and form.url is not None):
        return False
    version = context.protocol_version
    by_result = version is not None and is_version_at_least(version, FIRST_ASKED_BY_RESULT)
    return by_result or context.session.can_send_request


async def ask(context: Context[Any, Any], question: str, *, planned: bool) -> InputRequiredResult | bool:
    """Return True once the user has agreed, False if nobody was asked, or the question to return to the client.

    Nobody was asked if the client answers with an error, or with neither yes nor no. Since 2026-07-28 a client
    that cannot show a question drops the call, and this server does not learn of it. So a caller with a
    plan_id (``planned``) is not asked a second time.

    Raises:
        NotConfirmed: if the user declined.
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


CALLS = logging.getLogger("cekura_dashboards_mcp.calls")
"""Its lines are pure JSON."""
_meter = metrics.get_meter("cekura-dashboards-mcp")
_calls = _meter.create_counter("cekura.tool.calls", "{call}", "Calls of tools, by outcome")
_seconds = _meter.create_histogram(
    "cekura.tool.duration", "s", "How long calls took",
    explicit_bucket_boundaries_advisory=[0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30],
)  # fmt: skip
_requests = _meter.create_counter("cekura.upstream.requests", "{request}", "Requests to the API")
_retries = _meter.create_counter("cekura.upstream.retries", "{request}", "Requests to the API that were repeated")
_trips = _meter.create_counter("cekura.upstream.trips", "{trip}", "How often calls waited for the API")
_characters = _meter.create_counter("cekura.answer.characters", "{character}", "Characters of text in answers")
_points = _meter.create_counter("cekura.chart.points", "{point}", "Points of charts that were read")
_remembered = _meter.create_counter("cekura.lookups.remembered", "{lookup}", "Names that were not asked for again")


@dataclass
class ObservedCall:
    """A call. ``outcome``: ok, asked (the user), or the kind of its error."""

    tool: str
    caller: str
    request: str = field(default_factory=lambda: secrets.token_hex(4))
    outcome: str = "ended"
    characters: int = 0


@contextmanager
def observe(tool: str, caller: str) -> Generator[ObservedCall]:
    """Record a call from start to end. ``caller``: a digest of its key."""
    call, started = ObservedCall(tool, caller), time.perf_counter()
    with count_usage() as usage:
        try:
            yield call
        finally:
            _log_line(call, usage, time.perf_counter() - started)


def _log_line(call: ObservedCall, usage: Usage, seconds: float) -> None:
    by_tool = {"tool": call.tool}
    _calls.add(1, {"tool": call.tool, "outcome": call.outcome})
    _seconds.record(seconds, by_tool)
    counts = (
        (_requests, usage.requests), (_retries, usage.retries), (_trips, usage.trips), (_points, usage.points),
        (_remembered, usage.cache_hits), (_characters, call.characters),
    )  # fmt: skip
    for counter, count in counts:
        if count:
            counter.add(count, by_tool)
    about: dict[str, str | float] = {
        "request": call.request, "tool": call.tool, "outcome": call.outcome, "seconds": round(seconds, 4),
        "requests": usage.requests, "retries": usage.retries, "trips": usage.trips, "points": usage.points,
        "remembered": usage.cache_hits, "characters": call.characters,
    }  # fmt: skip
    span = trace.get_current_span()
    if span.is_recording():
        span.set_attributes({f"cekura.{name}": value for name, value in about.items()})
    if CALLS.isEnabledFor(logging.INFO):
        CALLS.info(json.dumps({"time": round(time.time(), 3), "process": os.getpid(), "caller": call.caller, **about}))


BY_NAME = {tool.name: tool for tool in TOOLS}
DRAWN = [tool.name for tool in TOOLS if tool.is_drawn]
ANSWERABLE = (InvalidArguments, NotFound, PlanRefused, NotAllowed)
"""Errors that the caller can fix alone; the text of all others ends with the request id in the log."""


async def run_tool(
    name: str, arguments: dict[str, Any], context: Context[Any, Any], *, for_view: bool = False
) -> CallToolResult | InputRequiredResult:
    """Run a tool: text, structure, and a chart for clients that show charts.

    Our own errors become an answer with their exact text and isError, a question to the user becomes that question.
    ``for_view``: for the chart view, which needs hardly any text.

    Raises:
        UnexpectedToolError: for any other error, which the SDK logs.
    """
    connection: Connection = context.request_context.lifespan_context
    core_client = is_core_client(context.session)
    open_tools = connection.open_tools(core_client=core_client)
    draws = for_view or (BY_NAME[name].is_drawn and client_supports_apps(context))
    with observe(name, connection.caller(context.headers)) as call:
        try:
            connection.refuse_unless_open(context.headers, name, core_client=core_client)
            tools = await connection.tool_context(context.headers)
            tools = replace(tools, progress=context.report_progress, draws=draws)
            approve = partial(_approve, context) if can_ask(context) else None
            answer = await call_tool(tools, BY_NAME[name], arguments, approve=approve)
        except ConfirmationNeeded as asked:
            call.outcome = "asked"
            return asked.result
        except DashboardsError as error:
            call.outcome = type(error).__name__
            text = str(error) if isinstance(error, NotAllowed) else _of_open(str(error), open_tools)
            return _error(text if isinstance(error, ANSWERABLE) else f"{text} (request {call.request})")
        except Exception as error:
            call.outcome = f"fault {type(error).__name__}"
            raise UnexpectedToolError(
                f"{name} failed unexpectedly ({type(error).__name__}): a bug in this server; see its log "
                f"(request {call.request})."
            ) from error
        call.outcome, call.characters = "ok", len(answer.text)
    return CallToolResult(
        content=[TextContent(type="text", text="Data for the chart view." if for_view else answer.text)],
        structured_content=None if for_view else answer.structured,
        _meta={CHART: answer.drawing} if answer.drawing is not None else None,
    )


async def run_for_view(
    arguments: dict[str, Any], context: Context[Any, Any], drawn: Sequence[str]
) -> CallToolResult | InputRequiredResult:
    """Only the data to draw, for a chart view that did not receive its data or that asks for other data.

    ``drawn``: the available tools with charts, for errors.
    """
    tool: Any = arguments.get("tool")
    tool_arguments: Any = arguments.get("arguments") or {}
    if tool not in DRAWN or not is_object(tool_arguments):
        return _error(f"tool is one of {', '.join(drawn)}, arguments an object.")
    return await run_tool(tool, tool_arguments, context, for_view=True)


def _of_open(text: str, open_tools: frozenset[str] | None) -> str:
    """An error without the sentences about tools that no key may use here, if other sentences remain."""
    if open_tools is None:
        return text
    absent = {*BY_NAME} - open_tools
    return (without(absent, text) or text) if any(name in text for name in absent) else text


def _error(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)


class ConfirmationNeeded(Exception):
    """A question to the user, which ends the call: the client repeats the call with the answer."""

    def __init__(self, result: InputRequiredResult) -> None:
        super().__init__("a person is asked")
        self.result = result


async def _approve(context: Context[Any, Any], question: str, *, planned: bool) -> bool:
    result = await ask(context, question, planned=planned)
    if isinstance(result, InputRequiredResult):
        raise ConfirmationNeeded(result)
    return result
