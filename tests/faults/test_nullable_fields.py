"""Each field of each answer null, then absent: every tool answers in its own shape or says what to do."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from typing import Any, Literal

import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from cekura_dashboards import TOOLS, ToolContext
from cekura_dashboards.api.client import CekuraClient
from cekura_dashboards.api.errors import DashboardsError
from cekura_dashboards.api.models import is_list, is_object
from cekura_dashboards.api.transport import HttpTransport
from cekura_dashboards.api.wire import Response
from support import (
    KEY,
    PIE,
    Json,
    ask,
    new_sandbox,
    no_wait,
    now,
    restore,
    result_validator,
    sample_calls,
    settings,
    shared_sandbox,
    some,
)

pytestmark = [pytest.mark.anyio, pytest.mark.no_cover]
Way = Literal["null", "absent"]
WAYS: list[Way] = ["null", "absent"]
Spot = tuple[str, tuple[str, ...]]
"""An operation, and the keys that lead to a field of its answers, whatever place in a list it has."""
BAR: Json = {"chart_type": "bar", "field": "success", "aggregation_function": "avg", "time_period": "day"}
COUNT: Json = {**BAR, "field": "agent_id", "aggregation_function": "count"}
READS: list[tuple[str, Json]] = [
    ("list_dashboards", {}),
    ("list_dashboards", {"search": "quality"}),
    ("get_dashboard", {"dashboard_id": 11}),
    *(("look_up", {"kind": kind, "project_id": 1}) for kind in ("fields", "metrics", "agents", "metadata_keys")),
    *(("look_up", {"kind": kind}) for kind in ("metrics", "projects", "predefined_widgets")),
    ("look_up", {"kind": "values", "field": "topic"}),
    ("get_widgets_data", {"dashboard_id": 11}),
    ("get_widgets_data", {"widget_ids": [210, 212], "window": "7d", "compare_to": "previous_period"}),
    ("get_widgets_data", {"widget_ids": [203, 204], "window": "7d", "by": "local_day"}),
    ("preview_widget", {"widget": PIE, "dashboard_id": 11, "window": "7d", "compare_to": "previous_period"}),
    ("preview_widget", {"widget": {**BAR, "group_by": {"type": "field", "field": "agent.id"}}, "window": "7d"}),
    ("preview_widget", {"widget": COUNT, "window": "7d", "share_where": {"field": "topic", "op": "eq", "value": "complaint"}}),
    ("preview_edit", {"dashboard_id": 11, "create": [{**BAR, "place": "top"}], "update": [{"id": 203, "name": "x"}]}),
    ("check_dashboard", {"dashboard_id": 11}),
    ("list_calls", {"widget_id": 203, "limit": 5}),
    ("list_calls", {"widget_id": 203, "said": "appointment"}),
    ("find_changes", {"dashboard_ids": [12], "limit": 3}),
    ("explain_change", {"widget_id": 203, "by": ["dropoff_point", "topic"]}),
    ("explain_change", {"widget_id": 203}),
]  # fmt: skip
WRITES: list[tuple[str, Json]] = [
    ("update_widget", {"widget_id": 203, "changes": {"name": "New", "field": "is_reviewed"}}),
    ("bulk_edit_dashboard", {"dashboard_id": 11, "create": [{**PIE, "place": "top"}], "update": [{"id": 202, "name": "x"}], "delete": [203]}),
    ("create_dashboard", {"name": "New", "project_id": 1, "widgets": [BAR]}),
    ("create_dashboard", {"name": "New", "copy_of": 12}),
    ("update_dashboard", {"dashboard_id": 12, "name": "New"}),
    ("delete_dashboard", {"dashboard_id": 13}),
    ("copy_widgets", {"widget_ids": [203], "dashboard_ids": [12, 13]}),
    ("copy_widgets", {"widget_ids": [203], "dashboard_ids": [12], "move": True}),
]  # fmt: skip
READS.extend(
    ("preview_alert", {**given, "kind": "trend"}) for given in ({"alert_id": 701}, {"widget_id": 211}, {"metric": 503})
)
WRITES.extend(
    ("save_alert", {"alert_id": 701, **given}) for given in ({"action": "delete"}, {"name": "x", "std_multiplier": 3})
)
WRITES.append(("save_alert", {"metric": 501, "kind": "trend"}))
READS.extend(sample_calls([tool for tool, _ in READS], writes=False))
WRITES.extend(sample_calls([tool for tool, _ in WRITES], writes=True))
FREE = {"filters", "effective_filters", "metadata", "filter_value"}
"""Their content is not of the API's making."""
READ_BY_POST = ("/bulk_data/", "/preview_data/")


