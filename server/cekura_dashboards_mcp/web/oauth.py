"""The server as an OAuth protected resource (RFC 9728): an existing authorisation server signs users in.

A request has a JWT of that server for this one. The user's Cekura key comes from a claim of it, or from a
file that maps subjects to keys; after that the request is like one with the key itself.
"""

import json
import logging
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import jwt
import msgspec
from mcp.server.auth.provider import AccessToken, TokenVerifier
from mcp.server.auth.routes import build_resource_metadata_url, create_protected_resource_routes
from pydantic import AnyHttpUrl, ConfigDict, SecretStr, TypeAdapter
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from cekura_dashboards.api.errors import DashboardsError, DeadlinePassed, NotSent, UnreadableAnswer, WrongNetworkSetting
from cekura_dashboards.api.models import as_list, as_object
from cekura_dashboards.settings import SettingsError, usable_key
from cekura_dashboards.text import quoted
from cekura_dashboards_mcp.connection import KEY_HEADER
from cekura_dashboards_mcp.web.middleware import OPEN
from cekura_dashboards_mcp.web.settings import ServerSettings, is_web_address

MAX_BYTES = 512 * 1024
"""Maximum size of a list of keys, and of an issuer's metadata: about 200 keys with their certificates."""
SIGNED_WITH = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]
"""Public keys only: whoever can verify with a shared secret can also forge."""
KINDS = {"RSA", "EC", "OKP"}
PUBLIC = ("kty", "kid", "use", "alg", "crv", "n", "e", "x", "y")
"""The members of a key that are read (RFC 7517, 7518 and 8037), all text."""


class KeyTimes(NamedTuple):
    """The timing of reads of the issuer's keys, in seconds.

    ``refresh_s``: between two reads. ``lifetime_s``: after it, keys that could not be read again expire.
    ``again_s``: between two reads caused by tokens, however many are signed with unknown keys.
    ``timeout_s``: for a read, metadata included.
    """

    refresh_s: float = 60
    lifetime_s: float = 300
    again_s: float = 30
    timeout_s: float = 5


class IssuerKeys(jwt.PyJWKClient):
    """The public keys of an issuer, from the address in the settings or in the issuer's metadata.

    ``get_signing_key`` takes a lock, so that a lookup of a known key waits for one of an unknown key; ``current`` takes
    none.
    """

    def __init__(self, serving: ServerSettings, times: KeyTimes) -> None:
        self.issuer, self._address = serving.oauth_issuer, serving.oauth_jwks_url
        super().__init__(self._address or self.issuer, lifespan=times.lifetime_s, timeout=times.timeout_s)

    @property
    def current(self) -> jwt.PyJWKSet | None:
        """The keys of the last read; None before the first one and after they expire. Never waits."""
        return self.jwk_set_cache.get() if self.jwk_set_cache is not None else None

    def fetch_data(self) -> jwt.PyJWKSet:
        """Read the published keys. Blocks for up to one timeout, so call it from a thread.

        Raises:
            PyJWKClientError: with the address and the fault.
        """
        try:
            keys = anyio.run(self._published)
        except TimeoutError:
            raise jwt.PyJWKClientConnectionError(f"no whole answer within {self.timeout:g} s") from None
        except (WrongNetworkSetting, OSError, ValueError) as error:
            raise jwt.PyJWKClientConnectionError(f"it cannot be reached: {error}") from None
        try:
            return jwt.PyJWKSet(keys)
        except jwt.PyJWKSetError:
            if self.jwk_set_cache is not None:
                self.jwk_set_cache.put(None)  # all keys are revoked
            raise jwt.PyJWKClientError("it publishes no usable key") from None

    async def _published(self) -> list[dict[str, Any]]:
        with anyio.fail_after(self.timeout):
            address = self._address or await self._address_in_metadata()
            keys = as_list((await _read(address, self.timeout)).get("keys"))
        if keys is None:
            raise jwt.PyJWKClientError(f"{address} contains no list of keys")
        keys_by_algorithm = [each for key in keys for each in _for_each_algorithm(_public(key))]
        return [key for key in keys_by_algorithm if key.get("kty") in KINDS and key.get("alg", "ES256") in SIGNED_WITH]

    async def _address_in_metadata(self) -> str:
        """By RFC 8414 or OpenID Connect Discovery, both of which require a comparison of the issuer."""
        parts = urlsplit(self.issuer)
        origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
        missing, wrong = list[str](), list[str]()
        for address in dict.fromkeys([
            f"{origin}/.well-known/oauth-authorization-server{path}",
            f"{origin}/.well-known/openid-configuration{path}",
            f"{origin}{path}/.well-known/openid-configuration",
        ]):  # fmt: skip
            try:
                metadata = await _read(address, self.timeout)
            except jwt.PyJWKClientConnectionError:
                raise
            except jwt.PyJWKClientError as error:
                missing.append(str(error))
                continue
            issuer, keys = metadata.get("issuer"), metadata.get("jwks_uri")
            if issuer != self.issuer:
                wrong.append(f'{address} names another issuer, "{quoted(str(issuer), limit=100)}"')
            elif not isinstance(keys, str) or not is_web_address(keys):
                wrong.append(f"{address} names no jwks_uri")
            else:
                return keys
        raise jwt.PyJWKClientError((wrong or missing)[0])


