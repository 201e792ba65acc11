"""``install``: adds and removes its entry in the configuration of a client, and changes nothing else."""

import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from ruamel.yaml import YAML

from cekura_dashboards import Settings
from cekura_dashboards.settings import variables
from cekura_dashboards_mcp.cli.clients import CLIENTS, Launch, Machine
from cekura_dashboards_mcp.cli.jsonc import Jsonc
from cekura_dashboards_mcp.cli.main import CHAT_CLIENTS
from support import KEY as API_KEY
from support import Json, run_cli, served, shared_sandbox, text_of

NAMES = list(CLIENTS)
KEY = "a-key-of-mine"
CLIENTS_PAGE = Path(__file__).parents[2] / "docs" / "clients.md"
LOCATION_VARIABLES = (
    "CLAUDE_CONFIG_DIR", "VSCODE_PORTABLE", "VSCODE_APPDATA", "CODEX_HOME", "GEMINI_CLI_HOME", "QWEN_HOME",
    "GOOSE_PATH_ROOT", "CLINE_MCP_SETTINGS_PATH", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "https_proxy", "all_proxy",
    "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR",
)  # fmt: skip
REFERENCES: dict[str, Json] = {
    "claude-code": {"env": {"CEKURA_API_KEY": "${CEKURA_API_KEY}"}},
    "cursor": {"env": {"CEKURA_API_KEY": "${env:CEKURA_API_KEY}"}},
    "vscode": {"env": {"CEKURA_API_KEY": "${input:CEKURA_API_KEY}"}},
    "codex": {"env_vars": ["CEKURA_API_KEY"]},
    "gemini": {"env": {"CEKURA_API_KEY": "${CEKURA_API_KEY}"}},
    "qwen": {"env": {"CEKURA_API_KEY": "${CEKURA_API_KEY}"}},
    "opencode": {"environment": {"CEKURA_API_KEY": "{env:CEKURA_API_KEY}"}},
    "windsurf": {"env": {"CEKURA_API_KEY": "${env:CEKURA_API_KEY}"}},
    "goose": {"env_keys": ["CEKURA_API_KEY"]},
    "librechat": {"env": {"CEKURA_API_KEY": "${CEKURA_API_KEY}"}},
}
"""How entries reference the key, if the client supports it. Sources: each client's documentation, or runs of it."""
STORED_KEY_CLIENTS = [name for name in NAMES if name not in REFERENCES]


def machine(home: Path) -> Machine:
    return Machine(
        home, "linux", {"XDG_CONFIG_HOME": str(home / ".config"), "CONFIG_PATH": str(home / "lc" / "lc.yaml")}
    )


def path_of(name: str, home: Path) -> Path:
    return CLIENTS[name].path(machine(home))


def run(home: Path, *arguments: str, command: str = "install", **settings: str) -> Result:
    ours = {**dict.fromkeys(LOCATION_VARIABLES, ""), **machine(home).environment, "HOME": str(home), **settings}
    return run_cli(command, *arguments, environment=ours)


def parsed(name: str, text: str) -> Json:
    """The configuration as the client parses it."""
    if name == "codex":
        return tomllib.loads(text)
    if name in {"goose", "librechat"}:
        yaml: Any = YAML(typ="safe", pure=True)
        document: Json = yaml.load(text)
        return document
    return Jsonc(text, comments=name in {"vscode", "opencode", "zed", "gemini", "qwen"}).value


def readable_by_others(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir() if file.stat().st_mode & 0o077]


def written_config(name: str, home: Path) -> Json:
    return parsed(name, path_of(name, home).read_text(encoding="utf-8"))


def test_install_offers_the_clients_of_the_table() -> None:
    assert tuple(CLIENTS) == CHAT_CLIENTS


@pytest.mark.parametrize("name", NAMES)
def test_every_client_starts_the_server_equally(name: str, tmp_path: Path) -> None:
    launches = list[Launch | None]()
    for client in ("generic", name):
        result = run(tmp_path, client, "--sandbox", "--print")
        servers = parsed(client, result.stdout)[CLIENTS[client].servers if client == name else "mcpServers"]
        launches.append(CLIENTS[name if client == name else "cursor"].launch(servers["cekura-dashboards-sandbox"], {}))
    assert launches[0] == launches[1]


