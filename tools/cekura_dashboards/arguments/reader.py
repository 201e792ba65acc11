"""Turns the arguments that a model sends into a validated request, or into faults, each with its path and a fix."""

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from annotated_types import Ge
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from cekura_dashboards.api.errors import InvalidArguments
from cekura_dashboards.api.filters import METRIC_ID, Filter
from cekura_dashboards.api.models import (
    DURATION,
    GROUP_OPERATORS,
    PLOTTED,
    FilterOp,
    JsonObject,
    as_list,
    as_object,
    filter_field,
    is_list,
    is_object,
)
from cekura_dashboards.arguments import references, shapes
from cekura_dashboards.arguments.faults import ArgumentPath, fault_of, value_text, where
from cekura_dashboards.arguments.references import STAND_IN, GivenName
from cekura_dashboards.context import ToolContext, in_thread
from cekura_dashboards.text import as_meant, named, short_json
from cekura_dashboards.tool import EntityKind, Request, annotation, plain_type

BLANK: tuple[Any, ...] = (None, "", [], {})
NULL = "null"
NO_CHOICE = {"none", NULL}
TEXTS = {"search", "label", "group", "said", "name"}
"""Arguments that may be any text, even ``null``; as a new name, ``NewName`` refuses it."""


def is_blank(kind: Any, value: Any, info: FieldInfo, name: str) -> bool:
    """Whether a value of the argument ``name`` counts as absent: empty, or 0 for an id or a number from 1 up."""
    if value is None:
        return True
    if isinstance(value, str):
        if not value.strip() or (name not in TEXTS and is_null_text(value)):
            return True
        choices = get_args(kind) if get_origin(kind) is Literal else ()
        return bool(choices) and value not in choices and value.strip().lower() in NO_CHOICE
    if kind is bool:
        return value is False and info.default is None
    ids = get_origin(kind) is list and plain_type(get_args(kind)[0])[0] is int
    if isinstance(value, bool) or not (kind is int or (ids and value == 0)):
        return value in BLANK
    if ids:
        return True
    least = next((mark.ge for mark in info.metadata if isinstance(mark, Ge)), 1)
    return value == 0 and isinstance(least, int) and least > 0


def says_nothing(kind: Any, fields: JsonObject) -> bool:
    """Whether an object contains only blanks, or blanks and a choice that is meaningless alone.

    An incomplete filter, grouping or layout is not blank: a strict client would have filled in the rest.
    """
    if kind is Filter:
        whole = {"field", "value", "conditions"} <= {*fields}
        return _are_empty(fields, *(("field", "value", "conditions") if whole else fields))
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return False
    names = {*kind.model_fields}
    if names == {"type", "field", "interval"}:
        return names == {*fields} and _are_empty(fields, "field", "interval")
    if names == {"x", "y", "w", "h"}:
        return names == {*fields} and not any(fields.values())
    return bool(fields) and all(value in BLANK if name in TEXTS else is_empty(value) for name, value in fields.items())


def without_other_form(filter_object: JsonObject) -> JsonObject:
    """A filter without the blank fields of the other form: a condition has no ``operator``, a group no ``op``."""
    if not _are_empty(filter_object, "field") and _are_empty(filter_object, "conditions"):
        return {name: value for name, value in filter_object.items() if name not in {"operator", "conditions"}}
    if _are_empty(filter_object, "field", "value") and not _are_empty(filter_object, "conditions"):
        return {name: value for name, value in filter_object.items() if name not in {"field", "op", "value"}}
    return filter_object


def _are_empty(fields: JsonObject, *names: str) -> bool:
    return all(is_empty(fields.get(name)) for name in names)


def is_empty(value: Any) -> bool:
    """Whether this counts as absent: empty, or the text ``null``.

    >>> [is_empty(value) for value in (None, "", [], "Null", 0, "x")]
    [True, True, True, True, False, False]
    """
    return value in BLANK or is_null_text(value)


def is_null_text(value: Any) -> bool:
    return isinstance(value, str) and value.strip().lower() == NULL


