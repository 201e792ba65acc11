"""Streamable HTTP: stateless, local, each request under its own key."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.types import PromptReference

from cekura_dashboards_mcp.connection import Connection
from cekura_dashboards_mcp.web.app import http_app, parse_address
from support import KEY, PLAIN_HTTP, Era, now, served, settings, shared_sandbox, text_of

pytestmark = pytest.mark.anyio
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
HEADERS = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}


@asynccontextmanager
async def serving(*, per_request: bool = True) -> AsyncGenerator[str]:
    """The server on a free port of this machine, over a sandbox."""
    connection = Connection(settings(), key_per_request=per_request, app_factory=shared_sandbox, now=now)
    async with served(http_app(connection)) as url:
        yield f"{url}/mcp"


async def call(url: str, era: Era, key: str, tool: str, arguments: dict[str, Any]) -> Any:
    async with (
        httpx2.AsyncClient(**PLAIN_HTTP, headers={"X-CEKURA-API-KEY": key}) as http,
        Client(streamable_http_client(url, http_client=http), mode=era) as client,
    ):
        return await client.call_tool(tool, arguments)


async def test_a_client_with_a_valid_key_gets_answers(era: Era) -> None:
    async with serving() as url:
        result = await call(url, era, KEY, "list_dashboards", {})
    assert not result.is_error
    assert "Operations overview" in text_of(result)


async def test_each_request_uses_its_own_key(era: Era) -> None:
    async with serving() as url:
        assert not (await call(url, era, KEY, "list_dashboards", {})).is_error
        stranger = await call(url, era, "another-key", "list_dashboards", {})
    assert stranger.is_error
    assert "rejected the key" in text_of(stranger)


async def test_completions_and_resources_use_the_key_of_each_request(era: Era) -> None:
    reference = PromptReference(type="ref/prompt", name="weekly_review")
    async with serving() as url:
        for key, expected in (KEY, ["Booking agent"]), ("another-key", list[str]()):
            async with (
                httpx2.AsyncClient(**PLAIN_HTTP, headers={"X-CEKURA-API-KEY": key}) as http,
                Client(streamable_http_client(url, http_client=http), mode=era) as client,
            ):
                result = await client.complete(reference, {"name": "dashboard", "value": "book"})
                assert result.completion.values == expected
                if not expected:
                    with pytest.raises(MCPError, match="rejected the key"):
                        await client.read_resource("cekura://dashboards/12")


async def test_a_request_without_a_key_is_answered_with_403() -> None:
    async with serving() as url, httpx.AsyncClient(**PLAIN_HTTP) as http:
        answer = await http.post(url, json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, headers=HEADERS)
    assert answer.status_code == 403
    assert "X-CEKURA-API-KEY" in answer.json()["error"]


@pytest.mark.parametrize("wants_progress", [True, False])
async def test_answers_are_streamed_only_with_a_progress_token(wants_progress: bool) -> None:  # noqa: FBT001 - a parameter
    meta = {"_meta": {"progressToken": 7}} if wants_progress else {}
    arguments = {"name": "get_widgets_data", "arguments": {"dashboard_id": 11}, **meta}
    async with serving() as url, httpx.AsyncClient(**PLAIN_HTTP) as http:
        answer = await http.post(
            url,
            json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": arguments},
            headers={**HEADERS, "X-CEKURA-API-KEY": KEY, "MCP-Protocol-Version": "2025-11-25"},
        )
    kind = answer.headers["content-type"].partition(";")[0]
    assert kind == ("text/event-stream" if wants_progress else "application/json")
    assert ("notifications/progress" in answer.text) is wants_progress
    assert "Operations overview" in answer.text


async def test_a_sandbox_needs_no_key(era: Era) -> None:
    async with serving(per_request=False) as url, Client(url, mode=era) as client:
        assert not (await client.call_tool("list_dashboards", {})).is_error


async def test_an_unknown_host_name_is_rejected() -> None:
    async with serving() as url, httpx.AsyncClient(**PLAIN_HTTP) as http:
        headers = {**HEADERS, "X-CEKURA-API-KEY": KEY, "Host": "evil.invalid"}
        answer = await http.post(url, json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, headers=headers)
    assert answer.status_code == 421


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("Host", "localhost:1.evil.example", 421),
        ("Host", "localhost.evil.example:80", 421),
        ("Host", "127.0.0.1@evil.example", 421),
        ("Origin", "http://localhost:1.evil.example", 403),
        ("Origin", "https://evil.example", 403),
        ("Origin", "null", 403),
    ],
)
async def test_hosts_and_origins_that_only_resemble_localhost_are_rejected(name: str, value: str, status: int) -> None:
    async with serving() as url, httpx.AsyncClient(**PLAIN_HTTP) as http:
        headers = {**HEADERS, "X-CEKURA-API-KEY": KEY, name: value}
        answer = await http.post(url, json=LIST, headers=headers)
    assert answer.status_code == status
    assert answer.json()["error"]


async def test_a_key_with_invalid_characters_is_rejected() -> None:
    async with serving() as url, httpx.AsyncClient(**PLAIN_HTTP) as http:
        answer = await http.post(url, json=LIST, headers={**HEADERS, "X-CEKURA-API-KEY": "two words"})
    assert answer.status_code == 403
    assert "contains characters that no key has" in answer.json()["error"]


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:8000", ("127.0.0.1", 8000)), ("[::1]:1", ("::1", 1)), ("localhost:0", ("localhost", 0))],
)
def test_local_addresses_are_parsed(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    ["", "8000", ":8000", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:99999"],
)
def test_invalid_addresses_are_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="--http"):
        parse_address(text)


@pytest.mark.parametrize("version", ["2025-11-25", "2026-07-28"])
@pytest.mark.parametrize(
    "search",
    [r'"\ud83d"', "[" * 300 + "]" * 300, "[" * 100_000, "9" * 5000, "01", '"not closed', "NaN", "1e999"],
    ids=["half a character", "nested", "nested too deep", "digits", "not a number", "truncated", "NaN", "not a float"],
)
async def test_malformed_requests_are_answered_without_a_traceback(
    search: str, version: str, caplog: pytest.LogCaptureFixture
) -> None:
    envelope = (
        r'{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},'
        r'"io.modelcontextprotocol/clientInfo":{"name":"test","version":"1"}}'
    )
    call = (
        r'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"list_dashboards","_meta":%s,"arguments":%s}}'
    )
    named = {"MCP-Protocol-Version": version, "Mcp-Method": "tools/call", "Mcp-Name": "list_dashboards"}
    async with serving() as url, httpx.AsyncClient(**PLAIN_HTTP) as http:
        body = call % (envelope if version == "2026-07-28" else "{}", f'{{"search":{search}}}')
        answer = await http.post(url, content=body, headers={**HEADERS, **named, "X-CEKURA-API-KEY": KEY})
    assert answer.status_code in {200, 400}
    if answer.status_code == 200:
        assert answer.json()["id"] == 7
        assert "failed unexpectedly" not in answer.text
    else:
        assert answer.json()["error"]["code"] == -32700
    assert caplog.records == []
