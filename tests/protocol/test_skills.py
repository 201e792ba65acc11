"""Skills: every step runs against the sandbox, and clients of both eras list and verify them."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Generator
from hashlib import sha256
from pathlib import Path
from typing import Literal

import pytest
import yaml
from mcp import Client, MCPError
from mcp.types import CallToolResult, PaginatedRequestParams, Request, TextResourceContents

from cekura_dashboards_mcp.protocol.profiles import names
from cekura_dashboards_mcp.protocol.prompts import PROMPTS, prompts
from cekura_dashboards_mcp.protocol.skills import NAMES, GetSkillParams, GetSkillResult, ListSkillsResult, skill
from support import (
    BY_NAME,
    TIMEOUT_S,
    Era,
    Json,
    connect,
    new_sandbox,
    run_cli,
    sandbox_address,
    separate_install,
    shared_sandbox,
    text_of,
)

ROOT = Path(__file__).parents[2]
SECTIONS = ["Steps", "Report", "Read the answers", "Do not claim", "Stop and ask"]
STEP = re.compile(r"^\d+\. .*?(?=^\d+\. |\n\n|\Z)", re.MULTILINE | re.DOTALL)
CALL = re.compile(r"`(\w+) (\{.*\})`")
COMMAND = re.compile(r"`(cekura-dashboards .*)`")
VALUES: Json = {"dashboard": "Booking agent", "widget": "Success rate", "agent": "Booking", "word": "booking", "name": "Speed",
                "project": "Northside Clinics"}  # fmt: skip
"""Values on the sandbox for the placeholders in angle brackets; calls are taken from the previous answer."""
WRITING = {"cekura-build-dashboard", "cekura-dashboards-as-code"}
PAGES = "".join(
    (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("summaries.md", "boards.md", "tools.md")
)
LISTED = [f"skill://{name}/SKILL.md" for name in NAMES]


class ListSkills(Request[PaginatedRequestParams, Literal["skills/list"]]):
    method: Literal["skills/list"] = "skills/list"
    params: PaginatedRequestParams = PaginatedRequestParams()


class GetSkill(Request[GetSkillParams, Literal["skills/get"]]):
    method: Literal["skills/get"] = "skills/get"
    params: GetSkillParams


def steps_of(body: str) -> list[str]:
    """The numbered steps of a skill."""
    return STEP.findall(body[body.index("## Steps\n") : body.index("## Report\n")])


def terms_explained(body: str) -> list[str]:
    """Quotes from answers in the section on reading them."""
    section = body[body.index("## Read the answers\n") : body.index("## Do not claim\n")]
    return [term.rstrip(" …") for match in re.findall(r'"([^"]+)"|`([^`]+)`', section) for term in match if term]


async def replay(client: Client, step: str, values: Json) -> list[CallToolResult]:
    """The answers of the calls in a step, each of which must name an existing tool and arguments."""
    answers: list[CallToolResult] = []
    for name, text in CALL.findall(step):
        arguments = json.loads(re.sub(r'"<(\w+)>"', lambda word: json.dumps(values[word[1]]), text))
        assert {*arguments} <= {*BY_NAME[name].request.model_fields}, (name, arguments)
        result = await client.call_tool(name, arguments)
        assert not result.is_error, (name, arguments, text_of(result))
        answers.append(result)
    return answers


@pytest.mark.parametrize("name", NAMES)
def test_skills_have_the_published_format_and_all_sections(name: str) -> None:
    result = skill(name)
    assert yaml.safe_load(result.text.split("---\n")[1]) == result.frontmatter
    assert result.frontmatter["name"] == name
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    assert len(name) <= 64
    assert len(result.frontmatter["description"]) <= 1024
    assert " Use " in result.frontmatter["description"]
    assert len(result.frontmatter["compatibility"]) <= 500
    assert re.findall(r"^## (.*)$", result.body, re.MULTILINE) == SECTIONS
    assert len(result.text) < 5000
    assert all(CALL.search(step) or COMMAND.search(step) for step in steps_of(result.body))


@pytest.mark.no_cover
@pytest.mark.anyio
@pytest.mark.parametrize("name", NAMES)
async def test_every_call_in_a_skill_succeeds(name: str, era: Era) -> None:
    steps, values, printed = steps_of(skill(name).body), {**VALUES}, PAGES
    assert steps
    async with connect(new_sandbox(), era) as client:
        for step in steps:
            for result in await replay(client, step, values):
                printed += text_of(result)
                answer: Json = result.structured_content or {}
                if calls := answer.get("calls"):
                    values["call"] = calls[0]["id"]
                if undo := answer.get("undo"):
                    values["undo"] = undo
        if "undo" in values:
            undone = await client.call_tool(values["undo"]["tool"], values["undo"]["arguments"])
            assert not undone.is_error
    assert ("undo" in values) is (name == "cekura-build-dashboard")
    assert [term for term in terms_explained(skill(name).body) if term not in printed] == []


@pytest.mark.anyio
@pytest.mark.parametrize(
    "step",
    [
        '1. `find_change {"window": "7d"}`',
        '1. `find_changes {"windows": "7d"}`',
        '1. `find_changes {"window": "whenever"}`',
        '1. `find_changes {"window": "<week>"}`',
    ],
)
async def test_invalid_calls_in_skill_steps_are_detected(step: str) -> None:
    async with connect(shared_sandbox()) as client:
        with pytest.raises((AssertionError, KeyError)):
            await replay(client, step, VALUES)


@pytest.fixture
def address() -> Generator[str]:
    with sandbox_address(500) as address:
        yield address


def test_every_command_in_a_skill_succeeds(address: str, tmp_path: Path) -> None:
    settings = {"CEKURA_BASE_URL": address, "CEKURA_API_KEY": "sandbox"}
    printed: dict[str, str] = {}
    for command in COMMAND.findall("\n".join(steps_of(skill("cekura-dashboards-as-code").body))):
        words = shlex.split(command.replace("<dashboard>", VALUES["dashboard"]))
        arguments, target = words[1:], ""
        if ">" in arguments:
            arguments, target = arguments[:-2], arguments[-1]
        result = run_cli(*arguments, folder=tmp_path, environment=settings)
        assert result.exit_code == 0, (command, result.output)
        printed[arguments[0]] = result.stdout
        if target:
            (tmp_path / target).write_text(result.stdout, encoding="utf-8")
        if arguments[0] == "export":  # the edit that the next step refers to
            board = json.loads(result.stdout)
            board["widgets"] = board["widgets"][1:]
            (tmp_path / target).write_text(json.dumps(board), encoding="utf-8")
    assert list(printed) == ["export", "plan", "apply", "undo", "assert"]
    assert "delete 209" in printed["plan"]
    assert 'create 221 "Booking success"' in printed["undo"]
    assert printed["assert"].startswith('ok   "Booking success" >= 0.5 over 7d: 0.')


def test_prompts_and_skills_correspond_one_to_one() -> None:
    assert {prompt.skill for prompt in PROMPTS.values()} == {*NAMES}
    assert [prompt.name for prompt in prompts(names())] == [*PROMPTS]


async def list_skills(client: Client) -> ListSkillsResult:
    return await client.session.send_request(ListSkills(), ListSkillsResult)


async def get_skill(client: Client, uri: str) -> GetSkillResult:
    return await client.session.send_request(GetSkill(params=GetSkillParams(uri=uri)), GetSkillResult)


async def read(client: Client, uri: str) -> str:
    [content] = (await client.read_resource(uri)).contents
    assert isinstance(content, TextResourceContents)
    assert content.mime_type == "text/markdown"
    return content.text


@pytest.mark.anyio
async def test_listed_skills_have_correct_digests() -> None:
    async with connect(shared_sandbox()) as client:
        assert (client.server_capabilities.extensions or {})["io.modelcontextprotocol/skills"] == {}
        listed = await list_skills(client)
        assert [entry.uri for entry in listed.skills] == LISTED
        assert (listed.result_type, listed.cache_scope, listed.next_cursor) == ("complete", "public", None)
        for entry in listed.skills:
            assert (await get_skill(client, entry.uri)).skill == entry
            content = (await read(client, entry.uri)).encode()
            [file] = entry.resources
            digest = f"sha256:{sha256(content).hexdigest()}"
            assert (file.uri, file.digest, file.size) == (entry.uri, digest, len(content))
            assert yaml.safe_load(content.decode().split("---\n")[1]) == entry.frontmatter


@pytest.mark.anyio
@pytest.mark.parametrize("uri", ["skill://cekura-weekly-review", "skill://x/SKILL.md", "", "skill://" + "x" * 5000])
async def test_an_unknown_skill_is_rejected_with_the_available_ones(uri: str) -> None:
    async with connect(shared_sandbox()) as client:
        with pytest.raises(MCPError, match=re.escape(LISTED[0])) as refused:
            await get_skill(client, uri)
        with pytest.raises(MCPError, match=re.escape(LISTED[0] if uri else "cekura://guide")) as unread:
            await client.read_resource(uri)
    for error in (refused.value, unread.value):
        assert error.code == -32602
        assert len(str(error)) < 500


@pytest.mark.anyio
async def test_legacy_clients_read_skills_as_resources() -> None:
    async with connect(shared_sandbox(), "legacy") as client:
        with pytest.raises(MCPError) as refused:
            await list_skills(client)
        listed = (await client.list_resources()).resources
        by_name = {str(resource.uri): resource for resource in listed if str(resource.uri).startswith("skill://")}
        assert [*by_name] == LISTED
        assert await read(client, LISTED[0]) == skill(NAMES[0]).text
    assert refused.value.code == -32601
    assert by_name[LISTED[0]].name == NAMES[0]
    assert by_name[LISTED[0]].description == skill(NAMES[0]).frontmatter["description"]


@pytest.mark.anyio
@pytest.mark.parametrize("limit", [{"read_only": True}, {"tools": "core"}])
async def test_skills_are_served_only_if_their_tools_are_available(limit: Json, era: Era) -> None:
    async with connect(shared_sandbox(), era, **limit) as client:
        resources = [str(item.uri) for item in (await client.list_resources()).resources]
    served = [name for name in NAMES if f"skill://{name}/SKILL.md" in resources]
    assert served == [name for name in NAMES if name not in WRITING]


@pytest.mark.anyio
@pytest.mark.parametrize(("client_name", "absent"), [("LocalAI", WRITING), ("claude-code", set[str]())])
async def test_the_skills_extension_follows_the_tools_of_each_client(client_name: str, absent: set[str]) -> None:
    served = [f"skill://{name}/SKILL.md" for name in NAMES if name not in absent]
    async with connect(shared_sandbox(), "auto", client_name, tools="by-client") as client:
        listed = await list_skills(client)
        for address in served:
            request = GetSkill(params=GetSkillParams(uri=address))
            assert (await client.session.send_request(request, GetSkillResult)).skill.uri == address
        for name in absent:
            request = GetSkill(params=GetSkillParams(uri=f"skill://{name}/SKILL.md"))
            with pytest.raises(MCPError, match="No skill"):
                await client.session.send_request(request, GetSkillResult)
    assert [entry.uri for entry in listed.skills] == served
    assert listed.cache_scope == "private"


CLIENT = Path(__file__).parents[1] / "agents" / "fastmcp_client.py"


def test_the_fastmcp_client_verifies_every_skill() -> None:
    python = separate_install("FASTMCP_PYTHON", "tests/agents/fastmcp-requirements.txt")
    server = [str(Path(sys.executable).parent / "cekura-dashboards"), "serve", "--sandbox"]
    result = subprocess.run(
        [python, str(CLIENT), "skills", *server], capture_output=True, text=True, encoding="utf-8",
        timeout=TIMEOUT_S, check=False,
        env={name: value for name, value in os.environ.items() if not name.startswith(("CEKURA_", "COV_"))},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-2000:]
    read_skills = json.loads(result.stdout.splitlines()[-1])
    assert read_skills == {
        uri: sha256(skill(name).text.encode()).hexdigest() for uri, name in zip(LISTED, NAMES, strict=True)
    }
