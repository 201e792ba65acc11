"""What a client is shown: schemas that every client accepts, and small."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cekura_dashboards import TOOLS, Tool
from cekura_dashboards.arguments.schema import input_schemas, output_schemas
from cekura_dashboards_mcp.registration import registered
from support import BY_NAME, Json, connect, shared_sandbox

BUDGET = 31_000
"""Bytes of compact JSON for name, description and input schema of all tools together."""
NAMES = list(BY_NAME)
INPUTS = input_schemas(tool.request for tool in TOOLS)
OUTPUTS = output_schemas(tool.result for tool in TOOLS)


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def nodes(schema: Any) -> Iterator[Json]:
    """Every schema inside a schema."""
    yield schema
    for child in schema.get("properties", {}).values():
        yield from nodes(child)
    if "items" in schema:
        yield from nodes(schema["items"])


def test_what_a_model_sees_of_all_tools_is_small() -> None:
    seen = [{"name": t.name, "description": t.description, "inputSchema": INPUTS[t.request]} for t in TOOLS]
    assert len(compact(seen).encode()) < BUDGET


@pytest.mark.parametrize("name", NAMES)
def test_an_input_schema_is_one_that_every_client_accepts(name: str) -> None:
    schema = INPUTS[BY_NAME[name].request]
    text = compact(schema)
    assert len(text) < 8000
    for word in ("$ref", "$defs", "anyOf", "oneOf", "allOf", '"null"', "additionalProperties", '"title"', '"default"'):
        assert word not in text
    assert schema["type"] == "object"
    for node in nodes(schema):
        assert "type" in node
        if node["type"] == "object":
            assert isinstance(node["properties"], dict)
        if "array" in node["type"]:
            assert "items" in node


@pytest.mark.parametrize("name", NAMES)
def test_an_output_schema_is_small_and_plain(name: str) -> None:
    text = compact(OUTPUTS[BY_NAME[name].result])
    assert len(text.encode()) < 6000
    assert "$ref" not in text
    assert "$defs" not in text


def test_filters_are_shown_one_level_deep_and_validated_to_any_depth() -> None:
    shown = INPUTS[BY_NAME["get_widgets_data"].request]["properties"]["filters"]
    inner = shown["properties"]["conditions"]["items"]
    assert {"field", "op", "value"} <= set(inner["properties"])
    assert "conditions" not in inner["properties"]


@pytest.mark.parametrize("tool", TOOLS, ids=NAMES)
def test_every_tool_says_what_it_does_to_the_world(tool: Tool[Any, Any]) -> None:
    made = registered(tool, tool.description)
    hints = made.annotations
    assert hints is not None
    assert hints.read_only_hint is not tool.writes
    assert hints.destructive_hint is tool.destructive
    assert hints.idempotent_hint is tool.idempotent
    assert hints.open_world_hint is True
    assert made.title
    assert 100 < len(tool.description) < 500


@pytest.mark.anyio
async def test_the_tool_list_is_the_golden_one(golden: Callable[[str, str], None]) -> None:
    async with connect(shared_sandbox()) as client:
        found = (await client.list_tools()).tools
    shown = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in found]
    golden("tools.json", json.dumps(shown, indent=1, ensure_ascii=False))