def spots(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if is_list(value):
        for item in value[:3]:
            yield from spots(item, path)
    elif is_object(value):
        for name, inner in value.items():
            yield (*path, name)
            if name not in FREE:
                yield from spots(inner, (*path, name))


def spoil(value: Any, path: tuple[str, ...], way: Way) -> None:
    """Change the field at the end of the path, in every item of the lists on the way."""
    if is_list(value):
        for item in value:
            spoil(item, path, way)
    elif is_object(value) and path[0] in value:
        if path[1:]:
            spoil(value[path[0]], path[1:], way)
        elif way == "null":
            value[path[0]] = None
        else:
            del value[path[0]]


class Spoiling:
    """Passes requests on, and changes one field of their answers. What is only read is asked for once.

    ``changed``: whether any answer came out otherwise.
    """

    def __init__(self, app: FastAPI, remembered: dict[str, Response] | None = None) -> None:
        self.inner, self.remembered = HttpTransport("http://localhost", app=app), remembered
        self.spot: Spot | None = None
        self.way: Way = "null"
        self.found = dict[Spot, None]()

    async def send(
        self, method: str, path: str, *, key: SecretStr, timeout_s: float, query: dict[str, str], body: bytes | None
    ) -> Response:
        operation = f"{method} {re.sub(r'/[0-9]+/', '/{id}/', path)}"
        asked = f"{method} {path} {query} {body!r}"
        answer = (self.remembered or {}).get(asked)
        if answer is None:
            answer = await self.inner.send(method, path, key=key, timeout_s=timeout_s, query=query, body=body)
            if self.remembered is not None:
                self.remembered[asked] = answer
        if not answer.body or answer.status >= 300:
            return answer
        if self.spot is None:
            self.found |= dict.fromkeys((operation, place) for place in spots(json.loads(answer.body)))
        elif self.spot[0] == operation:
            value = json.loads(answer.body)
            spoil(value, self.spot[1], self.way)
            return Response(answer.status, json.dumps(value).encode(), "application/json")
        return answer

    async def aclose(self) -> None:
        await self.inner.aclose()


async def whole(context: ToolContext, tool: str, arguments: Json) -> None:
    """The call; of an edit with the plan that it wants, and its undo."""
    text, answer = await ask(context, tool, **arguments)
    checked(tool, text, answer)
    if answer.get("outcome") == "needs_plan":
        text, answer = await ask(context, tool, **arguments, plan_id=answer["plan_id"])
        checked(tool, text, answer)
    if "undo" in answer:
        text, undone = await ask(context, answer["undo"]["tool"], **answer["undo"]["arguments"])
        checked(answer["undo"]["tool"], text, undone)


def checked(tool: str, text: str, answer: Json) -> None:
    assert text
    assert "None" not in text
    result_validator(tool).validate(answer)


async def run(app: FastAPI, tool: str, calls: list[Json], *, edits: bool) -> None:
    """Each field of the answers to a tool's calls, in one of the calls that read it, in turn; ``thorough``: in all."""
    transport = Spoiling(app, None if edits else {})
    client = CekuraClient(transport=transport, key=SecretStr(KEY), now=now, sleep=no_wait)
    context = ToolContext(client, settings(), now)
    readers = defaultdict[Spot, list[Json]](list)
    for arguments in calls:
        if edits:
            restore(app)
        transport.found.clear()
        await whole(context, tool, arguments)
        for spot in transport.found:
            readers[spot].append(arguments)
    told = set[str]()
    for place, spot in enumerate(readers):
        tries = [*product(readers[spot], WAYS)]
        first = place % len(tries)
        for arguments, way in [*tries[first:], *tries[:first]][: some(8)]:
            if edits:
                restore(app)
            transport.spot, transport.way = spot, way
            try:
                await whole(context, tool, arguments)
            except DashboardsError as error:
                told.add(str(error))
            except Exception as error:
                error.add_note(f"{tool} {arguments}: {way} at {spot}")
                raise
    await transport.aclose()
    assert readers
    assert not [text for text in told if not 30 < len(text) < 1000 or "None" in text]


def by_tool(calls: list[tuple[str, Json]]) -> list[Any]:
    tools = dict.fromkeys(tool for tool, _ in calls)
    return [pytest.param(name, [given for tool, given in calls if tool == name], id=name) for name in tools]


@pytest.mark.parametrize(("tool", "calls"), by_tool(READS))
async def test_a_reading_tool_takes_every_field_as_null_or_absent(tool: str, calls: list[Json]) -> None:
    await run(shared_sandbox(count=600), tool, calls, edits=False)


@pytest.mark.parametrize(("tool", "calls"), by_tool(WRITES))
async def test_a_writing_tool_takes_every_field_as_null_or_absent(tool: str, calls: list[Json]) -> None:
    await run(new_sandbox(count=10), tool, calls, edits=True)


def test_every_tool_is_asked() -> None:
    assert {tool for tool, _ in [*READS, *WRITES]} == {tool.name for tool in TOOLS}
