"""``cekura-dashboards serve --http``: the address, who may connect, and the worker processes.

If processes share a listening socket, the first to wake takes all waiting connections. So with several workers
one process accepts, and sends each connection to the next worker in turn. A worker that ends is replaced.
"""

import asyncio
import contextlib
import logging
import multiprocessing
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, cast

import uvicorn
from pydantic import SecretStr
from starlette.applications import Starlette

from cekura_dashboards.api.network import is_loopback
from cekura_dashboards.settings import SettingsError
from cekura_dashboards_mcp.audit import AUDIT
from cekura_dashboards_mcp.cli.terminal import Stopped
from cekura_dashboards_mcp.connection import Connection
from cekura_dashboards_mcp.protocol.server import load
from cekura_dashboards_mcp.web.app import announce, http_app, listening_on, parse_address, run_http
from cekura_dashboards_mcp.web.middleware import SHUTDOWN_S, server_config
from cekura_dashboards_mcp.web.settings import ServerSettings, load_server_settings

if TYPE_CHECKING:
    from cekura_dashboards_mcp.web.oauth import SignIn


def serve_http(
    connection: Connection, address: str, *, workers: int, with_metrics: bool, loaded: Callable[[], None]
) -> None:
    """Serve until stopped. ``with_metrics``: also serve ``/metrics``. ``loaded`` is called after all imports.

    Raises:
        Stopped: if the address cannot be used, or the settings forbid it.
    """
    try:
        host, port = parse_address(address)
        serving = load_server_settings()
    except (ValueError, SettingsError) as error:
        raise Stopped(str(error)) from None
    if not is_loopback(host) and (why := serving.refusal(own_key=not connection.key_per_request)) is not None:
        raise Stopped(f"{address} is reachable from other machines: {why}, or use 127.0.0.1:{port}.")
    if workers > 1 and sys.platform == "win32":
        raise Stopped("--workers is supported on Linux and macOS only.")
    if workers > 1 and with_metrics:
        raise Stopped("--metrics covers one process only; with --workers, use OpenTelemetry (docs/team.md).")
    if with_metrics and not find_spec("opentelemetry.exporter.prometheus"):
        raise Stopped("--metrics needs the extra telemetry. Run: pip install 'cekura-dashboards-mcp[telemetry]'")
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
    if workers > 1:
        load()  # once, because the workers are forks
    loaded()
    if workers == 1:
        with listening:
            run_http(app, connection, listening)
        return
    announce(listening)
    number = run_workers(app, listening, workers)
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def _sign_in(serving: ServerSettings) -> "SignIn | None":
    """The sign-in, after the issuer's keys have been read."""
    if not serving.oauth_issuer:
        return None
    from cekura_dashboards_mcp.web.oauth import SignIn

    try:
        sign_in = SignIn.by(serving)
        sign_in.check()
    except SettingsError as error:
        raise Stopped(str(error)) from None
    return sign_in


def _sharing_state(connection: Connection) -> Connection:
    """The same connection with secrets shared by all workers, so that each can continue a question of another."""
    if connection.settings.state_secrets:
        return connection
    sealed = connection.settings.model_copy(update={"state_keys": SecretStr(secrets.token_hex(32))})
    return replace(connection, settings=sealed)


log = logging.getLogger(__name__)
STOPPED = (signal.SIGTERM, signal.SIGINT)
RESTART_S = 1.0
"""Between the end of a worker and its replacement, so that one that fails at start does not keep the machine busy."""


@dataclass
class Worker:
    """A process, and the channel over which it receives connections."""

    process: BaseProcess
    channel: socket.socket


def run_workers(app: Starlette, listening: socket.socket, count: int) -> int:
    """Serve until stopped, and return the number of the signal.

    POSIX only.
    """
    forking = multiprocessing.get_context("fork")

    def started() -> Worker:
        ours, theirs = socket.socketpair()
        process = forking.Process(target=_work, args=(app, theirs, [ours, listening, *listeners()]))
        process.start()
        theirs.close()
        return Worker(process, ours)

    workers = list[Worker]()

    def listeners() -> list[socket.socket]:
        return [worker.channel for worker in workers]

    for _ in range(count):
        workers.append(started())
    return asyncio.run(_share(listening, workers, started))


async def _share(listening: socket.socket, workers: list[Worker], started: Callable[[], Worker]) -> int:
    """Distribute connections until a signal comes, then let the workers finish."""
    loop, came, stopped = asyncio.get_running_loop(), list[int](), asyncio.Event()

    def stop(sign: int) -> None:
        came.append(sign)
        stopped.set()

    for sign in STOPPED:
        loop.add_signal_handler(sign, stop, int(sign))
    listening.setblocking(False)
    sharing = [asyncio.create_task(_accept(listening, workers)), asyncio.create_task(_replace(workers, started))]
    await stopped.wait()
    for task in sharing:
        task.cancel()
    listening.close()
    for worker in workers:
        worker.channel.close()  # this tells the worker to stop
    ends = [loop.run_in_executor(None, worker.process.join, SHUTDOWN_S + 1) for worker in workers]
    await asyncio.gather(*ends)
    for worker in workers:
        worker.process.kill()
    return came[0]


async def _accept(listening: socket.socket, workers: list[Worker]) -> None:
    loop, turn = asyncio.get_running_loop(), 0
    while True:
        connection, _ = await loop.sock_accept(listening)
        with connection:
            for _ in workers:
                turn = (turn + 1) % len(workers)
                with contextlib.suppress(OSError):  # the worker has just ended; try the next one
                    socket.send_fds(workers[turn].channel, [b"c"], [connection.fileno()])
                    break


async def _replace(workers: list[Worker], started: Callable[[], Worker]) -> None:
    while True:
        await asyncio.sleep(RESTART_S)
        for place, worker in enumerate(workers):
            if not worker.process.is_alive():
                log.error(
                    "worker %s exited with code %s; starting another", worker.process.pid, worker.process.exitcode
                )
                worker.channel.close()
                workers[place] = started()


def _work(app: Starlette, channel: socket.socket, foreign: list[socket.socket]) -> None:
    """The main function of a worker. ``foreign``: inherited sockets that it does not use."""
    for other in foreign:
        other.close()
    for sign in STOPPED:
        signal.signal(sign, signal.SIG_IGN)  # the accepting process gets the signal, and closes the channel
    asyncio.run(_Taking(server_config(app), channel).serve())
    os._exit(0)


class _Taking(uvicorn.Server):
    """Serves the connections from a channel until that is closed."""

    def __init__(self, config: uvicorn.Config, channel: socket.socket) -> None:
        super().__init__(config)
        self._channel = channel
        channel.setblocking(False)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Do not listen: connections come from the channel."""
        await super().startup(sockets=sockets or [])
        asyncio.get_running_loop().add_reader(self._channel, self._take)

    def _take(self) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(BlockingIOError):
            message, descriptors, _, _ = socket.recv_fds(self._channel, 1, 1)
            if not message:
                loop.remove_reader(self._channel)
                self.should_exit = True
            for descriptor in descriptors:
                connection = socket.socket(fileno=descriptor)
                connection.setblocking(False)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                adopted = loop.create_task(loop.connect_accepted_socket(self._protocol, connection))
                self.server_state.tasks.add(cast("asyncio.Task[None]", adopted))
                adopted.add_done_callback(
                    lambda task: self.server_state.tasks.discard(cast("asyncio.Task[None]", task))
                )

    def _protocol(self) -> asyncio.Protocol:
        make = cast("Callable[..., asyncio.Protocol]", self.config.http_protocol_class)
        return make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)
