"""Checks of the settings, key, API, clock and chat clients, one line each; they change nothing.

Each entry of a chat client is started as the client would start it. The probe determines, with reads only, how an API
behaves where its documentation is silent. Each answer is from a fixed list, so the report can be shown
to anybody: it contains no names, ids or numbers of calls.
"""

import shlex
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TextIO

import anyio
import msgspec
from msgspec import Struct

from cekura_dashboards.api.chart_data import KNOWN_KEYS, ChartEnvelope, number
from cekura_dashboards.api.errors import DashboardsError, Forbidden, KeyRejected, Unreachable, WrongNetworkSetting
from cekura_dashboards.api.filters import both, instant, time_bounds, within
from cekura_dashboards.api.models import (
    LIMIT,
    MARGIN,
    METRIC_VALUE,
    Dashboard,
    JsonObject,
    as_object,
    is_list,
    is_object,
)
from cekura_dashboards.charts.scores import PASS, PERCENT
from cekura_dashboards.context import ToolContext, gather_all
from cekura_dashboards.text import quoted
from cekura_dashboards_mcp.cli.clients import CLIENTS, ENTRY, KEY, ChatClient, Json, Machine
from cekura_dashboards_mcp.cli.install import PLACEHOLDER, NotInstalled, is_open_to_others, read
from cekura_dashboards_mcp.connection import Connection

if TYPE_CHECKING:
    from mcp.client.stdio import StdioServerParameters

UNSETTLED = "not settled"
MAX_DASHBOARDS = 20
EARLIER = timedelta(days=3)
Rows = list[JsonObject]


class ProbeAnswer(Struct, frozen=True):
    """The answer to one open question; ``reason``: why it could not be settled."""

    question: str
    answer: str
    reason: str = ""


class _Subject(Struct, frozen=True):
    """A saved widget with calls before its date range, for the first two questions."""

    dashboard: Dashboard
    widget_id: int
    earlier: JsonObject


async def probe(context: ToolContext) -> list[ProbeAnswer]:
    """The open questions, each with its answer or the reason why it could not be settled."""
    questions: list[tuple[str, Callable[[ToolContext], Awaitable[ProbeAnswer]]]] = [
        ("override", _override),
        ("preview", _preview),
        ("grouped", _grouped),
        ("booleans", _booleans),
        ("rates", _rates),
        ("binary", _binary),
        ("placeholders", _placeholders),
        ("stat", _stat),
        ("buckets", _buckets),
        ("empty_buckets", _empty_buckets),
        ("predefined", _predefined),
        ("preview_answer", _preview_answer),
        ("call_metadata", _call_metadata),
        ("alerts", _alerts),
        ("page_size", _page_size),
    ]
    answers = list[ProbeAnswer]()
    for question, settle in questions:
        try:
            answers.append(await settle(context))
        except DashboardsError as error:
            answers.append(ProbeAnswer(question, UNSETTLED, type(error).__name__))
    return answers


async def _subject(context: ToolContext) -> _Subject | None:
    """A widget on a dashboard whose date range begins late enough for calls to lie before it."""
    now, dashboards_read = context.now(), 0
    async for rows in context.api.list_dashboards():
        for row in rows:
            start = time_bounds(row.filters, now).start
            if start is None or start - EARLIER < now - LIMIT + MARGIN:
                continue
            dashboards_read += 1
            dashboard = await context.api.get_dashboard(row.id)
            subject = await _usable(context, dashboard, start)
            if subject is not None or dashboards_read >= MAX_DASHBOARDS:
                return subject
    return None


async def _usable(context: ToolContext, dashboard: Dashboard, start: datetime) -> _Subject | None:
    """The first widget that has data before the saved range, as a preview without its dashboard shows."""
    earlier = within(start - EARLIER, start)
    for widget in dashboard.widgets:
        if widget.chart_type not in {"bar", "pie", "line"} or time_bounds(widget.filters, context.now()).start:
            continue
        body = {**widget.definition(), "filters": both(earlier, widget.filters)}
        if _rows(await context.api.preview_data(body)):
            return _Subject(dashboard, widget.id, earlier)
    return None


