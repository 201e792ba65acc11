"""What a summary is made of: named facts, rounded once, absent where nothing is known."""

from typing import NamedTuple

from msgspec import Struct, field
from pydantic import BaseModel, ConfigDict, Field

from cekura_dashboards.stats.findings import Finding
from cekura_dashboards.stats.numbers import Number, exact, round_for_display
from cekura_dashboards.text import SafeText, UntrustedText


class Point(NamedTuple):
    """One call of a line. ``value`` None is missing."""

    time: float
    value: float | None
    id: int | str | None = None
    group: str | None = None


class Bucket(NamedTuple):
    """One bar. ``n`` None: the API did not say how many calls it rests on."""

    time: float
    value: float | None
    n: int | None
    group: str | None = None


class Slice(NamedTuple):
    """One piece of a pie; ``pct`` as the API sent it."""

    label: str | None
    value: float
    pct: float | None = None
    group: str | None = None


class Facts(BaseModel):
    """Figures of a chart in its unit; what is absent does not apply."""

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
    """Of values that are times: they have no mean."""

    first: str | None = None
    last: str | None = None


class LineFacts(Facts):
    """Over all calls of a line; of true and false the rate with its 95 % interval, of numbers how they spread."""

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


class BarFacts(Facts):
    """Over all buckets of a bar: the mean weighted by calls, never a mean of means; percentiles are not merged."""

    total: Number | None = None
    overall: Number | None = None
    ci95: list[Number] | None = Field(default=None, description="of the overall rate")
    mean_of_buckets: Number | None = Field(default=None, description="every bucket alike, where that differs")
    min: Number | None = None
    max: Number | None = None
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
    """How calls divide among labels."""

    total: Number
    categories: int
    rate: Number | None = Field(default=None, description="of a metric scored 0 or 5: the share that is 5")
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
    """The same in fewer buckets, for where there is no room."""
    groups: Groups | None = None
    findings: list[Finding] | None = None
    """None: nothing was tested. Empty: tested, and nothing found."""
    not_tested: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])


MAX_GROUPS = 15


def largest_groups(by: str, rows: list[tuple[str | None, int | None, float | None]], columns: list[str]) -> Groups:
    """``rows``: (group, n, value). The largest 15 by n come first; equal ones by name."""
    ordered = sorted(rows, key=lambda row: (-(row[1] or 0), -(abs(row[2] or 0)), str(row[0])))
    rest = ordered[MAX_GROUPS:]
    return Groups(
        by=by,
        columns=columns,
        top=[GroupShown(name, n, _shown(value)) for name, n, value in ordered[:MAX_GROUPS]],
        other=OtherGroups(groups=len(rest), n=sum(n or 0 for _, n, _ in rest)) if rest else None,
    )


def _shown(value: float | None) -> Number | None:
    """Whole values, such as counts, exact."""
    if value is None:
        return None
    return exact(value) if float(value).is_integer() else round_for_display(value)
