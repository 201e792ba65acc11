"""A chat host for the chart view: real Chromium, a real MCP client, and no network.

Two origins exist only inside the browser: the chat, and a sandbox that frames the view under the CSP that MCP Apps
prescribes for a resource that declares no domains. Every other request is refused and recorded.
"""

import json
import shutil
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from mcp import Client
from mcp.client.extension import advertise
from mcp.server.apps import APP_MIME_TYPE, EXTENSION_ID
from playwright.async_api import Browser, Frame, Page, Route, async_playwright

from cekura_dashboards.api.models import is_list, is_object
from cekura_dashboards_mcp.connection import Connection
from cekura_dashboards_mcp.protocol.server import create_server
from support import TIMEOUT_S, Era, Json, now, settings

HEIGHT = 700
"""The height of the chat in pixels."""
CHAT, SANDBOX = "http://chat.test/", "http://sandbox.test/"
CSP = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self'; media-src 'self' data:; connect-src 'none'; frame-src 'self'; object-src 'none'; base-uri 'self'"
)
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
    # Without these, each frame of each origin would run in its own process; the permissions of a page stay the same.
    "--disable-site-isolation-trials", "--disable-features=IsolateOrigins,site-per-process,IsolateSandboxedIframes",
]  # fmt: skip
WITH_MCP_APPS = [advertise(EXTENSION_ID, {"mimeTypes": [APP_MIME_TYPE]})]
CHAT_PAGE = """<!doctype html><title>chat</title><style>body{margin:0}iframe{border:0;width:100%;height:60px;display:block}
</style><script>
window.show = given => new Promise(done => {
  window.seen = []
  const frame = document.body.appendChild(document.createElement('iframe'))
  const send = message => frame.contentWindow?.postMessage({ jsonrpc: '2.0', ...message }, '*')
  const answers = {
    'ui/initialize': () => ({ protocolVersion: '2026-01-26', hostInfo: { name: 'test', version: '1' },
      hostCapabilities: given.proxy ? { serverTools: {}, openLinks: {} } : {}, hostContext: { theme: given.theme } }),
    'tools/call': params => given.proxy ? window.callTool(params.name, params.arguments) : Promise.reject(new Error('no')),
    'ui/open-link': () => ({}), 'ui/message': () => ({}),
  }
  window.tell = (method, params) => send({ method, params })
  window.onmessage = async ({ source, data }) => {
    if (source !== frame.contentWindow) return
    if (data.method) window.seen.push({ method: data.method, params: data.params })
    if (data.method === 'sandbox-ready') send({ method: 'sandbox-html', params: given.html })
    else if (data.method === 'ui/notifications/initialized') {
      send({ method: 'ui/notifications/tool-input', params: { arguments: given.arguments } })
      send({ method: 'ui/notifications/tool-result', params: given.result })
      done()
    } else if (data.method === 'ui/notifications/size-changed') frame.style.height = data.params.height + 'px'
    else if (data.id !== undefined && data.method) {
      try { send({ id: data.id, result: await answers[data.method](data.params) }) }
      catch (error) { send({ id: data.id, error: { code: -32000, message: String(error.message || error) } }) }
    }
  }
  frame.src = given.sandbox
})
</script>"""
SANDBOX_PAGE = """<!doctype html><title>sandbox</title><style>html,body,iframe{margin:0;border:0;width:100%;height:100%}
iframe{display:block}</style><script>
const frame = document.createElement('iframe')
frame.setAttribute('sandbox', 'allow-scripts')
addEventListener('DOMContentLoaded', () => document.body.append(frame))
addEventListener('message', ({ source, data }) => {
  if (source !== parent) parent.postMessage(data, '*')
  else if (data.method === 'sandbox-html') frame.srcdoc = data.params
  else frame.contentWindow.postMessage(data, '*')
})
addEventListener('load', () => parent.postMessage({ jsonrpc: '2.0', method: 'sandbox-ready' }, '*'))
</script>"""


POLICY = {CHAT_PAGE: "frame-src *", SANDBOX_PAGE: CSP}


@dataclass
class Shown:
    """A displayed view, and what it requested, logged and called."""

    page: Page
    view: Frame
    result: Json
    refused: list[str] = field(default_factory=list[str])
    console: list[str] = field(default_factory=list[str])
    """Messages on the console, and uncaught errors."""
    calls: list[tuple[str, Json]] = field(default_factory=list[tuple[str, Json]])

    async def text(self) -> str:
        return str(await self.view.evaluate("document.body.innerText"))

    async def messages_to_host(self, method: str) -> list[Json]:
        """The params of the messages with this method that the view sent to its host; waits for the first."""
        with anyio.fail_after(TIMEOUT_S):
            messages: list[Json] = await self.page.evaluate(
                """method => new Promise(done => {
                  const look = () => {
                    const found = window.seen.filter(message => message.method === method)
                    if (found.length) done(found)
                    else addEventListener('message', () => setTimeout(look), { once: true })
                  }
                  look()
                })""",
                method,
            )
        return [message.get("params") or {} for message in messages]

    async def wait_for(self, condition: str) -> None:
        """Wait until this expression is true in the view: evaluated when the document or its size changes, without eval."""
        with anyio.fail_after(TIMEOUT_S):
            await self.view.evaluate(
                """() => new Promise(done => {
                  const look = () => { if (CONDITION) done() }
                  const all = { subtree: true, childList: true, attributes: true, characterData: true }
                  new MutationObserver(look).observe(document, all)
                  addEventListener('resize', look)
                  look()
                })""".replace("CONDITION", condition)
            )

    async def resize(self, width: int) -> None:
        """Set the width of the chat, and wait for the redraw that follows a new width."""
        if self.page.viewport_size == {"width": width, "height": HEIGHT}:
            return
        await self.view.evaluate("root.firstChild.dataset.old = 'yes'")
        await self.page.set_viewport_size({"width": width, "height": HEIGHT})
        await self.wait_for("!root.querySelector('[data-old]')")

    async def change_theme(self, theme: str) -> None:
        await self.page.evaluate("theme => window.tell('ui/notifications/host-context-changed', { theme })", theme)
        await self.wait_for(f"document.documentElement.style.colorScheme === '{theme}'")


