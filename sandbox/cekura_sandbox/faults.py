"""Injected faults: what a network, a proxy or a failing API may do to a request.

Requested by the header ``X-Sandbox-Fault: KIND`` or ``KIND=VALUE``, or in advance with
``POST /sandbox/faults/``. Dropped connections and streams need a real server around the sandbox.
"""

import json
import random
import threading
import zlib
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any, Literal, get_args
from urllib.parse import parse_qsl, urlencode

import anyio
from fastapi import APIRouter
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cekura_sandbox.filters import is_list, is_object

Kind = Literal[
    "latency",  # value: seconds
    "rate_limited",  # value: the Retry-After header
    "error_500",
    "error_502",  # with the HTML of a proxy
    "error_503",
    "drop_before",  # the connection ends, the request was not applied
    "drop_after",  # it was applied, the response is lost
    "truncated",
    "html",  # 200 with a sign-in page
    "wrong_types",
    "repeat_page",  # every page names itself as the next
    "foreign_next",  # the next page is on another host
    "redirect",
    "huge",  # value: bytes
    "compressed",  # value: bytes after decompression, a thousand times the compressed size
    "trickling",  # the response in pieces; value: seconds between them
]
KINDS: tuple[str, ...] = get_args(Kind)
HEADER = "x-sandbox-fault"
PIECES = 40
"""The number of pieces of a slow response."""
HTML = b"<!doctype html><html><body>Sign in to continue (node gw-17)</body></html>"


@dataclass
class Fault:
    """A scheduled fault. ``times`` None: for ever; ``share``: of the matching requests."""

    kind: Kind
    value: str | None = None
    method: str = ""
    path: str = ""
    times: int | None = 1
    share: float = 1.0

    def matches(self, method: str, path: str) -> bool:
        return self.method in {"", method} and self.path in path and self.times != 0


@dataclass
class Faults:
    """The scheduled faults, and a log of requests: ``[method, path, fault or empty]``."""

    coming: list[Fault] = field(default_factory=list[Fault])
    log: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    disconnected: int = 0
    rng: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311 - no secret
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, *faults: Fault) -> None:
        for fault in faults:
            if fault.kind not in KINDS:
                raise ValueError(f"no fault {fault.kind}; there are {', '.join(KINDS)}")
        with self._lock:
            self.coming += faults

    def clear(self) -> None:
        with self._lock:
            self.coming.clear()
            self.log.clear()
            self.disconnected = 0

    def take(self, method: str, path: str, header: str | None) -> Fault | None:
        """The fault for this request, if any."""
        with self._lock:
            fault_taken = _from_header(header) if header else None
            for fault in self.coming if fault_taken is None else []:
                if fault.matches(method, path) and self.rng.random() < fault.share:
                    fault_taken = fault
                    if fault.times is not None:
                        fault.times -= 1
                    break
            self.log.append((method, path, fault_taken.kind if fault_taken else ""))
            return fault_taken


def _from_header(text: str) -> Fault | None:
    kind, _, value = text.partition("=")
    kinds: list[Any] = [name for name in KINDS if name == kind]
    return Fault(kinds[0], value or None) if kinds else None


