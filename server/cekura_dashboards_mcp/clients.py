"""The chat clients of this machine: where each keeps its configuration, in what form, and our entry in it.

Sources: the clients' own documents on MCP servers. Only our entry is ever touched, and the file as it was is kept.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from msgspec import Struct

from cekura_dashboards.api.models import as_object

ENTRY = "cekura-dashboards"
SANDBOX_ENTRY = "cekura-dashboards-sandbox"
PRIVATE = 0o600
"""The file holds a key."""
Json = dict[str, Any]


class NotInstalled(Exception):
    """A client's file cannot be read or written as it is; the text says where and what to do. Nothing was changed."""


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

    ``reload``: what to do so that it reads the file again.
    """

    name: str
    title: str
    path: Callable[[Machine], Path]
    reload: str
    servers: str = "mcpServers"
    extra: tuple[tuple[str, str], ...] = ()


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
            lambda machine: machine.home / ".claude.json",
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
            lambda machine: machine.applications / "Code" / "User" / "mcp.json",
            "Run “MCP: List Servers” in VS Code and start it.",
            servers="servers",
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
    found: Json = dict(client.extra) if client else {}
    found |= {"command": program, "args": [*more, "serve", *(["--sandbox"] if sandbox else [])]}
    return found | ({"env": dict(environment)} if environment else {})


def read(path: Path) -> Json:
    """A client's file; nothing is one without servers.

    Raises:
        NotInstalled: if it is no JSON object.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise NotInstalled(f"{path} cannot be read ({error}). Nothing was changed.") from None
    if not text.strip():
        return {}
    try:
        found = as_object(json.loads(text))
    except json.JSONDecodeError as error:
        raise NotInstalled(
            f"{path} is not JSON: {error.msg} in line {error.lineno}, column {error.colno}. Nothing was changed. Mend "
            "it, or add by hand what --print shows (comments are not JSON)."
        ) from None
    if found is None:
        raise NotInstalled(f"{path} holds no JSON object. Nothing was changed; --print shows what to add by hand.")
    return found


def servers_in(client: ChatClient, path: Path, config: Json) -> Json:
    """The servers of a client's file, by name.

    Raises:
        NotInstalled: if they stand in another form.
    """
    found = as_object(config.get(client.servers, {}))
    if found is None:
        raise NotInstalled(
            f'In {path}, "{client.servers}" is no JSON object. Nothing was changed; --print shows what to add by hand.'
        )
    return found


def put(client: ChatClient, path: Path, name: str, entry: Json | None) -> Path | None:
    """Write our entry, or take it out if None; the path of the file as it was before.

    None: there was no file before, or nothing to change.

    Raises:
        NotInstalled: with nothing changed.
    """
    config = read(path)
    servers = servers_in(client, path, config)
    if servers.get(name) == entry:
        return None
    kept = {other: value for other, value in servers.items() if other != name}
    changed = {**config, client.servers: kept if entry is None else {**servers, name: entry}}
    try:
        return _replaced(path, json.dumps(changed, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise NotInstalled(f"{path} cannot be written: {error.strerror or error}. Nothing was changed.") from None


def _replaced(path: Path, text: str) -> Path | None:
    """Write a file in one step, so that it is never there in part; what it was before is kept beside it."""
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    backup = path.with_name(path.name + ".backup") if path.exists() else None
    if backup is not None:
        shutil.copy2(path, backup)
    with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
        written = Path(file.name)
        try:
            file.write(text)
            file.close()  # Windows replaces no file that is open
            written.chmod(path.stat().st_mode & 0o777 if backup is not None else PRIVATE)
            written.replace(path)
        finally:
            written.unlink(missing_ok=True)  # it is there only if something failed
    return backup
