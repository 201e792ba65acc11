"""The parts of a summary: named facts, rounded once, absent if unknown."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from msgspec import Struct, field
from pydantic import BaseModel, ConfigDict, Field

from cekura_dashboards.stats.findings import Finding, Number
from cekura_dashboards.text import SafeText, UntrustedText


class Point(NamedTuple):
    """One call of a line. ``value`` None is missing."""

    time: float
    value: float | None
    id: int | str | None = None
    group: str | None = None


class Bucket(Struct, frozen=True, order=True, gc=False):
    """One bar. ``n`` None: the API did not send its number of calls."""

    time: float
    value: float | None
    n: int | None
    group: str | None = None


class Slice(NamedTuple):
    """One slice of a pie; ``pct`` as sent by the API."""

    label: str | None
    value: float
    pct: float | None = None
    group: str | None = None


class Facts(BaseModel):
    """Figures of a chart in its unit; absent ones do not apply."""

    model_config = ConfigDict(frozen=True)


class At(NamedTuple):
    """A bucket and its value."""

    when: str
    value: Number


class OneCall(NamedTuple):
    """A single call: its value, time and id."""

    value: Number
    when: str
    id: int | UntrustedText | None


class TimesFacts(Facts):
    """Facts of values that are times and so have no mean."""

    first: str | None = None
    last: str | None = None


class LineFacts(Facts):
    """Facts of all calls of a line: for booleans the rate with its 95 % interval, for numbers their distribution."""

    rate: Number | None = None
    ci95: list[Number] | None = Field(default=None, description="of the rate")
    mean: Number | None = None
    sd: Number | None = None
    p5: Number | None = None
    p50: Number | None = None
    p95: Number | None = None
    p99: Number | None = None
    min: OneCall | None = None
    max: OneCall | None = None
    nulls: int | None = Field(default=None, description="calls without a value")


class WholeValue(NamedTuple):
    """A percentile of all calls of a window; ``parts``: the values that it lies between, if it is not known exactly."""

    value: float
    parts: tuple[float, ...] = ()


class WholeValues(Struct, frozen=True):
    """The percentiles of all calls of a window and of each group, as far as known."""

    of_all: WholeValue | None = None
    by_group: Mapping[str | None, WholeValue] = field(default_factory=dict[str | None, WholeValue])


class BarFacts(Facts):
    """Facts of all buckets of a bar: the mean is weighted by calls; percentiles are not merged."""

    total: Number | None = None
    overall: Number | None = None
    ci95: list[Number] | None = Field(default=None, description="of the overall rate")
    mean_of_buckets: Number | None = Field(default=None, description="every bucket alike, where that differs")
    min: Number | None = None
    max: Number | None = None
    p50: Number | None = Field(default=None, description="of all calls, as p95 and p99")
    p95: Number | None = None
    p99: Number | None = None
    typical_bucket_p50: Number | None = None
    typical_bucket_p95: Number | None = None
    typical_bucket_p99: Number | None = None
    highest: At | None = None
    lowest: At | None = None


class SliceShown(NamedTuple):
    """A label with its calls and its share of all, in percent."""

    label: SafeText | None
    n: Number
    pct: float


class OtherSlices(BaseModel):
    """What is not among the top."""

    categories: int
    n: Number
    pct: float


class PieFacts(Facts):
    """The distribution of calls over labels."""

    total: Number
    categories: int
    rate: Number | None = Field(default=None, description="of a metric that passes or fails: the share that passes")
    ci95: list[Number] | None = Field(default=None, description="of the rate")
    columns: list[str] | None = None
    top: list[SliceShown] | None = None
    other: OtherSlices | None = None
    lead_points: float | None = Field(default=None, description="of the first over the second, in percentage points")
    lead_ci95: list[float] | None = None


class StatFacts(Facts):
    """A few figures for the whole window, each in its own unit."""

    total_calls: Number | None = None
    success_rate: Number | None = None
    avg_duration: Number | None = None
    p95_latency: Number | None = None
    other_figures: dict[SafeText, Number] | None = Field(default=None, description="not documented by the API")
    units: dict[SafeText, str] | None = None


AnyFacts = LineFacts | BarFacts | PieFacts | StatFacts | TimesFacts


class Series(BaseModel):
    """Aligned buckets; value[i] begins at start + i * step. null: no data."""

    model_config = ConfigDict(frozen=True)

    measure: str
    start: str
    step: str
    value: list[Number | None]
    n: list[int | None] | None = None
    low: list[Number | None] | None = Field(default=None, description="of the 95 % interval")
    high: list[Number | None] | None = Field(default=None, description="of the 95 % interval")
    partial: list[int] | None = Field(default=None, description="positions of incomplete buckets, from 0")


Cell = SafeText | int | float | None
TableFormat = Literal["text", "csv"]


class Table(BaseModel):
    """A chart as rows, or some of them."""

    model_config = ConfigDict(frozen=True)

    columns: list[str]
    first_row: int = Field(default=1, description="the position of the first of these rows, from 1")
    total_rows: int
    rows: list[list[Cell]]
    format: TableFormat = Field(default="text", exclude=True)


class GroupShown(NamedTuple):
    """A group with its calls and its value."""

    group: SafeText | None
    n: int | None
    value: Number | None


class OtherGroups(BaseModel):
    """What is not among the top."""

    groups: int
    n: int


class Groups(BaseModel):
    """The largest groups, the largest first; ``columns`` names what a row holds."""

    model_config = ConfigDict(frozen=True)

    by: SafeText
    columns: list[str]
    top: list[GroupShown]
    other: OtherGroups | None = None


class Summary(Struct, frozen=True, kw_only=True):
    """The facts of one widget over one window."""

    kind: str
    unit: str
    n: int | None
    facts: AnyFacts
    series: Series | None = None
    coarser: Series | None = None
    """The same in fewer buckets, if space is short."""
    groups: Groups | None = None
    findings: list[Finding] | None = None
    """None: not tested. Empty: tested without findings."""
    changes: list[Finding] = field(default_factory=list[Finding])
    """The steps and trends of the whole history."""
    not_tested: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])


Role = Literal["current", "baseline", "before", "group"]


class PlotSeries(BaseModel):
    """Values in steps of equal length; ``value[i]`` begins at ``start + i * step_s``, or at ``start + at[i] * step_s``.

    null: no data.
    """

    model_config = ConfigDict(frozen=True)

    role: Role
    label: SafeText | None = Field(default=None, description="of a group")
    start: str
    step_s: int
    at: list[int] | None = Field(default=None, description="the steps of the values; absent: every one")
    value: list[Number | None]
    n: list[int | None] | None = None
    low: list[Number | None] | None = Field(default=None, description="the smallest of the calls in a step")
    high: list[Number | None] | None = Field(default=None, description="the largest of the calls in a step")
    interval: bool | None = Field(default=None, description="low and high are the 95 % interval of a rate instead")
    partial: list[int] | None = Field(default=None, description="positions in value of incomplete steps, from 0")

    def thin(self, most: int) -> "PlotSeries":
        """At most ``most`` values: the smallest and the largest of each column, in order of time."""
        if len(self.value) <= most:
            return self
        columns = max(1, most // 2)
        places_by_column = defaultdict[int, list[int]](list)
        for place, value in enumerate(self.value):
            if value is not None:
                places_by_column[place * columns // len(self.value)].append(place)
        places_shown = sorted({place for places in places_by_column.values() for place in self._extremes(places)})
        return self.model_copy(
            update={
                "at": [self.at[place] for place in places_shown] if self.at else places_shown,
                "value": [self.value[place] for place in places_shown],
                "partial": [i for i, place in enumerate(places_shown) if place in (self.partial or [])] or None,
                **{
                    name: [values[place] for place in places_shown]
                    for name in ("n", "low", "high")
                    if (values := getattr(self, name)) is not None
                },
            }
        )

    def _extremes(self, places: Sequence[int]) -> set[int]:
        lowest = min(places, key=lambda place: (self.low or self.value)[place] or 0)
        highest = max(places, key=lambda place: (self.high or self.value)[place] or 0)
        return {lowest, highest}

    def bare(self) -> "PlotSeries":
        """Without the number of calls of each value."""
        return self.model_copy(update={"n": None})


By = Literal["hour_of_day", "weekday", "hour_of_week"]


class SlotShown(BaseModel):
    """An hour or weekday that stands out."""

    model_config = ConfigDict(frozen=True)

    slot: str
    value: Number
    n: Number | None = None


class Profile(BaseModel):
    """A measure by hour or weekday in ``time_zone``; for counts and sums the mean of such hours or days."""

    model_config = ConfigDict(frozen=True)

    by: By
    time_zone: str
    slots: list[str] | None = Field(
        default=None, description="what each value is of; absent: the hours of a week from Monday 00:00 on"
    )
    value: list[Number | None]
    n: list[Number | None] | None = Field(default=None, description="calls; absent where they are not known")
    weekdays: list[Number | None] | None = Field(default=None, description="the same without weekends")
    weekend: list[Number | None] | None = None
    highest: SlotShown | None = None
    lowest: SlotShown | None = None
    highest_on_weekdays: SlotShown | None = None
    verdict: Literal["clear", "possible", "not significant", "not tested"] = Field(description="that it is not flat")
    above: list[str] | None = Field(default=None, description="slots clearly above the others")
    below: list[str] | None = Field(default=None, description="slots clearly below the others")
