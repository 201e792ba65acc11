"""``doctor``: passed and failed checks, and how its probe distinguishes API variants."""

import json
import os
import sys
from dataclasses import fields, replace
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from pydantic import SecretStr

from cekura_dashboards.api.wire import Response
from cekura_dashboards_mcp.cli.clients import CLIENTS, Machine
from cekura_dashboards_mcp.cli.doctor import UNSETTLED, check_clock, examine, probe, report
from cekura_dashboards_mcp.connection import Connection, caller_of
from cekura_sandbox import ApiVariant
from support import BY_NAME, KEY, NOW, Json, now, open_tools, run_cli, settings, shared_sandbox

pytestmark = pytest.mark.anyio
TYPES = get_type_hints(ApiVariant)
VARIANTS_WITH_ONE_CHANGE = {
    ApiVariant(**{field.name: value}): None for field in fields(ApiVariant) for value in get_args(TYPES[field.name])
}
OTHER_VARIANT = ApiVariant(
    override="merge", preview="merge", grouped="nested", booleans="1", rates="percent", binary="0/5", stat="array", buckets="bare",
    empty_buckets="null", predefined="list", preview_answer="short", placeholders="null", clock_ahead_s=120,
)  # fmt: skip
PROJECT_SETTINGS = {"clock_ahead_s", "sample_rate", "trigger", "evaluated_since_days"}
"""Settings of a project, which the probe does not report."""
COMBINED_VARIANTS = [
    OTHER_VARIANT,
    replace(OTHER_VARIANT, override="replace", grouped="field"),
    replace(OTHER_VARIANT, preview="alone", rates="ratio"),
]


@pytest.mark.parametrize("readings", [*VARIANTS_WITH_ONE_CHANGE, *COMBINED_VARIANTS], ids=str)
async def test_the_probe_recognizes_every_api_variant_and_only_reads(readings: ApiVariant) -> None:
    async with open_tools(shared_sandbox(readings)) as (context, recorder):
        by_name = {finding.question: finding.answer for finding in await probe(context)}
        assert recorder.writes() == []
    expected = {
        field.name: getattr(readings, field.name) for field in fields(readings) if field.name not in PROJECT_SETTINGS
    }
    assert {name: by_name[name] for name in expected} == expected
    assert by_name["page_size"] == "10 by default, more on request"


@pytest.mark.parametrize(("query", "answer"), [({"project_id": "2"}, "allowed in some projects"), ({}, "forbidden")])
async def test_the_probe_checks_alert_rights_per_project(query: dict[str, str], answer: str) -> None:
    async with open_tools(shared_sandbox()) as (context, recorder):
        recorder.fault = lambda sent: (
            Response(403, b"{}") if "/alerts/" in sent.path and query.items() <= sent.query.items() else None
        )
        assert {finding.question: finding.answer for finding in await probe(context)}["alerts"] == answer


async def test_the_probe_report_contains_no_names_ids_or_counts() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text = "\n".join(report(await probe(context))[1:])
    for private in ("Operations", "Booking", "Northside", "Reception", KEY):
        assert private not in text
    assert {word for word in text.split() if any(c.isdigit() for c in word)} <= {"10", "1)"}


async def test_undetermined_probe_answers_state_a_reason() -> None:
    app = shared_sandbox(ApiVariant(), count=1)
    async with open_tools(app) as (context, _):
        by_name = {finding.question: finding for finding in await probe(context)}
    assert by_name["override"].answer == UNSETTLED
    assert "no dashboard has a date range with calls before it" in by_name["override"].reason


async def lines(connection: Connection, *, with_probe: bool = False) -> tuple[bool, list[str]]:
    result = await examine(connection, None, with_probe=with_probe)
    return result.passed, result.lines()


def sandboxed(**options: Any) -> Connection:
    return Connection(settings(**options), app_factory=shared_sandbox, now=now)


async def test_doctor_lists_every_passed_check() -> None:
    passed, output = await lines(sandboxed(), with_probe=True)
    assert passed
    assert output[:6] == [
        "ok   settings: http://localhost, time zone of the project, 30 s a call",
        f"ok   key: given, digest {caller_of(SecretStr(KEY))}",
        "ok   API: answers",
        "ok   key: accepted",
        "ok   projects: 2 visible",
        "ok   clock: the API is 0 s behind",
    ]
    assert "  override: replace (an override replaces the saved filters)" in output


async def test_a_rejected_key_ends_the_checks() -> None:
    made = settings().model_copy(update={"api_key": SecretStr("wrong")})
    passed, output = await lines(Connection(made, app_factory=shared_sandbox, now=now), with_probe=True)
    assert not passed
    assert output[-1].startswith("FAIL key: The API rejected the key (401)")


