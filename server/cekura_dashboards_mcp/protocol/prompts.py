"""Prompts and resources, which people choose by name.

A prompt is the text of a skill with the user's values in its calls. It makes no request: names are looked up
by the tools that it calls, and completed while they are typed. The resources are the guide, and each dashboard's setup.
"""

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mcp import MCPError
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.types import INVALID_PARAMS, CompleteRequestParams, Completion, ResourceTemplateReference

from cekura_dashboards import TOOLS, DashboardsError, ToolContext, call_tool
from cekura_dashboards.arguments.references import id_of, name_or_id, names_of, number_or_name
from cekura_dashboards.arguments.times import WORDS
from cekura_dashboards.charts.target import COMPARISONS
from cekura_dashboards.reports.guide import guide
from cekura_dashboards.text import UntrustedText, did_you_mean, inert, json_text
from cekura_dashboards.tool import EntityKind
from cekura_dashboards_mcp.connection import Connection
from cekura_dashboards_mcp.protocol.sdk import Prompt, PromptArgument
from cekura_dashboards_mcp.protocol.skills import Skill, skill, skills
from cekura_dashboards_mcp.protocol.tools import is_core_client

ARGUMENTS = {
    "dashboard": "name or id of a dashboard; default: all",
    "widget": "name or id of a bar or line chart",
    "window": "7d, last_week, yesterday, 2026-11-01/2026-11-08 …",
    "compare_to": "previous_period, previous_week or a window",
    "about": "what it should show, in your words",
    "agent": "name or id of an agent; default: all",
    "metric": "name or id of a metric to include",
    "name": "its name",
    "audience": "who reads it, e.g. the support team",
}
CALL = re.compile(r"`\w+ \{.*\}`")
"""A call of a tool in the text of a skill."""
VALUE = re.compile(r'"(?P<key>\w+)": (?P<open>\[?)"(?:<(?P<name>\w+)>|[^"]*)"(?P<close>(?:\](?:, )?)?)')
"""An argument with a text, or a list of one text, as its value."""


@dataclass(frozen=True)
class SkillPrompt:
    """The prompt of a skill."""

    skill: str
    arguments: Sequence[str] = ()
    required: frozenset[str] = frozenset()
    fixed: Mapping[str, str] = field(default_factory=dict[str, str])
    """Fixed values of a prompt that is a special case of its skill."""
    title: str = ""
    description: str = ""


PROMPTS = {
    "morning_check": SkillPrompt("cekura-morning-check", ["dashboard"]),
    "weekly_review": SkillPrompt("cekura-weekly-review", ["dashboard", "window", "compare_to"]),
    "why_did_it_move": SkillPrompt(
        "cekura-why-did-it-move", ["widget", "window", "compare_to", "dashboard"], required=frozenset({"widget"})
    ),
    "build_dashboard": SkillPrompt(
        "cekura-build-dashboard", ["about", "agent", "metric", "name"], required=frozenset({"about"})
    ),
    "monday_report": SkillPrompt(
        "cekura-weekly-review",
        ["dashboard", "audience"],
        fixed={"window": "last_week", "compare_to": "previous_week", "form": "report to paste"},
        title="Monday report",
        description="Last week against the week before, as a report to paste.",
    ),
    "dashboards_as_code": SkillPrompt("cekura-dashboards-as-code", ["dashboard"]),
}


