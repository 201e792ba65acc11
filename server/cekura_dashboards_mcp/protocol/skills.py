"""Skills: the workflows in the folder ``skills``, as resources and through the protocol's Skills extension.

The Python SDK has no such extension yet. Source: the stable specification of ``io.modelcontextprotocol/skills``, for
the protocol of 2026-07-28 or later. Older clients read the same files as resources.
"""

import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, Literal

from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.extension import Extension, MethodBinding, ResourceBinding
from mcp.types import INVALID_PARAMS, CacheableResult, PaginatedRequestParams, PaginatedResult, RequestParams
from pydantic import BaseModel

from cekura_dashboards.text import UntrustedText
from cekura_dashboards_mcp.protocol.profiles import names
from cekura_dashboards_mcp.protocol.sdk import MODERN_PROTOCOL_VERSIONS, TextResource
from cekura_dashboards_mcp.protocol.tools import is_core_client

NAMES = (
    "cekura-morning-check",
    "cekura-weekly-review",
    "cekura-why-did-it-move",
    "cekura-build-dashboard",
    "cekura-dashboards-as-code",
)
FILE = "SKILL.md"
ADDRESS = "skill://{}/" + FILE
CACHED_MS = 300_000
"""How long a client may cache an entry: the files change only with the server's version."""
_PARTS = re.compile(r"---\n(?P<frontmatter>.*?)\n---\n\n# (?P<title>.+?)\n\n(?P<body>.*)", re.DOTALL)


@dataclass(frozen=True)
class Skill:
    """One file, with its text as served."""

    name: str
    text: str
    frontmatter: dict[str, str]
    title: str
    body: str

    @property
    def address(self) -> str:
        return ADDRESS.format(self.name)

    @property
    def tools(self) -> set[str]:
        """The tools that its text names."""
        return {*names()} & {*re.findall(r"\w+", self.text)}


@cache
def skill(name: str) -> Skill:
    """The skill of that name in ``NAMES``. Its frontmatter has one line of plain text per field."""
    text = files("cekura_dashboards_mcp").joinpath("skills", name, FILE).read_bytes().decode()
    parts = _PARTS.fullmatch(text)
    if parts is None:
        raise ValueError(f"{name}/{FILE} has no frontmatter or no heading")
    fields = (line.partition(": ") for line in parts["frontmatter"].splitlines())
    return Skill(name, text, {key: value for key, _, value in fields}, parts["title"], parts["body"])


def skills(offered: Container[str]) -> list[Skill]:
    """The skills whose tools are all offered."""
    return [served for served in map(skill, NAMES) if all(tool in offered for tool in served.tools)]


class File(BaseModel):
    uri: str
    digest: str
    size: int


class Entry(BaseModel):
    """The entry of a skill in the extension."""

    uri: str
    frontmatter: dict[str, str]
    resources: list[File]


class ListSkillsResult(PaginatedResult, CacheableResult):
    result_type: Literal["complete"] = "complete"
    skills: list[Entry]


class GetSkillParams(RequestParams):
    uri: str


class GetSkillResult(CacheableResult):
    result_type: Literal["complete"] = "complete"
    skill: Entry


class Skills(Extension):
    """The extension, with a resource for each skill."""

    identifier = "io.modelcontextprotocol/skills"

    def __init__(self, offered: Container[str], offered_to_core_clients: Container[str] | None = None) -> None:
        """``offered``: the names of the tools; ``offered_to_core_clients``: None if the same."""
        self._offered = offered
        self._offered_to_core_clients = offered_to_core_clients
        self._scope: Literal["public", "private"] = "public" if offered_to_core_clients is None else "private"

    def resources(self) -> Sequence[ResourceBinding]:
        return [
            ResourceBinding(
                TextResource(
                    uri=served.address,
                    name=served.name,
                    title=served.title,
                    description=served.frontmatter["description"],
                    mime_type="text/markdown",
                    text=served.text,
                )
            )
            for served in skills(self._offered)
        ]

    def methods(self) -> Sequence[MethodBinding]:
        versions = frozenset(MODERN_PROTOCOL_VERSIONS)
        return [
            MethodBinding("skills/list", PaginatedRequestParams, self._list, versions),
            MethodBinding("skills/get", GetSkillParams, self._get, versions),
        ]

    async def _list(self, context: ServerRequestContext[Any, Any], _params: PaginatedRequestParams) -> ListSkillsResult:
        return ListSkillsResult(skills=[*self._entries(context)], ttl_ms=CACHED_MS, cache_scope=self._scope)

    async def _get(self, context: ServerRequestContext[Any, Any], params: GetSkillParams) -> GetSkillResult:
        """The entry with that address.

        Raises:
            MCPError: naming the existing ones.
        """
        entries = {entry.uri: entry for entry in self._entries(context)}
        if params.uri not in entries:
            raise MCPError(INVALID_PARAMS, f"No skill {UntrustedText(params.uri)}; available: {', '.join(entries)}.")
        return GetSkillResult(skill=entries[params.uri], ttl_ms=CACHED_MS, cache_scope=self._scope)

    def _entries(self, context: ServerRequestContext[Any, Any]) -> Iterator[Entry]:
        offered = self._offered
        if self._offered_to_core_clients is not None and is_core_client(context.session):
            offered = self._offered_to_core_clients
        for served in skills(offered):
            content = served.text.encode()
            file = File(uri=served.address, digest=f"sha256:{sha256(content).hexdigest()}", size=len(content))
            yield Entry(uri=served.address, frontmatter=served.frontmatter, resources=[file])
