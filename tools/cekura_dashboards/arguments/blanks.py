"""Blanks: what strict clients fill in where there is nothing to say, as their schemas let them leave nothing out.

Clients that fill in templates write ``null`` as text; so does a model that means none.
"""

from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cekura_dashboards.api.filters import Filter
from cekura_dashboards.api.models import JsonObject
from cekura_dashboards.arguments.faults import plain_type

BLANK: tuple[Any, ...] = (None, "", [], {})
NULL = "null"
NO_CHOICE = {"none", NULL}
TEXTS = {"search", "label", "group", "said", "name"}
"""Arguments that may be any text, ``null`` too. It is no new name: ``NewName`` refuses it there."""


def is_blank(kind: Any, value: Any, info: FieldInfo, name: str) -> bool:
    """Whether a value of the argument ``name`` stands for none: empty, or 0 where a number is an id or begins at 1."""
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
    """Whether an object is one of blanks alone, or beside a choice that means nothing alone.

    A part of a filter, grouping or layout is no blank: what it does not say, a strict client would have filled in.
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
    """A filter without the blanks of its other form: a condition has no ``operator``, a group no ``op``."""
    if not _are_empty(filter_object, "field") and _are_empty(filter_object, "conditions"):
        return {name: value for name, value in filter_object.items() if name not in {"operator", "conditions"}}
    if _are_empty(filter_object, "field", "value") and not _are_empty(filter_object, "conditions"):
        return {name: value for name, value in filter_object.items() if name not in {"field", "op", "value"}}
    return filter_object


def _are_empty(fields: JsonObject, *names: str) -> bool:
    return all(is_empty(fields.get(name)) for name in names)


def is_empty(value: Any) -> bool:
    """Whether this says nothing where it stands: empty, or ``null`` as text.

    >>> [is_empty(value) for value in (None, "", [], "Null", 0, "x")]
    [True, True, True, True, False, False]
    """
    return value in BLANK or is_null_text(value)


def is_null_text(value: Any) -> bool:
    return isinstance(value, str) and value.strip().lower() == NULL
