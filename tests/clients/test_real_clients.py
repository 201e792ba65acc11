"""The entries that `install` writes, as real clients list them, each in a separate home folder.

Each client lists two entries: one on generated calls, and one that only references a key, so that its server starts
only if the client resolves the reference. No client reaches the network: its proxy is a port without a listener.
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
MISSING = "install tests/clients/package.json outside this project, and set CLIENTS_NODE to its folder"
OFFLINE = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "NO_BROWSER": "true",
    "NO_COLOR": "1",
    **dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"), "http://127.0.0.1:9"),
}
"""Settings that stop clients from checking for updates, and a proxy without a listener."""
ATTEMPTS = 5
ANSI_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
posix = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals require POSIX")


@dataclass
class User:
    """A user who has just installed a client: a home folder with only the client's existing configuration."""

    home: Path
    programs: Path

    @property
    def machine(self) -> Machine:
        return Machine(self.home, "linux", self.environment)

    @property
    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(self.programs), os.environ["PATH"]])
        return {"HOME": str(self.home), "PATH": path, "CEKURA_API_KEY": KEY, **OFFLINE}

    @property
    def folder(self) -> Path:
        folder = self.home / "work"
        folder.mkdir(exist_ok=True)
        return folder

    def install(self, name: str, before: str) -> Path:
        """Add both entries to a file with this content."""
        path = CLIENTS[name].path(self.machine)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(before, encoding="utf-8")
        shell = {**dict.fromkeys(os.environ, ""), **self.environment, **dict.fromkeys(OFFLINE, "")}
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
        output = ANSI_CODES.sub("", result.stdout + result.stderr)
        assert result.returncode == 0, output
        return output


@pytest.fixture
def user(tmp_path: Path) -> User:
    """A user with all clients. Without the clients the test is skipped, in CI it fails."""
    folder = os.environ.get("CLIENTS_NODE")
    if not folder:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    return User(tmp_path, Path(folder) / "node_modules" / ".bin")


def assert_connects(user: User, program: str, connected: str) -> None:
    """Both entries are connected in the client's own list.

    The list is repeated if not: some clients give a server only five seconds to start, which is short on a busy
    machine.
    """
    named = [re.compile(rf"(^|\s){name}(:.*| ){connected}$", re.MULTILINE) for name in ENTRIES]
    output = ""
    for _ in range(ATTEMPTS):
        output = user.run(program, "mcp", "list")
        if all(pattern.search(output) for pattern in named):
            return
    pytest.fail(output)


def test_claude_code_connects(user: User) -> None:
    path = user.install("claude-code", '{"numStartups": 3}')
    assert_connects(user, "claude", "✔ Connected")
    assert json.loads(path.read_text(encoding="utf-8"))["numStartups"] == 3


def test_codex_lists_both_entries_unchanged(user: User) -> None:
    """Codex starts servers only in a conversation."""
    user.install("codex", '# mine\nmodel = "x"\n[mcp_servers.other]\ncommand = "y"\n')
    output = user.run("codex", "mcp", "list", "--json")
    listed: list[Json] = json.loads(output[output.index("[\n") : output.rindex("]") + 1])
    servers = {server["name"]: server for server in listed}
    assert {*servers} == {"other", *ENTRIES}
    assert all(servers[name]["enabled"] for name in ENTRIES)
    assert servers["cekura-dashboards"]["transport"]["env_vars"] == ["CEKURA_API_KEY"]
    assert servers["cekura-dashboards-sandbox"]["transport"]["args"] == ["serve", "--sandbox"]


def test_opencode_connects(user: User) -> None:
    user.install("opencode", '{\n  // mine\n  "username": "me",\n}\n')
    assert_connects(user, "opencode", "connected")


def test_qwen_code_connects(user: User) -> None:
    user.install("qwen", '// mine\n{"privacy": {"usageStatisticsEnabled": false}}\n')
    assert_connects(user, "qwen", "Connected")


@posix
def test_gemini_cli_connects_in_a_trusted_folder(user: User) -> None:
    user.install("gemini", '// mine\n{"privacy": {"usageStatisticsEnabled": false}}\n')
    trusted = user.home / ".gemini" / "trustedFolders.json"
    answer_with_enter(
        [str(user.programs / "gemini")],
        user,
        question=b"Trust folder",
        is_answered=lambda: trusted.exists() and str(user.folder) in trusted.read_text(encoding="utf-8"),
    )
    assert_connects(user, "gemini", "Connected")


def answer_with_enter(command: list[str], user: User, *, question: bytes, is_answered: Callable[[], bool]) -> None:
    """Run a program on a terminal, and press Enter at its question; repeated each second, as it may not listen yet."""
    import fcntl  # noqa: PLC0415 - not on Windows
    import pty  # noqa: PLC0415 - not on Windows
    import struct  # noqa: PLC0415 - with the other two
    import termios  # noqa: PLC0415 - not on Windows

    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 140, 0, 0))
    environment = {**user.environment, "TERM": "xterm-256color"}
    screen = b""
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=user.folder, env=environment, start_new_session=True
    ) as process:
        os.close(theirs)
        try:
            for _ in range(TIMEOUT_S):
                readable, _, _ = select.select([ours], [], [], 1)
                while readable:
                    screen += os.read(ours, 65536)
                    readable, _, _ = select.select([ours], [], [], 0.2)
                if is_answered():
                    return
                if question in screen:
                    os.write(ours, b"\r")
            pytest.fail(f"the question was not answered: {screen[-2000:].decode(errors='replace')}")
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            os.close(ours)
