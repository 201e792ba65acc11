"""What the tools cost a model: the tool list in bytes, answers in characters and tokens."""

import json
from collections.abc import Callable, Container
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

from pydantic import SecretStr

from benchmarks.canned import Canned, Json
from cekura_dashboards import TOOLS, Settings, ToolContext, call_tool
from cekura_dashboards.api.client import CekuraClient
from cekura_dashboards.arguments.schema import input_schemas

NOW = datetime(2026, 11, 18, 15, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Size:
    """The cost of an answer and of the API's own JSON."""

    what: str
    characters: int
    tokens: int
    raw_characters: int
    raw_tokens: int


def _empty(config: Json) -> Json:
    return {"chart_type": config["chart_type"], "data": {} if config["chart_type"] == "stat" else []}


def _at(index: int, step: timedelta) -> str:
    return (NOW - timedelta(days=29) + index * step).isoformat(timespec="seconds").replace("+00:00", "Z")


def _line(calls: int) -> list[Json]:
    step = timedelta(days=29) / calls
    return [
        {"id": 1_000_000 + i, "timestamp": _at(i, step), "value": round(60 + 37.7 * ((i * 7919) % 100) / 9, 1)}
        for i in range(calls)
    ]


def _bars(count: int, step: timedelta) -> list[Json]:
    start = (NOW - timedelta(days=29)).replace(hour=0, minute=0)
    return [
        {
            "time_interval": (start + i * step).isoformat(),
            "value": 20 + (i * 31) % 77,
            "sample_count": 20 + (i * 31) % 77,
        }
        for i in range(count)
    ]


def _pie(labels: int) -> list[Json]:
    return [{"label": f"reason-for-ending-{i}", "value": 4000 // (i + 1), "percentage": 10.0} for i in range(labels)]


CHARTS: dict[str, tuple[Json, Callable[[], list[Json]]]] = {
    "line of 10,000 calls": ({"chart_type": "line", "field": "duration"}, lambda: _line(10_000)),
    "hourly bar of 30 days": (
        {"chart_type": "bar", "field": "agent_id", "aggregation_function": "count", "time_period": "hour"},
        lambda: _bars(29 * 24 + 15, timedelta(hours=1)),
    ),
    "pie of 40 labels": ({"chart_type": "pie", "field": "call_ended_reason"}, lambda: _pie(40)),
}
SINCE = {"field": "timestamp", "op": "gte", "value": "now-29d"}


def _widget(number: int, name: str, config: Json) -> Json:
    return {"id": number, "dashboard": 1, "name": name, **config, "filters": SINCE, "effective_filters": SINCE}


def _datum(number: int, config: Json, rows: list[Json]) -> Json:
    kinds = {"line": "numeric", "bar": "numeric", "pie": "string"}
    about = {"display_name": config["field"], "data_type": kinds[config["chart_type"]]}
    return {
        "widget_id": number,
        "chart_type": config["chart_type"],
        "field_name": config["field"],
        "data": rows,
        "metadata": about,
    }


async def sizes() -> list[Size]:
    """One widget of each kind alone, then a dashboard of eight."""
    found = list[Size]()
    for name, (config, rows) in CHARTS.items():
        found.append(await _size(name, [_widget(1, name, config)], [_datum(1, config, rows())], {"widget_ids": [1]}))
    eight = [list(CHARTS.items())[i % 3] for i in range(8)]
    widgets = [_widget(i + 1, f"{name} {i}", config) for i, (name, (config, _)) in enumerate(eight)]
    data = [_datum(i + 1, config, rows()) for i, (_, (config, rows)) in enumerate(eight)]
    return [*found, await _size("dashboard of 8 widgets", widgets, data, {"dashboard_id": 1})]


async def _size(what: str, widgets: list[Json], data: list[Json], arguments: Json) -> Size:
    tool = next(tool for tool in TOOLS if tool.name == "get_widgets_data")
    client = CekuraClient(transport=Canned(widgets, data, _empty), key=SecretStr("k"), now=lambda: NOW)
    text, *_ = await call_tool(ToolContext(client, Settings(), lambda: NOW), tool, arguments)
    raw = json.dumps({"count": len(data), "next": None, "previous": None, "results": data})
    return Size(what, len(text), tokens(text), len(raw), tokens(raw))


def tokens(text: str) -> int:
    """Tokens of o200k."""
    encoding: Any = import_module("rs_bpe.bpe").openai.o200k_base()
    return int(encoding.count(text))


def tool_list(names: Container[str] | None = None) -> tuple[int, int]:
    """Bytes and tokens of what a model sees of tools: name, description, input schema, as compact JSON."""
    tools = [tool for tool in TOOLS if names is None or tool.name in names]
    schemas = input_schemas(t.request for t in tools)
    shown = [{"name": t.name, "description": t.description, "inputSchema": schemas[t.request]} for t in tools]
    text = json.dumps(shown, separators=(",", ":"), ensure_ascii=False)
    return len(text.encode()), tokens(text)
