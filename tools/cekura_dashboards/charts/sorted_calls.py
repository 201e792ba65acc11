"""Calls in another order than the newest first: by the rows of a line, which has one for each call with its value."""

from typing import Any, Literal

from msgspec import Struct

from cekura_dashboards.api.chart_data import LineRow, number
from cekura_dashboards.api.errors import InvalidArguments, Refused, UnreadableAnswer
from cekura_dashboards.api.fields import METRIC_VALUE
from cekura_dashboards.api.models import CallLog, JsonObject, WidgetConfig
from cekura_dashboards.charts.calls import find_calls
from cekura_dashboards.charts.read import read_charts
from cekura_dashboards.charts.target import Target
from cekura_dashboards.charts.window import Window
from cekura_dashboards.concurrency import gather
from cekura_dashboards.context import ToolContext

Order = Literal["newest", "oldest", "longest", "shortest", "highest", "lowest"]
DESCENDING = {"longest", "highest"}


class CallsPage(Struct, frozen=True):
    """Which calls, and which page of them. ``metric``: by whose value ``highest`` and ``lowest`` sort."""

    project: int
    filters: JsonObject
    window: Window
    order: Order = "newest"
    metric: int | None = None
    limit: int = 10
    page: int = 1


async def page_of_calls(context: ToolContext, page: CallsPage) -> tuple[int, int, list[CallLog]]:
    """How many calls match, how many of them can be sorted like this, and the page.

    Raises:
        InvalidArguments: for an order by a metric that is not named.
    """
    if page.order == "newest":
        total, calls = await find_calls(context, page.project, page.filters, page.window, page.limit, page.page)
        return total, total, calls
    (total, _), ordered = await gather(
        find_calls(context, page.project, page.filters, page.window, 1), _sorted_ids(context, page)
    )
    first = (page.page - 1) * page.limit
    ids = ordered[first : first + page.limit]
    if not ids:
        return total, len(ordered), []
    where: JsonObject = {"field": "id", "op": "in", "value": ids}
    _, calls = await find_calls(context, page.project, where, page.window, len(ids))
    by_id = {call.id: call for call in calls}
    return total, len(ordered), [by_id[number] for number in ids if number in by_id]


async def _sorted_ids(context: ToolContext, page: CallsPage) -> list[int]:
    """The ids of all calls with a value to sort by, in order."""
    fields: dict[str, Any] = {"field": "duration"}
    if page.order in {"highest", "lowest"}:
        if page.metric is None:
            raise InvalidArguments.at("sort", "by value needs a metric: give `metric`.", lead="No calls were read.")
        fields = {"field": METRIC_VALUE, "metric": page.metric}
    line = WidgetConfig(chart_type="line", **fields)
    target = Target(line, page.filters, project=page.project, window=page.window, alone=True)
    [reading] = await read_charts(context, [target])
    if isinstance(reading.error, Refused) and page.metric is not None and "metric" in fields:
        text = f"metric {page.metric} has no numbers to sort by; sort by newest or longest."
        raise InvalidArguments.at("sort", text, lead="No calls were read.")
    if reading.chart is None:
        raise reading.error or UnreadableAnswer("it holds no calls")
    rows = [row for row in reading.chart.rows if isinstance(row.id, int) and row.value is not None]
    rows.sort(key=lambda row: _place(row, page.order), reverse=page.order in DESCENDING)
    return [row.id for row in rows]


def _place(row: LineRow, order: Order) -> tuple[str, float, int]:
    """What a call is sorted by; calls that are equal by their id."""
    time = str(row.timestamp) if order == "oldest" else ""
    return time, 0.0 if time else number(row.value) or 0.0, row.id if isinstance(row.id, int) else 0
