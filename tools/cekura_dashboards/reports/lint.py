"""The problems of a dashboard, each with the edit that fixes it. Pure: makes no requests."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, cast

from msgspec import Struct

from cekura_dashboards.api.errors import Refused
from cekura_dashboards.api.filters import both, time_bounds, without_time
from cekura_dashboards.api.models import (
    CHART_TYPES,
    FILTERED,
    METRIC_VALUE,
    TIME_PERIODS,
    Dashboard,
    JsonObject,
    Widget,
    is_metadata,
    plotted_type,
)
from cekura_dashboards.charts.target import ChartReading, format_instant
from cekura_dashboards.edits.request import MOST_WIDGETS
from cekura_dashboards.edits.rules import DATE_RANGE, TOO_OLD, MetricTypes, check, is_too_old
from cekura_dashboards.stats.timeline import DAY, HOUR
from cekura_dashboards.text import clean, named
from cekura_dashboards.values import replace

ProblemKind = Literal[
    "broken", "no_date_range", "old_date_range", "empty", "duplicate", "sum_of_score", "many_slices", "many_buckets",
    "no_name", "same_name",
]  # fmt: skip
MOST_SLICES, KEPT_SLICES = 12, 8
"""More slices are too many to read; the fix keeps the second number. Choices."""
MOST_BUCKETS = 60
"""More bars are too many to read: two months of days, or two and a half days of hours. A choice."""
WIDTHS = {"hour": HOUR, "day": DAY, "week": 7 * DAY, "month": 30 * DAY}


class Draft(Struct, frozen=True):
    """A finding. ``edit``: arguments for bulk_edit_dashboard, or for update_dashboard if ``of_dashboard``."""

    kind: ProblemKind
    widget_ids: list[int]
    text: str
    edit: JsonObject
    of_dashboard: bool = False


class ChartObservation(Struct, frozen=True):
    """What a widget's data showed: number of calls, labels by size, buckets; ``untested`` if part is missing."""

    reading: ChartReading
    n: int | None = None
    labels: Sequence[str | None] = ()
    buckets: int = 0
    untested: bool = False


