#!/usr/bin/env bash
# fastmcp-slim[client] 4.2.3: the client lists skills, but reads one only if PyYAML happens to be installed.
#
# Guess before running: the extra `client` brings all that the client's methods need, `read_skill` among them.
# Seen: `list_skills` works; `read_skill` ends with ModuleNotFoundError, as it reads the frontmatter with PyYAML, which the
# extra does not require. With PyYAML installed it reads the same skill.
# Output seen:
#   listed: 1
#   read: ModuleNotFoundError: No module named 'yaml'
#   with PyYAML, listed: 1
#   with PyYAML, read: notes
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q "fastmcp-slim[client]==4.2.3" "mcp==2.3.0"
cat >"$work/server.py" <<'PYTHON'
from hashlib import sha256

from mcp.server import MCPServer
from mcp.server.extension import Extension, MethodBinding, ResourceBinding
from mcp.server.mcpserver.resources import TextResource
from mcp.types import CacheableResult, PaginatedRequestParams, RequestParams

URI = "skill://notes/SKILL.md"
TEXT = "---\nname: notes\ndescription: Take notes.\n---\n\nTake notes.\n"
FILE = {"uri": URI, "digest": f"sha256:{sha256(TEXT.encode()).hexdigest()}", "size": len(TEXT.encode())}
ENTRY = {"uri": URI, "frontmatter": {"name": "notes", "description": "Take notes."}, "resources": [FILE]}


class ListResult(CacheableResult):
    result_type: str = "complete"
    skills: list[dict]


class GetParams(RequestParams):
    uri: str


class GetResult(CacheableResult):
    result_type: str = "complete"
    skill: dict


async def list_skills(_context, _params):
    return ListResult(skills=[ENTRY])


async def get_skill(_context, _params):
    return GetResult(skill=ENTRY)


class Skills(Extension):
    identifier = "io.modelcontextprotocol/skills"

    def resources(self):
        return [ResourceBinding(TextResource(uri=URI, name="notes", mime_type="text/markdown", text=TEXT))]

    def methods(self):
        return [
            MethodBinding("skills/list", PaginatedRequestParams, list_skills),
            MethodBinding("skills/get", GetParams, get_skill),
        ]


MCPServer("notes", version="1", extensions=[Skills()]).run()
PYTHON
cat >"$work/client.py" <<'PYTHON'
import asyncio
import sys

from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from fastmcp.skills.client import SkillsClientExtension


async def main(label, server):
    async with Client(StdioTransport(sys.executable, [server]), extensions=[SkillsClientExtension()]) as client:
        [entry] = await client.list_skills()
        print(f"{label}listed: 1")
        try:
            print(f"{label}read: {(await client.read_skill(entry.uri)).name}")
        except ModuleNotFoundError as error:
            print(f"{label}read: {type(error).__name__}: {error}")


asyncio.run(main(*sys.argv[1:]))
PYTHON
{
  "$work/venv/bin/python" "$work/client.py" "" "$work/server.py"
  "$work/venv/bin/pip" install -q "pyyaml==6.0.3"
  "$work/venv/bin/python" "$work/client.py" "with PyYAML, " "$work/server.py"
} 2>"$work/log.txt" >"$work/seen.txt" || { cat "$work/log.txt"; exit 1; }
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
listed: 1
read: ModuleNotFoundError: No module named 'yaml'
with PyYAML, listed: 1
with PyYAML, read: notes
SEEN
