"""A short conversation with the server, each call and answer as an assistant sees it."""

import json
import sys
import time
from typing import Any

import click
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.types import CallToolResult

from cekura_dashboards_mcp.cli.in_process import text_of

NEXT = """\
That was a sandbox of generated calls. To go on:
  - your own dashboards: set CEKURA_API_KEY and add the server to your chat client (README, "Connect a client")
  - the sandbox in a chat client: the same, with the argument --sandbox instead of a key
  - one tool by hand: cekura-dashboards call get_widgets_data '{"dashboard_id": 11, "window": "today"}' --sandbox"""
WIDGET = {
    "name": "Latency p95", "chart_type": "bar", "field": "metric_evaluations.value", "metric": 501,
    "aggregation_function": "p95", "time_period": "day",
}  # fmt: skip


class DemoFailed(click.ClickException):
    """A call did not answer as it should."""


async def run_demo() -> None:
    started = time.perf_counter()
    click.secho("Starting the server over stdio, as a chat client does …", dim=True)
    server = StdioServerParameters(command=sys.executable, args=["-m", "cekura_dashboards_mcp", "serve", "--sandbox"])
    failure: Exception | None = None
    async with Client(server) as client:
        try:
            offered = (await client.list_tools()).tools
            click.secho(f"{len(offered)} tools after {time.perf_counter() - started:.1f} s.", dim=True)
            click.secho("Filling the sandbox with 60,000 calls of the last 30 days …", dim=True)
            await _conversation(client)
        except (DemoFailed, BrokenPipeError) as error:  # raised in here, it would leave as a group of errors
            failure = error
    if failure is not None:
        raise failure
    click.echo()
    click.echo(NEXT)


async def _conversation(client: Client) -> None:
    await _ask(client, "Which dashboards are there?", "list_dashboards", {})
    await _ask(client, "How did the week go?", "get_widgets_data", {"dashboard_id": 11, "window": "7d"})
    await _ask(client, "What can be charted?", "look_up", {"kind": "fields"})
    preview = await _ask(
        client, "Show me the latency per day.", "preview_widget", {"widget": WIDGET, "dashboard_id": 11}
    )
    edit = {"dashboard_id": 11, "create": [preview["widget"]], "delete": [206]}
    planned = await _ask(client, "Put it in place of the pie of topics; show me first.", "preview_edit", edit)
    done = await _ask(client, "Do it.", "bulk_edit_dashboard", {**edit, "plan_id": planned["plan_id"]})
    await _ask(client, "Take it back.", done["undo"]["tool"], done["undo"]["arguments"])
    await _ask(client, "Is anything wrong with this dashboard?", "check_dashboard", {"dashboard_id": 11})


async def _ask(client: Client, question: str, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """One question, the call that an assistant makes of it, and the answer."""
    click.echo()
    click.secho(f"“{question}”", bold=True)
    click.secho(f"→ {tool} {json.dumps(arguments, ensure_ascii=False)}", fg="cyan")
    begun = time.perf_counter()
    result: CallToolResult = await client.call_tool(tool, arguments)
    took_ms = (time.perf_counter() - begun) * 1000
    text = text_of(result)
    click.echo(text)
    click.secho(f"({len(text)} characters, {took_ms:.0f} ms)", dim=True)
    if result.is_error or result.structured_content is None:
        raise DemoFailed(f"{tool} failed; the demo cannot go on")
    answer: dict[str, Any] = result.structured_content
    return answer
