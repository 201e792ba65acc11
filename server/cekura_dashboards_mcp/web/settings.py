"""Settings of a shared server, from the environment: who may reach it, and how many calls at once."""

import re
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from cekura_dashboards.settings import NETLOC, loaded, usable_key

MIN_TOKEN = 24
ORIGIN = re.compile(r"https?://", re.ASCII)


def is_web_address(text: str) -> bool:
    """Whether it is a complete ``http://`` or ``https://`` address.

    >>> [is_web_address(text) for text in ("https://id.example/x", "id.example", "file:///keys", "https://id:99999")]
    [True, False, False, False]
    """
    try:
        parts = urlsplit(text)
        _port = parts.port
    except ValueError:
        return False
    return ORIGIN.match(text) is not None and NETLOC.fullmatch(parts.netloc) is not None


class ServerSettings(BaseModel):
    """Each field is the environment variable ``CEKURA_`` + its name; an empty one counts as absent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    server_token: SecretStr | None = None
    allowed_hosts: str = ""
    allowed_origins: str = ""
    oauth_issuer: str = ""
    oauth_audience: str = ""
    oauth_jwks_url: str = ""
    oauth_key_claim: str = "cekura_api_key"
    oauth_keys_file: str = ""
    max_in_flight: int = Field(default=400, ge=1, le=10_000)
    max_in_flight_per_key: int = Field(default=64, ge=1, le=10_000)

    @field_validator("server_token")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        parts = value.get_secret_value().split(",") if value else []
        tokens = [usable_key(part).get_secret_value() for part in parts if part.strip()]
        if any(len(token) < MIN_TOKEN for token in tokens) or len({*tokens}) < len(parts):
            raise ValueError(f"must be different tokens of at least {MIN_TOKEN} characters, separated by commas")
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _hosts(cls, value: str) -> str:
        for host in _parts(value):
            if not NETLOC.fullmatch(host):
                raise ValueError(f'must be names as in the Host header, separated by commas; "{host[:60]}" is not one')
        return value

    @field_validator("allowed_origins")
    @classmethod
    def _origins(cls, value: str) -> str:
        for origin in _parts(value):
            if not ORIGIN.match(origin) or not NETLOC.fullmatch(urlsplit(origin).netloc) or origin.count("/") > 2:  # noqa: PLR2004 - those of https://
                raise ValueError(
                    f'must be origins such as https://chat.example, without a path; "{origin[:60]}" is none'
                )
        return value

    @field_validator("oauth_issuer", "oauth_jwks_url")
    @classmethod
    def _address(cls, value: str) -> str:
        if value and not is_web_address(value):
            raise ValueError("must be an address such as https://id.example")
        return value

    @model_validator(mode="after")
    def _signs_in_one_way(self) -> Self:
        if self.oauth_issuer and not is_web_address(self.oauth_audience):
            raise ValueError("needs CEKURA_OAUTH_AUDIENCE, the address of this server, such as https://mcp.example/mcp")
        if self.oauth_issuer and self.server_token:
            raise ValueError("and CEKURA_SERVER_TOKEN both use the Authorization header; set only one of them")
        return self

    @property
    def tokens(self) -> list[str]:
        """Each of them is accepted, so that the old and the new one both work during a change."""
        return _parts(self.server_token.get_secret_value(), lower=False) if self.server_token else []

    @property
    def hosts(self) -> frozenset[str]:
        return frozenset(_parts(self.allowed_hosts))

    @property
    def origins(self) -> frozenset[str]:
        return frozenset(_parts(self.allowed_origins))

    def refusal(self, *, own_key: bool) -> str | None:
        """Why the server may not be reachable from other machines; None if it may.

        ``own_key``: the server uses its own key, or a sandbox.
        """
        if not self.hosts:
            return "set CEKURA_ALLOWED_HOSTS to the host names that clients use"
        if own_key and not self.tokens:
            return "it uses its own key, so set CEKURA_SERVER_TOKEN, which clients must send"
        return None


def _parts(text: str, *, lower: bool = True) -> list[str]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return [part.lower() for part in parts] if lower else parts


def load_server_settings() -> ServerSettings:
    """From the environment.

    Raises:
        SettingsError: naming the first wrong variable, its value and what it may be.
    """
    return loaded(ServerSettings)
