"""The command line, as users and clients start it."""

import csv
import importlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Generator
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from cekura_dashboards_mcp.cli.main import main
from cekura_dashboards_mcp.cli.terminal import waiting
from support import BY_NAME, PLAIN_HTTP, TIMEOUT_S, Era, run_cli, sandbox_address, text_of

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "cekura_dashboards_mcp"]


@pytest.fixture(scope="module")
def environment() -> Generator[dict[str, str]]:
    """Settings for a running sandbox with few calls, as each command with ``--sandbox`` would generate its own."""
    with sandbox_address(2000) as address:
        yield {"CEKURA_BASE_URL": address, "CEKURA_API_KEY": "sandbox"}


def test_a_missing_key_is_reported_with_both_alternatives() -> None:
    result = run_cli()
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "cekura-dashboards: No API key. Set CEKURA_API_KEY, or add --sandbox to try everything on generated calls "
        "without one.\n"
    )


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("CEKURA_BASE_URL", "ftp://x", "must be https://"),
        ("CEKURA_BASE_URL", "http://api.cekura.ai", "must start with https://"),
        ("CEKURA_PROJECT_ID", "twelve", "valid integer"),
        ("CEKURA_PROJECT_ID", "0", "greater than or equal to 1"),
        ("CEKURA_PROJECTS", "1" * 19, "must be ids of projects"),
        ("CEKURA_TIMEOUT_S", "soon", "valid number"),
        ("CEKURA_TIMEOUT_S", "0", "greater than or equal to 1"),
        ("CEKURA_TIME_ZONE", "Mars/Olympus", "IANA time zone"),
        ("CEKURA_TIME_ZONE", "../etc/passwd", "IANA time zone"),
        ("CEKURA_READ_ONLY", "perhaps", "valid boolean"),
        ("CEKURA_LOG_LEVEL", "LOUD", "'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
    ],
)
def test_invalid_settings_are_reported_in_one_line_by_name(name: str, value: str, message: str) -> None:
    result = run_cli("call", "list_dashboards", environment={"CEKURA_API_KEY": "k", name: value})
    assert result.exit_code == 2
    [line] = result.stderr.splitlines()
    assert line.startswith(f'cekura-dashboards: {name} is "{value}"')
    assert message in line


def test_tools_are_listed_without_a_key() -> None:
    result = run_cli("tools")
    assert result.exit_code == 0
    assert all(f"\n{name}  (" in "\n" + result.stdout for name in BY_NAME)
    listed = json.loads(run_cli("tools", "--json").stdout)
    assert [tool["name"] for tool in listed] == list(BY_NAME)


@pytest.mark.no_cover
def test_call_prints_the_answer_of_one_tool(environment: dict[str, str]) -> None:
    result = run_cli("call", "get_dashboard", '{"dashboard_id": 11}', environment=environment)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith('dashboard 11 "Operations overview"')
    answer = json.loads(run_cli("call", "look_up", '{"kind": "projects"}', "--json", "--sandbox").stdout)
    assert answer["structuredContent"]["rows"] == [
        [1, "Northside Clinics", "UTC", 1.0],
        [2, "Harbour Telecom", "UTC", 1.0],
    ]


