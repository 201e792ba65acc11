"""Over stdio, in both eras: malformed lines are answered, so that no client waits forever."""

import json
import subprocess
import sys
from collections.abc import Generator
from typing import Any

import pytest

from support import ERAS, TIMEOUT_S, Era, Json

CALL = '{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":{"name":"list_dashboards","arguments":{"search":%s}}}'
PARSE_ERROR, INVALID_REQUEST = -32700, -32600
LEGACY_START: Json = {
    "jsonrpc": "2.0", "id": "first", "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25", "capabilities": {"elicitation": {}},
        "clientInfo": {"name": "test", "version": "1"},
    },
}  # fmt: skip
ENVELOPE: Json = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
CURRENT_START: Json = {"jsonrpc": "2.0", "id": "first", "method": "server/discover", "params": {"_meta": ENVELOPE}}
NESTED = "[" * 250 + "]" * 250
DEEP = "[" * 100_000
LINES: dict[str, tuple[int, Any]] = {
    CALL % (5, r'"\ud83d"'): (PARSE_ERROR, 5),
    CALL % ('"five"', r'"\ud83d"'): (PARSE_ERROR, "five"),
    CALL % (5, r'"\udc00 {\"id\": 6}"'): (PARSE_ERROR, 5),
    CALL % (5, NESTED): (PARSE_ERROR, 5),
    CALL % (5, DEEP): (PARSE_ERROR, 5),
    CALL % (5, "9" * 5000): (PARSE_ERROR, 5),
    CALL % (5, "01"): (PARSE_ERROR, 5),
    CALL % (5, '"\t"'): (PARSE_ERROR, 5),
    CALL % (5, r'"\x"'): (PARSE_ERROR, 5),
    CALL % (5, '"not closed'): (PARSE_ERROR, 5),
    r'{"params":{"id":6,"a":"\ud83d"},"method":"ping","\u0069d":5,"jsonrpc":"2.0"}': (PARSE_ERROR, 5),
    "\ufeff" + CALL % (5, "null"): (PARSE_ERROR, 5),
    '{"jsonrpc":"2.0","id":5': (PARSE_ERROR, None),
    CALL % (r'"\ud83d"', "null"): (PARSE_ERROR, None),
    CALL % ("9" * 5000, "null"): (PARSE_ERROR, None),
    DEEP: (PARSE_ERROR, None),
    "hello": (PARSE_ERROR, None),
    "{": (PARSE_ERROR, None),
    '"\\': (PARSE_ERROR, None),
    "5": (INVALID_REQUEST, None),
    "null": (INVALID_REQUEST, None),
    "{}": (INVALID_REQUEST, None),
    "[" + CALL % (5, "null") + "]": (INVALID_REQUEST, None),
    '{"jsonrpc":"2.0","id":5}': (INVALID_REQUEST, 5),
    '{"jsonrpc":"1.0","id":5,"method":"ping"}': (INVALID_REQUEST, 5),
    '{"id":"five","method":"ping"}': (INVALID_REQUEST, "five"),
    '{"jsonrpc":"2.0","id":5,"method":7}': (INVALID_REQUEST, 5),
    '{"jsonrpc":"2.0","id":5,"method":"ping","params":[1]}': (INVALID_REQUEST, 5),
    CALL % ("null", "null"): (INVALID_REQUEST, None),
    CALL % ("5.5", "null"): (INVALID_REQUEST, None),
    CALL % ("true", "null"): (INVALID_REQUEST, None),
    CALL % ("[5]", "null"): (INVALID_REQUEST, None),
}
"""Malformed lines with the expected error code, and the request id if it is readable."""
WITHOUT_ANSWER = [
    "",
    "   ",
    '{"jsonrpc":"2.0","method":"notifications/unheard-of"}',
    r'{"jsonrpc":"2.0","id":5,"result":"\ud83d"}',
]
"""Lines without an answer: blank lines, notifications, and unsolicited responses."""


