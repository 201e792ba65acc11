"""One module speaks HTTP: every fault of the library becomes one of ours."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import httpx
import pytest
from pydantic import SecretStr

from cekura_dashboards.api import errors
from cekura_dashboards.api.transport import HttpTransport, translate
from support import KEY

pytestmark = pytest.mark.anyio
Asgi = Callable[[Any, Any, Any], Awaitable[None]]


def subclasses(kind: type[Exception]) -> list[type[Exception]]:
    return [kind, *(below for child in kind.__subclasses__() for below in subclasses(child))]


LIBRARY_FAULTS = [
    *(kind for kind in subclasses(httpx.HTTPError) if kind is not httpx.HTTPStatusError),
    httpx.InvalidURL,
    *subclasses(httpx.StreamError),
]
NEVER_ARRIVED = {"ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol", "ProxyError", "InvalidURL"}
TOO_SLOW = {"TimeoutException", "ReadTimeout", "WriteTimeout"}


@pytest.mark.parametrize("kind", LIBRARY_FAULTS, ids=lambda kind: kind.__name__)
def test_every_fault_of_the_library_is_translated(kind: type[Exception]) -> None:
    error = kind.__new__(kind)
    Exception.__init__(error, "detail with a secret")
    found = translate(error, 30)
    name = kind.__name__
    expected = (
        errors.NotSent
        if name in NEVER_ARRIVED
        else errors.DeadlinePassed
        if name in TOO_SLOW
        else errors.ConnectionBroken
    )
    assert type(found) is expected
    assert "secret" not in str(found)


async def ask(app: Asgi, **options: Any) -> Any:
    transport = HttpTransport("http://localhost", app=app, **options)
    try:
        return await transport.send("GET", "/", key=SecretStr(KEY), timeout_s=5, query={}, body=None)
    finally:
        await transport.aclose()


def responding(status: int, body: bytes, *headers: tuple[bytes, bytes]) -> Asgi:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        await send({"type": "http.response.body", "body": body})

    return app


async def test_a_redirect_is_not_followed() -> None:
    answer = await ask(responding(302, b"", (b"location", b"http://elsewhere.invalid/")))
    assert answer.status == 302


async def test_cookies_are_not_kept() -> None:
    seen = list[list[bytes]]()

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        seen.append([value for name, value in scope["headers"] if name == b"cookie"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"set-cookie", b"who=me; Path=/")]})
        await send({"type": "http.response.body", "body": b"{}"})

    transport = HttpTransport("http://localhost", app=app)
    for _ in range(2):
        await transport.send("GET", "/", key=SecretStr(KEY), timeout_s=5, query={}, body=None)
    await transport.aclose()
    assert seen == [[], []]


async def test_a_body_over_the_cap_ends_in_an_error_that_says_what_to_do() -> None:
    with pytest.raises(errors.UnreadableAnswer, match=r"larger than 1 MiB.*narrower window"):
        await ask(responding(200, b"x" * (2**20 + 1)), max_body_bytes=2**20)


async def test_an_answer_that_never_comes_ends_at_the_deadline() -> None:

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        await anyio.Event().wait()

    transport = HttpTransport("http://localhost", app=app)
    with pytest.raises(errors.DeadlinePassed):
        await transport.send("GET", "/", key=SecretStr(KEY), timeout_s=0.05, query={}, body=None)
    await transport.aclose()


async def test_a_port_where_nobody_listens_was_certainly_not_reached() -> None:
    transport = HttpTransport("http://127.0.0.1:9")
    with pytest.raises(errors.NotSent):
        await transport.send("GET", "/", key=SecretStr(KEY), timeout_s=5, query={}, body=None)
    await transport.aclose()
