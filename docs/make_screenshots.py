"""Take the screenshots in ``docs/images`` anew: the sandbox's dashboards, as the chart view shows them.

Run ``.venv/bin/python docs/make_screenshots.py``; it needs the extra ``dev`` and Chromium on PATH.
"""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
from playwright.async_api import async_playwright
from pydantic import SecretStr

from cekura_dashboards import Settings
from cekura_dashboards_mcp.cli.in_process import call_one, page_of, text_of
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


async def main() -> None:
    """One sandbox and one clock, so that the pictures are the same every time."""
    app = create_app(now=lambda: NOW, key="sandbox")
    settings = Settings(api_key=SecretStr("sandbox"), base_url="http://localhost")
    IMAGES.mkdir(exist_ok=True)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, (tool, arguments, theme) in SHOTS.items():
            connection = Connection(settings, app_factory=lambda: app, now=lambda: NOW)
            result = await call_one(connection, tool, arguments, draws=True)
            html = page_of(result, tool, arguments)
            if html is None:
                raise SystemExit(f"{name}: {text_of(result)}")
            page = await browser.new_page(viewport={"width": WIDTH, "height": 300}, color_scheme=theme)
            await page.set_content(html)
            await page.screenshot(path=IMAGES / f"{name}.png", full_page=True)
            await page.close()
        await browser.close()
    app.state.world.close()


if __name__ == "__main__":
    anyio.run(main)
