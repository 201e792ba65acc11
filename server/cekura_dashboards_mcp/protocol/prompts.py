"""Prompts and resources: what people pick by name.

Each prompt says which tools answer a question that people come back to, and how to say what they found. It asks the
API for nothing: names are looked up by the tools that it names, and completed as they are typed. The resources are the
guide, and each dashboard as it is set up.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from mcp import MCPError
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.types import INVALID_PARAMS, CompleteRequestParams, Completion, ResourceTemplateReference
from pydantic import Field

from cekura_dashboards import TOOLS, DashboardsError, Tool, ToolContext, call_tool
from cekura_dashboards.arguments.references import EntityKind, id_of, name_or_id, names_of, number_or_name
from cekura_dashboards.arguments.times import WORDS
from cekura_dashboards.charts.target import COMPARISONS
from cekura_dashboards.reports.guide import guide
from cekura_dashboards.text import UntrustedText, did_you_mean, inert, json_text
from cekura_dashboards_mcp.connection import Connection
from cekura_dashboards_mcp.protocol.sdk import Prompt

DashboardName = Annotated[str, Field(description="name or id of a dashboard; default: all")]
WindowText = Annotated[str, Field(description="7d, last_week, yesterday, 2026-11-01/2026-11-08 …")]
HONEST = (
    "Say each number with its unit, its n and its window, and the tools' own words for how sure it is: clear or "
    "possible. A group that coincides with a change is not its cause: say where, not why. If something could not be "
    "read or tested, say so."
)


def weekly_review(dashboard: DashboardName = "", window: WindowText = "7d") -> str:
    """What changed in a week, where, and which calls show it."""
    arguments = {**_dashboards(dashboard), "window": window}
    return _steps(
        f"Review the calls of {_on(dashboard)}, window {window}.",
        f"Call find_changes {_json(arguments)}.",
        "For the changes called clear, three at most, make the call that each one names to go on.",
        "Tell me in at most twelve lines: first what changed most, from what to what and since when; then where; then "
        "two or three calls worth listening to, with their links. What is only possible comes last, as such. If "
        "nothing changed, one line says so, and how many charts were looked at.",
    )


def why_did_it_move(
    widget: Annotated[str, Field(description="name or id of a bar or line chart")],
    window: WindowText = "7d",
    compare_to: Annotated[str, Field(description="previous_period, previous_week or a window")] = "previous_period",
    dashboard: Annotated[str, Field(description="the dashboard that it is on, to find its name there")] = "",
) -> str:
    """Where a change of one chart happened: by agent, topic and metadata, with the calls behind it."""
    arguments = {"widget_id": number_or_name(widget), "window": window, "compare_to": compare_to}
    where = f" (on dashboard {dashboard}: get_dashboard lists its widgets, if the name alone leaves doubt)"
    return _steps(
        f"Why did {widget} move, window {window} against {compare_to}?" + (where if dashboard.strip() else ""),
        f"Call explain_change {_json(arguments)}.",
        "If one group drives the change, call list_calls with the same chart, window and that group, and look at up to "
        "five calls; with transcripts if their reasons do not say enough.",
        "Tell me whether it moved at all and how sure that is; which group or label moved unlike the others, and what "
        "its calls have in common; and what I could check next. If no group stands out, say that it moved everywhere.",
    )


def build_dashboard(
    about: Annotated[str, Field(description="what it is to show, in your words")],
    agent: Annotated[str, Field(description="name or id of an agent; default: all")] = "",
    metric: Annotated[str, Field(description="name or id of a metric to have on it")] = "",
    name: Annotated[str, Field(description="its name")] = "",
) -> str:
    """A new dashboard, each chart tried on real calls before it is created."""
    wishes = [f"for agent {agent}" * bool(agent.strip()), f"with metric {metric}" * bool(metric.strip())]
    title = f" Call it {name}." if name.strip() else " Find a short name for it."
    return _steps(
        f"Build a dashboard: {about}{''.join(f', {wish}' for wish in wishes if wish)}.{title}",
        "See with list_dashboards whether there is one already, and say so if there is. Find ids and what occurs with "
        "look_up (fields, metrics, topics, metadata_keys), before you guess any.",
        "Choose at most eight charts: what is asked for first, then its outcome over time, then by group. Try each "
        "with preview_widget; leave out what has no calls.",
        "Show me the list (name, chart, of which calls, what it shows today) and wait for my yes.",
        "Then call create_dashboard once, with all widgets and a date range, and check_dashboard on what it made. Give "
        "me its id and the undo.",
    )


def monday_report(
    dashboard: DashboardName = "",
    audience: Annotated[str, Field(description="who reads it, e.g. the support team")] = "",
) -> str:
    """Last week against the week before, as a report to paste."""
    times = {"window": "last_week", "compare_to": "previous_week"}
    data_step = f"Call get_widgets_data {_json({'dashboard_id': number_or_name(dashboard), **times})}."
    choose = (
        "Of list_dashboards, take the one that is most about outcomes, and call get_widgets_data for the same weeks."
    )
    return _steps(
        f"Write the report on last week for {audience.strip() or 'the team'}, from {_on(dashboard)}.",
        f"Call find_changes {_json({**_dashboards(dashboard), **times})}.",
        data_step if dashboard.strip() else choose,
        "For the change that matters most, make the call that it names to go on.",
        "Write, ready to paste: one sentence that sums it up; a table (chart, last week, week before, change, how "
        "sure); what changed and where, in at most five points; two calls worth listening to, with links; what could "
        "not be told. No jargon: n is calls.",
    )


ALL: tuple[tuple[Callable[..., str], str], ...] = (
    (weekly_review, "Weekly review"),
    (why_did_it_move, "Why did it move?"),
    (build_dashboard, "Build a dashboard"),
    (monday_report, "Monday report"),
)
WRITING = {build_dashboard.__name__}


class CheckedPrompt(Prompt):
    """A prompt that words its own errors."""

    async def render(self, arguments: dict[str, Any] | None, context: Context[Any, Any]) -> Any:
        """Refuse what is missing or unknown.

        Raises:
            MCPError: saying which.
        """
        declared = {argument.name: argument for argument in self.arguments or []}
        arguments_sent = {name: value for name, value in (arguments or {}).items() if value is not None}
        for name in arguments_sent:
            if name not in declared:
                raise MCPError(INVALID_PARAMS, f"{self.name}: {UntrustedText(name)}; {did_you_mean(name, [*declared])}")
        for argument in declared.values():
            if argument.required and not str(arguments_sent.get(argument.name, "")).strip():
                raise MCPError(INVALID_PARAMS, f"{self.name}: {argument.name} is missing: {argument.description}.")
        return await super().render(arguments_sent, context)


def prompts(offered: Sequence[Tool[Any, Any]]) -> list[Prompt]:
    """The prompts, without one that writes where no tool does."""
    writes = any(tool.writes for tool in offered)
    return [
        CheckedPrompt.from_function(ask, title=title, description=ask.__doc__)
        for ask, title in ALL
        if writes or ask.__name__ not in WRITING
    ]


def _on(dashboard: str) -> str:
    return f"dashboard {dashboard}" if dashboard.strip() else "all dashboards"


def _dashboards(dashboard: str) -> dict[str, Any]:
    return {"dashboard_ids": [number_or_name(dashboard)]} if dashboard.strip() else {}


def _json(arguments: dict[str, Any]) -> str:
    return json_text(arguments)


def _steps(question: str, *steps: str) -> str:
    return inert("\n".join([question, "", *(f"{number}. {step}" for number, step in enumerate(steps, 1)), "", HONEST]))


MAX_VALUES = 100
"""Of values in one answer, by the protocol."""
NAMED: dict[str, EntityKind] = {"dashboard": "dashboard", "widget": "widget", "agent": "agent", "metric": "metric"}
LISTED_BY = {"dashboard": "list_dashboards", "widget": "get_dashboard", "agent": "look_up", "metric": "look_up"}
"""The tool that lists such names: a key that may not use it gets no completions of them."""
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


GUIDE = "cekura://guide"
DASHBOARD = "cekura://dashboards/{id}"
_SETUP = next(tool for tool in TOOLS if tool.name == "get_dashboard")


def add_resources(server: MCPServer[Connection]) -> None:
    """Offer them."""
    server.resource(
        GUIDE,
        name="guide",
        title="Fields, filters, times and limits",
        description="What can be charted, how filters and windows are written, with examples, and what the API lacks.",
        mime_type="text/markdown",
    )(guide)
    server.resource(
        DASHBOARD,
        name="dashboard",
        title="A dashboard's setup",
        description="Filters and widgets of one dashboard, by id or exact name; no chart data.",
        mime_type="text/plain",
    )(_dashboard)


async def _dashboard(id: str, context: Context[Connection, object]) -> str:  # noqa: A002 - the name in the address
    """What get_dashboard says.

    Raises:
        MCPError: with the tool's own words.
    """
    connection = context.request_context.lifespan_context
    try:
        connection.refuse_unless_open(context.headers, _SETUP.name)
        tools = await connection.tool_context(context.headers)
        answer = await call_tool(tools, _SETUP, {"dashboard_id": number_or_name(id)})
    except DashboardsError as error:
        raise MCPError(INVALID_PARAMS, str(error)) from None
    return answer.text
