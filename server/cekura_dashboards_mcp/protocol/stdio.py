"""Serving over stdio: each line gets an answer if one is due, and the process ends quietly when its client is gone."""

import os
import re
import select
import threading
from dataclasses import dataclass
from typing import Any, TextIO

import anyio
from mcp.server import MCPServer
from mcp.server.stdio import stdio_server
from mcp.types import INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError, JSONRPCNotification
from pydantic import ValidationError
from pydantic_core import from_json

from cekura_dashboards_mcp.protocol.sdk import ReadStream, SessionMessage, WriteStream, run_over

NOTIFICATIONS = "notifications/"
"""How the method of each notification of MCP begins."""
NO_MESSAGE = "The line is no JSON-RPC 2.0 request, notification or response. Send one object per line, no batch."
NO_ID = 'The request has no "id" that is text or a whole number, so it cannot be answered.'
TOKEN = re.compile(r'"(?:[^"\\]++|\\.?)*+"?|[][{}:,]|[^][{}:,"\s]++', re.DOTALL)
"""Of JSON that may be broken: a string, perhaps without its end; a sign of structure; a number or a word."""


async def serve_stdio(server: MCPServer[Any]) -> None:
    """Serve until standard input ends. The SDK leaves lines unanswered that it cannot read."""
    async with stdio_server() as (lines, answers), anyio.create_task_group() as group:
        messages, readable = anyio.create_memory_object_stream[SessionMessage | Exception]()
        group.start_soon(_read, lines, answers, messages)
        await run_over(server, readable, answers)


@dataclass(frozen=True)
class _Fault:
    """What is wrong with a line, and its members as far as they can be seen."""

    code: int
    text: str
    members: dict[str, Any]

    @property
    def is_of_response(self) -> bool:
        """Whether the line was to answer a question of this server, which must not wait for another one."""
        return "method" not in self.members and bool(self.members.keys() & {"result", "error"})

    def message(self) -> SessionMessage:
        """As an error to whoever waits for it; to nobody where the id cannot be seen, or is none."""
        error = ErrorData(code=self.code, message=self.text)
        try:
            return SessionMessage(JSONRPCError(jsonrpc="2.0", id=self.members.get("id"), error=error))
        except ValidationError:
            return SessionMessage(JSONRPCError(jsonrpc="2.0", id=None, error=error))


async def _read(
    lines: ReadStream[SessionMessage | Exception],
    answers: WriteStream[SessionMessage],
    messages: WriteStream[SessionMessage | Exception],
) -> None:
    """Hand on what can be read, and answer the rest."""
    async with messages:
        async for line in lines:
            fault = _unreadable(line) if isinstance(line, Exception) else _unanswerable(line)
            if fault is None:
                await messages.send(line)
            elif fault.is_of_response:
                await messages.send(fault.message())
            elif fault.text:
                await answers.send(fault.message())


def _unanswerable(line: SessionMessage) -> _Fault | None:
    """A request whose id is none passes for a notification."""
    message = line.message
    if not isinstance(message, JSONRPCNotification) or message.method.startswith(NOTIFICATIONS):
        return None
    return _Fault(INVALID_REQUEST, NO_ID, {"method": message.method})


def _unreadable(error: Exception) -> _Fault:
    """The fault of a line that is no message; without a text if the line is blank."""
    details = error.errors() if isinstance(error, ValidationError) else []
    for detail in details:
        if detail["type"] == "json_invalid":
            line, reason = str(detail["input"]), detail.get("ctx", {}).get("error")
            text = f"The line cannot be read as JSON: {reason}." if line.strip() else ""
            return _Fault(PARSE_ERROR, text, _members(line))
    objects = [detail["input"] for detail in details if detail["type"] == "missing"]  # the whole, which lacks something
    return _Fault(INVALID_REQUEST, NO_MESSAGE, objects[0] if objects else {})


def _members(line: str) -> dict[str, Any]:
    """The members of an object that cannot be read whole; None for values other than text, numbers and words."""
    tokens = TOKEN.findall(line.lstrip("\ufeff"))
    members = dict[str, Any]()
    depth = 0
    for place, token in enumerate(tokens):
        if depth == 1 and tokens[0] == "{" and tokens[place + 1 : place + 2] == [":"]:
            value = tokens[place + 2] if tokens[place + 3 : place + 4] in ([","], ["}"]) else ""
            members[str(_decoded(token))] = _decoded(value)
        depth += (token in {"{", "["}) - (token in {"}", "]"})
    return members


def _decoded(token: str) -> Any:
    try:
        return from_json(token)
    except ValueError:
        return None


def leave_with_reader(stdout: TextIO) -> None:
    """End the process once nobody can read what it writes any more.

    The SDK notices only when it writes, and then still waits for the next line on standard input. Where the system
    cannot tell (Windows), the end of standard input is what ends the process.
    """
    if not hasattr(select, "poll"):
        return
    try:
        end = os.dup(stdout.fileno())  # the SDK moves the stream itself away
    except (OSError, ValueError):
        return
    threading.Thread(target=_wait, args=(end,), name="stdout-reader", daemon=True).start()


def _wait(end: int) -> None:
    broken = select.poll()
    broken.register(end, 0)  # asks for nothing: the end of a pipe or socket is always told
    if broken.poll():
        os._exit(0)
