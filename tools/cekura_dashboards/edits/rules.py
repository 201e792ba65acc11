"""Rules of charts: valid combinations of fields, the required date range, and the check of an edit against both.

Invalid combinations are refused; unknown ones pass with a warning. The API refuses a chart without a date range, and
one whose range starts more than 30 days ago.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from msgspec import Struct

from cekura_dashboards.api.errors import DashboardsError, Fault, InvalidArguments, KeyRejected, Refused
from cekura_dashboards.api.filters import Bounds, both, filter_warnings, only_time, time_bounds, within
from cekura_dashboards.api.models import (
    AGGREGATIONS,
    CHART_TYPES,
    COMBINATIONS,
    LIMIT,
    METRIC_COMBINATIONS,
    METRIC_VALUE,
    Combinations,
    JsonObject,
    Widget,
    WidgetConfig,
    plotted_type,
)
from cekura_dashboards.arguments.references import visible_metrics
from cekura_dashboards.arguments.times import BACK, ROLLING, UNITS, fold, interval, is_interval, rolling, span_of
from cekura_dashboards.context import ToolContext
from cekura_dashboards.text import UntrustedText, join_names, named, one_of, word

CLEARED = "date_range"
"""The name in ``clear`` that drops a date range on purpose."""
DATE_RANGE = {"field": "timestamp", "op": "gte", "value": "today-7d"}
"""The suggested date range."""
LONGEST = {"field": "timestamp", "op": "gte", "value": "today-29d"}
ADD_ONE = f"Add to filters: {json.dumps(DATE_RANGE)}"
TOO_OLD = "the date range starts before the 30 days that the API keeps"
TOO_OLD_REFUSED = f"{TOO_OLD}, so it refuses the charts (400); the longest possible: {json.dumps(LONGEST)}."


class SavedRange(NamedTuple):
    """The filter of a date range, and warnings."""

    filters: JsonObject
    warnings: list[str]


def saved_range(text: str, now: datetime, zone: ZoneInfo) -> SavedRange:
    """The filter for a date range in words, and warnings.

    A relative range stays relative: ``7d`` is saved as ``today-7d``; the API's days are UTC days.

    >>> saved_range("24h", datetime(2026, 11, 21), ZoneInfo("UTC"))[0]
    {'field': 'timestamp', 'op': 'gte', 'value': 'now-24h'}

    Raises:
        InvalidArguments: for a text that is not a date range.
    """
    word = rolling(text) or fold(text)
    utc_days = [f"days are UTC days, not those of {zone}"] if now.astimezone(zone).utcoffset() else []
    if match := ROLLING.fullmatch(word):
        length = int(match[1]) * UNITS[match[2]]
        if length == LIMIT:
            why = "30 days would start before the API's data once it is read: saved as today-29d"
            return SavedRange(LONGEST, [why, *utc_days])
        days = match[2] in "dw"
        return SavedRange(_since(f"today-{length.days}d" if days else f"now-{word}"), utc_days if days else [])
    if word == "today" or BACK.fullmatch(word):
        return SavedRange(_since(word), [] if word.startswith("now") else utc_days)
    if word == "yesterday":
        one_day = both(_since("today-1d"), {"field": "timestamp", "op": "lte", "value": "today-1d"})
        return SavedRange(one_day, utc_days)
    begins = refused = ""
    try:
        span = interval(text, now, zone) if is_interval(text) else span_of(word, now, zone)
        if span is not None:
            begins, refused = _instant(span[0]), _instant(span[0] + LIMIT)
    except (ValueError, OverflowError):
        span = None
    if span is None:
        hint = "use 7d, 24h, today, yesterday, 30d or an interval 2026-11-01/2026-11-08."
        raise InvalidArguments.at(CLEARED, f"{UntrustedText(text, limit=60)} is not a date range; {hint}")
    fixed = f"the date range is fixed from {begins}; it does not move with time, as 7d would"
    return SavedRange(
        _since(begins) if span[1] == now else within(*span),
        [f"{fixed}; from {refused} the API refuses the charts (400)"],
    )


def _instant(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _since(value: str) -> JsonObject:
    return {"field": "timestamp", "op": "gte", "value": value}


def is_too_old(bounds: Bounds, now: datetime) -> bool:
    """Whether it starts before the API's data; without a start, False."""
    return bounds.start is not None and bounds.start < now - LIMIT


def goes_too_far_back(before: Bounds, after: Bounds, now: datetime) -> bool:
    """Whether a change of filters makes the date range start too early."""
    return is_too_old(after, now) and before.start != after.start


def is_lost(before: Bounds, after: Bounds) -> bool:
    """Whether a change of filters leaves a chart without a date range."""
    return before.start is not None and after.start is None


