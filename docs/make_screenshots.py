"""Take the screenshots in ``docs/images`` again: the sandbox's dashboards in the chart view, and once in a chat.

Run ``.venv/bin/python docs/make_screenshots.py``; it needs the extra ``dev`` and Chromium on PATH.
"""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
from mcp.types import CallToolResult
from playwright.async_api import Browser, async_playwright
from pydantic import SecretStr

from cekura_dashboards import Settings
from cekura_dashboards_mcp.cli.calls import call_one, page_of, text_of
from cekura_dashboards_mcp.connection import Connection
from cekura_sandbox import create_app

NOW = datetime(2026, 11, 18, 15, 30, tzinfo=UTC)
IMAGES = Path(__file__).parent / "images"
WIDTH = 760
SHOTS: dict[str, tuple[str, dict[str, Any], Any]] = {
    "dashboard": ("get_widgets_data", {"dashboard_id": 11}, "light"),
    "comparison": ("get_widgets_data", {"widget_ids": [204], "window": "7d", "compare_to": "previous_period"}, "light"),
    "changes": ("find_changes", {"dashboard_ids": [12]}, "light"),
    "explanation": ("explain_change", {"widget_id": 203, "window": "5d"}, "dark"),
}
"""File name, tool, arguments and theme."""


QUESTION = "Did success fall this week, and at which agent?"
CHAT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><style>
body { margin: 0; padding: 20px; background: #f3f2ee; color: #1d1d1f; font: 16px/1.5 system-ui, sans-serif }
.user { margin: 0 0 16px auto; width: fit-content; padding: 9px 15px; border-radius: 16px; background: #dfe6f1 }
.assistant { margin: 0 0 14px }
figure { margin: 0; border: 1px solid #d9d8d2; border-radius: 12px; background: #fff; overflow: hidden }
figcaption { padding: 7px 13px; border-bottom: 1px solid #e7e6e1; color: #62626a; font-size: 13px }
iframe { display: block; width: 100%; border: 0 }
</style>
<p class="user"></p><p class="assistant"></p>
<figure><figcaption></figcaption><iframe title="chart view"></iframe></figure></html>"""
"""A plain chat: what the user asks, what the assistant says, and the chart view in a frame, as clients show it."""


async def main() -> None:
    """One sandbox and one clock, so that the pictures are the same every time."""
    app = create_app(now=lambda: NOW, key="sandbox")
    settings = Settings(api_key=SecretStr("sandbox"), base_url="http://localhost")

    def connect() -> Connection:
        return Connection(settings, app_factory=lambda: app, now=lambda: NOW)

    IMAGES.mkdir(exist_ok=True)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, (tool, arguments, theme) in SHOTS.items():
            html = _page(await call_one(connect(), tool, arguments, draws=True), tool, arguments)
            page = await browser.new_page(viewport={"width": WIDTH, "height": 300}, color_scheme=theme)
            await page.set_content(html)
            await page.screenshot(path=IMAGES / f"{name}.png", full_page=True)
            await page.close()
        await _chat(browser, connect)
        await browser.close()
    app.state.world.close()


def _page(result: CallToolResult, tool: str, arguments: dict[str, Any]) -> str:
    html = page_of(result, tool, arguments)
    if html is None:
        raise SystemExit(f"{tool}: {text_of(result)}")
    return html


async def _chat(browser: Browser, connect: Callable[[], Connection]) -> None:
    """``chat.png``: a question, the answer in a sentence with the result's own numbers, and its charts."""
    tool, arguments, theme = SHOTS["comparison"]
    result = await call_one(connect(), tool, arguments, draws=True)
    page = await browser.new_page(viewport={"width": WIDTH + 42, "height": 300}, color_scheme=theme)
    await page.set_content(CHAT)
    texts = {".user": QUESTION, ".assistant": _sentence(result), "figcaption": f"cekura-dashboards · {tool}"}
    for selector, text in texts.items():
        await page.locator(selector).evaluate("(element, text) => { element.textContent = text }", text)
    frame = page.locator("iframe")
    await frame.evaluate(
        "(frame, html) => new Promise(resolve => { frame.onload = resolve; frame.srcdoc = html })",
        _page(result, tool, arguments),
    )
    await frame.evaluate("frame => { frame.style.height = frame.contentDocument.documentElement.scrollHeight + 'px' }")
    await page.screenshot(path=IMAGES / "chat.png", full_page=True)
    await page.close()


def _sentence(result: CallToolResult) -> str:
    """A model's sentence about the comparison of one chart."""
    [report] = (result.structured_content or {})["widgets"]
    change, [group, *_] = report["comparison"], report["comparison"]["contributors"]["top"]
    before, after = change["baseline"]["value"], change["current"]["value"]
    return (
        f"Yes: from {before * 100:.2f} % in the week before to {after * 100:.2f} %, a {change['verdict']} change. "
        f"Most of it comes from {group['group']}: {group['baseline'] * 100:.2f} % → {group['current'] * 100:.2f} %."
    )


if __name__ == "__main__":
    anyio.run(main)
