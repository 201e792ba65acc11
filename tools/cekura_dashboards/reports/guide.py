"""The guide: fields, filters, times, edits and limits, for whoever asks, so that no tool has to describe them."""

import json
import re
from collections.abc import Collection, Iterable, Mapping

from cekura_dashboards.api.models import (
    CALL_LOG_OPS,
    COMBINATIONS,
    FILTER_OPS,
    FILTERED,
    LIMIT,
    METRIC_COMBINATIONS,
    METRIC_VALUE,
    PLOTTED,
    Combinations,
    JsonObject,
)
from cekura_dashboards.arguments.times import WORDS
from cekura_dashboards.charts.target import COMPARISONS

FILTERS: dict[str, JsonObject] = {
    "Failed calls of one agent": {
        "operator": "and",
        "conditions": [
            {"field": "success", "op": "eq", "value": False},
            {"field": "agent.id", "op": "eq", "value": 33},
        ],
    },
    "Calls over five minutes about one of two topics": {
        "operator": "and",
        "conditions": [
            {"field": "duration", "op": "gt", "value": 300},
            {"field": "topic", "op": "in", "value": ["Billing", "Refund"]},
        ],
    },
    "Calls whose latency was scored above 2,000": {
        "operator": "same_row",
        "conditions": [
            {"field": "metric_evaluations.metric.id", "op": "eq", "value": 501},
            {"field": METRIC_VALUE, "op": "gt", "value": 2000},
        ],
    },
    "Calls that dropped off nowhere": {"field": "dropoff_point", "op": "isnull", "value": True},
    "The last seven days, in filters that are saved": {"field": "timestamp", "op": "gte", "value": "today-7d"},
}
"""Each filter as a tool takes it."""
WIDGETS: dict[str, JsonObject] = {
    "Calls per day": {
        "name": "Calls per day",
        "chart_type": "bar",
        "field": "agent_id",
        "aggregation_function": "count",
        "time_period": "day",
    },
    "Success rate per week, by agent": {
        "name": "Success by agent",
        "chart_type": "bar",
        "field": "success",
        "aggregation_function": "avg",
        "time_period": "week",
        "group_by": {"type": "field", "field": "agent.id"},
    },
    "A metric's 95th percentile": {
        "name": "Latency p95",
        "chart_type": "bar",
        "field": METRIC_VALUE,
        "metric": 501,
        "aggregation_function": "p95",
        "time_period": "day",
    },
    "Why calls end": {"name": "Why calls end", "chart_type": "pie", "field": "call_ended_reason"},
    "Four figures at a glance": {"name": "At a glance", "chart_type": "stat"},
}
"""Each widget as a tool takes it."""

ITEM = re.compile(r"\n(?=- )")
READING = """\
- look_up with `kind` values takes several fields, with commas between them.
- What explain_change finds coincides with a change, and need not be its cause.
- list_calls: `label` is a slice of a pie (`null`: calls without a value); `said` looks through a page of 50 calls.
- check_dashboard looks at the setup of charts; ask the user which of its edits to make.
- `compare_filters`: its conditions stand for those on the same field; the others stay.
- `profile`: the measure by the hours or weekdays of `time_zone`; `share_where`: of a bar that counts, the share of
  calls that match, per bucket."""
EDITING = """\
- preview_edit takes the arguments of bulk_edit_dashboard and changes nothing; its plan_id holds only while nobody
  changes the dashboard. Show it to the user before an edit that is large or deletes.
- A delete changes nothing at first: it answers with what would be lost and a plan_id. Call again with it once the
  user agrees.
- Each edit answers with an `undo` call. The lines `restored` of a later answer go behind
  the plan_id of an older undo, with `;` between.
- Absent and null fields stay; `filters` and `group_by` replace the whole; `metadata` merges. `clear` empties a field;
  metadata in both is replaced; date_range drops that of the filters, which takes a plan.
- `place` (top, top right, bottom, `after 203`) makes room; of `layout` (x, y, w, h on the grid) a part changes that
  alone; `arrange` leaves no overlaps and no empty rows.
- create_dashboard: charts need a date range in the filters, such as timestamp gte today-7d. `copy_of` takes another
  project_id too. A retry creates a second dashboard.
- update_dashboard with `only` replaces conditions on the same field; `filters` replaces them all.
- copy_widgets puts copies below what is there; with `move` widgets keep their ids."""


