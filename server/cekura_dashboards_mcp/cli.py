"""The command line. What a command needs is imported when it runs, so that a server starts quickly."""

import gc
import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import click

if TYPE_CHECKING:
    from cekura_dashboards import Settings
    from cekura_dashboards_mcp.connection import Connection

SANDBOX_KEY = "sandbox"
INTERRUPTED = 130
"""128 and the number of the signal, as shells have it."""
SANDBOX = click.option("--sandbox", is_flag=True, help="Answer from a local sandbox: no key, no network.")
NO_KEY = "No API key. Set CEKURA_API_KEY, or add --sandbox to try everything on generated calls without one."


class Stopped(click.ClickException):
    """A mistake of the user's, told in one line."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        click.echo(f"cekura-dashboards: {self.message}", err=True, file=file)


def program() -> None:
    """Run as a program of its own: Ctrl-C ends it at once, with the exit code that shells know.

    Nothing is lost by it: no state is kept, and a thread that waits for standard input could not be ended otherwise.
    """
    signal.signal(signal.SIGINT, _interrupted)
    main()


def _interrupted(_signal: int, _frame: object) -> None:
    os._exit(INTERRUPTED)


@click.group(invoke_without_command=True)
@click.version_option(package_name="cekura-dashboards-mcp", prog_name="cekura-dashboards")
@click.pass_context
def main(context: click.Context) -> None:
    """Let AI assistants read, explain and edit Cekura dashboards. Without a command: serve over stdio."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")
    if context.invoked_subcommand is None:
        context.invoke(serve)


@main.command()
@click.option("--http", "address", metavar="HOST:PORT", help="Serve Streamable HTTP here instead of stdio.")
@SANDBOX
def serve(address: str | None = None, *, sandbox: bool = False) -> None:
    """Run the MCP server, over stdio unless --http is given."""
    gc.disable()  # nothing that is imported is garbage, and looking for it is a part of the start that is felt
    if address is not None:
        from cekura_dashboards_mcp.http import http_app, parse_address, run_http  # noqa: PLC0415 - see above

        try:
            host, port = parse_address(address)
        except ValueError as error:
            raise Stopped(str(error)) from None
        link = connection(sandbox=sandbox, key_needed=False, per_request=not sandbox)
        app = http_app(link)
        _all_imported()
        try:
            run_http(app, link, host, port)
        except OSError as error:
            raise Stopped(f"{address} cannot be served: {error.strerror or error}") from None
        return
    from cekura_dashboards_mcp.server import create_server  # noqa: PLC0415 - see above
    from cekura_dashboards_mcp.stdio import leave_with_reader  # noqa: PLC0415 - see above

    server = create_server(connection(sandbox=sandbox))
    _all_imported()
    leave_with_reader(sys.stdout)
    server.run("stdio")


def _all_imported() -> None:
    """Look for garbage again, but not among what stays for ever."""
    gc.freeze()
    gc.enable()


@main.command()
@click.option("--port", default=8765, show_default=True, type=click.IntRange(0, 65535))
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0, 2**31))
@click.option("--calls", default=60_000, show_default=True, type=click.IntRange(1, 2_000_000))
@click.option("--key", default=SANDBOX_KEY, show_default=True, help="The API key it accepts.")
@click.option(
    "--reading", multiple=True, metavar="NAME=VALUE", help="How an undocumented behaviour is read, e.g. override=merge."
)
def sandbox(port: int, seed: int, calls: int, key: str, reading: tuple[str, ...]) -> None:
    """Run a local API that answers like Cekura's, over generated calls."""
    _need_sandbox()
    from cekura_sandbox.run import run_sandbox  # noqa: PLC0415 - see above

    try:
        run_sandbox(port=port, seed=seed, count=calls, key=key, readings=dict(_pair(text) for text in reading))
    except (ValueError, OSError) as error:
        raise Stopped(str(error)) from None


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print what tools/list answers.")
def tools(*, as_json: bool) -> None:
    """List the tools."""
    from cekura_dashboards_mcp.local import list_tools  # noqa: PLC0415 - see above

    found = anyio.run(list_tools, connection(key_needed=False))
    if as_json:
        click.echo(
            json.dumps([tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in found], indent=2)
        )
        return
    for tool in found:
        size = len(json.dumps([tool.name, tool.description, tool.input_schema], separators=(",", ":")))
        kind = "read" if tool.annotations and tool.annotations.read_only_hint else "write"
        click.echo(f"{tool.name}  ({kind}, {size} characters)")
        click.echo(f"    {tool.description}")


@main.command()
@click.argument("tool")
@click.argument("arguments", default="{}", metavar="[JSON]")
@click.option("--json", "as_json", is_flag=True, help="Print the whole result.")
@SANDBOX
def call(tool: str, arguments: str, *, as_json: bool, sandbox: bool) -> None:
    """Run one TOOL with arguments as a JSON object, through an MCP client in this process."""
    from cekura_dashboards_mcp.local import call_one, text_of  # noqa: PLC0415 - see above

    result = anyio.run(call_one, connection(sandbox=sandbox), tool, _json_object(arguments))
    click.echo(result.model_dump_json(by_alias=True, exclude_none=True, indent=2) if as_json else text_of(result))
    if result.is_error:
        raise SystemExit(1)