def date_range_loss(what: str, filters: JsonObject | None, now: datetime) -> str:
    """The fault of dropping the date range of ``filters``, and how to keep it."""
    own = only_time(filters)
    bounds = time_bounds(own, now)
    suggestion = own if bounds.start is not None and not is_too_old(bounds, now) else DATE_RANGE
    return (
        f"leaves {what} without a date range, and the API refuses such charts (400). Keep one in filters: "
        f"{json.dumps(both(suggestion))}; to drop it anyway, add {CLEARED} to clear."
    )


def no_date_range(*, on_dashboard: bool) -> str:
    """The warning that the API refuses a chart without a lower time bound, and the filter to add."""
    subject = (
        "neither the widget nor its dashboard has a date range" if on_dashboard else "the widget has no date range"
    )
    unless = "" if on_dashboard else " unless its dashboard has one"
    return f"{subject}; the API would refuse the chart (400){unless}. {ADD_ONE}"


class MetricTypes(Struct, frozen=True):
    """The metrics of a project, or of all that the key can see: id to ``eval_type``."""

    project: int | None
    types: dict[int, str | None]


class ReadMetricTypes(NamedTuple):
    """The types of metrics if they are needed and could be read, and warnings."""

    metrics: MetricTypes | None
    warnings: list[str]


async def metric_types(context: ToolContext, project: int | None, *configs: WidgetConfig) -> ReadMetricTypes:
    """The types of a project's metrics; None if no metric is plotted, the project is unknown, or they cannot be read.

    A warning says if they cannot be read.

    Raises:
        KeyRejected: because nothing else can be read either.
    """
    if project is None or not any(config.field == METRIC_VALUE for config in configs):
        return ReadMetricTypes(None, [])
    try:
        metrics = await context.lookups.metrics(project)
    except KeyRejected:
        raise
    except DashboardsError:
        text = f"the metrics of project {project} could not be read, so the chart was not checked against them"
        return ReadMetricTypes(None, [text])
    return ReadMetricTypes(MetricTypes(project, {metric.id: metric.eval_type for metric in metrics}), [])


async def why_refused(
    context: ToolContext, refusal: Refused, config: WidgetConfig, path: str, project: int | None = None
) -> DashboardsError:
    """Why the API refused a chart, according to the types of the project's metrics; otherwise the API's own reason.

    ``project``: the project of the chart, if known.
    """
    if config.field != METRIC_VALUE:
        return refusal
    try:
        metrics = await visible_metrics(context, project)
    except DashboardsError:
        return refusal
    faults = check(config, path, MetricTypes(project, {metric.id: metric.eval_type for metric in metrics}))
    return InvalidArguments(faults, lead="No result.") if faults else refusal


def check(config: WidgetConfig, path: str, metrics: MetricTypes | None = None) -> list[Fault]:
    """Why this configuration is invalid, and what is valid."""
    chart, field = config.chart_type, config.field or ""
    if chart not in CHART_TYPES:
        return []
    if chart == "stat":
        return [Fault(f"{path}field", "must be empty for a stat.")] if field else []
    if not field:
        return [Fault(f"{path}field", f"is missing; a {chart} needs one, such as duration, success or topic.")]
    if field == METRIC_VALUE and config.metric is None:
        return [Fault(f"{path}metric", f"is missing; {METRIC_VALUE} needs a metric id (look_up metrics).")]
    faults = list[Fault]()
    if chart == "bar":
        faults += [
            Fault(f"{path}{name}", f"is missing; a bar needs one: {choices}.")
            for name, choices in (("aggregation_function", "count, sum, avg, min, max, p50, p95, p99"),
                                  ("time_period", "hour, day, week, month"))
            if not getattr(config, name)
        ]  # fmt: skip
    if field == METRIC_VALUE and metrics is not None and config.metric not in metrics.types:
        place = "for this key" if metrics.project is None else f"in project {metrics.project}"
        text = f"no metric {config.metric} {place}; look_up metrics lists them."
        return [*faults, Fault(f"{path}metric", text)]
    return [*faults, *_impossible(config, path, metrics)]


def _impossible(config: WidgetConfig, path: str, metrics: MetricTypes | None) -> list[Fault]:
    kind, allowed = combinations(config, metrics)
    if allowed is None:
        return []
    chart, function = config.chart_type, config.aggregation_function
    if chart not in allowed.charts:
        return [Fault(f"{path}chart_type", f"{chart} is not possible for {kind}; use {one_of(allowed.charts)}.")]
    if chart == "bar" and function and function not in allowed.aggregations:
        text = f"{word(function, AGGREGATIONS)} is not possible for {kind}; use {one_of(allowed.aggregations)}."
        return [Fault(f"{path}aggregation_function", text)]
    return []


