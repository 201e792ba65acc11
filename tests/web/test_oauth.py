"""Sign-in with an existing authorization server: a local one with real keys."""

import gzip
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cache, partial
from itertools import cycle
from pathlib import Path
from typing import Any, TypeVar

import anyio
import httpx
import httpx2
import jwt
import pytest
from anyio import to_thread
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from cekura_dashboards.settings import SettingsError
from cekura_dashboards_mcp.connection import Connection
from cekura_dashboards_mcp.web.app import http_app
from cekura_dashboards_mcp.web.oauth import KeyTimes, SignIn
from cekura_dashboards_mcp.web.settings import ServerSettings, load_server_settings
from support import KEY, PLAIN_HTTP, TIMEOUT_S, Era, Json, now, run_cli, served, settings, shared_sandbox, text_of

pytestmark = pytest.mark.anyio
AUDIENCE = "https://mcp.team.example/mcp"
LIST: Json = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_dashboards", "arguments": {}}}
HEADERS = {"Accept": "application/json, text/event-stream"}


@cache
def _key(_place: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


_places = cycle(range(8))


def new_key() -> rsa.RSAPrivateKey:
    """A key that differs from the last seven; keys are reused, because generating one takes longer than most tests."""
    return _key(next(_places))


class Issuer:
    """An authorisation server: its metadata, its public keys, and tokens signed with its private ones.

    ``metadata``: by path, in place of the usual ones. ``answer``: what comes instead of the keys.
    """

    def __init__(self, metadata: Mapping[str, Json] | None = None) -> None:
        self.keys: dict[str, Any] = {"first": new_key()}
        self.asked, self.address, self.path = 0, "", ""
        self.metadata = metadata
        self.answer: Callable[[], Awaitable[Response]] | None = None
        self.app = Starlette(routes=[Route("/keys", self._published), Route("/{path:path}", self._about)])

    @property
    def name(self) -> str:
        return self.address + self.path

    def default_metadata(self) -> Json:
        return {"issuer": self.name, "jwks_uri": f"{self.address}/keys"}

    async def _about(self, request: Request) -> Response:
        documents = (
            {"/.well-known/oauth-authorization-server": self.default_metadata()}
            if self.metadata is None
            else self.metadata
        )
        document = documents.get(request.url.path)
        return Response(status_code=404) if document is None else JSONResponse(self.default_metadata() | document)

    def published(self) -> Json:
        keys = list[Json]()
        for name, key in self.keys.items():
            public = key.public_key()
            text = (
                ECAlgorithm.to_jwk(public)
                if isinstance(key, ec.EllipticCurvePrivateKey)
                else RSAAlgorithm.to_jwk(public)
            )
            keys.append({**json.loads(text), "kid": name, "use": "sig"})
        return {"keys": keys}

    async def _published(self, _request: Request) -> Response:
        self.asked += 1
        return await self.answer() if self.answer else JSONResponse(self.published())

    def token(
        self, *, by: str | None = "first", signed_with: Any = None, algorithm: str | None = None, **changes: Any
    ) -> str:
        claims = {
            "iss": self.name, "aud": AUDIENCE, "sub": "someone", "exp": time.time() + 3000, "cekura_api_key": KEY
        } | changes  # fmt: skip
        key = signed_with or self.keys[by or ""]
        algorithm = algorithm or ("ES256" if isinstance(key, ec.EllipticCurvePrivateKey) else "RS256")
        named = {"kid": by} if by is not None else None
        return jwt.encode({n: v for n, v in claims.items() if v is not None}, key, algorithm, named)


IssuerType = TypeVar("IssuerType", bound=Issuer)


@asynccontextmanager
async def issuing(issuer: IssuerType) -> AsyncGenerator[IssuerType]:
    async with served(issuer.app) as issuer.address:
        yield issuer


REFRESH_AT_ONCE = KeyTimes(refresh_s=0.01, again_s=0)
REFRESH_ON_DEMAND = KeyTimes(refresh_s=TIMEOUT_S, again_s=0, timeout_s=TIMEOUT_S)


@asynccontextmanager
async def signing_in(times: KeyTimes | None = None, **options: Any) -> AsyncGenerator[tuple[str, Issuer]]:
    async with issuing(Issuer()) as issuer:
        connection = Connection(settings(), key_per_request=True, app_factory=shared_sandbox, now=now)
        serving = ServerSettings(oauth_issuer=issuer.name, oauth_audience=AUDIENCE, **options)
        async with served(http_app(connection, serving, sign_in=SignIn.by(serving, times))) as url:
            await repeat_until(url, issuer.token(), 200)
            yield url, issuer


async def post(url: str, token: str | None, **headers: str) -> httpx.Response:
    sent = {**HEADERS, **({"Authorization": f"Bearer {token}"} if token else {}), **headers}
    async with httpx.AsyncClient(**PLAIN_HTTP) as http:
        return await http.post(f"{url}/mcp", json=LIST, headers=sent)


async def test_a_client_with_a_token_uses_the_key_of_its_user(era: Era) -> None:
    async with (
        signing_in() as (url, issuer),
        httpx2.AsyncClient(**PLAIN_HTTP, headers={"Authorization": f"Bearer {issuer.token()}"}) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=era) as client,
    ):
        assert "Operations overview" in text_of(await client.call_tool("list_dashboards", {}))


