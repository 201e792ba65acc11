"""The audit log: one line per write, so that a team can see what its assistants changed. No names, no contents."""

import errno
import hashlib
import json
import logging
import os
import stat
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from cekura_dashboards.api.models import JsonObject, as_list, as_object
from cekura_dashboards.settings import SettingsError
from cekura_dashboards.text import quoted

AUDIT = logging.getLogger("cekura_dashboards_mcp.audit")
PRIVATE = 0o600


class Audit(Struct, frozen=True):
    """``path``: the file to append lines to; None: they go to the log, at level INFO.

    ``caller``: a digest of the key of a call.
    """

    path: str
    caller: str
    now: Callable[[], datetime]

    def __call__(self, tool: str, arguments: Mapping[str, Any], outcome: str, receipt: Mapping[str, Any]) -> None:
        """Write the line. Several processes may append to one file: a line is one write.

        A line that cannot be written goes to the log: the edit has been made, and its receipt must reach the caller.
        """
        if not self.path and not AUDIT.isEnabledFor(logging.INFO):
            return
        changes = [change for item in as_list(receipt.get("changes")) or [] if (change := as_object(item))]
        line = json.dumps({
            "time": self.now().isoformat(timespec="milliseconds"),
            "caller": self.caller,
            "tool": tool,
            "outcome": outcome,
            "dashboard": receipt.get("dashboard_id", arguments.get("dashboard_id")),
            "changes": [[change.get("op"), change.get("kind", "widget"), change.get("id")] for change in changes],
            "before": _digest(changes, 0),
            "after": _digest(changes, 1),
            "plan_id": arguments.get("plan_id"),
        })  # fmt: skip
        if not self.path:
            AUDIT.info(line)
            return
        try:
            _append(self.path, line.encode() + b"\n")
        except OSError as error:
            AUDIT.error("%s", line)
            AUDIT.error("the audit log %s cannot be written: %s", self.path, error.strerror)


def check_file(path: str) -> None:
    """Refuse a file for the audit that cannot be written.

    Raises:
        SettingsError: saying why.
    """
    try:
        if path:
            os.close(_open(path))
    except OSError as error:
        raise SettingsError(f'CEKURA_AUDIT_LOG is "{quoted(path, limit=200)}": {error.strerror}') from None


def _open(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, PRIVATE)


def _append(path: str, line: bytes) -> None:
    """Write a whole line or nothing: a part written to a full disk is removed.

    Raises:
        OSError: if it is not written.
    """
    descriptor = _open(path)
    try:
        if not _ends_with_line(path, descriptor):
            _wait_for_others(descriptor)
            line = line if _ends_with_line(path, descriptor) else b"\n" + line
        written = os.write(descriptor, line)
        if written == len(line):
            return
        _wait_for_others(descriptor)
        end = os.lseek(descriptor, 0, os.SEEK_CUR)
        if os.fstat(descriptor).st_size == end:  # otherwise another process has written since
            os.ftruncate(descriptor, end - written)
        raise OSError(errno.ENOSPC, f"there was room for {written} of {len(line)} bytes")
    finally:
        os.close(descriptor)


def _wait_for_others(descriptor: int) -> None:
    """Lock the file until it is closed, so that only one process repairs its end."""
    if sys.platform != "win32":
        import fcntl  # not on Windows

        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _ends_with_line(path: str, descriptor: int) -> bool:
    """Whether the file ends with a whole line; True for a pipe, or a file that cannot be read."""
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode) or not about.st_size or not os.access(path, os.R_OK):
        return True
    with open(path, "rb") as file:  # noqa: PTH123 - beside os.open
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def _digest(changes: list[JsonObject], side: int) -> str | None:
    """A digest of the changed values on one side; equal values have equal digests."""
    values = list[Any]()
    for change in changes:
        fields = as_object(change.get("fields")) or {}
        values.append([change.get("op"), change.get("id"), {name: pair[side] for name, pair in fields.items()}])
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16] if values else None
