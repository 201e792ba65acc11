"""The scores of a metric call by call and agent by agent, as an alert sees them: from a line, else from call logs."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct, field

from cekura_dashboards.api.chart_data import number
from cekura_dashboards.api.errors import Refused, UnreadableAnswer
from cekura_dashboards.api.filters import both, instant, within, without_time
from cekura_dashboards.api.models import LIMIT, MARGIN, METRIC_VALUE, JsonObject, WidgetConfig, metric_family
from cekura_dashboards.api.wire import ScoredCall, ScorePage
from cekura_dashboards.charts.companions import BY_AGENT
from cekura_dashboards.charts.read import read_charts
from cekura_dashboards.charts.rows import TimeParser
from cekura_dashboards.charts.target import ChartReading, Target, Window
from cekura_dashboards.context import ToolContext, gather_by_id
from cekura_dashboards.stats.time_series import floats
from cekura_dashboards.values import Array, replace

MAX_PAGES, PAGE_SIZE = 20, 100
"""Calls read from call logs, each with its transcript."""
TOPS = (1.0, 5.0, 100.0)
"""The possible scores of a pass of a binary metric."""


class ScoredMetric(Struct, frozen=True):
    """A metric and the calls to read. ``filters``: without times; ``eval_type``: None if unknown."""

    metric: int
    project: int
    filters: JsonObject
    eval_type: str | None

    def config(self, **fields: Any) -> WidgetConfig:
        return WidgetConfig.model_validate(
            {"field": METRIC_VALUE, "metric": self.metric, "group_by": BY_AGENT, **fields}
        )


class AgentScores(Struct, frozen=True, eq=False):
    """The scores of one agent's calls in order of time; times in seconds since 1970, ids as the API sends them."""

    agent: Any
    times: Array
    scores: Array
    ids: list[Any]


class Scores(Struct, frozen=True):
    """All scores in a window, and their source. ``notes``: on missing ones.

    ``bars``: the daily means by agent over all data that the API keeps. ``start``: of the time that the scores cover.
    """

    agents: list[AgentScores]
    start: datetime
    end: datetime
    source: str
    bars: ChartReading
    notes: list[str] = field(default_factory=list[str])

    @property
    def count(self) -> int:
        return sum(len(agent.scores) for agent in self.agents)


class _Call(Struct, frozen=True):
    time: float
    id: Any
    agent: Any
    score: float


async def read_scores(context: ToolContext, watched: ScoredMetric) -> Scores:
    """The scores over all data that the API keeps; from call logs, only the newest.

    Raises:
        DashboardsError: if neither the line nor the call logs can be read.
    """
    now = context.now()
    window = Window(now - LIMIT + MARGIN, now, "history")
    line, bars = [
        Target(config, without_time(watched.filters), project=watched.project, window=window, alone=True)
        for config in (
            watched.config(chart_type="line"),
            watched.config(chart_type="bar", aggregation_function="avg", time_period="day"),
        )
    ]
    reading, daily = await read_charts(context, [line, bars])
    if reading.chart is not None and (reading.chart.grouped or not reading.chart.rows):
        rows = reading.chart.rows
        times = TimeParser().parse_all([row.timestamp for row in rows]).tolist()
        values = (number(row.value) for row in rows)
        calls = [
            _Call(time, row.id, row.group, value)
            for time, row, value in zip(times, rows, values, strict=True)
            if value is not None and window.start.timestamp() <= time < window.end.timestamp()
        ]
        return Scores(_by_agent(calls, watched), window.start, now, "a line by agent", daily)
    if reading.error is not None and not isinstance(reading.error, Refused | UnreadableAnswer):
        raise reading.error
    scores = await _from_logs(context, watched, window, daily)
    if isinstance(reading.error, UnreadableAnswer):
        note = f"the line by agent could not be read, so that call logs were: {reading.error}"
        return replace(scores, notes=[note, *scores.notes])
    return scores


async def _from_logs(context: ToolContext, watched: ScoredMetric, window: Window, daily: ChartReading) -> Scores:
    """The newest calls, page by page. A failed page ends the coverage, because the calls must be contiguous."""
    own: JsonObject = {"field": "metric_evaluations.metric.id", "op": "eq", "value": watched.metric}
    filters = both(watched.filters, own, within(window.start, window.end))
    start, end = instant(window.start), instant(window.end)

    async def page(place: int) -> ScorePage:
        return await context.api.call_scores(
            watched.project, filters, start=start, end=end, limit=PAGE_SIZE, page=place
        )

    newest_page = await page(1)
    total, newest = newest_page.count, newest_page.results
    pages = -(-total // len(newest)) if newest else 1  # of whole numbers: a stated total can exceed every float
    rest, failed = await gather_by_id(range(2, 1 + min(pages, MAX_PAGES)), page)
    read, notes = [*newest], list[str]()
    for place in sorted(rest.keys() | failed.keys()):
        if place in failed:
            notes.append(f"page {place} of the call logs could not be read: {failed[place]}")
            break
        read += rest[place].results
    times = TimeParser().parse_all([call.timestamp for call in read]).tolist()
    calls = [
        _Call(time, call.id, call.agent, score)
        for time, call in zip(times, read, strict=True)
        if not math.isnan(time) and (score := _score(call, watched.metric)) is not None
    ]
    covers_all = len(read) >= total
    oldest = min((time for time in times if not math.isnan(time)), default=window.end.timestamp())
    first = window.start if covers_all else datetime.fromtimestamp(oldest, UTC)
    source = f"call logs: {'all' if covers_all else 'the newest'} {len(read)} of {total} calls, without transcripts"
    return Scores(_by_agent(calls, watched), first, window.end, source, daily, notes)


def _score(call: ScoredCall, metric: int) -> float | None:
    return next((number(score.score) for score in call.metrics or [] if score.id == metric), None)


def _by_agent(calls: Iterable[_Call], watched: ScoredMetric) -> list[AgentScores]:
    """Each call once, in order of time and id; a pass of a binary metric as 1. Agents with most calls first."""
    distinct = {str(call.id) if call.id is not None else f"place {place}": call for place, call in enumerate(calls)}
    ordered = sorted(distinct.values(), key=lambda call: (call.time, _rank(call.id)))
    scale = _scale([call.score for call in ordered]) if metric_family(watched.eval_type) == "binary" else 1.0
    by_agent = defaultdict[str, list[_Call]](list)
    for call in ordered:
        by_agent[str(call.agent)].append(call)
    agents = [
        AgentScores(
            parts[0].agent,
            floats(call.time for call in parts),
            floats(call.score / scale for call in parts),
            [call.id for call in parts],
        )
        for parts in by_agent.values()
    ]
    return sorted(agents, key=lambda agent: (-len(agent.scores), str(agent.agent)))


def _rank(call_id: Any) -> tuple[bool, int, str]:
    """The sort key of an id: numbers in order, then texts."""
    is_number = isinstance(call_id, int)
    return not is_number, call_id if is_number else 0, str(call_id)


def _scale(scores: Sequence[float]) -> float:
    highest = max(scores, default=1.0)
    return next((top for top in TOPS if highest <= top), 1.0)