METADATA_CHALLENGE = 'resource_metadata="https://mcp.team.example/.well-known/oauth-protected-resource/mcp"'


async def test_a_request_without_a_token_is_directed_to_the_authorization_server() -> None:
    async with signing_in() as (url, issuer), httpx.AsyncClient(**PLAIN_HTTP) as http:
        for sent in ({}, {"Authorization": "Basic c29tZW9uZQ=="}, {"Authorization": "Bearer"}):
            refused = await post(url, None, **{"X-CEKURA-API-KEY": KEY}, **sent)
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"] == f"Bearer {METADATA_CHALLENGE}"
        refused = await post(url, issuer.token(exp=1))
        assert refused.headers["www-authenticate"] == f'Bearer error="invalid_token", {METADATA_CHALLENGE}'
        assert f"a JWT of {issuer.name}, for the audience {AUDIENCE} and not expired" in refused.json()["error"]
        for path in ("/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"):
            metadata = (await http.get(url + path)).json()
            assert (metadata["resource"], metadata["authorization_servers"]) == (AUDIENCE, [issuer.address])
        assert (await http.get(f"{url}/healthz")).status_code == 200


UNKNOWN_KEY = "a key that nobody publishes"


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://other.example/mcp"}, {"iss": "https://evil.example"}, {"exp": 1}, {"exp": None}, {"sub": None},
        {"aud": None}, {"signed_with": UNKNOWN_KEY},
        {"by": "unknown", "signed_with": UNKNOWN_KEY},
    ],
    ids=range(8),
)  # fmt: skip
async def test_tokens_with_invalid_claims_or_signatures_are_rejected(changes: Json) -> None:
    async with signing_in() as (url, issuer):
        strange: Json = {"signed_with": new_key()} if "signed_with" in changes else {}
        refused = await post(url, issuer.token(**(changes | strange)), **{"X-CEKURA-API-KEY": KEY})
        assert refused.status_code == 401
        assert KEY not in refused.text
        assert (await post(url, issuer.token())).status_code == 200


@pytest.mark.parametrize("token", ["", "x", "a.b.c", jwt.encode({"sub": "x"}, "s" * 32, "HS256")])
async def test_malformed_unsigned_and_symmetric_tokens_are_rejected(token: str) -> None:
    async with signing_in() as (url, issuer):
        unsigned: Any = None
        forged = jwt.encode(
            {"iss": issuer.address, "aud": AUDIENCE, "sub": "x", "exp": time.time() + 9}, unsigned, "none"
        )
        for sent in (token, forged):
            assert (await post(url, sent)).status_code == 401
        assert issuer.asked == 1


async def repeat_until(url: str, token: str, status: int) -> None:
    """Repeat the request until the answer has this status."""
    with anyio.fail_after(TIMEOUT_S):
        while (await post(url, token)).status_code != status:
            pass


