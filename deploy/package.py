"""Build what is published besides the wheel: a bundle for Claude Desktop, an entry for the MCP registry, and plugins.

``python deploy/package.py FOLDER`` writes ``cekura-dashboards-mcp.mcpb``, its ``manifest.json`` and ``server.json``
there. ``python deploy/package.py plugins FOLDER`` writes the manifests of the plugins and their skills; those of the
repository, which is itself the plugin, are written with ``plugins .``. Name, version and description are those of
pyproject.toml; the name in the registry is the README's.
"""

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

from cekura_dashboards import TOOLS

ROOT = Path(__file__).parents[1]
AUTHOR = {"name": "The cekura-dashboards-mcp authors"}
SERVER = "cekura-dashboards"
SKILLS = ROOT / "server" / "cekura_dashboards_mcp" / "skills"
BUNDLED = ("pyproject.toml", "README.md", "LICENSE", "server", "tools", "sandbox")
SERVER_SCHEMA = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
MCP_NAME = re.compile(r"mcp-name: ([\w.-]+/[\w.-]+)")
KEY = {
    "type": "string",
    "title": "Cekura API key",
    "description": "From the settings of your Cekura account. It is kept in the system's key store.",
    "sensitive": True,
    "required": True,
}
TIME_ZONE = {
    "type": "string",
    "title": "Time zone",
    "description": "Where your calls are made, such as Europe/Berlin: when days begin, and whose hours are compared. "
    "Empty: that of your Cekura project.",
    "default": "",
    "required": False,
}
READ_ONLY = {
    "type": "boolean",
    "title": "Read only",
    "description": "Leave out the tools that change dashboards.",
    "default": False,
    "required": False,
}


def project() -> dict[str, Any]:
    """The table of pyproject.toml that holds name, version and description."""
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


def manifest() -> dict[str, Any]:
    """The bundle's: the host runs the project that is in it with uv, and asks for the key."""
    about = project()
    return {
        "manifest_version": "0.4",
        "name": about["name"],
        "display_name": "Cekura dashboards",
        "version": about["version"],
        "description": about["description"],
        "author": AUTHOR,
        "license": about["license"],
        "keywords": about["keywords"],
        "server": {
            "type": "uv",
            "entry_point": "server/cekura_dashboards_mcp/__main__.py",
            "mcp_config": {
                "command": "uv",
                "args": ["run", "--directory", "${__dirname}", "--no-dev", "cekura-dashboards", "serve"],
                "env": {
                    "CEKURA_API_KEY": "${user_config.api_key}",
                    "CEKURA_TIME_ZONE": "${user_config.time_zone}",
                    "CEKURA_READ_ONLY": "${user_config.read_only}",
                },
            },
        },
        "user_config": {"api_key": KEY, "time_zone": TIME_ZONE, "read_only": READ_ONLY},
        "tools": [{"name": tool.name, "description": tool.title} for tool in TOOLS],
        "prompts_generated": True,
        "compatibility": {
            "platforms": ["darwin", "win32", "linux"],
            "runtimes": {"python": about["requires-python"]},
        },
    }


def server_json() -> dict[str, Any]:
    """The registry's entry: the package on PyPI, its transport, and the settings that are asked for."""
    about = project()
    [name] = MCP_NAME.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    return {
        "$schema": SERVER_SCHEMA,
        "name": name,
        "title": "Cekura dashboards",
        "description": about["description"],
        "version": about["version"],
        "packages": [
            {
                "registryType": "pypi",
                "identifier": about["name"],
                "version": about["version"],
                "runtimeHint": "uvx",
                "transport": {"type": "stdio"},
                "environmentVariables": [
                    {
                        "name": "CEKURA_API_KEY",
                        "description": "Your Cekura API key",
                        "isRequired": True,
                        "isSecret": True,
                    },
                    {"name": "CEKURA_TIME_ZONE", "description": TIME_ZONE["description"]},
                ],
            }
        ],
    }


