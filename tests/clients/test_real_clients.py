"""What the real clients say of what `install` wrote, each by its own list of servers, in a home of its own.

Both entries are listed: the one on generated calls, and the one that only refers to a key, whose server starts only if
the client fills that in. No client reaches a network: their proxy is a port where nobody listens.
"""

import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from cekura_dashboards_mcp.cli.clients import CLIENTS, Machine
from support import TIMEOUT_S, Json, run_cli

KEY = "a-key-that-stands-in-no-file"
ENTRIES = ("cekura-dashboards", "cekura-dashboards-sandbox")
NOT_HERE = (
    "real clients need npm: install tests/clients/package.json in a folder of its own, and name it in CLIENTS_NODE"
)
QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "NO_BROWSER": "true",
    "NO_COLOR": "1",
    **dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"), "http://127.0.0.1:9"),
}
"""Settings of the clients, so that they ask nobody for news, and a proxy that nobody is behind."""
TIMES = 5
COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
posix = pytest.mark.skipif(sys.platform == "win32", reason="a terminal of its own is for POSIX")


@dataclass
class Reader:
    """Somebody who has just installed a client: an empty home but for what others wrote into the client's file."""

    home: Path
    programs: Path

    @property
    def machine(self) -> Machine:
        return Machine(self.home, "linux", self.environment)

    @property
    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(self.programs), os.environ["PATH"]])
        return {"HOME": str(self.home), "PATH": path, "CEKURA_API_KEY": KEY, **QUIET}

    @property
    def folder(self) -> Path:
        folder = self.home / "work"
        folder.mkdir(exist_ok=True)
        return folder

    def install(self, name: str, before: str) -> Path:
        """Both entries, beside what the file held before."""
        path = CLIENTS[name].path(self.machine)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(before, encoding="utf-8")
        shell = {**dict.fromkeys(os.environ, ""), **self.environment, **dict.fromkeys(QUIET, "")}
        for option in ([], ["--sandbox"]):
            result = run_cli("install", name, *option, environment=shell)
            assert result.exit_code == 0, result.output
        assert KEY not in path.read_text(encoding="utf-8")
        return path

    def run(self, program: str, *arguments: str) -> str:
        result = subprocess.run(
            [str(self.programs / program), *arguments], cwd=self.folder, env=self.environment, capture_output=True,
            text=True, encoding="utf-8", timeout=TIMEOUT_S, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        output = COLOURS.sub("", result.stdout + result.stderr)
        assert result.returncode == 0, output
        return output


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    """Skips where the clients are not, but never in CI."""
    folder = os.environ.get("CLIENTS_NODE")
    if not folder:
        if os.environ.get("CI"):
            pytest.fail(NOT_HERE)
        pytest.skip(NOT_HERE)
    return Reader(tmp_path, Path(folder) / "node_modules" / ".bin")


def assert_connects(reader: Reader, program: str, connected: str) -> None:
    """Both entries stand in the program's own list as connected.

    It is asked again if not: some lists give a server five seconds to start, which a busy machine may not have.
    """
    named = [re.compile(rf"(^|\s){name}(:.*| ){connected}$", re.MULTILINE) for name in ENTRIES]
    output = ""
    for _ in range(TIMES):
        output = reader.run(program, "mcp", "list")
        if all(pattern.search(output) for pattern in named):
            return
    pytest.fail(output)


def test_claude_code_connects(reader: Reader) -> None:
    path = reader.install("claude-code", '{"numStartups": 3}')
    assert_connects(reader, "claude", "✔ Connected")
    assert json.loads(path.read_text(encoding="utf-8"))["numStartups"] == 3


def test_codex_lists_both_entries_unchanged(reader: Reader) -> None:
    """It starts servers only in a conversation."""
    reader.install("codex", '# mine\nmodel = "x"\n[mcp_servers.other]\ncommand = "y"\n')
    output = reader.run("codex", "mcp", "list", "--json")
    listed: list[Json] = json.loads(output[output.index("[\n") : output.rindex("]") + 1])
    servers = {server["name"]: server for server in listed}
    assert {*servers} == {"other", *ENTRIES}
    assert all(servers[name]["enabled"] for name in ENTRIES)
    assert servers["cekura-dashboards"]["transport"]["env_vars"] == ["CEKURA_API_KEY"]
    assert servers["cekura-dashboards-sandbox"]["transport"]["args"] == ["serve", "--sandbox"]


def test_opencode_connects(reader: Reader) -> None:
    reader.install("opencode", '{\n  // mine\n  "username": "me",\n}\n')
    assert_connects(reader, "opencode", "connected")


def test_qwen_code_connects(reader: Reader) -> None:
    reader.install("qwen", '// mine\n{"privacy": {"usageStatisticsEnabled": false}}\n')
    assert_connects(reader, "qwen", "Connected")


@posix
def test_gemini_cli_connects_in_a_trusted_folder(reader: Reader) -> None:
    reader.install("gemini", '// mine\n{"privacy": {"usageStatisticsEnabled": false}}\n')
    trusted = reader.home / ".gemini" / "trustedFolders.json"
    answer_with_enter(
        [str(reader.programs / "gemini")],
        reader,
        question=b"Trust folder",
        answered=lambda: trusted.exists() and str(reader.folder) in trusted.read_text(encoding="utf-8"),
    )
    assert_connects(reader, "gemini", "Connected")


def answer_with_enter(command: list[str], reader: Reader, *, question: bytes, answered: Callable[[], bool]) -> None:
    """Run a program on a terminal, and press Enter at its question: again after a second, as it may not listen yet."""
    import fcntl  # noqa: PLC0415 - not on Windows
    import pty  # noqa: PLC0415 - not on Windows
    import struct  # noqa: PLC0415 - with the other two
    import termios  # noqa: PLC0415 - not on Windows

    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 140, 0, 0))
    environment = {**reader.environment, "TERM": "xterm-256color"}
    screen = b""
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=reader.folder, env=environment, start_new_session=True
    ) as process:
        os.close(theirs)
        try:
            for _ in range(TIMEOUT_S):
                readable, _, _ = select.select([ours], [], [], 1)
                while readable:
                    screen += os.read(ours, 65536)
                    readable, _, _ = select.select([ours], [], [], 0.2)
                if answered():
                    return
                if question in screen:
                    os.write(ours, b"\r")
            pytest.fail(f"no answer was taken: {screen[-2000:].decode(errors='replace')}")
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            os.close(ours)