async def test_new_signing_keys_are_fetched_at_a_limited_rate() -> None:
    async with signing_in() as (url, issuer):
        issuer.keys["second"] = ec.generate_private_key(ec.SECP256R1())
        for _ in range(5):
            assert (await post(url, issuer.token(by="second"))).status_code == 401
            assert (await post(url, issuer.token(signed_with=new_key()))).status_code == 401
        assert issuer.asked == 1
    async with signing_in(REFRESH_ON_DEMAND) as (url, issuer):
        issuer.keys["second"] = ec.generate_private_key(ec.SECP256R1())
        assert (await post(url, issuer.token(by="second"))).status_code == 200
        assert issuer.asked == 2


async def test_a_signing_key_replaced_under_its_id_invalidates_the_old_one() -> None:
    async with signing_in(REFRESH_ON_DEMAND) as (url, issuer):
        for key in (new_key(), ec.generate_private_key(ec.SECP256R1())):
            old = issuer.token()
            assert (await post(url, old)).status_code == 200
            issuer.keys["first"] = key
            assert (await post(url, issuer.token())).status_code == 200
            assert (await post(url, old)).status_code == 401


@pytest.mark.parametrize("left", [1, 0])
async def test_withdrawn_signing_keys_expire_by_themselves(left: int) -> None:
    async with signing_in(REFRESH_AT_ONCE) as (url, issuer):
        token = issuer.token()
        assert (await post(url, token)).status_code == 200
        issuer.keys = {"second": new_key()} if left else {}
        await repeat_until(url, token, 401 if left else 503)


async def test_signing_keys_that_cannot_be_refreshed_expire() -> None:
    async with signing_in(KeyTimes(refresh_s=0.01, again_s=0, lifetime_s=0.2)) as (url, issuer):

        async def broken() -> Response:
            return Response(status_code=500)

        issuer.answer = broken
        await repeat_until(url, issuer.token(), 503)
        refused = await post(url, issuer.token())
        assert f"the keys of {issuer.name} cannot be read" in refused.json()["error"]
        assert "www-authenticate" not in refused.headers
        issuer.answer = None
        await repeat_until(url, issuer.token(), 200)


async def test_known_signing_keys_are_accepted_while_unknown_ones_are_fetched() -> None:
    async with signing_in(REFRESH_ON_DEMAND) as (url, issuer):
        gate, requested = anyio.Event(), anyio.Event()

        async def slow() -> Response:
            requested.set()
            await gate.wait()
            return JSONResponse(issuer.published())

        issuer.answer = slow
        answers = list[int]()

        async def strange(token: str) -> None:
            answers.append((await post(url, token)).status_code)

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(strange, issuer.token(by="unknown", signed_with=new_key()))
                group.start_soon(strange, issuer.token(signed_with=new_key()))
            await requested.wait()
            for _ in range(3):
                assert (await post(url, issuer.token())).status_code == 200
            assert answers == []
            assert issuer.asked == 2
            issuer.answer = None
            gate.set()
        assert answers == [401] * 6


async def endless(part: bytes, pause_s: float) -> AsyncGenerator[bytes]:
    while True:
        yield part
        await anyio.sleep(pause_s)


MALFORMED_KEY_SETS: dict[str, Callable[[], Any]] = {
    "trickling": lambda: StreamingResponse(endless(b" ", 0.05)),
    "far too much": lambda: StreamingResponse(endless(b" " * 2**16, 0)),
    "compressed": lambda: Response(gzip.compress(b" " * 2**20), headers={"Content-Encoding": "gzip"}),
    "announced": lambda: Response(b"{}", headers={"Content-Length": str(2**40)}),
    "elsewhere": lambda: RedirectResponse("/other"),
    "broken": lambda: Response(status_code=500),
    "a page": lambda: Response("<html>"),
    "a list": lambda: JSONResponse([]),
    "nested": lambda: Response(b'{"keys":' + b"[" * 100_000),
    "no list": lambda: JSONResponse({"keys": {"first": {}}}),
    "no UTF-8": lambda: Response(b'{"keys": ["\xff"]}'),
}


