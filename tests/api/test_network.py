"""Proxies and certificates from the environment: used if valid, otherwise reported in one line."""

import asyncio
import os
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from mcp import Client
from pydantic import SecretStr

from cekura_dashboards import open_context
from cekura_dashboards.api.errors import NotSent, WrongNetworkSetting
from cekura_dashboards.api.network import check_network, proxy_of
from cekura_dashboards.api.transport import HttpTransport
from cekura_dashboards_mcp.cli.doctor import examine
from cekura_dashboards_mcp.connection import Connection
from cekura_dashboards_mcp.protocol.server import create_server
from support import KEY, NOW, Era, now, run_cli, served, settings, text_of

API = "https://api.cekura.ai"
INVALID_PROXIES = [
    ("HTTPS_PROXY", "127.0.0.1:7890", "write http://127.0.0.1:7890 or unset it"),
    ("https_proxy", "localhost:7890", "write http://localhost:7890 or unset it"),
    ("Https_Proxy", "proxy.example:80/", "write http://proxy.example:80/ or unset it"),
    ("ALL_PROXY", "127.0.0.1:7890", "write http://127.0.0.1:7890 or unset it"),
    ("all_proxy", "socks://127.0.0.1:7890", "write http://HOST:PORT"),
    ("ALL_PROXY", "socks5://127.0.0.1:7890", "pip install 'httpx[socks]'"),
    *(
        ("HTTPS_PROXY", value, "write http://HOST:PORT or unset it")
        for value in (
            "proxy", "http://", "://x", "ftp://h:1", "http://h:99999", "http://h:0", "http://h:x", "http://a b:1", "http://[::1",
            "http://h:1/path", "http://h:1?x", "https://h:1#x", "http:/h:1", "x" * 3000, "http://h:" + "1" * 5000,
        )
    ),
]  # fmt: skip
INVALID_CERTIFICATES = {
    "nothing": b"",
    "text": b"no certificate",
    "noise": bytes(range(256)),
    "cut": b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
}


async def status_of(url: str) -> int:
    transport = HttpTransport(url)
    try:
        return (await transport.send("GET", "/", key=SecretStr(KEY), timeout_s=5, query={}, body=None)).status
    finally:
        await transport.aclose()


