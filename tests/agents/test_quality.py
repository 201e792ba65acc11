"""What a scorer of MCP servers says of the tool list and of answers: mcp-quality 0.7.0, without a network."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import TIMEOUT_S, Json

HERE = Path(__file__).parent
SERVER = f"{Path(sys.executable).parent / 'cekura-dashboards'} serve --sandbox"
KEPT = {name: value for name, value in os.environ.items() if not name.startswith(("CEKURA_", "COV_"))}
NOT_HERE = (
    "scores need mcp-quality in an environment of its own, whose Python QUALITY_PYTHON names, and the packages of "
    "tests/agents/package.json in the folder AGENTS_NODE"
)
UNTRUE = ("SC2-annotation-untrue", "create_dashboard")
"""Its remark that what creates is destructive: it overwrites nothing, so ``destructiveHint: false`` is true."""
CAP = 55
"""What it scores safety at most where it makes that remark."""


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache in which tiktoken finds o200k. Skips where the packages are not, but never in CI."""
    node = os.environ.get("AGENTS_NODE")
    if not node or not os.environ.get("QUALITY_PYTHON"):
        if os.environ.get("CI"):
            pytest.fail(NOT_HERE)
        pytest.skip(NOT_HERE)
    cache = tmp_path_factory.mktemp("tiktoken")
    subprocess.run(["node", str(HERE / "vocabulary.mjs"), node, str(cache)], check=True, timeout=TIMEOUT_S)  # noqa: S607 - as installed
    return cache


def report(tools: str, vocabulary: Path) -> Json:
    """Of a server with these tools."""
    scorer = Path(os.environ["QUALITY_PYTHON"]).with_name("mcp-quality")
    options = ["--security", "--safety", "--json", "--stdio-timeout", str(TIMEOUT_S)]
    result = subprocess.run(
        [str(scorer), "run", f"env CEKURA_TOOLS={tools} {SERVER}", *options], capture_output=True, text=True,
        encoding="utf-8", timeout=TIMEOUT_S, check=False, env={**KEPT, "TIKTOKEN_CACHE_DIR": str(vocabulary)},
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
    assert [(remark["code"], remark["tool"]) for remark in families["safety"]["findings"]] == [UNTRUE]
    assert families["safety"]["score"] == CAP


def test_the_core_profile_scores_higher(vocabulary: Path) -> None:
    scorecard = report("core", vocabulary)
    assert scorecard["overall"]["score"] >= 90
    assert min(scorecard["families"][name]["score"] for name in ("contract", "security", "safety")) >= 90
