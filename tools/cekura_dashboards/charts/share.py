"""The share of calls that match: a rate per bucket, from two counts."""

from typing import Any

from cekura_dashboards.api.chart_data import BarRow, Chart, Key, number
from cekura_dashboards.api.errors import InvalidArguments, UnreadableAnswer
from cekura_dashboards.api.fields import METRIC_VALUE
from cekura_dashboards.api.filter_words import in_words
from cekura_dashboards.api.filters import OTHER_SCORE, both, fields_of, wants_pass
from cekura_dashboards.api.models import JsonObject, WidgetConfig
from cekura_dashboards.charts.target import ChartReading, Target
from cekura_dashboards.text import json_text
from cekura_dashboards.values import replace

NOT_EVALUATED = "calls that the metric was not evaluated on count as not matching; its avg leaves them out"


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


def matching_part(target: Target, matching: JsonObject) -> Target:
    """Of a target that charts a share, the calls that match."""
    config = target.config
    return replace(
        target,
        config=config.model_copy(update={"filters": both(config.filters, matching)}),
        filters=both(target.filters, matching),
    )


def share_of(whole: ChartReading, part: ChartReading) -> ChartReading:
    """The quotient of two counts, of all calls and of those that match. ``n`` of a bucket are all its calls."""
    target = whole.target
    config = target.config.model_copy(
        update={"aggregation_function": "avg", "field": f"share of calls where {in_words(target.matching)}"}
    )
    calls = both(target.extra, target.config.counted)
    share = replace(whole, target=replace(target, config=config, extra=calls or None), chart=None)
    error = whole.error or part.error
    if error is not None or whole.chart is None:
        return replace(share, error=error)
    every, matched = _counts(whole), _counts(part)
    if any(not 0 <= count <= every.get(place, 0.0) for place, count in matched.items()):
        return replace(share, error=UnreadableAnswer("more calls match than there are in a bucket"))
    rows = [
        BarRow(time_interval=time, value=matched.get((time, group), 0.0) / n, sample_count=round(n), group=group)
        for (time, group), n in every.items()
        if n > 0
    ]
    if wants_pass(target.matching) and not any(matched.values()):
        share = replace(share, notes=(*share.notes, f"no call matches: {OTHER_SCORE}"))
    elif METRIC_VALUE in fields_of(target.matching):
        share = replace(share, notes=(*share.notes, NOT_EVALUATED))
    return replace(
        share, chart=Chart("bar", rows=rows, data_type="boolean", rate_unit="ratio", grouped=whole.chart.grouped)
    )


def _counts(reading: ChartReading) -> dict[tuple[str, Key], float]:
    rows = reading.chart.rows if reading.chart else []
    return {(str(row.time_interval), _group(row.group)): number(row.value) or 0.0 for row in rows}


def _group(value: Any) -> Key:
    """What the rows of a group share; a list or an object as its JSON."""
    return value if isinstance(value, Key) else json_text(value)
