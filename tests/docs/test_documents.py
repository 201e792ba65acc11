"""Every command, JSON block and program in the README and the pages runs, and generated pages are up to date."""

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from cekura_dashboards import TOOLS
from cekura_dashboards.boards import plan_board, read_board
from cekura_dashboards_mcp.cli.main import main
from support import TIMEOUT_S, Json, new_sandbox, open_tools, run_cli, run_program, sandbox_address

ROOT = Path(__file__).parents[2]
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
         for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]}  # fmt: skip
GENERATED_PAGES = {"docs/tools.md", "docs/filters.md"}
"""Pages that are generated from the code: they are regenerated and compared."""
INSTALL_COMMANDS = ("python3 -m venv", "pipx install", "uv tool install")
"""Prefixes of commands that install something; .ci/run and noxfile.py run them as the pages print them."""
COMMANDS_IN_CI = [
    *re.findall(r"grep -m1 '([^']+)'", (ROOT / ".ci" / "run").read_text(encoding="utf-8")),
    *re.findall(r'command_in\("[^"]+", "([^"]+)"\)', (ROOT / "noxfile.py").read_text(encoding="utf-8")),
]
"""The patterns by which those two find each such line."""
HERE = Path(sys.executable).parent
DEMO = "cekura-dashboards demo"
"""``tests/cli/test_main.py`` runs it, and checks the conversation."""


def blocks(language: str, *, excluding: set[str] = GENERATED_PAGES) -> list[Any]:
    """The fenced blocks of a language, each with its page."""
    pattern = re.compile(rf"```{language}\n(.*?)```", re.DOTALL)
    return [
        pytest.param(match[1], id=f"{page}:{text[: match.start()].count(chr(10)) + 1}")
        for page, text in PAGES.items()
        for match in pattern.finditer(text)
        if page not in excluding
    ]


def lines_of(block: str) -> list[str]:
    """The commands of a block, without comments."""
    return [line.partition(" #")[0].strip() for line in block.splitlines()]


def is_server(line: str) -> bool:
    return " serve --http" in line or line.startswith("cekura-dashboards sandbox")


def is_independent(line: str) -> bool:
    """Whether a command has the same effect on every page, because it depends on no earlier command."""
    return is_server(line) or ("--sandbox" in line and " install " not in line)


INDEPENDENT = sorted({line for block in blocks("sh") for line in lines_of(block.values[0]) if is_independent(line)})


@pytest.fixture(scope="module")
def address() -> Generator[str]:
    """The address of a running sandbox."""
    with sandbox_address(2000) as address:
        yield address


@pytest.fixture
def environment(address: str, tmp_path: Path) -> dict[str, str]:
    """The environment of a reader, with a key and an empty home folder."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CEKURA_", "COV_"))}
    path = os.pathsep.join([str(HERE), os.environ["PATH"]])
    own = {"PATH": path, "HOME": str(tmp_path), "CEKURA_BASE_URL": address, "CEKURA_API_KEY": "sandbox"}
    return {**inherited, **own, "XDG_CONFIG_HOME": str(tmp_path / ".config")}


@pytest.mark.parametrize("page", PAGES)
def test_every_documented_installation_is_from_a_clone(page: str) -> None:
    sources = re.findall(r"(?:pipx|tool) install ['\"]?([^\s'\"`]+)", PAGES[page])
    assert [source for source in sources if not source.startswith((".", "dist/"))] == []


@pytest.mark.parametrize("block", blocks("sh"))
def test_documented_shell_commands_succeed(block: str, environment: dict[str, str], tmp_path: Path) -> None:
    for line in lines_of(block):
        if line.startswith(INSTALL_COMMANDS):
            assert any(part in line for part in COMMANDS_IN_CI), line
        elif line != DEMO and not is_independent(line):
            _succeeds(line, environment, tmp_path)


@pytest.mark.parametrize("line", INDEPENDENT)
def test_documented_servers_and_sandbox_commands_succeed(
    line: str, environment: dict[str, str], tmp_path: Path
) -> None:
    """Each command runs once, even if several pages show it."""
    if is_server(line):
        _serves(line, environment)
    else:
        _succeeds(line, environment, tmp_path)


def _succeeds(line: str, environment: dict[str, str], folder: Path) -> None:
    """Run a command that ends: one of this program in this process, any other in the reader's shell."""
    if line.startswith("cekura-dashboards "):
        command, _, file = line.partition(" > ")
        result = run_cli(*shlex.split(command)[1:], folder=folder, environment=environment)
        assert result.exit_code == 0, (line, result.output)
        if file:
            (folder / file).write_bytes(result.stdout_bytes)
        return
    completed = subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8",  # noqa: S607 - the reader's shell
        timeout=TIMEOUT_S, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert completed.returncode == 0, (line, completed.stdout, completed.stderr)


