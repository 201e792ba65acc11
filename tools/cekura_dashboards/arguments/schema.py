"""JSON schemas that every client accepts, from Pydantic models.

Some clients refuse ``$ref``, ``$defs``, unions with null, a list of types, an untyped property, an array without
``items``, or an object without ``properties``; some drop a tool whose schema is long. So references are inlined, a
model is described only at its first use, and titles and defaults are dropped. A value of several types is an ``anyOf``
of single types without sibling keywords, as Gemini requires. The models themselves validate.

Strict clients close every object and fill in every property. So no object is open, and every optional property has a
value that means absent: an empty text or list, 0, ``none`` (``cekura_dashboards.arguments.reader``).

Schemas of answers are outlines: the properties that a caller uses in later calls, such as ids, calls and verdicts.
Other properties are allowed without being named.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from cekura_dashboards.tool import Result

Schema = dict[str, Any]
ANY_VALUE: tuple[Schema, ...] = (
    {"type": "string"},
    {"type": "number"},
    {"type": "boolean"},
    {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "number"}]}},
)
FILTER = "Filter"
CONDITION: Schema = {"field": {"type": "string"}, "op": {"type": "string"}, "value": {"anyOf": [*ANY_VALUE]}}
"""The form of every filter after the first: one condition. Groups are accepted there too."""
BRIEF = ("id", "name", "chart_type", "field", "metric", "aggregation_function", "time_period")
"""The properties of a widget that another tool describes in full."""
NOT_DESCRIBED = {"GroupBy", "NewWidget", "CreatedWidget", "WidgetChanges", "WidgetUpdate"}
"""Models with self-explanatory names, whose descriptions are dropped."""
LAST = {"plan_id"}
LIMITS = ("minimum", "maximum")
BLANK_AT_0 = ("minimum", 1)
"""Minimums to omit, where 0 means the default."""
NONE = "none"
CHAINED = frozenset(
    {
        "id", "widgets", "widget", "rows", "calls", "examples", "findings", "outcome", "changes", "plan_id",
        "undo", "remaining", "restored", "next", "fix", "tool", "arguments",
    }
)  # fmt: skip
"""Properties of an answer that callers use in later calls."""
OF_ALL = frozenset({"dashboard_id", "project", "total", "page", "more"})
"""The same, for properties of the whole answer."""
VERDICT, VERDICT_DEPTH = "verdict", 1
"""Callers branch on the verdict of the answer and of the items of its lists; deeper ones are in the text."""
OUTLINE_DEPTH = 3
"""Levels of objects in an outline."""


def input_schemas(models: Iterable[type[BaseModel]]) -> dict[type[BaseModel], Schema]:
    """The schemas of tools' arguments, as clients see them.

    Properties marked ``hidden`` are accepted but not shown. Objects marked ``bare`` have no descriptions and choices;
    those marked ``brief`` also only some properties. Properties marked ``known`` are described by another tool. All
    properties are accepted.
    """
    schemas = dict[type[BaseModel], Schema]()
    for model, raw, defs in _raw(models, "validation"):
        raw["properties"] = dict(sorted(raw.get("properties", {}).items(), key=lambda item: item[0] in LAST))
        raw.pop("description", None)
        schemas[model] = _Writer(defs).write(raw)
    return schemas


def output_schemas(models: Iterable[type[Result]]) -> dict[type[BaseModel], Schema]:
    """The schemas of structured answers, as clients see them: outlines, and limits of length."""
    schemas = dict[type[BaseModel], Schema]()
    for model, raw, defs in _raw(models, "serialization"):
        outline = _outline(raw, defs, 0) or {"type": "object"}
        required = [name for name in raw.get("required", []) if name in outline.get("properties", {})]
        bound = {"description": model.BOUND} if model.BOUND else {}
        schemas[model] = outline | ({"required": required} if required else {}) | bound
    return schemas


M = TypeVar("M", bound=BaseModel)


def _raw(models: Iterable[type[M]], mode: JsonSchemaMode) -> Iterator[tuple[type[M], Schema, dict[str, Schema]]]:
    """Each model's schema and its definitions, generated together, as they share most."""
    distinct = [*dict.fromkeys(models)]
    places, whole = models_json_schema([(model, mode) for model in distinct], schema_generator=_Bare)
    defs: dict[str, Schema] = whole["$defs"]
    for model in distinct:
        yield model, {**defs[places[model, mode]["$ref"].rpartition("/")[2]]}, defs


class _Bare(GenerateJsonSchema):
    """A generator with only what the writer needs: no sorting or comparing, and for defaults only their existence.

    These take half the time of schema generation.
    """

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return {**self.generate_inner(schema["schema"]), "default": None}

    def sort(self, value: JsonSchemaValue, parent_key: str | None = None) -> JsonSchemaValue:  # noqa: ARG002 - as given
        return value

    def get_flattened_anyof(self, schemas: list[JsonSchemaValue]) -> JsonSchemaValue:
        return {"anyOf": [one for part in schemas for one in (part["anyOf"] if [*part] == ["anyOf"] else [part])]}


def _outline(node: Schema, defs: dict[str, Schema], depth: int, *, chained: bool = False) -> Schema | None:
    """The parts of a value that callers use in later calls; None if there are none.

    ``depth``: the number of enclosing objects. ``chained``: callers use the value itself.
    """
    node = _only_option(node, defs)
    shape: Schema = {name: node[name] for name in ("type",) if name in node}
    if shape.get("type") == "array":
        shape |= {name: node[name] for name in ("maxItems",) if name in node}
        items = _outline(node.get("items", {}), defs, depth)
        return shape | ({} if items is None else {"items": items}) if chained or items is not None else None
    parts = dict[str, Schema]()
    for name, child in node.get("properties", {}).items() if depth < OUTLINE_DEPTH else ():
        of_all = (depth == 0 and name in OF_ALL) or (depth <= VERDICT_DEPTH and name == VERDICT)
        part = _outline(child, defs, depth + 1, chained=of_all or name in CHAINED)
        if part is not None:
            parts[name] = part
    return {**shape, "properties": parts} if parts else shape if chained else None


