"""Project records contain secrets: none is kept, logged, audited or shown."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cekura_dashboards.context import Memory
from cekura_dashboards.values import replace
from cekura_dashboards_mcp.cli.doctor import examine, report
from cekura_dashboards_mcp.connection import Connection
from cekura_sandbox.calls import SECRETS
from support import Era, Json, connect, new_sandbox, now, open_tools, sample_calls, settings, shared_sandbox

pytestmark = pytest.mark.anyio
PROJECTS = "/user/v1/projects/"
WORDS = [*SECRETS.values(), "webhook_secret"]
CALLS: list[tuple[str, Json]] = [
    *sample_calls(["look_up"], writes=False),
    ("look_up", {"kind": "projects"}),
    ("look_up", {"kind": "metrics"}),
    ("get_widgets_data", {"dashboard_id": 13, "profile": "hour_of_day"}),
    ("create_dashboard", {"name": "New"}),
    ("create_dashboard", {"name": "New", "project_id": 7}),
    ("update_dashboard", {"dashboard_id": 11, "date_range": "this week"}),
    ("delete_dashboard", {"dashboard_id": 11}),
]


def leaks(text: str) -> list[str]:
    return [word for word in WORDS if word in text]


async def sends_secrets(app: Any) -> bool:
    """Whether the API sends the secrets."""
    async with open_tools(app) as (context, _):
        answer = await context.api.ask("GET", PROJECTS)
    return all(word.encode() in answer.body for word in SECRETS.values())


@pytest.mark.parametrize("projects", ["", "1,2"], ids=["all", "CEKURA_PROJECTS"])
async def test_project_secrets_are_absent_from_answers_logs_and_audit(
    projects: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    audit, answers = tmp_path / "audit", list[str]()
    app = new_sandbox(count=10)
    assert await sends_secrets(app)
    async with connect(app, projects=projects, audit_log=str(audit), cache_s=60, log_level="DEBUG") as client:
        for tool, arguments in CALLS:
            answers.append((await client.call_tool(tool, arguments)).model_dump_json())
    assert "Northside" in "".join(answers)
    assert leaks("".join([*answers, caplog.text, audit.read_text(encoding="utf-8")])) == []


async def test_only_the_used_fields_of_a_project_are_kept() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        caching = replace(context, memory=Memory(60))
        first, _ = await caching.lookups.projects()
    assert first.model_dump() == {
        "id": 1, "name": "Northside Clinics", "daily_report_dashboard_ids": [11], "timezone": "UTC", "sample_rate": 1.0,
        "organization": 7, "rubric_config": [521, 522, 523], "updated_at": "2026-11-02T08:18:00.000000Z",
    }  # fmt: skip
    inside = [vars(first), first.__pydantic_extra__, first.__pydantic_private__, vars(caching.memory)]
    assert leaks(repr(inside)) == []


MALFORMED: dict[str, Callable[[list[Json]], Any]] = {
    "no id": lambda rows: [{**row, "id": None} for row in rows],
    "fields of other types": lambda rows: [
        {**row, "timezone": {"a": 1}, "sample_rate": "x", "name": []} for row in rows
    ],
    "an object": lambda rows: {"detail": rows},
    "a list of lists": lambda rows: [rows],
}


@pytest.mark.no_cover
@pytest.mark.parametrize("spoil", MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize(("projects", "era"), [("", "auto"), ("1", "legacy")], ids=["all", "CEKURA_PROJECTS"])
async def test_errors_about_malformed_projects_omit_secrets(
    spoil: Callable[[list[Json]], Any], projects: str, era: Era, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    app = new_sandbox(count=10)

    async def malformed(scope: Any, receive: Any, send: Any) -> None:
        async def send_malformed(message: Any) -> None:
            if message["type"] == "http.response.body" and scope["path"] == PROJECTS:
                message = {**message, "body": json.dumps(spoil(json.loads(message["body"]))).encode()}
            if message["type"] == "http.response.start":
                message = {**message, "headers": [pair for pair in message["headers"] if pair[0] != b"content-length"]}
            await send(message)

        await app(scope, receive, send_malformed)

    async with connect(malformed, era, projects=projects) as client:
        shown = [
            (await client.call_tool(tool, arguments)).model_dump_json()
            for tool, arguments in CALLS
            if tool in {"look_up", "get_widgets_data", "find_changes"}
        ]
    assert leaks("".join([*shown, caplog.text])) == []


async def test_doctor_and_probe_omit_project_secrets() -> None:
    connection = Connection(settings(), app_factory=shared_sandbox, now=now)
    result = await examine(connection, None, with_probe=True)
    assert result.findings
    assert leaks(json.dumps(result.to_json()) + "\n".join(report(result.findings))) == []
