"""Of how many calls: beside a chart of a metric, a count of the same calls, evaluated or not.

A metric may be sampled, or evaluated on some calls only; its chart holds these alone. One count by the hour serves all
charts of the same calls and window, and a chart that counts them so is used as it is.
"""

import json
from collections.abc import Sequence

from cekura_dashboards.api.models import METRIC_VALUE, WidgetConfig
from cekura_dashboards.charts.target import ChartReading, Target
from cekura_dashboards.values import replace

COUNT = WidgetConfig(chart_type="bar", field="agent_id", aggregation_function="count", time_period="hour")
"""By the hour, as evaluations can be missing for hours while calls come."""


def counts_beside(readings: Sequence[ChartReading], used: int) -> tuple[list[Target], list[int | None]]:
    """Counts to read too, and for each of the first ``used`` readings the place of its count.

    Places are those in ``readings``, or beyond them in the counts; None for charts of all calls.
    """
    places = dict[str, int]()
    for place, reading in enumerate(readings):
        if _counts_calls(reading.target):
            places.setdefault(_calls_of(reading), place)
    targets, chosen = list[Target](), list[int | None]()
    for reading in readings[:used]:
        key = _calls_of(reading)
        if _is_of_metric(reading) and key not in places:
            places[key] = len(readings) + len(targets)
            as_sent = replace(reading.target, local_days=False, by_hours=False)
            targets.append(replace(as_sent, config=COUNT, window=reading.window))
        chosen.append(places[key] if _is_of_metric(reading) else None)
    return targets, chosen


def requests_beside(readings: Sequence[ChartReading]) -> int:
    """The counts that were read for these charts, besides these charts."""
    counts = {id(reading.all_calls): reading.all_calls for reading in readings if reading.all_calls is not None}
    own = [reading.target for reading in readings]
    return sum(count.target not in own for count in counts.values())


def _is_of_metric(reading: ChartReading) -> bool:
    target = reading.target
    return target.config.field == METRIC_VALUE and target.matching is None and reading.error is None


def _counts_calls(target: Target) -> bool:
    """Whether a chart counts all its calls by the hour."""
    config = target.config
    counts = config.chart_type == "bar" and config.aggregation_function == "count" and config.field == "agent_id"
    return counts and config.period == "hour" and not (config.group_by or target.matching)


def _calls_of(reading: ChartReading) -> str:
    """A key, equal for the same calls of the same time, read in the same way."""
    target, window = reading.target, reading.window
    parts = [target.calls, target.dashboard, target.project, str(window.start), str(window.end), reading.alone]
    return json.dumps(parts, sort_keys=True, default=str)
