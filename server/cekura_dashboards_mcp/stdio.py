"""Ending quietly when the client that started this process over stdio is gone."""

import os
import select
import threading
from typing import TextIO


def leave_with_reader(stdout: TextIO) -> None:
    """End the process once nobody can read what it writes any more.

    The SDK notices only when it writes, and then still waits for the next line on standard input. Where the system
    cannot tell (Windows), the end of standard input is what ends the process.
    """
    if not hasattr(select, "poll"):
        return
    try:
        end = os.dup(stdout.fileno())  # the SDK moves the stream itself away
    except (OSError, ValueError):
        return
    threading.Thread(target=_wait, args=(end,), name="stdout-reader", daemon=True).start()


def _wait(end: int) -> None:
    broken = select.poll()
    broken.register(end, 0)  # asks for nothing: the end of a pipe or socket is always told
    if broken.poll():
        os._exit(0)
