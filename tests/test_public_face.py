"""Statements of the project about itself are true."""

import re
import tomllib
from pathlib import Path

import pytest

import cekura_dashboards
import cekura_dashboards_mcp
from support import BY_NAME

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", BY_NAME)
def test_every_tool_is_in_the_readme(name: str) -> None:
    assert f"| `{name}` |" in README


def test_every_setting_is_documented_on_the_settings_page_only() -> None:
    settings = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    for name in cekura_dashboards.Settings.model_fields:
        row = f"| `CEKURA_{name.upper()}` |"
        assert row in settings
        assert row not in README


def test_token_counts_in_the_readme_match_the_benchmark() -> None:
    benchmark = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    measured = {
        "a dashboard of eight widgets": "| dashboard of 8 widgets | ",
        "a line of 10,000 calls": "| line of 10,000 calls | ",
    }
    for text, row in measured.items():
        [line] = [line for line in benchmark.splitlines() if line.startswith(row)]
        _, _, _, tokens, _, raw, _ = (cell.strip() for cell in line.split("|"))
        assert f"| {text} | {raw} tokens | {tokens} tokens |" in README


def test_the_readme_is_short_and_its_files_exist() -> None:
    assert len(README.splitlines()) < 160
    for link in re.findall(r"\]\((?!http)([^)#]+)", README):
        assert (ROOT / link).exists(), link


def test_the_public_api_equals_dunder_all() -> None:
    assert dir(cekura_dashboards) == sorted(cekura_dashboards.__all__)
    assert all(hasattr(cekura_dashboards, name) for name in cekura_dashboards.__all__)


def test_the_changelog_has_the_version_of_the_package() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_no_module_is_longer_than_600_lines() -> None:
    long = [path.name for folder in ("server", "tools", "sandbox") for path in (ROOT / folder).rglob("*.py")
            if len(path.read_text(encoding="utf-8").splitlines()) > 600]  # fmt: skip
    assert long == []


def test_one_module_imports_internals_of_the_sdk() -> None:
    internal = re.compile(r"^\s*from (mcp\.server\.mcpserver\.\w+|mcp_types)", re.MULTILINE)
    folder = Path(cekura_dashboards_mcp.__path__[0])
    users = {path.name for path in folder.rglob("*.py") if internal.search(path.read_text(encoding="utf-8"))}
    assert users == {"sdk.py"}
