"""HTTP is confined to one module, which translates every error of the HTTP library."""

import zlib
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
NOT_SENT = {"ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol", "ProxyError", "InvalidURL"}
TIMEOUTS = {"TimeoutException", "ReadTimeout", "WriteTimeout"}


@pytest.mark.parametrize("kind", LIBRARY_FAULTS, ids=lambda kind: kind.__name__)
def test_every_http_library_error_is_translated(kind: type[Exception]) -> None:
    error = kind.__new__(kind)
    Exception.__init__(error, "detail with a secret")
    result = translate(error, 30)
    name = kind.__name__
    expected = (
        errors.NotSent if name in NOT_SENT else errors.DeadlinePassed if name in TIMEOUTS else errors.ConnectionBroken
    )
    assert type(result) is expected
    assert "secret" not in str(result)


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
    observed = list[list[bytes]]()

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        observed.append([value for name, value in scope["headers"] if name == b"cookie"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"set-cookie", b"who=me; Path=/")]})
        await send({"type": "http.response.body", "body": b"{}"})

    transport = HttpTransport("http://localhost", app=app)
    for _ in range(2):
        await transport.send("GET", "/", key=SecretStr(KEY), timeout_s=5, query={}, body=None)
    await transport.aclose()
    assert observed == [[], []]


async def test_a_body_over_the_size_limit_is_an_error_with_a_next_step() -> None:
    with pytest.raises(errors.UnreadableAnswer, match=r"larger than 1 MiB.*narrower window"):
        await ask(responding(200, b"x" * (2**20 + 1)), max_body_bytes=2**20)


def compressed(body: bytes, wbits: int) -> bytes:
    packer = zlib.compressobj(wbits=wbits)
    return packer.compress(body) + packer.flush()


GZIP, ZLIB, DEFLATE = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS
SMALL, LARGE = b'{"results": []}', bytes(range(256)) * 5000 + b"0" * 700_000


@pytest.mark.parametrize("body", [b"", SMALL, LARGE], ids=["empty", "small", "large"])
@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZIP", "identity, gzip", "deflate", "deflate without header"])
async def test_compressed_bodies_are_decompressed(coding: str, body: bytes) -> None:
    wbits = {"deflate": ZLIB, "deflate without header": DEFLATE}.get(coding, GZIP)
    sent = coding.removesuffix(" without header").encode()
    assert (await ask(responding(200, compressed(body, wbits), (b"content-encoding", sent)))).body == body


@pytest.mark.parametrize("wbits", [GZIP, ZLIB, DEFLATE])
async def test_the_size_limit_applies_to_decompressed_bodies(wbits: int) -> None:
    sent = compressed(b"0" * (8 * 2**20), wbits)
    answer = responding(200, sent, (b"content-encoding", b"gzip" if wbits == GZIP else b"deflate"))
    with pytest.raises(errors.UnreadableAnswer, match="larger than 1 MiB"):
        await ask(answer, max_body_bytes=2**20)


@pytest.mark.parametrize("coding", [b"br", b"zstd", b"gzip, gzip", b"gzip, deflate", b"compress", b"nonsense"])
async def test_unrequested_content_encodings_are_rejected_by_name(coding: bytes) -> None:
    with pytest.raises(errors.UnreadableAnswer, match=f'content encoding "{coding.decode()}"'):
        await ask(responding(200, b"x", (b"content-encoding", coding)))


@pytest.mark.parametrize("coding", [b"gzip", b"deflate"])
async def test_corrupt_compressed_data_is_an_unreadable_answer(coding: bytes) -> None:
    with pytest.raises(errors.UnreadableAnswer, match="corrupt"):
        await ask(responding(200, b"no such thing", (b"content-encoding", coding)))


async def test_trailing_bytes_after_compressed_data_are_dropped_but_counted() -> None:
    coding = (b"content-encoding", b"gzip")
    sent = compressed(SMALL, GZIP)
    assert (await ask(responding(200, sent + b"\0" * 1000, coding))).body == SMALL
    with pytest.raises(errors.UnreadableAnswer, match="larger than 1 MiB"):
        await ask(responding(200, sent + b"\0" * 2**20, coding), max_body_bytes=2**20)


async def test_a_missing_answer_ends_at_the_deadline() -> None:

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        await anyio.Event().wait()

    transport = HttpTransport("http://localhost", app=app)
    with pytest.raises(errors.DeadlinePassed):
        await transport.send("GET", "/", key=SecretStr(KEY), timeout_s=0.05, query={}, body=None)
    await transport.aclose()


async def test_a_refused_connection_counts_as_not_sent() -> None:
    transport = HttpTransport("http://127.0.0.1:9")
    with pytest.raises(errors.NotSent):
        await transport.send("GET", "/", key=SecretStr(KEY), timeout_s=5, query={}, body=None)
    await transport.aclose()
