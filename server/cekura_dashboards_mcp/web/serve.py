"""``cekura-dashboards serve --http``: where to listen, for whom, and with how many processes."""

import logging
import secrets
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pydantic import SecretStr

from cekura_dashboards.settings import SettingsError, is_loopback
from cekura_dashboards_mcp.audit import AUDIT
from cekura_dashboards_mcp.cli.terminal import Stopped
from cekura_dashboards_mcp.connection import Connection
from cekura_dashboards_mcp.web.app import announce, http_app, listening_on, parse_address, run_http
from cekura_dashboards_mcp.web.settings import ServerSettings, load_server_settings

if TYPE_CHECKING:
    from cekura_dashboards_mcp.web.oauth import SignIn


def serve_http(
    connection: Connection, address: str, *, workers: int, with_metrics: bool, loaded: Callable[[], None]
) -> None:
    """Serve until stopped. ``with_metrics``: at ``/metrics``, too. ``loaded`` is called once all is imported.

    Raises:
        Stopped: if the address cannot be served, or may not be as things are set.
    """
    try:
        host, port = parse_address(address)
        serving = load_server_settings()
    except (ValueError, SettingsError) as error:
        raise Stopped(str(error)) from None
    if not is_loopback(host) and (why := serving.refusal(own_key=not connection.key_per_request)) is not None:
        raise Stopped(f"{address} is reached from other machines; {why}. Or use 127.0.0.1:{port}.")
    if workers > 1 and sys.platform == "win32":
        raise Stopped("--workers works on Linux and macOS only.")
    if workers > 1 and with_metrics:
        raise Stopped("--metrics shows one process; with --workers, let OpenTelemetry collect them (docs/team.md).")
    if with_metrics and not find_spec("opentelemetry.exporter.prometheus"):
        raise Stopped("--metrics needs more packages. Run: pip install 'cekura-dashboards-mcp[telemetry]'")
    AUDIT.setLevel(logging.INFO)
    sign_in = _sign_in(serving)
    try:
        listening = listening_on(host, port)
    except OSError as error:
        raise Stopped(f"{address} cannot be served: {error.strerror or error}") from None
    shared = _sharing_state(connection) if workers > 1 else connection
    try:
        app = http_app(shared, serving, with_metrics=with_metrics, sign_in=sign_in)
    except SettingsError as error:
        raise Stopped(str(error)) from None
    loaded()
    if workers == 1:
        with listening:
            run_http(app, connection, listening)
        return
    from cekura_dashboards_mcp.web.workers import run_workers  # noqa: PLC0415 - one process does without

    announce(listening)
    number = run_workers(app, listening, workers)
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def _sign_in(serving: ServerSettings) -> "SignIn | None":
    """Who tokens stand for, once the keys of their issuer have been read."""
    if not serving.oauth_issuer:
        return None
    from cekura_dashboards_mcp.web.oauth import SignIn  # noqa: PLC0415 - most servers do without

    try:
        sign_in = SignIn.by(serving)
        sign_in.check()
    except SettingsError as error:
        raise Stopped(str(error)) from None
    return sign_in


def _sharing_state(connection: Connection) -> Connection:
    """The same with secrets that all workers know, so that any of them can take up a question that another asked."""
    if connection.settings.state_secrets:
        return connection
    sealed = connection.settings.model_copy(update={"state_keys": SecretStr(secrets.token_hex(32))})
    return replace(connection, settings=sealed)
