"""The type of a tool: its models and the marks of their fields, its description, and the functions that run it."""

import types
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, ClassVar, Generic, Literal, Protocol, Self, TypeVar, Union, get_args, get_origin

from msgspec import Struct
from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, PrivateAttr
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from cekura_dashboards.context import ToolContext

EntityKind = Literal["dashboard", "widget", "project", "agent", "metric", "alert"]


class Reference(Struct, frozen=True):
    """Marks an id for which a name is accepted, also in its schema."""

    kind: EntityKind

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "integer"}, {"type": "string"}]}


def annotation(info: FieldInfo) -> Any:
    """A field's type with its marks."""
    marks = [mark for mark in info.metadata if isinstance(mark, Reference)]
    return Annotated[info.annotation, marks[0]] if marks else info.annotation


def plain_type(kind: Any) -> tuple[Any, Reference | None]:
    """The type without ``| None`` and marks, and its ``Reference`` mark, if any."""
    if get_origin(kind) in {Union, types.UnionType}:
        options = [option for option in get_args(kind) if option is not type(None)]
        kind = options[0] if len(options) == 1 else Any
    if get_origin(kind) is Annotated:
        reference = next((mark for mark in get_args(kind)[1:] if isinstance(mark, Reference)), None)
        return plain_type(get_args(kind)[0])[0], reference
    return kind, None


class Request(BaseModel):
    """Arguments of a tool. Unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Drawable(Protocol):
    """The data that a chart view draws for an answer."""

    def to_json(self, room: int, shorter: dict[str, Any]) -> dict[str, Any]:
        """The drawing in at most ``room`` bytes. ``shorter``: the structured answer, as a fallback."""
        ...


class Result(BaseModel):
    """A tool's structured answer; one pure function renders it as text.

    ``BOUND``: its maximum length where no argument limits it, for the schema that clients see.
    """

    BOUND: ClassVar[str] = ""
    notes: list[str] | None = Field(default=None, description="how arguments were read")
    _drawing: Drawable | None = PrivateAttr(default=None)

    @property
    def drawing(self) -> Drawable | None:
        """For a chart view; None without one."""
        return self._drawing

    def with_drawing(self, drawing: Drawable | None) -> Self:
        self._drawing = drawing
        return self

    def to_json(self) -> dict[str, Any]:
        """The structured answer, without None values."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


Q = TypeVar("Q", bound=Request)
R = TypeVar("R", bound=Result)


class Tool(Struct, Generic[Q, R], frozen=True, kw_only=True):
    """An entry of the catalogue. Its functions raise only errors of ``cekura_dashboards.api.errors``.

    ``destructive``: it may overwrite or delete what is stored. ``idempotent``: a repeated call changes nothing more.
    ``prepares``: the tool without which this one is useless. ``is_drawn``: a chart view can show its answers.
    """

    name: str
    title: str
    description: str
    request: type[Q]
    result: type[R]
    render: Callable[[R], str]
    writes: bool = False
    destructive: bool = False
    idempotent: bool = True
    prepares: str | None = None
    is_drawn: bool = False


class ReadingTool(Tool[Q, R], frozen=True, kw_only=True):
    """A tool that changes nothing."""

    run: Callable[[ToolContext, Q], Awaitable[R]]
