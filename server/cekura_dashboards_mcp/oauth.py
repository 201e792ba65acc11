"""The server as a protected resource of OAuth (RFC 9728): an authorisation server that is there already signs users in.

A request brings a JWT of that server, meant for this one. The user's Cekura key comes from a claim of it, or from a
file that maps subjects to keys; from here on the request is like one that brought the key itself.
"""

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request as UrlRequest
from urllib.request import urlopen

import anyio
import anyio.to_thread
import jwt
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from cekura_dashboards.api.models import as_object
from cekura_dashboards.settings import SettingsError, usable_key
from cekura_dashboards_mcp.connection import KEY_HEADER
from cekura_dashboards_mcp.guards import OPEN
from cekura_dashboards_mcp.server_settings import ServerSettings

log = logging.getLogger(__name__)
METADATA = "/.well-known/oauth-protected-resource"
SIGNED_WITH = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]
"""Public keys only: a secret that is shared could be the server's own to forge with."""
LEEWAY_S = 30
ASK_AGAIN_S = 30.0
"""Between two looks at the issuer's keys, however many tokens name one that is not known."""
ASK_TIMEOUT_S = 5


class NotSignedIn(Exception):
    """A token that is none, or not meant for here, or of somebody without a Cekura key; the text is for the caller."""


@dataclass
class SignedIn:
    """Who a token stands for, by the keys of its issuer, which are read when they are needed."""

    serving: ServerSettings
    keys_by_subject: Mapping[str, str]
    _known: dict[str, jwt.PyJWK] = field(default_factory=dict[str, jwt.PyJWK])
    _asked_at: float = -ASK_AGAIN_S
    _lock: anyio.Lock = field(default_factory=anyio.Lock)

    @classmethod
    def by(cls, serving: ServerSettings) -> "SignedIn":
        """As the settings say.

        Raises:
            SettingsError: if the file of keys cannot be read.
        """
        if not serving.oauth_keys_file:
            return cls(serving, {})
        try:
            held = as_object(json.loads(Path(serving.oauth_keys_file).read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise SettingsError(f"CEKURA_OAUTH_KEYS_FILE cannot be read: {error}") from None
        if held is None or not all(isinstance(key, str) for key in held.values()):
            raise SettingsError("CEKURA_OAUTH_KEYS_FILE must hold a JSON object of subjects and their Cekura keys")
        return cls(serving, held)

    async def key_of(self, token: str) -> str:
        """The Cekura key of whom a token stands for.

        Raises:
            NotSignedIn: if it stands for nobody who has one.
        """
        if not token:
            raise NotSignedIn("Sign in: send a token as Authorization: Bearer.")
        try:
            key = await self._signing_key(str(jwt.get_unverified_header(token).get("kid", "")))
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=SIGNED_WITH,
                audience=self.serving.oauth_audience,
                issuer=self.serving.oauth_issuer,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise NotSignedIn(f"The token is not accepted: {type(error).__name__}.") from None
        held = claims.get(self.serving.oauth_key_claim) or self.keys_by_subject.get(str(claims["sub"]))
        if not held:
            raise NotSignedIn("There is no Cekura key for this user on this server.")
        try:
            return usable_key(str(held)).get_secret_value()
        except ValueError:
            raise NotSignedIn("The Cekura key of this user is not one that can be used.") from None

    async def _signing_key(self, number: str) -> jwt.PyJWK:
        """The issuer's public key of that id.

        Raises:
            PyJWTError: if there is none.
        """
        async with self._lock:
            if number not in self._known and time.monotonic() - self._asked_at >= ASK_AGAIN_S:
                self._asked_at = time.monotonic()
                try:
                    self._known = await anyio.to_thread.run_sync(self._published)
                except (OSError, ValueError, jwt.PyJWTError) as error:
                    log.warning("the keys of %s cannot be read: %s", self.serving.oauth_issuer, error)
        if number not in self._known:
            raise jwt.InvalidKeyError("unknown key id")
        return self._known[number]

    def _published(self) -> dict[str, jwt.PyJWK]:
        """The keys at the address that is set, or that the issuer's metadata name."""
        address = self.serving.oauth_jwks_url
        if not address:
            issuer = urlsplit(self.serving.oauth_issuer)
            about = _read(
                f"{issuer.scheme}://{issuer.netloc}/.well-known/oauth-authorization-server{issuer.path.rstrip('/')}"
            )
            address = str(about.get("jwks_uri"))
        found = jwt.PyJWKSet.from_dict(_read(address))
        return {str(key.key_id or ""): key for key in list(found.keys)}


def _read(address: str) -> dict[str, Any]:
    """A JSON object; of http:// and https:// alone."""
    if urlsplit(address).scheme not in {"http", "https"}:
        raise ValueError(f"{address} is no web address")
    with urlopen(UrlRequest(address), timeout=ASK_TIMEOUT_S) as answer:  # noqa: S310 - checked above
        found = as_object(json.loads(answer.read()))
    if found is None:
        raise ValueError(f"{address} holds no JSON object")
    return found


class SignInRequired:
    """Answers 401 to requests without a good token, with the address of what a client needs to get one."""

    def __init__(self, app: ASGIApp, signed_in: SignedIn) -> None:
        self._app, self._signed_in = app, signed_in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN or scope["path"].startswith(METADATA):
            await self._app(scope, receive, send)
            return
        kind, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
        try:
            key = await self._signed_in.key_of(token.strip() if kind.lower() == "bearer" else "")
        except NotSignedIn as error:
            resource = urlsplit(self._signed_in.serving.oauth_audience)
            about = f"{resource.scheme}://{resource.netloc}{METADATA}{resource.path.rstrip('/')}"
            challenge = f'Bearer error="invalid_token", resource_metadata="{about}"'
            await JSONResponse({"error": str(error)}, 401, {"WWW-Authenticate": challenge})(scope, receive, send)
            return
        scope = {**scope, "headers": [*scope["headers"]]}
        headers = MutableHeaders(scope=scope)
        del headers["authorization"]
        headers[KEY_HEADER] = key
        await self._app(scope, receive, send)


def metadata_routes(serving: ServerSettings) -> list[Route]:
    """What RFC 9728 wants to be found: which server signs people in, and how a token is sent."""
    about = {
        "resource": serving.oauth_audience,
        "authorization_servers": [serving.oauth_issuer],
        "bearer_methods_supported": ["header"],
        "resource_name": "Cekura dashboards",
    }

    async def shown(_request: Request) -> Response:
        return JSONResponse(about)

    path = urlsplit(serving.oauth_audience).path.rstrip("/")
    return [Route(address, shown) for address in dict.fromkeys([METADATA, METADATA + path])]
