"""Typed calls of the Cekura dashboards API, each with its retries.

Retries never exceed the deadline. A write that may have reached the API is never repeated.
"""

import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from urllib.parse import parse_qsl, urlsplit

import anyio
import msgspec
from msgspec import Struct, field
from pydantic import SecretStr

from cekura_dashboards.api.chart_data import ChartEnvelope, SentChart
from cekura_dashboards.api.errors import (
    ApiFault,
    ConnectionBroken,
    DashboardsError,
    DeadlinePassed,
    Forbidden,
    KeyRejected,
    NotFound,
    NotSent,
    RateLimited,
    Refused,
    UnexpectedStatus,
    UnreadableAnswer,
)
from cekura_dashboards.api.models import (
    Agent,
    Alert,
    BulkResult,
    CallLog,
    CallLogs,
    Dashboard,
    DashboardRow,
    JsonObject,
    Metric,
    Project,
    SomeWidgets,
    Widget,
    WidgetConfig,
)
from cekura_dashboards.api.records import (
    AuditLog,
    CallDetails,
    FailureCalls,
    FailureMode,
    History,
    audit_log_of,
    call_details_of,
    failure_calls_of,
    failure_modes_of,
    history_of,
    joined,
    slug_path,
)
from cekura_dashboards.api.wire import (
    CALLS,
    CHARTS,
    RECORDS,
    CountedPage,
    DailyReport,
    Page,
    Response,
    ScorePage,
    Size,
    Transport,
    check_same_id,
    decode,
    messages_of,
    objects_in,
    parse,
    parse_list,
    parse_projects,
    usage,
    within,
)
from cekura_dashboards.values import replace

if TYPE_CHECKING:
    from tenacity import RetryCallState

MAX_ATTEMPTS = 4
FIRST_WAIT_S = 0.25
MAX_WAIT_S = 4.0
MAX_RETRY_AFTER_S = 20.0
"""For a longer ``Retry-After`` there is no retry: the error says how long to wait."""
MAX_PAUSE_S = 300.0
"""The maximum of ``Retry-After``, so that one absurd value cannot lock a key out."""
PASSING_FAULTS = {502, 503, 504}

_ID = re.compile(r"\d{1,18}", re.ASCII)
_SECONDS = re.compile(r"\d+(\.\d*)?", re.ASCII)
Sleep = Callable[[float], Awaitable[None]]


PAUSE_S = 1.0
"""After a 429 without ``Retry-After``."""