def bundle(file: Path) -> None:
    """Write the bundle: its manifest and the files of the project that git knows."""
    tracked = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *BUNDLED]
    listed = subprocess.run(tracked, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 - fixed arguments
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", json.dumps(manifest(), indent=2))
        for name in listed.stdout.splitlines():
            archive.write(ROOT / name, name)


def plugins() -> dict[str, Any]:
    """The manifests by path: of Claude Code, Cursor, Codex, Copilot and the Gemini CLI, each by its own format's rules.

    uvx runs the server from the plugin's own folder, for which each client has a name of its own. Codex has none, and
    starts the server in that folder.
    """
    about = project()
    common = {
        "name": SERVER,
        "version": about["version"],
        "description": about["description"],
        "author": AUTHOR,
        "license": about["license"],
        "keywords": about["keywords"],
    }
    listed = {"name": SERVER, "source": "./", "description": about["description"]}
    marketplace = {
        "name": SERVER,
        "owner": AUTHOR,
        "metadata": {"description": "Cekura dashboards"},
        "plugins": [listed],
    }
    codex = {"displayName": "Cekura dashboards", "shortDescription": about["description"], "category": "Data"}
    codex_source = {"source": "local", "path": "./"}
    codex_policy = {"installation": "AVAILABLE", "authentication": "ON_INSTALL"}
    return {
        ".claude-plugin/plugin.json": {
            **common,
            "userConfig": {"api_key": KEY, "time_zone": TIME_ZONE},
            **_started_in(
                "${CLAUDE_PLUGIN_ROOT}",
                env={"CEKURA_API_KEY": "${user_config.api_key}", "CEKURA_TIME_ZONE": "${user_config.time_zone}"},
            ),
        },
        ".claude-plugin/marketplace.json": marketplace,
        ".cursor-plugin/plugin.json": {
            **common,
            "displayName": "Cekura dashboards",
            "skills": "./skills/",
            **_started_in("${CURSOR_PLUGIN_ROOT}", env={"CEKURA_API_KEY": "${env:CEKURA_API_KEY}"}),
        },
        ".codex-plugin/plugin.json": {
            **common,
            "skills": "./skills/",
            **_started_in(".", cwd=".", env_vars=["CEKURA_API_KEY", "CEKURA_TIME_ZONE"]),
            "interface": codex,
        },
        ".agents/plugins/marketplace.json": {
            "name": SERVER,
            "interface": {"displayName": "Cekura dashboards"},
            "plugins": [{"name": SERVER, "source": codex_source, "policy": codex_policy, "category": "Data"}],
        },
        ".github/plugin/plugin.json": {
            **common,
            "skills": "skills/",
            **_started_in("${PLUGIN_ROOT}", env={"CEKURA_API_KEY": "${CEKURA_API_KEY}"}),
        },
        ".github/plugin/marketplace.json": marketplace,
        "gemini-extension.json": {
            "name": SERVER,
            "version": about["version"],
            "description": about["description"],
            **_started_in("${extensionPath}", env={"CEKURA_API_KEY": "${CEKURA_API_KEY}"}),
            "settings": [
                {
                    "name": KEY["title"],
                    "description": KEY["description"],
                    "envVar": "CEKURA_API_KEY",
                    "sensitive": True,
                }
            ],
        },
    }


def _started_in(folder: str, **settings: Any) -> dict[str, Any]:
    command = {"command": "uvx", "args": ["--from", folder, SERVER, "serve"], **settings}
    return {"mcpServers": {SERVER: command}}


def write_plugins(folder: Path) -> None:
    """Write the manifests, and the skills as the server has them."""
    contents = {name: json.dumps(made, indent=2, ensure_ascii=False) + "\n" for name, made in plugins().items()}
    for file in sorted(SKILLS.glob("*/SKILL.md")):
        contents[f"skills/{file.parent.name}/{file.name}"] = file.read_text(encoding="utf-8")
    for name, text in contents.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="\n")


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    bundle(folder / "cekura-dashboards-mcp.mcpb")
    for name, made in ("manifest.json", manifest()), ("server.json", server_json()):
        (folder / name).write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1] == "plugins":
        write_plugins(Path(sys.argv[2]))
    else:
        main(Path(sys.argv[1]))