@dataclass
class Lint:
    """Applies the rules in turn; a widget to be deleted is not checked further."""

    dashboard: Dashboard
    observations: Mapping[int, ChartObservation]
    metrics: MetricTypes | None
    now: datetime
    gone: set[int] = field(default_factory=set[int])

    def findings(self) -> list[Draft]:
        looks: tuple[Callable[[], Iterator[Draft]], ...] = (
            self._broken, self._no_date_range, self._old_date_ranges, self._empty, self._duplicates, self._sums,
            self._slices, self._buckets, self._names,
        )  # fmt: skip
        return [self._tested(draft) for look in looks for draft in look()]

    def _tested(self, draft: Draft) -> Draft:
        """The draft, without its edit if a copy with that edit would break the same rules."""
        for fields in cast("list[JsonObject]", draft.edit.get("update") or []):
            stored = next((widget for widget in self._widgets() if widget.id == fields["id"]), None)
            if stored is None or not {*fields} - {"id", "name"}:
                continue
            changed = stored.model_copy(update={name: value for name, value in fields.items() if name != "id"})
            twin = next((w for w in self._widgets() if w.id != stored.id and _plots(w) == _plots(changed)), None)
            if twin is not None:
                text = f"{draft.text}; but then it would duplicate widget {twin.id} {named(twin.name)}"
                return replace(draft, text=f"{text}: shorten the date range, or delete it", edit={})
            if check(changed, "", self.metrics):
                return replace(draft, edit={})
        return draft

    def _widgets(self) -> list[Widget]:
        return [w for w in self.dashboard.widgets if w.id not in self.gone and w.chart_type in CHART_TYPES]

    def _delete(self, kind: ProblemKind, widgets: Sequence[Widget], text: str) -> Draft:
        ids = [widget.id for widget in widgets]
        self.gone.update(ids)
        return Draft(kind, ids, text, {"delete": ids})

    def _broken(self) -> Iterator[Draft]:
        for widget in self._widgets():
            problem, impossible = self._problem(widget)
            if problem is None:
                continue
            text = f"its chart cannot be drawn: {problem}"
            if not impossible:
                yield Draft("broken", [widget.id], text, {})
            elif changes := _repair(widget, self.metrics):
                yield Draft("broken", [widget.id], text, {"update": [{"id": widget.id, **changes}]})
            else:
                yield self._delete("broken", [widget], text)

    def _problem(self, widget: Widget) -> tuple[str | None, bool]:
        """Why it cannot be drawn, and whether the rules forbid it; an error of the API alone may be temporary."""
        field_name = widget.field or ""
        if field_name and plotted_type(field_name) is None:
            return f"{named(field_name)} is not a field of calls", True
        if faults := check(widget, "", self.metrics):
            return str(faults[0]), True
        observation = self.observations.get(widget.id)
        error = observation.reading.error if observation else None
        bounds = time_bounds(both(self.dashboard.filters, widget.filters), self.now)
        if isinstance(error, Refused) and bounds.start is not None and not is_too_old(bounds, self.now):
            return clean(str(error), limit=200), False
        return None, False

    def _old_date_ranges(self) -> Iterator[Draft]:
        """Fixed ranges older than what the API keeps."""
        why = f"{TOO_OLD}, so the API refuses the charts (400); the fix sets 7 days"
        own = self.dashboard.filters
        if is_too_old(time_bounds(own, self.now), self.now):
            edit = {"filters": both(without_time(own), DATE_RANGE)}
            yield Draft("old_date_range", [w.id for w in self._widgets()], why, edit, of_dashboard=True)
        for widget in self._widgets():
            if is_too_old(time_bounds(widget.filters, self.now), self.now):
                filters = both(without_time(widget.filters), DATE_RANGE)
                yield Draft("old_date_range", [widget.id], why, {"update": [{"id": widget.id, "filters": filters}]})

    def _no_date_range(self) -> Iterator[Draft]:
        filters = self.dashboard.filters
        bare = [w for w in self._widgets() if time_bounds(both(filters, w.filters), self.now).start is None]
        if bare:
            text = (
                "neither these charts nor the dashboard have a date range, and without one the API refuses them (400); "
                "the fix sets the last 7 days"
            )
            edit = {"filters": both(filters, DATE_RANGE)}
            yield Draft("no_date_range", [w.id for w in bare], text, edit, of_dashboard=True)

    def _empty(self) -> Iterator[Draft]:
        for widget in self._widgets():
            observation = self.observations.get(widget.id)
            if observation is None or observation.reading.chart is None or observation.n != 0 or observation.untested:
                continue
            window = observation.reading.window
            why = "; its own filters may be too narrow" if widget.filters else ""
            text = (
                f"it shows nothing: no calls from {format_instant(window.start)} to {format_instant(window.end)}{why}"
            )
            yield self._delete("empty", [widget], text)

    def _duplicates(self) -> Iterator[Draft]:
        alike = defaultdict[str, list[Widget]](list)
        for widget in self._widgets():
            alike[_plots(widget)].append(widget)
        for first, *others in alike.values():
            if others:
                text = f"duplicates widget {first.id} {named(first.name)}"
                yield self._delete("duplicate", others, text)

    def _sums(self) -> Iterator[Draft]:
        for widget in self._widgets():
            function = widget.function
            if widget.chart_type != "bar" or not function:
                continue
            if widget.field == METRIC_VALUE and function == "sum":
                text, better = "a sum of scores grows with the number of calls; an average describes them", "avg"
            elif widget.field == "agent_id" and function != "count":
                text, better = (
                    f"the {function} of ids is meaningless; count the calls instead",
                    "count",
                )
            else:
                continue
            yield Draft(
                "sum_of_score", [widget.id], text, {"update": [{"id": widget.id, "aggregation_function": better}]}
            )

    def _slices(self) -> Iterator[Draft]:
        for widget in self._widgets():
            observation = self.observations.get(widget.id)
            if widget.chart_type != "pie" or observation is None or len(observation.labels) <= MOST_SLICES:
                continue
            largest = [label for label in observation.labels if label is not None][:KEPT_SLICES]
            text = (
                f"{len(observation.labels)} slices are too many to read; the fix keeps the {len(largest)} largest "
                "and says so in the name"
            )
            name = f"{(widget.name or title(widget))[:200]} ({len(largest)} largest)"
            filters = both(widget.filters, _only(widget, largest))
            yield Draft(
                "many_slices", [widget.id], text, {"update": [{"id": widget.id, "name": name, "filters": filters}]}
            )

    def _buckets(self) -> Iterator[Draft]:
        for widget in self._widgets():
            observation = self.observations.get(widget.id)
            if widget.chart_type != "bar" or observation is None or observation.buckets <= MOST_BUCKETS:
                continue
            window = observation.reading.window
            span = (window.end - window.start).total_seconds()
            period = next((p for p in TIME_PERIODS if span / WIDTHS[p] <= MOST_BUCKETS), "month")
            bars = f"{span / WIDTHS[period]:.0f}"
            text = f"{observation.buckets} bars are too many to read; per {period} there are {bars}"
            yield Draft(
                "many_buckets", [widget.id], text, {"update": [{"id": widget.id, "time_period": period}]}
            )  # fmt: skip

    def _names(self) -> Iterator[Draft]:
        used_names = {w.name for w in self._widgets() if w.name}
        if bare := [w for w in self._widgets() if not w.name][:MOST_WIDGETS]:
            text = "a chart without a name cannot be referred to"
            updates = [{"id": w.id, "name": _unused_name(title(w), used_names)} for w in bare]
            yield Draft("no_name", [w.id for w in bare], text, {"update": updates})
        by_name = defaultdict[str, list[Widget]](list)
        for widget in self._widgets():
            by_name[(widget.name or "").strip().casefold()].append(widget)
        for name, (first, *others) in by_name.items():
            if name and others:
                text = f"has the same name as widget {first.id}, {named(first.name)}, but shows something else"
                updates = [
                    {"id": w.id, "name": _unused_name(f"{w.name}: {title(w)}"[:240], used_names)} for w in others
                ]
                yield Draft("same_name", [w.id for w in others], text, {"update": updates})


