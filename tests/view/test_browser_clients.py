"""Web pages as clients: real Chromium, a real server, and pages of an allowed and of another origin."""

from typing import Any

import pytest
from playwright.async_api import Browser
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from cekura_dashboards_mcp.connection import Connection
from cekura_dashboards_mcp.web.app import http_app
from cekura_dashboards_mcp.web.settings import ServerSettings
from support import BY_NAME, KEY, TIMEOUT_S, Json, now, served, settings, shared_sandbox

pytestmark = pytest.mark.anyio
LIST_TOOLS = """async ([url, key]) => {
  const headers = { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream',
    'MCP-Protocol-Version': '2025-11-25', 'X-CEKURA-API-KEY': key }
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' })
  try {
    const answer = await fetch(url, { method: 'POST', headers, body })
    return { status: answer.status, body: await answer.json() }
  } catch (error) { return { error: error.name } }
}"""


async def page(_request: Request) -> Response:
    return HTMLResponse("<!doctype html><title>chat</title>")


async def answer_to_page(browser: Browser, origin: str, server: str, key: str) -> Json:
    """The response that a page of that origin can read from the server."""
    context = await browser.new_context()
    context.set_default_timeout(TIMEOUT_S * 1000)
    try:
        tab = await context.new_page()
        await tab.goto(origin)
        answer: Json = await tab.evaluate(LIST_TOOLS, [f"{server}/mcp", key])
        return answer
    finally:
        await context.close()


async def test_only_pages_of_an_allowed_origin_can_list_tools(browser: Browser) -> None:
    chat: Any = Starlette(routes=[Route("/", page)])
    connection = Connection(settings(), key_per_request=True, app_factory=shared_sandbox, now=now)
    async with served(chat) as allowed, served(chat) as other:
        app = http_app(connection, ServerSettings(allowed_origins=allowed))
        async with served(app) as server:
            read = await answer_to_page(browser, allowed, server, KEY)
            refused = await answer_to_page(browser, allowed, server, "two words")
            hidden = await answer_to_page(browser, other, server, KEY)
    assert read["status"] == 200
    assert {tool["name"] for tool in read["body"]["result"]["tools"]} >= {*BY_NAME}
    assert (refused["status"], "error" in refused["body"]) == (403, True), "an allowed page can read the error"
    assert hidden == {"error": "TypeError"}, "a page of another origin reads nothing"