Q = TypeVar("Q", bound=Request)
NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,15})?", re.ASCII)
WHOLE = re.compile(r"-?\d{1,18}", re.ASCII)
MOST_ITEMS, MOST_CHARACTERS = 500, 256 * 1024
"""Items per object or list, and characters in all: the undo of the largest edit has 400 items and 20,000 characters."""
HALF_CHARACTER = re.compile(r"[\ud800-\udfff]")
"""A lone surrogate: JSON can escape it, UTF-8 cannot encode it."""
HALF = "contains half a character (a lone surrogate); send the whole character or omit it."
LARGEST = sys.float_info.max
"""JSON numbers are commonly read as doubles (RFC 8259, section 6)."""
SMALL = 10_000
"""Characters that take a few milliseconds to read; more are read in a thread."""
MAX_FAULTS = 8
MOST_SHOWN = 130
"""Characters of a rewritten value in a note."""
DEEPEST = 40
"""Levels of nesting; the API needs three or four."""
LIFTED = {"changes", "widget"}
"""Arguments whose contents models often send one level too high."""
NAMED: dict[str, EntityKind] = {"agent.id": "agent", METRIC_ID: "metric"}
"""Filter fields with ids, for which names are accepted."""
PLANNED = "planned"
"""Key in the validation context: whether the call has a ``plan_id``."""
TEXT_OPS = ("contains", "startswith", "endswith", "regex", "isnull")


def parse(model: type[Q], raw: dict[str, Any]) -> tuple[Q, list[str]]:
    """The request, and notes on values that were converted.

    Numbers and booleans in quotes, objects and lists as JSON text, a single value for a list, and the aliases of
    ``cekura_dashboards.arguments.shapes`` are accepted.

    Raises:
        InvalidArguments: with every fault.
    """
    reader = _Reader()
    reader.refuse_too_large(raw, ())
    return _read(reader, model, raw)[0], reader.notes


async def read_arguments(context: ToolContext, model: type[Q], raw: dict[str, Any]) -> tuple[Q, list[str]]:
    """As ``parse``; names are accepted for the ids of dashboards, widgets, projects, agents and metrics.

    Nothing is sent unless everything else is valid.

    Raises:
        InvalidArguments: with every fault, or the unknown and ambiguous names.
        DashboardsError: if the names could not be looked up.
    """
    reader = _Reader(names={})
    size = reader.refuse_too_large(raw, ())
    request, data = await in_thread(_read, reader, model, raw, small=size <= SMALL)
    if not reader.names:
        return request, reader.notes
    ids = await references.ids_of(context, reader.names, request)
    notes = [
        f"{name.path}: {named(name.text)} was read as {name.kind} {ids[key]}" for key, name in reader.names.items()
    ]
    return _validate(model, _with_ids(data, ids)), [*reader.notes, *notes]


def _read(reader: "_Reader", model: type[Q], raw: dict[str, Any]) -> tuple[Q, Any]:
    data = reader.read(model, reader.without_host_own(model, raw), ())
    return _validate(model, data), data


def _with_ids(data: Any, ids: dict[int, int]) -> Any:
    """The data with ids in place of placeholders."""
    if (fields := as_object(data)) is not None:
        return {key: _with_ids(item, ids) for key, item in fields.items()}
    if (items := as_list(data)) is not None:
        return [_with_ids(item, ids) for item in items]
    return ids.get(data, data) if isinstance(data, int) and not isinstance(data, bool) else data


def _validate(model: type[Q], data: Any) -> Q:
    try:
        return model.model_validate(data, context={PLANNED: bool((as_object(data) or {}).get("plan_id"))})
    except ValidationError as error:
        errors = error.errors(include_url=False)
        faults = [fault_of(model, item) for item in errors[:MAX_FAULTS]]
        raise InvalidArguments(faults, more=len(errors) - len(faults)) from None


