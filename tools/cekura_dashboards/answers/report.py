"""Reports: what a tool answers about one widget's chart."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, Field

from cekura_dashboards.answers.summary import group_name, summarise
from cekura_dashboards.api.fields import CHART_TYPES, FILTERED, PLOTTED
from cekura_dashboards.api.models import Widget, WidgetConfig
from cekura_dashboards.charts.target import ChartReading, are_few
from cekura_dashboards.charts.window import format_instant
from cekura_dashboards.concurrency import in_thread
from cekura_dashboards.insight import Summary
from cekura_dashboards.insight.numbers import sig, wilson
from cekura_dashboards.text import Foreign, Word, cleaned, foreign, json_text, named, word


class WidgetBrief(BaseModel):
    """Which widget, and what it plots."""

    id: int | None = None
    name: Foreign | None = None
    chart_type: Word
    field: Word | None = None
    metric: str | None = None
    aggregation_function: Word | None = None
    time_period: Word | None = None
    group_by: Word | None = None


class WindowShown(BaseModel):
    """The half-open window, as instants in UTC."""

    start: str = Field(serialization_alias="from")
    end: str = Field(serialization_alias="to")
    source: str = Field(description="asked, saved or default")


class SeriesShown(BaseModel):
    """Aligned buckets; value[i] begins at start + i * step. null: no data. partial: positions cut by window or now."""

    measure: str
    start: str
    step: str
    value: list[float | int | None]
    n: list[int | None] | None = None
    low: list[float | int | None] | None = None
    high: list[float | int | None] | None = None
    partial: list[int] | None = None


class GroupsShown(BaseModel):
    """The largest groups, a row each."""

    by: Word
    columns: list[str]
    top: list[list[Any]]
    other: dict[str, Any] | None = None


class WidgetReport(BaseModel):
    """The facts of one widget over one window, or why there are none."""

    widget: WidgetBrief
    window: WindowShown | None = None
    unit: str | None = None
    n: int | None = None
    comparison: dict[str, Any] | None = Field(default=None, description="this against that; contributors by group")
    findings: list[dict[str, Any]] | None = Field(default=None, description="empty: tested, none found")
    facts: dict[Word, Any] | None = None
    series: SeriesShown | None = None
    groups: GroupsShown | None = None
    not_tested: list[str] | None = None
    caveats: list[str] | None = None
    left_out: list[str] | None = Field(default=None, description="what did not fit, and how to get it")
    error: str | None = None


def field_word(name: str) -> str:
    """A field as a word of the API, or quoted, such as the keys of metadata, which people chose."""
    return word(name, {**PLOTTED, **FILTERED})


def brief(config: WidgetConfig, metric_name: str | None = None) -> WidgetBrief:
    """A widget in the fewest words."""
    metric = None
    if config.metric is not None:
        name = config.metric_name if isinstance(config, Widget) and config.metric_name else metric_name
        metric = f"{config.metric} {named(name)}" if name else str(config.metric)
    return WidgetBrief(
        id=config.id if isinstance(config, Widget) else None,
        name=foreign(config.name),
        chart_type=word(config.chart_type, CHART_TYPES, limit=40),
        field=field_word(config.field) if config.field else None,
        metric=metric,
        aggregation_function=config.function or None,
        time_period=config.period if config.time_period else None,
        group_by=group_name(config) if config.group_by else None,
    )


def report(reading: ChartReading, points: int, names: dict[str, str]) -> WidgetReport:
    """``points``: the most buckets in the series. ``names``: what to call numbered groups."""
    config = reading.target.config
    about = brief(config, reading.chart.display_name if reading.chart else None)
    if reading.target.matching is not None:
        about = about.model_copy(update={"field": config.field})  # this program's own words for what is plotted
    window = WindowShown(
        start=format_instant(reading.window.start), end=format_instant(reading.window.end), source=reading.window.source
    )
    if reading.error is not None:
        return WidgetReport(widget=about, window=window, error=str(reading.error))
    summary, untested = summarise(reading, points, names)
    caveats = [*summary.caveats, *reading.notes]
    if summary.n == 0:
        caveats.insert(0, _why_empty(reading))
    return WidgetReport(
        widget=about,
        window=window,
        unit=summary.unit,
        n=summary.n,
        findings=summary.findings,
        facts=summary.facts,
        series=_series(summary),
        groups=GroupsShown(**asdict(summary.groups)) if summary.groups else None,
        not_tested=[*untested, *summary.not_tested] or None,
        caveats=caveats or None,
    )


async def reported(readings: Sequence[ChartReading], points: int, names: dict[str, str]) -> list[WidgetReport]:
    """The report of each reading."""
    small = are_few(readings)
    return [await in_thread(report, reading, points, names, small=small) for reading in readings]


def _series(summary: Summary) -> SeriesShown | None:
    if summary.series is None:
        return None
    plain = summary.series
    return SeriesShown(
        measure=plain.measure, start=plain.start, step=plain.step, value=plain.value, n=plain.n,
        partial=plain.partial or None,
    )  # fmt: skip


def _why_empty(reading: ChartReading) -> str:
    """An empty answer's likely causes, and the filter that was really sent."""
    shown_filter = cleaned(json_text(reading.target.filters), limit=400)
    return (
        f"no calls with a value: the window may hold none, or the filters {shown_filter} exclude them; "
        "try a longer window, or look_up values for the filtered field"
    )


def with_intervals(report: WidgetReport) -> WidgetReport:
    """The 95 % interval of each bucket's share."""
    series = report.series
    if series is None or series.n is None:
        return report
    bounds = [
        None if value is None or not n else wilson(float(value), n)
        for value, n in zip(series.value, series.n, strict=True)
    ]
    low, high = ([None if bound is None else sig(bound[side], 3) for bound in bounds] for side in (0, 1))
    return report.model_copy(update={"series": series.model_copy(update={"low": low, "high": high})})
