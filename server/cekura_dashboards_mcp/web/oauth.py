"""The server as a protected resource of OAuth (RFC 9728): an authorisation server that is there already signs users in.

A request brings a JWT of that server, meant for this one. The user's Cekura key comes from a claim of it, or from a
file that maps subjects to keys; from here on the request is like one that brought the key itself.
"""

import json
import logging
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import jwt
from mcp.server.auth.provider import AccessToken, TokenVerifier
from mcp.server.auth.routes import build_resource_metadata_url, create_protected_resource_routes
from pydantic import AnyHttpUrl, ConfigDict, TypeAdapter
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from cekura_dashboards.api.models import as_object
from cekura_dashboards.settings import SettingsError, usable_key
from cekura_dashboards.text import quoted
from cekura_dashboards_mcp.connection import KEY_HEADER
from cekura_dashboards_mcp.web.issuer import SIGNED_WITH, IssuerKeys, KeyTimes
from cekura_dashboards_mcp.web.limits import OPEN
from cekura_dashboards_mcp.web.settings import ServerSettings

log = logging.getLogger(__name__)
METADATA = "/.well-known/oauth-protected-resource"
LEEWAY_S = 30
URL: TypeAdapter[AnyHttpUrl] = TypeAdapter(AnyHttpUrl, config=ConfigDict(url_preserve_empty_path=True))


class NoKeys(Exception):
    """The issuer's keys cannot be read, so that no token can be checked."""


class NoCekuraKey(Exception):
    """The user is signed in, and has no Cekura key here that can be used; the text is for them."""


@dataclass
class SignIn(TokenVerifier):
    """Who a token stands for, by the keys of its issuer, which are read beside the requests."""

    serving: ServerSettings
    keys_by_subject: Mapping[str, str]
    times: KeyTimes
    keys: IssuerKeys
    _read_at: float = float("-inf")
    _lock: anyio.Lock = field(default_factory=anyio.Lock)

    @classmethod
    def by(cls, serving: ServerSettings, times: KeyTimes | None = None) -> "SignIn":
        """As the settings say.

        Raises:
            SettingsError: if the file of keys cannot be read, or holds one that cannot be used.
        """
        times = times or KeyTimes()
        return cls(serving, _keys_by_subject(serving.oauth_keys_file), times, IssuerKeys(serving, times))

    def check(self) -> None:
        """Read the keys for the first time. Blocks.

        Raises:
            SettingsError: if that cannot be done.
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
        """Read the keys again and again for as long as this is entered."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._refresh)
            yield
            group.cancel_scope.cancel()

    async def _refresh(self) -> None:
        while True:
            await anyio.sleep(max(0, self._read_at + self.times.refresh_s - time.monotonic()))
            await self._newer_than(self.keys.current)

    async def verify_token(self, token: str) -> AccessToken | None:
        """What a token says; None if it is not accepted. Waits for the issuer only if no known key signed it.

        Raises:
            NoKeys: if there are none to check it with.
        """
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in SIGNED_WITH:
                raise jwt.InvalidAlgorithmError
            claims = await self._claims(token, header)
        except jwt.PyJWTError as error:
            log.info("a token is not accepted: %s", type(error).__name__)
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
        """Of a token signed with a known key, or with one that the issuer publishes by now.

        Raises:
            NoKeys: as above.
            PyJWTError: if it is signed with none, or not meant for here.
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
        """The keys, read again unless they are others by now or were read a moment ago."""
        async with self._lock:
            if self.keys.current is known and time.monotonic() - self._read_at >= self.times.again_s:
                self._read_at = time.monotonic()
                try:
                    with anyio.fail_after(self.times.timeout_s + 1):  # a name server's answer is not waited for
                        await anyio.to_thread.run_sync(self.keys.get_jwk_set, True, abandon_on_cancel=True)
                except (jwt.PyJWTError, TimeoutError) as error:
                    log.warning("the keys of %s cannot be read: %s", self.keys.issuer, error)
            return self.keys.current

    def metadata_routes(self) -> list[Route]:
        """What RFC 9728 wants to be found: which server signs people in, and how a token is sent."""
        [route] = create_protected_resource_routes(
            URL.validate_python(self.serving.oauth_audience),
            [URL.validate_python(self.serving.oauth_issuer)],
            resource_name="Cekura dashboards",
        )
        if route.path == METADATA:
            return [route]
        return [route, Route(METADATA, route.endpoint, methods=["GET", "OPTIONS"])]

    def guard(self, app: ASGIApp) -> ASGIApp:
        """An application, open to those who are signed in."""
        return SignInGuard(app, self)

    def cekura_key(self, user: AccessToken) -> str:
        """The user's key: of the file where one is set, else of the claim.

        Raises:
            NoCekuraKey: if there is none.
        """
        if self.serving.oauth_keys_file:
            key: object = self.keys_by_subject.get(user.subject or "")
        else:
            key = (user.claims or {}).get(self.serving.oauth_key_claim)
        if key is None:
            raise NoCekuraKey("There is no Cekura key for this user on this server. Ask whoever runs it for one.")
        if not isinstance(key, str) or not (usable := _usable(key)):
            raise NoCekuraKey("The Cekura key of this user cannot be used. Ask whoever runs this server to correct it.")
        return usable


def _keys_by_subject(file: str) -> dict[str, str]:
    if not file:
        return {}
    try:
        content = as_object(json.loads(Path(file).read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"CEKURA_OAUTH_KEYS_FILE cannot be read: {error}") from None
    if content is None:
        raise SettingsError("CEKURA_OAUTH_KEYS_FILE must hold a JSON object of subjects and their Cekura keys")
    keys = {subject: _usable(key) if isinstance(key, str) else "" for subject, key in content.items()}
    if unusable := [subject for subject, key in keys.items() if not key]:
        raise SettingsError(f'CEKURA_OAUTH_KEYS_FILE holds no usable key for "{quoted(unusable[0], limit=60)}"')
    return keys


def _usable(key: str) -> str:
    """A key as it can be sent; empty where none can."""
    try:
        return usable_key(key).get_secret_value()
    except ValueError:
        return ""


class SignInGuard:
    """Answers requests without a good token with 401 and the address of what a client needs to get one.

    403 if the user has no Cekura key: another token would not help, and on a 401 clients go for one.
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
                f"Tokens cannot be checked: the keys of {serving.oauth_issuer} cannot be read. Try again in a minute."
            )
            return JSONResponse({"error": text}, 503, {"Retry-After": f"{self._sign_in.times.again_s:.0f}"})
        if user is None:
            meant = f"a JWT of {serving.oauth_issuer}, meant for {serving.oauth_audience} and not expired"
            text = f"The token is not accepted: it must be {meant}."
            challenge = f'Bearer error="invalid_token", {self._metadata}'
            return JSONResponse({"error": text}, 401, {"WWW-Authenticate": challenge})
        try:
            return self._sign_in.cekura_key(user)
        except NoCekuraKey as error:
            return JSONResponse({"error": str(error)}, 403)