@dataclass
class _Reader:
    """Converts what a model sends to canonical arguments. ``names`` None: names are not accepted for ids."""

    notes: list[str] = field(default_factory=list[str])
    names: dict[int, GivenName] | None = None
    characters: int = 0

    def refuse_too_large(self, value: Any, path: ArgumentPath) -> int:
        """Check the size of the arguments before processing them; the total of characters.

        Raises:
            InvalidArguments: if they are larger than any call needs.
        """
        waiting: list[tuple[ArgumentPath, Any]] = [(path, value)]
        while waiting:
            place, item = waiting.pop()
            _refuse_too_deep(place)
            count = len(item) if is_object(item) or is_list(item) else 0
            if count > MOST_ITEMS:
                text = f"{count} items in one object or list are too many; at most {MOST_ITEMS}."
                raise InvalidArguments.at(where(path), text)
            if is_object(item):
                waiting.extend(pair for key, part in item.items() for pair in ((place, key), ((*place, key), part)))
            elif is_list(item):
                waiting.extend(((*place, number), part) for number, part in enumerate(item))
            elif isinstance(item, str) and HALF_CHARACTER.search(item):
                raise InvalidArguments.at(where(place), f"{json.dumps(item)[:MOST_SHOWN]} {HALF}")
            elif isinstance(item, int | float) and not -LARGEST <= item <= LARGEST:
                raise InvalidArguments.at(where(place), "is too large a number for JSON; at most 308 digits.")
            self.characters += len(item) + 1 if isinstance(item, str) else count + 1
            if self.characters > MOST_CHARACTERS:
                text = f"more than {MOST_CHARACTERS} characters in total, which is too large; send less at once."
                raise InvalidArguments.at(where(path), text)
        return self.characters

    def without_host_own(self, model: type[BaseModel], raw: JsonObject) -> JsonObject:
        """The arguments without keys that the host added, including an ``action`` that the tool does not have."""
        dropped = shapes.host_own(raw, model.model_fields)
        if dropped:
            self.notes.append(f"{', '.join(dropped)}: ignored, internal to the client")
        return {name: value for name, value in raw.items() if name not in dropped}

    def read(self, kind: Any, value: Any, path: ArgumentPath) -> Any:
        kind, reference = plain_type(kind)
        if value is None or kind is Any:
            return value
        _refuse_too_deep(path)
        if get_origin(kind) is list:
            return self._list(get_args(kind)[0], value, path)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            value = self._reshape(kind, self._from_json(value, dict, path), path)
            fields = as_object(value)
            return value if fields is None else self._object(kind, fields, path)
        if get_origin(kind) is dict:
            return self._from_json(value, dict, path)
        value = self._scalar(kind, value, path)
        if reference is not None and isinstance(value, str):
            return self._stand_in(reference.kind, value, path)
        return value

    def _stand_in(self, kind: EntityKind, value: str, path: ArgumentPath) -> Any:
        """A placeholder for a name until it is looked up."""
        if self.names is None or not value.strip():
            return value
        stand_in = STAND_IN - len(self.names)
        self.names[stand_in] = GivenName(kind, value, where(path))
        return stand_in

    def _reshape(self, kind: type[BaseModel], value: Any, path: ArgumentPath) -> Any:
        """A filter or grouping in its canonical shape."""
        reshape = shapes.condition if kind is Filter else shapes.grouping if _is_grouping(kind) else None
        if kind is Filter and isinstance(value, str):
            value = self._from_json(value, list, path)
        if reshape is None or (reshaped := reshape(value)) == value:
            return value
        self.notes.append(f"{where(path)} was read as {short_json(reshaped, limit=MOST_SHOWN)}")
        return reshaped

    def _object(self, kind: type[BaseModel], fields_sent: JsonObject, path: ArgumentPath) -> JsonObject:
        fields = kind.model_fields
        result: JsonObject = {}
        for name, item in self._lift(kind, fields_sent, path).items():
            target = (
                name if name in fields else shapes.canonical_argument(name, fields, {*fields_sent, *result}) or name
            )
            if kind is Filter and target == "operator":
                target = _operator(fields_sent)
            target, item_value = self._unwrap(target, item, kind, fields_sent)
            place = (*path, target)
            info = fields.get(target)
            result[target] = item_value if info is None else self._field(info, item_value, place)
            if target != name and (info is None or info.is_required() or result[target] != info.default):
                self.notes.append(f"{where((*path, name))} was read as {target}")
        if _fills_in_nulls(fields, fields_sent):
            result = {name: item for name, item in result.items() if item is not None}
        if isinstance(result.get("field"), str):
            field_aliases = shapes.PLOTTED_FIELDS if "chart_type" in fields else shapes.FILTER_FIELDS
            if "interval" in fields and result["field"] in PLOTTED:
                return result
            result["field"] = self._resolve_alias(result["field"], field_aliases, (*path, "field"))
        return self._condition(without_other_form(result), path) if kind is Filter else result

    def _lift(self, kind: type[BaseModel], fields_sent: JsonObject, path: ArgumentPath) -> JsonObject:
        """Arguments of a widget, or of its changes, moved into it."""
        objects = {name: plain_type(annotation(kind.model_fields[name]))[0] for name in LIFTED & {*kind.model_fields}}
        result = shapes.lift(
            fields_sent, kind.model_fields, {name: item.model_fields for name, item in objects.items()}
        )
        moved = [name for name in fields_sent if name not in result]
        self.notes += [f"{where((*path, name))} was read as part of {', '.join(objects)}" for name in moved]
        return result

    def _field(self, info: FieldInfo, value: Any, path: ArgumentPath) -> Any:
        """A field's value; in an optional field a blank, as strict clients fill in, counts as absent."""
        kind, reference = plain_type(annotation(info))
        if info.is_required() or kind is Any:
            return self.read(Annotated[kind, reference] if reference else kind, value, path)
        if is_blank(kind, value, info, str(path[-1])):
            return info.default
        result = self.read(Annotated[kind, reference] if reference else kind, value, path)
        return info.default if is_object(result) and says_nothing(kind, result) else result

    def _unwrap(self, name: str, value: Any, kind: type[BaseModel], fields_sent: JsonObject) -> tuple[str, Any]:
        """The argument and value that an object with one key means, where that is another argument."""
        inner = as_object(value)
        if inner is None or len(inner) != 1:
            return name, value
        [(key, inner_value)] = inner.items()
        target = shapes.INSIDE.get(name, {}).get(key, "")
        return (target, inner_value) if target in kind.model_fields and target not in fields_sent else (name, value)

    def _resolve_alias(self, value: Any, field_aliases: dict[str, str], path: ArgumentPath) -> Any:
        if isinstance(value, str) and (target := field_aliases.get(value.strip().casefold())):
            self.notes.append(f"{where(path)}: {value_text(value)} was read as {json.dumps(target)}")
            return target
        return value

    def _condition(self, condition: JsonObject, path: ArgumentPath) -> JsonObject:
        """The condition with its value converted to the field's type, and to a list for ``in``."""
        if isinstance(condition.get("op"), str):
            condition["op"] = self._scalar(FilterOp, condition["op"], (*path, "op"))
        name, value = condition.get("field"), condition.get("value")
        filter_type = filter_field(name) if isinstance(name, str) else None
        if filter_type is None or value is None:
            return condition
        place = (*path, "value")
        value = [_restore(item) for item in value] if is_list(value) else _restore(value)
        if condition.get("op") == "in" and not is_list(value):
            value = [value]
            self.notes.append(f"{where(place)}: one value was read as a list")
        convert = _seconds if name == DURATION else {"number": _number, "boolean": _truth}.get(filter_type.kind)
        if convert is None or condition.get("op") in TEXT_OPS:
            return {**condition, "value": value}
        items = value if is_list(value) else [value]
        converted = [convert(item) for item in items]
        if converted != items:
            example = json.dumps(converted if is_list(value) else converted[0])
            unit = " seconds" * (name == DURATION and converted != [_number(item) for item in items])
            self.notes.append(f"{where(place)}: {value_text(value)} was read as {example}{unit}")
        if (kind := NAMED.get(str(name))) is not None:
            converted = [self._stand_in(kind, item, place) if isinstance(item, str) else item for item in converted]
        return {**condition, "value": converted if is_list(value) else converted[0]}

    def _list(self, item: Any, value: Any, path: ArgumentPath) -> Any:
        value = self._from_json(value, list, path)
        items = as_list(value)
        if items is None:
            if isinstance(value, str) and plain_type(item)[0] is int and re.fullmatch(r"[\d\s,]*,[\d\s,]*", value):
                items = [part.strip() for part in value.split(",")]
            else:
                items = [value]
            self.notes.append(f"{where(path)}: one value was read as a list")
        return [self.read(item, element, (*path, index)) for index, element in enumerate(items)]

    def _from_json(self, value: Any, kind: type, path: ArgumentPath) -> Any:
        """JSON text, parsed if it has the expected type."""
        if not isinstance(value, str) or value.lstrip()[:1] not in {"{", "["}:
            return value
        try:
            parsed = json.loads(value)
        except (ValueError, RecursionError):
            return value
        if not isinstance(parsed, kind):
            return value
        self.refuse_too_large(parsed, path)
        self.notes.append(f"{where(path)}: JSON text was read as the {'object' if kind is dict else 'list'} in it")
        return parsed

    def _scalar(self, kind: Any, value: Any, path: ArgumentPath) -> Any:
        if isinstance(value, str):
            value = as_meant(value)
        name = next((part for part in reversed(path) if isinstance(part, str)), "")
        if name in shapes.TIMES and (interval := shapes.time(value)) != value:
            self.notes.append(f"{where(path)} was read as {interval}")
            return interval
        convert: Callable[[Any], Any] | None = {int: _whole, bool: _truth, str: _text}.get(kind)
        if get_origin(kind) is Literal and isinstance(value, str | bool):
            value = value if isinstance(value, str) else json.dumps(value)
            folded = value.strip().casefold().replace(" ", "_")
            converted = folded if folded in get_args(kind) else shapes.canonical_value(name, value)
        elif name in shapes.TIMES and isinstance(value, str):
            converted = shapes.canonical_value("window", value)
        elif convert is not None:
            converted = convert(value)
        else:
            return value
        if converted is not value and (type(converted) is not type(value) or converted != value):
            self.notes.append(f"{where(path)}: {value_text(value)} was read as {json.dumps(converted)}")
        return converted


