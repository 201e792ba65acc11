"""The share of calls that match: a rate per bucket, from two counts."""

from dataclasses import replace
from typing import Any

from cekura_dashboards.api.chart_data import BarRow, Chart, Key, number
from cekura_dashboards.api.errors import InvalidArguments, UnreadableAnswer
from cekura_dashboards.api.filters import both, in_words
from cekura_dashboards.api.models import JsonObject, WidgetConfig
from cekura_dashboards.charts.fetch import read_charts
from cekura_dashboards.charts.target import Reading, ShareOf, Target
from cekura_dashboards.context import ToolContext
from cekura_dashboards.text import json_text


def check_countable(config: WidgetConfig) -> None:
    """Refuse what is no count of calls per time.

    Raises:
        InvalidArguments: with the widget that is.
    """
    if config.chart_type != "bar" or config.aggregation_function != "count":
        raise InvalidArguments.at(
            "share_where",
            "needs a widget that counts calls: chart_type bar, field agent_id, aggregation_function count, and a "
            "time_period.",
        )


async def read_share(context: ToolContext, target: Target, matching: JsonObject, window: str | None) -> Reading:
    """Both counts, asked for together, as one chart of their quotient; ``n`` of a bucket are all its calls.

    Raises:
        DashboardsError: if either cannot be read.
    """
    config = target.config
    part = replace(
        target,
        config=config.model_copy(update={"filters": both(config.filters, matching)}),
        filters=both(target.filters, matching),
    )
    readings = await read_charts(context, [target, part], window)
    counts = list[dict[tuple[str, Key], float]]()
    for reading in readings:
        if reading.chart is None:
            raise reading.error or InvalidArguments.at("share_where", "could not be read.")
        rows = reading.chart.rows
        counts.append({(str(row.time_interval), _group(row.group)): number(row.value) or 0.0 for row in rows})
    whole, matched = counts
    if any(not 0 <= count <= whole.get(place, 0.0) for place, count in matched.items()):
        raise UnreadableAnswer("more calls match than there are in a bucket")
    rows = [
        BarRow(time_interval=time, value=matched.get((time, group), 0.0) / n, sample_count=round(n), group=group)
        for (time, group), n in whole.items()
        if n > 0
    ]
    shown = config.model_copy(
        update={"aggregation_function": "avg", "field": f"share of calls where {in_words(matching)}"}
    )
    first = readings[0].chart
    chart = Chart("bar", rows=rows, data_type="boolean", grouped=bool(first and first.grouped))
    return replace(readings[0], target=replace(target, config=shown), chart=chart, share_of=ShareOf(target, matching))


def _group(value: Any) -> Key:
    """What the rows of a group share; a list or an object as its JSON."""
    return value if isinstance(value, Key) else json_text(value)
