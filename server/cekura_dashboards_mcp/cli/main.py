"""The command line. What a command needs is imported when it runs, so that a server starts quickly."""

import gc
import json
import os
import signal
import sys
from functools import partial
from io import TextIOWrapper
from pathlib import Path

import anyio
import click

from cekura_dashboards_mcp.cli.boards import COMMANDS
from cekura_dashboards_mcp.cli.terminal import (
    SANDBOX,
    SANDBOX_KEY,
    Stopped,
    check_tool,
    connection,
    examples,
    json_object,
    need_sandbox,
    waiting,
)

INTERRUPTED = 130
"""128 plus the number of the signal, as in shells."""
COLOURS = {"ok  ": "green", "FAIL": "red", "?   ": "yellow"}
"""The colours of the doctor's marks, on a terminal without NO_COLOR."""
CHAT_CLIENTS = (
    "claude-desktop", "claude-code", "cursor", "vscode", "codex", "gemini", "qwen", "opencode", "windsurf", "zed",
    "goose", "cline", "librechat",
)  # fmt: skip
"""The names in ``cli.clients``, repeated here because that module is slow to import."""
OUT = click.option("--out", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="Write the page here.")


def program() -> None:
    """Run as a program: Ctrl-C ends it at once, with the exit code that shells expect.

    Nothing is lost: there is no state, and a thread that waits for standard input cannot be ended otherwise.
    """
    gc.disable()  # imports create no garbage; commands that keep running collect again afterwards
    signal.signal(signal.SIGINT, _interrupted)
    main()


def _interrupted(_signal: int, _frame: object) -> None:
    os._exit(INTERRUPTED)


class _ServesByDefault(click.Group):
    """A group whose default command is ``serve``, with options or without."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        of_the_group = {name for option in self.get_params(ctx) for name in option.opts}
        if not args or (args[0].startswith("-") and args[0] not in of_the_group):
            args = ["serve", *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=_ServesByDefault,
    context_settings={"max_content_width": 110},
    epilog=examples(
        "demo", "install claude-desktop", "call get_widgets_data '{\"dashboard_id\": 11}' --sandbox", "doctor"
    )
    + "\n\n\b\nExit codes: 0 done; 1 failure, also of a check; 2 invalid arguments or settings; 130 Ctrl-C.",
)
@click.version_option(package_name="cekura-dashboards-mcp", prog_name="cekura-dashboards")
@click.pass_context
def main(context: click.Context) -> None:
    """Let AI assistants read, explain and edit Cekura dashboards. The default command is serve."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")
    if os.environ.get("NO_COLOR"):
        context.color = False


@main.command(
    epilog=examples(
        "serve", "serve --sandbox", "serve --http 127.0.0.1:8000", "serve --http 127.0.0.1:8000 --workers 2"
    )
)
@click.option("--http", "address", metavar="HOST:PORT", help="Serve Streamable HTTP here instead of stdio.")
@click.option(
    "--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="With --http: the number of processes."
)
@click.option(
    "--own-key", is_flag=True, help="With --http: use CEKURA_API_KEY for every caller, not the key of each request."
)
@click.option("--metrics", is_flag=True, help="With --http: serve Prometheus metrics at /metrics.")
@SANDBOX
def serve(
    address: str | None = None, *, workers: int = 1, own_key: bool = False, metrics: bool = False, sandbox: bool = False
) -> None:
    """Run the MCP server, over stdio unless --http is given."""
    if address is not None:
        from cekura_dashboards_mcp.web.serve import serve_http

        link = connection(sandbox=sandbox, key_needed=own_key, per_request=not (sandbox or own_key))
        serve_http(link, address, workers=workers, with_metrics=metrics, loaded=_all_imported)
        return
    if workers > 1 or own_key or metrics:
        raise Stopped("--workers, --own-key and --metrics need --http.")
    from cekura_dashboards_mcp.protocol import server as mcp_server

    server = mcp_server.create_server(connection(sandbox=sandbox))
    _all_imported()
    mcp_server.leave_with_reader(sys.stdout)
    anyio.run(mcp_server.serve_stdio, server, _load)


def _load() -> None:
    """Load what the first call needs; it also stays in memory for good."""
    from cekura_dashboards_mcp.protocol.server import load

    load()
    gc.freeze()


def _all_imported() -> None:
    """Collect garbage again, except among the imported modules."""
    gc.freeze()
    gc.enable()


