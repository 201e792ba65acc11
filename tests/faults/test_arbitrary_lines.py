"""Corrupt lines over stdio: every request whose id is readable is answered with this id."""

import json
import random
import subprocess
import sys

from support import TIMEOUT_S, Json

LINES = 800
NOISE = [
    "\x00",
    "\ufeff",
    "\\",
    '"',
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "9" * 400,
    r"\ud83d",
    "\u2028",
    "é",
    "-",
    "nul",
    "NaN",
]
INITIALIZE: Json = {
    "jsonrpc": "2.0", "id": "first", "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}  # fmt: skip


def corrupt_request(chance: random.Random, number: int) -> str:
    """A request that is corrupt only after its id."""
    head = f'{{"jsonrpc":"2.0","id":{number},'
    tail = (
        '"method":"tools/call","params":{"name":"look_up","arguments":{"kind":"projects","search":["a",{"b":null}]}}}'
    )
    for _ in range(chance.randrange(1, 4)):
        place = chance.randrange(len(tail))
        tail = tail[:place] + chance.choice([*NOISE, ""]) + tail[place + chance.randrange(3) :]
    return head + tail[: chance.choice([chance.randrange(1, len(tail)), len(tail), len(tail)])]


def test_corrupt_stdio_lines_are_answered_with_their_request_id() -> None:
    chance = random.Random(1)  # noqa: S311 - no secret
    command = [sys.executable, "-m", "cekura_dashboards_mcp", "serve", "--sandbox"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, encoding="utf-8") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(INITIALIZE) + "\n")
        process.stdin.flush()
        assert "result" in json.loads(process.stdout.readline())
        unanswered = {*range(LINES)}
        for number in range(LINES):
            process.stdin.write(corrupt_request(chance, number) + "\n")
            process.stdin.flush()
            unanswered.discard(json.loads(process.stdout.readline())["id"])
        process.stdin.close()
        assert process.wait(TIMEOUT_S) == 0
    assert unanswered == set()