def guide(absent_tools: Collection[str] = ()) -> str:
    """The guide as Markdown, without what is about tools that are not offered."""
    plotted = [(f"`{name}`", kind, *_combined(kind)) for name, kind in [*PLOTTED.items(), ("metadata.KEY", "string")]]
    metrics = [(f"`{kind}`", *_joined(combined)) for kind, combined in METRIC_COMBINATIONS.items()]
    filtered = [
        (f"`{name}`", filter_type.kind, ", ".join(filter_type.ops) or "any") for name, filter_type in FILTERED.items()
    ]
    not_of_calls = ", ".join(f"`{op}`" for op in FILTER_OPS if op not in CALL_LOG_OPS)
    return f"""\
# Fields, filters, times and limits

## What can be charted

A widget has a `chart_type` and, but for `stat`, a `field`. A `bar` has an `aggregation_function` and a `time_period`
(`hour`, `day`, `week`, `month`), too, and may be grouped (`group_by`).

{_table(("field", "type", "charts", "bar: aggregation_function"), plotted)}

`{METRIC_VALUE}` needs the id of a metric (`metric`), and its charts depend on the kind of the metric:

{_table(("metric", "charts", "bar: aggregation_function"), metrics)}

Number of calls: a bar of `agent_id` with `count`. Rate of success: a bar of `success` with `avg`. Top-level keys of the
metadata only: `metadata.region`, not `metadata.a.b`.

{_examples(WIDGETS)}

## Which calls count

A filter is a condition (`field`, `op`, `value`) or a group of them (`operator` `and` or `or`, `conditions`), to any
depth. `same_row` is a group whose conditions must hold for the same metric evaluation.

{_table(("field", "type", "documented operators"), [*filtered, ("`metadata.KEY`", "text", "any")])}

Operators: {_code(FILTER_OPS)}. Lists of calls do not take {not_of_calls}. `in` takes a list, `isnull` true or false.
`not`, `not_in` and `between` are translated into these, and the answer says how; `contains` and the like have no
negation. A `duration` is in seconds; `3 min` and `1:30` are converted.

A `neq` in a question (`filters`, `compare_filters`, `share_where`) also matches calls without a value: other campaigns
than recall include none at all. Add an `isnull` false to exclude those. Saved filters are sent unchanged.

A chart on a dashboard counts the calls that match its own filters and the dashboard's.

{_examples(FILTERS)}

## Times

`window`: {_code(WORDS)}, any number of minutes, hours, days or weeks (`90m`, `36h`, `10d`, `last two weeks`), a day, a
weekend or a month (`2026-11-16`, `last weekend`, `november`), a start (`since monday`), or an interval. An interval of
dates includes its last day (`2026-11-01/2026-11-07` is a week), one of times ends exactly there
(`2026-11-01T09:00/2026-11-01T17:00`). Default: the saved date range.

`compare_to`: {_code(COMPARISONS)}, or any window. `compare_filters` compares a chart with other calls instead.

In filters a time is ISO 8601, or relative: `now-30m`, `today-7d`. Use it in saved filters only; for one answer use
`window`.

`today`, `this_week` and the like begin in the time zone of the project, or that of the settings (`CEKURA_TIME_ZONE`) or
the call (`time_zone`). Chart buckets are UTC days and hours; `by: local_day` merges hours into days of another zone.

## Answers

{_about(READING, absent_tools)}

## Edits

{_about(EDITING, absent_tools)}

## Limits

- The API keeps {LIMIT.days} days of calls; no chart starts earlier.
- Not measured: unique callers, cost, hold time; nor the median of several groups combined.
- An average of buckets is weighted by their calls; percentiles of buckets cannot be merged.
- A restored widget or dashboard gets a new id.
"""


def _combined(kind: str) -> tuple[str, str]:
    return _joined(COMBINATIONS[kind]) if kind in COMBINATIONS else ("by metric", "by metric")


def _joined(combined: Combinations) -> tuple[str, str]:
    return ", ".join(combined.charts), ", ".join(combined.aggregations) or "none"


def _about(items: str, absent_tools: Collection[str]) -> str:
    """The items of a list that name none of these tools."""
    return "\n".join(item for item in ITEM.split(items) if not any(name in item for name in absent_tools))


def _code(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ("---",) * len(head), *rows])


def _examples(named: Mapping[str, JsonObject]) -> str:
    return "\n\n".join(f"{title}:\n\n```json\n{json.dumps(value)}\n```" for title, value in named.items())
