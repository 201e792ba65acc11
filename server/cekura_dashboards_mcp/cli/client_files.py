"""A chat client's configuration file: read, and our entry put in or taken out; nothing else in it is touched."""

import codecs
import os
import re
import shutil
import stat
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from msgspec import Struct

from cekura_dashboards.json_input import NotJson
from cekura_dashboards_mcp.cli.clients import KEY, ChatClient, Json
from cekura_dashboards_mcp.cli.jsonc import Jsonc

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
