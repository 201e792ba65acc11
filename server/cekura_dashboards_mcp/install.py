"""``cekura-dashboards install``: our entry in a chat client's configuration, put there, shown or taken out."""

import json
import os
import sys
from collections.abc import Mapping

import click

from cekura_dashboards import Settings
from cekura_dashboards.settings import PREFIX, usable_key
from cekura_dashboards_mcp.clients import CLIENTS, ENTRY, SANDBOX_ENTRY, Machine, NotInstalled, entry_of, put

KEY = "CEKURA_API_KEY"
PLACEHOLDER = "your-cekura-api-key"
"""What stands for a key where one is shown."""


def install(name: str, machine: Machine, *, sandbox: bool, show: bool, uninstall: bool) -> None:
    """Do it, and say what was done.

    Raises:
        NotInstalled: with nothing changed.
    """
    client, entry = CLIENTS.get(name), SANDBOX_ENTRY if sandbox else ENTRY
    if show or client is None:
        servers = client.servers if client else "mcpServers"
        shown = entry_of(client, _shown(sandbox=sandbox), sandbox=sandbox)
        if client is not None:
            click.echo(f"In {client.path(machine)}:", err=True)
        click.echo(json.dumps({servers: {entry: shown}}, indent=2))
        return
    path = client.path(machine)
    if uninstall:
        backup = put(client, path, entry, None)
        click.echo(f"Taken out of {path}; before: {backup}" if backup else f"{path} has no entry {entry}.")
        return
    backup = put(client, path, entry, entry_of(client, _environment(sandbox=sandbox), sandbox=sandbox))
    click.echo(f'{client.title} has the server "{entry}" ({path}).')
    if backup:
        click.echo(f"The file as it was before: {backup}")
    click.echo(client.reload)


def _environment(*, sandbox: bool) -> dict[str, str]:
    """The settings of this shell, which the client's server is to have, too; the key is asked for if there is none."""
    if sandbox:
        return {}
    found = _settings(os.environ)
    if not found.get(KEY):
        if not sys.stdin.isatty():
            raise NotInstalled(f"No API key. Set {KEY} before, or add --sandbox. Nothing was changed.")
        found[KEY] = click.prompt("Your Cekura API key (not shown)", hide_input=True)
    try:
        found[KEY] = usable_key(found[KEY]).get_secret_value()
    except ValueError as error:
        raise NotInstalled(f"The key {error}. Nothing was changed.") from None
    return found


def _shown(*, sandbox: bool) -> dict[str, str]:
    """The same without the key, for a screen that others may see."""
    return {} if sandbox else _settings(os.environ) | {KEY: PLACEHOLDER}


def _settings(environment: Mapping[str, str]) -> dict[str, str]:
    names = [PREFIX + name.upper() for name in Settings.model_fields]
    return {name: environment[name] for name in names if environment.get(name)}