def test_csv_prints_all_rows_of_one_widget_and_rejects_several(environment: dict[str, str]) -> None:
    hours = '{"widget": {"chart_type": "bar", "field": "agent_id", "aggregation_function": "count", "time_period": "hour"}, "window": "29d"}'
    result = run_cli("call", "preview_widget", hours, "--csv", environment=environment)
    assert (result.exit_code, result.stderr) == (0, "")
    head, *records = csv.reader(io.StringIO(result.stdout_bytes.decode(), newline=""), strict=True)
    assert (head, len(records)) == (["hour (UTC)", "calls", "incomplete"], 29 * 24 + 1)
    assert result.stdout_bytes.count(b"\r\n") == len(records) + 1
    assert [record[2] for record in records if record[2]] == ["yes", "yes"]
    other = run_cli("call", "find_changes", "--csv", environment=environment)
    assert (other.exit_code, other.stdout) == (1, "")
    assert other.stderr == "find_changes has no table; --csv is for get_widgets_data and preview_widget.\n"
    several = run_cli("call", "get_widgets_data", '{"dashboard_id": 11}', "--csv", environment=environment)
    assert (several.exit_code, several.stdout) == (1, "")
    assert "this answer has 8: ask for one widget" in several.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["update_dashboard", '{"dashboard_id": 42, "name": "New"}'], 1, "No dashboard 42"),
        (["get_dashboard", "{dashboard_id: 11}"], 2, "not JSON"),
        (["get_dashboard", "[11]"], 2, "one JSON object"),
        (
            ["get_dashboard", '{"a": ' * 5000 + "1" + "}" * 5000],
            2,
            "is nested more than 100 levels deep. Quote all of it",
        ),
        (["get_dashboard", '{"a": ' * 300 + "1" + "}" * 300], 2, "is nested more than 100 levels deep"),
        (["get_dashboard", '{"dashboard_id": ' + "1" * 5000 + "}"], 2, "has a number of more than 4300 digits"),
        (
            ["get_dashboard", '{"dashboard_id": 11, "dashboard_id": 12}'],
            2,
            'repeats the key "dashboard_id"',
        ),
        (["get_dashboard", '{"dashboard_id": "' + "1" * 5000 + '"}'], 1, 'no dashboard "111'),
        (
            ["get_dashbord"],
            2,
            'No tool "get_dashbord"; did you mean get_dashboard? `cekura-dashboards tools` lists them.',
        ),
        (["x" * 5000], 2, "`cekura-dashboards tools` lists them."),
    ],
)
def test_failed_calls_print_an_error_and_set_the_exit_code(arguments: list[str], code: int, message: str) -> None:
    for command in ("call", "view"):
        result = run_cli(command, *arguments, "--sandbox")
        assert result.exit_code == code
        assert message in result.output
        assert len(result.output) < 400


@pytest.mark.parametrize(
    "address", ["nonsense", "127.0.0.1:x", "127.0.0.1:70000", "127.0.0.1:" + "1" * 5000, "x" * 5000]
)
def test_invalid_http_addresses_are_rejected(address: str) -> None:
    result = run_cli("serve", "--http", address, environment={"CEKURA_API_KEY": "k"})
    assert result.exit_code == 2
    assert result.stderr.startswith("cekura-dashboards: --http takes HOST:PORT")
    assert len(result.stderr) < 200


@pytest.mark.parametrize(("option", "message"), [("--http=nowhere", "--http takes HOST:PORT"), ("--htp=x", "--http")])
def test_options_without_a_command_belong_to_serve(option: str, message: str) -> None:
    result = run_cli(option, environment={"CEKURA_API_KEY": "k"})
    assert result.exit_code == 2
    assert message in result.stderr
    assert run_cli("serve", option, environment={"CEKURA_API_KEY": "k"}).stderr == result.stderr


@pytest.mark.anyio
@pytest.mark.parametrize(("entry", "era"), [("cekura-dashboards", "auto"), ("cekura-dashboards-sandbox", "legacy")])
async def test_the_example_configuration_starts_a_working_server(entry: str, era: Era) -> None:
    config: Any = json.loads((ROOT / "claude_desktop_config.example.json").read_text(encoding="utf-8"))
    server = config["mcpServers"][entry]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    parameters = StdioServerParameters(
        command=server["command"], args=server["args"], env={**server.get("env", {}), "PATH": path}
    )
    async with Client(parameters, mode=era) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == set(BY_NAME)
        if "--sandbox" in server["args"]:
            assert "Booking agent" in text_of(await client.call_tool("list_dashboards", {}))
            assert (await client.call_tool("list_dashboards", {"project_id": "none"})).is_error