@pytest.mark.parametrize("kind", MALFORMED_KEY_SETS)
async def test_malformed_key_sets_leave_known_signing_keys_valid(kind: str) -> None:
    async with signing_in(REFRESH_ON_DEMAND._replace(timeout_s=0.5)) as (url, issuer):

        async def strange() -> Response:
            answer: Response = MALFORMED_KEY_SETS[kind]()
            return answer

        issuer.answer, before = strange, issuer.asked
        for _ in range(2):
            assert (await post(url, issuer.token(by="unknown", signed_with=new_key()))).status_code == 401
            assert (await post(url, issuer.token())).status_code == 200
        assert issuer.asked == before + 2
        issuer.answer = None
        issuer.keys["second"] = new_key()
        await repeat_until(url, issuer.token(by="second"), 200)


@pytest.mark.parametrize("algorithm", ["RS256", "RS512", "PS256"])
async def test_a_signing_key_without_an_algorithm_accepts_all_of_its_type(algorithm: str) -> None:
    async with signing_in() as (url, issuer):
        assert (await post(url, issuer.token(algorithm=algorithm))).status_code == 200


async def test_signing_keys_of_two_types_can_share_an_id_or_lack_one() -> None:
    async with signing_in(REFRESH_ON_DEMAND) as (url, issuer):
        curve, single = ec.generate_private_key(ec.SECP256R1()), new_key()
        kinds = json.loads(ECAlgorithm.to_jwk(curve.public_key())), json.loads(RSAAlgorithm.to_jwk(single.public_key()))
        keys = [*issuer.published()["keys"], {**kinds[0], "kid": "first"}, kinds[1]]

        async def both() -> Response:
            return JSONResponse({"keys": keys})

        issuer.answer = both
        assert (await post(url, issuer.token(signed_with=curve))).status_code == 200
        assert (await post(url, issuer.token())).status_code == 200
        assert (await post(url, issuer.token(by=None, signed_with=single))).status_code == 200


async def test_unsupported_signing_keys_in_a_set_are_ignored() -> None:
    async with signing_in(REFRESH_ON_DEMAND) as (url, issuer):
        odd: list[Any] = [
            7, None, {}, {"kty": ["RSA"], "kid": "second"}, {"kty": "RSA", "kid": "second", "alg": ["RS256"], "n": 5},
            {"kty": "AKP", "alg": "ML-DSA-44", "kid": "second"}, {"kty": "RSA", "alg": "none", "kid": "second"}, {"kty": "oct", "k": "c2VjcmV0", "kid": "second"},
        ]  # fmt: skip
        issuer.keys["second"] = new_key()
        published = issuer.published()
        encrypting = {**published["keys"][0], "kid": "second", "use": "enc"}

        async def mixed() -> Response:
            return JSONResponse({"keys": [*odd, encrypting, *published["keys"]]})

        issuer.answer = mixed
        assert (await post(url, issuer.token(by="second"))).status_code == 200


class AuthorizationServer(Issuer):
    """An issuer that also registers clients and signs in everyone. ``changes``: claims of its tokens."""

    def __init__(self, audience: str, **changes: Any) -> None:
        super().__init__()
        self.audience, self.changes, self.signed_in = audience, changes, 0
        self.app.router.routes[:0] = [
            Route("/register", self._register, methods=["POST"]),
            Route("/authorize", self._authorize),
            Route("/token", self._give, methods=["POST"]),
        ]

    def default_metadata(self) -> Json:
        paths = {"authorization": "authorize", "token": "token", "registration": "register"}
        ends = {f"{name}_endpoint": f"{self.address}/{path}" for name, path in paths.items()}
        kinds = {"response_types_supported": ["code"], "code_challenge_methods_supported": ["S256"]}
        return super().default_metadata() | ends | kinds

    async def _register(self, request: Request) -> Response:
        return JSONResponse(await request.json() | {"client_id": "a client"}, 201)

    async def _authorize(self, request: Request) -> Response:
        return RedirectResponse(f"{request.query_params['redirect_uri']}?code=c&state={request.query_params['state']}")

    async def _give(self, _request: Request) -> Response:
        self.signed_in += 1
        token = self.token(aud=self.audience, **self.changes)
        return JSONResponse({"access_token": token, "token_type": "Bearer", "expires_in": 3000})


class Storage:
    """Token storage of a client."""

    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


