"""JSON schemas that every client accepts, from Pydantic models.

Some clients refuse ``$ref``, ``$defs``, unions with null, an untyped property, an array without ``items``, or an object
without ``properties``; some drop a tool whose schema is long. So references are written out, recursion once, and what
only decorates (titles, defaults of null) is left away. Validation is by the models and stays as deep as they are.
"""

from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]
ANY_VALUE: Schema = {"type": ["string", "number", "boolean", "array"], "items": {"type": "string"}}
KEPT = {
    "type",
    "description",
    "enum",
    "items",
    "properties",
    "required",
    "minimum",
    "maximum",
    "maxItems",
    "maxLength",
}


def input_schema(model: type[BaseModel]) -> Schema:
    """What a client is shown of a tool's arguments."""
    raw = model.model_json_schema(by_alias=True)
    return (
        {"required": [], **_written_out(raw, raw.get("$defs", {}), ())}
        if "required" not in raw
        else _written_out(raw, raw.get("$defs", {}), ())
    )


def output_schema(model: type[BaseModel]) -> Schema:
    """What a client is shown of a tool's structured answer: without descriptions where they repeat a name."""
    raw = model.model_json_schema(by_alias=True, mode="serialization")
    return _loosened(_written_out(raw, raw.get("$defs", {}), ()))


def _written_out(node: Schema, defs: dict[str, Schema], inside: tuple[str, ...]) -> Schema:
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        merged = {**defs[name], **{k: v for k, v in node.items() if k != "$ref"}}
        return _written_out(merged, defs, (*inside, name))
    if "anyOf" in node:
        options = [option for option in node["anyOf"] if option.get("type") != "null"]
        rest = {k: v for k, v in node.items() if k not in {"anyOf", "default"}}
        merged = {**options[0], **rest} if len(options) == 1 else {**_several(options), **rest}
        return _written_out(merged, defs, inside)
    if "const" in node:
        node = {"enum": [node["const"]], **node}
    found = {k: v for k, v in node.items() if k in KEPT}
    if "enum" in found:
        found = {"type": "string", **found}
    if found.get("type") == "object" or "properties" in found:
        properties = found.get("properties", {})
        found["properties"] = {
            name: _written_out(child, defs, inside)
            for name, child in properties.items()
            if not _repeats(child, inside)
        }
    elif found.get("type") == "array":
        found["items"] = _written_out(found.get("items") or {"type": "string"}, defs, inside)
    elif "type" not in found:
        found = {**ANY_VALUE, **found}
    return found


def _several(options: list[Schema]) -> Schema:
    """A union of plain types, as a list of them."""
    types = list(dict.fromkeys(option["type"] for option in options if isinstance(option.get("type"), str)))
    return {"type": types[0] if len(types) == 1 else types}


def _repeats(node: Schema, inside: tuple[str, ...]) -> bool:
    """Whether this property leads, through a list, back to a model that it is already the second time inside of."""
    options = node.get("anyOf", [node])
    names = [option.get("items", {}).get("$ref", "").rpartition("/")[2] for option in options]
    return any(name and inside.count(name) > 1 for name in names)


def _loosened(node: Schema) -> Schema:
    """Without what an answer need not promise: descriptions and limits; columns of mixed values stay untyped."""
    found: Schema = {
        k: v for k, v in node.items() if k in {"type", "enum", "items", "properties", "required"}
    }
    if node == {**ANY_VALUE, "description": node.get("description")} or node == ANY_VALUE:
        return {}
    if "items" in found:
        found["items"] = _loosened(found["items"])
    if "properties" in found:
        found["properties"] = {name: _loosened(child) for name, child in found["properties"].items()}
        if not found["properties"]:
            del found["properties"]
    return found
