"""Each field of each answer null or absent: every tool answers within its schema or reports an error."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

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
    BY_NAME,
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
    scaled_examples,
    settings,
    shared_sandbox,
)

pytestmark = [pytest.mark.anyio, pytest.mark.no_cover]


class Removal(NamedTuple):
    """How a field is changed: in every row of the lists that contain it or in one, and removed or null."""

    everywhere: bool
    absent: bool


REMOVALS = [Removal(everywhere=everywhere, absent=absent) for everywhere, absent in product((False, True), repeat=2)]
FieldPath = tuple[str, tuple[str, ...]]
"""An operation, and the keys that lead to a field of its answers, without indices of lists."""
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
USER_DEFINED = {"filters", "effective_filters", "metadata", "filter_value"}
"""Fields whose content users define."""
DEFINING_FIELDS = {
    "chart_type", "field", "metric", "aggregation_function", "dashboard", "project", "widgets", "results", "count",
    "source_id",
}  # fmt: skip
"""Fields of the requested chart, dashboard, alert or page that define what it shows."""
MAX_FIELDS_PER_CALL = 4
"""Fields that are changed in one call. With more, an error of one repeats too many others alone."""


def field_paths(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if is_list(value):
        for item in value[:3]:
            yield from field_paths(item, path)
    elif is_object(value):
        for name, inner in value.items():
            yield (*path, name)
            if name not in USER_DEFINED:
                yield from field_paths(inner, (*path, name))


def remove_field(value: Any, path: tuple[str, ...], removal: Removal) -> bool:
    """Change the field at the end of the path: in every item of the lists on the path, or in the first that has it.

    Returns whether anything was changed.
    """
    if is_list(value):
        changes = (remove_field(item, path, removal) for item in value)
        return any([*changes] if removal.everywhere else changes)
    if not is_object(value) or path[0] not in value:
        return False
    if path[1:]:
        return remove_field(value[path[0]], path[1:], removal)
    if removal.absent:
        del value[path[0]]
    else:
        value[path[0]] = None
    return True


def is_required(field_path: FieldPath) -> bool:
    """Whether every tool needs this field of one row, or of the only requested record."""
    *rows, name = field_path[1]
    return name == "id" or (not rows and name in DEFINING_FIELDS)


def is_defining(field_path: FieldPath) -> bool:
    """Whether this field of the only requested record is one without which few answers make sense."""
    *rows, name = field_path[1]
    return not rows and name in {"id", *DEFINING_FIELDS}


def hides(one: FieldPath, other: FieldPath) -> bool:
    """Whether one of these fields may hide the other: of the same answers, and it contains it or defines its record."""
    shorter, names = min(len(one[1]), len(other[1])), {one[1][-1], other[1][-1]}
    return one[0] == other[0] and (one[1][:shorter] == other[1][:shorter] or bool(names & {"id", *DEFINING_FIELDS}))


class FieldRemover:
    """Forwards requests and changes fields of the answers. Reads are remembered and sent once.

    ``fields``: the fields that are changed; none: all are noted. ``changed``: those of them that an answer contained.
    """

    def __init__(self, app: FastAPI, remembered: dict[str, Response] | None = None) -> None:
        self.inner, self.remembered = HttpTransport("http://localhost", app=app), remembered
        self.fields = list[FieldPath]()
        self.removal = REMOVALS[0]
        self.field_paths, self.changed = dict[FieldPath, None](), set[FieldPath]()

    async def send(
        self, method: str, path: str, *, key: SecretStr, timeout_s: float, query: dict[str, str], body: bytes | None
    ) -> Response:
        operation = f"{method} {re.sub(r'/[0-9]+/', '/{id}/', path)}"
        cache_key = f"{method} {path} {query} {body!r}"
        answer = (self.remembered or {}).get(cache_key)
        if answer is None:
            answer = await self.inner.send(method, path, key=key, timeout_s=timeout_s, query=query, body=body)
            if self.remembered is not None:
                self.remembered[cache_key] = answer
        if not answer.body or answer.status >= 300:
            return answer
        if not self.fields:
            self.field_paths |= dict.fromkeys((operation, place) for place in field_paths(json.loads(answer.body)))
        elif fields := [field for field in self.fields if field[0] == operation]:
            value: Any = json.loads(answer.body)
            self.changed |= {field for field in fields if remove_field(value, field[1], self.removal)}
            return Response(answer.status, json.dumps(value).encode(), "application/json")
        return answer

    async def aclose(self) -> None:
        await self.inner.aclose()


async def call_and_undo(context: ToolContext, tool: str, arguments: Json) -> None:
    """Make the call; for an edit with its plan, and its undo."""
    text, answer = await ask(context, tool, **arguments)
    assert_valid(tool, text, answer)
    if answer.get("outcome") == "needs_plan":
        text, answer = await ask(context, tool, **arguments, plan_id=answer["plan_id"])
        assert_valid(tool, text, answer)
    if "undo" in answer:
        text, undone = await ask(context, answer["undo"]["tool"], **answer["undo"]["arguments"])
        assert_valid(answer["undo"]["tool"], text, undone)


def assert_valid(tool: str, text: str, answer: Json) -> None:
    assert text
    assert "None" not in text
    result_validator(tool).validate(answer)


@dataclass
class Attempt:
    """A call in which these fields are changed at once."""

    arguments: Json
    removal: Removal
    field_paths: list[FieldPath]

    def has_room(self, arguments: Json, removal: Removal, field_path: FieldPath) -> bool:
        same = self.arguments is arguments and self.removal == removal and len(self.field_paths) < MAX_FIELDS_PER_CALL
        return same and not any(is_defining(one) or hides(one, field_path) for one in self.field_paths)


def attempts_of(readers: dict[FieldPath, list[Json]], turn: int) -> list[Attempt]:
    """Each field in one call that reads it and with one removal, the next at each ``turn``; in ``thorough`` with all.

    A field whose removal is likely an error is changed alone, any other in the first such call that has room for it.
    """
    attempts = list[Attempt]()
    for place, field_path in enumerate(readers):
        variants = [*product(readers[field_path], REMOVALS)]
        first = (place + turn) % len(variants)
        untried, wanted = [*variants[first:], *variants[:first]], scaled_examples(8)
        for attempt in [] if is_defining(field_path) else attempts:
            variant = attempt.arguments, attempt.removal
            if wanted and variant in untried and attempt.has_room(*variant, field_path):
                attempt.field_paths.append(field_path)
                untried.remove(variant)
                wanted -= 1
        attempts += [Attempt(arguments, removal, [field_path]) for arguments, removal in untried[:wanted]]
    return attempts


@dataclass
class Run:
    """One tool over a sandbox whose answers are changed."""

    app: FastAPI
    tool: str
    edits: bool

    def __post_init__(self) -> None:
        self.transport = FieldRemover(self.app, None if self.edits else {})
        client = CekuraClient(transport=self.transport, key=SecretStr(KEY), now=now, sleep=no_wait)
        self.context = ToolContext(client, settings(), now)

    async def readers(self, calls: list[Json]) -> dict[FieldPath, list[Json]]:
        """The calls that read each field."""
        arguments_by_path = defaultdict[FieldPath, list[Json]](list)
        for arguments in calls:
            self.transport.field_paths.clear()
            await self._whole(arguments)
            for field_path in self.transport.field_paths:
                arguments_by_path[field_path].append(arguments)
        return arguments_by_path

    async def error_of(self, attempt: Attempt) -> str | None:
        self.transport.fields, self.transport.removal = attempt.field_paths, attempt.removal
        self.transport.changed.clear()
        try:
            await self._whole(attempt.arguments)
        except DashboardsError as error:
            return str(error)
        except Exception as error:
            error.add_note(f"{self.tool} {attempt}")
            raise
        return None

    async def _whole(self, arguments: Json) -> None:
        if self.edits:
            restore(self.app)
        await call_and_undo(self.context, self.tool, arguments)


async def run(app: FastAPI, tool: str, calls: list[Json], *, edits: bool) -> None:
    """Change several fields at once; after an error, each alone."""
    tool_run = Run(app, tool, edits)
    attempts, errors = attempts_of(await tool_run.readers(calls), [*BY_NAME].index(tool)), list[tuple[Attempt, str]]()
    assert attempts
    while attempts:
        one = attempts.pop()
        error = await tool_run.error_of(one)
        if len(one.field_paths) > 1:
            again = one.field_paths if error else {*one.field_paths} - tool_run.transport.changed
            attempts += [Attempt(one.arguments, one.removal, [field_path]) for field_path in again]
        elif error:
            errors.append((one, error))
    await tool_run.transport.aclose()
    assert not [text for _, text in errors if not 30 < len(text) < 1000 or "None" in text]
    if not edits:  # edits compare their writes with the answer
        assert [
            error for error in errors if not error[0].removal.everywhere and not is_required(error[0].field_paths[0])
        ] == []


def by_tool(calls: list[tuple[str, Json]]) -> list[Any]:
    tools = dict.fromkeys(tool for tool, _ in calls)
    return [pytest.param(name, [given for tool, given in calls if tool == name], id=name) for name in tools]


@pytest.mark.parametrize(("tool", "calls"), by_tool(READS))
async def test_reading_tools_accept_every_field_as_null_or_absent(tool: str, calls: list[Json]) -> None:
    await run(shared_sandbox(count=600), tool, calls, edits=False)


@pytest.mark.parametrize(("tool", "calls"), by_tool(WRITES))
async def test_writing_tools_accept_every_field_as_null_or_absent(tool: str, calls: list[Json]) -> None:
    await run(new_sandbox(count=10), tool, calls, edits=True)


def test_every_tool_is_called_with_nullable_fields() -> None:
    assert {tool for tool, _ in [*READS, *WRITES]} == {tool.name for tool in TOOLS}
