"""The input schemas, as frameworks convert them for models, are accepted by the models' services."""

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
INHERITED = {name: value for name, value in os.environ.items() if not name.startswith(("CEKURA_", "COV_"))}


def converted(framework: str) -> Json:
    """The converted schemas by tool, and the answer of a call."""
    if framework in {"google-genai", "openai-agents"}:
        python = separate_install("AGENTS_PYTHON", "docs/agents-requirements.txt")
        command = [python, str(HERE / "conversions.py"), framework]
    else:
        folder = separate_install("AGENTS_NODE", "tests/agents/package.json")
        command = ["node", str(HERE / "conversions.mjs"), folder, framework]
    completed = subprocess.run(
        [*command, *SERVER],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=TIMEOUT_S,
        check=False,
        env=INHERITED,
    )
    assert completed.returncode == 0, completed.stderr[-2000:]
    result: Json = json.loads(completed.stdout.splitlines()[-1])
    return result


GEMINI_KEYWORDS = {
    "type", "format", "title", "description", "nullable", "enum", "properties", "required", "items", "anyOf", "minItems",
    "maxItems", "minimum", "maximum", "minLength", "maxLength", "pattern", "example", "default", "propertyOrdering",
    "minProperties", "maxProperties",
}  # fmt: skip
"""Fields of a Schema of the Gemini API. Source: its reference, ai.google.dev/api/caching#Schema."""
GEMINI_TYPES = {"STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT"}


def subschemas(schema: Json, path: str) -> Iterator[tuple[str, Json]]:
    """The direct subschemas of a schema, with their paths."""
    yield from ((f"{path}.{name}", child) for name, child in schema.get("properties", {}).items())
    yield from ((f"{path}.anyOf[{index}]", option) for index, option in enumerate(schema.get("anyOf", [])))
    if "items" in schema:
        yield f"{path}[]", schema["items"]


def gemini_violations(schema: Json, path: str) -> Iterator[str]:
    """What the Gemini API rejects with status 400 in every request that offers the tool, by reports of its users."""
    node = {"anyOf" if word == "any_of" else word: value for word, value in schema.items()}
    kind = str(node.get("type")).upper()
    yield from (f"{path}: unknown field {word}" for word in node.keys() - GEMINI_KEYWORDS)
    wrong = {
        "other fields beside anyOf": "anyOf" in node and len(node) > 1,
        "no type, or not one": "anyOf" not in node and kind not in GEMINI_TYPES,
        "items of what is no list, or none": ("items" in node) is not (kind == "ARRAY"),
        "properties of what is no object, or none": bool(node.get("properties")) is not (kind == "OBJECT"),
        "choices of what is no text, or an empty one": "enum" in node and (kind != "STRING" or not all(node["enum"])),
        "required is no property": not {*node.get("required", [])} <= {*node.get("properties", {})},
    }
    yield from (f"{path}: {text}" for text, applies in wrong.items() if applies)
    for place, child in subschemas(node, path):
        yield from gemini_violations(child, place)


OPENAI_KEYWORDS = {
    "type", "description", "enum", "properties", "required", "additionalProperties", "items", "anyOf", "minimum", "maximum",
    "minItems", "maxItems",
}  # fmt: skip
"""The keywords in use that strict schemas allow. Source: OpenAI's guide to structured outputs."""
OPENAI_MAX_DEPTH = 10
"""The maximum nesting depth of objects."""


def openai_violations(schema: Json, path: str, depth: int = 1) -> Iterator[str]:
    yield from (f"{path}: unknown word {word}" for word in schema.keys() - OPENAI_KEYWORDS)
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False or {*schema["required"]} != {*schema["properties"]}:
            yield f"{path}: an open object, or properties that are not required"
        if depth > OPENAI_MAX_DEPTH:
            yield f"{path}: {depth} objects deep"
    elif "anyOf" not in schema and "type" not in schema:
        yield f"{path}: no type"
    if schema.get("type") == "array" and "items" not in schema:
        yield f"{path}: no items"
    for place, child in subschemas(schema, path):
        yield from openai_violations(child, place, depth + ("properties" in schema))


def no_violations(_schema: Json, _path: str) -> Iterator[str]:
    """For a framework that passes the schema on unchanged and validates arguments against it."""
    yield from ()


RULES: dict[str, Callable[[Json, str], Iterator[str]]] = {
    "google-genai": gemini_violations,
    "ai-sdk-google": gemini_violations,
    "openai-agents": openai_violations,
    "openai-agents-js": openai_violations,
    "langchain-js": no_violations,
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
        (gemini_violations, {"anyOf": [{"type": "string"}, {"type": "array"}], "items": {"type": "string"}}),
        (gemini_violations, {"anyOf": [{"type": "string"}, {"type": "integer"}], "description": "x"}),
        (gemini_violations, {"type": ["string", "number"]}),
        (gemini_violations, {"type": "array"}),
        (gemini_violations, {"type": "object", "properties": {}}),
        (openai_violations, {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}),
        (openai_violations, {"oneOf": [{"type": "string"}]}),
    ],
)
def test_schema_rules_detect_what_services_reject(rule: Callable[..., Iterator[str]], schema: Any) -> None:
    assert [*rule(schema, "x")] != []
