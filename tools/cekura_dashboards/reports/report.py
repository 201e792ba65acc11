"""Reports: what a tool answers about one widget's chart."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct, field
from pydantic import BaseModel, Field, PrivateAttr

from cekura_dashboards.api.fields import CHART_TYPES, FILTERED, PLOTTED
from cekura_dashboards.api.filters import both, in_words
from cekura_dashboards.api.models import Widget, WidgetConfig
from cekura_dashboards.charts.target import ChartReading, Target, are_few
from cekura_dashboards.charts.window import Window, format_instant, is_off_utc
from cekura_dashboards.concurrency import in_thread
from cekura_dashboards.reports.summary import group_name, summarise
from cekura_dashboards.stats.findings import Comparison, FigureChange, Finding, GroupChanges
from cekura_dashboards.stats.numbers import round_for_display, wilson_interval
from cekura_dashboards.stats.timeline import UTC_CLOCK, Clock
from cekura_dashboards.summaries.model import AnyFacts, Groups, Series, Summary
from cekura_dashboards.summaries.profile import Profile
from cekura_dashboards.text import SafeText, UntrustedText, named, untrusted, word

FINE_SERIES, COARSE_SERIES = 31, 12
"""Buckets of a series by default: every day of a month; fewer where several charts share the room."""


class ReportOptions(Struct, frozen=True):
    """``points``: the most buckets of a series; ``coarse``: of one that stands in where there is no room for it.

    ``names``: what to call agents, by id. ``clock``: theirs.
    """

    points: int
    coarse: int = 0
    names: dict[str, str] = field(default_factory=dict[str, str])
    clock: Clock = UTC_CLOCK


ALL_CALLS = "all calls"
NOT_COUNTED = "a count of {} leaves out calls without one; field agent_id counts all calls"
WHOLE_DAYS = ("d", "w", "mo")
"""Ends of the names of steps of whole days."""


class WidgetBrief(BaseModel):
    """Which widget, and what it plots."""

    id: int | None = None
    name: UntrustedText | None = None
    chart_type: SafeText
    field: SafeText | None = None
    metric: str | None = None
    aggregation_function: SafeText | None = None
    time_period: SafeText | None = None
    group_by: SafeText | None = None


class WindowShown(BaseModel):
    """The half-open window, as instants in UTC."""

    start: str = Field(serialization_alias="from")
    end: str = Field(serialization_alias="to")
    source: str = Field(description="asked, saved or default")


class StatChange(BaseModel):
    """The figures of a stat beside those of the period before."""

    start: str = Field(serialization_alias="from")
    end: str = Field(serialization_alias="to")
    figures: list[FigureChange]


class WidgetReport(BaseModel):
    """The facts of one widget over one window, or why there are none."""

    widget: WidgetBrief
    where: str | None = Field(default=None, description="which calls it counts: all filters together")
    window: WindowShown | None = None
    unit: str | None = None
    passing: str | None = Field(default=None, description="what a pass is scored, of a metric that passes or fails")
    n: int | None = None
    comparison: Comparison | None = None
    findings: list[Finding] | None = Field(default=None, description="empty: tested, none found")
    facts: AnyFacts | None = None
    change: StatChange | None = None
    series: Series | None = None
    groups: Groups | None = None
    group_changes: GroupChanges | None = None
    profile: Profile | None = None
    not_tested: list[str] | None = None
    notes: list[str] | None = None
    left_out: list[str] | None = Field(default=None, description="what did not fit, and how to get it")
    error: str | None = None
    _coarser: Series | None = PrivateAttr(default=None)
    _is_charted: bool = PrivateAttr(default=False)
    _text: str | None = PrivateAttr(default=None)

    def text_by(self, render: Callable[["WidgetReport"], str]) -> str:
        """Its text, worked out the first time only: what is measured is what is shown."""
        if self._text is None:
            self._text = render(self)
        return self._text

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> "WidgetReport":
        """A copy, whose text is another."""
        copied = super().model_copy(update=update, deep=deep)
        copied._text = None  # noqa: SLF001 - a copy of its own
        return copied

    @property
    def is_charted(self) -> bool:
        """Whether its text holds a chart; there is room for one in an answer about one widget."""
        return self._is_charted

    def with_chart(self, *, drawn: bool = True) -> "WidgetReport":
        copied = self.model_copy()
        copied._is_charted = drawn  # noqa: SLF001 - a copy of its own
        return copied

    @property
    def coarser(self) -> Series | None:
        """The series in fewer buckets, for where there is no room; None if there is none."""
        return self._coarser

    def with_coarser(self, series: Series | None) -> "WidgetReport":
        """The report, its series in fewer buckets beside it if they are fewer."""
        if series is not None and self.series is not None and len(series.value) < len(self.series.value):
            self._coarser = series
        return self


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
        name=untrusted(config.name),
        chart_type=word(config.chart_type, CHART_TYPES, limit=40),
        field=field_word(config.field) if config.field else None,
        metric=metric,
        aggregation_function=config.function or None,
        time_period=config.period if config.time_period else None,
        group_by=group_name(config) if config.group_by else None,
    )


def which_calls(target: Target, names: dict[str, str]) -> str:
    """The calls that a chart counts, in words: its own filters, its dashboard's and those asked for, without times."""
    calls = both(target.calls, target.config.counted)
    return in_words(calls, names) if calls else ALL_CALLS