class CheckedPrompt(Prompt):
    """A prompt with its own error texts."""

    async def render(self, arguments: dict[str, Any] | None, context: Context[Any, Any]) -> Any:
        """Refuse missing and unknown arguments.

        Raises:
            MCPError: naming them.
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


def prompts(offered: Container[str]) -> list[Prompt]:
    """The prompts whose skills are served."""
    served = {source.name for source in skills(offered)}
    return [_prompt(name, prompt) for name, prompt in PROMPTS.items() if prompt.skill in served]


def _prompt(name: str, prompt: SkillPrompt) -> Prompt:
    source = skill(prompt.skill)
    summary, *_ = source.frontmatter["description"].split(". ")

    def ask(**values: str) -> str:
        return text_of(source, {**dict.fromkeys(prompt.arguments, ""), **prompt.fixed, **values})

    return CheckedPrompt(
        name=name,
        title=prompt.title or source.title,
        description=prompt.description or f"{summary}.",
        arguments=[
            PromptArgument(name=argument, description=ARGUMENTS[argument], required=argument in prompt.required)
            for argument in prompt.arguments
        ],
        fn=ask,
        context_kwarg=None,
    )


def text_of(source: Skill, values: Mapping[str, str]) -> str:
    """A skill with these values in its calls and listed above."""
    chosen = [f"- {name}: {inert(value)}" for name, value in values.items() if value.strip()]
    body = CALL.sub(lambda call: VALUE.sub(lambda value: _filled(value, values), call[0]), source.body)
    return "\n\n".join([f"# {source.title}", *(["\n".join(chosen)] if chosen else []), body])


def _filled(argument: re.Match[str], values: Mapping[str, str]) -> str:
    """An argument of a call with its value; a list of names without a value is dropped."""
    key, is_list = argument["key"], bool(argument["open"])
    name = argument["name"] or (key if key in FIXED else "")
    if name not in values:
        return argument[0]
    if not values[name].strip():
        return "" if is_list else argument[0]
    value = json_text(values[name] if key in FIXED else number_or_name(values[name]))
    return f'"{key}": {argument["open"]}{value}{argument["close"]}'


MAX_VALUES = 100
"""The protocol's maximum of values in one answer."""
NAMED: dict[str, EntityKind] = {"dashboard": "dashboard", "widget": "widget", "agent": "agent", "metric": "metric"}
LISTED_BY = {"dashboard": "list_dashboards", "widget": "get_dashboard", "agent": "look_up", "metric": "look_up"}
"""The tool that lists such names; a key that may not use it gets no completions of them."""
FIXED = {"window": WORDS, "compare_to": COMPARISONS}


async def complete(context: Context[Connection, object], params: CompleteRequestParams) -> Completion:
    """The values that complete what is typed so far; none if the API cannot be reached."""
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
        connection.refuse_unless_open(context.headers, LISTED_BY[kind], core_client=is_core_client(context.session))
        tools = await connection.tool_context(context.headers)
        names = await _names(tools.for_one_call(), kind, arguments)
    except DashboardsError:
        return _shown([])  # suggestions cannot show an error; the tool call will
    matching = {number: text for number, text in names.items() if _matches(typed, number, text)}
    if is_address:
        return _shown([str(number) for number in matching])
    return _shown([str(name_or_id(number, names)) for number in matching])


async def _names(tools: ToolContext, kind: EntityKind, arguments: Mapping[str, str]) -> dict[int, str]:
    """Names by id; for widgets, those on the dashboard that was entered before, if any."""
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


def add_resources(server: MCPServer[Connection], offered: Container[str]) -> None:
    """Add the resources. ``offered``: the names of the tools; the guide describes no others."""
    absent = {tool.name for tool in TOOLS if tool.name not in offered}

    def read_guide() -> str:
        return guide(absent)

    server.resource(
        GUIDE,
        name="guide",
        title="Fields, filters, times and limits",
        description="What can be charted, how filters and windows are written, with examples, and what the API lacks.",
        mime_type="text/markdown",
    )(read_guide)
    server.resource(
        DASHBOARD,
        name="dashboard",
        title="A dashboard's setup",
        description="Filters and widgets of one dashboard, by id or exact name; no chart data.",
        mime_type="text/plain",
    )(_dashboard)


async def _dashboard(id: str, context: Context[Connection, object]) -> str:  # noqa: A002 - the parameter of the address
    """The answer of get_dashboard.

    Raises:
        MCPError: with the tool's error text.
    """
    connection = context.request_context.lifespan_context
    try:
        connection.refuse_unless_open(context.headers, _SETUP.name, core_client=is_core_client(context.session))
        tools = await connection.tool_context(context.headers)
        answer = await call_tool(tools, _SETUP, {"dashboard_id": number_or_name(id)})
    except DashboardsError as error:
        raise MCPError(INVALID_PARAMS, str(error)) from None
    return answer.text
