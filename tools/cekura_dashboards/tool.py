"""What a tool is: its models, its description, and the functions that run it."""

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from msgspec import Struct
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from cekura_dashboards.context import ToolContext


class Request(BaseModel):
    """Arguments of a tool. Unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Drawable(Protocol):
    """What a chart view draws for an answer."""

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
