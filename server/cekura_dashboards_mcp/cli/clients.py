"""The chat clients of this machine: where each keeps its configuration, in what form, and our entry in it.

Sources: the clients' own documents on MCP servers; for what a variable moves, Claude Code 2.1 and VS Code's
``userDataPath.ts``.
"""

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

KEY = "CEKURA_API_KEY"
ENTRY = "cekura-dashboards"
SANDBOX_ENTRY = "cekura-dashboards-sandbox"
Json = dict[str, Any]


class Machine(Struct, frozen=True):
    """Where a person's files are. ``platform`` as in ``sys.platform``."""

    home: Path
    platform: str
    environment: Mapping[str, str]

    @classmethod
    def this(cls) -> "Machine":
        return cls(Path.home(), sys.platform, os.environ)

    @property
    def applications(self) -> Path:
        """The folder under which desktop programs keep their settings."""
        if self.platform == "win32":
            return Path(self.environment.get("APPDATA") or self.home / "AppData" / "Roaming")
        if self.platform == "darwin":
            return self.home / "Library" / "Application Support"
        return Path(self.environment.get("XDG_CONFIG_HOME") or self.home / ".config")


class ChatClient(Struct, frozen=True):
    """``servers``: the key of its file under which servers stand by name. ``extra``: what it wants in every entry.

    ``reload``: what to do so that it reads the file again. ``comments``: it reads comments and trailing commas in it.
    """

    name: str
    title: str
    path: Callable[[Machine], Path]
    reload: str
    servers: str = "mcpServers"
    comments: bool = False
    extra: tuple[tuple[str, str], ...] = ()


def _claude_code(machine: Machine) -> Path:
    """An older name of the file goes on being used where it is there."""
    moved = machine.environment.get("CLAUDE_CONFIG_DIR")
    older = (Path(moved) if moved else machine.home / ".claude") / ".config.json"
    return older if older.exists() else (Path(moved) if moved else machine.home) / ".claude.json"


def _vscode(machine: Machine) -> Path:
    """``VSCODE_PORTABLE`` is set in the terminal of a VS Code that keeps everything in its own folder."""
    if portable := machine.environment.get("VSCODE_PORTABLE"):
        return Path(portable) / "user-data" / "User" / "mcp.json"
    applications = machine.environment.get("VSCODE_APPDATA") or machine.applications
    return Path(applications) / "Code" / "User" / "mcp.json"


CLIENTS = {
    client.name: client
    for client in (
        ChatClient(
            "claude-desktop",
            "Claude Desktop",
            lambda machine: machine.applications / "Claude" / "claude_desktop_config.json",
            "Quit Claude Desktop and start it again.",
        ),
        ChatClient(
            "claude-code",
            "Claude Code",
            _claude_code,
            "Start a new session of Claude Code; /mcp shows its servers.",
            extra=(("type", "stdio"),),
        ),
        ChatClient(
            "cursor",
            "Cursor",
            lambda machine: machine.home / ".cursor" / "mcp.json",
            "Cursor reads it at once; its settings for MCP show it.",
        ),
        ChatClient(
            "vscode",
            "VS Code",
            _vscode,
            "Run “MCP: List Servers” in VS Code and start it.",
            servers="servers",
            comments=True,
            extra=(("type", "stdio"),),
        ),
    )
}


def command() -> list[str]:
    """How this program is started, by its full path: clients do not have a shell's PATH."""
    program = shutil.which(ENTRY, path=str(Path(sys.executable).parent))
    return [program] if program else [sys.executable, "-m", "cekura_dashboards_mcp"]


def entry_of(client: ChatClient | None, environment: Mapping[str, str], *, sandbox: bool) -> Json:
    """Our entry as a client has it; None: as most others do."""
    program, *more = command()
    entry: Json = dict(client.extra) if client else {}
    entry |= {"command": program, "args": [*more, "serve", *(["--sandbox"] if sandbox else [])]}
    return entry | ({"env": dict(environment)} if environment else {})