def _rows(envelope: ChartEnvelope) -> Rows:
    data: Any = msgspec.json.decode(envelope.data)
    return [row for row in data if is_object(row)] if is_list(data) else []


async def _override(context: ToolContext) -> ProbeAnswer:
    """An override with an earlier window finds data only if it replaces the saved range."""
    subject = await _subject(context)
    if subject is None:
        return ProbeAnswer("override", UNSETTLED, "no dashboard has a date range with calls before it")
    envelopes = await context.api.bulk_data([subject.widget_id], subject.earlier)
    return ProbeAnswer("override", "replace" if any(_rows(envelope) for envelope in envelopes) else "merge")


async def _preview(context: ToolContext) -> ProbeAnswer:
    """A preview on a dashboard, with an earlier window, finds data only if it ignores the dashboard's filters."""
    subject = await _subject(context)
    if subject is None:
        return ProbeAnswer("preview", UNSETTLED, "no dashboard has a date range with calls before it")
    widget = next(widget for widget in subject.dashboard.widgets if widget.id == subject.widget_id)
    body = {**widget.definition(), "filters": both(subject.earlier, widget.filters), "dashboard": subject.dashboard.id}
    return ProbeAnswer("preview", "alone" if _rows(await context.api.preview_data(body)) else "merge")


async def _shown(context: ToolContext, days: int = 7, **widget: Any) -> ChartEnvelope:
    now = context.now()
    return await context.api.preview_data({**widget, "filters": within(now - timedelta(days=days), now)})


def _bar(field: str, function: str, period: str = "day") -> JsonObject:
    return {"chart_type": "bar", "field": field, "aggregation_function": function, "time_period": period}


async def _grouped(context: ToolContext) -> ProbeAnswer:
    field = "agent.id"
    rows = _rows(await _shown(context, **_bar("agent_id", "count"), group_by={"type": "field", "field": field}))
    if not rows:
        return ProbeAnswer("grouped", UNSETTLED, "no calls in the last 7 days")
    if any(is_list(row.get("data")) for row in rows):
        return ProbeAnswer("grouped", "nested")
    extra = {key for row in rows for key in row} - KNOWN_KEYS["bar"]
    names = {"group": "key", field: "field", "agent_id": "field"}
    forms = [names[key] for key in sorted(extra) if key in names]
    return ProbeAnswer("grouped", forms[0] if forms else "another key" if extra else "no key")


async def _booleans(context: ToolContext) -> ProbeAnswer:
    rows = _rows(await _shown(context, chart_type="pie", field="success"))
    labels: list[Any] = [row.get("label") for row in rows if row.get("label") is not None]
    if not labels:
        return ProbeAnswer("booleans", UNSETTLED, "no calls in the last 7 days")
    if isinstance(labels[0], bool):
        return ProbeAnswer("booleans", "true")
    return ProbeAnswer("booleans", "1" if isinstance(labels[0], int) else "text")


async def _rates(context: ToolContext) -> ProbeAnswer:
    rows = _rows(await _shown(context, **_bar("success", "avg")))
    values = [value for row in rows if (value := number(row.get("value"))) is not None]
    if any(value > 1 for value in values):
        return ProbeAnswer("rates", "percent")
    if any(0 < value < 1 for value in values):
        return ProbeAnswer("rates", "ratio")
    return ProbeAnswer("rates", UNSETTLED, "every rate of the last 7 days is 0 or 1, or there are none")


async def _pies(context: ToolContext, families: set[str]) -> AsyncIterator[tuple[int, Rows]]:
    """The slices of each metric of these families, with its project."""
    for project in await context.api.projects():
        for metric in await context.api.metrics(project_id=project.id):
            if metric.family in families:
                yield project.id, _rows(await _shown(context, chart_type="pie", field=METRIC_VALUE, metric=metric.id))


