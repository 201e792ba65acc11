"""How every tool runs, from Python, the command line or MCP."""

from typing import Any, NamedTuple, Protocol, cast

from cekura_dashboards.api.errors import NOTHING_SENT, DashboardsError, InvalidArguments, PlanRefused
from cekura_dashboards.api.wire import count_usage
from cekura_dashboards.arguments.reader import read_arguments
from cekura_dashboards.arguments.references import LISTING_TOOL, with_metrics
from cekura_dashboards.charts.calls import with_known_keys
from cekura_dashboards.context import ToolContext
from cekura_dashboards.edits.plan import Plan, WritingTool
from cekura_dashboards.edits.receipt import Receipt
from cekura_dashboards.text import condense, json_text
from cekura_dashboards.tool import ReadingTool, Result, Tool
from cekura_dashboards.values import replace

NOT_ASKED = "the user was not asked: the client declares support for forms but did not show this one"


class Approve(Protocol):
    """Asks the user: True if they agree, False if they could not be asked. ``planned``: the call has a plan_id.

    Raises:
        DashboardsError: if they decline.
    """

    async def __call__(self, question: str, /, *, planned: bool) -> bool: ...


MAX_BYTES_WITH_DRAWING = 60_000
"""Bytes of text, structure and drawing together."""


class Answer(NamedTuple):
    """A tool's answer: text and structure with the same content, and a drawing for a chart view."""

    text: str
    structured: dict[str, Any]
    drawing: dict[str, Any] | None = None


async def call_tool(
    context: ToolContext, tool: Tool[Any, Any], arguments: dict[str, Any], *, approve: Approve | None = None
) -> Answer:
    """Run one tool.

    ``approve`` None: nobody can be asked, so that edits that need consent require a plan_id.

    Raises:
        DashboardsError: with what happened and the next step.
    """
    with count_usage():
        context = context.for_one_call()
        try:
            request, notes = await read_arguments(context, tool.request, arguments)
        except InvalidArguments as error:
            raise _led(context, tool, await _with_names(context, error, arguments)) from None
        try:
            if isinstance(tool, WritingTool):
                result: Result = await _run_write(context, tool, request, approve)
            else:
                await _check_project(context, request)
                result = await cast("ReadingTool[Any, Any]", tool).run(context, request)  # there is no third kind
        except InvalidArguments as error:
            raise _led(context, tool, await _with_names(context, error, arguments)) from None
        except BaseException as error:  # also cancellation and bugs: something may have been written
            if isinstance(tool, WritingTool):
                context.audit(tool.name, arguments, type(error).__name__, {})
            raise
        answer = _to_answer(tool, result, [*notes, *context.lookups.zone_notes])
        if isinstance(tool, WritingTool):
            context.audit(tool.name, arguments, str(answer.structured["outcome"]), answer.structured)
        return answer


async def _with_names(context: ToolContext, error: InvalidArguments, raw: dict[str, Any]) -> InvalidArguments:
    """The error, with suggestions of metrics or metadata keys for unknown fields."""
    return await with_known_keys(context, await with_metrics(context, error, raw), raw)


def _led(context: ToolContext, tool: Tool[Any, Any], error: InvalidArguments) -> InvalidArguments:
    """The error, with a lead that is also true after reads."""
    if error.lead != NOTHING_SENT or not context.lookups.used:
        return error
    return error.with_lead("Nothing was changed." if isinstance(tool, WritingTool) else "No result.")


async def _run_write(context: ToolContext, tool: WritingTool[Any], request: Any, approve: Approve | None) -> Receipt:
    """Plan, ask the user if required and possible, then carry it out."""
    plan: Plan[Any] = await tool.plan(context, request)
    if approve is not None and plan.needs_person(context.settings.confirm):
        agreed = await approve(plan.question(context), planned=plan.origin is not None)
        context = context.for_one_call()
        plan = await _plan_again(context, tool, request, plan)
        plan = replace(plan, approved=True) if agreed else replace(plan, notes=[*plan.notes, NOT_ASKED])
    return await tool.carry_out(context, plan)


async def _plan_again(
    context: ToolContext, tool: WritingTool[Any], request: Any, approved_plan: Plan[Any]
) -> Plan[Any]:
    """The same plan for the current state, after the user's answer.

    Raises:
        PlanRefused: if it has changed.
    """
    now: Plan[Any] = await tool.plan(context, request)
    if now.fingerprint(context) != approved_plan.fingerprint(context):
        raise PlanRefused(
            "Nothing was changed: someone else edited the same things while the user was asked. "
            "Check with get_dashboard, then call again."
        )
    return now


def _to_answer(tool: Tool[Any, Any], result: Result, notes: list[str]) -> Answer:
    """A result as text and structure, with notes on how the arguments were read."""
    all_notes = condense([*(result.notes or []), *notes])
    result = result.model_copy(update={"notes": all_notes or None})
    text = "\n".join([tool.render(result), *(f"note: {note}" for note in all_notes)])
    structured = result.to_json()
    if result.drawing is None:
        return Answer(text, structured)
    room = MAX_BYTES_WITH_DRAWING - len(text.encode()) - len(json_text(structured).encode())
    return Answer(text, structured, {"tool": tool.name, **result.drawing.to_json(room, structured)})


async def _check_project(context: ToolContext, request: Any) -> None:
    """Check that a given project belongs to the key, because the API treats others as empty.

    Raises:
        InvalidArguments: for another project. Any is accepted if the projects cannot be read.
    """
    project: int | None = getattr(request, "project_id", None)
    if project is None:
        return
    try:
        projects = await context.lookups.projects()
    except DashboardsError:
        return
    if projects and project not in {row.id for row in projects}:
        text = f"no project {project} for this key; {LISTING_TOOL['project']}."
        raise InvalidArguments.at("project_id", text, lead="Not found.")
