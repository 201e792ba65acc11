"""The files of deploy/, each validated by its own tool or schema; two replicas behind nginx, one of which stops."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import httpx
import httpx2
import pytest
import yaml
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from cekura_dashboards import Settings
from cekura_dashboards_mcp.protocol import calls
from cekura_dashboards_mcp.web.middleware import KEEP_ALIVE_S
from cekura_dashboards_mcp.web.settings import ServerSettings
from support import ERAS, LAST_3_DAYS, PIE, PLAIN_HTTP, TIMEOUT_S, Era, Json, sandbox_address

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
MANIFESTS = [path.name for path in (DEPLOY / "kubernetes").glob("*.yaml") if path.name != "kustomization.yaml"]
KUBERNETES = "1.34"
HERE = Path(sys.executable).parent
COMMAND = [sys.executable, "-m", "cekura_dashboards_mcp"]
INHERITED = {name: value for name, value in os.environ.items() if not name.startswith("CEKURA_")}
NO_NGINX = "the load balancer is nginx: apt-get install nginx-light, or put one on PATH"


def text_of_file(*parts: str) -> str:
    return DEPLOY.joinpath(*parts).read_text(encoding="utf-8")


def checked(*command: str) -> None:
    result = subprocess.run(
        [str(HERE / command[0]), *command[1:]], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_dockerfile_passes_its_linter() -> None:
    checked("hadolint", str(DEPLOY / "Dockerfile"))
    assert re.search(r"^USER \d+$", text_of_file("Dockerfile"), re.MULTILINE)


def test_the_compose_file_matches_its_schema() -> None:
    checked("check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(DEPLOY / "compose.yaml"))


def test_nginx_closes_idle_connections_before_the_servers_do() -> None:
    [seconds] = re.findall(r"^ {4}keepalive_timeout (\d+)s;", text_of_file("nginx.conf"), re.MULTILINE)
    assert int(seconds) < KEEP_ALIVE_S


@pytest.mark.parametrize("name", MANIFESTS)
def test_kubernetes_manifests_are_valid(name: str) -> None:
    checked("kubernetes-validate", "--strict", "-k", KUBERNETES, str(DEPLOY / "kubernetes" / name))


def test_the_kustomization_lists_every_manifest_and_the_version() -> None:
    result: Json = yaml.safe_load(text_of_file("kubernetes", "kustomization.yaml"))
    assert {*result["resources"]} == {*MANIFESTS}
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert result["images"][0]["newTag"] == version
    if kubectl := shutil.which("kubectl"):
        built = subprocess.run(
            [kubectl, "kustomize", str(DEPLOY / "kubernetes")],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=True,
        )
        kinds = [item["kind"] for item in yaml.safe_load_all(built.stdout)]
        assert sorted(kinds) == ["ConfigMap", "Deployment", "PodDisruptionBudget", "Service"]


def test_deployments_use_existing_settings() -> None:
    text = "".join(
        path.read_text(encoding="utf-8") for path in (DEPLOY / "compose.yaml", *(DEPLOY / "kubernetes").iterdir())
    )
    names = {name.lower() for name in re.findall(r"CEKURA_(\w+)", text)}
    assert names
    assert names <= {*Settings.model_fields, *ServerSettings.model_fields}


def test_the_grafana_dashboard_uses_existing_metrics() -> None:
    source = Path(calls.__file__).read_text(encoding="utf-8")
    counters = {name.replace(".", "_") + "_total" for name in re.findall(r'create_counter\("([\w.]+)"', source)}
    result: Json = json.loads(text_of_file("grafana.json"))
    queried = {
        name
        for panel in result["panels"]
        for target in panel["targets"]
        for name in re.findall(r"cekura_\w+", target["expr"])
    }
    assert queried == counters | {"cekura_tool_duration_seconds_bucket"}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def program(*arguments: str, **environment: str) -> Generator[tuple[subprocess.Popen[str], str]]:
    """A process of this program, and the address that it prints."""
    with subprocess.Popen(
        [*COMMAND, *arguments], stderr=subprocess.PIPE, text=True, env={**INHERITED, **environment}
    ) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        try:
            yield process, next(word.rstrip(".") for word in line.split() if word.startswith("http"))
        finally:
            process.kill()


@contextmanager
def balanced(addresses: list[str], folder: Path) -> Generator[str]:
    """An nginx with the configuration of deploy/, on free local ports."""
    if shutil.which("nginx") is None:
        if os.environ.get("CI"):
            pytest.fail(NO_NGINX)
        pytest.skip(NO_NGINX)
    port = free_port()
    text = text_of_file("nginx.conf").replace("listen 8080", f"listen 127.0.0.1:{port}")
    for name, address in zip(("server-a:8000", "server-b:8000"), addresses, strict=True):
        text = text.replace(f"server {name}", f"server {address}")
    text = text.replace("pid /tmp/nginx.pid;", f"pid {folder}/nginx.pid;")
    config = folder / "nginx.conf"
    config.write_text(text, encoding="utf-8")
    command = ["nginx", "-p", str(folder), "-c", str(config), "-e", "stderr"]
    assert subprocess.run([*command, "-t"], capture_output=True, timeout=TIMEOUT_S, check=False).returncode == 0
    with subprocess.Popen([*command, "-g", "daemon off;"], stderr=subprocess.DEVNULL) as process:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


@dataclass
class Load:
    """The results of calls by several clients."""

    read: int = 0
    failed: Counter[str] = field(default_factory=Counter[str])
    created: list[str] = field(default_factory=list[str])
    in_doubt: list[str] = field(default_factory=list[str])
    wrong: list[str] = field(default_factory=list[str])


CLIENTS, CALLS = 6, 8


async def work(url: str, name: str, era: Era, load: Load, tick: anyio.Semaphore) -> None:
    """Reads with retries; every fourth call is a write, without retries."""
    for number in range(CALLS):
        board = f"{name}-{number}"
        writes = number % 4 == 3
        arguments: Json = (
            {"name": board, "project_id": 1, "widgets": [PIE], "filters": LAST_3_DAYS}
            if writes
            else {"dashboard_id": 12}
        )
        for _ in range(1 if writes else 4):
            try:
                async with (
                    httpx2.AsyncClient(**PLAIN_HTTP, headers={"X-CEKURA-API-KEY": "sandbox"}) as http,
                    Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=era) as client,
                ):
                    result = await client.call_tool("create_dashboard" if writes else "get_dashboard", arguments)
            except (MCPError, httpx2.HTTPError, ExceptionGroup) as error:
                load.failed[type(error).__name__] += 1
                if writes:
                    load.in_doubt.append(board)
                continue
            text = str(result.content)
            if writes:
                load.created.append(board)
                load.wrong += [] if "Done. dashboard" in text else [text]
            else:
                load.read += 1
                load.wrong += [] if "Booking agent" in text else [text]
            break
        tick.release()


@pytest.fixture(scope="module")
def api() -> Generator[str]:
    """One sandbox for all replicas."""
    with sandbox_address(500) as address:
        yield address


@pytest.mark.anyio
@pytest.mark.parametrize("stop_signal", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
async def test_stopping_one_of_two_replicas_loses_no_call_and_doubles_no_write(
    stop_signal: signal.Signals, api: str, tmp_path: Path
) -> None:
    """Half of the clients use each protocol era."""
    load, tick, mine = Load(), anyio.Semaphore(0), stop_signal.name
    with ExitStack() as running:
        settings = {"CEKURA_BASE_URL": api, "CEKURA_STATE_KEYS": "k" * 40, "CEKURA_MAX_IN_FLIGHT": "500"}
        replicas = [running.enter_context(program("serve", "--http", "127.0.0.1:0", **settings)) for _ in range(2)]
        addresses = [url.removeprefix("http://").removesuffix("/mcp") for _, url in replicas]
        url = running.enter_context(balanced(addresses, tmp_path))
        with anyio.fail_after(TIMEOUT_S):
            async with anyio.create_task_group() as group:
                for number in range(CLIENTS):
                    group.start_soon(work, url, f"{mine} {number}", ERAS[number % 2], load, tick)
                for _ in range(CLIENTS * CALLS // 3):
                    await tick.acquire()
                replicas[0][0].send_signal(stop_signal)
        headers = {"X-CEKURA-API-KEY": "sandbox"}
        async with httpx.AsyncClient(**PLAIN_HTTP, headers=headers) as http:
            rows: list[Json] = (await http.get(f"{api}/dashboards/dashboards/?page_size=500")).json()["results"]
    there = Counter(str(row["name"]) for row in rows if str(row["name"]).startswith(mine))
    assert load.wrong == []
    assert load.read == CLIENTS * CALLS * 3 // 4
    assert len(load.created) + len(load.in_doubt) == CLIENTS * CALLS // 4
    assert {name: there[name] for name in load.created} == dict.fromkeys(load.created, 1)
    assert all(there[name] <= 1 for name in load.in_doubt)
    assert {*there} <= {*load.created, *load.in_doubt}
    assert load.failed.total() < CLIENTS * 4  # calls in flight at the killed replica, and attempts while it stopped