async def _binary(context: ToolContext) -> ProbeAnswer:
    """The labels of the slices of pass-or-fail metrics, up to the first metric that a call passes."""
    async for _, rows in _pies(context, {"binary"}):
        labels: list[Any] = [row.get("label") for row in rows]
        scores = {score for label in labels if (score := number(label))}
        if any(isinstance(label, bool) for label in labels):
            return ProbeAnswer("binary", "boolean")
        if scores == {1.0} and (await _booleans(context)).answer == "1":
            return ProbeAnswer("binary", "boolean")  # booleans are written like this in labels
        if scores:
            names = {1.0: "0/1", PASS: "0/5", PERCENT: "percent"}
            return ProbeAnswer("binary", names.get(max(scores), "another") if len(scores) == 1 else "another")
    return ProbeAnswer("binary", UNSETTLED, "no call of the last 7 days passes a binary metric")


async def _placeholders(context: ToolContext) -> ProbeAnswer:
    """Whether a pie of a metric has a slice for calls without an evaluation."""
    end = context.now()
    start = end - timedelta(days=7)
    some_not_evaluated = False
    async for project, rows in _pies(context, {"binary", "enum"}):
        if any(row.get("label") is None and row.get("value") for row in rows):
            return ProbeAnswer("placeholders", "null")
        evaluated = sum(number(row.get("value")) or 0 for row in rows)
        total, _ = await context.api.call_logs(project, {}, start=instant(start), end=instant(end), limit=1)
        some_not_evaluated |= 0 < evaluated < total
    if some_not_evaluated:
        return ProbeAnswer("placeholders", "omit")
    return ProbeAnswer("placeholders", UNSETTLED, "no metric leaves out calls of the last 7 days")


async def _stat(context: ToolContext) -> ProbeAnswer:
    data: Any = msgspec.json.decode((await _shown(context, chart_type="stat")).data)
    return ProbeAnswer("stat", "object" if is_object(data) else "array" if is_list(data) else "another")


async def _buckets(context: ToolContext) -> ProbeAnswer:
    rows = _rows(await _shown(context, **_bar("agent_id", "count")))
    if not rows:
        return ProbeAnswer("buckets", UNSETTLED, "no calls in the last 7 days")
    text = str(rows[0].get("time_interval"))
    try:
        offset = datetime.fromisoformat(text).utcoffset()
    except ValueError:
        return ProbeAnswer("buckets", "no ISO 8601")
    return ProbeAnswer("buckets", "bare" if offset is None else "utc" if not offset else "another zone")


async def _empty_buckets(context: ToolContext) -> ProbeAnswer:
    """How the API sends an hour without calls, such as at night."""
    rows = _rows(await _shown(context, 20, **_bar("success", "avg", "hour")))
    times = [datetime.fromisoformat(str(row.get("time_interval"))) for row in rows]
    if any(row.get("value") is None and not row.get("sample_count") for row in rows):
        return ProbeAnswer("empty_buckets", "null")
    if any(row.get("sample_count") == 0 for row in rows):
        return ProbeAnswer("empty_buckets", "zero")
    if any(later - earlier > timedelta(hours=1) for earlier, later in pairwise(times)):
        return ProbeAnswer("empty_buckets", "omit")
    return ProbeAnswer("empty_buckets", UNSETTLED, "every hour of the last 20 days has calls")


async def _predefined(context: ToolContext) -> ProbeAnswer:
    answer = await context.api.ask("GET", "/dashboards/dashboards/predefined_widgets/")
    data: Any = msgspec.json.decode(answer.body)
    return ProbeAnswer("predefined", "list" if is_list(data) else "object" if is_object(data) else "another")


async def _preview_answer(context: ToolContext) -> ProbeAnswer:
    envelope = await _shown(context, chart_type="stat")
    return ProbeAnswer("preview_answer", "short" if envelope.widget_id is None else "whole")


