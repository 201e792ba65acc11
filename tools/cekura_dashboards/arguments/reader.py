"""Arguments as a model sends them in, a validated request out; or every fault, each with a path and a fix."""

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from cekura_dashboards.api.errors import InvalidArguments
from cekura_dashboards.api.fields import DURATION, GROUP_OPERATORS, PLOTTED, FilterOp, filter_field
from cekura_dashboards.api.filters import METRIC_ID, Filter
from cekura_dashboards.api.models import JsonObject, as_list, as_object, is_list, is_object
from cekura_dashboards.arguments import aliases, references, shapes
from cekura_dashboards.arguments.blanks import is_blank, is_empty, says_nothing, without_other_form
from cekura_dashboards.arguments.faults import Path, annotation, fault_of, plain_type, seen, where
from cekura_dashboards.arguments.references import STAND_IN, GivenName
from cekura_dashboards.concurrency import in_thread
from cekura_dashboards.context import ToolContext
from cekura_dashboards.text import as_meant, named, short_json
from cekura_dashboards.tool import Request

Q = TypeVar("Q", bound=Request)
NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,15})?", re.ASCII)
WHOLE = re.compile(r"-?\d{1,18}", re.ASCII)
MOST_ITEMS, MOST_CHARACTERS = 500, 256 * 1024
"""In one object or list, and in all: an undo of the largest edit needs 400 items and 20,000 characters."""
HALF_CHARACTER = re.compile(r"[\ud800-\udfff]")
"""Of a surrogate pair. JSON can write it down, and UTF-8, in which everything is sent, cannot."""
HALF = "holds half a character (of a surrogate pair); send the whole one, or leave it out."
LARGEST = sys.float_info.max
"""Other programs read numbers of JSON as floats (RFC 8259, section 6)."""
SMALL = 10_000
"""Characters that are read in a few milliseconds; more are read in a thread."""
MOST_TOLD = 8
MOST_SHOWN = 130
"""Characters of a shape that something was read as."""
DEEPEST = 40
"""Objects and lists inside each other; the API needs three or four."""
LIFTED = {"changes", "widget"}
"""Arguments that models leave out around what is in them."""
NAMED: dict[str, references.Kind] = {"agent.id": "agent", METRIC_ID: "metric"}
"""Fields of filters that hold ids, for which names may be given."""
HOST_OWN = {"toolCallId", "sessionId", "action", "chatInput"}
"""What hosts such as n8n put beside the arguments for themselves."""
PLANNED = "planned"
"""In the context of a validation: whether a ``plan_id`` stands behind the call."""
TEXT_OPS = ("contains", "startswith", "endswith", "regex", "isnull")


def parse(model: type[Q], raw: dict[str, Any]) -> tuple[Q, list[str]]:
    """The request, and notes on what was read otherwise than it was written.

    Numbers and booleans in quotes, objects and lists as JSON text, one thing for a list of them, and the words of
    ``cekura_dashboards.arguments.aliases`` are accepted.

    Raises:
        InvalidArguments: with everything that is wrong.
    """
    reader = _Reader()
    reader.refuse_too_large(raw, ())
    return _read(reader, model, raw)[0], reader.notes


async def understood(context: ToolContext, model: type[Q], raw: dict[str, Any]) -> tuple[Q, list[str]]:
    """As ``parse``, and names stand for the ids of dashboards, widgets, projects, agents and metrics.

    Nothing is sent unless all else is right.

    Raises:
        InvalidArguments: with everything that is wrong, or the names that nothing or more than one thing has.
        DashboardsError: if the names could not be looked up.
    """
    reader = _Reader(names={})
    size = reader.refuse_too_large(raw, ())
    request, data = await in_thread(_read, reader, model, raw, small=size <= SMALL)
    if not reader.names:
        return request, reader.notes
    ids = await references.ids_of(context, reader.names, request)
    told = [
        f"{name.path}: {named(name.text)} was taken as {name.kind} {ids[key]}" for key, name in reader.names.items()
    ]
    return _validated(model, _with_ids(data, ids)), [*reader.notes, *told]


def _read(reader: "_Reader", model: type[Q], raw: dict[str, Any]) -> tuple[Q, Any]:
    data = reader.read(model, reader.without_host_own(model, raw), ())
    return _validated(model, data), data


