"""Arguments as a model sends them in, a validated request out; or every fault, each with a path and a fix."""

import json
import re
import types
from collections.abc import Callable
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from cekura_dashboards.api.errors import Fault, InvalidArguments
from cekura_dashboards.api.fields import filter_field
from cekura_dashboards.api.filters import Filter
from cekura_dashboards.api.models import JsonObject, as_list, as_object, is_list
from cekura_dashboards.suggest import did_you_mean, one_of
from cekura_dashboards.text import quoted
from cekura_dashboards.tool import Request

Q = TypeVar("Q", bound=Request)
Path = tuple[str | int, ...]
NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,15})?", re.ASCII)
TEXT_OPS = ("contains", "startswith", "endswith", "regex", "isnull")


def parse(model: type[Q], raw: dict[str, Any]) -> tuple[Q, list[str]]:
    """The request, and notes on what was read otherwise than it was written.

    Numbers and booleans in quotes, objects and lists as JSON text, and one thing for a list of them are accepted.

    Raises:
        InvalidArguments: with everything that is wrong.
    """
    notes = list[str]()
    data = _coerced(model, raw, (), notes)
    try:
        return model.model_validate(data), notes
    except ValidationError as error:
        raise InvalidArguments([_fault(model, item) for item in error.errors(include_url=False)]) from None


def _coerced(kind: Any, value: Any, path: Path, notes: list[str]) -> Any:
    kind = _plain_type(kind)
    if value is None or kind is Any:
        return value
    if get_origin(kind) is list:
        return _coerced_list(get_args(kind)[0], value, path, notes)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        value = _from_json(value, dict, path, notes)
        found = as_object(value)
        if found is None:
            return value
        fields = kind.model_fields
        read = {
            name: _coerced(fields[name].annotation, item, (*path, name), notes) if name in fields else item
            for name, item in found.items()
        }
        return _coerced_condition(read, path, notes) if kind is Filter else read
    if get_origin(kind) is dict:
        return _from_json(value, dict, path, notes)
    return _coerced_scalar(kind, value, path, notes)


def _plain_type(kind: Any) -> Any:
    """The type without ``| None``."""
    if get_origin(kind) in {Union, types.UnionType}:
        options = [option for option in get_args(kind) if option is not type(None)]
        return options[0] if len(options) == 1 else Any
    return kind


def _coerced_condition(condition: JsonObject, path: Path, notes: list[str]) -> JsonObject:
    """A filter's value in quotes, where its field holds numbers or booleans; one value for the list of ``in``."""
    field, value = condition.get("field"), condition.get("value")
    known = filter_field(field) if isinstance(field, str) else None
    if known is None or value is None:
        return condition
    place = (*path, "value")
    if condition.get("op") == "in" and not is_list(value):
        value = [value]
        notes.append(f"{where(place)}: one value was read as a list")
    read = {"number": _number, "boolean": _truth}.get(known.kind)
    if read is None or condition.get("op") in TEXT_OPS:
        return {**condition, "value": value}
    items = value if is_list(value) else [value]
    found = [read(item) for item in items]
    if found != items:
        notes.append(f"{where(place)}: {_seen(value)} was read as {json.dumps(found if is_list(value) else found[0])}")
    return {**condition, "value": found if is_list(value) else found[0]}


def _number(value: Any) -> Any:
    if not isinstance(value, str) or not NUMBER.fullmatch(value.strip()):
        return value
    return float(value) if "." in value else int(value)


def _coerced_list(item: Any, value: Any, path: Path, notes: list[str]) -> Any:
    value = _from_json(value, list, path, notes)
    items = as_list(value)
    if items is None:
        if isinstance(value, str) and _plain_type(item) is int and "," in value:
            items = [part.strip() for part in value.split(",")]
        else:
            items = [value]
        notes.append(f"{where(path)}: one value was read as a list")
    return [_coerced(item, element, (*path, index), notes) for index, element in enumerate(items)]


def _from_json(value: Any, kind: type, path: Path, notes: list[str]) -> Any:
    """JSON text read as what it holds, if that is of the kind wanted."""
    if not isinstance(value, str) or value.lstrip()[:1] not in {"{", "["}:
        return value
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return value
    if not isinstance(found, kind):
        return value
    notes.append(f"{where(path)}: JSON text was read as the {'object' if kind is dict else 'list'} in it")
    return found