def provider_of(url: str) -> OAuthClientProvider:
    """The provider of a client: it follows the challenge, registers, and redirects its user to sign in."""
    sent = dict[str, str]()

    async def redirect(address: str) -> None:
        async with httpx.AsyncClient(**PLAIN_HTTP) as http:
            sent.update(httpx.URL((await http.get(address)).headers["location"]).params)

    async def callback() -> AuthorizationCodeResult:
        return AuthorizationCodeResult(code=sent["code"], state=sent["state"])

    about = OAuthClientMetadata(redirect_uris=[AnyUrl("http://127.0.0.1:9/back")], client_name="a client")
    return OAuthClientProvider(url, about, Storage(), redirect, callback)


@asynccontextmanager
async def with_authorization_server(**changes: Any) -> AsyncGenerator[tuple[str, AuthorizationServer]]:
    front = Starlette()
    async with served(front) as url, issuing(AuthorizationServer(f"{url}/mcp", **changes)) as signer:
        connection = Connection(settings(), key_per_request=True, app_factory=shared_sandbox, now=now)
        app = http_app(connection, ServerSettings(oauth_issuer=signer.name, oauth_audience=f"{url}/mcp"))
        front.mount("/", app)
        async with app.router.lifespan_context(app):
            yield f"{url}/mcp", signer


async def test_a_client_completes_the_oauth_flow(era: Era) -> None:
    async with (
        with_authorization_server() as (url, signer),
        httpx2.AsyncClient(**PLAIN_HTTP, auth=provider_of(url)) as http,
        Client(streamable_http_client(url, http_client=http), mode=era) as client,
    ):
        assert "Operations overview" in text_of(await client.call_tool("list_dashboards", {}))
        assert signer.signed_in == 1


async def test_a_user_without_a_cekura_key_signs_in_only_once() -> None:
    async with (
        with_authorization_server(cekura_api_key=None) as (url, signer),
        httpx2.AsyncClient(**PLAIN_HTTP, auth=provider_of(url)) as http,
    ):
        for _ in range(2):
            refused = await http.post(url, json=LIST, headers=HEADERS)
            assert refused.status_code == 403
            assert "There is no Cekura key for this user" in refused.text
        assert signer.signed_in == 1


HERE, OPENID = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"


@pytest.mark.parametrize(
    ("path", "metadata"),
    [
        ("", {HERE: {}}),
        ("", {OPENID: {}}),
        ("", {HERE: {"issuer": "https://other.example"}, OPENID: {}}),
        ("/realms/team", {f"{HERE}/realms/team": {}}),
        ("/realms/team", {f"{OPENID}/realms/team": {}}),
        ("/realms/team", {f"/realms/team{OPENID}": {}}),
        ("/realms/team/", {f"/realms/team{OPENID}": {}}),
    ],
)
async def test_issuer_metadata_is_discovered_at_both_standard_locations(path: str, metadata: dict[str, Json]) -> None:
    issuer = Issuer(metadata)
    issuer.path = path
    async with issuing(issuer):
        connection = Connection(settings(), key_per_request=True, app_factory=shared_sandbox, now=now)
        serving = ServerSettings(oauth_issuer=issuer.name, oauth_audience=AUDIENCE)
        async with served(http_app(connection, serving)) as url:
            await repeat_until(url, issuer.token(), 200)


@pytest.mark.parametrize(
    ("metadata", "jwks_url", "message"),
    [
        ({}, "", f"{HERE} answers with status 404"),
        (
            {OPENID: {"issuer": "https://other.example"}},
            "",
            f'{OPENID} names another issuer, "https://other.example"',
        ),
        ({OPENID: {"issuer": None}}, "", f'{OPENID} names another issuer, "None"'),
        ({OPENID: {"jwks_uri": "file:///keys"}}, "", f"{OPENID} names no jwks_uri"),
        ({OPENID: {"jwks_uri": "http://127.0.0.1:99999/"}}, "", f"{OPENID} names no jwks_uri"),
        ({}, "http://127.0.0.1:9/keys", "http://127.0.0.1:9/keys cannot be reached"),
    ],
)
async def test_an_issuer_without_readable_keys_prevents_the_start(
    metadata: dict[str, Json], jwks_url: str, message: str
) -> None:
    async with issuing(Issuer(metadata)) as issuer:
        serving = ServerSettings(oauth_issuer=issuer.name, oauth_audience=AUDIENCE, oauth_jwks_url=jwks_url)
        with pytest.raises(SettingsError) as refused:
            await to_thread.run_sync(SignIn.by(serving).check)
    name, value = ("JWKS_URL", jwks_url) if jwks_url else ("ISSUER", issuer.name)
    assert str(refused.value).startswith(f'CEKURA_OAUTH_{name} is "{value}": ')
    assert message in str(refused.value)


