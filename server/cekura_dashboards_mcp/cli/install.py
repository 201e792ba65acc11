"""``cekura-dashboards install``: our entry in a chat client's configuration, put there, shown or taken out.

Nothing else in the client's file is touched. Sources: the clients' own documents on MCP servers; for what a variable
moves, Claude Code 2.1 and VS Code's ``userDataPath.ts``.
"""

import codecs
import json
import os
import re
import shutil
import stat
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import click
from msgspec import Struct
from pydantic import SecretStr

from cekura_dashboards import Settings
from cekura_dashboards.settings import SettingsError, load_settings, usable_key, variables
from cekura_dashboards.text import NotJson
from cekura_dashboards_mcp.cli.jsonc import Jsonc

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


PRIVATE, OTHERS = 0o600, 0o077
"""The mode of a file that holds a key, and what of a mode lets others than the owner do something with it."""
MARK = "\ufeff"
UNCHANGED = "Nothing was changed."
MEND = "Mend it, or add by hand what --print shows."


class NotInstalled(Exception):
    """A client's file cannot be read or written as it is; the text says where and what to do. Nothing was changed."""


class ClientFile(Struct, frozen=True):
    """What a client's file holds; ``mark``: the byte order mark before it, if any."""

    client: ChatClient
    path: Path
    content: Jsonc
    mark: str = ""

    @classmethod
    def of(cls, client: ChatClient, path: Path, content: bytes) -> "ClientFile":
        """The file with that content.

        Raises:
            NotInstalled: if it is not of the form that the client reads.
        """
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise NotInstalled(f"{path} cannot be read: it is UTF-16. Save it as UTF-8. {UNCHANGED}")
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            raise NotInstalled(f"{path} cannot be read: it is not UTF-8. Save it as UTF-8. {UNCHANGED}") from None
        mark = text[:1] if text.startswith(MARK) else ""
        try:
            return cls(client, path, Jsonc(text.removeprefix(MARK), comments=client.comments), mark)
        except NotJson as error:
            hint = f" ({client.title} reads no comments or trailing commas)" if _has_comments(text) else ""
            raise NotInstalled(f"{path} {error}{hint}. {UNCHANGED} {MEND}") from None

    @property
    def servers(self) -> Json:
        """By name.

        Raises:
            NotInstalled: if they stand in another form, or twice.
        """
        with self._named():
            return self.content.inner(self.client.servers)

    def entry(self, name: str) -> Any:
        """The server of that name; None if there is none.

        Raises:
            NotInstalled: as of ``servers``.
        """
        with self._named():
            return self.content.member(self.client.servers, name)

    def changed(self, name: str, entry: Json | None) -> bytes:
        """The file with that entry, or without it if None; all else is as it was.

        Raises:
            NotInstalled: as of ``servers``.
        """
        with self._named():
            if entry is None:
                text = self.content.without_member(self.client.servers, name)
            else:
                text = self.content.with_member(self.client.servers, name, entry)
        return (self.mark + text).encode()

    @contextmanager
    def _named(self) -> Generator[None]:
        try:
            yield
        except NotJson as error:
            raise NotInstalled(f"{self.path} {error}. {UNCHANGED} {MEND}") from None


def _has_comments(text: str) -> bool:
    """Whether a text that is no JSON is JSON with comments."""
    try:
        Jsonc(text, comments=True)
    except NotJson:
        return False
    return True


def read(client: ChatClient, path: Path) -> ClientFile:
    """A client's file; one that is not there holds nothing.

    Raises:
        NotInstalled: if it cannot be read, or is not of the form that the client reads.
    """
    return ClientFile.of(client, path, _bytes(path) or b"")


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NotInstalled(f"{path} cannot be read: {error.strerror or error}. {UNCHANGED}") from None


class Written(Struct, frozen=True):
    """``backup``: the file as it was before; None: there was none, or it is again as it was before it got our entry."""

    backup: Path | None


def put(client: ChatClient, path: Path, name: str, entry: Json | None) -> Written | None:
    """Write our entry, or take it out if None. None: there was nothing to change.

    A file that holds a key is the owner's alone to read, and so is every backup.

    Raises:
        NotInstalled: with nothing changed.
    """
    before = _bytes(path)
    path = path.resolve()
    file = ClientFile.of(client, path, before or b"")
    try:
        for backup in _backups(path):
            _make_private(backup)
        if (present := file.entry(name)) == entry:
            if before is not None and KEY.encode() in before:
                _make_private(path)
            return None
        if entry is None and before is not None and (original := _original(file, name, present, before)) is not None:
            _replace(path, original)
            return Written(None)
        after = file.changed(name, entry)
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = None if before is None else _kept(path, before)
        _replace(path, after)
    except OSError as error:
        raise NotInstalled(f"{path} cannot be written: {error.strerror or error}. {UNCHANGED}") from None
    return Written(kept)


def _original(file: ClientFile, name: str, entry: Json, content: bytes) -> bytes | None:
    """The file before it got our entry, byte for byte, if a backup is that and nothing else was changed since."""
    for backup in _backups(file.path):
        before = backup.read_bytes()
        try:
            earlier = ClientFile.of(file.client, backup, before)
            if earlier.entry(name) is None and earlier.changed(name, entry) == content:
                return before
        except NotInstalled:  # a file of somebody else's by that name
            continue
    return None