@pytest.fixture(scope="module")
def answers() -> dict[str, str]:
    """Answers by command, because most clients start the same one."""
    return {}


@pytest.mark.anyio
@pytest.mark.parametrize("name", NAMES)
async def test_documented_commands_install_a_working_entry(name: str, answers: dict[str, str], tmp_path: Path) -> None:
    """The started server answers a call; for VS Code the user enters the key."""
    assert f'pipx install ".[sandbox]"\ncekura-dashboards install {name}\n' in CLIENTS_PAGE.read_text(encoding="utf-8")
    async with served(shared_sandbox()) as url:
        result = run(tmp_path, name, CEKURA_API_KEY=API_KEY, CEKURA_BASE_URL=url)
        assert result.exit_code == 0, result.stderr
        entry = written_config(name, tmp_path)[CLIENTS[name].servers]["cekura-dashboards"]
        launch = CLIENTS[name].launch(entry, {"CEKURA_API_KEY": API_KEY})
        assert launch is not None
        assert Path(launch.command).is_absolute()
        assert launch.env["CEKURA_BASE_URL"] == url
        command = repr([launch.command, launch.args, sorted((launch.env | {"CEKURA_BASE_URL": ""}).items())])
        if command not in answers:
            server = StdioServerParameters(command=launch.command, args=launch.args, env=launch.env)
            async with Client(server) as client:
                answers[command] = text_of(await client.call_tool("list_dashboards", {"search": "booking"}))
    assert answers[command].startswith('12 "Booking agent"')


OTHER_CONTENT = {
    "json": '{"theme": "dark", "mcpServers": {"other": {"command": "x", "args": ["ü"]}}, "servers": {"other": {"command": "y"}}}',
    "toml": '# mine\nmodel = "x" # fast\n\n[mcp_servers.other] # theirs\ncommand = "x"\n\n# below\n[projects."/x"]\ntrust_level = "trusted"\n',
    "yaml": "# mine\nversion: 1.2.1   # of the file\n\n{outer}:  # theirs\n    # first\n    other: {cmd: x}\n\n# below\nz: 'a'\n",
}


def other_content(name: str) -> str:
    """A file of this client with other content."""
    if name == "codex":
        return OTHER_CONTENT["toml"]
    return (
        OTHER_CONTENT["yaml"].replace("{outer}", CLIENTS[name].servers)
        if name in {"goose", "librechat"}
        else OTHER_CONTENT["json"]
    )