def _with_ids(data: Any, ids: dict[int, int]) -> Any:
    """The data with the stand-ins of names replaced."""
    if (found := as_object(data)) is not None:
        return {key: _with_ids(item, ids) for key, item in found.items()}
    if (items := as_list(data)) is not None:
        return [_with_ids(item, ids) for item in items]
    return ids.get(data, data) if isinstance(data, int) and not isinstance(data, bool) else data


def _validated(model: type[Q], data: Any) -> Q:
    try:
        return model.model_validate(data, context={PLANNED: bool((as_object(data) or {}).get("plan_id"))})
    except ValidationError as error:
        found = error.errors(include_url=False)
        shown = [fault_of(model, item) for item in found[:MOST_TOLD]]
        raise InvalidArguments(shown, more=len(found) - len(shown)) from None


@dataclass
class _Reader:
    """Reads what a model sends as what it means. ``names`` None: names do not stand for ids."""

    notes: list[str] = field(default_factory=list[str])
    names: dict[int, GivenName] | None = None
    characters: int = 0

    def refuse_too_large(self, value: Any, path: Path) -> int:
        """Count what is given before anything is done with it; the characters so far.

        Raises:
            InvalidArguments: for more than any call needs.
        """
        waiting: list[tuple[Path, Any]] = [(path, value)]
        while waiting:
            place, item = waiting.pop()
            _refuse_too_deep(place)
            count = len(item) if is_object(item) or is_list(item) else 0
            if count > MOST_ITEMS:
                raise InvalidArguments.at(where(path), f"holds {count} items in one place; at most {MOST_ITEMS}.")
            if is_object(item):
                waiting.extend(pair for key, part in item.items() for pair in ((place, key), ((*place, key), part)))
            elif is_list(item):
                waiting.extend(((*place, number), part) for number, part in enumerate(item))
            elif isinstance(item, str) and HALF_CHARACTER.search(item):
                raise InvalidArguments.at(where(place), f"{json.dumps(item)[:MOST_SHOWN]} {HALF}")
            elif isinstance(item, int | float) and not -LARGEST <= item <= LARGEST:
                raise InvalidArguments.at(where(place), "is a number too large for JSON; at most 308 digits.")
            self.characters += len(item) + 1 if isinstance(item, str) else count + 1
            if self.characters > MOST_CHARACTERS:
                raise InvalidArguments.at(where(path), f"is too large; at most {MOST_CHARACTERS} characters in all.")
        return self.characters

    def without_host_own(self, model: type[BaseModel], raw: JsonObject) -> JsonObject:
        """The arguments without a host's bookkeeping."""
        dropped = [name for name in raw if name in HOST_OWN and name not in model.model_fields]
        if dropped:
            self.notes.append(f"{', '.join(dropped)}: ignored, as the client's own")
        return {name: value for name, value in raw.items() if name not in dropped}

    def read(self, kind: Any, value: Any, path: Path) -> Any:
        kind, reference = plain_type(kind)
        if value is None or kind is Any:
            return value
        _refuse_too_deep(path)
        if get_origin(kind) is list:
            return self._list(get_args(kind)[0], value, path)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            value = self._shaped(kind, self._from_json(value, dict, path), path)
            found = as_object(value)
            return value if found is None else self._object(kind, found, path)
        if get_origin(kind) is dict:
            return self._from_json(value, dict, path)
        value = self._scalar(kind, value, path)
        if reference is not None and isinstance(value, str):
            return self._stand_in(reference.kind, value, path)
        return value

    def _stand_in(self, kind: references.Kind, value: str, path: Path) -> Any:
        """A number for a name, until the name is looked up."""
        if self.names is None or not value.strip():
            return value
        stand_in = STAND_IN - len(self.names)
        self.names[stand_in] = GivenName(kind, value, where(path))
        return stand_in

    def _shaped(self, kind: type[BaseModel], value: Any, path: Path) -> Any:
        """Another shape for a filter or a grouping, as what it means."""
        read = shapes.condition if kind is Filter else shapes.grouping if _is_grouping(kind) else None
        if kind is Filter and isinstance(value, str):
            value = self._from_json(value, list, path)
        if read is None or (found := read(value)) == value:
            return value
        self.notes.append(f"{where(path)} was read as {short_json(found, limit=MOST_SHOWN)}")
        return found

    def _object(self, kind: type[BaseModel], found: JsonObject, path: Path) -> JsonObject:
        fields = kind.model_fields
        read: JsonObject = {}
        for name, item in self._lifted(kind, found, path).items():
            meant = name if name in fields else aliases.argument(name, fields, {*found, *read}) or name
            if kind is Filter and meant == "operator":
                meant = _operator(found)
            meant, held = self._moved(meant, item, kind, found)
            place = (*path, meant)
            info = fields.get(meant)
            read[meant] = held if info is None else self._field(info, held, place)
            if meant != name and (info is None or info.is_required() or read[meant] != info.default):
                self.notes.append(f"{where((*path, name))} was read as {meant}")
        if _fills_in_nulls(fields, found):
            read = {name: item for name, item in read.items() if item is not None}
        if isinstance(read.get("field"), str):
            known = aliases.PLOTTED_FIELDS if "chart_type" in fields else aliases.FILTER_FIELDS
            if "interval" in fields and read["field"] in PLOTTED:
                return read
            read["field"] = self._aliased(read["field"], known, (*path, "field"))
        return self._condition(without_other_form(read), path) if kind is Filter else read

    def _lifted(self, kind: type[BaseModel], found: JsonObject, path: Path) -> JsonObject:
        """What belongs into the changes of a widget, or into a widget, put there."""
        objects = {name: plain_type(annotation(kind.model_fields[name]))[0] for name in LIFTED & {*kind.model_fields}}
        read = shapes.lifted(found, kind.model_fields, {name: item.model_fields for name, item in objects.items()})
        moved = [name for name in found if name not in read]
        self.notes += [f"{where((*path, name))} was read as part of {', '.join(objects)}" for name in moved]
        return read

    def _field(self, info: FieldInfo, value: Any, path: Path) -> Any:
        """A field's value; a blank, as strict clients fill in, is as none where none is allowed."""
        kind, reference = plain_type(annotation(info))
        if info.is_required() or kind is Any:
            return self.read(Annotated[kind, reference] if reference else kind, value, path)
        if is_blank(kind, value, info, str(path[-1])):
            return info.default
        found = self.read(Annotated[kind, reference] if reference else kind, value, path)
        return info.default if is_object(found) and says_nothing(kind, found) else found

    def _moved(self, name: str, value: Any, kind: type[BaseModel], found: JsonObject) -> tuple[str, Any]:
        """What an object with one key stands for, where that is another argument."""
        inner = as_object(value)
        if inner is None or len(inner) != 1:
            return name, value
        [(key, held)] = inner.items()
        meant = aliases.INSIDE.get(name, {}).get(key, "")
        return (meant, held) if meant in kind.model_fields and meant not in found else (name, value)

    def _aliased(self, value: Any, known: dict[str, str], path: Path) -> Any:
        if isinstance(value, str) and (meant := known.get(value.strip().casefold())):
            self.notes.append(f"{where(path)}: {seen(value)} was read as {json.dumps(meant)}")
            return meant
        return value

    def _condition(self, condition: JsonObject, path: Path) -> JsonObject:
        """A filter's value in quotes, where its field holds numbers or booleans; one value for the list of ``in``."""
        if isinstance(condition.get("op"), str):
            condition["op"] = self._scalar(FilterOp, condition["op"], (*path, "op"))
        name, value = condition.get("field"), condition.get("value")
        known = filter_field(name) if isinstance(name, str) else None
        if known is None or value is None:
            return condition
        place = (*path, "value")
        value = [_meant(item) for item in value] if is_list(value) else _meant(value)
        if condition.get("op") == "in" and not is_list(value):
            value = [value]
            self.notes.append(f"{where(place)}: one value was read as a list")
        read = _seconds if name == DURATION else {"number": _number, "boolean": _truth}.get(known.kind)
        if read is None or condition.get("op") in TEXT_OPS:
            return {**condition, "value": value}
        items = value if is_list(value) else [value]
        found = [read(item) for item in items]
        if found != items:
            shown = json.dumps(found if is_list(value) else found[0])
            unit = " seconds" * (name == DURATION and found != [_number(item) for item in items])
            self.notes.append(f"{where(place)}: {seen(value)} was read as {shown}{unit}")
        if (kind := NAMED.get(str(name))) is not None:
            found = [self._stand_in(kind, item, place) if isinstance(item, str) else item for item in found]
        return {**condition, "value": found if is_list(value) else found[0]}

    def _list(self, item: Any, value: Any, path: Path) -> Any:
        value = self._from_json(value, list, path)
        items = as_list(value)
        if items is None:
            if isinstance(value, str) and plain_type(item)[0] is int and re.fullmatch(r"[\d\s,]*,[\d\s,]*", value):
                items = [part.strip() for part in value.split(",")]
            else:
                items = [value]
            self.notes.append(f"{where(path)}: one value was read as a list")
        return [self.read(item, element, (*path, index)) for index, element in enumerate(items)]

    def _from_json(self, value: Any, kind: type, path: Path) -> Any:
        """JSON text read as what it holds, if that is of the kind wanted."""
        if not isinstance(value, str) or value.lstrip()[:1] not in {"{", "["}:
            return value
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            return value
        if not isinstance(found, kind):
            return value
        self.refuse_too_large(found, path)
        self.notes.append(f"{where(path)}: JSON text was read as the {'object' if kind is dict else 'list'} in it")
        return found

    def _scalar(self, kind: Any, value: Any, path: Path) -> Any:
        if isinstance(value, str):
            value = as_meant(value)
        name = next((part for part in reversed(path) if isinstance(part, str)), "")
        if name in shapes.TIMES and (interval := shapes.time(value)) != value:
            self.notes.append(f"{where(path)} was read as {interval}")
            return interval
        read: Callable[[Any], Any] | None = {int: _whole, bool: _truth, str: _text}.get(kind)
        if get_origin(kind) is Literal and isinstance(value, str):
            folded = value.strip().casefold().replace(" ", "_")
            found = folded if folded in get_args(kind) else aliases.value(name, value)
        elif name in shapes.TIMES and isinstance(value, str):
            found = aliases.value("window", value)
        elif read is not None:
            found = read(value)
        else:
            return value
        if found is not value and (type(found) is not type(value) or found != value):
            self.notes.append(f"{where(path)}: {seen(value)} was read as {json.dumps(found)}")
        return found


