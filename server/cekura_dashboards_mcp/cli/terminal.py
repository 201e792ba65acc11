"""What the commands share: their connection, errors on stderr, and a line for a waiting user."""

import logging
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TextIO

import click

if TYPE_CHECKING:
    from cekura_dashboards import Settings
    from cekura_dashboards_mcp.connection import Connection

SANDBOX_KEY = "sandbox"
SANDBOX = click.option("--sandbox", is_flag=True, help="Answer from a local sandbox: no key, no network.")
NO_KEY = "No API key. Set CEKURA_API_KEY, or add --sandbox to try everything on generated calls without one."
FELT_S = 1.0
"""After this delay the user sees what is being waited for."""


class Stopped(click.ClickException):
    """A user's mistake, reported in one line."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        click.echo(f"cekura-dashboards: {self.message}", err=True, file=file)


def examples(*lines: str) -> str:
    """Examples for the end of a command's help."""
    return "\b\nExamples:\n" + "\n".join(f"  cekura-dashboards {line}" for line in lines)


@contextmanager
def waiting(what: str, stream: TextIO | None = None, after_s: float = FELT_S) -> Generator[threading.Timer]:
    """Show on a terminal what the command is waiting for, after a delay. ``stream`` None: standard error."""
    timer = threading.Timer(after_s, click.echo, [f"{what} …"], {"file": stream, "err": True})
    timer.daemon = True
    if (stream or sys.stderr).isatty():
        timer.start()
    try:
        yield timer
    finally:
        timer.cancel()


def connection(*, sandbox: bool = False, key_needed: bool = True, per_request: bool = False) -> "Connection":
    """The connection that the settings and flags describe, or a one-line error."""
    from cekura_dashboards.api.errors import WrongNetworkSetting
    from cekura_dashboards.api.network import check_network
    from cekura_dashboards.settings import SettingsError, load_settings
    from cekura_dashboards_mcp.connection import Connection

    try:
        settings = load_settings()
        _log_to_stderr(settings.log_level)
        if sandbox:
            return Connection(_for_sandbox(settings), app_factory=_sandbox_app())
        if key_needed and settings.api_key is None:
            raise Stopped(NO_KEY)
        check_network(settings.base_url)
        return Connection(settings, key_per_request=per_request)
    except (SettingsError, WrongNetworkSetting) as error:
        raise Stopped(str(error)) from None


def _log_to_stderr(level: str) -> None:
    """Log this program at the given level, and libraries from warnings on, because they log headers and bodies."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    for name in ("cekura_dashboards", "cekura_dashboards_mcp"):
        logging.getLogger(name).setLevel(level)
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(logging.Formatter("%(message)s"))
    for name in ("cekura_dashboards_mcp.calls", "cekura_dashboards_mcp.audit"):
        logging.getLogger(name).propagate = False  # their lines are pure JSON
        logging.getLogger(name).handlers = [lines]


def _for_sandbox(settings: "Settings") -> "Settings":
    from pydantic import SecretStr

    return settings.model_copy(
        update={"api_key": SecretStr(SANDBOX_KEY), "base_url": "http://localhost", "project_id": None}
    )


def _sandbox_app() -> Callable[[], Any]:
    need_sandbox()

    def make() -> Any:
        from cekura_sandbox import create_app

        return create_app(key=SANDBOX_KEY)

    return make


def need_sandbox() -> None:
    if not (find_spec("duckdb") and find_spec("fastapi")):
        raise Stopped("The sandbox is not installed. Run: pip install 'cekura-dashboards-mcp[sandbox]'")


def check_tool(name: str) -> None:
    """Refuse an unknown tool name, suggesting the nearest."""
    from cekura_dashboards import TOOLS
    from cekura_dashboards.text import named, nearest

    names = [tool.name for tool in TOOLS]
    if name not in names:
        near = f"; did you mean {match}?" if (match := nearest(name, names)) else "."
        raise Stopped(f"No tool {named(name)}{near} `cekura-dashboards tools` lists them.")


def json_object(text: str) -> dict[str, Any]:
    from cekura_dashboards.api.models import is_object
    from cekura_dashboards.text import NotJson, read_json

    example = "as '{\"dashboard_id\": 11}'"
    try:
        parsed = read_json(text)
    except NotJson as error:
        raise Stopped(f"The text after the tool's name {error}. Quote all of it, {example}.") from None
    if not is_object(parsed):
        raise Stopped(f"The arguments must be one JSON object, {example}.")
    return parsed
