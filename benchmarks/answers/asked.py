"""What the tool answers about a planted chart, over an API that holds just that."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr

from benchmarks.answers.charts import Chart, Json, Rows, iso, with_wrong_percentages
from benchmarks.answers.plants import NOW, Planted
from cekura_dashboards import TOOLS, Settings, ToolContext, call_tool
from cekura_dashboards.api.client import CekuraClient
from cekura_dashboards.api.wire import Answer


@dataclass(frozen=True)
class Handed:
    """One chart over both times: the API's rows, and the tool's answers without and with the other time."""

    chart: Chart
    start: float
    end: float
    before: float
    this: Rows | Json
    that: Rows | Json
    answers: tuple[Json, ...]
    texts: tuple[str, ...]


class Replies:
    """An API with one widget: data for its own time, saved and as a preview, and a preview for the time before."""

    def __init__(self, widget: Json, saved: Json, before: Json, start: str) -> None:
        self._widget, self._saved, self._before, self._start = widget, saved, before, start

    async def send(
        self, method: str, path: str, *, key: SecretStr, timeout_s: float, query: dict[str, str], body: bytes | None
    ) -> Answer:
        del method, key, timeout_s, query  # the path says enough here
        if path.endswith("bulk_data/"):
            found: Any = {"count": 1, "next": None, "results": [self._saved]}
        elif path.endswith("preview_data/"):
            asked = re.search(rb'"op":"gte","value":"([^"]+)"', (body or b"").replace(b" ", b""))
            found = self._saved if asked and asked[1].decode()[:16] >= self._start[:16] else self._before
        elif path.endswith("projects/"):
            found = [{"id": 1, "name": "Only"}]
        else:
            found = self._widget
        return Answer(200, json.dumps(found).encode(), "application/json")

    async def aclose(self) -> None:
        """Nothing to close."""


async def hand_over(found: Planted, chart: Chart) -> Handed:
    """Ask the tool for the chart, and once more in comparison if there is a time before."""
    this = chart.rows(found.this)
    that = chart.rows(found.that) if found.that is not None else []
    if found.wrong_percentages and isinstance(this, list) and isinstance(that, list):
        this, that = with_wrong_percentages(this), with_wrong_percentages(that)
    bounds = [{"field": "timestamp", "op": "gte", "value": iso(found.start)}]
    if found.end < NOW:
        bounds.append({"field": "timestamp", "op": "lt", "value": iso(found.end)})
    filters = {"operator": "and", "conditions": bounds}
    widget = {"id": 1, "dashboard": None, "name": "Planted", **chart.config, "filters": filters,
              "effective_filters": filters}  # fmt: skip
    replies = Replies(widget, _datum(chart, this), _datum(chart, that), iso(found.start))
    now = datetime.fromtimestamp(max(found.end, NOW) if found.that is not None else found.end, UTC)
    client = CekuraClient(transport=replies, key=SecretStr("k"), now=lambda: now)
    tool = next(tool for tool in TOOLS if tool.name == "get_widgets_data")
    context = ToolContext(client, Settings(history=False), lambda: now)  # its previews know one window only
    answers, texts = list[Json](), list[str]()
    for more in ({}, {"compare_to": "previous_period"}) if found.that is not None else ({},):
        text, answer = await call_tool(context, tool, {"widget_ids": [1], **more})
        answers.append(answer["widgets"][0])
        texts.append(text)
    return Handed(chart, found.start, found.end, found.before, this, that, tuple(answers), tuple(texts))


def _datum(chart: Chart, rows: Rows | Json) -> Json:
    about = {"display_name": chart.config["field"], "data_type": chart.data_type}
    return {
        "widget_id": 1, "chart_type": chart.kind, "field_name": chart.config["field"], "data": rows, "metadata": about,
    }  # fmt: skip