def _only_option(node: Schema, defs: dict[str, Schema]) -> Schema:
    """The target of a reference, or of a union with null; empty for a union of several types."""
    options = [option for option in node.get("anyOf", []) if option.get("type") != "null"]
    if options:
        rest = {name: value for name, value in node.items() if name != "anyOf"}
        return _only_option({**options[0], **rest}, defs) if len(options) == 1 else {}
    return {**defs[node["$ref"].rpartition("/")[2]], **node} if "$ref" in node else node


@dataclass
class _Writer:
    """Writes the schema of one tool's arguments."""

    defs: dict[str, Schema]
    written_models: set[str] = field(default_factory=set[str])
    described_fields: set[str] = field(default_factory=set[str])
    choices: list[list[str]] = field(default_factory=list[list[str]])

    def write(self, node: Schema, *, bare: bool = False) -> Schema:
        """``bare``: without descriptions, choices and limits."""
        if "$ref" in node:
            return self._model(node["$ref"].rpartition("/")[2], node, bare=bare)
        if "anyOf" in node:
            return self._union(node, bare=bare)
        if "const" in node:
            node = {**node, "enum": [node["const"]]}
        return self._plain(node, bare=bare)

    def _model(self, name: str, node: Schema, *, bare: bool) -> Schema:
        first = name not in self.written_models and not bare
        self.written_models.add(name)
        if name == FILTER:
            return self._filter(node, whole=first)
        own = {
            k: v for k, v in self.defs[name].items() if k != "description" or (name not in NOT_DESCRIBED and not bare)
        }
        return self.write({**own, **{k: v for k, v in node.items() if k != "$ref"}}, bare=not first)

    def _filter(self, node: Schema, *, whole: bool) -> Schema:
        """A group of conditions, or one condition; either is accepted in place of the other."""
        if not whole:
            return {"type": "object", "properties": CONDITION, **self._description(node)}
        parts: dict[str, Schema] = self.defs[FILTER]["properties"]
        condition, operator = CONDITION, {"type": "string"}
        if not node.get("bare"):
            condition = {
                "field": {"type": "string", "description": parts["field"]["description"]},
                "op": {"type": "string", "description": ", ".join(_choices(parts["op"]))},
                "value": _any_of(ANY_VALUE, parts["value"]["description"]),
            }
            operator["description"] = parts["operator"]["description"]
        conditions: Schema = {"type": "array", "items": {"type": "object", "properties": condition}}
        properties: Schema = {"operator": operator, "conditions": conditions}
        return {"type": "object", "properties": properties, **self._description(node)}

    def _plain(self, node: Schema, *, bare: bool) -> Schema:
        schema: Schema = {"type": "string"} if "enum" in node else {k: node[k] for k in ("type",) if k in node}
        if "enum" in node and not bare and node["enum"] not in self.choices:
            self.choices.append(node["enum"])
            schema["enum"] = [*node["enum"], NONE] if "default" in node else node["enum"]
        if not bare:
            schema |= {k: node[k] for k in LIMITS if k in node and (k, node[k]) != BLANK_AT_0}
        schema |= self._description(node, bare=bare)
        if schema.get("type") == "object":
            return self._object(node, schema, bare=bare)
        if schema.get("type") == "array":
            items = node.get("items") or {"type": "string"}
            return {**schema, "items": self.write(items | _shown(node), bare=bare)}
        return schema if "type" in schema else _any_of(ANY_VALUE, schema.get("description"))

    def _description(self, node: Schema, *, bare: bool = False) -> Schema:
        """The description, unless it has been used already."""
        text = node.get("description")
        if bare or text is None or text in self.described_fields:
            return {}
        self.described_fields.add(text)
        return {"description": text}

    def _object(self, node: Schema, schema: Schema, *, bare: bool) -> Schema:
        bare = bare or bool(_shown(node))
        properties = {
            name: self.write(child, bare=bare or bool(child.get("known")))
            for name, child in node.get("properties", {}).items()
            if not child.get("hidden") and (name in BRIEF or not node.get("brief"))
        }
        schema["properties"] = properties
        return schema | ({"required": node["required"]} if "required" in node else {})

    def _union(self, node: Schema, *, bare: bool) -> Schema:
        """A union without null; a union of plain types as ``anyOf``."""
        options = [option for option in node["anyOf"] if option.get("type") != "null"]
        rest = {k: v for k, v in node.items() if k != "anyOf"}
        if len(options) == 1:
            return self.write({**options[0], **rest}, bare=bare)
        described = self._description(rest, bare=bare).get("description")
        return _any_of([{"type": option["type"]} for option in options], described)


def _shown(node: Schema) -> Schema:
    """The marks that shorten an object, or those in a list."""
    return {mark: True for mark in ("brief", "bare") if node.get(mark)}


def _choices(node: Schema) -> list[str]:
    """The choices of an optional property."""
    return next(option["enum"] for option in node.get("anyOf", [node]) if "enum" in option)


def _any_of(options: Iterable[Schema], description: str | None) -> Schema:
    """Any of these types; the description goes into the first, as ``anyOf`` may have no siblings."""
    first, *others = options
    return {"anyOf": [first | ({"description": description} if description else {}), *others]}