@pytest.fixture(autouse=True)
def _no_network_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*os.environ]:
        if name.lower().endswith("_proxy") or name.startswith("SSL"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("variable", "value", "message"), INVALID_PROXIES, ids=[f"{v}={x[:30]}" for v, x, _ in INVALID_PROXIES]
)
def test_an_invalid_proxy_is_reported_with_its_environment_variable(
    variable: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    for used in (check_network, HttpTransport):
        with pytest.raises(WrongNetworkSetting) as refused:
            used(API)
        text = str(refused.value)
        assert text.startswith(f'{variable} is "{value[:50]}')
        assert message in text
        assert len(text) < 250


def test_errors_omit_the_proxy_password(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("http://me:hidden@h:x", "me:hidden@h:1", "http://me:hid@den@h:1"):
        monkeypatch.setenv("HTTPS_PROXY", value)
        with pytest.raises(WrongNetworkSetting) as refused:
            check_network(API)
        assert "hid" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "url", "expected"),
    [
        ({"HTTPS_PROXY": "http://127.0.0.1:7890"}, API, ("HTTPS_PROXY", "http://127.0.0.1:7890")),
        ({"HTTPS_PROXY": " http://me:p%40ss@h:1/ "}, API, ("HTTPS_PROXY", "http://me:p%40ss@h:1/")),
        ({"HTTPS_PROXY": "https://[::1]:8080"}, API, ("HTTPS_PROXY", "https://[::1]:8080")),
        ({"HTTPS_PROXY": "http://a:1", "https_proxy": "http://b:1"}, API, ("https_proxy", "http://b:1")),
        ({"ALL_PROXY": "http://a:1"}, API, ("ALL_PROXY", "http://a:1")),
        ({"ALL_PROXY": "http://a:1", "HTTPS_PROXY": "http://b:1"}, API, ("HTTPS_PROXY", "http://b:1")),
        ({"HTTP_PROXY": "nonsense"}, API, None),
        ({"HTTPS_PROXY": "nonsense"}, "http://127.0.0.1:9", None),
        ({"HTTP_PROXY": "http://a:1"}, "http://127.0.0.1:9", None),
        ({"http_proxy": "http://a:1", "ALL_PROXY": "http://b:1"}, "http://localhost:9", None),
        ({"ALL_PROXY": "http://a:1"}, "http://LocalHost/base", None),
        ({"HTTPS_PROXY": "http://a:1"}, "https://[::1]:9", None),
        ({"HTTPS_PROXY": "nonsense"}, "https://127.8.8.8", None),
        ({"HTTPS_PROXY": "http://a:1"}, "https://localhost.example", ("HTTPS_PROXY", "http://a:1")),
        ({"HTTPS_PROXY": "", "ALL_PROXY": " "}, API, None),
        ({"HTTPS_PROXY": "nonsense", "NO_PROXY": "*"}, API, None),
        ({"HTTPS_PROXY": "nonsense", "NO_PROXY": ", .cekura.ai,"}, API, None),
        ({"HTTPS_PROXY": "nonsense", "NO_PROXY": "api.cekura.ai:443"}, API, None),
        ({"HTTP_PROXY": "nonsense", "NO_PROXY": "127.0.0.1:9"}, "http://127.0.0.1:9", None),
        ({"HTTP_PROXY": "nonsense", "NO_PROXY": "::1"}, "http://[::1]:9", None),
        ({"HTTPS_PROXY": "http://a:1", "NO_PROXY": "10.0.0.0/8, ((, cekura"}, API, ("HTTPS_PROXY", "http://a:1")),
    ],
)  # fmt: skip
def test_the_proxy_follows_scheme_all_proxy_and_no_proxy(
    given: dict[str, str], url: str, expected: tuple[str, str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert proxy_of(url) == expected
    HttpTransport(url)


@pytest.mark.anyio
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_requests_use_the_proxy_and_failures_name_its_variable(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = list[bytes]()

    async def proxy(scope: Any, _receive: Any, send: Any) -> None:
        requests.append(dict(scope["headers"])[b"host"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async with served(proxy) as url:
        monkeypatch.setenv(variable, url)
        assert await status_of("http://api.invalid") == 200
        assert requests == [b"api.invalid"]
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    with pytest.raises(NotSent, match=f"Check the network, {variable} and CEKURA_BASE_URL"):
        await status_of("http://api.invalid")


@pytest.mark.anyio
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_requests_to_this_machine_bypass_the_proxy(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = dict[str, list[str]](api=[], proxy=[])

    def answering(name: str) -> Any:
        async def app(scope: Any, _receive: Any, send: Any) -> None:
            requests[name].append(dict(scope["headers"])[b"x-cekura-api-key"].decode())
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"{}"})

        return app

    async with served(answering("api")) as api, served(answering("proxy")) as proxy:
        monkeypatch.setenv(variable, proxy)
        port = api.rpartition(":")[2]
        for host in ("127.0.0.1", "localhost"):
            assert await status_of(f"http://{host}:{port}") == 200
    assert requests == {"api": [KEY, KEY], "proxy": []}


@pytest.mark.parametrize("content", [*INVALID_CERTIFICATES, "absent", "a folder"])
def test_invalid_certificates_are_reported_with_their_variable(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, folder = tmp_path / "certificates.pem", tmp_path / "certificates"
    if content == "a folder":
        file.mkdir()
    elif content != "absent":
        file.write_bytes(INVALID_CERTIFICATES[content])
        folder.mkdir()
        (folder / "0123abcd.0").write_bytes(INVALID_CERTIFICATES[content])
    cases = [("SSL_CERT_FILE", file), ("SSL_CERT_DIR", folder), ("SSL_CERT_DIR", tmp_path), ("SSLKEYLOGFILE", tmp_path)]
    for variable, path in cases:
        monkeypatch.setenv(variable, str(path))
        for used in (check_network, HttpTransport):
            with pytest.raises(WrongNetworkSetting, match=f'^{variable} is "'):
                used(API)
            used("http://127.0.0.1:9")  # plain HTTP needs no certificates
        monkeypatch.delenv(variable)


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate of 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW.replace(year=2020))
        .not_valid_after(NOW + timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "public.pem", folder / "private.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return public, private


@asynccontextmanager
async def tls_server(public: Path, private: Path) -> AsyncGenerator[str]:
    """A server with that certificate, which gives every request the same answer."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.anyio
async def test_a_certificate_from_ssl_cert_file_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    public, private = certificate(tmp_path)
    async with tls_server(public, private) as url:
        with pytest.raises(NotSent, match=r"certificate is not trusted\). Check the network, SSL_CERT_FILE and"):
            await status_of(url)
        (tmp_path / "0123abcd.0").write_bytes(public.read_bytes())
        monkeypatch.setenv("SSL_CERT_DIR", os.pathsep.join(["/nonexistent", str(tmp_path)]))
        with pytest.raises(NotSent, match="SSL_CERT_DIR"):  # under a name other than its digest
            await status_of(url)
        monkeypatch.setenv("SSL_CERT_FILE", str(public))
        assert await status_of(url) == 200


SETTINGS = [("HTTPS_PROXY", "127.0.0.1:7890"), ("ALL_PROXY", "socks5://127.0.0.1:1"), ("SSL_CERT_FILE", "/nonexistent.pem"), ("SSL_CERT_DIR", "/nonexistent")]  # fmt: skip
COMMANDS = [
    ["call", "list_dashboards"], ["view", "find_changes"], ["report"], ["doctor"], ["tools"], ["export", "11"], ["plan", "-"], ["apply", "-"],
    ["serve"], ["serve", "--http", "127.0.0.1:0"], ["serve", "--http", "127.0.0.1:0", "--own-key"],
]  # fmt: skip


@pytest.mark.parametrize(("variable", "value"), SETTINGS)
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_reports_the_invalid_variable_in_one_line(command: list[str], variable: str, value: str) -> None:
    stdin = '{"name": "x", "project": 1}'
    result = run_cli(*command, stdin=stdin, environment={"CEKURA_API_KEY": "k", variable: value})
    assert (result.exit_code, result.stdout) == (2, "")
    [line] = result.stderr.splitlines()
    assert line.startswith(f'cekura-dashboards: {variable} is "{value}", which ')


def test_the_sandbox_ignores_invalid_network_settings() -> None:
    result = run_cli("call", "list_dashboards", "--sandbox", environment=dict(SETTINGS))
    assert (result.exit_code, result.stderr) == (0, "")


@pytest.mark.anyio
@pytest.mark.parametrize(("variable", "value"), SETTINGS)
async def test_a_tool_call_reports_a_variable_that_became_invalid_after_start(
    variable: str, value: str, era: Era, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = settings().model_copy(update={"base_url": API})
    connection = Connection(made, now=now)
    monkeypatch.setenv(variable, value)
    async with Client(create_server(connection), mode=era) as client:
        result: Any = await client.call_tool("list_dashboards", {})
    assert result.is_error
    assert text_of(result).startswith(f'{variable} is "{value}", which ')
    assert "\n" not in text_of(result)
    actual = await examine(Connection(made, now=now), None, with_probe=True)
    assert [line for line in actual.lines() if line.startswith(f'FAIL API: {variable} is "{value}"')]
    with pytest.raises(WrongNetworkSetting, match=variable):
        async with open_context(made):
            pass