async def _call_metadata(context: ToolContext) -> ProbeAnswer:
    """Whether a listed call includes its metadata, which is not documented."""
    start, end = context.now() - LIMIT + MARGIN, context.now()
    for project in await context.api.projects():
        _, calls = await context.api.call_logs(project.id, {}, start=instant(start), end=instant(end), limit=1)
        if calls:
            return ProbeAnswer("call_metadata", "present" if calls[0].metadata else "absent")
    return ProbeAnswer("call_metadata", UNSETTLED, "no project has calls")


async def _alerts(context: ToolContext) -> ProbeAnswer:
    """Whether the key may read alerts, a right that is granted per project."""
    rights = set[str]()
    for project in await context.api.projects():
        try:
            await context.api.alerts(project.id)
            rights.add("allowed")
        except Forbidden:
            rights.add("forbidden")
    if not rights:
        return ProbeAnswer("alerts", UNSETTLED, "the key sees no project")
    return ProbeAnswer("alerts", "allowed in some projects" if len(rights) > 1 else rights.pop())


async def _page_size(context: ToolContext) -> ProbeAnswer:
    """The default page size, and whether a larger one can be requested."""
    plain, larger = await _page(context, {}), await _page(context, {"page_size": "100"})
    if plain is None or larger is None or plain[1] <= plain[0]:
        return ProbeAnswer("page_size", UNSETTLED, "there are too few widgets to fill a page")
    return ProbeAnswer(
        "page_size", f"{plain[0]} by default, {'more' if larger[0] > plain[0] else 'no more'} on request"
    )


async def _page(context: ToolContext, query: dict[str, str]) -> tuple[int, int] | None:
    """The number of widgets on one page, and in all."""
    answer = await context.api.ask("GET", "/dashboards/widgets/", query=query)
    data: Any = msgspec.json.decode(answer.body)
    if not is_object(data) or not is_list(data.get("results")) or not isinstance(data.get("count"), int):
        return None
    return len(data["results"]), data["count"]


START_S = 30
"""A start that takes longer is abandoned, as clients do."""
OURS = (ENTRY, "cekura_dashboards_mcp")


class Check(Struct, frozen=True):
    """``passed`` None: it could not be checked, or there is nothing to check; ``text``: what to do then."""

    name: str
    passed: bool | None
    detail: str


class _Entry(Struct, frozen=True):
    client: ChatClient
    name: str
    config: Json

    @property
    def label(self) -> str:
        return f'{self.client.title}, "{quoted(self.name, limit=60)}"'


async def check_entries(machine: Machine) -> list[Check]:
    """A check for each client that is installed; their entries are started together."""
    checks, entries = list[Check](), list[_Entry]()
    here = [client for client in CLIENTS.values() if client.is_here(machine)]
    for client in here:
        try:
            ours = _our_entries(client, machine)
        except NotInstalled as error:
            checks.append(Check(client.title, False, str(error)))
            continue
        entries += ours
        path = client.path(machine)
        if any(client.holds_key(entry.config) for entry in ours) and is_open_to_others(path):
            text = f"other users can read {path}, which contains a key; to fix it: chmod 600 {shlex.quote(str(path))}"
            checks.append(Check(client.title, None, text))
        if not ours:
            text = f"this server is not installed; to add it: cekura-dashboards install {client.name}"
            checks.append(Check(client.title, None, text))
    if not here:
        titles = ", ".join(client.title for client in CLIENTS.values())
        text = f"none of {titles} is installed; for other clients: cekura-dashboards install generic --print"
        return [Check("chat clients", None, text)]
    return [*checks, *await gather_all(_try_entry(entry, machine) for entry in entries)]


def _our_entries(client: ChatClient, machine: Machine) -> list[_Entry]:
    """The entries that start this server, whatever their names."""
    entries = list[_Entry]()
    for name, config in read(client, client.path(machine)).servers.items():
        entry = as_object(config)
        words = client.words(entry) if entry else []
        if name.startswith(ENTRY) or any(ours in str(word) for word in words for ours in OURS):
            entries.append(_Entry(client, name, entry or {}))
    return entries


