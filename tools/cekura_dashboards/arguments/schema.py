"""JSON schemas that every client accepts, from Pydantic models.

Some clients refuse ``$ref``, ``$defs``, unions with null, a list of types, an untyped property, an array without
``items``, or an object without ``properties``; some drop a tool whose schema is long. So references are written out,
recursion once, a model is described where it first stands, and what only decorates (titles, defaults) is left away.
What may be of several types is an ``anyOf`` of single ones with nothing beside it, as Gemini wants it. Validation is by
the models and stays as deep as they are.

Strict clients close every object and fill in every property. So no object is left open, and every property that may be
absent has a value that means so: an empty text or list, 0, ``none`` (``cekura_dashboards.arguments.reader``).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

Schema = dict[str, Any]
ANY_VALUE: tuple[Schema, ...] = (
    {"type": "string"},
    {"type": "number"},
    {"type": "boolean"},
    {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "number"}]}},
)
ONCE: dict[str, Schema] = {
    "Filter": {"field": {"type": "string"}, "op": {"type": "string"}, "value": {"anyOf": [*ANY_VALUE]}},
    "GroupBy": {"type": {"type": "string"}, "field": {"type": "string"}, "interval": {"type": "integer"}},
    "Layout": {side: {"type": "integer"} for side in "xywh"},
}
"""Models that are written out only where they first stand in a tool, as they are long; and what of them after that."""
AS_ABOVE = "as above"
BRIEF = ("chart_type", "field", "metric", "aggregation_function", "time_period")
"""What is shown of a widget that another tool shows whole."""
TOLD_BY_NAME = {"GroupBy", "NewWidget", "CreatedWidget", "WidgetUpdate"}
"""Models of which a model need not be told what they are."""
LAST = {"plan_id"}
SHALLOW = {"operator"}
"""Left out of a model inside itself, where its lists are left out too."""
LIMITS = ("minimum", "maximum", "maxItems")
BLANK_AT_0 = ("minimum", 1)
"""Not shown: 0 stands for the default there."""
NONE = "none"


def input_schemas(models: Iterable[type[BaseModel]]) -> dict[type[BaseModel], Schema]:
    """What a client is shown of the arguments of tools.

    Properties marked ``hidden`` are accepted but not advertised; objects marked ``brief`` without what is in them.
    """
    schemas = dict[type[BaseModel], Schema]()
    for model, raw, defs in _raw(models, "validation"):
        raw["properties"] = dict(sorted(raw.get("properties", {}).items(), key=lambda item: item[0] in LAST))
        raw.pop("description", None)
        schemas[model] = _Writer(defs, described=True).write(raw)
    return schemas


def output_schemas(models: Iterable[type[BaseModel]]) -> dict[type[BaseModel], Schema]:
    """What a client is shown of structured answers: shapes alone; mixed values are untyped."""
    return {model: _Writer(defs, described=False).write(raw) for model, raw, defs in _raw(models, "serialization")}


def _raw(
    models: Iterable[type[BaseModel]], mode: JsonSchemaMode
) -> Iterator[tuple[type[BaseModel], Schema, dict[str, Schema]]]:
    """Each model's own schema, and those of all that it refers to: generated together, as they share most."""
    distinct = [*dict.fromkeys(models)]
    places, whole = models_json_schema([(model, mode) for model in distinct], schema_generator=_Bare)
    defs: dict[str, Schema] = whole["$defs"]
    for model in distinct:
        yield model, {**defs[places[model, mode]["$ref"].rpartition("/")[2]]}, defs


class _Bare(GenerateJsonSchema):
    """As much as the writer needs: no sorting, nothing compared, and of a default only that there is one.

    Half the time of generating schemas goes into these, and a server's start is felt.
    """

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return {**self.generate_inner(schema["schema"]), "default": None}

    def sort(self, value: JsonSchemaValue, parent_key: str | None = None) -> JsonSchemaValue:  # noqa: ARG002 - as given
        return value

    def get_flattened_anyof(self, schemas: list[JsonSchemaValue]) -> JsonSchemaValue:
        return {"anyOf": [one for part in schemas for one in (part["anyOf"] if [*part] == ["anyOf"] else [part])]}


