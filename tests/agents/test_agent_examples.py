"""The examples of docs/agents.md run as printed, with a scripted model where they need one."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support import BY_NAME, TIMEOUT_S, Json, run_program, sandbox_address, separate_install

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "agents.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
FRAMEWORKS = ["pydantic_ai", "langchain", "openai_agents"]
HERE = Path(sys.executable).parent
INHERITED = {name: value for name, value in os.environ.items() if not name.startswith(("CEKURA_", "COV_"))}


@pytest.fixture(scope="module")
def frameworks() -> str:
    """The path of the Python in which the frameworks are installed."""
    return separate_install("AGENTS_PYTHON", "docs/agents-requirements.txt")


def test_the_agents_page_has_an_example_for_each_framework() -> None:
    assert len(EXAMPLES) == 1 + len(FRAMEWORKS)


@pytest.mark.parametrize(("framework", "example"), [*zip(FRAMEWORKS, EXAMPLES[1:], strict=True)])
def test_examples_call_the_server_through_their_framework(
    framework: str, example: str, frameworks: str, tmp_path: Path
) -> None:
    file = tmp_path / "example.py"
    file.write_text(example, encoding="utf-8")
    result = subprocess.run(
        [frameworks, str(Path(__file__).with_name("scripted.py")), framework, str(file)], capture_output=True,
        text=True, timeout=TIMEOUT_S, check=False, env={**INHERITED, "PATH": os.pathsep.join([str(HERE), os.environ["PATH"]])},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-2000:]
    summary: Json = json.loads(result.stdout.splitlines()[-1])
    assert set(summary["tools"]) == {*BY_NAME}
    assert summary["said"] == "Done."
    assert "Operations overview" in summary["answers"][0]
    if framework == "openai_agents":
        assert summary["strict"] == summary["tools"]


def test_the_plain_example_reads_previews_edits_and_undoes(tmp_path: Path) -> None:
    with sandbox_address(2000) as address:
        settings = {"CEKURA_BASE_URL": address, "CEKURA_API_KEY": "sandbox"}
        output = run_program(EXAMPLES[0], tmp_path, settings)
    for line in (
        "This week at a glance ",
        'unsaved widget "Latency p95"',
        'delete 206 "Topics"',
        'create 222 "Topics"',
        "No dashboard 99 for this key.",
    ):
        assert line in output
    assert output.count("Done. dashboard 11") == 2
