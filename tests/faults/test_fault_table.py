"""Every fault with every tool, over real connections: what is answered, sent and stored."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from itertools import product
from typing import Any

import anyio.lowlevel
import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from cekura_dashboards import ToolContext
from cekura_dashboards.api import errors
from cekura_dashboards.api.client import CekuraClient
from cekura_dashboards.api.transport import HttpTransport
from cekura_dashboards.api.wire import Response
from cekura_sandbox.faults import KINDS, Fault
from support import (
    BY_NAME,
    KEY,
    LOOP_TURNS,
    PLAIN_HTTP,
    Json,
    Recorder,
    ask,
    content,
    is_write,
    new_sandbox,
    no_wait,
    now,
    open_tools,
    restore,
    sample_calls,
    served,
    settings,
)

pytestmark = pytest.mark.anyio
PIE: Json = {"name": "Topics again", "chart_type": "pie", "field": "topic"}
CALLS: dict[str, tuple[str, Json]] = {
    "list_dashboards": ("list_dashboards", {}),
    "get_dashboard": ("get_dashboard", {"dashboard_id": 12}),
    "look_up agents": ("look_up", {"kind": "agents"}),
    "look_up values": ("look_up", {"kind": "values", "field": "topic"}),
    "get_widgets_data": ("get_widgets_data", {"widget_ids": [201, 204]}),
    "preview_widget": ("preview_widget", {"widget": PIE, "dashboard_id": 11}),
    "preview_edit": ("preview_edit", {"dashboard_id": 12, "create": [PIE], "delete": [211]}),
    "check_dashboard": ("check_dashboard", {"dashboard_id": 12}),
    "list_calls": ("list_calls", {"widget_id": 205, "limit": 2}),
    "find_changes": ("find_changes", {"dashboard_ids": [12]}),
    "explain_change": ("explain_change", {"widget_id": 203, "window": "5d", "by": ["agent.id"]}),
}
WRITES: dict[str, tuple[str, Json]] = {
    "update_widget": ("update_widget", {"widget_id": 203, "changes": {"name": "Renamed"}}),
    "bulk_edit_dashboard": (
        "bulk_edit_dashboard",
        {"dashboard_id": 11, "create": [PIE], "update": [{"id": 202, "name": "Renamed"}]},
    ),
    "create_dashboard": ("create_dashboard", {"name": "New", "project_id": 1}),
    "create_dashboard copy": ("create_dashboard", {"name": "Copied", "copy_of": 12}),
    "update_dashboard": ("update_dashboard", {"dashboard_id": 12, "name": "Renamed"}),
    "delete_dashboard": ("delete_dashboard", {"dashboard_id": 13}),
    "copy_widgets": ("copy_widgets", {"widget_ids": [203], "dashboard_ids": [12]}),
    "update_dashboard daily report": ("update_dashboard", {"dashboard_id": 12, "daily_report": "add"}),
    "save_alert": ("save_alert", {"metric": 501, "project_id": 1, "kind": "trend"}),
    "save_alert change": ("save_alert", {"alert_id": 701, "action": "off"}),
    "save_alert delete": ("save_alert", {"alert_id": 703, "action": "delete"}),
}
CALLS.update({call[0]: call for call in sample_calls([tool for tool, _ in CALLS.values()], writes=False)})
WRITES.update({call[0]: call for call in sample_calls([tool for tool, _ in WRITES.values()], writes=True)})
IN_STEPS: dict[str, tuple[str, Json]] = {
    "create_dashboard with widgets": ("create_dashboard", {"name": "New", "project_id": 1, "widgets": [PIE]}),
    "copy_widgets to two": ("copy_widgets", {"widget_ids": [203], "dashboard_ids": [12, 13]}),
}
WRITING_METHODS = ("PATCH", "POST", "DELETE")
RECOVERED_BY_RETRY = {
    "rate_limited",
    "error_502",
    "error_503",
    "drop_before",
    "drop_after",
    "latency",
    "trickling",
}
"""Faults that a retry hides from the caller of a reading tool, if they occur once."""
OUTCOMES = {
    "drop_before": "unknown", "error_502": "unknown", "error_503": "not applied", "drop_after": "applied",
    "error_500": "not applied", "truncated": "applied", "html": "not applied", "rate_limited": "applied",
    "wrong_types": "applied", "redirect": "not applied", "compressed": "not applied", "trickling": "applied",
}  # fmt: skip
"""By fault: what becomes of the write that it hits, and the outcome that is reported."""
FAILS_ONCE = {
    "look_up agents": "/aiagents/",
    "look_up values": "/preview_data/",
    "get_widgets_data": "/bulk_data/",
    "preview_widget": "/preview_data/",
    "preview_edit": "/preview_data/",
    "list_calls": "/call-logs",
    "explain_change": "/call-logs",
    "find_changes": "/dashboards/12/",
    "preview_alert": "/preview_data/",
}
"""By call: the request that one fault hits; by default the first one."""


MAX_BODY_BYTES = 2**19
SETTINGS = settings()


def fault(kind: Any, **fields: Any) -> Fault:
    value = {"latency": "0.01", "huge": str(2 * MAX_BODY_BYTES), "compressed": str(2 * MAX_BODY_BYTES)}.get(kind)
    return Fault(kind, value, **fields)


class FaultsOverHttp:
    """Sends over a connection what a fault hits, each repeat of it, each write, and what was not yet asked.

    Other reads are answered from memory: what the sandbox answers depends only on the writes before.
    """

    def __init__(self, app: FastAPI, connection: HttpTransport) -> None:
        self._app, self._connection = app, connection
        self._answers = dict[tuple[str, ...], Response]()
        self._writes, self._hit = list[str](), set[str]()
        self._under_way = list[Fault]()

    def restart(self) -> None:
        """Forget all writes and faults, as the sandbox was restored."""
        self._writes.clear()
        self._hit.clear()

    async def send(
        self, method: str, path: str, *, key: SecretStr, timeout_s: float, query: dict[str, str], body: bytes | None
    ) -> Response:
        request = f"{method} {path} {query} {body!r}"
        place = (*self._writes, request)
        fault = self._next_fault(method, path)
        if fault:
            self._hit.add(request)
        elif place in self._answers and request not in self._hit:
            for _ in range(LOOP_TURNS):  # so that requests overlap, as they do over a connection
                await anyio.lowlevel.checkpoint()
            return self._answers[place]
        self._under_way += [fault] if fault else []
        try:
            answer = await self._connection.send(method, path, key=key, timeout_s=timeout_s, query=query, body=body)
        finally:
            self._under_way = [one for one in self._under_way if one is not fault]
            if is_write(method, path):
                self._writes.append(f"{fault.kind if fault else None} {request}")
        if not is_write(method, path) and not fault and not self._next_fault(method, path):
            self._answers[place] = answer
        return answer

    def _next_fault(self, method: str, path: str) -> Fault | None:
        """The fault that hits this request next; one that occurs once hits the first of concurrent requests."""
        coming = (one for one in self._app.state.faults.coming if one.matches(method, path))
        return next(
            (one for one in coming if one.times is None or all(one is not sent for sent in self._under_way)), None
        )

    async def aclose(self) -> None:
        await self._connection.aclose()


@asynccontextmanager
async def faulty_transport(app: FastAPI) -> AsyncGenerator[FaultsOverHttp]:
    async with served(app) as url:
        transport = FaultsOverHttp(app, HttpTransport(url, max_body_bytes=MAX_BODY_BYTES))
        try:
            yield transport
        finally:
            await transport.aclose()


def tools_over(transport: FaultsOverHttp) -> tuple[ToolContext, Recorder]:
    """A new context, which has read nothing yet, and the recorder of its requests."""
    recorder = Recorder(transport)
    client = CekuraClient(transport=recorder, key=SecretStr(KEY), now=now, sleep=no_wait)
    return ToolContext(client, SETTINGS, now), recorder


@pytest.mark.no_cover
@pytest.mark.parametrize("call", CALLS)
async def test_reading_tools_answer_correctly_or_report_every_fault(
    call: str, golden: Callable[[str, str], None]
) -> None:
    """The golden table holds the outcome of each fault, occurring once and lasting."""
    app = new_sandbox(count=500)
    tool, arguments = CALLS[call]
    outcomes = dict[str, list[str]]()
    async with faulty_transport(app) as transport:
        context, recorder = tools_over(transport)
        complete = await ask(context, tool, **arguments)
        for kind, lasting in product(KINDS, (False, True)):
            app.state.faults.clear()
            transport.restart()
            recorder.sent.clear()
            once = {"times": 1, "path": FAILS_ONCE.get(call, "")}
            app.state.faults.add(fault(kind, **{"times": None} if lasting else once))
            try:
                observed: Any = await ask(context, tool, **arguments)
            except errors.DashboardsError as error:
                observed = error
            if isinstance(observed, errors.DashboardsError):
                assert lasting or kind not in RECOVERED_BY_RETRY
                assert_honest(str(observed))
                outcome = type(observed).__name__
            elif observed == complete:
                outcome = "right"
            else:
                assert is_incomplete(observed[1], complete[1])
                outcome = "incomplete, and says so"
            outcomes.setdefault(kind, []).append(outcome)
            assert [entry[2] for entry in app.state.faults.log if entry[2]], "the fault hit a request"
            assert len(recorder.sent) < 40
            assert recorder.writes() == []
    golden(f"faults-{call}.txt", as_table(["fault", "once", "lasting"], outcomes))


def is_incomplete(answer: Json, complete: Json) -> bool:
    """Whether only this answer states that some of it could not be read or tested."""
    return reports_gaps(answer) and not reports_gaps(complete)


def reports_gaps(answer: Json) -> bool:
    reports = [*answer.get("widgets", []), *(effect["report"] for effect in answer.get("effects", []))]
    missing = {"not_tested", "charts_unread"} & {*answer} or any("error" in report for report in reports)
    return bool(missing) or "could not be read" in str(answer)


def as_table(head: list[str], rows: dict[str, list[str]]) -> str:
    return "\n".join(" | ".join(cells) for cells in [head, *([name, *outcomes] for name, outcomes in rows.items())])


def assert_honest(text: str) -> None:
    """The error is short and contains no internals of the API."""
    assert 30 < len(text) < 400
    assert KEY not in text
    for inner in ("db-7", "gw-17", "<html", "Traceback", "elsewhere.invalid"):
        assert inner not in text


async def with_plan(context: Any, tool: str, arguments: Json) -> Json:
    """The arguments, with a plan_id if the tool needs one."""
    if tool != "delete_dashboard" and arguments.get("action") != "delete":
        return arguments
    _, plan = await ask(context, tool, **arguments)
    return {**arguments, "plan_id": plan["plan_id"]}


async def carried_out(call: str) -> tuple[Json, str]:
    """The arguments of an edit, with its plan, and what a separate sandbox stores after it."""
    app = new_sandbox(count=10)
    tool, arguments = {**WRITES, **IN_STEPS}[call]
    async with open_tools(app) as (context, _):
        arguments = await with_plan(context, tool, arguments)
        await ask(context, tool, **arguments)
    return arguments, repr(content(app))


PLACES = ("read", "write", "read back too")


@pytest.mark.no_cover
@pytest.mark.parametrize("call", [*WRITES, *IN_STEPS])
async def test_writing_tools_report_what_was_stored_after_every_fault(
    call: str, golden: Callable[[str, str], None]
) -> None:
    """The golden table holds the outcome of each fault by the request that it hits."""
    app = new_sandbox(count=10)
    before, (arguments, done) = repr(content(app)), await carried_out(call)
    tool, _ = {**WRITES, **IN_STEPS}[call]
    async with faulty_transport(app) as transport:
        outcomes = dict[str, list[str]]()
        for kind, hit_request in product(KINDS, PLACES):
            outcome = await outcome_under_fault(app, transport, kind, tool, arguments, hit_request)
            outcomes.setdefault(kind, []).append(outcome)
            check_stored(call, outcome, before, repr(content(app)), done)
    if call in WRITES:
        assert {kind: outcomes[kind][PLACES.index("write")] for kind in OUTCOMES} == OUTCOMES
    golden(f"faults-{call}.txt", as_table(["fault", *PLACES], outcomes))


async def outcome_under_fault(
    app: FastAPI, transport: FaultsOverHttp, kind: str, tool: str, arguments: Json, place: str
) -> str:
    """The reported outcome of an edit that a fault hit."""
    restore(app)
    transport.restart()
    context, recorder = tools_over(transport)
    if place == "read":
        app.state.faults.add(fault(kind, method="GET"))
    else:
        app.state.faults.add(*(fault(kind, method=method) for method in WRITING_METHODS))
        if place == "read back too":
            recorder.after = lambda sent: (
                app.state.faults.add(fault(kind, method="GET", times=None)) if sent.method == "GET" else None
            )
    return await outcome_of(context, tool, arguments)


def check_stored(call: str, outcome: str, before: str, after: str, done: str) -> None:
    """Compare the reported outcome with what is stored before, after, and after the same edit without a fault."""
    if call in WRITES:
        assert after in {before, done}, "no edit is applied twice or in part"
    if outcome == "applied":
        assert after == done
    elif outcome == "not applied":
        assert after == before
    elif outcome == "partly_applied":
        assert call in IN_STEPS
        assert after != before


async def outcome_of(context: Any, tool: str, arguments: Json) -> str:
    """The reported outcome: ``applied``, ``partly_applied``, ``not applied`` or ``unknown``."""
    try:
        _, receipt = await ask(context, tool, **arguments)
    except errors.EditFailed as error:
        assert_honest(str(error))
        results = set(error.outcomes.values())
        return results.pop() if len(results) == 1 else "unknown"
    except errors.DashboardsError as error:
        assert_honest(str(error))
        return "not applied"
    assert receipt["outcome"] in {"applied", "partly_applied"}
    return str(receipt["outcome"])


async def test_faults_can_be_injected_by_route_and_by_header() -> None:

    app = new_sandbox(count=10)
    async with (
        served(app) as url,
        httpx.AsyncClient(**PLAIN_HTTP, base_url=url, headers={"X-CEKURA-API-KEY": KEY}) as http,
    ):
        await http.post("/sandbox/faults/", json={"kind": "rate_limited", "value": "7", "path": "/projects/"})
        first = await http.get("/user/v1/projects/")
        assert (first.status_code, first.headers["retry-after"]) == (429, "7")
        assert (await http.get("/user/v1/projects/")).status_code == 200
        assert (await http.get("/user/v1/projects/", headers={"X-Sandbox-Fault": "error_500"})).status_code == 500
        faults = (await http.get("/sandbox/faults/")).json()
        assert [entry[2] for entry in faults["log"]] == ["rate_limited", "", "error_500"]
        assert (await http.delete("/sandbox/faults/")).json() == {"coming": [], "log": []}


def test_every_tool_is_in_the_fault_table() -> None:
    assert {tool for tool, _ in [*CALLS.values(), *WRITES.values()]} == set(BY_NAME)
