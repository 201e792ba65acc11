"""``cekura-dashboards install``: add our entry to a chat client's configuration, show it, or remove it.

The rest of the client's file stays unchanged. The key is left out of it if the client can get it elsewhere.
"""

import codecs
import os
import re
import shutil
import stat
import sys
from collections.abc import Generator
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
from cekura_dashboards.api.models import JsonObject, as_object
from cekura_dashboards.settings import SettingsError, load_settings, usable_key, variables
from cekura_dashboards.text import NotJson
from cekura_dashboards_mcp.cli.clients import (
    CLIENTS,
    ENTRY,
    KEY,
    ChatClient,
    Document,
    Json,
    Machine,
    own_words,
    prompt_of,
    shown_entry,
    variables_of,
)
from cekura_dashboards_mcp.cli.jsonc import Jsonc

SANDBOX_ENTRY = "cekura-dashboards-sandbox"

PROXIES = [name for kind in ("HTTPS_PROXY", "ALL_PROXY", "NO_PROXY") for name in (kind, kind.lower())]
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
PRIVATE, OTHERS = 0o600, 0o077
"""The mode of a file that contains a key, and the mode bits of group and others."""
MARK = "\ufeff"
UNCHANGED = "Nothing was changed."
MEND = "Fix it, or add the entry that --print shows by hand."


class NotInstalled(Exception):
    """A client's file cannot be read or written; the text says where and what to do. Nothing was changed."""


class ClientFile(Struct, frozen=True):
    """The contents of a client's file; ``mark``: its byte order mark, if any."""

    client: ChatClient
    path: Path
    content: Document
    mark: str = ""

    @classmethod
    def of(cls, client: ChatClient, path: Path, content: bytes) -> "ClientFile":
        """The file with these contents.

        Raises:
            NotInstalled: if the client could not read it.
        """
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise NotInstalled(f"{path} cannot be read: it is UTF-16. Save it as UTF-8. {UNCHANGED}")
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            raise NotInstalled(f"{path} cannot be read: it is not UTF-8. Save it as UTF-8. {UNCHANGED}") from None
        mark = text[:1] if text.startswith(MARK) else ""
        try:
            return cls(client, path, client.parse(text.removeprefix(MARK)), mark)
        except NotJson as error:
            raise NotInstalled(f"{path} {error}{_hint(client, text)}. {UNCHANGED} {MEND}") from None

    @property
    def servers(self) -> Json:
        """The servers by name.

        Raises:
            NotInstalled: if they have another form, or occur twice.
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
        """The file with that entry, or without it if None; everything else is unchanged.

        Raises:
            NotInstalled: as of ``servers``.
        """
        with self._named():
            if entry is None:
                text = self.content.without_member(self.client.servers, name)
            else:
                text = self.content.with_member(self.client.servers, name, entry)
            if self.client.secrets.prompts:
                text = _with_prompts(self.client, text)
        return (self.mark + text).encode()

    @property
    def holds_key(self) -> bool:
        """Whether one of the entries contains a key itself."""
        entries = [as_object(entry) for entry in self.servers.values()]
        return any(self.client.holds_key(entry) for entry in entries if entry is not None)

    @contextmanager
    def _named(self) -> Generator[None]:
        try:
            yield
        except NotJson as error:
            raise NotInstalled(f"{self.path} {error}. {UNCHANGED} {MEND}") from None


def _hint(client: ChatClient, text: str) -> str:
    """Which syntax in an invalid text other clients would accept, but this one does not."""
    if not client.reads_json:
        return ""
    try:
        Jsonc(text.removeprefix(MARK), comments=True, trailing_commas=False)
    except NotJson:
        try:
            Jsonc(text.removeprefix(MARK), comments=True)
        except NotJson:
            return ""
        return f" ({client.title} does not allow trailing commas)"
    return f" ({client.title} does not allow comments)"


def _with_prompts(client: ChatClient, text: str) -> str:
    """The text with the inputs that the client asks for: of ours, only those that an entry refers to."""
    servers = [as_object(entry) or {} for entry in Jsonc(text, comments=True).inner(client.servers).values()]
    values = [value for entry in servers for value in (as_object(entry.get(client.env)) or {}).values()]
    referred = {client.secrets.variable_of(value) for value in values if isinstance(value, str)}
    for variable in variables(Settings, secret=True):
        document = Jsonc(text, comments=True)
        if variable not in referred:
            text = document.without_item("inputs", prompt_of(variable))
        elif not any(as_object(item) and item.get("id") == variable for item in document.items("inputs")):
            text = document.with_item("inputs", prompt_of(variable))
    return text


def read(client: ChatClient, path: Path) -> ClientFile:
    """A client's file; a missing one counts as empty.

    Raises:
        NotInstalled: if it cannot be read, or the client could not read it.
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
    """``backup``: the previous file; None if there was none, or if the file is again as it was before our entry."""

    backup: Path | None


