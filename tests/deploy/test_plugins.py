"""The plugins in the repository are up to date, and the real clients accept them."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from support import TIMEOUT_S, Json, separate_install

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "skills.md").read_text(encoding="utf-8")
MANIFESTS = {
    ".claude-plugin/plugin.json": "${CLAUDE_PLUGIN_ROOT}", ".cursor-plugin/plugin.json": "${CURSOR_PLUGIN_ROOT}",
    ".codex-plugin/plugin.json": ".", ".github/plugin/plugin.json": "${PLUGIN_ROOT}", "gemini-extension.json": "${extensionPath}",
}  # fmt: skip
"""Each client's name for the folder of a plugin. Sources: their references; for Codex the output of `mcp list`."""
MARKETPLACES = [
    ".claude-plugin/marketplace.json",
    ".agents/plugins/marketplace.json",
    ".github/plugin/marketplace.json",
]
SKILLS = [f"skills/{name}/SKILL.md" for name in sorted(
    file.parent.name for file in (ROOT / "server" / "cekura_dashboards_mcp" / "skills").glob("*/SKILL.md")
)]  # fmt: skip
CURSOR_FIELDS = {
    "name", "displayName", "description", "version", "author", "publisher", "homepage", "repository", "license", "logo",
    "keywords", "category", "tags", "commands", "agents", "skills", "rules", "hooks", "variables", "mcpServers",
}  # fmt: skip
"""All fields of Cursor's manifest schema, as Cursor has no validator.

Source: its public repository of plugins, schemas/plugin.schema.json.
"""


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plugin that contains only generated files."""
    folder = tmp_path_factory.mktemp("plugin")
    command = [sys.executable, str(ROOT / "deploy" / "package.py"), "plugins", str(folder)]
    subprocess.run(command, check=True, timeout=TIMEOUT_S)
    return folder


def read(name: str) -> Json:
    result: Json = json.loads((ROOT / name).read_text(encoding="utf-8"))
    return result


def test_plugins_in_the_repository_are_up_to_date(generated: Path) -> None:
    names = {file.relative_to(generated).as_posix() for file in generated.rglob("*") if file.is_file()}
    assert names == {*MANIFESTS, *MARKETPLACES, *SKILLS}
    changed = [name for name in names if (ROOT / name).read_bytes() != (generated / name).read_bytes()]
    assert changed == [], "run: python deploy/package.py plugins ."


@pytest.mark.parametrize(("name", "folder"), MANIFESTS.items())
def test_plugin_manifests_have_the_version_and_no_key(name: str, folder: str) -> None:
    manifest = read(name)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (manifest["version"], manifest["description"]) == (project["version"], project["description"])
    [(server, entry)] = manifest["mcpServers"].items()
    assert (server, entry["command"]) == ("cekura-dashboards", "uvx")
    assert entry["args"] == ["--from", folder, "cekura-dashboards", "serve"]
    assert "cekura-dashboards" in project["scripts"]
    values = entry.get("env", {})
    assert all(re.fullmatch(r"\$\{[\w.:]+\}", value) for value in values.values())
    assert "CEKURA_API_KEY" in {*values, *entry.get("env_vars", [])}


def test_the_gemini_extension_asks_for_the_key_as_a_secret() -> None:
    assert read(".claude-plugin/plugin.json")["userConfig"]["api_key"]["sensitive"]
    [setting] = read("gemini-extension.json")["settings"]
    assert (setting["envVar"], setting["sensitive"]) == ("CEKURA_API_KEY", True)


@pytest.mark.parametrize("name", MARKETPLACES)
def test_marketplaces_offer_the_plugin_of_their_own_folder(name: str) -> None:
    [plugin] = read(name)["plugins"]
    source = plugin["source"]
    assert plugin["name"] == read(".claude-plugin/plugin.json")["name"]
    assert (source if isinstance(source, str) else source["path"]) == "./"


def test_the_cursor_manifest_has_only_fields_of_its_schema() -> None:
    manifest = read(".cursor-plugin/plugin.json")
    assert {*manifest} <= CURSOR_FIELDS
    assert re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", manifest["name"])
    assert {*manifest["author"]} <= {"name", "email"}
    assert (ROOT / manifest["skills"]).is_dir()


class Clients:
    """Clients installed from npm, with a separate home folder."""

    def __init__(self, folder: str, home: Path) -> None:
        self.programs = Path(folder) / "node_modules" / ".bin"
        ours = {"HOME": str(home), "USERPROFILE": str(home), "NO_COLOR": "1", "DISABLE_AUTOUPDATER": "1"}
        inherited = {
            name: value for name, value in os.environ.items() if name in {"PATH", "SYSTEMROOT", "TMPDIR", "TEMP"}
        }
        self.environment = {**inherited, **ours}

    def run(self, program: str, *arguments: str, folder: Path, stdin: str = "") -> str:
        """The output of a command."""
        result = subprocess.run(
            [str(self.programs / program), *arguments], cwd=folder, env=self.environment, input=stdin,
            capture_output=True, text=True, encoding="utf-8", timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout + result.stderr


@pytest.fixture
def clients(tmp_path: Path) -> Clients:
    return Clients(separate_install("CLIENTS_NODE", "tests/clients/package.json"), tmp_path)


@pytest.mark.parametrize("name", [".claude-plugin/plugin.json", ".claude-plugin/marketplace.json"])
def test_claude_code_validates_its_manifests(clients: Clients, generated: Path, name: str) -> None:
    assert "Validation passed" in clients.run("claude", "plugin", "validate", "--strict", name, folder=generated)


def test_gemini_validates_and_installs_the_extension(clients: Clients, generated: Path) -> None:
    assert "successfully validated" in clients.run("gemini", "extensions", "validate", ".", folder=generated)
    [command] = re.findall(r"`gemini (extensions [^`]+)`", PAGE)
    trust = "y\n"  # Gemini CLI asks whether the folder is trusted
    clients.run("gemini", *command.split(), "--consent", "--skip-settings", folder=generated, stdin=trust)
    listed = clients.run("gemini", "extensions", "list", folder=generated)
    assert "MCP servers:\n  cekura-dashboards" in listed
    assert [name for name in SKILLS if Path(name).parent.name not in listed] == []


@pytest.mark.parametrize(
    ("client", "shown"),
    [
        ("claude", "plugin details cekura-dashboards"),
        ("codex", "mcp list --json"),
        ("copilot", "mcp get cekura-dashboards"),
    ],
)
def test_clients_install_the_plugin_with_the_documented_commands(
    clients: Clients, generated: Path, client: str, shown: str
) -> None:
    commands = re.findall(rf"`{client} (plugin [^`]+)`", PAGE)
    assert len(commands) == 2
    for command in commands:
        clients.run(client, *command.split(), folder=generated)
    text = clients.run(client, *shown.split(), folder=generated)
    if client == "claude":  # does not count servers in the manifest
        assert "Skills (5)" in text
    elif client == "codex":
        [server] = json.loads(text[text.index("[\n") : text.rindex("]") + 1])
        installed = Path(server["transport"]["cwd"])  # where uvx looks for the server
        assert server["transport"]["args"] == ["--from", ".", "cekura-dashboards", "serve"]
        assert sorted(file.relative_to(installed).as_posix() for file in installed.glob("skills/*/SKILL.md")) == SKILLS
    else:
        assert "uvx --from ${PLUGIN_ROOT} cekura-dashboards serve" in text
        listed = clients.run(client, "skill", "list", folder=generated)
        assert [name for name in SKILLS if Path(name).parent.name not in listed] == []
