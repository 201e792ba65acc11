"""Every API failure through a tool: isError, a next step, no secret, no body."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from mcp import Client
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from cekura_dashboards_mcp.connection import Connection
from cekura_dashboards_mcp.protocol.server import create_server
from support import KEY, Era, now, settings, text_of

pytestmark = pytest.mark.anyio
INTERNAL = f"Traceback: secret {KEY} of host db-7"
CASES: list[tuple[str, int, dict[str, str], str, str]] = [
    ("a 400 with a detail", 400, {}, '{"detail": "Bad range."}', 'The API refused the request (400): detail: "Bad range.". Correct this'),
    ("a 400 with fields", 400, {}, '{"name": ["Too long."]}', 'name: "Too long."'),
    ("a 400 of something else", 400, {}, INTERNAL, "without a usable reason. Check the arguments."),
    ("a 401", 401, {}, INTERNAL, "rejected the key (401). Set CEKURA_API_KEY"),
    ("a 403", 403, {}, INTERNAL, "Use a key of that project"),
    ("a 404", 404, {}, INTERNAL, "No dashboard 11 for this key. list_dashboards shows"),
    ("a 429 with a long wait", 429, {"Retry-After": "120"}, INTERNAL, "Try again in 120 seconds"),
    ("a 429 with a date long from now", 429, {"Retry-After": "Wed, 18 Nov 2026 15:40:00 GMT"}, INTERNAL, "Try again in 300 seconds"),
    ("a 500", 500, {}, INTERNAL, "failed (500). Try again later"),
    ("a 503 with a long wait", 503, {"Retry-After": "120"}, INTERNAL, "failed (503)"),
    ("a page of a proxy", 200, {"Content-Type": "text/html"}, "<html>Sign in</html>", "HTML, not JSON. Check CEKURA_BASE_URL"),
    ("broken JSON", 200, {}, '{"id": 11, "name"', "not valid JSON"),
    ("a redirect", 302, {"Location": "https://evil.invalid"}, INTERNAL, "unexpected status 302. Check CEKURA_BASE_URL"),
]  # fmt: skip


def failing(status: int, headers: dict[str, str], body: str) -> Starlette:
    async def answer(_request: Any) -> Response:
        return Response(body, status, {"Content-Type": "application/json", **headers})

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST", "PATCH"])])


def client(app: Any, era: Era) -> Client:

    return Client(create_server(Connection(settings(timeout_s=20), app_factory=lambda: app, now=now)), mode=era)


@pytest.mark.parametrize(
    ("status", "headers", "body", "message"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
async def test_every_api_error_status_is_reported_with_a_next_step(
    status: int, headers: dict[str, str], body: str, message: str, era: Era
) -> None:
    async with client(failing(status, headers, body), era) as api_client:
        result = await api_client.call_tool("get_dashboard", {"dashboard_id": 11})
    assert result.is_error
    assert result.structured_content is None
    text = text_of(result)
    assert message in text
    assert KEY not in text
    assert "Traceback" not in text
    assert "db-7" not in text
    assert text.count("\n") <= 1


def raising(error: Exception) -> Callable[..., Any]:
    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (httpx.ConnectError(INTERNAL), "could not be reached (ConnectError). Check the network and CEKURA_BASE_URL"),
        (httpx.ReadTimeout(INTERNAL), "No response within 20 seconds. Use a narrower window"),
        (httpx.RemoteProtocolError(INTERNAL), "The connection to the API broke (RemoteProtocolError). Try again."),
    ],
    ids=["unreachable", "too slow", "broken"],
)
async def test_connection_failures_are_reported_with_a_next_step(error: Exception, message: str, era: Era) -> None:
    async with client(raising(error), era) as api_client:
        result = await api_client.call_tool("get_dashboard", {"dashboard_id": 11})
    assert result.is_error
    assert message in text_of(result)
    assert KEY not in text_of(result)