def _plots(widget: Widget) -> str:
    """A key of what a widget shows, equal for duplicates."""
    plots = {name: value for name, value in widget.definition().items() if name not in {"name", "metadata"}}
    return repr(sorted(plots.items()))


def _unused_name(name: str, used_names: set[str]) -> str:
    """The name, numbered if it is used already; it is added to ``used_names``."""
    candidate, count = name, 1
    while candidate in used_names:
        count += 1
        candidate = f"{name} {count}"
    used_names.add(candidate)
    return candidate


def _repair(widget: Widget, metrics: MetricTypes | None) -> JsonObject:
    """The fewest changes that make the chart valid; empty if there are none."""
    if widget.field and plotted_type(widget.field) is None:
        return {}
    for chart in dict.fromkeys([widget.chart_type, "bar", "pie", "line"]):
        for function in dict.fromkeys([widget.aggregation_function or "avg", "avg", "count"]):
            changes: JsonObject = {"chart_type": chart}
            if chart == "bar":
                changes |= {"aggregation_function": function, "time_period": widget.time_period or "day"}
            if not check(widget.model_copy(update=changes), "", metrics):
                return {name: value for name, value in changes.items() if value != getattr(widget, name)}
    return {}


def _only(widget: Widget, labels: Sequence[str]) -> JsonObject:
    """The filter that keeps these labels."""
    name = widget.field or ""
    keep: JsonObject = {"field": name, "op": "in", "value": [*labels]}
    if name == METRIC_VALUE:
        own = {"field": "metric_evaluations.metric.id", "op": "eq", "value": widget.metric}
        return {"operator": "same_row", "conditions": [own, keep]}
    return keep if name in FILTERED or is_metadata(name) else {}


_WORDS = {"avg": "Average", "sum": "Total", "count": "Number of calls by", "min": "Lowest", "max": "Highest"}


def title(widget: Widget) -> str:
    """A name that says what is plotted.

    >>> title(Widget(id=1, chart_type="bar", field="duration", aggregation_function="p95", time_period="day"))
    'P95 duration per day'
    """
    if widget.chart_type == "stat":
        return "Overview"
    what = clean(widget.metric_name or (widget.field or "").removeprefix("metadata.").replace("_", " "))
    if widget.chart_type != "bar":
        return f"{what} ({widget.chart_type})".strip()
    function = widget.function
    return clean(f"{_WORDS.get(function, function.upper())} {what} per {widget.period}")
