"""Is everything in order? Settings, key, API, clock and chat clients, one line each; nothing is changed."""

import shlex
import tempfile
from datetime import datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import Any, TextIO

import anyio
import msgspec
from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters, stdio_client
from msgspec import Struct

from cekura_dashboards import ToolContext
from cekura_dashboards.api.errors import DashboardsError, KeyRejected, Unreachable, WrongNetworkSetting
from cekura_dashboards.api.models import as_object, is_list
from cekura_dashboards.concurrency import gather_all
from cekura_dashboards.text import quoted
from cekura_dashboards_mcp.cli.in_process import text_of
from cekura_dashboards_mcp.cli.install import (
    CLIENTS,
    ENTRY,
    KEY,
    PLACEHOLDER,
    ChatClient,
    Json,
    Machine,
    NotInstalled,
    is_open_to_others,
    read,
)
from cekura_dashboards_mcp.cli.probe import ProbeAnswer, probe
from cekura_dashboards_mcp.connection import Connection

START_S = 30
"""A start that takes longer is given up, as clients do."""
OURS = (ENTRY, "cekura_dashboards_mcp")


class Check(Struct, frozen=True):
    """``passed`` None: it could not be checked, or there is nothing to check; ``text`` says what to do then."""

    name: str
    passed: bool | None
    told: str


class _Entry(Struct, frozen=True):
    client: ChatClient
    name: str
    config: Json

    @property
    def label(self) -> str:
        return f'{self.client.title}, "{quoted(self.name, limit=60)}"'


async def check_entries(machine: Machine) -> list[Check]:
    """What holds of every client that is here; their entries are started together."""
    checks, entries = list[Check](), list[_Entry]()
    here = [client for client in CLIENTS.values() if is_here(client, machine)]
    for client in here:
        try:
            ours = _our_entries(client, machine)
        except NotInstalled as error:
            checks.append(Check(client.title, False, str(error)))
            continue
        entries += ours
        path = client.path(machine)
        if any(KEY in (as_object(entry.config.get("env")) or {}) for entry in ours) and is_open_to_others(path):
            text = f"others can read {path}, which holds a key; to mend it: chmod 600 {shlex.quote(str(path))}"
            checks.append(Check(client.title, None, text))
        if not ours:
            text = f"does not have this server yet; to add it: cekura-dashboards install {client.name}"
            checks.append(Check(client.title, None, text))
    if not here:
        titles = ", ".join(client.title for client in CLIENTS.values())
        text = f"none of {titles} is here; for others: cekura-dashboards install generic --print"
        return [Check("chat clients", None, text)]
    return [*checks, *await gather_all(_try_entry(entry) for entry in entries)]


def is_here(client: ChatClient, machine: Machine) -> bool:
    """Whether a client was ever started on this machine: its file is there, or the folder that only it makes."""
    path = client.path(machine)
    return path.exists() or (path.parent != machine.home and path.parent.is_dir())


def _our_entries(client: ChatClient, machine: Machine) -> list[_Entry]:
    """The entries that start this server, whatever their names."""
    entries = list[_Entry]()
    for name, config in read(client, client.path(machine)).servers.items():
        entry = as_object(config)
        arguments = entry.get("args") if entry else None
        words = [entry.get("command"), *(arguments if is_list(arguments) else [])] if entry else []
        if name.startswith(ENTRY) or any(ours in str(word) for word in words for ours in OURS):
            entries.append(_Entry(client, name, entry or {}))
    return entries


async def _try_entry(entry: _Entry) -> Check:
    again = f"write it anew: cekura-dashboards install {entry.client.name}"
    environment = as_object(entry.config.get("env")) or {}
    try:
        server = StdioServerParameters.model_validate(
            {name: entry.config[name] for name in ("command", "args", "env") if name in entry.config}
        )
    except ValueError:
        return Check(entry.label, False, f"is not of the form that clients start; {again}")
    if environment.get(KEY) == PLACEHOLDER:
        return Check(entry.label, False, f"its {KEY} is the example's; put yours there, or {again}")
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as stderr:
        try:
            with anyio.fail_after(START_S):
                return await _start_entry(entry, server, stderr)
        except OSError as error:
            command = quoted(server.command, limit=200)
            return Check(entry.label, False, f"{command} cannot be started ({error.strerror or error}); {again}")
        except (MCPError, ExceptionGroup):
            return Check(entry.label, False, f"does not answer: {_first_line(stderr)}; {again}")


async def _start_entry(entry: _Entry, server: StdioServerParameters, stderr: TextIO) -> Check:
    """Its tools, and what the API says to its key.

    Raises:
        OSError, MCPError, ExceptionGroup: if it does not start, or does not answer.
    """
    async with Client(stdio_client(server, errlog=stderr)) as client:
        tools = (await client.list_tools()).tools
        info = client.server_info
        version = f" {info.version}" if info and info.version else ""
        answer = await client.call_tool("list_dashboards", {})
    starts = f"starts{version}, {len(tools)} tools"
    if answer.is_error:
        return Check(entry.label, False, f"{starts}, but: {text_of(answer)}")
    return Check(entry.label, True, f"{starts}, and the API answers it")


