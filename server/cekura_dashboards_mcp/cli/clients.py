"""The chat clients that ``install`` and ``doctor`` know: for each, where its file is and the form of an entry.

Sources: the clients' own documents on MCP servers, and what Claude Code 2.1.197, Gemini CLI 0.61.0, Qwen Code 0.15.10,
Codex 0.171.0, opencode 1.18.33 and Cline 3.0.65 did when run; VS Code's ``userDataPath.ts``; how Goose merges
environments; LibreChat's ``mcp.ts``.
"""

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

from cekura_dashboards.api.models import JsonObject, as_object, is_list
from cekura_dashboards_mcp.cli.jsonc import Jsonc

KEY = "CEKURA_API_KEY"
ENTRY = "cekura-dashboards"
Json = dict[str, Any]


class Machine(Struct, frozen=True):
    """The locations of a user's files. ``platform`` as in ``sys.platform``."""

    home: Path
    platform: str
    environment: Mapping[str, str]

    @classmethod
    def this(cls) -> "Machine":
        return cls(Path.home(), sys.platform, os.environ)

    @property
    def applications(self) -> Path:
        """The folder in which desktop programs keep their settings."""
        if self.platform == "win32":
            return Path(self.environment.get("APPDATA") or self.home / "AppData" / "Roaming")
        if self.platform == "darwin":
            return self.home / "Library" / "Application Support"
        return self.configuration

    @property
    def configuration(self) -> Path:
        """The folder in which terminal programs keep theirs, on any system."""
        return self.variable_folder("XDG_CONFIG_HOME", self.home / ".config")

    def variable_folder(self, variable: str, default: Path) -> Path:
        """The folder in a variable, if that is set."""
        return Path(self.environment.get(variable) or default)


class Document(Protocol):
    """The text of a file, to read or edit one member of an inner object; everything else stays unchanged.

    Its methods raise NotEditable if the inner object or the member has another form or occurs twice.
    """

    def inner(self, outer: str) -> JsonObject: ...
    def member(self, outer: str, name: str) -> Any: ...
    def with_member(self, outer: str, name: str, value: Any) -> str: ...
    def without_member(self, outer: str, name: str) -> str: ...


def _json(text: str) -> Document:
    return Jsonc(text, comments=False)


def _json_with_comments(text: str) -> Document:
    return Jsonc(text, comments=True, trailing_commas=False)


def _jsonc(text: str) -> Document:
    return Jsonc(text, comments=True)


def _toml(text: str) -> Document:
    from cekura_dashboards_mcp.cli.toml import Toml

    return Toml(text)


def _yaml(text: str) -> Document:
    from cekura_dashboards_mcp.cli.yaml import Yaml

    return Yaml(text)


class Secrets(Struct, frozen=True):
    """How an entry refers to a variable whose value stays out of the file. Without any of these it cannot.

    ``template``: the text in place of a value, with ``{}`` for the variable. ``names_field``: the field that lists the
    variables to pass on. ``prompts``: the client asks for them, and keeps them in the system's key store.
    ``file_field``: the field that names a file of variables.
    """

    template: str = ""
    names_field: str = ""
    prompts: bool = False
    file_field: str = ""

    @property
    def can_refer(self) -> bool:
        return bool(self.template or self.names_field)

    def reference(self, variable: str) -> str:
        return self.template.replace("{}", variable, 1)

    def variable_of(self, value: str) -> str | None:
        """The variable that a value refers to; None for a literal value."""
        pattern = re.escape(self.template).replace(re.escape("{}"), r"(\w+)", 1)
        match = re.fullmatch(pattern, value) if self.template else None
        return match[1] if match else None


class Launch(Struct, frozen=True):
    """The process that a client starts for an entry; ``missing``: unset variables that the entry refers to."""

    command: str
    args: list[str]
    env: dict[str, str]
    missing: tuple[str, ...] = ()


