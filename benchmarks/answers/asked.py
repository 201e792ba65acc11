"""The tool's answers about a simulated chart, over an API with only that chart."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from pydantic import SecretStr

from benchmarks.answers.charts import Chart, Json, Rows, iso, rows_of, with_wrong_percentages
from benchmarks.answers.plants import NOW, Planted
from benchmarks.canned import Canned
from cekura_dashboards import TOOLS, Settings, ToolContext, call_tool
from cekura_dashboards.api.client import CekuraClient


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


def chart_of(plant: Planted, chart: Chart, config: Json) -> Json:
    """The chart of all calls of thirty days."""
    bounds = [part for part in config["filters"]["conditions"] if part.get("field") == "timestamp"]
    start, end = (datetime.fromisoformat(part["value"]).timestamp() for part in bounds[:2])
    rows = rows_of(config, plant.all_calls.between(start, end))
    if plant.wrong_percentages and isinstance(rows, list) and config["chart_type"] == "pie":
        rows = with_wrong_percentages(rows)
    return datum(config, "boolean" if config.get("field") == "success" else chart.data_type, rows)


async def hand_over(plant: Planted, chart: Chart) -> Handed:
    """Ask the tool for the chart, and for a comparison if there is an earlier time."""
    this = chart.rows(plant.this)
    that = chart.rows(plant.that) if plant.that is not None else []
    if plant.wrong_percentages and isinstance(this, list) and isinstance(that, list):
        this, that = with_wrong_percentages(this), with_wrong_percentages(that)
    bounds = [{"field": "timestamp", "op": "gte", "value": iso(plant.start)}]
    if plant.end < NOW:
        bounds.append({"field": "timestamp", "op": "lt", "value": iso(plant.end)})
    filters = {"operator": "and", "conditions": bounds}
    widget = {"id": 1, "dashboard": None, "name": "Planted", **chart.config, "filters": filters,
              "effective_filters": filters}  # fmt: skip
    saved = datum(chart.config, chart.data_type, this)
    replies = Canned([widget], [saved], partial(chart_of, plant, chart))
    now = datetime.fromtimestamp(max(plant.end, NOW) if plant.that is not None else plant.end, UTC)
    against = f"{iso(plant.before)}/{iso(plant.start)}"
    client = CekuraClient(transport=replies, key=SecretStr("k"), now=lambda: now)
    tool = next(tool for tool in TOOLS if tool.name == "get_widgets_data")
    context = ToolContext(client, Settings(time_zone=plant.zone), lambda: now)
    answers, texts = list[Json](), list[str]()
    for more in ({}, {"compare_to": against}) if plant.that is not None else ({},):
        text, answer, _ = await call_tool(context, tool, {"widget_ids": [1], **more})
        answers.append(answer["widgets"][0])
        texts.append(text)
    return Handed(chart, plant.start, plant.end, plant.before, this, that, tuple(answers), tuple(texts))


def datum(config: Json, data_type: str, rows: Rows | Json) -> Json:
    """The API's response for one chart."""
    kind, field = config["chart_type"], config.get("field") or ""
    about = {"display_name": field, "data_type": data_type}
    return {"widget_id": 1, "chart_type": kind, "field_name": field, "data": rows, "metadata": about}
