"""Servers started as by a user, each in its own process."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

KEY = "benchmark"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def running(
    *arguments: str, port: int, log: IO[bytes] | int | None = None, **environment: str
) -> Generator[subprocess.Popen[bytes]]:
    """A Python process that listens on a port of this machine. ``log``: where its standard error goes."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("CEKURA_")} | environment
    process = subprocess.Popen([sys.executable, *arguments], env=env, stderr=log)  # noqa: S603 - our own modules
    try:
        wait_for(port)
        yield process
    finally:
        process.terminate()
        process.wait(15)


def wait_for(port: int, limit_s: float = 20) -> None:
    """Wait until something listens there."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise TimeoutError(f"nothing listens on port {port}")


def cpu_s(process: subprocess.Popen[bytes]) -> float | None:
    """Processor time of it and its children, if the system reports it through /proc."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        return None
    ticks = 0
    for number in [str(process.pid), *children.read_text().split()]:
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int) -> float | None:
    """Resident memory, if the system reports it through /proc."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return None
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024