@pytest.mark.parametrize("name", NAMES)
def test_install_keeps_other_entries_and_backs_the_file_up(name: str, tmp_path: Path) -> None:
    path = path_of(name, tmp_path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(other_content(name), encoding="utf-8")
    result = run(tmp_path, name, "--plain", CEKURA_API_KEY=f" {KEY}\n", CEKURA_TIME_ZONE="Europe/Berlin")
    assert result.exit_code == 0, result.stderr
    rest = iter(path.read_text(encoding="utf-8"))
    assert all(char in rest for char in other_content(name).rstrip()), "all content remains in order"
    config, before, servers = written_config(name, tmp_path), parsed(name, other_content(name)), CLIENTS[name].servers
    entry = config[servers].pop("cekura-dashboards")
    assert config == before | {servers: before.get(servers, {})}
    assert entry[CLIENTS[name].env] == {"CEKURA_API_KEY": KEY, "CEKURA_TIME_ZONE": "Europe/Berlin"}
    backup = path.with_name(path.name + ".backup")
    assert backup.read_text(encoding="utf-8") == other_content(name)
    assert str(backup) in result.stdout
    assert KEY not in result.stdout + result.stderr
    assert run(tmp_path, name, command="uninstall").exit_code == 0
    assert path.read_text(encoding="utf-8") == other_content(name)


@pytest.mark.parametrize("name", REFERENCES)
def test_the_key_is_referenced_if_the_client_supports_it(name: str, tmp_path: Path) -> None:
    result = run(tmp_path, name, CEKURA_API_KEY=KEY, CEKURA_WEEKEND="fri")
    assert result.exit_code == 0, result.stderr
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert [file for file in files if KEY in file.read_text(encoding="utf-8")] == []
    entry = written_config(name, tmp_path)[CLIENTS[name].servers]["cekura-dashboards"]
    for field, value in REFERENCES[name].items():
        assert entry[field] == ({**value, "CEKURA_WEEKEND": "fri"} if isinstance(value, dict) else value)
    launch = CLIENTS[name].launch(entry, {"CEKURA_API_KEY": KEY})
    assert launch is not None
    assert launch.env == {"CEKURA_API_KEY": KEY, "CEKURA_WEEKEND": "fri"}
    unset = CLIENTS[name].launch(entry, {})
    assert unset is not None
    assert unset.missing == ("CEKURA_API_KEY",)


@pytest.mark.parametrize("name", STORED_KEY_CLIENTS)
def test_a_stored_key_is_readable_by_its_owner_only(name: str, tmp_path: Path) -> None:
    result = run(tmp_path, name, CEKURA_API_KEY=KEY)
    entry = written_config(name, tmp_path)[CLIENTS[name].servers]["cekura-dashboards"]
    assert entry["env"] == {"CEKURA_API_KEY": KEY}
    assert "The key is in that file, which only you can read." in result.stdout
    assert readable_by_others(path_of(name, tmp_path).parent) == []


def test_network_settings_are_stored_without_passwords(tmp_path: Path) -> None:
    network = {"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": "localhost", "SSL_CERT_FILE": "/etc/ours.pem"}
    run(tmp_path, "codex", CEKURA_API_KEY=KEY, **network)
    assert written_config("codex", tmp_path)["mcp_servers"]["cekura-dashboards"]["env"] == network
    result = run(tmp_path, "codex", CEKURA_API_KEY=KEY, HTTPS_PROXY="http://me:hidden@proxy.example:3128")
    assert "env" not in written_config("codex", tmp_path)["mcp_servers"]["cekura-dashboards"]
    assert ("HTTPS_PROXY contains a password" in result.stdout, "hidden" in result.output) == (True, False)


def test_vs_code_gets_an_input_for_the_key_until_uninstall(tmp_path: Path) -> None:
    path = path_of("vscode", tmp_path)
    path.parent.mkdir(parents=True)
    path.write_text('{\n\t"inputs": [\n\t\t{"id": "other"} // theirs\n\t]\n}\n', encoding="utf-8")
    assert run(tmp_path, "vscode").exit_code == 0
    own = {"type": "promptString", "id": "CEKURA_API_KEY", "description": "CEKURA_API_KEY", "password": True}
    assert written_config("vscode", tmp_path)["inputs"] == [{"id": "other"}, own]
    assert "// theirs" in path.read_text(encoding="utf-8")
    path.write_text("// new\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert run(tmp_path, "vscode", command="uninstall").exit_code == 0
    assert written_config("vscode", tmp_path) == {"inputs": [{"id": "other"}], "servers": {}}


@pytest.mark.parametrize("inputs", ["1", "{}", "null"])
def test_malformed_vs_code_inputs_are_left_unchanged(inputs: str, tmp_path: Path) -> None:
    path = path_of("vscode", tmp_path)
    path.parent.mkdir(parents=True)
    path.write_text(f'{{"inputs": {inputs}}}', encoding="utf-8")
    result = run(tmp_path, "vscode")
    assert (result.exit_code, '"inputs" is not a list' in result.stderr) == (2, True)
    assert path.read_text(encoding="utf-8") == f'{{"inputs": {inputs}}}'


@pytest.mark.parametrize("name", ["cursor", "vscode"])
def test_an_env_file_is_referenced_instead_of_copied(name: str, tmp_path: Path) -> None:
    env_file = tmp_path / "key.env"
    env_file.write_text(f"# mine\nexport CEKURA_API_KEY='{KEY}'\n", encoding="utf-8")
    env_file.chmod(0o644)
    assert "chmod 600" in run(tmp_path, name, "--env-file", str(env_file)).stderr
    env_file.chmod(0o600)
    result = run(tmp_path, name, "--env-file", str(env_file))
    assert result.exit_code == 0, result.stderr
    entry = written_config(name, tmp_path)[CLIENTS[name].servers]["cekura-dashboards"]
    assert (entry["envFile"], "env" in entry) == (str(env_file), False)
    launch = CLIENTS[name].launch(entry, {})
    assert launch is not None
    assert launch.env == {"CEKURA_API_KEY": KEY}
    assert "Cursor and VS Code do" in run(tmp_path, "codex", "--env-file", str(env_file)).stderr
    env_file.write_text("OTHER=1\n", encoding="utf-8")
    assert "has no line CEKURA_API_KEY=" in run(tmp_path, name, "--env-file", str(env_file)).stderr


@pytest.mark.parametrize("name", NAMES)
def test_a_second_install_changes_nothing_and_uninstall_keeps_the_rest(name: str, tmp_path: Path) -> None:
    run(tmp_path, name, "--sandbox")
    first = path_of(name, tmp_path).read_bytes()
    assert path_of(name, tmp_path).stat().st_mode & 0o777 == 0o600
    run(tmp_path, name, "--sandbox")
    assert path_of(name, tmp_path).read_bytes() == first
    assert [path.name for path in path_of(name, tmp_path).parent.glob("*backup*")] == []
    assert run(tmp_path, name, "--sandbox", "--uninstall").exit_code == 0
    assert written_config(name, tmp_path) in ({CLIENTS[name].servers: {}}, {})
    again = run(tmp_path, name, "--sandbox", "--uninstall")
    assert (again.exit_code, "has no entry" in again.stdout) == (0, True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"mcpServers": {\n  "a": 1,\n}}', "line 3, column 1"),
        ("// mine\n{}", "(Cursor does not allow comments)"),
        ('{"a": 1,}', "(Cursor does not allow trailing commas)"),
        ("[]", "contains no JSON object. Nothing was changed."),
        ('{"mcpServers": []}', '"mcpServers" is not a JSON object'),
        (b"\xff\xfe{}", "cannot be read: it is UTF-16. Save it as UTF-8."),
        (b'{"a": "\xe4"}', "cannot be read: it is not UTF-8. Save it as UTF-8."),
        ('{"mcpServers": {"a": {}},\n"mcpServers": {"b": {}}}', 'contains "mcpServers" 2 times, in lines 1 and 2'),
        (
            '{"mcpServers": {"cekura-dashboards-sandbox": {}, "cekura-dashboards-sandbox": {}}}',
            'contains "cekura-dashboards-sandbox" 2 times',
        ),
        ('{"a": ' * 500 + "1" + "}" * 500, "nested more than 100 levels deep"),
        ('{"a": ' + "1" * 5000 + "}", "a number of more than 4300 digits"),
    ],
)
def test_malformed_json_files_are_rejected_and_left_unchanged(
    content: str | bytes, message: str, tmp_path: Path
) -> None:
    path = path_of("cursor", tmp_path)
    path.parent.mkdir(parents=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = path.read_bytes()
    result = run(tmp_path, "cursor", "--sandbox")
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert "Nothing was changed" in result.stderr
    assert path.read_bytes() == before
    assert [other.name for other in path.parent.iterdir()] == [path.name]


def test_install_without_a_valid_key_writes_nothing(tmp_path: Path) -> None:
    for settings in ({}, *({"CEKURA_API_KEY": key} for key in ("two words", "", " ", "\t\n", "your-cekura-api-key"))):
        result = run(tmp_path, "cursor", **settings)
        assert result.exit_code == 2
        assert "Nothing was changed." in result.stderr
    assert not path_of("cursor", tmp_path).exists()


def test_install_rejects_invalid_settings_without_showing_passwords(tmp_path: Path) -> None:
    for option in ("--print", "--sandbox --uninstall", ""):
        result = run(
            tmp_path, "cursor", *option.split(), CEKURA_API_KEY=KEY, CEKURA_BASE_URL="https://me:hidden@api.example"
        )
        assert "hidden" not in result.output
        assert (result.exit_code == 0) == ("--uninstall" in option)
    assert not path_of("cursor", tmp_path).exists()


SECRETS = {name: f"secret-{place}-" + "s" * 40 for place, name in enumerate(variables(Settings, secret=True))}


@pytest.mark.parametrize("name", [*NAMES, "generic"])
def test_print_hides_every_secret_setting(name: str, tmp_path: Path) -> None:
    assert {"CEKURA_API_KEY", "CEKURA_STATE_KEYS"} <= {*SECRETS}
    result = run(tmp_path, name, "--print", **SECRETS, CEKURA_WEEKEND="fri")
    client = CLIENTS.get(name)
    entry = parsed(name, result.stdout)[client.servers if client else "mcpServers"]["cekura-dashboards"]
    environment = entry[client.env if client else "env"]
    assert environment["CEKURA_WEEKEND"] == "fri"
    assert {*SECRETS} <= {*environment, *entry.get("env_vars", []), *entry.get("env_keys", [])}
    assert not [value for value in SECRETS.values() if value in result.output]


@pytest.mark.parametrize("name", [*NAMES, "generic"])
def test_print_shows_the_entry_without_the_key_and_writes_nothing(name: str, tmp_path: Path) -> None:
    result = run(tmp_path, name, "--print", "--plain", CEKURA_API_KEY=KEY)
    client = CLIENTS.get(name)
    entry = parsed(name, result.stdout)[client.servers if client else "mcpServers"]["cekura-dashboards"]
    assert entry.get("args", entry["command" if "command" in entry else "args"])[-1] == "serve"
    assert entry[client.env if client else "env"]["CEKURA_API_KEY"] == "your-cekura-api-key"
    assert KEY not in result.stdout + result.stderr
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_a_symbolic_link_to_the_file_is_kept(tmp_path: Path) -> None:
    path, real = path_of("cursor", tmp_path), tmp_path / "dotfiles" / "mcp.json"
    path.parent.mkdir()
    real.parent.mkdir()
    real.write_text("{}", encoding="utf-8")
    path.symlink_to(real)
    assert run(tmp_path, "cursor", "--sandbox").exit_code == 0
    assert path.is_symlink()
    assert "cekura-dashboards-sandbox" in real.read_text(encoding="utf-8")


@pytest.mark.parametrize("mode", [0o644, 0o666, 0o640, 0o600, 0o400])
@pytest.mark.skipif(os.name != "posix", reason="POSIX file permissions")
def test_files_with_a_key_are_readable_by_their_owner_only(mode: int, tmp_path: Path) -> None:
    path = path_of("cursor", tmp_path)
    path.parent.mkdir()
    path.write_text("{}", encoding="utf-8")
    path.chmod(mode)
    for key in (KEY, "another-key"):
        assert run(tmp_path, "cursor", "--plain", CEKURA_API_KEY=key).exit_code == 0
        assert readable_by_others(path.parent) == []
    for file in path.parent.iterdir():  # as an earlier version wrote them
        file.chmod(0o644)
    assert run(tmp_path, "cursor", "--plain", CEKURA_API_KEY="another-key").exit_code == 0
    assert readable_by_others(path.parent) == []


@pytest.mark.skipif(os.name != "posix", reason="POSIX file permissions")
def test_a_file_without_a_key_keeps_its_permissions(tmp_path: Path) -> None:
    path = path_of("cursor", tmp_path)
    path.parent.mkdir()
    path.write_text("{}", encoding="utf-8")
    path.chmod(0o644)
    run(tmp_path, "cursor", "--sandbox")
    assert path.stat().st_mode & 0o777 == 0o644


def test_backups_are_never_overwritten_or_duplicated(tmp_path: Path) -> None:
    path = path_of("cursor", tmp_path)
    path.parent.mkdir()
    path.write_text('{"mine": 1}', encoding="utf-8")
    results = list[str]()
    for key in ("first", "second", "third", "second"):
        before = path.read_text(encoding="utf-8")
        result = run(tmp_path, "cursor", "--plain", CEKURA_API_KEY=f"key-{key}")
        [backup] = [Path(line.split(": ", 1)[1]) for line in result.stdout.splitlines() if line.startswith("Backup of")]
        assert backup.read_text(encoding="utf-8") == before
        results.append(backup.name)
    assert results == ["mcp.json.backup", "mcp.json.backup-2", "mcp.json.backup-3", "mcp.json.backup-4"]
    assert path.with_name("mcp.json.backup").read_text(encoding="utf-8") == '{"mine": 1}'
    run(tmp_path, "cursor", "--plain", CEKURA_API_KEY="key-third")
    assert len([*path.parent.iterdir()]) == 5


@pytest.mark.parametrize("leads_to", ["there", "nowhere"])
def test_a_backup_never_writes_through_a_symbolic_link(leads_to: str, tmp_path: Path) -> None:
    path, other = path_of("cursor", tmp_path), tmp_path / "other"
    path.parent.mkdir()
    path.write_text("{}", encoding="utf-8")
    if leads_to == "there":
        other.write_text("of somebody else", encoding="utf-8")
        other.chmod(0o644)
    path.with_name("mcp.json.backup").symlink_to(other)
    result = run(tmp_path, "cursor", "--plain", CEKURA_API_KEY=KEY)
    assert "mcp.json.backup-2" in result.stdout
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
def test_uninstall_restores_the_file_byte_for_byte(name: str, content: bytes, tmp_path: Path) -> None:
    path = path_of(name, tmp_path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    for key in ("first-key", "second-key"):
        assert run(tmp_path, name, "--plain", CEKURA_API_KEY=key).exit_code == 0
        rest = iter(path.read_bytes())
        assert all(byte in rest for byte in content.rstrip()), "all content remains in order"
    result = run(tmp_path, name, "--uninstall")
    assert (result.exit_code, "is as it was before" in result.stdout) == (0, True)
    assert path.read_bytes() == content


def test_uninstall_keeps_later_changes(tmp_path: Path) -> None:
    path = path_of("vscode", tmp_path)
    path.parent.mkdir(parents=True)
    path.write_text('{\n  "servers": {\n    "other": {} // one\n  }\n}\n', encoding="utf-8")
    run(tmp_path, "vscode", "--plain", CEKURA_API_KEY=KEY)
    path.write_text("// new\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    result = run(tmp_path, "vscode", "--uninstall")
    assert "backup: " in result.stdout
    assert path.read_text(encoding="utf-8") == '// new\n{\n  "servers": {\n    "other": {} // one\n  }\n}\n'


def test_claude_code_is_installed_in_claude_config_dir(tmp_path: Path) -> None:
    result = run(tmp_path, "claude-code", "--sandbox", CLAUDE_CONFIG_DIR=str(tmp_path / "work"))
    assert str(tmp_path / "work" / ".claude.json") in result.stdout
    assert "cekura-dashboards-sandbox" in (tmp_path / "work" / ".claude.json").read_text(encoding="utf-8")
    assert not (tmp_path / ".claude.json").exists()
    run(tmp_path, "claude-code", "--sandbox", CLAUDE_CONFIG_DIR="")
    assert (tmp_path / ".claude.json").exists()


def test_claude_code_keeps_using_a_config_file_of_an_older_name(tmp_path: Path) -> None:
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
        ("darwin", {}, "codex", ".codex/config.toml"),
        ("linux", {"CODEX_HOME": "/home/me/cx"}, "codex", "cx/config.toml"),
        ("win32", {}, "gemini", ".gemini/settings.json"),
        ("linux", {"GEMINI_CLI_HOME": "/home/me/g"}, "gemini", "g/.gemini/settings.json"),
        ("linux", {"QWEN_HOME": "/home/me/q"}, "qwen", "q/settings.json"),
        ("win32", {}, "opencode", ".config/opencode/opencode.json"),
        ("darwin", {}, "windsurf", ".codeium/windsurf/mcp_config.json"),
        ("darwin", {}, "zed", ".config/zed/settings.json"),
        ("win32", {}, "zed", "AppData/Roaming/Zed/settings.json"),
        ("darwin", {}, "goose", ".config/goose/config.yaml"),
        ("win32", {}, "goose", "AppData/Roaming/Block/goose/config/config.yaml"),
        ("linux", {"GOOSE_PATH_ROOT": "/home/me/gs"}, "goose", "gs/config/config.yaml"),
        ("darwin", {}, "cline", ".cline/data/settings/cline_mcp_settings.json"),
        ("linux", {"CLINE_MCP_SETTINGS_PATH": "/home/me/c.json"}, "cline", "c.json"),
        ("linux", {"CONFIG_PATH": "/home/me/chat/librechat.yaml"}, "librechat", "chat/librechat.yaml"),
    ],
)
def test_config_paths_follow_each_operating_system(
    platform: str, environment: dict[str, str], name: str, expected: str
) -> None:
    result = CLIENTS[name].path(Machine(Path("/home/me"), platform, environment))
    assert result == Path("/home/me") / expected


def test_claude_desktop_as_a_windows_package_uses_the_package_folder(tmp_path: Path) -> None:
    windows = Machine(tmp_path, "win32", {})
    usual, package = tmp_path / "AppData" / "Roaming", tmp_path / "AppData" / "Local" / "Packages" / "Claude_abc123"
    assert CLIENTS["claude-desktop"].path(windows) == usual / "Claude" / "claude_desktop_config.json"
    package.mkdir(parents=True)
    expected = package / "LocalCache" / "Roaming" / "Claude" / "claude_desktop_config.json"
    assert CLIENTS["claude-desktop"].path(windows) == expected
    moved = Machine(tmp_path, "win32", {"LOCALAPPDATA": str(tmp_path / "else")})
    assert CLIENTS["claude-desktop"].path(moved) == usual / "Claude" / "claude_desktop_config.json"


def test_cline_and_opencode_keep_using_an_existing_file(tmp_path: Path) -> None:
    extension = tmp_path / ".config" / "Code" / "User" / "globalStorage" / "saoudrizwan.claude-dev"
    extension.mkdir(parents=True)
    assert path_of("cline", tmp_path) == extension / "settings" / "cline_mcp_settings.json"
    other = tmp_path / ".config" / "opencode" / "opencode.jsonc"
    other.parent.mkdir()
    other.touch()
    assert path_of("opencode", tmp_path) == other


def test_gemini_cli_files_allow_comments_but_no_trailing_commas(tmp_path: Path) -> None:
    path = path_of("gemini", tmp_path)
    path.parent.mkdir()
    path.write_text('// mine\n{"a": 1}', encoding="utf-8")
    assert run(tmp_path, "gemini", "--sandbox").exit_code == 0
    path.write_text('// mine\n{"a": 1,}', encoding="utf-8")
    assert "(Gemini CLI does not allow trailing commas)" in run(tmp_path, "gemini", "--sandbox").stderr


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("codex", "model = ", "is not valid TOML: Invalid value"),
        ("codex", "mcp_servers = 1", '"mcp_servers" is not a table'),
        ("goose", "a: [", "is not valid YAML"),
        ("goose", "a: 1\na: 2", "is not valid YAML"),
        ("goose", "- a", "contains no mapping"),
        ("goose", "extensions: [a]", '"extensions" is not a mapping'),
        ("librechat", "a: 1\n---\nb: 2\n", "is not valid YAML: but found another document"),
    ],
)
def test_malformed_toml_and_yaml_files_are_rejected_and_left_unchanged(
    name: str, content: str, message: str, tmp_path: Path
) -> None:
    path = path_of(name, tmp_path)
    path.parent.mkdir(parents=True)
    path.write_text(content, encoding="utf-8")
    result = run(tmp_path, name, "--sandbox")
    assert (result.exit_code, message in result.stderr, "Nothing was changed" in result.stderr) == (2, True, True), (
        result.stderr
    )
    assert path.read_text(encoding="utf-8") == content
