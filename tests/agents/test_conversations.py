"""A conversation of five calls through each framework and profile: undo reverts the edit."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from cekura_dashboards_mcp.protocol.profiles import CORE
from support import BY_NAME, TIMEOUT_S, Json, separate_install

HERE = Path(__file__).parent
SERVER = [str(Path(sys.executable).parent / "cekura-dashboards"), "serve", "--sandbox"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("CEKURA_", "COV_"))}
PROFILES: dict[str, Collection[str]] = {"": BY_NAME, "core": CORE}
"""The tools of each profile; the profile without a name has all tools."""
FRAMEWORKS = {
    "openai-agents": "AGENTS_PYTHON", "pydantic-ai": "AGENTS_PYTHON", "langchain": "AGENTS_PYTHON", "fastmcp": "FASTMCP_PYTHON",
    "langchain-js": "AGENTS_NODE", "ai-sdk": "AGENTS_NODE",
}  # fmt: skip
NEEDED = {
    "AGENTS_PYTHON": "docs/agents-requirements.txt", "FASTMCP_PYTHON": "tests/agents/fastmcp-requirements.txt",
    "AGENTS_NODE": "tests/agents/package.json",
}  # fmt: skip


def conversations(framework: str) -> dict[str, Json]:
    """For each profile: the tools that the framework offered, and the answers as it passed them to its model."""
    variable = FRAMEWORKS[framework]
    in_node = variable == "AGENTS_NODE"
    place = separate_install(variable, NEEDED[variable])
    command = ["node", str(HERE / "conversation.mjs"), place] if in_node else [place, str(HERE / "conversation.py")]
    result = subprocess.run(
        [*command, framework, ",".join(PROFILES), *SERVER], capture_output=True, text=True, encoding="utf-8",
        timeout=TIMEOUT_S, check=False, env=ENVIRONMENT,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-2000:]
    conversations: dict[str, Json] = json.loads(result.stdout.splitlines()[-1])
    return conversations


UNDO = re.compile(r'^undo: |"undo": ', re.MULTILINE)


def as_text(answer: Any) -> str:
    """The answer as text: some frameworks pass text to their model, others the structured content."""
    return answer if isinstance(answer, str) else json.dumps(answer)


def widgets_in(answer: str) -> set[int]:
    """The ids of the widgets in an answer."""
    return {int(number) for number in re.findall(r'(?:\bwidget |"id": )(\d+)', answer)}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_frameworks_can_delete_with_a_plan_and_undo(framework: str) -> None:
    for profile, conversation in conversations(framework).items():
        assert {*conversation["tools"]} == {*PROFILES[profile]}
        before, unconfirmed, deleted, restored, after = map(as_text, conversation["answers"])
        assert "plan_id" in unconfirmed
        assert not UNDO.search(unconfirmed)
        assert UNDO.search(deleted)
        assert "Done." in restored or '"applied"' in restored
        assert widgets_in(before) - widgets_in(after) == {211}
        assert widgets_in(after) - widgets_in(before) == {221}