class FaultInjector:
    """The middleware that injects faults."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: C901, PLR0912 - a table of kinds
        if scope["type"] != "http" or scope["path"].startswith("/sandbox/"):
            await self._app(scope, receive, send)
            return
        fault = self._faults.take(scope["method"], scope["path"], Headers(scope=scope).get(HEADER))
        if fault is None:
            await self._app(scope, receive, send)
            return
        match fault.kind:
            case "latency":
                await self._app(scope, await self._wait(float(fault.value or 1), receive), send)
            case "rate_limited":
                await _answer(send, 429, b'{"detail": "Request was throttled."}', retry_after=fault.value)
            case "error_500":
                await _answer(send, 500, b'{"detail": "Internal error in db-7"}')
            case "error_502":
                await _answer(send, 502, HTML, kind=b"text/html")
            case "error_503":
                await _answer(send, 503, b"", retry_after=fault.value)
            case "html":
                await _answer(send, 200, HTML, kind=b"text/html")
            case "redirect":
                await _answer(send, 302, b"", location="https://elsewhere.invalid/")
            case "huge":
                await _stream(send, int(fault.value or 200_000_000))
            case "compressed":
                await _answer(send, 200, _compressed(int(fault.value or 200_000_000)), content_encoding="gzip")
            case "trickling":
                await _trickle(send, *await self._collect(scope, receive), float(fault.value or 0))
            case "drop_before":
                await _break_off(send)
            case "drop_after":
                await self._collect(scope, receive)
                await _break_off(send)
            case _:
                status, body = await self._collect(scope, receive)
                await _answer(send, status, _spoil(fault.kind, body, scope))

    async def _wait(self, seconds: float, receive: Receive) -> Receive:
        """Wait, or stop when the caller disconnects; messages received meanwhile are replayed."""
        messages = list[Message]()
        with anyio.move_on_after(seconds):
            while True:
                messages.append(await receive())
                if messages[-1]["type"] == "http.disconnect":
                    self._faults.disconnected += 1
                    break

        async def again() -> Message:
            return messages.pop(0) if messages else await receive()

        return again

    async def _collect(self, scope: Scope, receive: Receive) -> tuple[int, bytes]:
        """The API's own response."""
        status, parts = 0, list[bytes]()

        async def keep(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                parts.append(message.get("body", b""))

        await self._app(scope, receive, keep)
        return status, b"".join(parts)


async def _answer(
    send: Send, status: int, body: bytes, *, kind: bytes = b"application/json", **headers: str | None
) -> None:
    headers_sent = [
        (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items() if value is not None
    ]
    length = (b"content-length", str(len(body)).encode())
    await send(
        {"type": "http.response.start", "status": status, "headers": [(b"content-type", kind), length, *headers_sent]}
    )
    await send({"type": "http.response.body", "body": body})


async def _break_off(send: Send) -> None:
    """Announce more bytes than are sent, so that the server closes the connection."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"1000")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{", "more_body": True})


async def _stream(send: Send, size: int) -> None:
    """A body of this many bytes without a Content-Length."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    part = b"[" + b"0," * 32_768
    for _ in range(size // len(part) + 1):
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b"0]"})


@cache
def _compressed(size: int) -> bytes:
    """A list of this many bytes, compressed in pieces."""
    packer, part = zlib.compressobj(wbits=16 + zlib.MAX_WBITS), b"0," * 32_768
    packed = [packer.compress(b"[")]
    packed += [packer.compress(part) for _ in range(size // len(part) + 1)]
    return b"".join([*packed, packer.compress(b"0]"), packer.flush()])


async def _trickle(send: Send, status: int, body: bytes, wait_s: float) -> None:
    """A response in pieces, each after a wait."""
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    step = max(1, len(body) // PIECES)
    for place in range(0, len(body), step):
        await anyio.sleep(wait_s)
        await send({"type": "http.response.body", "body": body[place : place + step], "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _spoil(kind: str, body: bytes, scope: Scope) -> bytes:
    if kind == "truncated":
        return body[: len(body) // 2]
    data: Any = json.loads(body or b"null")
    if kind == "wrong_types":
        data = _wrong(data)
    elif is_object(data) and "results" in data:
        query = dict(parse_qsl(scope["query_string"].decode()))
        host = "https://elsewhere.invalid" if kind == "foreign_next" else "https://api.sandbox.invalid"
        if kind == "repeat_page" or query.get("page") != "2":
            following = query if kind == "repeat_page" else {**query, "page": "2"}
            data["next"] = f"{host}{scope['path']}?{urlencode(following)}"
    return json.dumps(data).encode()


def _wrong(value: Any) -> Any:
    """A response with ids as words, lists as objects and objects as lists in known fields."""
    if is_list(value):
        return [_wrong(item) for item in value]
    if not is_object(value):
        return value
    swapped = {"id": "not-a-number", "results": {"0": 1}, "widgets": "none", "created": 0, "data": "soon", "name": [1]}
    return {name: swapped.get(name, inner) for name, inner in value.items()}


def fault_routes(faults: Faults) -> APIRouter:
    """The routes that schedule faults; they need no key."""
    router = APIRouter(prefix="/sandbox/faults", include_in_schema=False)

    @router.get("/")
    def show() -> dict[str, Any]:
        return {"coming": [asdict(fault) for fault in faults.coming], "log": faults.log}

    @router.post("/")
    def add(fault: Fault) -> dict[str, Any]:
        faults.add(fault)
        return show()

    @router.delete("/")
    def clear() -> dict[str, Any]:
        faults.clear()
        return show()

    return router