def _first_line(stderr: TextIO) -> str:
    stderr.seek(0)
    lines = [line.strip() for line in stderr if line.strip()]
    return quoted(lines[0].removeprefix(f"{ENTRY}: ").rstrip("."), limit=300) if lines else "nothing was said"


SKEW_S = 60
"""A clock that is off by more is told; the API's relative times then mean other instants than ours."""


class Examination(Struct, frozen=True):
    """The checks, in the order in which they were made, and what the probe found out; None if it was not asked for."""

    checks: list[Check]
    findings: list[ProbeAnswer] | None

    @property
    def passed(self) -> bool:
        return all(check.passed is not False for check in self.checks)

    def lines(self) -> list[str]:
        """One for each check, then the report of the probe."""
        marks = {True: "ok  ", False: "FAIL", None: "?   "}
        lines = [f"{marks[check.passed]} {check.name}: {check.told}" for check in self.checks]
        return [*lines, "", *report(self.findings)] if self.findings is not None else lines

    def to_json(self) -> dict[str, Any]:
        """The same for machines; ``passed`` null where it could not be checked."""
        data = {"version": version("cekura-dashboards-mcp"), "passed": self.passed, **msgspec.to_builtins(self)}
        return {name: value for name, value in data.items() if value is not None}


async def examine(connection: Connection, machine: Machine | None, *, with_probe: bool) -> Examination:
    """Check everything. ``machine`` None: leave its chat clients out."""
    try:
        clients = await check_entries(machine) if machine else []
        checks = await check_connection(connection, has_client=any(check.passed for check in clients))
        passed = all(check.passed is not False for check in checks)
        findings = None
        if with_probe and passed and connection.settings.api_key is not None:
            findings = await probe((await connection.tool_context(None)).for_one_call())
        return Examination(checks + clients, findings)
    finally:
        await connection.aclose()


async def check_connection(connection: Connection, *, has_client: bool) -> list[Check]:
    """Settings, key, API and clock in turn; what depends on one that failed is not asked.

    ``has_client``: a chat client of this machine has a key that works, so that none is needed here.
    """
    settings = connection.settings
    settings_text = f"{settings.base_url}, time zone {settings.time_zone}, {settings.timeout_s:g} s a call"
    checks = [Check("settings", True, settings_text + (", read-only" if settings.read_only else ""))]
    if settings.api_key is None:
        if has_client:
            return [*checks, Check("key", None, "none in this shell; set CEKURA_API_KEY to check the API from here")]
        return [*checks, Check("key", False, "none; set CEKURA_API_KEY, or try --sandbox")]
    checks.append(Check("key", True, f"given, digest {connection.caller(None)}"))
    try:
        context = (await connection.tool_context(None)).for_one_call()
    except WrongNetworkSetting as error:
        return [*checks, Check("API", False, str(error))]
    return [*checks, *await _check_api(context)]


async def _check_api(context: ToolContext) -> list[Check]:
    try:
        answer = await context.api.ask("GET", "/user/v1/projects/")
        projects = await context.api.projects()
    except Unreachable as error:
        return [Check("API", False, str(error))]
    except KeyRejected as error:
        return [Check("API", True, "answers"), Check("key", False, str(error))]
    except DashboardsError as error:
        return [Check("API", False, str(error))]
    wanted = context.settings.project_id
    visible = Check("projects", bool(projects), f"{len(projects)} visible" if projects else "none visible to this key")
    if wanted is not None and wanted not in {project.id for project in projects}:
        visible = Check(
            "projects", False, f"CEKURA_PROJECT_ID is {wanted}, which this key cannot see; look_up projects"
        )
    return [
        Check("API", True, "answers"),
        Check("key", True, "accepted"),
        visible,
        check_clock(answer.date, context.now()),
    ]


def check_clock(date: str | None, now: datetime) -> Check:
    """How far this machine's clock is from the API's, by its ``Date`` header."""
    try:
        theirs = parsedate_to_datetime(date or "")
        ahead_s = (theirs - now).total_seconds()
    except (TypeError, ValueError):
        return Check("clock", None, "the API does not say its time")
    difference_text = f"the API is {abs(ahead_s):.0f} s {'ahead' if ahead_s > 0 else 'behind'}"
    return Check(
        "clock",
        abs(ahead_s) <= SKEW_S or None,
        difference_text + ("" if abs(ahead_s) <= SKEW_S else "; set this machine's clock"),
    )


MEANINGS = {
    ("override", "replace"): "an override stands in place of what is saved",
    ("override", "merge"): "an override is ANDed with what is saved",
    ("preview", "alone"): "a preview obeys its own filters only",
    ("preview", "merge"): "a preview also obeys the dashboard that it names",
}


def report(findings: list[ProbeAnswer]) -> list[str]:
    """Lines that can be pasted anywhere."""
    lines = [f"cekura-dashboards {version('cekura-dashboards-mcp')}: how this API reads what its documents leave open"]
    for finding in findings:
        meaning = MEANINGS.get((finding.question, finding.answer)) or finding.why
        lines.append(f"  {finding.question}: {finding.answer}" + (f" ({meaning})" if meaning else ""))
    return lines