@dataclass
class Tab:
    """The chat in a browser page. It shows one view after another, because loading it takes as long as the view."""

    page: Page
    shown: Shown

    @classmethod
    async def open(cls, browser: Browser, client: Client) -> "Tab":
        context = await browser.new_context()
        page = await context.new_page()
        tab = cls(page, Shown(page, page.main_frame, {}))

        async def handle(request: Route) -> None:
            text = {CHAT: CHAT_PAGE, SANDBOX: SANDBOX_PAGE}.get(request.request.url)
            if text is None:
                tab.shown.refused.append(request.request.url)
                await request.abort()
            else:
                await request.fulfill(
                    body=text, content_type="text/html", headers={"content-security-policy": POLICY[text]}
                )

        async def call(name: str, arguments: Json) -> Json:
            tab.shown.calls.append((name, arguments))
            result = await client.call_tool(name, arguments)
            answer: Json = result.model_dump(by_alias=True, exclude_none=True, mode="json")
            return answer

        await context.route("**/*", handle)
        page.on("console", lambda message: tab.shown.console.append(message.text))
        page.on("pageerror", lambda error: tab.shown.console.append(str(error)))
        untyped: Any = page  # playwright types this method only in part
        await untyped.expose_function("callTool", call)
        await page.goto(CHAT)
        return tab


@dataclass(frozen=True)
class Host:
    """``client``: the client of the server whose views are shown."""

    browser: Browser
    client: Client
    _free: list[Tab] = field(default_factory=list[Tab])
    _pages: dict[str, str] = field(default_factory=dict[str, str])
    _answers: dict[str, str] = field(default_factory=dict[str, str])

    async def close(self) -> None:
        for tab in self._free:
            await tab.page.context.close()

    async def _page_of(self, tool: str) -> str:
        """The view of a tool, read once, as it is the same in every test."""
        if tool not in self._pages:
            tools = {item.name: item for item in (await self.client.list_tools()).tools}
            address = (tools[tool].meta or {})["ui"]["resourceUri"]
            [content] = (await self.client.read_resource(address)).contents
            self._pages[tool] = content.model_dump()["text"]
        return self._pages[tool]

    async def _answer(self, tool: str, arguments: Json) -> Json:
        """A new copy of the server's answer, which is requested once, as the data is fixed."""
        call = json.dumps([tool, arguments], sort_keys=True)
        if call not in self._answers:
            result = await self.client.call_tool(tool, arguments)
            self._answers[call] = result.model_dump_json(by_alias=True, exclude_none=True)
        value: Json = json.loads(self._answers[call])
        return value

    @asynccontextmanager
    async def show(
        self,
        tool: str,
        arguments: Json,
        *,
        width: int = 768,
        theme: str = "light",
        strip: tuple[str, ...] = (),
        proxy: bool = True,
        transform: Callable[[Json], Json] | None = None,
        script: str = "",
    ) -> AsyncGenerator[Shown]:
        """Show the answer of one call. ``strip``: keys that the host drops; ``script``: runs in the page of the view."""
        html = await self._page_of(tool)
        answer = await self._answer(tool, arguments)
        answer = transform(answer) if transform else answer
        scheme: Any = theme
        tab = self._free.pop() if self._free else await Tab.open(self.browser, self.client)
        page = tab.page
        await page.set_viewport_size({"width": width, "height": HEIGHT})
        await page.emulate_media(color_scheme=scheme)
        try:
            await page.evaluate("document.body.replaceChildren()")
            tab.shown = shown = Shown(page, page.main_frame, answer)  # only now: the previous view is gone
            received = {key: value for key, value in answer.items() if key not in strip}
            await page.evaluate(
                "given => window.show(given)",
                {"html": html.replace("</body>", f"<script>{script}</script></body>"), "arguments": arguments,
                 "result": received, "theme": theme, "proxy": proxy, "sandbox": SANDBOX},
            )  # fmt: skip
            shown.view = next(frame for frame in page.frames if frame.parent_frame and frame.parent_frame.parent_frame)
            # until the chat has set the height that the view requested, elements move and a click would miss them
            high_enough = "innerHeight >= document.documentElement.scrollHeight"
            await shown.wait_for(f"document.documentElement.dataset.ready && {high_enough}")
            yield shown
        finally:
            self._free.append(tab)


@asynccontextmanager
async def chromium() -> AsyncGenerator[Browser]:
    """The Chromium that is installed on this system."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield browser
        await browser.close()


@asynccontextmanager
async def host_of(browser: Browser, app: Any, era: Era = "auto") -> AsyncGenerator[Host]:
    """A host connected to a server on a sandbox."""
    connection = Connection(settings(), app_factory=lambda: app, now=now)
    async with Client(create_server(connection), mode=era, extensions=WITH_MCP_APPS) as client:
        host = Host(browser, client)
        yield host
        await host.close()


def numbers(value: Any) -> set[float]:
    """Every number in a JSON value."""
    return set(json.loads(f"[{','.join(_numbers(value))}]"))


def _numbers(value: Any) -> list[str]:
    items = [*value.values()] if is_object(value) else value if is_list(value) else []
    if items:
        return [entry for item in items for entry in _numbers(item)]
    return [json.dumps(value)] if isinstance(value, int | float) and not isinstance(value, bool) else []