def window_shown(window: Window) -> WindowShown:
    return WindowShown(start=format_instant(window.start), end=format_instant(window.end), source=window.source)


def report(reading: ChartReading, audience: ReportOptions, history: ChartReading | None = None) -> WidgetReport:
    """``history``: more of the same measure, for the tests."""
    config = reading.target.config
    about = brief(config, reading.chart.display_name if reading.chart else None)
    if reading.target.matching is not None:
        about = about.model_copy(update={"field": config.field})  # this program's own words for what is plotted
    result = WidgetReport(
        widget=about, where=which_calls(reading.target, audience.names), window=window_shown(reading.window)
    )
    if reading.error is not None:
        return result.model_copy(update={"error": str(reading.error)})
    summary, untested = summarise(reading, audience, history)
    notes = [*summary.notes, *reading.notes]
    zone, days = audience.clock.zone, _days_of(config, summary)
    if days and is_off_utc(reading.window, zone):
        notes.append(f"{days} are {'' if reading.target.local_days else f'UTC {days}, not '}those of {zone}")
    if config.counted:
        notes.append(NOT_COUNTED.format(field_word(config.field or "")))
    if history is not None and history.error is not None:
        notes.append(f"tested over this window alone, as its history could not be read: {history.error}")
    return result.model_copy(
        update={
            "unit": summary.unit,
            "passing": reading.passing,
            "n": summary.n,
            "findings": summary.findings,
            "facts": summary.facts,
            "series": summary.series,
            "groups": summary.groups,
            "not_tested": [*untested, *summary.not_tested] or None,
            "notes": notes or None,
        }
    ).with_coarser(summary.coarser)


def _days_of(config: WidgetConfig, summary: Summary) -> str | None:
    """What the chart's values are of that begins at midnight: days, weeks or months; None for hours and less."""
    if config.chart_type == "bar" and config.period in {"day", "week", "month"}:
        return f"{config.period}s"
    return "days" if summary.series and summary.series.step.endswith(WHOLE_DAYS) else None


async def report_readings(
    readings: Sequence[ChartReading], audience: ReportOptions, histories: Sequence[ChartReading | None] = ()
) -> list[WidgetReport]:
    """The report of each reading; ``histories``: of each, if any were read."""
    beside = histories or [None] * len(readings)
    small = are_few([*readings, *(history for history in beside if history is not None)])
    return [
        await in_thread(report, reading, audience, history, small=small)
        for reading, history in zip(readings, beside, strict=True)
    ]


def with_intervals(report: WidgetReport) -> WidgetReport:
    """The 95 % interval of each bucket's share."""
    series = report.series
    if series is None or series.n is None:
        return report
    bounds = [
        None if value is None or not n else wilson_interval(float(value), n)
        for value, n in zip(series.value, series.n, strict=True)
    ]
    low, high = ([None if bound is None else round_for_display(bound[side], 3) for bound in bounds] for side in (0, 1))
    return report.model_copy(update={"series": series.model_copy(update={"low": low, "high": high})})