def _serves(line: str, environment: dict[str, str]) -> None:
    """Start a server on a free port, and send it a request."""
    command = [word.replace(":8000", ":0") for word in shlex.split(line)]
    command = ["0" if before == "--port" else word for before, word in zip(["", *command], command, strict=False)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        url = next(word.rstrip(".") for word in said.split() if word.startswith("http"))
        try:
            answer = httpx.get(f"{url.removesuffix('/mcp')}/healthz" if "serve" in line else url)
            assert answer.status_code in ({200} if "serve" in line else {401, 403, 404})
        finally:
            process.terminate()


@pytest.mark.anyio
@pytest.mark.parametrize("block", blocks("json"))
async def test_documented_json_is_valid(block: str) -> None:
    result: Json = json.loads(block)
    if "mcpServers" in result:
        example: Json = json.loads((ROOT / "claude_desktop_config.example.json").read_text(encoding="utf-8"))
        assert result["mcpServers"].items() <= example["mcpServers"].items()  # tests/cli/test_main.py starts these
        return
    async with open_tools(new_sandbox()) as (context, _):
        [step] = (await plan_board(context, read_board(block))).steps
    assert step.tool == "create_dashboard"


@pytest.mark.parametrize("block", blocks("python", excluding={"docs/agents.md"}))
def test_documented_python_programs_run(block: str, environment: dict[str, str], tmp_path: Path) -> None:
    assert "Booking agent" in run_program(block, tmp_path, environment)


@pytest.mark.parametrize("block", blocks("yaml"))
def test_documented_pipelines_are_valid_and_their_commands_succeed(
    block: str, environment: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "pipeline.yml"
    file.write_text(block, encoding="utf-8")
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(file)],
        capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout
    boards = tmp_path / "boards"
    boards.mkdir()
    [board] = re.findall(r"```json\n(.*?)```", PAGES["docs/boards.md"], re.DOTALL)
    (boards / "latency.json").write_text(board, encoding="utf-8")
    steps = [step["run"] for step in yaml.safe_load(block)["jobs"]["boards"]["steps"] if "run" in step]
    for line in [step for step in steps if not step.startswith("pipx")]:
        result = subprocess.run(
            ["bash", "-ec", line], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S,  # noqa: S607 - the runner's shell
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
    receipts = json.loads((boards / "latency.json.receipt").read_text(encoding="utf-8"))["receipts"]
    assert [receipt["outcome"] for receipt in receipts] == ["applied"]


@pytest.mark.anyio
async def test_generated_pages_are_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("make_pages", ROOT / "docs" / "make_pages.py")
    assert spec is not None
    assert spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    pages: dict[str, str] = await maker.pages()
    assert {f"docs/{name}" for name in pages} == GENERATED_PAGES
    for name, text in pages.items():
        assert text == PAGES[f"docs/{name}"], f"docs/{name} is out of date: run docs/make_pages.py"


def test_every_tool_is_on_the_tools_page() -> None:
    headings = re.findall(r"^## (\w+)$", PAGES["docs/tools.md"], re.MULTILINE)
    assert {*headings} == {tool.name for tool in TOOLS}


def test_links_between_pages_are_valid() -> None:
    for page in [*ROOT.glob("*.md"), *(ROOT / name for name in PAGES)]:
        for link in re.findall(r"\]\((?!http)([^)#]+)", page.read_text(encoding="utf-8")):
            assert page.parent.joinpath(link).exists(), (page, link)


def test_every_page_is_reachable_from_the_readme() -> None:
    observed, waiting = {"README.md"}, ["README.md"]
    while waiting:
        page = waiting.pop()
        for link in re.findall(r"\]\((?!http)([^)#]+\.md)", PAGES[page]):
            target = (ROOT / page).parent.joinpath(link).resolve().relative_to(ROOT).as_posix()
            if target in PAGES and target not in observed:
                observed.add(target)
                waiting.append(target)
    assert observed == {*PAGES}


def test_the_errors_page_quotes_existing_messages() -> None:
    folders = [ROOT / "tools" / "cekura_dashboards", ROOT / "server" / "cekura_dashboards_mcp"]
    source = " ".join(path.read_text(encoding="utf-8") for folder in folders for path in folder.rglob("*.py"))
    source = re.sub(r'"\s+f?"', "", source)  # texts that span several lines
    for row in re.findall(r"^\| (?!it says|---)(.+?) \|", PAGES["docs/errors.md"], re.MULTILINE):
        for part in row.split("…"):
            assert part.strip() in source, row


def test_the_settings_page_names_every_command() -> None:
    commands = re.search(r"## Commands\n(.*?)\n\n`", PAGES["docs/settings.md"], re.DOTALL)
    assert commands is not None
    assert {*re.findall(r"`(\w+)`", commands[1])} >= {*main.commands}


def test_the_security_page_names_existing_tests() -> None:
    named = re.findall(r"`([\w/]+\.py)`", PAGES["docs/security.md"])
    assert len(named) > 15
    assert [name for name in named if not (ROOT / "tests" / name).exists()] == []