def doubts(config: WidgetConfig, path: str, metrics: MetricTypes | None) -> list[str]:
    """Warnings for undocumented fields and metrics, on which the API decides."""
    if config.field and plotted_type(config.field) is None:
        return [f"{path}field: {UntrustedText(config.field)} is not documented; the API decides"]
    if config.field != METRIC_VALUE or metrics is None or config.metric not in metrics.types:
        return []
    kind = metrics.types[config.metric]
    if kind in METRIC_COMBINATIONS:
        return []
    what = f"a metric of type {UntrustedText(kind, limit=40)}" if kind else "a metric without a type"
    return [f"{path}metric: the charts of {what} are not documented; the API decides"]


def combinations(config: WidgetConfig, metrics: MetricTypes | None) -> tuple[str, Combinations | None]:
    """The plotted field or metric in words, and its valid combinations; None if unknown."""
    field = config.field or ""
    if field == METRIC_VALUE:
        kind = metrics.types.get(config.metric or 0) if metrics else None
        return f"{_article(kind and word(kind, METRIC_COMBINATIONS))} metric", METRIC_COMBINATIONS.get(kind or "")
    plotted = plotted_type(field)
    return f"{_article(plotted)} field", COMBINATIONS.get(plotted or "")


def _article(kind: str | None) -> str:
    return f"{'an' if (kind or '')[:1] in 'aeiou' else 'a'} {kind}"


PLOT_FIELDS = {"chart_type", "field", "metric", "time_period", "aggregation_function"}


@dataclass
class Checker:
    """Collects faults and warnings. Only what the edit touches can be a fault.

    ``lenient``: the edit has a plan and may write stored values unchanged, so faults become warnings and the API
    decides. ``drops_range``: the edit removes a chart's date range on purpose.
    """

    context: ToolContext
    project: int | None
    dashboard_filters: JsonObject | None
    faults: list[Fault] = field(default_factory=list[Fault])
    warnings: list[str] = field(default_factory=list[str])
    lenient: bool = False
    without_range: list[str] = field(default_factory=list[str])
    drops_range: bool = False

    async def created(self, config: JsonObject, path: str) -> None:
        new = WidgetConfig.model_validate(config)
        await self._check(new, path, {*config})
        after = self._bounds(new)
        if after.start is None:
            self.without_range.append(named(new.name))
        elif "filters" in config and goes_too_far_back(self._bounds(None), after, self.context.now()):
            self._refuse([Fault(f"{path}filters", TOO_OLD_REFUSED)])

    async def updated(self, stored: Widget, sent: JsonObject, path: str, clear: Sequence[str] | None = None) -> None:
        new = WidgetConfig.model_validate({**stored.writable(), **sent})
        await self._check(new, path, {*sent})
        if {"filters", "chart_type"} & {*sent}:
            self._check_range(stored, new, path, drops=CLEARED in (clear or []))

    async def _check(self, config: WidgetConfig, path: str, touched: set[str]) -> None:
        if touched & PLOT_FIELDS:
            metrics, unread = await metric_types(self.context, self.project, config)
            self.warnings += [text for text in unread if text not in self.warnings]
            self._refuse(check(config, path, metrics))
            self.warnings += doubts(config, path, metrics)
        if "filters" in touched:
            self.warnings += filter_warnings(config.filters, f"{path}filters")

    def _refuse(self, problems: Sequence[Fault]) -> None:
        """Record faults, or warnings if the check is lenient."""
        self.faults += [] if self.lenient else problems
        self.warnings += [f"{problem} The API decides." for problem in problems] if self.lenient else []

    def _bounds(self, config: WidgetConfig | None) -> Bounds:
        """The date range of a chart on this dashboard; for None, of the dashboard itself."""
        return time_bounds(both(self.dashboard_filters, config.filters if config else None), self.context.now())

    def _check_range(self, stored: Widget, new: WidgetConfig, path: str, *, drops: bool) -> None:
        before, after, now = self._bounds(stored), self._bounds(new), self.context.now()
        if is_lost(before, after) and not drops:
            self._refuse([Fault(f"{path}filters", date_range_loss("the chart", stored.filters, now))])
        elif goes_too_far_back(before, after, now):
            self._refuse([Fault(f"{path}filters", TOO_OLD_REFUSED)])
        elif after.start is None:
            self.without_range.append(named(new.name))
        elif is_too_old(after, now):
            self.warnings.append(f"{named(new.name)}: {TOO_OLD_REFUSED}")
        self.drops_range |= is_lost(before, after)

    def done(self) -> list[str]:
        """The warnings.

        Raises:
            InvalidArguments: if there are faults.
        """
        if self.faults:
            raise InvalidArguments(self.faults, lead="Nothing was changed.")
        if not self.without_range:
            return self.warnings
        return [*self.warnings, f"{join_names(self.without_range)}: {no_date_range(on_dashboard=True)}"]