async def test_a_missing_key_and_network_are_reported() -> None:
    passed, output = await lines(Connection(settings().model_copy(update={"api_key": None})))
    assert (passed, output[-1]) == (False, "FAIL key: none; set CEKURA_API_KEY, or try --sandbox")
    nowhere = settings(timeout_s=2).model_copy(update={"base_url": "http://127.0.0.1:9"})
    passed, output = await lines(Connection(nowhere, now=now))
    assert not passed
    assert output[-1].startswith("FAIL API: The API could not be reached (ConnectError)")


async def test_an_invisible_project_is_reported() -> None:
    passed, output = await lines(sandboxed(project_id=99))
    assert not passed
    assert any("CEKURA_PROJECT_ID is 99" in line for line in output)


@pytest.mark.parametrize(
    ("date", "passed", "detail"),
    [
        ("Wed, 18 Nov 2026 15:30:20 GMT", True, "the API is 20 s ahead"),
        ("Wed, 18 Nov 2026 15:25:00 GMT", None, "the API is 300 s behind; correct this machine's clock"),
        (None, None, "the API does not send its time"),
        ("soon", None, "the API does not send its time"),
    ],
)
def test_clock_differences_are_classified(date: str | None, passed: bool | None, detail: str) -> None:  # noqa: FBT001 - a parameter
    check = check_clock(date, NOW)
    assert (check.passed, check.detail) == (passed, detail)


async def test_an_api_clock_that_is_ahead_is_reported() -> None:
    app = shared_sandbox(ApiVariant(clock_ahead_s=timedelta(minutes=2).total_seconds()))
    _, output = await lines(Connection(settings(), app_factory=lambda: app, now=now))
    assert output[-1].startswith("?    clock: the API is 120 s ahead")


def person(home: Path) -> Machine:
    return Machine(home, "linux", {})


async def entries(home: Path) -> list[str]:
    result = await examine(sandboxed(), person(home), with_probe=False)
    return [line for line in result.lines() if ', "' in line or "server is not installed" in line or "clients" in line]


def write_entry(home: Path, name: str, **entry: Any) -> Path:
    client = CLIENTS[name]
    path = client.path(person(home))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({client.servers: {"cekura-dashboards": entry}}), encoding="utf-8")
    return path


VERSION = version("cekura-dashboards-mcp")
SERVER_ENTRY: Json = {"command": sys.executable, "args": ["-m", "cekura_dashboards_mcp", "serve"]}


async def test_a_working_client_entry_makes_a_key_in_the_shell_optional(tmp_path: Path) -> None:
    write_entry(tmp_path, "cursor", command=sys.executable, args=[*SERVER_ENTRY["args"], "--sandbox"])
    (tmp_path / ".config" / "Code" / "User").mkdir(parents=True)
    without = Connection(settings().model_copy(update={"api_key": None}))
    result = await examine(without, person(tmp_path), with_probe=False)
    assert result.passed
    [_, key, *clients] = result.lines()
    assert key.startswith("?    key: none in this shell")
    assert clients == [
        "?    VS Code: this server is not installed; to add it: cekura-dashboards install vscode",
        f'ok   Cursor, "cekura-dashboards": starts {VERSION}, {len(BY_NAME)} tools, and the API answers it',
    ]


@pytest.mark.skipif(os.name != "posix", reason="POSIX file permissions")
async def test_a_key_readable_by_other_users_is_reported(tmp_path: Path) -> None:
    path = write_entry(tmp_path, "cursor", **SERVER_ENTRY, env={"CEKURA_API_KEY": "your-cekura-api-key"})
    for mode, expected in ((0o644, True), (0o600, False)):
        path.chmod(mode)
        result = (await examine(sandboxed(), person(tmp_path), with_probe=False)).lines()
        assert (
            f"?    Cursor: other users can read {path}, which contains a key; to fix it: chmod 600 {path}" in result
        ) == expected


async def test_comments_are_accepted_only_in_files_of_clients_that_allow_them(tmp_path: Path) -> None:
    entry = json.dumps({"command": "/not/there/cekura-dashboards", "args": ["serve"]})
    for name in ("vscode", "cursor"):
        path = write_entry(tmp_path, name)
        path.write_text(
            f'{{\n  // mine\n  "{CLIENTS[name].servers}": {{"cekura-dashboards": {entry},}}\n}}', encoding="utf-8"
        )
    cursor, vscode = sorted((await examine(sandboxed(), person(tmp_path), with_probe=False)).lines()[-2:])
    assert vscode.startswith('FAIL VS Code, "cekura-dashboards": /not/there/cekura-dashboards cannot be started')
    assert cursor.startswith("FAIL Cursor: ")
    assert "is not JSON: Expecting property name enclosed in double quotes in line 2" in cursor