def _backups(path: Path) -> list[Path]:
    """Those that are there. A link is none: what it leads to is not ours."""
    name = re.compile(re.escape(path.name) + r"\.backup(-\d+)?")
    backups = [file for file in path.parent.glob("*.backup*") if name.fullmatch(file.name)]
    return [backup for backup in backups if stat.S_ISREG(backup.lstat().st_mode)]


def _kept(path: Path, content: bytes) -> Path:
    """A backup with that content: one that is there, or a new one under a name that nothing has, not even a link."""
    for backup in _backups(path):
        if backup.read_bytes() == content:
            return backup
    names = (path.with_name(f"{path.name}.backup{f'-{number}' if number > 1 else ''}") for number in count(1))
    new = next(backup for backup in names if not os.path.lexists(backup))
    try:
        with open(new, "xb", opener=partial(os.open, mode=PRIVATE)) as file:
            file.write(content)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    return new


def is_open_to_others(path: Path) -> bool:
    """Whether others than the owner may do anything with a file, where the system has such rights."""
    return os.name == "posix" and bool(path.stat().st_mode & OTHERS)


def _make_private(path: Path) -> None:
    if is_open_to_others(path):
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~OTHERS)


def _replace(path: Path, content: bytes) -> None:
    """Write a file in one step, so that it is never there in part."""
    with NamedTemporaryFile(dir=path.parent, delete=False) as file:
        written = Path(file.name)
        try:
            file.write(content)
            file.close()  # Windows replaces no file that is open
            if path.exists():
                shutil.copymode(path, written)
                if os.name == "posix" and os.geteuid() == 0:
                    os.chown(written, path.stat().st_uid, path.stat().st_gid)
            if KEY.encode() in content:
                _make_private(written)
            written.replace(path)
        finally:
            written.unlink(missing_ok=True)  # it is there only if something failed


def placeholder(name: str) -> str:
    """What stands for the secret of that variable where one is shown."""
    return f"your-{name.lower().replace('_', '-')}"


PLACEHOLDER = placeholder(KEY)


def install(name: str, machine: Machine, *, sandbox: bool, show: bool, uninstall: bool) -> None:
    """Do it, and say what was done.

    Raises:
        NotInstalled: with nothing changed.
    """
    client, entry = CLIENTS.get(name), SANDBOX_ENTRY if sandbox else ENTRY
    if show or client is None:
        servers = client.servers if client else "mcpServers"
        shown = entry_of(client, _without_secrets(sandbox=sandbox), sandbox=sandbox)
        if client is not None:
            click.echo(f"In {client.path(machine)}:", err=True)
        click.echo(json.dumps({servers: {entry: shown}}, indent=2))
        return
    path = client.path(machine)
    if uninstall:
        written = put(client, path, entry, None)
        if written is None:
            click.echo(f"{path} has no entry {entry}.")
        elif written.backup is None:
            click.echo(f"Taken out of {path}; it is again as it was before.")
        else:
            click.echo(f"Taken out of {path}; before: {written.backup}")
        return
    written = put(client, path, entry, entry_of(client, _environment(sandbox=sandbox), sandbox=sandbox))
    click.echo(f'{client.title} has the server "{entry}" ({path}).')
    if written is not None and written.backup is not None:
        click.echo(f"The file as it was before: {written.backup}")
    click.echo(client.reload)


def _environment(*, sandbox: bool) -> dict[str, str]:
    """The settings of this shell, which the client's server is to have, too; the key is asked for if there is none."""
    if sandbox:
        return {}
    settings = _settings()
    if KEY not in settings:
        if not sys.stdin.isatty():
            raise NotInstalled(f"No API key. Set {KEY} before, or add --sandbox. {UNCHANGED}")
        settings[KEY] = click.prompt("Your Cekura API key (not shown)", hide_input=True)
    try:
        settings[KEY] = usable_key(settings[KEY]).get_secret_value()
    except ValueError as error:
        raise NotInstalled(f"The key {error}. {UNCHANGED}") from None
    if settings[KEY] == PLACEHOLDER:
        raise NotInstalled(f"{KEY} is the example's; put yours there. {UNCHANGED}")
    _refuse_unusable(api_key=SecretStr(settings[KEY]))
    return settings


def _without_secrets(*, sandbox: bool) -> dict[str, str]:
    """The same without secrets, for a screen that others may see."""
    if sandbox:
        return {}
    _refuse_unusable(api_key=None)
    settings, secrets = _settings(), variables(Settings, secret=True)
    return {name: placeholder(name) if name in secrets else text for name, text in settings.items()} | {
        KEY: PLACEHOLDER
    }


def _settings() -> dict[str, str]:
    """What is set in this shell; what is blank counts as absent, as everywhere."""
    return {name: os.environ[name] for name in variables(Settings) if os.environ.get(name, "").strip()}


def _refuse_unusable(**given: Any) -> None:
    """Refuse settings with which the server would not start.

    Raises:
        NotInstalled: naming the first wrong variable.
    """
    try:
        load_settings(**given)
    except SettingsError as error:
        raise NotInstalled(f"{error}. {UNCHANGED}") from None
