"""The files published with the wheel all name the same version."""

import json
import os
import re
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import jsonschema
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from cekura_dashboards import Settings
from support import BY_NAME, TIMEOUT_S, Json

ROOT = Path(__file__).parents[2]
SCHEMA: Json = json.loads((ROOT / "tests" / "facts" / "server_json_schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all published files."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, str(ROOT / "deploy" / "package.py"), str(folder)], check=True, timeout=TIMEOUT_S)
    return folder


def read(folder: Path, name: str) -> Json:
    result: Json = json.loads((folder / name).read_text(encoding="utf-8"))
    return result


def test_the_registry_entry_matches_its_schema_with_a_secret_key(made: Path) -> None:
    entry = read(made, "server.json")
    jsonschema.validate(entry, SCHEMA)
    [package] = entry["packages"]
    assert entry["version"] == package["version"] == version("cekura-dashboards-mcp")
    variables = {variable["name"]: variable for variable in package["environmentVariables"]}
    assert variables["CEKURA_API_KEY"]["isSecret"]
    assert {name.removeprefix("CEKURA_").lower() for name in variables} <= {*Settings.model_fields}


@pytest.mark.parametrize(
    "broken",
    [{"name": "no-namespace"}, {"description": "x" * 101}, {"packages": [{"registryType": "pypi"}]}, {"version": 1}],
)
def test_invalid_registry_entries_are_detected(made: Path, broken: Json) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(read(made, "server.json") | broken, SCHEMA)


def test_a_script_has_the_name_of_the_package_for_uvx() -> None:
    scripts = re.search(r"\[project\.scripts\]\n((?:.+\n)+)", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert scripts is not None
    assert "cekura-dashboards-mcp = " in scripts[1]


def test_the_bundle_contains_the_project_and_marks_the_key_as_secret(made: Path) -> None:
    manifest = read(made, "manifest.json")
    assert manifest["version"] == version("cekura-dashboards-mcp")
    assert manifest["user_config"]["api_key"]["sensitive"]
    assert [tool["name"] for tool in manifest["tools"]] == list(BY_NAME)
    with zipfile.ZipFile(made / "cekura-dashboards-mcp.mcpb") as archive:
        names = {*archive.namelist()}
        assert json.loads(archive.read("manifest.json")) == manifest
    assert {manifest["server"]["entry_point"], "pyproject.toml", "tools/cekura_dashboards/__init__.py"} <= names
    assert not [name for name in names if name.startswith(("tests", "docs", "."))]
    environment = manifest["server"]["mcp_config"]["env"]
    requested = {name for text in environment.values() for name in re.findall(r"\$\{user_config\.(\w+)\}", text)}
    assert requested == {*manifest["user_config"]}
    assert {name.removeprefix("CEKURA_").lower() for name in environment} <= {*Settings.model_fields}


@pytest.mark.anyio
async def test_the_bundle_starts_with_the_settings_of_a_host(made: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(made / "cekura-dashboards-mcp.mcpb") as archive:
        archive.extractall(tmp_path)
    manifest = read(made, "manifest.json")
    config = manifest["server"]["mcp_config"]
    user_config = {"api_key": "a-key", "time_zone": "UTC", "read_only": "true"}
    filled = {
        name: re.sub(r"\$\{user_config\.(\w+)\}", lambda match: user_config[match[1]], text)
        for name, text in config["env"].items()
    }
    # uv would install the bundle's project: here its sources run in this environment
    path = os.pathsep.join(str(tmp_path / folder) for folder in ("server", "tools", "sandbox"))
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "cekura_dashboards_mcp", config["args"][-1]],
        env={**filled, "PYTHONPATH": path},
    )  # fmt: skip
    async with Client(server) as client:
        listed = {tool.name for tool in (await client.list_tools()).tools}
    assert listed == {name for name, tool in BY_NAME.items() if not tool.writes and name != "preview_edit"}
