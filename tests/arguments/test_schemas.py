"""The tool list: schemas that every client accepts, within a size budget."""

import json
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest

from cekura_dashboards import TOOLS, Tool
from cekura_dashboards.api.models import as_object, is_list
from cekura_dashboards.arguments.schema import input_schemas, output_schemas
from cekura_dashboards_mcp.protocol.profiles import CORE, TOOL_LIST
from cekura_dashboards_mcp.protocol.tools import CHART_DATA, from_catalogue, tool_list
from support import BY_NAME, Json, connect, shared_sandbox

MODEL_BUDGET, LIST_BUDGET = 26_000, 38_000
"""Bytes of compact JSON: name, description and input schema of all tools together; all that tools/list sends of them."""
NAMES = list(BY_NAME)
BENCHMARKS = Path(__file__).parents[2] / "benchmarks" / "README.md"
INPUTS = input_schemas(tool.request for tool in TOOLS)
OUTPUTS = output_schemas(tool.result for tool in TOOLS)
LISTED = from_catalogue()["tools"]


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def nodes(schema: Any) -> Iterator[Json]:
    """Every schema inside a schema."""
    yield schema
    for child in schema.get("properties", {}).values():
        yield from nodes(child)
    if "items" in schema:
        yield from nodes(schema["items"])
    for option in schema.get("anyOf", []):
        yield from nodes(option)


def test_tool_definitions_stay_within_the_token_budget() -> None:
    tools = [{"name": t.name, "description": t.description, "inputSchema": INPUTS[t.request]} for t in TOOLS]
    assert len(compact(tools).encode()) < MODEL_BUDGET


@pytest.mark.parametrize("names", [NAMES, CORE])
def test_the_benchmarks_readme_states_the_size_of_tool_definitions(names: Collection[str]) -> None:
    tools = [tool for tool in TOOLS if tool.name in names]
    shown = [{"name": t.name, "description": t.description, "inputSchema": INPUTS[t.request]} for t in tools]
    assert f" {len(compact(shown).encode()):,} bytes, " in BENCHMARKS.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_input_schemas_use_only_keywords_that_every_client_accepts(name: str) -> None:
    schema = INPUTS[BY_NAME[name].request]
    text = compact(schema)
    assert len(text) < 8000
    for word in ("$ref", "$defs", "oneOf", "allOf", '"null"', "additionalProperties", '"title"', '"default"'):
        assert word not in text
    assert schema["type"] == "object"
    for node in nodes(schema):
        if "anyOf" in node:
            assert [*node] == ["anyOf"], "Gemini rejects other keywords beside it"
            continue
        assert isinstance(node["type"], str)
        if node["type"] == "object":
            assert isinstance(node["properties"], dict)
        assert ("items" in node) is (node["type"] == "array")


@pytest.mark.parametrize("name", NAMES)
def test_output_schemas_are_small_and_flat(name: str) -> None:
    text = compact(OUTPUTS[BY_NAME[name].result])
    assert len(text.encode()) < 700
    assert "$ref" not in text
    assert "$defs" not in text
    assert all(isinstance(node.get("type", ""), str) for node in nodes(OUTPUTS[BY_NAME[name].result]))


NAMEABLE = re.compile(r"\b(alert_id|dashboard_id|dashboard_ids\[\]|widget_id|widget_ids\[\]|project_id|agent_id|metric|copy_of)$|^(update\[\]\.id|delete\[\])$")  # fmt: skip
"""Arguments that are ids of named objects."""


@pytest.mark.parametrize("name", NAMES)
def test_schemas_accept_an_integer_or_a_name_wherever_names_work(name: str) -> None:
    def places(schema: Json, path: str) -> Iterator[tuple[str, list[Any]]]:
        yield path, [option["type"] for option in schema.get("anyOf", [])]
        for key, child in schema.get("properties", {}).items():
            yield from places(child, f"{path}.{key}" if path else key)
        if "items" in schema:
            yield from places(schema["items"], f"{path}[]")

    kinds = dict(places(INPUTS[BY_NAME[name].request], ""))
    both = {path for path, types in kinds.items() if types == ["integer", "string"]}
    assert both == {path for path in kinds if NAMEABLE.search(path)}


def test_filter_values_accept_lists_in_every_schema() -> None:
    lists = {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "number"}]}}
    unions = [node["anyOf"] for tool in TOOLS for node in nodes(INPUTS[tool.request]) if len(node.get("anyOf", [])) > 2]
    for first, *others in unions:
        assert first["type"] == "string"
        assert others == [{"type": "number"}, {"type": "boolean"}, lists]
    assert unions


def test_filter_schemas_are_one_level_deep() -> None:
    schema = INPUTS[BY_NAME["get_widgets_data"].request]["properties"]["filters"]
    inner = schema["properties"]["conditions"]["items"]
    assert {"field", "op", "value"} <= set(inner["properties"])
    assert "conditions" not in inner["properties"]


HINTS: dict[str, tuple[bool, bool]] = {
    "update_widget": (True, True),
    "bulk_edit_dashboard": (True, False),
    "create_dashboard": (False, False),
    "update_dashboard": (True, True),
    "delete_dashboard": (True, True),
    "copy_widgets": (True, False),
    "save_alert": (True, False),
}
"""By tool that writes: ``destructiveHint`` and ``idempotentHint``."""


@pytest.mark.parametrize("tool", TOOLS, ids=NAMES)
def test_every_tool_declares_its_annotations(tool: Tool[Any, Any]) -> None:
    [listed] = [listed for listed in LISTED if listed["name"] == tool.name]
    destructive, idempotent = HINTS.get(tool.name, (False, True))
    assert listed["annotations"] == {
        "title": tool.title,
        "readOnlyHint": tool.name not in HINTS,
        "destructiveHint": destructive,
        "idempotentHint": idempotent,
        "openWorldHint": True,
    }
    assert listed["title"]
    assert 100 < len(tool.description) < 500


def test_create_dashboard_warns_that_a_retry_creates_a_second_one() -> None:
    assert "a retry creates a second one" in BY_NAME["create_dashboard"].description


def test_the_packaged_tool_list_matches_the_catalogue(golden: Callable[[str, str], None]) -> None:
    golden(str(TOOL_LIST), readable(from_catalogue()))


def readable(value: Any, indent: str = "") -> str:
    """As JSON whose lines are short enough to read in a diff, or hold one flat value or one property of a schema."""
    line = json.dumps(value, ensure_ascii=False)
    if isinstance(value, str) or "{" not in line[1:] or len(indent + line) <= 400:
        return line
    inner = f"{indent} "
    if is_list(value):
        return "[\n" + ",\n".join(inner + readable(item, inner) for item in value) + f"\n{indent}]"
    items = (as_object(value) or {}).items()
    members = [f"{inner}{json.dumps(name)}: {readable(member, inner)}" for name, member in items]
    return "{\n" + ",\n".join(members) + f"\n{indent}}}"


@pytest.mark.anyio
async def test_a_client_receives_the_packaged_tool_list() -> None:
    async with connect(shared_sandbox()) as client:
        tools = [tool for tool in (await client.list_tools()).tools if tool.name != CHART_DATA]
    assert tools == [*tool_list().tools]


def test_the_answer_to_tools_list_stays_within_its_size_budget() -> None:
    sent = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tool_list().tools]
    assert len(compact(sent).encode()) < LIST_BUDGET
