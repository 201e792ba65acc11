"""The steps of CONTRIBUTING to add a tool, followed word for word in a copy of the project."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from support import TIMEOUT_S

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
_, STEPS = PAGE.split("## Add a tool")
NAME = "count_widgets"
FOLDERS = (".ci", "benchmarks", "docs", "sandbox", "server", "tests", "tools")
EVERY_TOOL = [
    "tests/test_public_face.py",
    "tests/test_round_trips.py",
    "tests/faults/test_fault_table.py::test_every_tool_is_in_the_fault_table",
    "tests/faults/test_nullable_fields.py",
    "tests/faults/test_projects_only.py",
    "tests/arguments/test_schemas.py",
    "tests/arguments/test_wrong_input.py",
    "tests/docs/test_documents.py::test_every_tool_is_on_the_tools_page",
]
"""Tests of the whole catalogue."""


def blocks(language: str) -> list[str]:
    return [dedent(text) for text in re.findall(rf"^ +```{language}\n(.*?)^ +```", STEPS, re.MULTILINE | re.DOTALL)]


def run(folder: Path, *command: str) -> str:
    """The output of a command in which the copy's packages precede the installed ones."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CEKURA_", "COV_"))}
    roots = [folder / name for name in ("tools", "server", "sandbox")]
    environment["PYTHONPATH"] = os.pathsep.join(map(str, roots))
    environment["HYPOTHESIS_STORAGE_DIRECTORY"] = str(ROOT / ".hypothesis")  # with its cached character tables
    result = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8",
        timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    assert result.returncode == 0, (command, result.stdout, result.stderr)
    return result.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project after the steps."""
    folder = tmp_path_factory.mktemp("project")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("node_modules"))
    for path in [*ROOT.glob("*.md"), ROOT / "pyproject.toml", ROOT / "noxfile.py"]:
        shutil.copy(path, folder)
    module, test = blocks("python")
    paths = re.findall(rf"^\d\. Write .*?`([\w/]+/(?:test_)?{NAME}\.py)`", STEPS, re.MULTILINE)
    for path, text in zip(paths, (module, test), strict=True):
        (folder / path).write_text(text, encoding="utf-8")
    catalogue = folder / "tools" / "cekura_dashboards" / "catalogue" / "__init__.py"
    text = catalogue.read_text(encoding="utf-8")
    text = text.replace("    create_dashboard,\n", f"    {NAME},\n    create_dashboard,\n", 1)
    text = text.replace("    look_up.TOOL,\n", f"    look_up.TOOL,\n    {NAME}.TOOL,\n", 1)
    catalogue.write_text(text, encoding="utf-8")
    [row] = blocks("markdown")
    readme = folder / "README.md"
    text = readme.read_text(encoding="utf-8")
    readme.write_text(text.replace("| `look_up` |", f"{row}| `look_up` |", 1), encoding="utf-8")
    _update_goldens(folder)
    return folder


def _update_goldens(folder: Path) -> None:
    """Run the commands of the last step."""
    [commands] = blocks("sh")
    for line in commands.replace("\\\n", "").splitlines():
        program, *arguments = shlex.split(line)
        assert program == ".venv/bin/python"
        run(folder, *arguments)


@pytest.mark.no_cover
def test_a_tool_added_as_documented_passes_the_tests_of_every_tool(project: Path) -> None:
    chosen = f"every_tool or size_of_tool_definitions or {NAME}"
    unused = ["-p", "no:cacheprovider", "-p", "no:schemathesis.pytest.plugin"]  # the selected tests need neither
    run(project, "-m", "pytest", "-q", *unused, "-k", chosen, *EVERY_TOOL)
    assert f'"{NAME}"' in (project / "server" / "cekura_dashboards_mcp" / "protocol" / "tools.json").read_text(
        encoding="utf-8"
    )
    golden = (project / "tests" / "golden" / f"{NAME}.txt").read_text(encoding="utf-8")
    assert re.fullmatch(r"dashboard 11: \d+ widgets, \d+ with filters of their own\n", golden)


def test_a_tool_added_as_documented_can_be_called(project: Path) -> None:
    answer = run(project, "-m", "cekura_dashboards_mcp", "call", NAME, '{"dashboard_id": 12}', "--sandbox")
    assert answer.startswith("dashboard 12: ")


def test_folders_named_in_contributing_exist() -> None:
    before, _ = PAGE.split("## Add a tool")
    paths = re.findall(r"(?:tests|docs)/[\w/.]+\w", before)
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