class ChatClient(Struct, frozen=True):
    """``servers``: the key in its file under which servers are listed by name.

    ``command``, ``args``, ``env``: the fields of an entry; without ``args``, ``command`` lists all words.
    ``extra``: fields that it needs in every entry. ``reload``: how to make it read the file again. ``shared_folder``:
    other programs use the folder of its file too, so the folder alone does not show that the client is installed.
    """

    name: str
    title: str
    path: Callable[[Machine], Path]
    reload: str
    servers: str = "mcpServers"
    parse: Callable[[str], Document] = _json
    command: str = "command"
    args: str | None = "args"
    env: str = "env"
    extra: tuple[tuple[str, str | bool | int], ...] = ()
    secrets: Secrets = Secrets()
    shared_folder: bool = False

    def entry(
        self,
        words: list[str],
        environment: Mapping[str, str],
        *,
        referred: Iterable[str] = (),
        env_file: Path | None = None,
        name: str = ENTRY,
    ) -> Json:
        """Our entry in the form of this client. ``referred``: variables to refer to instead of writing their values."""
        entry: Json = {field: name if value == OWN_NAME else value for field, value in self.extra}
        program, *more = words
        entry |= {self.command: program, self.args: more} if self.args else {self.command: words}
        names = sorted(referred)
        env = {other: value for other, value in environment.items() if other not in names}
        if env_file is not None:
            entry[self.secrets.file_field] = str(env_file)
        elif self.secrets.names_field and names:
            entry[self.secrets.names_field] = names
        else:
            env = {other: self.secrets.reference(other) for other in names} | env
        return entry | ({self.env: env} if env else {})

    def launch(self, entry: JsonObject, environment: Mapping[str, str]) -> Launch | None:
        """The process that it starts for an entry in that environment; None if the entry has another form."""
        words, env = self.words(entry), as_object(entry.get(self.env) or {})
        if not words or not all(isinstance(word, str) for word in words) or env is None:
            return None
        if not all(isinstance(value, str) for value in env.values()):
            return None
        set_here, missing = dict[str, str](), list[str]()
        names = entry.get(self.secrets.names_field)
        referred = {str(name): str(name) for name in names} if self.secrets.names_field and is_list(names) else {}
        for name, value in env.items():
            if (variable := self.secrets.variable_of(value)) is not None:
                referred[name] = variable
            else:
                set_here[name] = value
        for name, variable in referred.items():
            if value := environment.get(variable):
                set_here[name] = value
            else:
                missing.append(variable)
        return Launch(words[0], words[1:], self._of_file(entry) | set_here, tuple(missing))

    @property
    def reads_json(self) -> bool:
        return self.parse not in {_toml, _yaml}

    def words(self, entry: JsonObject) -> list[Any]:
        """The command and its arguments, as written."""
        command = entry.get(self.command)
        if self.args is None:
            return [*command] if is_list(command) else []
        args = entry.get(self.args, [])
        return [command, *args] if command and is_list(args) else []

    def _of_file(self, entry: JsonObject) -> dict[str, str]:
        """The variables of the file that an entry names, if it names one that can be read."""
        name = entry.get(self.secrets.file_field) if self.secrets.file_field else None
        if not isinstance(name, str):
            return {}
        try:
            return variables_of(Path(name).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            return {}

    def holds_key(self, entry: JsonObject) -> bool:
        """Whether an entry contains the key itself."""
        value = (as_object(entry.get(self.env)) or {}).get(KEY)
        return isinstance(value, str) and self.secrets.variable_of(value) is None

    def is_here(self, machine: Machine) -> bool:
        """Whether it was ever started on this machine: its file exists, or a folder that only it creates."""
        path = self.path(machine)
        return path.exists() or (not self.shared_folder and path.parent.is_dir())


def variables_of(text: str) -> dict[str, str]:
    r"""The variables of an ``.env`` file: lines ``NAME=value``, quoted or not, and comments.

    >>> variables_of("# mine\nexport A='x y'\nB = 1\n")
    {'A': 'x y', 'B': '1'}
    """
    pairs = (line.strip().removeprefix("export ").partition("=") for line in text.splitlines())
    return {
        name.strip(): value.strip().strip("'\"") for name, sign, value in pairs if sign and not name.startswith("#")
    }


def _claude_desktop(machine: Machine) -> Path:
    """As a Windows package (MSIX) it uses a folder of its own instead of the usual one."""
    place = Path("Claude") / "claude_desktop_config.json"
    if machine.platform == "win32":
        local = machine.variable_folder("LOCALAPPDATA", machine.home / "AppData" / "Local")
        for package in sorted(local.glob("Packages/Claude_*")):
            return package / "LocalCache" / "Roaming" / place
    return machine.applications / place


def _claude_code(machine: Machine) -> Path:
    """A file with an older name is still used if it exists."""
    moved = machine.environment.get("CLAUDE_CONFIG_DIR")
    older = (Path(moved) if moved else machine.home / ".claude") / ".config.json"
    return older if older.exists() else (Path(moved) if moved else machine.home) / ".claude.json"


def _vscode_user(machine: Machine) -> Path:
    """``VSCODE_PORTABLE`` is set in the terminal of a VS Code that keeps everything in its own folder."""
    if portable := machine.environment.get("VSCODE_PORTABLE"):
        return Path(portable) / "user-data" / "User"
    return machine.variable_folder("VSCODE_APPDATA", machine.applications) / "Code" / "User"


def _opencode(machine: Machine) -> Path:
    """It reads either name, or both files if both exist."""
    folder = machine.configuration / "opencode"
    named = [folder / "opencode.json", folder / "opencode.jsonc"]
    return next((path for path in named if path.exists()), named[0])


def _zed(machine: Machine) -> Path:
    if machine.platform == "win32":
        return machine.applications / "Zed" / "settings.json"
    return (machine.home / ".config" if machine.platform == "darwin" else machine.configuration) / "zed/settings.json"


def _goose(machine: Machine) -> Path:
    if root := machine.environment.get("GOOSE_PATH_ROOT"):
        return Path(root) / "config" / "config.yaml"
    if machine.platform == "win32":
        return machine.applications / "Block" / "goose" / "config" / "config.yaml"
    return machine.configuration / "goose" / "config.yaml"


def _cline(machine: Machine) -> Path:
    """The VS Code extension keeps its file in the folder assigned by VS Code, the terminal program in its own."""
    if path := machine.environment.get("CLINE_MCP_SETTINGS_PATH"):
        return Path(path)
    place = Path("settings") / "cline_mcp_settings.json"
    extension = _vscode_user(machine) / "globalStorage" / "saoudrizwan.claude-dev"
    return (extension if extension.is_dir() else machine.home / ".cline" / "data") / place


OWN_NAME = "{name}"
"""In ``extra``, the placeholder for the name of the entry."""
START_MS = 30_000
"""How long a client waits for the server to start, if an entry can set that: 5 s are too short on a busy machine."""
STDIO = (("type", "stdio"),)
_SHELL_VARIABLES = Secrets(template="${{}}")
CLIENTS = {
    client.name: client
    for client in (
        ChatClient("claude-desktop", "Claude Desktop", _claude_desktop, "Quit Claude Desktop and start it again."),
        ChatClient(
            "claude-code",
            "Claude Code",
            _claude_code,
            "Start a new session of Claude Code; /mcp shows its servers.",
            extra=STDIO,
            secrets=_SHELL_VARIABLES,
            shared_folder=True,
        ),
        ChatClient(
            "cursor",
            "Cursor",
            lambda machine: machine.home / ".cursor" / "mcp.json",
            "Cursor reads it at once; its settings for MCP show it.",
            secrets=Secrets(template="${env:{}}", file_field="envFile"),
        ),
        ChatClient(
            "vscode",
            "VS Code",
            lambda machine: _vscode_user(machine) / "mcp.json",
            "Run “MCP: List Servers” in VS Code and start it.",
            servers="servers",
            parse=_jsonc,
            extra=STDIO,
            secrets=Secrets(template="${input:{}}", prompts=True, file_field="envFile"),
        ),
        ChatClient(
            "codex",
            "Codex",
            lambda machine: machine.variable_folder("CODEX_HOME", machine.home / ".codex") / "config.toml",
            "Start Codex again; /mcp shows its servers.",
            servers="mcp_servers",
            parse=_toml,
            extra=(("startup_timeout_sec", START_MS // 1000),),
            secrets=Secrets(names_field="env_vars"),
        ),
        ChatClient(
            "gemini",
            "Gemini CLI",
            lambda machine: machine.variable_folder("GEMINI_CLI_HOME", machine.home) / ".gemini" / "settings.json",
            "Start Gemini CLI again, in a folder that it trusts; /mcp shows its servers.",
            parse=_json_with_comments,
            secrets=_SHELL_VARIABLES,
        ),
        ChatClient(
            "qwen",
            "Qwen Code",
            lambda machine: machine.variable_folder("QWEN_HOME", machine.home / ".qwen") / "settings.json",
            "Start Qwen Code again; /mcp shows its servers.",
            parse=_json_with_comments,
            secrets=_SHELL_VARIABLES,
        ),
        ChatClient(
            "opencode",
            "opencode",
            _opencode,
            "Start opencode again; opencode mcp list shows its servers.",
            servers="mcp",
            parse=_jsonc,
            args=None,
            env="environment",
            extra=(("type", "local"), ("enabled", True), ("timeout", START_MS)),
            secrets=Secrets(template="{env:{}}"),
        ),
        ChatClient(
            "windsurf",
            "Windsurf",
            lambda machine: machine.home / ".codeium" / "windsurf" / "mcp_config.json",
            "Press refresh among the MCP servers of Windsurf.",
            secrets=Secrets(template="${env:{}}"),
        ),
        ChatClient(
            "zed",
            "Zed",
            _zed,
            "Zed reads it at once; the settings of its agent panel show it.",
            servers="context_servers",
            parse=_jsonc,
            extra=(("source", "custom"),),
        ),
        ChatClient(
            "goose",
            "Goose",
            _goose,
            "Start a new session of Goose.",
            servers="extensions",
            parse=_yaml,
            command="cmd",
            env="envs",
            extra=(("enabled", True), ("type", "stdio"), ("name", OWN_NAME), ("timeout", 300)),
            secrets=Secrets(names_field="env_keys"),
        ),
        ChatClient("cline", "Cline", _cline, "Cline reads it at once; its list of MCP servers shows it."),
        ChatClient(
            "librechat",
            "LibreChat",
            lambda machine: machine.variable_folder("CONFIG_PATH", Path.cwd() / "librechat.yaml"),
            "Start LibreChat again.",
            parse=_yaml,
            extra=STDIO,
            secrets=_SHELL_VARIABLES,
            shared_folder=True,
        ),
    )
}


def own_words(*, sandbox: bool) -> list[str]:
    """The command that starts this program, with its full path: clients do not have a shell's PATH."""
    program = shutil.which(ENTRY, path=str(Path(sys.executable).parent))
    words = [program] if program else [sys.executable, "-m", "cekura_dashboards_mcp"]
    return [*words, "serve", *(["--sandbox"] if sandbox else [])]


def prompt_of(variable: str) -> Json:
    """The input with which VS Code asks for a variable once and keeps it in the system's key store."""
    return {"type": "promptString", "id": variable, "description": variable, "password": True}


def shown_entry(client: ChatClient, name: str, entry: Json) -> str:
    """The entry as a complete file of this client."""
    return client.parse("").with_member(client.servers, name, entry).rstrip("\n")