def _public(key: Any) -> dict[str, str]:
    """The members of a public key; without those that are secret or not text, so that such a key is unusable."""
    members = as_object(key) or {}
    return {name: value for name in PUBLIC if isinstance(value := members.get(name), str)}


def _for_each_algorithm(key: dict[str, str]) -> list[dict[str, str]]:
    """An RSA key without an algorithm, once for each: PyJWT would assume RS256. Each curve has one algorithm."""
    if key.get("kty") != "RSA" or "alg" in key:
        return [key]
    return [{**key, "alg": name} for name in SIGNED_WITH if name.startswith(("RS", "PS"))]


async def _read(address: str, timeout_s: float) -> dict[str, Any]:
    """The JSON object at an address.

    Raises:
        PyJWKClientConnectionError: without a response.
        PyJWKClientError: for anything else, or a too large response.
    """
    from cekura_dashboards.api.transport import HttpTransport

    parts = urlsplit(address)
    transport = HttpTransport(f"{parts.scheme}://{parts.netloc}", max_body_bytes=MAX_BYTES)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        answer = await transport.send("GET", path, key=SecretStr(""), timeout_s=timeout_s, query={}, body=None)
    except UnreadableAnswer:
        raise jwt.PyJWKClientError(f"{address} is too large or cannot be unpacked") from None
    except DeadlinePassed:
        raise TimeoutError from None
    except DashboardsError as error:
        why = "cannot be reached" if isinstance(error, NotSent) else "breaks the connection"
        raise jwt.PyJWKClientConnectionError(f"{address} {why}") from None
    finally:
        await transport.aclose()
    if answer.status != 200:  # noqa: PLR2004 - redirects are not followed
        raise jwt.PyJWKClientError(f"{address} answers with status {answer.status}")
    try:
        data = as_object(msgspec.json.decode(answer.body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        data = None
    if data is None:
        raise jwt.PyJWKClientError(f"{address} is not a JSON object")
    return data


log = logging.getLogger(__name__)
METADATA = "/.well-known/oauth-protected-resource"
LEEWAY_S = 30
URL: TypeAdapter[AnyHttpUrl] = TypeAdapter(AnyHttpUrl, config=ConfigDict(url_preserve_empty_path=True))


class NoKeys(Exception):
    """The issuer's keys cannot be read, so no token can be verified."""


class NoCekuraKey(Exception):
    """The user is signed in, but has no usable Cekura key here; the text is for them."""


@dataclass
class SignIn(TokenVerifier):
    """Verifies tokens with the keys of the issuer, which are read in the background."""

    serving: ServerSettings
    keys_by_subject: Mapping[str, str]
    times: KeyTimes
    keys: IssuerKeys
    _read_at: float = float("-inf")
    _lock: anyio.Lock = field(default_factory=anyio.Lock)

    @classmethod
    def by(cls, serving: ServerSettings, times: KeyTimes | None = None) -> "SignIn":
        """From the settings.

        Raises:
            SettingsError: if the file of keys cannot be read, or contains an unusable key.
        """
        times = times or KeyTimes()
        return cls(serving, _keys_by_subject(serving.oauth_keys_file), times, IssuerKeys(serving, times))

    def check(self) -> None:
        """Read the keys for the first time; blocks.

        Raises:
            SettingsError: if that fails.
        """
        self._read_at = time.monotonic()
        try:
            self.keys.get_jwk_set(refresh=True)
        except jwt.PyJWTError as error:
            name, value = "JWKS_URL", self.serving.oauth_jwks_url
            if not value:
                name, value = "ISSUER", self.serving.oauth_issuer
            raise SettingsError(f'CEKURA_OAUTH_{name} is "{quoted(value, limit=100)}": {error}') from None

    @asynccontextmanager
    async def keep_fresh(self) -> AsyncGenerator[None]:
        """Refresh the keys until the context exits."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._refresh)
            yield
            group.cancel_scope.cancel()

    async def _refresh(self) -> None:
        while True:
            await anyio.sleep(max(0, self._read_at + self.times.refresh_s - time.monotonic()))
            await self._newer_than(self.keys.current)

    async def verify_token(self, token: str) -> AccessToken | None:
        """The claims of a token; None if it is rejected. Waits for the issuer only if the signing key is unknown.

        Raises:
            NoKeys: if no keys are available.
        """
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in SIGNED_WITH:
                raise jwt.InvalidAlgorithmError
            claims = await self._claims(token, header)
        except jwt.PyJWTError as error:
            log.info("token rejected: %s", type(error).__name__)
            return None
        subject: str = claims["sub"]
        return AccessToken(
            token=token,
            client_id=str(claims.get("client_id", subject)),
            scopes=str(claims.get("scope", "")).split(),
            expires_at=int(claims["exp"]),
            resource=self.serving.oauth_audience,
            subject=subject,
            claims=claims,
        )

    async def _claims(self, token: str, header: Mapping[str, Any]) -> dict[str, Any]:
        """The claims of a token signed with a known key, or with one that the issuer has published since.

        Raises:
            NoKeys: if no keys are available.
            PyJWTError: if it is signed with another key, or is not for this server.
        """
        known = self.keys.current
        if known is not None:
            try:
                return self._claims_by(known, token, header)
            except (jwt.InvalidSignatureError, jwt.InvalidKeyError):
                newer = await self._newer_than(known)
                if newer is known:
                    raise
        else:
            newer = await self._newer_than(None)
        if newer is None:
            raise NoKeys
        return self._claims_by(newer, token, header)

    def _claims_by(self, keys: jwt.PyJWKSet, token: str, header: Mapping[str, Any]) -> dict[str, Any]:
        wanted = header.get("kid"), header["alg"]
        signing = [key for key in keys.keys if key.public_key_use in {None, "sig"}]
        key = next((key for key in signing if (key.key_id, key.algorithm_name) == wanted), None)
        if key is None:
            raise jwt.InvalidKeyError("unknown key")
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=SIGNED_WITH,
            audience=self.serving.oauth_audience,
            issuer=self.serving.oauth_issuer,
            leeway=LEEWAY_S,
            options={"require": ["exp", "iss", "aud", "sub"]},
        )
        return claims

    async def _newer_than(self, known: jwt.PyJWKSet | None) -> jwt.PyJWKSet | None:
        """The keys, read again unless they have changed or were read a moment ago."""
        async with self._lock:
            if self.keys.current is known and time.monotonic() - self._read_at >= self.times.again_s:
                self._read_at = time.monotonic()
                try:
                    with anyio.fail_after(self.times.timeout_s + 1):  # a pending DNS lookup is abandoned
                        await anyio.to_thread.run_sync(self.keys.get_jwk_set, True, abandon_on_cancel=True)
                except (jwt.PyJWTError, TimeoutError) as error:
                    log.warning("the keys of %s cannot be read: %s", self.keys.issuer, error)
            return self.keys.current

    def metadata_routes(self) -> list[Route]:
        """The metadata of RFC 9728: which server signs users in, and how to send a token."""
        [route] = create_protected_resource_routes(
            URL.validate_python(self.serving.oauth_audience),
            [URL.validate_python(self.serving.oauth_issuer)],
            resource_name="Cekura dashboards",
        )
        if route.path == METADATA:
            return [route]
        return [route, Route(METADATA, route.endpoint, methods=["GET", "OPTIONS"])]

    def guard(self, app: ASGIApp) -> ASGIApp:
        """The application, for signed-in users only."""
        return SignInGuard(app, self)

    def cekura_key(self, user: AccessToken) -> str:
        """The user's key: from the file if one is set, else from the claim.

        Raises:
            NoCekuraKey: if there is none.
        """
        if self.serving.oauth_keys_file:
            key: object = self.keys_by_subject.get(user.subject or "")
        else:
            key = (user.claims or {}).get(self.serving.oauth_key_claim)
        if key is None:
            raise NoCekuraKey("There is no Cekura key for this user on this server. Ask its administrator for one.")
        if not isinstance(key, str) or not (usable := _usable(key)):
            raise NoCekuraKey(
                "The Cekura key of this user is invalid. Ask the administrator of this server to correct it."
            )
        return usable


def _keys_by_subject(file: str) -> dict[str, str]:
    if not file:
        return {}
    try:
        content = as_object(json.loads(Path(file).read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"CEKURA_OAUTH_KEYS_FILE cannot be read: {error}") from None
    if content is None:
        raise SettingsError("CEKURA_OAUTH_KEYS_FILE must contain a JSON object of subjects and their Cekura keys")
    keys = {subject: _usable(key) if isinstance(key, str) else "" for subject, key in content.items()}
    if unusable := [subject for subject, key in keys.items() if not key]:
        raise SettingsError(f'CEKURA_OAUTH_KEYS_FILE contains no usable key for "{quoted(unusable[0], limit=60)}"')
    return keys


def _usable(key: str) -> str:
    """A key in the form to send; empty if unusable."""
    try:
        return usable_key(key).get_secret_value()
    except ValueError:
        return ""


class SignInGuard:
    """Answers requests without a valid token with 401 and the address of the metadata for getting one.

    403 if the user has no Cekura key: another token would not help, and on 401 clients request one.
    """

    def __init__(self, app: ASGIApp, sign_in: SignIn) -> None:
        self._app, self._sign_in = app, sign_in
        metadata = build_resource_metadata_url(URL.validate_python(sign_in.serving.oauth_audience))
        self._metadata = f'resource_metadata="{metadata}"'
        self._open = {*OPEN, *(route.path for route in sign_in.metadata_routes())}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self._open:
            await self._app(scope, receive, send)
            return
        kind, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
        answer = await self._refusal_or_key(token.strip() if kind.lower() == "bearer" else "")
        if isinstance(answer, JSONResponse):
            await answer(scope, receive, send)
            return
        scope = {**scope, "headers": [*scope["headers"]]}
        headers = MutableHeaders(scope=scope)
        del headers["authorization"]
        headers[KEY_HEADER] = answer
        await self._app(scope, receive, send)

    async def _refusal_or_key(self, token: str) -> JSONResponse | str:
        if not token:
            text = "Sign in: send a token as Authorization: Bearer."
            return JSONResponse({"error": text}, 401, {"WWW-Authenticate": f"Bearer {self._metadata}"})
        serving = self._sign_in.serving
        try:
            user = await self._sign_in.verify_token(token)
        except NoKeys:
            text = (
                f"Tokens cannot be verified: the keys of {serving.oauth_issuer} cannot be read. Try again in a minute."
            )
            return JSONResponse({"error": text}, 503, {"Retry-After": f"{self._sign_in.times.again_s:.0f}"})
        if user is None:
            meant = f"a JWT of {serving.oauth_issuer}, for the audience {serving.oauth_audience} and not expired"
            text = f"The token is not valid. Send {meant}."
            challenge = f'Bearer error="invalid_token", {self._metadata}'
            return JSONResponse({"error": text}, 401, {"WWW-Authenticate": challenge})
        try:
            return self._sign_in.cekura_key(user)
        except NoCekuraKey as error:
            return JSONResponse({"error": str(error)}, 403)
