"""The tool list through what frameworks make of it for a model: nothing that the model's service would refuse."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support import BY_NAME, TIMEOUT_S, Json, separate_install

HERE = Path(__file__).parent
SERVER = [str(Path(sys.executable).parent / "cekura-dashboards"), "serve", "--sandbox"]
KEPT = {name: value for name, value in os.environ.items() if not name.startswith(("CEKURA_", "COV_"))}


def converted(framework: str) -> Json:
    """The schemas by tool, and the answer of a call."""
    if framework in {"google-genai", "openai-agents"}:
        python = separate_install("AGENTS_PYTHON", "docs/agents-requirements.txt")
        command = [python, str(HERE / "conversions.py"), framework]
    else:
        folder = separate_install("AGENTS_NODE", "tests/agents/package.json")
        command = ["node", str(HERE / "conversions.mjs"), folder, framework]
    completed = subprocess.run(
        [*command, *SERVER], capture_output=True, text=True, encoding="utf-8", timeout=TIMEOUT_S, check=False, env=KEPT
    )
    assert completed.returncode == 0, completed.stderr[-2000:]
    result: Json = json.loads(completed.stdout.splitlines()[-1])
    return result


GEMINI_WORDS = {
    "type", "format", "title", "description", "nullable", "enum", "properties", "required", "items", "anyOf", "minItems",
    "maxItems", "minimum", "maximum", "minLength", "maxLength", "pattern", "example", "default", "propertyOrdering",
    "minProperties", "maxProperties",
}  # fmt: skip
"""Fields of a Schema of the Gemini API. Source: its reference, ai.google.dev/api/caching#Schema."""
GEMINI_TYPES = {"STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT"}


def inside(schema: Json, path: str) -> Iterator[tuple[str, Json]]:
    """The schemas right inside a schema, with where they stand."""
    yield from ((f"{path}.{name}", child) for name, child in schema.get("properties", {}).items())
    yield from ((f"{path}.anyOf[{index}]", option) for index, option in enumerate(schema.get("anyOf", [])))
    if "items" in schema:
        yield f"{path}[]", schema["items"]


def refused_by_gemini(schema: Json, path: str) -> Iterator[str]:
    """What the service answers 400 to, as its users report it, for every request that offers the tool."""
    node = {"anyOf" if word == "any_of" else word: value for word, value in schema.items()}
    kind = str(node.get("type")).upper()
    yield from (f"{path}: unknown field {word}" for word in node.keys() - GEMINI_WORDS)
    wrong = {
        "other fields beside anyOf": "anyOf" in node and len(node) > 1,
        "no type, or not one": "anyOf" not in node and kind not in GEMINI_TYPES,
        "items of what is no list, or none": ("items" in node) is not (kind == "ARRAY"),
        "properties of what is no object, or none": bool(node.get("properties")) is not (kind == "OBJECT"),
        "choices of what is no text, or an empty one": "enum" in node and (kind != "STRING" or not all(node["enum"])),
        "required is no property": not {*node.get("required", [])} <= {*node.get("properties", {})},
    }
    yield from (f"{path}: {text}" for text, is_so in wrong.items() if is_so)
    for place, child in inside(node, path):
        yield from refused_by_gemini(child, place)


OPENAI_WORDS = {
    "type", "description", "enum", "properties", "required", "additionalProperties", "items", "anyOf", "minimum", "maximum",
    "minItems", "maxItems",
}  # fmt: skip
"""What strict schemas may hold, of what occurs. Source: OpenAI's guide to structured outputs."""
OPENAI_DEEPEST = 10
"""Objects inside each other."""


def refused_by_openai(schema: Json, path: str, depth: int = 1) -> Iterator[str]:
    yield from (f"{path}: unknown word {word}" for word in schema.keys() - OPENAI_WORDS)
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False or {*schema["required"]} != {*schema["properties"]}:
            yield f"{path}: an open object, or properties that are not required"
        if depth > OPENAI_DEEPEST:
            yield f"{path}: {depth} objects deep"
    elif "anyOf" not in schema and "type" not in schema:
        yield f"{path}: no type"
    if schema.get("type") == "array" and "items" not in schema:
        yield f"{path}: no items"
    for place, child in inside(schema, path):
        yield from refused_by_openai(child, place, depth + ("properties" in schema))


def refused_by_none(_schema: Json, _path: str) -> Iterator[str]:
    """Of a framework that hands the schema on, and checks arguments by it."""
    yield from ()


RULES: dict[str, Callable[[Json, str], Iterator[str]]] = {
    "google-genai": refused_by_gemini,
    "ai-sdk-google": refused_by_gemini,
    "openai-agents": refused_by_openai,
    "openai-agents-js": refused_by_openai,
    "langchain-js": refused_by_none,
}


@pytest.mark.parametrize("framework", RULES)
def test_frameworks_convert_every_tool_into_valid_schemas(framework: str) -> None:
    result = converted(framework)
    assert {*result["schemas"]} == {*BY_NAME}
    assert {str(schema["type"]).lower() for schema in result["schemas"].values()} == {"object"}
    assert [text for name, schema in result["schemas"].items() for text in RULES[framework](schema, name)] == []
    assert "Booking agent" in result["answer"]


@pytest.mark.parametrize(
    ("rule", "schema"),
    [
        (refused_by_gemini, {"anyOf": [{"type": "string"}, {"type": "array"}], "items": {"type": "string"}}),
        (refused_by_gemini, {"anyOf": [{"type": "string"}, {"type": "integer"}], "description": "x"}),
        (refused_by_gemini, {"type": ["string", "number"]}),
        (refused_by_gemini, {"type": "array"}),
        (refused_by_gemini, {"type": "object", "properties": {}}),
        (refused_by_openai, {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}),
        (refused_by_openai, {"oneOf": [{"type": "string"}]}),
    ],
)
def test_schema_rules_detect_what_services_reject(rule: Callable[..., Iterator[str]], schema: Any) -> None:
    assert [*rule(schema, "x")] != []
