"""How an API behaves where its documents leave it open, found out by reading only.

Every answer is a word from a short list, so a report can be shown to anybody: it holds no name, id or number of calls.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import msgspec
from msgspec import Struct

from cekura_dashboards.api.chart_data import KNOWN_KEYS, ChartEnvelope, number
from cekura_dashboards.api.errors import DashboardsError
from cekura_dashboards.api.fields import LIMIT, MARGIN, METRIC_VALUE, metric_family
from cekura_dashboards.api.filters import both, instant, time_bounds, within
from cekura_dashboards.api.models import Dashboard, JsonObject, is_list, is_object
from cekura_dashboards.charts.scores import PASS
from cekura_dashboards.context import ToolContext

UNSETTLED = "not settled"
MAX_DASHBOARDS = 20
EARLIER = timedelta(days=3)
Rows = list[JsonObject]


class ProbeAnswer(Struct, frozen=True):
    """The answer to one open question; ``why`` tells what keeps it from being settled."""

    question: str
    answer: str
    why: str = ""


class _Subject(Struct, frozen=True):
    """A saved widget whose date range leaves something before it: what the first two questions are asked of."""

    dashboard: Dashboard
    widget_id: int
    earlier: JsonObject


async def probe(context: ToolContext) -> list[ProbeAnswer]:
    """Each open question with its answer, or why it could not be settled here."""
    questions: list[tuple[str, Callable[[ToolContext], Awaitable[ProbeAnswer]]]] = [
        ("override", _override),
        ("preview", _preview),
        ("grouped", _grouped),
        ("booleans", _booleans),
        ("rates", _rates),
        ("binary", _binary),
        ("stat", _stat),
        ("buckets", _buckets),
        ("empty_buckets", _empty_buckets),
        ("predefined", _predefined),
        ("preview_answer", _preview_answer),
        ("call_metadata", _call_metadata),
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
    """A widget on a dashboard with a date range that begins late enough for calls to lie before it."""
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
    """The first widget that has data before the saved range, seen by previewing it on its own."""
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
    """An override with an earlier window finds data only if it stands in place of the saved range."""
    subject = await _subject(context)
    if subject is None:
        return ProbeAnswer("override", UNSETTLED, "no dashboard has a date range with calls before it")
    envelopes = await context.api.bulk_data([subject.widget_id], subject.earlier)
    return ProbeAnswer("override", "replace" if any(_rows(envelope) for envelope in envelopes) else "merge")


async def _preview(context: ToolContext) -> ProbeAnswer:
    """A preview that names a dashboard, with an earlier window, finds data only if it does not obey its filters."""
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


async def _binary(context: ToolContext) -> ProbeAnswer:
    """What the slices of a metric that passes or fails are called."""
    for project in await context.api.projects():
        for metric in await context.api.metrics(project_id=project.id):
            if metric_family(metric.eval_type) != "binary":
                continue
            rows = _rows(await _shown(context, chart_type="pie", field=METRIC_VALUE, metric=metric.id))
            labels = {label for row in rows if (label := number(row.get("label"))) is not None}
            if labels:
                return ProbeAnswer(
                    "binary", "boolean" if labels <= {0.0, 1.0} else "0/5" if PASS in labels else "another"
                )
    return ProbeAnswer("binary", UNSETTLED, "no binary metric has values of the last 7 days")


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
    """Tell how an hour without calls, as at night, comes."""
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
    """Whether a listed call shows its metadata, of which the documents say nothing."""
    start, end = context.now() - LIMIT + MARGIN, context.now()
    for project in await context.api.projects():
        _, calls = await context.api.call_logs(project.id, {}, start=instant(start), end=instant(end), limit=1)
        if calls:
            return ProbeAnswer("call_metadata", "present" if calls[0].metadata else "absent")
    return ProbeAnswer("call_metadata", UNSETTLED, "no project has calls")


async def _page_size(context: ToolContext) -> ProbeAnswer:
    """How many a page holds unless asked, and whether more can be asked for."""
    plain, larger = await _page(context, {}), await _page(context, {"page_size": "100"})
    if plain is None or larger is None or plain[1] <= plain[0]:
        return ProbeAnswer("page_size", UNSETTLED, "there are too few widgets to fill a page")
    return ProbeAnswer(
        "page_size", f"{plain[0]} by default, {'more' if larger[0] > plain[0] else 'no more'} on request"
    )


async def _page(context: ToolContext, query: dict[str, str]) -> tuple[int, int] | None:
    """The widgets on one page, and how many there are in all."""
    answer = await context.api.ask("GET", "/dashboards/widgets/", query=query)
    data: Any = msgspec.json.decode(answer.body)
    if not is_object(data) or not is_list(data.get("results")) or not isinstance(data.get("count"), int):
        return None
    return len(data["results"]), data["count"]
