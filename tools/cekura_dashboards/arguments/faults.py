"""What is wrong with arguments, in words: where it stands, what was seen there, and what would be right."""

import json
import types
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cekura_dashboards.api.errors import Fault, UnknownField
from cekura_dashboards.api.filters import Filter, json_shape, of_metric
from cekura_dashboards.api.models import JsonObject, filter_field
from cekura_dashboards.arguments import shapes
from cekura_dashboards.arguments.references import Reference
from cekura_dashboards.text import did_you_mean, inert, nearest, one_of, quoted

ArgumentPath = tuple[str | int, ...]
NOT_TRUE: JsonObject = {"field": "success", "op": "neq", "value": True}


def where(path: ArgumentPath) -> str:
    """``update[0].filters.op``."""
    text = ""
    for part in path:
        shown = part if isinstance(part, int) or part.isidentifier() else inert(part)
        text += f"[{shown}]" if isinstance(part, int) else f".{shown}" if text else str(shown)
    return quoted(text, limit=120)


def value_text(value: Any) -> str:
    try:
        shown = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        shown = str(type(value).__name__)
    text = inert(quoted(value if isinstance(value, str) else shown, limit=60))
    return f'"{text}"' if isinstance(value, str) else text.replace("'", '"')


_KINDS = {
    "int": "a whole number", "float": "a number", "string": "text", "bool": "true or false", "list": "a list",
    "dict": "an object", "model": "an object", "literal": "one of the choices",
}  # fmt: skip


def fault_of(model: type[BaseModel], error: Any) -> Fault:
    """What is wrong, in words, of an error of validation."""
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
        names = list(owner.model_fields)
        if owner is Filter:
            return _not_in_filter(path, error["input"])
        return Fault("", f"`{where(path)}` is not an argument here; {did_you_mean(str(path[-1]), names, limit=16)}")
    if kind == "missing" or (error["input"] is None and isinstance(path[-1], str)):
        owner = _model_at(model, path[:-1])
        info = owner.model_fields.get(str(path[-1]))
        about = f": {info.description}" if info is not None and info.description else ""
        return Fault(where(path), f"is missing{about}.")
    if kind == "literal_error":
        choices = [str(choice) for choice in _choices(model, path)]
        value = error["input"]
        if path[-1] == "op" and isinstance(value, str) and (instead := shapes.hint(value)):
            return Fault(where(path), f"{value_text(value)} {instead}")
        return Fault(where(path), f"{value_text(value)} is not a choice; {_choice(value, choices)}")
    limits = {"greater_than_equal": ("at least", "ge"), "less_than_equal": ("at most", "le")}
    if kind in limits:
        word, key = limits[kind]
        return Fault(where(path), f"{value_text(error['input'])} is out of range; it is {word} {context[key]}.")
    if kind in {"string_too_long", "too_long"}:
        return Fault(where(path), f"is too long; at most {context['max_length']}.")
    return Fault(where(path), f"{value_text(error['input'])} cannot be used; it must be {_wanted(model, path, kind)}.")


def _wanted(model: type[BaseModel], path: ArgumentPath, kind: str) -> str:
    if plain_type(_type_at(model, path))[1] is not None:
        return "an id or a name"
    return next((text for prefix, text in _KINDS.items() if kind.startswith(prefix)), "of another type")


def _not_in_filter(path: ArgumentPath, given: Any) -> Fault:
    """What is wrong with a key that no condition has."""
    key = str(path[-1])
    if key == "metric":
        return Fault(where(path), of_metric(**shapes.equals(given)))
    if shapes.operator(key) is not None:
        text = "takes one condition, and none of contains, startswith, endswith or regex, which have no opposite"
        return Fault(where(path), f"{text}; write the opposite itself, as {json_shape(NOT_TRUE)}.")
    field = key if filter_field(key) or not key.isidentifier() else f"metadata.{key}"
    shape = json_shape({"field": field, "op": "eq", "value": given})
    unknown = UnknownField(key, "filter", **shapes.equals(given))
    return Fault("", f"`{where(path)}` is not an argument here; a condition is {shape}.", unknown=unknown)


def _choice(given: Any, choices: list[str]) -> str:
    """The nearest choice, or else all of them."""
    alike = [choice for choice in choices if _digits(choice) == _digits(given)]
    match = nearest(given, alike) if isinstance(given, str) else None
    return f"did you mean `{match}`?" if match else f"it can be {one_of(choices, limit=16)}."


def _digits(value: Any) -> str:
    """What a guess must not change: ``p90`` is not nearly ``p99``."""
    return "".join(char for char in str(value) if char.isdecimal())


def _model_at(model: type[BaseModel], path: ArgumentPath) -> type[BaseModel]:
    """The model that the object at this path is validated by."""
    kind = plain_type(_type_at(model, path))[0]
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else model


def _type_at(model: Any, path: ArgumentPath) -> Any:
    """The type of what stands at this path, with its marks; of the object around it, where that has no such field."""
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


def annotation(info: FieldInfo) -> Any:
    """A field's type with its marks."""
    marks = [mark for mark in info.metadata if isinstance(mark, Reference)]
    return Annotated[info.annotation, marks[0]] if marks else info.annotation


def plain_type(kind: Any) -> tuple[Any, Reference | None]:
    """The type without ``| None`` and without marks; and the mark that it is an id."""
    if get_origin(kind) in {Union, types.UnionType}:
        options = [option for option in get_args(kind) if option is not type(None)]
        kind = options[0] if len(options) == 1 else Any
    if get_origin(kind) is Annotated:
        reference = next((mark for mark in get_args(kind)[1:] if isinstance(mark, Reference)), None)
        return plain_type(get_args(kind)[0])[0], reference
    return kind, None
