"""The sandbox as a server on this machine."""

import socket
import sys
from dataclasses import fields
from typing import get_args

import uvicorn

from cekura_sandbox.app import create_app
from cekura_sandbox.charts import ApiVariant


def readings_from(chosen: dict[str, str]) -> ApiVariant:
    """ApiVariant by name.

    Raises:
        ValueError: for a name or value that there is not.
    """
    allowed = {field.name: get_args(field.type) for field in fields(ApiVariant)}
    chosen_readings: dict[str, str | float] = {}
    for name, value in chosen.items():
        if name not in allowed:
            raise ValueError(f'no reading "{name}"; there are {", ".join(allowed)}')
        if allowed[name] and value not in allowed[name]:
            raise ValueError(f'reading {name} is {" or ".join(allowed[name])}, not "{value}"')
        chosen_readings[name] = value if allowed[name] else float(value)
    return ApiVariant(**chosen_readings)  # type: ignore[arg-type]  # checked against the fields above


def run_sandbox(*, port: int, seed: int, count: int, key: str, readings: dict[str, str]) -> None:
    """Serve on 127.0.0.1 until stopped; port 0 takes a free one. The calls are generated before it listens.

    Raises:
        ValueError: for a reading that there is not.
        OSError: if the port is taken.
    """
    app = create_app(seed=seed, count=count, key=key, readings=readings_from(readings))
    tcp = socket.IPPROTO_TCP  # named, so that the event loop has answers sent at once
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, tcp) as listening:
        if sys.platform != "win32":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen()
        app.state.world.generate()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        print(  # noqa: T201 - not the protocol's stdout
            f"{count} calls of the last 30 days on {url}. Use them with\n"
            f"  CEKURA_BASE_URL={url} CEKURA_API_KEY={key} cekura-dashboards",
            file=sys.stderr,
            flush=True,
        )
        config = uvicorn.Config(app, log_config=None, access_log=False, date_header=False)
        uvicorn.Server(config).run(sockets=[listening])