def put(client: ChatClient, path: Path, name: str, entry: Json | None) -> Written | None:
    """Write our entry, or remove it if None. Returns None if there was nothing to change.

    A file that contains a key, and every backup, is readable by its owner only.

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
            if before is not None and file.holds_key:
                _make_private(path)
            return None
        if entry is None and before is not None and (original := _original(file, name, present, before)) is not None:
            _replace(path, original, private=ClientFile.of(client, path, original).holds_key)
            return Written(None)
        after = file.changed(name, entry)
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = None if before is None else _backup_with(path, before)
        _replace(path, after, private=ClientFile.of(client, path, after).holds_key)
    except OSError as error:
        raise NotInstalled(f"{path} cannot be written: {error.strerror or error}. {UNCHANGED}") from None
    return Written(kept)


def _original(file: ClientFile, name: str, entry: Json, content: bytes) -> bytes | None:
    """The file before our entry, byte for byte, if a backup has it and nothing else was changed since."""
    for backup in _backups(file.path):
        before = backup.read_bytes()
        try:
            earlier = ClientFile.of(file.client, backup, before)
            if earlier.entry(name) is None and earlier.changed(name, entry) == content:
                return before
        except NotInstalled:  # a file of that name by another program
            continue
    return None


def _backups(path: Path) -> list[Path]:
    """The existing backups. Links are skipped, because their targets are not ours."""
    name = re.compile(re.escape(path.name) + r"\.backup(-\d+)?")
    backups = [file for file in path.parent.glob("*.backup*") if name.fullmatch(file.name)]
    return [backup for backup in backups if stat.S_ISREG(backup.lstat().st_mode)]


def _backup_with(path: Path, content: bytes) -> Path:
    """A backup with that content: an existing one, or a new one under an unused name; a link counts as used."""
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
    """Whether users other than the owner have any right to a file, on systems with such rights."""
    return os.name == "posix" and bool(path.stat().st_mode & OTHERS)


def _make_private(path: Path) -> None:
    if is_open_to_others(path):
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~OTHERS)


def _replace(path: Path, content: bytes, *, private: bool) -> None:
    """Write a file in one step, so that it never exists in part. ``private``: for its owner only."""
    with NamedTemporaryFile(dir=path.parent, delete=False) as file:
        written = Path(file.name)
        try:
            file.write(content)
            file.close()  # Windows cannot replace an open file
            if path.exists():
                shutil.copymode(path, written)
                if os.name == "posix" and os.geteuid() == 0:
                    os.chown(written, path.stat().st_uid, path.stat().st_gid)
            if private:
                _make_private(written)
            written.replace(path)
        finally:
            written.unlink(missing_ok=True)  # it still exists only after a failure


def placeholder(name: str) -> str:
    """The text shown in place of the secret in that variable."""
    return f"your-{name.lower().replace('_', '-')}"


PLACEHOLDER = placeholder(KEY)


class Choices(Struct, frozen=True):
    """The options of the command line. ``plain``: write the key itself, even if a reference would do.

    ``env_file``: the file with the key, for clients that read such a file.
    """

    sandbox: bool = False
    plain: bool = False
    env_file: Path | None = None


def show(name: str, machine: Machine, choices: Choices) -> None:
    """Print what ``install`` would write, without secrets.

    Raises:
        NotInstalled: if ``install`` would fail.
    """
    client, entry = CLIENTS.get(name), SANDBOX_ENTRY if choices.sandbox else ENTRY
    environment, words = _without_secrets(sandbox=choices.sandbox), own_words(sandbox=choices.sandbox)
    if client is None:
        generic = ChatClient("generic", "Others", lambda _machine: Path(), "")
        click.echo(shown_entry(generic, entry, generic.entry(words, environment)))
        return
    click.echo(f"In {client.path(machine)}:", err=True)
    click.echo(shown_entry(client, entry, _entry(client, environment, choices)))


def uninstall(name: str, machine: Machine, *, sandbox: bool) -> None:
    """Remove the entry, and say so.

    Raises:
        NotInstalled: with nothing changed.
    """
    client, entry = _client(name), SANDBOX_ENTRY if sandbox else ENTRY
    path = client.path(machine)
    written = put(client, path, entry, None)
    if written is None:
        click.echo(f"{path} has no entry {entry}.")
    elif written.backup is None:
        click.echo(f"Removed from {path}; the file is as it was before the entry was added.")
    else:
        click.echo(f"Removed from {path}; backup: {written.backup}")


def install(name: str, machine: Machine, choices: Choices) -> None:
    """Write the entry, and print where it is and where its key comes from.

    Raises:
        NotInstalled: with nothing changed.
    """
    client, path = _client(name), CLIENTS[name].path(machine)
    entry = _entry(client, _environment(client, choices), choices)
    entry_name = SANDBOX_ENTRY if choices.sandbox else ENTRY
    written = put(client, path, entry_name, entry)
    click.echo(f'{client.title} has the server "{entry_name}" ({path}).')
    if written is not None and written.backup is not None:
        click.echo(f"Backup of the previous file: {written.backup}")
    if not choices.sandbox:
        click.echo(_key_source(client, entry, choices))
        for proxy in PROXIES:
            if "@" in os.environ.get(proxy, ""):
                click.echo(f"{proxy} contains a password, so it was not written to the file; add it by hand if needed.")
    click.echo(client.reload)


def _client(name: str) -> ChatClient:
    if name not in CLIENTS:
        raise NotInstalled(f"{name} has no configuration file; --print shows the entry for other clients. {UNCHANGED}")
    return CLIENTS[name]


def _entry(client: ChatClient, environment: dict[str, str], choices: Choices) -> Json:
    """The entry; where the client can, it refers to a secret that this shell has or that the client asks for."""
    words = own_words(sandbox=choices.sandbox)
    name = SANDBOX_ENTRY if choices.sandbox else ENTRY
    if choices.sandbox or choices.plain or not (client.secrets.can_refer or choices.env_file):
        return client.entry(words, environment, name=name)
    secrets = [variable for variable in variables(Settings, secret=True) if variable in environment]
    if not client.secrets.prompts:
        secrets = [variable for variable in secrets if os.environ.get(variable, "").strip()]
    if choices.env_file is not None:
        secrets = [KEY, *secrets]
    return client.entry(words, environment, referred=secrets, env_file=choices.env_file, name=name)


def _key_source(client: ChatClient, entry: JsonObject, choices: Choices) -> str:
    """Where the server gets its key when that client starts it."""
    if choices.env_file is not None:
        return f"{client.title} reads the key from {choices.env_file}."
    if client.holds_key(entry):
        text = "The key is in that file, which only you can read."
        return f"{text} If {KEY} is set, the entry only refers to it." if client.secrets.can_refer else text
    if client.secrets.prompts:
        return f"{client.title} asks for the key when it first starts the server, and keeps it in its key store."
    store = " or in its key store (goose configure)" if client.name == "goose" else ""
    return f"The key is not in that file: start {client.title} where {KEY} is set{store}, or install with --plain."


def _environment(client: ChatClient, choices: Choices) -> dict[str, str]:
    """The settings of this shell, for the client's server; the user is asked for a missing key."""
    if choices.sandbox:
        return {}
    settings = _settings()
    if choices.env_file is not None:
        settings[KEY] = _key_in(client, choices.env_file)
    elif KEY not in settings and client.secrets.prompts and not choices.plain:
        return settings | {KEY: ""}
    if KEY not in settings:
        if not sys.stdin.isatty():
            raise NotInstalled(f"No API key. Set {KEY} before, or add --sandbox. {UNCHANGED}")
        settings[KEY] = click.prompt("Your Cekura API key (not shown)", hide_input=True)
    try:
        settings[KEY] = usable_key(settings[KEY]).get_secret_value()
    except ValueError as error:
        raise NotInstalled(f"The key {error}. {UNCHANGED}") from None
    if settings[KEY] == PLACEHOLDER:
        raise NotInstalled(f"{KEY} is the placeholder; set your own key. {UNCHANGED}")
    _refuse_unusable(api_key=SecretStr(settings[KEY]))
    return settings


