"""The guide: fields, filters, times, edits and limits, described once instead of in every tool."""

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
    "Calls without a drop-off point": {"field": "dropoff_point", "op": "isnull", "value": True},
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
- look_up with `kind` values takes several fields, separated by commas.
- explain_change shows what coincides with a change, which may not be its cause.
- list_calls: `label` is a slice of a pie (`null`: calls without a value); `said` searches a page of 50 calls.
- check_dashboard checks how charts are set up; ask the user which of its edits to make.
- `compare_filters` replaces the chart's conditions on the same fields; the others stay.
- `profile`: the measure by hour or weekday in `time_zone`; `share_where`: of a bar that counts, the share of calls that
  match, per bucket."""
EDITING = """\
- preview_edit takes the arguments of bulk_edit_dashboard and changes nothing; its plan_id is valid until somebody
  changes the dashboard. Show it to the user before large edits and deletes.
- The first call of a delete changes nothing: it returns what would be lost, and a plan_id. Call again with that once
  the user agrees.
- Each edit returns an `undo` call. If later answers list `restored` lines, append them to the plan_id of an older undo,
  separated by `;`.
- Absent and null fields stay; `filters` and `group_by` are replaced as a whole; `metadata` is merged. `clear` empties a
  field; metadata given in both is replaced; clearing date_range drops it from the filters, which needs a plan.
- `place` (top, top right, bottom, `after 203`) makes room; parts of `layout` (x, y, w, h on the grid) can be set alone;
  `arrange` removes overlaps and empty rows.
- create_dashboard: charts need a date range in the filters, such as timestamp gte today-7d. `copy_of` can copy to
  another project_id. A retry creates a second dashboard.
- update_dashboard with `only` replaces conditions on the same field; `filters` replaces them all.
- copy_widgets places copies below the existing widgets; with `move` widgets keep their ids."""


def guide(absent_tools: Collection[str] = ()) -> str:
    """The guide as Markdown, without the items about ``absent_tools``."""
    plotted = [(f"`{name}`", kind, *_combined(kind)) for name, kind in [*PLOTTED.items(), ("metadata.KEY", "string")]]
    metrics = [(f"`{kind}`", *_joined(combined)) for kind, combined in METRIC_COMBINATIONS.items()]
    filtered = [
        (f"`{name}`", filter_type.kind, ", ".join(filter_type.ops) or "any") for name, filter_type in FILTERED.items()
    ]
    not_of_calls = ", ".join(f"`{op}`" for op in FILTER_OPS if op not in CALL_LOG_OPS)
    return f"""\
# Fields, filters, times and limits

## What can be charted

A widget has a `chart_type` and, except for `stat`, a `field`. A `bar` also has an `aggregation_function` and a
`time_period` (`hour`, `day`, `week`, `month`), and may be grouped (`group_by`).

{_table(("field", "type", "charts", "bar: aggregation_function"), plotted)}

`{METRIC_VALUE}` needs the id of a metric (`metric`), and its charts depend on the kind of the metric:

{_table(("metric", "charts", "bar: aggregation_function"), metrics)}

Number of calls: a bar of `agent_id` with `count`. Success rate: a bar of `success` with `avg`. Only top-level keys of
the metadata can be plotted: `metadata.region`, not `metadata.a.b`.

{_examples(WIDGETS)}

## Which calls count

A filter is a condition (`field`, `op`, `value`) or a group of them (`operator` `and` or `or`, `conditions`), to any
depth. `same_row` is a group whose conditions must hold for the same metric evaluation.

{_table(("field", "type", "documented operators"), [*filtered, ("`metadata.KEY`", "text", "any")])}

Operators: {_code(FILTER_OPS)}. list_calls does not accept {not_of_calls}. `in` takes a list, `isnull` true or false.
`not`, `not_in` and `between` are translated into these, and the answer says how; `contains`, `startswith`,
`endswith` and `regex` have no negation. A `duration` is in seconds; `3 min` and `1:30` are converted.

In a question (`filters`, `compare_filters`, `share_where`), `neq` also matches calls without a value: `campaign neq
recall` includes calls without a campaign. Add an `isnull` false to exclude them. Saved filters are sent unchanged.

A chart on a dashboard counts the calls that match its own filters and the dashboard's.

{_examples(FILTERS)}

## Times

`window`: {_code(WORDS)}, any number of minutes, hours, days or weeks (`90m`, `36h`, `10d`, `last two weeks`), a day, a
weekend or a month (`2026-11-16`, `last weekend`, `november`), a start (`since monday`), or an interval. An interval of
dates includes its last day (`2026-11-01/2026-11-07` is a week); an interval of times ends exactly at the second one
(`2026-11-01T09:00/2026-11-01T17:00`). Default: the saved date range.

`compare_to`: {_code(COMPARISONS)}, or any window. `compare_filters` compares a chart with other calls instead.

In filters a time is ISO 8601, or relative: `now-30m`, `today-7d`. Use it in saved filters only; for one answer use
`window`.

`today`, `this_week` and similar words use the project's time zone, unless the settings (`CEKURA_TIME_ZONE`) or the call
(`time_zone`) give another. Chart buckets are UTC days and hours; `by: local_day` merges hours into days of that zone.

## Answers

{_about(READING, absent_tools)}

## Edits

{_about(EDITING, absent_tools)}

## Limits

- The API keeps {LIMIT.days} days of calls; no chart starts earlier.
- Not measured: unique callers, cost, hold time, and the median of several groups combined.
- An average of buckets is weighted by their calls; percentiles of buckets cannot be merged.
- A restored widget or dashboard gets a new id.
"""


def _combined(kind: str) -> tuple[str, str]:
    return _joined(COMBINATIONS[kind]) if kind in COMBINATIONS else ("by metric", "by metric")


def _joined(combined: Combinations) -> tuple[str, str]:
    return ", ".join(combined.charts), ", ".join(combined.aggregations) or "none"


def _about(items: str, absent_tools: Collection[str]) -> str:
    """The list without the items that name an absent tool."""
    return "\n".join(item for item in ITEM.split(items) if not any(name in item for name in absent_tools))


def _code(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ("---",) * len(head), *rows])


def _examples(named: Mapping[str, JsonObject]) -> str:
    return "\n\n".join(f"{title}:\n\n```json\n{json.dumps(value)}\n```" for title, value in named.items())