def _coerced_scalar(kind: Any, value: Any, path: Path, notes: list[str]) -> Any:
    read: Callable[[Any], Any] | None = {int: _whole, bool: _truth, str: _text}.get(kind)
    if get_origin(kind) is Literal and isinstance(value, str):
        folded = value.strip().casefold().replace(" ", "_")
        found = folded if folded in get_args(kind) else value
    elif read is not None:
        found = read(value)
    else:
        return value
    if found is not value and (type(found) is not type(value) or found != value):
        notes.append(f"{where(path)}: {_seen(value)} was read as {json.dumps(found)}")
    return found


def _whole(value: Any) -> Any:
    if isinstance(value, str) and value.strip().lstrip("-").isdecimal() and len(value) < 19:  # noqa: PLR2004 - 64 bits
        return int(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _truth(value: Any) -> Any:
    return {"true": True, "false": False}.get(value.strip().casefold(), value) if isinstance(value, str) else value


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def where(path: Path) -> str:
    """``update[0].filters.op``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return quoted(text, limit=120)


def _seen(value: Any) -> str:
    try:
        shown = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        shown = str(type(value).__name__)
    return quoted(shown, limit=60).replace("'", '"') if not isinstance(value, str) else f'"{quoted(value, limit=60)}"'


_KINDS = {
    "int": "a whole number", "float": "a number", "string": "text", "bool": "true or false", "list": "a list",
    "dict": "an object", "model": "an object", "literal": "one of the choices",
}  # fmt: skip


def _fault(model: type[BaseModel], error: Any) -> Fault:
    path: Path = tuple(error["loc"])
    context: JsonObject = error.get("ctx") or {}
    kind: str = error["type"]
    if kind == "fault":
        inner = (*path, context["at"]) if context["at"] else path
        return Fault(where(inner), context["message"])
    if kind == "extra_forbidden":
        owner = _model_at(model, path[:-1])
        known = list(owner.model_fields)
        return Fault("", f"`{where(path)}` is not an argument here; {did_you_mean(str(path[-1]), known, limit=16)}")
    if kind == "missing":
        owner = _model_at(model, path[:-1])
        field = owner.model_fields.get(str(path[-1]))
        about = f": {field.description}" if field is not None and field.description else ""
        return Fault(where(path), f"is missing{about}.")
    if kind == "literal_error":
        choices = [str(choice) for choice in _choices(model, path)]
        seen = error["input"]
        hint = did_you_mean(seen, choices, limit=16) if isinstance(seen, str) else f"it can be {one_of(choices)}."
        return Fault(where(path), f"{_seen(seen)} is not a choice; {hint}")
    limits = {"greater_than_equal": ("at least", "ge"), "less_than_equal": ("at most", "le")}
    if kind in limits:
        word, key = limits[kind]
        return Fault(where(path), f"{_seen(error['input'])} is out of range; it is {word} {context[key]}.")
    if kind in {"string_too_long", "too_long"}:
        return Fault(where(path), f"is too long; at most {context['max_length']}.")
    name = next((text for prefix, text in _KINDS.items() if kind.startswith(prefix)), "of another type")
    return Fault(where(path), f"{_seen(error['input'])} cannot be used; it must be {name}.")


def _model_at(model: type[BaseModel], path: Path) -> type[BaseModel]:
    """The model that the object at this path is validated by."""
    found = _type_at(model, path)
    return found if isinstance(found, type) and issubclass(found, BaseModel) else model


def _type_at(model: Any, path: Path) -> Any:
    kind = model
    for part in path:
        kind = _plain_type(kind)
        if isinstance(part, int):
            kind = get_args(kind)[0] if get_args(kind) else Any
        elif isinstance(kind, type) and issubclass(kind, BaseModel) and part in kind.model_fields:
            kind = kind.model_fields[part].annotation
    return _plain_type(kind)


def _choices(model: type[BaseModel], path: Path) -> tuple[Any, ...]:
    return get_args(_type_at(model, path))
