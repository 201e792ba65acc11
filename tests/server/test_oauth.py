"""Signing in with an authorisation server that is there already: a real one on this machine, with real keys."""

import json
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cekura_dashboards.settings import SettingsError
from cekura_dashboards_mcp.connection import Connection
from cekura_dashboards_mcp.http import http_app
from cekura_dashboards_mcp.server_settings import ServerSettings, load_server_settings
from support import KEY, PLAIN, Era, Json, now, served, settings, shared_sandbox, text_of

pytestmark = pytest.mark.anyio
AUDIENCE = "https://mcp.team.example/mcp"
LIST: Json = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_dashboards", "arguments": {}}}
HEADERS = {"Accept": "application/json, text/event-stream"}


class Issuer:
    """An authorisation server: its metadata, its public keys, and tokens signed with its private ones."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {"first": rsa.generate_private_key(public_exponent=65537, key_size=2048)}
        self.asked, self.address, self.about = 0, "", dict[str, str]()
        self.app = Starlette(
            routes=[
                Route("/.well-known/oauth-authorization-server", self._about),
                Route("/keys", self._published),
            ]
        )

    async def _about(self, _request: Request) -> Response:
        return JSONResponse(self.about or {"issuer": self.address, "jwks_uri": f"{self.address}/keys"})

    async def _published(self, _request: Request) -> Response:
        self.asked += 1
        shown = list[Json]()
        for name, key in self.keys.items():
            public = key.public_key()
            text = (
                ECAlgorithm.to_jwk(public)
                if isinstance(key, ec.EllipticCurvePrivateKey)
                else RSAAlgorithm.to_jwk(public)
            )
            shown.append({**json.loads(text), "kid": name, "use": "sig"})
        return JSONResponse({"keys": shown})

    def token(self, *, by: str = "first", signed_with: Any = None, **changes: Any) -> str:
        claims = {
            "iss": self.address, "aud": AUDIENCE, "sub": "someone", "exp": time.time() + 300, "cekura_api_key": KEY
        } | changes  # fmt: skip
        key = signed_with or self.keys[by]
        algorithm = "ES256" if isinstance(key, ec.EllipticCurvePrivateKey) else "RS256"
        return jwt.encode({n: v for n, v in claims.items() if v is not None}, key, algorithm, {"kid": by})


@asynccontextmanager
async def signing_in(**given: Any) -> AsyncGenerator[tuple[str, Issuer]]:
    issuer = Issuer()
    async with AsyncExitStack() as stack:
        issuer.address = await stack.enter_async_context(served(issuer.app))
        connection = Connection(settings(), key_per_request=True, app_factory=shared_sandbox, now=now)
        serving = ServerSettings(oauth_issuer=issuer.address, oauth_audience=AUDIENCE, **given)
        yield await stack.enter_async_context(served(http_app(connection, serving))), issuer


async def post(url: str, token: str | None, **headers: str) -> httpx.Response:
    sent = {**HEADERS, **({"Authorization": f"Bearer {token}"} if token else {}), **headers}
    async with httpx.AsyncClient(**PLAIN) as http:
        return await http.post(f"{url}/mcp", json=LIST, headers=sent)


async def test_a_client_with_a_token_is_answered_under_the_key_of_its_user(era: Era) -> None:
    async with (
        signing_in() as (url, issuer),
        httpx2.AsyncClient(**PLAIN, headers={"Authorization": f"Bearer {issuer.token()}"}) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=era) as client,
    ):
        assert "Operations overview" in text_of(await client.call_tool("list_dashboards", {}))


async def test_without_a_token_a_client_is_led_to_the_server_that_gives_one() -> None:
    async with signing_in() as (url, issuer), httpx.AsyncClient(**PLAIN) as http:
        refused = await post(url, None, **{"X-CEKURA-API-KEY": KEY})
        about = "https://mcp.team.example/.well-known/oauth-protected-resource/mcp"
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == f'Bearer error="invalid_token", resource_metadata="{about}"'
        for path in ("/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"):
            shown = (await http.get(url + path)).json()
            assert (shown["resource"], shown["authorization_servers"]) == (AUDIENCE, [issuer.address])
        assert (await http.get(f"{url}/healthz")).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://other.example/mcp"}, {"iss": "https://evil.example"}, {"exp": 1}, {"exp": None}, {"sub": None},
        {"aud": None}, {"signed_with": rsa.generate_private_key(public_exponent=65537, key_size=2048)},
        {"by": "unknown", "signed_with": rsa.generate_private_key(public_exponent=65537, key_size=2048)},
        {"cekura_api_key": None}, {"cekura_api_key": "two words"},
    ],
    ids=range(10),
)  # fmt: skip
async def test_a_token_that_is_not_meant_for_here_opens_nothing(changes: Json) -> None:
    async with signing_in() as (url, issuer):
        refused = await post(url, issuer.token(**changes), **{"X-CEKURA-API-KEY": KEY})
        assert refused.status_code == 401
        assert KEY not in refused.text
        assert (await post(url, issuer.token())).status_code == 200


@pytest.mark.parametrize("token", ["", "x", "a.b.c", jwt.encode({"sub": "x"}, "s" * 32, "HS256")])
async def test_what_is_no_token_of_a_public_key_opens_nothing(token: str) -> None:
    async with signing_in() as (url, issuer):
        unsigned: Any = None
        forged = jwt.encode(
            {"iss": issuer.address, "aud": AUDIENCE, "sub": "x", "exp": time.time() + 9}, unsigned, "none"
        )
        for sent in (token, forged):
            assert (await post(url, sent)).status_code == 401


async def test_a_new_key_of_the_issuer_is_found_and_unknown_ones_do_not_make_it_ask_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with signing_in() as (url, issuer):
        assert (await post(url, issuer.token())).status_code == 200
        issuer.keys["second"] = ec.generate_private_key(ec.SECP256R1())
        for _ in range(5):
            assert (await post(url, issuer.token(by="second"))).status_code == 401
        assert issuer.asked == 1
        monkeypatch.setattr("cekura_dashboards_mcp.oauth.ASK_AGAIN_S", 0.0)
        assert (await post(url, issuer.token(by="second"))).status_code == 200


async def test_keys_may_come_from_a_file_by_subject(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"someone": KEY}), encoding="utf-8")
    async with signing_in(oauth_keys_file=str(file)) as (url, issuer):
        answer = await post(url, issuer.token(cekura_api_key=None))
        assert "Operations overview" in answer.text
        assert (await post(url, issuer.token(cekura_api_key=None, sub="another"))).status_code == 401


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"ISSUER": "https://id.example"}, 'CEKURA_OAUTH_ISSUER is "https://id.example": needs CEKURA_OAUTH_AUDIENCE'),
        (
            {"ISSUER": "https://id.example", "AUDIENCE": AUDIENCE, "TOKEN": "t" * 30},
            "CEKURA_SERVER_TOKEN both want the header Authorization",
        ),
    ],
)  # fmt: skip
async def test_settings_that_contradict_each_other_are_named(
    given: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in given.items():
        monkeypatch.setenv("CEKURA_SERVER_TOKEN" if name == "TOKEN" else f"CEKURA_OAUTH_{name}", value)
    with pytest.raises(SettingsError) as refused:
        load_server_settings()
    assert said in str(refused.value)


async def test_an_issuer_that_names_no_keys_is_no_fault_of_this_server() -> None:
    async with signing_in() as (url, issuer):
        issuer.about = {"issuer": issuer.address}
        assert (await post(url, issuer.token())).status_code == 401


@pytest.mark.parametrize("content", [None, "[", "[]", '{"someone": 1}'])
async def test_a_file_of_keys_that_is_none_ends_the_start(content: str | None, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(SettingsError, match="CEKURA_OAUTH_KEYS_FILE"):
        async with signing_in(oauth_keys_file=str(file)):
            raise AssertionError
