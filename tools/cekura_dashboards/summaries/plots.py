"""Series to plot: a chart over time, in its own buckets and in few enough points."""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from cekura_dashboards.stats.numbers import Number, round_for_display
from cekura_dashboards.stats.timeline import (
    DAY,
    HOUR,
    PERIODS,
    STEPS,
    Span,
    choose_step,
    is_partial,
    iso,
    origin_of,
    starts,
)
from cekura_dashboards.summaries.bar import is_merged
from cekura_dashboards.summaries.buckets import display_value, end_of, fill_empty, merge_groups
from cekura_dashboards.summaries.calls import CallValues
from cekura_dashboards.summaries.model import Bucket
from cekura_dashboards.text import SafeText

Role = Literal["current", "baseline", "before", "group"]
MAX_GROUPS_DRAWN = 7
RATE_POINTS = 120
"""A rate of true and false needs several calls to a point."""
SPARSE = 2
"""Where fewer than one in so many steps holds something, the steps that do are listed."""


class PlotSeries(BaseModel):
    """Values in steps of equal length; ``value[i]`` begins at ``start + i * step_s``, or at ``start + at[i] * step_s``.

    null: no data.
    """

    model_config = ConfigDict(frozen=True)

    role: Role
    label: SafeText | None = Field(default=None, description="of a group")
    start: str
    step_s: int
    at: list[int] | None = Field(default=None, description="the steps that the values are of, if not of every one")
    value: list[Number | None]
    n: list[int | None] | None = None
    low: list[Number | None] | None = Field(default=None, description="the smallest of the calls in a step")
    high: list[Number | None] | None = Field(default=None, description="the largest of the calls in a step")
    partial: list[int] | None = Field(default=None, description="positions in value of incomplete steps, from 0")

    def thin(self, most: int) -> "PlotSeries":
        """At most ``most`` values: of each column the smallest and the largest, in order of time."""
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
        """Without the calls behind each value."""
        return self.model_copy(update={"n": None})


def bar_plot_series(
    function: str, period: str, buckets: Sequence[Bucket], span: Span, *, role: Role = "current", by_group: bool = False
) -> list[PlotSeries]:
    """The whole, where it can be put together of groups; then, if asked, the largest groups, the largest first."""
    observed = [bucket for bucket in buckets if bucket.value is not None]
    if not observed:
        return []
    all_series = list[PlotSeries]()
    if is_merged(function, "group" if by_group else None):
        all_series.append(_bar_series(function, period, observed, span, role, None))
    if not by_group:
        return all_series
    groups = defaultdict[str | None, list[Bucket]](list)
    for bucket in observed:
        groups[bucket.group].append(bucket)
    sizes = {
        name: sum((b.value if function == "count" else b.n) or 0 for b in buckets_of_group)
        for name, buckets_of_group in groups.items()
    }
    largest = sorted(groups, key=lambda name: (-sizes[name], str(name)))[:MAX_GROUPS_DRAWN]
    return [*all_series, *(_bar_series(function, period, groups[name], span, "group", name) for name in largest)]


def _bar_series(
    function: str, period: str, buckets: Sequence[Bucket], span: Span, role: Role, label: str | None
) -> PlotSeries:
    buckets_by_time = {
        bucket.time: bucket for bucket in fill_empty(function, period, merge_groups(function, buckets), span)
    }
    step = STEPS.get(PERIODS.get(period, ""), DAY)
    times = starts(span, step)
    if period == "month" or not buckets_by_time.keys() <= {*times}:
        times, step = (
            sorted(buckets_by_time),
            DAY if all(time % DAY == min(buckets_by_time) % DAY for time in buckets_by_time) else HOUR,
        )
    rows = [buckets_by_time.get(time) for time in times]
    sizes = [row.n if row is not None else 0 for row in rows]
    return PlotSeries(
        role=role,
        label=label,
        start=iso(times[0], step=step, zone=span.zone),
        step_s=step,
        at=_places(times, step),
        value=[display_value(function, row.value) if row is not None else None for row in rows],
        n=None if function == "count" or all(n is None for n in sizes) else sizes,
        partial=[
            i
            for i, (time, row) in enumerate(zip(times, rows, strict=True))
            if row is not None and is_partial(time, end_of(row, period) - time, span)
        ]
        or None,
    )


def _places(times: Sequence[float], step: int) -> list[int] | None:
    """Which step each time is; None where each is the one after the other."""
    places = [round((time - times[0]) / step) for time in times]
    return None if places == [*range(len(places))] else places


def line_plot_series(calls: CallValues, span: Span, *, boolean: bool, role: Role = "current") -> list[PlotSeries]:
    """The mean of the calls in each short stretch, with the smallest and the largest; of true and false the rate."""
    if not calls.cells:
        return []
    step = max(calls.grain, STEPS[choose_step(span, RATE_POINTS)] if boolean else 0)
    values_by_time = calls.by(step, origin_of(span, step))
    times = starts(span, step)
    if len(values_by_time) * SPARSE < len(times):
        times = sorted(values_by_time)
    cells = [values_by_time.get(time, []) for time in times]
    spread = not boolean and any(len(cell) > 1 for cell in cells)
    return [
        PlotSeries(
            role=role,
            start=iso(times[0], step=step, zone=span.zone),
            step_s=step,
            at=_places(times, step),
            value=[round_for_display(statistics.fmean(cell)) if cell else None for cell in cells],
            n=[len(cell) for cell in cells],
            low=[round_for_display(min(cell)) if cell else None for cell in cells] if spread else None,
            high=[round_for_display(max(cell)) if cell else None for cell in cells] if spread else None,
            partial=[i for i, time in enumerate(times) if cells[i] and is_partial(time, step, span)] or None,
        )
    ]
