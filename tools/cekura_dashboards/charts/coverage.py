"""Charts that reach past their saved date range, and cannot show whether calls from there are among theirs.

A week that the range cuts, a slice or a figure looks alike with those calls and without. A bar of the same calls by the
hour or day shows it.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

from cekura_dashboards.api.chart_data import count_of, number
from cekura_dashboards.api.filters import Bounds
from cekura_dashboards.api.models import WidgetConfig
from cekura_dashboards.charts.rows import TimeParser
from cekura_dashboards.charts.target import ChartReading, Target
from cekura_dashboards.charts.window import Window
from cekura_dashboards.stats.timeline import PERIODS, STEPS
from cekura_dashboards.values import replace

FINE = ("hour", "day")
"""Steps of bars that show it."""
SHORT = timedelta(days=2)
"""Of so little time past the range, hours are asked for."""


def witnesses(readings: Sequence[ChartReading]) -> list[Target]:
    """A count of the same calls for each bar of weeks or months that reaches past its saved range, if none is read."""
    fine = {_calls_of(reading) for reading in readings if _is_fine(reading.target.config)}
    coarse = {
        _calls_of(reading): _count_of_calls(reading.target, reading.window, reading.beyond)
        for reading in readings
        if reading.beyond and reading.target.config.chart_type == "bar" and not _is_fine(reading.target.config)
    }
    return [target for key, target in coarse.items() if key not in fine]


def _count_of_calls(target: Target, window: Window, saved: Bounds) -> Target:
    past = [saved.start - window.start] if saved.start and saved.start > window.start else []
    past += [window.end - saved.end] if saved.end and saved.end < window.end else []
    step = "hour" if min(past, default=SHORT) < SHORT else "day"
    config = WidgetConfig(chart_type="bar", field="agent_id", aggregation_function="count", time_period=step)
    return replace(target, config=config, window=window, matching=None, local_days=False)


def covered(readings: Sequence[ChartReading]) -> list[ChartReading]:
    """The readings, ``beyond`` less the ends past which a bar of the same calls holds some."""
    if not any(reading.beyond for reading in readings):
        return [*readings]
    fine = [reading for reading in readings if reading.beyond and _is_fine(reading.target.config)]
    times = dict[str, list[tuple[float, float]]]()
    for reading in fine:
        times.setdefault(_calls_of(reading), []).extend(_stretches(reading))
    return [
        replace(reading, beyond=_unseen(reading.beyond, reading.window, times.get(_calls_of(reading), ())))
        if reading.beyond and not _is_fine(reading.target.config)
        else reading
        for reading in readings
    ]


def _calls_of(reading: ChartReading) -> str:
    """Alike for the same calls that are read in the same way, past the same range."""
    target = reading.target
    return json.dumps(
        [target.calls, target.dashboard, target.project, str(reading.beyond)], sort_keys=True, default=str
    )


def _is_fine(config: WidgetConfig) -> bool:
    return config.chart_type == "bar" and config.period in FINE


def _stretches(reading: ChartReading) -> Iterator[tuple[float, float]]:
    """Begin and end of each bucket with calls, in seconds since 1970."""
    chart = reading.hours or reading.chart
    width = STEPS[PERIODS["hour" if reading.hours else reading.target.config.period]]
    rows = chart.rows if chart else []
    for text in {row.time_interval for row in rows if count_of(row.sample_count) or number(row.value)}:
        if (time := TimeParser().parse(text)) is not None:
            yield time, time + width


def _unseen(saved: Bounds, window: Window, stretches: Iterable[tuple[float, float]]) -> Bounds | None:
    """The ends of the saved range past which no bucket of the window was seen."""
    first, last = window.start.timestamp(), window.end.timestamp()
    inside = [(start, end) for start, end in stretches if end > first and start < last]
    early = saved.start and any(end <= saved.start.timestamp() for _, end in inside)
    late = saved.end and any(start >= saved.end.timestamp() for start, _ in inside)
    start = None if early or (saved.start and saved.start <= window.start) else saved.start
    end = None if late or (saved.end and saved.end >= window.end) else saved.end
    return Bounds(start, end) if start or end else None