def test_the_sandbox_command_serves_http_with_key_and_variant() -> None:
    command = [*COMMAND, "sandbox", "--port", "0", "--calls", "500", "--key", "abc", "--reading", "stat=array"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            url = next(word.rstrip(".") for word in process.stderr.readline().split() if word.startswith("http"))
            headers = {"X-CEKURA-API-KEY": "abc"}
            answer = httpx.get(f"{url}/dashboards/widgets/201/data/", **PLAIN_HTTP, headers=headers).json()
            assert isinstance(answer["data"], list)
            result = run_cli("call", "list_dashboards", environment={"CEKURA_BASE_URL": url, "CEKURA_API_KEY": "abc"})
            assert (result.exit_code, result.stdout.count("\n")) == (0, 3)
            taken = run_cli("sandbox", "--port", url.rpartition(":")[2], "--calls", "5")
            assert taken.exit_code == 2
            assert "cekura-dashboards:" in taken.stderr
        finally:
            process.terminate()


def test_unknown_sandbox_readings_are_rejected() -> None:
    assert 'no reading "colour"' in run_cli("sandbox", "--reading", "colour=red").stderr
    for reading in ("sample_rate=2", "sample_rate=nan", "evaluated_since_days=-1", "clock_ahead_s=soon"):
        name, _, value = reading.partition("=")
        assert f"reading {name} is 0 to " in run_cli("sandbox", "--reading", reading).stderr
        assert f'not "{value}"' in run_cli("sandbox", "--reading", reading).stderr
    assert "replace or merge" in run_cli("sandbox", "--reading", "override=both").stderr


@pytest.mark.no_cover
def test_a_report_is_written_and_fails_on_an_error(environment: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    result = run_cli("report", "--dashboard", "12", "--out", str(out), environment=environment)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert "Booking agent" in out.read_text(encoding="utf-8")
    refused = run_cli("report", "--window", "lastweek", environment=environment)
    assert refused.exit_code == 1
    assert "window" in refused.stderr


COMMANDS = list(main.commands)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_examples_of_every_command_are_valid(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for file in ("board.json", "receipts.json"):
        (tmp_path / file).touch()
    result = run_cli(command, "--help")
    shown = re.findall(r"^ +cekura-dashboards (.*)$", result.output, re.MULTILINE)
    assert shown
    for example in shown:
        name, *arguments = shlex.split(example.partition(" > ")[0])
        assert name == command
        with main.commands[command].make_context(command, arguments):
            pass


def run_on_terminal(*arguments: str, **settings: str) -> str:
    """The output of a command on a terminal."""
    pty = importlib.import_module("pty")
    observed = list[bytes]()

    def read(descriptor: int) -> bytes:
        observed.append(os.read(descriptor, 4096))
        return observed[-1]

    program = "import os, sys; os.environ.update(eval(sys.argv[1])); os.execv(sys.argv[2], sys.argv[2:])"
    pty.spawn([sys.executable, "-c", program, repr(settings), *COMMAND, *arguments], read)
    return b"".join(observed).decode()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_output_is_coloured_on_a_terminal_unless_disabled(tmp_path: Path) -> None:
    output = run_on_terminal("doctor", HOME=str(tmp_path))
    assert "\x1b[32mok  \x1b[0m settings" in output
    assert "\x1b[31mFAIL\x1b[0m key" in output
    plain = run_on_terminal("doctor", HOME=str(tmp_path), NO_COLOR="1")
    assert "\x1b" not in plain
    assert "ok   settings" in plain


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_shown_only_on_a_terminal() -> None:
    with waiting("Reading", terminal := Terminal(), after_s=0) as timer:
        timer.join(10)
    assert terminal.getvalue() == "Reading …\n"
    with waiting("Reading", terminal := Terminal(), after_s=60) as timer:
        assert timer.is_alive()
    assert terminal.getvalue() == ""
    with waiting("Reading", piped := StringIO(), after_s=0) as timer:
        assert not timer.is_alive()
    assert piped.getvalue() == ""


def test_the_demo_ends_quietly_if_its_output_is_closed() -> None:
    command = [sys.executable, "-m", "cekura_dashboards_mcp", "demo"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, encoding="utf-8") as demo:
        assert demo.stdout is not None
        assert demo.stdout.readline().startswith("Starting the server")
        demo.stdout.close()
        assert demo.stderr is not None
        assert demo.stderr.read() == ""
        assert demo.wait(TIMEOUT_S) == 1


def test_the_demo_completes_its_conversation() -> None:
    result = run_cli("demo")
    assert (result.exit_code, result.stderr) == (0, "")
    for message in (
        "Which dashboards are there?",
        "→ preview_widget",
        "undo: bulk_edit_dashboard",
        "Dry run, nothing was changed.",
        'delete 206 "Topics"',
        "Next steps:",
    ):
        assert message in result.stdout
    assert result.stdout.count(" characters, ") == 8