@main.command(
    epilog=examples("sandbox", "sandbox --port 9000 --seed 7 --calls 5000", "sandbox --reading override=merge")
)
@click.option("--port", default=8765, show_default=True, type=click.IntRange(0, 65535))
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0, 2**31))
@click.option("--calls", default=60_000, show_default=True, type=click.IntRange(1, 2_000_000))
@click.option("--key", default=SANDBOX_KEY, show_default=True, help="The API key to accept.")
@click.option(
    "--reading", multiple=True, metavar="NAME=VALUE", help="Choose an undocumented behaviour, e.g. override=merge."
)
def sandbox(port: int, seed: int, calls: int, key: str, reading: tuple[str, ...]) -> None:
    """Run a local API like Cekura's, with generated calls."""
    need_sandbox()
    from cekura_sandbox.app import run_sandbox

    _all_imported()
    try:
        run_sandbox(port=port, seed=seed, count=calls, key=key, readings=dict(_pair(text) for text in reading))
    except (ValueError, OSError) as error:
        raise Stopped(str(error)) from None


@main.command(epilog=examples("tools", "tools --json"))
@click.option("--json", "as_json", is_flag=True, help="Print the result of tools/list.")
def tools(*, as_json: bool) -> None:
    """List the tools."""
    from cekura_dashboards_mcp.cli.calls import list_tools

    listed_tools = anyio.run(list_tools, connection(key_needed=False))
    if as_json:
        click.echo(
            json.dumps(
                [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in listed_tools], indent=2
            )
        )
        return
    for tool in listed_tools:
        size = len(json.dumps([tool.name, tool.description, tool.input_schema], separators=(",", ":")))
        kind = "read" if tool.annotations and tool.annotations.read_only_hint else "write"
        click.echo(f"{tool.name}  ({kind}, {size} characters)")
        click.echo(f"    {tool.description}")


@main.command(
    epilog=examples(
        "call list_dashboards --sandbox",
        'call get_widgets_data \'{"dashboard_id": 11, "window": "7d"}\' --sandbox',
        "call get_dashboard '{\"dashboard_id\": 11}' --json --sandbox",
        "call get_widgets_data '{\"widget_ids\": [204]}' --csv --sandbox > by-agent.csv",
    )
)
@click.argument("tool")
@click.argument("arguments", default="{}", metavar="[JSON]")
@click.option("--json", "as_json", is_flag=True, help="Print the complete result as JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print all rows of one widget as CSV.")
@SANDBOX
def call(tool: str, arguments: str, *, as_json: bool, as_csv: bool, sandbox: bool) -> None:
    """Run one TOOL with arguments as a JSON object, through an MCP client in this process."""
    from cekura_dashboards_mcp.cli.calls import call_one, csv_of, text_of

    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other.")
    check_tool(tool)
    tool_arguments, link = json_object(arguments), connection(sandbox=sandbox)
    if as_csv:
        with waiting(f"Waiting for {tool}"):
            text, failed = anyio.run(csv_of, link, tool, tool_arguments)
        click.echo(text.encode() if not failed else text, nl=failed, err=failed)
        if failed:
            raise SystemExit(1)
        return
    with waiting(f"Waiting for {tool}"):
        result = anyio.run(call_one, link, tool, tool_arguments)
    if as_json:
        click.echo(result.model_dump_json(by_alias=True, exclude_none=True, indent=2))
    else:
        click.echo(text_of(result), err=result.is_error)
    if result.is_error:
        raise SystemExit(1)


@main.command(
    epilog=examples(
        "view find_changes --sandbox --out changes.html",
        "view get_widgets_data '{\"dashboard_id\": 11}' --sandbox --out page.html",
    )
)
@click.argument("tool")
@click.argument("arguments", default="{}", metavar="[JSON]")
@OUT
@SANDBOX
def view(tool: str, arguments: str, *, out: Path | None, sandbox: bool) -> None:
    """Show the answer of one TOOL as charts, on one self-contained HTML page."""
    from cekura_dashboards_mcp.cli.calls import call_one, page_of, text_of

    check_tool(tool)
    tool_arguments, link = json_object(arguments), connection(sandbox=sandbox)
    with waiting(f"Waiting for {tool}"):
        result = anyio.run(partial(call_one, draws=True), link, tool, tool_arguments)
    if result.is_error:
        click.echo(text_of(result), err=True)
        raise SystemExit(1)
    page = page_of(result, tool, tool_arguments)
    if page is None:
        raise Stopped(f"{tool} has no charts; use the command call instead.")
    _written(page, out)


def _written(page: str, out: Path | None) -> None:
    """Write a page, or print it if no file is given."""
    if out is None:
        click.echo(page)
        return
    try:
        out.write_text(page, encoding="utf-8")
    except OSError as error:
        raise Stopped(f"{out} cannot be written: {error.strerror or error}") from None