def _key_in(client: ChatClient, env_file: Path) -> str:
    """The key in a file of variables."""
    if not client.secrets.file_field:
        readers = " and ".join(other.title for other in CLIENTS.values() if other.secrets.file_field)
        raise NotInstalled(f"{client.title} does not support --env-file; {readers} do. {UNCHANGED}")
    try:
        pairs = variables_of(env_file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise NotInstalled(
            f"{env_file} cannot be read: {getattr(error, 'strerror', None) or error}. {UNCHANGED}"
        ) from None
    if not pairs.get(KEY):
        raise NotInstalled(f"{env_file} has no line {KEY}=…. {UNCHANGED}")
    if is_open_to_others(env_file):
        raise NotInstalled(f"Other users can read {env_file}; run chmod 600 on it first. {UNCHANGED}")
    return pairs[KEY]


def _without_secrets(*, sandbox: bool) -> dict[str, str]:
    """The same without secrets, to show on a screen."""
    if sandbox:
        return {}
    _refuse_unusable(api_key=None)
    settings, secrets = _settings(), variables(Settings, secret=True)
    return {name: placeholder(name) if name in secrets else text for name, text in settings.items()} | {
        KEY: PLACEHOLDER
    }


def _settings() -> dict[str, str]:
    """The variables set in this shell; blank ones count as absent, as everywhere.

    They include the settings of a company's network, as some clients pass on few variables. A proxy with a
    password is left out, because it would be written to the file.
    """
    proxies = [name for name in PROXIES if "@" not in os.environ.get(name, "")]
    names = [*variables(Settings), *proxies, *CERTIFICATES]
    return {name: os.environ[name] for name in names if os.environ.get(name, "").strip()}


def _refuse_unusable(**given: Any) -> None:
    """Refuse settings with which the server would not start.

    Raises:
        NotInstalled: naming the first wrong variable.
    """
    try:
        load_settings(**given)
    except SettingsError as error:
        raise NotInstalled(f"{error}. {UNCHANGED}") from None
