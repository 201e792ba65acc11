"""The scores of tool list and answers by mcp-quality 0.7.0, a scorer of MCP servers, without network access."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import TIMEOUT_S, Json

HERE = Path(__file__).parent
SERVER = f"{Path(sys.executable).parent / 'cekura-dashboards'} serve --sandbox"
INHERITED = {name: value for name, value in os.environ.items() if not name.startswith(("CEKURA_", "COV_"))}
MISSING = (
    "install mcp-quality outside this project and set QUALITY_PYTHON to its Python, and install "
    "tests/agents/package.json and set AGENTS_NODE to its folder"
)
FALSE_FINDING = ("SC2-annotation-untrue", "create_dashboard")
"""A false finding: creating overwrites nothing, so ``destructiveHint: false`` is correct."""
SAFETY_CAP = 55
"""The highest safety score with that finding."""


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache in which tiktoken finds o200k. Without the packages the test is skipped, in CI it fails."""
    node = os.environ.get("AGENTS_NODE")
    if not node or not os.environ.get("QUALITY_PYTHON"):
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    cache = tmp_path_factory.mktemp("tiktoken")
    subprocess.run(["node", str(HERE / "vocabulary.mjs"), node, str(cache)], check=True, timeout=TIMEOUT_S)  # noqa: S607 - node from PATH
    return cache


def report(tools: str, vocabulary: Path) -> Json:
    """The scorer's report on a server with these tools."""
    scorer = Path(os.environ["QUALITY_PYTHON"]).with_name("mcp-quality")
    options = ["--security", "--safety", "--json", "--stdio-timeout", str(TIMEOUT_S)]
    result = subprocess.run(
        [str(scorer), "run", f"env CEKURA_TOOLS={tools} {SERVER}", *options], capture_output=True, text=True,
        encoding="utf-8", timeout=TIMEOUT_S, check=False, env={**INHERITED, "TIKTOKEN_CACHE_DIR": str(vocabulary)},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-2000:]
    scorecard: Json = json.loads(result.stdout)
    assert scorecard["families"]["cost"]["metrics"]["counter"] == "tiktoken:o200k_base"
    return scorecard


def test_all_tools_score_well_except_for_one_false_remark(vocabulary: Path) -> None:
    scorecard = report("all", vocabulary)
    families = scorecard["families"]
    assert scorecard["overall"]["score"] >= 78
    assert families["contract"]["score"] >= 90
    assert families["security"]["score"] >= 90
    assert [(remark["code"], remark["tool"]) for remark in families["safety"]["findings"]] == [FALSE_FINDING]
    assert families["safety"]["score"] == SAFETY_CAP


def test_the_core_profile_scores_higher(vocabulary: Path) -> None:
    scorecard = report("core", vocabulary)
    assert scorecard["overall"]["score"] >= 90
    assert min(scorecard["families"][name]["score"] for name in ("contract", "security", "safety")) >= 90
