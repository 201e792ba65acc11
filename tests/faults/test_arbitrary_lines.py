"""Lines over stdio that are spoilt somewhere: each request is answered with its id, however little of it can be read."""

import json
import random
import subprocess
import sys

import pytest

from support import HANGS_S, Json

LINES = 400
SPOILS = [
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
HELLO: Json = {
    "jsonrpc": "2.0", "id": "first", "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}  # fmt: skip


def spoilt(chance: random.Random, number: int) -> str:
    """A request whose beginning, with the id, is whole."""
    head = f'{{"jsonrpc":"2.0","id":{number},'
    tail = (
        '"method":"tools/call","params":{"name":"look_up","arguments":{"kind":"projects","search":["a",{"b":null}]}}}'
    )
    for _ in range(chance.randrange(1, 4)):
        place = chance.randrange(len(tail))
        tail = tail[:place] + chance.choice([*SPOILS, ""]) + tail[place + chance.randrange(3) :]
    return head + tail[: chance.choice([chance.randrange(1, len(tail)), len(tail), len(tail)])]


@pytest.mark.parametrize("seed", [1, 2])
def test_every_request_is_answered_whatever_is_spoilt_after_its_id(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    command = [sys.executable, "-m", "cekura_dashboards_mcp", "serve", "--sandbox"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, encoding="utf-8") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(HELLO) + "\n")
        process.stdin.flush()
        assert "result" in json.loads(process.stdout.readline())
        unanswered = {*range(LINES)}
        for number in range(LINES):
            process.stdin.write(spoilt(chance, number) + "\n")
            process.stdin.flush()
            unanswered.discard(json.loads(process.stdout.readline())["id"])
        process.stdin.close()
        assert process.wait(HANGS_S) == 0
    assert unanswered == set()