class ServerProcess:
    """The process of a server, line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def send(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def next_message(self) -> Json:
        assert self._process.stdout is not None
        result: Json = json.loads(self._process.stdout.readline())
        return result

    def until(self, number: str) -> list[Json]:
        """All messages up to and including the answer to a request."""
        messages = [self.next_message()]
        while messages[-1].get("id") != number:
            messages.append(self.next_message())
        return messages


@pytest.fixture(scope="module", params=ERAS)
def server(request: pytest.FixtureRequest) -> Generator[tuple[Era, ServerProcess]]:
    """A server that has answered its first request; it must stop quietly at the end of its input."""
    era: Era = request.param
    command = [sys.executable, "-m", "cekura_dashboards_mcp", "serve", "--sandbox"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, encoding="utf-8") as process:
        try:
            lines_of_process = ServerProcess(process)
            lines_of_process.send(json.dumps(CURRENT_START if era == "auto" else LEGACY_START))
            assert "result" in lines_of_process.next_message()
            yield era, lines_of_process
            assert process.communicate(timeout=TIMEOUT_S) == ("", "")
            assert process.returncode == 0
        finally:
            process.kill()


def test_malformed_lines_are_answered_with_their_id_and_serving_continues(server: tuple[Era, ServerProcess]) -> None:
    era, lines_of_process = server
    for line in LINES:
        lines_of_process.send(line)
    for line in WITHOUT_ANSWER:
        lines_of_process.send(line)
    last = {"name": "look_up", "arguments": {"kind": "projects"}, "_meta": ENVELOPE if era == "auto" else {}}
    lines_of_process.send(json.dumps({"jsonrpc": "2.0", "id": "last", "method": "tools/call", "params": last}))
    *refusals, answer = lines_of_process.until("last")
    assert [(refusal["error"]["code"], refusal["id"]) for refusal in refusals] == [*LINES.values()]
    assert refusals[0]["error"]["message"].startswith("The line cannot be read as JSON: unexpected end of hex escape")
    assert "Northside Clinics" in str(answer["result"])


def test_a_malformed_first_line_is_answered() -> None:
    command = [sys.executable, "-m", "cekura_dashboards_mcp", "--sandbox"]
    result = subprocess.run(command, input=CALL % (5, r'"\ud83d"'), capture_output=True, text=True, check=True)
    assert json.loads(result.stdout)["id"] == 5
    assert result.stderr == ""


@pytest.mark.parametrize("server", ["legacy"], indirect=True)
def test_a_malformed_elicitation_answer_ends_the_call(server: tuple[Era, ServerProcess]) -> None:
    _, lines_of_process = server
    edit = {"name": "bulk_edit_dashboard", "arguments": {"dashboard_id": 11, "delete": [205]}}
    lines_of_process.send(json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}))
    lines_of_process.send(json.dumps({"jsonrpc": "2.0", "id": "edit", "method": "tools/call", "params": edit}))
    question = lines_of_process.next_message()
    assert question["method"] == "elicitation/create"
    spoilt = '{"jsonrpc":"2.0","id":%s,"result":{"action":"accept","content":{"confirm":true,"why":"\\ud83d"}}}'
    lines_of_process.send(spoilt % json.dumps(question["id"]))
    [answer] = lines_of_process.until("edit")
    assert "applied" not in str(answer)


UNNEEDED_MODULES = (
    "cekura_dashboards.catalogue", "cekura_dashboards.reports", "cekura_dashboards.stats", "numpy", "ruamel", "tomlkit",
)  # fmt: skip
PROGRAM = """
import atexit, sys
from cekura_dashboards_mcp.cli.main import program
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
program()
"""


def listed_tools(*lines: Json) -> tuple[list[Json], list[str]]:
    """A server's messages in answer to these lines, and its imported modules that only tool calls need."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", PROGRAM, "serve", "--sandbox"]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, encoding="utf-8") as process:
        lines_of_process = ServerProcess(process)
        lines_of_process.send("\n".join(json.dumps(line) for line in lines))
        messages = lines_of_process.until("list")
        _, modules = process.communicate()
    imported = modules.split()
    assert "cekura_dashboards_mcp.protocol.tools" in imported
    assert len(messages[-1]["result"]["tools"]) == 18
    return messages, [name for name in imported if name.startswith(UNNEEDED_MODULES)]


LIST: Json = {"jsonrpc": "2.0", "id": "list", "method": "tools/list"}


def test_listing_tools_imports_no_modules_of_tool_calls() -> None:
    _, imported_for_calls = listed_tools(CURRENT_START, {**LIST, "params": {"_meta": ENVELOPE}})
    assert imported_for_calls == []


def test_initialize_after_an_abandoned_discovery_imports_no_modules_of_tool_calls() -> None:
    """As @ai-sdk/mcp 2 sends it, with a timeout of one second for the answer."""
    ready: Json = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    (refusal, greeting, _), imported_for_calls = listed_tools(
        CURRENT_START, {**LEGACY_START, "id": "second"}, ready, {**LIST, "params": {}}
    )
    assert (refusal["id"], refusal["error"]["message"]) == (
        "first",
        "Abandoned by the client, which sent initialize instead.",
    )
    assert (greeting["id"], greeting["result"]["protocolVersion"]) == ("second", "2025-11-25")
    assert imported_for_calls == []