async def test_a_failed_start_reports_the_issuer_in_one_line() -> None:
    async with issuing(Issuer({OPENID: {"issuer": "https://other.example"}})) as issuer:
        variables = {"CEKURA_OAUTH_ISSUER": issuer.name, "CEKURA_OAUTH_AUDIENCE": AUDIENCE}
        serve = partial(run_cli, "serve", "--http", "127.0.0.1:0", environment=variables)
        result = await to_thread.run_sync(serve)
    assert result.exit_code == 2
    [line] = result.stderr.splitlines()
    assert line.startswith(f'cekura-dashboards: CEKURA_OAUTH_ISSUER is "{issuer.name}": {issuer.address}{OPENID} names')


@pytest.mark.parametrize("claim", [None, "", " ", "two words", 17, True, ["a", "b"], {"key": KEY}])
async def test_a_user_without_a_valid_cekura_key_gets_403_without_a_challenge(claim: Any) -> None:
    async with signing_in() as (url, issuer):
        refused = await post(url, issuer.token(cekura_api_key=claim))
        assert refused.status_code == 403
        assert "www-authenticate" not in refused.headers
        text = "There is no Cekura key for this user" if claim is None else "The Cekura key of this user is invalid"
        assert refused.json()["error"].startswith(text)


async def test_rejected_keys_of_signed_in_users_refer_to_the_administrator(era: Era) -> None:
    async with (
        signing_in() as (url, issuer),
        httpx2.AsyncClient(
            **PLAIN_HTTP, headers={"Authorization": f"Bearer {issuer.token(cekura_api_key='old')}"}
        ) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=era) as client,
    ):
        text = text_of(await client.call_tool("list_dashboards", {}))
    assert text.startswith("The API rejected the key (401). Ask the administrator of this server for another one")
    assert "CEKURA" not in text


async def test_a_keys_file_overrides_the_key_claim(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"someone": KEY}), encoding="utf-8")
    async with signing_in(oauth_keys_file=str(file)) as (url, issuer):
        for claim in (None, "another-key"):
            assert "Operations overview" in (await post(url, issuer.token(cekura_api_key=claim))).text
        assert (await post(url, issuer.token(sub="another"))).status_code == 403


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"ISSUER": "https://id.example"}, 'CEKURA_OAUTH_ISSUER is "https://id.example": needs CEKURA_OAUTH_AUDIENCE'),
        (
            {"ISSUER": "https://id.example", "AUDIENCE": AUDIENCE, "TOKEN": "t" * 30},
            "CEKURA_SERVER_TOKEN both use the Authorization header",
        ),
        ({"ISSUER": "id.example"}, 'CEKURA_OAUTH_ISSUER is "id.example": must be an address'),
        ({"JWKS_URL": "file:///keys"}, 'CEKURA_OAUTH_JWKS_URL is "file:///keys": must be an address'),
        ({"ISSUER": "https://id.example", "AUDIENCE": "api://cekura"}, "needs CEKURA_OAUTH_AUDIENCE, the address"),
    ],
)  # fmt: skip
async def test_contradictory_oauth_settings_are_reported_by_name(
    variables: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv("CEKURA_SERVER_TOKEN" if name == "TOKEN" else f"CEKURA_OAUTH_{name}", value)
    with pytest.raises(SettingsError) as refused:
        load_server_settings()
    assert message in str(refused.value)


@pytest.mark.parametrize("content", [None, "[", "[]", '{"someone": 1}', '{"someone": " "}'])
async def test_an_invalid_keys_file_prevents_the_start(content: str | None, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(SettingsError, match="CEKURA_OAUTH_KEYS_FILE"):
        async with signing_in(oauth_keys_file=str(file)):
            raise AssertionError
