"""Settings, from the environment."""

import os
import re
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, get_args
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from cekura_dashboards.api.network import is_loopback
from cekura_dashboards.text import shown_setting

if TYPE_CHECKING:
    from cekura_dashboards.stats.timeline import Clock

PREFIX = "CEKURA_"
MIN_KEY = 32
CROSS_CHECKED = {"Settings": "projects", "ServerSettings": "oauth_issuer"}
"""The variable to name in errors that concern several."""
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


REFERENCE = re.compile(r"\$\w+|(\$|%)?\{[\w:.]+\}", re.ASCII)
"""The text that chat clients pass for a variable that was not set when they started."""
NETLOC = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?", re.ASCII)


def usable_key(text: str) -> SecretStr:
    """The key without surrounding white space.

    Raises:
        ValueError: if it cannot be sent in a header; the message does not contain it.
    """
    key = text.strip()
    if not key:
        raise ValueError("is empty")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError("contains characters that no key has, such as spaces, line breaks or non-ASCII letters")
    return SecretStr(key)


class SettingsError(Exception):
    """A wrong setting; the message is one line that names it."""


class Settings(BaseModel):
    """Each field is the environment variable ``CEKURA_`` + its name; an empty one counts as absent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    api_key: SecretStr | None = None
    base_url: str = "https://api.cekura.ai"
    project_id: int | None = Field(default=None, ge=1)
    projects: str = ""
    tools: str = ""
    audit_log: str = ""
    timeout_s: float = Field(default=30.0, ge=1, le=600)
    time_zone: str | None = None
    weekend: str = "sat,sun"
    history: bool = True
    read_only: bool = False
    cache_s: float = Field(default=60.0, ge=0, le=60)
    confirm: Literal["deletes", "writes", "never"] = "deletes"
    state_keys: SecretStr | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "WARNING"

    @field_validator("base_url")
    @classmethod
    def _safe(cls, value: str) -> str:
        """The base URL if a key may be sent there; parsed, as ``http://localhost.example`` is not this machine."""
        value = value.strip()
        try:
            parts = urlsplit(value)
            host, _port = parts.hostname or "", parts.port
        except ValueError:
            raise ValueError("must be a URL with a host and an optional port from 0 to 65535") from None
        if "@" in parts.netloc or "?" in value or "#" in value:
            raise ValueError("must have no user, no ? and no #")
        if parts.scheme not in {"https", "http"} or not NETLOC.fullmatch(parts.netloc) or not value.isprintable():
            raise ValueError("must be https://HOST, with an optional port and path")
        if parts.scheme == "http" and not is_loopback(host):
            raise ValueError("must start with https:// (http:// only for this machine)")
        return value.rstrip("/")

    @field_validator("api_key")
    @classmethod
    def _key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and REFERENCE.fullmatch(value.get_secret_value().strip()):
            raise ValueError("is a reference that was not filled in; set that variable where the client is started")
        return None if value is None else usable_key(value.get_secret_value())

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        if value is None or REFERENCE.fullmatch(value.strip()):
            return None
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("must be an IANA time zone such as Europe/Berlin") from None
        return value

    @field_validator("weekend")
    @classmethod
    def _known_days(cls, value: str) -> str:
        days = [day.strip().lower()[:3] for day in value.split(",") if day.strip()]
        if not days or not {*days} < {*WEEKDAYS}:
            raise ValueError(f"must be weekdays, separated by commas, from {', '.join(WEEKDAYS)}")
        return ",".join(days)

    @field_validator("projects")
    @classmethod
    def _ids(cls, value: str) -> str:
        parts = [part.strip() for part in value.split(",") if part.strip()]
        if not all(re.fullmatch(r"\d{1,18}", part, re.ASCII) for part in parts):
            raise ValueError("must be ids of projects, separated by commas")
        return ",".join(parts)

    @model_validator(mode="after")
    def _project_is_served(self) -> Self:
        if self.allowed_projects and self.project_id is not None and self.project_id not in self.allowed_projects:
            raise ValueError(f"does not contain CEKURA_PROJECT_ID, {self.project_id}")
        return self

    @field_validator("state_keys")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        keys = _parts(value)
        if any(len(key.encode()) < MIN_KEY for key in keys) or len(set(keys)) < len(keys):
            raise ValueError(f"must be different secrets of at least {MIN_KEY} bytes, separated by commas")
        return value

    @field_validator("confirm", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @property
    def allowed_projects(self) -> frozenset[int]:
        """The projects that are served; empty: all that a key can access."""
        return frozenset(int(part) for part in self.projects.split(",") if part)

    @property
    def state_secrets(self) -> list[str]:
        """The secrets that encrypt the state of a question to the user; the first one encrypts, all decrypt."""
        return _parts(self.state_keys)

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of a call; UTC if none is set and the project's is not known yet."""
        return self.zone_set or ZoneInfo("UTC")

    @property
    def zone_set(self) -> ZoneInfo | None:
        """The configured time zone; None: use the project's."""
        return None if self.time_zone is None else ZoneInfo(self.time_zone)

    @property
    def clock(self) -> "Clock":
        """The time zone and weekend of the calls."""
        from cekura_dashboards.stats.timeline import Clock  # noqa: PLC0415 - a server that starts does without numbers

        return Clock(self.zone, frozenset(WEEKDAYS.index(day) for day in self.weekend.split(",")))


def _parts(value: SecretStr | None) -> list[str]:
    return [part.strip() for part in value.get_secret_value().split(",") if part.strip()] if value else []


def load_settings(**overrides: Any) -> Settings:
    """Settings from the environment; ``overrides`` take precedence.

    Raises:
        SettingsError: with the first wrong variable, its value and the valid values.
    """
    return loaded(Settings, **overrides)


M = TypeVar("M", bound=BaseModel)


def variables(model: type[BaseModel], *, secret: bool = False) -> list[str]:
    """The variables of a model's fields; ``secret``: only those whose values are never shown."""
    fields = model.model_fields.items()
    return [PREFIX + name.upper() for name, field in fields if not secret or SecretStr in get_args(field.annotation)]


def loaded(model: type[M], **overrides: Any) -> M:
    """As ``load_settings``, for any model whose fields are variables."""
    environment = {name: os.environ.get(PREFIX + name.upper(), "") for name in model.model_fields}
    try:
        return model.model_validate({name: text for name, text in environment.items() if text.strip()} | overrides)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = PREFIX + str(first["loc"][0] if first["loc"] else CROSS_CHECKED.get(model.__name__, "")).upper()
        secret = name in variables(model, secret=True)
        value = "" if secret else f' is "{shown_setting(os.environ.get(name, ""))}":'
        raise SettingsError(f"{name}{value} {first.get('ctx', {}).get('error', first['msg'])}") from None
