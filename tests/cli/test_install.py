"""Our entry in a chat client's configuration: put there, taken out, and nothing else touched."""

import json
import os
from pathlib import Path

import pytest
from click.testing import Result
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from cekura_dashboards import Settings
from cekura_dashboards.settings import variables
from cekura_dashboards_mcp.cli.install import CLIENTS, Machine
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
    moved = dict.fromkeys(("CLAUDE_CONFIG_DIR", "VSCODE_PORTABLE", "VSCODE_APPDATA"), "")
    found = {**moved, "HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), **settings}
    return typed("install", *arguments, environment=found)


def open_to_others(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir() if file.stat().st_mode & 0o077]


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
    before = path.read_text(encoding="utf-8")
    done = run(tmp_path, name, CEKURA_API_KEY=f" {KEY}\n", CEKURA_TIME_ZONE="Europe/Berlin")
    assert done.exit_code == 0, done.stderr
    config, servers = written(name, tmp_path), CLIENTS[name].servers
    entry = config[servers].pop("cekura-dashboards")
    assert config == OTHERS
    assert entry["env"] == {"CEKURA_API_KEY": KEY, "CEKURA_TIME_ZONE": "Europe/Berlin"}
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
        ("// mine\n{}", "(Cursor reads no comments or trailing commas)"),
        ("[]", "holds no JSON object. Nothing was changed."),
        ('{"mcpServers": []}', '"mcpServers" is no JSON object'),
        (b"\xff\xfe{}", "cannot be read: it is UTF-16. Save it as UTF-8."),
        (b'{"a": "\xe4"}', "cannot be read: it is not UTF-8. Save it as UTF-8."),
        ('{"mcpServers": {"a": {}},\n"mcpServers": {"b": {}}}', 'holds "mcpServers" 2 times, in lines 1 and 2'),
        (
            '{"mcpServers": {"cekura-dashboards-sandbox": {}, "cekura-dashboards-sandbox": {}}}',
            'holds "cekura-dashboards-sandbox" 2 times',
        ),
        ('{"a": ' * 500 + "1" + "}" * 500, "nested more than 100 levels deep"),
        ('{"a": ' + "1" * 5000 + "}", "a number of more than 4300 digits"),
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
    for settings in ({}, *({"CEKURA_API_KEY": key} for key in ("two words", "", " ", "\t\n", "your-cekura-api-key"))):
        done = run(tmp_path, "cursor", **settings)
        assert done.exit_code == 2
        assert "Nothing was changed." in done.stderr
    assert not path_of("cursor", tmp_path).exists()


def test_a_setting_with_which_the_server_would_not_start_is_refused_without_its_password(tmp_path: Path) -> None:
    for option in ("--print", "--sandbox --uninstall", ""):
        done = run(
            tmp_path, "cursor", *option.split(), CEKURA_API_KEY=KEY, CEKURA_BASE_URL="https://me:hidden@api.example"
        )
        assert "hidden" not in done.output
        assert (done.exit_code == 0) == ("--uninstall" in option)
    assert not path_of("cursor", tmp_path).exists()


SECRETS = {name: f"secret-{place}-" + "s" * 40 for place, name in enumerate(variables(Settings, secret=True))}


@pytest.mark.parametrize("name", [*NAMES, "generic"])
def test_print_shows_no_setting_that_is_secret(name: str, tmp_path: Path) -> None:
    assert {"CEKURA_API_KEY", "CEKURA_STATE_KEYS"} <= {*SECRETS}
    done = run(tmp_path, name, "--print", **SECRETS, CEKURA_WEEKEND="fri")
    [servers] = json.loads(done.stdout).values()
    environment = servers["cekura-dashboards"]["env"]
    assert environment["CEKURA_WEEKEND"] == "fri"
    assert {*SECRETS} <= {*environment}
    assert not [value for value in SECRETS.values() if value in done.output]


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


@pytest.mark.parametrize("mode", [0o644, 0o666, 0o640, 0o600, 0o400])
@pytest.mark.skipif(os.name != "posix", reason="other systems have other rights")
def test_whatever_holds_a_key_is_for_its_owner_alone(mode: int, tmp_path: Path) -> None:
    path = path_of("cursor", tmp_path)
    path.parent.mkdir()
    path.write_text("{}", encoding="utf-8")
    path.chmod(mode)
    for key in (KEY, "another-key"):
        assert run(tmp_path, "cursor", CEKURA_API_KEY=key).exit_code == 0
        assert open_to_others(path.parent) == []
    for file in path.parent.iterdir():  # as an earlier version left them
        file.chmod(0o644)
    assert run(tmp_path, "cursor", CEKURA_API_KEY="another-key").exit_code == 0
    assert open_to_others(path.parent) == []


@pytest.mark.skipif(os.name != "posix", reason="other systems have other rights")
def test_a_file_without_a_key_stays_as_open_as_it_was(tmp_path: Path) -> None:
    path = path_of("cursor", tmp_path)
    path.parent.mkdir()
    path.write_text("{}", encoding="utf-8")
    path.chmod(0o644)
    run(tmp_path, "cursor", "--sandbox")
    assert path.stat().st_mode & 0o777 == 0o644


def test_no_backup_is_ever_written_over_and_none_is_made_twice(tmp_path: Path) -> None:
    path = path_of("cursor", tmp_path)
    path.parent.mkdir()
    path.write_text('{"mine": 1}', encoding="utf-8")
    found = list[str]()
    for key in ("first", "second", "third", "second"):
        before = path.read_text(encoding="utf-8")
        done = run(tmp_path, "cursor", CEKURA_API_KEY=f"key-{key}")
        [backup] = [Path(line.split(": ", 1)[1]) for line in done.stdout.splitlines() if line.startswith("The file")]
        assert backup.read_text(encoding="utf-8") == before
        found.append(backup.name)
    assert found == ["mcp.json.backup", "mcp.json.backup-2", "mcp.json.backup-3", "mcp.json.backup-4"]
    assert path.with_name("mcp.json.backup").read_text(encoding="utf-8") == '{"mine": 1}'
    run(tmp_path, "cursor", CEKURA_API_KEY="key-third")
    assert len([*path.parent.iterdir()]) == 5


@pytest.mark.parametrize("leads_to", ["there", "nowhere"])
def test_a_backup_that_is_a_link_is_not_written_through(leads_to: str, tmp_path: Path) -> None:
    path, other = path_of("cursor", tmp_path), tmp_path / "other"
    path.parent.mkdir()
    path.write_text("{}", encoding="utf-8")
    if leads_to == "there":
        other.write_text("of somebody else", encoding="utf-8")
        other.chmod(0o644)
    path.with_name("mcp.json.backup").symlink_to(other)
    done = run(tmp_path, "cursor", CEKURA_API_KEY=KEY)
    assert "mcp.json.backup-2" in done.stdout
    assert other.exists() == (leads_to == "there")
    if other.exists():
        assert (other.read_text(encoding="utf-8"), other.stat().st_mode & 0o777) == ("of somebody else", 0o644)
    assert run(tmp_path, "cursor", "--uninstall").exit_code == 0
    assert path.read_text(encoding="utf-8") == "{}"


CONFIGS = [
    (
        "vscode",
        b'// mine\n{\n  // inputs\n  "inputs": [],\n  "servers": {\n    "other": {"command": "y"}, // y\n  },\n}\n',
    ),
    ("vscode", b'\xef\xbb\xbf{\r\n\t"servers": {\r\n\t\t/* none yet */\r\n\t}\r\n}'),
    ("vscode", b'{"inputs": [],}'),
    ("vscode", b"// only a comment"),
    ("vscode", b""),
    ("cursor", b"{}"),
    ("cursor", b'{ "mcpServers" : { } }\n\n'),
    ("cursor", b'{"mcpServers":{"a":{"command":"x"},"a":{"command":"y"}}}'),
    ("claude-code", b'\xef\xbb\xbf{\n    "numStartups": 3,\n    "projects": {"/x": {"mcpServers": {}}}\n}'),
    ("claude-desktop", '{"mcpServers": {\n"ü": {"command": "\\u00fc", "n": -0.0, "m": 1E5}\n}}'.encode()),
]


@pytest.mark.parametrize(("name", "content"), CONFIGS, ids=[f"{i}-{c[0]}" for i, c in enumerate(CONFIGS)])
def test_a_file_is_byte_for_byte_as_it_was_once_the_entry_is_taken_out(
    name: str, content: bytes, tmp_path: Path
) -> None:
    path = path_of(name, tmp_path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    for key in ("first-key", "second-key"):
        assert run(tmp_path, name, CEKURA_API_KEY=key).exit_code == 0
        rest = iter(path.read_bytes())
        assert all(byte in rest for byte in content.rstrip()), "all of it stays, in its order"
    done = run(tmp_path, name, "--uninstall")
    assert (done.exit_code, "again as it was" in done.stdout) == (0, True)
    assert path.read_bytes() == content


def test_what_was_changed_since_stays_when_the_entry_is_taken_out(tmp_path: Path) -> None:
    path = path_of("vscode", tmp_path)
    path.parent.mkdir(parents=True)
    path.write_text('{\n  "servers": {\n    "other": {} // one\n  }\n}\n', encoding="utf-8")
    run(tmp_path, "vscode", CEKURA_API_KEY=KEY)
    path.write_text("// new\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    done = run(tmp_path, "vscode", "--uninstall")
    assert "before: " in done.stdout
    assert path.read_text(encoding="utf-8") == '// new\n{\n  "servers": {\n    "other": {} // one\n  }\n}\n'


def test_claude_code_is_installed_where_its_own_variable_says(tmp_path: Path) -> None:
    done = run(tmp_path, "claude-code", "--sandbox", CLAUDE_CONFIG_DIR=str(tmp_path / "work"))
    assert str(tmp_path / "work" / ".claude.json") in done.stdout
    assert "cekura-dashboards-sandbox" in (tmp_path / "work" / ".claude.json").read_text(encoding="utf-8")
    assert not (tmp_path / ".claude.json").exists()
    run(tmp_path, "claude-code", "--sandbox", CLAUDE_CONFIG_DIR="")
    assert (tmp_path / ".claude.json").exists()


def test_claude_code_goes_on_with_the_file_of_an_older_name(tmp_path: Path) -> None:
    for folder, environment in ((".claude", {}), ("work", {"CLAUDE_CONFIG_DIR": str(tmp_path / "work")})):
        older = tmp_path / folder / ".config.json"
        older.parent.mkdir()
        older.write_text("{}", encoding="utf-8")
        assert CLIENTS["claude-code"].path(Machine(tmp_path, "linux", environment)) == older


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
        ("linux", {"CLAUDE_CONFIG_DIR": "/home/me/work"}, "claude-code", "work/.claude.json"),
        ("linux", {"VSCODE_PORTABLE": "/home/me/portable"}, "vscode", "portable/user-data/User/mcp.json"),
        ("darwin", {"VSCODE_APPDATA": "/home/me/data"}, "vscode", "data/Code/User/mcp.json"),
        ("darwin", {}, "cursor", ".cursor/mcp.json"),
    ],
)
def test_files_are_where_each_system_has_them(
    platform: str, environment: dict[str, str], name: str, expected: str
) -> None:
    found = CLIENTS[name].path(Machine(Path("/home/me"), platform, environment))
    assert found == Path("/home/me") / expected
