"""Servers started as a user starts them, each in a process of its own."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

KEY = "benchmark"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def running(*arguments: str, port: int, **environment: str) -> Generator[subprocess.Popen[bytes]]:
    """A Python process that listens on a port of this machine."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("CEKURA_")} | environment
    process = subprocess.Popen([sys.executable, *arguments], env=env)  # noqa: S603 - our own modules
    try:
        wait_for(port)
        yield process
    finally:
        process.terminate()
        process.wait(10)


def wait_for(port: int, limit_s: float = 20) -> None:
    """Return once something listens there."""
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
    """Processor time that it has used, its own and the system's for it, where the system tells it through /proc."""
    status = Path(f"/proc/{process.pid}/stat")
    if not status.exists():
        return None
    fields = status.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(process: subprocess.Popen[bytes]) -> float | None:
    """Resident memory, where the system tells it through /proc."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        return None
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024
