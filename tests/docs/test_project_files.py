"""Files that contributors rely on: sessions, hooks, forms, and the list of files in a release."""

import ast
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from support import TIMEOUT_S, Json

ROOT = Path(__file__).parents[2]
TRACKED = subprocess.run(
    ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True,  # noqa: S607 - the developer's git
).stdout.rstrip("\0").split("\0")  # fmt: skip
YAML = [name for name in TRACKED if name.endswith((".yaml", ".yml"))]
FORMS = [name for name in YAML if name.startswith(".github/ISSUE_TEMPLATE/")]
HOOKS: list[Json] = [
    hook
    for repository in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    for hook in repository["hooks"]
]


def sessions_of_nox() -> set[str]:
    """The functions of noxfile.py that are sessions; parsed, because tests run without nox."""
    module = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    functions = [node for node in module.body if isinstance(node, ast.FunctionDef)]
    return {node.name for node in functions if any("nox.session" in ast.unparse(item) for item in node.decorator_list)}


def sessions_named_in(text: str) -> set[str]:
    """The session after each ``nox -s``, without the Python version."""
    commands: list[str] = re.findall(r'nox -s ((?:"?[a-z][\w$.-]*"? ?)+)', text)
    return {name.strip('"').partition("-")[0] for command in commands for name in command.split()}


def test_ci_runs_every_nox_session_except_docs() -> None:
    sessions = sessions_named_in((ROOT / ".ci" / "run").read_text(encoding="utf-8"))
    assert sessions == sessions_of_nox() - {"docs"}


@pytest.mark.parametrize("name", ["noxfile.py", *(name for name in TRACKED if name.endswith(".md"))])
def test_pages_name_existing_nox_sessions(name: str) -> None:
    assert sessions_named_in((ROOT / name).read_text(encoding="utf-8")) <= sessions_of_nox()


@pytest.mark.parametrize("name", YAML)
def test_yaml_files_are_valid(name: str) -> None:
    assert [*yaml.safe_load_all((ROOT / name).read_text(encoding="utf-8"))]


@pytest.mark.parametrize("hook", HOOKS, ids=[hook["id"] for hook in HOOKS])
def test_hooks_run_programs_of_the_development_environment(hook: Json) -> None:
    assert hook["language"] == "system"
    program = Path(shlex.split(hook["entry"])[0])
    assert program.parent == Path(".venv/bin")
    assert (Path(sys.executable).parent / program.name).exists()


def test_hooks_are_local() -> None:
    config: Json = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert {repository["repo"] for repository in config["repos"]} == {"local"}


@pytest.mark.parametrize("name", FORMS)
def test_issue_forms_are_valid_and_ask_for_all_details(name: str) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-issue-forms"]
    result = subprocess.run(
        [*command, str(ROOT / name)], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert result.returncode == 0, result.stdout
    form: Json = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    assert {item.get("id") for item in form["body"]} >= {"version", "client", "doctor", "input", "output"}
    assert any("`cekura-dashboards doctor`" in item["attributes"].get("description", "") for item in form["body"])


def test_a_source_distribution_contains_all_tracked_files() -> None:
    hatch = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    contents = {name.removeprefix("/") for name in hatch["sdist"]["include"]} | {".gitignore", "pyproject.toml"}
    assert {name.partition("/")[0] for name in TRACKED} <= contents


def test_the_security_policy_contains_no_address() -> None:
    assert not re.search(r"https?://|\w@\w", (ROOT / "SECURITY.md").read_text(encoding="utf-8"))