@pytest.mark.parametrize("name", ["codex", "opencode", "goose"])
async def test_entries_in_other_formats_are_started_like_their_client_does(name: str, tmp_path: Path) -> None:
    """The program is missing, so that none starts; ``test_install`` covers starting it."""
    run_cli("install", name, "--sandbox", environment={"HOME": str(tmp_path), **person(tmp_path).environment})
    config = CLIENTS[name].path(person(tmp_path))
    program = str(Path(sys.executable).with_name("cekura-dashboards"))
    text = config.read_text(encoding="utf-8")
    assert program in text
    config.write_text(text.replace(program, "/not/there/cekura-dashboards"), encoding="utf-8")
    [line] = await entries(tmp_path)
    expected = "/not/there/cekura-dashboards cannot be started"
    assert line.startswith(f'FAIL {CLIENTS[name].title}, "cekura-dashboards-sandbox": {expected}')


@pytest.mark.parametrize(
    ("name", "source"),
    [("codex", "it comes from CEKURA_API_KEY, which is not set in this shell"), ("vscode", "VS Code asks for it")],
)
async def test_an_entry_with_an_external_key_names_its_source(name: str, source: str, tmp_path: Path) -> None:
    shell = {"HOME": str(tmp_path), **person(tmp_path).environment, "CEKURA_API_KEY": "key-of-this-shell"}
    run_cli("install", name, environment=shell)
    [line] = await entries(tmp_path)
    assert line == (
        f'?    {CLIENTS[name].title}, "cekura-dashboards": its key is not in the file: {source}; '
        "set CEKURA_API_KEY to check the entry from here"
    )
    settings_here = {**person(tmp_path).environment, "CEKURA_API_KEY": "${CEKURA_API_KEY}"}
    result = await examine(sandboxed(), Machine(tmp_path, "linux", settings_here), with_probe=False)
    assert "does not answer: CEKURA_API_KEY is a reference that was not filled in" in result.lines()[-1]


async def test_doctor_without_any_client_lists_the_supported_ones(tmp_path: Path) -> None:
    [line] = await entries(tmp_path)
    assert line.startswith("?    chat clients: none of Claude Desktop, Claude Code, Cursor, VS Code, Codex, ")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"command": "/not/there/cekura-dashboards", "args": ["serve"]},
            "/not/there/cekura-dashboards cannot be started",
        ),
        ({"command": ["cekura-dashboards"]}, "is not a valid entry"),
        ({"args": ["serve"]}, "is not a valid entry"),
        (SERVER_ENTRY, "does not answer: No API key. Set CEKURA_API_KEY"),
        ({**SERVER_ENTRY, "env": {"CEKURA_API_KEY": "your-cekura-api-key"}}, "its CEKURA_API_KEY is the placeholder"),
        (
            {**SERVER_ENTRY, "env": {"CEKURA_API_KEY": "k", "CEKURA_BASE_URL": "http://127.0.0.1:9"}},
            f"{len(BY_NAME)} tools, but: The API could not be reached",
        ),
    ],
)
async def test_broken_entries_are_reported_with_cause_and_fix(entry: Json, message: str, tmp_path: Path) -> None:
    write_entry(tmp_path, "claude-code", **entry)
    [line] = await entries(tmp_path)
    assert line.startswith('FAIL Claude Code, "cekura-dashboards": ')
    assert message in line
    if "but: " not in line:
        assert line.endswith("cekura-dashboards install claude-code")


async def test_invalid_json_is_reported_with_its_position(tmp_path: Path) -> None:
    write_entry(tmp_path, "cursor").write_text("{,}", encoding="utf-8")
    result = await examine(sandboxed(), person(tmp_path), with_probe=False)
    assert not result.passed
    assert "is not JSON" in result.lines()[-1]
    assert "line 1, column 2" in result.lines()[-1]


def test_doctor_prints_json_and_sets_the_exit_code(tmp_path: Path) -> None:
    for arguments, code in (["--sandbox"], 0), ([], 1):
        completed = run_cli("doctor", "--json", *arguments, environment={"HOME": str(tmp_path)})
        result = json.loads(completed.stdout)
        assert (completed.exit_code, result["passed"], completed.stderr) == (code, not code, "")
        assert {check["name"] for check in result["checks"]} >= {"settings", "key", "chat clients"}
        assert "findings" not in result
