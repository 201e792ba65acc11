"""How long the chart view takes in headless Chromium, from its page to what a person sees.

Run ``python -m benchmarks.painting``; it needs the extra ``dev`` and Chromium on PATH.
"""

import json
import shutil
import statistics
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
from playwright.async_api import Browser, async_playwright
from pydantic import SecretStr

from cekura_dashboards import Settings
from cekura_dashboards_mcp.cli.calls import call_one
from cekura_dashboards_mcp.connection import Connection
from cekura_dashboards_mcp.protocol.chart_view import CHART, standalone
from cekura_sandbox import create_app

TURNS = 15
NOW = datetime(2026, 11, 18, 15, 30, tzinfo=UTC)
LINE_POINTS = 2000
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
DRAWN = """() => {
  const start = performance.now()
  display(state.drawing)
  return root.offsetHeight && performance.now() - start
}"""
"""Everything once more, laid out, without reading the page."""
Json = dict[str, Any]


async def drawings() -> dict[str, Json]:
    """What is to be drawn, by what it is called."""
    app = create_app(now=lambda: NOW)
    store = app.state.world.store
    week = {"field": "timestamp", "op": "gte", "value": "today-7d"}
    board = store.create_dashboard({"name": "Twelve", "project": 1, "filters": week})["id"]
    bar: Json = {"chart_type": "bar", "field": "agent_id", "aggregation_function": "count", "time_period": "hour"}
    by_agent: Json = {**bar, "time_period": "day", "group_by": {"type": "field", "field": "agent.id"}}
    kinds = [bar, by_agent, {"chart_type": "pie", "field": "topic"}, {"chart_type": "line", "field": "duration"}]
    store.bulk(board, {"create": [{"name": f"Chart {i}", **kinds[i % 4]} for i in range(12)]})
    settings = Settings(api_key=SecretStr("sandbox"), base_url="http://localhost")
    connection = Connection(settings, app_factory=lambda: app, now=lambda: NOW)
    twelve = await call_one(connection, "get_widgets_data", {"dashboard_id": board}, draws=True)
    app.state.world.close()
    start = (NOW - timedelta(minutes=LINE_POINTS)).isoformat(timespec="minutes").replace("+00:00", "Z")
    values = [100 + i * 7919 % 97 for i in range(LINE_POINTS)]
    course = {"role": "current", "start": start, "step_s": 60, "value": values, "n": [1] * LINE_POINTS}
    report = {"widget": {"name": "A line", "chart_type": "line", "field": "duration"}, "unit": "s", "n": LINE_POINTS}
    line = {"tool": "preview_widget", "answer": {"report": report, "widget": {}}, "plots": [{"courses": [course]}]}
    return {"a dashboard of 12 widgets": (twelve.meta or {})[CHART], f"a line of {LINE_POINTS:,} points": line}


async def measured(browser: Browser, page: Path) -> tuple[list[float], list[float]]:
    """Milliseconds from the navigation to the first paint, and of drawing alone."""
    first, drawn = list[float](), list[float]()
    for _ in range(TURNS):
        tab = await browser.new_page(viewport={"width": 768, "height": 900})
        await tab.goto(page.as_uri())
        await tab.wait_for_function(PAINTED)
        first.append(await tab.evaluate(PAINTED))
        drawn.append(await tab.evaluate(DRAWN))
        await tab.close()
    return first, drawn


async def main() -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        print("| in headless Chromium | bytes of data | first paint | drawing alone |\n| --- | --- | --- | --- |")  # noqa: T201 - a table
        with TemporaryDirectory() as folder:
            for what, drawing in (await drawings()).items():
                page = Path(folder) / "page.html"
                page.write_text(standalone(str(drawing["tool"]), {}, drawing), encoding="utf-8")
                size = len(json.dumps(drawing, separators=(",", ":")))
                times = [f"{statistics.median(held):.0f} ms" for held in await measured(browser, page)]
                print(f"| {what} | {size:,} | {times[0]} | {times[1]} |")  # noqa: T201 - a table
        await browser.close()


if __name__ == "__main__":
    anyio.run(main)
