"""The protocol's own conformance suite, on both wires, where Node and the npm registry are to be had."""

import json
import re
import shutil
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from cekura_dashboards_mcp.connection import Connection
from cekura_dashboards_mcp.http import http_app
from support import HANGS_S, now, served, settings, shared_sandbox

SUITE = ["node@22", "@modelcontextprotocol/conformance@0.2.0-alpha.12"]
NOT_APPLICABLE = re.compile(
    r"tools-call-(?!simple-text|error).*|input-required-.*|elicitation-.*|json-schema-.*|http-custom-header-.*"  # need tools of the suite's own
    r"|prompts-.*|resources-.*|sep-2164-.*|completion-complete"  # there are no prompts, resources or completions
    r"|logging-set-level"  # the server sends no log messages to clients, which is deprecated
    r"|server-sse-polling"  # there is no session whose stream could be taken up again
    r"|tasks-.*"  # an extension that is not offered
)
CHECKS_NOT_APPLICABLE = {
    "sep-2575-server-rejects-undeclared-capability", "sep-2575-missing-capability-http-400",  # need a tool of the suite's
}  # fmt: skip
LISTS_NOT_THERE = re.compile(r"(Prompts|Resources)\w*Caching\w*")
"""Checks of the scenario ``caching`` that ask for lists of prompts and resources."""
HELD = {
    "2025-11-25": {"server-initialize", "ping", "tools-list", "tools-call-simple-text", "tools-call-error", "dns-rebinding-protection"},
    "2026-07-28": {"server-stateless", "tools-list", "tools-call-simple-text", "tools-call-error", "dns-rebinding-protection", "caching", "http-header-validation"},
}  # fmt: skip
"""Scenarios that must have run: else a suite that finds nothing to do would pass."""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the suite is installed in."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("there is no npm, with which the conformance suite is installed")
    folder = tmp_path_factory.mktemp("conformance")
    installed = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), *SUITE],
        capture_output=True, timeout=HANGS_S, check=False,
    )  # fmt: skip
    if installed.returncode:
        pytest.skip("the conformance suite cannot be installed: the npm registry is out of reach")
    return folder


@asynccontextmanager
async def serving() -> AsyncGenerator[str]:
    async with served(http_app(Connection(settings(), app_factory=shared_sandbox, now=now))) as url:
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
            and not LISTS_NOT_THERE.fullmatch(check["name"])
        ]
    return ran, failed


@pytest.mark.anyio
@pytest.mark.parametrize("revision", HELD)
async def test_the_scenarios_that_apply_hold(revision: str, suite: Path, tmp_path: Path) -> None:
    programs = suite / "node_modules" / ".bin"
    async with serving() as url:
        command = [str(programs / "node"), str(programs / "conformance"), "server", "--url", url]
        await anyio.run_process(
            [*command, "--requirements", revision, "--output-dir", str(tmp_path)], check=False, stderr=subprocess.STDOUT
        )
    ran, failed = results(tmp_path)
    assert failed == []
    assert ran >= HELD[revision]