async def _try_entry(entry: _Entry, machine: Machine) -> Check:
    again = f"replace it: cekura-dashboards install {entry.client.name}"
    launch = entry.client.launch(entry.config, machine.environment)
    if launch is None:
        return Check(entry.label, False, f"is not a valid entry; {again}")
    if launch.env.get(KEY) == PLACEHOLDER:
        return Check(entry.label, False, f"its {KEY} is the placeholder; set yours, or {again}")
    if KEY in launch.missing:
        asks = entry.client.secrets.prompts
        source = f"{entry.client.title} asks for it" if asks else f"it comes from {KEY}, which is not set in this shell"
        return Check(entry.label, None, f"its key is not in the file: {source}; set {KEY} to check the entry from here")
    from mcp import MCPError  # half a second, which a machine without an entry to start is spared
    from mcp.client.stdio import StdioServerParameters

    server = StdioServerParameters(command=launch.command, args=launch.args, env=launch.env)
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as stderr:
        try:
            with anyio.fail_after(START_S):
                return await _start_entry(entry, server, stderr)
        except OSError as error:
            command = quoted(server.command, limit=200)
            return Check(entry.label, False, f"{command} cannot be started ({error.strerror or error}); {again}")
        except (MCPError, ExceptionGroup):
            return Check(entry.label, False, f"does not answer: {_first_line(stderr)}; {again}")


async def _start_entry(entry: _Entry, server: "StdioServerParameters", stderr: TextIO) -> Check:
    """The tools that it lists, and whether the API accepts its key.

    Raises:
        OSError, MCPError, ExceptionGroup: if it does not start, or does not answer.
    """
    from mcp import Client
    from mcp.client.stdio import stdio_client

    from cekura_dashboards_mcp.cli.calls import text_of

    async with Client(stdio_client(server, errlog=stderr)) as client:
        tools = (await client.list_tools()).tools
        info = client.server_info
        version = f" {info.version}" if info and info.version else ""
        answer = await client.call_tool("list_dashboards", {})
    starts = f"starts{version}, {len(tools)} tools"
    if answer.is_error:
        return Check(entry.label, False, f"{starts}, but: {text_of(answer)}")
    return Check(entry.label, True, f"{starts}, and the API answers it")


def _first_line(stderr: TextIO) -> str:
    stderr.seek(0)
    lines = [line.strip() for line in stderr if line.strip()]
    return quoted(lines[0].removeprefix(f"{ENTRY}: ").rstrip("."), limit=300) if lines else "no error output"


SKEW_S = 60
"""A larger clock difference is reported: relative times then mean other instants to the API."""


class Examination(Struct, frozen=True):
    """The checks in order, and the answers of the probe; None if it was not requested."""

    checks: list[Check]
    findings: list[ProbeAnswer] | None

    @property
    def passed(self) -> bool:
        return all(check.passed is not False for check in self.checks)

    def lines(self) -> list[str]:
        """A line for each check, then the report of the probe."""
        marks = {True: "ok  ", False: "FAIL", None: "?   "}
        lines = [f"{marks[check.passed]} {check.name}: {check.detail}" for check in self.checks]
        return [*lines, "", *report(self.findings)] if self.findings is not None else lines

    def to_json(self) -> dict[str, Any]:
        """The same as JSON; ``passed`` is null if it could not be checked."""
        data = {"version": version("cekura-dashboards-mcp"), "passed": self.passed, **msgspec.to_builtins(self)}
        return {name: value for name, value in data.items() if value is not None}


async def examine(connection: Connection, machine: Machine | None, *, with_probe: bool) -> Examination:
    """Check everything. ``machine`` None: leave its chat clients out."""
    try:
        clients = await check_entries(machine) if machine else []
        checks = await check_connection(connection, has_client=any(check.passed for check in clients))
        passed = all(check.passed is not False for check in checks)
        findings = None
        if with_probe and passed and connection.settings.api_key is not None:
            findings = await probe((await connection.tool_context(None)).for_one_call())
        return Examination(checks + clients, findings)
    finally:
        await connection.aclose()


