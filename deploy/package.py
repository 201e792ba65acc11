"""What is published beside the wheel: a bundle for Claude Desktop and an entry for the MCP registry.

``python deploy/package.py FOLDER`` writes ``cekura-dashboards-mcp.mcpb``, its ``manifest.json`` and ``server.json``
there. Name, version and description are those of pyproject.toml; the name in the registry is the README's.
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
    "description": "Where your calls are made, such as Europe/Berlin: when days begin, and whose hours are compared.",
    "default": "UTC",
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
        "author": {"name": "The cekura-dashboards-mcp authors"},
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
                    {"name": "CEKURA_TIME_ZONE", "description": TIME_ZONE["description"], "default": "UTC"},
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


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    bundle(folder / "cekura-dashboards-mcp.mcpb")
    for name, made in ("manifest.json", manifest()), ("server.json", server_json()):
        (folder / name).write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