@dataclass
class _Writer:
    defs: dict[str, Schema]
    described: bool
    written_models: set[str] = field(default_factory=set[str])
    described_fields: set[str] = field(default_factory=set[str])
    choices: list[list[str]] = field(default_factory=list[list[str]])

    def _is_new(self, choices: list[str]) -> bool:
        new = choices not in self.choices
        self.choices.append(choices)
        return new

    def write(self, node: Schema, inside: tuple[str, ...] = (), *, tell: bool = True) -> Schema:
        """``inside``: the models that the node is part of. ``tell``: keep its descriptions."""
        if node.get("brief"):
            whole = self.defs[next(one["$ref"] for one in node["anyOf"] if "$ref" in one).rpartition("/")[2]]
            brief = {name: _bare(whole["properties"][name]) for name in BRIEF}
            return {"type": "object", "properties": brief, "description": node["description"]}
        if "$ref" in node:
            name = node["$ref"].rpartition("/")[2]
            definition = {k: v for k, v in self.defs[name].items() if k != "description" or name not in TOLD_BY_NAME}
            merged = {**definition, **{k: v for k, v in node.items() if k != "$ref"}}
            first = name not in self.written_models
            self.written_models.add(name)
            if not first and self.described and name in ONCE and name not in inside:
                description = node.get("description", "")
                own = f"{description}; " if tell and description and description not in self.described_fields else ""
                self.described_fields.add(description)
                return {"type": "object", "properties": ONCE[name], "description": own + AS_ABOVE}
            return self.write(merged, (*inside, name), tell=tell and first)
        if "anyOf" in node:
            return self._union(node, inside, tell=tell)
        if "const" in node:
            node = {**node, "enum": [node["const"]]}
        return self._plain(node, inside, tell=tell)

    def _plain(self, node: Schema, inside: tuple[str, ...], *, tell: bool) -> Schema:
        schema: Schema = {k: v for k, v in node.items() if k in {"type", "enum"}}
        if "enum" in schema:
            schema = {"type": "string", **schema}
            if self.described and not self._is_new(schema["enum"]):
                del schema["enum"]  # it was written out where it first stood
        if self.described:
            schema |= {k: node[k] for k in LIMITS if k in node and (k, node[k]) != BLANK_AT_0}
            if tell and "description" in node and node["description"] not in self.described_fields:
                self.described_fields.add(node["description"])
                schema["description"] = node["description"]
        if schema.get("type") == "object":
            return self._object(node, schema, inside, tell=tell)
        if schema.get("type") == "array":
            plain: Schema = {"type": "string"} if self.described else {}
            schema["items"] = self.write(node.get("items") or plain, inside, tell=tell)
            return schema
        if "type" in schema:
            return schema
        return _any_of(ANY_VALUE, schema.get("description")) if self.described else {}

    def _object(self, node: Schema, schema: Schema, inside: tuple[str, ...], *, tell: bool) -> Schema:
        properties = {
            name: self._with_none(self.write(child, inside, tell=tell), child, inside)
            for name, child in node.get("properties", {}).items()
            if not child.get("hidden") and not _repeats(child, inside) and not (name in SHALLOW and _is_inside(inside))
        }
        if properties or self.described:
            schema["properties"] = properties
        if "required" in node:
            schema["required"] = node["required"]
        return schema

    def _with_none(self, schema: Schema, node: Schema, inside: tuple[str, ...]) -> Schema:
        """A choice that may be absent, with a word for that; a filter's are told by what stands beside them."""
        if not self.described or "enum" not in schema or "default" not in node or inside[-1:] == ("Filter",):
            return schema
        return {**schema, "enum": [*schema["enum"], NONE]}

    def _union(self, node: Schema, inside: tuple[str, ...], *, tell: bool) -> Schema:
        """A union with null as the rest of it; one of plain types as each of them."""
        options = [option for option in node["anyOf"] if option.get("type") != "null"]
        rest = {k: v for k, v in node.items() if k != "anyOf"}
        if len(options) == 1 and (self.described or "default" in node):
            return self.write({**options[0], **rest}, inside, tell=tell)
        if not self.described:
            return {}
        schema = self._plain({**rest, "type": ""}, inside, tell=tell)
        return _any_of([{"type": option["type"]} for option in options], schema.get("description"))


def _bare(node: Schema) -> Schema:
    """The type or types of a property that is plain, or null."""
    types = [{"type": one["type"]} for one in node.get("anyOf", [node]) if one["type"] != "null"]
    return types[0] if len(types) == 1 else {"anyOf": types}


def _any_of(options: Iterable[Schema], description: str | None) -> Schema:
    """Of any of these types; what is said of all stands in the first, as nothing may stand beside ``anyOf``."""
    first, *others = options
    return {"anyOf": [first | ({"description": description} if description else {}), *others]}


def _is_inside(inside: tuple[str, ...]) -> bool:
    """Whether a model is written out inside itself."""
    return len(inside) > len({*inside})


def _repeats(node: Schema, inside: tuple[str, ...]) -> bool:
    """Whether this property is a list of a model that the node is already the second time inside of."""
    names = [
        option.get("items", {}).get("$ref", "").rpartition("/")[2] for option in node.get("anyOf", [node])
    ]  # fmt: skip
    return any(name and inside.count(name) > 1 for name in names)