@main.command()
@click.argument("tool")
@click.argument("arguments", default="{}", metavar="[JSON]")
@click.option("--out", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="Write the page here.")
@SANDBOX
def view(tool: str, arguments: str, *, out: Path | None, sandbox: bool) -> None:
    """Show the answer of one TOOL as charts: one HTML page, with its data inside, for any browser."""
    from cekura_dashboards_mcp.local import call_one, page_of, text_of  # noqa: PLC0415 - see above

    given = _json_object(arguments)
    result = anyio.run(partial(call_one, draws=True), connection(sandbox=sandbox), tool, given)
    if result.is_error:
        click.echo(text_of(result), err=True)
        raise SystemExit(1)
    page = page_of(result, tool, given)
    if page is None:
        raise Stopped(f"{tool} has no charts; use call.")
    if out is None:
        click.echo(page)
        return
    try:
        out.write_text(page, encoding="utf-8")
    except OSError as error:
        raise Stopped(f"{out} cannot be written: {error.strerror or error}") from None


@main.command(
    epilog="\b\nExamples:\n  cekura-dashboards install claude-desktop\n  cekura-dashboards install vscode --sandbox\n"
    "  cekura-dashboards install cursor --print\n  cekura-dashboards install claude-code --uninstall"
)
@click.argument("client", type=click.Choice(["claude-desktop", "claude-code", "cursor", "vscode", "generic"]))
@click.option("--print", "show", is_flag=True, help="Only show the entry; change nothing.")
@click.option("--uninstall", is_flag=True, help="Take the entry out again.")
@SANDBOX
def install(client: str, *, show: bool, uninstall: bool, sandbox: bool) -> None:
    """Write this server into the configuration of a chat CLIENT; other entries stay as they are.

    The key is taken from CEKURA_API_KEY, or asked for. "generic" shows what most other clients take.
    """
    from cekura_dashboards_mcp.clients import Machine, NotInstalled  # noqa: PLC0415 - see above
    from cekura_dashboards_mcp.install import install as put_in_place  # noqa: PLC0415 - see above

    try:
        put_in_place(client, Machine.this(), sandbox=sandbox, show=show, uninstall=uninstall)
    except NotInstalled as error:
        raise Stopped(str(error)) from None


@main.command()
def demo() -> None:
    """Start a sandbox and a server as a chat client would, and hold a short conversation with it."""
    _need_sandbox()
    from cekura_dashboards_mcp.demo import run_demo  # noqa: PLC0415 - see above

    anyio.run(run_demo)


@main.command()
@click.option("--probe", is_flag=True, help="Find out how the API reads what its documents leave open; only reads.")
@SANDBOX
def doctor(*, probe: bool, sandbox: bool) -> None:
    """Check settings, key, API and clock, one line each; changes nothing."""
    from cekura_dashboards_mcp.doctor import examine  # noqa: PLC0415 - see above

    if not anyio.run(examine, connection(sandbox=sandbox, key_needed=False), probe):
        raise SystemExit(1)


def connection(*, sandbox: bool = False, key_needed: bool = True, per_request: bool = False) -> "Connection":
    """The connection that the settings and flags describe, or a one-line error."""
    from cekura_dashboards.settings import SettingsError, load_settings  # noqa: PLC0415 - see above
    from cekura_dashboards_mcp.connection import Connection  # noqa: PLC0415 - see above

    try:
        settings = load_settings()
    except SettingsError as error:
        raise Stopped(str(error)) from None
    _log_to_stderr(settings.log_level)
    if sandbox:
        return Connection(_for_sandbox(settings), app_factory=_sandbox_app())
    if key_needed and settings.api_key is None:
        raise Stopped(NO_KEY)
    return Connection(settings, key_per_request=per_request)


def _log_to_stderr(level: str) -> None:
    """What this program says at the level asked for; of libraries warnings only, as they log headers and bodies."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    for name in ("cekura_dashboards", "cekura_dashboards_mcp"):
        logging.getLogger(name).setLevel(level)


def _for_sandbox(settings: "Settings") -> "Settings":
    from pydantic import SecretStr  # noqa: PLC0415 - see above

    return settings.model_copy(
        update={"api_key": SecretStr(SANDBOX_KEY), "base_url": "http://localhost", "project_id": None}
    )


def _sandbox_app() -> Callable[[], Any]:
    _need_sandbox()

    def make() -> Any:
        from cekura_sandbox import create_app  # noqa: PLC0415 - see above

        return create_app(key=SANDBOX_KEY)

    return make


def _need_sandbox() -> None:
    if not (find_spec("duckdb") and find_spec("fastapi")):
        raise Stopped("the sandbox is not installed. Run: pip install 'cekura-dashboards-mcp[sandbox]'")


def _json_object(text: str) -> dict[str, Any]:
    from cekura_dashboards.api.models import is_object  # noqa: PLC0415 - see above

    example = "as '{\"dashboard_id\": 11}'"
    try:
        parsed: Any = json.loads(text)
    except ValueError as error:
        raise Stopped(f"the arguments are not JSON ({error}). Quote the whole, {example}.") from None
    if not is_object(parsed):
        raise Stopped(f"the arguments are a JSON object, {example}.")
    return parsed


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value