@main.command(
    epilog=examples(
        "report --sandbox --out report.html",
        'report --dashboard "Booking agent" --window last_week --compare-to previous_week --out report.html',
    )
)
@click.option(
    "--dashboard", "dashboards", multiple=True, metavar="ID|NAME", help="Only this dashboard; may be repeated."
)
@click.option("--window", default="7d", show_default=True, help="The time range of the report.")
@click.option("--compare-to", default="previous_period", show_default=True, help="The time range to compare with.")
@OUT
@SANDBOX
def report(dashboards: tuple[str, ...], window: str, compare_to: str, *, out: Path | None, sandbox: bool) -> None:
    """Write what changed, and the charts, as one self-contained HTML page."""
    from cekura_dashboards.arguments.references import number_or_name
    from cekura_dashboards_mcp.cli.calls import make_report

    chosen = [number_or_name(text) for text in dashboards]
    work = partial(make_report, dashboards=chosen, window=window, compare_to=compare_to)
    with waiting("Reading all charts"):
        page_report = anyio.run(work, connection(sandbox=sandbox))
    for error in page_report.failed:
        click.echo(f"cekura-dashboards: {error}", err=True)
    _written(page_report.page, out)
    if page_report.failed:
        raise SystemExit(1)


@main.command(
    epilog=examples(
        "install claude-desktop",
        "install vscode --sandbox",
        "install codex --print",
        "install cursor --env-file ~/.cekura.env",
        "install claude-code --uninstall",
    )
)
@click.argument("client", type=click.Choice([*CHAT_CLIENTS, "generic"]))
@click.option("--print", "show", is_flag=True, help="Print the entry without changing anything.")
@click.option("--uninstall", is_flag=True, help="Remove the entry, as the command uninstall does.")
@click.option("--plain", is_flag=True, help="Write the key itself, even if the client can get it elsewhere.")
@click.option(
    "--env-file",
    type=click.Path(dir_okay=False, resolve_path=True, path_type=Path),
    help="The file that holds CEKURA_API_KEY, for clients that read one (Cursor, VS Code).",
)
@SANDBOX
def install(client: str, *, show: bool, uninstall: bool, plain: bool, env_file: Path | None, sandbox: bool) -> None:
    """Write this server into the configuration of a chat CLIENT; other entries stay as they are.

    The key comes from CEKURA_API_KEY, or you are asked for it. It is not written to the file if the client can get it
    elsewhere: from that variable, from a file, or by asking. "generic" prints an entry for most other clients.
    """
    from cekura_dashboards_mcp.cli import install as installation
    from cekura_dashboards_mcp.cli.clients import Machine

    machine, choices = Machine.this(), installation.Choices(sandbox, plain, env_file)
    try:
        if uninstall:
            installation.uninstall(client, machine, sandbox=sandbox)
        elif show or client == "generic":
            installation.show(client, machine, choices)
        else:
            installation.install(client, machine, choices)
    except installation.NotInstalled as error:
        raise Stopped(str(error)) from None


@main.command(epilog=examples("uninstall codex", "uninstall vscode --sandbox"))
@click.argument("client", type=click.Choice(CHAT_CLIENTS))
@SANDBOX
def uninstall(client: str, *, sandbox: bool) -> None:
    """Remove this server from the configuration of a chat CLIENT."""
    from cekura_dashboards_mcp.cli import install as installation
    from cekura_dashboards_mcp.cli.clients import Machine

    try:
        installation.uninstall(client, Machine.this(), sandbox=sandbox)
    except installation.NotInstalled as error:
        raise Stopped(str(error)) from None


@main.command(epilog=examples("demo"))
def demo() -> None:
    """Start a server with a sandbox, as a chat client would, and run a short conversation."""
    need_sandbox()
    from cekura_dashboards_mcp.cli.calls import run_demo

    anyio.run(run_demo)


@main.command(epilog=examples("doctor", "doctor --json", "doctor --probe --sandbox"))
@click.option("--probe", is_flag=True, help="Report how the API behaves where its documentation is silent; only reads.")
@click.option("--json", "as_json", is_flag=True, help="Print the checks as JSON.")
@SANDBOX
def doctor(*, probe: bool, as_json: bool, sandbox: bool) -> None:
    """Check settings, key, API, clock, and the entries of this machine's chat clients by starting each."""
    from cekura_dashboards_mcp.cli.clients import Machine
    from cekura_dashboards_mcp.cli.doctor import examine

    link = connection(sandbox=sandbox, key_needed=False)
    with waiting("Asking the API and starting the entry of each chat client"):
        examination = anyio.run(partial(examine, with_probe=probe), link, Machine.this())
    if as_json:
        click.echo(json.dumps(examination.to_json(), indent=2))
    for line in [] if as_json else examination.lines():
        mark, rest = line[:4], line[4:]
        click.echo(click.style(mark, fg=COLOURS.get(mark)) + rest)
    if not examination.passed:
        raise SystemExit(1)


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


for command in COMMANDS:
    main.add_command(command)
