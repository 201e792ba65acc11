"""The faults in arguments according to validation, each with its path, the value and what to give instead."""

import json
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cekura_dashboards.api.errors import Fault, UnknownField
from cekura_dashboards.api.filters import Filter, json_shape, of_metric
from cekura_dashboards.api.models import JsonObject, as_object, filter_field
from cekura_dashboards.arguments import shapes
from cekura_dashboards.arguments.references import LISTING_TOOL
from cekura_dashboards.text import did_you_mean, inert, nearest, one_of, quoted
from cekura_dashboards.tool import annotation, plain_type

ArgumentPath = tuple[str | int, ...]
AMBIGUOUS = {"slowest", "fastest"}
"""These may mean longest or highest, although they are spelled like ``lowest``."""
A_CHART = {"chart_type": "pie", "field": "topic"}
NOT_TRUE: JsonObject = {"field": "success", "op": "neq", "value": True}


def where(path: ArgumentPath) -> str:
    """``update[0].filters.op``."""
    text = ""
    for part in path:
        part_text = part if isinstance(part, int) or part.isidentifier() else inert(part)
        text += f"[{part_text}]" if isinstance(part, int) else f".{part_text}" if text else str(part_text)
    return quoted(text, limit=120)


def value_text(value: Any) -> str:
    try:
        value_json = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        value_json = str(type(value).__name__)
    text = inert(quoted(value if isinstance(value, str) else value_json, limit=60))
    return f'"{text}"' if isinstance(value, str) else text.replace("'", '"')


_KINDS = {
    "int": "a whole number", "float": "a number, without a unit", "string": "text", "bool": "true or false",
    "list": "a list", "dict": "an object", "model": "an object", "literal": "one of the choices",
}  # fmt: skip


def fault_of(model: type[BaseModel], error: Any) -> Fault:
    """The fault that a validation error describes."""
    return _fault(model, error)._replace(at=tuple(error["loc"]))


def _fault(model: type[BaseModel], error: Any) -> Fault:
    path: ArgumentPath = tuple(error["loc"])
    context: JsonObject = error.get("ctx") or {}
    kind: str = error["type"]
    if kind == "fault":
        inner = (*path, context["at"]) if context["at"] else path
        return Fault(where(inner), context["message"], unknown=context["unknown"])
    if kind == "extra_forbidden":
        owner = _model_at(model, path[:-1])
        names = [name for name, info in owner.model_fields.items() if not _is_hidden(info)]
        names.sort(key=lambda name: name == "plan_id")
        if owner is Filter:
            return _not_in_filter(path, error["input"])
        if path == ("project_id",) and "dashboard_id" in names:
            return Fault("", "`project_id` is not an argument here; give dashboard_id, which is in one project.")
        return Fault("", f"`{where(path)}` is not an argument here; {did_you_mean(str(path[-1]), names, limit=24)}")
    if kind == "missing" or (error["input"] is None and isinstance(path[-1], str)):
        owner = _model_at(model, path[:-1])
        info = owner.model_fields.get(str(path[-1]))
        return Fault(where(path), "is missing." if info is None else f"is missing{_what_to_give(info, str(path[-1]))}.")
    if kind == "literal_error":
        choices = [str(choice) for choice in _choices(model, path)]
        value = error["input"]
        if path[-1] == "op" and isinstance(value, str) and (instead := shapes.hint(value)):
            return Fault(where(path), f"{value_text(value)} {instead}")
        return Fault(where(path), f"{value_text(value)} is not allowed; {_choice(value, choices)}")
    limits = {"greater_than_equal": ("at least", "ge"), "less_than_equal": ("at most", "le")}
    if kind in limits:
        word, key = limits[kind]
        return Fault(where(path), f"{value_text(error['input'])} is out of range; it must be {word} {context[key]}.")
    if kind in {"string_too_long", "too_long"}:
        return Fault(where(path), f"is too long; at most {context['max_length']}.")
    return Fault(where(path), f"{value_text(error['input'])} is not valid; it must be {_expected(model, path, kind)}.")


def _is_hidden(info: FieldInfo) -> bool:
    """Whether an argument is undocumented, because only receipts use it."""
    return bool((as_object(info.json_schema_extra) or {}).get("hidden"))


def _what_to_give(info: FieldInfo, name: str) -> str:
    """What to give for a required argument, and where to find it."""
    kind, reference = plain_type(annotation(info))
    are_several = get_origin(kind) is list
    if are_several:
        reference = plain_type(get_args(kind)[0])[1]
    if reference is not None:
        about = f" ({info.description})" if info.description else ""
        return f"{about}; give {'ids or names' if are_several else 'an id or a name'}; {LISTING_TOOL[reference.kind]}"
    if info.description:
        return f": {info.description}"
    if get_origin(kind) is Literal:
        return f"; use {one_of(map(str, get_args(kind)), limit=16)}"
    if isinstance(kind, type) and "chart_type" in getattr(kind, "model_fields", {}):
        return f"; give a chart, for example {json.dumps(A_CHART)}"
    return f"; give a {name}"


def _expected(model: type[BaseModel], path: ArgumentPath, kind: str) -> str:
    if plain_type(_type_at(model, path))[1] is not None:
        return "an id or a name"
    return next((text for prefix, text in _KINDS.items() if kind.startswith(prefix)), "of another type")


def _not_in_filter(path: ArgumentPath, value: Any) -> Fault:
    """The fault of an unknown key in a condition."""
    key = str(path[-1])
    if key == "metric":
        return Fault(where(path), of_metric(**shapes.equals(value)))
    if shapes.operator(key) is not None:
        text = "takes one condition; contains, startswith, endswith and regex have no opposite"
        return Fault(where(path), f"{text}; write the opposite, for example {json_shape(NOT_TRUE)}.")
    field = key if filter_field(key) or not key.isidentifier() else f"metadata.{key}"
    shape = json_shape({"field": field, "op": "eq", "value": value})
    unknown = UnknownField(key, "filter", **shapes.equals(value))
    return Fault("", f"`{where(path)}` is not an argument here; a condition is {shape}.", unknown=unknown)


def _choice(value: Any, choices: list[str]) -> str:
    """The nearest choice, or all of them."""
    alike = [choice for choice in choices if _digits(choice) == _digits(value)]
    match = nearest(value, alike) if isinstance(value, str) and value not in AMBIGUOUS else None
    return f"did you mean `{match}`?" if match else f"use {one_of(choices, limit=16)}."


def _digits(value: Any) -> str:
    """The digits, which a suggestion must keep: ``p90`` is not a misspelling of ``p99``."""
    return "".join(char for char in str(value) if char.isdecimal())


def _model_at(model: type[BaseModel], path: ArgumentPath) -> type[BaseModel]:
    """The model that validates the object at this path."""
    kind = plain_type(_type_at(model, path))[0]
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else model


def _type_at(model: Any, path: ArgumentPath) -> Any:
    """The type at this path, with its marks; for an unknown field, the type of the enclosing object."""
    if not path:
        return model
    kind, part = plain_type(model)[0], path[0]
    if isinstance(part, int):
        return _type_at(get_args(kind)[0] if get_args(kind) else Any, path[1:])
    if isinstance(kind, type) and issubclass(kind, BaseModel) and part in kind.model_fields:
        return _type_at(annotation(kind.model_fields[part]), path[1:])
    return _type_at(kind, path[1:])


def _choices(model: type[BaseModel], path: ArgumentPath) -> tuple[Any, ...]:
    return get_args(plain_type(_type_at(model, path))[0])
