"""``cekura-dashboards install``: our entry in a chat client's configuration, put there, shown or taken out."""

import json
import os
import sys
from typing import Any

import click
from pydantic import SecretStr

from cekura_dashboards import Settings
from cekura_dashboards.settings import SettingsError, load_settings, usable_key, variables
from cekura_dashboards_mcp.cli.clients import (
    CLIENTS,
    ENTRY,
    KEY,
    SANDBOX_ENTRY,
    UNCHANGED,
    Machine,
    NotInstalled,
    entry_of,
    put,
)


def placeholder(name: str) -> str:
    """What stands for the secret of that variable where one is shown."""
    return f"your-{name.lower().replace('_', '-')}"


PLACEHOLDER = placeholder(KEY)


def install(name: str, machine: Machine, *, sandbox: bool, show: bool, uninstall: bool) -> None:
    """Do it, and say what was done.

    Raises:
        NotInstalled: with nothing changed.
    """
    client, entry = CLIENTS.get(name), SANDBOX_ENTRY if sandbox else ENTRY
    if show or client is None:
        servers = client.servers if client else "mcpServers"
        shown = entry_of(client, _without_secrets(sandbox=sandbox), sandbox=sandbox)
        if client is not None:
            click.echo(f"In {client.path(machine)}:", err=True)
        click.echo(json.dumps({servers: {entry: shown}}, indent=2))
        return
    path = client.path(machine)
    if uninstall:
        written = put(client, path, entry, None)
        if written is None:
            click.echo(f"{path} has no entry {entry}.")
        elif written.backup is None:
            click.echo(f"Taken out of {path}; it is again as it was before.")
        else:
            click.echo(f"Taken out of {path}; before: {written.backup}")
        return
    written = put(client, path, entry, entry_of(client, _environment(sandbox=sandbox), sandbox=sandbox))
    click.echo(f'{client.title} has the server "{entry}" ({path}).')
    if written is not None and written.backup is not None:
        click.echo(f"The file as it was before: {written.backup}")
    click.echo(client.reload)


def _environment(*, sandbox: bool) -> dict[str, str]:
    """The settings of this shell, which the client's server is to have, too; the key is asked for if there is none."""
    if sandbox:
        return {}
    settings = _settings()
    if KEY not in settings:
        if not sys.stdin.isatty():
            raise NotInstalled(f"No API key. Set {KEY} before, or add --sandbox. {UNCHANGED}")
        settings[KEY] = click.prompt("Your Cekura API key (not shown)", hide_input=True)
    try:
        settings[KEY] = usable_key(settings[KEY]).get_secret_value()
    except ValueError as error:
        raise NotInstalled(f"The key {error}. {UNCHANGED}") from None
    if settings[KEY] == PLACEHOLDER:
        raise NotInstalled(f"{KEY} is the example's; put yours there. {UNCHANGED}")
    _refuse_unusable(api_key=SecretStr(settings[KEY]))
    return settings


def _without_secrets(*, sandbox: bool) -> dict[str, str]:
    """The same without secrets, for a screen that others may see."""
    if sandbox:
        return {}
    _refuse_unusable(api_key=None)
    settings, secrets = _settings(), variables(Settings, secret=True)
    return {name: placeholder(name) if name in secrets else text for name, text in settings.items()} | {
        KEY: PLACEHOLDER
    }


def _settings() -> dict[str, str]:
    """What is set in this shell; what is blank counts as absent, as everywhere."""
    return {name: os.environ[name] for name in variables(Settings) if os.environ.get(name, "").strip()}


def _refuse_unusable(**given: Any) -> None:
    """Refuse settings with which the server would not start.

    Raises:
        NotInstalled: naming the first wrong variable.
    """
    try:
        load_settings(**given)
    except SettingsError as error:
        raise NotInstalled(f"{error}. {UNCHANGED}") from None