@dataclass
class Pace:
    """The API's last rate limit for a key, respected by all calls with that key."""

    _until: float = 0.0

    def wait_turn(self) -> None:
        """Send nothing while the API's pause lasts.

        Raises:
            RateLimited: with the rest of the pause and some jitter, so that callers do not return at once.
        """
        remaining = self._until - anyio.current_time()
        if remaining > 0:
            raise RateLimited(min(remaining * random.uniform(1, 1.25), MAX_PAUSE_S))  # noqa: S311 - jitter

    def pause(self, wait_s: float | None) -> None:
        self._until = max(self._until, anyio.current_time() + (PAUSE_S if wait_s is None else wait_s))


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Seconds to wait according to a ``Retry-After`` header (seconds or a date), at most five minutes.

    None if it is absent or unreadable; 0 for a past date.

    >>> from datetime import datetime, UTC
    >>> now = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    >>> retry_after_s("7", now), retry_after_s("Sat, 21 Nov 2026 12:01:00 GMT", now), retry_after_s("soon", now)
    (7.0, 60.0, None)
    """
    if header is None:
        return None
    text = header.strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), MAX_PAUSE_S)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - now).total_seconds()), MAX_PAUSE_S)


def is_worth_retrying(error: BaseException, *, safe: bool) -> bool:
    """``safe``: the request can be repeated, as reads can."""
    if isinstance(error, NotSent | RateLimited):
        return True
    return safe and (
        isinstance(error, ConnectionBroken) or (isinstance(error, ApiFault) and error.status in PASSING_FAULTS)
    )


async def with_retries(
    first: DashboardsError,
    attempt: Callable[[], Awaitable[Response]],
    *,
    safe: bool,
    remaining_s: Callable[[], float],
    sleep: Sleep,
) -> Response:
    """Run ``attempt`` until it succeeds, fails for good, or the next wait would exceed the deadline.

    ``first``: the error of the first attempt, already made.
    """
    if not is_worth_retrying(first, safe=safe):
        raise first
    failed = [first]
    import tenacity  # noqa: PLC0415 - needed only after a failure

    async def again() -> Response:
        """The failed attempt counts as the first."""
        if failed:
            raise failed.pop()
        return await attempt()

    def wait(state: "RetryCallState") -> float:
        error = state.outcome.exception() if state.outcome else None
        requested = error.wait_s if isinstance(error, RateLimited | ApiFault) else None
        if requested is not None:
            return requested
        ceiling = min(MAX_WAIT_S, FIRST_WAIT_S * 2 ** (state.attempt_number - 1))
        return random.uniform(ceiling / 2, ceiling)  # noqa: S311 - jitter

    def stop(state: "RetryCallState") -> bool:
        upcoming = state.upcoming_sleep
        return state.attempt_number >= MAX_ATTEMPTS or upcoming > min(MAX_RETRY_AFTER_S, remaining_s())

    retrying = tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception(lambda error: is_worth_retrying(error, safe=safe)),
        wait=wait,
        stop=stop,
        sleep=sleep,
        reraise=True,
    )
    return await retrying(again)


T = TypeVar("T")
ALERTS = "/observability/v1/alerts/"
MAX_PAGES = 100
REFUSALS = {401, 403, 404}
PAGE_SIZE = 100
"""Requested page size; the API may return fewer."""
HISTORY_SIZE = 25
"""Page size of a history, whose versions include whole prompts."""
FAILURE_MODES = "/observability/v1/metric-failure-mode-insights/categories/"


def utc_now() -> datetime:
    return datetime.now(UTC)


def _nothing() -> None:
    """Do nothing."""


class _Request(NamedTuple):
    """``about``: the kind and id of the requested thing. ``deadline``: by the event loop's clock.

    ``alone``: a refusal says nothing about other data.
    """

    method: str
    path: str
    query: dict[str, str]
    body: bytes | None
    about: tuple[str, int | str | None]
    deadline: float
    alone: bool = False

    def remaining_s(self) -> float:
        return self.deadline - anyio.current_time()


class CekuraClient(Struct, frozen=True, kw_only=True):
    """The API for one key. Cheap to create: the connections belong to ``transport``, which many clients share.

    Every method takes at most ``timeout_s``, retries and pages included; after ``within`` that holds for all methods
    together. They raise the errors of ``cekura_dashboards.api.errors``. ``refused`` is called on every 401, 403 and
    404. ``pace``: shared by all clients of a key. ``remedy``: what to do about a rejected key.
    """

    transport: Transport
    key: SecretStr
    timeout_s: float = 30.0
    deadline: float | None = None
    now: Callable[[], datetime] = utc_now
    sleep: Sleep = anyio.sleep
    refused: Callable[[], None] = _nothing
    pace: Pace = field(default_factory=Pace)
    remedy: str = KeyRejected.REMEDY

    def within(self, seconds: float) -> "CekuraClient":
        """A copy with one deadline for all its requests."""
        return replace(self, timeout_s=seconds, deadline=anyio.current_time() + seconds)

    async def list_dashboards(self, project_id: int | None = None) -> AsyncIterator[list[DashboardRow]]:
        """Pages of dashboards, in one project or in all that the key can access."""
        query = _query(project_id=project_id, page_size=PAGE_SIZE)
        async for page in self._pages(Page[msgspec.Raw], "GET", "/dashboards/dashboards/", query=query):
            yield [parse(DashboardRow, raw) for raw in page]

    async def get_dashboard(self, dashboard_id: int) -> Dashboard:
        answer = await self.ask("GET", f"/dashboards/dashboards/{dashboard_id}/", about=("dashboard", dashboard_id))
        return check_same_id(parse(Dashboard, answer.body), dashboard_id)

    async def create_dashboard(self, fields: JsonObject) -> Dashboard:
        answer = await self.ask("POST", "/dashboards/dashboards/", body=fields, safe=False)
        return parse(Dashboard, answer.body)

    async def duplicate_dashboard(self, dashboard_id: int, name: str) -> Dashboard:
        """A copy with all widgets, made by the API."""
        path = f"/dashboards/dashboards/{dashboard_id}/duplicate/"
        answer = await self.ask("POST", path, body={"name": name}, safe=False, about=("dashboard", dashboard_id))
        return parse(Dashboard, answer.body)

    async def update_dashboard(self, dashboard_id: int, fields: JsonObject) -> Dashboard:
        path = f"/dashboards/dashboards/{dashboard_id}/"
        answer = await self.ask("PATCH", path, body=fields, safe=False, about=("dashboard", dashboard_id))
        return check_same_id(parse(Dashboard, answer.body), dashboard_id)

    async def delete_dashboard(self, dashboard_id: int) -> None:
        """Delete a dashboard and all its widgets."""
        path = f"/dashboards/dashboards/{dashboard_id}/"
        await self.ask("DELETE", path, safe=False, about=("dashboard", dashboard_id))

    async def list_widgets(self, dashboard_id: int | None = None) -> AsyncIterator[list[Widget]]:
        """Pages of widgets, on one dashboard or on all that the key can access."""
        query = _query(dashboard_id=dashboard_id, page_size=PAGE_SIZE)
        async for page in self._pages(Page[msgspec.Raw], "GET", "/dashboards/widgets/", query=query):
            yield [parse(Widget, raw) for raw in page]

    async def first_widgets(self) -> SomeWidgets:
        """The first page of the widgets that the key can access."""
        answer = await self.ask("GET", "/dashboards/widgets/", query=_query(page_size=PAGE_SIZE))
        page = decode(answer.body, Page[msgspec.Raw])
        return SomeWidgets([parse(Widget, raw) for raw in page.results], are_all=not page.next)

    async def get_widget(self, widget_id: int) -> Widget:
        answer = await self.ask("GET", f"/dashboards/widgets/{widget_id}/", about=("widget", widget_id))
        return check_same_id(parse(Widget, answer.body), widget_id)

    async def update_widget(self, widget_id: int, fields: JsonObject) -> Widget:
        answer = await self.ask(
            "PATCH", f"/dashboards/widgets/{widget_id}/", body=fields, safe=False, about=("widget", widget_id)
        )
        return check_same_id(parse(Widget, answer.body), widget_id)

    async def bulk_widgets(
        self, dashboard_id: int, *, create: list[JsonObject], update: list[JsonObject], delete: list[int]
    ) -> BulkResult:
        """Create, update and delete widgets of one dashboard in one transaction."""
        answer = await self.ask(
            "POST",
            f"/dashboards/dashboards/{dashboard_id}/bulk_widgets/",
            body={"create": create, "update": update, "delete": delete},
            safe=False,
            about=("dashboard", dashboard_id),
        )
        return parse(BulkResult, answer.body)

    async def bulk_data(self, widget_ids: list[int], filters: JsonObject | None = None) -> list[ChartEnvelope]:
        """Chart data of saved widgets, all pages; ``filters``: the override."""
        body: JsonObject = {"widget_ids": widget_ids}
        if filters:
            body["filters"] = filters
        about = ("widget", widget_ids[0]) if len(widget_ids) == 1 else ("widget", "among " + str(widget_ids)[1:-1])
        envelopes = list[ChartEnvelope]()
        path = "/dashboards/widgets/bulk_data/"
        async for page in self._pages(Page[SentChart], "POST", path, body=body, about=about, most=CHARTS):
            envelopes += [ChartEnvelope.of(sent) for sent in page]
        return envelopes

    async def preview_data(self, widget: JsonObject) -> ChartEnvelope:
        """Chart data of an unsaved widget."""
        answer = await self.ask(
            "POST",
            "/dashboards/widgets/preview_data/",
            body=widget,
            about=("dashboard", widget.get("dashboard")),
            most=CHARTS,
        )
        return ChartEnvelope.decode(answer.body)

    async def call_logs(
        self, project_id: int, filters: JsonObject, *, start: str, end: str, limit: int, page: int = 1
    ) -> CallLogs:
        """A page of calls, newest first. Each includes its transcript: request few."""
        query = _query(
            project_id=project_id,
            page_size=limit,
            page=page if page > 1 else None,
            timestamp_from=start,
            timestamp_to=end,
            filters_v2=msgspec.json.encode(filters).decode() if filters else None,
        )
        answer = await self.ask(
            "GET", "/observability/v2/call-logs/", query=query, about=("project", project_id), most=CALLS
        )
        page_of_logs = decode(answer.body, CountedPage)
        return CallLogs(page_of_logs.count, [parse(CallLog, raw) for raw in page_of_logs.results[:limit]])

    async def predefined_widgets(self) -> list[WidgetConfig]:
        """Ready-made configurations. The documented shape is wrong: it is a list, or an object with one."""
        answer = await self.ask("GET", "/dashboards/dashboards/predefined_widgets/")
        return [WidgetConfig.model_validate(item) for item in objects_in(decode(answer.body, object))]

    async def call_scores(
        self, project_id: int, filters: JsonObject, *, start: str, end: str, limit: int, page: int
    ) -> ScorePage:
        """As ``call_logs``, but only the scores of metrics: transcripts are skipped."""
        query = _query(
            project_id=project_id, page_size=limit, page=page if page > 1 else None, timestamp_from=start,
            timestamp_to=end, filters_v2=msgspec.json.encode(filters).decode(),
        )  # fmt: skip
        about = ("project", project_id)
        answer = await self.ask("GET", "/observability/v2/call-logs/", query=query, about=about, most=CALLS)
        return decode(answer.body, ScorePage)

    async def alerts(self, project_id: int | None = None) -> list[Alert]:
        """The alerts of a project, or of all that the key can access, if the API lists them without a project."""
        query = _query(project_id=project_id)
        answer = await self.ask("GET", ALERTS, query=query, about=("alerts", None))
        return parse_list(Alert, answer.body)

    async def alert(self, alert_id: int) -> Alert:
        answer = await self.ask("GET", f"{ALERTS}{alert_id}/", about=("alert", alert_id))
        return check_same_id(parse(Alert, answer.body), alert_id)

    async def create_alert(self, fields: JsonObject) -> Alert:
        body = {**fields, "source_type": "metric"}
        answer = await self.ask("POST", ALERTS, body=body, safe=False, about=("alerts", None))
        return parse(Alert, answer.body)

    async def update_alert(self, alert_id: int, fields: JsonObject) -> Alert:
        """Change an alert. The API merges objects key by key. Its answer need not name the alert."""
        path = f"{ALERTS}{alert_id}/"
        answer = await self.ask("PATCH", path, body=fields, safe=False, about=("alert", alert_id))
        record = {"id": alert_id, **decode(answer.body, JsonObject)}
        return check_same_id(parse(Alert, msgspec.json.encode(record)), alert_id)

    async def delete_alert(self, alert_id: int) -> None:
        await self.ask("DELETE", f"{ALERTS}{alert_id}/", safe=False, about=("alert", alert_id))

    async def alert_fires(self, project_id: int, hours: int) -> dict[int, int]:
        """How often each alert of a project fired in the last hours, by id; those that are not named did not fire."""
        query = _query(project_id=project_id, hours=hours)
        answer = await self.ask("GET", f"{ALERTS}trigger_summary/", query=query, about=("alerts", None))
        counts = decode(answer.body, JsonObject)
        known = {number: count for number, count in counts.items() if _ID.fullmatch(number) and type(count) is int}
        return {int(number): count for number, count in known.items() if count > 0}

    async def daily_reports(self) -> dict[int, DailyReport]:
        """The dashboards in the daily report of each project. Nothing else is decoded: projects hold secrets."""
        reports = decode((await self.ask("GET", "/user/v1/projects/")).body, list[DailyReport])
        return {report.id: report for report in reports}

    async def set_daily_report(self, project_id: int, dashboard_ids: list[int]) -> list[int]:
        """Set the dashboards in the daily report of a project; its other fields stay."""
        path, body = f"/user/v1/projects/{project_id}/", {"daily_report_dashboard_ids": dashboard_ids}
        answer = await self.ask("PATCH", path, body=body, safe=False, about=("project", project_id))
        report = decode(answer.body, DailyReport)
        if isinstance(report.daily_report_dashboard_ids, msgspec.UnsetType):
            raise UnreadableAnswer("it does not show the daily report")
        return report.dashboards

    async def projects(self) -> list[Project]:
        answer = await self.ask("GET", "/user/v1/projects/")
        return parse_projects(answer.body)

    async def metrics(self, *, project_id: int | None = None, agent_id: int | None = None) -> list[Metric]:
        answer = await self.ask(
            "GET", "/test_framework/v2/metrics/", query=_query(project_id=project_id, agent_id=agent_id)
        )
        return parse_list(Metric, answer.body)

    async def agents(self, *, project_id: int | None = None, name_contains: str | None = None) -> list[Agent]:
        query = _query(project_id=project_id, q=name_contains, page_size=PAGE_SIZE)
        agents = dict[int, Agent]()
        async for page in self._pages(Page[msgspec.Raw], "GET", "/test_framework/v2/aiagents/", query=query):
            agents |= {agent.id: agent for agent in (parse(Agent, raw) for raw in page)}
        return list(agents.values())

    async def metric_history(self, metric_id: int) -> History:
        """The newest versions of a metric."""
        return await self._history(f"/test_framework/v2/metrics/{metric_id}/history/", ("metric", metric_id))

    async def agent_history(self, agent_id: int) -> History:
        """The newest versions of an agent."""
        return await self._history(f"/test_framework/v2/aiagents/{agent_id}/history/", ("agent", agent_id))

    async def _history(self, path: str, about: tuple[str, int]) -> History:
        query = _query(page_size=HISTORY_SIZE)
        return history_of((await self.ask("GET", path, query=query, about=about, alone=True)).body)

    async def audit_log(self, organization_id: int, project_id: int, *, start: str, end: str) -> AuditLog:
        """The newest operations in a project, of at most 30 days. Many keys may not read it (403)."""
        query = _query(
            organization_id=organization_id, project_id=project_id, start_time=start, end_time=end, page_size=PAGE_SIZE
        )
        answer = await self.ask("GET", "/user/v1/audit-logs/", query=query, about=("audit log", None), alone=True)
        return audit_log_of(answer.body)

    async def call_details(self, call_id: int) -> CallDetails:
        path = f"/observability/v2/call-logs/{call_id}/"
        answer = await self.ask("GET", path, about=("call", call_id), most=CALLS, alone=True)
        return call_details_of(answer.body, call_id)

    async def failure_modes(self, project_id: int, agent_ids: list[int]) -> list[FailureMode]:
        """The failure modes found earlier, of all calls or of those of some agents. Reading them costs nothing."""
        query = _query(project=project_id, agent_ids=joined(agent_ids))
        answer = await self.ask("GET", FAILURE_MODES, query=query, about=("failure modes", None), alone=True)
        return failure_modes_of(answer.body)

    async def failure_calls(
        self, mode: FailureMode, project_id: int, agent_ids: list[int], *, start: str, end: str
    ) -> FailureCalls:
        """The calls of a failure mode in a window."""
        if (slug := slug_path(mode.slug)) is None:
            raise UnreadableAnswer("a failure mode has a name that cannot be part of an address")
        query = _query(
            project=project_id, metric_id=mode.metric, agent_ids=joined(agent_ids), date_from=start, date_to=end
        )
        answer = await self.ask("GET", f"{FAILURE_MODES}{slug}/calls/", query=query, about=("calls", None), alone=True)
        return failure_calls_of(answer.body)

    async def _pages(
        self,
        kind: type[Page[T]],
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: JsonObject | None = None,
        about: tuple[str, int | str | None] = ("page", None),
        most: Size = RECORDS,
    ) -> AsyncIterator[list[T]]:
        """Follow only the query of ``next``: a key must not be sent to another host."""
        client = self if self.deadline is not None else self.within(self.timeout_s)
        query, queries = query or {}, list[dict[str, str]]()
        while len(queries) < MAX_PAGES:
            queries.append(query)
            try:
                answer = await client.ask(method, path, query=query, body=body, about=about, most=most)
            except NotFound:
                if len(queries) == 1:
                    raise
                raise UnreadableAnswer("it links to a next page that does not exist") from None
            envelope = decode(answer.body, kind)
            yield envelope.results
            if not envelope.next:
                return
            query = dict(parse_qsl(urlsplit(envelope.next).query))
            if query in queries:
                raise UnreadableAnswer("its pages repeat")
        raise UnreadableAnswer(f"it has more than {MAX_PAGES} pages")

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: JsonObject | None = None,
        safe: bool = True,
        about: tuple[str, int | str | None] = ("page", None),
        most: Size = RECORDS,
        alone: bool = False,
    ) -> Response:
        """One request with its retries.

        ``safe``: it changes nothing and may be repeated. ``alone``: a refusal says nothing about other data.
        """
        deadline = self.deadline if self.deadline is not None else anyio.current_time() + self.timeout_s
        content = None if body is None else msgspec.json.encode(body)
        request = _Request(method, path, query or {}, content, about, deadline, alone)
        try:
            self.pace.wait_turn()  # once: a retry has waited out the pause
            return within(most, await self._send_once(request))
        except DashboardsError as error:
            failed = error

        async def again() -> Response:
            usage().retries += 1
            return await self._send_once(request)

        answer = await with_retries(failed, again, safe=safe, remaining_s=request.remaining_s, sleep=self.sleep)
        return within(most, answer)

    async def _send_once(self, request: _Request) -> Response:
        """One attempt."""
        if (remaining := request.remaining_s()) <= 0:
            raise DeadlinePassed(self.timeout_s)
        try:
            answer = await self.transport.send(
                request.method, request.path, key=self.key, timeout_s=remaining, query=request.query, body=request.body
            )
        except DeadlinePassed:
            raise DeadlinePassed(self.timeout_s) from None
        if answer.status in REFUSALS and not request.alone:
            self.refused()
        self._check(answer, request.about)
        return answer

    def _check(self, answer: Response, about: tuple[str, int | str | None]) -> None:
        """Raise the error for the status."""
        kind, number = about
        match answer.status:
            case status if 200 <= status < 300:  # noqa: PLR2004 - the success range
                if "html" in answer.content_type:
                    raise UnreadableAnswer("it is HTML, not JSON", "Check CEKURA_BASE_URL and any proxy.")
            case 400:
                raise Refused(messages_of(answer.body, self.key))
            case 401:
                raise KeyRejected(self.remedy)
            case 403:
                raise Forbidden(f"{kind} {number}" if number is not None else "this")
            case 404:
                raise NotFound(kind, number)
            case 429:
                wait_s = retry_after_s(answer.retry_after, self.now())
                self.pace.pause(wait_s)
                raise RateLimited(wait_s)
            case status if status >= 500:  # noqa: PLR2004 - the server errors
                raise ApiFault(status, retry_after_s(answer.retry_after, self.now()))
            case status:
                raise UnexpectedStatus(status)


def _query(**query: int | str | None) -> dict[str, str]:
    return {name: str(value) for name, value in query.items() if value is not None}
