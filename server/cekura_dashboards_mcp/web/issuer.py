"""The public keys of an authorisation server, at the address that is set, or at the one that its metadata name."""

from typing import Any, NamedTuple
from urllib.parse import urlsplit

import anyio
import jwt
import msgspec
from pydantic import SecretStr

from cekura_dashboards.api.errors import DashboardsError, DeadlinePassed, NotSent, UnreadableAnswer, WrongNetworkSetting
from cekura_dashboards.api.models import as_list, as_object
from cekura_dashboards.text import quoted
from cekura_dashboards_mcp.web.settings import ServerSettings, is_web_address

MOST_BYTES = 512 * 1024
"""Of a list of keys, and of an issuer's metadata: some 200 keys with their certificates."""
SIGNED_WITH = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]
"""Public keys only: a secret that is shared could be the server's own to forge with."""
KINDS = {"RSA", "EC", "OKP"}
PUBLIC = ("kty", "kid", "use", "alg", "crv", "n", "e", "x", "y")
"""What is read of a key (RFC 7517, 7518 and 8037), all of it text."""


class KeyTimes(NamedTuple):
    """When the issuer's keys are read, in seconds.

    ``refresh_s``: between two reads. ``lifetime_s``: after it a key that could not be read again counts no more.
    ``again_s``: between two reads that tokens cause, however many are signed with keys that are not known.
    ``timeout_s``: for a read, metadata included.
    """

    refresh_s: float = 60
    lifetime_s: float = 300
    again_s: float = 30
    timeout_s: float = 5


class IssuerKeys(jwt.PyJWKClient):
    """The public keys of an issuer, at the address that is set, or that the issuer's metadata name.

    ``get_signing_key`` has a lock, so that whoever asks for a key that is there waits for whoever asks for one that is
    not; ``current`` has none.
    """

    def __init__(self, serving: ServerSettings, times: KeyTimes) -> None:
        self.issuer, self._address = serving.oauth_issuer, serving.oauth_jwks_url
        super().__init__(self._address or self.issuer, lifespan=times.lifetime_s, timeout=times.timeout_s)

    @property
    def current(self) -> jwt.PyJWKSet | None:
        """The keys that were read last; None before the first read and once they are too old. Never waits."""
        return self.jwk_set_cache.get() if self.jwk_set_cache is not None else None

    def fetch_data(self) -> jwt.PyJWKSet:
        """Read what is published now. Blocks for as long as one read may take, so call it from a thread.

        Raises:
            PyJWKClientError: with a text that says where, and what is wrong with it.
        """
        try:
            keys = anyio.run(self._published)
        except TimeoutError:
            raise jwt.PyJWKClientConnectionError(f"no whole answer within {self.timeout:g} s") from None
        except (WrongNetworkSetting, OSError, ValueError) as error:
            raise jwt.PyJWKClientConnectionError(f"it cannot be asked: {error}") from None
        try:
            return jwt.PyJWKSet(keys)
        except jwt.PyJWKSetError:
            if self.jwk_set_cache is not None:
                self.jwk_set_cache.put(None)  # all keys are withdrawn
            raise jwt.PyJWKClientError("it publishes no key that can be used") from None

    async def _published(self) -> list[dict[str, Any]]:
        with anyio.fail_after(self.timeout):
            address = self._address or await self._address_in_metadata()
            keys = as_list((await _read(address, self.timeout)).get("keys"))
        if keys is None:
            raise jwt.PyJWKClientError(f"{address} holds no list of keys")
        keys_by_algorithm = [each for key in keys for each in _for_each_algorithm(_public(key))]
        return [key for key in keys_by_algorithm if key.get("kty") in KINDS and key.get("alg", "ES256") in SIGNED_WITH]

    async def _address_in_metadata(self) -> str:
        """By RFC 8414 or OpenID Connect Discovery, each of which wants the issuer compared."""
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
                wrong.append(f'{address} is about another issuer, "{quoted(str(issuer), limit=100)}"')
            elif not isinstance(keys, str) or not is_web_address(keys):
                wrong.append(f"{address} names no jwks_uri")
            else:
                return keys
        raise jwt.PyJWKClientError((wrong or missing)[0])


def _public(key: Any) -> dict[str, str]:
    """The members that make a public key; one that holds others than text, or secrets, is none any more."""
    members = as_object(key) or {}
    return {name: value for name in PUBLIC if isinstance(value := members.get(name), str)}


def _for_each_algorithm(key: dict[str, str]) -> list[dict[str, str]]:
    """An RSA key that names no algorithm, for all of them: PyJWT takes it for one of RS256. Curves have one each."""
    if key.get("kty") != "RSA" or "alg" in key:
        return [key]
    return [{**key, "alg": name} for name in SIGNED_WITH if name.startswith(("RS", "PS"))]


async def _read(address: str, timeout_s: float) -> dict[str, Any]:
    """A JSON object.

    Raises:
        PyJWKClientConnectionError: if there is no answer.
        PyJWKClientError: if it is something else, or too large.
    """
    from cekura_dashboards.api.transport import HttpTransport  # noqa: PLC0415 - start-up does not wait for it

    parts = urlsplit(address)
    transport = HttpTransport(f"{parts.scheme}://{parts.netloc}", max_body_bytes=MOST_BYTES)
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
        raise jwt.PyJWKClientError(f"{address} holds no JSON object")
    return data
