"""Do the chat clients of this machine start this server? Each entry is started as its client would start it."""

import shlex
import tempfile
from typing import TextIO

import anyio
from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters, stdio_client
from msgspec import Struct

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
