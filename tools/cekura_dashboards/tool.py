"""What a tool is: its models, the text about it that a model reads, and the functions that do it."""

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from msgspec import Struct
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from cekura_dashboards.context import ToolContext


class Request(BaseModel):
    """Arguments of a tool. Unknown ones are refused by name."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Drawable(Protocol):
    """What a chart view draws of an answer."""

    def to_json(self, room: int, shorter: dict[str, Any]) -> dict[str, Any]:
        """In at most ``room`` bytes. ``shorter``: the structured answer, which may stand for the whole one."""
        ...


class Result(BaseModel):
    """What a tool answers; rendered as text by one pure function, and sent as it is besides.

    ``BOUND``: how long it can be, where no argument limits it; for the schema that clients are shown.
    """

    BOUND: ClassVar[str] = ""
    notes: list[str] | None = Field(default=None, description="how arguments were read")
    _drawing: Drawable | None = PrivateAttr(default=None)

    @property
    def drawing(self) -> Drawable | None:
        """For a chart view; None where nobody draws."""
        return self._drawing

    def with_drawing(self, drawing: Drawable | None) -> Self:
        self._drawing = drawing
        return self

    def to_json(self) -> dict[str, Any]:
        """The structured answer; what is None is absent."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


Q = TypeVar("Q", bound=Request)
R = TypeVar("R", bound=Result)


class Tool(Struct, Generic[Q, R], frozen=True, kw_only=True):
    """One entry of the catalogue. What it does may raise any error of ``cekura_dashboards.api.errors``, none else.

    ``destructive``: it may overwrite or delete what is stored. ``idempotent``: the same call again changes no more.
    ``prepares``: the tool without which this one is of no use. ``is_drawn``: a chart view can show its answers.
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