async def check_connection(connection: Connection, *, has_client: bool) -> list[Check]:
    """Check settings, key, API and clock in turn; checks that depend on a failed one are skipped.

    ``has_client``: a chat client of this machine has a key that works, so that none is needed here.
    """
    settings = connection.settings
    settings_text = (
        f"{settings.base_url}, time zone {settings.time_zone or 'of the project'}, {settings.timeout_s:g} s a call"
    )
    checks = [Check("settings", True, settings_text + (", read-only" if settings.read_only else ""))]
    if settings.api_key is None:
        if has_client:
            return [*checks, Check("key", None, "none in this shell; set CEKURA_API_KEY to check the API from here")]
        return [*checks, Check("key", False, "none; set CEKURA_API_KEY, or try --sandbox")]
    checks.append(Check("key", True, f"given, digest {connection.caller(None)}"))
    try:
        context = (await connection.tool_context(None)).for_one_call()
    except WrongNetworkSetting as error:
        return [*checks, Check("API", False, str(error))]
    return [*checks, *await _check_api(context)]


async def _check_api(context: ToolContext) -> list[Check]:
    try:
        answer = await context.api.ask("GET", "/user/v1/projects/")
        projects = await context.api.projects()
    except Unreachable as error:
        return [Check("API", False, str(error))]
    except KeyRejected as error:
        return [Check("API", True, "answers"), Check("key", False, str(error))]
    except DashboardsError as error:
        return [Check("API", False, str(error))]
    wanted = context.settings.project_id
    visible = Check("projects", bool(projects), f"{len(projects)} visible" if projects else "none visible to this key")
    if wanted is not None and wanted not in {project.id for project in projects}:
        visible = Check(
            "projects", False, f"CEKURA_PROJECT_ID is {wanted}, which this key cannot see; look_up projects"
        )
    return [
        Check("API", True, "answers"),
        Check("key", True, "accepted"),
        visible,
        check_clock(answer.date, context.now()),
    ]


def check_clock(date: str | None, now: datetime) -> Check:
    """Compare this machine's clock with the API's ``Date`` header."""
    try:
        theirs = parsedate_to_datetime(date or "")
        ahead_s = (theirs - now).total_seconds()
    except (TypeError, ValueError):
        return Check("clock", None, "the API does not send its time")
    difference_text = f"the API is {abs(ahead_s):.0f} s {'ahead' if ahead_s > 0 else 'behind'}"
    return Check(
        "clock",
        abs(ahead_s) <= SKEW_S or None,
        difference_text + ("" if abs(ahead_s) <= SKEW_S else "; correct this machine's clock"),
    )


MEANINGS = {
    ("override", "replace"): "an override replaces the saved filters",
    ("override", "merge"): "an override is combined with the saved filters (AND)",
    ("preview", "alone"): "a preview uses its own filters only",
    ("preview", "merge"): "a preview also uses the filters of its dashboard",
    ("binary", "boolean"): "a pass is true or 1",
    ("binary", "0/1"): "a pass is 1",
    ("binary", "0/5"): "a pass is 5",
    ("binary", "percent"): "a pass is 100",
    ("placeholders", "omit"): "charts leave out calls that a metric was not evaluated on",
    ("placeholders", "null"): "calls that a metric was not evaluated on are null in its charts",
}


def report(findings: list[ProbeAnswer]) -> list[str]:
    """Lines that can be pasted anywhere."""
    lines = [
        f"cekura-dashboards {version('cekura-dashboards-mcp')}: how this API behaves where its documentation is silent"
    ]
    for finding in findings:
        meaning = MEANINGS.get((finding.question, finding.answer)) or finding.reason
        lines.append(f"  {finding.question}: {finding.answer}" + (f" ({meaning})" if meaning else ""))
    return lines