def _refuse_too_deep(path: ArgumentPath) -> None:
    if len(path) > DEEPEST:
        raise InvalidArguments.at(where(path[:6]), f"is nested more than {DEEPEST} levels deep; flatten it.")


def _fills_in_nulls(fields: dict[str, FieldInfo], fields_sent: JsonObject) -> bool:
    """Whether a null can only have been filled in by the client; then the other nulls are too."""
    return any(
        item is None and name in fields and not fields[name].is_required() and fields[name].default is not None
        for name, item in fields_sent.items()
    )


def _restore(value: Any) -> Any:
    return as_meant(value) if isinstance(value, str) else value


def _is_grouping(kind: type[BaseModel]) -> bool:
    return kind.model_fields.keys() == {"type", "field", "interval"}


def _operator(filter_object: JsonObject) -> str:
    """Whether ``operator`` means a condition's ``op``, as models often write, or a group's operator."""
    if any(not is_empty(filter_object.get(name)) for name in ("op", "conditions")):
        return "operator"
    text = str(filter_object["operator"]).strip().casefold()
    return "operator" if text in GROUP_OPERATORS or is_empty(filter_object["operator"]) else "op"


def _number(value: Any) -> Any:
    """A number in quotes as a number; a float with an integral value as an integer.

    >>> _number("1.5"), _number(33.0), _number("x")
    (1.5, 33, 'x')
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, str) or not NUMBER.fullmatch(value.strip()):
        return value
    return float(value) if "." in value else int(value)


def _seconds(value: Any) -> Any:
    """A number in quotes, or a duration with its unit, in seconds."""
    read = _number(value)
    duration = shapes.seconds(read) if isinstance(read, str) else None
    return read if duration is None else duration


def _whole(value: Any) -> Any:
    if isinstance(value, str) and WHOLE.fullmatch(value.strip()):
        return int(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _truth(value: Any) -> Any:
    return {"true": True, "false": False}.get(value.strip().casefold(), value) if isinstance(value, str) else value


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
