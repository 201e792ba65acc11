"""Confirmation by the user through the client, in both protocol eras; only a yes changes anything."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp.types import INTERNAL_ERROR, METHOD_NOT_FOUND, CallToolResult, ElicitResult, ErrorData, InputRequiredResult
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from cekura_dashboards.values import replace
from cekura_dashboards_mcp.connection import MAX_QUESTIONS, Connection, Questions
from cekura_dashboards_mcp.protocol.server import create_server
from cekura_dashboards_mcp.web.app import http_app
from support import BY_NAME, KEY, PIE, PLAIN_HTTP, Era, Json, new_sandbox, now, open_tools, served, settings, text_of

pytestmark = pytest.mark.anyio
DELETE: Json = {"dashboard_id": 11, "delete": [205, 206]}
RENAME: Json = {"widget_id": 203, "changes": {"name": "New"}}
YES = ElicitResult(action="accept", content={"confirm": True})
DECLINED: dict[str, Any] = {
    "declined": ElicitResult(action="decline"),
    "cancelled": ElicitResult(action="cancel"),
    "unticked": ElicitResult(action="accept", content={"confirm": False}),
}
UNANSWERED: dict[str, Any] = {
    "a word": ElicitResult(action="accept", content={"confirm": "yes"}),
    "empty": ElicitResult(action="accept", content={}),
    "nothing": ElicitResult(action="accept"),
}
ERRORS: dict[str, Any] = {
    "no such method": ErrorData(code=METHOD_NOT_FOUND, message="Method not found"),
    "a fault": ErrorData(code=INTERNAL_ERROR, message="no window"),
    "of its own": ErrorData(code=-32000, message="forms are off"),
}
NOT_ASKED = "note: the user was not asked"


@dataclass
class Person:
    """A user who gives every question the same answer. ``while_asked`` runs before each answer."""

    answer: Any = field(default_factory=lambda: YES)
    while_asked: Any = None
    questions: list[str] = field(default_factory=list[str])

    async def __call__(self, context: Any, params: Any) -> ElicitResult | ErrorData:  # noqa: ARG002 - the SDK names it
        self.questions.append(params.message)
        if self.while_asked:
            self.while_asked()
        answer: ElicitResult | ErrorData = self.answer
        return answer


@asynccontextmanager
async def connected(app: FastAPI, era: Era, person: Person | None, **options: Any) -> AsyncGenerator[Client]:
    connection = Connection(settings(**options), app_factory=lambda: app, now=now)
    async with Client(create_server(connection), mode=era, elicitation_callback=person) as client:
        yield client


def names(app: FastAPI) -> list[str]:
    return [widget["name"] for widget in app.state.world.store.dashboard(11)["widgets"]]


async def test_a_delete_is_confirmed_by_the_user_within_one_call(era: Era) -> None:
    app, person = new_sandbox(), Person()
    async with connected(app, era, person) as client:
        result = await client.call_tool("bulk_edit_dashboard", DELETE)
    assert not result.is_error
    assert result.structured_content is not None
    assert result.structured_content["outcome"] == "applied"
    assert "Topics" not in names(app)
    [question] = person.questions
    assert question.startswith('Edit dashboard 11 "Operations overview"?')
    assert 'delete 205 "Why calls end"' in question
    assert 'delete 206 "Topics"' in question


@pytest.mark.parametrize("answer", DECLINED)
async def test_a_declined_confirmation_changes_nothing(answer: str, era: Era) -> None:
    app, person = new_sandbox(), Person(DECLINED[answer])
    async with connected(app, era, person) as client:
        planned = (await answer_of(client, "preview_edit", DELETE))["plan_id"]
        for arguments in (DELETE, {**DELETE, "plan_id": planned}, {**DELETE, "plan_id": planned}):
            result = await client.call_tool("bulk_edit_dashboard", arguments)
            assert result.is_error
            assert text_of(result).startswith("Nothing was changed: the user declined.")
    assert "Topics" in names(app)
    assert len(person.questions) == 3


@pytest.mark.parametrize("answer", [*UNANSWERED, *ERRORS])
async def test_an_unanswered_confirmation_falls_back_to_a_plan(answer: str, era: Era) -> None:
    """A server of 2026-07-28 does not receive an error: the client raises it to its caller."""
    app, person = new_sandbox(), Person((UNANSWERED | ERRORS)[answer])
    async with connected(app, era, person) as client:
        if answer in ERRORS and era == "auto":
            with pytest.raises(MCPError):
                await client.call_tool("bulk_edit_dashboard", DELETE)
            planned = (await answer_of(client, "preview_edit", DELETE))["plan_id"]
        else:
            refused = await client.call_tool("bulk_edit_dashboard", DELETE)
            assert NOT_ASKED in text_of(refused)
            assert refused.structured_content is not None
            assert refused.structured_content["outcome"] == "needs_plan"
            planned = refused.structured_content["plan_id"]
        assert "Topics" in names(app)
        result = await client.call_tool("bulk_edit_dashboard", {**DELETE, "plan_id": planned})
    assert not result.is_error
    assert NOT_ASKED in text_of(result)
    assert "Topics" not in names(app)


async def test_a_retry_without_an_answer_falls_back_to_a_plan() -> None:
    app = new_sandbox()
    async with connected(app, "auto", Person()) as client:
        call = partial(client.session.call_tool, "bulk_edit_dashboard", DELETE, allow_input_required=True)
        first = await call()
        assert isinstance(first, InputRequiredResult)
        back = await call(request_state=first.request_state)
    assert isinstance(back, CallToolResult)
    assert back.structured_content is not None
    assert back.structured_content["outcome"] == "needs_plan"
    assert "Topics" in names(app)


def test_open_questions_expire_after_ten_minutes_or_over_the_limit() -> None:
    time_s = [0.0]
    questions = Questions(clock=lambda: time_s[0])
    questions.add("first")
    time_s[0] = 599
    questions.add("second")
    assert questions.has("first")
    time_s[0] = 600
    assert not questions.has("first")
    assert questions.has("second")
    for number in range(MAX_QUESTIONS):
        questions.add(f"{number}")
    assert not questions.has("second")
    assert questions.has("0")


async def test_a_delete_needs_a_plan_if_the_client_cannot_ask(era: Era) -> None:
    app = new_sandbox()
    async with connected(app, era, None) as client:
        result = await client.call_tool("bulk_edit_dashboard", DELETE)
        assert result.structured_content is not None
        assert result.structured_content["outcome"] == "needs_plan"
        assert "Topics" in names(app)


async def answer_of(client: Client, tool: str, arguments: Json) -> Json:
    result = await client.call_tool(tool, arguments)
    assert result.structured_content is not None, text_of(result)
    value: Json = result.structured_content
    return value


async def test_a_plan_does_not_bypass_a_declined_confirmation(era: Era) -> None:
    app, person = new_sandbox(), Person(DECLINED["declined"])
    twin = {**app.state.world.store._widgets[206], "id": 207}  # noqa: SLF001 - a duplicate that a suggested fix deletes
    app.state.world.store._widgets[207] = twin  # noqa: SLF001 - see above
    async with connected(app, era, person) as client:
        planned = (await answer_of(client, "preview_edit", DELETE))["plan_id"]
        checked = await answer_of(client, "check_dashboard", {"dashboard_id": 11})
        fixes = [finding["fix"] for finding in checked["findings"] if "delete" in finding["fix"]["arguments"]]
        calls = [("bulk_edit_dashboard", {**DELETE, "plan_id": planned})]
        calls += [(fix["tool"], fix["arguments"]) for fix in fixes]
        before = names(app)
        for tool, arguments in calls:
            assert (await client.call_tool(tool, arguments)).is_error
    assert len(person.questions) == len(calls)
    assert names(app) == before


async def test_confirm_writes_asks_about_plans_but_not_about_undos(era: Era) -> None:
    app, person = new_sandbox(), Person()
    async with connected(app, era, person, confirm="writes") as client:
        planned = (await answer_of(client, "preview_edit", {"dashboard_id": 11, "create": [PIE]}))["plan_id"]
        arguments = {"dashboard_id": 11, "create": [PIE], "plan_id": planned}
        receipt = await answer_of(client, "bulk_edit_dashboard", arguments)
        assert len(person.questions) == 1
        undone = await answer_of(client, receipt["undo"]["tool"], receipt["undo"]["arguments"])
        assert undone["outcome"] == "applied"
        assert len(person.questions) == 1
        again = await answer_of(client, undone["undo"]["tool"], undone["undo"]["arguments"])
        assert again["outcome"] == "applied"
    assert len(person.questions) == 1


async def test_the_confirmation_of_a_dashboard_delete_names_its_widgets(era: Era) -> None:
    app, person = new_sandbox(), Person(DECLINED["declined"])
    async with connected(app, era, person) as client:
        await client.call_tool("delete_dashboard", {"dashboard_id": 11})
    assert person.questions[0].startswith('Delete dashboard 11 "Operations overview" with its 8 widgets?')


async def test_edits_without_deletes_are_confirmed_only_with_confirm_writes(era: Era) -> None:
    app, person = new_sandbox(), Person(ElicitResult(action="decline"))
    async with connected(app, era, person) as client:
        assert not (await client.call_tool("update_widget", RENAME)).is_error
    assert person.questions == []
    async with connected(app, era, person, confirm="writes") as client:
        assert (await client.call_tool("update_widget", {**RENAME, "clear": ["metadata"]})).is_error
    assert 'update 203 "New"' in person.questions[0]
    async with connected(app, era, None, confirm="writes") as client:
        refused = (
            await client.call_tool("update_widget", {"widget_id": 203, "clear": ["metadata"]})
        ).structured_content
        assert refused is not None
        assert refused["outcome"] == "needs_plan"
        arguments = {"widget_id": 203, "clear": ["metadata"], "plan_id": refused["plan_id"]}
        receipt = (await client.call_tool("update_widget", arguments)).structured_content
        assert receipt is not None
        assert receipt["outcome"] == "applied"


async def test_confirm_never_asks_no_user_but_a_delete_needs_a_plan(era: Era) -> None:
    app, person = new_sandbox(), Person()
    async with connected(app, era, person, confirm="never") as client:
        result = await client.call_tool("bulk_edit_dashboard", DELETE)
    assert result.structured_content is not None
    assert result.structured_content["outcome"] == "needs_plan"
    assert person.questions == []


async def test_concurrent_edits_during_a_confirmation_are_not_overwritten(era: Era) -> None:
    app = new_sandbox()
    person = Person()

    def edit_once() -> None:
        if len(person.questions) == 1:
            app.state.world.store.update_widget(206, {"name": "Topics, mended"})

    person.while_asked = edit_once
    async with connected(app, era, person) as client:
        result = await client.call_tool("bulk_edit_dashboard", DELETE)
    if era == "auto":
        assert "Topics, mended" in person.questions[1]
        assert not result.is_error
    else:
        assert result.is_error
        assert "someone else edited" in text_of(result)
        assert "Topics, mended" in names(app)


async def test_a_confirmation_is_valid_for_one_state_and_one_key() -> None:
    app = new_sandbox()
    tool: Any = BY_NAME["update_widget"]
    async with open_tools(app) as (context, _):
        request = tool.request.model_validate(RENAME)
        first = await tool.plan(context.for_one_call(), request)
        again = await tool.plan(context.for_one_call(), request)
        assert first.question(context) == again.question(context)
        app.state.world.store._widgets[203]["updated_at"] = "2026-11-18T15:31:00Z"  # noqa: SLF001 - as if changed and reverted
        later = await tool.plan(context.for_one_call(), request)
        assert later.question(context) != first.question(context)
        stranger = replace(context, api=replace(context.api, key=SecretStr("another")))
        assert again.question(stranger) != first.question(context)


async def test_invalid_edits_are_rejected_before_the_user_is_asked(era: Era) -> None:
    person = Person()
    async with connected(new_sandbox(), era, person) as client:
        result = await client.call_tool("bulk_edit_dashboard", {"dashboard_id": 11, "delete": [9999]})
    assert result.is_error
    assert person.questions == []


class RoundRobin:
    """Two replicas behind one address, which take turns."""

    def __init__(self, *apps: Starlette) -> None:
        self.apps, self.count = apps, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.count += 1
        await self.apps[self.count % len(self.apps)](scope, receive, send)


@asynccontextmanager
async def replicas(app: FastAPI, **options: Any) -> AsyncGenerator[str]:
    made = [
        http_app(Connection(settings(**options), key_per_request=True, app_factory=lambda: app, now=now)) for _ in "ab"
    ]
    both = Starlette()
    both.mount("/", RoundRobin(*made))
    async with made[0].router.lifespan_context(made[0]), made[1].router.lifespan_context(made[1]), served(both) as url:
        yield f"{url}/mcp"


async def over_http(url: str, era: Era, person: Person) -> Any:
    async with (
        httpx2.AsyncClient(**PLAIN_HTTP, headers={"X-CEKURA-API-KEY": KEY}) as http,
        Client(streamable_http_client(url, http_client=http), mode=era, elicitation_callback=person) as client,
    ):
        try:
            return await client.call_tool("bulk_edit_dashboard", DELETE)
        except MCPError as error:
            return error


async def test_replicas_with_shared_state_keys_accept_each_others_confirmations() -> None:
    app, person = new_sandbox(), Person()
    async with replicas(app, state_keys="one secret that all replicas share!!") as url:
        result = await over_http(url, "auto", person)
    assert not result.is_error
    assert len(person.questions) == 1
    assert "Topics" not in names(app)


async def test_replicas_without_shared_state_keys_change_nothing() -> None:
    app, person = new_sandbox(), Person()
    async with replicas(app) as url:
        refusal = await over_http(url, "auto", person)
    assert isinstance(refusal, MCPError)
    assert "requestState" in str(refusal)
    assert "Topics" in names(app)


async def test_legacy_clients_over_http_fall_back_to_a_plan() -> None:
    app, person = new_sandbox(), Person()
    async with replicas(app) as url:
        result = await over_http(url, "legacy", person)
    assert result.structured_content["outcome"] == "needs_plan"
    assert person.questions == []
    assert "Topics" in names(app)
