"""Our entry in a chat client's configuration: put there, taken out, and nothing else touched."""

import json
from pathlib import Path

import pytest
from click.testing import Result
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from cekura_dashboards_mcp.clients import CLIENTS, Machine
from support import BY_NAME, Json, typed

NAMES = list(CLIENTS)
KEY = "a-key-of-mine"
OTHERS: Json = {
    "theme": "dark",
    "mcpServers": {"other": {"command": "x", "args": ["ü"]}},
    "servers": {"other": {"command": "y"}},
}


def machine(home: Path) -> Machine:
    return Machine(home, "linux", {"XDG_CONFIG_HOME": str(home / ".config")})


def path_of(name: str, home: Path) -> Path:
    return CLIENTS[name].path(machine(home))


def run(home: Path, *arguments: str, **settings: str) -> Result:
    found = {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), **settings}
    return typed("install", *arguments, environment=found)


def written(name: str, home: Path) -> Json:
    config: Json = json.loads(path_of(name, home).read_text(encoding="utf-8"))
    return config


@pytest.mark.anyio
@pytest.mark.parametrize("name", NAMES)
async def test_a_client_that_starts_what_stands_in_its_file_is_shown_the_tools(name: str, tmp_path: Path) -> None:
    done = run(tmp_path, name, "--sandbox")
    assert done.exit_code == 0, done.stderr
    entry = written(name, tmp_path)[CLIENTS[name].servers]["cekura-dashboards-sandbox"]
    assert Path(entry["command"]).is_absolute()
    server = StdioServerParameters(command=entry["command"], args=entry["args"], env=entry.get("env"))
    async with Client(server) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == {*BY_NAME}


@pytest.mark.parametrize("name", NAMES)
def test_other_entries_stay_and_the_file_before_is_kept(name: str, tmp_path: Path) -> None:
    path = path_of(name, tmp_path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(OTHERS, ensure_ascii=False), encoding="utf-8")
    path.chmod(0o640)
    before = path.read_text(encoding="utf-8")
    done = run(tmp_path, name, CEKURA_API_KEY=f" {KEY}\n", CEKURA_TIME_ZONE="Europe/Berlin")
    assert done.exit_code == 0, done.stderr
    config, servers = written(name, tmp_path), CLIENTS[name].servers
    entry = config[servers].pop("cekura-dashboards")
    assert config == OTHERS
    assert entry["env"] == {"CEKURA_API_KEY": KEY, "CEKURA_TIME_ZONE": "Europe/Berlin"}
    assert path.stat().st_mode & 0o777 == 0o640
    backup = path.with_name(path.name + ".backup")
    assert backup.read_text(encoding="utf-8") == before
    assert str(backup) in done.stdout
    assert KEY not in done.stdout + done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_installing_twice_changes_nothing_and_uninstalling_leaves_the_rest(name: str, tmp_path: Path) -> None:
    run(tmp_path, name, "--sandbox")
    first = path_of(name, tmp_path).read_bytes()
    assert path_of(name, tmp_path).stat().st_mode & 0o777 == 0o600
    run(tmp_path, name, "--sandbox")
    assert path_of(name, tmp_path).read_bytes() == first
    assert [path.name for path in path_of(name, tmp_path).parent.glob("*backup*")] == []
    assert run(tmp_path, name, "--sandbox", "--uninstall").exit_code == 0
    assert written(name, tmp_path) == {CLIENTS[name].servers: {}}
    again = run(tmp_path, name, "--sandbox", "--uninstall")
    assert (again.exit_code, "has no entry" in again.stdout) == (0, True)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"mcpServers": {\n  "a": 1,\n}}', "line 3, column 1"),
        ("// mine\n{}", "comments are not JSON"),
        ("[]", "holds no JSON object"),
        ('{"mcpServers": []}', '"mcpServers" is no JSON object'),
        (b"\xff\xfe{}", "cannot be read"),
    ],
)
def test_a_file_of_another_form_is_refused_and_left_as_it_is(content: str | bytes, said: str, tmp_path: Path) -> None:
    path = path_of("cursor", tmp_path)
    path.parent.mkdir(parents=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = path.read_bytes()
    done = run(tmp_path, "cursor", "--sandbox")
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Nothing was changed" in done.stderr
    assert path.read_bytes() == before
    assert [other.name for other in path.parent.iterdir()] == [path.name]


def test_without_a_key_nothing_is_written(tmp_path: Path) -> None:
    for settings in ({}, {"CEKURA_API_KEY": "two words"}):
        done = run(tmp_path, "cursor", **settings)
        assert done.exit_code == 2
        assert "Nothing was changed." in done.stderr
    assert not path_of("cursor", tmp_path).exists()


@pytest.mark.parametrize("name", [*NAMES, "generic"])
def test_print_shows_the_entry_without_the_key_and_changes_nothing(name: str, tmp_path: Path) -> None:
    done = run(tmp_path, name, "--print", CEKURA_API_KEY=KEY)
    [servers] = json.loads(done.stdout).values()
    assert servers["cekura-dashboards"]["args"][-1] == "serve"
    assert servers["cekura-dashboards"]["env"]["CEKURA_API_KEY"] == "your-cekura-api-key"
    assert KEY not in done.stdout + done.stderr
    assert [*tmp_path.rglob("*.json")] == []


def test_a_link_to_the_file_stays_a_link(tmp_path: Path) -> None:
    path, real = path_of("cursor", tmp_path), tmp_path / "dotfiles" / "mcp.json"
    path.parent.mkdir()
    real.parent.mkdir()
    real.write_text("{}", encoding="utf-8")
    path.symlink_to(real)
    assert run(tmp_path, "cursor", "--sandbox").exit_code == 0
    assert path.is_symlink()
    assert "cekura-dashboards-sandbox" in real.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("platform", "environment", "name", "expected"),
    [
        ("darwin", {}, "claude-desktop", "Library/Application Support/Claude/claude_desktop_config.json"),
        ("darwin", {}, "vscode", "Library/Application Support/Code/User/mcp.json"),
        ("win32", {}, "claude-desktop", "AppData/Roaming/Claude/claude_desktop_config.json"),
        ("win32", {"APPDATA": "/home/me/Roamed"}, "vscode", "Roamed/Code/User/mcp.json"),
        ("linux", {}, "claude-desktop", ".config/Claude/claude_desktop_config.json"),
        ("linux", {"XDG_CONFIG_HOME": "/home/me/x"}, "vscode", "x/Code/User/mcp.json"),
        ("win32", {}, "claude-code", ".claude.json"),
        ("darwin", {}, "cursor", ".cursor/mcp.json"),
    ],
)
def test_files_are_where_each_system_has_them(
    platform: str, environment: dict[str, str], name: str, expected: str
) -> None:
    found = CLIENTS[name].path(Machine(Path("/home/me"), platform, environment))
    assert found == Path("/home/me") / expected