def _refuse_too_deep(path: Path) -> None:
    if len(path) > DEEPEST:
        raise InvalidArguments.at(where(path[:6]), f"is nested more than {DEEPEST} levels deep; put it flatter.")


def _fills_in_nulls(fields: dict[str, FieldInfo], found: JsonObject) -> bool:
    """Whether null stands where it can only have been filled in; then no other one is meant either."""
    return any(
        item is None and name in fields and not fields[name].is_required() and fields[name].default is not None
        for name, item in found.items()
    )


def _meant(value: Any) -> Any:
    return as_meant(value) if isinstance(value, str) else value


def _is_grouping(kind: type[BaseModel]) -> bool:
    return kind.model_fields.keys() == {"type", "field", "interval"}


def _operator(found: JsonObject) -> str:
    """What ``operator`` is in a filter: a condition's, as models often call it, or that of a group."""
    if any(not is_empty(found.get(name)) for name in ("op", "conditions")):
        return "operator"
    text = str(found["operator"]).strip().casefold()
    return "operator" if text in GROUP_OPERATORS or is_empty(found["operator"]) else "op"


def _number(value: Any) -> Any:
    """A number in quotes; and a whole one that a client made a fraction of, as its schema says number.

    >>> _number("1.5"), _number(33.0), _number("x")
    (1.5, 33, 'x')
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, str) or not NUMBER.fullmatch(value.strip()):
        return value
    return float(value) if "." in value else int(value)


def _seconds(value: Any) -> Any:
    """A number in quotes, or a time with its unit as seconds."""
    read = _number(value)
    meant = shapes.seconds(read) if isinstance(read, str) else None
    return read if meant is None else meant


def _whole(value: Any) -> Any:
    if isinstance(value, str) and WHOLE.fullmatch(value.strip()):
        return int(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _truth(value: Any) -> Any:
    return {"true": True, "false": False}.get(value.strip().casefold(), value) if isinstance(value, str) else value


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
